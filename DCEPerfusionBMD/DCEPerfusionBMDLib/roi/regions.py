"""The regions of one study: what was drawn, what is analyzed, and why the rest is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..settings import RegionSettings, Settings
from .exclusions import Bolus, poorly_fitted, propose_exclusions
from .fates import BY_CURVE, Fate
from .levels import is_artery_name, is_exclusion_name, is_reference_name, level_from_name
from .margin import ROUNDING_MM, distance_to_edge_mm

BoolArray = npt.NDArray[np.bool_]

_SHARED_AT_MOST = 0.1  # of the voxels of the smaller segment


@dataclass(frozen=True)
class Region:
    """One segment on the grid of the series.

    Attributes
    ----------
    name : segment name.
    level : vertebral level recognized in the name, empty where there is none.
    fate : (K, J, I) uint8 of `Fate`.
    depth_mm : (n,) distance from the edge of each voxel of the body, in the order of the flattened grid.
    """

    name: str
    level: str
    fate: npt.NDArray[np.uint8]
    depth_mm: npt.NDArray[np.float32]

    @property
    def drawn(self) -> BoolArray:
        """Voxels of the segment."""
        return np.not_equal(self.fate, Fate.NOT_DRAWN)

    @property
    def analyzed(self) -> BoolArray:
        """Voxels that enter the analysis."""
        return np.equal(self.fate, Fate.ANALYZED)

    @property
    def body(self) -> BoolArray:
        """Voxels of the segment that the margin is measured in."""
        return (self.fate != Fate.NOT_DRAWN) & (self.fate != Fate.ARCH)

    @property
    def excluded_share(self) -> float:
        """Share of the voxels inside the margin that are excluded; NaN where there are none."""
        counts = np.bincount(self.fate.ravel(), minlength=len(Fate))
        excluded = sum(int(counts[fate]) for fate in BY_CURVE)
        inside = excluded + int(counts[Fate.ANALYZED])
        return excluded / inside if inside else float("nan")

    def counts(self) -> dict[Fate, int]:
        """Voxels by fate, those that are not drawn apart."""
        counts = np.bincount(self.fate.ravel(), minlength=len(Fate))
        return {fate: int(counts[fate]) for fate in Fate if fate != Fate.NOT_DRAWN and counts[fate]}

    def why_not_evaluable(self, settings: RegionSettings) -> str:
        """Why the region is not evaluable; empty where it is."""
        if not self.analyzed.any():
            return "no voxel is left to analyze"
        if self.excluded_share > settings.excluded_share_max:
            limit = settings.excluded_share_max
            return f"{self.excluded_share:.0%} of the voxels inside the margin are excluded, more than {limit:.0%}"
        return ""

    def without_other_tissue(
        self,
        signal: npt.NDArray[np.float32],
        ijk_to_ras: npt.NDArray[np.float64],
        bolus: Bolus,
        settings: RegionSettings,
    ) -> tuple[Region, BoolArray]:
        """The region without what is not marrow by its curve (`exclusions.propose_exclusions`).

        Parameters
        ----------
        signal : (n, n_frames) of the voxels of the body, in the order of the flattened grid.

        Returns
        -------
        The region, and which of the voxels of the body, the margin included, are marrow; (n,).
        """
        body = self.body
        inside = body & (self.fate != Fate.MARGIN)
        found = propose_exclusions(signal, body, inside, ijk_to_ras, bolus, settings)
        fate = self.fate.copy()
        before = fate[body]
        fate[body] = np.where(before == Fate.ANALYZED, found, before)
        return replace(self, fate=fate), (found == Fate.ANALYZED) & (before != Fate.USER)

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
    """

    regions: tuple[Region, ...]
    input_name: str
    input: BoolArray
    warnings: tuple[str, ...] = ()


def build_rois(
    masks: Mapping[str, BoolArray], spacing_mm: tuple[float, float, float], settings: Settings
) -> VertebralRois:
    """Sort named masks into the input and the regions, and take the margin off the regions.

    With the reference-region model the reference tissue is the input, and an arterial segment is left aside.

    Parameters
    ----------
    masks : segment name to (K, J, I) mask on the grid of the series.
    spacing_mm : voxel size along K, J and I.
    settings : `arterial_input.aif_segment`, `model.reference_segment` and `regions.margin_mm` are read.

    Raises
    ------
    InputError
        when there is no input or more than one, no region, or nothing left to analyze.
    """
    by_reference = settings.model.model == "reference-region"
    kind = _REFERENCE if by_reference else _ARTERY
    wanted = settings.model.reference_segment if by_reference else settings.arterial_input.aif_segment
    input_name = kind.find(list(masks), wanted)
    if not masks[input_name].any():
        raise InputError(f"the {kind.adjective} segment {input_name!r} has no voxel inside the series")
    excluding = [name for name in masks if is_exclusion_name(name) and name != input_name]
    names = [
        name
        for name in masks
        if name != input_name and name not in excluding and not (by_reference and is_artery_name(name))
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
    margin_mm = settings.regions.margin_mm
    by_user = np.any([masks[name] for name in excluding], axis=0) if excluding else None
    regions, warnings = [], []
    for name in names:
        drawn = masks[name]
        distance_mm = distance_to_edge_mm(drawn, spacing_mm)
        analyzed = drawn & ((distance_mm > margin_mm + ROUNDING_MM) | (margin_mm == 0))
        fate = np.where(analyzed, Fate.ANALYZED, np.where(drawn, Fate.MARGIN, Fate.NOT_DRAWN)).astype(np.uint8)
        if by_user is not None:
            fate[analyzed & by_user] = Fate.USER
        regions.append(Region(name, level_from_name(name), fate, distance_mm[drawn].astype(np.float32)))
        if not drawn.any():
            warnings.append(f"{name}: no voxel inside the series, not analyzed")
        elif not analyzed.any():
            warnings.append(
                f"{name}: none of its {np.count_nonzero(drawn)} voxels is more than {margin_mm:g} mm from the edge, "
                "not analyzed; a smaller --margin-mm would keep some"
            )
    if not any(region.analyzed.any() for region in regions):
        raise InputError(
            f"no region has a voxel more than {margin_mm:g} mm from its edge ({_listed(names)}); "
            "give a smaller --margin-mm or larger outlines"
        )
    _refuse_overlaps(regions, input_name, masks[input_name], kind.noun)
    shared = np.zeros(masks[input_name].shape, dtype=np.uint8)
    for region in regions:
        shared += region.analyzed
    if (shared > 1).any():
        overlapping = [region.name for region in regions if (region.analyzed & (shared > 1)).any()]
        warnings.append(
            f"segments {_listed(overlapping)} share {np.count_nonzero(shared > 1)} voxels; they count in each of them"
        )
    return VertebralRois(tuple(regions), input_name, masks[input_name], tuple(warnings))


def _refuse_overlaps(regions: list[Region], input_name: str, input_mask: BoolArray, noun: str) -> None:
    """Raise InputError when levels share much of their voxels, or the input lies in one of them."""
    for n, region in enumerate(regions):
        drawn = region.drawn
        inside = np.count_nonzero(drawn & input_mask)
        if inside > _SHARED_AT_MOST * np.count_nonzero(input_mask):
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


@dataclass(frozen=True)
class _InputKind:
    """How the segment that gives the input is found."""

    adjective: str
    noun: str
    option: str
    recognized: Callable[[str], bool]

    def find(self, names: list[str], wanted: str | None) -> str:
        if wanted is not None:
            if wanted not in names:
                raise InputError(
                    f"{self.option} {wanted!r} is not in the segmentation; its segments are {_listed(names)}"
                )
            return wanted
        found = [name for name in names if self.recognized(name)]
        if len(found) != 1:
            several = f"segments {_listed(found)} may all be the {self.noun}"
            what = several if found else f"no segment is named as an {self.noun}"
            raise InputError(f"{what}; name it with {self.option} (segments: {_listed(names)})")
        return found[0]


_ARTERY = _InputKind("arterial", "artery", "--aif-segment", is_artery_name)
_REFERENCE = _InputKind("reference", "input tissue (muscle)", "--reference-segment", is_reference_name)


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
