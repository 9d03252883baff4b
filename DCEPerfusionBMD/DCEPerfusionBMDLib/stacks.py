"""One NRRD or NIfTI file, 3-D or 4-D: its grid, its values, and what it says of the times of its frames.

Voxels stay in the type and the order of the file: a frame is a view of it.
"""

from __future__ import annotations

import gzip
import math
import re
import shlex
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from .errors import InputError
from .frames import TIME_UNITS, Frame, against_count, index_candidate, label_candidates, parsed, same_grid
from .series import FloatArray, Sourced
from .times import Candidate
from .volumefiles import OPENERS, check_length, nrrd_header, unpacked

SUFFIXES = (".seq.nrrd", ".seq.nhdr", ".nrrd", ".nhdr", ".nii.gz", ".nii")
_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
}
_NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_NIFTI_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_NIFTI_LENGTHS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_NIFTI_TIMES_S = {8: 1.0, 16: 1e-3, 24: 1e-6}


@dataclass(frozen=True)
class Stack:
    """What a file or a folder holds: one or more volumes on one grid.

    Attributes
    ----------
    count, read, keep : as in `frames.Frames`.
    shape : voxels along K, J and I.
    ijk_to_ras : (4, 4) voxel index to RAS, mm.
    files : all that it was read from.
    attributes : key/value pairs of the header.
    acquisition : as in `DynamicSeries`, of the JSON files beside the frames of a folder; else empty.
    candidates, last_candidates : for the times of the frames; the last, after any that a file beside it gives.
    warnings : sentences for the user.
    """

    count: int
    read: Callable[[int], Frame]
    shape: tuple[int, ...]
    ijk_to_ras: FloatArray
    files: tuple[Path, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    acquisition: Mapping[str, Sourced] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    last_candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()
    keep: int = 0


def read_stack(path: Path) -> Stack:
    """What a NRRD or NIfTI file holds; its values are mapped, or unpacked in the type of the file.

    Parameters
    ----------
    path : `.nrrd`, `.nhdr`, `.seq.nrrd`, `.seq.nhdr`, `.nii` or `.nii.gz`.

    Returns
    -------
    One volume or more, with their grid.

    Raises
    ------
    InputError
        naming the file when it is damaged, of another kind, or does not say how it lies in the patient.

    References
    ----------
    The NRRD format, teem.sourceforge.net/nrrd/format.html; NIfTI-1 and NIfTI-2, nifti.nimh.nih.gov.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise InputError(f"{path.name} is none of {', '.join(SUFFIXES)}; save it from Slicer as NRRD")
    return _nifti(path) if name.endswith((".nii", ".nii.gz")) else _nrrd(path)


def files_of(path: Path) -> tuple[Path, ...]:
    """A file, and the one with its values where it is the header of a NRRD file that has them elsewhere.

    Parameters
    ----------
    path : of any file that is there.

    Returns
    -------
    One path or two.

    Raises
    ------
    InputError
        when that file is not there.
    """
    if not path.name.lower().endswith((".nrrd", ".nhdr")):
        return (path,)
    beside = _values_beside(path, nrrd_header(path))
    return (path,) if beside is None else (path, beside)


def _values_beside(path: Path, header: Mapping[str, str]) -> Path | None:
    """The file with the values of a header, None where they are in the same file."""
    beside = detached_data(path, header)
    if beside is None:
        return None
    named = header.get("data file", header.get("datafile", ""))
    if named.split()[:1] == ["LIST"] or "%" in named or not beside.is_file():
        raise InputError(f"{path.name} refers to the data file {named!r}, which is not there as a single file")
    return beside


def _native(values: Frame) -> Frame:
    """The values in this machine's byte order, without a copy where they are."""
    return np.asarray(values, dtype=values.dtype.newbyteorder("="))


# ---- NRRD


def _nrrd(path: Path) -> Stack:
    header = nrrd_header(path)
    sizes = _nrrd_sizes(path, header)
    vectors = _directions(path, header, len(sizes))
    axis = _frame_axis(path, header, vectors)
    count = 1 if axis is None else sizes[axis]
    values, files = _nrrd_values(path, header, math.prod(sizes))
    grid = values.reshape(sizes[::-1])
    first = axis == 0

    def read(number: int) -> Frame:
        return _native(grid if axis is None else grid[..., number] if first else grid[number])

    candidates: list[Candidate] = []
    if axis is not None:
        labels, units = (_quoted(header.get(key, ""), len(sizes)) for key in ("labels", "units"))
        index = header.get(f"axis {axis} index values", "").split()
        if index:
            named = [unquote(value) for value in index]
            candidates.append(index_candidate(labels[axis], units[axis], named, header))
        candidates += label_candidates(header)
        candidates += _spacing_candidate(header, axis, units[axis], count)
    shape = grid.shape[:-1] if first else grid.shape[-3:]
    return Stack(count, read, shape, _nrrd_matrix(path, header, vectors), files, header, candidates=tuple(candidates))


def _nrrd_sizes(path: Path, header: Mapping[str, str]) -> list[int]:
    lacking = [field for field in ("type", "dimension", "sizes", "encoding") if field not in header]
    if lacking:
        raise InputError(f"{path.name} is damaged or no NRRD file: its header has no {', '.join(lacking)}")
    sizes = header["sizes"].split()
    whole = all(size.isdecimal() and int(size) > 0 for size in sizes)
    if header["type"].lower() not in _NRRD_TYPES or not whole or str(len(sizes)) != header["dimension"]:
        raise InputError(
            f"{path.name} is damaged: type {header['type']!r}, dimension {header['dimension']!r} and sizes "
            f"{header['sizes']!r} do not describe a volume"
        )
    return [int(size) for size in sizes]


def _directions(path: Path, header: Mapping[str, str], dimension: int) -> list[FloatArray | None]:
    """The direction of each axis; None for one that is not in space.

    In a space with time a direction has four numbers, and that of the frames only the last.
    """
    if "space directions" not in header or "space origin" not in header:
        raise InputError(
            f"{path.name} does not say how it lies in the patient (no space directions and origin); load it in Slicer, "
            "place it, and save it as NRRD"
        )
    if "space" not in header:
        raise InputError(
            f"{path.name} does not say how it lies in the patient (axes without a space, as ITK writes four); write "
            "each frame as a 3-D file and give their folder with --times"
        )
    numbers = 4 if _is_timed(header) else 3
    found: list[FloatArray | None] = []
    for text in re.findall(r"none|\([^)]*\)", header["space directions"]):
        vector, against = parsed(text.strip("()").split(",") if text != "none" else [])
        if against or vector.size not in (0, numbers):
            raise InputError(f"{path.name}: the space direction {text} is no vector of {numbers} numbers")
        in_space = vector.size > 0 and np.isfinite(vector).all() and (numbers == 3 or vector[:3].any())
        if in_space and vector[3:].any():
            raise InputError(f"{path.name}: the space direction {text} is one in space and time")
        found.append(vector[:3] if in_space else None)
    if len(found) != dimension:
        raise InputError(f"{path.name} is damaged: {len(found)} space directions for {dimension} axes")
    return found


def _is_timed(header: Mapping[str, str]) -> bool:
    return header["space"].lower().endswith("-time")


def _frame_axis(path: Path, header: Mapping[str, str], vectors: Sequence[FloatArray | None]) -> int | None:
    outside = [n for n, vector in enumerate(vectors) if vector is None]
    kinds = header.get("kinds", "").split()
    if len(vectors) == 3 and not outside:
        return None
    if len(vectors) != 4 or outside not in ([0], [3]):
        raise InputError(
            f"{path.name} is no series of volumes: it needs three axes in space, and one of kind list or time before "
            f"or after them (kinds: {' '.join(kinds) or 'none given'})"
        )
    kind = kinds[outside[0]].lower() if len(kinds) == 4 else "list"
    if kind not in ("list", "time", "vector", "none", "???"):
        raise InputError(f"{path.name} holds a {kind} in each voxel, not a series of frames")
    return outside[0]


def _nrrd_matrix(path: Path, header: Mapping[str, str], vectors: Sequence[FloatArray | None]) -> FloatArray:
    space = header["space"].lower().removesuffix("-time")
    if space not in _TO_RAS:
        raise InputError(f"{path.name} lies in the space {space!r}, which cannot be turned into patient coordinates")
    origin, against = parsed(header["space origin"].strip("() ").split(","))
    if against or origin.size != (4 if _is_timed(header) else 3):
        raise InputError(f"{path.name}: the space origin {header['space origin']} is no point")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([vector for vector in vectors if vector is not None]).T
    matrix[:3, 3] = origin[:3]
    return _checked_matrix(path, np.diag([*_TO_RAS[space], 1.0]) @ matrix)


def _checked_matrix(path: Path, matrix: FloatArray) -> FloatArray:
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(f"{path.name} is damaged: its axes do not span a volume")
    return matrix


def _spacing_candidate(header: Mapping[str, str], axis: int, unit: str, count: int) -> list[Candidate]:
    spacings = header.get("spacings", "").split()
    text = spacings[axis] if axis < len(spacings) else ""
    if _is_timed(header):
        directions = re.findall(r"none|\([^)]*\)", header["space directions"])
        text, unit = directions[axis].strip("()").rpartition(",")[2], _quoted(header.get("space units", ""), 4)[3]
    if unit.lower() not in TIME_UNITS:
        return []
    step, against = parsed([text])
    if against or not step[0] > 0:
        return []
    factor = TIME_UNITS[unit.lower()]
    seconds = np.arange(float(count)) * step[0] * factor
    against = against_count(seconds) if factor == 1.0 else ""
    return [Candidate(f"spacing of the time axis ({unit})", seconds, against)]


def _quoted(text: str, count: int) -> list[str]:
    """The quoted texts of a field per axis; blank where there are fewer."""
    try:
        found = shlex.split(text)
    except ValueError:
        found = []
    return [*found, *[""] * count][:count]


def detached_data(path: Path, header: Mapping[str, str]) -> Path | None:
    """The file that holds the data of a NRRD file.

    Parameters
    ----------
    path : of the NRRD file.
    header : of it.

    Returns
    -------
    The other file, whether it is there or not; None where the data follows the header.
    """
    name = header.get("data file", header.get("datafile"))
    return None if name is None else path.parent / name


def _nrrd_values(path: Path, header: Mapping[str, str], count: int) -> tuple[Frame, tuple[Path, ...]]:
    """All values of a NRRD file in the order of the file, mapped where they are not compressed; and its files."""
    order = {"big": ">", "little": "<"}.get(header.get("endian", "").lower(), "")
    dtype = np.dtype(order + _NRRD_TYPES[header["type"].lower()])
    if dtype.itemsize > 1 and not order:
        raise InputError(f"{path.name} is damaged: its header does not say the byte order (endian)")
    source, start = path, _header_length(path)
    beside = _values_beside(path, header)
    if beside is not None:
        source, start = beside, 0
    skips, against = parsed([header.get(f"{what} skip", header.get(f"{what}skip", "0")) for what in ("byte", "line")])
    if against or not np.isfinite(skips).all():
        raise InputError(f"{path.name} is damaged: its byte skip or line skip is no number")
    skip, line_skip = (int(value) for value in skips)
    encoding = header["encoding"].lower()
    length = dtype.itemsize * count
    if line_skip or skip < -1 or (skip == -1 and encoding != "raw"):
        raise InputError(f"{path.name} skips lines before its data, which is not supported; save it anew from Slicer")
    files = tuple(dict.fromkeys((path, source)))
    if encoding == "raw":
        size = source.stat().st_size
        start = size - length if skip == -1 else start + skip
        check_length(source.name, size - start if start >= 0 else size, length)
        return np.memmap(source, dtype, "r", start, (count,)), files
    if encoding not in OPENERS:
        raise InputError(f"{path.name} is written in the encoding {encoding}; save it anew from Slicer (gzip or raw)")
    return unpacked(source, encoding, start, skip, length, source.name).view(dtype), files


def _header_length(path: Path) -> int:
    with path.open("rb") as file:
        while line := file.readline():
            if not line.rstrip(b"\r\n"):
                break
        return file.tell()


# ---- NIfTI


@dataclass(frozen=True)
class _NiftiHeader:
    """The fields that are used of a header of NIfTI-1 or NIfTI-2, nifti.nimh.nih.gov."""

    order: str
    code: int
    dim: tuple[int, ...]
    pixdim: tuple[float, ...]
    offset: float
    slope: float
    intercept: float
    units: int
    forms: tuple[int, int]
    quaternion: tuple[float, ...]
    rows: tuple[float, ...]

    @classmethod
    def of(cls, path: Path, content: bytes) -> _NiftiHeader:
        """The header at the beginning of a file."""
        if len(content) < 348:
            raise InputError(f"{path.name} is damaged or no NIfTI file: it ends within its header")
        for order in "<>":
            size = struct.unpack_from(order + "i", content)[0]
            if size == 540 and content[4:8] == b"n+2\0" and len(content) == 540:
                code = struct.unpack_from(order + "h", content, 12)[0]
                dim = struct.unpack_from(order + "8q", content, 16)
                *pixdim, offset, slope, intercept = struct.unpack_from(order + "8dq2d", content, 104)
                forms = struct.unpack_from(order + "2i18d", content, 344)
                units = struct.unpack_from(order + "i", content, 500)[0]
                break
            if size == 348:
                if content[344:348] != b"n+1\0":
                    raise InputError(
                        f"{path.name} has its data in another file (.hdr and .img); save it anew as one .nii.gz"
                    )
                code = struct.unpack_from(order + "h", content, 70)[0]
                dim = struct.unpack_from(order + "8h", content, 40)
                *pixdim, offset, slope, intercept = struct.unpack_from(order + "11f", content, 76)
                forms = struct.unpack_from(order + "2h18f", content, 252)
                units = content[123]
                break
        else:
            raise InputError(f"{path.name} is damaged or no NIfTI file")
        if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1 or not size <= offset < math.inf:
            raise InputError(f"{path.name} is damaged: its header does not describe a volume")
        values = (offset, slope, intercept, units, forms[:2], forms[2:8], forms[8:])
        return cls(order, code, dim, tuple(pixdim), *values)


def _nifti(path: Path) -> Stack:
    zipped = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            header = _NiftiHeader.of(path, file.read(540))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path.name} is damaged: its compressed data is broken or ends early ({error})") from error
    if header.code not in _NIFTI_TYPES:
        raise InputError(f"{path.name} holds colors or complex numbers (data type {header.code}), not a signal")
    rank = header.dim[0]
    sizes = [*header.dim[1 : rank + 1], *[1] * (7 - rank)]
    vectors = sizes[3] == 1 and sizes[4] > 1  # ITK puts the values of a voxel there
    if vectors:
        sizes[3:5] = [sizes[4], 1]
    if max(sizes[4:]) > 1:
        raise InputError(f"{path.name} has more than four dimensions ({'x'.join(map(str, header.dim[1 : rank + 1]))})")
    dtype = np.dtype(header.order + _NIFTI_TYPES[header.code])
    length, offset = math.prod(sizes), int(header.offset)
    values: Frame
    if zipped:
        values = unpacked(path, "gzip", 0, offset, length * dtype.itemsize, path.name).view(dtype)
    else:
        check_length(path.name, path.stat().st_size - offset, length * dtype.itemsize)
        values = np.memmap(path, dtype, "r", offset, (length,))
    count = sizes[3]
    grid = values.reshape(sizes[3::-1])
    slope, intercept = header.slope, header.intercept
    scaled = math.isfinite(slope) and slope != 0.0 and (slope, intercept) != (1.0, 0.0)
    if scaled and not math.isfinite(intercept):
        raise InputError(f"{path.name} is damaged: it scales its values by {slope:g} and {intercept:g}")

    def read(number: int) -> Frame:
        frame = grid[number]
        return np.asarray(frame * slope + intercept, dtype=np.float32) if scaled else _native(frame)

    matrix, warnings = _nifti_matrix(path, header)
    return Stack(
        count,
        read,
        grid.shape[1:],
        matrix,
        (path,),
        last_candidates=(
            (_pixdim_candidate(header.units, header.pixdim[4], count),) if count > 1 and not vectors else ()
        ),
        warnings=warnings,
        keep=2 if scaled else 0,
    )


def _pixdim_candidate(units: int, step: float, count: int) -> Candidate:
    factor = _NIFTI_TIMES_S.get(units & 0x38)
    seconds = np.arange(float(count)) * step * (factor or 1.0)
    against = against_count(seconds) if factor == 1.0 else ""
    if factor is None:
        against = "xyzt_units does not say that it is a time"
    elif not 0.0 < step < math.inf:
        against = f"it is {step:g}"
    return Candidate("NIfTI pixdim[4]", seconds, against)


def _nifti_matrix(path: Path, header: _NiftiHeader) -> tuple[FloatArray, tuple[str, ...]]:
    """Voxel index to RAS by the sform or the qform, as ITK and so Slicer choose; and a warning where the two differ."""
    qform, sform = header.forms
    b, c, d, *offset = header.quaternion
    rows, pixdim = np.array(header.rows).reshape(3, 4), header.pixdim
    to_mm = np.diag([_NIFTI_LENGTHS_MM.get(header.units & 7, 1.0)] * 3 + [1.0])
    by_sform, by_qform = np.eye(4), np.eye(4)
    by_sform[:3] = rows
    a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    by_qform[:3, :3] = rotation * np.array([pixdim[1], pixdim[2], pixdim[3] * (-1.0 if pixdim[0] < 0 else 1.0)])
    by_qform[:3, 3] = offset
    if sform <= 0 and qform <= 0:
        raise InputError(
            f"{path.name} does not say how it lies in the patient (qform and sform are 0); load it in Slicer, place "
            "it, and save it as NRRD"
        )
    use_sform = sform > 0 and (sform == 1 or qform <= 0)
    chosen = _checked_matrix(path, to_mm @ (by_sform if use_sform else by_qform))
    warnings = []
    if sform > 0 and qform > 0 and not same_grid(chosen, to_mm @ (by_qform if use_sform else by_sform)):
        used = "sform" if use_sform else "qform"
        warnings.append(f"sform and qform of the file differ; the {used} is used, as in Slicer")
    elif use_sform and not np.allclose(np.linalg.norm(by_sform[:3, :3], axis=0), pixdim[1:4], rtol=1e-3):
        warnings.append("sform and pixdim of the file differ in voxel size; the sform is used, Slicer uses pixdim")
    return chosen, tuple(warnings)
