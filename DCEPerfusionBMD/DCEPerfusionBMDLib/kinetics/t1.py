"""T1 from spoiled gradient echoes at several flip angles.

S = M0 b(T1),  b = sin(alpha) (1 - E1) / (1 - cos(alpha) E1),  E1 = exp(-TR / T1)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from .signal import FloatArray

T1_RANGE_MS = (1.0, 20000.0)

_GRID_POINTS = 64
_CHUNK_VOXELS = 2048
_NEWTON_STEPS = 50
_REWEIGHTINGS = 30
_END_TOLERANCE = 1e-9  # of ln(T1)


class T1Status(IntEnum):
    """Status codes of a T1 map; T1 is NaN unless the code is FITTED."""

    NO_SIGNAL = 0
    FITTED = 1
    OUT_OF_RANGE = 2
    NO_B1 = 3

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS = {
    T1Status.NO_SIGNAL: "a signal is negative or not a number, or all are zero",
    T1Status.FITTED: "the least-squares minimum lies inside the range of T1",
    T1Status.OUT_OF_RANGE: f"no minimum between {T1_RANGE_MS[0]:g} and {T1_RANGE_MS[1]:g} ms",
    T1Status.NO_B1: "the B1 map gives no flip angle between 0 and 180 degrees",
}


@dataclass(frozen=True)
class T1Fit:
    """Result of `t1_from_flip_angles`; arrays over voxels, NaN where `status` is not FITTED.

    Attributes
    ----------
    t1_ms : longitudinal relaxation time in ms.
    m0 : equilibrium signal, in the unit of the signal.
    rmse : root mean square of the residual, in the unit of the signal.
    status : `T1Status` codes, uint8.
    """

    t1_ms: FloatArray
    m0: FloatArray
    rmse: FloatArray
    status: npt.NDArray[np.uint8]


def t1_from_flip_angles(
    signal: npt.ArrayLike,
    flip_angles_deg: npt.ArrayLike,
    repetition_time_ms: npt.ArrayLike,
    b1: npt.ArrayLike = 1.0,
    method: Literal["nonlinear", "linear"] = "nonlinear",
) -> T1Fit:
    """T1 and M0 of every voxel from its signals at several flip angles.

    "nonlinear" minimizes the sum of squares of the signals' residuals. It is linear in M0, so that the search is over
    T1 alone (variable projection): the best point of a grid over ln(T1), then Newton's steps inside its neighbors.
    "linear" fits the line S/sin(alpha) = E1 S/tan(alpha) + M0 (1 - E1), weighting every point by the inverse of
    its noise variance, (sin(alpha) / (1 - E1 cos(alpha)))^2, with E1 of the line before, until it settles; it comes
    near the minimum of "nonlinear" without being it.

    Parameters
    ----------
    signal : (n_voxels, n_angles) or (n_angles,), any unit.
    flip_angles_deg : nominal flip angles, (n_angles,), between 0 and 180 degrees.
    repetition_time_ms : one for all angles or (n_angles,); "linear" takes one only.
    b1 : actual over nominal flip angle, scalar or (n_voxels,).
    method : "nonlinear" or "linear", as above.

    Returns
    -------
    T1Fit with arrays of (n_voxels,), or of shape () for one curve.

    Raises
    ------
    ValueError
        when shapes do not match, fewer than two measurements differ, an angle or repetition time is out of range, or
        the method is not known.

    References
    ----------
    Gupta RK, J Magn Reson 1977;25:231-235 (line); Chang LC et al., Magn Reson Med 2008;60:496-501 (its weights).
    """
    data = np.asarray(signal, dtype=float)
    angles = np.asarray(flip_angles_deg, dtype=float)
    repetition_times = np.asarray(repetition_time_ms, dtype=float)
    factor = np.asarray(b1, dtype=float)
    _check(data, angles, repetition_times, factor, method)
    repetition_times = np.broadcast_to(repetition_times, angles.shape)

    curves = data.reshape(-1, angles.size)
    factors = np.broadcast_to(factor.reshape(-1, 1), (len(curves), 1))
    t1_ms, m0, rmse = (np.full(len(curves), np.nan) for _ in range(3))
    status = np.full(len(curves), T1Status.NO_SIGNAL, dtype=np.uint8)
    solve = _nonlinear if method == "nonlinear" else _linear
    for start in range(0, len(curves), _CHUNK_VOXELS):
        values = curves[start : start + _CHUNK_VOXELS]
        alpha = np.deg2rad(angles) * factors[start : start + _CHUNK_VOXELS]
        has_signal = (np.isfinite(values) & (values >= 0.0)).all(axis=1) & (values > 0.0).any(axis=1)
        has_angles = ((alpha > 0.0) & (alpha < np.pi)).all(axis=1)
        status[start + np.flatnonzero(has_signal & ~has_angles)] = T1Status.NO_B1
        use = np.flatnonzero(has_signal & has_angles)
        if not use.size:
            continue
        # a power of two for each voxel: squares of its signals stay in range, and nothing is rounded
        _, exponent = np.frexp(values[use].max(axis=1))
        values, alpha = np.ldexp(values[use], -exponent[:, np.newaxis]), alpha[use] if factor.size > 1 else alpha[:1]
        t1 = solve(values, alpha, repetition_times)
        fitted = (t1 > T1_RANGE_MS[0]) & (t1 < T1_RANGE_MS[1])
        where = start + use
        status[where] = np.where(fitted, T1Status.FITTED, T1Status.OUT_OF_RANGE)
        where, values, t1, exponent = where[fitted], values[fitted], t1[fitted], exponent[fitted]
        b, _, _ = _basis(np.log(t1), alpha[fitted] if factor.size > 1 else alpha, repetition_times)
        t1_ms[where] = t1
        scale = np.einsum("va,va->v", values, b) / np.einsum("va,va->v", b, b)
        m0[where] = np.ldexp(scale, exponent)
        rmse[where] = np.ldexp(np.sqrt(np.square(values - scale[:, np.newaxis] * b).mean(axis=1)), exponent)
    shape = data.shape[:-1]
    return T1Fit(t1_ms.reshape(shape), m0.reshape(shape), rmse.reshape(shape), status.reshape(shape))


def _check(data: FloatArray, angles: FloatArray, repetition_times: FloatArray, b1: FloatArray, method: str) -> None:
    if angles.ndim != 1 or data.ndim not in (1, 2) or data.shape[-1] != angles.size:
        raise ValueError(f"signal {data.shape} must be (voxels, angles) for the {angles.size} flip angles")
    if repetition_times.shape not in ((), angles.shape):
        raise ValueError(f"{repetition_times.size} repetition times for {angles.size} flip angles; give one or as many")
    if b1.shape not in ((), data.shape[:-1]):
        raise ValueError(f"B1 {b1.shape} must be one number or one per voxel {data.shape[:-1]}")
    if not np.all((angles > 0.0) & (angles < 180.0)):
        raise ValueError("flip angles must lie between 0 and 180 degrees")
    if not np.all((repetition_times > 0.0) & np.isfinite(repetition_times)):
        raise ValueError("repetition times must be positive")
    protocol = np.column_stack((angles, np.broadcast_to(repetition_times, angles.shape)))
    if len(np.unique(protocol, axis=0)) < 2:
        raise ValueError("T1 needs measurements at two flip angles at least")
    if method not in ("nonlinear", "linear"):
        raise ValueError(f"method {method!r} is neither 'nonlinear' nor 'linear'")
    if method == "linear" and np.ptp(repetition_times) > 0.0:
        raise ValueError("the linear method needs one repetition time for all flip angles; use 'nonlinear'")


def _basis(
    log_t1: FloatArray, alpha: FloatArray, repetition_times_ms: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """b, its first and its second derivative by ln(T1), (n_voxels, n_angles)."""
    x = repetition_times_ms * np.exp(-log_t1)[:, np.newaxis]
    e1 = np.exp(-x)
    e1_slope = x * e1
    cosine = np.cos(alpha)
    denominator = 1.0 - cosine * e1
    b = np.sin(alpha) * -np.expm1(-x) / denominator
    by_e1 = -np.sin(alpha) * (1.0 - cosine) / np.square(denominator)
    first = by_e1 * e1_slope
    second = by_e1 * e1_slope * (x - 1.0) + 2.0 * cosine * by_e1 / denominator * np.square(e1_slope)
    return b, first, second


def _nonlinear(values: FloatArray, alpha: FloatArray, repetition_times_ms: FloatArray) -> FloatArray:
    """T1 in ms of the least sum of squares |s - M0 b|^2 = |s|^2 - (s.b)^2 / (b.b); an end of the range if on it.

    Parameters
    ----------
    values : (n_voxels, n_angles), not negative.
    alpha : flip angles in radians, (n_voxels, n_angles) or (1, n_angles).
    """
    low_end, high_end = T1_RANGE_MS
    grid = np.linspace(np.log(low_end), np.log(high_end), _GRID_POINTS)
    projection, norm = np.zeros((2, len(values), _GRID_POINTS))
    for i in range(values.shape[1]):
        angle, x = alpha[:, i : i + 1], repetition_times_ms[i] * np.exp(-grid)
        b = -np.expm1(-x) / (1.0 - np.cos(angle) * np.exp(-x)) * np.sin(angle)
        projection += values[:, i : i + 1] * b
        norm += np.square(b)
    best = np.argmax(np.square(projection) / norm, axis=1)

    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID_POINTS - 1)]
    log_t1 = grid[best]
    for _ in range(_NEWTON_STEPS):
        b, first, second = _basis(log_t1, alpha, repetition_times_ms)
        sb, s1, s2 = (np.einsum("va,va->v", values, v) for v in (b, first, second))
        bb, b1, b2 = (np.einsum("va,va->v", b, v) for v in (b, first, second))
        slope = s1 / sb - b1 / bb  # half the slope of ln((s.b)^2 / (b.b))
        curvature = s2 / sb - np.square(s1 / sb) - (np.square(first).sum(axis=1) + b2) / bb + 2.0 * np.square(b1 / bb)
        low, high = np.where(slope > 0.0, log_t1, low), np.where(slope < 0.0, log_t1, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            after = log_t1 - slope / curvature
        after = np.where((curvature < 0.0) & (after >= low) & (after <= high), after, (low + high) / 2.0)
        step = np.abs(after - log_t1)
        log_t1 = after
        if step.max() <= 1e-14 * grid[-1]:
            break
    t1: FloatArray = np.exp(log_t1)
    t1[log_t1 <= grid[0] + _END_TOLERANCE] = low_end
    t1[log_t1 >= grid[-1] - _END_TOLERANCE] = high_end
    return t1


def _linear(values: FloatArray, alpha: FloatArray, repetition_times_ms: FloatArray) -> FloatArray:
    """T1 in ms of the reweighted line; NaN where its slope is not between 0 and 1.

    Parameters
    ----------
    values, alpha : as in `_nonlinear`.
    """
    x, y = values / np.tan(alpha), values / np.sin(alpha)
    e1 = np.zeros(len(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(_REWEIGHTINGS):
            weight = np.square(np.sin(alpha) / (1.0 - np.cos(alpha) * np.clip(e1, 0.0, 1.0)[:, np.newaxis]))
            weight = weight / weight.sum(axis=1, keepdims=True)
            x_centered = x - (weight * x).sum(axis=1, keepdims=True)
            before = e1
            e1 = (weight * x_centered * y).sum(axis=1) / (weight * x_centered * x).sum(axis=1)
            if not np.any(np.abs(e1 - before) > 1e-14):
                break
        t1: FloatArray = -repetition_times_ms[0] / np.log(np.where((e1 > 0.0) & (e1 < 1.0), e1, np.nan))
    return t1
