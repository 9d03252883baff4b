"""What each series of a study is: the dynamic series, flip angles, a T1 map, a fat fraction, or something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..series import Progress
from ..tables import Column, Table
from .clocks import arrange, time_axis
from .frames import Frame
from .grouping import CONTRAST, LEAST_FRAMES, Grid, Group, check_uniform, grid_of, read_folder, reasons
from .kinds import Kind, derived, mapped

_LARGEST_ANGLE_DEG = 60.0
_LONGEST_TR_MS = 200.0


@dataclass(frozen=True)
class Survey:
    """What a group of images is, as far as their headers tell.

    Attributes
    ----------
    unfit : whether the images, as far as they can be told, are no frames of a dynamic series.
    """

    group: Group
    frames: list[Frame]
    kind: Kind
    why: str
    n_frames: int = 0
    grid: Grid | None = None
    unfit: bool = False


def without_localizer(frames: list[Frame]) -> tuple[list[Frame], str]:
    """The images without the localizers among them, and a sentence when there were some."""
    others = [frame for frame in frames if not frame.is_localizer]
    if not others or len(others) == len(frames):
        return frames, ""
    return others, f"{len(frames) - len(others)} localizer images of the series are passed over"


def survey(group: Group) -> Survey:
    """Tell what a group of images is."""
    frames, _ = without_localizer(group.frames)
    if group.conflict:
        return Survey(group, frames, "other", group.conflict, _usual_count(frames))
    if why := derived(frames[0], group.description):
        return Survey(group, frames, "other", why, unfit=True)
    if any(
        frame.file.layout.samples > 1 or frame.file.layout.photometric.upper() == "PALETTE COLOR" for frame in frames
    ):
        return Survey(group, frames, "other", "color images")
    if any(len(frame.file.pixels) > 1 and not frame.file.multiframe for frame in frames):
        return Survey(group, frames, "other", "several frames in a file that tells the place of one")
    if not any(frame.values.get("ImagePositionPatient") for frame in frames):
        return Survey(group, frames, "other", "images without a position")
    try:
        grid = grid_of(frames)
    except InputError as error:
        return Survey(group, frames, "other", f"no single grid: {error}")
    n_frames = _most_frequent(grid)
    kind = mapped(frames[0], group.description)
    if kind and n_frames == 1:
        return Survey(group, frames, kind, "by description or ImageType", 1, grid, unfit=True)
    if len({frame.text("DiffusionBValue") for frame in frames}) > 1:
        return Survey(group, frames, "other", "several b-values", n_frames, grid, unfit=True)
    try:
        varied = [keyword for keyword, _ in CONTRAST if len({frame.number(keyword) for frame in frames}) > 1]
        angles = sorted({frame.number("FlipAngle") or 0.0 for frame in frames})
        if varied == ["FlipAngle"] and n_frames == len(angles):
            why = f"{n_frames} flip angles at one TR: {', '.join(f'{angle:g}' for angle in angles)} degrees"
            return Survey(group, frames, "flip angles", why, n_frames, grid)
        check_uniform(frames, CONTRAST)
    except InputError as error:
        return Survey(group, frames, "other", str(error), n_frames, grid)
    if n_frames < LEAST_FRAMES:
        why = "one frame" if n_frames == 1 else f"{n_frames} frames; a dynamic series has at least {LEAST_FRAMES}"
        return Survey(group, frames, "other", why, n_frames, grid)
    why = f"{n_frames} frames of one place and contrast"
    if len(group.uids) > 1:
        why = f"{len(group.uids)} series of one place and contrast, numbers {group.span}"
    return Survey(group, frames, "dynamic", why, n_frames, grid)


def _most_frequent(grid: Grid) -> int:
    values, times = np.unique(grid.counts, return_counts=True)
    return int(values[times == times.max()].max())


def _usual_count(frames: Sequence[Frame]) -> int:
    """Images of most slices, 0 where they have no grid."""
    try:
        return _most_frequent(grid_of(frames))
    except InputError:
        return 0


def survey_all(groups: Sequence[Group]) -> list[Survey]:
    """Tell what every group is; single volumes that differ in flip angle alone are flip angles together."""
    found = [survey(group) for group in groups]
    families: list[list[int]] = []
    for n, item in enumerate(found):
        if not _may_be_an_angle(item):
            continue
        for family in families:
            if _only_angle_differs(found[family[0]], item):
                family.append(n)
                break
        else:
            families.append([n])
    for family in families:
        angles = sorted({found[n].frames[0].number("FlipAngle") or 0.0 for n in family})
        if len(angles) > 1:
            listed = ", ".join(f"{angle:g}" for angle in angles)
            for n in family:
                item = found[n]
                own = item.frames[0].number("FlipAngle")
                why = f"{own:g} degrees, one of {listed} at one TR and place"
                found[n] = Survey(item.group, item.frames, "flip angles", why, 1, item.grid)
    return found


def _may_be_an_angle(item: Survey) -> bool:
    if item.kind != "other" or item.n_frames != 1 or item.grid is None or item.grid.counts.max() != 1:
        return False
    first = item.frames[0]
    try:
        angle, repetition_time, _ = (first.number(keyword) for keyword in ("FlipAngle", "RepetitionTime", "EchoTime"))
    except InputError:
        return False
    spin_echo = "SE" in first.text("ScanningSequence").upper().split("\\")
    short = repetition_time is not None and 0 < repetition_time <= _LONGEST_TR_MS
    return angle is not None and 0 < angle <= _LARGEST_ANGLE_DEG and short and not spin_echo


def _only_angle_differs(one: Survey, other: Survey) -> bool:
    assert one.grid is not None and other.grid is not None
    a, b = one.frames[0], other.frames[0]
    return (
        a.file.layout.rows == b.file.layout.rows
        and a.file.layout.columns == b.file.layout.columns
        and a.text("StudyInstanceUID") == b.text("StudyInstanceUID")
        and a.content == b.content
        and abs((a.number("RepetitionTime") or 0.0) - (b.number("RepetitionTime") or 0.0)) < 1e-3
        and abs((a.number("EchoTime") or 0.0) - (b.number("EchoTime") or 0.0)) < 1e-3
        and one.grid.same_as(other.grid)
    )


@dataclass(frozen=True)
class SeriesInfo:
    """What one series of a study is.

    Attributes
    ----------
    number, uid : of the series; of the first where the phases of an acquisition are in series of their own. The
        number ends in a colon and the kind of image where a series holds several kinds.
    description : in one line.
    kind : what it can be used for.
    why : one phrase.
    files, frames, slices, rows, columns : counts.
    times : when the frames were acquired, one phrase, or why that is not known.
    """

    number: str
    uid: str
    description: str
    kind: Kind
    why: str
    files: int
    frames: int
    slices: int
    rows: int
    columns: int
    times: str


@dataclass(frozen=True)
class Inventory:
    """What a folder holds.

    Attributes
    ----------
    series : in the order of their numbers.
    other_files : how many files are passed over.
    reasons : why, one sentence per reason, with base names.
    """

    series: tuple[SeriesInfo, ...]
    other_files: int
    reasons: tuple[str, ...]

    def table(self) -> Table:
        """The series as a table."""
        return Table(
            "dicom_series",
            "Series of the study",
            (
                Column("number", [info.number for info in self.series], "Series"),
                Column("kind", [info.kind for info in self.series], "Kind"),
                Column("description", [info.description for info in self.series], "Description"),
                Column("files", [info.files for info in self.series], "Files"),
                Column("frames", [info.frames for info in self.series], "Frames"),
                Column("slices", [info.slices for info in self.series], "Slices"),
                Column("rows", [info.rows for info in self.series], "Rows"),
                Column("columns", [info.columns for info in self.series], "Columns"),
                Column("why", [info.why for info in self.series], "Why"),
                Column("times", [info.times for info in self.series], "Times"),
                Column("uid", [info.uid for info in self.series], "Series instance UID"),
            ),
        )


def inspect_folder(folder: Path, progress: Progress | None = None) -> Inventory:
    """Tell what each series of MR images in a folder and its sub-folders is.

    Parameters
    ----------
    folder : is searched through.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Returns
    -------
    The series in the order of their numbers, and what is passed over.

    Raises
    ------
    InputError
        when it is no folder.
    Cancelled
        when `progress` asks for it.
    """
    study = read_folder(folder, progress, keep_pixels=False)
    found = survey_all(study.groups)
    passed_over = [*study.passed_over, *(file for group in study.groups for file in group.damaged)]
    return Inventory(tuple(_info(item) for item in found), len(passed_over), reasons(passed_over))


def _info(item: Survey) -> SeriesInfo:
    group, layout = item.group, item.frames[0].file.layout
    count = len(group.damaged)
    damaged = f"; {count} damaged file{'s' if count > 1 else ''}" if count else ""
    return SeriesInfo(
        number=group.number,
        uid=group.uids[0],
        description=group.description,
        kind=item.kind,
        why=item.why + damaged,
        files=len(group.files),
        frames=item.n_frames,
        slices=len(item.grid.positions) if item.grid is not None else 0,
        rows=layout.rows,
        columns=layout.columns,
        times=_times(item),
    )


def _times(item: Survey) -> str:
    if item.kind != "dynamic" or item.grid is None:
        return ""
    try:
        axis = time_axis(item.group, item.frames, arrange(item.group, item.frames, item.grid))
    except InputError as error:
        return str(error)
    steps = np.diff(axis.times_s)
    apart = f"{np.median(steps):.4g} s apart"
    if np.ptp(steps) > 0.01 * np.median(steps):
        apart = f"{steps.min():.4g} to {steps.max():.4g} s apart"
    return f"{axis.times_s.size} frames, {apart} ({axis.source.split(' (')[0]})"
