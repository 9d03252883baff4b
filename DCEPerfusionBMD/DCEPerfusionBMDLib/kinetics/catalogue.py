"""Every kinetic model that an analysis may choose, by its name in the settings; a new one is one more entry."""

# ruff: noqa: RUF001  (Chinese has its own commas and brackets)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..quantities import PRIVATE_SCHEME, Code
from ..settings import ModelSettings
from .exchange import TwoCompartmentExchange
from .linear import LinearTofts, Patlak
from .model import Model
from .reference import ReferenceRegion
from .signal import FloatArray
from .tofts import ExtendedTofts, Tofts

_LEAST_VP = 1e-3  # of the exchange model, which needs some plasma
_TOFTS = Code("126340", "DCM", "Standard Tofts Model")


@dataclass(frozen=True)
class ModelChoice:
    """A kinetic model as an analysis uses it.

    Attributes
    ----------
    name : what it is called in settings.
    make : times in s, the input in mM and the settings of the model to the model.
    code : of the model in DICOM objects, our own where the standard has none.
    english, chinese : what it is called in the paragraph on methods.
    """

    name: str
    make: Callable[[FloatArray, FloatArray, ModelSettings], Model]
    code: Code
    english: str
    chinese: str


def _ktrans(chosen: ModelSettings) -> tuple[float, float]:
    return chosen.ktrans_min_per_min, chosen.ktrans_max_per_min


def _ve(chosen: ModelSettings) -> tuple[float, float]:
    return chosen.ve_min, chosen.ve_max


def _vp(chosen: ModelSettings, least: float = 0.0) -> tuple[float, float]:
    return min(least, 0.1 * chosen.vp_max), chosen.vp_max


def _reference_region(times_s: FloatArray, input_mM: FloatArray, chosen: ModelSettings) -> Model:
    known = chosen.reference_ktrans_per_min
    return ReferenceRegion(times_s, input_mM, reference_ktrans_per_min=np.nan if known is None else known)


MODELS: dict[str, ModelChoice] = {
    entry.name: entry
    for entry in (
        ModelChoice(
            "tofts",
            lambda t, c, s: Tofts(t, c, _ktrans(s), _ve(s)),
            _TOFTS,
            "the Tofts model, by nonlinear least squares within bounds",
            "Tofts 模型（有界非线性最小二乘）",
        ),
        ModelChoice(
            "extended-tofts",
            lambda t, c, s: ExtendedTofts(t, c, _ktrans(s), _ve(s), _vp(s)),
            Code("126341", "DCM", "Extended Tofts Model"),
            "the extended Tofts model, by nonlinear least squares within bounds",
            "扩展 Tofts 模型（有界非线性最小二乘）",
        ),
        ModelChoice(
            "patlak",
            lambda t, c, s: Patlak(t, c, _ktrans(s), _vp(s)),
            Code("patlak", PRIVATE_SCHEME, "Patlak model"),
            "the Patlak model, by linear least squares",
            "Patlak 模型（线性最小二乘）",
        ),
        ModelChoice(
            "exchange",
            lambda t, c, s: TwoCompartmentExchange(t, c, vp_bounds=_vp(s, _LEAST_VP), ve_bounds=_ve(s)),
            Code("126347", "DCM", "Two Compartment Exchange (2CX) Model"),
            "the two-compartment exchange model, by nonlinear least squares within bounds",
            "双室交换模型（有界非线性最小二乘）",
        ),
        ModelChoice(
            "linear-tofts",
            lambda t, c, s: LinearTofts(t, c),
            _TOFTS,
            "the Tofts model, by Murase's linear method",
            "Tofts 模型（Murase 线性法）",
        ),
        ModelChoice(
            "reference-region",
            _reference_region,
            Code("reference_region", PRIVATE_SCHEME, "Reference region model"),
            "the reference region model",
            "参考区域模型",
        ),
    )
}
