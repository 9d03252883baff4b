"""The kinetic models on the accuracy data sets and against solvers and closed forms outside the library."""

import tracemalloc
import unittest
import warnings

import numpy as np
from DCEPerfusionBMDLib.kinetics.aif import parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.exchange import TwoCompartmentExchange
from DCEPerfusionBMDLib.kinetics.linear import LinearTofts, Patlak
from DCEPerfusionBMDLib.kinetics.reference import ReferenceRegion
from DCEPerfusionBMDLib.kinetics.status import FitStatus
from DCEPerfusionBMDLib.kinetics.tofts import ExtendedTofts, Tofts
from scipy import optimize
from support import against, measured

MODELS = (Tofts, ExtendedTofts, Patlak, ReferenceRegion, LinearTofts)
TIGHT = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 300}


def plasma_at(times_s):
    return plasma_from_blood(parker_blood_concentration((np.asarray(times_s) - 30.0) / 60.0), 0.42)


def convolved(times_s, plasma, kep):
    """Convolution with exp(-kep t) in mM min, (n_kep, n_times), one straight piece after another."""
    kep = np.atleast_1d(np.asarray(kep, dtype=float))
    dt = np.diff(times_s)[:, np.newaxis] / 60.0
    slope = np.diff(plasma)[:, np.newaxis] / dt
    gain = -np.expm1(-kep * dt) / kep
    area = plasma[:-1, np.newaxis] * gain + slope * (dt - gain) / kep
    decay = np.exp(-kep * dt)
    h = np.zeros((len(times_s), kep.size))
    for i in range(len(dt)):
        h[i + 1] = decay[i] * h[i] + area[i]
    return h.T


def areas(times_s, plasma):
    """Integral of the plasma curve in mM min, (1, n_times)."""
    pieces = 0.5 * (plasma[1:] + plasma[:-1]) * np.diff(times_s) / 60.0
    return np.concatenate(([0.0], np.cumsum(pieces)))[np.newaxis]


def kinetics(count, seed):
    """Ktrans log-uniform in .05 to 1.2 /min and ve uniform in .05 to .6, where kep is at most 6 /min."""
    random = np.random.default_rng(seed)
    ktrans = np.exp(random.uniform(np.log(0.05), np.log(1.2), 3 * count))
    ve = random.uniform(0.05, 0.6, 3 * count)
    kept = np.flatnonzero(ktrans / ve <= 6.0)[:count]
    return ktrans[kept], ve[kept]


def add_noise(curves, snr, seed):
    sd = curves.max(axis=1, keepdims=True) / snr
    return curves + sd * np.random.default_rng(seed).standard_normal(curves.shape)


def sum_of_squares(fit, data):
    return np.square(fit.predict() - data).sum(axis=1)


def clinical_times():
    times_s = 6.0 * np.arange(50)
    return times_s, plasma_at(times_s)


def sampled_from_continuous(times_s, ktrans, kep, per_frame=60):
    """Tofts curves of the continuous arterial function, at the frames."""
    fine = np.linspace(times_s[0], times_s[-1], (len(times_s) - 1) * per_frame + 1)
    return ktrans[:, np.newaxis] * convolved(fine, plasma_at(fine), kep)[:, ::per_frame]


def least_squares(residual, jacobian, starts, low, high):
    """Parameters and sum of squares of the best of several runs of scipy's solver."""
    best, least = None, np.inf
    for start in starts:
        inside = np.clip(start, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
        found = optimize.least_squares(residual, inside, jacobian, bounds=(low, high), **TIGHT)
        if 2.0 * found.cost < least:
            best, least = found.x, 2.0 * found.cost
    return best, least


def scipy_tofts(times_s, plasma, data, low, high, roots=1.0):
    """Best (Ktrans, ve[, vp]) in a box and its sum of squares by scipy, from three starts."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    extended = low.size == 3

    def residual(p):
        curve = p[0] * convolved(times_s, plasma, p[0] / p[1])[0]
        return roots * (curve + (p[2] * plasma if extended else 0.0) - data)

    def jacobian(p):
        kep = p[0] / p[1]
        h, above, below = convolved(times_s, plasma, kep * np.array([1.0, 1.0 + 1e-5, 1.0 - 1e-5]))
        slope = (above - below) / (2e-5 * kep)
        columns = [h + kep * slope, -(kep**2) * slope] + ([plasma] if extended else [])
        return (roots * np.array(columns)).T

    starts = [np.array([0.3, 0.3 / kep, 0.03])[: low.size] for kep in (0.4, 1.5, 4.0)]
    return least_squares(residual, jacobian, starts, low, high)


class AccuracyWithoutNoise(unittest.TestCase):
    def test_tofts_on_exactly_sampled_curves(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(20000, 1)
        fit = Tofts(times_s, plasma).fit(ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve))
        np.testing.assert_array_equal(fit.status, FitStatus.FITTED)
        for found, true in ((fit.ktrans_per_min, ktrans), (fit.ve, ve)):
            percent = 100.0 * np.abs(found / true - 1.0)
            self.assertLessEqual(np.median(percent), 0.002)
            self.assertLessEqual(np.percentile(percent, 95), 0.02)

    def test_extended_tofts_and_patlak_on_exactly_sampled_curves(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(2000, 2)
        vp = np.random.default_rng(3).uniform(0.01, 0.2, 2000)
        curves = ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve) + vp[:, np.newaxis] * plasma
        fit = ExtendedTofts(times_s, plasma).fit(curves)
        for found, true in ((fit.ktrans_per_min, ktrans), (fit.ve, ve), (fit.vp, vp)):
            self.assertLessEqual(np.percentile(100.0 * np.abs(found / true - 1.0), 95), 0.02)
        curves = ktrans[:, np.newaxis] * areas(times_s, plasma) + vp[:, np.newaxis] * plasma
        fit = Patlak(times_s, plasma).fit(curves)
        np.testing.assert_allclose(fit.ktrans_per_min, ktrans, rtol=1e-6)
        np.testing.assert_allclose(fit.vp, vp, rtol=1e-6)

    def test_uneven_times(self):
        times_s = np.cumsum(np.tile([2.0, 3.5, 1.2, 6.0, 4.4], 14)) - 2.0
        plasma = plasma_at(times_s)
        ktrans, ve = kinetics(500, 4)
        curves = ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve)
        fit = Tofts(times_s, plasma).fit(curves)
        np.testing.assert_allclose(fit.ktrans_per_min, ktrans, rtol=2e-4)
        np.testing.assert_allclose(fit.ve, ve, rtol=2e-4)

    def test_kep_is_ktrans_over_ve(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(500, 5)
        data = add_noise(ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve), 20, 6)
        for model in (Tofts, ExtendedTofts, LinearTofts):
            fit = model(times_s, plasma).fit(data)
            known = np.isfinite(fit.ve)
            self.assertGreater(known.sum(), 490)
            np.testing.assert_allclose((fit.ktrans_per_min / fit.ve)[known], fit.kep_per_min[known], rtol=1e-12)


class AccuracyWithNoise(unittest.TestCase):
    def test_median_errors_are_those_of_the_least_squares_optimum(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(300, 7)
        data = add_noise(sampled_from_continuous(times_s, ktrans, ktrans / ve), 20, 8)
        fit = Tofts(times_s, plasma).fit(data)
        found = np.array([scipy_tofts(times_s, plasma, curve, (1e-4, 1e-3), (5.0, 1.0))[0] for curve in data])
        for ours, reference, true in ((fit.ktrans_per_min, found[:, 0], ktrans), (fit.ve, found[:, 1], ve)):
            median, bar = (np.median(np.abs(values / true - 1.0)) for values in (ours, reference))
            self.assertLessEqual(median, 1.002 * bar)

    @against(
        "Kinetic models",
        "10,000 noisy voxels at SNR 20, 6 s; the optimum has 2.07 to 2.13 and 1.19 to 1.21 %",
        "planted",
        "Tofts.fit",
    )
    def test_median_errors_over_many_voxels(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(10000, 9)
        fit = Tofts(times_s, plasma).fit(add_noise(sampled_from_continuous(times_s, ktrans, ktrans / ve), 20, 10))
        # the least-squares optimum has 2.07-2.13 % and 1.19-1.21 % by seed, at 20,000 voxels
        measured(self, "Ktrans, median", 100.0 * np.median(np.abs(fit.ktrans_per_min / ktrans - 1.0)), 2.16, "%")
        measured(self, "ve, median", 100.0 * np.median(np.abs(fit.ve / ve - 1.0)), 1.23, "%")

    @against("Kinetic models", "Murase's equations by lstsq, 50 voxels", "closed form", "LinearTofts.fit")
    def test_the_linear_method_is_murase_s_equations(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(50, 11)
        data = add_noise(ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve), 20, 12)
        fit = LinearTofts(times_s, plasma).fit(data)
        step = 0.1  # min
        for n, curve in enumerate(data):
            integrals = [step * (np.cumsum(c) - 0.5 * (c + c[0])) for c in (plasma, curve)]
            solution = np.linalg.lstsq(np.array([integrals[0], -integrals[1]]).T, curve, rcond=None)[0]
            found = np.array([fit.ktrans_per_min[n], fit.kep_per_min[n]])
            measured(self, "Ktrans and kep, relative", found / solution - 1.0, 1e-8)


class FramesWithoutAgent(unittest.TestCase):
    def test_a_voxel_that_ends_before_the_bolus_stops_no_other(self):
        times_s = np.arange(20) * 6.0
        plasma = np.where(np.arange(20) >= 8, 1.0, 0.0)
        for kind in (Tofts, ExtendedTofts, Patlak, ReferenceRegion):
            with self.subTest(kind=kind.__name__):
                model = kind(times_s, plasma)
                good = np.cumsum(plasma) * 0.01
                fit = model.fit(np.stack((good, np.where(np.arange(20) >= 4, np.nan, 0.01))))
                self.assertEqual(fit.status[1], FitStatus.TOO_FEW_FRAMES)
                self.assertIn(fit.status[0], (FitStatus.FITTED, FitStatus.AT_BOUND))


class Minimum(unittest.TestCase):
    """No solver finds a smaller sum of squares, for each model on noisy data that it generated."""

    def setUp(self):
        self.times_s, self.plasma = clinical_times()

    def generated(self, model, count, seed):
        ktrans, ve = kinetics(count, seed)
        random = np.random.default_rng(seed + 1)
        h = convolved(self.times_s, self.plasma, ktrans / ve)
        if model is Tofts:
            curves = ktrans[:, np.newaxis] * h
        elif model is ExtendedTofts:
            curves = ktrans[:, np.newaxis] * h + random.uniform(0.0, 0.25, (count, 1)) * self.plasma
        elif model is Patlak:
            slow = areas(self.times_s, self.plasma)
            curves = ktrans[:, np.newaxis] * slow + random.uniform(0.0, 0.25, (count, 1)) * self.plasma
        else:
            ratio, reference_kep = random.uniform(0.3, 4.0, (count, 1)), random.uniform(0.3, 4.0, (count, 1))
            kep = ktrans / ve
            reference = self.reference_curve()
            curves = ratio * (
                reference + (reference_kep - kep[:, np.newaxis]) * convolved(self.times_s, reference, kep)
            )
        sd = curves.max(axis=1, keepdims=True) / 20
        return curves + sd * random.standard_normal(curves.shape)

    def reference_curve(self):
        return 0.15 * convolved(self.times_s, self.plasma, 1.2)[0]

    def assert_minimum(self, squares, best):
        excess = squares / best - 1.0
        measured(self, "sum of squares above the least, relative", max(0.0, excess.max()), 1e-6)

    @against("Kinetic models", "least_squares from 3 starts, 150 noisy voxels", "scipy", "Tofts.fit")
    def test_tofts(self):
        data = self.generated(Tofts, 150, 21)
        fit = Tofts(self.times_s, self.plasma).fit(data)
        found = [scipy_tofts(self.times_s, self.plasma, curve, (1e-4, 1e-3), (5.0, 1.0))[1] for curve in data]
        self.assert_minimum(sum_of_squares(fit, data), np.array(found))

    @against("Kinetic models", "least_squares from 3 starts, 100 noisy voxels", "scipy", "ExtendedTofts.fit")
    def test_extended_tofts(self):
        data = self.generated(ExtendedTofts, 100, 22)
        fit = ExtendedTofts(self.times_s, self.plasma).fit(data)
        low, high = (1e-4, 1e-3, 0.0), (5.0, 1.0, 0.3)
        found = [scipy_tofts(self.times_s, self.plasma, curve, low, high)[1] for curve in data]
        self.assert_minimum(sum_of_squares(fit, data), np.array(found))
        self.assertGreater((fit.status == FitStatus.FITTED).sum(), 50)

    @against("Kinetic models", "lsq_linear, 200 noisy voxels", "scipy", "Patlak.fit")
    def test_patlak(self):
        data = self.generated(Patlak, 200, 23)
        fit = Patlak(self.times_s, self.plasma).fit(data)
        matrix = np.array([areas(self.times_s, self.plasma)[0], self.plasma]).T
        low, high = (1e-4, 0.0), (5.0, 0.3)
        found = [2.0 * optimize.lsq_linear(matrix, c, (low, high), method="bvls", tol=1e-14).cost for c in data]
        self.assert_minimum(sum_of_squares(fit, data), np.array(found))

    @against("Kinetic models", "least_squares from 6 starts, 80 noisy voxels", "scipy", "ReferenceRegion.fit")
    def test_reference_region(self):
        data = self.generated(ReferenceRegion, 80, 24)
        reference = self.reference_curve()
        fit = ReferenceRegion(self.times_s, reference).fit(data)
        low, high = np.array([1e-3, 1e-3, 1e-3]), np.array([100.0, 50.0, 50.0])
        starts = [np.array([1.0, kep, other]) for kep in (0.3, 2.0, 6.0) for other in (0.5, 3.0)]

        def curves(p):
            kep = np.array([p[1], p[1] * (1 + 1e-5), p[1] * (1 - 1e-5)])
            return convolved(self.times_s, reference, kep)

        found = []
        for curve in data:

            def residual(p, curve=curve):
                return p[0] * (reference + (p[2] - p[1]) * curves(p)[0]) - curve

            def jacobian(p):
                h, above, below = curves(p)
                slope = (above - below) / (2e-5 * p[1])
                difference = p[2] - p[1]
                return np.array([reference + difference * h, p[0] * (difference * slope - h), p[0] * h]).T

            found.append(least_squares(residual, jacobian, starts, low, high)[1])
        self.assert_minimum(sum_of_squares(fit, data), np.array(found))

    def test_ten_thousand_voxels_against_all_kep_of_a_dense_grid(self):
        kep = np.exp(np.linspace(np.log(2e-4), np.log(300.0), 1500))
        h = convolved(self.times_s, self.plasma, kep)
        for model, high_vp in ((Tofts, 0.0), (ExtendedTofts, 0.3)):
            with self.subTest(model=model.__name__):
                data = self.generated(model, 10000, 25)
                fit = model(self.times_s, self.plasma).fit(data)
                bound = np.concatenate([self.on_grid(part, kep, h, high_vp) for part in np.split(data, 10)])
                self.assert_minimum(sum_of_squares(fit, data), bound)
        with self.subTest(model="ReferenceRegion"):
            data = self.generated(ReferenceRegion, 10000, 26)
            fit = ReferenceRegion(self.times_s, self.reference_curve()).fit(data)
            bound = np.concatenate([self.reference_on_grid(part) for part in np.split(data, 10)])
            self.assert_minimum(sum_of_squares(fit, data), bound)

    def on_grid(self, data, kep, h, high_vp):
        """Smallest sum of squares over kep with Ktrans in [1e-4, 5], ve in [1e-3, 1] and vp in [0, high_vp]."""
        low, high = np.maximum(1e-4, 1e-3 * kep), np.minimum(5.0, kep)
        p, q, b = data @ h.T, np.square(h).sum(axis=1), h @ self.plasma
        a, g = data @ self.plasma[:, np.newaxis], self.plasma @ self.plasma
        best = np.full(p.shape, np.inf)
        free_ktrans, free_vp = (p * g - a * b) / (q * g - b * b), (a * q - p * b) / (q * g - b * b)
        for ktrans, vp in (
            (np.clip(p / q, low, high), np.zeros_like(p)),
            (np.clip((p - high_vp * b) / q, low, high), np.full_like(p, high_vp)),
            (np.clip(free_ktrans, low, high), np.clip(free_vp, 0.0, high_vp)),
        ):
            values = ktrans * (ktrans * q + 2 * vp * b - 2 * p) + vp * (vp * g - 2 * a)
            best = np.minimum(best, values)
        return best.min(axis=1) + np.square(data).sum(axis=1)

    def reference_on_grid(self, data):
        reference = self.reference_curve()
        kep = np.exp(np.linspace(np.log(1e-3), np.log(50.0), 1500))
        h = convolved(self.times_s, reference, kep)
        p, q, b = data @ h.T, np.square(h).sum(axis=1), h @ reference
        a, g = data @ reference[:, np.newaxis], reference @ reference
        amplitude, ratio = (p * g - a * b) / (q * g - b * b), (a * q - p * b) / (q * g - b * b)
        reference_kep = kep + amplitude / ratio
        allowed = (ratio >= 1e-3) & (ratio <= 100.0) & (reference_kep >= 1e-3) & (reference_kep <= 50.0)
        values = np.where(allowed, -amplitude * p - ratio * a, np.inf)
        return values.min(axis=1) + np.square(data).sum(axis=1)


class Bounds(unittest.TestCase):
    """Minima on the bounds of the extended Tofts model, against scipy's bounded solver."""

    def setUp(self):
        self.times_s, self.plasma = clinical_times()

    def curves(self, ktrans, ve, vp, count=25, seed=31):
        kep = np.full(count, ktrans / ve)
        clean = ktrans * convolved(self.times_s, self.plasma, kep) + vp * self.plasma
        return add_noise(clean, 20, seed)

    def check(self, data, name, value, low=(1e-4, 1e-3, 0.0), high=(5.0, 1.0, 0.3), least=15):
        model = ExtendedTofts(self.times_s, self.plasma, (low[0], high[0]), (low[1], high[1]), (low[2], high[2]))
        fit = model.fit(data)
        on_bound = np.isclose(getattr(fit, name), value, rtol=1e-5, atol=1e-9)
        self.assertGreaterEqual(on_bound.sum(), least)
        self.assertTrue((fit.status[on_bound] == FitStatus.AT_BOUND).all())
        inside = (fit.ktrans_per_min > low[0] * (1 + 1e-4)) & (fit.ktrans_per_min < high[0] * (1 - 1e-4))
        inside &= (fit.ve > low[1] * (1 + 1e-4)) & (fit.ve < high[1] * (1 - 1e-4))
        inside &= (fit.vp > low[2] + 1e-4) & (fit.vp < high[2] - 1e-4)
        np.testing.assert_array_equal(fit.status[inside], FitStatus.FITTED)
        squares = sum_of_squares(fit, data)
        for n, curve in enumerate(data):
            _, least_squares_sum = scipy_tofts(self.times_s, self.plasma, curve, low, high)
            self.assertLessEqual(squares[n], least_squares_sum * (1 + 1e-6))
        self.assertTrue(np.isnan(fit.standard_error(name)[on_bound]).all())

    def test_no_plasma_volume(self):
        self.check(self.curves(0.3, 0.3, -0.05), "vp", 0.0)

    def test_largest_plasma_volume(self):
        self.check(self.curves(0.3, 0.3, 0.4), "vp", 0.3)

    def test_largest_ve(self):
        self.check(self.curves(0.5, 1.6, 0.03), "ve", 1.0)

    def test_smallest_ve(self):
        self.check(self.curves(0.2, 0.1, 0.03), "ve", 0.15, low=(1e-4, 0.15, 0.0))

    def test_smallest_ktrans(self):
        self.check(self.curves(0.05, 0.2, 0.1), "ktrans_per_min", 0.1, low=(0.1, 1e-3, 0.0))

    def test_largest_ktrans(self):
        self.check(self.curves(0.9, 0.4, 0.1), "ktrans_per_min", 0.6, high=(0.6, 1.0, 0.3))

    def test_patlak_in_its_box(self):
        random = np.random.default_rng(32)
        regressors = np.array([areas(self.times_s, self.plasma)[0], self.plasma])
        true = random.uniform((-0.1, -0.1), (0.6, 0.5), (200, 2))
        data = true @ regressors + 0.2 * random.standard_normal((200, 50))
        low, high = (0.05, 0.02), (0.4, 0.3)
        fit = Patlak(self.times_s, self.plasma, (low[0], high[0]), (low[1], high[1])).fit(data)
        attempted = np.flatnonzero(fit.status != FitStatus.NO_ENHANCEMENT)
        self.assertGreater(attempted.size, 150)
        for n in attempted:
            found = optimize.lsq_linear(regressors.T, data[n], (low, high), method="bvls", tol=1e-14)
            np.testing.assert_allclose((fit.ktrans_per_min[n], fit.vp[n]), found.x, atol=1e-7)
            on_bound = np.any((found.x <= np.array(low) + 1e-9) | (found.x >= np.array(high) - 1e-9))
            self.assertEqual(fit.status[n], FitStatus.AT_BOUND if on_bound else FitStatus.FITTED)


class ReferenceTissue(unittest.TestCase):
    def test_relative_ktrans_of_two_tofts_tissues(self):
        times_s = 2.0 * np.arange(180)
        plasma = plasma_at(times_s)
        muscle_ktrans, muscle_ve = 0.08, 0.1
        ktrans, ve = kinetics(200, 41)
        data = sampled_from_continuous(times_s, ktrans, ktrans / ve)
        muscle = sampled_from_continuous(times_s, np.array([muscle_ktrans]), np.array([muscle_ktrans / muscle_ve]))[0]
        known = ReferenceRegion(times_s, muscle, reference_ktrans_per_min=muscle_ktrans).fit(data)
        self.assertGreater(plasma.max(), 0)
        apart = np.abs(np.log(ktrans / ve / (muscle_ktrans / muscle_ve))) > 0.2  # equal kep leave it undetermined
        np.testing.assert_allclose(known.relative_ktrans[apart], ktrans[apart] / muscle_ktrans, rtol=0.03)
        np.testing.assert_allclose(known.kep_per_min[apart], (ktrans / ve)[apart], rtol=0.03)
        np.testing.assert_allclose(known.reference_kep_per_min[apart], muscle_ktrans / muscle_ve, rtol=0.05)
        np.testing.assert_allclose(known.ktrans_per_min, known.relative_ktrans * muscle_ktrans, rtol=1e-12)
        np.testing.assert_allclose(known.ve, known.ktrans_per_min / known.kep_per_min, rtol=1e-12)

    def test_absolute_values_are_unknown_without_those_of_the_reference(self):
        times_s, plasma = clinical_times()
        muscle = 0.08 * convolved(times_s, plasma, 0.8)[0]
        fit = ReferenceRegion(times_s, muscle).fit(0.3 * convolved(times_s, plasma, 1.5))
        self.assertTrue(np.isfinite(fit.relative_ktrans).all())
        self.assertTrue(np.isnan(fit.ktrans_per_min).all() and np.isnan(fit.ve).all())


class Weights(unittest.TestCase):
    def setUp(self):
        self.times_s, self.plasma = clinical_times()
        self.ktrans, self.ve = kinetics(300, 51)
        clean = self.ktrans[:, np.newaxis] * convolved(self.times_s, self.plasma, self.ktrans / self.ve)
        self.clean, self.noisy = clean, add_noise(clean, 20, 52)

    def test_weighted_minimum_is_that_of_scipy(self):
        weights = np.random.default_rng(53).uniform(0.1, 3.0, 50)
        fit = Tofts(self.times_s, self.plasma).fit(self.noisy[:25], weights)
        squares = (weights * np.square(fit.predict() - self.noisy[:25])).sum(axis=1)
        np.testing.assert_allclose(fit.rmse_mM, np.sqrt(squares / weights.sum()), rtol=1e-9)
        for n in range(25):
            _, best = scipy_tofts(
                self.times_s, self.plasma, self.noisy[n], (1e-4, 1e-3), (5.0, 1.0), roots=np.sqrt(weights)
            )
            self.assertLessEqual(squares[n], best * (1 + 1e-6))

    def test_weight_zero_leaves_a_frame_out(self):
        weights = np.ones(50)
        weights[[7, 20, 21]] = 0.0
        holes = self.noisy.copy()
        holes[:, weights == 0] = np.nan
        spoiled = np.where(weights == 0, 1000.0, self.noisy)
        for model in (*MODELS, TwoCompartmentExchange):
            with self.subTest(model=model.__name__):
                fit = model(self.times_s, self.plasma).fit(spoiled, weights)
                without = model(self.times_s, self.plasma).fit(holes)
                np.testing.assert_array_equal(fit.status, without.status)
                for name in (*model.free, *model.derived):
                    np.testing.assert_allclose(getattr(fit, name), getattr(without, name), rtol=1e-9)
                np.testing.assert_allclose(fit.rmse_mM, without.rmse_mM, rtol=1e-9)
                np.testing.assert_allclose(fit.aicc, without.aicc, rtol=1e-9)
                name = model.free[0]
                np.testing.assert_allclose(fit.standard_error(name), without.standard_error(name), rtol=1e-6)

    def test_only_their_ratio_counts(self):
        weights = np.random.default_rng(54).uniform(0.1, 3.0, 50)
        model = ExtendedTofts(self.times_s, self.plasma)
        fit, scaled = model.fit(self.noisy, weights), model.fit(self.noisy, 1e6 * weights)
        np.testing.assert_allclose(scaled.ktrans_per_min, fit.ktrans_per_min, rtol=1e-7)
        np.testing.assert_allclose(scaled.rmse_mM, fit.rmse_mM, rtol=1e-7)
        np.testing.assert_allclose(scaled.standard_error("ve"), fit.standard_error("ve"), rtol=1e-5)

    def test_inverse_variance_reduces_the_error(self):
        sd = np.where(np.arange(50) % 2 == 0, 0.02, 0.3) * self.clean.max(axis=1, keepdims=True)
        data = self.clean + sd * np.random.default_rng(55).standard_normal(self.clean.shape)
        model = Tofts(self.times_s, self.plasma)
        error = [
            np.median(np.abs(model.fit(data, weights).ktrans_per_min / self.ktrans - 1.0))
            for weights in (None, 1.0 / np.square(sd[0]))
        ]
        self.assertLess(error[1], 0.5 * error[0])

    def test_refusals(self):
        model = Tofts(self.times_s, self.plasma)
        for weights, message in (
            (-np.ones(50), "weights (50,) must be 50 numbers, finite and not negative"),
            (np.full(50, np.nan), "weights (50,) must be 50 numbers, finite and not negative"),
            (np.ones(49), "weights (49,) must be 50 numbers, finite and not negative"),
            (np.arange(50) < 2, "only 2 frames have a weight; 3 are needed"),
        ):
            with self.subTest(message=message), self.assertRaises(ValueError) as caught:
                model.fit(self.noisy, weights)
            self.assertEqual(str(caught.exception), message)


class MissingFrames(unittest.TestCase):
    def setUp(self):
        self.times_s, self.plasma = clinical_times()
        ktrans, ve = kinetics(20, 61)
        self.data = add_noise(ktrans[:, np.newaxis] * convolved(self.times_s, self.plasma, ktrans / ve), 20, 62)

    def test_are_left_out(self):
        random = np.random.default_rng(63)
        left = random.random(self.data.shape) > 0.2
        holes = np.where(left, self.data, np.where(random.random(self.data.shape) > 0.5, np.nan, np.inf))
        fit = Tofts(self.times_s, self.plasma).fit(holes)
        for n in range(20):
            found, squares = scipy_tofts(
                self.times_s, self.plasma, self.data[n], (1e-4, 1e-3), (5.0, 1.0), roots=left[n].astype(float)
            )
            np.testing.assert_allclose((fit.ktrans_per_min[n], fit.ve[n]), found, rtol=1e-4)
            self.assertLessEqual(fit.rmse_mM[n], np.sqrt(squares / left[n].sum()) * (1 + 1e-6))
            mean = self.data[n, left[n]].mean()
            spread = np.square(self.data[n, left[n]] - mean).sum()
            self.assertAlmostEqual(fit.r_squared[n], 1.0 - squares / spread, delta=1e-6)

    def test_the_linear_method_finds_what_the_tofts_fit_finds(self):
        times_s, random = self.times_s, np.random.default_rng(64)
        ktrans, ve = kinetics(200, 65)
        clean = ktrans[:, np.newaxis] * convolved(times_s, self.plasma, ktrans / ve)
        slow = ktrans / ve < 2.0  # the trapezoid rule over a gap of two frames is off by more for the fast
        holes = np.where(random.random(clean.shape) > 0.1, clean, np.nan)
        holes[:, [0, 1]] = np.nan
        exact = Tofts(times_s, self.plasma).fit(holes)
        np.testing.assert_allclose(exact.ktrans_per_min, ktrans, rtol=1e-3)
        whole, fit = (LinearTofts(times_s, self.plasma).fit(data) for data in (clean, holes))
        self.assertLess(np.abs(whole.ktrans_per_min / ktrans - 1.0)[slow].max(), 0.003)
        self.assertLess(np.median(np.abs(fit.ktrans_per_min / ktrans - 1.0)[slow]), 0.002)
        self.assertLess(np.abs(fit.ktrans_per_min / ktrans - 1.0)[slow].max(), 0.1)

    def test_no_frame_and_too_few_frames(self):
        for model in MODELS:
            with self.subTest(model=model.__name__):
                data = self.data[:4].copy()
                data[1] = np.nan
                data[2, len(model.free) :] = np.nan  # as many frames as parameters
                fit = model(self.times_s, self.plasma).fit(data)
                self.assertEqual(fit.status[1], FitStatus.CONVERSION_INVALID)
                self.assertEqual(fit.status[2], FitStatus.TOO_FEW_FRAMES)
                whole = model(self.times_s, self.plasma).fit(self.data[:4])
                for name in (*model.free, *model.derived):
                    self.assertTrue(np.isnan(getattr(fit, name)[1:3]).all())
                    np.testing.assert_allclose(getattr(fit, name)[[0, 3]], getattr(whole, name)[[0, 3]], rtol=1e-6)

    def test_the_smallest_number_of_frames_is_fitted(self):
        data = self.data[:1].copy()
        data[0, [n for n in range(50) if n not in (8, 12, 20)]] = np.nan
        fit = Tofts(self.times_s, self.plasma).fit(data)
        self.assertIn(fit.status[0], (FitStatus.FITTED, FitStatus.AT_BOUND))


class Refusals(unittest.TestCase):
    def test_exact_messages(self):
        times_s, plasma = clinical_times()
        swapped, twice, endless = times_s.copy(), times_s.copy(), times_s.copy()
        swapped[[3, 4]] = swapped[[4, 3]]
        twice[8] = twice[7]
        endless[-1] = np.nan
        broken = plasma.copy()
        broken[9] = np.inf
        zero = "the plasma curve has no positive sample, so there is no arterial input"
        lists = "must be two lists of the same length"
        for model in MODELS:
            least = len(model.free)
            few = f"too few to fit {least} parameters; at least {least + 1} are needed"
            for times, curve, message in (
                (times_s[:1], plasma[:1], f"1 frame is {few}"),
                (times_s[:2], plasma[:2], f"2 frames are {few}"),
                ([], [], f"0 frames are {few}"),
                (swapped, plasma, "times must increase: frame 5 (18 s) does not come after frame 4 (24 s)"),
                (twice, plasma, "times must increase: frame 9 (42 s) does not come after frame 8 (42 s)"),
                (endless, plasma, "times must be finite numbers"),
                (times_s, 0 * plasma, zero),
                (times_s, -plasma, zero),
                (times_s, broken, "the plasma curve must be finite in every frame"),
                (times_s[:-1], plasma, f"times (49,) and plasma curve (50,) {lists}"),
                (times_s[:, np.newaxis], plasma, f"times (50, 1) and plasma curve (50,) {lists}"),
            ):
                with self.subTest(model=model.__name__, message=message):
                    with self.assertRaises(ValueError) as caught:
                        model(times, curve)
                    self.assertEqual(str(caught.exception), message)
            for shape in ((2, 49), (49,), (2, 50, 1)):
                with self.subTest(model=model.__name__, shape=shape):
                    with self.assertRaises(ValueError) as caught:
                        model(times_s, plasma).fit(np.zeros(shape))
                    seen = np.atleast_2d(np.zeros(shape)).shape
                    self.assertEqual(str(caught.exception), f"concentration {seen} must be (voxels, 50 times)")

    def test_bounds_that_are_none(self):
        times_s, plasma = clinical_times()
        positive = {
            Tofts: {"ktrans_bounds_per_min": True, "ve_bounds": True},
            LinearTofts: {"ktrans_bounds_per_min": True, "ve_bounds": True},
            ExtendedTofts: {"ktrans_bounds_per_min": True, "ve_bounds": True, "vp_bounds": False},
            Patlak: {"ktrans_bounds_per_min": False, "vp_bounds": False},
            ReferenceRegion: {
                "relative_ktrans_bounds": True,
                "kep_bounds_per_min": True,
                "reference_kep_bounds_per_min": False,
            },
            TwoCompartmentExchange: {
                "fp_bounds_per_min": True,
                "ps_bounds_per_min": True,
                "vp_bounds": True,
                "ve_bounds": True,
            },
        }
        for model, names in positive.items():
            for name, must_be_positive in names.items():
                cases = [
                    ((0.5, 0.1), f"{name} (0.5, 0.1): the lower bound must lie below the upper one"),
                    ((0.5, 0.5), f"{name} (0.5, 0.5): the lower bound must lie below the upper one"),
                    ((0.1, np.inf), f"{name} (0.1, inf) must be finite"),
                    ((np.nan, 1.0), f"{name} (nan, 1) must be finite"),
                    (
                        (0.1, 0.2, 0.3),
                        f"{name} must be two numbers, the lower and the upper bound, not (0.1, 0.2, 0.3)",
                    ),
                    (0.1, f"{name} must be two numbers, the lower and the upper bound, not 0.1"),
                ]
                if must_be_positive:
                    cases.append(((0.0, 0.5), f"{name} (0, 0.5): the lower bound must be positive"))
                    cases.append(((-0.1, 0.5), f"{name} (-0.1, 0.5): the lower bound must be positive"))
                for bounds, message in cases:
                    with self.subTest(model=model.__name__, name=name, bounds=bounds):
                        with self.assertRaises(ValueError) as caught:
                            model(times_s, plasma, **{name: bounds})
                        self.assertEqual(str(caught.exception), message)

    def test_agent_in_the_last_frame_only(self):
        times_s = 6.0 * np.arange(20)
        late, two = np.zeros((2, 20))
        late[-1] = 1.0
        two[-2:] = 1.0, 2.0
        data = np.array([late, np.cumsum(two), np.random.default_rng(73).standard_normal(20)])
        for model in (*MODELS, TwoCompartmentExchange):
            with self.subTest(model=model.__name__):
                for curve, delay_s in ((late, 0.0), (two, 6.0)):
                    with self.assertRaisesRegex(ValueError, "no positive sample between the first and the last frame"):
                        model(times_s, curve, delay_s=delay_s)
                self.assertEqual(model(times_s, two).fit(data).status.size, 3)

    def test_patlak_where_the_frames_that_are_left_hold_no_agent(self):
        times_s, plasma = clinical_times()
        data = np.tile(plasma, (2, 1))
        early = times_s < 30.0
        data[0, ~early] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit = Patlak(times_s, plasma).fit(data)
            np.testing.assert_array_equal(fit.status == FitStatus.TOO_FEW_FRAMES, [True, False])
            self.assertTrue(np.isnan(fit.ktrans_per_min[0]) and np.isnan(fit.standard_error("vp")[0]))
            fit = Patlak(times_s, plasma).fit(data[1:], early.astype(float))
            tiny = Patlak(times_s, 1e-100 * plasma).fit(1e-100 * data[1:])
        self.assertEqual(fit.status[0], FitStatus.TOO_FEW_FRAMES)
        self.assertEqual(tiny.status[0], FitStatus.AT_BOUND)

    def test_no_warning_of_numpy_for_any_data(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(6, 71)
        curves = add_noise(ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve), 20, 72)
        rows = [*curves, -curves[0], 0 * curves[0], np.ones(50), 1e-30 * curves[0], 1e30 * curves[0], plasma]
        data = np.array(rows + [curves[0]] * 5)
        for row, value in zip((-5, -4, -3), (np.nan, np.inf, -np.inf), strict=True):
            data[row, 20] = value
        data[-2] = np.inf
        data[-1] = np.nan
        for model in MODELS:
            for kind in (np.float64, np.float32):
                with self.subTest(model=model.__name__, kind=kind.__name__), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    fit = model(times_s, plasma).fit(data.astype(kind))
                    for _ in (fit.rmse_mM, fit.r_squared, fit.aicc, fit.predict(), fit.correlation()):
                        pass
                    for name in (*model.free, *model.derived):
                        fit.standard_error(name)
                        fit.confidence_interval(name)
                    self.assertTrue(np.isin(fit.status[:6], (FitStatus.FITTED, FitStatus.AT_BOUND)).all())
                    known = np.isin(fit.status, (FitStatus.FITTED, FitStatus.AT_BOUND))
                    for name in model.free:
                        np.testing.assert_array_equal(np.isfinite(getattr(fit, name)), known)

    def test_uptake_without_washout(self):
        """A curve that rises ever faster has a positive Ktrans and a negative kep in Murase's equations."""
        times_s, plasma = clinical_times()
        curve = 0.2 * convolved(times_s, plasma, -0.1)
        fit = LinearTofts(times_s, plasma).fit(curve)
        integrals = [areas(times_s, plasma)[0], -areas(times_s, curve[0])[0]]
        ktrans, kep = np.linalg.lstsq(np.stack(integrals, axis=1), curve[0])[0]
        self.assertTrue(ktrans > 0.1 and kep < -0.05)
        self.assertEqual(fit.status[0], FitStatus.NO_WASHOUT)
        self.assertTrue(np.isnan(fit.ktrans_per_min[0]) and np.isnan(fit.kep_per_min[0]))
        self.assertEqual(len({status.meaning for status in FitStatus}), len(FitStatus))

    def test_negative_concentrations_are_no_enhancement(self):
        times_s, plasma = clinical_times()
        for model in MODELS:
            with self.subTest(model=model.__name__):
                fit = model(times_s, plasma).fit(np.array([-plasma, 0 * plasma]))
                np.testing.assert_array_equal(fit.status, FitStatus.NO_ENHANCEMENT)


class Interface(unittest.TestCase):
    def test_names(self):
        times_s, plasma = clinical_times()
        ktrans, ve = kinetics(30, 81)
        data = add_noise(ktrans[:, np.newaxis] * convolved(times_s, plasma, ktrans / ve), 20, 82)
        fit = Tofts(times_s, plasma).fit(data)
        for values in (
            fit.ktrans_per_min, fit.kep_per_min, fit.ve, fit.status, fit.rmse_mM, fit.r_squared,
            fit.standard_error("ktrans_per_min"), fit.standard_error("kep_per_min"), fit.standard_error("ve"),
        ):  # fmt: skip
            self.assertEqual(values.shape, (30,))
            self.assertTrue(np.isfinite(values).all())
        self.assertEqual(fit.predict().shape, (30, 50))
        squares = np.square(fit.predict() - data).sum(axis=1)
        spread = np.square(data - data.mean(axis=1, keepdims=True)).sum(axis=1)
        np.testing.assert_allclose(fit.rmse_mM, np.sqrt(squares / 50), rtol=1e-9)
        np.testing.assert_allclose(fit.r_squared, 1 - squares / spread, rtol=1e-9)
        # three free numbers with the noise: 2 k + 2 k (k + 1) / (n - k - 1) = 6 + 24 / 46
        np.testing.assert_allclose(fit.aicc, 50 * np.log(squares / 50) + 6 + 24 / 46, rtol=1e-9)
        curve = fit.ktrans_per_min[:, np.newaxis] * convolved(times_s, plasma, fit.kep_per_min)
        np.testing.assert_allclose(fit.predict(), curve, atol=1e-9)
        with self.assertRaises(AttributeError) as caught:
            fit.vp  # noqa: B018
        self.assertEqual(str(caught.exception), "a fit of Tofts has no 'vp'; it has ktrans_per_min, kep_per_min, ve")

    def test_a_name_that_no_parameter_has(self):
        times_s, plasma = clinical_times()
        for model in (*MODELS, TwoCompartmentExchange):
            fit = model(times_s, plasma).fit(0.4 * convolved(times_s, plasma, 1.3))
            values = {name: getattr(fit, name) for name in model.free}
            known = f"derived are {', '.join(model.derived)}" if model.derived else "none is derived"
            message = f"no derived parameter is called 'nonsense'; {known}, and {', '.join(model.free)} are free"
            with self.subTest(model=model.__name__):
                for asked in (
                    lambda fit=fit: fit.standard_error("nonsense"),
                    lambda fit=fit, values=values: fit.model.derived_gradient("nonsense", values),
                ):
                    with self.assertRaises(ValueError) as caught:
                        asked()
                    self.assertEqual(str(caught.exception), message)

    def test_lists_integers_and_single_precision(self):
        times_s, plasma = clinical_times()
        curve = 0.4 * convolved(times_s, plasma, 1.3)
        fit = Tofts(list(times_s), list(plasma)).fit(curve[0].tolist())
        np.testing.assert_allclose(fit.ktrans_per_min, 0.4, rtol=1e-4)
        whole = Tofts(times_s.astype(int), 1000 * plasma).fit(np.rint(1000 * curve).astype(np.int16))
        np.testing.assert_allclose(whole.ktrans_per_min, 0.4, rtol=0.005)
        single = Tofts(times_s, plasma).fit(curve.astype(np.float32))
        np.testing.assert_allclose(single.ktrans_per_min, 0.4, rtol=1e-4)

    def test_memory(self):
        times_s, plasma = clinical_times()
        curve = 0.4 * convolved(times_s, plasma, 1.3)
        data = (curve + np.zeros((200000, 1))).astype(np.float32)
        model = Tofts(times_s, plasma)
        tracemalloc.start()
        try:
            fit = model.fit(data)
            self.assertEqual((fit.rmse_mM < 0.1).sum(), 200000)
            grown = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLessEqual(data.nbytes + grown, 1.5 * data.nbytes + 100e6)


if __name__ == "__main__":
    unittest.main()
