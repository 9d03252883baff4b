"""Synthetic studies as scanners of several vendors store them, with the truth, and studies that are broken on purpose.

Nothing here uses the library under test: attributes, geometry and times are written from the DICOM standard (PS3.3) and
from what is known of the vendors. All voxels are random, so that any confusion of slices or frames shows.
"""

from __future__ import annotations

import copy
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from pydicom.valuerep import format_number_as_ds

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
SR, PRESENTATION = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.11.1"

FRAMES, SLICES, ROWS, COLUMNS = 7, 4, 12, 10
STEP_S, TR_MS = 6.25, 3.9
TIMES = np.arange(FRAMES) * STEP_S
NOON, BEFORE_MIDNIGHT = 43200.0, 86400.0 - 20.0

_DAY_S = 86400.0
_SEED = 20190101
_COLUMN_MM, _ROW_MM, _SLICE_MM = 1.5, 1.7, 3.2
_ORIGIN = np.array([-71.25, -44.5, 118.75])

Array = npt.NDArray[Any]
Edit = Callable[[Dataset, int, int], object]


def _turn(axis: int, degrees: float) -> Array:
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(3)
    a, b = (n for n in range(3) if n != axis)
    matrix[[a, b], [a, b]], matrix[a, b], matrix[b, a] = cosine, -sine, sine
    return matrix


_AXES = _turn(0, 13.0) @ _turn(1, -21.0) @ _turn(2, 8.0)  # columns: along a row, down a column, from slice to slice
IJK_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.block(
    [[_AXES * [_COLUMN_MM, _ROW_MM, _SLICE_MM], _ORIGIN[:, None]], [np.zeros((1, 3)), 1.0]]
)


@dataclass(frozen=True)
class Truth:
    """What a reader must find.

    Attributes
    ----------
    source : regular expression that the source of the times must match.
    warnings : regular expressions; each must match a warning.
    may_warn : regular expression of further warnings that are no fault.
    series : to choose with, where the folder holds several dynamic series.
    scales : factors, one of which may be common to all voxels.
    """

    voxels: Array
    source: str
    times_s: Array
    ijk_to_ras: Array
    warnings: tuple[str, ...] = ()
    may_warn: str = "$^"
    series: str | None = None
    slice_offsets_s: Array | None = None
    scales: tuple[float, ...] = (1.0,)
    repetition_time_ms: float = TR_MS


def random_voxels(frames: int = FRAMES, slices: int = SLICES, seed: int = _SEED) -> Array:
    """(T, K, J, I), 12 bits."""
    return np.random.default_rng(seed).integers(0, 4096, (frames, slices, ROWS, COLUMNS)).astype(np.uint16)


def uid(*names: object) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(map(str, names))).int}"


def ds(*values: float) -> list[str] | str:
    """Decimal strings; one value is not a list."""
    texts = [format_number_as_ds(float(value) + 0.0) for value in values]
    return texts if len(texts) > 1 else texts[0]


def clock(seconds: float) -> tuple[str, str]:
    """Date and time of day; the study begins on New Year's Eve."""
    day, left = divmod(round(float(seconds), 6), _DAY_S)
    minutes, second = divmod(left, 60.0)
    return ("20191231", "20200101")[int(day)], f"{int(minutes) // 60:02d}{int(minutes) % 60:02d}{second:09.6f}"


def set_clock(dataset: Dataset, which: str, seconds: float, date: bool = True) -> None:
    day, time = clock(seconds)
    setattr(dataset, f"{which}Time", time)
    setattr(dataset, f"{which}Date", day if date else "20191231")


def common(manufacturer: str, sop_class: str, study: str = "study") -> Dataset:
    """What every file of a study has, up to the equipment."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = uid("vendors.py")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.StudyDate = dataset.SeriesDate = "20191231"
    dataset.StudyTime = dataset.SeriesTime = clock(NOON - 600)[1]
    dataset.Modality = "MR"
    dataset.Manufacturer = manufacturer
    dataset.ManufacturerModelName, dataset.DeviceSerialNumber, dataset.SoftwareVersions = "Synthetic", "1", "1"
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = "Vendors^Test", "V1", "F"
    dataset.PatientBirthDate = dataset.AccessionNumber = dataset.ReferringPhysicianName = dataset.StudyID = ""
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = uid(study), uid(study, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.BodyPartExamined, dataset.PatientPosition = "LSPINE", "HFS"
    return dataset


def template(manufacturer: str, description: str = "DCE dynamic", number: int = 5) -> Dataset:
    """An MR image without place, time and pixels (PS3.3 A.4)."""
    dataset = common(manufacturer, MR)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    for keyword in ("Acquisition", "Content"):
        set_clock(dataset, keyword, NOON)
    dataset.SeriesDescription, dataset.SeriesNumber, dataset.SeriesInstanceUID = description, number, uid(number)
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SP", ""
    dataset.MRAcquisitionType, dataset.EchoTrainLength = "3D", 1
    dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = ds(TR_MS), ds(1.7), ds(12.0)
    dataset.MagneticFieldStrength, dataset.ContrastBolusAgent = ds(3.0), "gadobutrol"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImageOrientationPatient = ds(*_AXES[:, 0], *_AXES[:, 1])
    dataset.PixelSpacing = ds(_ROW_MM, _COLUMN_MM)
    dataset.SliceThickness = dataset.SpacingBetweenSlices = ds(_SLICE_MM)
    return dataset


def position(k: float) -> list[str]:
    return list(ds(*(_ORIGIN + k * _SLICE_MM * _AXES[:, 2])))


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    """Write with the pixels (little endian words until here) in the byte order of the syntax."""
    dataset = copy.copy(dataset)
    dataset.file_meta = copy.copy(dataset.file_meta)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax if syntax != RLELossless else ExplicitVRLittleEndian
    if syntax == RLELossless:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.compress(RLELossless)
    elif syntax == ExplicitVRBigEndian and "PixelData" in dataset:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if int(pydicom.__version__.split(".")[0]) >= 3:
        dataset.save_as(path, enforce_file_format=True)
    else:  # Slicer 5.10
        dataset.is_little_endian, dataset.is_implicit_VR = (
            syntax != ExplicitVRBigEndian,
            syntax == ImplicitVRLittleEndian,
        )
        dataset.save_as(path, write_like_original=False)


def file_of(t: int, k: int, slices: int = SLICES, frames: int = FRAMES) -> str:
    """Name of the file of a frame and slice; names say nothing of the order."""
    return f"IM{np.random.default_rng(_SEED).permutation(frames * slices)[t * slices + k]:04d}"


def write(
    folder: Path,
    start: Dataset,
    edit: Edit,
    voxels: Array | None = None,
    syntax: str = ExplicitVRLittleEndian,
    names: Callable[[int, int], str] | None = None,
) -> Array:
    """One file per frame and slice; `edit(dataset, t, k)` comes last, False leaves the file out. Returns the voxels."""
    voxels = random_voxels() if voxels is None else voxels
    frames, slices = voxels.shape[:2]
    for t in range(frames):
        for k in range(slices):
            dataset = copy.deepcopy(start)
            dataset.InstanceNumber = t * slices + k + 1
            dataset.ImagePositionPatient = position(k)
            dataset.Rows, dataset.Columns = voxels.shape[2:]
            dataset.PixelData = voxels[t, k].astype("<u2").tobytes()
            dataset["PixelData"].VR = "OW"
            if edit(dataset, t, k) is False:
                continue
            dataset.SOPInstanceUID = uid(dataset.SeriesInstanceUID, t, k)
            save(dataset, folder / (names or (lambda t, k: file_of(t, k, slices, frames)))(t, k), syntax)
    return voxels


def _truth(voxels: Array, source: str, times_s: Array = TIMES, **more: Any) -> Truth:
    return Truth(voxels, source, times_s, IJK_TO_RAS, **more)


# GE: one series, milliseconds since the first phase in TriggerTime, one AcquisitionTime for all phases


def ge_template(description: str = "Ax LAVA DCE") -> Dataset:
    dataset = template("GE MEDICAL SYSTEMS", description)
    dataset.ScanOptions = ["FAST_GEMS", "CG"]  # the standard allows TriggerTime with gating only
    dataset.NumberOfTemporalPositions = FRAMES
    return dataset


def ge_tags(times_s: Array = TIMES) -> Edit:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        dataset.TriggerTime = ds(times_s[t] * 1000.0)
        dataset.TemporalPositionIdentifier = t + 1

    return edit


def ge_lava(folder: Path) -> Truth:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        del dataset.TemporalPositionIdentifier

    start = ge_template()
    del start.NumberOfTemporalPositions
    return _truth(write(folder, start, edit), "TriggerTime")


def ge_disco(folder: Path) -> Truth:
    start = ge_template("Ax DISCO DCE")
    start.add_new(0x00190010, "LO", "GEMS_ACQU_01")
    start.add_new(0x0019109C, "LO", "disco")
    start.TemporalResolution = ds(STEP_S * 1e6)
    return _truth(write(folder, start, ge_tags()), "TriggerTime", may_warn="view.shar")


def ge_first_trigger_time_missing(folder: Path) -> Truth:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        if t == 0:
            del dataset.TriggerTime
            dataset.ScanOptions = "FAST_GEMS"

    return _truth(write(folder, ge_template(), edit), "TriggerTime", warnings=("absent in the first frame",))


def ge_irregular(folder: Path) -> Truth:
    times = np.array([0.0, 15.0, 30.5, 34.5, 38.5, 43.0, 90.0])
    return _truth(write(folder, ge_template(), ge_tags(times)), "TriggerTime", times, warnings=("unevenly spaced",))


def _ge_in(syntax: str) -> Callable[[Path], Truth]:
    return lambda folder: _truth(write(folder, ge_template(), ge_tags(), syntax=syntax), "TriggerTime")


def _ge_numbered(order: Sequence[int]) -> Callable[[Path], Truth]:
    def case(folder: Path) -> Truth:
        def edit(dataset: Dataset, t: int, k: int) -> None:
            ge_tags()(dataset, t, k)
            dataset.InstanceNumber = t * SLICES + order[k] + 1

        return _truth(write(folder, ge_template(), edit), "TriggerTime")

    return case


def ge_numbered_by_slice(folder: Path) -> Truth:
    """All frames of a slice, then the next slice."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.InstanceNumber = k * FRAMES + t + 1
        del dataset.TemporalPositionIdentifier

    return _truth(write(folder, ge_template(), edit), "TriggerTime")


def identical_duplicates(folder: Path) -> Truth:
    truth = ge_lava(folder)
    (folder / "copies").mkdir()
    for n, path in enumerate(sorted(folder.glob("IM*"))[::5]):
        shutil.copy(path, folder / "copies" / f"copy{n}")
    return Truth(**{**vars(truth), "may_warn": "identical|duplicate|twice|copies"})


# Siemens: the clock of each measurement; one series, or one per measurement


def siemens_tags(start_s: float = NOON, date: bool = True, times_s: Array = TIMES) -> Edit:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        dataset.AcquisitionNumber = t + 1
        set_clock(dataset, "Acquisition", start_s + times_s[t], date)
        set_clock(dataset, "Content", start_s + times_s[t] + 3.0, date)

    return edit


def siemens_template(description: str = "t1_vibe_dynamic") -> Dataset:
    dataset = template("SIEMENS", description)
    dataset.ScanOptions, dataset.SequenceName = "PFP", "*fl3d1"
    return dataset


def siemens_one_series(folder: Path) -> Truth:
    return _truth(write(folder, siemens_template(), siemens_tags()), "AcquisitionTime")


def _siemens_series_per_phase(start_s: float, **more: Any) -> Callable[[Path], Truth]:
    def case(folder: Path) -> Truth:
        def edit(dataset: Dataset, t: int, k: int) -> None:
            siemens_tags(start_s, date=False)(dataset, t, k)
            dataset.AcquisitionNumber = 1
            dataset.InstanceNumber = k + 1
            dataset.SeriesNumber, dataset.SeriesInstanceUID = 11 + t, uid("phase", t)
            dataset.SeriesTime = clock(start_s + TIMES[t])[1]

        def name(t: int, k: int) -> str:
            return f"series{97 * (t + 3) % 11}/{file_of(t, k)}"

        voxels = write(folder, siemens_template("t1_vibe_dyn"), edit, names=name)
        return _truth(voxels, "AcquisitionTime", may_warn="one series per|joined|series of", **more)

    return case


def siemens_midnight_with_dates(folder: Path) -> Truth:
    return _truth(write(folder, siemens_template(), siemens_tags(BEFORE_MIDNIGHT)), "AcquisitionTime")


def siemens_midnight_dates_stand_still(folder: Path) -> Truth:
    voxels = write(folder, siemens_template(), siemens_tags(BEFORE_MIDNIGHT, date=False))
    return _truth(voxels, "AcquisitionTime", warnings=("midnight",))


def siemens_midnight_without_dates(folder: Path) -> Truth:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        siemens_tags(BEFORE_MIDNIGHT)(dataset, t, k)
        del dataset.AcquisitionDate, dataset.ContentDate, dataset.ContentTime

    return _truth(write(folder, siemens_template(), edit), "AcquisitionTime", warnings=("midnight",))


def two_dimensional_staggered(folder: Path) -> Truth:
    """A 2-D sequence excites the even slices, then the odd ones; each image has its own time."""
    offsets = np.array([0.0, 3.0, 1.5, 4.5])

    def edit(dataset: Dataset, t: int, k: int) -> None:
        dataset.AcquisitionNumber, dataset.MRAcquisitionType = t + 1, "2D"
        for keyword in ("Acquisition", "Content"):
            set_clock(dataset, keyword, NOON + TIMES[t] + offsets[k])

    voxels = write(folder, siemens_template("t1_fl2d_dyn"), edit)
    more = {"slice_offsets_s": offsets, "may_warn": "slices of a frame|slice times"}
    return _truth(voxels, "AcquisitionTime", **more)


def daylight_saving_with_trigger_time(folder: Path) -> Truth:
    """The clock is set back one hour after the third frame; TriggerTime goes on."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        set_clock(dataset, "Acquisition", NOON + TIMES[t] - (3600.0 if t > 2 else 0.0))

    return _truth(write(folder, ge_template(), edit), "TriggerTime")


def daylight_saving_forward(folder: Path) -> Truth:
    """The clock is set forward one hour and nothing else tells the time: the gap cannot be told from a pause."""
    times = TIMES + np.where(np.arange(FRAMES) > 2, 3600.0, 0.0)
    voxels = write(folder, siemens_template(), siemens_tags(times_s=times))
    return _truth(voxels, "AcquisitionTime", times, warnings=("unevenly spaced|hour",))


def daylight_saving_back(folder: Path) -> Truth:
    """The clock is set back one hour and nothing else tells the time; a fall of one hour is no pause."""
    voxels = write(
        folder, siemens_template(), siemens_tags(times_s=TIMES - np.where(np.arange(FRAMES) > 2, 3600.0, 0.0))
    )
    return _truth(voxels, "AcquisitionTime", warnings=("hour",))


# Philips: positions in time are counted; each image is scaled on its own


def philips_template(description: str = "dyn_eTHRIVE") -> Dataset:
    dataset = template("Philips Medical Systems", description)
    dataset.NumberOfTemporalPositions = FRAMES
    return dataset


def philips_rescaled(folder: Path) -> Truth:
    """Displayed values (stored x RescaleSlope + RescaleIntercept) and Philips' floating point values (displayed /
    RescaleSlope / scale slope) differ by one factor, 4, in all images; either is right.
    """
    slopes = 0.5 + 0.25 * np.arange(FRAMES)
    start = philips_template()
    start.ScanOptions = "CG"
    start.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = ds(slopes[t]), ds(-64.0 * t), "US"
        dataset.add_new(0x2005100E, "FL", 4.0 / slopes[t])

    stored = write(folder, start, edit)
    frame = np.arange(FRAMES)[:, None, None, None]
    values = stored * slopes[:, None, None, None] - 64.0 * frame
    return _truth(values, "TriggerTime", scales=(1.0, 0.25), may_warn="2005,100E")


def _philips_content_time(start_s: float, date: bool, **more: Any) -> Callable[[Path], Truth]:
    def case(folder: Path) -> Truth:
        def edit(dataset: Dataset, t: int, k: int) -> None:
            dataset.TemporalPositionIdentifier = t + 1
            set_clock(dataset, "Content", start_s + TIMES[t], date)

        start = philips_template()
        set_clock(start, "Acquisition", start_s)
        return _truth(write(folder, start, edit), "ContentTime", **more)

    return case


# other vendors


def uih(folder: Path) -> Truth:
    start = template("UIH", "gre_quick3d_dyn")
    start.add_new(0x00650010, "LO", "Image Private Header")

    def edit(dataset: Dataset, t: int, k: int) -> None:
        set_clock(dataset, "Acquisition", NOON + TIMES[t])
        dataset.AcquisitionDateTime = "".join(clock(NOON + TIMES[t]))
        dataset.AcquisitionNumber = t + 1
        dataset.add_new(0x00651050, "DS", "1")

    return _truth(write(folder, start, edit), "Acquisition(Date)?Time")


def canon(folder: Path) -> Truth:
    start = template("CANON_MEC", "Dyn Quick3Ds")
    start.ScanOptions = "CG"

    def edit(dataset: Dataset, t: int, k: int) -> None:
        siemens_tags()(dataset, t, k)
        dataset.TriggerTime = "0"
        dataset.ContentTime = clock(NOON + 900)[1]
        dataset.SliceThickness = ds(2 * _SLICE_MM)  # interpolated, overlapping slices

    return _truth(write(folder, start, edit), "AcquisitionTime")


# enhanced multi-frame


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def enhanced(
    folder: Path,
    manufacturer: str,
    edit: Edit,
    shuffled: bool = True,
    syntax: str = ExplicitVRLittleEndian,
    voxels: Array | None = None,
) -> Array:
    """One Enhanced MR Image (PS3.3 A.36); `edit(frame, t, k)` changes the functional groups of a frame."""
    voxels = random_voxels() if voxels is None else voxels
    frames, slices = voxels.shape[:2]
    dataset = common(manufacturer, ENHANCED_MR)
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = uid(manufacturer, "enhanced"), uid("enhanced series")
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.SeriesDescription = 5, 1, "DCE dynamic"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DYNAMIC", "NONE"]
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.AcquisitionContrast, dataset.ContentQualification = "T1", "RESEARCH"
    dataset.AcquisitionNumber, dataset.ApplicableSafetyStandardAgency = 1, "IEC"
    dataset.ResonantNucleus, dataset.KSpaceFiltering, dataset.MagneticFieldStrength = "1H", "NONE", 3.0
    dataset.AcquisitionDateTime, dataset.AcquisitionDuration = "".join(clock(NOON)), float(frames * STEP_S)
    dataset.ContentDate, dataset.ContentTime = clock(NOON)
    dataset.PulseSequenceName, dataset.MRAcquisitionType, dataset.EchoPulseSequence = "dyn", "3D", "GRADIENT"
    dataset.MultiPlanarExcitation = dataset.PhaseContrast = dataset.TimeOfFlightContrast = "NO"
    dataset.SteadyStatePulseSequence, dataset.EchoPlanarPulseSequence, dataset.Spoiling = "NONE", "NO", "RF"
    dataset.SaturationRecovery, dataset.SpectrallySelectedSuppression = "NO", "NONE"
    dataset.OversamplingPhase, dataset.SegmentedKSpaceTraversal = "NONE", "SINGLE"
    dataset.GeometryOfKSpaceTraversal, dataset.CoverageOfKSpace = "RECTILINEAR", "FULL"
    dataset.NumberOfKSpaceTrajectories, dataset.BurnedInAnnotation = 1, "NO"
    dataset.RectilinearPhaseEncodeReordering = "LINEAR"
    dataset.LossyImageCompression, dataset.PresentationLUTShape = "00", "IDENTITY"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = *voxels.shape[2:], frames * slices
    dataset.AcquisitionContextSequence = []
    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=uid("dimensions"))]
    dataset.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=uid("dimensions"), DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111
        )
        for pointer in (0x00209057, 0x00209128)  # InStackPositionNumber, TemporalPositionIndex
    ]
    shared = Dataset()
    shared.PixelMeasuresSequence = [_item(PixelSpacing=ds(_ROW_MM, _COLUMN_MM), SliceThickness=ds(_SLICE_MM))]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=ds(*_AXES[:, 0], *_AXES[:, 1]))]
    shared.FrameAnatomySequence = [
        _item(FrameLaterality="U", AnatomicRegionSequence=[_code("T-11503", "SRT", "Lumbar spine")])
    ]
    shared.MRTimingAndRelatedParametersSequence = [
        _item(
            RepetitionTime=ds(TR_MS),
            FlipAngle=ds(12.0),
            EchoTrainLength=1,
            RFEchoTrainLength=0,
            GradientEchoTrainLength=1,
            SpecificAbsorptionRateSequence=[
                _item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.5)
            ],
            OperatingModeSequence=[
                _item(OperatingModeType=kind, OperatingMode="IEC_NORMAL") for kind in ("STATIC FIELD", "RF", "GRADIENT")
            ],
        )
    ]
    shared.MREchoSequence = [_item(EffectiveEchoTime=1.7)]
    shared.MRFOVGeometrySequence = [
        _item(
            InPlanePhaseEncodingDirection="ROW",
            MRAcquisitionFrequencyEncodingSteps=COLUMNS,
            MRAcquisitionPhaseEncodingStepsInPlane=ROWS,
            MRAcquisitionPhaseEncodingStepsOutOfPlane=slices,
            PercentSampling=ds(100),
            PercentPhaseFieldOfView=ds(100),
        )
    ]
    shared.MRModifierSequence = [
        _item(
            InversionRecovery="NO",
            FlowCompensation="NONE",
            Spoiling="RF",
            T2Preparation="NO",
            SpectrallySelectedExcitation="NONE",
            SpatialPresaturation="NONE",
            PartialFourier="NO",
            ParallelAcquisition="NO",
        )
    ]
    shared.MRImagingModifierSequence = [
        _item(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="NO",
            Tagging="NONE",
            TransmitterFrequency=127.7,
            PixelBandwidth=ds(500),
        )
    ]
    shared.MRReceiveCoilSequence = [
        _item(
            ReceiveCoilName="SPINE",
            ReceiveCoilManufacturerName="",
            ReceiveCoilType="SURFACE",
            QuadratureReceiveCoil="NO",
        )
    ]
    shared.MRTransmitCoilSequence = [
        _item(TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
    ]
    shared.MRAveragesSequence = [_item(NumberOfAverages=ds(1))]
    shared.PixelValueTransformationSequence = [_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")]
    shared.FrameVOILUTSequence = [_item(WindowCenter="2048", WindowWidth="4096")]
    shared.MRImageFrameTypeSequence = [
        _item(
            FrameType=["ORIGINAL", "PRIMARY", "DYNAMIC", "NONE"],
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="T1",
        )
    ]
    dataset.SharedFunctionalGroupsSequence = [shared]
    order = [(t, k) for t in range(frames) for k in range(slices)]
    if shuffled:
        order = [order[n] for n in np.random.default_rng(_SEED).permutation(len(order))]
    dataset.PerFrameFunctionalGroupsSequence = []
    for t, k in order:
        frame = Dataset()
        frame.FrameContentSequence = [
            _item(
                FrameAcquisitionDateTime="".join(clock(NOON)),
                FrameReferenceDateTime="".join(clock(NOON)),
                FrameAcquisitionDuration=STEP_S * 1000.0,
                StackID="1",
                InStackPositionNumber=k + 1,
                TemporalPositionIndex=t + 1,
                DimensionIndexValues=[k + 1, t + 1],
            )
        ]
        frame.PlanePositionSequence = [_item(ImagePositionPatient=position(k))]
        edit(frame, t, k)
        dataset.PerFrameFunctionalGroupsSequence.append(frame)
    dataset.PixelData = np.stack([voxels[t, k] for t, k in order]).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    save(dataset, folder / "enhanced.dcm", syntax)
    return voxels


def _date_time_of_frame(frame: Dataset, t: int, k: int) -> None:
    content = frame.FrameContentSequence[0]
    content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = "".join(clock(BEFORE_MIDNIGHT + TIMES[t]))


def _siemens_enhanced(shuffled: bool, syntax: str = ExplicitVRLittleEndian) -> Callable[[Path], Truth]:
    def case(folder: Path) -> Truth:
        voxels = enhanced(folder, "Siemens Healthineers", _date_time_of_frame, shuffled, syntax)
        return _truth(voxels, "FrameAcquisitionDateTime")

    return case


def enhanced_philips_trigger(folder: Path) -> Truth:
    def edit(frame: Dataset, t: int, k: int) -> None:
        cardiac = _item(NominalCardiacTriggerDelayTime=TIMES[t] * 1000.0)
        frame.CardiacSynchronizationSequence = [cardiac]

    return _truth(enhanced(folder, "Philips Healthcare", edit), "Trigger")


def enhanced_philips_private_trigger(folder: Path) -> Truth:
    """Philips keeps the attributes of the classic image in a private sequence of each frame."""

    def edit(frame: Dataset, t: int, k: int) -> None:
        frame.add_new(0x20050014, "LO", "Philips MR Imaging DD 005")
        frame.add_new(0x2005140F, "SQ", [_item(TriggerTime=ds(TIMES[t] * 1000.0), InstanceNumber=t * SLICES + k + 1)])

    return _truth(enhanced(folder, "Philips Medical Systems", edit), "TriggerTime")


def enhanced_temporal_offset(folder: Path) -> Truth:
    def edit(frame: Dataset, t: int, k: int) -> None:
        frame.TemporalPositionSequence = [_item(TemporalPositionTimeOffset=float(TIMES[t]))]

    return _truth(enhanced(folder, "Philips Healthcare", edit), "TemporalPositionTimeOffset")


def enhanced_rescaled(folder: Path) -> Truth:
    slopes = 0.5 + 0.25 * np.arange(FRAMES)

    def edit(frame: Dataset, t: int, k: int) -> None:
        _date_time_of_frame(frame, t, k)
        frame.PixelValueTransformationSequence = [
            _item(RescaleIntercept=ds(-8.0 * t), RescaleSlope=ds(slopes[t]), RescaleType="US")
        ]

    stored = enhanced(folder, "Philips Healthcare", edit)
    path = folder / "enhanced.dcm"
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    dataset.save_as(path)
    frame = np.arange(FRAMES)[:, None, None, None]
    return _truth(stored * slopes[:, None, None, None] - 8.0 * frame, "FrameAcquisitionDateTime")


# what lies beside


def beside_other_objects(folder: Path) -> Truth:
    """A localizer in three planes, a report and a presentation state."""
    truth = ge_lava(folder)
    localizer = template("GE MEDICAL SYSTEMS", "3-plane loc", 1)
    planes = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1])

    def plane(dataset: Dataset, t: int, k: int) -> None:
        dataset.ImageOrientationPatient = planes[k]
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]

    write(folder / "loc", localizer, plane, random_voxels(1, 3, 1))
    report = common("GE MEDICAL SYSTEMS", SR)
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"):
        delattr(report, keyword)
    state = copy.deepcopy(report)
    report.Modality, report.SeriesNumber, report.InstanceNumber = "SR", 90, 1
    report.SeriesInstanceUID, report.SOPInstanceUID = uid("SR series"), uid("SR")
    report.ContentDate, report.ContentTime = clock(NOON + 900)
    report.ReferencedPerformedProcedureStepSequence = report.PerformedProcedureCodeSequence = []
    report.CompletionFlag, report.VerificationFlag = "PARTIAL", "UNVERIFIED"
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic Imaging Report")]
    text = _item(RelationshipType="CONTAINS", ValueType="TEXT", TextValue="Synthetic")
    text.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
    report.ContentSequence = [text]
    save(report, folder / "report")
    state.file_meta.MediaStorageSOPClassUID = state.SOPClassUID = PRESENTATION
    state.Modality, state.SeriesNumber, state.InstanceNumber = "PR", 91, 1
    state.SeriesInstanceUID, state.SOPInstanceUID = uid("PR series"), uid("PR")
    state.PresentationCreationDate, state.PresentationCreationTime = clock(NOON + 900)
    state.ContentLabel, state.ContentDescription, state.ContentCreatorName = "SYNTHETIC", "", ""
    image = _item(ReferencedSOPClassUID=MR, ReferencedSOPInstanceUID=uid(uid(5), 0, 0))
    state.ReferencedSeriesSequence = [_item(SeriesInstanceUID=uid(5), ReferencedImageSequence=[image])]
    area = _item(DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[COLUMNS, ROWS])
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    state.DisplayedAreaSelectionSequence = [area]
    state.PresentationLUTShape = "IDENTITY"
    save(state, folder / "state")
    (folder / "DICOMDIR.txt").write_text("no image", encoding="utf-8")
    return truth


FLIP_ANGLES = (3.0, 8.0, 15.0)
FAT_FRACTION = random_voxels(1, seed=2)[0] % 1000  # in permille
T1_MS = random_voxels(1, seed=3)[0]
FLIPPED = np.concatenate([random_voxels(1, seed=4 + n) for n in range(len(FLIP_ANGLES))])


def beside_maps(folder: Path) -> Truth:
    """A dynamic (5), a fat fraction (20) in percent, a T1 map (21) in ms and flip angles (30, 31, 32)."""
    truth = siemens_one_series(folder)
    derived = ["DERIVED", "PRIMARY", "DIXON", "FAT_FRACTION"]
    start = template("SIEMENS", "t1_vibe_dixon_FF", 20)
    still: Edit = lambda dataset, t, k: None  # noqa: E731
    start.ImageType = derived
    start.RescaleSlope, start.RescaleIntercept, start.RescaleType = "0.1", "0", "US"
    write(folder / "ff", start, still, FAT_FRACTION[np.newaxis])
    start = template("SIEMENS", "T1 map", 21)
    start.ImageType = ["DERIVED", "PRIMARY", "T1", "T1 MAP"]
    write(folder / "t1", start, still, T1_MS[np.newaxis])
    for n, angle in enumerate(FLIP_ANGLES):
        start = template("SIEMENS", f"t1_vibe_fa{angle:g}", 30 + n)
        start.FlipAngle = ds(angle)
        set_clock(start, "Acquisition", NOON - 300 + 60 * n)
        write(folder / f"vfa{n}", start, still, FLIPPED[n : n + 1])
    return truth


CASES: dict[str, Callable[[Path], Truth]] = {
    "GE LAVA": ge_lava,
    "GE DISCO": ge_disco,
    "GE first TriggerTime missing": ge_first_trigger_time_missing,
    "GE irregular": ge_irregular,
    "GE interleaved numbers": _ge_numbered((0, 2, 1, 3)),
    "GE reversed numbers": _ge_numbered((3, 2, 1, 0)),
    "GE numbered by slice": ge_numbered_by_slice,
    "Explicit VR Big Endian": _ge_in(ExplicitVRBigEndian),
    "Implicit VR Little Endian": _ge_in(ImplicitVRLittleEndian),
    "deflated": _ge_in(DeflatedExplicitVRLittleEndian),
    "RLE": _ge_in(RLELossless),
    "Siemens one series": siemens_one_series,
    "Siemens series per phase": _siemens_series_per_phase(NOON),
    "Siemens series per phase, midnight": _siemens_series_per_phase(BEFORE_MIDNIGHT, warnings=("midnight",)),
    "Siemens midnight, dates": siemens_midnight_with_dates,
    "Siemens midnight, dates stand still": siemens_midnight_dates_stand_still,
    "Siemens midnight, no dates": siemens_midnight_without_dates,
    "2-D staggered": two_dimensional_staggered,
    "daylight saving, TriggerTime": daylight_saving_with_trigger_time,
    "daylight saving, forward": daylight_saving_forward,
    "daylight saving, back": daylight_saving_back,
    "Philips rescaled": philips_rescaled,
    "Philips ContentTime": _philips_content_time(NOON, True, warnings=("ContentTime.*not when it was acquired",)),
    "Philips ContentTime, midnight": _philips_content_time(
        BEFORE_MIDNIGHT, False, warnings=("midnight", "ContentTime.*not when it was acquired")
    ),
    "UIH": uih,
    "Canon": canon,
    "enhanced Siemens": _siemens_enhanced(False),
    "enhanced Siemens shuffled": _siemens_enhanced(True),
    "enhanced RLE": _siemens_enhanced(True, RLELossless),
    "enhanced Big Endian": _siemens_enhanced(True, ExplicitVRBigEndian),
    "enhanced Philips trigger": enhanced_philips_trigger,
    "enhanced Philips private trigger": enhanced_philips_private_trigger,
    "enhanced temporal offset": enhanced_temporal_offset,
    "enhanced rescaled": enhanced_rescaled,
    "identical duplicates": identical_duplicates,
    "beside other objects": beside_other_objects,
    "beside maps": beside_maps,
}


# unusual, but read; some would not pass a validator


def _edited(start: Dataset, edit: Edit, source: str, times_s: Array = TIMES, **more: Any) -> Callable[[Path], Truth]:
    """A series whose images get GE's numbers and times before `edit`."""

    def case(folder: Path) -> Truth:
        def both(dataset: Dataset, t: int, k: int) -> object:
            ge_tags(times_s)(dataset, t, k)
            return edit(dataset, t, k)

        return _truth(write(folder, start, both), source, times_s, **more)

    return case


def philips_scale_in_another_block(folder: Path) -> Truth:
    """The creator of the block, not its number, tells what (2005,xx0E) is: values are stored / scale slope."""
    start = philips_template()
    start.add_new(0x20050010, "LO", "Philips MR Imaging DD 005")
    start.add_new(0x20050011, "LO", "Philips MR Imaging DD 001")

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = ds(0.5 + 0.25 * t), "0", "US"
        dataset.add_new(0x2005110E, "FL", float(3 + t))

    stored = write(folder, start, edit)
    scale = 3.0 + np.arange(FRAMES)[:, None, None, None]
    return _truth(stored / scale, "TriggerTime", may_warn="2005,100E")


def philips_other_private(folder: Path) -> Truth:
    """(2005,100E) of another creator is no scale slope."""
    start = philips_template()
    start.add_new(0x20050010, "LO", "Philips MR Imaging DD 005")

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "2", "0", "US"
        dataset.add_new(0x2005100E, "FL", float(3 + t))

    return _truth(write(folder, start, edit) * 2.0, "TriggerTime")


def enhanced_private_beside_standard(folder: Path) -> Truth:
    """What the standard functional groups tell is not replaced by Philips' own sequence."""

    def edit(frame: Dataset, t: int, k: int) -> None:
        _date_time_of_frame(frame, t, k)
        frame.PixelValueTransformationSequence = [_item(RescaleIntercept="0", RescaleSlope="2", RescaleType="US")]
        frame.add_new(0x20050014, "LO", "Philips MR Imaging DD 005")
        own = _item(RescaleSlope=ds(3 + t), RescaleIntercept="1", ImagePositionPatient=position(k + 10), EchoTime="99")
        frame.add_new(0x2005140F, "SQ", [own])

    return _truth(enhanced(folder, "Philips Medical Systems", edit) * 2.0, "FrameAcquisitionDateTime")


def _change_enhanced(folder: Path, edit: Callable[[Dataset], object]) -> None:
    dataset = pydicom.dcmread(folder / "enhanced.dcm")
    edit(dataset)
    dataset.save_as(folder / "enhanced.dcm")


def legacy_converted(folder: Path) -> Truth:
    """Legacy Converted Enhanced MR (PS3.3 A.36.5): what fits no other functional group is in those of unassigned
    attributes (C.7.6.16.2.25)."""

    def edit(frame: Dataset, t: int, k: int) -> None:
        del frame.FrameContentSequence
        own = _item(TriggerTime=ds(TIMES[t] * 1000.0), TemporalPositionIdentifier=t + 1, InstanceNumber=t * SLICES + k)
        frame.add_new(0x00209171, "SQ", [own])

    voxels = enhanced(folder, "GE MEDICAL SYSTEMS", edit)

    def convert(dataset: Dataset) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.4"
        shared = dataset.SharedFunctionalGroupsSequence[0]
        del shared.MRTimingAndRelatedParametersSequence, shared.MREchoSequence
        shared.add_new(0x00209170, "SQ", [_item(RepetitionTime=ds(TR_MS), EchoTime=ds(1.7), FlipAngle=ds(12))])
        del dataset.DimensionIndexSequence, dataset.AcquisitionDateTime

    _change_enhanced(folder, convert)
    return _truth(voxels, "TriggerTime")


_STAGGERED = np.array([0.0, 3.0, 1.5, 4.5])
_SLICES_WARN = "slices of a frame|slices within it"


def enhanced_staggered(folder: Path) -> Truth:
    """2-D, with a dimension of the time of each image: its index goes on from slice to slice."""
    rank = np.argsort(np.argsort(_STAGGERED))

    def edit(frame: Dataset, t: int, k: int) -> None:
        content = frame.FrameContentSequence[0]
        content.FrameAcquisitionDateTime = "".join(clock(NOON + TIMES[t] + _STAGGERED[k]))
        content.FrameReferenceDateTime = content.FrameAcquisitionDateTime
        content.DimensionIndexValues = [k + 1, t * SLICES + int(rank[k]) + 1]
        del content.TemporalPositionIndex

    voxels = enhanced(folder, "Siemens Healthineers", edit)
    _change_enhanced(
        folder, lambda dataset: setattr(dataset.DimensionIndexSequence[1], "DimensionIndexPointer", 0x00189074)
    )
    return _truth(voxels, "FrameAcquisitionDateTime", slice_offsets_s=_STAGGERED, may_warn=_SLICES_WARN)


def enhanced_two_slices_at_once(folder: Path) -> Truth:
    """As above, with two slices excited at a time, so that these share their index."""
    late = np.array([0.0, 2.0, 0.0, 2.0])

    def edit(frame: Dataset, t: int, k: int) -> None:
        content = frame.FrameContentSequence[0]
        content.FrameAcquisitionDateTime = "".join(clock(NOON + TIMES[t] + late[k]))
        content.FrameReferenceDateTime = content.FrameAcquisitionDateTime
        content.DimensionIndexValues = [k + 1, 2 * t + int(late[k] > 0) + 1]
        del content.TemporalPositionIndex

    voxels = enhanced(folder, "Siemens Healthineers", edit)
    _change_enhanced(
        folder, lambda dataset: setattr(dataset.DimensionIndexSequence[1], "DimensionIndexPointer", 0x00189074)
    )
    return _truth(voxels, "FrameAcquisitionDateTime", slice_offsets_s=late, may_warn=_SLICES_WARN)


def pause_of_an_hour(folder: Path) -> Truth:
    """One hour between frames at two in the morning, with offsets from UTC: no clock was put."""
    times = TIMES + np.where(np.arange(FRAMES) > 2, 3600.0, 0.0)

    def edit(frame: Dataset, t: int, k: int) -> None:
        content = frame.FrameContentSequence[0]
        content.FrameAcquisitionDateTime = "".join(clock(7200.0 + times[t])) + "+0000"
        content.FrameReferenceDateTime = content.FrameAcquisitionDateTime

    voxels = enhanced(folder, "Siemens Healthineers", edit)
    return _truth(voxels, "FrameAcquisitionDateTime", times, warnings=("unevenly spaced",))


def _phase_per_series(dataset: Dataset, t: int, k: int) -> None:
    dataset.AcquisitionNumber, dataset.InstanceNumber = 1, k + 1
    dataset.SeriesNumber, dataset.SeriesInstanceUID = 11 + t, uid("phase", t)


def phases_numbered_out_of_order(folder: Path) -> Truth:
    """The last phase has the lowest series number."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        siemens_tags()(dataset, t, k)
        _phase_per_series(dataset, t, k)
        if t == FRAMES - 1:
            dataset.SeriesNumber = 10

    voxels = write(folder, siemens_template("t1_vibe_dyn"), edit)
    return _truth(voxels, "AcquisitionTime", warnings=("numbers 10 to 16, in the order of their AcquisitionTime",))


def phases_by_date_time(folder: Path) -> Truth:
    """AcquisitionDateTime alone tells the phases apart."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        _phase_per_series(dataset, t, k)
        dataset.AcquisitionDateTime = "".join(clock(NOON + TIMES[t]))

    voxels = write(folder, siemens_template("t1_vibe_dyn"), edit)
    return _truth(voxels, "AcquisitionDateTime", may_warn="joined")


def bare(folder: Path, drop_meta: bool, syntax: str = ImplicitVRLittleEndian) -> Array:
    """Files without the preamble of PS3.10 7.1; also without the file meta information."""
    voxels = write(folder, ge_template(), ge_tags(), syntax=syntax)
    for path in folder.iterdir():
        content = path.read_bytes()
        start = 132
        if drop_meta:  # (0002,0000) holds the length of what follows it
            start += 12 + int.from_bytes(content[140:144], "little")
        path.write_bytes(content[start:])
    return voxels


def _whole_seconds(dataset: Dataset, t: int, k: int) -> None:
    del dataset.TriggerTime
    dataset.AcquisitionDateTime = "".join(clock(NOON + int(TIMES[t]))).split(".")[0]
    set_clock(dataset, "Acquisition", NOON + TIMES[t])


_FIRST_EARLIER = TIMES - np.where(np.arange(FRAMES) == 0, 60.0, 0.0)


def _sixty_seconds_earlier(dataset: Dataset, t: int, k: int) -> None:
    set_clock(dataset, "Acquisition", NOON + _FIRST_EARLIER[t])
    if t == 0:
        del dataset.TriggerTime


def _staggered_clock(dataset: Dataset, t: int, k: int) -> None:
    dataset.MRAcquisitionType = "2D"
    set_clock(dataset, "Acquisition", NOON + TIMES[t] + _STAGGERED[k])


def turbo_flash(folder: Path) -> Truth:
    """Single-shot 2-D: a frame takes one TR."""
    times = np.arange(FRAMES) * 1.5
    start = siemens_template("tfl_perf")
    start.RepetitionTime, start.MRAcquisitionType = ds(1500), "2D"
    return _truth(
        write(folder, start, siemens_tags(times_s=times)), "AcquisitionTime", times, repetition_time_ms=1500.0
    )


def padded(folder: Path) -> Truth:
    """Zeros after the pixels, more than a row of them."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.PixelData = dataset.PixelData + bytes(64)

    return _truth(write(folder, ge_template(), edit), "TriggerTime")


def odd_texts_of_times(folder: Path) -> Truth:
    """A dot without digits after it, and seven digits."""
    times = np.arange(FRAMES) * 6.0

    def edit(dataset: Dataset, t: int, k: int) -> None:
        siemens_tags(times_s=times)(dataset, t, k)
        dataset.AcquisitionTime = dataset.AcquisitionTime.split(".")[0] + "."
        dataset.AcquisitionDateTime = "".join(clock(NOON + times[t])) + "0"

    return _truth(write(folder, siemens_template(), edit), "AcquisitionDateTime", times)


def negative_spacing(folder: Path) -> Truth:
    """SpacingBetweenSlices may be negative (PS3.3 C.7.6.2); a single slice is not turned by it."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.SpacingBetweenSlices = ds(-_SLICE_MM)

    return _truth(write(folder, ge_template(), edit, random_voxels(slices=1)), "TriggerTime")


_still: Edit = lambda dataset, t, k: None  # noqa: E731


def beside_static_dixon(folder: Path) -> Truth:
    """Water, fat, in and opposed phase of one volume in one series, as Philips stores them."""
    truth = siemens_one_series(folder)

    def edit(dataset: Dataset, t: int, k: int) -> None:
        kind = ("W", "IP", "OP", "F")[t]
        dataset.ImageType = ["DERIVED", "PRIMARY", kind, kind, "DERIVED"]
        set_clock(dataset, "Content", NOON - 900)

    write(folder / "dixon", template("Philips Medical Systems", "mDIXON-All", 9), edit, random_voxels(4))
    return truth


def beside_parameter_maps(folder: Path) -> Truth:
    """Four maps of the protocol of the dynamic, made one after the other."""
    truth = siemens_one_series(folder)
    for n, name in enumerate(("Wash-In", "Wash-Out", "TTP", "PEI")):
        start = siemens_template(f"t1_vibe_dyn_{name}")
        start.SeriesNumber, start.SeriesInstanceUID, start.ProtocolName = 40 + n, uid(name), "t1_vibe_dyn"
        start.ImageType = ["DERIVED", "PRIMARY", "M", "NORM"]
        set_clock(start, "Content", NOON + 900 + 1.3 * n)
        write(folder / name, start, _still, random_voxels(1, seed=n))
    return truth


def beside_t1_maps(folder: Path) -> Truth:
    """The same T1 map three times, 300 s apart."""
    truth = siemens_one_series(folder)
    for n in range(3):
        start = siemens_template("T1 map")
        start.SeriesNumber, start.SeriesInstanceUID = 40 + n, uid("T1 map", n)
        start.ImageType = ["DERIVED", "PRIMARY", "T1 MAP", "ND"]
        set_clock(start, "Acquisition", NOON + 300 * n)
        write(folder / f"map{n}", start, _still, random_voxels(1, seed=n))
    return truth


def beside_an_odd_tag(folder: Path) -> Truth:
    truth = siemens_one_series(folder)
    start = siemens_template("static")
    start.SeriesNumber, start.SeriesInstanceUID, start.FlipAngle = 9, uid("static"), ["12", "12"]
    write(folder / "static", start, _still, random_voxels(1))
    return truth


UNUSUAL: dict[str, Callable[[Path], Truth]] = {
    "Philips scale slope in another block": philips_scale_in_another_block,
    "Philips other private element": philips_other_private,
    "enhanced, private beside standard": enhanced_private_beside_standard,
    "Legacy Converted Enhanced MR": legacy_converted,
    "enhanced 2-D staggered": enhanced_staggered,
    "enhanced 2-D, two slices at once": enhanced_two_slices_at_once,
    "TemporalPositionIdentifier counts images": _edited(
        template("GE MEDICAL SYSTEMS"),
        lambda dataset, t, k: setattr(dataset, "TemporalPositionIdentifier", t * SLICES + k + 1),
        "TriggerTime",
    ),
    "pause of an hour": pause_of_an_hour,
    "phases numbered out of order": phases_numbered_out_of_order,
    "phases by AcquisitionDateTime": phases_by_date_time,
    "without preamble": lambda folder: _truth(bare(folder, False), "TriggerTime"),
    "without meta information, explicit": lambda folder: _truth(
        bare(folder, True, ExplicitVRLittleEndian), "TriggerTime"
    ),
    "without meta information": lambda folder: _truth(bare(folder, True), "TriggerTime"),
    "AcquisitionDateTime in whole seconds": _edited(
        template("UIH"), _whole_seconds, "AcquisitionTime", warnings=("disagree by up to 0.75 s",)
    ),
    "first TriggerTime missing, AcquisitionTime complete": _edited(
        template("GE MEDICAL SYSTEMS"),
        _sixty_seconds_earlier,
        "AcquisitionTime",
        _FIRST_EARLIER,
        warnings=("disagree by up to 60 s", "unevenly spaced"),
    ),
    "2-D with TriggerTime": _edited(
        template("GE MEDICAL SYSTEMS"),
        _staggered_clock,
        "TriggerTime",
        slice_offsets_s=_STAGGERED,
        warnings=("times of the slices within it are from AcquisitionTime",),
        may_warn=_SLICES_WARN,
    ),
    "TurboFLASH": turbo_flash,
    "padded": padded,
    "odd texts of times": odd_texts_of_times,
    "negative spacing": negative_spacing,
    "beside static Dixon": beside_static_dixon,
    "beside parameter maps": beside_parameter_maps,
    "beside T1 maps": beside_t1_maps,
    "beside an odd tag": beside_an_odd_tag,
}


# broken on purpose; each returns what the message must match


def _change(folder: Path, t: int, k: int, edit: Callable[[Dataset], object]) -> str:
    """Change one file of a folder; returns how a message may name it."""
    path = folder / file_of(t, k)
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path)
    return named(t, k)


def named(t: int, k: int) -> str:
    return rf"{file_of(t, k)}\b|image {t * SLICES + k + 1}\b|frame {t + 1}\b|slice {k + 1} of"


def _damaged(edit: Callable[[Dataset], object], t: int = 3, k: int = 2) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        ge_disco(folder)
        return _change(folder, t, k, edit)

    return case


def _other_pixels(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[::-1]


def _duplicate(same_uid: bool) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        ge_disco(folder)
        dataset = pydicom.dcmread(folder / file_of(3, 2))
        _other_pixels(dataset)
        if not same_uid:
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("other")
        dataset.save_as(folder / "ZZ")
        return f"{named(3, 2)}|ZZ"

    return case


def missing_slice(folder: Path) -> str:
    ge_disco(folder)
    (folder / file_of(3, 2)).unlink()
    return named(3, 2)


def _truncated(share: float) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        ge_disco(folder)
        path = folder / file_of(3, 2)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return named(3, 2)

    return case


def mixed_matrix(folder: Path) -> str:
    def edit(dataset: Dataset) -> None:
        dataset.Rows = ROWS // 2
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]

    ge_disco(folder)
    return f"Rows.*({_change(folder, 3, 2, edit)})|{named(3, 2)}.*Rows|matrix|different size"


def no_orientation(folder: Path) -> str:
    write(folder, ge_template(), lambda d, t, k: (ge_tags()(d, t, k), d.__delattr__("ImageOrientationPatient"))[0])
    return "ImageOrientationPatient"


def times_are_the_repetition_time(folder: Path) -> str:
    write(folder, ge_template(), ge_tags(np.arange(FRAMES) * TR_MS / 1000.0))
    return "TriggerTime.*repetition time"


def no_times(folder: Path) -> str:
    write(folder, ge_template(), lambda d, t, k: (ge_tags()(d, t, k), d.__delattr__("TriggerTime"))[0])
    return "no usable frame times.*TriggerTime.*AcquisitionTime"


def clock_put_back(folder: Path) -> str:
    """The clock is set back by 1,000 s, which no rule explains, and nothing else tells the time."""
    write(folder, siemens_template(), siemens_tags(times_s=TIMES - np.where(np.arange(FRAMES) > 2, 1000.0, 0.0)))
    return "no usable frame times.*AcquisitionTime.*(frame [34]|increase)"


def slice_gap(folder: Path) -> str:
    places = (0.0, 1.0, 2.0, 3.6)

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.ImagePositionPatient = position(places[k])

    write(folder, ge_template(), edit)
    return "evenly spaced|gap"


def frame_moved(folder: Path) -> str:
    """The table moved by half a slice before frame 4."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        dataset.ImagePositionPatient = position(k + 0.5 * (t > 2))

    write(folder, ge_template(), edit)
    return "frame 4|slice|position"


def frame_shifted_in_plane(folder: Path) -> str:
    """The field of view moved by 20 mm along a row before frame 4: the places along the normal are the same."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        shift = 20.0 * _AXES[:, 0] * (t > 2)
        dataset.ImagePositionPatient = ds(*(_ORIGIN + k * _SLICE_MM * _AXES[:, 2] + shift))

    write(folder, ge_template(), edit)
    return r"frame 4|image \d+ .*lies 20 mm|ImagePositionPatient"


def two_dynamics(folder: Path) -> str:
    ge_disco(folder / "first")
    other = ge_template("Ax DISCO second")
    other.SeriesNumber, other.SeriesInstanceUID = 6, uid(6)
    write(folder / "second", other, ge_tags())
    return "(DISCO.*){2}choose"


def no_decoder(folder: Path) -> str:
    """JPEG 2000, for which the installed packages have no decoder; its stream is damaged besides."""

    def edit(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True

    # what is installed decides whether the decoder or the damage is named
    return _damaged(edit)(folder) + r"|no decoder for the transfer syntax JPEG 2000 .* pip install"


def _rgb(dataset: Dataset) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = bytes(ROWS * COLUMNS * 3)
    dataset["PixelData"].VR = "OB"


def _enhanced_damaged(edit: Callable[[Dataset], object], words: str) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        _siemens_enhanced(True)(folder)
        dataset = pydicom.dcmread(folder / "enhanced.dcm")
        edit(dataset)
        dataset.save_as(folder / "enhanced.dcm")
        return words

    return case


def _set(**attributes: Any) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)

    return edit


def _without(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: dataset.__delattr__(keyword)


def _cut(change: int) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        pixels = dataset.PixelData
        dataset.PixelData = pixels[:change] if change < 0 else pixels + pixels[:change]

    return edit


def _phase_lost(t: int, harm: Callable[[Path], object], slices: int = SLICES) -> Callable[[Path], str]:
    """One series per phase, with a file of phase t damaged or gone."""

    def case(folder: Path) -> str:
        def edit(dataset: Dataset, t: int, k: int) -> None:
            siemens_tags()(dataset, t, k)
            _phase_per_series(dataset, t, k)

        write(folder, siemens_template("t1_vibe_dyn"), edit, random_voxels(slices=slices))
        harm(folder / file_of(t, slices - 1, slices))
        return f"series {11 + t} seems to be a phase of the acquisition of series 1[12] to 1[67], but cannot be joined"

    return case


def _shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def phases_of_another_image_type(folder: Path) -> str:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        siemens_tags()(dataset, t, k)
        _phase_per_series(dataset, t, k)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", *(["NORM"] if t > 1 else [])]

    write(folder, siemens_template("t1_vibe_dyn"), edit)
    return "series 11 seems to be a phase .* series 13 to 17, .* its ImageType .0008,0008. is ORIGINAL.PRIMARY.M.ND,"


def content_time_of_reconstruction(folder: Path) -> str:
    """TemporalResolution is 6250 ms; the images were made one by one, 0.9 s per frame."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        dataset.TemporalPositionIdentifier, dataset.TemporalResolution = t + 1, ds(STEP_S * 1000)
        set_clock(dataset, "Content", NOON + 100 + 0.9 * t + 0.05 * k)

    write(folder, template("SIEMENS"), edit)
    return "ContentTime .0008,0033.: its step of 0.9 s is not that of TemporalResolution .*6.25 s.*--times 6.25"


def series_time_of_reconstruction(folder: Path) -> str:
    """The acquisition took 7 x 6.25 s; the series of the phases were made 1 s apart."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        _phase_per_series(dataset, t, k)
        dataset.SeriesTime = clock(NOON + 100 + t)[1]
        dataset.AcquisitionDuration = FRAMES * STEP_S

    write(folder, template("SIEMENS"), edit)
    return "SeriesTime .0008,0031.: its step of 1 s is not that of AcquisitionDuration .0018,9073., 6.25 s"


def rescale_slope_missing(folder: Path) -> str:
    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags()(dataset, t, k)
        if t != 4:
            dataset.RescaleSlope, dataset.RescaleIntercept = "2.5", "0"

    write(folder, ge_template(), edit)
    return r"image (17|18|19|20) of series 5 .* has no RescaleSlope \(0028,1053\)"


def derived_within(folder: Path) -> str:
    """Six subtracted images follow the seven frames; only the first value of ImageType tells."""

    def edit(dataset: Dataset, t: int, k: int) -> None:
        dataset.ImageType = [*(["ORIGINAL", "PRIMARY"] if t < 7 else ["DERIVED", "SECONDARY"]), "OTHER"]
        set_clock(dataset, "Content", NOON + STEP_S * t)
        dataset.TemporalPositionIdentifier = t + 1

    write(folder, template("Philips Medical Systems", "dyn"), edit, random_voxels(13))
    return "2 dynamic series: number 5:DERIVED .*; number 5:ORIGINAL .*choose one with --series"


def _component_of_frame(frame: Dataset, t: int, k: int) -> None:
    content = frame.FrameContentSequence[0]
    content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = "".join(clock(NOON + 3 * t))
    kind = _item(FrameType=["ORIGINAL", "PRIMARY", "DYNAMIC", "NONE"])
    kind.ComplexImageComponent = ("MAGNITUDE", "PHASE")[t % 2]
    frame.MRImageFrameTypeSequence = [kind]


def magnitude_and_phase(folder: Path) -> str:
    enhanced(folder, "Philips Healthcare", _component_of_frame, voxels=random_voxels(8))
    return "2 dynamic series: number 5:MAGNITUDE .*; number 5:PHASE .*choose one with --series"


def magnitude_and_phase_of_ge(folder: Path) -> str:
    start = ge_template()
    start.add_new(0x00430010, "LO", "GEMS_PARM_01")

    def edit(dataset: Dataset, t: int, k: int) -> None:
        ge_tags(np.arange(14) * 3.0)(dataset, t, k)
        dataset.add_new(0x0043102F, "SS", t % 2)

    write(folder, start, edit, random_voxels(14))
    return "2 dynamic series: number 5:MAGNITUDE .*; number 5:PHASE .*choose one with --series"


def _with_start(words: str, edit: Callable[[Dataset], object]) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        start = ge_template()
        edit(start)
        write(folder, start, ge_tags())
        return words

    return case


def _with_times(words: str, factor: float) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        write(folder, ge_template(), ge_tags(TIMES * factor))
        return words

    return case


def _two_of(keyword: str) -> Callable[[Path], str]:
    """The last three frames are of someone or something else, in the same series."""

    def case(folder: Path) -> str:
        def edit(dataset: Dataset, t: int, k: int) -> None:
            ge_tags()(dataset, t, k)
            if t > 3:
                setattr(dataset, keyword, uid("another", keyword))

        write(folder, ge_template(), edit)
        return f"have the same SeriesInstanceUID .0020,000E. but another {keyword} "

    return case


def _table_of_values(dataset: Dataset) -> None:
    table = _item(ModalityLUTType="US")
    table.add_new(0x00283002, "US", [4096, 0, 16])
    table.add_new(0x00283006, "OW", np.arange(4096)[::-1].astype("<u2").tobytes())
    dataset.ModalityLUTSequence = [table]


def _mosaic_of_uih(dataset: Dataset) -> None:
    dataset.add_new(0x00650010, "LO", "Image Private Header")
    dataset.add_new(0x00651050, "DS", "16")


def classic_with_frames(folder: Path) -> str:
    """One file per phase with the slices as its frames; only the first has a place."""
    voxels = random_voxels()

    def edit(dataset: Dataset, t: int, k: int) -> object:
        siemens_tags()(dataset, t, k)
        dataset.NumberOfFrames, dataset.PixelData = SLICES, voxels[t].astype("<u2").tobytes()
        return k == 0

    write(folder, template("UIH"), edit, voxels)
    return "not a single gray image: its pixels have the shape 4x12x10; export"


CORRUPTIONS: dict[str, Callable[[Path], str]] = {
    "different duplicate, same UID": _duplicate(True),
    "different duplicate, other UID": _duplicate(False),
    "missing slice": missing_slice,
    "truncated in the pixels": _truncated(0.95),
    "truncated in the header": _truncated(0.4),
    "empty file": _truncated(0.0),
    "no position in one image": _damaged(_without("ImagePositionPatient")),
    "no orientation in one image": _damaged(_without("ImageOrientationPatient")),
    "no orientation": no_orientation,
    "no spacing in one image": _damaged(_without("PixelSpacing")),
    "other orientation in one image": _damaged(_set(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])),
    "mixed matrix": mixed_matrix,
    "first phase truncated": _phase_lost(0, _shortened),
    "last phase truncated": _phase_lost(6, _shortened),
    "first phase lacks a slice": _phase_lost(0, Path.unlink),
    "last phase lacks a slice": _phase_lost(6, Path.unlink),
    "phase of one slice truncated": _phase_lost(6, _shortened, slices=1),
    "phases of another ImageType": phases_of_another_image_type,
    "ContentTime of the reconstruction": content_time_of_reconstruction,
    "SeriesTime of the reconstruction": series_time_of_reconstruction,
    "RescaleSlope missing in a frame": rescale_slope_missing,
    "derived images within": derived_within,
    "magnitude and phase": magnitude_and_phase,
    "GE magnitude and phase": magnitude_and_phase_of_ge,
    "subtractions alone": _with_start(
        "none of them dynamic: number 5 .*subtracted images by ImageType",
        lambda dataset: setattr(dataset, "ImageType", ["DERIVED", "SECONDARY", "SUBTRACTION"]),
    ),
    "TriggerTime in microseconds": _with_times("TriggerTime.*6250 s is too long for a frame; the unit may", 1000.0),
    "two patients": _two_of("PatientID"),
    "two studies": _two_of("StudyInstanceUID"),
    "two frames of reference": _two_of("FrameOfReferenceUID"),
    "table of values": _with_start("image .* has a table of values, ModalityLUTSequence", _table_of_values),
    "palette": _with_start(
        "is PALETTE COLOR", lambda dataset: setattr(dataset, "PhotometricInterpretation", "PALETTE COLOR")
    ),
    "high bit": _with_start(
        "HighBit .0028,0102. is 15 where BitsStored .0028,0101. is 12", lambda dataset: setattr(dataset, "HighBit", 15)
    ),
    "mosaic": _with_start(
        "several slices side by side",
        lambda dataset: setattr(dataset, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
    ),
    "mosaic of UIH": _with_start("several slices side by side", _mosaic_of_uih),
    "several frames in every classic image": classic_with_frames,
    "times are TR x n": times_are_the_repetition_time,
    "no times": no_times,
    "clock put back": clock_put_back,
    "slice gap": slice_gap,
    "frame moved": frame_moved,
    "frame shifted in plane": frame_shifted_in_plane,
    "two dynamics": two_dynamics,
    "RGB": _damaged(_rgb),
    "no pixels": _damaged(_without("PixelData")),
    "pixels too short": _damaged(_cut(-2)),
    "pixels empty": _damaged(_set(PixelData=b"")),
    "pixels twice as long": _damaged(_cut(2 * ROWS * COLUMNS)),
    "no decoder": no_decoder,
    "several frames in a classic image": _damaged(_set(NumberOfFrames=2)),
    "enhanced, pixels too short": _enhanced_damaged(_cut(-20), "enhanced.dcm|image 1|frame"),
    "enhanced, one frame too many": _enhanced_damaged(
        _set(NumberOfFrames=FRAMES * SLICES + 1), "enhanced.dcm|image 1|frame|NumberOfFrames"
    ),
    "enhanced, no frame groups": _enhanced_damaged(
        _without("PerFrameFunctionalGroupsSequence"), "enhanced.dcm|image 1|frame|PerFrame"
    ),
    "enhanced, no orientation": _enhanced_damaged(
        lambda dataset: dataset.SharedFunctionalGroupsSequence[0].__delattr__("PlaneOrientationSequence"),
        "ImageOrientationPatient|PlaneOrientation",
    ),
    "enhanced, no position in a frame": _enhanced_damaged(
        lambda dataset: dataset.PerFrameFunctionalGroupsSequence[5].__delattr__("PlanePositionSequence"),
        "frame 6.*ImagePositionPatient|ImagePositionPatient.*frame 6|PlanePosition",
    ),
}
