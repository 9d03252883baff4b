"""Categories at their edges, names of sites, reference sets, and the tables and values that measurements come from."""

import json
import math
import re
import tempfile
import unittest
from pathlib import Path

from DCEPerfusionBMDLib.densitometry import (
    Category,
    classify_qct,
    classify_t_score,
    classify_z_score,
    cross_calibrated_bmd,
    measurements_from_rows,
    measurements_from_values,
    qct_category,
    read_dxa_subjects,
    read_dxa_table,
    read_references,
    reported_score,
    shipped_references,
    site_name,
    standardized_bmd,
    t_score_category,
    z_score_category,
)
from DCEPerfusionBMDLib.errors import InputError
from support import against, measured

HEADING = "subject,site,bmd_g_cm2,t_score\n"


class Categories(unittest.TestCase):
    """WHO 1994: normal T >= -1.0, low -2.5 < T < -1.0, osteoporosis T <= -2.5; ISCD: Z <= -2.0 is below the expected;
    ACR: above 120 normal, 80 to 120 low, below 80 mg/cm3 osteoporosis."""

    @against(
        "Densitometry",
        "categories of T-scores at and around -1.0 and -2.5, exact, reported, with a fracture",
        "who",
        "t_score_category",
    )
    def test_t_scores(self):
        normal, low, osteoporosis = "normal", "low bone mass", "osteoporosis"
        severe = "severe osteoporosis"
        cases = (
            # score, exact, reported with one decimal, exact with a fragility fracture
            (0.356, normal, normal, normal),
            (0.0, normal, normal, normal),
            (-0.94, normal, normal, normal),
            (-0.999999, normal, normal, normal),
            (-1.0, normal, normal, normal),
            (-1.0000001, normal, normal, normal),  # below the settled 1e-6
            (-1.00001, low, normal, low),
            (-1.04, low, normal, low),
            (-1.0499, low, normal, low),
            (-1.05, low, low, low),
            (-1.06, low, low, low),
            (-1.1, low, low, low),
            (-1.625, low, low, low),
            (-2.44, low, low, low),
            (-2.4499, low, low, low),
            (-2.45, low, osteoporosis, low),
            (-2.46, low, osteoporosis, low),
            (-2.4999, low, osteoporosis, low),
            (-2.5, osteoporosis, osteoporosis, severe),
            ((0.88 - 1.18) / 0.12, osteoporosis, osteoporosis, severe),  # -2.4999999999999996 in floating point
            ((1.06 - 1.18) / 0.12, normal, normal, normal),  # -1 in exact arithmetic
            ((0.943 - 1.18) / 0.12, low, low, low),  # -1.975
            (-2.54, osteoporosis, osteoporosis, severe),
            (-2.989, osteoporosis, osteoporosis, severe),
            (-5.0, osteoporosis, osteoporosis, severe),
            (math.nan, "not classified", "not classified", "not classified"),
        )
        for score, exact, reported, fracture in cases:
            with self.subTest(score=score):
                found = [t_score_category(score, *how) for how in ((), ("reported",))]
                found.append(t_score_category(score, fracture=True))
                wrong = [each.value for each in found] != [exact, reported, fracture]
                measured(self, "scores in a wrong category", wrong, 0)

    def test_half_is_rounded_away_from_zero(self):
        for score, expected in (
            (-2.25, -2.3),
            (-2.35, -2.4),
            (-2.45, -2.5),
            (-1.05, -1.1),
            (0.25, 0.3),
            (0.05, 0.1),
            (-2.2499, -2.2),
            (-2.0, -2.0),
            (-1.0499999999, -1.1),  # settles to -1.05
            (1.15, 1.2),
        ):
            self.assertEqual(reported_score(score), expected, score)

    @against("Densitometry", "Z-scores at and around -2.0", "iscd", "z_score_category")
    def test_z_scores(self):
        within, below = "within the expected range for age", "below the expected range for age"
        for score, exact, reported in (
            (0.0, within, within),
            (-1.94, within, within),
            (-1.95, within, below),
            (-1.9999, within, below),
            (-2.0, below, below),
            ((0.7 - 1.0) / 0.15, below, below),  # -2.0000000000000004 or so
            ((0.94 - 1.18) / 0.12, below, below),  # -1.9999999999999996 or so
            (-2.04, below, below),
            (-3.0, below, below),
            (math.nan, "not classified", "not classified"),
        ):
            with self.subTest(score=score):
                found = [z_score_category(score).value, z_score_category(score, "reported").value]
                measured(self, "scores in a wrong category", found != [exact, reported], 0)

    @against("Densitometry", "QCT densities at and around 80 and 120 mg/cm3", "acr", "qct_category")
    def test_qct(self):
        for density, plain, fracture in (
            (150.0, "normal", "normal"),
            (120.1, "normal", "normal"),
            (120.0, "low bone mass", "low bone mass"),
            (119.99999999, "low bone mass", "low bone mass"),
            (100.0, "low bone mass", "low bone mass"),
            (80.0, "low bone mass", "low bone mass"),
            (79.99999999, "low bone mass", "low bone mass"),  # settles to 80
            (79.9, "osteoporosis", "severe osteoporosis"),
            (30.0, "osteoporosis", "severe osteoporosis"),
            (math.nan, "not classified", "not classified"),
        ):
            with self.subTest(density=density):
                found = [qct_category(density).value, qct_category(density, fracture=True).value]
                measured(self, "densities in a wrong category", found != [plain, fracture], 0)

    def test_each_sentence_names_value_site_rule_and_category(self):
        for found, sentence in (
            (
                classify_t_score(-2.5, "L1-L4"),
                "T-score -2.5 of L1-L4 is at or below -2.5: T-score category osteoporosis (WHO 1994).",
            ),
            (
                classify_t_score(-2.45, "L1-L4", "reported", True),
                "T-score -2.5 of L1-L4 is at or below -2.5, with a fragility fracture: T-score category severe "
                "osteoporosis (WHO 1994).",
            ),
            (
                classify_t_score(-1.00001, "L1-L4"),
                "T-score -1.00001 of L1-L4 lies between -2.5 and -1.0: T-score category low bone mass (WHO 1994).",
            ),
            (
                classify_t_score(0.356, "total hip"),
                "T-score 0.356 of total hip is at or above -1.0: T-score category normal (WHO 1994).",
            ),
            (classify_t_score(math.nan, "L1-L4"), "There is no T-score of L1-L4, so it is not classified."),
            (
                classify_z_score(-2.0, "L1-L4"),
                "Z-score -2 of L1-L4 is at or below -2.0: below the expected range for age (ISCD).",
            ),
            (
                classify_z_score(-1.5, "L1-L4"),
                "Z-score -1.5 of L1-L4 is above -2.0: within the expected range for age (ISCD).",
            ),
            (classify_z_score(math.nan, "L1-L4"), "There is no Z-score of L1-L4, so it is not classified."),
            (
                classify_qct(95.0, "L1-L2"),
                "QCT density 95 mg/cm3 of L1-L2 lies between 80 and 120: QCT category low bone mass (ACR).",
            ),
            (
                classify_qct(79.0, "L1-L2", True),
                "QCT density 79 mg/cm3 of L1-L2 is below 80, with a fragility fracture: QCT category severe "
                "osteoporosis (ACR).",
            ),
            (classify_qct(math.nan, "L1-L2"), "There is no QCT density of L1-L2, so it is not classified."),
        ):
            self.assertEqual(found.sentence, sentence)
            self.assertNotIn("diagnos", found.sentence.lower())
        self.assertEqual(classify_t_score(math.nan, "x").category, Category.NOT_CLASSIFIED)


class Sites(unittest.TestCase):
    def test_spellings(self):
        for text, expected in (
            ("L1", "L1"),
            ("l 2", "L2"),
            ("L1-L4", "L1-L4"),
            ("L1 - L4", "L1-L4"),
            ("L1\u2013L4", "L1-L4"),
            ("L1-4", "L1-L4"),
            ("L1 to L4", "L1-L4"),
            ("AP Spine L1-L4", "L1-L4"),
            ("Lumbar spine (L1-L4)", "L1-L4"),
            ("L2-L4", "L2-L4"),
            ("L1-L2", "L1-L2"),
            ("L1,L2", "L1-L2"),
            ("L1+L3+L4", "L1+L3+L4"),
            ("L1, L3-L4", "L1+L3+L4"),
            ("L2/L4", "L2+L4"),
            ("L4+L1", "L1+L4"),
            ("L1 and L3", "L1+L3"),
            ("Total hip", "total hip"),
            ("Left Hip Total", "total hip left"),
            ("total hip (R)", "total hip right"),
            ("Femur total", "total hip"),
            ("Femoral neck", "femoral neck"),
            ("Neck", "femoral neck"),
            ("FN", "femoral neck"),
            ("Femur neck left", "femoral neck left"),
            ("33 % radius", "33 % radius"),
            ("33% radius", "33 % radius"),
            ("1/3 Radius", "33 % radius"),
            ("Left radius 33%", "33 % radius left"),
        ):
            self.assertEqual(site_name(text), expected, text)

    def test_unknown(self):
        for text, words in (
            ("L5", "site 'L5' is not known; known are L1 to L4, combinations such as L1-L4 or L1.L3, total hip and"),
            ("T12", "not known"),
            ("L4-L1", "not known"),
            ("L4-L1+L2", "not known"),
            ("L1-L5", "not known"),
            ("lumbar spine", "not known; say which vertebrae"),
            ("femur", "not known"),
            ("hip", "not known"),  # neck or total
            ("left right neck", "not known"),
            ("L1 'to' L4", "not known"),
            ("", "not known"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(InputError, words):
                site_name(text)


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name, text, encoding="utf-8"):
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    def read(self, text, subject=None, encoding="utf-8"):
        return read_dxa_table(self.file("dxa.csv", text, encoding), subject)


class DxaTable(Folder):
    def test_one_subject(self):
        found = self.read(HEADING + "A,L1-L4,0.778,-1.625\nA,femoral neck,0.61,\n")
        self.assertEqual(found.subject, "A")
        self.assertEqual([m.site for m in found.measurements], ["L1-L4", "femoral neck"])
        self.assertEqual(found.measurements[0].bmd_g_cm2, 0.778)
        self.assertTrue(math.isnan(found.measurements[1].t_score))

    def test_all_columns(self):
        text = (
            "Subject ID\tRegion\tBMC (g)\tArea (cm\u00b2)\tBMD (g/cm\u00b2)\tT-score\tZ-score\tQCT (mg/cm\u00b3)\t"
            "Assessable\tDevice\nA\tL1\t12.11\t13.47\t0.899\t-1.2\t0.3\t98.5\tno\thologic\nA\tL2\t\t\t\t\t\t\t\t\n"
        )
        first, second = self.read(text).measurements
        self.assertEqual((first.bmc_g, first.area_cm2, first.bmd_g_cm2), (12.11, 13.47, 0.899))
        self.assertEqual((first.t_score, first.z_score, first.qct_mg_cm3), (-1.2, 0.3, 98.5))
        self.assertEqual((first.assessable, first.device), (False, "Hologic"))
        for name in ("bmc_g", "area_cm2", "bmd_g_cm2", "t_score", "z_score", "qct_mg_cm3"):
            self.assertTrue(math.isnan(getattr(second, name)), name)
        self.assertEqual((second.assessable, second.device), (True, ""))

    def test_what_spreadsheets_write(self):
        found = self.read("\ufeffID;Site;BMD;T-score\n1;L1-L4;0,778;\u22121,625\n")
        self.assertEqual((found.subject, found.measurements[0].bmd_g_cm2), ("1", 0.778))
        self.assertEqual(found.measurements[0].t_score, -1.625)
        quoted = self.read(HEADING + 'A,L1-L4,"0,778","-1,6"\n').measurements[0]
        self.assertEqual((quoted.bmd_g_cm2, quoted.t_score), (0.778, -1.6))

    def test_density_from_content_and_area(self):
        measured = self.read("subject,site,bmc_g,area_cm2\nA,L1,12.0,15.0\n").measurements[0]
        self.assertAlmostEqual(measured.bmd_g_cm2, 0.8, places=12)

    def test_content_and_area_may_differ_by_rounding(self):
        """12.11 / 13.47 = 0.89903; spreadsheets write 0.90 as 0.9. Rounding is 0.01 g/cm2 at most."""
        heading = "subject,site,bmc_g,area_cm2,bmd_g_cm2\n"
        for bmd in ("0.899", "0.8990", "0.9", "0.900"):
            self.read(heading + f"A,L1,12.11,13.47,{bmd}\n")
        self.read(heading + "A,L1,12.14,13.47,0.9\n")  # 0.90126, within the one digit of 0.9
        for bmd in ("0.902", "0.8", "0.911"):
            words = f"row 2 .subject A, L1.: BMC over area is 0.8990 g/cm2, but the BMD is {bmd}; they differ by more"
            with self.subTest(bmd=bmd), self.assertRaisesRegex(InputError, words):
                self.read(heading + f"A,L1,12.11,13.47,{bmd}\n")

        self.read(heading + "A,L1,31.4,60,0.53\n")  # 0.5233
        for cells, bmd in (("31.5,60,1", "1"), ("51,60,0.9", "0.9"), ("31,60,0.53", "0.53")):
            with (
                self.subTest(cells=cells),
                self.assertRaisesRegex(InputError, f"the BMD is {bmd}; they differ by more"),
            ):
                self.read(heading + f"A,L1-L4,{cells}\n")

    def test_spellings_of_scores(self):
        """Headings of reports in German and of GE Lunar."""
        for heading in (
            "ID;Region;BMD (g/cm\u00b2);T-Wert;Z-Wert",
            "ID;Region;BMD (g/cm^2);Young-Adult T-Score;Age-Matched Z-Score",
            "ID;Region;bmd;TScore;ZScore",
        ):
            with self.subTest(heading=heading):
                found = self.read(f"{heading}\na;L1-L4;0,981;-2,6;-1\n")
                measured = found.measurements[0]
                self.assertEqual((measured.bmd_g_cm2, measured.t_score, measured.z_score), (0.981, -2.6, -1.0))
                self.assertEqual(found.warnings, ())

    def test_columns_that_are_not_read(self):
        """Each is named; one that looks like a score or a density is refused; percentages are neither."""
        found = self.read("subject,site,T,Comment,Young-Adult (%),T (%),Operator,\nA,L1-L4,-1,x,70,10,,\n")
        self.assertEqual(found.measurements[0].t_score, -1.0)
        self.assertEqual(
            found.warnings, ("the DXA table has columns that are not read: Comment, Young-Adult (%), T (%)",)
        )
        found = self.read("subject,sex,age,menopause,site,T,\nA,male,45,,L1-L4,-3,7\n")
        self.assertIn(
            "not read: sex, age, number 7; sex, age and menopausal status are those of --s", found.warnings[0]
        )
        for heading in (
            "T-Score USA",
            "Z score (ref)",
            "T-scores",
            "old BMD",
            "Knochendichte",
            "BMC total",
            "z value 2",
        ):
            words = f"dxa.csv: the column '{re.escape(heading)}' looks like a score or a density, but is not read"
            with self.subTest(heading=heading), self.assertRaisesRegex(InputError, words):
                self.read(f"subject,site,bmd,{heading}\nA,L1-L4,0.9,-2.6\n")
        with self.assertRaisesRegex(InputError, "no column 'bmd_g_cm2'"):
            self.read("subject,site,T (%)\nA,L1-L4,10\n")

    def test_one_date_per_subject(self):
        heading = "subject,site,Scan Date,Date of birth,t_score\n"
        rows = "A,L1-L4,2015-03-01 09:30,1950-01-01,-1\nB,neck,2024-03-01,1950-01-01,-2\n"
        found = self.read(heading + rows + "A,neck,2015-03-01T09:41:07,,-2\n", "A")
        self.assertEqual(len(found.measurements), 2)
        self.assertEqual(found.warnings, ("the DXA table has columns that are not read: Date of birth",))
        words = "subject 'A' was measured on 2015-03-01, 2024-03-01; keep the rows of one date"
        with self.assertRaisesRegex(InputError, words):
            self.read(heading + rows + "A,neck,2024-03-01,,-2\n", "A")

    def test_a_bmd_far_above_the_usual(self):
        for text in ("bmd\nA,L1-L4,2.6", "bmc,area\nA,L1-L4,26,10"):
            found = self.read(f"subject,site,{text}\n")
            self.assertEqual(
                found.warnings, ("L1-L4: a BMD of 2.6 g/cm2 is far above the usual; check it and its unit",)
            )
        self.assertEqual(self.read("subject,site,bmd\nA,L1-L4,2.5\n").warnings, ())
        self.assertEqual(len(measurements_from_values({"bmd_g_cm2": "L1-L4=2.6"}).warnings), 1)

    def test_choice_of_subject(self):
        text = HEADING + "A,L1-L4,0.7,-2\nB,L1-L4,0.6,-3\n"
        self.assertEqual(self.read(text, "B").measurements[0].t_score, -3.0)
        with self.assertRaisesRegex(InputError, "holds 2 subjects; choose one with --subject"):
            self.read(text)
        with self.assertRaisesRegex(InputError, "no subject 'C'"):
            self.read(text, "C")

    def test_refusals(self):
        cases = (
            (HEADING + "A,L1-L4,0.7,abc\n", "row 2 .subject A, L1-L4.: t_score 'abc' is not a number"),
            (HEADING + "A,L1-L4,0.7,inf\n", "t_score 'inf' is not a number"),
            (HEADING + "A,L1-L4,778,-1\n", "BMD 778 cannot be in g/cm2; values above 5 are mg/cm2 or a QCT density"),
            (HEADING + "A,L1-L4,5,-1\n", "BMD 5 cannot be in g/cm2"),
            (HEADING + "A,L1-L4,-1.6,0.778\n", "a BMD of -1.6 is not possible; it may be a T-score in the wrong"),
            (HEADING + "A,L1-L4,0,-1\n", "a BMD of 0 is not possible"),
            (HEADING + "A,L1-L4,0.7,-1,9\n", "row 2 has 5 cells, the heading has 4"),
            (HEADING + ",L1-L4,0.7,-1\n", "row 2 has no subject"),
            (HEADING + "A,,0.7,-1\n", "row 2 has no site"),
            (HEADING + "A,L1,0.7,-1\nA,L1,0.8,-1\n", "subject 'A' has site 'L1' 2 times; keep one row"),
            (HEADING + "A,L1-L4,0.7,-1\nA,L1 to L4,0.8,-1\n", "subject 'A' has site 'L1-L4' 2 times"),
            (HEADING + "A,L1,0.7,-1_625\n", "t_score '-1_625' is not a number"),
            (HEADING + "A,L1,0.7,25\n", "row 2 .subject A, L1.: a T-score of 25 is not possible; a decimal point may"),
            (HEADING + "A,L1,0.7,-11\n", "a T-score of -11 is not possible; a decimal point may be missing"),
            (HEADING + "A,L1,0.7,10\n", "a T-score of 10 is not possible"),
            ("subject,site,z\nA,L1,-10\n", "a Z-score of -10 is not possible"),
            (HEADING + "A,L1,0.12,\n", "BMD 0.12 cannot be in g/cm2, it is below 0.2; a QCT density in g/cm3 belongs"),
            (
                "subject;site;bmc;area\nA;L1;1,050;56\n",
                "BMC over area is 0.0187, which cannot be in g/cm2; give g and cm2",
            ),
            ("subject,site,bmc,area\nA,L1,14,140\n", "BMC over area is 0.1, which cannot be in g/cm2; give g and cm2"),
            (HEADING + "A,L1,0.7,-25\n", "a T-score of -25 is not possible"),
            (HEADING + "A,L1,0.7,-1625\n", "a T-score of -1625 is not possible"),
            (HEADING + "A,wrist,0.7,-1\n", "row 2 .subject A, wrist.: the site 'wrist' is not known; known are L1 to"),
            (HEADING + "A,L1,0.7,-1\nB,L1,0.7,x\n", "row 3 .subject B, L1.: t_score 'x'"),
            (HEADING + "A," + "x" * 200000 + ",0.7,-1\n", "cannot read the DXA table dxa.csv: field larger"),
            (HEADING, "no measurement"),
            ("subject,site,comment\nA,L1,-1\n", "no column 'bmd_g_cm2'"),
            ("subject,bmd\nA,1\n", "no column 'site'"),
            ("", "no column 'subject'"),
            ("subject,site,bmd,bmd_g_cm2\nA,L1,1,1\n", "column 'bmd_g_cm2' twice: bmd, bmd_g_cm2; keep one"),
            ("subject,site,BMD (mg/cm2),T\nA,L1,900,-1\n", "column 'BMD .mg/cm2.' has a unit that is not read; BMD is"),
            ("subject,site,area (mm2),T\nA,L1,900,-1\n", "column 'area .mm2.' has a unit that is not read"),
            ("subject,site,z\nA,L1,13\n", "a Z-score of 13 is not possible"),
            ("subject,site,qct\nA,L1,0.9\n", "QCT 0.9 cannot be in mg/cm3; values below 5 are g/cm3 or a DXA BMD"),
            ("subject,site,qct\nA,L1,1200\n", "qct_mg_cm3 1200 is not possible; it must be above 0 and at most 800"),
            ("subject,site,bmc,area\nA,L1,12,0\n", "area_cm2 0 is not possible"),
            ("subject,site,bmc,area\nA,L1,12,1.5\n", "BMC over area is 8, which cannot be in g/cm2"),
            ("subject,site,bmd,assessable\nA,L1,1,maybe\n", "assessable 'maybe' is neither yes nor no"),
            ("subject,site,bmd,device\nA,L1,1,Toaster\n", "device 'Toaster' is not known; known are GE Lunar, Hologic"),
        )
        for text, words in cases:
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words) as refused:
                self.read(text)
            self.assertNotIn("\n", str(refused.exception))
        with self.assertRaisesRegex(InputError, "cannot read the DXA table"):
            self.read(HEADING + "Ä,L1,0.7,-1\n", encoding="latin-1")
        with self.assertRaisesRegex(InputError, "cannot read the DXA table"):
            read_dxa_table(self.folder / "absent.csv")

    def test_encodings_and_cells_of_spreadsheets(self):
        """UTF-16 as spreadsheets save it, an apostrophe before what looks like a formula, a point for nothing."""
        found = self.read("subject\tsite\tbmd\tt\n'-01\tL1-L4\t0.9\t.\n", encoding="utf-16")
        self.assertEqual((found.subject, found.measurements[0].bmd_g_cm2), ("-01", 0.9))
        self.assertTrue(math.isnan(found.measurements[0].t_score))

    def test_all_subjects_at_once(self):
        text = HEADING + "A,L1-L4,0.7,-1\nB,L1-L4,0.9,\nA,neck,0.6,-2\n"
        together, warnings = read_dxa_subjects(self.file("dxa.csv", text))
        self.assertEqual(list(together), ["A", "B"])
        self.assertEqual(warnings, ())
        for subject, found in together.items():
            alone = self.read(text, subject)
            self.assertEqual(repr(found), repr(alone))  # NaN is not equal to itself

    def test_rows_from_elsewhere(self):
        found = measurements_from_rows(["subject", "site", "bmd"], [["A", "neck", "0.7"]], "table DXA")
        self.assertEqual((found.subject, found.measurements[0].site), ("A", "femoral neck"))
        with self.assertRaisesRegex(InputError, r"^table DXA row 3 \(subject A, L1\): bmd_g_cm2 'x' is not a number$"):
            measurements_from_rows(["subject", "site", "bmd"], [["A", "neck", "0.7"], ["A", "L1", "x"]], "table DXA")

    def test_single_values(self):
        found = measurements_from_values({"bmd_g_cm2": "L1-L4=0.778, neck=0.61", "t_score": "L1-L4=\u22121.6"}, "A")
        self.assertEqual([m.site for m in found.measurements], ["L1-L4", "femoral neck"])
        self.assertEqual((found.measurements[0].bmd_g_cm2, found.measurements[0].t_score), (0.778, -1.6))
        self.assertTrue(math.isnan(found.measurements[1].t_score))
        for text, words in (
            ("0.778", "'0.778' of bmd_g_cm2 is not SITE=VALUE"),
            ("L1-L4=", "is not SITE=VALUE"),
            ("wrist=1", "the site 'wrist' is not known"),
            ("L1-L4=778", "the value of L1-L4: BMD 778 cannot be in g/cm2"),
            ("L1=1,L1=1", "bmd_g_cm2 of the site 'L1' is given twice"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(InputError, words):
                measurements_from_values({"bmd_g_cm2": text})


class References(Folder):
    ROW = {  # noqa: RUF012
        "name": "Ours",
        "device": "Hologic",
        "site": "L1-L4",
        "sex": "female",
        "mean": 1.0,
        "sd": 0.1,
        "unit": "g/cm2",
        "citation": "our own women, 2020",
        "verified": True,
    }

    def write(self, *rows):
        return self.file("references.json", json.dumps({"references": rows}))

    def changed(self, **changes):
        return {key: value for key, value in {**self.ROW, **changes}.items() if value is not None}

    def test_shipped(self):
        """The numbers of the project's facts; none was read in its source, so none is verified."""
        rows = {(row.name, row.site): row for row in shipped_references()}
        self.assertEqual(
            {key: (row.mean, row.sd) for key, row in rows.items()},
            {
                ("GE Lunar", "L1-L4"): (1.18, 0.12),
                ("GE Lunar", "L2-L4"): (1.20, 0.12),
                ("GE Lunar", "femoral neck"): (1.038, 0.139),
                ("Hologic", "L1-L4"): (1.047, 0.110),
                ("Hologic", "femoral neck"): (0.858, 0.120),
                ("Hologic", "total hip"): (0.942, 0.122),
                ("Huang 2019 (implied)", "L1-L4"): (0.981, 0.127),
            },
        )
        for row in rows.values():
            self.assertFalse(row.verified)
            self.assertTrue(row.citation)
        self.assertIn("implied by Table 3", rows["Huang 2019 (implied)", "L1-L4"].citation)
        self.assertIn("not a validated reference", rows["Huang 2019 (implied)", "L1-L4"].citation)

    def test_a_file_adds_and_replaces(self):
        found = read_references(self.write(self.ROW, self.changed(name="hologic", mean=1.05)))
        self.assertEqual(len(found), len(shipped_references()) + 1)
        means = {(row.name.lower(), row.site): row.mean for row in found}
        self.assertEqual((means["ours", "L1-L4"], means["hologic", "L1-L4"]), (1.0, 1.05))

    def test_malformed(self):
        for content, words in (
            ("{", "cannot read the reference sets references.json"),
            ("[]", 'must be a JSON object with a list "references"'),
            ('{"references": []}', "of at least one row"),
            ('{"references": [3]}', "row 1 must be a JSON object"),
        ):
            with self.subTest(content=content), self.assertRaisesRegex(InputError, words):
                read_references(self.file("references.json", content))
        for changes, words in (
            ({"mean": None}, "references.json row 1 has no 'mean'"),
            ({"citation": None}, "row 1 has no 'citation'"),
            ({"mean": "1.0"}, "row 1: mean '1.0' is not a number"),
            ({"mean": True}, "row 1: mean True is not a number"),
            ({"mean": math.nan}, "row 1: mean nan is not a number"),
            ({"mean": 10**400}, "is not a number"),
            ({"verified": "yes"}, "row 1: verified 'yes' is not true or false"),
            ({"mean": 1047}, "mean 1047 and sd 0.1 cannot be a BMD in g/cm2"),
            ({"sd": 0}, "mean 1 and sd 0 cannot be a BMD"),
            ({"sd": 1.1}, "mean 1 and sd 1.1 cannot be a BMD"),
            ({"unit": "mg/cm2"}, "the unit 'mg/cm2' is not g/cm2"),
            ({"sex": "F"}, "the sex 'F' is neither female nor male"),
            ({"site": "wrist"}, "row 1: the site 'wrist' is not known"),
            ({"device": "Toaster"}, "the device 'Toaster' is not known"),
            ({"years": 20}, "row 1 has the unknown key 'years'"),
            ({"age_from": 50}, "row 1 has no 'age_to'"),
            ({"age_from": 50, "age_to": 50}, "age_from 50 must be below age_to 50"),
        ):
            with self.subTest(**changes), self.assertRaisesRegex(InputError, words):
                read_references(self.write(self.changed(**changes)))
        with self.assertRaisesRegex(InputError, "two rows of the same name, site, sex and ages"):
            read_references(self.write(self.ROW, self.ROW))

    def test_ages_of_one_site_do_not_overlap(self):
        """age_to is not included, so 40 to 50 and 50 to 60 do not meet; 40 to 55 and 50 to 60 leave 52 open."""
        row = {**self.ROW, "age_from": 40, "age_to": 50}
        others = ({"age_from": 50, "age_to": 60}, {"sex": "male"}, {"site": "total hip"}, {"name": "Theirs"})
        self.assertEqual(len(read_references(self.write(row, *({**row, **other} for other in others)))), 12)
        read_references(self.write(row, self.ROW))
        words = "the ages 40 to 50 and 49 to 60 of Ours, L1-L4, female overlap; age_to is not included"
        with self.assertRaisesRegex(InputError, words):
            read_references(self.write(row, {**row, "age_from": 49, "age_to": 60}))

    @against("Densitometry", "equations of 5 devices and sites, by hand", "genant", "standardized_bmd")
    def test_standardized_bmd(self):
        """sBMD by the published equations, worked by hand."""
        for bmd, site, device, expected in (
            (0.858, "femoral neck", "Hologic", 0.019 + 1.087 * 0.858),
            (1.038, "femoral neck left", "GE Lunar", -0.023 + 0.939 * 1.038),
            (0.9, "total hip", "Norland", 0.026 + 1.012 * 0.9),
            (1.0, "L2-L4", "Hologic", 1.0550 * (1.0 - 0.972) + 1.0436),
            (1.0, "L1-L4", "GE Lunar", 0.9683 * (1.0 - 1.100) + 1.0436),
        ):
            measured(self, "sBMD", standardized_bmd(bmd, site, device) - expected, 1e-12, "g/cm2")
        self.assertIsNone(standardized_bmd(1.0, "L1", "Hologic"))
        self.assertIsNone(standardized_bmd(1.0, "33 % radius", "Hologic"))
        # the neck reference of Lunar is that of Hologic through sBMD
        self.assertAlmostEqual(cross_calibrated_bmd(0.858, "femoral neck", "Hologic", "GE Lunar"), 1.038, places=3)
        # the published direct equation of the spine, Hologic = 0.906 Lunar - 0.025, agrees within 1 %
        through = cross_calibrated_bmd(1.0, "L1-L4", "GE Lunar", "Hologic")
        self.assertAlmostEqual(through, 0.906 * 1.0 - 0.025, delta=0.009)


if __name__ == "__main__":
    unittest.main()
