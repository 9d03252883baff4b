"""The files of a folder in groups: one per series, the phases of one acquisition joined; and the grid of a group."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import Cancelled, InputError
from ..series import Progress
from ..tables import one_line
from .frames import LPS_TO_RAS, FloatArray, Frame, clock_s
from .headers import ImageFile, PassedOver, Values, read_file

_SAME_SLICE_MM = 0.1
_SAME_NUMBER = 1e-3
_UNEVEN = 0.02
_TILTED = 1e-3  # what `DynamicSeries.spacing_mm` accepts
_NAMED_FILES = 3
LEAST_FRAMES = 3
_HALF_DAY_S = 86400.0 / 2

GEOMETRY = (("Rows", 1), ("Columns", 1), ("PixelSpacing", 2), ("ImageOrientationPatient", 6))
CONTRAST = (("RepetitionTime", 1), ("EchoTime", 1), ("FlipAngle", 1))


@dataclass
class Group:
    """The images that are read as one series.

    Attributes
    ----------
    uids, numbers : of the series it is made of; more than one where the phases of an acquisition were joined.
    files : used once each.
    damaged : files that belong to it and cannot be used.
    conflict : why its files contradict each other; empty when they do not.
    notes : sentences for the user.
    """

    uids: list[str]
    numbers: list[str]
    files: list[ImageFile] = field(default_factory=list)
    damaged: list[PassedOver] = field(default_factory=list)
    conflict: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def frames(self) -> list[Frame]:
        """All images, in the order of the files."""
        return [Frame(file, n) for file in self.files for n in range(len(file.values))]

    @property
    def number(self) -> str:
        """Series number of the first series."""
        return self.numbers[0]

    @property
    def description(self) -> str:
        """Series description of the first series, in one line."""
        values = self.files[0].values[0] if self.files else self.damaged[0].values
        return one_line(str((values or {}).get("SeriesDescription", "")))


@dataclass
class Study:
    """What a folder holds.

    Attributes
    ----------
    groups : in the order of their numbers.
    passed_over : files that belong to no group.
    """

    groups: list[Group]
    passed_over: list[PassedOver]
    looked_at: int


def read_folder(folder: Path, progress: Progress | None = None, keep_pixels: bool = True) -> Study:
    """All MR images below a folder, in groups.

    Parameters
    ----------
    folder : is searched through.
    progress : called with the fraction done and what is being done; a return of False cancels.
    keep_pixels : whether the pixels will be needed.

    Raises
    ------
    InputError
        when it is no folder, or a file cannot be listed.
    Cancelled
        when `progress` asks for it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    groups: dict[str, Group] = {}
    passed_over: list[PassedOver] = []
    seen: dict[tuple[str, str], ImageFile] = {}
    copies: Counter[str] = Counter()
    for index, path in enumerate(paths):
        if progress and index % 64 == 0 and not progress(index / len(paths), "Reading DICOM files"):
            raise Cancelled
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's remarks on odd files quote their headers
            found = read_file(path, keep_pixels)
        values = (found.values or {}) if isinstance(found, PassedOver) else found.values[0]
        uid = str(values.get("SeriesInstanceUID", ""))
        if isinstance(found, PassedOver) and not (found.damaged and uid):
            passed_over.append(found)
            continue
        group = groups.setdefault(uid, Group([uid], [_number_of(values)]))
        if isinstance(found, PassedOver):
            group.damaged.append(found)
            continue
        key = (uid, str(values.get("SOPInstanceUID", "")) or found.sha256)
        twin = seen.setdefault(key, found)
        if twin is found:
            group.files.append(found)
        elif twin.sha256 == found.sha256:
            copies[uid] += 1
            passed_over.append(PassedOver(found.name, "a copy of another file"))
        else:
            group.conflict = group.conflict or (
                f"{one_line(twin.name)} and {one_line(found.name)} have the same SOPInstanceUID (0008,0018) but "
                "differ; keep only the right one"
            )
    for uid, count in copies.items():
        groups[uid].notes.append(f"{count} file{'s are copies' if count > 1 else ' is a copy'} of others; used once")
    for uid in [uid for uid, group in groups.items() if not group.files]:
        passed_over += groups.pop(uid).damaged
    ordered = sorted(_joined(list(groups.values())), key=lambda g: (_natural(g.number), g.description, g.uids[0]))
    return Study(ordered, passed_over, len(paths))


def _number_of(values: Values) -> str:
    number = values.get("SeriesNumber", ())
    return number if isinstance(number, str) else f"{number[0]:g}" if number else "?"


def _natural(number: str) -> tuple[float, str]:
    try:
        return float(number), number
    except ValueError:
        return float("inf"), number


def reasons(passed_over: Sequence[PassedOver]) -> tuple[str, ...]:
    """Why files are passed over, one sentence per reason, with the base names of the first files."""
    by_reason: dict[str, list[str]] = {}
    for file in passed_over:
        by_reason.setdefault(file.reason, []).append(one_line(file.name))
    return tuple(
        f"{len(names)} file{'s' if len(names) > 1 else ''} {reason}: {', '.join(names[:_NAMED_FILES])}"
        f"{', ...' if len(names) > _NAMED_FILES else ''}"
        for reason, names in by_reason.items()
    )


# The grid -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Where the images of a group are.

    Attributes
    ----------
    positions : (K, 3) of the slices in LPS mm, in order.
    slice_of : for each image the slice it belongs to.
    ijk_to_ras : (4, 4).
    """

    positions: FloatArray
    slice_of: npt.NDArray[np.intp]
    ijk_to_ras: FloatArray

    @property
    def counts(self) -> npt.NDArray[np.intp]:
        """Images per slice."""
        return np.bincount(self.slice_of, minlength=len(self.positions))

    def same_as(self, other: Grid) -> bool:
        """Whether the voxels of both lie within 0.1 mm of each other."""
        return len(self.positions) == len(other.positions) and bool(
            np.abs(self.positions - other.positions).max() < _SAME_SLICE_MM
            and np.abs(self.ijk_to_ras - other.ijk_to_ras)[:3, :2].max() < _SAME_NUMBER
        )


def grid_of(frames: Sequence[Frame]) -> Grid:
    """The grid that images share.

    Raises
    ------
    InputError
        naming the images that differ, the slices that are not evenly spaced, or the tilt.
    """
    check_uniform(frames, GEOMETRY)
    first = frames[0]
    orientation = first.required("ImageOrientationPatient", 6)
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(orientation[:3] @ orientation[3:]) > 0.01:
        raise InputError(f"{first.named}: ImageOrientationPatient (0020,0037) holds no unit vectors at right angles")
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.array([frame.required("ImagePositionPatient", 3) for frame in frames])
    along = positions @ normal
    by_position = np.argsort(along, kind="stable")
    begins = np.concatenate(([True], np.diff(along[by_position]) > _SAME_SLICE_MM))
    slice_of = np.empty(len(frames), dtype=np.intp)
    slice_of[by_position] = np.cumsum(begins) - 1
    of_slice = positions[by_position[begins]]
    _check_spacing(of_slice, normal)
    beside = np.linalg.norm(np.cross(positions - of_slice[slice_of], normal), axis=1)
    if beside.max() > _SAME_SLICE_MM:
        odd = int(beside.argmax())
        raise InputError(
            f"{frames[odd].named} lies {beside[odd]:.3g} mm beside the others of its slice; choose files of one "
            "acquisition"
        )
    return Grid(of_slice, slice_of, _ijk_to_ras(first, orientation, of_slice))


def _check_spacing(of_slice: FloatArray, normal: FloatArray) -> None:
    steps = np.diff(of_slice @ normal)
    if steps.size > 1 and steps.max() - steps.min() > _UNEVEN * np.median(steps):
        widest = int(np.argmax(np.abs(steps - np.median(steps))))
        raise InputError(
            f"the slices are not evenly spaced: {steps[widest]:g} mm between slices {widest + 1} and {widest + 2} (at "
            f"{point(of_slice[widest])} and {point(of_slice[widest + 1])} mm), {np.median(steps):g} mm elsewhere; a "
            "slice may be missing"
        )
    if steps.size:
        whole = of_slice[-1] - of_slice[0]
        shear = float(np.linalg.norm(np.cross(whole, normal)))
        if shear > max(_TILTED * float(whole @ normal), _SAME_SLICE_MM / 2):
            raise InputError(
                f"the slices are sheared: the last lies {shear:.3g} mm beside the first (a tilted stack); resample the "
                "series first"
            )


def _ijk_to_ras(first: Frame, orientation: FloatArray, positions: FloatArray) -> FloatArray:
    """Voxel index (i, j, k) to RAS, from the positions of first and last slice (DICOM PS3.3 C.7.6.2.1.1)."""
    row_mm, column_mm = first.required("PixelSpacing", 2)
    matrix: FloatArray = np.eye(4)
    matrix[:3, 0] = orientation[:3] * column_mm
    matrix[:3, 1] = orientation[3:] * row_mm
    if len(positions) > 1:
        matrix[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    else:
        thickness = first.number("SpacingBetweenSlices") or first.number("SliceThickness") or 1.0
        matrix[:3, 2] = np.cross(orientation[:3], orientation[3:]) * thickness
    matrix[:3, 3] = positions[0]
    if min(row_mm, column_mm) <= 0 or not abs(np.linalg.det(matrix)) > 1e-6:
        raise InputError(f"{first.named}: PixelSpacing and ImageOrientationPatient do not span a grid")
    return np.asarray(LPS_TO_RAS @ matrix)


def check_uniform(frames: Sequence[Frame], keywords: Sequence[tuple[str, int]]) -> None:
    """Raise InputError, naming two images, unless a number is the same in all."""
    for keyword, count in keywords:
        same = frames[0].values.get(keyword, ())
        first = frames[0].numbers(keyword, count)
        for frame in frames:
            if frame.values.get(keyword, ()) == same:
                continue
            other = frame.numbers(keyword, count)
            if len(other) != len(first) or np.abs(np.subtract(other, first)).max(initial=0.0) > _SAME_NUMBER:
                raise InputError(
                    f"the series mixes images of different {keyword}: {_spelled(first)} in {frames[0].named}, "
                    f"{_spelled(other)} in {frame.named}; choose files of one acquisition"
                )


def _spelled(values: Sequence[float]) -> str:
    return "\\".join(f"{value:g}" for value in values) or "none"


def point(position: FloatArray) -> str:
    """A position as messages spell it."""
    return "(" + ", ".join(f"{value:.1f}" for value in position) + ")"


# Phases in series of their own ----------------------------------------------------------------------------------------


@dataclass
class _Phase:
    """A series that may be one phase of an acquisition."""

    group: Group
    first: Frame
    grid: Grid
    key: tuple[str, ...]
    numbers: FloatArray

    @classmethod
    def of(cls, group: Group) -> _Phase | None:
        frames = group.frames
        if group.damaged or group.conflict or not frames:
            return None
        try:
            grid = grid_of(frames)
            check_uniform(frames, CONTRAST)
            numbers = [frames[0].number(keyword) for keyword, _ in CONTRAST]
        except InputError:
            return None  # said when the series is looked at
        if grid.counts.max() > 1:
            return None
        first = frames[0]
        name = first.text("ProtocolName") or first.text("SeriesDescription")
        key = (first.text("StudyInstanceUID"), _stem(name), first.text("ImageType").upper())
        known: FloatArray = np.array([np.nan if number is None else number for number in numbers])
        return cls(group, first, grid, key, known)

    def belongs_to(self, other: _Phase) -> bool:
        alike = np.isclose(self.numbers, other.numbers, rtol=0, atol=_SAME_NUMBER, equal_nan=True).all()
        layouts = (self.first.file.layout, other.first.file.layout)
        same_size = layouts[0].rows == layouts[1].rows and layouts[0].columns == layouts[1].columns
        return self.key == other.key and bool(alike) and same_size and self.grid.same_as(other.grid)


def _stem(name: str) -> str:
    """A description without its numbers, so that phases of one acquisition are called the same."""
    return re.sub(r"\d+(?:\.\d+)?", "#", one_line(name).lower())


def _joined(groups: list[Group]) -> list[Group]:
    """The groups, with the phases of one acquisition in one group, in the order of their times."""
    families: list[list[_Phase]] = []
    left = []
    for group in groups:
        phase = _Phase.of(group) if group.uids[0] else None
        if phase is None:
            left.append(group)
            continue
        family = next((known for known in families if phase.belongs_to(known[0])), None)
        if family is None:
            families.append([phase])
        else:
            family.append(phase)
    for family in families:
        ordered = sorted(family, key=lambda phase: (_natural(phase.group.number), _acquired_s(phase.first)))
        if len(ordered) < LEAST_FRAMES or not _in_time(ordered):
            left += [phase.group for phase in family]
            continue
        members = [phase.group for phase in ordered]
        left.append(
            Group(
                uids=[group.uids[0] for group in members],
                numbers=[group.number for group in members],
                files=[file for group in members for file in group.files],
                notes=[
                    f"{len(members)} series of one acquisition were joined: numbers {members[0].number} to "
                    f"{members[-1].number}",
                    *(note for group in members for note in group.notes),
                ],
            )
        )
    return left


def _acquired_s(frame: Frame) -> float:
    """Seconds of the acquisition, to tell series of one number apart; 0 where they are not known."""
    try:
        seconds, day, _ = clock_s(frame, "AcquisitionDate", "AcquisitionTime")
    except InputError:
        return 0.0
    known = seconds if np.isnan(day) else seconds + day * 86400.0
    return 0.0 if np.isnan(known) else known


def _in_time(phases: list[_Phase]) -> bool:
    """Whether a clock or the trigger time increases from series to series."""
    for keyword in ("Acquisition", "Content", "Series"):
        seconds = []
        for phase in phases:
            try:
                clock, day, _ = clock_s(phase.first, f"{keyword}Date", f"{keyword}Time")
            except InputError:
                break
            seconds.append(clock + (0.0 if np.isnan(day) else day * 86400.0))
        steps = np.diff(seconds)
        steps[steps < -_HALF_DAY_S] += 86400.0  # past midnight
        if len(seconds) == len(phases) and (steps > 0).all():
            return True
    try:
        triggers = [phase.first.number("TriggerTime") for phase in phases]
    except InputError:
        return False
    known: FloatArray = np.array([np.nan if trigger is None else trigger for trigger in triggers])
    return bool((np.diff(known) > 0).all())
