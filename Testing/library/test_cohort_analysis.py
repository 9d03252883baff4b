"""A cohort analyzed: the source paper's tables and the recomputed statistics, read from the assembled result."""

import csv
import dataclasses
import importlib.util
import math
import time
import unittest
from functools import cache

import numpy as np
from DCEPerfusionBMDLib import statistics as st
from DCEPerfusionBMDLib.cohort import CLASSES, STATISTICS_COLUMNS, Cohort, EnhancementCurves, analyze_cohort
from DCEPerfusionBMDLib.cohort.comparisons import MAIN_TEST
from DCEPerfusionBMDLib.cohort.repeats import within_subjects
from DCEPerfusionBMDLib.cohort.rows import Findings
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.kinetics.aif import parker_blood_concentration
from DCEPerfusionBMDLib.settings import CohortSettings
from DCEPerfusionBMDLib.statistics.values import LeftOut
from scipy import stats
from support import against, measured, reference_data

NUMBERS = {
    "age": "age_years",
    "bmd_lumbar": "bmd_lumbar_g_cm2",
    "bmd_femoral_neck": "bmd_femoral_neck_g_cm2",
    "t_lumbar": "t_lumbar",
    "ktrans": "ktrans_per_min",
    "kep": "kep_per_min",
    "ve": "ve",
}
KTRANS, KEP, VE, AGE, BMD = "ktrans_per_min", "kep_per_min", "ve", "age_years", "bmd_lumbar_g_cm2"
DECADES = ("40~", "50~", "60~", "70~", "80~")
ANCOVA = "ANCOVA: classes, age held"
QUICK = CohortSettings(resamples=0)


def make(numbers, labels=None, subjects=None, levels=None, readings=None, curves=None):
    """A cohort of arrays, as a reader would give it."""
    n = len(next(iter(numbers.values())))
    empty = np.full(n, "")
    names = np.array([f"S{i:03d}" for i in range(n)]) if subjects is None else np.array(subjects)
    return Cohort(
        "made by hand",
        names,
        empty if levels is None else np.array(levels),
        empty if readings is None else np.array(readings),
        {name: np.array(values, dtype=np.float64) for name, values in numbers.items()},
        {name: np.array(values) for name, values in (labels or {}).items()},
        {},
        curves,
        n,
        (),
    )


@cache
def paper_cohort():
    with reference_data("synthetic_cohort_huang2019.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = {"normal": CLASSES[0], "bone_loss": CLASSES[1], "osteoporosis": CLASSES[2]}
    spine = [kinds[row["bmd_class"]] for row in rows]
    return make(
        {name: [row[column] for row in rows] for column, name in NUMBERS.items()},
        {
            "age_group": [row["age_group"] for row in rows],
            "bmd_class": spine,
            "lumbar_class": spine,
            "femoral_neck_class": [kinds[row["fn_class"]] for row in rows],
        },
        [row["subject"] for row in rows],
    )


@cache
def paper_result(marks="welch-holm"):
    resamples = 1000 if marks == "welch-holm" else 0
    return analyze_cohort(paper_cohort(), CohortSettings(marks=marks, resamples=resamples))


def rows_of(result, **where):
    table = result.statistics if hasattr(result, "statistics") else result
    rows = [dict(zip(STATISTICS_COLUMNS, row, strict=True)) for row in zip(*(c.values for c in table.columns))]  # noqa: B905
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def one(result, **where):
    found = rows_of(result, **where)
    if len(found) != 1:
        raise AssertionError(f"{len(found)} rows have {where}")
    return found[0]


def without_tests(result, quantity, grouping):
    """No number of a test or an effect between groups in any row of the two."""
    for row in rows_of(result, quantity=quantity, grouping=grouping):
        for name in ("statistic", "p", "p_adjusted", "p_fdr"):
            if not math.isnan(row[name]):
                return False
        if row["family"] not in ("groups",):
            return False
    return True


class TestPaperTables(unittest.TestCase):
    @against(
        "The source paper",
        "86 means and variances of Tables 1 to 3 as printed, two errata aside",
        "huang",
        "analyze_cohort",
    )
    def test_cells(self):
        """86 cells of mean and variance: 82 within .0006, all within .0016; counts exact; two shares are errata."""
        tables = {table.name: table.numeric.table for table in paper_result().tables}
        away, wrong = [], []
        for printed, name in zip(st.source_paper()["tables"], ("table1", "table2", "table3"), strict=True):
            table = tables[name]
            self.assertEqual(list(table["n"]), printed["n"])
            for quantity, row in printed["quantities"].items():
                means = [0.138 if text == "0.318" else float(text) for text in row["mean"]]
                away += list(np.abs(np.array(table[f"{NUMBERS[quantity]}_mean"]) - means))
                power = 1 if quantity == "age" else 2  # the printed spread of age is a standard deviation
                squares = np.array(table[f"{NUMBERS[quantity]}_sd"]) ** power
                away += list(np.abs(squares - np.array(row["spread"], dtype=float)))
            for condition, row in printed.get("counts", {}).items():
                key = condition.replace("bone loss", "low bone mass").replace(" ", "_")
                self.assertEqual(list(table[f"{key}_n"]), row["n"])
                percent = np.array(row["percent"], dtype=float)
                wrong += list(percent[np.abs(np.array(table[f"{key}_percent"]) - percent) > 0.0501])
        self.assertEqual(len(away), 86)
        measured(self, "cells, largest difference", away, 0.0016)
        measured(self, "cells within .0006", sum(distance <= 0.0006 for distance in away), 82, at_least=True)
        self.assertEqual(sorted(wrong), [13.7, 34.7])

    def test_printed(self):
        first, second, third = (table.printed for table in paper_result().tables)
        self.assertEqual(second["kep_per_min"][2], "2.727 ± 0.337*")
        self.assertEqual(first["lumbar_low_bone_mass"][1], "22 (33.3 %)")
        self.assertEqual(first["femoral_neck_osteoporosis"][2], "26 (36.1 %)")
        self.assertEqual(third["ve"][2], "0.138 ± 0.021*†")
        self.assertEqual(third["t_lumbar"][2], "−2.989 ± 0.217")  # noqa: RUF001
        self.assertEqual([column.title for column in third.columns][-1], "ve (fraction)")
        other = analyze_cohort(paper_cohort(), dataclasses.replace(QUICK, ve_unit="mL/100mL"))
        self.assertEqual(other.tables[2].printed["ve"][2], "13.8 ± 2.1*†")
        self.assertEqual(other.tables[2].printed.columns[-1].title, "ve (mL/100 mL)")
        self.assertAlmostEqual(other.tables[2].numeric.table["ve_mean"][2], 0.138, delta=0.0006)

    def test_footnotes(self):
        for marks, words in (
            (
                "welch-holm",
                "by Welch's t-test and Fisher's exact test, two-sided, corrected by Holm over 24 comparisons",
            ),
            ("games-howell", "the Games-Howell test, two-sided, corrected over the groups of each quantity"),
            ("dunnett", "Dunnett's test, two-sided, corrected over the groups of each quantity"),
            ("lsd", "least significant difference (pooled variance), two-sided, not corrected"),
        ):
            footnote = paper_result(marks).tables[0].numeric.footnote
            for text in (words, "mean ± SD", "* p < 0.05 against 40~", "fewer than 10 subjects", "40~ (5)"):
                self.assertIn(text, footnote)
        classes = paper_result().tables[2].numeric.footnote
        self.assertIn("Lumbar T-score and Lumbar BMD are not tested between the groups of T-score category", classes)
        self.assertIn("† p < 0.01 against low bone mass", classes)

    def test_marks(self):
        """Each method marks what its own rows in the statistics say; Games-Howell what domain knowledge says."""
        for method, test in (("games-howell", "Games-Howell"), ("dunnett", "Dunnett"), ("lsd", "LSD")):
            result = paper_result(method)
            column = "p" if method == "lsd" else "p_adjusted"
            for quantity in (KTRANS, KEP, VE):
                p = []
                for group in DECADES[1:]:
                    pair = f"{group} - 40~" if method == "dunnett" else f"40~ - {group}"
                    p.append(one(result, test=test, quantity=quantity, comparison=pair)[column])
                marks = list(result.tables[1].numeric.table[f"{quantity}_marks"])
                self.assertEqual(marks, ["", *("*" if value < 0.05 else "" for value in p)], (method, quantity))
            for quantity in (AGE, KTRANS, KEP, VE):  # all of the paper's daggers hold
                self.assertEqual(list(result.tables[2].numeric.table[f"{quantity}_marks"]), ["", "*", "*†"])
        unequal = paper_result("games-howell").tables[1].numeric.table
        self.assertEqual(list(unequal[f"{KTRANS}_marks"]), ["", "", "", "", "*"])
        self.assertEqual(list(unequal[f"{KEP}_marks"]), ["", "", "*", "*", "*"])
        self.assertEqual(list(unequal[f"{VE}_marks"]), [""] * 5)
        rates = [list(paper_result(m).tables[0].numeric.table["lumbar_osteoporosis_marks"]) for m in ("lsd", "dunnett")]
        self.assertEqual(rates[0], ["", "", "", "*", "*"])
        fisher = [row["p"] for row in rows_of(paper_result(), family="rates", test="Fisher's exact test")]
        self.assertEqual(rates[1][1:], self.holm_marks(fisher))

    def test_behind_the_marks(self):
        """Each mark of the tables is that of its row: Welch and Fisher by scipy, Holm over the table by hand."""
        cohort, result = paper_cohort(), paper_result()
        for number, columns, grouping, reference, alpha, mark in (
            (1, (BMD, "bmd_femoral_neck_g_cm2"), "age_group", "40~", 0.05, "*"),
            (2, (KTRANS, KEP, VE), "age_group", "40~", 0.05, "*"),
            (3, (AGE, KTRANS, KEP, VE), "bmd_class", "normal", 0.01, "*"),
            (3, (AGE, KTRANS, KEP, VE), "bmd_class", "low bone mass", 0.01, "\u2020"),
        ):
            table, groups = result.tables[number - 1].numeric.table, cohort.labels[grouping]
            order = [group for group in table[grouping] if group != reference]
            if mark != "*":
                order = ["osteoporosis"]
            raw, marks = {}, {}
            for column in columns:
                for group in order:
                    parts = (cohort.numbers[column][groups == name] for name in (group, reference))
                    raw[column, group] = stats.ttest_ind(*parts, equal_var=False).pvalue
                    marks[column, group] = table[f"{column}_marks"][list(table[grouping]).index(group)]
            for site in ("lumbar", "femoral_neck") if number == 1 else ():
                for kind in CLASSES[1:]:
                    has = cohort.labels[f"{site}_class"] == kind
                    key = f"{site}_{kind.replace(' ', '_')}"
                    for group in order:
                        counts = [
                            [np.sum(has & (groups == g)), np.sum(~has & (groups == g))] for g in (group, reference)
                        ]
                        raw[f"{site}_class: {kind}", group] = stats.fisher_exact(counts).pvalue
                        marks[f"{site}_class: {kind}", group] = table[f"{key}_marks"][
                            list(table[grouping]).index(group)
                        ]
            places = sorted(raw, key=raw.get)
            found, largest = {}, 0.0
            for rank, place in enumerate(places):
                largest = max(largest, min(1.0, raw[place] * (len(places) - rank)))
                found[place] = largest
            rows = [
                row
                for row in rows_of(result, family="marks", grouping=grouping)
                if row["comparison"].startswith(f"Table {number}: ") and row["comparison"].endswith(f" - {reference}")
            ]
            self.assertEqual(len(rows), len(raw))
            for row in rows:
                place = (
                    row["quantity"],
                    row["comparison"].removeprefix(f"Table {number}: ").removesuffix(f" - {reference}"),
                )
                self.assertAlmostEqual(row["p"] / raw[place], 1, delta=1e-6)
                self.assertAlmostEqual(row["p_adjusted"] / found[place], 1, delta=1e-6)
                self.assertEqual(
                    row["adjustment"], f"Holm over the {len(raw)} comparisons of Table {number} with {reference}"
                )
                self.assertEqual(mark in marks[place], found[place] < alpha, place)
                self.assertEqual(row["note"], f"marked {mark}" if found[place] < alpha else "no mark")
                self.assertTrue(math.isnan(row["p_fdr"]))

    def test_marks_of_other_methods(self):
        for method, corrected in (("games-howell", True), ("dunnett", True), ("lsd", False)):
            rows = rows_of(paper_result(method), family="marks", quantity=KEP, grouping="age_group")
            self.assertEqual(len(rows), 4)
            for row in rows:
                self.assertEqual(math.isnan(row["p"]), corrected)
                self.assertEqual(math.isnan(row["p_adjusted"]), not corrected)
                self.assertEqual(bool(row["adjustment"]), corrected)
        rates = rows_of(paper_result("lsd"), family="marks", quantity="lumbar_class: osteoporosis")
        self.assertEqual([row["note"].split(";")[0] for row in rates], ["no mark", "no mark", "marked *", "marked *"])
        for row in rows_of(paper_result(), family="rates", test="Fisher's exact test"):
            self.assertIn("rest on the family marks", row["note"])

    def holm_marks(self, fisher):
        """Marks of lumbar osteoporosis from Fisher's p-values of four conditions of four groups each, by Holm."""
        low, osteoporosis, neck_low, neck = fisher[0:4], fisher[4:8], fisher[12:16], fisher[16:20]
        corrected = st.holm([*low, *osteoporosis, *neck_low, *neck])[4:8]
        return ["*" if p < 0.05 else "" for p in corrected]


class TestGolden(unittest.TestCase):
    """Statistics of the synthetic cohort, recomputed elsewhere with statsmodels, pingouin and scipy."""

    def close(self, value, expected, digits):
        self.assertAlmostEqual(value, expected, delta=0.51 * 10.0**-digits)

    def test_classes(self):
        for quantity, f, welch, df2, h in (
            (KTRANS, 407.685, 320.850, 89.5285, 161.595),
            (KEP, 448.843, 504.830, 113.962, 148.026),
            (VE, 281.929, 199.682, 94.731, 154.978),
        ):
            where = {"quantity": quantity, "grouping": "bmd_class"}
            anova = one(paper_result(), test="analysis of variance", **where)
            self.close(anova["statistic"], f, 3)
            self.assertEqual((anova["df1"], anova["df2"], anova["n"]), (2, 194, 197))
            main = one(paper_result(), test=MAIN_TEST, **where)
            self.close(main["statistic"], welch, 3)
            self.close(main["df2"], df2, 4 if quantity == KTRANS else 3)
            self.close(one(paper_result(), test="Kruskal-Wallis", **where)["statistic"], h, 3)
        where = {"quantity": KTRANS, "grouping": "bmd_class"}
        anova = one(paper_result(), test="analysis of variance", **where)
        self.assertAlmostEqual(anova["p"] / 3.341e-70, 1, delta=2e-4)
        eta = one(paper_result(), estimate_name="eta squared", **where)
        self.assertAlmostEqual(eta["estimate"], 2 * 407.685 / (2 * 407.685 + 194), delta=1e-6)
        self.assertLess(eta["low"], eta["estimate"])
        self.close(one(paper_result(), test="Levene (equal variances)", **where)["statistic"], 28.377, 3)
        self.close(one(paper_result(), test="Brown-Forsythe (equal variances)", **where)["statistic"], 25.223, 3)
        kep = one(paper_result(), test="Brown-Forsythe (equal variances)", quantity=KEP, grouping="bmd_class")
        self.close(kep["statistic"], 2.9935, 4)
        self.close(kep["p"], 0.0524, 4)

    def test_ages(self):
        for quantity, f in ((KTRANS, 32.642), (KEP, 30.707), (VE, 29.282)):
            row = one(paper_result(), test="analysis of variance", quantity=quantity, grouping="age_group")
            self.close(row["statistic"], f, 3)
            self.assertIn("fewer than 10 subjects: 40~ (5)", row["note"])
        for group, p in zip(DECADES[1:], (0.67380, 0.021956, 7.045e-5, 9.806e-8), strict=True):
            row = one(paper_result(), test="Dunnett", quantity=KEP, comparison=f"{group} - 40~")
            self.assertAlmostEqual(row["p_adjusted"] / p, 1, delta=2e-4)
            self.assertTrue(math.isnan(row["p"]))

    def test_games_howell(self):
        for pair, t, df in (
            ("normal - low bone mass", 11.9824, 57.7275),
            ("low bone mass - osteoporosis", 18.4374, 105.0914),
            ("normal - osteoporosis", 19.6625, 51.9365),
        ):
            row = one(paper_result(), test="Games-Howell", quantity=KTRANS, comparison=pair)
            self.close(row["statistic"], t, 4)
            self.close(row["df1"], df, 4)

    def test_correlations(self):
        for quantity, other, r, interval in (
            (KTRANS, AGE, -0.725782, (-0.785845, -0.652155)),
            (KEP, AGE, -0.724422, None),
            (VE, AGE, -0.693180, None),
            (KTRANS, BMD, 0.968360, (0.958291, 0.976029)),
            (KEP, BMD, 0.818386, None),
            (VE, BMD, 0.944386, None),
        ):
            row = one(paper_result(), test="Pearson", quantity=quantity, grouping=other, comparison="all")
            self.close(row["estimate"], r, 6)
            self.assertEqual(row["n"], 197)
            if interval:
                self.close(row["low"], interval[0], 6)
                self.close(row["high"], interval[1], 6)
        for quantity, r in ((KTRANS, 0.949452), (KEP, 0.662403), (VE, 0.901193)):
            self.close(one(paper_result(), test="partial", quantity=quantity)["estimate"], r, 6)
        inside = paper_cohort().labels["bmd_class"] == "osteoporosis"
        x, y = (paper_cohort().numbers[name][inside] for name in (BMD, KTRANS))
        row = one(paper_result(), test="Pearson", quantity=KTRANS, grouping=BMD, comparison="osteoporosis")
        self.assertAlmostEqual(row["estimate"], stats.pearsonr(x, y).statistic, places=12)

    def test_roc(self):
        where = {"test": "ROC (DeLong)", "comparison": "osteoporosis against the others"}

        def value(quantity, name):
            return one(paper_result(), quantity=quantity, estimate_name=name, **where)["estimate"]

        for quantity, auc, se, cut in (
            (KTRANS, 0.994513, 0.0033687, 0.4559),
            (KEP, 0.995445, 0.0025195, 2.7152),
            (VE, 0.982609, 0.0077972, 0.16411),
        ):
            self.close(value(quantity, "area under the curve"), auc, 6)
            self.close(value(quantity, "standard error of the area"), se, 7)
            self.assertAlmostEqual(value(quantity, "cut (Youden)"), cut, places=5)
        self.close(value(KTRANS, "sensitivity"), 1.0, 6)
        self.close(value(KTRANS, "specificity"), 0.95238, 5)
        self.close(value(VE, "sensitivity"), 0.96739, 5)
        self.close(value(VE, "specificity"), 0.94286, 5)
        tests = [
            one(paper_result(), test="DeLong's comparison of areas", quantity=first, comparison=f"{against} {second}")
            for first, second in ((KTRANS, KEP), (KTRANS, VE), (KEP, VE))
            for against in ("osteoporosis against the others: less that of",)
        ]
        self.close(tests[0]["statistic"], -0.330519, 6)
        self.close(tests[0]["p"], 0.741, 3)
        self.close(tests[1]["statistic"], 2.26886, 5)
        self.close(tests[1]["p"], 0.0232768, 7)
        np.testing.assert_allclose([row["p_adjusted"] for row in tests], st.holm([row["p"] for row in tests]))
        bootstrap = one(
            paper_result(), test="ROC (bootstrap)", quantity=KTRANS, comparison="osteoporosis against the others"
        )
        self.assertLess(bootstrap["low"], 0.994513)
        self.assertLessEqual(bootstrap["high"], 1.0)
        self.assertGreater(bootstrap["high"], 0.994513)

    def test_ancova(self):
        for test, f in ((ANCOVA, 364.873), ("ANCOVA: age, classes held", 181.759)):
            row = one(paper_result(), test=test, quantity=KTRANS)
            self.close(row["statistic"], f, 3)
            self.assertEqual(row["df2"], 193)

    def test_regression(self):
        """With two predictors the variance inflation is 1 / (1 - r^2); all three are refused, which is said."""
        columns = [paper_cohort().numbers[name] for name in (KTRANS, KEP)]
        r = stats.pearsonr(*columns).statistic
        for name in (KTRANS, KEP):
            row = one(paper_result(), test=f"regression on {KTRANS}, {KEP}", estimate_name=f"VIF of {name}")
            self.assertAlmostEqual(row["estimate"], 1 / (1 - r**2), places=8)
        self.assertTrue(any("must not stand in one regression" in text for text in paper_result().not_made))

    def test_rates(self):
        for quantity, chi2, p, z, linear in (
            ("lumbar_class: osteoporosis", 36.225, 2.60e-7, 5.947, 35.191),
            ("femoral_neck_class: osteoporosis", 25.348, 4.28e-5, 5.005, 24.920),
            ("lumbar_class: low bone mass or osteoporosis", 19.738, 5.6e-4, None, None),
            ("femoral_neck_class: low bone mass or osteoporosis", 30.865, 3.3e-6, None, None),
        ):
            row = one(paper_result(), test="chi-squared", quantity=quantity)
            self.close(row["statistic"], chi2, 3)
            self.assertAlmostEqual(row["p"] / p, 1, delta=0.02)
            self.assertIn("expect fewer than 5", row["note"])
            if z:
                trend = one(paper_result(), test="Cochran-Armitage trend", quantity=quantity)
                self.close(trend["statistic"], z, 3)
                self.close(one(paper_result(), test="linear by linear", quantity=quantity)["statistic"], linear, 3)
        for site, p_values, increments in (
            ("lumbar", (0.320, 0.072, 0.0023, 0.0020), (27.3, 17.2, 30.6, 15.0)),
            ("femoral_neck", (0.575, 0.161, 0.022, 0.0070), (21.2, 14.9, 20.7, 23.2)),
        ):
            where = {"quantity": f"{site}_class: osteoporosis"}
            found = [row["p"] for row in rows_of(paper_result(), family="rates", test="Fisher's exact test", **where)]
            np.testing.assert_allclose(found, p_values, rtol=0.03)
            found = [100 * row["estimate"] for row in rows_of(paper_result(), test="increment (Newcombe)", **where)]
            np.testing.assert_allclose(found, increments, atol=0.06)
        rate = one(paper_result(), test="rate (Wilson)", quantity="lumbar_class: osteoporosis", comparison="50~")
        wilson = stats.binomtest(18, 66).proportion_ci(method="wilson")
        np.testing.assert_allclose([rate["low"], rate["high"]], wilson, rtol=1e-9)

    def test_sites(self):
        """The source paper finds no difference of the two sites; its variances give .77, .89, .97, .90 and .60."""
        for group, p in zip(DECADES, (0.77, 0.89, 0.97, 0.90, 0.60), strict=True):
            where = {"family": "sites", "comparison": f"{group}: lumbar - femoral neck"}
            row = one(paper_result(), test="two-sample t-test", **where)
            self.assertAlmostEqual(row["p"], p, delta=0.06)  # of rounded means and variances
            self.assertIn("not comparable", row["note"])
            inside = paper_cohort().labels["age_group"] == group
            both = [paper_cohort().numbers[name][inside] for name in (BMD, "bmd_femoral_neck_g_cm2")]
            self.assertAlmostEqual(row["p"], stats.ttest_ind(*both).pvalue, places=10)
            paired = one(paper_result(), test="paired t-test", **where)
            self.assertAlmostEqual(paired["p"], stats.ttest_rel(*both).pvalue, places=10)

    def test_multiplicity(self):
        for where in (
            {"test": MAIN_TEST, "grouping": "age_group"},
            {"test": "Pearson", "grouping": AGE, "comparison": "osteoporosis"},
        ):
            found = [one(paper_result(), quantity=quantity, **where) for quantity in (KTRANS, KEP, VE)]
            p = np.array([row["p"] for row in found])
            order = np.argsort(p)
            by_hand = np.empty(3)
            by_hand[order] = np.minimum(np.maximum.accumulate(p[order] * [3, 2, 1]), 1)
            np.testing.assert_allclose([row["p_adjusted"] for row in found], by_hand)
            np.testing.assert_allclose([row["p_fdr"] for row in found], stats.false_discovery_control(p))
            self.assertEqual({row["adjustment"] for row in found}, {"Holm over Ktrans, kep, ve"})

    def test_circular(self):
        for quantity in (BMD, "bmd_femoral_neck_g_cm2", "t_lumbar"):
            self.assertTrue(without_tests(paper_result(), quantity, "bmd_class"), quantity)
            self.assertIn("made of BMD", one(paper_result(), test="not tested", quantity=quantity)["note"])
        self.assertTrue(without_tests(paper_result(), AGE, "age_group"))
        self.assertFalse(without_tests(paper_result(), AGE, "bmd_class"))
        self.assertFalse(without_tests(paper_result(), BMD, "age_group"))

    def test_reasons(self):
        """A row without any number has a reason."""
        for row in rows_of(paper_result()):
            if all(math.isnan(row[name]) for name in ("estimate", "statistic", "p", "p_adjusted")):
                self.assertTrue(row["note"], row)

    def test_order_of_rows(self):
        random = np.random.default_rng(5)
        cohort = paper_cohort()
        order = random.permutation(cohort.subjects.size)
        shuffled = dataclasses.replace(
            cohort,
            subjects=cohort.subjects[order],
            numbers={name: cohort.numbers[name][order] for name in reversed(cohort.numbers)},
            labels={name: values[order] for name, values in cohort.labels.items()},
        )
        result, other = paper_result(), analyze_cohort(shuffled, CohortSettings())
        self.assertEqual(result.statistics.to_csv(), other.statistics.to_csv())
        for a, b in zip(result.tables, other.tables, strict=True):
            self.assertEqual(a.printed.to_csv(), b.printed.to_csv())
            self.assertEqual(a.numeric.footnote, b.numeric.footnote)
        for a, b in zip(result.curves, other.curves, strict=True):
            np.testing.assert_array_equal(a.mean, b.mean)


class TestFigures(unittest.TestCase):
    def test_scatters(self):
        found = {(item.figure, item.y_column): item for item in paper_result().scatters}
        self.assertEqual(len(found), 6)
        item = found["figure3", KEP]
        slope, intercept = np.polyfit(item.x, item.y, 1)
        np.testing.assert_allclose([item.slope, item.intercept], [slope, intercept], rtol=1e-9)
        np.testing.assert_allclose(item.line_y, intercept + slope * item.line_x, rtol=1e-9)
        self.assertTrue((item.low < item.line_y).all() and (item.line_y < item.high).all())
        self.assertEqual({str(name) for name in item.groups}, set(CLASSES))
        self.assertAlmostEqual(found["figure1", KTRANS].correlation.r, -0.725782, places=6)

    def test_computed_curves(self):
        """Peaks of the paper's group means with Parker's input fall in the order of the classes."""
        means = {CLASSES[0]: (0.961, 3.150), CLASSES[1]: (0.563, 3.023), CLASSES[2]: (0.326, 2.344)}
        ktrans, kep = np.repeat(list(means.values()), 2, axis=0).T
        result = analyze_cohort(make({KTRANS: ktrans, KEP: kep}, {"bmd_class": np.repeat(CLASSES, 2)}), QUICK)
        fine = np.arange(0, 300.001, 0.05)
        plasma = parker_blood_concentration(fine / 60) / (1 - 0.42)
        for curve, (group, (k, rate)), peak in zip(result.curves, means.items(), (1.041, 0.617, 0.382), strict=True):
            self.assertEqual((curve.group, curve.count, curve.unit), (group, 2, "mmol/L"))
            self.assertIn("not measured", curve.source)
            exact = k * np.convolve(plasma, np.exp(-rate * fine / 60))[: fine.size] * 0.05 / 60
            np.testing.assert_allclose(curve.mean, np.interp(curve.times_s, fine, exact), atol=0.015 * peak)
            self.assertAlmostEqual(exact.max(), peak, delta=0.003)
            np.testing.assert_allclose(curve.low, curve.mean, rtol=1e-12)
        self.assertEqual((curve.times_s[0], curve.times_s[1], curve.times_s[-1]), (0, 3, 300))

    def test_computed_curves_vary(self):
        """Mean and band of different subjects are those of their curves one by one."""
        random = np.random.default_rng(2)
        ktrans, kep = random.uniform(0.1, 1, 5001), random.uniform(1, 4, 5001)
        labels = {"bmd_class": np.full(5001, "normal")}
        (curve,) = analyze_cohort(make({KTRANS: ktrans, KEP: kep}, labels), QUICK).curves
        alone = [
            analyze_cohort(make({KTRANS: [k], KEP: [r]}, {"bmd_class": ["normal"]}), QUICK).curves[0]
            for k, r in zip(ktrans[:3], kep[:3], strict=True)
        ]
        self.assertTrue(np.isnan(alone[0].low).all())
        (three,) = analyze_cohort(make({KTRANS: ktrans[:3], KEP: kep[:3]}, {"bmd_class": ["normal"] * 3}), QUICK).curves
        each = np.array([item.mean for item in alone])
        np.testing.assert_allclose(three.mean, each.mean(axis=0), rtol=1e-10, atol=1e-15)
        half = stats.t.ppf(0.975, 2) * stats.sem(each, axis=0)
        np.testing.assert_allclose(three.high - three.mean, half, rtol=1e-7, atol=1e-12)
        self.assertEqual(curve.count, 5001)
        # the blocks that curves are computed in, added up: sums and squares of the parts are those of the whole
        parts = [
            analyze_cohort(make({KTRANS: k, KEP: r}, {"bmd_class": ["normal"] * k.size}), QUICK).curves[0]
            for k, r in zip(np.split(ktrans, [2000, 4000]), np.split(kep, [2000, 4000]), strict=True)
        ]

        def squares(item):
            n = item.count
            variance = n * ((item.high - item.mean) / stats.t.ppf(0.975, n - 1)) ** 2
            return (n - 1) * variance + n * item.mean**2

        np.testing.assert_allclose(curve.mean, sum(p.count * p.mean for p in parts) / 5001, rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(squares(curve), sum(squares(part) for part in parts), rtol=1e-10, atol=1e-12)

    def test_measured_curves(self):
        nan = float("nan")
        values = np.array([[0, 1, 2.0], [0, 3, nan], [0, 5, 4], [9, 9, 9]])
        curves = EnhancementCurves(
            np.array(["S002", "S001", "S000", "X"]), np.arange(3.0), values, "q", "u", "measured"
        )
        result = analyze_cohort(make({KTRANS: [1, 2, 3, 4]}, {"bmd_class": ["normal"] * 4}, curves=curves), QUICK)
        (curve,) = result.curves
        np.testing.assert_allclose(curve.mean, [0, 3, 3])
        half = stats.t.ppf(0.975, [2, 2, 1]) * [0, 2 / math.sqrt(3), 1]
        np.testing.assert_allclose(curve.high - curve.mean, half, atol=1e-12)
        self.assertEqual((curve.count, curve.source), (3, "measured"))
        self.assertTrue(any("without a T-score category: 1 of 4" in text for text in result.warnings))

    def test_boxes_and_curves_of_roc(self):
        found = {(item.column, item.grouping): item for item in paper_result().boxes}
        self.assertEqual(len(found), 6)
        box = found[KTRANS, "bmd_class"]
        self.assertEqual([part.size for part in box.values.values()], [48, 57, 92])
        self.assertEqual(box.caption, "Main test: Welch F(2, 89.53) = 320.8, p < 1e-12.")
        worst, normal = paper_result().rocs
        self.assertEqual(worst.condition, "osteoporosis against the others")
        self.assertEqual(normal.condition, "normal against the others")
        for x, y in worst.curves:
            self.assertEqual((x[0], y[0], x[-1], y[-1]), (0, 0, 1, 1))
        area = float(np.sum(np.diff(worst.curves[0][0]) * (worst.curves[0][1][1:] + worst.curves[0][1][:-1]) / 2))
        self.assertAlmostEqual(area, 0.994513, places=6)


class TestReadings(unittest.TestCase):
    def test_agreement(self):
        """Shrout and Fleiss 1979: six subjects, four judges."""
        ratings = np.array(
            [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
        )
        subjects = np.repeat([f"S{i}" for i in range(6)], 4)
        readings = np.tile(["a", "b", "c", "d"], 6)
        cohort = make({KTRANS: ratings.ravel()}, None, subjects, None, readings)
        result = analyze_cohort(cohort, dataclasses.replace(QUICK, reading="a"))
        for name, value in (("ICC(2,1)", 0.2898), ("ICC(3,1)", 0.7148)):
            row = one(result, quantity=KTRANS, estimate_name=name)
            self.assertAlmostEqual(row["estimate"], value, delta=6e-5)
            self.assertEqual(row["n"], 6)
            self.assertIn("fewer than 10", row["note"])
        away = ratings[:, 0] - ratings[:, 1]
        bias = one(result, quantity=KTRANS, estimate_name="bias", comparison="a - b")
        self.assertAlmostEqual(bias["estimate"], away.mean(), places=12)
        upper = one(result, quantity=KTRANS, estimate_name="upper limit of agreement", comparison="a - b")
        self.assertAlmostEqual(upper["estimate"], away.mean() + 1.959964 * away.std(ddof=1), places=5)
        self.assertEqual(len(result.agreements), 6)
        figure = result.agreements[0]
        self.assertEqual((figure.first, figure.second), ("a", "b"))
        np.testing.assert_allclose(figure.differences, away)
        self.assertTrue(any("use the reading 'a', as it was asked for" in text for text in result.warnings))
        self.assertEqual(one(result, family="counts", quantity=KTRANS)["n"], 6)

    def test_missing_reading(self):
        result = analyze_cohort(
            make({KEP: [1, 2, 3, 4.5, 5, 7]}, None, list("aabbcd"), None, ["1", "2", "1", "2", "2", ""]), QUICK
        )
        self.assertIn("subjects that lack a reading: 1", one(result, estimate_name="ICC(2,1)")["note"])
        self.assertTrue(any("subjects: 2" in text for text in result.warnings))
        self.assertTrue(any("not in the agreement of readings: 1." in text for text in result.warnings))
        self.assertEqual(one(result, family="counts", quantity=KEP)["n"], 4)

    def repeated(self, *names):
        values = [10 * subject + place for subject in range(12) for place in range(len(names))]
        subjects = np.repeat([f"S{n:02d}" for n in range(12)], len(names))
        return make({KTRANS: values}, None, subjects, None, np.tile(names, 12))

    def test_which_reading(self):
        """Names without an order are not guessed at; numbers are read as numbers."""
        for names in (("pre", "post"), ("baseline", "12 months"), ("A", "B", "C"), ("before 2", "after 1"), ("1", "x")):
            with self.subTest(names), self.assertRaises(InputError) as raised:
                analyze_cohort(self.repeated(*names), QUICK)
            for text in (*names, "--reading", "made by hand"):
                self.assertIn(text, str(raised.exception))
        for names, first in ((("10", "9"), "9"), (("T2", "T10", "t1"), "t1"), (("reader 2", "reader 1"), "reader 1")):
            with self.subTest(names):
                cohort = dataclasses.replace(
                    self.repeated(*names), labels={"age_group": np.full(12 * len(names), "50~")}
                )
                result = analyze_cohort(cohort, QUICK)
                self.assertEqual(result.reading, first)
                self.assertTrue(any(f"lowest number, {first!r}" in text for text in result.warnings))
                expected = np.mean([10 * n + names.index(first) for n in range(12)])
                self.assertAlmostEqual(result.tables[0].numeric.table[f"{KTRANS}_mean"][0], expected, places=12)

    def test_the_reading_that_is_asked_for(self):
        """It alone is in the tables; who lacks it is left out by name."""
        cohort = self.repeated("pre", "post")
        cohort = dataclasses.replace(cohort, labels={"age_group": np.full(24, "50~")})
        keep = np.arange(24) != 1  # S00 has no post
        some = dataclasses.replace(
            cohort,
            subjects=cohort.subjects[keep],
            levels=cohort.levels[keep],
            readings=cohort.readings[keep],
            numbers={KTRANS: cohort.numbers[KTRANS][keep]},
            labels={"age_group": cohort.labels["age_group"][keep]},
            rows_read=23,
        )
        result = analyze_cohort(some, dataclasses.replace(QUICK, reading="post"))
        self.assertEqual((result.reading, result.subjects, result.rows), ("post", 11, 23))
        self.assertEqual([(i.row, i.reason) for i in result.subjects_left_out], [("S00", "has no reading 'post'")])
        table = result.tables[0].numeric.table
        self.assertEqual(table["n"], [11])
        self.assertAlmostEqual(table[f"{KTRANS}_mean"][0], np.mean([10 * n + 1 for n in range(1, 12)]), places=12)
        with self.assertRaisesRegex(InputError, "no reading 'Post'; the readings are post, pre"):
            analyze_cohort(cohort, dataclasses.replace(QUICK, reading="Post"))

    def test_a_scan_of_its_own_for_each_row(self):
        """300 readings of 300 subjects are no repeats; 21 readings of each subject are too many."""
        names = [f"SC{n}" for n in range(300)]
        start = time.perf_counter()
        result = analyze_cohort(make({KTRANS: np.arange(300.0)}, None, None, None, names), QUICK)
        self.assertLess(time.perf_counter() - start, 5)
        self.assertEqual(rows_of(result, family="agreement"), [])
        self.assertIn("Agreement of readings: no subject has two readings.", result.not_made)
        self.assertTrue(any("300 readings, but no subject has two" in text for text in result.warnings))
        self.assertEqual((result.subjects, result.rows, result.reading), (300, 300, ""))
        with self.assertRaisesRegex(InputError, "21 readings, and at most 20"):
            analyze_cohort(self.repeated(*map(str, range(21))), QUICK)

    def test_a_reading_of_which_others_have_none(self):
        """Half of the subjects were read by A alone, half by B alone: with A asked for, rows of B are left out."""
        result = analyze_cohort(
            make({KTRANS: np.arange(20.0)}, None, None, None, ["A", "B"] * 10), dataclasses.replace(QUICK, reading="A")
        )
        self.assertEqual((result.rows, result.subjects), (10, 10))
        self.assertEqual([item.row for item in result.rows_left_out], [f"S{n:03d} B" for n in range(1, 20, 2)])
        self.assertEqual([item.row for item in result.subjects_left_out], [f"S{n:03d}" for n in range(1, 20, 2)])
        self.assertEqual(rows_of(result, family="agreement"), [])

    def test_pairs_that_no_subject_has(self):
        """Subjects read by 1 and 2, others by 3 and 4: two pairs are compared, four are named."""
        subjects = np.repeat([f"S{n}" for n in range(8)], 2)
        readings = ["1", "2"] * 4 + ["3", "4"] * 4
        values = np.random.default_rng(0).normal(size=16)
        result = analyze_cohort(make({KTRANS: values}, None, subjects, None, readings), QUICK)
        pairs = {row["comparison"] for row in rows_of(result, test="Bland-Altman")}
        self.assertEqual(pairs, {"1 - 2", "3 - 4"})
        self.assertIn(
            "Agreement in Ktrans: no subject has both of 1 - 3, 1 - 4, 2 - 3, 2 - 4.", "\n".join(result.not_made)
        )


class TestVertebrae(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(7)
        self.subject = np.repeat(np.arange(30), 4)
        self.kind = np.array(CLASSES)[self.subject % 3]
        self.y = 1 + random.normal(0, 0.2, 30)[self.subject] + random.normal(0, 0.1, 120)
        self.cohort = make(
            {KTRANS: self.y, AGE: (50 + self.subject).astype(float)},
            {"bmd_class": self.kind},
            [f"S{i:02d}" for i in self.subject],
            np.tile(["L1", "L2", "L3", "L4"], 30),
        )

    def test_random_intercept(self):
        """In a balanced design without predictors REML is the analysis of variance."""
        findings = Findings()
        within_subjects(findings, self.cohort, [KTRANS], CohortSettings(resamples=500))
        table = findings.table()
        y = self.y.reshape(30, 4)
        between, within = 4 * y.mean(axis=1).var(ddof=1), y.var(axis=1, ddof=1).mean()
        icc = (between - within) / (between + 3 * within)
        self.assertAlmostEqual(one(table, estimate_name="ICC")["estimate"], icc, places=6)
        effective = one(table, estimate_name="effective n")["estimate"]
        self.assertAlmostEqual(effective, 120 / (1 + 3 * icc), places=4)
        means = {kind: y[np.array(CLASSES)[np.arange(30) % 3] == kind].mean() for kind in CLASSES}
        gap = means["osteoporosis"] - means["normal"]
        rows = rows_of(table, comparison="osteoporosis - normal")
        self.assertEqual([row["test"] for row in rows][1], "cluster bootstrap of subjects")
        for row in rows:
            self.assertAlmostEqual(row["estimate"], gap, places=6)
            self.assertTrue(row["low"] < gap < row["high"])
        slope = one(table, grouping=AGE)["estimate"]
        self.assertAlmostEqual(slope, np.polyfit(np.arange(30), y.mean(axis=1), 1)[0], places=8)

    def test_other_levels(self):
        levels = np.where(np.arange(120) < 3, "L5", self.cohort.levels)
        findings = Findings()
        within_subjects(findings, dataclasses.replace(self.cohort, levels=levels), [KTRANS], QUICK)
        self.assertEqual(one(findings.table(), estimate_name="ICC")["n"], 117)

    def test_no_bootstrap(self):
        findings = Findings()
        within_subjects(findings, self.cohort, [KTRANS], QUICK)
        row = one(findings.table(), test="cluster bootstrap of subjects")
        self.assertIn("resamples 0", row["note"])
        self.assertTrue(math.isnan(row["estimate"]))

    @unittest.skipUnless(importlib.util.find_spec("DCEPerfusionBMDLib.cohort.reading"), "no reader of cohorts")
    def test_subject_means(self):
        """Tables hold subjects, not vertebrae; a subject with one level of L1 to L4 is named."""
        levels = self.cohort.levels.copy()
        levels[1:4] = "L5"
        result = analyze_cohort(dataclasses.replace(self.cohort, levels=levels), QUICK)
        self.assertEqual(sum(result.tables[-1].numeric.table["n"]), 29)
        self.assertTrue(any(text.startswith("Without a mean over L1 to L4 (1): S00") for text in result.warnings))
        self.assertTrue(any("Vertebrae other than L1 to L4 are in no test: 3 rows" in text for text in result.warnings))
        self.assertEqual(one(result, estimate_name="ICC")["n"], 117)

    def test_rows_and_subjects_are_analyzed_or_listed(self):
        """Of 30 subjects 12 have one level of L1 to L4, 3 of them by L5 alone; each is listed."""
        random = np.random.default_rng(5)
        levels = np.tile(["L1", "L2", "L3", "L4"], 30).reshape(30, 4)
        levels[:12, 1:] = ["L5", "T12", "S1"]
        levels[:3, 0] = "T11"
        cohort = dataclasses.replace(self.cohort, levels=levels.ravel())
        keep = random.permutation(120)[:110]
        cohort = dataclasses.replace(
            cohort,
            subjects=cohort.subjects[keep],
            levels=cohort.levels[keep],
            readings=cohort.readings[keep],
            numbers={name: values[keep] for name, values in cohort.numbers.items()},
            labels={name: values[keep] for name, values in cohort.labels.items()},
            rows_read=112,
            left_out=(LeftOut("row 3", "blank"), LeftOut("row 4", "blank")),
        )
        result = analyze_cohort(cohort, QUICK)
        inside = np.isin(cohort.levels, ["L1", "L2", "L3", "L4"])
        names, counts = np.unique(cohort.subjects[inside], return_counts=True)
        whole = set(names[counts >= 2].tolist())
        self.assertEqual(result.subjects, len(whole))
        self.assertEqual({item.row for item in result.subjects_left_out}, set(cohort.subjects.tolist()) - whole)
        self.assertEqual(sum(result.tables[-1].numeric.table["n"]), len(whole))
        self.assertEqual(result.rows, np.count_nonzero(inside))
        away = [f"{s} {level}" for s, level in zip(cohort.subjects[~inside], cohort.levels[~inside], strict=True)]
        self.assertEqual(sorted(item.row for item in result.rows_left_out), sorted(away))
        self.assertEqual(result.rows + len(result.rows_left_out) + 2, 112)
        self.assertIn(f"Vertebrae other than L1 to L4 are in no test: {len(away)} rows.", result.warnings)
        both = dataclasses.replace(
            cohort,
            subjects=np.tile(cohort.subjects, 2),
            levels=np.tile(cohort.levels, 2),
            readings=np.repeat(["1", "2"], 110),
            numbers={name: np.tile(values, 2) for name, values in cohort.numbers.items()},
            labels={name: np.tile(values, 2) for name, values in cohort.labels.items()},
            rows_read=222,
        )
        twice = analyze_cohort(both, QUICK)
        self.assertEqual((twice.subjects, twice.rows), (result.subjects, 2 * result.rows))
        self.assertIn(f"Vertebrae other than L1 to L4 are in no test: {2 * len(away)} rows.", twice.warnings)
        self.assertEqual(one(result, estimate_name="ICC")["n"], result.rows)


class TestBadInput(unittest.TestCase):
    def test_nothing(self):
        with self.assertRaisesRegex(InputError, "made by hand holds no row"):
            analyze_cohort(make({KTRANS: []}), QUICK)
        with self.assertRaisesRegex(InputError, "no column of numbers"):
            analyze_cohort(dataclasses.replace(make({KTRANS: [1.0]}), numbers={}), QUICK)

    def test_unknown_class(self):
        with self.assertRaisesRegex(InputError, "bmd_class 'thin' is unknown; known are normal, low bone mass"):
            analyze_cohort(make({KTRANS: [1, 2]}, {"bmd_class": ["normal", "thin"]}), QUICK)

    def test_twice(self):
        with self.assertRaisesRegex(InputError, "subject 'a' has 2 rows"):
            analyze_cohort(make({KTRANS: [1, 2]}, None, ["a", "a"]), QUICK)

    def test_one_subject(self):
        result = analyze_cohort(
            make({KTRANS: [0.5], BMD: [1.0]}, {"bmd_class": ["normal"], "age_group": ["50~"]}), QUICK
        )
        table = result.tables[-1]
        self.assertEqual(table.printed[KTRANS][0], "0.500 ± –")  # noqa: RUF001
        self.assertIn("There is one group, normal", table.numeric.footnote)
        self.assertIn("1 group cannot be compared", one(result, test=MAIN_TEST, grouping="bmd_class")["note"])

    def test_constant_and_all_missing(self):
        nan = float("nan")
        labels = {"bmd_class": np.repeat(CLASSES, 4)}
        result = analyze_cohort(make({KTRANS: [1.0] * 12, KEP: [nan] * 12, AGE: range(50, 62)}, labels), QUICK)
        for test in (MAIN_TEST, "analysis of variance", "Kruskal-Wallis", "Levene (equal variances)"):
            for quantity in (KTRANS, KEP):
                row = one(result, test=test, quantity=quantity)
                self.assertTrue(math.isnan(row["p"]) and row["note"], row)
        self.assertIn("does not vary", one(result, test="Pearson", quantity=KTRANS, comparison="all")["note"])
        self.assertIn("kep is missing for all 12 subjects.", result.warnings)
        self.assertTrue(any(text.startswith("figure1, Ktrans against Age: ") for text in result.not_made))
        self.assertEqual(one(result, family="counts", quantity=KEP)["estimate"], 12)

    def test_no_class_and_few_columns(self):
        result = analyze_cohort(make({KTRANS: [1.0, 2.0, 4.0], AGE: [50, 60, 72]}), QUICK)
        self.assertEqual(result.tables, ())
        text = "\n".join(result.not_made)
        for words in ("Table 1: no subject has a value in age_group", "Table 3: no subject", "ROC curves", "figure3"):
            self.assertIn(words, text)
        self.assertEqual(len(result.scatters), 1)

    def test_groups_of_one_and_gaps(self):
        """A decade without a subject is named; a group of one has no SD, and says why it is not compared."""
        ages = ["30~", *["50~"] * 4, *["60~"] * 4, ""]
        result = analyze_cohort(make({KEP: [3, 1, 2, 3, 5, 2, 4, 5, 7, 9]}, {"age_group": ages}), QUICK)
        table = result.tables[0]
        self.assertEqual(list(table.numeric.table["age_group"]), ["30~", "50~", "60~"])
        for text in ("No subject is in 40~.", "Subjects in no group of this table: 1 of 10.", "not compared with 30~"):
            self.assertIn(text, table.numeric.footnote)
        self.assertIn("group '30~' has one subject", one(result, test=MAIN_TEST)["note"])
        self.assertFalse(math.isnan(one(result, test="analysis of variance")["p"]))

    def test_counts(self):
        """Every subject is in a group, missing there, or outside of all groups."""
        random = np.random.default_rng(3)
        cohort = paper_cohort()
        numbers = {name: np.where(random.random(197) < 0.2, np.nan, x) for name, x in cohort.numbers.items()}
        labels = {name: np.where(random.random(197) < 0.1, "", x) for name, x in cohort.labels.items()}
        result = analyze_cohort(dataclasses.replace(cohort, numbers=numbers, labels=labels), QUICK)
        for grouping in ("age_group", "bmd_class"):
            for quantity, values in numbers.items():
                where = {"family": "groups", "quantity": quantity, "grouping": grouping}
                listed = rows_of(result, test="missing", **where)
                outside = sum(row["n"] for row in rows_of(result, test="not compared", **where))
                self.assertEqual(sum(row["n"] for row in listed) + outside, np.count_nonzero(np.isfinite(values)))
                unknown = np.count_nonzero(np.isnan(values) & (labels[grouping] == ""))
                self.assertEqual(sum(row["estimate"] for row in listed) + unknown, np.count_nonzero(np.isnan(values)))
        cells = result.tables[1].numeric.table
        found = sum(cells["n"]) - sum(cells[f"{KTRANS}_missing"])
        self.assertEqual(found, np.count_nonzero(np.isfinite(numbers[KTRANS]) & (labels["age_group"] != "")))
        rates = result.tables[0].numeric.table
        unknown = (labels["lumbar_class"] == "") & (labels["age_group"] != "")
        self.assertEqual(sum(rates["lumbar_osteoporosis_missing"]), np.count_nonzero(unknown))
        self.assertIn("(n = ", result.tables[1].printed[KTRANS][1])

    def test_bootstraps(self):
        """Of the parameters alone; the note says how many resamples there were, and progress is told between them."""
        cohort = paper_cohort()
        cohort = dataclasses.replace(cohort, numbers={**cohort.numbers, "emax_percent": 100 * cohort.numbers[KTRANS]})
        seen = []
        result = analyze_cohort(cohort, CohortSettings(resamples=200), lambda f, message: not seen.append(message))
        rows = rows_of(result, test="ROC (bootstrap)")
        self.assertEqual([row["quantity"] for row in rows], [KTRANS, KEP, VE] * 2)
        self.assertTrue(all("200 resamples" in row["note"] for row in rows))
        self.assertFalse(math.isnan(rows_of(result, test="ROC (DeLong)", quantity="emax_percent")[0]["low"]))
        self.assertEqual(sum(message.startswith("Area under the curve of") for message in seen), 8)

    def test_progress(self):
        seen = []
        analyze_cohort(paper_cohort(), QUICK, lambda fraction, message: not seen.append((fraction, message)))
        fractions = [fraction for fraction, _ in seen]
        self.assertEqual(fractions, sorted(fractions))
        self.assertEqual((fractions[0], fractions[-1]), (0.0, 1.0))
        with self.assertRaises(Cancelled):
            analyze_cohort(paper_cohort(), QUICK, lambda fraction, message: fraction < 0.3)


class TestMany(unittest.TestCase):
    def test_a_hundred_thousand_subjects(self):
        random = np.random.default_rng(1)
        n = 100_000
        age = random.uniform(45, 89, n)
        bmd = np.clip(1.4 - 0.01 * age + random.normal(0, 0.15, n), 0.3, 2)
        ktrans = np.clip(0.9 * bmd + random.normal(0, 0.1, n), 0.05, 3)
        kep = 2 + bmd
        numbers = {AGE: age, BMD: bmd, KTRANS: ktrans, KEP: kep, VE: ktrans / kep}
        kind = np.array(CLASSES)[np.searchsorted([-0.9, -0.7], -bmd)]
        groups = np.array(DECADES)[(age // 10).astype(int) - 4]
        cohort = make(numbers, {"bmd_class": kind, "lumbar_class": kind, "age_group": groups})
        start = time.perf_counter()
        result = analyze_cohort(cohort, QUICK)
        self.assertLess(time.perf_counter() - start, 40)
        shapiro = "Shapiro-Wilk (normal residuals)"
        self.assertIn("no p-value", one(result, quantity=KEP, grouping="age_group", test=shapiro)["note"])


if __name__ == "__main__":
    unittest.main()
