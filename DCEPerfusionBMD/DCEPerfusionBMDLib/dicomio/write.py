"""A dynamic series to single-frame DICOM files."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from ..errors import Cancelled
from ..series import DynamicSeries, Progress
from .frames import ACQUISITION_TAGS, LPS_TO_RAS

FloatArray = npt.NDArray[np.float64]

_MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
_IMPLEMENTATION_UID = "2.25.286317905470120934728519036627124801953"


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
    description : of the series.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Raises
    ------
    ValueError
        when a frame holds another type than 16-bit integers.
    Cancelled
        when `progress` asks for it.

    References
    ----------
    DICOM PS3.3 A.4 (MR Image IOD), PS3.5 B.2 (identifiers from UUIDs).
    """
    folder.mkdir(parents=True, exist_ok=True)
    template = _template(series, patient, description)
    matrix = LPS_TO_RAS @ series.ijk_to_ras
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
    for name, (keyword, form) in _PATIENT_TAGS.items():
        if name in series.patient:
            setattr(dataset, keyword, form(series.patient[name].value))
    for name, (keyword, _) in ACQUISITION_TAGS.items():
        if name in series.acquisition:
            value: Any = series.acquisition[name].value
            setattr(dataset, keyword, value if isinstance(value, str) else _decimals((value,))[0])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    return dataset


_PATIENT_TAGS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "sex": ("PatientSex", lambda sex: sex[0].upper()),
    "age_years": ("PatientAge", lambda years: f"{years:03.0f}Y"),
    "weight_kg": ("PatientWeight", lambda weight: _decimals((weight,))[0]),
}


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
