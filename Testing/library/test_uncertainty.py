"""Standard errors, intervals, correlation and the bootstrap against Monte-Carlo realizations of the noise."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics.aif import parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.linear import Patlak
from DCEPerfusionBMDLib.kinetics.reference import ReferenceRegion
from DCEPerfusionBMDLib.kinetics.refine import residual_bootstrap
from DCEPerfusionBMDLib.kinetics.status import FitStatus
from DCEPerfusionBMDLib.kinetics.tofts import ExtendedTofts, Tofts
from support import against, measured

CLASSES = {"normal": (0.961, 3.150), "osteopenia": (0.563, 3.023), "osteoporosis": (0.326, 2.344)}
REALIZATIONS = 6000


def plasma_at(times_s):
    return plasma_from_blood(parker_blood_concentration((np.asarray(times_s) - 30.0) / 60.0), 0.42)


def convolved(times_s, plasma, kep):
    """Convolution with exp(-kep t) in mM min, one straight piece after another."""
    h = np.zeros(len(times_s))
    for i, dt in enumerate(np.diff(times_s) / 60.0):
        gain = -np.expm1(-kep * dt) / kep
        slope = (plasma[i + 1] - plasma[i]) / dt
        h[i + 1] = np.exp(-kep * dt) * h[i] + plasma[i] * gain + slope * (dt - gain) / kep
    return h


def realizations(curve, snr=20.0, seed=1, count=REALIZATIONS):
    return curve + curve.max() / snr * np.random.default_rng(seed).standard_normal((count, curve.size))


def protocol(step_s=3.0, duration_s=300.0):
    times_s = np.arange(0.0, duration_s, step_s)
    return times_s, plasma_at(times_s)


class MonteCarlo(unittest.TestCase):
    def check(self, fit, true):
        """Standard errors against the spread, and the share of intervals that hold the truth."""
        inside = fit.status == FitStatus.FITTED
        self.assertGreater(inside.mean(), 0.999)
        for name, value in true.items():
            with self.subTest(name=name):
                estimates = getattr(fit, name)[inside]
                ratio = np.median(fit.standard_error(name)[inside]) / estimates.std(ddof=1)
                measured(self, "standard error against spread", 100.0 * (ratio - 1.0), 10.0, "%")
                low, high = fit.confidence_interval(name)
                share = np.mean(((low <= value) & (value <= high))[inside])
                measured(self, "coverage of 95 % intervals, away from 95 %", 100.0 * (share - 0.95), 2.0, "points")

    def check_correlation(self, fit):
        inside = fit.status == FitStatus.FITTED
        names = fit.model.free
        found = np.median(fit.correlation()[inside], axis=0)
        spread = np.corrcoef([getattr(fit, name)[inside] for name in names])
        np.testing.assert_allclose(found, spread, atol=0.05)
        np.testing.assert_allclose(np.diagonal(found), 1.0, atol=1e-12)


class Tofts3s(MonteCarlo):
    @against("Uncertainty", "tissues of Table 3, 6000 noises each, SNR 20, 3 s", "monte carlo", "Tofts.fit")
    def test_three_classes_on_exactly_sampled_data(self):
        times_s, plasma = protocol()
        for number, (name, (ktrans, kep)) in enumerate(CLASSES.items()):
            with self.subTest(name=name):
                data = realizations(ktrans * convolved(times_s, plasma, kep), seed=number)
                fit = Tofts(times_s, plasma).fit(data)
                self.check(fit, {"ktrans_per_min": ktrans, "kep_per_min": kep, "ve": ktrans / kep})
                self.check_correlation(fit)

    def test_frames_of_6_s_lower_the_coverage_by_their_sampling_bias(self):
        times_s, plasma = protocol(6.0)
        fine_s = np.linspace(0.0, times_s[-1], (times_s.size - 1) * 60 + 1)
        fine = plasma_at(fine_s)
        report, continuous, exact = [], [], []
        for number, (name, (ktrans, kep)) in enumerate(CLASSES.items()):
            for curve, shares in (
                (ktrans * convolved(fine_s, fine, kep)[::60], continuous),
                (ktrans * convolved(times_s, plasma, kep), exact),
            ):
                fit = Tofts(times_s, plasma).fit(realizations(curve, seed=10 + number))
                low, high = fit.confidence_interval("ktrans_per_min")
                shares.append(np.mean((low <= ktrans) & (ktrans <= high)))
            report.append(f"{name} {continuous[-1]:.3f} of continuous, {exact[-1]:.3f} of exactly sampled curves")
        text = "; ".join(report)
        self.assertTrue(all(0.93 <= share <= 0.97 for share in exact), text)
        self.assertTrue(all(0.85 <= share <= 0.95 for share in continuous), text)
        self.assertLess(np.mean(continuous), np.mean(exact) - 0.005, text)

    def test_weights_and_missing_frames(self):
        times_s, plasma = protocol()
        ktrans, kep = CLASSES["osteopenia"]
        curve = ktrans * convolved(times_s, plasma, kep)
        random = np.random.default_rng(20)
        sd = curve.max() / 20 * random.uniform(0.5, 2.0, curve.size)
        data = curve + sd * random.standard_normal((REALIZATIONS, curve.size))
        data[:, [5, 30, 31, 60]] = np.nan
        fit = Tofts(times_s, plasma).fit(data, 1.0 / np.square(sd))
        self.check(fit, {"ktrans_per_min": ktrans, "kep_per_min": kep, "ve": ktrans / kep})


class OtherModels(MonteCarlo):
    @against("Uncertainty", "6000 noises, SNR 40", "monte carlo", "ExtendedTofts.fit")
    def test_extended_tofts(self):
        times_s, plasma = protocol()
        ktrans, kep, vp = 0.3, 1.2, 0.08
        data = realizations(ktrans * convolved(times_s, plasma, kep) + vp * plasma, snr=40.0, seed=31)
        fit = ExtendedTofts(times_s, plasma).fit(data)
        self.check(fit, {"ktrans_per_min": ktrans, "kep_per_min": kep, "vp": vp, "ve": ktrans / kep})
        self.check_correlation(fit)

    def test_patlak(self):
        times_s, plasma = protocol()
        ktrans, vp = 0.08, 0.06
        area = np.concatenate(([0.0], np.cumsum(0.5 * (plasma[1:] + plasma[:-1]) * np.diff(times_s) / 60.0)))
        fit = Patlak(times_s, plasma).fit(realizations(ktrans * area + vp * plasma, seed=32))
        self.check(fit, {"ktrans_per_min": ktrans, "vp": vp})
        self.check_correlation(fit)

    def test_reference_region(self):
        times_s, plasma = protocol()
        reference = 0.1 * convolved(times_s, plasma, 0.8)
        ratio, kep, reference_kep = 3.0, 2.4, 0.8
        curve = ratio * (reference + (reference_kep - kep) * convolved(times_s, reference, kep))
        model = ReferenceRegion(times_s, reference, reference_ktrans_per_min=0.1)
        fit = model.fit(realizations(curve, snr=40.0, seed=33))
        true = {"relative_ktrans": ratio, "kep_per_min": kep, "reference_kep_per_min": reference_kep}
        self.check(fit, {**true, "ktrans_per_min": 0.1 * ratio, "ve": 0.1 * ratio / kep})
        self.check_correlation(fit)


class Bootstrap(unittest.TestCase):
    @against("Uncertainty", "bootstrap of 12 curves against 6000 noises", "monte carlo", "residual_bootstrap")
    def test_spread_is_that_of_monte_carlo_and_of_the_jacobian(self):
        times_s, plasma = protocol()
        ktrans, kep = CLASSES["osteopenia"]
        curve = ktrans * convolved(times_s, plasma, kep)
        model = Tofts(times_s, plasma)
        monte_carlo = model.fit(realizations(curve, snr=60.0, seed=41))
        spreads = []
        for curve_of_roi in realizations(curve, snr=60.0, seed=42, count=12):
            fit = model.fit(curve_of_roi)
            estimates = residual_bootstrap(fit, 1000, seed=43)
            spreads.append([estimates[name].std(ddof=1) for name in (*model.free, "ve")])
            for name, spread in zip((*model.free, "ve"), spreads[-1], strict=True):
                self.assertLess(abs(spread / fit.standard_error(name)[0] - 1.0), 0.15)
                self.assertLess(abs(estimates[name].mean() - getattr(fit, name)[0]), 0.2 * spread)
        for name, spread in zip((*model.free, "ve"), np.median(spreads, axis=0), strict=True):
            ratio = spread / getattr(monte_carlo, name).std(ddof=1)
            measured(self, "spread, median of the curves", 100.0 * (ratio - 1.0), 15.0, "%")


if __name__ == "__main__":
    unittest.main()
