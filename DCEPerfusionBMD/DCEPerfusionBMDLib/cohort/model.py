"""A cohort as values: its rows, and what was found in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..densitometry.classes import Category
from ..settings import CohortSettings
from ..statistics import Correlation, GroupTable
from ..statistics.values import LeftOut
from ..tables import Table

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.str_]

CLASSES = (Category.NORMAL.value, Category.LOW_BONE_MASS.value, Category.OSTEOPOROSIS.value)
"""T-score categories in the order of tables and figures; the paper calls the second one bone loss."""


@dataclass(frozen=True)
class SourceColumn:
    """Where a column of a cohort comes from.

    Attributes
    ----------
    heading : as it stands in the table; empty for what was computed.
    about : unit, conversion or computation, in words.
    """

    heading: str
    about: str


@dataclass(frozen=True)
class EnhancementCurves:
    """Enhancement curves of subjects on one time axis.

    Attributes
    ----------
    subjects : (m,) names, a subset of those of the cohort.
    times_s : (t,) seconds from the arrival of the bolus.
    values : (m, t), NaN where a subject was not measured.
    quantity : what the values are, for people, for example `Contrast agent in tissue`.
    unit : of the values.
    source : `measured`, or how they were computed.
    """

    subjects: TextArray
    times_s: FloatArray
    values: FloatArray
    quantity: str
    unit: str
    source: str


@dataclass(frozen=True)
class Cohort:
    """Rows of many subjects, one per subject or one per vertebra; nothing is dropped unseen.

    Attributes
    ----------
    name : of the table it comes from.
    subjects : (n,) pseudonym per row.
    levels : (n,) vertebral level per row; empty texts when each row is a subject.
    readings : (n,) reading, session or observer per row; empty texts when there is one reading only.
    numbers : canonical column name to (n,), in canonical units, NaN where missing (`columns.NUMBERS`).
    labels : canonical column name to (n,), canonical spelling, empty where missing (`columns.LABELS`).
    sources : of each column of `numbers` and `labels`.
    curves : None where none were given.
    rows_read : rows in the table; `rows_read == n + len(left_out)`.
    left_out : rows that are not among the n, and why.
    unmatched : subjects of one of several inputs that others lack, and which; empty for a single table.
    ignored : headings that were not recognized.
    notes : sentences for the user.
    folders : folders of results among the rows read; 0 for a table.
    """

    name: str
    subjects: TextArray
    levels: TextArray
    readings: TextArray
    numbers: dict[str, FloatArray]
    labels: dict[str, TextArray]
    sources: dict[str, SourceColumn]
    curves: EnhancementCurves | None
    rows_read: int
    left_out: tuple[LeftOut, ...]
    unmatched: tuple[LeftOut, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folders: int = 0

    @property
    def by_vertebra(self) -> bool:
        """Whether a row is a vertebra."""
        return bool(self.levels.size and (self.levels != "").any())


@dataclass(frozen=True)
class PaperTable:
    """A table by group as papers print it.

    Attributes
    ----------
    name : `table1`, `table2` or `table3`.
    title : with the number of the source paper's table.
    numeric : every mean, SD, count, percentage and mark in a column of its own (`statistics.group_table`).
    printed : the same as texts: `1.123 ± 0.438*`, `22 (33.3 %)`.
    """

    name: str
    title: str
    numeric: GroupTable
    printed: Table


@dataclass(frozen=True)
class Scatter:
    """One quantity against another, with the line of least squares and its 95 % confidence band.

    Attributes
    ----------
    figure : `figure1` (against age) or `figure3` (against BMD).
    x_column, y_column : canonical names.
    x, y : (n,) of the subjects that have both.
    groups : (n,) class of each subject, empty where it has none.
    line_x, line_y, low, high : (k,) the line and its band.
    correlation : Pearson's, with interval.
    slope, intercept : of the line.
    """

    figure: str
    x_column: str
    y_column: str
    x: FloatArray
    y: FloatArray
    groups: TextArray
    line_x: FloatArray
    line_y: FloatArray
    low: FloatArray
    high: FloatArray
    correlation: Correlation
    slope: float
    intercept: float


@dataclass(frozen=True)
class MeanCurve:
    """Mean enhancement curve of one class with its pointwise 95 % confidence band (`figure2`).

    Attributes
    ----------
    group : class.
    count : subjects.
    times_s, mean, low, high : (t,); the band is NaN for a single subject.
    quantity, unit, source : as of `EnhancementCurves`.
    """

    group: str
    count: int
    times_s: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    quantity: str
    unit: str
    source: str


@dataclass(frozen=True)
class Boxes:
    """One quantity by group: box and points.

    Attributes
    ----------
    column, grouping : canonical names.
    values : group to its values, in the order of the table.
    caption : the test between the groups, in one sentence.
    """

    column: str
    grouping: str
    values: dict[str, FloatArray]
    caption: str


@dataclass(frozen=True)
class RocFigure:
    """How well quantities tell subjects with a condition from those without.

    Attributes
    ----------
    condition : in words, for example `osteoporosis against the others`.
    columns : canonical names.
    curves : per column one less specificity, and sensitivity.
    captions : per column the area with interval and cut, in words.
    """

    condition: str
    columns: tuple[str, ...]
    curves: tuple[tuple[FloatArray, FloatArray], ...]
    captions: tuple[str, ...]


@dataclass(frozen=True)
class AgreementFigure:
    """Bland-Altman figure of two readings of one quantity.

    Attributes
    ----------
    column : canonical name.
    first, second : names of the readings.
    means, differences : (n,), first less second.
    bias, lower, upper : mean difference and limits of agreement.
    caption : the same with intervals, in words.
    """

    column: str
    first: str
    second: str
    means: FloatArray
    differences: FloatArray
    bias: float
    lower: float
    upper: float
    caption: str


@dataclass(frozen=True)
class CohortResult:
    """What was found in a cohort: values only; files, figures, nodes and reports are made of them.

    Attributes
    ----------
    cohort, settings : what was analyzed, and how.
    tables : the paper's, those that the columns allow.
    statistics : one row per test or estimate (`analysis.STATISTICS_COLUMNS`).
    scatters, curves, boxes, rocs, agreements : figures as values.
    not_made : what the columns do not allow, or what is not asked because it is circular: a sentence each.
    warnings : sentences for the user.
    rows_left_out : rows of the cohort that are in no mean and no test, and why; beside those of `cohort.left_out`.
    subjects_left_out : subjects of the cohort without a value to compare, and why; their rows may be in other tests.
    reading : that tables and tests between subjects use; empty where no subject has two.
    """

    cohort: Cohort
    settings: CohortSettings
    tables: tuple[PaperTable, ...]
    statistics: Table
    scatters: tuple[Scatter, ...]
    curves: tuple[MeanCurve, ...]
    boxes: tuple[Boxes, ...]
    rocs: tuple[RocFigure, ...]
    agreements: tuple[AgreementFigure, ...]
    not_made: tuple[str, ...]
    warnings: tuple[str, ...]
    rows_left_out: tuple[LeftOut, ...] = ()
    subjects_left_out: tuple[LeftOut, ...] = ()
    reading: str = ""

    @property
    def rows(self) -> int:
        """Rows analyzed; those that were read, less those left out."""
        return self.cohort.rows_read - len(self.cohort.left_out) - len(self.rows_left_out)

    @property
    def subjects(self) -> int:
        """Subjects compared; those of the cohort, less those left out."""
        return len(set(self.cohort.subjects.tolist())) - len(self.subjects_left_out)
