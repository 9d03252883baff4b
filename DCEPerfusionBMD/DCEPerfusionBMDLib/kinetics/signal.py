"""Spoiled gradient echo signal and its exact inversion to contrast agent concentration.

Symbols: S signal, M0 equilibrium signal, alpha flip angle, TR repetition time, R1 = 1/T1 longitudinal relaxation rate
(R10 before contrast), E1 = exp(-TR R1), r1 relaxivity, C concentration.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def spgr_signal(
    m0: npt.ArrayLike, r1_per_s: npt.ArrayLike, repetition_time_ms: float, flip_angle_deg: float
) -> FloatArray:
    """Steady-state signal of a spoiled gradient echo sequence, without T2* decay.

    S = M0 sin(alpha) (1 - E1) / (1 - cos(alpha) E1)

    Parameters
    ----------
    m0 : equilibrium signal, any shape.
    r1_per_s : longitudinal relaxation rate in 1/s, broadcast against `m0`.
    repetition_time_ms, flip_angle_deg : of the sequence.

    Returns
    -------
    Signal in the unit of `m0`, broadcast shape.

    References
    ----------
    OSIPI CAPLEX M.SM2.002, whose printed numerator lacks the minus sign of the exponent.
    """
    alpha = np.deg2rad(flip_angle_deg)
    e1 = np.exp(-repetition_time_ms / 1000.0 * np.asarray(r1_per_s, dtype=float))
    signal: FloatArray = np.asarray(m0, dtype=float) * np.sin(alpha) * (1.0 - e1) / (1.0 - np.cos(alpha) * e1)
    return signal


def concentration_from_signal(
    signal: npt.ArrayLike,
    baseline_signal: npt.ArrayLike,
    t10_ms: npt.ArrayLike,
    relaxivity_per_s_mM: float,
    repetition_time_ms: float,
    flip_angle_deg: float,
) -> FloatArray:
    """Contrast agent concentration by exact inversion of the spoiled gradient echo signal.

    y = S/S0 (1 - E10) / (1 - cos(alpha) E10),  E1 = (1 - y) / (1 - y cos(alpha)),  C = (-ln(E1)/TR - R10) / r1

    Parameters
    ----------
    signal : (..., n_times), any unit.
    baseline_signal : S0 before the contrast agent arrives, (...), same unit.
    t10_ms : T1 before contrast in ms, scalar or (...).
    relaxivity_per_s_mM : r1 in 1/s/mM.
    repetition_time_ms, flip_angle_deg : of the sequence.

    Returns
    -------
    Concentration in mM, (..., n_times). NaN where no T1 explains the signal: y >= 1 (brighter than full relaxation
    allows) or a baseline that is not positive. Noise below the baseline gives negative concentrations, which are kept.

    References
    ----------
    OSIPI CAPLEX M.SM2.002 and M.EL1.003.
    """
    signal = np.asarray(signal, dtype=float)
    baseline = np.asarray(baseline_signal, dtype=float)[..., np.newaxis]
    r10_per_s = 1000.0 / np.asarray(t10_ms, dtype=float)[..., np.newaxis]
    repetition_time_s = repetition_time_ms / 1000.0
    cosine = np.cos(np.deg2rad(flip_angle_deg))
    e10 = np.exp(-repetition_time_s * r10_per_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = signal / np.where(baseline > 0, baseline, np.nan) * ((1.0 - e10) / (1.0 - cosine * e10))
        e1 = np.where(y < 1.0, (1.0 - y) / (1.0 - y * cosine), np.nan)
        concentration: FloatArray = (-np.log(e1) / repetition_time_s - r10_per_s) / relaxivity_per_s_mM
    return concentration
