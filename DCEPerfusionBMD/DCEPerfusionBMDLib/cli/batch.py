"""`dce-perfusion-bmd batch`: many studies, then the cohort."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..batch import (
    LEAST_MB,
    LOCAL,
    STUDIES,
    Job,
    Limits,
    Outcome,
    Study,
    Tally,
    dask_cluster,
    failures_table,
    is_done,
    locked,
    replace_file,
    run_studies,
    stop,
    thread_pool,
)
from ..densitometry.dxa import table_rows
from ..errors import InputError
from ..export import check_output_folder, sha256_of
from ..figures import RESEARCH_USE
from ..series import part_of
from ..settings import CohortSettings
from ..tables import one_line, plain_cell
from ..times import is_file
from . import study
from .terminal import Terminal, say

_FAILED = 1
_OF_THE_BATCH = ("help", "output", "subject")
_LIKE_A_FILE = re.compile(r"[/\\]|\.(csv|tsv|txt)$", re.IGNORECASE)
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_TIME_LIMIT_S = 3600.0
_LINE_EVERY_S, _BAR_EVERY_S = 30.0, 0.5
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
_CHECKERS, _AT_A_TIME = 8, 256


def add_commands(commands: Any) -> None:
    """The command `batch`.

    Parameters
    ----------
    commands : what `ArgumentParser.add_subparsers` returned.
    """
    command = commands.add_parser(
        "batch",
        help="analyze many studies, then compare them",
        description="Analyzes every study of a table, each in a process of its own, and puts the cohort together. A "
        "second run does what is missing or changed. Exit status: 0 all done, 1 some failed (OUT/failures.csv), 2 bad "
        ""
        "input, 75 no scheduler now, 130 interrupted.",
        epilog=RESEARCH_USE,
    )
    command.set_defaults(run=_batch)
    command.add_argument(
        "table",
        type=Path,
        metavar="STUDIES.csv",
        help="one row per study: subject, dicom or volumes, segmentation, and any other option of analyze by its name "
        "(yes or no for those without a value); paths from the folder of the table",
    )
    command.add_argument(
        "--output", type=Path, required=True, metavar="OUT", help="folder for studies/, cohort/ and failures.csv"
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="studies at a time on this machine; default one per CPU"
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="a running Dask scheduler that starts them, as tcp://host:8786, or local"
    )
    command.add_argument(
        "--time-limit",
        type=float,
        default=_TIME_LIMIT_S,
        metavar="S",
        help="seconds after which a study is ended and failed (%(default)g)",
    )
    command.add_argument(
        "--memory-limit",
        type=float,
        metavar="MB",
        help="memory that a study may take, on Linux only; default the memory of the machine shared by its workers",
    )
    command.add_argument(
        "--verify",
        action="store_true",
        help="compare the inputs of finished studies byte by byte, not by time and size",
    )
    command.add_argument("--no-cohort", action="store_true", help="leave the cohort out")
    command.add_argument(
        "--slicer", type=Path, metavar="FILE", help="start each study in this 3D Slicer instead of this Python"
    )


def _batch(options: argparse.Namespace, progress: Terminal) -> int:
    if options.workers is not None and options.scheduler not in (None, LOCAL):
        raise InputError("give one of --workers and --scheduler")
    workers = options.workers if options.workers is not None else _cpus()
    if workers < 1:
        raise InputError("--workers must be 1 or more")
    for name, value in (("--time-limit", options.time_limit), ("--memory-limit", options.memory_limit)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be above 0")
    output = options.output.absolute()
    check_output_folder(output)
    memory_MB = options.memory_limit
    if options.scheduler in (None, LOCAL):
        memory_MB = memory_MB or _share_of_memory(workers)
    if memory_MB is not None and memory_MB < LEAST_MB:
        raise InputError(
            f"{memory_MB:.0f} MB for a study is less than its programs take; give --memory-limit {LEAST_MB:g} or "
            "more, or fewer --workers"
        )
    limits = Limits(options.time_limit, memory_MB)
    plan = read_studies(options.table)
    pool = thread_pool(workers) if options.scheduler is None else dask_cluster(options.scheduler, workers, _tell)
    with locked(output) as token:
        ready, outcomes = _what_is_done(plan, output, options.verify)
        program = _slicer(options.slicer) if options.slicer is not None else ()
        jobs = [Job(one, output, token, limits, program) for one in ready]
        refused = [*plan.failures, *outcomes]
        total = len(plan.studies) + len(plan.failures)
        tally = Tally(total, total - len(ready) - len(refused), len(refused), failures=refused)
        say(
            f"{total} studies: {tally.found} done before, {len(jobs)} to {'compare' if options.verify else 'do'}, "
            f"{len(refused)} cannot be done."
        )
        _write_failures(output, tally)
        if jobs:
            with pool as (executor, window, work):
                line = _Line(output, tally, workers if options.scheduler is None else None)
                try:
                    for outcome in run_studies(jobs, executor, window, work):
                        line.show(outcome)
                except KeyboardInterrupt:
                    stop(output)
                    raise
                finally:
                    line.close()
                    _write_failures(output, tally)
        failed = {outcome.subject for outcome in tally.failures}
        done = [output / STUDIES / one.name for one in plan.studies if one.subject not in failed]
        _say_of_others(output, plan)
        if tally.failures:
            say(f"{len(tally.failures)} of {tally.total} studies failed: {output / 'failures.csv'}", sys.stderr)
        if done and not options.no_cohort:
            write_cohort_of(done, options.table, output / "cohort", progress)
        elif (output / "cohort").exists():
            say(f"Warning: {output / 'cohort'} is of an earlier run, and not of these results", sys.stderr)
    say(f"{len(done)} results are in {output / STUDIES}. {RESEARCH_USE}")
    return _FAILED if tally.failures else 0


# ---- the table


@dataclass(frozen=True)
class Plan:
    """The studies of a table, and the rows that cannot be one."""

    studies: tuple[Study, ...]
    failures: tuple[Outcome, ...]


def read_studies(path: Path) -> Plan:
    """The studies of a table.

    Parameters
    ----------
    path : CSV with the columns subject, dicom or volumes, segmentation, and options of `analyze` by name.

    Raises
    ------
    InputError
        where a column is no option, a subject is there twice, or the table cannot be read.
    """
    known = _options_of_analyze()
    rows = table_rows(path, "the table of studies")
    heading = [plain_cell(cell).strip() for cell in next(rows, [])]
    while heading and not heading[-1]:  # a spreadsheet writes columns that were once used
        heading.pop()
    names = [known_name(cell, known, path.name) for cell in heading]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path.name} has the column {name!r} twice; keep one")
    if "subject" not in names:
        raise InputError(f"{path.name} has no column 'subject'; its columns are {', '.join(heading) or 'none'}")
    studies: list[Study] = []
    failures: list[Outcome] = []
    seen: dict[str, str] = {}
    base = path.absolute().parent
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = {name: text for name, cell in zip(names, cells, strict=False) if (text := plain_cell(cell).strip())}
        subject = one_line(row.pop("subject", ""))
        if not subject:
            failures.append(Outcome(f"row {number}", "input", "there is no subject"))
            continue
        other = seen.get(subject.casefold())
        if other is not None:
            raise InputError(
                f"{path.name} row {number}: the subject {subject!r} is there already"
                + (f" as {other!r}" if other != subject else "")
                + "; each study needs a subject of its own"
            )
        seen[subject.casefold()] = subject
        try:
            if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
                raise InputError(f"row {number} has {len(cells)} cells, the heading has {len(names)}")
            studies.append(_study(subject, row, known, base))
        except InputError as error:
            failures.append(Outcome(subject, "input", str(error)))
    if not studies and not failures:
        raise InputError(f"{path.name} has no study")
    return Plan(tuple(studies), tuple(failures))


def _options_of_analyze() -> dict[str, argparse.Action]:
    """The options of `analyze` by name without dashes; `subject` among them."""
    commands = argparse.ArgumentParser().add_subparsers()
    study.add_commands(commands)
    actions = commands.choices["analyze"]._actions
    return {text[2:]: action for action in actions for text in action.option_strings if text.startswith("--")}


def known_name(cell: str, known: Mapping[str, object], source: str) -> str:
    """The option that a heading names, whatever its case and with - or _; InputError where it is none."""
    plain = cell.lower().replace("_", "-").replace(" ", "-")
    for name in known:
        if name.lower() == plain and (name == "subject" or name not in _OF_THE_BATCH):
            return name
    raise InputError(
        f"{source}: the column {cell!r} is no option of analyze (dce-perfusion-bmd analyze --help); rename or remove it"
    )


def _study(subject: str, row: Mapping[str, str], known: Mapping[str, argparse.Action], base: Path) -> Study:
    """A study of a row; InputError with what is wrong in it."""
    options: dict[str, str | None] = {}
    inputs: dict[str, Path] = {}
    for name, text in row.items():
        action = known[name]
        if action.type is Path or _is_path(name, text, base, "volumes" in row):
            inputs[name] = Path(os.path.normpath(base / text))
        elif action.nargs == 0:
            if text.lower() not in _YES_NO:
                raise InputError(f"{name} {text!r} is neither yes nor no")
            if _YES_NO[text.lower()]:
                options[name] = None
        else:
            options[name] = _checked(name, text, action)
    if ("dicom" in inputs) == ("volumes" in inputs):
        raise InputError("one of dicom and volumes must be given")
    if "segmentation" not in inputs:
        raise InputError("there is no segmentation")
    return Study(subject, options, inputs)


def _is_path(name: str, text: str, base: Path, volumes: bool) -> bool:
    """Whether an option that takes a file or something else is given a file, be it there or not."""
    if name.endswith("-map"):
        return is_file(base / text) or volumes or not study.is_series(text)
    return name == "times" and (is_file(base / text) or is_file(text) or _LIKE_A_FILE.search(text) is not None)


def _checked(name: str, text: str, action: argparse.Action) -> str:
    """The text of an option that `analyze` will take."""
    try:
        value = action.type(text) if callable(action.type) else text
    except (argparse.ArgumentTypeError, TypeError, ValueError) as error:
        raise InputError(f"{name} {text!r} cannot be read: {error}") from error
    if action.choices is not None and value not in action.choices:
        raise InputError(f"{name} {text!r} is none of {', '.join(map(str, action.choices))}")
    return text


# ---- the run


def _what_is_done(plan: Plan, output: Path, verify: bool) -> tuple[list[Study], list[Outcome]]:
    """The studies to do, and those whose inputs are missing."""
    ready: list[Study] = []
    failures: list[Outcome] = []
    around = {*output.parents, *output.resolve().parents, output}

    def check(one: Study) -> bool | Outcome:
        for name, path in one.inputs.items():
            if path in around:
                message = f"--{name}: the results would be put into it; give an --output outside of {path}"
                return Outcome(one.subject, "input", message)
        try:
            return is_done(one, output) and not verify
        except InputError as error:
            return Outcome(one.subject, "input", str(error))

    with ThreadPoolExecutor(_CHECKERS) as pool:  # while one waits for the disk or a file server, others go on
        for start in range(0, len(plan.studies), _AT_A_TIME):
            some = plan.studies[start : start + _AT_A_TIME]
            for one, found in zip(some, pool.map(check, some), strict=True):
                if isinstance(found, Outcome):
                    failures.append(found)
                elif not found:
                    ready.append(one)
    return ready, failures


class _Line:
    """Says how far the batch is: a line that changes on a terminal, else one every half minute."""

    def __init__(self, output: Path, tally: Tally, workers: int | None) -> None:
        self._output, self._tally, self._workers = output, tally, workers
        self._live = sys.stderr.isatty()
        self._next = self._next_file = 0.0
        self._width = 0

    def show(self, outcome: Outcome | None) -> None:
        """Count an outcome, name a failure, and say how far it is when it is time to."""
        if outcome is not None and not outcome.stage:
            self._tally.done += 1
        elif outcome is not None:
            self._tally.failures.append(outcome)
            self.close()
            say(f"failed: {outcome.subject}: {outcome.stage}: {outcome.message}", sys.stderr)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + (_BAR_EVERY_S if self._live else _LINE_EVERY_S)
            text = self._tally.sentence(self._workers)
            if self._live:
                say(f"\r{text:<{self._width}}", sys.stderr, end="")
                self._width = len(text)
            else:
                say(text)
        if time.monotonic() >= self._next_file:
            self._next_file = time.monotonic() + _LINE_EVERY_S
            _write_failures(self._output, self._tally)

    def close(self) -> None:
        """End the line on the terminal."""
        if self._width:
            say("", sys.stderr)
            self._width = 0


def _write_failures(output: Path, tally: Tally) -> None:
    try:
        replace_file(output / "failures.csv", failures_table(tally.failures).to_csv())
    except OSError as error:
        say(f"Warning: {error}; all failures have been named here", sys.stderr)


def _tell(sentence: str) -> None:
    say(sentence, sys.stderr if sentence.startswith("Warning") else None)


def _say_of_others(output: Path, plan: Plan) -> None:
    """Name results that are not of this table: they are in no cohort."""
    own = {one.name for one in plan.studies} | {Study(outcome.subject, {}, {}).name for outcome in plan.failures}
    with os.scandir(output / STUDIES) as entries:
        others = sorted(e.name for e in entries if e.name not in own and not e.name.startswith("."))
    if others:
        some = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        say(f"Warning: {len(others)} results are of no study of the table and in no cohort: {some}", sys.stderr)


def write_cohort_of(folders: Sequence[Path], table: Path, output: Path, progress: Terminal) -> None:
    """The cohort of finished studies as tables, figures and report; as `dce-perfusion-bmd cohort --results`."""
    from ..cohort import analyze_cohort, assemble
    from ..export.cohortfiles import write_cohort

    settings = CohortSettings()
    try:
        cohort = replace(assemble(folders, settings, progress=part_of(progress, 0.0, 0.3)), name=table.stem)
        result = analyze_cohort(cohort, settings, part_of(progress, 0.3, 0.7))
        said = write_cohort(result, output, part_of(progress, 0.7, 1.0), True, {"studies": sha256_of(table)})
    except (InputError, OSError) as error:
        raise InputError(f"the studies are done; the cohort cannot be made in {output}: {error}") from error
    progress.close()
    for warning in (*cohort.notes, *result.warnings, *said):
        say(f"Warning: {warning}", sys.stderr)
    say(f"Cohort: {len(cohort.subjects)} subjects, {len(cohort.left_out)} left out; {output / 'report.html'}")


def _cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _share_of_memory(workers: int) -> float | None:
    """What each of some workers may take of the memory of this machine or container, in MB; None where not told."""
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        most = min(most, int(_CONTAINER.read_text(encoding="ascii")))
    return most / 1e6 / workers


def _slicer(program: Path) -> tuple[str, ...]:
    """What starts a study in 3D Slicer."""
    if not program.is_file():
        raise InputError(f"there is no {program}; give the file that starts 3D Slicer")
    script = str(Path(__file__).with_name("child.py"))
    quiet = ("--no-splash", "--no-main-window", "--disable-settings")
    lean = ("--disable-cli-modules", "--disable-scripted-loadable-modules")
    return (str(program.absolute()), *quiet, *lean, "--python-script", script)
