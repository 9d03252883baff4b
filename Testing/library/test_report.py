"""The report of a cohort and its files: complete, well-formed, harmless whatever the data hold."""

# ruff: noqa: RUF001, SIM905  (Chinese has its own commas)

import csv
import dataclasses
import importlib.util
import json
import re
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import numpy as np
from DCEPerfusionBMDLib.cohort import SourceColumn
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.export import cohort_report, cohortfiles, write_cohort
from DCEPerfusionBMDLib.settings import CohortSettings
from DCEPerfusionBMDLib.statistics.values import LeftOut, p_text
from DCEPerfusionBMDLib.tables import Column, Table
from samplecohort import sample_result

VERSIONS = {"DCEPerfusionBMD": "0.1", "numpy": "2.0"}
VOID = {"meta", "img", "br"}
TAGS = VOID | set(
    "html head title style body header h1 h2 p nav ul li a main section div table caption thead tbody tr th td figure "
    "figcaption bdi".split()
)
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</td></table></style><iframe src=//evil.example>",
    "\u202egnp.exe\u2066 \u05d0\u05d1\u05d2",
    "bell\x07null\x00del\x7f",
    "&lt;already&gt; &amp;",
    "x" * 10_000,
    "=cmd|' /C calc'!A0",
)


class Page(HTMLParser):
    """Tags must be balanced; cells of tables and texts are kept."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.attributes, self.texts = [], set(), [], []
        self.tables, self.languages = {}, {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += attrs
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            raise AssertionError(f"<{tag}> has an attribute twice")
        if tag == "table":
            self.rows = []
        elif tag == "caption":
            self.caption = ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes nothing")
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if "caption" in self.open:
            self.caption += data
        elif "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def page_of(result, **options):
    return cohort_report(result, options.pop("figures", {}), VERSIONS, **options)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.result = sample_result()
        cls.html = page_of(cls.result, figures={"figure1": "data:image/png;base64,AAAA"})
        cls.page = Page(cls.html)

    def test_is_well_formed_without_script_or_request(self):
        self.assertEqual(self.page.open, [])
        self.assertLessEqual(self.page.seen, TAGS)
        self.assertNotRegex(self.html, r"https?:|url\(|@import|<link|<script|javascript:")
        for name, value in self.page.attributes:
            self.assertFalse(name.startswith("on"), name)
            if name in ("src", "href"):
                self.assertRegex(value, r"^(data:image/(png|svg\+xml);base64,|#)")
        policy = dict(self.page.attributes)["content"]
        contents = [value for name, value in self.page.attributes if name == "content"]
        self.assertIn("default-src 'none'; style-src 'unsafe-inline'; img-src data:", contents, policy)
        self.assertEqual([v for n, v in self.page.attributes if n == "lang"], ["en", "zh-Hans", "zh-Hans"])
        identifiers = [value for name, value in self.page.attributes if name == "id"]
        self.assertEqual(len(identifiers), len(set(identifiers)))
        for link in (value[1:] for name, value in self.page.attributes if name == "href"):
            self.assertIn(link, identifiers)
        self.assertIn("For research use only", self.page.text)
        self.assertNotRegex(self.page.text, "(?i)diagnos[ei]s")

    def test_a_figure_from_elsewhere_is_refused(self):
        with self.assertRaisesRegex(ValueError, "data URI"):
            page_of(self.result, figures={"roc": "https://example.org/a.png"})

    def test_the_same_input_gives_the_same_page(self):
        self.assertEqual(page_of(sample_result()), page_of(sample_result()))

    def test_tables_are_those_of_the_result(self):
        for item in self.result.tables:
            heading, *rows = self.page.tables[item.title]
            self.assertEqual(heading, [column.title for column in item.printed.columns])
            wanted = zip(*(map(str, column.values) for column in item.printed.columns), strict=True)
            self.assertEqual(rows, [list(row) for row in wanted])
            self.assertIn(item.numeric.footnote, self.page.text)

    def test_statistics_are_those_of_the_result(self):
        names = [column.name for column in self.result.statistics.columns]
        columns = [column.values for column in self.result.statistics.columns]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        key = [row for row in rows if row["test"] in ("Welch ANOVA", "Pearson")]
        wanted = {
            "Key statistics: groups": [row for row in key if row["family"] == "groups"],
            "Key statistics: correlation": [row for row in key if row["family"] == "correlation"],
            "Assumption checks": [row for row in rows if row["test"] == "Levene"],
        }
        for caption, truths in wanted.items():
            heading, *shown = self.page.tables[caption]
            self.assertEqual(len(shown), len(truths), caption)
            for cells, row in zip(shown, truths, strict=True):
                cell = dict(zip(heading, cells, strict=True))
                self.assertEqual((cell["Test"], cell["n"], cell["p"]), (row["test"], str(row["n"]), p_text(row["p"])))
                said = f"{cell.get('Statistic', '')} {cell.get('Estimate [interval]', '')}"
                numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", said)]
                order = ("statistic", "df1", "df2", "estimate", "low", "high")
                truth = [row[name] for name in order if not np.isnan(row[name])]
                np.testing.assert_allclose(numbers, truth, rtol=6e-4)
        self.assertNotIn("Estimate [interval]", self.page.tables["Assumption checks"][0])  # empty in all rows
        counted = self.page.tables["Corrections for the number of tests"][1]
        self.assertEqual(counted, ["groups", "Holm over 3 parameters", "6", "6", "6"])

    def test_rows_are_counted_and_long_lists_cut_with_the_number_of_the_rest(self):
        left_out = tuple(LeftOut(f"row {n}", "no subject") for n in range(500))
        page = Page(page_of(sample_result(left_out=left_out, rows_read=697, ignored=tuple(map(str, range(300))))))
        self.assertIn("697 rows were read; 197 subjects were analyzed, and 500 rows", page.text)
        rows = page.tables["Rows left out, and why (500)"]
        self.assertEqual(len(rows), 1 + 200 + 1)
        self.assertEqual(rows[-1], ["and 300 more, in left_out.csv"])
        self.assertIn("and 100 more", page.text)
        columns = {row[0]: row[3:] for row in page.tables["Columns of the cohort"][1:]}
        self.assertEqual(columns["ve (fraction)"], ["196", "1"])

    def test_whatever_the_data_hold_is_shown_and_never_run(self):
        for text in HOSTILE:
            with self.subTest(text=text[:20]):
                result = sample_result(
                    name=text,
                    left_out=(LeftOut(text, text),) * 2,
                    ignored=(text,),
                    notes=(text,),
                    unmatched=(LeftOut(text, text),),
                    sources={"ve": SourceColumn(text, text), "bmd_class": SourceColumn(text, text)},
                )
                agreement = dataclasses.replace(result.agreements[0], first=text, caption=text)
                table = result.tables[0]
                printed = Table("t", text, (Column(text, [text], text, text), Column("b", [text], text)))
                html = page_of(
                    dataclasses.replace(
                        result,
                        warnings=(text,),
                        not_made=(text,),
                        agreements=(agreement,),
                        tables=(dataclasses.replace(table, title=text, printed=printed),),
                    ),
                    figures={
                        "bland_altman_ktrans_per_min": "data:image/png;base64,AAAA",
                        text: "data:image/png;base64,AA",
                    },
                    no_figures=text,
                )
                page = Page(html)
                self.assertEqual(page.open, [])
                self.assertLessEqual(page.seen, TAGS)
                self.assertEqual([name for name, _ in page.attributes if name.startswith("on")], [])
                self.assertNotRegex(html, "[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
                shown = "".join(letter for letter in text if letter.isprintable())[:290]
                self.assertIn(" ".join(shown.split()), page.text)
                self.assertLess(len(html), 200_000)
        self.assertIn("<bdi>", page_of(sample_result(notes=(HOSTILE[3],))))

    def test_methods_say_what_was_done_in_two_languages(self):
        cases = {
            "welch-holm": ("two-sided Welch t-tests corrected by Holm", "双侧韦尔奇 t 检验"),
            "games-howell": ("the Games-Howell test", "Games-Howell 检验"),
            "dunnett": ("Dunnett's test", "Dunnett 检验"),
            "lsd": ("not corrected", "最小显著差异法"),
        }
        for marks, (english, chinese) in cases.items():
            page = Page(page_of(dataclasses.replace(self.result, settings=CohortSettings(marks=marks)))).text
            self.assertIn(english, page.partition("marks in the tables come from ")[2][:80])
            self.assertIn(chinese, page.partition("显著性标记采用")[2][:40])
        said = self.page.text
        for wanted in (
            "Of 199 rows of the table, 197 subjects were analyzed and 2 were left out",
            "Table 1: 0.05; Table 2: 0.05; Table 3: 0.01",
            "one-way analysis of variance, Welch's analysis of variance, Levene's test and Pearson's correlation",
            "T-score categories were those of the table",
            "数据表共读入 199 行，纳入分析 197 例受试者，排除 2 行",
            "容积转移常数 Ktrans",
            "速率常数 kep",
            "血管外细胞外间隙容积分数 ve",
            "腰椎骨密度",
            "单因素方差分析",
            "韦尔奇方差分析",
            "Holm 法",
            "95% 置信区间",
            "by the methods of Holm.",
            "DCEPerfusionBMD 0.1, numpy 2.0",
        ):
            self.assertIn(wanted, said)
        self.assertNotIn("bootstrap", said.partition("Methods Of")[2].partition("STROBE")[0])
        computed = sample_result(sources={"bmd_class": SourceColumn("", "lowest T-score")})
        self.assertIn("from the lowest T-score of lumbar spine, total hip and femoral neck", page_of(computed))
        self.assertIn("腰椎、全髋和股骨颈中最低的 T 值", page_of(computed))

    def test_rows_that_are_readings_or_vertebrae_are_not_called_subjects(self):
        subjects = np.repeat([f"S{n}" for n in range(99)], 2)[:197]
        page = Page(page_of(sample_result(subjects=subjects, levels=np.full(197, "L1")))).text
        self.assertIn("Of 199 rows of the table, 197 vertebrae of 99 subjects were analyzed", page)
        self.assertIn("纳入分析 197 个椎体（99 例受试者）", page)
        page = Page(page_of(sample_result(subjects=subjects))).text
        self.assertIn("n = 197 rows of 99 subjects.", page)

    def test_rows_and_subjects_are_counted_apart(self):
        """200 rows are read: 2 blank, 3 of L5, 195 analyzed; of 60 subjects 50 are compared."""
        result = dataclasses.replace(
            sample_result(
                198, subjects=np.array([f"S{n % 60}" for n in range(198)]), levels=np.full(198, "L1"), rows_read=200
            ),
            rows_left_out=tuple(LeftOut(f"S{n} L5", "not of L1 to L4") for n in range(3)),
            subjects_left_out=tuple(LeftOut(f"S{n}", "1 level") for n in range(10)),
            reading="visit 1",
        )
        page = Page(page_of(result))
        for text in (
            "200 rows were read; 195 vertebrae were analyzed, and 5 rows were left out. "
            "Of 60 subjects, 50 were compared and 10 left out.",
            "n = 195 vertebrae. Of 60 subjects, 50 were compared and 10 left out.",
            "200 rows read, 195 analyzed, 5 left out. Of 60 subjects",
            "Of 200 rows of the table, 195 vertebrae were analyzed and 5 were left out",
            "tables and tests between subjects use 'visit 1'",
            "纳入分析 195 个椎体，排除 5 行",
            "共 60 例受试者，其中 50 例纳入组间比较，10 例未纳入",
        ):
            self.assertIn(text, page.text)
        self.assertEqual(len(page.tables["Subjects left out, and why (10)"]), 11)
        self.assertEqual(len(page.tables["Rows left out, and why (5)"]), 6)
        with tempfile.TemporaryDirectory() as folder:
            write_cohort(result, Path(folder), figures=False)
            with (Path(folder) / "left_out.csv").open(encoding="utf-8") as file:
                kinds = [row["kind"] for row in csv.DictReader(file)]
            self.assertEqual(kinds, ["left out"] * 5 + ["subject left out"] * 10)
            history = json.loads((Path(folder) / "provenance.json").read_text(encoding="utf-8"))
        self.assertEqual(history["rows"], {"read": 200, "analyzed": 195, "left_out": 5, "unmatched": 0})
        self.assertEqual(history["subjects"], {"analyzed": 50, "left_out": 10})
        self.assertEqual(history["reading"], "visit 1")

    def test_names_of_columns_are_titles(self):
        row = {"quantity": "lumbar_class: osteoporosis", "test": "regression on ktrans_per_min, x_y", "n": "3"}
        columns = tuple(Column(name, [text], name) for name, text in row.items())
        page = Page(page_of(dataclasses.replace(self.result, statistics=Table("s", "S", columns))))
        self.assertEqual(page.tables["Key statistics"][1][0], "Lumbar T-score category: osteoporosis")
        self.assertEqual(page.tables["Key statistics"][1][1], "regression on Ktrans, x_y")

    def test_the_checklist_has_22_items_and_marks_what_the_author_writes(self):
        rows = self.page.tables["Checklist"][1:]
        self.assertEqual([int(row[0].split()[0]) for row in rows], list(range(1, 23)))
        self.assertTrue(all(row[2].startswith("To be written: ") for row in rows))
        self.assertEqual(rows[8][1], "")  # bias: the data cannot tell
        self.assertIn("199 rows read, 197 analyzed, 2 left out", rows[12][1])

    def test_nothing_at_all_still_gives_a_page(self):
        bare = dataclasses.replace(
            self.result,
            tables=(),
            statistics=Table("statistics", "Statistics", ()),
            scatters=(),
            curves=(),
            boxes=(),
            rocs=(),
            agreements=(),
        )
        page = Page(page_of(bare, no_figures="There are no figures: matplotlib is absent"))
        self.assertEqual(page.open, [])
        self.assertIn("There are no figures: matplotlib is absent", page.text)


class Files(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.output = Path(temporary.name) / "out"

    def test_pictures_of_others_stay(self):
        """Only figures of ours that an earlier run left go."""
        mine = self.output / "figures" / "my_photo.png"
        mine.parent.mkdir(parents=True)
        for path in (mine, mine.with_name("figure9.svg"), mine.with_name("bland_altman_mine.png")):
            path.write_bytes(b"x")
        stale = [mine.with_name(name) for name in ("roc.png", "bland_altman_vp.svg", "figure2.svg")]
        for path in stale:
            path.write_bytes(b"x")
        write_cohort(sample_result(size=60), self.output, figures=False)
        left = sorted(path.name for path in mine.parent.iterdir())
        self.assertEqual(left, ["bland_altman_mine.png", "figure9.svg", "my_photo.png"])

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is absent")
    def test_everything_is_written(self):
        result = sample_result(size=120)
        self.assertEqual(write_cohort(result, self.output, input_hashes={"table": "ab" * 32}), ())
        names = {path.relative_to(self.output).as_posix() for path in self.output.rglob("*") if path.is_file()}
        self.assertEqual(
            {name for name in names if not name.startswith("figures/")},
            {
                *(f"table{n}.csv" for n in (1, 2, 3)),
                "tables.md",
                "statistics.csv",
                "cohort.csv",
                "left_out.csv",
                "report.html",
                "provenance.json",
            },
        )
        self.assertEqual(len([name for name in names if name.startswith("figures/")]), 14)
        with (self.output / "cohort.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["subject"] for row in rows], result.cohort.subjects.tolist())
        for name, values in result.cohort.numbers.items():
            np.testing.assert_array_equal([float(row[name]) for row in rows], values)
        for name, texts in result.cohort.labels.items():
            self.assertEqual([row[name] for row in rows], texts.tolist())
        left_out = (self.output / "left_out.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(left_out[1:], ["row 12,left out,no number", "row 99,left out,blank"])
        with (self.output / "table3.csv").open(encoding="utf-8", newline="") as file:
            first = next(csv.DictReader(file))
        truth = result.tables[2].numeric.table
        self.assertEqual(float(first["ktrans_per_min_mean"]), truth["ktrans_per_min_mean"][0])
        history = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))
        self.assertEqual(history["inputs"], {"table": {"sha256": "ab" * 32}})
        self.assertEqual(history["rows"], {"read": 122, "analyzed": 120, "left_out": 2, "unmatched": 0})
        self.assertEqual(history["settings"]["marks"], "welch-holm")
        self.assertNotIn("S000001", json.dumps(history))
        markdown = (self.output / "tables.md").read_text(encoding="utf-8")
        self.assertNotRegex(markdown, r"(?<!\\)\*")
        self.assertIn(str(result.tables[1].printed["kep_per_min"][1]).rstrip("*"), markdown)
        page = Page((self.output / "report.html").read_text(encoding="utf-8"))
        sources = [value for name, value in page.attributes if name == "src"]
        self.assertEqual(len(sources), 7)

    def test_blocks_join_to_one_table(self):
        cohort = sample_result(size=120).cohort
        whole = "".join(cohortfiles._blocks(cohort))
        with mock.patch.object(cohortfiles, "_BLOCK", 50):
            self.assertEqual("".join(cohortfiles._blocks(cohort)), whole)
        self.assertEqual(whole.count("\n"), 121)

    def test_without_matplotlib_there_is_everything_but_figures(self):
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            (warning,) = write_cohort(sample_result(), self.output)
        self.assertRegex(warning, "^There are no figures: figures need matplotlib")
        self.assertFalse((self.output / "figures").exists())
        self.assertIn(warning, Page((self.output / "report.html").read_text(encoding="utf-8")).text)
        history = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))
        self.assertIn(warning, history["warnings"])

    def test_files_of_an_earlier_run_go_and_those_of_others_stay(self):
        (self.output / "figures").mkdir(parents=True)
        for name in ("table3.csv", "figures/roc.svg", "mine.txt"):
            (self.output / name).write_text("old", encoding="utf-8")
        result = sample_result()
        write_cohort(dataclasses.replace(result, tables=result.tables[:2]), self.output, figures=False)
        self.assertFalse((self.output / "table3.csv").exists())
        self.assertFalse((self.output / "figures" / "roc.svg").exists())
        self.assertTrue((self.output / "mine.txt").exists())

    def test_cancelling_leaves_nothing(self):
        for stop in (0.0, 0.3, 0.9):
            with self.assertRaises(Cancelled):
                write_cohort(sample_result(), self.output, lambda fraction, message, stop=stop: fraction < stop)
            self.assertFalse(self.output.exists())

    def test_a_file_in_the_way_is_named(self):
        self.output.mkdir()
        (self.output / "report.html").mkdir()
        with self.assertRaisesRegex(InputError, r"report\.html: a folder of that name"):
            write_cohort(sample_result(), self.output, figures=False)

    def test_a_hundred_thousand_subjects_make_a_page_below_5_mb(self):
        left_out = tuple(LeftOut(f"row {n}", "no T-score") for n in range(20_000))
        write_cohort(sample_result(size=100_000, left_out=left_out), self.output)
        self.assertLess((self.output / "report.html").stat().st_size, 5_000_000)
        with (self.output / "cohort.csv").open(encoding="utf-8") as file:
            self.assertEqual(sum(1 for _ in file), 100_001)
        with (self.output / "left_out.csv").open(encoding="utf-8") as file:
            self.assertEqual(sum(1 for _ in file), 20_001)


if __name__ == "__main__":
    unittest.main()
