"""One subject: a dynamic series, regions and settings in; maps, per-vertebra values and curves out."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .conversion import Conversion, Tissue, check_maps, constant_warnings, resolve_constants, sources_of
from .densitometry import Assessment, Densitometry, PerfusionGroup, Reference, Subject, assess, perfusion_groups
from .errors import Cancelled, InputError
from .kinetics import (
    MODELS,
    CurveType,
    Finding,
    Fit,
    FitStatus,
    Model,
    TwoCompartmentExchange,
    aif_findings,
    arrival_time_s,
    baseline_frame_count,
    describe_curves,
    first_pass_finding,
    fit_delay,
    pick_arterial_voxels,
    plasma_from_blood,
    population_plasma,
    population_sampling_finding,
    protocol_findings,
    scaled_to_tail,
)
from .memory import Memory, recalled
from .motion import Motion, estimate_motion, simpleitk
from .quantities import DELAY, DESCRIPTIVE, MORE_DESCRIPTIVE, QUALITY, STATUS
from .result import (
    Curve,
    ParameterMap,
    Row,
    StudyResult,
    descriptive_table,
    margins_table,
    model_quantities,
    statistic_column,
    vertebrae_table,
)
from .roi import BY_CURVE, Bolus, Fate, Region, SegmentLabel, VertebralRois, build_rois, find_input
from .series import DynamicSeries, FloatArray, Progress, Sourced, TissueMaps, part_of
from .settings import ModelSettings, Settings, unread_warnings

_CHUNK_VOXELS = 8192
_SLOW_CHUNK_VOXELS = 1024
_MARGINS_MM = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)  # at which the sensitivity is shown
_AFTER_MOTION = (0.8, 1.0)  # of the progress
_RESIDUAL = "residual"
_NO_CURVE = (FitStatus.NO_BASELINE, FitStatus.CONVERSION_INVALID, FitStatus.TOO_FEW_FRAMES)
_MISSING_SHARE = 0.1  # of the frames; a curve that lacks more has no estimate


def analyze(
    series: DynamicSeries,
    masks: Mapping[str, npt.NDArray[np.bool_]],
    settings: Settings | None = None,
    densitometry: Densitometry | None = None,
    subject: str = "",
    progress: Progress | None = None,
    maps: TissueMaps | None = None,
    labels: Mapping[str, SegmentLabel] | None = None,
    references: Sequence[Reference] | None = None,
    cohort: Sequence[PerfusionGroup] = (),
    memory: Memory | None = None,
) -> StudyResult:
    """Kinetic parameters of every region of one study.

    The signal of the artery and of each voxel is converted to concentration, then the model is fitted to the mean
    signal of each region and to every analyzed voxel.

    Parameters
    ----------
    series : the dynamic series.
    masks : segment name to (K, J, I) mask on the grid of the series; one of them is the artery, or the reference
        tissue where the model is the reference region.
    settings : the defaults when None.
    densitometry : measurements of bone, classified in the result.
    subject : pseudonym that names the result.
    progress : called with the fraction done and what is being done; a return of False cancels.
    maps : what was mapped of the tissue before contrast; goes before the numbers in the settings.
    labels : what each segment is; told by the names alone when None.
    references : rows that the reference set of BMD is chosen from; the shipped ones when None.
    cohort : groups for the comparison of perfusion with a cohort.
    memory : a dict that the caller keeps between runs over the same series, masks, labels and maps, and empties when
        one of them changes; what the settings have left as it was is then taken from it.

    Returns
    -------
    Maps, tables, curves and findings, with the constants used and the warnings.

    Raises
    ------
    InputError
        when the study cannot be analyzed; the message says why and what would help.
    Cancelled
        when `progress` asks for it.

    Notes
    -----
    The methods are those of `kinetics`, `roi` and `densitometry`, where their sources are named.
    """
    settings, maps = settings or Settings(), maps or TissueMaps()
    report = progress or (lambda fraction, message: True)
    _step(report, 0.0, "Preparing the regions")
    times_s = _checked_times(series)
    _check_grids(series, masks, maps)
    used = resolve_constants(series, settings, maps)
    bone = _assessed(series, settings, densitometry, references, used)
    groups = perfusion_groups(settings.densitometry.perfusion_comparison, cohort)
    read = _read_curves(series, masks, labels, settings, maps, times_s, report, memory)
    rois, source, motion = read.rois, read.source, read.motion
    report = report if motion is None else part_of(report, *_AFTER_MOTION)
    used["baseline_frames"] = source.baseline
    conversion = Conversion.of(used, settings.conversion, maps, source.baseline_frames)
    kept = _union(rois, lambda region: region.analyzed).ravel()[read.voxels]
    voxels, voxel_signal = read.voxels[kept], read.signal[kept]
    whole = np.asarray(np.isfinite(voxel_signal).all(axis=1))
    lost = _incomplete(rois, voxels, whole, motion is not None)
    tissue = conversion.of_voxels(voxels)
    used |= sources_of(tissue, maps)
    beside = _MeanTissue.of(voxel_signal[whole], tissue[whole]) if whole.any() else None
    model_input = _model_input(times_s, source, conversion, beside, settings)
    model = MODELS[settings.model.model].make(times_s, model_input.input_mM, settings.model)

    delayed = functools.cache(model.with_delay)

    def fitted(within: npt.NDArray[np.bool_]) -> _RegionFit:
        within = within & whole
        return _RegionFit.of(model, delayed, voxel_signal[within], conversion, tissue[within].median(), settings.model)

    inside = [region.analyzed.ravel()[voxels] for region in rois.regions]
    fits = [fitted(within) for within in inside]
    delays = np.full(voxels.size, settings.model.delay_s)
    if settings.model.delay == "region":
        for within, fit in zip(inside, fits, strict=True):
            delays[within] = fit.delay_s
    values = _fit_voxels(
        model,
        delayed,
        voxel_signal,
        delays,
        conversion,
        tissue,
        model_input,
        settings,
        report,
    )
    if (rmse := values.pop(_RESIDUAL, None)) is not None:
        rois, inside, fits = _without_poor_fits(rois, inside, fits, rmse, voxels, fitted, settings)
    if motion is not None:
        _empty(values, ~whole, FitStatus.TOO_FEW_FRAMES)
    _empty(values, ~np.any(inside, axis=0), FitStatus.NOT_ANALYZED)
    rows = [
        _row(
            region,
            fit,
            model,
            conversion,
            model_input,
            {name: of[within] for name, of in values.items()},
            whole[within],
            settings,
        )
        for region, fit, within in zip(rois.regions, fits, inside, strict=True)
    ]
    at_margins = _margin_rows(rois, fits, read.voxels, read.signal, conversion, delayed)
    _step(report, 1.0, "Fitting voxels")
    name = subject or (densitometry.subject if densitometry else "")
    return StudyResult(
        subject=name,
        times_s=times_s,
        input_mM=model_input.input_mM,
        measured_mM=model_input.measured_mM,
        baseline_frames=source.baseline_frames,
        arrival_s=model_input.arrival_s,
        parameters=tuple(quantity.name for quantity in model_quantities(model)),
        maps=_maps(values, voxels, series.shape),
        vertebrae=vertebrae_table(name, rows, model, settings.model.delay != "none"),
        descriptive=descriptive_table(name, rows),
        margins=margins_table(name, at_margins, model),
        curves=tuple(
            Curve(region.name, fit.concentration_mM, fit.fitted_mM)
            for region, fit in zip(rois.regions, fits, strict=True)
        ),
        rois=rois,
        by_reference=settings.model.model == "reference-region",
        densitometry=bone,
        used=used,
        findings=model_input.findings,
        warnings=(
            *series.warnings,
            *(finding.message for finding in model_input.findings if finding.grade != "ok"),
            *unread_warnings(settings),
            *constant_warnings(used, settings, tissue),
            *rois.warnings,
            *(motion.warnings() if motion is not None else ()),
            *lost,
            *_exclusion_warnings(rois, rows),
            *_fit_warnings(rows, times_s.size),
            *(bone.warnings if bone is not None else _unread_of_bone(settings)),
        ),
        motion=motion.table() if motion is not None else None,
        groups=groups,
    )


def arterial_input(
    series: DynamicSeries,
    masks: Mapping[str, npt.NDArray[np.bool_]],
    settings: Settings | None = None,
    labels: Mapping[str, SegmentLabel] | None = None,
    maps: TissueMaps | None = None,
) -> ModelInput:
    """The input of the model, and what is found of protocol and artery, before any region is analyzed.

    It is that of `analyze` where motion is not corrected; the findings are those that need no tissue beside the artery.

    Parameters
    ----------
    series, masks, settings, labels, maps : as for `analyze`; no mask but that of the input is needed.

    Returns
    -------
    The input of the model, its curves in mM, and the findings.

    Raises
    ------
    InputError
        when there is no input; the message says why and what would help.
    """
    settings, maps = settings or Settings(), maps or TissueMaps()
    times_s = _checked_times(series)
    _check_grids(series, masks, maps)
    used = resolve_constants(series, settings, maps)
    name = find_input(masks, settings, labels)
    rois = VertebralRois((), name, masks[name], ())
    nothing = np.empty(0, dtype=np.intp)
    _, signal = _gather(series, nothing, np.flatnonzero(rois.input), lambda fraction, message: True)
    source = _InputSignal.of(times_s, signal, rois, settings, False)
    conversion = Conversion.of(used, settings.conversion, maps, source.baseline_frames)
    return _model_input(times_s, source, conversion, None, settings)


Inputs = tuple[DynamicSeries, Mapping[str, npt.NDArray[np.bool_]], Mapping[str, SegmentLabel]]
"""A series, its masks and their labels."""


def same_inputs(before: Inputs, now: Inputs) -> bool:
    """Whether what `analyze` remembers of some inputs holds for others.

    Parameters
    ----------
    before, now : series, masks and labels each.

    Returns
    -------
    True for the same series (the object), equal masks in the same order, and equal labels.
    """
    masks, others = before[1], now[1]
    return (
        before[0] is now[0]
        and list(masks) == list(others)
        and before[2] == now[2]
        and all(np.array_equal(masks[name], others[name]) for name in masks)
    )


@dataclass(frozen=True)
class _Curves:
    """What was read of the frames.

    Attributes
    ----------
    rois : the regions, without what is not marrow by its curve.
    voxels : (n_voxels,) of all bodies, by their index in the flattened grid.
    signal : (n_voxels, n_frames) of them.
    source : the signal of the input.
    motion : None where it was not corrected.
    """

    rois: VertebralRois
    voxels: npt.NDArray[np.intp]
    signal: npt.NDArray[np.float32]
    source: _InputSignal
    motion: Motion | None


def _read_curves(
    series: DynamicSeries,
    masks: Mapping[str, npt.NDArray[np.bool_]],
    labels: Mapping[str, SegmentLabel] | None,
    settings: Settings,
    maps: TissueMaps,
    times_s: FloatArray,
    report: Progress,
    memory: Memory | None,
) -> _Curves:
    """The regions, and the curves of their voxels and of the input."""
    drawn = _drawn(settings)
    rois = recalled(
        memory,
        "regions",
        drawn,
        lambda: build_rois(masks, series.spacing_mm, settings, labels, series.ijk_to_ras, memory),
    )
    check_maps(maps, np.flatnonzero(_union(rois, lambda region: region.analyzed)))
    voxels = recalled(memory, "voxels", drawn, lambda: np.flatnonzero(_union(rois, lambda region: region.body)))
    motion = None
    if settings.motion.motion != "none":
        motion = _motion(series, rois, settings, part_of(report, 0.0, _AFTER_MOTION[0]))
        report, memory = part_of(report, *_AFTER_MOTION), None
    signal, input_signal = recalled(
        memory, "signal", drawn, lambda: _gather(series, voxels, np.flatnonzero(rois.input), report, motion)
    )
    source = _InputSignal.of(times_s, input_signal, rois, settings, motion is not None)
    bolus = _bolus(times_s, source.signal, source.baseline_frames, settings)
    rois = recalled(
        memory,
        "marrow",
        (drawn, source.baseline_frames, settings.arterial_input.aif_pick),
        functools.partial(_exclude, source.rois, series, voxels, signal, bolus, settings),
    )
    if not _union(rois, lambda region: region.analyzed).any():
        raise InputError(
            "no voxel is left to analyze: " + "; ".join(_fates(region) for region in rois.regions) + "; check the "
            "outlines, or choose --exclude none"
        )
    return _Curves(rois, voxels, signal, source, motion)


def _drawn(settings: Settings) -> tuple[Any, ...]:
    """What the regions and the input depend on among the settings."""
    by_reference = settings.model.model == "reference-region"
    return settings.regions, settings.arterial_input.aif_segment, settings.model.reference_segment, by_reference


def _union(rois: VertebralRois, of: Callable[[Region], npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """Voxels of any region."""
    union = np.zeros(rois.input.shape, dtype=bool)
    for region in rois.regions:
        union |= of(region)
    return union


def _bolus(
    times_s: FloatArray, input_signal: npt.NDArray[np.float32], baseline_frames: int, settings: Settings
) -> Bolus:
    """Time course of the bolus in the input; a reference tissue is no artery."""
    curve = input_signal.mean(axis=0, dtype=float)
    arrival_s = arrival_time_s(times_s, curve - curve[:baseline_frames].mean())
    if not np.isfinite(arrival_s):
        arrival_s = float(times_s[baseline_frames - 1])
    by_reference = settings.model.model == "reference-region"
    return Bolus(times_s, baseline_frames, arrival_s, None if by_reference else curve)


def _exclude(
    rois: VertebralRois,
    series: DynamicSeries,
    voxels: npt.NDArray[np.intp],
    signal: npt.NDArray[np.float32],
    bolus: Bolus,
    settings: Settings,
) -> VertebralRois:
    """The regions without what is not marrow by its curve."""
    regions = [
        region.without_other_tissue(signal[region.body.ravel()[voxels]], series.ijk_to_ras, bolus, settings.regions)
        for region in rois.regions
    ]
    return dataclasses.replace(rois, regions=tuple(regions))


def _margin_rows(
    rois: VertebralRois,
    fits: list[_RegionFit],
    voxels: npt.NDArray[np.intp],
    signal: npt.NDArray[np.float32],
    conversion: Conversion,
    delayed: Callable[[float], Model],
) -> list[Row]:
    """What the model finds in the mean curve of each region at other margins, at the delay of the region.

    The signal is that of the voxels of all bodies.
    """
    rows: list[Row] = []
    whole = np.asarray(np.isfinite(signal).all(axis=1))
    for region, fit in zip(rois.regions, fits, strict=True):
        body = np.flatnonzero(region.body.ravel()[voxels])
        chosen = [body[np.asarray(region.at_margin(margin_mm)) & whole[body]] for margin_mm in _MARGINS_MM]
        curves = [
            _usable(
                conversion.tissue(signal[which].mean(axis=0, dtype=float), conversion.of_voxels(voxels[which]).median())
            )
            if which.size
            else np.full(signal.shape[1], np.nan)
            for which in chosen
        ]
        found = delayed(fit.delay_s).fit(np.array(curves)) if fit.fit is not None else None
        for n, (margin_mm, which) in enumerate(zip(_MARGINS_MM, chosen, strict=True)):
            row: Row = {"region": region.name, "level": region.level, "margin_mm": margin_mm, "voxels": which.size}
            rows.append(row)
            if found is None:
                continue  # without the delay of its mean curve no other is fitted; its cells are empty
            for quantity in model_quantities(found.model):
                row[quantity.column] = float(found.parameters[quantity.column][n])
                row[statistic_column(quantity.column, "se")] = float(found.standard_error(quantity.column)[n])
    return rows


def _fates(region: Region) -> str:
    """How many voxels of a region are left out for which reason, in words."""
    left_out = ", ".join(f"{count} {fate.reason}" for fate, count in region.counts.items() if fate != Fate.ANALYZED)
    return f"{region.name}: {left_out or 'no voxel'}"


def _exclusion_warnings(rois: VertebralRois, rows: list[Row]) -> list[str]:
    """A sentence for each region of which too much is excluded."""
    return [
        f"{region.name} is not evaluable: {row['not_evaluable']} ({_fates(region)})"
        for region, row in zip(rois.regions, rows, strict=True)
        if row["not_evaluable"] and region.body.any()
    ]


def _step(report: Progress, fraction: float, message: str) -> None:
    if not report(fraction, message):
        raise Cancelled


def _assessed(
    series: DynamicSeries,
    settings: Settings,
    densitometry: Densitometry | None,
    references: Sequence[Reference] | None,
    used: dict[str, Sourced],
) -> Assessment | None:
    """The measurements of bone with their categories; enters what was used of the subject into `used`."""
    if densitometry is None:
        return None
    chosen = settings.densitometry
    known = dict(series.patient)
    for name in ("sex", "age_years", "menopause"):
        value = getattr(chosen, name)
        if value is not None:
            known[name] = Sourced(value, "user")
    used |= known
    person = Subject(
        sex=str(known["sex"].value) if "sex" in known else "",
        age_years=float(known["age_years"].value) if "age_years" in known else math.nan,
        menopause=chosen.menopause or "",
        fracture=chosen.fragility_fracture,
    )
    return assess(densitometry, person, chosen, references)


def _unread_of_bone(settings: Settings) -> list[str]:
    """A sentence where settings of densitometry are given, but no measurement is.

    Age, sex and menopausal status have an effect: a cohort of the results takes them from there.
    """
    read = {"perfusion_comparison", "age_years", "sex", "menopause"}
    given = sorted(name.partition(".")[2] for name in settings.given if name.startswith("densitometry."))
    names = [name for name in given if name not in read]
    return [f"{', '.join(names)}: no effect without a DXA table or values"] if names else []


def _checked_times(series: DynamicSeries) -> FloatArray:
    times_s = np.asarray(series.times_s, dtype=float)
    if times_s.size != len(series.frames):
        raise InputError(f"the series has {len(series.frames)} frames but {times_s.size} times")
    if times_s.size < 6:
        raise InputError(f"the series has {times_s.size} frames; a dynamic study needs at least 6")
    endless = np.flatnonzero(~np.isfinite(times_s))
    if endless.size:
        raise InputError(f"frame {endless[0] + 1} has no finite time (times from {series.time_source or 'the caller'})")
    not_after = np.flatnonzero(~(np.diff(times_s) > 0))
    if not_after.size:
        i = int(not_after[0])
        raise InputError(
            f"the frame times do not increase: frame {i + 1} is at {times_s[i]:g} s, frame {i + 2} at "
            f"{times_s[i + 1]:g} s (times from {series.time_source or 'the caller'})"
        )
    return times_s


def _check_grids(series: DynamicSeries, masks: Mapping[str, npt.NDArray[np.bool_]], maps: TissueMaps) -> None:
    """Refuse frames that are no volumes, and masks and maps that are not on their grid."""
    if np.ndim(series.frames[0]) != 3:
        raise InputError(f"the frames of the series {np.shape(series.frames[0])} must have slices, rows and columns")
    for name, mask in masks.items():
        if np.shape(mask) != series.shape:
            raise InputError(f"the mask of {name!r} {np.shape(mask)} is not on the grid of the series {series.shape}")
        if np.asarray(mask).dtype != np.bool_:
            raise InputError(f"the mask of {name!r} holds {np.asarray(mask).dtype} values; it must hold true and false")
    for name in ("t1_ms", "b1", "fat_fraction"):
        grid = getattr(maps, name)
        if grid is not None and np.shape(grid) != series.shape:
            raise InputError(f"the {name} map {np.shape(grid)} is not on the grid of the series {series.shape}")


def _gather(
    series: DynamicSeries,
    voxels: npt.NDArray[np.intp],
    artery: npt.NDArray[np.intp],
    report: Progress,
    motion: Motion | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Signal of the chosen voxels and of the input, (n_voxels, n_frames) both; one pass over the frames.

    With motion it is read where the voxels were in each frame, NaN outside the field of view.
    """
    count = len(series.frames)
    voxel_signal = np.empty((voxels.size, count), dtype=np.float32)
    artery_signal = np.empty((artery.size, count), dtype=np.float32)
    for index, frame in enumerate(series.frames):
        if index % 8 == 0:
            _step(report, 0.05 + 0.35 * index / count, "Reading the curves")
        if np.shape(frame) != series.shape:
            raise InputError(f"frame {index + 1} {np.shape(frame)} is not on the grid of the series {series.shape}")
        if motion is not None:
            voxel_signal[:, index] = motion.signal(frame, index, voxels)
            artery_signal[:, index] = motion.signal(frame, index, artery)
            continue
        flat = np.ravel(frame)
        voxel_signal[:, index] = flat[voxels]
        artery_signal[:, index] = flat[artery]
    return voxel_signal, artery_signal


def _motion(series: DynamicSeries, rois: VertebralRois, settings: Settings, report: Progress) -> Motion:
    """Motion against the frames before contrast, which the artery tells where it lies without correction."""
    simpleitk()  # refuse before the frames are read
    nothing = np.empty(0, dtype=np.intp)
    _, input_signal = _gather(series, nothing, np.flatnonzero(rois.input), part_of(report, 0.0, 0.2))
    source = _InputSignal.of(np.asarray(series.times_s, dtype=float), input_signal, rois, settings, False)
    return estimate_motion(
        series, source.rois, source.baseline_frames, settings.motion.motion, part_of(report, 0.1, 1.0)
    )


def _finite_input(
    rois: VertebralRois, input_signal: npt.NDArray[np.float32], moved: bool
) -> tuple[VertebralRois, npt.NDArray[np.float32]]:
    """The input without the voxels that are not finite in some frame, which a warning counts.

    With motion correction these are the voxels that leave the field of view.
    """
    finite = np.isfinite(input_signal).all(axis=1)
    if finite.all():
        return rois, input_signal
    if not finite.any():
        raise InputError(
            f"every voxel of the segment {rois.input_name!r} leaves the field of view in some frame; choose "
            "--motion none, or draw the segment farther from the border"
            if moved
            else f"every voxel of the segment {rois.input_name!r} is not finite in some frame; check the series"
        )
    kept = rois.input.copy()
    kept[rois.input] = finite
    why = "leave the field of view" if moved else "are not finite in some frame"
    warning = f"{rois.input_name}: {np.count_nonzero(~finite)} of its {finite.size} voxels {why}, left out"
    return dataclasses.replace(rois, input=kept, warnings=(*rois.warnings, warning)), input_signal[finite]


def _incomplete(
    rois: VertebralRois, voxels: npt.NDArray[np.intp], whole: npt.NDArray[np.bool_], moved: bool
) -> list[str]:
    """A warning for each region with voxels that are not finite in some frame."""
    why = (
        "leave the field of view in some frame; they get no estimate and"
        if moved
        else "are not finite in some frame; they"
    )
    warnings = []
    for region in rois.regions:
        inside = whole[region.analyzed.ravel()[voxels]]
        if not inside.all():
            warnings.append(
                f"{region.name}: {np.count_nonzero(~inside)} of its {inside.size} analyzed voxels {why} are left out "
                "of the mean curve"
            )
    return warnings


def _input_voxels(
    times_s: FloatArray, signal: npt.NDArray[np.float32], rois: VertebralRois, settings: Settings
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Which voxels of the input are used, by their index in the flattened grid, and their signal."""
    voxels = np.flatnonzero(rois.input)
    if settings.arterial_input.aif_pick != "best" or settings.model.model == "reference-region":
        return voxels, signal
    by_user = settings.acquisition.baseline_frames
    frames = by_user or max(1, baseline_frame_count(signal.mean(axis=0, dtype=float)))
    picked = pick_arterial_voxels(
        signal,
        times_s,
        min(frames, times_s.size - 1),
        coordinates=np.argwhere(rois.input),
        slab_slices=rois.input.shape[0],
    )
    if not picked.size:
        raise InputError(
            f"no voxel of the arterial segment {rois.input_name!r} looks arterial, with an early, high and steep rise; "
            "check the segment, or choose --aif-pick all"
        )
    return voxels[picked], signal[picked]


def _baseline(input_signal: FloatArray, settings: Settings) -> Sourced:
    by_user = settings.acquisition.baseline_frames
    if by_user is not None:
        if by_user >= input_signal.size:
            raise InputError(f"--baseline-frames is {by_user}, but the series has only {input_signal.size} frames")
        return Sourced(by_user, "user")
    count = baseline_frame_count(input_signal)
    by_reference = settings.model.model == "reference-region"
    if count == 0:
        raise InputError(
            f"the {'reference' if by_reference else 'arterial'} segment shows no enhancement, so the frames before "
            "contrast cannot be told; check the segment or give --baseline-frames"
        )
    return Sourced(count, f"found from the rise of the {'reference' if by_reference else 'arterial'} curve")


@dataclass(frozen=True)
class _InputSignal:
    """The signal of the voxels of the input that are used.

    Attributes
    ----------
    rois : the regions; without the voxels of the input that are not finite.
    voxels : (n_voxels,) by their index in the flattened grid.
    signal : (n_voxels, n_frames).
    baseline : number of frames before contrast.
    """

    rois: VertebralRois
    voxels: npt.NDArray[np.intp]
    signal: npt.NDArray[np.float32]
    baseline: Sourced

    @property
    def baseline_frames(self) -> int:
        return int(self.baseline.value)

    @classmethod
    def of(
        cls,
        times_s: FloatArray,
        signal: npt.NDArray[np.float32],
        rois: VertebralRois,
        settings: Settings,
        moved: bool,
    ) -> _InputSignal:
        """Of the signal of all voxels of the input, (n_voxels, n_frames), in their order."""
        rois, signal = _finite_input(rois, signal, moved)
        voxels, signal = _input_voxels(times_s, signal, rois, settings)
        return cls(rois, voxels, signal, _baseline(signal.mean(axis=0, dtype=float), settings))


@dataclass(frozen=True)
class _MeanTissue:
    """Mean signal and median constants of all analyzed voxels."""

    signal: FloatArray
    constants: Tissue

    @classmethod
    def of(cls, signal: npt.NDArray[np.float32], constants: Tissue) -> _MeanTissue:
        return cls(signal.mean(axis=0, dtype=float), constants.median())


@dataclass(frozen=True)
class ModelInput:
    """The input of the model and what it was made of.

    Attributes
    ----------
    times_s : (n_frames,).
    input_mM : (n_frames,) plasma curve, or the curve of the reference tissue.
    blood_mM : (n_frames,) whole blood that goes with the plasma; None for a reference tissue.
    measured_mM : (n_frames,) as measured in the segment.
    arrival_s : when the bolus reaches the segment.
    findings : what was checked of protocol and arterial input, graded.
    """

    times_s: FloatArray
    input_mM: FloatArray
    blood_mM: FloatArray | None
    measured_mM: FloatArray
    arrival_s: float
    findings: tuple[Finding, ...]


def _model_input(
    times_s: FloatArray,
    source: _InputSignal,
    conversion: Conversion,
    beside: _MeanTissue | None,
    settings: Settings,
) -> ModelInput:
    """Measured in the segment of the input, or a population curve placed at the arrival found there."""
    chosen, by_reference = settings.arterial_input, settings.model.model == "reference-region"
    signal, rois, blood = source.signal, source.rois, conversion.of_voxels(source.voxels)
    name, kind = rois.input_name, "reference" if by_reference else "arterial"
    mean_signal = signal.mean(axis=0, dtype=float)
    if not conversion.baseline(mean_signal) > 0:
        raise InputError(f"the signal of the {kind} segment {name!r} is not positive before contrast")
    constants = blood.median()
    b1 = float(constants.b1)
    measured = conversion.reference(mean_signal, constants) if by_reference else conversion.blood(mean_signal, b1)
    if not np.isfinite(measured).all():
        frames = ", ".join(str(i + 1) for i in np.flatnonzero(~np.isfinite(measured))[:5])
        raise InputError(
            f"the curve of the {kind} segment {name!r} cannot be converted to concentration in frame {frames}: its "
            "signal is brighter than the signal equation allows, or a map has no value there; check flip angle, T1, "
            "B1, baseline frames and the segment"
        )
    if not np.any(measured[1:] > 0):
        raise InputError(f"the {kind} segment {name!r} shows no enhancement; it may be drawn in the wrong place")
    arrival_s = arrival_time_s(times_s, measured)
    if not np.isfinite(arrival_s):
        arrival_s = float(times_s[conversion.baseline_frames - 1])
    protocol = protocol_findings(times_s, conversion.baseline_frames, arrival_s, conversion.flip_angle_deg)
    if by_reference:
        _refuse_late(measured, name)
        return ModelInput(times_s, measured, None, measured, arrival_s, tuple(protocol))
    dose = chosen.dose_mmol_per_kg
    findings = aif_findings(
        times_s,
        measured,
        conversion.baseline_frames,
        arrival_s,
        dose_mmol_per_kg=dose,
        **_beside_artery(times_s, mean_signal, b1, beside, conversion),
    )
    if chosen.aif == "measured" and settings.conversion.conversion == "exact":
        findings.append(conversion.peak_finding(float(measured.max()), b1))
    if chosen.aif == "measured":
        blood_mM = measured
        plasma = plasma_from_blood(blood_mM, conversion.hematocrit)
    elif chosen.aif_scale == "tail":
        try:
            blood_mM = scaled_to_tail(times_s, measured, chosen.aif, arrival_s)[0]
        except ValueError as error:
            raise InputError(
                f"the population curve cannot be scaled to the tail of the measured one: {error}"
            ) from error
        plasma = plasma_from_blood(blood_mM, conversion.hematocrit)
    else:
        plasma = population_plasma(chosen.aif, times_s, arrival_s, conversion.hematocrit, dose)
        blood_mM = plasma * (1.0 - conversion.hematocrit)
    _refuse_late(plasma, name)
    if chosen.aif != "measured":
        findings.append(population_sampling_finding(times_s, chosen.aif, arrival_s))
        findings.append(first_pass_finding(times_s, chosen.aif, arrival_s, conversion.hematocrit))
    return ModelInput(times_s, plasma, blood_mM, measured, arrival_s, (*protocol, *findings))


def _refuse_late(input_mM: FloatArray, name: str) -> None:
    """Refuse an input that begins in the last frame, which no model can be fitted under."""
    if not np.any(input_mM[1:-1] > 0):
        raise InputError(
            f"the series ends as the contrast agent arrives in {name!r}, so no kinetics can be fitted; give all of its "
            "frames, or check the segment"
        )


def _beside_artery(
    times_s: FloatArray,
    blood_signal: FloatArray,
    blood_b1: float,
    tissue: _MeanTissue | None,
    conversion: Conversion,
) -> dict[str, float]:
    """What the tissue tells of the artery: order of arrival, and the signal before contrast as found and predicted."""
    if tissue is None:
        return {}
    told = {
        "tissue_arrival_s": arrival_time_s(times_s, conversion.tissue(tissue.signal, tissue.constants)),
        "baseline_signal_ratio": float(conversion.baseline(blood_signal) / conversion.baseline(tissue.signal)),
        "predicted_signal_ratio": conversion.signal_ratio(blood_b1, tissue.constants),
    }
    return {name: value for name, value in told.items() if np.isfinite(value)}


@dataclass(frozen=True)
class _RegionFit:
    """The mean curve of a region and its fit; None where it has no voxel that is analyzed and finite in every frame.

    Frames without a concentration are left out of the fit as long as they are few; `frames_used` counts the others.
    """

    signal: FloatArray
    concentration_mM: FloatArray
    fitted_mM: FloatArray
    fit: Fit | None
    delay_s: float
    has_baseline: bool
    frames_used: int

    @classmethod
    def of(
        cls,
        model: Model,
        delayed: Callable[[float], Model],
        signal: npt.NDArray[np.float32],
        conversion: Conversion,
        tissue: Tissue,
        chosen: ModelSettings,
    ) -> _RegionFit:
        found = chosen.delay in ("region", "voxel")
        if len(signal) == 0:
            empty = np.full(model.times_s.size, np.nan)
            return cls(empty, empty, empty, None, np.nan if found else chosen.delay_s, False, 0)
        mean_signal = signal.mean(axis=0, dtype=float)
        concentration = conversion.tissue(mean_signal, tissue)
        usable = _usable(concentration)
        if found:
            delays, fit = fit_delay(model, usable, (chosen.delay_min_s, chosen.delay_max_s))
            delay_s = float(delays[0])
        else:
            delay_s = chosen.delay_s
            fit = delayed(delay_s).fit(usable)
        has_baseline = bool(conversion.baseline(mean_signal) > 0)
        frames_used = int(np.count_nonzero(np.isfinite(usable)))
        return cls(mean_signal, concentration, fit.predict()[0], fit, delay_s, has_baseline, frames_used)


def _usable(concentration_mM: FloatArray) -> FloatArray:
    """Concentration, NaN in every frame of a curve that lacks more than `_MISSING_SHARE` of them."""
    missing = np.mean(~np.isfinite(concentration_mM), axis=-1, keepdims=True)
    return np.where(missing > _MISSING_SHARE, np.nan, concentration_mM)


def _fit_voxels(
    model: Model,
    delayed: Callable[[float], Model],
    voxel_signal: npt.NDArray[np.float32],
    delays_s: FloatArray,
    conversion: Conversion,
    tissue: Tissue,
    model_input: ModelInput,
    settings: Settings,
    report: Progress,
) -> dict[str, npt.NDArray[Any]]:
    """Parameters, descriptive values and status of each voxel, converted and fitted chunk by chunk.

    Voxels are fitted at the delays given, or at their own where those are to be found. The residual is among the values
    where poor fits are to be told.
    """
    count, chosen, maps = len(voxel_signal), settings.model, settings.output.maps
    parameters = [*model_quantities(model), *([DELAY] if chosen.delay == "voxel" else [])]
    descriptive, quality = (DESCRIPTIVE, ()) if maps == "standard" else ((*DESCRIPTIVE, *MORE_DESCRIPTIVE), QUALITY)
    shown = (*parameters, *descriptive, *quality)
    values: dict[str, npt.NDArray[Any]] = {q.name: np.full(count, np.nan) for q in shown}
    if "poor-fit" in settings.regions.rules():
        values[_RESIDUAL] = np.full(count, np.nan)
    status = np.full(count, FitStatus.CONVERSION_INVALID, dtype=np.uint8)
    known_s = np.unique(delays_s[np.isfinite(delays_s)])
    slow = chosen.delay == "voxel" or isinstance(model, TwoCompartmentExchange)
    size = _SLOW_CHUNK_VOXELS if slow else _CHUNK_VOXELS
    for start in range(0, count, size):
        _step(report, 0.4 + 0.55 * start / count, "Fitting voxels")
        part = slice(start, start + size)
        signal = voxel_signal[part]
        concentration = conversion.tissue(signal, tissue[part])
        usable = _usable(concentration)
        if chosen.delay == "voxel":
            found_s, fit = fit_delay(model, usable, (chosen.delay_min_s, chosen.delay_max_s))
            _put(values, status, np.arange(start, start + len(signal)), fit)
            values[DELAY.name][part] = np.where(np.isfinite(values[parameters[0].name][part]), found_s, np.nan)
        else:
            for delay_s in known_s:
                which = np.flatnonzero(delays_s[part] == delay_s)
                _put(values, status, start + which, delayed(float(delay_s)).fit(usable[which]))
        status[part] = np.where(conversion.baseline(signal) <= 0, FitStatus.NO_BASELINE, status[part])
        described = describe_curves(
            model.times_s,
            signal,
            conversion.baseline_frames,
            model_input.arrival_s,
            concentration,
            model_input.blood_mM,
        )
        for quantity in descriptive:
            values[quantity.name][part] = getattr(described, quantity.column)
    return {**values, STATUS.name: status}


def _without_poor_fits(
    rois: VertebralRois,
    inside: list[npt.NDArray[np.bool_]],
    fits: list[_RegionFit],
    rmse_mM: FloatArray,
    voxels: npt.NDArray[np.intp],
    fitted: Callable[[npt.NDArray[np.bool_]], _RegionFit],
    settings: Settings,
) -> tuple[VertebralRois, list[npt.NDArray[np.bool_]], list[_RegionFit]]:
    """Regions, which of the voxels are inside each, and fits without the poor fits; a region that lost some is refit.

    The residuals are those of the voxels.
    """
    regions = [
        region.without_poor_fits(rmse_mM[within], settings.regions)
        for region, within in zip(rois.regions, inside, strict=True)
    ]
    kept = [region.analyzed.ravel()[voxels] for region in regions]
    refit = [
        fitted(now) if np.count_nonzero(now) < np.count_nonzero(before) else fit
        for now, before, fit in zip(kept, inside, fits, strict=True)
    ]
    return dataclasses.replace(rois, regions=tuple(regions)), kept, refit


def _empty(values: dict[str, npt.NDArray[Any]], which: npt.NDArray[np.bool_], status: FitStatus) -> None:
    """Take the estimates of some voxels away."""
    for name, per_voxel in values.items():
        per_voxel[which] = status if name == STATUS.name else np.nan


def _maps(
    values: dict[str, npt.NDArray[Any]], voxels: npt.NDArray[np.intp], shape: tuple[int, int, int]
) -> dict[str, ParameterMap]:
    """Values of voxels as maps on the grid, by quantity."""
    maps = {}
    for name, per_voxel in values.items():
        empty = FitStatus.NOT_ANALYZED if name == STATUS.name else np.nan
        grid = np.full(shape, empty, dtype=np.uint8 if name == STATUS.name else np.float32)
        grid.ravel()[voxels] = per_voxel
        maps[name] = ParameterMap(name, grid)
    return maps


def _put(
    values: dict[str, npt.NDArray[Any]], status: npt.NDArray[np.uint8], where: npt.NDArray[np.intp], fit: Fit
) -> None:
    """Write the estimates of a fit to where its voxels belong."""
    status[where] = fit.status
    for quantity in model_quantities(fit.model):
        values[quantity.name][where] = fit.parameters[quantity.column]
    if _RESIDUAL in values:
        values[_RESIDUAL][where] = fit.rmse_mM
    for quantity in QUALITY:
        if quantity.name in values:
            found = np.isfinite(fit.parameters[fit.model.free[0]])
            values[quantity.name][where] = np.where(found, getattr(fit, quantity.column), np.nan)


def _row(
    region: Region,
    mean: _RegionFit,
    model: Model,
    conversion: Conversion,
    model_input: ModelInput,
    voxels: dict[str, npt.NDArray[Any]],
    whole: npt.NDArray[np.bool_],
    settings: Settings,
) -> Row:
    """Table row of one region: the fit of its mean signal, and the statistics of its voxels."""
    no_curve = ~whole | np.isin(voxels[STATUS.name], _NO_CURVE)
    why_not = region.why_not_evaluable(settings.regions, int(np.count_nonzero(no_curve)))
    row: Row = {
        "region": region.name,
        "level": region.level,
        "level_source": region.level_source,
        "voxels_drawn": int(np.count_nonzero(region.drawn)),
        "voxels_analyzed": voxels[STATUS.name].size,
        "excluded_share": region.excluded_share,
        "evaluable": "no" if why_not else "yes",
        "not_evaluable": why_not,
        "excluded": ", ".join(f"{fate.reason} {count}" for fate, count in region.counts.items() if fate in BY_CURVE),
        "status": (FitStatus.CONVERSION_INVALID if voxels[STATUS.name].size else FitStatus.NOT_ANALYZED).label,
        "frames_used": mean.frames_used,
        "curve_type": "",
    }
    if not voxels[STATUS.name].size:
        return row
    if mean.fit is not None:
        row |= _mean_values(mean, mean.fit, model)
    for quantity in model_quantities(model):
        finite = voxels[quantity.name][np.isfinite(voxels[quantity.name])]
        quartiles = np.percentile(finite, (25, 50, 75)) if finite.size else np.full(3, np.nan)
        for name, value in zip(("q1", "median", "q3"), quartiles, strict=True):
            row[statistic_column(quantity.column, name)] = float(value)
        row[statistic_column(quantity.column, "mean")] = float(finite.mean()) if finite.size else math.nan
        row[statistic_column(quantity.column, "sd")] = float(finite.std(ddof=1)) if finite.size > 1 else math.nan
    codes = voxels[STATUS.name]
    row["at_bound_share"] = float(np.mean(codes == FitStatus.AT_BOUND))
    row["failed_share"] = float(np.mean((codes != FitStatus.FITTED) & (codes != FitStatus.AT_BOUND)))
    described = describe_curves(
        model.times_s,
        mean.signal,
        conversion.baseline_frames,
        model_input.arrival_s,
        mean.concentration_mM,
        model_input.blood_mM,
    )
    for item in dataclasses.fields(described):
        row[item.name] = float(getattr(described, item.name)[0])
    kind = CurveType(int(described.curve_type[0]))
    row["curve_type"] = "unclassified" if kind == CurveType.UNCLASSIFIED else kind.name
    return row


def _mean_values(mean: _RegionFit, fit: Fit, model: Model) -> Row:
    """What the fit of the mean curve found."""
    row: Row = {
        "status": (FitStatus(int(fit.status[0])) if mean.has_baseline else FitStatus.NO_BASELINE).label,
        "rmse_mM": float(fit.rmse_mM[0]),
        "r_squared": float(fit.r_squared[0]),
        "aicc": float(fit.aicc[0]),
        "delay_s": mean.delay_s,
    }
    for quantity in model_quantities(model):
        row[quantity.column] = float(fit.parameters[quantity.column][0])
        row[statistic_column(quantity.column, "se")] = float(fit.standard_error(quantity.column)[0])
    return row


def _fit_warnings(rows: list[Row], frames: int) -> list[str]:
    warnings = []
    for row in rows:
        if row["voxels_analyzed"] and row["status"] != FitStatus.FITTED.label:
            meaning = next(s.meaning for s in FitStatus if s.label == row["status"])
            warnings.append(f"{row['region']}: the fit of the mean curve is not plain: {meaning}")
        if 0 < row["frames_used"] < frames:
            warnings.append(
                f"{row['region']}: {frames - row['frames_used']} of the {frames} frames of its mean curve have no "
                "concentration and are left out of the fit"
            )
        if row.get("failed_share", 0.0) > 0.1:
            warnings.append(f"{row['region']}: {row['failed_share']:.0%} of its voxels have no estimate")
    return warnings


class VoxelCurves:
    """Looks up the curve of single voxels of a study, with the constants and the input that its analysis used.

    Parameters
    ----------
    series, result, settings : of the analysis; the defaults when the settings are None.
    maps : as given to `analyze`.

    Raises
    ------
    InputError
        as of `conversion.resolve_constants`.
    """

    def __init__(
        self,
        series: DynamicSeries,
        result: StudyResult,
        settings: Settings | None = None,
        maps: TissueMaps | None = None,
    ) -> None:
        settings, maps = settings or Settings(), maps or TissueMaps()
        constants = resolve_constants(series, settings, maps)
        self._series = series
        self._conversion = Conversion.of(constants, settings.conversion, maps, result.baseline_frames)
        self._model = MODELS[settings.model.model].make(result.times_s, result.input_mM, settings.model)
        self._delay_map = result.maps.get(DELAY.name)
        self._delay_s = settings.model.delay_s
        self._to_ijk = np.linalg.inv(series.ijk_to_ras)

    @property
    def times_s(self) -> FloatArray:
        """Time of each frame, (n_frames,)."""
        return self._model.times_s

    def at(self, ras_mm: Sequence[float]) -> tuple[FloatArray, FloatArray] | None:
        """Concentration of the voxel at a place, measured and fitted.

        Parameters
        ----------
        ras_mm : three coordinates in mm, RAS.

        Returns
        -------
        Measured and fitted concentration in mM, (n_frames,) each; NaN where the signal has no concentration. None
        outside the grid.
        """
        i, j, k = np.rint((self._to_ijk @ [*ras_mm, 1.0])[:3]).astype(int)
        if not all(0 <= n < size for n, size in zip((k, j, i), self._series.shape, strict=True)):
            return None
        signal = np.array([float(frame[k, j, i]) for frame in self._series.frames])
        voxel = int(np.ravel_multi_index((k, j, i), self._series.shape))
        tissue = self._conversion.of_voxels(np.array([voxel]))
        with np.errstate(all="ignore"):
            measured = np.asarray(self._conversion.tissue(signal[np.newaxis], tissue), dtype=float)
        delay_s = self._delay_s
        if self._delay_map is not None and np.isfinite(self._delay_map.values[k, j, i]):
            delay_s = float(self._delay_map.values[k, j, i])
        fit = self._model.with_delay(delay_s).fit(_usable(measured))
        return measured[0], fit.predict()[0]
