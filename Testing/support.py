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
from collections.abc import Iterator
from pathlib import Path

from DCEPerfusionBMDLib.phantom import LumbarPhantom

REPOSITORY = Path(__file__).resolve().parents[1]


def _absent(what: str) -> None:
    """Skip the test; fail it where the gate has promised that nothing is skipped."""
    if os.environ.get("DCE_REFERENCE_DATA"):
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
        address = json.loads(file.read_text())["address"]
        if count:
            with Client(address, timeout="60s", set_as_default=False) as client:
                client.wait_for_workers(count + join, timeout=60)
        yield address
