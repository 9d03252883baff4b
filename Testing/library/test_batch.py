"""The batch: what its table may say, what is done again, how studies fail, and that failures stay alone.

The analysis is replaced by a small program, so that crashes and hangs can be had; `Testing/scene/test_batch_command.py`
runs the real one.
"""

import csv
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

from DCEPerfusionBMDLib import batch, cli
from DCEPerfusionBMDLib.batch import Job, Limits, Study, Tally, is_done, locked, run_studies, run_study
from DCEPerfusionBMDLib.cli.batch import read_studies
from DCEPerfusionBMDLib.errors import InputError
from support import needs, tool

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
            (["subject,dicom,segmentation", ",dicom,mask.nrrd"], "row 2 has no subject"),
            (["subject,dicom,segmentation", "A,dicom"], "row 2 has 2 cells"),
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
        )
        self.assertEqual([study.subject for study in plan.studies], ["good"])
        self.assertEqual([f.subject for f in plan.failures], ["both", "nomask", "age", "flag", "choice"])
        self.assertEqual({f.stage for f in plan.failures}, {"input"})

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
        self.assertTrue(is_done(Study("S1", {}, inputs), self.folder / "moved"))

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
        ):
            with self.subTest(said):
                status, _, err = self.command(*options)
                self.assertEqual((status, err.count("\n")), (2, 1))
                self.assertIn(said, err)

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


class OnDask(TheCommand):
    """The same over a scheduler and two workers in processes of their own."""

    @classmethod
    def setUpClass(cls):
        needs("distributed")
        dask = tool("dask")
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        file = Path(temporary.name, "scheduler.json")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        common = ["--scheduler-file", str(file), "--no-dashboard"]
        workers = ["--nworkers", "2", "--nthreads", "1", "--memory-limit", "1GB", "--local-directory", temporary.name]
        for command in (["scheduler", "--host", "127.0.0.1", "--port", "0"], ["worker", *workers]):
            process = subprocess.Popen(
                [dask, *command, *common], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            cls.addClassCleanup(process.wait)
            cls.addClassCleanup(process.terminate)
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        cls.address = json.loads(file.read_text(encoding="utf-8"))["address"]

    def command(self, *options):
        options = [option for option in options if option not in ("--workers", "2")]
        return super().command("--scheduler", self.address, *options)

    test_bad_options = test_interrupted_and_killed = None

    def test_no_scheduler(self):
        with mock.patch.object(type(self), "address", "tcp://127.0.0.1:9"):
            status, _, err = self.command()
        self.assertEqual(status, 2)
        self.assertIn("no Dask scheduler answers at tcp://127.0.0.1:9", err)


if __name__ == "__main__":
    unittest.main()
