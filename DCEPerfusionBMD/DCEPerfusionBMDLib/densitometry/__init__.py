"""Bone densitometry: measurements in, T-score categories out."""

from .classes import TScoreCategory, category_sentence, t_score_category
from .dxa import Densitometry, DxaMeasurement, read_dxa_table

__all__ = [
    "Densitometry",
    "DxaMeasurement",
    "TScoreCategory",
    "category_sentence",
    "read_dxa_table",
    "t_score_category",
]
