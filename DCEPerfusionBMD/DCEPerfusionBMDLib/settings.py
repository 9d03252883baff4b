"""Every parameter a user can set, described once.

Command-line options, the module's parameter node, tooltips and the documentation are derived from these
dataclasses: `field(metadata=...)` carries the help text, the unit, the range and the choices. A value of None means
"take it from the data"; `study.analyze` says in the provenance where it then came from. A group with a value of the
wrong type, out of its range or at odds with another cannot be made: that is an InputError.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError


def _parameter(
    default: Any,
    help: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    option: str = "",
) -> Any:
    """A dataclass field with the description of the parameter; minimum and maximum are included."""
    metadata = {
        "help": help,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "option": option,
    }
    return field(default=default, metadata=metadata)


class _Checked:
    """Checks each field against its description when the object is made."""

    def __post_init__(self) -> None:
        for parameter in parameters(type(self)):
            parameter.check(getattr(self, parameter.name))


@dataclass(frozen=True)
class AcquisitionSettings(_Checked):
    """What the series' own header says about the acquisition, where the user knows better.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices.
    """

    repetition_time_ms: float | None = _parameter(None, "repetition time TR", "ms", 0.1, 1000.0)
    flip_angle_deg: float | None = _parameter(None, "flip angle", "degrees", 0.1, 90.0)
    echo_time_ms: float | None = _parameter(None, "echo time TE", "ms", 0.01, 200.0)
    field_strength_T: float | None = _parameter(None, "magnetic field strength", "T", 0.01, 20.0)
    agent: str | None = _parameter(None, "contrast agent, e.g. gadobenate; selects the relaxivity")
    baseline_frames: int | None = _parameter(
        None, "number of frames before the contrast agent arrives; found from the arterial curve when absent", "", 1
    )


@dataclass(frozen=True)
class ConversionSettings(_Checked):
    """From signal to contrast agent concentration.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices.
    """

    t10_tissue_ms: float | None = _parameter(
        None,
        "T1 of marrow before contrast, that of its water where there is fat (about 900 ms); without fat a literature "
        "value for the field strength when absent",
        "ms",
        10.0,
        10000.0,
    )
    t10_blood_ms: float | None = _parameter(
        None, "T1 of blood before contrast; a literature value for the field strength when absent", "ms", 10.0, 10000.0
    )
    t10_reference_ms: float | None = _parameter(
        None,
        "T1 of the reference tissue before contrast; a literature value of muscle when absent",
        "ms",
        10.0,
        10000.0,
    )
    relaxivity_per_s_mM: float | None = _parameter(
        None,
        "longitudinal relaxivity r1; by agent and field strength when absent",
        "/s/mM",
        0.1,
        100.0,
        option="relaxivity",
    )
    hematocrit: float = _parameter(0.42, "hematocrit of the large arteries", "fraction", 0.0, 0.8)
    conversion: str = _parameter(
        "exact",
        "signal to concentration: exact inversion, or the linear legacy formula, which underestimates blood",
        choices=("exact", "linear"),
    )
    b1: float = _parameter(1.0, "actual over nominal flip angle; a map goes before it", "ratio", 0.2, 2.0)
    r2star_per_s_mM: float = _parameter(
        0.0, "transverse relaxivity r2* to correct for; 0 for none", "/s/mM", 0.0, 200.0
    )
    fat_fraction: float = _parameter(
        0.0,
        "fat fraction of the marrow; above 0 the conversion allows for fat; a map goes before it",
        "fraction",
        0.0,
        0.95,
    )
    t1_fat_ms: float = _parameter(300.0, "T1 of marrow fat", "ms", 50.0, 2000.0)


@dataclass(frozen=True)
class ArterialInputSettings(_Checked):
    """Where the arterial input comes from.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices.
    """

    aif_segment: str | None = _parameter(
        None, "name of the segment that holds the artery; recognized by name (aorta, artery, AIF) when absent"
    )
    aif: str = _parameter(
        "measured",
        "arterial input: measured in the segment, or a population curve placed at the arrival in it",
        choices=("measured", "parker", "georgiou", "weinmann", "fritz-hansen", "orton2", "orton3"),
    )
    aif_scale: str = _parameter(
        "dose",
        "height of a population curve: by the dose, or so that it meets the measured curve from 60 to 300 s",
        choices=("dose", "tail"),
    )
    aif_pick: str = _parameter(
        "all",
        "voxels of the arterial segment: all, or those with an early, high and steep rise",
        choices=("all", "best"),
    )
    dose_mmol_per_kg: float = _parameter(0.1, "dose of contrast agent", "mmol/kg", 0.01, 1.0)


@dataclass(frozen=True)
class ModelSettings(_Checked):
    """The kinetic model and the box its parameters are searched in.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices, a lower bound is not
        below its upper one, or a delay is given that is not used.
    """

    model: str = _parameter(
        "tofts",
        "kinetic model; the reference region needs no artery, but a segment of muscle",
        choices=("tofts", "extended-tofts", "patlak", "exchange", "linear-tofts", "reference-region"),
    )
    delay: str = _parameter(
        "none",
        "delay from artery to tissue: none, given, one fitted per region, or one fitted per voxel",
        choices=("none", "given", "region", "voxel"),
    )
    delay_s: float = _parameter(0.0, "delay that is given", "s", -60.0, 60.0)
    ktrans_min_per_min: float = _parameter(1e-4, "lower bound of Ktrans", "/min", 1e-6, 100.0)
    ktrans_max_per_min: float = _parameter(5.0, "upper bound of Ktrans", "/min", 1e-4, 100.0)
    ve_min: float = _parameter(1e-3, "lower bound of ve", "fraction", 1e-6, 1.0)
    ve_max: float = _parameter(1.0, "upper bound of ve", "fraction", 1e-4, 1.0)
    vp_max: float = _parameter(0.3, "upper bound of vp", "fraction", 1e-6, 1.0)
    delay_min_s: float = _parameter(-3.0, "smallest delay", "s", -60.0, 60.0)
    delay_max_s: float = _parameter(15.0, "largest delay", "s", -60.0, 60.0)
    reference_segment: str | None = _parameter(
        None, "name of the segment that holds the reference tissue; recognized by name (muscle, psoas) when absent"
    )
    reference_ktrans_per_min: float | None = _parameter(
        None, "Ktrans of the reference tissue; without it Ktrans is relative and ve unknown", "/min", 1e-6, 10.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (
            ("ktrans_min_per_min", "ktrans_max_per_min"),
            ("ve_min", "ve_max"),
            ("delay_min_s", "delay_max_s"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise InputError(f"{low} ({getattr(self, low):g}) must be below {high} ({getattr(self, high):g})")
        if self.delay_s and self.delay != "given":
            raise InputError(f"delay_s is {self.delay_s:g} s, but the delay is {self.delay!r}; choose 'given'")


EXCLUSION_RULES = ("arterial", "plexus", "bone-island", "haemangioma", "other-tissue", "poor-fit")


@dataclass(frozen=True)
class RegionSettings(_Checked):
    """Which voxels of a vertebra are analyzed.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices, or a rule of exclusion
        is not known.
    """

    margin_mm: float = _parameter(
        3.0, "keep only voxels whose center is farther than this from the edge of the segment", "mm", 0.0, 50.0
    )
    margin_plane: str = _parameter(
        "3d",
        "margin measured in all directions, or within the slices only, which then leaves out the first and the last "
        "slice of each segment",
        choices=("3d", "in-plane"),
    )
    vertebra_part: str = _parameter(
        "as-drawn",
        "what to analyze of a segment of a vertebra: all of it, or its body, without pedicles, arch and processes",
        choices=("as-drawn", "body"),
    )
    arch_thickness_mm: float = _parameter(
        16.0, "parts of a vertebra thinner than this are arch, where only the body is analyzed", "mm", 4.0, 25.0
    )
    levels: str | None = _parameter(
        None,
        "levels of segments whose name does not tell, as SEGMENT=LEVEL,...; T12, L1 to L6, S1, or none; before "
        "everything else that tells",
    )
    exclude: str = _parameter(
        "all",
        "what else to leave out: all, none, or a list separated by commas of arterial, plexus, bone-island, "
        "haemangioma, other-tissue, poor-fit",
    )
    plexus_z: float = _parameter(
        3.5,
        "a vessel enhances early more than the marrow, by this many robust deviations",
        "deviations",
        1.0,
        100.0,
    )
    arterial_share: float = _parameter(
        0.5,
        "a vessel is arterial that peaks with the artery and reaches this share of its enhancement",
        "fraction",
        0.01,
        2.0,
    )
    island_z: float = _parameter(
        3.0, "a bone island is darker before contrast, by this many deviations", "deviations", 1.0, 100.0
    )
    island_enhancement_percent: float = _parameter(10.0, "and enhances by less than this", "%", 0.0, 100.0)
    fat_z: float = _parameter(
        3.0,
        "haemangioma and fat are brighter before contrast, by this many deviations",
        "deviations",
        1.0,
        100.0,
    )
    tissue_z: float = _parameter(
        4.0,
        "other tissue at the edge is darker or enhances less, by this many deviations",
        "deviations",
        1.0,
        100.0,
    )
    poor_fit_z: float = _parameter(
        5.0,
        "a fit is poor whose residual exceeds that of the region by this many deviations",
        "deviations",
        1.0,
        100.0,
    )
    exclusion_voxels: int = _parameter(3, "connected voxels needed for an exclusion", "voxels", 1, 1000)
    excluded_share_max: float = _parameter(
        0.3,
        "a level is not evaluable with more of its voxels inside the margin excluded",
        "fraction",
        0.0,
        1.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rules()

    def rules(self) -> tuple[str, ...]:
        """The rules of exclusion that apply, by name.

        Returns
        -------
        Some of `EXCLUSION_RULES`.

        Raises
        ------
        InputError
            when `exclude` names another rule.
        """
        if self.exclude in ("all", "none"):
            return EXCLUSION_RULES if self.exclude == "all" else ()
        names = tuple(name.strip() for name in self.exclude.split(","))
        for name in names:
            if name not in EXCLUSION_RULES:
                raise InputError(f"exclude names {name!r}; choose all, none, or some of {', '.join(EXCLUSION_RULES)}")
        return names


@dataclass(frozen=True)
class MotionSettings(_Checked):
    """Whether the motion of the patient during the series is undone.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices.
    """

    motion: str = _parameter(
        "none",
        "motion correction: none, one rigid transform per frame for the whole spine, or one per vertebra; needs "
        "SimpleITK",
        choices=("none", "series", "vertebra"),
    )


_OLDEST_YEARS = 90.0


@dataclass(frozen=True)
class DensitometrySettings(_Checked):
    """How BMD is classified, and what is known of the subject for it.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices, a site is given
        without the mode `site` or is missing with it, an age is above 90, or what is excluded is none of L1 to L4.
    """

    mode: str = _parameter(
        "iscd",
        "site that decides: iscd the lowest of lumbar spine, total hip and femoral neck; paper the lumbar T-score "
        "alone; site the one named",
        choices=("iscd", "paper", "site"),
        option="bmd-mode",
    )
    site: str | None = _parameter(None, "site that decides in the mode site, e.g. femoral neck", option="bmd-site")
    t_score_rounding: str = _parameter(
        "exact",
        "classify scores as they are, or as reported with one decimal",
        choices=("exact", "reported"),
    )
    reference: str | None = _parameter(
        None,
        "reference set for scores the table does not give, e.g. Hologic; none are computed when absent",
        option="dxa-reference",
    )
    device: str | None = _parameter(
        None,
        "densitometer, where the table has no column for it",
        choices=("GE Lunar", "Hologic", "Norland"),
        option="dxa-device",
    )
    exclude_vertebrae: str | None = _parameter(
        None, "vertebrae that do not count, e.g. L2,L3, or none; proposed, but never excluded, when absent"
    )
    sex: str | None = _parameter(
        None, "sex of the subject; from the DICOM header when absent", choices=("female", "male")
    )
    age_years: float | None = _parameter(
        None,
        "age of the subject, 90 for all who are older; from the DICOM header when absent",
        "years",
        0.0,
        120.0,
        option="age",
    )
    menopause: str | None = _parameter(
        None, "menopausal status: before, in transition, or after", choices=("pre", "transition", "post")
    )
    fragility_fracture: bool = _parameter(False, "there was a fragility fracture, with which osteoporosis is severe")
    perfusion_comparison: str = _parameter(
        "none",
        "reference that the perfusion of the subject is compared with: the paper's classes or age groups, whose scale "
        "does not carry over, or a cohort of your own",
        choices=("none", "paper-classes", "paper-ages", "cohort"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.site is not None) != (self.mode == "site"):
            raise InputError(
                f"the mode of classification is {self.mode!r} and the site {self.site or 'not given'!r}; a site goes "
                "with the mode 'site', and the mode with a site"
            )
        if self.age_years is not None and self.age_years > _OLDEST_YEARS:
            raise InputError(
                f"age_years is {self.age_years:g}; ages above 90 may name a person and are not kept: give 90"
            )
        self.excluded()

    def excluded(self) -> tuple[str, ...] | None:
        """The vertebrae that the user excludes; None where nothing was said.

        Returns
        -------
        Some of L1 to L4; empty for `none`.

        Raises
        ------
        InputError
            for anything but vertebrae from L1 to L4, or `none`.
        """
        if self.exclude_vertebrae is None:
            return None
        names = tuple(name.strip().upper() for name in self.exclude_vertebrae.split(","))
        if names == ("NONE",):
            return ()
        for name in names:
            if name not in ("L1", "L2", "L3", "L4"):
                raise InputError(f"exclude_vertebrae {self.exclude_vertebrae!r}: {name!r} is none of L1, L2, L3, L4")
        return names


@dataclass(frozen=True)
class OutputSettings(_Checked):
    """What is put out.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices.
    """

    maps: str = _parameter(
        "standard",
        "maps: those of the model and the usual ones of enhancement, or all, with residual and R2 of the fit",
        choices=("standard", "all"),
    )


@dataclass(frozen=True)
class CohortSettings(_Checked):
    """How a cohort is compared; not part of `Settings`, which are those of one study.

    Raises
    ------
    InputError
        when a value is of another type than its field, beyond its limits or none of its choices, or resamples are fewer
        than 200 but not 0.
    """

    classification: str = _parameter(
        "iscd",
        "T-score that classifies where the table has no class: iscd the lowest of lumbar spine, total hip and femoral "
        "neck; paper the lumbar one alone",
        choices=("iscd", "paper"),
    )
    t_score_rounding: str = _parameter(
        "exact",
        "classify scores as they are, or as reported with one decimal",
        choices=("exact", "reported"),
    )
    marks: str = _parameter(
        "welch-holm",
        "test behind the marks of Tables 1 to 3: Welch's t-tests corrected by Holm; Games-Howell; Dunnett against the "
        "group of reference; or lsd, uncorrected with pooled variance, as the source paper probably did",
        choices=("welch-holm", "games-howell", "dunnett", "lsd"),
    )
    ve_unit: str = _parameter("fraction", "unit of ve in printed tables and figures", choices=("fraction", "mL/100mL"))
    resamples: int = _parameter(
        1000, "resamples of subjects per bootstrap interval, at least 200; 0 for no bootstrap", "", 0, 100_000
    )
    seed: int = _parameter(2019, "seed of the bootstrap", "", 0)
    reading: str | None = _parameter(
        None,
        "reading, session or observer that enters tables and tests, by its name in the table; without it the lowest of "
        "numbered readings",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.resamples < 200:
            raise InputError(f"resamples is {self.resamples}; an interval needs at least 200, or 0 for no bootstrap")


@dataclass(frozen=True)
class Settings:
    """All parameters of one analysis, in groups.

    Attributes
    ----------
    acquisition, conversion, arterial_input, model, regions, motion, densitometry, output : the groups; their fields
        describe themselves.
    given : names of those that the user has set, as `group.name`; two settings that differ in it alone are equal.
    """

    acquisition: AcquisitionSettings = field(default_factory=AcquisitionSettings)
    conversion: ConversionSettings = field(default_factory=ConversionSettings)
    arterial_input: ArterialInputSettings = field(default_factory=ArterialInputSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    regions: RegionSettings = field(default_factory=RegionSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    densitometry: DensitometrySettings = field(default_factory=DensitometrySettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    given: frozenset[str] = field(default=frozenset(), compare=False)

    def origin(self, group: str, name: str) -> str:
        """Where the value of a parameter comes from.

        Parameters
        ----------
        group, name : of the parameter.

        Returns
        -------
        `user` or `default`.
        """
        return "user" if f"{group}.{name}" in self.given else "default"


_BOUNDS = ("ktrans_min_per_min", "ktrans_max_per_min", "ve_min", "ve_max", "vp_max")
_OF_THE_ARTERY = ("aif", "aif_scale", "aif_pick", "aif_segment", "dose_mmol_per_kg")
_UNREAD: tuple[tuple[Callable[[Settings], bool], str, str, tuple[str, ...]], ...] = (
    (lambda s: s.model.model == "tofts", "the Tofts model has no vp", "model", ("vp_max",)),
    (lambda s: s.model.model == "patlak", "the Patlak model has no ve", "model", ("ve_min", "ve_max")),
    (lambda s: s.model.model == "exchange", "the exchange model bounds Fp and PS itself", "model", _BOUNDS[:2]),
    (lambda s: s.model.model == "linear-tofts", "the linear Tofts model has no bounds", "model", _BOUNDS),
    (lambda s: s.model.model == "reference-region", "the reference-region model has its own bounds", "model", _BOUNDS),
    (
        lambda s: s.model.delay in ("none", "given"),
        "no delay is fitted",
        "model",
        ("delay_min_s", "delay_max_s"),
    ),
    (
        lambda s: s.model.model != "reference-region",
        "only the reference-region model reads it",
        "model",
        ("reference_segment", "reference_ktrans_per_min"),
    ),
    (
        lambda s: s.model.model != "reference-region",
        "only the reference-region model reads it",
        "conversion",
        ("t10_reference_ms",),
    ),
    (
        lambda s: s.model.model == "reference-region",
        "the reference-region model has no artery",
        "arterial_input",
        _OF_THE_ARTERY,
    ),
    (
        lambda s: s.model.model == "reference-region",
        "the reference-region model has no artery",
        "conversion",
        ("t10_blood_ms", "hematocrit"),
    ),
    (
        lambda s: s.regions.margin_mm == 0,
        "there is no margin",
        "regions",
        ("margin_plane",),
    ),
    (
        lambda s: s.regions.vertebra_part == "as-drawn",
        "segments are analyzed as drawn",
        "regions",
        ("arch_thickness_mm",),
    ),
    (
        lambda s: s.arterial_input.aif == "measured" and s.model.model != "reference-region",
        "the measured input is not scaled",
        "arterial_input",
        ("aif_scale",),
    ),
    (
        lambda s: s.conversion.conversion == "linear",
        "the linear conversion does not read it",
        "conversion",
        ("b1", "r2star_per_s_mM"),
    ),
    (
        lambda s: s.densitometry.reference is None,
        "no reference set is chosen",
        "densitometry",
        ("device",),
    ),
)
"""When, why, and of which group parameters are not read."""


def _unless(*rules: str) -> Callable[[Settings], bool]:
    """Whether none of these rules of exclusion applies."""
    return lambda settings: not set(rules) & set(settings.regions.rules())


_UNREAD += (
    (_unless("arterial", "plexus", "haemangioma"), "no vessels are excluded", "regions", ("plexus_z",)),
    (_unless("arterial"), "no arterial voxels are excluded", "regions", ("arterial_share",)),
    (
        _unless("bone-island"),
        "no bone islands are excluded",
        "regions",
        ("island_z", "island_enhancement_percent"),
    ),
    (_unless("haemangioma"), "no haemangiomas are excluded", "regions", ("fat_z",)),
    (_unless("other-tissue"), "no other tissue is excluded", "regions", ("tissue_z",)),
    (_unless("poor-fit"), "no poor fits are excluded", "regions", ("poor_fit_z",)),
    (_unless(*EXCLUSION_RULES[:-1]), "nothing is excluded by its curve", "regions", ("exclusion_voxels",)),
)


def unread_warnings(settings: Settings) -> list[str]:
    """A sentence for each parameter that the user has set and the analysis does not read.

    Parameters
    ----------
    settings : of one analysis.

    Returns
    -------
    Sentences for the user.
    """
    return [
        f"{name} = {value} has no effect: {why}"
        for applies, why, group, names in _UNREAD
        if applies(settings)
        for name in names
        if f"{group}.{name}" in settings.given and (value := getattr(getattr(settings, group), name)) is not None
    ]


@dataclass(frozen=True)
class Parameter:
    """The description of one field of a settings group, as users meet it.

    Attributes
    ----------
    group : name of its group in `Settings`; empty where it is of another class.
    name : of the field, with the unit where the number is bare.
    type : float, int, str or bool.
    default : its value where nothing is said.
    optional : whether None is a value.
    help : one sentence, without a point.
    unit : of the number; empty where it has none.
    minimum, maximum : smallest and largest value accepted, in this unit; None for no limit.
    choices : texts accepted; empty where any is.
    option : of the command line, without dashes.
    """

    group: str
    name: str
    type: type
    default: Any
    optional: bool
    help: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    option: str

    def check(self, value: Any) -> None:
        """Refuse a value of the wrong type, out of range or not among the choices.

        Parameters
        ----------
        value : of the parameter, in its unit.

        Raises
        ------
        InputError
            naming the parameter, its value and what is accepted.
        """
        if value is None and self.optional:
            return
        right_type: Any = (int, float) if self.type is float else self.type
        wrong_type = not isinstance(value, right_type)
        if wrong_type or (isinstance(value, bool) and self.type is not bool):
            raise InputError(f"{self.name} must be {_TYPE_NAMES[self.type]}, not {value!r}")
        if self.type in (int, float) and not abs(value) <= _LARGEST_NUMBER:
            raise InputError(f"{self.name} must be a finite number, not {value!r}")
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and value < self.minimum:
            raise InputError(f"{self.name} is {value:g}{unit}; the smallest value accepted is {self.minimum:g}{unit}")
        if self.maximum is not None and value > self.maximum:
            raise InputError(f"{self.name} is {value:g}{unit}; the largest value accepted is {self.maximum:g}{unit}")
        if self.choices and value not in self.choices:
            raise InputError(f"{self.name} is {value!r}; choose one of {', '.join(self.choices)}")


_LARGEST_NUMBER = 1e15
_TYPE_NAMES = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}


def parameters(group_class: type) -> list[Parameter]:
    """Descriptions of the fields of one settings group, in the order in which they are declared.

    Parameters
    ----------
    group_class : a dataclass such as `RegionSettings`.

    Returns
    -------
    One per field.
    """
    hints = typing.get_type_hints(group_class)
    described = []
    for item in dataclasses.fields(group_class):
        hint = hints[item.name]
        members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        described.append(
            Parameter(
                group=_GROUP_NAMES.get(group_class, ""),
                name=item.name,
                type=next(member for member in members if member is not type(None)),
                default=item.default,
                optional=type(None) in members,
                **{**item.metadata, "option": item.metadata["option"] or item.name.replace("_", "-")},
            )
        )
    return described


_GROUP_NAMES: dict[Any, str] = {
    hint: name for name, hint in typing.get_type_hints(Settings).items() if dataclasses.is_dataclass(hint)
}


def all_parameters() -> list[Parameter]:
    """Descriptions of every parameter of `Settings`, group after group."""
    return [parameter for group_class in _GROUP_NAMES for parameter in parameters(group_class)]


def from_dict(values: dict[str, Any], base: Settings | None = None) -> Settings:
    """Settings from nested dictionaries, as a settings file holds them.

    Parameters
    ----------
    values : {group: {parameter: value}}; what is not named keeps its value in `base`.
    base : settings to start from, the defaults when None.

    Returns
    -------
    Settings whose `given` names what the values set, beside what `base` had.

    Raises
    ------
    InputError
        for an unknown group or parameter, or a value out of range.
    """
    settings = base or Settings()
    groups = {name: group_class for group_class, name in _GROUP_NAMES.items()}
    for group_name, group_values in values.items():
        if group_name not in groups:
            raise InputError(f"unknown settings group {group_name!r}; the groups are {', '.join(groups)}")
        if not isinstance(group_values, dict):
            raise InputError(f"settings group {group_name!r} must hold named values, not {group_values!r}")
        known = [parameter.name for parameter in parameters(groups[group_name])]
        for name in group_values:
            if name not in known:
                raise InputError(f"unknown setting {group_name}.{name}; the group has {', '.join(known)}")
        group = dataclasses.replace(getattr(settings, group_name), **group_values)
        given = settings.given | {f"{group_name}.{name}" for name in group_values}
        settings = dataclasses.replace(settings, **{group_name: group}, given=given)
    return settings


def to_dict(settings: Settings) -> dict[str, dict[str, Any]]:
    """The settings as nested dictionaries.

    Parameters
    ----------
    settings : of one analysis.

    Returns
    -------
    {group: {parameter: value}}, which `from_dict` takes back; it does not say what was given.
    """
    return {name: dataclasses.asdict(getattr(settings, name)) for name in _GROUP_NAMES.values()}
