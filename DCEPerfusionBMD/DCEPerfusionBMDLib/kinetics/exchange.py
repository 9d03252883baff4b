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

from .levenberg import minimize_in_box
from .model import Model, Solution
from .profile import Family
from .signal import FloatArray
from .status import FitStatus

_CHUNK_VOXELS = 4096
_ON_BOUND = 1e-6
_SPAN_TOLERANCE = 1e-9
_FAST_RATES = 14
_SLOW_RATES = 12
_SHARES = np.array([0.02, 0.1, 0.25, 0.45, 0.65, 0.85, 0.97])


class TwoCompartmentExchange(Model):
    """Two-compartment exchange model.

    Parameters
    ----------
    times_s, plasma_concentration_mM : as in `Model`.
    fp_bounds_per_min, ps_bounds_per_min, vp_bounds, ve_bounds : the box that the parameters are searched in; plasma flow
        and permeability-surface product in 1/min (mL/mL/min).

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
        values = self._stacked(parameters)
        rates, flows, _, _ = _exponentials(np.log(values))
        fast, slow = (self.response(rate)[0] for rate in rates)
        return flows[0][:, np.newaxis] * fast + flows[1][:, np.newaxis] * slow

    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        values = self._stacked(parameters)
        rates, flows, rate_slopes, flow_slopes = _exponentials(np.log(values))
        jacobian = np.zeros((len(values), self.times_s.size, 4))
        for rate, flow, rate_slope, flow_slope in zip(rates, flows, rate_slopes, flow_slopes, strict=True):
            h, dh = self.response(rate)
            jacobian += h[:, :, np.newaxis] * flow_slope[:, np.newaxis, :]
            jacobian += dh[:, :, np.newaxis] * (flow[:, np.newaxis] * rate_slope)[:, np.newaxis, :]
        return jacobian / values[:, np.newaxis, :]

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

    def _stacked(self, parameters: Mapping[str, npt.ArrayLike]) -> FloatArray:
        arrays = np.broadcast_arrays(*(np.asarray(parameters[name], dtype=float) for name in self.free))
        return np.stack([array.ravel() for array in arrays], axis=1)

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
        coordinates = data @ reduced.basis
        scale = np.square(data).sum(axis=1)
        low, high = np.log(self.bounds).T
        best, squares = reduced.minimize(coordinates, scale, low, high)
        solution = Solution(len(data), (*self.free, *self.derived))
        rest = scale - np.square(coordinates).sum(axis=1)
        uptake = squares + rest < scale * (1 - _ON_BOUND)
        at_bound = ((best <= low + _ON_BOUND) | (best >= high - _ON_BOUND)).any(axis=1)
        solution.status[:] = np.where(
            uptake, np.where(at_bound, FitStatus.AT_BOUND, FitStatus.FITTED), FitStatus.NO_ENHANCEMENT
        )
        values = dict(zip(self.free, np.exp(best).T, strict=True))
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
        self._theta = family.theta
        self._table = np.ascontiguousarray(curves @ self.basis)
        self._log_bounds = np.log(model.bounds)
        self._make_dictionary(model)

    def _make_dictionary(self, model: TwoCompartmentExchange) -> None:
        """Shapes: a fast and a slow rate, and the share of the slow one; the flow scales them."""
        span_min = model.times_min[-1] - model.times_min[0]
        step_min = float(np.median(np.diff(model.times_min)))
        slow = np.geomspace(0.03 / span_min, 2.0 / step_min, _SLOW_RATES)
        fast = np.geomspace(0.3 / span_min, 20.0 / step_min, _FAST_RATES)
        k1, k2, share = (array.ravel() for array in np.meshgrid(fast, slow, _SHARES, indexing="ij"))
        keep = k1 > 1.3 * k2
        self._k1, self._k2, self._share = k1[keep], k2[keep], share[keep]
        at_fast, at_slow = (self._curves(np.log(rate))[0] for rate in (self._k1, self._k2))
        shapes = (1 - self._share)[:, np.newaxis] * at_fast + self._share[:, np.newaxis] * at_slow
        self._lengths = np.linalg.norm(shapes, axis=1)
        self._units = np.ascontiguousarray((shapes / self._lengths[:, np.newaxis]).T)

    def minimize(
        self, coordinates: FloatArray, scale: FloatArray, low: FloatArray, high: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Logarithms of the parameters at the minimum within the box, and the sum of squares there."""
        scores = coordinates @ self._units
        flows = np.maximum(scores, 0.0) / self._lengths
        starts = self._starts(coordinates, scores, flows)

        def evaluate(parameters: FloatArray, where: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
            predicted, jacobian = self._predict(parameters)
            return predicted - coordinates[where], jacobian

        best, least = minimize_in_box(evaluate, starts[0], low, high, scale)
        for start in starts[1:]:
            other, squares = minimize_in_box(evaluate, start, low, high, scale)
            better = squares < least
            best[better], least[better] = other[better], squares[better]
        return best, least

    def _starts(self, coordinates: FloatArray, scores: FloatArray, flows: FloatArray) -> list[FloatArray]:
        """The best shape, once it is cut to the box."""
        starts = []
        for part in (slice(None),):
            index = np.argmax(scores[:, part], axis=1)
            flow = flows[np.arange(len(scores)), index]
            starts.append(self._parameters(index, np.maximum(flow, 1e-6)))
        return starts

    def _parameters(self, index: npt.NDArray[np.intp], flow: FloatArray) -> FloatArray:
        """Logarithms of Fp, PS, vp and ve of dictionary shapes with a flow, cut to the box."""
        k1, k2, share = self._k1[index], self._k2[index], self._share[index]
        per_tb = k1 - share * (k1 - k2)
        vp = flow / per_tb
        per_te = k1 * k2 / per_tb
        ps = np.maximum(vp * (k1 + k2 - per_te) - flow, 1e-9)
        logs = np.log(np.stack((flow, ps, vp, ps / per_te), axis=1))
        return np.clip(logs, *self._log_bounds.T)

    def _predict(self, log_parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates of the curve and their derivatives by the logarithms of the parameters."""
        rates, flows, rate_slopes, flow_slopes = _exponentials(log_parameters)
        predicted = np.zeros((len(log_parameters), self._table.shape[1]))
        jacobian = np.zeros((*predicted.shape, 4))
        for rate, flow, rate_slope, flow_slope in zip(rates, flows, rate_slopes, flow_slopes, strict=True):
            h, dh = self._curves(np.log(rate))
            predicted += flow[:, np.newaxis] * h
            jacobian += h[:, :, np.newaxis] * flow_slope[:, np.newaxis, :]
            jacobian += dh[:, :, np.newaxis] * ((flow / rate)[:, np.newaxis] * rate_slope)[:, np.newaxis, :]
        return predicted, jacobian

    def _curves(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates of h at any theta = ln(rate), and their derivative by theta; cubic in the table."""
        step = self._theta[1] - self._theta[0]
        position = (theta - self._theta[0]) / step
        cell = np.clip(position.astype(np.intp), 1, self._theta.size - 3)
        u = (position - cell)[:, np.newaxis]
        before, left, right, after = (self._table[cell + n] for n in (-1, 0, 1, 2))
        linear = right - before / 3 - left / 2 - after / 6
        square = (before + right) / 2 - left
        cube = (after - before) / 6 + (left - right) / 2
        return left + u * (linear + u * (square + u * cube)), (linear + u * (2 * square + 3 * u * cube)) / step


def _exponentials(
    log_parameters: FloatArray,
) -> tuple[
    tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray], tuple[FloatArray, ...], tuple[FloatArray, ...]
]:
    """Rates and flows of the fast and the slow exponential, and their derivatives by the log parameters (n, 4)."""
    fp, ps, vp, ve = np.exp(log_parameters).T
    per_tp, per_te, per_tb = (fp + ps) / vp, ps / ve, fp / vp
    zero = np.zeros_like(fp)
    d_tp = np.stack((per_tb, ps / vp, -per_tp, zero), axis=1)
    d_te = np.stack((zero, per_te, zero, -per_te), axis=1)
    d_tb = np.stack((per_tb, zero, -per_tb, zero), axis=1)
    total, product = per_tp + per_te, per_te * per_tb
    # (1/Tp - 1/Te)^2 + 4 PS/(vp Te) is the same as total^2 - 4 product, without its cancellation
    root = np.sqrt((per_tp - per_te) ** 2 + 4.0 * (ps / vp) * per_te)
    d_total = d_tp + d_te
    d_product = d_te * per_tb[:, np.newaxis] + per_te[:, np.newaxis] * d_tb
    d_root = (total[:, np.newaxis] * d_total - 2.0 * d_product) / root[:, np.newaxis]
    fast = 0.5 * (total + root)
    slow = product / fast
    d_fast = 0.5 * (d_total + d_root)
    d_slow = 0.5 * (d_total - d_root)
    share = (fast - per_tb) / root
    d_share = (d_fast - d_tb - share[:, np.newaxis] * d_root) / root[:, np.newaxis]
    slow_flow = fp * share
    d_slow_flow = fp[:, np.newaxis] * d_share
    d_slow_flow[:, 0] += slow_flow
    d_fast_flow = -d_slow_flow
    d_fast_flow[:, 0] += fp
    return (fast, slow), (fp - slow_flow, slow_flow), (d_fast, d_slow), (d_fast_flow, d_slow_flow)
