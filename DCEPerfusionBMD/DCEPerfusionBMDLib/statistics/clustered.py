"""Vertebrae within subjects: a model with one intercept per subject, and a bootstrap that draws subjects."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize, special

from ..errors import InputError
from .values import LEVEL, FloatArray, check_regressors, complete, interval_text, p_text

_MOST_DRAWN = 50_000_000


@dataclass(frozen=True)
class FixedEffect:
    """One coefficient of a random-intercept model, with Wald's test and 95 % interval."""

    name: str
    value: float
    se: float
    z: float
    p: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.4g} {interval_text(self.interval)}, p = {p_text(self.p)}"


@dataclass(frozen=True)
class RandomIntercept:
    """Fit of y = X b + u(subject) + e.

    Attributes
    ----------
    effects : the intercept first.
    between_variance, within_variance : of u and e, in the unit of y squared.
    icc : share of the variance that lies between subjects.
    effective_n : number of independent values that would know a mean as well.
    log_likelihood : restricted or not, as `method` (`REML` or `ML`) says.
    subjects, n : how many, and how many values.
    """

    effects: tuple[FixedEffect, ...]
    between_variance: float
    within_variance: float
    icc: float
    effective_n: float
    log_likelihood: float
    method: str
    subjects: int
    n: int

    def __getitem__(self, name: str) -> FixedEffect:
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise KeyError(name)

    def __str__(self) -> str:
        head = f"{self.n} values of {self.subjects} subjects ({self.method}), ICC {self.icc:.3f}"
        return "\n".join([head, *(str(effect) for effect in self.effects)])


def random_intercept(
    outcome: npt.ArrayLike,
    predictors: Mapping[str, npt.ArrayLike],
    subjects: Sequence[Hashable] | npt.NDArray[np.generic],
    method: str = "REML",
) -> RandomIntercept:
    """Linear model with one random intercept per subject (Laird & Ware, Biometrics 1982;38:963).

    Coefficients and the residual variance are profiled out; what is searched is the ratio of the two variances.

    Parameters
    ----------
    outcome : shape (n,).
    predictors : by name, shape (n,) each; may be empty.
    subjects : subject of each value.
    method : `REML`, or `ML` to compare models that differ in predictors.

    Raises
    ------
    InputError
        when lengths differ, no subject has two values, or a predictor follows from the others.
    """
    if method not in ("REML", "ML"):
        raise InputError(f"the method is REML or ML, not {method!r}")
    check_regressors(list(predictors))
    y = complete("outcome", outcome, least=len(predictors) + 3)
    owner = _clusters(subjects, y.size)
    columns = [complete(name, values, length=y.size) for name, values in predictors.items()]
    centers = np.array([column.mean() for column in columns])
    scales = np.array([column.std() for column in columns])
    for name, scale, center in zip(predictors, scales, centers, strict=True):
        if not scale > 1e-13 * abs(center):
            raise InputError(f"predictor {name!r} does not vary")
    x = np.column_stack([np.ones(y.size), *((c - m) / s for c, m, s in zip(columns, centers, scales, strict=True))])
    shift, unit = float(y.mean()), float(y.std())
    if not unit > 1e-13 * abs(shift):
        raise InputError("the outcome does not vary")
    y = (y - shift) / unit
    sizes = np.bincount(owner).astype(np.float64)
    if sizes.size < 2 or sizes.max() < 2:
        raise InputError("a random intercept needs two subjects and a subject with two values")
    n, p = x.shape
    xx, xy, yy = x.T @ x, x.T @ y, float(y @ y)
    if np.linalg.matrix_rank(xx, tol=1e-9 * n) < p:
        raise InputError("a predictor follows from the others")
    sums = np.column_stack([np.bincount(owner, weights=column) for column in (*x.T, y)])
    # a subject enters by its sums, weighted by its size alone: subjects of one size are added up once
    lengths, kind = np.unique(sizes, return_inverse=True)
    members = np.bincount(kind)
    together = np.stack([sums[kind == k].T @ sums[kind == k] for k in range(lengths.size)])
    degrees = n - p if method == "REML" else n

    def fit(ratio: float) -> tuple[float, FloatArray, FloatArray, float]:
        taken = np.tensordot(ratio / (1 + ratio * lengths), together, axes=1)
        factor = linalg.cho_factor(xx - taken[:p, :p])
        right = xy - taken[:p, p]
        beta = linalg.cho_solve(factor, right)
        rest = yy - float(taken[p, p]) - float(beta @ right)
        variance = max(rest, 1e-300) / degrees
        value = degrees * (math.log(2 * math.pi * variance) + 1) + float(members @ np.log1p(ratio * lengths))
        if method == "REML":
            value += 2 * float(np.log(np.diag(factor[0])).sum())
        return -value / 2, beta, linalg.cho_solve(factor, np.eye(p)), variance

    grid = np.concatenate([[0.0], np.logspace(-8, 8, 65)])
    likelihoods = [fit(float(ratio))[0] for ratio in grid]
    best = int(np.argmax(likelihoods))
    if best == grid.size - 1:
        raise InputError("the values do not vary within subjects; use one value per subject")
    ratio = 0.0
    if best > 0:
        ends = (math.log(grid[max(best - 1, 1)]), math.log(grid[best + 1]))
        search = optimize.minimize_scalar(
            lambda u: -fit(math.exp(u))[0], bounds=ends, method="bounded", options={"xatol": 1e-10}
        )
        ratio = math.exp(search.x)
    likelihood, beta, inverse, variance = fit(ratio)
    # back to the units of the data
    back = np.eye(p)
    back[0, 1:] = -centers / scales
    back[1:, 1:] = np.diag(1 / scales)
    beta = unit * (back @ beta)
    beta[0] += shift
    errors = unit * np.sqrt(variance * np.diag(back @ inverse @ back.T))
    likelihood -= degrees * math.log(unit)
    if method == "REML":
        likelihood -= float(np.log(scales).sum())
    half = float(special.ndtri((1 + LEVEL) / 2))
    effects = []
    for name, value, se in zip(["intercept", *predictors], beta, errors, strict=True):
        z = float(value / se)
        interval = (float(value - half * se), float(value + half * se))
        effects.append(FixedEffect(name, float(value), float(se), z, float(2 * special.ndtr(-abs(z))), interval))
    within, between = variance * unit**2, ratio * variance * unit**2
    share = between / (between + within)
    effective = float(np.sum(sizes / (1 + (sizes - 1) * share)))
    return RandomIntercept(tuple(effects), between, within, share, effective, likelihood, method, sizes.size, n)


@dataclass(frozen=True)
class Bootstrap:
    """Percentile interval of a statistic under resampling of whole subjects."""

    estimate: float
    interval: tuple[float, float]
    resamples: int
    failed: int

    def __str__(self) -> str:
        note = f", {self.failed} without a value" if self.failed else ""
        return f"{self.estimate:.4g} {interval_text(self.interval)} ({self.resamples} resamples of subjects{note})"


def cluster_bootstrap(
    statistic: Callable[[dict[str, FloatArray]], float],
    columns: Mapping[str, npt.ArrayLike],
    subjects: Sequence[Hashable] | npt.NDArray[np.generic],
    seed: int,
    resamples: int = 1000,
) -> Bootstrap:
    """95 % interval of a statistic, subjects drawn with replacement and all their values with them.

    The work is bounded: above 50 million drawn values the number of resamples is cut down, to no fewer than 200.

    Parameters
    ----------
    statistic : of columns by name.
    columns : shape (n,) each.
    subjects : subject of each row.
    seed : of the random numbers.

    Raises
    ------
    InputError
        when lengths differ, there are fewer than two subjects, or more than a tenth of the resamples has no value.
    """
    size = len(subjects)
    arrays = {name: complete(name, values, length=size) for name, values in columns.items()}
    owner = _clusters(subjects, size)
    sizes = np.bincount(owner)
    if sizes.size < 2:
        raise InputError("one subject cannot be resampled; at least 2 are needed")
    order = np.argsort(owner, kind="stable")
    starts = np.cumsum(sizes) - sizes
    estimate = float(statistic(arrays))
    drawn = max(200, min(resamples, _MOST_DRAWN // size))
    random = np.random.default_rng(seed)
    found = np.empty(drawn)
    for i in range(drawn):
        chosen = random.integers(0, sizes.size, sizes.size)
        lengths = sizes[chosen]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = order[np.repeat(starts[chosen], lengths) + within]
        try:
            found[i] = statistic({name: array[rows] for name, array in arrays.items()})
        except ValueError:  # a resample may lack a group
            found[i] = math.nan
    known = found[np.isfinite(found)]
    if known.size < 0.9 * drawn:
        raise InputError(f"the statistic has no value in {drawn - known.size} of {drawn} resamples")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Bootstrap(estimate, (float(low), float(high)), drawn, drawn - known.size)


def _clusters(subjects: Sequence[Hashable] | npt.NDArray[np.generic], size: int) -> npt.NDArray[np.intp]:
    names = subjects if isinstance(subjects, np.ndarray) else np.asarray([str(subject) for subject in subjects])
    if names.size != size:
        raise InputError(f"{names.size} subjects are named for {size} values")
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.intp).ravel()
