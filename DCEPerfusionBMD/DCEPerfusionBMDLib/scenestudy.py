"""What the panel and scripts ask of a scene beside the analysis: inputs that are kept, sample data, tables, files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from . import sceneinput, study
from .densitometry import Densitometry
from .densitometry.dxa import table_cells
from .errors import InputError
from .export import (
    REGIONS_FILE,
    STALE_FILES,
    as_text,
    check_output_folder,
    data_uri,
    provenance,
    staged,
    study_report,
    write_regions,
)
from .figures import curve_figures
from .memory import Memory, recalled
from .phantom import LumbarPhantom
from .result import StudyResult
from .roi import SegmentLabel
from .scene import (
    ATTRIBUTE,
    SERIES_REFERENCE,
    BoolArray,
    masks_on_grid,
    nodes_of_pair,
    segmentation_from_masks,
    table_texts,
    tag_of,
    volume_from_array,
    write_file,
    write_series,
)
from .series import DynamicSeries
from .settings import Settings

ROLE = ATTRIBUTE + "role"
_SEGMENT_COLORS = (
    (0.95, 0.85, 0.55),
    (0.85, 0.70, 0.45),
    (0.95, 0.75, 0.65),
    (0.80, 0.80, 0.60),
    (0.90, 0.65, 0.50),
    (0.85, 0.20, 0.20),
)
"""Of the phantom's vertebrae and its aorta."""
_SINGLE_VALUES = ("bmd_g_cm2", "t_score", "z_score", "qct_mg_cm3")


def write_phantom(
    scene: Any, phantom: LumbarPhantom, frames: Sequence[npt.NDArray[np.generic]], name: str
) -> dict[str, Any]:
    """Put the phantom into a scene as a user would load it.

    Parameters
    ----------
    scene : vtkMRMLScene.
    phantom : whose masks, geometry and DXA table are taken.
    frames : (K, J, I) each, of `phantom.series()`, made before, since that takes a while.
    name : of the sequence.

    Returns
    -------
    The nodes `series`, `segmentation` and `dxa`.
    """
    series = dataclasses.replace(phantom.series(), frames=frames)
    sequence = write_series(scene, series, name)
    segmentation = segmentation_from_masks(scene, f"{name} segmentation", phantom.segments, phantom.ijk_to_ras)
    segments = segmentation.GetSegmentation()
    for n, color in enumerate(_SEGMENT_COLORS):
        segments.GetNthSegment(n).SetColor(*color)
    segmentation.CreateDefaultDisplayNodes()
    cells = [line.split(",") for line in phantom.dxa_csv("PHANTOM").splitlines()]
    return {"series": sequence, "segmentation": segmentation, "dxa": _add_table(scene, f"{name} DXA", cells)}


def read_table_file(scene: Any, path: Path) -> Any:
    """Add a table from a comma, semicolon or tab separated file to a scene, every cell as text.

    Parameters
    ----------
    scene : vtkMRMLScene.
    path : UTF-8 or UTF-16, with a heading.

    Returns
    -------
    vtkMRMLTableNode.

    Raises
    ------
    InputError
        when the file cannot be read or is empty, or a row has another number of cells than the heading.
    """
    cells = table_cells(path, "the table")
    if not cells or not cells[0]:
        raise InputError(f"the table {path.name} is empty")
    width = len(cells[0])
    for number, row in enumerate(cells, start=1):
        if row and len(row) != width:
            raise InputError(f"{path.name} row {number} has {len(row)} cells, the heading has {width}")
    return _add_table(scene, path.stem, [row for row in cells if row])


def _add_table(scene: Any, name: str, cells: Sequence[Sequence[str]]) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    for n, heading in enumerate(cells[0]):
        column = vtk.vtkStringArray()
        column.SetName(heading)
        for row in cells[1:]:
            column.InsertNextValue(row[n])
        node.AddColumn(column)
    return node


class Inputs:
    """What was read of the inputs in a scene, kept until they change.

    Parameters
    ----------
    scene : vtkMRMLScene.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._kept: Memory = {}
        self._steps: Memory = {}
        self._of: study.Inputs | None = None

    def forget(self) -> None:
        """Read everything anew when it is asked for next."""
        self._kept = {}

    def series(
        self, node: Any, times: str = "", skip_frames: int = 0, tags: sceneinput.TagLookup | None = None
    ) -> DynamicSeries:
        """As `sceneinput.read_node`; what was read is kept until the node changes or is moved.

        Parameters
        ----------
        node : of the series.
        times : of the user, in s; blank for those of the node.
        skip_frames : leading frames to leave out.
        tags : looks up DICOM tags of the frames.

        Returns
        -------
        The series; the same object as long as nothing has changed.

        Raises
        ------
        InputError
            as `sceneinput.read_node`.
        """
        key = (node.GetID(), node.GetMTime(), sceneinput.placement(node, self._scene), times, skip_frames)

        def read() -> DynamicSeries:
            self._kept.pop("masks", None)  # of another series, whose identity a new one may take over
            return sceneinput.read_node(node, self._scene, tags, times.strip() or None, skip_frames)

        return recalled(self._kept, "series", key, read)

    def masks(self, segmentation: Any, series: DynamicSeries) -> dict[str, BoolArray]:
        """As `scene.masks_on_grid`; kept, as a refusal is, until the segmentation changes or is moved.

        Parameters
        ----------
        segmentation : vtkMRMLSegmentationNode.
        series : the grid.

        Returns
        -------
        Segment name to (K, J, I) mask; the same object as long as nothing has changed.

        Raises
        ------
        InputError
            as `scene.masks_on_grid`.
        """

        def read() -> dict[str, BoolArray] | InputError:
            self._kept.pop("counts", None)
            try:
                return masks_on_grid(segmentation, series)
            except InputError as error:
                return error

        found = recalled(self._kept, "masks", (id(series), contents(segmentation)), read)
        if isinstance(found, InputError):
            raise InputError(str(found))
        return found

    def placed_nodes(self, series_node: Any, segmentation: Any) -> list[Any]:
        """The nodes whose transforms place a series and a segmentation.

        Parameters
        ----------
        series_node : None where there is none.
        segmentation : None where there is none.

        Returns
        -------
        Volume nodes, then the segmentation.
        """
        volumes = sceneinput.volumes_of(series_node, self._scene) if series_node is not None else []
        return [*volumes, *([segmentation] if segmentation is not None else [])]

    def state(self, series_node: Any, segmentation: Any) -> tuple[Any, Any]:
        """What tells whether a series was moved, or a segmentation moved or drawn on.

        Parameters
        ----------
        series_node : None where there is none.
        segmentation : None where there is none.

        Returns
        -------
        Compares equal as long as nothing has changed.
        """
        series = series_node and (series_node.GetID(), sceneinput.placement(series_node, self._scene))
        return series, segmentation and contents(segmentation)

    def counts(self, segmentation: Any, series: DynamicSeries) -> dict[str, int]:
        """How many voxels of the series each segment has.

        Parameters
        ----------
        segmentation : vtkMRMLSegmentationNode.
        series : the grid.

        Returns
        -------
        Voxels by name of the segment.

        Raises
        ------
        InputError
            as `scene.masks_on_grid`.
        """
        masks = self.masks(segmentation, series)
        return recalled(
            self._kept, "counts", id(masks), lambda: {name: int(mask.sum()) for name, mask in masks.items()}
        )

    def memory(
        self, series: DynamicSeries, masks: Mapping[str, BoolArray], labels: Mapping[str, SegmentLabel]
    ) -> Memory:
        """What `study.analyze` remembers of these inputs; empty where they are others than the last.

        Parameters
        ----------
        series : of the analysis.
        masks : (K, J, I) by name of the segment.
        labels : what each segment is.

        Returns
        -------
        Is filled by `study.analyze`.
        """
        inputs = (series, masks, labels)
        if self._of is None or not study.same_inputs(self._of, inputs):
            self._steps = {}
        self._of = inputs
        return self._steps


def contents(segmentation: Any) -> tuple[Any, ...]:
    """What tells whether a segmentation has changed: its segments with what they are, and where it lies.

    Parameters
    ----------
    segmentation : vtkMRMLSegmentationNode.

    Returns
    -------
    Compares equal as long as nothing has changed.
    """
    segments = segmentation.GetSegmentation()
    source = segments.GetSourceRepresentationName()
    drawn = []
    for n in range(segments.GetNumberOfSegments()):
        segment = segments.GetNthSegment(n)
        shape = segment.GetRepresentation(source)
        entry = tag_of(segment, segment.GetTerminologyEntryTagName())
        drawn.append((segments.GetNthSegmentID(n), segment.GetName(), entry, shape.GetMTime() if shape else 0))
    return segmentation.GetID(), source, tuple(drawn), sceneinput.placed(segmentation)


def history_of(
    series: DynamicSeries,
    masks: Mapping[str, BoolArray],
    settings: Settings,
    result: StudyResult,
    dxa_table: Any,
    typed_in: Densitometry | None,
    times: str,
    slicer_version: str,
) -> dict[str, Any]:
    """The history of an analysis of nodes; since they are no files, it says what of them was hashed.

    Parameters
    ----------
    series : that was analyzed.
    masks : (K, J, I) by name of the segment.
    settings, result : of the analysis.
    dxa_table : vtkMRMLTableNode, None where there is none.
    typed_in : single values of bone that took the place of a table; None where there are none.
    times : of the user; blank where they come from the node.
    slicer_version : of the application; blank where there is none.

    Returns
    -------
    As `export.provenance`.

    Raises
    ------
    InputError
        as `scene.table_texts`.
    """
    drawn, hashes = hashlib.sha256(), {}
    for name, mask in masks.items():
        drawn.update(json.dumps([name, mask.shape]).encode() + np.packbits(mask).tobytes())
    hashes["segmentation"] = drawn.hexdigest()
    hashed = {"segmentation": "names and voxels of the segments on the grid of the series"}
    if dxa_table is not None:
        hashes["dxa"] = hashlib.sha256(json.dumps(table_texts(dxa_table)).encode()).hexdigest()
        hashed["dxa"] = "headings and cells of the table"
    choices = {"times": times.strip() or None, "skip_frames": series.skipped_frames, "bone": _single_values(typed_in)}
    host = {"Slicer": slicer_version} if slicer_version else {}
    return provenance(series, settings, result, hashes, choices, hashed=hashed, host=host)


def _single_values(bone: Densitometry | None) -> dict[str, str] | None:
    """Measurements as `densitometry.measurements_from_values` takes them."""
    if bone is None:
        return None
    by_column = {
        name: [(item.site, value) for item in bone.measurements if not math.isnan(value := getattr(item, name))]
        for name in _SINGLE_VALUES
    }
    return {name: ",".join(f"{site}={value!r}" for site, value in of) for name, of in by_column.items() if of}


def result_nodes(scene: Any, sequence: Any, segmentation: Any) -> dict[str, Any]:
    """The nodes of the result of a pair.

    Parameters
    ----------
    scene : vtkMRMLScene.
    sequence : node of the series.
    segmentation : vtkMRMLSegmentationNode.

    Returns
    -------
    By role, as `scene.ResultWriter.write` gives them; empty where there is no result.
    """
    nodes = nodes_of_pair(scene, sequence, segmentation)
    return {role: node for node in nodes if (role := node.GetAttribute(ROLE))}


def anatomy_of(scene: Any, sequence: Any) -> Any:
    """The volume on which the anatomy of a series is seen.

    Parameters
    ----------
    scene : vtkMRMLScene.
    sequence : node of the series.

    Returns
    -------
    Its mean enhancement, else its current frame, else itself; None where a sequence has neither.
    """
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(ROLE) == "enhancement" and node.GetNodeReferenceID(SERIES_REFERENCE) == sequence.GetID():
            return node
    return frame_of(scene, sequence)


def frame_of(scene: Any, sequence: Any) -> Any:
    """The volume that shows the current frame of a series.

    Unlike the mean enhancement it is an image as the scanner makes it.

    Parameters
    ----------
    scene : vtkMRMLScene.
    sequence : node of the series.

    Returns
    -------
    Volume node; the series itself where it is no sequence, None where nothing shows a sequence.
    """
    volumes = sceneinput.volumes_of(sequence, scene)
    return volumes[0] if volumes else None


def export_result(folder: Path, series: DynamicSeries, result: StudyResult, history: dict[str, Any]) -> None:
    """Write maps and regions (NRRD), tables (CSV), report and provenance of a result into a folder (`staged`).

    Parameters
    ----------
    folder : is made when it does not exist.
    series : that was analyzed.
    result : of the analysis.
    history : what `export.provenance` returned.

    Raises
    ------
    InputError
        when the folder cannot be written to, or something is in the way of a file.
    OSError
        when a map cannot be written; the folder is as it was.
    """
    check_output_folder(folder)
    with staged(folder, STALE_FILES) as stage:
        write_record(stage, series, result, history)


def write_record(folder: Path, series: DynamicSeries, result: StudyResult, history: dict[str, Any]) -> None:
    """Write maps and regions (NRRD), tables (CSV), report and provenance of a result into a folder that is there.

    Parameters
    ----------
    folder : is there.
    series : that was analyzed.
    result : of the analysis.
    history : what `export.provenance` returned.

    Raises
    ------
    OSError
        when a file cannot be written.

    Notes
    -----
    `maps/NAME.nrrd` have the units of `quantities.BY_NAME`; tables have them in the names of their columns.
    """
    (folder / "maps").mkdir()
    for parameter_map in result.maps.values():
        volume = volume_from_array(parameter_map.values, series.ijk_to_ras)
        path = folder / "maps" / f"{parameter_map.quantity}.nrrd"
        write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), path)
    write_regions(folder / REGIONS_FILE, result.rois, series.ijk_to_ras)
    for table in result.tables():
        (folder / f"{table.name}.csv").write_text(table.to_csv(), encoding="utf-8", newline="")
    (folder / "report.html").write_text(_report(series, result, history), encoding="utf-8", newline="")
    (folder / "provenance.json").write_text(as_text(history), encoding="utf-8")


def _report(series: DynamicSeries, result: StudyResult, history: dict[str, Any]) -> str:
    """The report, with the curves drawn where matplotlib is installed."""
    with tempfile.TemporaryDirectory() as drawn:
        try:
            figures, missing = {path.stem: data_uri(path) for path in curve_figures(result, Path(drawn))}, ""
        except InputError as error:
            figures, missing = {}, f"The curves are not drawn: {error}."
    return study_report(series, result, history, figures, missing)
