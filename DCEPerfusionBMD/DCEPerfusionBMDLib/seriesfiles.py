"""NRRD and NIfTI files, 4-D or a folder of 3-D ones, to a dynamic series.

Voxels stay in the type and the order of the file: a frame is a view of it, or is read when it is asked for. Times and
acquisition values come from what the file says and from a JSON file beside it (as in BIDS), never from a guess. The
order in which times are looked for:

1. the user's,
2. `VolumeTiming`, then `FrameTimesStart` of the JSON file; `AcquisitionTime` of each file's own, for a folder,
3. the index values of a `.seq.nrrd`, if their unit is one of time,
4. `MultiVolume.FrameLabels`,
5. the spacing of a NRRD file's time axis, if its unit is one of time,
6. `RepetitionTime` of the JSON file, which BIDS defines as the time from one volume to the next,
7. `pixdim[4]` of a NIfTI file, if `xyzt_units` says what it is.

Programs write the repetition time of the sequence, some ms, into 6 and 7; such a step is refused, and 6 wherever
dcm2niix wrote it. For acquisition
values, the JSON file goes before the header, since it is what a user can edit.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .frames import Frames, attribute_acquisition, parsed, positive, same_grid, series_of
from .series import DynamicSeries, Sourced
from .stacks import SUFFIXES, Stack, detached_data, read_stack
from .tables import one_line
from .times import Candidate
from .volumefiles import nrrd_header

_LONGEST_REPETITION_TIME_S = 0.2
_TOO_LONG_S = {"RepetitionTime": 1.0, "RepetitionTimeExcitation": 1.0, "EchoTime": 0.2}
"""For the sequence of a dynamic series; such a value is one in ms."""


def read_file(path: Path, times: str | None = None, skip_frames: int = 0) -> DynamicSeries:
    """Read a dynamic series from a file that is not DICOM, or from a folder of such files.

    Parameters
    ----------
    path : `.seq.nrrd`, `.seq.nhdr`, `.nrrd` or `.nhdr` with a list or time axis, first or last; 4-D `.nii` or
        `.nii.gz`; or a folder of 3-D ones of equal geometry, in the order of their names, numbers taken as numbers.
    times : as `times.times_of_user`, for all frames of the file; goes before what the files say.
    skip_frames : leading frames to leave out, e.g. before the steady state.

    Returns
    -------
    The series; frames are views of the file, or are read when they are asked for.

    Raises
    ------
    InputError
        naming the file and what is wrong: damaged, no series, orientation not given, mixed geometry, no usable times.

    References
    ----------
    The NRRD format, teem.sourceforge.net/nrrd/format.html; NIfTI-1 and NIfTI-2, nifti.nimh.nih.gov; BIDS 1.10, MRI
    common metadata fields.
    """
    if path.is_dir():
        stack = _folder(path)
    elif path.is_file():
        stack = read_stack(path)
        if stack.count == 1:
            raise InputError(f"{path.name} is a single volume; give a 4-D file, or a folder with one file per frame")
    else:
        raise InputError(f"the file {path} does not exist")
    beside = _side_car(path)
    files = [*stack.files, *_side_cars([path])]
    lists, steps = _side_car_candidates(beside, stack.count)
    return series_of(
        Frames(stack.count, stack.read, stack.keep),
        stack.ijk_to_ras,
        [*lists, *stack.candidates, *steps, *stack.last_candidates],
        {**attribute_acquisition(stack.attributes), **stack.acquisition, **_side_car_acquisition(beside)},
        times,
        skip_frames,
        path.name,
        stack.warnings,
        hash_of_files(files),
        len(files),
    )


def hash_of_files(files: Sequence[Path]) -> str:
    """SHA-256 over files, whatever their order.

    Parameters
    ----------
    files : to be read whole; their names do not count.

    Returns
    -------
    64 hexadecimal digits, of the sorted hashes of the files.

    Raises
    ------
    OSError
        when one cannot be read.
    """
    hashes = []
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        hashes.append(digest.hexdigest())
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


# ---- a folder of volumes


def _folder(folder: Path) -> Stack:
    paths = sorted(
        (path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(SUFFIXES)), key=_natural
    )
    paths = [path for path in paths if not path.name.startswith(".")]
    if len(paths) < 2:
        raise InputError(
            f"{folder} holds {len(paths)} NRRD or NIfTI files; a series needs one per frame (a folder of DICOM is "
            "given with --dicom)"
        )
    _check_names(folder, paths)
    first = read_stack(paths[0])
    files: list[Path] = []
    for path in paths:
        volume = read_stack(path)
        files += volume.files
        if volume.count > 1:
            raise InputError(
                f"{path.name} in {folder.name} holds {volume.count} frames; give that file, not the folder"
            )
        if volume.shape != first.shape or not same_grid(first.ijk_to_ras, volume.ijk_to_ras):
            raise InputError(
                f"{path.name} does not lie on the grid of {paths[0].name}; a series has one grid, so take out what "
                "does not belong to it or resample it"
            )
        types = [np.issubdtype(of.read(0).dtype, np.floating) for of in (first, volume)]
        if types[0] != types[1]:
            kinds = ["fractions" if fractions else "whole numbers" for fractions in types]
            raise InputError(
                f"{path.name} holds {kinds[1]} and {paths[0].name} {kinds[0]}; a series is of one type, so take out "
                "what does not belong to it or convert it"
            )
    cars = [_side_car(path) for path in paths]
    acquisitions = [_side_car_acquisition(car, single=True) for car in cars]
    for path, acquisition in zip(paths, acquisitions, strict=True):
        if acquisition != acquisitions[0]:
            raise InputError(f"the JSON files beside {path.name} and {paths[0].name} give different acquisition values")
    candidates = []
    if all("AcquisitionTime" in car for car in cars):
        clocks, against = parsed([str(_seconds_of_day(str(car["AcquisitionTime"]))) for car in cars])
        candidates.append(Candidate("AcquisitionTime of the JSON files", clocks, against, clock=True))
    return Stack(
        len(paths),
        lambda number: read_stack(paths[number]).read(0),
        first.shape,
        first.ijk_to_ras,
        tuple(dict.fromkeys([*files, *_side_cars(paths)])),
        first.attributes,
        acquisitions[0],
        tuple(candidates),
        warnings=first.warnings,
        keep=2,
    )


def _check_names(folder: Path, paths: Sequence[Path]) -> None:
    """Refuse names that differ in more than their numbers: maps and segmentations lie beside frames, on their grid."""
    forms = [re.sub(r"\d+", "#", path.name.lower()) for path in paths]
    usual = max(forms, key=forms.count)
    odd = [path.name for path, form in zip(paths, forms, strict=True) if form != usual]
    if odd:
        like = paths[forms.index(usual)].name
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise InputError(
            f"{', '.join(odd[:3])}{more} in {folder.name} may be no frame beside {like}; the names of the frames of a "
            "series may differ in their numbers only, so take out what does not belong to it or rename it"
        )
    for one, other in itertools.pairwise(paths):
        if _natural(one) == _natural(other):
            raise InputError(f"{one.name} and {other.name} in {folder.name} have the same number; rename one of them")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts names with their numbers taken as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _seconds_of_day(text: str) -> float:
    """Seconds of `HH:MM:SS.ffffff`; NaN where it is none."""
    match = re.fullmatch(r"(\d{1,2}):(\d{2}):(\d{2}(?:\.\d*)?)", text.strip())
    return math.nan if match is None else int(match[1]) * 3600.0 + int(match[2]) * 60.0 + float(match[3])


# ---- JSON side-cars


def _side_car_path(path: Path) -> Path:
    suffix = next((end for end in SUFFIXES if path.name.lower().endswith(end)), "")
    return path.parent / f"{path.name[: len(path.name) - len(suffix)]}.json"


def _side_cars(paths: Sequence[Path]) -> list[Path]:
    """The JSON files beside volumes, which are inputs as these are."""
    return [beside for beside in map(_side_car_path, paths) if beside.is_file()]


def files_beside(path: Path, volumes: bool) -> list[Path]:
    """The files that are read together with a file or folder; each counts as an input, as does that it is not there.

    Parameters
    ----------
    path : of a volume, of a folder of them, or of anything else.
    volumes : whether it is read by `read_file`, with the JSON file beside it.

    Returns
    -------
    Its JSON file and the detached data of a NRRD file, there or not.

    Raises
    ------
    OSError
        when it cannot be read.
    """
    beside = [_side_car_path(path)] if volumes else []
    if path.name.lower().endswith((".nrrd", ".nhdr")):
        data = detached_data(path, nrrd_header(path))
        beside += [data] if data is not None else []
    return beside


def _side_car(path: Path) -> Mapping[str, Any]:
    """The JSON file beside a volume or a folder; empty where there is none."""
    beside = _side_car_path(path)
    if not beside.is_file():
        return {}
    try:
        content = json.loads(beside.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"cannot read {beside.name} beside {path.name}: {error}; correct it or take it away"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{beside.name} beside {path.name} is no JSON object; correct it or take it away")
    return content


def _side_car_candidates(car: Mapping[str, Any], count: int) -> tuple[list[Candidate], list[Candidate]]:
    """The lists of times, and the step, which is less to be trusted."""
    lists = []
    for key in ("VolumeTiming", "FrameTimesStart"):
        if key in car:
            value = car[key] if isinstance(car[key], list) else [car[key]]
            seconds, against = parsed([str(item) for item in value])
            lists.append(Candidate(f"{key} of the JSON file", seconds, against))
    step = _json_number(car, "RepetitionTime")
    if step is None:
        return lists, []
    name = "RepetitionTime of the JSON file"
    note = f"the frame times come from {name}; check that it is the time from one volume to the next"
    against = "dcm2niix writes that of the sequence there" if _by_dcm2niix(car) else ""
    return lists, [Candidate(name, np.arange(float(count)) * step, against, note=note)]


def _by_dcm2niix(car: Mapping[str, Any]) -> bool:
    """Whether dcm2niix wrote the file, whose `RepetitionTime` is DICOM's (0018,0080), not that of BIDS."""
    return "dcm2niix" in str(car.get("ConversionSoftware", "")).lower()


def _side_car_acquisition(car: Mapping[str, Any], single: bool = False) -> dict[str, Sourced]:
    """Acquisition values; times are in s (BIDS 1.10, MRI common metadata fields).

    `RepetitionTime` of a series is the time from one volume to the next, except where it is too short for that: then,
    for a single volume, and where dcm2niix wrote it, it is that of the sequence.
    """
    found: dict[str, Sourced] = {}
    step = _json_number(car, "RepetitionTime")
    excitation = "RepetitionTimeExcitation"
    of_sequence = single or _by_dcm2niix(car) or (step is not None and step < _LONGEST_REPETITION_TIME_S)
    if excitation not in car and step is not None and of_sequence:
        excitation = "RepetitionTime"
    for name, key, factor in (
        ("repetition_time_ms", excitation, 1000.0),
        ("echo_time_ms", "EchoTime", 1000.0),
        ("flip_angle_deg", "FlipAngle", 1.0),
        ("field_strength_T", "MagneticFieldStrength", 1.0),
    ):
        value = _json_number(car, key)
        if value is not None and value >= _TOO_LONG_S.get(key, math.inf):
            raise InputError(
                f"{key} of the JSON file is {value:g}, too long for a dynamic series; BIDS gives it in s, so correct "
                "it or take it out"
            )
        if value is not None:
            found[name] = Sourced(value * factor, f"{key} of the JSON file")
    for name, key in (("agent", "ContrastBolusIngredient"), ("manufacturer", "Manufacturer")):
        text = one_line(str(car.get(key) or ""))
        if text:
            found[name] = Sourced(text, f"{key} of the JSON file")
    return found


def _json_number(car: Mapping[str, Any], key: str) -> float | None:
    value = car.get(key)
    if value is None:
        return None
    if isinstance(value, (bool, list, dict)):
        raise InputError(f"{key} of the JSON file is {value!r}; a number is needed")
    return positive(str(value), f"{key} of the JSON file")
