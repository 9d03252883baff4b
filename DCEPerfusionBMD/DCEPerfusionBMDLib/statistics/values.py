"""What goes into a test: complete numbers, nothing dropped unseen, no circular question; and how a p is printed."""

from __future__ import annotations

import math
import re
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
_LARGEST = 1e150  # beyond, a square has no number
_FEWEST_DRAWN, _MOST_DRAWN = 200, 50_000_000
_KINETIC = frozenset({"ktrans", "kep", "ve"})
_BONE_SCORES = frozenset({"t", "z", "tscore", "zscore", "bmd", "osteoporosis", "osteopenia"})
_BONE_SITES = frozenset({"bone", "lumbar", "spine", "fn", "neck", "hip"})


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
    columns : numbers by column name, (n_rows,) each; NaN where there is none.

    Returns
    -------
    The rows kept, and the others by name with the reason.

    Raises
    ------
    InputError
        when a name comes twice, a column has another length or holds what is no number, or a number is infinite.
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
        when there are too few, one is no number or beyond 1e150; nothing is dropped here, see `complete_rows`.
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
    if array.size and np.abs(array).max() > _LARGEST:
        raise InputError(f"{name}: {np.abs(array).max():g} is too large to be squared; use another unit")
    if array.size < least:
        raise InputError(f"{name} holds {array.size} value{'s' * (array.size != 1)}; at least {least} are needed")
    if length is not None and array.size != length:
        raise InputError(f"{name} holds {array.size} values, not {length}")
    return array


def varies(values: FloatArray, *sources: FloatArray) -> bool:
    """Whether numbers differ by more than the rounding of what they were made of, themselves unless told."""
    return bool(np.ptp(values) > _ROUNDING * max(np.abs(source).max() for source in sources or (values,)))


def split(values: npt.ArrayLike, labels: Sequence[Hashable] | npt.NDArray[np.generic]) -> dict[str, FloatArray]:
    """Values by label, labels in the order of their first appearance.

    Parameters
    ----------
    values : (n,), in any unit.
    labels : (n,) what prints as the label of each.

    Returns
    -------
    Values by label as it prints.

    Raises
    ------
    InputError
        when there are not as many labels as values, a label is missing, or two labels print alike.
    """
    array = numbers("values", values)
    names, codes = coded(labels)
    if array.shape != codes.shape:
        raise InputError(f"{array.size} values and {codes.size} labels; there must be as many of both")
    order = np.argsort(codes, kind="stable")
    parts = np.split(array[order], np.cumsum(np.bincount(codes, minlength=len(names)))[:-1])
    return dict(zip(names, parts, strict=True)) if names else {}


def coded(labels: Sequence[Hashable] | npt.NDArray[np.generic]) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Distinct labels as text, in the order of their first appearance, and the place of each label among them.

    Raises
    ------
    InputError
        when a label is missing (None, NaN or masked), or two labels print alike, as 1 and "1".
    """
    distinct: dict[Hashable, int] = {}
    if isinstance(labels, np.ndarray) and not isinstance(labels, np.ma.MaskedArray) and labels.dtype != object:
        found, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        order = np.argsort(first)
        distinct = {label: place for place, label in enumerate(found[order].tolist())}
        codes = np.argsort(order)[inverse].reshape(labels.shape)
    else:
        known = [None if label is np.ma.masked else label for label in labels]
        codes = np.array([distinct.setdefault(label, len(distinct)) for label in known], dtype=np.intp)
    names: dict[str, Hashable] = {}
    for label in distinct:
        if label is None or label != label:
            position = int(np.flatnonzero(codes == distinct[label])[0]) + 1
            raise InputError(f"the label at position {position} is missing; leave such rows out first")
        if str(label) in names:
            raise InputError(f"the labels {names[str(label)]!r} and {label!r} print alike; write them in one way")
        names[str(label)] = label
    return list(names), codes


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

    Notes
    -----
    A group that a quantity defines differs in it by construction, so that p says nothing; T-scores are made of BMD (T =
    (BMD - mean) / SD of young adults), so that each defines the classes of the other.
    """
    words, groups = _words(quantity), _words(grouping)
    classes = "class" in groups or ("category" in groups and groups & (_BONE_SCORES | _BONE_SITES))
    if classes and "age" not in groups and (words & _BONE_SCORES or words >= {"bone", "loss"}):
        raise InputError(
            f"{quantity} is not tested between the groups of {grouping}: T-scores of the same or of a related site, "
            "made of BMD, define those groups, so they differ by construction and a p-value says nothing"
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
    """A p-value for people; below 1e-12 only that it is, since the tails of several tests are not known further.

    Parameters
    ----------
    p : from 0 to 1, or NaN.

    Returns
    -------
    Three digits, or more where these would round up to .05, .01 or .001; `<1e-12`; `none` for NaN.
    """
    if math.isnan(p):
        return "none"
    if p < _SMALLEST_P:
        return f"<{_SMALLEST_P:g}"
    digits = 3
    while digits < 17 and any(p < limit <= float(f"{p:.{digits}g}") for limit in (0.05, 0.01, 0.001)):
        digits += 1  # 0.04996 is not printed as 0.05
    return f"{p:.{digits}g}"


def p_equation(p: float) -> str:
    """A p-value within a sentence: `p = 0.03`, or `p < 1e-12`."""
    text = p_text(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def interval_text(interval: tuple[float, float]) -> str:
    """A confidence interval for people."""
    return f"[{interval[0]:.4g}, {interval[1]:.4g}]"


def numbers(name: str, values: npt.ArrayLike) -> FloatArray:
    """Values as numbers, NaN where they are masked; InputError names the first that is none."""
    if isinstance(values, np.ndarray) and np.iscomplexobj(values):
        raise InputError(f"{name} must be real numbers, not complex ones")
    try:
        if isinstance(values, np.ma.MaskedArray):
            return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float64), math.nan), dtype=np.float64)
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        objects = np.asarray(values, dtype=object).ravel()
    except ValueError:
        raise InputError(f"{name} has rows of different lengths") from None
    for position, value in enumerate(objects, start=1):
        if isinstance(value, (list, tuple, np.ndarray)):
            raise InputError(f"{name} has rows of different lengths")
        try:
            float(value)
        except (TypeError, ValueError):
            raise InputError(f"{name}: {value!r} at position {position} is not a number") from None
        except OverflowError:
            raise InputError(f"{name}: the number at position {position} is too large") from None
    raise InputError(f"{name} must be numbers in one list")


def resampling(seed: int, resamples: int, size: int) -> tuple[np.random.Generator, int]:
    """Random numbers of a bootstrap, and how many resamples of so many values are drawn.

    Raises
    ------
    InputError
        when the seed is negative, or fewer than 200 resamples are asked for.
    """
    if seed < 0:
        raise InputError(f"a seed of {seed} is not possible; it must be 0 or more")
    if resamples < _FEWEST_DRAWN:
        raise InputError(f"{resamples} resamples do not suffice for an interval; at least {_FEWEST_DRAWN} are needed")
    return np.random.default_rng(seed), resamples_drawn(resamples, size)


def resamples_drawn(resamples: int, size: int) -> int:
    """How many resamples of so many values are drawn, where so many are asked for."""
    return max(_FEWEST_DRAWN, min(resamples, _MOST_DRAWN // size))


def _words(name: str) -> set[str]:
    """The words of a column's name, whether it is written `t_lumbar`, `T-score` or `AgeYears`."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+", name)}
