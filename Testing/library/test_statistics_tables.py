"""The source paper's tables from the synthetic cohort, cell by cell as printed, and what their marks mean."""

import csv
import time
import unittest

import numpy as np
from DCEPerfusionBMDLib import statistics as st
from DCEPerfusionBMDLib.errors import InputError
from scipy import stats
from support import reference_data

AGES, CLASSES = ("40~", "50~", "60~", "70~", "80~"), ("normal", "bone_loss", "osteoporosis")


class TestPaperTables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with reference_data("synthetic_cohort_huang2019.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        numbers = ("age", "bmd_lumbar", "bmd_femoral_neck", "t_lumbar", "ktrans", "kep", "ve")
        column = {name: np.array([float(row[name]) for row in rows]) for name in numbers}
        spine, neck = [row["bmd_class"] for row in rows], [row["fn_class"] for row in rows]
        age = [row["age_group"] for row in rows]
        cls.ktrans = column["ktrans"]
        cls.labels, cls.kep, cls.low = np.array(age), column["kep"], np.array(spine) == "osteoporosis"
        rates = {
            f"{site} {name.replace('_', ' ')}": [kind == name for kind in kinds]
            for site, kinds in (("lumbar", spine), ("femoral neck", neck))
            for name in CLASSES[1:]
        }
        star = {"*": ("40~", 0.05)}
        cls.tables = {
            "Table 1": cls.make("Table 1", age, AGES, column, ("bmd_lumbar", "bmd_femoral_neck"), rates, star),
            "Table 2": cls.make("Table 2", age, AGES, column, ("ktrans", "kep", "ve"), {}, star),
            "Table 3": cls.make(
                "Table 3",
                spine,
                CLASSES,
                column,
                ("age", "t_lumbar", "bmd_lumbar", "ktrans", "kep", "ve"),
                {},
                {"*": ("normal", 0.01), "+": ("bone_loss", 0.01)},
            ),
        }

    @staticmethod
    def make(name, labels, order, column, quantities, rates, marks):
        grouping = "age_group" if order is AGES else "bmd_class"
        chosen = {quantity: column[quantity] for quantity in quantities}
        return st.group_table(name, name, grouping, labels, order, chosen, rates, marks)

    def test_cells(self):
        """86 cells of mean and variance: 82 within .0006, all within .0016; ve of osteoporosis is .138."""
        away = []
        for printed in st.source_paper()["tables"]:
            table = self.tables[printed["name"]].table
            self.assertEqual(list(table["n"]), printed["n"])
            for quantity, row in printed["quantities"].items():
                means = [0.138 if text == "0.318" else float(text) for text in row["mean"]]
                away += list(np.abs(np.array(table[f"{quantity}_mean"]) - means))
                power = 1 if quantity == "age" else 2  # the spread of age is a standard deviation
                away += list(np.abs(np.array(table[f"{quantity}_sd"]) ** power - np.array(row["spread"], dtype=float)))
            for name, row in printed.get("counts", {}).items():
                self.assertEqual(list(table[f"{name}_n"]), row["n"])
                wrong = np.abs(np.array(table[f"{name}_percent"]) - np.array(row["percent"], dtype=float)) > 0.0501
                errata = {"lumbar bone loss": 1, "femoral neck osteoporosis": 1}
                self.assertEqual(np.count_nonzero(wrong), errata.get(name, 0))
        self.assertLessEqual(max(away), 0.0016)
        self.assertEqual(len(away), 86)
        self.assertGreaterEqual(sum(distance <= 0.0006 for distance in away), 82)

    def test_marks(self):
        table = self.tables["Table 3"]
        self.assertEqual(list(table.table["ktrans_marks"]), ["", "*", "*+"])
        self.assertEqual(list(table.table["bmd_lumbar_marks"]), ["", "", ""])
        self.assertIn("t_lumbar and bmd_lumbar are not tested between the groups of bmd_class", table.footnote)
        self.assertIn("* p < 0.01 against normal by Welch's t-test, two-sided, corrected by Holm", table.footnote)
        rates = self.tables["Table 1"]
        self.assertEqual(list(rates.table["lumbar osteoporosis_marks"])[:3], ["", "", ""])
        self.assertIn("Fisher's exact test", rates.footnote)
        self.assertIn("standard deviation", rates.footnote)

    def test_methods(self):
        """Marks under each method, beside calls of the tests by hand; age groups, kep of the group of 50~ and 60~."""
        group, kep = self.labels, self.kep
        samples = st.split(kep, group)
        marked = {}
        for method in ("welch-holm", "games-howell", "dunnett", "lsd"):
            with self.subTest(method):
                made = st.group_table(
                    "t", "t", "age_group", group, AGES, {"kep": kep}, {"low": self.low}, {"*": ("40~", 0.05)}, method
                )
                marked[method] = list(made.table["kep_marks"]), list(made.table["low_marks"])
                self.assertIn("fewer than 10 subjects, so its marks are to be read with care: 40~ (5)", made.footnote)
        others = AGES[1:]
        welch = [st.welch_t({"a": samples[name], "b": samples["40~"]}).p for name in others]
        tables = [[self.low[group == name].sum(), (~self.low[group == name]).sum()] for name in AGES]
        fisher = [stats.fisher_exact([row, tables[0]]).pvalue for row in tables[1:]]
        holm = st.holm([*welch, *fisher])
        pairs = {(pair.first, pair.second): pair.p for pair in st.games_howell({n: samples[n] for n in AGES}).pairs}
        lsd = {(pair.first, pair.second): pair.p for pair in st.lsd({n: samples[n] for n in AGES}).pairs}
        expected = {
            "welch-holm": (holm[:4], holm[4:]),
            "games-howell": ([pairs["40~", name] for name in others], st.holm(fisher)),
            "dunnett": ([0.67380, 0.021956, 7.045e-5, 9.806e-8], st.holm(fisher)),
            "lsd": ([lsd["40~", name] for name in others], fisher),
        }
        for method, columns in expected.items():
            for found, p in zip(marked[method], columns, strict=True):
                self.assertEqual(found, ["", *("*" if value < 0.05 else "" for value in p)], method)

    def test_unequal_variances(self):
        """Of the marks of Ktrans the five subjects of 40~ bear one when variances may differ, all when pooled."""
        for method, marks in (("games-howell", ["", "", "", "", "*"]), ("lsd", ["", "*", "*", "*", "*"])):
            made = st.group_table(
                "t", "t", "age_group", self.labels, AGES, {"ktrans": self.ktrans}, {}, {"*": ("40~", 0.05)}, method
            )
            self.assertEqual(list(made.table["ktrans_marks"]), marks)

    def test_missing(self):
        """A missing value is counted in its cell and in no other; a group without any has no mean."""
        nan = float("nan")
        made = st.group_table(
            "t", "t", "arm", list("aaabbb"), "ab", {"x": [1, 2, nan, nan, nan, nan]}, {"ill": [1, 0, nan, 1, 1, 0]}, {}
        )
        self.assertEqual(list(made.table["x_missing"]), [1, 3])
        self.assertEqual(made.table["x_mean"][0], 1.5)
        self.assertTrue(np.isnan(made.table["x_mean"][1]))
        self.assertEqual(list(made.table["ill_n"]), [1, 2])
        self.assertEqual(made.table["ill_percent"][0], 50.0)
        self.assertIn("x is missing for 4 of 6 subjects", made.footnote)
        alone = st.group_table("t", "t", "arm", ["a"], "a", {"x": [nan]}, {}, {})
        self.assertIn("x is missing for 1 of 1 subject;", alone.footnote)

    def test_levels(self):
        """Of two marks against one group the strictest stands; what another mark says already is pointed to."""
        labels = np.repeat([1, 2, 3], 20)
        x = np.tile(np.linspace(-1.5, 1.5, 20), 3) + np.repeat([0.0, 0.65, 3.0], 20)
        marks = {"*": (1, 0.05), "**": (1, 0.01), "+": (2, 0.05)}
        made = st.group_table("t", "t", "arm", labels, [1, 2, 3], {"x": x}, {}, marks)
        p = [stats.ttest_ind(x[labels == k], x[labels == 1], equal_var=False).pvalue for k in (2, 3)]
        p_plus = stats.ttest_ind(x[labels == 3], x[labels == 2], equal_var=False).pvalue
        p = np.array([max(p), 2 * min(p)])  # Holm
        self.assertTrue(0.01 < p[0] < 0.05 and p[1] < 0.01 and p_plus < 0.05)
        self.assertEqual(list(made.table["x_marks"]), ["", "*", "**+"])
        self.assertIn("* p < 0.05 and ** p < 0.01 against 1 by Welch's t-test", made.footnote)
        self.assertIn("2 is compared with 1 once, by * and **", made.footnote)
        self.assertEqual([item.means for item in made.marks], [2, 1])
        self.assertEqual([list(item.levels) for item in made.marks], [["*", "**"], ["+"]])

    def test_circular_conditions(self):
        has = {"osteoporosis": [1, 0, 0, 1, 0, 0], "smokes": [1, 0, 1, 0, 1, 0]}
        made = st.group_table("t", "t", "bmd_class", list("aaabbb"), "ab", {}, has, {"*": ("a", 0.05)})
        self.assertIn("osteoporosis is not tested between the groups of bmd_class", made.footnote)
        self.assertIn("corrected by Holm over 1 comparison;", made.footnote)
        self.assertEqual([(item.means, item.rates) for item in made.marks], [(0, 1)])
        del has["smokes"]
        made = st.group_table("t", "t", "bmd_class", list("aaabbb"), "ab", {}, has, {"*": ("a", 0.05)})
        self.assertIn("nothing was compared with a", made.footnote)
        self.assertIn("fewer than 10 subjects: a (3), b (3)", made.footnote)
        self.assertEqual(made.marks, ())
        self.assertIn("of the same or of a related site, made of BMD, define those groups", made.footnote)

    def test_equal_values(self):
        """The mean of equal values is that value, and their standard deviation 0, to the last digit."""
        x = [0.1, 0.2, *[0.7] * 11]
        made = st.group_table("t", "t", "arm", ["a"] * 2 + ["b"] * 11, "ab", {"x": x}, {}, {})
        self.assertEqual((made.table["x_mean"][1], made.table["x_sd"][1]), (0.7, 0.0))

    def test_refusals(self):
        def table(labels, order=("a", "b"), values=(1.0, 2.0, 4.0), marks=None):
            return st.group_table("t", "t", "arm", labels, order, {"x": values}, {}, marks or {"*": ("a", 0.05)})

        for message, call in (
            ("arm 'c' is unknown; known are a, b", lambda: table(["a", "b", "c"])),
            ("no subject is in group 'b'", lambda: table(["a", "a", "a"])),
            ("x holds 2 values, not 3", lambda: table(["a", "b", "b"], values=(1.0, 2.0))),
            ("'z', which is no group", lambda: table(["a", "b", "b"], marks={"*": ("z", 0.05)})),
            ("level 5 of the mark", lambda: table(["a", "b", "b"], marks={"*": ("a", 5)})),
            ("level nan of the mark", lambda: table(["a", "b", "b"], marks={"*": ("a", float("nan"))})),
            ("comes twice in the order a, b, a", lambda: table(["a", "b", "b"], order=("a", "b", "a"))),
            ("label at position 2 is missing", lambda: table(["a", None, "b"])),
            ("needs a quantity or a condition", lambda: st.group_table("t", "t", "arm", "ab", "ab", {}, {}, {})),
            (
                "'x' is the name of a quantity and of a condition",
                lambda: st.group_table("t", "t", "arm", "ab", "ab", {"x": [1, 2]}, {"x": [1, 0]}, {}),
            ),
        ):
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                call()
        self.assertIn("not compared with a: x b (a group has one value)", table(["a", "b", "b"]).footnote)
        constant = table(["a", "a", "b", "b"], values=(1.0, 2.0, 0.7, 0.7))
        self.assertIn("not compared with a: x b (a group does not vary)", constant.footnote)
        self.assertNotIn("by no test", constant.footnote)
        three = st.group_table(
            "t", "t", "arm", list("aabcc"), "abc", {"x": [1, 2, 3, 4, 5]}, {}, {"*": ("a", 0.05), "+": ("b", 0.05)}
        )
        for text in ("not compared with a: x b (a group has one value)", "not compared with b: x c"):
            self.assertIn(text, three.footnote)
        self.assertNotIn("once", three.footnote)
        self.assertNotIn("+", three.footnote)


class TestSyntheticCohort(unittest.TestCase):
    def test_meets_the_tables(self):
        for seed in range(5):
            cohort = st.synthetic_cohort(seed)
            self.assertEqual(len(set(cohort["subject"])), 197)
            np.testing.assert_allclose(cohort["ve"], cohort["ktrans"] / cohort["kep"], rtol=1e-12)
            self.assertGreater(min(cohort["ktrans"].min(), cohort["bmd_lumbar"].min()), 0)
            for printed in st.source_paper()["tables"]:
                order, name = (AGES, "age_group") if len(printed["n"]) == 5 else (CLASSES, "bmd_class")
                members = [cohort[name] == group for group in order]
                self.assertEqual([int(member.sum()) for member in members], printed["n"])
                for quantity, row in printed["quantities"].items():
                    if quantity == "age":  # a standard deviation, and both are met
                        found = [cohort["age"][member] for member in members]
                        self.assertEqual([f"{part.mean():.3f}" for part in found], row["mean"])
                        self.assertEqual([f"{part.std(ddof=1):.3f}" for part in found], row["spread"])
                        continue
                    means = [0.138 if text == "0.318" else float(text) for text in row["mean"]]
                    found = [cohort[quantity][member] for member in members]
                    np.testing.assert_allclose([part.mean() for part in found], means, atol=0.004)
                    variances = np.array(row["spread"], dtype=float)
                    np.testing.assert_allclose([part.var(ddof=1) for part in found], variances, atol=0.025)
                for count, row in printed.get("counts", {}).items():
                    site, _, kind = count.replace("femoral neck", "fn").partition(" ")
                    column = cohort["fn_class" if site == "fn" else "bmd_class"] == kind.replace(" ", "_")
                    self.assertEqual([int(column[member].sum()) for member in members], row["n"])
            decades = np.searchsorted([50, 60, 70, 80], cohort["age"], side="right")
            np.testing.assert_array_equal(np.array(AGES)[decades], cohort["age_group"])

    def test_correlations(self):
        """As the paper has them in sign; with BMD near the published ones, with age where tables allow."""
        cohort = st.synthetic_cohort(1)
        possible = st.audit(st.source_paper()).possible
        for name, published in (("ktrans", 0.969), ("kep", 0.818), ("ve", 0.944)):
            bone = np.corrcoef(cohort["bmd_lumbar"], cohort[name])[0, 1]
            self.assertAlmostEqual(bone, published, delta=0.02)
            age = np.corrcoef(cohort["age"], cohort[name])[0, 1]
            self.assertLess(age, -0.6)
            self.assertGreater(age, possible["age", name][0])

    def test_seed(self):
        first, same, other = (st.synthetic_cohort(seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(first["ktrans"], same["ktrans"])
        self.assertFalse(np.array_equal(first["ktrans"], other["ktrans"]))


class TestMany(unittest.TestCase):
    def test_a_hundred_thousand_subjects(self):
        """Every test of a comparison, a table and a mixed model in seconds."""
        random = np.random.default_rng(0)
        n = 100_000
        labels = random.choice(["a", "b", "c"], n)
        y, x = random.normal(1, 0.2, n), random.normal(60, 8, n)
        start = time.perf_counter()
        samples = st.split(y, labels)
        st.compare(samples, "y", "arm")
        for method in (st.lsd, st.tukey, st.games_howell, st.dunn):
            method(samples)
        st.dunnett(samples, "a")
        st.ancova(y, labels, x)
        st.partial(y, x, {"z": random.normal(size=n)})
        st.roc(y, labels == "a", True)
        st.icc(np.column_stack([y, y + random.normal(0, 0.1, n)]))
        st.group_table("t", "t", "arm", labels, "abc", {"y": y, "x": x}, {"high": y > 1}, {"*": ("a", 0.05)})
        subjects = np.repeat(np.arange(n), 5)
        st.random_intercept(np.repeat(y, 5) + random.normal(size=5 * n), {"x": np.repeat(x, 5)}, subjects)
        self.assertLess(time.perf_counter() - start, 30)


if __name__ == "__main__":
    unittest.main()
