"""What the panel says of segments and results, as values; free of MRML and Qt."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import InputError
from .kinetics import Finding
from .quantities import BY_NAME
from .result import StudyResult
from .roi import LEVELS, Fate, SegmentLabel, levels_by_user
from .settings import Settings

DETECTED, ARTERY, MUSCLE, NOTHING = "detected", "artery", "muscle", "none"
ROLES = (*LEVELS, ARTERY, MUSCLE, NOTHING)
"""What a user can take a segment for, beside what is detected."""
_GRAVEST_FIRST = ("severe", "warning", "note")


@dataclass(frozen=True)
class Roles:
    """What the user takes segments for, as the settings hold it; empty where nothing is chosen.

    Attributes
    ----------
    levels : as `RegionSettings.levels`.
    artery, reference : names of the segments of the artery and of the reference tissue.
    """

    levels: str = ""
    artery: str = ""
    reference: str = ""

    def of(self, name: str, names: list[str]) -> str:
        """One of `ROLES`, or `DETECTED` where the user has not chosen.

        Raises
        ------
        InputError
            when the levels cannot be read.
        """
        if name == self.artery:
            return ARTERY
        if name == self.reference:
            return MUSCLE
        level = levels_by_user(self.levels, names).get(name)
        return DETECTED if level is None else level or NOTHING

    def with_role(self, name: str, role: str) -> Roles:
        """The same after the user has taken a segment for something; a level or role that another had moves here."""
        kept = []
        for pair in self.levels.split(","):
            other, _, level = pair.rpartition("=")
            if other.strip() and other.strip() != name and not (role in LEVELS and level.strip() == role):
                kept.append(f"{other.strip()}={level.strip()}")
        if role in LEVELS or role == NOTHING:
            kept.append(f"{name}={role}")
        artery = name if role == ARTERY else "" if self.artery == name else self.artery
        reference = name if role == MUSCLE else "" if self.reference == name else self.reference
        return dataclasses.replace(self, levels=",".join(kept), artery=artery, reference=reference)


@dataclass(frozen=True)
class SegmentRow:
    """One row of the table of segments, as texts.

    Attributes
    ----------
    name : of the segment.
    role : one of `ROLES`, or `DETECTED`.
    detected : what it is taken for where the user has not chosen; empty where that is nothing.
    source : what told.
    reason : why it is ambiguous; mostly empty.
    voxels, margin, excluded, evaluable : of the result, or empty.
    """

    name: str
    role: str
    detected: str
    source: str
    reason: str
    voxels: str = ""
    margin: str = ""
    excluded: str = ""
    evaluable: str = ""


def segment_rows(
    labels: Mapping[str, SegmentLabel],
    voxels: Mapping[str, int],
    roles: Roles,
    result: StudyResult | None = None,
) -> list[SegmentRow]:
    """A row for each segment.

    Parameters
    ----------
    labels : what each segment is.
    voxels : how many it has on the grid of the series.
    roles : the user's choices.
    result : what became of the voxels; None before the analysis.
    """
    rows = []
    by_region = {region.name: region for region in result.rois.regions} if result is not None else {}
    evaluable: dict[str, str] = {}
    if result is not None:
        names = [str(name) for name in result.vertebrae["region"]]
        evaluable = dict(zip(names, [str(answer) for answer in result.vertebrae["evaluable"]], strict=True))
    for name, label in labels.items():
        region = by_region.get(name)
        counts = region.counts if region is not None else {}
        share = region.excluded_share if region is not None else float("nan")
        rows.append(
            SegmentRow(
                name,
                roles.of(name, list(labels)),
                label.said if label.kind != "ambiguous" else "?",
                label.source,
                label.reason,
                str(voxels.get(name, "")),
                str(counts.get(Fate.MARGIN, 0)) if region is not None else "",
                f"{share:.0%}" if share == share else "",
                evaluable.get(name, ""),
            )
        )
    return rows


def check_segments(labels: Mapping[str, SegmentLabel], settings: Settings) -> None:
    """Refuse segments among which there is not one input and at least one region.

    Raises
    ------
    InputError
        saying what to choose or to draw.
    """
    by_reference = settings.model.model == "reference-region"
    kind, what = ("reference", "muscle, the reference tissue") if by_reference else ("artery", "the artery")
    wanted = settings.model.reference_segment if by_reference else settings.arterial_input.aif_segment
    levels = levels_by_user(settings.regions.levels or "", list(labels))
    found = [name for name, label in labels.items() if label.kind == kind and name not in levels]
    if wanted is not None:
        if wanted not in labels:
            raise InputError(f"the segment {wanted!r} chosen as {what} is not in the segmentation")
        found = [wanted]
    if not found:
        raise InputError(f"no segment is taken for {what}; draw one, or choose it in the table of segments")
    if len(found) > 1:
        several = ", ".join(repr(name) for name in found)
        raise InputError(f"{several} may all be {what}; choose one in the table of segments")
    if not [name for name, label in labels.items() if name != found[0] and label.kind not in ("exclusion", kind)]:
        raise InputError("the segmentation holds no vertebra; draw one beside the artery")


def title_of(role: str, name: str) -> str:
    """What a result is called in a list: a map by its quantity and unit, a table by its name."""
    kind, _, what = role.partition(".")
    if kind == "map" and what in BY_NAME:
        quantity = BY_NAME[what]
        return f"{quantity.symbol} ({quantity.unit})" if quantity.unit else quantity.symbol
    return name


def options_in_words(message: str) -> str:
    """A message that names options of the command line, for those who have a panel: `--margin-mm` is 'margin mm'."""
    return re.sub(r"--([a-z0-9]+(?:-[a-z0-9]+)*)", lambda match: f"'{match[1].replace('-', ' ')}'", message)


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """What was checked of protocol and artery and is not as it should be, a line each, the gravest first."""
    found = [finding for finding in findings if finding.grade != "ok"]
    return [f"{f.grade}: {f.message}" for f in sorted(found, key=lambda finding: _GRAVEST_FIRST.index(finding.grade))]


def bone_sentences(result: StudyResult) -> list[str]:
    """The class of bone mineral density, with the sentence that explains it."""
    if result.densitometry is None:
        return []
    found = result.densitometry
    site = f"{found.deciding.site}: " if found.deciding is not None else ""
    return [f"{site}{found.classification.sentence}"]
