"""What was done to one study, in words: the paragraph on methods, in English and in Chinese."""

# ruff: noqa: RUF001  (Chinese has its own commas and brackets)

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..conversion import OF_A_MAP
from ..densitometry import Category
from ..kinetics import MODELS, POPULATION_INPUTS
from ..result import StudyResult
from ..series import DynamicSeries
from ..settings import EXCLUSION_RULES
from ..tables import visible
from ..times import USER
from .html import joined
from .provenance import software_named

_DELAYS = {
    "none": ("No delay between artery and tissue was allowed for.", "未考虑动脉到组织的延迟。"),
    "given": (
        "A delay of {delay_s:g} s between artery and tissue was given.",
        "动脉到组织的延迟设定为 {delay_s:g} s。",
    ),
    "region": ("A delay between artery and tissue was fitted per region.", "逐区域拟合动脉到组织的延迟。"),
    "voxel": ("A delay between artery and tissue was fitted per voxel.", "逐体素拟合动脉到组织的延迟。"),
}
_MOTION = {
    "none": ("Motion was not corrected.", "未作运动校正。"),
    "series": (
        "Motion was corrected by one rigid transform per frame for the spine.",
        "运动校正：每帧对整个脊柱作一次刚体配准。",
    ),
    "vertebra": (
        "Motion was corrected by one rigid transform per frame and vertebra.",
        "运动校正：每帧对每个椎体作一次刚体配准。",
    ),
}
_RULES = {
    "arterial": ("arteries", "动脉"),
    "plexus": ("venous plexus", "静脉丛"),
    "bone-island": ("bone islands", "骨岛"),
    "haemangioma": ("haemangioma or fat", "血管瘤或脂肪"),
    "other-tissue": ("other tissue at the edge", "边缘其他组织"),
    "poor-fit": ("poor fits", "拟合不良的体素"),
}
_SITES = {
    "iscd": (
        "by the lowest {score}-score of lumbar spine, total hip and femoral neck",
        "以腰椎、全髋和股骨颈中最低的 {score} 值",
    ),
    "paper": ("by the lumbar {score}-score alone", "仅以腰椎 {score} 值"),
    "site": ("by the {score}-score of {site}", "以 {site} 的 {score} 值"),
}
_QCT = ("by the mean density by quantitative CT of {decided}", "以 {decided} 的定量 CT 平均骨密度")
_ASSUMED = ("assumed", "文献值或假定值")
_GIVEN = ("given by the user", "由用户给出")


def study_methods(series: DynamicSeries, result: StudyResult, history: Mapping[str, Any]) -> str:
    """What was done, as a paragraph for a paper; texts of the study's own stand in it as they are.

    Parameters
    ----------
    series, result : of the analysis.
    history : what `provenance` returned.
    """
    return _Said(series, result, history).english()


def study_methods_chinese(series: DynamicSeries, result: StudyResult, history: Mapping[str, Any]) -> str:
    """The same in Chinese (zh-Hans)."""
    return _Said(series, result, history).chinese()


class _Said:
    """What both languages say of one study."""

    def __init__(self, series: DynamicSeries, result: StudyResult, history: Mapping[str, Any]) -> None:
        self.result, self.history = result, history
        self.settings = {
            group: {name: entry["value"] for name, entry in entries.items()}
            for group, entries in history["settings"].items()
        }
        self.frames = len(series.frames)
        self.apart = (f"{series.apart()} apart", f"间隔 {series.apart('至')}")
        self.skipped, self.by_user = series.skipped_frames, series.time_source.startswith(USER)
        self.duration = f"{series.times_s[-1] - series.times_s[0]:.4g}"
        self.grid = " x ".join(str(size) for size in series.shape[::-1])
        self.spacing = " x ".join(f"{size:.3g}" for size in series.spacing_mm[::-1])
        model = self.settings["model"]
        entry = MODELS[model["model"]]
        self.model, self.delay = (entry.english, entry.chinese), _DELAYS[model["delay"]]
        regions = self.settings["regions"]
        rules = EXCLUSION_RULES if regions["exclude"] == "all" else regions["exclude"].split(",")
        self.rules = [_RULES[rule.strip()] for rule in rules if regions["exclude"] != "none"]

    def value(self, name: str, unit: str, language: int, sourced: bool = False) -> str:
        """A constant with its unit, and whether it is assumed or given by the user."""
        entry = self.result.used[name]
        text = f"{entry.value:g} {unit}".strip() if isinstance(entry.value, (int, float)) else visible(str(entry.value))
        if entry.source.endswith(OF_A_MAP):
            angles = re.search(r"from flip angles ([\d./]+)", entry.source)
            if angles is None:
                return (f"from a map (median {text})", f"取自参数图（中位数 {text}）")[language]
            return (
                f"mapped from flip angles of {angles[1]}° (median {text})",
                f"由翻转角 {angles[1]}° 计算的参数图（中位数 {text}）",
            )[language]
        said = (_ASSUMED if entry.source.startswith("assumed") else _GIVEN if entry.source == "user" else ("", ""))[
            language
        ]
        brackets = " ({})" if language == 0 else "（{}）"
        return text + brackets.format(said) if sourced and said else text

    def named(self, names: Mapping[str, tuple[str, str, str]], language: int, sourced: bool = False) -> list[str]:
        """Those of the constants that took part, each with its title."""
        return [
            f"{titles[language]} {self.value(name, unit, language, sourced)}"
            for name, (*titles, unit) in names.items()
            if name in self.result.used
        ]

    def protocol(self, language: int) -> list[str]:
        return self.named(
            {
                "repetition_time_ms": ("TR", "TR", "ms"),
                "echo_time_ms": ("TE", "TE", "ms"),
                "flip_angle_deg": ("flip angle", "翻转角", "°"),
                "field_strength_T": ("field strength", "场强", "T"),
                "agent": ("contrast agent", "对比剂", ""),
            },
            language,
        )

    def constants(self, language: int) -> list[str]:
        return self.named(
            {
                "t10_tissue_ms": ("T1 of marrow before contrast", "骨髓增强前 T1", "ms"),
                "t10_blood_ms": ("T1 of blood", "血液 T1", "ms"),
                "t10_reference_ms": ("T1 of the reference tissue", "参考组织 T1", "ms"),
                "relaxivity_per_s_mM": ("relaxivity r1", "弛豫率 r1", "/s/mM"),
                "b1": ("actual over nominal flip angle", "实际与标称翻转角之比", ""),
                "r2star_per_s_mM": ("r2*", "r2*", "/s/mM"),
                "fat_fraction": ("fat fraction", "脂肪分数", ""),
            },
            language,
            sourced=True,
        )

    def english(self) -> str:
        settings, result = self.settings, self.result
        said = [
            f"{self.frames} frames of {self.grid} voxels ({self.spacing} mm) were acquired {self.apart[0]} over "
            f"{self.duration} s ({'; '.join(self.protocol(0))}), {result.baseline_frames} of them before the bolus."
        ]
        if self.skipped:
            frames = "frame" if self.skipped == 1 else f"{self.skipped} frames"
            said.append(f"The first {frames} before these {'was' if self.skipped == 1 else 'were'} left out.")
        if self.by_user:
            said.append("The times of the frames were given by the user.")
        how = {
            "exact": "by exact inversion of the spoiled gradient echo equation",
            "linear": "by the linear legacy formula, which underestimates blood",
        }[settings["conversion"]["conversion"]]
        said.append(f"Signal was converted to concentration of contrast agent {how} ({'; '.join(self.constants(0))}).")
        said.append(_MOTION[settings["motion"]["motion"]][0])
        said.append(self.input_english())
        said.append(
            f"{self.model[0][0].upper()}{self.model[0][1:]}, was fitted to the mean curve of each region and to every "
            f"analyzed voxel. {self.delay[0].format(**settings['model'])}"
        )
        regions = settings["regions"]
        where = "in all directions" if regions["margin_plane"] == "3d" else "within the slices"
        part = " of the vertebral bodies, without the arch," if regions["vertebra_part"] == "body" else ""
        if regions["margin_mm"] > 0:
            said.append(
                f"Voxels{part} less than {regions['margin_mm']:g} mm from the edge of the outline ({where}) were left "
                "out."
            )
        else:
            said.append(f"Voxels{part} up to the edge of the outline were analyzed.")
        if self.rules:
            said.append(
                f"Of the others {joined([rule[0] for rule in self.rules])} were left out by rules; a level with more "
                f"than {regions['excluded_share_max']:.0%} of its voxels left out so is not evaluable."
            )
        if result.densitometry is not None:
            said.append(
                f"Bone mineral density was put into a category {by}."
                if (by := self.classified_by(0))
                else "Bone mineral density was given, and was not put into a category."
            )
        said.append(f"Software: {self.software()}.")
        return " ".join(said)

    def classified_by(self, language: int) -> str:
        """By which score or density of which site; empty where there is no category."""
        found, chosen = self.result.densitometry, self.settings["densitometry"]
        if found is None or found.deciding is None or found.classification.category == Category.NOT_CLASSIFIED:
            return ""
        way = _QCT if found.score == "QCT" else _SITES[chosen["mode"]]
        return way[language].format(score=found.score, decided=visible(found.deciding.site), **chosen)

    def software(self) -> str:
        """What took part in the numbers."""
        also = ("SimpleITK",) if self.settings["motion"]["motion"] != "none" else ()
        return software_named(self.history["software"], *also)

    def dose(self) -> str:
        """With its unit."""
        return self.value("dose_mmol_per_kg", "mmol/kg", 0)

    def input_english(self) -> str:
        chosen, name = self.settings["arterial_input"], visible(self.result.rois.input_name)
        if self.result.by_reference:
            return f"The input of the model was the mean curve of the reference tissue in the segment '{name}'."
        plasma = f"a hematocrit of {self.value('hematocrit', '', 0).strip()}"
        if chosen["aif"] == "measured":
            picked = " voxels with an early, high and steep rise in" if chosen["aif_pick"] == "best" else ""
            return (
                f"The arterial input was the mean curve of{picked} the segment '{name}', taken to plasma with {plasma}."
            )
        by_dose = chosen["aif_scale"] == "dose"
        scaled = f"by the dose ({self.dose()})" if by_dose else "to the tail of the measured curve"
        return (
            f"The arterial input was a population curve ({POPULATION_INPUTS[chosen['aif']].citation}), placed at the "
            f"arrival in the segment '{name}' and scaled {scaled}, with {plasma}."
        )

    def chinese(self) -> str:
        settings, result = self.settings, self.result
        said = [
            f"共采集 {self.frames} 帧，每帧 {self.grid} 体素（{self.spacing} mm），{self.apart[1]}，共 "
            f"{self.duration} s（{'；'.join(self.protocol(1))}），其中 {result.baseline_frames} 帧为对比剂到达前。"
        ]
        if self.skipped:
            said.append(f"此前的 {self.skipped} 帧未纳入。")
        if self.by_user:
            said.append("各帧时间由用户给出。")
        how = {
            "exact": "按扰相梯度回波公式精确反演",
            "linear": "按线性公式（会低估血液浓度）",
        }[settings["conversion"]["conversion"]]
        said.append(f"信号{how}换算为对比剂浓度（{'；'.join(self.constants(1))}）。")
        said.append(_MOTION[settings["motion"]["motion"]][1])
        said.append(self.input_chinese())
        said.append(
            f"采用{self.model[1]}，对每个区域的平均曲线和每个纳入分析的体素进行拟合。"
            f"{self.delay[1].format(**settings['model'])}"
        )
        regions = settings["regions"]
        where = "各方向" if regions["margin_plane"] == "3d" else "层面内"
        part = "仅分析椎体（不含椎弓）；" if regions["vertebra_part"] == "body" else ""
        said.append(
            f"{part}距轮廓边缘不足 {regions['margin_mm']:g} mm（{where}）的体素不纳入分析。"
            if regions["margin_mm"] > 0
            else f"{part}分析范围至轮廓边缘。"
        )
        if self.rules:
            said.append(
                f"其余体素中按规则排除{'、'.join(rule[1] for rule in self.rules)}；排除比例超过 "
                f"{regions['excluded_share_max']:.0%} 的椎体视为不可评价。"
            )
        if result.densitometry is not None:
            by = self.classified_by(1)
            said.append(f"骨密度{by}进行分类。" if by else "提供了骨密度，但未作分类。")
        said.append(f"所用软件：{self.software()}。")
        return "".join(said)

    def input_chinese(self) -> str:
        chosen, name = self.settings["arterial_input"], visible(self.result.rois.input_name)
        if self.result.by_reference:
            return f"模型输入为分割区“{name}”内参考组织的平均曲线。"
        plasma = f"红细胞压积 {self.value('hematocrit', '', 1).strip()}"
        if chosen["aif"] == "measured":
            picked = "中上升早、高且陡的体素" if chosen["aif_pick"] == "best" else ""
            return f"动脉输入函数取自分割区“{name}”{picked}的平均曲线，以{plasma}换算为血浆浓度。"
        scaled = f"按剂量（{self.dose()}）" if chosen["aif_scale"] == "dose" else "按实测曲线尾部"
        return (
            f"动脉输入函数采用群体曲线（{POPULATION_INPUTS[chosen['aif']].citation}），置于分割区“{name}”的到达时刻，"
            f"{scaled}缩放，{plasma}。"
        )
