"""The report of a cohort: one page of HTML with tables, figures, statistics, methods and a checklist."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..cohort import Cohort, CohortResult, PaperTable
from ..cohort.columns import LABELS, NUMBERS, heading
from ..figures.cohort import band_said
from ..settings import CohortSettings, parameters
from ..statistics.values import p_text
from ..tables import Table
from .html import WORDING, Section, figure, joined, page, paragraph, points, shown_number, table
from .methods import (
    WELCH,
    analyzed,
    column_title,
    compared,
    counted,
    kind_of,
    methods,
    methods_chinese,
    not_replaced,
    rows_read,
    statistic_rows,
    tests_done,
    were,
)

_FIGURES = {
    "figure1": "Figure 1. Parameters against age.",
    "figure2": "Figure 2. Mean enhancement curve of each T-score category.",
    "figure3": "Figure 3. Parameters against bone mineral density.",
    "boxes_by_class": "Parameters by T-score category.",
    "boxes_by_age": "Parameters by age group.",
    "roc": "Receiver operating characteristic (ROC) curves.",
}

_BOXES = "Box: quartiles and median; whiskers: the last value within 1.5 interquartile ranges; points: subjects. "

# The 22 items of STROBE (von Elm E et al., Lancet 2007;370:1453), in our words.
_STROBE = (
    ("1 Title and abstract", "Study design in the title or abstract; balanced summary."),
    ("2 Background", "Scientific background and reason for the study."),
    ("3 Objectives", "Aims and hypotheses stated in advance."),
    ("4 Study design", "Main elements of the design: that it is cross-sectional."),
    ("5 Setting", "Places and dates of recruitment, imaging and densitometry."),
    ("6 Participants", "Who was eligible, where and how participants were chosen."),
    ("7 Variables", "Definition of outcomes, exposures, confounders; criteria of categories beyond the T-score rule."),
    ("8 Data sources, measurement", "MR protocol, contrast agent, arterial input, densitometer, its reference set."),
    ("9 Bias", "What was done about possible bias."),
    ("10 Study size", "How the number of participants came about."),
    ("11 Quantitative variables", "Why these groups were chosen."),
    ("12 Statistical methods", "Confounders, sensitivity analyses; how missing data came about."),
    ("13 Participants", "Numbers before the table was made: eligible, examined; flow diagram."),
    ("14 Descriptive data", "Clinical and social characteristics that the table does not have."),
    ("15 Outcome data", "Outcomes that the table does not have."),
    ("16 Main results", "Which confounders were adjusted for, and why."),
    ("17 Other analyses", "Analyses outside this report."),
    ("18 Key results", "Summary with regard to the aims."),
    ("19 Limitations", "Sources of bias and imprecision, their direction and size."),
    ("20 Interpretation", "Cautious interpretation with regard to other evidence."),
    ("21 Generalizability", "To whom the results apply."),
    ("22 Funding", "Sources of funding, and their part in the study."),
)


def cohort_report(
    result: CohortResult, figures: Mapping[str, str], versions: Mapping[str, str], no_figures: str = ""
) -> str:
    """The report as the text of one HTML file, the same for the same input.

    Parameters
    ----------
    result : what was found.
    figures : data URI by name, as `figures.cohort_figures` names them.
    versions : of the software, by name.
    no_figures : why there are none, where they were to be made.

    Returns
    -------
    HTML, which loads nothing from elsewhere.

    Notes
    -----
    The checklist is STROBE for cross-sectional studies (von Elm E et al., Lancet 2007;370:1453).
    """
    cohort = result.cohort
    sections = [
        Section("analyzed", "What was analyzed", "".join(_analyzed(result))),
        Section("columns", "Columns", "".join(_columns(cohort))),
        Section("warnings", "Warnings, and what was not made", "".join(_warnings(result, no_figures))),
        Section(
            "tables", "Tables", "".join([_paper_table(item) for item in result.tables] or [paragraph("None was made.")])
        ),
        Section("figures", "Figures", "".join(_figures(result, figures, no_figures))),
        Section("statistics", "Key statistics", "".join(_statistics(result.statistics))),
        Section("assumptions", "Assumption checks", "".join(_assumptions(result.statistics))),
        Section("multiplicity", "Multiplicity", "".join(_multiplicity(result.statistics))),
        Section("methods", "Methods", paragraph(methods(result, versions))),
        Section("methods-zh", "方法", paragraph(methods_chinese(result, versions)), "zh-Hans"),
        Section("strobe", "STROBE checklist for cross-sectional studies", "".join(_strobe(result, bool(figures)))),
        Section("settings", "Settings and versions", "".join(_settings(result.settings, versions))),
    ]
    return page(f"Perfusion and bone density of a cohort: {cohort.name}", sections, [paragraph(WORDING, "note")])


def _analyzed(result: CohortResult) -> Iterable[str]:
    cohort = result.cohort
    out = cohort.rows_read - result.rows
    yield paragraph(
        f"{rows_read(cohort)} {were(cohort.rows_read)} read; {analyzed(result)} {were(result.rows)} analyzed, and "
        f"{counted(out, 'row')} {were(out)} left out.{compared(result)}"
    )
    for title, items in (
        ("Rows left out, and why", (*cohort.left_out, *result.rows_left_out)),
        ("Subjects left out, and why", result.subjects_left_out),
        ("Subjects that one of the inputs lacks", cohort.unmatched),
    ):
        if items:
            rows = [(item.row, item.reason) for item in items]
            yield table(f"{title} ({len(items):,})", ("Row", "Reason"), rows, file="left_out.csv")


def _columns(cohort: Cohort) -> Iterable[str]:
    rows = []
    for name, values in {**cohort.numbers, **cohort.labels}.items():
        there = int(np.sum(np.isfinite(values) if name in NUMBERS else values != ""))
        source = cohort.sources.get(name)
        rows.append(
            (
                column_title(name),
                (source.heading or "computed") if source else "",
                source.about if source else "",
                str(there),
                str(len(values) - there),
            )
        )
    yield table(
        "Columns of the cohort",
        ("Column", "Heading in the table", "Unit, conversion or computation", "Values", "Missing"),
        rows,
    )
    if cohort.ignored:
        yield paragraph(f"Headings that were not recognized ({len(cohort.ignored)}):")
        yield points(cohort.ignored)


def _warnings(result: CohortResult, no_figures: str) -> Iterable[str]:
    for title, texts in (
        ("Warnings", (*result.warnings, *([no_figures] if no_figures else []))),
        ("Notes on the table", result.cohort.notes),
        ("Not made, and why", result.not_made),
    ):
        yield paragraph(f"{title}:" if texts else f"{title}: none.")
        if texts:
            yield points(texts, "provenance.json")


def _paper_table(item: PaperTable) -> str:
    columns = item.printed.columns
    rows = [[shown_number(cell) for cell in row] for row in zip(*(column.values for column in columns), strict=True)]
    headings = [f"{column.title} ({column.unit})" if column.unit else column.title for column in columns]
    return table(item.title, headings, rows, item.numeric.footnote)


def _figures(result: CohortResult, figures: Mapping[str, str], no_figures: str) -> Iterable[str]:
    if not figures:
        yield paragraph(no_figures or "None was made.")
    for name, source in figures.items():
        caption, description = _caption(name, result)
        yield figure(source, caption, description)


def _caption(name: str, result: CohortResult) -> tuple[str, str]:
    """Caption of a figure, and what it shows in words and numbers."""
    title = _FIGURES.get(name, "")
    ve_unit = result.settings.ve_unit
    if name in ("figure1", "figure3"):
        parts = [scatter for scatter in result.scatters if scatter.figure == name]
        by_class = " by T-score category" if any((part.groups != "").any() for part in parts) else ""
        said = f"Points: subjects{by_class}; line of least squares with its 95 % confidence band."
        found = "; ".join(f"{heading(part.y_column, ve_unit)}: {part.correlation}" for part in parts)
        return f"{title} {said}", f"Scatter plots of {counted(len(parts), 'parameter')}. {found}"
    if name == "figure2":
        sources = sorted({curve.source for curve in result.curves})
        found = "; ".join(
            f"{curve.group} (n = {curve.count}): highest mean {np.nanmax(curve.mean):.3g} {curve.unit}"
            for curve in result.curves
            if np.isfinite(curve.mean).any()
        )
        said = f"{band_said(result.curves)} Curves {'; '.join(sources)}."
        return f"{title} {said}", f"Curves over time. {found}"
    if name in ("boxes_by_class", "boxes_by_age"):
        boxes = [part for part in result.boxes if (part.grouping == "age_group") == (name == "boxes_by_age")]
        said = " ".join(f"{heading(part.column, ve_unit)}: {part.caption.rstrip('.')}." for part in boxes)
        medians = "; ".join(f"{heading(part.column, ve_unit)}: {_medians(part.values)}" for part in boxes)
        return f"{title} {_BOXES}{said}", f"Box plots. Medians (ve as a fraction): {medians}"
    if name == "roc":
        said = " ".join(f"{part.condition}: {'; '.join(part.captions).rstrip('.')}." for part in result.rocs)
        return f"{title} {said}", f"Curves of sensitivity over one less specificity. {said}"
    pairs = [part for part in result.agreements if name == f"bland_altman_{part.column}"]
    if not pairs:
        return name, name
    said = " ".join(f"{part.caption.rstrip('.')}." for part in pairs)
    readings = "; ".join(f"{part.first} and {part.second}" for part in pairs)
    sizes = ", ".join(f"{part.means.size:,}" for part in pairs)
    return (
        f"Agreement of {readings}: {heading(pairs[0].column, ve_unit)}. {said}",
        f"Differences against means of pairs: {sizes}. {said}",
    )


def _medians(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{group} {np.nanmedian(column):.3g}"  # type: ignore[call-overload]
        for group, column in values.items()
        if np.isfinite(column).any()  # type: ignore[call-overload]
    )


def _statistics(statistics: Table) -> Iterable[str]:
    rows = statistic_rows(statistics)
    key = [row for row in rows if _role(row) == "key"] or rows
    if not rows:
        yield paragraph("None was made.")
        return
    welch = "The p to report between groups is Welch's, which holds whether or not variances are equal. "
    yield paragraph(
        f"{len(key):,} of the {counted(len(rows), 'row')} of statistics.csv. "
        f"{welch if WELCH in tests_done(statistics, False) else ''}Intervals are 95 % confidence intervals."
    )
    for family in dict.fromkeys(str(row.get("family", "")) for row in key):
        of_family = [row for row in key if str(row.get("family", "")) == family]
        yield _statistics_table(f"Key statistics: {family}" if family else "Key statistics", of_family)


def _assumptions(statistics: Table) -> Iterable[str]:
    rows = [row for row in statistic_rows(statistics) if _role(row) == "assumption"]
    if rows:
        yield paragraph("Reported beside the tests; no test was chosen by them.")
        yield _statistics_table("Assumption checks", rows)
    else:
        yield paragraph("None was made.")


def _multiplicity(statistics: Table) -> Iterable[str]:
    counts: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in statistic_rows(statistics):
        holds, discovery = (row.get(name, math.nan) for name in ("p_adjusted", "p_fdr"))
        if row.get("adjustment") and isinstance(holds, float) and isinstance(discovery, float) and holds == holds:
            counts.setdefault((str(row.get("family", "")), str(row["adjustment"])), []).append((holds, discovery))
    if not counts:
        yield paragraph("No p-value was corrected for the number of tests.")
        return
    yield table(
        "Corrections for the number of tests",
        ("Family", "Correction", "p-values", "Below 0.05 after it", "False discovery rate below 0.05"),
        [
            (
                family,
                how,
                str(len(p)),
                str(sum(holds < 0.05 for holds, _ in p)),
                str(sum(discovery < 0.05 for _, discovery in p)) if any(q == q for _, q in p) else "",
            )
            for (family, how), p in counts.items()
        ],
        "p-values outside these families are not corrected. False discovery rates are those of Benjamini and Hochberg.",
    )


_HEADINGS = ("Quantity", "Groups or with", "Test", "n", "Statistic", "Estimate [interval]", "p", "p, corrected", "Note")


def _statistics_table(caption: str, rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the statistics, without the columns that are empty in all of them."""
    printed = [_statistic(row) for row in rows]
    used = [number for number in range(len(_HEADINGS)) if number == 0 or any(cells[number] for cells in printed)]
    shown = [[cells[number] for number in used] for cells in printed]
    return table(caption, [_HEADINGS[number] for number in used], shown, file="statistics.csv")


def _statistic(row: Mapping[str, object]) -> tuple[str, ...]:
    """A row of the statistics as it is printed."""
    text = {name: shown_number(row.get(name, "")) for name in ("statistic", "df1", "df2", "estimate", "low", "high")}
    freedom = ", ".join(text[name] for name in ("df1", "df2") if text[name])
    estimate = " ".join(part for part in (column_title(str(row.get("estimate_name", ""))), text["estimate"]) if part)
    interval = f" [{text['low']}, {text['high']}]" if text["low"] and text["high"] else ""
    where = ": ".join(
        part
        for part in (column_title(str(row.get("grouping", ""))), column_title(str(row.get("comparison", ""))))
        if part
    )
    return (
        column_title(str(row.get("quantity", ""))),
        where,
        column_title(str(row.get("test", ""))),
        str(row.get("n", "")),
        text["statistic"] + (f" (df {freedom})" if freedom and text["statistic"] else ""),
        f"{estimate}{interval}" if text["estimate"] else "",
        _p(row.get("p", "")),
        _p(row.get("p_adjusted", "")),
        "; ".join(column_title(str(row[name])) for name in ("adjustment", "note") if row.get(name)),
    )


def _role(row: Mapping[str, object]) -> str:
    kind = kind_of(str(row.get("test", "")))
    return kind.role if kind else ""


def _strobe(result: CohortResult, with_figures: bool) -> Iterable[str]:
    cohort = result.cohort
    tables = joined([item.title for item in result.tables])
    tests = joined(tests_done(result.statistics, False))
    among = joined([column_title(name) for name in _compared(result)])
    shown = (
        ["tables"] * bool(tables) + ["figures"] * with_figures + ["key statistics with 95 % intervals"] * bool(tests)
    )
    missing = sum(int(np.isnan(values).sum()) for values in cohort.numbers.values())
    filled = {
        6: f"Read: {rows_read(cohort)}; left out: {cohort.rows_read - result.rows:,}, each with its reason.",
        7: f"Quantities: {joined([column_title(name, result.settings.ve_unit) for name in cohort.numbers])}.",
        8: "Where each column comes from: section Columns.",
        10: f"n = {analyzed(result)}.{compared(result)}",
        11: f"Groups compared: {among}." if among else "",
        12: f"Section Methods; corrections in section Multiplicity; {not_replaced(cohort)}.",
        13: f"{rows_read(cohort)} read, {result.rows:,} analyzed, {cohort.rows_read - result.rows:,} left out."
        f"{compared(result)}",
        14: f"{tables}; {missing:,} missing numbers, by column in section Columns." if tables else "",
        15: f"{tables}." if tables else "",
        16: f"In this report: {joined(shown)}." if shown else "",
        17: f"Tests in statistics.csv: {tests}." if tests else "",
    }
    rows = [
        (item, filled.get(number, ""), f"To be written: {wanted}") for number, (item, wanted) in enumerate(_STROBE, 1)
    ]
    yield paragraph("What the software knows is filled in; what it cannot know is marked for the author.")
    yield table("Checklist", ("Item", "From the data", "For the author"), rows, marked=2)
    yield paragraph("Items after STROBE (von Elm E et al., Lancet 2007;370:1453-1457), in our words.", "note")


def _compared(result: CohortResult) -> list[str]:
    """Labels between whose groups something was tested."""
    tested = [item.numeric.table.columns[0].name for item in result.tables if item.numeric.marks]
    for row in statistic_rows(result.statistics):
        p = row.get("p")
        if isinstance(p, float) and math.isfinite(p):
            tested.append(str(row.get("grouping", "")))
    return [name for name in dict.fromkeys(tested) if name in LABELS]


def _settings(settings: CohortSettings, versions: Mapping[str, str]) -> Iterable[str]:
    values = dataclasses.asdict(settings)
    rows = [(item.name, str(values[item.name]), item.help) for item in parameters(CohortSettings)]
    yield table("Settings", ("Setting", "Value", "What it is"), rows)
    yield table("Versions", ("Software", "Version"), list(versions.items()))


def _p(value: object) -> str:
    return p_text(value) if isinstance(value, float) and not math.isnan(value) else ""
