"""The series that a result was made of, found again: what DICOM objects derived from it take over and refer to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from ..errors import InputError
from ..series import FloatArray, Progress
from .clocks import arrange
from .frames import Frame
from .grouping import grid_of, read_folder
from .inspect import without_localizer
from .series import hash_of


@dataclass(frozen=True)
class Instance:
    """One image of the source.

    Attributes
    ----------
    sop_class, sop_uid, series_uid : of its file.
    frame : number of the frame in a multi-frame file, from 1; 0 where the file holds one image.
    """

    sop_class: str
    sop_uid: str
    series_uid: str
    frame: int


@dataclass(frozen=True)
class SourceSeries:
    """A dynamic series as DICOM objects refer to it.

    Attributes
    ----------
    header : pydicom Dataset of its first file, without pixels.
    instances : (K, n_frames) image of each slice and frame.
    shape : voxels along K, J and I.
    ijk_to_ras : (4, 4) voxel index (i, j, k) to patient coordinates in mm.
    slice_thickness_mm : 0 where it is not known.
    """

    header: Any
    instances: tuple[tuple[Instance, ...], ...]
    shape: tuple[int, int, int]
    ijk_to_ras: FloatArray
    slice_thickness_mm: float


def find_source(
    folder: Path, sha256: str, chosen: str | None = None, skip_frames: int = 0, progress: Progress | None = None
) -> SourceSeries:
    """The series of a folder whose files have this hash.

    Parameters
    ----------
    folder : is searched through.
    sha256 : of `DynamicSeries.source_hash`.
    chosen : how the user named the series when it was read; tells images of several kinds in the same files apart.
    skip_frames : how many of the first frames were dropped.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Raises
    ------
    InputError
        when no series has the hash, or its images cannot be told apart.
    """
    groups = read_folder(folder, progress, keep_pixels=False).groups
    found = [group for group in groups if hash_of(group) == sha256]
    if not found:
        raise InputError(
            f"{folder} does not hold the series that was analyzed: none of its {len(groups)} series has the SHA-256 "
            "that provenance.json names; give the folder that was analyzed, unchanged"
        )
    if len(found) > 1:
        found = [group for group in found if chosen and group.is_named(chosen)]
    if len(found) != 1:
        raise InputError(
            f"the files of the series in {folder} hold images of several kinds, and provenance.json does not say which "
            "were analyzed; analyze it again with --series NUMBER:KIND"
        )
    frames, _ = without_localizer(found[0].frames)
    grid = grid_of(frames)
    index = arrange(found[0], frames, grid).index[:, skip_frames:]
    tops: dict[Path, tuple[str, str, str]] = {}
    first = frames[index[0, 0]]
    header = pydicom.dcmread(first.file.path, stop_before_pixels=True, force=True)
    return SourceSeries(
        header=header,
        instances=tuple(tuple(_instance(frames[n], tops) for n in row) for row in index),
        shape=(len(index), first.file.layout.rows, first.file.layout.columns),
        ijk_to_ras=np.asarray(grid.ijk_to_ras),
        slice_thickness_mm=abs(first.number("SliceThickness") or 0.0),
    )


_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")


def _instance(frame: Frame, tops: dict[Path, tuple[str, str, str]]) -> Instance:
    """The image of a frame; `tops` keeps what was read of multi-frame files."""
    path = frame.file.path
    if not frame.file.multiframe:
        sop_class, sop_uid, series_uid = (frame.text(keyword) for keyword in _UIDS)
    else:
        if path not in tops:  # functional groups may hold identifiers of the images that the file was made of
            top = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_UIDS))
            sop_class, sop_uid, series_uid = (str(top.get(keyword, "")) for keyword in _UIDS)
            tops[path] = (sop_class, sop_uid, series_uid)
        sop_class, sop_uid, series_uid = tops[path]
    if not (sop_class and sop_uid and series_uid):
        raise InputError(
            f"{frame.named} lacks SOPClassUID, SOPInstanceUID or SeriesInstanceUID, so nothing can refer to it"
        )
    return Instance(sop_class, sop_uid, series_uid, frame.index + 1 if frame.file.multiframe else 0)
