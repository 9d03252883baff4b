"""Results leave the product: files written whole or not at all, tables, reports, provenance, DICOM objects.

Those of a cohort are in `cohortfiles` and `cohortreport`, which a single study does without.
"""

from .dicom import export_dicom
from .files import check_output_folder, sha256_of, staged
from .html import data_uri
from .provenance import FORMAT, as_text, provenance, software
from .record import STALE_FILES, same_place
from .regions import REGIONS_FILE, read_regions, write_regions
from .studyreport import study_report

__all__ = [
    "FORMAT",
    "REGIONS_FILE",
    "STALE_FILES",
    "as_text",
    "check_output_folder",
    "data_uri",
    "export_dicom",
    "provenance",
    "read_regions",
    "same_place",
    "sha256_of",
    "software",
    "staged",
    "study_report",
    "write_regions",
]
