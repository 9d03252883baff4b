"""A folder of DICOM files to a dynamic series, with times that can be trusted; and a series to DICOM files.

Times are never made up. Each tag that could hold them is a candidate; one is accepted when it gives every file of a
frame its place, increases, agrees with the order of the files and is not the repetition time in disguise. The first
that passes is used, the others are kept with the reason against them.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import itertools
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from .errors import Cancelled, InputError
from .series import DynamicSeries, Progress, Sourced
from .tables import one_line

FloatArray = npt.NDArray[np.float64]

_MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
_IMPLEMENTATION_UID = "2.25.286317905470120934728519036627124801953"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_SLICE_MM = 0.1
_SHORTEST_FRAME_TIME_S = 0.2

_ACQUISITION_TAGS = {
    "repetition_time_ms": ("RepetitionTime", "(0018,0080)"),
    "echo_time_ms": ("EchoTime", "(0018,0081)"),
    "flip_angle_deg": ("FlipAngle", "(0018,1314)"),
    "field_strength_T": ("MagneticFieldStrength", "(0018,0087)"),
    "agent": ("ContrastBolusAgent", "(0018,0010)"),
    "manufacturer": ("Manufacturer", "(0008,0070)"),
}


@dataclass(frozen=True)
class _Candidate:
    """A tag that may hold the frame times, and how to read seconds from it."""

    name: str
    seconds: Callable[[Dataset], float | None]


def read_series(folder: Path, series: str | None = None, progress: Progress | None = None) -> DynamicSeries:
    """Read the dynamic series of single-frame MR files in a folder and its sub-folders.

    Parameters
    ----------
    folder : is searched through; files that are not DICOM images are passed over.
    series : series number or series instance UID; needed when the folder holds more than one.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Raises
    ------
    InputError
        naming what is missing or contradictory: no image, several series, missing slices, mixed geometry, no usable
        times.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    files = _choose_series(_read_files(folder, progress), folder, series)
    chosen = [file.dataset for file in files]
    _check_uniform(chosen)
    positions, order = _slices(chosen)
    by_slice = [[dataset for dataset, n in zip(chosen, order, strict=True) if n == k] for k in range(len(positions))]
    _check_complete(by_slice, positions)
    times_s, frames_of_slices, time_source, rejected, warnings = _resolve_times(by_slice)
    frames = [np.stack([_pixels(frames_of_slices[k][t]) for k in range(len(positions))]) for t in range(len(times_s))]
    return DynamicSeries(
        frames=frames,
        times_s=times_s,
        ijk_to_ras=_ijk_to_ras(chosen[0], positions),
        acquisition=_acquisition(chosen[0]),
        time_source=time_source,
        times_rejected=tuple(rejected),
        warnings=tuple(warnings),
        source_hash=hashlib.sha256("".join(sorted(file.sha256 for file in files)).encode()).hexdigest(),
        source_files=len(files),
    )


@dataclass(frozen=True)
class _File:
    """A DICOM image and the hash of its file."""

    dataset: Dataset
    sha256: str


def _read_files(folder: Path, progress: Progress | None) -> list[_File]:
    """All DICOM MR images below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = []
    for index, path in enumerate(paths):
        if progress and index % 64 == 0 and not progress(index / len(paths), "Reading DICOM files"):
            raise Cancelled
        content = path.read_bytes()
        try:
            dataset = pydicom.dcmread(io.BytesIO(content))
        except InvalidDicomError:
            continue
        if "PixelData" in dataset and dataset.get("Modality") == "MR" and "ImagePositionPatient" in dataset:
            files.append(_File(dataset, hashlib.sha256(content).hexdigest()))
    if not files:
        raise InputError(f"{folder} holds no MR image in DICOM format ({len(paths)} files looked at)")
    return files


def _choose_series(files: list[_File], folder: Path, wanted: str | None) -> list[_File]:
    by_uid: dict[str, list[_File]] = {}
    for file in files:
        by_uid.setdefault(str(file.dataset.get("SeriesInstanceUID", "")), []).append(file)
    numbers = {uid: str(members[0].dataset.get("SeriesNumber") or "?") for uid, members in by_uid.items()}
    if wanted is not None:
        by_uid = {uid: members for uid, members in by_uid.items() if wanted in (uid, numbers[uid])}
        if not by_uid:
            raise InputError(f"{folder} has no series {wanted!r}; it has {', '.join(numbers.values())}")
    if len(by_uid) > 1:
        ambiguous = len({numbers[uid] for uid in by_uid}) < len(by_uid)
        named = "; ".join(
            f"number {numbers[uid]} {str(members[0].dataset.get('SeriesDescription', 'unnamed'))!r} "
            f"({len(members)} files{f', UID {uid}' if ambiguous else ''})"
            for uid, members in by_uid.items()
        )
        raise InputError(
            f"{folder} holds {len(by_uid)} series: {named}; choose one with --series {'UID' if ambiguous else 'NUMBER'}"
        )
    return next(iter(by_uid.values()))


def _numbers(dataset: Dataset, keyword: str, count: int) -> list[float]:
    """The values of a numeric attribute; empty when it is absent or blank.

    Raises
    ------
    InputError
        naming the image and the attribute when there are more or fewer, or one is no finite number.
    """
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return []
        listed = [float(item) for item in (value if isinstance(value, MultiValue) else [value])]
    except (TypeError, ValueError) as error:
        raise InputError(f"{_named(dataset)}: {keyword} is not a number ({error})") from error
    if len(listed) != count or not np.isfinite(listed).all():
        found = "\\".join(f"{item:g}" for item in listed)
        raise InputError(f"{_named(dataset)}: {keyword} is {found}, {count} finite numbers are needed")
    return listed


def _number(dataset: Dataset, keyword: str) -> float | None:
    values = _numbers(dataset, keyword, 1)
    return values[0] if values else None


def _required(dataset: Dataset, keyword: str, count: int) -> FloatArray:
    values = _numbers(dataset, keyword, count)
    if not values:
        raise InputError(f"{_named(dataset)} has no {keyword}")
    return np.array(values)


def _named(dataset: Dataset) -> str:
    return f"image {dataset.get('InstanceNumber', '?')} of series {dataset.get('SeriesNumber', '?')}"


def _check_uniform(datasets: list[Dataset]) -> None:
    """Refuse a series whose images were not all acquired alike."""
    for keyword, count in (
        ("Rows", 1),
        ("Columns", 1),
        ("PixelSpacing", 2),
        ("ImageOrientationPatient", 6),
        ("RepetitionTime", 1),
        ("EchoTime", 1),
        ("FlipAngle", 1),
    ):
        first = _numbers(datasets[0], keyword, count)
        for dataset in datasets:
            other = _numbers(dataset, keyword, count)
            if len(other) != len(first) or np.abs(np.subtract(other, first)).max(initial=0.0) > 1e-3:
                raise InputError(
                    f"the series mixes images of different {keyword}: {_spelled(first)} in {_named(datasets[0])}, "
                    f"{_spelled(other)} in {_named(dataset)}; choose files of one acquisition"
                )


def _spelled(values: list[float]) -> str:
    return "\\".join(f"{value:g}" for value in values) or "none"


def _slices(datasets: list[Dataset]) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Positions of the slices in order, (K, 3) in LPS mm, and for each file the slice it belongs to."""
    orientation = _required(datasets[0], "ImageOrientationPatient", 6)
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.array([_required(dataset, "ImagePositionPatient", 3) for dataset in datasets])
    along = positions @ normal
    by_position = np.argsort(along, kind="stable")
    begins = np.concatenate(([True], np.diff(along[by_position]) > _SAME_SLICE_MM))
    order = np.empty(len(datasets), dtype=np.intp)
    order[by_position] = np.cumsum(begins) - 1
    of_slice = positions[by_position[begins]]
    steps = np.diff(of_slice @ normal)
    if steps.size > 1 and steps.max() - steps.min() > 0.02 * np.median(steps):
        widest = int(np.argmax(np.abs(steps - np.median(steps))))
        raise InputError(
            f"the slices are not evenly spaced: {steps[widest]:g} mm between slices {widest + 1} and {widest + 2} (at "
            f"{_point(of_slice[widest])} and {_point(of_slice[widest + 1])} mm), {np.median(steps):g} mm elsewhere; a "
            "slice may be missing"
        )
    return of_slice, order


def _check_complete(by_slice: list[list[Dataset]], positions: FloatArray) -> None:
    counts = [len(files) for files in by_slice]
    if len(set(counts)) > 1:
        usual = max(set(counts), key=counts.count)
        odd = next(k for k, count in enumerate(counts) if count != usual)
        raise InputError(
            f"the series is incomplete: slice {odd + 1} of {len(counts)} (at {_point(positions[odd])} mm) has "
            f"{counts[odd]} images, the others have {usual}"
        )


class _Rejected(Exception):
    """Why a tag does not hold the frame times."""


def _seconds_from(keyword: str, unit_s: float) -> Callable[[Dataset], float | None]:
    def seconds(dataset: Dataset) -> float | None:
        try:
            value = _number(dataset, keyword)
        except InputError as error:
            raise _Rejected(str(error)) from error
        return None if value is None else value * unit_s

    return seconds


def _clock(date_keyword: str, time_keyword: str) -> Callable[[Dataset], float | None]:
    """Seconds of a DICOM date and time; of the time alone where there is no date."""

    def seconds(dataset: Dataset) -> float | None:
        day, clock = (str(dataset.get(keyword) or "") for keyword in (date_keyword, time_keyword))
        if not clock:
            return None
        try:
            whole, _, fraction = clock.partition(".")
            hours, minutes, secs = int(whole[:2]), int(whole[2:4] or 0), int(whole[4:6] or 0)
            days = datetime.date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal() if day else 0
            return days * 86400.0 + hours * 3600.0 + minutes * 60.0 + secs + float(f"0.{fraction or 0}")
        except ValueError as error:
            raise _Rejected(f"{_named(dataset)}: {day} {clock} is no date and time") from error

    return seconds


_CANDIDATES = (
    _Candidate("TriggerTime (0018,1060)", _seconds_from("TriggerTime", 0.001)),
    _Candidate("AcquisitionTime (0008,0032)", _clock("AcquisitionDate", "AcquisitionTime")),
    _Candidate("ContentTime (0008,0033)", _clock("ContentDate", "ContentTime")),
)


def _resolve_times(
    by_slice: list[list[Dataset]],
) -> tuple[FloatArray, list[list[Dataset]], str, list[str], list[str]]:
    """Times in s from the first frame, the files of each slice in time order, the tag, the rejected, warnings."""
    accepted: tuple[FloatArray, list[list[Dataset]], str, list[str]] | None = None
    rejected: list[str] = []
    for candidate in _CANDIDATES:
        try:
            times_s, ordered, warnings = _try_candidate(candidate, by_slice)
        except _Rejected as reason:
            rejected.append(f"{candidate.name}: {reason}")
            continue
        if accepted is None:
            accepted = (times_s, ordered, candidate.name, warnings)
            continue
        difference = float(np.abs(times_s - accepted[0]).max())
        rejected.append(f"{candidate.name}: not needed, {accepted[2]} comes first; they differ by {difference:.3g} s")
        if difference > 0.1 * float(np.median(np.diff(accepted[0]))):
            accepted[3].append(
                f"{accepted[2]} and {candidate.name} disagree by up to {difference:.3g} s; {accepted[2]} is used"
            )
    if accepted is None:
        raise InputError("the series has no usable frame times. Looked at " + "; ".join(rejected))
    times_s, ordered, name, warnings = accepted
    return times_s, ordered, name, rejected, warnings


def _try_candidate(
    candidate: _Candidate, by_slice: list[list[Dataset]]
) -> tuple[FloatArray, list[list[Dataset]], list[str]]:
    ordered, columns, warnings = [], [], []
    numbering = _numbering(by_slice)
    for files in by_slice:
        values = [candidate.seconds(dataset) for dataset in files]
        seconds = np.array([math.nan if value is None else value for value in values])
        missing = np.flatnonzero(~np.isfinite(seconds))
        if missing.size == len(files):
            raise _Rejected("absent")
        if missing.size:
            seconds[missing] = _value_before_the_first(files, seconds, missing, numbering)
            warnings = [f"{candidate.name} is absent in the first frame; taken as one regular step before the second"]
        rank = np.argsort(seconds, kind="stable")
        seconds, files = seconds[rank], [files[n] for n in rank]
        same = np.flatnonzero(np.diff(seconds) <= 0)
        if same.size:
            _reject_repeated(seconds, int(same[0]))
        _check_order(files, numbering)
        ordered.append(files)
        columns.append(seconds)
    table = np.array(columns)
    times_s = table.min(axis=0)
    if np.any(table.max(axis=0)[:-1] >= times_s[1:]):
        frame = int(np.flatnonzero(table.max(axis=0)[:-1] >= times_s[1:])[0])
        raise _Rejected(f"slices of frame {frame + 1} are later than the start of frame {frame + 2}")
    times_s = times_s - times_s[0]
    if times_s.size > 1:
        _check_plausible(times_s, ordered[0][0])
    return times_s, ordered, warnings


def _value_before_the_first(
    files: list[Dataset], seconds: FloatArray, missing: npt.NDArray[np.intp], numbering: str
) -> float:
    """The time of a first frame that has none, when all the others are regular."""
    if missing.size > 1:
        raise _Rejected(f"absent in {missing.size} of {len(files)} frames")
    present = np.sort(seconds[np.isfinite(seconds)])
    steps = np.diff(present)
    if steps.size < 2 or steps.max() - steps.min() > 0.01 * steps.mean():
        raise _Rejected("absent in one frame, and the others are not regular")
    if not numbering:
        raise _Rejected("absent in one frame, and the images carry no numbers that would tell which")
    if _number(files[missing[0]], numbering) != min(_number(dataset, numbering) or 0.0 for dataset in files):
        raise _Rejected("absent in a frame that is not the first")
    return float(present[0] - steps.mean())


def _reject_repeated(seconds: FloatArray, index: int) -> None:
    distinct = len(np.unique(seconds))
    if distinct == 1:
        raise _Rejected(f"the same in all {len(seconds)} frames")
    raise _Rejected(
        f"{len(seconds)} frames but {distinct} distinct times (frames {index + 1} and {index + 2} are both "
        f"{seconds[index] - seconds[0]:g} s after the first)"
    )


def _numbering(by_slice: list[list[Dataset]]) -> str:
    """The attribute by which the scanner numbered the frames; empty when no attribute numbers all images."""
    for keyword in ("TemporalPositionIdentifier", "InstanceNumber"):
        if all(_number(dataset, keyword) is not None for files in by_slice for dataset in files):
            return keyword
    return ""


def _check_order(files: list[Dataset], numbering: str) -> None:
    if not numbering:
        return
    numbers = [_number(dataset, numbering) or 0.0 for dataset in files]
    for before, after in itertools.pairwise(numbers):
        if after < before:
            raise _Rejected(
                f"does not increase: number {after:g} comes after number {before:g} by this tag but before it by the "
                f"scanner's numbering ({numbering})"
            )


def _check_plausible(times_s: FloatArray, dataset: Dataset) -> None:
    step = float(np.median(np.diff(times_s)))
    repetition_time_s = (_number(dataset, "RepetitionTime") or 0.0) / 1000.0
    if repetition_time_s and abs(step - repetition_time_s) < 0.01 * repetition_time_s:
        raise _Rejected(f"its step of {step * 1000:g} ms is the repetition time, not a frame time")
    if step < _SHORTEST_FRAME_TIME_S:
        raise _Rejected(f"its step of {step:g} s is too short for a frame; the unit may be wrong")


def _pixels(dataset: Dataset) -> npt.NDArray[np.generic]:
    try:
        pixels = dataset.pixel_array
    except (AttributeError, NotImplementedError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{_named(dataset)} cannot be decoded: {reason}") from error
    if pixels.shape != (dataset.Rows, dataset.Columns):
        raise InputError(
            f"{_named(dataset)} is not a single gray image: its pixels have the shape "
            f"{'x'.join(str(n) for n in pixels.shape)}"
        )
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    if slope not in (None, 1.0) or intercept not in (None, 0.0):
        pixels = pixels * (1.0 if slope is None else slope) + (intercept or 0.0)
        if np.abs(pixels).max() > np.finfo(np.float32).max:
            raise InputError(f"{_named(dataset)}: RescaleSlope {slope:g} makes its values too large")
        return np.asarray(pixels, dtype=np.float32)
    return np.asarray(pixels)


def _ijk_to_ras(dataset: Dataset, positions: FloatArray) -> FloatArray:
    """Voxel index (i, j, k) to RAS, from the positions of first and last slice (DICOM PS3.3 C.7.6.2.1.1)."""
    orientation = _required(dataset, "ImageOrientationPatient", 6)
    row_mm, column_mm = _required(dataset, "PixelSpacing", 2)
    matrix = np.eye(4)
    matrix[:3, 0] = orientation[:3] * column_mm
    matrix[:3, 1] = orientation[3:] * row_mm
    if len(positions) > 1:
        matrix[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    else:
        thickness = _number(dataset, "SpacingBetweenSlices") or _number(dataset, "SliceThickness") or 1.0
        matrix[:3, 2] = np.cross(orientation[:3], orientation[3:]) * thickness
    matrix[:3, 3] = positions[0]
    if min(row_mm, column_mm) <= 0 or abs(np.linalg.det(matrix)) < 1e-6:
        raise InputError(f"{_named(dataset)}: PixelSpacing and ImageOrientationPatient do not span a grid")
    return _LPS_TO_RAS @ matrix


def _acquisition(dataset: Dataset) -> dict[str, Sourced]:
    found: dict[str, Sourced] = {}
    for name, (keyword, tag) in _ACQUISITION_TAGS.items():
        value: float | str | None
        if name in ("agent", "manufacturer"):
            value = one_line(str(dataset.get(keyword) or "")) or None
        else:
            value = _number(dataset, keyword) or None
        if value is not None:
            found[name] = Sourced(value, f"DICOM {keyword} {tag}")
    return found


def _point(position: FloatArray) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in position) + ")"


def write_series(
    series: DynamicSeries,
    folder: Path,
    patient: str = "PHANTOM",
    description: str = "DCE phantom",
    progress: Progress | None = None,
) -> None:
    """Write a series as single-frame MR files in the manner of GE: one series, TriggerTime per frame.

    The same series gives the same bytes. Frames must hold 16-bit integers.

    Parameters
    ----------
    series : to write.
    folder : is made; files are named frame and slice.
    patient : name and ID of the patient; unique identifiers are derived from it and from `description`.
    progress : called with the fraction done and what is being done; a return of False cancels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    template = _template(series, patient, description)
    matrix = _LPS_TO_RAS @ series.ijk_to_ras
    slices, rows, columns = series.shape
    template.Rows, template.Columns = rows, columns
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    template.PixelSpacing = _decimals((spacing[1], spacing[0]))
    template.SliceThickness = template.SpacingBetweenSlices = _decimals((spacing[2],))[0]
    template.ImageOrientationPatient = _decimals((*(matrix[:3, 0] / spacing[0]), *(matrix[:3, 1] / spacing[1])))
    for t, frame in enumerate(series.frames):
        if progress and not progress(t / len(series.frames), "Writing DICOM files"):
            raise Cancelled
        if frame.dtype not in (np.uint16, np.int16):
            raise ValueError(f"frame {t + 1} holds {frame.dtype}; DICOM files need 16-bit integers")
        for k in range(slices):
            instance = t * slices + k + 1
            dataset = template
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = _uid(
                patient, description, str(instance)
            )
            dataset.InstanceNumber = instance
            dataset.TemporalPositionIdentifier = t + 1
            dataset.TriggerTime = _decimals((series.times_s[t] * 1000.0,))[0]
            dataset.ImagePositionPatient = _decimals(matrix[:3, 3] + k * matrix[:3, 2])
            dataset.PixelRepresentation = int(frame.dtype == np.int16)
            dataset.PixelData = np.ascontiguousarray(frame[k]).astype(frame.dtype.newbyteorder("<")).tobytes()
            _save(dataset, folder / f"frame{t + 1:04d}_slice{k + 1:03d}.dcm")


def _template(series: DynamicSeries, patient: str, description: str) -> Dataset:
    """The attributes that all files of a written series share (DICOM PS3.3 A.4, MR Image IOD)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = _MR_IMAGE_STORAGE
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = _IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = "DCEPERFUSIONBMD"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.SOPClassUID = _MR_IMAGE_STORAGE
    for keyword in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{keyword}Date", "20190101")
        setattr(dataset, f"{keyword}Time", "120000")
    dataset.Modality = "MR"
    dataset.Manufacturer = "GE MEDICAL SYSTEMS"
    dataset.ManufacturerModelName = "DCEPerfusionBMD phantom"
    dataset.StudyDescription = "Lumbar spine"
    dataset.SeriesDescription = description
    dataset.PatientName = dataset.PatientID = patient
    dataset.BodyPartExamined = "LSPINE"
    dataset.PatientPosition = "HFS"
    dataset.ScanningSequence = "GR"
    dataset.SequenceVariant = "SP"
    dataset.ScanOptions = "CG"  # the standard allows TriggerTime, which GE writes per phase, with gating only
    dataset.MRAcquisitionType = "3D"
    dataset.EchoTrainLength = 1
    dataset.StudyInstanceUID = _uid(patient, "study")
    dataset.SeriesInstanceUID = _uid(patient, description)
    dataset.FrameOfReferenceUID = _uid(patient, "frame of reference")
    dataset.SeriesNumber = 1
    dataset.NumberOfTemporalPositions = len(series.frames)
    for keyword in (
        "AccessionNumber",
        "ContrastBolusAgent",
        "PatientBirthDate",
        "PatientSex",
        "PositionReferenceIndicator",
        "ReferringPhysicianName",
        "StudyID",
    ):
        setattr(dataset, keyword, "")
    for name, (keyword, _) in _ACQUISITION_TAGS.items():
        if name in series.acquisition:
            value: Any = series.acquisition[name].value
            setattr(dataset, keyword, value if isinstance(value, str) else _decimals((value,))[0])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    return dataset


def _decimals(values: Sequence[float] | FloatArray) -> list[str]:
    """Numbers as DICOM decimal strings of at most 16 characters."""
    return [format_number_as_ds(float(value) + 0.0) for value in values]


def _uid(*names: str) -> str:
    """A unique identifier that depends on the names alone (DICOM PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(names)).int}"


def _save(dataset: Dataset, path: Path) -> None:
    if int(pydicom.__version__.split(".")[0]) >= 3:
        dataset.save_as(path, enforce_file_format=True)
    else:  # Slicer 5.10
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)
