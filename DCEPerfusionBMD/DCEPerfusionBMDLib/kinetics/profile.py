"""Variable projection onto a family of curves with one shape parameter: the search of all one-compartment models.

For a shape theta = ln(kep), the best amplitude of the curve h(theta) is linear in the data, so what remains to be
maximized is the explained part s(theta)^2, where s = c . u and u is h scaled to length one, after removal of what
fixed regressors explain. u(theta) is smooth and spans few dimensions: s is computed at evenly spaced nodes by two small
matrix products, the best node is chosen, and the maximum of the polynomial through its neighbors is found by Newton's
method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .signal import FloatArray

_STEP = 0.2
_REACH = 3  # neighbors on each side of a node that the local polynomial passes through
_FINE = 16  # steps of the table of norms per node
_BLOCK_VOXELS = 2048  # what the matrix products hold in the cache
_GROUP_VOXELS = 8192  # what the polynomials are worked on at once
_SPAN_TOLERANCE = 1e-7
_NEWTON_STEPS = 2
_GOLDEN_STEPS = 32
_SECTIONS = 10
_SECTION_STEPS = 8  # each to a fifth of the interval


@dataclass(frozen=True)
class Family:
    """Curves h(theta) for evenly spaced theta = ln(kep), `_FINE` to a node, with `_REACH` nodes to spare at both ends.

    Attributes
    ----------
    theta : (n_fine,).
    curves : (n_fine, n_times).
    """

    theta: FloatArray
    curves: FloatArray

    @classmethod
    def of(
        cls, respond: Callable[[FloatArray], tuple[FloatArray, ...]], low: float, high: float, fine: int = _FINE
    ) -> Family:
        """The curves that `respond` gives for rates from `low` to `high` (1/min), `fine` to a node."""
        nodes = int(np.ceil(np.log(high / low) / _STEP)) + 1 + 2 * _REACH
        theta = np.log(low) - _REACH * _STEP + np.arange((nodes - 1) * fine + 1) * (_STEP / fine)
        return cls(theta, respond(np.exp(theta))[0])


class Profile:
    """The family seen with given weights, after removal of fixed regressors.

    Parameters
    ----------
    family : the curves.
    root_weights : (n_times,) square roots of the weights of the frames.
    fixed : (n_fixed, n_times) regressors that every fit holds beside the curve, linearly independent.
    """

    def __init__(self, family: Family, root_weights: FloatArray, fixed: FloatArray) -> None:
        curves = family.curves * root_weights
        regressors, self._triangle = np.linalg.qr((fixed * root_weights).T)
        self._curves_on_fixed = curves @ regressors
        rest = curves - self._curves_on_fixed @ regressors.T
        self._theta = family.theta
        norm = np.linalg.norm(rest, axis=1)
        units = rest[::_FINE] / norm[::_FINE, np.newaxis]
        step = family.theta[1] - family.theta[0]
        slope = np.gradient(1.0 / norm, step, edge_order=2)
        self._inverse_norm = (1.0 / norm, slope, 0.5 * np.gradient(slope, step, edge_order=2))
        _, singular, rows = np.linalg.svd(units, full_matrices=False)
        span = rows[singular > _SPAN_TOLERANCE * singular[0]].T
        self.fixed_count = len(fixed)
        self._basis = np.ascontiguousarray(np.hstack((regressors, span)))
        self._units = np.ascontiguousarray((units @ span).T)
        x = np.arange(-_REACH, _REACH + 1)
        self._to_polynomial = np.linalg.inv(np.vander(x, increasing=True))

    def maximize(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None, positive: bool) -> Maximum:
        """Shape and amplitude with the largest explained part of each voxel.

        Parameters
        ----------
        data : (n_voxels, n_times).
        root_weights : those of the profile; None when all are one.
        positive : whether the amplitude must be positive.
        """
        count, fixed = len(data), self.fixed_count
        theta, score, amplitude = np.empty(count), np.empty(count), np.empty(count)
        on_fixed, inside = np.empty((count, fixed)), np.empty(count, dtype=bool)
        group, size = min(_GROUP_VOXELS, count), min(_BLOCK_VOXELS, count)
        nodes = self._units.shape[1]
        values = np.empty((size, data.shape[1]))
        projected = np.empty((size, self._basis.shape[1]))
        scores = np.empty((size, nodes))
        window = np.empty((2 * _REACH + 1, group))
        best = np.empty(group, dtype=np.intp)
        first = np.arange(size) * nodes - _REACH
        direct = root_weights is None and data.dtype == np.float64 and data.flags.c_contiguous
        for begin in range(0, count, group):
            end = min(begin + group, count)
            for start in range(begin, end, size):
                part = slice(start, min(start + size, end))
                n = part.stop - start
                block = data[part]
                if not direct:
                    np.multiply(block, 1.0 if root_weights is None else root_weights, out=values[:n])
                    block = values[:n]
                y, s = projected[:n], scores[:n]
                np.matmul(block, self._basis, out=y)
                np.matmul(y[:, fixed:], self._units, out=s)
                if fixed:
                    on_fixed[part] = y[:, :fixed]
                here = slice(start - begin, part.stop - begin)
                corner = np.argmax(s if positive else np.abs(s), axis=1)
                np.clip(corner, _REACH, nodes - 1 - _REACH, out=best[here])
                np.add(best[here], first[:n], out=corner)
                flat = scores.reshape(-1)
                for row in window:
                    np.take(flat, corner, out=row[here], mode="clip")
                    corner += 1
            n = end - begin
            node = best[:n]
            polynomial = self._to_polynomial @ window[:, :n]
            x = _stationary(polynomial, window[:, :n])
            inside[begin:end] = (np.abs(x) <= 1.0) & (node > _REACH) & (node < nodes - 1 - _REACH)
            x[~inside[begin:end]] = 0.0
            score[begin:end] = _horner(polynomial, x)
            theta[begin:end] = (node + x) * _STEP + self._theta[0]
            np.multiply(score[begin:end], self.inverse_norm(theta[begin:end]), out=amplitude[begin:end])
        return Maximum(theta, score, amplitude, on_fixed, inside)

    def fixed_amplitudes(self, found: Maximum) -> FloatArray:
        """Factors of the fixed regressors beside the curve that was found, (n_voxels, n_fixed)."""
        position = (found.theta - self._theta[0]) * (_FINE / _STEP)
        on_fixed = np.array([cubic(row, position) for row in self._curves_on_fixed.T]).T
        rest = found.on_fixed - found.amplitude[:, np.newaxis] * on_fixed
        return np.linalg.solve(self._triangle, rest.T).T

    def inverse_norm(self, theta: FloatArray) -> FloatArray:
        """One over the length of the remaining curve, from the nearest entry of a fine table by its Taylor series."""
        position = (theta - self._theta[0]) * (_FINE / _STEP)
        nearest = np.rint(position)
        offset = (position - nearest) * (_STEP / _FINE)
        index = nearest.astype(np.intp)
        value, slope, half_curvature = (np.take(table, index, mode="clip") for table in self._inverse_norm)
        return value + offset * (slope + offset * half_curvature)


@dataclass(frozen=True)
class Maximum:
    """Result of `Profile.maximize`, arrays over voxels.

    Attributes
    ----------
    theta : ln(kep) of the maximum.
    score : s there; the explained sum of squares is its square.
    amplitude : factor of the curve h(theta).
    on_fixed : (n_voxels, n_fixed) coordinates of the data on the orthonormalized fixed regressors.
    inside : whether the maximum lies inside the range of the nodes; false too where the data are not finite.
    """

    theta: FloatArray
    score: FloatArray
    amplitude: FloatArray
    on_fixed: FloatArray
    inside: npt.NDArray[np.bool_]


def cubic(values: FloatArray, position: FloatArray) -> FloatArray:
    """Cubic interpolation of a table at positions counted in its entries."""
    columns, weights = cubic_weights(position, len(values))
    return (weights * values[columns]).sum(axis=0)


def cubic_weights(position: FloatArray, size: int) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """The four entries of a table around each position, and the weights of their cubic interpolation; (4, n) both."""
    cell = np.clip(position.astype(np.intp), 1, size - 3)
    u = position - cell
    weights = np.array(
        [
            -u * (u - 1) * (u - 2) / 6,
            (u + 1) * (u - 1) * (u - 2) / 2,
            -(u + 1) * u * (u - 2) / 2,
            (u + 1) * u * (u - 1) / 6,
        ]
    )
    return cell + np.arange(-1, 3).reshape(4, *[1] * cell.ndim), weights


def golden_minimum(objective: Callable[[FloatArray], FloatArray], left: FloatArray, right: FloatArray) -> FloatArray:
    """Where a function of one value per voxel is least between two limits, by golden sections."""
    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    inner, outer = right - ratio * (right - left), left + ratio * (right - left)
    at_inner, at_outer = objective(inner), objective(outer)
    for _ in range(_GOLDEN_STEPS):
        keep_left = at_inner < at_outer
        left, right = np.where(keep_left, left, inner), np.where(keep_left, outer, right)
        new = np.where(keep_left, right - ratio * (right - left), left + ratio * (right - left))
        at_new = objective(new)
        inner, outer = np.where(keep_left, new, outer), np.where(keep_left, inner, new)
        at_inner, at_outer = np.where(keep_left, at_new, at_outer), np.where(keep_left, at_inner, at_new)
    return 0.5 * (left + right)


def sectioned_minimum(objective: Callable[[FloatArray], FloatArray], left: FloatArray, right: FloatArray) -> FloatArray:
    """Where a function of one value per voxel is least between limits, from few calls with values (n, n_voxels)."""
    every = np.arange(left.size)
    for _ in range(_SECTION_STEPS):
        width = (right - left) / _SECTIONS
        at = left + np.arange(1, _SECTIONS)[:, np.newaxis] * width
        best = np.argmin(objective(at), axis=0)
        middle = at[best, every]
        left, right = middle - width, middle + width
    below, least, above = objective(np.stack((left, middle, right)))
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = 0.5 * (below - above) / (below - 2.0 * least + above)
    return middle + np.where(np.abs(offset) <= 1.0, offset, 0.0) * width


def _horner(coefficients: FloatArray, x: FloatArray) -> FloatArray:
    value = coefficients[-1].copy()
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def _stationary(polynomial: FloatArray, window: FloatArray) -> FloatArray:
    """Where the derivative of the local polynomial vanishes, from the vertex of the parabola at its middle."""
    left, middle, right = window[_REACH - 1 : _REACH + 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        x = 0.5 * (left - right) / (left - 2.0 * middle + right)
        np.clip(x, -1.0, 1.0, out=x)
        order = np.arange(len(polynomial))[:, np.newaxis]
        first = (order * polynomial)[1:]
        second = (order[:-1] * first)[1:]
        for _ in range(_NEWTON_STEPS):
            x -= _horner(first, x) / _horner(second, x)
    return np.where(np.isfinite(x), x, np.inf)
