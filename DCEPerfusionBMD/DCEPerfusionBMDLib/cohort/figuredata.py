"""The source paper's figures as values: scatters with their line, mean curves by class, boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from .. import statistics as st
from ..errors import InputError
from ..kinetics.aif import population_plasma
from ..kinetics.tofts import tofts_concentration
from ..statistics.values import LEVEL
from .model import Boxes, Cohort, FloatArray, MeanCurve, Scatter
from .rows import Findings, title
from .subjects import Groups, find

HEMATOCRIT = 0.42

COMPUTED = f"computed from each subject's Ktrans and kep with Parker's input (hematocrit {HEMATOCRIT}), not measured"
"""Source of curves where none were measured."""

_BLOCK = 2000  # curves computed at a time
_LINE_POINTS = 100
_STEP_S, _FINE, _END_S = 3, 3, 300  # the input's first pass needs a finer axis than the figure

Block: TypeAlias = tuple[FloatArray, npt.NDArray[np.intp]]
"""Curves, and for each its class as an index, -1 where it has none."""


def scatter(
    findings: Findings, figure: str, cohort: Cohort, quantity: str, other: str, classes: Groups | None
) -> list[Scatter]:
    """One quantity against another with its line; nothing where they do not allow a line, which is said."""
    y, x = cohort.numbers[quantity], cohort.numbers[other]
    known = np.isfinite(y) & np.isfinite(x)
    y, x = y[known], x[known]
    names = np.array([*(classes.order if classes is not None else ()), ""])
    groups = names[classes.codes[known]] if classes is not None else np.full(x.size, "")
    try:
        correlation = st.pearson(x, y)
        line = st.linear_regression(y, {"x": x})
        at = np.linspace(float(x.min()), float(x.max()), _LINE_POINTS)
        middle, low, high = st.line_band(x, y, at)
    except InputError as reason:
        findings.not_made.append(f"{figure}, {title(quantity)} against {title(other)}: {reason}.")
        return []
    slope, intercept = line["x"].value, line["intercept"].value
    return [Scatter(figure, other, quantity, x, y, groups, at, middle, low, high, correlation, slope, intercept)]


def boxes(findings: Findings, cohort: Cohort, quantity: str, groups: Groups) -> list[Boxes]:
    """One quantity by group, with the main test as caption."""
    samples = groups.samples(cohort.numbers[quantity])
    if not samples:
        findings.not_made.append(f"Boxes of {title(quantity)} by {groups.column}: no subject has both.")
        return []
    try:
        caption = f"Main test: {st.welch_anova(samples)}."
    except InputError as reason:
        caption = f"Not tested: {reason}."
    return [Boxes(quantity, groups.column, samples, caption)]


def mean_curves(findings: Findings, cohort: Cohort, classes: Groups | None) -> list[MeanCurve]:
    """Mean enhancement curve of each class, measured ones where there are any; `cohort` has sorted subjects."""
    if classes is None:
        findings.not_made.append("figure2: no subject has a T-score category.")
        return []
    curves = cohort.curves
    if curves is not None:
        order = np.argsort(curves.subjects, kind="stable")
        place = find(cohort.subjects, curves.subjects[order])
        codes = np.where(place < 0, -1, classes.codes[place])
        without = int(np.count_nonzero(codes < 0))
        if without:
            findings.warnings.append(f"Curves of subjects without a T-score category: {without} of {codes.size}.")
        if (codes >= 0).any():
            return _averaged(
                classes, [(curves.values[order], codes)], curves.times_s, curves.quantity, curves.unit, curves.source
            )
    if not all(name in cohort.numbers for name in ("ktrans_per_min", "kep_per_min")):
        findings.not_made.append("figure2: there are no measured curves, and no Ktrans and kep to compute any from.")
        return []
    times = np.arange(0.0, _END_S + 1, _STEP_S)
    found = _averaged(classes, _computed(cohort, classes), times, "Contrast agent in tissue", "mmol/L", COMPUTED)
    if found:
        findings.warnings.append(f"The curves of figure2 are {COMPUTED}.")
    else:
        findings.not_made.append("figure2: no subject has Ktrans, kep and a T-score category.")
    return found


def _computed(cohort: Cohort, classes: Groups) -> Iterator[Block]:
    ktrans, kep = cohort.numbers["ktrans_per_min"], cohort.numbers["kep_per_min"]
    rows = np.flatnonzero(np.isfinite(ktrans) & np.isfinite(kep) & (classes.codes >= 0))
    times = np.arange(0, _END_S * _FINE + 1, _STEP_S) / _FINE
    plasma = population_plasma("parker", times, 0.0, HEMATOCRIT)
    for start in range(0, rows.size, _BLOCK):
        block = rows[start : start + _BLOCK]
        curves = tofts_concentration(times, plasma, ktrans[block], kep[block])
        yield curves[:, ::_FINE], classes.codes[block]


def _averaged(
    classes: Groups, blocks: Iterable[Block], times_s: FloatArray, quantity: str, unit: str, source: str
) -> list[MeanCurve]:
    """Mean and band per class from running counts, means and squares; missing values count at their times alone."""
    shape = len(classes.order), times_s.size
    count, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    subjects = np.zeros(shape[0], dtype=np.intp)
    for curves, codes in blocks:
        for code in range(shape[0]):
            part = curves[codes == code]
            known = np.isfinite(part)
            subjects[code] += np.count_nonzero(known.any(axis=1))
            n = known.sum(axis=0)
            own = np.divide(np.where(known, part, 0.0).sum(axis=0), n, out=np.zeros(n.size), where=n > 0)
            away = np.where(known, part - own, 0.0)
            total = count[code] + n
            step = np.divide(own - mean[code], total, out=np.zeros(n.size), where=total > 0)
            # Chan, Golub and LeVeque 1983: two means and two sums of squares made one
            squares[code] += np.sum(away**2, axis=0) + step * (own - mean[code]) * count[code] * n
            mean[code] += step * n
            count[code] = total
    found = []
    for code, group in enumerate(classes.order):
        if not subjects[code]:
            continue
        n = count[code]
        middle = np.where(n > 0, mean[code], np.nan)
        degrees = np.where(n > 1, n - 1, np.nan)
        half = stats.t.ppf((1 + LEVEL) / 2, degrees) * np.sqrt(squares[code] / degrees / np.where(n > 0, n, np.nan))
        found.append(
            MeanCurve(group, int(subjects[code]), times_s, middle, middle - half, middle + half, quantity, unit, source)
        )
    return found
