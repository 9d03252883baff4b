"""Regions of interest: levels, the body of a vertebra, margin, exclusions, and the fate of every voxel."""

from .body import vertebral_body
from .exclusions import Bolus, poorly_fitted, propose_exclusions
from .fates import BY_CURVE, Fate
from .levels import ARTERIES, LEVEL_CODES, LEVELS, MUSCLES, SegmentLabel, is_aorta, levels_by_user, recognize
from .margin import bounding_box, depth_mm, distance_to_edge_mm, farther_than
from .regions import Region, VertebralRois, build_rois, find_input

__all__ = [
    "ARTERIES",
    "BY_CURVE",
    "LEVELS",
    "LEVEL_CODES",
    "MUSCLES",
    "Bolus",
    "Fate",
    "Region",
    "SegmentLabel",
    "VertebralRois",
    "bounding_box",
    "build_rois",
    "depth_mm",
    "distance_to_edge_mm",
    "farther_than",
    "find_input",
    "is_aorta",
    "levels_by_user",
    "poorly_fitted",
    "propose_exclusions",
    "recognize",
    "vertebral_body",
]
