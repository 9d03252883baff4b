"""Frames that are read when they are asked for, and what labels and attributes say of them, to a dynamic series.

The same keys stand in the header of a NRRD file and on a MRML node, so this serves both.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .kinetics import baseline_frame_count
from .series import DynamicSeries, FloatArray, Sourced
from .tables import one_line
from .times import Candidate, resolve_times

Frame = npt.NDArray[np.generic]

OWN = "DCEPerfusionBMD."
TIME_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
_NO_FRAME_TIMES = {"EchoTime", "RepetitionTime", "InversionTime"}
_CLOCKS = {"AcquisitionTime", "ContentTime", "SeriesTime"}
_MADE = {"ContentTime", "SeriesTime"}
_MULTIVOLUME = {"repetition_time_ms": "RepetitionTime", "echo_time_ms": "EchoTime", "flip_angle_deg": "FlipAngle"}
_TEXTS = ("agent", "manufacturer")
_NUMBERS = ("repetition_time_ms", "echo_time_ms", "flip_angle_deg", "field_strength_T")
_SAME_GRID = 1e-3  # of a voxel
_BRIGHTEST_SHARE = 0.01
_BASELINE_WHERE_NONE_IS_SEEN = 3


_WORDS = (
    # DICOM
    "AcquisitionDateTime AcquisitionTime ContentTime ContrastBolusAgent DICOM EchoTime FlipAngle "
    "FrameAcquisitionDateTime FrameReferenceDateTime InversionTime MagneticFieldStrength Manufacturer "
    "NominalCardiacTriggerDelayTime RepetitionTime SeriesTime TemporalPositionIdentifier TemporalPositionIndex "
    "TemporalPositionTimeOffset TemporalResolution TriggerTime "
    # files
    "ContrastBolusIngredient DCEPerfusionBMD FrameLabels FrameTimesStart JSON MultiVolume NIfTI "
    "RepetitionTimeExcitation Time VolumeTiming "
    # our own
    "T a agent angle axis by chosen count deg echo field file files flip frame frames given in index list manufacturer "
    "min ms not number of phantom pixdim repetition s single spacing step strength tag the time times us user µs"
)
_SOURCE_WORDS = frozenset(_WORDS.split())


def is_source(text: str) -> bool:
    """Whether a text may be passed on as the source of a value: it has the words that this extension uses for one.

    Any other text in a file may be the name of a patient.

    Parameters
    ----------
    text : from a file or an attribute.

    Returns
    -------
    True where every word is known and there is no run of five digits beside DICOM tags.
    """
    plain = re.sub(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)", "", text)
    return not re.search(r"\d{5}", plain) and _SOURCE_WORDS.issuperset(re.findall(r"[^\W\d_]+", plain))


class Frames(Sequence[Frame]):
    """Frames that are read when they are asked for.

    Parameters
    ----------
    count : number of frames.
    read : the frame of a number from 0, (K, J, I).
    keep : how many frames to hold, where reading one takes time.
    """

    def __init__(self, count: int, read: Callable[[int], Frame], keep: int = 0) -> None:
        self._numbers = range(count)
        self._read = lru_cache(maxsize=keep)(read) if keep else read

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            part = Frames(0, self._read)
            part._numbers = self._numbers[number]
            return part
        return self._read(self._numbers[number])

    def __iter__(self) -> Iterator[Frame]:
        return (self._read(number) for number in self._numbers)


def series_of(
    frames: Frames,
    ijk_to_ras: FloatArray,
    candidates: Sequence[Candidate],
    acquisition: Mapping[str, Sourced],
    times: str | None,
    skip_frames: int,
    what: str,
    warnings: Sequence[str] = (),
    source_hash: str = "",
    source_files: int = 0,
    skipped_before: int = 0,
) -> DynamicSeries:
    """A series of frames from any source: its times resolved, its leading frames left out.

    Parameters
    ----------
    frames : (K, J, I) each.
    ijk_to_ras : (4, 4) voxel index to RAS, mm.
    candidates : for the times, in the order of trust.
    acquisition : as in `DynamicSeries`.
    times : of the user, as for `times.resolve_times`; they go before the others.
    skip_frames : how many leading frames to leave out.
    what : names the source in messages.
    warnings : sentences about the source.
    source_hash, source_files : as in `DynamicSeries`.
    skipped_before : frames that its source files have before these.

    Returns
    -------
    The series; its times start at the first frame that is left.

    Raises
    ------
    InputError
        when there are no usable times, or no frame is left.
    """
    count = len(frames)
    if not 0 <= skip_frames < count:
        raise InputError(f"{what} has {count} frames; {skip_frames} of them cannot be skipped")
    repetition_time = acquisition.get("repetition_time_ms")
    repetition_time_ms = None if repetition_time is None else float(repetition_time.value)
    axis = resolve_times(candidates, count, repetition_time_ms, what, times)
    skipped = [f"the first {skip_frames} of {count} frames are left out"] if skip_frames else []
    return DynamicSeries(
        frames=frames[skip_frames:],
        times_s=axis.times_s[skip_frames:] - axis.times_s[skip_frames],
        ijk_to_ras=ijk_to_ras,
        acquisition=dict(acquisition),
        time_source=axis.source,
        times_rejected=axis.rejected,
        time_choices=tuple(choice.later(skip_frames) for choice in axis.choices),
        times_doubtful=axis.doubtful,
        warnings=(*warnings, *axis.warnings, *skipped),
        source_hash=source_hash,
        source_files=source_files,
        skipped_frames=skipped_before + skip_frames,
    )


def mean_enhancement(series: DynamicSeries) -> tuple[npt.NDArray[np.float32], int]:
    """How much brighter each voxel is after contrast than before, for drawing on.

    The frames before contrast are told from the mean curve of the voxels that brighten most, as
    `kinetics.baseline_frame_count` does; they are the first three where that curve shows no arrival.

    Parameters
    ----------
    series : of two frames or more.

    Returns
    -------
    Mean of the other frames minus mean of the frames before contrast, (K, J, I), 0 where it is not finite; and the
    number of frames before contrast.
    """
    first = np.asarray(series.frames[0], dtype=np.float32)
    highest = first.copy()
    for frame in series.frames:
        np.fmax(highest, frame, out=highest, casting="unsafe")
    rise = np.nan_to_num(highest - first, nan=0.0, posinf=0.0, neginf=0.0).ravel()
    count = max(1, round(_BRIGHTEST_SHARE * rise.size))
    brightest = np.argpartition(rise, rise.size - count)[-count:]
    curve = np.array([np.ravel(frame)[brightest].astype(float).mean() for frame in series.frames])
    baseline = baseline_frame_count(curve) or _BASELINE_WHERE_NONE_IS_SEEN
    baseline = min(baseline, len(series.frames) - 1)
    means = []
    for part in (series.frames[:baseline], series.frames[baseline:]):
        total = np.zeros(first.shape)
        for frame in part:
            total += np.asarray(frame, dtype=float)
        means.append(total / len(part))
    return np.nan_to_num(means[1] - means[0], nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32), baseline


def same_grid(one: FloatArray, other: FloatArray) -> bool:
    """Whether two matrices from voxel index to RAS are the same, but for rounding.

    Parameters
    ----------
    one, other : (4, 4) each, mm; invertible.

    Returns
    -------
    True where origin and axes differ by less than a thousandth of a voxel.
    """
    return bool(np.abs(np.linalg.inv(one) @ other - np.eye(4)).max() < _SAME_GRID)


# ---- what attributes say, in a NRRD header or on a node


def label_candidates(attributes: Mapping[str, str]) -> list[Candidate]:
    """The frame times in `MultiVolume.FrameLabels`, with the reason against them where they are no times.

    Parameters
    ----------
    attributes : of a header or a node.

    Returns
    -------
    One candidate in seconds; none where there are no labels.
    """
    labels = attributes.get("MultiVolume.FrameLabels", "").strip()
    if not labels:
        return []
    tag = attributes.get("MultiVolume.FrameIdentifyingDICOMTagName", "").strip()
    unit = attributes.get("MultiVolume.FrameIdentifyingDICOMTagUnits", "").strip().lower()
    shown = tag if is_source(tag) else "another tag"
    name = f"MultiVolume.FrameLabels ({shown or 'tag not named'})"
    is_time = tag.endswith("Time") and tag not in _NO_FRAME_TIMES
    unit = unit or ("ms" if is_time else "")  # the importer's unit of all its times
    if "RepetitionTime" in attributes.get("MultiVolume.ParseStrategy", ""):
        return [
            Candidate(
                name,
                np.empty(0),
                "the importer counted the repetition time per image (TR x n), which is not when a frame was acquired",
            )
        ]
    if tag and not is_time:
        return [Candidate(name, np.empty(0), f"{shown} is no time")]
    if unit not in TIME_UNITS:
        return [Candidate(name, np.empty(0), f"{unit!r} is no unit of time" if is_source(unit) else "no unit of time")]
    seconds, against = parsed(labels.split(","))
    return [Candidate(name, seconds * TIME_UNITS[unit], against, clock=tag in _CLOCKS, made=tag in _MADE)]


def index_candidate(name: str, unit: str, values: Sequence[str], attributes: Mapping[str, str]) -> Candidate:
    """The index values of a sequence as times; never where they may be a count of the frames.

    Parameters
    ----------
    name, unit : of the index.
    values : one text per frame.
    attributes : of the sequence; one that this extension wrote says where its times came from.

    Returns
    -------
    The candidate in seconds, with the reason against it where there is one.
    """
    source = attributes.get(OWN + "timeSource", "")
    if not (source and is_source(source)):
        source = f"index {name!r} in {unit!r}" if is_source(f"{name} {unit}") else "an index of another name or unit"
    factor = TIME_UNITS.get(unit.strip().lower())
    seconds, against = parsed(values)
    if factor is None:
        against = "its unit is none of time" if unit.strip() else "it has no unit, so it is a count"
    elif name.strip().lower() in ("frame", "frames"):
        against = "it is called a count of the frames"
    elif not against and factor == 1.0 and OWN + "timeSource" not in attributes:
        against = against_count(seconds)
    return Candidate(source, seconds * (factor or 1.0), against)


def choices_text(series: DynamicSeries) -> str:
    """The times that were not used but may be chosen, for an attribute.

    Parameters
    ----------
    series : with its `time_choices`.

    Returns
    -------
    JSON object of names and lists of seconds; empty where there are none.
    """
    others = {c.name: c.times_s.tolist() for c in series.time_choices if not series.time_source.startswith(c.name)}
    return json.dumps(others) if others else ""


def choice_candidates(attributes: Mapping[str, str]) -> list[Candidate]:
    """The times that this extension wrote beside those that it used; see `choices_text`.

    Parameters
    ----------
    attributes : of a header or a node.

    Returns
    -------
    Candidates in seconds; one without times that says so where the text is damaged.
    """
    text = attributes.get(OWN + "otherTimes", "")
    try:
        found = json.loads(text) if text else {}
        return [Candidate(name, np.array(times, dtype=float)) for name, times in found.items() if is_source(name)]
    except (ValueError, AttributeError, TypeError):
        return [Candidate("times beside those used", np.empty(0), "damaged")]


def against_count(seconds: FloatArray) -> str:
    """The reason against times that go up by exactly 1 s, which Slicer and ITK write where a file has none.

    Parameters
    ----------
    seconds : (n_frames,).

    Returns
    -------
    A phrase; empty where there is no reason.
    """
    if seconds.size < 2 or (np.diff(seconds) != 1.0).any():
        return ""
    return "it goes up by exactly 1, as programs write where there are no times; give the step if that is what it is"


def attribute_acquisition(attributes: Mapping[str, str]) -> dict[str, Sourced]:
    """Acquisition values in the attributes of this extension, else in those of MultiVolumeImporter.

    Parameters
    ----------
    attributes : of a header or a node.

    Returns
    -------
    As `DynamicSeries.acquisition`; what is blank or 0 is absent.

    Raises
    ------
    InputError
        when a value is no number, or a negative one.
    """
    found: dict[str, Sourced] = {}
    for name in (*_NUMBERS, *_TEXTS):
        key = OWN + name
        if not attributes.get(key) and name in _MULTIVOLUME:
            key = f"MultiVolume.DICOM.{_MULTIVOLUME[name]}"
        text = attributes.get(key, "").strip()
        if not text:
            continue
        source = attributes.get(f"{key}.source", "")
        source = source if source and is_source(source) else key
        if name in _TEXTS:
            found[name] = Sourced(one_line(text), source)
        else:
            value = positive(text, key)
            if value is not None:
                found[name] = Sourced(value, source)
    return found


def positive(text: str, what: str) -> float | None:
    """A number that must be positive.

    Parameters
    ----------
    text : of the number; blank or 0 stands for unknown.
    what : names it in messages.

    Returns
    -------
    The number; None where it is unknown.

    Raises
    ------
    InputError
        when the text is no finite number, or a negative one.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise InputError(f"{what} is {text!r}; a number above 0 is needed")
    return value or None


def parsed(texts: Sequence[str]) -> tuple[FloatArray, str]:
    """The numbers in some texts.

    Parameters
    ----------
    texts : one number each.

    Returns
    -------
    (n,) numbers and an empty reason; no numbers and the reason, without the text, where one is no number.
    """
    numbers = []
    for n, text in enumerate(texts, 1):
        try:
            numbers.append(float(text))
        except ValueError:
            return np.empty(0), f"value {n} is no number"
    return np.array(numbers), ""
