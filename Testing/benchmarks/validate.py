"""What the software measures against every outside truth: runs the tests marked with one, and makes a page of them.

    python Testing/benchmarks/validate.py [--output FILE]

The truths and bars stand in the tests alone; a test that cannot run here is shown as not run, with the reason. The exit
status is 1 where one failed.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import datetime
import importlib.metadata
import io
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
FIELDS = (
    "Signal and T1",
    "Arterial input",
    "Kinetic models",
    "Uncertainty",
    "Reading series and their times",
    "Regions and motion",
    "Densitometry",
    "Statistics",
    "The source paper",
    "DICOM export",
    "Reproducibility",
)
PACKAGES = ("numpy", "scipy", "pydicom", "slicer-core", "SimpleITK", "highdicom", "dcmqi", "statsmodels", "pingouin")


@dataclass
class Truth:
    """A test marked with `support.against`, and what became of it."""

    tests: tuple[str, ...]
    field: str
    what: str
    source: str
    of: str
    outcome: str = "not run"
    reason: str = "the test was not found"
    found: dict[str, tuple[float, str, str, bool]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.tests[0].split("::")[0]


def marked() -> Iterator[Truth]:
    """The tests that are marked, read from their sources, so that one that cannot be imported is shown, too."""
    for path in sorted(TESTING.rglob("test_*.py")):
        place = path.relative_to(TESTING.parent).as_posix()
        groups = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
        for group in groups:
            heirs = [heir.name for heir in groups if group.name in map(ast.unparse, heir.bases)]
            for test in group.body:
                for mark in test.decorator_list if isinstance(test, ast.FunctionDef) else ():
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func).split(".")[-1] == "against":
                        names = tuple(f"{place}::{name}::{test.name}" for name in heirs or [group.name])
                        yield Truth(names, *(ast.literal_eval(argument) for argument in mark.args))


class Outcomes:
    """What pytest says of each test."""

    def __init__(self, truths: list[Truth]) -> None:
        self.of = {test: truth for truth in truths for test in truth.tests}

    def pytest_collection_modifyitems(self, items: list) -> None:  # type: ignore[type-arg]
        items[:] = [item for item in items if item.nodeid in self.of]

    def pytest_collectreport(self, report) -> None:  # type: ignore[no-untyped-def]
        if not report.passed:
            for truth in self.of.values():
                if truth.path == report.nodeid:
                    truth.reason = str(report.longrepr).strip().splitlines()[-1]

    def pytest_runtest_logreport(self, report) -> None:  # type: ignore[no-untyped-def]
        truth = self.of.get(report.nodeid)
        if truth is None or truth.outcome == "fail":
            return
        if report.failed:
            truth.outcome, truth.reason = "fail", str(report.longrepr).strip().splitlines()[-1]
            crash = getattr(report.longrepr, "reprcrash", None)
            if crash is not None:
                truth.reason = crash.message.splitlines()[0]
        elif report.skipped:
            truth.reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            truth.reason = truth.reason.removeprefix("Skipped: ")
        elif report.when == "call":
            truth.outcome, truth.reason = "pass", ""


def run(truths: list[Truth]) -> None:
    """Run the tests in this process and keep what they measured."""
    import pytest
    import support

    support.may_skip = True
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        os.chdir(TESTING.parent)
        files = sorted({truth.path for truth in truths})
        options = ["--quiet", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
        pytest.main([*options, *files], plugins=[Outcomes(truths)])
    for truth in truths:
        tails = [
            f"{Path(path).stem}.{group}.{name}" for path, group, name in (test.split("::") for test in truth.tests)
        ]
        for test, quantity, value, bar, unit, within in support.MEASURED:
            if any(test == tail or test.endswith(f".{tail}") for tail in tails):
                before = truth.found.get(quantity)
                if before is None or (before[3], -_closeness(before)) > (within, -_closeness((value, bar))):
                    truth.found[quantity] = (value, bar, unit, within)
    if any(truth.outcome == "fail" for truth in truths):
        print(output.getvalue(), file=sys.stderr)


def _closeness(found: tuple) -> float:  # type: ignore[type-arg]
    """How much of its bar a value takes up."""
    value, bar = found[:2]
    sign, limit = bar.split()
    first, second = (value, float(limit)) if sign == "≤" else (float(limit), value)
    return first / second if second else float(first > 0) * float("inf") if first else 0.0


def row(truth: Truth, source: str) -> str:
    link = f"[{truth.tests[0].rpartition('::')[2]}](../{truth.path})"
    quantities, values, bars = [], [], []
    for quantity, (value, bar, unit, _) in truth.found.items():
        quantities.append(quantity)
        values.append(f"{value:.3g} {unit}".strip())
        bars.append(f"{bar} {unit}".strip())
    if truth.outcome != "pass" and all(within for *_, within in truth.found.values()):
        quantities.append(re.sub(r"\s+", " ", truth.reason)[:160].replace("|", "\\|"))
    result = f"**{truth.outcome}**" if truth.outcome == "fail" else truth.outcome
    several = ("<br>".join(cells) for cells in (quantities, values, bars))
    cells = (
        f"{truth.what} ({source})",
        ", ".join(f"`{name}`" for name in truth.of.split(", ")),
        *several,
        result,
        link,
    )
    return "| " + " | ".join(cells) + " |"


def version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {package}"


def processor() -> str:
    """Its name, where the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def page(truths: list[Truth], seconds: float) -> str:
    from DCEPerfusionBMDLib import __version__
    from support import SOURCES

    used = sorted({truth.source for truth in truths})
    numbers = {name: n for n, name in enumerate(used, start=1)}
    body = []
    for heading in FIELDS:
        lines = [row(truth, f"[{numbers[truth.source]}]") for truth in truths if truth.field == heading]
        body += ["", f"## {heading}", "", "| truth | ours | quantity | measured | bar | result | test |"]
        body += ["|---|---|---|---:|---:|---|---|", *lines]
    counts = collections.Counter(truth.outcome for truth in truths)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    head = [
        "# Validation",
        "",
        f"`make validate` makes this page: it runs the {len(truths)} tests that hold the software against a truth from "
        "outside of it, and shows what each measured beside the bar that it must meet. The largest of all errors in a "
        "test is shown unless the quantity says otherwise.",
        "",
        f"**{counts['pass']} pass, {counts['fail']} fail, {counts['not run']} not run**, on "
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, in {seconds:.0f} s. DCEPerfusionBMD {__version__}"
        + (f" after {commit.stdout.strip()}" if commit.stdout else "")
        + f", Python {platform.python_version()}, {', '.join(map(version, PACKAGES))}; "
        f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} CPUs.",
        "",
        "A row again: `python -m pytest -k NAME Testing`, with the name in the last column. The public reference data "
        "are not part of this repository: `DCE_REFERENCE_DATA` names their folder.",
    ]
    tail = ["", "## Sources", "", *(f"{n}. {SOURCES[name]}" for name, n in numbers.items()), ""]
    return "\n".join(head + body + tail)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    output = options.output and options.output.resolve()
    sys.path.insert(0, str(TESTING))
    start = time.perf_counter()
    truths = list(marked())
    unknown = {truth.field for truth in truths} - set(FIELDS)
    if unknown:
        raise SystemExit(f"no heading for {unknown}")
    run(truths)
    text = page(truths, time.perf_counter() - start)
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return int(any(truth.outcome == "fail" for truth in truths))


if __name__ == "__main__":
    sys.exit(main())
