"""One table as a value: CSV files, MRML tables and reports are written from it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER_OR_SIGN = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)?")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : machine name, with the unit where the numbers are bare; heading of the CSV column.
    values : one value per row: all str, all int or all float (NaN where there is none).
    title : heading for people.
    unit : unit of the numbers, empty for texts and counts.
    description : one sentence.
    quantity : name of the quantity in `quantities.BY_NAME`, empty where the column is none.
    """

    name: str
    values: Sequence[str] | Sequence[int] | Sequence[float]
    title: str
    unit: str = ""
    description: str = ""
    quantity: str = ""


@dataclass(frozen=True)
class Table:
    """Columns of equal length under a name.

    Attributes
    ----------
    name : of its file, and of its node's role.
    title : for people.
    columns : of equal length.

    Raises
    ------
    ValueError
        when the columns differ in length.
    """

    name: str
    title: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        lengths = {column.name: len(column.values) for column in self.columns}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"table {self.name!r}: columns differ in length: {lengths}")

    def __getitem__(self, name: str) -> Sequence[str] | Sequence[int] | Sequence[float]:
        """Values of the column called `name`."""
        for column in self.columns:
            if column.name == name:
                return column.values
        raise KeyError(name)

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    def to_csv(self) -> str:
        """The table as CSV text: a heading, `\\n` line ends, numbers with all their digits, NaN as `nan`.

        Texts that a spreadsheet would take for a formula get an apostrophe, which `plain_cell` takes off again.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([inert_cell(column.name) for column in self.columns])
        for row in zip(*(column.values for column in self.columns), strict=True):
            writer.writerow([_cell(value) for value in row])
        return text.getvalue()


def one_line(text: str) -> str:
    """Text from outside, as it may stand in a table: no line breaks, tabs or double quotes, single blanks.

    Tables in a Slicer scene are saved as tab-separated text, and their reader stumbles over these.

    Parameters
    ----------
    text : from outside.

    Returns
    -------
    One line, with single quotes for double ones.
    """
    return " ".join(text.replace('"', "'").split())


def visible(text: str) -> str:
    """Text from outside, as it may be shown: one line, without control characters and signs that reorder text.

    What has no character at all, as a byte that could not be decoded, becomes a question mark.

    Parameters
    ----------
    text : from outside.

    Returns
    -------
    One line.
    """
    return " ".join(_UNSEEN.sub("", text).encode("utf-8", "replace").decode("utf-8").split())


def inert_cell(text: str) -> str:
    """A text as a cell of CSV: one that begins with = + - @, tab or line break gets an apostrophe before it.

    Numbers, and a sign alone, stay as they are. `plain_cell` gives the text back, whatever it was.

    Parameters
    ----------
    text : of the cell.

    Returns
    -------
    The text, or it after an apostrophe.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER_OR_SIGN.fullmatch(text) else text


def plain_cell(text: str) -> str:
    """The text that `inert_cell` made a cell of.

    Parameters
    ----------
    text : of the cell.

    Returns
    -------
    The text as it was.
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _cell(value: object) -> str:
    if isinstance(value, str):
        return inert_cell(value)
    if isinstance(value, float):  # numpy's float64 is a float, but its repr names its type
        return repr(float(value))
    return str(value)
