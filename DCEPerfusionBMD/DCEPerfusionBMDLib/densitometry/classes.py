"""Categories of T-scores, Z-scores and QCT densities, each with the sentence that explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum


class Category(Enum):
    """What a score or a density is called; the paper calls low bone mass "bone loss"."""

    NORMAL = "normal"
    LOW_BONE_MASS = "low bone mass"
    OSTEOPOROSIS = "osteoporosis"
    SEVERE_OSTEOPOROSIS = "severe osteoporosis"
    WITHIN_EXPECTED = "within the expected range for age"
    BELOW_EXPECTED = "below the expected range for age"
    NOT_CLASSIFIED = "not classified"


@dataclass(frozen=True)
class Classification:
    """A category and the sentence that explains it.

    Attributes
    ----------
    category : of a site or of the subject.
    sentence : the score, the limit and whose limit it is.
    """

    category: Category
    sentence: str


def not_classified(sentence: str) -> Classification:
    """No category, and why."""
    return Classification(Category.NOT_CLASSIFIED, sentence)


def settled(value: float) -> float:
    """A value rounded to 1e-6, so that (0.88 - 1.18) / 0.12 is the -2.5 that it is and not -2.4999999999999996."""
    return round(value, 6)


def reported_score(score: float) -> float:
    """A score with one decimal, as reports print it.

    Parameters
    ----------
    score : finite.

    Returns
    -------
    The score, rounded to 0.1.

    Notes
    -----
    Settled to 1e-6, then half is rounded away from zero, so -2.45 gives -2.5.
    """
    return float(Decimal(repr(settled(score))).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP))


def t_score_category(t_score: float, rounding: str = "exact", fracture: bool = False) -> Category:
    """Category of a T-score: normal T >= -1.0; low bone mass -2.5 < T < -1.0; osteoporosis T <= -2.5.

    Parameters
    ----------
    t_score : NaN for an unknown score.
    rounding : `exact` compares the score itself, settled to 1e-6; `reported` rounds it to one decimal first.
    fracture : whether there was a fragility fracture, with which osteoporosis is severe.

    Returns
    -------
    The category; not classified for NaN.

    References
    ----------
    WHO Technical Report Series 843, 1994; Huang Z et al. 2019, DXA inspection.
    """
    if math.isnan(t_score):
        return Category.NOT_CLASSIFIED
    score = _rounded(t_score, rounding)
    if score >= -1.0:
        return Category.NORMAL
    if score > -2.5:
        return Category.LOW_BONE_MASS
    return Category.SEVERE_OSTEOPOROSIS if fracture else Category.OSTEOPOROSIS


def z_score_category(z_score: float, rounding: str = "exact") -> Category:
    """Category of a Z-score: below the expected range for age where Z <= -2.0.

    Parameters
    ----------
    z_score : NaN for an unknown score.
    rounding : as in `t_score_category`.

    Returns
    -------
    The category; not classified for NaN.

    References
    ----------
    ISCD Official Positions, Adult, 2019.
    """
    if math.isnan(z_score):
        return Category.NOT_CLASSIFIED
    return Category.BELOW_EXPECTED if _rounded(z_score, rounding) <= -2.0 else Category.WITHIN_EXPECTED


def qct_category(density_mg_cm3: float, fracture: bool = False) -> Category:
    """Category of trabecular QCT density: normal > 120; low bone mass 80 to 120; osteoporosis < 80 mg/cm3.

    Parameters
    ----------
    density_mg_cm3 : trabecular, in mg/cm3 (mg/mL); NaN where it is not known.
    fracture : whether there was a fragility fracture, with which osteoporosis is severe.

    Returns
    -------
    The category; not classified for NaN.

    References
    ----------
    ACR-SPR-SSR Practice Parameter for Quantitative Computed Tomography; Chinese expert consensus (PMC7495321).
    """
    if math.isnan(density_mg_cm3):
        return Category.NOT_CLASSIFIED
    density = settled(density_mg_cm3)
    if density > 120.0:
        return Category.NORMAL
    if density >= 80.0:
        return Category.LOW_BONE_MASS
    return Category.SEVERE_OSTEOPOROSIS if fracture else Category.OSTEOPOROSIS


def classify_t_score(t_score: float, what: str, rounding: str = "exact", fracture: bool = False) -> Classification:
    """Category of a T-score by `t_score_category`, with its sentence.

    Parameters
    ----------
    t_score : NaN for an unknown score.
    what : site that it is of, for the sentence.
    rounding : as in `t_score_category`.
    fracture : whether there was a fragility fracture.

    Returns
    -------
    Category and sentence.

    References
    ----------
    WHO Technical Report Series 843, 1994.
    """
    category = t_score_category(t_score, rounding, fracture)
    if category is Category.NOT_CLASSIFIED:
        return not_classified(f"There is no T-score of {what}, so it is not classified.")
    rule = {
        Category.NORMAL: "is at or above -1.0",
        Category.LOW_BONE_MASS: "lies between -2.5 and -1.0",
        Category.OSTEOPOROSIS: "is at or below -2.5",
        Category.SEVERE_OSTEOPOROSIS: "is at or below -2.5, with a fragility fracture",
    }[category]
    score = _printed(t_score, rounding)
    return Classification(category, f"T-score {score} of {what} {rule}: T-score category {category.value} (WHO 1994).")


def classify_z_score(z_score: float, what: str, rounding: str = "exact") -> Classification:
    """Category of a Z-score by `z_score_category`, with its sentence.

    Parameters
    ----------
    z_score : NaN for an unknown score.
    what : site that it is of, for the sentence.
    rounding : as in `t_score_category`.

    Returns
    -------
    Category and sentence.

    References
    ----------
    ISCD Official Positions, Adult, 2019.
    """
    category = z_score_category(z_score, rounding)
    if category is Category.NOT_CLASSIFIED:
        return not_classified(f"There is no Z-score of {what}, so it is not classified.")
    rule = "is at or below -2.0" if category is Category.BELOW_EXPECTED else "is above -2.0"
    return Classification(category, f"Z-score {_printed(z_score, rounding)} of {what} {rule}: {category.value} (ISCD).")


def classify_qct(density_mg_cm3: float, what: str, fracture: bool = False) -> Classification:
    """Category of a QCT density by `qct_category`, with its sentence.

    Parameters
    ----------
    density_mg_cm3 : trabecular, in mg/cm3; NaN where it is not known.
    what : vertebrae that it is of, for the sentence.
    fracture : whether there was a fragility fracture.

    Returns
    -------
    Category and sentence.

    References
    ----------
    ACR-SPR-SSR Practice Parameter for Quantitative Computed Tomography.
    """
    category = qct_category(density_mg_cm3, fracture)
    if category is Category.NOT_CLASSIFIED:
        return not_classified(f"There is no QCT density of {what}, so it is not classified.")
    rule = {
        Category.NORMAL: "is above 120",
        Category.LOW_BONE_MASS: "lies between 80 and 120",
        Category.OSTEOPOROSIS: "is below 80",
        Category.SEVERE_OSTEOPOROSIS: "is below 80, with a fragility fracture",
    }[category]
    density = f"{settled(density_mg_cm3):.6g} mg/cm3"
    return Classification(category, f"QCT density {density} of {what} {rule}: QCT category {category.value} (ACR).")


def _rounded(score: float, rounding: str) -> float:
    return reported_score(score) if rounding == "reported" else settled(score)


def _printed(score: float, rounding: str) -> str:
    """The score with the digits that decided: -1.00001 must not read -1 beside "lies between"."""
    return f"{_rounded(score, rounding):.1f}" if rounding == "reported" else f"{settled(score):.9g}"
