"""Correlations with intervals: Pearson, Spearman, partial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ..errors import InputError
from .values import LEVEL, FloatArray, complete, interval_text, p_text, varies


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient.

    Attributes
    ----------
    kind : `Pearson`, `Spearman`, or what is held constant.
    r, n : coefficient and number of subjects.
    p : two-sided, of no correlation.
    interval : 95 % interval by Fisher's z.
    """

    kind: str
    r: float
    n: int
    p: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.kind} r = {self.r:.3f} {interval_text(self.interval)}, p = {p_text(self.p)}, n = {self.n}"


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> Correlation:
    """Pearson correlation of two lists, shape (n,) each.

    Raises
    ------
    InputError
        when lengths differ, there are fewer than three pairs, or one list does not vary.
    """
    a, b = _two(x, y)
    return pearson_from_r(float(stats.pearsonr(a, b).statistic), a.size)


def pearson_from_r(r: float, n: int, controlled: int = 0, kind: str = "Pearson") -> Correlation:
    """Test and interval of a coefficient that is known by itself, as published.

    Parameters
    ----------
    r, n : coefficient and number of subjects.
    controlled : number of variables held constant.

    Raises
    ------
    InputError
        when r lies outside -1 to 1 or there are too few subjects.
    """
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
    """Spearman's rank correlation; the interval is Bonett and Wright's (Psychometrika 2000;65:23).

    Raises
    ------
    InputError
        when lengths differ, there are fewer than four pairs, or one list does not vary.
    """
    a, b = _two(x, y, least=4)
    found = stats.spearmanr(a, b)
    r = float(found.statistic)
    if abs(r) >= 1 - 1e-15:
        return Correlation("Spearman", r, a.size, float(found.pvalue), (r, r))
    half = float(special.ndtri((1 + LEVEL) / 2)) * math.sqrt((1 + r**2 / 2) / (a.size - 3))
    z = math.atanh(r)
    return Correlation("Spearman", r, a.size, float(found.pvalue), (math.tanh(z - half), math.tanh(z + half)))


def partial(x: npt.ArrayLike, y: npt.ArrayLike, held: Mapping[str, npt.ArrayLike]) -> Correlation:
    """Pearson correlation of what is left of two lists after linear regression on others.

    Parameters
    ----------
    x, y : shape (n,).
    held : variables held constant by name, shape (n,) each; for example age.

    Raises
    ------
    InputError
        when lengths differ, there are too few subjects, or x or y follows from the variables held constant.
    """
    a, b = _two(x, y)
    columns = [np.ones(a.size)]
    for name, values in held.items():
        column = complete(name, values, length=a.size)
        columns.append(column - column.mean())
    design = np.column_stack(columns)
    left = []
    for name, values in (("x", a), ("y", b)):
        about = values - values.mean()
        residual = about - design @ np.linalg.lstsq(design, about, rcond=None)[0]
        if np.linalg.norm(residual) <= 1e-12 * np.linalg.norm(about):
            raise InputError(f"{name} follows from {', '.join(held)}; nothing is left to correlate")
        left.append(residual)
    r = float(left[0] @ left[1] / math.sqrt((left[0] @ left[0]) * (left[1] @ left[1])))
    return pearson_from_r(max(-1.0, min(1.0, r)), a.size, len(held), f"{', '.join(held)} held constant:")


def _two(x: npt.ArrayLike, y: npt.ArrayLike, least: int = 3) -> tuple[FloatArray, FloatArray]:
    a = complete("x", x, least=least)
    b = complete("y", y, length=a.size)
    for name, values in (("x", a), ("y", b)):
        if not varies(values):
            raise InputError(f"{name} does not vary; nothing correlates with a constant")
    return a, b


def _t_p(r: float, df: int) -> float:
    # 1 - r^2 is written as a product: it keeps its digits where r is close to 1
    return float(2 * stats.t.sf(abs(r) * math.sqrt(df / ((1 - r) * (1 + r))), df))
