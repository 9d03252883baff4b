"""The standard Tofts model: forward model and exact nonlinear least squares for many voxels at once.

C_t(t) = Ktrans * h(t; kep),  h(t; kep) = integral_0^t C_p(u) exp(-kep (t - u)) du,  ve = Ktrans / kep

The sum of squares is linear in Ktrans, so the search is over kep alone (variable projection). h is tabulated with its
derivative on a grid over ln(kep), in the few coordinates that span all of it, and interpolated by cubics in between;
a voxel then costs one small matrix product, the choice of the best grid point, and a few Newton steps on scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import Cancelled
from .signal import FloatArray
from .status import FitStatus

_GRID_POINTS = 384
_CHUNK_VOXELS = 4096
_NEWTON_STEPS = 8
_GOLDEN_STEPS = 48
_MINIMUM_FRAMES = 4
_BLOCK_VALUES = 1 << 18


def response(
    times_min: npt.ArrayLike, plasma_concentration_mM: npt.ArrayLike, kep_per_min: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Convolution of the plasma curve with exp(-kep t), and its derivative by kep, exact for a piecewise-linear curve.

    Over one interval of length dt, with x = kep dt and C_p linear from c0 to c1:
    h1 = exp(-x) h0 + dt (c0 a(x) + c1 b(x)),  a = (1 - e^-x - x e^-x)/x^2,  b = (x - 1 + e^-x)/x^2.

    Parameters
    ----------
    times_min : (n_times,) increasing, in minutes; C_p is taken as zero before the first.
    plasma_concentration_mM : (n_times,).
    kep_per_min : (n_kep,) not negative.

    Returns
    -------
    h in mM min and dh/dkep in mM min^2, both (n_kep, n_times).
    """
    t = np.asarray(times_min, dtype=float)
    plasma = np.asarray(plasma_concentration_mM, dtype=float)
    kep = np.atleast_1d(np.asarray(kep_per_min, dtype=float))
    dt = np.diff(t)[:, np.newaxis]
    before, after = plasma[:-1, np.newaxis], plasma[1:, np.newaxis]
    h = np.zeros((t.size, kep.size))
    dh = np.zeros_like(h)
    block = max(1, _BLOCK_VALUES // t.size)
    for start in range(0, kep.size, block):
        part = slice(start, start + block)
        decay, a, b, da, db = _interval_weights(kep[part] * dt)
        gain, dgain = dt * (before * a + after * b), dt**2 * (before * da + after * db)
        for i in range(dt.size):
            h[i + 1, part] = decay[i] * h[i, part] + gain[i]
            dh[i + 1, part] = decay[i] * (dh[i, part] - dt[i] * h[i, part]) + dgain[i]
    return h.T, dh.T


def _interval_weights(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """exp(-x), a(x), b(x), a'(x), b'(x) of `response`; by series near zero, where the closed forms cancel."""
    decay = np.exp(-x)
    small = x < 0.1
    safe = np.where(small, 1.0, x)
    a = (1.0 - decay - safe * decay) / safe**2
    b = (safe - 1.0 + decay) / safe**2
    da = (decay - 2.0 * a) / safe
    db = (1.0 - decay) / safe**2 - 2.0 * b / safe
    if small.any():
        z = -x[small]
        a[small], b[small], da[small], db[small] = (np.polynomial.polynomial.polyval(z, c) for c in _SERIES)
    return decay, a, b, da, db


def _series() -> tuple[FloatArray, ...]:
    """Coefficients of a, b, -da/dz and -db/dz as polynomials of z = -x."""
    n = np.arange(12.0)
    factorial = np.cumprod(np.concatenate(([2.0], n[1:] + 2.0)))  # (n + 2)!
    a, b = (n + 1.0) / factorial, 1.0 / factorial
    return a, b, -n[1:] * a[1:], -n[1:] * b[1:]


_SERIES = _series()


def tofts_concentration(
    times_s: npt.ArrayLike,
    plasma_concentration_mM: npt.ArrayLike,
    ktrans_per_min: npt.ArrayLike,
    kep_per_min: npt.ArrayLike,
) -> FloatArray:
    """Tissue concentration of the Tofts model, exact for a plasma curve that is linear between its samples.

    Parameters
    ----------
    times_s : (n_times,) increasing.
    plasma_concentration_mM : (n_times,), zero before the first sample.
    ktrans_per_min, kep_per_min : (n_voxels,) or scalars.

    Returns
    -------
    (n_voxels, n_times) in mM; (n_times,) when both parameters are scalars.

    References
    ----------
    Tofts PS et al., J Magn Reson Imaging 1999;10:223-232; OSIPI CAPLEX M.IC1.004.
    """
    ktrans, kep = np.broadcast_arrays(np.asarray(ktrans_per_min, dtype=float), np.asarray(kep_per_min, dtype=float))
    h, _ = response(np.asarray(times_s, dtype=float) / 60.0, plasma_concentration_mM, kep.ravel())
    concentration: FloatArray = ktrans.ravel()[:, np.newaxis] * h
    return concentration[0] if ktrans.ndim == 0 else concentration


@dataclass(frozen=True)
class ToftsFit:
    """Result of `Tofts.fit`; arrays over voxels, NaN where `status` is neither FITTED nor AT_BOUND.

    Attributes
    ----------
    ktrans_per_min, kep_per_min, ve : the parameters; kep is ktrans / ve.
    status : `FitStatus` codes, uint8.
    rmse_mM : root mean square of the residual.
    r_squared : 1 - residual sum of squares / sum of squares of the data about their mean.
    """

    model: Tofts
    ktrans_per_min: FloatArray
    kep_per_min: FloatArray
    ve: FloatArray
    status: npt.NDArray[np.uint8]
    rmse_mM: FloatArray
    r_squared: FloatArray

    def predict(self) -> FloatArray:
        """Fitted concentration in mM, (n_voxels, n_times)."""
        concentration = np.full((self.status.size, self.model.times_s.size), np.nan)
        fitted = np.isfinite(self.ktrans_per_min)
        if fitted.any():
            concentration[fitted] = tofts_concentration(
                self.model.times_s,
                self.model.plasma_concentration_mM,
                self.ktrans_per_min[fitted],
                self.kep_per_min[fitted],
            )
        return concentration


class Tofts:
    """Standard Tofts model for one arterial input.

    Parameters
    ----------
    times_s : (n_times,) strictly increasing, at least four.
    plasma_concentration_mM : (n_times,), finite, zero before the first sample, not all zero.
    ktrans_bounds_per_min, ve_bounds : the box that the parameters are searched in.

    Raises
    ------
    ValueError
        when shapes differ, times do not increase, or the plasma curve is not finite or has no positive sample.
    """

    def __init__(
        self,
        times_s: npt.ArrayLike,
        plasma_concentration_mM: npt.ArrayLike,
        ktrans_bounds_per_min: tuple[float, float] = (1e-4, 5.0),
        ve_bounds: tuple[float, float] = (1e-3, 1.0),
    ) -> None:
        self.times_s = np.asarray(times_s, dtype=float)
        self.plasma_concentration_mM = np.asarray(plasma_concentration_mM, dtype=float)
        self.ktrans_bounds_per_min = ktrans_bounds_per_min
        self.ve_bounds = ve_bounds
        if self.times_s.ndim != 1 or self.times_s.shape != self.plasma_concentration_mM.shape:
            raise ValueError(
                f"times {self.times_s.shape} and plasma curve {self.plasma_concentration_mM.shape} must be two lists "
                "of the same length"
            )
        if self.times_s.size < _MINIMUM_FRAMES:
            raise ValueError(f"{self.times_s.size} frames are too few to fit; at least {_MINIMUM_FRAMES} are needed")
        if not np.all(np.isfinite(self.times_s)):
            raise ValueError("times must be finite numbers")
        not_after = np.flatnonzero(np.diff(self.times_s) <= 0)
        if not_after.size:
            i = int(not_after[0])
            raise ValueError(
                f"times must increase: frame {i + 2} ({self.times_s[i + 1]:g} s) does not come after "
                f"frame {i + 1} ({self.times_s[i]:g} s)"
            )
        if not np.all(np.isfinite(self.plasma_concentration_mM)):
            raise ValueError("the plasma curve must be finite in every frame")
        if not np.any(self.plasma_concentration_mM[1:] > 0):
            raise ValueError("the plasma curve has no positive sample, so there is no arterial input")

    def fit(self, concentration_mM: npt.ArrayLike, progress: Callable[[float], bool] | None = None) -> ToftsFit:
        """Least-squares Ktrans and kep of every voxel within the bounds.

        Parameters
        ----------
        concentration_mM : (n_voxels, n_times) or (n_times,). A voxel with a frame that is not finite is not fitted.
        progress : called with the fraction done; a return of False cancels.

        Returns
        -------
        ToftsFit with arrays of n_voxels.

        Raises
        ------
        ValueError
            when the number of times differs from the model's.
        Cancelled
            when `progress` asks for it.
        """
        data = np.atleast_2d(np.asarray(concentration_mM))
        if data.ndim != 2 or data.shape[1] != self.times_s.size:
            raise ValueError(f"concentration {data.shape} must be (voxels, {self.times_s.size} times)")
        count = data.shape[0]
        ktrans, kep, rmse, r_squared = (np.full(count, np.nan) for _ in range(4))
        status = np.full(count, FitStatus.CONVERSION_INVALID, dtype=np.uint8)
        for start in range(0, count, _CHUNK_VOXELS):
            if progress and not progress(start / count):
                raise Cancelled
            chunk = np.asarray(data[start : start + _CHUNK_VOXELS], dtype=float)
            usable = np.flatnonzero(np.isfinite(chunk).all(axis=1))
            if usable.size:
                values = chunk if usable.size == chunk.shape[0] else chunk[usable]
                where = start + usable
                ktrans[where], kep[where], status[where], squares = self._fit_finite(values)
                rmse[where] = np.sqrt(squares / values.shape[1])
                total = np.square(values - values.mean(axis=1, keepdims=True)).sum(axis=1)
                with np.errstate(divide="ignore", invalid="ignore"):
                    r_squared[where] = np.where(total > 0, 1.0 - squares / total, np.nan)
        return ToftsFit(self, ktrans, kep, ktrans / kep, status, rmse, r_squared)

    @cached_property
    def _table(self) -> _Table:
        low = self.ktrans_bounds_per_min[0] / self.ve_bounds[1]
        high = self.ktrans_bounds_per_min[1] / self.ve_bounds[0]
        return _Table(self.times_s / 60.0, self.plasma_concentration_mM, low, high)

    def _fit_finite(self, values: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.uint8], FloatArray]:
        """Ktrans, kep, status and residual sum of squares of voxels whose frames are all finite."""
        table = self._table
        coordinates = values @ table.basis
        position, cubic = table.best_position(coordinates)
        ktrans, kep, explained = table.amplitude(position, cubic)
        status = np.full(len(values), FitStatus.FITTED, dtype=np.uint8)

        ve = ktrans / kep
        no_uptake = ~(ktrans > 0)
        outside = ~no_uptake & ~(
            (ktrans > self.ktrans_bounds_per_min[0])
            & (ktrans < self.ktrans_bounds_per_min[1])
            & (ve > self.ve_bounds[0])
            & (ve < self.ve_bounds[1])
        )
        if outside.any():
            ktrans[outside], kep[outside], explained[outside], at_bound = table.best_within(
                coordinates[outside], self.ktrans_bounds_per_min, self.ve_bounds
            )
            status[outside] = np.where(at_bound, FitStatus.AT_BOUND, FitStatus.FITTED)
        status[no_uptake] = FitStatus.NO_ENHANCEMENT
        ktrans[no_uptake] = kep[no_uptake] = np.nan
        squares = np.maximum(np.square(values).sum(axis=1) - explained, 0.0)
        squares[no_uptake] = np.nan
        return ktrans, kep, status, squares


class _Table:
    """h(kep) on a grid over ln(kep), in orthonormal coordinates that span it, cubic between the grid points.

    In cell j, with u in [0, 1] from grid point j to j + 1, h = sum_m cubic[j, m] u^m; |h|^2 is a sextic of u.
    """

    def __init__(self, times_min: FloatArray, plasma: FloatArray, kep_low: float, kep_high: float) -> None:
        self.log_kep = np.linspace(np.log(kep_low), np.log(kep_high), _GRID_POINTS)
        self.step = self.log_kep[1] - self.log_kep[0]
        kep = np.exp(self.log_kep)[:, np.newaxis]
        h, dh = response(times_min, plasma, kep.ravel())
        scale = np.linalg.norm(h, axis=1, keepdims=True)
        _, singular, rows = np.linalg.svd(np.concatenate((h, dh * kep)) / np.concatenate((scale, scale)), False)
        self.basis = np.ascontiguousarray(rows[singular > 1e-13 * singular[0]].T)

        value, slope = h @ self.basis, dh @ self.basis * kep * self.step
        self.unit = np.ascontiguousarray((value / np.linalg.norm(value, axis=1, keepdims=True)).T)
        left, right, slope_left, slope_right = value[:-1], value[1:], slope[:-1], slope[1:]
        self.cubic = np.stack(
            (
                left,
                slope_left,
                3 * (right - left) - 2 * slope_left - slope_right,
                2 * (left - right) + slope_left + slope_right,
            ),
            axis=1,
        )
        gram = np.einsum("jmr,jnr->jmn", self.cubic, self.cubic)
        self.sextic = np.zeros((len(gram), 7))
        for m in range(4):
            for n in range(4):
                self.sextic[:, m + n] += gram[:, m, n]

    def best_position(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cell + u of the kep that maximizes p^2/q, and the cubic p(u) = h(u).c of each voxel in that cell.

        p = h.c and q = h.h; the residual sum of squares at the best Ktrans is |c|^2 - p^2/q.
        """
        cells = _GRID_POINTS - 1
        best = np.argmax(coordinates @ self.unit, axis=1)
        # at a grid point, the sign of 2 p' q - p q' tells on which side the maximum lies
        cell = np.minimum(best, cells - 1)
        p = np.einsum("vmr,vr->mv", self.cubic[cell], coordinates)
        q = self.sextic[cell].T
        at_left = 2 * p[1] * q[0] - p[0] * q[1]
        go_left = (best == cell) & (at_left < 0) & (cell > 0)
        if go_left.any():
            cell = cell - go_left
            p[:, go_left] = np.einsum("vmr,vr->mv", self.cubic[cell[go_left]], coordinates[go_left])
            q = self.sextic[cell].T
        low: FloatArray = np.zeros(len(cell))
        high: FloatArray = np.ones(len(cell))
        u: FloatArray = np.full(len(cell), 0.5)
        for _ in range(_NEWTON_STEPS):
            p0, p1, p2 = _polynomial(p, u)
            q0, q1, q2 = _polynomial(q, u)
            gradient = 2 * p1 * q0 - p0 * q1
            curvature = 2 * p2 * q0 + p1 * q1 - p0 * q2
            rising = gradient > 0
            low, high = np.where(rising, u, low), np.where(rising, high, u)
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = u - gradient / curvature
            u = np.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        return cell + u, p

    def amplitude(self, position: FloatArray, cubic: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Ktrans, kep and explained sum of squares at the positions that `best_position` found."""
        cell, u = self._split(position)
        p, q = _polynomial(cubic, u)[0], _polynomial(self.sextic[cell].T, u)[0]
        return p / q, np.exp(self.log_kep[0] + self.step * position), p * p / q

    def best_within(
        self, coordinates: FloatArray, ktrans_bounds: tuple[float, float], ve_bounds: tuple[float, float]
    ) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.bool_]]:
        """Ktrans, kep, explained sum of squares and "on a bound", for voxels whose free minimum leaves the box.

        At a given kep the allowed Ktrans form an interval and the sum of squares is a parabola in Ktrans, so its
        minimum is the free one, cut to the interval; what remains is a search over kep.
        """

        def objective(position: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
            cell, u = self._split(position)
            p = _polynomial(np.einsum("vmr,vr->mv", self.cubic[cell], coordinates), u)[0]
            q = _polynomial(self.sextic[cell].T, u)[0]
            kep = np.exp(self.log_kep[0] + self.step * position)
            low = np.maximum(ktrans_bounds[0], kep * ve_bounds[0])
            high = np.minimum(ktrans_bounds[1], kep * ve_bounds[1])
            ktrans = np.minimum(np.maximum(p / q, low), high)
            return ktrans * (ktrans * q - 2 * p), ktrans, kep, low, high

        kep = np.exp(self.log_kep)
        q = np.concatenate((self.sextic[:, 0], [self.sextic[-1].sum()]))
        p = coordinates @ (self.unit * np.sqrt(q))
        low = np.maximum(ktrans_bounds[0], kep * ve_bounds[0])
        high = np.minimum(ktrans_bounds[1], kep * ve_bounds[1])
        ktrans = np.minimum(np.maximum(p / q, low), high)
        best = np.argmin(ktrans * (ktrans * q - 2 * p), axis=1).astype(float)

        ratio = (np.sqrt(5.0) - 1.0) / 2.0
        left: FloatArray = np.maximum(best - 1, 0.0)
        right: FloatArray = np.minimum(best + 1, _GRID_POINTS - 1.0)
        inner, outer = right - ratio * (right - left), left + ratio * (right - left)
        at_inner, at_outer = objective(inner)[0], objective(outer)[0]
        for _ in range(_GOLDEN_STEPS):
            keep_left = at_inner < at_outer
            left, right = np.where(keep_left, left, inner), np.where(keep_left, outer, right)
            new = np.where(keep_left, right - ratio * (right - left), left + ratio * (right - left))
            at_new = objective(new)[0]
            inner, outer = np.where(keep_left, new, outer), np.where(keep_left, inner, new)
            at_inner, at_outer = np.where(keep_left, at_new, at_outer), np.where(keep_left, at_inner, at_new)
        value, ktrans, kep_found, low, high = objective(0.5 * (left + right))
        slack = 1e-6
        at_bound = (
            (ktrans <= low * (1 + slack))
            | (ktrans >= high * (1 - slack))
            | (kep_found <= kep[0] * (1 + slack))
            | (kep_found >= kep[-1] * (1 - slack))
        )
        return ktrans, kep_found, -value, at_bound

    @staticmethod
    def _split(position: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
        cell = np.minimum(position.astype(np.intp), _GRID_POINTS - 2)
        return cell, position - cell


def _polynomial(coefficients: FloatArray, u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value, first and second derivative at u of polynomials with coefficients (degree + 1, n), by Horner's rule."""
    value = coefficients[-1].copy()
    first, second = np.zeros_like(u), np.zeros_like(u)
    for coefficient in coefficients[-2::-1]:
        second = second * u + 2 * first
        first = first * u + value
        value = value * u + coefficient
    return value, first, second
