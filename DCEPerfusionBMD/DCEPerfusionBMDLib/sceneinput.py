"""MRML nodes to a dynamic series: sequences, their proxy volumes, and volumes that hold all frames in one.

Frames are views of the nodes' own voxels. Times are looked for in this order, and the first that passes the checks of
`times.py` is used:

1. the user's,
2. the index values of a sequence whose index has a unit of time, then what this extension found beside them,
3. the DICOM tags of the frames, where the caller can look them up: TriggerTime, AcquisitionTime, ContentTime,
4. `MultiVolume.FrameLabels`, which MultiVolumeImporter made of one tag.

Acquisition values come from the attributes of this extension, else from DICOM, else from `MultiVolume.DICOM.*`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from .errors import InputError
from .frames import (
    OWN,
    Frames,
    attribute_acquisition,
    choice_candidates,
    index_candidate,
    label_candidates,
    positive,
    same_grid,
    series_of,
)
from .series import DynamicSeries, FloatArray, Sourced
from .tables import one_line
from .times import Candidate, complete_first

TagLookup = Callable[[str, str], str]
"""The value of a tag ("0018,1060") of the image with an SOP Instance UID; blank when absent."""

FEWEST_FRAMES = 6
_SMALLEST_DETERMINANT = 1e-9
_UIDS = "DICOM.instanceUIDs"
_ACQUISITION_TAGS = {
    "repetition_time_ms": ("RepetitionTime", "0018,0080"),
    "echo_time_ms": ("EchoTime", "0018,0081"),
    "flip_angle_deg": ("FlipAngle", "0018,1314"),
    "field_strength_T": ("MagneticFieldStrength", "0018,0087"),
    "agent": ("ContrastBolusAgent", "0018,0010"),
    "manufacturer": ("Manufacturer", "0008,0070"),
}
_CLOCKS = {
    "AcquisitionTime (0008,0032)": ("0008,0022", "0008,0032"),
    "ContentTime (0008,0033)": ("0008,0023", "0008,0033"),
}


def is_dynamic_candidate(node: Any, scene: Any) -> bool:
    """Whether a node may be a dynamic series, for node selectors; what is wrong with one is said by `read_node`.

    Parameters
    ----------
    node : any MRML node.
    scene : vtkMRMLScene; its sequence browsers tell which volumes show a sequence.

    Returns
    -------
    False for a result of this extension, and where there are fewer than `FEWEST_FRAMES` frames.
    """
    if node.GetAttribute(OWN + "role"):
        return False
    sequence = _sequence_of(node, scene)
    if sequence is None:
        return _holds_frames(node) and _components(node) >= FEWEST_FRAMES
    count = sequence.GetNumberOfDataNodes()
    return count >= FEWEST_FRAMES and _is_frame(sequence.GetNthDataNode(0))


def read_node(
    node: Any, scene: Any, tags: TagLookup | None = None, times: str | None = None, skip_frames: int = 0
) -> DynamicSeries:
    """A dynamic series of a node, with times that can be trusted.

    Parameters
    ----------
    node : vtkMRMLSequenceNode of scalar volumes, the proxy volume that shows one, or a volume that holds all frames in
        its voxels (vtkMRMLMultiVolumeNode, vtkMRMLVectorVolumeNode). Linear transforms above the volume are applied.
    scene : vtkMRMLScene; its sequence browsers tell which volumes show a sequence.
    tags : looks up DICOM tags of the frames, e.g. `slicer.dicomDatabase.instanceValue`.
    times : of the user, as for `times.resolve_times`, for all frames of the node; goes before what the node says.
    skip_frames : leading frames to leave out, e.g. before the steady state.

    Returns
    -------
    (K, J, I) frames that are views of the voxels of the nodes, times in s from the first frame on, (4, 4) index to
    world in mm, acquisition values with their sources.

    Raises
    ------
    InputError
        naming the node and what is wrong: no series, a result of this extension, mixed geometry, a transform that is
        not linear or changes from frame to frame, no usable times.
    """
    name = node.GetName() or "the node"
    if node.GetAttribute(OWN + "role"):
        raise InputError(f"{name} is a result of this extension; choose the dynamic series")
    sequence = _sequence_of(node, scene)
    if sequence is not None:
        shown = [volume for volume in _proxies(sequence, scene) if node is sequence or volume is node]
        return _read_sequence(sequence, _to_world(shown, name, scene), tags, times, skip_frames, name)
    if not _holds_frames(node):
        raise InputError(f"{name} is no dynamic series; choose a volume sequence, or load the series as one")
    return _read_volume(node, _to_world([node], name, scene), tags, times, skip_frames, name)


def placement(node: Any, scene: Any) -> tuple[Any, ...]:
    """What tells whether the volumes that show a series have been moved: for each what `placed` tells.

    Parameters
    ----------
    node : of the series.
    scene : vtkMRMLScene.

    Returns
    -------
    Compares equal as long as none has been moved.
    """
    return tuple(placed(volume) for volume in volumes_of(node, scene))


def volumes_of(node: Any, scene: Any) -> list[Any]:
    """The volumes that show a series, above which its transforms are: those of a sequence, else the node itself.

    Parameters
    ----------
    node : of the series.
    scene : vtkMRMLScene; its sequence browsers tell which volumes show a sequence.

    Returns
    -------
    Volume nodes; none where nothing shows a sequence.
    """
    sequence = _sequence_of(node, scene)
    return [node] if sequence is None else _proxies(sequence, scene)


def placed(node: Any) -> tuple[Any, ...]:
    """What tells whether a node has been moved.

    Parameters
    ----------
    node : with a transform above it, or none.

    Returns
    -------
    ID of the node and the 16 elements of its transform to the world; ID and time of change of the transform where it is
    not linear.
    """
    transform, matrix = node.GetParentTransformNode(), vtk.vtkMatrix4x4()
    if transform is not None and not transform.IsTransformToWorldLinear():
        return transform.GetID(), transform.GetTransformToWorldMTime()
    if transform is not None:
        transform.GetMatrixTransformToWorld(matrix)
    elements = slicer.util.arrayFromVTKMatrix(matrix)
    return node.GetID(), *elements.ravel().tolist()


# ---- what a node is


def _sequence_of(node: Any, scene: Any) -> Any:
    """The sequence that a node is, or shows as a proxy; None for any other node."""
    if node.IsA("vtkMRMLSequenceNode"):
        return node
    for browser in _browsers(scene):
        sequence = browser.GetSequenceNode(node)
        if sequence is not None:
            return sequence
    return None


def _browsers(scene: Any) -> list[Any]:
    kind = "vtkMRMLSequenceBrowserNode"
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


def _proxies(sequence: Any, scene: Any) -> list[Any]:
    shown = [browser.GetProxyNode(sequence) for browser in _browsers(scene)]
    return [volume for volume in shown if volume is not None]


def _is_frame(node: Any) -> bool:
    return bool(
        node is not None
        and node.IsA("vtkMRMLScalarVolumeNode")
        and not node.IsA("vtkMRMLLabelMapVolumeNode")
        and _components(node) == 1
    )


def _components(node: Any) -> int:
    image = node.GetImageData()
    scalars = None if image is None else image.GetPointData().GetScalars()
    return 0 if scalars is None else int(scalars.GetNumberOfComponents())


def _holds_frames(node: Any) -> bool:
    """Whether a volume has its frames in the components of its voxels; the class of MultiVolume may be absent here."""
    if not node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        return False
    return _components(node) > 1


# ---- reading


def _read_sequence(
    sequence: Any, to_world: FloatArray, tags: TagLookup | None, times: str | None, skip_frames: int, name: str
) -> DynamicSeries:
    nodes = [sequence.GetNthDataNode(n) for n in range(sequence.GetNumberOfDataNodes())]
    if not nodes:
        raise InputError(f"{name} is an empty sequence")
    no_frames = [n for n, node in enumerate(nodes) if not _is_frame(node)]
    if no_frames:
        raise InputError(
            f"{name} is no sequence of scalar volumes: {_listed(no_frames)} hold"
            f"{'s' if len(no_frames) == 1 else ''} no volume with one value per voxel"
        )
    matrix = _ijk_to_ras(nodes[0])
    dimensions = nodes[0].GetImageData().GetDimensions()
    elsewhere = [
        n
        for n, node in enumerate(nodes)
        if node.GetImageData().GetDimensions() != dimensions or not same_grid(matrix, _ijk_to_ras(node))
    ]
    if elsewhere:
        raise InputError(
            f"{name} has frames that do not lie on the grid of the first: {_listed(elsewhere)}; resample them, or take "
            "them out of the sequence"
        )
    attributes = _attributes(sequence)
    values = [sequence.GetNthIndexValue(n) for n in range(len(nodes))]
    uids = [(node.GetAttribute(_UIDS) or "").split() for node in nodes]
    candidates = [
        index_candidate(sequence.GetIndexName(), sequence.GetIndexUnit(), values, attributes),
        *choice_candidates(attributes),
        *_tag_candidates(tags, uids),
        *label_candidates(attributes),
    ]
    return series_of(
        Frames(len(nodes), lambda number: slicer.util.arrayFromVolume(nodes[number])),
        to_world @ matrix,
        candidates,
        _acquisition(tags, uids, [attributes, _attributes(nodes[0])]),
        times,
        skip_frames,
        name,
        source_hash=attributes.get(OWN + "sourceHash", ""),
        source_files=int(positive(attributes.get(OWN + "sourceFiles", ""), "sourceFiles") or 0),
        skipped_before=int(positive(attributes.get(OWN + "skippedFrames", ""), "skippedFrames") or 0),
    )


def _read_volume(
    node: Any, to_world: FloatArray, tags: TagLookup | None, times: str | None, skip_frames: int, name: str
) -> DynamicSeries:
    image = node.GetImageData()
    count = _components(node)
    values = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    grid = values.reshape(*reversed(image.GetDimensions()), count)
    attributes = _attributes(node)
    listed = attributes.get(_UIDS, "").split()
    per_frame = len(listed) // count
    # written frame after frame; of another number, they cannot be told apart
    uids = [listed[n * per_frame : (n + 1) * per_frame] for n in range(count)] if len(listed) % count == 0 else []
    return series_of(
        Frames(count, lambda number: grid[..., number]),
        to_world @ _ijk_to_ras(node),
        [*_tag_candidates(tags, uids), *label_candidates(attributes)],
        _acquisition(tags, uids, [attributes]),
        times,
        skip_frames,
        name,
    )


def _attributes(node: Any) -> dict[str, str]:
    return {name: node.GetAttribute(name) or "" for name in node.GetAttributeNames()}


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number + 1) for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"frame{'' if len(numbers) == 1 else 's'} {shown}{more}"


# ---- geometry


def _ijk_to_ras(node: Any) -> FloatArray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def _to_world(volumes: Sequence[Any], name: str, scene: Any) -> FloatArray:
    """The linear transform above the volumes, which show the same series."""
    found: list[FloatArray] = []
    for volume in volumes:
        transform = volume.GetParentTransformNode()
        matrix = vtk.vtkMatrix4x4()
        if transform is not None:
            if not transform.IsTransformToWorldLinear():
                raise InputError(f"{name} lies under a transform that is not linear; harden it on the volumes first")
            _check_constant(transform, name, scene)
            transform.GetMatrixTransformToWorld(matrix)
        found.append(np.array(slicer.util.arrayFromVTKMatrix(matrix)))
        if not np.isfinite(found[-1]).all() or abs(np.linalg.det(found[-1][:3, :3])) < _SMALLEST_DETERMINANT:
            raise InputError(f"{name} lies under a transform that flattens it; correct the transform or take it away")
    if any(not same_grid(found[0], other) for other in found[1:]):
        raise InputError(f"{name} is shown by volumes under different transforms; choose one of these volumes")
    return found[0] if found else np.eye(4)


def _check_constant(transform: Any, name: str, scene: Any) -> None:
    """Refuse a transform that a sequence browser changes from frame to frame, as Sequence Registration makes one."""
    while transform is not None:
        if any(browser.GetSequenceNode(transform) is not None for browser in _browsers(scene)):
            raise InputError(
                f"{name} lies under {transform.GetName()}, which changes from frame to frame; harden it on the frames "
                "first"
            )
        transform = transform.GetParentTransformNode()


# ---- DICOM tags


def _tag_candidates(tags: TagLookup | None, uids: Sequence[Sequence[str]]) -> list[Candidate]:
    slices = {len(of_frame) for of_frame in uids}
    if tags is None or len(slices) != 1 or slices == {0}:
        return []
    candidates = [_tag_candidate("TriggerTime (0018,1060)", tags, uids, ("0018,1060",), _milliseconds)]
    for name, (date_tag, time_tag) in _CLOCKS.items():
        candidates.append(_tag_candidate(name, tags, uids, (date_tag, time_tag), _date_and_time))
    return complete_first(candidates)


def _tag_candidate(
    name: str,
    tags: TagLookup,
    uids: Sequence[Sequence[str]],
    wanted: tuple[str, ...],
    seconds: Callable[..., float],
) -> Candidate:
    """One time per slice and frame; per frame alone where all slices of the first agree, since look-ups take time."""

    def texts(uid: str) -> tuple[str, ...]:
        return tuple((tags(uid, tag) or "").strip() for tag in wanted)

    first = [texts(uid) for uid in uids[0]]
    columns = range(1 if len(set(first)) == 1 else len(first))
    rows = [[first[n], *(texts(of_frame[n]) for of_frame in uids[1:])] for n in columns]
    try:
        table = np.array([[seconds(*text) for text in row] for row in rows])
    except ValueError:
        return Candidate(name, np.empty(0), "it is no number or no time in some frame")
    has_no_date = len(wanted) == 2 and not any(text[0] for row in rows for text in row)
    return Candidate(name, table, clock=has_no_date, made=name.startswith("ContentTime"))


def _milliseconds(text: str) -> float:
    return float(text) / 1000.0 if text else math.nan


def _date_and_time(day: str, clock: str) -> float:
    """Seconds of a DICOM date (YYYYMMDD) and time (HHMMSS.ffffff); of the time alone where there is no date."""
    if not clock:
        return math.nan
    whole, _, fraction = clock.replace(":", "").partition(".")
    hours, minutes, secs = int(whole[:2]), int(whole[2:4] or 0), int(whole[4:6] or 0)
    days = datetime.date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal() if day else 0
    return days * 86400.0 + hours * 3600.0 + minutes * 60.0 + secs + float(f"0.{fraction or 0}")


def _acquisition(
    tags: TagLookup | None, uids: Sequence[Sequence[str]], attributes: Sequence[Mapping[str, str]]
) -> dict[str, Sourced]:
    found: dict[str, Sourced] = {}
    for mapping in reversed(attributes):
        found |= attribute_acquisition(mapping)
    middle = uids[len(uids) // 2] if uids else []
    if tags is None or not middle:
        return found
    for name, (keyword, tag) in _ACQUISITION_TAGS.items():
        if any(mapping.get(OWN + name) for mapping in attributes):
            continue
        source = f"DICOM {keyword} ({tag})"
        text = one_line(tags(middle[len(middle) // 2], tag) or "")
        value = text or None if name in ("agent", "manufacturer") else positive(text, source)
        if value is not None:
            found[name] = Sourced(value, source)
    return found
