"""Makes docs/quantities.md and docs/settings.md of `quantities.py`, the codes of the DICOM export and `settings.py`.

python docs/make_pages.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from DCEPerfusionBMDLib.export.dicom import PRIVATE_CODES
from DCEPerfusionBMDLib.quantities import BY_NAME, PRIVATE_SCHEME, Code
from DCEPerfusionBMDLib.settings import CohortSettings, Parameter, all_parameters, parameters

DOCS = Path(__file__).parent


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _named(code: Code) -> str:
    return f"{code.value} {code.scheme} {code.meaning}"


def quantities_page() -> str:
    """The text of quantities.md."""
    lines = [
        "# Quantities",
        "",
        "Every quantity that the software puts out, with its unit and its codes; made by `docs/make_pages.py`.",
        "",
        "The name is that of the file in `maps/`, the column that of the tables. A code is that of DICOM (`DCM`,",
        f"PS3.16) where it has one, else our own under the coding scheme `{PRIVATE_SCHEME}`. CAPLEX is the lexicon of",
        "OSIPI; there kep is in /s.",
        "",
        _row(("name", "symbol", "column", "unit", "UCUM", "DICOM or own code", "CAPLEX", "what it is")),
        _row(["---"] * 8),
    ]
    for q in BY_NAME.values():
        cells = (f"`{q.name}`", q.symbol, f"`{q.column}`", q.unit or "-", f"`{q.ucum.value}`", _named(q.code))
        lines.append(_row((*cells, q.caplex or "-", q.description)))
    lines += [
        "",
        "## Other codes of our own",
        "",
        f"They stand in DICOM objects under the coding scheme `{PRIVATE_SCHEME}` ([DICOM](dicom.md)).",
        "",
        _row(("code", "meaning")),
        _row(["---"] * 2),
        *(_row((f"`{code.value}`", code.meaning)) for code in PRIVATE_CODES),
    ]
    return "\n".join(lines) + "\n"


_TITLES = {
    "acquisition": "What the series says of itself (`acquisition`)",
    "conversion": "From signal to concentration (`conversion`)",
    "arterial_input": "Arterial input (`arterial_input`)",
    "model": "Model (`model`)",
    "regions": "Regions (`regions`)",
    "motion": "Motion (`motion`)",
    "densitometry": "Bone density (`densitometry`)",
    "output": "Output (`output`)",
}


def _default(parameter: Parameter) -> str:
    if parameter.default is None:
        return "-"
    if isinstance(parameter.default, bool):
        return "yes" if parameter.default else "no"
    return f"{parameter.default:g}" if isinstance(parameter.default, float) else f"`{parameter.default}`"


def _allowed(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    if parameter.type is bool:
        return "yes, no"
    bounds = [bound for bound in (parameter.minimum, parameter.maximum) if bound is not None]
    if not bounds:
        return "text" if parameter.type is str else "whole number"
    words = f"{bounds[0]:g} to {bounds[1]:g}" if len(bounds) == 2 else f"{bounds[0]:g} or more"
    return f"{words} {parameter.unit}".strip()


def _settings_table(described: Iterable[Parameter]) -> list[str]:
    rows = [_row(("option, name", "default", "allowed", "what it is")), _row(["---"] * 4)]
    for p in described:
        cells = (f"`--{p.option}`<br>`{p.name}`", _default(p), _allowed(p), p.help)
        rows.append(_row(cells))
    return rows


def settings_page() -> str:
    """The text of settings.md."""
    lines = [
        "# Settings",
        "",
        "Every setting there is; made by `docs/make_pages.py` of `DCEPerfusionBMDLib/settings.py`.",
        "",
        "The option is that of `dce-perfusion-bmd analyze`; the panel has the same settings, and a file for",
        '`--settings` has them by group and name: `{"regions": {"margin_mm": 3}}`. An option goes before the file.',
        "Without a default (-) the value comes from the data or a table of constants, or the feature is not used. A",
        "setting that is given and not read in an analysis leads to a warning; `provenance.json` holds every value",
        "with its origin.",
    ]
    for group, title in _TITLES.items():
        lines += ["", f"## {title}", "", *_settings_table(p for p in all_parameters() if p.group == group)]
    lines += [
        "",
        "## Cohorts",
        "",
        "They belong to `dce-perfusion-bmd cohort` ([cohorts](cohort.md)), not to the analysis of a study.",
        "",
        *_settings_table(parameters(CohortSettings)),
    ]
    return "\n".join(lines) + "\n"


PAGES = {"quantities.md": quantities_page, "settings.md": settings_page}


if __name__ == "__main__":
    for name, text in PAGES.items():
        (DOCS / name).write_text(text(), encoding="utf-8", newline="\n")
