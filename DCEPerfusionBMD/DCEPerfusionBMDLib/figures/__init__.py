"""Figures of one study, drawn with matplotlib where it is installed; maps over anatomy without it.

Those of a cohort are in `cohort`, which a single study does without.
"""

from .canvas import RESEARCH_USE
from .maps import RegionPictures, color_bar, region_pictures
from .study import curve_figures, study_figure

__all__ = [
    "RESEARCH_USE",
    "RegionPictures",
    "color_bar",
    "curve_figures",
    "region_pictures",
    "study_figure",
]
