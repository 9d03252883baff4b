"""The reference-region model: a tissue with known kinetics, such as the erector spinae, takes the place of the artery.

C_t = R C_r + R (kep_r - kep) integral_0^t C_r(u) exp(-kep (t - u)) du,  R = Ktrans / Ktrans_r
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .levenberg import minimize_in_box
from .model import Model, Solution
from .profile import Family, Profile
from .signal import FloatArray
from .status import FitStatus

_ON_BOUND = 1e-6
_CHUNK_VOXELS = 4096


class ReferenceRegion(Model):
    """Reference-region Tofts model: values relative to those of the reference tissue.

    Parameters
    ----------
    times_s : as in `Model`.
    reference_concentration_mM : (n_times,) mean concentration in the reference tissue; takes the place of the plasma
        curve, with the same requirements.
    relative_ktrans_bounds, kep_bounds_per_min, reference_kep_bounds_per_min : the box that is searched.
    reference_ktrans_per_min : Ktrans of the reference tissue, if known; then `ktrans_per_min` and `ve` are absolute,
        else they are NaN.

    References
    ----------
    Yankeelov TE et al., Magn Reson Imaging 2005;23:519-529; Ma HT et al., BioMed Res Int 2014:620925 (erector spinae).
    """

    free = ("relative_ktrans", "kep_per_min", "reference_kep_per_min")
    derived = ("ktrans_per_min", "ve")
    _settings = ("bounds", "reference_ktrans_per_min")

    def __init__(
        self,
        times_s: npt.ArrayLike,
        reference_concentration_mM: npt.ArrayLike,
        relative_ktrans_bounds: tuple[float, float] = (1e-3, 100.0),
        kep_bounds_per_min: tuple[float, float] = (1e-3, 50.0),
        reference_kep_bounds_per_min: tuple[float, float] = (1e-3, 50.0),
        reference_ktrans_per_min: float = np.nan,
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(times_s, reference_concentration_mM, delay_s)
        self.bounds = np.array([relative_ktrans_bounds, kep_bounds_per_min, reference_kep_bounds_per_min], dtype=float)
        self.reference_ktrans_per_min = reference_ktrans_per_min

    def concentration(self, **parameters: npt.ArrayLike) -> FloatArray:
        ratio, kep, reference_kep = self._stacked(parameters)
        h, _ = self.response(kep)
        return ratio[:, np.newaxis] * (self.arterial_mM + (reference_kep - kep)[:, np.newaxis] * h)

    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        ratio, kep, reference_kep = (values[:, np.newaxis] for values in self._stacked(parameters))
        h, dh = self.response(kep[:, 0])
        difference = reference_kep - kep
        return np.stack((self.arterial_mM + difference * h, ratio * (difference * dh - h), ratio * h), axis=-1)

    def derive(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        ktrans = values["relative_ktrans"] * self.reference_ktrans_per_min
        return {"ktrans_per_min": ktrans, "ve": ktrans / values["kep_per_min"]}

    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        ratio, kep = values["relative_ktrans"], values["kep_per_min"]
        gradient = np.zeros((ratio.size, 3))
        gradient[:, 0] = self.reference_ktrans_per_min
        if name == "ve":
            gradient[:, 0] /= kep
            gradient[:, 1] = -self.reference_ktrans_per_min * ratio / kep**2
        return gradient

    def _stacked(self, parameters: Mapping[str, npt.ArrayLike]) -> list[FloatArray]:
        arrays = np.broadcast_arrays(*(np.asarray(parameters[name], dtype=float) for name in self.free))
        return [array.ravel() for array in arrays]

    @cached_property
    def _family(self) -> Family:
        return Family.of(self.response, *self.bounds[1])

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        roots = np.ones(self.times_s.size) if root_weights is None else root_weights
        profile = Profile(self._family, roots, self.arterial_mM[np.newaxis])
        found = profile.maximize(data, root_weights, positive=False)
        kep = np.exp(found.theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = profile.fixed_amplitudes(found)[:, 0]
            reference_kep = kep + found.amplitude / ratio
        values = np.stack((ratio, kep, reference_kep), axis=1)
        inside = found.inside & ((values > self.bounds[:, 0]) & (values < self.bounds[:, 1])).all(axis=1)
        solution = Solution(len(data), (*self.free, *self.derived))
        solution.status[inside] = FitStatus.FITTED
        outside = np.flatnonzero(~inside)
        outside = outside[np.isfinite(data[outside]).all(axis=1)]
        for start in range(0, outside.size, _CHUNK_VOXELS):
            where = outside[start : start + _CHUNK_VOXELS]
            values[where], solution.status[where] = self._solve_in_box(data[where] * roots, roots)
        good = (solution.status == FitStatus.FITTED) | (solution.status == FitStatus.AT_BOUND)
        free = {name: np.where(good, column, np.nan) for name, column in zip(self.free, values.T, strict=True)}
        solution.values = {**free, **self.derive(free)}
        return solution

    def _solve_in_box(self, data: FloatArray, roots: FloatArray) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
        """The minimum within the box from several starts, for weighted data."""
        low, high = np.log(self.bounds).T

        def evaluate(logs: FloatArray, where: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
            values = np.exp(logs)
            parameters = dict(zip(self.free, values.T, strict=True))
            jacobian = self.jacobian(**parameters) * values[:, np.newaxis, :] * roots[:, np.newaxis]
            return self.concentration(**parameters) * roots - data[where], jacobian

        scale = np.square(data).sum(axis=1)
        best, least = np.zeros((len(data), 3)), np.full(len(data), np.inf)
        for kep in (0.1, 0.5, 2.0, 8.0):
            for reference_kep in (0.3, 1.5, 6.0):
                start = np.clip(np.log([1.0, kep, reference_kep]), low, high)
                found, squares = minimize_in_box(evaluate, np.tile(start, (len(data), 1)), low, high, scale)
                better = squares < least
                best[better], least[better] = found[better], squares[better]
        bound = ((best <= low + _ON_BOUND) | (best >= high - _ON_BOUND)).any(axis=1)
        uptake = (least < scale * (1 - _ON_BOUND)) & (best[:, 0] > low[0] + _ON_BOUND)
        status = np.where(uptake, np.where(bound, FitStatus.AT_BOUND, FitStatus.FITTED), FitStatus.NO_ENHANCEMENT)
        return np.exp(best), status.astype(np.uint8)
