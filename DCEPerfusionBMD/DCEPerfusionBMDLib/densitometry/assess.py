"""From measurements to one category per site and one for the subject, each with its sentence."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..settings import DensitometrySettings
from .classes import (
    Classification,
    classify_qct,
    classify_t_score,
    classify_z_score,
    not_classified,
    settled,
)
from .dxa import Densitometry, DxaMeasurement
from .references import CROSS_CALIBRATED, Reference, cross_calibrated_bmd, of_set, shipped_references
from .sites import FEMORAL_NECK, RADIUS, TOTAL_HIP, VERTEBRAE, region_of, site_name, spine_name, vertebrae_of
from .subject import ScoreChoice, Subject, score_choice

_SAME_SCORE = 0.15
_NEIGHBOR_DIFFERENCE = 1.0
_LEAST_VERTEBRAE = 2
_ROUNDED_SUM = 0.01  # g/cm2; a combination measured as a whole against the sum of its vertebrae


@dataclass(frozen=True)
class SiteAssessment:
    """One site with its scores and its category.

    Attributes
    ----------
    measurement : as given, or put together from vertebrae.
    t_score, z_score : that of the table before a computed one; NaN where there is none.
    t_source, z_source : where they are from.
    classification : of this site alone.
    note : why the site does not count, or may not; empty where it does.
    """

    measurement: DxaMeasurement
    t_score: float
    t_source: str
    z_score: float
    z_source: str
    classification: Classification
    note: str = ""

    @property
    def site(self) -> str:
        """Name of the site."""
        return self.measurement.site

    def score(self, kind: str) -> float:
        """T-score or Z-score."""
        return self.t_score if kind == "T" else self.z_score

    def named(self, kind: str) -> str:
        """The site, with the reference set where the score was computed."""
        source = self.t_source if kind == "T" else self.z_source
        return f"{self.site} ({source})" if source not in ("", _GIVEN) else self.site


@dataclass(frozen=True)
class Assessment:
    """What the measurements of a subject say.

    Attributes
    ----------
    sites : one per measurement, and those that were put together.
    deciding : site that decides; None where none can.
    score : what decides: `T`, `Z` or `QCT`; empty where nothing does.
    classification : of the subject.
    warnings : proposals, questions and doubts, as sentences.
    """

    sites: tuple[SiteAssessment, ...]
    deciding: SiteAssessment | None
    score: str
    classification: Classification
    warnings: tuple[str, ...]


_GIVEN = "table"


def assess(
    densitometry: Densitometry,
    subject: Subject | None = None,
    settings: DensitometrySettings | None = None,
    references: Sequence[Reference] | None = None,
) -> Assessment:
    """Scores and categories of one subject.

    Parameters
    ----------
    densitometry : the measurements.
    subject : who it is; decides between T-score and Z-score.
    settings : mode, rounding, reference set, device, excluded vertebrae.
    references : rows that the reference set is chosen from; the shipped ones when None.

    Raises
    ------
    InputError
        for a reference set or a site that is not known.

    References
    ----------
    WHO Technical Report Series 843, 1994; ISCD Official Positions, Adult, 2019.
    """
    settings = settings or DensitometrySettings()
    rows = of_set(references or shipped_references(), settings.reference) if settings.reference else []
    return _Assessor(densitometry, subject or Subject(), settings, rows).assessment()


class _Assessor:
    """The work on one subject; warnings gather on the way."""

    def __init__(
        self,
        densitometry: Densitometry,
        subject: Subject,
        settings: DensitometrySettings,
        references: list[Reference],
    ) -> None:
        self._densitometry = densitometry
        self._subject = subject
        self._settings = settings
        self._references = references
        self._choice = ScoreChoice("T", "") if settings.mode == "paper" else score_choice(subject)
        self._excluded = settings.excluded()
        self._warnings: list[str] = []
        self._no_reference: list[str] = []
        self._no_equation: list[str] = []
        self._unknown_device = False

    def assessment(self) -> Assessment:
        sites = [self._site(measurement) for measurement in self._densitometry.measurements]
        if self._excluded is None and self._settings.mode != "paper":
            sites = self._with_proposals(sites)
        if self._settings.mode == "site":
            candidates = self._chosen(sites, site_name(str(self._settings.site)))
        elif self._settings.mode == "paper":
            candidates = self._spine(sites, VERTEBRAE)
        else:
            candidates = self._of_iscd(sites)
        sites += [site for site in candidates if not any(site is other for other in sites)]
        self._warn_of_references()
        qct = self._qct(sites)
        if qct is not None and not any(_is_dxa(site.measurement) for site in sites):
            deciding: SiteAssessment | None = qct
            score, classification = "QCT", qct.classification
        else:
            deciding, score, classification = self._decision(candidates)
        sites += [qct] if qct is not None and not any(site is qct for site in sites) else []
        return Assessment(tuple(sites), deciding, score, classification, tuple(self._warnings))

    # ---- one site

    def _site(self, given: DxaMeasurement) -> SiteAssessment:
        measurement = given
        if not measurement.device and self._settings.device:
            measurement = dataclasses.replace(measurement, device=self._settings.device)
        if not math.isnan(measurement.qct_mg_cm3) and math.isnan(measurement.bmd_g_cm2):
            if not math.isnan(measurement.t_score):
                self._warnings.append(f"{measurement.site}: a T-score of QCT is not classified (ISCD); it is left out")
            measurement = dataclasses.replace(measurement, t_score=math.nan, z_score=math.nan)
        t_score, t_source = self._score("T", measurement)
        z_score, z_source = self._score("Z", measurement)
        note = ""
        excluded = [level for level in vertebrae_of(measurement.site) if level in (self._excluded or ())]
        if excluded:
            alone = len(vertebrae_of(measurement.site)) == 1
            note = "excluded by the user" if alone else f"holds {', '.join(excluded)}, excluded by the user"
        site = SiteAssessment(measurement, t_score, t_source, z_score, z_source, not_classified(""), note)
        return dataclasses.replace(site, classification=self._classify(site))

    def _classify(self, site: SiteAssessment) -> Classification:
        rounding = self._settings.t_score_rounding
        fracture = self._subject.fracture
        what = site.named(self._choice.score)
        if not math.isnan(site.measurement.qct_mg_cm3) and not _is_dxa(site.measurement):
            found = classify_qct(site.measurement.qct_mg_cm3, site.site, fracture)
        elif not self._choice.score:
            return not_classified(f"Not classified: {self._choice.reason}.")
        elif self._choice.score == "Z":
            found = classify_z_score(site.z_score, what, rounding)
        else:
            found = classify_t_score(site.t_score, what, rounding, fracture)
        if len(vertebrae_of(site.site)) == 1:
            found = Classification(found.category, f"{found.sentence} A single vertebra never decides.")
        return found

    def _score(self, kind: str, measurement: DxaMeasurement) -> tuple[float, str]:
        """The score and where it is from: the table before the reference set."""
        given = measurement.t_score if kind == "T" else measurement.z_score
        computed, source = self._computed(kind, measurement, math.isnan(given))
        if math.isnan(given):
            return computed, source
        if settled(abs(given - computed)) > _SAME_SCORE:
            self._warnings.append(
                f"{measurement.site}: the table's {kind}-score {given:g} is used, but the {source} gives "
                f"{computed:.3g}; check which reference the device uses"
            )
        return given, _GIVEN

    def _computed(self, kind: str, measurement: DxaMeasurement, needed: bool) -> tuple[float, str]:
        bmd = measurement.bmd_g_cm2
        if math.isnan(bmd) or not self._references:
            return math.nan, ""
        reference = self._reference(kind, measurement.site)
        if reference is None:
            if needed and kind == (self._choice.score or "T"):
                self._no_reference.append(measurement.site)
            return math.nan, ""
        source = f"reference set {reference.label}"
        if reference.device and not measurement.device:
            self._unknown_device = self._unknown_device or needed
        elif reference.device and measurement.device != reference.device:
            converted = cross_calibrated_bmd(bmd, measurement.site, measurement.device, reference.device)
            if converted is None:
                if needed:
                    self._no_equation.append(f"{measurement.site} from {measurement.device} to {reference.device}")
                return math.nan, ""
            bmd, source = converted, f"{source}, {CROSS_CALIBRATED}"
        return reference.score(bmd), source

    def _reference(self, kind: str, site: str) -> Reference | None:
        """The row of the set for a site: young women for T, the subject's own sex and age for Z."""
        for row in self._references:
            if row.site not in (site, region_of(site)):
                continue
            if kind == "T" and math.isnan(row.age_from) and row.sex == "female":
                return row
            if kind == "Z" and row.age_from <= self._subject.age_years < row.age_to and row.sex == self._sex():
                return row
        return None

    def _sex(self) -> str:
        return "female" if self._subject.menopause else self._subject.sex

    def _warn_of_references(self) -> None:
        if self._no_reference:
            sites = ", ".join(dict.fromkeys(self._no_reference))
            self._warnings.append(
                f"the reference set {self._references[0].name} has no row for {sites}, so no "
                f"{self._choice.score or 'T'}-score is computed there"
            )
        if self._no_equation:
            self._warnings.append(
                f"no equation brings {'; '.join(dict.fromkeys(self._no_equation))}: no score is computed"
            )
        if self._unknown_device:
            self._warnings.append(
                f"the densitometer is not given; the BMD is taken as one of {self._references[0].device}, the device "
                "of the reference set: give --dxa-device"
            )

    # ---- vertebrae

    def _with_proposals(self, sites: list[SiteAssessment]) -> list[SiteAssessment]:
        """Notes on vertebrae that may have to be excluded, and the question which of them are."""
        single = {site.site: site for site in sites if site.site in VERTEBRAE and _is_dxa(site.measurement)}
        why: dict[str, list[str]] = {}
        said = []
        for level, site in single.items():
            if not site.measurement.assessable:
                why.setdefault(level, []).append("marked as not assessable")
                said.append(f"{level} is marked as not assessable")
        for upper, lower in itertools.pairwise(VERTEBRAE):
            if upper not in single or lower not in single:
                continue
            pair = single[upper], single[lower]
            difference = abs(pair[0].t_score - pair[1].t_score)
            if all(site.measurement.assessable for site in pair) and settled(difference) > _NEIGHBOR_DIFFERENCE:
                why.setdefault(upper, []).append(f"more than 1.0 T from {lower}")
                why.setdefault(lower, []).append(f"more than 1.0 T from {upper}")
                said.append(f"{upper} and {lower} differ by {difference:.2g} T, more than 1.0")
        if said:
            self._warnings.append(
                f"vertebrae proposed for exclusion: {'; '.join(said)}. They still count: look at them, and give "
                "--exclude-vertebrae with those that are not to count, or none"
            )
        return [
            dataclasses.replace(site, note=f"proposed for exclusion: {', '.join(why[site.site])}")
            if site.site in why
            else site
            for site in sites
        ]

    def _spine(self, sites: list[SiteAssessment], wanted: Sequence[str]) -> list[SiteAssessment]:
        """The spine as one site: all of the wanted vertebrae that were measured and are not excluded; or nothing."""
        by_site = {site.site: site for site in sites if _is_dxa(site.measurement)}
        measured = {level for name in by_site for level in vertebrae_of(name)} & set(wanted)
        left = [level for level in VERTEBRAE if level in measured and level not in (self._excluded or ())]
        if len(left) < _LEAST_VERTEBRAE:
            if measured:
                why = f"only {left[0]} is left" if left else "none is left"
                self._warnings.append(
                    f"lumbar spine: {why}, and at least two vertebrae are needed; the hip counts instead"
                )
            return []
        name = spine_name(left)
        parts = [by_site[level].measurement for level in left if level in by_site]
        bmc, area = sum(part.bmc_g for part in parts), sum(part.area_cm2 for part in parts)
        whole = len(parts) == len(left) and math.isfinite(bmc) and math.isfinite(area)
        if name in by_site:
            given = by_site[name].measurement.bmd_g_cm2
            if whole and abs(bmc / area - given) > _ROUNDED_SUM:
                self._warnings.append(
                    f"{name}: its BMD {given:g} is not that of its vertebrae, sum of BMC over sum of area "
                    f"{bmc / area:.4f} g/cm2; check the table"
                )
            return [by_site[name]]
        if not whole:
            self._warnings.append(
                f"lumbar spine: {name} was not measured as a whole, and BMC and area are not given for each of its "
                "vertebrae, so it has no BMD"
            )
            return []
        devices = {part.device for part in parts}
        combined = DxaMeasurement(
            name, bmc / area, bmc_g=bmc, area_cm2=area, device=devices.pop() if len(devices) == 1 else ""
        )
        site = self._site(combined)
        kind = self._choice.score or "T"
        if math.isnan(site.score(kind)) and name not in self._no_reference:
            self._warnings.append(
                f"lumbar spine: {name} has no {kind}-score, since no reference for this combination is given"
            )
        return [dataclasses.replace(site, note="sum of BMC over sum of area")]

    # ---- the subject

    def _of_iscd(self, sites: list[SiteAssessment]) -> list[SiteAssessment]:
        """Lumbar spine, total hips and femoral necks; the radius where none of them has a score."""
        found = self._spine(sites, VERTEBRAE)
        found += [site for site in sites if region_of(site.site) in (TOTAL_HIP, FEMORAL_NECK)]
        kind = self._choice.score or "T"
        if all(math.isnan(site.score(kind)) for site in found):
            radius = [site for site in sites if region_of(site.site) == RADIUS and not math.isnan(site.score(kind))]
            if radius:
                self._warnings.append(f"neither spine nor hip has a {kind}-score, so the {RADIUS} counts")
            return found + radius
        return found

    def _chosen(self, sites: list[SiteAssessment], name: str) -> list[SiteAssessment]:
        """The site that the user has named; of a hip both sides where no side is named."""
        vertebrae = vertebrae_of(name)
        if len(vertebrae) == 1:
            raise InputError(
                f"the site {name} is a single vertebra, which never decides; name at least two, e.g. L1-L4"
            )
        if vertebrae:
            return self._spine(sites, vertebrae)
        return [site for site in sites if name in (site.site, region_of(site.site))]

    def _decision(self, candidates: list[SiteAssessment]) -> tuple[SiteAssessment | None, str, Classification]:
        """The lowest score among the candidates, and its category."""
        settings, kind = self._settings, self._choice.score
        if not kind:
            question = f"the subject is not classified: {self._choice.reason}"
            self._warnings.append(question)
            return None, "", not_classified(f"{question[0].upper()}{question[1:]}.")
        scored = [site for site in candidates if not math.isnan(site.score(kind))]
        sought = {
            "iscd": "lumbar spine, total hip or femoral neck",
            "paper": "the lumbar spine",
            "site": str(settings.site),
        }[settings.mode]
        if not scored:
            hint = "" if settings.reference else f"; give {kind}-scores, or BMD and --dxa-reference"
            return None, "", not_classified(f"There is no {kind}-score of {sought}, so nothing is classified{hint}.")
        lowest = min(scored, key=lambda site: settled(site.score(kind)))
        what = lowest.named(kind)
        if len(scored) > 1:
            others = ", ".join(f"{site.site} {settled(site.score(kind)):.9g}" for site in scored)
            what = f"{what}, the lowest of {others},"
        if kind == "Z":
            found = classify_z_score(lowest.z_score, what, settings.t_score_rounding)
        else:
            found = classify_t_score(lowest.t_score, what, settings.t_score_rounding, self._subject.fracture)
        more = ""
        if settings.mode == "iscd":
            regions = {region_of(site.site) for site in scored}
            spine = any(vertebrae_of(site.site) for site in scored)
            missing = [] if spine else ["lumbar spine"]
            missing += [region for region in (TOTAL_HIP, FEMORAL_NECK) if region not in regions]
            more += f" No {kind}-score of {' and '.join(missing)}." if missing else ""
        more += f" A {kind}-score counts: {self._choice.reason}." if self._choice.reason else ""
        return lowest, kind, Classification(found.category, found.sentence + more)

    def _qct(self, sites: list[SiteAssessment]) -> SiteAssessment | None:
        """The mean QCT density of at least two vertebrae; None where there is none."""
        dense = [site for site in sites if not math.isnan(site.measurement.qct_mg_cm3)]
        if not dense:
            return None
        kept = [site for site in dense if not site.note.startswith(("excluded", "holds"))]
        whole = [site for site in kept if len(vertebrae_of(site.site)) >= _LEAST_VERTEBRAE]
        single = [site for site in kept if len(vertebrae_of(site.site)) == 1]
        if whole:
            chosen = max(whole, key=lambda site: len(vertebrae_of(site.site)))
            name, density = chosen.site, chosen.measurement.qct_mg_cm3
        elif len(single) >= _LEAST_VERTEBRAE:
            name = spine_name(site.site for site in single)
            density = math.fsum(site.measurement.qct_mg_cm3 for site in single) / len(single)
        else:
            self._warnings.append("QCT is classified by the mean of at least two vertebrae; fewer are given")
            return None
        for site in dense:
            if site.site == name and not _is_dxa(site.measurement):
                return site
        mean = DxaMeasurement(name, qct_mg_cm3=density)
        classification = classify_qct(density, name, self._subject.fracture)
        return SiteAssessment(mean, math.nan, "", math.nan, "", classification, "mean QCT density")


def _is_dxa(measurement: DxaMeasurement) -> bool:
    """Whether anything but QCT was measured."""
    values = (measurement.bmd_g_cm2, measurement.t_score, measurement.z_score, measurement.bmc_g)
    return any(not math.isnan(value) for value in values)
