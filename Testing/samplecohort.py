"""A cohort result made by hand from random numbers, to draw and to report."""

from __future__ import annotations

import numpy as np
from DCEPerfusionBMDLib.cohort import (
    CLASSES,
    AgreementFigure,
    Boxes,
    Cohort,
    CohortResult,
    MeanCurve,
    PaperTable,
    RocFigure,
    Scatter,
    SourceColumn,
)
from DCEPerfusionBMDLib.settings import CohortSettings
from DCEPerfusionBMDLib.statistics import (
    anova,
    bland_altman,
    group_table,
    line_band,
    pearson,
    roc,
    roc_curve,
    welch_anova,
)
from DCEPerfusionBMDLib.statistics.values import LeftOut
from DCEPerfusionBMDLib.tables import Column, Table

KINETIC = ("ktrans_per_min", "kep_per_min", "ve")
DECADES = ("40~", "50~", "60~", "70~", "80~")
STATISTICS_TEXTS = ("family", "quantity", "grouping", "comparison", "test", "estimate_name", "adjustment", "note")
STATISTICS_NUMBERS = ("estimate", "low", "high", "statistic", "df1", "df2", "p", "p_adjusted", "p_fdr")


def sample_result(
    size: int = 197, seed: int = 7, ve_unit: str = "fraction", marks: str = "welch-holm", **changes: object
) -> CohortResult:
    """A result with all tables and figures; `changes` replace fields of its cohort."""
    random = np.random.default_rng(seed)
    t = random.uniform(-4, 1.5, size)
    classes = np.array(CLASSES)[np.where(t >= -1, 0, np.where(t > -2.5, 1, 2))]
    age = np.clip(62 - 5 * t + random.normal(0, 6, size), 41, 88)
    decades = np.array(DECADES)[np.clip(age // 10 - 4, 0, 4).astype(int)]
    ktrans = np.clip(0.9 + 0.17 * t + random.normal(0, 0.08, size), 0.02, None)
    kep = np.clip(3.1 + 0.2 * t + random.normal(0, 0.15, size), 0.1, None)
    numbers = {
        "age_years": age,
        "t_lumbar": t,
        "bmd_lumbar_g_cm2": 0.95 + 0.12 * t,
        "ktrans_per_min": ktrans,
        "kep_per_min": kep,
        "ve": np.clip(ktrans / kep, 0, 1),
    }
    numbers["ve"][3] = np.nan
    labels = {"age_group": decades, "bmd_class": classes}
    sources = {name: SourceColumn(name.split("_")[0], "as given") for name in numbers}
    sources |= {"age_group": SourceColumn("", "decade of the age"), "bmd_class": SourceColumn("class", "as given")}
    fields = {
        "name": "sample.csv",
        "subjects": np.array([f"S{i + 1:06d}" for i in range(size)]),
        "levels": np.full(size, ""),
        "readings": np.full(size, ""),
        "numbers": numbers,
        "labels": labels,
        "sources": sources,
        "curves": None,
        "rows_read": size + 2,
        "left_out": (LeftOut("row 12", "no number"), LeftOut("row 99", "blank")),
        "ignored": ("comment",),
        "notes": ("ve was computed as Ktrans/kep",),
    }
    cohort = Cohort(**{**fields, **changes})  # type: ignore[arg-type]
    whole = np.isfinite(numbers["ve"])
    scatters = [
        _scatter(figure, x, y, numbers, classes)
        for figure, x in (("figure1", "age_years"), ("figure3", "bmd_lumbar_g_cm2"))
        for y in KINETIC
    ]
    boxes = tuple(
        Boxes(
            column,
            grouping,
            {group: numbers[column][(labels[grouping] == group) & whole] for group in order},
            "Main test: Welch F(2, 113.96) = 504.8, p = 2.84e-10, after Holm 5.68e-10.",
        )
        for grouping, order in (("bmd_class", CLASSES), ("age_group", DECADES))
        for column in KINETIC
    )
    second = ktrans + random.normal(0.01, 0.03, size)
    limits = bland_altman(ktrans, second)
    return CohortResult(
        cohort,
        CohortSettings(ve_unit=ve_unit, marks=marks),
        tuple(_tables(numbers, labels, whole, marks)),
        _statistics(numbers, classes, whole),
        tuple(scatters),
        tuple(
            _curve(group, int((classes == group).sum()), peak)
            for group, peak in zip(CLASSES, (1.04, 0.62, 0.38), strict=True)
        ),
        boxes,
        tuple(
            RocFigure(
                condition,
                KINETIC,
                tuple(roc_curve(numbers[name][whole], (classes == group)[whole], higher) for name in KINETIC),
                tuple(
                    f"{name.split('_')[0]}: AUC {roc(numbers[name][whole], (classes == group)[whole], higher).auc:.3f} "
                    "[0.911, 0.972], cut 0.41 (sensitivity 0.92, specificity 0.89)"
                    for name in KINETIC
                ),
            )
            for condition, group, higher in (
                ("osteoporosis against the others", CLASSES[2], False),
                ("normal against the others", CLASSES[0], True),
            )
        ),
        (
            AgreementFigure(
                "ktrans_per_min",
                "reader 1",
                "reader 2",
                (ktrans + second) / 2,
                ktrans - second,
                limits.bias,
                limits.lower,
                limits.upper,
                f"Mean difference {limits.bias:.4f}; limits of agreement {limits.lower:.4f} and {limits.upper:.4f}",
            ),
        ),
        ("Ktrans, kep and ve are not in one regression: ve is Ktrans/kep",),
        ("the group 40~ has 5 subjects",),
    )


def _scatter(figure: str, x_name: str, y_name: str, numbers: dict[str, np.ndarray], classes: np.ndarray) -> Scatter:
    has = np.isfinite(numbers[x_name]) & np.isfinite(numbers[y_name])
    x, y = numbers[x_name][has], numbers[y_name][has]
    line_x = np.linspace(x.min(), x.max(), 50)
    line, low, high = line_band(x, y, line_x)
    slope, intercept = np.polyfit(x, y, 1)
    found = pearson(x, y)
    return Scatter(figure, x_name, y_name, x, y, classes[has], line_x, line, low, high, found, slope, intercept)


def _curve(group: str, count: int, peak: float) -> MeanCurve:
    times = np.arange(0.0, 301.0, 3.0)
    mean = peak * (1 - np.exp(-times / 8)) * np.exp(-times / 200)
    band = 0.05 * mean + 0.01
    source = "computed from each subject's Ktrans and kep with Parker's input, not measured"
    return MeanCurve(group, count, times, mean, mean - band, mean + band, "Contrast agent in tissue", "mmol/L", source)


def _tables(
    numbers: dict[str, np.ndarray], labels: dict[str, np.ndarray], whole: np.ndarray, method: str
) -> list[PaperTable]:
    made = []
    for name, grouping, order, columns, marks in (
        ("table1", "age_group", DECADES, ("bmd_lumbar_g_cm2",), {"*": ("40~", 0.05)}),
        ("table2", "age_group", DECADES, KINETIC, {"*": ("40~", 0.05)}),
        (
            "table3",
            "bmd_class",
            CLASSES,
            ("age_years", *KINETIC),
            {"*": (CLASSES[0], 0.01), "\u2020": (CLASSES[1], 0.01)},
        ),
    ):
        title = f"Table {name[-1]}: by {grouping}"
        chosen = labels[grouping][whole]
        numeric = group_table(
            name,
            title,
            grouping,
            list(chosen),
            [group for group in order if group in chosen],
            {column: numbers[column][whole] for column in columns},
            {},
            marks,
            method,
        )
        table = numeric.table
        rows = range(len(table))
        printed = [Column(grouping, list(table[grouping]), "Group"), Column("n", list(table["n"]), "n")]
        for column in columns:
            mean, sd, mark = (table[f"{column}_{part}"] for part in ("mean", "sd", "marks"))
            texts = [f"{mean[i]:.3f} \u00b1 {sd[i]:.3f}{mark[i]}" for i in rows]
            printed.append(Column(column, texts, column))
        made.append(PaperTable(name, title, numeric, Table(name, title, tuple(printed))))
    return made


def _statistics(numbers: dict[str, np.ndarray], classes: np.ndarray, whole: np.ndarray) -> Table:
    rows: list[dict[str, object]] = []
    for name in KINETIC:
        samples = {group: numbers[name][whole & (classes == group)] for group in CLASSES}
        equal, welch = anova(samples), welch_anova(samples)
        for test, f, df1, df2, p in (
            ("ANOVA", equal.f, equal.df_between, equal.df_within, equal.p),
            ("Welch ANOVA", welch.f, welch.df1, welch.df2, welch.p),
        ):
            rows.append(
                {
                    "family": "groups",
                    "quantity": name,
                    "grouping": "bmd_class",
                    "comparison": " / ".join(CLASSES),
                    "test": test,
                    "n": int(whole.sum()),
                    "statistic": f,
                    "df1": float(df1),
                    "df2": float(df2),
                    "p": p,
                    "p_adjusted": min(1.0, 3 * p),
                    "p_fdr": min(1.0, 1.5 * p),
                    "adjustment": "Holm over 3 parameters",
                }
            )
        rows.append({"quantity": name, "grouping": "bmd_class", "test": "Levene", "n": 5, "statistic": 3.2, "p": 0.043})
        link = pearson(numbers["age_years"][whole], numbers[name][whole])
        rows.append(
            {
                "family": "correlation",
                "quantity": name,
                "comparison": "age_years",
                "test": "Pearson",
                "n": link.n,
                "estimate_name": "r",
                "estimate": link.r,
                "low": link.interval[0],
                "high": link.interval[1],
                "p": link.p,
            }
        )
    columns = [Column(name, [str(row.get(name, "")) for row in rows], name) for name in STATISTICS_TEXTS]
    columns.insert(5, Column("n", [int(str(row["n"])) for row in rows], "n"))
    columns += [Column(name, [float(str(row.get(name, "nan"))) for row in rows], name) for name in STATISTICS_NUMBERS]
    return Table("statistics", "Statistics", tuple(columns))
