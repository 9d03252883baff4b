"""What a segment is, read from its name: a lumbar level, the artery or the reference tissue."""

from __future__ import annotations

import re

_LEVEL = re.compile(r"(?<![a-z0-9])(T12|L\s?[1-6]|S1)(?![0-9a-z])", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?<![a-z])(muscles?|psoas|iliopsoas|erector|spinae|multifidus|autochthon|paraspinal|reference)(?![a-z])",
    re.IGNORECASE,
)
_ARTERY = re.compile(r"(?<![a-z])(aorta|aortic|artery|arterial|aif)(?![a-z])", re.IGNORECASE)
_EXCLUSION = re.compile(r"(?<![a-z])(exclud|exclusion)", re.IGNORECASE)


def level_from_name(name: str) -> str:
    """Vertebral level named in a segment name, T12, L1 to L6 or S1; empty when it names none or more than one."""
    found = {match.upper().replace(" ", "") for match in _LEVEL.findall(name.replace("_", " "))}
    return found.pop() if len(found) == 1 else ""


def is_artery_name(name: str) -> bool:
    """Whether a segment name says that the segment is the artery."""
    return bool(_ARTERY.search(name.replace("_", " ")))


def is_reference_name(name: str) -> bool:
    """Whether a segment name says that the segment is muscle, the tissue of the reference-region model."""
    return bool(_REFERENCE.search(name.replace("_", " ")))


def is_exclusion_name(name: str) -> bool:
    """Whether a segment name says that the segment holds voxels to leave out."""
    return bool(_EXCLUSION.search(name.replace("_", " ")))
