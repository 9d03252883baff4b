"""What one analysis found, as values: maps, curves, and the tables made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .densitometry import Assessment, PerfusionGroup, classification_table, comparison_table
from .kinetics import Finding, Model, ReferenceRegion
from .quantities import DELAY, DESCRIPTIVE_TABLE, KTRANS, PARAMETERS, VE, Quantity
from .roi import VertebralRois
from .series import FloatArray, Sourced
from .tables import Column, Table

Row = dict[str, Any]
"""Values of one region by column name."""


@dataclass(frozen=True)
class ParameterMap:
    """A voxel map of one quantity: NaN where there is no estimate, `status` codes where it is the status map.

    Attributes
    ----------
    quantity : its name, as in `quantities`, which has the unit.
    values : (K, J, I) on the grid of the series.
    """

    quantity: str
    values: npt.NDArray[np.float32] | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Curve:
    """Enhancement curve of a region.

    Attributes
    ----------
    region : name of the segment.
    concentration_mM, fitted_mM : (n_frames,) of the mean signal of the analyzed voxels; NaN where there is none.
    """

    region: str
    concentration_mM: FloatArray
    fitted_mM: FloatArray


InputCurve = tuple[str, FloatArray, str, str]
"""Column name, values in mM, title and description."""


def input_curves(measured_mM: FloatArray, input_mM: FloatArray, by_reference: bool) -> list[InputCurve]:
    """The curves that the input of the model is made of, as they are called in tables and plots.

    Parameters
    ----------
    measured_mM : (n_frames,) concentration in the segment of the input: whole blood, or the reference tissue.
    input_mM : (n_frames,) input of the model: plasma, or the reference tissue.
    by_reference : whether a reference tissue takes the place of the artery.

    Returns
    -------
    Column name, (n_frames,) values in mM, title and description of each.
    """
    if by_reference:
        about = "Contrast agent in the reference tissue: the input of the model."
        return [("reference_mM", measured_mM, "Reference tissue", about)]
    about = "Contrast agent in whole blood, measured in the arterial segment."
    return [
        ("aif_blood_mM", measured_mM, "Arterial blood", about),
        ("aif_plasma_mM", input_mM, "Arterial plasma", "Contrast agent in plasma: the input of the model."),
    ]


@dataclass(frozen=True)
class StudyResult:
    """Everything that one analysis found.

    Attributes
    ----------
    subject : pseudonym, empty when none was given.
    times_s : (n_frames,).
    input_mM : (n_frames,) input of the model: plasma, or the reference tissue.
    measured_mM : (n_frames,) as measured in the segment of the input: whole blood, or the reference tissue.
    baseline_frames : number of frames before arrival.
    arrival_s : when the bolus reaches the artery.
    parameters : names of the quantities that the model estimates.
    maps : quantity name to map, on the grid of the series.
    vertebrae : table of the model's parameters, one row per region.
    descriptive : table of what is read off the curves without a model, one row per region.
    margins : table of the model's parameters of each region at margins from 0 to 5 mm.
    curves : one per region.
    rois : the regions that were analyzed.
    by_reference : whether a reference tissue takes the place of the artery.
    densitometry : bone mineral density with its categories, None when none was given.
    groups : whose perfusion that of the subject is compared with; usually none.
    used : every constant of the analysis with its value and source.
    findings : what was checked of protocol and arterial input, graded.
    warnings : sentences for the user.
    motion : displacement per frame and region; None where motion was not corrected.
    """

    subject: str
    times_s: FloatArray
    input_mM: FloatArray
    measured_mM: FloatArray
    baseline_frames: int
    arrival_s: float
    parameters: tuple[str, ...]
    maps: dict[str, ParameterMap]
    vertebrae: Table
    descriptive: Table
    margins: Table
    curves: tuple[Curve, ...]
    rois: VertebralRois
    by_reference: bool
    densitometry: Assessment | None
    used: dict[str, Sourced]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    motion: Table | None = None
    groups: tuple[PerfusionGroup, ...] = ()

    def tables(self) -> list[Table]:
        """Every table there is."""
        optional = []
        if self.densitometry is not None:
            optional.append(classification_table(self.subject, self.densitometry, self.vertebrae))
        if self.groups:
            optional.append(comparison_table(self.subject, self.vertebrae, self.groups))
        optional += [self.motion] if self.motion is not None else []
        return [self.vertebrae, self.descriptive, self.margins, self.curves_table(), *optional]

    def input_curves(self) -> list[InputCurve]:
        """The curves that the input of the model is made of."""
        return input_curves(self.measured_mM, self.input_mM, self.by_reference)

    def curves_table(self) -> Table:
        """Times, the input of the model, and measured and fitted concentration per region."""
        columns = [Column("time_s", self.times_s.tolist(), "Time", "s", "Seconds from the first frame.")]
        for name, values, title, description in self.input_curves():
            columns.append(Column(name, values.tolist(), title, "mmol/L", description))
        for curve in self.curves:
            columns.append(
                Column(
                    f"{curve.region}_measured_mM",
                    curve.concentration_mM.tolist(),
                    f"{curve.region} measured",
                    "mmol/L",
                    "Contrast agent in tissue, from the mean signal of the analyzed voxels.",
                )
            )
            columns.append(
                Column(
                    f"{curve.region}_fitted_mM",
                    curve.fitted_mM.tolist(),
                    f"{curve.region} fitted",
                    "mmol/L",
                    "The fitted model.",
                )
            )
        return Table("curves", "Enhancement curves", tuple(columns))


def model_quantities(model: Model) -> list[Quantity]:
    """The quantities that a model estimates, in their usual order.

    Parameters
    ----------
    model : with its free and derived parameters.

    Returns
    -------
    Without Ktrans and ve where they are relative to a reference tissue whose Ktrans is not known.
    """
    unknown = (KTRANS, VE) if isinstance(model, ReferenceRegion) and np.isnan(model.reference_ktrans_per_min) else ()
    return [q for q in PARAMETERS if q.column in (*model.free, *model.derived) and q not in unknown]


def statistic_column(column: str, name: str) -> str:
    """Column name of a statistic of the quantity in a column; the unit stays at the end.

    Parameters
    ----------
    column : of the quantity, such as `ktrans_per_min`.
    name : of the statistic, such as `mean`.

    Returns
    -------
    Such as `ktrans_mean_per_min`.
    """
    return column.replace("_per_min", f"_{name}_per_min") if column.endswith("_per_min") else f"{column}_{name}"


def _column(
    rows: list[Row], name: str, title: str, unit: str = "", description: str = "", quantity: str = ""
) -> Column:
    return Column(name, [row.get(name, np.nan) for row in rows], title, unit, description, quantity)


def _leading_columns(subject: str, rows: list[Row]) -> list[Column]:
    return [
        _column(rows, "region", "Region", "", "Name of the segment."),
        Column("subject", [subject] * len(rows), "Subject", "", "Pseudonym of the subject."),
        _column(rows, "level", "Level", "", "Vertebral level, empty where none is known."),
    ]


def vertebrae_table(subject: str, rows: list[Row], model: Model, with_delay: bool) -> Table:
    """What the model found, one row per region.

    Parameters
    ----------
    subject : pseudonym; may be empty.
    rows : one per region, values by column name; NaN where one is absent.
    model : that was fitted.
    with_delay : whether a delay was fitted.

    Returns
    -------
    The table `vertebrae`; units stand in its columns.
    """
    columns = _leading_columns(subject, rows)
    columns += [
        _column(rows, "level_source", "Level by", "", "What told the level: SNOMED code, tag, name, ID or --levels."),
        _column(rows, "voxels_drawn", "Voxels drawn", "", "Voxels of the segment on the grid of the series."),
        _column(rows, "voxels_analyzed", "Voxels analyzed", "", "Voxels left after arch, margin and exclusions."),
        _column(rows, "excluded_share", "Share excluded", "fraction", "Voxels inside the margin that are excluded."),
        _column(rows, "excluded", "Excluded", "", "Reasons of the exclusions, with their voxels."),
        _column(rows, "evaluable", "Evaluable", "", "No where too large a share is excluded, or no voxel is left."),
        _column(rows, "not_evaluable", "Why not evaluable", "", "Why it is not evaluable; empty where it is."),
        _column(rows, "status", "Status", "", "Outcome of the fit of the mean curve."),
        _column(rows, "frames_used", "Frames used", "", "Frames of the mean curve that have a concentration."),
    ]
    parameters = model_quantities(model)
    for q in parameters:
        columns.append(_column(rows, q.column, q.symbol, q.unit, f"{q.description} Fit of the mean curve.", q.name))
        error = f"Standard error of {q.symbol} of the mean curve; none on a bound."
        columns.append(_column(rows, statistic_column(q.column, "se"), f"{q.symbol} standard error", q.unit, error))
    if with_delay:
        columns.append(_column(rows, "delay_s", DELAY.symbol, DELAY.unit, DELAY.description, DELAY.name))
    columns += [
        _column(rows, "rmse_mM", "RMSE", "mmol/L", "Root mean square residual of the fit of the mean curve."),
        _column(rows, "r_squared", "R2", "", "Share of the variance of the mean curve that the fit explains."),
        _column(
            rows, "aicc", "AICc", "", "Akaike's criterion, corrected; compares models on one curve, less is better."
        ),
    ]
    for q in parameters:
        for name, title in (
            ("mean", "mean"),
            ("sd", "standard deviation"),
            ("median", "median"),
            ("q1", "first quartile"),
            ("q3", "third quartile"),
        ):
            description = f"{title.capitalize()} of the voxels that have an estimate."
            columns.append(
                _column(rows, statistic_column(q.column, name), f"{q.symbol} {title}", q.unit, description, q.name)
            )
    columns += [
        _column(
            rows, "at_bound_share", "Share at a bound", "fraction", "Analyzed voxels whose estimate is on a bound."
        ),
        _column(rows, "failed_share", "Share failed", "fraction", "Analyzed voxels without an estimate."),
    ]
    return Table("vertebrae", "Perfusion per vertebra", tuple(columns))


def margins_table(subject: str, rows: list[Row], model: Model) -> Table:
    """How the parameters of each region depend on the margin, one row per region and margin.

    Parameters
    ----------
    subject : pseudonym; may be empty.
    rows : one per region and margin, values by column name; NaN where one is absent.
    model : that was fitted.

    Returns
    -------
    The table `margins`; units stand in its columns.
    """
    columns = _leading_columns(subject, rows)
    columns += [
        _column(rows, "margin_mm", "Margin", "mm", "Voxels farther than this from the edge of the outline."),
        _column(rows, "voxels", "Voxels", "", "Such voxels that are not excluded."),
    ]
    for q in model_quantities(model):
        columns.append(_column(rows, q.column, q.symbol, q.unit, f"{q.description} Fit of the mean curve.", q.name))
        error = f"Standard error of {q.symbol}; none on a bound."
        columns.append(_column(rows, statistic_column(q.column, "se"), f"{q.symbol} standard error", q.unit, error))
    return Table("margins", "Sensitivity to the margin", tuple(columns))


def descriptive_table(subject: str, rows: list[Row]) -> Table:
    """What is read off the mean curves without a model, one row per region.

    Parameters
    ----------
    subject : pseudonym; may be empty.
    rows : one per region, values by column name; NaN where one is absent.

    Returns
    -------
    The table `descriptive`; units stand in its columns.
    """
    columns = _leading_columns(subject, rows)
    columns += [_column(rows, q.column, q.symbol, q.unit, q.description, q.name) for q in DESCRIPTIVE_TABLE]
    kinds = "A flat, B slow rise, C plateau, D wash-out, E second rise; unclassified: incomplete or too short to tell."
    columns.append(_column(rows, "curve_type", "Curve type", "", kinds))
    return Table("descriptive", "Enhancement per vertebra", tuple(columns))
