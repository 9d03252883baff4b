"""Groups whose perfusion a subject's is compared with: the paper's, or a cohort of the user's own."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..tables import one_line
from .dxa import SUBJECT_NAMES, number_text, plain_heading, table_cells

COMPARED = ("ktrans_per_min", "kep_per_min", "ve")
COHORT = "cohort"
_ROW = " row"
_DECADES = (40.0, 50.0, 60.0, 70.0, 80.0)
_LEAST_SUBJECTS = 2
_LARGEST_AGE = 120.0


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of one quantity in a group.

    Attributes
    ----------
    mean : as given.
    sd : NaN where there is none.
    suspected_mean : what the mean is suspected to be where it is an erratum; NaN elsewhere.
    note : what to know about it.
    count : number of subjects it is of.
    """

    mean: float
    sd: float
    suspected_mean: float = math.nan
    note: str = ""
    count: int = 0

    def z_score(self, value: float) -> float:
        """(value - mean) / SD; NaN without a standard deviation."""
        return (value - self.mean) / self.sd


@dataclass(frozen=True)
class PerfusionGroup:
    """Perfusion of a group.

    Attributes
    ----------
    source : where the group is from: `paper-classes`, `paper-ages` or `cohort`.
    name : of the group.
    count : number of subjects; those without a value of a quantity are not counted in its spread.
    spreads : by column name in `COMPARED`.
    """

    source: str
    name: str
    count: int
    spreads: dict[str, Spread] = field(default_factory=dict)


@cache
def _paper() -> dict[str, Any]:
    text = resources.files("DCEPerfusionBMDLib").joinpath("data").joinpath("paper_groups.json")
    data: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return data


def paper_groups(source: str) -> tuple[PerfusionGroup, ...]:
    """The groups of Huang et al. 2019, the number after each plus-minus sign read as a variance.

    Parameters
    ----------
    source : `paper-classes` (Table 3) or `paper-ages` (Table 2).

    Returns
    -------
    The groups in the order of the table; none for another source.

    References
    ----------
    Huang Z et al., Adv Clin Exp Med 2019;28:1005-1011, tables 2 and 3.
    """
    data = _paper()
    groups = []
    for row in data["groups"]:
        if row["set"] == source:
            spreads = {}
            for column in COMPARED:
                mean, variance = row[column]
                suspected, erratum = row.get("errata", {}).get(column, (math.nan, ""))
                blank = "" if variance > 0 else "No z: the variance is printed as .000."
                note = " ".join(part for part in (erratum, blank, f"Variance reading of {data['citation']}.") if part)
                sd = math.sqrt(variance) if variance > 0 else math.nan
                spreads[column] = Spread(mean, sd, suspected, f"{note} {data['scale']}", row["n"])
            groups.append(PerfusionGroup(source, row["name"], row["n"], spreads))
    return tuple(groups)


def read_cohort(path: Path) -> tuple[PerfusionGroup, ...]:
    """Mean and standard deviation of a cohort: of all, by class and by decade of age.

    Parameters
    ----------
    path : CSV, one row per subject, with the columns ktrans_per_min, kep_per_min and ve, and, if wanted, class and
        age (years), and a pseudonym (subject). A group of fewer than two subjects has no standard deviation and is
        left out.

    Returns
    -------
    All, the classes in the order in which they come, the decades of age; those of fewer than two subjects are left out.

    Raises
    ------
    InputError
        naming file, row and column of what cannot be read.
    """
    heading, *cells = table_cells(path, "the cohort") or [[]]
    names = [name.strip() for name in heading]
    for name in names:
        if name and names.count(name) > 1:
            raise InputError(f"{path.name} has the column {name!r} {names.count(name)} times; keep one")
    for column in COMPARED:
        if column not in names:
            raise InputError(f"{path.name} has no column {column!r}; it needs {', '.join(COMPARED)}")
    rows = []
    for number, row in enumerate(cells, start=2):
        if any(cell.strip() for cell in row):
            if len(row) != len(names):
                raise InputError(f"{path.name} row {number} has {len(row)} cells, the heading has {len(names)}")
            rows.append({**dict(zip(names, row, strict=True)), _ROW: str(number)})
    if not rows:
        raise InputError(f"{path.name} has no subject")
    _refuse_repeated(path, names, rows)
    values = {
        column: np.array([_number(path, row, column) for row in rows])
        for column in (*COMPARED, *(["age"] if "age" in names else []))
    }
    members = {"all": np.ones(len(rows), dtype=bool)}
    if "class" in names:
        classes = [one_line(row["class"]) for row in rows]
        for name in dict.fromkeys(classes):
            if name:
                members[f"class {name}"] = np.array([name == other for other in classes])
    if "age" in values:
        for start, end in zip(_DECADES, (*_DECADES[1:], math.inf), strict=True):
            members[f"age {start:g}~"] = (values["age"] >= start) & (values["age"] < end)
    groups = []
    for name, inside in members.items():
        if np.count_nonzero(inside) >= _LEAST_SUBJECTS:
            spreads = {column: _spread(values[column][inside]) for column in COMPARED}
            groups.append(PerfusionGroup(COHORT, name, int(np.count_nonzero(inside)), spreads))
    if not groups:
        raise InputError(f"{path.name} has {len(rows)} subject; a standard deviation needs at least two")
    return tuple(groups)


def perfusion_groups(source: str, cohort: Sequence[PerfusionGroup] = ()) -> tuple[PerfusionGroup, ...]:
    """The groups of a comparison: those of the paper, or of the cohort that was read.

    Parameters
    ----------
    source : `none`, `paper-classes`, `paper-ages` or `cohort`.
    cohort : as `read_cohort` gives them; only for `cohort`.

    Returns
    -------
    The groups; none for `none`.

    Raises
    ------
    InputError
        when the cohort is asked for and was not given, or given and not asked for.
    """
    if (source == COHORT) != bool(cohort):
        raise InputError(
            "the comparison with a cohort needs its file: give --perfusion-cohort"
            if source == COHORT
            else "a cohort is given but not compared with: give --perfusion-comparison cohort"
        )
    return tuple(cohort) if source == COHORT else paper_groups(source)


def _refuse_repeated(path: Path, names: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    """Each subject counts once, where the table names them."""
    for column in (name for name in names if plain_heading(name) in SUBJECT_NAMES):
        first: dict[str, str] = {}
        for row in rows:
            subject = one_line(row[column])
            if subject and subject in first:
                raise InputError(
                    f"{path.name} row {row[_ROW]}: subject {subject!r} is that of row {first[subject]}; keep one row "
                    "per subject"
                )
            first[subject] = row[_ROW]


def _spread(values: npt.NDArray[np.float64]) -> Spread:
    known = values[np.isfinite(values)]
    note = f"Mean and standard deviation of {known.size} subject{'' if known.size == 1 else 's'} of your cohort."
    mean = float(known.mean()) if known.size else math.nan
    sd = float(known.std(ddof=1)) if known.size >= _LEAST_SUBJECTS else math.nan
    return Spread(mean, sd if sd > 0 else math.nan, note=note, count=int(known.size))


def _number(path: Path, row: dict[str, str], column: str) -> float:
    text = number_text(row[column])
    if text.lower() in ("", "na", "nan"):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{path.name} row {row[_ROW]}: {column} {text!r} is not a number")
    if column == "ve" and value > 1:
        raise InputError(
            f"{path.name} row {row[_ROW]}: ve {text} is not possible; it is a fraction of at most 1, not mL/100 mL"
        )
    if value < 0 or (column == "age" and value > _LARGEST_AGE):
        raise InputError(f"{path.name} row {row[_ROW]}: {column} {text} is not possible")
    return value
