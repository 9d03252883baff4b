"""What goes into a test: complete numbers, nothing dropped unseen, no circular question; and how a p is printed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError

FloatArray = npt.NDArray[np.float64]

SMALL_GROUP = 10
"""Groups below this many subjects are named beside every comparison."""

LEVEL = 0.95
"""Level of every confidence interval."""

_ROUNDING = 1e-12  # of the largest value; a smaller range is no variation
_SMALLEST_P = 1e-12
_KINETIC = frozenset({"ktrans", "kep", "ve"})
_BONE_SCORES = frozenset({"t", "bmd"})


@dataclass(frozen=True)
class LeftOut:
    """One row that a table of complete rows does not hold, and why."""

    row: str
    reason: str


@dataclass(frozen=True)
class CompleteRows:
    """Rows without a missing value, and the others by name.

    Attributes
    ----------
    rows : names of the rows kept, in their order.
    columns : values of the rows kept, by column.
    left_out : every other row; `len(rows) + len(left_out)` is the number of rows that came in.
    """

    rows: tuple[str, ...]
    columns: dict[str, FloatArray]
    left_out: tuple[LeftOut, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.rows) + len(self.left_out)} rows: {len(self.rows)} kept, {len(self.left_out)} left out"]
        return "\n".join([*lines, *(f"  {item.row}: {item.reason}" for item in self.left_out)])


def complete_rows(rows: Sequence[str], columns: Mapping[str, npt.ArrayLike]) -> CompleteRows:
    """Rows in which every column holds a number; the others are listed with the columns that are missing.

    Parameters
    ----------
    rows : one name per row.
    columns : numbers by column name, one per row; NaN where there is none.

    Raises
    ------
    InputError
        when a name comes twice, a column has another length, or a number is infinite.
    """
    seen: set[str] = set()
    for name in rows:
        if name in seen:
            raise InputError(f"row {name!r} comes more than once")
        seen.add(name)
    arrays = {}
    for column, values in columns.items():
        array = numbers(column, values)
        if array.shape != (len(rows),):
            raise InputError(f"column {column!r} has shape {array.shape}, there are {len(rows)} rows")
        infinite = np.flatnonzero(np.isinf(array))
        if infinite.size:
            raise InputError(f"column {column!r} is infinite in row {rows[int(infinite[0])]!r}")
        arrays[column] = array
    missing = {column: np.isnan(array) for column, array in arrays.items()}
    incomplete = np.any(list(missing.values()), axis=0) if missing else np.zeros(len(rows), dtype=bool)
    left_out = [
        LeftOut(rows[int(i)], "no " + ", ".join(column for column, lacks in missing.items() if lacks[i]))
        for i in np.flatnonzero(incomplete)
    ]
    kept = tuple(rows[int(i)] for i in np.flatnonzero(~incomplete))
    return CompleteRows(kept, {column: array[~incomplete] for column, array in arrays.items()}, tuple(left_out))


def complete(name: str, values: npt.ArrayLike, least: int = 1, length: int | None = None) -> FloatArray:
    """One list of finite numbers.

    Parameters
    ----------
    name : what the numbers are, for the message.
    least : how many there must be at least.
    length : how many there must be, where that is known.

    Raises
    ------
    InputError
        when there are too few or one is no number; nothing is dropped here, see `complete_rows`.
    """
    array = numbers(name, values)
    if array.ndim != 1:
        raise InputError(f"{name} must be one list of numbers, not an array of shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise InputError(
            f"{name}: {bad.size} of {array.size} values are no finite numbers, the first at position {bad[0] + 1}; "
            "leave such rows out first with complete_rows, which lists them"
        )
    if array.size < least:
        raise InputError(f"{name} holds {array.size} value{'s' * (array.size != 1)}; at least {least} are needed")
    if length is not None and array.size != length:
        raise InputError(f"{name} holds {array.size} values, not {length}")
    return array


def varies(values: FloatArray) -> bool:
    """Whether numbers differ by more than rounding."""
    return bool(np.ptp(values) > _ROUNDING * np.abs(values).max())


def split(values: npt.ArrayLike, labels: Sequence[Hashable] | npt.NDArray[np.generic]) -> dict[str, FloatArray]:
    """Values by label, labels in the order of their first appearance.

    Raises
    ------
    InputError
        when there are not as many labels as values.
    """
    array = numbers("values", values)
    names = labels if isinstance(labels, np.ndarray) else np.asarray([str(label) for label in labels])
    if array.shape != names.shape:
        raise InputError(f"{array.size} values and {names.size} labels; there must be as many of both")
    found, first, codes = np.unique(names, return_index=True, return_inverse=True)
    return {str(found[code]): array[codes == code] for code in np.argsort(first)}


def check_not_circular(quantity: str, grouping: str) -> None:
    """Refuse to compare groups in what defines them.

    Parameters
    ----------
    quantity : column that is compared, for example `bmd_lumbar` or `t_lumbar`.
    grouping : column that makes the groups, for example `bmd_class` or `age_group`.

    Raises
    ------
    InputError
        with the reason, for BMD or T between classes that T defines, and for age between groups of age.
    """
    words, groups = set(quantity.lower().split("_")), set(grouping.lower().split("_"))
    if "class" in groups and words & _BONE_SCORES:
        raise InputError(
            f"{quantity} is not tested between the groups of {grouping}: T-scores, made of BMD, define those groups, "
            "so they differ by construction and a p-value says nothing"
        )
    if "age" in groups and "age" in words:
        raise InputError(
            f"{quantity} is not tested between the groups of {grouping}: age defines those groups, so they differ by "
            "construction and a p-value says nothing"
        )


def check_regressors(names: Sequence[str]) -> None:
    """Refuse Ktrans, kep and ve together in one regression.

    Raises
    ------
    InputError
        with the reason: ve is Ktrans/kep, so the three are one measurement in two dimensions.
    """
    if {name.lower().split("_")[0] for name in names} >= _KINETIC:
        raise InputError(
            "Ktrans, kep and ve must not stand in one regression: ve is Ktrans/kep, so one of them is known from the "
            "others (variance inflation above 200 in the source cohort); leave kep or ve out"
        )


def p_text(p: float) -> str:
    """A p-value for people; below 1e-12 only that it is, since the tails of several tests are not known further."""
    if math.isnan(p):
        return "none"
    return f"<{_SMALLEST_P:g}" if p < _SMALLEST_P else f"{p:.3g}"


def interval_text(interval: tuple[float, float]) -> str:
    """A confidence interval for people."""
    return f"[{interval[0]:.4g}, {interval[1]:.4g}]"


def numbers(name: str, values: npt.ArrayLike) -> FloatArray:
    """Values as numbers; InputError names the first that is none."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    for position, value in enumerate(np.asarray(values, dtype=object).ravel(), start=1):
        try:
            float(value)
        except (TypeError, ValueError):
            raise InputError(f"{name}: {value!r} at position {position} is not a number") from None
    raise InputError(f"{name} must be numbers in one list")
