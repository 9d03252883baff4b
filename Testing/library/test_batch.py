"""The batch: what its table may say, what is done again, how studies fail, and that failures stay alone.

The analysis is replaced by a small program, so that crashes and hangs can be had; `Testing/scene/test_batch_command.py`
runs the real one.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
from DCEPerfusionBMDLib import batch, cli
from DCEPerfusionBMDLib.batch import Job, Limits, Study, Tally, is_done, locked, run_studies, run_study
from DCEPerfusionBMDLib.cli.batch import read_studies
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.times import times_of_user
from support import dask_workers, needs

STUB = """
import json, os, signal, sys, time
from pathlib import Path
from DCEPerfusionBMDLib import batch
path = Path(sys.argv[1]); work = path.parent; job = json.loads(path.read_text())
what = job["study"]["options"].get("series", "")
log = Path(job["output"]) / "begun.txt"
with log.open("a") as file:
    file.write(job["study"]["subject"] + "\\n")
(work / "stage").write_text("analyze")
if what == "refuse":
    print("warning: odd"); print("dce-perfusion-bmd: no aorta; outline one", file=sys.stderr); sys.exit(2)
if what == "nothing":
    sys.exit(0)
if what == "full":
    print("[Errno 28] No space left on device", file=sys.stderr); sys.exit(2)
if what == "raise":
    raise KeyError("lost")
if what == "segfault":
    os.kill(os.getpid(), signal.SIGSEGV)
if what == "silent":
    sys.exit(3)
if what == "hang":
    while batch.runs(Path(job["output"]), job["token"]):
        time.sleep(0.1)
    sys.exit(batch.STOPPED)
if what == "stubborn":
    time.sleep(60)
if what == "memory":
    batch.limit_memory(job["memory_MB"])
    try:
        print(len(bytearray(10**9)))
    except MemoryError:
        print("MemoryError"); sys.exit(batch.OUT_OF_MEMORY)
if what == "half":
    (work / "result").mkdir(); (work / "result" / "half.csv").write_text("a,"); sys.exit(1)
if what == "change":
    Path(job["study"]["inputs"]["segmentation"]).write_text("other")
(work / "result").mkdir()
(work / "result" / "vertebrae.csv").write_text("subject\\n" + job["study"]["subject"] + "\\n")
threads = os.environ["OMP_NUM_THREADS"]
(work / "result" / "said.json").write_text(json.dumps([threads, job["arguments"]]))
try:
    batch.finish(job, work)
except ValueError as error:
    print(error, file=sys.stderr); sys.exit(2)
"""


class Folder(unittest.TestCase):
    """Two inputs, a stub of the analysis, and a folder for results."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "dicom").mkdir()
        (self.folder / "dicom" / "1.dcm").write_bytes(b"one")
        (self.folder / "mask.nrrd").write_bytes(b"mask")
        (self.folder / "stub.py").write_text(STUB, encoding="utf-8")
        self.program = (sys.executable, str(self.folder / "stub.py"))
        self.output = self.folder / "out"
        environment = mock.patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        environment.start()
        self.addCleanup(environment.stop)

    def study(self, subject="S1", **options):
        inputs = {"dicom": self.folder / "dicom", "segmentation": self.folder / "mask.nrrd"}
        return Study(subject, options, inputs)

    def run_one(self, study, token=None, **limits):
        if token is not None:
            return run_study(Job(study, self.output, token, Limits(**limits), self.program))
        with locked(self.output) as own:
            return self.run_one(study, own, **limits)

    def begun(self):
        path = self.output / "begun.txt"
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    def results(self):
        return sorted(path.name for path in (self.output / "studies").iterdir())


class TheTable(Folder):
    def read(self, *lines):
        path = self.folder / "studies.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_studies(path)

    def test_options_by_their_names(self):
        plan = self.read(
            "Subject;DICOM;segmentation;t_score;keep identifiers;t1-map;field_strength_T",
            "A/1;dicom;mask.nrrd;L1-L4=-2.5;yes;mask.nrrd;1.5",
            "B;dicom;mask.nrrd;;no;12;",
        )
        self.assertEqual(plan.failures, ())
        first, second = plan.studies
        self.assertEqual(first.options, {"t-score": "L1-L4=-2.5", "keep-identifiers": None, "field-strength-T": "1.5"})
        self.assertEqual(first.inputs["t1-map"], self.folder / "mask.nrrd")
        self.assertEqual(second.options, {"t1-map": "12"})  # the number of a series
        self.assertIn("--t-score=L1-L4=-2.5", first.arguments())
        self.assertIn("--keep-identifiers", first.arguments())

    def test_what_is_refused(self):
        for lines, said in (
            (["subject,dicom,segmentation,agee", "A,dicom,mask.nrrd,3"], "'agee' is no option of analyze"),
            (["subject,output,segmentation", "A,x,mask.nrrd"], "'output' is no option"),
            (["dicom,segmentation", "dicom,mask.nrrd"], "no column 'subject'"),
            (["subject,dicom,dicom", "A,b,c"], "'dicom' twice"),
            (
                ["subject,dicom,segmentation", "A,dicom,mask.nrrd", "A,dicom,mask.nrrd"],
                "row 3: the subject 'A' is",
            ),
            (["subject,dicom,segmentation", "A,dicom,mask.nrrd", "a,dicom,mask.nrrd"], "already as 'A'"),
            (["subject,dicom,segmentation,", "A,dicom,mask.nrrd,", "a,dicom,mask.nrrd,"], "already as 'A'"),
            (["subject,dicom,,segmentation", "A,dicom,,mask.nrrd"], "the column '' is no option"),
            (["subject,dicom,segmentation"], "has no study"),
        ):
            with self.subTest(said), self.assertRaisesRegex(InputError, said):
                self.read(*lines)

    def test_rows_that_cannot_be_studies_leave_the_others(self):
        plan = self.read(
            "subject,dicom,volumes,segmentation,age,keep-identifiers,model",
            "good,dicom,,mask.nrrd,61,,",
            "both,dicom,x.nrrd,mask.nrrd,,,",
            "nomask,dicom,,,,,",
            "age,dicom,,mask.nrrd,old,,",
            "flag,dicom,,mask.nrrd,,perhaps,",
            "choice,dicom,,mask.nrrd,,,fancy",
            "short,dicom,,mask.nrrd",
            ",dicom,,mask.nrrd,,,",
            "long,dicom,,mask.nrrd,,,,what",
            "blank,dicom,,mask.nrrd,,,,",
        )
        self.assertEqual([study.subject for study in plan.studies], ["good", "blank"])
        bad = ["both", "nomask", "age", "flag", "choice", "short", "row 9", "long"]
        self.assertEqual([f.subject for f in plan.failures], bad)
        self.assertEqual({f.stage for f in plan.failures}, {"input"})
        self.assertIn("row 8 has 4 cells, the heading has 7", plan.failures[5].message)

    def test_columns_that_a_spreadsheet_adds(self):
        plan = self.read("subject,dicom,segmentation,,", "A,dicom,mask.nrrd,,", "B,dicom,mask.nrrd")
        self.assertEqual([study.subject for study in plan.studies], ["A", "B"])

    def test_maps_and_times_are_files_of_the_table(self):
        """Even those that are not there, and those that lie in the current folder."""
        (self.folder / "elsewhere").mkdir()
        (self.folder / "elsewhere" / "clock").write_text("1", encoding="utf-8")
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder / "elsewhere")
        plan = self.read(
            "subject,dicom,volumes,segmentation,t1-map,times",
            "A,dicom,,mask.nrrd,T1.nrrd,",
            "B,dicom,,mask.nrrd,1.2.840.3:W,4.5",
            "C,,mask.nrrd,mask.nrrd,12,TriggerTime",
            "D,dicom,,mask.nrrd,,frames.csv",
            "E,dicom,,mask.nrrd,,clock",
            f'F,dicom,,mask.nrrd,,"{",".join(["10.25"] * 80)}"',
        )
        self.assertEqual(plan.failures, ())
        given = [(sorted(set(one.inputs) & {"t1-map", "times"}), sorted(one.options)) for one in plan.studies]
        maps, times = (["t1-map"], []), (["times"], [])
        self.assertEqual(
            given, [maps, ([], ["t1-map", "times"]), (["t1-map"], ["times"]), times, times, ([], ["times"])]
        )
        with self.assertRaisesRegex(InputError, "--t1-map: there is no .*T1.nrrd"):
            is_done(plan.studies[0], self.output)

    def test_texts_that_are_no_path(self):
        study = Study("S", {}, {"dicom": self.folder / "dicom", "segmentation": Path("mask\0.nrrd")})
        with self.assertRaisesRegex(InputError, "--segmentation: 'mask.nrrd' is no path"):
            is_done(study, self.output)
        with self.assertRaisesRegex(InputError, "nor a file"):
            times_of_user("t" * 300, 3)
        np.testing.assert_array_equal(times_of_user(",".join(map(str, range(300))), 300).seconds, np.arange(300.0))

    def test_names_of_folders(self):
        self.assertEqual(Study("P-001_a.b", {}, {}).name, "P-001_a.b")
        odd = ["a/b", "../x", "..", "CON", "nul.txt", "a b", ".hidden", "x.", "\u00e4", "-rf", "y" * 300]
        names = [Study(subject, {}, {}).name for subject in odd]
        self.assertEqual(len(set(names)), len(odd))
        for name in names:
            self.assertRegex(name, r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,100}$")


class DoneOnce(Folder):
    def test_what_is_done_again(self):
        study = self.study(age="60")
        self.assertFalse(is_done(study, self.output))
        self.assertEqual(self.run_one(study), batch.Outcome("S1"))
        self.assertTrue(is_done(study, self.output))
        self.assertFalse(is_done(self.study(age="61"), self.output))
        self.assertFalse(is_done(self.study(age="60", series="3"), self.output))
        with mock.patch.object(batch, "__version__", "0.0.0"):
            self.assertFalse(is_done(study, self.output))
        (self.output / "studies/S1/vertebrae.csv").write_text("cut", encoding="utf-8")
        self.assertFalse(is_done(study, self.output))
        self.run_one(study)
        self.assertEqual((self.begun(), is_done(study, self.output)), (["S1", "S1"], True))
        (self.folder / "dicom" / "2.dcm").write_bytes(b"two")
        self.assertFalse(is_done(study, self.output))
        (self.folder / "dicom" / "2.dcm").unlink()
        self.assertTrue(is_done(study, self.output))

    def test_same_bytes_with_another_time_are_the_same(self):
        study = self.study()
        self.run_one(study)
        os.utime(self.folder / "mask.nrrd", (1, 1))
        self.assertFalse(is_done(study, self.output))
        self.assertEqual(self.run_one(study).stage, "")
        self.assertEqual((self.begun(), is_done(study, self.output)), (["S1"], True))
        status = (self.folder / "mask.nrrd").stat()
        (self.folder / "mask.nrrd").write_bytes(b"MASK")  # same size and time
        os.utime(self.folder / "mask.nrrd", ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertTrue(is_done(study, self.output))  # which only --verify sees
        self.run_one(study)
        self.assertEqual(self.begun(), ["S1", "S1"])

    def test_moved_inputs_and_results_stay_done(self):
        self.run_one(self.study())
        shutil.move(self.output, self.folder / "moved")
        (self.folder / "dicom").rename(self.folder / "renamed")
        inputs = {"dicom": self.folder / "renamed", "segmentation": self.folder / "mask.nrrd"}
        self.output, study = self.folder / "moved", Study("S1", {}, inputs)
        self.assertFalse(is_done(study, self.output))  # before the bytes have been compared
        self.assertEqual(self.run_one(study).stage, "")
        self.assertEqual((self.begun(), is_done(study, self.output)), (["S1"], True))

    def test_another_file_of_equal_size_and_time(self):
        self.run_one(self.study())
        other, status = self.folder / "other.nrrd", (self.folder / "mask.nrrd").stat()
        other.write_bytes(b"MASK")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        study = Study("S1", {}, {"dicom": self.folder / "dicom", "segmentation": other})
        self.assertFalse(is_done(study, self.output))
        self.run_one(study)
        self.assertEqual(self.begun(), ["S1", "S1"])

    def test_files_beside_an_input_are_inputs(self):
        """The JSON file beside volumes or a folder of them, and the data that a NRRD header names."""
        header = "NRRD0004\ntype: uchar\ndimension: 1\nsizes: 1\nencoding: raw\ndata file: data.raw\n"
        (self.folder / "mask.nhdr").write_text(header, encoding="utf-8")
        (self.folder / "frames").mkdir()
        (self.folder / "frames" / "1.nhdr").write_text(header.replace("data.raw", "../data.raw"), encoding="utf-8")
        (self.folder / "x.nii.gz").write_bytes(b"volumes")
        (self.folder / "data.raw").write_bytes(b"1")
        for number, (volumes, segmentation, beside) in enumerate(
            (
                ("x.nii.gz", "mask.nrrd", "x.json"),
                ("frames", "mask.nrrd", "frames.json"),
                ("frames", "mask.nrrd", "data.raw"),
                ("x.nii.gz", "mask.nhdr", "data.raw"),
            )
        ):
            subject = f"S{number}"
            inputs = {"volumes": self.folder / volumes, "segmentation": self.folder / segmentation}
            study, path = Study(subject, {}, inputs), self.folder / beside
            with self.subTest(beside=beside, volumes=volumes):
                self.run_one(study)
                self.assertTrue(is_done(study, self.output))
                path.write_bytes(b"22")
                self.assertFalse(is_done(study, self.output))
                self.run_one(study)
                self.assertEqual((self.begun().count(subject), is_done(study, self.output)), (2, True))
                path.unlink()
                self.assertFalse(is_done(study, self.output))
                path.write_bytes(b"33")
                self.run_one(study)
                self.assertEqual(self.begun().count(subject), 3)

    def test_the_record_names_no_series_by_its_uid(self):
        uid = "1.2.840.113619.2.5"
        study = self.study(**{"flip-angles": f"3,{uid}", "series": uid, "t1-map": "12:W", "age": "60"})
        self.run_one(study)
        text = (self.output / "studies/S1/batch.json").read_text(encoding="utf-8")
        self.assertNotIn(uid, text)
        self.assertNotIn(str(self.folder), text)
        options = json.loads(text)["options"]
        self.assertEqual((options["t1-map"], options["age"]), ("12:W", "60"))
        self.assertEqual(options["series"], f"sha256 {hashlib.sha256(uid.encode()).hexdigest()}")
        self.assertTrue(is_done(study, self.output))

    def test_inputs_that_change_meanwhile(self):
        outcome = self.run_one(self.study(series="change"))
        self.assertEqual((outcome.stage, outcome.exit_code), ("analyze", 2))
        self.assertIn("changed during the analysis", outcome.message)
        self.assertEqual(self.results(), [])

    def test_inputs_that_are_missing(self):
        (self.folder / "mask.nrrd").unlink()
        with self.assertRaisesRegex(InputError, "--segmentation: there is no .*mask.nrrd"):
            is_done(self.study(), self.output)
        outcome = self.run_one(self.study())
        self.assertEqual((outcome.stage, self.begun()), ("input", []))


class Failures(Folder):
    def test_reasons(self):
        for what, stage, said, code in (
            ("refuse", "analyze", "^no aorta; outline one$", 2),
            ("raise", "analyze", "^KeyError: 'lost'$", 1),
            ("segfault", "crash", r"signal 11 \(SIGSEGV\), in stage analyze", -11),
            ("silent", "crash", "ended with status 3 without a word", 3),
            ("half", "crash", "ended with status 1 without a word", 1),
            ("nothing", "crash", "^ended well, but left no result$", 0),
            ("full", "write", "^no space is left for .*out: .Errno 28. No space left on device$", 2),
        ):
            with self.subTest(what):
                outcome = self.run_one(self.study(series=what))
                self.assertEqual((outcome.subject, outcome.stage, outcome.exit_code), ("S1", stage, code))
                self.assertRegex(outcome.message, said)
                self.assertEqual(self.results(), [])

    def test_time_limit(self):
        start = time.monotonic()
        outcome = self.run_one(self.study(series="stubborn"), time_s=1.0)
        self.assertLess(time.monotonic() - start, 20.0)
        self.assertEqual(outcome.stage, "time limit")
        self.assertEqual(outcome.message, "not done after 1 s, in stage analyze")
        self.assertEqual(self.results(), [])

    @unittest.skipUnless(sys.platform == "linux", "memory is bounded on Linux only")
    def test_memory_limit(self):
        self.assertEqual(self.run_one(self.study(series="memory"), memory_MB=3000.0).stage, "")
        outcome = self.run_one(self.study("S2", series="memory"), memory_MB=500.0)
        self.assertEqual(outcome.stage, "memory limit")
        self.assertIn("more than 500 MB", outcome.message)
        self.assertEqual(self.results(), ["S1"])

    def test_reasons_of_memory(self):
        """What real libraries said at limits of 60 to 250 MB."""
        for said in (
            "RuntimeError: can't start new thread",
            "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
            "slicer-core cannot be loaded: libvtk.so: failed to map segment from shared object",
            "libx.so: cannot allocate memory in static TLS block",
        ):
            with self.subTest(said):
                job = Job(self.study(), self.output, "", Limits(memory_MB=100.0))
                self.assertEqual(batch._outcome(job, "read", said, 1, False).stage, "memory limit")

    def test_no_folder_can_be_made(self):
        with mock.patch.object(tempfile, "mkdtemp", side_effect=OSError(28, "No space left on device")):
            outcome = self.run_one(self.study())
        self.assertEqual(outcome.stage, "write")
        self.assertIn("No space left on device", outcome.message)

    def test_a_failure_keeps_the_result_of_before_and_says_so(self):
        self.run_one(self.study(age="60"))
        outcome = self.run_one(self.study(series="refuse"))
        self.assertIn("the result that is there is of earlier inputs", outcome.message)
        self.assertEqual(self.results(), ["S1"])
        self.assertTrue(is_done(self.study(age="60"), self.output))

    def test_another_version_on_a_worker(self):
        job = Job(self.study(), self.output, "t", Limits(), self.program, "9.9")
        self.assertRegex(run_study(job).message, "the batch 9.9: install the same")

    def test_a_child_starts_without_what_only_cohorts_need(self):
        """Each study pays for every import; these take a second together."""
        code = "import sys, DCEPerfusionBMDLib.cli.child; print(*sys.modules)"
        loaded = set(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8"
            ).stdout.split()
        )
        self.assertIn("DCEPerfusionBMDLib.study", loaded)
        own = {f"DCEPerfusionBMDLib.{name}" for name in ("cohort", "statistics")}
        others = {"scipy.stats", "scipy.optimize", "scipy.interpolate", "matplotlib", "highdicom", "distributed"}
        self.assertEqual(loaded & (own | others), set())

    def test_one_thread_per_study(self):
        self.run_one(self.study())
        threads, arguments = json.loads((self.output / "studies/S1/said.json").read_text(encoding="utf-8"))
        self.assertEqual((threads, arguments[0]), ("1", "analyze"))


class Runs(Folder):
    def test_one_batch_at_a_time_and_nothing_left_of_killed_ones(self):
        with locked(self.output):
            left = self.output / "studies" / ".unfinished-S9-x"
            left.mkdir()
            code = (
                "from DCEPerfusionBMDLib.batch import locked; from pathlib import Path\n"
                f"with locked(Path({str(self.output)!r})): pass"
            )
            other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
            self.assertIn("another batch runs in", other.stderr)
            self.assertTrue(left.exists())
        with locked(self.output):
            self.assertEqual(self.results(), [])

    def test_a_stopped_run_ends_its_children(self):
        with locked(self.output) as token, ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.run_one, self.study(series="stubborn"), token)
            while not self.begun():
                time.sleep(0.05)
            batch.stop(self.output)
            outcome = future.result(timeout=20)
        self.assertEqual((outcome.stage, outcome.message), ("crash", "the batch was stopped"))
        self.assertEqual(self.results(), [])

    def test_a_run_tells_that_it_goes_on(self):
        with mock.patch.object(batch, "_BEAT_S", 0.05), locked(self.output):
            before, deadline = batch.pulse(self.output), time.monotonic() + 10
            while batch.pulse(self.output) == before and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertNotEqual(batch.pulse(self.output), before)
        self.assertIsNone(batch.pulse(self.output))

    def test_failures_do_not_stop_the_rest(self):
        kinds = ["", "refuse", "", "segfault", "raise", "", "half", ""]
        studies = [self.study(f"S{n}", series=kind) for n, kind in enumerate(kinds)]
        with locked(self.output) as token, ThreadPoolExecutor(2) as pool:
            jobs = (Job(study, self.output, token, Limits(), self.program) for study in studies)
            outcomes = [outcome for outcome in run_studies(jobs, pool, 2) if outcome is not None]
        self.assertEqual({o.subject for o in outcomes if not o.stage}, {"S0", "S2", "S5", "S7"})
        self.assertEqual(self.results(), ["S0", "S2", "S5", "S7"])
        text = batch.failures_table(o for o in outcomes if o.stage).to_csv()
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([row["subject"] for row in rows], ["S1", "S3", "S4", "S6"])
        self.assertEqual(rows[1]["exit_code"].lstrip("'"), "-11")

    def test_no_more_than_the_window_are_handed_out(self):
        most, running, guard = [0], [0], threading.Lock()

        def work(job):
            with guard:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.01)
            with guard:
                running[0] -= 1
            return batch.Outcome(job.study.subject)

        jobs = [Job(self.study(f"S{n}"), self.output, "", Limits()) for n in range(20)]
        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(len([o for o in run_studies(jobs, pool, 3, work) if o]), 20)
        self.assertLessEqual(most[0], 3)

    def test_what_is_said(self):
        tally = Tally(total=100, found=40, refused=1, done=20, failures=[batch.Outcome("x", "input")])
        tally.began = time.monotonic() - 60.0
        self.assertEqual(tally.sentence(2), "60 of 100 done, 1 failed, 2 running, 20/min, 2 min left")


class TheCommand(Folder):
    """`dce-perfusion-bmd batch` over the stub."""

    def setUp(self):
        super().setUp()
        lines = ["subject,dicom,segmentation,series", *(f"S{n},dicom,mask.nrrd," for n in range(4))]
        lines += ["bad,dicom,mask.nrrd,refuse", "gone,nowhere,mask.nrrd,"]
        self.table = self.folder / "studies.csv"
        self.table.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command(self, *options):
        out, err = io.StringIO(), io.StringIO()
        program = mock.patch.object(cli.batch, "Job", lambda *given: Job(*given[:4], self.program))
        with program, redirect_stdout(out), redirect_stderr(err):
            status = cli.main(["batch", str(self.table), "--output", str(self.output), "--no-cohort", *options])
        return status, out.getvalue(), err.getvalue()

    def failures(self):
        with (self.output / "failures.csv").open(encoding="utf-8", newline="") as file:
            return [(row["subject"], row["stage"]) for row in csv.DictReader(file)]

    def test_a_second_run_does_what_is_missing(self):
        status, out, err = self.command("--workers", "2")
        self.assertEqual((status, self.results()), (1, ["S0", "S1", "S2", "S3"]), err)
        self.assertEqual(self.failures(), [("bad", "analyze"), ("gone", "input")])
        self.assertIn("failed: bad: analyze: no aorta; outline one", err)
        shutil.rmtree(self.output / "studies/S2")
        self.table.write_text(
            self.table.read_text(encoding="utf-8").replace("bad,dicom,mask.nrrd,refuse", "bad,dicom,mask.nrrd,"),
            encoding="utf-8",
        )
        before = len(self.begun())
        status, out, err = self.command("--workers", "2")
        self.assertIn("6 studies: 3 done before, 2 to do, 1 cannot be done.", out)
        self.assertEqual(sorted(self.begun()[before:]), ["S2", "bad"])
        self.assertEqual((status, self.failures()), (1, [("gone", "input")]))

    def test_results_of_no_row_are_named(self):
        self.command()
        self.table.write_text(
            "\n".join(self.table.read_text(encoding="utf-8").splitlines()[:3]) + "\n", encoding="utf-8"
        )
        status, _, err = self.command()
        self.assertEqual(status, 0)
        self.assertIn("2 results are of no study of the table and in no cohort: S2, S3", err)
        self.assertEqual(self.failures(), [])

    def test_bad_options(self):
        for options, said in (
            (["--workers", "0"], "--workers must be 1 or more"),
            (["--time-limit", "0"], "--time-limit must be above 0"),
            (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "give one of --workers and --scheduler"),
            (["--slicer", "nowhere/Slicer"], "there is no nowhere/Slicer"),
            (["--memory-limit", "120"], "120 MB for a study is less than its programs take; give --memory-limit 300"),
            (["--workers", "100000"] if hasattr(os, "sysconf") else ["--workers", "0"], "--workers"),
        ):
            with self.subTest(said):
                status, _, err = self.command(*options)
                self.assertEqual((status, err.count("\n")), (2, 1))
                self.assertIn(said, err)

    def test_limits_and_verify_reach_the_studies(self):
        self.table.write_text(
            "subject,dicom,segmentation,series\nA,dicom,mask.nrrd,\nB,dicom,mask.nrrd,stubborn\n", encoding="utf-8"
        )
        status, _, err = self.command("--time-limit", "2.0")
        self.assertEqual((status, self.failures()), (1, [("B", "time limit")]), err)
        self.table.write_text(
            "subject,dicom,segmentation,series\nA,dicom,mask.nrrd,\nM,dicom,mask.nrrd,memory\n", encoding="utf-8"
        )
        if sys.platform == "linux":
            status, _, err = self.command("--memory-limit", "500")
            self.assertEqual((status, self.failures()), (1, [("M", "memory limit")]), err)
            self.assertIn("more than 500 MB", err)
        self.table.write_text("subject,dicom,segmentation\nA,dicom,mask.nrrd\n", encoding="utf-8")
        shutil.rmtree(self.output)
        self.command()
        mask = self.folder / "mask.nrrd"
        status = mask.stat()
        mask.write_bytes(b"MASK")
        os.utime(mask, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertIn("1 done before, 0 to do", self.command()[1])
        self.assertEqual(self.begun(), ["A"])
        self.assertIn("0 done before, 1 to compare", self.command("--verify")[1])
        self.assertEqual(self.begun(), ["A", "A"])

    def test_results_within_an_input(self):
        self.output = self.folder / "dicom" / "out"
        status, _, _ = self.command()
        self.assertEqual((status, {stage for _, stage in self.failures()}), (1, {"input"}))
        self.assertIn(
            "--dicom: the results would be put into it", (self.output / "failures.csv").read_text(encoding="utf-8")
        )

    def test_a_cohort_of_before_is_named(self):
        (self.output / "cohort").mkdir(parents=True)
        _, _, err = self.command()
        self.assertIn("cohort is of an earlier run, and not of these results", err)

    def test_failures_that_cannot_be_written(self):
        (self.output / "failures.csv").mkdir(parents=True)
        status, _, err = self.command()
        self.assertEqual((status, self.results()), (1, ["S0", "S1", "S2", "S3"]))
        self.assertRegex(err, "Warning: .*failures.csv'; all failures have been named here")

    def test_programs_of_the_current_folder(self):
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)
        (self.folder / "Slicer").write_text("", encoding="utf-8")
        self.assertEqual(cli.batch._slicer(Path("Slicer"))[0], str(Path.cwd() / "Slicer"))

    @unittest.skipUnless(sys.platform == "linux", "control groups are of Linux")
    def test_memory_of_a_container(self):
        (self.folder / "memory.max").write_text("800000000\n", encoding="utf-8")
        with mock.patch.object(cli.batch, "_CONTAINER", self.folder / "memory.max"):
            self.assertEqual(cli.batch._share_of_memory(2), 400.0)
        (self.folder / "memory.max").write_text("max\n", encoding="utf-8")
        with mock.patch.object(cli.batch, "_CONTAINER", self.folder / "memory.max"):
            self.assertGreater(cli.batch._share_of_memory(1), 1000.0)

    @unittest.skipUnless(os.name == "posix", "signals")
    def test_interrupted_and_killed(self):
        """Ctrl-C, then SIGKILL of the batch: children end, and what is done is not done again."""
        self.table.write_text(
            "subject,dicom,segmentation,series\nA,dicom,mask.nrrd,\nB,dicom,mask.nrrd,hang\n", encoding="utf-8"
        )
        code = (
            "import sys; from DCEPerfusionBMDLib import batch, cli\n"
            f"cli.batch.Job = lambda *given: batch.Job(*given[:4], {self.program!r})\n"
            f"sys.exit(cli.main(['batch', {str(self.table)!r}, '--output', {str(self.output)!r}, '--no-cohort']))"
        )
        for number, end in enumerate((signal.SIGINT, signal.SIGKILL), start=1):
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            deadline = time.monotonic() + 60
            while (self.begun().count("B") < number or self.results()[-1:] != ["A"]) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(end)
            _, err = process.communicate(timeout=30)
            if end == signal.SIGINT:
                self.assertEqual(process.returncode, 130, err)
                self.assertIn(b"interrupted", err)
                self.assertEqual(self.results(), ["A"])
        self.table.write_text(self.table.read_text(encoding="utf-8").replace("hang", ""), encoding="utf-8")
        status, _, _ = self.command()
        self.assertEqual((status, self.results()), (0, ["A", "B"]))
        self.assertEqual(self.begun().count("A"), 1)


NAMES = ["S0", "S1", "S2", "S3"]


class OnDask(TheCommand):
    """The same over a scheduler and two workers in processes of their own."""

    @classmethod
    def setUpClass(cls):
        needs("distributed")
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.address = stack.enter_context(dask_workers(temporary.name, 2))

    def command(self, *options):
        options = [option for option in options if option not in ("--workers", "2")]
        return super().command("--scheduler", self.address, *options)

    test_bad_options = test_interrupted_and_killed = test_results_within_an_input = None
    test_a_cohort_of_before_is_named = test_failures_that_cannot_be_written = None
    test_programs_of_the_current_folder = test_memory_of_a_container = None

    def test_no_scheduler(self):
        for address, expected, said in (
            ("tcp://127.0.0.1:9", 75, "no Dask scheduler answers at tcp://127.0.0.1:9"),
            ("bogus://x", 2, "'bogus://x' is no address of a Dask scheduler"),
        ):
            limit, place = (
                mock.patch.object(batch, "_CONNECT_S", "3s"),
                mock.patch.object(type(self), "address", address),
            )
            with self.subTest(address), limit, place:
                status, _, err = self.command()
                self.assertEqual((status, err.count("\n")), (expected, 1), err)
                self.assertIn(said, err)

    def test_the_memory_of_a_worker_bounds_its_studies(self):
        """1 GB, of which 1e9 bytes and Python itself are too much."""
        self.table.write_text("subject,dicom,segmentation,series\nM,dicom,mask.nrrd,memory\n", encoding="utf-8")
        status, out, err = self.command()
        self.assertEqual((status, self.failures()), (1, [("M", "memory limit")]), err)
        self.assertIn("Dask: 2 workers", out)

    def test_workers_of_another_version(self):
        """One beside ours is passed over, whether it came before the batch or after; alone it is refused."""
        package = Path(batch.__file__).parent
        other = self.folder / "other"
        shutil.copytree(package, other / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        (other / package.name / "__init__.py").write_text('__version__ = "9.9.9"\n', encoding="utf-8")
        with dask_workers(self.folder, 1, other) as address, mock.patch.object(type(self), "address", address):
            status, _, err = self.command()
            self.assertEqual((status, err.count("\n")), (2, 1))
            self.assertRegex(err, "no Dask worker has version .*: tcp://.* has version 9.9.9; install the same there")
            with dask_workers(self.folder, 1, join=True):
                status, _, err = self.command()
        self.assertIn("Warning: 1 workers are passed over", err)
        self.assertEqual((self.failures(), self.results()), ([("bad", "analyze"), ("gone", "input")], NAMES))

    def test_a_worker_of_another_version_that_comes_late(self):
        from distributed import Reschedule

        job = Job(self.study(), self.output, "t", Limits(), self.program, "9.9")
        with mock.patch.object(batch, "_PAUSE_S", 0.0), self.assertRaises(Reschedule):
            batch.run_on_worker(job)

    def test_a_worker_with_less_memory_than_a_study_takes(self):
        job = Job(self.study(), self.output, "t", Limits(), self.program)
        for limit, threads, said in ((400e6, 2, "200 MB for a study is less than"), (250e6, 1, "250 MB for a study")):
            worker = mock.Mock(**{"memory_manager.memory_limit": limit, "state.nthreads": threads})
            with mock.patch("distributed.get_worker", return_value=worker), self.subTest(limit=limit):
                outcome = batch.run_on_worker(job)
                self.assertEqual((outcome.subject, outcome.stage), (job.study.subject, "memory limit"))
                self.assertIn(said, outcome.message)

    def test_no_worker(self):
        with dask_workers(self.folder, 0) as address:
            command = "import sys; from DCEPerfusionBMDLib import cli; sys.exit(cli.main(sys.argv[1:]))"
            arguments = ["batch", str(self.table), "--output", str(self.output), "--scheduler", address]
            process = subprocess.Popen(
                [sys.executable, "-uc", command, *arguments], stderr=subprocess.PIPE, text=True, encoding="utf-8"
            )
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            with process.stderr:
                self.assertIn("the scheduler has no worker yet", process.stderr.readline())

    def test_workers_of_our_own(self):
        """`--scheduler local` from the shell, since its workers load the main module anew."""
        lines = ["subject,dicom,segmentation", "S0,dicom,mask.nrrd", "S1,dicom,mask.nrrd"]
        self.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "DCEPerfusionBMDLib.cli", "batch", str(self.table)]
        options = ["--output", str(self.output), "--scheduler", "local", "--workers", "2"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, encoding="utf-8")
        self.assertEqual((done.returncode, self.failures()), (1, [("S0", "read"), ("S1", "read")]), done.stderr)
        self.assertIn("Dask: 2 workers", done.stdout)


if __name__ == "__main__":
    unittest.main()
