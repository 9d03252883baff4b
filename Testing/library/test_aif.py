"""Population arterial inputs, plasma, arrival, and the pick of arterial voxels."""

import csv
import tracemalloc
import unittest
import warnings

import numpy as np
from DCEPerfusionBMDLib.kinetics import baseline_frame_count, parker_blood_concentration, plasma_from_blood
from DCEPerfusionBMDLib.kinetics.aif import (
    POPULATION_INPUTS,
    arrival_time_s,
    fritz_hansen_plasma_concentration,
    georgiou_blood_concentration,
    orton2_blood_concentration,
    orton3_blood_concentration,
    pick_arterial_voxels,
    population_plasma,
    scaled_to_tail,
    weinmann_plasma_concentration,
)
from DCEPerfusionBMDLib.kinetics.tofts import tofts_concentration
from DCEPerfusionBMDLib.phantom import TISSUES
from support import against, measured, reference_data, small_phantom

FRAME_TIMES_S = (1.0, 1.5, 3.0, 5.0)
AORTA = list(TISSUES).index("aorta")


class Parker(unittest.TestCase):
    """Check values of the published function, evaluated independently."""

    @against(
        "Arterial input", "population function at 6 times, evaluated apart", "parker", "parker_blood_concentration"
    )
    def test_published_curve(self):
        times_min = [-0.01, 0.0, 0.17257, 1.0, 5.0, 10.0]
        expected = [0.0, 0.0803847, 6.07321, 0.88719, 0.45216, 0.19472]
        measured(self, "blood concentration", parker_blood_concentration(times_min) - np.array(expected), 6e-6, "mM")

    def test_area_of_the_first_minute(self):
        times_min = np.linspace(0.0, 1.0, 200001)
        self.assertAlmostEqual(float(np.trapezoid(parker_blood_concentration(times_min), times_min)), 1.6165, places=4)

    @against("Arterial input", "Parker's function as tabulated", "osipi", "parker_blood_concentration")
    def test_reference_curves(self):
        rows = _rows("ParkerAIF_ref.csv")
        found = parker_blood_concentration([float(row["time"]) for row in rows])
        measured(self, "blood concentration", found - [float(row["Cb"]) for row in rows], 1e-9, "mM")


class Georgiou(unittest.TestCase):
    @against(
        "Arterial input",
        "published curve; its own printed function is .0816 mM from it",
        "georgiou",
        "georgiou_blood_concentration",
    )
    def test_published_curve(self):
        """An independent evaluation of the published form is 0.0816 mM from the published curve at most."""
        rows = _rows("GeorgiouAIF_ref.csv")
        found = georgiou_blood_concentration([float(row["time"]) for row in rows])
        error = np.abs(found - [float(row["Cb"]) for row in rows])
        measured(self, "blood concentration", error, 0.0817, "mM")
        self.assertAlmostEqual(float(error.max()), 0.0816, delta=1e-4)

    def test_passes_add_up_to_a_constant(self):
        """The sum over the passes converges to 3.0366; what then remains is the three exponentials."""
        times_min = np.array([6.0, 8.0])
        tail = 0.37 * np.exp(-0.11 * times_min) + 0.33 * np.exp(-1.17 * times_min) + 10.06 * np.exp(-16.02 * times_min)
        np.testing.assert_allclose(georgiou_blood_concentration(times_min) / tail, 3.0366, atol=2e-3)

    def test_one_time_and_any_shape(self):
        self.assertEqual(georgiou_blood_concentration(-1.0).shape, ())
        self.assertEqual(float(georgiou_blood_concentration(-1.0)), 0.0)
        self.assertEqual(georgiou_blood_concentration(np.ones((2, 3))).shape, (2, 3))


class Biexponential(unittest.TestCase):
    @against(
        "Arterial input",
        "Tofts curves of the biexponential input, sampled at 1 ms of a minute",
        "weinmann",
        "weinmann_plasma_concentration",
    )
    def test_tofts_curves_of_the_weinmann_input(self):
        """Closed form of the Tofts model for this input: D Ktrans sum a (exp(-m t) - exp(-kep t)) / (kep - m)."""
        times_min = np.arange(0.0, 10.0005, 0.001)
        plasma = weinmann_plasma_concentration(times_min)
        at = [500, 1000, 2000, 5000, 10000]
        for ktrans, ve, expected in (
            (0.25, 0.5, (0.09522836, 0.16614709, 0.25614248, 0.32455286, 0.28159801)),
            (0.961, 0.306, (0.20790127, 0.24408097, 0.23899035, 0.2011475, 0.16168279)),
            (0.326, 0.138, (0.08213325, 0.1045494, 0.1076751, 0.09123776, 0.073205)),
        ):
            with self.subTest(ktrans=ktrans):
                found = tofts_concentration(60.0 * times_min, plasma, ktrans, ktrans / ve)[at]
                measured(self, "tissue concentration, relative", found / expected - 1.0, 1e-6)

    def test_values_by_hand(self):
        np.testing.assert_allclose(weinmann_plasma_concentration([-1e-9, 0.0]), [0.0, 0.877])
        np.testing.assert_allclose(
            fritz_hansen_plasma_concentration([-1e-9, 0.0, 0.5]), [0.0, 3.02, 1.150572], rtol=1e-6
        )


class Orton(unittest.TestCase):
    """Check values of the published functions, evaluated independently."""

    @against("Arterial input", "models 2 and 3 at 5 times, evaluated apart", "orton", "orton2_blood_concentration")
    def test_published_curves(self):
        times_min = [-1e-9, 0.0, 0.1, 1.0, 5.0]
        for function, expected in (
            (orton2_blood_concentration, (0.0, 0.0, 5.18503, 0.89538, 0.45000)),
            (orton3_blood_concentration, (0.0, 0.0, 4.94598, 0.91852, 0.46348)),
        ):
            measured(self, "blood concentration", function(times_min) - np.array(expected), 6e-6, "mM")


class Plasma(unittest.TestCase):
    def test_hematocrit_is_applied_once(self):
        np.testing.assert_allclose(plasma_from_blood([0.58, 1.16], 0.42), [1.0, 2.0])

    def test_a_hematocrit_that_is_no_share(self):
        for hematocrit in (1.0, 42.0, -0.1, np.nan):
            with self.subTest(hematocrit=hematocrit), warnings.catch_warnings():
                warnings.simplefilter("error")
                with self.assertRaisesRegex(ValueError, f"the hematocrit {hematocrit:g} must be a share"):
                    plasma_from_blood(np.ones(3), hematocrit)

    def test_population_plasma(self):
        """One minute after an arrival at 30 s: blood functions get the hematocrit, plasma functions do not."""
        blood, plasma = 0.88719 / 0.58, 0.399 * np.exp(-0.144) + 0.478 * np.exp(-0.0111)
        for name, expected in (("parker", blood), ("weinmann", plasma)):
            for dose, factor in ((0.1, 1.0), (0.05, 0.5)):
                with self.subTest(name=name, dose=dose):
                    found = population_plasma(name, [0.0, 29.9, 90.0], 30.0, 0.42, dose)
                    np.testing.assert_allclose(found, [0.0, 0.0, factor * expected], rtol=1e-5)

    def test_plasma_of_every_input_is_plausible(self):
        """Published inputs for the same dose agree to about a factor of two once the bolus has mixed."""
        for name, entry in POPULATION_INPUTS.items():
            with self.subTest(name=name):
                self.assertEqual(entry.name, name)
                tail = population_plasma(name, [0.0, 150.0], 0.0, 0.42)[1]
                self.assertTrue(0.5 < tail < 1.6, tail)

    def test_unknown_name(self):
        with self.assertRaisesRegex(ValueError, "'Parkr'; there are parker, georgiou, weinmann, fritz-hansen, orton2"):
            population_plasma("Parkr", [0.0], 0.0, 0.42)


class Tail(unittest.TestCase):
    times_s = np.arange(0.0, 361.0, 3.0)

    def test_saturated_peak_does_not_matter(self):
        true = 1.3 * parker_blood_concentration((self.times_s - 31.0) / 60.0)
        measured = np.minimum(true, 1.5)
        measured[5] = np.nan
        measured[60] = np.nan
        blood, factor = scaled_to_tail(self.times_s, measured, "parker", 31.0)
        self.assertAlmostEqual(factor, 1.3, places=12)
        np.testing.assert_allclose(blood, true)

    def test_noise_averages_out(self):
        noise = 0.1 * np.random.default_rng(3).standard_normal(self.times_s.size)
        true = 0.7 * parker_blood_concentration((self.times_s - 31.0) / 60.0)
        self.assertAlmostEqual(scaled_to_tail(self.times_s, true + noise, "parker", 31.0)[1], 0.7, delta=0.06)

    def test_tail_that_cannot_scale(self):
        with self.assertRaisesRegex(ValueError, "only 0 frames .* 60 to 300 s after arrival at 340 s"):
            scaled_to_tail(self.times_s, np.ones_like(self.times_s), "parker", 340.0)
        with self.assertRaisesRegex(ValueError, "not positive"):
            scaled_to_tail(self.times_s, -np.ones_like(self.times_s), "parker", 31.0)


class Arrival(unittest.TestCase):
    def test_arrival_within_a_frame(self):
        """Largest mean error and standard deviation in seconds over 16 phases of Parker's function."""
        for noise_mM, bounds in (
            (0.0, ((0.22, 0.05), (0.22, 0.05), (0.15, 0.30), (0.70, 1.0))),
            (0.06, ((0.25, 0.25), (0.25, 0.25), (0.20, 0.45), (0.80, 1.1))),
        ):
            random = np.random.default_rng(11)
            for step_s, (bias_s, spread_s) in zip(FRAME_TIMES_S, bounds, strict=True):
                times_s = np.arange(0.0, 180.0, step_s)
                errors = []
                for arrival_s in 30.0 + step_s * np.arange(16) / 16:
                    for _ in range(1 if noise_mM == 0 else 10):
                        curve = parker_blood_concentration((times_s - arrival_s) / 60.0)
                        curve = curve + noise_mM * random.standard_normal(times_s.size)
                        errors.append(arrival_time_s(times_s, curve) - arrival_s)
                with self.subTest(step_s=step_s, noise_mM=noise_mM):
                    self.assertLessEqual(abs(np.mean(errors)), bias_s)
                    self.assertLessEqual(np.std(errors), spread_s)

    def test_quadratic_onset_is_found_exactly(self):
        times_s = np.array([0.0, 2.0, 5.0, 9.0, 12.0, 14.0, 15.0, 17.0, 20.0])
        curve = 7.0 + 0.5 * np.maximum(times_s - 9.5, 0.0) ** 2
        self.assertAlmostEqual(arrival_time_s(times_s, curve), 9.5, delta=0.02)
        gap = np.insert(curve, 4, np.nan)
        self.assertAlmostEqual(arrival_time_s(np.insert(times_s, 4, 10.0), gap), 9.5, delta=0.02)

    def test_bright_frame_before_the_bolus(self):
        times_s = np.arange(0.0, 180.0, 3.0)
        curve = parker_blood_concentration((times_s - 31.0) / 60.0)
        curve[3] = 4.0
        self.assertAlmostEqual(arrival_time_s(times_s, curve), 31.0, delta=3.0)
        self.assertIn(baseline_frame_count(curve), (10, 11))

    def test_no_frame_with_contrast_agent_counts(self):
        random = np.random.default_rng(7)
        for step_s in FRAME_TIMES_S:
            times_s = np.arange(0.0, 200.0, step_s)
            for arrival_s in 20.0 + step_s * np.arange(10) / 10:
                for noise in (0.0, 0.01, 0.03, 0.1):
                    clean = parker_blood_concentration((times_s - arrival_s) / 60.0)
                    count = baseline_frame_count(1.0 + clean + noise * random.standard_normal(clean.size))
                    truth = int(np.count_nonzero(times_s <= arrival_s))
                    with self.subTest(step_s=step_s, arrival_s=arrival_s, noise=noise):
                        self.assertGreaterEqual(count, truth - 2 - (noise >= 0.1))
                        if noise < 0.1:
                            self.assertLessEqual(count, truth + (clean[count - 1] == 0.0))
                        self.assertLessEqual(clean[:count].max(), 0.02 * 6.07)

    def test_noise_as_large_as_a_twentieth_of_the_peak(self):
        """The steepest step of such a curve may lie anywhere in its tail."""
        random = np.random.default_rng(8)
        times_s = np.arange(0.0, 180.0)
        clean = parker_blood_concentration((times_s - 30.4) / 60.0)
        counts = [baseline_frame_count(clean + 0.3 * random.standard_normal(180)) for _ in range(300)]
        self.assertLessEqual(max(counts), 35)
        self.assertGreaterEqual(min(counts), 26)

    def test_frames_that_are_missing(self):
        curve = np.array([1.0, 1.1, np.nan, 0.9, 1.0, np.nan, 6.0, 5.0, 3.0, 2.0, 2.0])
        self.assertIn(baseline_frame_count(curve), (4, 5))
        self.assertTrue(np.isnan(arrival_time_s(np.arange(4.0), np.full(4, np.nan))))

    def test_curve_without_a_rise(self):
        noise = np.random.default_rng(9).standard_normal((200, 60))
        self.assertEqual(baseline_frame_count(np.ones(30)), 0)
        self.assertEqual(baseline_frame_count(np.arange(30.0)[::-1]), 0)
        self.assertTrue(np.isnan(arrival_time_s(np.arange(30.0), np.ones(30))))
        self.assertLessEqual(np.mean([baseline_frame_count(row) > 0 for row in noise]), 0.03)

    def test_memory_of_many_frames(self):
        times_s = np.arange(0.0, 1000.0)
        curve = parker_blood_concentration((times_s - 900.4) / 60.0)
        tracemalloc.start()
        try:
            found = arrival_time_s(times_s, curve)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertAlmostEqual(found, 900.4, delta=0.3)
        # ninety thousand candidates and a block; every candidate times every frame would be 600 MB
        self.assertLess(peak, 10e6)

    def test_rise_in_the_second_frame(self):
        self.assertEqual(baseline_frame_count([1.0, 6.0, 5.0, 4.0, 3.0, 3.0]), 1)


class Pick(unittest.TestCase):
    """A box of the lumbar phantom that holds abdomen, aorta, vertebrae, discs and muscle."""

    def test_picked_voxels_are_aorta(self):
        for seed in range(5):
            for snr, share in ((20.0, 0.05), (8.0, 0.05), (20.0, 0.2)):
                signal, tissue, coordinates, phantom = _box(seed, snr)
                picked = pick_arterial_voxels(
                    signal, phantom.times_s, 10, share, coordinates=coordinates, slab_slices=phantom.slices
                )
                truth = phantom.tissue_signal[AORTA]
                with self.subTest(seed=seed, snr=snr, share=share):
                    self.assertGreaterEqual(picked.size, 100)
                    self.assertGreaterEqual(np.mean(tissue[picked] == AORTA), 0.9)
                    error = np.abs(signal[picked].mean(axis=0) - truth).max()
                    self.assertLessEqual(error, 0.02 * (truth.max() - truth[0]))

    def test_slices_at_the_edge_of_the_slab_are_left_out(self):
        signal, _, coordinates, phantom = _box(1, 20.0)
        inner = coordinates[
            pick_arterial_voxels(signal, phantom.times_s, 10, coordinates=coordinates, slab_slices=phantom.slices)
        ]
        self.assertEqual((inner[:, 0].min() >= 2, inner[:, 0].max() <= 3), (True, True))
        every = coordinates[pick_arterial_voxels(signal, phantom.times_s, 10, coordinates=coordinates)]
        self.assertLess(every[:, 0].min(), 2)
        outer = coordinates[:, 0] < 2
        kept = pick_arterial_voxels(
            signal[outer], phantom.times_s, 10, coordinates=coordinates[outer], slab_slices=phantom.slices
        )
        self.assertGreaterEqual(kept.size, 6)

    def test_largest_part_that_hangs_together(self):
        times_s = np.arange(0.0, 90.0, 3.0)
        artery = 100.0 + 50.0 * parker_blood_concentration((times_s - 20.0) / 60.0)
        signal = np.full((20, times_s.size), 100.0)
        coordinates = np.stack((np.zeros(20), np.zeros(20), np.arange(20)), axis=1)
        signal[[2, 3, 9, 10, 11, 17]] = artery
        signal[9, 4] = np.nan
        picked = pick_arterial_voxels(signal, times_s, 6, share=0.3, minimum=1)
        np.testing.assert_array_equal(picked, [2, 3, 10, 11, 17])
        coordinates[[2, 3, 4], 1] = 1
        signal[[2, 3, 4]] = artery
        picked = pick_arterial_voxels(signal, times_s, 6, share=1.0, minimum=1, coordinates=coordinates)
        np.testing.assert_array_equal(picked, [2, 3, 4])

    def test_later_or_slower_or_lower_is_less_arterial(self):
        times_s = np.arange(0.0, 180.0, 3.0)
        true = parker_blood_concentration((times_s - 30.0) / 60.0)
        late = parker_blood_concentration((times_s - 60.0) / 60.0)
        slow = 6.0 * np.clip((times_s - 30.0) / 60.0, 0.0, 1.0)
        signal = 10.0 + np.array([slow, late, 0.8 * true, true, -true])
        np.testing.assert_array_equal(pick_arterial_voxels(signal, times_s, 9, share=0.2, minimum=1), [3])
        ramp = 10.0 + 6.0 * np.clip((times_s - 30.0) / 30.0, 0.0, 1.0)
        step = np.where(times_s < 54.0, 10.0, ramp)
        np.testing.assert_array_equal(pick_arterial_voxels([ramp, step], times_s, 9, share=0.5, minimum=1), [1])

    def test_nothing_rises(self):
        times_s = np.arange(20.0)
        broken = np.full((3, 20), np.nan)
        broken[1] = np.inf
        falling = np.tile(100.0 - times_s, (9, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for signal in (np.empty((0, 20)), np.zeros((9, 20)), falling, broken):
                for place in (None, np.zeros((len(signal), 3), dtype=int)):
                    for minimum in (0, 6):
                        with self.subTest(voxels=len(signal), first=signal[:1, :1].tolist(), minimum=minimum):
                            picked = pick_arterial_voxels(
                                signal, times_s, 5, minimum=minimum, coordinates=place, slab_slices=10
                            )
                            self.assertEqual((picked.shape, picked.dtype), ((0,), np.intp))

    def test_nothing_to_pick(self):
        picked = pick_arterial_voxels(np.ones((9, 20)), np.arange(20.0), 5)
        self.assertEqual(picked.size, 0)
        with self.assertRaisesRegex(ValueError, r"signal \(9, 20\) must be \(voxels, 19 times\)"):
            pick_arterial_voxels(np.ones((9, 20)), np.arange(19.0), 5)
        with self.assertRaisesRegex(ValueError, r"coordinates \(8, 3\) must be \(9 voxels, 3\)"):
            pick_arterial_voxels(np.ones((9, 20)), np.arange(20.0), 5, coordinates=np.ones((8, 3)))
        with self.assertRaisesRegex(ValueError, "20 frames before contrast of 20"):
            pick_arterial_voxels(np.ones((9, 20)), np.arange(20.0), 20)


def _rows(name):
    with (reference_data("osipi") / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _box(seed, snr):
    """Signal, tissue and (k, j, i) of the voxels of a box around the aorta, and the phantom."""
    phantom = small_phantom(seed=seed, snr=snr)
    inside = np.zeros(phantom.labels.shape, dtype=bool)
    columns = np.nonzero(phantom.labels == AORTA)[2]
    inside[:, 40:90, columns.min() - 6 : columns.max() + 15] = True
    signal = np.stack([np.asarray(phantom.frame(n)[inside], dtype=float) for n in range(phantom.times_s.size)], axis=1)
    return signal, phantom.labels[inside], np.argwhere(inside), phantom


if __name__ == "__main__":
    unittest.main()
