"""Who is compared: one row per subject in an order of its own, and who is in which group."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..statistics.values import SMALL_GROUP
from .model import CLASSES, Cohort, FloatArray, TextArray

_NAMED = 10  # subjects named in a warning


@dataclass(frozen=True)
class Groups:
    """Who is in which group.

    Attributes
    ----------
    column : that makes the groups.
    order : the groups that have a subject, in the order of tables.
    codes : (n,) index into `order`, -1 where the group is not known.
    """

    column: str
    order: tuple[str, ...]
    codes: npt.NDArray[np.intp]

    def is_in(self, group: str) -> npt.NDArray[np.bool_]:
        """Who is in one group; nobody where there is no such group."""
        return np.asarray(self.codes == (self.order.index(group) if group in self.order else -2))

    def samples(self, values: FloatArray) -> dict[str, FloatArray]:
        """Values that are not missing by group; groups without any are not there."""
        known = np.isfinite(values)
        parts = {group: values[known & (self.codes == code)] for code, group in enumerate(self.order)}
        return {group: part for group, part in parts.items() if part.size}


def grouped(cohort: Cohort, column: str) -> Groups | None:
    """Groups of one label; None where the cohort has no such column or nobody has a label.

    Raises
    ------
    InputError
        when a T-score category has another name than those of `CLASSES`.
    """
    if column not in cohort.labels:
        return None
    names, codes = np.unique(cohort.labels[column], return_inverse=True)
    found = [str(name) for name in names]
    if column == "age_group":
        order = sorted((name for name in found if name), key=_decade)
    else:
        for name in found:
            if name and name not in CLASSES:
                raise InputError(f"{column} {name!r} is unknown; known are {', '.join(CLASSES)}")
        order = [name for name in CLASSES if name in found]
    if not order:
        return None
    place = np.array([order.index(name) if name else -1 for name in found], dtype=np.intp)
    return Groups(column, tuple(order), place[codes.reshape(-1)])


def small_groups(sizes: dict[str, int]) -> str:
    """Names the groups of few subjects, empty where there is none."""
    small = [f"{group} ({size})" for group, size in sizes.items() if size < SMALL_GROUP]
    return f"fewer than {SMALL_GROUP} subjects: {', '.join(small)}" if small else ""


def take(cohort: Cohort, rows: npt.NDArray[np.intp]) -> Cohort:
    """Some rows of a cohort, in the order given."""
    return replace(
        cohort,
        subjects=cohort.subjects[rows],
        levels=cohort.levels[rows],
        readings=cohort.readings[rows],
        numbers={name: values[rows] for name, values in cohort.numbers.items()},
        labels={name: values[rows] for name, values in cohort.labels.items()},
    )


def in_order(cohort: Cohort) -> Cohort:
    """Rows by subject, level and reading, so that the order of the table changes no digit."""
    columns = (cohort.readings, cohort.levels, cohort.subjects)
    order = np.lexsort([np.unique(column, return_inverse=True)[1].reshape(-1) for column in columns])
    if np.array_equal(order, np.arange(order.size)):
        return cohort
    return take(cohort, order.astype(np.intp))


def reading_names(cohort: Cohort) -> list[str]:
    """Names of the readings in order, blank ones left out."""
    return [str(name) for name in np.unique(cohort.readings) if name]


def first_reading(cohort: Cohort) -> tuple[Cohort, list[str]]:
    """Rows of the first reading of each subject, and what to say of it; the cohort must be `in_order`."""
    names = reading_names(cohort)
    if len(names) < 2:
        return cohort, []
    codes = np.searchsorted(names, cohort.readings)
    codes[cohort.readings == ""] = len(names)
    _, owner = np.unique(cohort.subjects, return_inverse=True)
    owner = owner.reshape(-1)
    first = np.full(int(owner.max()) + 1, len(names))
    np.minimum.at(first, owner, codes)
    kept = np.flatnonzero(codes == first[owner])
    others = int(np.count_nonzero(first > 0))
    text = f"There are {len(names)} readings; tables and tests use the first of each subject, {names[0]!r}"
    text += f" (where it is lacking the next one; subjects: {others})" if others else ""
    text += f". The other rows ({owner.size - kept.size}) enter the agreement of readings only."
    return take(cohort, kept.astype(np.intp)), [text]


def one_per_subject(cohort: Cohort) -> tuple[Cohort, list[str]]:
    """One row per subject, and what to say of it; the cohort must be `in_order` and of one reading.

    Raises
    ------
    InputError
        when a subject has several rows that no level tells apart.
    """
    warnings = []
    if cohort.by_vertebra:
        from .reading import subject_means  # type: ignore[import-not-found, unused-ignore]

        means = subject_means(cohort)
        without = means.left_out[len(cohort.left_out) :]
        if without:
            named = ", ".join(f"{item.row}: {item.reason}" for item in without[:_NAMED])
            more = f", and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
            warnings.append(f"Without a mean over L1 to L4 ({len(without)}): {named}{more}.")
        cohort = in_order(means)
    names, counts = np.unique(cohort.subjects, return_counts=True)
    if counts.size and counts.max() > 1:
        raise InputError(
            f"subject {str(names[int(np.argmax(counts))])!r} has {counts.max()} rows without a level or a reading that "
            "tells them apart; give them one"
        )
    return cohort, warnings


def find(names: TextArray, wanted: TextArray) -> npt.NDArray[np.intp]:
    """Places of some names in sorted names, -1 where they are not there."""
    if not names.size:
        return np.full(wanted.size, -1, dtype=np.intp)
    place = np.minimum(np.searchsorted(names, wanted), names.size - 1)
    return np.where(names[place] == wanted, place, -1)


def _decade(name: str) -> tuple[int, str]:
    digits = name.split("~")[0].split("-")[0].lstrip("<[(").strip()
    return (int(digits), name) if digits.isdigit() else (10**6, name)
