"""`dce-perfusion-bmd audit`: what it prints, what it writes, what it refuses; and the page that is made of it."""

import copy
import csv
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.statistics import audit, audit_page, source_paper
from support import REPOSITORY, run

FUZZ_SEED, FUZZ_TRIES = 2019, 200
FILES = {"audit.md", "findings.csv", "readings.csv", "correlations.csv", "retests.csv"}


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "out"


class TestPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = audit_page(audit(source_paper()), source_paper())

    def test_committed_page(self):
        page = REPOSITORY / "docs" / "source-paper-audit.md"
        self.assertEqual(page.read_text("utf-8"), self.page, "take audit.md of dce-perfusion-bmd audit --output OUT")

    def test_what_it_tells(self):
        """The numbers of an independent recomputation (statsmodels, pingouin), in the words of the page."""
        for text in (
            "0.318 cannot be | 0.138 |",
            "6 of 44 is 13.6 %",
            "26 of 72 is 36.1 %, not 34.7 %, which is 25 of 72",
            "rises by 14.9 % (13.5 % as printed)",
            "| F(4, 192) = 22.932 | \\<1e-6 | F(4, 23.68) = 31.68 |",
            "| Table 1 | bmd\\_lumbar | standard deviation | F(4, 192) = 788.12 |",
            "| Table 2 | kep | 40\\~ (n = 5) - 50\\~ | 0.118 | 0.934 | 0.588 | 0.675 |",
            "| Table 2 | ve | 40\\~ (n = 5) - 80\\~ | 0.258 | \\<1e-6 | 0.0692 | \\<1e-6 |",
            "35 cm must be meant",
            "Gd-BOPTA; Gd-DTPA",
        ):
            self.assertIn(text, self.page)

    def test_five_proofs_of_the_variance(self):
        """Products, and correlations with BMD, are impossible with standard deviations and possible with variances."""
        found = audit(source_paper())
        self.assertEqual(len(found.products), 8)
        for check in found.products:
            self.assertLess(check.allowed["sd"], check.away)
            self.assertGreater(check.allowed["variance"], check.away)
        for check in found.correlations[3:]:
            low, high = check.as_stated
            self.assertFalse(low <= float(check.published) <= high, check)
            self.assertTrue(check.possible[0] <= float(check.published) <= check.possible[1], check)

    def test_markdown(self):
        """Every row of a table has as many cells as its heading, whatever a paper's names hold."""
        paper = source_paper()
        paper = {"tables": paper["tables"][1:2], "products": paper["products"], "citation": "<script>"}
        paper["tables"][0]["groups"] = ["4|0~", "<b>", "*x*", "[a](b)", "80~"]
        paper["tables"][0]["marks"] = {"*": {"against": "4|0~", "alpha": 0.05}}
        page = audit_page(audit(paper), paper)
        width = 0
        for line in page.splitlines():
            cells = line.replace("\\|", "").count("|")
            if not cells:
                width = 0
                continue
            width = width or cells
            self.assertEqual(cells, width, line)
        for text in ("<b>", "<script>", "*x*"):
            self.assertNotIn(text, page.replace("\\<", "").replace("\\*", ""))


class TestCommand(Folder):
    def test_source_paper(self):
        status, out, err = run("audit", "--output", self.output)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual({path.name for path in self.output.iterdir()}, FILES)
        self.assertIn("20 findings", out)
        self.assertIn("rests on: Law of total variance", out)
        self.assertLess(out.index("The number after ±"), out.index("A mark that no test supports"))
        rows = {
            path.stem: list(csv.DictReader(path.read_text("utf-8").splitlines())) for path in self.output.glob("*.csv")
        }
        self.assertEqual(len(rows["findings"]), 20)
        self.assertTrue(all(row["rests_on"] for row in rows["findings"]))
        tests = {
            (r["table"], r["quantity"], r["read_as"], r["test"], r["first"], r["second"]): r for r in rows["retests"]
        }
        self.assertEqual(len(tests), len(rows["retests"]))
        for reading, f in (("variance", 22.932), ("standard deviation", 788.119)):
            row = tests["Table 1", "bmd_lumbar", reading, "ANOVA", "", ""]
            self.assertAlmostEqual(float(row["statistic"]), f, delta=1e-3)
        gh = tests["Table 2", "kep", "variance", "Games-Howell", "40~", "50~"]
        self.assertEqual((gh["p"], gh["note"]), ("0.588", "small groups: 40~"))
        dunnett = tests["Table 2", "kep", "variance", "Dunnett against 40~", "60~", "40~"]
        self.assertAlmostEqual(float(dunnett["p"]), 0.022170, delta=5e-5)
        self.assertEqual(
            [row["quantity"] for row in rows["retests"] if row["test"] == "not tested"], ["t_lumbar", "bmd_lumbar"]
        )
        ve = tests["Table 3", "ve", "variance", "Welch", "", ""]
        self.assertIn("mean of osteoporosis taken as 0.138, not 0.318", ve["note"])
        verdicts = {(row["x"], row["y"]): row["verdict"] for row in rows["correlations"]}
        self.assertEqual(verdicts["age", "kep"], "not possible, with either sign")
        self.assertEqual(verdicts["bmd_lumbar", "ve"], "possible")
        possible = {(r["quantity"], r["read_as"]) for r in rows["readings"] if r["possible"] == "yes"}
        self.assertEqual({reading for quantity, reading in possible if quantity == "kep"}, {"variance"})

    def test_template(self):
        path = self.folder / "paper.json"
        self.assertEqual(run("audit", "--template", path)[0], 0)
        self.assertEqual(json.loads(path.read_text(encoding="utf-8")), source_paper())
        self.assertEqual(run("audit", path)[1], run("audit")[1])
        before = path.read_bytes()
        status, _, err = run("audit", "--template", path)
        self.assertEqual((status, path.read_bytes()), (2, before))
        self.assertIn("is there already", err)

    def test_quiet_paper(self):
        path = self.folder / "paper.json"
        row = {"mean": ["1.0", "2.0"], "spread": ["0.5", "0.5"]}
        table = {"name": "T", "groups": ["a", "b"], "n": [9, 9], "quantities": {"x": row}}
        path.write_text(json.dumps({"tables": [table]}), encoding="utf-8")
        status, out, _ = run("audit", path, "--output", self.output)
        self.assertEqual((status, out.splitlines()[0]), (0, "0 findings: things that cannot be as printed"))
        self.assertIn("| T | x | standard deviation | F(1, 16) = 18 |", (self.output / "audit.md").read_text("utf-8"))

    def test_refuses(self):
        bad = self.folder / "bad.json"
        for text, words in (
            ("{", "cannot read the paper bad.json"),
            ("[" * 100_000, "cannot read the paper bad.json"),
            ("[]", "a paper is an object"),
            ("{}", "bad.json: the paper: 'tables' is missing"),
            (json.dumps({**source_paper(), "remarks": [{"where": "here"}]}), "remarks\\[0\\]: the texts"),
        ):
            with self.subTest(text=text[:20]):
                bad.write_text(text, encoding="utf-8")
                status, out, err = run("audit", bad, "--output", self.output)
                self.assertEqual((status, out, len(err.splitlines())), (2, "", 1))
                self.assertRegex(err, words)
                self.assertFalse(self.output.exists())
        for arguments in (("audit", self.folder / "none.json"), ("audit", bad, "--template", self.folder / "x.json")):
            status, _, err = run(*arguments)
            self.assertEqual((status, len(err.splitlines())), (2, 1))
        self.output.write_text("a file", encoding="utf-8")
        self.assertEqual(run("audit", "--output", self.output)[0], 2)


class TestAnyInput(unittest.TestCase):
    def test_wrong_values_anywhere(self):
        """Whatever stands in the place of one value, the answer is an audit or one line that says what is wrong."""
        paper = source_paper()
        places = []

        def walk(value, path):
            if path:
                places.append(path)
            items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for key, item in items:
                if path != ("remarks",) or key == 0:
                    walk(item, (*path, key))

        walk(paper, ())
        wrong = [None, True, -1, 10**30, float("nan"), "", "x", "0", "-5", "9" * 400, [], [1], ["1", "2"], {}, {"a": 1}]
        random = np.random.default_rng(FUZZ_SEED)
        refused = 0
        for _ in range(FUZZ_TRIES):
            path = places[random.integers(len(places))]
            value = wrong[random.integers(len(wrong))]
            changed = copy.deepcopy(paper)
            place = changed
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            try:
                audit(changed)
            except InputError as error:
                refused += 1
                self.assertNotIn("\n", str(error))
            except Exception as error:
                raise AssertionError(f"{path} = {value!r}: {error!r}") from error
        self.assertGreater(refused, FUZZ_TRIES / 3)


if __name__ == "__main__":
    unittest.main()
