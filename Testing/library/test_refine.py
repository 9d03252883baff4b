"""Delay between artery and tissue, choice of the model, and the bootstrap, on planted truth."""

import unittest
import warnings

import numpy as np
from DCEPerfusionBMDLib.kinetics.aif import parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.linear import Patlak
from DCEPerfusionBMDLib.kinetics.refine import best_by_aicc, fit_delay, residual_bootstrap
from DCEPerfusionBMDLib.kinetics.tofts import ExtendedTofts, Tofts
from support import against, measured


def protocol(step_s=2.0, duration_s=240.0):
    times_s = np.arange(0.0, duration_s, step_s)
    return times_s, plasma_from_blood(parker_blood_concentration((times_s - 30.0) / 60.0), 0.42)


def delayed_curve(times_s, plasma, delay_s, ktrans, kep, vp=0.0, step_s=0.002):
    """The model by a sum over a dense grid: the plasma curve is straight between its samples and shifted."""
    fine_s = np.arange(0.0, times_s[-1] + step_s, step_s)
    arterial = np.interp(fine_s - delay_s, times_s, plasma, left=0.0)
    decay = np.exp(-kep * fine_s / 60.0)
    area = np.zeros(fine_s.size)
    integrand = arterial / decay
    area[1:] = np.cumsum(0.5 * (integrand[1:] + integrand[:-1])) * step_s / 60.0
    return np.interp(times_s, fine_s, ktrans * area * decay + vp * arterial)


class ForwardModel(unittest.TestCase):
    def test_delay_against_a_dense_sum(self):
        times_s, plasma = protocol(5.0)
        uneven_s = np.cumsum(np.tile([2.0, 5.0, 3.3], 20)) - 2.0
        uneven = plasma_from_blood(parker_blood_concentration((uneven_s - 30.0) / 60.0), 0.42)
        for times, curve in ((times_s, plasma), (uneven_s, uneven)):
            for delay in (0.0, 0.3, 2.5, 5.0, 11.7, -1.4):
                with self.subTest(delay=delay, frames=times.size):
                    expected = delayed_curve(times, curve, delay, 0.6, 2.0, 0.05)
                    model = ExtendedTofts(times, curve).with_delay(delay)
                    found = model.concentration(ktrans_per_min=0.6, kep_per_min=2.0, vp=0.05)[0]
                    np.testing.assert_allclose(found, expected, atol=2e-6)
                    patlak = Patlak(times, curve, delay_s=delay).concentration(ktrans_per_min=0.3, vp=0.1)[0]
                    expected = delayed_curve(times, curve, delay, 0.3, 1e-9, 0.1)
                    np.testing.assert_allclose(patlak, expected, atol=2e-6)

    def test_jacobian_with_delay_against_differences(self):
        times_s, plasma = protocol(5.0)
        model = ExtendedTofts(times_s, plasma, delay_s=3.3)
        values = {"ktrans_per_min": 0.6, "kep_per_min": 2.0, "vp": 0.05}
        jacobian = model.jacobian(**values)[0]
        for n, name in enumerate(model.free):
            above, below = (model.concentration(**{**values, name: values[name] + d})[0] for d in (1e-5, -1e-5))
            np.testing.assert_allclose(jacobian[:, n], (above - below) / 2e-5, atol=1e-7)

    def test_a_delayed_model_keeps_its_bounds_and_leaves_the_first_alone(self):
        times_s, plasma = protocol()
        model = ExtendedTofts(times_s, plasma, (0.1, 0.2), (0.1, 0.5), (0.0, 0.01))
        curve = delayed_curve(times_s, plasma, 3.0, 0.6, 2.0, 0.1)
        before = model.fit(curve).ktrans_per_min
        fit = model.with_delay(3.0).fit(curve)
        self.assertLessEqual(fit.ktrans_per_min[0], 0.2 * (1 + 1e-9))
        self.assertLessEqual(fit.vp[0], 0.01)
        self.assertEqual(model.delay_s, 0.0)
        np.testing.assert_array_equal(model.fit(curve).ktrans_per_min, before)


class Delay(unittest.TestCase):
    def setUp(self):
        self.times_s, self.plasma = protocol()

    def curves(self, delays, vp=0.0):
        return np.array([delayed_curve(self.times_s, self.plasma, delay, 0.3, 1.5, vp) for delay in delays])

    @against("Kinetic models", "delays of -2.46 to 14.2 s at frames of 2 s", "planted", "fit_delay")
    def test_planted_fractional_delays(self):
        delays = np.array([-2.46, -0.31, 0.0, 0.37, 1.0, 2.71, 7.13, 14.2])
        for model, vp in ((Tofts, 0.0), (ExtendedTofts, 0.05)):
            with self.subTest(model=model.__name__):
                found, fit = fit_delay(model(self.times_s, self.plasma), self.curves(delays, vp))
                measured(self, "delay", found - delays, 0.02, "s")
                measured(self, "Ktrans", 100.0 * (fit.ktrans_per_min / 0.3 - 1.0), 0.3, "%")
                np.testing.assert_allclose(fit.ve, 0.2, rtol=0.003)
                np.testing.assert_allclose(fit.predict(), self.curves(delays, vp), atol=0.003)
                np.testing.assert_array_equal(fit.delay_s, found)

    def test_unbiased_with_noise(self):
        curve = self.curves([3.37])[0]
        noise = curve.max() / 30 * np.random.default_rng(1).standard_normal((60, curve.size))
        found, fit = fit_delay(Tofts(self.times_s, self.plasma), curve + noise)
        error_of_mean = found.std(ddof=1) / np.sqrt(60)
        self.assertLess(abs(found.mean() - 3.37), 3 * error_of_mean)
        self.assertLess(found.std(ddof=1), 0.5)
        self.assertLess(abs(fit.ktrans_per_min.mean() - 0.3), 0.01)

    def test_no_other_delay_has_a_smaller_sum_of_squares(self):
        curves = self.curves([0.8, 3.37, 6.1])
        data = curves + curves.max() / 20 * np.random.default_rng(2).standard_normal(curves.shape)
        model = Tofts(self.times_s, self.plasma)
        _, fit = fit_delay(model, data)
        squares = np.square(fit.predict() - data).sum(axis=1)
        for delay in np.arange(-3.0, 15.0, 0.13):
            other = np.square(model.with_delay(delay).fit(data).predict() - data).sum(axis=1)
            self.assertTrue((squares <= other * (1 + 1e-4)).all(), delay)

    def test_one_delay_for_all(self):
        curves = self.curves([4.63] * 80)
        data = curves + curves.max() / 20 * np.random.default_rng(3).standard_normal(curves.shape)
        data[5] = np.nan
        found, fit = fit_delay(Tofts(self.times_s, self.plasma), data, together=True)
        self.assertEqual(np.unique(found).size, 1)
        self.assertLess(abs(found[0] - 4.63), 0.1)
        separate, _ = fit_delay(Tofts(self.times_s, self.plasma), data[6:20])
        self.assertGreater(separate.std(), 0.05)
        self.assertTrue(np.isnan(fit.ktrans_per_min[5]))

    def test_a_voxel_without_concentration_does_not_move_the_delay_of_the_others(self):
        for value in (np.nan, np.inf):
            with self.subTest(value=value), warnings.catch_warnings():
                warnings.simplefilter("error")
                data = self.curves([4.63] * 5)
                data[2] = value
                found, _ = fit_delay(Tofts(self.times_s, self.plasma), data, together=True)
                np.testing.assert_allclose(found, 4.63, atol=0.02)

    def test_missing_frames(self):
        data = self.curves([4.63, 2.2])
        data[0, [20, 30, 31]] = np.nan
        found, fit = fit_delay(Tofts(self.times_s, self.plasma), data)
        np.testing.assert_allclose(found, [4.63, 2.2], atol=0.02)
        np.testing.assert_allclose(fit.ktrans_per_min, 0.3, rtol=0.003)

    def test_bounds(self):
        data = self.curves([9.0, -2.0, 2.0])
        found, _ = fit_delay(Tofts(self.times_s, self.plasma), data, bounds_s=(0.5, 5.0))
        np.testing.assert_allclose(found, [5.0, 0.5, 2.0], atol=0.02)
        self.assertTrue(((found >= 0.5) & (found <= 5.0)).all())

    def test_standard_errors_are_those_at_the_delay(self):
        curves = self.curves([8.0, 3.0])
        data = curves + curves.max() / 20 * np.random.default_rng(4).standard_normal(curves.shape)
        model = Tofts(self.times_s, self.plasma)
        delays, fit = fit_delay(model, data)
        for n, delay in enumerate(delays):
            at_delay = model.with_delay(delay).fit(data[n])
            for name in ("ktrans_per_min", "ve"):
                self.assertAlmostEqual(fit.standard_error(name)[n] / at_delay.standard_error(name)[0], 1.0, delta=0.02)

    def test_bootstrap_of_a_delayed_curve_scatters_about_it(self):
        curve = self.curves([6.0])
        data = curve + curve.max() / 40 * np.random.default_rng(5).standard_normal(curve.shape)
        _, fit = fit_delay(Tofts(self.times_s, self.plasma), data)
        estimates = residual_bootstrap(fit, 200)["ktrans_per_min"]
        self.assertLess(abs(estimates.mean() - fit.ktrans_per_min[0]), estimates.std())


class Choice(unittest.TestCase):
    def choose(self, vp):
        times_s, plasma = protocol(3.0)
        curve = delayed_curve(times_s, plasma, 0.0, 0.3, 1.5, vp)
        noise = curve.max() / 20 * np.random.default_rng(11).standard_normal((1000, curve.size))
        return best_by_aicc([model(times_s, plasma).fit(curve + noise) for model in (Tofts, ExtendedTofts)])

    def test_tofts_curves_are_tofts(self):
        # a parameter without use lowers the criterion only when its chi-square exceeds about 2: in 8 % above zero
        self.assertGreater(np.mean(self.choose(0.0) == 0), 0.88)

    def test_curves_with_plasma_are_extended_tofts(self):
        self.assertGreater(np.mean(self.choose(0.1) == 1), 0.99)

    def test_no_estimate_no_choice(self):
        times_s, plasma = protocol()
        data = np.array([-plasma, np.full(plasma.size, np.nan)])
        chosen = best_by_aicc([model(times_s, plasma).fit(data) for model in (Tofts, ExtendedTofts)])
        np.testing.assert_array_equal(chosen, -1)


class Bootstrap(unittest.TestCase):
    def setUp(self):
        times_s, plasma = protocol(3.0)
        self.model = Tofts(times_s, plasma)
        curve = delayed_curve(times_s, plasma, 0.0, 0.3, 1.5)
        self.data = curve + curve.max() / 40 * np.random.default_rng(21).standard_normal(curve.size)

    def test_seed(self):
        fit = self.model.fit(self.data)
        first, again, other = (residual_bootstrap(fit, 50, seed)["ktrans_per_min"] for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        self.assertFalse(np.array_equal(first, other))
        self.assertEqual(first.shape, (50,))

    def test_missing_frames_stay_missing(self):
        holes = self.data.copy()
        holes[[12, 20, 40]] = np.nan
        estimates = residual_bootstrap(self.model.fit(holes), 400)["ktrans_per_min"]
        self.assertTrue(np.isfinite(estimates).all())
        error = self.model.fit(holes).standard_error("ktrans_per_min")[0]
        self.assertLess(abs(estimates.std() / error - 1.0), 0.2)

    def test_refusals(self):
        for fit, message in (
            (
                self.model.fit(np.array([self.data] * 2)),
                "the bootstrap takes the unweighted fit of one curve, not of 2",
            ),
            (
                self.model.fit(-self.data),
                "the curve has no estimate to resample about",
            ),
        ):
            with self.subTest(message=message), self.assertRaises(ValueError) as caught:
                residual_bootstrap(fit)
            self.assertEqual(str(caught.exception), message)
        with self.assertRaisesRegex(ValueError, "unweighted"):
            residual_bootstrap(self.model.fit(self.data, np.ones(self.data.size)))


class Counting(unittest.TestCase):
    def test_a_fitted_delay_counts_as_a_parameter(self):
        """Hurvich and Tsai's formula written out; without a delay to find, the fit with one is rarely preferred."""
        times_s = np.arange(60) * 5.0
        model = Tofts(times_s, plasma_from_blood(parker_blood_concentration((times_s - 30.0) / 60.0), 0.42))
        clean = model.concentration(ktrans_per_min=0.3, kep_per_min=1.5)
        data = clean + 0.02 * np.random.default_rng(3).standard_normal((200, 60))
        plain, delayed = model.fit(data), fit_delay(model, data, (-3.0, 12.0))[1]
        squares = np.square(delayed.predict() - data).sum(axis=1)
        expected = 60 * np.log(squares / 60) + 2 * 4 + 2 * 4 * 5 / (60 - 4 - 1)
        np.testing.assert_allclose(delayed.aicc, expected, rtol=1e-9)
        self.assertLess(np.mean(best_by_aicc([plain, delayed])), 0.3)


if __name__ == "__main__":
    unittest.main()
