"""Pairs of exponential responses: the two rates and two positive amplitudes that explain a curve best.

For two rates the best amplitudes are linear in the data, so what remains to be maximized is the explained sum of
squares over the two rates. It has several maxima. All are seen on a grid: for one rate on a node, the other is placed
by interpolation between the nodes, and the explained part over the first rate shows the maxima, which Newton's method
with the exact second derivatives then reaches. Rates K are handled as x = K/(K + middle), in which the curves change
evenly from the slowest to the fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .signal import FloatArray

_CELLS = 512
_NODES = 40
_SPAN_TOLERANCE = 1e-8
_BLOCK_VOXELS = 1024  # what the grid of pairs holds in the cache
_REFINE_PAIRS = 4096  # ... and Newton's method
_MOST_PEAKS = 4
_IN_REACH = 0.3  # of the residual of the best peak: what a lower peak may gain between the nodes
_NEWTON_STEPS = 12
_FIRST_TRUST, _MOST_TRUST, _LEAST_TRUST = 0.15, 0.5, 3e-4
_CLOSEST = 5e-3  # distance of the rates that Newton's method starts from
_FLAT = 1e-9  # promised gain that is not worth a step, relative to the residual
_ROUNDING = 1e-16  # ... and relative to the data
_EPSILON = 1e-300
AnyFloats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Pairs:
    """Candidates for the best pair, arrays over candidates.

    Attributes
    ----------
    voxel : the voxel a candidate belongs to.
    x : (2, n) places of the rates, the slow one first.
    amplitude : (2, n).
    explained : sum of squares that the pair explains.
    converged : whether this is a maximum with two positive amplitudes, to within the tolerance.
    """

    voxel: npt.NDArray[np.intp]
    x: FloatArray
    amplitude: FloatArray
    explained: FloatArray
    converged: npt.NDArray[np.bool_]


class Biexponential:
    """Responses h(t; K) from the slowest to the fastest rate, in the few coordinates that span them.

    Parameters
    ----------
    respond : h in mM min for rates in 1/min, (n_rates, n_times).
    slowest_per_min, fastest_per_min : the range of rates.
    root_weights : (n_times,) square roots of the weights of the frames.

    Attributes
    ----------
    basis : (n_times, r) orthonormal.
    """

    def __init__(
        self,
        respond: Callable[[FloatArray], FloatArray],
        slowest_per_min: float,
        fastest_per_min: float,
        root_weights: FloatArray,
    ) -> None:
        from scipy.interpolate import CubicSpline  # slow to import, and most studies do without

        self._middle = _middle_rate(respond, slowest_per_min, fastest_per_min)
        low, high = self.place(np.array([slowest_per_min, fastest_per_min]))
        self.x = np.linspace(low, high, _CELLS + 1)
        curves = respond(self.rate(self.x)) * root_weights
        units = curves / np.linalg.norm(curves, axis=1, keepdims=True)
        _, singular, rows = np.linalg.svd(units, full_matrices=False)
        self.basis = np.ascontiguousarray(rows[singular > _SPAN_TOLERANCE * singular[0]].T)
        cubics = CubicSpline(self.x, curves @ self.basis).c.transpose(0, 2, 1)
        self._cubics = np.ascontiguousarray(cubics.reshape(-1, _CELLS))
        self._make_grid()

    def place(self, rate_per_min: FloatArray) -> FloatArray:
        """x of rates."""
        return rate_per_min / (rate_per_min + self._middle)

    def rate(self, x: FloatArray) -> FloatArray:
        """Rates in 1/min at x."""
        return self._middle * x / (1.0 - x)

    def curves(self, x: FloatArray, derivatives: int) -> list[FloatArray]:
        """Coordinates (r, n) of h at x and of its first derivatives by x; cubic between the entries of a table."""
        step = self.x[1] - self.x[0]
        cell = np.clip(((x - self.x[0]) / step).astype(np.intp), 0, _CELLS - 1)
        u = x - self.x[cell]
        c3, c2, c1, c0 = np.split(np.take(self._cubics, cell, axis=1, mode="clip"), 4)
        found = [((c3 * u + c2) * u + c1) * u + c0]
        if derivatives > 0:
            c3 *= 3.0
            found.append((c3 * u + 2.0 * c2) * u + c1)
        if derivatives > 1:
            found.append(2.0 * (c3 * u + c2))
        return found

    def _make_grid(self) -> None:
        """For each outer node, what adds to it: directions of the curves of all nodes, made orthogonal to its own."""
        self._nodes = np.linspace(self.x[0], self.x[-1], _NODES)
        curve, slope = self.curves(self._nodes, 1)
        units = curve / np.linalg.norm(curve, axis=0)
        turns = slope - units * dot(units, slope)
        turns /= np.linalg.norm(turns, axis=0)
        cosine = units.T @ units
        sine = np.sqrt(np.maximum(1.0 - cosine**2, _EPSILON))
        outer, inner = np.indices(cosine.shape)
        side = np.where(inner < outer, -1.0, 1.0)
        beside = (units[:, np.newaxis] - cosine * units[:, :, np.newaxis]) * (side / sine)
        # next to its own node a curve adds its derivative; the side makes it one smooth function of the inner node
        beside[:, range(_NODES), range(_NODES)] = turns
        self._units = units.astype(np.float32)
        self._beside = np.ascontiguousarray(beside.transpose(1, 0, 2).astype(np.float32))
        self._side = side.astype(np.float32)
        cotangent = cosine / sine
        np.fill_diagonal(cotangent, 1e30)
        self._cosine, self._sine, self._cotangent = (of.astype(np.float32) for of in (cosine, sine, cotangent))

    def single(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Place and amplitude of the one curve that explains most, between the nodes, and what it explains."""
        scores = coordinates.T @ self._units
        at = np.clip(np.argmax(scores, axis=1), 1, _NODES - 2)
        every = np.arange(len(scores))
        left, middle, right = scores[every, at - 1], scores[every, at], scores[every, at + 1]
        offset = _vertex(left, middle, right)
        x = self._nodes[at] + offset * (self._nodes[1] - self._nodes[0])
        for _ in range(2):
            curve, slope, bend = self.curves(x, 2)
            square, score = dot(curve, curve), dot(coordinates, curve)
            amplitude = score / square
            residual = coordinates - amplitude * curve
            on_slope = dot(residual, slope)
            turn = (on_slope - amplitude * dot(curve, slope)) ** 2 / square
            curvature = amplitude * (dot(residual, bend) - amplitude * dot(slope, slope)) + turn
            step = np.where(curvature < 0, -amplitude * on_slope / np.minimum(curvature, -_EPSILON), 0.0)
            x = np.clip(x + np.clip(step, -0.02, 0.02), self.x[0], self.x[-1])
        (curve,) = self.curves(x, 0)
        score, square = dot(coordinates, curve), dot(curve, curve)
        return x, score / square, np.maximum(score, 0.0) ** 2 / square

    def pairs(self, coordinates: FloatArray, squares: FloatArray) -> Pairs:
        """The best pairs of each voxel, and those that might be as good.

        Parameters
        ----------
        coordinates : (r, n_voxels) of the data on the basis.
        squares : (n_voxels,) sums of squares of the data.
        """
        found = []
        for start in range(0, coordinates.shape[1], _BLOCK_VOXELS):
            part = slice(start, start + _BLOCK_VOXELS)
            voxel, x = self._peaks(coordinates[:, part], squares[part])
            found.append((voxel + start, x))
        voxel, x = np.concatenate([of[0] for of in found]), np.concatenate([of[1] for of in found], axis=1)
        parts = [
            self._refine(x[:, part], coordinates[:, voxel[part]], squares[voxel[part]])
            for part in (slice(first, first + _REFINE_PAIRS) for first in range(0, voxel.size, _REFINE_PAIRS))
        ]
        if not parts:
            none = np.empty(0)
            return Pairs(voxel, x, np.empty((2, 0)), none, none.astype(bool))
        x, amplitude, explained, converged = (np.concatenate(of, axis=-1) for of in zip(*parts, strict=True))
        return Pairs(voxel, x, amplitude, explained, converged)

    def _peaks(self, coordinates: FloatArray, squares: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
        """Voxels (n,) and places (2, n) of the maxima over the outer node, the best inner place for each."""
        data = coordinates.T.astype(np.float32)
        scores = data @ self._units
        count = len(data)
        row = np.arange(count) * _NODES
        inner = np.empty((_NODES, count), dtype=np.intp)
        window = np.empty((5, _NODES, count), dtype=np.float32)
        for i in range(_NODES):
            signed = data @ self._beside[i]
            added = signed * self._side[i]
            both_positive = added * self._cotangent[i] < scores[:, i : i + 1]
            added *= both_positive
            best = np.argmax(added, axis=1)
            inner[i] = best
            corner = np.clip(best, 2, _NODES - 3) + (row - 2)
            for n in range(5):
                np.take(signed.reshape(-1), corner + n, out=window[n, i], mode="clip")
        own = np.ascontiguousarray(scores.T)
        outer = np.arange(_NODES)[:, np.newaxis]
        middle = np.clip(inner, 2, _NODES - 3)
        window *= np.where(inner < outer, np.float32(-1), np.float32(1))
        added, offset = _quartic_peak(window, inner - middle)
        in_pair = own > 0
        in_pair &= added > 0
        explained = np.where(in_pair, added**2 + own**2, np.float32(-1))
        left, right = np.full_like(explained, -1), np.full_like(explained, -1)
        left[1:], right[:-1] = explained[:-1], explained[1:]
        # the outer rate is the one that matters less, for the inner is placed more exactly
        minor = (own - added * self._cotangent[outer, inner]) * self._sine[outer, inner] <= 1.5 * added
        peak = in_pair & minor & (explained >= left) & (explained > right)
        between = np.where((left > 0) & (right > 0), _vertex(left, explained, right), 0)
        height = np.where(peak, explained - 0.25 * (left - right) * between, np.float32(-1)).T.copy()
        voxel, x, every = [], [], np.arange(count)
        step = self._nodes[1] - self._nodes[0]
        for n in range(_MOST_PEAKS):
            at = np.argmax(height, axis=1)
            now = height[every, at]
            if n == 0:
                least = now - _IN_REACH * (squares - now)
            height[every, at] = -1
            kept = np.flatnonzero((now > 0) & (now >= least))
            at = at[kept]
            places = np.stack(
                (at + between[at, kept], middle[at, kept] + offset[at, kept]),
            )
            voxel.append(kept)
            x.append(np.sort(self._nodes[0] + places * step, axis=0))
        return np.concatenate(voxel), np.concatenate(x, axis=1)

    def _refine(
        self, x: FloatArray, data: FloatArray, squares: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.bool_]]:
        """Newton's method from places (2, n), in a region of trust and with both amplitudes positive."""
        low, high = self.x[0], self.x[-1]
        apart = np.maximum(_CLOSEST - (x[1] - x[0]), 0.0)
        here = np.clip(x + np.stack((-apart, apart)), low, high)
        found, converged = np.empty((5, here.shape[1])), np.zeros(here.shape[1], dtype=bool)
        active, trust = np.arange(here.shape[1]), np.full(here.shape[1], _FIRST_TRUST)
        now = self._explain(here, data)
        for _ in range(_NEWTON_STEPS):
            explained, gradient, hessian = now[2], now[3:5], now[5:]
            step, promised = _ascent(gradient, hessian, trust)
            flat = promised <= _FLAT * np.maximum(squares - explained, 0.0) + _ROUNDING * squares
            going = ~flat & (trust > _LEAST_TRUST)
            if not going.all():
                stopped = ~going
                ended = active[stopped]
                found[:2, ended], found[2:, ended] = here[:, stopped], now[:3, stopped]
                converged[ended] = flat[stopped]
                active, here, step, now = active[going], here[:, going], step[:, going], now[:, going]
                data, squares, trust = data[:, going], squares[going], trust[going]
                if not active.size:
                    break
            new = np.clip(here + step, low, high)
            then = self._explain(new, data)
            better = (then[2] >= now[2]) & (then[:2] > 0).all(axis=0)
            here, now = np.where(better, new, here), np.where(better, then, now)
            trust = np.where(better, np.minimum(2.0 * trust, _MOST_TRUST), 0.3 * np.abs(step).max(axis=0))
        found[:2, active], found[2:, active] = here, now[:3]
        converged &= (found[2:4] > 0).all(axis=0)
        return found[:2], found[2:4], found[4], converged

    def _explain(self, x: FloatArray, data: FloatArray) -> FloatArray:
        """Amplitudes, explained sum of squares, half its gradient and half its Hessian (11, 12, 22); (8, n)."""
        (h1, p1, q1), (h2, p2, q2) = self.curves(x[0], 2), self.curves(x[1], 2)
        g11, g12, g22 = dot(h1, h1), dot(h1, h2), dot(h2, h2)
        on_1, on_2 = dot(data, h1), dot(data, h2)
        determinant = np.maximum(g11 * g22 - g12 * g12, _EPSILON)
        a1, a2 = (g22 * on_1 - g12 * on_2) / determinant, (g11 * on_2 - g12 * on_1) / determinant
        residual = data - a1 * h1
        residual -= a2 * h2
        r1, r2 = dot(residual, p1), dot(residual, p2)
        # how the normal equations, and through them the amplitudes, change with each place
        b11, b21, b12, b22 = r1 - a1 * dot(h1, p1), -a1 * dot(h2, p1), -a2 * dot(h1, p2), r2 - a2 * dot(h2, p2)
        c11, c21 = (g22 * b11 - g12 * b21) / determinant, (g11 * b21 - g12 * b11) / determinant
        c12, c22 = (g22 * b12 - g12 * b22) / determinant, (g11 * b22 - g12 * b12) / determinant
        return np.stack(
            (
                a1,
                a2,
                a1 * on_1 + a2 * on_2,
                a1 * r1,
                a2 * r2,
                a1 * (dot(residual, q1) - a1 * dot(p1, p1)) + b11 * c11 + b21 * c21,
                b11 * c12 + b21 * c22 - a1 * a2 * dot(p1, p2),
                a2 * (dot(residual, q2) - a2 * dot(p2, p2)) + b12 * c12 + b22 * c22,
            )
        )


def _middle_rate(respond: Callable[[FloatArray], FloatArray], slowest: float, fastest: float) -> float:
    """The rate at which the direction of the curve has come half of its way."""
    rates = np.geomspace(slowest, fastest, 400)
    curves = respond(rates)
    units = curves / np.linalg.norm(curves, axis=1, keepdims=True)
    way = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(units, axis=0), axis=1))))
    return float(rates[np.searchsorted(way, 0.5 * way[-1])])


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Scalar product of each column, (r, n) both."""
    return np.einsum("rv,rv->v", a, b)


def _vertex(left: AnyFloats, middle: AnyFloats, right: AnyFloats) -> AnyFloats:
    """Where the parabola through three values at -1, 0 and 1 is highest, within these; 0 where it has no maximum."""
    bend = left - 2.0 * middle + right
    return np.clip(np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1), 0), -1, 1)


def _quartic_peak(
    window: npt.NDArray[np.float32], at: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Greatest value near the entry `at` (-2 to 2) of five, on the polynomial through them, and where it is."""
    value = np.take_along_axis(window, (at + 2)[np.newaxis], axis=0)[0]
    near = np.clip(at, -1, 1)
    left, middle, right = (np.take_along_axis(window, (near + n)[np.newaxis], axis=0)[0] for n in (1, 2, 3))
    u = np.clip(near + _vertex(left, middle, right), at - 1, at + 1).astype(np.float32)
    np.clip(u, -2, 2, out=u)
    m2, m1, p1, p2 = u + 2, u + 1, u - 1, u - 2
    top = window[0] * (m1 * u * p1 * p2) / 24
    top -= window[1] * (m2 * u * p1 * p2) / 6
    top += window[2] * (m2 * m1 * p1 * p2) / 4
    top -= window[3] * (m2 * m1 * u * p2) / 6
    top += window[4] * (m2 * m1 * u * p1) / 24
    higher = top >= value
    return np.where(higher, top, value), np.where(higher, u, at).astype(np.float32)


def _ascent(gradient: FloatArray, hessian: FloatArray, trust: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Newton's step uphill along the axes of the Hessian (11, 12, 22), each within the trust, and the gain promised."""
    mean, half = 0.5 * (hessian[0] + hessian[2]), 0.5 * (hessian[0] - hessian[2])
    radius = np.hypot(half, hessian[1]) + _EPSILON
    cosine = np.sqrt(np.maximum(0.5 * (1.0 + half / radius), 0.0))
    sine = np.copysign(np.sqrt(np.maximum(0.5 * (1.0 - half / radius), 0.0)), hessian[1])
    upper, lower = np.abs(mean + radius), np.abs(mean - radius) + _EPSILON
    upper = np.maximum(upper, 1e-7 * lower)
    along = np.stack((cosine * gradient[0] + sine * gradient[1], cosine * gradient[1] - sine * gradient[0]))
    size = along / np.stack((upper, lower))
    promised = (along * size).sum(axis=0)
    size = np.clip(size, -trust, trust)
    return np.stack((cosine * size[0] - sine * size[1], sine * size[0] + cosine * size[1])), promised
