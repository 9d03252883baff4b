"""Tracer kinetics: arrays in, arrays out."""

from .aif import baseline_frame_count, parker_blood_concentration, plasma_from_blood
from .relaxation import blood_t1_ms, marrow_t1_ms, relaxivity_per_s_mM
from .signal import concentration_from_signal, spgr_signal
from .status import FitStatus
from .tofts import Tofts, ToftsFit, tofts_concentration

__all__ = [
    "FitStatus",
    "Tofts",
    "ToftsFit",
    "baseline_frame_count",
    "blood_t1_ms",
    "concentration_from_signal",
    "marrow_t1_ms",
    "parker_blood_concentration",
    "plasma_from_blood",
    "relaxivity_per_s_mM",
    "spgr_signal",
    "tofts_concentration",
]
