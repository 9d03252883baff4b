"""Do two readings agree: intraclass correlation, concordance, Bland-Altman, repeatability."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ..errors import InputError
from .values import LEVEL, FloatArray, complete, interval_text, numbers, p_equation, varies


@dataclass(frozen=True)
class Icc:
    """One intraclass correlation.

    Attributes
    ----------
    name : as Shrout and Fleiss write it: `ICC(2,1)`.
    value, interval : estimate and 95 % interval; -inf where it is that of the mean of k readings and a single one has
        -1 / (k - 1) or less; NaN where the variances found allow of no estimate, or the limits do not enclose it.
    f, df1, df2, p : test that it is 0.
    """

    name: str
    value: float
    interval: tuple[float, float]
    f: float
    df1: int
    df2: int
    p: float

    def __str__(self) -> str:
        return f"{self.name} = {self.value:.3f} {interval_text(self.interval)}, {p_equation(self.p)}"


def icc(ratings: npt.ArrayLike) -> dict[str, Icc]:
    """The six intraclass correlations of Shrout and Fleiss, by name.

    (1,.) every subject has raters of its own; (2,.) raters are a sample, absolute agreement; (3,.) these raters,
    consistency; (.,1) one reading, (.,k) the mean of k.

    Parameters
    ----------
    ratings : (subjects, raters) array, complete, in any unit.

    Returns
    -------
    The correlations by name, `ICC(1,1)` to `ICC(3,k)`, without unit, each with its 95 % interval and F-test.

    Raises
    ------
    InputError
        when there are fewer than two subjects or raters, a rating is missing, or the raters differ by no more than a
        constant.

    References
    ----------
    Shrout & Fleiss, Psychol Bull 1979;86:420, the interval of ICC(2,.) by its appendix.
    """
    x = _ratings(ratings)
    n, k = x.shape
    rounding = 1e-28 * float(np.mean(x**2))
    x = x - x.mean()
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    subject = k * float(rows @ rows) / (n - 1)
    rater = n * float(columns @ columns) / (k - 1)
    inside = x - rows[:, None]
    within = float(np.sum(inside**2)) / (n * (k - 1))
    error = float(np.sum((inside - columns) ** 2)) / ((n - 1) * (k - 1))
    if not error > max(1e-28 * subject, 1e-28 * within, rounding):
        raise InputError("the readings differ by no more than a constant; there is no error to compare with")
    if subject <= max(1e-28 * within, rounding):
        subject = 0.0
    high = (1 + LEVEL) / 2

    def bounds(f: float, df1: float, df2: float) -> tuple[float, float]:
        if f == 0:
            return math.nan, math.nan
        return f / float(stats.f.ppf(high, df1, df2)), f * float(stats.f.ppf(high, df2, df1))

    def single(f: float) -> float:
        return (f - 1) / (f + k - 1)

    def mean(f: float) -> float:
        return 1 - 1 / f if f else -math.inf

    df1, df_within, df_error = n - 1, n * (k - 1), (n - 1) * (k - 1)
    f_within, f_error = subject / within, subject / error
    one, three = bounds(f_within, df1, df_within), bounds(f_error, df1, df_error)
    two = _share(subject - error, subject + (k - 1) * error + k * (rater - error) / n)
    two_mean = _share(subject - error, subject + (rater - error) / n)
    # Shrout & Fleiss, appendix: Satterthwaite's degrees of freedom
    fj = rater / error
    top = (k - 1) * (n - 1) * (k * two * fj + n * (1 + (k - 1) * two) - k * two) ** 2
    df2 = _share(top, (n - 1) * k**2 * two**2 * fj**2 + (n * (1 + (k - 1) * two) - k * two) ** 2)
    upper, lower = float(stats.f.ppf(high, n - 1, df2)), float(stats.f.ppf(high, df2, n - 1))
    noise = k * rater + (k * n - k - n) * error
    two_interval = (
        _share(n * (subject - upper * error), upper * noise + n * subject),
        _share(n * (lower * subject - error), noise + n * lower * subject),
    )

    def mean_of_k(value: float) -> float:
        return -math.inf if 1 + value * (k - 1) <= 0 else value * k / (1 + value * (k - 1))

    found = {
        "ICC(1,1)": (single(f_within), (single(one[0]), single(one[1])), f_within, df_within),
        "ICC(2,1)": (two, two_interval, f_error, df_error),
        "ICC(3,1)": (single(f_error), (single(three[0]), single(three[1])), f_error, df_error),
        "ICC(1,k)": (mean(f_within), (mean(one[0]), mean(one[1])), f_within, df_within),
        "ICC(2,k)": (two_mean, (mean_of_k(two_interval[0]), mean_of_k(two_interval[1])), f_error, df_error),
        "ICC(3,k)": (mean(f_error), (mean(three[0]), mean(three[1])), f_error, df_error),
    }
    return {
        name: Icc(
            name,
            value,
            interval if interval[0] <= value <= interval[1] else (math.nan, math.nan),
            f,
            df1,
            df2_,
            float(stats.f.sf(f, df1, df2_)),
        )
        for name, (value, interval, f, df2_) in found.items()
    }


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance correlation: precision r times accuracy.

    Attributes
    ----------
    value, interval : the coefficient, from -1 to 1, and its 95 % interval; NaN where it cannot be told.
    precision : Pearson's correlation.
    accuracy : value over precision: 1 where means and variances of both readings are equal.
    """

    value: float
    interval: tuple[float, float]
    precision: float
    accuracy: float

    def __str__(self) -> str:
        return f"CCC {self.value:.3f} {interval_text(self.interval)}"


def concordance(x: npt.ArrayLike, y: npt.ArrayLike) -> Concordance:
    """Lin's concordance correlation with its interval by the z-transform.

    Parameters
    ----------
    x, y : (n,) two readings of the same subjects, in one unit.

    Returns
    -------
    The coefficient with its 95 % interval, and its two factors; without unit.

    Raises
    ------
    InputError
        when lengths differ, there are fewer than three pairs, or a reading does not vary.

    Notes
    -----
    2 s_xy / (s_x^2 + s_y^2 + (mean(x) - mean(y))^2), with n in the denominators.

    References
    ----------
    Lin, Biometrics 1989;45:255, with the correction of 2000;56:324.
    """
    a = complete("x", x, least=3)
    b = complete("y", y, length=a.size)
    n = a.size
    size = max(np.abs(a).max(), np.abs(b).max(), np.finfo(float).tiny)
    a, b = a / size, b / size
    va, vb = float(a.var()), float(b.var())
    if not (varies(a) and varies(b) and va * vb > 0):
        raise InputError("a reading does not vary; concordance needs both to")
    shift = float(a.mean() - b.mean())
    covariance = float(np.mean((a - a.mean()) * (b - b.mean())))
    value = 2 * covariance / (va + vb + shift**2)
    r = covariance / math.sqrt(va * vb)
    if abs(r) < 1e-12 or 1 - abs(value) < 1e-12:
        return Concordance(value, (math.nan, math.nan), r, value / r if r else math.nan)
    u2 = shift**2 / math.sqrt(va * vb)
    c2 = value**2
    variance = (
        (1 - r**2) * c2 / ((1 - c2) * r**2)
        + 2 * value**3 * (1 - value) * u2 / (r * (1 - c2) ** 2)
        - value**4 * u2**2 / (2 * r**2 * (1 - c2) ** 2)
    ) / (n - 2)
    half = float(special.ndtri((1 + LEVEL) / 2)) * math.sqrt(max(variance, 0.0))
    z = math.atanh(value)
    return Concordance(value, (math.tanh(z - half), math.tanh(z + half)), r, value / r)


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two readings, first less second, in their unit.

    Attributes
    ----------
    bias, sd : mean and standard deviation of the differences.
    lower, upper : limits of agreement, bias -+ 1.96 SD.
    bias_interval, lower_interval, upper_interval : their 95 % intervals.
    slope_p : does the difference change with the size of what is measured? p of their correlation.
    n : pairs.
    """

    bias: float
    sd: float
    lower: float
    upper: float
    bias_interval: tuple[float, float]
    lower_interval: tuple[float, float]
    upper_interval: tuple[float, float]
    slope_p: float
    n: int

    def __str__(self) -> str:
        return (
            f"bias {self.bias:.4g} {interval_text(self.bias_interval)}, limits of agreement {self.lower:.4g} to "
            f"{self.upper:.4g}, n = {self.n}; difference against mean {p_equation(self.slope_p)}"
        )


def bland_altman(first: npt.ArrayLike, second: npt.ArrayLike) -> BlandAltman:
    """Limits of agreement of two readings.

    Parameters
    ----------
    first, second : (n,) two readings of the same subjects, in one unit.

    Returns
    -------
    Bias, limits of agreement and their 95 % intervals, in the unit of the readings.

    Raises
    ------
    InputError
        when lengths differ, there are fewer than three pairs, or all differences are equal.

    Notes
    -----
    The standard error of a limit is SD sqrt(1 / n + 1.96^2 / (2 (n - 1))).

    References
    ----------
    Bland & Altman, Lancet 1986;1:307, and Stat Methods Med Res 1999;8:135 for the intervals.
    """
    a = complete("first", first, least=3)
    b = complete("second", second, length=a.size)
    away, n = a - b, a.size
    if not varies(away, a, b):
        raise InputError("all differences are equal; limits of agreement need them to vary")
    bias, sd = float(away.mean()), float(away.std(ddof=1))
    z = float(special.ndtri((1 + LEVEL) / 2))
    t = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    of_bias = t * sd / math.sqrt(n)
    of_limit = t * sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    lower, upper = bias - z * sd, bias + z * sd
    mean = (a + b) / 2
    slope_p = float(stats.pearsonr(mean, away).pvalue) if varies(mean) else math.nan
    return BlandAltman(
        bias,
        sd,
        lower,
        upper,
        (bias - of_bias, bias + of_bias),
        (lower - of_limit, lower + of_limit),
        (upper - of_limit, upper + of_limit),
        slope_p,
        n,
    )


@dataclass(frozen=True)
class Repeatability:
    """Repeated readings of the same subjects.

    Attributes
    ----------
    within_sd : within-subject standard deviation, in the unit of the readings.
    coefficient : repeatability coefficient, 1.96 sqrt(2) = 2.77 within-subject SDs: two readings differ by less in
        95 % of subjects.
    interval : 95 % interval of the coefficient.
    within_cv : root mean square of the subjects' coefficients of variation, as a fraction; NaN where a mean is not
        positive.
    subjects : how many.
    """

    within_sd: float
    coefficient: float
    interval: tuple[float, float]
    within_cv: float
    subjects: int

    def __str__(self) -> str:
        cv = "" if math.isnan(self.within_cv) else f", within-subject CV {100 * self.within_cv:.1f} %"
        limits = interval_text(self.interval)
        return f"repeatability coefficient {self.coefficient:.4g} {limits}{cv}, {self.subjects} subjects"


def repeatability(ratings: npt.ArrayLike) -> Repeatability:
    """Within-subject variation of repeated readings.

    Parameters
    ----------
    ratings : (subjects, repeats) array, complete, in any unit.

    Returns
    -------
    Within-subject SD and repeatability coefficient in the unit of the readings, coefficient of variation as a fraction.

    Raises
    ------
    InputError
        when there are fewer than two subjects or repeats, or no reading varies within subjects.

    Notes
    -----
    The coefficient is 1.96 sqrt(2) times the root of the mean variance within subjects; its interval is that of
    chi-squared with subjects x (repeats - 1) degrees of freedom.

    References
    ----------
    Raunig et al., Stat Methods Med Res 2015;24:27.
    """
    x = _ratings(ratings)
    n, k = x.shape
    df = n * (k - 1)
    if not np.ptp(x, axis=1).max() > 1e-12 * np.abs(x).max():
        raise InputError("no reading varies within a subject")
    variances = (x - x[:, :1]).var(axis=1, ddof=1)
    sd = math.sqrt(float(variances.mean()))
    factor = float(special.ndtri((1 + LEVEL) / 2)) * math.sqrt(2)
    limits = np.sqrt(df / stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], df)) * factor * sd
    means = x.mean(axis=1)
    cv = math.sqrt(float(np.mean(variances / means**2))) if means.min() > 0 else math.nan
    return Repeatability(sd, factor * sd, (float(limits[0]), float(limits[1])), cv, n)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 1e-14 * abs(part) else math.nan


def _ratings(ratings: npt.ArrayLike) -> FloatArray:
    x = numbers("ratings", ratings)
    if x.ndim != 2 or min(x.shape) < 2:
        raise InputError(f"ratings have two subjects and two readings or more, not the shape {x.shape}")
    return complete("ratings", x.ravel()).reshape(x.shape)
