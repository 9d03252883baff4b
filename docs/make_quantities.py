"""Makes docs/quantities.md from `quantities.py` and the codes of the DICOM export.

python docs/make_quantities.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from DCEPerfusionBMDLib.export.dicom import PRIVATE_CODES
from DCEPerfusionBMDLib.quantities import BY_NAME, PRIVATE_SCHEME, Code

PAGE = Path(__file__).with_name("quantities.md")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _named(code: Code) -> str:
    return f"{code.value} {code.scheme} {code.meaning}"


def page() -> str:
    """The text of the page."""
    lines = [
        "# Quantities",
        "",
        "Every quantity that the software puts out, with its unit and its codes; made by `docs/make_quantities.py`.",
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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
