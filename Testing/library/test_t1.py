"""T1 from variable flip angles: closed forms, scipy's solver, and OSIPI's reference data."""

import csv
import unittest
import warnings

import numpy as np
import support
from DCEPerfusionBMDLib.kinetics.t1 import T1_RANGE_MS, T1Status, t1_from_flip_angles
from scipy import optimize

TR_MS = 5.0
FLIP_DEG = np.array([2.0, 5.0, 10.0, 15.0, 25.0])


def textbook_spgr(t1_ms, flip_deg, tr_ms=TR_MS):
    """M0 1; written apart from the library."""
    decay, alpha = np.exp(-tr_ms / np.asarray(t1_ms, dtype=float)), np.asarray(flip_deg) * np.pi / 180
    return np.sin(alpha) * (1 - decay) / (1 - np.cos(alpha) * decay)


def noisy_voxels(count, noise, seed=5):
    rng = np.random.default_rng(seed)
    t1_ms = np.exp(rng.uniform(np.log(100.0), np.log(3000.0), count))
    signal = 1000.0 * textbook_spgr(t1_ms[:, np.newaxis], FLIP_DEG)
    return np.abs(signal + rng.normal(0.0, noise, signal.shape))


class ExactSignals(unittest.TestCase):
    @support.against("Signal and T1", "3000 values of T1 from 1.5 to 15,000 ms", "closed form", "t1_from_flip_angles")
    def test_recovered(self):
        t1_ms = np.geomspace(1.5, 15000.0, 3000)
        signal = 321.0 * textbook_spgr(t1_ms[:, np.newaxis], FLIP_DEG)
        for method in ("nonlinear", "linear"):
            with self.subTest(method):
                fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, method=method)
                self.assertTrue((fit.status == T1Status.FITTED).all())
                support.measured(self, "T1, relative", fit.t1_ms / t1_ms - 1.0, 1e-8)
                np.testing.assert_allclose(fit.m0, 321.0, rtol=1e-8)
                self.assertLess(fit.rmse.max(), 1e-7)

    def test_two_angles_in_closed_form(self):
        # line through two points of S/sin against S/tan, by hand: slope E1
        alpha, signal = np.deg2rad([5.0, 15.0]), np.array([60.0, 50.0])
        (y1, y2), (x1, x2) = signal / np.sin(alpha), signal / np.tan(alpha)
        expected = -TR_MS / np.log((y2 - y1) / (x2 - x1))
        for method in ("nonlinear", "linear"):
            fit = t1_from_flip_angles(signal, [5.0, 15.0], TR_MS, method=method)
            self.assertEqual(fit.t1_ms.shape, ())
            self.assertAlmostEqual(float(fit.t1_ms), expected, places=7)
            self.assertLess(float(fit.rmse), 1e-9)

    def test_repetition_time_per_angle(self):
        t1_ms, tr_ms = np.array([80.0, 549.0, 1441.0]), np.array([5.0, 5.0, 20.0, 100.0])
        angles = np.array([3.0, 15.0, 15.0, 15.0])
        signal = 7.0 * textbook_spgr(t1_ms[:, np.newaxis], angles, tr_ms)
        fit = t1_from_flip_angles(signal, angles, tr_ms)
        np.testing.assert_allclose(fit.t1_ms, t1_ms, rtol=1e-9)
        np.testing.assert_allclose(fit.m0, 7.0, rtol=1e-9)

    def test_b1_map(self):
        rng = np.random.default_rng(1)
        t1_ms, b1 = rng.uniform(200.0, 2000.0, 5000), rng.uniform(0.7, 1.3, 5000)
        signal = 50.0 * textbook_spgr(t1_ms[:, np.newaxis], FLIP_DEG * b1[:, np.newaxis])
        for method in ("nonlinear", "linear"):
            with self.subTest(method):
                fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, b1, method)
                np.testing.assert_allclose(fit.t1_ms, t1_ms, rtol=1e-8)
                # T1 goes with the square of B1 when it is ignored
                ignored = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, 1.0, method).t1_ms
                np.testing.assert_allclose(ignored / t1_ms, b1**2, rtol=0.06)

    def test_one_b1_for_all(self):
        signal = textbook_spgr(np.array([[549.0], [900.0]]), FLIP_DEG * 0.9)
        np.testing.assert_allclose(t1_from_flip_angles(signal, FLIP_DEG, TR_MS, 0.9).t1_ms, [549.0, 900.0], rtol=1e-9)


class NoisySignals(unittest.TestCase):
    def test_least_squares_minimum(self):
        for noise in (1.0, 8.0):
            signal = noisy_voxels(200, noise)
            fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS)
            squares = fit.rmse**2 * FLIP_DEG.size
            self.assertGreater((fit.status == T1Status.FITTED).mean(), 0.9)
            for i in np.flatnonzero(fit.status == T1Status.FITTED):
                reference = min(
                    (
                        optimize.least_squares(
                            lambda p, s=signal[i]: s - p[0] * textbook_spgr(np.exp(p[1]), FLIP_DEG),
                            (1000.0, np.log(start_ms)),
                            x_scale=(1000.0, 1.0),
                            xtol=1e-14,
                            ftol=1e-14,
                            gtol=1e-14,
                        )
                        for start_ms in (100.0, 600.0, 3000.0)
                    ),
                    key=lambda result: result.cost,
                )
                self.assertLessEqual(squares[i], 2.0 * reference.cost * (1.0 + 1e-9))
                self.assertAlmostEqual(np.log(fit.t1_ms[i]), reference.x[1], delta=1e-5)

    def test_global_minimum_of_mere_noise(self):
        """Against a dense scan of T1: nothing is lost between the grid's points or in a second valley."""
        rng = np.random.default_rng(8)
        signal = rng.uniform(0.0, 1.0, (2000, FLIP_DEG.size))
        b1 = rng.uniform(0.6, 1.4, 2000)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, b1)
        best, best_ms = np.full((2, len(signal)), np.inf)
        for t1_ms in np.geomspace(*T1_RANGE_MS, 3001):
            b = textbook_spgr(t1_ms, FLIP_DEG * b1[:, np.newaxis])
            m0 = (signal * b).sum(axis=1) / (b * b).sum(axis=1)
            squares = np.square(signal - m0[:, np.newaxis] * b).sum(axis=1)
            best_ms = np.where(squares < best, t1_ms, best_ms)
            best = np.minimum(best, squares)
        fitted = fit.status == T1Status.FITTED
        self.assertGreater(fitted.sum(), 300)
        at_end = (best_ms < T1_RANGE_MS[0] * 1.01) | (best_ms > T1_RANGE_MS[1] / 1.01)
        np.testing.assert_array_equal(fitted, ~at_end)
        self.assertLessEqual((fit.rmse[fitted] ** 2 * FLIP_DEG.size / best[fitted]).max(), 1.0 + 1e-9)

    def test_linear_is_the_weighted_line(self):
        signal = noisy_voxels(100, 2.0)
        fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, method="linear")
        alpha = np.deg2rad(FLIP_DEG)
        for s, t1_ms in zip(signal, fit.t1_ms, strict=True):
            weight = np.sin(alpha) / (1.0 - np.exp(-TR_MS / t1_ms) * np.cos(alpha))
            slope, _ = np.polyfit(s / np.tan(alpha), s / np.sin(alpha), 1, w=weight)
            self.assertAlmostEqual(-TR_MS / np.log(slope) / t1_ms, 1.0, delta=1e-6)


class Statuses(unittest.TestCase):
    def test_reasons(self):
        good = 100.0 * textbook_spgr(549.0, FLIP_DEG)
        signal = np.tile(good, (9, 1))
        signal[0, 2] = np.nan
        signal[1] = 0.0
        signal[2, 0] = -1.0
        signal[3] = np.sin(np.deg2rad(FLIP_DEG))  # full relaxation: T1 0
        signal[4] = 1.0 / np.tan(np.deg2rad(FLIP_DEG) / 2.0)  # what T1 without end comes to
        b1 = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, np.nan, 8.0, 1.0])
        expected = [T1Status.NO_SIGNAL] * 3 + [T1Status.OUT_OF_RANGE] * 2 + [T1Status.NO_B1] * 3 + [T1Status.FITTED]
        for method in ("nonlinear", "linear"):
            with self.subTest(method), warnings.catch_warnings():
                warnings.simplefilter("error")
                fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, b1, method)
                self.assertEqual([T1Status(code) for code in fit.status], expected)
                for values in (fit.t1_ms, fit.m0, fit.rmse):
                    self.assertEqual(np.isfinite(values).tolist(), [False] * 8 + [True])
                self.assertAlmostEqual(fit.t1_ms[8], 549.0, places=6)

    def test_every_status_has_a_meaning(self):
        self.assertEqual(len({status.meaning for status in T1Status}), len(T1Status))

    def test_neighbors_and_chunks_do_not_matter(self):
        signal = noisy_voxels(5000, 3.0)
        b1 = np.random.default_rng(2).uniform(0.8, 1.2, 5000)
        b1[4000] = 0.0
        order = np.random.default_rng(3).permutation(5000)
        whole = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, b1)
        shuffled = t1_from_flip_angles(signal[order], FLIP_DEG, TR_MS, b1[order])
        np.testing.assert_allclose(shuffled.t1_ms, whole.t1_ms[order], rtol=1e-10)
        self.assertEqual(np.flatnonzero(whole.status != T1Status.FITTED).tolist(), [4000])
        self.assertEqual(whole.status[4000], T1Status.NO_B1)
        alone = t1_from_flip_angles(signal[4321], FLIP_DEG, TR_MS, b1[4321])
        self.assertAlmostEqual(float(alone.t1_ms) / whole.t1_ms[4321], 1.0, places=10)

    def test_signals_of_any_size(self):
        signal = textbook_spgr(549.0, FLIP_DEG) * np.array([1e300, 1e-300, 1.0, 1e155, 1e-170])[:, np.newaxis]
        for method in ("nonlinear", "linear"):
            with self.subTest(method), warnings.catch_warnings():
                warnings.simplefilter("error")
                fit = t1_from_flip_angles(signal, FLIP_DEG, TR_MS, method=method)
                np.testing.assert_allclose(fit.t1_ms, 549.0, rtol=1e-9)
                np.testing.assert_allclose(fit.m0, [1e300, 1e-300, 1.0, 1e155, 1e-170], rtol=1e-9)

    def test_no_voxels(self):
        self.assertEqual(t1_from_flip_angles(np.empty((0, 5)), FLIP_DEG, TR_MS).t1_ms.shape, (0,))


class BadInput(unittest.TestCase):
    def test_messages(self):
        one, pair = np.ones(2), [5.0, 15.0]
        for message, arguments in (
            (r"signal \(3,\) must be \(voxels, angles\) for the 2 flip angles", (np.ones(3), pair, 5.0)),
            ("3 repetition times for 2 flip angles", (one, pair, [5.0, 5.0, 5.0])),
            (r"B1 \(3,\) must be one number or one per voxel \(4,\)", (np.ones((4, 2)), pair, 5.0, np.ones(3))),
            ("between 0 and 180 degrees", (one, [0.0, 15.0], 5.0)),
            ("repetition times must be positive", (one, pair, 0.0)),
            ("two flip angles at least", (one, [5.0, 5.0], 5.0)),
            ("'cubic' is neither", (one, pair, 5.0, 1.0, "cubic")),
            ("the linear method needs one repetition time", (one, pair, [5.0, 6.0], 1.0, "linear")),
        ):
            with self.subTest(message), self.assertRaisesRegex(ValueError, message):
                t1_from_flip_angles(*arguments)


class OsipiReference(unittest.TestCase):
    """OSIPI's tolerance on R1 is 0.05 /s + 5 %."""

    def fit(self, name, per_s, method):
        with (support.reference_data("osipi") / name).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        signal, angles, times_s = (
            np.array([row[key].split() for row in rows], dtype=float) for key in ("s", "FA", "TR")
        )
        self.assertTrue((angles == angles[0]).all() and (times_s == times_s[0]).all())
        fit = t1_from_flip_angles(signal, angles[0], 1000.0 * times_s[0], method=method)
        expected = per_s * np.array([float(row["R1"]) for row in rows])
        error = np.abs(1000.0 / fit.t1_ms - expected)
        self.assertTrue((error <= 0.05 + 0.05 * expected).all())
        return len(rows), error / expected

    @support.against("Signal and T1", "T1 phantom, 45 voxels, both methods", "osipi", "t1_from_flip_angles")
    def test_qiba_phantom(self):
        # this file gives R1 per ms
        for method in ("nonlinear", "linear"):
            with self.subTest(method):
                count, error = self.fit("t1_quiba_data.csv", 1000.0, method)
                self.assertEqual(count, 45)
                support.measured(self, "R1, median", 100.0 * np.median(error), 0.35, "%")
                support.measured(self, "R1, largest", 100.0 * error, 3.5, "%")

    @support.against("Signal and T1", "T1 of the brain, 76 voxels", "osipi", "t1_from_flip_angles")
    def test_brain(self):
        count, error = self.fit("t1_brain_data.csv", 1.0, "nonlinear")
        self.assertEqual(count, 76)
        # its R1 come from the same least squares and have five digits
        support.measured(self, "R1, nonlinear, largest", 100.0 * error, 0.01, "%")
        _, error = self.fit("t1_brain_data.csv", 1.0, "linear")
        support.measured(self, "R1, linear, median", 100.0 * np.median(error), 0.2, "%")


if __name__ == "__main__":
    unittest.main()
