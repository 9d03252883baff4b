"""Everything of a cohort as files: tables, figures, the report and how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..cohort import Cohort, CohortResult
from ..cohort.columns import NUMBERS
from ..errors import Cancelled, InputError
from ..figures.cohort import NAMES as FIGURES
from ..figures.cohort import cohort_figures
from ..series import Progress, part_of
from ..tables import Column, Table, visible
from .cohortreport import cohort_report
from .files import staged
from .html import data_uri
from .provenance import as_text, cohort_provenance, software

_TABLES = ("table1", "table2", "table3")
_BLOCK = 20_000  # rows
_LARGEST_SVG = 200_000  # bytes; above, the report shows the PNG
_STALE = (
    *(f"{name}.csv" for name in _TABLES),
    *(f"figures/{name}.{ending}" for name in FIGURES for ending in ("png", "svg")),
)


def write_cohort(
    result: CohortResult,
    output: Path,
    progress: Progress | None = None,
    figures: bool = True,
    input_hashes: Mapping[str, str] | None = None,
    host: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Write a cohort into a folder (`files.staged`).

    `table1.csv` to `table3.csv` hold the tables with a column per number, `tables.md` the same as they are printed with
    their footnotes, `statistics.csv` a row per test or estimate, `cohort.csv` the rows as analyzed under canonical
    headings, `left_out.csv` those that were not, `figures/` every figure as PNG and SVG, `report.html` all of it to
    read, and `provenance.json` how it was made.

    Parameters
    ----------
    result : of a cohort.
    output : is made when it does not exist.
    progress : called with the share done; returning False cancels.
    figures : whether to draw them.
    input_hashes : SHA-256 of the files that were read, by what they are.
    host : versions beside those that `software` finds, as that of the application.

    Returns
    -------
    tuple of str
        sentences for the user, such as that there are no figures since matplotlib is not installed.

    Raises
    ------
    InputError
        when the folder cannot be written to.
    Cancelled
        when progress returned False; nothing has been changed.
    """
    warnings: list[str] = []
    with staged(output, stale=_STALE) as stage:
        _report(progress, 0.0, "Writing tables")
        for item in result.tables:
            _write(stage / f"{item.name}.csv", item.numeric.table.to_csv())
        _write(stage / "tables.md", _markdown(result))
        _write(stage / "statistics.csv", result.statistics.to_csv())
        _write(stage / "left_out.csv", left_out_table(result).to_csv())
        with (stage / "cohort.csv").open("w", encoding="utf-8", newline="") as file:
            for text in _blocks(result.cohort):
                file.write(text)
        drawn: dict[str, str] = {}
        if figures:
            (stage / "figures").mkdir()
            try:
                paths = cohort_figures(result, stage / "figures", part_of(progress, 0.3, 0.9))
                drawn = {path.stem: _source(path) for path in paths if path.suffix == ".svg"}
            except InputError as error:
                warnings.append(f"There are no figures: {error}; everything else was written.")
        _report(progress, 0.9, "Writing the report")
        _write(stage / "report.html", cohort_report(result, drawn, {**software(), **(host or {})}, *warnings))
        history = cohort_provenance(result, dict(input_hashes or {}), warnings, host)
        _write(stage / "provenance.json", as_text(history))
        _report(progress, 1.0, "Done")
    return tuple(warnings)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="replace", newline="")


def _report(progress: Progress | None, fraction: float, message: str) -> None:
    if progress is not None and not progress(fraction, message):
        raise Cancelled


def _source(svg: Path) -> str:
    """The figure as it stands in the report: the SVG, or the PNG where that is much smaller."""
    return data_uri(svg if svg.stat().st_size <= _LARGEST_SVG else svg.with_suffix(".png"))


def _blocks(cohort: Cohort) -> Iterator[str]:
    """The rows as analyzed, as CSV in pieces: a heading, then many rows at a time."""
    size = cohort.subjects.size
    for start in range(0, max(size, 1), _BLOCK):
        part = slice(start, start + _BLOCK)
        columns = [Column("subject", cohort.subjects[part].tolist(), "Subject")]
        for name, texts in (("level", cohort.levels), ("reading", cohort.readings)):
            if (texts != "").any():
                columns.append(Column(name, texts[part].tolist(), name.capitalize()))
        for name, values in {**cohort.numbers, **cohort.labels}.items():
            columns.append(Column(name, values[part].tolist(), name, NUMBERS[name].unit if name in NUMBERS else ""))
        text = Table("cohort", "Rows as analyzed", tuple(columns)).to_csv()
        yield text if start == 0 else text.partition("\n")[2]


def left_out_table(result: CohortResult) -> Table:
    """Rows and subjects that were not analyzed, and subjects that one of the inputs lacks, with the reason.

    Parameters
    ----------
    result : of a cohort.

    Returns
    -------
    One row each, with `row` (its name), `kind` and `reason`.
    """
    parts = {
        "left out": (*result.cohort.left_out, *result.rows_left_out),
        "subject left out": result.subjects_left_out,
        "unmatched": result.cohort.unmatched,
    }
    items = [item for part in parts.values() for item in part]
    kinds = [kind for kind, part in parts.items() for _ in part]
    return Table(
        "left_out",
        "Left out",
        (
            Column("row", [item.row for item in items], "Row"),
            Column("kind", kinds, "Kind"),
            Column("reason", [item.reason for item in items], "Reason"),
        ),
    )


def _markdown(result: CohortResult) -> str:
    """The tables as papers print them, each with its footnote."""
    pieces = []
    for item in result.tables:
        columns = item.printed.columns
        rows = [
            [column.title for column in columns],
            ["---"] * len(columns),
            *zip(*(column.values for column in columns), strict=True),
        ]
        lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
        pieces.append("\n".join([f"## {_cell(item.title)}", "", *lines, "", _cell(item.numeric.footnote), ""]))
    return "\n".join(pieces)


def _cell(value: Any) -> str:
    """Text that Markdown shows as it is."""
    text = visible(str(value))
    return text if text == "---" else "".join(f"\\{letter}" if letter in "\\|*_<>`[]~#&" else letter for letter in text)
