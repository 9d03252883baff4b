"""T-score categories and the DXA table."""

import math
import tempfile
import unittest
from pathlib import Path

from DCEPerfusionBMDLib.densitometry import category_sentence, read_dxa_table, t_score_category
from DCEPerfusionBMDLib.errors import InputError


class Category(unittest.TestCase):
    def test_edges(self):
        for score, expected in (
            (0.356, "normal"),
            (-1.0, "normal"),
            (-1.0 - 1e-5, "low bone mass"),
            (-1.04, "low bone mass"),
            (-2.4999, "low bone mass"),
            (-2.5, "osteoporosis"),
            ((0.88 - 1.18) / 0.12, "osteoporosis"),  # -2.4999999999999996 in floating point
            (-2.989, "osteoporosis"),
            (math.nan, "not classified"),
        ):
            self.assertEqual(t_score_category(score).value, expected, score)

    def test_sentence_names_score_rule_and_category(self):
        self.assertEqual(
            category_sentence(-2.5), "T-score -2.5 is at or below -2.5: T-score category osteoporosis (WHO 1994)."
        )
        for score in (0.0, -2.0, -3.0, math.nan):
            self.assertNotIn("diagnos", category_sentence(score).lower())


class DxaTable(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def read(self, text, subject=None, encoding="utf-8"):
        path = Path(self.folder.name) / "dxa.csv"
        path.write_bytes(text.encode(encoding))
        return read_dxa_table(path, subject)

    def test_one_subject(self):
        found = self.read("subject,site,bmd_g_cm2,t_score\nA,L1-L4,0.778,-1.625\nA,femoral neck,0.61,\n")
        self.assertEqual(found.subject, "A")
        self.assertEqual([m.site for m in found.measurements], ["L1-L4", "femoral neck"])
        self.assertEqual(found.measurements[0].bmd_g_cm2, 0.778)
        self.assertTrue(math.isnan(found.measurements[1].t_score))
        self.assertEqual(found.table()["t_score_category"], ["low bone mass", "not classified"])

    def test_what_spreadsheets_write(self):
        text = "\ufeffID;Site;BMD;T-score\n1;L1-L4;0,778;\u22121,625\n"
        found = self.read(text)
        self.assertEqual((found.subject, found.measurements[0].bmd_g_cm2), ("1", 0.778))
        self.assertEqual(found.measurements[0].t_score, -1.625)

    def test_line_breaks_and_quotes_in_cells_become_plain(self):
        found = self.read('subject,site,bmd_g_cm2,t_score\nA,"L1\n""to"" L4",0.778,-1.6\n')
        self.assertEqual(found.measurements[0].site, "L1 'to' L4")

    def test_choice_of_subject(self):
        text = "subject,site,bmd_g_cm2,t_score\nA,L1-L4,0.7,-2\nB,L1-L4,0.6,-3\n"
        self.assertEqual(self.read(text, "B").measurements[0].t_score, -3.0)
        with self.assertRaisesRegex(InputError, r"holds 2 subjects \(A, B\); choose one with --subject"):
            self.read(text)
        with self.assertRaisesRegex(InputError, "no subject 'C'"):
            self.read(text, "C")

    def test_refusals(self):
        heading = "subject,site,bmd_g_cm2,t_score\n"
        for text, words in (
            (heading + "A,L1-L4,0.7,abc\n", "row 2 .subject A, L1-L4.: t_score 'abc' is not a number"),
            (heading + "A,L1-L4,0.7,inf\n", "t_score 'inf' is not a number"),
            (heading + "A,L1-L4,778,-1\n", "BMD 778 cannot be in g/cm2"),
            (heading + "A,L1-L4,0.7,-1,9\n", "row 2 has 5 cells, the heading has 4"),
            (heading + ",L1-L4,0.7,-1\n", "row 2 has no subject"),
            (heading + "A,L1,0.7,-1\nA,L1,0.8,-1\n", "site 'L1' 2 times"),
            (heading + "A,L1,0.7,-1_625\n", "t_score '-1_625' is not a number"),
            (heading + "A,L1,0.7,-1625\n", "a T-score of -1625 is not possible"),
            (heading + "A,L1,0.7,-1\nB,L1,0.7,x\n", "row 3 .subject B, L1.: t_score 'x'"),
            (heading + "A," + "x" * 200000 + ",0.7,-1\n", "cannot read the DXA table dxa.csv: field larger"),
            (heading, "no measurement"),
            ("subject,site,t_score\nA,L1,-1\n", "no column 'bmd_g_cm2'"),
            ("", "no column"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                self.read(text)
        with self.assertRaisesRegex(InputError, "cannot read the DXA table"):
            self.read(heading + "Ä,L1,0.7,-1\n", encoding="latin-1")
        with self.assertRaisesRegex(InputError, "cannot read the DXA table"):
            read_dxa_table(Path(self.folder.name) / "absent.csv")


if __name__ == "__main__":
    unittest.main()
