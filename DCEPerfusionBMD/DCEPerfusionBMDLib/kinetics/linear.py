"""Models that are linear in their parameters: the Patlak model, and Murase's linear method for the Tofts model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .checks import check_bounds, check_derived, check_input_seen
from .model import Model, Solution
from .signal import FloatArray
from .status import FitStatus
from .tofts import Tofts

_ON_BOUND = 1e-9
_COLLINEAR = 1e-13


class Patlak(Model):
    """Patlak model: plasma volume and uptake without return, C_t = vp C_p + Ktrans integral_0^t C_p.

    Parameters
    ----------
    times_s, plasma_concentration_mM : as in `Model`.
    ktrans_bounds_per_min, vp_bounds : the box that the parameters are searched in; finite, the lower bound first.
    delay_s : as in `Model`.

    Raises
    ------
    ValueError
        as of `Model`, when bounds are no box as said above, or when the curve that the tissue sees has no positive
        sample between the first and the last frame.

    References
    ----------
    Patlak CS, Blasberg RG, Fenstermacher JD, J Cereb Blood Flow Metab 1983;3:1-7; OSIPI CAPLEX M.IC1.006.
    """

    free = ("ktrans_per_min", "vp")
    _settings = ("bounds",)

    def __init__(
        self,
        times_s: npt.ArrayLike,
        plasma_concentration_mM: npt.ArrayLike,
        ktrans_bounds_per_min: tuple[float, float] = (1e-4, 5.0),
        vp_bounds: tuple[float, float] = (0.0, 0.3),
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(times_s, plasma_concentration_mM, delay_s)
        check_input_seen(self.arterial_mM)
        check_bounds("ktrans_bounds_per_min", ktrans_bounds_per_min)
        check_bounds("vp_bounds", vp_bounds)
        self.bounds = np.array([ktrans_bounds_per_min, vp_bounds], dtype=float)

    @cached_property
    def _regressors(self) -> FloatArray:
        return np.array([self.response(0.0)[0][0], self.arterial_mM])

    def concentration(self, **parameters: npt.ArrayLike) -> FloatArray:
        return self._columns(parameters).T @ self._regressors

    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        count = np.size(parameters["ktrans_per_min"])
        return np.broadcast_to(self._regressors.T, (count, self.times_s.size, 2))

    def derive(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        return {}

    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        check_derived(name, self.derived, self.free)
        raise AssertionError("nothing is derived, so that no name passes the check")

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        regressors = self._regressors if root_weights is None else self._regressors * root_weights
        projected = (data if root_weights is None else data * root_weights) @ regressors.T
        normal = regressors @ regressors.T
        (k_low, k_high), (v_low, v_high) = self.bounds
        finite = np.isfinite(projected).all(axis=1)
        solution = Solution(len(data), self.free)
        if not 1.0 - (normal[0, 1] / np.sqrt(normal[0, 0]) / np.sqrt(normal[1, 1])) ** 2 > _COLLINEAR:
            # the frames that are left hold no agent, or one frame with agent
            solution.status[finite] = FitStatus.TOO_FEW_FRAMES
            return solution
        ktrans, vp = np.linalg.solve(normal, projected.T)
        inside = (ktrans > k_low) & (ktrans < k_high) & (vp > v_low) & (vp < v_high)
        # outside the box the minimum lies on one of its four edges
        edges = [
            (np.full_like(ktrans, k), np.clip((projected[:, 1] - normal[0, 1] * k) / normal[1, 1], v_low, v_high))
            for k in (k_low, k_high)
        ]
        edges += [
            (np.clip((projected[:, 0] - normal[0, 1] * v) / normal[0, 0], k_low, k_high), np.full_like(vp, v))
            for v in (v_low, v_high)
        ]
        values = np.array(
            [
                normal[0, 0] * k * k + normal[1, 1] * v * v + 2 * (normal[0, 1] * k * v)
                - 2 * (projected[:, 0] * k + projected[:, 1] * v)
                for k, v in edges
            ]
        )  # fmt: skip
        choice = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=0)
        ktrans = np.where(inside, ktrans, np.choose(choice, [k for k, _ in edges]))
        vp = np.where(inside, vp, np.choose(choice, [v for _, v in edges]))
        uptake = inside | ((ktrans > k_low * (1 + _ON_BOUND)) | (vp > v_low))
        solution.status[finite] = np.where(
            uptake, np.where(inside, FitStatus.FITTED, FitStatus.AT_BOUND), FitStatus.NO_ENHANCEMENT
        )[finite]
        for name, found in (("ktrans_per_min", ktrans), ("vp", vp)):
            solution.values[name] = np.where(finite & uptake, found, np.nan)
        return solution


class LinearTofts(Tofts):
    """Tofts model by Murase's linear method: fast, but not the least-squares estimate, and biased by noise.

    C_t = Ktrans integral C_p - kep integral C_t is solved as a linear equation, with integrals by the trapezoid rule;
    the noise of C_t is in its own regressor. Frames without a weight are left out; there the integral of C_t follows
    the straight line between their neighbors, zero before the first frame that is left. It is here for comparison with
    the literature.

    It knows no bounds: those given are not used, and FITTED only says that Ktrans and kep are positive. NO_ENHANCEMENT
    is a Ktrans that is not positive, with kep free or kep zero; where there is uptake but kep is not positive, the
    status is NO_WASHOUT.

    References
    ----------
    Murase K, Magn Reson Med 2004;51:858-862.
    """

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        from scipy import integrate  # slow to import, and most studies do without

        values = np.asarray(data, dtype=float)
        finite = np.isfinite(values).all(axis=1)
        roots = np.ones(self.times_s.size) if root_weights is None else root_weights
        if not roots.all():
            values = self._bridged(values, roots > 0)
        of_plasma = roots * integrate.cumulative_trapezoid(self.arterial_mM, self.times_min, initial=0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            of_tissue = -roots * integrate.cumulative_trapezoid(values, self.times_min, axis=1, initial=0)
            weighted = roots * values
            pp = of_plasma @ of_plasma
            pt, tt = of_tissue @ of_plasma, np.einsum("vt,vt->v", of_tissue, of_tissue)
            pc, tc = weighted @ of_plasma, np.einsum("vt,vt->v", of_tissue, weighted)
            determinant = pp * tt - pt * pt
            ktrans, kep = (tt * pc - pt * tc) / determinant, (pp * tc - pt * pc) / determinant
        solution = Solution(len(data), (*self.free, *self.derived))
        plausible = finite & (ktrans > 0) & (kep > 0)
        no_uptake = (ktrans <= 0) | ~(pc > 0)
        failure = np.where(no_uptake, FitStatus.NO_ENHANCEMENT, FitStatus.NO_WASHOUT)
        solution.status[finite] = np.where(plausible, FitStatus.FITTED, failure)[finite]
        for name, found in (("ktrans_per_min", ktrans), ("kep_per_min", kep), ("ve", ktrans / kep)):
            solution.values[name] = np.where(plausible, found, np.nan)
        return solution

    def _bridged(self, values: FloatArray, kept: npt.NDArray[np.bool_]) -> FloatArray:
        """The curves, straight over frames that are not kept; zero before the first that is, level after the last."""
        frames = np.flatnonzero(kept)
        right = np.clip(np.searchsorted(frames, np.arange(kept.size)), 1, frames.size - 1)
        before, after = frames[right - 1], frames[right]
        share = (self.times_s - self.times_s[before]) / (self.times_s[after] - self.times_s[before])
        share = np.minimum(share, 1.0)
        bridged: FloatArray = np.where(kept, values, (1.0 - share) * values[:, before] + share * values[:, after])
        bridged[:, : frames[0]] = 0.0
        return bridged
