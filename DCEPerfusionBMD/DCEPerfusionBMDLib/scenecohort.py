"""Cohorts in a scene: a table node in; tables, plot charts and one folder out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .cohort import (
    CLASSES,
    AgreementFigure,
    Boxes,
    Cohort,
    CohortResult,
    MeanCurve,
    RocFigure,
    Scatter,
    cohort_from_columns,
)
from .cohort.columns import NUMBERS, heading, printed_scale, quantity_of, read_headings
from .cohort.drawing import (
    CLASS_COLORS,
    LINE_COLORS,
    MOST_POINTS,
    NO_CLASS_COLOR,
    how_many_drawn,
    sample,
)
from .cohort.papertables import for_people
from .export.cohortfiles import left_out_table
from .scene import ATTRIBUTE, NodeWriter, fill_table, hierarchy_of, item_of, own_nodes, table_texts
from .series import FloatArray
from .settings import CohortSettings
from .statistics import synthetic_cohort
from .statistics.values import p_equation
from .tables import Column, Table, one_line, visible

COHORT_REFERENCE = ATTRIBUTE + "cohortTable"
_COHORT = ATTRIBUTE + "cohort"
_FOLDER = ATTRIBUTE + "folder"
_OUT_OF_TREE = "SubjectHierarchy.ExcludeFromTree"
_MARKERS = dict(zip(CLASSES, ("Circle", "Square", "Diamond"), strict=True))
_BLACK = "#000000"
_JITTER = 0.22  # of the distance between two groups
_HALF_BOX = 0.3


@dataclass(frozen=True)
class CohortNodes:
    """What became of a cohort in a scene.

    Attributes
    ----------
    folder : item of the subject hierarchy that holds it.
    tables : by name: `table1` to `table3` as they are printed, `table1_numbers` and so on with a column per number,
        `statistics`, `left_out` and `remarks`.
    charts : vtkMRMLPlotChartNode by name, for example `figure1.ktrans_per_min`, `figure2`, `roc.1`.
    """

    folder: int
    tables: dict[str, Any]
    charts: dict[str, Any]


def read_cohort_node(table: Any, settings: CohortSettings, dictionary: Mapping[str, str] | None = None) -> Cohort:
    """The cohort in a table node, with the columns of `cohort.read_table`.

    The unit of a column counts where its name has none.

    Parameters
    ----------
    table : vtkMRMLTableNode; cells are texts or numbers.
    settings, dictionary : as for `cohort.read_table`.

    Returns
    -------
    As of `cohort.read_table`.

    Raises
    ------
    InputError
        naming table, row and column of what cannot be read; the names of the columns are row 1.
    """
    names, columns = table_texts(table)
    name = visible(table.GetName() or "") or "the table"
    meanings = dict(dictionary or {})
    for column in names:
        unit = one_line(table.GetColumnUnitLabel(column) or "")
        if unit and column not in meanings:
            found = read_headings([column], name).found.items()
            if any(canonical in NUMBERS and "no unit" in of.about for canonical, of in found):
                meanings[one_line(column)] = f"{column} ({unit})"
    return cohort_from_columns(name, names, columns, settings, meanings)


def write_made_up_cohort(scene: Any, name: str, seed: int) -> Any:
    """Add a table of a made-up cohort to the scene, to try things on: for examples and tests, never for inference.

    Parameters
    ----------
    scene : vtkMRMLScene.
    name : of the table.
    seed : of the random numbers.

    Returns
    -------
    vtkMRMLTableNode with one row per subject, as `statistics.synthetic_cohort` makes it.
    """
    columns = synthetic_cohort(seed)
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    fill_table(node, Table("cohort", name, tuple(Column(key, of.tolist(), key) for key, of in columns.items())))
    node.SetUseColumnTitleAsColumnHeader(False)
    return node


def cohort_nodes(scene: Any, table: Any) -> CohortNodes:
    """What is there of the result of a table node.

    Parameters
    ----------
    scene : vtkMRMLScene.
    table : vtkMRMLTableNode that was analyzed.

    Returns
    -------
    Nodes by name; empty, with folder 0, where there is nothing.
    """
    return _sorted(scene, {COHORT_REFERENCE: table}, {})


def write_cohort_result(scene: Any, result: CohortResult, table: Any = None) -> CohortNodes:
    """Put a result into the scene; a second run for the same table updates the same nodes.

    Each chart has a table of its own for its points and lines, which is no item of the Data module's tree. Slicer's
    plots have no boxes and no filled bands: boxes are outlines of the quartiles with the median, groups are numbered on
    their axis, and bands are dashed lines.

    Parameters
    ----------
    scene : vtkMRMLScene.
    result : of a cohort.
    table : the vtkMRMLTableNode that it comes from; without one the result belongs to the name of the cohort.

    Returns
    -------
    Folder, tables and charts.
    """
    return _Writer(scene, result, table).write()


def _sorted(scene: Any, references: Mapping[str, Any], attributes: Mapping[str, str]) -> CohortNodes:
    by_role = {node.GetAttribute(ATTRIBUTE + "role") or "": node for node in own_nodes(scene, references, attributes)}
    tables, charts = (
        {role.removeprefix(kind): node for role, node in by_role.items() if role.startswith(kind)}
        for kind in ("table.", "chart.")
    )
    hierarchy = hierarchy_of(scene)
    items = [hierarchy.GetItemByDataNode(node) for node in (*tables.values(), *charts.values())]
    parents = {int(hierarchy.GetItemParent(item)) for item in items if item}
    ours = [parent for parent in parents if hierarchy.GetItemAttribute(parent, _FOLDER) == "cohort"]
    return CohortNodes(ours[0] if ours else 0, tables, charts)


# ---- charts as values


@dataclass(frozen=True)
class _Axis:
    """Name of a column, title with unit, unit, quantity (empty where it has no code)."""

    name: str
    title: str
    unit: str = ""
    quantity: str = ""


@dataclass(frozen=True)
class _Part:
    """Points or a line of a chart; a line is broken where it is NaN.

    Attributes
    ----------
    label : in the legend.
    x, y : (n,) in the units of the axes.
    color : `#rrggbb`.
    marker : of points, as `vtkMRMLPlotSeriesNode` names it; empty for a line.
    line : style of a line, as `vtkMRMLPlotSeriesNode` names it.
    """

    label: str
    x: FloatArray
    y: FloatArray
    color: str = _BLACK
    marker: str = ""
    line: str = "Solid"


@dataclass(frozen=True)
class _Chart:
    """A chart; `x_range` and `y_range` are chosen by the data where they are empty."""

    key: str
    name: str
    title: str
    x: _Axis
    y: _Axis
    parts: list[_Part] = field(default_factory=list)
    x_range: tuple[float, float] | tuple[()] = ()
    y_range: tuple[float, float] | tuple[()] = ()


def _charts(result: CohortResult) -> Iterator[_Chart]:
    ve_unit = result.settings.ve_unit
    for scatter in result.scatters:
        yield _scatter(scatter, ve_unit)
    if result.curves:
        yield _mean_curves(result.curves)
    for boxes in result.boxes:
        yield _boxes(boxes, ve_unit)
    for number, roc in enumerate(result.rocs, start=1):
        yield _roc(roc, number)
    for number, agreement in enumerate(result.agreements, start=1):
        yield _agreement(agreement, ve_unit, number)


def _axis(column: str, ve_unit: str) -> _Axis:
    number, in_own_unit = NUMBERS[column], printed_scale(column, ve_unit) == 1.0
    unit = number.unit if in_own_unit else "mL/100 mL"
    return _Axis(column, heading(column, ve_unit), unit, quantity_of(column) if in_own_unit else "")


def _scatter(part: Scatter, ve_unit: str) -> _Chart:
    x_scale, y_scale = printed_scale(part.x_column, ve_unit), printed_scale(part.y_column, ve_unit)
    shown = sample(part.x.size)
    groups = part.groups[shown]
    parts = []
    for group in (*CLASSES, ""):
        own = shown[groups == group] if group else shown[~np.isin(groups, CLASSES)]
        if own.size:
            color, marker = CLASS_COLORS.get(group, NO_CLASS_COLOR), _MARKERS.get(group, "Cross")
            x, y = part.x[own] * x_scale, part.y[own] * y_scale
            parts.append(_Part(group or "no category", x, y, color, marker))
    line_x = part.line_x * x_scale
    parts.append(_Part("least squares", line_x, part.line_y * y_scale))
    for label, edge in (("95 % band, lower", part.low), ("95 % band, upper", part.high)):
        parts.append(_Part(label, line_x, edge * y_scale, line="Dash"))
    name = f"{NUMBERS[part.y_column].title} against {NUMBERS[part.x_column].title}"
    found = part.correlation
    low, high = found.interval
    facts = [f"r = {found.r:.3f} [{low:.3f}, {high:.3f}]", p_equation(found.p), f"n = {found.n:,}"]
    title = ", ".join([f"{name}: {facts[0]}", *facts[1:], *how_many_drawn(shown.size, part.x.size)])
    return _Chart(
        f"{part.figure}.{part.y_column}",
        name,
        title,
        _axis(part.x_column, ve_unit),
        _axis(part.y_column, ve_unit),
        parts,
    )


def _mean_curves(curves: Sequence[MeanCurve]) -> _Chart:
    parts = []
    for curve in curves:
        color = CLASS_COLORS.get(curve.group, NO_CLASS_COLOR)
        parts.append(_Part(f"{curve.group}, n = {curve.count:,}", curve.times_s, curve.mean, color))
        for label, edge in (("lower", curve.low), ("upper", curve.high)):
            parts.append(_Part(f"{curve.group}, 95 % band, {label}", curve.times_s, edge, color, line="Dash"))
    first = curves[0]
    name = "Mean enhancement curves"
    y = _Axis("enhancement", f"{first.quantity} ({first.unit})", first.unit)
    return _Chart("figure2", name, f"{name}, {first.source}", _Axis("time_s", "Time from arrival (s)", "s"), y, parts)


def _boxes(part: Boxes, ve_unit: str) -> _Chart:
    scale = printed_scale(part.column, ve_unit)
    values = {group: np.asarray(of, dtype=np.float64) for group, of in part.values.items()}
    values = {group: scale * of[np.isfinite(of)] for group, of in values.items()}
    of_group = np.repeat(np.arange(len(values)), [of.size for of in values.values()])
    everything = np.concatenate([*values.values(), np.empty(0)])
    shown = sample(everything.size)
    aside = np.random.default_rng(0).uniform(-_JITTER, _JITTER, shown.size)
    parts, outlines_x, outlines_y = [], [], []
    for number, (group, of) in enumerate(values.items()):
        own = of_group[shown] == number
        if not of.size:
            continue
        x, y = number + 1 + aside[own], everything[shown[own]]
        parts.append(_Part(group, x, y, CLASS_COLORS.get(group, NO_CLASS_COLOR), _MARKERS.get(group, "Circle")))
        low, middle, high = np.quantile(of, (0.25, 0.5, 0.75))
        left, right = number + 1 - _HALF_BOX, number + 1 + _HALF_BOX
        outlines_x += [left, right, right, left, left, right, right, np.nan]
        outlines_y += [middle, middle, high, high, low, low, middle, np.nan]
    parts.append(_Part("median and quartiles", np.array(outlines_x), np.array(outlines_y)))
    name = f"{NUMBERS[part.column].title} by {for_people(part.grouping)}"
    numbered = ", ".join(f"{number} = {group}" for number, group in enumerate(values, start=1))
    title = "; ".join([f"{name}: {part.caption.rstrip('.')}", *how_many_drawn(shown.size, everything.size)])
    return _Chart(
        f"boxes.{part.grouping}.{part.column}",
        name,
        title,
        _Axis("group_number", f"{heading(part.grouping)}: {numbered}"),
        _axis(part.column, ve_unit),
        parts,
        x_range=(0.4, len(values) + 0.6),
    )


def _roc(part: RocFigure, number: int) -> _Chart:
    parts = [_Part("no better than chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]), NO_CLASS_COLOR, line="Dot")]
    for n, ((fall_out, sensitivity), caption) in enumerate(zip(part.curves, part.captions, strict=True)):
        kept = np.unique(np.linspace(0, fall_out.size - 1, min(fall_out.size, MOST_POINTS)).astype(int))
        label, color = caption.partition(";")[0], LINE_COLORS[n % len(LINE_COLORS)]
        parts.append(
            _Part(label, fall_out[kept], sensitivity[kept], color, line=("Solid", "Dash")[n >= len(LINE_COLORS)])
        )
    return _Chart(
        f"roc.{number}",
        f"ROC of {part.condition}",
        f"ROC of {part.condition}",
        _Axis("one_less_specificity", "1 - specificity"),
        _Axis("sensitivity", "Sensitivity"),
        parts,
        (0.0, 1.0),
        (0.0, 1.0),
    )


def _agreement(part: AgreementFigure, ve_unit: str, number: int) -> _Chart:
    scale = printed_scale(part.column, ve_unit)
    shown = sample(part.means.size)
    x, y = part.means[shown] * scale, part.differences[shown] * scale
    parts = [_Part("subjects", x, y, LINE_COLORS[-1], "Circle")]
    ends = np.array([part.means.min(), part.means.max()]) * scale
    for label, value, line in (
        ("mean difference", part.bias, "Solid"),
        ("lower limit of agreement", part.lower, "Dash"),
        ("upper limit of agreement", part.upper, "Dash"),
    ):
        parts.append(_Part(f"{label} {scale * value:.3g}", ends, np.full(2, scale * value), line=line))
    axis = _axis(part.column, ve_unit)
    about = NUMBERS[part.column].title
    return _Chart(
        f"bland_altman.{number}.{part.column}",
        f"Agreement of readings: {about}, {part.first} and {part.second}",
        "; ".join([part.caption, *how_many_drawn(shown.size, part.means.size)]),
        _Axis("mean", f"Mean of both readings: {axis.title}", axis.unit, axis.quantity),
        _Axis("difference", f"{part.first} - {part.second}: {axis.title}", axis.unit, axis.quantity),
        parts,
    )


# ---- nodes


class _Writer(NodeWriter):
    def __init__(self, scene: Any, result: CohortResult, table: Any) -> None:
        name = visible(result.cohort.name)
        references = {COHORT_REFERENCE: table} if table is not None else {}
        super().__init__(scene, references, {} if table is not None else {_COHORT: name})
        self._result = result
        self._name = _name(name if table is None else table.GetName())
        self._table = table

    def write(self) -> CohortNodes:
        for item in self._result.tables:
            node = self._write_table(f"{self._name} {item.title.partition('.')[0]}", _named(item.printed, item.name))
            node.SetDescription(visible(f"{item.title}. {item.numeric.footnote}"))
            numbers = self._write_table(
                f"{self._name} {item.title.partition('.')[0]}, numbers",
                _named(item.numeric.table, f"{item.name}_numbers"),
            )
            numbers.SetDescription(node.GetDescription())
        for table in (self._result.statistics, left_out_table(self._result), _remarks(self._result)):
            node = self._write_table(f"{self._name} {table.title.lower()}", _named(table, table.name))
            node.SetDescription(table.title)
        for chart in _charts(self._result):
            self._write_chart(chart)
        self._remove_stale()
        self._arrange()
        return _sorted(self._scene, self._references, self._attributes)

    def _write_chart(self, chart: _Chart) -> None:
        lengths = [part.x.size for part in chart.parts]
        starts = np.cumsum([0, *lengths])
        columns = [_column(chart.x, np.concatenate([part.x for part in chart.parts]))]
        labels = [_text(part.label) for part in chart.parts]
        for start, part, label in zip(starts, chart.parts, labels, strict=False):
            values = np.full(starts[-1], np.nan)
            values[start : start + part.y.size] = part.y
            columns.append(_column(_Axis(label, f"{label}, {chart.y.title}", chart.y.unit, chart.y.quantity), values))
        table = self._node("vtkMRMLTableNode", f"points.{chart.key}", f"{self._name} {_name(chart.name)}, points")
        fill_table(table, Table("points", chart.name, tuple(columns)))
        node = self._node("vtkMRMLPlotChartNode", f"chart.{chart.key}", f"{self._name} {_name(chart.name)}")
        modified = node.StartModify()
        node.RemoveAllPlotSeriesNodeIDs()
        node.SetTitle(visible(chart.title))
        node.SetXAxisTitle(visible(chart.x.title))
        node.SetYAxisTitle(visible(chart.y.title))
        node.SetXAxisRangeAuto(not chart.x_range)
        node.SetYAxisRangeAuto(not chart.y_range)
        if chart.x_range:
            node.SetXAxisRange(*chart.x_range)
        if chart.y_range:
            node.SetYAxisRange(*chart.y_range)
        for n, (part, label) in enumerate(zip(chart.parts, labels, strict=True)):
            series = self._node("vtkMRMLPlotSeriesNode", f"plot.{chart.key}.{n}", label)
            series.SetAndObserveTableNodeID(table.GetID())
            series.SetXColumnName(chart.x.name)
            series.SetYColumnName(label)
            series.SetPlotType(series.PlotTypeScatter)
            series.SetMarkerStyle(getattr(series, f"MarkerStyle{part.marker or 'None'}"))
            series.SetLineStyle(getattr(series, f"LineStyle{'None' if part.marker else part.line}"))
            series.SetColor(*(int(part.color[at : at + 2], 16) / 255 for at in (1, 3, 5)))
            node.AddAndObservePlotSeriesNodeID(series.GetID())
        node.EndModify(modified)

    def _arrange(self) -> None:
        """All nodes in one folder beside the table; what only serves the charts is not shown in the tree."""
        hierarchy = hierarchy_of(self._scene)
        folder = _sorted(self._scene, self._references, self._attributes).folder
        if not folder:
            beside = hierarchy.GetSceneItemID()
            if self._table is not None:
                beside = hierarchy.GetItemParent(item_of(hierarchy, self._table))
            folder = hierarchy.CreateFolderItem(beside, f"{self._name} cohort")
            hierarchy.SetItemAttribute(folder, _FOLDER, "cohort")
        for role, node in self._written.items():
            hierarchy.SetItemParent(item_of(hierarchy, node), folder)
            if not role.startswith(("table.", "chart.")):
                node.SetAttribute(_OUT_OF_TREE, "1")


def _text(text: str) -> str:
    """A text from outside as a scene can hold it."""
    return one_line(visible(text))


def _name(text: str) -> str:
    """A text from outside in the name of a node: a scene does not open where a file is named with an ampersand."""
    return _text(text).replace("&", "and")


def _column(axis: _Axis, values: FloatArray) -> Column:
    return Column(axis.name, values.tolist(), _text(axis.title), _text(axis.unit), quantity=axis.quantity)


def _named(table: Table, name: str) -> Table:
    """A table under another name, its texts as a scene can hold them."""
    columns = []
    for column in table.columns:
        values = [_text(value) if isinstance(value, str) else value for value in column.values]
        columns.append(Column(column.name, values, column.title, column.unit, column.description, column.quantity))  # type: ignore[arg-type]
    return Table(name, table.title, tuple(columns))


def _remarks(result: CohortResult) -> Table:
    """What the user is to know: notes on the table, warnings, and what was not made."""
    said = {"note": result.cohort.notes, "warning": result.warnings, "not made": result.not_made}
    pairs = [(kind, text) for kind, texts in said.items() for text in texts]
    ignored = result.cohort.ignored
    if ignored:
        pairs.append(("note", f"Columns that were not recognized: {', '.join(ignored)}."))
    return Table(
        "remarks",
        "Remarks",
        (Column("kind", [kind for kind, _ in pairs], "Kind"), Column("remark", [text for _, text in pairs], "Remark")),
    )
