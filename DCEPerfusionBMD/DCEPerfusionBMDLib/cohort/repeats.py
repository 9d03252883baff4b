"""Several rows of one subject: repeated readings, and vertebrae."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .. import statistics as st
from ..errors import InputError
from ..settings import CohortSettings
from ..statistics.values import interval_text
from .columns import KINETIC, heading, printed_scale
from .model import CLASSES, AgreementFigure, Cohort, FloatArray
from .relations import AGE, BMD
from .rows import Findings, Row, title
from .subjects import Groups, find, grouped, named, one_per_subject, reading_names, small_groups, take

LEVELS = ("L1", "L2", "L3", "L4")
"""Vertebrae of which subject means are made; L5 is reported only."""

_MOST_DRAWN = 4  # readings of which every pair has a panel


def agree(
    findings: Findings, cohort: Cohort, quantities: list[str], settings: CohortSettings, used: str
) -> list[AgreementFigure]:
    """Readings of the same subjects compared; the cohort must be in order, `used` is the reading of the tables."""
    names = reading_names(cohort)
    unnamed = int(np.count_nonzero(cohort.readings == ""))
    if unnamed:
        findings.warnings.append(f"Rows that name no reading are not in the agreement of readings: {unnamed}.")
    subjects = np.unique(cohort.subjects)
    ratings = {quantity: np.full((subjects.size, len(names)), math.nan) for quantity in quantities}
    for place, name in enumerate(names):
        one, without = one_per_subject(take(cohort, np.flatnonzero(cohort.readings == name)))
        if without and name != used:
            findings.warnings.append(f"Reading {name}, no mean over L1 to L4 ({len(without)}): {named(without)}.")
        for quantity in quantities:
            ratings[quantity][find(subjects, one.subjects), place] = one.numbers[quantity]
    figures = []
    for quantity, matrix in ratings.items():
        apart: list[str] = []
        complete = matrix[np.isfinite(matrix).all(axis=1)]
        lacking = int(np.count_nonzero(np.isfinite(matrix).any(axis=1))) - len(complete)
        row = Row("agreement", "", quantity, "readings", ", ".join(names), len(complete))
        row = row.but(
            f"subjects that lack a reading: {lacking}" if lacking else "", small_groups({"all": len(complete)})
        )
        findings.attempt(row.of("intraclass correlation"), _icc, complete)
        findings.attempt(row.of("repeatability"), _repeatability, complete)
        for first, second in itertools.combinations(range(len(names)), 2):
            pair = matrix[:, [first, second]]
            pair = pair[np.isfinite(pair).all(axis=1)]
            if not len(pair):
                apart.append(f"{names[first]} - {names[second]}")
                continue
            two = replace(row, comparison=f"{names[first]} - {names[second]}", n=len(pair))
            two = replace(two, note=small_groups({"all": len(pair)}))
            findings.attempt(two.of("concordance (Lin)"), _concordance, pair)
            findings.attempt(two.of("Bland-Altman"), _bland_altman, pair)
            if len(names) > _MOST_DRAWN and used not in (names[first], names[second]):
                continue
            try:
                figures.append(_figure(quantity, names[first], names[second], pair, settings))
            except InputError as reason:
                findings.not_made.append(f"Bland-Altman figure of {title(quantity)}, {two.comparison}: {reason}.")
        if apart:
            findings.not_made.append(f"Agreement in {title(quantity)}: no subject has both of {', '.join(apart)}.")
    if len(names) > _MOST_DRAWN:
        findings.not_made.append(
            f"Bland-Altman figures of pairs without the reading {used}: with more than {_MOST_DRAWN} readings their "
            "numbers are in the statistics only."
        )
    return figures


def _icc(row: Row, ratings: FloatArray) -> Iterator[Row]:
    found = st.icc(ratings)
    for name in ("ICC(2,1)", "ICC(3,1)"):
        item = found[name]
        yield row.of(row.test, name, item.value, item.interval).tested(item.f, item.p, item.df1, item.df2)


def _repeatability(row: Row, ratings: FloatArray) -> Iterator[Row]:
    found = st.repeatability(ratings)
    yield row.of(row.test, "within-subject SD", found.within_sd)
    yield row.of(row.test, "repeatability coefficient", found.coefficient, found.interval)
    without = "a subject's mean is not positive" if math.isnan(found.within_cv) else ""
    yield row.of(row.test, "within-subject CV", found.within_cv).but(without)


def _concordance(row: Row, pair: FloatArray) -> Iterator[Row]:
    found = st.concordance(pair[:, 0], pair[:, 1])
    yield row.of(row.test, "CCC", found.value, found.interval)


def _bland_altman(row: Row, pair: FloatArray) -> Iterator[Row]:
    found = st.bland_altman(pair[:, 0], pair[:, 1])
    yield row.of(row.test, "bias", found.bias, found.bias_interval)
    yield row.of(row.test, "lower limit of agreement", found.lower, found.lower_interval)
    yield row.of(row.test, "upper limit of agreement", found.upper, found.upper_interval)
    constant = "means or differences do not vary" if math.isnan(found.slope_p) else ""
    yield replace(row.of("Bland-Altman: difference against mean"), p=found.slope_p).but(constant)


def _figure(column: str, first: str, second: str, pair: FloatArray, settings: CohortSettings) -> AgreementFigure:
    found = st.bland_altman(pair[:, 0], pair[:, 1])
    scaled = st.bland_altman(*(printed_scale(column, settings.ve_unit) * pair).T)
    caption = (
        f"{heading(column, settings.ve_unit)}, {first} less {second}: bias {scaled.bias:.4g} "
        f"{interval_text(scaled.bias_interval)}, limits of agreement {scaled.lower:.4g} "
        f"{interval_text(scaled.lower_interval)} to {scaled.upper:.4g} {interval_text(scaled.upper_interval)}, "
        f"n = {found.n}"
    )
    means, differences = pair.mean(axis=1), pair[:, 0] - pair[:, 1]
    return AgreementFigure(column, first, second, means, differences, found.bias, found.lower, found.upper, caption)


def within_subjects(
    findings: Findings,
    cohort: Cohort,
    quantities: list[str],
    settings: CohortSettings,
    step: Callable[[float, str], None] = lambda fraction, message: None,
) -> None:
    """Vertebrae of L1 to L4 with one random intercept per subject; the cohort must be of one reading.

    `step` is told the share done before each quantity.
    """
    cohort = take(cohort, np.flatnonzero(np.isin(cohort.levels, LEVELS)))
    owners = np.unique(cohort.subjects, return_inverse=True)[1].reshape(-1)
    classes = grouped(cohort, "bmd_class")
    for place, quantity in enumerate(quantities):
        step(place / len(quantities), f"Vertebrae within subjects: {title(quantity)}")
        values = cohort.numbers[quantity]
        row = Row("vertebrae", "random intercept per subject (REML)", quantity).but("n counts vertebrae")
        known = np.isfinite(values)
        row = replace(row, n=int(np.count_nonzero(known)))
        findings.attempt(row, _no_predictor, values[known], owners[known])
        for predictor in (AGE, BMD):
            if predictor in cohort.numbers:
                x = cohort.numbers[predictor]
                both = known & np.isfinite(x)
                own = replace(row, grouping=predictor, n=int(np.count_nonzero(both)))
                findings.attempt(own, _model, values[both], {predictor: x[both]}, owners[both])
        if classes is not None:
            _classes(findings, row, values, classes, owners, settings)


def _classes(
    findings: Findings,
    row: Row,
    values: FloatArray,
    classes: Groups,
    owners: npt.NDArray[np.intp],
    settings: CohortSettings,
) -> None:
    known = np.isfinite(values) & (classes.codes >= 0)
    row = replace(row, grouping=classes.column, n=int(np.count_nonzero(known)))
    reference, *others = classes.order
    dummies = {f"{name} - {reference}": classes.is_in(name)[known].astype(np.float64) for name in others}
    if dummies:
        findings.attempt(row, _model, values[known], dummies, owners[known])
    else:
        findings.rows.append(row.but("one class cannot be compared"))
    normal, worst = CLASSES[0], CLASSES[2]
    if row.quantity not in KINETIC:  # each bootstrap takes seconds; the model above has an interval
        return
    two = known & (classes.is_in(normal) | classes.is_in(worst))
    row = replace(row, comparison=f"{worst} - {normal}", n=int(np.count_nonzero(two)))
    row = row.of("cluster bootstrap of subjects", "mean difference")
    if not settings.resamples:
        findings.rows.append(row.but("no bootstrap was asked for (resamples 0)"))
        return
    columns = {"y": values[two], "has": classes.is_in(worst)[two].astype(np.float64)}
    findings.attempt(row, _bootstrap, columns, owners[two], settings)


def _no_predictor(row: Row, values: FloatArray, owners: npt.NDArray[np.intp]) -> Iterator[Row]:
    found = st.random_intercept(values, {}, owners)
    yield row.of(row.test, "ICC", found.icc).but(f"{found.subjects} subjects")
    yield row.of(row.test, "effective n", found.effective_n)


def _model(
    row: Row, values: FloatArray, predictors: Mapping[str, FloatArray], owners: npt.NDArray[np.intp]
) -> Iterator[Row]:
    found = st.random_intercept(values, predictors, owners)
    for name in predictors:
        effect = found[name]
        named = name if row.grouping != name else ""
        estimate = replace(row, comparison=named).of(row.test, "mean difference" if named else "slope", effect.value)
        estimate = replace(estimate, low=effect.interval[0], high=effect.interval[1])
        yield estimate.tested(effect.t, effect.p, effect.df).but(f"{found.subjects} subjects")


def _bootstrap(
    row: Row, columns: Mapping[str, FloatArray], owners: npt.NDArray[np.intp], settings: CohortSettings
) -> Iterator[Row]:
    if len(np.unique(columns["has"])) < 2:
        raise InputError("one of the two classes has no vertebra")
    found = st.cluster_bootstrap(_difference, columns, owners, settings.seed, settings.resamples)
    about = f"{found.resamples} resamples, {found.failed} without a value"
    yield row.of(row.test, "mean difference", found.estimate, found.interval).but(about)


def _difference(columns: Mapping[str, FloatArray]) -> float:
    has = columns["has"] == 1
    if has.all() or not has.any():
        raise InputError("a resample lacks a class")
    return float(columns["y"][has].mean() - columns["y"][~has].mean())
