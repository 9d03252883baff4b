"""Dynamic series from nodes: sequences, proxies and multivolumes, their times, tags, transforms and refusals."""

import dataclasses
import json
import re
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from DCEPerfusionBMDLib import scene
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.frames import is_source, mean_enhancement
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.sceneinput import is_dynamic_candidate, read_node
from DCEPerfusionBMDLib.series import DynamicSeries, Sourced
from DCEPerfusionBMDLib.study import analyze
from support import against, measured, reference_data, small_phantom
from vtk.util import numpy_support

SHAPE = (3, 4, 5)
FRAMES = 8
MATRIX = np.array([[0.0, -2.0, 0.0, 7.0], [1.5, 0.0, 0.0, -3.0], [0.0, 0.0, 5.0, 11.0], [0.0, 0.0, 0.0, 1.0]])


def voxels(t):
    """A value that tells frame and voxel."""
    k, j, i = np.indices(SHAPE)
    return (1000 * t + 100 * k + 10 * j + i).astype(np.int16)


def labels(seconds, tag="TriggerTime", unit="ms", **more):
    return {
        "MultiVolume.FrameLabels": ",".join(f"{1000 * s:g}" for s in seconds),
        "MultiVolume.FrameIdentifyingDICOMTagName": tag,
        "MultiVolume.FrameIdentifyingDICOMTagUnits": unit,
        **{f"MultiVolume.{key.replace('_', '.')}": value for key, value in more.items()},
    }


TIMES = np.array([0.0, 4.5, 9.0, 13.5, 18.0, 23.0, 28.0, 33.0])


class Nodes(unittest.TestCase):
    def setUp(self):
        self.host = HeadlessSlicer()
        self.scene = self.host.scene

    def sequence(self, index=None, name="", unit="", attributes=None, count=FRAMES):
        """A sequence as MultiVolumeImporter makes it, unless told otherwise."""
        node = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "DCE")
        node.SetIndexName(name)
        node.SetIndexUnit(unit)
        for key, value in (attributes or {}).items():
            node.SetAttribute(key, value)
        for t, value in enumerate(index or [str(n) for n in range(count)]):
            node.SetDataNodeAtValue(scene.volume_from_array(voxels(t), MATRIX), value)
        return node

    def proxy(self, sequence):
        browser = self.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        return browser.AddProxyNode(sequence.GetNthDataNode(0), sequence, True)

    def multivolume(self, attributes):
        """A volume with its frames in the components of its voxels, as vtkMRMLMultiVolumeNode holds them."""
        node = self.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "MV")
        image = vtk.vtkImageData()
        image.SetDimensions(*SHAPE[::-1])
        array = np.stack([voxels(t) for t in range(FRAMES)], axis=-1)
        image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(array.reshape(-1, FRAMES), deep=True))
        matrix = vtk.vtkMatrix4x4()
        slicer.util.updateVTKMatrixFromArray(matrix, MATRIX)
        node.SetIJKToRASMatrix(matrix)
        node.SetAndObserveImageData(image)
        for key, value in attributes.items():
            node.SetAttribute(key, value)
        return node

    def check(self, series, times=TIMES, matrix=MATRIX):
        self.assertEqual(len(series.frames), len(times))
        for t, frame in enumerate(series.frames):
            np.testing.assert_array_equal(frame, voxels(t))
            self.assertEqual(frame.dtype, np.int16)
        np.testing.assert_allclose(series.times_s, times, atol=1e-9)
        np.testing.assert_allclose(series.ijk_to_ras, matrix, atol=1e-9)

    def refuse(self, words, node, **options):
        with self.assertRaisesRegex(InputError, words) as caught:
            read_node(node, self.scene, **options)
        self.assertNotIn("\n", str(caught.exception))


class Times(Nodes):
    def test_frame_labels(self):
        series = read_node(self.sequence(attributes=labels(TIMES)), self.scene)
        self.check(series)
        self.assertEqual(series.time_source, "MultiVolume.FrameLabels (TriggerTime)")
        self.assertRegex(series.times_rejected[0], "index '' in '': it has no unit, so it is a count")

    def test_frame_labels_past_midnight(self):
        """Labels of a time of day, as the importer writes them: from the first frame, without the date."""
        seconds = np.where(TIMES > 10.0, TIMES - 86400.0, TIMES)
        series = read_node(self.sequence(attributes=labels(seconds, "AcquisitionTime")), self.scene)
        self.check(series)
        self.assertRegex(series.warnings[0], "crosses midnight")

    def test_index_with_a_unit_of_time(self):
        for unit, factor in (("s", 1.0), ("ms", 1000.0), ("min", 1 / 60.0)):
            with self.subTest(unit=unit):
                index = [f"{t * factor:.12g}" for t in TIMES]
                self.check(read_node(self.sequence(index, "time", unit), self.scene))

    def test_a_count_is_no_time(self):
        counted = [str(n) for n in range(FRAMES)]
        for index, name, unit, words in (
            (counted, "", "", "has no unit"),
            (counted, "time", "s", "goes up by exactly 1, as programs write"),
            ([str(n + 1) for n in range(FRAMES)], "time", "s", "goes up by exactly 1"),
            ([f"{n}.0" for n in range(FRAMES)], "time", "s", "goes up by exactly 1"),
            (["0", "4.5", "9", "13.5", "18", "22.5"], "time", "", "has no unit"),
            (["0", "4.5", "9", "13.5", "18", "22.5"], "frame", "s", "a count of the frames"),
            (["0", "4.5", "9", "13.5", "18", "22.5"], "b-value", "s/mm2", "is none of time"),
        ):
            with self.subTest(name=name, unit=unit):
                self.refuse(words + ".*--times", self.sequence(index, name, unit))

    def test_labels_that_are_no_times(self):
        repetition = np.arange(FRAMES) * 0.0035
        strategy = "TemporalPosition_via_InstanceNumber*RepetitionTime"
        for attributes, words in (
            (labels(TIMES, "Time", ParseStrategy=strategy), r"counted the repetition time per image \(TR x n\)"),
            (labels(np.arange(FRAMES) * 0.25, "Time", DICOM_RepetitionTime="250"), "250 ms is the repetition time"),
            (labels(repetition, "Time", DICOM_RepetitionTime="3.5"), "3.5 ms is the repetition time"),
            (labels(repetition), "0.0035 s is too short for a frame"),
            (labels(TIMES, "TemporalPositionIdentifier", "count"), "TemporalPositionIdentifier is no time"),
            (labels(TIMES, "FlipAngle", "degrees"), "FlipAngle is no time"),
            (labels(TIMES, "EchoTime"), "EchoTime is no time"),
            (labels(TIMES, "TriggerTime", "count"), "'count' is no unit of time"),
            (labels(TIMES[::-1]), "frame 2 is .* before frame 1"),
            (labels(TIMES[:-1]), "7 values for 8 frames"),
            ({**labels(TIMES), "MultiVolume.FrameLabels": "0,1000,x"}, "value 3 is no number"),
        ):
            with self.subTest(words=words):
                self.refuse(words, self.sequence(attributes=attributes))

    def test_of_the_user(self):
        sequence = self.sequence(attributes=labels(TIMES))
        self.check(read_node(sequence, self.scene, times="3"), np.arange(FRAMES) * 3.0)
        self.refuse("5 values for 8 frames", sequence, times="0,1,2,3,4")

    def test_skipped_frames(self):
        series = read_node(self.sequence(attributes=labels(TIMES)), self.scene, skip_frames=2)
        self.assertEqual(len(series.frames), FRAMES - 2)
        np.testing.assert_array_equal(series.frames[0], voxels(2))
        np.testing.assert_allclose(series.times_s, TIMES[2:] - TIMES[2])
        self.assertIn("the first 2 of 8 frames are left out", series.warnings)
        self.refuse("8 of them cannot be skipped", self.sequence(attributes=labels(TIMES)), skip_frames=8)


class Choices(Nodes):
    def test_times_that_were_not_used_can_still_be_chosen(self):
        """They go with the sequence, under names that a patient's cannot be among."""
        slow = TIMES * 2.0
        own = json.dumps({"ContentTime (0008,0033)": slow.tolist(), "of Smith": TIMES.tolist()})
        sequence = self.sequence(attributes={**labels(TIMES), "DCEPerfusionBMD.otherTimes": own})
        series = read_node(sequence, self.scene)
        self.assertEqual(len(series.time_choices), 2)
        self.assertTrue(series.times_doubtful)
        self.assertNotIn("Smith", " ".join((*series.times_rejected, *series.warnings)))
        chosen = read_node(sequence, self.scene, times=series.time_choices[0].name)
        np.testing.assert_allclose(chosen.times_s, slow - slow[0])
        again = read_node(scene.write_series(self.scene, chosen, "again"), self.scene)
        np.testing.assert_allclose(again.times_s, chosen.times_s)
        np.testing.assert_allclose(again.time_choices[1].times_s, TIMES - TIMES[0], atol=1e-9)
        for damaged in ("[1", "[1]", '{"T": ["x"]}'):
            sequence.SetAttribute("DCEPerfusionBMD.otherTimes", damaged)
            self.assertIn("damaged", " ".join(read_node(sequence, self.scene).times_rejected))


class Sources(unittest.TestCase):
    def test_known_ones_are_passed_on(self):
        """All tags that frame times and acquisition values come from, as the sources of the library name them."""
        folder = Path(scene.__file__).parent
        texts = [path.read_text(encoding="utf-8") for path in (*folder.glob("dicomio/*.py"), folder / "sceneinput.py")]
        named = set(re.findall(r'"(\w+(?:Time|Offset|Index|Identifier) \(\w{4},\w{4}\))', "".join(texts)))
        self.assertGreater(len(named), 8)
        tags = re.findall(r'": \("(\w+)", "(\(?\w{4},\w{4}\)?)"\)', "".join(texts))
        self.assertGreater(len(tags), 11)
        named |= {f"DICOM {keyword} ({tag.strip('()')})" for keyword, tag in tags}
        own = {"given by the user (step of 4.5 s)", "given by the user (file)", "NIfTI pixdim[4]", "user", "phantom"}
        own |= {
            "index 'time' in 's'",
            "spacing of the time axis (ms)",
            "VolumeTiming of the JSON file",
            "a single frame",
        }
        own |= {"TriggerTime (0018,1060), chosen by the user"}
        own |= {"AcquisitionTime of the JSON files", "MultiVolume.FrameLabels (TriggerTime)", "DCEPerfusionBMD.agent"}
        own |= {"TemporalResolution (0020,0110) times the frame number", "MultiVolume.DICOM.FlipAngle"}
        self.assertEqual([text for text in sorted(named | own) if not is_source(text)], [])

    def test_others_are_not(self):
        for text in ("Smith", "TriggerTime of Smith", "time 19530412", "DICOM Müller (0018,1314)", "user_Smith"):
            self.assertFalse(is_source(text), text)


class Tags(Nodes):
    """The DICOM database is stood in for by a dictionary; it answers a blank where a tag is absent."""

    def setUp(self):
        super().setUp()
        self.node = self.sequence(attributes=labels(np.arange(FRAMES) * 2.0, DICOM_FlipAngle="99"))
        self.tags = {}
        for t in range(FRAMES):
            self.node.GetNthDataNode(t).SetAttribute("DICOM.instanceUIDs", " ".join(f"1.{t}.{k}" for k in range(3)))

    def fill(self, tag, value):
        for t in range(FRAMES):
            for k in range(3):
                self.tags[f"1.{t}.{k}", tag] = value(t, k)

    def read(self):
        return read_node(self.node, self.scene, tags=lambda uid, tag: self.tags.get((uid, tag), ""))

    def test_trigger_time_goes_first(self):
        self.fill("0018,1060", lambda t, k: f"{1000 * TIMES[t]:g}")
        series = self.read()
        self.check(series)
        self.assertEqual(series.time_source, "TriggerTime (0018,1060)")
        self.assertTrue(any("disagree by up to" in warning for warning in series.warnings), series.warnings)

    def test_trigger_time_absent_in_the_first_frame(self):
        self.fill("0018,1060", lambda t, k: f"{4500 * t}" if t else "")
        self.check(self.read(), np.arange(FRAMES) * 4.5)

    def test_times_of_day_by_slice(self):
        """Slices that are acquired one after the other; the date turns within the series."""
        clock = [23 * 3600 + 59 * 60 + 45 + s for s in TIMES]
        self.fill("0008,0022", lambda t, k: "20231231" if clock[t] + 0.5 * k < 86400 else "20240101")

        def time_of_day(t, k):
            s = (clock[t] + 0.5 * k) % 86400
            return f"{int(s // 3600):02d}{int(s // 60 % 60):02d}{s % 60:09.6f}"

        self.fill("0008,0032", time_of_day)
        series = self.read()
        self.check(series)
        self.assertEqual(series.time_source, "AcquisitionTime (0008,0032)")

    def test_slices_that_outlast_their_frame(self):
        self.fill("0018,1060", lambda t, k: f"{1000 * (TIMES[t] + 4 * k):g}")
        series = self.read()
        self.check(series, np.arange(FRAMES) * 2.0)
        self.assertTrue(any("slices of frame 1 are later" in reason for reason in series.times_rejected))

    def test_what_this_extension_wrote_goes_before_the_tags(self):
        self.fill("0018,1314", lambda t, k: "12")
        self.node.SetAttribute("DCEPerfusionBMD.flip_angle_deg", "33")
        self.assertEqual(self.read().acquisition["flip_angle_deg"].value, 33.0)

    def test_without_any_the_labels_are_used(self):
        series = self.read()
        self.check(series, np.arange(FRAMES) * 2.0)
        self.assertIn("TriggerTime (0018,1060): absent", series.times_rejected)
        self.assertEqual(series.acquisition["flip_angle_deg"], Sourced(99.0, "MultiVolume.DICOM.FlipAngle"))

    def test_damaged_tag(self):
        self.fill("0018,1060", lambda t, k: "soon")
        self.assertRegex(self.read().times_rejected[1], "TriggerTime .*: it is no number or no time in some frame")

    def test_acquisition_values(self):
        values = {
            "0018,0080": "3.5",
            "0018,0081": "1.2",
            "0018,1314": "12",
            "0018,0087": "3",
            "0018,0010": "Gadovist",
            "0008,0070": "SIEMENS",
        }
        for tag, value in values.items():
            self.fill(tag, lambda t, k, value=value: value)
        found = self.read().acquisition
        self.assertEqual(found["flip_angle_deg"], Sourced(12.0, "DICOM FlipAngle (0018,1314)"))
        self.assertEqual(
            {name: entry.value for name, entry in found.items()},
            {
                "repetition_time_ms": 3.5,
                "echo_time_ms": 1.2,
                "flip_angle_deg": 12.0,
                "field_strength_T": 3.0,
                "agent": "Gadovist",
                "manufacturer": "SIEMENS",
            },
        )
        self.fill("0018,0080", lambda t, k: "quick")
        with self.assertRaisesRegex(InputError, r"DICOM RepetitionTime \(0018,0080\) is 'quick'"):
            self.read()

    def test_multivolume_lists_them_frame_after_frame(self):
        self.fill("0018,1060", lambda t, k: f"{1000 * TIMES[t]:g}")
        listed = " ".join(f"1.{t}.{k}" for t in range(FRAMES) for k in range(3))
        self.node = self.multivolume({"DICOM.instanceUIDs": listed})
        self.check(self.read())


class Kinds(Nodes):
    def test_multivolume(self):
        node = self.multivolume(labels(TIMES, DICOM_RepetitionTime="5", DICOM_EchoTime="1", DICOM_FlipAngle="15"))
        series = read_node(node, self.scene)
        self.check(series)
        self.assertEqual(series.acquisition["repetition_time_ms"], Sourced(5.0, "MultiVolume.DICOM.RepetitionTime"))
        held = numpy_support.vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
        self.assertTrue(np.shares_memory(series.frames[3], held))

    def test_frames_are_views(self):
        sequence = self.sequence(attributes=labels(TIMES))
        series = read_node(sequence, self.scene)
        held = slicer.util.arrayFromVolume(sequence.GetNthDataNode(3))
        self.assertTrue(np.shares_memory(series.frames[3], held))

    def test_proxy(self):
        sequence = self.sequence(attributes=labels(TIMES))
        self.proxy(self.sequence(attributes=labels(TIMES * 2)))
        proxy = self.proxy(sequence)
        self.assertFalse(proxy.IsA("vtkMRMLSequenceNode"))
        self.check(read_node(proxy, self.scene))

    def test_candidates(self):
        sequence = self.sequence()
        single = self.scene.AddNode(scene.volume_from_array(voxels(0), MATRIX))
        result = self.sequence(attributes={"DCEPerfusionBMD.role": "map.ktrans"})
        empty = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode")
        transforms = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode")
        for n in range(FRAMES):
            transforms.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), str(n))
        for node, expected in (
            (sequence, True),
            (self.proxy(sequence), True),
            (self.multivolume({}), True),
            (self.sequence(count=5), False),
            (single, False),
            (result, False),
            (empty, False),
            (transforms, False),
            (self.scene.AddNewNodeByClass("vtkMRMLTableNode"), False),
            (self.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode"), False),
        ):
            with self.subTest(node=node.GetClassName()):
                self.assertIs(is_dynamic_candidate(node, self.scene), expected)

    def test_refusals(self):
        single = self.scene.AddNode(scene.volume_from_array(voxels(0), MATRIX))
        self.refuse("is no dynamic series; choose a volume sequence", single)
        self.refuse("is no dynamic series", self.scene.AddNewNodeByClass("vtkMRMLTableNode"))
        self.refuse("empty sequence", self.scene.AddNewNodeByClass("vtkMRMLSequenceNode"))
        single.SetAttribute("DCEPerfusionBMD.role", "map.ktrans")
        self.refuse("is a result of this extension", single)
        mixed = self.sequence(attributes=labels(TIMES))
        mixed.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), "2")
        self.refuse("frame 3 holds no volume with one value per voxel", mixed)

    def test_frames_on_other_grids(self):
        moved = MATRIX.copy()
        moved[0, 3] += 0.1
        for frame, volume in (
            (4, scene.volume_from_array(voxels(4), moved)),
            (4, scene.volume_from_array(voxels(4)[:2], MATRIX)),
        ):
            node = self.sequence(attributes=labels(TIMES))
            node.SetDataNodeAtValue(volume, str(frame))
            node.SetDataNodeAtValue(volume, str(frame + 2))
            self.refuse("do not lie on the grid of the first: frames 5, 7", node)


class Transforms(Nodes):
    def setUp(self):
        super().setUp()
        self.node = self.sequence(attributes=labels(TIMES))
        self.shown = self.proxy(self.node)
        self.turn = np.array([[0.0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])

    def linear(self, matrix):
        node = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turn")
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        return node

    def test_linear(self):
        """Two transforms above each other: the outer is applied last."""
        shift = np.eye(4)
        shift[:3, 3] = (1.0, 2.0, 3.0)
        inner, outer = self.linear(self.turn), self.linear(shift)
        inner.SetAndObserveTransformNodeID(outer.GetID())
        self.shown.SetAndObserveTransformNodeID(inner.GetID())
        for node in (self.node, self.shown):
            self.check(read_node(node, self.scene), matrix=shift @ self.turn @ MATRIX)
        multivolume = self.multivolume(labels(TIMES))
        multivolume.SetAndObserveTransformNodeID(inner.GetID())
        self.check(read_node(multivolume, self.scene), matrix=shift @ self.turn @ MATRIX)

    def test_singular(self):
        sequence = self.sequence(attributes=labels(TIMES))
        transform = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 0, 0.0)
        transform.SetMatrixTransformToParent(matrix)
        self.proxy(sequence).SetAndObserveTransformNodeID(transform.GetID())
        self.refuse("lies under a transform that flattens it", sequence)

    def test_not_linear(self):
        node = self.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
        node.SetAndObserveTransformFromParent(vtk.vtkThinPlateSplineTransform())
        self.shown.SetAndObserveTransformNodeID(node.GetID())
        self.refuse("not linear; harden it", self.shown)

    def test_changing_with_the_frame(self):
        transforms = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "motion")
        for n in range(FRAMES):
            transforms.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), str(n))
        moving = self.proxy(transforms)
        moving.SetName("motion")
        self.shown.SetAndObserveTransformNodeID(moving.GetID())
        self.refuse("lies under motion, which changes from frame to frame", self.shown)

    def test_two_proxies_under_different_transforms(self):
        other = self.proxy(self.node)
        other.SetAndObserveTransformNodeID(self.linear(self.turn).GetID())
        self.refuse("under different transforms", self.node)
        self.check(read_node(other, self.scene), matrix=self.turn @ MATRIX)
        self.check(read_node(self.shown, self.scene))


class WrittenSeries(unittest.TestCase):
    """What `scene.write_series` puts into the scene."""

    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(duration_s=90.0)
        cls.series = cls.phantom.series()

    def setUp(self):
        self.host = HeadlessSlicer()
        self.scene = self.host.scene

    def test_comes_back(self):
        times = np.cumsum([0.0, *np.linspace(3.00001, 4.98765, len(self.series.frames) - 1)]) * 10.0
        given = DynamicSeries(
            self.series.frames,
            times,
            self.series.ijk_to_ras,
            {**self.series.acquisition, "agent": Sourced("gadobutrol", "user")},
            "TriggerTime (0018,1060)",
        )
        with tempfile.TemporaryDirectory() as name:
            scene.write_series(self.scene, given, "DCE")
            self.host.save(Path(name) / "scene.mrb")
            fresh = HeadlessSlicer()
            fresh.load(Path(name) / "scene.mrb")
            found = read_node(fresh.scene.GetFirstNodeByClass("vtkMRMLSequenceNode"), fresh.scene)
        np.testing.assert_allclose(found.times_s, times, atol=1e-5)
        np.testing.assert_allclose(found.ijk_to_ras, given.ijk_to_ras, atol=1e-9)
        self.assertEqual(found.time_source, given.time_source)
        self.assertEqual(dict(found.acquisition), dict(given.acquisition))
        for read, written in zip(found.frames, given.frames, strict=True):
            np.testing.assert_array_equal(read, written)

    def test_display_of_frames_with_values_that_are_none(self):
        """The window is that of the finite values; 0 to 99 here, so their percentiles are known."""
        frame = np.arange(100, dtype=np.float32).reshape(4, 5, 5)
        for frames, expected in (([frame] * 2, (0.99, 98.01)), ([np.full_like(frame, np.nan)] * 2, None)):
            frames = [np.concatenate([np.full((1, 5, 5), np.nan, dtype=np.float32), part]) for part in frames]
            scene.write_series(self.scene, DynamicSeries(frames, np.array([0.0, 2.0]), np.eye(4)), "x")
            display = self.scene.GetNthNodeByClass(
                self.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeDisplayNode") - 2,
                "vtkMRMLScalarVolumeDisplayNode",
            )
            self.assertTrue(np.isfinite([display.GetWindow(), display.GetLevel()]).all())
            if expected:
                low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
                np.testing.assert_allclose((low, high), expected, rtol=1e-6)

    def test_one_second_apart(self):
        """A count by its looks, but written by us."""
        given = DynamicSeries([voxels(t) for t in range(FRAMES)], np.arange(float(FRAMES)), MATRIX, {}, "somewhere")
        found = read_node(scene.write_series(self.scene, given, "DCE"), self.scene)
        np.testing.assert_array_equal(found.times_s, given.times_s)

    def test_the_files_it_was_made_of(self):
        """Which is how the source of a result is found again; a series without files has none."""
        given = dataclasses.replace(self.series, source_hash="0" * 64, source_files=12)
        found = read_node(scene.write_series(self.scene, given, "DCE"), self.scene)
        self.assertEqual((found.source_hash, found.source_files), ("0" * 64, 12))
        found = read_node(scene.write_series(self.scene, self.series, "DCE"), self.scene)
        self.assertEqual((found.source_hash, found.source_files), ("", 0))

    def test_results_stay_the_same_by_way_of_the_scene(self):
        by_scene = read_node(scene.write_series(self.scene, self.series, "DCE"), self.scene)
        direct, found = (analyze(series, self.phantom.segments) for series in (self.series, by_scene))
        for column in ("ktrans_per_min", "kep_per_min"):
            self.assertEqual(list(direct.vertebrae[column]), list(found.vertebrae[column]))

    def test_mean_enhancement(self):
        sequence = scene.write_series(self.scene, self.series, "DCE")
        node = self.scene.GetFirstNodeByName("DCE enhancement")
        values = slicer.util.arrayFromVolume(node)
        before, after = (int(n) for n in (node.GetDescription().split()[-1], node.GetDescription().split()[3]))
        self.assertEqual(after, before + 1)
        frames = np.array(self.series.frames, dtype=float)
        np.testing.assert_allclose(values, frames[before:].mean(axis=0) - frames[:before].mean(axis=0), rtol=1e-5)
        arrival = self.phantom.segments["aorta"]
        rise = frames[:, arrival].mean(axis=1)
        self.assertLess(abs(rise[before - 1] / rise[0] - 1.0), 0.05)  # before contrast
        self.assertGreater(rise[before : before + 3].max() / rise[0], 1.5)  # and no more than that
        outside = ~np.logical_or.reduce(list(self.phantom.segments.values()))
        self.assertGreater(values[arrival].mean(), 3.0 * np.abs(values[outside]).mean())
        self.assertFalse(is_dynamic_candidate(node, self.scene))
        hierarchy = self.scene.GetSubjectHierarchyNode()
        parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(item)) for item in (node, sequence)}
        self.assertEqual(len(parents), 1)

    def test_mean_enhancement_of_a_step(self):
        """Closed form: 4 frames of 10, then 6 of 10 + 7 in one voxel of 200; one voxel is never finite."""
        frames = []
        for t in range(10):
            frame = np.full((2, 10, 10), 10.0)
            frame[1, 2, 3] += 7.0 * (t >= 4)
            frame[0, 0, 0] = np.nan
            frames.append(frame)
        values, baseline = mean_enhancement(DynamicSeries(frames, np.arange(10.0), MATRIX))
        expected = np.zeros((2, 10, 10))
        expected[1, 2, 3] = 7.0
        self.assertEqual(baseline, 4)
        np.testing.assert_allclose(values, expected)

    def test_mean_enhancement_where_nothing_enhances(self):
        frames = [np.full((1, 4, 4), 5.0) for _ in range(8)]
        values, baseline = mean_enhancement(DynamicSeries(frames, np.arange(8.0), MATRIX))
        self.assertEqual((baseline, np.abs(values).max()), (3, 0.0))


class PkModeling(unittest.TestCase):
    """The digital reference object of PkModeling, a real MultiVolume file (reference-data/pkmodeling)."""

    def setUp(self):
        self.host = HeadlessSlicer()
        self.path = reference_data("pkmodeling") / "DRO5min1secinf.nrrd"

    def check(self, series):
        self.assertEqual((len(series.frames), series.shape), (300, (1, 13, 16)))
        measured(self, "frame times", series.times_s - np.arange(300.0), 0, "s")
        np.testing.assert_array_equal(series.ijk_to_ras, np.diag([-1.0, -1.0, 5.0, 1.0]))
        values = {name: entry.value for name, entry in series.acquisition.items()}
        self.assertEqual(values, {"repetition_time_ms": 5.0, "echo_time_ms": 1.0, "flip_angle_deg": 15.0})
        # M0 10000, T1 1434 ms and 1628.66 ms of blood (facts of the object), spoiled gradient echo, contrast at 40 s
        for t1, (j, i) in ((1434.0, (1, 1)), (1628.66, (0, 0))):
            e1, flip = np.exp(-5.0 / t1), np.deg2rad(15.0)
            expected = 10000.0 * np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1)
            signal = np.array([series.frames[t][0, j, i] for t in (0, 10)])
            measured(self, "signal before contrast, relative", signal / expected - 1.0, 1e-5)
        self.assertGreater(series.frames[60][0, 0, 0], 2.0 * series.frames[0][0, 0, 0])

    @against(
        "Reading series and their times",
        "MultiVolume file, 300 frames, read as a sequence of Slicer",
        "pkmodeling",
        "read_node",
    )
    def test_as_a_sequence(self):
        node = self.host.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "DRO")
        storage = slicer.vtkMRMLVolumeSequenceStorageNode()
        storage.SetFileName(str(self.path))
        self.assertTrue(storage.ReadData(node))
        self.check(read_node(node, self.host.scene))

    def test_as_a_vector_volume(self):
        logic = slicer.vtkSlicerVolumesLogic()
        logic.SetMRMLScene(self.host.scene)
        node = logic.AddArchetypeVolume(str(self.path), "DRO")
        self.assertTrue(node.IsA("vtkMRMLVectorVolumeNode"))
        self.check(read_node(node, self.host.scene))


if __name__ == "__main__":
    unittest.main()
