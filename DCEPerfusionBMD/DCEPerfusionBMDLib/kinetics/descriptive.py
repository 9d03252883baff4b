"""Semi-quantitative description of enhancement curves: numbers read off the curve without a model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .signal import FloatArray

_CHUNK_VOXELS = 2048
_KNEE_WINDOWS = 7


class CurveType(IntEnum):
    """Shape of an enhancement curve after Chen 2002; the rules that tell them apart are ours, see `CurveRules`."""

    UNCLASSIFIED = 0
    A = 1
    B = 2
    C = 3
    D = 4
    E = 5

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS = {
    CurveType.UNCLASSIFIED: "the curve is incomplete or too short after its rise",
    CurveType.A: "little or no enhancement",
    CurveType.B: "slow rise throughout",
    CurveType.C: "rapid rise, then a plateau",
    CurveType.D: "rapid rise, then wash-out",
    CurveType.E: "rapid rise, then a second, slower rise",
}


@dataclass(frozen=True)
class CurveRules:
    """Thresholds of `describe_curves`. Those of the curve types are ours.

    Attributes
    ----------
    smoothing_frames : odd length of the moving mean over the signal; 1 for none.
    rise_shares : shares of the enhancement between which the rise is timed.
    flat_percent : a curve with less enhancement is of type A.
    slow_rise_s : a rise to the upper share that takes longer, without an early knee, is of type B.
    knee_s : an early knee lies within this time after arrival; slopes are taken over half of it.
    knee_share : of the steepest of these slopes; one below it after the steepest is a knee.
    plateau_percent_per_min : of the enhancement; a late slope within plus and minus this is a plateau.
    early_s : time after arrival of the early signal of the signal enhancement ratio.
    """

    smoothing_frames: int = 3
    rise_shares: tuple[float, float] = (0.1, 0.9)
    flat_percent: float = 10.0
    slow_rise_s: float = 60.0
    knee_s: float = 60.0
    knee_share: float = 0.25
    plateau_percent_per_min: float = 5.0
    early_s: float = 60.0


@dataclass(frozen=True)
class Descriptive:
    """Semi-quantitative parameters; arrays over voxels, NaN where a parameter is not defined.

    S0 is the mean signal before contrast, Smax the highest after arrival, percent are of S0.

    Attributes
    ----------
    emax_percent : (Smax - S0) / S0.
    eslope_percent_per_s : mean slope between the shares of the rise, by default 80 % of Emax over t90 - t10.
    max_slope_percent_per_s : steepest slope between two frames from arrival to the maximum.
    time_to_peak_s : from arrival to the maximum; OSIPI CAPLEX Q.CD1.010.
    wash_in_slope_percent_per_s : Emax over the time to peak; CAPLEX wash-in slope.
    wash_out_slope_percent_per_s : slope from the maximum to the last frame, not positive; CAPLEX wash-out slope. NaN
        when the last frame is the maximum.
    wash_out_percent_per_min : the same per minute.
    iauc60_mM_s, iauc90_mM_s, iauc180_mM_s : area under the concentration in the 60, 90 and 180 s after arrival; NaN
        when the series ends earlier or no concentration is given. DICOM 126321 to 126323.
    iaugc60, iaugc90, iaugc180 : their ratio to that of blood.
    ser : signal enhancement ratio, (S at `early_s` after arrival - S0) / (S of the last frame - S0); NaN when the last
        frame is not above S0.
    curve_type : `CurveType` codes, uint8.
    """

    emax_percent: FloatArray
    eslope_percent_per_s: FloatArray
    max_slope_percent_per_s: FloatArray
    time_to_peak_s: FloatArray
    wash_in_slope_percent_per_s: FloatArray
    wash_out_slope_percent_per_s: FloatArray
    wash_out_percent_per_min: FloatArray
    iauc60_mM_s: FloatArray
    iauc90_mM_s: FloatArray
    iauc180_mM_s: FloatArray
    iaugc60: FloatArray
    iaugc90: FloatArray
    iaugc180: FloatArray
    ser: FloatArray
    curve_type: npt.NDArray[np.uint8]


def describe_curves(
    times_s: npt.ArrayLike,
    signal: npt.ArrayLike,
    baseline_frames: int,
    arrival_s: float,
    concentration_mM: npt.ArrayLike | None = None,
    aif_blood_mM: npt.ArrayLike | None = None,
    rules: CurveRules | None = None,
) -> Descriptive:
    """Semi-quantitative parameters of every voxel.

    Levels (maximum, end, early signal) are those of a moving mean over three frames, two at the ends: it lowers Emax of
    fast marrow by 3 % at 3 s per frame and keeps noise from raising it. Slopes and the times of the rise are those of
    the frames themselves, linear in between, since the mean would lower them by a quarter. The lower end of the rise is
    the last crossing before the upper one, so that noise before the rise is not taken for it.

    Parameters
    ----------
    times_s : (n_times,) increasing.
    signal : (n_voxels, n_times) or (n_times,), any unit; a voxel with a frame that is not finite has no value.
    baseline_frames : frames before contrast.
    arrival_s : arrival of the bolus, within the series.
    concentration_mM : shape of `signal`; without it there are no areas. Only the frames of an area must be finite.
    aif_blood_mM : (n_times,) concentration in blood; without it there are no blood-normalized areas.
    rules : thresholds; the default ones when None.

    Returns
    -------
    Descriptive with arrays of n_voxels; of one when the signal is a single curve.

    Raises
    ------
    ValueError
        when shapes differ, times do not increase, or no frame lies before contrast or after arrival.

    References
    ----------
    Griffith JF et al., Radiology 2005;236:945-951 (Emax, Eslope); Chen WT et al., J Magn Reson Imaging 2002;15:308-314
    (curve types); OSIPI CAPLEX.
    """
    times = np.asarray(times_s, dtype=float)
    values = np.atleast_2d(np.asarray(signal))
    rules = rules or CurveRules()
    concentration = None if concentration_mM is None else np.atleast_2d(np.asarray(concentration_mM))
    blood = None if aif_blood_mM is None else np.asarray(aif_blood_mM, dtype=float)
    _check(times, values, baseline_frames, arrival_s, concentration, blood)
    count = len(values)
    found: dict[str, Any] = {
        field.name: np.zeros(count, dtype=np.uint8) if field.name == "curve_type" else np.full(count, np.nan)
        for field in fields(Descriptive)
    }
    weights = {seconds: _area_weights(times, arrival_s, float(seconds)) for seconds in (60, 90, 180)}
    for start in range(0, count, _CHUNK_VOXELS):
        part = slice(start, start + _CHUNK_VOXELS)
        chunk = np.asarray(values[part], dtype=float)
        usable = np.flatnonzero(np.isfinite(chunk).all(axis=1))
        if usable.size:
            for name, numbers in _describe(times, chunk[usable], baseline_frames, arrival_s, rules).items():
                found[name][start + usable] = numbers
        if concentration is None:
            continue
        for seconds, weight in weights.items():
            if weight is not None:
                frames, areas = np.flatnonzero(weight), weight[weight != 0.0]
                with np.errstate(invalid="ignore"):
                    found[f"iauc{seconds}_mM_s"][part] = np.asarray(concentration[part][:, frames], dtype=float) @ areas
    if concentration is not None and blood is not None:
        for seconds, weight in weights.items():
            if weight is not None:
                frames = np.flatnonzero(weight)
                area_of_blood = float(blood[frames] @ weight[frames])
                if area_of_blood > 0.0:
                    found[f"iaugc{seconds}"] = found[f"iauc{seconds}_mM_s"] / area_of_blood
    return Descriptive(**found)


def _check(
    times: FloatArray,
    values: npt.NDArray[np.generic],
    baseline_frames: int,
    arrival_s: float,
    concentration: npt.NDArray[np.generic] | None,
    blood: FloatArray | None,
) -> None:
    if values.ndim != 2 or values.shape[1] != times.size:
        raise ValueError(f"signal {values.shape} must be (voxels, {times.size} times)")
    if concentration is not None and concentration.shape != values.shape:
        raise ValueError(f"concentration {concentration.shape} must have the shape of the signal, {values.shape}")
    if blood is not None and blood.shape != times.shape:
        raise ValueError(f"blood curve {blood.shape} must have one concentration for each of {times.size} times")
    if not np.all(np.diff(times) > 0):
        raise ValueError("times must increase")
    if not 0 < baseline_frames < times.size:
        raise ValueError(f"{baseline_frames} frames before contrast of {times.size} leave nothing to compare")
    if not times[0] <= arrival_s < times[-1]:
        raise ValueError(f"arrival at {arrival_s:g} s lies outside the series, {times[0]:g} to {times[-1]:g} s")


def _area_weights(times: FloatArray, start_s: float, duration_s: float) -> FloatArray | None:
    """Weights whose product with a curve is its exact area, linear between frames; None when the series is too short.

    The cumulative area of the hat function of each frame, at the end less at the start.
    """
    if start_s + duration_s > times[-1]:
        return None
    knots = np.unique(np.concatenate((times, (start_s, start_s + duration_s))))
    knots = knots[(knots >= start_s) & (knots <= start_s + duration_s)]
    hats = np.array([np.interp(knots, times, unit) for unit in np.eye(times.size)])
    weights: FloatArray = np.trapezoid(hats, knots, axis=1)
    return weights


def _describe(
    times: FloatArray, values: FloatArray, baseline_frames: int, arrival_s: float, rules: CurveRules
) -> dict[str, FloatArray | npt.NDArray[np.uint8]]:
    """What is read off the signal of voxels whose frames are all finite."""
    baseline = values[:, :baseline_frames].mean(axis=1)
    baseline = np.where(baseline > 0.0, baseline, np.nan)
    curve = 100.0 * (values / baseline[:, np.newaxis] - 1.0)
    smooth = _smoothed(curve, rules.smoothing_frames)
    first = int(np.searchsorted(times, arrival_s, side="right"))
    rows = np.arange(len(curve))
    peak_frame = first + np.argmax(smooth[:, first:], axis=1)
    emax, last = smooth[rows, peak_frame], smooth[:, -1]
    time_to_peak_s = times[peak_frame] - arrival_s

    steps = np.diff(times)
    slopes = np.diff(curve, axis=1) / steps
    interval = np.arange(steps.size)
    rising = (interval >= first - 1) & (interval < peak_frame[:, np.newaxis])
    max_slope = np.where(np.isnan(emax), np.nan, np.max(np.where(rising, slopes, -np.inf), axis=1))

    risen = emax > 0.0
    early, late = rules.rise_shares
    # A crossing at interval n is between frames n and n + 1.
    level = late * emax[:, np.newaxis]
    reached = (curve[:, 1:] >= level) & (interval >= first - 1)
    upper = np.argmax(reached, axis=1)
    level = early * emax[:, np.newaxis]
    below = (curve[:, :-1] < level) & (interval <= upper[:, np.newaxis])
    lower = steps.size - 1 - np.argmax(below[:, ::-1], axis=1)
    known = risen & reached.any(axis=1) & below.any(axis=1)
    upper_s = np.where(known, _crossing(times, curve, upper, late * emax), np.nan)
    lower_s = np.where(known, _crossing(times, curve, lower, early * emax), np.nan)

    with np.errstate(divide="ignore", invalid="ignore"):
        eslope = (late - early) * emax / (upper_s - lower_s)
        wash_out = np.where(peak_frame < times.size - 1, (last - emax) / (times[-1] - times[peak_frame]), np.nan)
        ser = np.where(last > 0.0, _at(times, smooth, arrival_s + rules.early_s) / last, np.nan)

    half_s = rules.knee_s / 2.0
    starts_s = arrival_s + np.linspace(0.0, half_s, _KNEE_WINDOWS)
    windows = np.stack([_at(times, smooth, s + half_s) - _at(times, smooth, s) for s in starts_s], axis=1)
    steepest = np.argmax(windows, axis=1)[:, np.newaxis]
    later = np.arange(_KNEE_WINDOWS) > steepest
    knee = (later & (windows < rules.knee_share * np.take_along_axis(windows, steepest, axis=1))).any(axis=1)
    late_slope = 60.0 * 100.0 * _slope_from(times, curve, upper_s) / np.where(risen, emax, np.nan)
    kind = np.select(
        [
            np.isnan(emax),
            emax < rules.flat_percent,
            (upper_s - arrival_s > rules.slow_rise_s) & ~knee,
            np.isnan(late_slope),
            late_slope > rules.plateau_percent_per_min,
            late_slope < -rules.plateau_percent_per_min,
        ],
        [CurveType.UNCLASSIFIED, CurveType.A, CurveType.B, CurveType.UNCLASSIFIED, CurveType.E, CurveType.D],
        CurveType.C,
    )
    return {
        "emax_percent": emax,
        "eslope_percent_per_s": eslope,
        "max_slope_percent_per_s": max_slope,
        "time_to_peak_s": np.where(np.isnan(emax), np.nan, time_to_peak_s),
        "wash_in_slope_percent_per_s": emax / time_to_peak_s,
        "wash_out_slope_percent_per_s": wash_out,
        "wash_out_percent_per_min": 60.0 * wash_out,
        "ser": ser,
        "curve_type": kind.astype(np.uint8),
    }


def _smoothed(values: FloatArray, frames: int) -> FloatArray:
    """Centered moving mean over an odd number of frames, over those that exist at the ends."""
    if frames == 1:
        return values
    window = np.ones(frames)
    total = ndimage.convolve1d(values, window, axis=1, mode="constant")
    smooth: FloatArray = total / ndimage.convolve1d(np.ones(values.shape[1]), window, mode="constant")
    return smooth


def _crossing(times: FloatArray, curve: FloatArray, interval: npt.NDArray[np.intp], level: FloatArray) -> FloatArray:
    """Time at which each voxel goes through its level in the given interval."""
    rows = np.arange(len(curve))
    before, after = curve[rows, interval], curve[rows, interval + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip((level - before) / (after - before), 0.0, 1.0)
    crossing: FloatArray = times[interval] + share * (times[interval + 1] - times[interval])
    return crossing


def _at(times: FloatArray, curve: FloatArray, time_s: float) -> FloatArray:
    """Each curve at one time, linear between frames; NaN after the last."""
    if time_s > times[-1]:
        return np.full(len(curve), np.nan)
    n = min(int(np.searchsorted(times, time_s, side="right")), times.size - 1)
    share = (time_s - times[n - 1]) / (times[n] - times[n - 1])
    value: FloatArray = curve[:, n - 1] + share * (curve[:, n] - curve[:, n - 1])
    return value


def _slope_from(times: FloatArray, curve: FloatArray, start_s: FloatArray) -> FloatArray:
    """Slope per second of the least-squares line through the frames from a time on; NaN for fewer than three."""
    inside = (times >= start_s[:, np.newaxis]).astype(float)
    count = inside.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        centered = inside * (times - (inside @ times / count)[:, np.newaxis])
        slope: FloatArray = np.einsum("ij,ij->i", centered, curve) / np.square(centered).sum(axis=1)
    return np.where(count >= 3, slope, np.nan)
