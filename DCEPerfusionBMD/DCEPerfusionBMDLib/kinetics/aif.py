"""Arterial input: population functions, plasma from blood, the arrival of the bolus, and the choice of its voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import gammaln

from .signal import FloatArray

_NOISE_MULTIPLE_OF_A_RISE = 5.0
_ARRIVAL_GRID_PER_FRAME = 100
_BLOCK_VALUES = 1 << 16
_BASELINE_MARGIN_FRAMES = 0.5
_VISIBLE_SHARE_OF_RISE = 0.005
_VISIBLE_SHARE_OF_BASELINE = 0.002
_LEAST_ARTERIAL_SCORE = 0.1
_INFLOW_SHARE = 0.2


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


def georgiou_blood_concentration(times_min: npt.ArrayLike) -> FloatArray:
    """Population arterial input function of Georgiou 2019: whole blood, 0.1 mmol/kg, with recirculation.

    C_b(t) = sum_n A_n exp(-m_n t) * sum_j gamma(t - j tau; (j + 1) alpha + j, beta),
    gamma(t; a, b) = t^a exp(-t/b) / (b^(a + 1) Gamma(a + 1))

    The functional form stays within 0.082 mM of the published curve, 1 % of its peak, up to 5 minutes.

    Parameters
    ----------
    times_min : minutes from bolus arrival; before arrival (t < 0) the concentration is 0.

    Returns
    -------
    Concentration in whole blood in mM, shape of `times_min`.

    References
    ----------
    Georgiou L et al., Magn Reson Med 2019;81:1955-1963.
    """
    t = np.asarray(times_min, dtype=float)
    amplitudes_mM, decays_per_min = (0.37, 0.33, 10.06), (0.11, 1.17, 16.02)
    alpha, beta_min, tau_min = 5.26, 0.032, 0.129
    t_after = np.maximum(t, 0.0)
    passes = np.zeros_like(t_after)
    for j in range(int(np.ceil(np.max(t_after, initial=0.0) / tau_min))):
        shape = (j + 1) * alpha + j
        since = t_after - j * tau_min
        x = np.where(since > 0.0, since, 1.0)
        logarithm = shape * np.log(x) - x / beta_min - (shape + 1) * np.log(beta_min) - gammaln(shape + 1)
        passes = passes + np.where(since > 0.0, np.exp(logarithm), 0.0)
    concentration: FloatArray = _exponentials(t, amplitudes_mM, decays_per_min) * passes
    return concentration


def weinmann_plasma_concentration(times_min: npt.ArrayLike) -> FloatArray:
    """Biexponential population input of Weinmann 1984 as used by Tofts 1991: plasma, 0.1 mmol/kg.

    C_p(t) = D sum_n a_n exp(-m_n t), D = 0.1 mmol/kg. There is no first pass.

    Parameters
    ----------
    times_min : minutes from bolus arrival; before arrival (t < 0) the concentration is 0.

    Returns
    -------
    Concentration in plasma in mM, shape of `times_min`.

    References
    ----------
    Weinmann HJ et al., Physiol Chem Phys Med NMR 1984;16:167-172; Tofts PS, Kermode AG, Magn Reson Med
    1991;17:357-367.
    """
    return _exponentials(times_min, (0.399, 0.478), (0.144, 0.0111))


def fritz_hansen_plasma_concentration(times_min: npt.ArrayLike) -> FloatArray:
    """Biexponential population input of Fritz-Hansen 1996: plasma, 0.1 mmol/kg. There is no first pass.

    Parameters
    ----------
    times_min : minutes from bolus arrival; before arrival (t < 0) the concentration is 0.

    Returns
    -------
    Concentration in plasma in mM, shape of `times_min`.

    References
    ----------
    Fritz-Hansen T et al., Magn Reson Med 1996;36:225-231; constants as in Whitcher B, Schmid VJ, J Stat Softw
    2011;44(5).
    """
    return _exponentials(times_min, (2.4, 0.62), (3.0, 0.016))


def orton2_blood_concentration(times_min: npt.ArrayLike) -> FloatArray:
    """Population arterial input function of Orton 2008, model 2: whole blood, 0.1 mmol/kg.

    The bolus a_B t exp(-mu_B t), plus its convolution with a_G exp(-mu_G t) for what comes back from the body:
    C_b(t) = A_B t exp(-mu_B t) + A_G (exp(-mu_G t) - exp(-mu_B t)),
    A_B = a_B - a_B a_G / (mu_B - mu_G),  A_G = a_B a_G / (mu_B - mu_G)^2

    Parameters
    ----------
    times_min : minutes from bolus arrival; before arrival (t < 0) the concentration is 0.

    Returns
    -------
    Concentration in whole blood in mM, shape of `times_min`.

    References
    ----------
    Orton MR et al., Phys Med Biol 2008;53:1225-1239.
    """
    a_bolus, mu_bolus, a_body, mu_body = 344.0, 20.2, 1.24, 0.172  # mM/min and 1/min
    amplitude_bolus = a_bolus - a_bolus * a_body / (mu_bolus - mu_body)
    amplitude_body = a_bolus * a_body / (mu_bolus - mu_body) ** 2
    t_after = np.maximum(np.asarray(times_min, dtype=float), 0.0)
    body_mM = _exponentials(times_min, (amplitude_body, -amplitude_body), (mu_body, mu_bolus))
    concentration: FloatArray = amplitude_bolus * t_after * np.exp(-mu_bolus * t_after) + body_mM
    return concentration


def orton3_blood_concentration(times_min: npt.ArrayLike) -> FloatArray:
    """Population arterial input function of Orton 2008, model 3: whole blood, 0.1 mmol/kg.

    The bolus is a_B (1 - cos(mu_B t)) up to t_B = 2 pi / mu_B; with
    f(t, m) = (1 - exp(-m t)) / m - (m cos(mu_B t) + mu_B sin(mu_B t) - m exp(-m t)) / (m^2 + mu_B^2),
    C_b(t) = a_B (1 - cos(mu_B t)) + a_B a_G f(t, mu_G) up to t_B, then a_B a_G f(t_B, mu_G) exp(-mu_G (t - t_B)).

    Parameters
    ----------
    times_min : minutes from bolus arrival; before arrival (t < 0) the concentration is 0.

    Returns
    -------
    Concentration in whole blood in mM, shape of `times_min`.

    References
    ----------
    Orton MR et al., Phys Med Biol 2008;53:1225-1239.
    """
    a_bolus_mM, mu_bolus, a_body, mu_body = 2.84, 22.8, 1.36, 0.171  # rates in 1/min
    end_min = 2.0 * np.pi / mu_bolus
    t_after = np.maximum(np.asarray(times_min, dtype=float), 0.0)
    t = np.minimum(t_after, end_min)
    decay = np.exp(-mu_body * t)
    oscillation = mu_body * np.cos(mu_bolus * t) + mu_bolus * np.sin(mu_bolus * t) - mu_body * decay
    body = (1.0 - decay) / mu_body - oscillation / (mu_body**2 + mu_bolus**2)
    bolus_mM = a_bolus_mM * (1.0 - np.cos(mu_bolus * t))
    concentration: FloatArray = (bolus_mM + a_bolus_mM * a_body * body) * np.exp(-mu_body * (t_after - t))
    return concentration


def _exponentials(
    times_min: npt.ArrayLike, amplitudes_mM: tuple[float, ...], rates_per_min: tuple[float, ...]
) -> FloatArray:
    """Sum of decaying exponentials that starts at t = 0."""
    t = np.asarray(times_min, dtype=float)
    t_after = np.maximum(t, 0.0)
    total = np.zeros_like(t)
    for amplitude_mM, rate_per_min in zip(amplitudes_mM, rates_per_min, strict=True):
        total = total + amplitude_mM * np.exp(-rate_per_min * t_after)
    return np.where(t < 0.0, 0.0, total)


def plasma_from_blood(blood_concentration_mM: npt.ArrayLike, hematocrit: float) -> FloatArray:
    """Plasma concentration of a blood concentration; the agent stays out of the red cells.

    C_p = C_b / (1 - Hct)

    Parameters
    ----------
    blood_concentration_mM : in whole blood, any shape.
    hematocrit : of large vessels, as a share.

    Returns
    -------
    Concentration in plasma in mM, shape of `blood_concentration_mM`.

    Raises
    ------
    ValueError
        when the hematocrit is not a share of the blood: from 0 to below 1.

    References
    ----------
    OSIPI CAPLEX M.ID1.005.
    """
    if not 0.0 <= hematocrit < 1.0:
        raise ValueError(f"the hematocrit {hematocrit:g} must be a share from 0 to below 1, e.g. 0.42")
    return np.asarray(blood_concentration_mM, dtype=float) / (1.0 - hematocrit)


@dataclass(frozen=True)
class PopulationInput:
    """A published arterial input function.

    Attributes
    ----------
    name : what it is called in settings.
    function : minutes from bolus arrival to concentration in mM at `reference_dose_mmol_per_kg`.
    is_plasma : whether the concentration is of plasma; else it is of whole blood.
    hematocrit : what its authors used or assumed; None where they needed none or the source does not say.
    citation : of the function and its constants.
    reference_dose_mmol_per_kg : dose at which the function was published, in mmol per kg of body weight.
    has_first_pass : whether it has the peak of a bolus; else it is a sum of decays.
    """

    name: str
    function: Callable[[npt.ArrayLike], FloatArray]
    is_plasma: bool
    hematocrit: float | None
    citation: str
    reference_dose_mmol_per_kg: float = 0.1
    has_first_pass: bool = True


POPULATION_INPUTS: dict[str, PopulationInput] = {
    entry.name: entry
    for entry in (
        PopulationInput(
            "parker", parker_blood_concentration, False, 0.42, "Parker GJM et al., Magn Reson Med 2006;56:993-1000"
        ),
        PopulationInput(
            "georgiou", georgiou_blood_concentration, False, 0.35, "Georgiou L et al., Magn Reson Med 2019;81:1955-1963"
        ),
        PopulationInput(
            "weinmann",
            weinmann_plasma_concentration,
            True,
            None,
            "Weinmann HJ et al., Physiol Chem Phys Med NMR 1984;16:167-172; "
            "Tofts PS, Kermode AG, Magn Reson Med 1991;17:357-367",
            has_first_pass=False,
        ),
        PopulationInput(
            "fritz-hansen",
            fritz_hansen_plasma_concentration,
            True,
            None,
            "Fritz-Hansen T et al., Magn Reson Med 1996;36:225-231; Whitcher B, Schmid VJ, J Stat Softw 2011;44(5)",
            has_first_pass=False,
        ),
        PopulationInput(
            "orton2",
            orton2_blood_concentration,
            False,
            None,
            "Orton MR et al., Phys Med Biol 2008;53:1225-1239, model 2",
        ),
        PopulationInput(
            "orton3",
            orton3_blood_concentration,
            False,
            None,
            "Orton MR et al., Phys Med Biol 2008;53:1225-1239, model 3",
        ),
    )
}
"""Every population input by its name; a new one is one more entry."""


def population_plasma(
    name: str,
    times_s: npt.ArrayLike,
    arrival_s: float,
    hematocrit: float,
    dose_mmol_per_kg: float = 0.1,
) -> FloatArray:
    """Plasma concentration of a population input whose bolus arrives at a given time.

    Parameters
    ----------
    name : a key of `POPULATION_INPUTS`.
    times_s : times of the frames, any shape.
    arrival_s : time of bolus arrival on the same axis.
    hematocrit : of the subject; applied to whole-blood functions only.
    dose_mmol_per_kg : of the subject; the concentration is proportional to it.

    Returns
    -------
    Concentration in plasma in mM, shape of `times_s`.

    Raises
    ------
    ValueError
        when there is no input of that name, or the hematocrit that a whole-blood function needs is not from 0 to below
        1.

    Notes
    -----
    C_p(t) = dose / reference dose f(t - arrival), over 1 - Hct where f is of whole blood. Functions and citations are
    those of `POPULATION_INPUTS`.
    """
    population = _population(name)
    concentration_mM = population.function((np.asarray(times_s, dtype=float) - arrival_s) / 60.0)
    concentration_mM = concentration_mM * (dose_mmol_per_kg / population.reference_dose_mmol_per_kg)
    return concentration_mM if population.is_plasma else plasma_from_blood(concentration_mM, hematocrit)


def scaled_to_tail(
    times_s: npt.ArrayLike,
    measured_blood_mM: npt.ArrayLike,
    name: str,
    arrival_s: float,
    tail_s: tuple[float, float] = (60.0, 300.0),
) -> tuple[FloatArray, float]:
    """Shape of a population input with the amplitude of the measured tail, which saturation and inflow leave alone.

    Parameters
    ----------
    times_s : (n_times,) times of the frames.
    measured_blood_mM : (n_times,) concentration in whole blood.
    name : a key of `POPULATION_INPUTS`. For a plasma function the factor contains 1 - Hct.
    arrival_s : time of bolus arrival.
    tail_s : start and end of the tail, in seconds after arrival.

    Returns
    -------
    Concentration in whole blood in mM, (n_times,), and the factor over the published function.

    Raises
    ------
    ValueError
        when there is no input of that name, when fewer than three frames of the tail have a concentration, or when the
        measured tail is not positive.

    Notes
    -----
    The factor is the least-squares one over the frames of the tail, (f . c) / (f . f) of function and measured
    concentration; frames without a concentration are left out.
    """
    times = np.asarray(times_s, dtype=float)
    measured = np.asarray(measured_blood_mM, dtype=float)
    shape = _population(name).function((times - arrival_s) / 60.0)
    in_tail = (times >= arrival_s + tail_s[0]) & (times <= arrival_s + tail_s[1]) & np.isfinite(measured)
    span = f"{tail_s[0]:g} to {tail_s[1]:g} s after arrival at {arrival_s:g} s"
    if np.count_nonzero(in_tail) < 3:
        raise ValueError(
            f"only {np.count_nonzero(in_tail)} frames with a concentration lie {span}; at least 3 are needed to scale "
            "a population input to the measured tail"
        )
    factor = float(shape[in_tail] @ measured[in_tail] / (shape[in_tail] @ shape[in_tail]))
    if not factor > 0.0:
        raise ValueError(f"the measured blood concentration is not positive {span}; no population input fits it")
    return factor * shape, factor


def _population(name: str) -> PopulationInput:
    if name not in POPULATION_INPUTS:
        raise ValueError(f"no population input is called {name!r}; there are {', '.join(POPULATION_INPUTS)}")
    return POPULATION_INPUTS[name]


def arrival_time_s(times_s: npt.ArrayLike, curve: npt.ArrayLike) -> float:
    """Arrival of the bolus, to a fraction of a frame.

    The least-squares fit of S0 + a (t - t0)^2 for t > t0, and S0 before, to the frames up to the first that is halfway
    to the peak: the quadratic onset of the linear-quadratic model.

    On frames of Parker's function the error (mean, standard deviation over all phases) is 0.2 (0.02) s at 1 and 1.5 s
    per frame, 0.1 (0.2) s at 3 s and -0.6 (0.9) s at 5 s; with noise of 1 % of the peak 0.2 (0.2), 0.2 (0.2), 0.1 (0.4)
    and -0.6 (0.9) s. A tissue, whose onset is an integral of it, is found about 2 s late. The signal of blood, unlike
    its concentration, saturates and is found 1 (flip angle 30 degrees) to 2 s (12 degrees) early.

    Parameters
    ----------
    times_s : (n_times,) increasing.
    curve : (n_times,) concentration or signal; frames that are not finite are left out.

    Returns
    -------
    Time of arrival in seconds; NaN when the curve does not rise beyond its noise.

    References
    ----------
    Cheong LH, Koh TS, Hou Z, Phys Med Biol 2003;48:N83-N88.
    """
    values = np.asarray(curve, dtype=float)
    finite = np.isfinite(values)
    return _onset(np.asarray(times_s, dtype=float)[finite], values[finite])


def baseline_frame_count(arterial_signal: npt.ArrayLike) -> int:
    """Number of frames before the bolus arrives in an arterial curve.

    Parameters
    ----------
    arterial_signal : (n_times,) signal or concentration; frames that are not finite are left out of the search.

    Returns
    -------
    Count of leading frames that hold no contrast agent; 0 when the curve starts at its rise or does not rise beyond
    its noise.

    Notes
    -----
    The frames before the rise to half of the peak are walked back while the last is above the median of those before it
    by more than 0.5 % of the rise or 0.2 % of itself, and more than three times their scatter. Where the scatter would
    hide more than that, only frames half a frame or more before the onset count, found as by `arrival_time_s`: a frame
    too few costs little, a frame with contrast agent biases every concentration. The rules are ours.
    """
    signal = np.asarray(arterial_signal, dtype=float)
    frames = np.flatnonzero(np.isfinite(signal))
    curve = signal[frames]
    count = _frames_before_rise(curve)
    if count == 0:
        return 0
    baseline = float(np.median(curve[:count]))
    rise = float(curve.max()) - baseline
    visible = max(min(_VISIBLE_SHARE_OF_RISE * rise, _VISIBLE_SHARE_OF_BASELINE * abs(baseline)), 1e-9 * rise)
    while True:
        before = curve[: max(count - 1, 1)]
        center = np.median(before)
        hidden = 3.0 * 1.4826 * float(np.median(np.abs(before - center))) if before.size > 2 else 0.0
        if count == 1 or curve[count - 1] - center <= max(visible, hidden):
            break
        count -= 1
    if hidden > visible:
        latest = _onset(frames.astype(float), curve) - _BASELINE_MARGIN_FRAMES
        count = max(1, min(count, int(np.count_nonzero(frames <= latest))))
    return int(frames[count - 1]) + 1


def _frames_before_rise(curve: FloatArray) -> int:
    """Frames before a curve without gaps goes through half of its rise to the peak; 0 when it does not rise."""
    if curve.size < 3:
        return 0
    peak = int(np.argmax(curve))
    below_half = np.flatnonzero(curve[:peak] < (np.min(curve) + curve[peak]) / 2.0)
    if not below_half.size:
        return 0
    # Counted back from the peak, so that a stray bright frame before the bolus is not taken for the rise.
    count = int(below_half[-1]) + 1
    steps = np.diff(curve)
    noise = 1.4826 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2.0)
    return count if curve[peak] - np.median(curve[:count]) > _NOISE_MULTIPLE_OF_A_RISE * noise else 0


def _onset(times: FloatArray, curve: FloatArray) -> float:
    """Start of the quadratic onset of a curve without gaps, in the unit of `times`; NaN when there is no rise."""
    count = _frames_before_rise(curve)
    if count == 0:
        return float("nan")
    t, rise = times[: count + 1], curve[: count + 1] - curve[: count + 1].mean()
    candidates = np.linspace(t[0], t[-1], count * _ARRIVAL_GRID_PER_FRAME, endpoint=False)
    explained = np.empty(candidates.size)
    block = max(1, _BLOCK_VALUES // t.size)
    for start in range(0, candidates.size, block):
        part = slice(start, start + block)
        ramps = np.square(np.maximum(t - candidates[part, np.newaxis], 0.0))
        ramps -= ramps.mean(axis=1, keepdims=True)
        projection = ramps @ rise
        explained[part] = np.where(projection > 0.0, projection**2 / np.square(ramps).sum(axis=1), 0.0)
    return float(candidates[np.argmax(explained)])


def pick_arterial_voxels(
    signal: npt.ArrayLike,
    times_s: npt.ArrayLike,
    baseline_frames: int,
    share: float = 0.05,
    minimum: int = 6,
    coordinates: npt.ArrayLike | None = None,
    slab_slices: int | None = None,
) -> npt.NDArray[np.intp]:
    """Voxels of a box or segment whose curves look arterial: a high and early peak after a steep rise.

    Parameters
    ----------
    signal : (n_voxels, n_times), any unit; a voxel with a frame that is not finite is not picked.
    times_s : (n_times,) increasing.
    baseline_frames : frames before contrast.
    share : of all voxels, above 0 and at most 1.
    minimum : voxels picked even when the share is less.
    coordinates : (n_voxels, 3) integer indices, the slice first.
    slab_slices : slices of the acquired slab. When given, the first and last fifth are left out, where inflowing blood
        is not saturated and the slab profile falls, unless fewer than `minimum` voxels would remain.

    Returns
    -------
    Indices of the picked voxels, increasing; empty when no curve rises or there is no voxel.

    Raises
    ------
    ValueError
        when shapes differ, or there is no frame before or after the arrival.

    Notes
    -----
    The score of a voxel is peak enhancement x steepest slope / time to peak, of its curve averaged over three frames.
    The best `share` is picked, at least `minimum`, without those that score below a tenth of the median of the best
    `minimum`; of them, with `coordinates`, the largest part that hangs together (26 neighbors). The rules are ours.
    """
    values = np.asarray(signal, dtype=float)
    times = np.asarray(times_s, dtype=float)
    if values.ndim != 2 or values.shape[1] != times.size:
        raise ValueError(f"signal {values.shape} must be (voxels, {times.size} times)")
    if not 0 < baseline_frames < times.size:
        raise ValueError(f"{baseline_frames} frames before contrast of {times.size} leave nothing to compare")
    voxels = None if coordinates is None else np.asarray(coordinates, dtype=np.intp)
    if voxels is not None and voxels.shape != (len(values), 3):
        raise ValueError(f"coordinates {voxels.shape} must be ({len(values)} voxels, 3)")
    if not len(values):
        return np.empty(0, dtype=np.intp)

    score = _arterial_score(values, times, baseline_frames)
    if voxels is not None and slab_slices is not None:
        middle = (voxels[:, 0] >= _INFLOW_SHARE * slab_slices) & (voxels[:, 0] < (1.0 - _INFLOW_SHARE) * slab_slices)
        if np.count_nonzero(middle & (score > 0.0)) >= minimum:
            score = np.where(middle, score, 0.0)
    order = np.argsort(-score, kind="stable")
    best = order[: max(minimum, int(np.ceil(share * score.size)))]
    least = _LEAST_ARTERIAL_SCORE * float(np.median(score[best[: max(minimum, 1)]]))
    picked = np.asarray(np.sort(best[score[best] > least]), dtype=np.intp)
    if voxels is None or not picked.size:
        return picked
    corner = voxels[picked].min(axis=0)
    places = tuple((voxels[picked] - corner).T)
    grid = np.zeros(voxels[picked].max(axis=0) - corner + 1, dtype=bool)
    grid[places] = True
    parts = np.asarray(ndimage.label(grid, structure=np.ones((3, 3, 3)))[0][places], dtype=np.intp)
    return np.compress(parts == np.argmax(np.bincount(parts)), picked)


def _arterial_score(values: FloatArray, times: FloatArray, baseline_frames: int) -> FloatArray:
    """Peak x slope / time to peak of each voxel; 0 where nothing enhances or a frame is not finite."""
    finite = np.asarray(np.isfinite(values).all(axis=1))
    values = np.where(finite[:, np.newaxis], values, 0.0)
    smooth = ndimage.uniform_filter1d(values, 3, axis=1, mode="nearest")
    after = smooth[:, baseline_frames:] - values[:, :baseline_frames].mean(axis=1, keepdims=True)
    peak_frame = np.argmax(after, axis=1)
    peak = np.maximum(np.take_along_axis(after, peak_frame[:, np.newaxis], axis=1)[:, 0], 0.0)
    time_to_peak_s = times[baseline_frames + peak_frame] - times[baseline_frames - 1]
    slope = np.max(np.diff(smooth[:, baseline_frames - 1 :], axis=1) / np.diff(times[baseline_frames - 1 :]), axis=1)
    score: FloatArray = peak * np.maximum(slope, 0.0) / time_to_peak_s
    return score
