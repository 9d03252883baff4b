"""Reference sets for T- and Z-scores, and equations between densitometers, read from `data/dxa_references.json`."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..tables import one_line
from .sites import region_of, site_name, vertebrae_of

DEVICES = ("GE Lunar", "Hologic", "Norland")
CROSS_CALIBRATED = "cross-calibrated through sBMD, approximate: about 3.5 % in an individual"

_KEYS = {"name": str, "device": str, "site": str, "sex": str, "mean": float, "sd": float, "unit": str}
_MORE_KEYS = {"citation": str, "verified": bool}
_AGES = {"age_from": float, "age_to": float}


@dataclass(frozen=True)
class Reference:
    """Mean and standard deviation of the BMD of healthy people at one site.

    Attributes
    ----------
    name : of the set that the row belongs to.
    device : densitometer; empty where it is not known.
    site : as `site_name` gives it.
    sex : `female` or `male`.
    mean, sd : g/cm2.
    citation : where the numbers are from.
    verified : whether they were read there.
    age_from, age_to : for a Z-score the ages in years, the second not included; NaN in a row for T-scores.
    """

    name: str
    device: str
    site: str
    sex: str
    mean: float
    sd: float
    citation: str
    verified: bool
    age_from: float = math.nan
    age_to: float = math.nan

    def score(self, bmd_g_cm2: float) -> float:
        """T- or Z-score of a BMD: (BMD - mean) / SD.

        Parameters
        ----------
        bmd_g_cm2 : measured by the device of the row, in g/cm2; may be NaN.

        Returns
        -------
        In standard deviations.
        """
        return (bmd_g_cm2 - self.mean) / self.sd

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells the row from others."""
        return self.name.lower(), self.site, self.sex, f"{self.age_from:g} {self.age_to:g}"

    @property
    def label(self) -> str:
        """The set, and that it is unverified where it is."""
        return self.name if self.verified else f"{self.name}, unverified"


@cache
def _shipped() -> dict[str, Any]:
    text = resources.files("DCEPerfusionBMDLib").joinpath("data").joinpath("dxa_references.json")
    data: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return data


def shipped_references() -> tuple[Reference, ...]:
    """The reference rows that come with the software; none is verified with your device."""
    return tuple(_reference(row, f"dxa_references.json row {n}") for n, row in enumerate(_shipped()["references"], 1))


def read_references(path: Path) -> tuple[Reference, ...]:
    """The shipped rows and those of a user's JSON file, which replace rows of the same name, site, sex and ages.

    Parameters
    ----------
    path : JSON of the form of `data/dxa_references.json`: `{"references": [{"name": ..., "mean": ...}, ...]}`.

    Returns
    -------
    The shipped rows, some of them replaced, then the user's others.

    Raises
    ------
    InputError
        naming file, row and key of what is wrong.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the reference sets {path.name}: {error}") from error
    rows = data.get("references") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InputError(f'{path.name} must be a JSON object with a list "references" of at least one row')
    own = [_reference(row, f"{path.name} row {number}") for number, row in enumerate(rows, 1)]
    merged = {reference.key: reference for reference in shipped_references()}
    if len({reference.key for reference in own}) < len(own):
        raise InputError(f"{path.name} has two rows of the same name, site, sex and ages; keep one")
    merged |= {reference.key: reference for reference in own}
    for one, other in itertools.combinations(merged.values(), 2):
        if one.key[:3] == other.key[:3] and one.age_from < other.age_to and other.age_from < one.age_to:
            raise InputError(
                f"{path.name}: the ages {one.age_from:g} to {one.age_to:g} and {other.age_from:g} to {other.age_to:g} "
                f"of {one.name}, {one.site}, {one.sex} overlap; age_to is not included, so it may be the next age_from"
            )
    return tuple(merged.values())


def _reference(row: Any, where: str) -> Reference:
    if not isinstance(row, dict):
        raise InputError(f"{where} must be a JSON object with {', '.join([*_KEYS, *_MORE_KEYS])}")
    ages = _AGES if any(key in row for key in _AGES) else {}
    wanted: dict[str, type] = {**_KEYS, **_MORE_KEYS, **ages}
    unknown = [key for key in row if key not in wanted]
    if unknown:
        raise InputError(f"{where} has the unknown key {unknown[0]!r}; it may have {', '.join([*wanted, *_AGES])}")
    for key, kind in wanted.items():
        if key not in row:
            raise InputError(f"{where} has no {key!r}")
        value = row[key]
        right = (
            isinstance(value, (int, float)) and not isinstance(value, bool) if kind is float else type(value) is kind
        )
        if not right or (kind is float and not abs(value) <= _LARGEST_NUMBER):
            raise InputError(f"{where}: {key} {value!r} is not {_KINDS[kind]}")
    if row["unit"] != "g/cm2":
        raise InputError(f"{where}: the unit {row['unit']!r} is not g/cm2")
    if row["sex"] not in ("female", "male"):
        raise InputError(f"{where}: the sex {row['sex']!r} is neither female nor male")
    if not 0 < row["mean"] < 5 or not 0 < row["sd"] < row["mean"]:
        raise InputError(f"{where}: mean {row['mean']:g} and sd {row['sd']:g} cannot be a BMD in g/cm2")
    if ages and not 0 <= row["age_from"] < row["age_to"]:
        raise InputError(f"{where}: age_from {row['age_from']:g} must be below age_to {row['age_to']:g}")
    if row["device"] not in ("", *DEVICES):
        raise InputError(
            f"{where}: the device {row['device']!r} is not known; known are {', '.join(DEVICES)}, or empty"
        )
    try:
        site = site_name(row["site"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    kept = {key: value for key, value in row.items() if key not in ("unit", "site")}
    return Reference(**{**kept, "name": one_line(row["name"]), "site": site})


_LARGEST_NUMBER = 1e6
_KINDS = {str: "a text", float: "a number", bool: "true or false"}


def of_set(references: Sequence[Reference], name: str) -> list[Reference]:
    """The rows of a named set.

    Raises
    ------
    InputError
        for an unknown name; the message lists those that are known.
    """
    found = [reference for reference in references if reference.name.lower() == name.lower()]
    if not found:
        names = ", ".join(dict.fromkeys(reference.name for reference in references))
        raise InputError(f"the reference set {name!r} is not known; known are {names}")
    return found


def standardized_bmd(bmd_g_cm2: float, site: str, device: str) -> float | None:
    """Standardized BMD (sBMD), the same on all devices: linear in the BMD of the device.

    Of the spine only L1-L4 and L2-L4 have an equation.

    Parameters
    ----------
    bmd_g_cm2 : as measured, in g/cm2.
    site : as `site_name` gives it.
    device : one of `DEVICES`.

    Returns
    -------
    sBMD in g/cm2; None where no equation is known for site and device.

    References
    ----------
    Hui SL et al. 1997 (spine); Lu Y et al. 2001 (hip).
    """
    row = _equation(site, device)
    return row["sbmd"] + row["slope"] * (bmd_g_cm2 - row["bmd"]) if row else None


def cross_calibrated_bmd(bmd_g_cm2: float, site: str, device: str, to_device: str) -> float | None:
    """BMD as another device would measure it, by way of sBMD; approximate (`CROSS_CALIBRATED`).

    Parameters
    ----------
    bmd_g_cm2 : as measured, in g/cm2.
    site : as `site_name` gives it.
    device, to_device : one of `DEVICES` each: that which measured, and the other.

    Returns
    -------
    BMD in g/cm2; None where an equation is missing.

    References
    ----------
    Hui SL et al. 1997 (spine); Lu Y et al. 2001 (hip).
    """
    standardized, row = standardized_bmd(bmd_g_cm2, site, device), _equation(site, to_device)
    if standardized is None or row is None:
        return None
    return float(row["bmd"] + (standardized - row["sbmd"]) / row["slope"])


def _equation(site: str, device: str) -> dict[str, Any] | None:
    if vertebrae_of(site) and site not in ("L1-L4", "L2-L4"):
        return None
    region = "spine" if vertebrae_of(site) else region_of(site)
    rows = [row for row in _shipped()["standardized"] if row["site"] == region and row["device"] == device]
    return rows[0] if rows else None
