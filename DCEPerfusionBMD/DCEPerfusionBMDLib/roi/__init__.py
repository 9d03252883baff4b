"""Regions of interest: levels, margin, exclusions, and the fate of every voxel."""

from .exclusions import Bolus, poorly_fitted, propose_exclusions
from .fates import BY_CURVE, Fate
from .levels import is_artery_name, is_exclusion_name, is_reference_name, level_from_name
from .margin import distance_to_edge_mm, farther_than
from .regions import Region, VertebralRois, build_rois

__all__ = [
    "BY_CURVE",
    "Bolus",
    "Fate",
    "Region",
    "VertebralRois",
    "build_rois",
    "distance_to_edge_mm",
    "farther_than",
    "is_artery_name",
    "is_exclusion_name",
    "is_reference_name",
    "level_from_name",
    "poorly_fitted",
    "propose_exclusions",
]
