"""The Tofts model against closed forms and an independent solver."""

import itertools
import unittest

import numpy as np
from DCEPerfusionBMDLib.errors import Cancelled
from DCEPerfusionBMDLib.kinetics import (
    FitStatus,
    Tofts,
    parker_blood_concentration,
    plasma_from_blood,
    tofts_concentration,
)
from DCEPerfusionBMDLib.kinetics.response import response
from scipy import integrate, optimize
from support import against, measured

WEINMANN = ((3.99, 0.144), (4.78, 0.0111))  # kg/L, 1/min; dose 0.1 mmol/kg


def weinmann_plasma(times_min):
    return 0.1 * sum(a * np.exp(-m * times_min) for a, m in WEINMANN)


def weinmann_tofts(times_min, ktrans, kep):
    """Closed form of the convolution of the Weinmann curve (Tofts and Kermode 1991)."""
    return 0.1 * ktrans * sum(a * (np.exp(-m * times_min) - np.exp(-kep * times_min)) / (kep - m) for a, m in WEINMANN)


def clinical_input(step_s=6.0, count=50):
    times_s = np.arange(count) * step_s
    return times_s, plasma_from_blood(parker_blood_concentration((times_s - 30.0) / 60.0), 0.42)


class ForwardModel(unittest.TestCase):
    @against("Kinetic models", "biexponential input, 3 tissues, 50 ms apart", "weinmann", "tofts_concentration")
    def test_weinmann_closed_form(self):
        times_s = np.linspace(0.0, 600.0, 12001)
        checks_min = np.array([0.5, 1.0, 2.0, 5.0, 10.0])
        for ktrans, ve, expected in (
            (0.25, 0.5, (0.09522836, 0.16614709, 0.25614248, 0.32455286, 0.28159801)),
            (0.961, 0.306, (0.20790127, 0.24408097, 0.23899035, 0.2011475, 0.16168279)),
            (0.326, 0.138, (0.08213325, 0.1045494, 0.1076751, 0.09123776, 0.073205)),
        ):
            with self.subTest(ktrans=ktrans, ve=ve):
                np.testing.assert_allclose(weinmann_tofts(checks_min, ktrans, ktrans / ve), expected, atol=6e-9)
                found = tofts_concentration(times_s, weinmann_plasma(times_s / 60.0), ktrans, ktrans / ve)
                error = np.abs(found - weinmann_tofts(times_s / 60.0, ktrans, ktrans / ve)).max()
                measured(self, "tissue concentration", error, 1e-6, "mM")

    @against(
        "Kinetic models", "convolution integral by quadrature, kep 1e-6 to 900 /min", "scipy", "tofts_concentration"
    )
    def test_exact_for_a_piecewise_linear_curve_at_uneven_times(self):
        times_s = np.array([0.0, 2.0, 7.0, 8.5, 20.0, 21.0, 60.0, 110.0])
        plasma = np.array([0.0, 0.3, 6.0, 4.0, 2.0, 2.5, 1.0, 0.4])
        for kep in (1e-6, 0.02, 0.5, 3.0, 35.0, 900.0):
            found = tofts_concentration(times_s, plasma, 0.7, kep)
            for end in range(1, times_s.size):
                with self.subTest(kep=kep, end=end):
                    expected = self.by_quadrature(times_s[: end + 1] / 60.0, plasma[: end + 1], 0.7, kep)
                    error = (found[end] - expected) / max(1.0, expected)
                    measured(self, "tissue concentration", error, 1e-9, "mM")

    @staticmethod
    def by_quadrature(times_min, plasma, ktrans, kep):
        """The convolution integral up to the last time, interval by interval; what has decayed to e^-40 is left out."""

        def integrand(u):
            return ktrans * np.interp(u, times_min, plasma) * np.exp(-kep * (times_min[-1] - u))

        since = times_min[-1] - 40.0 / kep
        return sum(
            integrate.quad(integrand, max(start, since), stop, epsabs=1e-13, epsrel=1e-11)[0]
            for start, stop in itertools.pairwise(times_min)
            if stop > since
        )

    def test_times_that_are_none(self):
        for times, plasma, words in (
            ([0.0, 60.0, 60.0], [0.0, 1.0, 1.0], r"times must increase: frame 3 \({} {}\) does not come after frame 2"),
            ([0.0, 120.0, 60.0], [0.0, 1.0, 1.0], "times must increase: frame 3"),
            ([0.0, np.nan, 60.0], [0.0, 1.0, 1.0], "times must be finite numbers"),
            ([0.0, 60.0, np.inf], [0.0, 1.0, 1.0], "times must be finite numbers"),
            ([0.0, 60.0], [0.0, 1.0, 1.0], r"times \(2,\) and plasma curve \(3,\) must be two lists"),
            ([[0.0, 60.0]], [[0.0, 1.0]], r"times \(1, 2\) and plasma curve \(1, 2\) must be two lists"),
            ([0.0], [1.0], "1 sample is no curve; at least 2 are needed"),
            ([], [], "0 samples are no curve; at least 2 are needed"),
        ):
            with self.subTest(words=words):
                with self.assertRaisesRegex(ValueError, words.format(60, "s")):
                    tofts_concentration(times, plasma, 0.2, 1.0)
                with self.assertRaisesRegex(ValueError, words.format(1, "min")):
                    response(np.array(times) / 60.0, plasma, 1.0)

    def test_many_voxels_at_once(self):
        times_s, plasma = clinical_input()
        ktrans, kep = np.array([0.1, 0.5]), np.array([0.4, 3.0])
        together = tofts_concentration(times_s, plasma, ktrans, kep)
        for n in range(2):
            np.testing.assert_array_equal(together[n], tofts_concentration(times_s, plasma, ktrans[n], kep[n]))


class Fit(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(11)
        self.times_s, self.plasma = clinical_input()
        self.ktrans = np.exp(random.uniform(np.log(0.05), np.log(1.2), 400))
        self.ve = random.uniform(0.05, 0.6, 400)
        self.clean = tofts_concentration(self.times_s, self.plasma, self.ktrans, self.ktrans / self.ve)
        sd = self.clean.max(axis=1, keepdims=True) / 20
        self.noisy = self.clean + sd * random.standard_normal(self.clean.shape)

    def test_recovers_parameters_of_exact_data(self):
        fit = Tofts(self.times_s, self.plasma).fit(self.clean)
        np.testing.assert_array_equal(fit.status, FitStatus.FITTED)
        np.testing.assert_allclose(fit.ktrans_per_min, self.ktrans, rtol=1e-4)
        np.testing.assert_allclose(fit.ve, self.ve, rtol=1e-4)
        np.testing.assert_allclose(fit.kep_per_min * fit.ve, fit.ktrans_per_min, rtol=1e-12)
        np.testing.assert_allclose(fit.predict(), self.clean, atol=1e-4)
        self.assertGreater(fit.r_squared.min(), 1 - 1e-9)

    def test_no_solver_finds_a_smaller_residual(self):
        fit = Tofts(self.times_s, self.plasma).fit(self.noisy)
        squares = np.square(fit.predict() - self.noisy).sum(axis=1)
        np.testing.assert_allclose(fit.rmse_mM, np.sqrt(squares / self.times_s.size), rtol=1e-6)
        for n in range(0, 400, 10):
            best = min(self._reference(n, start) for start in (0.3, 1.0, 3.0))
            self.assertLessEqual(squares[n], best * (1 + 1e-6))

    def _reference(self, n, kep_start, low=(1e-4, 1e-3), high=(5.0, 1.0)):
        def residual(p):
            return tofts_concentration(self.times_s, self.plasma, p[0], p[0] / p[1]) - self.noisy[n]

        start = np.clip([0.3, 0.3 / kep_start], np.array(low) * 1.01, np.array(high) * 0.99)
        found = optimize.least_squares(residual, start, bounds=(low, high), xtol=1e-14, ftol=1e-14, gtol=1e-14)
        return 2 * found.cost

    def test_minimum_on_a_bound_is_reported_and_is_the_minimum_within_the_box(self):
        low, high = (0.2, 0.1), (0.6, 0.3)
        fit = Tofts(self.times_s, self.plasma, (low[0], high[0]), (low[1], high[1])).fit(self.noisy)
        bound = np.flatnonzero(fit.status == FitStatus.AT_BOUND)
        self.assertGreater(bound.size, 50)
        inside = (fit.ktrans_per_min >= low[0] * (1 - 1e-9)) & (fit.ktrans_per_min <= high[0] * (1 + 1e-9))
        self.assertTrue((inside & (fit.ve >= low[1] * (1 - 1e-9)) & (fit.ve <= high[1] * (1 + 1e-9))).all())
        squares = np.square(fit.predict() - self.noisy).sum(axis=1)
        for n in bound[::10]:
            best = min(self._reference(n, start, low, high) for start in (0.5, 1.5, 4.0))
            self.assertLessEqual(squares[n], best * (1 + 1e-5))

    def test_falling_curve_is_not_fitted(self):
        fit = Tofts(self.times_s, self.plasma).fit(-self.clean[:3])
        np.testing.assert_array_equal(fit.status, FitStatus.NO_ENHANCEMENT)
        self.assertTrue(np.isnan(fit.ktrans_per_min).all())
        self.assertTrue(np.isnan(fit.predict()).all())

    def test_a_voxel_that_is_not_finite_changes_no_neighbor(self):
        broken = self.noisy.copy()
        broken[5, 7] = np.nan
        model = Tofts(self.times_s, self.plasma)
        fit, whole = model.fit(broken), model.fit(self.noisy)
        self.assertEqual(fit.status[5], FitStatus.FITTED)  # the other frames are fitted
        others = np.arange(400) != 5
        np.testing.assert_allclose(fit.ktrans_per_min[others], whole.ktrans_per_min[others], rtol=1e-9)

    def test_one_curve_and_no_curve(self):
        model = Tofts(self.times_s, self.plasma)
        self.assertEqual(model.fit(self.clean[0]).ktrans_per_min.shape, (1,))
        self.assertEqual(model.fit(np.empty((0, 50))).ktrans_per_min.shape, (0,))

    def test_cancel(self):
        with self.assertRaises(Cancelled):
            Tofts(self.times_s, self.plasma).fit(self.clean, progress=lambda fraction: False)


class Refusals(unittest.TestCase):
    def test_messages(self):
        times_s, plasma = clinical_input()
        swapped = times_s.copy()
        swapped[[3, 4]] = swapped[[4, 3]]
        for arguments, words in (
            ((times_s[:-1], plasma), "same length"),
            ((times_s[:2], plasma[:2]), "2 frames are too few to fit 2 parameters; at least 3 are needed"),
            ((swapped, plasma), r"frame 5 \(18 s\) does not come after frame 4 \(24 s\)"),
            ((times_s, np.where(times_s == 60.0, np.nan, plasma)), "finite in every frame"),
            ((times_s, 0 * plasma), "no positive sample"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(ValueError, words):
                Tofts(*arguments)
        with self.assertRaisesRegex(ValueError, r"\(2, 49\) must be \(voxels, 50 times\)"):
            Tofts(times_s, plasma).fit(np.zeros((2, 49)))


if __name__ == "__main__":
    unittest.main()
