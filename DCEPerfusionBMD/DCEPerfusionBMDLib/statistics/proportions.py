"""Counts and rates: Fisher, chi-squared, trend over ordered groups, Wilson's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ..errors import InputError
from .values import LEVEL, FloatArray, complete, interval_text, numbers, p_equation, varies

_LARGEST = 1e9


@dataclass(frozen=True)
class Rate:
    """A rate with Wilson's 95 % interval.

    Attributes
    ----------
    count, total : of subjects.
    rate, interval : fraction, and its 95 % interval.
    """

    count: int
    total: int
    rate: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = (100 * limit for limit in self.interval)
        return f"{self.count}/{self.total} = {100 * self.rate:.1f} % {interval_text((low, high))} %"


def rate(count: int, total: int) -> Rate:
    """Share of a count in a total, with Wilson's interval.

    Parameters
    ----------
    count, total : of subjects.

    Returns
    -------
    The rate as a fraction, with its 95 % interval.

    Raises
    ------
    InputError
        when the count exceeds the total, the total is 0, or one is no whole number.

    References
    ----------
    Wilson, JASA 1927;22:209.
    """
    (c,), (n,) = _counts("count", [count]), _counts("total", [total])
    if not n > 0 or c > n:
        raise InputError(f"{c:g} of {n:g} is no rate")
    z = float(special.ndtri((1 + LEVEL) / 2))
    share = float(c / n)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = 0.0 if c == 0 else float(middle - half)
    high = 1.0 if c == n else float(middle + half)
    return Rate(int(c), int(n), share, (low, high))


def rate_difference(first: Rate, second: Rate) -> tuple[float, tuple[float, float]]:
    """First rate less second, of different subjects, with its 95 % interval.

    Parameters
    ----------
    first, second : as `rate` gives them.

    Returns
    -------
    The difference and its interval, as fractions.

    Notes
    -----
    By Wilson's intervals of both rates, without continuity correction.

    References
    ----------
    Newcombe, Stat Med 1998;17:873.
    """
    difference = first.rate - second.rate
    below = math.hypot(first.rate - first.interval[0], second.interval[1] - second.rate)
    above = math.hypot(first.interval[1] - first.rate, second.rate - second.interval[0])
    return difference, (difference - below, difference + above)


@dataclass(frozen=True)
class Fisher:
    """Fisher's exact test of a table of two by two, two-sided; the odds ratio is that of the sample.

    Attributes
    ----------
    odds_ratio, p : of the table, and the two-sided p.
    """

    odds_ratio: float
    p: float

    def __str__(self) -> str:
        return f"Fisher odds ratio {self.odds_ratio:.3g}, {p_equation(self.p)}"


def fisher(table: npt.ArrayLike) -> Fisher:
    """Fisher's exact test of a table of two by two.

    Parameters
    ----------
    table : (2, 2) counts.

    Returns
    -------
    Odds ratio of the sample, and the two-sided p.

    Raises
    ------
    InputError
        when the shape is another or an entry is no count.

    Notes
    -----
    p is the probability of all tables with these sums that are no more likely than this one, by
    `scipy.stats.fisher_exact`.
    """
    counts = _table(table)
    if counts.shape != (2, 2):
        raise InputError(f"Fisher's test takes a table of 2 by 2, not {counts.shape[0]} by {counts.shape[1]}")
    found = stats.fisher_exact(counts.astype(np.int64))
    return Fisher(float(found.statistic), float(found.pvalue))


@dataclass(frozen=True)
class ChiSquared:
    """Pearson's chi-squared test of independence, without continuity correction.

    Attributes
    ----------
    statistic, df, p : the test.
    sparse : number of cells that expect fewer than 5; the p-value is then rough.
    """

    statistic: float
    df: int
    p: float
    sparse: int

    def __str__(self) -> str:
        note = f"; {self.sparse} cells expect fewer than 5" if self.sparse else ""
        return f"chi2({self.df}) = {self.statistic:.4g}, {p_equation(self.p)}{note}"


def chi_squared(table: npt.ArrayLike) -> ChiSquared:
    """Chi-squared test of a table of counts.

    Parameters
    ----------
    table : (r, c) counts, two rows and two columns or more.

    Returns
    -------
    Chi-squared with (r - 1) (c - 1) degrees of freedom, its p, and how many cells expect fewer than 5.

    Raises
    ------
    InputError
        when the shape is another, an entry is no count, or a row or column is empty.

    Notes
    -----
    sum((observed - expected)^2 / expected), by `scipy.stats.chi2_contingency`.
    """
    counts = _table(table)
    if not (counts.sum(axis=0).all() and counts.sum(axis=1).all()):
        raise InputError("a row or a column of the table is empty; leave it out")
    found = stats.chi2_contingency(counts, correction=False)
    sparse = int(np.count_nonzero(np.asarray(found.expected_freq) < 5))
    return ChiSquared(float(found.statistic), int(found.dof), float(found.pvalue), sparse)


@dataclass(frozen=True)
class Trend:
    """Cochran-Armitage test of a trend of rates.

    Attributes
    ----------
    z, p : positive where the rate rises with the score; two-sided.
    linear_by_linear : (N - 1) r^2, as SPSS prints it.
    """

    z: float
    p: float
    linear_by_linear: float

    def __str__(self) -> str:
        return f"Cochran-Armitage z = {self.z:.3f}, {p_equation(self.p)}"


def cochran_armitage(counts: npt.ArrayLike, totals: npt.ArrayLike, scores: npt.ArrayLike | None = None) -> Trend:
    """Trend of a rate over ordered groups.

    Parameters
    ----------
    counts, totals : (k,) per group, in order.
    scores : (k,) of the groups; 0, 1, 2, ... where None.

    Returns
    -------
    z and its two-sided p, and the linear-by-linear statistic of SPSS.

    Raises
    ------
    InputError
        when an entry is no count, lengths differ, a count exceeds its total, all or none have the condition, or the
        scores do not vary.

    Notes
    -----
    z = sum(c (x - m)) / sqrt(p (1 - p) sum(n (x - m)^2)) for scores x with the mean m over all subjects;
    linear-by-linear is (N - 1) / N z^2.

    References
    ----------
    Armitage, Biometrics 1955;11:375.
    """
    n = _counts("totals", totals)
    c = _counts("counts", counts)
    if c.shape != n.shape:
        raise InputError(f"{c.size} counts and {n.size} totals; there must be as many of both")
    if np.any(c > n):
        raise InputError("a count exceeds its total")
    score = complete("scores", np.arange(n.size) if scores is None else scores, length=n.size)
    total, share = float(n.sum()), float(c.sum() / n.sum()) if n.sum() else math.nan
    if not 0 < share < 1:
        raise InputError("all or none have the condition; there is no trend to test")
    about = score - np.average(score, weights=n)
    squares = float(np.sum(n * about**2))
    if not varies(score[n > 0]):
        raise InputError("the scores do not vary")
    z = float(c @ about) / math.sqrt(share * (1 - share) * squares)
    return Trend(z, float(2 * special.ndtr(-abs(z))), (total - 1) / total * z**2)


def _table(table: npt.ArrayLike) -> FloatArray:
    counts = numbers("table", table)
    if counts.ndim != 2 or min(counts.shape) < 2:
        raise InputError(f"a table of counts has two rows and two columns or more, not the shape {counts.shape}")
    return _counts("table", counts.ravel()).reshape(counts.shape)


def _counts(name: str, values: npt.ArrayLike) -> FloatArray:
    counts = complete(name, values)
    if np.any((counts < 0) | (counts != np.round(counts))):
        raise InputError(f"{name} must be counts: whole numbers from 0")
    if counts.size and counts.max() > _LARGEST:
        raise InputError(f"{name}: {counts.max():g} is too large for a count")
    return counts
