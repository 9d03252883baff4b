"""The command line: `dce-perfusion-bmd COMMAND`; `study`, `reproduce`, `dicom`, `cohort` and `batch` hold them."""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import Cancelled, InputError, Unavailable
from ..figures import RESEARCH_USE
from . import batch, cohort, dicom, reproduce, study
from .study import analyze_folder, write_phantom
from .terminal import Terminal

__all__ = ["analyze_folder", "main", "write_phantom"]

_BAD_INPUT, _UNAVAILABLE, _INTERRUPTED = 2, 75, 130  # 75 is EX_TEMPFAIL of sysexits.h


def main(arguments: Sequence[str] | None = None, progress: Terminal | None = None) -> int:
    """Run the command line and return the exit status.

    0 done, 1 done in part (studies of a batch failed, a result was not reproduced), 2 bad input, 75 no scheduler now,
    130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a name must not end the work
    parser = _parser()
    options = parser.parse_args(arguments)
    progress = progress or Terminal()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's remarks on odd files; what matters is said by us
            status: int = options.run(options, progress) or 0
    except (InputError, OSError) as error:
        progress.close()
        print(f"{parser.prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return _UNAVAILABLE if isinstance(error, Unavailable) else _BAD_INPUT
    except (KeyboardInterrupt, Cancelled):
        progress.close()
        print(f"{parser.prog}: interrupted; results are written whole or not at all", file=sys.stderr)
        return _INTERRUPTED
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dce-perfusion-bmd",
        description="Quantitative DCE-MRI of lumbar vertebrae beside bone mineral density.",
        epilog=RESEARCH_USE,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    study.add_commands(commands)
    reproduce.add_commands(commands)
    dicom.add_commands(commands)
    cohort.add_commands(commands)
    batch.add_commands(commands)
    return parser
