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

from .biexponential import Biexponential, dot
from .checks import check_bounds, check_derived, check_input_seen
from .levenberg import Runs
from .model import Model, Solution
from .signal import FloatArray
from .status import FitStatus

_CHUNK_VOXELS = 16384
_BLOCK_RUNS = 4096  # what the sums of the normal equations hold in the cache
_ON_BOUND = 1e-6
_FLAT = 1e-9  # decrease that is not worth a step, relative to the residual
_ROUNDING = 1e-16  # ... and relative to the data
_TIE = 1e-9  # gain over one exponential that counts as a second one
_HALF_PER_MIN = np.array([[0.5], [0.3]])
_LEAK_RATES_PER_MIN = np.geomspace(0.02, 200.0, 14)
_SLOW_PER_MIN = 0.1  # leaks slower than this may lead to a large compartment
_LEAK_SHARE = 0.02  # of the volume, in the compartment that is tried
_LEAKS = 2
_ROUNDS = ((4, 12), (4, 8), (6, 6), (8, 6), (10, 6), (170, 1))  # steps, and how many runs of a voxel go on after them
_CLEAR = 0.03  # share of the residual of one exponential by which a pair shows that it is more than that
_HOPE = 20.0  # those whose residual may sink below the best if they keep this many times what the next step promises
_APART = 0.1  # ... and that differ by this in the logarithm of a search coordinate


class TwoCompartmentExchange(Model):
    """Two-compartment exchange model.

    Curves of one compartment do not tell which of the two it is: on such data, as the Tofts model makes them, the fit
    is exact but Fp, PS and the volumes of plasma and interstitium may stand for each other. Compare models by AICc.

    Parameters
    ----------
    times_s, plasma_concentration_mM : as in `Model`.
    fp_bounds_per_min, ps_bounds_per_min, vp_bounds, ve_bounds : the box that the parameters are searched in; plasma
        flow and permeability-surface product in 1/min (mL/mL/min); finite, positive, the lower bound first.
    delay_s : as in `Model`.

    Raises
    ------
    ValueError
        as of `Model`, when bounds are no box as said above, or when the curve that the tissue sees has no positive
        sample between the first and the last frame.

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
        check_input_seen(self.arterial_mM)
        check_bounds("fp_bounds_per_min", fp_bounds_per_min, positive=True)
        check_bounds("ps_bounds_per_min", ps_bounds_per_min, positive=True)
        check_bounds("vp_bounds", vp_bounds, positive=True)
        check_bounds("ve_bounds", ve_bounds, positive=True)
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
        """Ktrans = Fp PS / (Fp + PS).

        Parameters
        ----------
        values : free parameter name to (n_voxels,).

        Returns
        -------
        `ktrans_per_min`, (n_voxels,).
        """
        flow, exchange = values["fp_per_min"], values["ps_per_min"]
        return {"ktrans_per_min": flow * exchange / (flow + exchange)}

    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        check_derived(name, self.derived, self.free)
        flow, exchange = values["fp_per_min"], values["ps_per_min"]
        gradient = np.zeros((flow.size, 4))
        gradient[:, 0] = (exchange / (flow + exchange)) ** 2
        gradient[:, 1] = (flow / (flow + exchange)) ** 2
        return gradient

    @cached_property
    def _unweighted(self) -> _Search:
        return _Search(self, np.ones(self.times_s.size))

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        search = self._unweighted if root_weights is None else _Search(self, root_weights)
        solution = Solution(len(data), (*self.free, *self.derived))
        finite = np.flatnonzero(np.isfinite(data).all(axis=1))
        for start in range(0, finite.size, _CHUNK_VOXELS):
            where = finite[start : start + _CHUNK_VOXELS]
            values = np.asarray(data[where], dtype=float)
            solution.put(where, self._solve_finite(values if root_weights is None else values * root_weights, search))
        return solution

    def _solve_finite(self, data: FloatArray, search: _Search) -> Solution:
        scale = np.square(data).sum(axis=1)
        best, squares = search.minimize(data, scale)
        low, high = search.box
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


class _Search:
    """The least sum of squares within the box.

    Where the best pair of exponentials lies within the box it is the answer. Elsewhere the answer is on a face of the
    box, mostly next to one exponential; there runs from several starts compete.
    """

    def __init__(self, model: TwoCompartmentExchange, root_weights: FloatArray) -> None:
        fp, ps, vp, ve = model.bounds
        fastest = (fp[1] + ps[1]) / vp[0] + ps[1] / ve[0]
        slowest = 0.5 * min(fp[0] / (vp[1] + ve[1]), ps[0] / ve[1])
        self._table = Biexponential(lambda rates: model.response(rates)[0], slowest, fastest, root_weights)
        self._bounds = model.bounds[:, :, np.newaxis].transpose(1, 0, 2)
        self.box = _to_search(model.bounds)[:, :, np.newaxis].transpose(1, 0, 2)

    def minimize(self, data: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Search coordinates (4, n) of the least sum of squares within the box, and that sum.

        Parameters
        ----------
        data : (n, n_times) weighted.
        scale : (n,) its sums of squares.
        """
        table = self._table
        coordinates = np.ascontiguousarray((data @ table.basis).T)
        x, flow, explained = table.single(coordinates)
        pairs = table.pairs(coordinates, scale)
        parameters = _from_pair(table.rate(pairs.x), pairs.amplitude)
        low, high = self._bounds
        inside = pairs.converged & ((parameters > low) & (parameters < high)).all(axis=0)
        first = _firsts(pairs.voxel, -pairs.explained)
        settled = first[inside[first] & (pairs.explained[first] > explained[pairs.voxel[first]] * (1.0 + _TIE))]
        where = pairs.voxel[settled]
        best, least = np.repeat(self.box[0], len(data), axis=1), scale - explained
        best[:, where], least[where] = _to_search(parameters[:, settled]), scale[where] - pairs.explained[settled]
        # where no exponential explains anything, nothing does
        unsettled = explained > 0
        unsettled[where] = False
        usable = unsettled[pairs.voxel]
        self._race(parameters[:, usable], pairs.voxel[usable], coordinates, scale, best, least)
        one = scale - explained
        unsettled &= least > (1.0 - _CLEAR) * one
        voxel = np.flatnonzero(unsettled)
        starts = self._starts(coordinates[:, voxel], x[voxel], flow[voxel])
        found = voxel[least[voxel] < one[voxel]]
        starts.append(_from_search(best[:, found]))
        owners = np.concatenate((*[voxel] * (len(starts) - 1), found))
        least[voxel] = np.inf
        self._race(np.concatenate(starts, axis=1), owners, coordinates, scale, best, least)
        return best, least

    def _starts(self, data: FloatArray, x: FloatArray, flow: FloatArray) -> list[FloatArray]:
        """Parameters (4, n) that split the best single exponential in the ways that change its curve little."""
        (_, _, vp_low, ve_low), (_, ps_high, _, _) = self._bounds[:, :, 0]
        volume = flow / self._table.rate(x)
        every = np.ones_like(flow)
        return [
            np.stack((flow, ps_high * every, 0.25 * volume, 0.75 * volume)),  # exchange so fast that they are one
            np.stack((2.0 * flow, 2.0 * flow, vp_low * every, volume)),  # plasma too small to be seen
            np.stack((1.03 * flow, 30.0 * flow, vp_low * every, volume)),
            np.stack((flow, 0.02 * every, volume, 0.02 * every)),  # interstitium too small
            np.stack((flow, 0.02 * every, volume, ve_low * every)),
            *self._leaks(data, x, flow, volume),
        ]

    def _leaks(self, data: FloatArray, x: FloatArray, flow: FloatArray, volume: FloatArray) -> list[FloatArray]:
        """One exponential that leaks into a small second compartment, for the rates that explain most at first order.

        The curve changes in proportion to the size of the second compartment when that is small; what it can explain
        is what it has in common with the residual, beside the change of flow and volume of the first.
        """
        curve, slope = self._table.curves(x, 1)
        unit = curve / np.sqrt(dot(curve, curve))
        turn = slope - unit * dot(unit, slope)
        turn /= np.sqrt(dot(turn, turn))
        residual = data - unit * dot(unit, data)
        residual -= turn * dot(turn, residual)
        ve = _LEAK_SHARE * volume
        gains, sizes = np.empty((2, _LEAK_RATES_PER_MIN.size, x.size))
        for n, rate in enumerate(_LEAK_RATES_PER_MIN):
            change = self._curve(np.stack((flow, rate * ve, volume - ve, ve))) - flow * curve
            change -= unit * dot(unit, change)
            change -= turn * dot(turn, change)
            in_common, square = dot(residual, change), np.maximum(dot(change, change), 1e-300)
            gains[n], sizes[n] = np.where(in_common > 0, in_common**2 / square, -1.0), in_common / square
        padded = np.pad(gains, ((1, 1), (0, 0)), constant_values=-1.0)
        height = np.where((gains > 0) & (gains >= padded[:-2]) & (gains > padded[2:]), gains, -1.0)
        every, found = np.arange(x.size), []
        for _ in range(_LEAKS):
            at = np.argmax(height, axis=0)
            rate, size = _LEAK_RATES_PER_MIN[at], np.where(height[at, every] > 0, sizes[at, every], np.nan) * ve
            height[at, every] = -1.0
            leak = np.clip(size, self._bounds[0, 3], np.where(rate < _SLOW_PER_MIN, 1.0, 0.5 * volume))
            found.append(np.stack((flow, rate * leak, np.maximum(volume - leak, 0.2 * volume), leak)))
        return found

    def _race(
        self,
        parameters: FloatArray,
        voxel: npt.NDArray[np.intp],
        coordinates: FloatArray,
        scale: FloatArray,
        best: FloatArray,
        least: FloatArray,
    ) -> None:
        """Run from parameters (4, n), for the voxel of each; put ends that are better than the best in its place."""
        known = np.flatnonzero(np.isfinite(parameters).all(axis=0))
        if not known.size:
            return
        start, voxel = _to_search(np.clip(parameters[:, known], *self._bounds)), voxel[known]
        rest = np.maximum(scale - np.square(coordinates).sum(axis=0), 0.0)

        def sums(here: FloatArray, of: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray, FloatArray]:
            parts = [slice(first, first + _BLOCK_RUNS) for first in range(0, of.size, _BLOCK_RUNS)]
            found = [self._sums(here[:, part], coordinates[:, of[part]]) for part in parts]
            squares, gradient, normal = (np.concatenate(each, axis=-1) for each in zip(*found, strict=True))
            return squares + rest[of], gradient, normal

        def flat(squares: FloatArray, of: npt.NDArray[np.intp]) -> FloatArray:
            return _FLAT * squares + _ROUNDING * scale[of]

        runs = Runs(sums, flat, start, voxel, *self.box[:, :, 0])
        for steps, most in _ROUNDS:
            runs.advance(steps)
            runs.keep(np.lexsort((runs.squares, runs.tags)))
            runs.keep(_worth(runs, most))
        first = _firsts(runs.tags, runs.squares)
        first = first[runs.squares[first] < least[runs.tags[first]]]
        best[:, runs.tags[first]], least[runs.tags[first]] = runs.parameters[:, first], runs.squares[first]

    def _sums(self, coordinates: FloatArray, data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sum of squares, half its gradient and the normal matrix, at search coordinates (4, n)."""
        parameters = _from_search(coordinates)
        rates, flows, log_rate_slopes, flow_slopes = _exponentials(parameters)
        curves = [curve for rate in rates for curve in self._by_log_rate(rate)]
        # the Jacobian is a 4 x 4 matrix per voxel, applied to both curves and their derivatives
        mix = np.stack((flow_slopes[0], flows[0] * log_rate_slopes[0], flow_slopes[1], flows[1] * log_rate_slopes[1]))
        mix *= _log_slopes(parameters, coordinates)
        residual = flows[0] * curves[0]
        residual += flows[1] * curves[2]
        residual -= data
        on_curves = np.stack([dot(curve, residual) for curve in curves])
        gram = np.empty((4, 4, residual.shape[1]))
        for i in range(4):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = dot(curves[i], curves[j])
        gradient = np.einsum("apv,av->pv", mix, on_curves)
        normal = np.einsum("apv,aqv->pqv", mix, np.einsum("abv,bqv->aqv", gram, mix))
        return dot(residual, residual), gradient, normal

    def _by_log_rate(self, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates (r, n) of h, and their derivative by the logarithm of the rate."""
        x = self._table.place(rate)
        curve, slope = self._table.curves(x, 1)
        slope *= x * (1.0 - x)
        return curve, slope

    def _curve(self, parameters: FloatArray) -> FloatArray:
        """Coordinates (r, n) of the model."""
        rates, flows, _, _ = _exponentials(parameters)
        return sum(
            flow * self._table.curves(self._table.place(rate), 0)[0] for rate, flow in zip(rates, flows, strict=True)
        )


def _firsts(voxel: npt.NDArray[np.intp], value: FloatArray) -> npt.NDArray[np.intp]:
    """For each voxel that occurs, the index of its least value."""
    order = np.lexsort((value, voxel))
    return order[np.diff(voxel[order], prepend=-1) > 0]


def _worth(runs: Runs, most: int) -> npt.NDArray[np.bool_]:
    """Which runs, sorted by voxel and sum of squares, go on: those that may still win, and apart from the better."""
    start = np.diff(runs.tags, prepend=-1) > 0
    first = np.flatnonzero(start)
    group = np.cumsum(start) - 1
    rank = np.arange(start.size) - first[group]
    shape = (int(rank.max()) + 1, first.size)
    logs: FloatArray = np.full((4, *shape), np.nan)
    logs[:, rank, group] = np.log(runs.parameters)
    alive = np.zeros(shape, dtype=bool)
    alive[rank, group] = runs.squares - _HOPE * runs.promise < runs.squares[first][group]
    alive[0] = True
    for i in range(1, shape[0]):
        for j in range(i):
            alive[i] &= ~(alive[j] & (np.abs(logs[:, i] - logs[:, j]).max(axis=0) <= _APART))
    alive &= np.cumsum(alive, axis=0) <= most
    return alive[rank, group]


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


def _from_pair(rates: FloatArray, flows: FloatArray) -> FloatArray:
    """Fp, PS, vp and ve (4, n) of two exponentials, rates and flows (2, n): the inverse of `_exponentials`."""
    fp = flows.sum(axis=0)
    # the zero of the transfer function, PS/ve + PS/vp, lies between the rates
    zero = (flows * rates[::-1]).sum(axis=0) / fp
    a = rates.sum(axis=0) - zero
    c = rates.prod(axis=0) / a
    vp = fp / a
    ps = (zero - c) * vp
    return np.stack((fp, ps, vp, ps / c))


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
