"""Semi-quantitative parameters of curves whose slopes, areas and shapes are known."""

import unittest
import warnings

import numpy as np
from DCEPerfusionBMDLib.kinetics.descriptive import CurveRules, CurveType, describe_curves

ARRIVAL_S = 30.0
TIMES_S = np.arange(0.0, 391.0, 3.0)
UNSMOOTHED = CurveRules(smoothing_frames=1)


def broken_line(times_s, *corners):
    """Signal 200 up to arrival, then straight lines through (seconds after arrival, percent)."""
    seconds, percent = zip((0.0, 0.0), *corners, strict=True)
    return 200.0 * (1.0 + np.interp(times_s - ARRIVAL_S, seconds, percent) / 100.0)


class BrokenLines(unittest.TestCase):
    def test_rise_and_wash_out_by_hand(self):
        """0 to 80 % in 24 s, then down to 20 % at 336 s: every frame on the line."""
        signal = broken_line(TIMES_S, (24.0, 80.0), (336.0, 20.0))
        times_s, signal = TIMES_S[:123], signal[:123]
        found = describe_curves(times_s, signal, 10, ARRIVAL_S, rules=UNSMOOTHED)
        for name, expected in (
            ("emax_percent", 80.0),
            ("eslope_percent_per_s", 80.0 / 24.0),
            ("max_slope_percent_per_s", 80.0 / 24.0),
            ("time_to_peak_s", 24.0),
            ("wash_in_slope_percent_per_s", 80.0 / 24.0),
            ("wash_out_slope_percent_per_s", -60.0 / 312.0),
            ("wash_out_percent_per_min", -60.0 / 312.0 * 60.0),
            ("ser", (80.0 - 36.0 * 60.0 / 312.0) / 20.0),
        ):
            with self.subTest(name):
                self.assertAlmostEqual(float(getattr(found, name)[0]), expected, places=10)

    def test_rise_of_two_slopes(self):
        """6 %/s for 5 s, then 1 %/s for 50 s: 10 % is reached after 8/6 s, 90 % after 47 s."""
        times_s = np.concatenate((np.arange(0.0, 30.0, 5.0), np.arange(30.0, 95.0, 2.5), np.arange(95.0, 200.0, 7.0)))
        signal = broken_line(times_s, (5.0, 30.0), (55.0, 80.0), (200.0, 80.0))
        found = describe_curves(times_s, signal, 6, ARRIVAL_S, rules=UNSMOOTHED)
        self.assertAlmostEqual(float(found.eslope_percent_per_s[0]), 64.0 / (47.0 - 8.0 / 6.0), places=10)
        self.assertAlmostEqual(float(found.max_slope_percent_per_s[0]), 6.0, places=10)
        self.assertAlmostEqual(float(found.time_to_peak_s[0]), 55.0, places=10)
        shares = CurveRules(smoothing_frames=1, rise_shares=(0.0625, 0.25))
        found = describe_curves(times_s, signal, 6, ARRIVAL_S, rules=shares)
        self.assertAlmostEqual(float(found.eslope_percent_per_s[0]), 6.0, places=10)

    def test_arrival_between_frames(self):
        times_s = TIMES_S + 1.0
        signal = broken_line(times_s, (24.0, 80.0), (400.0, 80.0))
        found = describe_curves(times_s, signal, 10, ARRIVAL_S, rules=UNSMOOTHED)
        self.assertAlmostEqual(float(found.time_to_peak_s[0]), 25.0, places=10)
        self.assertAlmostEqual(float(found.max_slope_percent_per_s[0]), 80.0 / 24.0, places=10)

    def test_maximum_and_end_are_means_over_three_and_two_frames(self):
        """70, 80, 79, 78 % around the maximum, one percent less per frame until the last two, 12 and 11 %."""
        times_s = TIMES_S[:88]
        found = describe_curves(times_s, broken_line(times_s, (24.0, 80.0), (264.0, 0.0)), 10, ARRIVAL_S)
        self.assertAlmostEqual(float(found.emax_percent[0]), (80.0 + 79.0 + 78.0) / 3.0, places=10)
        self.assertAlmostEqual(float(found.time_to_peak_s[0]), 27.0, places=10)
        self.assertAlmostEqual(
            float(found.wash_out_slope_percent_per_s[0]), (11.5 - 79.0) / (times_s[-1] - 57.0), places=10
        )

    def test_moving_mean_does_not_slow_the_rise(self):
        signal = broken_line(TIMES_S, (24.0, 60.0), (400.0, 60.0))
        found = describe_curves(TIMES_S, signal, 10, ARRIVAL_S)
        self.assertAlmostEqual(float(found.eslope_percent_per_s[0]), 60.0 / 24.0, places=10)
        self.assertAlmostEqual(float(found.max_slope_percent_per_s[0]), 60.0 / 24.0, places=10)

    def test_rise_within_the_frame_of_arrival(self):
        signal = broken_line(TIMES_S, (1.0, 60.0), (400.0, 60.0))
        found = describe_curves(TIMES_S, signal, 10, 31.0, rules=UNSMOOTHED)
        self.assertAlmostEqual(float(found.max_slope_percent_per_s[0]), 20.0, places=10)
        self.assertAlmostEqual(float(found.eslope_percent_per_s[0]), 20.0, places=10)

    def test_noise_before_the_rise_is_not_its_start(self):
        signal = broken_line(TIMES_S, (60.0, 0.0), (90.0, 100.0), (400.0, 100.0))
        signal[14] += 0.15 * 200.0
        found = describe_curves(TIMES_S, signal, 10, ARRIVAL_S, rules=UNSMOOTHED)
        self.assertAlmostEqual(float(found.eslope_percent_per_s[0]), 100.0 / 30.0, places=10)

    def test_curve_that_falls(self):
        found = describe_curves(TIMES_S, broken_line(TIMES_S, (300.0, -50.0), (400.0, -60.0)), 10, ARRIVAL_S)
        self.assertLess(float(found.emax_percent[0]), 0.0)
        self.assertTrue(np.isnan(found.eslope_percent_per_s[0]))
        self.assertTrue(np.isnan(found.ser[0]))
        self.assertEqual(found.curve_type[0], CurveType.A)

    def test_maximum_in_the_last_frame_has_no_wash_out(self):
        found = describe_curves(TIMES_S, broken_line(TIMES_S, (400.0, 90.0)), 10, ARRIVAL_S)
        self.assertTrue(np.isnan(found.wash_out_slope_percent_per_s[0]))
        self.assertTrue(np.isnan(found.wash_out_percent_per_min[0]))


class Areas(unittest.TestCase):
    def area(self, times_s, curve, arrival_s=ARRIVAL_S, blood=None):
        return describe_curves(times_s, np.ones_like(curve), 3, arrival_s, curve, blood)

    def test_triangle(self):
        """Up to 2 mM in 20 s and down to 0 at 100 s after an arrival between frames; ends between frames, too."""
        times_s = np.sort(np.concatenate((np.arange(0.0, 250.0, 7.0), [31.5, 51.5, 131.5])))
        curve = np.interp(times_s, [31.5, 51.5, 131.5], [0.0, 2.0, 0.0], left=0.0, right=0.0)
        found = self.area(times_s, curve, 31.5)
        # The frames around the end at 60 s and 90 s lie on the same line, so the interpolation is exact.
        self.assertAlmostEqual(float(found.iauc60_mM_s[0]), 20.0 + 40.0 * (2.0 + 1.0) / 2.0, places=10)
        self.assertAlmostEqual(float(found.iauc90_mM_s[0]), 100.0 - 10.0 * 0.25 / 2.0, places=10)
        self.assertAlmostEqual(float(found.iauc180_mM_s[0]), 100.0, places=10)

    def test_exponential(self):
        """3 exp(-t / 80 s) from arrival; the error of the trapezoids is h^2/12 of the slope difference."""
        times_s = np.arange(0.0, 300.0, 0.1)
        curve = np.where(times_s < 29.95, 0.0, 3.0 * np.exp(-(times_s - 30.0) / 80.0))
        found = self.area(times_s, np.stack((curve, 2.0 * curve)), blood=4.0 * curve)
        for seconds in (60, 90, 180):
            area = 240.0 * (1.0 - np.exp(-seconds / 80.0))
            np.testing.assert_allclose(getattr(found, f"iauc{seconds}_mM_s"), [area, 2.0 * area], rtol=1e-6)
            np.testing.assert_allclose(getattr(found, f"iaugc{seconds}"), [0.25, 0.5], rtol=1e-12)

    def test_series_that_ends_earlier(self):
        times_s = np.arange(0.0, 121.0, 3.0)
        found = self.area(times_s, np.ones_like(times_s), blood=np.ones_like(times_s))
        self.assertAlmostEqual(float(found.iauc90_mM_s[0]), 90.0, places=10)
        self.assertTrue(np.isnan(found.iauc180_mM_s[0]))
        self.assertTrue(np.isnan(found.iaugc180[0]))
        self.assertAlmostEqual(float(found.iaugc60[0]), 1.0, places=12)

    def test_without_concentration_or_blood(self):
        found = describe_curves(TIMES_S, np.ones_like(TIMES_S), 3, ARRIVAL_S)
        self.assertTrue(np.isnan(found.iauc60_mM_s[0]))
        found = self.area(TIMES_S, np.ones_like(TIMES_S), blood=np.zeros_like(TIMES_S))
        self.assertTrue(np.isnan(found.iaugc60[0]))

    def test_only_frames_of_the_area_count(self):
        curve = np.ones((2, TIMES_S.size))
        curve[0, [2, 40]] = np.nan
        curve[1, 20] = np.nan
        found = self.area(TIMES_S, curve)
        np.testing.assert_allclose(found.iauc60_mM_s, [60.0, np.nan])
        np.testing.assert_allclose(found.iauc180_mM_s, [np.nan, np.nan])


class Types(unittest.TestCase):
    """Curves drawn after the description of the five types; the thresholds are this software's own."""

    shapes = (
        (CurveType.A, ((360.0, 4.0),)),
        (CurveType.B, ((330.0, 60.0), (360.0, 64.0))),
        (CurveType.B, ((120.0, 60.0), (360.0, 63.0))),
        (CurveType.C, ((20.0, 60.0), (360.0, 60.0))),
        (CurveType.D, ((20.0, 60.0), (360.0, 25.0))),
        (CurveType.E, ((20.0, 45.0), (360.0, 75.0))),
        (CurveType.E, ((15.0, 30.0), (360.0, 60.0))),
    )

    def test_types_with_noise(self):
        """At a noise of 2 % of the signal, which 25 voxels at a signal-to-noise ratio of 10 reach."""
        random = np.random.default_rng(5)
        for kind, corners in self.shapes:
            for noise, share in ((0.0, 1.0), (0.02, 0.95)):
                signal = broken_line(TIMES_S, *corners)
                signal = signal + 200.0 * noise * random.standard_normal((400, TIMES_S.size))
                with self.subTest(kind=kind, corners=corners, noise=noise):
                    found = describe_curves(TIMES_S, signal, 10, ARRIVAL_S).curve_type
                    self.assertGreaterEqual(np.mean(found == kind), share)

    def test_thresholds(self):
        cases = (
            (((20.0, 9.9), (360.0, 9.9)), {}, CurveType.A),
            (((20.0, 9.9), (360.0, 9.9)), {"flat_percent": 9.0}, CurveType.C),
            (((20.0, 60.0), (360.0, 44.0)), {}, CurveType.C),
            (((20.0, 60.0), (360.0, 41.0)), {}, CurveType.D),
            (((20.0, 60.0), (360.0, 41.0)), {"plateau_percent_per_min": 6.0}, CurveType.C),
            (((120.0, 60.0), (360.0, 60.0)), {"slow_rise_s": 120.0}, CurveType.C),
            (((20.0, 45.0), (360.0, 75.0)), {"knee_share": 0.0}, CurveType.B),
        )
        for corners, changes, kind in cases:
            with self.subTest(corners=corners, changes=changes):
                signal = broken_line(TIMES_S, *corners)
                found = describe_curves(TIMES_S, signal, 10, ARRIVAL_S, rules=CurveRules(**changes))
                self.assertEqual(CurveType(int(found.curve_type[0])), kind)

    def test_every_type_has_a_meaning(self):
        self.assertEqual(len({kind.meaning for kind in CurveType}), 6)


class Voxels(unittest.TestCase):
    def test_a_voxel_without_values_changes_no_neighbor(self):
        random = np.random.default_rng(6)
        signal = broken_line(TIMES_S, (24.0, 80.0), (400.0, 40.0)) + random.standard_normal((9, TIMES_S.size))
        whole = describe_curves(TIMES_S, signal, 10, ARRIVAL_S, signal, TIMES_S)
        broken = signal.copy()
        broken[2, 7], broken[3, 20], broken[5, :10] = np.nan, np.inf, 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = describe_curves(TIMES_S, broken, 10, ARRIVAL_S, broken, TIMES_S)
        kept = [0, 1, 4, 6, 7, 8]
        for name, values in vars(found).items():
            with self.subTest(name):
                np.testing.assert_array_equal(values[kept], getattr(whole, name)[kept])
                if name == "curve_type":
                    np.testing.assert_array_equal(values[[2, 3, 5]], CurveType.UNCLASSIFIED)
                elif not name.startswith("iau"):
                    self.assertTrue(np.isnan(values[[2, 3, 5]]).all())

    def test_many_voxels_and_single_precision(self):
        signal = broken_line(TIMES_S, (24.0, 80.0), (400.0, 40.0))
        one = describe_curves(TIMES_S, signal, 10, ARRIVAL_S, signal)
        many = describe_curves(
            TIMES_S, np.tile(signal, (5000, 1)).astype(np.float32), 10, ARRIVAL_S, np.tile(signal, (5000, 1))
        )
        for name, values in vars(many).items():
            with self.subTest(name):
                self.assertEqual(values.shape, (5000,))
                np.testing.assert_allclose(values, np.full(5000, getattr(one, name)[0]), rtol=1e-4)

    def test_bad_input(self):
        ones = np.ones_like(TIMES_S)
        for arguments, words in (
            ((TIMES_S[1:], ones, 10, 30.0), r"signal \(1, 131\) must be \(voxels, 130 times\)"),
            ((TIMES_S[::-1], ones, 10, 30.0), "times must increase"),
            ((TIMES_S, ones, 0, 30.0), "0 frames before contrast of 131"),
            ((TIMES_S, ones, 10, 390.0), "arrival at 390 s lies outside the series, 0 to 390 s"),
            ((TIMES_S, ones, 10, 30.0, ones[1:]), r"concentration \(1, 130\) must have the shape"),
            ((TIMES_S, ones, 10, 30.0, ones, ones[1:]), r"blood curve \(130,\)"),
        ):
            with self.subTest(words), self.assertRaisesRegex(ValueError, words):
                describe_curves(*arguments)


if __name__ == "__main__":
    unittest.main()
