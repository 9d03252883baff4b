"""DXA measurements of one subject, from a CSV table."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..tables import Column, Table, one_line
from .classes import category_sentence, t_score_category

_COLUMNS = {
    "subject": ("subject", "subject_id", "id"),
    "site": ("site", "region"),
    "bmd_g_cm2": ("bmd_g_cm2", "bmd"),
    "t_score": ("t_score", "t-score", "t score", "t"),
}
_LARGEST_T_SCORE = 12.0
_MISSING = ("", "na", "n/a", "nan", "-", "\N{EN DASH}")


@dataclass(frozen=True)
class DxaMeasurement:
    """Bone mineral density of one site; NaN for a value that is not given."""

    site: str
    bmd_g_cm2: float
    t_score: float


@dataclass(frozen=True)
class Densitometry:
    """All DXA measurements of one subject."""

    subject: str
    measurements: tuple[DxaMeasurement, ...]

    def table(self) -> Table:
        """One row per site: BMD, T-score, category and the sentence that explains it."""
        scores = [measurement.t_score for measurement in self.measurements]
        return Table(
            "densitometry",
            "Bone mineral density",
            (
                Column("subject", [self.subject] * len(scores), "Subject"),
                Column("site", [measurement.site for measurement in self.measurements], "Site"),
                Column(
                    "bmd_g_cm2", [m.bmd_g_cm2 for m in self.measurements], "BMD", "g/cm2", "Areal bone mineral density."
                ),
                Column("t_score", scores, "T-score", "", "Standard deviations from the young adult mean."),
                Column("t_score_category", [t_score_category(t).value for t in scores], "T-score category"),
                Column("explanation", [category_sentence(t) for t in scores], "Explanation"),
            ),
        )


def read_dxa_table(path: Path, subject: str | None = None) -> Densitometry:
    """Measurements of one subject from a CSV table with the columns subject, site, BMD (g/cm2) and T-score.

    Parameters
    ----------
    path : comma, semicolon or tab separated, UTF-8 with or without byte order mark.
    subject : which subject to take; may be left out when the table holds one only.

    Raises
    ------
    InputError
        naming file, row and column of what cannot be read, or the subjects when the choice is open.
    """
    rows = _read_rows(path)
    measured = [
        (row["subject"], DxaMeasurement(row["site"], _number(path, row, "bmd_g_cm2"), _number(path, row, "t_score")))
        for row in rows
    ]
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    if subject is None:
        if len(subjects) > 1:
            some = ", ".join(subjects[:5]) + (", ..." if len(subjects) > 5 else "")
            raise InputError(f"{path.name} holds {len(subjects)} subjects ({some}); choose one with --subject")
        subject = subjects[0]
    elif subject not in subjects:
        raise InputError(f"{path.name} has no subject {subject!r}")
    measurements = tuple(measurement for owner, measurement in measured if owner == subject)
    sites = [measurement.site for measurement in measurements]
    for site in sites:
        if sites.count(site) > 1:
            raise InputError(
                f"{path.name}: subject {subject!r} has site {site!r} {sites.count(site)} times; keep one row"
            )
    return Densitometry(subject, measurements)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the DXA table {path.name}: {error}") from error
    heading = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"cannot read the DXA table {path.name}: {error}") from error
    names = [cell.strip().lower() for cell in table[0]] if table else []
    position = {}
    for wanted, spellings in _COLUMNS.items():
        found = [names.index(spelling) for spelling in spellings if spelling in names]
        if not found:
            raise InputError(
                f"{path.name} has no column {wanted!r} (also accepted: {', '.join(spellings[1:])}); "
                f"its columns are {', '.join(names) or 'none'}"
            )
        position[wanted] = found[0]
    rows = []
    for number, cells in enumerate(table[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise InputError(f"{path.name} row {number} has {len(cells)} cells, the heading has {len(names)}")
        row = {wanted: one_line(cells[index]) for wanted, index in position.items()}
        for wanted in ("subject", "site"):
            if not row[wanted]:
                raise InputError(f"{path.name} row {number} has no {wanted}")
        rows.append({**row, "row": str(number), "delimiter": delimiter})
    if not rows:
        raise InputError(f"{path.name} has no measurement")
    return rows


def _number(path: Path, row: dict[str, str], column: str) -> float:
    text = row[column].replace("\N{MINUS SIGN}", "-")
    if text.lower() in _MISSING:
        return math.nan
    if row["delimiter"] != ",":
        text = text.replace(",", ".")
    where = f"{path.name} row {row['row']} (subject {row['subject']}, {row['site']})"
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {column} {row[column]!r} is not a number")
    if column == "bmd_g_cm2" and not 0.0 < value < 5.0:
        raise InputError(
            f"{where}: BMD {row[column]} cannot be in g/cm2; values above 5 are mg/cm2 or a QCT density in mg/cm3"
        )
    if column == "t_score" and abs(value) > _LARGEST_T_SCORE:
        raise InputError(f"{where}: a T-score of {row[column]} is not possible; a decimal point may be missing")
    return value
