"""Results in the scene: saved, opened in a fresh process, compared; updated on a rerun; transparent outside."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from DCEPerfusionBMDLib import scene
from DCEPerfusionBMDLib.densitometry import Densitometry, DxaMeasurement
from DCEPerfusionBMDLib.dicomio import write_series
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.figures import study_figure
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.quantities import BY_NAME
from DCEPerfusionBMDLib.study import analyze
from scipy import ndimage
from support import against, measured, small_phantom
from vtk.util import numpy_support

READER = """
import json, sys
from pathlib import Path
import numpy as np
import slicer
import vtk
from DCEPerfusionBMDLib.headless import HeadlessSlicer

host = HeadlessSlicer()
host.load(Path(sys.argv[1]))
scene, folder = host.scene, Path(sys.argv[2])
hierarchy = scene.GetSubjectHierarchyNode()
nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
found = {"nodes": {}, "path": {}, "tables": {}, "plots": {}, "charts": {}, "segments": {}, "maps": {}}
for node in nodes:
    name = node.GetName()
    found["nodes"].setdefault(node.GetClassName(), []).append(name)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        path = []
        while item and item != hierarchy.GetSceneItemID():
            path.append(hierarchy.GetItemName(item))
            item = hierarchy.GetItemParent(item)
        found["path"][f"{node.GetClassName()}:{name}"] = path[::-1]
    if node.IsA("vtkMRMLTableNode"):
        columns = {}
        for n in range(node.GetNumberOfColumns()):
            array = node.GetTable().GetColumn(n)
            key = array.GetName()
            values = [array.GetValue(row) for row in range(array.GetNumberOfValues())]
            columns[key] = {
                "type": array.GetClassName(), "unit": node.GetColumnUnitLabel(key), "title": node.GetColumnTitle(key),
                "description": node.GetColumnDescription(key),
                "code": node.GetColumnProperty(key, "DICOM.QuantityCode"), "values": values,
                "units": node.GetColumnProperty(key, "DICOM.UnitsCode"),
            }
        found["tables"][name] = columns
    elif node.IsA("vtkMRMLPlotSeriesNode"):
        found["plots"][name] = [node.GetTableNode().GetName(), node.GetXColumnName(), node.GetYColumnName()]
    elif node.IsA("vtkMRMLPlotChartNode"):
        series = [node.GetNthPlotSeriesNode(n).GetName() for n in range(node.GetNumberOfPlotSeriesNodes())]
        found["charts"][name] = [node.GetXAxisTitle(), node.GetYAxisTitle(), series]
    elif node.IsA("vtkMRMLSegmentationNode"):
        segments = node.GetSegmentation()
        listed = [segments.GetNthSegment(n) for n in range(segments.GetNumberOfSegments())]
        found["segments"][name] = [segment.GetName() for segment in listed]
    elif node.IsA("vtkMRMLScalarVolumeNode") and node.GetAttribute("DCEPerfusionBMD.quantity"):
        quantity, units = node.GetVoxelValueQuantity(), node.GetVoxelValueUnits()
        display = node.GetDisplayNode()
        found["maps"][node.GetAttribute("DCEPerfusionBMD.quantity")] = {
            "quantity": quantity and quantity.GetAsString(), "units": units.GetAsString(),
            "series": node.GetNodeReference("DCEPerfusionBMD.series").GetName(),
            "segmentation": node.GetNodeReference("DCEPerfusionBMD.segmentation").GetName(),
            "colors": display.GetColorNode().GetName(),
            "range": None if node.IsA("vtkMRMLLabelMapVolumeNode")
                else [display.GetWindowLevelMin(), display.GetWindowLevelMax()],
            "matrix": None,
        }
        np.save(folder / (node.GetAttribute("DCEPerfusionBMD.quantity") + ".npy"), slicer.util.arrayFromVolume(node))
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        found["maps"][node.GetAttribute("DCEPerfusionBMD.quantity")]["matrix"] = (
            slicer.util.arrayFromVTKMatrix(matrix).tolist()
        )
sequence = scene.GetFirstNodeByClass("vtkMRMLSequenceNode")
browser = scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
count = sequence.GetNumberOfDataNodes()
found["sequence"] = {
    "index": [sequence.GetIndexName(), sequence.GetIndexUnit()],
    "times": [float(sequence.GetNthIndexValue(n)) for n in range(count)],
    "flip": sequence.GetAttribute("DCEPerfusionBMD.flip_angle_deg"),
    "browser": browser.GetMasterSequenceNode().GetName(),
    "proxy": browser.GetProxyNode(sequence).GetName(),
}
frames = [slicer.util.arrayFromVolume(sequence.GetNthDataNode(n)) for n in range(count)]
np.save(folder / "frames.npy", np.array(frames))
(folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
"""


class Scene(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(duration_s=90.0)
        cls.series = cls.phantom.series()
        cls.densitometry = Densitometry("S1", (DxaMeasurement("L1-L4", 0.778, -1.625),))
        cls.result = analyze(cls.series, cls.phantom.segments, densitometry=cls.densitometry)

    def setUp(self):
        self.host = HeadlessSlicer()
        self.sequence = scene.write_series(self.host.scene, self.series, "DCE")
        self.segmentation = scene.segmentation_from_masks(
            self.host.scene, "Segmentation", self.phantom.segments, self.phantom.ijk_to_ras
        )
        self.writer = scene.ResultWriter(self.host.scene, self.sequence, self.segmentation)
        self.nodes = self.writer.write(self.series, self.result)


class Reopened(Scene):
    def test_everything_is_there_in_a_fresh_process(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.host.save(folder / "scene.mrb")
            subprocess.run([sys.executable, "-c", READER, str(folder / "scene.mrb"), name], check=True)
            found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
            self.check_volumes(found, folder)
        self.check_tables(found)
        self.check_structure(found)

    def check_volumes(self, found, folder):
        for quantity in (BY_NAME[name] for name in self.result.maps):
            with self.subTest(quantity=quantity.name):
                entry = found["maps"][quantity.name]
                np.testing.assert_array_equal(
                    np.load(folder / f"{quantity.name}.npy"), self.result.maps[quantity.name].values
                )
                np.testing.assert_allclose(entry["matrix"], self.series.ijk_to_ras, atol=1e-9)
                self.assertIn(quantity.ucum.value, entry["units"])
                self.assertEqual((entry["series"], entry["segmentation"]), ("DCE", "Segmentation"))
                if quantity.dicom is not None:
                    self.assertEqual(entry["quantity"], scene._coded_entry(quantity.dicom).GetAsString())
                    np.testing.assert_allclose(entry["range"], quantity.display_range)
                    self.assertEqual(entry["colors"], "DCE parameter colors")
        frames = np.load(folder / "frames.npy")
        self.assertEqual(len(frames), len(self.series.frames))
        for read, written in zip(frames, self.series.frames, strict=True):
            np.testing.assert_array_equal(read, written)
        sequence = found["sequence"]
        self.assertEqual(sequence["index"], ["time", "s"])
        np.testing.assert_allclose(sequence["times"], self.series.times_s)
        self.assertEqual((sequence["browser"], sequence["proxy"], sequence["flip"]), ("DCE", "DCE", "30"))

    def check_tables(self, found):
        tables = (
            self.result.vertebrae,
            self.result.descriptive,
            self.result.margins,
            self.result.curves_table(),
            next(table for table in self.result.tables() if table.name == "bmd_classification"),
        )
        self.assertEqual(len(found["tables"]), len(tables))
        for table in tables:
            read = found["tables"][f"DCE {table.title.lower()}"]
            self.assertEqual(list(read), [column.name for column in table.columns])
            for column in table.columns:
                with self.subTest(table=table.name, column=column.name):
                    entry = read[column.name]
                    self.assertEqual(
                        (entry["unit"], entry["title"], entry["description"]),
                        (column.unit, column.title, column.description),
                    )
                    if isinstance(column.values[0], str):
                        self.assertEqual(entry["values"], list(column.values))
                    else:
                        np.testing.assert_allclose(entry["values"], column.values, rtol=1e-5, atol=1e-12)
                    if column.quantity and BY_NAME[column.quantity].dicom is not None:
                        self.assertIn(BY_NAME[column.quantity].dicom.value, entry["code"])
                    if column.unit:
                        self.assertIn("UCUM", entry["units"])
        bone = found["tables"]["DCE bmd classification"]
        for name, code in (
            ("bmc_g", "g"),
            ("area_cm2", "cm2"),
            ("ktrans_se_per_min", "/min"),
            ("excluded_share", "{ratio}"),
            ("bmd_g_cm2", "g/cm2"),
        ):
            self.assertIn(f"CodeValue:{code}|", f"{bone[name]['units']}|")

    def check_structure(self, found):
        levels = ["L1", "L2", "L3", "L4", "L5"]
        self.assertEqual(found["segments"]["Segmentation"], [*levels, "aorta"])
        self.assertEqual(found["segments"]["DCE analyzed"], levels)
        reasons = {fate.reason for region in self.result.rois.regions for fate in region.counts} - {"analyzed"}
        self.assertEqual(set(found["segments"]["DCE excluded"]), reasons)
        self.assertIn("margin", reasons)
        x_title, y_title, series = found["charts"]["DCE enhancement curves"]
        self.assertEqual((x_title, y_title), ("Time (s)", "Contrast agent in tissue (mmol/L)"))
        self.assertEqual(series, [f"{level} {kind}" for level in levels for kind in ("measured", "fitted")])
        self.assertEqual(found["plots"]["L3 fitted"], ["DCE enhancement curves", "time_s", "L3_fitted_mM"])
        self.assertEqual(found["charts"]["DCE arterial input"][2], ["Arterial blood", "Arterial plasma"])
        for node, path in found["path"].items():
            if not node.startswith("vtkMRMLColor"):
                self.assertEqual(path[:3], ["S1", "DCE-MRI", "DCE perfusion"], node)
        for kind, count in (("ScalarVolume", 9), ("LabelMapVolume", 1), ("PlotSeries", 12), ("Segmentation", 3)):
            listed = [node for node in found["path"] if node.startswith(f"vtkMRML{kind}Node:")]
            self.assertEqual(len(listed), count, kind)


class DxaNode(unittest.TestCase):
    """A table in the scene holds the same as a file: texts, or numbers of any kind with all their digits."""

    def setUp(self):
        self.node = HeadlessSlicer().scene.AddNewNodeByClass("vtkMRMLTableNode", "DXA")

    def column(self, name, array, values):
        array.SetName(name)
        for value in values:
            array.InsertNextValue(value)
        self.node.AddColumn(array)

    def test_numbers_and_texts(self):
        self.column("subject", vtk.vtkIntArray(), [7, 7])
        self.column("site", vtk.vtkStringArray(), ["L1-L4", "Left femur neck"])
        self.column("BMD (g/cm2)", vtk.vtkDoubleArray(), [0.7781234567, float("nan")])
        self.column("T-score", vtk.vtkFloatArray(), [-1.6, -2.45])
        found = scene.read_dxa_node(self.node)
        self.assertEqual(found.subject, "7")
        first, second = found.measurements
        self.assertEqual((first.site, first.bmd_g_cm2, first.t_score), ("L1-L4", 0.7781234567, -1.6))
        self.assertEqual((second.site, second.t_score), ("femoral neck left", -2.45))
        self.assertTrue(np.isnan(second.bmd_g_cm2))

    def test_numbers_of_double_precision_where_texts_or_whole_numbers_belong(self):
        """Tables read by Slicer hold numbers as doubles: 7.0 is subject 7, and 0.0 is no."""
        self.column("subject", vtk.vtkDoubleArray(), [7.0, 8.0])
        self.column("site", vtk.vtkStringArray(), ["L1", "L1"])
        self.column("T", vtk.vtkDoubleArray(), [-2.5, -1.0])
        self.column("assessable", vtk.vtkDoubleArray(), [0.0, 1.0])
        for subject, t_score, assessable in (("7", -2.5, False), ("8", -1.0, True)):
            found = scene.read_dxa_node(self.node, subject)
            self.assertEqual(found.subject, subject)
            self.assertEqual((found.measurements[0].t_score, found.measurements[0].assessable), (t_score, assessable))

    def test_refusal(self):
        self.column("subject", vtk.vtkStringArray(), ["A"])
        self.column("site", vtk.vtkStringArray(), ["L1"])
        self.column("bmd", vtk.vtkStringArray(), ["778"])
        with self.assertRaisesRegex(InputError, "^DXA row 2 .subject A, L1.: BMD 778 cannot be in g/cm2"):
            scene.read_dxa_node(self.node)


class OddNames(unittest.TestCase):
    """Names that a table saved as text could stumble over; and no subject, so that a cell of text is empty."""

    def test_tables_and_plots_survive(self):
        phantom = small_phantom(duration_s=90.0)
        series = phantom.series()
        odd = ['L1 "new"', "L2/'x'", "L3\tnew\nline", "  L4  wide ", "L5,<b>$x_1$"]
        masks = dict(zip([*odd, "aorta"], phantom.segments.values(), strict=True))
        host = HeadlessSlicer()
        node = scene.segmentation_from_masks(host.scene, "Segmentation", masks, phantom.ijk_to_ras)
        named = scene.masks_on_grid(node, series)
        self.assertEqual(list(named), ["L1 'new'", "L2/'x'", "L3 new line", "L4 wide", "L5,<b>$x_1$", "aorta"])
        result = analyze(series, named)
        sequence = scene.write_series(host.scene, series, "DCE")
        scene.ResultWriter(host.scene, sequence, node).write(series, result)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            host.save(folder / "scene.mrb")
            subprocess.run([sys.executable, "-c", READER, str(folder / "scene.mrb"), name], check=True)
            found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
            study_figure(series, result, folder / "figure.png")
        for table in (result.vertebrae, result.descriptive, result.curves_table()):
            read = found["tables"][f"DCE {table.title.lower()}"]
            self.assertEqual(list(read), [column.name for column in table.columns])
            for column in table.columns:
                entry = read[column.name]
                self.assertEqual((entry["unit"], entry["title"]), (column.unit, column.title))
                if isinstance(column.values[0], str):
                    self.assertEqual(entry["values"], list(column.values))
                else:
                    np.testing.assert_allclose(entry["values"], column.values, rtol=1e-5, atol=1e-12)
        for name in list(named)[:5]:
            plot = found["plots"][f"{name} fitted"]
            self.assertIn(plot[2], found["tables"][plot[0]])


class PatientGeometry(unittest.TestCase):
    """Slicer's own DICOM reader says where a written series lies."""

    @against("Reading series and their times", "where a turned series lies", "slicer", "write_series")
    def test_against_the_archetype_reader(self):
        phantom = small_phantom(rows=32, columns=24, slices=5)
        angle = np.deg2rad(11.0)
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        series = dataclasses.replace(
            phantom.series(),
            frames=phantom.series().frames[:1],
            times_s=np.zeros(1),
            ijk_to_ras=turn @ phantom.ijk_to_ras,
        )
        with tempfile.TemporaryDirectory() as name:
            write_series(series, Path(name))
            files = sorted(Path(name).iterdir())
            node = slicer.vtkMRMLScalarVolumeNode()
            storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
            storage.SetFileName(str(files[0]))
            for file in files:
                storage.AddFileName(str(file))
            storage.SetSingleFile(0)
            self.assertTrue(storage.ReadData(node))
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        to_ijk = np.linalg.inv(slicer.util.arrayFromVTKMatrix(matrix)) @ series.ijk_to_ras
        values = slicer.util.arrayFromVolume(node)
        random = np.random.default_rng(2)
        for k, j, i in random.integers(0, series.shape, (20, 3)):
            there = (to_ijk @ [i, j, k, 1.0])[2::-1]
            measured(self, "place, in voxels", there - np.rint(there), 1e-3)
            self.assertEqual(values[tuple(np.rint(there).astype(int))], series.frames[0][k, j, i])


class Rerun(Scene):
    def test_the_same_pair_updates_its_nodes(self):
        count = self.host.scene.GetNumberOfNodes()
        ids = {role: node.GetID() for role, node in self.nodes.items()}
        changed = dataclasses.replace(self.result, subject="S2")
        again = scene.ResultWriter(self.host.scene, self.sequence, self.segmentation).write(self.series, changed)
        self.assertEqual({role: node.GetID() for role, node in again.items()}, ids)
        self.assertEqual(self.host.scene.GetNumberOfNodes(), count)

    def test_what_a_rerun_no_longer_has_goes(self):
        masks = {name: mask for name, mask in self.phantom.segments.items() if name != "L5"}
        fewer = analyze(self.series, masks)
        nodes = self.writer.write(self.series, fewer)
        self.assertNotIn("plot.4.measured", nodes)
        self.assertIsNone(self.host.scene.GetFirstNodeByName("L5 measured"))
        self.assertNotIn("table.bmd_classification", nodes)
        self.assertEqual(nodes["analyzed"].GetSegmentation().GetNumberOfSegments(), 4)

    def test_another_pair_gets_its_own_nodes_and_folder(self):
        other = scene.write_series(self.host.scene, self.series, "Second")
        nodes = scene.ResultWriter(self.host.scene, other, self.segmentation).write(self.series, self.result)
        self.assertFalse({node.GetID() for node in nodes.values()} & {node.GetID() for node in self.nodes.values()})
        hierarchy = self.host.scene.GetSubjectHierarchyNode()
        folders = {
            hierarchy.GetItemParent(hierarchy.GetItemByDataNode(written["map.ktrans"]))
            for written in (self.nodes, nodes)
        }
        self.assertEqual(len(folders), 2)


class Appearance(Scene):
    def setUp(self):
        super().setUp()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.host.scene, True)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(self.host.application)
        self.logic.SetMRMLScene(self.host.scene)
        node = self.logic.AddSliceNode("Sagittal")
        node.SetOrientation("Sagittal")
        node.SetDimensions(200, 200, 1)

    def tearDown(self):
        self.logic.SetMRMLScene(None)
        self.logic.SetMRMLApplicationLogic(None)
        del self.logic

    def render(self, foreground):
        """RGB of a sagittal slice through L3, as Slicer blends it without a window."""
        browser = self.host.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
        composite = self.logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(browser.GetProxyNode(self.sequence).GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetForegroundOpacity(1.0)
        self.logic.FitSliceToAll()
        self.logic.UpdatePipeline()
        port = self.logic.GetImageDataConnection()
        port.GetProducer().Update()
        image = port.GetProducer().GetOutputDataObject(port.GetIndex())
        width, height, _ = image.GetDimensions()
        pixels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return pixels[..., :3].astype(int)

    def pixel_is_analyzed(self):
        """For each pixel of the rendered slice, whether the voxel under it has a value."""
        to_ijk = np.linalg.inv(self.series.ijk_to_ras)
        to_ras = slicer.util.arrayFromVTKMatrix(self.logic.GetSliceNode().GetXYToRAS())
        rows, columns = np.indices((200, 200))
        xy = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)], axis=-1)
        i, j, k = np.moveaxis(np.rint((xy @ (to_ijk @ to_ras).T)[..., :3]).astype(int), -1, 0)
        shape = self.series.shape
        within = (i >= 0) & (j >= 0) & (k >= 0) & (i < shape[2]) & (j < shape[1]) & (k < shape[0])
        analyzed = np.zeros(within.shape, dtype=bool)
        values = self.result.maps["ktrans"].values
        analyzed[within] = np.isfinite(values[k[within], j[within], i[within]])
        return analyzed

    def test_outside_the_regions_the_anatomy_shows(self):
        plain = self.render(None)
        self.assertGreater(plain.max(), 50)
        analyzed = self.pixel_is_analyzed()
        self.assertGreater(np.count_nonzero(analyzed), 100)
        inner = ndimage.binary_erosion(analyzed, iterations=2)
        outer = ~ndimage.binary_dilation(analyzed, iterations=2)
        for role in ("map.ktrans", "map.kep", "map.ve", "map.status"):
            with self.subTest(role=role):
                shown = self.render(self.nodes[role])
                np.testing.assert_array_equal(shown[outer], plain[outer])
                self.assertTrue((np.abs(shown - plain).max(axis=-1)[inner] > 0).mean() > 0.99)

    def test_color_of_a_known_value(self):
        """L1 at 0.96 of 0 to 1.2 lies at 0.8 of the color table."""
        shown = self.render(self.nodes["map.ktrans"])
        table = self.nodes["colors.parameters"]
        expected = [0.0] * 4
        table.GetColor(round(0.961 / 1.2 * 255), expected)
        analyzed = ndimage.binary_erosion(self.pixel_is_analyzed(), iterations=2)
        close = np.abs(shown[analyzed] - 255 * np.array(expected[:3])).max(axis=1) < 12
        self.assertGreater(close.mean(), 0.1)


class Hygiene(unittest.TestCase):
    def test_relative_path(self):
        first, second = HeadlessSlicer(), HeadlessSlicer()
        first.scene.AddNewNodeByClass("vtkMRMLTableNode", "saved")
        with tempfile.TemporaryDirectory(dir=".") as name:
            path = Path(os.path.relpath(name)) / "scene.mrb"
            first.save(path)
            second.load(path)
        self.assertIsNotNone(second.scene.GetFirstNodeByName("saved"))

    def test_two_hosts_in_one_process_do_not_mix(self):
        first, second = HeadlessSlicer(), HeadlessSlicer()
        first.scene.AddNewNodeByClass("vtkMRMLTableNode", "only here")
        self.assertIsNone(second.scene.GetFirstNodeByName("only here"))


if __name__ == "__main__":
    unittest.main()
