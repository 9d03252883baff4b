"""The worked examples of CONTRIBUTING.md do what they say: each is applied to a copy of the library and used.

An example is a heading of the third order that ends with the number of files, and a diff block for each of them. A diff
has no line numbers: what it keeps and removes must stand in the file once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import tool

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "CONTRIBUTING.md"
NUMBERS = {"one": 1, "two": 2, "three": 3}
PROMISED = {"An arterial input function": 2, "A kinetic model": 3, "A DXA reference set": 1, "A rule for a vendor": 2}

AIF = """\
import numpy as np
from DCEPerfusionBMDLib.settings import from_dict
from DCEPerfusionBMDLib.study import analyze
from support import small_phantom
phantom = small_phantom(duration_s=90.0)
found = analyze(phantom.series(), phantom.segments, from_dict({"arterial_input": {"aif": "harbor"}}))
minutes = (found.times_s - found.arrival_s) / 60.0
blood = np.where(minutes < 0, 0.0, 4.0 * np.exp(-2.5 * minutes) + 0.9 * np.exp(-0.1 * minutes))
np.testing.assert_allclose(found.input_mM, blood / (1.0 - 0.42), rtol=1e-12)
assert np.isfinite(found.vertebrae["ktrans_per_min"]).all()
"""
MODEL = """\
import numpy as np
from scipy.integrate import cumulative_trapezoid
from DCEPerfusionBMDLib.export.dicom import PRIVATE_CODES
from DCEPerfusionBMDLib.kinetics import MODELS, FitStatus
from DCEPerfusionBMDLib.settings import ModelSettings, from_dict
from DCEPerfusionBMDLib.study import analyze
from support import small_phantom
times_s, plasma = np.linspace(0.0, 120.0, 41), np.r_[np.zeros(5), np.linspace(6.0, 1.0, 36)]
curves = np.outer([0.2, 0.0, 9.0], cumulative_trapezoid(plasma, times_s / 60.0, initial=0.0))  # exact between samples
fit = MODELS["uptake"].make(times_s, plasma, ModelSettings()).fit(curves)
np.testing.assert_allclose(fit.ktrans_per_min, [0.2, np.nan, 5.0], rtol=1e-12)
assert list(fit.status) == [FitStatus.FITTED, FitStatus.NO_ENHANCEMENT, FitStatus.AT_BOUND], fit.status
np.testing.assert_allclose(fit.predict()[0], curves[0], atol=1e-12)
phantom = small_phantom(duration_s=90.0)
found = analyze(phantom.series(), phantom.segments, from_dict({"model": {"model": "uptake"}}))
assert found.parameters == ("ktrans",), found.parameters
assert np.isfinite(found.vertebrae["ktrans_per_min"]).all() and "ktrans" in found.maps
assert any(code.value == "uptake" for code in PRIVATE_CODES)
"""
DXA = """\
import numpy as np
from DCEPerfusionBMDLib.densitometry import Subject, assess, measurements_from_values
from DCEPerfusionBMDLib.settings import DensitometrySettings
measured = measurements_from_values({"bmd_g_cm2": "L1-L4=0.810"})
chosen = DensitometrySettings(reference="Harbor", device="Hologic", sex="female", menopause="post", age_years=62.0)
found = assess(measured, Subject("female", 62.0, "post"), chosen)
np.testing.assert_allclose(found.deciding.t_score, (0.810 - 1.040) / 0.115, rtol=1e-12)
assert found.classification.category.value == "low bone mass", found.classification
"""
VENDOR = """\
import tempfile, pathlib
import numpy as np
import vendors
from DCEPerfusionBMDLib.dicomio import read_series
times_s = np.array([0.0, 5.5, 11.0, 17.5, 23.0, 29.0, 41.5])
start = vendors.philips_template()
start.add_new(0x00190010, "LO", "PHILIPS MR/PART")
def edit(dataset, t, k):
    dataset.TemporalPositionIdentifier = t + 1
    dataset.add_new(0x00191022, "DS", str(times_s[t]))
with tempfile.TemporaryDirectory() as folder:
    vendors.write(pathlib.Path(folder), start, edit)
    series = read_series(pathlib.Path(folder))
np.testing.assert_allclose(series.times_s, times_s)
assert series.time_source.startswith("Philips' dynamic scan begin (0019,1022)"), series.time_source
"""
USES = {
    "An arterial input function": AIF,
    "A kinetic model": MODEL,
    "A DXA reference set": DXA,
    "A rule for a vendor": VENDOR,
}


def examples() -> dict[str, tuple[int, dict[str, list[str]]]]:
    """By heading: how many files the page promises, and the hunks of each file."""
    found: dict[str, tuple[int, dict[str, list[str]]]] = {}
    page = PAGE.read_text(encoding="utf-8")
    for title, number, text in re.findall(
        r"^### ([^:\n]+): (\w+) files?\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL
    ):
        files: dict[str, list[str]] = {}
        for path, hunks in re.findall(r"^```diff\n\+\+\+ (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            files[path] = [hunk for hunk in re.split(r"^@@\n", hunks, flags=re.MULTILINE) if hunk]
        found[title] = (NUMBERS[number], files)
    return found


def apply(hunk: str, text: str) -> str:
    """The text with the lines of a hunk that are kept and removed replaced by those that are kept and added."""
    lines = hunk.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    if any(line[0] not in " +-" for line in lines) or text.count(before) != 1 or not before:
        raise AssertionError(f"these lines stand {text.count(before)} times in the file:\n{before}")
    return text.replace(before, after)


class Examples(unittest.TestCase):
    """Each example by itself."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = Path(folder.name)
        library = Path("DCEPerfusionBMD") / "DCEPerfusionBMDLib"
        shutil.copytree(REPOSITORY / library, self.copy / library, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "pyproject.toml", self.copy)

    def used(self, title: str) -> subprocess.CompletedProcess[str]:
        paths = [self.copy / "DCEPerfusionBMD", REPOSITORY / "Testing"]
        return subprocess.run(
            [sys.executable, "-B", "-c", USES[title]],
            cwd=self.copy,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            capture_output=True,
            encoding="utf-8",
        )

    def check(self, title: str) -> None:
        promised, files = examples()[title]
        self.assertNotEqual(self.used(title).returncode, 0, "it works without the example, so nothing is shown")
        for path, hunks in files.items():
            text = (self.copy / path).read_text(encoding="utf-8")
            for hunk in hunks:
                text = apply(hunk, text)
            (self.copy / path).write_text(text, encoding="utf-8")
        run = self.used(title)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((len(files), promised), (PROMISED[title],) * 2, f"{title} touches {', '.join(files)}")
        for command in (["check"], ["format", "--check"]):
            style = subprocess.run(
                [tool("ruff"), *command, "--quiet", *(p for p in files if p.endswith(".py"))], cwd=self.copy
            )
            self.assertEqual(style.returncode, 0)

    def test_arterial_input_function(self) -> None:
        self.check("An arterial input function")

    def test_model(self) -> None:
        self.check("A kinetic model")

    def test_reference_set(self) -> None:
        self.check("A DXA reference set")

    def test_vendor_rule(self) -> None:
        self.check("A rule for a vendor")


class Page(unittest.TestCase):
    """The examples are those that are tested, and names agree between the places."""

    def test_every_example_is_tested(self) -> None:
        self.assertEqual(set(examples()), set(USES))

    def test_a_place_too_few_is_noticed(self) -> None:
        with self.assertRaisesRegex(AssertionError, "stand 0 times"):
            apply(" absent\n+new\n", "present\n")

    def test_settings_know_every_entry(self) -> None:
        from DCEPerfusionBMDLib.kinetics import MODELS, POPULATION_INPUTS
        from DCEPerfusionBMDLib.settings import all_parameters

        choices = {parameter.name: parameter.choices for parameter in all_parameters()}
        self.assertEqual(choices["model"], tuple(MODELS))
        self.assertEqual(choices["aif"], ("measured", *POPULATION_INPUTS))


if __name__ == "__main__":
    unittest.main()
