"""Figures: of one study and of a cohort, drawn with matplotlib where it is installed; maps over anatomy without it."""

from .canvas import RESEARCH_USE
from .cohort import NAMES, band_said, cohort_figures
from .maps import RegionPictures, color_bar, region_pictures
from .study import curve_figures, study_figure

__all__ = [
    "NAMES",
    "RESEARCH_USE",
    "RegionPictures",
    "band_said",
    "cohort_figures",
    "color_bar",
    "curve_figures",
    "region_pictures",
    "study_figure",
]
