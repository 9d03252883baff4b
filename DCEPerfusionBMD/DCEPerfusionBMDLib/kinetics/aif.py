"""Arterial input: population functions, plasma from blood, and the arrival of the bolus."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .signal import FloatArray


def parker_blood_concentration(times_min: npt.ArrayLike) -> FloatArray:
    """Population arterial input function of Parker 2006: whole blood, 0.1 mmol/kg.

    Sum of two Gaussians and an exponential modulated by a sigmoid:
    C_b(t) = sum_n A_n / (sigma_n sqrt(2 pi)) exp(-(t - T_n)^2 / (2 sigma_n^2))
             + alpha exp(-beta t) / (1 + exp(-s (t - tau)))

    Parameters
    ----------
    times_min : minutes from bolus arrival; before arrival (t < 0) the concentration is 0.

    Returns
    -------
    Concentration in whole blood in mM, shape of `times_min`.

    References
    ----------
    Parker GJM et al., Magn Reson Med 2006;56:993-1000, table 1; OSIPI CAPLEX M.IC2.001.
    """
    t = np.asarray(times_min, dtype=float)
    area_mM_min, center_min, width_min = (0.809, 0.330), (0.17046, 0.365), (0.0563, 0.132)
    alpha_mM, beta_per_min, s_per_min, tau_min = 1.050, 0.1685, 38.078, 0.483
    t_after = np.maximum(t, 0.0)
    concentration = alpha_mM * np.exp(-beta_per_min * t_after) / (1.0 + np.exp(-s_per_min * (t_after - tau_min)))
    for area, center, width in zip(area_mM_min, center_min, width_min, strict=True):
        gaussian = np.exp(-((t_after - center) ** 2) / (2.0 * width**2)) / (width * np.sqrt(2.0 * np.pi))
        concentration = concentration + area * gaussian
    return np.where(t < 0.0, 0.0, concentration)


def plasma_from_blood(blood_concentration_mM: npt.ArrayLike, hematocrit: float) -> FloatArray:
    """Plasma concentration C_p = C_b / (1 - Hct), in mM; the agent stays out of the red cells.

    References
    ----------
    OSIPI CAPLEX M.ID1.005.
    """
    return np.asarray(blood_concentration_mM, dtype=float) / (1.0 - hematocrit)


def baseline_frame_count(arterial_signal: npt.ArrayLike) -> int:
    """Number of frames before the bolus arrives in an arterial curve.

    The frames before the steepest rise are walked back until the signal is no longer above what came before it: more
    than 2 % of the total rise above the running median, and more than three times the scatter of those frames.

    Parameters
    ----------
    arterial_signal : (n_times,) signal or concentration.

    Returns
    -------
    Count of leading frames that hold no contrast agent; 0 when the curve starts at its rise.
    """
    curve = np.asarray(arterial_signal, dtype=float)
    rise = int(np.argmax(np.diff(curve))) + 1
    height = float(np.max(curve[rise:]) - np.median(curve[:rise]))
    count = rise
    while count > 1:
        before = curve[: count - 1]
        center = np.median(before)
        scatter = 1.4826 * np.median(np.abs(before - center)) if count > 3 else 0.0
        if curve[count - 1] - center <= max(0.02 * height, 3.0 * scatter):
            break
        count -= 1
    return count if height > 0 else 0
