"""An audit as tables and as a page: what was found, what it rests on, and what was computed on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..tables import Column, Table
from .audit import READINGS, Audit, Finding, Retest
from .values import p_text


@dataclass(frozen=True)
class Method:
    """What findings of one kind are called, and what they rest on."""

    title: str
    rests_on: str


METHODS = {
    "spread": Method(
        "The number after ± is not what the paper says it is",
        "Law of total variance: by any table of the same N subjects, SD_total² = [Σ (n_i - 1) s_i² + Σ n_i (m_i - m)²] "
        "/ (N - 1), with sizes n_i, means m_i, grand mean m and standard deviations s_i of the groups. The printed "
        "number is read as s, as s / √n and as s²; a reading under which two tables disagree, whatever was rounded, is "
        "not possible. Where groups are made by limits, the limits bound SD_total too; and a paper that says that two "
        "quantities do not differ rules out the readings under which they would.",
    ),
    "mean": Method(
        "A mean that cannot be as printed",
        "Tables of the same subjects have the same grand mean, Σ n_i m_i / N. Where two do not, m_i + (m' - m) N / n_i "
        "is the mean that cell i would need, with m' the grand mean of the other table; what rounds to it, is one "
        "slip away from the printed text (two digits swapped, one digit wrong, the point moved) and agrees with the "
        "products is taken for what was meant.",
    ),
    "product": Method(
        "A product of means that the spreads do not allow",
        "mean(a b) - mean(a) mean(b) is a covariance, so it is at most (n - 1) / n s_a s_b in size.",
    ),
    "correlation": Method(
        "A correlation that is not possible",
        "In a table with both quantities, cov = [Σ n_i (x_i - x)(y_i - y) + Σ (n_i - 1) r_i s_xi s_yi] / (N - 1); the "
        "r_i within the groups are unknown, but lie between -1 and 1, so r = cov / (SD_x SD_y) lies in an interval.",
    ),
    "sign": Method(
        "A correlation whose sign is not what the text says",
        "The sign as printed is compared with the word in the text.",
    ),
    "percentage": Method(
        "A percentage that is not its count",
        "100 count / n, rounded as printed.",
    ),
    "mark": Method(
        "A mark that no test supports",
        "Means: the least p of three t-tests (Student's with the variance of all groups, Student's with that of the "
        "two, Welch's) over all numbers that round to the printed ones and over all readings that are possible. "
        "Percentages: Fisher's exact and the chi-squared test of the two groups. None is corrected for the number of "
        "comparisons; a correction only makes p larger.",
    ),
    "rise": Method(
        "A rise that is smaller than said",
        "Differences of 100 count / n between neighboring groups.",
    ),
}
"""By kind of finding, in the order of the page."""


def by_kind(audit: Audit) -> Iterable[tuple[Method, list[Finding]]]:
    """Findings of each kind of which there are any."""
    for kind, method in METHODS.items():
        if found := audit.of(kind):
            yield method, found


def findings_text(audit: Audit) -> str:
    """Findings by kind with what they rest on, for a terminal.

    Parameters
    ----------
    audit : of a paper.

    Returns
    -------
    Several lines of text.
    """
    count = len(audit.findings)
    parts = [f"{count} finding{'s' * (count != 1)}: things that cannot be as printed"]
    for method, found in by_kind(audit):
        lines = [f"{method.title} ({len(found)})", f"  rests on: {method.rests_on}"]
        parts.append("\n".join([*lines, *(f"  - {finding}" for finding in found)]))
    return "\n\n".join(parts)


def audit_tables(audit: Audit) -> tuple[Table, ...]:
    """The tables `findings`, `readings`, `correlations` and `retests`.

    Parameters
    ----------
    audit : of a paper.

    Returns
    -------
    Four tables: a row per finding; per quantity and reading of its spreads; per published correlation; per quantity
    tested again. Numbers are in the units of the paper.
    """
    return _findings(audit), _readings(audit), _correlations(audit), _retests(audit)


def audit_page(audit: Audit, paper: Mapping[str, Any]) -> str:
    """The audit as a Markdown page.

    Parameters
    ----------
    audit : of `paper`.
    paper : as `source_paper` shows it; its `citation` makes the heading, its `remarks` what people found by reading:
        `where`, `printed` and `remark`.

    Returns
    -------
    The page as text.

    Raises
    ------
    InputError
        when a remark is not made of these three texts.
    """
    total = len(audit.findings)
    parts = [
        "# Audit of published tables",
        f"{_cell(str(paper.get('citation', 'No citation given')))}.".replace("..", "."),
        f"{total} finding{'s' * (total != 1)}. A printed number stands for every number that rounds to it; a finding "
        "is raised only where no numbers that round to the printed ones agree. A finding says that something cannot be "
        "as printed, not how it came about. Made by `dce-perfusion-bmd audit`; research use only.",
        "## In short",
        _markdown(
            ["What", "Findings", "Where"],
            [[m.title, str(len(f)), "; ".join(dict.fromkeys(x.where for x in f))] for m, f in by_kind(audit)],
        ),
        "## Found by the program",
    ]
    for method, found in by_kind(audit):
        rows = [[finding.where, finding.message, finding.suggestion] for finding in found]
        parts += [
            f"### {method.title}",
            f"{_cell(method.rests_on)}",
            _markdown(["Where", "Finding", "Probably meant"], rows),
        ]
    parts += _computed(audit)
    if remarks := _remarks(paper):
        parts += [
            "## Read by people, not found by the program",
            _markdown(["Where", "Printed", "Remark"], remarks),
        ]
    return "\n\n".join(parts) + "\n"


def _computed(audit: Audit) -> list[str]:
    """What was computed on the way: readings, products, correlations, tests."""
    stated = READINGS[audit.stated]
    parts = [
        "## Which spreads are possible",
        f"Total standard deviation by each table (least to largest), the number after ± read in three ways; the paper "
        f"says {stated}.",
        _reading_rows(audit),
    ]
    if audit.products:
        parts += [
            "Covariance that the printed means of a product need, and the largest that the spreads allow under each "
            "reading:",
            _markdown(
                ["Table", "Group", "Product", "Needed", *READINGS.values()],
                [
                    [check.table, check.group, check.formula, f"{check.away:.2g}"]
                    + [f"{allowed:.2g}" + " (too small)" * (allowed < check.away) for allowed in check.allowed.values()]
                    for check in audit.products
                ],
            ),
        ]
    if audit.correlations:
        parts += [
            "## Which correlations are possible",
            f"Intervals from the tables, rounding included: with the spreads as they can be, and as {stated}s.",
            _markdown(
                ["Between", "Printed r", "Said to be", "Possible", "Possible if as stated", "As printed"],
                [
                    (
                        f"{row['x']} and {row['y']}",
                        row["published"],
                        row["direction"],
                        _span(row, "possible"),
                        _span(row, "stated"),
                        row["verdict"],
                    )
                    for row in _correlation_rows(audit)
                ],
            ),
        ]
    if audit.retests:
        parts += [
            "## Tested again",
            "Analysis of variance and Welch's from sizes, means and spreads, under the first possible reading and, for "
            "comparison, under the stated one where that is not possible.",
            _markdown(
                ["Table", "Quantity", "Read as", "ANOVA", "p", "Welch", "p", "Note"],
                [_test_row(retest) for pair in _paired(audit) for retest in pair],
            ),
            "Pairs under the first possible reading. Groups below 10 subjects are named with their size.",
            _markdown(
                ["Table", "Quantity", "Pair", "Difference", "Tukey p", "Games-Howell p", "Dunnett p"],
                [row for retest in audit.retests for row in _pair_rows(retest)],
            ),
        ]
    if audit.not_tested:
        parts += ["Not tested:", "\n".join(f"- {_cell(reason)}" for reason in audit.not_tested)]
    return parts


def _reading_rows(audit: Audit) -> str:
    rows = []
    for quantity, left in audit.readings.items():
        for reading, title in READINGS.items():
            totals = [t for t in audit.totals if (t.quantity, t.reading) == (quantity, reading)]
            apart = max(total.low for total in totals) > min(total.high for total in totals)  # the row shows why
            reason = "" if apart else audit.against[quantity].get(reading, "")
            verdict = "possible" if reading in left else "not possible" + f": {reason}" * bool(reason)
            spans = [f"{total.table}: {total.low:.4f} to {total.high:.4f}" for total in totals]
            rows.append([quantity, title, "; ".join(spans), verdict])
    return _markdown(["Quantity", "Read as", "Total standard deviation", "Verdict"], rows)


def _remarks(paper: Mapping[str, Any]) -> list[list[str]]:
    remarks, keys = paper.get("remarks", []), ("where", "printed", "remark")
    if not isinstance(remarks, list):
        raise InputError("remarks: a list is needed")
    for i, remark in enumerate(remarks):
        if not isinstance(remark, dict) or any(not isinstance(remark.get(key), str) for key in keys):
            raise InputError(f"remarks[{i}]: the texts {', '.join(keys)} are needed")
    return [[remark[key] for key in keys] for remark in remarks]


def _findings(audit: Audit) -> Table:
    rows = [(METHODS[f.kind], f) for f in audit.findings]
    return Table(
        "findings",
        "What cannot be as printed",
        (
            Column("kind", [f.kind for _, f in rows], "Kind"),
            Column("where", [f.where for _, f in rows], "Where"),
            Column("finding", [f.message for _, f in rows], "Finding"),
            Column("probably", [f.suggestion for _, f in rows], "Probably meant"),
            Column("rests_on", [method.rests_on for method, _ in rows], "Rests on"),
        ),
    )


def _readings(audit: Audit) -> Table:
    rows = audit.totals
    return Table(
        "readings",
        "What the number after ± can be",
        (
            Column("quantity", [row.quantity for row in rows], "Quantity"),
            Column("table", [row.table for row in rows], "Table"),
            Column("read_as", [READINGS[row.reading] for row in rows], "Read as"),
            Column("stated", [_yes(row.reading == audit.stated) for row in rows], "As the paper says"),
            Column("total_sd_low", [row.low for row in rows], "Least total SD"),
            Column("total_sd_high", [row.high for row in rows], "Largest total SD"),
            Column("possible", [_yes(row.reading in audit.readings[row.quantity]) for row in rows], "Possible"),
            Column("reason", [audit.against[row.quantity].get(row.reading, "") for row in rows], "Why not"),
        ),
    )


def _correlation_rows(audit: Audit) -> list[dict[str, str]]:
    rows = []
    wrong = {finding.where for finding in audit.of("correlation")}
    signs = {finding.where for finding in audit.of("sign")}
    for check in audit.correlations:
        where = f"{check.x} and {check.y}"
        verdict = "not possible, with either sign" if where in wrong & signs else "not possible"
        rows.append(
            {
                "x": check.x,
                "y": check.y,
                "published": check.published,
                "direction": check.direction,
                "possible_low": f"{check.possible[0]:.3f}",
                "possible_high": f"{check.possible[1]:.3f}",
                "stated_low": f"{check.as_stated[0]:.3f}",
                "stated_high": f"{check.as_stated[1]:.3f}",
                "verdict": verdict if where in wrong else "the sign is missing" if where in signs else "possible",
            }
        )
    return rows


def _correlations(audit: Audit) -> Table:
    rows = _correlation_rows(audit)
    titles = {
        "x": "First quantity",
        "y": "Second quantity",
        "published": "Printed r",
        "direction": "Said to be",
        "possible_low": "Lowest possible",
        "possible_high": "Highest possible",
        "stated_low": "Lowest, spreads as stated",
        "stated_high": "Highest, spreads as stated",
        "verdict": "Verdict",
    }
    columns = tuple(Column(name, [row[name] for row in rows], title) for name, title in titles.items())
    return Table("correlations", "Correlations that the tables allow", columns)


_RETEST_COLUMNS = {
    "table": "Table",
    "quantity": "Quantity",
    "read_as": "Spread read as",
    "test": "Test",
    "first": "First group",
    "second": "Second group",
    "difference": "Difference of means",
    "low": "Lower limit, 95 %",
    "high": "Upper limit, 95 %",
    "statistic": "F or t",
    "df1": "Degrees of freedom",
    "df2": "Degrees of freedom within",
    "p": "p",
    "note": "Note",
}


def _retests(audit: Audit) -> Table:
    """Every test of every quantity, under its first possible reading and, where that differs, the stated one."""
    rows = []
    for retest in (retest for pair in _paired(audit) for retest in pair):
        head = {"table": retest.table, "quantity": retest.quantity, "read_as": READINGS[retest.reading]}
        small = [f"small groups: {', '.join(retest.groups.small)}"] if retest.groups.small else []
        head["note"] = "; ".join([*([retest.note] if retest.note else []), *small])
        one, two = retest.anova, retest.welch
        rows.append(
            {**head, "test": "ANOVA", "statistic": f"{one.f:.6g}", "df1": str(one.df_between)}
            | {"df2": str(one.df_within), "p": p_text(one.p)}
        )
        rows.append(
            {**head, "test": "Welch", "statistic": f"{two.f:.6g}", "df1": str(two.df1)}
            | {"df2": f"{two.df2:.6g}", "p": p_text(two.p)}
        )
        for test in retest.pairs:
            for pair in test.pairs:
                cells = {"first": pair.first, "second": pair.second, "difference": f"{pair.difference:.6g}"}
                limits = {"low": f"{pair.interval[0]:.6g}", "high": f"{pair.interval[1]:.6g}"}
                values = {"statistic": f"{pair.statistic:.6g}", "df1": f"{pair.df:.6g}", "p": p_text(pair.p)}
                rows.append({**head, "test": test.method, **cells, **limits, **values})
    for reason in audit.not_tested:
        where, _, why = reason.partition(": ")
        table, _, quantity = where.rpartition(", ")
        rows.append({"table": table, "quantity": quantity, "test": "not tested", "note": why})
    columns = tuple(Column(name, [row.get(name, "") for row in rows], title) for name, title in _RETEST_COLUMNS.items())
    return Table("retests", "Tests from published sizes, means and spreads", columns)


def _paired(audit: Audit) -> list[list[Retest]]:
    """Retests, each with that under the stated reading where there is one."""
    other = {(retest.table, retest.quantity): retest for retest in audit.as_stated}
    return [
        [retest, *([other[key]] if (key := (retest.table, retest.quantity)) in other else [])]
        for retest in audit.retests
    ]


def _test_row(retest: Retest) -> list[str]:
    one, two = retest.anova, retest.welch
    return [
        retest.table,
        retest.quantity,
        READINGS[retest.reading],
        f"F({one.df_between}, {one.df_within}) = {one.f:.5g}",
        _p(one.p),
        f"F({two.df1}, {two.df2:.2f}) = {two.f:.5g}",
        _p(two.p),
        retest.note,
    ]


def _pair_rows(retest: Retest) -> list[list[str]]:
    tests = retest.pairs
    sizes = dict(zip(retest.groups.names, retest.groups.counts, strict=True))
    rows = []
    for pair in tests[0].pairs:
        names = [
            f"{name} (n = {sizes[name]:.0f})" if name in retest.groups.small else name
            for name in (pair.first, pair.second)
        ]
        p = []
        for test in tests:
            try:
                p.append(_p(test[pair.first, pair.second].p))
            except KeyError:
                p.append("")  # Dunnett compares with one group only
        p += [""] * (3 - len(p))
        rows.append([retest.table, retest.quantity, " - ".join(names), f"{pair.difference:.4g}", *p])
    return rows


def _p(p: float) -> str:
    """A p-value on the page: below 1e-6 its digits are of no use to a reader and depend on the machine."""
    return "<1e-6" if p < 1e-6 else p_text(p)


def _span(row: Mapping[str, str], name: str) -> str:
    return f"{row[f'{name}_low']} to {row[f'{name}_high']}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = " ".join(text.split())
    for character in "\\|*_<`~[":
        text = text.replace(character, f"\\{character}")
    return text


def _markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)])
