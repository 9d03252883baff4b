"""NRRD and NIfTI files: what their header says, and whether all of their data is there.

The readers that come with Slicer fill a truncated NIfTI file up in silence and end the whole program on a truncated
segmentation, so files are checked before they are read.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

from .errors import InputError

_NRRD_BYTES = {
    1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
    2: ("short", "short int", "signed short", "int16", "int16_t", "ushort", "unsigned short", "uint16", "uint16_t"),
    4: ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"),
    8: ("longlong", "long long", "int64", "int64_t", "ulonglong", "unsigned long long", "uint64", "uint64_t", "double"),
}
_NIFTI_HEADER_BYTES = 348


def nrrd_header(path: Path) -> dict[str, str]:
    """Fields and key/value pairs of a NRRD header; empty for a file that does not begin as one.

    References
    ----------
    The NRRD format, teem.sourceforge.net/nrrd/format.html, sections 3 to 6.
    """
    with path.open("rb") as file:
        if not file.readline(80).startswith(b"NRRD000"):
            return {}
        header: dict[str, str] = {}
        for line in file:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if not text:
                break
            if text.startswith("#"):
                continue
            key, separator, value = text.partition(":=") if ":=" in text else text.partition(": ")
            if separator:
                header[key.strip()] = value.strip()
    return header


def check_volume_file(path: Path) -> None:
    """Raise InputError when a NRRD or NIfTI file lacks header fields or data; other formats pass.

    Parameters
    ----------
    path : an existing file.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")):
        _check_nifti(path)
    elif path.name.lower().endswith((".nrrd", ".nhdr")):
        _check_nrrd(path)


def _check_nrrd(path: Path) -> None:
    header = nrrd_header(path)
    lacking = [field for field in ("type", "dimension", "sizes", "encoding") if field not in header]
    if lacking:
        raise InputError(f"{path.name} is damaged or no NRRD file: its header has no {', '.join(lacking)}")
    item = next((size for size, names in _NRRD_BYTES.items() if header["type"].lower() in names), 0)
    sizes = header["sizes"].split()
    if not item or not all(size.isdecimal() for size in sizes) or str(len(sizes)) != header["dimension"]:
        raise InputError(
            f"{path.name} is damaged: type {header['type']!r}, dimension {header['dimension']!r} and sizes "
            f"{header['sizes']!r} do not describe a volume"
        )
    if header["encoding"].lower() not in ("raw", "gzip", "gz") or "data file" in header or "datafile" in header:
        return
    content = path.read_bytes()
    ends = [content.find(blank) + len(blank) for blank in (b"\n\n", b"\n\r\n") if blank in content]
    data = content[min(ends) :] if ends else b""
    if header["encoding"].lower() != "raw":
        data = unzipped(path, data)
    check_length(path, len(data), item * math.prod(map(int, sizes)))


def _check_nifti(path: Path) -> None:
    content = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        content = unzipped(path, content)
    if len(content) < _NIFTI_HEADER_BYTES:
        raise InputError(f"{path.name} is damaged or no NIfTI file: it ends within its header")
    order = next((o for o in "<>" if struct.unpack(o + "i", content[:4])[0] == _NIFTI_HEADER_BYTES), "")
    if not order:
        raise InputError(f"{path.name} is damaged or no NIfTI-1 file")
    rank, *dimensions = struct.unpack(order + "8h", content[40:56])
    bits = struct.unpack(order + "h", content[72:74])[0]
    start = struct.unpack(order + "f", content[108:112])[0]
    if not 1 <= rank <= 7 or min(dimensions[:rank]) < 1 or bits <= 0 or not math.isfinite(start):
        raise InputError(f"{path.name} is damaged: its header does not describe a volume")
    check_length(path, len(content) - int(start), bits // 8 * math.prod(dimensions[:rank]))


def unzipped(path: Path, data: bytes) -> bytes:
    """The data without its gzip compression.

    Raises
    ------
    InputError
        naming the file when the data is broken or ends early.
    """
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path.name} is damaged: its compressed data is broken or ends early ({error})") from error


def check_length(path: Path, found: int, needed: int) -> None:
    """Raise InputError when a file holds fewer bytes of data than it needs."""
    if found < needed:
        raise InputError(f"{path.name} is damaged: it holds {max(found, 0)} bytes of data where {needed} are due")
