"""One DICOM file: read once, its header reduced to what is used, its pixels kept as the file has them.

Nothing a header promises is believed before it is checked against the bytes that are there. pydicom finds the elements;
their values are parsed here, so that a damaged one is known by name and harms nothing unless it is needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import charset, encaps
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from ..errors import InputError
from ..tables import one_line

Values = dict[str, "str | tuple[float, ...]"]
"""Attributes by keyword: numbers as a tuple, texts as they are; a number that cannot be parsed is its text."""

# What pydicom and its decoders raise on damaged files: seen on thousands of mutations, or by their source.
_PYDICOM_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

# MR Image, Enhanced MR Image, Enhanced MR Color Image, Legacy Converted Enhanced MR Image
_MR_IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.4{end}" for end in ("", ".1", ".3", ".4"))

OURS = "DCEPerfusionBMD"
"""Manufacturer of the objects that `export.dicom` writes."""
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"

_NUMBERS = {
    0x00180050: ("SliceThickness", "DS"),
    0x00180080: ("RepetitionTime", "DS"),
    0x00180081: ("EchoTime", "DS"),
    0x00180087: ("MagneticFieldStrength", "DS"),
    0x00180088: ("SpacingBetweenSlices", "DS"),
    0x00101030: ("PatientWeight", "DS"),
    0x00181060: ("TriggerTime", "DS"),
    0x00181314: ("FlipAngle", "DS"),
    0x00189073: ("AcquisitionDuration", "FD"),
    0x00189082: ("EffectiveEchoTime", "FD"),
    0x00189087: ("DiffusionBValue", "FD"),
    0x00189220: ("FrameAcquisitionDuration", "FD"),
    0x00200011: ("SeriesNumber", "IS"),
    0x00200012: ("AcquisitionNumber", "IS"),
    0x00200013: ("InstanceNumber", "IS"),
    0x00200032: ("ImagePositionPatient", "DS"),
    0x00200037: ("ImageOrientationPatient", "DS"),
    0x00200100: ("TemporalPositionIdentifier", "IS"),
    0x00200105: ("NumberOfTemporalPositions", "IS"),
    0x00200110: ("TemporalResolution", "DS"),
    0x00209128: ("TemporalPositionIndex", "UL"),
    0x00209153: ("NominalCardiacTriggerDelayTime", "FD"),
    0x00209157: ("DimensionIndexValues", "UL"),
    0x0020930D: ("TemporalPositionTimeOffset", "FD"),
    0x00280002: ("SamplesPerPixel", "US"),
    0x00280008: ("NumberOfFrames", "IS"),
    0x00280010: ("Rows", "US"),
    0x00280011: ("Columns", "US"),
    0x00280030: ("PixelSpacing", "DS"),
    0x00280100: ("BitsAllocated", "US"),
    0x00280101: ("BitsStored", "US"),
    0x00280102: ("HighBit", "US"),
    0x00280103: ("PixelRepresentation", "US"),
    0x00280120: ("PixelPaddingValue", "US"),
    0x00280121: ("PixelPaddingRangeLimit", "US"),
    0x00281052: ("RescaleIntercept", "DS"),
    0x00281053: ("RescaleSlope", "DS"),
    0x00409224: ("RealWorldValueIntercept", "FD"),
    0x00409225: ("RealWorldValueSlope", "FD"),
}
_TEXTS = {
    0x00080005: "SpecificCharacterSet",
    0x00080008: "ImageType",
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x00080020: "StudyDate",
    0x00080021: "SeriesDate",
    0x00080022: "AcquisitionDate",
    0x00080023: "ContentDate",
    0x0008002A: "AcquisitionDateTime",
    0x00080031: "SeriesTime",
    0x00080032: "AcquisitionTime",
    0x00080033: "ContentTime",
    0x00080060: "Modality",
    0x00080050: "AccessionNumber",
    0x00080070: "Manufacturer",
    0x00080201: "TimezoneOffsetFromUTC",
    0x0008103E: "SeriesDescription",
    0x00089007: "FrameType",
    0x00089208: "ComplexImageComponent",
    0x00100010: "PatientName",
    0x00100020: "PatientID",
    0x00100030: "PatientBirthDate",
    0x00100040: "PatientSex",
    0x00101010: "PatientAge",
    0x00180010: "ContrastBolusAgent",
    0x00180020: "ScanningSequence",
    0x00180023: "MRAcquisitionType",
    0x00180024: "SequenceName",
    0x00181030: "ProtocolName",
    0x00189005: "PulseSequenceName",
    0x00189074: "FrameAcquisitionDateTime",
    0x00189151: "FrameReferenceDateTime",
    0x0019109C: "GEPulseSequenceName",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
    0x00200052: "FrameOfReferenceUID",
    0x00280004: "PhotometricInterpretation",
    0x00281054: "RescaleType",
}
# Private elements: group, number in their block, creator of the block, keyword, VR.
_PRIVATE = (
    (0x0043, 0x2F, "GEMS_PARM_01", "GEImageType", "SS"),
    (0x0065, 0x50, "Image Private Header", "UIHImagesInGrid", "DS"),
    (0x2005, 0x0E, "Philips MR Imaging DD 001", "PhilipsScaleSlope", "FL"),
)
_PRIVATE_GROUPS = {group for group, *_ in _PRIVATE}
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF
_SHARED_GROUPS, _FRAME_GROUPS, _DIMENSIONS = 0x52009229, 0x52009230, 0x00209222
_DIMENSION_POINTER, _REAL_WORLD, _UNITS, _CODE = 0x00209165, 0x00409096, 0x004008EA, 0x00080100
_MODALITY_LUT = 0x00283000
# The functional groups that hold what is used (DICOM PS3.3 C.7.6.16.2 and C.8.13.5).
_MACROS = (
    0x00189006,  # MR Imaging Modifier
    0x00189112,  # MR Timing and Related Parameters
    0x00189114,  # MR Echo
    0x00189117,  # MR Diffusion
    0x00189118,  # Cardiac Synchronization
    0x00189226,  # MR Image Frame Type
    0x00209111,  # Frame Content
    0x00209113,  # Plane Position
    0x00209116,  # Plane Orientation
    0x00209310,  # Temporal Position
    0x00289110,  # Pixel Measures
    0x00289145,  # Pixel Value Transformation
)
# Those with attributes of classic images; they count where no other functional group holds the attribute.
_LEFTOVERS = (
    0x00209170,  # Unassigned Shared Converted Attributes
    0x00209171,  # Unassigned Per-Frame Converted Attributes
    0x2005140F,  # Philips' own
)
# A dimension that points to one of these counts the frames of a dynamic series,
_COUNT_POINTERS = {0x00209128, 0x00200100}
# or puts its images in the order of their times, which need not be the same in all slices of a frame.
_TIME_POINTERS = {0x0020930D, 0x00181060, 0x00209153, 0x00189074, 0x00189151}
_PIXELS = {0x7FE00010: "", 0x7FE00008: "f4", 0x7FE00009: "f8"}
_WANTED = [
    BaseTag(tag)
    for tag in sorted(
        {*_NUMBERS, *_TEXTS, *_PIXELS, _SHARED_GROUPS, _FRAME_GROUPS, _DIMENSIONS, _REAL_WORLD, _MODALITY_LUT}
        | {group << 16 | _FIRST_BLOCK for group in _PRIVATE_GROUPS}
        | {group << 16 | _FIRST_BLOCK << 8 | number for group, number, *_ in _PRIVATE}
    )
]

_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_DECIMAL = {"DS", "IS", "LO", "SH", "CS", "UT", "LT", "ST", "UC"}
_LONGEST_VALUE = 4096
_PATIENT_NAME = 0x00100010
_RESET_IN_NAMES, _RESET_IN_TEXTS = set(b"\\^="), set(b"\\\t\n\f\r")  # after these the first character set is back
_MOST_FRAMES = 1_000_000
_LARGEST_FRAME = 64 * 2**20  # bytes that a compressed frame may promise whatever its size
_LARGEST_RATIO = 1000

_UNCOMPRESSED = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_PACKAGES = {
    "1.2.840.10008.1.2.4.50": "pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.51": "pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.57": "pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.70": "pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.80": "pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.81": "pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.90": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.5": "pylibjpeg-rle",
}


@dataclass(frozen=True)
class PassedOver:
    """A file that is not used.

    Attributes
    ----------
    name : base name of the file.
    reason : as a phrase that follows "is".
    damaged : whether it may be an image nonetheless.
    values : what could be read of its header.
    """

    name: str
    reason: str
    damaged: bool = False
    values: Values | None = None


@dataclass(frozen=True)
class Layout:
    """How the pixels of a frame are stored."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    kind: str  # numpy's code for floating-point pixels, else empty
    syntax: str
    photometric: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the decoded pixels, in the byte order of the machine."""
        return np.dtype(self.kind or f"{'i' if self.signed else 'u'}{self.allocated // 8}")

    @property
    def compressed(self) -> bool:
        return self.syntax not in _UNCOMPRESSED

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.samples * self.dtype.itemsize


@dataclass(frozen=True)
class ImageFile:
    """A DICOM file with an image.

    Attributes
    ----------
    name : base name.
    path : where it lies.
    sha256 : of the file.
    values : attributes, one set per frame.
    pixels : bytes of each frame as stored.
    """

    name: str
    path: Path
    sha256: str
    values: tuple[Values, ...]
    pixels: tuple[bytes | memoryview, ...]
    layout: Layout
    multiframe: bool


class _Damaged(Exception):
    """What is wrong with a file."""


@contextlib.contextmanager
def damage_told(as_error: type[Exception], prefix: str = "") -> Iterator[None]:
    """Anything that pydicom raises on a damaged file, as one line in `as_error`."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        # pylibjpeg-rle panics on damaged data; the panic has no class that could be imported, and is no Exception
        if not isinstance(error, _PYDICOM_ERRORS) and type(error).__name__ != "PanicException":
            raise
        reason = "its header is nested too deep" if isinstance(error, RecursionError) else one_line(str(error))
        raise as_error(prefix + (reason[:300] or type(error).__name__)) from error


def read_file(path: Path, keep_pixels: bool = True) -> ImageFile | PassedOver:
    """Read a file; what is no image, or a damaged one, comes back with the reason."""
    name = path.name
    try:
        with path.open("rb") as file:
            start = file.read(132)
            bare = start[128:] != b"DICM"
            if bare and not _starts_with_element(start):
                return PassedOver(name, "not DICOM")
            content = start + file.read()
    except OSError as error:
        return PassedOver(name, f"not readable ({error.strerror})", damaged=True)
    values: Values = {}
    try:
        with damage_told(_Damaged):
            dataset = pydicom.dcmread(io.BytesIO(content), specific_tags=_WANTED, force=bare)
            elements = {int(tag): element for tag, element in dataset.items()}
            elements |= _private_elsewhere(content, elements)
            _collect(elements, values)
            image = _image(path, content, dataset, elements, values)
    except _Damaged as reason:
        return PassedOver(name, str(reason), damaged=True, values=values)
    if not keep_pixels and isinstance(image, ImageFile):
        return dataclasses.replace(image, pixels=(b"",) * len(image.pixels))
    return image


def _starts_with_element(start: bytes) -> bool:
    """Whether a file without preamble begins as a DICOM data set does, with group 0002 or 0008."""
    if len(start) < 8 or start[:2] not in (b"\x02\0", b"\x08\0") or start[3] or start[2] > 0x18:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or int.from_bytes(start[4:8], "little") <= _LONGEST_VALUE


def _private_elsewhere(content: bytes, elements: dict[int, Any]) -> dict[int, Any]:
    """The private elements that are not in the first block of their group, which is where they usually are."""
    pixels = [elements[tag].value for tag in _PIXELS if tag in elements]
    end = max(0, len(content) - sum(len(value) for value in pixels if isinstance(value, bytes)))
    wanted: set[int] = set()
    for group, number, creator, *_ in _PRIVATE:
        first: Any = elements.get(group << 16 | _FIRST_BLOCK)
        if (first is not None and _text(first, {}) == creator) or content.find(creator.encode(), 0, end) < 0:
            continue
        for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
            wanted |= {group << 16 | block, group << 16 | block << 8 | number}
    if not wanted:
        return {}
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=sorted(wanted), force=True)
    return {int(tag): element for tag, element in dataset.items() if tag in wanted}


def _image(
    path: Path, content: bytes, dataset: Dataset, elements: dict[int, Any], values: Values
) -> ImageFile | PassedOver:
    name = path.name
    pixel_tag = next((tag for tag in _PIXELS if tag in elements), None)
    if pixel_tag is None and "Rows" not in values and "Columns" not in values:
        if _is_mr(str(dataset.file_meta.get("MediaStorageSOPClassUID") or values.get("SOPClassUID", ""))):
            raise _Damaged("truncated: it has no image")
        return PassedOver(name, "not an image", values=values)
    if values.get("Modality") not in ("MR", None, ""):
        return PassedOver(name, f"not MR (modality {one_line(str(values['Modality']))[:16]})", values=values)
    if values.get("SOPClassUID") == PARAMETRIC_MAP and values.get("Manufacturer") == OURS:
        return PassedOver(name, f"a map that {OURS} made", values=values)
    if pixel_tag is None:
        raise _Damaged("truncated: it has no pixel data")
    if values.get("Modality") != "MR":
        return PassedOver(name, "not MR (no modality)", values=values)
    syntax = str(dataset.file_meta.get("TransferSyntaxUID") or "")
    if not syntax and content[128:132] != b"DICM" and isinstance(elements[pixel_tag], RawDataElement):
        syntax = _IMPLICIT if elements[pixel_tag].is_little_endian else _BIG_ENDIAN  # as pydicom found it
    if not syntax:
        raise _Damaged("without transfer syntax")
    layout = _layout(values, _PIXELS[pixel_tag], syntax)
    count = _integer(values, "NumberOfFrames", 1, 1, _MOST_FRAMES)
    per_frame = _functional_groups(dataset, elements, values)
    if per_frame is not None and len(per_frame) != count:
        raise _Damaged(f"damaged: NumberOfFrames is {count}, but {len(per_frame)} frames are described")
    pixels = _split(elements[pixel_tag], layout, count)
    digest = hashlib.sha256(content).hexdigest()
    return ImageFile(name, path, digest, per_frame or (values,), pixels, layout, per_frame is not None)


def _is_mr(sop_class: str) -> bool:
    return sop_class in _MR_IMAGES


def _collect(elements: dict[int, Any], into: Values) -> None:
    """Parse the known attributes of one header or item."""
    for tag, element in elements.items():
        if tag in _NUMBERS:
            keyword, vr = _NUMBERS[tag]
            into[keyword] = _numbers(element, vr)
    encoding: Any = elements.get(0x00080005)
    if encoding is not None:
        into["SpecificCharacterSet"] = _text(element=encoding, into=into)
    for tag, element in elements.items():
        if tag in _TEXTS:
            into[_TEXTS[tag]] = _text(element, into)
    lut: Any = elements.get(_MODALITY_LUT)
    if lut is not None and lut.value:
        into["ModalityLUTSequence"] = "present"
    _collect_private(elements, into)


def _collect_private(elements: dict[int, Any], into: Values) -> None:
    """Parse the known private elements; a block without creator is taken for the usual one."""
    creators = {
        (tag >> 16, tag & 0xFFFF): _text(element, into)
        for tag, element in elements.items()
        if tag >> 16 in _PRIVATE_GROUPS and _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK
    }
    for group, number, creator, keyword, vr in _PRIVATE:
        blocks = [block for (g, block), text in creators.items() if g == group and text.lower() == creator.lower()]
        if not blocks and (group, _FIRST_BLOCK) not in creators:
            blocks = [_FIRST_BLOCK]
        for block in blocks:
            element = elements.get(group << 16 | block << 8 | number)
            if element is not None:
                into[keyword] = _numbers(element, vr)
                into[f"{keyword}Creator"] = creators.get((group, block), "")


def _numbers(element: Any, vr: str) -> str | tuple[float, ...]:
    value = element.value
    if not value:
        return ()
    kind = vr if element.VR in (None, "UN") else str(element.VR)
    if not isinstance(value, bytes) or len(value) > _LONGEST_VALUE:
        return f"{kind} of unfit length"
    if kind in _DECIMAL:
        text = value.decode("latin-1").strip(" \0")
        try:
            return tuple(float(part) for part in text.split("\\")) if text else ()
        except ValueError:
            return one_line(text)[:60]
    code = _BINARY.get(kind)
    if code is None or len(value) % struct.calcsize("=" + code):
        return f"{kind} of {len(value)} bytes"
    order = "<" if element.is_little_endian else ">"
    return struct.unpack(f"{order}{len(value) // struct.calcsize('=' + code)}{code}", value)


def _text(element: Any, into: Values) -> str:
    value = element.value
    if isinstance(value, (str, MultiValue)):  # pydicom parses (0008,0005) itself, to decode the others
        return "\\".join([value] if isinstance(value, str) else map(str, value))[:_LONGEST_VALUE].strip(" \0")
    if not isinstance(value, bytes):
        return ""
    value = value[:_LONGEST_VALUE]
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(" \0")
    encodings = charset.convert_encodings(str(into.get("SpecificCharacterSet", "")).split("\\"))
    resetting = _RESET_IN_NAMES if int(element.tag) == _PATIENT_NAME else _RESET_IN_TEXTS
    return str(charset.decode_bytes(value, encodings, resetting)).strip(" \0")


def _integer(values: Values, keyword: str, absent: int | None, low: int, high: int) -> int:
    found = values.get(keyword, ())
    if found == () and absent is not None:
        return absent
    if isinstance(found, str) or len(found) != 1 or not low <= found[0] <= high or found[0] % 1:
        shown = found if isinstance(found, str) else "\\".join(f"{item:g}" for item in found)
        raise _Damaged(f"damaged: {keyword} is {shown or 'absent'}")
    return int(found[0])


def _layout(values: Values, kind: str, syntax: str) -> Layout:
    allocated = _integer(values, "BitsAllocated", None, 1, 64)
    if allocated not in ((8, 16, 32) if not kind else (32, 64)):
        raise _Damaged(f"damaged: BitsAllocated is {allocated}")
    return Layout(
        rows=_integer(values, "Rows", None, 1, 65535),
        columns=_integer(values, "Columns", None, 1, 65535),
        samples=_integer(values, "SamplesPerPixel", 1, 1, 4),
        allocated=allocated,
        stored=_integer(values, "BitsStored", allocated, 1, allocated),
        signed=bool(_integer(values, "PixelRepresentation", 0, 0, 1)),
        kind=kind,
        syntax=syntax,
        photometric=str(values.get("PhotometricInterpretation") or "MONOCHROME2"),
    )


def _split(element: Any, layout: Layout, count: int) -> tuple[bytes | memoryview, ...]:
    """The bytes of each frame, when all are there."""
    value = element.value
    if not isinstance(value, bytes):
        raise _Damaged("truncated: its pixel data is empty")
    size = layout.frame_bytes
    if not layout.compressed:
        if len(value) < size * count:
            raise _Damaged(f"truncated: it holds {len(value)} bytes of pixels where {size * count} are due")
        more = value[size * count :]
        if len(more) >= size or (len(more) >= size // layout.rows and any(more)):  # else it is padding
            raise _Damaged(f"damaged: it holds {len(value)} bytes of pixels where {size * count} are due")
        if count == 1:
            return (value[:size],)
        whole = memoryview(value)
        return tuple(whole[n * size : (n + 1) * size] for n in range(count))
    if hasattr(encaps, "generate_frames"):
        frames = tuple(encaps.generate_frames(value, number_of_frames=count))
    else:  # Slicer 5.10
        frames = tuple(encaps.generate_pixel_data_frame(value, count))
    if len(frames) != count:
        raise _Damaged(f"truncated: it holds {len(frames)} compressed frames where {count} are due")
    for frame in frames:
        if size > max(_LARGEST_FRAME, _LARGEST_RATIO * len(frame)):
            raise _Damaged(f"damaged: {len(frame)} compressed bytes cannot be {layout.rows} x {layout.columns} pixels")
    return frames


def _items(elements: dict[int, Any], dataset: Dataset, tag: int) -> Sequence[Dataset]:
    if tag not in elements:
        return ()
    found = dataset[tag].value
    if found is None or isinstance(found, (bytes, str)) or not all(isinstance(item, Dataset) for item in found):
        raise _Damaged(f"damaged: ({tag >> 16:04X},{tag & 0xFFFF:04X}) is no sequence")
    return found


def _functional_groups(dataset: Dataset, elements: dict[int, Any], top: Values) -> tuple[Values, ...] | None:
    """The attributes of each frame of an enhanced image; None for a classic one, whose units are added to `top`."""
    _real_world(dataset, elements, top)
    groups = _items(elements, dataset, _FRAME_GROUPS)
    if not groups:
        return None
    encoding: Values = {key: top[key] for key in ("SpecificCharacterSet",) if key in top}
    shared, shared_leftovers = dict(encoding), dict(encoding)
    for item in _items(elements, dataset, _SHARED_GROUPS)[:1]:
        _flatten(item, shared, shared_leftovers)
    columns: dict[str, int] = {}
    for n, item in enumerate(_items(elements, dataset, _DIMENSIONS)):
        pointer = item.get(_DIMENSION_POINTER)
        tag = int(pointer.value or 0) if pointer is not None else 0
        if tag in _COUNT_POINTERS:
            columns["TemporalPositionIndex"] = n
        elif tag in _TIME_POINTERS:
            columns["TemporalDimension"] = n
    frames = []
    for item in groups:
        standard, leftovers = dict(shared), dict(shared_leftovers)
        _flatten(item, standard, leftovers)
        index = standard.get("DimensionIndexValues", ())
        for keyword, column in columns.items():
            if keyword not in standard and not isinstance(index, str) and column < len(index):
                standard[keyword] = index[column : column + 1]
        if standard.get("EffectiveEchoTime") and not standard.get("EchoTime"):
            standard["EchoTime"] = standard["EffectiveEchoTime"]
        if standard.get("FrameType"):
            standard["ImageType"] = standard["FrameType"]
        frames.append({**top, **leftovers, **standard})
    return tuple(frames)


def _flatten(item: Dataset, standard: Values, leftovers: Values) -> None:
    elements = {int(tag): element for tag, element in item.items()}
    _real_world(item, elements, standard)
    for macros, into in ((_MACROS, standard), (_LEFTOVERS, leftovers)):
        for tag in macros:
            for inner in _items(elements, item, tag)[:1]:
                _collect({int(t): e for t, e in inner.items()}, into)


def _real_world(dataset: Dataset, elements: dict[int, Any], into: Values) -> None:
    """Slope, intercept and unit of a real world value mapping (DICOM PS3.3 C.7.6.16.2.11)."""
    for mapping in _items(elements, dataset, _REAL_WORLD)[:1]:
        inner = {int(tag): element for tag, element in mapping.items()}
        _collect(inner, into)
        for unit in _items(inner, mapping, _UNITS)[:1]:
            code = unit.get_item(_CODE)
            into["RealWorldUnit"] = _text(code, into) if code is not None else ""


def decode(pixels: bytes | memoryview, layout: Layout, named: str) -> npt.NDArray[np.generic]:
    """The pixels of one frame, (rows, columns), in their own type.

    Raises
    ------
    InputError
        when they cannot be decoded; names the package that would help.
    """
    if not layout.compressed:
        stored = layout.dtype.newbyteorder(">" if layout.syntax == _BIG_ENDIAN else "<")
        array = np.frombuffer(pixels, stored)
        found = array.reshape(layout.rows, layout.columns).astype(layout.dtype, copy=False)
    else:
        with damage_told(InputError, f"{named} cannot be decoded: "):
            check_decoder(layout.syntax)
            found = np.asarray(_small_dataset(pixels, layout).pixel_array)
        if found.shape != (layout.rows, layout.columns) or found.dtype.itemsize > layout.dtype.itemsize:
            raise InputError(f"{named} cannot be decoded: its stream holds {found.shape} pixels of {found.dtype}")
        found = found.astype(layout.dtype, copy=False)
    return found if layout.kind or layout.stored == layout.allocated else _within_stored_bits(found, layout, named)


def _within_stored_bits(found: npt.NDArray[Any], layout: Layout, named: str) -> npt.NDArray[np.generic]:
    """Pixels whose unused high bits are those of the value; they need not be in the file (DICOM PS3.5 8.1.1)."""
    above = 2**layout.stored
    low, high = int(found.min()), int(found.max())
    if high >= above or low < -above // 2:
        raise InputError(
            f"{named} cannot be decoded: its values go from {low} to {high}, beyond the {layout.stored} bits of "
            "BitsStored (0028,0101); an overlay may be embedded, or the tag is wrong"
        )
    if layout.signed and high >= above // 2:
        return np.where(found >= above // 2, found - above, found).astype(layout.dtype)
    return found


def check_decoder(syntax: str) -> None:
    """Raise InputError unless something can decode a compressed transfer syntax."""
    package = _PACKAGES.get(syntax)
    if package is None:
        raise InputError(f"the transfer syntax {one_line(syntax)[:64]} is not supported; convert the files first")
    if hasattr(pydicom, "pixels"):
        available = pydicom.pixels.get_decoder(syntax).is_available
    else:  # Slicer 5.10
        available = any(
            handler.is_available() and handler.supports_transfer_syntax(syntax)
            for handler in pydicom.config.pixel_data_handlers
        )
    if not available:
        raise InputError(
            f"no decoder for the transfer syntax {pydicom.uid.UID(syntax).name} ({syntax}); install one with "
            f"pip install pylibjpeg {package} (or python-gdcm)"
        )


def _small_dataset(pixels: bytes | memoryview, layout: Layout) -> Dataset:
    """One compressed frame with no more attributes than decoding needs."""
    dataset = Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = layout.syntax
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = layout.rows, layout.columns, layout.samples
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = layout.allocated, layout.stored, layout.stored - 1
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = int(layout.signed), layout.photometric
    dataset.add_new(0x7FE00010, "OB", encaps.encapsulate([bytes(pixels)]))
    dataset["PixelData"].is_undefined_length = True
    if not hasattr(pydicom, "pixels"):
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
    return dataset
