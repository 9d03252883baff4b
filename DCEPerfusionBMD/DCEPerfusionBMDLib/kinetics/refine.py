"""What is done with fits: the delay between artery and tissue, the choice of a model, the bootstrap of a curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .model import Fit, Model, Solution, StatusArray
from .signal import FloatArray
from .status import FitStatus

_PER_S = 100  # delays that are told apart
_COARSE_S = 0.5
_COARSE_FRAMES = 0.25
_RATIOS = (5, 2)  # of the scans of 0.1, 0.02 and 0.01 s
_TIE = 1e-9  # relative difference of sums of squares that is none
_BLOCK_VOXELS = 32768
_SQUARES_VOXELS = 2048


def fit_delay(
    model: Model,
    concentration_mM: npt.ArrayLike,
    bounds_s: tuple[float, float] = (-3.0, 15.0),
    together: bool = False,
) -> tuple[FloatArray, Fit]:
    """Least-squares delay between the arterial curve and each voxel, with the other parameters.

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

    Raises
    ------
    ValueError
        when the shape of the concentration is not that of the model's times.

    Notes
    -----
    The sum of squares is taken at a few delays per frame, then ever closer around each minimum among them that may turn
    out to be the least; delays of a fraction of a frame shift the convolved curve exactly.
    """
    data = np.atleast_2d(np.asarray(concentration_mM, dtype=float))
    low, high = bounds_s
    inner = np.arange(np.floor(low * _PER_S), np.ceil(high * _PER_S) + 1) / _PER_S
    delays = np.unique(np.clip(inner, low, high))
    if together:
        totals: dict[int, float] = {}

        def total(_: npt.NDArray[np.intp], index: npt.NDArray[np.intp]) -> FloatArray:
            for n in {*index} - {*totals}:
                totals[n] = float(np.nansum(_squares(model.with_delay(delays[n]).fit(data))))
            return np.array([totals[n] for n in index])

        _scan(total, 1, delays.size, _ratios(model))
        delay = delays[min(totals, key=lambda n: (totals[n], n))]
        return np.full(len(data), delay), _counted(model.with_delay(delay).fit(data))
    solution = Solution(len(data), (*model.free, *model.derived))
    best = np.empty(len(data))
    for start in range(0, len(data), _BLOCK_VOXELS):
        part = slice(start, start + _BLOCK_VOXELS)
        least = _Least(model, data[part], delays)
        _scan(least.squares, len(least.index), delays.size, _ratios(model))
        solution.put(part, least.solution)
        best[part] = delays[least.index]
    one = np.unique(best).size == 1
    fit = Fit(model.with_delay(best[0]), solution, data, None) if one else DelayedFit(model, solution, data, best)
    return np.where(np.isfinite(data).any(axis=1), best, np.nan), _counted(fit)


def _counted(fit: Fit) -> Fit:
    fit.fitted_delays = 1
    return fit


def _ratios(model: Model) -> tuple[int, ...]:
    """How many times finer each scan of the delays is than the one before, the first one than that of 0.1 s."""
    coarse_s = min(_COARSE_S, _COARSE_FRAMES * float(np.median(np.diff(model.times_s))))
    return max(1, int(coarse_s * _PER_S) // int(np.prod(_RATIOS))), *_RATIOS


def _scan(
    squares: Callable[[npt.NDArray[np.intp], npt.NDArray[np.intp]], FloatArray],
    count: int,
    size: int,
    ratios: Sequence[int],
) -> None:
    """Ask for sums of squares of voxels at indices of delays, until the least of each voxel is among them.

    Between two neighbors of the coarsest scan the sum of squares is taken to have one minimum, and to sink below the
    lower one by no more than the other lies above it. Each delay is asked for in one of the calls only, so that its
    model is built once.

    Parameters
    ----------
    squares : of voxels and indices of delays, both (n,); inf where there is nothing to fit.
    count : of voxels.
    size : of the list of delays.
    ratios : how many times finer each scan is than the one before.
    """
    step = int(np.prod(ratios))
    every, least = np.arange(count), np.full(count, np.inf)
    voxel, center = every, np.zeros(count, dtype=np.intp)
    nodes = np.minimum(np.arange(0, size - 1 + step, step), size - 1)
    window = np.full((count, nodes.size + 2), np.inf)
    for n, node in enumerate(nodes):
        window[:, n + 1] = squares(every, np.full(count, node))
    first = -step
    for ratio in ratios:
        middle = window[:, 1:-1]
        row, column = np.nonzero((middle < window[:, :-2]) & (middle <= window[:, 2:]))
        around = window[row[:, np.newaxis], column[:, np.newaxis] + np.arange(3)]
        voxel, center = voxel[row], center[row] + first + step * (column + 1)
        np.minimum.at(least, voxel, around[:, 1])
        sinks = np.max(around, axis=1, where=np.isfinite(around), initial=0.0) - around[:, 1]
        open_ = (sinks > _TIE * around[:, 1]) & (around[:, 1] - sinks <= least[voxel])
        voxel, center = voxel[open_], center[open_]
        window = np.full((voxel.size, 2 * ratio + 1), np.inf)
        window[:, ::ratio] = around[open_]
        step //= ratio
        first = -ratio * step
        for offset in range(1, ratio):
            asked = np.concatenate((center + offset * step, center + (offset - ratio) * step))
            inside = np.flatnonzero((asked >= 0) & (asked < size))
            values = np.full(asked.size, np.inf)
            values[inside] = squares(np.tile(voxel, 2)[inside], asked[inside])
            window[:, ratio + offset], window[:, offset] = values.reshape(2, -1)


class _Least:
    """The least sum of squares of each voxel among those that were asked for, and its fit."""

    def __init__(self, model: Model, data: FloatArray, delays: FloatArray) -> None:
        self._model = model
        self._data = data
        self._delays = delays
        self._least = np.full(len(data), np.nan)
        self.index = np.zeros(len(data), dtype=np.intp)
        self.solution = Solution(len(data), (*model.free, *model.derived))

    def squares(self, voxel: npt.NDArray[np.intp], index: npt.NDArray[np.intp]) -> FloatArray:
        """Sums of squares of voxels at delays, (n,); inf where there is nothing to fit."""
        data, delay_s = self._data[voxel], self._delays[index]
        solution = Solution(voxel.size, (*self._model.free, *self._model.derived))
        order = np.argsort(index, kind="stable")
        for where in np.split(order, np.flatnonzero(np.diff(index[order])) + 1):
            if where.size:
                fit = self._model.with_delay(delay_s[where[0]]).fit(data[where])
                _put(solution, where, fit.parameters, fit.status)
        squares = _squares(DelayedFit(self._model, solution, data, delay_s))
        squares[np.isnan(squares)] = np.inf
        order = np.lexsort((index, squares, voxel))
        first = order[np.diff(voxel[order], prepend=-1) > 0]
        better = first[~(self._least[voxel[first]] <= squares[first])]  # also where nothing was known
        where = voxel[better]
        self._least[where], self.index[where] = squares[better], index[better]
        _put(self.solution, where, {n: v[better] for n, v in solution.values.items()}, solution.status[better])
        return squares


def _put(solution: Solution, where: npt.NDArray[np.intp], values: dict[str, FloatArray], status: StatusArray) -> None:
    part = Solution(0, ())
    part.values, part.status = values, status
    solution.put(where, part)


class DelayedFit(Fit):
    """A fit in which every voxel has its own delay."""

    def __init__(self, model: Model, solution: Solution, data: npt.NDArray[np.floating], delay_s: FloatArray) -> None:
        super().__init__(model, solution, data, None)
        self.delay_s = delay_s

    def _predict(self, where: slice) -> FloatArray:
        free, delays = self._free(where), self.delay_s[where]
        concentration = np.full((delays.size, self.model.times_s.size), np.nan)
        for model, fitted in self._models(delays, np.isfinite(free[self.model.free[0]])):
            concentration[fitted] = model.concentration(**{name: column[fitted] for name, column in free.items()})
        return concentration

    def _jacobian(self, where: npt.NDArray[np.intp]) -> FloatArray:
        jacobian = np.empty((where.size, self.model.times_s.size, len(self.model.free)))
        for model, chosen in self._models(self.delay_s[where], np.ones(where.size, dtype=bool)):
            jacobian[chosen] = model.jacobian(**self._free(where[chosen]))
        return jacobian

    def _models(self, delay_s: FloatArray, chosen: npt.NDArray[np.bool_]) -> Iterator[tuple[Model, Any]]:
        """Models with the delays of the chosen voxels, and of which of them."""
        unique = np.unique(delay_s[chosen])
        if self.model._delays_by_voxel and unique.size > 1:
            yield self.model.with_delay(delay_s[chosen]), chosen
        else:
            for delay in unique:
                yield self.model.with_delay(delay), chosen & (delay_s == delay)


def _squares(fit: Fit) -> FloatArray:
    """Residual sums of squares; that of no uptake where nothing could be fitted, NaN where there is nothing to fit."""
    squares = np.full(len(fit), np.nan)
    known = fit.status != FitStatus.CONVERSION_INVALID
    for start in range(0, len(fit), _SQUARES_VOXELS):
        part = slice(start, start + _SQUARES_VOXELS)
        curve = fit._predict(part)
        curve[np.isnan(curve[:, 0])] = 0.0
        curve -= fit._data[part]
        curve[~np.isfinite(curve)] = 0.0
        squares[part] = np.einsum("vt,vt->v", curve, curve)
    squares[~known] = np.nan
    return squares


def best_by_aicc(fits: Sequence[Fit]) -> npt.NDArray[np.intp]:
    """Which of several models describes each voxel best, by the corrected Akaike criterion.

    Parameters
    ----------
    fits : of the same n_voxels curves.

    Returns
    -------
    Index of the fit with the smallest `Fit.aicc`, (n_voxels,); -1 where no fit has an estimate.

    References
    ----------
    Hurvich CM, Tsai CL, Biometrika 1989;76:297-307.
    """
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
