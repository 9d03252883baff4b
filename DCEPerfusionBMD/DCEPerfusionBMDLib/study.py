"""One subject: a dynamic series, regions and settings in; maps, per-vertebra values and curves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .densitometry import Densitometry
from .errors import Cancelled, InputError
from .kinetics import (
    FitStatus,
    Tofts,
    baseline_frame_count,
    blood_t1_ms,
    concentration_from_signal,
    marrow_t1_ms,
    plasma_from_blood,
    relaxivity_per_s_mM,
)
from .kinetics.relaxation import agent_names
from .quantities import PARAMETERS, STATUS
from .roi import Region, VertebralRois, build_rois
from .settings import Settings
from .tables import Column, Table

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[float, str], bool]


@dataclass(frozen=True)
class Sourced:
    """A value and where it came from."""

    value: float | str
    source: str


@dataclass(frozen=True)
class DynamicSeries:
    """A dynamic series on one grid.

    Attributes
    ----------
    frames : one (K, J, I) array per time point; any sequence, so frames may be read when asked for.
    times_s : (n_frames,) seconds from the first frame, increasing.
    ijk_to_ras : (4, 4) voxel index (i, j, k) to patient coordinates in mm, Slicer's RAS convention.
    acquisition : what is known of the acquisition, by the names in `settings.AcquisitionSettings` and
        `echo_time_ms`, `manufacturer`; what is not known is absent.
    time_source : which tag or unit the times come from, as a phrase.
    times_rejected : other candidates for the time axis, each with the reason against it.
    warnings : sentences for the user.
    source_hash : SHA-256 over the source files; empty when there were none.
    """

    frames: Sequence[npt.NDArray[np.generic]]
    times_s: FloatArray
    ijk_to_ras: FloatArray
    acquisition: Mapping[str, Sourced] = field(default_factory=dict)
    time_source: str = ""
    times_rejected: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source_hash: str = ""
    source_files: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along K, J and I."""
        k, j, i = self.frames[0].shape
        return k, j, i

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along K, J and I.

        Raises
        ------
        InputError
            when the axes are not orthogonal, since distances in mm would then be wrong.
        """
        axes = self.ijk_to_ras[:3, :3]
        lengths = np.linalg.norm(axes, axis=0)
        cosines = (axes / lengths).T @ (axes / lengths) - np.eye(3)
        if np.abs(cosines).max() > 1e-3:
            raise InputError(
                "the axes of the series are not orthogonal (sheared or tilted slices), so distances in mm are not "
                "defined on its grid; resample it first"
            )
        return float(lengths[2]), float(lengths[1]), float(lengths[0])

    def describe(self) -> str:
        """What was understood, in one line."""
        parts = [f"{len(self.frames)} frames of {'x'.join(str(n) for n in self.shape[::-1])} voxels"]
        if len(self.times_s) > 1:
            steps = np.diff(self.times_s)
            apart = f"{np.median(steps):.4g} s apart"
            if steps.max() - steps.min() > 0.01 * np.median(steps):
                apart = f"{steps.min():.4g} to {steps.max():.4g} s apart"
            parts.append(f"{apart} ({self.time_source})")
        for name, label, unit in (
            ("repetition_time_ms", "TR", "ms"),
            ("echo_time_ms", "TE", "ms"),
            ("flip_angle_deg", "flip angle", "degrees"),
            ("field_strength_T", "field", "T"),
        ):
            if name in self.acquisition:
                parts.append(f"{label} {self.acquisition[name].value:g} {unit}")
        parts += [str(self.acquisition[name].value) for name in ("agent", "manufacturer") if name in self.acquisition]
        return ", ".join(parts)


@dataclass(frozen=True)
class ParameterMap:
    """A voxel map of one quantity: NaN where there is no estimate, `status` codes where it is the status map."""

    quantity: str
    values: npt.NDArray[np.float32] | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Curve:
    """Enhancement curve of a region.

    Attributes
    ----------
    region : name of the segment.
    concentration_mM, fitted_mM : (n_frames,) of the mean signal of the analyzed voxels; NaN where there is none.
    """

    region: str
    concentration_mM: FloatArray
    fitted_mM: FloatArray


@dataclass(frozen=True)
class StudyResult:
    """Everything that one analysis found.

    Attributes
    ----------
    subject : pseudonym, empty when none was given.
    times_s : (n_frames,).
    plasma_concentration_mM : (n_frames,) arterial input of the model.
    blood_concentration_mM : (n_frames,) as measured in the arterial segment.
    baseline_frames : number of frames before arrival.
    maps : quantity name to map, on the grid of the series.
    vertebrae : table, one row per region.
    curves : one per region.
    rois : the regions that were analyzed.
    densitometry : as given, None when there was none.
    used : every constant of the analysis with its value and source.
    warnings : sentences for the user.
    """

    subject: str
    times_s: FloatArray
    plasma_concentration_mM: FloatArray
    blood_concentration_mM: FloatArray
    baseline_frames: int
    maps: dict[str, ParameterMap]
    vertebrae: Table
    curves: tuple[Curve, ...]
    rois: VertebralRois
    densitometry: Densitometry | None
    used: dict[str, Sourced]
    warnings: tuple[str, ...]

    def curves_table(self) -> Table:
        """Times, the arterial input, and measured and fitted concentration per region."""
        columns = [
            Column("time_s", self.times_s.tolist(), "Time", "s", "Seconds from the first frame."),
            Column(
                "aif_blood_mM",
                self.blood_concentration_mM.tolist(),
                "Arterial blood",
                "mmol/L",
                "Contrast agent in whole blood, measured in the arterial segment.",
            ),
            Column(
                "aif_plasma_mM",
                self.plasma_concentration_mM.tolist(),
                "Arterial plasma",
                "mmol/L",
                "Blood divided by (1 - hematocrit): the input of the model.",
            ),
        ]
        for curve in self.curves:
            columns.append(
                Column(
                    f"{curve.region}_measured_mM",
                    curve.concentration_mM.tolist(),
                    f"{curve.region} measured",
                    "mmol/L",
                    "Contrast agent in tissue, from the mean signal of the analyzed voxels.",
                )
            )
            columns.append(
                Column(
                    f"{curve.region}_fitted_mM",
                    curve.fitted_mM.tolist(),
                    f"{curve.region} fitted",
                    "mmol/L",
                    "The fitted model.",
                )
            )
        return Table("curves", "Enhancement curves", tuple(columns))


def analyze(
    series: DynamicSeries,
    masks: Mapping[str, npt.NDArray[np.bool_]],
    settings: Settings | None = None,
    densitometry: Densitometry | None = None,
    subject: str = "",
    progress: Progress | None = None,
) -> StudyResult:
    """Kinetic parameters of every region of one study.

    The signal of the artery and of each voxel is converted to concentration by the exact inversion of the spoiled
    gradient echo equation, then the model is fitted to every analyzed voxel and to the mean signal of each region.

    Parameters
    ----------
    series : the dynamic series.
    masks : segment name to (K, J, I) mask on the grid of the series; one of them is the artery.
    settings : the defaults when None.
    densitometry : carried into the result.
    subject : pseudonym that names the result.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Raises
    ------
    InputError
        when the study cannot be analyzed; the message says why and what would help.
    Cancelled
        when `progress` asks for it.
    """
    settings = settings or Settings()
    report = progress or (lambda fraction, message: True)
    _step(report, 0.0, "Preparing the regions")
    times_s = _checked_times(series)
    used = _resolve_constants(series, settings)
    rois = build_rois(masks, series.spacing_mm, settings)

    analyzed = np.zeros(series.shape, dtype=bool)
    for region in rois.regions:
        analyzed |= region.analyzed
    voxels = np.flatnonzero(analyzed)
    voxel_signal, artery_signal = _gather(series, voxels, rois.artery, report)

    baseline_frames, used["baseline_frames"] = _baseline(artery_signal, settings)
    repetition_time_ms, flip_angle_deg = (float(used[n].value) for n in ("repetition_time_ms", "flip_angle_deg"))
    relaxivity = float(used["relaxivity_per_s_mM"].value)

    def to_concentration(signal: npt.NDArray[np.floating], t10: str) -> FloatArray:
        baseline = signal[..., :baseline_frames].mean(axis=-1, dtype=float)
        return concentration_from_signal(
            signal, baseline, float(used[t10].value), relaxivity, repetition_time_ms, flip_angle_deg
        )

    if not artery_signal[:baseline_frames].mean() > 0:
        raise InputError(f"the signal of the arterial segment {rois.artery_name!r} is not positive before contrast")
    blood = to_concentration(artery_signal, "t10_blood_ms")
    if not np.isfinite(blood).all():
        frames = ", ".join(str(i + 1) for i in np.flatnonzero(~np.isfinite(blood))[:5])
        raise InputError(
            f"the arterial curve of {rois.artery_name!r} cannot be converted to concentration in frame {frames}: its "
            "signal is brighter than the signal equation allows; check flip angle, T1 of blood, baseline frames and "
            "the arterial segment"
        )
    plasma = plasma_from_blood(blood, float(used["hematocrit"].value))
    if not np.any(plasma[1:] > 0):
        raise InputError(f"the arterial segment {rois.artery_name!r} shows no enhancement; it may not be the artery")
    model = Tofts(
        times_s,
        plasma,
        (settings.model.ktrans_min_per_min, settings.model.ktrans_max_per_min),
        (settings.model.ve_min, settings.model.ve_max),
    )

    values = _fit_voxels(model, voxel_signal, to_concentration, baseline_frames, report)
    maps = {}
    for name, per_voxel in values.items():
        empty = FitStatus.NOT_ANALYZED if name == STATUS.name else np.nan
        grid = np.full(series.shape, empty, dtype=np.uint8 if name == STATUS.name else np.float32)
        grid.ravel()[voxels] = per_voxel
        maps[name] = ParameterMap(name, grid)

    _step(report, 0.95, "Fitting the mean curve of each region")
    curves, rows = [], []
    for region in rois.regions:
        inside = region.analyzed.ravel()[voxels]
        curve, row = _region_row(region, model, voxel_signal[inside], to_concentration, baseline_frames, values, inside)
        curves.append(curve)
        rows.append(row)
    _step(report, 1.0, "Fitting the mean curve of each region")
    return StudyResult(
        subject=subject or (densitometry.subject if densitometry else ""),
        times_s=times_s,
        plasma_concentration_mM=plasma,
        blood_concentration_mM=blood,
        baseline_frames=baseline_frames,
        maps=maps,
        vertebrae=_vertebrae_table(subject or (densitometry.subject if densitometry else ""), rows),
        curves=tuple(curves),
        rois=rois,
        densitometry=densitometry,
        used=used,
        warnings=(
            *series.warnings,
            *_protocol_warnings(times_s, baseline_frames),
            *_constant_warnings(used),
            *rois.warnings,
            *_fit_warnings(rows),
        ),
    )


def _step(report: Progress, fraction: float, message: str) -> None:
    if not report(fraction, message):
        raise Cancelled


def _checked_times(series: DynamicSeries) -> FloatArray:
    times_s = np.asarray(series.times_s, dtype=float)
    if times_s.size != len(series.frames):
        raise InputError(f"the series has {len(series.frames)} frames but {times_s.size} times")
    if times_s.size < 6:
        raise InputError(f"the series has {times_s.size} frames; a dynamic study needs at least 6")
    not_after = np.flatnonzero(~(np.diff(times_s) > 0))
    if not_after.size:
        i = int(not_after[0])
        raise InputError(
            f"the frame times do not increase: frame {i + 1} is at {times_s[i]:g} s, frame {i + 2} at "
            f"{times_s[i + 1]:g} s (times from {series.time_source or 'the caller'})"
        )
    return times_s


def _resolve_constants(series: DynamicSeries, settings: Settings) -> dict[str, Sourced]:
    """Every constant of the analysis: the user's, else the data's, else the literature's, each with its source."""
    used: dict[str, Sourced] = {}
    for name in ("repetition_time_ms", "flip_angle_deg", "field_strength_T", "agent"):
        by_user = getattr(settings.acquisition, name)
        if by_user is not None:
            used[name] = Sourced(by_user, "user")
        elif name in series.acquisition:
            used[name] = series.acquisition[name]
    for name, what in (("repetition_time_ms", "repetition time"), ("flip_angle_deg", "flip angle")):
        if name not in used:
            raise InputError(f"the series does not tell its {what}; give --{name.replace('_', '-')}")
    field_strength = float(used["field_strength_T"].value) if "field_strength_T" in used else None

    conversion = settings.conversion
    for name, look_up in (("t10_tissue_ms", marrow_t1_ms), ("t10_blood_ms", blood_t1_ms)):
        by_user = getattr(conversion, name)
        known = look_up(field_strength) if field_strength is not None else None
        if by_user is not None:
            used[name] = Sourced(by_user, "user")
        elif known is not None:
            used[name] = Sourced(known[0], f"assumed: {known[1]}")
        else:
            raise InputError(f"no T1 is known for this field strength; give --{name.replace('_', '-')}")
    if conversion.relaxivity_per_s_mM is not None:
        used["relaxivity_per_s_mM"] = Sourced(conversion.relaxivity_per_s_mM, "user")
    else:
        known = None
        if "agent" in used and field_strength is not None:
            known = relaxivity_per_s_mM(str(used["agent"].value), field_strength)
        if known is None:
            agent = f"of {used['agent'].value!r} at this field strength " if "agent" in used else ""
            raise InputError(
                f"the relaxivity {agent}is not known; give --relaxivity, or --agent (one of "
                f"{', '.join(agent_names())}) and --field-strength-T"
            )
        used["relaxivity_per_s_mM"] = Sourced(known[0], f"assumed: {known[1]}")
    used["hematocrit"] = Sourced(conversion.hematocrit, settings.origin("conversion", "hematocrit"))
    return used


def _protocol_warnings(times_s: FloatArray, baseline_frames: int) -> list[str]:
    """What the timing does to the result; the figures are the largest errors over all phases of a simulated bolus."""
    warnings = []
    step_s = float(np.max(np.diff(times_s)))
    if step_s >= 8.0:
        warnings.append(f"frames up to {step_s:g} s apart miss the bolus: Ktrans and kep may be wrong by 20 % or more")
    elif step_s > 5.0:
        warnings.append(f"frames up to {step_s:g} s apart sample the bolus badly: Ktrans is wrong by 3 % or more")
    elif step_s > 3.0:
        warnings.append(f"frames up to {step_s:g} s apart sample the bolus coarsely: Ktrans is wrong by up to 3 %")
    if baseline_frames < 3:
        warnings.append(
            f"only {baseline_frames} frame{'s' if baseline_frames > 1 else ''} before contrast: the noise of the "
            "baseline goes into every concentration"
        )
    return warnings


def _constant_warnings(used: dict[str, Sourced]) -> list[str]:
    return [
        f"{name} = {entry.value:g} is not measured but {entry.source}"
        for name, entry in used.items()
        if entry.source.startswith("assumed") and isinstance(entry.value, float)
    ]


def _gather(
    series: DynamicSeries, voxels: npt.NDArray[np.intp], artery: npt.NDArray[np.bool_], report: Progress
) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """Signal of the chosen voxels (n_voxels, n_frames) and mean signal of the artery, one pass over the frames."""
    count = len(series.frames)
    voxel_signal = np.empty((voxels.size, count), dtype=np.float32)
    artery_signal = np.empty(count)
    artery_voxels = np.flatnonzero(artery)
    for index, frame in enumerate(series.frames):
        if index % 8 == 0:
            _step(report, 0.05 + 0.35 * index / count, "Reading the curves")
        flat = np.ravel(frame)
        voxel_signal[:, index] = flat[voxels]
        artery_signal[index] = flat[artery_voxels].mean(dtype=float)
    return voxel_signal, artery_signal


def _baseline(artery_signal: FloatArray, settings: Settings) -> tuple[int, Sourced]:
    by_user = settings.acquisition.baseline_frames
    if by_user is not None:
        if by_user >= artery_signal.size:
            raise InputError(f"--baseline-frames is {by_user}, but the series has only {artery_signal.size} frames")
        return by_user, Sourced(by_user, "user")
    count = baseline_frame_count(artery_signal)
    if count == 0:
        raise InputError(
            "the arterial segment shows no enhancement, so the frames before contrast cannot be told; check the "
            "segment or give --baseline-frames"
        )
    return count, Sourced(count, "found from the rise of the arterial curve")


def _fit_voxels(
    model: Tofts,
    voxel_signal: npt.NDArray[np.float32],
    to_concentration: Callable[[npt.NDArray[np.floating], str], FloatArray],
    baseline_frames: int,
    report: Progress,
) -> dict[str, npt.NDArray[np.generic]]:
    """Parameters and status of each voxel, converted and fitted chunk by chunk."""
    count, chunk = len(voxel_signal), 8192
    values: dict[str, npt.NDArray[np.generic]] = {q.name: np.full(count, np.nan) for q in PARAMETERS}
    status = np.full(count, FitStatus.NOT_ANALYZED, dtype=np.uint8)
    for start in range(0, count, chunk):
        _step(report, 0.4 + 0.55 * start / count, "Fitting voxels")
        part = slice(start, start + chunk)
        signal = voxel_signal[part]
        fit = model.fit(to_concentration(signal, "t10_tissue_ms"))
        status[part] = np.where(signal[:, :baseline_frames].mean(axis=1) > 0, fit.status, FitStatus.NO_BASELINE)
        for quantity in PARAMETERS:
            values[quantity.name][part] = getattr(fit, quantity.column)
    return {**values, STATUS.name: status}


def _region_row(
    region: Region,
    model: Tofts,
    signal: npt.NDArray[np.float32],
    to_concentration: Callable[[npt.NDArray[np.floating], str], FloatArray],
    baseline_frames: int,
    values: dict[str, npt.NDArray[np.generic]],
    inside: npt.NDArray[np.bool_],
) -> tuple[Curve, dict[str, str | int | float]]:
    """Curve and table row of one region: the fit of its mean signal, and the statistics of its voxels."""
    row: dict[str, str | int | float] = {
        "region": region.name,
        "level": region.level,
        "voxels_drawn": int(np.count_nonzero(region.drawn)),
        "voxels_analyzed": len(signal),
    }
    if len(signal) == 0:
        empty = np.full(model.times_s.size, np.nan)
        row |= dict.fromkeys(_NUMBERS, np.nan) | {"status": FitStatus.NOT_ANALYZED.label}
        return Curve(region.name, empty, empty.copy()), row
    mean_signal = signal.mean(axis=0, dtype=float)
    concentration = to_concentration(mean_signal, "t10_tissue_ms")
    fit = model.fit(concentration)
    status = FitStatus(int(fit.status[0])) if mean_signal[:baseline_frames].mean() > 0 else FitStatus.NO_BASELINE
    row |= {
        "status": status.label,
        "rmse_mM": float(fit.rmse_mM[0]),
        "r_squared": float(fit.r_squared[0]),
    }
    for quantity in PARAMETERS:
        row[quantity.column] = float(getattr(fit, quantity.column)[0])
        voxel_values = np.asarray(values[quantity.name], dtype=float)[inside]
        finite = voxel_values[np.isfinite(voxel_values)]
        quartiles = np.percentile(finite, (25, 50, 75)) if finite.size else np.full(3, np.nan)
        for name, value in zip(("q1", "median", "q3"), quartiles, strict=True):
            row[_statistic(quantity.column, name)] = float(value)
    codes = np.asarray(values[STATUS.name])[inside]
    row["at_bound_share"] = float(np.mean(codes == FitStatus.AT_BOUND))
    row["failed_share"] = float(np.mean((codes != FitStatus.FITTED) & (codes != FitStatus.AT_BOUND)))
    return Curve(region.name, concentration, fit.predict()[0]), row


def _statistic(column: str, name: str) -> str:
    return column.replace("_per_min", f"_{name}_per_min") if column.endswith("_per_min") else f"{column}_{name}"


_NUMBERS = (
    *(q.column for q in PARAMETERS),
    "rmse_mM",
    "r_squared",
    *(_statistic(q.column, name) for q in PARAMETERS for name in ("median", "q1", "q3")),
    "at_bound_share",
    "failed_share",
)


def _vertebrae_table(subject: str, rows: list[dict[str, str | int | float]]) -> Table:
    def column(name: str, title: str, unit: str = "", description: str = "", quantity: str = "") -> Column:
        return Column(name, [row[name] for row in rows], title, unit, description, quantity)  # type: ignore[arg-type]

    columns = [
        column("region", "Region", "", "Name of the segment."),
        Column("subject", [subject] * len(rows), "Subject", "", "Pseudonym of the subject."),
        column("level", "Level", "", "Vertebral level recognized in the name."),
        column("voxels_drawn", "Voxels drawn", "", "Voxels of the segment on the grid of the series."),
        column("voxels_analyzed", "Voxels analyzed", "", "Voxels left after the margin."),
        column("status", "Status", "", "Outcome of the fit of the mean curve."),
    ]
    for q in PARAMETERS:
        columns.append(column(q.column, q.symbol, q.unit, f"{q.description} Fit of the mean curve.", q.name))
    columns += [
        column("rmse_mM", "RMSE", "mmol/L", "Root mean square residual of the fit of the mean curve."),
        column("r_squared", "R2", "", "Share of the variance of the mean curve that the fit explains."),
    ]
    for q in PARAMETERS:
        for name, title in (("median", "median"), ("q1", "first quartile"), ("q3", "third quartile")):
            description = f"{title.capitalize()} of the voxels that have an estimate."
            columns.append(column(_statistic(q.column, name), f"{q.symbol} {title}", q.unit, description, q.name))
    columns += [
        column("at_bound_share", "Share at a bound", "fraction", "Analyzed voxels whose estimate lies on a bound."),
        column("failed_share", "Share failed", "fraction", "Analyzed voxels without an estimate."),
    ]
    return Table("vertebrae", "Perfusion per vertebra", tuple(columns))


def _fit_warnings(rows: list[dict[str, str | int | float]]) -> list[str]:
    warnings = []
    for row in rows:
        if row["voxels_analyzed"] and row["status"] != FitStatus.FITTED.label:
            meaning = next(s.meaning for s in FitStatus if s.label == row["status"])
            warnings.append(f"{row['region']}: the fit of the mean curve is not plain: {meaning}")
        if float(row["failed_share"]) > 0.1:
            warnings.append(f"{row['region']}: {float(row['failed_share']):.0%} of its voxels have no estimate")
    return warnings
