"""Results leave the product: files written whole or not at all, tables, reports, provenance, DICOM objects."""

from .cohortfiles import left_out_table, write_cohort
from .cohortreport import cohort_report
from .dicom import export_dicom
from .files import check_output_folder, sha256_of, staged
from .html import data_uri
from .provenance import FORMAT, as_text, cohort_provenance, provenance, software
from .record import STALE_FILES
from .regions import REGIONS_FILE, read_regions, write_regions
from .studyreport import study_report

__all__ = [
    "FORMAT",
    "REGIONS_FILE",
    "STALE_FILES",
    "as_text",
    "check_output_folder",
    "cohort_provenance",
    "cohort_report",
    "data_uri",
    "export_dicom",
    "left_out_table",
    "provenance",
    "read_regions",
    "sha256_of",
    "software",
    "staged",
    "study_report",
    "write_cohort",
    "write_regions",
]
