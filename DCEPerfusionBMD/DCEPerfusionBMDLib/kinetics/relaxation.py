"""Literature values of T1 and relaxivity, read from `data/relaxation.json` with their citations."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

_FIELD_TOLERANCE = 0.2


@cache
def _constants() -> dict[str, Any]:
    text = (
        resources.files("DCEPerfusionBMDLib").joinpath("data").joinpath("relaxation.json").read_text(encoding="utf-8")
    )
    constants: dict[str, Any] = json.loads(text)
    return constants


def marrow_t1_ms(field_strength_T: float) -> tuple[float, str] | None:
    """T1 of vertebral marrow before contrast, from the literature.

    Parameters
    ----------
    field_strength_T : of the scanner, in T.

    Returns
    -------
    T1 in ms, and its citation; None when no value is known near this field.

    Notes
    -----
    Values and citations are those of `data/relaxation.json`; one counts for fields within 0.2 T of its own.
    """
    return _at_field("marrow_t1_ms", field_strength_T)


def blood_t1_ms(field_strength_T: float) -> tuple[float, str] | None:
    """T1 of arterial blood before contrast, from the literature.

    Parameters
    ----------
    field_strength_T : of the scanner, in T.

    Returns
    -------
    T1 in ms, and its citation; None when no value is known near this field.

    Notes
    -----
    Values and citations are those of `data/relaxation.json`; one counts for fields within 0.2 T of its own.
    """
    return _at_field("blood_t1_ms", field_strength_T)


def muscle_t1_ms(field_strength_T: float) -> tuple[float, str] | None:
    """T1 of paravertebral muscle before contrast, from the literature.

    Parameters
    ----------
    field_strength_T : of the scanner, in T.

    Returns
    -------
    T1 in ms, and its citation; None when no value is known near this field.

    Notes
    -----
    Values and citations are those of `data/relaxation.json`; one counts for fields within 0.2 T of its own.
    """
    return _at_field("muscle_t1_ms", field_strength_T)


def relaxivity_per_s_mM(agent: str, field_strength_T: float) -> tuple[float, str] | None:
    """Relaxivity r1 of an agent in plasma at 37 degrees C, from the literature.

    Parameters
    ----------
    agent : generic name, brand or short name, as the scanner writes it ("MultiHance 0.1 mmol/kg"). The longest name
        found in it as whole words counts; a short name that goes on ("Gd-DTPA-albumin") is another agent.
    field_strength_T : of the scanner, in T.

    Returns
    -------
    r1 in 1/s/mM, and agent, field and citation; None for an unknown agent or field.

    Notes
    -----
    Values and citations are those of `data/relaxation.json`; one counts for fields within 0.2 T of its own.
    """
    lengths = [
        (len(name), number)
        for number, row in enumerate(_constants()["agents"])
        for name in (row["name"], *row["aliases"])
        if _names(name, agent)
    ]
    if not lengths:
        return None
    row = _constants()["agents"][max(lengths)[1]]
    for field, value in row["relaxivity"].items():
        if abs(float(field) - field_strength_T) <= _FIELD_TOLERANCE:
            return float(value), f"{row['name']} at {float(field):g} T: {row['citation']}"
    return None


def _names(name: str, agent: str) -> bool:
    """Whether the words of a name stand in the text one after another; a salt may be joined to a short name."""
    words = r"[\W_]+".join(re.escape(word) for word in re.split(r"\W+", name))
    ends = r"(?![a-z0-9]|[-_](?!(di)?meglumine)[a-z])" if name.startswith("gd-") else r"(?![a-z])"
    return re.search(rf"(?<![a-z0-9]){words}{ends}", agent.lower()) is not None


def agent_names() -> list[str]:
    """Generic names of the agents whose relaxivity is known."""
    return [row["name"] for row in _constants()["agents"] if row["relaxivity"]]


def _at_field(key: str, field_strength_T: float) -> tuple[float, str] | None:
    for row in _constants()[key]:
        if abs(row["field_T"] - field_strength_T) <= _FIELD_TOLERANCE:
            return float(row["value"]), f"{row['citation']}, {row['field_T']:g} T"
    return None
