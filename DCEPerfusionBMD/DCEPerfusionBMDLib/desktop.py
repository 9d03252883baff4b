"""How a result is shown in the Slicer desktop: layout, slice views, legend, charts, tables, the curve under the mouse.

Also how Slicer installs a Python package that is missing.

Imported by the module file inside methods; with it the only file that uses the application.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import slicer
import vtk

from .layout import CURVES_VIEW, INPUT_VIEW, LAYOUT_ID, TABLE_VIEW, register
from .quantities import BY_NAME, STATUS
from .result import input_curves
from .scene import ATTRIBUTE, INPUT_COLORS
from .series import FloatArray
from .study import ModelInput, VoxelCurves


def isInstalled(package: str) -> bool:
    """Whether a Python package is there."""
    importlib.invalidate_caches()  # one that was installed a moment ago
    return importlib.util.find_spec(package) is not None


def install(package: str) -> bool:
    """Let Slicer install a Python package, as the user has agreed to; whether it is there then."""
    try:
        slicer.util.pip_install(package)
    except subprocess.CalledProcessError:  # Slicer has logged what pip said
        return False
    return isInstalled(package)


class Views:
    """Puts results into the views of the application.

    Parameters
    ----------
    scene : vtkMRMLScene of the application.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    def viewNode(self, class_name: str, tag: str, owner: Any = None) -> Any:
        """The view node with this tag; a new one the first time. One with an owner is left alone by the layouts."""
        node = self._scene.GetSingletonNode(tag, class_name)
        if node is None:
            node = self._scene.CreateNodeByClass(class_name)
            node.UnRegister(None)
            node.SetSingletonTag(tag)
            node.SetLayoutName(tag)
            node.SetName(tag)
            if owner is not None:  # before it is added, at which the layout manager makes a view of its own
                node.SetAndObserveParentLayoutNodeID(owner.GetID())
            node = self._scene.AddNode(node)
        if owner is not None:
            node.SetAndObserveParentLayoutNodeID(owner.GetID())
        # other modules show their charts and tables in every view that does not refuse them
        if class_name == "vtkMRMLPlotViewNode":
            node.SetDoPropagatePlotChartSelection(False)
        elif class_name == "vtkMRMLTableViewNode":
            node.SetDoPropagateTableSelection(False)
        return node

    def inputView(self, owner: Any) -> Any:
        """The view of the plot in the panel; `owner` is the panel's parameter node."""
        return self.viewNode("vtkMRMLPlotViewNode", INPUT_VIEW, owner)

    def showAnatomy(self, anatomy: Any) -> None:
        """Show a volume in the slice views, alone."""
        if anatomy is not None:
            slicer.util.setSliceViewerLayers(background=anatomy, foreground=None, label=None, fit=True)

    def show(self, nodes: dict[str, Any], segmentation: Any, anatomy: Any) -> None:
        """Show all of a result: map over anatomy with outlines and legend, curves, and the table of the vertebrae."""
        first = next((role for role in nodes if role.startswith("map.")), None)
        if first is None:
            return
        self.arrange()
        self.showMap(nodes.get("map.ktrans", nodes[first]), anatomy, fit=True)
        display = segmentation.GetDisplayNode()
        if display is not None:
            display.SetVisibility2DFill(False)
        if "chart.tissue" in nodes:  # the user may have deleted it
            self.viewNode("vtkMRMLPlotViewNode", CURVES_VIEW).SetPlotChartNodeID(nodes["chart.tissue"].GetID())
        self.showTable(nodes.get("table.vertebrae"))

    def arrange(self) -> None:
        """Choose our layout."""
        manager = slicer.app.layoutManager()
        if manager is not None:
            register(manager.layoutLogic().GetLayoutNode())
            manager.setLayout(LAYOUT_ID)

    def restoreLayout(self) -> None:
        """Arrange the views of a scene that was saved in our layout; a scene holds only its number."""
        manager = slicer.app.layoutManager()
        if manager is not None:
            layout = manager.layoutLogic().GetLayoutNode()
            register(layout)
            if layout.GetViewArrangement() == LAYOUT_ID:
                manager.setLayout(LAYOUT_ID)

    def showMap(self, node: Any, anatomy: Any, fit: bool = False) -> None:
        """Put a map over the anatomy, with its legend; the legends of other maps go out."""
        if node is None:
            return
        slicer.util.setSliceViewerLayers(
            background=anatomy if anatomy is not None else "keep-current",
            foreground=node,
            label=None,
            foregroundOpacity=1.0,
            fit=fit,
        )
        for n in range(self._scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode")):
            legend = self._scene.GetNthNodeByClass(n, "vtkMRMLColorLegendDisplayNode")
            shown = legend.GetDisplayableNode()
            if shown is not None and (shown.GetAttribute(ATTRIBUTE + "role") or "").startswith("map."):
                legend.SetVisibility(shown is node)
        legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(node)
        quantity = BY_NAME[node.GetAttribute(ATTRIBUTE + "quantity")]
        legend.SetTitleText(f"{quantity.symbol} ({quantity.unit})" if quantity.unit else quantity.symbol)
        if quantity is not STATUS:
            legend.SetLabelFormat("%.2f")
        legend.SetVisibility(True)

    def showTable(self, node: Any) -> None:
        """Show a table in the layout."""
        if node is not None:
            self.viewNode("vtkMRMLTableViewNode", TABLE_VIEW).SetTableNodeID(node.GetID())

    def showBeside(self, node: Any) -> None:
        """Show a table or a chart in our layout."""
        if node is None:
            return
        self.arrange()
        if node.IsA("vtkMRMLPlotChartNode"):
            self.viewNode("vtkMRMLPlotViewNode", CURVES_VIEW).SetPlotChartNodeID(node.GetID())
        else:
            self.showTable(node)

    def jumpTo(self, segmentation: Any, name: str) -> None:
        """Center the slice views on a segment."""
        segment_id = segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)
        center = segmentation.GetSegmentCenterRAS(segment_id) if segment_id else None
        if center is not None:  # an empty segment has none
            slicer.vtkMRMLSliceNode.JumpAllSlices(self._scene, *center, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


class InputChart:
    """The input of the model in a chart of its own, before there is a result; not saved with the scene.

    Parameters
    ----------
    scene : vtkMRMLScene of the application.
    words : what is written at the chart, by "aif", "reference", "time" and "concentration", in the user's language.
    """

    def __init__(self, scene: Any, words: Mapping[str, str]) -> None:
        self._scene, self._words = scene, words
        self._names: list[str] = []
        self._nodes: list[Any] = []

    def show(self, found: ModelInput) -> Any:
        """Put the curves into the chart, which is returned; it is made the first time."""
        curves = input_curves(found.measured_mM, found.input_mM, found.blood_mM is None)
        columns = {"time_s": found.times_s, **{name: values for name, values, _, _ in curves}}
        if self._names != list(columns) or any(node.GetScene() is None for node in self._nodes):
            self.clear()
            self._names = list(columns)
            table = _aside(self._scene, "vtkMRMLTableNode", "Input of the model")
            chart = _aside(self._scene, "vtkMRMLPlotChartNode", "Input of the model")
            chart.SetTitle(self._words["reference" if found.blood_mM is None else "aif"])
            chart.SetXAxisTitle(self._words["time"])
            chart.SetYAxisTitle(self._words["concentration"])
            plots = [
                _plot(self._scene, chart, table, title, name, color)
                for (name, _, title, _), color in zip(curves, INPUT_COLORS, strict=False)
            ]
            self._nodes = [table, chart, *plots]
        _fill(self._nodes[0], columns)
        return self._nodes[1]

    def clear(self) -> None:
        """Take the chart out of the scene."""
        for node in reversed(self._nodes):
            if node.GetScene() is not None:
                self._scene.RemoveNode(node)
        self._names, self._nodes = [], []


class HoverCurve:
    """The curve of the voxel under the mouse pointer, and its fit, in a chart; off until it is started.

    Parameters
    ----------
    scene : vtkMRMLScene of the application.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._observed: tuple[Any, int] | None = None
        self._nodes: list[Any] = []
        self._chart: Any = None
        self._curves: VoxelCurves | None = None

    def start(self, chart: Any, curves: VoxelCurves) -> None:
        """Follow the mouse pointer; the curves go into `chart`."""
        self.stop()
        self._chart, self._curves = chart, curves
        table = _aside(self._scene, "vtkMRMLTableNode", "Curve under the mouse pointer")
        unknown = [math.nan] * len(curves.times_s)
        _fill(table, {"time_s": curves.times_s, "measured_mM": unknown, "fitted_mM": unknown})
        gray = (0.1, 0.1, 0.1)
        measured = _plot(self._scene, chart, table, "Voxel measured", "measured_mM", gray)
        measured.SetMarkerStyle(measured.MarkerStyleSquare)
        measured.SetLineStyle(measured.LineStyleNone)
        fitted = _plot(self._scene, chart, table, "Voxel fitted", "fitted_mM", gray)
        fitted.SetLineStyle(fitted.LineStyleDash)
        self._nodes = [table, measured, fitted]
        crosshair = self._scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is not None:
            tag = crosshair.AddObserver(slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent, self._moved)
            self._observed = (crosshair, tag)

    def stop(self) -> None:
        """Follow no more, and take the curves out of the chart and the scene."""
        if self._observed is not None:
            crosshair, tag = self._observed
            crosshair.RemoveObserver(tag)
        for node in self._nodes[1:]:
            if self._chart.GetScene() is not None:
                self._chart.RemovePlotSeriesNodeID(node.GetID())
        for node in reversed(self._nodes):
            if node.GetScene() is not None:
                self._scene.RemoveNode(node)
        self._observed, self._nodes, self._chart, self._curves = None, [], None, None

    def _moved(self, crosshair: Any, event: Any) -> None:
        ras = [0.0, 0.0, 0.0]
        if self._curves is None or not self._nodes or not crosshair.GetCursorPositionRAS(ras):
            return
        found = self._curves.at(ras)
        if found is None:
            return
        _fill(self._nodes[0], dict(zip(("measured_mM", "fitted_mM"), found, strict=True)))


def _fill(table: Any, columns: Mapping[str, Sequence[float] | FloatArray]) -> None:
    """Put numbers into columns of a table node, which are made where they are not there."""
    for name, values in columns.items():
        array = table.GetTable().GetColumnByName(name)
        if array is None:
            array = vtk.vtkDoubleArray()
            array.SetName(name)
            array.SetNumberOfValues(len(values))
            table.AddColumn(array)
        array.SetNumberOfValues(len(values))
        for n, value in enumerate(values):
            array.SetValue(n, float(value))
        array.Modified()
    table.GetTable().Modified()
    table.Modified()


def _plot(scene: Any, chart: Any, table: Any, title: str, column: str, color: tuple[float, float, float]) -> Any:
    """A line of a chart, over a column of a table."""
    plot = _aside(scene, "vtkMRMLPlotSeriesNode", title)
    plot.SetAndObserveTableNodeID(table.GetID())
    plot.SetXColumnName("time_s")
    plot.SetYColumnName(column)
    plot.SetPlotType(plot.PlotTypeScatter)
    plot.SetMarkerStyle(plot.MarkerStyleNone)
    plot.SetColor(*color)
    chart.AddAndObservePlotSeriesNodeID(plot.GetID())
    return plot


def _aside(scene: Any, class_name: str, name: str) -> Any:
    """A new node that stays out of the lists of the application and of saved scenes."""
    node = scene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(name)
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)
    return scene.AddNode(node)
