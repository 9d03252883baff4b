"""The regions of one study: what was drawn, what is analyzed, and why the rest is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..settings import Settings
from .levels import is_artery_name, is_reference_name, level_from_name
from .margin import farther_than

BoolArray = npt.NDArray[np.bool_]


class Fate(IntEnum):
    """What becomes of a voxel of a region."""

    NOT_DRAWN = 0
    ANALYZED = 1
    MARGIN = 2


@dataclass(frozen=True)
class Region:
    """One segment on the grid of the series.

    Attributes
    ----------
    name : segment name.
    level : vertebral level recognized in the name, empty where there is none.
    fate : (K, J, I) uint8 of `Fate`.
    """

    name: str
    level: str
    fate: npt.NDArray[np.uint8]

    @property
    def drawn(self) -> BoolArray:
        """Voxels of the segment."""
        return np.not_equal(self.fate, Fate.NOT_DRAWN)

    @property
    def analyzed(self) -> BoolArray:
        """Voxels that enter the analysis."""
        return np.equal(self.fate, Fate.ANALYZED)


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
    names = [name for name in masks if name != input_name and not (by_reference and is_artery_name(name))]
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
    regions, warnings = [], []
    for name in names:
        drawn = masks[name]
        analyzed = farther_than(drawn, margin_mm, spacing_mm)
        fate = np.where(analyzed, Fate.ANALYZED, np.where(drawn, Fate.MARGIN, Fate.NOT_DRAWN)).astype(np.uint8)
        regions.append(Region(name, level_from_name(name), fate))
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
    shared = np.zeros(masks[input_name].shape, dtype=np.uint8)
    for region in regions:
        shared += region.analyzed
    if (shared > 1).any():
        overlapping = [region.name for region in regions if (region.analyzed & (shared > 1)).any()]
        warnings.append(
            f"segments {_listed(overlapping)} share {np.count_nonzero(shared > 1)} voxels; they count in each of them"
        )
    return VertebralRois(tuple(regions), input_name, masks[input_name], tuple(warnings))


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
