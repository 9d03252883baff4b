"""Rows of the long table of tests and estimates, and how they become one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ..errors import InputError
from ..statistics import benjamini_hochberg, holm
from ..tables import Column, Table
from .columns import KINETIC, NUMBERS

NOT_ADJUSTED = frozenset({"assumptions", "post-hoc", "marks"})
"""Families whose p-values are not corrected over the parameters: no decisions, or corrected otherwise."""


@dataclass(frozen=True)
class Row:
    """One test or estimate.

    Attributes
    ----------
    family : what kind of question, for example `groups` or `correlation`.
    test : name of the test or of what is estimated.
    quantity : canonical name of what is compared or explained.
    grouping : canonical name of what makes the groups, or of the other quantity.
    comparison : groups or terms that are compared.
    n : subjects (vertebrae where the test says so) with all that the test needs.
    estimate_name, estimate, low, high : with its 95 % interval.
    statistic, df1, df2 : of the test; df1 alone for t and chi-squared.
    p, p_adjusted, p_fdr : as the test gives it; corrected as `adjustment` says; by Benjamini-Hochberg.
    note : what to know, and the reason where a number is missing.
    """

    family: str
    test: str = ""
    quantity: str = ""
    grouping: str = ""
    comparison: str = ""
    n: int = 0
    estimate_name: str = ""
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    statistic: float = math.nan
    df1: float = math.nan
    df2: float = math.nan
    p: float = math.nan
    p_adjusted: float = math.nan
    p_fdr: float = math.nan
    adjustment: str = ""
    note: str = ""

    def of(
        self, test: str, name: str = "", estimate: float = math.nan, interval: tuple[float, float] = (math.nan,) * 2
    ) -> Row:
        """The same question, another test or estimate."""
        return replace(self, test=test, estimate_name=name, estimate=estimate, low=interval[0], high=interval[1])

    def tested(self, statistic: float, p: float, df1: float = math.nan, df2: float = math.nan) -> Row:
        """The same row with its test."""
        return replace(self, statistic=statistic, p=p, df1=df1, df2=df2)

    def but(self, *notes: str) -> Row:
        """The same row with more to know about it."""
        return replace(self, note="; ".join(note for note in (self.note, *notes) if note))


STATISTICS_COLUMNS = {
    "family": ("Family", "kind of question"),
    "quantity": ("Quantity", "what is compared or explained"),
    "grouping": ("Grouping or other quantity", "what makes the groups, or what the quantity is related to"),
    "comparison": ("Comparison", "groups or terms compared"),
    "test": ("Test or estimate", ""),
    "n": ("n", "subjects, or vertebrae where the test says so, that have all the test needs"),
    "estimate_name": ("Estimate of", "what is estimated"),
    "estimate": ("Estimate", "in the unit of the quantity where it has one"),
    "low": ("Lower limit", "of the 95 % interval"),
    "high": ("Upper limit", "of the 95 % interval"),
    "statistic": ("Statistic", "of the test"),
    "df1": ("df 1", "degrees of freedom; the only ones of t and chi-squared"),
    "df2": ("df 2", "degrees of freedom of the denominator"),
    "p": ("p", "two-sided, not corrected"),
    "p_adjusted": ("Corrected p", "corrected as the next column but one says"),
    "p_fdr": ("p, false discovery rate", "Benjamini-Hochberg over the same p-values"),
    "adjustment": ("Correction", "of the corrected p"),
    "note": ("Note", "what to know, and the reason where a number is missing"),
}
"""Columns of the table of statistics: title and description by name."""


@dataclass
class Findings:
    """What is collected while a cohort is analyzed."""

    rows: list[Row] = field(default_factory=list)
    not_made: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def attempt(self, base: Row, make: Callable[..., Iterable[Row]], *arguments: object) -> None:
        """Add what `make` finds for a row and its arguments, or the row with the reason why that cannot be done."""
        try:
            self.rows += list(make(base, *arguments))
        except InputError as reason:
            self.rows.append(base.but(str(reason)))

    def table(self) -> Table:
        """All rows, p-values corrected over the kinetic parameters."""
        rows = _adjusted(self.rows)
        columns = [
            Column(name, [getattr(row, name) for row in rows], title, description=about)
            for name, (title, about) in STATISTICS_COLUMNS.items()
        ]
        return Table("statistics", "Tests and estimates", tuple(columns))


def title(column: str) -> str:
    """Name of a column of numbers for people."""
    return NUMBERS[column].title


def _adjusted(rows: list[Row]) -> list[Row]:
    """Rows with p-values corrected over Ktrans, kep and ve, where the same question is asked of each."""
    asked: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        if row.quantity in KINETIC and row.family not in NOT_ADJUSTED and not row.adjustment and not math.isnan(row.p):
            key = row.family, row.grouping, row.comparison, row.test, row.estimate_name
            asked.setdefault(key, []).append(place)
    found = list(rows)
    for places in asked.values():
        p = [rows[place].p for place in places]
        names = ", ".join(title(rows[place].quantity) for place in places)
        for place, by_holm, fdr in zip(places, holm(p), benjamini_hochberg(p), strict=True):
            found[place] = replace(
                rows[place], p_adjusted=float(by_holm), p_fdr=float(fdr), adjustment=f"Holm over {names}"
            )
    return found
