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
from DCEPerfusionBMDLib.cohort import SourceColumn, analyze_cohort, cohort_from_columns
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.export import cohortfiles
from DCEPerfusionBMDLib.export.cohortfiles import write_cohort
from DCEPerfusionBMDLib.export.cohortreport import cohort_report
from DCEPerfusionBMDLib.export.methods import methods, methods_chinese
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
            "welch-holm": ("Welch t-tests of means, two-sided, corrected by Holm", "双侧韦尔奇 t 检验"),
            "games-howell": (
                "the Games-Howell test of means, two-sided, means",
                "双侧 Games-Howell 检验（均数），均数",
            ),
            "dunnett": ("Dunnett's test of means, two-sided, means corrected", "双侧 Dunnett 检验（均数），均数"),
            "lsd": ("pooled variance, two-sided, not corrected", "双侧合并方差的最小显著差异法（LSD，均数），未作"),
        }
        for marks, (english, chinese) in cases.items():
            page = Page(page_of(sample_result(marks=marks))).text
            self.assertIn(english, page.partition("marks in the tables come from ")[2][:120])
            self.assertEqual(page.partition("显著性标记采用")[2][: len(chinese)], chinese)
        self.assertNotIn("计数资料", self.page.text)
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

    def said(self, text, **settings):
        """Methods in English and in Chinese, and the result, of a table in texts."""
        settings = CohortSettings(**{"resamples": 0, **settings})
        heading, *rows = (line.split(",") for line in text.split())
        result = analyze_cohort(
            cohort_from_columns("t.csv", heading, list(zip(*rows, strict=True)), settings), settings
        )
        return methods(result, VERSIONS), methods_chinese(result, VERSIONS), result

    def test_methods_say_which_sites_classified(self):
        """Sites that there are, what they lack, and no rule where the table gave the categories."""
        for table, classification, english, chinese in (
            (
                "id,t_lumbar,FN_T-score,ktrans a,-1,-3,1 b,-2,,2",
                "iscd",
                "from the lowest T-score of lumbar spine and femoral neck, without rounding; 1 row lacked that of "
                "femoral neck; there was none of total hip.",
                "依据腰椎、股骨颈中最低的 T 值进行分类（T 值不作舍入）："
                "T ≥ −1.0 为正常，−2.5 < T < −1.0 为低骨量（骨量减少），"
                "T ≤ −2.5 为骨质疏松；1 行缺少股骨颈的数据；无全髋的数据。",
            ),
            (
                "id,t_lumbar,FN_T-score,ktrans a,-1,-3,1 b,-2,,2",
                "paper",
                "osteoporosis, T <= -2.5) came from the T-score of lumbar spine, without rounding.",
                "依据腰椎 T 值进行分类（T 值不作舍入）：T ≥ −1.0 为正常，−2.5 < T < −1.0 为低骨量（骨量减少），"
                "T ≤ −2.5 为骨质疏松。",
            ),
            (
                "id,lumbar_class,ktrans a,normal,1 b,,2",
                "paper",
                "categories came from the category of lumbar spine in the table; 1 row lacked that of lumbar spine.",
                "依据数据表中的腰椎分类进行分类；1 行缺少腰椎的数据。",
            ),
            (
                "id,t_lumbar,fn_class,ktrans a,-1,normal,1 b,-2,normal,2",
                "iscd",
                "from the lowest of the T-score of lumbar spine and the category of femoral neck in the table, without",
                "依据腰椎 T 值和数据表中的股骨颈分类（取骨量最低者）进行分类（T 值不作舍入）：",
            ),
            ("id,class,ktrans a,normal,1 b,normal,2", "iscd", "categories were those of the table.", "给出的分类。"),
        ):
            found = self.said(table, classification=classification)
            self.assertIn(english, found[0])
            self.assertIn(chinese, found[1])
            self.assertEqual("T >= -1.0" in found[0], "T ≥ −1.0" in found[1])
            self.assertEqual("T >= -1.0" in found[0], "t_lumbar" in table)
        given = sample_result(sources={"bmd_class": SourceColumn("class", "of t_lumbar.csv")})
        self.assertIn("T-score categories were those of the table.", methods(given, VERSIONS))

    def test_methods_name_what_was_done_alone(self):
        """A test of which the table has the reason alone was not made; neither was a bootstrap without resamples."""
        one = self.said("id,age,t_lumbar,ktrans,kep s1,55,-1.2,.5,2", resamples=200)
        self.assertIn("The analysis used Wilson's interval of a rate; intervals have a level of 95 %.", one[0])
        self.assertIn("统计分析采用率的 Wilson 置信区间。区间估计", one[1])
        self.assertNotIn("The p to report", page_of(one[2]))
        self.assertIn("The p to report", self.html)
        self.assertIn("nothing could be compared, so there are no marks", one[0])
        self.assertIn("Of 1 row of the table, 1 subject was analyzed and 0 were left out", one[0])
        text = "id,class,ktrans " + " ".join(
            f"s{n},{('normal', 'osteoporosis')[n % 2]},{n % 7 + n % 2}" for n in range(40)
        )
        for resamples in (0, 200):
            english, chinese, result = self.said(text, resamples=resamples)
            self.assertEqual("bootstrap" in english, resamples == 200)
            self.assertEqual("自助法" in chinese, resamples == 200)
            self.assertIn("Welch's analysis of variance", english)
            self.assertNotIn("analysis of covariance", english)  # there is no age
            self.assertNotIn("correlation", english)
            self.assertNotIn("相关分析", chinese)
        rows = {row[0]: row[1] for row in Page(page_of(result)).tables["Checklist"][1:]}
        self.assertEqual(rows["11 Quantitative variables"], "Groups compared: T-score category.")
        self.assertEqual(
            rows["16 Main results"], "In this report: tables and key statistics with 95 % intervals."
        )  # no figures
        self.assertNotIn("covariance", rows["17 Other analyses"])
        shown = Page(page_of(result, figures={"roc": "data:image/png;base64,AAAA"})).tables["Checklist"]
        self.assertIn("tables, figures and key", shown[16][1])

    def test_methods_name_the_marks_of_rates(self):
        rows = " ".join(f"s{n},{50 + n % 20},{-3 + n % 5},{n % 6 + 1}" for n in range(40))
        english, chinese, _ = self.said(f"id,age,t_lumbar,ktrans {rows}", marks="games-howell")
        self.assertIn(
            "rates as count (percentage); marks in the tables come from the Games-Howell test of means and Fisher's "
            "exact tests of rates, two-sided, means corrected over the groups of each quantity, rates "
            "corrected by Holm over the comparisons of a table (level of significance, "
            "Table 1: 0.05; Table 2: 0.05; Table 3: 0.01).",
            english,
        )
        self.assertIn(
            "，计数资料以例数（百分比）表示；表中的显著性标记采用双侧 Games-Howell 检验（均数）和 "
            "Fisher 确切概率法（率），均数在每一指标的各组间校正，率以 Holm 法对同一表内的比较校正"
            "（检验水准 表 1：0.05；表 2：0.05；表 3：0.01）。",
            chinese,
        )

    def test_methods_say_what_a_value_of_a_subject_is(self):
        rows = " ".join(
            f"s{n},{level},{reader},{n % 7 + at / 5 + (reader == '2') / 9}"
            for n in range(12)
            for at, level in enumerate(("L1", "L2", "L3"))
            for reader in "12"
        )
        english, chinese, result = self.said(f"id,level,observer,ktrans {rows}")
        for text in (
            "72 vertebrae of 12 subjects were analyzed",
            "The value of a subject is the mean over its vertebrae L1 to L4, of at least 2 levels; single "
            "vertebrae entered only a linear model with a random intercept per subject.",
            "There were 2 readings (1, 2); tables and tests between subjects used 1, or the next one of a subject "
            "without it; the others entered their agreement only.",
        ):
            self.assertIn(text, english)
        for text in (
            "每例受试者的数值为其 L1～L4 椎体的均值（至少 2 个椎体）；单个椎体的数据仅用于受试者随机截距线性混合模型。",
            "共有 2 次读数（1、2），表格与受试者间的检验采用 1，缺少时采用该受试者的下一次读数；"
            "其余读数仅用于读数间的一致性分析。",
        ):
            self.assertIn(text, chinese)
        cohort = dataclasses.replace(
            result.cohort, levels=np.full(72, ""), readings=np.full(72, ""), folders=70, rows_read=72
        )
        folders = dataclasses.replace(result, cohort=cohort)
        self.assertIn("Of 70 folders of results and 2 rows of the table of subjects, ", methods(folders, VERSIONS))
        self.assertIn("mean over its evaluable vertebrae L1 to L4", methods(folders, VERSIONS))
        self.assertIn("共读入 70 个结果文件夹及受试者表中的 2 行，", methods_chinese(folders, VERSIONS))
        self.assertIn("其 L1～L4 可评估椎体的均值", methods_chinese(folders, VERSIONS))
        self.assertIn(
            "70 folders of results and 2 rows of the table of subjects were read", Page(page_of(folders)).text
        )

    def test_methods_say_what_curves_are(self):
        english, chinese, _ = self.said("id,class,ktrans,kep a,normal,.3,2 b,normal,.4,2")
        self.assertIn(
            "curves of Figure 2 were computed from each subject's Ktrans and kep with Parker's input (hematocrit "
            "0.42), not measured.",
            english,
        )
        self.assertIn(
            "图 2 的曲线由各受试者的 Ktrans 和 kep 按 Parker 群体动脉输入函数（血细胞比容 0.42）计算", chinese
        )

    def test_methods_say_what_was_computed_and_for_whom_the_z_score_is(self):
        english, chinese, result = self.said(
            "id,sex,age,age_group,class,ktrans,kep,ve "
            "a,f,45,,normal,.3,2,.15 b,m,45,40~,normal,.3,2,.9 c,f,60,,normal,.3,2,"
        )
        for text in (
            "ve as given differs from Ktrans/kep by more than 2 % in 1 row and was used as given.",
            "Apart from the age group of 2 rows (taken from the age) and ve of 1 row (computed as Ktrans/kep), missing",
            "1 row with a T-score or category was of premenopausal women or men below 50 years, for whom ISCD takes",
            "1 row with a T-score or category was of women below 50 years of unknown menopausal status",
        ):
            self.assertIn(text, english)
        for text in (
            "有 1 行所给的 ve 与 Ktrans/kep 相差超过 2%，仍按所给数值分析。",
            "除 2 行的年龄组（由年龄得出）和 1 行的 ve（以 Ktrans/kep 计算）外，缺失值未作填补",
            "1 行属于绝经前女性或不足 50 岁的男性，按 ISCD 应采用 Z 值",
            "1 行属于绝经状态不明且不足 50 岁的女性",
        ):
            self.assertIn(text, chinese)
        self.assertNotIn("ve was computed", english)
        self.assertIn("not replaced apart from the age group of 2 rows", Page(page_of(result)).text)
        english, chinese, _ = self.said("id,ktrans,kep a,.3,2 b,.4,2")
        self.assertIn("ve was computed as Ktrans/kep. ", english)
        self.assertIn(" Missing values were not replaced", english)
        self.assertIn("ve 由 Ktrans/kep 计算得出。", chinese)
        english, chinese, _ = self.said("id,ktrans a,.3 b,.4")
        self.assertIn("Ktrans is the volume transfer constant. ", english)
        self.assertNotIn("ve", english.partition("Ktrans is")[2].replace("have", "").partition(".")[0])
        self.assertNotIn("Ktrans/kep", english + chinese)

    def test_points_are_called_by_category_where_there_is_one(self):
        result = sample_result()
        bare = [dataclasses.replace(part, groups=np.full(part.groups.shape, "")) for part in result.scatters]
        figures = {"figure1": "data:image/png;base64,AAAA"}
        self.assertIn("Points: subjects by T-score category; line", Page(page_of(result, figures=figures)).text)
        page = page_of(dataclasses.replace(result, scatters=tuple(bare)), figures=figures)
        self.assertIn("Points: subjects; line", Page(page).text)

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
            "tables and tests between subjects used visit 1",
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
        self.assertEqual(
            write_cohort(result, self.output, input_hashes={"table": "ab" * 32}, host={"Slicer": "5.12.3"}), ()
        )
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
        self.assertEqual(history["software"]["Slicer"], "5.12.3")
        self.assertEqual(history["rows"], {"read": 122, "analyzed": 120, "left_out": 2, "unmatched": 0})
        self.assertEqual(history["settings"]["marks"], "welch-holm")
        self.assertNotIn("S000001", json.dumps(history))
        markdown = (self.output / "tables.md").read_text(encoding="utf-8")
        self.assertNotRegex(markdown, r"(?<!\\)\*")
        self.assertIn(str(result.tables[1].printed["kep_per_min"][1]).rstrip("*"), markdown)
        page = Page((self.output / "report.html").read_text(encoding="utf-8"))
        sources = [value for name, value in page.attributes if name == "src"]
        self.assertEqual(len(sources), 7)
        self.assertIn("5.12.3", (self.output / "report.html").read_text(encoding="utf-8"))

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
