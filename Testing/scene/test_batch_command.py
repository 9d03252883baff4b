"""The batch over real studies: the same bytes as study by study, and the cohort of them."""

import contextlib
import csv
import gzip
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import zipfile
from pathlib import Path

from DCEPerfusionBMDLib import batch, cli
from DCEPerfusionBMDLib.batch import Job, Limits, is_done, locked, run_study
from DCEPerfusionBMDLib.cli import child
from DCEPerfusionBMDLib.cli.batch import read_studies
from support import against, dask_workers, measured, needs, small_phantom

COMMAND = [sys.executable, "-m", "DCEPerfusionBMDLib.cli"]
LIKE_SLICER = (
    "import sys; path = sys.argv.pop(1); sys.path.insert(0, ''); __file__ = path; exec(open(path).read(), globals())"
)


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of all that a result holds, without the time of its making and the record of the batch."""

    def digest(content: bytes) -> str:
        return hashlib.sha256(re.sub(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", b"", content)).hexdigest()

    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".mrb":
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    found[f"{name}/{member.partition('/')[2]}"] = digest(archive.read(member))
        elif path.is_file() and name != batch.RECORD:
            found[name] = digest(path.read_bytes())
    return found


class Batch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cli.write_phantom(small_phantom(rows=64, columns=48, slices=4, duration_s=60.0), cls.folder)
        (cls.folder / "corrupt").mkdir()
        (cls.folder / "half").mkdir()
        for n, path in enumerate(sorted((cls.folder / "dicom").iterdir())):
            (cls.folder / "corrupt" / path.name).write_bytes(path.read_bytes()[:700])
            (cls.folder / "half" / path.name).write_bytes(path.read_bytes()[: 700 if n % 2 else None])
        cls.table = cls.folder / "studies.csv"
        with cls.table.open("w", newline="", encoding="utf-8") as file:
            rows = [["A", "dicom", 61], ["bad", "corrupt", ""], ["B", "dicom", 72], ["half", "half", ""]]
            writer = csv.writer(file)
            writer.writerow(["subject", "dicom", "age", "segmentation"])
            writer.writerows([*row, "segmentation.seg.nrrd"] for row in rows)
        cls.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    @against("Reproducibility", "each study of a batch analyzed alone", "closed form", "dce-perfusion-bmd batch")
    def test_same_bytes_as_study_by_study(self):
        output = self.folder / "out"
        command = [*COMMAND, "batch", str(self.table), "--output", str(output), "--workers", "2"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, encoding="utf-8")
        self.assertEqual(done.returncode, 1, done.stderr)
        with (output / "failures.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({(row["stage"], row["exit_code"]) for row in rows}, {("read", "2")})
        self.assertEqual([row["subject"] for row in rows], ["bad", "half"])
        self.assertIn("40 files truncated", rows[1]["message"])
        self.assertTrue(rows[0]["message"])
        for study in read_studies(self.table).studies:
            if study.subject in ("A", "B"):
                alone = self.folder / f"alone{study.subject}"
                arguments = [*study.arguments(), f"--output={alone}"]
                subprocess.run([*COMMAND, *arguments], env=self.environment, check=True, capture_output=True)
                differ = contents(alone) != contents(output / "studies" / study.name)
                measured(self, "results that differ", differ, 0)
                self.assertTrue(is_done(study, output))
        self.assertTrue((output / "cohort" / "report.html").is_file())
        self.assertIn("Cohort: 2 subjects, 0 left out", done.stdout)
        self.assertEqual([path for path in output.rglob(".unfinished-*")], [])

    def test_child_as_slicer_runs_it(self):
        """By exec in a main without a package, as Slicer's executeFile does, with the path of the job as argument."""
        output = self.folder / "slicer"
        program = (sys.executable, "-c", LIKE_SLICER, str(Path(child.__file__)))
        environment = {name: value for name, value in self.environment.items() if name != "PYTHONPATH"}
        packages = [path for path in sys.path if "packages" in path]
        good, bad, *_ = read_studies(self.table).studies
        with locked(output) as token, unittest.mock.patch.dict(os.environ, environment, clear=True):
            os.environ["PYTHONPATH"] = os.pathsep.join(packages)
            self.assertEqual(run_study(Job(good, output, token, Limits(), program)), batch.Outcome("A"))
            outcome = run_study(Job(bad, output, token, Limits(), program))
        self.assertEqual((outcome.stage, outcome.exit_code), ("read", 2), outcome)

    @unittest.skipUnless(sys.platform == "linux", "memory is bounded on Linux only")
    def test_memory_limits_of_the_real_child(self):
        """Too little to start a thread."""
        output = self.folder / "bounded"
        good = read_studies(self.table).studies[0]
        with locked(output) as token, unittest.mock.patch.dict(os.environ, self.environment):
            for memory_MB in (60.0, 100.0):
                with self.subTest(memory_MB):
                    outcome = run_study(Job(good, output, token, Limits(memory_MB=memory_MB)))
                    self.assertEqual(outcome.stage, "memory limit", outcome)
                    self.assertNotIn("not installed", outcome.message)

    @unittest.skipUnless(sys.platform == "linux", "processes are found in /proc")
    def test_a_child_ends_with_its_parent(self):
        output = self.folder / "orphan"
        code = (
            "import sys; from pathlib import Path; from DCEPerfusionBMDLib.batch import Job, Limits, run_study\n"
            "from DCEPerfusionBMDLib.cli.batch import read_studies\n"
            "run_study(Job(read_studies(Path(sys.argv[1])).studies[0], Path(sys.argv[2]), sys.argv[3], Limits()))"
        )
        with locked(output) as token:
            command = [sys.executable, "-c", code, str(self.table), str(output), token]
            parent = subprocess.Popen(command, env=self.environment)
            child = self.child_of(output, "A")
            parent.kill()
            parent.wait()
            self.assertTrue(ended(child, 20.0))
            self.assertFalse((output / "studies" / "A").exists())

    def child_of(self, output, name):
        """The process of a study, once it is there."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for found in children(output).get(name, ()):
                return found
            time.sleep(0.02)
        raise AssertionError(f"{name} has not begun")


class Watching(unittest.TestCase):
    """What ends a child that nobody else can end."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.output = Path(temporary.name)

    def watched(self, token, time_s=None):
        """Seconds after which the child would end, 3 at most."""
        job = {"output": str(self.output), "token": token, "parent": None, "time_s": time_s}
        start, over = time.monotonic(), threading.Event()
        with unittest.mock.patch.object(os, "_exit", lambda status: over.set()):
            watch = threading.Thread(target=child._watch, args=(job,), daemon=True)
            watch.start()
            over.wait(3.0)
            took = time.monotonic() - start
            batch.stop(self.output)
            watch.join()
        return took

    def test_a_batch_that_is_silent(self):
        with unittest.mock.patch.object(child, "SILENCE_S", 0.5):
            with locked(self.output) as token:
                self.assertLess(self.watched(token), 2.5)
            with unittest.mock.patch.object(batch, "_BEAT_S", 0.1), locked(self.output) as token:
                self.assertGreaterEqual(self.watched(token), 3.0)

    def test_a_time_limit_that_nobody_keeps(self):
        with unittest.mock.patch.object(child, "_GRACE_S", 0.2), locked(self.output) as token:
            self.assertLess(self.watched(token, 0.2), 2.5)


class Headless(unittest.TestCase):
    def test_why_slicer_core_is_not_there(self):
        for content, said in (
            ("raise ImportError('libvtk.so: failed to map segment')", "cannot be loaded: libvtk.so: failed to map"),
            ("raise ModuleNotFoundError('no slicer', name='slicer')", "slicer-core is not installed"),
        ):
            with self.subTest(said), tempfile.TemporaryDirectory() as folder:
                Path(folder, "slicer.py").write_text(content, encoding="utf-8")
                path = os.pathsep.join([folder, *filter(None, sys.path)])
                command = [sys.executable, "-c", "import DCEPerfusionBMDLib.headless"]
                done = subprocess.run(
                    command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, encoding="utf-8"
                )
                self.assertIn(said, done.stderr)


@unittest.skipUnless(sys.platform == "linux", "processes are found in /proc")
class Disturbed(unittest.TestCase):
    """Four good studies and three bad ones; truth is `analyze` on each good one."""

    GOOD = ("G1", "G2", "G3", "G4")

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cli.write_phantom(small_phantom(rows=64, columns=48, slices=4, duration_s=60.0), cls.folder)
        (cls.folder / "corrupt").mkdir()
        for path in (cls.folder / "dicom").iterdir():
            (cls.folder / "corrupt" / path.name).write_bytes(path.read_bytes()[:700])
        huge = "NRRD0004\ntype: uchar\ndimension: 4\nsizes: 1000 1000 100 10\nencoding: gzip\nspace: ras\n"
        huge += (
            "space directions: (1,0,0) (0,1,0) (0,0,1) none\nspace origin: (0,0,0)\nkinds: domain domain domain list"
        )
        with gzip.open(cls.folder / "zeros.gz", "wb", 1) as file:
            for _ in range(100):
                file.write(bytes(10**7))
        data = (cls.folder / "zeros.gz").read_bytes()
        (cls.folder / "huge.nrrd").write_bytes(huge.encode() + b"\n" + data)
        cls.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        rows = [["hang", "dicom", "", ""], ["G1", "dicom", "", ""], ["G2", "dicom", "", ""]]
        rows += [["memory", "", "huge.nrrd", "4.5"], ["corrupt", "corrupt", "", ""]]
        rows += [["G3", "dicom", "", ""], ["G4", "dicom", "", ""]]
        cls.table = cls.write(rows, "studies.csv")
        cls.calm = cls.write(rows[1:], "calm.csv")
        cls.truth, began = {}, time.monotonic()
        for study in read_studies(cls.table).studies:
            if study.subject in cls.GOOD:
                alone = cls.folder / f"alone{study.subject}"
                command = [*COMMAND, *study.arguments(), f"--output={alone}"]
                subprocess.run(command, env=cls.environment, check=True, capture_output=True)
                cls.truth[study.subject] = contents(alone)
        cls.limits = ["--memory-limit", "700", "--time-limit", str(10 + round(time.monotonic() - began))]

    @classmethod
    def write(cls, rows, name):
        with (cls.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["subject", "dicom", "volumes", "times", "segmentation"])
            writer.writerows([*row, "segmentation.seg.nrrd"] for row in rows)
        return cls.folder / name

    def start(self, table, output, *options):
        command = [*COMMAND, "batch", str(table), "--output", str(output), "--no-cohort", *self.limits, *options]
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def check(self, output, *bad):
        self.assertEqual(sorted(path.name for path in (output / "studies").iterdir()), sorted(self.GOOD))
        for name in self.GOOD:
            self.assertEqual(contents(output / "studies" / name), self.truth[name])
        with (output / "failures.csv").open(newline="", encoding="utf-8") as file:
            rows = {row["subject"]: row for row in csv.DictReader(file)}
        self.assertEqual({name: row["stage"] for name, row in rows.items()}, dict(bad))
        self.assertIn("needs more than 700 MB", rows["memory"]["message"])
        self.assertTrue(rows["corrupt"]["message"])
        return rows

    def test_kills_hangs_and_bad_studies(self):
        """SIGKILL of five children and of the client; then the batch again, in which one study hangs."""
        output, killed = self.folder / "threads", set()
        client = self.start(self.table, output, "--workers", "2")
        deadline, stopped, complete = time.monotonic() + 240, 0, output / "studies" / "G1"
        while not (len(killed) == 5 and stopped and complete.exists()) and time.monotonic() < deadline:
            for name, processes in children(output).items():
                if name in ("hang", "G2", "memory", "corrupt", "G3") and name not in killed:
                    os.kill(processes[0], signal.SIGKILL)
                    killed.add(name)
                elif name == "G4" and not stopped:
                    stopped = processes[0]
                    os.kill(stopped, signal.SIGSTOP)  # so that the client does not end by itself
            time.sleep(0.02)
        self.assertEqual(len(killed), 5)
        client.kill()
        client.wait()
        os.kill(stopped, signal.SIGCONT)
        self.assertTrue(ended(stopped, 20.0))
        done = {path.name: path.stat().st_ino for path in (output / "studies").iterdir() if path.name in self.GOOD}
        self.assertEqual(list(done), ["G1"])
        client = self.start(self.table, output, "--workers", "2")
        while client.poll() is None and time.monotonic() < deadline:
            for process in children(output).get("hang", ()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            self.assertNotIn("G1", children(output))
            time.sleep(0.1)
        self.assertEqual(client.wait(), 1, client.stderr.read())
        rows = self.check(output, ("hang", "time limit"), ("memory", "memory limit"), ("corrupt", "read"))
        self.assertRegex(rows["hang"]["message"], "not done after .* s, in stage read")
        self.assertEqual((output / "studies" / "G1").stat().st_ino, done["G1"])

    def test_the_same_on_dask(self):
        """A scheduler and two workers in processes of their own."""
        needs("distributed")
        output = self.folder / "dask"
        with dask_workers(self.folder, 2) as address:
            client = self.start(self.calm, output, "--scheduler", address)
            self.assertEqual(client.wait(240), 1, client.stderr.read())
        self.check(output, ("memory", "memory limit"), ("corrupt", "read"))


def children(output: Path) -> dict[str, list[int]]:
    """The processes of a batch by their studies."""
    found: dict[str, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            match = re.search(
                rf"cli\.child\0{re.escape(str(output))}/studies/\.unfinished-(\w+)-", path.read_text(encoding="utf-8")
            )
            if match:
                found.setdefault(match[1], []).append(int(path.parent.name))
    return found


def ended(process: int, within_s: float) -> bool:
    """Whether a process ends in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    unittest.main()
