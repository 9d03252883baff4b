"""Regions of interest: levels, the body of a vertebra, margin, and the fate of every voxel."""

from .body import vertebral_body
from .levels import LEVEL_CODES, LEVELS, SegmentLabel, levels_by_user, recognize
from .margin import distance_to_edge_mm, farther_than
from .regions import Fate, Region, VertebralRois, build_rois

__all__ = [
    "LEVELS",
    "LEVEL_CODES",
    "Fate",
    "Region",
    "SegmentLabel",
    "VertebralRois",
    "build_rois",
    "distance_to_edge_mm",
    "farther_than",
    "levels_by_user",
    "recognize",
    "vertebral_body",
]
