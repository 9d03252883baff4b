"""Who the subject is, as far as the choice between T-score and Z-score depends on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError

_ADULT_YEARS, OLDER_YEARS = 20.0, 50.0


@dataclass(frozen=True)
class Subject:
    """What is known of the subject.

    Attributes
    ----------
    sex : `female` or `male`; empty where unknown.
    age_years : NaN where unknown.
    menopause : `pre`, `transition` or `post`; empty where unknown or not applicable.
    fracture : whether there was a fragility fracture.

    Raises
    ------
    InputError
        where a man has a menopausal status.
    """

    sex: str = ""
    age_years: float = math.nan
    menopause: str = ""
    fracture: bool = False

    def __post_init__(self) -> None:
        if self.sex == "male" and self.menopause:
            raise InputError(
                f"the subject is male, but the menopausal status is {self.menopause!r}; correct one of them"
            )

    @property
    def is_adult(self) -> bool:
        """Whether the rules are for the subject: not known to be under 20 years."""
        return not self.age_years < _ADULT_YEARS


@dataclass(frozen=True)
class ScoreChoice:
    """Which score counts: `T`, `Z`, or none (empty) with what has to be known first; the reason is a phrase."""

    score: str
    reason: str


def score_choice(subject: Subject) -> ScoreChoice:
    """T-score for postmenopausal women, women in the menopausal transition and men from 50 years on, else Z-score.

    A woman from 50 years on whose status is unknown counts as postmenopausal; below 50 the status is asked for.

    Parameters
    ----------
    subject : what is known of the subject; adults are from 20 years on.

    Returns
    -------
    `T`, `Z` or none, and why or what has to be known first.

    References
    ----------
    ISCD Official Positions, Adult, 2019.
    """
    age = subject.age_years
    if not subject.is_adult:
        return ScoreChoice("", "the rules are for adults from 20 years on")
    if subject.sex == "male":
        if math.isnan(age):
            return ScoreChoice("", "the age of a man decides between T-score and Z-score: give --age")
        return (
            ScoreChoice("T", "man from 50 years on") if age >= OLDER_YEARS else ScoreChoice("Z", "man below 50 years")
        )
    if subject.menopause:
        return {
            "pre": ScoreChoice("Z", "premenopausal woman"),
            "transition": ScoreChoice("T", "woman in the menopausal transition"),
            "post": ScoreChoice("T", "postmenopausal woman"),
        }[subject.menopause]
    if not subject.sex:
        return ScoreChoice("", "the sex decides between T-score and Z-score: give --sex")
    if age >= OLDER_YEARS:
        return ScoreChoice("T", "woman from 50 years on, taken as postmenopausal since the status is not given")
    if math.isnan(age):
        return ScoreChoice("", "the menopausal status decides between T-score and Z-score: give --menopause or --age")
    return ScoreChoice("", "the menopausal status of a woman below 50 years decides: give --menopause")
