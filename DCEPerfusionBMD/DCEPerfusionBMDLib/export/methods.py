"""What was done to a cohort, in words: the paragraph on methods of a paper, in English and in Chinese."""

# ruff: noqa: RUF001  (Chinese has its own commas and brackets)

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cohort import CohortResult
from ..cohort.columns import LABELS, NUMBERS, heading
from ..tables import Table


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
    Kind("welch.*(anova|variance)|^welch$", "Welch's analysis of variance", "韦尔奇方差分析（Welch 检验）", "key"),
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
    "welch-holm": ("two-sided Welch t-tests corrected by Holm", "双侧韦尔奇 t 检验（Welch 检验），以 Holm 法校正"),
    "games-howell": ("the Games-Howell test", "Games-Howell 检验"),
    "dunnett": ("Dunnett's test against the group of reference", "与参照组比较的 Dunnett 检验"),
    "lsd": (
        "least significant differences with pooled variance, not corrected",
        "采用合并方差的最小显著差异法（LSD），未作多重比较校正",
    ),
}

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

_PART_TAKING = ("DCEPerfusionBMD", "Python", "numpy", "scipy", "matplotlib")

_SITES = {
    "iscd": (
        "the lowest T-score of lumbar spine, total hip and femoral neck",
        "腰椎、全髋和股骨颈中最低的 T 值",
    ),
    "paper": ("the lumbar T-score alone", "腰椎 T 值"),
}
_ROUNDING = {
    "exact": ("without rounding", "T 值不作舍入"),
    "reported": ("rounded to one decimal as reported", "T 值按报告保留一位小数"),
}


def tests_done(statistics: Table, chinese: bool) -> list[str]:
    """What was done, in the order of the table; tests whose name is not known by that name."""
    done: dict[str, None] = {}
    for row in statistic_rows(statistics):
        name = str(row.get("test", ""))
        kind = kind_of(name)
        done[(kind.chinese if chinese else kind.english) if kind else name] = None
    return [name for name in done if name]


def _values(statistics: Table, name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in statistic_rows(statistics) if row.get(name)))


def _levels(result: CohortResult) -> dict[str, list[str]]:
    """Level of significance of the marks of each table, as its footnote has it."""
    found = {item.name: re.findall(r"p < (0?\.\d+)", item.numeric.footnote) for item in result.tables}
    return {name: list(dict.fromkeys(levels)) for name, levels in found.items() if levels}


def software_named(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in _PART_TAKING if name in versions)


def methods(result: CohortResult, versions: Mapping[str, str]) -> str:
    """What was done, as a paragraph for a paper."""
    cohort, settings, tests = result.cohort, result.settings, tests_done(result.statistics, False)
    said = [
        f"Of {cohort.rows_read:,} rows of the table, {analyzed(result)} were analyzed and "
        f"{cohort.rows_read - result.rows:,} were left out with a stated reason.{compared(result)}"
    ]
    if result.reading:
        said.append(f"Of repeated readings, tables and tests between subjects use {result.reading!r}.")
    if cohort.numbers:
        said.append(f"The quantities were {joined([column_title(n, settings.ve_unit) for n in cohort.numbers])}.")
    if "ktrans_per_min" in cohort.numbers:
        said.append(
            "Ktrans is the volume transfer constant, kep the rate constant and ve the fractional volume of the "
            "extravascular extracellular space; ve is Ktrans/kep, so the three were not put into one regression."
        )
    if "bmd_class" in cohort.labels:
        given = cohort.sources.get("bmd_class")
        said.append(
            "T-score categories were those of the table."
            if given and given.heading
            else "T-score categories (normal, T >= -1.0; low bone mass, -2.5 < T < -1.0; osteoporosis, T <= -2.5) came "
            f"from {_SITES[settings.classification][0]}, {_ROUNDING[settings.t_score_rounding][0]}."
        )
    if "age_group" in cohort.labels:
        said.append("Age was grouped by decade.")
    if result.tables:
        levels = "; ".join(
            f"{name.replace('table', 'Table ')}: {', '.join(at)}" for name, at in _levels(result).items()
        )
        said.append(
            f"Quantities are given as mean \u00b1 standard deviation, and marks in the tables come from "
            f"{_MARKS[settings.marks][0]}{f' (level of significance, {levels})' if levels else ''}."
        )
    if tests:
        said.append(
            f"The analysis used {joined(tests)}; p-values of t-tests and correlations are two-sided, and intervals "
            "have a level of 95 %."
        )
        said.append("No test was chosen by the outcome of an assumption check.")
    if _values(result.statistics, "adjustment"):
        named = dict.fromkeys(text.partition(" over ")[0] for text in _values(result.statistics, "adjustment"))
        said.append(f"p-values were corrected within families of tests by the methods of {joined(list(named))}.")
    if _has_false_discovery(result.statistics):
        said.append("Beside that, false discovery rates were held by the method of Benjamini and Hochberg.")
    if any("bootstrap" in test for test in tests):
        said.append(f"The bootstrap drew {settings.resamples:,} resamples of subjects (seed {settings.seed}).")
    said.append("Missing values were not replaced; each test names the number of subjects that it had.")
    if _circular(result):
        said.append("Quantities that define the groups were not tested between them.")
    said.append(f"Software: {software_named(versions)}.")
    return " ".join(said)


def methods_chinese(result: CohortResult, versions: Mapping[str, str]) -> str:
    """The same in Chinese (zh-Hans)."""
    cohort, settings, tests = result.cohort, result.settings, tests_done(result.statistics, True)
    rows, subjects, without = result.rows, result.subjects, len(result.subjects_left_out)
    units = f"{rows} {'个椎体' if cohort.by_vertebra else '行'}{'' if without else f'（{subjects} 例受试者）'}"
    units = f"{rows} 例受试者" if rows == subjects and not without else units
    said = [f"数据表共读入 {cohort.rows_read} 行，纳入分析 {units}，排除 {cohort.rows_read - rows} 行并逐一注明原因。"]
    if without:
        said.append(f"共 {subjects + without} 例受试者，其中 {subjects} 例纳入组间比较，{without} 例未纳入。")
    if result.reading:
        said.append(f"存在重复测量时，受试者间的表格和检验采用标记为“{result.reading}”的测量。")
    if cohort.numbers:
        said.append(f"分析指标包括{'、'.join(_CHINESE.get(name, name) for name in cohort.numbers)}。")
    if "ve" in cohort.numbers:
        said.append(f"ve 以{'分数' if settings.ve_unit == 'fraction' else ' mL/100 mL '}表示。")
    if "ktrans_per_min" in cohort.numbers:
        said.append("由于 ve = Ktrans/kep，三个参数不同时纳入同一回归模型。")
    if "bmd_class" in cohort.labels:
        given = cohort.sources.get("bmd_class")
        said.append(
            "T 值分类采用数据表中给出的分类。"
            if given and given.heading
            else f"依据{_SITES[settings.classification][1]}进行分类（{_ROUNDING[settings.t_score_rounding][1]}）："
            "T ≥ −1.0 为正常，−2.5 < T < −1.0 为低骨量（骨量减少），T ≤ −2.5 为骨质疏松。"
        )
    if "age_group" in cohort.labels:
        said.append("年龄按每 10 岁分组。")
    if result.tables:
        levels = "；".join(f"{name.replace('table', '表 ')}：{'、'.join(at)}" for name, at in _levels(result).items())
        said.append(
            f"计量资料以均数 ± 标准差表示；表中的显著性标记采用{_MARKS[settings.marks][1]}"
            f"{f'（检验水准 {levels}）' if levels else ''}。"
        )
    if tests:
        said.append(f"统计分析采用{'、'.join(tests)}。t 检验与相关分析的 P 值均为双侧，区间估计均为 95% 置信区间。")
        said.append("未根据前提条件检验的结果选择统计方法。")
    if _values(result.statistics, "adjustment"):
        named = dict.fromkeys(_adjustment_chinese(text) for text in _values(result.statistics, "adjustment"))
        said.append(f"P 值的多重比较校正：{'、'.join(named)}。")
    if _has_false_discovery(result.statistics):
        said.append("同时给出 Benjamini-Hochberg 法控制错误发现率后的 P 值。")
    if any("bootstrap" in test for test in tests):
        said.append(f"自助法以受试者为单位重抽样 {settings.resamples} 次（随机种子 {settings.seed}）。")
    said.append("缺失值未作填补，各检验均注明实际例数。")
    if _circular(result):
        said.append("用于定义分组的指标不在相应组间进行检验。")
    said.append(f"所用软件：{software_named(versions)}。")
    return "".join(said)


def _adjustment_chinese(text: str) -> str:
    return next((chinese for word, chinese in _ADJUSTMENTS.items() if word in text.lower()), text)


def _has_false_discovery(statistics: Table) -> bool:
    return any(isinstance(p, float) and p == p for p in (row.get("p_fdr") for row in statistic_rows(statistics)))


def _circular(result: CohortResult) -> bool:
    """Whether a comparison was refused since the quantity defines the groups."""
    said = [*result.not_made, *(item.numeric.footnote for item in result.tables), *_values(result.statistics, "note")]
    return any("is not tested between" in text for text in said)


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


def analyzed(result: CohortResult) -> str:
    """What the rows that were analyzed are, counted: subjects, or rows or vertebrae of subjects."""
    rows, subjects, without = result.rows, result.subjects, result.subjects_left_out
    if rows == subjects and not without:
        return f"{subjects:,} subjects"
    units = f"{rows:,} {'vertebrae' if result.cohort.by_vertebra else 'rows'}"
    return units if without else f"{units} of {subjects:,} subjects"


def compared(result: CohortResult) -> str:
    """A sentence on subjects without a value to compare, a blank before it; empty where there are none."""
    without = len(result.subjects_left_out)
    total = result.subjects + without
    return f" Of {total:,} subjects, {result.subjects:,} were compared and {without:,} left out." if without else ""


def column_title(text: str, ve_unit: str = "fraction") -> str:
    """Title of a column with its unit; in a longer text the names of columns are replaced by their titles."""
    if text in NUMBERS or text in LABELS:
        return heading(text, ve_unit)
    return re.sub(r"[a-z]\w*_\w+", lambda found: _plain_title(found[0]), text)


def _plain_title(name: str) -> str:
    return NUMBERS[name].title if name in NUMBERS else LABELS.get(name, name)


def joined(texts: Sequence[str]) -> str:
    """An enumeration: `a, b and c`."""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else "".join(texts)
