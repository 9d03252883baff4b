"""What published tables say about themselves: from n, mean, spread, counts and correlations as printed.

A printed number stands for every number that rounds to it. A finding is raised only when no numbers that round to the
printed ones agree, so tables that were made of one set of data and rounded raise none.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any, TypeVar

import numpy as np
from scipy import stats

from ..errors import InputError
from .groups import Anova, GroupSummary, WelchAnova, anova, from_statistics, welch_anova
from .posthoc import PostHoc, dunnett, games_howell, tukey
from .proportions import chi_squared, fisher
from .values import FloatArray, p_text

READINGS = {"sd": "standard deviation", "se": "standard error", "variance": "variance"}

_SLACK = 1e-9
_T = TypeVar("_T")


@dataclass(frozen=True)
class Printed:
    """A number as printed: its text, its value and half a unit of its last digit."""

    text: str
    value: float
    half: float

    @property
    def low(self) -> float:
        """The least spread that rounds to this; spreads are not negative."""
        return max(self.value - self.half, 0.0)

    @property
    def high(self) -> float:
        """The largest number that rounds to this."""
        return self.value + self.half


@dataclass(frozen=True)
class PublishedQuantity:
    """Means, spreads and marks of one quantity, one per group of its table."""

    means: tuple[Printed, ...]
    spreads: tuple[Printed, ...]
    marked: tuple[str, ...]


@dataclass(frozen=True)
class PublishedCount:
    """Counts, percentages and marks, one per group of the table."""

    counts: tuple[int, ...]
    percents: tuple[Printed, ...]
    marked: tuple[str, ...]


@dataclass(frozen=True)
class PublishedTable:
    """One table: groups, their sizes, what marks mean, and what was measured.

    Attributes
    ----------
    limits : lowest and highest value of a quantity in each group, where groups are made by it.
    marks : by mark, the group it compares with and the level it claims.
    defined_by : quantities that make the groups; they differ between them by construction.
    """

    name: str
    groups: tuple[str, ...]
    n: tuple[int, ...]
    limits: dict[str, tuple[tuple[float, float], ...]]
    marks: dict[str, tuple[str, float]]
    quantities: dict[str, PublishedQuantity]
    counts: dict[str, PublishedCount]
    defined_by: tuple[str, ...]

    @property
    def sizes(self) -> FloatArray:
        """Subjects per group."""
        return np.array(self.n, dtype=np.float64)


@dataclass(frozen=True)
class Finding:
    """One thing that cannot be as printed.

    Attributes
    ----------
    kind : `percentage`, `mean`, `spread`, `product`, `correlation`, `sign`, `mark` or `rise`.
    where : table and cell.
    message : what is wrong and why.
    suggestion : what was probably meant; empty where nothing is known.
    """

    kind: str
    where: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"; probably {self.suggestion}" if self.suggestion else "")


@dataclass(frozen=True)
class Retest:
    """One quantity of one table as groups that every test of means takes.

    Attributes
    ----------
    reading : what the spreads were taken for.
    groups : counts, means and variances.
    control : the group that the first mark of the table compares with; empty where there is no mark.
    note : what was put in the place of printed numbers; empty where nothing was.
    """

    table: str
    quantity: str
    reading: str
    groups: GroupSummary
    control: str
    note: str = ""

    @cached_property
    def anova(self) -> Anova:
        """Analysis of variance."""
        return anova(self.groups)

    @cached_property
    def welch(self) -> WelchAnova:
        """Welch's analysis of variance."""
        return welch_anova(self.groups)

    @cached_property
    def pairs(self) -> tuple[PostHoc, ...]:
        """Pairs by Tukey and Games-Howell, and by Dunnett where there is a control; takes half a second."""
        found = [tukey(self.groups), games_howell(self.groups)]
        return (*found, *([dunnett(self.groups, self.control)] if self.control else []))

    def __str__(self) -> str:
        head = f"{self.table}, {self.quantity}, spread read as {READINGS[self.reading]}"
        return "\n".join([head, *(str(test) for test in (self.anova, self.welch, *self.pairs))])


@dataclass(frozen=True)
class TotalSpread:
    """Least and largest standard deviation of all subjects, by one table under one reading of its spreads."""

    table: str
    quantity: str
    reading: str
    low: float
    high: float


@dataclass(frozen=True)
class ProductCheck:
    """How far the mean of a product is from the product of the means in a group, and how far it may be.

    Attributes
    ----------
    formula : for example `ktrans = kep x ve`.
    away : the covariance that is needed at least, whatever was rounded.
    allowed : by reading, the largest product of the two standard deviations.
    """

    table: str
    group: str
    formula: str
    away: float
    allowed: dict[str, float]


@dataclass(frozen=True)
class CorrelationCheck:
    """A published correlation beside those that the tables allow.

    Attributes
    ----------
    published : as printed.
    direction : `negative` or `positive` where the text says so.
    possible : lowest and highest, spreads read as they can be; (-1, 1) where no table holds both quantities.
    as_stated : the same, spreads read as the paper says.
    """

    x: str
    y: str
    published: str
    direction: str
    possible: tuple[float, float]
    as_stated: tuple[float, float]


@dataclass(frozen=True)
class Audit:
    """What was found in published tables.

    Attributes
    ----------
    stated : what the paper says its spreads are.
    findings : what cannot be as printed.
    readings : by quantity, what its spreads can be; the stated reading first where nothing speaks against it.
    against : by quantity and reading, why its spreads cannot be that.
    totals, products, correlations : the numbers that readings and findings rest on.
    retests : quantities to be tested again, each under its first possible reading; their text runs the tests.
    as_stated : the same under the stated reading, where that is not possible; for comparison.
    not_tested : why a quantity of a table has no retest.
    """

    stated: str
    findings: tuple[Finding, ...]
    readings: dict[str, tuple[str, ...]]
    against: dict[str, dict[str, str]]
    totals: tuple[TotalSpread, ...]
    products: tuple[ProductCheck, ...]
    correlations: tuple[CorrelationCheck, ...]
    retests: tuple[Retest, ...]
    as_stated: tuple[Retest, ...]
    not_tested: tuple[str, ...]

    @property
    def possible(self) -> dict[tuple[str, str], tuple[float, float]]:
        """By pair of quantities, the lowest and highest correlation that the tables allow."""
        return {(check.x, check.y): check.possible for check in self.correlations}

    def of(self, kind: str) -> list[Finding]:
        """Findings of one kind.

        Parameters
        ----------
        kind : as of `Finding`.

        Returns
        -------
        These findings, in the order in which they were found.
        """
        return [finding for finding in self.findings if finding.kind == kind]

    def __str__(self) -> str:
        count = len(self.findings)
        return "\n".join([f"{count} finding{'s' * (count != 1)}", *(f"- {finding}" for finding in self.findings)])


def source_paper() -> dict[str, Any]:
    """The tables of Huang et al. 2019 as printed: the example of what `audit` takes.

    Returns
    -------
    As `data/huang2019_tables.json` holds it.

    References
    ----------
    Huang Z et al., Adv Clin Exp Med 2019;28(8):1005-1011, Tables 1 to 3.
    """
    text = resources.files("DCEPerfusionBMDLib").joinpath("data").joinpath("huang2019_tables.json")
    data: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return data


def audit(paper: Mapping[str, Any]) -> Audit:
    """Find what cannot be as printed in the tables of a paper.

    Parameters
    ----------
    paper : as `source_paper` shows it: printed numbers as texts, so that their last digit is known. Tables whose
        group sizes have the same sum are taken to be of the same subjects, products to hold in every subject, and
        correlations to be Pearson's.

    Returns
    -------
    What cannot be as printed, what the spreads can be, and the numbers that this rests on, in the units of the paper.

    Raises
    ------
    InputError
        naming the place in `paper` that is missing or cannot be read.

    Notes
    -----
    A printed number stands for all that round to it; a finding is raised only where none of them agree. Tables of the
    same subjects share their grand mean sum(n m) / N and their total sum of squares sum((n - 1) s^2 + n (m - M)^2); the
    mean of a product is off the product of the means by a covariance, at most (n - 1) / n s_a s_b; what correlations
    are possible follows from the sums of products between groups, and those within by the inequality of Cauchy and
    Schwarz. `docs/source-paper-audit.md` says which finding rests on what.
    """
    return _Auditor(paper).result()


@dataclass
class _Auditor:
    paper: Mapping[str, Any]
    tables: list[PublishedTable] = field(init=False)
    findings: list[Finding] = field(init=False, default_factory=list)
    stated: str = field(init=False)
    products: list[tuple[str, str, str]] = field(init=False)
    product_checks: list[ProductCheck] = field(init=False, default_factory=list)
    replaced: dict[tuple[str, str], str] = field(init=False, default_factory=dict)
    against: dict[str, dict[str, str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.paper, Mapping):
            raise InputError("a paper is an object with 'tables', as the example shows")
        self.stated = str(self.paper.get("stated", "sd"))
        if self.stated not in READINGS:
            raise InputError(f"stated: a spread is {', '.join(READINGS)}, not {self.stated!r}")
        tables = _get(self.paper, "tables", list, "the paper")
        self.tables = [_table(item, f"tables[{i}]") for i, item in enumerate(tables)]
        self.products = []
        for i, item in enumerate(_list(self.paper, "products", "the paper")):
            factors = _get(item, "factors", list, f"products[{i}]")
            if len(factors) != 2:
                raise InputError(f"products[{i}]: a product has two factors")
            self.products.append((_get(item, "product", str, f"products[{i}]"), str(factors[0]), str(factors[1])))

    def result(self) -> Audit:
        self.percentages()
        self.grand_means()
        readings = self.readings()
        self.product_means(readings)
        correlations = self.correlations(readings)
        self.marks_of_means(readings)
        self.marks_of_counts()
        self.rises()
        retests, as_stated, not_tested = self.retests(readings)
        totals = [
            TotalSpread(table.name, quantity, reading, *_total_sd(table, quantity, reading))
            for quantity in readings
            for table in self.with_quantity(quantity)
            for reading in READINGS
        ]
        return Audit(
            self.stated,
            tuple(self.findings),
            readings,
            self.against,
            tuple(totals),
            tuple(self.product_checks),
            tuple(correlations),
            tuple(retests),
            tuple(as_stated),
            tuple(not_tested),
        )

    def add(self, kind: str, where: str, message: str, suggestion: str = "") -> None:
        self.findings.append(Finding(kind, where, message, suggestion))

    def with_quantity(self, quantity: str) -> list[PublishedTable]:
        return [table for table in self.tables if quantity in table.quantities]

    def table(self, name: str, where: str) -> PublishedTable:
        for table in self.tables:
            if table.name == name:
                return table
        raise InputError(f"{where}: no table is called {name!r}")

    def percentages(self) -> None:
        for table in self.tables:
            for name, count in table.counts.items():
                for group, c, n, percent in zip(table.groups, count.counts, table.n, count.percents, strict=True):
                    true = 100 * c / n
                    if abs(true - percent.value) > percent.half * (1 + 1e-6):
                        digits = len(percent.text.partition(".")[2])
                        other = round(percent.value * n / 100)
                        message = f"{c} of {n} is {true:.{digits}f} %, not {percent.text} %"
                        if other != c and abs(100 * other / n - percent.value) <= percent.half * (1 + 1e-6):
                            message += f", which is {other} of {n}"
                        self.add("percentage", f"{table.name}, {name}, {group}", message, f"{true:.{digits}f} %")

    def grand_means(self) -> None:
        """Tables of the same subjects have the same mean over all of them; one misprinted cell is looked for."""
        for quantity in dict.fromkeys(name for table in self.tables for name in table.quantities):
            for a, b in itertools.combinations(self.with_quantity(quantity), 2):
                if sum(a.n) != sum(b.n):
                    continue
                (mean_a, half_a), (mean_b, half_b) = _grand_mean(a, quantity), _grand_mean(b, quantity)
                if abs(mean_a - mean_b) <= (half_a + half_b) * (1 + _SLACK):
                    continue
                cells = []
                for table, away in ((a, mean_b - mean_a), (b, mean_a - mean_b)):
                    for i, n in enumerate(table.n):
                        printed = table.quantities[quantity].means[i]
                        needed = printed.value + away * sum(table.n) / n
                        reach = (half_a + half_b) * sum(table.n) / n
                        cells += [
                            (table, i, guess)
                            for guess in _misprints(printed.text)
                            if abs(guess.value - needed) <= reach and self.product_holds(table, i, quantity, guess)
                        ]
                where = f"{a.name} and {b.name}, {quantity}"
                message = f"the same {sum(a.n)} subjects have the mean {mean_a:.4g} and {mean_b:.4g}"
                if len(cells) == 1:
                    table, i, guess = cells[0]
                    old = table.quantities[quantity].means[i]
                    where = f"{table.name}, {quantity}, {table.groups[i]}"
                    self.add("mean", where, f"{message}, so {old.text} cannot be", guess.text)
                    self.replace(table, quantity, i, guess)
                else:
                    guesses = ", ".join(f"{t.name} {t.groups[i]} {guess.text}" for t, i, guess in cells)
                    self.add("mean", where, message, f"one of {guesses}" if guesses else "")

    def replace(self, table: PublishedTable, quantity: str, group: int, guess: Printed) -> None:
        """Go on with what was probably meant."""
        old = table.quantities[quantity]
        means = (*old.means[:group], guess, *old.means[group + 1 :])
        table.quantities[quantity] = PublishedQuantity(means, old.spreads, old.marked)
        self.replaced[table.name, quantity] = (
            f"mean of {table.groups[group]} taken as {guess.text}, not {old.means[group].text}"
        )

    def product_holds(self, table: PublishedTable, group: int, quantity: str, guess: Printed) -> bool:
        """Whether a mean agrees with the means of the quantities that it is a product or factor of."""
        for names in self.products:
            if quantity in names and all(name in table.quantities for name in names):
                means = [guess if name == quantity else table.quantities[name].means[group] for name in names]
                away, allowed = _covariance(table, names, means, group)
                if away > max(allowed.values()) * (1 + _SLACK):
                    return False
        return True

    def readings(self) -> dict[str, tuple[str, ...]]:
        """What the spreads of each quantity can be."""
        against = self.against
        for quantity in dict.fromkeys(name for table in self.tables for name in table.quantities):
            against[quantity] = {}
            for reading in READINGS:
                reason = self.total_spread(quantity, reading)
                if reason:
                    against[quantity][reading] = reason
        for i, claim in enumerate(_list(self.paper, "no_difference", "the paper")):
            where = f"no_difference[{i}]"
            table = self.table(_get(claim, "table", str, where), where)
            names = [str(name) for name in _get(claim, "quantities", list, where)]
            if len(names) != 2 or any(name not in table.quantities for name in names):
                raise InputError(f"{where}: two quantities of {table.name} are needed, not {', '.join(names)}")
            test = str(claim.get("test", ""))
            if test not in ("", "two-sample", "paired"):
                raise InputError(f"{where}.test: {test!r} is neither two-sample nor paired")
            for reading in READINGS:
                reason = _differs(table, names, reading, _level(claim, where), test)
                for name in names:
                    if reason and reading not in against[name]:
                        against[name][reading] = reason
        found = {}
        for quantity, reasons in against.items():
            left = tuple(reading for reading in READINGS if reading not in reasons)
            tables = " and ".join(table.name for table in self.with_quantity(quantity))
            if self.stated in reasons:
                meant = " or ".join(READINGS[reading] for reading in left)
                self.add(
                    "spread",
                    f"{tables}, {quantity}",
                    f"the number after ± is no {READINGS[self.stated]}: {reasons[self.stated]}"
                    + ("" if left else "; no other reading is possible either"),
                    f"a {meant}" if left else "",
                )
            found[quantity] = (self.stated, *(r for r in left if r != self.stated)) if self.stated in left else left
        return found

    def total_spread(self, quantity: str, reading: str) -> str:
        """Why a reading is not possible: tables of the same subjects have the same total standard deviation."""
        spans = []
        for table in self.with_quantity(quantity):
            low, high = _total_sd(table, quantity, reading)
            spans.append((table.name, sum(table.n), low, high))
        for (name_a, n_a, low_a, high_a), (name_b, n_b, low_b, high_b) in itertools.combinations(spans, 2):
            if n_a == n_b and (low_a > high_b * (1 + _SLACK) or low_b > high_a * (1 + _SLACK)):
                return (
                    f"the total standard deviation of the same {n_a} subjects would be {_span(low_a, high_a)} by "
                    f"{name_a} and {_span(low_b, high_b)} by {name_b}"
                )
        for name, n, low, high in spans:
            for table in self.tables:
                if quantity in table.limits and sum(table.n) == n:
                    least, most = self.limited_sd(table, quantity)
                    if high < least * (1 - _SLACK) or low > most * (1 + _SLACK):
                        return (
                            f"the total standard deviation would be {_span(low, high)} by {name}, but the group sizes "
                            f"of {table.name} allow {_span(least, most)} only"
                        )
        return ""

    def limited_sd(self, table: PublishedTable, quantity: str) -> tuple[float, float]:
        """Least and largest total SD of values of which each group's limits are known."""
        lower, upper = -math.inf, math.inf
        if quantity in _mapping(self.paper, "ranges", "the paper"):
            lower, upper = _limits(self.paper["ranges"][quantity], f"ranges.{quantity}")
        low = np.array([max(a, lower) for a, _ in table.limits[quantity]])
        high = np.array([min(b, upper) for _, b in table.limits[quantity]])
        if np.any(low > high):
            raise InputError(f"ranges.{quantity}: a group of {table.name} lies outside")
        n, total = table.sizes, sum(table.n)
        middle = np.linspace(low.min(), high.max(), 2001)[:, None]
        least = float(np.sum(n * (np.clip(middle, low, high) - middle) ** 2, axis=1).min())
        # sum of squares about the mean is at most that about any number
        most = float(np.sum(n * np.maximum((low - middle) ** 2, (high - middle) ** 2), axis=1).min())
        step = (middle[1, 0] - middle[0, 0]) * math.sqrt(total)  # what the grid can miss
        return max(0.0, math.sqrt(least) - step) / math.sqrt(total - 1), math.sqrt(most / (total - 1))

    def product_means(self, readings: Mapping[str, tuple[str, ...]]) -> None:
        """A mean of products differs from the product of means by no more than the spreads allow."""
        for table in self.tables:
            for names in self.products:
                if not all(name in table.quantities for name in names):
                    continue
                possible = [r for r in READINGS if all(r in readings[name] for name in names)] or list(READINGS)
                for i, group in enumerate(table.groups):
                    means = [table.quantities[name].means[i] for name in names]
                    away, allowed = _covariance(table, names, means, i)
                    formula = f"{names[0]} = {names[1]} x {names[2]}"
                    self.product_checks.append(ProductCheck(table.name, group, formula, away, allowed))
                    if all(away > allowed[reading] * (1 + _SLACK) for reading in possible):
                        self.add(
                            "product",
                            f"{table.name}, {group}",
                            f"{names[0]} {means[0].text} is further from {names[1]} x {names[2]} = {means[1].text} x "
                            f"{means[2].text} = {means[1].value * means[2].value:.4g} than the spreads allow",
                        )

    def correlations(self, readings: Mapping[str, tuple[str, ...]]) -> list[CorrelationCheck]:
        """Which correlations the tables allow, and whether the published ones are among them."""
        checks = []
        for i, item in enumerate(_list(self.paper, "correlations", "the paper")):
            where = f"correlations[{i}]"
            x, y, n = _get(item, "x", str, where), _get(item, "y", str, where), _get(item, "n", int, where)
            r = _printed(_get(item, "r", str, where), f"{where}.r")
            direction = str(item.get("direction", ""))
            if direction not in ("", "negative", "positive"):
                raise InputError(f"{where}.direction: {direction!r} is neither negative nor positive")
            low, high = self.correlation_span(x, y, n, readings)
            stated = {name: (self.stated,) for name in readings}
            as_stated = self.correlation_span(x, y, n, stated)
            checks.append(CorrelationCheck(x, y, r.text, direction, (low, high), as_stated))
            if abs(r.value) - r.half > 1:
                self.add("correlation", f"{x} and {y}", f"a correlation of {r.text} is not possible")
                continue
            value = r.value
            if direction and (value < 0) != (direction == "negative") and value != 0:
                self.add("sign", f"{x} and {y}", f"r = {r.text} is called {direction}", f"{-value:g}")
                value = -value
            if value + r.half < low - _SLACK or value - r.half > high + _SLACK:
                self.add(
                    "correlation",
                    f"{x} and {y}",
                    f"r = {value:g} is not possible: the tables allow {low:.3f} to {high:.3f}",
                )
        return checks

    def correlation_span(self, x: str, y: str, n: int, readings: Mapping[str, tuple[str, ...]]) -> tuple[float, float]:
        """Lowest and highest correlation by all tables that hold both quantities of these n subjects."""
        low, high = -1.0, 1.0
        for table in self.tables:
            if x in table.quantities and y in table.quantities and sum(table.n) == n:
                spans = [
                    _correlation_span(table, x, y, reading_x, reading_y)
                    for reading_x, reading_y in itertools.product(readings[x], readings[y])
                ]
                if spans:
                    low = max(low, min(span[0] for span in spans))
                    high = min(high, max(span[1] for span in spans))
        return low, high

    def marks_of_means(self, readings: Mapping[str, tuple[str, ...]]) -> None:
        """Marks that no t-test of the two groups supports, pooled over all groups, over two, or not at all."""
        for table in self.tables:
            for quantity, published in table.quantities.items():
                for i, mark, base, alpha in _marked(table, published.marked):
                    best = [_least_p(table, published, i, base, r) for r in readings[quantity] or READINGS]
                    if min(best) >= alpha:
                        self.add(
                            "mark",
                            f"{table.name}, {quantity}, {table.groups[i]}",
                            f"{mark} claims p < {alpha:g} against {table.groups[base]}, but no t-test gives less than "
                            f"{p_text(min(best))}",
                        )

    def marks_of_counts(self) -> None:
        """Marks on percentages that neither Fisher's nor the chi-squared test supports."""
        for table in self.tables:
            for name, count in table.counts.items():
                for i, mark, base, alpha in _marked(table, count.marked):
                    pairs = [[count.counts[g], table.n[g] - count.counts[g]] for g in (i, base)]
                    exact, rough = fisher(pairs).p, 1.0
                    if 0 < pairs[0][0] + pairs[1][0] < table.n[i] + table.n[base]:
                        rough = chi_squared(pairs).p
                    if min(exact, rough) >= alpha:
                        self.add(
                            "mark",
                            f"{table.name}, {name}, {table.groups[i]}",
                            f"{mark} claims p < {alpha:g} against {table.groups[base]}, but Fisher's test gives "
                            f"{p_text(exact)}",
                        )

    def rises(self) -> None:
        """A rate that is said to rise by so much from group to group."""
        for i, claim in enumerate(_list(self.paper, "rises", "the paper")):
            where = f"rises[{i}]"
            table, name = (
                self.table(_get(claim, "table", str, where), where),
                str(_get(claim, "count", str, where)),
            )
            if name not in table.counts or claim.get("from", table.groups[0]) not in table.groups:
                raise InputError(f"{where}: {table.name} has no such count or group")
            least = _number(claim, "at_least_percent", where)
            count = table.counts[name]
            shares = [100 * c / n for c, n in zip(count.counts, table.n, strict=True)]
            printed = [percent.value for percent in count.percents]
            first = table.groups.index(claim.get("from", table.groups[0]))
            for j in range(first, len(shares) - 1):
                rise, as_printed = shares[j + 1] - shares[j], printed[j + 1] - printed[j]
                if rise < least - _SLACK:
                    self.add(
                        "rise",
                        f"{table.name}, {name}, {table.groups[j]} to {table.groups[j + 1]}",
                        f"said to rise by {least:g} % of the group or more, but it rises by {rise:.1f} %"
                        + f" ({as_printed:.1f} % as printed)" * (f"{as_printed:.1f}" != f"{rise:.1f}"),
                    )

    def retests(self, readings: Mapping[str, tuple[str, ...]]) -> tuple[list[Retest], list[Retest], list[str]]:
        found, as_stated, reasons = [], [], []
        for table in self.tables:
            for quantity in table.quantities:
                if quantity in table.defined_by:
                    reasons.append(f"{table.name}, {quantity}: it defines the groups, which differ by construction")
                elif not readings[quantity]:
                    reasons.append(f"{table.name}, {quantity}: its spreads agree with no reading")
                else:
                    found.append(self.retest(table, quantity, readings[quantity][0]))
                    if readings[quantity][0] != self.stated:
                        as_stated.append(self.retest(table, quantity, self.stated))
        return found, as_stated, reasons

    def retest(self, table: PublishedTable, quantity: str, reading: str) -> Retest:
        """Groups as printed; a spread printed as zero is taken as half the largest that rounds to it."""
        published = table.quantities[quantity]
        notes = [self.replaced.get((table.name, quantity), "")]
        spreads = []
        for group, spread in zip(table.groups, published.spreads, strict=True):
            spreads.append(spread.value if spread.value > 0 else spread.high / 2)
            if spread.value == 0:
                notes.append(f"spread of {group} taken as {spread.high / 2:g}, not {spread.text}")
        groups = from_statistics(table.groups, table.n, [m.value for m in published.means], spreads, reading)
        control = next(iter(table.marks.values()))[0] if table.marks else ""
        return Retest(table.name, quantity, reading, groups, control, "; ".join(filter(None, notes)))


def _sds(published: PublishedQuantity, n: FloatArray, reading: str) -> tuple[FloatArray, FloatArray]:
    """Least and largest standard deviations that the printed spreads can stand for."""
    low = np.array([s.low for s in published.spreads])
    high = np.array([s.high for s in published.spreads])
    if reading == "variance":
        return np.sqrt(low), np.sqrt(high)
    factor = np.sqrt(n) if reading == "se" else 1.0
    return low * factor, high * factor


def _grand_mean(table: PublishedTable, quantity: str) -> tuple[float, float]:
    means, n = table.quantities[quantity].means, table.sizes
    return (
        float(np.average([m.value for m in means], weights=n)),
        float(np.average([m.half for m in means], weights=n)),
    )


def _between(table: PublishedTable, quantity: str) -> tuple[FloatArray, float]:
    """Weighted deviations of the group means from the grand mean, and by how much rounding moves their norm."""
    means, n = table.quantities[quantity].means, table.sizes
    values = np.array([m.value for m in means])
    halves = np.array([m.half for m in means])
    return np.sqrt(n) * (values - np.average(values, weights=n)), math.sqrt(float(np.sum(n * halves**2)))


def _norms(table: PublishedTable, quantity: str, reading: str) -> tuple[float, float]:
    """Least and largest square root of the total sum of squares."""
    away, moved = _between(table, quantity)
    low, high = _sds(table.quantities[quantity], table.sizes, reading)
    norm = float(np.linalg.norm(away))
    within = [float(np.sum((table.sizes - 1) * sd**2)) for sd in (low, high)]
    return math.sqrt(max(norm - moved, 0.0) ** 2 + within[0]), math.sqrt((norm + moved) ** 2 + within[1])


def _total_sd(table: PublishedTable, quantity: str, reading: str) -> tuple[float, float]:
    low, high = _norms(table, quantity, reading)
    root = math.sqrt(sum(table.n) - 1)
    return low / root, high / root


def _correlation_span(table: PublishedTable, x: str, y: str, reading_x: str, reading_y: str) -> tuple[float, float]:
    """Least and largest correlation: within a group it is unknown, between groups the means tell it."""
    (away_x, moved_x), (away_y, moved_y) = _between(table, x), _between(table, y)
    between = float(away_x @ away_y)
    moved = float(np.linalg.norm(away_x) * moved_y + np.linalg.norm(away_y) * moved_x + moved_x * moved_y)
    sd_x = _sds(table.quantities[x], table.sizes, reading_x)[1]
    sd_y = _sds(table.quantities[y], table.sizes, reading_y)[1]
    within = float(np.sum((table.sizes - 1) * sd_x * sd_y))
    norms_x, norms_y = _norms(table, x, reading_x), _norms(table, y, reading_y)
    least, most = norms_x[0] * norms_y[0], norms_x[1] * norms_y[1]

    def ratio(top: float, smallest: bool) -> float:
        bottom = most if (top > 0) == smallest else least
        return top / bottom if bottom > 0 else math.copysign(1.0, top)

    low, high = ratio(between - moved - within, True), ratio(between + moved + within, False)
    return max(low, -1.0), min(high, 1.0)


def _covariance(
    table: PublishedTable, names: tuple[str, str, str], means: list[Printed], group: int
) -> tuple[float, dict[str, float]]:
    """Least |mean(ab) - mean(a) mean(b)|, a covariance, and by reading the largest that the spreads allow."""
    product, a, b = means
    n = table.n[group]
    allowed = {}
    for reading in READINGS:
        high = [float(_sds(table.quantities[name], table.sizes, reading)[1][group]) for name in names[1:]]
        allowed[reading] = (n - 1) / n * high[0] * high[1]
    rounding = product.half + abs(a.value) * b.half + abs(b.value) * a.half + a.half * b.half
    away = abs(product.value - a.value * b.value) - rounding * (1 + _SLACK)
    return max(away, 0.0), allowed


def _differs(table: PublishedTable, names: list[str], reading: str, alpha: float, test: str) -> str:
    """Why two quantities that are said not to differ would do so in a group, by any test that may have been meant."""
    for i, (group, n) in enumerate(zip(table.groups, table.n, strict=True)):
        means = [table.quantities[name].means[i] for name in names]
        high = [float(_sds(table.quantities[name], table.sizes, reading)[1][i]) for name in names]
        away = max(abs(means[0].value - means[1].value) - means[0].half - means[1].half, 0.0)
        # the standard deviation of a paired difference is at most the sum of both; Welch has n - 1 degrees at least
        error = (math.hypot(*high) if test == "two-sample" else sum(high)) / math.sqrt(n)
        p = float(2 * stats.t.sf(away / error, n - 1)) if error > 0 else float(away == 0)
        p = min(1.0, p if test else p * len(table.n))  # what is not said may have been corrected by Bonferroni
        if p < alpha:
            return (
                f"{names[0]} and {names[1]} would differ in group {group} of {table.name} (p = {p_text(p)} or less), "
                "and the paper says that they do not"
            )
    return ""


def _least_p(table: PublishedTable, published: PublishedQuantity, first: int, second: int, reading: str) -> float:
    """The least p of three t-tests of two groups, over all numbers that round to the printed ones."""
    sd = _sds(published, table.sizes, reading)[0]
    a, b = published.means[first], published.means[second]
    away = abs(a.value - b.value) + a.half + b.half
    n = table.sizes
    pair = [first, second]
    squares = (n - 1) * sd**2
    pooled, two = float(squares.sum() / (n.sum() - n.size)), float(squares[pair].sum() / (n[pair].sum() - 2))
    parts = sd[pair] ** 2 / n[pair]
    tests = [
        (pooled * float(np.sum(1 / n[pair])), n.sum() - n.size),
        (two * float(np.sum(1 / n[pair])), n[pair].sum() - 2),
    ]
    # Welch's degrees of freedom lie between the smaller group's and the pooled ones
    tests.append((float(parts.sum()), n[pair].sum() - 2))
    return min(float(2 * stats.t.sf(away / math.sqrt(variance), df)) if variance > 0 else 0.0 for variance, df in tests)


def _marked(table: PublishedTable, marked: tuple[str, ...]) -> Iterator[tuple[int, str, int, float]]:
    """Every mark of a row of cells: cell, mark, the cell it compares with, the level it claims."""
    for i, text in enumerate(marked):
        for mark in text:
            if mark not in table.marks:
                raise InputError(f"{table.name}: the mark {mark!r} is not explained")
            against, alpha = table.marks[mark]
            yield i, mark, table.groups.index(against), alpha


def _misprints(text: str) -> Iterator[Printed]:
    """Numbers whose printing as `text` takes one slip: two digits swapped, one digit wrong, the point moved."""
    digits = [i for i, character in enumerate(text) if character.isdigit()]
    found = set()
    for i, j in itertools.combinations(digits, 2):
        swapped = list(text)
        swapped[i], swapped[j] = text[j], text[i]
        found.add("".join(swapped))
    for i in digits:
        found |= {text[:i] + digit + text[i + 1 :] for digit in "0123456789"}
    point = text.find(".")
    if point > 0:
        bare = text[:point] + text[point + 1 :]
        found |= {bare[:k] + "." + bare[k:] for k in (point - 1, point + 1) if 0 < k < len(bare)}
    for guess in sorted(found - {text}):
        yield _printed(guess, "guess")


def _span(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"


def _printed(value: object, where: str) -> Printed:
    if not isinstance(value, str) or not re.fullmatch(r"[-\u2212]?\d*\.?\d+", value.strip()):
        raise InputError(f'{where}: {value!r} is not a printed number; write it as text, for example "0.318"')
    text = value.strip().replace("\u2212", "-")
    if not math.isfinite(float(text)):
        raise InputError(f"{where}: the number is too large")
    return Printed(text, float(text), 0.5 * 10.0 ** -len(text.partition(".")[2]))


def _get(item: Any, key: str, kind: type[_T], where: str) -> _T:
    if not isinstance(item, Mapping) or key not in item:
        raise InputError(f"{where}: {key!r} is missing")
    value = item[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"{where}.{key}: {value!r} is no {kind.__name__}")
    return value


def _list(item: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """What may be left out."""
    return _get(item, key, list, where) if key in item else []


def _mapping(item: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """What may be left out."""
    return _get(item, key, dict, where) if key in item else {}


def _level(item: Any, where: str) -> float:
    alpha = _number(item, "alpha", where)
    if not 0 < alpha < 1:
        raise InputError(f"{where}.alpha: {alpha:g} is no level; it lies between 0 and 1")
    return alpha


def _limits(pair: Any, where: str) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise InputError(f"{where}: the lowest and the highest value are needed")
    low, high = (_printed(text, where).value for text in pair)
    if low > high:
        raise InputError(f"{where}: {low:g} is above {high:g}")
    return low, high


def _number(item: Any, key: str, where: str) -> float:
    value = item.get(key) if isinstance(item, Mapping) else None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e15:
        raise InputError(f"{where}.{key}: {value!r} is no number")
    return float(value)


def _row(item: Any, key: str, count: int, where: str) -> list[Any]:
    row = _get(item, key, list, where)
    if len(row) != count:
        raise InputError(f"{where}.{key} has {len(row)} entries, the table has {count} groups")
    return row


def _marks(row: Mapping[str, Any], count: int, where: str) -> tuple[str, ...]:
    return tuple(str(text) for text in _row(row, "marked", count, where)) if "marked" in row else ("",) * count


def _table(item: Any, where: str) -> PublishedTable:
    groups = tuple(str(name) for name in _get(item, "groups", list, where))
    if len(groups) < 2 or len(set(groups)) < len(groups):
        raise InputError(f"{where}.groups: two groups or more with names of their own are needed")
    k = len(groups)
    n = _row(item, "n", k, where)
    for count in n:
        if not isinstance(count, int) or isinstance(count, bool) or not 2 <= count < 10**9:
            raise InputError(f"{where}.n: {count!r} is no group size; whole numbers from 2 are needed")
    quantities, counts, limits, marks = {}, {}, {}, {}
    for name, row in _mapping(item, "quantities", where).items():
        place = f"{where}.quantities.{name}"
        means = tuple(_printed(text, f"{place}.mean") for text in _row(row, "mean", k, place))
        spreads = tuple(_printed(text, f"{place}.spread") for text in _row(row, "spread", k, place))
        for spread in spreads:
            if spread.value < 0:
                raise InputError(f"{place}.spread: {spread.text} is negative")
        quantities[str(name)] = PublishedQuantity(means, spreads, _marks(row, k, place))
    for name, row in _mapping(item, "counts", where).items():
        place = f"{where}.counts.{name}"
        entries = _row(row, "n", k, place)
        for entry, size in zip(entries, n, strict=True):
            if not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry <= size:
                raise InputError(f"{place}.n: {entry!r} is no count of a group of {size}")
        percents = tuple(_printed(text, f"{place}.percent") for text in _row(row, "percent", k, place))
        counts[str(name)] = PublishedCount(tuple(entries), percents, _marks(row, k, place))
    for name in _mapping(item, "limits", where):
        row = _row(item["limits"], name, k, f"{where}.limits")
        limits[str(name)] = tuple(_limits(pair, f"{where}.limits.{name}") for pair in row)
    for mark, meaning in _mapping(item, "marks", where).items():
        place = f"{where}.marks.{mark}"
        against = _get(meaning, "against", str, place)
        if against not in groups:
            raise InputError(f"{place}: no group is called {against!r}")
        marks[str(mark)] = (against, _level(meaning, place))
    name, defined_by = _get(item, "name", str, where), tuple(str(name) for name in _list(item, "defined_by", where))
    return PublishedTable(name, groups, tuple(n), limits, marks, quantities, counts, defined_by)
