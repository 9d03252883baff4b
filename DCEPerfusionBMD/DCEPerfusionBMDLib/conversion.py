"""From signal to concentration with the constants of one study, each with its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .kinetics import (
    POPULATION_INPUTS,
    Finding,
    agent_names,
    arterial_peak_errors,
    arterial_peak_finding,
    blood_t1_ms,
    concentration_from_signal,
    concentration_from_signal_with_fat,
    concentration_linear,
    marrow_t1_ms,
    muscle_t1_ms,
    opposed_phase_warning,
    relaxivity_per_s_mM,
    spgr_signal,
    t1_from_flip_angles,
    water_fat_signal,
)
from .series import DynamicSeries, FlipAngleSeries, FloatArray, Sourced, TissueMaps, on_grid_of
from .settings import ConversionSettings, Settings

_SHORTEST_TISSUE_T1_MS = 50.0
_MARROW_PROTONS = 0.63  # that are seen, per those of blood; assumed, trabeculae hold none


def resolve_constants(series: DynamicSeries, settings: Settings, maps: TissueMaps) -> dict[str, Sourced]:
    """Every constant of the analysis: the user's, else the data's, else the literature's, each with its source.

    Parameters
    ----------
    series : `acquisition` is read.
    settings : `acquisition`, `conversion`, `arterial_input` and `model` are read.
    maps : what is mapped is not needed as a constant.

    Returns
    -------
    Name, which ends in the unit, to value and source; the acquisition values that are known, and the constants that the
    analysis uses.

    Raises
    ------
    InputError
        when one that is needed is not known, or the settings do not go with a fat fraction.
    """
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
    by_reference = settings.model.model == "reference-region"
    with_fat = conversion.fat_fraction > 0 or maps.fat_fraction is not None
    _check_fat(conversion, maps, with_fat)
    needed: dict[str, Callable[[float], tuple[float, str] | None]] = {}
    if maps.t1_ms is None:
        needed["t10_tissue_ms"] = marrow_t1_ms
    if not by_reference:
        needed["t10_blood_ms"] = blood_t1_ms
    elif maps.t1_ms is None:
        needed["t10_reference_ms"] = muscle_t1_ms
    for name, look_up in needed.items():
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
    needs_echo_time = conversion.r2star_per_s_mM > 0 or with_fat
    if needs_echo_time and "echo_time_ms" not in used:
        raise InputError("the series does not tell its echo time, which r2* and fat need; give --echo-time-ms")
    if with_fat and field_strength is None:
        raise InputError("the series does not tell its field strength, which fat needs; give --field-strength-T")
    exact = conversion.conversion == "exact"
    for name, enters in (
        ("b1", exact and maps.b1 is None),
        ("r2star_per_s_mM", exact and conversion.r2star_per_s_mM > 0),
        ("fat_fraction", with_fat and maps.fat_fraction is None),
        ("t1_fat_ms", with_fat),
    ):
        if enters:
            used[name] = Sourced(getattr(conversion, name), settings.origin("conversion", name))
    chosen = settings.arterial_input
    if not by_reference and chosen.aif != "measured":
        used["aif"] = Sourced(chosen.aif, POPULATION_INPUTS[chosen.aif].citation)
        if chosen.aif_scale == "dose":
            used["dose_mmol_per_kg"] = Sourced(
                chosen.dose_mmol_per_kg, settings.origin("arterial_input", "dose_mmol_per_kg")
            )
    if not by_reference:
        used["hematocrit"] = Sourced(conversion.hematocrit, settings.origin("conversion", "hematocrit"))
    return used


def _check_fat(conversion: ConversionSettings, maps: TissueMaps, with_fat: bool) -> None:
    """Refuse what does not go with a fat fraction."""
    for refused, why in (
        (
            conversion.conversion == "linear",
            "the linear conversion cannot allow for fat; choose --conversion exact, or leave the fat fraction out",
        ),
        (
            conversion.t10_tissue_ms is None and maps.t1_ms is None,
            "with a fat fraction the T1 of the marrow's water is needed, which that of whole marrow is not; give "
            "--t10-tissue-ms of the water (about 900 ms) or a T1 map of it",
        ),
    ):
        if with_fat and refused:
            raise InputError(why)


def check_maps(maps: TissueMaps, voxels: npt.NDArray[np.intp]) -> None:
    """Refuse maps without a value in any of the analyzed voxels, and T1 in s.

    Parameters
    ----------
    maps : on the grid of the series.
    voxels : (n,) those that are analyzed, by their index in the flattened grid.

    Raises
    ------
    InputError
        when a map has no value in any of them, or the median of T1 is below 50 ms.
    """
    for title, grid, unit in (
        ("T1", maps.t1_ms, "it must be in ms"),
        ("B1", maps.b1, "it must be the actual over the nominal flip angle, about 1, no percentage"),
        ("fat fraction", maps.fat_fraction, "it must be a share of 0 to 1, no percentage"),
    ):
        if grid is not None and not np.isfinite(grid.ravel()[voxels]).any():
            raise InputError(f"the {title} map has no value in any region; {unit}, and reach the regions")
    if maps.t1_ms is not None and (median := _median(maps.t1_ms.ravel()[voxels])) < _SHORTEST_TISSUE_T1_MS:
        raise InputError(
            f"the median of the T1 map in the regions is {median:.3g} ms, shorter than any tissue's; is the map in s?"
        )


OF_A_MAP = "median of the analyzed voxels"
"""How the source of a value ends that stands for a map."""


def sources_of(tissue: Tissue, maps: TissueMaps) -> dict[str, Sourced]:
    """What the maps gave for the analyzed voxels, beside the constants of `resolve_constants`.

    Parameters
    ----------
    tissue : of these voxels, as `Conversion.of_voxels` gives it.
    maps : where it is from.

    Returns
    -------
    Name to the median, to four digits, and the source; of what is mapped only.
    """
    angles = "/".join(f"{angle:g}" for angle in maps.flip_angles_deg)
    of_angles = f" from flip angles {angles} degrees" if angles else ""
    return {
        name: Sourced(float(f"{_median(values):.4g}"), f"{title} map{of_angles if title == 'T1' else ''}, {OF_A_MAP}")
        for name, title, grid, values in (
            ("t10_tissue_ms", "T1", maps.t1_ms, tissue.t10_ms),
            ("b1", "B1", maps.b1, tissue.b1),
            ("fat_fraction", "fat fraction", maps.fat_fraction, tissue.fat_fraction),
        )
        if grid is not None and isinstance(values, np.ndarray)
    }


def constant_warnings(used: dict[str, Sourced], settings: Settings, tissue: Tissue) -> list[str]:
    """What a reader should know of the constants.

    Parameters
    ----------
    used : as `resolve_constants` gives them.
    settings : `conversion` is read.
    tissue : of the analyzed voxels.

    Returns
    -------
    Sentences for the user.
    """
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
    if np.any(np.nan_to_num(tissue.fat_fraction)) and {"echo_time_ms", "field_strength_T"} <= used.keys():
        echo_time_ms, field_strength_T = (float(used[n].value) for n in ("echo_time_ms", "field_strength_T"))
        opposed = opposed_phase_warning(echo_time_ms, field_strength_T)
        warnings += [opposed] if opposed else []
    for title, values in (("T1", tissue.t10_ms), ("B1", tissue.b1), ("fat fraction", tissue.fat_fraction)):
        if isinstance(values, np.ndarray) and (share := np.mean(~np.isfinite(values))) > 0:
            warnings.append(f"the {title} map has no value in {share:.1%} of the analyzed voxels; they get no estimate")
    return warnings


@dataclass(frozen=True)
class Tissue:
    """T1, B1 and fat fraction of tissue; each a number, or (n_curves,).

    Attributes
    ----------
    t10_ms : T1 before contrast in ms, that of the water where there is a fat fraction; NaN where not known.
    b1 : actual over nominal flip angle.
    fat_fraction : share of the protons, 0 to 1.
    """

    t10_ms: FloatArray | float
    b1: FloatArray | float
    fat_fraction: FloatArray | float

    def __getitem__(self, which: slice | npt.NDArray[np.bool_]) -> Tissue:
        """Of some of the curves."""
        return Tissue(*(v[which] if isinstance(v, np.ndarray) else v for v in self._values()))

    def median(self) -> Tissue:
        """Of the mean curve of a region."""
        return Tissue(*(_median(v) if isinstance(v, np.ndarray) else v for v in self._values()))

    def _values(self) -> tuple[FloatArray | float, ...]:
        return self.t10_ms, self.b1, self.fat_fraction


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


@dataclass(frozen=True)
class Conversion:
    """From signal to concentration, with the constants of this study; those that are not known are NaN.

    Attributes
    ----------
    baseline_frames : frames before contrast.
    t10_tissue_ms, t10_blood_ms, t10_reference_ms : T1 before contrast of marrow, arterial blood and reference tissue,
        in ms.
    relaxivity_per_s_mM : r1 in 1/s/mM.
    repetition_time_ms, flip_angle_deg, echo_time_ms, field_strength_T : of the sequence.
    hematocrit : as a share.
    settings : how the signal is converted, and what stands in for maps.
    maps : on the grid of the series.
    """

    baseline_frames: int
    t10_tissue_ms: float
    t10_blood_ms: float
    t10_reference_ms: float
    relaxivity_per_s_mM: float
    repetition_time_ms: float
    flip_angle_deg: float
    echo_time_ms: float
    field_strength_T: float
    hematocrit: float
    settings: ConversionSettings
    maps: TissueMaps

    @classmethod
    def of(
        cls, used: dict[str, Sourced], settings: ConversionSettings, maps: TissueMaps, baseline_frames: int
    ) -> Conversion:
        """The conversion with the constants of `resolve_constants`, NaN for those that are not known.

        Parameters
        ----------
        used : as `resolve_constants` gives them.
        settings, maps, baseline_frames : as in the attributes.

        Returns
        -------
        The conversion.
        """
        names = [item.name for item in dataclasses.fields(cls)[1:-2]]
        known = {name: float(used[name].value) if name in used else np.nan for name in names}
        return cls(baseline_frames, **known, settings=settings, maps=maps)

    def of_voxels(self, voxels: npt.NDArray[np.intp]) -> Tissue:
        """T1, B1 and fat fraction of voxels: from the maps, else the constants; NaN where not known.

        Parameters
        ----------
        voxels : (n,) index in the flattened grid.

        Returns
        -------
        Arrays (n,) where there is a map, else numbers.
        """
        t1, b1, fat = (
            fallback if grid is None else np.asarray(grid, dtype=float).ravel()[voxels]
            for grid, fallback in (
                (self.maps.t1_ms, self.t10_tissue_ms),
                (self.maps.b1, self.settings.b1),
                (self.maps.fat_fraction, self.settings.fat_fraction),
            )
        )
        return Tissue(t1, b1, fat)

    def blood(self, signal: npt.NDArray[np.floating], b1: float) -> FloatArray:
        """Concentration in whole blood.

        Parameters
        ----------
        signal : (..., n_frames), any unit; the first `baseline_frames` are before contrast.
        b1 : actual over nominal flip angle.

        Returns
        -------
        (..., n_frames) in mM; NaN where the signal has no concentration.
        """
        return self._plain(signal, self.t10_blood_ms, b1)

    def reference(self, signal: npt.NDArray[np.floating], tissue: Tissue) -> FloatArray:
        """Concentration in the reference tissue.

        Parameters
        ----------
        signal : (..., n_frames), any unit; the first `baseline_frames` are before contrast.
        tissue : its B1, and its T1 where that is mapped.

        Returns
        -------
        (..., n_frames) in mM; NaN where the signal has no concentration.
        """
        return self._plain(signal, self.t10_reference_ms if self.maps.t1_ms is None else tissue.t10_ms, tissue.b1)

    def tissue(self, signal: npt.NDArray[np.floating], tissue: Tissue) -> FloatArray:
        """Concentration in tissue; with a fat fraction, that of the water times the share of water.

        Parameters
        ----------
        signal : (..., n_frames), any unit; the first `baseline_frames` are before contrast.
        tissue : of the curves.

        Returns
        -------
        (..., n_frames) in mM; NaN where the signal has no concentration.
        """
        if not np.any(tissue.fat_fraction):
            return self._plain(signal, tissue.t10_ms, tissue.b1)
        r2star = self.settings.r2star_per_s_mM
        in_water = concentration_from_signal_with_fat(
            signal,
            self.baseline(signal),
            tissue.fat_fraction,
            tissue.t10_ms,
            self.settings.t1_fat_ms,
            self.relaxivity_per_s_mM,
            self.repetition_time_ms,
            self.flip_angle_deg,
            self.echo_time_ms,
            self.field_strength_T,
            tissue.b1,
            **({"r2star_per_s_mM": r2star} if r2star > 0 else {}),
        )
        return (1.0 - np.asarray(tissue.fat_fraction)[..., np.newaxis]) * in_water

    def peak_finding(self, peak_blood_mM: float, b1: float) -> Finding:
        """How far the arterial peak can be off; see `arterial_peak_finding`.

        Parameters
        ----------
        peak_blood_mM : measured peak in whole blood, in mM.
        b1 : actual over nominal flip angle in the artery.

        Returns
        -------
        The finding.
        """
        errors = arterial_peak_errors(
            peak_blood_mM,
            self.t10_blood_ms,
            self.relaxivity_per_s_mM,
            self.repetition_time_ms,
            b1 * self.flip_angle_deg,
            self.echo_time_ms,
        )
        if np.isnan(self.echo_time_ms):
            errors = dataclasses.replace(errors, uncorrected_r2star=np.nan)
        return arterial_peak_finding(
            errors, self.settings.r2star_per_s_mM, self.maps.b1 is not None or self.settings.b1 != 1.0
        )

    def signal_ratio(self, blood_b1: float, tissue: Tissue) -> float:
        """Signal of blood over that of marrow before contrast, as the signal equation predicts it.

        Parameters
        ----------
        blood_b1 : actual over nominal flip angle in the artery.
        tissue : of the marrow, numbers.

        Returns
        -------
        The ratio; NaN where a T1 is not known.

        Notes
        -----
        Marrow is taken to have 0.63 of the protons of blood that are seen: assumed, trabeculae hold none.
        """
        blood, water = (
            float(spgr_signal(protons, 1000.0 / t10_ms, self.repetition_time_ms, self.flip_angle_deg, b1))
            for protons, t10_ms, b1 in (
                (1.0, self.t10_blood_ms, blood_b1),
                (_MARROW_PROTONS, float(tissue.t10_ms), float(tissue.b1)),
            )
        )
        if not np.any(tissue.fat_fraction):
            return blood / water
        return blood / float(
            water_fat_signal(
                _MARROW_PROTONS,
                tissue.fat_fraction,
                1000.0 / float(tissue.t10_ms),
                self.settings.t1_fat_ms,
                self.repetition_time_ms,
                self.flip_angle_deg,
                self.echo_time_ms,
                self.field_strength_T,
                tissue.b1,
            )
        )

    def baseline(self, signal: npt.NDArray[np.floating]) -> FloatArray:
        """Mean signal before contrast.

        Parameters
        ----------
        signal : (..., n_frames).

        Returns
        -------
        (...) in the unit of the signal.
        """
        return np.asarray(signal[..., : self.baseline_frames].mean(axis=-1, dtype=float))

    def _plain(
        self, signal: npt.NDArray[np.floating], t10_ms: FloatArray | float, b1: FloatArray | float
    ) -> FloatArray:
        if self.settings.conversion == "linear":
            return concentration_linear(signal, self.baseline(signal), t10_ms, self.relaxivity_per_s_mM)
        return concentration_from_signal(
            signal,
            self.baseline(signal),
            t10_ms,
            self.relaxivity_per_s_mM,
            self.repetition_time_ms,
            self.flip_angle_deg,
            b1=b1,
            r2star_per_s_mM=self.settings.r2star_per_s_mM,
            echo_time_ms=self.echo_time_ms if self.settings.r2star_per_s_mM > 0 else 0.0,
        )


def t1_on_grid_of(
    series: DynamicSeries,
    angles: FlipAngleSeries,
    where: npt.NDArray[np.bool_],
    b1_map: FloatArray | None,
    b1: float,
) -> FloatArray:
    """T1 from several flip angles, on the grid of a series.

    The signals are brought onto the grid, linear between their voxels, and T1 is fitted to them there
    (`kinetics.t1_from_flip_angles`).

    Parameters
    ----------
    series : whose grid it is.
    angles : volumes of the same place, on any grid.
    where : (K, J, I) the voxels that are needed.
    b1_map, b1 : actual over nominal flip angle, the map on the grid of the series, or a number where it is None.

    Returns
    -------
    T1 in ms, (K, J, I); NaN elsewhere and where there is none.

    Raises
    ------
    InputError
        when the volumes do not reach these voxels.
    ValueError
        as of `kinetics.t1_from_flip_angles`.
    """
    signal = np.stack(
        [on_grid_of(series, frame, angles.ijk_to_ras, (0.0, np.inf))[where] for frame in angles.frames], axis=1
    )
    if not np.isfinite(signal).all(axis=1).any():
        raise InputError(
            "the series of several flip angles do not overlap the outlined regions; are they of this study?"
        )
    factor = b1 if b1_map is None else b1_map[where]
    found: FloatArray = np.full(series.shape, np.nan)
    found[where] = t1_from_flip_angles(signal, angles.flip_angles_deg, angles.repetition_time_ms, factor).t1_ms
    return found
