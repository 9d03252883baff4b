"""Which groups differ: pairs of groups after an analysis of variance, and p-values corrected for their number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from ..errors import InputError
from .groups import GroupSummary, Samples, check_variances, check_varies, describe, summary_of
from .values import LEVEL, FloatArray, complete, interval_text, p_equation

_MANY_DF = 1e5  # beyond, the studentized range and Dunnett's distribution are those of known variance


@dataclass(frozen=True)
class Pair:
    """Two groups compared.

    Attributes
    ----------
    first, second : names.
    difference : mean of the first less mean of the second (Dunn: of mean ranks).
    statistic, df : t, or z with infinitely many degrees of freedom.
    p : two-sided, corrected as the method says.
    interval : 95 % interval of the difference, simultaneous where the method is; NaN where it has none.
    """

    first: str
    second: str
    difference: float
    statistic: float
    df: float
    p: float
    interval: tuple[float, float] = (math.nan, math.nan)

    def __str__(self) -> str:
        text = f"{self.first} - {self.second}: {self.difference:.4g}"
        if not math.isnan(self.interval[0]):
            text += f" {interval_text(self.interval)}"
        return f"{text}, statistic {self.statistic:.4g}, {p_equation(self.p)}"


@dataclass(frozen=True)
class PostHoc:
    """Pairs of groups compared by one method.

    Attributes
    ----------
    method : of the comparison and its correction, as a footnote says it.
    pairs : one per comparison.
    small : names of the small groups.
    """

    method: str
    pairs: tuple[Pair, ...]
    small: tuple[str, ...]

    def __getitem__(self, names: tuple[str, str]) -> Pair:
        for pair in self.pairs:
            if {pair.first, pair.second} == set(names):
                return pair
        raise KeyError(names)

    def __str__(self) -> str:
        note = [f"small groups: {', '.join(self.small)}"] if self.small else []
        return "\n".join([self.method, *(str(pair) for pair in self.pairs), *note])


def lsd(groups: GroupSummary | Samples) -> PostHoc:
    """Fisher's least significant difference: pooled variance, no correction for the number of pairs.

    Parameters
    ----------
    groups : values by group, or a summary.

    Returns
    -------
    All pairs, with differences and 95 % intervals in the unit of the values.

    Raises
    ------
    InputError
        when no group varies, or there are fewer than two.

    Notes
    -----
    t = (m1 - m2) / sqrt(MS_within (1 / n1 + 1 / n2)), with the pooled variance of all groups and its degrees of
    freedom.
    """
    summary = summary_of(groups)
    check_varies(summary)
    t = float(stats.t.ppf((1 + LEVEL) / 2, summary.df_within))
    p_of: Callable[[float], float] = lambda x: 2 * float(stats.t.sf(x, summary.df_within))  # noqa: E731
    return _pooled("LSD, not corrected", summary, list(_all_pairs(summary)), p_of, t)


def tukey(groups: GroupSummary | Samples) -> PostHoc:
    """Tukey-Kramer honestly significant difference, all pairs, pooled variance.

    Parameters
    ----------
    groups : values by group, or a summary.

    Returns
    -------
    All pairs, with differences and simultaneous 95 % intervals in the unit of the values.

    Raises
    ------
    InputError
        when no group varies, or there are fewer than two.

    Notes
    -----
    p is that of the studentized range of all groups at |t| sqrt(2), t as of `lsd`.
    """
    summary = summary_of(groups)
    check_varies(summary)
    k, df = len(summary.names), summary.df_within
    p_of = partial(_range_p, k, df)
    critical = _critical(p_of, k * (k - 1) // 2, df)
    return _pooled("Tukey-Kramer", summary, list(_all_pairs(summary)), p_of, critical)


def games_howell(groups: GroupSummary | Samples) -> PostHoc:
    """Games-Howell, all pairs: variances may differ.

    Parameters
    ----------
    groups : values by group, or a summary; every group needs two subjects and a variance.

    Returns
    -------
    All pairs, with differences and simultaneous 95 % intervals in the unit of the values.

    Raises
    ------
    InputError
        naming the group without a variance, or when there are fewer than two groups.

    Notes
    -----
    p is that of the studentized range of all groups at |t| sqrt(2), t and its degrees of freedom as of `welch_t`.

    References
    ----------
    Games & Howell, J Educ Stat 1976;1:113.
    """
    summary = summary_of(groups)
    check_variances(summary)
    squares = summary.variances / summary.counts
    k = len(summary.names)
    pairs = []
    for i, j in _all_pairs(summary):
        both = squares[i] + squares[j]
        df = float(both**2 / (squares[i] ** 2 / (summary.counts[i] - 1) + squares[j] ** 2 / (summary.counts[j] - 1)))
        difference, error = float(summary.centered[i] - summary.centered[j]), math.sqrt(both)
        t = difference / error
        p_of = partial(_range_p, k, df)
        half = _critical(p_of, k * (k - 1) // 2, df) * error
        p = p_of(abs(t))
        interval = (difference - half, difference + half)
        pairs.append(Pair(summary.names[i], summary.names[j], difference, t, df, min(max(p, 0.0), 1.0), interval))
    return PostHoc("Games-Howell", tuple(pairs), summary.small)


def dunnett(groups: GroupSummary | Samples, control: str) -> PostHoc:
    """Dunnett's comparison of every group with one control, two-sided, pooled variance.

    The joint distribution is integrated over the control's mean and the pooled standard deviation by Gauss-Legendre
    panels, so the same input gives the same digits; tails below 1e-12 mean no more than that.

    Parameters
    ----------
    groups : values by group, or a summary.
    control : name of the group that the others are compared with.

    Returns
    -------
    A pair per group but the control: group less control, with simultaneous 95 % intervals, in the unit of the values.

    Raises
    ------
    InputError
        when no group is called like the control, or no group varies.

    References
    ----------
    Dunnett, JASA 1955;50:1096.
    """
    summary = summary_of(groups)
    if control not in summary.names:
        raise InputError(f"no group is called {control!r}; there are {', '.join(summary.names)}")
    base = summary.names.index(control)
    others = [i for i in range(len(summary.names)) if i != base]
    share = np.sqrt(summary.counts[others] / (summary.counts[others] + summary.counts[base]))
    check_varies(summary)
    df = summary.df_within
    p_of: Callable[[float], float] = lambda x: dunnett_p(x, share, df)  # noqa: E731
    critical = _dunnett_critical(tuple(map(float, share)), df)
    return _pooled(f"Dunnett against {control}", summary, [(i, base) for i in others], p_of, critical)


def dunnett_p(t: float, loadings: npt.ArrayLike, df: float) -> float:
    """Probability that the largest of |T_i| reaches t, T_i multivariate t with correlations of product form.

    With one or two degrees of freedom, tails far out (below 1e-6) are known to 0.2 % only.

    Parameters
    ----------
    t : not negative.
    loadings : lambda_i with corr(T_i, T_j) = lambda_i * lambda_j, each in (0, 1).
    df : degrees of freedom.
    """
    load = np.asarray(loadings, dtype=np.float64)
    rest = np.sqrt(1 - load**2)
    scale, weight = _scales(df)
    reach = t * scale[:, None]
    edges = []
    steps = np.array([-256.0, -64.0, -16.0, -6.0, -2.5, 0.0, 2.5, 6.0, 16.0, 64.0, 256.0])
    for width in {float(rest.min()), float(rest.max())}:
        for side in (-1.0, 1.0):
            edges.append(side * reach / load.mean() + width * steps)
    fixed = np.broadcast_to(np.linspace(-12.0, 12.0, 9), (scale.size, 9))
    z, z_weight = _panels(np.sort(np.clip(np.hstack([*edges, fixed]), -12.0, 12.0), axis=1), 12)
    inside = np.zeros_like(z)
    for part, other in zip(load, rest, strict=True):
        outside = special.ndtr(-(reach - part * z) / other) + special.ndtr(-(reach + part * z) / other)
        with np.errstate(divide="ignore"):
            inside += np.log1p(-np.minimum(outside, 1.0))
    beyond = -np.expm1(inside) * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return float(min(max(np.sum(weight * np.sum(beyond * z_weight, axis=1)), 0.0), 1.0))


def dunn(samples: Samples) -> PostHoc:
    """Dunn's comparison of mean ranks, all pairs, corrected for ties and by Holm.

    Parameters
    ----------
    samples : values by name of the group, each (n_group,) in one unit.

    Returns
    -------
    All pairs, with differences of mean ranks, z and corrected p; they have no intervals.

    Raises
    ------
    InputError
        when all values are equal, and as `describe` does.

    References
    ----------
    Dunn, Technometrics 1964;6:241.
    """
    summary = describe(samples)
    arrays = [complete(name, values) for name, values in samples.items()]
    pooled = np.concatenate(arrays)
    n = pooled.size
    ranks = np.split(stats.rankdata(pooled), np.cumsum([array.size for array in arrays])[:-1])
    ties = np.unique(pooled, return_counts=True)[1].astype(np.float64)
    variance = n * (n + 1) / 12 - float(np.sum(ties**3 - ties)) / (12 * (n - 1))
    if not variance > 0:
        raise InputError("all values are equal; there is nothing to rank")
    found = []
    for i, j in _all_pairs(summary):
        difference = float(ranks[i].mean() - ranks[j].mean())
        z = difference / math.sqrt(variance * (1 / arrays[i].size + 1 / arrays[j].size))
        found.append((summary.names[i], summary.names[j], difference, z))
    p = holm([2 * float(special.ndtr(-abs(z))) for *_, z in found])
    pairs = tuple(Pair(*row, math.inf, float(value)) for row, value in zip(found, p, strict=True))
    return PostHoc("Dunn, corrected by Holm", pairs, summary.small)


def bonferroni(p: npt.ArrayLike) -> FloatArray:
    """P-values times their number, at most 1.

    Parameters
    ----------
    p : (m,) p-values of m tests.

    Returns
    -------
    (m,) corrected p-values.

    Raises
    ------
    InputError
        when a value does not lie between 0 and 1, or there is none.

    Notes
    -----
    min(1, m p).
    """
    values = _probabilities(p)
    return np.minimum(values * values.size, 1.0)


def holm(p: npt.ArrayLike) -> FloatArray:
    """P-values corrected for their number by Holm.

    Parameters
    ----------
    p : (m,) p-values of m tests.

    Returns
    -------
    (m,) corrected p-values, in the order given.

    Raises
    ------
    InputError
        when a value does not lie between 0 and 1, or there is none.

    References
    ----------
    Holm, Scand J Stat 1979;6:65.
    """
    values = _probabilities(p)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def benjamini_hochberg(p: npt.ArrayLike) -> FloatArray:
    """P-values that control the false discovery rate.

    Parameters
    ----------
    p : (m,) p-values of m tests.

    Returns
    -------
    (m,) corrected p-values, in the order given.

    Raises
    ------
    InputError
        when a value does not lie between 0 and 1, or there is none.

    References
    ----------
    Benjamini & Hochberg, JRSS B 1995;57:289, by `scipy.stats.false_discovery_control`.
    """
    return np.asarray(stats.false_discovery_control(_probabilities(p), method="bh"), dtype=np.float64)


def _probabilities(p: npt.ArrayLike) -> FloatArray:
    values = complete("p-values", p)
    if np.any((values < 0) | (values > 1)):
        raise InputError("p-values must lie between 0 and 1")
    return values


def _all_pairs(summary: GroupSummary) -> itertools.combinations[tuple[int, int]]:
    return itertools.combinations(range(len(summary.names)), 2)


def _pooled(
    method: str,
    summary: GroupSummary,
    compared: list[tuple[int, int]],
    p_of: Callable[[float], float],
    critical: float,
) -> PostHoc:
    mean_square = summary.ss_within / summary.df_within
    pairs = []
    for i, j in compared:
        difference = float(summary.centered[i] - summary.centered[j])
        error = math.sqrt(mean_square * (1 / summary.counts[i] + 1 / summary.counts[j]))
        p = min(max(p_of(abs(difference) / error), 0.0), 1.0)
        interval = (difference - critical * error, difference + critical * error)
        names = summary.names[i], summary.names[j]
        pairs.append(Pair(*names, difference, difference / error, summary.df_within, p, interval))
    return PostHoc(method, tuple(pairs), summary.small)


def _range_p(k: int, df: float, t: float) -> float:
    """Probability that the largest of all pairwise |t| among k groups reaches t: the studentized range at t sqrt(2).

    The integral is over the largest of k normal values and the standard deviation; scipy's takes fifteen times as long.
    One pair and Bonferroni's correction of all bound it, where the integral is no more than its rounding.
    """
    scale, weight = _scales(df)
    z, z_weight = _panels(np.linspace(-9.0, 9.0, 13)[None, :], 12)
    density = k * z_weight * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = special.ndtr(z) - special.ndtr(z - t * math.sqrt(2) * scale[:, None])
    within = np.sum(density * below ** (k - 1), axis=1)
    alone = 2 * float(stats.t.sf(t, df))
    return min(max(float(weight @ (1 - within)), alone), k * (k - 1) / 2 * alone, 1.0)


def _scales(df: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of an integral over the pooled standard deviation, whose expectation is 1."""
    if df > _MANY_DF:
        return np.ones(1), np.ones(1)
    low = stats.chi2.ppf([1e-25, 1e-19, 1e-14, 1e-9, 1e-6, 1e-3, 0.05, 0.3], df)
    high = stats.chi2.isf([0.4, 0.05, 1e-3, 1e-7, 1e-13, 1e-20], df)
    logs, weight = _panels(np.log(np.append(low, high) / df)[None, :] / 2, 12)
    scale = np.exp(logs[0])
    # the density of s = chi / sqrt(df), times ds / dlog(s)
    return scale, weight[0] * np.exp(stats.chi2.logpdf(df * scale**2, df)) * 2 * df * scale**2


def _critical(p_of: Callable[[float], float], comparisons: int, df: float) -> float:
    """The t of which p is 5 %; it lies between that of one comparison and Bonferroni's."""
    tail = (1 - LEVEL) / 2
    ends = float(stats.t.isf(tail * 1.001, df)), float(stats.t.isf(tail / comparisons * 0.999, df))
    return float(optimize.brentq(lambda t: p_of(t) - (1 - LEVEL), *ends, xtol=1e-8))


@lru_cache(maxsize=64)
def _dunnett_critical(loadings: tuple[float, ...], df: float) -> float:
    """The same for every quantity of the same subjects."""
    return _critical(lambda t: dunnett_p(t, loadings, df), len(loadings), df)


@cache
def _legendre(order: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return nodes, weights


def _panels(edges: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Gauss-Legendre panels between successive edges; one row of edges per integral."""
    nodes, weights = _legendre(order)
    half = np.diff(edges, axis=1)[:, :, None] / 2
    middle = (edges[:, :-1] + edges[:, 1:])[:, :, None] / 2
    return (middle + half * nodes).reshape(edges.shape[0], -1), (half * weights).reshape(edges.shape[0], -1)
