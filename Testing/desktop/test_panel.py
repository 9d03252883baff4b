"""The panel, driven as a user drives it, over a stand-in for the desktop; the scene is real."""

from __future__ import annotations

import doctest
import functools
import gc
import importlib
import json
import subprocess
import sys
import tempfile
import time
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import standin
from support import needs

FIGURES = ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg")
PHANTOM = {"rows": 96, "columns": 72, "slices": 6, "duration_s": 150.0}


def resident_mib() -> float:
    """Memory of this process; NaN where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


class Desktop(unittest.TestCase):
    """A fresh scene with the panel open; a small phantom takes the place of the usual one."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.app = standin.start()
        cls.app.as_pythonqt(__name__)
        from DCEPerfusionBMDLib import phantom

        cls.usual, cls.small = phantom.LumbarPhantom, functools.partial(phantom.LumbarPhantom, **PHANTOM)

    def setUp(self) -> None:
        from DCEPerfusionBMDLib import phantom

        phantom.LumbarPhantom = self.small
        self.app.on_pump, self.app.pumped = None, 0
        self.app.errors.clear()
        self.app.statuses.clear()
        self.app.dialogs.clear()
        self.app.open_under_errors.clear()
        self.scene = self.app.host.scene
        self.panel = self.app.widget()
        self.ui = self.panel.ui

    def tearDown(self) -> None:
        from DCEPerfusionBMDLib import phantom

        phantom.LumbarPhantom = self.usual
        self.panel.cleanup()
        self.panel.parent.deleteLater()
        self.app.close_scene()

    def load(self) -> None:
        self.ui.phantomButton.click()
        self.assertEqual(self.app.errors, [])

    def apply(self) -> dict[str, object]:
        self.assertTrue(self.ui.applyButton.enabled, self.ui.applyButton.toolTip)
        self.ui.applyButton.click()
        self.assertEqual(self.app.errors, [])
        return self.nodes()

    def nodes(self) -> dict[str, object]:
        parameters = self.panel.logic.getParameterNode()
        return self.panel.logic.resultNodes(parameters.series, parameters.segmentation)

    def state(self) -> dict[str, int]:
        """Node IDs with their modified times."""
        nodes = [self.scene.GetNthNode(n) for n in range(self.scene.GetNumberOfNodes())]
        return {node.GetID(): node.GetMTime() for node in nodes}


class Inputs(Desktop):
    def test_the_tooltip_says_what_is_missing(self) -> None:
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertEqual(self.ui.applyButton.toolTip, "Choose a dynamic series.")
        self.load()
        parameters = self.panel.logic.getParameterNode()
        segmentation = parameters.segmentation
        parameters.segmentation = None
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("segmentation", self.ui.applyButton.toolTip)
        parameters.segmentation = segmentation
        box = self.ui.regionsTable.cellWidget(5, 1)
        box.currentIndex = box.findText("no level")
        box.activated.emit(box.currentIndex)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("no segment is taken for the artery", self.ui.applyButton.toolTip)
        parameters.frameTimes = "soon"
        self.assertFalse(self.ui.applyButton.enabled)

    def test_a_single_measurement_that_cannot_be_read(self) -> None:
        self.load()
        parameters = self.panel._parameterNode
        table = parameters.dxaTable
        for name in ("singleTScore", "singleBmd"):
            setattr(parameters, name, "abc")
            self.assertTrue(self.ui.applyButton.enabled)  # the table goes before it
            parameters.dxaTable = None
            self.assertFalse(self.ui.applyButton.enabled)
            self.assertIn("abc", self.ui.applyButton.toolTip)
            setattr(parameters, name, "-1.5")
            parameters.dxaTable = table
        parameters.singleTScore = "abc"
        self.apply()
        parameters.dxaTable, parameters.singleTScore, parameters.singleBmd = None, "-1.5", ""
        self.apply()

    def test_a_decimal_comma(self) -> None:
        self.load()
        parameters = self.panel._parameterNode
        parameters.dxaTable, parameters.singleTScore, parameters.singleBmd = None, "-2,6", "0,71"
        self.apply()
        (measured,) = self.panel.logic.boneMeasurements(parameters).measurements
        self.assertEqual((measured.t_score, measured.bmd_g_cm2), (-2.6, 0.71))
        parameters.frameTimes = "4,5"
        self.assertIn("a step has a decimal point", self.ui.applyLabel.text)

    def dxa_table(self, *rows: str) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "dxa.csv"
            path.write_text("\n".join(("subject,site,bmd,t_score", *rows)) + "\n", encoding="utf-8")
            return self.panel.logic.loadDxaTable(path)

    def test_a_dxa_table_is_read_before_apply(self) -> None:
        self.load()
        self.panel._parameterNode.dxaTable = self.dxa_table("A,L1-L4,778,-1.6")
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("BMD 778 cannot be in g/cm2", self.ui.applyLabel.text)

    def test_a_dxa_table_of_several_subjects(self) -> None:
        self.load()
        ui, parameters = self.ui, self.panel._parameterNode
        self.assertTrue(ui.dxaSubject.isHidden() and ui.dxaSubjectLabel.isHidden())
        parameters.dxaTable = self.dxa_table("DOE^JANE,L1-L4,0.7,-3.1", "ROE^MARY,L1-L4,1.1,0.4")
        self.assertFalse(ui.dxaSubject.isHidden() or ui.dxaSubjectLabel.isHidden())
        self.assertFalse(ui.applyButton.enabled)
        self.assertRegex(ui.applyLabel.text, "holds 2 subjects; choose one with 'subject'$")
        for row, t_score in ((2, 0.4), (1, -3.1)):
            ui.dxaSubject.currentIndex = row
            ui.dxaSubject.activated.emit(row)
            self.assertTrue(ui.applyLabel.text == "" or "earlier inputs" in ui.applyLabel.text)
            self.apply()
            self.assertEqual(self.panel.logic.result.densitometry.sites[0].t_score, t_score)
            self.assertTrue(ui.applyLabel.isHidden())
        self.panel.exit()
        self.panel.enter()
        self.assertEqual(ui.dxaSubject.currentText, "DOE^JANE")
        parameters.dxaTable = self.dxa_table("A,L1-L4,0.7,-3.1")  # the chosen subject is of another table
        self.assertTrue(ui.dxaSubject.isHidden())
        self.assertTrue(ui.applyButton.enabled)

    def test_names_and_folders_stay_out_of_the_log(self) -> None:
        """What is shown of an error may name a patient or a folder; Slicer's log may not."""
        import logging

        import qt

        self.load()
        names, usual = ("DOE^JANE", "roe_mary"), qt.QFileDialog
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "roe_mary"
            folder.mkdir()
            (folder / "DOE^JANE.csv").write_text("subject,site\nDOE^JANE\n", encoding="utf-8")
            (folder / "file").write_text("", encoding="utf-8")
            with self.assertLogs(level="INFO") as log:
                logging.error("the log is not empty")
                for chosen, buttons in (
                    (str(folder / "DOE^JANE.csv"), (self.ui.importDxaButton, self.ui.loadCohortButton)),
                    (str(folder / "file"), (self.ui.loadDicomButton,)),
                ):
                    answers = dict.fromkeys(("getOpenFileName", "getExistingDirectory"), lambda *_, c=chosen: c)
                    qt.QFileDialog = types.SimpleNamespace(**answers)
                    try:
                        for button in buttons:
                            before = len(self.app.errors)
                            button.click()
                            self.assertEqual(len(self.app.errors), before + 1, button.objectName)
                            self.assertTrue(any(each in self.app.errors[-1] for each in names), self.app.errors[-1])
                    finally:
                        qt.QFileDialog = usual
                self.ui.applyButton.click()
                self.export_to(folder / "file")
                self.assertIn("roe_mary", self.app.errors[-1])
                self.panel.logic.analyzeParameters = lambda *_: {}[names[0]]
                self.ui.applyButton.click()
                self.assertIn("DOE^JANE", self.app.errors[-1])
        self.assertEqual([each for each in names for line in log.output if each in line], [])
        self.assertTrue(any("KeyError" in line and "DCEPerfusionBMD.py" in line for line in log.output))
        self.assertFalse(any(self.app.open_under_errors), "the progress dialog is closed first")

    def export_to(self, path: Path) -> None:
        import qt

        usual, qt.QFileDialog = qt.QFileDialog, types.SimpleNamespace(getExistingDirectory=lambda *_: str(path))
        try:
            self.ui.exportButton.click()
        finally:
            qt.QFileDialog = usual

    def test_what_was_understood(self) -> None:
        self.load()
        self.assertRegex(self.ui.studyLabel.text, r"^50 frames of 72x96x6 voxels, 3 s apart .*TR 3.5 ms.*flip angle 30")
        self.assertEqual(self.ui.repetitionTimeMs.value, 3.5)
        self.assertFalse(self.ui.repetitionTimeMs.enabled)
        self.ui.repetitionTimeMsFromData.checked = False
        self.assertTrue(self.ui.repetitionTimeMs.enabled)
        self.ui.repetitionTimeMs.value = 4.0
        chosen = self.app.module().settingsOf(self.panel.logic.getParameterNode())
        self.assertEqual(chosen.acquisition.repetition_time_ms, 4.0)
        self.assertEqual(chosen.given, {"acquisition.repetition_time_ms"})

    def test_segments_and_their_roles(self) -> None:
        self.load()
        table = self.ui.regionsTable
        self.assertEqual([table.item(n, 0).text() for n in range(6)], ["L1", "L2", "L3", "L4", "L5", "aorta"])
        self.assertEqual(table.cellWidget(0, 1).currentText, "L1")
        self.assertEqual(table.cellWidget(5, 1).currentText, "artery")
        self.assertGreater(int(table.item(0, 2).text()), 100)
        box = table.cellWidget(4, 1)
        box.currentIndex = box.findText("L6")
        box.activated.emit(box.currentIndex)
        parameters = self.panel.logic.getParameterNode()
        self.assertEqual(parameters.regions.levels, "L5=L6")
        self.apply()
        self.assertEqual(list(self.panel.logic.result.vertebrae["level"]), ["L1", "L2", "L3", "L4", "L6"])

    def test_only_series_are_offered(self) -> None:
        self.load()
        nodes = self.apply()
        self.app.qt_application.processEvents()
        parameters = self.panel.logic.getParameterNode()
        anatomy = self.panel.logic.anatomyOf(parameters.series)
        for selector, hidden, offered in (
            (self.ui.seriesSelector, (nodes["map.ktrans"], nodes["map.status"], anatomy), parameters.series),
            (self.ui.segmentationSelector, (nodes["analyzed"], nodes["excluded"]), parameters.segmentation),
            (self.ui.dxaSelector, (nodes["table.vertebrae"],), parameters.dxaTable),
        ):
            found = selector.sortFilterProxyModel().hiddenNodeIDs
            for node in hidden:
                self.assertIn(node.GetID(), found)
            self.assertNotIn(offered.GetID(), found)
        proxy = self.panel.logic.frameOf(parameters.series)  # under the same name as its sequence
        self.assertIn(proxy.GetID(), self.ui.seriesSelector.sortFilterProxyModel().hiddenNodeIDs)
        sequence = parameters.series
        parameters.series = proxy
        self.assertIs(self.panel._parameterNode.series, proxy)
        parameters.series = sequence
        self.panel.hideResults()
        self.assertIn(proxy.GetID(), self.ui.seriesSelector.sortFilterProxyModel().hiddenNodeIDs)
        self.panel.exit()
        parameters.series = proxy
        self.panel.enter()
        self.assertIs(self.panel._parameterNode.series, proxy)
        self.assertNotIn(proxy.GetID(), self.ui.seriesSelector.sortFilterProxyModel().hiddenNodeIDs)

    def test_dicom(self) -> None:
        """A folder with one dynamic series is read; of two, the user chooses."""
        import qt
        from DCEPerfusionBMDLib.dicomio import write_series

        phantom = self.small(duration_s=30.0, slices=3)
        asked = []

        def choose(parent, title, label, items, current, editable):
            asked.append(items)
            return items[-1]

        usual = qt.QFileDialog, qt.QInputDialog
        try:
            with tempfile.TemporaryDirectory() as folder:
                qt.QFileDialog = types.SimpleNamespace(getExistingDirectory=lambda parent, title: folder)
                qt.QInputDialog = types.SimpleNamespace(getItem=choose)
                write_series(phantom.series(), Path(folder) / "one")
                self.ui.loadDicomButton.click()
                self.assertEqual((self.app.errors, asked), ([], []))
                self.assertEqual(self.panel.logic.getParameterNode().series.GetNumberOfDataNodes(), 10)
                self.assertIn("TR 3.5 ms", self.ui.studyLabel.text)
                second = self.small(duration_s=36.0, slices=4, repetition_time_ms=4.0).series()
                write_series(second, Path(folder) / "two", description="other")
                self.ui.loadDicomButton.click()
                self.assertEqual(self.app.errors, [])
                self.assertEqual(len(asked[0]), 3)
                self.assertIn("TR 4 ms", self.ui.studyLabel.text)
        finally:
            qt.QFileDialog, qt.QInputDialog = usual

    def test_the_provenance_says_what_was_read_of_the_scene(self) -> None:
        """By hashes of the segments and the table, by the values that were typed in, and with Slicer's version."""
        needs("jsonschema")
        import DCEPerfusionBMDLib
        import jsonschema
        import slicer

        schema = Path(DCEPerfusionBMDLib.__file__).parent / "data" / "provenance.schema.json"
        validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))

        def history() -> dict:
            found = json.loads(self.apply()["provenance"].GetText())
            self.assertEqual([error.message for error in validator.iter_errors(found)], [])
            self.assertEqual(found["software"].get("Slicer"), "5.12.3")
            return found

        self.load()
        parameters = self.panel._parameterNode
        with mock.patch.object(slicer.app, "applicationVersion", "5.12.3", create=True):
            first = history()
            self.assertEqual(set(first["inputs"]), {"series", "segmentation", "dxa"})
            self.assertIn("voxels of the segments", first["inputs"]["segmentation"]["of"])
            self.assertIn("cells of the table", first["inputs"]["dxa"]["of"])
            self.assertIsNone(first["choices"]["bone"])
            parameters.dxaTable.SetCellText(0, 3, "0.4")
            second = history()
            self.assertNotEqual(first["inputs"]["dxa"]["sha256"], second["inputs"]["dxa"]["sha256"])
            self.assertEqual(first["inputs"]["segmentation"], second["inputs"]["segmentation"])
            segments = parameters.segmentation.GetSegmentation()
            segments.GetNthSegment(0).SetName("first")
            parameters.dxaTable, parameters.singleTScore, parameters.singleBmd = None, "-2,6", "0.71"
            third = history()
            self.assertNotIn("dxa", third["inputs"])
            self.assertEqual(third["choices"]["bone"], {"t_score": "L1-L4=-2.6", "bmd_g_cm2": "L1-L4=0.71"})
            self.assertNotEqual(first["inputs"]["segmentation"], third["inputs"]["segmentation"])

    def test_export_dicom(self) -> None:
        """Offered for a series that was read from DICOM; what is exported names the files it was made of."""
        import importlib.util

        import qt
        from DCEPerfusionBMDLib import export
        from DCEPerfusionBMDLib.dicomio import write_series
        from DCEPerfusionBMDLib.dicomio.source import find_source
        from DCEPerfusionBMDLib.export.record import read_record

        def fake(folder, source, output, progress):
            record = read_record(folder)
            digest, choices = record.history["inputs"]["series"]["sha256"], record.history["choices"]
            found = find_source(source, digest, choices["series"], choices["skip_frames"])
            exported.append((found.shape, len(found.instances[0]), output, record.regions.ijk_to_ras))
            np.testing.assert_allclose(found.ijk_to_ras, record.regions.ijk_to_ras, atol=1e-3)
            progress(0.5, "Writing DICOM objects")
            return ["a note"]

        exported: list[tuple] = []
        button, found, usual = self.ui.exportDicomButton, {}, qt.QFileDialog
        with (
            tempfile.TemporaryDirectory() as name,
            mock.patch.object(importlib.util, "find_spec", lambda name: found.get(name)),
            mock.patch.object(export, "export_dicom", fake),
        ):
            self.assertEqual((button.enabled, button.toolTip), (False, "Apply first."))
            self.load()
            segmentation = self.panel._parameterNode.segmentation
            self.apply()
            self.assertFalse(button.enabled)
            self.assertIn("highdicom", button.toolTip)
            found["highdicom"] = object()
            self.panel.showResult()
            self.assertFalse(button.enabled)
            self.assertIn("Load DICOM", button.toolTip)
            source, output = Path(name) / "source", Path(name) / "output"
            write_series(self.small().series(), source)
            series = self.panel.logic.loadDicom(source)
            self.panel._parameterNode.series, self.panel._parameterNode.segmentation = series, segmentation
            self.panel._parameterNode.skipFrames = 1
            self.apply()
            self.assertTrue(button.enabled, button.toolTip)
            answers = iter((str(source), "", str(source), str(output), str(output), str(output)))
            qt.QFileDialog = types.SimpleNamespace(getExistingDirectory=lambda parent, title: next(answers))
            try:
                button.click()
                self.assertEqual(exported, [])
                button.click()
                self.assertEqual(self.app.errors, [])
                self.assertEqual([each[:3] for each in exported], [((6, 96, 72), 49, output)])
                self.assertIn("a note", self.ui.warningsText.plainText)
                button.click()  # a folder without the series
            finally:
                qt.QFileDialog = usual
            self.assertIn("output", self.app.errors[-1])

    def test_every_parameter_reaches_the_settings(self) -> None:
        """Each editor, changed, changes the setting of its name, and none other."""
        from DCEPerfusionBMDLib import settings

        module, parameters = self.app.module(), self.panel.logic.getParameterNode()
        partners = {"model.delay_s": ("model", "delay", "given"), "densitometry.site": ("densitometry", "mode", "site")}
        for parameter in settings.all_parameters():
            dotted = f"{parameter.group}.{parameter.name}"
            if dotted == "densitometry.mode":
                continue
            with self.subTest(parameter=dotted):
                given = {dotted}
                if dotted in partners:
                    group, name, value = partners[dotted]
                    box = getattr(self.ui, name)
                    before = box.currentIndex
                    choice = type(getattr(getattr(parameters, group), name))(value)
                    setattr(getattr(parameters, group), name, choice)
                    given.add(f"{group}.{name}")
                if dotted == "densitometry.site":
                    self.ui.site.text = "femoral neck"
                editor = getattr(self.ui, module.widgetName(parameter.name))
                flag = getattr(self.ui, module.widgetName(parameter.name) + "FromData", None)
                old = self.change(editor, flag, parameter)
                chosen = module.settingsOf(parameters)
                self.assertEqual(chosen.given, given)
                value = getattr(getattr(chosen, parameter.group), parameter.name)
                self.assertNotEqual(value, parameter.default)
                self.restore(editor, flag, old)
                if dotted in partners:
                    box.currentIndex = before
                self.assertEqual(module.settingsOf(parameters).given, frozenset())

    def change(self, editor, flag, parameter):
        if flag is not None:
            flag.checked = False
        if hasattr(editor, "currentIndex"):
            old, editor.currentIndex = editor.currentIndex, (editor.currentIndex + 1) % editor.count
        elif hasattr(editor, "checked"):
            old, editor.checked = editor.checked, not editor.checked
        elif hasattr(editor, "value"):
            old = editor.value
            editor.value = old + editor.singleStep if old < editor.maximum else old - editor.singleStep
        else:
            texts = {"exclude": "plexus", "levels": "A=L1", "exclude_vertebrae": "L2", "site": "femoral neck"}
            old, editor.text = editor.text, texts.get(parameter.name, "something")
            if parameter.name == "site":
                old = ""
        return old

    def restore(self, editor, flag, old):
        for name in ("currentIndex", "checked", "value", "text"):
            if hasattr(editor, name):
                setattr(editor, name, old)
                break
        if flag is not None:
            flag.checked = True

    def test_dxa_table_with_semicolons(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "dxa.csv"
            path.write_text("subject;site;bmd;t_score\nA;L1-L4;0,778;-1,6\n", encoding="utf-8")
            node = self.panel.logic.loadDxaTable(path)
        from DCEPerfusionBMDLib import scene

        self.assertEqual(node.GetCellText(0, 1), "L1-L4")
        self.assertEqual(scene.read_dxa_node(node).measurements[0].bmd_g_cm2, 0.778)

    def test_total_segmentator(self) -> None:
        """A failure leaves nothing behind; nothing else runs meanwhile."""
        import slicer

        running, fails = [], [True]

        def process(
            logic,
            inputVolume,
            outputSegmentation,
            fast=True,
            cpu=False,
            task=None,
            subset=None,
            interactive=False,
            sequenceBrowserNode=None,
        ):
            """With the parameters of the extension's own."""
            self.assertEqual((fast, cpu, task), (False, False, "vertebrae_mr"))
            self.assertTrue(inputVolume.IsA("vtkMRMLScalarVolumeNode"))
            self.assertIsNone(inputVolume.GetAttribute("DCEPerfusionBMD.role"), "no subtraction image")
            running.append((self.panel._running, self.ui.applyButton.enabled))
            if fails[0]:
                raise RuntimeError("no memory")
            outputSegmentation.GetSegmentation().AddEmptySegment("T12", "T12")

        members = {"process": process, "setupPythonRequirements": lambda logic, upgrade=False: None}
        sys.modules["TotalSegmentator"] = types.SimpleNamespace(TotalSegmentatorLogic=type("Logic", (), members))
        try:
            self.assertFalse(self.ui.totalSegmentatorButton.enabled)
            bare = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "bare")
            self.panel._parameterNode.series = bare  # nothing shows it
            self.assertFalse(self.ui.totalSegmentatorButton.enabled)
            self.panel.onTotalSegmentator()
            self.assertEqual(running, [])
            self.load()
            self.assertTrue(self.ui.totalSegmentatorButton.enabled)
            before = len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
            self.panel.onTotalSegmentator()
            self.assertEqual(self.app.errors, ["no memory"])
            self.app.errors.clear()
            self.assertEqual(running, [(True, False)])
            self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")), before)
            self.assertTrue(self.ui.applyButton.enabled)
            fails[0] = False
            chosen = self.panel._parameterNode.segmentation
            drawn = self.panel.logic.segmentNames(chosen)
            self.panel.onTotalSegmentator()
            self.assertIs(self.panel._parameterNode.segmentation, chosen)  # with the artery that the user drew
            self.assertEqual(self.panel.logic.segmentNames(chosen), [*drawn, "T12"])
            self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")), before)
            self.panel._parameterNode.segmentation = None
            self.panel.onTotalSegmentator()
            self.assertEqual(self.panel._parameterNode.segmentation.GetName(), "Vertebrae")
            self.assertEqual(self.panel.logic.segmentNames(self.panel._parameterNode.segmentation), ["T12"])
            self.assertIn("artery", self.app.statuses[-1])
            self.assertFalse(self.panel._running)
        finally:
            del sys.modules["TotalSegmentator"]


class Applied(Desktop):
    def test_what_apply_gives(self) -> None:
        from DCEPerfusionBMDLib.layout import CURVES_VIEW, LAYOUT_ID, TABLE_VIEW
        from DCEPerfusionBMDLib.phantom import LEVELS

        self.load()
        nodes = self.apply()
        table = nodes["table.vertebrae"].GetTable()
        for n, bone in enumerate(LEVELS.values()):
            found = table.GetColumnByName("ktrans_per_min").GetValue(n)
            self.assertLess(abs(found / bone.ktrans_per_min - 1.0), 0.1)
        self.assertEqual(self.app.layoutManager().current, LAYOUT_ID)
        view = self.scene.GetSingletonNode(CURVES_VIEW, "vtkMRMLPlotViewNode")
        self.assertEqual(view.GetPlotChartNodeID(), nodes["chart.tissue"].GetID())
        view = self.scene.GetSingletonNode(TABLE_VIEW, "vtkMRMLTableViewNode")
        self.assertEqual(view.GetTableNodeID(), nodes["table.vertebrae"].GetID())
        composite = self.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        self.assertEqual(composite.GetForegroundVolumeID(), nodes["map.ktrans"].GetID())
        legend = self.scene.GetFirstNodeByClass("vtkMRMLColorLegendDisplayNode")
        self.assertEqual((legend.GetTitleText(), legend.GetVisibility()), ("Ktrans (/min)", 1))
        self.assertEqual(self.ui.mapSelector.itemText(0), "Ktrans (/min)")
        self.assertEqual([self.ui.regionSelector.itemText(n) for n in range(5)], list(LEVELS))
        self.assertRegex(self.ui.warningsButton.text, r"Warnings: \d+")
        self.assertNotIn("--", self.ui.warningsText.plainText)
        self.assertIn("T-score", self.ui.boneLabel.text)
        self.assertTrue(self.dialogs_are_modal())

    def dialogs_are_modal(self) -> bool:
        from PySide6 import QtCore

        modal = QtCore.Qt.WindowModality.ApplicationModal
        return bool(self.app.dialogs) and all(dialog.windowModality == modal for dialog in self.app.dialogs)

    def test_statistics_over_the_analyzed_segments(self) -> None:
        import slicer

        self.load()
        nodes = self.apply()
        values = slicer.util.arrayFromVolume(nodes["map.ktrans"])
        table = nodes["table.vertebrae"].GetTable()
        segmentation = nodes["analyzed"]
        for n, level in enumerate(("L1", "L2", "L3", "L4", "L5")):
            mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, level, nodes["map.ktrans"]) > 0
            inside = values[mask].astype(float)
            self.assertTrue(np.isfinite(inside).all())
            median = table.GetColumnByName("ktrans_median_per_min").GetValue(n)
            self.assertAlmostEqual(float(np.median(inside)) / median, 1.0, delta=1e-5)

    def test_maps_jumps_and_exclusions(self) -> None:
        import slicer

        self.load()
        nodes = self.apply()
        self.ui.mapSelector.currentIndex = 1
        self.ui.mapSelector.activated.emit(1)
        composite = self.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        self.assertEqual(composite.GetForegroundVolumeID(), nodes["map.kep"].GetID())
        legends = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
        shown = [legend.GetTitleText() for legend in legends if legend.GetVisibility()]
        self.assertEqual(shown, ["kep (/min)"])
        self.ui.tableSelector.currentIndex = 1
        self.ui.tableSelector.activated.emit(1)
        self.ui.regionSelector.currentIndex = 4
        self.ui.regionSelector.activated.emit(4)
        center = nodes["analyzed"].GetSegmentCenterRAS("L5")
        matrix = self.scene.GetFirstNodeByClass("vtkMRMLSliceNode").GetSliceToRAS()
        offset = [matrix.GetElement(n, 3) for n in range(3)]
        np.testing.assert_allclose(offset, center, atol=1e-6)
        nodes["analyzed"].GetSegmentation().AddEmptySegment("void", "void")
        self.panel._views.jumpTo(nodes["analyzed"], "void")
        self.assertEqual([matrix.GetElement(n, 3) for n in range(3)], offset)
        self.ui.showExcludedButton.checked = True
        self.assertTrue(nodes["excluded"].GetDisplayNode().GetVisibility())
        self.ui.warningsButton.checked = True
        self.assertFalse(self.ui.warningsText.isHidden())

    def test_a_chart_and_a_table_that_were_deleted(self) -> None:
        self.load()
        nodes = self.apply()
        for role in ("chart.tissue", "table.vertebrae"):
            self.scene.RemoveNode(nodes[role])
        self.panel.onLayout()
        self.assertNotIn("chart.tissue", self.nodes())

    def test_tables_after_the_series_was_renamed(self) -> None:
        self.load()
        nodes = self.apply()
        titles = {f"table.{table.name}": table.title for table in self.panel.logic.result.tables()}
        self.panel._parameterNode.series.SetName("renamed")
        self.panel.showResult()
        shown = {self.ui.tableSelector.itemData(n): n for n in range(self.ui.tableSelector.count)}
        self.assertEqual({role: self.ui.tableSelector.itemText(n) for role, n in shown.items()}, titles)
        self.assertLessEqual(set(titles), set(nodes))

    def test_the_layouts_leave_the_plot_of_the_panel_alone(self) -> None:
        """A view without an owner is taken into the layout as soon as it is added to the scene."""
        import vtk
        from DCEPerfusionBMDLib.layout import INPUT_VIEW

        owners = {}

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(caller, event, node):
            if node.IsA("vtkMRMLPlotViewNode"):
                owners[node.GetSingletonTag()] = node.GetParentLayoutNode()

        self.panel.exit()
        view = self.scene.GetSingletonNode(INPUT_VIEW, "vtkMRMLPlotViewNode")
        self.scene.RemoveNode(view)
        tag = self.scene.AddObserver(self.scene.NodeAddedEvent, added)
        try:
            self.panel.enter()
        finally:
            self.scene.RemoveObserver(tag)
        self.assertIs(owners[INPUT_VIEW], self.panel._parameterNode.parameterNode)
        view = self.scene.GetSingletonNode(INPUT_VIEW, "vtkMRMLPlotViewNode")
        view.SetAndObserveParentLayoutNodeID(None)  # as in a scene of an earlier version
        self.load()
        self.panel.showArterialInput()
        self.assertIs(view.GetParentLayoutNode(), self.panel._parameterNode.parameterNode)

    def test_charts_and_tables_of_others_stay_out(self) -> None:
        from DCEPerfusionBMDLib.layout import CURVES_VIEW, INPUT_VIEW, TABLE_VIEW

        self.load()
        nodes = self.apply()
        logic = self.app.host.application
        logic.GetSelectionNode().SetActivePlotChartID(self.scene.AddNewNodeByClass("vtkMRMLPlotChartNode").GetID())
        logic.PropagatePlotChartSelection()
        logic.GetSelectionNode().SetActiveTableID(self.scene.AddNewNodeByClass("vtkMRMLTableNode").GetID())
        logic.PropagateTableSelection()
        for tag, role in ((INPUT_VIEW, "chart.input"), (CURVES_VIEW, "chart.tissue")):
            view = self.scene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")
            self.assertEqual(view.GetPlotChartNodeID(), nodes[role].GetID())
        view = self.scene.GetSingletonNode(TABLE_VIEW, "vtkMRMLTableViewNode")
        self.assertEqual(view.GetTableNodeID(), nodes["table.vertebrae"].GetID())

    def test_cancel_changes_nothing(self) -> None:
        self.load()
        self.apply()
        for fraction in (1, 5):
            before, pumped = self.state(), self.app.pumped

            def cancel(limit: int = pumped + fraction) -> None:
                if self.app.pumped >= limit:
                    self.app.dialogs[-1].cancel()

            self.app.on_pump = cancel
            self.ui.applyButton.click()
            self.app.on_pump = None
            self.assertEqual(self.state(), before)
            self.assertEqual(self.app.statuses[-1], "Canceled; nothing was changed.")
            self.assertTrue(self.ui.applyButton.enabled)

    def test_cancel_of_the_first_run(self) -> None:
        self.load()
        before = self.state()
        self.app.on_pump = lambda: self.app.dialogs[-1].cancel()
        self.ui.applyButton.click()
        self.assertEqual(self.state(), before)
        self.assertEqual(self.nodes(), {})

    def test_one_run_at_a_time(self) -> None:
        self.load()
        self.app.on_pump = self.panel.onApply
        self.apply()
        self.assertEqual(len(self.app.dialogs), 2)  # the phantom and one analysis

    def test_an_error_is_shown_once(self) -> None:
        self.load()
        parameters = self.panel.logic.getParameterNode()
        parameters.regions.margin_mm = 40.0
        before = self.scene.GetNumberOfNodes()
        self.ui.applyButton.click()
        self.assertEqual(len(self.app.errors), 1)
        self.assertIn("'margin mm'", self.app.errors[0])
        self.assertEqual(self.scene.GetNumberOfNodes(), before)

    def test_an_unexpected_error_is_shown(self) -> None:
        self.load()
        self.panel.logic.analyze = self.fail_unexpectedly
        for error in (ValueError("bad"), np.linalg.LinAlgError("bad"), MemoryError("bad"), KeyError("bad")):
            self.error = error
            self.app.errors.clear()
            with self.assertLogs(level="ERROR"):
                self.ui.applyButton.click()
            self.assertEqual(len(self.app.errors), 1)
            self.assertRegex(self.app.errors[0], f"^Unexpected error: {type(error).__name__}: .*bad")
            self.assertTrue(self.ui.applyButton.enabled)
        with self.assertLogs(level="ERROR"):
            self.panel.onLiveTimer()
        self.assertIn("Unexpected error", self.ui.warningsText.plainText)

    def fail_unexpectedly(self, *_: object) -> None:
        raise self.error

    def test_two_studies_do_not_mix(self) -> None:
        self.load()
        first = self.apply()
        times = {role: node.GetMTime() for role, node in first.items()}
        self.load()
        second = self.apply()
        self.assertFalse({node.GetID() for node in first.values()} & {node.GetID() for node in second.values()})
        for role in ("map.ktrans", "table.vertebrae", "analyzed"):
            self.assertEqual(first[role].GetMTime(), times[role])
        hierarchy = self.scene.GetSubjectHierarchyNode()
        folders = {
            hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes["map.ktrans"])) for nodes in (first, second)
        }
        self.assertEqual(len(folders), 2)

    def choose(self, inputs: dict[str, object]) -> None:
        parameters = self.panel._parameterNode
        parameters.series, parameters.segmentation = inputs["series"], inputs["segmentation"]

    def test_a_result_is_shown_with_its_own_inputs_only(self) -> None:
        import qt

        self.load()
        parameters = self.panel._parameterNode
        first = {"series": parameters.series, "segmentation": parameters.segmentation}
        self.apply()
        result, bone = self.panel.logic.result, self.ui.boneLabel.text
        self.ui.hoverCheckBox.checked = True
        second = self.panel.logic.loadPhantom()
        asked: list[str] = []
        usual, qt.QFileDialog = qt.QFileDialog, types.SimpleNamespace(getExistingDirectory=lambda *_: asked.append(""))
        try:
            self.choose(second)
            self.assertIsNone(self.panel.logic.resultOf(second["series"], second["segmentation"]))
            self.assertEqual((self.ui.mapSelector.count, self.ui.regionSelector.count), (0, 0))
            self.assertEqual(self.ui.boneLabel.text, "")
            self.assertIn("Checks passed: 10", self.ui.findingsLabel.text)  # of the inputs; the result's are 12
            self.assertFalse(self.ui.exportButton.enabled or self.ui.hoverCheckBox.checked)
            self.assertEqual(self.ui.warningsButton.text, "No warnings")
            self.panel.onExport()
            self.assertEqual(asked, [])
            self.choose(first)
            self.assertIs(self.panel.logic.resultOf(first["series"], first["segmentation"]), result)
            self.assertEqual((self.ui.mapSelector.count, self.ui.boneLabel.text), (8, bone))
            self.assertTrue(self.ui.exportButton.enabled)
            self.choose(second)
            self.apply()
            self.choose(first)
            self.assertEqual(self.ui.mapSelector.count, 8)  # nodes of an earlier run
            self.assertFalse(self.ui.exportButton.enabled)
            self.assertEqual(self.ui.boneLabel.text, "")
            self.panel.onHover(True)
            self.assertEqual(self.nodes()["chart.tissue"].GetNumberOfPlotSeriesNodes(), 10)
        finally:
            qt.QFileDialog = usual

    def test_controls_without_a_result(self) -> None:
        self.load()
        self.apply()
        second = self.panel.logic.loadPhantom()
        self.choose(second)
        for _ in range(2):
            self.panel.onRegionChosen()
            self.panel.onLayout()
            self.panel.onHover(True)
            self.panel.onMapChosen()
            self.panel.onTableChosen()
            self.panel.onShowExcluded(True)
            self.panel._views.show({}, second["segmentation"], None)
            self.scene.RemoveNode(second["series"])

    def test_export(self) -> None:
        self.load()
        self.apply()
        with tempfile.TemporaryDirectory() as folder:
            self.panel.logic.exportResult(folder)
            names = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        self.assertLessEqual(
            {"maps/ktrans.nrrd", "vertebrae.csv", "curves.csv", "report.html", "provenance.json"}, names
        )

    def export_by_button(self, answers: list[bool], on_install: Callable[[], None] | None = None) -> list[str]:
        """The reports of an export per answer, where matplotlib is missing until `on_install` has been called."""
        import qt

        self.app.questions.clear()
        self.app.installed.clear()
        self.app.on_install = on_install
        usual, reports = qt.QFileDialog, []
        try:
            with tempfile.TemporaryDirectory() as folder, mock.patch.dict(sys.modules, dict.fromkeys(FIGURES)):
                qt.QFileDialog = types.SimpleNamespace(getExistingDirectory=lambda *_: folder)
                for self.app.agrees in answers:
                    self.panel.onExport()
                    reports.append((Path(folder) / "report.html").read_text(encoding="utf-8"))
        finally:
            qt.QFileDialog, self.app.on_install, self.app.agrees = usual, None, False
        return reports

    def test_export_without_matplotlib(self) -> None:
        """The report is written without curves, says so, and the question comes once."""
        self.load()
        self.apply()
        for report in self.export_by_button([False, True]):
            self.assertIn("The curves are not drawn: figures need matplotlib, which is not installed.", report)
        self.assertEqual((len(self.app.questions), self.app.installed), (1, []))
        self.assertIn("which is not installed. Slicer can install it", self.app.questions[0])
        self.assertIn("the report has no curves, since matplotlib is not installed", self.app.statuses[-1])

    def test_export_installs_matplotlib(self) -> None:
        needs("matplotlib")
        there = {name: importlib.import_module(name) for name in FIGURES}
        self.load()
        self.apply()
        running = []

        def arrive() -> None:
            running.append(self.panel._running)
            sys.modules.update(there)

        (report,) = self.export_by_button([True], arrive)
        self.assertEqual((self.app.installed, running), (["matplotlib"], [True]))
        self.assertNotIn("not drawn", report)
        self.assertIn("Enhancement curves. Points", report)
        self.assertFalse(self.panel._running)
        self.assertEqual(self.app.statuses[-1], "The results are written.")

    def test_export_where_the_installation_fails(self) -> None:
        self.load()
        self.apply()

        def fail() -> None:
            raise subprocess.CalledProcessError(1, "pip")

        (report,) = self.export_by_button([True], fail)
        self.assertIn("matplotlib could not be installed", self.app.errors[0])
        self.assertIn("The curves are not drawn", report)

    def test_a_hundred_runs(self) -> None:
        """Nodes stay, and memory does not grow."""
        self.load()
        counts, memory = [], []
        for _ in range(100):
            self.apply()
            gc.collect()
            counts.append(self.scene.GetNumberOfNodes())
            memory.append(resident_mib())
        self.assertEqual(set(counts[1:]), {counts[1]})
        grown = np.mean(memory[-10:]) - np.mean(memory[5:15])
        print(f"\n100 runs: {counts[1]} nodes throughout, memory {memory[5]:.0f} to {memory[-1]:.0f} MiB")
        if np.isfinite(grown):
            self.assertLess(grown, 20.0)


class Live(Desktop):
    def wait(self, seconds: float = 3.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and (self.panel._liveTimer.active or self.panel._running):
            self.app.qt_application.processEvents()

    def test_a_change_leads_to_a_result_without_events(self) -> None:
        self.load()
        nodes = self.apply()
        table = nodes["table.vertebrae"].GetTable()
        before = table.GetColumnByName("ktrans_per_min").GetValue(0)
        self.ui.autoUpdateCheckBox.checked = True
        self.wait()
        pumped = self.app.pumped
        for value in (0.40, 0.35, 0.30):  # one run for all three
            self.ui.hematocrit.value = value
        self.wait()
        self.assertEqual(self.app.pumped, pumped)
        after = nodes["table.vertebrae"].GetTable().GetColumnByName("ktrans_per_min").GetValue(0)
        self.assertAlmostEqual(after / before, 0.70 / 0.58, delta=0.1)
        self.assertEqual(self.panel.logic.result.used["hematocrit"].value, 0.30)

    def test_a_series_that_was_moved(self) -> None:
        """The transform above the volume that shows the sequence counts, and those above that transform."""
        import vtk

        self.load()
        logic, parameters = self.panel.logic, self.panel._parameterNode
        browser = self.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
        proxy = browser.GetProxyNode(parameters.series)
        upper, lower = (self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode") for _ in range(2))
        lower.SetAndObserveTransformNodeID(upper.GetID())
        proxy.SetAndObserveTransformNodeID(lower.GetID())
        before = logic.readSeries(parameters.series)
        self.assertIs(logic.readSeries(parameters.series), before)
        for transform, shift in ((lower, 2.0), (upper, 3.0)):
            matrix = vtk.vtkMatrix4x4()
            matrix.SetElement(0, 3, shift)
            transform.SetMatrixTransformToParent(matrix)
            after = logic.readSeries(parameters.series)
            self.assertAlmostEqual(after.ijk_to_ras[0, 3] - before.ijk_to_ras[0, 3], shift)
            self.assertIs(logic.readSeries(parameters.series), after)
            before = after

    def test_an_error_becomes_a_warning(self) -> None:
        self.load()
        self.apply()
        self.ui.autoUpdateCheckBox.checked = True
        self.ui.marginMm.value = 40.0
        self.wait()
        self.assertEqual(self.app.errors, [])
        self.assertIn("margin", self.ui.warningsText.plainText)

    def test_hover(self) -> None:
        import slicer

        self.load()
        nodes = self.apply()
        count = self.scene.GetNumberOfNodes()
        self.assertFalse(self.ui.hoverCheckBox.checked)
        self.ui.hoverCheckBox.checked = True
        chart = nodes["chart.tissue"]
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 12)
        crosshair = self.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        center = nodes["analyzed"].GetSegmentCenterRAS("L1")
        crosshair.SetCursorPositionRAS(list(center))
        table = slicer.util.getNodesByClass("vtkMRMLTableNode")[-1].GetTable()
        measured, fitted = (
            np.array([table.GetColumnByName(name).GetValue(n) for n in range(50)])
            for name in ("measured_mM", "fitted_mM")
        )
        self.assertTrue(np.isfinite(measured).all())
        self.assertLess(np.sqrt(np.mean((measured - fitted) ** 2)), 0.2 * measured.max())
        self.ui.hoverCheckBox.checked = False
        self.assertEqual(self.scene.GetNumberOfNodes(), count)
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 10)
        crosshair.SetCursorPositionRAS([0.0, 0.0, 0.0])

    def test_hover_goes_on_after_another_run(self) -> None:
        self.assertFalse(self.ui.hoverCheckBox.enabled)
        self.load()
        self.assertFalse(self.ui.hoverCheckBox.enabled)
        chart = self.apply()["chart.tissue"]
        self.assertTrue(self.ui.hoverCheckBox.enabled)
        count = self.scene.GetNumberOfNodes()
        self.ui.hoverCheckBox.checked = True
        self.ui.hematocrit.value = 0.5
        self.apply()
        self.assertTrue(self.ui.hoverCheckBox.checked)
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 12)
        self.ui.autoUpdateCheckBox.checked = True
        self.ui.hematocrit.value = 0.3
        self.wait()
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 12)
        self.assertEqual(self.scene.GetNumberOfNodes(), count + 3)
        self.ui.hoverCheckBox.checked = False
        self.assertEqual(self.scene.GetNumberOfNodes(), count)


class BeforeApply(Desktop):
    """What the panel shows of the inputs as they are."""

    def settle(self, seconds: float = 3.0) -> None:
        """Wait until every timer of the panel is done."""
        timers = (self.panel._settleTimer, self.panel._inputTimer, self.panel._liveTimer)
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(timer.active for timer in timers):
            self.app.qt_application.processEvents()
        self.assertFalse(any(timer.active for timer in timers))

    def shown(self) -> dict[str, np.ndarray]:
        """The curves in the plot of the panel; empty where it is hidden."""
        from DCEPerfusionBMDLib.layout import INPUT_VIEW

        view = self.scene.GetSingletonNode(INPUT_VIEW, "vtkMRMLPlotViewNode")
        chart = self.scene.GetNodeByID(view.GetPlotChartNodeID() or "none")
        self.assertEqual(chart is None, self.ui.inputPlotFrame.isHidden())
        curves = {}
        for n in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
            plot = chart.GetNthPlotSeriesNode(n)
            table = plot.GetTableNode().GetTable()
            for name in (plot.GetXColumnName(), plot.GetYColumnName()):
                column = table.GetColumnByName(name)
                curves[name] = np.array([column.GetValue(row) for row in range(column.GetNumberOfValues())])
        return curves

    def role(self, row: int, role: str) -> None:
        box = self.ui.regionsTable.cellWidget(row, 1)
        box.currentIndex = box.findText(role)
        box.activated.emit(box.currentIndex)

    def test_arterial_input(self) -> None:
        """The plot and its findings are there before any result, follow what they depend on, and are not saved."""
        from DCEPerfusionBMDLib.kinetics import parker_blood_concentration

        self.load()
        self.settle()
        self.assertEqual(self.nodes(), {})
        curves = self.shown()
        blood = curves["aif_blood_mM"]
        np.testing.assert_allclose(curves["aif_plasma_mM"], blood / (1 - 0.42), rtol=1e-9, atol=1e-12)
        truth = parker_blood_concentration((curves["time_s"] - self.small().arrival_s) / 60.0)
        late = curves["time_s"] > 60.0
        np.testing.assert_allclose(blood[late], truth[late], rtol=0.05)
        self.assertRegex(self.ui.findingsLabel.text, "^warning: The series ends .*\\nChecks passed: 10$")
        self.ui.hematocrit.value = 0.30
        self.settle()
        np.testing.assert_allclose(self.shown()["aif_plasma_mM"], blood / (1 - 0.30), rtol=1e-9, atol=1e-12)
        self.ui.t10BloodMsFromData.checked = False
        self.ui.t10BloodMs.value = 1000.0
        self.settle()
        self.assertGreater(np.abs(self.shown()["aif_blood_mM"] / blood - 1.0)[-1], 0.05)
        self.ui.aif.currentIndex = self.ui.aif.findText("population (Parker)")
        self.settle()
        plasma = self.shown()["aif_plasma_mM"] * (1 - 0.30)
        self.assertAlmostEqual(plasma.max() / parker_blood_concentration(np.linspace(0, 1, 6000)).max(), 1.0, delta=0.2)
        self.ui.agent.text = "gadobutrol"
        before = self.shown()["aif_blood_mM"]
        self.settle()
        self.assertGreater(np.abs(self.shown()["aif_blood_mM"] / before - 1.0)[-1], 0.05)
        self.role(5, "no level")
        self.settle()
        self.assertEqual(self.shown(), {})
        self.assertIn("artery", self.ui.findingsLabel.text)
        self.role(5, "artery")
        self.settle()
        self.assertIn("aif_blood_mM", self.shown())
        saved = [self.scene.GetNthNode(n) for n in range(self.scene.GetNumberOfNodes())]
        kept = [node.GetName() for node in saved if node.GetName().startswith("Input of the model")]
        self.assertTrue(kept)
        self.assertFalse(
            [n for n in saved if n.GetName() in kept and (n.GetSaveWithScene() or not n.GetHideFromEditors())]
        )
        self.panel.exit()
        self.assertEqual([n.GetName() for n in self.scene.GetNodes() if n.GetName() in kept], [])

    def test_the_chart_bears_the_words_of_the_panel(self) -> None:
        self.load()
        words = {"aif": "A", "reference": "R", "time": "T", "concentration": "C"}
        self.panel._inputChart.clear()
        self.panel._inputChart._words = words
        chart = self.panel._inputChart.show(self.panel.logic.arterialInput(self.panel._parameterNode))
        self.assertEqual((chart.GetTitle(), chart.GetXAxisTitle(), chart.GetYAxisTitle()), ("A", "T", "C"))

    def test_an_unexpected_error_in_the_input(self) -> None:
        self.load()
        self.panel.logic.arterialInput = lambda node: {}["missing"]
        self.ui.hematocrit.value = 0.30
        with self.assertLogs(level="ERROR"):
            self.settle()
        self.assertEqual(self.shown(), {})
        self.assertIn("Unexpected error: KeyError", self.ui.findingsLabel.text)

    def test_arterial_input_without_a_vertebra(self) -> None:
        self.load()
        segmentation = self.panel._parameterNode.segmentation.GetSegmentation()
        for name in ("L1", "L2", "L3", "L4", "L5"):
            segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName(name))
        self.settle()
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("no vertebra", self.ui.applyLabel.text)
        self.assertIn("aif_blood_mM", self.shown())

    def test_the_plot_of_an_up_to_date_result(self) -> None:
        self.load()
        nodes = self.apply()
        self.settle()
        self.assertIn("Checks passed: 12", self.ui.findingsLabel.text)  # with those of the tissue
        table = nodes["table.curves"].GetTable()
        measured = np.array([table.GetColumnByName("aif_plasma_mM").GetValue(n) for n in range(50)])
        np.testing.assert_array_equal(self.shown()["aif_plasma_mM"], measured)
        self.assertTrue(self.ui.applyLabel.isHidden())
        self.ui.hematocrit.value = 0.30
        self.settle()
        np.testing.assert_allclose(self.shown()["aif_plasma_mM"], measured * 0.58 / 0.70, rtol=1e-9, atol=1e-12)
        self.assertIn("earlier inputs", self.ui.applyLabel.text)
        self.apply()
        self.assertTrue(self.ui.applyLabel.isHidden())

    def test_choice_of_frame_times(self) -> None:
        """Offered where sources disagree; the others can be opened by hand."""
        self.load()
        ui, parameters = self.ui, self.panel._parameterNode
        self.assertTrue(ui.timesFrame.isHidden())
        self.assertEqual([ui.timeSource.itemText(n) for n in range(2)], ["from data: phantom: 3 s", "given below"])
        ui.timesButton.click()
        self.assertFalse(ui.timesFrame.isHidden())
        ui.timesButton.click()
        other = "AcquisitionTime (0008,0032)"
        times = ",".join(str(4.5 * n) for n in range(50))
        parameters.series.SetAttribute("DCEPerfusionBMD.otherTimes", f'{{"{other}": [{times}]}}')
        self.panel.enter()
        self.assertFalse(ui.timesFrame.isHidden())
        found = [ui.timeSource.itemText(n) for n in range(ui.timeSource.count)]
        self.assertEqual(found, ["from data: phantom: 3 s", f"{other}: 4.5 s", "given below"])
        self.assertIn("differ by 73.5 s", ui.timeSource.toolTip)
        ui.timeSource.currentIndex = 1
        ui.timeSource.activated.emit(1)
        self.assertEqual(parameters.frameTimes, other)
        self.assertIn("4.5 s apart", ui.studyLabel.text)
        self.assertEqual(ui.timeSource.currentIndex, 1)
        parameters.frameTimes = "2"
        self.assertIn("2 s apart", ui.studyLabel.text)
        self.assertEqual(ui.timeSource.currentText, "given below")
        ui.timeSource.currentIndex = 0
        ui.timeSource.activated.emit(0)
        self.assertEqual(parameters.frameTimes, "")
        self.apply()

    def test_no_frame_times(self) -> None:
        """Where there are none, the place to give them opens."""
        self.load()
        self.panel._parameterNode.series.SetIndexUnit("")
        self.panel.enter()
        self.assertFalse(self.ui.timesFrame.isHidden())
        self.assertIn("no usable frame times", self.ui.applyLabel.text)

    def test_what_stops_apply_is_said(self) -> None:
        """A line under the button, the same as its tooltip; for screen readers too."""
        import slicer
        import vtk

        ui = self.ui

        def check(words: str) -> None:
            self.assertFalse(ui.applyButton.enabled)
            self.assertIn(words, ui.applyLabel.text)
            self.assertFalse(ui.applyLabel.isHidden())
            self.assertEqual(ui.applyButton.toolTip, ui.applyLabel.text)
            self.assertEqual(ui.applyButton.accessibleDescription, ui.applyLabel.text)

        check("Choose a dynamic series.")
        self.load()
        self.assertTrue(ui.applyLabel.isHidden())
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "flat")
        node.CreateDefaultDisplayNodes()
        node.GetSegmentation().SetSourceRepresentationName("Planar contour")
        for name in ("L1", "aorta"):
            segment = slicer.vtkSegment()
            segment.SetName(name)
            segment.AddRepresentation("Planar contour", vtk.vtkPolyData())
            self.assertTrue(node.GetSegmentation().AddSegment(segment, name))
        usual = self.panel._parameterNode.segmentation
        self.panel._parameterNode.segmentation = node
        check("'flat' holds no binary labelmap")
        self.panel._parameterNode.segmentation = usual
        self.assertTrue(ui.applyButton.enabled)
        self.panel._parameterNode.segmentation = None
        check("Choose a segmentation")

    def test_a_transform_that_moves(self) -> None:
        """Above the series or the segmentation, it makes the result stale, or leads to a new one."""
        import vtk

        self.load()
        parameters = self.panel._parameterNode
        proxy = self.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode").GetProxyNode(parameters.series)
        transform = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix, shift = vtk.vtkMatrix4x4(), 0.0
        self.apply()
        for node in (proxy, parameters.segmentation):
            node.SetAndObserveTransformNodeID(transform.GetID())
            self.settle()
            if shift == 0.0:
                self.assertTrue(self.ui.applyLabel.isHidden(), "the identity moves nothing")
            shift += 1.0
            matrix.SetElement(2, 3, shift)
            transform.SetMatrixTransformToParent(matrix)
            self.settle()
            self.assertIn("earlier inputs", self.ui.applyLabel.text)
            before = self.panel.logic.result
            self.ui.autoUpdateCheckBox.checked = True
            self.settle()
            self.assertIsNot(self.panel.logic.result, before)
            before = self.panel.logic.result
            shift += 1.0
            matrix.SetElement(2, 3, shift)
            transform.SetMatrixTransformToParent(matrix)
            self.settle()
            self.assertIsNot(self.panel.logic.result, before)
            self.assertTrue(self.ui.applyLabel.isHidden())
            self.ui.autoUpdateCheckBox.checked = False
        self.panel.cleanup()
        self.assertEqual(list(self.panel.Observations), [])

    def test_a_segment_that_is_drawn_on(self) -> None:
        import slicer

        self.load()
        self.apply()
        segmentation = self.panel._parameterNode.segmentation
        segments = segmentation.GetSegmentation()
        before = int(self.ui.regionsTable.item(0, 2).text())
        logic, first = slicer.vtkSlicerSegmentationsModuleLogic, segments.GetSegmentIdBySegmentName("L1")
        image = slicer.vtkOrientedImageData()
        segmentation.GetBinaryLabelmapRepresentation(segments.GetSegmentIdBySegmentName("L2"), image)
        logic.SetBinaryLabelmapToSegment(image, segmentation, first, logic.MODE_MERGE_MAX)
        self.settle()
        self.assertGreater(int(self.ui.regionsTable.item(0, 2).text()), before)
        self.assertIn("earlier inputs", self.ui.applyLabel.text)

    def test_a_segment_that_is_renamed(self) -> None:
        self.load()
        segments = self.panel._parameterNode.segmentation.GetSegmentation()
        segments.GetSegment(segments.GetSegmentIdBySegmentName("L5")).SetName("L6")
        self.settle()
        self.assertEqual(self.ui.regionsTable.item(4, 0).text(), "L6")
        self.assertGreater(int(self.ui.regionsTable.item(4, 2).text()), 100)

    def test_typing_is_not_read_letter_by_letter(self) -> None:
        from PySide6 import QtTest

        self.load()
        reads, usual = [], self.panel.logic.readSeries
        self.panel.logic.readSeries = lambda *arguments: reads.append(arguments) or usual(*arguments)
        self.ui.timesButton.checked = True
        editor = self.ui.frameTimes
        for letter in "2.25":
            QtTest.QTest.keyClicks(editor, letter)
        self.assertEqual((reads, self.panel._parameterNode.frameTimes), ([], "2.25"))
        editor.editingFinished.emit()
        self.assertTrue(reads)
        self.assertIn("2.25 s apart", self.ui.studyLabel.text)
        for letter in "5":
            QtTest.QTest.keyClicks(editor, letter)
        self.settle()  # without leaving the editor
        self.assertIn("2.255 s apart", self.ui.studyLabel.text)
        QtTest.QTest.keyClicks(self.ui.levels, "L5=")
        self.assertTrue(self.ui.applyButton.enabled)
        QtTest.QTest.keyClicks(self.ui.levels, "L6")
        self.ui.levels.editingFinished.emit()
        self.assertEqual(self.ui.regionsTable.cellWidget(4, 1).currentText, "L6")
        for name in ("aifSegment", "referenceSegment", "exclude", "singleTScore", "singleBmd"):
            reads.clear()
            self.panel._shownInputs, before = None, getattr(self.ui, name).text
            QtTest.QTest.keyClicks(getattr(self.ui, name), "1")
            self.assertTrue(self.panel._settleTimer.active, name)
            self.assertEqual(reads, [], name)
            getattr(self.ui, name).text = before
            self.panel.onSettled()
        self.assertFalse(self.ui.skipFrames.keyboardTracking)
        QtTest.QTest.keyClicks(editor, "x")
        self.ui.applyButton.click()  # Apply reads what was typed last
        self.assertEqual(self.nodes(), {})
        self.assertIn("2.255x", self.ui.applyLabel.text)

    def test_a_table_of_bone_density_that_is_edited(self) -> None:
        self.load()
        table = self.panel._parameterNode.dxaTable
        column = next(n for n in range(table.GetNumberOfColumns()) if table.GetColumnName(n).startswith("t"))
        self.apply()
        self.settle()
        self.assertTrue(self.ui.applyLabel.isHidden())
        table.SetCellText(0, column, "-4.2")
        self.settle()
        self.assertIn("earlier inputs", self.ui.applyLabel.text)
        table.SetCellText(0, column, "abc")
        self.settle()
        self.assertIn("'abc' is not a number", self.ui.applyLabel.text)


class LifeCycle(Desktop):
    def test_close_the_scene_and_start_again(self) -> None:
        self.load()
        self.apply()
        self.ui.hoverCheckBox.checked = True
        self.app.close_scene()
        self.assertIsNone(self.panel.logic.result)
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertEqual(self.ui.mapSelector.count, 0)
        self.load()
        self.apply()

    def test_exit_and_enter(self) -> None:
        self.load()
        self.panel.exit()
        self.panel.logic.getParameterNode().regions.margin_mm = 2.0
        self.panel.enter()
        self.assertEqual(self.ui.marginMm.value, 2.0)

    def test_cleanup_leaves_no_observer(self) -> None:
        self.load()
        self.panel.cleanup()
        self.assertEqual(list(self.panel.Observations), [])
        self.panel.setup()

    def test_reload(self) -> None:
        import slicer

        self.load()
        self.apply()
        self.panel.logic.getParameterNode().regions.margin_mm = 2.0
        old = self.panel
        slicer.modules.DCEPerfusionBMDWidget = old
        slicer.modules.dceperfusionbmd.widgetRepresentation = lambda: old.parent
        reloaded = []
        original, slicer.util.reloadScriptedModule = slicer.util.reloadScriptedModule, reloaded.append
        library = {name: module for name, module in sys.modules.items() if name.startswith("DCEPerfusionBMDLib")}
        try:
            old.onReload()
            left = [name for name in sys.modules if name.startswith("DCEPerfusionBMDLib")]
        finally:
            slicer.util.reloadScriptedModule = original
            sys.modules.update(library)
        self.assertEqual((reloaded, left), (["DCEPerfusionBMD"], []))
        old.cleanup()
        self.assertEqual(list(old.Observations), [])
        self.panel = self.app.widget()
        self.ui = self.panel.ui
        self.assertEqual(self.ui.marginMm.value, 2.0)
        self.assertEqual(self.ui.mapSelector.count, 8)
        self.apply()

    def test_save_and_read(self) -> None:
        self.load()
        parameters = self.panel.logic.getParameterNode()
        parameters.conversion.hematocrit = 0.38
        parameters.acquisition.flip_angle_deg_from_data = False
        parameters.acquisition.flip_angle_deg = 28.0
        self.ui.model.currentIndex = self.ui.model.findText("extended Tofts")
        before = self.app.module().settingsOf(parameters)
        self.apply()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.mrb"
            self.app.host.save(path)
            self.app.close_scene()
            self.assertEqual(self.app.module().settingsOf(self.panel.logic.getParameterNode()).given, frozenset())
            self.app.host.load(path)
        self.assertIs(self.panel._parameterNode.series.GetScene(), self.scene)  # without leaving and entering
        self.assertEqual(self.ui.regionsTable.rowCount, 6)
        self.assertTrue(self.ui.applyButton.enabled, self.ui.applyButton.toolTip)
        self.assertEqual(self.app.module().settingsOf(self.panel.logic.getParameterNode()), before)
        self.assertEqual(self.ui.hematocrit.value, 0.38)
        self.assertIn("map.vp", self.nodes())
        self.assertEqual(self.ui.mapSelector.count, 9)
        self.apply()


class SavedLayout(Desktop):
    def test_a_new_session_knows_the_layout(self) -> None:
        """A scene holds the number of the layout only; what it looks like is known before any scene is read."""
        import slicer
        from DCEPerfusionBMDLib.layout import DESCRIPTION, LAYOUT_ID

        self.load()
        self.apply()
        ours = self.app.layoutManager()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.mrml"
            self.scene.SetURL(str(path))
            self.scene.Commit()
            session = slicer.vtkMRMLScene()
            slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(session, True)
            logic = slicer.vtkMRMLLayoutLogic()
            logic.SetMRMLScene(session)
            logic.GetLayoutNode().SetViewArrangement(3)
            self.app._layouts = types.SimpleNamespace(layoutLogic=lambda: logic)
            try:
                self.app.module().registerLayout()
            finally:
                self.app._layouts = ours
            self.assertEqual(logic.GetLayoutNode().GetViewArrangement(), 3)
            session.SetURL(str(path))
            session.Connect()
            self.assertEqual(logic.GetLayoutNode().GetViewArrangement(), LAYOUT_ID)
            self.assertEqual(logic.GetLayoutNode().GetCurrentLayoutDescription(), DESCRIPTION)
            logic.SetMRMLScene(None)

    def test_registered_at_startup(self) -> None:
        from DCEPerfusionBMDLib.layout import LAYOUT_ID

        module, ours = self.app.module(), self.app.layoutManager()
        module.DCEPerfusionBMD(types.SimpleNamespace(path=module.__file__))
        usual, module.registerSampleData = module.registerSampleData, lambda: None
        try:
            self.app.startup()
            self.assertTrue(ours.layoutLogic().GetLayoutNode().IsLayoutDescription(LAYOUT_ID))
            self.app._layouts = None  # without a main window
            self.app.startup()
        finally:
            self.app._layouts, module.registerSampleData = ours, usual

    def test_the_views_of_a_scene_that_is_read(self) -> None:
        from DCEPerfusionBMDLib.layout import LAYOUT_ID

        self.load()
        self.apply()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.mrb"
            self.app.host.save(path)
            self.app.close_scene()
            self.app.layoutManager().setLayout(3)
            self.app.host.load(path)
        self.assertEqual(self.app.layoutManager().current, LAYOUT_ID)


class Scripting(Desktop):
    def test_the_example_of_analyze_runs(self) -> None:
        module = self.app.module()
        found = doctest.DocTestFinder().find(module.DCEPerfusionBMDLogic, globs=vars(module))
        example = next(test for test in found if test.examples)
        self.assertEqual(doctest.DocTestRunner().run(example).failed, 0)

    def test_another_library_is_refused(self) -> None:
        import DCEPerfusionBMDLib

        beside, DCEPerfusionBMDLib.__file__ = DCEPerfusionBMDLib.__file__, "/elsewhere/DCEPerfusionBMDLib/__init__.py"
        try:
            with self.assertRaisesRegex(RuntimeError, "another one in /elsewhere/DCEPerfusionBMDLib"):
                self.app.module().DCEPerfusionBMDLogic()
            panel = self.app.widget()
            panel.exit()
            panel.cleanup()
            self.assertIn("another one in /elsewhere", self.app.errors[0])
            self.assertEqual(len(self.app.errors), 1)
        finally:
            DCEPerfusionBMDLib.__file__ = beside

    def test_the_volume_that_shows_a_series(self) -> None:
        logic = self.panel.logic
        inputs = logic.loadPhantom()
        browser = self.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
        nodes = logic.analyze(browser.GetProxyNode(inputs["series"]), inputs["segmentation"])
        again = logic.analyze(inputs["series"], inputs["segmentation"])
        self.assertEqual({n.GetID() for n in nodes.values()}, {n.GetID() for n in again.values()})


class SelfTest(Desktop):
    """The module's own test, which Slicer runs, runs here too."""

    def test_all(self) -> None:
        import slicer

        registered = {}

        class SampleDataLogic:
            @staticmethod
            def registerCustomSampleDataCategory(category, title):
                registered[category] = title

            @staticmethod
            def registerCustomSampleDataSource(category, **described):
                sources = vars(slicer.modules).setdefault("sampleDataSources", {})
                sources.setdefault(category, []).append(types.SimpleNamespace(**described))

        sys.modules["SampleData"] = types.ModuleType("SampleData")
        sys.modules["SampleData"].SampleDataLogic = SampleDataLogic
        slicer.modules.dceperfusionbmd.widgetRepresentation = lambda: types.SimpleNamespace(self=lambda: self.panel)
        slicer.util.saveScene = lambda path: self.app.host.save(Path(path)) is None
        slicer.util.loadScene = lambda path: self.app.host.load(Path(path))
        test = self.app.module().DCEPerfusionBMDTest()
        self.app.module().DCEPerfusionBMDTest.tolerance = 0.1  # the small phantom is coarser
        vars(slicer.modules).pop("sampleDataSources", None)
        self.app.module().registerSampleData()  # as at the start of the application
        test.runTest()
        self.assertEqual(len(slicer.modules.sampleDataSources["DCEPerfusionBMD"]), 1)
        slicer.modules.sampleDataSources.clear()
        test.setUp()
        test.test_phantomFromSampleDataToReload()
        self.assertEqual(registered, {"DCEPerfusionBMD": "DCE Perfusion BMD"})
        source = slicer.modules.sampleDataSources["DCEPerfusionBMD"][0]
        self.assertTrue(Path(source.thumbnailFileName).is_file())
        self.assertEqual(source.sampleName, "Lumbar DCE-MRI (phantom)")

    def test_without_categories(self) -> None:
        """Slicer 5.10 has no categories of sample data."""
        import slicer

        sources = []
        logic = type("Logic", (), {"registerCustomSampleDataSource": staticmethod(lambda **each: sources.append(each))})
        sys.modules["SampleData"] = types.SimpleNamespace(SampleDataLogic=logic)
        self.app.module().registerSampleData()
        self.assertEqual(len(sources), 1)
        self.assertIsInstance(sources[0]["uris"], str)
        nodes = sources[0]["customDownloader"](None)
        composite = self.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        self.assertEqual(composite.GetBackgroundVolumeID(), self.panel.logic.anatomyOf(nodes["series"]).GetID())
        self.assertEqual(nodes["series"].GetNumberOfDataNodes(), 50)
        self.assertIs(nodes["series"].GetScene(), slicer.mrmlScene)


if __name__ == "__main__":
    unittest.main()
