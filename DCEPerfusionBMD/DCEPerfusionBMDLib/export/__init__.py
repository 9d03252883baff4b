"""Results leave the product: files written whole or not at all, tables, reports, provenance."""

from .cohortfiles import left_out_table, write_cohort
from .cohortreport import cohort_report
from .files import check_output_folder, sha256_of, staged
from .provenance import cohort_provenance, provenance, software

__all__ = [
    "check_output_folder",
    "cohort_provenance",
    "cohort_report",
    "left_out_table",
    "provenance",
    "sha256_of",
    "software",
    "staged",
    "write_cohort",
]
