"""Bounded nonlinear least squares for many voxels at once (Levenberg and Marquardt, with an active set)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .signal import FloatArray

_STEPS = 200
_FIRST_DAMPING = 1e-3
_LEAST_DAMPING = 1e-10
_MOST_DAMPING = 1e12
_LEAST_SIZE = 1e-4

Sums = Callable[[FloatArray, npt.NDArray[np.intp]], tuple[FloatArray, FloatArray, FloatArray]]


def minimize_sums(
    sums: Sums,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
    flat: Callable[[FloatArray, npt.NDArray[np.intp]], FloatArray],
    steps: int = _STEPS,
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Minimum of the sum of squares of each voxel within a box, from the sums of the normal equations.

    A step minimizes the damped quadratic model with the parameters that would leave the box held on its faces.
    The damping follows the ratio of the decrease to what was promised, smoothly.

    References
    ----------
    Nielsen HB, Damping parameter in Marquardt's method, IMM-REP-1999-05, Technical University of Denmark.

    Parameters
    ----------
    sums : called with parameters (n_parameters, n) and the indices (n,) of the voxels they belong to; returns the sum
        of squares (n,), half its gradient (n_parameters, n), and the normal matrix (n_parameters, n_parameters, n).
    start : (n_parameters, n_voxels).
    low, high : (n_parameters,).
    flat : called with sums of squares (n,) and indices (n,); a voxel is done when a step promises less than it returns.
    steps : the most steps to take.

    Returns
    -------
    Parameters (n_parameters, n_voxels), sums of squares (n_voxels,) and whether each voxel is done (n_voxels,).
    """
    best = np.clip(start, low[:, np.newaxis], high[:, np.newaxis])
    active = np.arange(best.shape[1])
    here = best
    squares, gradient, normal = sums(here, active)
    least = squares.copy()
    done = np.zeros(active.size, dtype=bool)
    damping = np.full(active.size, _FIRST_DAMPING)
    for _ in range(steps):
        step = _box_step(here, gradient, normal, damping, low, high)
        change = np.einsum("ijv,jv->iv", normal, step)
        slope = -np.einsum("iv,iv->v", gradient, step)
        promised = 2.0 * slope - np.einsum("iv,iv->v", change, step)
        going = (slope * (1.0 + damping) > flat(squares, active)) & (damping < _MOST_DAMPING)
        if not going.all():
            stopped = active[~going]
            best[:, stopped], least[stopped], done[stopped] = here[:, ~going], squares[~going], True
            active, squares, damping, promised = active[going], squares[going], damping[going], promised[going]
            here, step, gradient, normal = here[:, going], step[:, going], gradient[:, going], normal[:, :, going]
            if not active.size:
                break
        new = np.clip(here + step, low[:, np.newaxis], high[:, np.newaxis])
        new_squares, new_gradient, new_normal = sums(new, active)
        gain = (squares - new_squares) / promised
        better = new_squares < squares
        here = np.where(better, new, here)
        np.copyto(squares, new_squares, where=better)
        np.copyto(gradient, new_gradient, where=better)
        np.copyto(normal, new_normal, where=better)
        factor = np.maximum(0.1, 1.0 - (2.0 * np.minimum(gain, 1.0) - 1.0) ** 3)
        damping = np.maximum(damping * np.where(better, factor, 4.0), _LEAST_DAMPING)
    best[:, active], least[active] = here, squares
    return best, least, done


def _box_step(
    here: FloatArray, gradient: FloatArray, normal: FloatArray, damping: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Damped Gauss-Newton step; parameters that it would carry out of the box are held on the face they would cross."""
    to_low, to_high = low[:, np.newaxis] - here, high[:, np.newaxis] - here
    held = ((to_low >= 0) & (gradient > 0)) | ((to_high <= 0) & (gradient < 0))
    size = np.einsum("iiv->iv", normal)
    damped = normal.copy()
    np.einsum("iiv->iv", damped)[:] += damping * np.maximum(size, _LEAST_SIZE * size.max(axis=0)) + 1e-300
    step = _solve(damped, gradient, held, np.zeros_like(gradient))
    again = np.flatnonzero(((step < to_low) | (step > to_high)).any(axis=0))
    for _ in range(len(low)):
        if not again.size:
            break
        part, to_l, to_h = step[:, again], to_low[:, again], to_high[:, again]
        crossed = (part < to_l) | (part > to_h)
        now_held = held[:, again] | crossed
        fixed = np.where(now_held, np.clip(part, to_l, to_h), 0.0)
        held[:, again] = now_held
        part = _solve(damped[:, :, again], gradient[:, again], now_held, fixed)
        step[:, again] = part
        again = again[((part < to_l) | (part > to_h)).any(axis=0)]
    return step


def _solve(matrix: FloatArray, gradient: FloatArray, held: npt.NDArray[np.bool_], fixed: FloatArray) -> FloatArray:
    """Minimum of x.matrix.x / 2 + gradient.x with the held elements of x fixed; by elimination, (size, n)."""
    count = len(gradient)
    x = -gradient - np.einsum("ijv,jv->iv", matrix, fixed)
    a = [[matrix[i, j] for j in range(count)] for i in range(count)]
    free = ~held
    x *= free
    for i in range(count):
        a[i][i] = np.where(held[i], 1.0, a[i][i])
        for j in range(i + 1, count):
            a[i][j] = a[i][j] * (free[i] & free[j])
    for i in range(count):
        for j in range(i + 1, count):
            factor = a[i][j] / a[i][i]
            for k in range(j, count):
                a[j][k] = a[j][k] - factor * a[i][k]
            x[j] -= factor * x[i]
    for i in reversed(range(count)):
        for j in range(i + 1, count):
            x[i] -= a[i][j] * x[j]
        x[i] /= a[i][i]
    return x + fixed
