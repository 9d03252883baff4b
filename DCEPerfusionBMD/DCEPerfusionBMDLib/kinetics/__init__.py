"""Tracer kinetics: arrays in, arrays out."""

from .aif import (
    POPULATION_INPUTS,
    PopulationInput,
    arrival_time_s,
    baseline_frame_count,
    fritz_hansen_plasma_concentration,
    georgiou_blood_concentration,
    orton2_blood_concentration,
    orton3_blood_concentration,
    parker_blood_concentration,
    pick_arterial_voxels,
    plasma_from_blood,
    population_plasma,
    scaled_to_tail,
    weinmann_plasma_concentration,
)
from .catalogue import MODELS, ModelChoice
from .descriptive import CurveRules, CurveType, Descriptive, describe_curves
from .exchange import TwoCompartmentExchange
from .findings import (
    Finding,
    aif_findings,
    arterial_peak_finding,
    first_pass_finding,
    population_sampling_finding,
    protocol_findings,
)
from .linear import LinearTofts, Patlak
from .model import Fit, Model
from .reference import ReferenceRegion
from .refine import best_by_aicc, fit_delay, residual_bootstrap
from .relaxation import agent_names, blood_t1_ms, marrow_t1_ms, muscle_t1_ms, relaxivity_per_s_mM
from .signal import (
    ArterialPeakErrors,
    arterial_peak_errors,
    concentration_from_signal,
    concentration_from_signal_with_fat,
    concentration_linear,
    opposed_phase_warning,
    spgr_signal,
    water_fat_signal,
)
from .status import FitStatus
from .t1 import T1_RANGE_MS, T1Fit, T1Status, t1_from_flip_angles
from .tofts import ExtendedTofts, Tofts, tofts_concentration

__all__ = [
    "MODELS",
    "POPULATION_INPUTS",
    "T1_RANGE_MS",
    "ArterialPeakErrors",
    "CurveRules",
    "CurveType",
    "Descriptive",
    "ExtendedTofts",
    "Finding",
    "Fit",
    "FitStatus",
    "LinearTofts",
    "Model",
    "ModelChoice",
    "Patlak",
    "PopulationInput",
    "ReferenceRegion",
    "T1Fit",
    "T1Status",
    "Tofts",
    "TwoCompartmentExchange",
    "agent_names",
    "aif_findings",
    "arrival_time_s",
    "arterial_peak_errors",
    "arterial_peak_finding",
    "baseline_frame_count",
    "best_by_aicc",
    "blood_t1_ms",
    "concentration_from_signal",
    "concentration_from_signal_with_fat",
    "concentration_linear",
    "describe_curves",
    "first_pass_finding",
    "fit_delay",
    "fritz_hansen_plasma_concentration",
    "georgiou_blood_concentration",
    "marrow_t1_ms",
    "muscle_t1_ms",
    "opposed_phase_warning",
    "orton2_blood_concentration",
    "orton3_blood_concentration",
    "parker_blood_concentration",
    "pick_arterial_voxels",
    "plasma_from_blood",
    "population_plasma",
    "population_sampling_finding",
    "protocol_findings",
    "relaxivity_per_s_mM",
    "residual_bootstrap",
    "scaled_to_tail",
    "spgr_signal",
    "t1_from_flip_angles",
    "tofts_concentration",
    "water_fat_signal",
    "weinmann_plasma_concentration",
]
