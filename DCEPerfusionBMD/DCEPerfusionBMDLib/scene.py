"""MRML in and out: segmentations to masks, series and results to nodes.

Works the same in the Slicer desktop and on slicer-core: the scene is always a parameter, and only nodes, storage nodes
and static logic methods are used.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util import numpy_support

from . import __version__
from .densitometry import Densitometry, measurements_from_rows, subjects_in_rows
from .errors import InputError
from .frames import choices_text, mean_enhancement
from .kinetics import FitStatus
from .quantities import BY_NAME, STATUS, UNIT_CODES, Code, Quantity
from .result import StudyResult
from .roi import LEVEL_CODES, Fate, SegmentLabel, bounding_box, recognize
from .series import DynamicSeries, FloatArray, map_on_grid_of
from .stacks import read_stack
from .tables import Table, one_line

BoolArray = npt.NDArray[np.bool_]

ATTRIBUTE = "DCEPerfusionBMD."
SERIES_REFERENCE = ATTRIBUTE + "series"
SEGMENTATION_REFERENCE = ATTRIBUTE + "segmentation"

_TERMINOLOGY = (
    "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure~SCT^{}~^^~"
    "Anatomic codes - DICOM master list~^^~^^"
)
_COLOR_ANCHORS = (
    (0.0, (0.15, 0.05, 0.35)),
    (0.25, (0.20, 0.32, 0.60)),
    (0.5, (0.12, 0.60, 0.55)),
    (0.75, (0.55, 0.80, 0.30)),
    (1.0, (0.99, 0.91, 0.20)),
)
INPUT_COLORS = ((0.75, 0.15, 0.15), (0.85, 0.55, 0.15))
_FATE_COLORS = {
    Fate.MARGIN: (0.60, 0.60, 0.60),
    Fate.ARCH: (0.45, 0.40, 0.35),
    Fate.USER: (0.95, 0.95, 0.95),
    Fate.ARTERIAL: (0.85, 0.20, 0.20),
    Fate.PLEXUS: (0.25, 0.40, 0.85),
    Fate.BONE_ISLAND: (0.90, 0.75, 0.55),
    Fate.HAEMANGIOMA: (0.85, 0.45, 0.75),
    Fate.OTHER_TISSUE: (0.75, 0.45, 0.20),
    Fate.POOR_FIT: (0.20, 0.20, 0.20),
}
_STATUS_COLORS = {
    FitStatus.FITTED: (0.30, 0.70, 0.35),
    FitStatus.AT_BOUND: (0.95, 0.75, 0.20),
    FitStatus.NO_BASELINE: (0.45, 0.45, 0.45),
    FitStatus.CONVERSION_INVALID: (0.80, 0.25, 0.25),
    FitStatus.NO_ENHANCEMENT: (0.30, 0.45, 0.80),
    FitStatus.TOO_FEW_FRAMES: (0.60, 0.35, 0.70),
    FitStatus.NO_WASHOUT: (0.30, 0.70, 0.75),
}


# ---- segmentation in


def read_segmentation(scene: Any, path: Path, label_names: Mapping[str, int] | None = None) -> Any:
    """Add a segmentation from a file to the scene.

    Parameters
    ----------
    scene : vtkMRMLScene.
    path : `.seg.nrrd` with named segments, or a labelmap as NRRD or NIfTI.
    label_names : segment name to label value, for a labelmap.

    Returns
    -------
    vtkMRMLSegmentationNode.

    Raises
    ------
    InputError
        when the file cannot be read or does not say where it lies, a labelmap's values have no names, or a name's value
        is not in the labelmap.
    """
    _check_file("segmentation", path)
    stack = read_stack(path)  # before Slicer's reader, which ends the whole program on a damaged segmentation
    if "Segment0_ID" in stack.attributes:
        if label_names:
            raise InputError(f"{path.name} names its segments itself; --segments is for plain labelmaps")
        encoding = stack.attributes["encoding"]
        if encoding.lower() not in ("raw", "gzip", "gz"):
            raise InputError(f"{path.name} is written in the encoding {encoding}; save it anew from Slicer")
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _stem(path))
        _read(node, slicer.vtkMRMLSegmentationStorageNode(), scene, path)
        _drop_tags(node, stack.attributes)
        return node
    if stack.count > 1:
        raise InputError(f"{path.name} is no labelmap: it holds {stack.count} volumes; save one of them")
    values = stack.read(0)
    found = np.unique(values)
    if len(found) > 1000 or not np.all(found == np.rint(found)):
        raise InputError(f"{path.name} is no labelmap: its values are not whole numbers, or there are too many of them")
    present = [int(value) for value in found if value != 0]
    if not present:
        raise InputError(f"{path.name} is empty: no voxel has a label")
    if not label_names:
        raise InputError(
            f"{path.name} does not name its labels {', '.join(map(str, present))}; give --segments NAME=VALUE,..."
        )
    absent = [f"{name}={value}" for name, value in label_names.items() if value not in present]
    if absent:
        raise InputError(
            f"{path.name} has no voxel with the label of {', '.join(absent)}; it holds {', '.join(map(str, present))}"
        )
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _stem(path))
    for name, value in label_names.items():
        _set_segment(node, name, values == value, stack.ijk_to_ras)
    return node


def _check_file(what: str, path: Path) -> None:
    if path.is_dir():
        raise InputError(f"the {what} {path} is a folder; give a file")
    if not path.is_file():
        raise InputError(f"the {what} file {path} does not exist")


def _drop_tags(segmentation: Any, header: Mapping[str, str]) -> None:
    """Take away what the segments of a file are tagged with but what they are: a name of a patient may be there."""
    tags = [value.split("|") for key, value in header.items() if re.fullmatch(r"Segment\d+_Tags", key)]
    names = {tag.partition(":")[0] for of_segment in tags for tag in of_segment}
    segments = segmentation.GetSegmentation()
    for n in range(segments.GetNumberOfSegments()):
        segment = segments.GetNthSegment(n)
        for name in names - {segment.GetTerminologyEntryTagName(), ATTRIBUTE + "level"}:
            segment.RemoveTag(name)


def masks_on_grid(segmentation: Any, series: DynamicSeries) -> dict[str, BoolArray]:
    """Masks of all segments on the grid of a series, by nearest neighbor.

    Parameters
    ----------
    segmentation : vtkMRMLSegmentationNode; a transform above it is applied.
    series : the grid.

    Returns
    -------
    Segment name to (K, J, I) mask; a segment outside the series gives an empty mask.

    Raises
    ------
    InputError
        when there is no segment, two have the same name, or a segmentation without labelmap cannot be converted.
    """
    named = _segments_by_name(segmentation)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(segmentation.GetParentTransformNode(), None, to_world)
    reference = _oriented_image(np.zeros(series.shape, dtype=np.uint8), series.ijk_to_ras)
    labeled = _with_labelmap(segmentation, series)
    masks: dict[str, BoolArray] = {}
    for name, segment_id in named.items():
        labelmap, resampled = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
        labeled.GetBinaryLabelmapRepresentation(segment_id, labelmap)
        mask = np.zeros(series.shape, dtype=bool)
        if labelmap.GetNumberOfPoints():
            slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
                labelmap, reference, resampled, False, False, to_world
            )
            scalars = resampled.GetPointData().GetScalars()
            mask = numpy_support.vtk_to_numpy(scalars).reshape(series.shape) != 0
        masks[name] = mask
    return masks


def _with_labelmap(segmentation: Any, series: DynamicSeries) -> Any:
    """A segmentation with a binary labelmap: the same, or a converted copy of one that holds surfaces only."""
    converter = slicer.vtkSegmentationConverter
    labelmap = converter.GetBinaryLabelmapRepresentationName()
    if segmentation.GetSegmentation().ContainsRepresentation(labelmap):
        return segmentation
    local_to_world = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        segmentation.GetParentTransformNode(), None, local_to_world
    )  # the identity where it is not linear; the grid need only be of the right fineness
    to_local = np.linalg.inv(slicer.util.arrayFromVTKMatrix(local_to_world))
    grid = _oriented_image(np.zeros(series.shape, dtype=np.uint8), to_local @ series.ijk_to_ras)
    copied = slicer.vtkSegmentation()
    copied.DeepCopy(segmentation.GetSegmentation())
    copied.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(grid)
    )
    if not copied.CreateRepresentation(labelmap):
        raise InputError(
            f"the segmentation {segmentation.GetName()!r} holds no binary labelmap; create one in the Segmentations "
            "module"
        )
    node = slicer.vtkMRMLSegmentationNode()
    node.SetAndObserveSegmentation(copied)
    return node


def segment_labels(segmentation: Any) -> dict[str, SegmentLabel]:
    """What each segment is, by its terminology, our own tag, its name and its ID; see `roi.recognize`.

    Parameters
    ----------
    segmentation : vtkMRMLSegmentationNode.

    Returns
    -------
    By the names that `masks_on_grid` gives.

    Raises
    ------
    InputError
        when there is no segment, or two have the same name.
    """
    labels = {}
    for name, segment_id in _segments_by_name(segmentation).items():
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        # context~category~type~..., each of them scheme^value^meaning
        entry = tag_of(segment, segment.GetTerminologyEntryTagName()).split("~")
        scheme, value, _ = (*(entry[2] if len(entry) > 2 else "").split("^"), "", "", "")[:3]
        labels[name] = recognize(name, segment_id, (scheme, value), tag_of(segment, ATTRIBUTE + "level"))
    return labels


def _segments_by_name(segmentation: Any) -> dict[str, str]:
    """Segment name to segment ID; the ID stands in for an empty name."""
    segments = segmentation.GetSegmentation()
    found: dict[str, str] = {}
    for n in range(segments.GetNumberOfSegments()):
        segment_id = segments.GetNthSegmentID(n)
        name = one_line(segments.GetSegment(segment_id).GetName()) or segment_id
        if name in found:
            raise InputError(f"two segments are called {name!r}; give each its own name")
        found[name] = segment_id
    if not found:
        raise InputError("the segmentation holds no segment")
    return found


def tag_of(segment: Any, name: str) -> str:
    """A tag of a segment; empty where it has none of that name.

    Parameters
    ----------
    segment : vtkSegment.
    name : of the tag.

    Returns
    -------
    Its value.
    """
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def read_map(path: Path, series: DynamicSeries, between: tuple[float, float]) -> FloatArray:
    """A map from a NRRD or NIfTI file on the grid of a series; see `series.map_on_grid_of`.

    Parameters
    ----------
    path : NRRD or NIfTI with one volume.
    series : the grid.
    between : lowest and highest value that counts, in the unit of the map.

    Returns
    -------
    (K, J, I) in the unit of the map, NaN outside its grid and where its value does not count.

    Raises
    ------
    InputError
        when the file cannot be read, does not say where it lies, holds several volumes, or has no value inside the
        series.
    """
    _check_file("map", path)
    stack = read_stack(path)
    if stack.count > 1:
        raise InputError(f"{path.name} is no map: it holds {stack.count} volumes; save one of them")
    return map_on_grid_of(series, stack.read(0), stack.ijk_to_ras, between, path.name)


def read_dxa_node(table: Any, subject: str | None = None) -> Densitometry:
    """Measurements of one subject from a table node, with the columns of `densitometry.read_dxa_table`.

    Parameters
    ----------
    table : vtkMRMLTableNode.
    subject : which subject to take; may be left out when the table holds one only.

    Returns
    -------
    Densities and scores of the subject by site, as `densitometry.read_dxa_table` gives them.

    Raises
    ------
    InputError
        naming table, row and column of what cannot be read, or that the choice of the subject is open.
    """
    heading, columns = table_texts(table)
    return measurements_from_rows(heading, list(zip(*columns, strict=True)), table.GetName(), subject)


def subjects_of_dxa_node(table: Any) -> list[str]:
    """Names of the subjects in a table node that `read_dxa_node` takes.

    Parameters
    ----------
    table : vtkMRMLTableNode.

    Returns
    -------
    Each name once, in the order of the rows.

    Raises
    ------
    InputError
        as `read_dxa_node`, but for the choice of the subject.
    """
    heading, columns = table_texts(table)
    return subjects_in_rows(heading, list(zip(*columns, strict=True)), table.GetName())


def table_texts(table: Any) -> tuple[list[str], list[list[str]]]:
    """Names and cells of the columns of a table node, numbers with all their digits.

    Parameters
    ----------
    table : vtkMRMLTableNode.

    Returns
    -------
    names : one per column.
    cells : per column its texts, from the first row on.

    Raises
    ------
    InputError
        for a column that holds several numbers per cell.
    """
    names = [table.GetColumnName(n) or "" for n in range(table.GetNumberOfColumns())]
    cells = []
    for n, name in enumerate(names):
        array = table.GetTable().GetColumn(n)
        if array.GetNumberOfComponents() != 1:
            raise InputError(
                f"the column {name!r} of {table.GetName()} holds {array.GetNumberOfComponents()} numbers per cell; "
                "split it into columns"
            )
        cells.append([_text_of(array, row) for row in range(array.GetNumberOfValues())])
    return names, cells


def _text_of(array: Any, row: int) -> str:
    """A cell of a table with all its digits, whole numbers without a point; of single precision the seven it has."""
    if isinstance(array, vtk.vtkFloatArray):
        return f"{array.GetValue(row):.7g}"
    value = array.GetValue(row)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


# ---- series and results out


def write_series(scene: Any, series: DynamicSeries, name: str) -> Any:
    """Add a series to the scene as a volume sequence over time, with what is needed to look at it and to draw on it.

    These are a browser, a volume that shows a frame, and a volume of the mean enhancement, on which vessels and
    marrow stand out; `sceneinput.read_node` reads the sequence back.

    Parameters
    ----------
    scene : vtkMRMLScene.
    series : with at least one frame; its voxels are copied.
    name : of the sequence.

    Returns
    -------
    vtkMRMLSequenceNode with index `time` in s.
    """
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    sequence.SetAttribute(ATTRIBUTE + "timeSource", series.time_source)
    if series.source_hash:
        sequence.SetAttribute(ATTRIBUTE + "sourceHash", series.source_hash)
        sequence.SetAttribute(ATTRIBUTE + "sourceFiles", str(series.source_files))
    if series.skipped_frames:
        sequence.SetAttribute(ATTRIBUTE + "skippedFrames", str(series.skipped_frames))
    if others := choices_text(series):
        sequence.SetAttribute(ATTRIBUTE + "otherTimes", others)
    for key, entry in series.acquisition.items():
        sequence.SetAttribute(ATTRIBUTE + key, f"{entry.value:g}" if isinstance(entry.value, float) else entry.value)
        sequence.SetAttribute(f"{ATTRIBUTE}{key}.source", entry.source)
    for time_s, frame in zip(series.times_s, series.frames, strict=True):
        volume, index = slicer.vtkMRMLScalarVolumeNode(), f"{time_s:.9g}"
        volume.SetName(name)
        sequence.SetDataNodeAtValue(volume, index)
        _set_volume(volume, frame, series.ijk_to_ras)
        sequence.UpdateDataNodeAtValue(volume, index, True)  # shallow: no second copy of the voxels
    sequence.AddDefaultStorageNode()
    sequence.GetStorageNode().SetUseCompression(False)  # noise hardly shrinks: a fifth of the size for most of the time
    last = len(series.frames) - 1
    # from here on the frames are those in the scene, which need no decoding
    frames = [slicer.util.arrayFromVolume(sequence.GetNthDataNode(n)) for n in range(last + 1)]
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    shown = slicer.vtkMRMLScalarVolumeNode()
    shown.SetName(name)
    _set_volume(shown, frames[last], series.ijk_to_ras)
    proxy = browser.AddProxyNode(shown, sequence, True)
    _show_gray(scene, proxy, frames[last])
    browser.SetSelectedItemNumber(last)
    nodes = [sequence, browser, proxy]
    if last > 0:
        nodes.append(_write_enhancement(scene, dataclasses.replace(series, frames=frames), sequence))
    hierarchy = hierarchy_of(scene)
    parent = hierarchy.GetItemParent(item_of(hierarchy, sequence))
    for node in nodes:
        hierarchy.SetItemParent(item_of(hierarchy, node), parent)
    return sequence


def _write_enhancement(scene: Any, series: DynamicSeries, sequence: Any) -> Any:
    values, baseline = mean_enhancement(series)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{sequence.GetName()} enhancement")
    node.SetAttribute(ATTRIBUTE + "role", "enhancement")
    node.SetNodeReferenceID(SERIES_REFERENCE, sequence.GetID())
    count = len(series.frames)
    node.SetDescription(f"mean of frames {baseline + 1} to {count} minus mean of frames 1 to {baseline}")
    _set_volume(node, values, series.ijk_to_ras)
    _show_gray(scene, node, values)
    return node


def _show_gray(scene: Any, volume: Any, values: npt.NDArray[np.generic]) -> None:
    display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    volume.SetAndObserveDisplayNodeID(display.GetID())
    display.SetDefaultColorMap()
    finite = values[np.isfinite(values)]
    if finite.size:
        low, high = np.percentile(finite.astype(float), (1, 99))
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(float(low), float(high))


def _nodes(scene: Any, kind: str) -> list[Any]:
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


def hierarchy_of(scene: Any) -> Any:
    """The subject hierarchy of a scene, which is made where there is none.

    Parameters
    ----------
    scene : vtkMRMLScene.

    Returns
    -------
    vtkMRMLSubjectHierarchyNode.
    """
    return scene.GetSubjectHierarchyNode() or slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def item_of(hierarchy: Any, node: Any) -> int:
    """The item of a node in the subject hierarchy, which is made where there is none.

    Parameters
    ----------
    hierarchy : vtkMRMLSubjectHierarchyNode.
    node : any MRML node of its scene.

    Returns
    -------
    Number of the item.
    """
    item = hierarchy.GetItemByDataNode(node)
    return int(item or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node))


def own_nodes(scene: Any, references: Mapping[str, Any], attributes: Mapping[str, str]) -> list[Any]:
    """All nodes that refer to others and have certain attributes.

    Parameters
    ----------
    scene : vtkMRMLScene.
    references : by reference role, the node that they refer to.
    attributes : by name, the value that they have.

    Returns
    -------
    Nodes in the order of the scene.
    """
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    return [
        node
        for node in nodes
        if all(node.GetNodeReferenceID(role) == owner.GetID() for role, owner in references.items())
        and all(node.GetAttribute(name) == value for name, value in attributes.items())
    ]


def nodes_of_pair(scene: Any, sequence: Any, segmentation: Any) -> list[Any]:
    """All nodes that belong to the results of a series and a segmentation.

    Parameters
    ----------
    scene : vtkMRMLScene.
    sequence : node of the series.
    segmentation : vtkMRMLSegmentationNode.

    Returns
    -------
    Nodes in the order of the scene.
    """
    return own_nodes(scene, {SERIES_REFERENCE: sequence, SEGMENTATION_REFERENCE: segmentation}, {})


class NodeWriter:
    """Nodes that belong to others, told apart by a role; what is written again is updated.

    Parameters
    ----------
    scene : vtkMRMLScene.
    references : by reference role, the nodes that they belong to.
    attributes : what else tells them from nodes of others.
    """

    def __init__(self, scene: Any, references: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
        self._scene = scene
        self._references = references
        self._attributes = attributes
        self._written: dict[str, Any] = {}

    def _node(self, class_name: str, role: str, name: str) -> Any:
        """The node with this role; a new one the first time."""
        for node in self._owned():
            if node.GetAttribute(ATTRIBUTE + "role") == role and node.IsA(class_name):
                break
        else:
            node = self._scene.AddNewNodeByClass(class_name)
            node.SetAttribute(ATTRIBUTE + "role", role)
            node.SetAttribute(ATTRIBUTE + "version", __version__)
            for attribute, value in self._attributes.items():
                node.SetAttribute(attribute, value)
            for reference, owner in self._references.items():
                node.SetNodeReferenceID(reference, owner.GetID())
        node.SetName(name)
        self._written[role] = node
        return node

    def _owned(self) -> list[Any]:
        return own_nodes(self._scene, self._references, self._attributes)

    def _remove_stale(self) -> None:
        for node in self._owned():
            if node.GetAttribute(ATTRIBUTE + "role") not in self._written:
                if node.IsA("vtkMRMLDisplayableNode"):
                    for n in reversed(range(node.GetNumberOfDisplayNodes())):
                        self._scene.RemoveNode(node.GetNthDisplayNode(n))
                self._scene.RemoveNode(node)

    def _write_table(self, name: str, table: Table) -> Any:
        node = self._node("vtkMRMLTableNode", f"table.{table.name}", name)
        fill_table(node, table)
        return node


class ResultWriter(NodeWriter):
    """Puts the results of one (series, segmentation) pair into the scene; a second run updates the same nodes.

    Parameters
    ----------
    scene : vtkMRMLScene.
    sequence, segmentation : the nodes that the results belong to.
    """

    def __init__(self, scene: Any, sequence: Any, segmentation: Any) -> None:
        super().__init__(scene, {SERIES_REFERENCE: sequence, SEGMENTATION_REFERENCE: segmentation}, {})
        self._sequence = sequence
        self._segmentation = segmentation

    def write(self, series: DynamicSeries, result: StudyResult, provenance: str = "") -> dict[str, Any]:
        """Create or update all nodes of a result.

        Parameters
        ----------
        series, result : of one analysis.
        provenance : its history as JSON; a text node holds it.

        Returns
        -------
        Role to node: `map.ktrans`, `table.vertebrae`, `chart.tissue`, `analyzed`, `excluded`, `provenance`, and so on.
        """
        name = self._sequence.GetName()
        self._written = {}
        for parameter_map in result.maps.values():
            quantity = BY_NAME[parameter_map.quantity]
            self._write_map(f"{name} {quantity.symbol}", quantity, parameter_map.values, series.ijk_to_ras)
        self._write_analyzed(f"{name} analyzed", series, result)
        self._write_excluded(f"{name} excluded", series, result)
        nodes = {table.name: self._write_table(f"{name} {table.title.lower()}", table) for table in result.tables()}
        self._write_charts(name, nodes["curves"], result)
        if provenance:
            node = self._node("vtkMRMLTextNode", "provenance", f"{name} provenance")
            node.SetText(provenance)
        self._remove_stale()
        self._arrange(result.subject or "DCE-MRI subject", name)
        return dict(self._written)

    def _write_map(
        self, name: str, quantity: Quantity, values: npt.NDArray[np.generic], ijk_to_ras: npt.NDArray[np.float64]
    ) -> None:
        labels = quantity is STATUS
        node = self._node(
            "vtkMRMLLabelMapVolumeNode" if labels else "vtkMRMLScalarVolumeNode", f"map.{quantity.name}", name
        )
        _set_volume(node, values, ijk_to_ras)
        node.SetAttribute(ATTRIBUTE + "quantity", quantity.name)
        node.SetAttribute(ATTRIBUTE + "unit", quantity.unit)
        node.SetVoxelValueUnits(_coded_entry(quantity.ucum))
        if quantity.dicom is not None:
            node.SetVoxelValueQuantity(_coded_entry(quantity.dicom))
        display = node.GetDisplayNode()
        if display is None:
            kind = "vtkMRMLLabelMapVolumeDisplayNode" if labels else "vtkMRMLScalarVolumeDisplayNode"
            display = self._scene.AddNewNodeByClass(kind)
            node.SetAndObserveDisplayNodeID(display.GetID())
        colors = self._status_colors() if labels else self._parameter_colors()
        display.SetAndObserveColorNodeID(colors.GetID())
        if not labels:
            low, high = quantity.display_range
            display.AutoWindowLevelOff()
            display.SetWindowLevelMinMax(low, high)
            display.AutoThresholdOff()
            display.SetThreshold(-1e30, 1e30)
            display.ApplyThresholdOn()  # NaN fails the threshold, so the anatomy shows through

    def _parameter_colors(self) -> Any:
        if "colors.parameters" in self._written:
            return self._written["colors.parameters"]
        node = self._node("vtkMRMLColorTableNode", "colors.parameters", f"{self._sequence.GetName()} parameter colors")
        count = 256
        node.SetTypeToUser()
        node.SetNumberOfColors(count)
        positions = [position for position, _ in _COLOR_ANCHORS]
        channels = np.array([color for _, color in _COLOR_ANCHORS]).T
        ramp = np.array([np.interp(np.linspace(0, 1, count), positions, channel) for channel in channels]).T
        for n, (red, green, blue) in enumerate(ramp):
            node.SetColor(n, f"{n / (count - 1):.3f}", float(red), float(green), float(blue), 1.0)
        return node

    def _status_colors(self) -> Any:
        node = self._node("vtkMRMLColorTableNode", "colors.status", f"{self._sequence.GetName()} status colors")
        node.SetTypeToUser()
        node.SetNumberOfColors(len(FitStatus))
        node.SetColor(FitStatus.NOT_ANALYZED, FitStatus.NOT_ANALYZED.label, 0.0, 0.0, 0.0, 0.0)
        for status, (red, green, blue) in _STATUS_COLORS.items():
            node.SetColor(int(status), status.label, red, green, blue, 1.0)
        return node

    def _write_analyzed(self, name: str, series: DynamicSeries, result: StudyResult) -> None:
        """A segmentation of the voxels that have an estimate: statistics over it meet no NaN."""
        node = self._node("vtkMRMLSegmentationNode", "analyzed", name)
        node.GetSegmentation().RemoveAllSegments()
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(False)
        estimated = np.isfinite(result.maps[result.parameters[0]].values)
        for region in result.rois.regions:
            voxels = region.analyzed & estimated
            if voxels.any():
                _set_segment(node, region.name, voxels, series.ijk_to_ras, region.level)
                drawn = self._segmentation.GetSegmentation()
                if drawn_id := drawn.GetSegmentIdBySegmentName(region.name):  # without it a color is drawn at random
                    color = drawn.GetSegment(drawn_id).GetColor()
                    node.GetSegmentation().GetSegment(region.name).SetColor(*color)

    def _write_excluded(self, name: str, series: DynamicSeries, result: StudyResult) -> None:
        """A segmentation of the voxels that were drawn and are not analyzed, a segment for each reason."""
        node = self._node("vtkMRMLSegmentationNode", "excluded", name)
        node.GetSegmentation().RemoveAllSegments()
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(False)
        for fate, color in _FATE_COLORS.items():
            voxels = np.zeros(series.shape, dtype=bool)
            for region in result.rois.regions:
                if fate in region.counts:
                    voxels |= region.fate == fate
            if voxels.any():
                _set_segment(node, fate.reason, voxels, series.ijk_to_ras)
                node.GetSegmentation().GetSegment(fate.reason).SetColor(*color)

    def _write_charts(self, name: str, curves: Any, result: StudyResult) -> None:
        tissue = self._chart("chart.tissue", f"{name} enhancement curves", "Contrast agent in tissue (mmol/L)")
        tissue.RemoveAllPlotSeriesNodeIDs()
        for n, region in enumerate(curve.region for curve in result.curves):
            color = _line_color(n)
            for kind in ("measured", "fitted"):
                plotted = self._plot(f"plot.{n}.{kind}", f"{region} {kind}", curves, f"{region}_{kind}_mM", color)
                measured = kind == "measured"
                plotted.SetMarkerStyle(plotted.MarkerStyleCircle if measured else plotted.MarkerStyleNone)
                plotted.SetLineStyle(plotted.LineStyleNone if measured else plotted.LineStyleSolid)
                tissue.AddAndObservePlotSeriesNodeID(plotted.GetID())
        title = "reference tissue" if result.by_reference else "arterial input"
        chart = self._chart("chart.input", f"{name} {title}", "Contrast agent (mmol/L)")
        chart.RemoveAllPlotSeriesNodeIDs()
        for (column, _, label, _), color in zip(result.input_curves(), INPUT_COLORS, strict=False):
            plotted = self._plot(f"plot.{column}", label, curves, column, color)
            chart.AddAndObservePlotSeriesNodeID(plotted.GetID())

    def _chart(self, role: str, name: str, y_title: str) -> Any:
        chart = self._node("vtkMRMLPlotChartNode", role, name)
        chart.SetTitle(name)
        chart.SetXAxisTitle("Time (s)")
        chart.SetYAxisTitle(y_title)
        return chart

    def _plot(self, role: str, name: str, table: Any, column: str, color: tuple[float, float, float]) -> Any:
        node = self._node("vtkMRMLPlotSeriesNode", role, name)
        node.SetAndObserveTableNodeID(table.GetID())
        node.SetXColumnName("time_s")
        node.SetYColumnName(column)
        node.SetPlotType(node.PlotTypeScatter)
        node.SetMarkerStyle(node.MarkerStyleNone)
        node.SetColor(*color)
        return node

    def _arrange(self, subject: str, name: str) -> None:
        """One folder with all nodes of the pair: subject / study / folder."""
        hierarchy = hierarchy_of(self._scene)
        series_item = item_of(hierarchy, self._sequence)
        folder = hierarchy.GetItemParent(series_item)
        if not folder or hierarchy.GetItemAttribute(folder, ATTRIBUTE + "folder") != "results":
            subject_item = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), subject)
            study = hierarchy.CreateStudyItem(subject_item, "DCE-MRI")
            folder = hierarchy.CreateFolderItem(study, f"{name} perfusion")
            hierarchy.SetItemAttribute(folder, ATTRIBUTE + "folder", "results")
        nodes = [self._sequence, *self._companions(), self._segmentation]
        nodes += [node for node in self._written.values() if not node.IsA("vtkMRMLColorNode")]
        for node in nodes:
            hierarchy.SetItemParent(item_of(hierarchy, node), folder)

    def _companions(self) -> list[Any]:
        """The browser of the sequence, the volume that shows its current frame, and that of the mean enhancement."""
        volumes = _nodes(self._scene, "vtkMRMLScalarVolumeNode")
        found = [
            node
            for node in volumes
            if node.GetAttribute(ATTRIBUTE + "role") == "enhancement"
            and node.GetNodeReferenceID(SERIES_REFERENCE) == self._sequence.GetID()
        ]
        for browser in _nodes(self._scene, "vtkMRMLSequenceBrowserNode"):
            if browser.GetMasterSequenceNode() is self._sequence:
                found += [browser, browser.GetProxyNode(self._sequence)]
        return [node for node in found if node is not None]


def fill_table(node: Any, table: Table) -> None:
    """Put a table into a table node: columns with title, unit, description and codes.

    Parameters
    ----------
    node : vtkMRMLTableNode; the columns that it has are replaced.
    table : its columns keep their machine names, the titles are shown.

    Notes
    -----
    Codes of quantity and unit go to the column properties `DICOM.QuantityCode` and `DICOM.UnitsCode`, units in UCUM.
    """
    modified = node.StartModify()
    node.RemoveAllColumns()
    for column in table.columns:
        values = list(column.values)
        if values and isinstance(values[0], (str, int)):
            array = vtk.vtkStringArray() if isinstance(values[0], str) else vtk.vtkIntArray()
            array.SetNumberOfValues(len(values))
            for n, value in enumerate(values):
                array.SetValue(n, value)
        else:
            array = numpy_support.numpy_to_vtk(
                np.asarray(values, dtype=np.float64), deep=True, array_type=vtk.VTK_DOUBLE
            )
        array.SetName(column.name)
        node.AddColumn(array)
        node.SetColumnTitle(column.name, column.title)
        node.SetColumnUnitLabel(column.name, column.unit)
        node.SetColumnDescription(column.name, column.description)
        if column.quantity:
            quantity = BY_NAME[column.quantity]
            if quantity.dicom is not None:
                code = _coded_entry(quantity.dicom).GetAsString()
                node.SetColumnProperty(column.name, "DICOM.QuantityCode", code)
        units = BY_NAME[column.quantity].ucum if column.quantity else UNIT_CODES.get(column.unit)
        if units is not None:
            node.SetColumnProperty(column.name, "DICOM.UnitsCode", _coded_entry(units).GetAsString())
    node.SetUseColumnTitleAsColumnHeader(True)
    node.EndModify(modified)


def volume_from_array(values: npt.NDArray[np.generic], ijk_to_ras: npt.NDArray[np.float64]) -> Any:
    """A scalar volume node outside any scene, for writing to a file.

    Parameters
    ----------
    values : (K, J, I); double precision is stored as single.
    ijk_to_ras : (4, 4) voxel index to mm.

    Returns
    -------
    vtkMRMLScalarVolumeNode.
    """
    node = slicer.vtkMRMLScalarVolumeNode()
    _set_volume(node, values, ijk_to_ras)
    return node


def segmentation_from_masks(
    scene: Any, name: str, masks: Mapping[str, BoolArray], ijk_to_ras: npt.NDArray[np.float64]
) -> Any:
    """Add a segmentation node with one segment per mask to the scene.

    Parameters
    ----------
    scene : vtkMRMLScene.
    name : of the node.
    masks : (K, J, I) by name of the segment.
    ijk_to_ras : (4, 4) voxel index to mm.

    Returns
    -------
    vtkMRMLSegmentationNode.
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    for segment, mask in masks.items():
        _set_segment(node, segment, mask, ijk_to_ras)
    return node


def write_file(node: Any, storage: Any, path: Path) -> None:
    """Write a storable node to a file.

    Parameters
    ----------
    node : that can be stored.
    storage : storage node of its kind, in no scene.
    path : of the file.

    Raises
    ------
    OSError
        with the storage node's own message when it fails.
    """
    storage.SetFileName(str(path))
    if not storage.WriteData(node):
        raise OSError(f"cannot write {path}: {storage.GetUserMessages().GetAllMessagesAsString().strip()}")


def _read(node: Any, storage: Any, scene: Any, path: Path) -> None:
    """Read a file into a node; the node leaves the scene again when that fails."""
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        if scene is not None:
            scene.RemoveNode(node)
        raise InputError(f"cannot read {path.name}: it is no NRRD or NIfTI volume, or it is damaged")


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _set_volume(node: Any, values: npt.NDArray[np.generic], ijk_to_ras: npt.NDArray[np.float64]) -> None:
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(values.shape))
    array = values.astype(np.float32) if values.dtype == np.float64 else values
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, ijk_to_ras)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)


def _oriented_image(values: npt.NDArray[np.uint8], ijk_to_ras: npt.NDArray[np.float64]) -> Any:
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*reversed(values.shape))
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(np.ascontiguousarray(values).ravel(), deep=True))
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, ijk_to_ras)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image


def _set_segment(node: Any, name: str, mask: BoolArray, ijk_to_ras: npt.NDArray[np.float64], level: str = "") -> None:
    segment_id = node.GetSegmentation().AddEmptySegment(name, name)
    if level:
        segment = node.GetSegmentation().GetSegment(segment_id)
        segment.SetTag(ATTRIBUTE + "level", level)
        code = f"{LEVEL_CODES[level]}^{level} vertebra" if level in LEVEL_CODES else "51282000^Vertebra"
        segment.SetTag(segment.GetTerminologyEntryTagName(), _TERMINOLOGY.format(code))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    box = bounding_box(mask) if mask.any() else (slice(0, 1),) * 3
    image = _oriented_image(mask[box].astype(np.uint8), ijk_to_ras)
    image.SetExtent(*(n for part in reversed(box) for n in (part.start, part.stop - 1)))
    logic.SetBinaryLabelmapToSegment(image, node, segment_id, logic.MODE_REPLACE)


def _coded_entry(code: Code) -> Any:
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(code.value, code.scheme, code.meaning)
    return entry


def _line_color(number: int) -> tuple[float, float, float]:
    palette = ((0.12, 0.47, 0.71), (1.0, 0.50, 0.05), (0.17, 0.63, 0.17), (0.58, 0.40, 0.74), (0.55, 0.34, 0.29))
    return palette[number % len(palette)]
