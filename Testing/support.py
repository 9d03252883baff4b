"""What tests share: the reference data, outside tools, and a small phantom."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from DCEPerfusionBMDLib.phantom import LumbarPhantom

REPOSITORY = Path(__file__).resolve().parents[1]
Test = TypeVar("Test", bound=Callable[..., None])

# Where the truths of the page of validation come from.
SOURCES = {
    "acr": "American College of Radiology. Practice parameter for quantitative computed tomography (QCT) bone mineral "
    "density",
    "bland-altman": "Bland JM, Altman DG. Lancet 1986;327:307-310, and Stat Methods Med Res 1999;8:135-160",
    "closed form": "closed form, written out in the test",
    "cohort": "197 made-up women with the tables of Huang 2019, made for this project; values of statsmodels, pingouin "
    "and scipy, computed apart",
    "dcmqi": "[dcmqi](https://github.com/QIICR/dcmqi): paramap2itkimage, segimage2itkimage, tid1500reader",
    "dicom": "[DICOM PS3.3](https://dicom.nema.org/medical/dicom/current/output/html/part03.html), by "
    "[dciodvfy](https://www.dclunie.com/dicom3tools.html)",
    "dunnett": "Dunnett CW. Biometrics 1964;20:482-491, tables",
    "genant": "Lu Y et al. Osteoporos Int 2001;12:438-444, and Hui SL et al. J Bone Miner Res 1997;12:1463-1470, "
    "standardized BMD",
    "georgiou": "Georgiou L et al. Magn Reson Med 2019;81:1955-1963, curve as in "
    "[OSIPI](https://github.com/OSIPI/DCE-DSC-MRI_CodeCollection)",
    "hedges": "Hedges LV, Olkin I. Statistical Methods for Meta-Analysis, 1985",
    "highdicom": "[highdicom](https://github.com/ImagingDataCommons/highdicom)",
    "huang": "Huang Z et al. Adv Clin Exp Med 2019;28:1005-1011, tables as printed",
    "iscd": "International Society for Clinical Densitometry, [Official "
    "Positions](https://iscd.org/learn/official-positions/)",
    "monte carlo": "made-up noise, thousands of realizations",
    "newcombe": "Newcombe RG. Stat Med 1998;17:857-872 and 873-890",
    "nist": "[NIST StRD](https://www.itl.nist.gov/div898/strd/anova/anova.html), certified values",
    "orton": "Orton MR et al. Phys Med Biol 2008;53:1225-1239",
    "osipi": "[OSIPI DCE-DSC-MRI CodeCollection](https://github.com/OSIPI/DCE-DSC-MRI_CodeCollection), test data",
    "parker": "Parker GJM et al. Magn Reson Med 2006;56:993-1000",
    "peers": "[statsmodels](https://www.statsmodels.org), [pingouin](https://pingouin-stats.org)",
    "phantom": "lumbar phantom of this project, whose truth is what it was made with",
    "pkmodeling": "[PkModeling](https://github.com/QIICR/PkModeling), digital reference object",
    "planted": "planted by the test",
    "qiba": "[QIBA](https://qibawiki.rsna.org) digital reference object, Tofts version 6, Duke University 2011",
    "r": "[R](https://www.r-project.org) on its data sets PlantGrowth, sleep and mtcars",
    "schema": "[JSON Schema 2020-12](https://json-schema.org) by jsonschema",
    "scipy": "[scipy](https://scipy.org)",
    "shrout-fleiss": "Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428, and R's psych",
    "slicer": "DICOM reader of [3D Slicer](https://www.slicer.org)",
    "weinmann": "Tofts PS, Kermode AG. Magn Reson Med 1991;17:357-367, closed form for the input of Weinmann 1984",
    "who": "WHO Technical Report Series 843, 1994",
}
MEASURED: list[tuple[str, str, float, str, str, bool]] = []
may_skip = not os.environ.get("DCE_REFERENCE_DATA")


def against(field: str, what: str, source: str, of: str) -> Callable[[Test], Test]:
    """Mark a test as one of an outside truth: `make validate` runs it and shows what it measured.

    Parameters
    ----------
    field : str
        Heading on the page.
    what : str
        The truth.
    source : str
        Key of `SOURCES`.
    of : str
        What of ours is measured.
    """
    if source not in SOURCES:
        raise KeyError(source)
    return lambda test: test


def measured(
    test: unittest.TestCase, quantity: str, found: object, bar: float, unit: str = "", at_least: bool = False
) -> None:
    """The largest magnitude in `found` is at most `bar`, or with `at_least` the smallest value at least that.

    It is kept for the page of validation; of several of one name in one test the worst is shown.
    """
    values = np.asarray(found, dtype=float)
    value = float(values.min() if at_least else np.abs(values).max())
    within = value >= bar if at_least else value <= bar
    sign = "≥" if at_least else "≤"
    MEASURED.append((test.id(), quantity, value, f"{sign} {bar:.6g}", unit, within))
    if not within:
        raise AssertionError(f"{quantity}: {value:.6g} {unit}, not {sign} {bar:.6g}")


def _absent(what: str) -> None:
    """Skip the test; fail it where the gate has promised that nothing is skipped."""
    if not may_skip:
        raise AssertionError(f"{what} is absent although DCE_REFERENCE_DATA is set")
    raise unittest.SkipTest(f"{what} is absent")


def reference_data(name: str) -> Path:
    """A folder of the public reference data; the test is skipped where it is absent."""
    root = Path(os.environ.get("DCE_REFERENCE_DATA") or REPOSITORY.parent / "shared" / "reference-data")
    if not (root / name).exists():
        _absent(f"reference data {name!r}")
    return root / name


def needs(name: str) -> None:
    """The test is skipped where an optional package is absent."""
    if importlib.util.find_spec(name) is None:
        _absent(f"package {name!r}")


def tool(name: str) -> str:
    """Path of an outside program, beside this Python or elsewhere; the test is skipped where it is absent."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        _absent(f"program {name!r}")
    return str(found)


def small_phantom(**changes: object) -> LumbarPhantom:
    """The lumbar phantom on a coarse grid with 50 frames."""
    protocol = {"rows": 128, "columns": 96, "slices": 6, "duration_s": 150.0}
    return LumbarPhantom(**{**protocol, **changes})  # type: ignore[arg-type]


def run(*arguments: object) -> tuple[object, str, str]:
    """Exit status, standard output and standard error of the command line."""
    from DCEPerfusionBMDLib import cli  # not every test needs it

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
    return status, out.getvalue(), err.getvalue()


@contextlib.contextmanager
def dask_workers(folder: Path | str, count: int, package: Path | None = None, join: bool = False) -> Iterator[str]:
    """A scheduler, unless there is one to join, and workers in processes of their own; gives its address."""
    from distributed import Client  # not every test needs it

    dask, file = tool("dask"), Path(folder, "scheduler.json")
    path = [str(package)] * (package is not None) + list(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    commands = [] if join else [["scheduler", "--host", "127.0.0.1", "--port", "0"]]
    workers = ["--nworkers", str(count), "--nthreads", "1", "--memory-limit", "1GB", "--local-directory", str(folder)]
    commands += [["worker", *workers]] if count else []
    with contextlib.ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(
                [dask, *command, "--scheduler-file", str(file), "--no-dashboard"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        if count:
            with Client(address, timeout="60s", set_as_default=False) as client:
                client.wait_for_workers(count + join, timeout=60)
        yield address
