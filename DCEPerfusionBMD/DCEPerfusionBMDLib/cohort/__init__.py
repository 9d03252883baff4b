"""Many subjects: the table of a cohort read or assembled, and the paper's tables, figures and tests made of it."""

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
from .reading import cohort_from_columns, read_dictionary, read_table, subject_means

__all__ = [
    "CLASSES",
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
    "assemble",
    "cohort_from_columns",
    "read_dictionary",
    "read_table",
    "subject_means",
]
