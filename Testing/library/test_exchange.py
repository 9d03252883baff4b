"""The two-compartment exchange model against its differential equations and an independent solver."""

import itertools
import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics import FitStatus, parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.exchange import TwoCompartmentExchange
from scipy import integrate, interpolate, optimize
from support import against, measured

RANGES = {"fp_per_min": (0.05, 2.0), "ps_per_min": (0.02, 1.0), "vp": (0.01, 0.2), "ve": (0.05, 0.5)}


def clinical_input(step_s=6.0, count=50):
    times_s = np.arange(count) * step_s
    return times_s, plasma_from_blood(parker_blood_concentration((times_s - 30.0) / 60.0), 0.42)


def clinical_model(**settings):
    return TwoCompartmentExchange(*clinical_input(), **settings)


def random_parameters(count, seed):
    generator = np.random.default_rng(seed)
    return {name: np.exp(generator.uniform(*np.log(ends), count)) for name, ends in RANGES.items()}


def noisy(curves, seed, snr=20.0):
    deviation = curves.max(axis=1, keepdims=True) / snr
    return curves + deviation * np.random.default_rng(seed).standard_normal(curves.shape)


def integrated(times_s, plasma, fp, ps, vp, ve, delay_s=0.0):
    """Solution of vp cp' = Fp (ca - cp) - PS (cp - ce), ve ce' = PS (cp - ce), interval by interval."""
    times_min, delay_min = times_s / 60.0, delay_s / 60.0

    def rates(t, state):
        arterial = np.interp(t - delay_min, times_min, plasma, left=0.0)
        in_plasma, in_space = state
        exchange = ps * (in_plasma - in_space)
        return (fp * (arterial - in_plasma) - exchange) / vp, exchange / ve

    corners = np.union1d(times_min, np.clip(times_min + delay_min, None, times_min[-1]))
    state, tissue = np.zeros(2), {corners[0]: 0.0}
    for begin, end in itertools.pairwise(corners):
        solution = integrate.solve_ivp(rates, (begin, end), state, method="LSODA", rtol=1e-10, atol=1e-13)
        state = solution.y[:, -1]
        tissue[end] = vp * state[0] + ve * state[1]
    return np.array([tissue[t] for t in times_min])


class ForwardModel(unittest.TestCase):
    @against(
        "Kinetic models",
        "differential equations of the exchange model, by solve_ivp",
        "scipy",
        "TwoCompartmentExchange",
    )
    def test_differential_equations(self):
        times_s = np.array([0.0, 5.0, 12.0, 15.0, 30.0, 32.0, 60.0, 90.0, 150.0, 240.0])
        plasma = np.array([0.0, 0.0, 2.0, 6.0, 3.0, 2.5, 1.5, 1.2, 1.0, 0.8])
        for delay_s in (0.0, 3.7):
            model = TwoCompartmentExchange(times_s, plasma, delay_s=delay_s)
            for values in ((0.6, 0.15, 0.06, 0.25), (0.2, 1.0, 0.02, 0.1), (1.5, 0.01, 0.15, 0.4)):
                with self.subTest(delay_s=delay_s, values=values):
                    found = model.concentration(**dict(zip(model.free, values, strict=True)))[0]
                    expected = integrated(times_s, plasma, *values, delay_s)
                    measured(self, "tissue concentration", found - expected, 2e-8, "mM")

    def test_jacobian_against_finite_differences(self):
        model = clinical_model(delay_s=2.5)
        parameters = random_parameters(20, seed=1)
        jacobian = model.jacobian(**parameters)
        for n, name in enumerate(model.free):
            step = 1e-5 * parameters[name]
            more = model.concentration(**{**parameters, name: parameters[name] + step})
            less = model.concentration(**{**parameters, name: parameters[name] - step})
            expected = (more - less) / (2.0 * step[:, np.newaxis])
            error = np.abs(jacobian[:, :, n] - expected).max(axis=1) / np.abs(expected).max(axis=1)
            self.assertLess(error.max(), 1e-6, name)

    def test_ktrans_and_its_gradient(self):
        model = clinical_model()
        values = {name: np.array([value]) for name, value in zip(model.free, (0.3, 0.6, 0.1, 0.2), strict=True)}
        self.assertAlmostEqual(model.derive(values)["ktrans_per_min"][0], 0.2, places=14)
        gradient = model.derived_gradient("ktrans_per_min", values)[0]
        np.testing.assert_allclose(gradient, [(0.6 / 0.9) ** 2, (0.3 / 0.9) ** 2, 0.0, 0.0], rtol=1e-14)


class Fitting(unittest.TestCase):
    def assert_recovered(self, fit, parameters, rtol):
        np.testing.assert_array_equal(fit.status, FitStatus.FITTED)
        for name, values in parameters.items():
            np.testing.assert_allclose(getattr(fit, name), values, rtol=rtol, err_msg=name)

    def test_recovers_noiseless_parameters(self):
        parameters = random_parameters(200, seed=2)
        # exchange much slower or faster than the plasma's passage leaves its rate unseen
        keep = (parameters["ps_per_min"] / parameters["vp"] < 12.0) & (parameters["fp_per_min"] > 0.2)
        keep &= parameters["fp_per_min"] / parameters["vp"] < 20.0
        parameters = {name: values[keep] for name, values in parameters.items()}
        self.assertGreater(keep.sum(), 50)
        model = clinical_model()
        fit = model.fit(model.concentration(**parameters))
        self.assert_recovered(fit, parameters, rtol=1e-4)
        flow, exchange = fit.fp_per_min, fit.ps_per_min
        np.testing.assert_allclose(fit.ktrans_per_min, flow * exchange / (flow + exchange), rtol=1e-13)

    def test_fractional_delay(self):
        parameters = {"fp_per_min": [0.5], "ps_per_min": [0.2], "vp": [0.08], "ve": [0.3]}
        times_s, plasma = clinical_input()
        curve = integrated(times_s, plasma, 0.5, 0.2, 0.08, 0.3, delay_s=3.7)
        self.assert_recovered(clinical_model(delay_s=3.7).fit(curve), parameters, rtol=1e-4)
        self.assertGreater(clinical_model().fit(curve).rmse_mM[0], 1e-3)

    @against("Kinetic models", "least_squares from 16 starts, 100 noisy voxels", "scipy", "TwoCompartmentExchange.fit")
    def test_residual_is_the_minimum(self):
        """Against scipy from 16 starts per voxel, on the exact model."""
        model = clinical_model()
        count, starts = 100, 16
        data = noisy(model.concentration(**random_parameters(count, seed=3)), seed=4)
        found = np.square(model.fit(data).predict() - data).sum(axis=1)
        logs = np.linspace(np.log(1e-6), np.log(2e4), 3000)
        curve = interpolate.CubicSpline(logs, model.response(np.exp(logs))[0])

        def curves(coordinates):
            fp, ps, vp, ve = np.exp(coordinates)
            total, product = (fp + ps) / vp + ps / ve, fp / vp * ps / ve
            root = np.sqrt(((fp + ps) / vp - ps / ve) ** 2 + 4.0 * ps**2 / (vp * ve))
            fast = 0.5 * (total + root)
            slow_flow = fp * (fast - fp / vp) / root
            h_fast, h_slow = curve(np.log([fast, product / fast]))
            return ((fp - slow_flow) * h_fast.T + slow_flow * h_slow.T).T

        def jacobian(coordinates, _):
            steps = 1e-5 * np.hstack((np.eye(4), -np.eye(4)))
            more, less = np.split(curves(coordinates[:, np.newaxis] + steps), 2)
            return (more - less).T / 2e-5

        low, high = np.log(model.bounds).T
        generator = np.random.default_rng(5)
        least = np.full(count, np.inf)
        for voxel in range(count):
            for _ in range(starts):
                solved = optimize.least_squares(
                    lambda coordinates, values: curves(coordinates) - values,
                    generator.uniform(low, high),
                    jacobian,
                    (low, high),
                    ftol=1e-10,
                    xtol=1e-10,
                    gtol=1e-12,
                    max_nfev=40,
                    args=(data[voxel],),
                )
                least[voxel] = min(least[voxel], 2.0 * solved.cost)
        excess = max(0.0, (found / least - 1.0).max())
        measured(self, "sum of squares above the least, relative", excess, 1e-6)
        self.assertGreater(np.isclose(found, least, rtol=1e-4).mean(), 0.9, "the reference itself did not converge")

    def test_weights_are_those_of_the_minimum(self):
        model = clinical_model()
        data = noisy(model.concentration(**random_parameters(50, seed=6)), seed=7)
        weights = np.random.default_rng(8).uniform(0.2, 3.0, model.times_s.size)
        fit = model.fit(data, weights=weights)
        inside = fit.status == FitStatus.FITTED
        self.assertGreater(inside.sum(), 25)
        values = {name: getattr(fit, name)[inside] for name in model.free}
        residual = (fit.predict() - data)[inside]
        jacobian = model.jacobian(**values)
        jacobian *= np.stack(list(values.values()), axis=1)[:, np.newaxis, :]
        gradient = np.abs(np.einsum("vti,vt->vi", jacobian * weights[:, np.newaxis], residual))
        size = np.sqrt(np.einsum("vti,t->vi", jacobian**2, weights)) * (fit.rmse_mM[inside, np.newaxis] * 7.0)
        self.assertLess(np.median(gradient / size), 1e-4)
        self.assertLess((gradient / size).max(), 1e-2)

    def test_values_on_a_bound_are_reported(self):
        free_model = clinical_model()
        curve = free_model.concentration(fp_per_min=0.8, ps_per_min=0.2, vp=0.1, ve=0.3)
        model = clinical_model(fp_bounds_per_min=(1e-4, 0.5))
        fit = model.fit(curve)
        self.assertEqual(fit.status[0], FitStatus.AT_BOUND)
        self.assertAlmostEqual(fit.fp_per_min[0], 0.5, places=9)
        self.assertEqual(free_model.fit(curve).status[0], FitStatus.FITTED)

    def test_no_enhancement(self):
        model = clinical_model()
        fit = model.fit(np.stack((np.zeros(50), -model.arterial_mM)))
        np.testing.assert_array_equal(fit.status, FitStatus.NO_ENHANCEMENT)
        self.assertTrue(np.isnan(fit.ktrans_per_min).all())

    def test_missing_values_change_no_neighbor(self):
        model = clinical_model()
        data = noisy(model.concentration(**random_parameters(30, seed=9)), seed=10)
        alone = model.fit(data)
        broken = data.copy()
        broken[7] = np.nan
        broken[11, 20] = np.nan
        fit = model.fit(broken)
        others = np.delete(np.arange(30), (7, 11))
        self.assertEqual(fit.status[7], FitStatus.CONVERSION_INVALID)
        self.assertTrue(np.isnan(fit.fp_per_min[7]))
        self.assertIn(fit.status[11], (FitStatus.FITTED, FitStatus.AT_BOUND))
        np.testing.assert_array_equal(fit.status[others], alone.status[others])
        np.testing.assert_allclose(
            np.square(fit.predict() - broken).sum(axis=1)[others],
            np.square(alone.predict() - data).sum(axis=1)[others],
            rtol=1e-7,
        )
