"""Quantities related to age and BMD: correlation, regression, covariance analysis, areas under the curve."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .. import statistics as st
from ..errors import InputError
from ..settings import CohortSettings
from ..statistics.values import check_regressors, resamples_drawn
from .columns import DESCRIPTIVE, KINETIC, heading, printed_scale
from .model import CLASSES, Cohort, FloatArray, RocFigure
from .rows import Findings, Row, title
from .subjects import Groups, small_groups

AGE, BMD = "age_years", "bmd_lumbar_g_cm2"

_RISES = frozenset({"time_to_peak_s", "fat_fraction"})  # with bone loss; all else is taken to fall
_POOLED = "pooled over classes, which widens the range; see within classes too"

BoolArray = npt.NDArray[np.bool_]


def correlate(findings: Findings, cohort: Cohort, quantity: str, other: str, classes: Groups | None) -> None:
    """One quantity against another: all subjects, within classes, with age held constant; and the line."""
    y, x = cohort.numbers[quantity], cohort.numbers[other]
    known = np.isfinite(y) & np.isfinite(x)
    row = Row("correlation", "", quantity, other, "all", int(np.count_nonzero(known)))
    row = row.but(_POOLED if classes is not None and len(classes.order) > 1 else "")
    findings.attempt(row.of("Pearson"), _pearson, x[known], y[known])
    findings.attempt(row.of("Spearman"), _spearman, x[known], y[known])
    line = replace(row, family="regression", note="")
    findings.attempt(line.of(f"line on {other}"), _regression, y[known], {other: x[known]})
    if other != AGE and AGE in cohort.numbers:
        for held in ((AGE,), (AGE, "fat_fraction")):
            if quantity not in held and all(name in cohort.numbers for name in held):
                _partial(findings, cohort, row, held)
    for group in classes.order if classes is not None else ():
        inside = known & classes.is_in(group) if classes is not None else known
        size = int(np.count_nonzero(inside))
        own = replace(row, comparison=group, n=size, note=small_groups({group: size}))
        findings.attempt(own.of("Pearson"), _pearson, x[inside], y[inside])


def _partial(findings: Findings, cohort: Cohort, row: Row, held: tuple[str, ...]) -> None:
    columns = {name: cohort.numbers[name] for name in (row.quantity, row.grouping, *held)}
    known = _complete(columns)
    names = " and ".join(title(name).lower() for name in held)
    row = replace(row, n=int(np.count_nonzero(known)), comparison=f"all, {names} held constant", note="")
    y, x, *rest = (values[known] for values in columns.values())
    findings.attempt(row.of("partial"), _partial_rows, x, y, dict(zip(held, rest, strict=True)))


def _pearson(row: Row, x: FloatArray, y: FloatArray) -> Iterator[Row]:
    yield _of(row, st.pearson(x, y))


def _spearman(row: Row, x: FloatArray, y: FloatArray) -> Iterator[Row]:
    yield _of(row, st.spearman(x, y))


def _partial_rows(row: Row, x: FloatArray, y: FloatArray, held: Mapping[str, FloatArray]) -> Iterator[Row]:
    yield _of(row, st.partial(x, y, held))


def _of(row: Row, found: st.Correlation) -> Row:
    return replace(row.of(row.test, "r", found.r, found.interval), p=found.p)


def _regression(row: Row, outcome: FloatArray, predictors: Mapping[str, FloatArray]) -> Iterator[Row]:
    found = st.linear_regression(outcome, predictors)
    yield row.of(row.test, "R squared", found.r2).tested(found.f, found.p, len(predictors), found.df)
    for item in found.coefficients:
        kind = item.name if item.name == "intercept" else f"slope of {item.name}"
        coefficient = row.of(row.test, kind, item.value, item.interval)
        yield coefficient.tested(item.t, item.p, found.df)
        if len(predictors) > 1 and item.name != "intercept":
            yield row.of(row.test, f"VIF of {item.name}", item.vif)


def regress_bmd(findings: Findings, cohort: Cohort) -> None:
    """BMD on Ktrans and kep, without and with age; why ve is not there."""
    for names in (("ktrans_per_min", "kep_per_min"), ("ktrans_per_min", "kep_per_min", AGE)):
        if not all(name in cohort.numbers for name in (BMD, *names)):
            continue
        columns = {name: cohort.numbers[name] for name in (BMD, *names)}
        known = _complete(columns)
        row = Row("regression", f"regression on {', '.join(names)}", BMD, n=int(np.count_nonzero(known)))
        findings.attempt(row, _regression, columns[BMD][known], {name: columns[name][known] for name in names})
    if BMD in cohort.numbers and all(name in cohort.numbers for name in KINETIC):
        try:
            check_regressors(KINETIC)
        except InputError as reason:
            findings.not_made.append(f"Regression of BMD on Ktrans, kep and ve together: {reason}.")


def adjust_for_age(findings: Findings, cohort: Cohort, quantity: str, classes: Groups) -> None:
    """Classes compared at equal age."""
    y, age = cohort.numbers[quantity], cohort.numbers[AGE]
    known = np.isfinite(y) & np.isfinite(age) & (classes.codes >= 0)
    row = Row("covariance", "ANCOVA: classes, age held", quantity, classes.column, " / ".join(classes.order))
    row = replace(row, n=int(np.count_nonzero(known)))
    findings.attempt(row, _ancova, y[known], classes.codes[known], age[known], classes.order)


def _ancova(
    row: Row, y: FloatArray, codes: npt.NDArray[np.intp], age: FloatArray, order: tuple[str, ...]
) -> Iterator[Row]:
    found = st.ancova(y, codes, age)
    for test, term in (
        ("ANCOVA: classes, age held", found.groups),
        ("ANCOVA: age, classes held", found.covariate),
        ("ANCOVA: slopes differ (assumed not)", found.parallel),
    ):
        degrees = found.df_residual if term is not found.parallel else found.df_residual - term.df
        none = "no class has enough subjects for a slope of its own" if np.isnan(term.f) else ""
        yield row.of(test).tested(term.f, term.p, term.df, degrees).but(none)
    for code, mean in sorted(found.adjusted_means.items(), key=lambda item: int(item[0])):
        yield replace(row, comparison=order[int(code)]).of("ANCOVA: adjusted mean", "mean at the mean age", mean)


def discriminate(
    findings: Findings,
    cohort: Cohort,
    quantities: list[str],
    classes: Groups,
    settings: CohortSettings,
    step: Callable[[float, str], None],
) -> list[RocFigure]:
    """Osteoporosis against the others, and normal against the others; `step` is told the share done before each."""
    figures = []
    for number, target in enumerate((CLASSES[2], CLASSES[0])):
        condition = f"{target} against the others"
        known = classes.codes >= 0
        has = classes.is_in(target)
        for place, quantity in enumerate(quantities):
            step((number + place / len(quantities)) / 2, f"Area under the curve of {title(quantity)}")
            values = cohort.numbers[quantity]
            inside = known & np.isfinite(values)
            row = Row("roc", "ROC (DeLong)", quantity, classes.column, condition, int(np.count_nonzero(inside)))
            higher = _higher(quantity, target)
            findings.attempt(row, _roc, values[inside], has[inside], higher)
            if quantity not in KINETIC:  # the others have DeLong's interval; each bootstrap takes seconds
                continue
            row = row.of("ROC (bootstrap)")
            if settings.resamples:
                findings.attempt(row, _bootstrap, values[inside], has[inside], higher, settings)
            else:
                findings.rows.append(row.but("no bootstrap was asked for (resamples 0)"))
        _compare_areas(findings, cohort, classes, target, condition)
        drawn = [name for name in KINETIC if name in quantities] or [name for name in DESCRIPTIVE if name in quantities]
        figures += _roc_figure(findings, cohort, drawn, known, has, target, condition, settings)
    return figures


def _roc(row: Row, values: FloatArray, has: BoolArray, higher: bool) -> Iterator[Row]:
    found = st.roc(values, has, higher)
    row = row.but(small_groups({"with": found.n_positive, "without": found.n_negative}))
    perfect = "an area of 0 or 1 has no interval" if found.auc in (0.0, 1.0) else ""
    yield row.of(row.test, "area under the curve", found.auc, found.interval).but(perfect)
    yield row.of(row.test, "standard error of the area", found.se)
    side = (
        f"positive {'at or above' if higher else 'at or below'} the cut; chosen on these subjects, so its rates flatter"
    )
    yield row.of(row.test, "cut (Youden)", found.cut).but(side)
    sensitivity = st.rate(round(found.sensitivity * found.n_positive), found.n_positive)
    specificity = st.rate(round(found.specificity * found.n_negative), found.n_negative)
    yield row.of(row.test, "sensitivity", sensitivity.rate, sensitivity.interval)
    yield row.of(row.test, "specificity", specificity.rate, specificity.interval)


def _bootstrap(row: Row, values: FloatArray, has: BoolArray, higher: bool, settings: CohortSettings) -> Iterator[Row]:
    interval = st.auc_bootstrap(values, has, higher, settings.seed, settings.resamples)
    about = f"{resamples_drawn(settings.resamples, values.size)} resamples"
    yield row.of(row.test, "area under the curve", st.roc(values, has, higher).auc, interval).but(about)


def _compare_areas(findings: Findings, cohort: Cohort, classes: Groups, target: str, condition: str) -> None:
    present = [name for name in KINETIC if name in cohort.numbers]
    rows = []
    for first, second in itertools.combinations(present, 2):
        columns = {name: cohort.numbers[name] for name in (first, second)}
        known = _complete(columns) & (classes.codes >= 0)
        row = Row("roc", "DeLong's comparison of areas", first, classes.column, f"{condition}: less that of {second}")
        row = replace(row, n=int(np.count_nonzero(known)))
        a, b = (values[known] for values in columns.values())
        try:
            found = st.compare_roc(a, b, classes.is_in(target)[known], _higher(first, target))
            row = row.of(row.test, "difference of areas", found.difference)
            rows.append(row.tested(found.z, found.p))
        except InputError as reason:
            rows.append(row.but(str(reason)))
    p = [row.p for row in rows if not np.isnan(row.p)]
    corrected = iter(zip(st.holm(p), st.benjamini_hochberg(p), strict=True)) if p else iter(())
    for row in rows:
        if not np.isnan(row.p):
            by_holm, fdr = next(corrected)
            about = f"Holm over {len(p)} pairs of quantities"
            row = replace(row, p_adjusted=float(by_holm), p_fdr=float(fdr), adjustment=about)
        findings.rows.append(row)


def _roc_figure(
    findings: Findings,
    cohort: Cohort,
    columns: list[str],
    known: BoolArray,
    has: BoolArray,
    target: str,
    condition: str,
    settings: CohortSettings,
) -> list[RocFigure]:
    drawn, curves, captions = [], [], []
    for column in columns:
        values = cohort.numbers[column]
        inside = known & np.isfinite(values)
        scale = printed_scale(column, settings.ve_unit)
        try:
            higher = _higher(column, target)
            curves.append(st.roc_curve(values[inside], has[inside], higher))
            captions.append(
                f"{heading(column, settings.ve_unit)}: {st.roc(scale * values[inside], has[inside], higher)}"
            )
            drawn.append(column)
        except InputError as reason:
            findings.not_made.append(f"ROC curve of {title(column)}, {condition}: {reason}.")
    return [RocFigure(condition, tuple(drawn), tuple(curves), tuple(captions))] if drawn else []


def _higher(quantity: str, target: str) -> bool:
    """Whether high values speak for the class."""
    return (quantity in _RISES) == (target == CLASSES[2])


def _complete(columns: Mapping[str, FloatArray]) -> BoolArray:
    return np.asarray(np.all([np.isfinite(values) for values in columns.values()], axis=0))
