"""Correlations with intervals: Pearson, Spearman, partial."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ..errors import InputError
from .values import LEVEL, FloatArray, complete, interval_text, p_equation, varies

_EXACT_MOST = 8
"""Up to so many pairs Spearman's p is counted over all orders."""


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient.

    Attributes
    ----------
    kind : `Pearson`, `Spearman`, or what is held constant.
    r, n : coefficient and number of subjects.
    p : two-sided, of no correlation.
    interval : 95 % interval by Fisher's z; NaN where it has none.
    """

    kind: str
    r: float
    n: int
    p: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.kind} r = {self.r:.3f} {interval_text(self.interval)}, {p_equation(self.p)}, n = {self.n}"


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> Correlation:
    """Pearson correlation of two lists, shape (n,) each.

    Parameters
    ----------
    x, y : (n,) pairs, in any unit.

    Returns
    -------
    Coefficient, two-sided p and 95 % interval by Fisher's z.

    Raises
    ------
    InputError
        when lengths differ, there are fewer than three pairs, or one list does not vary.

    Notes
    -----
    See `pearson_from_r`.
    """
    a, b = _two(x, y)
    return pearson_from_r(float(stats.pearsonr(a, b).statistic), a.size)


def pearson_from_r(r: float, n: int, controlled: int = 0, kind: str = "Pearson") -> Correlation:
    """Test and interval of a coefficient that is known by itself, as published.

    Parameters
    ----------
    r, n : coefficient and number of subjects.
    controlled : number of variables held constant.
    kind : of the coefficient, for its text.

    Returns
    -------
    The coefficient with its two-sided p and 95 % interval; (-1, 1) with one degree of freedom.

    Raises
    ------
    InputError
        when r lies outside -1 to 1, n or the number held constant is no count, or there are too few subjects.

    Notes
    -----
    t = r sqrt(df / (1 - r^2)) with df = n - 2 - controlled; the interval is tanh(atanh(r) -+ 1.96 / sqrt(df - 1)).
    """
    if not (float(n).is_integer() and float(controlled).is_integer() and controlled >= 0):
        raise InputError(f"{n} subjects and {controlled} variables held constant are no counts")
    df = n - 2 - controlled
    if not -1 <= r <= 1:
        raise InputError(f"a correlation of {r:g} is not possible")
    if df < 1:
        raise InputError(f"{n} subjects do not suffice for a correlation with {controlled} variables held constant")
    if abs(r) == 1 or df == 1:
        return Correlation(kind, r, n, 0.0 if abs(r) == 1 else _t_p(r, df), (r, r) if abs(r) == 1 else (-1.0, 1.0))
    half = float(special.ndtri((1 + LEVEL) / 2)) / math.sqrt(df - 1)
    z = math.atanh(r)
    return Correlation(kind, r, n, _t_p(r, df), (math.tanh(z - half), math.tanh(z + half)))


def spearman(x: npt.ArrayLike, y: npt.ArrayLike) -> Correlation:
    """Spearman's rank correlation.

    Up to 8 pairs p is the share of all orders of y that correlate as much; from 9 on that of the t distribution.

    Parameters
    ----------
    x, y : (n,) pairs, in any unit.

    Returns
    -------
    Coefficient, two-sided p and 95 % interval; the interval is NaN where r is 1 or -1.

    Raises
    ------
    InputError
        when lengths differ, there are fewer than four pairs, or one list does not vary.

    Notes
    -----
    The interval is tanh(atanh(r) -+ 1.96 sqrt((1 + r^2 / 2) / (n - 3))).

    References
    ----------
    Bonett & Wright, Psychometrika 2000;65:23, for the interval.
    """
    a, b = _two(x, y, least=4)
    found = stats.spearmanr(a, b)
    r, p = float(found.statistic), float(found.pvalue)
    if a.size <= _EXACT_MOST:
        # twice the ranks less their mean are whole numbers, so equal correlations are equal
        first, second = (np.rint(2 * stats.rankdata(values) - values.size - 1) for values in (a, b))
        p = float(np.mean(np.abs(second[_orders(a.size)] @ first) >= abs(second @ first)))
    if abs(r) >= 1 - 1e-15:
        return Correlation("Spearman", r, a.size, p, (math.nan, math.nan))
    half = float(special.ndtri((1 + LEVEL) / 2)) * math.sqrt((1 + r**2 / 2) / (a.size - 3))
    z = math.atanh(r)
    return Correlation("Spearman", r, a.size, p, (math.tanh(z - half), math.tanh(z + half)))


def partial(x: npt.ArrayLike, y: npt.ArrayLike, held: Mapping[str, npt.ArrayLike]) -> Correlation:
    """Pearson correlation of what is left of two lists after linear regression on others.

    Parameters
    ----------
    x, y : (n,) pairs, in any unit.
    held : variables held constant by name, (n,) each; for example age.

    Returns
    -------
    Coefficient, two-sided p and 95 % interval, as `pearson_from_r` has them with one degree of freedom less for each
    variable held constant that does not follow from the others.

    Raises
    ------
    InputError
        when nothing is held constant, a variable held constant does not vary, lengths differ, there are too few
        subjects, or x or y follows from the variables held constant.

    Notes
    -----
    Pearson's correlation of the residuals of both by least squares on the variables held constant.
    """
    if not held:
        raise InputError("nothing is held constant; use pearson")
    a, b = _two(x, y)
    columns = []
    for name, values in held.items():
        column = complete(name, values, length=a.size)
        if not varies(column):
            raise InputError(f"{name} does not vary; it cannot be held constant")
        columns.append((column - column.mean()) / np.linalg.norm(column - column.mean()))
    # a variable that follows from the others takes no degree of freedom of its own
    directions, sizes, _ = np.linalg.svd(np.column_stack(columns), full_matrices=False)
    directions = directions[:, sizes > 1e-10]
    left = []
    for name, values in (("x", a), ("y", b)):
        about = values - values.mean()
        residual = about - directions @ (directions.T @ about)
        if np.linalg.norm(residual) <= 1e-12 * np.linalg.norm(about):
            raise InputError(f"{name} follows from {', '.join(held)}; nothing is left to correlate")
        left.append(residual)
    r = float(left[0] @ left[1] / math.sqrt((left[0] @ left[0]) * (left[1] @ left[1])))
    controlled = directions.shape[1]
    return pearson_from_r(max(-1.0, min(1.0, r)), a.size, controlled, f"{', '.join(held)} held constant:")


def _two(x: npt.ArrayLike, y: npt.ArrayLike, least: int = 3) -> tuple[FloatArray, FloatArray]:
    a = complete("x", x, least=least)
    b = complete("y", y, length=a.size)
    for name, values in (("x", a), ("y", b)):
        if not varies(values):
            raise InputError(f"{name} does not vary; nothing correlates with a constant")
    return a, b


@cache
def _orders(size: int) -> npt.NDArray[np.intp]:
    return np.array(list(itertools.permutations(range(size))))


def _t_p(r: float, df: int) -> float:
    # 1 - r^2 is written as a product: it keeps its digits where r is close to 1
    return float(2 * stats.t.sf(abs(r) * math.sqrt(df / ((1 - r) * (1 + r))), df))
