"""Tables 1 to 3 of the source paper: BMD and rates by age, perfusion by age, and everything by T-score class."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..settings import CohortSettings
from ..statistics import MarkTest, group_table
from ..tables import Column, Table
from .columns import KINETIC, NUMBERS, heading, printed_scale, quantity_of
from .model import CLASSES, Cohort, FloatArray, PaperTable
from .rows import Findings, Row, title
from .subjects import Groups, grouped

AGE_LEVEL, CLASS_LEVEL = 0.05, 0.01
"""Levels of the marks between age groups and between classes, as in the source paper."""

SITES = {"lumbar": "lumbar_class", "femoral_neck": "femoral_neck_class"}
BY_CLASS = ("age_years", "t_lumbar", "bmd_lumbar_g_cm2", *KINETIC)

_TESTS = {
    "welch-holm": ("Welch's t-test", ""),
    "games-howell": ("Games-Howell", "Games-Howell over the pairs of groups"),
    "dunnett": ("Dunnett", "Dunnett over the groups"),
    "lsd": ("LSD", ""),
    "fisher": ("Fisher's exact test", ""),
}
"""Name of the test behind marks, and how it corrects by itself."""

_BONES = ("bmd_lumbar_g_cm2", "bmd_femoral_neck_g_cm2")
_MARKS = {CLASSES[0]: "*", CLASSES[1]: "†"}
_DASH = "–"  # noqa: RUF001 (stands where there is no number)


def paper_tables(
    findings: Findings, cohort: Cohort, ages: Groups | None, classes: Groups | None, settings: CohortSettings
) -> list[PaperTable]:
    """The tables that the columns allow; what they do not allow is added to the findings.

    Parameters
    ----------
    findings : takes the reasons.
    cohort : one row per subject.
    ages, classes : groups of `age_group` and `bmd_class`.
    """
    conditions: dict[str, FloatArray] = {}
    for site, column in SITES.items():
        kinds = grouped(cohort, column)
        if kinds is None:
            findings.not_made.append(f"Rates of the {site.replace('_', ' ')} in Table 1: there is no {column}.")
            continue
        for kind in CLASSES[1:]:
            has = np.where(kinds.codes < 0, np.nan, kinds.is_in(kind).astype(np.float64))
            conditions[f"{site}_{kind.replace(' ', '_')}"] = has
    tables = []
    wanted = (
        ("table1", "Table 1. Bone density and rates of low bone mass by age group", "age_group", ages, _BONES),
        ("table2", "Table 2. Perfusion by age group", "age_group", ages, KINETIC),
        ("table3", "Table 3. Age, bone density and perfusion by T-score category", "bmd_class", classes, BY_CLASS),
    )
    for name, about, column, groups, quantities in wanted:
        present = [quantity for quantity in quantities if quantity in cohort.numbers]
        rates = conditions if name == "table1" else {}
        number = f"Table {name[-1]}"
        if groups is None:
            findings.not_made.append(f"{number}: no subject has a value in {column}.")
            continue
        if not present and not rates:
            findings.not_made.append(f"{number}: the cohort has none of {', '.join(map(title, quantities))}.")
            continue
        lacking = [title(quantity) for quantity in quantities if quantity not in present]
        if lacking:
            findings.not_made.append(f"{', '.join(lacking)} in {number}: the cohort has no such column.")
        made, tests = _table(name, about, cohort, groups, present, rates, settings)
        tables.append(made)
        findings.rows += [_behind(test, number, column) for test in tests]
    return tables


def _behind(item: MarkTest, table: str, grouping: str) -> Row:
    """The row of the test behind a cell's marks."""
    quantity, (test, by) = item.key, _TESTS[item.test]
    for site, column in SITES.items():
        if quantity not in NUMBERS and quantity.startswith(f"{site}_"):
            quantity = f"{column}: {quantity.removeprefix(f'{site}_').replace('_', ' ')}"
    how = f"{by} in {table}" if by else ""
    if item.together:
        how = f"Holm over the {item.together} comparisons of {table} with {item.reference}"
    pair = f"{table}: {item.group} - {item.reference}"
    row = Row("marks", test, quantity, grouping, pair, item.n, p=item.p, adjustment=how)
    row = replace(row, p_adjusted=item.p_adjusted if how else math.nan)
    return row.but(f"marked {item.mark}" if item.mark else "no mark", "" if how else "not corrected")


def _table(
    name: str,
    about: str,
    cohort: Cohort,
    groups: Groups,
    quantities: Sequence[str],
    conditions: dict[str, FloatArray],
    settings: CohortSettings,
) -> tuple[PaperTable, tuple[MarkTest, ...]]:
    known = groups.codes >= 0
    by_age = groups.column == "age_group"
    if by_age:
        marks = {"*": (groups.order[0], AGE_LEVEL)}
    else:
        marks = {mark: (group, CLASS_LEVEL) for group, mark in _MARKS.items() if group in groups.order}
    if len(groups.order) < 2:
        marks = {}
    made = group_table(
        name,
        about,
        groups.column,
        np.array(groups.order)[groups.codes[known]],
        groups.order,
        {quantity: cohort.numbers[quantity][known] for quantity in quantities},
        {condition: has[known] for condition, has in conditions.items()},
        marks,
        settings.marks,
    )
    numeric = replace(made.table, columns=tuple(_titled(column) for column in made.table.columns))
    notes = [for_people(made.footnote)]
    if len(groups.order) < 2:
        notes.append(f"There is one group, {groups.order[0]}, so nothing is compared and there are no marks.")
    empty = _empty(groups)
    if empty:
        notes.append(f"No subject is in {', '.join(empty)}.")
    unknown = int(np.count_nonzero(~known))
    if unknown:
        notes.append(f"Subjects in no group of this table: {unknown} of {known.size}.")
    footnote = " ".join(notes)
    printed = _printed(name, about, groups.column, made.table, quantities, list(conditions), settings)
    return PaperTable(name, about, replace(made, table=numeric, footnote=footnote), printed), made.tests


def _empty(groups: Groups) -> list[str]:
    """Classes without a subject; of age groups, decades between two that have one."""
    if groups.column != "age_group":
        return [name for name in CLASSES if name not in groups.order]
    starts = [int(match[1]) for name in groups.order if (match := re.fullmatch(r"(\d+)~", name))]
    return [f"{start}~" for start in range(min(starts, default=0), max(starts, default=0), 10) if start not in starts]


def for_people(sentence: str) -> str:
    """A sentence with titles in the place of canonical names that have an underscore; other words stay."""
    return re.sub(r"[a-z]+(_[a-z0-9]+)+", _title, sentence)


def _title(match: re.Match[str]) -> str:
    name = match[0]
    try:
        return title(name)
    except KeyError:
        pass
    site = next((site for site in SITES if name.startswith(f"{site}_")), "")
    if site and name.removeprefix(f"{site}_").replace("_", " ") in CLASSES:
        return name.replace("_", " ")
    return {"age_group": "age group", "bmd_class": "T-score category"}.get(name, name)


def _titled(column: Column) -> Column:
    """A column of numbers with the heading of its quantity; ve stays a fraction here."""
    name, _, part = column.name.rpartition("_")
    words = {"mean": "mean", "sd": "SD", "marks": "marks", "n": "n", "percent": "%", "missing": "missing"}
    if part not in words or not name:
        return replace(column, title=heading(column.name)) if column.name in ("age_group", "bmd_class") else column
    people = _condition(name) if any(name.startswith(site) for site in SITES) else heading(name)
    titled = replace(column, title=f"{people}, {words[part]}")
    if part in ("mean", "sd"):
        return replace(titled, unit=NUMBERS[name].unit, quantity=quantity_of(name))
    return titled


def _condition(name: str) -> str:
    text = name.replace("_", " ")
    return text[0].upper() + text[1:]


def _printed(
    name: str,
    about: str,
    grouping: str,
    table: Table,
    quantities: Sequence[str],
    conditions: Sequence[str],
    settings: CohortSettings,
) -> Table:
    names = {column.name for column in table.columns}
    sizes = [int(n) for n in table["n"]]

    def cells(key: str, first: str, second: str, cell: Callable[[float, float], str]) -> list[str]:
        """Two numbers of each group as one text, with marks, and how many it is of where that is not all."""
        lacks = _numbers(table, f"{key}_missing") if f"{key}_missing" in names else [0.0] * len(sizes)
        of = [f" (n = {size - int(lack)})" if lack else "" for size, lack in zip(sizes, lacks, strict=True)]
        values = map(cell, _numbers(table, first), _numbers(table, second))
        return [f"{text}{mark}{n}" for text, mark, n in zip(values, table[f"{key}_marks"], of, strict=True)]

    columns = [
        Column(grouping, [str(group) for group in table[grouping]], heading(grouping)),
        Column("n", [str(size) for size in sizes], "n"),
    ]
    for key in quantities:
        scale = printed_scale(key, settings.ve_unit)
        digits = 3 if scale == 1 else 1
        print_mean = partial(_mean, scale=scale, digits=digits)
        columns.append(Column(key, cells(key, f"{key}_mean", f"{key}_sd", print_mean), heading(key, settings.ve_unit)))
    for key in conditions:
        columns.append(Column(key, cells(key, f"{key}_n", f"{key}_percent", _rate), _condition(key)))
    return Table(f"{name}_printed", about, tuple(columns))


def _numbers(table: Table, name: str) -> list[float]:
    return [float(value) for value in table[name]]


def _mean(mean: float, sd: float, scale: float, digits: int) -> str:
    return f"{_number(scale * mean, digits)} ± {_number(scale * sd, digits)}"


def _rate(count: float, percent: float) -> str:
    return f"{count:.0f} ({_number(percent, 1)} %)"


def _number(value: float, digits: int) -> str:
    """A number with a minus sign instead of a hyphen, and a dash where there is none."""
    if np.isnan(value):
        return _DASH
    return f"{value:.{digits}f}".replace("-", "−")  # noqa: RUF001
