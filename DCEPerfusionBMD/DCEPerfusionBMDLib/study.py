"""One subject: a dynamic series, regions and settings in; maps, per-vertebra values and curves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .densitometry import Densitometry
from .errors import Cancelled, InputError
from .kinetics import (
    ArterialPeakErrors,
    CurveType,
    ExtendedTofts,
    Finding,
    Fit,
    FitStatus,
    LinearTofts,
    Model,
    Patlak,
    Tofts,
    TwoCompartmentExchange,
    agent_names,
    aif_findings,
    arrival_time_s,
    arterial_peak_errors,
    arterial_peak_finding,
    baseline_frame_count,
    blood_t1_ms,
    concentration_from_signal,
    concentration_from_signal_with_fat,
    concentration_linear,
    describe_curves,
    fit_delay,
    marrow_t1_ms,
    opposed_phase_warning,
    pick_arterial_voxels,
    plasma_from_blood,
    population_plasma,
    protocol_findings,
    relaxivity_per_s_mM,
    scaled_to_tail,
)
from .quantities import DELAY, DESCRIPTIVE, EMAX, IAUC60, MAX_SLOPE, PARAMETERS, STATUS, TIME_TO_PEAK, Quantity
from .roi import Region, VertebralRois, build_rois
from .settings import ConversionSettings, Settings
from .tables import Column, Table

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[float, str], bool]

_CHUNK_VOXELS = 8192


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
    arrival_s : when the bolus reaches the artery.
    parameters : names of the quantities that the model estimates.
    maps : quantity name to map, on the grid of the series.
    vertebrae : table of the model's parameters, one row per region.
    descriptive : table of what is read off the curves without a model, one row per region.
    curves : one per region.
    rois : the regions that were analyzed.
    densitometry : as given, None when there was none.
    used : every constant of the analysis with its value and source.
    findings : what was checked of protocol and arterial input, graded.
    warnings : sentences for the user.
    """

    subject: str
    times_s: FloatArray
    plasma_concentration_mM: FloatArray
    blood_concentration_mM: FloatArray
    baseline_frames: int
    arrival_s: float
    parameters: tuple[str, ...]
    maps: dict[str, ParameterMap]
    vertebrae: Table
    descriptive: Table
    curves: tuple[Curve, ...]
    rois: VertebralRois
    densitometry: Densitometry | None
    used: dict[str, Sourced]
    findings: tuple[Finding, ...]
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
                "Contrast agent in plasma: the input of the model.",
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
    voxel_signal, artery_signal = _gather(series, voxels, np.flatnonzero(rois.artery), report)

    baseline_frames, used["baseline_frames"] = _baseline(artery_signal.mean(axis=0, dtype=float), settings)
    conversion = _Conversion.of(used, settings, baseline_frames)
    artery = _arterial_input(times_s, artery_signal, conversion, rois, settings)
    model = _model(times_s, artery.plasma_mM, settings)
    values = _fit_voxels(model, voxel_signal, conversion, artery, settings, report)
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
        statistics = {name: per_voxel[inside] for name, per_voxel in values.items()}
        curve, row = _region(region, model, voxel_signal[inside], conversion, artery, settings, statistics)
        curves.append(curve)
        rows.append(row)
    _step(report, 1.0, "Fitting the mean curve of each region")
    name = subject or (densitometry.subject if densitometry else "")
    findings = (
        *protocol_findings(times_s, baseline_frames, artery.arrival_s, conversion.flip_angle_deg),
        *artery.findings,
    )
    return StudyResult(
        subject=name,
        times_s=times_s,
        plasma_concentration_mM=artery.plasma_mM,
        blood_concentration_mM=artery.measured_blood_mM,
        baseline_frames=baseline_frames,
        arrival_s=artery.arrival_s,
        parameters=tuple(quantity.name for quantity in _parameters(model)),
        maps=maps,
        vertebrae=_vertebrae_table(name, rows, model, settings),
        descriptive=_descriptive_table(name, rows),
        curves=tuple(curves),
        rois=rois,
        densitometry=densitometry,
        used=used,
        findings=findings,
        warnings=(
            *series.warnings,
            *(finding.message for finding in findings if finding.grade != "ok"),
            *_constant_warnings(used, settings),
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
    for name in ("repetition_time_ms", "flip_angle_deg", "echo_time_ms", "field_strength_T", "agent"):
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
    needs_echo_time = conversion.r2star_per_s_mM > 0 or conversion.fat_fraction > 0
    if needs_echo_time and "echo_time_ms" not in used:
        raise InputError("the series does not tell its echo time, which r2* and fat need; give --echo-time-ms")
    if conversion.fat_fraction > 0 and field_strength is None:
        raise InputError("the series does not tell its field strength, which fat needs; give --field-strength-T")
    used["hematocrit"] = Sourced(conversion.hematocrit, settings.origin("conversion", "hematocrit"))
    return used


def _constant_warnings(used: dict[str, Sourced], settings: Settings) -> list[str]:
    warnings = [
        f"{name} = {entry.value:g} is not measured but {entry.source}"
        for name, entry in used.items()
        if entry.source.startswith("assumed") and isinstance(entry.value, float)
    ]
    if settings.conversion.conversion == "linear":
        warnings.append(
            "the linear conversion underestimates the arterial peak several times over, so Ktrans and ve are too high; "
            "use it only to compare with results made that way"
        )
    if settings.conversion.fat_fraction > 0 and {"echo_time_ms", "field_strength_T"} <= used.keys():
        echo_time_ms, field_strength_T = (float(used[n].value) for n in ("echo_time_ms", "field_strength_T"))
        opposed = opposed_phase_warning(echo_time_ms, field_strength_T)
        warnings += [opposed] if opposed else []
    return warnings


def _gather(
    series: DynamicSeries, voxels: npt.NDArray[np.intp], artery: npt.NDArray[np.intp], report: Progress
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Signal of the chosen voxels and of the artery, (n_voxels, n_frames) both; one pass over the frames."""
    count = len(series.frames)
    voxel_signal = np.empty((voxels.size, count), dtype=np.float32)
    artery_signal = np.empty((artery.size, count), dtype=np.float32)
    for index, frame in enumerate(series.frames):
        if index % 8 == 0:
            _step(report, 0.05 + 0.35 * index / count, "Reading the curves")
        flat = np.ravel(frame)
        voxel_signal[:, index] = flat[voxels]
        artery_signal[:, index] = flat[artery]
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


@dataclass(frozen=True)
class _Conversion:
    """From signal to concentration, with the constants of this study."""

    baseline_frames: int
    t10_tissue_ms: float
    t10_blood_ms: float
    relaxivity_per_s_mM: float
    repetition_time_ms: float
    flip_angle_deg: float
    echo_time_ms: float
    field_strength_T: float
    hematocrit: float
    settings: ConversionSettings

    @classmethod
    def of(cls, used: dict[str, Sourced], settings: Settings, baseline_frames: int) -> _Conversion:
        names = [item.name for item in dataclasses.fields(cls)[1:-1]]
        known = {name: float(used[name].value) if name in used else 0.0 for name in names}
        return cls(baseline_frames, **known, settings=settings.conversion)

    def blood(self, signal: npt.NDArray[np.floating]) -> FloatArray:
        """Concentration in whole blood, mM."""
        return self._plain(signal, self.t10_blood_ms)

    def tissue(self, signal: npt.NDArray[np.floating]) -> FloatArray:
        """Concentration in tissue, mM; with a fat fraction, that of the water times the share of water."""
        fat_fraction = self.settings.fat_fraction
        if fat_fraction == 0.0:
            return self._plain(signal, self.t10_tissue_ms)
        in_water = concentration_from_signal_with_fat(
            signal,
            self.baseline(signal),
            fat_fraction,
            self.t10_tissue_ms,
            self.settings.t1_fat_ms,
            self.relaxivity_per_s_mM,
            self.repetition_time_ms,
            self.flip_angle_deg,
            self.echo_time_ms,
            self.field_strength_T,
            self.settings.b1,
        )
        return (1.0 - fat_fraction) * in_water

    def peak_errors(self, peak_blood_mM: float) -> ArterialPeakErrors:
        """How far the arterial peak can be off; see `arterial_peak_errors`."""
        return arterial_peak_errors(
            peak_blood_mM,
            self.t10_blood_ms,
            self.relaxivity_per_s_mM,
            self.repetition_time_ms,
            self.flip_angle_deg,
            self.echo_time_ms,
        )

    def baseline(self, signal: npt.NDArray[np.floating]) -> FloatArray:
        """Mean signal before contrast."""
        return np.asarray(signal[..., : self.baseline_frames].mean(axis=-1, dtype=float))

    def _plain(self, signal: npt.NDArray[np.floating], t10_ms: float) -> FloatArray:
        if self.settings.conversion == "linear":
            return concentration_linear(signal, self.baseline(signal), t10_ms, self.relaxivity_per_s_mM)
        return concentration_from_signal(
            signal,
            self.baseline(signal),
            t10_ms,
            self.relaxivity_per_s_mM,
            self.repetition_time_ms,
            self.flip_angle_deg,
            b1=self.settings.b1,
            r2star_per_s_mM=self.settings.r2star_per_s_mM,
            echo_time_ms=self.echo_time_ms,
        )


@dataclass(frozen=True)
class _ArterialInput:
    """The arterial input of the model and what was measured in the artery."""

    plasma_mM: FloatArray
    blood_mM: FloatArray
    measured_blood_mM: FloatArray
    arrival_s: float
    findings: tuple[Finding, ...]


def _arterial_input(
    times_s: FloatArray,
    signal: npt.NDArray[np.float32],
    conversion: _Conversion,
    rois: VertebralRois,
    settings: Settings,
) -> _ArterialInput:
    """Measured in the arterial segment, or a population curve placed at the arrival found there."""
    chosen = settings.arterial_input
    if chosen.aif_pick == "best":
        voxels = np.argwhere(rois.artery)
        picked = pick_arterial_voxels(
            signal, times_s, conversion.baseline_frames, coordinates=voxels, slab_slices=rois.artery.shape[0]
        )
        signal = signal[picked]
    mean_signal = signal.mean(axis=0, dtype=float)
    name = rois.artery_name
    if not conversion.baseline(mean_signal) > 0:
        raise InputError(f"the signal of the arterial segment {name!r} is not positive before contrast")
    measured = conversion.blood(mean_signal)
    if not np.isfinite(measured).all():
        frames = ", ".join(str(i + 1) for i in np.flatnonzero(~np.isfinite(measured))[:5])
        raise InputError(
            f"the arterial curve of {name!r} cannot be converted to concentration in frame {frames}: its signal is "
            "brighter than the signal equation allows; check flip angle, T1 of blood, baseline frames and the arterial "
            "segment"
        )
    if not np.any(measured[1:] > 0):
        raise InputError(f"the arterial segment {name!r} shows no enhancement; it may not be the artery")
    arrival_s = arrival_time_s(times_s, measured)
    if not np.isfinite(arrival_s):
        arrival_s = float(times_s[conversion.baseline_frames - 1])
    dose = chosen.dose_mmol_per_kg
    findings = aif_findings(times_s, measured, conversion.baseline_frames, arrival_s, dose_mmol_per_kg=dose)
    if chosen.aif == "measured" and settings.conversion.conversion == "exact":
        findings.append(arterial_peak_finding(conversion.peak_errors(float(measured.max()))))
    if chosen.aif == "measured":
        blood = measured
        plasma = plasma_from_blood(blood, conversion.hematocrit)
    elif chosen.aif_scale == "tail":
        try:
            blood = scaled_to_tail(times_s, measured, chosen.aif, arrival_s)[0]
        except ValueError as error:
            raise InputError(
                f"the population curve cannot be scaled to the tail of the measured one: {error}"
            ) from error
        plasma = plasma_from_blood(blood, conversion.hematocrit)
    else:
        plasma = population_plasma(chosen.aif, times_s, arrival_s, conversion.hematocrit, dose)
        blood = plasma * (1.0 - conversion.hematocrit)
    return _ArterialInput(plasma, blood, measured, arrival_s, tuple(findings))


def _model(times_s: FloatArray, plasma_mM: FloatArray, settings: Settings) -> Model:
    box = settings.model
    ktrans, ve, vp = (
        (box.ktrans_min_per_min, box.ktrans_max_per_min),
        (box.ve_min, box.ve_max),
        (0.0, box.vp_max),
    )
    if box.model == "tofts":
        return Tofts(times_s, plasma_mM, ktrans, ve)
    if box.model == "extended-tofts":
        return ExtendedTofts(times_s, plasma_mM, ktrans, ve, vp)
    if box.model == "patlak":
        return Patlak(times_s, plasma_mM, ktrans, vp)
    if box.model == "exchange":
        return TwoCompartmentExchange(times_s, plasma_mM)
    return LinearTofts(times_s, plasma_mM)


def _parameters(model: Model) -> list[Quantity]:
    """The quantities that a model estimates, in their usual order."""
    return [quantity for quantity in PARAMETERS if quantity.column in (*model.free, *model.derived)]


def _fit(model: Model, concentration_mM: FloatArray, settings: Settings, per_voxel: bool) -> tuple[Fit, FloatArray]:
    """The fit, and the delay of each curve in s (0 when none is fitted)."""
    wanted = "voxel" if per_voxel else "region"
    if settings.model.delay == wanted or (settings.model.delay == "voxel" and not per_voxel):
        delay_s, fit = fit_delay(model, concentration_mM, (settings.model.delay_min_s, settings.model.delay_max_s))
        return fit, delay_s
    fit = model.fit(concentration_mM)
    return fit, np.zeros(len(fit))


def _fit_voxels(
    model: Model,
    voxel_signal: npt.NDArray[np.float32],
    conversion: _Conversion,
    artery: _ArterialInput,
    settings: Settings,
    report: Progress,
) -> dict[str, npt.NDArray[Any]]:
    """Parameters, descriptive values and status of each voxel, converted and fitted chunk by chunk."""
    count = len(voxel_signal)
    parameters = [*_parameters(model), *([DELAY] if settings.model.delay == "voxel" else [])]
    values: dict[str, npt.NDArray[Any]] = {q.name: np.full(count, np.nan) for q in (*parameters, *DESCRIPTIVE)}
    status = np.full(count, FitStatus.NOT_ANALYZED, dtype=np.uint8)
    for start in range(0, count, _CHUNK_VOXELS):
        _step(report, 0.4 + 0.55 * start / count, "Fitting voxels")
        part = slice(start, start + _CHUNK_VOXELS)
        signal = voxel_signal[part]
        concentration = conversion.tissue(signal)
        fit, delay_s = _fit(model, concentration, settings, per_voxel=True)
        converted = np.isfinite(concentration).all(axis=1)
        codes = np.where(converted, fit.status, FitStatus.CONVERSION_INVALID)
        status[part] = np.where(conversion.baseline(signal) > 0, codes, FitStatus.NO_BASELINE)
        for quantity in parameters:
            found = delay_s if quantity is DELAY else fit.parameters[quantity.column]
            values[quantity.name][part] = np.where(
                converted & np.isfinite(fit.parameters[model.free[0]]), found, np.nan
            )
        described = describe_curves(
            model.times_s, signal, conversion.baseline_frames, artery.arrival_s, concentration, artery.blood_mM
        )
        for quantity in DESCRIPTIVE:
            values[quantity.name][part] = getattr(described, quantity.column)
    return {**values, STATUS.name: status}


Row = dict[str, Any]


def _region(
    region: Region,
    model: Model,
    signal: npt.NDArray[np.float32],
    conversion: _Conversion,
    artery: _ArterialInput,
    settings: Settings,
    voxels: dict[str, npt.NDArray[Any]],
) -> tuple[Curve, Row]:
    """Curve and table row of one region: the fit of its mean signal, and the statistics of its voxels."""
    row: Row = {
        "region": region.name,
        "level": region.level,
        "voxels_drawn": int(np.count_nonzero(region.drawn)),
        "voxels_analyzed": len(signal),
        "status": FitStatus.NOT_ANALYZED.label,
        "curve_type": "",
    }
    if len(signal) == 0:
        empty = np.full(model.times_s.size, np.nan)
        return Curve(region.name, empty, empty.copy()), row
    mean_signal = signal.mean(axis=0, dtype=float)
    concentration = conversion.tissue(mean_signal)
    fit, delay_s = _fit(model, concentration, settings, per_voxel=False)
    status = FitStatus(int(fit.status[0])) if conversion.baseline(mean_signal) > 0 else FitStatus.NO_BASELINE
    row |= {
        "status": status.label,
        "rmse_mM": float(fit.rmse_mM[0]),
        "r_squared": float(fit.r_squared[0]),
        "aicc": float(fit.aicc[0]),
        "delay_s": float(delay_s[0]),
    }
    for quantity in _parameters(model):
        row[quantity.column] = float(fit.parameters[quantity.column][0])
        row[_statistic(quantity.column, "se")] = float(fit.standard_error(quantity.column)[0])
        finite = voxels[quantity.name][np.isfinite(voxels[quantity.name])]
        quartiles = np.percentile(finite, (25, 50, 75)) if finite.size else np.full(3, np.nan)
        for name, value in zip(("q1", "median", "q3"), quartiles, strict=True):
            row[_statistic(quantity.column, name)] = float(value)
    codes = voxels[STATUS.name]
    row["at_bound_share"] = float(np.mean(codes == FitStatus.AT_BOUND))
    row["failed_share"] = float(np.mean((codes != FitStatus.FITTED) & (codes != FitStatus.AT_BOUND)))
    described = describe_curves(
        model.times_s, mean_signal, conversion.baseline_frames, artery.arrival_s, concentration, artery.blood_mM
    )
    for item in dataclasses.fields(described):
        row[item.name] = float(getattr(described, item.name)[0])
    row["curve_type"] = CurveType(int(described.curve_type[0])).name
    return Curve(region.name, concentration, fit.predict()[0]), row


def _statistic(column: str, name: str) -> str:
    return column.replace("_per_min", f"_{name}_per_min") if column.endswith("_per_min") else f"{column}_{name}"


def _column(
    rows: list[Row], name: str, title: str, unit: str = "", description: str = "", quantity: str = ""
) -> Column:
    return Column(name, [row.get(name, np.nan) for row in rows], title, unit, description, quantity)


def _leading_columns(subject: str, rows: list[Row]) -> list[Column]:
    return [
        _column(rows, "region", "Region", "", "Name of the segment."),
        Column("subject", [subject] * len(rows), "Subject", "", "Pseudonym of the subject."),
        _column(rows, "level", "Level", "", "Vertebral level recognized in the name."),
    ]


def _vertebrae_table(subject: str, rows: list[Row], model: Model, settings: Settings) -> Table:
    columns = _leading_columns(subject, rows)
    columns += [
        _column(rows, "voxels_drawn", "Voxels drawn", "", "Voxels of the segment on the grid of the series."),
        _column(rows, "voxels_analyzed", "Voxels analyzed", "", "Voxels left after the margin."),
        _column(rows, "status", "Status", "", "Outcome of the fit of the mean curve."),
    ]
    parameters = _parameters(model)
    for q in parameters:
        columns.append(_column(rows, q.column, q.symbol, q.unit, f"{q.description} Fit of the mean curve.", q.name))
        error = f"Standard error of {q.symbol} of the mean curve; none on a bound."
        columns.append(_column(rows, _statistic(q.column, "se"), f"{q.symbol} standard error", q.unit, error))
    if settings.model.delay != "none":
        columns.append(_column(rows, "delay_s", DELAY.symbol, DELAY.unit, DELAY.description, DELAY.name))
    columns += [
        _column(rows, "rmse_mM", "RMSE", "mmol/L", "Root mean square residual of the fit of the mean curve."),
        _column(rows, "r_squared", "R2", "", "Share of the variance of the mean curve that the fit explains."),
        _column(
            rows, "aicc", "AICc", "", "Akaike's criterion, corrected; compares models on one curve, less is better."
        ),
    ]
    for q in parameters:
        for name, title in (("median", "median"), ("q1", "first quartile"), ("q3", "third quartile")):
            description = f"{title.capitalize()} of the voxels that have an estimate."
            columns.append(
                _column(rows, _statistic(q.column, name), f"{q.symbol} {title}", q.unit, description, q.name)
            )
    columns += [
        _column(
            rows, "at_bound_share", "Share at a bound", "fraction", "Analyzed voxels whose estimate is on a bound."
        ),
        _column(rows, "failed_share", "Share failed", "fraction", "Analyzed voxels without an estimate."),
    ]
    return Table("vertebrae", "Perfusion per vertebra", tuple(columns))


_DESCRIPTIVE_COLUMNS = (
    ("emax_percent", "Emax", "%", EMAX.description, EMAX.name),
    ("eslope_percent_per_s", "Eslope", "%/s", "Mean slope of the rise from 10 % to 90 % of the maximum.", ""),
    ("max_slope_percent_per_s", "Maximum slope", "%/s", MAX_SLOPE.description, MAX_SLOPE.name),
    ("time_to_peak_s", "Time to peak", "s", TIME_TO_PEAK.description, TIME_TO_PEAK.name),
    ("wash_in_slope_percent_per_s", "Wash-in slope", "%/s", "Emax over the time to peak.", ""),
    ("wash_out_slope_percent_per_s", "Wash-out slope", "%/s", "Slope from the maximum to the last frame.", ""),
    ("iauc60_mM_s", "IAUC60", "mmol/L s", IAUC60.description, IAUC60.name),
    ("iauc90_mM_s", "IAUC90", "mmol/L s", "Area under the concentration in the first 90 s after arrival.", ""),
    ("iauc180_mM_s", "IAUC180", "mmol/L s", "Area under the concentration in the first 180 s after arrival.", ""),
    ("iaugc60", "IAUGC60", "", "IAUC60 over that of the arterial blood.", ""),
    ("ser", "SER", "", "Enhancement 60 s after arrival over that of the last frame.", ""),
)


def _descriptive_table(subject: str, rows: list[Row]) -> Table:
    columns = _leading_columns(subject, rows)
    columns += [_column(rows, *description) for description in _DESCRIPTIVE_COLUMNS]
    columns.append(
        _column(rows, "curve_type", "Curve type", "", "A flat, B slow rise, C plateau, D wash-out, E second rise.")
    )
    return Table("descriptive", "Enhancement per vertebra", tuple(columns))


def _fit_warnings(rows: list[Row]) -> list[str]:
    warnings = []
    for row in rows:
        if row["voxels_analyzed"] and row["status"] != FitStatus.FITTED.label:
            meaning = next(s.meaning for s in FitStatus if s.label == row["status"])
            warnings.append(f"{row['region']}: the fit of the mean curve is not plain: {meaning}")
        if row.get("failed_share", 0.0) > 0.1:
            warnings.append(f"{row['region']}: {row['failed_share']:.0%} of its voxels have no estimate")
    return warnings
