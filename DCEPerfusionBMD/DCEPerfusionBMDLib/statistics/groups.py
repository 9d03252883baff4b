"""Groups compared in their means: analysis of variance, Welch, Kruskal, t-tests, effect sizes, assumptions.

Every test of means takes either the values of the groups or their published counts, means and spreads: the values
are reduced to a `GroupSummary` first, and the tests know nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from ..errors import InputError
from .values import (
    LEVEL,
    SMALL_GROUP,
    FloatArray,
    check_not_circular,
    coded,
    complete,
    interval_text,
    p_equation,
    varies,
)

Samples: TypeAlias = Mapping[str, npt.ArrayLike]

_SHAPIRO_MOST = 5000
_SERIES_DF = 20_000  # beyond, Hedges' series for his correction is closer than the exact one can be computed
_EXACT_NONCENTRALITY = 1e5
_READINGS = ("sd", "se", "variance")


@dataclass(frozen=True)
class GroupSummary:
    """Counts, means and variances of groups: all that the tests of means need.

    Attributes
    ----------
    names : of the groups.
    counts : subjects per group.
    means : per group.
    variances : per group, with n - 1 in the denominator; NaN for a group of one.
    centered : means less one common number, free of the rounding that large means would bring.
    """

    names: tuple[str, ...]
    counts: FloatArray
    means: FloatArray
    variances: FloatArray
    centered: FloatArray

    @property
    def sds(self) -> FloatArray:
        """Standard deviations."""
        return np.sqrt(self.variances)

    @property
    def small(self) -> tuple[str, ...]:
        """Names of the groups below `SMALL_GROUP` subjects."""
        return tuple(name for name, count in zip(self.names, self.counts, strict=True) if count < SMALL_GROUP)

    @property
    def total(self) -> int:
        """Number of subjects."""
        return int(self.counts.sum())

    @property
    def ss_between(self) -> float:
        """Sum of squares between the groups."""
        away = self.centered - np.average(self.centered, weights=self.counts)
        return float(np.sum(self.counts * away**2))

    @property
    def ss_within(self) -> float:
        """Sum of squares within the groups."""
        return float(np.sum(np.where(self.counts > 1, (self.counts - 1) * self.variances, 0.0)))

    @property
    def df_within(self) -> int:
        """Degrees of freedom within the groups."""
        return self.total - len(self.names)

    def __str__(self) -> str:
        rows = zip(self.names, self.counts, self.means, self.sds, strict=True)
        return "\n".join(
            f"{name}: n = {count:.0f}, mean {mean:.4g}, SD {sd:.4g}"
            + f"; fewer than {SMALL_GROUP}" * (name in self.small)
            for name, count, mean, sd in rows
        )


def describe(samples: Samples) -> GroupSummary:
    """Counts, means and variances of the values of each group.

    Parameters
    ----------
    samples : values by name of the group, each (n_group,) in one unit.

    Returns
    -------
    Counts, means and variances, in the unit of the values and in it squared.

    Raises
    ------
    InputError
        naming the group that is empty or holds what is no number, or when there are fewer than two groups.

    Notes
    -----
    Variances have n - 1 in the denominator.
    """
    arrays = [complete(f"group {name!r}", values) for name, values in samples.items()]
    names = _names(list(samples))
    # each group from its own first value: a group of equal values then has a variance of exactly 0
    firsts = np.array([array[0] for array in arrays])
    shifted = [array - first for array, first in zip(arrays, firsts, strict=True)]
    about = np.array([array.mean() for array in shifted])
    variances = np.array([array.var(ddof=1) if array.size > 1 else math.nan for array in shifted])
    counts = np.array([array.size for array in arrays], dtype=np.float64)
    centered = firsts - np.sort(firsts)[len(arrays) // 2] + about
    return GroupSummary(names, counts, firsts + about, variances, centered)


def from_statistics(
    names: Sequence[str], counts: npt.ArrayLike, means: npt.ArrayLike, spreads: npt.ArrayLike, reading: str = "sd"
) -> GroupSummary:
    """Groups known by what was published of them.

    Parameters
    ----------
    names, counts, means, spreads : one per group; means and spreads in one unit.
    reading : what the spreads are: `sd`, `se` (standard errors of the means) or `variance`.

    Returns
    -------
    Counts, means and variances, in the unit of the means and in it squared.

    Raises
    ------
    InputError
        when the reading is another, lengths differ, a name comes twice, there are fewer than two groups, a count is no
        whole number of at least 2, or a spread is negative.

    Notes
    -----
    variance = sd^2 = n se^2.
    """
    if reading not in _READINGS:
        raise InputError(f"a spread is read as {', '.join(_READINGS)}, not as {reading!r}")
    labels = _names(names)
    n = complete("counts", counts, length=len(names))
    m = complete("means", means, length=len(names))
    s = complete("spreads", spreads, length=len(names))
    for name, count, spread in zip(labels, n, s, strict=True):
        if count < 2 or count != round(count):
            raise InputError(f"group {name!r}: a count of {count:g} has no spread; whole numbers from 2 are needed")
        if spread < 0:
            raise InputError(f"group {name!r}: the spread {spread:g} is negative")
    variances = {"sd": s**2, "se": n * s**2, "variance": s}[reading]
    return GroupSummary(labels, n, m, variances, m - np.average(m, weights=n))


def summary_of(groups: GroupSummary | Samples) -> GroupSummary:
    """The summary itself, or that of the values."""
    return groups if isinstance(groups, GroupSummary) else describe(groups)


@dataclass(frozen=True)
class Anova:
    """One-way analysis of variance with equal variances.

    Attributes
    ----------
    f, df_between, df_within, p : the test.
    ss_between, ss_within : sums of squares, in the unit of the values squared.
    eta2, omega2 : share of the variance that lies between the groups, as it is in the sample and less biased.
    interval : 95 % interval of that share in the population.
    """

    f: float
    df_between: int
    df_within: int
    p: float
    ss_between: float
    ss_within: float
    eta2: float
    omega2: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return (
            f"ANOVA F({self.df_between}, {self.df_within}) = {self.f:.4g}, {p_equation(self.p)}, "
            f"eta2 = {self.eta2:.3f}, omega2 = {self.omega2:.3f} {interval_text(self.interval)}"
        )


def anova(groups: GroupSummary | Samples) -> Anova:
    """One-way analysis of variance with equal variances.

    Parameters
    ----------
    groups : values by group, or a summary.

    Returns
    -------
    The F-test; sums of squares in the unit of the values squared; the share of the variance between the groups with its
    95 % interval, as fractions.

    Raises
    ------
    InputError
        when no group varies, or no subject is left within the groups.

    Notes
    -----
    F = (SS_between / df_between) / (SS_within / df_within), eta2 = SS_between / SS_total, omega2 = (SS_between -
    df_between MS_within) / (SS_total + MS_within). The interval inverts the noncentral F distribution: the share is
    lambda / (lambda + N).

    References
    ----------
    Steiger, Psychol Methods 2004;9:164, for the interval.
    """
    summary = summary_of(groups)
    within, df_within = summary.ss_within, summary.df_within
    check_varies(summary)
    between, df_between = summary.ss_between, len(summary.names) - 1
    mean_square = within / df_within
    f = between / df_between / mean_square
    omega2 = (between - df_between * mean_square) / (between + within + mean_square)
    interval = _share_interval(f, df_between, df_within, summary.total)
    p = float(stats.f.sf(f, df_between, df_within))
    eta2 = between / (between + within)
    return Anova(f, df_between, df_within, p, between, within, eta2, omega2, interval)


@dataclass(frozen=True)
class WelchAnova:
    """Welch's analysis of variance: the variances may differ.

    Attributes
    ----------
    f, df1, df2, p : the test.
    """

    f: float
    df1: int
    df2: float
    p: float

    def __str__(self) -> str:
        return f"Welch F({self.df1}, {self.df2:.2f}) = {self.f:.4g}, {p_equation(self.p)}"


def welch_anova(groups: GroupSummary | Samples) -> WelchAnova:
    """Welch's analysis of variance, for variances that may differ.

    Parameters
    ----------
    groups : values by group, or a summary; every group needs two subjects and a variance.

    Returns
    -------
    The F-test, with its degrees of freedom, the second of which is no whole number.

    Raises
    ------
    InputError
        naming the group without a variance, or when there are fewer than two groups.

    References
    ----------
    Welch, Biometrika 1951;38:330.
    """
    summary = summary_of(groups)
    check_variances(summary)
    k = len(summary.names)
    weights = summary.counts / summary.variances
    share = weights / weights.sum()
    away = summary.centered - np.sum(share * summary.centered)
    spread = float(np.sum((1 - share) ** 2 / (summary.counts - 1)))
    f = float(np.sum(weights * away**2)) / (k - 1) / (1 + 2 * (k - 2) * spread / (k**2 - 1))
    df2 = (k**2 - 1) / 3 / spread
    return WelchAnova(f, k - 1, df2, float(stats.f.sf(f, k - 1, df2)))


@dataclass(frozen=True)
class RankTest:
    """Kruskal-Wallis test: statistic H, corrected for ties.

    Attributes
    ----------
    h, df, p : the test, H as chi-squared with df degrees of freedom.
    """

    h: float
    df: int
    p: float

    def __str__(self) -> str:
        return f"Kruskal-Wallis H({self.df}) = {self.h:.4g}, {p_equation(self.p)}"


def kruskal(samples: Samples) -> RankTest:
    """Kruskal-Wallis test of values by group.

    Parameters
    ----------
    samples : values by name of the group, each (n_group,) in one unit.

    Returns
    -------
    H, corrected for ties, with its degrees of freedom (groups less 1) and the p of chi-squared.

    Raises
    ------
    InputError
        when all values are equal, and as `describe` does.

    Notes
    -----
    By `scipy.stats.kruskal`.
    """
    describe(samples)
    arrays = [complete(name, values) for name, values in samples.items()]
    if np.ptp(np.concatenate(arrays)) == 0:
        raise InputError("all values are equal; there is nothing to rank")
    found = stats.kruskal(*arrays)
    return RankTest(float(found.statistic), len(arrays) - 1, float(found.pvalue))


@dataclass(frozen=True)
class TTest:
    """A t-test of the difference of two means.

    Attributes
    ----------
    kind : `student`, `welch` or `paired`.
    t, df, p : the test, two-sided.
    difference : first mean less second mean, or mean of the differences.
    interval : 95 % interval of the difference.
    hedges_g, g_interval : difference in pooled standard deviations, corrected for small samples; NaN where paired.
    """

    kind: str
    t: float
    df: float
    p: float
    difference: float
    interval: tuple[float, float]
    hedges_g: float = math.nan
    g_interval: tuple[float, float] = (math.nan, math.nan)

    def __str__(self) -> str:
        text = f"{self.kind} t({self.df:.5g}) = {self.t:.4g}, {p_equation(self.p)}, difference {self.difference:.4g} "
        effect = "" if math.isnan(self.hedges_g) else f", g = {self.hedges_g:.3g} {interval_text(self.g_interval)}"
        return text + interval_text(self.interval) + effect


def student_t(groups: GroupSummary | Samples) -> TTest:
    """Two-sample t-test with equal variances, of exactly two groups.

    Parameters
    ----------
    groups : values by group, or a summary; two groups.

    Returns
    -------
    The two-sided test; difference (first less second) with its 95 % interval in the unit of the values, and Hedges' g.

    Raises
    ------
    InputError
        when there are not two groups, or none of them varies.

    Notes
    -----
    t = (m1 - m2) / sqrt(s^2 (1 / n1 + 1 / n2)) with the pooled variance s^2 and n1 + n2 - 2 degrees of freedom.
    """
    summary = _two(groups)
    check_varies(summary)
    error = math.sqrt(summary.ss_within / summary.df_within * float(np.sum(1 / summary.counts)))
    return _t_test("student", summary, error, summary.df_within)


def welch_t(groups: GroupSummary | Samples) -> TTest:
    """Two-sample t-test with variances that may differ, of exactly two groups.

    Parameters
    ----------
    groups : values by group, or a summary; two groups.

    Returns
    -------
    The two-sided test; difference (first less second) with its 95 % interval in the unit of the values, and Hedges' g.

    Raises
    ------
    InputError
        when there are not two groups, or one of them has no variance.

    Notes
    -----
    t = (m1 - m2) / sqrt(v1 + v2) with v = s^2 / n and (v1 + v2)^2 / (v1^2 / (n1 - 1) + v2^2 / (n2 - 1)) degrees of
    freedom.
    """
    summary = _two(groups)
    check_variances(summary)
    squares = summary.variances / summary.counts
    df = float(squares.sum() ** 2 / np.sum(squares**2 / (summary.counts - 1)))
    return _t_test("welch", summary, math.sqrt(squares.sum()), df)


def paired_t(first: npt.ArrayLike, second: npt.ArrayLike) -> TTest:
    """Paired t-test of two measurements of the same subjects.

    Parameters
    ----------
    first, second : (n,) each, in one unit.

    Returns
    -------
    The two-sided test; mean of the differences (first less second) with its 95 % interval in the unit of the values.

    Raises
    ------
    InputError
        when lengths differ, there is one pair, or all differences are equal.

    Notes
    -----
    t = mean(d) / (sd(d) / sqrt(n)) with n - 1 degrees of freedom.
    """
    a = complete("first", first, least=2)
    b = complete("second", second, length=a.size)
    away = a - b
    if not varies(away, a, b):
        raise InputError("all differences are equal; a paired t-test needs them to vary")
    error = float(away.std(ddof=1)) / math.sqrt(a.size)
    mean, df = float(away.mean()), a.size - 1
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error
    return TTest(
        "paired", mean / error, df, float(2 * stats.t.sf(abs(mean / error), df)), mean, (mean - half, mean + half)
    )


def hedges_g(groups: GroupSummary | Samples) -> tuple[float, tuple[float, float]]:
    """Difference of two means in pooled standard deviations, corrected for small samples, and its 95 % interval.

    Parameters
    ----------
    groups : values by group, or a summary; two groups.

    Returns
    -------
    g (first less second) and its interval, without unit; NaN with one degree of freedom, where the correction is 0.

    Raises
    ------
    InputError
        when there are not two groups, or none of them varies.

    Notes
    -----
    g = J d, J = gamma(df / 2) / (sqrt(df / 2) gamma((df - 1) / 2)); the error is sqrt(N / (n1 n2) + g^2 / (2 N)).

    References
    ----------
    Hedges & Olkin 1985, ch. 5.
    """
    summary = _two(groups)
    check_varies(summary)
    df, total = summary.df_within, summary.total
    if df == 1:
        return math.nan, (math.nan, math.nan)
    d = float(summary.centered[0] - summary.centered[1]) / math.sqrt(summary.ss_within / df)
    if df < _SERIES_DF:
        correction = math.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / math.sqrt(df / 2)
    else:
        correction = 1 - 3 / (4 * df - 1)
    g = d * correction
    error = math.sqrt(total / float(np.prod(summary.counts)) + g**2 / (2 * total))
    half = float(special.ndtri((1 + LEVEL) / 2)) * error
    return g, (g - half, g + half)


@dataclass(frozen=True)
class Assumption:
    """A test of what another test assumes; a small p speaks against it.

    Attributes
    ----------
    name : of the test; with the reason in parentheses where it could not be made.
    statistic, p : of the test; NaN where it could not be made.
    """

    name: str
    statistic: float
    p: float

    def __str__(self) -> str:
        return f"{self.name} {self.statistic:.4g}, {p_equation(self.p)}"


def levene(samples: Samples, center: str = "mean") -> Assumption:
    """Equality of variances: Levene or Brown-Forsythe.

    Parameters
    ----------
    samples : values by name of the group, each (n_group,) in one unit.
    center : `mean` is Levene's test, `median` Brown and Forsythe's.

    Returns
    -------
    F and its p.

    Raises
    ------
    InputError
        when the center is another, the distances from it do not vary within any group, and as `describe` does.

    Notes
    -----
    Analysis of variance of the distances |x - center of the group|, by `scipy.stats.levene`.
    """
    names = {"mean": "Levene", "median": "Brown-Forsythe"}
    if center not in names:
        raise InputError(f"the center is mean or median, not {center!r}")
    summary = describe(samples)
    check_varies(summary)
    arrays = _shifted(samples)
    middle = np.mean if center == "mean" else np.median
    distances = [np.abs(array - middle(array)) for array in arrays]
    within = sum(float(np.sum((part - part.mean()) ** 2)) for part in distances)
    if not within > 1e-24 * sum(float(np.sum(part**2)) for part in distances):
        raise InputError(
            f"the distances from the {center} do not vary within any group; there is no error to compare with"
        )
    found = stats.levene(*arrays, center=center)
    return Assumption(names[center], float(found.statistic), float(found.pvalue))


def residual_normality(samples: Samples) -> Assumption:
    """Shapiro-Wilk test of the values less the mean of their group.

    Parameters
    ----------
    samples : values by name of the group, each (n_group,) in one unit.

    Returns
    -------
    W and its p, which is NaN above 5000 residuals, where its approximation ends.

    Raises
    ------
    InputError
        when there are fewer than three values or they do not vary, and as `describe` does.

    References
    ----------
    Royston, Appl Stat 1995;44:547, by `scipy.stats.shapiro`.
    """
    summary = describe(samples)
    check_varies(summary)
    residuals = np.concatenate([array - array.mean() for array in _shifted(samples)])
    if residuals.size < 3:
        raise InputError(f"Shapiro-Wilk needs three values, there are {residuals.size}")
    if residuals.size > _SHAPIRO_MOST:
        return Assumption(f"Shapiro-Wilk (more than {_SHAPIRO_MOST} residuals)", math.nan, math.nan)
    found = stats.shapiro(residuals / np.abs(residuals).max())
    return Assumption("Shapiro-Wilk", float(found.statistic), float(found.pvalue))


@dataclass(frozen=True)
class Comparison:
    """One quantity between groups: three tests, what they assume, and which groups are small.

    A test of an assumption that cannot be made has the reason in its name and NaN for numbers.
    The p to report is Welch's: it holds whether or not variances are equal. Nothing is chosen by the assumption tests.

    Attributes
    ----------
    quantity : name of the column.
    groups : counts, means and variances.
    welch, anova, kruskal : the three tests.
    levene, brown_forsythe, shapiro : what they assume: equal variances, and residuals of a normal distribution.
    """

    quantity: str
    groups: GroupSummary
    welch: WelchAnova
    anova: Anova
    kruskal: RankTest
    levene: Assumption
    brown_forsythe: Assumption
    shapiro: Assumption

    def __str__(self) -> str:
        lines = [self.quantity, *str(self.groups).splitlines(), self.welch, self.anova, self.kruskal]
        return "\n".join(str(line) for line in [*lines, self.levene, self.brown_forsythe, self.shapiro])


def compare(samples: Samples, quantity: str, grouping: str) -> Comparison:
    """Compare a quantity between groups, with the assumptions beside the tests.

    Parameters
    ----------
    samples : values by group, each (n_group,) in one unit.
    quantity, grouping : names of the columns, for example `ktrans_per_min` and `bmd_class`.

    Returns
    -------
    The three tests, and those of what they assume.

    Raises
    ------
    InputError
        when the comparison would be circular, or a group cannot be used.

    Notes
    -----
    `welch_anova`, `anova`, `kruskal`, `levene` and `residual_normality` name their sources.
    """
    check_not_circular(quantity, grouping)
    summary = describe(samples)
    return Comparison(
        quantity,
        summary,
        welch_anova(summary),
        anova(summary),
        kruskal(samples),
        _attempt("Levene", lambda: levene(samples)),
        _attempt("Brown-Forsythe", lambda: levene(samples, "median")),
        _attempt("Shapiro-Wilk", lambda: residual_normality(samples)),
    )


def check_variances(summary: GroupSummary) -> None:
    """Every group has a variance; otherwise InputError names the group."""
    for name, count, variance in zip(summary.names, summary.counts, summary.variances, strict=True):
        if count < 2:
            raise InputError(f"group {name!r} has one subject and no variance; at least 2 are needed")
        if not variance > 0:
            raise InputError(f"group {name!r} does not vary; this test needs a variance in every group")


def _names(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) < 2:
        raise InputError(f"{len(names)} group{'s' * (len(names) != 1)} cannot be compared; at least 2 are needed")
    labels, codes = coded(list(names))
    if len(labels) < codes.size:
        raise InputError(f"a group is named twice: {', '.join(map(str, names))}")
    return tuple(labels)


def _shifted(samples: Samples) -> list[FloatArray]:
    """The values of each group less its first, which keeps the digits of groups far from 0."""
    arrays = [complete(f"group {name!r}", values) for name, values in samples.items()]
    return [array - array[0] for array in arrays]


def _attempt(name: str, test: Callable[[], Assumption]) -> Assumption:
    try:
        return test()
    except InputError as reason:
        return Assumption(f"{name} ({reason})", math.nan, math.nan)


def check_varies(summary: GroupSummary) -> None:
    """Some group varies; otherwise InputError."""
    if summary.df_within < 1:
        raise InputError("every group has one subject; at least one group needs 2")
    if not summary.ss_within > 0:
        raise InputError(f"no group varies ({', '.join(summary.names)}); there is no error to compare with")


def _two(groups: GroupSummary | Samples) -> GroupSummary:
    summary = summary_of(groups)
    if len(summary.names) != 2:
        raise InputError(f"this compares 2 groups, not {len(summary.names)}")
    return summary


def _t_test(kind: str, summary: GroupSummary, error: float, df: float) -> TTest:
    difference = float(summary.centered[0] - summary.centered[1])
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error
    t = difference / error
    p = float(2 * stats.t.sf(abs(t), df))
    return TTest(kind, t, df, p, difference, (difference - half, difference + half), *hedges_g(summary))


def _share_interval(f: float, df1: int, df2: int, total: int) -> tuple[float, float]:
    def share(probability: float) -> float:
        distance: Callable[[float], float] = lambda nc: _noncentral_f(df1, df2, nc, f) - probability  # noqa: E731
        if stats.f.cdf(f, df1, df2) <= probability or distance(1e-12) <= 0:
            return 0.0
        high = 2 * df1 * f + 10.0
        while distance(high) > 0:
            high *= 2
        noncentrality = optimize.brentq(distance, 1e-12, high, xtol=1e-9, rtol=1e-12)
        return float(noncentrality / (noncentrality + total))

    return share((1 + LEVEL) / 2), share((1 - LEVEL) / 2)


def _noncentral_f(df1: int, df2: int, noncentrality: float, f: float) -> float:
    """Probability below f: a Poisson mixture of beta distributions, or Patnaik's two moments where that takes long.

    scipy's own function is off by 1e-3 and more from a noncentrality of 3,000 on before 1.14, and NaN in far tails.
    Patnaik: Biometrika 1949;36:202.
    """
    if noncentrality < _EXACT_NONCENTRALITY:
        middle = noncentrality / 2
        reach = 12 * math.sqrt(middle) + 40
        j = np.arange(max(0, math.floor(middle - reach)), math.ceil(middle + reach) + 1)
        weights = np.exp(special.xlogy(j, middle) - middle - special.gammaln(j + 1))
        below = special.betainc(df1 / 2 + j, df2 / 2, df1 * f / (df1 * f + df2))
        return float(weights @ below / weights.sum())
    moments = (df1 + noncentrality) ** 2 / (df1 + 2 * noncentrality)
    return float(special.fdtr(moments, df2, f * df1 / (df1 + noncentrality)))
