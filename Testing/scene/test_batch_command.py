"""The batch over real studies: the same bytes as study by study, and the cohort of them."""

import csv
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import zipfile
from pathlib import Path

from DCEPerfusionBMDLib import batch, cli
from DCEPerfusionBMDLib.batch import Job, Limits, is_done, locked, run_study
from DCEPerfusionBMDLib.cli import child
from DCEPerfusionBMDLib.cli.batch import read_studies
from support import against, measured, small_phantom

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


if __name__ == "__main__":
    unittest.main()
