"""What was done to a cohort, in words: the paragraph on methods of a paper, in English and in Chinese."""

# ruff: noqa: RUF001  (Chinese has its own commas and brackets)

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..cohort import Cohort, CohortResult, without_t_score
from ..cohort.columns import KINETIC, LABELS, NUMBERS, heading
from ..cohort.figuredata import COMPUTED, HEMATOCRIT
from ..cohort.subjects import reading_names
from ..densitometry.tables import LEAST_LEVELS
from ..settings import CohortSettings
from ..tables import Table
from .html import joined
from .provenance import software_named


@dataclass(frozen=True)
class Kind:
    """A kind of test: how its rows in the statistics are recognized, and its names.

    Attributes
    ----------
    pattern : of the names of its tests, in small letters.
    english, chinese : empty for what is no test.
    role : `key` for rows that the page shows, `assumption` for those beside them, empty for those in the file alone.
    """

    pattern: str
    english: str
    chinese: str
    role: str = ""


WELCH = "Welch's analysis of variance"
"""The main test between groups, by its name in `tests_done`."""

# The first that fits a name counts, so narrower patterns come first.
_KINDS = (
    Kind("^(mean|median|standard deviation|missing|not tested)$", "", ""),
    Kind("adjusted mean", "means adjusted for a covariate", "协变量校正均数"),
    Kind("^effect size", "eta squared and omega squared", "效应量 η² 与 ω²"),
    Kind("^line on", "lines of least squares", "最小二乘直线拟合"),
    Kind("newcombe", "Newcombe's intervals of differences of rates", "率差的 Newcombe 置信区间"),
    Kind("linear by linear", "the linear-by-linear test", "线性趋势卡方检验（linear-by-linear）"),
    Kind("levene", "Levene's test", "Levene 方差齐性检验", "assumption"),
    Kind("brown", "the Brown-Forsythe test", "Brown-Forsythe 检验", "assumption"),
    Kind("shapiro", "the Shapiro-Wilk test of the residuals", "残差的 Shapiro-Wilk 正态性检验", "assumption"),
    Kind("bootstrap", "bootstrap intervals", "自助法（bootstrap）置信区间", "key"),
    Kind("ancova|covariance", "analysis of covariance", "协方差分析", "key"),
    Kind("welch.*(anova|variance)|^welch$", WELCH, "韦尔奇方差分析（Welch 检验）", "key"),
    Kind("welch", "Welch's t-test", "韦尔奇 t 检验（Welch 检验）"),
    Kind("kruskal", "the Kruskal-Wallis test", "Kruskal-Wallis 秩和检验"),
    Kind("games", "the Games-Howell test", "Games-Howell 检验"),
    Kind("tukey", "Tukey's test", "Tukey 检验"),
    Kind("dunnett", "Dunnett's test", "Dunnett 检验"),
    Kind("dunn", "Dunn's test", "Dunn 检验"),
    Kind("lsd|least significant", "least significant differences", "最小显著差异法（LSD）"),
    Kind("paired", "the paired t-test", "配对样本 t 检验"),
    Kind("student|two-sample|t-test", "Student's t-test", "两独立样本 t 检验"),
    Kind("fisher", "Fisher's exact test", "Fisher 确切概率法"),
    Kind("cochran|trend", "the Cochran-Armitage test of trend", "Cochran-Armitage 趋势检验", "key"),
    Kind("chi", "the chi-squared test", "卡方检验", "key"),
    Kind("wilson", "Wilson's interval of a rate", "率的 Wilson 置信区间"),
    Kind("partial", "partial correlation", "偏相关分析", "key"),
    Kind("pearson", "Pearson's correlation", "Pearson 相关分析", "key"),
    Kind("spearman", "Spearman's rank correlation", "Spearman 秩相关分析"),
    Kind("roc|auc|delong", "receiver operating characteristic (ROC) curves", "受试者工作特征曲线（ROC 曲线）", "key"),
    Kind("icc|intraclass", "intraclass correlation", "组内相关系数（ICC）", "key"),
    Kind("ccc|concordance", "Lin's concordance correlation", "Lin 一致性相关系数（CCC）", "key"),
    Kind("bland", "Bland-Altman limits of agreement", "Bland-Altman 一致性界限", "key"),
    Kind("repeatab|wcv|within-subject", "repeatability", "重复性分析", "key"),
    Kind("intercept|mixed", "a linear model with a random intercept per subject", "受试者随机截距线性混合模型", "key"),
    Kind("inflation|vif", "variance inflation", "方差膨胀因子（VIF）"),
    Kind("regression", "linear regression", "线性回归", "key"),
    Kind("hedges", "Hedges' g", "Hedges g 效应量"),
    Kind("cliff", "Cliff's delta", "Cliff δ 效应量"),
    Kind("anova|analysis of variance", "one-way analysis of variance", "单因素方差分析"),
)

_MARKS = {
    "welch-holm": ("Welch t-tests of means", "韦尔奇 t 检验（Welch 检验，均数）"),
    "games-howell": ("the Games-Howell test of means", "Games-Howell 检验（均数）"),
    "dunnett": ("Dunnett's test of means", "Dunnett 检验（均数）"),
    "lsd": ("least significant differences of means with pooled variance", "合并方差的最小显著差异法（LSD，均数）"),
}
_MARKS_OF_RATES = "Fisher's exact tests of rates", "Fisher 确切概率法（率）"

_CHINESE = {
    "age_years": "年龄",
    "bmi_kg_m2": "体重指数",
    "bmd_lumbar_g_cm2": "腰椎骨密度",
    "bmd_femoral_neck_g_cm2": "股骨颈骨密度",
    "bmd_total_hip_g_cm2": "全髋骨密度",
    "t_lumbar": "腰椎 T 值",
    "t_femoral_neck": "股骨颈 T 值",
    "t_total_hip": "全髋 T 值",
    "ktrans_per_min": "容积转移常数 Ktrans（min⁻¹）",
    "kep_per_min": "速率常数 kep（min⁻¹）",
    "ve": "血管外细胞外间隙容积分数 ve",
    "vp": "血浆容积分数 vp",
    "emax_percent": "最大强化率",
    "eslope_percent_per_s": "强化斜率",
    "max_slope_percent_per_s": "最大斜率",
    "time_to_peak_s": "达峰时间",
    "iauc60_mM_s": "60 s 初始曲线下面积（IAUC60）",
    "fat_fraction": "脂肪分数",
}

_ADJUSTMENTS = {
    "holm": "Holm 法",
    "benjamini": "Benjamini-Hochberg 法（控制错误发现率）",
    "bonferroni": "Bonferroni 法",
    "tukey": "Tukey 法",
    "dunnett": "Dunnett 法",
    "games": "Games-Howell 法",
}


_SITES = {
    "lumbar": ("lumbar spine", "腰椎"),
    "femoral_neck": ("femoral neck", "股骨颈"),
    "total_hip": ("total hip", "全髋"),
}
_ROUNDING = {
    "exact": ("without rounding", "T 值不作舍入"),
    "reported": ("rounded to one decimal as reported", "T 值按报告保留一位小数"),
}

# in the notes of `cohort.reading`
_COMPUTED = r"^(\w+) of (\d+) rows? without one is"
_DIFFERS = r"^ve of (\d+) rows? differs from Ktrans/kep by more than ([\d.]+) ?%"

_TWO_SIDED = {
    "t-tests": ("t 检验", {"the paired t-test", "Student's t-test", "Welch's t-test"}),
    "correlations": (
        "相关分析",
        {"Pearson's correlation", "Spearman's rank correlation", "partial correlation"},
    ),
}

Sentence = tuple[str, str]
"""In English and in Chinese; empty where one language does not need it."""


def methods(result: CohortResult, versions: Mapping[str, str]) -> str:
    """What was done, as a paragraph for a paper."""
    return " ".join(english for english, _ in _sentences(result, versions) if english)


def methods_chinese(result: CohortResult, versions: Mapping[str, str]) -> str:
    """The same in Chinese (zh-Hans)."""
    return "".join(chinese for _, chinese in _sentences(result, versions))


def _sentences(result: CohortResult, versions: Mapping[str, str]) -> Iterator[Sentence]:
    yield _counts(result)
    yield from _unit(result)
    yield from _quantities(result)
    yield from _classified(result)
    if "age_group" in result.cohort.labels:
        yield "Age was grouped by decade.", "年龄按每 10 岁分组。"
    yield from _printed(result)
    for source in sorted({curve.source for curve in result.curves}):
        chinese = {
            "measured": "为实测曲线的均值",
            COMPUTED: "由各受试者的 Ktrans 和 kep 按 Parker 群体动脉输入函数"
            f"（血细胞比容 {HEMATOCRIT}）计算得出，并非实测",
        }.get(source, f"来源：{source}")
        yield f"The curves of Figure 2 were {source}.", f"图 2 的曲线{chinese}。"
    yield from _tests(result)
    filled = _filled(result.cohort)
    yield (
        f"{f'Apart from {joined([e for e, _ in filled])}, missing' if filled else 'Missing'} values were not replaced; "
        "each test names the number of subjects that it had.",
        f"{'除 ' * bool(filled)}{'和 '.join(c for _, c in filled)}{'外，' * bool(filled)}缺失值未作填补，"
        "各检验均注明实际例数。",
    )
    if _circular(result):
        yield (
            "Quantities that define the groups, or go with those that do, were not tested between them.",
            "用于定义分组的指标及与其密切相关的指标不在相应组间进行检验。",
        )
    software = software_named(versions)
    yield f"Software: {software}.", f"所用软件：{software}。"


def _counts(result: CohortResult) -> Sentence:
    cohort, rows, subjects, without = result.cohort, result.rows, result.subjects, len(result.subjects_left_out)
    out = cohort.rows_read - rows
    read, unit = f"数据表共读入 {cohort.rows_read} 行", "行"
    if cohort.folders:
        others = cohort.rows_read - cohort.folders
        read = f"共读入 {cohort.folders} 个结果文件夹{f'及受试者表中的 {others} 行' if others else ''}"
        unit = "项"
    units = f"{rows} {'个椎体' if cohort.by_vertebra else '行'}{'' if without else f'（{subjects} 例受试者）'}"
    units = f"{rows} 例受试者" if rows == subjects and not without else units
    of_subjects = f"共 {subjects + without} 例受试者，其中 {subjects} 例纳入组间比较，{without} 例未纳入。"
    return (
        f"Of {rows_read(cohort)}{'' if cohort.folders else ' of the table'}, {analyzed(result)} {were(rows)} analyzed "
        f"and {out:,} {were(out)} left out with a stated reason.{compared(result)}",
        f"{read}，纳入分析 {units}，排除 {out} {unit}并逐一注明原因。{of_subjects if without else ''}",
    )


def _unit(result: CohortResult) -> Iterator[Sentence]:
    """What the value of a subject is made of."""
    cohort = result.cohort
    if cohort.folders or cohort.by_vertebra:
        single = joined(tests_done(result.statistics, False, "vertebrae"))
        single_chinese = "、".join(tests_done(result.statistics, True, "vertebrae"))
        english, chinese = ("evaluable ", "可评估") if cohort.folders else ("", "")
        yield (
            f"The value of a subject is the mean over its {english}vertebrae L1 to L4, of at least {LEAST_LEVELS} "
            f"levels{f'; single vertebrae entered only {single}' if single else ''}.",
            f"每例受试者的数值为其 L1～L4 {chinese}椎体的均值（至少 {LEAST_LEVELS} 个椎体）"
            f"{f'；单个椎体的数据仅用于{single_chinese}' if single else ''}。",
        )
    names = reading_names(cohort)
    if result.reading:
        agreed = bool(tests_done(result.statistics, False, "agreement"))
        next_one, next_chinese = (
            (", or the next one of a subject without it", "，缺少时采用该受试者的下一次读数")
            if result.settings.reading is None
            else ("", "")
        )
        yield (
            f"There were {len(names)} readings ({', '.join(names)}); tables and tests between subjects used "
            f"{result.reading}{next_one}; the others {'entered their agreement only' if agreed else 'were not used'}.",
            f"共有 {len(names)} 次读数（{'、'.join(names)}），表格与受试者间的检验采用 {result.reading}{next_chinese}；"
            f"其余读数{'仅用于读数间的一致性分析' if agreed else '未使用'}。",
        )


def _quantities(result: CohortResult) -> Iterator[Sentence]:
    cohort, ve_unit = result.cohort, result.settings.ve_unit
    if cohort.numbers:
        yield (
            f"The quantities were {joined([column_title(name, ve_unit) for name in cohort.numbers])}.",
            f"分析指标包括{'、'.join(_CHINESE.get(name, name) for name in cohort.numbers)}。",
        )
    if "ve" in cohort.numbers:
        yield "", f"ve 以{'分数' if ve_unit == 'fraction' else ' mL/100 mL '}表示。"
    what = {
        "ktrans_per_min": "the volume transfer constant",
        "kep_per_min": "the rate constant",
        "ve": "the fractional volume of the extravascular extracellular space",
    }
    present = [name for name in KINETIC if name in cohort.numbers]
    if present:
        said = [f"{NUMBERS[name].title} {'is ' * (name == present[0])}{what[name]}" for name in present]
        yield f"{joined(said)}.", ""
    if len(present) == len(KINETIC):
        yield (
            "By definition ve is Ktrans/kep, so the three were not put into one regression.",
            "由于按定义 ve = Ktrans/kep，三个参数不同时纳入同一回归模型。",
        )
    if "ve" in present and not cohort.folders and not _heading(cohort, "ve") and "ve" in _computed(cohort):
        yield "ve was computed as Ktrans/kep.", "ve 由 Ktrans/kep 计算得出。"
    for rows, percent in (found.groups() for note in cohort.notes if (found := re.search(_DIFFERS, note))):
        yield (
            f"ve as given differs from Ktrans/kep by more than {percent} % in {counted(int(rows), 'row')} and was used "
            "as given.",
            f"有 {rows} 行所给的 ve 与 Ktrans/kep 相差超过 {percent}%，仍按所给数值分析。",
        )


def _heading(cohort: Cohort, column: str) -> str:
    return cohort.sources[column].heading if column in cohort.sources else ""


def _computed(cohort: Cohort) -> dict[str, int]:
    """Columns that follow from others in some rows, and the number of these rows."""
    return {found[1]: int(found[2]) for note in cohort.notes if (found := re.search(_COMPUTED, note))}


def _filled(cohort: Cohort) -> list[Sentence]:
    """Columns that were given and whose missing values follow from others."""
    texts = {
        "ve": ("ve of {} (computed as Ktrans/kep)", "{} 行的 ve（以 Ktrans/kep 计算）"),
        "age_group": ("the age group of {} (taken from the age)", "{} 行的年龄组（由年龄得出）"),
    }
    found = {name: rows for name, rows in _computed(cohort).items() if name in texts and _heading(cohort, name)}
    return [(texts[name][0].format(counted(n, "row")), texts[name][1].format(n)) for name, n in found.items()]


def not_replaced(cohort: Cohort) -> str:
    """What became of missing values, in a few words."""
    filled = joined([english for english, _ in _filled(cohort)])
    return f"missing values are counted, and not replaced{f' apart from {filled}' if filled else ''}"


def _classified(result: CohortResult) -> Iterator[Sentence]:
    """Where the T-score categories come from, and for whom ISCD takes the Z-score."""
    cohort, settings = result.cohort, result.settings
    if "bmd_class" in cohort.labels:
        source = cohort.sources.get("bmd_class")
        used = re.findall(r"[a-z_]+", source.about) if source and not source.heading else []
        scores = [site for site in _SITES if f"t_{site}" in used]
        classes = [site for site in _SITES if f"{site}_class" in used]
        if scores or classes:
            yield _rule(cohort, settings, scores, classes)
        else:
            yield "T-score categories were those of the table.", "T 值分类采用数据表中给出的分类。"
    own, unknown = without_t_score(cohort.numbers, cohort.labels)
    if own:
        yield (
            f"{counted(own, 'row')} with a T-score or category {were(own)} of premenopausal women or men below 50 "
            "years, for whom ISCD takes the Z-score; the T-score or category was used as given.",
            f"有 T 值或其分类的数据中，{own} 行属于绝经前女性或不足 50 岁的男性，按 ISCD 应采用 Z 值，此处仍按所给 T 值"
            "或分类分析。",
        )
    if unknown:
        yield (
            f"{counted(unknown, 'row')} with a T-score or category {were(unknown)} of women below 50 years of unknown "
            "menopausal status, for whom ISCD may take the Z-score; the T-score or category was used as given.",
            f"有 T 值或其分类的数据中，{unknown} 行属于绝经状态不明且不足 50 岁的女性，按 ISCD 可能应采用 Z 值，"
            "此处仍按所给 T 值或分类分析。",
        )


def _rule(cohort: Cohort, settings: CohortSettings, scores: list[str], classes: list[str]) -> Sentence:
    """Categories from the T-scores of some sites and the categories in the table of others."""
    sites, sites_chinese = joined([_SITES[s][0] for s in scores]), "、".join(_SITES[s][1] for s in scores)
    given, given_chinese = joined([_SITES[s][0] for s in classes]), "、".join(_SITES[s][1] for s in classes)
    if not scores:
        source = f"the {'lowest ' * (len(classes) > 1)}category of {given} in the table"
        chinese = f"数据表中的{given_chinese}分类{'（取骨量最低者）' * (len(classes) > 1)}"
    elif classes:
        source = f"the lowest of the T-score of {sites} and the category of {given} in the table"
        chinese = f"{sites_chinese} T 值和数据表中的{given_chinese}分类（取骨量最低者）"
    else:
        source = f"the {'lowest ' * (len(scores) > 1)}T-score of {sites}"
        chinese = f"{sites_chinese}{'中最低的' if len(scores) > 1 else ''} T 值"
    lacking = {site: int(np.isnan(cohort.numbers[f"t_{site}"]).sum()) for site in scores}
    lacking |= {site: int((cohort.labels[f"{site}_class"] == "").sum()) for site in classes}
    absent = [site for site in _SITES if site not in lacking and settings.classification == "iscd"]
    lacks = [
        (f"; {counted(n, 'row')} lacked that of {_SITES[site][0]}", f"；{n} 行缺少{_SITES[site][1]}的数据")
        for site, n in lacking.items()
        if n
    ]
    if absent:
        names = [_SITES[site] for site in absent]
        lacks.append(
            (f"; there was none of {joined([e for e, _ in names])}", f"；无{'、'.join(c for _, c in names)}的数据")
        )
    rounding = [f", {_ROUNDING[settings.t_score_rounding][0]}", f"（{_ROUNDING[settings.t_score_rounding][1]}）"]
    rule = [
        " (normal, T >= -1.0; low bone mass, -2.5 < T < -1.0; osteoporosis, T <= -2.5)",
        "：T ≥ −1.0 为正常，−2.5 < T < −1.0 为低骨量（骨量减少），T ≤ −2.5 为骨质疏松",
    ]
    if not scores:
        rounding = rule = ["", ""]
    return (
        f"T-score categories{rule[0]} came from {source}{rounding[0]}{''.join(e for e, _ in lacks)}.",
        f"依据{chinese}进行分类{rounding[1]}{rule[1]}{''.join(c for _, c in lacks)}。",
    )


def _printed(result: CohortResult) -> Iterator[Sentence]:
    """What stands in the tables, and where their marks come from."""
    columns = [column.name for item in result.tables for column in item.numeric.table.columns]
    means, rates = (any(name.endswith(end) for name in columns) for end in ("_mean", "_percent"))
    if not (means or rates):
        return
    said = (
        "Quantities are given as mean \u00b1 standard deviation" if means else "Rates are given as count (percentage)"
    )
    said += ", rates as count (percentage)" * (means and rates)
    chinese = "，".join(["计量资料以均数 ± 标准差表示"] * means + ["计数资料以例数（百分比）表示"] * rates)
    made = [marks for item in result.tables for marks in item.numeric.marks]
    if not made:
        yield f"{said}; nothing could be compared, so there are no marks.", f"{chinese}；因无从比较，表中无显著性标记。"
        return
    method, means, rates = made[0].method, any(m.means for m in made), any(m.rates for m in made)
    tests = [_MARKS[method]] * means + [_MARKS_OF_RATES] * rates
    if method == "welch-holm":
        how = [
            (
                "corrected by Holm over all comparisons of a table with the same group",
                "以 Holm 法对同一表内与同一参照组的比较校正",
            )
        ]
    elif method == "lsd":
        how = [("not corrected", "未作多重比较校正")]
    else:
        how = [("means corrected over the groups of each quantity", "均数在每一指标的各组间校正")] * means
        how += [("rates corrected by Holm over the comparisons of a table", "率以 Holm 法对同一表内的比较校正")] * rates
    levels = {
        item.name: ", ".join(dict.fromkeys(f"{p:g}" for marks in item.numeric.marks for p in marks.levels.values()))
        for item in result.tables
        if item.numeric.marks
    }
    at = "; ".join(f"{name.replace('table', 'Table ')}: {p}" for name, p in levels.items())
    at_chinese = "；".join(f"{name.replace('table', '表 ')}：{p}" for name, p in levels.items())
    tests_chinese = "和 ".join(c for _, c in tests)
    yield (
        f"{said}; marks in the tables come from {joined([e for e, _ in tests])}, two-sided, "
        f"{', '.join(e for e, _ in how)} (level of significance, {at}).",
        f"{chinese}；表中的显著性标记采用双侧{' ' * tests_chinese[0].isascii()}{tests_chinese}，"
        f"{'，'.join(c for _, c in how)}（检验水准 {at_chinese}）。",
    )


def _tests(result: CohortResult) -> Iterator[Sentence]:
    tests, settings = tests_done(result.statistics, False), result.settings
    if tests:
        two_sided = {english: name for english, (name, of) in _TWO_SIDED.items() if of & set(tests)}
        sides = f"p-values of {joined(list(two_sided))} are two-sided, and " if two_sided else ""
        sides_chinese = f"{'与'.join(two_sided.values())}的 P 值均为双侧，" if two_sided else ""
        yield (
            f"The analysis used {joined(tests)}; {sides}intervals have a level of 95 %.",
            f"统计分析采用{'、'.join(tests_done(result.statistics, True))}。{sides_chinese}区间估计均为 95% 置信区间。",
        )
        yield (
            "No test was chosen by the outcome of an assumption check.",
            "未根据前提条件检验的结果选择统计方法。",
        )
    rows = statistic_rows(result.statistics)
    corrected = [str(row["adjustment"]) for row in rows if row.get("adjustment") and _finite(row, "p_adjusted")]
    if corrected:
        named = dict.fromkeys(text.partition(" over ")[0] for text in corrected)
        chinese = dict.fromkeys(_adjustment_chinese(text) for text in corrected)
        yield (
            f"p-values were corrected within families of tests by the methods of {joined(list(named))}.",
            f"P 值的多重比较校正：{'、'.join(chinese)}。",
        )
    if any(_finite(row, "p_fdr") for row in rows):
        yield (
            "Beside that, false discovery rates were controlled by the method of Benjamini and Hochberg.",
            "同时给出 Benjamini-Hochberg 法控制错误发现率后的 P 值。",
        )
    if any("bootstrap" in test for test in tests):
        yield (
            f"The bootstrap drew {settings.resamples:,} resamples of subjects (seed {settings.seed}).",
            f"自助法以受试者为单位重抽样 {settings.resamples} 次（随机种子 {settings.seed}）。",
        )


def tests_done(statistics: Table, chinese: bool, family: str = "") -> list[str]:
    """What was done, in the order of the table, in one family or in all; tests whose name is not known by that name.

    A test that could not be done, of which the table holds the reason alone, is not among them.
    """
    done: dict[str, None] = {}
    for row in statistic_rows(statistics):
        if family in ("", row.get("family")) and _finite(row, "estimate", "statistic", "p", "p_adjusted"):
            name = str(row.get("test", ""))
            kind = kind_of(name)
            done[(kind.chinese if chinese else kind.english) if kind else name] = None
    return [name for name in done if name]


def _finite(row: Mapping[str, object], *names: str) -> bool:
    return any(isinstance(value := row.get(name), float) and math.isfinite(value) for name in names)


def _adjustment_chinese(text: str) -> str:
    return next((chinese for word, chinese in _ADJUSTMENTS.items() if word in text.lower()), text)


def _circular(result: CohortResult) -> bool:
    """Whether a comparison was refused since the quantity defines the groups."""
    notes = [str(row.get("note", "")) for row in statistic_rows(result.statistics)]
    said = [*result.not_made, *(item.numeric.footnote for item in result.tables), *notes]
    return any("not tested between" in text for text in said)


def statistic_rows(statistics: Table) -> list[dict[str, object]]:
    """The rows of the statistics by column name."""
    names = [column.name for column in statistics.columns]
    return [
        dict(zip(names, values, strict=True))
        for values in zip(*(column.values for column in statistics.columns), strict=True)
    ]


def kind_of(name: str) -> Kind | None:
    """The kind of a test, None where its name is not known."""
    return next((kind for kind in _KINDS if re.search(kind.pattern, name.lower())), None)


def counted(count: int, noun: str, many: str = "") -> str:
    """A number with its noun: `1 row`, `1,200 rows`."""
    return f"{count:,} {noun if count == 1 else many or f'{noun}s'}"


def were(count: int) -> str:
    """The verb that goes with a number."""
    return "was" if count == 1 else "were"


def rows_read(cohort: Cohort) -> str:
    """What was read, counted: rows of a table, or folders of results."""
    if not cohort.folders:
        return counted(cohort.rows_read, "row")
    others = cohort.rows_read - cohort.folders
    rows = f" and {counted(others, 'row')} of the table of subjects" if others else ""
    return f"{counted(cohort.folders, 'folder')} of results{rows}"


def analyzed(result: CohortResult) -> str:
    """What the rows that were analyzed are, counted: subjects, or rows or vertebrae of subjects."""
    rows, subjects, without = result.rows, result.subjects, result.subjects_left_out
    if rows == subjects and not without:
        return counted(subjects, "subject")
    units = counted(rows, "vertebra", "vertebrae") if result.cohort.by_vertebra else counted(rows, "row")
    return units if without else f"{units} of {counted(subjects, 'subject')}"


def compared(result: CohortResult) -> str:
    """A sentence on subjects without a value to compare, a blank before it; empty where there are none."""
    without = len(result.subjects_left_out)
    total = result.subjects + without
    if not without:
        return ""
    subjects = result.subjects
    return f" Of {counted(total, 'subject')}, {subjects:,} {were(subjects)} compared and {without:,} left out."


def column_title(text: str, ve_unit: str = "fraction") -> str:
    """Title of a column with its unit; in a longer text the names of columns are replaced by their titles."""
    if text in NUMBERS or text in LABELS:
        return heading(text, ve_unit)
    return re.sub(r"[a-z]\w*_\w+", lambda found: _plain_title(found[0]), text)


def _plain_title(name: str) -> str:
    return NUMBERS[name].title if name in NUMBERS else LABELS.get(name, name)
