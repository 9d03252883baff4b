"""What becomes of a voxel of a region."""

from __future__ import annotations

from enum import IntEnum


class Fate(IntEnum):
    """What becomes of a voxel of a region; the value is the code in arrays."""

    NOT_DRAWN = 0
    ANALYZED = 1
    MARGIN = 2
    ARCH = 3
    USER = 4
    ARTERIAL = 5
    PLEXUS = 6
    BONE_ISLAND = 7
    HAEMANGIOMA = 8
    OTHER_TISSUE = 9
    POOR_FIT = 10

    @property
    def reason(self) -> str:
        """Why such a voxel is not analyzed, in a few words."""
        return _REASONS[self]


_REASONS = {
    Fate.NOT_DRAWN: "not drawn",
    Fate.ANALYZED: "analyzed",
    Fate.MARGIN: "margin",
    Fate.ARCH: "vertebral arch",
    Fate.USER: "excluded by the user",
    Fate.ARTERIAL: "arterial",
    Fate.PLEXUS: "venous plexus",
    Fate.BONE_ISLAND: "bone island or other tissue without enhancement",
    Fate.HAEMANGIOMA: "haemangioma or fat",
    Fate.OTHER_TISSUE: "other tissue at the edge",
    Fate.POOR_FIT: "poor fit",
}

BY_CURVE = (
    Fate.USER,
    Fate.ARTERIAL,
    Fate.PLEXUS,
    Fate.BONE_ISLAND,
    Fate.HAEMANGIOMA,
    Fate.OTHER_TISSUE,
    Fate.POOR_FIT,
)
"""Exclusions from what lies inside the margin; their share decides whether a level is evaluable."""
