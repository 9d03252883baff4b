"""The cohort put together from results of studies, bone densitometry and a table of subjects."""

from __future__ import annotations

import json
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import numpy as np
from DCEPerfusionBMDLib.cohort import Cohort, assemble
from DCEPerfusionBMDLib.densitometry import measurements_from_values
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.export import provenance
from DCEPerfusionBMDLib.settings import CohortSettings, Settings
from DCEPerfusionBMDLib.study import analyze
from support import small_phantom

LEVELS = {"L1": 0.9, "L2": 0.7, "L3": 0.5, "L4": 0.3, "L5": 0.1}


def write_results(
    folder: Path,
    subject: str,
    ktrans: dict[str, float] | None = None,
    not_evaluable: tuple[str, ...] = (),
    status: dict[str, str] | None = None,
    times_s: np.ndarray | None = None,
    arrival_s: float | None = 30.0,
    used: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    bone: str = "",
) -> None:
    """A folder as `analyze` writes it, with what the assembly reads; the curve of a level is Ktrans x (t - arrival)."""
    folder.mkdir(parents=True)
    levels = LEVELS if ktrans is None else ktrans
    vertebrae = ["region,subject,level,evaluable,status,ktrans_per_min,kep_per_min,ve"]
    descriptive = ["region,subject,level,emax_percent,time_to_peak_s"]
    for level, value in levels.items():
        evaluable, fit = "no" if level in not_evaluable else "yes", (status or {}).get(level, "fitted")
        vertebrae.append(f"{level} body,{subject},{level},{evaluable},{fit},{value},{value * 4},0.25")
        descriptive.append(f"{level} body,{subject},{level},{value * 100},nan")
    times = np.arange(0.0, 91.0, 3.0) if times_s is None else times_s
    after = np.maximum(times - 30.0, 0.0)
    curves = [["time_s", *(f"{level} body_measured_mM" for level in levels)]]
    curves += [
        [repr(float(t)), *(repr(float(k * a)) for k in levels.values())] for t, a in zip(times, after, strict=True)
    ]
    history = {
        "subject": subject,
        "series": {"times_s": times.tolist(), **({"arrival_s": arrival_s} if arrival_s is not None else {})},
        "settings": {"model": {"model": {"value": "tofts"}}, "densitometry": {"menopause": {"value": None}}}
        | (settings or {}),
        "used": {"baseline_frames": {"value": 10}, **{name: {"value": value} for name, value in (used or {}).items()}},
    }
    (folder / "vertebrae.csv").write_text("\n".join(vertebrae) + "\n", encoding="utf-8")
    (folder / "descriptive.csv").write_text("\n".join(descriptive) + "\n", encoding="utf-8")
    (folder / "curves.csv").write_text("\n".join(map(",".join, curves)) + "\n", encoding="utf-8")
    (folder / "provenance.json").write_text(json.dumps(history), encoding="utf-8")
    if bone:
        (folder / "bmd_classification.csv").write_text(bone, encoding="utf-8")


class Folders(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.results = self.folder / "results"
        self.results.mkdir()

    def file(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def assemble(self, **more: Any) -> Cohort:
        cohort = assemble(self.results, more.pop("settings", CohortSettings()), **more)
        self.assertEqual(cohort.rows_read, cohort.subjects.size + len(cohort.left_out))
        names = [path.name for path in self.results.iterdir() if path.is_dir() and not path.name.startswith(".")]
        self.assertEqual(cohort.folders, len(names))
        self.assertEqual(set(cohort.sources), {*cohort.numbers, *cohort.labels})
        return cohort


class TestResults(Folders):
    def test_means_over_evaluable_levels(self) -> None:
        write_results(self.results / "a", "A")
        write_results(self.results / "b", "B", not_evaluable=("L1",), status={"L4": "at a bound"})
        write_results(self.results / "c", "C", not_evaluable=("L1", "L2", "L4"))
        cohort = self.assemble()
        self.assertEqual(cohort.subjects.tolist(), ["A", "B"])
        np.testing.assert_allclose(cohort.numbers["ktrans_per_min"], [0.6, 0.6])
        np.testing.assert_allclose(cohort.numbers["kep_per_min"], [2.4, 2.4])
        np.testing.assert_allclose(cohort.numbers["emax_percent"], [60.0, 60.0])
        self.assertNotIn("time_to_peak_s", cohort.numbers)  # no level has one
        self.assertEqual(
            [(item.row, item.reason) for item in cohort.left_out],
            [("C", "1 evaluable level of L1 to L4; at least two are needed")],
        )
        self.assertTrue(any("5 vertebrae L1 to L4 are not evaluable" in note for note in cohort.notes))

    def test_folders_that_cannot_be_read_are_listed(self) -> None:
        write_results(self.results / "good", "A")
        damages = {
            "vertebrae.csv": (
                None,
                "",
                "region,subject\n",
                "region,subject,level,evaluable,status\nL1,D\n",
                b"\xff\xfe\xfa",
            ),
            "descriptive.csv": (None, "region\nL9\n", "region,emax_percent\nL1 body,a lot\n"),
            "provenance.json": (None, "{", "[]", "{}", '{"used": 1, "settings": {}}'),
            "curves.csv": (None, "time_s\n0\n", "time_s,L1 body_measured_mM\n0,1,2\n"),
            "bmd_classification.csv": ("scope\nsite\n",),
        }
        wanted = {}
        for file, contents in damages.items():
            for n, content in enumerate(contents):
                name = f"{file.partition('.')[0]}{n}"
                write_results(self.results / name, name)
                wanted[name] = file
                if content is None:
                    (self.results / name / file).unlink()
                else:
                    (self.results / name / file).write_bytes(
                        content if isinstance(content, bytes) else content.encode()
                    )
        write_results(self.results / "impossible", "I", {"L1": -0.5, "L2": 0.1})
        write_results(self.results / "old", "O", arrival_s=None, used={"baseline_frames": None})
        (self.results / "empty").mkdir()
        cohort = self.assemble()
        self.assertEqual(cohort.subjects.tolist(), ["A"])
        reasons = {item.row: item.reason for item in cohort.left_out}
        self.assertEqual(set(reasons), {*wanted, "impossible", "old", "empty"})
        for name, file in wanted.items():
            with self.subTest(name):
                self.assertIn("emax_percent" if name == "descriptive2" else file, reasons[name])
                self.assertNotIn("\n", reasons[name])
        self.assertIn("ktrans_per_min -0.5", reasons["impossible"])
        self.assertIn("vertebrae.csv", reasons["empty"])
        without = self.assemble(with_curves=False)
        self.assertIn("curves0", without.subjects)
        self.assertIsNone(without.curves)

    def test_refusals(self) -> None:
        with self.assertRaisesRegex(InputError, "no folder of results in results"):
            self.assemble()
        with self.assertRaisesRegex(InputError, "there is no folder"):
            assemble(self.folder / "absent", CohortSettings())
        write_results(self.results / "first", "A")
        write_results(self.results / "second", "A")
        with self.assertRaisesRegex(InputError, "'A' has results in first and in second"):
            self.assemble()
        with self.assertRaises(Cancelled):
            self.assemble(progress=lambda fraction, message: False)

    def test_several_folders_and_names(self) -> None:
        write_results(self.results / "a", "A")
        write_results(self.folder / "elsewhere", "")
        cohort = assemble([self.results, self.folder / "elsewhere"], CohortSettings())
        self.assertEqual(cohort.subjects.tolist(), ["A", "elsewhere"])
        self.assertTrue(any("1 results do not name their subject" in note for note in cohort.notes))

    def test_models_that_differ_are_said(self) -> None:
        write_results(self.results / "a", "A")
        densitometry = {"densitometry": {}, "model": {"model": {"value": "patlak"}}}
        write_results(self.results / "b", "B", settings=densitometry)
        self.assertTrue(any("tofts in 1, patlak in 1" in note for note in self.assemble().notes))

    def test_age_and_sex_of_the_provenance(self) -> None:
        write_results(self.results / "a", "A", used={"age_years": 62.0, "sex": "female"})
        write_results(self.results / "b", "B", used={"age_years": None})
        cohort = self.assemble()
        np.testing.assert_array_equal(cohort.numbers["age_years"], [62.0, np.nan])
        self.assertEqual(cohort.labels["sex"].tolist(), ["female", ""])
        self.assertEqual(cohort.labels["age_group"].tolist(), ["60~", ""])

    def test_age_and_sex_of_the_settings_where_no_bone_was_assessed(self) -> None:
        given = {"age_years": {"value": 58.0}, "sex": {"value": "male"}, "menopause": {"value": None}}
        write_results(self.results / "a", "A", settings={"densitometry": given})
        write_results(
            self.results / "b", "B", settings={"densitometry": given}, used={"age_years": 62, "sex": "female"}
        )
        cohort = self.assemble()
        np.testing.assert_array_equal(cohort.numbers["age_years"], [58.0, 62.0])
        self.assertEqual(cohort.labels["sex"].tolist(), ["male", "female"])


class TestCurves(Folders):
    def test_mean_on_a_common_axis(self) -> None:
        write_results(self.results / "a", "A")
        write_results(self.results / "b", "B", times_s=np.arange(0.0, 80.1, 2.0), not_evaluable=("L1", "L2"))
        write_results(self.results / "c", "C", times_s=np.arange(24.0, 100.0, 3.0))
        curves = self.assemble().curves
        assert curves is not None
        self.assertEqual(curves.subjects.tolist(), ["A", "B", "C"])
        np.testing.assert_allclose(curves.times_s, np.arange(-9.0, 49.0, 3.0))  # the shortest ends 50 s after arrival
        wanted = np.maximum(curves.times_s, 0.0)
        np.testing.assert_allclose(curves.values[0], 0.6 * wanted, atol=1e-12)
        np.testing.assert_allclose(curves.values[1], 0.4 * wanted, atol=1e-12)
        np.testing.assert_array_equal(
            np.isnan(curves.values[2]), curves.times_s < -6.0
        )  # nothing before its first frame
        self.assertEqual((curves.unit, curves.source), ("mmol/L", "measured"))

    def test_older_results_without_the_arrival(self) -> None:
        write_results(self.results / "a", "A", arrival_s=None)
        cohort = self.assemble()
        assert cohort.curves is not None
        at_zero = float(np.interp(0.0, cohort.curves.times_s, cohort.curves.values[0]))
        self.assertEqual(at_zero, 0.0)
        rising = cohort.curves.times_s[cohort.curves.values[0] > 0][0]
        self.assertEqual(rising, 6.0)  # the last of ten frames before contrast was at 27 s, the bolus came at 30 s
        self.assertTrue(any("1 subjects do not tell the arrival" in note for note in cohort.notes))


class TestJoining(Folders):
    def setUp(self) -> None:
        super().setUp()
        for name in ("A", "B", "C"):
            write_results(self.results / name.lower(), name, used={"age_years": 62.0, "sex": "female"})

    def test_dxa(self) -> None:
        dxa = self.file(
            "dxa.csv",
            "subject,site,bmd,t_score,bmc,area\n"
            "A,L1-L4,0.9,-2.6,,\nA,femoral neck left,0.8,-1.2,,\nA,femoral neck right,0.7,-1.9,,\nA,total hip,0.85,,,\n"
            "B,L1,,-1.4,10,10\nB,L2,,-1.5,12,10\nB,L3,0.8,,,\n"
            "X,L1-L4,0.9,-1,,\n",
        )
        cohort = self.assemble(dxa=dxa)
        self.assertEqual(cohort.subjects.tolist(), ["A", "B", "C"])
        np.testing.assert_allclose(cohort.numbers["bmd_lumbar_g_cm2"], [0.9, 22 / 20, np.nan])  # sum of BMC over area
        np.testing.assert_allclose(cohort.numbers["t_lumbar"], [-2.6, np.nan, np.nan])
        np.testing.assert_allclose(cohort.numbers["bmd_femoral_neck_g_cm2"], [0.7, np.nan, np.nan])
        np.testing.assert_allclose(cohort.numbers["t_femoral_neck"], [-1.9, np.nan, np.nan])
        np.testing.assert_allclose(cohort.numbers["bmd_total_hip_g_cm2"], [0.85, np.nan, np.nan])
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["osteoporosis", "", ""])
        self.assertEqual(
            {(item.row, item.reason) for item in cohort.unmatched},
            {("C", "not in dxa.csv"), ("X", "in dxa.csv, but without results")},
        )
        self.assertTrue(any("L1-L2 of 1" in note for note in cohort.notes), cohort.notes)

    def test_bad_dxa_is_refused(self) -> None:
        dxa = self.file("dxa.csv", "subject,site,bmd\nA,L1-L4,0.9\nB,L1-L4,x\n")
        with self.assertRaisesRegex(InputError, r"dxa\.csv row 3"):
            self.assemble(dxa=dxa)
        dxa = self.file("dxa.csv", "subject,site,bmd\nA,L1-L4,0.9\nA,L1-L4,0.8\n")
        with self.assertRaisesRegex(InputError, "subject 'A' has site 'L1-L4' 2 times"):
            self.assemble(dxa=dxa)

    def test_bone_of_the_results(self) -> None:
        bone = (
            "scope,site,bmd_g_cm2,t_score,exclusion\n"
            "subject,L2-L4,0.8,-1.5,\nvertebra,L1,0.9,-0.3,excluded by the user\n"
            'site,L1-L4,0.9,-1.1,"holds L1, excluded by the user"\nsite,L2-L4,0.8,-1.5,sum of BMC over sum of area\n'
            "site,femoral neck,0.7,-1.9,\n"
        )
        write_results(self.results / "d", "D", bone=bone)
        cohort = self.assemble()
        np.testing.assert_array_equal(cohort.numbers["bmd_lumbar_g_cm2"], [np.nan, np.nan, np.nan, 0.8])
        np.testing.assert_array_equal(cohort.numbers["t_lumbar"][3], -1.5)
        np.testing.assert_array_equal(cohort.numbers["t_femoral_neck"][3], -1.9)
        dxa = self.file("dxa.csv", "subject,site,bmd,t\nD,L1-L4,1.0,-0.5\n")
        self.assertEqual(self.assemble(dxa=dxa).numbers["t_lumbar"][3], -0.5)

    def test_table_of_subjects(self) -> None:
        subjects = self.file(
            "subjects.csv", "ID,Age,sex,class,Ktrans,remark\nB,71,f,op,0.2,x\nA,62.5,m,,,\n,,,,,\nY,50,,,,\n"
        )
        cohort = self.assemble(subjects=subjects)
        np.testing.assert_array_equal(cohort.numbers["age_years"], [62.5, 71.0, 62.0])
        self.assertEqual(cohort.labels["sex"].tolist(), ["male", "female", "female"])
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["", "osteoporosis", ""])
        np.testing.assert_allclose(cohort.numbers["ktrans_per_min"], [0.6, 0.6, 0.6])
        self.assertEqual(
            {(item.row, item.reason) for item in cohort.unmatched},
            {("C", "not in subjects.csv"), ("Y", "in subjects.csv, but without results")},
        )
        self.assertEqual([item.row for item in cohort.left_out], ["row 4"])
        self.assertEqual(cohort.ignored, ("remark",))
        for part in (
            "Ktrans of subjects.csv are not used",
            "age_years of 1 subjects differs",
            "sex of 1 subjects differs",
        ):
            self.assertTrue(any(part in note for note in cohort.notes), (part, cohort.notes))
        with self.assertRaisesRegex(InputError, "one row per subject"):
            self.assemble(subjects=self.file("subjects.csv", "ID,level,age\nA,L1,60\n"))


class TestWhatAnalyzeWrites(unittest.TestCase):
    def test_phantom(self) -> None:
        """The classes and the arrival of the phantom come back from the files of its analysis."""
        phantom = small_phantom(snr=None)
        bone = measurements_from_values({"bmd_g_cm2": "L1-L4=0.795", "t_score": "L1-L4=-1.471"}, "P1")
        series = phantom.series()
        result = analyze(series, phantom.segments, densitometry=bone)
        history = provenance(series, Settings(), result, {}, {})
        self.assertEqual(history["series"]["arrival_s"], result.arrival_s)
        self.assertAlmostEqual(history["series"]["arrival_s"], phantom.arrival_s, delta=3.0)
        with tempfile.TemporaryDirectory() as folder:
            study = Path(folder) / "results" / "p1"
            study.mkdir(parents=True)
            for table in result.tables():
                (study / f"{table.name}.csv").write_text(table.to_csv(), encoding="utf-8")
            (study / "provenance.json").write_text(json.dumps(history), encoding="utf-8")
            cohort = assemble(study.parent, CohortSettings())
        self.assertEqual((cohort.subjects.tolist(), cohort.left_out), (["P1"], ()))
        truth = phantom.truth()
        for name, column in (("ktrans", "ktrans_per_min"), ("kep", "kep_per_min"), ("ve", "ve")):
            levels = [truth[name][region.analyzed].mean() for region in result.rois.regions if region.level != "L5"]
            self.assertAlmostEqual(cohort.numbers[column][0] / np.mean(levels), 1.0, delta=0.015)
        self.assertEqual(cohort.numbers["t_lumbar"].tolist(), [-1.471])
        self.assertEqual(cohort.labels["bmd_class"].tolist(), ["low bone mass"])
        assert cohort.curves is not None
        values, times = cohort.curves.values[0], cohort.curves.times_s
        self.assertAlmostEqual(times[np.nanargmax(values)], 16.5, delta=3.0)  # facts, R10: 16.2 s to 17.0 s
        self.assertLess(np.abs(values[times < -3.0]).max(), 0.01)


class TestScale(Folders):
    def test_many_folders(self) -> None:
        """The time is printed, not judged."""
        for n in range(300):
            write_results(self.results / f"{n}", f"S{n}")
        begin = time.perf_counter()
        self.assertEqual(self.assemble(with_curves=False).subjects.size, 300)
        print(f"300 folders assembled in {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    unittest.main()
