"""Names of measured sites, brought to one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ..errors import InputError

VERTEBRAE = ("L1", "L2", "L3", "L4")
TOTAL_HIP, FEMORAL_NECK, RADIUS = "total hip", "femoral neck", "33 % radius"
KNOWN = f"L1 to L4, combinations such as L1-L4 or L1+L3, {TOTAL_HIP} and {FEMORAL_NECK} (left, right), {RADIUS}"

_NAMES = {
    TOTAL_HIP: ("total hip", "hip total", "total femur", "femur total", "th"),
    FEMORAL_NECK: ("femoral neck", "femur neck", "neck", "fn", "neck of femur", "hip neck", "femur femoral neck"),
    RADIUS: ("33 radius", "radius 33", "1 3 radius", "radius 1 3", "one third radius", "third radius"),
}
_BY_SPELLING = {spelling: name for name, spellings in _NAMES.items() for spelling in spellings}
_SIDES = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}
_SPINE_WORDS = r"\b(?:lumbar|spine|ap|pa|total|mean)\b"


def site_name(text: str) -> str:
    """The usual name of a site: `L2`, `L1-L4`, `L1+L3+L4`, `total hip`, `femoral neck left`, `33 % radius`.

    Parameters
    ----------
    text : any of many spellings, such as "L1 to L4", "AP spine L1-4", "Left Femur Total", "1/3 radius".

    Returns
    -------
    The usual name.

    Raises
    ------
    InputError
        when the site is not known; the message names those that are.
    """
    plain = text.lower().replace("\N{EN DASH}", "-").replace("\N{EM DASH}", "-").replace("\N{MINUS SIGN}", "-")
    vertebrae = _vertebrae(re.sub(_SPINE_WORDS, " ", plain).strip(" :()"))
    if vertebrae:
        return spine_name(vertebrae)
    words = re.findall(r"[a-z]+|\d+", plain)
    sides = {_SIDES[word] for word in words if word in _SIDES}
    name = _BY_SPELLING.get(" ".join(word for word in words if word not in _SIDES))
    if name is None or len(sides) > 1:
        hint = "; say which vertebrae" if "spine" in words or "lumbar" in words else ""
        raise InputError(f"the site {text!r} is not known{hint}; known are {KNOWN}")
    return " ".join([name, *sides])


def spine_name(vertebrae: Iterable[str]) -> str:
    """Name of a combination of lumbar vertebrae: `L2`, `L1-L4` where they follow one another, else `L1+L3`."""
    named = set(vertebrae)
    chosen = [level for level in VERTEBRAE if level in named]
    first, last = VERTEBRAE.index(chosen[0]), VERTEBRAE.index(chosen[-1])
    if len(chosen) > 1 and last - first + 1 == len(chosen):
        return f"{chosen[0]}-{chosen[-1]}"
    return "+".join(chosen)


def vertebrae_of(site: str) -> tuple[str, ...]:
    """The vertebrae in a site name of `site_name`; none for a hip or a radius."""
    return _vertebrae(site.lower())


def region_of(site: str) -> str:
    """A site name of `site_name` without its side."""
    return next((name for name in _NAMES if site.startswith(name)), site)


@lru_cache(maxsize=4096)
def _vertebrae(text: str) -> tuple[str, ...]:
    found: set[int] = set()
    for part in re.split(r"\s*[+,;&/]\s*|(?<=\d)\s+(?=l\s?\d)|\s+and\s+", text):
        match = re.fullmatch(r"l\s?([1-4])(?:\s*(?:-|to|\.\.)\s*l?\s?([1-4]))?", part)
        if match is None:
            return ()
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            return ()
        found.update(range(first, last + 1))
    return tuple(level for level in VERTEBRAE if int(level[1]) in found)
