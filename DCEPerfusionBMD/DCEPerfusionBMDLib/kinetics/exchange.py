"""The two-compartment exchange model: plasma flow, exchange, and the volumes of plasma and interstitium.

C_t = (F1 exp(-K1 t) + F2 exp(-K2 t)) convolved with C_p, with
1/Tp = (Fp + PS)/vp,  1/Te = PS/ve,  1/TB = Fp/vp,
K1, K2 = (1/Tp + 1/Te +- sqrt((1/Tp + 1/Te)^2 - 4/(Te TB))) / 2,  F2 = Fp (K1 - 1/TB)/(K1 - K2),  F1 = Fp - F2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .levenberg import minimize_sums
from .model import Model, Solution
from .profile import Family
from .signal import FloatArray
from .status import FitStatus

_CHUNK_VOXELS = 16384
_RACE_VOXELS = 256
_BLOCK_RUNS = 2048  # what the sums of the normal equations hold in the cache
_ON_BOUND = 1e-6
_SPAN_TOLERANCE = 1e-8
_FLAT = 1e-9  # decrease that is not worth a step, relative to the residual
_ROUNDING = 1e-16  # ... and relative to the data
_HALF_PER_MIN = np.array([[0.5], [0.3]])
# shapes that the search starts from: Fp/vp, PS/vp and PS/ve in 1/min, each range cut into parts
_SHAPES_PER_MIN = (np.geomspace(0.1, 500.0, 15), np.geomspace(0.01, 200.0, 12), np.geomspace(0.01, 50.0, 12))
_PARTS_PER_MIN = ((0.9, 18.0), (0.08, 0.25, 4.0), (0.15, 1.5))
_REGIONS = (  # parts of each range; the search starts from the best shape in each region
    ((0, 1), (2,), (1,)),
    ((2,), (2, 3), (0, 1)),
    ((0, 1, 2), (0, 1, 2, 3), (1, 2)),
    ((1, 2), (0, 1, 2, 3), (0,)),
    ((2,), (0, 1), (1,)),
    ((0, 1), (0, 1), (1,)),
    ((2,), (3,), (0,)),
    ((0,), (0, 1, 2), (2,)),
    ((2,), (3,), (2,)),
    ((0,), (3,), (2,)),
    ((1,), (3,), (2,)),
    ((0, 1, 2), (0,), (0,)),
    ((0, 1, 2), (0,), (1,)),
    ((0, 1, 2), (0,), (2,)),
)
_LEAKS = ((0.002, 0.001), (0.008, 0.003), (0.04, 0.01))  # PS in 1/min and ve
_ROUNDS = ((4, 9), (6, 6))  # steps, and how many runs of a voxel go on after them
_WORTH = 1.2  # those whose residual is below this many times the best
_APART = 0.1  # ... and that differ by this in the logarithm of a search coordinate


class TwoCompartmentExchange(Model):
    """Two-compartment exchange model.

    Parameters
    ----------
    times_s, plasma_concentration_mM : as in `Model`.
    fp_bounds_per_min, ps_bounds_per_min, vp_bounds, ve_bounds : the box that the parameters are searched in; plasma
        flow and permeability-surface product in 1/min (mL/mL/min).

    References
    ----------
    Sourbron SP, Buckley DL, Phys Med Biol 2012;57:R1-R33; OSIPI CAPLEX M.IC1.009.
    """

    free = ("fp_per_min", "ps_per_min", "vp", "ve")
    derived = ("ktrans_per_min",)
    _settings = ("bounds",)

    def __init__(
        self,
        times_s: npt.ArrayLike,
        plasma_concentration_mM: npt.ArrayLike,
        fp_bounds_per_min: tuple[float, float] = (1e-4, 5.0),
        ps_bounds_per_min: tuple[float, float] = (1e-4, 5.0),
        vp_bounds: tuple[float, float] = (1e-3, 1.0),
        ve_bounds: tuple[float, float] = (1e-3, 1.0),
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(times_s, plasma_concentration_mM, delay_s)
        self.bounds = np.array([fp_bounds_per_min, ps_bounds_per_min, vp_bounds, ve_bounds], dtype=float)

    def concentration(self, **parameters: npt.ArrayLike) -> FloatArray:
        rates, flows, _, _ = _exponentials(self._columns(parameters))
        return sum(flow[:, np.newaxis] * self.response(rate)[0] for rate, flow in zip(rates, flows, strict=True))

    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        values = self._columns(parameters)
        rates, flows, log_rate_slopes, flow_slopes = _exponentials(values)
        jacobian = np.zeros((values.shape[1], self.times_s.size, 4))
        for rate, flow, log_rate_slope, flow_slope in zip(rates, flows, log_rate_slopes, flow_slopes, strict=True):
            h, dh = self.response(rate)
            jacobian += h[:, :, np.newaxis] * flow_slope.T[:, np.newaxis, :]
            jacobian += dh[:, :, np.newaxis] * (flow * rate * log_rate_slope).T[:, np.newaxis, :]
        return jacobian / values.T[:, np.newaxis, :]

    def derive(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Ktrans = Fp PS / (Fp + PS)."""
        flow, exchange = values["fp_per_min"], values["ps_per_min"]
        return {"ktrans_per_min": flow * exchange / (flow + exchange)}

    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        flow, exchange = values["fp_per_min"], values["ps_per_min"]
        gradient = np.zeros((flow.size, 4))
        gradient[:, 0] = (exchange / (flow + exchange)) ** 2
        gradient[:, 1] = (flow / (flow + exchange)) ** 2
        return gradient

    @cached_property
    def _family(self) -> Family:
        fp, ps, vp, ve = self.bounds
        fastest = (fp[1] + ps[1]) / vp[0] + ps[1] / ve[0]
        slowest = 0.5 * min(fp[0] / (vp[1] + ve[1]), ps[0] / ve[1])
        return Family.of(self.response, slowest, fastest)

    @cached_property
    def _unweighted(self) -> _Reduced:
        return _Reduced(self, np.ones(self.times_s.size))

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        reduced = self._unweighted if root_weights is None else _Reduced(self, root_weights)
        solution = Solution(len(data), (*self.free, *self.derived))
        finite = np.flatnonzero(np.isfinite(data).all(axis=1))
        for start in range(0, finite.size, _CHUNK_VOXELS):
            where = finite[start : start + _CHUNK_VOXELS]
            values = np.asarray(data[where], dtype=float)
            solution.put(where, self._solve_finite(values if root_weights is None else values * root_weights, reduced))
        return solution

    def _solve_finite(self, data: FloatArray, reduced: _Reduced) -> Solution:
        scale = np.square(data).sum(axis=1)
        best, squares = reduced.minimize(data, scale)
        low, high = reduced.box
        solution = Solution(len(data), (*self.free, *self.derived))
        uptake = squares < scale * (1 - _ON_BOUND)
        bound = (best <= low * (1 + _ON_BOUND)) | (best >= high * (1 - _ON_BOUND))
        at_bound = bound.any(axis=0)
        solution.status[:] = np.where(
            uptake, np.where(at_bound, FitStatus.AT_BOUND, FitStatus.FITTED), FitStatus.NO_ENHANCEMENT
        )
        values = dict(zip(self.free, _from_search(best), strict=True))
        for name, found in {**values, **self.derive(values)}.items():
            solution.values[name] = np.where(uptake, found, np.nan)
        return solution


class _Reduced:
    """The model in the few coordinates that span its curves, with a dictionary of shapes to start from."""

    def __init__(self, model: TwoCompartmentExchange, roots: FloatArray) -> None:
        family = model._family
        curves = family.curves * roots
        lengths = np.linalg.norm(curves, axis=1, keepdims=True)
        _, singular, rows = np.linalg.svd(curves / lengths, full_matrices=False)
        self.basis = np.ascontiguousarray(rows[singular > _SPAN_TOLERANCE * singular[0]].T)
        self.box = _to_search(model.bounds)[:, :, np.newaxis].transpose(1, 0, 2)
        self._theta = family.theta
        self._cubics = _cubics((curves @ self.basis).T)
        self._make_dictionary(model)

    def _make_dictionary(self, model: TwoCompartmentExchange) -> None:
        """Shapes for Fp = 1 that some flow carries into the box, sorted by the part of the ranges that they lie in."""
        a, b, c = (axis.ravel() for axis in np.meshgrid(*_SHAPES_PER_MIN, indexing="ij"))
        parameters = np.stack((np.ones_like(a), b / a, 1.0 / a, b / (a * c)))
        least = (model.bounds[:, :1] / parameters).max(axis=0)
        most = (model.bounds[:, 1:] / parameters).min(axis=0)
        counts = [len(ends) + 1 for ends in _PARTS_PER_MIN]
        parts = tuple(np.digitize(rate, ends) for rate, ends in zip((a, b, c), _PARTS_PER_MIN, strict=True))
        cells = np.ravel_multi_index(parts, counts)
        self._regions = [
            np.ravel_multi_index(tuple(np.meshgrid(*region, indexing="ij")), counts).ravel() for region in _REGIONS
        ]
        kept = np.flatnonzero(least < most)
        kept = kept[np.argsort(cells[kept], kind="stable")]
        self._shape_parameters, self._least_flow, self._most_flow = parameters[:, kept], least[kept], most[kept]
        self._cell_starts = np.searchsorted(cells[kept], np.arange(np.prod(counts) + 1))
        rates, flows, _, _ = _exponentials(self._shape_parameters)
        shapes = flows[0] * self._curves(np.log(rates[0]))[0] + flows[1] * self._curves(np.log(rates[1]))[0]
        self._lengths = np.linalg.norm(shapes, axis=0)
        self._units = (shapes / self._lengths).astype(np.float32)

    def minimize(self, data: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Search coordinates (4, n) of the least sum of squares within the box, and that sum.

        Runs from several starts take turns: after a few steps only the best that are apart go on.
        """
        coordinates = np.ascontiguousarray((data @ self.basis).T)
        rest = np.maximum(scale - np.square(coordinates).sum(axis=0), 0.0)
        runs, voxels = [], []
        for start in range(0, len(data), _RACE_VOXELS):
            part = slice(start, start + _RACE_VOXELS)
            run, voxel = self._race(coordinates[:, part], rest[part], scale[part])
            runs.append(run)
            voxels.append(voxel + start)
        run, voxel = np.concatenate(runs, axis=1), np.concatenate(voxels)
        found, squares = self._run(run, coordinates, rest, scale, voxel, None)
        order = np.lexsort((squares, voxel))
        first = order[np.searchsorted(voxel[order], np.arange(len(data)))]
        best, least = found[:, first], squares[first]
        self._leave_faces(best, least, coordinates, rest, scale)
        return best, least

    def _leave_faces(
        self, best: FloatArray, least: FloatArray, coordinates: FloatArray, rest: FloatArray, scale: FloatArray
    ) -> None:
        """Try again, in place, where the minimum is on a face: as one compartment that leaks a little into another."""
        low, high = self.box[:, :, 0]
        on_face = np.flatnonzero(((best <= low[:, np.newaxis]) | (best >= high[:, np.newaxis])).any(axis=0))
        if not on_face.size:
            return
        for ps_per_min, ve in _LEAKS:
            start = _from_search(best[:, on_face])
            start[2] += start[3]
            start[1], start[3] = ps_per_min, ve
            found, squares = self._run(_to_search(start), coordinates, rest, scale, on_face, None)
            better = squares < least[on_face]
            best[:, on_face[better]], least[on_face[better]] = found[:, better], squares[better]

    def _race(
        self, coordinates: FloatArray, rest: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """The few most promising runs after their first steps: search coordinates (4, n) and the voxels they are of."""
        runs = self._starts(coordinates)
        voxel = np.broadcast_to(np.arange(runs.shape[2]), runs.shape[1:])
        alive = np.ones(voxel.shape, dtype=bool)
        for steps, keep in _ROUNDS:
            squares: FloatArray = np.full(alive.shape, np.inf)
            runs[:, alive], squares[alive] = self._run(runs[:, alive], coordinates, rest, scale, voxel[alive], steps)
            order = np.argsort(squares, axis=0)[: keep + 2]
            squares = np.take_along_axis(squares, order, axis=0)
            runs = np.take_along_axis(runs, order[np.newaxis], axis=1)
            voxel = voxel[: len(order)]
            alive = squares < _WORTH * squares[0] + _ROUNDING * scale
            logs = np.log(runs)
            for i in range(1, len(order)):
                for j in range(i):
                    alive[i] &= ~alive[j] | (np.abs(logs[:, i] - logs[:, j]).max(axis=0) > _APART)
            alive &= np.cumsum(alive, axis=0) <= keep
        return runs[:, alive], voxel[alive]

    def _run(
        self,
        start: FloatArray,
        coordinates: FloatArray,
        rest: FloatArray,
        scale: FloatArray,
        voxel: npt.NDArray[np.intp],
        steps: int | None,
    ) -> tuple[FloatArray, FloatArray]:
        """Search coordinates and sums of squares after some steps (to the end when None) from starts (4, n)."""
        rest, rounding = rest[voxel], _ROUNDING * scale[voxel]

        def sums(here: FloatArray, which: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray, FloatArray]:
            parts = [slice(first, first + _BLOCK_RUNS) for first in range(0, which.size, _BLOCK_RUNS)]
            of_parts = [self.sums(here[:, part], coordinates[:, voxel[which[part]]]) for part in parts]
            squares, gradient, normal = (np.concatenate(of, axis=-1) for of in zip(*of_parts, strict=True))
            return squares, gradient, normal

        def flat(squares: FloatArray, which: npt.NDArray[np.intp]) -> FloatArray:
            return _FLAT * (squares + rest[which]) + rounding[which]

        limit = {} if steps is None else {"steps": steps}
        found, squares, _ = minimize_sums(sums, start, self.box[0, :, 0], self.box[1, :, 0], flat, **limit)
        return found, squares + rest

    def _starts(self, coordinates: FloatArray) -> FloatArray:
        """Search coordinates (4, n_regions, n_voxels) of the best shape in each region."""
        scores = coordinates.T.astype(np.float32) @ self._units
        count = len(scores)
        every = np.arange(count)
        cells = [slice(*ends) for ends in zip(self._cell_starts[:-1], self._cell_starts[1:], strict=True)]
        best = np.zeros((len(cells), count), dtype=np.intp)
        score = np.full((len(cells), count), -np.inf)
        for cell, part in enumerate(cells):
            if part.stop > part.start:
                best[cell] = part.start + np.argmax(scores[:, part], axis=1)
                score[cell] = scores[every, best[cell]]
        starts = np.empty((4, len(self._regions), count))
        for n, inside in enumerate(self._regions):
            cell = inside[np.argmax(score[inside], axis=0)]
            shape = best[cell, every]
            flow = np.clip(score[cell, every] / self._lengths[shape], self._least_flow[shape], self._most_flow[shape])
            starts[:, n] = self._shape_parameters[:, shape] * flow
        return _to_search(starts.reshape(4, -1)).reshape(starts.shape)

    def sums(self, coordinates: FloatArray, data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sum of squares, half its gradient and the normal matrix, at search coordinates (4, n)."""
        parameters = _from_search(coordinates)
        rates, flows, log_rate_slopes, flow_slopes = _exponentials(parameters)
        curves = [curve for rate in rates for curve in self._curves(np.log(rate))]
        # the Jacobian is a 4 x 4 matrix per voxel, applied to both curves and their derivatives
        mix = np.stack((flow_slopes[0], flows[0] * log_rate_slopes[0], flow_slopes[1], flows[1] * log_rate_slopes[1]))
        mix *= _log_slopes(parameters, coordinates)
        residual = flows[0] * curves[0]
        residual += flows[1] * curves[2]
        residual -= data
        on_curves = np.stack([np.einsum("rv,rv->v", curve, residual) for curve in curves])
        gram = np.empty((4, 4, residual.shape[1]))
        for i in range(4):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = np.einsum("rv,rv->v", curves[i], curves[j])
        gradient = np.einsum("apv,av->pv", mix, on_curves)
        normal = np.einsum("apv,aqv->pqv", mix, np.einsum("abv,bqv->aqv", gram, mix))
        return np.einsum("rv,rv->v", residual, residual), gradient, normal

    def _curves(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates (r, n) of h at any theta = ln(rate), and their derivative by theta; cubic in the table."""
        step = self._theta[1] - self._theta[0]
        position = (theta - self._theta[0]) / step
        cell = np.clip(position.astype(np.intp), 1, self._theta.size - 3)
        u = position - cell
        c0, c1, c2, c3 = np.split(np.take(self._cubics, cell, axis=1, mode="clip"), 4)
        dh = c3 * (3.0 * u)
        dh += 2.0 * c2
        dh *= u
        dh += c1
        dh /= step
        c3 *= u
        c3 += c2
        c3 *= u
        c3 += c1
        c3 *= u
        c3 += c0
        return c3, dh


def _cubics(table: FloatArray) -> FloatArray:
    """Coefficients (4 r, n) of the cubics through four neighbors of each entry of a table (r, n)."""
    before, left = np.roll(table, 1, axis=1), table
    right, after = np.roll(table, -1, axis=1), np.roll(table, -2, axis=1)
    return np.vstack(
        (
            left,
            right - before / 3 - left / 2 - after / 6,
            (before + right) / 2 - left,
            (after - before) / 6 + (left - right) / 2,
        )
    )


def _to_search(parameters: FloatArray) -> FloatArray:
    """The coordinates that the search takes its steps in, for Fp, PS, vp and ve (4, n).

    Flow and permeability become x / (x + half): what they do saturates, and curves change with 1/x when they are high.
    Volumes stay as they are: when exchange is fast the curve is that of their sum. So the valleys of the sum of
    squares are nearly straight.
    """
    x = np.array(parameters, dtype=float)
    x[:2] /= x[:2] + _HALF_PER_MIN
    return x


def _from_search(coordinates: FloatArray) -> FloatArray:
    """Fp, PS, vp and ve at search coordinates (4, n)."""
    parameters = coordinates.copy()
    parameters[:2] *= _HALF_PER_MIN / (1.0 - coordinates[:2])
    return parameters


def _log_slopes(parameters: FloatArray, coordinates: FloatArray) -> FloatArray:
    """Derivatives of the logarithms of the parameters by their search coordinates."""
    slopes = 1.0 / coordinates
    slopes[:2] *= 1.0 + parameters[:2] / _HALF_PER_MIN
    return slopes


def _exponentials(parameters: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The two exponentials for Fp, PS, vp and ve (4, n).

    Returns
    -------
    Rates (2, n), the fast one first, flows (2, n), and the derivatives by the logarithms of the parameters of the
    logarithms of the rates and of the flows, (2, 4, n) both.
    """
    fp, ps, vp, ve = parameters
    a, b, c = fp / vp, ps / vp, ps / ve
    total = a + b + c
    # the square of (a + b - c) + 4 b c is total^2 - 4 a c, without its cancellation
    root = np.sqrt((a + b - c) ** 2 + 4.0 * b * c)
    fast = 0.5 * (total + root)
    rates = np.stack((fast, a * c / fast))
    share = (fast - a) / root
    # derivatives by the logarithms of a, b and c
    own = np.stack((a, b, c))
    d_root = own * np.stack((total - 2.0 * c, total, total - 2.0 * a)) / root
    d_fast = 0.5 * (own + d_root)
    d_share = d_fast - share * d_root
    d_share[0] -= a
    d_share /= root
    d_log_fast = d_fast / fast
    d_log_slow = -d_log_fast
    d_log_slow[0] += 1.0
    d_log_slow[2] += 1.0
    log_rate_slopes = np.stack((_by_parameters(d_log_fast), _by_parameters(d_log_slow)))
    flows = fp * np.stack((1.0 - share, share))
    by_share = fp * _by_parameters(d_share)
    flow_slopes = np.stack((-by_share, by_share))
    flow_slopes[:, 0] += flows
    return rates, flows, log_rate_slopes, flow_slopes


def _by_parameters(slopes: FloatArray) -> FloatArray:
    """Derivatives by the logarithms of Fp, PS, vp and ve from those by a = Fp/vp, b = PS/vp and c = PS/ve."""
    by_a, by_b, by_c = slopes
    return np.stack((by_a, by_b + by_c, -by_a - by_b, -by_c))
