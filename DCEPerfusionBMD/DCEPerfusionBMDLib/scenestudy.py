"""What the panel and scripts ask of a scene beside the analysis: sample data, tables, results that are there, files."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from .densitometry.dxa import table_cells
from .errors import InputError
from .export import as_text, check_output_folder, data_uri, staged, study_report
from .figures import curve_figures
from .phantom import LumbarPhantom
from .result import StudyResult
from .scene import (
    ATTRIBUTE,
    SERIES_REFERENCE,
    masks_on_grid,
    nodes_of_pair,
    segmentation_from_masks,
    volume_from_array,
    write_file,
    write_series,
)
from .series import DynamicSeries

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


def write_phantom(
    scene: Any, phantom: LumbarPhantom, frames: Sequence[npt.NDArray[np.generic]], name: str
) -> dict[str, Any]:
    """Put the phantom into a scene as a user would load it.

    Parameters
    ----------
    frames : of `phantom.series()`, made before, since that takes a while.
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

    Raises
    ------
    InputError
        when the file cannot be read or is empty.
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


def voxel_counts(segmentation: Any, series: DynamicSeries) -> dict[str, int]:
    """How many voxels of the series each segment has."""
    return {name: int(np.count_nonzero(mask)) for name, mask in masks_on_grid(segmentation, series).items()}


def result_nodes(scene: Any, sequence: Any, segmentation: Any) -> dict[str, Any]:
    """The nodes of the result of a pair, by role; empty where there is none."""
    nodes = nodes_of_pair(scene, sequence, segmentation)
    return {role: node for node in nodes if (role := node.GetAttribute(ROLE))}


def anatomy_of(scene: Any, sequence: Any) -> Any:
    """The volume on which the anatomy of a series is seen: its mean enhancement, else its current frame, else itself.

    None where a sequence has neither.
    """
    if not sequence.IsA("vtkMRMLSequenceNode"):
        return sequence
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(ROLE) == "enhancement" and node.GetNodeReferenceID(SERIES_REFERENCE) == sequence.GetID():
            return node
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        shown = scene.GetNthNodeByClass(n, "vtkMRMLSequenceBrowserNode").GetProxyNode(sequence)
        if shown is not None:
            return shown
    return None


def export_result(folder: Path, series: DynamicSeries, result: StudyResult, history: dict[str, Any]) -> None:
    """Write maps (NRRD), tables (CSV), report and provenance of a result into a folder; all of them, or none.

    Parameters
    ----------
    series, result : of one analysis.
    history : what `export.provenance` returned.

    Raises
    ------
    InputError
        when the folder cannot be written to.
    """
    check_output_folder(folder)
    with staged(folder) as stage:
        write_record(stage, series, result, history)


def write_record(folder: Path, series: DynamicSeries, result: StudyResult, history: dict[str, Any]) -> None:
    """Write maps (NRRD), tables (CSV), report and provenance of a result into a folder that is there."""
    (folder / "maps").mkdir()
    for parameter_map in result.maps.values():
        volume = volume_from_array(parameter_map.values, series.ijk_to_ras)
        path = folder / "maps" / f"{parameter_map.quantity}.nrrd"
        write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), path)
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
