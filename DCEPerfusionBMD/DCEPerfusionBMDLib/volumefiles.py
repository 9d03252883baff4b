"""NRRD and NIfTI files: what the header of the one says, and the bytes of both, once they are all there.

The readers that come with Slicer fill a truncated NIfTI file up in silence and end the whole program on a truncated
segmentation, so files are checked before they are read.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from .errors import InputError

OPENERS: Mapping[str, Callable[[BinaryIO], Any]] = {
    "gzip": gzip.open,
    "gz": gzip.open,
    "bzip2": bz2.open,
    "bz2": bz2.open,
}
"""What unpacks each encoding of NRRD."""
_BLOCK_BYTES = 1 << 18


def nrrd_header(path: Path) -> dict[str, str]:
    """Fields and key/value pairs of a NRRD header.

    Parameters
    ----------
    path : of any file.

    Returns
    -------
    Name to text; empty for a file that does not begin as NRRD.

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


def unpacked(path: Path, encoding: str, start: int, skip: int, length: int, name: str) -> npt.NDArray[np.uint8]:
    """Bytes of a compressed file, unpacked block by block into one array.

    Parameters
    ----------
    path : file with the data.
    encoding : one of `OPENERS`.
    start : where the compressed data begins.
    skip, length : bytes to leave out after unpacking, and how many to return.
    name : of the file in messages.

    Returns
    -------
    (length,) bytes.

    Raises
    ------
    InputError
        naming the file when its data is broken, ends early, or is too much for the memory.
    """
    try:
        values = np.empty(length, dtype=np.uint8)
    except (MemoryError, ValueError, OverflowError) as error:
        raise InputError(f"{name} describes {length} bytes of data, more than the memory holds") from error
    found = 0
    try:
        with path.open("rb") as file:
            file.seek(start)
            with OPENERS[encoding](file) as stream:
                stream.seek(skip)
                while count := stream.readinto(values.data[found : found + _BLOCK_BYTES]):
                    found += count
                while stream.read(_BLOCK_BYTES):  # its check sum is at the end
                    pass
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{name} is damaged: its compressed data is broken or ends early ({error})") from error
    check_length(name, found, length)
    return values


def check_length(name: str, found: int, needed: int) -> None:
    """Refuse a file that holds fewer bytes of data than it needs.

    Parameters
    ----------
    name : of the file in messages.
    found, needed : in bytes.

    Raises
    ------
    InputError
        when it does.
    """
    if found < needed:
        raise InputError(f"{name} is damaged: it holds {max(found, 0)} bytes of data where {needed} are due")
