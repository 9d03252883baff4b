"""Bone densitometry: measurements in, categories out, and both beside perfusion."""

from .assess import Assessment, SiteAssessment, assess
from .classes import (
    Category,
    Classification,
    classify_qct,
    classify_t_score,
    classify_z_score,
    qct_category,
    reported_score,
    t_score_category,
    z_score_category,
)
from .dxa import (
    Densitometry,
    DxaMeasurement,
    measurements_from_rows,
    measurements_from_values,
    read_dxa_subjects,
    read_dxa_table,
    subjects_in_rows,
)
from .groups import PerfusionGroup, paper_groups, perfusion_groups, read_cohort
from .references import (
    Reference,
    cross_calibrated_bmd,
    read_references,
    shipped_references,
    standardized_bmd,
)
from .sites import site_name
from .subject import Subject, score_choice
from .tables import classification_table, comparison_table

__all__ = [
    "Assessment",
    "Category",
    "Classification",
    "Densitometry",
    "DxaMeasurement",
    "PerfusionGroup",
    "Reference",
    "SiteAssessment",
    "Subject",
    "assess",
    "classification_table",
    "classify_qct",
    "classify_t_score",
    "classify_z_score",
    "comparison_table",
    "cross_calibrated_bmd",
    "measurements_from_rows",
    "measurements_from_values",
    "paper_groups",
    "perfusion_groups",
    "qct_category",
    "read_cohort",
    "read_dxa_subjects",
    "read_dxa_table",
    "read_references",
    "reported_score",
    "score_choice",
    "shipped_references",
    "site_name",
    "standardized_bmd",
    "subjects_in_rows",
    "t_score_category",
    "z_score_category",
]
