"""What became of a voxel or a curve in the analysis."""

from __future__ import annotations

from enum import IntEnum


class FitStatus(IntEnum):
    """Status codes of the status map and the tables; parameters are NaN unless the code is FITTED or AT_BOUND."""

    NOT_ANALYZED = 0
    FITTED = 1
    AT_BOUND = 2
    NO_BASELINE = 3
    CONVERSION_INVALID = 4
    NO_ENHANCEMENT = 5
    TOO_FEW_FRAMES = 6
    NO_WASHOUT = 7

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]

    @property
    def label(self) -> str:
        """The code as written in tables."""
        return self.name.lower().replace("_", " ")


_MEANINGS = {
    FitStatus.NOT_ANALYZED: "outside the analyzed regions",
    FitStatus.FITTED: "the least-squares minimum lies inside the bounds",
    FitStatus.AT_BOUND: "the least-squares minimum within the bounds lies on one of them",
    FitStatus.NO_BASELINE: "the signal before contrast is not positive",
    FitStatus.CONVERSION_INVALID: (
        "too many frames have no concentration (signal not finite or too bright, no value in a map, all fat), or the "
        "delay of the region is unknown"
    ),
    FitStatus.NO_ENHANCEMENT: "no positive uptake fits better than none",
    FitStatus.TOO_FEW_FRAMES: "fewer finite frames than the model needs",
    FitStatus.NO_WASHOUT: "there is uptake, but the linear method, which has no bounds, finds no positive kep",
}
