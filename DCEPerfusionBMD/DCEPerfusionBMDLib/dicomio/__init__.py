"""A folder of DICOM files to a dynamic series, flip angles or a map, with times that can be trusted; and back.

Times are never made up. Every tag that could hold them is a candidate; one is accepted when it gives every frame its
place, increases, agrees with the scanner's numbering and is neither a count nor the repetition time in disguise. The
first that passes is used, the others are kept with the reason against them.
"""

from ..series import FlipAngleSeries
from .inspect import Inventory, SeriesInfo, inspect_folder
from .series import PASSED_OVER, hash_of_values, read_flip_angles, read_map, read_series
from .source import hashed
from .write import write_series

__all__ = [
    "PASSED_OVER",
    "FlipAngleSeries",
    "Inventory",
    "SeriesInfo",
    "hash_of_values",
    "hashed",
    "inspect_folder",
    "read_flip_angles",
    "read_map",
    "read_series",
    "write_series",
]
