"""The table of a cohort: headings, labels, numbers, rows, and the columns that follow from others."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import random
import tempfile
import time
import unittest
from collections import Counter
from pathlib import Path

import numpy as np
from DCEPerfusionBMDLib import cli
from DCEPerfusionBMDLib.cohort import (
    CLASSES,
    Cohort,
    cohort_from_columns,
    read_dictionary,
    read_table,
    subject_means,
    without_t_score,
)
from DCEPerfusionBMDLib.cohort.columns import KEYS, LABELS, NUMBERS, label, read_headings
from DCEPerfusionBMDLib.densitometry.tables import Perfusion, subject_perfusion
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.settings import CohortSettings
from support import reference_data

PAPER = CohortSettings(classification="paper")

# heading, column, and what a number is multiplied with
HEADINGS = (
    ("Ktrans", "ktrans_per_min", 1),
    ("ktrans (1/min)", "ktrans_per_min", 1),
    ("Ktrans [min^-1]", "ktrans_per_min", 1),
    ("KTRANS (min\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT ONE})", "ktrans_per_min", 1),
    ("K^trans (/min)", "ktrans_per_min", 1),
    ("ktrans_per_s", "ktrans_per_min", 60),
    ("k_ep", "kep_per_min", 1),
    ("kep (1/s)", "kep_per_min", 60),
    ("kep [s-1]", "kep_per_min", 60),
    ("ve", "ve", 1),
    ("ve (mL/100 mL)", "ve", 0.01),
    ("ve (%)", "ve", 0.01),
    ("ve_percent", "ve", 0.01),
    ("v_e [fraction]", "ve", 1),
    ("bmd", "bmd_lumbar_g_cm2", 1),
    ("bmd_lumbar", "bmd_lumbar_g_cm2", 1),
    ("Lumbar spine BMD (g/cm\N{SUPERSCRIPT TWO})", "bmd_lumbar_g_cm2", 1),
    ("BMD L1-L4 (mg/cm2)", "bmd_lumbar_g_cm2", 0.001),
    ("BMD L1-4, g/cm2", "bmd_lumbar_g_cm2", 1),
    ("FN BMD", "bmd_femoral_neck_g_cm2", 1),
    ("BMD (femoral neck) (g/cm2)", "bmd_femoral_neck_g_cm2", 1),
    ("Total hip BMD", "bmd_total_hip_g_cm2", 1),
    ("T-score lumbar", "t_lumbar", 1),
    ("t_spine", "t_lumbar", 1),
    ("T score", "t_lumbar", 1),
    ("FN T-score", "t_femoral_neck", 1),
    ("age", "age_years", 1),
    ("Age (y)", "age_years", 1),
    ("age (months)", "age_years", 1 / 12),
    ("BMI (kg/m2)", "bmi_kg_m2", 1),
    ("Time to peak (min)", "time_to_peak_s", 60),
    ("eslope (%/min)", "eslope_percent_per_s", 1 / 60),
    ("IAUC60 (mmol/L\N{MIDDLE DOT}s)", "iauc60_mM_s", 1),
    ("PDFF (%)", "fat_fraction", 0.01),
    ("Age group", "age_group", 1),
    ("class", "bmd_class", 1),
    ("BMD_Class", "bmd_class", 1),
    ("Class (WHO)", "bmd_class", 1),
    ("fn_class", "femoral_neck_class", 1),
    ("lumbar T-score category", "lumbar_class", 1),
    ("Sex/Gender", "sex", 1),
    ("gender", "sex", 1),
    ("Patient ID", "subject", 1),
    ("case", "subject", 1),
    ("Vertebra", "level", 1),
    ("Observer", "reading", 1),
    ("session", "reading", 1),
    *((column, column, 1) for column in (*NUMBERS, *LABELS, *KEYS)),
    ("Age at MRI (years)", "age_years", 1),
    ("LSBMD", "bmd_lumbar_g_cm2", 1),
    ("FNBMD (mg/cm2)", "bmd_femoral_neck_g_cm2", 0.001),
    ("Subj", "subject", 1),
    ("Study ID", "subject", 1),
    ("No.", "subject", 1),
    ("Ktrans (mean)", "ktrans_per_min", 1),
    ("Ktrans (mean, 1/s)", "ktrans_per_min", 60),
    ("Ktrans (L1-L4)", "ktrans_per_min", 1),
    ("ve (0-1)", "ve", 1),
    ("Age (mean)", "age_years", 1),
    ("BMD(腰椎)", "bmd_lumbar_g_cm2", 1),
    ("编号", "subject", 1),
    ("受试者编号", "subject", 1),
    ("年龄", "age_years", 1),
    ("年龄（岁）", "age_years", 1),  # noqa: RUF001
    ("年龄组", "age_group", 1),
    ("性别", "sex", 1),
    ("绝经", "menopause", 1),
    ("腰椎骨密度", "bmd_lumbar_g_cm2", 1),
    ("腰椎骨密度（mg/cm2）", "bmd_lumbar_g_cm2", 0.001),  # noqa: RUF001
    ("股骨颈骨密度(g/cm²)", "bmd_femoral_neck_g_cm2", 1),
    ("T值", "t_lumbar", 1),
    ("T 值", "t_lumbar", 1),
    ("腰椎T值", "t_lumbar", 1),
    ("股骨颈 T 值", "t_femoral_neck", 1),
    ("分类", "bmd_class", 1),
    ("骨密度分类", "bmd_class", 1),
)
OTHER_HEADINGS = (
    *(
        "Ktrans SD",
        "ktrans_se_per_min",
        "ktrans_median_per_min",
        "ktrans_1",
        "ktrans_min",
        "T1",
        "T-score L3",
        "BMD L1",
    ),
    *("t_sd", "remarks", "", "Ktrans \u6807\u51c6\u5dee", "bmd change", "QCT", "姓名", "患者姓名", "年龄标准差"),
)


class TestHeadings(unittest.TestCase):
    def test_spellings(self) -> None:
        for heading, column, factor in HEADINGS:
            with self.subTest(heading):
                found = read_headings([heading], "t").found
                self.assertEqual(list(found), [column])
                self.assertAlmostEqual(float(found[column].factor), factor, places=15)

    def test_what_is_something_else_is_ignored(self) -> None:
        for heading in OTHER_HEADINGS:
            with self.subTest(heading):
                read = read_headings([heading, "Ktrans"], "t")
                self.assertEqual(list(read.found), ["ktrans_per_min"])
                self.assertEqual(read.ignored, (heading or "number 1",))

    def test_units_that_are_not_read(self) -> None:
        for heading, unit in (
            ("Ktrans (1/h)", "1/h"),
            ("ktrans_per_h", "per h"),
            ("BMD (mg/cm3)", "mg/cm3"),
            ("bmd_mg_cm3", "mg cm3"),
            ("age (days)", "days"),
            ("ve (foo)", "foo"),
            ("Ktrans (10^-3/min)", "10 3/min"),
        ):
            with self.subTest(heading), self.assertRaisesRegex(InputError, f"unit '{unit}'") as raised:
                read_headings([heading], "cohort.csv")
            self.assertIn(repr(heading), str(raised.exception))

    def test_weak_names_of_subjects(self) -> None:
        """A running number is the subject only where no other column is."""
        both = read_headings(["No.", "Patient", "Ktrans"], "t")
        self.assertEqual((both.found["subject"].heading, both.ignored), ("Patient", ("No.",)))
        alone = read_headings(["No.", "Study ID", "Ktrans"], "t")
        self.assertEqual((alone.found["subject"].heading, alone.ignored), ("Study ID", ("No.",)))
        self.assertIn("'Study ID' is taken to name the subjects", alone.notes[0])

    def test_two_meanings(self) -> None:
        for headings, named in (
            (["group"], ("group", "age_group", "bmd_class")),
            (["slope"], ("slope", "eslope_percent_per_s", "max_slope_percent_per_s")),
            (["BMD", "FN BMD"], ("BMD", "FN BMD", "bmd_lumbar_g_cm2", "bmd_total_hip_g_cm2")),
            (["T", "total hip T"], ("T", "total hip T", "t_lumbar", "t_femoral_neck")),
        ):
            with self.subTest(headings), self.assertRaisesRegex(InputError, "dictionary") as raised:
                read_headings(headings, "t")
            for name in named:
                self.assertIn(name, str(raised.exception))

    def test_the_same_meaning_twice(self) -> None:
        for pair in (
            ("Ktrans", "ktrans (1/s)"),
            ("ID", "Patient"),
            ("BMD L1-L4", "BMD L2-L4"),
            ("FN left T", "FN right T"),
        ):
            for headings in (pair, pair[::-1]):
                with self.subTest(headings), self.assertRaisesRegex(InputError, "dictionary") as raised:
                    read_headings(headings, "t")
                for name in pair:
                    self.assertIn(repr(name), str(raised.exception))

    def test_dictionary(self) -> None:
        headings = ["Nr", "Perfusion", "ve", "Ktrans", "group"]
        dictionary = {"Nr": "subject", "Perfusion": "ktrans_per_min (1/s)", "ve": "ve (%)", "Ktrans": "", "group": ""}
        read = read_headings(headings, "t", {**dictionary, "elsewhere": "age"})
        found = {c: (f.heading, float(f.factor)) for c, f in read.found.items()}
        wanted = {"subject": ("Nr", 1.0), "ktrans_per_min": ("Perfusion", 60.0), "ve": ("ve", 0.01)}
        self.assertEqual(found, wanted)
        self.assertEqual(read.ignored, ("Ktrans", "group"))
        self.assertIn("elsewhere", read.notes[0])
        with self.assertRaisesRegex(InputError, "'Nr'.*'perfuion'.*none of"):
            read_headings(headings, "t", {"Nr": "perfuion"})

    def test_units_of_canonical_names_in_a_dictionary(self) -> None:
        for column, number in NUMBERS.items():
            with self.subTest(column):
                unit = f" ({number.unit})" if number.unit else ""
                self.assertEqual(list(read_headings(["x"], "t", {"x": f"{column}{unit}"}).found), [column])

    def test_dictionary_files(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            as_json, as_csv, bad = (Path(folder) / name for name in ("d.json", "d.csv", "bad.json"))
            as_json.write_text(json.dumps({"Nr": "subject", "x": ""}), encoding="utf-8")
            as_csv.write_text("heading,column\nNr,subject\nx,\n", encoding="utf-8")
            self.assertEqual(read_dictionary(as_json), {"Nr": "subject", "x": ""})
            self.assertEqual(read_dictionary(as_csv), {"Nr": "subject", "x": ""})
            for text in ("{", "[1]", '{"a": 1}'):
                bad.write_text(text, encoding="utf-8")
                with self.subTest(text), self.assertRaisesRegex(InputError, r"bad\.json"):
                    read_dictionary(bad)
            as_csv.write_text("heading,column\nNr,subject\nNr,level\n", encoding="utf-8")
            with self.assertRaisesRegex(InputError, r"d\.csv row 3: the heading 'Nr' comes twice"):
                read_dictionary(as_csv)


class TestLabels(unittest.TestCase):
    def test_spellings(self) -> None:
        for column, spellings, name in (
            ("bmd_class", ("normal", "Normal ", "NORMAL"), "normal"),
            (
                "bmd_class",
                ("low bone mass", "osteopenia", "Bone loss", "bone_loss", "low bone density"),
                "low bone mass",
            ),
            ("femoral_neck_class", ("osteoporosis", "OP"), "osteoporosis"),
            ("lumbar_class", ("severe osteoporosis", "Established osteoporosis"), "severe osteoporosis"),
            ("bmd_class", ("", "not classified"), ""),
            ("age_group", ("40~", "40-49", "[40,50)", "40\N{EN DASH}49 years", "40s", "40 to 49"), "40~"),
            ("age_group", ("80~", "80+", ">=80", "80-89", "90~", "80 and above", "[80, 120)"), "80~"),
            ("age_group", ("30-39",), "30~"),
            ("sex", ("f", "Female", "woman", "\u5973"), "female"),
            ("sex", ("M", "male"), "male"),
            ("menopause", ("post", "Postmenopausal", "绝经后", "是"), "post"),
            ("menopause", ("绝经前", "否"), "pre"),
            ("age_group", ("40~49岁", "40-49岁"), "40~"),
            ("age_group", ("80岁以上", "≥80岁", "80岁及以上"), "80~"),
            ("level", ("L3", "l3", "LWK3", "3", "lumbar vertebra 3"), "L3"),
        ):
            for text in spellings:
                with self.subTest(column=column, text=text):
                    self.assertEqual(label(column, text), name)

    def test_unknown(self) -> None:
        for column, text in (
            *(("bmd_class", text) for text in ("osteo", "abnormal", "2")),
            *(("age_group", text) for text in ("45-54", "60+", "old", "40-60", "45~")),
            *(("sex", text) for text in ("1", "x")),
            ("level", "mean"),
            ("level", "L1-L4"),
        ):
            with self.subTest(column=column, text=text), self.assertRaisesRegex(InputError, "known are|is no decade"):
                label(column, text)


class Tables(unittest.TestCase):
    """Tables as texts."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def read(
        self, text: str, settings: CohortSettings | None = None, encoding: str = "utf-8", **more: dict[str, str]
    ) -> Cohort:
        path = self.folder / "cohort.csv"
        path.write_bytes(text.encode(encoding))
        cohort = read_table(path, settings or CohortSettings(), **more)
        self.assertEqual(cohort.rows_read, cohort.subjects.size + len(cohort.left_out))
        for values in (*cohort.numbers.values(), *cohort.labels.values(), cohort.levels, cohort.readings):
            self.assertEqual(values.shape, cohort.subjects.shape)
        self.assertEqual(set(cohort.sources), {*cohort.numbers, *cohort.labels})
        return cohort

    def refused(self, text: str, *parts: str, **more: dict[str, str]) -> None:
        with self.assertRaises(InputError) as raised:
            self.read(text, **more)
        message = str(raised.exception)
        self.assertNotIn("\n", message)
        for part in ("cohort.csv", *parts):
            self.assertIn(part, message)


class TestNumbers(Tables):
    def test_dialects(self) -> None:
        wanted = [("A", 0.5), ("B", np.nan), ("C", 1.25)]
        for text, encoding in (
            ("subject,ktrans\nA,0.5\nB,\nC,1.25\n", "utf-8"),
            ("subject;ktrans\r\nA;0,5\r\nB;NA\r\nC;1,25\r\n", "utf-8-sig"),
            ("subject\tktrans\nA\t0.5\nB\t.\nC\t1.25", "utf-16"),
            ('"subject","ktrans"\n"A"," 0.5"\n"B","-"\n"C","\'+1.25"\n', "utf-8"),
        ):
            with self.subTest(text):
                cohort = self.read(text, encoding=encoding)
                self.assertEqual(cohort.subjects.tolist(), [name for name, _ in wanted])
                np.testing.assert_array_equal(cohort.numbers["ktrans_per_min"], [value for _, value in wanted])

    def test_missing(self) -> None:
        for text in ("", "NA", "na", "N/A", "n/a", "NaN", "nan", "-", "."):
            with self.subTest(text):
                values = self.read(f"subject,ktrans\nA,{text}\nB,1\n").numbers["ktrans_per_min"]
                np.testing.assert_array_equal(values, [np.nan, 1.0])

    def test_thousands(self) -> None:
        """A comma may separate thousands where cells are separated by commas, or other numbers have points."""
        self.refused('id,emax (%)\ns1,34\ns2,"1,234"\n', "row 3", "emax (%)", "'1,234'", "1234 or 1.234")
        self.refused("id;emax (%)\ns1;34.5\ns2;1,234\n", "row 3", "'1,234'", "without a separator")
        self.refused("id;emax (%)\ns2;1,234\ns1;34.5\n", "row 2", "'1,234'")
        self.refused(
            "id;emax (%)\ns0;2,345\n" + "".join(f"s{n};3,4\n" for n in range(1, 20_000)) + "x;.5\n", "row 2", "'2,345'"
        )
        cohort = self.read("id;emax (%);ktrans\ns1;1,234;.\ns2;34,5;0.3\n")
        self.assertEqual(cohort.numbers["emax_percent"].tolist(), [1.234, 34.5])
        self.assertEqual(self.read('id,ktrans\ns1,"0,345"\n').numbers["ktrans_per_min"].tolist(), [0.345])

    def test_codes_of_missing_values(self) -> None:
        self.refused("id,t_lumbar\ns1,-1\ns2,-9\n", "row 3", "t_lumbar", "-9", "from -8 to 6")
        cohort = self.read("id,kep,bmi,emax,age (months)\na,3,25,50,600\nb,99,24,99,999\nc,2,99,150,720\nd,9,99,9,\n")
        said = [note for note in cohort.notes if "code for a missing" in note]
        self.assertEqual([note.partition(", which")[0] for note in said],
                         ["kep is 9, 99 in rows 3, 5", "bmi is 99 in rows 4, 5", "emax is 9 in rows 5",
                          "age (months) is 999 in rows 3"])  # fmt: skip
        self.assertEqual(cohort.numbers["kep_per_min"].tolist(), [3, 99, 2, 9])

    def test_the_delimiter_is_not_within_quotation_marks(self) -> None:
        cohort = self.read('id;"Age, y";"Ktrans, 1/min"\na;50;0,3\n')
        self.assertEqual(sorted(cohort.numbers), ["age_years", "ktrans_per_min"])

    def test_minus_and_apostrophe(self) -> None:
        cohort = self.read("subject,t_lumbar\n'-01,\N{MINUS SIGN}2.5\n'=x,'-2.4\n'tis,-0.9\n")
        self.assertEqual(cohort.subjects.tolist(), ["-01", "=x", "'tis"])
        self.assertEqual(cohort.numbers["t_lumbar"].tolist(), [-2.5, -2.4, -0.9])
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["osteoporosis", "low bone mass", "normal"])

    def test_units(self) -> None:
        cohort = self.read(
            "subject,Ktrans (1/s),ve (mL/100 mL),BMD L1-L4 (mg/cm2),Age (months)\nA,0.0525,30.6,1025,600\n"
        )
        self.assertAlmostEqual(cohort.numbers["ktrans_per_min"][0], 3.15, places=12)  # facts, R8
        self.assertEqual(cohort.numbers["ve"][0], 0.306)
        self.assertEqual(cohort.numbers["bmd_lumbar_g_cm2"][0], 1.025)
        self.assertEqual(cohort.numbers["age_years"][0], 50.0)
        self.assertEqual(cohort.labels["age_group"].tolist(), ["50~"])
        self.assertIn("60", cohort.sources["ktrans_per_min"].about)

    def test_texts_are_refused(self) -> None:
        for text in ("abc", "1_000", "<0.1", "0.5 /min", "1.2.3", "1,234.5", "1.000,5"):
            with self.subTest(text):
                self.refused(f'subject,Ktrans\nA,0.5\nB,"{text}"\n', "row 3", "Ktrans", repr(text))

    def test_impossible_numbers_are_refused(self) -> None:
        for heading, text in (
            *(("Ktrans", text) for text in ("inf", "-inf", "1e999", "-0.1", "21")),
            ("ve", "30.6"),
            ("ve (%)", "101"),
            ("age", "121"),
            ("BMD (mg/cm2)", "0.9"),
            ("bmd", "900"),
            ("t_lumbar", "-25"),
        ):
            with self.subTest(heading=heading, text=text):
                self.refused(f"subject,{heading}\nA,\nB,{text}\n", "row 3", heading, text)


class TestRows(Tables):
    def test_blank_rows_are_counted(self) -> None:
        cohort = self.read("subject,ktrans\nA,1\n,\n\nB, 2\n ,\n")
        self.assertEqual((cohort.rows_read, cohort.subjects.tolist()), (5, ["A", "B"]))
        self.assertEqual(
            [(item.row, item.reason) for item in cohort.left_out],
            [("row 3", "blank"), ("row 4", "blank"), ("row 6", "blank")],
        )

    def test_duplicates(self) -> None:
        self.refused("subject,ktrans\nA,1\nB,1\n A ,2\n", "row 4", "row 2", "'A'")
        self.refused("subject,level,ktrans\nA,L1,1\nA,L2,1\nA,l1,2\n", "row 4", "row 2", "A L1")
        self.refused("subject,level,observer,ktrans\nA,L1,x,1\nA,L1,y,1\nA,L1,x,2\n", "row 4", "row 2")
        self.assertEqual(self.read("subject,level,observer,ktrans\nA,L1,x,1\nA,L1,y,1\n").subjects.size, 2)

    def test_names_that_lack(self) -> None:
        self.refused("subject,ktrans\nA,1\n,2\n", "row 3", "subject")
        self.refused("subject,level,ktrans\nA,L1,1\nA,,2\n", "row 3", "level")
        self.refused("subject,observer,ktrans\nA,x,1\nA,,2\n", "row 3", "reading")
        self.refused("level,ktrans\nL1,1\n", "level", "subjects")
        self.refused(f"subject,ktrans\n{'A' * 101},1\n", "row 2", "101 characters")
        cohort = self.read("ktrans\n1\n2\n")
        self.assertEqual(cohort.subjects.tolist(), ["row 2", "row 3"])
        self.assertIn("rows", cohort.notes[0])

    def test_tables_that_hold_nothing(self) -> None:
        self.refused("", "no column")
        self.refused("subject,ktrans\n", "no row")
        self.refused("subject,ktrans\n,\n\n", "no row")
        self.refused("subject,remark\nA,1\n", "no column", "remark")
        self.refused("subject,ktrans\nA,1,2\n", "row 2", "3 cells", "2")
        with self.assertRaisesRegex(InputError, "absent.csv"):
            read_table(self.folder / "absent.csv", PAPER)

    def test_one_subject_and_missing_everything(self) -> None:
        self.assertEqual(self.read("subject,ktrans\nA,\n").subjects.tolist(), ["A"])
        cohort = self.read("subject,ktrans,evaluable,age\nA,1,no,50\n")
        self.assertEqual((cohort.rows_read, cohort.subjects.size), (1, 0))
        self.assertEqual([(item.row, item.reason) for item in cohort.left_out], [("row 2 (A)", "not evaluable")])

    def test_rows_that_a_spreadsheet_adds(self) -> None:
        for name in ("Mean", "AVERAGE", "Total", "SD", "mean:", "平均值"):
            with self.subTest(name):
                self.refused(f"id,ktrans\na,1\nb,2\n{name},1.5\n", "row 4", repr(name), "remove it")
        self.assertEqual(self.read("id,ktrans\nMax,1\nMin,2\nMeanwhile,3\n").subjects.size, 3)

    def test_chinese_table(self) -> None:
        cohort = self.read(
            "编号,年龄,性别,绝经,腰椎骨密度,股骨颈骨密度,腰椎T值,骨密度分类,年龄组,Ktrans\n"
            "s0,50,女,绝经后,0.70,0.65,-2.6,骨质疏松,50~,0.3\n"
        )
        self.assertEqual(cohort.ignored, ())
        self.assertEqual(cohort.subjects.tolist(), ["s0"])
        self.assertEqual(cohort.numbers["bmd_femoral_neck_g_cm2"].tolist(), [0.65])
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["osteoporosis"])
        self.assertEqual(cohort.labels["menopause"].tolist(), ["post"])

    def test_unknown_labels(self) -> None:
        self.refused("subject,class\nA,normal\nB,brittle\n", "row 3", "class", "brittle", *CLASSES)
        self.refused("subject,sex,ktrans\nA,f,1\nB,9,1\n", "row 3", "sex", "'9'", "female")
        self.refused("subject,level,ktrans\nA,L1,1\nA,all,1\n", "row 3", "level", "'all'", "L5")
        self.refused("subject,evaluable,ktrans\nA,perhaps,1\n", "row 2", "evaluable", "'perhaps'")
        cohort = self.read("subject,class\nA,severe osteoporosis\nB,n/a\nC,OP\n")
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["osteoporosis", "", "osteoporosis"])
        self.assertIn("1 rows of bmd_class", cohort.notes[0])

    def test_what_changes_within_a_subject(self) -> None:
        head = "subject,level,age,sex,ktrans\nB,L1,60,f,1\nA,L1,50,f,1\n"
        self.refused(f"{head}A,L2,51,f,1\n", "age_years", "'A'", "row 3", "row 4", "50", "51")
        self.refused(f"{head}A,L2,50,m,1\n", "sex", "'A'", "row 3", "row 4", "female", "male")
        self.assertEqual(self.read(f"{head}A,L2,,,2\n").subjects.size, 3)

    def test_ignored_columns_are_listed(self) -> None:
        self.assertEqual(self.read("subject,remark,ktrans\nA,x,1\n").ignored, ("remark",))

    def test_columns_of_texts(self) -> None:
        cohort = cohort_from_columns("node", ["ID", "Ktrans"], [["A", "B"], ["1", "2"]], PAPER)
        self.assertEqual((cohort.name, cohort.subjects.tolist()), ("node", ["A", "B"]))
        with self.assertRaisesRegex(InputError, "node row 3: Ktrans 'x'"):
            cohort_from_columns("node", ["ID", "Ktrans"], [["A", "B"], ["1", "x"]], PAPER)
        with self.assertRaisesRegex(InputError, "differ"):
            cohort_from_columns("node", ["ID", "Ktrans"], [["A", "B"], ["1"]], PAPER)


class TestDerived(Tables):
    def test_age_groups(self) -> None:
        ages = ("39.9", "40", "49.99", "50.0", "59", "79.99", "80", "93", "")
        cohort = self.read("subject,age\n" + "".join(f"{n},{age}\n" for n, age in enumerate(ages)))
        self.assertEqual(
            cohort.labels["age_group"].tolist(), ["30~", "40~", "40~", "50~", "50~", "70~", "80~", "80~", ""]
        )
        self.assertIn("age_years", cohort.sources["age_group"].about)
        self.refused("subject,age,age_group\nA,45,40~\nB,50,40-49\n", "row 3", "40~", "50~")
        filled = self.read("subject,age,age group\nA,45,\nB,,50~\n")
        self.assertEqual(filled.labels["age_group"].tolist(), ["40~", "50~"])

    def test_classes_follow_from_scores(self) -> None:
        text = "subject,t_lumbar,FN T,t_total_hip\nA,-1.0,-2.5,-1\nB,-2.5,,\nC,,-2.49,-0.5\nD,,,\nE,-0.5,-1,-2.6\n"
        low = self.read(text).labels
        self.assertEqual(low["lumbar_class"].tolist(), ["normal", "osteoporosis", "", "", "normal"])
        self.assertEqual(low["femoral_neck_class"].tolist(), ["osteoporosis", "", "low bone mass", "", "normal"])
        self.assertEqual(
            low["bmd_class"].tolist(), ["osteoporosis", "osteoporosis", "low bone mass", "", "osteoporosis"]
        )
        self.assertEqual(self.read(text, PAPER).labels["bmd_class"].tolist(), low["lumbar_class"].tolist())
        self.assertTrue(any("t_lumbar, t_femoral_neck, t_total_hip" in note for note in self.read(text).notes))

    def test_rounding(self) -> None:
        text = "subject,t_lumbar\nA,-1.04\nB,-2.46\nC,-2.45\nD,-2.44\n"
        reported = self.read(text, CohortSettings(t_score_rounding="reported"))
        self.assertEqual(reported.labels["bmd_class"].tolist(),
                         ["normal", "osteoporosis", "osteoporosis", "low bone mass"])  # facts, 4.1  # fmt: skip
        self.assertEqual(self.read(text).labels["bmd_class"].tolist(), ["low bone mass"] * 4)

    def test_classes_that_are_given_stay(self) -> None:
        cohort = self.read("subject,class,t_lumbar\nA,normal,-0.5\nB,normal,-3\nC,,-3\nD,op,\n")
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["normal", "normal", "", "osteoporosis"])
        self.assertTrue(any("bmd_class of 1 rows" in note and "row 3 (B)" in note for note in cohort.notes))
        self.assertTrue(any("of 1 rows is missing" in note for note in cohort.notes))
        alone = self.read("subject,class\nA,normal\n")
        self.assertEqual(list(alone.labels), ["bmd_class"])
        by_site = self.read("subject,t_lumbar,fn_class\nA,-0.5,osteopenia\nB,-3,normal\n")
        self.assertEqual(by_site.labels["bmd_class"].tolist(), ["low bone mass", "osteoporosis"])

    def test_who_gets_a_z_score_is_said(self) -> None:
        cohort = self.read(
            "subject,sex,age,t_lumbar,menopause\nA,m,49,-3,\nB,m,50,-3,\nC,f,45,-3,pre\nD,f,45,-3,post\n"
        )
        self.assertTrue(any(note.startswith("2 rows") and "Z-score" in note for note in cohort.notes))
        self.assertFalse(any("unknown menopausal status" in note for note in cohort.notes))
        for table, count in (
            ("subject,sex,age,t_lumbar\nA,f,49,-3\nB,f,50,-3\nC,m,49,-1\nD,f,30,\nE,,30,-3\n", (1, 1)),
            ("subject,sex,age,menopause,class\nA,f,49,,normal\nB,f,30,pre,normal\nC,f,55,pre,\n", (1, 1)),
            ("subject,sex,age,menopause,fn_class\nA,f,49,post,normal\nB,f,49,peri,osteopenia\n", (0, 0)),
            ("subject,ktrans\nA,0.5\n", (0, 0)),
        ):
            cohort = self.read(table)
            self.assertEqual(without_t_score(cohort.numbers, cohort.labels), count, table)
            texts = ("men below 50 years, for whom ISCD takes the Z-score", "of unknown menopausal status")
            for text, n in zip(texts, count, strict=True):
                self.assertEqual([note.partition(" row ")[0] for note in cohort.notes if text in note], ["1"] * n)

    def test_ve(self) -> None:
        computed = self.read("subject,ktrans,kep\nA,0.9,3\nB,,3\nC,0,0\nD,4,2\n")
        np.testing.assert_allclose(computed.numbers["ve"], [0.3, np.nan, np.nan, np.nan])
        self.assertTrue(any("of 1 rows without one is computed" in note for note in computed.notes))
        self.assertTrue(any("above 1" in note and "row 5 (D)" in note for note in computed.notes))
        self.assertEqual(computed.sources["ve"].about, "Ktrans/kep")
        given = self.read("subject,ktrans,kep,ve\nA,0.9,3,0.3\nB,0.9,3,0.307\nC,0.9,3,0.305\nD,0.9,3,\n")
        np.testing.assert_allclose(given.numbers["ve"], [0.3, 0.307, 0.305, 0.3])
        self.assertTrue(any("ve of 1 rows differs" in note and "row 3 (B)" in note for note in given.notes))


class TestMeans(Tables):
    def test_against_the_rule_of_one_subject(self) -> None:
        generator = random.Random(1)
        rows, regions = [], {}
        for n in range(40):
            levels = generator.sample(("L1", "L2", "L3", "L4", "L5", "T12"), generator.randint(1, 6))
            regions[f"S{n}"] = []
            for level in levels:
                values = {c: generator.uniform(0.1, 0.9) for c in ("ktrans_per_min", "kep_per_min", "ve")}
                bad = generator.random() < 0.2
                regions[f"S{n}"].append(Perfusion(level, level, values, {}, "bad" if bad else ""))
                rows.append(
                    [f"S{n}", level, *map(repr, values.values()), "no" if bad else "yes", str(50 + n / 2), "op"]
                )
        generator.shuffle(rows)
        head = ["subject", "level", "ktrans_per_min", "kep_per_min", "ve", "evaluable", "age", "class"]
        cohort = cohort_from_columns("t", head, list(zip(*rows, strict=True)), PAPER)
        means = subject_means(cohort)
        self.assertFalse(means.by_vertebra)
        self.assertEqual(means.rows_read, means.subjects.size + len(means.left_out))
        wanted = {name: subject_perfusion(own) for name, own in regions.items()}
        whole = {name for name, perfusion in wanted.items() if not perfusion.unusable}
        self.assertEqual(set(means.subjects.tolist()), whole)
        self.assertGreater(len(whole), 10)
        for n, name in enumerate(means.subjects):
            for column, value in wanted[name].values.items():
                self.assertAlmostEqual(means.numbers[column][n], value, places=13)
            self.assertEqual(means.numbers["age_years"][n], 50 + int(name[1:]) / 2)
            self.assertEqual(means.labels["bmd_class"][n], "osteoporosis")
        reasons = {item.row: item.reason for item in means.left_out}
        for name, perfusion in wanted.items():
            if perfusion.unusable and name in cohort.subjects:
                self.assertEqual(reasons[name], perfusion.unusable)
        self.assertLessEqual({item.row for item in cohort.left_out}, set(reasons))

    def test_missing_numbers_and_readings(self) -> None:
        cohort = self.read(
            "subject,level,observer,ktrans,kep,emax\n"
            "A,L1,x,1,5,7\nA,L2,x,,5,\nA,L3,x,3,,\nA,L1,y,1,2,7\nA,L2,y,2,2,9\nA,L5,y,9,9,9\n"
        )
        means = subject_means(cohort)
        self.assertEqual(means.readings.tolist(), ["x", "y"])
        np.testing.assert_allclose(means.numbers["ktrans_per_min"], [2.0, 1.5])
        np.testing.assert_allclose(means.numbers["kep_per_min"], [5.0, 2.0])
        np.testing.assert_allclose(means.numbers["emax_percent"], [np.nan, 8.0])  # of one level there is no mean
        self.assertTrue(any("1 rows of L5" in note for note in means.notes))

    def test_a_table_of_subjects_stays(self) -> None:
        cohort = self.read("subject,ktrans\nA,1\n")
        self.assertIs(subject_means(cohort), cohort)


class TestSyntheticCohort(unittest.TestCase):
    """The shipped synthetic cohort, whose counts are those of the source paper (facts, R2, R4, R12)."""

    def test_counts(self) -> None:
        path = reference_data("synthetic_cohort_huang2019.csv")
        for settings in (PAPER, CohortSettings()):
            cohort = read_table(path, settings)
            labels = {column: texts.tolist() for column, texts in cohort.labels.items()}
            self.assertEqual((cohort.rows_read, cohort.subjects.size, cohort.left_out), (197, 197, ()))
            self.assertEqual(Counter(labels["age_group"]), {"40~": 5, "50~": 66, "60~": 72, "70~": 44, "80~": 10})
            for column in ("bmd_class", "lumbar_class"):
                self.assertEqual([Counter(labels[column])[name] for name in CLASSES], [48, 57, 92])
            for column, name, counts in (
                ("lumbar_class", "low bone mass", (2, 22, 26, 6, 1)),
                ("lumbar_class", "osteoporosis", (0, 18, 32, 33, 9)),
                ("femoral_neck_class", "low bone mass", (1, 20, 30, 14, 2)),
                ("femoral_neck_class", "osteoporosis", (0, 14, 26, 25, 8)),
            ):
                by_age = Counter(
                    group for group, of in zip(labels["age_group"], labels[column], strict=True) if of == name
                )
                self.assertEqual(tuple(by_age[group] for group in ("40~", "50~", "60~", "70~", "80~")), counts)
            self.assertEqual(cohort.notes, ())

    def test_the_order_of_rows_and_columns_does_not_matter(self) -> None:
        with reference_data("synthetic_cohort_huang2019.csv").open(encoding="utf-8", newline="") as file:
            heading, *rows = csv.reader(file)
        first = cohort_from_columns("t", heading, list(zip(*rows, strict=True)), PAPER)
        place = {name: n for n, name in enumerate(first.subjects.tolist())}
        for seed in range(20):
            generator = random.Random(seed)
            order = generator.sample(range(len(heading)), len(heading))
            shuffled = generator.sample(rows, len(rows))
            columns = list(zip(*shuffled, strict=True))
            other = cohort_from_columns("t", [heading[n] for n in order], [columns[n] for n in order], PAPER)
            back = [place[name] for name in other.subjects.tolist()]
            self.assertEqual(sorted(back), list(range(len(rows))))
            for column, values in other.numbers.items():
                np.testing.assert_array_equal(values, first.numbers[column][back])
            for column, texts in other.labels.items():
                np.testing.assert_array_equal(texts, first.labels[column][back])


class TestCommand(Tables):
    def run_cohort(self, text: str, *more: str) -> tuple[int, str, str]:
        path = self.folder / "cohort.csv"
        path.write_text(text, encoding="utf-8")
        out, err = io.StringIO(), io.StringIO()
        arguments = ["cohort", str(path), "--output", str(self.folder / "out"), "--no-figures", "--resamples", "0"]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main([*arguments, *more])
        return status, out.getvalue(), err.getvalue()

    def test_counts_and_ignored_columns_are_told(self) -> None:
        """Four subjects, one of them with L1 alone and one row of T12: 8 rows, 7 analyzed; 3 subjects compared."""
        rows = [f"s{n},L{level},0.{3 + n}{level},x" for n in range(3) for level in (1, 2)]
        text = "\n".join(["id,level,ktrans,remark", *rows, "s3,L1,0.5,x", "s3,T12,0.9,x", ""])
        status, out, _ = self.run_cohort(text)
        self.assertEqual(status, 0)
        self.assertIn("8 rows read, 7 analyzed, 1 left out", out)
        self.assertIn("3 subjects compared, 1 left out", out)
        self.assertIn("Ignored columns: remark.", out)
        listed = (self.folder / "out" / "left_out.csv").read_text(encoding="utf-8").splitlines()[1:]
        self.assertEqual([line.split(",")[:2] for line in listed], [["s3 T12", "left out"], ["s3", "subject left out"]])

    def test_reading(self) -> None:
        visits = list(enumerate(("pre", "post")))
        text = "id,visit,ktrans\n" + "".join(f"s{n},{v},0.{n}{k}\n" for n in range(4) for k, v in visits)
        status, _, err = self.run_cohort(text)
        self.assertNotEqual(status, 0)
        self.assertIn("the readings are post, pre", err)
        self.assertFalse((self.folder / "out").exists())
        status, _, err = self.run_cohort(text, "--reading", "pre")
        self.assertEqual(status, 0)
        self.assertIn("use the reading 'pre', as it was asked for", err)


class TestScale(Tables):
    def test_many_vertebrae(self) -> None:
        """More rows than a block holds; the time is printed, not judged."""
        generator = np.random.default_rng(0)
        subjects, levels = 8_000, ("L1", "L2", "L3", "L4", "L5")
        ktrans = generator.uniform(0.1, 1.0, (subjects, len(levels)))
        rows = itertools.product(range(subjects), enumerate(levels))
        text = "".join(f"S{s},{level},{float(ktrans[s, n])!r},60\n" for s, (n, level) in rows)
        begin = time.perf_counter()
        means = subject_means(self.read(f"subject,level,ktrans,age\n{text}"))
        print(f"{ktrans.size} rows read in {time.perf_counter() - begin:.2f} s")
        np.testing.assert_allclose(means.numbers["ktrans_per_min"], ktrans[:, :4].mean(axis=1), rtol=1e-13)


if __name__ == "__main__":
    unittest.main()
