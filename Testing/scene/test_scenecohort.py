"""A cohort in a scene: tables in, tables and charts out; updated on a rerun, kept apart, saved and opened again."""

import csv
import dataclasses
import statistics
import tempfile
import unittest
from functools import cache
from pathlib import Path

import numpy as np
import vtk
from DCEPerfusionBMDLib import scenecohort, scenestudy
from DCEPerfusionBMDLib.cohort import CLASSES, analyze_cohort, read_table
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.settings import CohortSettings
from samplecohort import sample_result
from scipy import stats
from support import reference_data
from vtk.util import numpy_support

QUICK = CohortSettings(resamples=0)
KTRANS, VE, AGE, BMD = "ktrans_per_min", "ve", "age_years", "bmd_lumbar_g_cm2"
SPELLED = dict(zip(("normal", "bone_loss", "osteoporosis"), CLASSES, strict=True))


def paper_table():
    return reference_data("synthetic_cohort_huang2019.csv")


@cache
def paper_rows():
    with paper_table().open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of_paper(column, **where):
    return np.array([float(row[column]) for row in paper_rows() if all(row[k] == v for k, v in where.items())])


@cache
def paper_result():
    return analyze_cohort(read_table(paper_table(), QUICK), QUICK)


def column(node, name):
    """The numbers of a column of a table node."""
    return numpy_support.vtk_to_numpy(node.GetTable().GetColumnByName(name)).astype(float)


def texts(node, name):
    array = node.GetTable().GetColumnByName(name)
    return [array.GetValue(row) for row in range(array.GetNumberOfValues())]


def plots(chart):
    """Label to the points or the line of a chart, as Slicer draws it, and the node that says how."""
    found = {}
    for n in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(n)
        x, y = (column(series.GetTableNode(), name) for name in (series.GetXColumnName(), series.GetYColumnName()))
        found[series.GetName()] = np.array([x, y])[:, np.isfinite(y)], series
    return found


class Scene(unittest.TestCase):
    def setUp(self):
        self.host = HeadlessSlicer()
        self.scene = self.host.scene

    def table(self, columns, name="cohort", units=None):
        """A table node of lists: texts, numbers, or arrays of a type of their own."""
        node = self.scene.AddNewNodeByClass("vtkMRMLTableNode", name)
        for heading, values in columns.items():
            if isinstance(values, np.ndarray):
                array = numpy_support.numpy_to_vtk(values, deep=True)
            else:
                array = vtk.vtkStringArray()
                for value in values:
                    array.InsertNextValue(value)
            array.SetName(heading)
            node.AddColumn(array)
        for heading, unit in (units or {}).items():
            node.SetColumnUnitLabel(heading, unit)
        return node

    def state(self):
        nodes = [self.scene.GetNthNode(n) for n in range(self.scene.GetNumberOfNodes())]
        return {node.GetID(): node.GetMTime() for node in nodes}


class Reading(Scene):
    def test_texts_as_the_file_they_come_from(self):
        node = scenestudy.read_table_file(self.scene, paper_table())
        found, wanted = scenecohort.read_cohort_node(node, QUICK), read_table(paper_table(), QUICK)
        self.assertEqual(found.name, "synthetic_cohort_huang2019")
        for of, other in ((found.numbers, wanted.numbers), (found.labels, wanted.labels)):
            self.assertEqual(list(of), list(other))
            for name in of:
                np.testing.assert_array_equal(of[name], other[name])
        np.testing.assert_array_equal(found.numbers[KTRANS], of_paper("ktrans"))

    def test_numbers_keep_their_digits_and_nan_is_missing(self):
        values = np.array([0.1 + 0.2, np.nan, 1 / 3])
        node = self.table(
            {
                "subject": np.array([7.0, 8.0, 9.0]),
                "ktrans": values,
                "kep": np.array([1.1, 2.2, 3.3], dtype=np.float32),
                "age": np.array([50, 60, 70], dtype=np.int16),
            }
        )
        found = scenecohort.read_cohort_node(node, QUICK)
        self.assertEqual(found.subjects.tolist(), ["7", "8", "9"])
        np.testing.assert_array_equal(found.numbers[KTRANS], values)
        np.testing.assert_array_equal(found.numbers["kep_per_min"], [1.1, 2.2, 3.3])
        np.testing.assert_array_equal(found.numbers[AGE], [50, 60, 70])

    def test_units_of_columns_count_where_the_name_has_none(self):
        subjects = ["A", "B"]
        for name, unit, values, canonical, wanted in (
            ("ve", "%", [20.0, 30.0], VE, [0.2, 0.3]),
            ("ve", "mL/100 mL", [20.0, 30.0], VE, [0.2, 0.3]),
            ("ve", "fraction", [0.2, 0.3], VE, [0.2, 0.3]),
            ("Ktrans", "1/s", [0.01, 0.02], KTRANS, [0.6, 1.2]),
            ("ktrans_per_min", "/min", [0.6, 1.2], KTRANS, [0.6, 1.2]),
            ("Ktrans (1/s)", "1/s", [0.01, 0.02], KTRANS, [0.6, 1.2]),
            ("bmd_lumbar", "mg/cm2", [900.0, 1000.0], BMD, [0.9, 1.0]),
            ("a text", "furlong", [1.0, 2.0], None, None),
        ):
            with self.subTest(name=name, unit=unit):
                columns = {"subject": subjects, "age": np.array([50.0, 60.0]), name: np.array(values)}
                found = scenecohort.read_cohort_node(self.table(columns, units={name: unit}), QUICK)
                if canonical is None:
                    self.assertEqual(found.ignored, (name,))
                else:
                    np.testing.assert_allclose(found.numbers[canonical], wanted, rtol=1e-15)
        node = self.table({"subject": subjects, "ve": np.array([0.2, 0.3])}, units={"ve": "furlong"})
        with self.assertRaisesRegex(InputError, "'furlong', which is not read for ve"):
            scenecohort.read_cohort_node(node, QUICK)

    def test_a_dictionary(self):
        node = self.table({"ID": ["A", "B"], "K": np.array([0.01, 0.02])})
        found = scenecohort.read_cohort_node(node, QUICK, {"ID": "subject", "K": "ktrans_per_min (1/s)"})
        np.testing.assert_allclose(found.numbers[KTRANS], [0.6, 1.2])

    def test_bad_tables_give_one_line_and_change_nothing(self):
        several = numpy_support.numpy_to_vtk(np.zeros((2, 3)), deep=True)
        several.SetName("ktrans")
        with_several = self.table({"subject": ["A", "B"]}, "several")
        with_several.AddColumn(several)
        tables = (
            (self.table({}, "nothing"), "nothing has no column that is known"),
            (self.table({"subject": [], "ktrans": []}, "empty"), "empty has no row"),
            (self.table({"name": ["A"], "size": ["1"]}, "other"), "other has no column that is known"),
            (
                self.table({"subject": ["A", "B"], "ktrans": ["0.5", "high"]}, "word"),
                "word row 3: ktrans 'high' is not",
            ),
            (
                self.table({"subject": ["A", "A"], "ktrans": ["0.5", "0.6"]}, "twice"),
                "twice row 3: 'A' is that of row 2",
            ),
            (self.table({"subject": ["A"], "ve": ["32"]}, "percent"), "percent row 2: ve 32 is not possible"),
            (with_several, "'ktrans' of several holds 3 numbers per cell"),
        )
        before = self.state()
        for node, message in tables:
            with self.subTest(node=node.GetName()), self.assertRaises(InputError) as caught:
                scenecohort.read_cohort_node(node, QUICK)
            self.assertIn(message, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(self.state(), before)

    def test_a_made_up_cohort(self):
        node = scenecohort.write_made_up_cohort(self.scene, "made up", 2019)
        found = scenecohort.read_cohort_node(node, QUICK)
        self.assertEqual(found.subjects.size, 197)
        self.assertEqual([int(np.sum(found.labels["bmd_class"] == group)) for group in CLASSES], [48, 57, 92])


class Writing(Scene):
    def setUp(self):
        super().setUp()
        self.node = scenestudy.read_table_file(self.scene, paper_table())
        self.nodes = scenecohort.write_cohort_result(self.scene, paper_result(), self.node)

    def test_tables(self):
        tables = self.nodes.tables
        names = [f"table{n}{kind}" for n in (1, 2, 3) for kind in ("", "_numbers")]
        self.assertEqual(list(tables), [*names, "statistics", "left_out", "remarks"])
        for group, spelled in zip(CLASSES, SPELLED, strict=True):
            row = texts(tables["table3_numbers"], "bmd_class").index(group)
            own = of_paper("ktrans", bmd_class=spelled)
            self.assertAlmostEqual(column(tables["table3_numbers"], f"{KTRANS}_mean")[row], own.mean(), places=12)
            self.assertAlmostEqual(column(tables["table3_numbers"], f"{KTRANS}_sd")[row], own.std(ddof=1), places=12)
            printed = f"{own.mean():.3f} ± {own.std(ddof=1):.3f}"
            self.assertTrue(texts(tables["table3"], KTRANS)[row].startswith(printed))
        statistics_node, wanted = tables["statistics"], paper_result().statistics
        for name in ("estimate", "low", "high", "p", "p_adjusted"):
            np.testing.assert_array_equal(column(statistics_node, name), wanted[name])
        self.assertEqual(texts(statistics_node, "n"), list(wanted["n"]))
        self.assertIn("Welch's t-test", tables["table2"].GetDescription())
        said = texts(tables["remarks"], "remark")
        for sentence in (*paper_result().warnings, *paper_result().not_made):
            self.assertIn(sentence, said)

    def test_titles_units_and_codes(self):
        node = self.nodes.tables["table3_numbers"]
        self.assertEqual(node.GetColumnTitle(f"{KTRANS}_mean"), "Ktrans (1/min), mean")
        self.assertEqual(node.GetColumnUnitLabel(f"{KTRANS}_mean"), "1/min")
        self.assertEqual(node.GetColumnUnitLabel("age_years_sd"), "years")
        # DICOM PS3.16 CID 4107 and UCUM
        self.assertIn("126312", node.GetColumnProperty(f"{KTRANS}_mean", "DICOM.QuantityCode"))
        self.assertIn("126314", node.GetColumnProperty("ve_sd", "DICOM.QuantityCode"))
        self.assertIn("CodeValue:/min|", node.GetColumnProperty(f"{KTRANS}_sd", "DICOM.UnitsCode"))
        self.assertIn("CodeValue:g/cm2|", node.GetColumnProperty(f"{BMD}_mean", "DICOM.UnitsCode"))
        self.assertIn("CodeValue:a|", node.GetColumnProperty("age_years_mean", "DICOM.UnitsCode"))
        self.assertFalse(node.GetColumnProperty("n", "DICOM.UnitsCode"))
        self.assertTrue(self.nodes.tables["statistics"].GetColumnDescription("p_adjusted"))
        points = plots(self.nodes.charts[f"figure1.{KTRANS}"])["normal"][1].GetTableNode()
        self.assertIn("126312", points.GetColumnProperty("normal", "DICOM.QuantityCode"))
        self.assertEqual(
            (points.GetColumnUnitLabel("age_years"), points.GetColumnUnitLabel("normal")), ("years", "1/min")
        )

    def test_points_and_line_of_a_figure(self):
        chart = self.nodes.charts[f"figure1.{KTRANS}"]
        found = plots(chart)
        for spelled, group in SPELLED.items():
            points, series = found[group]
            wanted = np.array([of_paper(name, bmd_class=spelled) for name in ("age", "ktrans")])
            np.testing.assert_array_equal(points[:, np.lexsort(points)], wanted[:, np.lexsort(wanted)])
            self.assertEqual(series.GetLineStyle(), series.LineStyleNone)
            self.assertNotEqual(series.GetMarkerStyle(), series.MarkerStyleNone)
        self.assertEqual(len({found[group][1].GetColor() for group in CLASSES}), 3)
        self.assertEqual(len({found[group][1].GetMarkerStyle() for group in CLASSES}), 3)
        line, series = found["least squares"]
        self.assertEqual(
            (series.GetLineStyle(), series.GetMarkerStyle()), (series.LineStyleSolid, series.MarkerStyleNone)
        )
        slope, intercept = np.polyfit(of_paper("age"), of_paper("ktrans"), 1)
        np.testing.assert_allclose(line[1], intercept + slope * line[0], rtol=1e-9)
        np.testing.assert_allclose(line[0, [0, -1]], [of_paper("age").min(), of_paper("age").max()])
        for side, label in ((-1, "95 % band, lower"), (1, "95 % band, upper")):
            self.assertTrue(np.all(side * (found[label][0][1] - line[1]) > 0))
        r = stats.pearsonr(of_paper("age"), of_paper("ktrans"))
        interval = r.confidence_interval(0.95)
        self.assertEqual(
            chart.GetTitle(),
            f"Ktrans against Age: r = {r.statistic:.3f} [{interval.low:.3f}, {interval.high:.3f}], p < 1e-12, n = 197",
        )
        self.assertEqual((chart.GetXAxisTitle(), chart.GetYAxisTitle()), ("Age (years)", "Ktrans (1/min)"))

    def test_boxes(self):
        chart = self.nodes.charts["boxes.bmd_class.ve"]
        found = plots(chart)
        outlines = found["median and quartiles"][0]
        for number, (spelled, group) in enumerate(SPELLED.items(), start=1):
            own = of_paper("ve", bmd_class=spelled)
            np.testing.assert_array_equal(np.sort(found[group][0][1]), np.sort(own))
            self.assertTrue(np.all(np.abs(found[group][0][0] - number) < 0.3))
            drawn = outlines[1, np.abs(outlines[0] - number) < 0.5]
            np.testing.assert_allclose(np.unique(drawn), statistics.quantiles(own, n=4, method="inclusive"), rtol=1e-12)
        self.assertEqual(chart.GetXAxisTitle(), "T-score category: 1 = normal, 2 = low bone mass, 3 = osteoporosis")
        self.assertRegex(chart.GetTitle(), r"^ve by T-score category: Main test: Welch F\(2, 94\.73\) = 199\.7")
        self.assertEqual((chart.GetXAxisRangeAuto(), chart.GetXAxisRange()), (False, (0.4, 3.6)))

    def test_roc_and_curves(self):
        has, ktrans = np.array([row["bmd_class"] == "osteoporosis" for row in paper_rows()]), of_paper("ktrans")
        chart = self.nodes.charts["roc.1"]
        area = next(np.trapezoid(line[1], line[0]) for name, (line, _) in plots(chart).items() if "Ktrans" in name)
        self.assertAlmostEqual(area, stats.mannwhitneyu(ktrans[~has], ktrans[has]).statistic / (105 * 92), places=12)
        self.assertIn("osteoporosis against the others", chart.GetTitle())
        curves = plots(self.nodes.charts["figure2"])
        for wanted in paper_result().curves:
            mean = curves[f"{wanted.group}, n = {wanted.count}"][0]
            np.testing.assert_array_equal(mean, [wanted.times_s, wanted.mean])
            np.testing.assert_array_equal(curves[f"{wanted.group}, 95 % band, upper"][0][1], wanted.high)
        chart = self.nodes.charts["figure2"]
        self.assertEqual(chart.GetXAxisTitle(), "Time from arrival (s)")
        self.assertEqual(chart.GetYAxisTitle(), "Contrast agent in tissue (mmol/L)")
        self.assertIn("not measured", chart.GetTitle())

    def test_one_folder(self):
        hierarchy = self.scene.GetSubjectHierarchyNode()
        self.assertEqual(hierarchy.GetItemName(self.nodes.folder), "synthetic_cohort_huang2019 cohort")
        kept = []
        hierarchy.GetItemChildren(self.nodes.folder, kept)
        shown = []
        for item in kept:
            node = hierarchy.GetItemDataNode(item)
            # a node that is hidden from editors is not offered by the dialog that saves a scene
            self.assertFalse(node.GetHideFromEditors())
            if not node.GetAttribute("SubjectHierarchy.ExcludeFromTree"):
                shown.append(node)
        self.assertCountEqual(shown, [*self.nodes.tables.values(), *self.nodes.charts.values()])

    def test_a_second_run_updates(self):
        before = set(self.state())
        again = scenecohort.write_cohort_result(self.scene, paper_result(), self.node)
        self.assertEqual(set(self.state()), before)
        self.assertEqual(again, self.nodes)
        self.assertEqual(again.charts["figure2"].GetNumberOfPlotSeriesNodes(), 9)
        kept = tuple(scatter for scatter in paper_result().scatters if scatter.figure == "figure3")
        fewer = dataclasses.replace(paper_result(), scatters=kept, settings=CohortSettings(ve_unit="mL/100mL"))
        again = scenecohort.write_cohort_result(self.scene, fewer, self.node)
        self.assertNotIn(f"figure1.{KTRANS}", again.charts)
        self.assertLess(set(self.state()), before)
        points = plots(again.charts["boxes.bmd_class.ve"])["normal"][0][1]
        np.testing.assert_allclose(np.sort(points), np.sort(100 * of_paper("ve", bmd_class="normal")), rtol=1e-14)
        self.assertEqual(again.charts["boxes.bmd_class.ve"].GetYAxisTitle(), "ve (mL/100 mL)")
        found = plots(again.charts["figure3.ve"])
        np.testing.assert_allclose(
            np.sort(found["normal"][0][1]), np.sort(100 * of_paper("ve", bmd_class="normal")), rtol=1e-14
        )
        slope, intercept = np.polyfit(of_paper("bmd_lumbar"), 100 * of_paper("ve"), 1)
        line = found["least squares"][0]
        np.testing.assert_allclose(line[1], intercept + slope * line[0], rtol=1e-9)
        node = plots(again.charts["boxes.bmd_class.ve"])["normal"][1].GetTableNode()
        self.assertFalse(node.GetColumnProperty("normal", "DICOM.UnitsCode"), "it is no ratio any more")
        self.assertEqual(
            scenecohort.write_cohort_result(self.scene, paper_result(), self.node).folder, self.nodes.folder
        )
        self.assertEqual(len(self.state()), len(before))

    def test_two_tables_keep_apart(self):
        other = self.table({"subject": ["A"]}, self.node.GetName())
        before = self.state()
        nodes = scenecohort.write_cohort_result(self.scene, sample_result(), other)
        without = scenecohort.write_cohort_result(self.scene, sample_result())
        for node in (*self.nodes.tables.values(), *self.nodes.charts.values()):
            self.assertEqual(node.GetMTime(), before[node.GetID()])
        folders = {self.nodes.folder, nodes.folder, without.folder}
        self.assertEqual(len(folders), 3)
        count = len(self.state())
        self.assertEqual(scenecohort.write_cohort_result(self.scene, sample_result()), without)
        self.assertEqual(len(self.state()), count)
        self.assertEqual(scenecohort.cohort_nodes(self.scene, other), nodes)

    def test_looking_changes_nothing(self):
        before = self.state()
        self.assertEqual(scenecohort.cohort_nodes(self.scene, self.node), self.nodes)
        empty = scenecohort.cohort_nodes(self.scene, self.nodes.tables["table1"])
        self.assertEqual((empty.tables, empty.charts), ({}, {}))
        self.assertEqual(self.state(), before)

    def test_saved_and_opened_in_a_fresh_scene(self):
        with tempfile.TemporaryDirectory() as folder:
            self.host.save(Path(folder) / "scene.mrb")
            opened = HeadlessSlicer()
            opened.load(Path(folder) / "scene.mrb")
        nodes = scenecohort.cohort_nodes(opened.scene, opened.scene.GetFirstNodeByName(self.node.GetName()))
        self.assertEqual((list(nodes.tables), list(nodes.charts)), (list(self.nodes.tables), list(self.nodes.charts)))
        self.assertTrue(nodes.folder)
        for name, node in self.nodes.tables.items():
            for n in range(node.GetNumberOfColumns()):
                heading = node.GetColumnName(n)
                self.assertEqual(nodes.tables[name].GetColumnTitle(heading), node.GetColumnTitle(heading))
                array = node.GetTable().GetColumn(n)
                if isinstance(array, vtk.vtkStringArray):
                    self.assertEqual(texts(nodes.tables[name], heading), texts(node, heading))
                elif array.GetNumberOfValues():  # Slicer's table files hold six digits
                    np.testing.assert_allclose(column(nodes.tables[name], heading), column(node, heading), rtol=1e-5)
        for name, chart in self.nodes.charts.items():
            found = plots(nodes.charts[name])
            self.assertEqual(nodes.charts[name].GetTitle(), chart.GetTitle())
            for label, (values, series) in plots(chart).items():
                np.testing.assert_allclose(found[label][0], values, rtol=1e-5)
                self.assertEqual(found[label][1].GetMarkerStyle(), series.GetMarkerStyle())
        count = opened.scene.GetNumberOfNodes()
        table = opened.scene.GetFirstNodeByName(self.node.GetName())
        self.assertEqual(scenecohort.write_cohort_result(opened.scene, paper_result(), table).folder, nodes.folder)
        self.assertEqual(opened.scene.GetNumberOfNodes(), count)


class Others(Scene):
    def test_agreement_of_readings(self):
        result = sample_result()
        (agreement,) = result.agreements
        chart = scenecohort.write_cohort_result(self.scene, result).charts[f"bland_altman.1.{KTRANS}"]
        found = plots(chart)
        np.testing.assert_array_equal(found["subjects"][0], [agreement.means, agreement.differences])
        spread = 1.96 * agreement.differences.std(ddof=1)  # Bland and Altman 1986
        mean = agreement.differences.mean()
        for words, wanted in (("mean", mean), ("lower", mean - spread), ("upper", mean + spread)):
            line = next(values for label, (values, _) in found.items() if label.startswith(words))
            np.testing.assert_allclose(line[1], wanted, rtol=1e-4)
            np.testing.assert_allclose(line[0], [agreement.means.min(), agreement.means.max()])
        self.assertEqual(chart.GetYAxisTitle(), "reader 1 - reader 2: Ktrans (1/min)")

    def test_a_sample_of_many_points(self):
        result = sample_result(12_000)
        nodes = scenecohort.write_cohort_result(self.scene, result)
        chart = nodes.charts[f"figure1.{KTRANS}"]
        drawn = [values for label, (values, _) in plots(chart).items() if label in CLASSES]
        self.assertEqual(sum(values.shape[1] for values in drawn), 5000)
        self.assertIn("5,000 of 12,000 subjects drawn", chart.GetTitle())
        again = scenecohort.write_cohort_result(self.scene, result).charts[f"figure1.{KTRANS}"]
        for before, values in zip(
            drawn, [v for label, (v, _) in plots(again).items() if label in CLASSES], strict=True
        ):
            np.testing.assert_array_equal(values, before)
        line = next(values for label, (values, _) in plots(nodes.charts["roc.1"]).items() if "AUC" in label)
        self.assertLessEqual(line.shape[1], 5000)
        np.testing.assert_array_equal(line[:, [0, -1]], [[0, 1], [0, 1]])

    def test_names_from_data(self):
        hostile = 'a\t"b"\n\x00<c>&\u202ed'
        sample = sample_result(name=hostile)
        agreement = dataclasses.replace(sample.agreements[0], first=hostile, caption=hostile)
        curves = [dataclasses.replace(curve, quantity=hostile, source=hostile) for curve in sample.curves]
        result = dataclasses.replace(sample, agreements=(agreement,), curves=tuple(curves), warnings=(hostile,))
        wanted = scenecohort.write_cohort_result(self.scene, result)
        self.assertIn("a 'b' <c>&d", texts(wanted.tables["remarks"], "remark"))
        with tempfile.TemporaryDirectory() as folder:
            self.host.save(Path(folder) / "scene.mrb")
            opened = HeadlessSlicer()
            opened.load(Path(folder) / "scene.mrb")
        for node in (*wanted.tables.values(), *wanted.charts.values()):
            self.assertIsNotNone(opened.scene.GetFirstNodeByName(node.GetName()), node.GetName())
        chart = opened.scene.GetFirstNodeByName(wanted.charts["figure2"].GetName())
        self.assertEqual(chart.GetTitle(), wanted.charts["figure2"].GetTitle())
        self.assertEqual(len(plots(chart)), 9)


if __name__ == "__main__":
    unittest.main()
