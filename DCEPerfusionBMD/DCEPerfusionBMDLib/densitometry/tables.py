"""Densitometry beside perfusion, and perfusion beside that of groups, as tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..quantities import BMD, KEP, KTRANS, QCT_DENSITY, T_SCORE, VE, Z_SCORE, Quantity
from ..tables import Column, Table
from .assess import Assessment, SiteAssessment
from .groups import PerfusionGroup
from .sites import VERTEBRAE

LEAST_LEVELS = 2
"""Evaluable levels that the values of a subject are the mean of, at least."""

_PERFUSION = (KTRANS, KEP, VE)
_FITTED = "fitted"


@dataclass(frozen=True)
class Perfusion:
    """Perfusion of one region, or of a subject.

    Attributes
    ----------
    region : name of the segment; empty for a subject.
    level : vertebral level.
    values, errors : by column name; NaN where there is none.
    unusable : why it is not to be evaluated; empty where it is.
    excluded_share : of the voxels inside the margin; NaN where it is not known.
    about : what the values are made of.
    """

    region: str
    level: str
    values: dict[str, float]
    errors: dict[str, float]
    unusable: str
    excluded_share: float = math.nan
    about: str = ""


def too_few_levels(count: int) -> str:
    """Why a subject has no values of its own."""
    return f"{count} evaluable level{'' if count == 1 else 's'} of L1 to L4; at least two are needed"


def unusable_reason(vertebrae: Table, row: int) -> str:
    """Why a region of the table of vertebrae is not evaluable; empty where it is."""
    return unusable(str(vertebrae["evaluable"][row]), str(vertebrae["status"][row]))


def unusable(evaluable: str, status: str) -> str:
    """Why a region is not evaluable, by the cells of its row; empty where it is."""
    if evaluable == "no":
        return "too many voxels are excluded, or none is left"
    return "" if status == _FITTED else f"fit: {status}"


def perfusion_of(vertebrae: Table) -> list[Perfusion]:
    """Perfusion per region of the table of vertebrae."""
    known = {column.name for column in vertebrae.columns}

    def number(name: str, row: int) -> float:
        return float(vertebrae[name][row]) if name in known else math.nan

    return [
        Perfusion(
            region=str(vertebrae["region"][row]),
            level=str(vertebrae["level"][row]),
            values={q.column: number(q.column, row) for q in _PERFUSION},
            errors={q.column: number(_error_column(q), row) for q in _PERFUSION},
            unusable=unusable_reason(vertebrae, row),
            excluded_share=number("excluded_share", row),
        )
        for row in range(len(vertebrae))
    ]


def subject_perfusion(regions: Sequence[Perfusion]) -> Perfusion:
    """Mean over the evaluable levels L1 to L4, at least two, with the standard error of the mean over levels."""
    used = [region for region in regions if region.level in VERTEBRAE and not region.unusable]
    levels = ", ".join(region.level for region in used)
    nothing = {q.column: math.nan for q in _PERFUSION}
    if len(used) < LEAST_LEVELS:
        return Perfusion("", "", nothing, nothing, too_few_levels(len(used)))
    values, errors = {}, {}
    for quantity in _PERFUSION:
        numbers = [region.values[quantity.column] for region in used]
        whole = all(math.isfinite(number) for number in numbers)
        values[quantity.column] = statistics.fmean(numbers) if whole else math.nan
        errors[quantity.column] = statistics.stdev(numbers) / math.sqrt(len(numbers)) if whole else math.nan
    return Perfusion("", "", values, errors, "", about=f"mean of {levels}")


def classification_table(subject: str, assessment: Assessment, vertebrae: Table) -> Table:
    """One row for the subject, one per site and one per region without a measurement: bone beside perfusion.

    Parameters
    ----------
    subject : pseudonym.
    assessment : of the subject.
    vertebrae : the table of `StudyResult`, with region, level, status and the parameters of the model.

    Returns
    -------
    The table `bmd_classification`; units stand in its columns.
    """
    regions = perfusion_of(vertebrae)
    rows = [_row("subject", assessment.deciding, subject_perfusion(regions))]
    rows[0]["category"] = assessment.classification.category.value
    rows[0]["explanation"] = assessment.classification.sentence
    rows[0]["score"] = assessment.score
    left = list(regions)
    for site in assessment.sites:
        at_level: list[Perfusion | None] = [region for region in left if region.level == site.site]
        scope = "vertebra" if site.site in VERTEBRAE else "site"
        for region in at_level or [None]:
            rows.append(_row(scope, site, region))
            if region is not None:
                left.remove(region)
    rows += [_row("vertebra", None, region) for region in left]

    def column(name: str, title: str, unit: str = "", description: str = "", quantity: str = "") -> Column:
        return Column(name, [row[name] for row in rows], title, unit, description, quantity)

    def of(quantity: Quantity) -> Column:
        return column(quantity.column, quantity.symbol, quantity.unit, quantity.description, quantity.name)

    columns = [
        Column("subject", [subject] * len(rows), "Subject", "", "Pseudonym of the subject."),
        column("scope", "Scope", "", "The whole subject, a vertebra, or another site."),
        column("site", "Site", "", "Where the bone was measured; in the subject's row the site that decides."),
        of(BMD),
        column("bmc_g", "BMC", "g", "Bone mineral content."),
        column("area_cm2", "Area", "cm2", "Projected area of the bone."),
        of(QCT_DENSITY),
        of(T_SCORE),
        column("t_score_source", "T-score from", "", "The table, or the reference set it was computed with."),
        of(Z_SCORE),
        column("z_score_source", "Z-score from", "", "The table, or the reference set it was computed with."),
        column("score", "Score that counts", "", "T, Z or QCT; in the subject's row only."),
        column("category", "Category", "", "Category of the score that counts; no finding about a disease."),
        column("explanation", "Explanation", "", "The rule that gave the category."),
        column("exclusion", "Exclusion", "", "Why the site does not count, or may not."),
        column("region", "Region", "", "Name of the segment."),
    ]
    for q in _PERFUSION:
        of_mean = "Fit of the mean curve; in the subject's row the mean over evaluable levels L1 to L4."
        columns.append(column(q.column, q.symbol, q.unit, f"{q.description} {of_mean}", q.name))
        error = "Standard error of the fit; in the subject's row the standard error of the mean over levels."
        columns.append(column(_error_column(q), f"{q.symbol} standard error", q.unit, error))
    columns += [
        column(
            "evaluable", "Evaluable", "", "Whether the perfusion can be used: yes or no; empty where there is none."
        ),
        column("evaluability", "Evaluability", "", "Why not, or what the subject's values are the mean of."),
        column("excluded_share", "Share excluded", "fraction", "Voxels inside the margin that are excluded."),
    ]
    return Table("bmd_classification", "BMD classification", tuple(columns))


def comparison_table(subject: str, vertebrae: Table, groups: Sequence[PerfusionGroup]) -> Table:
    """Where the perfusion of the subject lies against groups: one row per group and quantity.

    Parameters
    ----------
    subject : pseudonym.
    vertebrae : the table of `StudyResult`.
    groups : of one source.

    Returns
    -------
    The table `perfusion_comparison`.

    Notes
    -----
    z = (value - mean) / SD, of the mean over the evaluable levels L1 to L4; none without an SD.
    """
    found = subject_perfusion(perfusion_of(vertebrae))
    rows = [
        (
            group,
            q,
            found.values[q.column],
            group.spreads[q.column],
            group.spreads[q.column].z_score(found.values[q.column]),
        )
        for group in groups
        for q in _PERFUSION
    ]
    return Table(
        "perfusion_comparison",
        "Perfusion comparison",
        (
            Column("subject", [subject] * len(rows), "Subject", "", "Pseudonym of the subject."),
            Column("reference", [group.source for group, *_ in rows], "Reference", "", "Where the groups are from."),
            Column("group", [group.name for group, *_ in rows], "Group", "", "A class, or ages from this year on."),
            Column(
                "count", [spread.count for *_, spread, _ in rows], "Count", "", "Subjects with a value in the group."
            ),
            Column("quantity", [q.symbol for _, q, *_ in rows], "Quantity"),
            Column("unit", [q.unit for _, q, *_ in rows], "Unit"),
            Column("value", [value for _, _, value, *_ in rows], "Value", "", found.about or found.unusable),
            Column("mean", [spread.mean for *_, spread, _ in rows], "Group mean", "", "As printed or measured."),
            Column("sd", [spread.sd for *_, spread, _ in rows], "Group SD", "", "Standard deviation in the group."),
            Column("z", [z for *_, z in rows], "z", "", "(value - mean) / SD; none without an SD."),
            Column(
                "suspected_mean",
                [spread.suspected_mean for *_, spread, _ in rows],
                "Suspected mean",
                "",
                "What the mean is suspected to be where it is an erratum; z does not use it.",
            ),
            Column("note", [spread.note for *_, spread, _ in rows], "Note"),
        ),
    )


def _error_column(quantity: Quantity) -> str:
    if quantity.column.endswith("_per_min"):
        return quantity.column.replace("_per_min", "_se_per_min")
    return f"{quantity.column}_se"


def _row(scope: str, site: SiteAssessment | None, perfusion: Perfusion | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "scope": scope,
        "site": perfusion.level if perfusion is not None else "",
        "t_score_source": "",
        "z_score_source": "",
        "score": "",
        "category": "not classified",
        "explanation": "No bone mineral density is given.",
        "exclusion": "",
        "region": perfusion.region if perfusion is not None else "",
        "evaluable": "",
        "evaluability": "",
        "excluded_share": perfusion.excluded_share if perfusion is not None else math.nan,
        **dict.fromkeys(("bmd_g_cm2", "bmc_g", "area_cm2", "qct_mg_cm3", "t_score", "z_score"), math.nan),
        **dict.fromkeys((name for q in _PERFUSION for name in (q.column, _error_column(q))), math.nan),
    }
    if site is not None:
        measurement = site.measurement
        row |= {
            "site": site.site,
            "bmd_g_cm2": measurement.bmd_g_cm2,
            "bmc_g": measurement.bmc_g,
            "area_cm2": measurement.area_cm2,
            "qct_mg_cm3": measurement.qct_mg_cm3,
            "t_score": site.t_score,
            "t_score_source": site.t_source,
            "z_score": site.z_score,
            "z_score_source": site.z_source,
            "category": site.classification.category.value,
            "explanation": site.classification.sentence,
            "exclusion": site.note,
        }
    if perfusion is not None:
        row |= perfusion.values
        row |= {_error_column(q): perfusion.errors[q.column] for q in _PERFUSION}
        row["evaluable"] = "no" if perfusion.unusable else "yes"
        row["evaluability"] = perfusion.unusable or perfusion.about
    return row
