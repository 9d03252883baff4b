"""What all kinetic models share: checks, weights, frames that are not finite, and the result of a fit."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special

from ..errors import Cancelled
from .response import _interval_weights, response
from .signal import FloatArray
from .status import FitStatus

_PART_VOXELS = 65536
_LINEARIZED_VOXELS = 4096
_SAME_TIME = 1e-9  # of a frame
StatusArray = npt.NDArray[np.uint8]
_M = TypeVar("_M", bound="Model")


class Solution:
    """What a solver returns for a set of voxels: parameters by name, and the status."""

    def __init__(self, count: int, names: tuple[str, ...]) -> None:
        self.values: dict[str, FloatArray] = {name: np.full(count, np.nan) for name in names}
        self.status: StatusArray = np.full(count, FitStatus.CONVERSION_INVALID, dtype=np.uint8)

    def put(self, where: Any, part: Solution) -> None:
        """Write the solution of some voxels into this one."""
        for name, values in part.values.items():
            self.values[name][where] = values
        self.status[where] = part.status


class Model(ABC):
    """A kinetic model for one arterial input (or reference curve).

    Parameters
    ----------
    times_s : (n_times,) strictly increasing.
    plasma_concentration_mM : (n_times,), finite, zero before the first sample, with a positive sample.
    delay_s : how much later than in the curve the agent arrives in the tissue; may be a fraction of a frame.

    Raises
    ------
    ValueError
        when shapes differ, times do not increase or are too few, or the curve is not finite or nowhere positive.
    """

    free: ClassVar[tuple[str, ...]]
    """Names of the parameters that are fitted."""
    derived: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that follow from them."""
    _settings: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that a model has beside times, curve and delay."""
    _delays_by_voxel: ClassVar[bool] = False
    """Whether `concentration` and `jacobian` are right for a delay per voxel."""

    def __init__(self, times_s: npt.ArrayLike, plasma_concentration_mM: npt.ArrayLike, delay_s: float = 0.0) -> None:
        self.delay_s: float | FloatArray = float(delay_s)
        self._tables: dict[tuple[float, ...], FloatArray] = {}
        self.times_s = np.asarray(times_s, dtype=float)
        self.plasma_concentration_mM = np.asarray(plasma_concentration_mM, dtype=float)
        if self.times_s.ndim != 1 or self.times_s.shape != self.plasma_concentration_mM.shape:
            raise ValueError(
                f"times {self.times_s.shape} and plasma curve {self.plasma_concentration_mM.shape} must be two lists "
                "of the same length"
            )
        if self.times_s.size <= len(self.free):
            raise ValueError(
                f"{self.times_s.size} frame{'s are' if self.times_s.size != 1 else ' is'} too few to fit "
                f"{len(self.free)} parameters; at least {len(self.free) + 1} are needed"
            )
        if not np.all(np.isfinite(self.times_s)):
            raise ValueError("times must be finite numbers")
        not_after = np.flatnonzero(np.diff(self.times_s) <= 0)
        if not_after.size:
            i = int(not_after[0])
            raise ValueError(
                f"times must increase: frame {i + 2} ({self.times_s[i + 1]:g} s) does not come after "
                f"frame {i + 1} ({self.times_s[i]:g} s)"
            )
        if not np.all(np.isfinite(self.plasma_concentration_mM)):
            raise ValueError("the plasma curve must be finite in every frame")
        if not np.any(self.plasma_concentration_mM[1:] > 0):
            raise ValueError("the plasma curve has no positive sample, so there is no arterial input")

    @property
    def times_min(self) -> FloatArray:
        """(n_times,) in minutes."""
        return self.times_s / 60.0

    @cached_property
    def arterial_mM(self) -> FloatArray:
        """(n_times,) the plasma curve as the tissue sees it: later by the delay."""
        plasma = self._seen[3].T
        return plasma if np.ndim(self.delay_s) else plasma[0]

    def response(self, kep_per_min: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Convolution of the delayed plasma curve with exp(-kep t), exact, and its derivative by kep.

        Parameters
        ----------
        kep_per_min : (n_kep,) or a number, not negative.

        Returns
        -------
        h(t - delay; kep) in mM min and dh/dkep in mM min^2, both (n_kep, n_times); see `response.response`.
        """
        kep = np.atleast_1d(np.asarray(kep_per_min, dtype=float))
        h, dh = response(self._samples[0] / 60.0, self._samples[1], kep)
        if not np.any(self.delay_s):
            return h, dh
        decay, a, b, da, db = _interval_weights(self._seen[1] * kep)
        since = self._seen[1]
        start = self._at_samples(h)
        slope = self._at_samples(dh)
        slope -= since * start
        return self._later(decay, a, b, start, since), self._later(decay, da, db, slope, since**2)

    def _curves(self, kep_per_min: FloatArray, table: bool = False) -> FloatArray:
        """h of `response` alone; a table, of rates that are the same at every delay, is kept for all delays."""
        key = (self._samples[0].size, kep_per_min.size, kep_per_min[0], kep_per_min[-1])
        h = self._tables.get(key) if table else None
        if h is None:
            h, _ = response(self._samples[0] / 60.0, self._samples[1], kep_per_min)
        if table:
            self._tables[key] = h
        if not np.any(self.delay_s):
            return h
        decay, a, b, _, _ = _interval_weights(self._seen[1] * kep_per_min)
        return self._later(decay, a, b, self._at_samples(h), self._seen[1])

    def _at_samples(self, values: FloatArray) -> FloatArray:
        """(n_times, n_kep) what a quantity (n_kep, n_samples) was at the last sample."""
        sample = self._seen[0]
        return values.T[sample[:, 0]] if sample.shape[1] == 1 else np.take_along_axis(values.T, sample, axis=0)

    def _later(
        self, decay: FloatArray, a: FloatArray, b: FloatArray, start: FloatArray, since: FloatArray
    ) -> FloatArray:
        """One more step of the recursion of `response`, to what is seen from the last sample, in place of `start`."""
        _, _, before, now = self._seen
        start *= decay
        start += before * (since * a)
        start += now * (since * b)
        return start.T

    @property
    def _samples(self) -> tuple[FloatArray, FloatArray]:
        """Times in s and the plasma curve, as far as the tissue sees them: after its end the curve stays as it is."""
        step = self.times_s[-1] - self.times_s[-2]
        more = np.arange(np.ceil(max(0.0, -float(np.min(self.delay_s)) / step)))
        return (
            np.append(self.times_s, self.times_s[-1] + step * (more + 1.0)),
            np.append(self.plasma_concentration_mM, np.full(more.size, self.plasma_concentration_mM[-1])),
        )

    @cached_property
    def _seen(self) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray, FloatArray]:
        """What the tissue sees in each frame: the last sample, the minutes since, and the plasma curve then and now.

        (n_times, n_delays); the minutes have one row if the frames are regular.
        """
        times_s, plasma = self._samples
        delay_s = np.atleast_1d(self.delay_s)
        steps = np.diff(self.times_s)
        rounding = _SAME_TIME * steps.min()
        if np.ptp(steps) <= rounding:
            step = (self.times_s[-1] - self.times_s[0]) / steps.size
            whole = np.ceil(delay_s / step - _SAME_TIME).astype(np.intp)
            since = whole * step - delay_s[np.newaxis]
            after = np.arange(1, self.times_s.size + 1)[:, np.newaxis] - whole
        else:
            seen = self.times_s[:, np.newaxis] - delay_s
            after = np.searchsorted(times_s, seen + rounding, side="right")
            since = seen - times_s[np.maximum(after - 1, 0)]
        # what is seen of the time before the first sample is nothing
        np.clip(after, 0, times_s.size, out=after)
        before = np.append(0.0, plasma)[after]
        now = np.concatenate(([0.0], np.diff(plasma) / np.diff(times_s), [0.0]))[after]
        np.maximum(since, 0.0, out=since)
        now *= since
        now += before
        return np.maximum(after - 1, 0), since / 60.0, before, now

    def with_delay(self: _M, delay_s: npt.ArrayLike) -> _M:
        """The same model with another delay; one with a delay per voxel gives curves and derivatives, but no fit.

        Parameters
        ----------
        delay_s : how much later than in the curve the agent arrives in the tissue; a number, or (n_voxels,).

        Returns
        -------
        A new model with the same times, curve and bounds.
        """
        other = copy.copy(self)
        kept = ("times_s", "plasma_concentration_mM", "_tables", *self._settings)
        other.__dict__ = {name: value for name, value in self.__dict__.items() if name in kept}
        other.delay_s = np.asarray(delay_s, dtype=float) if np.ndim(delay_s) else float(delay_s)  # type: ignore
        return other

    def _columns(self, parameters: Mapping[str, npt.ArrayLike]) -> FloatArray:
        """The free parameters in their order, broadcast against each other, (n_free, n_voxels)."""
        arrays = np.broadcast_arrays(*(np.asarray(parameters[name], dtype=float) for name in self.free))
        return np.stack([array.ravel() for array in arrays])

    @abstractmethod
    def concentration(self, **parameters: npt.ArrayLike) -> FloatArray:
        """Tissue concentration of given parameters.

        Parameters
        ----------
        **parameters : every free parameter by its name, in the unit that the name says; (n_voxels,) or numbers.

        Returns
        -------
        Concentration in mM, (n_voxels, n_times).
        """

    @abstractmethod
    def jacobian(self, **parameters: npt.ArrayLike) -> FloatArray:
        """Derivative of the concentration by each free parameter.

        Parameters
        ----------
        **parameters : as in `concentration`.

        Returns
        -------
        (n_voxels, n_times, n_free), in mM over the unit of the parameter; the order is that of `free`.
        """

    @abstractmethod
    def derive(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """The derived parameters.

        Parameters
        ----------
        values : free parameter name to (n_voxels,).

        Returns
        -------
        Derived parameter name to (n_voxels,), the names of `derived`.
        """

    @abstractmethod
    def derived_gradient(self, name: str, values: Mapping[str, FloatArray]) -> FloatArray:
        """Derivative of a derived parameter by each free one.

        Parameters
        ----------
        name : one of `derived`.
        values : free parameter name to (n_voxels,).

        Returns
        -------
        (n_voxels, n_free), in the order of `free`.

        Raises
        ------
        ValueError
            when no derived parameter has that name.
        """

    @abstractmethod
    def _solve(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        """Least squares of each voxel; those with frames that are not finite come out as CONVERSION_INVALID, NaN."""

    def fit(
        self,
        concentration_mM: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        progress: Callable[[float], bool] | None = None,
    ) -> Fit:
        """Least-squares parameters of every voxel within the bounds of the model.

        Parameters
        ----------
        concentration_mM : (n_voxels, n_times) or (n_times,). Frames that are not finite are left out of their voxel.
        weights : (n_times,) not negative; all one when None. The inverse variance of each frame is the natural choice.
        progress : called with the fraction done; a return of False cancels.

        Returns
        -------
        Fit with arrays of n_voxels.

        Raises
        ------
        ValueError
            when shapes differ, a weight is negative or not finite, or no more frames have a weight than the model has
            free parameters.
        Cancelled
            when `progress` asks for it.
        """
        data = np.atleast_2d(np.asarray(concentration_mM))
        if data.dtype not in (np.float32, np.float64):
            data = data.astype(float)
        if data.ndim != 2 or data.shape[1] != self.times_s.size:
            raise ValueError(f"concentration {data.shape} must be (voxels, {self.times_s.size} times)")
        root_weights = self._root_weights(weights)
        solution = Solution(len(data), (*self.free, *self.derived))
        # what is not finite is told by its status, not by warnings
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for start in range(0, len(data), _PART_VOXELS):
                if progress and not progress(start / len(data)):
                    raise Cancelled
                part = slice(start, start + _PART_VOXELS)
                solution.put(part, self._solve_part(data[part], root_weights))
        return Fit(self, solution, data, root_weights)

    def _root_weights(self, weights: npt.ArrayLike | None) -> FloatArray | None:
        if weights is None:
            return None
        values = np.asarray(weights, dtype=float)
        if values.shape != self.times_s.shape or not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"weights {values.shape} must be {self.times_s.size} numbers, finite and not negative")
        if np.count_nonzero(values) <= len(self.free):
            raise ValueError(f"only {np.count_nonzero(values)} frames have a weight; {len(self.free) + 1} are needed")
        return np.sqrt(values)

    def _solve_part(self, data: npt.NDArray[np.floating], root_weights: FloatArray | None) -> Solution:
        """Solve voxels, those with missing frames grouped by which frames they miss."""
        solution = self._solve(data, root_weights)
        broken = np.flatnonzero(solution.status == FitStatus.CONVERSION_INVALID)
        if not broken.size:
            return solution
        missing = ~np.isfinite(data[broken])
        patterns, pattern_of = np.unique(missing, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            where = broken[pattern_of.ravel() == number]
            left = np.where(pattern, 0.0, 1.0 if root_weights is None else root_weights)
            # frames without agent tell nothing, however many they are
            if np.count_nonzero(left) > len(self.free) and np.any(self.arterial_mM[left > 0] > 0):
                solution.put(where, self._solve(np.where(pattern, 0.0, data[where]), left))
            elif not pattern.all():
                solution.status[where] = FitStatus.TOO_FEW_FRAMES
        return solution


class Fit:
    """Result of a fit: one array per parameter, by its name (`fit.ktrans_per_min`), over the voxels.

    Parameters are NaN where `status` is neither FITTED nor AT_BOUND.

    Parameters
    ----------
    model : the model that was fitted.
    solution : parameters and status of n_voxels.
    data : (n_voxels, n_times) the concentration in mM that was fitted; NaN in frames that were left out.
    root_weights : (n_times,) square roots of the weights; None where all are one.

    Attributes
    ----------
    model : the model that was fitted.
    parameters : parameter name, free or derived, to (n_voxels,), in the unit that the name says.
    status : (n_voxels,) `FitStatus` codes.
    fitted_delays : 1 where a delay was fitted beside the model's parameters (`refine.fit_delay`), else 0.
    """

    def __init__(
        self, model: Model, solution: Solution, data: npt.NDArray[np.floating], root_weights: FloatArray | None
    ) -> None:
        self.model = model
        self.fitted_delays = 0
        self.parameters = solution.values
        self.status = solution.status
        self._data = data
        self._root_weights = root_weights

    def __getattr__(self, name: str) -> FloatArray:
        parameters = self.__dict__.get("parameters", {})
        if name in parameters:
            values: FloatArray = parameters[name]
            return values
        raise AttributeError(f"a fit of {type(self.model).__name__} has no {name!r}; it has {', '.join(parameters)}")

    def __len__(self) -> int:
        return int(self.status.size)

    def predict(self) -> FloatArray:
        """Fitted concentration in mM, (n_voxels, n_times); NaN where there is no estimate."""
        return self._predict(slice(None))

    def _predict(self, where: slice) -> FloatArray:
        free = self._free(where)
        fitted = np.isfinite(free[self.model.free[0]])
        concentration = np.full((fitted.size, self.model.times_s.size), np.nan)
        if fitted.any():
            concentration[fitted] = self.model.concentration(**{name: v[fitted] for name, v in free.items()})
        return concentration

    @property
    def rmse_mM(self) -> FloatArray:
        """(n_voxels,) weighted root mean square of the residual."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(self._squares / self._weight_sum)

    @property
    def r_squared(self) -> FloatArray:
        """(n_voxels,) 1 - residual sum of squares / sum of squares of the data about their mean, both weighted."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self._spread > 0, 1.0 - self._squares / self._spread, np.nan)

    @property
    def aicc(self) -> FloatArray:
        """(n_voxels,) Akaike's information criterion, corrected for small samples; smaller is better.

        References
        ----------
        Hurvich CM, Tsai CL, Biometrika 1989;76:297-307.
        """
        # the noise is a parameter too
        count, free = self._frame_count, len(self.model.free) + self.fitted_delays + 1
        with np.errstate(divide="ignore", invalid="ignore"):
            correction = np.where(count > free + 1, 2.0 * free * (free + 1) / (count - free - 1), np.inf)
            return count * np.log(self._squares / count) + 2.0 * free + correction

    def covariance(self) -> FloatArray:
        """Covariance of the free parameters, linearized at the estimate; (n_voxels, n_free, n_free).

        Notes
        -----
        sigma^2 (J^T W J)^-1 with sigma^2 = weighted residual sum of squares / (frames - free parameters). A delay that
        was fitted counts as one but is held where it is: the errors are those at this delay. NaN where there is no
        estimate, or where the estimate lies on a bound, at which it has no such distribution.
        """
        size = len(self.model.free)
        covariance = np.full((len(self), size, size), np.nan)
        interior = np.flatnonzero(self.status == FitStatus.FITTED)
        for start in range(0, interior.size, _LINEARIZED_VOXELS):
            where = interior[start : start + _LINEARIZED_VOXELS]
            jacobian = self._jacobian(where) * self._roots(where)[:, :, np.newaxis]
            scale = np.sqrt(np.square(jacobian).sum(axis=1))
            scale[scale == 0] = np.nan
            normal = np.einsum("vti,vtj->vij", jacobian, jacobian) / (scale[:, :, np.newaxis] * scale[:, np.newaxis, :])
            variance = self._squares[where] / np.maximum(self._frame_count[where] - size - self.fitted_delays, 1)
            regular = np.isfinite(normal).all(axis=(1, 2))
            regular[regular] = np.linalg.cond(normal[regular]) < 1e14
            inverse = np.full_like(normal, np.nan)
            inverse[regular] = np.linalg.inv(normal[regular])
            inverse /= scale[:, :, np.newaxis] * scale[:, np.newaxis, :]
            covariance[where] = inverse * variance[:, np.newaxis, np.newaxis]
        return covariance

    def _jacobian(self, where: npt.NDArray[np.intp]) -> FloatArray:
        return self.model.jacobian(**self._free(where))

    def standard_error(self, name: str) -> FloatArray:
        """Standard error of a parameter, free or derived.

        Parameters
        ----------
        name : of the parameter.

        Returns
        -------
        (n_voxels,) in the unit of the parameter; NaN as in `covariance`.

        Raises
        ------
        ValueError
            when the model has no parameter of that name.

        Notes
        -----
        Root of the diagonal of `covariance`; of a derived parameter by linear propagation, sqrt(g^T C g) with its
        gradient g.
        """
        covariance = self._covariance
        if name in self.model.free:
            index = self.model.free.index(name)
            return np.sqrt(covariance[:, index, index])
        gradient = self.model.derived_gradient(name, self.parameters)
        return np.sqrt(np.einsum("vi,vij,vj->v", gradient, covariance, gradient))

    def correlation(self) -> FloatArray:
        """(n_voxels, n_free, n_free) correlation of the estimates of the free parameters."""
        deviation = np.sqrt(np.einsum("vii->vi", self._covariance))
        return self._covariance / (deviation[:, :, np.newaxis] * deviation[:, np.newaxis, :])

    def confidence_interval(self, name: str, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Confidence interval of a parameter, from its standard error and Student's t distribution.

        Parameters
        ----------
        name : of the parameter, free or derived.
        level : coverage, between 0 and 1.

        Returns
        -------
        Lower and upper limit, (n_voxels,) each, in the unit of the parameter; NaN as in `covariance`.

        Raises
        ------
        ValueError
            when the model has no parameter of that name.

        Notes
        -----
        Estimate +- t standard errors, at frames - free parameters (- 1 for a fitted delay) degrees of freedom.
        """
        freedom = np.maximum(self._frame_count - len(self.model.free) - self.fitted_delays, 1)
        half = special.stdtrit(freedom, 0.5 + level / 2) * self.standard_error(name)
        return self.parameters[name] - half, self.parameters[name] + half

    @cached_property
    def _covariance(self) -> FloatArray:
        return self.covariance()

    def _free(self, where: Any) -> dict[str, FloatArray]:
        return {name: self.parameters[name][where] for name in self.model.free}

    def _roots(self, where: Any) -> FloatArray:
        """(n, n_times) root weights, zero in frames that are not finite."""
        roots = np.where(np.isfinite(self._data[where]), 1.0, 0.0)
        return roots if self._root_weights is None else roots * self._root_weights

    @cached_property
    def _moments(self) -> tuple[FloatArray, ...]:
        """Per voxel: frames used, sum of weights, residual sum of squares, sum of squares about the mean."""
        columns = np.empty((4, len(self)))
        for start in range(0, len(self), _LINEARIZED_VOXELS):
            where = slice(start, start + _LINEARIZED_VOXELS)
            weights = np.square(self._roots(where))
            values = np.where(weights > 0, self._data[where], 0.0).astype(float)
            columns[0, where] = np.count_nonzero(weights, axis=1)
            columns[1, where] = weights.sum(axis=1)
            columns[2, where] = np.einsum("vt,vt->v", weights, np.square(values - self._predict(where)))
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = np.einsum("vt,vt->v", weights, values) / columns[1, where]
            columns[3, where] = np.einsum("vt,vt->v", weights, np.square(values - mean[:, np.newaxis]))
        return tuple(columns)

    @property
    def _frame_count(self) -> FloatArray:
        return self._moments[0]

    @property
    def _weight_sum(self) -> FloatArray:
        return self._moments[1]

    @property
    def _squares(self) -> FloatArray:
        return self._moments[2]

    @property
    def _spread(self) -> FloatArray:
        return self._moments[3]
