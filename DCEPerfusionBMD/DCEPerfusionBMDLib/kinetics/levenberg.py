"""Bounded nonlinear least squares for many runs at once (Levenberg and Marquardt, with an active set)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .signal import FloatArray

_FIRST_DAMPING = 1e-3
_LEAST_DAMPING = 1e-10
_MOST_DAMPING = 1e12
_LEAST_SIZE = 1e-4
_ALL_AT_ONCE = 3  # changes of the held parameters before they are changed one at a time
_PIVOTS = 40

Sums = Callable[[FloatArray, npt.NDArray[np.intp]], tuple[FloatArray, FloatArray, FloatArray]]


class Runs:
    """Searches for the least sum of squares within a box, each from its own start.

    A step minimizes the damped quadratic model with the parameters that would leave the box held on its faces.
    The damping follows the ratio of the decrease to what was promised, smoothly.

    References
    ----------
    Nielsen HB, Damping parameter in Marquardt's method, IMM-REP-1999-05, Technical University of Denmark.

    Parameters
    ----------
    sums : called with parameters (n_parameters, n) and the tags (n,) of their runs; returns the sum of squares (n,),
        half its gradient (n_parameters, n), and the normal matrix (n_parameters, n_parameters, n).
    flat : (n_runs,) a run has arrived when a step promises less than this and ...
    relative : ... less than this share of the sum of squares.
    start : (n_parameters, n_runs).
    tags : (n_runs,) anything that tells `sums` what a run is for.
    low, high : (n_parameters,).

    Attributes
    ----------
    parameters : (n_parameters, n_runs) where the runs are.
    squares : (n_runs,) the sums of squares there.
    promise : (n_runs,) the decrease that an undamped step from there promises; zero for runs that have arrived.
    """

    _STATE = ("tags", "parameters", "squares", "promise", "_gradient", "_normal", "_damping")

    def __init__(
        self,
        sums: Sums,
        flat: Callable[[FloatArray, npt.NDArray[np.intp]], FloatArray],
        start: FloatArray,
        tags: npt.NDArray[np.intp],
        low: FloatArray,
        high: FloatArray,
    ) -> None:
        self._sums, self._flat, self._low, self._high = sums, flat, low[:, np.newaxis], high[:, np.newaxis]
        self.tags = tags
        self.parameters = np.clip(start, self._low, self._high)
        self.squares, self._gradient, self._normal = sums(self.parameters, tags)
        self._damping = np.full(tags.size, _FIRST_DAMPING)
        self.promise = np.full(tags.size, np.inf)

    def keep(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> None:
        """Go on with some runs only, by mask or by index."""
        for name in self._STATE:
            setattr(self, name, getattr(self, name)[..., which])

    def advance(self, steps: int) -> None:
        """Take some steps in all runs that have not arrived."""
        active = np.flatnonzero(self.promise > 0)
        if not active.size:
            return
        here, tags, squares = self.parameters[:, active], self.tags[active], self.squares[active]
        gradient, normal, damping = self._gradient[:, active], self._normal[:, :, active], self._damping[active]
        for count in range(steps + 1):
            step, minimal = self._box_step(here, gradient, normal, damping)
            change = np.einsum("ijv,jv->iv", normal, step)
            slope = -np.einsum("iv,iv->v", gradient, step)
            promised = 2.0 * slope - np.einsum("iv,iv->v", change, step)
            promise = slope * (1.0 + damping)
            going = ((promise > self._flat(squares, tags)) | ~minimal) & (damping < _MOST_DAMPING)
            last = count == steps
            if last or not going.all():
                promise = np.where(going, np.maximum(promise, 1e-300), 0.0)
                leave = np.full(going.size, True) if last else ~going
                at = active[leave]
                self.parameters[:, at], self.squares[at] = here[:, leave], squares[leave]
                self.promise[at], self._damping[at] = promise[leave], damping[leave]
                self._gradient[:, at], self._normal[:, :, at] = gradient[:, leave], normal[:, :, leave]
                if last or not going.any():
                    return
                active, tags, promised = active[going], tags[going], promised[going]
                squares, damping = squares[going], damping[going]
                here, step, gradient, normal = here[:, going], step[:, going], gradient[:, going], normal[:, :, going]
            new = np.clip(here + step, self._low, self._high)
            new_squares, new_gradient, new_normal = self._sums(new, tags)
            gain = (squares - new_squares) / promised
            better = new_squares < squares
            here = np.where(better, new, here)
            np.copyto(squares, new_squares, where=better)
            np.copyto(gradient, new_gradient, where=better)
            np.copyto(normal, new_normal, where=better)
            factor = np.maximum(0.1, 1.0 - (2.0 * np.minimum(gain, 1.0) - 1.0) ** 3)
            damping = np.maximum(damping * np.where(better, factor, 4.0), _LEAST_DAMPING)

    def _box_step(
        self, here: FloatArray, gradient: FloatArray, normal: FloatArray, damping: FloatArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Minimum of the damped quadratic model within the box, and whether it was found.

        Parameters are held on the faces that the step would cross, and let go where the model falls inwards, until
        neither is left (block principal pivoting: Judice JJ, Pires FM, Comput Oper Res 1994;21:587-596).
        """
        to_low, to_high = self._low - here, self._high - here
        size = np.einsum("iiv->iv", normal)
        damped = normal.copy()
        np.einsum("iiv->iv", damped)[:] += damping * np.maximum(size, _LEAST_SIZE * size.max(axis=0)) + 1e-300
        at_low, at_high = (to_low >= 0) & (gradient > 0), (to_high <= 0) & (gradient < 0)
        step = np.empty_like(here)
        again = np.arange(here.shape[1])
        matrix, slope = damped, gradient
        for count in range(_PIVOTS):
            fixed = np.where(at_low, to_low, np.where(at_high, to_high, 0.0))
            found = _solve(matrix, slope, at_low | at_high, fixed)
            step[:, again] = found
            force = slope + np.einsum("ijv,jv->iv", matrix, found)
            now_low = np.where(at_low, force > 0, found < to_low)
            now_high = np.where(at_high, force < 0, found > to_high)
            wrong = (now_low != at_low) | (now_high != at_high)
            changed = wrong.any(axis=0)
            if not changed.any():
                again = again[:0]
                break
            if count >= _ALL_AT_ONCE:
                # one at a time, the last of them, cannot go round in circles (Murty KG, Linear Algebra Appl 1974;5:65)
                last = np.arange(len(wrong))[:, np.newaxis] == len(wrong) - 1 - np.argmax(wrong[::-1], axis=0)
                now_low, now_high = np.where(last, now_low, at_low), np.where(last, now_high, at_high)
            again, matrix, slope = again[changed], matrix[:, :, changed], slope[:, changed]
            at_low, at_high = now_low[:, changed], now_high[:, changed]
            to_low, to_high = to_low[:, changed], to_high[:, changed]
        found_minimum = np.ones(here.shape[1], dtype=bool)
        found_minimum[again] = False
        return step, found_minimum


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
