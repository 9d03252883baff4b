"""Linear regression with variance inflation, a line with its band, and covariance analysis of groups."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..errors import InputError
from .values import LEVEL, FloatArray, check_regressors, complete, interval_text, numbers, p_equation, split, varies

_EXACT = 1e-24  # of the sum of squares; less is the rounding of a model that fits exactly

HIGH_VIF = 10.0
"""Variance inflation above which a coefficient is named as not to be told apart from others."""


@dataclass(frozen=True)
class Coefficient:
    """One coefficient of a regression.

    Attributes
    ----------
    name : of the predictor, or `intercept`.
    value, se, t, p, interval : estimate, its standard error, the test against 0 and the 95 % interval.
    vif : variance inflation by the other predictors; NaN for the intercept.
    """

    name: str
    value: float
    se: float
    t: float
    p: float
    interval: tuple[float, float]
    vif: float

    def __str__(self) -> str:
        text = f"{self.name}: {self.value:.4g} {interval_text(self.interval)}, {p_equation(self.p)}"
        high = f", VIF {self.vif:.1f}: not to be told apart from the others" if self.vif > HIGH_VIF else ""
        return text + high


@dataclass(frozen=True)
class Regression:
    """Ordinary least squares.

    Attributes
    ----------
    coefficients : the intercept first.
    n, df : subjects, and degrees of freedom of the residuals.
    r2, adjusted_r2 : share of the variance explained.
    f, p : test of all predictors together.
    residual_sd : in the unit of the outcome.
    """

    coefficients: tuple[Coefficient, ...]
    n: int
    df: int
    r2: float
    adjusted_r2: float
    f: float
    p: float
    residual_sd: float

    def __getitem__(self, name: str) -> Coefficient:
        for coefficient in self.coefficients:
            if coefficient.name == name:
                return coefficient
        raise KeyError(name)

    def __str__(self) -> str:
        return "\n".join(
            [f"n = {self.n}, R2 = {self.r2:.3f}, {p_equation(self.p)}", *(str(item) for item in self.coefficients)]
        )


def linear_regression(outcome: npt.ArrayLike, predictors: Mapping[str, npt.ArrayLike]) -> Regression:
    """Ordinary least squares with an intercept.

    Parameters
    ----------
    outcome : (n,), in any unit.
    predictors : by name, (n,) each.

    Returns
    -------
    Coefficients in the unit of the outcome over that of the predictor, with standard error, t-test, 95 % interval and
    variance inflation; R2, and the F-test of all.

    Raises
    ------
    InputError
        when Ktrans, kep and ve are all among the predictors, there is none, one is constant or follows from the others,
        the outcome is constant or follows from them exactly, lengths differ, or there are too few subjects.

    Notes
    -----
    b = (X'X)^-1 X'y, by the QR factors of the centered predictors; errors are those of n - 1 - k degrees of freedom.
    """
    check_regressors(list(predictors))
    y = complete("outcome", outcome, least=len(predictors) + 2)
    centers, scale, orthogonal, triangle = _directions(predictors, y.size)
    about = y - y.mean()
    total = float(about @ about)
    if not varies(y):
        raise InputError("the outcome does not vary")
    projected = orthogonal.T @ about
    residual = about - orthogonal @ projected
    df, k = y.size - 1 - scale.size, scale.size
    error = float(residual @ residual)
    _check_error(error, total)
    variance = error / df
    inverse = np.linalg.inv(triangle)
    slopes = inverse @ projected / scale
    vif = np.sum(inverse**2, axis=1)
    covariance = (inverse @ inverse.T) / np.outer(scale, scale)
    intercept = float(y.mean() - centers @ slopes)
    errors = [math.sqrt(variance * (1 / y.size + float(centers @ covariance @ centers)))]
    errors += list(np.sqrt(variance * vif) / scale)
    values = [intercept, *slopes]
    critical = float(stats.t.ppf((1 + LEVEL) / 2, df))
    coefficients = []
    for name, value, se, inflation in zip(["intercept", *predictors], values, errors, [math.nan, *vif], strict=True):
        t = value / se
        p = float(2 * stats.t.sf(abs(t), df))
        interval = (float(value - critical * se), float(value + critical * se))
        coefficients.append(Coefficient(name, float(value), float(se), float(t), p, interval, float(inflation)))
    f = float(projected @ projected) / k / variance
    r2 = 1 - error / total
    adjusted = 1 - (1 - r2) * (y.size - 1) / df
    p = float(stats.f.sf(f, k, df))
    return Regression(tuple(coefficients), y.size, df, r2, adjusted, f, p, math.sqrt(variance))


def variance_inflation(predictors: Mapping[str, npt.ArrayLike]) -> dict[str, float]:
    """How many times the others inflate the variance of each predictor's coefficient, by name.

    Parameters
    ----------
    predictors : by name, (n,) each.

    Returns
    -------
    Factors by name, 1 where a predictor is uncorrelated with the others.

    Raises
    ------
    InputError
        when there is no predictor, one is constant or follows from the others, or lengths differ.

    Notes
    -----
    1 / (1 - R_j^2), R_j^2 being the share of predictor j that the others explain.
    """
    size = max((numbers(name, values).size for name, values in predictors.items()), default=0)
    triangle = _directions(predictors, size)[3]
    vif = np.sum(np.linalg.inv(triangle) ** 2, axis=1)
    return dict(zip(predictors, map(float, vif), strict=True))


def line_band(x: npt.ArrayLike, y: npt.ArrayLike, at: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The regression line of y on x at some x, with the lower and upper 95 % limit of the mean there.

    Parameters
    ----------
    x, y : (n,) pairs, in any unit.
    at : (k,) places on the line, in the unit of x.

    Returns
    -------
    middle : (k,) the line, in the unit of y.
    low, high : (k,) limits of the mean.

    Raises
    ------
    InputError
        when x or y does not vary, all points lie on one line, lengths differ, or there are fewer than three pairs.

    Notes
    -----
    a + b x -+ t s sqrt(1 / n + (x - mean(x))^2 / S_xx), with n - 2 degrees of freedom: pointwise, not simultaneous.
    """
    a = complete("x", x, least=3)
    fit = linear_regression(y, {"x": a})
    places = complete("at", at)
    about = places - a.mean()
    middle = numbers("y", y).mean() + fit["x"].value * about
    squares = float(np.sum((a - a.mean()) ** 2))
    half = float(stats.t.ppf((1 + LEVEL) / 2, fit.df)) * fit.residual_sd * np.sqrt(1 / a.size + about**2 / squares)
    return middle, middle - half, middle + half


@dataclass(frozen=True)
class Term:
    """One line of an analysis of covariance.

    Attributes
    ----------
    name : of the term.
    ss, df : sum of squares, in the unit of the outcome squared, and degrees of freedom.
    f, p : the test; NaN where nothing is left to test with.
    """

    name: str
    ss: float
    df: int
    f: float
    p: float

    def __str__(self) -> str:
        return f"{self.name}: F({self.df}) = {self.f:.4g}, {p_equation(self.p)}"


@dataclass(frozen=True)
class Ancova:
    """Analysis of covariance with sums of squares of type II.

    Attributes
    ----------
    groups, covariate : the terms, each given the other.
    parallel : test that slopes differ between groups, which the analysis assumes they do not.
    df_residual, residual_ss : of the model with common slopes.
    adjusted_means : of the groups at the mean of the covariate.
    """

    groups: Term
    covariate: Term
    parallel: Term
    df_residual: int
    residual_ss: float
    adjusted_means: dict[str, float]

    def __str__(self) -> str:
        means = ", ".join(f"{name} {mean:.4g}" for name, mean in self.adjusted_means.items())
        return f"{self.groups}\n{self.covariate}\n{self.parallel}\nadjusted means: {means}"


def ancova(
    outcome: npt.ArrayLike,
    labels: Sequence[Hashable] | npt.NDArray[np.generic],
    covariate: npt.ArrayLike,
    name: str = "age",
) -> Ancova:
    """Groups compared at equal values of a covariate.

    Parameters
    ----------
    outcome : (n,), in any unit.
    labels : (n,) group of each subject.
    covariate : (n,), in any unit.
    name : of the covariate.

    Returns
    -------
    F-tests of groups, of the covariate and of the slopes; means of the groups at the mean of the covariate, in the unit
    of the outcome.

    Raises
    ------
    InputError
        when lengths differ, a label is missing, there are fewer than two groups, the covariate varies in no group, the
        model fits exactly, or nothing is left to estimate error.

    Notes
    -----
    y = a_group + b z + e, with sums of squares of type II: what the residual grows by when the term is left out.
    """
    y = complete("outcome", outcome)
    z = complete(name, covariate, length=y.size)
    parts = split(np.arange(y.size, dtype=np.float64), labels)
    members = {group: part.astype(np.intp) for group, part in parts.items()}
    if len(members) < 2:
        raise InputError(f"{len(members)} group cannot be compared; at least 2 are needed")
    df = y.size - len(members) - 1
    if df < 1:
        raise InputError(f"{y.size} subjects in {len(members)} groups leave no error to compare with")
    inner_y, inner_z = np.empty_like(y), np.empty_like(z)
    for member in members.values():
        inner_y[member] = _centered(y[member])
        inner_z[member] = _centered(z[member])
    y, z = y - y.mean(), z - z.mean()
    zz, zy, total = float(inner_z @ inner_z), float(inner_z @ inner_y), float(y @ y)
    if not zz > 1e-24 * float(z @ z):
        raise InputError(f"{name} does not vary within any group")
    residual = _left(inner_y, inner_z)
    _check_error(residual, total)
    without_groups = _left(y, z)
    separate, slopes = 0.0, 0  # of the model with a slope per group
    for member in members.values():
        separate += _left(inner_y[member], inner_z[member])
        slopes += int(np.any(inner_z[member] != 0))
    if separate <= _EXACT * total:
        separate = 0.0
    between = _term("groups", without_groups - residual, len(members) - 1, residual, df)
    common = _term(name, zy**2 / zz, 1, residual, df)
    parallel = _term("slopes differ", residual - separate, slopes - 1, separate, df + 1 - slopes)
    mean = float(np.asarray(outcome, dtype=np.float64).mean())
    slope = zy / zz
    adjusted = {group: mean + float(y[m].mean() - slope * z[m].mean()) for group, m in members.items()}
    return Ancova(between, common, parallel, df, residual, adjusted)


def _term(name: str, ss: float, df: int, residual: float, df_residual: int) -> Term:
    if df < 1 or df_residual < 1 or not residual > 0:
        return Term(name, ss, df, math.nan, math.nan)
    f = ss / df / (residual / df_residual)
    return Term(name, ss, df, f, float(stats.f.sf(f, df, df_residual)))


def _check_error(residual: float, total: float) -> None:
    if not residual > _EXACT * total:
        raise InputError("the model fits exactly; there is no error to compare with")


def _centered(values: FloatArray) -> FloatArray:
    """Values less their mean, exactly 0 where all are equal."""
    from_first = values - values[0]
    return np.asarray(from_first - from_first.mean())


def _left(y: FloatArray, z: FloatArray) -> float:
    """Sum of squares of what a line through the origin leaves of y."""
    squares = float(z @ z)
    rest = y - (float(z @ y) / squares if squares > 0 else 0.0) * z
    return float(rest @ rest)


def _directions(
    predictors: Mapping[str, npt.ArrayLike], size: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Means of the predictors, their lengths about them, and the QR factors of what is left when both are taken out."""
    if not predictors:
        raise InputError("a regression needs a predictor")
    columns = {name: complete(name, values, length=size) for name, values in predictors.items()}
    for name, column in columns.items():
        if not varies(column):
            raise InputError(f"predictor {name!r} does not vary")
    matrix = np.column_stack(list(columns.values()))
    centers = matrix.mean(axis=0)
    scale = np.linalg.norm(matrix - centers, axis=0)
    orthogonal, triangle = np.linalg.qr((matrix - centers) / scale)
    follows = np.flatnonzero(np.abs(np.diag(triangle)) < 1e-10)
    if follows.size:
        raise InputError(f"predictor {list(predictors)[int(follows[0])]!r} follows from those before it")
    return centers, scale, orthogonal, triangle
