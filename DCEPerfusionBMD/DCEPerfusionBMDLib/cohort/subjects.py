"""Who is compared: one row per subject in an order of its own, and who is in which group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..densitometry.sites import VERTEBRAE
from ..errors import InputError
from ..statistics.values import SMALL_GROUP, LeftOut
from .model import CLASSES, Cohort, FloatArray, TextArray

_NAMED = 10  # subjects named in a warning
_MOST_READINGS = 20
_NUMBERED = re.compile(r"(\D*)(\d+)")


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
    """Names of the readings in order, blank ones left out; numbered ones by their numbers."""
    names = [str(name) for name in np.unique(cohort.readings) if name]
    return sorted(names, key=_number) if _numbered(names) else names


def has_repeats(cohort: Cohort) -> bool:
    """Whether a subject has two readings, so that they can be compared."""
    if not (cohort.readings != "").any():
        return False
    pairs = {(s, r) for s, r in zip(cohort.subjects.tolist(), cohort.readings.tolist(), strict=True) if r}
    return len(pairs) > len({subject for subject, _ in pairs})


def one_reading(cohort: Cohort, wanted: str | None) -> tuple[Cohort, str, list[LeftOut], list[str]]:
    """Rows of one reading of each subject, its name, subjects that lack it, and what to say; `cohort` is `in_order`.

    Parameters
    ----------
    wanted : name of the reading; None for the lowest number of each subject, where readings are numbered alike.

    Raises
    ------
    InputError
        when there is no such reading, none is wanted and their names have no order, or there are too many of them.
    """
    names = reading_names(cohort)
    known = f"the readings are {', '.join(names[:_MOST_READINGS])}{' ...' if len(names) > _MOST_READINGS else ''}"
    repeats = has_repeats(cohort)
    if repeats and len(names) > _MOST_READINGS:
        raise InputError(
            f"{cohort.name} has {len(names)} readings, and at most {_MOST_READINGS} are compared; number those of each "
            "subject alike, 1, 2 and so on"
        )
    rest = "The other rows ({}) enter the agreement of readings only." if repeats else "No subject has two readings."
    if wanted is not None:
        if wanted not in names:
            raise InputError(f"{cohort.name} has no reading {wanted!r}; {known if names else 'it names no readings'}")
        kept = np.flatnonzero(cohort.readings == wanted)
        lacking = sorted(set(cohort.subjects.tolist()) - set(cohort.subjects[kept].tolist()))
        left_out = [LeftOut(subject, f"has no reading {wanted!r}") for subject in lacking]
        text = f"Tables and tests use the reading {wanted!r}, as it was asked for"
        text += f"; subjects that lack it, in no table: {len(lacking)}" if lacking else ""
        return take(cohort, kept), wanted, left_out, [f"{text}. {rest.format(cohort.subjects.size - kept.size)}"]
    if len(names) < 2:
        return cohort, "", [], []
    if not repeats:
        return cohort, "", [], [f"There are {len(names)} readings, but no subject has two; {known}."]
    if not _numbered(names):
        raise InputError(
            f"{cohort.name}: {known}, and their names do not tell which comes first; say which enters the tables, with "
            f"the setting reading (--reading {names[0]!r}, for example)"
        )
    codes = np.full(cohort.readings.size, len(names))
    for code, name in enumerate(names):
        codes[cohort.readings == name] = code
    owner = np.unique(cohort.subjects, return_inverse=True)[1].reshape(-1)
    first = np.full(int(owner.max()) + 1, len(names))
    np.minimum.at(first, owner, codes)
    kept = np.flatnonzero(codes == first[owner])
    others = int(np.count_nonzero(first > 0))
    text = f"There are {len(names)} readings; tables and tests use the one of the lowest number, {names[0]!r}"
    text += f" (where it is lacking the next one; subjects: {others})" if others else ""
    return take(cohort, kept), names[0], [], [f"{text}. {rest.format(cohort.subjects.size - kept.size)}"]


def _number(name: str) -> tuple[int, str]:
    match = _NUMBERED.fullmatch(name)
    return (int(match[2]) if match else -1, name)


def _numbered(names: list[str]) -> bool:
    """Whether all names are one text, or none, with a number behind it."""
    found = [_NUMBERED.fullmatch(name) for name in names]
    return len({match[1].casefold() if match else str(n) for n, match in enumerate(found)}) == 1 and all(found)


def named(items: Sequence[LeftOut]) -> str:
    """What was left out and why, the first of many."""
    texts = [f"{item.row}: {item.reason}" for item in items[:_NAMED]]
    return ", ".join(texts) + (f", and {len(items) - _NAMED} more" if len(items) > _NAMED else "")


def rows_in_no_test(cohort: Cohort, wanted: str | None) -> list[LeftOut]:
    """Rows that are in no mean and no test: of other levels than L1 to L4, and of readings that nothing is compared to.

    Parameters
    ----------
    wanted : as of `one_reading`.
    """
    reasons = np.full(cohort.subjects.size, "", dtype=object)
    if wanted is not None and not has_repeats(cohort):
        reasons[cohort.readings != wanted] = "of another reading, and no subject has two"
    if cohort.by_vertebra:
        reasons[~np.isin(cohort.levels, VERTEBRAE)] = "not of L1 to L4, so in cohort.csv only"
    rows = np.flatnonzero(reasons != "")
    parts = (column[rows].tolist() for column in (cohort.subjects, cohort.levels, cohort.readings))
    return [
        LeftOut(" ".join(filter(None, of)), reason) for reason, *of in zip(reasons[rows].tolist(), *parts, strict=True)
    ]


def one_per_subject(cohort: Cohort) -> tuple[Cohort, list[LeftOut]]:
    """One row per subject, and the subjects without one; the cohort must be `in_order` and of one reading.

    Raises
    ------
    InputError
        when a subject has several rows that no level tells apart.
    """
    without: list[LeftOut] = []
    if cohort.by_vertebra:
        from .reading import subject_means  # type: ignore[import-not-found, unused-ignore]

        # one reading of each subject is there, so its name is no part of the subject's
        means = subject_means(replace(cohort, readings=np.full(cohort.readings.size, "")))
        without = list(means.left_out[len(cohort.left_out) :])
        cohort = in_order(means)
    names, counts = np.unique(cohort.subjects, return_counts=True)
    if counts.size and counts.max() > 1:
        raise InputError(
            f"subject {str(names[int(np.argmax(counts))])!r} has {counts.max()} rows without a level or a reading that "
            "tells them apart; give them one"
        )
    return cohort, without


def find(names: TextArray, wanted: TextArray) -> npt.NDArray[np.intp]:
    """Places of some names in sorted names, -1 where they are not there."""
    if not names.size:
        return np.full(wanted.size, -1, dtype=np.intp)
    place = np.minimum(np.searchsorted(names, wanted), names.size - 1)
    return np.where(names[place] == wanted, place, -1)


def _decade(name: str) -> tuple[int, str]:
    digits = name.split("~")[0].split("-")[0].lstrip("<[(").strip()
    return (int(digits), name) if digits.isdigit() else (10**6, name)
