"""Results leave the product: files written whole or not at all, tables, reports, provenance, DICOM objects."""

from .cohortfiles import left_out_table, write_cohort
from .cohortreport import cohort_report
from .dicom import export_dicom
from .files import check_output_folder, sha256_of, staged
from .provenance import cohort_provenance, provenance, software
from .record import STALE_FILES
from .regions import REGIONS_FILE, write_regions

__all__ = [
    "REGIONS_FILE",
    "STALE_FILES",
    "check_output_folder",
    "cohort_provenance",
    "cohort_report",
    "export_dicom",
    "left_out_table",
    "provenance",
    "sha256_of",
    "software",
    "staged",
    "write_cohort",
    "write_regions",
]
