"""Quantities and rates between groups, and one site against another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from .. import statistics as st
from ..errors import InputError
from ..statistics.groups import Assumption, TTest
from ..statistics.posthoc import PostHoc
from ..statistics.values import LEVEL
from .columns import NUMBERS
from .model import CLASSES, Cohort, FloatArray
from .rows import Findings, Row, title
from .subjects import Groups, small_groups

Samples: TypeAlias = Mapping[str, FloatArray]

MAIN_TEST = "Welch's analysis of variance (main test)"

_SITES = "BMD per area of two sites is not comparable: their projected areas and depths differ"


def describe_groups(findings: Findings, quantity: str, values: FloatArray, groups: Groups) -> None:
    """Count, mean, SD, median and missing values of each group."""
    for group in groups.order:
        inside = values[groups.is_in(group)]
        known = inside[np.isfinite(inside)]
        row = Row("groups", "", quantity, groups.column, group, known.size)
        findings.rows.append(row.of("missing", "missing values", float(inside.size - known.size)))
        if not known.size:
            findings.rows.append(row.of("mean", "mean").but("no subject of the group has a value"))
            continue
        mean, limits, sd = float(known.mean()), (math.nan, math.nan), math.nan
        if known.size > 1:
            sd = float(known.std(ddof=1))
            half = float(stats.t.ppf((1 + LEVEL) / 2, known.size - 1)) * sd / math.sqrt(known.size)
            limits = mean - half, mean + half
        low, middle, high = (float(x) for x in np.quantile(known, [0.25, 0.5, 0.75]))
        alone = "" if known.size > 1 else "one subject has no SD"
        findings.rows += [
            row.of("mean", "mean", mean, limits).but(alone),
            row.of("standard deviation", "SD", sd).but(alone),
            row.of("median", "median", middle, (low, high)).but("limits are quartiles"),
        ]
    unknown = int(np.count_nonzero((groups.codes < 0) & np.isfinite(values)))
    if unknown:
        row = Row("groups", "", quantity, groups.column, "no group", unknown)
        findings.rows.append(row.of("not compared", "subjects", float(unknown)).but("their group is not known"))


def compare_groups(findings: Findings, quantity: str, values: FloatArray, groups: Groups) -> None:
    """Tests between all groups, what they assume, effect sizes and pairs of groups."""
    samples = groups.samples(values)
    n = sum(part.size for part in samples.values())
    base = Row("groups", "", quantity, groups.column, " / ".join(samples), n)
    try:
        st.check_not_circular(quantity, groups.column)
    except InputError as reason:
        findings.rows.append(base.of("not tested").but(str(reason)))
        return
    base = base.but(small_groups({group: part.size for group, part in samples.items()}))

    findings.attempt(base.of(MAIN_TEST), _welch, samples)
    findings.attempt(base.of("analysis of variance"), _anova, samples)
    findings.attempt(base.of("Kruskal-Wallis"), _kruskal, samples)
    assumed = replace(base, family="assumptions", note="")
    findings.attempt(assumed.of("Levene (equal variances)"), _assumption, st.levene, samples)
    findings.attempt(assumed.of("Brown-Forsythe (equal variances)"), _assumption, st.levene, samples, "median")
    findings.attempt(assumed.of("Shapiro-Wilk (normal residuals)"), _assumption, st.residual_normality, samples)
    pairs = replace(base, family="post-hoc", comparison="all pairs", note="")
    findings.attempt(pairs.of("LSD"), _pairs, samples, st.lsd)
    findings.attempt(pairs.of("Tukey-Kramer"), _pairs, samples, st.tukey)
    findings.attempt(pairs.of("Games-Howell"), _pairs, samples, st.games_howell)
    findings.attempt(pairs.of("Dunnett"), _pairs, samples, st.dunnett, next(iter(samples), ""))
    findings.attempt(pairs.of("Dunn"), _pairs, samples, st.dunn)
    if groups.column != "bmd_class":
        return
    for two in itertools.combinations(samples, 2):
        sizes = {group: samples[group].size for group in two}
        row = replace(base, family="effect sizes", comparison=" - ".join(two), n=sum(sizes.values()))
        row = replace(row, note=small_groups(sizes))
        findings.attempt(row.of("Hedges g"), _hedges, {group: samples[group] for group in two})
        findings.attempt(row.of("Cliff's delta"), _cliff, *(samples[group] for group in two))


def _welch(row: Row, samples: Samples) -> Iterator[Row]:
    found = st.welch_anova(samples)
    yield row.tested(found.f, found.p, found.df1, found.df2)


def _anova(row: Row, samples: Samples) -> Iterator[Row]:
    found = st.anova(samples)
    yield row.tested(found.f, found.p, found.df_between, found.df_within)
    yield row.of("effect size", "eta squared", found.eta2, found.interval)
    yield row.of("effect size", "omega squared", found.omega2, found.interval)


def _kruskal(row: Row, samples: Samples) -> Iterator[Row]:
    found = st.kruskal(samples)
    yield row.tested(found.h, found.p, found.df)


def _assumption(row: Row, test: Callable[..., Assumption], *arguments: object) -> Iterator[Row]:
    found = test(*arguments)
    yield row.tested(found.statistic, found.p).but(f"{found.name}: no p-value" if math.isnan(found.p) else "")


def _pairs(row: Row, samples: Samples, method: Callable[..., PostHoc], *arguments: object) -> Iterator[Row]:
    found = method(samples, *arguments)
    sizes = {group: part.size for group, part in samples.items()}
    for pair in found.pairs:
        two = {group: sizes[group] for group in (pair.first, pair.second)}
        same = replace(row, comparison=f"{pair.first} - {pair.second}", n=sum(two.values()), note=small_groups(two))
        kind = "difference of mean ranks" if row.test == "Dunn" else "mean difference"
        same = same.of(row.test, kind, pair.difference, pair.interval)
        if row.test == "LSD":
            yield same.tested(pair.statistic, pair.p, pair.df)
            continue
        raw = 2 * float(special.ndtr(-abs(pair.statistic))) if row.test == "Dunn" else math.nan
        about = f"{'Holm' if row.test == 'Dunn' else row.test} over {len(found.pairs)} pairs"
        same = same.tested(pair.statistic, raw, pair.df if math.isfinite(pair.df) else math.nan)
        yield replace(same, p_adjusted=pair.p, adjustment=about)


def _hedges(row: Row, two: Samples) -> Iterator[Row]:
    yield row.of("Hedges g", "g", *st.hedges_g(two))


def _cliff(row: Row, first: FloatArray, second: FloatArray) -> Iterator[Row]:
    found = st.cliff_delta(first, second)
    apart = "the groups do not overlap, so there is no interval" if abs(found.delta) == 1 else ""
    yield row.of("Cliff's delta", "delta", found.delta, found.interval).but(apart)


def compare_sites(findings: Findings, cohort: Cohort, groups: Groups | None) -> None:
    """Lumbar against femoral-neck BMD in each age group, as the source paper has it, and paired."""
    lumbar, neck = (cohort.numbers[name] for name in ("bmd_lumbar_g_cm2", "bmd_femoral_neck_g_cm2"))
    known = np.isfinite(lumbar) & np.isfinite(neck)
    where = {"all": known}
    if groups is not None:
        where |= {group: known & groups.is_in(group) for group in groups.order}
    for group, inside in where.items():
        a, b = lumbar[inside], neck[inside]
        row = Row("sites", "", "bmd_lumbar_g_cm2", "" if group == "all" else "age_group", n=a.size)
        row = replace(row, comparison=f"{group}: lumbar - femoral neck").but(_SITES, small_groups({group: a.size}))
        findings.attempt(row.of("paired t-test"), _t_test, st.paired_t, a, b)
        both = {"lumbar": a, "femoral neck": b}
        row = row.but("takes two sites of one subject for two subjects, as the source paper did")
        findings.attempt(row.of("two-sample t-test"), _t_test, st.student_t, both)
        findings.attempt(row.of("Welch's t-test"), _t_test, st.welch_t, both)


def _t_test(row: Row, test: Callable[..., TTest], *arguments: object) -> Iterator[Row]:
    found = test(*arguments)
    yield row.of(row.test, "mean difference", found.difference, found.interval).tested(found.t, found.p, found.df)


def compare_rates(findings: Findings, cohort: Cohort, column: str, kinds: Groups, groups: Groups) -> None:
    """Rates of low bone mass and osteoporosis of one site by age group."""
    known = (kinds.codes >= 0) & (groups.codes >= 0)
    missing = int(known.size - np.count_nonzero(known))
    conditions = {name: kinds.is_in(name) for name in CLASSES[1:]}
    conditions[" or ".join(CLASSES[1:])] = conditions[CLASSES[1]] | conditions[CLASSES[2]]
    order = [group for group in groups.order if np.any(known & groups.is_in(group))]
    totals = {group: int(np.count_nonzero(known & groups.is_in(group))) for group in order}
    for condition, has in conditions.items():
        base = Row("rates", "", f"{column}: {condition}", groups.column, " / ".join(order), sum(totals.values()))
        findings.rows.append(base.of("missing", "subjects without category or age group", float(missing)))
        if not order:
            findings.rows.append(base.of("rate", "rate").but("no subject has a category and an age group"))
            continue
        counts = {group: int(np.count_nonzero(known & has & groups.is_in(group))) for group in order}
        rates = {group: st.rate(counts[group], totals[group]) for group in order}
        for group, rate in rates.items():
            row = replace(base, comparison=group, n=rate.total).of("rate (Wilson)", "rate", rate.rate, rate.interval)
            findings.rows.append(row.but(f"{rate.count} of {rate.total}", small_groups({group: rate.total})))
        _rate_tests(findings, base, counts, totals)
        for before, after in itertools.pairwise(order):
            change = st.rate_difference(rates[after], rates[before])
            row = replace(base, comparison=f"{after} - {before}", n=totals[after] + totals[before])
            findings.rows.append(row.of("increment (Newcombe)", "difference of rates", *change))


def _rate_tests(findings: Findings, base: Row, counts: dict[str, int], totals: dict[str, int]) -> None:
    order = list(counts)
    two_rows = np.array([[counts[group], totals[group] - counts[group]] for group in order])

    findings.attempt(base.of("chi-squared"), _chi_squared, two_rows)
    findings.attempt(base.of("Cochran-Armitage trend"), _trend, list(counts.values()), list(totals.values()))
    if len(order) < 2:
        findings.rows.append(base.of("Fisher's exact test").but("one age group cannot be compared"))
        return
    tests = [st.fisher(two_rows[[place, 0]]) for place in range(1, len(order))]
    corrected = st.holm([test.p for test in tests])
    fdr = st.benjamini_hochberg([test.p for test in tests])
    for group, test, p, rate in zip(order[1:], tests, corrected, fdr, strict=True):
        sizes = {name: totals[name] for name in (group, order[0])}
        row = replace(base, comparison=f"{group} - {order[0]}", n=sum(sizes.values())).but(small_groups(sizes))
        row = row.of("Fisher's exact test", "odds ratio", test.odds_ratio).tested(math.nan, test.p)
        row = row.but("marks of Table 1 rest on the family marks")
        if not 0 < test.odds_ratio < math.inf:
            row = row.but("a group has none or all, so the odds ratio is 0, infinite or none")
        about = f"Holm over {len(tests)} age groups"
        findings.rows.append(replace(row, p_adjusted=float(p), p_fdr=float(rate), adjustment=about))


def _chi_squared(row: Row, table: npt.NDArray[np.intp]) -> Iterator[Row]:
    found = st.chi_squared(table)
    note = f"{found.sparse} cells expect fewer than 5 subjects, so p is rough" if found.sparse else ""
    yield row.tested(found.statistic, found.p, found.df).but(note)


def _trend(row: Row, counts: list[int], totals: list[int]) -> Iterator[Row]:
    found = st.cochran_armitage(counts, totals)
    yield row.tested(found.z, found.p)
    spss = found.linear_by_linear
    yield row.of("linear by linear").tested(spss, float(stats.chi2.sf(spss, 1)), 1)


def missing_values(findings: Findings, cohort: Cohort) -> None:
    """How many subjects have each quantity; a column without any is named."""
    for quantity in (name for name in NUMBERS if name in cohort.numbers):
        values = cohort.numbers[quantity]
        known = int(np.count_nonzero(np.isfinite(values)))
        row = Row("counts", "", quantity, n=known).of("missing", "missing values", float(values.size - known))
        findings.rows.append(row)
        if not known:
            findings.warnings.append(f"{title(quantity)} is missing for all {values.size} subjects.")
