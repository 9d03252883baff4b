"""Regions of interest: levels, margin, and the fate of every voxel."""

from .levels import is_artery_name, is_reference_name, level_from_name
from .margin import distance_to_edge_mm, farther_than
from .regions import Fate, Region, VertebralRois, build_rois

__all__ = [
    "Fate",
    "Region",
    "VertebralRois",
    "build_rois",
    "distance_to_edge_mm",
    "farther_than",
    "is_artery_name",
    "is_reference_name",
    "level_from_name",
]
