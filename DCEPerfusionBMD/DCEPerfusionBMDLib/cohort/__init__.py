"""Many subjects: the table of a cohort read or assembled, and the paper's tables, figures and tests made of it."""

from .analysis import STATISTICS_COLUMNS, analyze_cohort
from .assembly import assemble
from .model import (
    CLASSES,
    AgreementFigure,
    Boxes,
    Cohort,
    CohortResult,
    EnhancementCurves,
    MeanCurve,
    PaperTable,
    RocFigure,
    Scatter,
    SourceColumn,
)
from .reading import cohort_from_columns, read_dictionary, read_table, subject_means, without_t_score

__all__ = [
    "CLASSES",
    "STATISTICS_COLUMNS",
    "AgreementFigure",
    "Boxes",
    "Cohort",
    "CohortResult",
    "EnhancementCurves",
    "MeanCurve",
    "PaperTable",
    "RocFigure",
    "Scatter",
    "SourceColumn",
    "analyze_cohort",
    "assemble",
    "cohort_from_columns",
    "read_dictionary",
    "read_table",
    "subject_means",
    "without_t_score",
]
