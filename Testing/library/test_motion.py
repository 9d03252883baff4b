"""Motion that is known, because the test made it, is found and undone."""

import dataclasses
import importlib.util
import sys
import unittest
from unittest import mock

import numpy as np
from DCEPerfusionBMDLib import study
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.kinetics import FitStatus
from DCEPerfusionBMDLib.motion import Motion, estimate_motion
from DCEPerfusionBMDLib.phantom import LEVELS
from DCEPerfusionBMDLib.roi import build_rois
from DCEPerfusionBMDLib.settings import Settings, from_dict
from DCEPerfusionBMDLib.study import analyze
from scipy import ndimage
from scipy.spatial.transform import Rotation
from support import against, measured, small_phantom

needs_simpleitk = unittest.skipUnless(importlib.util.find_spec("SimpleITK"), "SimpleITK is absent")
PHANTOM = {"rows": 192, "columns": 160, "slices": 14, "slice_thickness_mm": 4.0, "snr": None, "frame_time_s": 5.0}


def rigid(angles_deg, shift_mm, center_mm=(0.0, 0.0, 0.0)):
    """(4, 4) in RAS and mm: a rotation about a center, then a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    matrix[:3, 3] = center_mm - matrix[:3, :3] @ center_mm + shift_mm
    return matrix


def moved(frame, ijk_to_ras, matrix):
    """What lay at p lies at matrix p."""
    back = np.linalg.inv(ijk_to_ras) @ np.linalg.inv(matrix) @ ijk_to_ras
    return ndimage.affine_transform(
        np.asarray(frame, dtype=float), back[2::-1, 2::-1], back[2::-1, 3], order=1, mode="nearest"
    )


class FineSpine:
    """The phantom drawn on 12 times as many voxels, moved there and averaged, as a scanner averages over its voxels."""

    FINER = (3, 2, 2)

    def __init__(self, phantom):
        k, j, i = self.FINER
        self.phantom = phantom
        self.fine = dataclasses.replace(
            phantom,
            slices=k * phantom.slices,
            rows=j * phantom.rows,
            columns=i * phantom.columns,
            slice_thickness_mm=phantom.slice_thickness_mm / k,
        )

    def frame(self, index, matrix):
        back = np.linalg.inv(self.fine.ijk_to_ras) @ np.linalg.inv(matrix) @ self.fine.ijk_to_ras
        labels = ndimage.affine_transform(self.fine.labels, back[2::-1, 2::-1], back[2::-1, 3], order=0, mode="nearest")
        blocks = [n for pair in zip(self.phantom.labels.shape, self.FINER, strict=True) for n in pair]
        signal = self.phantom.tissue_signal[:, index].astype(np.float32)
        return signal[labels].reshape(blocks).mean(axis=(1, 3, 5))

    def series(self, motions):
        return with_frames(self.phantom, [self.frame(index, matrix) for index, matrix in enumerate(motions)])


def random_motions(count, still, seed, most_mm=6.0, most_deg=3.0, center_mm=(0.0, 0.0, 0.0)):
    """Of any direction and axis, none in the first frames, up to the most in the others."""
    random = np.random.default_rng(seed)
    motions = [np.eye(4)] * still
    for _ in range(count - still):
        direction, axis = (v / np.linalg.norm(v) for v in random.standard_normal((2, 3)))
        shift_mm, angle_deg = random.uniform(0, most_mm), random.uniform(0, most_deg)
        turn = Rotation.from_rotvec(axis * angle_deg, degrees=True).as_euler("xyz", degrees=True)
        motions.append(rigid(turn, direction * shift_mm, center_mm))
    return np.array(motions)


def with_frames(phantom, frames):
    return dataclasses.replace(phantom.series(), frames=frames)


def positions(mask, ijk_to_ras):
    return np.argwhere(mask)[:, ::-1] @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]


def apart(found, true, at):
    """Largest distance between where two transforms put some points."""
    difference = found - true
    return np.linalg.norm(at @ difference[:3, :3].T + difference[:3, 3], axis=1).max()


def estimate(series, segments, baseline_frames, mode, progress=lambda fraction, message: True):
    rois = build_rois(segments, series.spacing_mm, Settings())
    return estimate_motion(series, rois, baseline_frames, mode, progress)


def ktrans(result):
    return np.array(result.vertebrae["ktrans_per_min"])


@needs_simpleitk
class WholeSpine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(**PHANTOM)
        cls.segments = cls.phantom.segments
        # away from its wall, as no interpolation can bring back what the wall blurs
        cls.segments["aorta"] = ndimage.binary_erosion(cls.segments["aorta"])
        cls.motions = random_motions(cls.phantom.times_s.size, 6, seed=1)
        cls.still = analyze(cls.phantom.series(), cls.segments)
        frames = [
            moved(frame, cls.phantom.ijk_to_ras, matrix)
            for frame, matrix in zip(cls.phantom.series().frames, cls.motions, strict=True)
        ]
        cls.series = with_frames(cls.phantom, frames)
        cls.settings = from_dict({"motion": {"motion": "series"}})
        cls.result = analyze(cls.series, cls.segments, cls.settings)

    def test_displacements(self):
        table = self.result.motion
        np.testing.assert_array_equal(table["time_s"], self.phantom.times_s)
        self.assertEqual(set(table["status"]), {"registered"})
        for name, mask in self.segments.items():
            at = positions(mask, self.phantom.ijk_to_ras)
            shifts = at @ self.motions[:, :3, :3].transpose(0, 2, 1) + self.motions[:, np.newaxis, :3, 3] - at
            centroid = np.linalg.norm(shifts.mean(axis=1), axis=1)
            largest = np.linalg.norm(shifts, axis=2).max(axis=1)
            np.testing.assert_allclose(table[f"{name}_displacement_mm"], centroid, rtol=0, atol=0.5)
            bar_mm = 0.5 if name in LEVELS else 0.8  # the ends of the artery lie far from the spine
            np.testing.assert_allclose(table[f"{name}_largest_mm"], largest, rtol=0, atol=bar_mm)

    @against("Regions and motion", "spine moved by up to 6 mm, in 3-D", "planted", "estimate_motion")
    def test_transforms(self):
        """Also the direction is right: each centroid is put within 0.5 mm of its true place."""
        motion = estimate(self.series, self.segments, 6, "series")
        for name in LEVELS:
            center = positions(self.segments[name], self.phantom.ijk_to_ras).mean(axis=0, keepdims=True)
            errors = [apart(f, t, center) for f, t in zip(motion.transforms[0], self.motions, strict=True)]
            measured(self, "centers of the vertebrae", errors, 0.5, "mm")

    @against("Regions and motion", "the same, analyzed at rest", "phantom", "analyze")
    def test_ktrans_is_that_of_the_spine_at_rest(self):
        corrected = ktrans(self.result) / ktrans(self.still) - 1.0
        uncorrected = ktrans(analyze(self.series, self.segments)) / ktrans(self.still) - 1.0
        measured(self, "Ktrans of 5 levels, corrected", 100.0 * corrected, 3.0, "%")
        self.assertGreater(np.abs(uncorrected).max(), 5 * np.abs(corrected).max())

    def test_partial_volumes(self):
        """Moved before it is imaged: the error is larger, up to 0.4 of a voxel of 1.8 x 2.2 x 4 mm."""
        spine = FineSpine(self.phantom)
        still = ktrans(analyze(spine.series([np.eye(4)] * len(self.motions)), self.segments))
        series = spine.series(self.motions)
        motion = estimate(series, self.segments, 6, "series")
        errors = []
        for name in LEVELS:
            center = positions(self.segments[name], self.phantom.ijk_to_ras).mean(axis=0, keepdims=True)
            errors += [apart(f, t, center) for f, t in zip(motion.transforms[0], self.motions, strict=True)]
        self.assertLess(max(errors), 0.8)
        self.assertLess(np.mean(errors), 0.25)
        corrected = ktrans(analyze(series, self.segments, self.settings)) / still - 1.0
        uncorrected = ktrans(analyze(series, self.segments)) / still - 1.0
        self.assertLess(np.abs(corrected).max(), 0.02)
        self.assertGreater(np.abs(uncorrected).max(), 0.1)

    def test_warning_of_large_motion(self):
        self.assertRegex(" ".join(self.result.warnings), r"the patient moved: \w+ by up to \d+\.\d mm, in frame \d+;")
        self.assertNotRegex(" ".join(self.still.warnings), "moved")

    @against("Reproducibility", "an analysis with motion, run twice", "closed form", "analyze")
    def test_two_runs_agree_to_the_last_bit(self):
        again = analyze(self.series, self.segments, self.settings)
        self.assertEqual(again.motion.to_csv(), self.result.motion.to_csv())
        for name, grid in self.result.maps.items():
            measured(self, "maps that differ", again.maps[name].values.tobytes() != grid.values.tobytes(), 0)

    def test_spine_at_rest_stays_where_it_is(self):
        result = analyze(self.phantom.series(), self.segments, self.settings)
        for name in LEVELS:
            self.assertLess(max(result.motion[f"{name}_largest_mm"]), 0.5)
        np.testing.assert_allclose(ktrans(result), ktrans(self.still), rtol=0.01)


@needs_simpleitk
class Estimate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(**{**PHANTOM, "frame_time_s": 12.0})
        cls.segments, cls.at_rest = cls.phantom.segments, list(cls.phantom.series().frames)

    def test_vertebrae_that_move_on_their_own(self):
        ijk_to_ras, count = self.phantom.ijk_to_ras, self.phantom.times_s.size
        height = ijk_to_ras[2, 1] * np.arange(self.phantom.rows)[np.newaxis, :, np.newaxis] + ijk_to_ras[2, 3]
        motions, frames = {}, [frame.copy() for frame in self.at_rest]
        for n, name in enumerate(LEVELS):
            center = positions(self.segments[name], ijk_to_ras).mean(axis=0)
            motions[name] = random_motions(count, 3, seed=n, most_mm=3.0, center_mm=center)
            slab = np.broadcast_to(np.abs(height - center[2]) < 18.0, self.phantom.labels.shape)
            for frame, rest, matrix in zip(frames, self.at_rest, motions[name], strict=True):
                frame[slab] = moved(rest, ijk_to_ras, matrix)[slab]
        motion = estimate(with_frames(self.phantom, frames), self.segments, 3, "vertebra")
        self.assertEqual(motion.bodies, ("spine", *LEVELS))
        self.assertTrue(motion.registered.all())
        for n, name in enumerate(LEVELS, start=1):
            center = positions(self.segments[name], ijk_to_ras).mean(axis=0, keepdims=True)
            errors = [apart(f, t, center) for f, t in zip(motion.transforms[n], motions[name], strict=True)]
            self.assertLess(max(errors), 0.6, name)
            self.assertTrue((motion.body[self.segments[name]] == n).all())

    def test_few_slices_move_within_their_plane(self):
        phantom = small_phantom(slices=3, snr=None, frame_time_s=12.0)
        angles = np.linspace(0, 2, phantom.times_s.size).clip(0.5) - 0.5
        motions = [rigid((angle, 0, 0), (0.0, 2.0 * angle, -angle)) for angle in angles]
        frames = [
            moved(frame, phantom.ijk_to_ras, matrix)
            for frame, matrix in zip(phantom.series().frames, motions, strict=True)
        ]
        motion = estimate(with_frames(phantom, frames), phantom.segments, 3, "series")
        np.testing.assert_allclose(motion.transforms[0, :, 0], np.tile([1.0, 0, 0, 0], (len(motions), 1)), atol=1e-12)
        for name in LEVELS:
            center = positions(phantom.segments[name], phantom.ijk_to_ras).mean(axis=0, keepdims=True)
            errors = [apart(f, t, center) for f, t in zip(motion.transforms[0], motions, strict=True)]
            self.assertLess(max(errors), 0.5, name)

    def test_frame_that_cannot_be_registered_keeps_its_place_and_is_named(self):
        frames = list(self.at_rest)
        frames[7] = np.zeros_like(frames[7])
        motion = estimate(with_frames(self.phantom, frames), self.segments, 3, "vertebra")
        np.testing.assert_array_equal(motion.transforms[:, 7], np.tile(np.eye(4), (6, 1, 1)))
        for of in (motion.displacement_mm, motion.largest_mm):
            for name, values in of.items():
                np.testing.assert_array_equal(np.isnan(values), np.arange(len(frames)) == 7, name)
        table = motion.table()
        self.assertTrue(np.isnan(table["L1_displacement_mm"][7]))
        self.assertEqual(table["status"][7], "failed: spine, L1, L2, L3, L4, L5")
        self.assertEqual(list(table["status"]).count("registered"), len(frames) - 1)
        self.assertRegex(
            " ".join(motion.warnings()), r"could not be estimated in frame 8 \(spine, L1, .*nothing is corr"
        )

    def test_values_that_are_not_finite_have_no_part_in_it(self):
        """As masked exports hold them; the motion made is found as where all are finite."""
        ijk_to_ras, count = self.phantom.ijk_to_ras, self.phantom.times_s.size
        inside = np.logical_or.reduce([self.segments[name] for name in LEVELS])
        motions = random_motions(count, 3, seed=5, most_mm=4.0, center_mm=positions(inside, ijk_to_ras).mean(axis=0))
        frames = [moved(f, ijk_to_ras, m).astype(np.float32) for f, m in zip(self.at_rest, motions, strict=True)]
        first, far, single = (np.zeros(inside.shape, dtype=bool) for _ in range(3))
        first[0] = True
        far[:] = ~ndimage.binary_dilation(np.logical_or.reduce(list(self.segments.values())), iterations=8)
        single[tuple(np.argwhere(self.segments["L3"])[0])] = True
        for what, holes, where in (
            ("slice", first, range(count)),
            ("surroundings", far, range(count)),
            ("voxel in a frame before contrast", single, [1]),
        ):
            with self.subTest(what):
                holed = [np.where(holes, np.nan, f) if n in where else f for n, f in enumerate(frames)]
                motion = estimate(with_frames(self.phantom, holed), self.segments, 3, "series")
                self.assertTrue(motion.registered.all())
                for name in LEVELS:
                    center = positions(self.segments[name], ijk_to_ras).mean(axis=0, keepdims=True)
                    errors = [apart(f, t, center) for f, t in zip(motion.transforms[0], motions, strict=True)]
                    self.assertLess(max(errors), 0.6, name)

    def test_no_frame_after_contrast_registered(self):
        for value in (0.0, np.nan):
            frames = [f if n < 3 else np.full(f.shape, value) for n, f in enumerate(self.at_rest)]
            with self.assertRaisesRegex(
                InputError, "could not be estimated in any frame after contrast.*--motion none"
            ):
                estimate(with_frames(self.phantom, frames), self.segments, 3, "series")
        frames = [np.full(f.shape, np.nan) if n < 3 else f for n, f in enumerate(self.at_rest)]
        with self.assertRaisesRegex(InputError, "no finite value before contrast"):
            estimate(with_frames(self.phantom, frames), self.segments, 3, "series")

    def test_cancel(self):
        series = with_frames(self.phantom, self.at_rest)
        calls = []
        settings = from_dict({"motion": {"motion": "series"}})
        analyze(series, self.segments, settings, progress=lambda f, m: calls.append((f, m)) is None)
        self.assertEqual([fraction for fraction, _ in calls], sorted(fraction for fraction, _ in calls))
        self.assertEqual(sum(message == "Estimating motion" for _, message in calls), len(self.at_rest))
        with self.assertRaises(Cancelled):
            analyze(series, self.segments, settings, progress=lambda f, m: m != "Estimating motion")


class Reading(unittest.TestCase):
    """How the signal is read through a motion; no registration."""

    def setUp(self):
        self.phantom = small_phantom(snr=None, frame_time_s=12.0)
        self.series, self.segments = self.phantom.series(), self.phantom.segments

    def motion(self, *transforms):
        """The spine at the same place in all frames; a second body where a second transform is given."""
        count = self.phantom.times_s.size
        body = np.zeros(self.series.shape, dtype=np.uint8)
        if len(transforms) > 1:
            body[self.segments["L3"]] = 1
        still = {name: np.zeros(count) for name in self.segments}
        return Motion(
            self.phantom.times_s,
            self.phantom.ijk_to_ras,
            ("spine", "L3")[: len(transforms)],
            body,
            np.array([[matrix] * count for matrix in transforms]),
            np.ones((len(transforms), count), dtype=bool),
            still,
            still,
        )

    def test_a_field_that_is_linear_in_space_is_read_exactly(self):
        """The linear interpolation of a linear function is that function, at the moved place of each voxel."""
        ijk_to_ras, gradient = self.phantom.ijk_to_ras, np.array([0.3, -0.7, 1.1])
        everywhere = np.ones(self.series.shape, dtype=bool)
        frame = (positions(everywhere, ijk_to_ras) @ gradient + 5.0).reshape(self.series.shape)
        transforms = rigid((1, -2, 3), (0.5, 1.0, -2.0)), rigid((-1, 0.5, 1), (-0.3, 3.0, 1.0))
        motion = self.motion(*transforms)
        for name, matrix in zip(("L2", "L3"), transforms, strict=True):
            mask = self.segments[name]
            mask[[0, -1]] = False
            at = positions(mask, ijk_to_ras) @ matrix[:3, :3].T + matrix[:3, 3]
            np.testing.assert_allclose(
                motion.signal(frame, 0, np.flatnonzero(mask)), at @ gradient + 5.0, rtol=0, atol=1e-4
            )

    def test_no_motion_reads_the_frame(self):
        frame, voxels = self.series.frames[5], np.flatnonzero(self.segments["L1"])
        values = self.motion(np.eye(4)).signal(frame, 5, voxels)
        np.testing.assert_allclose(values, frame.ravel()[voxels], rtol=1e-6)

    def test_outside_the_field_of_view(self):
        """A shift by two slices of 5 mm; the border of the view is that of the outermost boxes."""
        frame, voxels = self.series.frames[0], np.arange(np.prod(self.series.shape))
        for shift_mm, lost_slices in ((2.4, 0), (2.6, 1), (-10.0, 2), (1000.0, 6)):
            values = self.motion(rigid((0, 0, 0), (shift_mm, 0, 0))).signal(frame, 0, voxels)
            lost = np.isnan(values.reshape(self.series.shape)).all(axis=(1, 2))
            self.assertEqual((lost.sum(), np.isnan(values).mean()), (lost_slices, lost_slices / 6))

    def analyze(self, *transforms):
        motion = self.motion(*transforms)
        with (
            mock.patch.object(study, "estimate_motion", lambda *arguments: motion),
            mock.patch.object(study, "simpleitk"),
        ):
            return analyze(self.series, self.segments, from_dict({"motion": {"motion": "vertebra"}}))

    def test_voxels_that_leave_the_field_of_view_are_counted(self):
        whole = analyze(self.series, self.segments)
        result = self.analyze(np.eye(4), rigid((0, 0, 0), (10.0, 0, 0)))
        region = result.rois.regions[2]
        lost = region.analyzed & (np.arange(6)[:, np.newaxis, np.newaxis] >= 4)
        np.testing.assert_array_equal(result.maps["status"].values[lost], FitStatus.TOO_FEW_FRAMES)
        np.testing.assert_array_equal(
            np.isfinite(result.maps["ktrans"].values[region.analyzed]), ~lost[region.analyzed]
        )
        self.assertTrue(np.isnan(result.maps["emax"].values[lost]).all())
        self.assertIn(
            f"L3: {lost.sum()} of its {region.analyzed.sum()} analyzed voxels leave the field of view in some frame; "
            "they get no estimate and are left out of the mean curve",
            result.warnings,
        )
        self.assertTrue(np.isfinite(result.curves[2].fitted_mM).all())
        np.testing.assert_allclose(ktrans(result), ktrans(whole), rtol=0.01)

    def test_artery_outside_the_field_of_view(self):
        result = self.analyze(rigid((0, 0, 0), (-10.0, 0, 0)))
        drawn, used = self.segments["aorta"], result.rois.input
        self.assertTrue(0 < used.sum() < drawn.sum())
        self.assertRegex(
            " ".join(result.warnings), f"aorta: {drawn.sum() - used.sum()} of its {drawn.sum()} voxels leave"
        )
        with self.assertRaisesRegex(InputError, "every voxel of the segment 'aorta' leaves the field of view"):
            self.analyze(rigid((0, 0, 0), (100.0, 0, 0)))

    def test_none_is_the_default_and_needs_nothing(self):
        with (
            mock.patch.dict(sys.modules, {"SimpleITK": None}),
            mock.patch.object(study, "estimate_motion") as estimated,
        ):
            result = analyze(self.series, self.segments)
        estimated.assert_not_called()
        self.assertIsNone(result.motion)
        self.assertEqual([table.name for table in result.tables()], ["vertebrae", "descriptive", "margins", "curves"])

    def test_without_simpleitk(self):
        message = (
            "^motion correction needs SimpleITK, which 3D Slicer bundles; install it with pip, or choose --motion none$"
        )
        with mock.patch.dict(sys.modules, {"SimpleITK": None}), self.assertRaisesRegex(InputError, message):
            analyze(self.series, self.segments, from_dict({"motion": {"motion": "series"}}))


if __name__ == "__main__":
    unittest.main()
