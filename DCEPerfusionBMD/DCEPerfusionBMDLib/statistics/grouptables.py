"""Tables as papers print them: mean, standard deviation, rates and marks by group, with a footnote that says how."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..tables import Column, Table
from .groups import welch_t
from .posthoc import holm
from .proportions import fisher
from .values import FloatArray, check_not_circular, complete, split


@dataclass(frozen=True)
class GroupTable:
    """A table by group and the footnote that belongs to it.

    Attributes
    ----------
    table : one row per group; of a quantity the mean, the standard deviation and the marks, of a condition the count,
        the percentage and the marks.
    footnote : what is printed, which tests the marks come from, how they are corrected, what is not tested and why.
    """

    table: Table
    footnote: str

    def __str__(self) -> str:
        return f"{self.table.to_csv()}{self.footnote}"


def group_table(
    name: str,
    title: str,
    grouping: str,
    labels: Sequence[Hashable],
    order: Sequence[str],
    quantities: Mapping[str, npt.ArrayLike],
    conditions: Mapping[str, npt.ArrayLike],
    marks: Mapping[str, tuple[str, float]],
) -> GroupTable:
    """Means, standard deviations and rates by group, with marks against groups of reference.

    Marks come from Welch's t-tests (quantities) and Fisher's tests (conditions), two-sided, corrected by Holm over all
    comparisons of the table with the same group of reference. Two groups of reference are compared once, by the
    earlier mark.

    Parameters
    ----------
    name, title : of the table.
    grouping : name of the column that makes the groups, for example `age_group`.
    labels : group of each subject.
    order : the groups in the order of the rows; a label that is not among them is refused.
    quantities : values by name, one per subject.
    conditions : who has what, by name, true or false per subject.
    marks : by mark, the group it compares with and the level.

    Raises
    ------
    InputError
        when a label is unknown, a group is empty, or lengths differ.
    """
    names = [str(label) for label in labels]
    known = split(np.arange(len(names), dtype=np.float64), names)
    for label in known:
        if label not in order:
            raise InputError(f"{grouping} {label!r} is unknown; known are {', '.join(order)}")
    for group in order:
        if group not in known:
            raise InputError(f"no subject is in group {group!r} of {grouping}")
    members = {group: known[group].astype(np.intp) for group in order}
    values = {key: complete(key, column, length=len(names)) for key, column in quantities.items()}
    has = {key: complete(key, column, length=len(names)) for key, column in conditions.items()}
    for key, column in has.items():
        if np.any((column != 0) & (column != 1)):
            raise InputError(f"{key} must hold true and false, or 1 and 0, only")
    marked, notes = _marks(grouping, members, values, has, marks)
    columns = [Column(grouping, list(order), "Group"), Column("n", [m.size for m in members.values()], "n")]
    for key, column in values.items():
        parts = [column[member] for member in members.values()]
        columns += [
            Column(f"{key}_mean", [float(part.mean()) for part in parts], f"{key}, mean"),
            Column(f"{key}_sd", [float(part.std(ddof=1)) if part.size > 1 else float("nan") for part in parts], "SD"),
            Column(f"{key}_marks", marked[key], "Marks"),
        ]
    for key, column in has.items():
        counts = [int(column[member].sum()) for member in members.values()]
        shares = [100 * c / m.size for c, m in zip(counts, members.values(), strict=True)]
        columns += [
            Column(f"{key}_n", counts, key),
            Column(f"{key}_percent", shares, "Share", "%"),
            Column(f"{key}_marks", marked[key], "Marks"),
        ]
    return GroupTable(Table(name, title, tuple(columns)), "; ".join(["Mean and standard deviation (SD)", *notes]) + ".")


def _marks(
    grouping: str,
    members: Mapping[str, npt.NDArray[np.intp]],
    values: Mapping[str, FloatArray],
    has: Mapping[str, FloatArray],
    marks: Mapping[str, tuple[str, float]],
) -> tuple[dict[str, list[str]], list[str]]:
    marked = {key: [""] * len(members) for key in (*values, *has)}
    notes = []
    tested = []
    for key in values:
        try:
            check_not_circular(key, grouping)
            tested.append(key)
        except InputError as reason:
            notes.append(str(reason))
    for mark, (reference, alpha) in marks.items():
        if reference not in members:
            raise InputError(f"the mark {mark!r} compares with {reference!r}, which is no group")
        earlier = [other for other, _ in marks.values()][: list(marks).index(mark)]
        cells, p, without = [], [], []
        for row, (group, member) in enumerate(members.items()):
            if group == reference or group in earlier:
                continue
            for key in tested:
                pair = {group: values[key][member], reference: values[key][members[reference]]}
                if all(part.size > 1 and np.ptp(part) > 0 for part in pair.values()):
                    cells.append((key, row))
                    p.append(welch_t(pair).p)
                else:
                    without.append(f"{key} {group}")
            for key, column in has.items():
                both = [column[member], column[members[reference]]]
                cells.append((key, row))
                p.append(fisher([[part.sum(), part.size - part.sum()] for part in both]).p)
        for (key, row), corrected in zip(cells, holm(p) if p else [], strict=True):
            if corrected < alpha:
                marked[key][row] += mark
        tests = [*(["Welch's t-test"] if tested else []), *(["Fisher's exact test"] if has else [])]
        notes.append(
            f"{mark} p < {alpha:g} against {reference} by {' and '.join(tests)}, two-sided, corrected by Holm over "
            f"{len(p)} comparisons"
        )
        if without:
            notes.append(f"not compared with {reference}, since a group does not vary: {', '.join(without)}")
    return marked, notes
