"""The audit of published tables: what it finds in the source paper by itself, and that it is quiet elsewhere."""

import copy
import itertools
import math
import unittest

import numpy as np
from DCEPerfusionBMDLib import statistics as st
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.statistics.audit import audit, source_paper
from scipy import stats
from support import against, measured


class TestSourcePaper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.found = audit(source_paper())

    def test_spread_is_a_variance(self):
        wrong = {finding.where.rpartition(", ")[2]: finding for finding in self.found.of("spread")}
        self.assertEqual(set(wrong), {"bmd_lumbar", "bmd_femoral_neck", "ktrans", "kep", "ve"})
        for quantity, finding in wrong.items():
            self.assertEqual(finding.suggestion, "a variance")
            self.assertEqual(self.found.readings[quantity], ("variance",))
        # age is a standard deviation: as a variance it would vary less than the age groups allow
        self.assertEqual(self.found.readings["age"], ("sd",))
        self.assertEqual(self.found.readings["t_lumbar"], ("sd", "se", "variance"))
        self.assertIn("0.1045 to 0.1057 by Table 1 and 0.1707 to 0.1717 by Table 3", wrong["bmd_lumbar"].message)

    def test_misprinted_mean(self):
        (finding,) = self.found.of("mean")
        self.assertEqual((finding.where, finding.suggestion), ("Table 3, ve, osteoporosis", "0.138"))
        self.assertIn("0.318 cannot be", finding.message)
        self.assertEqual(self.found.of("product"), [])

    def test_correlations(self):
        wrong = {finding.where for finding in self.found.of("correlation")}
        self.assertEqual(wrong, {"age and ktrans", "age and kep", "age and ve"})
        self.assertEqual({finding.where for finding in self.found.of("sign")}, wrong)
        # never narrower than the limits without rounding
        for y, low, high in (("ktrans", -0.779, -0.159), ("kep", -0.827, -0.131), ("ve", -0.744, -0.139)):
            self.assertLessEqual(self.found.possible["age", y][0], low)
            self.assertGreaterEqual(self.found.possible["age", y][1], high)
        for y, low, high in (("ktrans", 0.733, 0.984), ("kep", 0.701, 0.879), ("ve", 0.689, 0.966)):
            self.assertLessEqual(self.found.possible["bmd_lumbar", y][0], low)
            self.assertGreaterEqual(self.found.possible["bmd_lumbar", y][1], high)
        self.assertAlmostEqual(self.found.possible["age", "ktrans"][0], -0.779, delta=0.02)

    def test_percentages(self):
        wrong = {finding.where: finding for finding in self.found.of("percentage")}
        self.assertEqual(
            {where: finding.suggestion for where, finding in wrong.items()},
            {
                "Table 1, lumbar bone loss, 70~": "13.6 %",
                "Table 1, femoral neck osteoporosis, 60~": "36.1 %",
            },
        )
        self.assertIn("which is 25 of 72", wrong["Table 1, femoral neck osteoporosis, 60~"].message)

    def test_marks(self):
        wrong = {finding.where for finding in self.found.of("mark")}
        rates = {
            f"Table 1, {site} osteoporosis, {age}" for site in ("lumbar", "femoral neck") for age in ("50~", "60~")
        }
        self.assertEqual(wrong, rates | {"Table 2, kep, 50~"})

    def test_rises(self):
        (finding,) = self.found.of("rise")
        self.assertEqual(finding.where, "Table 1, femoral neck osteoporosis, 50~ to 60~")

    @against(
        "The source paper",
        "ANOVA and Welch of the printed tables, spreads as variances, by other software",
        "huang",
        "audit",
    )
    def test_retests(self):
        truth = {
            ("Table 1", "bmd_lumbar"): (22.932, 31.680),
            ("Table 1", "bmd_femoral_neck"): (26.595, 43.937),
            ("Table 2", "ktrans"): (32.825, 46.047),
            ("Table 2", "kep"): (30.564, 38.616),
            ("Table 2", "ve"): (29.256, 30.279),
            ("Table 3", "age"): (39.968, 39.751),
            ("Table 3", "ktrans"): (405.38, 321.91),
            ("Table 3", "kep"): (455.68, 514.16),
            ("Table 3", "ve"): (319.40, 259.91),  # .138, and .00025 for a variance of .000
        }
        found = {(test.table, test.quantity): test for test in self.found.retests}
        self.assertEqual(set(found), set(truth))
        for key, (f, welch) in truth.items():
            ratios = st.anova(found[key].groups).f / f, st.welch_anova(found[key].groups).f / welch
            measured(self, "F, relative", np.subtract(ratios, 1.0), 2e-5)
        self.assertAlmostEqual(st.games_howell(found["Table 2", "kep"].groups)["40~", "50~"].p, 0.588, delta=6e-4)
        self.assertEqual(len(self.found.not_tested), 2)
        self.assertIn("Table 3, bmd_lumbar: it defines the groups", self.found.not_tested[1])

    def test_text(self):
        text = str(self.found)
        self.assertTrue(text.startswith("20 findings"))
        self.assertIn("- Table 3, ve, osteoporosis: ", text)

    def test_repaired_paper_is_quiet(self):
        """With what the audit suggests put in, nothing but what no reading repairs is left."""
        paper = source_paper()
        paper["stated"] = "variance"
        table1, _, table3 = paper["tables"]
        table3["quantities"]["ve"]["mean"][2] = "0.138"
        del table3["quantities"]["age"]
        table1["counts"]["lumbar bone loss"]["percent"][3] = "13.6"
        table1["counts"]["femoral neck osteoporosis"]["percent"][2] = "36.1"
        kinds = {finding.kind for finding in audit(paper).findings}
        self.assertEqual(kinds, {"sign", "mark", "rise"})


def text(value, places):
    return f"{value:.{places}f}"


def random_paper(random):
    """Tables of a cohort that exists, rounded as papers round: two groupings, marks by t-tests, rates, correlations."""
    n = int(random.integers(30, 400))
    age = random.uniform(45, 85, n)
    bone = 1.4 - 0.01 * age + random.normal(0, 0.1, n) * random.uniform(0.3, 2)
    ktrans = np.exp(random.normal(-1, 0.3, n) + random.uniform(-1, 2) * (bone - bone.mean()))
    kep = np.exp(random.normal(0.5, random.uniform(0.05, 0.4), n))
    values = {"age": age, "bmd": bone, "ktrans": ktrans, "kep": kep, "ve": ktrans / kep}
    sick = bone < np.quantile(bone, 0.4)
    places = dict(zip(values, random.integers(2, 4, 5), strict=True))
    edges = [0, 55, 65, 75, 200]
    third = np.digitize(bone, np.quantile(bone, [0.3, 0.7]))
    groupings = {
        "by age": ([(age >= a) & (age < b) for a, b in itertools.pairwise(edges)], "age"),
        "by bone": ([third == i for i in range(3)], "bmd"),
    }
    tables = []
    for name, (members, own) in groupings.items():
        members = [member for member in members if member.sum() >= 3]
        table = {
            "name": name,
            "groups": [f"g{i}" for i in range(len(members))],
            "n": [int(member.sum()) for member in members],
            "marks": {"*": {"against": "g0", "alpha": 0.05}},
            "quantities": {},
            "counts": {},
        }
        if name == "by age":
            table["limits"] = {"age": [[str(math.floor(age[m].min())), str(math.ceil(age[m].max()))] for m in members]}
        test = random.choice(["welch", "student"])
        for quantity, column in values.items():
            if quantity == own:
                continue
            parts = [column[member] for member in members]
            p = [stats.ttest_ind(part, parts[0], equal_var=test == "student").pvalue for part in parts]
            table["quantities"][quantity] = {
                "mean": [text(part.mean(), places[quantity]) for part in parts],
                "spread": [text(part.std(ddof=1), places[quantity]) for part in parts],
                "marked": ["*" if value < 0.05 else "" for value in p],
            }
        counts = [int(sick[member].sum()) for member in members]
        tables.append(table)
        exact = [
            stats.fisher_exact([[c, m - c], [counts[0], table["n"][0] - counts[0]]]).pvalue
            for c, m in zip(counts, table["n"], strict=True)
        ]
        table["counts"]["sick"] = {
            "n": counts,
            "percent": [text(100 * c / m, 1) for c, m in zip(counts, table["n"], strict=True)],
            "marked": ["*" if value < 0.05 else "" for value in exact],
        }
    pairs = [("age", "ktrans"), ("age", "ve"), ("bmd", "kep"), ("bmd", "ktrans"), ("ktrans", "ve"), ("kep", "ve")]
    correlations = []
    for x, y in pairs:
        r = np.corrcoef(values[x], values[y])[0, 1]
        direction = "negative" if r < 0 else "positive"
        correlations.append({"x": x, "y": y, "r": text(r, 3), "n": n, "direction": direction})
    return {
        "tables": tables,
        "correlations": correlations,
        "products": [{"product": "ktrans", "factors": ["kep", "ve"]}],
    }


class TestFalseAlarms(unittest.TestCase):
    def test_consistent_tables(self):
        random = np.random.default_rng(2019)
        alarms = [finding for _ in range(200) for finding in audit(random_paper(random)).findings]
        self.assertLessEqual(len(alarms), 2, "\n".join(map(str, alarms)))

    def test_planted_faults(self):
        """What is planted in consistent tables is found, most of the time and by its kind."""
        random = np.random.default_rng(7)
        found = {"spread": 0, "percentage": 0, "sign": 0, "correlation": 0}
        for _ in range(40):
            paper = random_paper(random)
            variance = copy.deepcopy(paper)
            for table in variance["tables"]:
                for row in table["quantities"].values():
                    places = len(row["spread"][0].partition(".")[2])
                    row["spread"] = [text(float(spread) ** 2, places) for spread in row["spread"]]
            found["spread"] += bool(audit(variance).of("spread"))
            rates = copy.deepcopy(paper)
            percents = rates["tables"][0]["counts"]["sick"]["percent"]
            percents[0] = text(float(percents[0]) + 0.3, 1)
            found["percentage"] += len(audit(rates).of("percentage"))
            signs = copy.deepcopy(paper)
            signs["correlations"][1]["direction"] = "positive"
            signs["correlations"][1]["r"] = text(-abs(float(signs["correlations"][1]["r"])), 3)
            found["sign"] += len(audit(signs).of("sign"))
            impossible = copy.deepcopy(paper)
            r = impossible["correlations"][0]["r"]
            impossible["correlations"][0]["r"] = "0.990" if r.startswith("-") else "-0.990"
            del impossible["correlations"][0]["direction"]
            found["correlation"] += len(audit(impossible).of("correlation"))
        self.assertEqual(found["percentage"], 40)
        self.assertEqual(found["sign"], 40)
        self.assertGreaterEqual(found["spread"], 30)
        self.assertGreaterEqual(found["correlation"], 5)

    def test_misprint(self):
        """A first digit that is wrong is put right where only one cell explains it, and hardly ever made worse."""
        random = np.random.default_rng(12)
        right = wrong = 0
        for _ in range(60):
            paper = random_paper(random)
            mean = paper["tables"][1]["quantities"]["ve"]["mean"]
            first = next(i for i, digit in enumerate(mean[0]) if digit not in "0.")
            swapped = mean[0][:first] + str((int(mean[0][first]) + 4) % 10) + mean[0][first + 1 :]
            true, mean[0] = mean[0], swapped
            for finding in audit(paper).of("mean"):
                if finding.suggestion and not finding.suggestion.startswith("one of"):
                    right += finding.suggestion == true
                    wrong += finding.suggestion != true
        self.assertGreaterEqual(right, 20, (right, wrong))
        self.assertLessEqual(wrong, 3)


class TestInput(unittest.TestCase):
    def test_messages(self):
        def change(*path, value):
            """The source paper with one thing changed."""
            paper = source_paper()
            place = paper
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            return paper

        for message, paper in (
            ("'tables' is missing", {}),
            (r"tables\[0\]: 'groups' is missing", {"tables": [{}]}),
            ("not 'iqr'", change("stated", value="iqr")),
            (
                r"quantities.ktrans.mean: 1.1 is not a printed",
                change("tables", 1, "quantities", "ktrans", "mean", 0, value=1.1),
            ),
            (
                r"mean has 2 entries, the table has 5",
                change("tables", 1, "quantities", "ktrans", "mean", value=["1", "2"]),
            ),
            ("-0.1 is negative", change("tables", 1, "quantities", "ktrans", "spread", 0, value="-0.1")),
            ("1 is no group size", change("tables", 1, "n", 0, value=1)),
            ("9 is no count of a group of 5", change("tables", 0, "counts", "lumbar osteoporosis", "n", 0, value=9)),
            ("no group is called '30~'", change("tables", 0, "marks", "*", "against", value="30~")),
            ("the mark '#' is not explained", change("tables", 0, "quantities", "bmd_lumbar", "marked", 1, value="#")),
            ("no table is called 'Table 9'", change("rises", 0, "table", value="Table 9")),
            ("'x' is missing", change("correlations", 0, value={"y": "kep"})),
        ):
            with self.subTest(message), self.assertRaisesRegex(InputError, message):
                audit(paper)

    def test_impossible_correlation(self):
        paper = source_paper()
        paper["correlations"][3]["r"] = "1.269"
        self.assertIn("a correlation of 1.269 is not possible", str(audit(paper)))

    def test_quantity_that_no_table_has(self):
        paper = source_paper()
        paper["correlations"].append({"x": "weight", "y": "ktrans", "r": "0.5", "n": 197})
        self.assertEqual(audit(paper).possible["weight", "ktrans"], (-1.0, 1.0))

    def test_p_values(self):
        self.assertIn("p < 1e-12", str(audit(source_paper()).retests[2]))
        self.assertIn("small groups: 40~", str(audit(source_paper()).retests[2]))
        self.assertEqual(st.p_text(math.nan), "none")


if __name__ == "__main__":
    unittest.main()
