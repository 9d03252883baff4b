"""The Tofts model and the extended Tofts model: forward, and exact nonlinear least squares within a box.

C_t(t) = vp C_p(t) + Ktrans h(t; kep),  h(t; kep) = integral_0^t C_p(u) exp(-kep (t - u)) du,  ve = Ktrans / kep

The Tofts model has vp = 0. At a given kep the sum of squares is quadratic in Ktrans and vp, and the box allows an
interval of each; so the search is over kep alone (`profile`). Voxels whose free minimum leaves the box, or the range in
which the data can tell one kep from another, are searched again over all kep that the box allows, with the best allowed
Ktrans and vp at each.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, reduce
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .checks import check_bounds, check_curve, check_derived, check_input_seen
from .model import Model, Solution
from .profile import Family, Profile, cubic_weights, sectioned_minimum
from .response import response
from .signal import FloatArray
from .status import FitStatus

_BOX_FINE = 4  # steps of the search in the box per node
_BOUND_VOXELS = 256
_ON_BOUND = 1e-6


def tofts_concentration(
    times_s: npt.ArrayLike,
    plasma_concentration_mM: npt.ArrayLike,
    ktrans_per_min: npt.ArrayLike,
    kep_per_min: npt.ArrayLike,
    vp: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Tissue concentration of the (extended) Tofts model, exact for a plasma curve linear between its samples.

    Parameters
    ----------
    times_s : (n_times,) increasing, two at least.
    plasma_concentration_mM : (n_times,), zero before the first sample.
    ktrans_per_min, kep_per_min, vp : (n_voxels,) or scalars; vp is the plasma volume fraction, 0 for the Tofts model.

    Returns
    -------
    (n_voxels, n_times) in mM; (n_times,) when all parameters are scalars.

    Raises
    ------
    ValueError
        when there are fewer than two times, they are not finite or do not increase, or lengths differ.

    References
    ----------
    Tofts PS et al., J Magn Reson Imaging 1999;10:223-232; OSIPI CAPLEX M.IC1.004 and M.IC1.005.
    """
    times, plasma = np.asarray(times_s, dtype=float), np.asarray(plasma_concentration_mM, dtype=float)
    check_curve(times, plasma, "s")
    ktrans, kep, volume = np.broadcast_arrays(*(np.asarray(p, dtype=float) for p in (ktrans_per_min, kep_per_min, vp)))
    h, _ = response(times / 60.0, plasma, kep.ravel())
    concentration: FloatArray = ktrans.reshape(-1, 1) * h + volume.reshape(-1, 1) * plasma
    return concentration[0] if ktrans.ndim == 0 else concentration


class ExtendedTofts(Model):
    """Extended Tofts model: plasma volume, and exchange with the extravascular extracellular space.

    Parameters
    ----------
    times_s, plasma_concentration_mM : as in `Model`.
    ktrans_bounds_per_min, ve_bounds, vp_bounds : the box that the parameters are searched in; finite, the lower bound
        first, those of Ktrans and ve positive.
    delay_s : as in `Model`.

    Raises
    ------
    ValueError
        as of `Model`, when bounds are no box as said above, or when the curve that the tissue sees has no positive
        sample between the first and the last frame.

    References
    ----------
    Tofts PS, J Magn Reson Imaging 1997;7:91-101; OSIPI CAPLEX M.IC1.005.
    """

    free: ClassVar[tuple[str, ...]] = ("ktrans_per_min", "kep_per_min", "vp")
    derived = ("ve",)
    _settings = ("ktrans_bounds_per_min", "ve_bounds", "vp_bounds")
    _delays_by_voxel = True

    def __init__(
        self,
        times_s: npt.ArrayLike,
        plasma_concentration_mM: npt.ArrayLike,
        ktrans_bounds_per_min: tuple[float, float] = (1e-4, 5.0),
        ve_bounds: tuple[float, float] = (1e-3, 1.0),
        vp_bounds: tuple[float, float] = (0.0, 0.3),
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(times_s, plasma_concentration_mM, delay_s)
        check_input_seen(self.arterial_mM)
        check_bounds("ktrans_bounds_per_min", ktrans_bounds_per_min, positive=True)
        check_bounds("ve_bounds", ve_bounds, positive=True)
        if "vp" in self.free:
            check_bounds("vp_bounds", vp_bounds)
        self.ktrans_bounds_per_min = ktrans_bounds_per_min
        self.ve_bounds = ve_bounds
        self.vp_bounds = vp_bounds

    def concentration(self, **parameters: npt.ArrayLike) -> FloatArray:
        ktrans, kep, *volume = self._columns(parameters)[:, :, np.newaxis]
        concentration: FloatArray = ktrans * self._curves(kep.ravel())
        if volume:
            concentration += volume[0] * self.arterial_mM
        return concentration

    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        ktrans = np.atleast_1d(np.asarray(parameters["ktrans_per_min"], dtype=float))
        h, dh = self.response(parameters["kep_per_min"])
        columns = [h, ktrans[:, np.newaxis] * dh]
        if "vp" in self.free:
            columns.append(np.broadcast_to(self.arterial_mM, h.shape))
        return np.stack(columns, axis=-1)

    def derive(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        return {"ve": values["ktrans_per_min"] / values["kep_per_min"]}

    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        check_derived(name, self.derived, self.free)
        kep = values["kep_per_min"]
        gradient = np.zeros((kep.size, len(self.free)))
        gradient[:, 0] = 1.0 / kep
        gradient[:, 1] = -values["ktrans_per_min"] / kep**2
        return gradient

    @property
    def _fixed(self) -> FloatArray:
        """The regressors that stand beside the convolved curve: the plasma curve, or none."""
        return self.arterial_mM[np.newaxis] if "vp" in self.free else np.empty((0, self.times_s.size))

    def _table(self, kep_per_min: FloatArray) -> tuple[FloatArray]:
        return (self._curves(kep_per_min, table=True),)

    @cached_property
    def _family(self) -> Family:
        """The curves that these frames can tell apart; the rest of the box is searched only where this falls short."""
        low, high = self._kep_bounds
        span_min = self.times_min[-1] - self.times_min[0]
        step_min = float(np.median(np.diff(self.times_min)))
        low, high = max(low, 0.03 / span_min), min(high, 2.0 / step_min)
        return Family.of(self._table, min(low, 0.5 * high), high)

    @property
    def _kep_bounds(self) -> tuple[float, float]:
        return (
            self.ktrans_bounds_per_min[0] / self.ve_bounds[1],
            self.ktrans_bounds_per_min[1] / self.ve_bounds[0],
        )

    @cached_property
    def _whole_family(self) -> Family:
        return Family.of(self._table, *self._kep_bounds, _BOX_FINE)

    @cached_property
    def _profile(self) -> Profile:
        return Profile(self._family, np.ones(self.times_s.size), self._fixed)

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        profile = self._profile if root_weights is None else Profile(self._family, root_weights, self._fixed)
        found = profile.maximize(data, root_weights, positive=True)
        ktrans, kep = found.amplitude, np.exp(found.theta)
        ve = ktrans / kep
        inside = found.inside
        inside &= (ktrans > self.ktrans_bounds_per_min[0]) & (ktrans < self.ktrans_bounds_per_min[1])
        inside &= (ve > self.ve_bounds[0]) & (ve < self.ve_bounds[1])
        solution = Solution(0, ())
        solution.values = {"ktrans_per_min": ktrans, "kep_per_min": kep, "ve": ve}
        solution.status = np.full(len(data), FitStatus.FITTED, dtype=np.uint8)
        if "vp" in self.free:
            vp = solution.values["vp"] = profile.fixed_amplitudes(found)[:, 0]
            for edge, beyond in zip(self.vp_bounds, (vp <= self.vp_bounds[0], vp >= self.vp_bounds[1]), strict=True):
                self._solve_on_vp_edge(data, root_weights, solution, np.flatnonzero(inside & beyond), edge)
            inside &= np.isfinite(solution.values["vp"])
        outside = np.flatnonzero(~inside)
        for start in range(0, outside.size, _BOUND_VOXELS):
            where = outside[start : start + _BOUND_VOXELS]
            roots = np.ones(self.times_s.size) if root_weights is None else root_weights
            solution.put(where, self._solve_in_box(data[where] * roots, roots))
        return solution

    def _solve_on_vp_edge(
        self,
        data: npt.NDArray[np.floating],
        root_weights: FloatArray | None,
        solution: Solution,
        where: npt.NDArray[np.intp],
        edge: float,
    ) -> None:
        """Voxels whose free minimum lies beyond a bound of vp, at that bound: a Tofts fit of what is left.

        Where that meets another bound, vp comes out as NaN, which sends the voxel to the search in the whole box.
        """
        if not where.size:
            return
        rest = data[where] - edge * self.arterial_mM if edge else data[where]
        part = self._on_vp_edge._solve(rest, root_weights)
        part.values["vp"] = np.where(part.status == FitStatus.FITTED, edge, np.nan)
        part.status[:] = FitStatus.AT_BOUND
        solution.put(where, part)

    @cached_property
    def _on_vp_edge(self) -> Tofts:
        tofts = Tofts(self.times_s, self.plasma_concentration_mM, self.ktrans_bounds_per_min, self.ve_bounds)
        tofts = tofts.with_delay(self.delay_s)
        tofts._family = self._family
        return tofts

    def _solve_in_box(self, data: FloatArray, roots: FloatArray) -> Solution:
        """The minimum within the box, for weighted data: at each kep the best allowed Ktrans and vp, then over kep."""
        finite = np.isfinite(data).all(axis=1)
        if not finite.all():
            solution = Solution(len(data), (*self.free, *self.derived))
            if finite.any():
                solution.put(finite, self._solve_in_box(data[finite], roots))
            return solution
        box = _Box(self, data, roots)
        ktrans, kep, vp, at_bound = box.optimum(box.minimum())
        solution = Solution(len(data), (*self.free, *self.derived))
        uptake = box.rises()
        solution.status[:] = np.where(
            uptake, np.where(at_bound, FitStatus.AT_BOUND, FitStatus.FITTED), FitStatus.NO_ENHANCEMENT
        )
        found = {"ktrans_per_min": ktrans, "kep_per_min": kep, "vp": vp, "ve": ktrans / kep}
        for name in solution.values:
            solution.values[name] = np.where(uptake, found[name], np.nan)
        return solution


class Tofts(ExtendedTofts):
    """Standard Tofts model: no plasma volume.

    Parameters
    ----------
    times_s, plasma_concentration_mM : as in `Model`.
    ktrans_bounds_per_min, ve_bounds : the box that the parameters are searched in; finite, positive, the lower bound
        first.
    delay_s : as in `Model`.

    Raises
    ------
    ValueError
        as of `Model`, when bounds are no box as said above, or when the curve that the tissue sees has no positive
        sample between the first and the last frame.

    References
    ----------
    Tofts PS, Kermode AG, Magn Reson Med 1991;17:357-367; OSIPI CAPLEX M.IC1.004.
    """

    free: ClassVar[tuple[str, ...]] = ("ktrans_per_min", "kep_per_min")

    def __init__(
        self,
        times_s: npt.ArrayLike,
        plasma_concentration_mM: npt.ArrayLike,
        ktrans_bounds_per_min: tuple[float, float] = (1e-4, 5.0),
        ve_bounds: tuple[float, float] = (1e-3, 1.0),
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(times_s, plasma_concentration_mM, ktrans_bounds_per_min, ve_bounds, (0.0, 0.0), delay_s)


class _Box:
    """The sum of squares of some voxels over kep, with Ktrans and vp at their best within the box.

    f = Ktrans^2 q + vp^2 g + 2 Ktrans vp b - 2 Ktrans p - 2 vp a,  with
    p = h.c, q = h.h, b = h.C_p, a = C_p.c, g = C_p.C_p; f + |c|^2 is the residual sum of squares.
    """

    def __init__(self, model: ExtendedTofts, data: FloatArray, roots: FloatArray) -> None:
        family = model._whole_family
        curves, plasma = family.curves * roots, model.arterial_mM * roots
        self._model = model
        self.theta = family.theta
        self._p = data @ curves.T
        self._q = np.square(curves).sum(axis=1)
        self._b = curves @ plasma
        self._a = data @ plasma
        self._g = float(plasma @ plasma)
        self._kep_bounds = model._kep_bounds

    def minimum(self) -> FloatArray:
        """theta of the least f of each voxel."""
        low, high = np.log(self._kep_bounds)
        nodes = np.flatnonzero((self.theta >= low - 1e-9) & (self.theta <= high + 1e-9))
        kep, a = np.exp(self.theta[nodes]), self._a[:, np.newaxis]
        candidates = self._candidates(self._p[:, nodes], self._q[nodes], self._b[nodes], kep, a)[0]
        best = self.theta[nodes[np.argmin(reduce(np.minimum, (f for f, _, _ in candidates)), axis=1)]]
        step = self.theta[1] - self.theta[0]
        found = sectioned_minimum(self.objective, np.maximum(best - step, low), np.minimum(best + step, high))
        # where bounds of Ktrans and ve meet, f may have an edge
        corners = np.log(np.divide.outer(self._model.ktrans_bounds_per_min, self._model.ve_bounds)).ravel()
        theta = np.stack((found, *np.broadcast_to(corners[:, np.newaxis], (corners.size, best.size))))
        return theta[np.argmin(self.objective(theta), axis=0), np.arange(best.size)]

    def rises(self) -> npt.NDArray[np.bool_]:
        """Whether some uptake, however small, explains more than none; noise below the baseline does not."""
        with_vp = self._a > 0 if "vp" in self._model.free else False
        return (self._p.max(axis=1) > 0) | with_vp

    def objective(self, theta: FloatArray) -> FloatArray:
        """f at one theta or some per voxel, (n_voxels,) or (n, n_voxels)."""
        return self._interpolated(theta)[0]

    def optimum(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.bool_]]:
        """Ktrans, kep, vp, and whether one of them lies on a bound."""
        _, ktrans, vp, low, high = self._interpolated(theta)
        kep = np.exp(np.clip(theta, *np.log(self._kep_bounds)))
        at_bound = (ktrans <= low * (1 + _ON_BOUND)) | (ktrans >= high * (1 - _ON_BOUND))
        at_bound |= (kep <= self._kep_bounds[0] * (1 + _ON_BOUND)) | (kep >= self._kep_bounds[1] * (1 - _ON_BOUND))
        if "vp" in self._model.free:
            vp_low, vp_high = self._model.vp_bounds
            at_bound |= (vp <= vp_low + _ON_BOUND) | (vp >= vp_high - _ON_BOUND)
        return ktrans, kep, vp, at_bound

    def _interpolated(self, theta: FloatArray) -> tuple[FloatArray, ...]:
        theta = np.clip(theta, *np.log(self._kep_bounds))
        step = self.theta[1] - self.theta[0]
        position = (theta - self.theta[0]) / step
        columns, weights = cubic_weights(position, self.theta.size)
        p = (weights * self._p[np.arange(theta.shape[-1]), columns]).sum(axis=0)
        q = (weights * self._q[columns]).sum(axis=0)
        b = (weights * self._b[columns]).sum(axis=0)
        return self._at(p, q, b, np.exp(theta), self._a)

    def _at(
        self, p: FloatArray, q: FloatArray, b: FloatArray, kep: FloatArray, a: FloatArray
    ) -> tuple[FloatArray, ...]:
        """f, Ktrans, vp and the interval of Ktrans, at given kep."""
        candidates, low, high = self._candidates(p, q, b, kep, a)
        f, ktrans, vp = candidates[0]
        for f_other, ktrans_other, vp_other in candidates[1:]:
            better = f_other < f
            f, ktrans, vp = np.where(better, (f_other, ktrans_other, vp_other), (f, ktrans, vp))
        return f, ktrans, vp, low, high

    def _candidates(
        self, p: FloatArray, q: FloatArray, b: FloatArray, kep: FloatArray, a: FloatArray
    ) -> tuple[list[tuple[FloatArray, FloatArray, FloatArray]], FloatArray, FloatArray]:
        """f, Ktrans and vp inside the box and on its edges; and the interval of Ktrans."""
        model = self._model
        low = np.maximum(model.ktrans_bounds_per_min[0], kep * model.ve_bounds[0])
        high = np.minimum(model.ktrans_bounds_per_min[1], kep * model.ve_bounds[1])
        vp_low, vp_high = model.vp_bounds
        points = []
        for vp_edge in {vp_low, vp_high}:
            ktrans = np.clip((p - vp_edge * b) / q, low, high)
            points.append((ktrans, np.full_like(ktrans, vp_edge)))
        if vp_high > vp_low:
            for edge in (low, high):
                points.append((edge + 0 * p, np.clip((a - edge * b) / self._g, vp_low, vp_high)))
            with np.errstate(divide="ignore", invalid="ignore"):
                ktrans = np.clip((p * self._g - a * b) / (q * self._g - b * b), low, high)
            ktrans = np.where(np.isfinite(ktrans), ktrans, low)
            points.append((ktrans, np.clip((a - ktrans * b) / self._g, vp_low, vp_high)))
        return [(k * (k * q + 2 * v * b - 2 * p) + v * (v * self._g - 2 * a), k, v) for k, v in points], low, high
