"""Maps over anatomy, region by region, as PNG images; made without matplotlib."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..quantities import BY_NAME, Quantity
from ..result import StudyResult
from ..roi import Region
from ..series import DynamicSeries, FloatArray

MOST_REGIONS = 30
"""Regions that have pictures."""

Pixels = npt.NDArray[np.uint8]

# 18 of the 256 colors of viridis (S. van der Walt and N. Smith, CC0); between them straight lines.
_VIRIDIS = (
    "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e 1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f "
    "d8e219 fde725"
)
_DRAWN, _ANALYZED = (255, 140, 0), (255, 0, 200)
_LONGER_SIDE, _LINE, _DASH = 256, 2, 6  # pixels
_SURROUNDINGS = 0.3  # of the region's extent, on each side
_BRIGHTEST_PERCENTILE = 99.5
_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class RegionPictures:
    """Pictures of the slice of a region that has most of its analyzed voxels.

    Attributes
    ----------
    region : name of the segment.
    slice_number : from 1, in the order of the series.
    plane : sagittal, coronal or axial, whichever is nearest.
    anatomy : PNG of the mean of the frames before contrast, with the outlines of what was drawn and analyzed.
    maps : quantity name to PNG of the map over the anatomy.
    """

    region: str
    slice_number: int
    plane: str
    anatomy: bytes
    maps: dict[str, bytes]


def region_pictures(series: DynamicSeries, result: StudyResult) -> tuple[RegionPictures, ...]:
    """Pictures of the first `MOST_REGIONS` regions: the first three parameters of the model over the anatomy.

    Patients stand upright and look to the left, or lie with their right side to the left.

    Parameters
    ----------
    series, result : of one analysis.

    Returns
    -------
    One per region, at most `MOST_REGIONS`, in the order of the regions.
    """
    regions = result.rois.regions[:MOST_REGIONS]
    slices = [_best_slice(region) for region in regions]
    anatomy = {k: np.zeros(series.shape[1:]) for k in slices}
    for frame in series.frames[: result.baseline_frames]:
        for k, mean in anatomy.items():
            mean += np.asarray(frame[k], dtype=float) / result.baseline_frames
    quantities = [BY_NAME[name] for name in result.parameters[:3]]
    plane = _PLANES[int(np.abs(series.ijk_to_ras[:3, 2]).argmax())]
    pictures = []
    for region, k in zip(regions, slices, strict=True):
        at = _Crop.around(region.drawn[k], series.ijk_to_ras)
        outlines = at.outline(region.drawn[k], dashed=True), at.outline(region.analyzed[k], dashed=False)
        gray = at.pixels(anatomy[k])
        shades = np.repeat(_scaled(gray, 0.0, _brightest(gray))[..., None], 3, axis=2)
        maps = {q.name: _colored(shades, at.pixels(result.maps[q.name].values[k]), q) for q in quantities}
        pictures.append(
            RegionPictures(
                region.name,
                k + 1,
                plane,
                png(_with_lines(shades, *outlines)),
                {name: png(_with_lines(colored, *outlines)) for name, colored in maps.items()},
            )
        )
    return tuple(pictures)


def color_bar() -> bytes:
    """PNG of the colors from the lowest to the highest value.

    Returns
    -------
    256 by 12 pixels.
    """
    return png(np.repeat(colors(np.arange(256, dtype=np.uint8))[None], 12, axis=0))


def colors(levels: Pixels) -> Pixels:
    """Colors of levels from 0 to 255, with an axis for red, green and blue at the end."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _VIRIDIS.split()], dtype=float)
    at = np.round(np.linspace(0, 255, len(stops)))
    table = np.stack([np.interp(np.arange(256), at, channel) for channel in stops.T], axis=1)
    return np.asarray(np.round(table).astype(np.uint8)[levels])


def png(pixels: Pixels) -> bytes:
    """An image of (rows, columns, 3) red, green and blue as a PNG file, without a date (ISO/IEC 15948)."""
    rows, columns, _ = pixels.shape
    lines = np.zeros((rows, 1 + 3 * columns), dtype=np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = pixels.reshape(rows, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), chunk(b"IEND", b""))
    )


@dataclass(frozen=True)
class _Crop:
    """The part of a slice around a region: which row and column of the slice each line of pixels shows.

    Where the rows of the slice run up and down in the patient, it is transposed first.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    transposed: bool

    @classmethod
    def around(cls, mask: npt.NDArray[np.bool_], ijk_to_ras: FloatArray) -> _Crop:
        transposed = _is_lying(ijk_to_ras)
        if transposed:
            mask, ijk_to_ras = mask.T, ijk_to_ras[:, [1, 0, 2, 3]]
        mm = np.linalg.norm(ijk_to_ras[:3, :2], axis=0)[::-1]
        borders = []
        for axis, found in enumerate(np.nonzero(mask)):
            low, high = (int(found.min()), int(found.max()) + 1) if found.size else (0, mask.shape[axis])
            margin = max(2, round(_SURROUNDINGS * (high - low)))
            borders.append((max(0, low - margin), min(mask.shape[axis], high + margin)))
        sizes_mm = [(high - low) * step for (low, high), step in zip(borders, mm, strict=True)]
        lines = []
        for axis, ((low, high), size_mm) in enumerate(zip(borders, sizes_mm, strict=True)):
            count = max(1, round(_LONGER_SIDE * size_mm / max(sizes_mm)))
            line = (2 * np.arange(count) + 1) * (high - low) // (2 * count)
            lines.append(high - 1 - line if _turned(ijk_to_ras[:3, 1 - axis], axis) else low + line)
        return cls(lines[0], lines[1], transposed)

    def pixels(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Values of a slice, as they are seen."""
        return np.asarray((values.T if self.transposed else values)[np.ix_(self.rows, self.columns)])

    def outline(self, mask: npt.NDArray[np.bool_], dashed: bool) -> npt.NDArray[np.bool_]:
        """The pixels inside a mask along its edge."""
        inside = np.pad(np.asarray(self.pixels(mask), dtype=bool), _LINE)
        edge = (inside & ~ndimage.binary_erosion(inside, np.ones((3, 3)), iterations=_LINE))[_LINE:-_LINE, _LINE:-_LINE]
        if dashed:
            row, column = np.indices(edge.shape) // _DASH
            edge &= (row + column) % 2 == 0
        return np.asarray(edge)


def _is_lying(ijk_to_ras: FloatArray) -> bool:
    """Whether the direction that is to be upright, superior or in axial slices anterior, runs along the rows."""
    along = np.abs(ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0))
    upright = 1 if along[:, 2].argmax() == 2 else 2
    return bool(along[upright, 0] > along[upright, 1])


def _turned(direction: npt.NDArray[np.float64], axis: int) -> bool:
    """Whether rows (axis 0) or columns (axis 1) along a direction in RAS are shown from their end.

    Up is superior or anterior; left is the patient's right, or anterior.
    """
    along = int(np.abs(direction).argmax())
    return bool(direction[along] > 0) and along in ((1, 2) if axis == 0 else (0, 1))


def _best_slice(region: Region) -> int:
    analyzed = region.analyzed.sum(axis=(1, 2))
    return int(np.argmax(analyzed if analyzed.any() else region.drawn.sum(axis=(1, 2))))


def _brightest(values: npt.NDArray[np.generic]) -> float:
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    return float(np.percentile(known, _BRIGHTEST_PERCENTILE)) if known.size else 1.0


def _scaled(values: npt.NDArray[np.generic], low: float, high: float) -> Pixels:
    """Levels from 0 to 255; what lies outside gets the nearer end, and NaN 0."""
    share = (np.asarray(values, dtype=float) - low) / max(high - low, 1e-30)
    return np.asarray(np.round(255.0 * np.clip(np.nan_to_num(share), 0.0, 1.0)), dtype=np.uint8)


def _colored(gray: Pixels, values: npt.NDArray[np.generic], quantity: Quantity) -> Pixels:
    known = np.isfinite(np.asarray(values, dtype=float))
    return np.where(known[..., None], colors(_scaled(values, *quantity.display_range)), gray)


def _with_lines(pixels: Pixels, drawn: npt.NDArray[np.bool_], analyzed: npt.NDArray[np.bool_]) -> Pixels:
    lined = pixels.copy()
    lined[drawn], lined[analyzed] = _DRAWN, _ANALYZED
    return lined
