"""Figures drawn with matplotlib, where it is installed: of one study, and of a cohort."""

from .canvas import RESEARCH_USE
from .cohort import NAMES, band_said, cohort_figures
from .study import study_figure

__all__ = ["NAMES", "RESEARCH_USE", "band_said", "cohort_figures", "study_figure"]
