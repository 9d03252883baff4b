"""Spoiled gradient echo signal and its exact inversion to contrast agent concentration.

Symbols: S signal, S0 before contrast, M0 equilibrium signal, alpha flip angle, TR repetition time, TE echo time,
R1 = 1/T1 longitudinal relaxation rate (R10 before contrast), E1 = exp(-TR R1), r1 and r2* relaxivities,
C concentration, FF fat fraction, B1 actual over nominal flip angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# 217 Hz at 1.5 T; the proton's gyromagnetic ratio is 42.577 MHz/T
_WATER_FAT_SHIFT_HZ_PER_T = 3.4 * 42.577
# 0.4 ms at 1.5 T, as a share of one turn of fat against water
_OPPOSED_TOLERANCE_TURNS = 0.4e-3 * 1.5 * _WATER_FAT_SHIFT_HZ_PER_T
_NEWTON_STEPS = 60
_BLOCK_VALUES = 1 << 16


def spgr_signal(
    m0: npt.ArrayLike,
    r1_per_s: npt.ArrayLike,
    repetition_time_ms: float,
    flip_angle_deg: float,
    b1: npt.ArrayLike = 1.0,
) -> FloatArray:
    """Steady-state signal of a spoiled gradient echo sequence, without T2* decay.

    S = M0 sin(alpha) (1 - E1) / (1 - cos(alpha) E1)

    Parameters
    ----------
    m0 : equilibrium signal, any shape.
    r1_per_s : longitudinal relaxation rate in 1/s, broadcast against `m0`.
    repetition_time_ms, flip_angle_deg : of the sequence.
    b1 : actual over nominal flip angle, broadcast against `m0`.

    Returns
    -------
    Signal in the unit of `m0`, broadcast shape.

    References
    ----------
    OSIPI CAPLEX M.SM2.002, whose printed numerator lacks the minus sign of the exponent.
    """
    alpha = np.deg2rad(flip_angle_deg) * np.asarray(b1, dtype=float)
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
    b1: npt.ArrayLike = 1.0,
    r2star_per_s_mM: float = 0.0,
    echo_time_ms: float = 0.0,
) -> FloatArray:
    """Contrast agent concentration by exact inversion of the spoiled gradient echo signal.

    y = S/S0 (1 - E10) / (1 - cos(alpha) E10),  E1 = (1 - y) / (1 - y cos(alpha)),  C = (-ln(E1)/TR - R10) / r1

    With r2*, the signal carries a factor exp(-TE r2* C): it rises with C to a maximum and falls beyond it. The answer
    is then the solution between no agent and that maximum.

    Parameters
    ----------
    signal : (..., n_times), any unit.
    baseline_signal : S0 before the contrast agent arrives, (...), same unit.
    t10_ms : T1 before contrast in ms, scalar or (...).
    relaxivity_per_s_mM : r1 in 1/s/mM.
    repetition_time_ms, flip_angle_deg : of the sequence.
    b1 : actual over nominal flip angle, scalar or (...).
    r2star_per_s_mM, echo_time_ms : r2* in 1/s/mM and TE; no correction when either is 0.

    Returns
    -------
    Concentration in mM, (..., n_times). NaN where no concentration explains the signal: y >= 1 (brighter than full
    relaxation allows), brighter than the maximum with r2*, or r2* so strong that the first agent already darkens; and
    where the baseline, T10 or B1 is not positive. Noise below the baseline gives negative concentrations, which are
    kept.

    References
    ----------
    OSIPI CAPLEX M.SM2.002 and M.EL1.003.
    """
    signal = np.asarray(signal, dtype=float)
    baseline = np.asarray(baseline_signal, dtype=float)[..., np.newaxis]
    r10_per_s = 1000.0 / _positive(t10_ms)[..., np.newaxis]
    repetition_time_s = repetition_time_ms / 1000.0
    cosine = np.cos(np.deg2rad(flip_angle_deg) * _positive(b1)[..., np.newaxis])
    e10 = np.exp(-repetition_time_s * r10_per_s)
    r2star_s_per_mM = r2star_per_s_mM * echo_time_ms / 1000.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = signal / _positive(baseline) * ((1.0 - e10) / (1.0 - cosine * e10))
        concentration = _rate_per_s(y, cosine, repetition_time_s)
        concentration -= r10_per_s
        concentration /= relaxivity_per_s_mM
        if r2star_s_per_mM != 0.0:
            _correct_r2star(
                concentration, y, cosine, r10_per_s, relaxivity_per_s_mM, repetition_time_s, r2star_s_per_mM
            )
    return concentration


def concentration_linear(
    signal: npt.ArrayLike, baseline_signal: npt.ArrayLike, t10_ms: npt.ArrayLike, relaxivity_per_s_mM: float
) -> FloatArray:
    """Concentration taken as proportional to the relative enhancement: a legacy method, biased; for comparison only.

    C = (S/S0 - 1) / (T10 r1)

    Parameters
    ----------
    signal : (..., n_times), any unit.
    baseline_signal : S0 before the contrast agent arrives, (...), same unit.
    t10_ms : T1 before contrast in ms, scalar or (...).
    relaxivity_per_s_mM : r1 in 1/s/mM.

    Returns
    -------
    Concentration in mM, (..., n_times); NaN where the baseline or T10 is not positive, and where the signal or the
    result is not finite.

    Notes
    -----
    It takes the signal as proportional to R1, but the spoiled gradient echo levels off at full relaxation, early at a
    small flip angle. At TR 3.5 ms, r1 6.3 /s/mM, T10 1441 ms (blood) and 549 ms (marrow), 12 degrees: Parker's arterial
    peak of 6.07 mM becomes 0.85 mM and its 0.89 mM at one minute 0.44 mM, while 0.5 mM in marrow become 0.28 mM. The
    artery loses more than the marrow, so that a Ktrans of 0.12 and a kep of 0.60 /min become 0.36 and 1.50 /min. At 30
    degrees the peak becomes 3.11 mM, and Ktrans and kep 0.17 and 0.82 /min.
    """
    baseline = _positive(baseline_signal)[..., np.newaxis]
    t10_s = _positive(t10_ms)[..., np.newaxis] / 1000.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        concentration = (np.asarray(signal, dtype=float) / baseline - 1.0) / (t10_s * relaxivity_per_s_mM)
    return np.where(np.isfinite(concentration), concentration, np.nan)


def water_fat_signal(
    m0: npt.ArrayLike,
    fat_fraction: npt.ArrayLike,
    r1_water_per_s: npt.ArrayLike,
    t1_fat_ms: float,
    repetition_time_ms: float,
    flip_angle_deg: float,
    echo_time_ms: float,
    field_strength_T: float,
    b1: npt.ArrayLike = 1.0,
    water_decay: npt.ArrayLike = 1.0,
) -> FloatArray:
    """Magnitude of a spoiled gradient echo of water and fat in one voxel.

    |S| = |W + F exp(i phi)|,  W = (1 - FF) SPGR(R1 water) d,  F = FF SPGR(1 / T1 fat),  phi = 2 pi TE 3.4 ppm B0

    Parameters
    ----------
    m0 : equilibrium signal of water and fat together, any shape.
    fat_fraction : FF as a share of the protons, 0 to 1, broadcast against `m0`.
    r1_water_per_s : longitudinal relaxation rate of water in 1/s, broadcast against `m0`.
    t1_fat_ms : T1 of fat in ms.
    repetition_time_ms, flip_angle_deg, echo_time_ms, field_strength_T : of the sequence.
    b1 : actual over nominal flip angle, broadcast against `m0`.
    water_decay : d, broadcast against `m0`.

    Returns
    -------
    Signal in the unit of `m0`, broadcast shape.

    Notes
    -----
    Fat is one peak, 217 Hz from water at 1.5 T; at 1.2 ms it stands at 94 degrees. The agent reaches the water only,
    and so does the decay that it brings, d = exp(-TE r2* C).
    """
    fat_share = np.asarray(fat_fraction, dtype=float)
    water = (1.0 - fat_share) * spgr_signal(m0, r1_water_per_s, repetition_time_ms, flip_angle_deg, b1)
    fat = fat_share * spgr_signal(m0, 1000.0 / t1_fat_ms, repetition_time_ms, flip_angle_deg, b1)
    water = water * np.asarray(water_decay, dtype=float)
    phase = 2.0 * np.pi * _water_fat_turns(echo_time_ms, field_strength_T)
    signal: FloatArray = np.hypot(water + fat * np.cos(phase), fat * np.sin(phase))
    return signal


def concentration_from_signal_with_fat(
    signal: npt.ArrayLike,
    baseline_signal: npt.ArrayLike,
    fat_fraction: npt.ArrayLike,
    t10_water_ms: npt.ArrayLike,
    t1_fat_ms: float,
    relaxivity_per_s_mM: float,
    repetition_time_ms: float,
    flip_angle_deg: float,
    echo_time_ms: float,
    field_strength_T: float,
    b1: npt.ArrayLike = 1.0,
    r2star_per_s_mM: float = 0.0,
) -> FloatArray:
    """Contrast agent concentration in the water of voxels that also hold fat: exact inverse of `water_fat_signal`.

    With f = F/W0 and s = |S|/|S0| |1 + f exp(i phi)|, the water is W/W0 = -f cos(phi) + sqrt(s^2 - (f sin(phi))^2),
    and its concentration that of `concentration_from_signal`. The other root is never the answer where
    W0 + F cos(phi) > 0; where it is not, the magnitude first falls and then rises as water enhances, so that it does
    not tell the concentration. The agent is in the water only, so that with r2* the factor exp(-TE r2* C) is on W and
    not on F; the answer is then the solution between no agent and the maximum of the water's signal.

    Parameters
    ----------
    signal : magnitude, (..., n_times), any unit.
    baseline_signal : |S0| before the contrast agent arrives, (...), same unit.
    fat_fraction : FF as a share of the protons, scalar or (...).
    t10_water_ms : T1 of water before contrast in ms, scalar or (...).
    t1_fat_ms : T1 of fat in ms.
    relaxivity_per_s_mM : r1 in 1/s/mM.
    repetition_time_ms, flip_angle_deg, echo_time_ms, field_strength_T : of the sequence.
    b1 : actual over nominal flip angle, scalar or (...).
    r2star_per_s_mM : r2* in 1/s/mM, with the TE above; no correction when either is 0.

    Returns
    -------
    Concentration in the water in mM, (..., n_times); times 1 - FF it is that in the tissue. Without fat it equals
    `concentration_from_signal` exactly. NaN as there, for the signal of the water; also where the signal is negative or
    below what fat in quadrature alone gives, where FF is not in [0, 1), and where W0 + F cos(phi) <= 0.

    Notes
    -----
    Near quadrature much fat leaves little to see: at TE 1.2 ms, 1.5 T, 12 degrees, 0.3 mM raise the magnitude by 12 %
    at FF 0.6 and by 1.3 % at FF 0.8. With a signal-to-noise ratio of 20, a third and a half of the frames without
    agent then have no solution, and the mean of the others is too high (0.08 and 1 mM): leaving such frames out
    biases a fit. Averaging the signal over a region before the conversion avoids it.
    """
    fat_share = np.asarray(fat_fraction, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        fat_share = np.where((fat_share >= 0.0) & (fat_share < 1.0), fat_share, np.nan)
        protocol = (repetition_time_ms, flip_angle_deg, _positive(b1))
        fat = fat_share * spgr_signal(1.0, 1000.0 / t1_fat_ms, *protocol)
        fat = fat / ((1.0 - fat_share) * spgr_signal(1.0, 1000.0 / _positive(t10_water_ms), *protocol))
        phase = 2.0 * np.pi * _water_fat_turns(echo_time_ms, field_strength_T)
        in_phase, in_quadrature = fat * np.cos(phase), fat * np.sin(phase)
        total = np.hypot(_positive(1.0 + in_phase), in_quadrature)[..., np.newaxis]
        magnitude = np.asarray(signal, dtype=float) / _positive(baseline_signal)[..., np.newaxis] * total
        # |s| s, not s^2: a negative magnitude is no signal
        water = np.sqrt(magnitude * np.abs(magnitude) - np.square(in_quadrature)[..., np.newaxis])
        water -= in_phase[..., np.newaxis]
    return concentration_from_signal(
        water,
        1.0,
        t10_water_ms,
        relaxivity_per_s_mM,
        repetition_time_ms,
        flip_angle_deg,
        b1,
        r2star_per_s_mM,
        echo_time_ms,
    )


def opposed_phase_warning(echo_time_ms: float, field_strength_T: float) -> str | None:
    """What is wrong with an echo time at which fat opposes water.

    Parameters
    ----------
    echo_time_ms, field_strength_T : of the sequence, in ms and T.

    Returns
    -------
    A sentence for the user; None when the echo time is far enough from opposed phase.

    Notes
    -----
    Near opposed phase (2.3 ms at 1.5 T and its odd multiples, fat being 3.4 ppm from water) an enhancing fatty voxel
    can darken. Near is within 0.4 ms at 1.5 T, which is 31 degrees of phase, and within the same phase at other fields
    (0.2 ms at 3 T).
    """
    turns = _water_fat_turns(echo_time_ms, field_strength_T)
    opposed_turns = np.floor(turns) + 0.5
    if abs(turns - opposed_turns) > _OPPOSED_TOLERANCE_TURNS:
        return None
    opposed_ms = echo_time_ms * opposed_turns / turns
    return (
        f"the echo time of {echo_time_ms:g} ms is near opposed phase of water and fat ({opposed_ms:.2f} ms at "
        f"{field_strength_T:g} T): fatty voxels can darken as they take up contrast agent; give the fat fraction or "
        "read the fatty regions with care"
    )


@dataclass(frozen=True)
class ArterialPeakErrors:
    """Relative errors of the measured arterial peak (-0.5 is half the true peak); inf where it has no concentration.

    Attributes
    ----------
    b1_90_percent, b1_110_percent : when the actual flip angle is 0.9 or 1.1 times the nominal one.
    uncorrected_r2star : when the decay exp(-TE r2* C) is ignored.
    """

    b1_90_percent: float
    b1_110_percent: float
    uncorrected_r2star: float


def arterial_peak_errors(
    peak_blood_mM: float,
    t10_blood_ms: float,
    relaxivity_per_s_mM: float,
    repetition_time_ms: float,
    flip_angle_deg: float,
    echo_time_ms: float,
    r2star_per_s_mM: float = 7.0,
) -> ArterialPeakErrors:
    """Predicted relative errors of the arterial peak that the nominal flip angle and T1 alone would give.

    Parameters
    ----------
    peak_blood_mM : true peak in whole blood.
    t10_blood_ms, relaxivity_per_s_mM : T1 of blood before contrast in ms and r1 in 1/s/mM.
    repetition_time_ms, flip_angle_deg, echo_time_ms : of the sequence.
    r2star_per_s_mM : r2* in blood in 1/s/mM; the default is an assumption, it varies with agent and field.

    Returns
    -------
    The errors, relative to the true peak.

    Notes
    -----
    The signal of the true peak is that of `spgr_signal` with the actual flip angle, or with the decay; it is converted
    back by `concentration_from_signal` with the nominal flip angle and without the decay.
    """
    r1_per_s = 1000.0 / t10_blood_ms + np.array([0.0, relaxivity_per_s_mM * peak_blood_mM])
    decay = np.exp(-echo_time_ms / 1000.0 * r2star_per_s_mM * peak_blood_mM)

    def error(b1: float, factor: float) -> float:
        baseline, peak = spgr_signal(1.0, r1_per_s, repetition_time_ms, flip_angle_deg, b1)
        protocol = (t10_blood_ms, relaxivity_per_s_mM, repetition_time_ms, flip_angle_deg)
        measured = float(concentration_from_signal([peak * factor], baseline, *protocol)[0])
        return measured / peak_blood_mM - 1.0 if np.isfinite(measured) else np.inf

    return ArterialPeakErrors(error(0.9, 1.0), error(1.1, 1.0), error(1.0, float(decay)))


def _positive(values: npt.ArrayLike) -> FloatArray:
    """The values, NaN where they are not positive."""
    array = np.asarray(values, dtype=float)
    return np.where(array > 0.0, array, np.nan)


def _water_fat_turns(echo_time_ms: float, field_strength_T: float) -> float:
    """Turns that fat falls behind water until the echo."""
    return echo_time_ms / 1000.0 * _WATER_FAT_SHIFT_HZ_PER_T * field_strength_T


def _rate_per_s(y: FloatArray, cosine: FloatArray, repetition_time_s: float) -> FloatArray:
    """R1 that gives the signal y, in units of M0 sin(alpha); NaN from full relaxation (y >= 1) on."""
    rate = 1.0 - y
    np.copyto(rate, np.nan, where=rate <= 0.0)
    rate /= y * -cosine + 1.0
    np.log(rate, out=rate)
    rate /= -repetition_time_s
    return rate


def _correct_r2star(
    concentration: FloatArray,
    y: FloatArray,
    cosine: FloatArray,
    r10_per_s: FloatArray,
    relaxivity_per_s_mM: float,
    repetition_time_s: float,
    r2star_s_per_mM: float,
) -> None:
    """Replace the concentrations that explain y = SPGR(C) by those that explain y = SPGR(C) exp(-TE r2* C).

    The gap between C and what y exp(TE r2* C) stands for without r2* is convex in C, so that Newton's steps from the
    uncorrected C climb to its lower root without passing it.

    Parameters
    ----------
    concentration : in mM without r2*, shape of `y`; changed in place.
    r2star_s_per_mM : TE r2*, the exponent per mM.
    """
    # d(ln SPGR)/dC = TE r2* is a quadratic equation in E1; its root below 1 is the maximum of the signal
    k = relaxivity_per_s_mM * repetition_time_s * (1.0 - cosine) / r2star_s_per_mM
    top_e1 = 2.0 / (1.0 + cosine + k + np.sqrt(np.square(1.0 - cosine) + 2.0 * k * (1.0 + cosine) + np.square(k)))
    top = (-np.log(top_e1) / repetition_time_s - r10_per_s) / relaxivity_per_s_mM
    top_y = (1.0 - top_e1) / (1.0 - cosine * top_e1) * np.exp(-r2star_s_per_mM * top)
    cosine, r10_per_s, top, top_y = (np.broadcast_to(v, y.shape) for v in (cosine, r10_per_s, top, top_y))
    block = max(1, _BLOCK_VALUES * len(y) // max(1, y.size))
    for start in range(0, len(y), block):
        part = slice(start, start + block)
        solvable = (top[part] > 0.0) & (y[part] <= top_y[part]) & np.isfinite(concentration[part])
        found = concentration[part][solvable]
        moving = np.arange(found.size)
        z0, c, r10, limit = (v[part][solvable] for v in (y, cosine, r10_per_s, top))
        for _ in range(_NEWTON_STEPS):
            before = found[moving]
            z = z0 * np.exp(r2star_s_per_mM * before)
            gap = (_rate_per_s(z, c, repetition_time_s) - r10) / relaxivity_per_s_mM - before
            slope = r2star_s_per_mM * z * (1.0 - c) / ((1.0 - z) * (1.0 - z * c))
            slope = slope / (repetition_time_s * relaxivity_per_s_mM) - 1.0
            # at the maximum itself the slope vanishes
            after = np.minimum(before - gap / np.minimum(slope, -1e-12), limit)
            found[moving] = after
            unsettled = np.abs(after - before) > 1e-13 * (1.0 + np.abs(after))
            if not unsettled.any():
                break
            moving = moving[unsettled]
            z0, c, r10, limit = (v[unsettled] for v in (z0, c, r10, limit))
        concentration[part] = np.nan
        concentration[part][solvable] = found
