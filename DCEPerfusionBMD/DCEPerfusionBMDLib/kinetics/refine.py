"""What is done with fits: the delay between artery and tissue, the choice of a model, the bootstrap of a curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .model import Fit, Model, Solution
from .signal import FloatArray
from .status import FitStatus

_COARSE_S = 1.0
_FINE_FACTOR = 8.0
_FINEST_S = 0.01


def fit_delay(
    model: Model,
    concentration_mM: npt.ArrayLike,
    bounds_s: tuple[float, float] = (-3.0, 15.0),
    together: bool = False,
) -> tuple[FloatArray, Fit]:
    """Least-squares delay between the arterial curve and each voxel, with the other parameters.

    The sum of squares is scanned over the delay, ever finer around the best, and then every voxel is fitted at its
    delay; sub-frame delays shift the convolved curve exactly.

    Parameters
    ----------
    model : its own delay is ignored.
    concentration_mM : (n_voxels, n_times) or (n_times,).
    bounds_s : smallest and largest delay.
    together : one delay for all voxels, the one with the smallest total sum of squares.

    Returns
    -------
    Delay in s, (n_voxels,), to 0.01 s; and the fit at these delays. A delay on a bound means that none inside was
    better; a voxel without a finite frame has NaN, unless the delay is one for all.
    """
    data = np.atleast_2d(np.asarray(concentration_mM, dtype=float))
    low, high = bounds_s
    step = min(_COARSE_S, 0.5 * float(np.median(np.diff(model.times_s))))
    delays = np.linspace(low, high, max(3, int(np.ceil((high - low) / step)) + 1))
    step = float(delays[1] - delays[0])
    squares = np.array([_squares(model.with_delay(delay).fit(data)) for delay in delays])
    if together:
        squares = np.broadcast_to(np.nansum(squares, axis=1, keepdims=True), squares.shape)
    best = delays[np.argmin(np.where(np.isfinite(squares), squares, np.inf), axis=0)]
    while step > _FINEST_S:
        step /= _FINE_FACTOR
        best = _refined(model, data, best, max(step, _FINEST_S), bounds_s, together)
    best = np.clip(np.round(best / _FINEST_S) * _FINEST_S, low, high)
    nothing = ~np.isfinite(data).any(axis=1) & (not together)
    solution = Solution(len(data), (*model.free, *model.derived))
    for delay in np.unique(best):
        where = np.flatnonzero(best == delay)
        fit = model.with_delay(delay).fit(data[where])
        part = Solution(where.size, ())
        part.values, part.status = fit.parameters, fit.status
        solution.put(where, part)
    one = np.unique(best).size == 1
    fit = Fit(model.with_delay(best[0]), solution, data, None) if one else DelayedFit(model, solution, data, best)
    return np.where(nothing, np.nan, best), fit


class DelayedFit(Fit):
    """A fit in which every voxel has its own delay."""

    def __init__(self, model: Model, solution: Solution, data: npt.NDArray[np.floating], delay_s: FloatArray) -> None:
        super().__init__(model, solution, data, None)
        self.delay_s = delay_s

    def _predict(self, where: slice) -> FloatArray:
        delays = self.delay_s[where]
        concentration = np.full((delays.size, self.model.times_s.size), np.nan)
        free = self._free(where)
        fitted = np.isfinite(free[self.model.free[0]])
        for delay in np.unique(delays[fitted]):
            chosen = fitted & (delays == delay)
            values = {name: column[chosen] for name, column in free.items()}
            concentration[chosen] = self.model.with_delay(delay).concentration(**values)
        return concentration

    def _jacobian(self, where: npt.NDArray[np.intp]) -> FloatArray:
        jacobian = np.empty((where.size, self.model.times_s.size, len(self.model.free)))
        for delay in np.unique(self.delay_s[where]):
            chosen = np.flatnonzero(self.delay_s[where] == delay)
            jacobian[chosen] = self.model.with_delay(delay).jacobian(**self._free(where[chosen]))
        return jacobian


def _refined(
    model: Model, data: FloatArray, center: FloatArray, step: float, bounds_s: tuple[float, float], together: bool
) -> FloatArray:
    """The best of the delays at most eight steps from the center of each voxel."""
    offsets = np.arange(-_FINE_FACTOR, _FINE_FACTOR + 1) * step
    best, least = center.copy(), np.full(len(data), np.inf)
    for offset in offsets:
        delays = np.clip(center + offset, *bounds_s)
        squares = np.empty(len(data))
        for delay in np.unique(delays):
            where = np.flatnonzero(delays == delay)
            squares[where] = _squares(model.with_delay(delay).fit(data[where]))
        if together:
            squares[:] = np.nansum(squares)
        better = squares < least  # never where there is nothing to fit
        best[better], least[better] = delays[better], squares[better]
    return best


def _squares(fit: Fit) -> FloatArray:
    """Residual sums of squares; that of no uptake where nothing could be fitted, NaN where there is nothing to fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        none = np.square(np.where(np.isfinite(fit._data), fit._data, 0.0)).sum(axis=1)
    known = fit.status != FitStatus.CONVERSION_INVALID
    return np.where(known, np.where(np.isfinite(fit._squares), fit._squares, none), np.nan)


def best_by_aicc(fits: Sequence[Fit]) -> npt.NDArray[np.intp]:
    """Index of the fit with the smallest corrected Akaike criterion per voxel; -1 where no fit has an estimate."""
    criteria = np.array([fit.aicc for fit in fits])
    known = np.isfinite(criteria)
    return np.where(known.any(axis=0), np.argmin(np.where(known, criteria, np.inf), axis=0), -1)


def residual_bootstrap(fit: Fit, count: int = 1000, seed: int = 0) -> dict[str, FloatArray]:
    """Distribution of the estimates of one curve, by resampling its residuals.

    The residuals, centered and widened by sqrt(n / (n - parameters)), are drawn with replacement, added to the fitted
    curve, and fitted again.

    Parameters
    ----------
    fit : of one curve, without weights.
    count : number of resampled curves.
    seed : of the draws.

    Returns
    -------
    Parameter name to (count,) estimates.

    Raises
    ------
    ValueError
        when the fit is not of one curve, or has no estimate.

    References
    ----------
    Efron B, Tibshirani RJ, An Introduction to the Bootstrap, 1993, chapter 9.
    """
    if len(fit) != 1 or fit._root_weights is not None:
        raise ValueError(f"the bootstrap takes the unweighted fit of one curve, not of {len(fit)}")
    predicted = fit.predict()[0]
    if not np.isfinite(predicted).all():
        raise ValueError("the curve has no estimate to resample about")
    residual = np.asarray(fit._data[0], dtype=float) - predicted
    used = residual[np.isfinite(residual)]
    widened = (used - used.mean()) * np.sqrt(used.size / (used.size - len(fit.model.free)))
    drawn = np.random.default_rng(seed).choice(widened, size=(count, predicted.size))
    drawn[:, ~np.isfinite(residual)] = np.nan
    return fit.model.fit(predicted + drawn).parameters
