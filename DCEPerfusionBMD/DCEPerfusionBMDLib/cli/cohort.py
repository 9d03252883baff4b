"""`dce-perfusion-bmd audit`: what published tables say about themselves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..export import check_output_folder, staged
from ..figures import RESEARCH_USE
from ..statistics import audit, audit_page, audit_tables, findings_text, source_paper
from .terminal import Terminal, say


def add_commands(commands: Any) -> None:
    """The command `audit`.

    Parameters
    ----------
    commands : what `ArgumentParser.add_subparsers` returned.
    """
    command = commands.add_parser(
        "audit", help="find what cannot be as printed in the tables of a paper", epilog=RESEARCH_USE
    )
    command.set_defaults(run=_audit)
    command.add_argument(
        "paper", type=Path, nargs="?", metavar="PAPER.json", help="tables as printed; without it the source paper's"
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="folder for audit.md, findings.csv, readings.csv, correlations.csv and retests.csv",
    )
    command.add_argument(
        "--template", type=Path, metavar="FILE.json", help="write the source paper's tables, to start from, and stop"
    )


def _audit(options: argparse.Namespace, progress: Terminal) -> None:
    if options.template is not None:
        if options.paper is not None or options.output is not None:
            raise InputError("--template writes an example and stops; leave the paper and --output out")
        _write_template(options.template)
        return
    if options.output is not None:
        check_output_folder(options.output)
    paper = source_paper() if options.paper is None else _read(options.paper)
    try:
        found = audit(paper)
        if options.output is not None:
            with staged(options.output) as stage:
                (stage / "audit.md").write_text(audit_page(found, paper), encoding="utf-8", newline="")
                for table in audit_tables(found):
                    (stage / f"{table.name}.csv").write_text(table.to_csv(), encoding="utf-8", newline="")
    except InputError as error:
        raise InputError(f"{options.paper.name}: {error}" if options.paper else str(error)) from error
    say(findings_text(found))
    if options.output is not None:
        say(f"\nThe page and the tables are in {options.output}. {RESEARCH_USE}")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the paper {path.name}: {error}") from error


def _write_template(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} is there already; name another file")
    check_output_folder(path.parent)
    with staged(path.parent) as stage:
        text = json.dumps(source_paper(), indent=2, ensure_ascii=False)
        (stage / path.name).write_text(f"{text}\n", encoding="utf-8", newline="")
    say(f"The example is in {path}: numbers are texts, as printed.")
