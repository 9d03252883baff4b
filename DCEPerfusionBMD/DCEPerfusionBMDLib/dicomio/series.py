"""The dynamic series, the flip angles and the maps of a study, from a folder of DICOM files."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..series import DynamicSeries, FlipAngleSeries, Progress, Sourced
from ..tables import one_line
from .clocks import arrange, count_warnings, protocol_warnings, time_axis
from .frames import PHILIPS_SCALE, Frame, LazyFrames, acquisition, check_plain
from .grouping import CONTRAST, LEAST_FRAMES, Group, Study, check_uniform, grid_of, read_folder, reasons
from .headers import Values
from .inspect import Survey, survey, survey_all, without_localizer

FloatArray = npt.NDArray[np.float64]

_UNIT_FACTORS = {
    "T1 map": {"ms": 1.0, "msec": 1.0, "milliseconds": 1.0, "s": 1000.0, "sec": 1000.0},
    "fat fraction": {"%": 0.01, "percent": 0.01, "permille": 0.001, "[ppth]": 0.001, "1": 1.0, "{ratio}": 1.0},
}
# Largest values that leave no doubt of the unit: a map of the trunk holds nearly pure fat somewhere.
_FAT_RANGES = ((0.3, 1.3, 1.0), (50.0, 130.0, 0.01), (500.0, 1300.0, 0.001))
_NO_UNITS = ("us", "normalized", "no units")  # unspecified
_MEDIAN_T1_MS = (50.0, 6000.0)
_LARGEST = {"T1 map": 1e5, "fat fraction": 1.3}


def _identifiers(values: Values) -> dict[str, str]:
    return {name: text for name in _IDENTIFIERS if (text := one_line(str(values.get(name, ""))))}


def _patient(values: Values) -> dict[str, Sourced]:
    """Sex, age and weight; what is missing or cannot be read is left out, since the user can give it."""
    known = {}
    sex = {"F": "female", "M": "male"}.get(str(values.get("PatientSex", "")).strip().upper())
    if sex is not None:
        known["sex"] = Sourced(sex, "DICOM PatientSex (0010,0040)")
    age, source = _age_years(str(values.get("PatientAge", ""))), "DICOM PatientAge (0010,1010)"
    if age is None:
        age = _years_between(str(values.get("PatientBirthDate", "")), str(values.get("StudyDate", "")))
        source = "DICOM PatientBirthDate (0010,0030) and StudyDate (0008,0020)"
    if age is not None and 0 < age <= _OLDEST_YEARS:
        shown = min(age, _SHOWN_YEARS)
        known["age_years"] = Sourced(float(shown), source if age <= _SHOWN_YEARS else f"{source}; older, shown as 90")
    weight = values.get("PatientWeight")
    if isinstance(weight, tuple) and weight and 1.0 <= weight[0] <= 500.0:
        known["weight_kg"] = Sourced(float(weight[0]), "DICOM PatientWeight (0010,1030)")
    return known


def _age_years(text: str) -> int | None:
    """Whole years of an age string such as 063Y, 018M, 012W or 005D (DICOM PS3.5, AS)."""
    match = re.fullmatch(r"(\d{3})([YMWD])", text.strip().upper())
    return int(int(match[1]) / _PER_YEAR[match[2]]) if match else None


def _years_between(born: str, studied: str) -> int | None:
    """Whole years between two dates (DICOM PS3.5, DA); None where one of them is none."""
    try:
        birth, study = (datetime.datetime.strptime(text.strip().rjust(8, "x"), "%Y%m%d") for text in (born, studied))
    except ValueError:
        return None
    return study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))


_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7.0, "D": 365.25}
_OLDEST_YEARS, _SHOWN_YEARS = 120, 90  # ages above 89 tell who someone is
PASSED_OVER = "passed over: "
"""How warnings of files begin that were not used; their names, which may be those of patients, are not in them."""
_IDENTIFIERS = ("PatientName", "PatientID", "StudyDate", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID")


def read_series(
    folder: Path,
    series: str | None = None,
    progress: Progress | None = None,
    times: str | None = None,
    skip_frames: int = 0,
) -> DynamicSeries:
    """Read the dynamic series of MR files in a folder and its sub-folders.

    Parameters
    ----------
    folder : is searched through; files that are not MR images are passed over.
    series : series number or series instance UID; needed when the folder holds more than one dynamic series. Where
        every phase is a series of its own, that of any phase. Where a series holds images of several kinds, its number
        or UID with the kind, as `inspect_folder` lists it (5:W).
    progress : called with the fraction done and what is being done; a return of False cancels.
    times : the user's times, as `times.resolve_times` takes them, for all frames, those skipped included; go before
        all tags.
    skip_frames : how many of the first frames to drop, those before the steady state; the times start at the first
        frame that is kept.

    Returns
    -------
    The series; its frames are read from the files when they are asked for.

    Raises
    ------
    InputError
        naming what is missing or contradictory: no image, several dynamic series, missing slices, mixed geometry, a
        damaged file, no usable times.
    Cancelled
        when `progress` asks for it.

    References
    ----------
    DICOM PS3.3 C.7.6.2.1.1 (places of slices), C.7.6.16.2 (files of several frames).
    """
    study = read_folder(folder, progress)
    group = _choose_dynamic(study, folder, series)
    _check_whole(group)
    frames, note = without_localizer(group.frames)
    check_uniform(frames, CONTRAST)
    _check_in_all_or_none(frames, _RESCALING)
    grid = grid_of(frames)
    arrangement = arrange(group, frames, grid)
    n_frames = arrangement.index.shape[1]
    if not 0 <= skip_frames < n_frames:
        raise InputError(f"--skip-frames is {skip_frames}, but the series has {n_frames} frames")
    axis = time_axis(group, frames, arrangement, times)
    private = _has_philips_scale(frames)
    warnings = [*group.notes, *([note] if note else []), *axis.warnings, *protocol_warnings(frames, axis)]
    warnings += count_warnings(frames, arrangement)
    if private:
        warnings.append(f"values are scaled by {PHILIPS_SCALE}: (stored * slope + intercept) / (slope * scale slope)")
    damaged = [file for file in study.passed_over if file.damaged]
    warnings += [f"{PASSED_OVER}{sentence}" for sentence in reasons(damaged, named=False)]
    kept = arrangement.index[:, skip_frames:]
    return DynamicSeries(
        frames=LazyFrames([[frames[n] for n in kept[:, t]] for t in range(kept.shape[1])], private),
        times_s=axis.times_s[skip_frames:] - axis.times_s[skip_frames],
        ijk_to_ras=grid.ijk_to_ras,
        acquisition=acquisition(frames[arrangement.index[0, 0]]),
        time_source=axis.source,
        times_rejected=axis.rejected,
        time_choices=tuple(choice.later(skip_frames) for choice in axis.choices),
        times_doubtful=axis.doubtful,
        warnings=tuple(warnings),
        source_hash=hash_of(group),
        source_files=len(group.files),
        skipped_frames=skip_frames,
        passed_over=tuple(f"{PASSED_OVER}{sentence}" for sentence in reasons(damaged)),
        slice_offsets_s=axis.slice_offsets_s,
        identifiers=_identifiers(group.files[0].values[0]),
        patient=_patient(group.files[0].values[0]),
    )


def hash_of(*groups: Group) -> str:
    """SHA-256 over the files of groups, whatever their order."""
    hashes = sorted(file.sha256 for group in groups for file in group.files)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def hash_of_values(values: npt.NDArray[Any]) -> str:
    """SHA-256 of the values of a map.

    Parameters
    ----------
    values : any shape, as `read_map` returns them.

    Returns
    -------
    64 hexadecimal digits; geometry does not count.
    """
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _listed(groups: Sequence[Group], by_uid: bool = False) -> str:
    return "; ".join(
        f"number {group.number} {group.description or 'unnamed'!r} "
        f"({len(group.files)} files{f', UID {group.uids[0]}' if by_uid else ''})"
        for group in groups
    )


def _named_groups(study: Study, folder: Path, wanted: str) -> list[Group]:
    found = [group for group in study.groups if group.is_named(wanted)]
    if not found:
        numbers = ", ".join(group.number for group in study.groups)
        raise InputError(f"{folder} has no series {wanted!r}; it has {numbers}")
    return found


def _only(study: Study, folder: Path, wanted: str) -> Group:
    """The one series of a number or UID."""
    found = _named_groups(study, folder, wanted)
    if len(found) > 1:
        by_uid = _ambiguous(found)
        raise InputError(
            f"{folder} holds {len(found)} series of number {wanted}: {_listed(found, by_uid)}; choose one by its "
            f"{'UID' if by_uid else 'number'}"
        )
    return found[0]


def _ambiguous(groups: Sequence[Group]) -> bool:
    return len({group.number for group in groups}) < len(groups)


def _check_some(study: Study, folder: Path) -> None:
    if study.groups:
        return
    damaged = "; ".join(reasons([file for file in study.passed_over if file.damaged]))
    raise InputError(
        f"{folder} holds no MR image in DICOM format ({study.looked_at} files looked at"
        f"{f'; {damaged}' if damaged else ''})"
    )


def _choose_dynamic(study: Study, folder: Path, wanted: str | None) -> Group:
    _check_some(study, folder)
    groups = study.groups if wanted is None else _named_groups(study, folder, wanted)
    found = [survey(group) for group in groups]
    if len(found) == 1:
        if wanted is not None:
            return _named_by_user(found[0])
        # what is wrong with an only series is said when it is put together
        item = found[0]
        if item.kind in ("dynamic", "other") and not item.unfit and not 0 < item.n_frames < LEAST_FRAMES:
            return item.group
    ambiguous = _ambiguous(groups)
    # one that contradicts itself may be the wanted one, so no other is taken in its place; what is wrong is said later
    broken = [bool(item.group.conflict) and item.n_frames >= LEAST_FRAMES for item in found]
    dynamic = [item.group for item, is_broken in zip(found, broken, strict=True) if item.kind == "dynamic" or is_broken]
    choose = f"choose one with --series {'UID' if ambiguous else 'NUMBER'}"
    if len(dynamic) == 1 and wanted is None:
        if not dynamic[0].part:
            return dynamic[0]
        parts = [group for group in groups if group.uids == dynamic[0].uids]
        raise InputError(
            f"series {dynamic[0].numbers[0]} mixes images of different ImageType (0008,0008) or complex component: "
            f"{_listed(parts)}; {choose}"
        )
    if dynamic:
        raise InputError(
            f"{folder} holds {len(dynamic)} dynamic series{f' of number {wanted}' if wanted else ''}: "
            f"{_listed(dynamic, ambiguous)}; {choose}"
        )
    why = "; ".join(f"{name}: {item.why}" for name, item in zip(_listed_each(groups, ambiguous), found, strict=True))
    raise InputError(f"{folder} holds {len(groups)} series, none of them dynamic: {why}; {choose}")


def _named_by_user(item: Survey) -> Group:
    """The group of a series that the user names, with a note where it seems to be none that changes with time."""
    group = item.group
    if item.kind in _UNIT_FACTORS:
        raise InputError(
            f"series {group.number} {group.description!r} is a {item.kind} ({item.why}), no dynamic series; choose "
            "another with --series"
        )
    if item.unfit or 0 < item.n_frames < LEAST_FRAMES:
        note = f"series {group.number} does not look like a dynamic series ({item.why}); it is read as it was named"
        return dataclasses.replace(group, notes=[*group.notes, note])
    return group


def _listed_each(groups: Sequence[Group], by_uid: bool) -> list[str]:
    return [_listed([group], by_uid) for group in groups]


def _check_whole(group: Group) -> None:
    """Refuse a series with damaged or contradictory files, and where a damaged file may be one of its images."""
    if group.conflict:
        raise InputError(f"series {group.number}: {group.conflict}")
    if group.damaged:
        file = group.damaged[0]
        number = (file.values or {}).get("InstanceNumber", ())
        named = f"image {number[0]:g} of series" if number and not isinstance(number, str) else "a file of series"
        more = f" (and {len(group.damaged) - 1} more)" if len(group.damaged) > 1 else ""
        raise InputError(
            f"{named} {group.number} cannot be decoded: {one_line(file.name)} is {file.reason}{more}; copy it again "
            "from its source"
        )
    if group.doubtful:
        raise InputError(
            f"damaged files that do not tell their series may be images of series {group.number}: "
            f"{'; '.join(reasons(group.doubtful))}; copy them again from their source, or take them out of the "
            "folder if they belong elsewhere"
        )


def _check_in_all_or_none(frames: Sequence[Frame], keywords: Sequence[tuple[str, str]]) -> None:
    """Refuse images of which some have a number that scales their values, and others lack it."""
    for keyword, tag in keywords:
        known = [frame.number(keyword) is not None for frame in frames]
        if any(known) and not all(known):
            raise InputError(
                f"{frames[known.index(False)].named} has no {keyword} {tag}, others of its series have one, so their "
                "values cannot be compared; export the series again"
            )


_RESCALING = (("RescaleSlope", "(0028,1053)"), ("RescaleIntercept", "(0028,1052)"))
_REAL_WORLD = (("RealWorldValueSlope", "(0040,9225)"), ("RealWorldValueIntercept", "(0040,9224)"))


def _has_philips_scale(frames: Sequence[Frame]) -> bool:
    scaled = [frame.philips_scale() is not None for frame in frames]
    if any(scaled) and not all(scaled):
        raise InputError(
            f"{frames[scaled.index(False)].named} has no {PHILIPS_SCALE}, others have one, so their values cannot be "
            "compared; export the series again"
        )
    return all(scaled)


def _single_volume(group: Group) -> tuple[list[Frame], FloatArray]:
    """The images of a group of one frame, slice by slice, and its matrix."""
    _check_whole(group)
    frames, _ = without_localizer(group.frames)
    grid = grid_of(frames)
    if grid.counts.max() > 1:
        raise InputError(f"series {group.number} has {grid.counts.max()} images of a slice, a map has one")
    return [frames[n] for n in np.argsort(grid.slice_of)], grid.ijk_to_ras


def read_map(folder: Path, series: str, study_uid: str = "") -> tuple[FloatArray, FloatArray]:
    """Read a T1 map or a map of the fat fraction.

    The stored values are rescaled by RealWorldValueSlope and -Intercept where there are, else by RescaleSlope and
    -Intercept; also by these where RescaleType alone tells a unit. PixelPaddingValue is NaN. T1 is returned in ms: its
    unit is that of the tags (ms, s), or ms where the median of the positive values lies between 50 and 6000. The fat
    fraction is returned as a share from 0 to 1: its unit is that of the tags (%, permille, 1), or told by the largest
    value: 0.3 to 1.3, 50 to 130 for %, 500 to 1300 for permille. Values of noise beyond 0 to 1 stay as they are.

    Parameters
    ----------
    folder : is searched through.
    series : series number or series instance UID.
    study_uid : StudyInstanceUID that the map must have; any when empty.

    Returns
    -------
    values : (K, J, I).
    ijk_to_ras : (4, 4) voxel index (i, j, k) to patient coordinates in mm.

    Raises
    ------
    InputError
        when the series is neither map, of another study, or its unit is in doubt.
    """
    study = read_folder(folder)
    _check_some(study, folder)
    group = _only(study, folder, series)
    _check_whole(group)
    item = survey(group)
    if item.kind not in _UNIT_FACTORS:
        raise InputError(
            f"series {group.number} {group.description!r} is neither a T1 map nor a fat fraction by its description or "
            f"ImageType ({item.kind}: {item.why}); give the map as NRRD or NIfTI"
        )
    if of_other_study([group], study_uid):
        raise InputError(
            f"series {group.number} {group.description!r} is of another study than the dynamic series; give the map as "
            "NRRD or NIfTI if it is of the same patient and place"
        )
    return map_values(item)


def map_values(item: Survey) -> tuple[FloatArray, FloatArray]:
    """The values of a map and its matrix, as `read_map` returns them."""
    frames, ijk_to_ras = _single_volume(item.group)
    _check_in_all_or_none(frames, (*_RESCALING, *_REAL_WORLD))
    values = np.stack([_real_values(frame) for frame in frames])
    return values * _unit_factor(item, frames, values), ijk_to_ras


def of_other_study(groups: Sequence[Group], study_uid: str) -> bool:
    """Whether a file of these groups is of another study; never where the UID is empty."""
    uids = {str(file.values[0].get("StudyInstanceUID", "")) for group in groups for file in group.files}
    return bool(study_uid) and uids != {study_uid}


def _real_values(frame: Frame) -> FloatArray:
    check_plain(frame)
    (slope, intercept), _ = _mapping(frame)
    stored: npt.NDArray[Any] = frame.pixels()
    values: FloatArray = np.asarray(stored, dtype=float) * slope + intercept
    padding = [_as_stored(frame, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    known = [value for value in padding if value is not None]
    if padding[0] is not None:
        values[(stored >= min(known)) & (stored <= max(known))] = np.nan
    return values


def _as_stored(frame: Frame, keyword: str) -> float | None:
    """A value of the type of the pixels, which may have been written without its sign."""
    value, layout = frame.number(keyword), frame.file.layout
    if value is not None and layout.signed and value >= 2.0 ** (layout.allocated - 1):
        return value - 2.0**layout.allocated
    return value


def _mapping(frame: Frame) -> tuple[tuple[float, float], str]:
    """Slope and intercept to real values and their unit, empty where it is not told.

    A real world value mapping goes first, unless it is without unit and RescaleType has one.
    """
    slope, intercept = frame.number("RealWorldValueSlope"), frame.number("RealWorldValueIntercept")
    real_unit, unit = (one_line(frame.text(keyword)).lower() for keyword in ("RealWorldUnit", "RescaleType"))
    real_unit, unit = ("" if text in _NO_UNITS else text for text in (real_unit, unit))
    if slope is None or intercept is None or (unit and real_unit in ("", "1")):
        return frame.scaling(private=False), unit
    return (slope, intercept), real_unit


def _unit_factor(item: Survey, frames: Sequence[Frame], values: FloatArray) -> float:
    named = f"series {item.group.number} ({item.kind})"
    largest = float(np.nanmax(values, initial=0.0))
    if not np.isfinite(largest) or largest <= 0:
        raise InputError(f"{named} holds no positive value")
    told = {_mapping(frame)[1] for frame in frames}
    factors = {_UNIT_FACTORS[item.kind][unit] for unit in told if unit in _UNIT_FACTORS[item.kind]}
    if len(factors) > 1:
        raise InputError(f"{named} mixes units: {', '.join(sorted(told))}")
    if factors:
        factor = factors.pop()
        high = float(np.nanpercentile(values, 99.9)) * factor
        if high > _LARGEST[item.kind]:
            unit = ", ".join(sorted(told))
            raise InputError(f"{named}: its values reach {largest:g}, which cannot be in its unit {unit}")
        return factor
    if item.kind == "T1 map":
        median = float(np.median(values[values > 0]))
        if _MEDIAN_T1_MS[0] <= median <= _MEDIAN_T1_MS[1]:
            return 1.0
        seen = f"the median of its positive values is {median:g}"
    else:
        for low, high, factor in _FAT_RANGES:
            if low <= largest <= high:
                return factor
        seen = f"its largest value is {largest:g}"
    raise InputError(f"{named}: no tag tells its unit, and {seen}; convert it and give it as NRRD or NIfTI")


def read_flip_angles(folder: Path, series: Sequence[str] = (), study_uid: str = "") -> FlipAngleSeries:
    """Read volumes of one place at several flip angles.

    Parameters
    ----------
    folder : is searched through.
    series : numbers or instance UIDs of the series, each of one or of several flip angles; all that `inspect_folder`
        calls flip angles when empty.
    study_uid : StudyInstanceUID that they should have; series of another are passed over unless they are named. Any
        when empty.

    Returns
    -------
    The volumes in the order of their flip angles; read from the files when they are asked for.

    Raises
    ------
    InputError
        naming the series that differs in study, kind of image, geometry, TR or TE, repeats a flip angle, or cannot be
        read.
    """
    study = read_folder(folder)
    _check_some(study, folder)
    if series:
        groups = [_only(study, folder, wanted) for wanted in series]
    else:
        groups = [item.group for item in survey_all(study.groups) if item.kind == "flip angles"]
        if not groups:
            raise InputError(f"{folder} holds no flip angles: no two volumes of one place and TR differ in flip angle")
        groups = [group for group in groups if not of_other_study([group], study_uid)]
        if not groups:
            raise InputError(
                f"{folder} holds flip angles of another study than the dynamic series only; name their series with "
                "--flip-angles if they are of the same patient and place"
            )
    volumes = [volume for group in groups for volume in _angles_of(group)]
    volumes.sort(key=lambda volume: volume[0])
    first = volumes[0]
    for before, after in itertools.pairwise(volumes):
        if after[0] - before[0] < 1e-3:
            raise InputError(
                f"series {before[2].number} and series {after[2].number} have the same flip angle of {after[0]:g} "
                "degrees; choose one of them with --flip-angles"
            )
    if len(volumes) < 2:
        raise InputError(f"series {first[2].number} has one flip angle of {first[0]:g} degrees; T1 needs at least two")
    for _, frames, group in volumes[1:]:
        if frames[0].text("StudyInstanceUID") != first[1][0].text("StudyInstanceUID"):
            raise InputError(
                f"series {group.number} and series {first[2].number} are of different studies (StudyInstanceUID "
                "0020,000D); choose flip angles of one study with --flip-angles"
            )
        if frames[0].content != first[1][0].content:
            raise InputError(
                f"series {group.number} ({one_line(frames[0].text('ImageType'))}) and series {first[2].number} "
                f"({one_line(first[1][0].text('ImageType'))}) hold images of different kinds; choose those of one kind "
                "with --flip-angles"
            )
    grid = grid_of(first[1])
    for _, frames, group in volumes[1:]:
        check = grid_of(frames)
        try:
            check_uniform([first[1][0], *frames], (("RepetitionTime", 1), ("EchoTime", 1), ("Rows", 1), ("Columns", 1)))
        except InputError as error:
            raise InputError(f"series {group.number} does not fit series {first[2].number}: {error}") from error
        if not grid.same_as(check):
            raise InputError(
                f"series {group.number} does not lie where series {first[2].number} does; all flip angles must have "
                "the same slices"
            )
    repetition_time = first[1][0].number("RepetitionTime")
    if not repetition_time or repetition_time < 0:
        raise InputError(f"{first[1][0].named} has no RepetitionTime (0018,0080)")
    images = [frame for _, frames, _ in volumes for frame in frames]
    private = _has_philips_scale(images)
    warnings = [note for group in groups for note in group.notes]
    if of_other_study(groups, study_uid):
        warnings.append(
            "the flip angles are of another study than the dynamic series; they are read as they were named"
        )
    if private:
        warnings.append(f"values are scaled by {PHILIPS_SCALE}")
    return FlipAngleSeries(
        frames=LazyFrames([frames for _, frames, _ in volumes], private),
        flip_angles_deg=np.array([angle for angle, _, _ in volumes]),
        repetition_time_ms=repetition_time,
        ijk_to_ras=grid.ijk_to_ras,
        source_hash=hash_of(*groups),
        source_files=sum(len(group.files) for group in groups),
        warnings=tuple(warnings),
    )


def _angles_of(group: Group) -> list[tuple[float, list[Frame], Group]]:
    """The volumes of a group, one per flip angle, slice by slice."""
    _check_whole(group)
    frames, _ = without_localizer(group.frames)
    _check_in_all_or_none(frames, _RESCALING)
    by_angle: dict[float, list[Frame]] = {}
    for frame in frames:
        angle = frame.number("FlipAngle")
        if not angle or not 0 < angle < 180:
            raise InputError(f"{frame.named} has no usable FlipAngle (0018,1314)")
        by_angle.setdefault(angle, []).append(frame)
    found = []
    for angle, images in by_angle.items():
        grid = grid_of(images)
        if grid.counts.max() > 1:
            raise InputError(
                f"series {group.number} has {grid.counts.max()} images of a slice at {angle:g} degrees; one is needed"
            )
        found.append((angle, [images[n] for n in np.argsort(grid.slice_of)], group))
    return found
