"""Tables as papers print them: mean, standard deviation, rates and marks by group, with a footnote that says how."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..tables import Column, Table
from .groups import welch_t
from .posthoc import PostHoc, dunnett, games_howell, holm, lsd
from .proportions import fisher
from .values import SMALL_GROUP, FloatArray, check_not_circular, numbers, split

METHODS = {
    "welch-holm": "Welch's t-test",
    "games-howell": "the Games-Howell test",
    "dunnett": "Dunnett's test",
    "lsd": "Fisher's least significant difference (pooled variance)",
}
"""Tests that marks of means come from, as a footnote names them."""


@dataclass(frozen=True)
class MarkTest:
    """The test behind the marks of a quantity or condition in one group.

    Attributes
    ----------
    key : name of the quantity or condition.
    group, reference : which are compared.
    test : `welch-holm` and so on for a quantity, `fisher` for a condition.
    n : subjects of both groups that have a value.
    p : not corrected, NaN where the test corrects by itself.
    p_adjusted : what the marks rest on.
    together : comparisons that are corrected together, 0 where p is not corrected.
    mark : that was set, if any.
    """

    key: str
    group: str
    reference: str
    test: str
    n: int
    p: float
    p_adjusted: float
    together: int
    mark: str


@dataclass(frozen=True)
class Marks:
    """Where the marks against one group of reference come from.

    Attributes
    ----------
    method : a key of `METHODS`.
    levels : by mark the level of significance.
    means, rates : comparisons made, of means by `method` and of rates by Fisher's exact test.
    """

    method: str
    levels: Mapping[str, float]
    means: int
    rates: int


@dataclass(frozen=True)
class GroupTable:
    """A table by group and the footnote that belongs to it.

    Attributes
    ----------
    table : one row per group; of a quantity the mean, the standard deviation and the marks, of a condition the count,
        the percentage and the marks; where values are missing also how many are.
    footnote : what is printed, which tests the marks come from, how they are corrected, what is not tested and why.
    marks : of each group of reference with which anything could be compared.
    tests : one per comparison that was made, whether or not it has a mark.
    """

    table: Table
    footnote: str
    tests: tuple[MarkTest, ...] = ()
    marks: tuple[Marks, ...] = ()

    def __str__(self) -> str:
        return f"{self.table.to_csv()}{self.footnote}"


def group_table(
    name: str,
    title: str,
    grouping: str,
    labels: Sequence[Hashable] | npt.NDArray[np.generic],
    order: Sequence[str],
    quantities: Mapping[str, npt.ArrayLike],
    conditions: Mapping[str, npt.ArrayLike],
    marks: Mapping[str, tuple[str, float]],
    method: str = "welch-holm",
) -> GroupTable:
    """Means, standard deviations and rates by group, with marks against groups of reference.

    Marks of quantities come from the tests of `method`, two-sided: `welch-holm` are Welch's t-tests, corrected by Holm
    together with the rates; `games-howell` and `dunnett` correct within each quantity; `lsd` corrects nothing. Marks of
    conditions come from Fisher's tests, corrected by Holm except under `lsd`. Holm's correction is over all comparisons
    of the table with the same group of reference. Two groups of reference are compared once, by the earlier mark; of
    several marks with one group of reference the strictest is set.

    Parameters
    ----------
    name, title : of the table.
    grouping : name of the column that makes the groups, for example `age_group`.
    labels : (n,) group of each subject.
    order : the groups in the order of the rows; a label that is not among them is refused.
    quantities : values by name, (n,) each, in the unit that is to be printed; NaN where missing.
    conditions : who has what, by name, (n,) each, true or false; NaN where it is not known.
    marks : by mark, the group it compares with and the level.
    method : a key of `METHODS`.

    Returns
    -------
    The table, one row per group, with its footnote and the tests behind its marks; rates in percent.

    Raises
    ------
    InputError
        when the method is unknown, there is neither a quantity nor a condition, a label is unknown or missing, a group
        is empty or comes twice, a name is that of a quantity and of a condition, a mark compares with no group, a level
        does not lie between 0 and 1, a condition holds anything but true and false, or lengths differ.

    Notes
    -----
    The tests are `welch_t`, `games_howell`, `dunnett`, `lsd` and `fisher`, which name their sources; Holm's correction
    is `holm`.
    """
    if method not in METHODS:
        raise InputError(f"marks come from {', '.join(METHODS)}, not from {method!r}")
    if not (quantities or conditions):
        raise InputError("a table needs a quantity or a condition")
    for key in quantities:
        if key in conditions:
            raise InputError(f"{key!r} is the name of a quantity and of a condition; name one of them otherwise")
    order = [str(group) for group in order]
    if len(set(order)) < len(order):
        raise InputError(f"a group of {grouping} comes twice in the order {', '.join(order)}")
    known = split(np.arange(len(labels), dtype=np.float64), labels)
    for label in known:
        if label not in order:
            raise InputError(f"{grouping} {label!r} is unknown; known are {', '.join(order)}")
    for group in order:
        if group not in known:
            raise InputError(f"no subject is in group {group!r} of {grouping}")
    marks = {mark: (str(reference), alpha) for mark, (reference, alpha) in marks.items()}
    for mark, (reference, alpha) in marks.items():
        if reference not in order:
            raise InputError(f"the mark {mark!r} compares with {reference!r}, which is no group")
        if not 0 < alpha < 1:
            raise InputError(f"the level {alpha:g} of the mark {mark!r} does not lie between 0 and 1")
    members = {group: known[group].astype(np.intp) for group in order}
    values = {key: _present(key, column, members, len(labels)) for key, column in quantities.items()}
    has = {key: _present(key, column, members, len(labels)) for key, column in conditions.items()}
    for key, parts in has.items():
        if any(np.any((part != 0) & (part != 1)) for part in parts.values()):
            raise InputError(f"{key} must hold true and false, or 1 and 0, only")
    marked, made, notes, tests = _marks(grouping, order, values, has, marks, method)
    sizes = {group: member.size for group, member in members.items()}
    columns = [Column(grouping, list(order), "Group"), Column("n", list(sizes.values()), "n")]
    for key, parts in values.items():
        found = parts.values()
        columns += [
            Column(f"{key}_mean", [_mean(x) for x in found], f"{key}, mean"),
            Column(f"{key}_sd", [_sd(x) for x in found], "SD"),
            Column(f"{key}_marks", marked[key], "Marks"),
            *_missing(key, parts, sizes, notes),
        ]
    for key, parts in has.items():
        found = parts.values()
        columns += [
            Column(f"{key}_n", [int(x.sum()) for x in found], key),
            Column(f"{key}_percent", [100 * float(x.mean()) if x.size else math.nan for x in found], "Share", "%"),
            Column(f"{key}_marks", marked[key], "Marks"),
            *_missing(key, parts, sizes, notes),
        ]
    small = [f"{group} ({size})" for group, size in sizes.items() if size < SMALL_GROUP]
    if small:
        care = ", so its marks are to be read with care" if made else ""
        notes.append(f"fewer than {SMALL_GROUP} subjects{care}: {', '.join(small)}")
    what = [*(["mean ± SD (standard deviation)"] if values else []), *(["count (percentage)"] if has else [])]
    footnote = "; ".join([f"Values are {' or '.join(what)}", *notes]) + "."
    return GroupTable(Table(name, title, tuple(columns)), footnote, tuple(tests), tuple(made))


def _mean(x: FloatArray) -> float:
    return float(x[0] + (x - x[0]).mean()) if x.size else math.nan


def _sd(x: FloatArray) -> float:
    # from the first value, so that equal ones have none
    return float((x - x[0]).std(ddof=1)) if x.size > 1 else math.nan


def _present(
    key: str, column: npt.ArrayLike, members: Mapping[str, npt.NDArray[np.intp]], length: int
) -> dict[str, FloatArray]:
    """The values of each group that are not missing."""
    array = numbers(key, column)
    if array.shape != (length,):
        raise InputError(f"{key} holds {array.size} values, not {length}")
    if np.isinf(array).any():
        raise InputError(f"{key} is infinite at position {int(np.flatnonzero(np.isinf(array))[0]) + 1}")
    parts = {group: array[member] for group, member in members.items()}
    return {group: part[~np.isnan(part)] for group, part in parts.items()}


def _missing(key: str, parts: Mapping[str, FloatArray], sizes: Mapping[str, int], notes: list[str]) -> list[Column]:
    lacks = [sizes[group] - part.size for group, part in parts.items()]
    if not any(lacks):
        return []
    total = sum(sizes.values())
    notes.append(f"{key} is missing for {sum(lacks)} of {total} subject{'s' * (total != 1)}")
    return [Column(f"{key}_missing", lacks, "Missing")]


def _marks(
    grouping: str,
    order: list[str],
    values: Mapping[str, dict[str, FloatArray]],
    has: Mapping[str, dict[str, FloatArray]],
    marks: Mapping[str, tuple[str, float]],
    method: str,
) -> tuple[dict[str, list[str]], list[Marks], list[str], list[MarkTest]]:
    made: list[Marks] = []
    tests: list[MarkTest] = []
    marked = {key: [""] * len(order) for key in (*values, *has)}
    tested = []
    circular: dict[str, list[str]] = {}
    for key in (*values, *has):
        try:
            check_not_circular(key, grouping)
            tested.append(key)
        except InputError as reason:
            circular.setdefault(str(reason).removeprefix(f"{key} is "), []).append(key)
    notes = [f"{' and '.join(keys)} {'is' if len(keys) == 1 else 'are'} {reason}" for reason, keys in circular.items()]
    earlier: dict[str, str] = {}  # groups of reference, and how their marks are called
    compared: set[tuple[str, str]] = set()
    for reference in dict.fromkeys(reference for reference, _ in marks.values()):
        levels = {mark: alpha for mark, (against, alpha) in marks.items() if against == reference}
        others = [group for group in order if group != reference and group not in earlier]
        means: dict[tuple[str, str], float] = {}
        rates: dict[tuple[str, str], float] = {}
        without = []
        for key in tested:
            if key in values:
                found = _p_values(values[key], reference, others, method)
                means |= {(key, group): p for group, p in found.items()}
                without += [
                    _why_not(key, values[key], group, reference, method) for group in others if group not in found
                ]
                continue
            for group in others:
                both = [has[key][group], has[key][reference]]
                if all(part.size for part in both):
                    rates[key, group] = fisher([[part.sum(), part.size - part.sum()] for part in both]).p
                else:
                    without.append(f"{key} {group} (a group has no value)")
        if method == "welch-holm":
            together = means | rates
            corrected = dict(zip(together, holm(list(together.values())) if together else [], strict=True))
        elif method == "lsd":
            corrected = means | rates
        else:
            corrected = means | dict(zip(rates, holm(list(rates.values())) if rates else [], strict=True))
        compared |= {(group, reference) for _, group in corrected}
        for (key, group), p in corrected.items():
            reached = [mark for mark, alpha in levels.items() if p < alpha]
            mark = min(reached, key=levels.__getitem__) if reached else ""
            marked[key][order.index(group)] += mark
            parts = values[key] if key in values else has[key]
            alone = key in values and method in ("games-howell", "dunnett")
            size = 0 if method == "lsd" or alone else len(rates) + (len(means) if method == "welch-holm" else 0)
            raw = math.nan if alone else means[key, group] if key in values else rates[key, group]
            test, n = method if key in values else "fisher", parts[group].size + parts[reference].size
            tests.append(MarkTest(key, group, reference, test, n, raw, p, size, mark))
        against = " and ".join(f"{mark} p < {alpha:g}" for mark, alpha in levels.items()) + f" against {reference}"
        if corrected:
            made.append(Marks(method, levels, len(means), len(rates)))
            notes.append(f"{against} by {_tests(method, len(means), len(rates))}")
        notes += [
            f"{reference} is compared with {other} once, by {called}"
            for other, called in earlier.items()
            if (reference, other) in compared
        ]
        if without:
            notes.append(f"not compared with {reference}: {', '.join(without)}")
        elif not corrected and not earlier:
            notes.append(f"nothing was compared with {reference}")
        earlier[reference] = " and ".join(levels)
    return marked, made, notes, tests


def _why_not(key: str, parts: Mapping[str, FloatArray], group: str, reference: str, method: str) -> str:
    fewest = min(parts[group].size, parts[reference].size)
    if fewest == 0:
        reason = "a group has no value"
    elif method in ("dunnett", "lsd"):
        reason = "no group varies"
    else:
        reason = "a group has one value" if fewest == 1 else "a group does not vary"
    return f"{key} {group} ({reason})"


def _p_values(parts: Mapping[str, FloatArray], reference: str, others: list[str], method: str) -> dict[str, float]:
    """P of each group against the group of reference, for those that can be compared."""
    pooled = method in ("dunnett", "lsd")
    least = 1 if pooled else 2
    usable = {group: part for group, part in parts.items() if part.size >= least and (pooled or np.ptp(part) > 0)}
    compared = [group for group in others if group in usable]
    if reference not in usable or not compared:
        return {}
    if method == "welch-holm":
        return {group: welch_t({group: usable[group], reference: usable[reference]}).p for group in compared}
    if not any(np.ptp(part) > 0 for part in usable.values()):
        return {}
    found: PostHoc
    if method == "games-howell":
        found = games_howell(usable)
    elif method == "dunnett":
        found = dunnett(usable, reference)
    else:
        found = lsd(usable)
    by_pair = {frozenset((pair.first, pair.second)): pair.p for pair in found.pairs}
    return {group: by_pair[frozenset((group, reference))] for group in compared}


def _tests(method: str, means: int, rates: int) -> str:
    name = METHODS[method]
    if method == "welch-holm":
        tests = [*([name] if means else []), *(["Fisher's exact test"] if rates else [])]
        return f"{' and '.join(tests)}, two-sided, corrected by Holm over {_comparisons(means + rates)}"
    corrected = "not corrected" if method == "lsd" else "corrected over the groups of each quantity"
    tests = [f"{name}, two-sided, {corrected}"] if means else []
    if rates:
        how = "not corrected" if method == "lsd" else f"corrected by Holm over {_comparisons(rates)}"
        tests.append(f"Fisher's exact test, two-sided, {how}")
    return " and ".join(tests)


def _comparisons(count: int) -> str:
    return f"{count} comparison{'s' * (count != 1)}"
