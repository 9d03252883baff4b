"""Tables as CSV: no cell is a formula for a spreadsheet, and every text comes back as it was."""

import csv
import io
import tempfile
import unittest
from pathlib import Path

from DCEPerfusionBMDLib.densitometry import read_dxa_table
from DCEPerfusionBMDLib.tables import Column, Table, inert_cell, plain_cell, visible
from hypothesis import given
from hypothesis import strategies as st

SUBJECTS = ("-01", "=cmd|' /C calc'!A0", "@x", "+1 b", "-1.5", "'-1.5", "''=x", "'quoted'", "S,1", "-", "\u2212 2")


class Formulas(unittest.TestCase):
    """OWASP, CSV injection: a cell that begins with = + - @, tab or carriage return may be run."""

    def test_texts_that_could_be_run_get_an_apostrophe_and_numbers_do_not(self):
        for text in ("=1+1", "+1 b", "-a", "@SUM(A1)", "\t=1", "\r=1", "--1", "-1.5.2", "=", "+cmd|' /C calc'!A0"):
            self.assertEqual(inert_cell(text), f"'{text}", text)
        for text in ("-1.5", "+2", "-1e-12", "-.5", "5", "", "-", "1=1", "a@b.c", "\u22121.5", "O'Neil", "40~"):
            self.assertEqual(inert_cell(text), text)

    @given(st.text(alphabet="'=+-@\t\r\n1.e x", max_size=8))
    def test_every_text_comes_back(self, text):
        cell = inert_cell(text)
        self.assertEqual(plain_cell(cell), text)
        self.assertFalse(cell[:1] in "=@\t\r\n" and cell[:1])

    def test_a_table_keeps_its_numbers_and_protects_headings(self):
        table = Table(
            "t",
            "T",
            (
                Column("=name", ["=x", "-1.5"], "N"),
                Column("v", [-1.5, float("nan")], "V"),
                Column("n", [-1, 2], "N"),
            ),
        )
        self.assertEqual(table.to_csv(), "'=name,v,n\n'=x,-1.5,-1\n-1.5,nan,2\n")

    def test_subjects_make_the_round_trip_through_a_dxa_table(self):
        table = Table(
            "dxa",
            "DXA",
            (
                Column("subject", SUBJECTS, "Subject"),
                Column("site", ["L1-L4"] * len(SUBJECTS), "Site"),
                Column("t_score", [-0.25 * n for n in range(len(SUBJECTS))], "T"),
            ),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "dxa.csv"
            path.write_text(table.to_csv(), encoding="utf-8", newline="")
            for number, subject in enumerate(SUBJECTS):
                found = read_dxa_table(path, subject)
                self.assertEqual(found.subject, subject)
                self.assertEqual(found.measurements[0].t_score, -0.25 * number)
        cells = [row[0] for row in csv.reader(io.StringIO(table.to_csv()))][1:]
        self.assertEqual([cell[0] for cell in cells if cell[0] in "=+@"], [])


class Visible(unittest.TestCase):
    def test_what_cannot_be_seen_goes_and_the_rest_stays(self):
        self.assertEqual(visible("a\x00b\u202ec\u2066d\n e\x1b[0m"), "abcd e[0m")
        self.assertEqual(visible("\u5f20\u4e09 \u05d3\u05d5\u05d3 <b>"), "\u5f20\u4e09 \u05d3\u05d5\u05d3 <b>")
        self.assertEqual(visible("a\udc80b"), "a?b")


if __name__ == "__main__":
    unittest.main()
