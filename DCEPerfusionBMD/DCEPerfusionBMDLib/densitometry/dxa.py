"""DXA and QCT measurements of one subject, from a table or from single values."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..tables import one_line, plain_cell
from .references import DEVICES
from .sites import site_name

_COLUMNS = {
    "subject": ("subject", "subject_id", "id"),
    "site": ("site", "region"),
    "bmd_g_cm2": ("bmd_g_cm2", "bmd"),
    "t_score": ("t_score", "t", "tscore", "t_wert", "twert", "t_value", "young_adult_t_score"),
    "z_score": ("z_score", "z", "zscore", "z_wert", "zwert", "z_value", "age_matched_z_score"),
    "bmc_g": ("bmc_g", "bmc"),
    "area_cm2": ("area_cm2", "area"),
    "qct_mg_cm3": ("qct_mg_cm3", "qct", "qct_mg_ml", "bmd_mg_cm3", "vbmd_mg_cm3", "vbmd"),
    "assessable": ("assessable",),
    "device": ("device", "densitometer"),
}
SUBJECT_NAMES = _COLUMNS["subject"]
_VALUES = ("bmd_g_cm2", "t_score", "z_score", "bmc_g", "area_cm2", "qct_mg_cm3")
_NO_SCORE = 10.0
_LEAST_BMD, _NO_BMD = 0.2, 5.0  # g/cm2
_DOUBTED_BMD = 2.5
_LARGEST = {"bmc_g": 500.0, "area_cm2": 500.0, "qct_mg_cm3": 800.0}
_LEAST_QCT = 5.0
_ROUNDED_BMD, _MOST_ROUNDED_BMD = 1e-3, 0.01  # g/cm2; the usual last digit, and what is rounding at most
_LEAST_DECIMALS = 2  # of a BMD; spreadsheets write 0.90 as 0.9
MISSING = ("", "na", "n/a", "nan", "-", "\N{EN DASH}", ".")
"""What stands where there is no value, in lower case."""

_WITH_UNIT = re.compile(r"(v?bmd|qct|bmc|area)_(mg|g|kg|mm2|cm2|m2)(_(mm|cm|m)[23]|_ml|_cc)?")
_LIKE_A_SCORE = re.compile(r"(^|_)([tz](_?(score|wert|value))?s?|v?bmd|bmc|qct|density|knochendichte|dichte)(_|$)")
_DATE, _BIRTH = re.compile(r"(^|_)((scan|exam|study|visit)?date|[a-z]*datum)(_|$)"), re.compile(r"birth|geburt")
_TIME_OF_DAY = re.compile(r"[T ]+\d{1,2}:\d{2}.*$")
_OF_SUBJECT = ("sex", "gender", "age", "menopause")
_YES_NO = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False, "": True}


@dataclass(frozen=True)
class DxaMeasurement:
    """What was measured at one site; NaN for a value that is not given.

    Attributes
    ----------
    site : as `sites.site_name` gives it.
    bmd_g_cm2 : areal density in g/cm2; content over area where it is not given.
    t_score, z_score : as the device gives them.
    bmc_g, area_cm2 : content in g and projected area in cm2.
    qct_mg_cm3 : trabecular density by QCT in mg/cm3.
    assessable : False for a vertebra that is fractured, operated or otherwise not to be assessed.
    device : densitometer; empty where it is not known.
    """

    site: str
    bmd_g_cm2: float = math.nan
    t_score: float = math.nan
    z_score: float = math.nan
    bmc_g: float = math.nan
    area_cm2: float = math.nan
    qct_mg_cm3: float = math.nan
    assessable: bool = True
    device: str = ""


@dataclass(frozen=True)
class Densitometry:
    """All measurements of one subject.

    Attributes
    ----------
    subject : as the table names it.
    measurements : one per site.
    warnings : what was not read, and doubts about values, as sentences.
    """

    subject: str
    measurements: tuple[DxaMeasurement, ...]
    warnings: tuple[str, ...] = ()


def read_dxa_table(path: Path, subject: str | None = None) -> Densitometry:
    """Measurements of one subject from a CSV table with one row per site.

    Its columns are subject, site, and any of BMD (g/cm2), T-score, Z-score, BMC (g), area (cm2), QCT (mg/cm3),
    assessable (yes, no), device and date, which must be one for a subject. Other columns are named in a warning; one
    that looks like a score or a density is refused.

    Parameters
    ----------
    path : comma, semicolon or tab separated; UTF-8, or UTF-16 with byte order mark.
    subject : which subject to take; may be left out when the table holds one only.

    Returns
    -------
    One measurement per row of the subject, with warnings.

    Raises
    ------
    InputError
        naming file, row and column of what cannot be read, or that the choice of the subject is open.
    """
    table = table_cells(path, "the DXA table")
    return measurements_from_rows(table[0] if table else [], table[1:], path.name, subject)


def table_cells(path: Path, what: str) -> list[list[str]]:
    """The cells of a comma, semicolon or tab separated file; `what` names it where it cannot be read.

    The apostrophe that tables of ours carry before what looks like a formula is taken off.
    """
    return [[plain_cell(cell) for cell in row] for row in table_rows(path, what)]


def table_rows(path: Path, what: str) -> Iterator[list[str]]:
    """The same row by row and cells as they stand, for tables of any length; UTF-8, or UTF-16 with byte order mark."""
    try:
        encoding, delimiter = _dialect(path)
        with path.open(encoding=encoding, newline="") as file:
            yield from csv.reader(file, delimiter=delimiter)
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"cannot read {what} {path.name}: {error}") from error


def comma_separated(path: Path) -> bool:
    """Whether commas separate the cells of a table; False where it cannot be read."""
    try:
        return _dialect(path)[1] == ","
    except (OSError, UnicodeError):
        return False


def _dialect(path: Path) -> tuple[str, str]:
    """Encoding and delimiter; what is between quotation marks in the first line separates nothing."""
    with path.open("rb") as start:
        encoding = "utf-16" if start.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    with path.open(encoding=encoding, newline="") as file:
        return encoding, max(",;\t", key=re.sub(r'"[^"]*("|$)', "", file.readline()).count)


def measurements_from_rows(
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    source: str,
    subject: str | None = None,
) -> Densitometry:
    """Measurements of one subject from the texts of a table, whatever it is stored in.

    Parameters
    ----------
    heading : names of the columns, as for `read_dxa_table`.
    rows : cells below the heading; the first is row 2.
    source : what to call the table in messages.
    subject : which subject to take; may be left out when the table holds one only.

    Returns
    -------
    One measurement per row of the subject, with warnings.

    Raises
    ------
    InputError
        naming source, row and column of what cannot be read, or that the choice of the subject is open.
    """
    measured, unread = _measured(heading, rows, source)
    found = _of_subject(measured, source, subject)
    return dataclasses.replace(found, warnings=(*unread, *found.warnings))


def subjects_in_rows(heading: Sequence[str], rows: Sequence[Sequence[str]], source: str) -> list[str]:
    """Names of the subjects of a table, each once, in the order of its rows.

    Parameters
    ----------
    heading, rows, source : as for `measurements_from_rows`.

    Returns
    -------
    The names.

    Raises
    ------
    InputError
        naming source, row and column of what cannot be read.
    """
    return list(dict.fromkeys(row.subject for row in _measured(heading, rows, source)[0]))


def read_dxa_subjects(path: Path) -> tuple[dict[str, Densitometry], tuple[str, ...]]:
    """Measurements of every subject in a table as `read_dxa_table` takes it.

    Parameters
    ----------
    path : as for `read_dxa_table`.

    Returns
    -------
    Subject to measurements, in the order of the table; and warnings about the table itself.

    Raises
    ------
    InputError
        naming file, row and column of what cannot be read.
    """
    table = table_cells(path, "the DXA table")
    measured, unread = _measured(table[0] if table else [], table[1:], path.name)
    by_subject: dict[str, list[_Row]] = {}
    for row in measured:
        by_subject.setdefault(row.subject, []).append(row)
    return {subject: _of_subject(own, path.name, subject) for subject, own in by_subject.items()}, tuple(unread)


def measurements_from_values(values: Mapping[str, str], subject: str = "") -> Densitometry:
    """Measurements from single values, as they are given on the command line.

    Parameters
    ----------
    values : column name (`bmd_g_cm2`, `t_score`, `z_score`, `qct_mg_cm3`) to "SITE=VALUE,...", with decimal points.
    subject : whose they are; may be empty.

    Returns
    -------
    One measurement per site, in the order in which the sites are first named.

    Raises
    ------
    InputError
        naming what cannot be read.
    """
    by_site: dict[str, dict[str, str]] = {}
    for column, text in values.items():
        for part in text.split(","):
            site, equals, value = part.rpartition("=")
            if not (equals and site.strip() and value.strip()):
                raise InputError(f"{part.strip()!r} of {column} is not SITE=VALUE")
            row = by_site.setdefault(site_name(site.strip()), {})
            if column in row:
                raise InputError(f"{column} of the site {site.strip()!r} is given twice; keep one")
            row[column] = value.strip()
    doubts: list[str] = []
    measurements = tuple(
        _measurement({**row, "site": site}, f"the value of {site}", doubts) for site, row in by_site.items()
    )
    return Densitometry(subject, measurements, tuple(doubts))


@dataclass(frozen=True)
class _Row:
    """One row of a table."""

    subject: str
    measurement: DxaMeasurement
    date: str
    doubts: tuple[str, ...]


def _measured(heading: Sequence[str], rows: Sequence[Sequence[str]], source: str) -> tuple[list[_Row], list[str]]:
    """The rows of a table that hold anything, and a sentence on columns that are not read."""
    position = _positions(heading, source)
    measured: list[_Row] = []
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(heading):
            raise InputError(f"{source} row {number} has {len(cells)} cells, the heading has {len(heading)}")
        row = {name: one_line(cells[index]) for name, index in position.items()}
        for wanted in ("subject", "site"):
            if not row[wanted]:
                raise InputError(f"{source} row {number} has no {wanted}")
        where = f"{source} row {number} (subject {row['subject']}, {row['site']})"
        doubts: list[str] = []
        measurement = _measurement(row, where, doubts)
        date = _TIME_OF_DAY.sub("", row.get("date", ""))
        measured.append(_Row(row["subject"], measurement, date, tuple(doubts)))
    if not measured:
        raise InputError(f"{source} has no measurement")
    return measured, _unread(heading, rows, position)


def _positions(heading: Sequence[str], source: str) -> dict[str, int]:
    """Where each column is."""
    names = [one_line(cell) for cell in heading]
    plain = [plain_heading(name) for name in names]
    position: dict[str, int] = {}
    for wanted, spellings in _COLUMNS.items():
        found = [index for index, name in enumerate(plain) if name in spellings]
        if len(found) > 1:
            raise InputError(
                f"{source} has the column {wanted!r} twice: {', '.join(names[n] for n in found)}; keep one"
            )
        if found:
            position[wanted] = found[0]
    for index, name in enumerate(plain):
        if _WITH_UNIT.fullmatch(name) and index not in position.values():
            raise InputError(
                f"{source}: the column {names[index]!r} has a unit that is not read; BMD is in g/cm2, BMC in g, "
                "area in cm2, QCT in mg/cm3"
            )
        if _LIKE_A_SCORE.search(name) and "percent" not in name and index not in position.values():
            known = ", ".join(wanted for wanted in _VALUES if wanted not in position)
            raise InputError(
                f"{source}: the column {names[index]!r} looks like a score or a density, but is not read; rename it "
                f"to the one it is ({known}), or remove it"
            )
    dates = [index for index, name in enumerate(plain) if _DATE.search(name) and not _BIRTH.search(name)]
    if dates:
        position["date"] = dates[0]
    missing = [wanted for wanted in ("subject", "site") if wanted not in position]
    if not missing and not any(wanted in position for wanted in _VALUES):
        missing = ["bmd_g_cm2"]
    if missing:
        raise InputError(
            f"{source} has no column {missing[0]!r} (also accepted: {', '.join(_COLUMNS[missing[0]][1:])}); "
            f"its columns are {', '.join(names) or 'none'}"
        )
    return position


def _unread(heading: Sequence[str], rows: Sequence[Sequence[str]], position: Mapping[str, int]) -> list[str]:
    """A sentence that names the columns which hold something and are not read."""
    names = [one_line(name) or f"number {index}" for index, name in enumerate(heading, start=1)]
    filled = [any(index < len(cells) and cells[index].strip() for cells in rows) for index in range(len(heading))]
    unread = [name for index, name in enumerate(names) if filled[index] and index not in position.values()]
    if not unread:
        return []
    of_subject = any(word in _OF_SUBJECT for name in unread for word in plain_heading(name).split("_"))
    hint = "; sex, age and menopausal status are those of --sex, --age, --menopause or the DICOM header"
    return [f"the DXA table has columns that are not read: {', '.join(unread)}{hint if of_subject else ''}"]


def plain_heading(name: str) -> str:
    """A heading without case, signs and superscripts: `BMD (g/cm2)` is `bmd_g_cm2`, `T (%)` is `t_percent`."""
    signs = {"\N{SUPERSCRIPT TWO}": "2", "\N{SUPERSCRIPT THREE}": "3", "^": "", "%": " percent "}
    plain = "".join(signs.get(letter, letter) for letter in name.lower())
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _of_subject(measured: list[_Row], source: str, subject: str | None) -> Densitometry:
    subjects = list(dict.fromkeys(row.subject for row in measured))
    if subject is None:
        if len(subjects) > 1:
            # not by name: messages end up in logs
            raise InputError(f"{source} holds {len(subjects)} subjects; choose one with --subject")
        subject = subjects[0]
    elif subject not in subjects:
        raise InputError(f"{source} has no subject {subject!r}")
    own = [row for row in measured if row.subject == subject]
    dates = list(dict.fromkeys(row.date for row in own if row.date))
    if len(dates) > 1:
        raise InputError(f"{source}: subject {subject!r} was measured on {', '.join(dates)}; keep the rows of one date")
    measurements = tuple(row.measurement for row in own)
    sites = [measurement.site for measurement in measurements]
    for site in sites:
        if sites.count(site) > 1:
            raise InputError(f"{source}: subject {subject!r} has site {site!r} {sites.count(site)} times; keep one row")
    return Densitometry(subject, measurements, tuple(doubt for row in own for doubt in row.doubts))


def _measurement(row: Mapping[str, str], where: str, doubts: list[str]) -> DxaMeasurement:
    """The measurement of a row; doubts about it are added to `doubts`."""
    try:
        site = site_name(row["site"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    texts = {column: number_text(row.get(column, "")) for column in _VALUES}
    numbers = {column: _number(row.get(column, ""), text, column, where) for column, text in texts.items()}
    if not math.isnan(numbers["bmc_g"]) and not math.isnan(numbers["area_cm2"]):
        ratio = numbers["bmc_g"] / numbers["area_cm2"]
        if math.isnan(numbers["bmd_g_cm2"]):
            if not _LEAST_BMD <= ratio < _NO_BMD:
                raise InputError(
                    f"{where}: BMC over area is {ratio:.3g}, which cannot be in g/cm2; give g and cm2, without a "
                    "separator of thousands"
                )
            numbers["bmd_g_cm2"] = ratio
        elif abs(ratio - numbers["bmd_g_cm2"]) > max(_ROUNDED_BMD, _rounding(texts, numbers)):
            raise InputError(
                f"{where}: BMC over area is {ratio:.4f} g/cm2, but the BMD is {numbers['bmd_g_cm2']:g}; "
                "they differ by more than rounding, correct one of the three"
            )
    if numbers["bmd_g_cm2"] > _DOUBTED_BMD:
        doubts.append(
            f"{site}: a BMD of {numbers['bmd_g_cm2']:.3g} g/cm2 is far above the usual; check it and its unit"
        )
    assessable = row.get("assessable", "").lower()
    if assessable not in _YES_NO:
        raise InputError(f"{where}: assessable {row['assessable']!r} is neither yes nor no")
    device = {name.lower(): name for name in (*DEVICES, "")}.get(row.get("device", "").lower())
    if device is None:
        raise InputError(
            f"{where}: the device {row['device']!r} is not known; known are {', '.join(DEVICES)}, or empty"
        )
    return DxaMeasurement(site=site, assessable=_YES_NO[assessable], device=device, **numbers)


def _rounding(texts: Mapping[str, str], numbers: Mapping[str, float]) -> float:
    """How far BMC over area may be from the BMD when each is rounded to the digits it has; 0.01 g/cm2 at most."""
    decimals = {column: len(text.partition(".")[2]) for column, text in texts.items()}
    decimals["bmd_g_cm2"] = max(decimals["bmd_g_cm2"], _LEAST_DECIMALS)
    half = {column: 0.5 * 10.0**-digits for column, digits in decimals.items()}
    of_ratio = (half["bmc_g"] + numbers["bmd_g_cm2"] * half["area_cm2"]) / numbers["area_cm2"]
    return min(half["bmd_g_cm2"] + of_ratio, _MOST_ROUNDED_BMD) + 1e-9


def number_text(text: str) -> str:
    """The text with a plain minus and a decimal point; a comma among digits is the decimal one."""
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


def possible_score(score: float) -> bool:
    """Whether a T- or Z-score can be right; from 10 on a decimal point is missing, or the BMD is no match."""
    return abs(score) < _NO_SCORE


def _number(given: str, text: str, column: str, where: str) -> float:
    if text.lower() in MISSING:
        return math.nan
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {column} {given!r} is not a number")
    if column in ("t_score", "z_score"):
        if not possible_score(value):
            name = "T-score" if column == "t_score" else "Z-score"
            raise InputError(f"{where}: a {name} of {given} is not possible; a decimal point may be missing")
    elif column == "bmd_g_cm2":
        if value <= 0.0:
            raise InputError(f"{where}: a BMD of {given} is not possible; it may be a T-score in the wrong column")
        if value < _LEAST_BMD:
            raise InputError(
                f"{where}: BMD {given} cannot be in g/cm2, it is below {_LEAST_BMD:g}; a QCT density in g/cm3 belongs "
                "in the column qct_mg_cm3, as mg/cm3"
            )
        if value >= _NO_BMD:
            raise InputError(
                f"{where}: BMD {given} cannot be in g/cm2; values above 5 are mg/cm2 or a QCT density in mg/cm3"
            )
    elif column == "qct_mg_cm3" and value < _LEAST_QCT:
        raise InputError(f"{where}: QCT {given} cannot be in mg/cm3; values below 5 are g/cm3 or a DXA BMD in g/cm2")
    elif not 0.0 < value <= _LARGEST[column]:
        raise InputError(
            f"{where}: {column} {given} is not possible; it must be above 0 and at most {_LARGEST[column]:g}"
        )
    return value
