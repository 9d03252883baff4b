"""Graded findings about the arterial input and the protocol: what was checked, what was found, what to do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .aif import POPULATION_INPUTS, population_plasma
from .signal import ArterialPeakErrors, FloatArray
from .tofts import Tofts, tofts_concentration

Grade = Literal["ok", "note", "warning", "severe"]

REFERENCE_DOSE_MMOL_PER_KG = 0.1
PEAK_RANGE_MM = (2.0, 15.0)
"""Plausible first-pass peak in aortic blood at the reference dose."""
TAIL_RANGE_MM = (0.3, 1.2)
"""Plausible concentration in blood `TAIL_S` after arrival at the reference dose."""
TAIL_S = 300.0
TAIL_HALF_WIDTH_S = 30.0
FIRST_PASS_S = 60.0
WASHOUT_SHARE = 0.5
"""Of the peak; blood that stays above it after the first pass has not washed out. Ours."""
LAST_FRAMES = 3
BASELINE_SCATTER_SHARE = 0.05
"""Of the peak. Ours."""
NEGATIVE_SCATTERS = 3.0
INFLOW_RATIO = 1.5
"""Baseline signal of blood over that of tissue, measured over predicted. Ours."""

COARSE_FRAME_S = 3.0
LONG_FRAME_S = 5.0
SEMIQUANTITATIVE_FRAME_S = 8.0
MINIMUM_BASELINE_FRAMES = 3
MINIMUM_DURATION_S = 120.0
MINIMUM_FLIP_ANGLE_DEG = 20.0
PEAK_ERROR_PERCENT = 25.0
"""Predicted error of the arterial peak above which a finding is more than ok. Ours."""
SAMPLING_ERROR_PERCENT = 5.0
"""Error of Ktrans that a population input sampled at the frames may cause. Ours."""
TYPICAL_MARROW_PER_MIN = (0.3, 2.0)
"""Ktrans and kep for which it is predicted."""
_FINE_S = 0.1


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes
    ----------
    grade : ok; note (good to know); warning (the result is off by an amount that matters); severe (do not use the
        quantitative result).
    topic : what was checked, in few words; the same for every outcome of a check.
    message : one sentence with the number, the threshold and what to do.
    """

    grade: Grade
    topic: str
    message: str


def aif_findings(
    times_s: npt.ArrayLike,
    blood_mM: npt.ArrayLike,
    baseline_frames: int,
    arrival_s: float,
    dose_mmol_per_kg: float = REFERENCE_DOSE_MMOL_PER_KG,
    tissue_arrival_s: float | None = None,
    baseline_signal_ratio: float | None = None,
    predicted_signal_ratio: float | None = None,
) -> list[Finding]:
    """Whether a measured arterial curve can be one.

    Parameters
    ----------
    times_s : (n_times,) increasing.
    blood_mM : (n_times,) concentration in whole blood; NaN where the signal has none.
    baseline_frames : frames before contrast, at least one.
    arrival_s : arrival of the bolus in the artery.
    dose_mmol_per_kg : given to the subject; the plausible concentrations are proportional to it.
    tissue_arrival_s : arrival in the tissue, found by the same method; None leaves the order unchecked.
    baseline_signal_ratio, predicted_signal_ratio : signal of blood over that of a tissue before contrast, as measured
        and as the signal equation predicts it from their T1 (and proton densities); without both, inflow is unchecked.

    Returns
    -------
    One finding for each check that could be made, passed ones included with the grade ok.

    Raises
    ------
    ValueError
        when shapes differ.

    Notes
    -----
    The thresholds, with what they are shares of, are the constants of this module; those called ours have no published
    source.
    """
    times, blood = np.asarray(times_s, dtype=float), np.asarray(blood_mM, dtype=float)
    if times.ndim != 1 or times.shape != blood.shape:
        raise ValueError(f"times {times.shape} and blood curve {blood.shape} must be two lists of the same length")
    finite = np.isfinite(blood)
    findings = [_conversion(finite)]
    after = finite & (times >= arrival_s)
    if np.count_nonzero(after):
        findings += _amplitude(times[after] - arrival_s, blood[after], dose_mmol_per_kg / REFERENCE_DOSE_MMOL_PER_KG)
        findings += _noise(blood[:baseline_frames][finite[:baseline_frames]], blood[after])
    if tissue_arrival_s is not None:
        findings.append(_order(times, arrival_s, tissue_arrival_s))
    if baseline_signal_ratio is not None and predicted_signal_ratio is not None:
        findings.append(_inflow(baseline_signal_ratio / predicted_signal_ratio))
    return findings


def _conversion(finite: npt.NDArray[np.bool_]) -> Finding:
    topic = "arterial conversion"
    if finite.all():
        return Finding("ok", topic, "Every frame of the artery has a concentration.")
    missing = np.count_nonzero(~finite)
    return Finding(
        "severe",
        topic,
        f"{missing} of {finite.size} frames of the artery have no concentration, since the blood is brighter than the "
        "signal equation allows: check the flip angle and T1 of blood, or use a population input scaled to the tail.",
    )


def _amplitude(since_s: FloatArray, blood: FloatArray, dose: float) -> Iterator[Finding]:
    """Peak, wash-out and tail of the frames after arrival; `dose` is relative to the reference."""
    first_pass = blood[since_s <= FIRST_PASS_S]
    peak = float(np.max(first_pass if first_pass.size else blood))
    low, high = (dose * bound for bound in PEAK_RANGE_MM)
    plausible = f"{low:g} to {high:g} mM plausible for this dose"
    if peak < low:
        yield Finding(
            "warning",
            "arterial peak",
            f"The arterial peak of {peak:.2f} mM is below the {plausible}, so saturation, inflow or partial volume may "
            "have lowered it and Ktrans and ve come out too high: check the segment, or use a population input scaled "
            "to the tail.",
        )
    elif peak > high:
        yield Finding(
            "warning",
            "arterial peak",
            f"The arterial peak of {peak:.2f} mM is above the {plausible}, so Ktrans and ve come out too low: check "
            "flip angle, relaxivity, T1 of blood and dose.",
        )
    else:
        yield Finding("ok", "arterial peak", f"The arterial peak of {peak:.2f} mM lies in the {plausible}.")

    late = blood[since_s > FIRST_PASS_S]
    if np.argmax(blood) >= blood.size - LAST_FRAMES:
        yield Finding(
            "severe",
            "arterial wash-out",
            f"The arterial curve is highest in its last {LAST_FRAMES} frames, {since_s[np.argmax(blood)]:.0f} s after "
            "arrival, where blood should have washed out: choose another vessel or segment.",
        )
    elif late.size >= LAST_FRAMES:
        share = float(np.median(late)) / peak if peak > 0.0 else np.inf
        found = f"{FIRST_PASS_S:g} s after arrival and later the arterial curve is at {share:.0%} of its peak"
        if share >= 1.0:
            yield Finding("severe", "arterial wash-out", f"{found}, not below it: choose another vessel or segment.")
        elif share > WASHOUT_SHARE:
            yield Finding(
                "warning",
                "arterial wash-out",
                f"{found}, above {WASHOUT_SHARE:.0%}, so the peak may be saturated or the vessel a vein: check the "
                "segment, or use a population input scaled to the tail.",
            )
        else:
            yield Finding("ok", "arterial wash-out", f"{found}, below {WASHOUT_SHARE:.0%}.")

    around = np.abs(since_s - TAIL_S) <= TAIL_HALF_WIDTH_S
    if since_s[-1] >= TAIL_S and around.any():
        tail = float(np.median(blood[around]))
        low, high = (dose * bound for bound in TAIL_RANGE_MM)
        found = f"The arterial concentration {TAIL_S:g} s after arrival is {tail:.2f} mM"
        if low <= tail <= high:
            yield Finding("ok", "arterial tail", f"{found}, within the plausible {low:g} to {high:g} mM.")
        else:
            yield Finding(
                "warning",
                "arterial tail",
                f"{found}, outside the plausible {low:g} to {high:g} mM for this dose: check flip angle, relaxivity, "
                "T1 of blood and dose.",
            )


def _noise(before: FloatArray, after: FloatArray) -> Iterator[Finding]:
    """Scatter before contrast, and concentrations after arrival that it does not explain."""
    scatter = float(np.std(before, ddof=1)) if before.size > 1 else 0.0
    peak = float(np.max(after))
    if before.size > 1 and peak > 0.0:
        found = f"The arterial concentration before contrast scatters by {scatter / peak:.1%} of the peak"
        if scatter > BASELINE_SCATTER_SHARE * peak:
            yield Finding(
                "warning",
                "arterial baseline",
                f"{found}, more than {BASELINE_SCATTER_SHARE:.0%}: use a larger segment inside the vessel, or leave "
                "out frames that moved.",
            )
        else:
            yield Finding("ok", "arterial baseline", f"{found}, at most {BASELINE_SCATTER_SHARE:.0%}.")
    negative = int(np.count_nonzero(after < -NEGATIVE_SCATTERS * scatter))
    if negative:
        yield Finding(
            "warning",
            "arterial sign",
            f"{negative} frames after arrival have a concentration down to {np.min(after):.2f} mM, below zero by more "
            f"than {NEGATIVE_SCATTERS:g} times the scatter before contrast: look for motion or flow artifacts, and at "
            "the number of baseline frames.",
        )
    else:
        yield Finding("ok", "arterial sign", "No frame after arrival has a negative concentration beyond the noise.")


def _order(times: FloatArray, arrival_s: float, tissue_arrival_s: float) -> Finding:
    frame_s = float(np.median(np.diff(times)))
    lead_s = tissue_arrival_s - arrival_s
    if lead_s < -frame_s:
        return Finding(
            "warning",
            "order of arrival",
            f"The bolus reaches the tissue {-lead_s:.1f} s before the artery, more than one frame of {frame_s:.3g} s: "
            "choose a vessel upstream, or check the frame times.",
        )
    return Finding(
        "ok",
        "order of arrival",
        f"The bolus reaches the tissue {lead_s:+.1f} s after the artery, not earlier than one frame of {frame_s:.3g} s "
        "allows.",
    )


def _inflow(ratio: float) -> Finding:
    found = f"Before contrast, blood is {ratio:.2f} times as bright beside tissue as their T1 predict"
    if ratio > INFLOW_RATIO:
        return Finding(
            "warning",
            "inflow",
            f"{found}, more than {INFLOW_RATIO:g} times, so unsaturated blood flows in and its concentration comes out "
            "too low: place the segment downstream, away from the edge of the slab, or use a population input.",
        )
    return Finding("ok", "inflow", f"{found}, at most {INFLOW_RATIO:g} times.")


def protocol_findings(
    times_s: npt.ArrayLike, baseline_frames: int, arrival_s: float, flip_angle_deg: float
) -> list[Finding]:
    """What timing and flip angle do to the result.

    Parameters
    ----------
    times_s : (n_times,) increasing, at least two.
    baseline_frames : frames before contrast.
    arrival_s : arrival of the bolus in the artery.
    flip_angle_deg : of the dynamic sequence.

    Returns
    -------
    One finding for each check, passed ones included with the grade ok.

    Notes
    -----
    The errors named are the largest over all phases of a simulated bolus. The frame time is the longest from the frame
    before arrival to the end of the first pass; coarser frames later do no harm.
    """
    times = np.asarray(times_s, dtype=float)
    in_bolus = (times[1:] > arrival_s) & (times[:-1] < arrival_s + FIRST_PASS_S)
    steps = np.diff(times)[in_bolus]
    findings = [_frame_time(float(np.max(steps)))] if steps.size else []
    findings.append(_start(times, baseline_frames, arrival_s))
    findings.append(_baseline_length(baseline_frames))
    duration_s = float(times[-1]) - arrival_s
    if duration_s < MINIMUM_DURATION_S:
        findings.append(
            Finding(
                "warning",
                "duration",
                f"The series ends {duration_s:.0f} s after arrival, before {MINIMUM_DURATION_S:g} s, so kep and ve are "
                "poorly determined: acquire 5 minutes.",
            )
        )
    else:
        findings.append(
            Finding(
                "ok", "duration", f"The series ends {duration_s:.0f} s after arrival, {MINIMUM_DURATION_S:g} s or more."
            )
        )
    if flip_angle_deg < MINIMUM_FLIP_ANGLE_DEG:
        findings.append(
            Finding(
                "note",
                "flip angle",
                f"At a flip angle of {flip_angle_deg:g} degrees, below {MINIMUM_FLIP_ANGLE_DEG:g}, the signal of blood "
                "saturates, so noise and errors of the flip angle weigh heavily on the arterial peak: use 20 to 30 "
                "degrees, or a population input scaled to the tail.",
            )
        )
    else:
        findings.append(
            Finding(
                "ok",
                "flip angle",
                f"The flip angle is {flip_angle_deg:g} degrees, {MINIMUM_FLIP_ANGLE_DEG:g} or more.",
            )
        )
    return findings


def _frame_time(step_s: float) -> Finding:
    topic, found = "frame time", f"Frames are up to {step_s:.3g} s apart during the bolus"
    if step_s >= SEMIQUANTITATIVE_FRAME_S:
        return Finding(
            "severe",
            topic,
            f"{found}, {SEMIQUANTITATIVE_FRAME_S:g} s or more, so Ktrans and kep may be wrong by 20 % or more: use the "
            "semi-quantitative values only.",
        )
    if step_s > LONG_FRAME_S:
        return Finding(
            "warning",
            topic,
            f"{found}, more than {LONG_FRAME_S:g} s, so Ktrans is wrong by 3 % or more: acquire a frame every "
            f"{COARSE_FRAME_S:g} s.",
        )
    if step_s > COARSE_FRAME_S:
        return Finding(
            "note",
            topic,
            f"{found}, more than {COARSE_FRAME_S:g} s, so Ktrans is wrong by up to 3 %: acquire a frame every "
            f"{COARSE_FRAME_S:g} s.",
        )
    return Finding("ok", topic, f"{found}, at most {COARSE_FRAME_S:g} s.")


def _start(times: FloatArray, baseline_frames: int, arrival_s: float) -> Finding:
    """Whether the frames that are taken as before contrast are."""
    topic = "start of the series"
    last_s = float(times[max(baseline_frames, 1) - 1])
    half_s = 0.5 * float(np.diff(times)[min(max(baseline_frames, 1), times.size - 1) - 1])
    if arrival_s < times[1]:
        why = f"The bolus arrives at {arrival_s:.1f} s, before the second frame at {times[1]:.3g} s"
    elif last_s > arrival_s + half_s:
        why = f"The last frame before contrast is at {last_s:.1f} s, but the bolus arrives at {arrival_s:.1f} s"
    else:
        return Finding("ok", topic, f"The last frame before contrast, at {last_s:.1f} s, is not after the arrival.")
    return Finding(
        "severe",
        topic,
        f"{why}, so the signal before contrast is unknown and no value is to be trusted: give fewer --baseline-frames "
        "if some are free of contrast, else acquire again with 3 or more frames before the injection.",
    )


def _baseline_length(frames: int) -> Finding:
    topic = "baseline length"
    if frames >= MINIMUM_BASELINE_FRAMES:
        return Finding("ok", topic, f"{frames} frames before contrast, at least {MINIMUM_BASELINE_FRAMES}.")
    return Finding(
        "warning",
        topic,
        f"There {'is' if frames == 1 else 'are'} only {frames} frame{'' if frames == 1 else 's'} before contrast, "
        f"fewer than {MINIMUM_BASELINE_FRAMES}, so the noise of the baseline goes into every concentration: start the "
        "series earlier, or give the number if more frames are free of contrast.",
    )


def population_sampling_finding(times_s: npt.ArrayLike, name: str, arrival_s: float) -> Finding:
    """What it does to Ktrans that the models take a population input as linear between the frames.

    Parameters
    ----------
    times_s : (n_times,) increasing.
    name : a key of `POPULATION_INPUTS`.
    arrival_s : where it is placed, on the axis of `times_s`.

    Returns
    -------
    The finding: a warning where Ktrans changes by more than `SAMPLING_ERROR_PERCENT`, else ok.

    Raises
    ------
    ValueError
        when there is no input of that name, or the times are not those of a curve that can be fitted.

    Notes
    -----
    Typical marrow (`TYPICAL_MARROW_PER_MIN`) under the input itself, on a grid of 0.1 s, is fitted by the Tofts model
    with the input sampled at the frames.
    """
    times = np.asarray(times_s, dtype=float)
    fine = np.union1d(np.arange(times[0], times[-1], _FINE_S), times)
    ktrans, kep = TYPICAL_MARROW_PER_MIN
    tissue = tofts_concentration(fine, population_plasma(name, fine, arrival_s, 0.0), ktrans, kep)
    fit = Tofts(times, population_plasma(name, times, arrival_s, 0.0)).fit(tissue[np.searchsorted(fine, times)])
    error = 100.0 * (float(fit.ktrans_per_min[0]) / ktrans - 1.0)
    topic = "population input"
    found = f"Sampled at the frames, the {name} input changes a Ktrans of {ktrans:g} /min by {error:+.1f} %"
    if abs(error) <= SAMPLING_ERROR_PERCENT:
        return Finding("ok", topic, f"{found}, at most {SAMPLING_ERROR_PERCENT:g} %.")
    return Finding(
        "warning",
        topic,
        f"{found}, more than {SAMPLING_ERROR_PERCENT:g} %: use the measured input or a population input with a "
        "smoother peak, or acquire more frames during the bolus.",
    )


def first_pass_finding(times_s: npt.ArrayLike, name: str, arrival_s: float, hematocrit: float) -> Finding:
    """What it does to Ktrans that a population input has no first pass.

    Parameters
    ----------
    times_s : (n_times,) increasing.
    name : a key of `POPULATION_INPUTS`.
    arrival_s : where it is placed, on the axis of `times_s`.
    hematocrit : of the subject.

    Returns
    -------
    The finding: a warning where the input has none, else ok.

    Raises
    ------
    ValueError
        when there is no input of that name, or the times are not those of a curve that can be fitted.

    Notes
    -----
    Typical marrow (`TYPICAL_MARROW_PER_MIN`) under the input of Parker 2006 is fitted by the Tofts model with this one.
    """
    topic = "first pass"
    if name in POPULATION_INPUTS and POPULATION_INPUTS[name].has_first_pass:
        return Finding("ok", topic, f"The {name} input has a first pass.")
    times = np.asarray(times_s, dtype=float)
    fine = np.union1d(np.arange(times[0], times[-1], _FINE_S), times)
    ktrans, kep = TYPICAL_MARROW_PER_MIN
    tissue = tofts_concentration(fine, population_plasma("parker", fine, arrival_s, hematocrit), ktrans, kep)
    fit = Tofts(times, population_plasma(name, times, arrival_s, hematocrit)).fit(tissue[np.searchsorted(fine, times)])
    return Finding(
        "warning",
        topic,
        f"The {name} input has no first pass, which blood has after a bolus; with Parker's input as the true one, a "
        f"Ktrans of {ktrans:g} /min would come out as {float(fit.ktrans_per_min[0]):.2g} /min: use the measured input, "
        "parker, georgiou, orton2 or orton3.",
    )


def arterial_peak_finding(
    errors: ArterialPeakErrors, corrected_r2star_per_s_mM: float = 0.0, b1_known: bool = False
) -> Finding:
    """How far the arterial peak can be off when flip angle or r2* are not what the conversion takes them for.

    Parameters
    ----------
    errors : predicted at the peak that was measured (`signal.arterial_peak_errors`); NaN for r2* where the echo time is
        not known.
    corrected_r2star_per_s_mM : r2* that the conversion corrects for, in 1/s/mM; 0 for no correction.
    b1_known : whether the conversion has a B1 other than the nominal one.

    Returns
    -------
    The finding: ok where the largest error is at most `PEAK_ERROR_PERCENT`, a note up to twice that, else a warning.

    Notes
    -----
    The threshold is ours; the errors are those of the signal equation.
    """
    low, high, decay = (100.0 * error for error in dataclasses.astuple(errors))
    high_text = f"{high:+.0f} %" if math.isfinite(high) else "no value at all"
    r2star = f"an uncorrected r2* of 7 /s/mM would change it by {decay:+.0f} %"
    if corrected_r2star_per_s_mM > 0.0:
        r2star, decay = f"r2* is corrected for with {corrected_r2star_per_s_mM:g} /s/mM", 0.0
    elif math.isnan(decay):
        r2star, decay = "what r2* does to it is unknown, since the echo time is", 0.0
    worst = max(abs(low), abs(high), abs(decay))
    message = (
        f"a flip angle 10 % too low would change the measured arterial peak by {low:+.0f} %, one 10 % too high would "
        f"give {high_text}; {r2star}"
    )
    if worst <= PEAK_ERROR_PERCENT:
        return Finding("ok", "arterial peak", f"{message}.")
    measure = "" if b1_known else "measure B1 and give --b1, or "
    advice = f"{measure}use a flip angle of 20 to 30 degrees and a short echo time"
    return Finding("note" if worst <= 2 * PEAK_ERROR_PERCENT else "warning", "arterial peak", f"{message}; {advice}.")
