"""T-score categories of the World Health Organization."""

from __future__ import annotations

import math
from enum import Enum


class TScoreCategory(Enum):
    """Category by T-score; the paper calls the middle one "bone loss"."""

    NORMAL = "normal"
    LOW_BONE_MASS = "low bone mass"
    OSTEOPOROSIS = "osteoporosis"
    NOT_CLASSIFIED = "not classified"


def t_score_category(t_score: float) -> TScoreCategory:
    """Category of a T-score: normal T >= -1.0; low bone mass -2.5 < T < -1.0; osteoporosis T <= -2.5.

    The score is rounded to 1e-6 first, so that (0.88 - 1.18) / 0.12 counts as the -2.5 that it is and not as the
    -2.4999999999999996 of floating point.

    Parameters
    ----------
    t_score : NaN for an unknown score.

    References
    ----------
    WHO Technical Report Series 843, 1994; Huang Z et al. 2019, DXA inspection.
    """
    if math.isnan(t_score):
        return TScoreCategory.NOT_CLASSIFIED
    rounded = round(t_score, 6)
    if rounded >= -1.0:
        return TScoreCategory.NORMAL
    return TScoreCategory.OSTEOPOROSIS if rounded <= -2.5 else TScoreCategory.LOW_BONE_MASS


def category_sentence(t_score: float) -> str:
    """The category with the rule that gave it, as one sentence."""
    category = t_score_category(t_score)
    if category is TScoreCategory.NOT_CLASSIFIED:
        return "No T-score is given, so the measurement is not classified."
    rule = {
        TScoreCategory.NORMAL: "is at or above -1.0",
        TScoreCategory.LOW_BONE_MASS: "lies between -2.5 and -1.0",
        TScoreCategory.OSTEOPOROSIS: "is at or below -2.5",
    }[category]
    return f"T-score {t_score:g} {rule}: T-score category {category.value} (WHO 1994)."
