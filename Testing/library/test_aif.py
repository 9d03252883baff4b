"""Population arterial input, plasma, arrival."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.kinetics import baseline_frame_count, parker_blood_concentration, plasma_from_blood


class Parker(unittest.TestCase):
    """Check values of the published function, evaluated independently."""

    def test_published_curve(self):
        times_min = [-0.01, 0.0, 0.17257, 1.0, 5.0, 10.0]
        expected = [0.0, 0.0803847, 6.07321, 0.88719, 0.45216, 0.19472]
        np.testing.assert_allclose(parker_blood_concentration(times_min), expected, atol=6e-6)

    def test_area_of_the_first_minute(self):
        times_min = np.linspace(0.0, 1.0, 200001)
        self.assertAlmostEqual(float(np.trapezoid(parker_blood_concentration(times_min), times_min)), 1.6165, places=4)


class Plasma(unittest.TestCase):
    def test_hematocrit_is_applied_once(self):
        np.testing.assert_allclose(plasma_from_blood([0.58, 1.16], 0.42), [1.0, 2.0])


class Arrival(unittest.TestCase):
    def test_frames_before_the_bolus(self):
        random = np.random.default_rng(7)
        for step_s in (1.0, 1.5, 3.0, 5.0):
            times_s = np.arange(0.0, 200.0, step_s)
            for arrival_s in (20.2, 31.0, 40.7):
                for noise in (0.0, 0.005, 0.02):
                    with self.subTest(step_s=step_s, arrival_s=arrival_s, noise=noise):
                        clean = 1.0 + parker_blood_concentration((times_s - arrival_s) / 60.0)
                        count = baseline_frame_count(clean + noise * random.standard_normal(clean.size))
                        truth = int(np.count_nonzero(times_s <= arrival_s))
                        self.assertLessEqual(abs(count - truth), 1)

    def test_curve_without_a_rise(self):
        self.assertEqual(baseline_frame_count(np.ones(30)), 0)

    def test_rise_in_the_second_frame(self):
        self.assertEqual(baseline_frame_count([1.0, 6.0, 5.0, 4.0, 3.0, 3.0]), 1)


if __name__ == "__main__":
    unittest.main()
