"""Segmentations from files, and their masks on the grid of a series."""

import bz2
import gzip
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from DCEPerfusionBMDLib import scene
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.roi import LEVEL_CODES, SegmentLabel, farther_than
from DCEPerfusionBMDLib.series import DynamicSeries
from scipy import ndimage
from support import REPOSITORY
from test_seriesfiles import nifti, nrrd
from vtk.util import numpy_support

SHAPE = (6, 20, 24)


def series_on(ijk_to_ras, shape=SHAPE):
    return DynamicSeries([np.zeros(shape, dtype=np.int16)] * 6, np.arange(6.0), ijk_to_ras)


def oblique(spacing_ijk=(1.5, 2.0, 5.0), degrees=20.0, origin=(10.0, -30.0, 5.0)):
    angle = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    ) * np.array(spacing_ijk)
    matrix[:3, 3] = origin
    return matrix


def centers_ras(ijk_to_ras, shape=SHAPE):
    k, j, i = np.indices(shape)
    return np.stack([i, j, k, np.ones(shape)], axis=-1) @ ijk_to_ras.T


class Files(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.host = HeadlessSlicer()
        self.matrix = oblique()
        random = np.random.default_rng(5)
        labels = random.integers(0, 3, SHAPE)
        self.masks = {"L1": labels == 1, "aorta": labels == 2}
        self.labels = labels.astype(np.uint8)

    def write_labelmap(self, name, values=None):
        node = scene.volume_from_array(self.labels if values is None else values, self.matrix)
        scene.write_file(node, slicer.vtkMRMLVolumeArchetypeStorageNode(), self.folder / name)
        return self.folder / name

    def check(self, node):
        found = scene.masks_on_grid(node, series_on(self.matrix))
        self.assertEqual(list(found), list(self.masks))
        for name, mask in self.masks.items():
            np.testing.assert_array_equal(found[name], mask)

    def test_named_segments(self):
        node = scene.segmentation_from_masks(self.host.scene, "drawn", self.masks, self.matrix)
        path = self.folder / "drawn.seg.nrrd"
        scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), path)
        self.check(scene.read_segmentation(self.host.scene, path))
        with self.assertRaisesRegex(InputError, "names its segments itself"):
            scene.read_segmentation(self.host.scene, path, {"L1": 1})

    def test_labelmaps(self):
        for name in ("labels.nrrd", "labels.nii.gz", "labels.nii"):
            with self.subTest(name=name):
                path = self.write_labelmap(name)
                self.check(scene.read_segmentation(self.host.scene, path, {"L1": 1, "aorta": 2}))

    def test_refusals_leave_the_scene_alone(self):
        path = self.write_labelmap("labels.nrrd")
        (self.folder / "broken.nrrd").write_bytes(path.read_bytes()[:300])
        (self.folder / "text.nii").write_text("no image")
        (self.folder / "picture.png").write_text("no image")
        for name in ("labels.nii", "labels.nii.gz"):
            whole = self.write_labelmap(name)
            (self.folder / f"cut-{name}").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        named = self.folder / "drawn.seg.nrrd"
        drawn = scene.segmentation_from_masks(self.host.scene, "drawn", self.masks, self.matrix)
        scene.write_file(drawn, slicer.vtkMRMLSegmentationStorageNode(), named)
        for share in (0.3, 0.6, 0.99):
            cut = round(share * named.stat().st_size)
            (self.folder / f"cut{share}.seg.nrrd").write_bytes(named.read_bytes()[:cut])
        self.write_labelmap("half.nrrd", self.labels * np.float32(0.5))
        self.write_labelmap("nan.nrrd", np.where(self.labels == 1, np.nan, self.labels).astype(np.float32))
        self.write_labelmap("empty.nrrd", 0 * self.labels)
        (self.folder / "header.seg.nrrd").write_bytes(b"NRRD0004\nSegment0_ID:=a\n\n")
        before = self.host.scene.GetNumberOfNodes()
        for name, names, words in (
            ("labels.nrrd", None, "does not name its labels 1, 2; give --segments"),
            ("labels.nrrd", {"L1": 1, "L2": 7}, "no voxel with the label of L2=7; it holds 1, 2"),
            ("broken.nrrd", {"L1": 1}, "broken.nrrd is damaged"),
            ("text.nii", {"L1": 1}, "it ends within its header"),
            ("picture.png", {"L1": 1}, "picture.png is none of .seq.nrrd"),
            ("cut-labels.nii", {"L1": 1}, "bytes of data where 2880 are due"),
            ("cut-labels.nii.gz", {"L1": 1}, "compressed data is broken or ends early"),
            ("cut0.3.seg.nrrd", None, "cut0.3.seg.nrrd is damaged"),
            ("cut0.6.seg.nrrd", None, "cut0.6.seg.nrrd is damaged"),
            ("cut0.99.seg.nrrd", None, "compressed data is broken or ends early"),
            ("header.seg.nrrd", None, "no type, dimension, sizes, encoding"),
            ("absent.nrrd", None, "does not exist"),
            ("half.nrrd", {"L1": 1}, "half.nrrd is no labelmap"),
            ("nan.nrrd", {"L1": 1}, "nan.nrrd is no labelmap"),
            ("empty.nrrd", {"L1": 1}, "empty.nrrd is empty"),
        ):
            with self.subTest(name=name), self.assertRaisesRegex(InputError, words):
                scene.read_segmentation(self.host.scene, self.folder / name, names)
        self.assertEqual(self.host.scene.GetNumberOfNodes(), before)

    def edited(self, name, old, new, data=None):
        """A segmentation as Slicer writes it, with its header edited and its data replaced, detached or not."""
        node = scene.segmentation_from_masks(self.host.scene, "drawn", self.masks, self.matrix)
        path = self.folder / "drawn.seg.nrrd"
        scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), path)
        self.host.scene.RemoveNode(node)
        header, _, packed = path.read_bytes().partition(b"\n\n")
        self.assertIn(old, header)
        data = gzip.decompress(packed) if data is None else data(gzip.decompress(packed))
        header = header.replace(old, new)
        if b"data file" in header:
            (self.folder / "x.raw").write_bytes(data)
            data = b""
        (self.folder / name).write_bytes(header + b"\n\n" + data)
        return self.folder / name

    def test_data_that_slicers_reader_ends_the_program_on(self):
        gz, raw = b"encoding: gzip", b"encoding: raw\ndata file: x.raw"
        self.check(scene.read_segmentation(self.host.scene, self.edited("x.seg.nhdr", gz, raw)))
        before = self.host.scene.GetNumberOfNodes()
        for words, name, encoding, data in (
            ("x.raw is damaged: it holds", "x.seg.nhdr", raw, lambda data: data[: len(data) // 2]),
            (
                "x.raw is damaged: its compressed data",
                "x.seg.nhdr",
                gz + b"\ndata file: x.raw",
                lambda data: gzip.compress(data)[:-30],
            ),
            ("in the encoding bzip2; save it anew", "x.seg.nrrd", b"encoding: bzip2", bz2.compress),
            ("x.seg.nrrd is damaged", "x.seg.nrrd", b"encoding: bzip2", lambda data: bz2.compress(data)[:-9]),
            ("in the encoding ascii; save it anew", "x.seg.nrrd", b"encoding: ascii", lambda data: b"0 1 2 0\n"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                scene.read_segmentation(self.host.scene, self.edited(name, gz, encoding, data))
        self.assertEqual(self.host.scene.GetNumberOfNodes(), before)

    def test_files_that_do_not_say_where_they_lie(self):
        values = np.full(SHAPE, 700, dtype=np.int16)
        for words, path in (
            ("x.nii does not say how it lies", nifti(self.folder / "x.nii", values, codes=(0, 0))),
            ("x.nrrd does not say how it lies", nrrd(self.folder / "x.nrrd", values, space_directions=None)),
            ("x.nrrd does not say how it lies", nrrd(self.folder / "x.nrrd", values, space_origin=None)),
        ):
            with self.subTest(path=path.name):
                with self.assertRaisesRegex(InputError, words):
                    scene.read_segmentation(self.host.scene, path, {"L1": 700})
                with self.assertRaisesRegex(InputError, words):
                    scene.read_map(path, series_on(self.matrix), (1.0, 2e4))
        path = self.edited("x.seg.nrrd", b"space directions", b"directions", gzip.compress)
        with self.assertRaisesRegex(InputError, "does not say how it lies"):
            scene.read_segmentation(self.host.scene, path)

    def test_files_that_hold_more_than_a_volume(self):
        values = np.full((3, *SHAPE), 700, dtype=np.int16)
        for path in (nifti(self.folder / "x.nii", values), nrrd(self.folder / "x.nrrd", values)):
            with self.assertRaisesRegex(InputError, "it holds 3 volumes; save one of them"):
                scene.read_segmentation(self.host.scene, path, {"L1": 700})
            with self.assertRaisesRegex(InputError, "is no map: it holds 3 volumes; save one of them"):
                scene.read_map(path, series_on(self.matrix), (1.0, 2e4))
        with self.assertRaisesRegex(InputError, "is a folder; give a file"):
            scene.read_segmentation(self.host.scene, self.folder)
        with self.assertRaisesRegex(InputError, "is a folder; give a file"):
            scene.read_map(self.folder, series_on(self.matrix), (1.0, 2e4))

    def test_maps_lie_where_slicer_puts_them(self):
        """Written by Slicer, on an oblique grid."""
        values = np.random.default_rng(3).uniform(300, 900, SHAPE).astype(np.float32)
        for name in ("map.nrrd", "map.nii.gz", "map.nii"):
            path = self.write_labelmap(name, values)
            np.testing.assert_array_equal(scene.read_map(path, series_on(self.matrix), (1.0, 2e4)), values)

    def test_tags_of_segments(self):
        """Only what the segment is stays; others may name the patient."""
        entry = (
            b"Segment0_Tags:=TerminologyEntry:a~b|DCEPerfusionBMD.level:L1|DICOM.Patient:Smith|Note:x:y\nSegment0_ID"
        )
        path = self.edited("x.seg.nrrd", b"Segment0_Tags", b"Segment0_Old", gzip.compress)
        path.write_bytes(path.read_bytes().replace(b"Segment0_ID", entry, 1))
        node = scene.read_segmentation(self.host.scene, path)
        segment = node.GetSegmentation().GetNthSegment(0)
        told = vtk.mutable("")
        self.assertTrue(segment.GetTag("TerminologyEntry", told))
        self.assertEqual(str(told), "a~b")
        self.assertTrue(segment.GetTag("DCEPerfusionBMD.level", told))
        for name in ("DICOM.Patient", "Note"):
            self.assertFalse(segment.HasTag(name))


class Grid(unittest.TestCase):
    """A sphere drawn on one grid, asked for on another: nearest neighbor, checked by the centers of the voxels."""

    def setUp(self):
        self.host = HeadlessSlicer()
        self.fine = oblique((0.8, 0.8, 0.8), 0.0, (-2.0, -40.0, 0.0))
        self.shape = (60, 90, 70)
        self.center = np.array([24.0, -6.0, 22.0])
        inside = np.linalg.norm(centers_ras(self.fine, self.shape)[..., :3] - self.center, axis=-1) < 14.0
        self.node = scene.segmentation_from_masks(self.host.scene, "s", {"ball": inside}, self.fine)

    def check(self, series, center):
        mask = scene.masks_on_grid(self.node, series)["ball"]
        distance = np.linalg.norm(centers_ras(series.ijk_to_ras)[..., :3] - center, axis=-1)
        self.assertGreater(np.count_nonzero(mask), 300)
        self.assertTrue(mask[distance < 13.2].all())
        self.assertFalse(mask[distance > 14.8].any())

    def test_coarse_oblique_grid(self):
        self.check(series_on(oblique()), self.center)

    def test_transform_above_the_segmentation(self):
        transform = self.host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        shift = vtk.vtkMatrix4x4()
        shift.SetElement(0, 3, -6.0)
        transform.SetMatrixTransformToParent(shift)
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        self.check(series_on(oblique()), self.center + np.array([-6.0, 0.0, 0.0]))

    def to_surface(self):
        segments = self.node.GetSegmentation()
        self.assertTrue(segments.CreateRepresentation("Closed surface"))
        segments.SetSourceRepresentationName("Closed surface")
        segments.RemoveRepresentation("Binary labelmap")
        return segments

    def test_surfaces_are_converted_in_a_copy(self):
        series = series_on(oblique())
        drawn = scene.masks_on_grid(self.node, series)["ball"]
        segments = self.to_surface()
        found = scene.masks_on_grid(self.node, series)["ball"]
        self.assertLess(np.count_nonzero(found != drawn), 0.2 * np.count_nonzero(drawn))
        self.assertAlmostEqual(np.count_nonzero(found) / np.count_nonzero(drawn), 1.0, delta=0.1)
        self.assertFalse(segments.ContainsRepresentation("Binary labelmap"))
        self.assertEqual(self.host.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 1)

    def middle(self):
        mask = scene.masks_on_grid(self.node, series_on(oblique()))["ball"]
        return centers_ras(oblique())[mask][:, :3].mean(axis=0)

    def test_surfaces_below_a_transform(self):
        self.to_surface()
        transform = self.host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        shift = vtk.vtkMatrix4x4()
        shift.SetElement(0, 3, -6.0)
        transform.SetMatrixTransformToParent(shift)
        before = centers_ras(oblique())[scene.masks_on_grid(self.node, series_on(oblique()))["ball"]][:, :3].mean(
            axis=0
        )
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        after = self.middle()
        np.testing.assert_allclose(after - before, [-6.0, 0.0, 0.0], atol=0.5)

    def test_what_cannot_be_converted_is_refused(self):
        segments = self.to_surface()
        segment = segments.GetNthSegment(0)
        segment.AddRepresentation("Planar contour", segment.GetRepresentation("Closed surface"))
        segments.SetSourceRepresentationName("Planar contour")
        segments.RemoveRepresentation("Closed surface")
        with self.assertRaisesRegex(InputError, "no binary labelmap; create one in the Segmentations module"):
            scene.masks_on_grid(self.node, series_on(oblique()))

    def test_outside_the_series_the_mask_is_empty(self):
        far = scene.masks_on_grid(self.node, series_on(oblique(origin=(500.0, 0.0, 0.0))))
        self.assertFalse(far["ball"].any())

    def test_no_segment_and_two_of_one_name(self):
        empty = self.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
        with self.assertRaisesRegex(InputError, "holds no segment"):
            scene.masks_on_grid(empty, series_on(oblique()))
        with self.assertRaisesRegex(InputError, "holds no segment"):
            scene.segment_labels(empty)
        self.node.GetSegmentation().AddEmptySegment("", "other")
        self.node.GetSegmentation().GetNthSegment(1).SetName("ball")
        with self.assertRaisesRegex(InputError, "two segments are called 'ball'"):
            scene.masks_on_grid(self.node, series_on(oblique()))


TERMINOLOGY = "{context}~SCT^123037004^Anatomical Structure~SCT^{code}~^^~Anatomic codes~^^~^^"


class Labels(unittest.TestCase):
    """Terminology, our own tag, name and ID of a segment, as other programs and ourselves write them."""

    def setUp(self):
        self.host = HeadlessSlicer()
        self.node = self.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "s")

    def add(self, segment_id, name, code="", **tags):
        segments = self.node.GetSegmentation()
        segment = segments.GetSegment(segments.AddEmptySegment(segment_id, name))
        if code:
            entry = TERMINOLOGY.format(context="Segmentation category and type - TotalSegmentator", code=code)
            segment.SetTag("TerminologyEntry", entry)  # Slicer's documented name of it
        for tag, value in tags.items():
            segment.SetTag(f"DCEPerfusionBMD.{tag}", value)

    def test_sources(self):
        self.add("vertebrae_L1", "L1 vertebra", "66794005^L1 vertebra")
        self.add("Segment_2", "two", "14293000^L2 vertebra")
        self.add("vertebrae_L3", "three")
        self.add("Segment_4", "vertebra L4", "51282000^Vertebra")
        self.add("Segment_5", "five", level="L5")
        self.add("Segment_6", "L6", "85756007^Tissue")
        self.add("Segment_7", "vessel", "7832008^Abdominal aorta")
        self.add("Segment_8", "L2 too", "66794005^L1 vertebra")
        self.node.GetSegmentation().GetNthSegment(2).SetTag("TerminologyEntry", "nonsense")
        labels = scene.segment_labels(self.node)
        self.assertEqual(list(labels), list(scene.masks_on_grid(self.node, series_on(oblique()))))
        contradiction = "its SNOMED code says L1, its name says L2"
        self.assertEqual(
            list(labels.values()),
            [
                SegmentLabel("level", "L1", "SNOMED code"),
                SegmentLabel("level", "L2", "SNOMED code"),
                SegmentLabel("level", "L3", "ID"),
                SegmentLabel("level", "L4", "name"),
                SegmentLabel("level", "L5", "tag"),
                SegmentLabel("level", "L6", "name"),
                SegmentLabel("artery", "", "SNOMED code", code="7832008"),
                SegmentLabel("ambiguous", "", "", contradiction),
            ],
        )

    def test_our_own_segments_carry_the_terminology_through_a_file(self):
        for level in (*LEVEL_CODES, "L6"):
            scene._set_segment(self.node, f"bone {level.lower()[::-1]}", np.ones(SHAPE, dtype=bool), oblique(), level)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "s.seg.nrrd"
            scene.write_file(self.node, slicer.vtkMRMLSegmentationStorageNode(), path)
            read = scene.read_segmentation(self.host.scene, path)
        for (name, label), level in zip(scene.segment_labels(read).items(), (*LEVEL_CODES, "L6"), strict=True):
            source = "SNOMED code" if level in LEVEL_CODES else "tag"
            self.assertEqual(label, SegmentLabel("level", level, source), name)
        segment = read.GetSegmentation().GetNthSegment(1)
        entry = slicer.vtkSlicerTerminologyEntry()
        logic = slicer.vtkSlicerTerminologiesModuleLogic()
        logic.DeserializeTerminologyEntry(scene.tag_of(segment, "TerminologyEntry"), entry)
        coded = entry.GetTypeObject()
        self.assertEqual((coded.GetCodingSchemeDesignator(), coded.GetCodeValue()), ("SCT", LEVEL_CODES["L1"]))
        self.assertEqual(
            (coded.GetCodeMeaning(), entry.GetCategoryObject().GetCodeValue()), ("L1 vertebra", "123037004")
        )


def slicers_margin(mask, margin_mm, spacing_mm):
    """What the filter of Slicer's margin effect keeps: growing the outside."""
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(mask.shape))
    image.SetSpacing(*reversed(spacing_mm))
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk((~mask).astype(np.uint8).ravel(), deep=True))
    grow = slicer.vtkITKImageMargin()
    grow.SetInputData(image)
    grow.SetBackgroundValue(0)
    grow.CalculateMarginInMMOn()
    grow.SetOuterMarginMM(margin_mm)
    grow.Update()
    return numpy_support.vtk_to_numpy(grow.GetOutput().GetPointData().GetScalars()).reshape(mask.shape) == 0


class MarginRules(unittest.TestCase):
    """Face rule, center rule and Slicer's filter on the box of 40 x 30 x 25 mm: the table of docs/regions.md."""

    def test_table(self):
        text = (REPOSITORY / "docs" / "regions.md").read_text(encoding="utf-8")
        for spacing_mm, inside_mm3 in (((1.0, 1.0, 1.0), 15504), ((5.0, 2.19, 1.37), 15504)):
            counts = [round(size / step) for size, step in zip((25, 30, 40), spacing_mm, strict=True)]
            box = np.pad(np.ones(counts, dtype=bool), 4)
            center = ndimage.distance_transform_edt(box, sampling=spacing_mm) > 3.0
            filtered = slicers_margin(box, 3.0, spacing_mm)
            np.testing.assert_array_equal(filtered, center)
            face, within = (farther_than(box, 3.0, spacing_mm, in_plane) for in_plane in (False, True))
            cells = [" x ".join(f"{step:g}" for step in reversed(spacing_mm)) + " mm"]
            for kept in (face, within, center, filtered):
                count = np.count_nonzero(kept)
                cells.append(f"{count:,} ({count * np.prod(spacing_mm):,.0f})")
            self.assertIn("| " + " | ".join([*cells, f"{inside_mm3:,}"]) + " |", text)

    def test_at_the_border_of_the_image(self):
        """Slicer's filter sees no edge there; ours does."""
        box = np.ones((10, 10, 10), dtype=bool)
        self.assertTrue(slicers_margin(box, 3.0, (1.0, 1.0, 1.0)).all())
        self.assertEqual(np.count_nonzero(farther_than(box, 3.0, (1.0, 1.0, 1.0))), 4**3)


if __name__ == "__main__":
    unittest.main()
