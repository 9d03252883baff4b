"""One slice at one time, whether it is a file of its own or a frame of an enhanced file; and stacks of them.

Pixels stay as the file has them until their frame is asked for. A frame is then kept decoded, in the integer type of
the file where no rescaling is needed, and its bytes are let go.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..series import Sourced
from ..tables import one_line
from .headers import ImageFile, Values, decode

FloatArray = npt.NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PHILIPS_SCALE = "Philips' private scale slope (2005,100E)"

_GE_IMAGE_TYPES = {"0": "MAGNITUDE", "1": "PHASE", "2": "REAL", "3": "IMAGINARY"}  # (0043,102F)

ACQUISITION_TAGS = {
    "repetition_time_ms": ("RepetitionTime", "(0018,0080)"),
    "echo_time_ms": ("EchoTime", "(0018,0081)"),
    "flip_angle_deg": ("FlipAngle", "(0018,1314)"),
    "field_strength_T": ("MagneticFieldStrength", "(0018,0087)"),
    "agent": ("ContrastBolusAgent", "(0018,0010)"),
    "manufacturer": ("Manufacturer", "(0008,0070)"),
}

_DATE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?(\d\d)?(?:\.(\d*))?\s*([+-]\d{4})?")
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d*))?")
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)")


def _as_text(value: str | tuple[float, ...]) -> str:
    return value if isinstance(value, str) else "\\".join(f"{item:g}" for item in value)


def content_of(values: Values) -> tuple[str, ...]:
    """What an image stands for: original or derived, water or fat, magnitude or phase and the like."""
    image_type, component, code = (
        _as_text(values.get(keyword, "")).upper() for keyword in ("ImageType", "ComplexImageComponent", "GEImageType")
    )
    kinds = [kind.strip() for kind in image_type.split("\\")]
    return (*kinds[:1], *kinds[2:], *filter(None, (component, _GE_IMAGE_TYPES.get(code, code))))


class Frame:
    """One slice at one time.

    Attributes
    ----------
    file : it comes from.
    index : number of the frame in its file, from 0.
    values : its attributes by keyword.
    """

    __slots__ = ("file", "index", "values")

    def __init__(self, file: ImageFile, index: int) -> None:
        self.file, self.index, self.values = file, index, file.values[index]

    @property
    def is_localizer(self) -> bool:
        """Whether it shows where slices lie."""
        return "LOCALIZER" in self.text("ImageType").upper()

    @property
    def content(self) -> tuple[str, ...]:
        """What its values stand for, as `content_of` tells."""
        return content_of(self.values)

    @property
    def named(self) -> str:
        """What messages call it."""
        name = f"image {self.text('InstanceNumber') or '?'} of series {self.text('SeriesNumber') or '?'}"
        where = f", frame {self.index + 1}" if self.file.multiframe else ""
        return f"{name} ({one_line(self.file.name)}{where})"

    def text(self, keyword: str) -> str:
        """An attribute as text; empty when it is absent."""
        return _as_text(self.values.get(keyword, ""))

    def numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """The values of a numeric attribute; empty when it is absent or blank.

        Raises
        ------
        InputError
            naming the image and the attribute when there are more or fewer, or one is no finite number.
        """
        value = self.values.get(keyword, ())
        if isinstance(value, str):
            raise InputError(f"{self.named}: {keyword} is not a number ({value[:40]})")
        if value and (len(value) != count or not all(map(math.isfinite, value))):
            raise InputError(
                f"{self.named}: {keyword} is {self.text(keyword)[:60]}, "
                f"{count} finite number{'s are' if count > 1 else ' is'} needed"
            )
        return value

    def number(self, keyword: str) -> float | None:
        """The value of a numeric attribute, None when it is absent; raises InputError as `numbers` does."""
        values = self.numbers(keyword, 1)
        return values[0] if values else None

    def required(self, keyword: str, count: int) -> FloatArray:
        """The values of an attribute that must be there; raises InputError otherwise."""
        values = self.numbers(keyword, count)
        if not values:
            raise InputError(f"{self.named} has no {keyword}")
        return np.array(values)

    def scaling(self, private: bool) -> tuple[float, float]:
        """Slope and intercept from stored to real values.

        Parameters
        ----------
        private : whether Philips' scale slope counts: (stored * RS + RI) / (RS * SS) is proportional to the signal
            over a whole examination (Chenevert et al., Transl Oncol 2014;7:65-71); the rescaled value is not.
        """
        slope, intercept = self.number("RescaleSlope"), self.number("RescaleIntercept")
        slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
        if slope == 0:
            raise InputError(f"{self.named}: RescaleSlope (0028,1053) is 0, so its values are lost; export it anew")
        scale = self.philips_scale() if private else None
        if scale is not None:
            slope, intercept = 1.0 / scale, intercept / (slope * scale)
        largest = 0.0 if self.file.layout.kind else 2.0**self.file.layout.stored
        if not abs(slope) * largest + abs(intercept) < np.finfo(np.float32).max:
            raise InputError(f"{self.named}: RescaleSlope {slope:g} makes its values too large")
        return slope, intercept

    def philips_scale(self) -> float | None:
        """Philips' private scale slope; None where there is none."""
        if "philips" not in f"{self.text('PhilipsScaleSlopeCreator')} {self.text('Manufacturer')}".lower():
            return None
        scale = self.number("PhilipsScaleSlope")
        if scale is not None and scale <= 0:
            raise InputError(f"{self.named}: {PHILIPS_SCALE} is {scale:g}; it must be above 0")
        return scale

    def pixels(self) -> npt.NDArray[np.generic]:
        """The stored values, (rows, columns); raises InputError when they cannot be decoded."""
        return decode(self.file.pixels[self.index], self.file.layout, self.named)


class LazyFrames(Sequence[npt.NDArray[np.generic]]):
    """Frames of (K, J, I), each decoded when it is first asked for and kept.

    Parameters
    ----------
    frames : the images of each frame, slice by slice.
    private : whether Philips' scale slope counts.
    """

    def __init__(self, frames: Sequence[Sequence[Frame]], private: bool) -> None:
        self._images: list[Sequence[Frame] | None] = list(frames)
        self._decoded: list[npt.NDArray[np.generic] | None] = [None] * len(frames)
        images = [image for frame in frames for image in frame]
        for image in images:
            check_plain(image)
        self._private = private
        plain = all(image.scaling(private) == (1.0, 0.0) for image in images)
        types = {image.file.layout.dtype for image in images}
        self._dtype: np.dtype[Any] = np.result_type(*types) if plain else np.dtype(np.float32)
        if self._dtype == np.float64:
            self._dtype = np.dtype(np.float32)
        first = images[0].file.layout
        self._shape = (len(frames[0]), first.rows, first.columns)
        if first.compressed:
            self[0]  # a missing decoder is said at once

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> npt.NDArray[np.generic]: ...

    @overload
    def __getitem__(self, index: slice) -> list[npt.NDArray[np.generic]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        """The frame of that number, (K, J, I).

        Raises
        ------
        InputError
            when an image cannot be decoded.
        """
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        decoded, images = self._decoded[index], self._images[index]
        if decoded is not None:
            return decoded
        assert images is not None
        stack = np.empty(self._shape, self._dtype)
        for k, image in enumerate(images):
            slope, intercept = image.scaling(self._private)
            pixels: Any = image.pixels()
            stack[k] = pixels if (slope, intercept) == (1.0, 0.0) else pixels * slope + intercept
        if self._dtype.kind == "f" and np.isinf(stack).any():
            raise InputError(f"{images[0].named}: its values are too large")
        self._decoded[index], self._images[index] = stack, None
        return stack


def check_plain(image: Frame) -> None:
    """Raise InputError unless the stored values are those of one slice, with no table between them and the signal."""
    layout = image.file.layout
    count = len(image.file.pixels)
    if layout.samples != 1 or (count > 1 and not image.file.multiframe):
        shape = [*([count] if count > 1 else []), layout.rows, layout.columns]
        shape += [layout.samples] if layout.samples > 1 else []
        raise InputError(
            f"{image.named} is not a single gray image: its pixels have the shape {'x'.join(map(str, shape))}; export "
            "the series as enhanced MR, or with one file per slice"
        )
    if layout.photometric.upper() == "PALETTE COLOR":
        raise InputError(
            f"{image.named}: PhotometricInterpretation (0028,0004) is PALETTE COLOR, so its values are colors; export "
            "the gray images"
        )
    if image.values.get("ModalityLUTSequence"):
        raise InputError(
            f"{image.named} has a table of values, ModalityLUTSequence (0028,3000), which cannot be applied; export "
            "the series with RescaleSlope"
        )
    high = image.number("HighBit")
    if high is not None and not layout.kind and high != layout.stored - 1:
        raise InputError(
            f"{image.named}: HighBit (0028,0102) is {high:g} where BitsStored (0028,0101) is {layout.stored}, so where "
            "its values are is in doubt; export the series again"
        )
    if "MOSAIC" in image.content or (image.number("UIHImagesInGrid") or 1) > 1:
        raise InputError(
            f"{image.named} holds several slices side by side (a mosaic); export the series with one image per slice"
        )


def acquisition(image: Frame) -> dict[str, Sourced]:
    """What an image tells of its acquisition, by the names of `DynamicSeries.acquisition`."""
    found: dict[str, Sourced] = {}
    for name, (keyword, tag) in ACQUISITION_TAGS.items():
        value: float | str | None
        if name in ("agent", "manufacturer"):
            value = one_line(image.text(keyword)) or None
        else:
            value = image.number(keyword) or None
        if value is not None:
            found[name] = Sourced(value, f"DICOM {keyword} {tag}")
    return found


def date_time_s(image: Frame, keyword: str) -> tuple[float, float]:
    """Seconds of a DICOM date-time and its offset from UTC in s; NaN for what is absent.

    Raises
    ------
    InputError
        when the text is no date and time.
    """
    text = image.text(keyword)
    if not text:
        return math.nan, math.nan
    match = _DATE_TIME.fullmatch(text)
    try:
        if match is None or match[4] is None:
            raise ValueError
        day = datetime.date(int(match[1]), int(match[2]), int(match[3])).toordinal()
        seconds = day * 86400.0 + int(match[4]) * 3600.0 + int(match[5] or 0) * 60.0 + int(match[6] or 0)
    except ValueError:
        raise InputError(f"{image.named}: {keyword} is no date and time") from None
    offset = _offset_s(match[8]) if match[8] else _offset_s(image.text("TimezoneOffsetFromUTC"))
    return seconds + float(f"0.{match[7] or 0}"), offset


def clock_s(image: Frame, date_keyword: str, time_keyword: str) -> tuple[float, float, float]:
    """Seconds since midnight, the ordinal of the day and the offset from UTC in s; NaN for what is absent.

    Raises
    ------
    InputError
        when a text is no date or no time.
    """
    day, clock = image.text(date_keyword).replace(".", "").replace("-", ""), image.text(time_keyword)
    if not clock:
        return math.nan, math.nan, math.nan
    match = _TIME.fullmatch(clock)
    try:
        if match is None:
            raise ValueError
        ordinal = datetime.date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal() if day else math.nan
        seconds = int(match[1]) * 3600.0 + int(match[2] or 0) * 60.0 + int(match[3] or 0)
        if seconds > 86400.0:
            raise ValueError
    except ValueError:
        raise InputError(f"{image.named}: {date_keyword} and {time_keyword} are no date and time") from None
    return seconds + float(f"0.{match[4] or 0}"), ordinal, _offset_s(image.text("TimezoneOffsetFromUTC"))


def _offset_s(text: str) -> float:
    match = _OFFSET.fullmatch(text)
    if match is None:
        return math.nan
    return (int(match[2]) * 3600.0 + int(match[3]) * 60.0) * (-1.0 if match[1] == "-" else 1.0)
