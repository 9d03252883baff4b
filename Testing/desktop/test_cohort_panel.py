"""The part of the panel that compares many subjects, driven as a user drives it, over a stand-in for the desktop."""

from __future__ import annotations

import contextlib
import doctest
import tempfile
import types
import typing
import unittest
from pathlib import Path
from unittest import mock

import standin
from DCEPerfusionBMDLib import figures
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.layout import CURVES_VIEW, LAYOUT_ID, TABLE_VIEW

ROWS = ("subject,age,bmd,t-score,ktrans,kep", "A,51,1.1,0.5,0.9,3.1", "B,62,0.9,-1.6,0.6,2.9", "C,71,0.6,-3.1,0.3,2.2")


class Cohort(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.app = standin.start()
        cls.app.as_pythonqt(__name__)

    def setUp(self) -> None:
        self.app.on_pump = None
        self.app.errors.clear()
        self.app.statuses.clear()
        self.app.dialogs.clear()
        self.scene = self.app.host.scene
        self.panel = self.app.widget()
        self.ui = self.panel.ui

    def tearDown(self) -> None:
        self.app.on_pump = None
        self.panel.cleanup()
        self.panel.parent.deleteLater()
        self.app.close_scene()

    def choose(self) -> typing.Any:
        table = self.panel.logic.loadMadeUpCohort()
        self.ui.cohortTableSelector.setCurrentNode(table)
        return table

    def compare(self) -> None:
        self.assertTrue(self.ui.compareButton.enabled, self.ui.compareButton.toolTip)
        self.ui.compareButton.click()
        self.assertEqual(self.app.errors, [])

    def nodes(self) -> set[str]:
        return {self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())}

    def settle(self) -> None:
        """As if the table had come to rest."""
        self.assertTrue(self.panel._cohortTimer.active)
        self.panel._cohortTimer.timeout.emit()

    @contextlib.contextmanager
    def dialog(self, **answers: str) -> typing.Iterator[None]:
        import qt

        usual = qt.QFileDialog
        qt.QFileDialog = types.SimpleNamespace(**{name: lambda *_, a=answer: a for name, answer in answers.items()})
        try:
            yield
        finally:
            qt.QFileDialog = usual

    def shown(self, class_name: str, tag: str) -> typing.Any:
        view = self.scene.GetSingletonNode(tag, class_name)
        return view.GetPlotChartNode() if class_name.endswith("PlotViewNode") else view.GetTableNode()

    def test_nothing_chosen(self) -> None:
        ui = self.ui
        self.assertTrue(ui.cohortButton.collapsed)
        self.assertFalse(ui.compareButton.enabled)
        self.assertIn("Choose a table", ui.compareButton.toolTip)
        self.assertEqual(ui.compareButton.toolTip, ui.compareButton.accessibleDescription)
        self.assertEqual(ui.cohortLabel.text, ui.compareButton.toolTip)
        self.assertFalse(ui.cohortReportButton.enabled)
        self.assertEqual(ui.cohortShownSelector.count, 0)

    def test_choose_compare_and_look(self) -> None:
        ui = self.ui
        table = self.choose()
        self.assertIn("197 rows read, 197 kept, 0 left out.", ui.cohortLabel.text)
        self.compare()
        found = [ui.cohortShownSelector.itemText(n) for n in range(ui.cohortShownSelector.count)]
        self.assertEqual(found[:3], ["Table 1", "Table 1, numbers", "Table 2"])
        self.assertIn("Ktrans against Age", found)
        self.assertEqual(self.shown("vtkMRMLTableViewNode", TABLE_VIEW).GetName(), f"{table.GetName()} Table 1")
        self.assertEqual(self.app.layoutManager().current, LAYOUT_ID)
        self.assertIn("Welch's t-test", ui.cohortNoteLabel.text)
        self.assertIn("fewer than 10 subjects: 40~ (5)", ui.cohortLabel.text)
        ui.cohortShownSelector.currentIndex = found.index("Ktrans against Age")
        ui.cohortShownSelector.activated.emit(ui.cohortShownSelector.currentIndex)
        chart = self.shown("vtkMRMLPlotViewNode", CURVES_VIEW)
        self.assertEqual(chart.GetName(), f"{table.GetName()} Ktrans against Age")
        self.assertIn("r = -0.", ui.cohortNoteLabel.text)
        self.assertEqual(ui.cohortNoteLabel.text, chart.GetTitle())
        # a table of results is no table to choose
        self.panel.hideResults()
        hidden = ui.cohortTableSelector.sortFilterProxyModel().hiddenNodeIDs
        self.assertIn(self.shown("vtkMRMLTableViewNode", TABLE_VIEW).GetID(), hidden)
        self.assertNotIn(table.GetID(), hidden)

    def test_choices_reach_the_result_and_a_rerun_updates(self) -> None:
        ui = self.ui
        table = self.choose()
        self.compare()
        before = self.nodes()
        for editor, words in ((ui.cohortMarks, "Dunnett"), (ui.cohortVeUnit, "mL/100 mL")):
            editor.currentIndex = editor.findText(words)
        self.assertIn("earlier table or other choices", ui.cohortLabel.text)
        self.compare()
        self.assertNotIn("earlier table or other choices", ui.cohortLabel.text)
        self.assertEqual(self.nodes(), before)
        settings = self.panel.logic.cohortResult.settings
        self.assertEqual((settings.marks, settings.ve_unit), ("dunnett", "mL/100mL"))
        nodes = self.panel.logic.cohortNodes(table)
        self.assertIn("Dunnett", nodes["table.table2"].GetDescription())
        self.assertEqual(nodes["chart.figure1.ve"].GetYAxisTitle(), "ve (mL/100 mL)")

    def test_cancel(self) -> None:
        self.choose()
        before = self.nodes()
        self.app.on_pump = lambda: self.app.dialogs[-1].cancel()
        self.ui.compareButton.click()
        self.app.on_pump = None
        self.assertEqual(self.nodes(), before)
        self.assertIn("Canceled", self.app.statuses[-1])
        self.assertFalse(self.ui.cohortReportButton.enabled)
        self.compare()

    def test_a_changed_cell(self) -> None:
        table = self.choose()
        self.compare()
        table.GetTable().GetColumnByName("ktrans").SetValue(0, -5.0)
        table.GetTable().Modified()
        table.Modified()
        self.settle()
        self.assertFalse(self.ui.compareButton.enabled)
        self.assertIn("row 2: ktrans -5", self.ui.cohortLabel.text)
        self.ui.compareButton.click()
        self.assertEqual(self.app.errors, [])
        table.GetTable().GetColumnByName("ktrans").SetValue(0, 0.5)
        table.Modified()
        self.settle()
        self.assertTrue(self.ui.compareButton.enabled)
        self.assertIn("earlier table or other choices", self.ui.cohortLabel.text)

    def test_files_in_and_out(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "women.csv").write_text("\n".join(ROWS) + "\n", encoding="utf-8")
            (folder / "bad.csv").write_text("one,two\n1,2\n", encoding="utf-8")
            with self.dialog(getOpenFileName=str(folder / "women.csv")):
                self.ui.loadCohortButton.click()
            table = self.panel._parameterNode.cohortTable
            self.assertEqual(table.GetName(), "women")
            self.compare()
            self.assertTrue(self.ui.cohortReportButton.enabled)
            with self.dialog(getExistingDirectory=""):
                self.ui.cohortReportButton.click()
            with self.dialog(getExistingDirectory=str(folder / "out")):
                self.ui.cohortReportButton.click()
            self.assertEqual(self.app.errors, [])
            self.assertTrue((folder / "out" / "report.html").is_file())
            self.assertTrue((folder / "out" / "statistics.csv").is_file())
            self.assertIn(str(folder / "out"), self.ui.cohortLabel.text)
            with (
                self.dialog(getExistingDirectory=str(folder / "plain")),
                mock.patch.object(figures.cohort, "print_style", side_effect=InputError("figures need matplotlib")),
            ):
                self.ui.cohortReportButton.click()
            self.assertIn("There are no figures: figures need matplotlib", self.ui.cohortLabel.text)
            self.assertTrue((folder / "plain" / "report.html").is_file())
            with self.dialog(getOpenFileName=str(folder / "bad.csv")):
                self.ui.loadCohortButton.click()
            self.assertFalse(self.ui.compareButton.enabled)
            self.assertIn("bad has no column that is known", self.ui.cohortLabel.text)
            self.assertFalse(self.ui.cohortReportButton.enabled)

    def test_clear(self) -> None:
        table = self.choose()
        self.compare()
        self.ui.cohortTableSelector.setCurrentNode(None)
        self.assertEqual(self.ui.cohortShownSelector.count, 0)
        self.ui.cohortTableSelector.setCurrentNode(table)
        self.assertGreater(self.ui.cohortShownSelector.count, 0)
        self.app.close_scene()
        self.assertIsNone(self.panel.logic.cohortResult)
        self.assertEqual(self.ui.cohortShownSelector.count, 0)
        self.assertFalse(self.ui.compareButton.enabled)
        self.choose()
        self.compare()

    def test_the_example_runs(self) -> None:
        module = self.app.module()
        (example,) = doctest.DocTestFinder().find(
            module.DCEPerfusionBMDLogic.analyzeCohort, "analyzeCohort", globs=vars(module)
        )
        self.assertEqual(len(example.examples), 4)
        self.assertEqual(doctest.DocTestRunner().run(example).failed, 0)


if __name__ == "__main__":
    unittest.main()
