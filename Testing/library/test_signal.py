"""Spoiled gradient echo: forward values and exact inversion, with B1, r2* and fat."""

import csv
import inspect
import unittest
import warnings

import numpy as np
import support
from DCEPerfusionBMDLib.kinetics import (
    Tofts,
    concentration_from_signal,
    parker_blood_concentration,
    plasma_from_blood,
    spgr_signal,
    tofts_concentration,
)
from DCEPerfusionBMDLib.kinetics.signal import (
    arterial_peak_errors,
    concentration_from_signal_with_fat,
    concentration_linear,
    opposed_phase_warning,
    water_fat_signal,
)
from scipy import optimize

TR_MS, FLIP_DEG = 3.5, 12.0
BLOOD = (1441.0, 6.3, TR_MS)


def textbook_spgr(rate_per_s, flip_deg, tr_ms=TR_MS):
    """M0 1; written apart from the library."""
    decay, alpha = np.exp(-tr_ms * 1e-3 * rate_per_s), flip_deg * np.pi / 180
    return np.sin(alpha) * (1 - decay) / (1 - np.cos(alpha) * decay)


def arterial_curve_s(step_s):
    """Parker's curve in blood and the Tofts curve of the given parameters, on the frames of a 5 min acquisition."""
    fine_s = np.arange(0.0, 300.05, 0.1)
    blood = parker_blood_concentration(fine_s / 60.0)
    frames = np.arange(0, fine_s.size, round(step_s / 0.1))
    return fine_s, blood, frames


class SpoiledGradientEcho(unittest.TestCase):
    """Numbers computed by hand from the textbook equation: M0 1000, TR 3.5 ms, 12 degrees."""

    def test_signal_of_marrow_and_blood(self):
        for t1_ms, expected in ((549.0, 47.0730), (1441.0, 20.8203), (1000.0 / (1000.0 / 549.0 + 6.3 * 0.5), 92.6121)):
            with self.subTest(t1_ms=t1_ms):
                self.assertAlmostEqual(float(spgr_signal(1000.0, 1000.0 / t1_ms, TR_MS, FLIP_DEG)), expected, places=4)

    def test_concentration_of_half_a_millimolar(self):
        found = concentration_from_signal([47.0730, 92.6121], 47.0730, 549.0, 6.3, TR_MS, FLIP_DEG)
        np.testing.assert_allclose(found, [0.0, 0.5], atol=2e-6)

    def test_inversion_undoes_the_signal_equation(self):
        concentration = np.linspace(-0.1, 12.0, 50)
        t10_ms = np.array([300.0, 549.0, 1441.0])
        rate = 1000.0 / t10_ms[:, np.newaxis] + 4.5 * concentration
        signal = spgr_signal(1234.0, rate, 5.0, 30.0)
        baseline = spgr_signal(1234.0, 1000.0 / t10_ms, 5.0, 30.0)
        found = concentration_from_signal(signal, baseline, t10_ms, 4.5, 5.0, 30.0)
        np.testing.assert_allclose(found, np.broadcast_to(concentration, found.shape), atol=1e-9)

    def test_signal_beyond_full_relaxation_has_no_concentration(self):
        full = 47.0730 / float(spgr_signal(1000.0, 1000.0 / 549.0, TR_MS, FLIP_DEG)) * 1000 * np.sin(np.deg2rad(12.0))
        found = concentration_from_signal(full * np.array([0.99, 1.01, 1.5]), 47.0730, 549.0, 6.3, TR_MS, FLIP_DEG)
        self.assertEqual(np.isnan(found).tolist(), [False, True, True])

    def test_baseline_that_is_not_positive_has_no_concentration(self):
        found = concentration_from_signal(np.ones((2, 3)), [0.0, -1.0], 549.0, 6.3, TR_MS, FLIP_DEG)
        self.assertTrue(np.isnan(found).all())

    def test_noise_below_the_baseline_stays_negative(self):
        self.assertLess(float(concentration_from_signal([46.0], 47.0730, 549.0, 6.3, TR_MS, FLIP_DEG)[0]), 0.0)


class OsipiReference(unittest.TestCase):
    @support.against("Signal and T1", "spoiled gradient echo, 5 curves", "osipi", "concentration_from_signal")
    def test_signal_to_concentration(self):
        with (support.reference_data("osipi") / "SI2Conc_data.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 5)
        for row in rows:
            with self.subTest(row["label"]):
                signal, expected = (np.array(row[key].split(), dtype=float) for key in ("s", "conc"))
                # OSIPI's own baseline leaves the first frame out
                baseline = signal[1 : int(row["numbaselinepts"])].mean()
                found = concentration_from_signal(
                    signal,
                    baseline,
                    1000.0 * float(row["T1base"]),
                    float(row["r1"]),
                    1000.0 * float(row["TR"]),
                    float(row["FA"]),
                )
                support.measured(self, "concentration", found[1:] - expected[1:], 1e-12, "mM")


class ActualFlipAngle(unittest.TestCase):
    def test_factor_scales_the_flip_angle(self):
        for b1 in (0.8, 1.0, 1.15):
            found = spgr_signal(1000.0, 2.0, TR_MS, FLIP_DEG, b1)
            self.assertAlmostEqual(float(found), 1000.0 * textbook_spgr(2.0, FLIP_DEG * b1), places=10)

    def test_map_in_the_inversion(self):
        concentration, b1 = np.linspace(-0.1, 6.0, 40), np.array([[0.7, 0.9], [1.0, 1.3]])
        t10_ms = np.array([[549.0, 700.0], [1441.0, 300.0]])
        rate = 1000.0 / t10_ms[..., np.newaxis] + 6.3 * concentration
        signal = 77.0 * textbook_spgr(rate, FLIP_DEG * b1[..., np.newaxis])
        baseline = 77.0 * textbook_spgr(1000.0 / t10_ms, FLIP_DEG * b1)
        found = concentration_from_signal(signal, baseline, t10_ms, 6.3, TR_MS, FLIP_DEG, b1)
        np.testing.assert_allclose(found, np.broadcast_to(concentration, found.shape), atol=1e-9)

    def test_one_curve_with_maps(self):
        signal = [47.0730, 92.6121]
        found = concentration_from_signal(signal, 47.0730, [549.0, 600.0], 6.3, TR_MS, FLIP_DEG, [1.0, 0.9])
        for i, (t10_ms, b1) in enumerate(((549.0, 1.0), (600.0, 0.9))):
            alone = concentration_from_signal(signal, 47.0730, t10_ms, 6.3, TR_MS, FLIP_DEG, b1)
            np.testing.assert_array_equal(found[i], alone)

    def test_no_flip_angle_or_no_t1_no_concentration(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = concentration_from_signal(np.ones((4, 2)), np.ones(4), [0.0, np.nan, 549.0, 549.0], 6.3, 3.5, 12.0)
            self.assertEqual(np.isnan(found).all(axis=1).tolist(), [True, True, False, False])
            dark = np.full((4, 2), 0.9)
            found = concentration_from_signal(dark, np.ones(4), 549.0, 6.3, 3.5, 12.0, [0.0, np.nan, -1.0, 1.0])
            self.assertEqual(np.isnan(found).all(axis=1).tolist(), [True, True, True, False])


class DecayByTheAgent(unittest.TestCase):
    """Truth: the signal with exp(-TE r2* C), written out; its maximum found by scipy."""

    CASES = ((1.2, 7.0, 12.0), (1.2, 7.0, 30.0), (5.0, 20.0, 12.0), (5.0, 20.0, 90.0))

    @staticmethod
    def signal(concentration, t10_ms, flip_deg, te_ms, r2star):
        rate = 1000.0 / t10_ms + 6.3 * concentration
        return textbook_spgr(rate, flip_deg) * np.exp(-te_ms * 1e-3 * r2star * concentration)

    def maximum(self, *protocol):
        return optimize.minimize_scalar(lambda c: -self.signal(c, *protocol), (0.0, 5.0), tol=1e-12).x

    @support.against(
        "Signal and T1",
        "T2* decay by the agent, 12 protocols, up to the largest signal",
        "closed form",
        "concentration_from_signal",
    )
    def test_inversion_up_to_the_maximum(self):
        for te_ms, r2star, flip_deg in self.CASES:
            for t10_ms in (300.0, 549.0, 1441.0):
                with self.subTest(te_ms=te_ms, r2star=r2star, flip_deg=flip_deg, t10_ms=t10_ms):
                    protocol = (t10_ms, flip_deg, te_ms, r2star)
                    top = self.maximum(*protocol)
                    truth = np.concatenate((np.linspace(-0.15, 0.0, 7), top * np.linspace(0.01, 0.99, 80)))
                    baseline = self.signal(0.0, *protocol)
                    with warnings.catch_warnings():
                        warnings.simplefilter("error")
                        found = concentration_from_signal(
                            self.signal(truth, *protocol),
                            baseline,
                            t10_ms,
                            6.3,
                            TR_MS,
                            flip_deg,
                            r2star_per_s_mM=r2star,
                            echo_time_ms=te_ms,
                        )
                    support.measured(self, "concentration", found - truth, 1e-9, "mM")

    def test_at_and_above_the_maximum(self):
        protocol = (1441.0, 12.0, 1.2, 7.0)
        top = self.maximum(*protocol)
        peak, baseline = self.signal(top, *protocol), self.signal(0.0, *protocol)
        self.assertAlmostEqual(top, 10.3, delta=0.05)
        found = concentration_from_signal(
            peak * np.array([1.0 - 1e-12, 1.0 + 1e-9]), baseline, *BLOOD, 12.0, 1.0, 7.0, 1.2
        )
        self.assertAlmostEqual(found[0], top, delta=1e-4)
        self.assertTrue(np.isnan(found[1]))
        # without the decay this signal has a concentration
        self.assertTrue(np.isfinite(concentration_from_signal([peak * 1.01], baseline, *BLOOD, 12.0)[0]))

    def test_voxels_in_any_memory_order(self):
        b1, truth = np.array([0.9, 1.0, 1.1]), np.linspace(0.0, 4.0, 9)
        signal = np.stack([self.signal(truth, 1441.0, 12.0 * b, 1.2, 7.0) for b in b1])
        baseline = np.array([self.signal(0.0, 1441.0, 12.0 * b, 1.2, 7.0) for b in b1])
        signal[1, 4] = np.nan
        found = concentration_from_signal(np.asfortranarray(signal), baseline, *BLOOD, 12.0, b1, 7.0, 1.2)
        expected = np.tile(truth, (3, 1))
        expected[1, 4] = np.nan
        np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_many_voxels(self):
        t10_ms, truth = np.linspace(400.0, 1500.0, 4000), np.linspace(0.0, 5.0, 40)
        signal = self.signal(truth, t10_ms[:, np.newaxis], 15.0, 1.2, 7.0)
        found = concentration_from_signal(
            signal, self.signal(0.0, t10_ms, 15.0, 1.2, 7.0), t10_ms, 6.3, TR_MS, 15.0, 1.0, 7.0, 1.2
        )
        np.testing.assert_allclose(found, np.tile(truth, (4000, 1)), atol=1e-9)

    def test_no_decay_no_change(self):
        signal = np.linspace(10.0, 150.0, 30)
        plain = concentration_from_signal(signal, 20.0, *BLOOD, 12.0)
        for r2star, te_ms in ((0.0, 1.2), (7.0, 0.0)):
            found = concentration_from_signal(signal, 20.0, *BLOOD, 12.0, 1.0, r2star, te_ms)
            np.testing.assert_array_equal(found, plain)

    def test_agent_that_only_darkens_has_no_concentration(self):
        found = concentration_from_signal([0.9, 1.0, 1.1], 1.0, *BLOOD, 12.0, 1.0, 700.0, 30.0)
        self.assertTrue(np.isnan(found).all())


class LinearConversion(unittest.TestCase):
    def test_half_a_millimolar_in_marrow(self):
        # (92.6121 / 47.0730 - 1) / (0.549 s * 6.3 /s/mM) by hand
        found = concentration_linear([47.0730, 92.6121], 47.0730, 549.0, 6.3)
        np.testing.assert_allclose(found, [0.0, 0.27971], atol=1e-5)

    def test_it_approaches_the_exact_one_at_a_large_flip_angle(self):
        rate = 1000.0 / 549.0 + np.array([0.0, 6.3e-3])
        signal = textbook_spgr(rate, 90.0)
        self.assertAlmostEqual(float(concentration_linear(signal, signal[0], 549.0, 6.3)[1]), 1e-3, delta=1e-5)

    def test_bias_that_the_docstring_states(self):
        stated = " ".join(inspect.getdoc(concentration_linear).split())
        fine_s, blood, frames = arterial_curve_s(3.0)
        for flip_deg, phrases in (
            (
                12.0,
                (
                    "6.07 mM becomes 0.85 mM",
                    "0.89 mM at one minute 0.44 mM",
                    "a Ktrans of 0.12 and a kep of 0.60 /min become 0.36 and 1.50 /min",
                ),
            ),
            (30.0, ("the peak becomes 3.11 mM", "Ktrans and kep 0.17 and 0.82 /min")),
        ):
            tissue = tofts_concentration(fine_s, plasma_from_blood(blood, 0.42), 0.12, 0.60)
            artery, marrow = (
                concentration_linear(
                    textbook_spgr(1000.0 / t10_ms + 6.3 * curve, flip_deg),
                    textbook_spgr(1000.0 / t10_ms, flip_deg),
                    t10_ms,
                    6.3,
                )
                for curve, t10_ms in ((blood, 1441.0), (tissue, 549.0))
            )
            fit = Tofts(fine_s[frames], plasma_from_blood(artery[frames], 0.42)).fit(marrow[np.newaxis, frames])
            values = (
                0.12,
                0.60,
                blood.max(),
                artery.max(),
                blood[600],
                artery[600],
                fit.ktrans_per_min[0],
                fit.kep_per_min[0],
            )
            for phrase in phrases:
                self.assertIn(phrase, stated)
                for number in (word.rstrip(".,") for word in phrase.split()):
                    if number.replace(".", "").isdigit():
                        self.assertIn(number, [f"{value:.2f}" for value in values])

    def test_no_baseline_no_concentration(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = concentration_linear(np.ones((3, 2)), [0.0, 1.0, 1.0], [549.0, 0.0, 549.0], 6.3)
        self.assertEqual(np.isnan(found).all(axis=1).tolist(), [True, True, False])


class SignalsOutOfRange(unittest.TestCase):
    def test_no_warning_and_no_concentration(self):
        signal = np.array([[np.inf, -np.inf, np.nan, 1e308, -1e308, 1.1]] * 3)
        baseline = np.array([1e-10, 1.0, np.inf])
        bright = [[True, True, True, True, True, False]]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            linear = concentration_linear(signal, baseline, 549.0, 6.3)
            exact = concentration_from_signal(signal, baseline, 549.0, 6.3, TR_MS, FLIP_DEG)
            decayed = concentration_from_signal(signal, baseline, 549.0, 6.3, TR_MS, FLIP_DEG, 1.0, 7.0, 1.2)
            fat = concentration_from_signal_with_fat(
                signal, baseline, 0.3, 549.0, 300.0, 6.3, TR_MS, FLIP_DEG, 1.2, 1.5, 1.0, 7.0
            )
        self.assertEqual(np.isnan(linear[:1]).tolist(), bright)
        self.assertAlmostEqual(linear[1, 5], 0.1 / (0.549 * 6.3), places=12)
        for found in (exact, decayed, fat):
            self.assertTrue(np.isnan(found[:, :4]).all(axis=1)[:2].all())
            self.assertTrue(np.isfinite(found[1, 5]))
        for found in (linear, exact, decayed, fat):
            self.assertFalse(np.isinf(found).any())


class WaterAndFat(unittest.TestCase):
    """Truth: complex arithmetic with 217 Hz at 1.5 T, written out."""

    T1_WATER_MS, T1_FAT_MS = 900.0, 300.0

    def signal(self, concentration, fat_fraction, te_ms=1.2, field=1.5, flip_deg=FLIP_DEG):
        water = (1 - fat_fraction) * textbook_spgr(1000.0 / self.T1_WATER_MS + 6.3 * concentration, flip_deg)
        fat = fat_fraction * textbook_spgr(1000.0 / self.T1_FAT_MS, flip_deg)
        return np.abs(water + fat * np.exp(2j * np.pi * 217.14 * field / 1.5 * te_ms * 1e-3))

    def concentration(self, signal, baseline, fat_fraction, te_ms=1.2, field=1.5, b1=1.0):
        return concentration_from_signal_with_fat(
            signal, baseline, fat_fraction, 900.0, 300.0, 6.3, TR_MS, FLIP_DEG, te_ms, field, b1
        )

    @support.against(
        "Signal and T1", "water and fat in complex arithmetic, 16 protocols", "closed form", "water_fat_signal"
    )
    def test_forward(self):
        truth = np.linspace(0.0, 3.0, 20)
        for te_ms, field in ((1.2, 1.5), (2.3, 1.5), (4.6, 1.5), (1.7, 3.0)):
            for fat_fraction in (0.0, 0.2, 0.5, 1.0):
                found = water_fat_signal(
                    50.0, fat_fraction, 1000.0 / 900.0 + 6.3 * truth, 300.0, TR_MS, FLIP_DEG, te_ms, field
                )
                expected = 50.0 * self.signal(truth, fat_fraction, te_ms, field)
                support.measured(self, "signal, relative", found / expected - 1.0, 1e-4)

    def test_forward_at_special_phases(self):
        water, fat = 0.7 * textbook_spgr(2.0, 10.8), 0.3 * textbook_spgr(1000.0 / 300.0, 10.8)
        turn_ms = 1000.0 / (3.4 * 42.577 * 1.5)
        for turns, expected in ((0.0, water + fat), (0.25, np.hypot(water, fat)), (0.5, water - fat)):
            found = water_fat_signal(1.0, 0.3, 2.0, 300.0, TR_MS, FLIP_DEG, turns * turn_ms, 1.5, 0.9)
            self.assertAlmostEqual(float(found), expected, places=12)

    def test_inversion_undoes_the_signal(self):
        truth = np.linspace(-0.05, 4.0, 60)
        rate = 1000.0 / 900.0 + 6.3 * truth
        b1 = np.array([0.9, 1.0, 1.2])
        cases = [(te_ms, 1.5, ff) for te_ms in (0.0, 1.2, 4.6) for ff in (0.0, 0.2, 0.5, 0.8)]
        for te_ms, field, fat_fraction in (*cases, (2.3, 1.5, 0.2), (1.7, 3.0, 0.3)):
            with self.subTest(te_ms=te_ms, field=field, fat_fraction=fat_fraction):
                protocol = (300.0, TR_MS, FLIP_DEG, te_ms, field)
                signal = water_fat_signal(80.0, fat_fraction, rate, *protocol, b1[:, np.newaxis])
                baseline = water_fat_signal(80.0, fat_fraction, 1000.0 / 900.0, *protocol, b1)
                found = self.concentration(signal, baseline, np.full(3, fat_fraction), te_ms, field, b1)
                np.testing.assert_allclose(found, np.tile(truth, (3, 1)), atol=1e-9)

    def test_inversion_of_the_complex_signal(self):
        truth = np.linspace(0.0, 2.0, 30)
        for fat_fraction in (0.2, 0.5, 0.8):
            signal, baseline = 9.0 * self.signal(truth, fat_fraction), 9.0 * self.signal(0.0, fat_fraction)
            np.testing.assert_allclose(self.concentration(signal, baseline, fat_fraction), truth, rtol=5e-4, atol=1e-9)

    def test_no_fat_is_the_plain_inversion_exactly(self):
        signal = np.random.default_rng(3).uniform(20.0, 400.0, (50, 20))
        baseline = signal[:, :3].mean(axis=1)
        plain = concentration_from_signal(signal, baseline, 900.0, 6.3, TR_MS, FLIP_DEG, 0.93)
        self.assertTrue(np.isnan(plain).any())
        np.testing.assert_array_equal(self.concentration(signal, baseline, np.zeros(50), b1=0.93), plain)

    def test_what_has_no_solution(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = self.concentration(np.ones((7, 2)), np.ones(7), [-0.1, 1.0, np.nan, 1.2, 0.0, 0.5, 0.95])
            # the last: water of 5 % lies behind what fat at 94 degrees takes off the magnitude
            self.assertEqual(np.isnan(found).all(axis=1).tolist(), [True, True, True, True, False, False, True])
            baseline = self.signal(0.0, 0.8)
            fat = 0.8 * textbook_spgr(1000.0 / 300.0, FLIP_DEG) * np.sin(2 * np.pi * 217.14 * 1.2e-3)
            found = self.concentration(np.array([0.999 * fat, 1.001 * fat, -1.05 * baseline]), baseline, 0.8)
            self.assertEqual(np.isnan(found).tolist(), [True, False, True])
            found = self.concentration(np.ones((1, 2)), [0.0], 0.3)
            self.assertTrue(np.isnan(found).all())
            # opposed phase, more fat than water: the same magnitude stands for two concentrations
            self.assertTrue(np.isnan(self.concentration([1.0, 1.1], 1.0, 0.5, te_ms=2.3)).all())

    def with_decay(self, concentration, fat_fraction, te_ms, r2star):
        """Only the water decays."""
        water = (1 - fat_fraction) * textbook_spgr(1000.0 / self.T1_WATER_MS + 6.3 * concentration, FLIP_DEG)
        water = water * np.exp(-te_ms * 1e-3 * r2star * concentration)
        fat = fat_fraction * textbook_spgr(1000.0 / self.T1_FAT_MS, FLIP_DEG)
        return np.abs(water + fat * np.exp(2j * np.pi * 3.4 * 42.577 * 1.5 * te_ms * 1e-3))

    def test_inversion_with_decay_of_the_water(self):
        for te_ms, r2star in ((1.2, 7.0), (4.6, 7.0), (4.6, 40.0)):
            decay_s = te_ms * 1e-3 * r2star

            def negative_water(c, decay_s=decay_s):
                return -textbook_spgr(1000.0 / 900.0 + 6.3 * c, FLIP_DEG) * np.exp(-decay_s * c)

            top = optimize.minimize_scalar(negative_water, (0.0, 5.0), tol=1e-12).x
            truth = np.concatenate((np.linspace(-0.05, 0.0, 4), min(top, 6.0) * np.linspace(0.01, 0.99, 50)))
            for fat_fraction in (0.0, 0.2, 0.5, 0.8):
                with self.subTest(te_ms=te_ms, r2star=r2star, fat_fraction=fat_fraction):
                    signal = 80.0 * self.with_decay(truth, fat_fraction, te_ms, r2star)
                    protocol = (300.0, TR_MS, FLIP_DEG, te_ms, 1.5)
                    rate = 1000.0 / 900.0 + 6.3 * truth
                    forward = water_fat_signal(80.0, fat_fraction, rate, *protocol, 1.0, np.exp(-decay_s * truth))
                    np.testing.assert_allclose(forward, signal, rtol=1e-12)
                    baseline = 80.0 * self.with_decay(0.0, fat_fraction, te_ms, r2star)
                    arguments = (baseline, fat_fraction, 900.0, 300.0, 6.3, TR_MS, FLIP_DEG, te_ms, 1.5, 1.0, r2star)
                    with warnings.catch_warnings():
                        warnings.simplefilter("error")
                        found = concentration_from_signal_with_fat(signal, *arguments)
                        np.testing.assert_allclose(found, truth, atol=1e-9)
                        above = 1.001 * 80.0 * self.with_decay(top, fat_fraction, te_ms, r2star)
                        failures = concentration_from_signal_with_fat([above, np.nan, -1.0], *arguments)
                    self.assertTrue(np.isnan(failures).all())

    def test_no_decay_no_change_and_no_fat_is_the_plain_inversion_with_decay(self):
        signal = np.random.default_rng(4).uniform(20.0, 200.0, (50, 20))
        baseline = signal[:, :3].mean(axis=1)
        protocol = (900.0, 300.0, 6.3, TR_MS, FLIP_DEG, 1.2, 1.5, 0.93)
        plain = concentration_from_signal_with_fat(signal, baseline, 0.3, *protocol)
        found = concentration_from_signal_with_fat(signal, baseline, 0.3, *protocol, 0.0)
        np.testing.assert_array_equal(found, plain)
        without_fat = concentration_from_signal_with_fat(signal, baseline, np.zeros(50), *protocol, 7.0)
        expected = concentration_from_signal(signal, baseline, 900.0, 6.3, TR_MS, FLIP_DEG, 0.93, 7.0, 1.2)
        np.testing.assert_array_equal(without_fat, expected)

    def test_apparent_ktrans_falls_with_fat(self):
        """Same kinetics in the water, analyzed without regard to fat: values computed apart for the design."""
        fine_s, blood, frames = arterial_curve_s(3.0)
        plasma = plasma_from_blood(blood, 0.42)
        tissue = tofts_concentration(fine_s, plasma, 0.563, 3.02)[frames]
        model = Tofts(fine_s[frames], plasma[frames])
        apparent = {0.0: (1.58, 3.9), 0.2: (1.11, 3.6), 0.4: (0.37, 3.2), 0.6: (0.09, 3.3), 0.8: (0.01, 3.7)}
        for fat_fraction, (ktrans, kep) in apparent.items():
            with self.subTest(fat_fraction=fat_fraction):
                signal, baseline = self.signal(tissue, fat_fraction), self.signal(0.0, fat_fraction)
                plain = model.fit(concentration_from_signal(signal, baseline, 549.0, 6.3, TR_MS, FLIP_DEG))
                self.assertAlmostEqual(float(plain.ktrans_per_min[0]), ktrans, delta=0.006)
                self.assertAlmostEqual(float(plain.kep_per_min[0]), kep, delta=0.06)
                aware = model.fit(self.concentration(signal, baseline, fat_fraction))
                self.assertAlmostEqual(float(aware.ktrans_per_min[0]), 0.563, delta=0.01)
                self.assertAlmostEqual(float(aware.kep_per_min[0]), 3.02, delta=0.05)


class OpposedPhase(unittest.TestCase):
    def test_near_and_far(self):
        for te_ms, field, near in (
            (1.2, 1.5, False),
            (1.89, 1.5, False),
            (1.92, 1.5, True),
            (2.3, 1.5, True),
            (2.69, 1.5, True),
            (2.72, 1.5, False),
            (4.6, 1.5, False),
            (6.9, 1.5, True),
            (0.0, 1.5, False),
            (1.15, 3.0, True),
            (1.33, 3.0, True),
            (1.37, 3.0, False),
            (2.3, 3.0, False),
        ):
            with self.subTest(te_ms=te_ms, field=field):
                self.assertEqual(opposed_phase_warning(te_ms, field) is not None, near)

    def test_message_names_the_times(self):
        message = opposed_phase_warning(2.1, 1.5)
        self.assertIn("echo time of 2.1 ms", message)
        self.assertIn("(2.30 ms at 1.5 T)", message)


class ArterialPeak(unittest.TestCase):
    """Errors at a peak of 6 mM, TE 1.2 ms, computed apart for the design."""

    def test_at_12_degrees(self):
        errors = arterial_peak_errors(6.0, *BLOOD, 12.0, 1.2)
        self.assertAlmostEqual(errors.b1_90_percent, -0.57, delta=0.006)
        self.assertEqual(errors.b1_110_percent, np.inf)
        self.assertAlmostEqual(errors.uncorrected_r2star, -0.274, delta=0.001)

    def test_at_30_degrees(self):
        errors = arterial_peak_errors(6.0, *BLOOD, 30.0, 1.2, 7.0)
        self.assertAlmostEqual(errors.b1_90_percent, -0.19, delta=0.006)
        self.assertAlmostEqual(errors.b1_110_percent, 0.202, delta=0.001)
        self.assertAlmostEqual(errors.uncorrected_r2star, -0.09, delta=0.006)

    def test_no_decay_no_error(self):
        self.assertAlmostEqual(arterial_peak_errors(6.0, *BLOOD, 12.0, 1.2, 0.0).uncorrected_r2star, 0.0, places=9)

    def test_by_a_root_finder(self):
        """The concentration at which the nominal protocol would give the ratio that 0.9 times the angle gives."""
        ratio = textbook_spgr(1 / 1.441 + 6.3 * 4.0, 13.5) / textbook_spgr(1 / 1.441, 13.5)
        measured = optimize.brentq(
            lambda c: textbook_spgr(1 / 1.441 + 6.3 * c, 15.0) / textbook_spgr(1 / 1.441, 15.0) - ratio, 0.0, 10.0
        )
        found = arterial_peak_errors(4.0, *BLOOD, 15.0, 1.2).b1_90_percent
        self.assertAlmostEqual(found, measured / 4.0 - 1.0, places=9)


if __name__ == "__main__":
    unittest.main()
