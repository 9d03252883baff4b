"""One study of a batch, in a process of its own: `python -m DCEPerfusionBMDLib.cli.child JOB.json`.

3D Slicer runs the same file by `--python-script`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from DCEPerfusionBMDLib.batch import (
    OUT_OF_MEMORY,
    SAID,
    SILENCE_S,
    STAGE,
    STOPPED,
    finish,
    limit_memory,
    pulse,
    runs,
)
from DCEPerfusionBMDLib.cli import main
from DCEPerfusionBMDLib.cli.terminal import Terminal
from DCEPerfusionBMDLib.errors import InputError

_GRACE_S = 30.0  # in which whoever started it ends it, and says so


class _Stage(Terminal):
    """Notes in a file what is being done: read, analyze or write."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._noted = ""

    def __call__(self, fraction: float, message: str) -> bool:
        stage = "read" if fraction < 0.4 else "analyze" if fraction < 0.6 else "write"
        if stage != self._noted:
            with contextlib.suppress(OSError):  # the reason is told where it matters
                self._path.write_text(stage, encoding="ascii")
            self._noted = stage
        return super().__call__(fraction, message)


def run(path: Path) -> int:
    """Do the study of a job file and return the exit status, which is that of `analyze` or one of `batch`."""
    work = path.parent
    if not __package__:  # in 3D Slicer, whose own streams lack much of what a file has
        sys.stdout = sys.stderr = (work / SAID).open("a", encoding="utf-8")
    job = json.loads(path.read_text(encoding="utf-8"))
    limit_memory(job["memory_MB"])
    threading.Thread(target=_watch, args=(job,), daemon=True).start()
    try:
        status = main(job["arguments"], _Stage(work / STAGE))
        if status == 0:
            finish(job, work)
    except MemoryError as error:
        print(f"MemoryError: {error}", file=sys.stderr, flush=True)
        return OUT_OF_MEMORY
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return status


def _watch(job: dict[str, Any]) -> None:
    """End this process when its batch, or the process that started it, is no more, or has lost it."""
    output, began = Path(job["output"]), time.monotonic()
    heard, last = began, pulse(output)
    while runs(output, job["token"]) and job["parent"] in (None, os.getppid()):
        now, found = time.monotonic(), pulse(output)
        if found is None or found != last:
            heard, last = now, found
        if now - heard > SILENCE_S or (job["time_s"] is not None and now - began > job["time_s"] + _GRACE_S):
            break
        time.sleep(1.0)
    os._exit(STOPPED)


if __name__ == "__main__":
    try:
        status = run(Path(sys.argv[-1]))
    except Exception:  # the last line of it becomes the reason of the failure
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # inside Slicer, too, where sys.exit does not end the application
