"""In which order the frames of a group were acquired, and every tag that may say when.

The order of the candidates is that of `_SOURCES`: what the standard defines as the time of a frame comes first, then
what vendors count from the start of the series, then clocks. Those that lack some frames come after the others, then
the times when the images were made. Counts of frames come last and are never times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..times import LONGEST_FRAME_TIME_S, Candidate, TimeAxis, complete_first, resolve_times
from .frames import FloatArray, Frame, clock_s, date_time_s
from .grouping import Grid, Group, point

_DAY_S, _HOUR_S = 86400.0, 3600.0
_SHARING = re.compile(r"(?<![A-Z])(?:TWIST|DISCO|TRICKS|TTHRIVE|4D.?THRIVE|KEYHOLE)(?![A-Z])", re.IGNORECASE)
_SHARED_DURATION = 1.05
_CLOCK_CHANGE_FIT = 0.1


@dataclass(frozen=True)
class _Reading:
    """What one tag says of every image: (n_images,) in s, NaN where absent; `against` where it cannot be read.

    `counted` tells that it counts from a start and knows no time of day, `clock` that it may start anew at midnight,
    `utc` that its offsets from UTC are known and taken off.
    """

    name: str
    seconds: FloatArray
    counted: bool = False
    clock: bool = False
    utc: bool = False
    against: str = ""


_Reader = Callable[[str, Sequence[Frame]], _Reading]
"""The name of a tag and the images to what the tag says of them."""


def _offset(keyword: str, unit_s: float) -> _Reader:
    def read(name: str, frames: Sequence[Frame]) -> _Reading:
        values = [frame.number(keyword) for frame in frames]
        seconds: FloatArray = np.array([np.nan if value is None else value * unit_s for value in values])
        return _Reading(name, seconds, counted=True)

    return read


def _date_time(keyword: str) -> _Reader:
    def read(name: str, frames: Sequence[Frame]) -> _Reading:
        table: FloatArray = np.array([date_time_s(frame, keyword) for frame in frames])
        seconds, utc = _in_utc(table[:, 0], table[:, 1])
        return _Reading(name, seconds, utc=utc)

    return read


def _clock(which: str) -> _Reader:
    def read(name: str, frames: Sequence[Frame]) -> _Reading:
        table: FloatArray = np.array([clock_s(frame, f"{which}Date", f"{which}Time") for frame in frames])
        present = np.isfinite(table[:, 0])
        days = table[:, 1]
        seconds, utc = _in_utc(table[:, 0], table[:, 2])
        dated = bool(present.any()) and bool(np.isfinite(days[present]).all())
        if not dated:
            return _Reading(name, seconds, clock=True, utc=utc)
        # a date that never changes may be that of the study, so the clock may still start anew
        return _Reading(name, seconds + days * _DAY_S, clock=bool(np.ptp(days[present]) == 0), utc=utc)

    return read


def _in_utc(seconds: FloatArray, offsets: FloatArray) -> tuple[FloatArray, bool]:
    """Times without their offset from UTC, where all have one, and whether they have."""
    present = np.isfinite(seconds)
    known = np.isfinite(offsets[present])
    if not known.any():
        return seconds, False
    if not known.all():
        raise InputError("some of its values have an offset from UTC, others have none")
    return seconds - offsets, True


_SOURCES: tuple[tuple[str, _Reader], ...] = (
    ("FrameAcquisitionDateTime (0018,9074)", _date_time("FrameAcquisitionDateTime")),
    ("FrameReferenceDateTime (0018,9151)", _date_time("FrameReferenceDateTime")),
    ("TemporalPositionTimeOffset (0020,930D)", _offset("TemporalPositionTimeOffset", 1.0)),
    ("TriggerTime (0018,1060)", _offset("TriggerTime", 0.001)),
    ("NominalCardiacTriggerDelayTime (0020,9153)", _offset("NominalCardiacTriggerDelayTime", 0.001)),
    ("AcquisitionDateTime (0008,002A)", _date_time("AcquisitionDateTime")),
    ("AcquisitionTime (0008,0032)", _clock("Acquisition")),
    ("ContentTime (0008,0033)", _clock("Content")),
)
_SERIES_TIME = ("SeriesTime (0008,0031)", _clock("Series"))
_ALWAYS_NAMED = ("TriggerTime (0018,1060)", "AcquisitionTime (0008,0032)", "ContentTime (0008,0033)")
_MADE = ("ContentTime (0008,0033)", _SERIES_TIME[0])
_NOMINAL = 0.2
_COUNTS = (
    ("TemporalPositionIndex (0020,9128)", "TemporalPositionIndex"),
    ("TemporalPositionIdentifier (0020,0100)", "TemporalPositionIdentifier"),
)
_ORDERING_TIMES = (
    "TriggerTime (0018,1060)",
    "FrameAcquisitionDateTime (0018,9074)",
    "FrameReferenceDateTime (0018,9151)",
    "TemporalPositionTimeOffset (0020,930D)",
    "AcquisitionDateTime (0008,002A)",
    "AcquisitionTime (0008,0032)",
    "ContentTime (0008,0033)",
)


def _readings(frames: Sequence[Frame], joined: bool) -> list[_Reading]:
    found = []
    for name, read in (*_SOURCES, *([_SERIES_TIME] if joined else [])):
        try:
            reading = read(name, frames)
        except InputError as error:
            absent: FloatArray = np.full(len(frames), np.nan)
            found.append(_Reading(name, absent, against=str(error)))
            continue
        if name in _ALWAYS_NAMED or np.isfinite(reading.seconds).any():
            found.append(reading)
    return found


def _unwrapped(reading: _Reading) -> FloatArray:
    """Times of day in order, where they pass midnight."""
    seconds = reading.seconds
    if not reading.clock or not np.isfinite(seconds).all() or np.ptp(seconds) <= _DAY_S / 2:
        return seconds
    return np.where(seconds - seconds.min() < _DAY_S / 2, seconds + _DAY_S, seconds)


@dataclass(frozen=True)
class Arrangement:
    """The images of a group in place.

    Attributes
    ----------
    index : (K, n_frames) number of the image in the list, frames in the scanner's order.
    ordered_by : the tag that numbers the frames.
    readings : what every tag says of the time of each image.
    """

    index: npt.NDArray[np.intp]
    ordered_by: str
    readings: tuple[_Reading, ...]


def _number_column(frames: Sequence[Frame], keyword: str) -> FloatArray:
    """A number of every image, NaN where it is absent or none."""
    column: FloatArray = np.full(len(frames), np.nan)
    for n, frame in enumerate(frames):
        value = frame.values.get(keyword, ())
        if len(value) == 1 and not isinstance(value, str):
            column[n] = value[0]
    return column


def arrange(group: Group, frames: Sequence[Frame], grid: Grid) -> Arrangement:
    """Put every image into its slice and frame.

    The frames are numbered by the first of these that has one value per frame at every slice: the series, where phases
    were joined; TemporalPositionIndex, TemporalPositionIdentifier, AcquisitionNumber, TriggerTime, the dates and times
    of acquisition, ContentTime, InstanceNumber.

    Raises
    ------
    InputError
        naming the slice, and the frame where it can be told, that lacks an image; or when nothing numbers the frames.
    """
    joined = len(group.uids) > 1
    readings = _readings(frames, joined)
    keys: list[tuple[str, FloatArray, bool]] = []
    if joined:
        rank = {uid: n for n, uid in enumerate(group.uids)}
        places: FloatArray = np.array([float(rank[frame.text("SeriesInstanceUID")]) for frame in frames])
        keys.append(("the series", places, True))
    keys += [(name, _number_column(frames, keyword), True) for name, keyword in _COUNTS]
    keys.append(("DimensionIndexValues (0020,9157) of a time", _number_column(frames, "TemporalDimension"), False))
    keys.append(("AcquisitionNumber (0020,0012)", _number_column(frames, "AcquisitionNumber"), False))
    by_name = {reading.name: reading for reading in readings}
    keys += [(name, _unwrapped(by_name[name]), False) for name in _ORDERING_TIMES if name in by_name]
    # the frames of a file are in some order of their own, which is the last resort
    within: FloatArray = np.array([frame.index for frame in frames], dtype=float)
    keys.append(("InstanceNumber (0020,0013)", _number_column(frames, "InstanceNumber") + within * 1e-7, False))

    counts = grid.counts
    members = [np.flatnonzero(grid.slice_of == k) for k in range(len(counts))]
    if len(set(counts.tolist())) > 1:
        raise InputError(_incomplete(keys, members, grid))
    if counts[0] == 1:
        return Arrangement(np.array(members), "a single frame", tuple(readings))
    for name, values, is_count in keys:
        columns = [values[member] for member in members]
        if not all(np.isfinite(column).all() and np.unique(column).size == column.size for column in columns):
            continue
        index = np.array([member[np.argsort(values[member])] for member in members])
        if is_count or name.startswith("AcquisitionNumber"):
            differs = (values[index] != values[index[0]]).any()
            counts_images = np.unique(values).size == values.size
            if differs and is_count and not counts_images:
                raise InputError(_incomplete(keys, members, grid))
            if differs and not is_count:
                continue
        elif name in by_name and _put_back(by_name[name], keys[-1][1], members):
            continue
        return Arrangement(index, name, tuple(readings))
    told = "; ".join(
        f"{name}: {_why_no_order([values[member] for member in members])}"
        for name, values, _ in keys
        if np.isfinite(values).any()
    )
    raise InputError(
        f"the {counts[0]} images of each slice cannot be put in order: no tag has one value per frame in every slice "
        f"({told or 'there are no numbers at all'}); export the series again with its numbers"
    )


def _put_back(reading: _Reading, numbers: FloatArray, members: Sequence[npt.NDArray[np.intp]]) -> bool:
    """Whether, by the image numbers, a clock was put back by an hour, so that it cannot give the order."""
    if not np.isfinite(numbers).all():
        return False
    index = np.array([member[np.argsort(numbers[member])] for member in members])
    return bool(_clock_changed(reading, reading.seconds[index])[1])


def _why_no_order(columns: Sequence[FloatArray]) -> str:
    lacking = max(int((~np.isfinite(column)).sum()) for column in columns)
    if lacking:
        return f"absent in {lacking} of {columns[0].size} frames"
    return f"{min(np.unique(column).size for column in columns)} distinct values"


def _incomplete(
    keys: Sequence[tuple[str, FloatArray, bool]], members: Sequence[npt.NDArray[np.intp]], grid: Grid
) -> str:
    """Which slice lacks an image, and of which frame, where a tag tells."""
    counts = [member.size for member in members]
    usual = max(set(counts), key=counts.count)
    frame_told = ""
    odd = next((k for k, count in enumerate(counts) if count != usual), None)
    for name, values, _ in keys:
        columns = [values[member] for member in members]
        if not all(np.isfinite(column).all() and np.unique(column).size == column.size for column in columns):
            continue
        every = np.unique(values)
        if every.size == values.size:
            continue  # it counts images, not frames
        if every.size > max(counts) + 1 and not name.startswith(("Temporal", "the series")):
            continue
        lacking = [(k, np.setdiff1d(every, column)) for k, column in enumerate(columns)]
        lacking = [(k, values_) for k, values_ in lacking if values_.size]
        if lacking and (odd is None or any(k == odd for k, _ in lacking)):
            odd, gone = next((k, v) for k, v in lacking if odd is None or k == odd)
            frame_told = f"; it lacks frame {int(np.searchsorted(every, gone[0])) + 1} (by {name})"
            break
    odd = odd or 0
    others = f", the others have {usual}" if counts[odd] != usual else ""
    return (
        f"the series is incomplete: slice {odd + 1} of {len(counts)} (at {point(grid.positions[odd])} mm) has "
        f"{counts[odd]} images{others}{frame_told}; export the series again, or remove the incomplete frame"
    )


def time_axis(group: Group, frames: Sequence[Frame], arrangement: Arrangement, times: str | None = None) -> TimeAxis:
    """When each frame was acquired; `times` are the user's, as for `times.resolve_times`.

    Raises
    ------
    InputError
        when no tag can be trusted; the message holds the reason against each.
    """
    index = arrangement.index
    n_frames = index.shape[1]
    if n_frames == 1 and times is None:
        return TimeAxis(np.zeros(1), "a single frame", (), ())
    resolution = _number_column(frames, "TemporalResolution")[index[0, 0]]
    nominal = _nominal_steps_s(resolution, _number_column(frames, "AcquisitionDuration")[index[0, 0]], n_frames)
    readings = []
    for reading in _finer_first(arrangement.readings):
        seconds, note = _clock_changed(reading, reading.seconds[index])
        made, against = reading.name in _MADE, reading.against
        if made:
            against = against or _not_nominal(seconds, nominal)
        readings.append(Candidate(reading.name, seconds, against, reading.clock, note, made))
    candidates = complete_first(readings)
    for name, keyword in _COUNTS:
        numbers = _number_column(frames, keyword)[index]
        if np.isfinite(numbers).any():
            candidates.append(Candidate(name, numbers, "counts the frames, it is no time"))
    if np.isfinite(resolution) and resolution > 0:
        unit, unit_s = ("ms", 1e-3) if resolution <= 1e3 * LONGEST_FRAME_TIME_S else ("microseconds", 1e-6)
        steps: FloatArray = np.arange(float(n_frames)) * resolution * unit_s
        against = (
            f"{resolution:g} {unit} is nominal and tells of no pause; if there was none, give --times "
            f"{resolution * unit_s:g}"
        )
        candidates.append(Candidate("TemporalResolution (0020,0110) times the frame number", steps, against))
    repetition_time_ms = frames[0].number("RepetitionTime")
    return resolve_times(candidates, n_frames, repetition_time_ms, times=times)


def _nominal_steps_s(resolution: float, duration_s: float, n_frames: int) -> list[tuple[float, str]]:
    """What may be meant by TemporalResolution, which is in ms but in microseconds with some, and by the duration."""
    steps = [(resolution / unit, "TemporalResolution (0020,0110)") for unit in (1.0, 1e3, 1e6)]
    steps += [(duration_s / count, "AcquisitionDuration (0018,9073)") for count in (1, n_frames)]
    return [(step, name) for step, name in steps if np.isfinite(step) and step > 0]


def _not_nominal(seconds: FloatArray, nominal: Sequence[tuple[float, str]]) -> str:
    """The reason against times whose step is none of the nominal ones; empty where one fits or none is known."""
    times_s = seconds.min(axis=0)
    step = float(np.median(np.diff(times_s))) if times_s.size > 1 else 0.0
    if not nominal or not step > 0 or any(abs(step - known) <= _NOMINAL * known for known, _ in nominal):
        return ""
    nearest, name = min(nominal, key=lambda known: abs(np.log(known[0] / step)))
    return f"its step of {step:.3g} s is not that of {name}, {nearest:.3g} s; it is when the images were made"


def _finer_first(readings: Sequence[_Reading]) -> list[_Reading]:
    """The readings, with AcquisitionTime before a date-time that is the same time in whole seconds."""
    found = list(readings)
    fine = next((reading for reading in found if reading.name == "AcquisitionTime (0008,0032)"), None)
    if fine is None or fine.against or not np.isfinite(fine.seconds).all():
        return found
    for n, reading in enumerate(found):
        difference = np.asarray(reading.seconds - fine.seconds)
        whole = "DateTime" in reading.name and not reading.against and bool((reading.seconds % 1.0 == 0.0).all())
        if whole and 1e-3 < float(np.ptp(difference)) < 1.0:
            found.remove(fine)
            found.insert(n, fine)
            break
    return found


def count_warnings(frames: Sequence[Frame], arrangement: Arrangement) -> list[str]:
    """What the scanner's own counts tell of frames that are not there."""
    index = arrangement.index
    n_frames = index.shape[1]
    warnings = []
    due = _number_column(frames, "NumberOfTemporalPositions")[index[0, 0]]
    if due > 1 and due != n_frames:
        warnings.append(
            f"NumberOfTemporalPositions (0020,0105) is {due:g}, but {n_frames} frames are found; compare the number of "
            "frames with the protocol"
        )
    for name, keyword in _COUNTS:
        numbers = _number_column(frames, keyword)[index]
        if not np.isfinite(numbers).all() or (numbers != numbers[0]).any():
            continue
        ordered = np.unique(numbers[0])
        gaps = np.flatnonzero(np.diff(ordered) > 1)
        if ordered[0] > 1 and ordered.size > 1:
            warnings.append(f"{name} starts at {ordered[0]:g}; the first frames may be missing")
        elif gaps.size:
            before, after = ordered[gaps[0]], ordered[gaps[0] + 1]
            warnings.append(f"{name} goes from {before:g} to {after:g}; frames between them may be missing")
    return warnings


def _clock_changed(reading: _Reading, table: FloatArray) -> tuple[FloatArray, str]:
    """Local times in which the clock was put by one hour once, with the later ones counted on."""
    if reading.counted or reading.against or table.shape[1] < 4 or not np.isfinite(table).all():
        return table, ""
    steps = np.diff(table, axis=1)
    usual = np.median(steps, axis=1)[:, None]
    jumps = np.round((steps - usual) / _HOUR_S)
    put = (np.abs(jumps) == 1) & (np.abs(steps - usual - jumps * _HOUR_S) <= _CLOCK_CHANGE_FIT * np.abs(usual))
    where = np.flatnonzero(put.any(axis=0))
    # with offsets from UTC a step of an hour is a pause, but none goes back
    night = where.size > 0 and not reading.utc and table[:, where[0]].max() % _DAY_S < 4 * _HOUR_S
    if where.size != 1 or not put.all(axis=0)[where[0]] or not (night or jumps[0, where[0]] < 0):
        return table, ""
    changed = table.copy()
    changed[:, where[0] + 1 :] -= jumps[:, where[0]][:, None] * _HOUR_S
    way = "back" if jumps[0, where[0]] < 0 else "on"
    return changed, (
        f"{reading.name} is put {way} by one hour after frame {where[0] + 1} (daylight saving time); the times after "
        "it are counted on"
    )


def protocol_warnings(frames: Sequence[Frame], axis: TimeAxis) -> list[str]:
    """What the user should know of slices that are not acquired at once, and of frames that share data."""
    warnings = []
    step = float(np.median(np.diff(axis.times_s))) if axis.times_s.size > 1 else np.nan
    offsets = axis.slice_offsets_s
    if offsets is not None and offsets.max() > step / 2:
        warnings.append(
            f"the slices of a frame are acquired up to {offsets.max():.3g} s apart, over half of the {step:.3g} s "
            "between frames; each vertebra sees the contrast at a time of its own"
        )
    first = frames[0]
    where = ("SequenceName", "PulseSequenceName", "GEPulseSequenceName", "ProtocolName", "SeriesDescription")
    sharing = next((match[0] for keyword in where if (match := _SHARING.search(first.text(keyword)))), None)
    durations = _number_column(frames, "FrameAcquisitionDuration")
    longest = float(np.nanmax(durations)) / 1000.0 if np.isfinite(durations).any() else 0.0
    blur = "; frames share data, so rapid changes are smeared over more than one frame"
    if sharing:
        warnings.append(f"view sharing ({sharing.upper()} in the name of the protocol or sequence){blur}")
    elif longest > _SHARED_DURATION * step:
        warnings.append(f"each frame takes {longest:.3g} s, but they are {step:.3g} s apart: view sharing{blur}")
    return warnings
