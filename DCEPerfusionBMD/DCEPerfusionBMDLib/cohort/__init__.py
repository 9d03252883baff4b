"""Many subjects: the table of a cohort read or assembled, and the paper's tables, figures and tests made of it."""

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
]
