"""The regions of one study: what was drawn, what is analyzed, and why the rest is not."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..memory import Memory, recalled
from ..settings import RegionSettings, Settings
from .body import lies_behind, vertebral_body
from .exclusions import Bolus, poorly_fitted, propose_exclusions
from .fates import BY_CURVE, Fate
from .levels import AMBIGUOUS, ARTERY, EXCLUSION, LEVEL, OTHER, REFERENCE, SegmentLabel, levels_by_user, recognize
from .margin import BoolArray, beyond_margin, depth_mm

_WHOLE_VERTEBRA = 0.3  # share of a mask beyond the body from which it looks like a whole vertebra
_SHARED_AT_MOST = 0.1  # of the voxels of the smaller segment


@dataclass(frozen=True)
class Region:
    """One segment on the grid of the series.

    Attributes
    ----------
    name : segment name.
    level : vertebral level, empty where there is none.
    fate : (K, J, I) uint8 of `Fate`.
    depth_mm : (n,) distance from the edge of each voxel of the body, in the order of the flattened grid; below
        0 where the user excluded it.
    level_source : what told the level, as in `SegmentLabel`; empty where there is none.
    """

    name: str
    level: str
    fate: npt.NDArray[np.uint8]
    depth_mm: npt.NDArray[np.float64]
    level_source: str = ""

    @cached_property
    def drawn(self) -> BoolArray:
        """Voxels of the segment."""
        return np.not_equal(self.fate, Fate.NOT_DRAWN)

    @cached_property
    def analyzed(self) -> BoolArray:
        """Voxels that enter the analysis."""
        return np.equal(self.fate, Fate.ANALYZED)

    @cached_property
    def body(self) -> BoolArray:
        """Voxels of the segment that the margin is measured in."""
        return (self.fate != Fate.NOT_DRAWN) & (self.fate != Fate.ARCH)

    @cached_property
    def counts(self) -> dict[Fate, int]:
        """Voxels by fate, those that are not drawn apart."""
        counts = np.bincount(self.fate[self.drawn], minlength=len(Fate))
        return {fate: int(counts[fate]) for fate in Fate if counts[fate]}

    @property
    def excluded_share(self) -> float:
        """Share of the voxels inside the margin that are excluded; NaN where there are none."""
        excluded = sum(self.counts.get(fate, 0) for fate in BY_CURVE)
        inside = excluded + self.counts.get(Fate.ANALYZED, 0)
        return excluded / inside if inside else float("nan")

    def why_not_evaluable(self, settings: RegionSettings, unknown: int = 0) -> str:
        """Why the region is not evaluable; empty where it is.

        Parameters
        ----------
        unknown : how many of its analyzed voxels have no curve to speak of; they count as the excluded ones do.
        """
        analyzed = self.counts.get(Fate.ANALYZED, 0)
        if not analyzed:
            return "no voxel is left to analyze"
        excluded, limit = sum(self.counts.get(fate, 0) for fate in BY_CURVE), settings.excluded_share_max
        share = (excluded + unknown) / (excluded + analyzed)
        if share > limit:
            without = " or have no usable curve" if unknown else ""
            return f"{share:.0%} of the voxels inside the margin are excluded{without}, more than {limit:.0%}"
        return ""

    def at_margin(self, margin_mm: float) -> BoolArray:
        """Which voxels of the body would be left at another margin; (n,).

        What lies in the margin has not been judged by its curve, so it comes in as it is; what is excluded inside the
        margin stays out.
        """
        fate = self.fate[self.body]
        return beyond_margin(self.depth_mm, margin_mm) & ((fate == Fate.ANALYZED) | (fate == Fate.MARGIN))

    def without_other_tissue(
        self,
        signal: npt.NDArray[np.float32],
        ijk_to_ras: npt.NDArray[np.float64],
        bolus: Bolus,
        settings: RegionSettings,
    ) -> Region:
        """The region without what is not marrow by its curve (`exclusions.propose_exclusions`).

        Parameters
        ----------
        signal : (n, n_frames) of the voxels of the body, in the order of the flattened grid.
        """
        found = propose_exclusions(signal, self.body, self.analyzed, ijk_to_ras, bolus, settings)
        fate = self.fate.copy()
        before = fate[self.body]
        fate[self.body] = np.where(before == Fate.ANALYZED, found, before)
        return replace(self, fate=fate)

    def without_poor_fits(self, rmse: npt.NDArray[np.floating], settings: RegionSettings) -> Region:
        """The region without the voxels whose fit is poor, told from the residuals of the analyzed voxels, (n,)."""
        poor = poorly_fitted(np.asarray(rmse, dtype=float), settings.poor_fit_z)
        if not poor.any():
            return self
        fate = self.fate.copy()
        fate[self.analyzed] = np.where(poor, Fate.POOR_FIT, Fate.ANALYZED)
        return replace(self, fate=fate)


@dataclass(frozen=True)
class VertebralRois:
    """All regions of a study and the segment that gives the input of the model.

    Attributes
    ----------
    regions : in the order of the segmentation.
    input_name : name of the arterial segment, or of the reference tissue where that takes its place.
    input : (K, J, I) mask.
    warnings : sentences for the user.
    input_code : SNOMED CT code of what that segment is, where it has one that is known (`SegmentLabel.code`).
    """

    regions: tuple[Region, ...]
    input_name: str
    input: BoolArray
    warnings: tuple[str, ...] = ()
    input_code: str = ""


def build_rois(
    masks: Mapping[str, BoolArray],
    spacing_mm: tuple[float, float, float],
    settings: Settings,
    labels: Mapping[str, SegmentLabel] | None = None,
    ijk_to_ras: npt.NDArray[np.float64] | None = None,
    memory: Memory | None = None,
) -> VertebralRois:
    """Sort named masks into the input and the regions, and take arch and margin off the regions.

    With the reference-region model the reference tissue is the input, and an arterial segment is left aside.

    Parameters
    ----------
    masks : segment name to (K, J, I) mask on the grid of the series.
    spacing_mm : voxel size along K, J and I.
    settings : `arterial_input.aif_segment`, `model.reference_segment` and `regions` are read.
    labels : what each segment is; told by the names alone when None.
    ijk_to_ras : (4, 4) voxel index to RAS; without it nobody is warned of masks of whole vertebrae.
    memory : as for `study.analyze`.

    Raises
    ------
    InputError
        when there is no input or more than one, no region, nothing left to analyze, a level twice, or a mistake in
        `regions.levels`.
    """
    by_reference = settings.model.model == "reference-region"
    kind, known, input_name = _known(masks, settings, labels)
    excluding = [name for name in masks if known[name].kind == EXCLUSION and name != input_name]
    names = [
        name
        for name in masks
        if name != input_name and name not in excluding and not (by_reference and known[name].kind == ARTERY)
    ]
    if not names:
        raise InputError(
            f"the segmentation has no region beside the {kind.adjective} segment {input_name!r}; outline vertebrae"
        )
    if not any(masks[name].any() for name in names):
        raise InputError(
            f"the segmentation does not overlap the series: none of {_listed(names)} has a voxel inside it; "
            "check that both belong to the same study"
        )
    _check_levels_differ({name: known[name] for name in names})
    margin_mm = settings.regions.margin_mm
    by_user = np.any([masks[name] for name in excluding], axis=0) if excluding else None
    in_plane = settings.regions.margin_plane == "in-plane" and margin_mm > 0
    regions, warnings = [], []
    for name in excluding:
        if not any((masks[name] & masks[other]).any() for other in names):
            warnings.append(f"{name}: this segment excludes nothing, since it has no voxel in a region")
    if in_plane:
        warnings.append(
            "the margin is measured within the slices; the first and the last slice of each segment are left out"
        )
    for name in names:
        drawn, label = masks[name], known[name]
        if label.kind == AMBIGUOUS:
            warnings.append(f"{name}: no level, since {label.reason}; --levels {name!r}=L1 would give it one")
        is_vertebra = label.kind == LEVEL and label.level != "S1"
        key = (is_vertebra, settings.regions.vertebra_part, settings.regions.arch_thickness_mm, in_plane)
        outlined = functools.partial(_outlined, name, drawn, is_vertebra, spacing_mm, settings, ijk_to_ras, in_plane)
        part, depth, found = recalled(memory, f"outline of {name}", key, outlined)
        warnings += found
        depth = depth.copy()
        analyzed = part & beyond_margin(depth, margin_mm)
        fate = np.full(drawn.shape, Fate.NOT_DRAWN, dtype=np.uint8)
        fate[drawn], fate[part], fate[analyzed] = Fate.ARCH, Fate.MARGIN, Fate.ANALYZED
        if by_user is not None:
            fate[analyzed & by_user] = Fate.USER
            depth[by_user] = -1.0
        in_input = np.count_nonzero(analyzed & masks[input_name])
        if in_input:
            fate[analyzed & masks[input_name]] = Fate.ARTERIAL if kind is _OF_ARTERY else Fate.OTHER_TISSUE
            depth[masks[input_name]] = -1.0
            warnings.append(f"{name}: {in_input} of its voxels are also in {input_name!r}; they are left out")
        regions.append(Region(name, label.level, fate, depth[part], label.source if label.level else ""))
        if not drawn.any():
            warnings.append(f"{name}: no voxel inside the series, not analyzed")
        elif part.any() and not analyzed.any():
            warnings.append(
                f"{name}: none of its {np.count_nonzero(part)} voxels is more than {margin_mm:g} mm from the edge, "
                + (
                    "not analyzed; --margin-plane 3d or --margin-mm 0 may keep some"
                    if in_plane
                    else "not analyzed; a smaller --margin-mm would keep some"
                )
            )
        elif part.any() and not regions[-1].analyzed.any():
            warnings.append(f"{name}: all of its voxels inside the margin are excluded by segments, not analyzed")
    if not any(region.analyzed.any() for region in regions):
        if all(set(region.counts) <= {Fate.MARGIN, Fate.ARCH} for region in regions) and any(
            Fate.MARGIN in region.counts for region in regions
        ):
            way_out = ", --margin-plane 3d," if in_plane else ""
            raise InputError(
                f"no region has a voxel more than {margin_mm:g} mm from its edge ({_listed(names)}); "
                f"give a smaller --margin-mm{way_out} or larger outlines"
            )
        raise InputError("; ".join(warnings))
    _refuse_overlaps(regions, input_name, masks[input_name], kind.noun)
    shared = np.zeros(masks[input_name].shape, dtype=np.uint8)
    for region in regions:
        shared += region.analyzed
    if (shared > 1).any():
        overlapping = [region.name for region in regions if (region.analyzed & (shared > 1)).any()]
        warnings.append(
            f"segments {_listed(overlapping)} share {np.count_nonzero(shared > 1)} voxels; they count in each of them"
        )
    return VertebralRois(tuple(regions), input_name, masks[input_name], tuple(warnings), known[input_name].code)


def find_input(
    masks: Mapping[str, BoolArray], settings: Settings, labels: Mapping[str, SegmentLabel] | None = None
) -> str:
    """Name of the segment of the input: the artery, or the reference tissue of the reference-region model.

    Parameters
    ----------
    masks, settings, labels : as for `build_rois`.

    Raises
    ------
    InputError
        when there is no input or more than one, or it is empty, or a mistake is in `regions.levels`.
    """
    return _known(masks, settings, labels)[2]


def _known(
    masks: Mapping[str, BoolArray], settings: Settings, labels: Mapping[str, SegmentLabel] | None
) -> tuple[_InputKind, dict[str, SegmentLabel], str]:
    """How the input is found, what each segment is, and which one is the input."""
    by_reference = settings.model.model == "reference-region"
    kind = _OF_REFERENCE if by_reference else _OF_ARTERY
    wanted = settings.model.reference_segment if by_reference else settings.arterial_input.aif_segment
    known = {name: (labels or {}).get(name) or recognize(name) for name in masks}
    for name, level in levels_by_user(settings.regions.levels or "", list(masks)).items():
        if name == wanted and level:
            raise InputError(
                f"segment {name!r} is given to both {kind.option} and --levels; it can be only one of them"
            )
        known[name] = SegmentLabel(LEVEL if level else OTHER, level, "option --levels")
    input_name = kind.find(known, wanted)
    if not masks[input_name].any():
        raise InputError(f"the {kind.adjective} segment {input_name!r} has no voxel inside the series")
    return kind, known, input_name


def _refuse_overlaps(regions: list[Region], input_name: str, input_mask: BoolArray, noun: str) -> None:
    """Raise InputError when levels share much of their voxels, or the input lies in one of them."""
    for n, region in enumerate(regions):
        drawn = region.drawn
        inside = np.count_nonzero(drawn & input_mask)
        if inside > _SHARED_AT_MOST * min(np.count_nonzero(input_mask), np.count_nonzero(drawn)):
            raise InputError(
                f"{inside} of the {np.count_nonzero(input_mask)} voxels of the {noun} {input_name!r} lie in "
                f"{region.name!r}; draw them apart"
            )
        for other in regions[n + 1 :]:
            if not (region.level and other.level):
                continue
            shared = np.count_nonzero(drawn & other.drawn)
            smaller = min(np.count_nonzero(drawn), np.count_nonzero(other.drawn))
            if shared > _SHARED_AT_MOST * smaller:
                raise InputError(
                    f"the segments {region.name!r} and {other.name!r} share {shared} voxels, {shared / smaller:.0%} of "
                    "the smaller one; a voxel belongs to one vertebra, draw them apart"
                )


def _check_levels_differ(known: Mapping[str, SegmentLabel]) -> None:
    """Refuse two regions of one level."""
    first: dict[str, str] = {}
    for name, label in known.items():
        if label.level and label.level in first:
            other = first[label.level]
            raise InputError(
                f"segments {other!r} (by {known[other].source}) and {name!r} (by {label.source}) are both "
                f"{label.level}; say which is with --levels, for example --levels {name!r}=none"
            )
        first[label.level] = name


def _outlined(
    name: str,
    drawn: BoolArray,
    is_vertebra: bool,
    spacing_mm: tuple[float, float, float],
    settings: Settings,
    ijk_to_ras: npt.NDArray[np.float64] | None,
    in_plane: bool,
) -> tuple[BoolArray, npt.NDArray[np.floating], list[str]]:
    """The part of a segment that is to be analyzed, the depth of its voxels, and what there is to say about it."""
    part, found = drawn, list[str]()
    if is_vertebra:
        part, found = _vertebra_part(name, drawn, spacing_mm, settings, ijk_to_ras)
    return part, depth_mm(part, spacing_mm, in_plane), found


def _vertebra_part(
    name: str,
    drawn: BoolArray,
    spacing_mm: tuple[float, float, float],
    settings: Settings,
    ijk_to_ras: npt.NDArray[np.float64] | None,
) -> tuple[BoolArray, list[str]]:
    """The part of a vertebra that is to be analyzed, before the margin, and what there is to say about it."""
    as_drawn, thickness_mm = settings.regions.vertebra_part == "as-drawn", settings.regions.arch_thickness_mm
    if not drawn.any() or (as_drawn and ijk_to_ras is None):
        return drawn, []
    body = vertebral_body(drawn, spacing_mm, thickness_mm)
    if 2 * np.count_nonzero(body) < np.count_nonzero(drawn):  # a low body leaves less of itself than its arch
        body[...] = False
    if not body.any():
        says = (
            f"{name}: too little of it is {thickness_mm:g} mm thick, so its body cannot be told from the arch, not "
            "analyzed; give a smaller --arch-thickness-mm, or --vertebra-part as-drawn"
        )
        return (drawn, []) if as_drawn else (body, [says])
    arch = drawn & ~body
    share = np.count_nonzero(arch) / np.count_nonzero(drawn)
    large = share > _WHOLE_VERTEBRA
    behind = large and ijk_to_ras is not None and lies_behind(arch, body, ijk_to_ras)
    if as_drawn:
        says = f"{name}: looks like a whole vertebra, {share:.0%} of it arch; --vertebra-part body leaves that out"
        return drawn, [says] if behind else []
    says = f"{name}: {share:.0%} of it is left out as arch but does not lie behind the rest; check the segment"
    return body, [says] if large and not behind and ijk_to_ras is not None else []


@dataclass(frozen=True)
class _InputKind:
    """How the segment that gives the input is found."""

    adjective: str
    noun: str
    option: str
    kind: str

    def find(self, known: Mapping[str, SegmentLabel], wanted: str | None) -> str:
        names = list(known)
        if wanted is not None:
            if wanted not in names:
                raise InputError(
                    f"{self.option} {wanted!r} is not in the segmentation; its segments are {_listed(names)}"
                )
            return wanted
        found = [name for name in names if known[name].kind == self.kind]
        if len(found) != 1:
            several = f"segments {_listed(found)} may all be the {self.noun}"
            what = several if found else f"no segment is named as an {self.noun}"
            raise InputError(f"{what}; name it with {self.option} (segments: {_listed(names)})")
        return found[0]


_OF_ARTERY = _InputKind("arterial", "artery", "--aif-segment", ARTERY)
_OF_REFERENCE = _InputKind("reference", "input tissue (muscle)", "--reference-segment", REFERENCE)


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
