"""Rigid motion of the spine during a series: found against the image before contrast, undone where voxels are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .errors import Cancelled, InputError
from .roi import VertebralRois
from .series import DynamicSeries, FloatArray, Progress
from .tables import Column, Table

_AROUND_MM = {"series": 20.0, "vertebra": 8.0}
_SEARCH_MM = 20.0
_NOTEWORTHY_MM = 2.0
_FEW_SLICES = 5
_SAMPLES = 20000
_BINS = 50
_CLIP_PERCENT = (1.0, 98.0)
_SEED = 2019
_ITERATIONS = 100
_AS_GOOD_AS_STILL = 0.98
_LEAST_WEIGHT = 1e-3
_LEVELS_MM = ((4.0, 2.0, 0.1), (1.0, 0.5, 0.005))
"""Smoothing, first step and last step of each resolution, coarse to fine."""


@dataclass(frozen=True)
class Motion:
    """Where the spine was in each frame.

    Attributes
    ----------
    times_s : (n_frames,).
    ijk_to_ras : (4, 4) of the series.
    bodies : what moved as one: first the spine, which everything follows but the regions after it.
    body : (K, J, I) index into `bodies` of each voxel.
    transforms : (n_bodies, n_frames, 4, 4) from the place before contrast to the place in the frame, RAS in mm.
    registered : (n_bodies, n_frames) False where the registration failed; the transform is the identity there.
    displacement_mm : (n_frames,) displacement of the centroid, by region and for the input; NaN where the registration
        failed.
    largest_mm : (n_frames,) largest displacement of a voxel, by region and for the input; NaN where that failed.
    """

    times_s: FloatArray
    ijk_to_ras: FloatArray
    bodies: tuple[str, ...]
    body: npt.NDArray[np.uint8]
    transforms: FloatArray
    registered: npt.NDArray[np.bool_]
    displacement_mm: Mapping[str, FloatArray]
    largest_mm: Mapping[str, FloatArray]

    def signal(
        self, frame: npt.NDArray[np.generic], index: int, voxels: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float32]:
        """Signal in one frame of what lay in the given voxels before contrast.

        Linear between the voxels of the frame; NaN for what has left the field of view, the boxes of its voxels.

        Parameters
        ----------
        frame : (K, J, I).
        index : of the frame.
        voxels : indices into the flattened grid.

        Returns
        -------
        (n_voxels,) in the unit of the frame.
        """
        shape = self.body.shape
        at = np.stack(np.unravel_index(voxels, shape)).astype(float)
        to_ijk = np.linalg.inv(self.ijk_to_ras)
        body = self.body.ravel()[voxels]
        for n in np.unique(body):
            matrix = (to_ijk @ self.transforms[n, index] @ self.ijk_to_ras)[:3]
            which = body == n
            at[:, which] = matrix[::-1, 2::-1] @ at[:, which] + matrix[::-1, 3:]  # array axes are k, j, i
        values = ndimage.map_coordinates(
            np.asarray(frame), at, output=np.float32, order=1, mode="nearest", prefilter=False
        )
        size = np.array(shape)[:, np.newaxis]
        values[((at < -0.5) | (at > size - 0.5)).any(axis=0)] = np.nan
        return values

    def table(self) -> Table:
        """The displacements, one row per frame."""
        columns = [Column("time_s", self.times_s.tolist(), "Time", "s", "Seconds from the first frame.")]
        for name, displacement_mm in self.displacement_mm.items():
            columns += [
                Column(
                    f"{name}_displacement_mm",
                    displacement_mm.tolist(),
                    f"{name} displacement",
                    "mm",
                    "How far the centroid is from its place before contrast.",
                ),
                Column(
                    f"{name}_largest_mm",
                    self.largest_mm[name].tolist(),
                    f"{name} largest displacement",
                    "mm",
                    "How far the voxel that moved most is from its place before contrast.",
                ),
            ]
        failed = (", ".join(self._failed(index)) for index in range(self.times_s.size))
        status = [f"failed: {names}" if names else "registered" for names in failed]
        about = "What could not be registered is taken where it lay before contrast, and has no displacement."
        return Table("motion", "Motion", (*columns, Column("status", status, "Status", "", about)))

    def warnings(self) -> list[str]:
        """What a reader must know: large displacements and failed registrations."""
        warnings = []
        names, table = list(self.largest_mm), np.nan_to_num(list(self.largest_mm.values()))
        number, index = np.unravel_index(table.argmax(), table.shape)
        if table[number, index] > _NOTEWORTHY_MM:
            warnings.append(
                f"the patient moved: {names[number]} by up to {table[number, index]:.1f} mm, in frame {index + 1}; the "
                "signal is read at the places found"
            )
        failed = [(index, names) for index in range(self.times_s.size) if (names := self._failed(index))]
        if failed:
            frames = ", ".join(f"{index + 1} ({', '.join(names)})" for index, names in failed[:5])
            more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
            warnings.append(
                f"motion could not be estimated in frame {frames}{more}; nothing is corrected there, see the status "
                "in the motion table"
            )
        return warnings

    def _failed(self, index: int) -> list[str]:
        return [name for name, done in zip(self.bodies, self.registered[:, index], strict=True) if not done]


def estimate_motion(
    series: DynamicSeries, rois: VertebralRois, baseline_frames: int, mode: str, progress: Progress
) -> Motion:
    """Register each frame rigidly to the mean of the frames before contrast, by mutual information around the regions.

    With fewer than 5 slices motion is sought within the slices only.

    Parameters
    ----------
    series : frames are read one after the other.
    rois : the regions; what is not part of a region moves with the spine.
    baseline_frames : number of frames before contrast.
    mode : "series" for one transform per frame, "vertebra" for one per frame and region.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Returns
    -------
    Where the spine was in each frame, and what could not be registered.

    Raises
    ------
    InputError
        when SimpleITK is not installed, the axes of the series are not orthogonal, it has no finite value before
        contrast around a region, or no frame after contrast could be registered.
    Cancelled
        when `progress` asks for it.

    Notes
    -----
    SimpleITK maximizes Mattes mutual information over rotation and shift in a band of 20 mm around the regions, or 8 mm
    around a vertebra of its own, first smoothed by 4 mm, then by 1 mm. What it finds is not taken where it shifts more
    than 20 mm, or is less similar than no motion; the region then stays where it lay before contrast in that frame.
    """
    sitk = simpleitk()
    spacing_mm = series.spacing_mm
    regions = {region.name: region.drawn for region in rois.regions if region.drawn.any()}
    spine = np.logical_or.reduce(list(regions.values()))
    bodies = ("spine", *(regions if mode == "vertebra" else ()))
    body = np.zeros(series.shape, dtype=np.uint8)
    for n, name in enumerate(bodies[1:], start=1):
        body[regions[name]] = n

    before = _mean(series, baseline_frames)
    targets = [_Target.of(sitk, before, spine, spacing_mm, _AROUND_MM["series"])]
    targets += [_Target.of(sitk, before, regions[name], spacing_mm, _AROUND_MM[mode]) for name in bodies[1:]]
    count = len(series.frames)
    transforms = np.tile(np.eye(4), (len(targets), count, 1, 1))
    registered = np.zeros((len(targets), count), dtype=bool)
    to_ras = series.ijk_to_ras @ np.diag([1.0 / mm for mm in spacing_mm[::-1]] + [1.0])
    last = [_STILL] * len(targets)
    for index, frame in enumerate(series.frames):
        values = np.asarray(frame)
        for n, target in enumerate(targets):
            if not progress((index + n / len(targets)) / count, "Estimating motion"):
                raise Cancelled
            starts = (last[n], _STILL, *([target.following(sitk, targets[0], last[0])] if n else []))
            with _one_thread(sitk):
                found = target.register(sitk, values, starts)
            if found is not None:
                last[n], registered[n, index] = found, True
                transforms[n, index] = to_ras @ target.matrix(sitk, found) @ np.linalg.inv(to_ras)

    if not registered[0, baseline_frames:].any():
        raise InputError(
            "motion could not be estimated in any frame after contrast; look at the series around the regions, or "
            "choose --motion none"
        )
    displacement_mm: dict[str, FloatArray] = {}
    largest_mm: dict[str, FloatArray] = {}
    for name, mask in {**regions, rois.input_name: rois.input}.items():
        n = bodies.index(name, 1) if name in bodies[1:] else 0
        at = np.argwhere(mask)[:, ::-1] @ series.ijk_to_ras[:3, :3].T + series.ijk_to_ras[:3, 3]
        for found_mm, points in ((displacement_mm, at.mean(axis=0, keepdims=True)), (largest_mm, at)):
            found_mm[name] = np.where(registered[n], _displacement_mm(transforms[n], points), np.nan)
    return Motion(
        np.asarray(series.times_s, dtype=float),
        series.ijk_to_ras,
        bodies,
        body,
        transforms,
        registered,
        displacement_mm,
        largest_mm,
    )


def _mean(series: DynamicSeries, count: int) -> FloatArray:
    """The mean of the first frames, voxel by voxel of those that are finite; NaN where none is."""
    total, finite = np.zeros(series.shape), np.zeros(series.shape)
    for frame in series.frames[:count]:
        values = np.asarray(frame, dtype=float)
        known = np.isfinite(values)
        total += np.where(known, values, 0.0)
        finite += known
    return np.divide(total, finite, out=np.full(series.shape, np.nan), where=finite > 0)


def simpleitk() -> Any:
    """The package SimpleITK.

    Raises
    ------
    InputError
        when it is not installed.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise InputError(
            "motion correction needs SimpleITK, which 3D Slicer bundles; install it with pip, or choose --motion none"
        ) from error
    return SimpleITK


@contextlib.contextmanager
def _one_thread(sitk: Any) -> Iterator[None]:
    """Sums in a fixed order, the same to the last bit; the metric heeds only the number of the whole process."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _displacement_mm(transforms: FloatArray, at: FloatArray) -> FloatArray:
    """Largest displacement of some points, per transform."""
    moved = [at @ matrix[:3, :3].T + matrix[:3, 3] - at for matrix in transforms]
    return np.array([np.linalg.norm(by, axis=1).max() for by in moved])


_Box = tuple[slice, slice, slice]
_Parameters = tuple[float, ...]
"""Three angles and three translations in mm, of SimpleITK's Euler3DTransform."""
_STILL: _Parameters = (0.0,) * 6


@dataclass(frozen=True)
class _Target:
    """What one body is registered to: the image before contrast around it, in mm along i, j and k.

    Voxels that are not finite, before contrast or in a frame, have no part in the registration.
    """

    fixed: tuple[Any, ...]
    mask: Any
    box: _Box
    spacing_mm: tuple[float, float, float]
    center_mm: FloatArray
    corners_mm: FloatArray
    scales: list[float]
    sampling: float
    in_plane: bool

    @classmethod
    def of(
        cls,
        sitk: Any,
        before: FloatArray,
        region: npt.NDArray[np.bool_],
        spacing_mm: tuple[float, float, float],
        around_mm: float,
    ) -> _Target:
        near = _box(region, around_mm, spacing_mm)
        mask = ndimage.distance_transform_edt(~region[near], sampling=spacing_mm) <= around_mm
        mask &= np.isfinite(before[near])
        if not mask.any():
            raise InputError("the series has no finite value before contrast around a region; choose --motion none")
        start = [s.start for s in near]
        at = ((np.argwhere(mask) + start) * spacing_mm)[:, ::-1]
        center = at.mean(axis=0)
        square = ((at - center) ** 2).mean(axis=0)
        around = _box(region, around_mm + _SEARCH_MM, spacing_mm)
        inner = tuple(slice(n.start - a.start, n.stop - a.start) for n, a in zip(near, around, strict=True))
        return cls(
            fixed=tuple(
                _image(sitk, _smoothed(before[around], level[0], spacing_mm)[inner], near, spacing_mm)
                for level in _LEVELS_MM
            ),
            mask=_image(sitk, mask.astype(np.uint8), near, spacing_mm),
            box=around,
            spacing_mm=spacing_mm,
            center_mm=center,
            corners_mm=np.array([at.min(axis=0), at.max(axis=0)]),
            scales=[max(float(square.sum() - own), 1.0) for own in square] + [1.0] * 3,
            sampling=min(1.0, _SAMPLES / len(at)),
            in_plane=before.shape[0] < _FEW_SLICES,
        )

    def following(self, sitk: Any, other: _Target, parameters: _Parameters) -> _Parameters:
        """The transform of another body, about the center of this one."""
        matrix = other.matrix(sitk, parameters)
        shift = matrix[:3, :3] @ self.center_mm + matrix[:3, 3] - self.center_mm
        return (*parameters[:3], *shift.tolist())

    def register(
        self, sitk: Any, frame: npt.NDArray[np.generic], starts: tuple[_Parameters, ...]
    ) -> _Parameters | None:
        """The transform to a frame, sought from the best of several; None when none was found."""
        values = frame[self.box].astype(float)
        known = np.isfinite(values)
        if not known.any():
            return None
        mask = None if known.all() else _image(sitk, known.astype(np.uint8), self.box, self.spacing_mm)
        coarse, fine = (
            (image, _image(sitk, _smoothed(values, level[0], self.spacing_mm), self.box, self.spacing_mm), mask)
            for image, level in zip(self.fixed, _LEVELS_MM, strict=True)
        )
        try:
            start = max(starts, key=lambda parameters: self._similarity(sitk, coarse, parameters))
            found = self._climb(sitk, coarse, start, *_LEVELS_MM[0][1:])
            found = self._climb(sitk, fine, found, *_LEVELS_MM[1][1:])
            # not on the fine images: there the grid itself, which both share, speaks for no motion
            still = self._similarity(sitk, coarse, _STILL)
            plausible = self._similarity(sitk, coarse, found) >= _AS_GOOD_AS_STILL * still
        except RuntimeError:  # SimpleITK's only exception: no overlap, no contrast
            return None
        matrix = self.matrix(sitk, found)
        shift_mm = np.linalg.norm(self.corners_mm @ matrix[:3, :3].T + matrix[:3, 3] - self.corners_mm, axis=1).max()
        return found if plausible and shift_mm <= _SEARCH_MM else None

    def matrix(self, sitk: Any, parameters: _Parameters) -> FloatArray:
        """(4, 4) of a transform, in mm along i, j and k."""
        transform = self._transform(sitk, parameters)
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
        matrix[:3, 3] = self.center_mm + transform.GetTranslation() - matrix[:3, :3] @ self.center_mm
        return matrix

    def _transform(self, sitk: Any, parameters: _Parameters) -> Any:
        transform = sitk.Euler3DTransform()
        transform.SetCenter(self.center_mm.tolist())
        transform.SetParameters(parameters)
        return transform

    def _climb(
        self, sitk: Any, images: tuple[Any, Any, Any], start: _Parameters, first_mm: float, last_mm: float
    ) -> _Parameters:
        """The transform of greatest mutual information near a first one."""
        transform = self._transform(sitk, start)
        method = self._method(sitk, images[2], first_mm, last_mm)
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(*images[:2])
        return tuple(transform.GetParameters())

    def _similarity(self, sitk: Any, images: tuple[Any, Any, Any], parameters: _Parameters) -> float:
        """Mutual information at a transform."""
        method = self._method(sitk, images[2])
        method.SetInitialTransform(self._transform(sitk, parameters), inPlace=True)
        return -float(method.MetricEvaluate(*images[:2]))

    def _method(self, sitk: Any, moving_mask: Any, first_mm: float = 1.0, last_mm: float = 1.0) -> Any:
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricFixedMask(self.mask)
        if moving_mask is not None:
            method.SetMetricMovingMask(moving_mask)
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(self.sampling, _SEED)
        # the gradient filters need 4 voxels along each axis
        method.SetMetricUseFixedImageGradientFilter(False)
        method.SetMetricUseMovingImageGradientFilter(False)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(first_mm, last_mm, _ITERATIONS, gradientMagnitudeTolerance=1e-8)
        method.SetOptimizerScales(self.scales)
        if self.in_plane:
            method.SetOptimizerWeights([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
        return method


def _box(mask: npt.NDArray[np.bool_], around_mm: float, spacing_mm: tuple[float, float, float]) -> _Box:
    """The box around a mask, within the grid."""
    found = ndimage.find_objects(mask.astype(np.uint8))[0]
    k, j, i = (
        slice(max(0, s.start - int(np.ceil(around_mm / mm))), min(size, s.stop + int(np.ceil(around_mm / mm))))
        for s, mm, size in zip(found, spacing_mm, mask.shape, strict=True)
    )
    return k, j, i


def _smoothed(values: FloatArray, smoothing_mm: float, spacing_mm: tuple[float, float, float]) -> FloatArray:
    """Smoothed, and without the brightest and darkest: a full artery would leave marrow few bins of the histogram.

    Values that are not finite have no weight, and are filled from around them, or where none is near with the mean.
    """

    def blurred(of: FloatArray) -> FloatArray:
        return ndimage.gaussian_filter(of, [smoothing_mm / mm for mm in spacing_mm], mode="nearest", truncate=3.0)

    known = np.isfinite(values)
    if known.all():
        smooth = blurred(values)
    else:
        weight = blurred(known.astype(float))
        smooth = np.full_like(values, values[known].mean())
        np.divide(blurred(np.where(known, values, 0.0)), weight, out=smooth, where=weight > _LEAST_WEIGHT)
    return np.clip(smooth, *np.percentile(smooth[known], _CLIP_PERCENT))


def _image(sitk: Any, values: npt.NDArray[Any], box: _Box, spacing_mm: tuple[float, float, float]) -> Any:
    """An image in mm along i, j and k, whatever the orientation of the series."""
    image = sitk.GetImageFromArray(values if values.dtype == np.uint8 else values.astype(np.float32))
    image.SetSpacing(spacing_mm[::-1])
    image.SetOrigin([s.start * mm for s, mm in zip(box, spacing_mm, strict=True)][::-1])
    return image
