"""The series that a result was made of, found again: what DICOM objects derived from it take over and refer to."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from ..errors import InputError
from ..series import FloatArray, Progress
from .clocks import arrange
from .frames import Frame
from .grouping import Group, grid_of, read_folder
from .headers import ImageFile, read_file
from .inspect import survey, survey_all, without_localizer
from .series import hash_of, hash_of_values, map_values, of_other_study

FLIP_ANGLES = "flip-angles"
"""Name of this input in provenance; the others that a folder may hold are maps."""


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
class Beside:
    """Images of one place that were used beside a dynamic series: flip angles, or a map.

    Attributes
    ----------
    study_uid : of the study they are of.
    instances : (K, ...) images of each slice.
    ijk_to_ras : (4, 4) voxel index (i, j, k) to patient coordinates in mm.
    """

    study_uid: str
    instances: tuple[tuple[Instance, ...], ...]
    ijk_to_ras: FloatArray


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
    beside : what else was asked for and was found, by its name.
    """

    header: Any
    instances: tuple[tuple[Instance, ...], ...]
    shape: tuple[int, int, int]
    ijk_to_ras: FloatArray
    slice_thickness_mm: float
    beside: Mapping[str, Beside] = dataclasses.field(default_factory=dict)


def find_source(
    folder: Path,
    sha256: str,
    chosen: str | None = None,
    skip_frames: int = 0,
    progress: Progress | None = None,
    beside: Mapping[str, tuple[str, str]] | None = None,
) -> SourceSeries:
    """The series of a folder whose files have this hash.

    Parameters
    ----------
    folder : is searched through.
    sha256 : of `DynamicSeries.source_hash`.
    chosen : how the user named the series when it was read; tells images of several kinds in the same files apart.
    skip_frames : how many of the first frames were dropped.
    progress : called with the fraction done and what is being done; a return of False cancels.
    beside : what else to look for: by the name of an input in provenance, how the user named it and its hash. What is
        not there, or has another hash, is absent in the result.

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
        found = [group for group in found if chosen and _is_named(group, chosen)]
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
    study_uid = first.text("StudyInstanceUID")
    others = {}
    for name, (named, digest) in (beside or {}).items():
        used = (_angles if name == FLIP_ANGLES else _map)(groups, named, digest, study_uid)
        if used:
            others[name] = _images_of(used, tops)
    return SourceSeries(
        header=header,
        instances=tuple(tuple(_instance(frames[n], tops) for n in row) for row in index),
        shape=(len(index), first.file.layout.rows, first.file.layout.columns),
        ijk_to_ras=np.asarray(grid.ijk_to_ras),
        slice_thickness_mm=abs(first.number("SliceThickness") or 0.0),
        beside=others,
    )


def hashed(uid: str) -> str:
    """What is kept of the UID of a series."""
    return f"sha256 {hashlib.sha256(uid.encode()).hexdigest()}"


def _is_named(group: Group, named: str) -> bool:
    """Whether the user meant a group, whose name may have been kept as a hash."""
    part = f":{group.part}" if group.part else ""
    return group.is_named(named) or any(hashed(name) == named for uid in group.uids for name in (uid, uid + part))


def _angles(groups: Sequence[Group], named: str, sha256: str, study_uid: str) -> list[Group]:
    """The groups that T1 was mapped from; empty where these are not there as they were."""
    if named == "auto":
        found = [item.group for item in survey_all(groups) if item.kind == "flip angles"]
        found = [group for group in found if not of_other_study([group], study_uid)]
    else:
        found = [group for part in named.split(",") for group in groups if _is_named(group, part.strip())]
    return found if hash_of(*found) == sha256 else []


def _map(groups: Sequence[Group], named: str, sha256: str, study_uid: str) -> list[Group]:
    """The group that a map was read from; empty where it is not there as it was, which its values tell."""
    for group in groups:
        if not _is_named(group, named) or of_other_study([group], study_uid):
            continue
        files = [read_file(file.path) for file in group.files]
        whole = dataclasses.replace(group, files=[file for file in files if isinstance(file, ImageFile)])
        try:
            if hash_of_values(map_values(survey(whole))[0]) == sha256:
                return [group]
        except (InputError, KeyError):  # it is no map, whose unit is looked up by its kind
            continue
    return []


def _images_of(groups: Sequence[Group], tops: dict[Path, tuple[str, str, str]]) -> Beside:
    frames = [frame for group in groups for frame in without_localizer(group.frames)[0]]
    grid = grid_of(frames)
    slices: list[list[Instance]] = [[] for _ in grid.positions]
    for frame, k in zip(frames, grid.slice_of, strict=True):
        slices[k].append(_instance(frame, tops))
    return Beside(frames[0].text("StudyInstanceUID"), tuple(map(tuple, slices)), np.asarray(grid.ijk_to_ras))


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
