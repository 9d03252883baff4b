"""A cohort analyzed: tables, tests and figures as values."""

from __future__ import annotations

import numpy as np

from ..densitometry.sites import VERTEBRAE
from ..errors import Cancelled, InputError
from ..series import Progress
from ..settings import CohortSettings
from ..statistics import check_not_circular
from .columns import DESCRIPTIVE, KINETIC, NUMBERS
from .comparisons import compare_groups, compare_rates, compare_sites, describe_groups, missing_values
from .figuredata import boxes, mean_curves, scatter
from .model import AgreementFigure, Boxes, Cohort, CohortResult, RocFigure, Scatter
from .papertables import SITES, for_people, paper_tables
from .relations import AGE, BMD, adjust_for_age, correlate, discriminate, regress_bmd
from .repeats import agree, within_subjects
from .rows import STATISTICS_COLUMNS, Findings, title
from .subjects import (
    Groups,
    grouped,
    has_repeats,
    in_order,
    named,
    one_per_subject,
    one_reading,
    rows_in_no_test,
    small_groups,
)

__all__ = ["STATISTICS_COLUMNS", "analyze_cohort"]

PERFUSION = (*KINETIC, "vp", *DESCRIPTIVE, "fat_fraction")
"""What is related to age, BMD and class, where the cohort has it."""

_FIGURES = {"figure1": AGE, "figure3": BMD}


def analyze_cohort(cohort: Cohort, settings: CohortSettings, progress: Progress | None = None) -> CohortResult:
    """Everything that the columns of a cohort allow: the source paper's tables and figures, and the tests beside them.

    One value per subject is compared: of a cohort by vertebra the means over L1 to L4, of repeated readings the one of
    the settings, or the lowest where they are numbered.
    Readings are compared with each other, and vertebrae are tested with one random intercept per subject. A test that
    cannot be done is a row with its reason; what defines a group is not tested between its groups.

    Parameters
    ----------
    cohort : rows of subjects or vertebrae, in any order.
    settings : test behind the marks, unit of ve, resamples.
    progress : called with the fraction done and what is being done; False cancels.

    Returns
    -------
    Tables, statistics and figures as values, in the canonical units of `columns.NUMBERS`, ve as the settings say where
    it is printed; what could not be made, with the reason.

    Raises
    ------
    InputError
        when there are no rows or no numbers, a T-score category is unknown, a subject has several rows that no level or
        reading tells apart, or nothing says which of several readings enters the tables.
    Cancelled
        when `progress` returns False.

    Notes
    -----
    The tests are those of `statistics`, where each names its source; the tables and figures are those of Huang Z et
    al., Adv Clin Exp Med 2019;28(8):1005-1011.
    """

    def step(fraction: float, message: str) -> None:
        if progress is not None and not progress(fraction, message):
            raise Cancelled

    if not cohort.subjects.size:
        raise InputError(f"{cohort.name} holds no row that can be analyzed; see what was left out, and why")
    if not cohort.numbers:
        raise InputError(f"{cohort.name} holds no column of numbers that is known; name them, see the dictionary")
    findings = Findings()
    step(0.0, "Preparing the rows")
    rows = in_order(cohort)
    single, reading, lacking, said = one_reading(rows, settings.reading)
    findings.warnings += said
    subjects, without = one_per_subject(single)
    if without:
        findings.warnings.append(f"Without a mean over L1 to L4 ({len(without)}): {named(without)}.")
    away = rows_in_no_test(rows, settings.reading)
    others = np.count_nonzero(~np.isin(rows.levels, VERTEBRAE)) if rows.by_vertebra else 0
    if others:
        findings.warnings.append(f"Vertebrae other than L1 to L4 are in no test: {others} rows.")
    if not subjects.subjects.size:
        raise InputError(f"{cohort.name} has no subject with two levels of L1 to L4, so there is nothing to compare")
    present = [name for name in NUMBERS if name in subjects.numbers]
    perfusion = [name for name in PERFUSION if name in present]
    ages, classes = grouped(subjects, "age_group"), grouped(subjects, "bmd_class")
    _missing_groups(findings, subjects, ages, classes)
    missing_values(findings, subjects)

    step(0.05, "Making tables")
    tables = paper_tables(findings, subjects, ages, classes, settings)
    drawn: list[Boxes] = []
    groupings = [groups for groups in (ages, classes) if groups is not None]
    for number, groups in enumerate(groupings):
        for place, quantity in enumerate(present):
            step(0.1 + 0.4 * (number + place / len(present)) / len(groupings), f"Comparing {title(quantity)}")
            describe_groups(findings, quantity, subjects.numbers[quantity], groups)
            compare_groups(findings, quantity, subjects.numbers[quantity], groups)
            _circular(findings, quantity, groups)
            if quantity in perfusion:
                drawn += boxes(findings, subjects, quantity, groups)
    if "bmd_lumbar_g_cm2" in present and "bmd_femoral_neck_g_cm2" in present:
        compare_sites(findings, subjects, ages)
    else:
        findings.not_made.append("Lumbar against femoral-neck BMD: the cohort has not both.")
    if ages is not None:
        for column in SITES.values():
            kinds = grouped(subjects, column)
            if kinds is not None:
                compare_rates(findings, subjects, column, kinds, ages)

    scatters: list[Scatter] = []
    for number, (figure, other) in enumerate(_FIGURES.items()):
        step(0.5 + 0.1 * number, f"Relating to {title(other)}")
        scatters += _relations(findings, subjects, figure, other, perfusion, classes)
    regress_bmd(findings, subjects)
    rocs: list[RocFigure] = []
    if classes is not None:
        step(0.7, "Classes at equal age, and areas under the curve")
        if AGE in present:
            for quantity in perfusion:
                adjust_for_age(findings, subjects, quantity, classes)
        rocs = discriminate(
            findings, subjects, perfusion, classes, settings, lambda part, about: step(0.7 + 0.1 * part, about)
        )
    step(0.8, "Averaging curves")
    curves = mean_curves(findings, subjects, classes)

    agreements: list[AgreementFigure] = []
    if has_repeats(rows):
        step(0.85, "Comparing readings")
        agreements = agree(findings, rows, perfusion, settings, reading)
    else:
        findings.not_made.append("Agreement of readings: no subject has two readings.")
    if cohort.by_vertebra:
        step(0.9, "Vertebrae within subjects")
        within_subjects(findings, single, perfusion, settings, lambda part, about: step(0.9 + 0.1 * part, about))
    else:
        findings.not_made.append("Vertebrae within subjects: each row is a subject.")
    table = findings.table()
    step(1.0, "Done")
    return CohortResult(
        cohort,
        settings,
        tuple(tables),
        table,
        tuple(scatters),
        tuple(curves),
        tuple(drawn),
        tuple(rocs),
        tuple(agreements),
        tuple(dict.fromkeys(findings.not_made)),
        tuple(dict.fromkeys(findings.warnings)),
        tuple(away),
        (*lacking, *without),
        reading,
    )


def _relations(
    findings: Findings, subjects: Cohort, figure: str, other: str, perfusion: list[str], classes: Groups | None
) -> list[Scatter]:
    """Correlations of perfusion, and of BMD with age, and the panels of a figure."""
    if other not in subjects.numbers:
        findings.not_made.append(f"{figure} and correlations with {title(other)}: the cohort has no such column.")
        return []
    bones = [BMD] if other == AGE and BMD in subjects.numbers else []
    for quantity in [*bones, *perfusion]:
        correlate(findings, subjects, quantity, other, classes)
    missing = [title(name) for name in KINETIC if name not in perfusion]
    if missing:
        findings.not_made.append(f"{figure} of {', '.join(missing)}: the cohort has no such column.")
    found = []
    for quantity in KINETIC:
        if quantity in perfusion:
            found += scatter(findings, figure, subjects, quantity, other, classes)
    return found


def _missing_groups(findings: Findings, subjects: Cohort, ages: Groups | None, classes: Groups | None) -> None:
    for groups, what in ((ages, "age group"), (classes, "T-score category")):
        if groups is None:
            findings.not_made.append(f"Comparisons between groups of {what}: no subject has one.")
            continue
        sizes = {group: int(np.count_nonzero(groups.is_in(group))) for group in groups.order}
        small = small_groups(sizes)
        if small:
            findings.warnings.append(f"By {what}: {small}; their means, marks and tests are uncertain.")
        unknown = int(np.count_nonzero(groups.codes < 0))
        if unknown:
            findings.warnings.append(
                f"Subjects without {what}, in no comparison between groups: {unknown} of {groups.codes.size}."
            )
    if classes is None:
        findings.not_made.append("ROC curves, effect sizes and covariance analysis: no subject has a T-score category.")


def _circular(findings: Findings, quantity: str, groups: Groups) -> None:
    try:
        check_not_circular(quantity, groups.column)
    except InputError as reason:
        findings.not_made.append(f"{for_people(str(reason))}.")
