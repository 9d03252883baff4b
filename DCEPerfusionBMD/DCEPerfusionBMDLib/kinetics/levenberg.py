"""Bounded nonlinear least squares for many voxels at once (Levenberg and Marquardt, with an active set)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .signal import FloatArray

_STEPS = 200
_FLAT = 1e-11
_TRUST = (1e-3, 1e12)

Evaluate = Callable[[FloatArray, npt.NDArray[np.intp]], tuple[FloatArray, FloatArray]]


def minimize_in_box(
    evaluate: Evaluate, start: FloatArray, low: FloatArray, high: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Minimum of the sum of squares of each voxel within a box.

    A parameter on a bound whose gradient points outward is held there; the others take a damped Gauss-Newton step, cut
    to the box. A voxel is done when the decrease that a step promises is below 1e-11 of `scale`.

    Parameters
    ----------
    evaluate : called with parameters (n, n_parameters) and the indices (n,) of the voxels they belong to; returns the
        residual (n, n_values) and its Jacobian (n, n_values, n_parameters).
    start : (n_voxels, n_parameters), inside the box.
    low, high : (n_parameters,).
    scale : (n_voxels,) sum of squares of the data.

    Returns
    -------
    Parameters (n_voxels, n_parameters) and residual sums of squares (n_voxels,).
    """
    parameters = np.clip(start, low, high)
    active = np.arange(len(start))
    residual, jacobian = evaluate(parameters, active)
    squares = np.square(residual).sum(axis=1)
    best = squares.copy()
    damping = np.full(len(start), _TRUST[0])
    diagonal = np.arange(parameters.shape[1])
    for _ in range(_STEPS):
        gradient = np.einsum("vti,vt->vi", jacobian, residual)
        normal = np.einsum("vti,vtj->vij", jacobian, jacobian)
        here = parameters[active]
        held = ((here <= low) & (gradient > 0)) | ((here >= high) & (gradient < 0))
        gradient = np.where(held, 0.0, gradient)
        normal = np.where(held[:, :, np.newaxis] | held[:, np.newaxis, :], 0.0, normal)
        size = normal[:, diagonal, diagonal]
        floor = 1e-12 * size.max(axis=1, keepdims=True) + 1e-300
        normal[:, diagonal, diagonal] = np.where(
            held, 1.0, size + damping[active, np.newaxis] * np.maximum(size, floor)
        )
        step = -np.linalg.solve(normal, gradient[:, :, np.newaxis])[:, :, 0]
        new = np.clip(here + step, low, high)
        promised = -np.einsum("vi,vi->v", gradient, new - here)
        going = promised * (1.0 + damping[active]) > _FLAT * scale[active]
        if not going.all():
            active, new, residual, jacobian = active[going], new[going], residual[going], jacobian[going]
        if not active.size:
            break
        new_residual, new_jacobian = evaluate(new, active)
        new_squares = np.square(new_residual).sum(axis=1)
        better = new_squares < best[active]
        accepted = active[better]
        parameters[accepted], best[accepted] = new[better], new_squares[better]
        residual[better], jacobian[better] = new_residual[better], new_jacobian[better]
        damping[active] = np.where(better, damping[active] * 0.1, damping[active] * 8.0)
        stuck = damping[active] > _TRUST[1]
        if stuck.any():
            active, residual, jacobian = active[~stuck], residual[~stuck], jacobian[~stuck]
        if not active.size:
            break
    return parameters, best
