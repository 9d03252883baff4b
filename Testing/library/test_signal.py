"""Spoiled gradient echo: forward values and exact inversion."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics import concentration_from_signal, spgr_signal

TR_MS, FLIP_DEG = 3.5, 12.0


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
        found = concentration_from_signal([0.99 * full, 1.01 * full], 47.0730, 549.0, 6.3, TR_MS, FLIP_DEG)
        self.assertTrue(np.isfinite(found[0]))
        self.assertTrue(np.isnan(found[1]))

    def test_baseline_that_is_not_positive_has_no_concentration(self):
        found = concentration_from_signal(np.ones((2, 3)), [0.0, -1.0], 549.0, 6.3, TR_MS, FLIP_DEG)
        self.assertTrue(np.isnan(found).all())

    def test_noise_below_the_baseline_stays_negative(self):
        self.assertLess(float(concentration_from_signal([46.0], 47.0730, 549.0, 6.3, TR_MS, FLIP_DEG)[0]), 0.0)


if __name__ == "__main__":
    unittest.main()
