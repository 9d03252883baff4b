"""A result as DICOM objects: parametric maps, segmentations, measurement report (PS3.3 A.75, A.51; PS3.16 TID 1500).

The objects belong to the patient and the study of the source series, from which these attributes are taken on purpose:
they are made to lie beside it in an archive.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName, validate_value

from .. import __version__
from ..densitometry.sites import FEMORAL_NECK, RADIUS, TOTAL_HIP, region_of, vertebrae_of
from ..dicomio.frames import LPS_TO_RAS
from ..dicomio.headers import OURS, damage_told
from ..dicomio.source import FLIP_ANGLES, Beside, Instance, SourceSeries, find_source
from ..errors import Cancelled, InputError
from ..kinetics import MODELS, FitStatus
from ..quantities import (
    BMD,
    BONE,
    BY_NAME,
    DELAY,
    DESCRIPTIVE_TABLE,
    IAUC60,
    IAUC90,
    IAUC180,
    IAUGC60,
    PARAMETERS,
    PRIVATE_SCHEME,
    QCT_DENSITY,
    QUALITY,
    STATUS,
    Code,
    Quantity,
)
from ..result import statistic_column
from ..roi import ARTERIES, LEVEL_CODES, MUSCLES, Fate, is_aorta
from ..series import Progress
from ..tables import one_line, visible
from .files import check_output_folder, left_behind, staged
from .record import Record, read_record, same_place

SOFTWARE = OURS
MAP_FOLDER, REGIONS, EXCLUSIONS, REPORT = "maps", "regions.dcm", "exclusions.dcm", "report.dcm"

MEAN = Code("373098007", "SCT", "Mean")
MEDIAN = Code("373099004", "SCT", "Median")
DEVIATION = Code("386136009", "SCT", "Standard Deviation")
VOXELS = Code("voxel_count", PRIVATE_SCHEME, "Number of voxels with an estimate")
MEAN_CURVE = Code("mean_curve", PRIVATE_SCHEME, "Value of the mean curve of the region")
MEAN_CURVE_ERROR = Code("mean_curve_se", PRIVATE_SCHEME, "Standard error of the fit of the mean curve")
EVALUABLE = Code("evaluable", PRIVATE_SCHEME, "Region is evaluable")
NOT_EVALUABLE = Code("not_evaluable", PRIVATE_SCHEME, "Why the region is not evaluable")
DOUBTFUL_SITE = Code("doubtful_site", PRIVATE_SCHEME, "Why the site does not count, or may not")
FIT_STATUS = Code("fit_status", PRIVATE_SCHEME, "Outcome of the fit of the mean curve")
FATE_CODES = {
    fate: Code(fate.name.lower(), PRIVATE_SCHEME, f"Left out: {fate.reason}"[:64])
    for fate in Fate
    if fate not in (Fate.NOT_DRAWN, Fate.ANALYZED)
}
STATUS_CODES = {
    status: Code(f"fit_{status.value}", PRIVATE_SCHEME, f"Fit: {status.label}")
    for status in FitStatus
    if status is not FitStatus.NOT_ANALYZED
}
PRIVATE_CODES = (
    *(VOXELS, MEAN_CURVE, MEAN_CURVE_ERROR, EVALUABLE, NOT_EVALUABLE, FIT_STATUS, DOUBTFUL_SITE),
    *(entry.code for entry in MODELS.values() if entry.code.scheme == PRIVATE_SCHEME),
    *FATE_CODES.values(),
    *STATUS_CODES.values(),
)
"""Our own codes beside those of the quantities."""

_MODEL_FREE = Code("126342", "DCM", "Model-free concentration-time quantitification")  # as DICOM spells it
_NO_AIF = Code("126360", "DCM", "AIF Ignored")
_POPULATION_AIF = Code("126361", "DCM", "Population Averaged AIF")
_USER_AIF = Code("126362", "DCM", "User-defined AIF ROI")
_PICKED_AIF = Code("126363", "DCM", "Automatically Detected AIF ROI")
_T1_BY_ANGLES = Code("126350", "DCM", "T1 by Multiple Flip Angles")
_T1_FIXED = Code("126352", "DCM", "T1 by Fixed Value")
_BESIDE = {
    FLIP_ANGLES: "the series of flip angles",
    "t1-map": "the T1 map",
    "b1-map": "the B1 map",
    "fat-fraction-map": "the map of the fat fraction",
}
_MODELED = (*PARAMETERS, DELAY, *QUALITY)
_OF_CONCENTRATION = (IAUC60, IAUC90, IAUC180, IAUGC60)

_PERFUSION_ANALYSIS = Code("129104", "DCM", "Perfusion image analysis")
_SEGMENTED = Code("113076", "DCM", "Segmentation")  # PS3.3 A.51.5.1
_SOURCE_OF_PROCESSING = Code("121322", "DCM", "Source image for image processing operation")
_METHOD = Code("370129005", "SCT", "Measurement Method")
_DXA = Code("241686001", "SCT", "Dual energy X-Ray absorptiometry")
_SITES = {
    TOTAL_HIP: Code("29836001", "SCT", "Hip"),
    FEMORAL_NECK: Code("29627003", "SCT", "Neck of femur"),
    RADIUS: Code("62413002", "SCT", "Radius"),
}
_SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}
_LUMBAR_SPINE = Code("122496007", "SCT", "Lumbar spine")
_LUMBAR_REGION = Code("52612000", "SCT", "Lumbar region")
_AORTA, _ERECTOR_SPINAE = "15825003", "44947003"
_VERTEBRA = Code("51282000", "SCT", "Vertebra")
_ANATOMY, _TISSUE = Code("91723000", "SCT", "Anatomical Structure"), Code("85756007", "SCT", "Tissue")
_SPATIAL = Code("309825002", "SCT", "Spatial and Relational Concept")
_ARTERY, _MUSCLE = Code("51114001", "SCT", "Artery"), Code("91727004", "SCT", "Muscle")
_MR_IMAGING = Code("113091000", "SCT", "Magnetic resonance imaging")
_YES, _NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")
_OTHER_ALGORITHM = Code("123101", "DCM", "Neighborhood Analysis")
_UNIT_OF_COUNT = Code("{voxels}", "UCUM", "voxels")
_MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
_TYPE_2 = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)
_CHECKED = ("AS", "CS", "DA", "DS", "DT", "IS", "TM")
_ALSO_COPIED = (
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "SeriesNumber"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    # what the source was acquired with
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber", "StationName"),
    *("InstitutionName", "InstitutionalDepartmentName", "InstitutionAddress"),
    *("AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime"),
)
_ALLOWED = {
    "PatientSex": ("M", "F", "O"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
}
_OF_THE_PATIENT = ("sex", "age_years", "menopause", "weight_kg")  # these stand in their own attributes
_LONGEST = 64  # characters of a description
_ON_SLICE = 1e-3  # in slices; nearer ones are taken for the same


@dataclass(frozen=True)
class _Context:
    """What all objects of an export share."""

    record: Record
    source: SourceSeries
    slices: list[Dataset]
    first_number: int

    def equipment(self) -> dict[str, Any]:
        return {
            "manufacturer": SOFTWARE,
            "manufacturer_model_name": SOFTWARE,
            "software_versions": __version__,
            "device_serial_number": "0",
        }

    def series(self, number: int) -> dict[str, Any]:
        """A new series with one new object."""
        import highdicom

        return {
            "series_instance_uid": highdicom.UID(),
            "series_number": self.first_number + number,
            "sop_instance_uid": highdicom.UID(),
            "instance_number": 1,
        }

    def geometry(self) -> dict[str, Any]:
        """Where the voxels lie: that of the source."""
        from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence

        matrix = LPS_TO_RAS @ self.source.ijk_to_ras
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        directions = matrix[:3, :2] / spacing[:2]
        return {
            "pixel_measures": PixelMeasuresSequence(
                pixel_spacing=[float(spacing[1]), float(spacing[0])],
                slice_thickness=float(self.slices[0].SliceThickness),
                spacing_between_slices=float(spacing[2]),
            ),
            "plane_orientation": PlaneOrientationSequence("PATIENT", directions.T.ravel().tolist()),
            "plane_positions": [
                PlanePositionSequence("PATIENT", (matrix[:3, 3] + k * matrix[:3, 2]).tolist())
                for k in range(self.source.shape[0])
            ],
        }


def export_dicom(folder: Path, source: Path, output: Path, progress: Progress | None = None) -> list[str]:
    """Write the result in a folder as DICOM objects: all of them, or none where it ends with an error (`files.staged`).

    `maps/NAME.dcm` are parametric maps, one series each; `regions.dcm` and `exclusions.dcm` segmentations;
    `report.dcm` is a measurement report. Their identifiers are new each time.

    Parameters
    ----------
    folder : that `analyze` wrote.
    source : folder with the DICOM series that was analyzed; its hash is compared. Flip angles and maps that were read
        from it are referred to where they are still there.
    output : folder for the objects.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Returns
    -------
    What the user should know, one sentence each.

    Raises
    ------
    InputError
        when highdicom is missing, the result is incomplete, the folder cannot be written to, or the series is not the
        one that was analyzed.
    Cancelled
        when `progress` returns False.
    """
    report = progress or (lambda fraction, message: True)
    _check_highdicom()
    check_output_folder(output)
    record = read_record(folder)
    choices = record.history["choices"]
    skipped, chosen = int(choices.get("skip_frames") or 0), choices.get("series")
    digest = record.history["inputs"]["series"]["sha256"]
    named = _named_beside(record)
    found = find_source(source, digest, chosen, skipped, lambda done, message: report(0.5 * done, message), named)
    if found.shape != record.regions.input.shape or not same_place(
        found.ijk_to_ras, record.regions.ijk_to_ras, found.shape
    ):
        raise InputError(f"the series in {source} and the result in {folder} lie on different grids; analyze again")
    notes = [*left_behind(output), *_not_referred_to(record, named, found, source)]
    slices = _slices(found, notes)
    context = _Context(record, found, slices, _first_number(slices[0]))
    quantities = [BY_NAME[name] for name in record.maps if BY_NAME[name] is not STATUS]
    names = [f"{MAP_FOLDER}/{name}.dcm" for name in BY_NAME]
    with staged(output, stale=(*names, REGIONS, EXCLUSIONS, REPORT)) as stage:
        (stage / MAP_FOLDER).mkdir()
        maps = {}
        for n, quantity in enumerate(quantities):
            if not report(0.5 + 0.4 * n / len(quantities), "Writing DICOM objects"):
                raise Cancelled
            item = _parametric_map(context, quantity, n)
            _save(item, stage / MAP_FOLDER / f"{quantity.name}.dcm")
            maps[quantity.name] = item
        number = len(quantities)
        regions = _regions(context, number)
        _save(regions, stage / REGIONS)
        exclusions = _exclusions(context, number + 1)
        if exclusions is not None:
            _save(exclusions, stage / EXCLUSIONS)
        if not report(0.9, "Writing DICOM objects"):
            raise Cancelled
        _save(_report(context, maps, regions, exclusions, number + 2), stage / REPORT)
    return notes


def _named_beside(record: Record) -> dict[str, tuple[str, str]]:
    """What was read from the DICOM folder beside the series: input to how the user named it, and its hash."""
    inputs, choices = record.history["inputs"], record.history["choices"]
    try:
        named = {f"{name}-map": text for name, text in (choices.get("maps") or {}).items()}
        if choices.get("flip_angles"):
            named[FLIP_ANGLES] = choices["flip_angles"]
        return {name: (str(text), str(inputs[name]["sha256"])) for name, text in named.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"provenance.json chooses series without their hash ({one_line(str(error))}); analyze again"
        ) from error


def _not_referred_to(
    record: Record, named: Mapping[str, tuple[str, str]], found: SourceSeries, folder: Path
) -> Iterable[str]:
    """A sentence for each input of the quantities in mM that no object can refer to."""
    for name, what in _BESIDE.items():
        if name in record.history["inputs"] and name not in named:
            yield f"the objects do not refer to {what}, which came from a file that is not DICOM"
        elif name in named and name not in found.beside:
            yield f"the objects do not refer to {what}, since {folder} does not hold it as it was analyzed"


def _check_highdicom() -> None:
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError(
            "writing DICOM objects needs highdicom, which Slicer 5.12 brings and Slicer 5.10 does not; "
            "install this package with its extra 'dicom-export'"
        ) from error


# The source -----------------------------------------------------------------------------------------------------------


def _slices(source: SourceSeries, notes: list[str]) -> list[Dataset]:
    """One header of a plain image per slice, with the patient and the study of the source and the geometry of the maps.

    highdicom derives objects from plain images; `_refer` puts the true ones in their place.
    """
    header = _taken_over(source.header, notes)
    if not header.get("StudyInstanceUID"):
        raise InputError("the source series has no StudyInstanceUID (0020,000D), so nothing can be filed beside it")
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = pydicom.uid.generate_uid()
        notes.append(
            "the source series has no FrameOfReferenceUID (0020,0052); a new one is given to the objects, so a viewer "
            "may not lay them over the source by itself"
        )
    for keyword in _TYPE_2:
        if keyword not in header:
            setattr(header, keyword, None if keyword.endswith(("Date", "Time")) else "")
    matrix = LPS_TO_RAS @ source.ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    header.Rows, header.Columns = source.shape[1:]
    header.PixelSpacing = [float(spacing[1]), float(spacing[0])]
    header.SliceThickness = source.slice_thickness_mm or float(spacing[2])
    header.ImageOrientationPatient = (matrix[:3, :2] / spacing[:2]).T.ravel().tolist()
    header.SpacingBetweenSlices = float(spacing[2])
    header.SOPClassUID = _MR_IMAGE_STORAGE
    slices = []
    for k in range(source.shape[0]):
        item = copy.deepcopy(header)
        item.SOPInstanceUID = pydicom.uid.generate_uid()
        item.SeriesInstanceUID = source.instances[0][0].series_uid
        item.ImagePositionPatient = (matrix[:3, 3] + k * matrix[:3, 2]).tolist()
        slices.append(item)
    return slices


def _taken_over(source: Any, notes: list[str]) -> Dataset:
    """What objects take over from the header of the source; values against the standard stay out, with a note."""
    header, unusable = Dataset(), []
    wanted = _copied(source)
    for tag in source.keys():  # noqa: SIM118, a Dataset iterates over its elements, and reading one may fail
        keyword = pydicom.datadict.keyword_for_tag(tag)
        if keyword not in wanted:
            continue
        try:
            with damage_told(InputError):
                element = source[tag]
                value = element.value
                if element.VR in _CHECKED and not element.is_empty:
                    for one in value if element.VM > 1 else [value]:
                        validate_value(element.VR, str(one), pydicom.config.RAISE)
                if element.VM > 1 and pydicom.datadict.dictionary_VM(tag) == "1":
                    raise InputError("more than one value")
                if not element.is_empty and value not in _ALLOWED.get(keyword, (value,)):
                    raise InputError("not one of the values that are defined")
        except InputError:
            if keyword != "SeriesNumber":  # of which the objects take only a start of their own
                unusable.append(f"{keyword} {tag}")
            continue
        if element.VR != "SQ":
            # without the bytes of its first character set
            setattr(header, keyword, PersonName(str(value)) if isinstance(value, PersonName) else value)
    if header.get("LossyImageCompression") == "01" and not header.get("LossyImageCompressionRatio"):
        unusable.append("LossyImageCompression (0028,2110), which lacks the ratio")
        del header.LossyImageCompression
    if header.get("PatientIdentityRemoved") == "YES":
        codes = _methods_of_deidentification(source)
        if codes:
            header.DeidentificationMethodCodeSequence = codes
        elif not header.get("DeidentificationMethod"):
            unusable.append("PatientIdentityRemoved (0012,0062), which lacks the method")
            del header.PatientIdentityRemoved
    if unusable:
        notes.append(f"the objects leave out what the source holds against the standard: {', '.join(unusable)}")
    return header


def _copied(source: Any) -> set[str]:
    """Keywords of the attributes that objects of highdicom take from a source with these attributes."""
    import highdicom

    asked, copied = Dataset(), highdicom.SOPClass.__new__(highdicom.SOPClass)
    Dataset.__init__(copied)
    for tag in source.keys():  # noqa: SIM118, the elements are not read
        keyword = pydicom.datadict.keyword_for_tag(tag)
        if keyword:
            setattr(asked, keyword, None)
    asked.SOPClassUID, asked.SOPInstanceUID = _MR_IMAGE_STORAGE, pydicom.uid.generate_uid()
    copied.copy_patient_and_study_information(asked)
    return {*(element.keyword for element in copied), *_ALSO_COPIED}


def _methods_of_deidentification(source: Any) -> list[Dataset]:
    """Codes of how the source was freed of the patient's identity, without private tags; none where one is damaged."""
    try:
        with damage_told(InputError):
            codes = [
                Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
                for item in source.get("DeidentificationMethodCodeSequence") or ()
            ]
    except (AttributeError, InputError):
        return []
    return [_coded(code) for code in codes]


def _first_number(header: Any) -> int:
    """Number of the first new series: after that of the source, and unlike those of other series of the study."""
    number = header.get("SeriesNumber") or 0
    return 1000 * int(number) + 1 if 0 < int(number) < 1_000_000 else 9001


def _references(instances: Iterable[Instance]) -> list[Dataset]:
    """References to images, one per file."""
    frames: dict[str, list[Instance]] = {}
    for instance in instances:
        frames.setdefault(instance.sop_uid, []).append(instance)
    found = []
    for uid, of_file in frames.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = of_file[0].sop_class, uid
        if of_file[0].frame:
            item.ReferencedFrameNumber = sorted(instance.frame for instance in of_file)
        found.append(item)
    return found


def _refer(item: Any, source: SourceSeries, frames: slice, code: Code, beside: Sequence[Beside] = ()) -> None:
    """Let an object with frames refer to the images that each frame was made of, at these times.

    highdicom takes the source images from one series, and one image per slice; an analysis uses all times, and the
    phases of an acquisition may be series of their own. Of what was used beside the series, a frame refers to the
    slices that it was interpolated from.
    """
    by_slice = [_derivation(instances[frames], code) for instances in source.instances]
    for other in beside:
        for k, derivation in enumerate(by_slice):
            derivation.SourceImageSequence.extend(_purposeful(_near(other, source, k)))
    for group in item.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence = [by_slice[_slice_of(group, source)]]
    own = str(item.StudyInstanceUID)
    of_study = {own: [instance for instances in source.instances for instance in instances[frames]]}
    for other in beside:
        used = [image for k in range(source.shape[0]) for image in _near(other, source, k)]
        of_study.setdefault(other.study_uid or own, []).extend(used)
    item.ReferencedSeriesSequence = _referred_series(of_study.pop(own))
    others = []
    for uid, instances in of_study.items():
        study = Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = uid, _referred_series(instances)
        others.append(study)
    if others:
        item.StudiesContainingOtherReferencedInstancesSequence = others
    if "SourceImageSequence" in item:
        del item.SourceImageSequence


def _referred_series(instances: Iterable[Instance]) -> list[Dataset]:
    """References to files, by series."""
    series: dict[str, dict[str, Instance]] = {}
    for instance in instances:
        whole = Instance(instance.sop_class, instance.sop_uid, instance.series_uid, 0)
        series.setdefault(instance.series_uid, {})[instance.sop_uid] = whole
    found = []
    for uid, of_series in series.items():
        referred = Dataset()
        referred.SeriesInstanceUID = uid
        referred.ReferencedInstanceSequence = _references(of_series.values())
        found.append(referred)
    return found


def _near(beside: Beside, source: SourceSeries, k: int) -> list[Instance]:
    """The images that a slice of the series lies between, or on."""
    rows, columns = source.shape[1:]
    corners = np.array([[i, j, k, 1.0] for i in (0, columns - 1) for j in (0, rows - 1)])
    along = (corners @ (np.linalg.inv(beside.ijk_to_ras) @ source.ijk_to_ras).T)[:, 2]
    low, high = along.min() - 1.0 + _ON_SLICE, along.max() + 1.0 - _ON_SLICE
    return [image for n, images in enumerate(beside.instances) if low < n < high for image in images]


def _slice_of(group: Any, source: SourceSeries) -> int:
    """Number of the slice that a frame lies on, told by its position."""
    at = [float(value) for value in group.PlanePositionSequence[0].ImagePositionPatient]
    return round(float((np.linalg.inv(LPS_TO_RAS @ source.ijk_to_ras) @ [*at, 1.0])[2]))


def _derivation(instances: Sequence[Instance], code: Code) -> Dataset:
    item = Dataset()
    item.DerivationCodeSequence = [_coded(code)]
    item.SourceImageSequence = _purposeful(instances)
    for reference in item.SourceImageSequence:
        reference.SpatialLocationsPreserved = "YES"
    return item


def _purposeful(instances: Iterable[Instance]) -> list[Dataset]:
    references = _references(instances)
    for reference in references:
        reference.PurposeOfReferenceCodeSequence = [_coded(_SOURCE_OF_PROCESSING)]
    return references


# Maps -----------------------------------------------------------------------------------------------------------------


def _parametric_map(context: _Context, quantity: Quantity, number: int) -> Any:
    import highdicom

    values = np.ascontiguousarray(context.record.maps[quantity.name], dtype=np.float32)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else quantity.display_range
    unit = f" ({quantity.unit})" if quantity.unit else ""
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label=quantity.symbol,
        lut_explanation=f"{quantity.symbol}{unit}; NaN where there is no estimate",
        unit=_concept(quantity.ucum),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=_concept(quantity.code),
    )
    for code in methods(context.record, quantity):
        mapping.QuantityDefinitionSequence.append(
            highdicom.sr.CodeContentItem(name=_concept(_METHOD), value=_concept(code))
        )
    item = highdicom.pm.ParametricMap(
        source_images=context.slices,
        pixel_array=values,
        **context.series(number),
        **context.equipment(),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        **_window(quantity.display_range),
        content_label=quantity.name.upper(),
        content_description=f"{quantity.symbol}{unit}, research use only",
        **context.geometry(),
        series_description=f"{quantity.symbol}{unit}, {SOFTWARE}, research use only"[:_LONGEST],
    )
    item.Modality = "MR"  # highdicom writes OT; who looks for results filters by what acquired the data
    item.BodyPartExamined = "LSPINE"
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = [_coded(_LUMBAR_SPINE)]
    anatomy.FrameLaterality = "U"
    shared = item.SharedFunctionalGroupsSequence[0]
    shared.FrameAnatomySequence = [anatomy]  # dcmqi's reader, which Slicer uses, crashes without
    shared.FrameVOILUTSequence[0].VOILUTFunction = "LINEAR_EXACT"  # the width may be below 1
    beside = list(context.source.beside.values()) if _in_mM(quantity) else []
    _refer(item, context.source, slice(None), _PERFUSION_ANALYSIS, beside)
    _order_frames(item, values, context.source)
    return item


def _order_frames(item: Any, values: npt.NDArray[np.float32], source: SourceSeries) -> None:
    """Put the frames in the order of the slices along their normal.

    highdicom 0.28 sorts them by coordinate, and dcmqi's reader, which Slicer uses, goes by their order and not by their
    positions: sagittal maps came out mirrored.
    """
    groups = sorted(item.PerFrameFunctionalGroupsSequence, key=lambda group: _slice_of(group, source))
    for k, group in enumerate(groups):
        group.FrameContentSequence[0].DimensionIndexValues = k + 1
    item.PerFrameFunctionalGroupsSequence = groups
    item.FloatPixelData = values.astype("<f4").tobytes()


def _window(shown: tuple[float, float]) -> dict[str, Any]:
    """The window of a map, as the version of highdicom wants it: plain numbers to 0.27, a transformation since."""
    import highdicom

    center, width = (shown[0] + shown[1]) / 2, shown[1] - shown[0]
    if "voi_lut_transformations" in inspect.signature(highdicom.pm.ParametricMap.__init__).parameters:
        return {"voi_lut_transformations": [highdicom.VOILUTTransformation(window_center=center, window_width=width)]}
    return {"window_center": center, "window_width": width}


def _in_mM(quantity: Quantity) -> bool:
    """Whether a quantity is made of concentrations, for which T1, B1 and the fat fraction are used."""
    return quantity in _MODELED or quantity in _OF_CONCENTRATION


def methods(record: Record, quantity: Quantity) -> list[Code]:
    """Codes of T1, arterial input and model of a quantity (CID 4106); the model last, which is what dcmqi reads."""
    if not _in_mM(quantity):
        return [_MODEL_FREE]
    inputs = record.history["inputs"]
    known_t1 = [_T1_BY_ANGLES] if "flip-angles" in inputs else [] if "t1-map" in inputs else [_T1_FIXED]
    model = record.setting("model", "model")
    if model == "reference-region":
        aif = _NO_AIF
    elif record.setting("arterial_input", "aif") != "measured":
        aif = _POPULATION_AIF
    else:
        aif = _PICKED_AIF if record.setting("arterial_input", "aif_pick") == "best" else _USER_AIF
    if quantity in _OF_CONCENTRATION:
        return [*known_t1, *([aif] if quantity is IAUGC60 else []), _MODEL_FREE]
    return [*known_t1, aif, MODELS[model].code]


# Segmentations --------------------------------------------------------------------------------------------------------


def _anatomy_of(level: str) -> Code:
    return Code(LEVEL_CODES[level], "SCT", f"{level} vertebra") if level in LEVEL_CODES else _VERTEBRA


@dataclass(frozen=True)
class _Segment:
    """A segment: its name, what it is by category and type, where it is unless that is not known, its voxels."""

    name: str
    category: Code
    kind: Code
    anatomy: Code | None
    mask: npt.NDArray[np.bool_]


def _segmentation(
    context: _Context,
    number: int,
    description: str,
    segments: Sequence[_Segment],
) -> Any:
    """A segmentation of masks that may overlap."""
    import highdicom

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=SOFTWARE, family=_concept(_OTHER_ALGORITHM), version=__version__
    )
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=n,
            segment_label=_label(segment.name),
            segmented_property_category=_concept(segment.category),
            segmented_property_type=_concept(segment.kind),
            algorithm_type="SEMIAUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=str(highdicom.UID()),
            tracking_id=_line(segment.name),
            anatomic_regions=[_concept(segment.anatomy)] if segment.anatomy is not None else None,
        )
        for n, segment in enumerate(segments, start=1)
    ]
    item = highdicom.seg.Segmentation(
        source_images=context.slices,
        pixel_array=np.stack([segment.mask for segment in segments], axis=-1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        **context.series(number),
        **context.equipment(),
        content_label="SEGMENTATION",
        content_description=f"{description}, research use only",
        **context.geometry(),
        series_description=f"{description}, {SOFTWARE}, research use only"[:_LONGEST],
    )
    item.BodyPartExamined = "LSPINE"
    _refer(item, context.source, slice(0, 1), _SEGMENTED)
    return item


def _regions(context: _Context, number: int) -> Any:
    stored = context.record.regions
    segments = []
    for region in stored.regions:
        mask = region.fate == Fate.ANALYZED
        if mask.any():
            kind = (_ANATOMY, _anatomy_of(region.level)) if region.level else (_TISSUE, _TISSUE)
            segments.append(_Segment(region.name, *kind, _LUMBAR_SPINE, mask))
    segments.append(_Segment(stored.input_name, *input_of(context.record), stored.input))
    return _segmentation(context, number, "Analyzed regions", segments)


def input_of(record: Record) -> tuple[Code, Code, Code | None]:
    """Category, type and anatomic region of the input: by the code of its segment, else the aorta by its name."""
    name, code = record.regions.input_name, record.regions.input_code
    if record.setting("model", "model") == "reference-region":
        at = Code(code, "SCT", MUSCLES[code]) if code == _ERECTOR_SPINAE else _LUMBAR_REGION
        return _TISSUE, _MUSCLE, at
    if code not in ARTERIES and is_aorta(name):
        code = _AORTA
    return _ANATOMY, _ARTERY, Code(code, "SCT", ARTERIES[code]) if code in ARTERIES else None


def _exclusions(context: _Context, number: int) -> Any:
    """A segment per reason why voxels are not analyzed or have no plain estimate; None where there is no such voxel."""
    fates = [region.fate for region in context.record.regions.regions]
    masks = [(code, np.any([fate == wanted for fate in fates], axis=0)) for wanted, code in FATE_CODES.items()]
    status = context.record.maps.get(STATUS.name)
    if status is not None:
        masks += [(code, status == value) for value, code in STATUS_CODES.items() if value is not FitStatus.FITTED]
    segments = [_Segment(code.meaning, _SPATIAL, code, _LUMBAR_SPINE, mask) for code, mask in masks if mask.any()]
    return _segmentation(context, number, "Voxels left out", segments) if segments else None


# Report ---------------------------------------------------------------------------------------------------------------


def _report(context: _Context, maps: Mapping[str, Any], regions: Any, exclusions: Any, number: int) -> Any:
    import highdicom
    from highdicom import sr

    device = sr.ObserverContext(
        observer_type=_concept(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=highdicom.UID(), name=SOFTWARE, manufacturer_name=SOFTWARE, model_name=f"{SOFTWARE} {__version__}"
        ),
    )
    groups = [_measurements(context, row, maps, regions) for row in range(len(context.record.regions.regions))]
    groups += [group for row in context.record.bone if (group := _bone(row)) is not None]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=_concept(_MR_IMAGING),
        imaging_measurements=groups,
    )
    evidence = [regions, *([exclusions] if exclusions is not None else []), *maps.values()]
    item = sr.ComprehensiveSR(
        evidence=[*evidence, *_source_evidence(context)],
        content=content[0],
        **context.series(number),
        manufacturer=SOFTWARE,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=f"Perfusion per vertebra, {SOFTWARE}, research use only"[:_LONGEST],
    )
    item.ManufacturerModelName, item.SoftwareVersions = SOFTWARE, __version__
    return item


def _source_evidence(context: _Context) -> list[Dataset]:
    """The images of the first time and those used beside the series, one per file, as evidence of the report."""
    own = str(context.slices[0].StudyInstanceUID)
    images = [(own, instances[0]) for instances in context.source.instances]
    for beside in context.source.beside.values():
        images += [(beside.study_uid or own, image) for of_slice in beside.instances for image in of_slice]
    found: dict[str, Dataset] = {}
    for study, image in images:
        if image.sop_uid not in found:
            item = copy.deepcopy(context.slices[0])
            item.StudyInstanceUID, item.SeriesInstanceUID = study, image.series_uid
            item.SOPClassUID, item.SOPInstanceUID = image.sop_class, image.sop_uid
            found[image.sop_uid] = item
    return list(found.values())


def _measurements(context: _Context, row: int, maps: Mapping[str, Any], regions: Any) -> Any:
    """What was found in one region."""
    from highdicom import sr

    record, region = context.record, context.record.regions.regions[row]
    vertebrae, descriptive = record.vertebrae[row], record.descriptive[row]
    analyzed = region.fate == Fate.ANALYZED
    found = []
    for name, item in maps.items():
        quantity = BY_NAME[name]
        method = None if quantity in _MODELED else _MODEL_FREE
        image = sr.SourceImageForMeasurement(item.SOPClassUID, item.SOPInstanceUID)
        for derivation, value, unit in voxel_statistics(record.maps[name][analyzed], quantity):
            found.append(_measurement(quantity.code, value, unit, derivation, method, [image]))
    for quantity in (*_MODELED, *DESCRIPTIVE_TABLE):
        values = vertebrae if quantity.column in vertebrae else descriptive
        method = None if quantity in _MODELED else _MODEL_FREE
        for column, derivation in (
            (quantity.column, MEAN_CURVE),
            (statistic_column(quantity.column, "se"), MEAN_CURVE_ERROR),
        ):
            value = _number(values, column)
            if math.isfinite(value):
                found.append(_measurement(quantity.code, value, quantity.ucum, derivation, method))
    status = next((s for s in STATUS_CODES if s.label == vertebrae.get("status")), None)
    evaluations = [
        sr.QualitativeEvaluation(_concept(EVALUABLE), _concept(_YES if vertebrae["evaluable"] == "yes" else _NO))
    ]
    if status is not None:
        evaluations.append(sr.QualitativeEvaluation(_concept(FIT_STATUS), _concept(STATUS_CODES[status])))
    identifier = _line(region.name)
    site = _anatomy_of(region.level) if region.level else _LUMBAR_SPINE
    number = sum(bool((other.fate == Fate.ANALYZED).any()) for other in record.regions.regions[:row])
    segment = regions.SegmentSequence[number] if analyzed.any() else None
    common = {
        "finding_type": _concept(_anatomy_of(region.level) if region.level else _TISSUE),
        "method": _concept(methods(record, PARAMETERS[0])[-1]),
        "algorithm_id": sr.AlgorithmIdentification(SOFTWARE, __version__, parameters=_parameters(record)),
        "finding_sites": [sr.FindingSite(_concept(site))],
        "measurements": found,
        "qualitative_evaluations": evaluations,
    }
    why_not = vertebrae.get("not_evaluable", "")
    if segment is None:  # nothing of the region was analyzed
        group = sr.MeasurementsAndQualitativeEvaluations(sr.TrackingIdentifier(identifier=identifier), **common)
        return _explained(group, NOT_EVALUABLE, why_not)
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=identifier),
        referenced_segment=sr.ReferencedSegment(
            regions.SOPClassUID,
            regions.SOPInstanceUID,
            int(segment.SegmentNumber),
            source_series=sr.SourceSeriesForSegmentation(context.source.instances[0][0].series_uid),
        ),
        **common,
    )
    return _explained(group, NOT_EVALUABLE, why_not)


def _explained(group: Any, about: Code, text: str) -> Any:
    """A group with a sentence in it, unless that is empty; and with its method where TID 1411 and 1501 want it."""
    from highdicom import sr

    content = group[0].ContentSequence
    for item in content:
        if item.name == _concept(_METHOD):
            item.RelationshipType = "HAS CONCEPT MOD"  # highdicom writes CONTAINS
    if text:
        content.append(sr.TextContentItem(name=_concept(about), value=_line(text), relationship_type="CONTAINS"))
    return group


def voxel_statistics(values: npt.NDArray[np.generic], quantity: Quantity) -> list[tuple[Code, float, Code]]:
    """Mean, median, standard deviation (n - 1) and number of the voxels that have an estimate; what is defined."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    found = [(VOXELS, float(known.size), _UNIT_OF_COUNT)]
    if known.size:
        found += [(MEAN, float(known.mean()), quantity.ucum), (MEDIAN, float(np.median(known)), quantity.ucum)]
    if known.size > 1:
        found.append((DEVIATION, float(known.std(ddof=1)), quantity.ucum))
    return found


def _measurement(
    quantity: Code, value: float, unit: Code, derivation: Code | None, method: Code | None, images: Sequence[Any] = ()
) -> Any:
    from highdicom import sr

    return sr.Measurement(
        name=_concept(quantity),
        value=value,
        unit=_concept(unit),
        derivation=_concept(derivation) if derivation else None,
        method=_concept(method) if method else None,
        referenced_images=list(images) or None,
    )


def _bone(row: Mapping[str, str]) -> Any:
    """Densitometry of one site; None where the row holds none. It comes from the user, not from these images."""
    from highdicom import sr

    values = {quantity: _number(row, quantity.column) for quantity in BONE} if row["scope"] != "subject" else {}
    known = [quantity for quantity, value in values.items() if math.isfinite(value)]
    doubt = row.get("exclusion", "") if values else ""
    if not (known or doubt):
        return None
    by_ct = QCT_DENSITY in known  # scores beside it need not be of DXA
    found = [
        _measurement(quantity.code, values[quantity], quantity.ucum, None, _DXA if by_ct and quantity is BMD else None)
        for quantity in known
    ]
    site = row["site"]
    group = sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(identifier=_line(f"Densitometry {site}")),
        method=_concept(_DXA) if found and not by_ct else None,
        finding_sites=_finding_sites(site),
        measurements=found or None,
    )
    return _explained(group, DOUBTFUL_SITE, doubt)


def _finding_sites(site: str) -> list[Any] | None:
    """Where the bone of a site of `densitometry.sites` is, with its side; None where there is no code."""
    from highdicom import sr

    if vertebrae_of(site):
        return [sr.FindingSite(_concept(_anatomy_of(site) if site in LEVEL_CODES else _LUMBAR_SPINE))]
    at, side = _SITES.get(region_of(site)), _SIDES.get(site.rpartition(" ")[2])
    if at is None:
        return None
    return [sr.FindingSite(_concept(at), laterality=_concept(side) if side is not None else None)]


def _number(row: Mapping[str, str], column: str) -> float:
    text = row.get(column, "nan")
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"the tables hold {text[:40]!r} under {column}, which is no number; analyze again") from error


def _parameters(record: Record) -> list[str]:
    """The choices that decide what the values mean."""
    used = record.history.get("used", {})
    texts = [f"model {record.setting('model', 'model')}", f"conversion {record.setting('conversion', 'conversion')}"]
    texts += [f"{name} {entry['value']}" for name, entry in used.items() if name not in _OF_THE_PATIENT]
    return [_label(text) for text in texts]


# Codes and files ------------------------------------------------------------------------------------------------------


def _line(text: str) -> str:
    """Text from outside as one line of characters that are seen, without backslash, which separates values in DICOM."""
    return visible(one_line(text)).replace("\\", "/") or "unnamed"


def _label(text: str) -> str:
    """Text from outside as a long string of DICOM, which holds 64 characters."""
    return _line(text)[:_LONGEST].strip()


def _concept(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def _save(item: Any, path: Path) -> None:
    item.SpecificCharacterSet = "ISO_IR 192"
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = f"{SOFTWARE}, docs/quantities.md"
    item.CodingSchemeIdentificationSequence = [scheme]
    item.save_as(path, enforce_file_format=True)
