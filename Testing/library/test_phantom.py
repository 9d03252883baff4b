"""The phantom: physics of the paper's protocol, and the analysis against its truth."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.densitometry import t_score_category
from DCEPerfusionBMDLib.phantom import BONE_LOSS, LEVELS, NORMAL, OSTEOPOROSIS, TISSUES, LumbarPhantom
from DCEPerfusionBMDLib.study import analyze
from support import against, measured, small_phantom


def largest_error(result) -> float:
    """Largest relative error of Ktrans, kep and ve of the mean curve over all levels."""
    table, errors = result.vertebrae, []
    for n, level in enumerate(table["level"]):
        bone = LEVELS[level]
        for column, true in (
            ("ktrans_per_min", bone.ktrans_per_min),
            ("kep_per_min", bone.kep_per_min),
            ("ve", bone.ktrans_per_min / bone.kep_per_min),
        ):
            errors.append(abs(table[column][n] / true - 1.0))
    return max(errors)


class Protocol(unittest.TestCase):
    def test_grid_of_the_paper(self):
        phantom = LumbarPhantom()
        self.assertEqual(phantom.labels.shape, (12, 256, 160))
        np.testing.assert_allclose(phantom.series().spacing_mm, (5.0, 350 / 256, 350 / 160))
        self.assertEqual((phantom.repetition_time_ms, phantom.echo_time_ms, phantom.field_strength_T), (3.5, 1.2, 1.5))
        np.testing.assert_allclose(np.diff(phantom.times_s), 3.0)
        self.assertEqual(len(phantom.times_s) * 3.0, 360.0)

    def test_classes_are_those_of_table_3(self):
        printed = {
            NORMAL: (0.961, 3.150, 0.356),
            BONE_LOSS: (0.563, 3.023, -1.625),
            OSTEOPOROSIS: (0.326, 2.344, -2.989),
        }
        for bone, expected in printed.items():
            self.assertEqual((bone.ktrans_per_min, bone.kep_per_min, bone.t_score), expected)
        self.assertEqual(set(LEVELS.values()), set(printed))
        categories = [t_score_category(bone.t_score).value for bone in printed]
        self.assertEqual(categories, ["normal", "low bone mass", "osteoporosis"])

    def test_every_tissue_is_there_and_the_artery_runs_beside_the_bodies(self):
        phantom = LumbarPhantom()
        present = {list(TISSUES)[n] for n in np.unique(phantom.labels)}
        self.assertEqual(present, set(TISSUES))
        segments = phantom.segments
        self.assertEqual(list(segments), [*LEVELS, "aorta"])
        self.assertEqual(int(sum(mask.astype(int) for mask in segments.values()).max()), 1)
        avoided = np.isin(phantom.labels, [list(TISSUES).index("plexus"), list(TISSUES).index("bone island")])
        self.assertFalse(any((mask & avoided).any() for mask in segments.values()))
        self.assertGreater(np.count_nonzero(segments["aorta"]), 1000)

    def test_counts_fit_sixteen_bits_and_blood_starts_at_two_thousand(self):
        signal = LumbarPhantom().tissue_signal
        aorta = signal[list(TISSUES).index("aorta")]
        self.assertGreaterEqual(aorta[0], 2000.0)
        self.assertLess(signal.max(), 65535 * 0.95)

    def test_noise(self):
        phantom = small_phantom(rows=256, columns=160)
        marrow = phantom.frame(0)[phantom.labels == list(TISSUES).index("L1")].astype(float)
        self.assertAlmostEqual(marrow.mean() / marrow.std(), 20.0, delta=1.0)
        air = phantom.frame(0)[phantom.labels == 0].astype(float)
        self.assertAlmostEqual(air.std() / air.mean(), np.sqrt(4 / np.pi - 1), delta=0.01)  # Rayleigh

    def test_same_seed_same_frames(self):
        phantom = small_phantom()
        frames = phantom.series().frames
        np.testing.assert_array_equal(frames[3], small_phantom().frame(3))
        np.testing.assert_array_equal(frames[3:5][0], frames[3])
        self.assertEqual(len(list(frames)), len(phantom.times_s))
        self.assertFalse(np.array_equal(frames[3], small_phantom(seed=1).frame(3)))
        self.assertFalse(np.array_equal(frames[3], frames[2]))


class AgainstTheTruth(unittest.TestCase):
    """The bars of the main job; the error without noise is what sampling a bolus at the frame time costs."""

    @against(
        "Kinetic models", "whole analysis without noise, worst of Ktrans, kep, ve of 5 levels", "phantom", "analyze"
    )
    def test_without_noise(self):
        for frame_time_s, bar in ((1.5, 0.005), (3.0, 0.013)):
            with self.subTest(frame_time_s=frame_time_s):
                phantom = small_phantom(frame_time_s=frame_time_s, duration_s=360.0, snr=None)
                error = 100.0 * largest_error(analyze(phantom.series(), phantom.segments))
                measured(self, f"frames of {frame_time_s:g} s", error, 100.0 * bar, "%")

    def test_without_noise_at_any_phase_of_the_bolus(self):
        for arrival_s in (30.0, 30.7, 31.4, 32.1, 32.8):
            with self.subTest(arrival_s=arrival_s):
                phantom = small_phantom(duration_s=360.0, snr=None, arrival_s=arrival_s)
                self.assertLess(largest_error(analyze(phantom.series(), phantom.segments)), 0.013)

    @against(
        "Kinetic models",
        "whole analysis at SNR 20, three noises, worst of Ktrans, kep, ve of 5 levels",
        "phantom",
        "analyze",
    )
    def test_with_noise(self):
        for seed in (2019, 1, 2):
            with self.subTest(seed=seed):
                phantom = LumbarPhantom(seed=seed)
                result = analyze(phantom.series(), phantom.segments)
                measured(self, "frames of 3 s", 100.0 * largest_error(result), 5.0, "%")
                self.assertLess(max(result.vertebrae["failed_share"]), 0.01)


if __name__ == "__main__":
    unittest.main()
