"""The reference-region model: a tissue with known kinetics, such as the erector spinae, takes the place of the artery.

C_t = R C_r + R (kep_r - kep) integral_0^t C_r(u) exp(-kep (t - u)) du,  R = Ktrans / Ktrans_r
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .checks import check_bounds, check_derived, check_input_seen
from .model import Model, Solution
from .profile import Family, Profile, cubic_weights, golden_minimum
from .signal import FloatArray
from .status import FitStatus

_ON_BOUND = 1e-6
_CHUNK_VOXELS = 2048


class ReferenceRegion(Model):
    """Reference-region Tofts model: values relative to those of the reference tissue.

    Parameters
    ----------
    times_s : as in `Model`.
    reference_concentration_mM : (n_times,) mean concentration in the reference tissue; takes the place of the plasma
        curve, with the same requirements.
    relative_ktrans_bounds, kep_bounds_per_min, reference_kep_bounds_per_min : the box that is searched; finite,
        the lower bound first, the first two pairs positive.
    reference_ktrans_per_min : Ktrans of the reference tissue, if known; then `ktrans_per_min` and `ve` are absolute,
        else they are NaN.
    delay_s : as in `Model`, of the reference curve.

    Raises
    ------
    ValueError
        as of `Model`, when bounds are no box as said above, or when the reference curve that the tissue sees has no
        positive sample between the first and the last frame.

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
        check_input_seen(self.arterial_mM)
        check_bounds("relative_ktrans_bounds", relative_ktrans_bounds, positive=True)
        check_bounds("kep_bounds_per_min", kep_bounds_per_min, positive=True)
        check_bounds("reference_kep_bounds_per_min", reference_kep_bounds_per_min)
        self.bounds = np.array([relative_ktrans_bounds, kep_bounds_per_min, reference_kep_bounds_per_min], dtype=float)
        self.reference_ktrans_per_min = reference_ktrans_per_min

    def concentration(self, **parameters: npt.ArrayLike) -> FloatArray:
        ratio, kep, reference_kep = self._columns(parameters)
        h, _ = self.response(kep)
        return ratio[:, np.newaxis] * (self.arterial_mM + (reference_kep - kep)[:, np.newaxis] * h)

    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        ratio, kep, reference_kep = (values[:, np.newaxis] for values in self._columns(parameters))
        h, dh = self.response(kep[:, 0])
        difference = reference_kep - kep
        return np.stack((self.arterial_mM + difference * h, ratio * (difference * dh - h), ratio * h), axis=-1)

    def derive(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        ktrans = values["relative_ktrans"] * self.reference_ktrans_per_min
        return {"ktrans_per_min": ktrans, "ve": ktrans / values["kep_per_min"]}

    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        check_derived(name, self.derived, self.free)
        ratio, kep = values["relative_ktrans"], values["kep_per_min"]
        gradient = np.zeros((ratio.size, 3))
        gradient[:, 0] = self.reference_ktrans_per_min
        if name == "ve":
            gradient[:, 0] /= kep
            gradient[:, 1] = -self.reference_ktrans_per_min * ratio / kep**2
        return gradient

    @cached_property
    def _family(self) -> Family:
        return Family.of(self.response, *self.bounds[1])

    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        roots = np.ones(self.times_s.size) if root_weights is None else root_weights
        profile = Profile(self._family, roots, self.arterial_mM[np.newaxis])
        found = profile.maximize(data, root_weights, positive=False)
        kep = np.exp(found.theta)
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
            wedge = _Wedge(self, data[where] * roots, roots)
            values[where], solution.status[where] = wedge.minimum()
        good = (solution.status == FitStatus.FITTED) | (solution.status == FitStatus.AT_BOUND)
        free = {name: np.where(good, column, np.nan) for name, column in zip(self.free, values.T, strict=True)}
        solution.values = {**free, **self.derive(free)}
        return solution


class _Wedge:
    """The sum of squares of some voxels over kep, with the other two parameters at their best within their bounds.

    The curve is R c + B h(kep), c the reference curve. At a given kep the bounds of R and of kep_r = kep + B / R cut a
    wedge out of the plane of R and B, in which the sum of squares is a parabola; its minimum lies inside or on an edge.
    """

    def __init__(self, model: ReferenceRegion, data: FloatArray, roots: FloatArray) -> None:
        family = model._family
        curves, reference = family.curves * roots, model.arterial_mM * roots
        self._theta = family.theta
        self._bounds = model.bounds
        self._p = data @ curves.T
        self._q = np.square(curves).sum(axis=1)
        self._b = curves @ reference
        self._a = data @ reference
        self._g = float(reference @ reference)

    def minimum(self) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
        """R, kep and kep_r of each voxel, (n_voxels, 3), and the status."""
        limits = np.log(self._bounds[1])
        allowed = np.flatnonzero((self._theta >= limits[0] - 1e-9) & (self._theta <= limits[1] + 1e-9))
        kep = np.exp(self._theta[allowed])
        values = self._at(self._p[:, allowed], self._q[allowed], self._b[allowed], kep, self._a[:, np.newaxis])[0]
        best = allowed[np.argmin(values, axis=1)]
        left, right = (self._theta[np.clip(best + n, 0, self._theta.size - 1)] for n in (-1, 1))
        theta = golden_minimum(lambda at: self._interpolated(at)[0], left, right)
        value, ratio, amplitude = self._interpolated(theta)
        kep = np.exp(np.clip(theta, *limits))
        found = np.stack((ratio, kep, kep + amplitude / ratio), axis=1)
        low, high = self._bounds.T
        bound = ((found <= low * (1 + _ON_BOUND)) | (found >= high * (1 - _ON_BOUND))).any(axis=1)
        uptake = value < 0
        status = np.where(uptake, np.where(bound, FitStatus.AT_BOUND, FitStatus.FITTED), FitStatus.NO_ENHANCEMENT)
        return found, status.astype(np.uint8)

    def _interpolated(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        theta = np.clip(theta, *np.log(self._bounds[1]))
        position = (theta - self._theta[0]) / (self._theta[1] - self._theta[0])
        columns, weights = cubic_weights(position, self._theta.size)
        p = (weights * self._p[np.arange(theta.size), columns]).sum(axis=0)
        q, b = ((weights * row[columns]).sum(axis=0) for row in (self._q, self._b))
        return self._at(p, q, b, np.exp(theta), self._a)

    def _at(
        self, p: FloatArray, q: FloatArray, b: FloatArray, kep: FloatArray, a: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sum of squares less that of the data, R and B, at given kep."""
        (r_low, r_high), _, (low, high) = self._bounds
        determinant = self._g * q - b * b
        ratio, amplitude = (a * q - p * b) / determinant, (p * self._g - a * b) / determinant
        reference_kep = kep + amplitude / ratio
        inside = (ratio > r_low) & (ratio < r_high) & (reference_kep > low) & (reference_kep < high)
        candidates = [(np.where(inside, ratio, np.nan), amplitude)]
        for edge in (low - kep, high - kep):
            at_edge = np.clip((a + edge * p) / (self._g + 2 * edge * b + edge * edge * q), r_low, r_high)
            candidates.append((at_edge, edge * at_edge))
        for edge in (r_low, r_high):
            at_edge = np.clip((p - edge * b) / q, edge * (low - kep), edge * (high - kep))
            candidates.append((np.full_like(at_edge, edge), at_edge))
        values = np.array([r * (r * self._g + 2 * h * b - 2 * a) + h * (h * q - 2 * p) for r, h in candidates])
        values[np.isnan(values)] = np.inf
        choice = np.argmin(values, axis=0)
        ratio, amplitude = (np.choose(choice, column) for column in zip(*candidates, strict=True))
        return np.min(values, axis=0), ratio, amplitude
