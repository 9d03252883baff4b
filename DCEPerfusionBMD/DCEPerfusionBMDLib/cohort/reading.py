"""The table of a cohort, from a file or from columns of texts, with the columns that follow from others."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..densitometry import t_score_category
from ..densitometry.dxa import MISSING, comma_separated, number_text, table_cells, table_rows
from ..densitometry.sites import VERTEBRAE
from ..densitometry.tables import LEAST_LEVELS, too_few_levels
from ..errors import InputError
from ..settings import CohortSettings
from ..statistics.values import LeftOut
from ..tables import one_line, plain_cell
from .columns import (
    EVALUABLE,
    LABELS,
    LEVEL,
    NUMBERS,
    PER_VERTEBRA,
    READING,
    SEVERE,
    SUBJECT,
    decade,
    label,
    read_headings,
)
from .model import CLASSES, Cohort, FloatArray, SourceColumn, TextArray

IntArray = npt.NDArray[np.intp]

_BLOCK_ROWS = 16_384
_LONGEST_NAME = 100
_VE_DIFFERENCE = 0.02
_T_SCORES_FROM_YEARS = 50.0
_CODES = (9.0, 99.0, 999.0)
_NAMED_ROWS, _LAST_ROWS = 10, 10
_OF_SHEETS = frozenset(
    (
        *("mean", "average", "avg", "median", "total", "sum", "sd", "std", "stdev", "std dev", "standard deviation"),
        *("mean±sd", "mean ± sd", "平均", "平均值", "均值", "合计", "总计", "标准差"),
    )
)
"""Names that spreadsheets give to rows below those of subjects."""

_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_POINT = re.compile(r"\d\.|\.\d")
_MISSING = frozenset(text for name in MISSING for text in (name, name.upper(), name.title())) | {"NaN"}
_SITES = {"lumbar": "lumbar_class", "femoral_neck": "femoral_neck_class", "total_hip": ""}


def read_table(path: Path, settings: CohortSettings, dictionary: Mapping[str, str] | None = None) -> Cohort:
    """The cohort in a CSV table: one row per subject, or one per vertebra.

    Columns are recognized by their headings, with units (`columns.read_headings`); `age_group`, the categories of
    T-scores and ve follow from other columns where the table lacks them.

    Parameters
    ----------
    path : comma, semicolon or tab separated, UTF-8 or UTF-16; decimal commas are read.
    settings : which T-score classifies, and how it is rounded.
    dictionary : heading to canonical name, with a unit if need be; to an empty text to ignore it.

    Returns
    -------
    Rows in their order, in canonical units; what was left out, and why.

    Raises
    ------
    InputError
        naming file, row and column of what cannot be read.
    """
    rows = table_rows(path, "the cohort table")
    return cohort_of(raw_table(path.name, next(rows, []), rows, dictionary, comma_separated(path)), settings)


def cohort_from_columns(
    name: str,
    heading: Sequence[str],
    columns: Sequence[Sequence[str]],
    settings: CohortSettings,
    dictionary: Mapping[str, str] | None = None,
) -> Cohort:
    """The cohort in columns of texts, wherever they are stored; the first cell below a heading is in row 2.

    Parameters
    ----------
    name : of the table, for messages.
    heading, columns : a heading per column; columns of equal length.
    settings, dictionary : as for `read_table`.

    Returns
    -------
    As `read_table`.

    Raises
    ------
    InputError
        as `read_table`, or where the columns differ in length.
    """
    if len({len(column) for column in columns}) > 1 or len(heading) != len(columns):
        raise InputError(f"{name}: its {len(heading)} headings and {len(columns)} columns differ in number or length")
    return cohort_of(raw_table(name, heading, zip(*columns, strict=True), dictionary), settings)


def read_dictionary(path: Path) -> dict[str, str]:
    """Headings and what they mean: a JSON object, or a CSV table with the columns `heading` and `column`.

    A meaning is a canonical name, with a unit if need be (`ve (%)`), or empty for a heading to ignore.

    Parameters
    ----------
    path : `.json`, or a comma, semicolon or tab separated table.

    Returns
    -------
    Meaning by heading.

    Raises
    ------
    InputError
        naming the file and what cannot be read.
    """
    if path.suffix.lower() == ".json":
        try:
            read = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"cannot read the dictionary {path.name}: {error}") from error
        if not isinstance(read, dict) or not all(isinstance(meaning, str) for meaning in read.values()):
            raise InputError(f'{path.name} is no dictionary: it must read {{"heading": "column", ...}}')
        return read
    head, *rows = table_cells(path, "the dictionary") or [[]]
    if [cell.strip().lower() for cell in head] != ["heading", "column"]:
        raise InputError(f"{path.name} must have the columns 'heading' and 'column', or be a JSON object")
    found: dict[str, str] = {}
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(head):
            raise InputError(f"{path.name} row {number} has {len(cells)} cells, not 2")
        name = one_line(cells[0])
        if name in found:
            raise InputError(f"{path.name} row {number}: the heading {name!r} comes twice; keep one")
        found[name] = one_line(cells[1])
    return found


def subject_means(cohort: Cohort) -> Cohort:
    """One row per subject and reading: means over the vertebrae that count.

    The mean of each kinetic or descriptive number is over the rows of L1 to L4 that have it, at least two; where all
    have it, this is what `densitometry.tables.subject_perfusion` takes, which gives no mean otherwise. What is of the
    subject stays. Subjects with fewer than two such levels go to `left_out`, after the rows that the cohort had left
    out already; L5 and other levels are in no mean.

    Parameters
    ----------
    cohort : by vertebra; one by subject is given back as it is.

    Returns
    -------
    A cohort of which no row has a level; numbers in the units that they had.
    """
    if not cohort.by_vertebra:
        return cohort
    names, group = _groups(cohort.subjects, cohort.readings)
    count = len(names)
    wanted = np.isin(cohort.levels, VERTEBRAE)
    levels, means = means_of_levels(group, count, wanted, cohort.numbers)
    kept = levels >= LEAST_LEVELS
    first = np.full(count, group.size, dtype=np.intp)
    np.minimum.at(first, group, np.arange(group.size))
    numbers = {}
    for column, values in cohort.numbers.items():
        of_subject = means.get(column, np.full(count, np.nan))
        if column not in means:
            known = np.flatnonzero(np.isfinite(values))[::-1]
            of_subject[group[known]] = values[known]
        numbers[column] = of_subject[kept]
    labels = {}
    for column, texts in cohort.labels.items():
        named = np.zeros(count, dtype=texts.dtype)
        known = np.flatnonzero(texts != "")[::-1]
        named[group[known]] = texts[known]
        labels[column] = named[kept]
    left_out = [LeftOut(names[n], too_few_levels(int(levels[n]))) for n in np.flatnonzero(~kept)]
    others = np.unique(cohort.levels[~wanted])
    notes = [f"Numbers per subject are means over L1 to L4, of at least {LEAST_LEVELS} levels."]
    if others.size:
        notes.append(
            f"{np.count_nonzero(~wanted)} rows of {', '.join(map(str, others))} are in no mean of a subject; they are "
            "reported per vertebra only."
        )
    return Cohort(
        name=cohort.name,
        subjects=cohort.subjects[first[kept]],
        levels=np.full(np.count_nonzero(kept), "", dtype=np.str_),
        readings=cohort.readings[first[kept]],
        numbers=numbers,
        labels=labels,
        sources=cohort.sources,
        curves=cohort.curves,
        rows_read=count + len(cohort.left_out),
        left_out=(*cohort.left_out, *left_out),
        unmatched=cohort.unmatched,
        ignored=cohort.ignored,
        notes=(*cohort.notes, *notes),
    )


def means_of_levels(
    group: IntArray, count: int, wanted: npt.NDArray[np.bool_], numbers: Mapping[str, FloatArray]
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Levels that count per subject, and the means over them.

    Parameters
    ----------
    group : (n,) position of the subject of each vertebra.
    count : subjects.
    wanted : (n,) whether a vertebra counts.
    numbers : columns of (n,); those of `PER_VERTEBRA` are averaged, over the vertebrae that have them, at least two.

    Returns
    -------
    levels : (count,).
    means : by column (count,), NaN where fewer than two vertebrae have a number.
    """
    means = {}
    for column in (column for column in numbers if column in PER_VERTEBRA):
        values = numbers[column]
        used = wanted & np.isfinite(values)
        sizes = np.bincount(group[used], minlength=count)
        sums = np.bincount(group[used], weights=values[used], minlength=count)
        means[column] = np.full(count, np.nan)
        np.divide(sums, sizes, out=means[column], where=sizes >= LEAST_LEVELS)
    return np.bincount(group[wanted], minlength=count), means


def pseudonym(text: str) -> str:
    """The name of a subject or a reading, in one line.

    Raises
    ------
    InputError
        where it is longer than a name can be.
    """
    name = one_line(plain_cell(text))
    if len(name) > _LONGEST_NAME:
        raise InputError(f"{name[:20]!r}... has {len(name)} characters; a name has {_LONGEST_NAME} at most")
    return name


@dataclass(frozen=True)
class RawTable:
    """A table as it was read, before anything follows from anything.

    Attributes
    ----------
    source : name of the table.
    rows : (n,) number of each row in the table; the heading is row 1.
    subjects, levels, readings, numbers, labels, sources, ignored, notes : as of `Cohort`.
    rows_read, left_out : as of `Cohort`.
    """

    source: str
    rows: IntArray
    subjects: TextArray
    levels: TextArray
    readings: TextArray
    numbers: dict[str, FloatArray]
    labels: dict[str, TextArray]
    sources: dict[str, SourceColumn]
    rows_read: int
    left_out: tuple[LeftOut, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    def where(self, index: int) -> str:
        """A row for messages: its number, subject and level."""
        of = " ".join(text for text in (str(self.subjects[index]), str(self.levels[index])) if text)
        return f"row {self.rows[index]}" + (f" ({of})" if of != f"row {self.rows[index]}" else "")


class _Coded(dict[str, int]):
    """Numbers for texts: each spelling is read once, and equal names have one number; the empty name has 0."""

    def __init__(self, read: Callable[[str], str]) -> None:
        super().__init__()
        self._read = read
        self._number = {"": 0}

    def __missing__(self, text: str) -> int:
        name = self._read(text)
        self[text] = self._number.setdefault(name, len(self._number))
        return self[text]

    def names(self) -> TextArray:
        return np.array(list(self._number), dtype=np.str_)


class _Reader:
    """Blocks of rows into arrays; a table of many rows is never held as texts."""

    def __init__(self, source: str, heading: Sequence[str], dictionary: Mapping[str, str] | None, commas: bool) -> None:
        self.source, self.width, self.commas = source, len(heading), commas
        self.points: set[str] = set()
        self.grouped: dict[str, tuple[int, str]] = {}  # the first number of a column that may hold thousands
        self.headings = read_headings([plain_cell(name) for name in heading], source, dictionary)
        self.found = self.headings.found
        if not any(column in NUMBERS or column in LABELS for column in self.found):
            raise InputError(
                f"{source} has no column that is known; its columns are {', '.join(self.headings.ignored) or 'none'}: "
                "give a dictionary of headings"
            )
        if SUBJECT not in self.found:
            for column in (LEVEL, READING):
                if column in self.found:
                    raise InputError(
                        f"{source} has the column {self.found[column].heading!r}, but none that names the subjects"
                    )
        self.texts = {c: _Coded(_reader_of(c)) for c in self.found if c not in NUMBERS}
        self.codes: dict[str, list[IntArray]] = {column: [] for column in self.texts}
        self.numbers: dict[str, list[FloatArray]] = {column: [] for column in self.found if column in NUMBERS}
        self.rows: list[IntArray] = []
        self.blank: list[int] = []

    def read(self, rows: Iterable[Sequence[str]]) -> RawTable:
        remaining, first = iter(rows), 2
        while block := list(itertools.islice(remaining, _BLOCK_ROWS)):
            self._block(block, first)
            first += len(block)
        if not any(part.size for part in self.rows):
            raise InputError(f"{self.source} has no row that holds anything")
        return self._table(first - 2)

    def _block(self, block: list[Sequence[str]], first: int) -> None:
        key = self.found[SUBJECT].index if SUBJECT in self.found else 0
        whole = [len(row) == self.width and row[key].strip() != "" for row in block]
        if all(whole):
            kept, numbers = block, np.arange(first, first + len(block))
        else:
            filled = [sure or any(cell.strip() for cell in row) for sure, row in zip(whole, block, strict=True)]
            kept = [row for row, has in zip(block, filled, strict=True) if has]
            numbers = first + np.flatnonzero(filled)
            self.blank += [first + n for n, has in enumerate(filled) if not has]
            for row, number in zip(kept, numbers, strict=True):
                if len(row) != self.width:
                    raise InputError(f"{self.source} row {number} has {len(row)} cells, the heading has {self.width}")
        self.rows.append(numbers)
        if not kept:
            return
        cells = list(zip(*kept, strict=True))
        for column, coded in self.texts.items():
            self.codes[column].append(self._coded(column, coded, cells[self.found[column].index], numbers))
        for column, parts in self.numbers.items():
            parts.append(self._numbers(column, cells[self.found[column].index], numbers))

    def _coded(self, column: str, coded: _Coded, texts: Sequence[str], rows: IntArray) -> IntArray:
        try:
            return np.fromiter(map(coded.__getitem__, texts), dtype=np.intp, count=len(texts))
        except InputError:
            for text, row in zip(texts, rows, strict=True):
                try:
                    coded[text]
                except InputError as error:
                    raise InputError(f"{self.source} row {row}: {self.found[column].heading} {error}") from error
            raise

    def _numbers(self, column: str, texts: Sequence[str], rows: IntArray) -> FloatArray:
        found, known = self.found[column], NUMBERS[column]
        self._check_thousands(column, texts, rows)
        given = _as_numbers(texts)
        if given is None:
            given = np.empty(len(texts))
            for n, text in enumerate(texts):
                try:
                    given[n] = _number(text)
                except ValueError:
                    missing = ", ".join(name.upper() for name in MISSING if name)
                    raise InputError(
                        f"{self.source} row {rows[n]}: {found.heading} {one_line(text)!r} is not a number; a value "
                        f"that is missing is blank, or one of {missing}"
                    ) from None
        values = given * found.factor.numerator / found.factor.denominator
        bad = np.flatnonzero(~((values >= known.low) & (values <= known.high) | np.isnan(values)))
        if bad.size:
            n = int(bad[0])
            unit = f" {known.unit}" if known.unit else ""
            by = f", {values[n]:g}{unit}," if found.factor != 1 else ""
            hint = "; say '(%)' or '(mL/100 mL)' in the heading where it is that" if known.unit == "fraction" else ""
            raise InputError(
                f"{self.source} row {rows[n]}: {found.heading} {texts[n].strip()}{by} is not possible; it is from "
                f"{known.low:g} to {known.high:g}{unit}{hint}"
            )
        return values

    def _check_thousands(self, column: str, texts: Sequence[str], rows: IntArray) -> None:
        """A comma is a decimal one only where it cannot separate thousands."""
        joined = "\n".join(texts)
        if column not in self.points and _POINT.search(joined):
            self.points.add(column)
        if column not in self.grouped and "," in joined:
            for text, row in zip(texts, rows, strict=True):
                if _GROUPED.fullmatch(plain_cell(text.strip())):
                    self.grouped[column] = int(row), text.strip()
                    break
        if column in self.grouped and (self.commas or column in self.points):
            row, text = self.grouped[column]
            raise InputError(
                f"{self.source} row {row}: {self.found[column].heading} {text!r} may be {text.replace(',', '')} or "
                f"{text.replace(',', '.', 1)}; write it with a decimal point and without a separator of thousands"
            )

    def _codes(self, column: str, values: FloatArray, rows: IntArray) -> list[str]:
        """Sentences on what may be codes for missing values: they lie outside of all other numbers of a column."""
        factor = self.found[column].factor
        wanted = np.array([sign * code for code in _CODES for sign in (1, -1)])
        suspects = np.isin(values, wanted * factor.numerator / factor.denominator)
        others = values[~suspects & np.isfinite(values)]
        if others.size:
            suspects &= (values > others.max()) | (values < others.min())
        if not suspects.any():
            return []
        more = np.count_nonzero(suspects) - _NAMED_ROWS
        told = ", ".join(map(str, rows[suspects][:_NAMED_ROWS])) + (f" and {more} more" if more > 0 else "")
        codes = ", ".join(f"{value / float(factor):g}" for value in np.unique(values[suspects]))
        return [
            f"{self.found[column].heading} is {codes} in rows {told}, which may be a code for a missing "
            "value; it was taken as a number: leave the cell blank where it is none."
        ]

    def _table(self, rows_read: int) -> RawTable:
        rows = np.concatenate(self.rows)
        codes = {column: np.concatenate(parts) for column, parts in self.codes.items()}
        names = {column: coded.names() for column, coded in self.texts.items()}
        numbers = {column: np.concatenate(parts) for column, parts in self.numbers.items()}
        notes = list(self.headings.notes)
        for column, values in numbers.items():
            notes += self._codes(column, values, rows)
        self._check_keys(rows, codes, names)
        _refuse_changing(self.source, rows, codes, names, numbers)
        empty = np.zeros(rows.size, dtype="<U1")
        keys = {c: names[c][codes[c]] if c in codes else empty for c in (SUBJECT, LEVEL, READING)}
        if SUBJECT not in codes:
            keys[SUBJECT] = np.array([f"row {row}" for row in rows], dtype=np.str_)
            notes.append(
                f"{self.source} does not name its subjects; they are called by their rows, the heading is row 1."
            )
        labels = {column: names[column][codes[column]] for column in codes if column in LABELS}
        for column in labels:
            severe = labels[column] == SEVERE
            if severe.any():
                labels[column][severe] = CLASSES[-1]
                notes.append(f"{np.count_nonzero(severe)} rows of {column} are {SEVERE}; they count as {CLASSES[-1]}.")
        left_out = [LeftOut(f"row {row}", "blank") for row in self.blank]
        table = RawTable(
            self.source, rows, keys[SUBJECT], keys[LEVEL], keys[READING], numbers, labels,
            {c: SourceColumn(f.heading, f.about) for c, f in self.found.items() if c in NUMBERS or c in LABELS},
            rows_read, tuple(left_out), self.headings.ignored, tuple(notes),
        )  # fmt: skip
        if EVALUABLE in codes:
            table = _without(table, names[EVALUABLE][codes[EVALUABLE]] == "no", "not evaluable")
        return table

    def _check_keys(self, rows: IntArray, codes: Mapping[str, IntArray], names: Mapping[str, TextArray]) -> None:
        """Each row names its subject, its level where others do, and is there once."""
        for column in (SUBJECT, LEVEL, READING):
            if column in codes and (column == SUBJECT or codes[column].any()) and not codes[column].all():
                row = rows[np.flatnonzero(codes[column] == 0)[0]]
                raise InputError(
                    f"{self.source} row {row} has no {column} in the column {self.found[column].heading!r}, others do; "
                    "complete it, or remove the row"
                )
        if SUBJECT not in codes:
            return
        for row, code in zip(rows[-_LAST_ROWS:], codes[SUBJECT][-_LAST_ROWS:], strict=True):
            name = str(names[SUBJECT][code])
            if name.casefold().strip(" :.") in _OF_SHEETS:
                raise InputError(
                    f"{self.source} row {row}: {name!r} is no subject, but seems to be a row of a spreadsheet over "
                    "the others; remove it, or name the subject otherwise"
                )
        key = _joined(codes)
        order = np.argsort(key, kind="stable")
        twice = np.flatnonzero(key[order][1:] == key[order][:-1])
        if twice.size:
            n = twice[np.argmin(order[twice + 1])]
            first, second = int(order[n]), int(order[n + 1])
            what = " ".join(str(names[c][codes[c][first]]) for c in (SUBJECT, LEVEL, READING) if c in codes).strip()
            raise InputError(
                f"{self.source} row {rows[second]}: {what!r} is that of row {rows[first]}; keep one, or name the level "
                "and the reading of each in columns of their own"
            )


def raw_table(
    name: str,
    heading: Sequence[str],
    rows: Iterable[Sequence[str]],
    dictionary: Mapping[str, str] | None = None,
    commas: bool = False,
) -> RawTable:
    """The rows of a table, checked, in canonical units; see `read_table`.

    Parameters
    ----------
    name : of the table, for messages.
    heading : names of the columns.
    rows : cells below the heading; the first is row 2.
    dictionary : as for `read_table`.
    commas : whether commas separate the cells, so that one within a number may be of thousands.

    Raises
    ------
    InputError
        naming source, row and column of what cannot be read.
    """
    return _Reader(name, heading, dictionary, commas).read(rows)


def cohort_of(table: RawTable, settings: CohortSettings) -> Cohort:
    """The cohort of a table, with the columns that follow from others.

    Raises
    ------
    InputError
        where age and age group contradict each other.
    """
    numbers, labels, sources, notes = derived(
        table.numbers, table.labels, table.sources, lambda n: f"{table.source} {table.where(n)}", settings
    )
    return Cohort(
        name=table.source,
        subjects=table.subjects,
        levels=table.levels,
        readings=table.readings,
        numbers=numbers,
        labels=labels,
        sources=sources,
        curves=None,
        rows_read=table.rows_read,
        left_out=table.left_out,
        ignored=table.ignored,
        notes=(*table.notes, *notes),
    )


def derived(
    numbers: Mapping[str, FloatArray],
    labels: Mapping[str, TextArray],
    sources: Mapping[str, SourceColumn],
    where: Callable[[int], str],
    settings: CohortSettings,
    averaged: bool = False,
) -> tuple[dict[str, FloatArray], dict[str, TextArray], dict[str, SourceColumn], list[str]]:
    """The columns of a cohort with those that follow from them, and sentences on what was done.

    Age groups follow from age, categories from T-scores, ve from Ktrans over kep. What is given is never changed; where
    it contradicts what would follow, a sentence says so.

    Parameters
    ----------
    numbers, labels, sources : as of `Cohort`.
    where : names a row in messages.
    settings : which T-score classifies, and how it is rounded.
    averaged : whether the numbers are means over vertebrae, of which ve is not Ktrans/kep.

    Raises
    ------
    InputError
        where age and age group contradict each other.
    """
    work = _Derivation(dict(numbers), dict(labels), dict(sources), where, settings)
    work.age_groups()
    work.classes()
    if not averaged:
        work.ve()
    return work.numbers, work.labels, work.sources, work.notes


def without_t_score(numbers: Mapping[str, FloatArray], labels: Mapping[str, TextArray]) -> tuple[int, int]:
    """Rows with a T-score, or a category of it, for whom ISCD takes the Z-score, and those for whom it may.

    By ISCD premenopausal women and men below 50 years have a Z-score; of women below 50 years the menopausal status
    must be known.

    Parameters
    ----------
    numbers, labels : by column, (n,) each, as of `Cohort`; those that are missing are not known.

    Returns
    -------
    has : rows for whom ISCD takes the Z-score.
    may : women below 50 years whose menopausal status is not known.

    References
    ----------
    ISCD Official Positions, Adult, 2019.
    """
    columns = {**numbers, **labels}
    size = next((values.size for values in columns.values()), 0)
    nothing = np.full(size, ""), np.full(size, np.nan)
    menopause, sex = (labels.get(name, nothing[0]) for name in ("menopause", "sex"))
    young = numbers.get("age_years", nothing[1]) < _T_SCORES_FROM_YEARS
    scored = np.zeros(size, dtype=bool)
    for name in ("bmd_class", *_SITES.values()):
        scored |= labels.get(name, nothing[0]) != ""
    for site in _SITES:
        scored |= np.isfinite(numbers.get(f"t_{site}", nothing[1]))
    own = scored & ((menopause == "pre") | ((sex == "male") & young))
    unknown = scored & young & (sex == "female") & (menopause == "")
    return int(np.count_nonzero(own)), int(np.count_nonzero(unknown))


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


class _Derivation:
    def __init__(
        self,
        numbers: dict[str, FloatArray],
        labels: dict[str, TextArray],
        sources: dict[str, SourceColumn],
        where: Callable[[int], str],
        settings: CohortSettings,
    ) -> None:
        self.numbers, self.labels, self.sources = numbers, labels, sources
        self.where, self.settings = where, settings
        self.notes: list[str] = []

    def age_groups(self) -> None:
        if "age_years" not in self.numbers:
            return
        ages = self.numbers["age_years"]
        found = _mapped(ages, decade)
        given = self.labels.get("age_group")
        if given is None:
            self.labels["age_group"] = found
            self.sources["age_group"] = SourceColumn("", "decade of age_years, from 80 years on one group")
            return
        other = np.flatnonzero((given != "") & (found != "") & (given != found))
        if other.size:
            n = int(other[0])
            raise InputError(
                f"{self.where(n)}: the age group {given[n]} is not that of the age {ages[n]:g}, {found[n]}; correct one"
            )
        blank = (given == "") & (found != "")
        if blank.any():
            self.labels["age_group"] = np.where(blank, found, given)
            self.notes.append(f"age_group of {np.count_nonzero(blank)} rows without one is the decade of age_years.")

    def classes(self) -> None:
        rounding = self.settings.t_score_rounding
        names = np.array(["", *CLASSES])
        of_scores: dict[str, IntArray] = {}  # ranks in CLASSES from 1 on, 0 where there is none
        of_sites: dict[str, IntArray] = {}
        for site, column in _SITES.items():
            if f"t_{site}" in self.numbers:
                found = _mapped(self.numbers[f"t_{site}"], lambda t: t_score_category(t, rounding).value)
                of_scores[f"t_{site}"] = of_sites[f"t_{site}"] = _ranks(found)
                if column and column in self.labels:
                    self._say_different(column, found, f"t_{site}")
                elif column:
                    self.labels[column] = found
                    self.sources[column] = SourceColumn("", f"T-score category of t_{site}, {rounding}")
            elif column and column in self.labels:
                of_sites[column] = _ranks(self.labels[column])
        if self.settings.classification == "paper":
            of_scores = {name: ranks for name, ranks in of_scores.items() if name == "t_lumbar"}
            of_sites = {name: ranks for name, ranks in of_sites.items() if name in ("t_lumbar", "lumbar_class")}
        if "bmd_class" in self.labels:
            if of_scores:
                self._say_different("bmd_class", names[_worst(of_scores)], f"the lowest of {', '.join(of_scores)}")
        elif of_sites:
            about = ("" if len(of_sites) == 1 else "the lowest of ") + ", ".join(of_sites)
            self.labels["bmd_class"] = names[_worst(of_sites)]
            self.sources["bmd_class"] = SourceColumn(
                "", f"T-score category of {about} ({self.settings.classification}, {rounding})"
            )
            self._say_of_sites(of_sites, about)
        self._say_of_z_scores()

    def _say_of_sites(self, of_sites: Mapping[str, IntArray], about: str) -> None:
        text = f"bmd_class is the T-score category of {about}"
        if self.settings.classification == "iscd":
            lacking = [
                f"{n} rows lack {name}" for name, ranks in of_sites.items() if (n := np.count_nonzero(ranks == 0))
            ]
            absent = [site for site, column in _SITES.items() if not {f"t_{site}", column} & set(of_sites)]
            if absent:
                lacking.append(f"there is none of {', '.join(site.replace('_', ' ') for site in absent)}")
            text += "".join(f"; {part}" for part in lacking)
        self.notes.append(f"{text}.")

    def _say_of_z_scores(self) -> None:
        own, unknown = without_t_score(self.numbers, self.labels)
        if own:
            self.notes.append(
                f"{_rows(own)} with a T-score or a category of it: premenopausal women or men below 50 years, for whom "
                "ISCD takes the Z-score; the T-score or category is used as given."
            )
        if unknown:
            self.notes.append(
                f"{_rows(unknown)} with a T-score or a category of it: women below 50 years of unknown menopausal "
                "status, for whom ISCD takes the Z-score unless they are in or after the menopausal transition; the "
                "T-score or category is used as given. Give a column menopause."
            )

    def _say_different(self, column: str, found: TextArray, by: str) -> None:
        given = self.labels[column]
        other = np.flatnonzero((given != "") & (found != "") & (given != found))
        if other.size:
            n = int(other[0])
            self.notes.append(
                f"{column} of {other.size} rows is not the category of {by}; it is kept as given. The first is "
                f"{self.where(n)}: {given[n]}, by T-score {found[n]}."
            )
        without = np.count_nonzero((given == "") & (found != ""))
        if without:
            self.notes.append(f"{column} of {without} rows is missing although {by} is there; it stays missing.")

    def ve(self) -> None:
        if "ktrans_per_min" not in self.numbers or "kep_per_min" not in self.numbers:
            return
        ktrans, kep = self.numbers["ktrans_per_min"], self.numbers["kep_per_min"]
        ratio = np.full(ktrans.size, np.nan)
        np.divide(ktrans, kep, out=ratio, where=kep > 0)
        given = self.numbers.get("ve", np.full(ktrans.size, np.nan))
        differs = np.flatnonzero(np.abs(given - ratio) > _VE_DIFFERENCE * ratio)
        if differs.size:
            n = int(differs[0])
            self.notes.append(
                f"ve of {differs.size} rows differs from Ktrans/kep by more than {_VE_DIFFERENCE:.0%}; it is kept as "
                f"given. The first is {self.where(n)}: {given[n]:.4g}, Ktrans/kep {ratio[n]:.4g}."
            )
        blank = np.isnan(given) & ~np.isnan(ratio)
        impossible = np.flatnonzero(blank & (ratio > NUMBERS["ve"].high))
        if impossible.size:
            n = int(impossible[0])
            self.notes.append(
                f"Ktrans/kep of {impossible.size} rows without ve is above 1, which no ve can be; it stays missing. "
                f"The first is {self.where(n)}: {ratio[n]:.4g}."
            )
            blank[impossible] = False
        if blank.any():
            self.numbers["ve"] = np.where(blank, ratio, given)
            self.sources.setdefault("ve", SourceColumn("", "Ktrans/kep"))
            self.notes.append(f"ve of {np.count_nonzero(blank)} rows without one is computed as Ktrans/kep.")


def _reader_of(column: str) -> Callable[[str], str]:
    """What reads a text of a column."""
    if column in (SUBJECT, READING):
        return pseudonym

    def read(text: str) -> str:
        text = one_line(plain_cell(text))
        return label(column, "" if text.lower() in MISSING else text)

    return read


def _as_numbers(texts: Sequence[str]) -> FloatArray | None:
    """The numbers of plain texts; None where one of them needs a closer look."""
    if "_" in "".join(texts):
        return None
    try:
        return np.array([math.nan if text in _MISSING else float(text) for text in texts])
    except ValueError:
        pass
    try:
        plain = [text.replace(",", ".", 1).replace("\N{MINUS SIGN}", "-") for text in texts]
        return np.array([math.nan if text in _MISSING else float(text) for text in plain])
    except ValueError:
        return None


def _number(text: str) -> float:
    """The number of a text, NaN where it is missing; ValueError where it is none."""
    text = number_text(plain_cell(text.strip()))
    if text.lower() in MISSING:
        return math.nan
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _mapped(values: FloatArray, name: Callable[[float], str]) -> TextArray:
    """A text per number, each number looked at once; empty for NaN."""
    different, place = np.unique(values, return_inverse=True)
    names = np.array(["" if math.isnan(value) else name(float(value)) for value in different], dtype=np.str_)
    return names[place]


def _ranks(labels: TextArray) -> IntArray:
    """Position in `CLASSES` from 1 on; 0 for none."""
    ranks = np.zeros(labels.size, dtype=np.intp)
    for rank, name in enumerate(CLASSES, start=1):
        ranks[labels == name] = rank
    return ranks


def _worst(of: Mapping[str, IntArray]) -> IntArray:
    """The rank of the lowest T-score."""
    return np.max(list(of.values()), axis=0)


def _joined(codes: Mapping[str, IntArray], columns: Sequence[str] = (SUBJECT, LEVEL, READING)) -> IntArray:
    """One number per combination of codes."""
    key = codes[SUBJECT]
    for column in columns:
        if column != SUBJECT and column in codes:
            key = key * (int(codes[column].max()) + 1) + codes[column]
    return key


def _refuse_changing(
    source: str,
    rows: IntArray,
    codes: Mapping[str, IntArray],
    names: Mapping[str, TextArray],
    numbers: Mapping[str, FloatArray],
) -> None:
    """What is of the subject is the same in all rows of a reading of the subject."""
    if LEVEL not in codes:
        return
    key = _joined(codes, (SUBJECT, READING))
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    of_subject = {column: values for column, values in numbers.items() if column not in PER_VERTEBRA}
    of_subject |= {c: np.where(codes[c] == 0, np.nan, codes[c]) for c in codes if c in LABELS}
    for column, values in of_subject.items():
        ordered = values[order]
        differs = np.fmin.reduceat(ordered, starts) < np.fmax.reduceat(ordered, starts)
        if differs.any():
            start = starts[np.argmax(differs)]
            own = order[key[order] == key[order[start]]]
            known = own[~np.isnan(values[own])]
            first = known[0]
            second = known[values[known] != values[first]][0]
            told = [
                f"{names[column][codes[column][n]]}" if column in codes else f"{values[n]:g}" for n in (first, second)
            ]
            raise InputError(
                f"{source}: {column} of subject {str(names[SUBJECT][codes[SUBJECT][first]])!r} is {told[0]} in row "
                f"{rows[first]} and {told[1]} in row {rows[second]}; it must be one for all vertebrae"
            )


def _without(table: RawTable, which: npt.NDArray[np.bool_], reason: str) -> RawTable:
    """The table without some rows, which are listed."""
    left_out = [LeftOut(table.where(int(n)), reason) for n in np.flatnonzero(which)]
    kept = ~which
    return RawTable(
        table.source, table.rows[kept], table.subjects[kept], table.levels[kept], table.readings[kept],
        {column: values[kept] for column, values in table.numbers.items()},
        {column: values[kept] for column, values in table.labels.items()},
        table.sources, table.rows_read, (*table.left_out, *left_out), table.ignored, table.notes,
    )  # fmt: skip


def _groups(subjects: TextArray, readings: TextArray) -> tuple[list[str], IntArray]:
    """Names of subjects with their readings in the order of the rows, and the position of each row's in them."""
    coded = _Coded(lambda text: text)
    same = not (readings != "").any()
    texts = subjects.tolist() if same else [f"{s} ({r})" for s, r in zip(subjects, readings, strict=True)]
    group = np.fromiter(map(coded.__getitem__, texts), dtype=np.intp, count=len(texts)) - 1
    return [str(name) for name in coded.names()[1:]], group
