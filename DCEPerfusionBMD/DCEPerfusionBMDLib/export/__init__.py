"""Results leave the product: files written whole or not at all, tables, reports, provenance."""

from .cohortfiles import write_cohort
from .cohortreport import cohort_report
from .files import check_output_folder, sha256_of, staged
from .html import data_uri
from .provenance import FORMAT, as_text, cohort_provenance, provenance, software
from .studyreport import study_report

__all__ = [
    "FORMAT",
    "as_text",
    "check_output_folder",
    "cohort_provenance",
    "cohort_report",
    "data_uri",
    "provenance",
    "sha256_of",
    "software",
    "staged",
    "study_report",
    "write_cohort",
]
