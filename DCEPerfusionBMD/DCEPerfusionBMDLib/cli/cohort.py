"""`dce-perfusion-bmd cohort` and `audit`: many subjects compared, and what published tables say about themselves."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..export import check_output_folder, sha256_of, staged
from ..figures import RESEARCH_USE
from ..series import part_of
from ..settings import CohortSettings, parameters
from ..tables import Table, visible
from .options import add_option
from .terminal import Terminal, say


def add_commands(commands: Any) -> None:
    """The commands `cohort` and `audit`.

    Parameters
    ----------
    commands : what `ArgumentParser.add_subparsers` returned.
    """
    command = commands.add_parser(
        "cohort", help="tables, figures, tests and report of many subjects", epilog=RESEARCH_USE
    )
    command.set_defaults(run=_cohort)
    files = command.add_argument_group("files")
    files.add_argument(
        "table",
        type=Path,
        nargs="?",
        metavar="TABLE.csv",
        help="one row per subject, or per vertebra with a column level; columns are told by name and unit",
    )
    files.add_argument(
        "--results",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="instead of a table: folders that analyze wrote, or folders that hold such folders",
    )
    files.add_argument("--dxa", type=Path, metavar="FILE.csv", help="densitometry of the subjects of --results")
    files.add_argument(
        "--subjects", type=Path, metavar="FILE.csv", help="age, sex and whatever else of the subjects of --results"
    )
    files.add_argument(
        "--dictionary",
        type=Path,
        metavar="FILE",
        help="what headings mean, where their names do not tell: CSV with heading,column, or a JSON object",
    )
    files.add_argument("--output", type=Path, metavar="OUT", help="folder for tables, figures and report")
    files.add_argument(
        "--example", type=Path, metavar="FILE.csv", help="write a made-up cohort to start from, and stop"
    )
    files.add_argument("--no-figures", action="store_true", help="leave the figures out")
    group = command.add_argument_group("comparison")
    for parameter in parameters(CohortSettings):
        add_option(group, parameter, f"cohort.{parameter.name}")

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


def _cohort(options: argparse.Namespace, progress: Terminal) -> None:
    from ..cohort import analyze_cohort, assemble, read_dictionary, read_table
    from ..export.cohortfiles import write_cohort

    if options.example is not None:
        if options.table is not None or options.results or options.output is not None:
            raise InputError("--example writes a cohort and stops; leave table, --results and --output out")
        _write_new(options.example, _example(CohortSettings().seed))
        say(f"The made-up cohort is in {options.example}: for examples and tests, never for inference.")
        return
    if (options.table is None) == (not options.results):
        raise InputError("give one of TABLE.csv and --results")
    if options.table is not None and (options.dxa or options.subjects):
        raise InputError("--dxa and --subjects go with --results; put their columns into the table")
    if options.output is None:
        raise InputError("--output is missing: a folder for tables, figures and report")
    check_output_folder(options.output)
    values = {parameter.name: getattr(options, f"cohort.{parameter.name}") for parameter in parameters(CohortSettings)}
    settings = CohortSettings(**{name: value for name, value in values.items() if value is not None})
    dictionary = read_dictionary(options.dictionary) if options.dictionary is not None else None
    progress(0.0, "Reading the cohort")
    if options.table is not None:
        cohort = read_table(options.table, settings, dictionary)
    else:
        cohort = assemble(
            options.results, settings, options.dxa, options.subjects, dictionary, progress=part_of(progress, 0.0, 0.3)
        )
    result = analyze_cohort(cohort, settings, part_of(progress, 0.3, 0.7))
    files = {"table": options.table, "dxa": options.dxa, "subjects": options.subjects, "dictionary": options.dictionary}
    hashes = {name: sha256_of(path) for name, path in files.items() if path is not None}
    said = write_cohort(result, options.output, part_of(progress, 0.7, 1.0), not options.no_figures, hashes)
    progress.close()
    for warning in (*cohort.notes, *result.warnings, *said):
        say(f"Warning: {warning}", sys.stderr)
    counted = f"{cohort.rows_read} rows read, {result.rows} analyzed, {cohort.rows_read - result.rows} left out"
    say(f"{cohort.name}: {counted}, {len(cohort.unmatched)} subjects without a match.")
    if result.subjects_left_out:
        say(f"{result.subjects} subjects compared, {len(result.subjects_left_out)} left out; see left_out.csv.")
    if cohort.ignored:
        say(f"Ignored columns: {', '.join(map(visible, cohort.ignored))}.")
    for table in result.tables:
        say(f"\n{table.title}\n{_aligned(table.printed)}\n{table.numeric.footnote}")
    say(f"\nTables, figures and report.html are in {options.output}. {RESEARCH_USE}")


def _aligned(table: Table) -> str:
    """A table of texts for a terminal."""
    columns = [[column.title, *(str(value) for value in column.values)] for column in table.columns]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _example(seed: int) -> str:
    from ..statistics import synthetic_cohort

    columns = synthetic_cohort(seed)
    texts = [
        [f"{value:.4f}" for value in values] if values.dtype.kind == "f" else values.tolist()
        for values in columns.values()
    ]
    rows = [",".join(columns), *(",".join(row) for row in zip(*texts, strict=True))]
    return "\n".join([*rows, ""])


def _audit(options: argparse.Namespace, progress: Terminal) -> None:
    from ..statistics import audit, audit_page, audit_tables, findings_text, source_paper

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
    from ..statistics import source_paper

    _write_new(path, json.dumps(source_paper(), indent=2, ensure_ascii=False) + "\n")
    say(f"The example is in {path}: numbers are texts, as printed.")


def _write_new(path: Path, text: str) -> None:
    if path.exists():
        raise InputError(f"{path} is there already; name another file")
    check_output_folder(path.parent)
    with staged(path.parent) as stage:
        (stage / path.name).write_text(text, encoding="utf-8", newline="")
