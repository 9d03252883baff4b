"""A dynamic series and the maps that belong to it, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .errors import InputError
from .times import TimeChoice

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[float, str], bool]
"""Called with the fraction done and what is being done; a return of False cancels."""


def part_of(progress: Progress | None, start: float, end: float) -> Progress:
    """Progress of a part of the work, told as that of the whole.

    Parameters
    ----------
    progress : of the whole; None where nobody asks.
    start, end : fractions of the whole, 0 to 1, at which the part starts and ends.

    Returns
    -------
    Progress of the part; without `progress`, one that never cancels.
    """
    if progress is None:
        return lambda fraction, message: True
    return lambda fraction, message: progress(start + (end - start) * fraction, message)


_SAME_GRID = 1e-3  # of a voxel
_KNOWN_WEIGHT = 0.999


@dataclass(frozen=True)
class Sourced:
    """A value and where it came from.

    Attributes
    ----------
    value : in the unit that the name it is kept under says.
    source : user, assumption with its citation, or DICOM tag, as a phrase.
    """

    value: float | str
    source: str


@dataclass(frozen=True)
class DynamicSeries:
    """A dynamic series on one grid.

    Attributes
    ----------
    frames : one (K, J, I) array per time point; any sequence, so frames may be read when asked for.
    times_s : (n_frames,) seconds from the first frame, increasing.
    ijk_to_ras : (4, 4) voxel index (i, j, k) to patient coordinates in mm, Slicer's RAS convention.
    acquisition : what is known of the acquisition, by the names in `settings.AcquisitionSettings` and
        `echo_time_ms`, `manufacturer`; what is not known is absent.
    time_source : which tag or unit the times come from, as a phrase.
    times_rejected : other candidates for the time axis, each with the reason against it.
    time_choices : the times that the user may choose among, in the order of trust.
    times_doubtful : whether the user should look at them.
    warnings : sentences for the user.
    source_hash : SHA-256 over the source files; empty when there were none.
    identifiers : whom the source files are of; leaves this object only when asked for.
    patient : what the source files say of `sex` (female, male), `age_years` and `weight_kg`; what is not known is
        absent.
    source_files : how many there were.
    skipped_frames : how many frames of the source were left out before the first.
    passed_over : files of the source that may have been images, and why they were not used, as sentences with their
        names; leaves this object only for the eyes of the user.
    slice_offsets_s : (K,) how much later than the first each slice is acquired; None where all are at once or it is
        not known.
    """

    frames: Sequence[npt.NDArray[np.generic]]
    times_s: FloatArray
    ijk_to_ras: FloatArray
    acquisition: Mapping[str, Sourced] = field(default_factory=dict)
    time_source: str = ""
    times_rejected: tuple[str, ...] = ()
    time_choices: tuple[TimeChoice, ...] = ()
    times_doubtful: bool = False
    warnings: tuple[str, ...] = ()
    source_hash: str = ""
    source_files: int = 0
    skipped_frames: int = 0
    passed_over: tuple[str, ...] = field(default=(), repr=False)
    slice_offsets_s: FloatArray | None = None
    identifiers: Mapping[str, str] = field(default_factory=dict, repr=False)
    patient: Mapping[str, Sourced] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along K, J and I."""
        k, j, i = self.frames[0].shape
        return k, j, i

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along K, J and I.

        Raises
        ------
        InputError
            when the axes are not orthogonal, since distances in mm would then be wrong.
        """
        axes = self.ijk_to_ras[:3, :3]
        lengths = np.linalg.norm(axes, axis=0)
        cosines = (axes / lengths).T @ (axes / lengths) - np.eye(3)
        if np.abs(cosines).max() > 1e-3:
            raise InputError(
                "the axes of the series are not orthogonal (sheared or tilted slices), so distances in mm are not "
                "defined on its grid; resample it first"
            )
        return float(lengths[2]), float(lengths[1]), float(lengths[0])

    def apart(self, to: str = "to") -> str:
        """How far the frames are apart.

        Parameters
        ----------
        to : the word between the shortest and the longest step.

        Returns
        -------
        `3 s`, or `3 to 21 s` where that varies; blank for one frame.
        """
        if len(self.times_s) < 2:
            return ""
        steps = np.diff(self.times_s)
        if steps.max() - steps.min() > 0.01 * np.median(steps):
            return f"{steps.min():.4g} {to} {steps.max():.4g} s"
        return f"{np.median(steps):.4g} s"

    def describe(self) -> str:
        """What was understood, in one line."""
        parts = [f"{len(self.frames)} frames of {'x'.join(str(n) for n in self.shape[::-1])} voxels"]
        if apart := self.apart():
            parts.append(f"{apart} apart ({self.time_source})")
        for name, label, unit in (
            ("repetition_time_ms", "TR", "ms"),
            ("echo_time_ms", "TE", "ms"),
            ("flip_angle_deg", "flip angle", "degrees"),
            ("field_strength_T", "field", "T"),
        ):
            if name in self.acquisition:
                parts.append(f"{label} {self.acquisition[name].value:g} {unit}")
        parts += [str(self.acquisition[name].value) for name in ("agent", "manufacturer") if name in self.acquisition]
        return ", ".join(parts)


@dataclass(frozen=True)
class FlipAngleSeries:
    """Volumes of one place at several flip angles, from which T1 is mapped.

    Attributes
    ----------
    frames : one (K, J, I) array per flip angle; any sequence, so they may be read when asked for.
    flip_angles_deg : (n_angles,) increasing.
    repetition_time_ms : of all.
    ijk_to_ras : (4, 4) voxel index (i, j, k) to patient coordinates in mm, Slicer's RAS convention.
    source_hash : SHA-256 over the source files; empty when there were none.
    source_files : how many there were.
    warnings : sentences for the user.
    """

    frames: Sequence[npt.NDArray[np.generic]]
    flip_angles_deg: FloatArray
    repetition_time_ms: float
    ijk_to_ras: FloatArray
    source_hash: str = ""
    source_files: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def volumes(self) -> npt.NDArray[np.generic]:
        """All volumes, (n_angles, K, J, I); stacked when asked for."""
        return np.stack([self.frames[n] for n in range(len(self.frames))])


@dataclass(frozen=True)
class TissueMaps:
    """What was mapped of the tissue before contrast, on the grid of the series, (K, J, I) each; None where it was not.

    Attributes
    ----------
    t1_ms : T1; that of the water where there is a fat fraction.
    b1 : actual over nominal flip angle.
    fat_fraction : share of the protons, 0 to 1.
    flip_angles_deg : from which T1 was mapped; empty where it was given as a map.
    """

    t1_ms: FloatArray | None = None
    b1: FloatArray | None = None
    fat_fraction: FloatArray | None = None
    flip_angles_deg: tuple[float, ...] = ()


def map_on_grid_of(
    series: DynamicSeries,
    values: npt.NDArray[np.generic],
    ijk_to_ras: npt.NDArray[np.floating],
    between: tuple[float, float],
    name: str,
) -> FloatArray:
    """As `on_grid_of`, for a map that must have a value there.

    Parameters
    ----------
    series, values, ijk_to_ras, between : as for `on_grid_of`.
    name : of the map, for the message.

    Returns
    -------
    (K, J, I) of the series, in the unit of the map.

    Raises
    ------
    InputError
        when no value counts inside the series.
    """
    on_grid = on_grid_of(series, values, ijk_to_ras, between)
    if not np.isfinite(on_grid).any():
        low, high = between
        grid = np.asarray(values, dtype=float)
        in_s = low >= 1.0 and ((grid >= low / 1000.0) & (grid < low)).any()  # of T1 in ms alone
        hint = "; is it in s instead of ms?" if in_s else ""
        raise InputError(f"the map {name} has no value between {low:g} and {high:g} inside the series{hint}")
    return on_grid


def on_grid_of(
    series: DynamicSeries,
    values: npt.NDArray[np.generic],
    ijk_to_ras: npt.NDArray[np.floating],
    between: tuple[float, float],
) -> FloatArray:
    """A map on the grid of a series, linear between its voxels; NaN where it has no value.

    It reaches as far as the boxes of its voxels.

    Parameters
    ----------
    series : whose grid it is.
    values : (K, J, I) of the map, any unit.
    ijk_to_ras : (4, 4) voxel index to RAS of the map, mm.
    between : the smallest and the largest value; what lies beyond is no value, and nothing is interpolated from it.

    Returns
    -------
    (K, J, I) of the series, in the unit of the map.
    """
    grid = np.asarray(values, dtype=float)
    known = (grid >= between[0]) & (grid <= between[1])
    to_map = np.linalg.inv(ijk_to_ras) @ series.ijk_to_ras
    if grid.shape == series.shape and np.abs(to_map - np.eye(4)).max() < _SAME_GRID:
        return np.where(known, grid, np.nan)
    # array axes are k, j, i
    matrix, offset = to_map[2::-1, 2::-1], to_map[2::-1, 3]
    value, weight = (
        ndimage.affine_transform(of, matrix, offset, series.shape, order=1, mode="nearest", prefilter=False)
        for of in (np.where(known, grid, 0.0), known.astype(float))
    )
    inside = weight > _KNOWN_WEIGHT
    k, j, i = np.ogrid[tuple(slice(size) for size in series.shape)]
    for row, start, size in zip(matrix, offset, grid.shape, strict=True):
        at = row[0] * k + row[1] * j + row[2] * i + start
        inside &= (at > -0.5 - _SAME_GRID) & (at < size - 0.5 + _SAME_GRID)
    return np.where(inside, value / np.maximum(weight, _KNOWN_WEIGHT), np.nan)
