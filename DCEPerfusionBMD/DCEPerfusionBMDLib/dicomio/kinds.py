"""What images are by their ImageType and description: maps, or others that are no frames of a dynamic series."""

from __future__ import annotations

import re
from typing import Literal

from .frames import Frame
from .headers import PARAMETRIC_MAP

Kind = Literal["dynamic", "flip angles", "T1 map", "fat fraction", "other"]

_NOT_A_LETTER = r"(?<![a-z0-9])"
_T1_MAP = re.compile(
    _NOT_A_LETTER + r"(?:q?t1[\s_.-]*(?:maps?|images?)|maps?[\s_.-]*(?:of[\s_.-]*)?t1)(?![a-z])", re.IGNORECASE
)
_FAT_FRACTION = re.compile(r"fat[\s_.-]*frac|pdff|(?<![a-z0-9])ff(?:[\s_.-]*(?:maps?|%))?(?![a-z0-9])", re.IGNORECASE)
_SUBTRACTED = re.compile(r"(?<![a-z])sub(?:s|tr|traction|tracted|tract)?(?![a-z])", re.IGNORECASE)
_DERIVED_TYPES = {"SUBTRACTION": "subtracted images", "SUB": "subtracted images", "MIP": "projections"}
_DERIVED_TYPES |= {"MIN IP": "projections", "PROJECTION IMAGE": "projections", "MAX_IP": "projections"}
_DERIVED_TYPES |= {"DIFFUSION": "diffusion images", "ADC": "a diffusion map", "LOCALIZER": "a localizer"}


def mapped(image: Frame, description: str) -> Kind | None:
    """Which map an image is part of, if any."""
    types = _types(image)
    if types & {"T1 MAP", "T1_MAP", "T1MAP"} or _T1_MAP.search(description):
        return "T1 map"
    if types & {"FF", "FAT_FRACTION", "FATFRACTION", "FAT_FRAC", "PDFF"} or _FAT_FRACTION.search(description):
        return "fat fraction"
    return None


def derived(image: Frame, description: str) -> str:
    """Why an image is no frame of a dynamic series nor part of a map; empty when it may be one."""
    types = _types(image)
    for mark, what in _DERIVED_TYPES.items():
        if mark in types:
            return f"{what} by ImageType"
    if "DERIVED" in types and _SUBTRACTED.search(description):
        return "subtracted images by description"
    if image.text("SOPClassUID") == PARAMETRIC_MAP and mapped(image, description) is None:
        return "a parametric map"
    return ""


def _types(image: Frame) -> set[str]:
    return {part.strip() for part in image.text("ImageType").upper().split("\\")}
