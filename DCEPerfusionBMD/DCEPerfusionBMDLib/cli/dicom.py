"""`dce-perfusion-bmd export-dicom`: a result as DICOM objects."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..export import export_dicom
from ..figures import RESEARCH_USE
from .terminal import Terminal, say


def add_commands(commands: Any) -> None:
    """The command `export-dicom`.

    Parameters
    ----------
    commands : what `ArgumentParser.add_subparsers` returned.
    """
    command = commands.add_parser("export-dicom", help="write a result as DICOM objects", epilog=RESEARCH_USE)
    command.set_defaults(run=_export_dicom)
    command.add_argument("result", type=Path, metavar="OUT", help="folder that analyze wrote")
    command.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="folder with the DICOM series that was analyzed"
    )
    command.add_argument("--output", type=Path, metavar="DIR", help="folder for the objects (OUT/dicom)")


def _export_dicom(options: argparse.Namespace, progress: Terminal) -> None:
    output = options.output or options.result / "dicom"
    notes = export_dicom(options.result, options.source, output, progress)
    progress.close()
    for note in notes:
        say(f"warning: {note}", sys.stderr)
    say(f"DICOM objects are in {output}; they name the patient as the source does. {RESEARCH_USE}")
