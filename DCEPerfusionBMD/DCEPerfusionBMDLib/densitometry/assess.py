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
from .dxa import Densitometry, DxaMeasurement, possible_score
from .references import CROSS_CALIBRATED, Reference, cross_calibrated_bmd, of_set, shipped_references
from .sites import FEMORAL_NECK, RADIUS, TOTAL_HIP, VERTEBRAE, region_of, site_name, spine_name, vertebrae_of
from .subject import OLDER_YEARS, ScoreChoice, Subject, score_choice

_SAME_SCORE = 0.15
_NEIGHBOR_DIFFERENCE = 1.0
_EXCHANGED = 0.3  # how far Z may be below T from 50 years on
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
        """T-score or Z-score.

        Parameters
        ----------
        kind : `T` or `Z`.

        Returns
        -------
        The score; NaN where there is none.
        """
        return self.t_score if kind == "T" else self.z_score

    def named(self, kind: str) -> str:
        """The site, with the reference set where the score was computed.

        Parameters
        ----------
        kind : `T` or `Z`.

        Returns
        -------
        Name for sentences.
        """
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
_NOT_ASSESSABLE = "marked as not assessable"
_OF_ANY_DEVICE = "of an unknown device, so not comparable across devices"


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

    Returns
    -------
    The sites in the order of the measurements, those that were put together after them; and what decides.

    Raises
    ------
    InputError
        for a reference set or a site that is not known, or a BMD that gives a score which is not possible.

    References
    ----------
    WHO Technical Report Series 843, 1994; ISCD Official Positions, Adult, 2019.
    """
    settings = settings or DensitometrySettings()
    rows = of_set(references or shipped_references(), settings.reference) if settings.reference else []
    found = _Assessor(densitometry, subject or Subject(), settings, rows).assessment()
    unread = "the reference sets that are given have no effect: none is chosen, give --dxa-reference"
    if references is None or settings.reference:
        return found
    return dataclasses.replace(found, warnings=(*found.warnings, unread))


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
        self._choice = score_choice(subject)
        self._excluded = settings.excluded()
        self._warnings: list[str] = list(densitometry.warnings)
        self._remarks: list[str] = []
        self._no_reference: list[str] = []
        self._no_equation: list[str] = []
        self._unknown_device = False
        self._any_device = False
        if settings.mode == "paper" and subject.is_adult:
            self._choose_as_the_paper()

    def assessment(self) -> Assessment:
        sites = [self._site(measurement) for measurement in self._densitometry.measurements]
        if self._excluded is None and self._settings.mode != "paper":
            sites = self._with_proposals(sites)
        self._warn_of_marked(sites)
        self._warn_of_exchange()
        if self._settings.mode == "site":
            candidates = self._chosen(sites, site_name(str(self._settings.site)))
        elif self._settings.mode == "paper":
            candidates = self._spine(sites, VERTEBRAE)
        else:
            candidates = self._of_iscd(sites)
        sites += [site for site in candidates if not any(site is other for other in sites)]
        self._warn_of_references()
        qct = self._qct(sites)
        may_decide = qct is not None and self._qct_may_decide(qct)
        if qct is not None and may_decide and not any(_is_dxa(site.measurement) for site in sites):
            deciding: SiteAssessment | None = qct
            score, classification = "QCT", qct.classification
            if self._choice.score == "Z":
                self._warnings.append(
                    f"the limits of QCT take no account of age; of DXA a Z-score would count: {self._choice.reason}"
                )
        else:
            deciding, score, classification = self._decision(candidates)
        sites += [qct] if qct is not None and not any(site is qct for site in sites) else []
        return Assessment(tuple(sites), deciding, score, classification, tuple(self._warnings))

    def _choose_as_the_paper(self) -> None:
        """The T-score, whatever ISCD takes; says so where it takes another, or does not know."""
        of_iscd, self._choice = self._choice, ScoreChoice("T", "")
        if of_iscd.score == "Z":
            self._remark(f"the mode paper ignores that ISCD takes a Z-score here: {of_iscd.reason}")
        elif not of_iscd.score:
            self._remark(f"the mode paper takes the T-score, where ISCD asks first: {of_iscd.reason}")

    def _remark(self, sentence: str) -> None:
        """A warning that the sentence of the subject repeats."""
        self._warnings.append(sentence)
        self._remarks.append(f"{sentence[0].upper()}{sentence[1:]}.")

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
        elif not measurement.assessable:
            note = _NOT_ASSESSABLE
        site = SiteAssessment(measurement, t_score, t_source, z_score, z_source, not_classified(""), note)
        return dataclasses.replace(site, classification=self._classify(site))

    def _classify(self, site: SiteAssessment) -> Classification:
        rounding = self._settings.t_score_rounding
        fracture = self._subject.fracture
        what = site.named(self._choice.score)
        if not math.isnan(site.measurement.qct_mg_cm3) and not _is_dxa(site.measurement):
            found = self._classify_qct(site.measurement.qct_mg_cm3, site.site)
        elif not self._choice.score:
            return not_classified(f"Not classified: {self._choice.reason}.")
        elif self._choice.score == "Z":
            found = classify_z_score(site.z_score, what, rounding)
        else:
            found = classify_t_score(site.t_score, what, rounding, fracture)
        if len(vertebrae_of(site.site)) == 1:
            found = Classification(found.category, f"{found.sentence} A single vertebra never decides.")
        return found

    def _classify_qct(self, density_mg_cm3: float, site: str) -> Classification:
        """Category of a QCT density: of adults, and of lumbar vertebrae, for which the limits are."""
        if not self._subject.is_adult:
            return not_classified(f"Not classified: {self._choice.reason}.")
        if not vertebrae_of(site):
            return not_classified(f"The limits of QCT are for lumbar vertebrae, so {site} is not classified.")
        return classify_qct(density_mg_cm3, site, self._subject.fracture)

    def _score(self, kind: str, measurement: DxaMeasurement) -> tuple[float, str]:
        """The score and where it is from: the table before the reference set."""
        given = measurement.t_score if kind == "T" else measurement.z_score
        computed, source = self._computed(kind, measurement, math.isnan(given))
        if math.isnan(given):
            if not (math.isnan(computed) or possible_score(computed)):
                raise InputError(
                    f"{measurement.site}: the BMD {measurement.bmd_g_cm2:.4g} g/cm2 gives a {kind}-score of "
                    f"{computed:.3g} by the {source}, which is not possible; check BMD, unit and reference set"
                )
            return computed, source
        if settled(abs(given - computed)) > _SAME_SCORE:
            self._warnings.append(
                f"{measurement.site}: the table's {kind}-score {given:g} is used, but the {source}, gives "
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
        source = f"reference set {reference.label}" + ("" if reference.device else f", {_OF_ANY_DEVICE}")
        self._any_device = self._any_device or (needed and not reference.device)
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

        if self._any_device:
            self._warnings.append(
                f"the reference set {self._references[0].name} is {_OF_ANY_DEVICE}: use one of your device"
            )

    def _warn_of_exchange(self) -> None:
        """From 50 years on Z lies above T."""
        if not self._subject.age_years >= OLDER_YEARS:
            return
        sites = [
            f"{given.site} (T {given.t_score:g}, Z {given.z_score:g})"
            for given in self._densitometry.measurements
            if settled(given.t_score - given.z_score) > _EXCHANGED
        ]
        if sites:
            self._warnings.append(
                f"the Z-score is below the T-score, which is unusual from 50 years on: {', '.join(sites)}; T and Z may "
                "be exchanged, check the columns"
            )

    # ---- vertebrae

    def _warn_of_marked(self, sites: list[SiteAssessment]) -> None:
        """Where a mark as not assessable is obeyed, and where it is not."""
        marked = [site for site in sites if not site.measurement.assessable]
        for site in marked:
            if not _only_proposed(site):
                self._warnings.append(f"{site.site} is {_NOT_ASSESSABLE}, so it does not count")
        kept = [site.site for site in marked if _only_proposed(site) and site.note == _NOT_ASSESSABLE]
        if kept and self._excluded is None:  # the mode paper
            self._warnings.append(
                f"{_NOT_ASSESSABLE}, but the mode paper proposes no exclusion, so the spine counts with it: "
                f"{', '.join(kept)}; give --exclude-vertebrae"
            )
        elif kept:
            self._warnings.append(
                f"{_NOT_ASSESSABLE}, but left in by --exclude-vertebrae: {', '.join(kept)}; look at the image"
            )

    def _with_proposals(self, sites: list[SiteAssessment]) -> list[SiteAssessment]:
        """Notes on vertebrae that may have to be excluded, and the question which of them are."""
        single = {site.site: site for site in sites if site.site in VERTEBRAE and _is_dxa(site.measurement)}
        why: dict[str, list[str]] = {}
        said, unknown = [], []
        for level, site in single.items():
            if not site.measurement.assessable:
                why.setdefault(level, []).append(_NOT_ASSESSABLE)
                said.append(f"{level} is {_NOT_ASSESSABLE}")
        for upper, lower in itertools.pairwise(VERTEBRAE):
            if upper not in single or lower not in single:
                continue
            pair = single[upper], single[lower]
            if not all(site.measurement.assessable for site in pair):
                continue
            differences = {kind: abs(pair[0].score(kind) - pair[1].score(kind)) for kind in ("T", "Z")}
            kind = next((kind for kind in differences if not math.isnan(differences[kind])), "")
            if not kind:
                unknown.append(f"{upper} and {lower}")
            elif settled(differences[kind]) > _NEIGHBOR_DIFFERENCE:
                why.setdefault(upper, []).append(f"more than 1.0 {kind} from {lower}")
                why.setdefault(lower, []).append(f"more than 1.0 {kind} from {upper}")
                said.append(f"{upper} and {lower} differ by {differences[kind]:.2g} {kind}, more than 1.0")
        if unknown:
            self._warnings.append(
                f"whether neighbors differ by more than 1.0 T could not be checked for {', '.join(unknown)}, without a "
                "T- or Z-score of both; look at them"
            )
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
        """The spine as one site: all of the wanted vertebrae that were measured and are not excluded.

        Where these have no score together, the largest combination of them that has one; or nothing.
        """
        by_site = {site.site: site for site in sites if _is_dxa(site.measurement) and _counts(site)}
        marked = {site.site for site in sites if not _counts(site)}
        measured = {level for name in by_site for level in vertebrae_of(name)} & set(wanted)
        left = [level for level in VERTEBRAE if level in measured and level not in (self._excluded or ())]
        if len(left) < _LEAST_VERTEBRAE:
            if measured:
                why = f"only {left[0]} is left" if left else "none is left"
                self._warnings.append(
                    f"lumbar spine: {why}, and at least two vertebrae are needed; the hip counts instead"
                )
            return []
        name, kind = spine_name(left), self._choice.score or "T"
        combinations = [
            site
            for site in by_site.values()
            if len(vertebrae_of(site.site)) > 1 and set(vertebrae_of(site.site)) <= set(left)
        ]
        combined = _combined([by_site[level].measurement for level in left if level in by_site])
        if combined is not None and combined.site in by_site:
            self._check_sum(by_site[combined.site].measurement, combined)
        elif combined is not None and name not in by_site and combined.site not in marked:
            combinations.append(dataclasses.replace(self._site(combined), note="sum of BMC over sum of area"))
        if not combinations:
            lacks = (
                f"is {_NOT_ASSESSABLE}"
                if name in marked
                else "was not measured as a whole, and BMC and area are not given for each of its vertebrae"
            )
            self._warnings.append(f"lumbar spine: {name} {lacks}, so it has no BMD")
            return []
        scored = [site for site in combinations if not math.isnan(site.score(kind))] or combinations
        size = max(len(vertebrae_of(site.site)) for site in scored)
        largest = [site for site in scored if len(vertebrae_of(site.site)) == size]
        found = min(largest, key=lambda site: settled(site.score(kind)))
        if found.site != name:
            whole = any(site.site == name for site in combinations)
            lacks = f"has no {kind}-score" if whole else "was not measured as a whole"
            lacks = f"is {_NOT_ASSESSABLE}" if name in marked else lacks
            alike = f", with the lowest score of {', '.join(site.site for site in largest)}" if len(largest) > 1 else ""
            self._remark(
                f"lumbar spine: {name} {lacks}; {found.site} counts, the largest combination of its vertebrae that "
                f"can{alike}"
            )
        elif name not in by_site and math.isnan(found.score(kind)) and name not in self._no_reference:
            self._warnings.append(
                f"lumbar spine: {name} has no {kind}-score, since no reference for this combination is given"
            )
        return [found]

    def _check_sum(self, whole: DxaMeasurement, combined: DxaMeasurement) -> None:
        """A combination measured as a whole must be what its vertebrae make."""
        if abs(combined.bmd_g_cm2 - whole.bmd_g_cm2) > _ROUNDED_SUM:
            self._warnings.append(
                f"{whole.site}: its BMD {whole.bmd_g_cm2:g} is not that of its vertebrae, sum of BMC over sum of area "
                f"{combined.bmd_g_cm2:.4f} g/cm2; check the table"
            )

    # ---- the subject

    def _of_iscd(self, sites: list[SiteAssessment]) -> list[SiteAssessment]:
        """Lumbar spine, total hips and femoral necks; the radius where none of them has a score."""
        found = self._spine(sites, VERTEBRAE)
        sites = [site for site in sites if _counts(site)]
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
        return [site for site in sites if name in (site.site, region_of(site.site)) and _counts(site)]

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
        return lowest, kind, Classification(found.category, " ".join([found.sentence + more, *self._remarks]))

    def _qct(self, sites: list[SiteAssessment]) -> SiteAssessment | None:
        """The mean QCT density of at least two vertebrae; None where there is none."""
        dense = [site for site in sites if not math.isnan(site.measurement.qct_mg_cm3)]
        if not dense:
            return None
        excluded, wanted = set(self._excluded or ()), set(VERTEBRAE)
        if self._settings.mode == "site":
            wanted = set(vertebrae_of(site_name(str(self._settings.site)))) or wanted
        kept = []
        for site in dense:
            levels = set(vertebrae_of(site.site))
            if site.measurement.assessable and levels and levels <= wanted - excluded:
                kept.append(site)
            elif not site.measurement.assessable and _only_proposed(site):
                self._warnings.append(f"QCT of {site.site} is left out: it is {_NOT_ASSESSABLE}")
        whole = [site for site in kept if len(vertebrae_of(site.site)) >= _LEAST_VERTEBRAE]
        single = [site for site in kept if len(vertebrae_of(site.site)) == 1]
        if whole:
            chosen = max(whole, key=lambda site: len(vertebrae_of(site.site)))
            name, density = chosen.site, chosen.measurement.qct_mg_cm3
            left_out = [site.site for site in kept if not set(vertebrae_of(site.site)) <= set(vertebrae_of(name))]
            if left_out:
                self._warnings.append(
                    f"QCT: {name} was measured as a whole and counts alone; {', '.join(left_out)} are left out"
                )
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
        return SiteAssessment(mean, math.nan, "", math.nan, "", self._classify_qct(density, name), "mean QCT density")

    def _qct_may_decide(self, qct: SiteAssessment) -> bool:
        """Whether QCT is what was asked for: not by the paper, nor for a subject under age, nor at another site."""
        if self._settings.mode == "paper" or not self._subject.is_adult:
            return False
        if self._settings.mode == "site":
            return set(vertebrae_of(qct.site)) <= set(vertebrae_of(site_name(str(self._settings.site))))
        return True


def _combined(parts: Sequence[DxaMeasurement]) -> DxaMeasurement | None:
    """The vertebrae with BMC and area as one site: sum of BMC over sum of area; None where there are fewer than two."""
    parts = [part for part in parts if math.isfinite(part.bmc_g) and math.isfinite(part.area_cm2)]
    if len(parts) < _LEAST_VERTEBRAE:
        return None
    bmc, area = sum(part.bmc_g for part in parts), sum(part.area_cm2 for part in parts)
    devices = {part.device for part in parts}
    device = devices.pop() if len(devices) == 1 else ""
    return DxaMeasurement(spine_name(part.site for part in parts), bmc / area, bmc_g=bmc, area_cm2=area, device=device)


def _only_proposed(site: SiteAssessment) -> bool:
    """A single vertebra of DXA, which only the user excludes."""
    return len(vertebrae_of(site.site)) == 1 and _is_dxa(site.measurement)


def _counts(site: SiteAssessment) -> bool:
    """Whether a site may decide, or take part in what decides: not where it is marked as not assessable."""
    return site.measurement.assessable or _only_proposed(site)


def _is_dxa(measurement: DxaMeasurement) -> bool:
    """Whether anything but QCT was measured."""
    values = (measurement.bmd_g_cm2, measurement.t_score, measurement.z_score, measurement.bmc_g)
    return any(not math.isnan(value) for value in values)
