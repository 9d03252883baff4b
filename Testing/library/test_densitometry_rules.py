"""Who gets which score, which site decides, what is proposed for exclusion, and densitometry beside perfusion."""

import collections
import csv
import math
import re
import tempfile
import unittest
from pathlib import Path

import support
from DCEPerfusionBMDLib.densitometry import (
    Densitometry,
    Subject,
    assess,
    classification_table,
    comparison_table,
    measurements_from_rows,
    paper_groups,
    perfusion_groups,
    read_cohort,
    read_references,
    score_choice,
    shipped_references,
)
from DCEPerfusionBMDLib.densitometry import DxaMeasurement as Dxa
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.settings import DensitometrySettings, from_dict
from DCEPerfusionBMDLib.tables import Column, Table

NORMAL, LOW, OSTEOPOROSIS, SEVERE = "normal", "low bone mass", "osteoporosis", "severe osteoporosis"
WITHIN, BELOW, NONE = "within the expected range for age", "below the expected range for age", "not classified"
LEVELS = ("L1", "L2", "L3", "L4")
WOMAN = Subject("female", 65.0, "post")


def found(measurements, subject=WOMAN, references=None, **settings):
    return assess(Densitometry("A", tuple(measurements)), subject, DensitometrySettings(**settings), references)


def decided(assessment):
    site = assessment.deciding.site if assessment.deciding is not None else ""
    return site, assessment.score, assessment.classification.category.value


class WhoGetsWhich(unittest.TestCase):
    """Postmenopausal women, women in transition and men from 50 on: T; all others Z; unknown below 50: asked."""

    def test_groups(self):
        nan = math.nan
        for sex, age, menopause, score, words in (
            ("female", 65.0, "post", "T", "postmenopausal woman"),
            ("female", 42.0, "post", "T", "postmenopausal woman"),  # the paper's women aged 40~
            ("female", nan, "post", "T", "postmenopausal woman"),
            ("female", 48.0, "transition", "T", "menopausal transition"),
            ("female", nan, "transition", "T", "menopausal transition"),
            ("female", 45.0, "pre", "Z", "premenopausal woman"),
            ("female", 52.0, "pre", "Z", "premenopausal woman"),
            ("female", nan, "pre", "Z", "premenopausal woman"),
            ("female", 50.0, "", "T", "taken as postmenopausal since the status is not given"),
            ("female", 49.99, "", "", "give --menopause"),
            ("female", 20.0, "", "", "give --menopause"),
            ("female", nan, "", "", "give --menopause or --age"),
            ("male", 50.0, "", "T", "man from 50 years on"),
            ("male", 49.99, "", "Z", "man below 50 years"),
            ("male", 20.0, "", "Z", "man below 50 years"),
            ("male", nan, "", "", "give --age"),
            ("", 65.0, "", "", "give --sex"),
            ("", nan, "", "", "give --sex"),
            ("", 60.0, "post", "T", "postmenopausal woman"),
            ("female", 19.99, "post", "", "adults from 20 years on"),
            ("male", 12.0, "", "", "adults from 20 years on"),
        ):
            with self.subTest(sex=sex, age=age, menopause=menopause):
                choice = score_choice(Subject(sex, age, menopause))
                self.assertEqual(choice.score, score)
                self.assertIn(words, choice.reason)
        with self.assertRaisesRegex(InputError, "the subject is male, but the menopausal status is 'post'"):
            Subject("male", 60.0, "post")

    def test_what_is_unknown_is_asked(self):
        assessment = found([Dxa("L1-L4", 0.7, -2.7)], Subject("female", 45.0))
        self.assertEqual(decided(assessment), ("", "", NONE))
        self.assertIn("give --menopause", " ".join(assessment.warnings))
        self.assertIn("give --menopause", assessment.classification.sentence)
        self.assertEqual(assessment.sites[0].classification.category.value, NONE)

    def test_groups_reach_the_categories(self):
        site = [Dxa("L1-L4", 0.7, -2.7, -2.0)]
        for subject, expected in (
            (WOMAN, ("L1-L4", "T", OSTEOPOROSIS)),
            (Subject("female", 65.0, "post", True), ("L1-L4", "T", SEVERE)),
            (Subject("female", 40.0, "pre"), ("L1-L4", "Z", BELOW)),
            (Subject("female", 40.0, "pre", True), ("L1-L4", "Z", BELOW)),
            (Subject("male", 49.0), ("L1-L4", "Z", BELOW)),
            (Subject("male", 50.0), ("L1-L4", "T", OSTEOPOROSIS)),
        ):
            with self.subTest(subject=subject):
                assessment = found(site, subject)
                self.assertEqual(decided(assessment), expected)
                self.assertEqual(assessment.sites[0].classification.category.value, expected[2])
        no_z = found([Dxa("L1-L4", 0.7, -2.7)], Subject("male", 49.0))
        self.assertEqual(decided(no_z), ("", "", NONE))
        self.assertIn("There is no Z-score", no_z.classification.sentence)

    def test_settings_refuse_what_cannot_be(self):
        for values, words in (
            ({"age_years": 700.0}, "age_years is 700 years; the largest value accepted is 120 years"),
            ({"age_years": 95.0}, "age_years is 95; ages above 90 may name a person and are not kept: give 90"),
            ({"age_years": -3.0}, "age_years is -3 years; the smallest value accepted is 0 years"),
            ({"sex": "w"}, "sex is 'w'; choose one of female, male"),
            ({"menopause": "yes"}, "menopause is 'yes'; choose one of pre, transition, post"),
            ({"mode": "who"}, "mode is 'who'; choose one of iscd, paper, site"),
            ({"mode": "site"}, "the mode of classification is 'site' and the site 'not given'"),
            ({"site": "L1-L4"}, "the mode of classification is 'iscd' and the site 'L1-L4'"),
            ({"exclude_vertebrae": "L2,L5"}, "exclude_vertebrae 'L2,L5': 'L5' is none of L1, L2, L3, L4"),
            ({"fragility_fracture": "yes"}, "fragility_fracture must be true or false, not 'yes'"),
        ):
            with self.subTest(**values), self.assertRaisesRegex(InputError, words):
                from_dict({"densitometry": values})
        self.assertEqual(DensitometrySettings(exclude_vertebrae="l2, L3").excluded(), ("L2", "L3"))
        self.assertEqual(DensitometrySettings(exclude_vertebrae="none").excluded(), ())
        self.assertIsNone(DensitometrySettings().excluded())
        self.assertEqual(DensitometrySettings(age_years=90.0).age_years, 90.0)


class DecidingSite(unittest.TestCase):
    """ISCD: the lowest of lumbar spine, total hip and femoral neck; paper: the lumbar spine alone."""

    def test_sites(self):
        spine, hip, neck = Dxa("L1-L4", t_score=-1.6), Dxa("total hip", t_score=-1.2), Dxa("femoral neck", t_score=-2.6)
        radius = Dxa("33 % radius", t_score=-3.0)
        for measurements, settings, expected in (
            ([spine, hip, neck], {}, ("femoral neck", "T", OSTEOPOROSIS)),
            ([spine, hip], {}, ("L1-L4", "T", LOW)),
            ([hip], {}, ("total hip", "T", LOW)),
            ([spine, hip, neck], {"mode": "paper"}, ("L1-L4", "T", LOW)),
            ([hip, neck], {"mode": "paper"}, ("", "", NONE)),
            ([spine, hip, neck], {"mode": "site", "site": "total hip"}, ("total hip", "T", LOW)),
            ([spine, hip, neck], {"mode": "site", "site": "Spine L1-L4"}, ("L1-L4", "T", LOW)),
            ([spine], {"mode": "site", "site": "femoral neck"}, ("", "", NONE)),
            ([spine, radius], {}, ("L1-L4", "T", LOW)),  # the radius counts only where spine and hip do not
            ([hip, radius], {}, ("total hip", "T", LOW)),
            ([radius], {}, ("33 % radius", "T", OSTEOPOROSIS)),
            ([Dxa("L1-L4", 0.7), radius], {}, ("33 % radius", "T", OSTEOPOROSIS)),
            (
                [Dxa("total hip left", t_score=-1.0), Dxa("total hip right", t_score=-2.5)],
                {},
                ("total hip right", "T", OSTEOPOROSIS),
            ),
            ([Dxa("L2", t_score=-3.0)], {}, ("", "", NONE)),  # never a single vertebra
            ([Dxa("L2", t_score=-3.0), hip], {}, ("total hip", "T", LOW)),
            ([Dxa("L2", t_score=-3.0), spine], {}, ("L1-L4", "T", LOW)),
            ([Dxa("L2-L4", t_score=-2.0), hip], {}, ("L2-L4", "T", LOW)),
            ([Dxa("L2-L4", t_score=-3.0), spine], {}, ("L1-L4", "T", LOW)),  # all that can be evaluated
            ([Dxa("L1-L4", t_score=-2.45)], {}, ("L1-L4", "T", LOW)),
            ([Dxa("L1-L4", t_score=-2.45)], {"t_score_rounding": "reported"}, ("L1-L4", "T", OSTEOPOROSIS)),
            ([Dxa("L1-L4")], {}, ("", "", NONE)),
        ):
            with self.subTest(sites=[m.site for m in measurements], **settings):
                self.assertEqual(decided(found(measurements, **settings))[: len(expected)], expected)

    def test_sentence(self):
        measurements = [Dxa("L1-L4", t_score=-1.6), Dxa("femoral neck", t_score=-2.6)]
        self.assertEqual(
            found(measurements).classification.sentence,
            "T-score -2.6 of femoral neck, the lowest of L1-L4 -1.6, femoral neck -2.6, is at or below -2.5: T-score "
            "category osteoporosis (WHO 1994). No T-score of total hip. A T-score counts: postmenopausal woman.",
        )
        radius = found([Dxa("33 % radius", t_score=-3.0)])
        self.assertIn("neither spine nor hip has a T-score, so the 33 % radius counts", radius.warnings)
        single = found([Dxa("L2", t_score=-3.0)]).sites[0].classification
        self.assertEqual(single.category.value, OSTEOPOROSIS)
        self.assertIn("A single vertebra never decides.", single.sentence)

    def test_the_paper_takes_the_t_score_of_adults(self):
        """Huang 2019 classifies by the lumbar T-score alone; what ISCD takes is said, and children are refused."""
        spine = [Dxa("L1-L4", t_score=-2.6, z_score=-1.0)]
        self.assertEqual(found(spine, mode="paper").warnings, ())
        for subject, words in (
            (Subject("male", 30.0), "the mode paper ignores that ISCD takes a Z-score here: man below 50 years"),
            (
                Subject("female", 35.0, "pre"),
                "the mode paper ignores that ISCD takes a Z-score here: premenopausal woman",
            ),
            (Subject(), "the mode paper takes the T-score, where ISCD asks first: the sex decides"),
        ):
            with self.subTest(subject=subject):
                assessment = found(spine, subject, mode="paper")
                self.assertEqual(decided(assessment), ("L1-L4", "T", OSTEOPOROSIS))
                self.assertIn(words, " ".join(assessment.warnings))
                self.assertIn(words[1:], assessment.classification.sentence)
        for subject in (Subject("male", 12.0), Subject("female", 19.99, "post")):
            child = found(spine, subject, mode="paper")
            self.assertEqual(decided(child), ("", "", NONE))
            self.assertEqual({site.classification.category.value for site in child.sites}, {NONE})
            self.assertIn("the rules are for adults from 20 years on", " ".join(child.warnings))

    def test_what_is_not_assessable_never_decides(self):
        """A hip, or a spine as a whole: no exclusion of vertebrae can mend it."""
        spine, hip = Dxa("L1-L4", t_score=-0.5), Dxa("total hip", t_score=-1.2)
        neck = Dxa("femoral neck left", t_score=-2.9, assessable=False)
        bad = Dxa("L1-L4", t_score=-3.5, assessable=False)
        for measurements, settings, expected, left_out in (
            ([spine, neck], {}, ("L1-L4", "T", NORMAL), "femoral neck left"),
            ([bad, hip], {}, ("total hip", "T", LOW), "L1-L4"),
            ([bad, hip], {"exclude_vertebrae": "none"}, ("total hip", "T", LOW), "L1-L4"),
            ([bad, hip], {"mode": "paper"}, ("", "", NONE), "L1-L4"),
            ([bad, hip], {"mode": "site", "site": "L1-L4"}, ("", "", NONE), "L1-L4"),
            ([spine, neck], {"mode": "site", "site": "femoral neck"}, ("", "", NONE), "femoral neck left"),
            ([bad, Dxa("L2-L4", t_score=-1.5)], {}, ("L2-L4", "T", LOW), "L1-L4"),
            ([Dxa("33 % radius", t_score=-3.0, assessable=False)], {}, ("", "", NONE), "33 % radius"),
        ):
            with self.subTest(sites=[m.site for m in measurements], **settings):
                assessment = found(measurements, **settings)
                self.assertEqual(decided(assessment), expected)
                self.assertIn(f"{left_out} is marked as not assessable, so it does not count", assessment.warnings)
                notes = {site.site: site.note for site in assessment.sites}
                self.assertEqual(notes[left_out], "marked as not assessable")

    def test_t_and_z_exchanged(self):
        """From 50 years on people lose bone, so Z lies above T."""
        for subject, z_score, warned in (
            (WOMAN, -2.8, True),
            (WOMAN, -1.21, True),
            (WOMAN, -1.2, False),
            (WOMAN, 0.3, False),
            (Subject("male", 50.0), -2.8, True),
            (Subject("female", 49.9, "post"), -2.8, False),
        ):
            with self.subTest(subject=subject, z_score=z_score):
                assessment = found([Dxa("L1-L4", t_score=-0.9, z_score=z_score)], subject)
                said = f"L1-L4 (T -0.9, Z {z_score:g}); T and Z may be exchanged" in " ".join(assessment.warnings)
                self.assertEqual(said, warned)

    def test_warnings_of_the_table_are_kept(self):
        measured = Densitometry("A", (Dxa("L1-L4", t_score=-1.0),), ("columns",))
        self.assertEqual(assess(measured, WOMAN).warnings, ("columns",))

    def test_a_single_vertebra_cannot_be_chosen(self):
        with self.assertRaisesRegex(InputError, "the site L3 is a single vertebra, which never decides"):
            found([Dxa("L3", t_score=-1.0)], mode="site", site="L3")
        with self.assertRaisesRegex(InputError, "the site 'wrist' is not known"):
            found([Dxa("L1-L4", t_score=-1.0)], mode="site", site="wrist")


class Vertebrae(unittest.TestCase):
    """ISCD: not assessable, or more than 1.0 T from a neighbor; proposed, and the user decides; at least two."""

    def spine(self, *scores, bmd=0.9, **changes):
        measured = [
            Dxa(f"L{n}", bmd, score, bmc_g=bmd * 10.0 * n, area_cm2=10.0 * n) for n, score in enumerate(scores, start=1)
        ]
        return [m if m.site not in changes else Dxa(m.site, t_score=m.t_score, **changes[m.site]) for m in measured]

    def proposed(self, assessment):
        return [site.site for site in assessment.sites if site.note.startswith("proposed for exclusion")]

    def test_proposals(self):
        for scores, expected in (
            ((-1.0, -1.0, -1.0, -1.0), []),
            ((-1.2, -2.2, -2.2, -2.2), []),  # -1.2 - (-2.2) is more than 1.0 in floating point only
            ((-1.2, -2.2001, -2.2, -2.2), ["L1", "L2"]),
            ((-1.0, -1.0, 1.5, -1.0), ["L2", "L3", "L4"]),
            ((0.0, -1.0, -2.0, -3.0), []),
            ((0.0, -1.01, -2.0, -3.0), ["L1", "L2"]),
            ((-1.0, math.nan, -3.0, -3.0), []),  # L1 and L3 are no neighbors
            ((0.356, -1.625, -2.989, -1.625), ["L1", "L2", "L3", "L4"]),
        ):
            with self.subTest(scores=scores):
                assessment = found([*self.spine(*scores), Dxa("L1-L4", 0.9, -1.0)])
                self.assertEqual(self.proposed(assessment), expected)
                self.assertEqual(decided(assessment), ("L1-L4", "T", NORMAL))  # proposed is not excluded
                asked = [warning for warning in assessment.warnings if "--exclude-vertebrae" in warning]
                self.assertEqual(len(asked), 1 if expected else 0)
                paper = found([*self.spine(*scores), Dxa("L1-L4", 0.9, -1.0)], mode="paper")
                self.assertEqual((self.proposed(paper), paper.warnings), ([], ()))

    def test_not_assessable(self):
        vertebrae = self.spine(-1.0, -1.0, 1.5, -1.0, L3={"assessable": False, "bmd_g_cm2": 1.2})
        assessment = found([*vertebrae, Dxa("L1-L4", 0.9, -1.0)])
        self.assertEqual(self.proposed(assessment), ["L3"])
        self.assertIn("L3 is marked as not assessable", assessment.warnings[0])

    def test_a_decision_ends_the_proposals(self):
        measurements = [*self.spine(-1.0, -1.0, 1.5, -1.0), Dxa("L1-L4", 0.9, -1.0), Dxa("L1+L2+L4", 0.8, -1.4)]
        kept = found(measurements, exclude_vertebrae="none")
        self.assertEqual((self.proposed(kept), kept.warnings), ([], ()))
        self.assertEqual(decided(kept), ("L1-L4", "T", NORMAL))
        excluded = found(measurements, exclude_vertebrae="L3")
        self.assertEqual(decided(excluded), ("L1+L2+L4", "T", LOW))
        notes = {site.site: site.note for site in excluded.sites}
        self.assertEqual((notes["L3"], notes["L1-L4"]), ("excluded by the user", "holds L3, excluded by the user"))
        self.assertEqual(notes["L1+L2+L4"], "")

    def test_a_vertebra_not_assessable_that_is_left_in(self):
        vertebrae = self.spine(3.0, -2.0, 1.0, -2.0, L1={"assessable": False})
        whole = [Dxa("L1-L4", t_score=-0.9), Dxa("L1+L2+L4", t_score=-1.5)]
        for settings, words in (
            ({"exclude_vertebrae": "L3"}, "left in by --exclude-vertebrae: L1; look at the image"),
            ({"exclude_vertebrae": "none"}, "left in by --exclude-vertebrae: L1; look at the image"),
            ({"mode": "paper"}, "the mode paper proposes no exclusion, so the spine counts with it: L1; give --excl"),
        ):
            with self.subTest(**settings):
                assessment = found([*vertebrae, *whole], **settings)
                self.assertIn(f"marked as not assessable, but {words}", " ".join(assessment.warnings))
                self.assertEqual(assessment.classification.category.value, LOW if "L3" in settings.values() else NORMAL)
        gone = found([*vertebrae, Dxa("L2-L4", t_score=-1.5)], exclude_vertebrae="L1")
        self.assertNotIn("not assessable", " ".join(gone.warnings))

    def test_neighbors_without_t_scores(self):
        """The rule of 1.0 T is made with Z where there is no T; where there is neither, that is said."""
        bmds = (1.6, 0.9, 0.9, 0.9)
        vertebrae = [Dxa(f"L{n}", bmd, bmc_g=14.0 * bmd, area_cm2=14.0) for n, bmd in enumerate(bmds, start=1)]
        assessment = found(vertebrae, reference="GE Lunar", device="GE Lunar")
        words = "more than 1.0 T could not be checked for L1 and L2, L2 and L3, L3 and L4, without a T- or Z-score"
        self.assertIn(words, " ".join(assessment.warnings))
        some = found([*self.spine(-1.0, math.nan, -1.0, -1.0), Dxa("L1-L4", 0.9, -1.0)])
        self.assertIn("could not be checked for L1 and L2, L2 and L3, without", " ".join(some.warnings))
        for measurements in (vertebrae[:1], [vertebrae[0], vertebrae[2]], self.spine(-1.0, -1.0, -1.0, -1.0)):
            self.assertNotIn("could not be checked", " ".join(found(measurements).warnings))
        by_z = found(
            [Dxa("L1", z_score=2.0), Dxa("L2", z_score=-2.5), Dxa("L1-L4", z_score=-1.5)],
            Subject("female", 35.0, "pre"),
        )
        self.assertEqual(self.proposed(by_z), ["L1", "L2"])
        self.assertIn("L1 and L2 differ by 4.5 Z, more than 1.0", " ".join(by_z.warnings))
        self.assertNotIn("could not be checked", " ".join(by_z.warnings))

    def test_the_largest_combination_that_was_measured(self):
        """What a device exports of the spine is not lost because another vertebra was measured too."""
        first, hip = Dxa("L1", 1.1, -0.5), Dxa("total hip", 0.9, -0.5)
        lower = Dxa("L2-L4", 0.8, -3.1)
        for measurements, settings, site, score in (
            ([first, lower, hip], {}, "L2-L4", -3.1),
            ([first, lower, hip], {"exclude_vertebrae": "none"}, "L2-L4", -3.1),
            ([first, lower, hip], {"mode": "paper"}, "L2-L4", -3.1),
            ([first, lower, Dxa("L3-L4", 0.8, -3.3), hip], {}, "L2-L4", -3.1),
            ([Dxa("L1-L3", 1.0, -2.6), lower, hip], {}, "L2-L4", -3.1),  # of two alike the lower
            ([Dxa("L1-L2", 1.0, -2.6), Dxa("L3-L4", 0.8, -3.0), hip], {}, "L3-L4", -3.0),
            ([Dxa("L1-L4", 0.8), lower, hip], {}, "L2-L4", -3.1),  # L1-L4 has no T-score
        ):
            with self.subTest(sites=[m.site for m in measurements], **settings):
                assessment = found(measurements, **settings)
                self.assertEqual(decided(assessment), (site, "T", OSTEOPOROSIS))
                self.assertEqual(assessment.deciding.t_score, score)
                lacks = "has no T-score" if measurements[0].site == "L1-L4" else "was not measured as a whole"
                words = f"umbar spine: L1-L4 {lacks}; {site} counts, the largest combination of its vertebrae"
                self.assertIn(words, " ".join(assessment.warnings))
                self.assertIn(words, assessment.classification.sentence)
        marked = [Dxa("L1-L4", 1.0, -0.5, assessable=False), first, lower, hip]
        words = "lumbar spine: L1-L4 is marked as not assessable; L2-L4 counts"
        self.assertIn(words, " ".join(found(marked).warnings))
        upper = found([Dxa("L1-L2", 1.0, -1.5), Dxa("L3-L4", 0.8, -3.0), hip], exclude_vertebrae="L3")
        self.assertEqual(decided(upper), ("L1-L2", "T", LOW))

    def test_the_largest_sum(self):
        """L1 has no BMC: (10 + 15 + 20) g over (10 + 30 + 10) cm2 of L2-L4 is 0.9; GE Lunar: (0.9 - 1.20) / 0.12."""
        vertebrae = [
            Dxa("L1", 1.0),
            Dxa("L2", 1.0, bmc_g=10.0, area_cm2=10.0),
            Dxa("L3", 0.5, bmc_g=15.0, area_cm2=30.0),
            Dxa("L4", 2.0, bmc_g=20.0, area_cm2=10.0),
        ]
        assessment = found(vertebrae, reference="GE Lunar", device="GE Lunar", exclude_vertebrae="none")
        self.assertEqual(decided(assessment), ("L2-L4", "T", OSTEOPOROSIS))
        self.assertAlmostEqual(assessment.deciding.t_score, -2.5, places=9)

    def test_sum_of_contents_over_sum_of_areas(self):
        """(10 + 5) g over (10 + 10) cm2 with areas 10 and 10 is 0.75; with areas 10 and 30 it is no mean of BMDs."""
        vertebrae = [
            Dxa("L1", 1.0, -1.0, bmc_g=10.0, area_cm2=10.0),
            Dxa("L2", 1.0, -1.0, bmc_g=10.0, area_cm2=10.0),
            Dxa("L3", 0.5, -1.5, bmc_g=15.0, area_cm2=30.0),
            Dxa("L4", 2.0, -1.0, bmc_g=20.0, area_cm2=10.0),
        ]
        whole = found(vertebrae)
        self.assertEqual(whole.sites[-1].site, "L1-L4")
        self.assertAlmostEqual(whole.sites[-1].measurement.bmd_g_cm2, 55.0 / 60.0, places=12)
        assessment = found(vertebrae, exclude_vertebrae="L4")
        combined = assessment.sites[-1]
        self.assertEqual(combined.site, "L1-L3")
        self.assertAlmostEqual(combined.measurement.bmd_g_cm2, 35.0 / 50.0, places=12)
        self.assertTrue(math.isnan(combined.t_score))  # no reference for L1-L3
        self.assertEqual(decided(assessment), ("", "", NONE))
        self.assertIn("L1-L3 has no T-score, since no reference for this combination", " ".join(assessment.warnings))
        self.assertAlmostEqual(
            found(vertebrae, exclude_vertebrae="L2,L3").sites[-1].measurement.bmd_g_cm2, 1.5, places=12
        )

    def test_the_hip_counts_where_the_spine_has_no_reference(self):
        measurements = [*self.spine(-3.0, -3.0, -3.0, -3.0), Dxa("total hip", 0.8, -1.4)]
        assessment = found(measurements, exclude_vertebrae="L4", reference="GE Lunar", device="GE Lunar")
        self.assertEqual(decided(assessment), ("total hip", "T", LOW))

    def test_the_remaining_combination_with_its_reference(self):
        """L2-L4 of GE Lunar: (0.9 - 1.20) / 0.12 = -2.5."""
        measurements = self.spine(-1.0, -1.0, -1.0, -1.0)
        assessment = found(measurements, exclude_vertebrae="L1", reference="GE Lunar", device="GE Lunar")
        self.assertEqual(decided(assessment), ("L2-L4", "T", OSTEOPOROSIS))
        self.assertAlmostEqual(assessment.deciding.t_score, -2.5, places=9)
        self.assertIn("(reference set GE Lunar, unverified)", assessment.classification.sentence)

    def test_at_least_two(self):
        measurements = [*self.spine(-3.0, -3.0, -3.0, -3.0), Dxa("L1-L4", 0.9, -3.0), Dxa("femoral neck", 0.7, -1.2)]
        one = found(measurements, exclude_vertebrae="L1,L2,L3")
        self.assertEqual(decided(one), ("femoral neck", "T", LOW))
        self.assertIn(
            "lumbar spine: only L4 is left, and at least two vertebrae are needed; the hip counts instead", one.warnings
        )
        none = found(measurements, exclude_vertebrae="L1,L2,L3,L4")
        self.assertEqual(decided(none), ("femoral neck", "T", LOW))
        self.assertIn("none is left", " ".join(none.warnings))
        two = found([*measurements, Dxa("L1+L4", 0.9, -2.0)], exclude_vertebrae="L2,L3")  # need not be neighbors
        self.assertEqual(decided(two), ("L1+L4", "T", LOW))

    def test_without_contents_there_is_no_sum(self):
        measurements = [Dxa("L1-L4", 0.9, -1.0), Dxa("L1", 0.9, -1.0), Dxa("total hip", 0.8, -2.0)]
        assessment = found(measurements, exclude_vertebrae="L2")
        self.assertEqual(decided(assessment), ("total hip", "T", LOW))
        self.assertIn("BMC and area are not given for each of its vertebrae", " ".join(assessment.warnings))

    def test_a_whole_that_is_not_its_parts(self):
        wrong = found([*self.spine(-1.0, -1.0, -1.0, -1.0), Dxa("L1-L4", 0.95, -1.0)])
        self.assertIn("L1-L4: its BMD 0.95 is not that of its vertebrae", " ".join(wrong.warnings))
        self.assertEqual(found([*self.spine(-1.0, -1.0, -1.0, -1.0), Dxa("L1-L4", 0.909, -1.0)]).warnings, ())


class Scores(unittest.TestCase):
    """T = (BMD - mean) / SD of a named set; the table's own score goes first."""

    def test_computed(self):
        for site, bmd, reference, device, expected in (
            ("L1-L4", 0.88, "GE Lunar", "GE Lunar", -2.5),
            ("L1-L4", 1.06, "ge lunar", "GE Lunar", -1.0),
            ("L1-L4", 0.937, "Hologic", "Hologic", -1.0),
            ("femoral neck left", 0.558, "Hologic", "Hologic", -2.5),
            ("total hip", 0.942, "Hologic", "Hologic", 0.0),
        ):
            with self.subTest(site=site, reference=reference):
                assessment = found([Dxa(site, bmd)], reference=reference, device=device)
                self.assertAlmostEqual(assessment.sites[0].t_score, expected, places=9)
                self.assertIn("unverified", assessment.sites[0].t_source)
                self.assertEqual(assessment.warnings, ())
        man = found([Dxa("total hip", 0.637, device="Hologic")], Subject("male", 70.0), reference="Hologic")
        self.assertAlmostEqual(man.deciding.t_score, -2.5, places=9)  # young women for both sexes

    def test_a_set_of_no_known_device(self):
        """Huang 2019 (implied) names no device: (0.854 - 0.981) / 0.127 = -1, which holds on no particular device."""
        for device in ("", "GE Lunar"):
            assessment = found([Dxa("L1-L4", 0.854, device=device)], reference="Huang 2019 (implied)")
            self.assertAlmostEqual(assessment.deciding.t_score, -1.0, places=9)
            words = "of an unknown device, so not comparable across devices"
            self.assertIn(f"the reference set Huang 2019 (implied) is {words}: use one", " ".join(assessment.warnings))
            self.assertIn(f"Huang 2019 (implied), unverified, {words})", assessment.classification.sentence)
        given = found([Dxa("L1-L4", 0.854, -1.0)], reference="Huang 2019 (implied)")
        self.assertEqual(given.warnings, ())

    def test_a_computed_score_that_cannot_be(self):
        """GE Lunar L1-L4: (2.38 - 1.18) / 0.12 = 10; (2.37 - 1.18) / 0.12 = 9.92."""
        words = (
            r"L1-L4: the BMD 2.38 g/cm2 gives a T-score of 10 by the reference set GE Lunar, unverified, which is not"
        )
        with self.assertRaisesRegex(InputError, words):
            found([Dxa("L1-L4", 2.38)], reference="GE Lunar", device="GE Lunar")
        near = found([Dxa("L1-L4", 2.37)], reference="GE Lunar", device="GE Lunar")
        self.assertEqual(near.deciding.site, "L1-L4")

    def test_sets_that_are_given_and_not_chosen(self):
        words = "the reference sets that are given have no effect: none is chosen, give --dxa-reference"
        self.assertIn(words, found([Dxa("L1-L4", 0.9, -1.0)], references=shipped_references()).warnings)
        self.assertEqual(found([Dxa("L1-L4", 0.9, -1.0)]).warnings, ())

    def test_no_score_without_a_matching_reference(self):
        none = found([Dxa("L1-L4", 0.7)])
        self.assertEqual(decided(none), ("", "", NONE))
        self.assertIn("give T-scores, or BMD and --dxa-reference", none.classification.sentence)
        other = found([Dxa("L2-L4", 0.7)], reference="Hologic")
        self.assertTrue(math.isnan(other.sites[0].t_score))
        self.assertIn("the reference set Hologic has no row for L2-L4, so no T-score", " ".join(other.warnings))
        with self.assertRaisesRegex(
            InputError, "the reference set 'Toaster' is not known; known are GE Lunar, Hologic"
        ):
            found([Dxa("L1-L4", 0.7)], reference="Toaster")

    def test_the_table_goes_first(self):
        near = found([Dxa("L1-L4", 0.88, -2.36)], reference="GE Lunar", device="GE Lunar")  # computed -2.5
        self.assertEqual((near.deciding.t_score, near.deciding.t_source, near.warnings), (-2.36, "table", ()))
        edge = found([Dxa("L1-L4", 0.88, -2.35)], reference="GE Lunar", device="GE Lunar")
        self.assertEqual(edge.warnings, ())
        far = found([Dxa("L1-L4", 0.88, -2.34)], reference="GE Lunar", device="GE Lunar")
        self.assertEqual(decided(far), ("L1-L4", "T", LOW))
        self.assertIn("the table's T-score -2.34 is used, but the reference set GE Lunar", far.warnings[0])

    def test_devices(self):
        """The Hologic neck 0.558 as Lunar: (1.087 * 0.558 + 0.019 + 0.023) / 0.939 = 0.69068; T against 1.038/0.139."""
        other = found([Dxa("femoral neck", 0.558, device="Hologic")], reference="GE Lunar")
        self.assertAlmostEqual(other.deciding.t_score, (0.690677316 - 1.038) / 0.139, places=6)
        self.assertIn("approximate", other.classification.sentence)
        unknown = found([Dxa("L1-L4", 0.9)], reference="GE Lunar")
        self.assertIn("the densitometer is not given; the BMD is taken as one of GE Lunar", " ".join(unknown.warnings))
        no_way = found([Dxa("L1-L3", 0.9, device="Hologic")], reference="GE Lunar")
        self.assertTrue(math.isnan(no_way.sites[0].t_score))

    def test_z_by_a_set_of_ones_own(self):
        """Rows with ages are for Z, of the subject's own sex, from age_from on and before age_to."""
        row = (
            '{"name": "Ours", "device": "", "site": "L1-L4", "sex": "%s", "mean": %s, "sd": 0.1, "unit": "g/cm2", '
            '"citation": "c", "verified": true, "age_from": %d, "age_to": %d}'
        )
        rows = [row % ("female", 1.0, 40, 50), row % ("female", 0.9, 50, 60), row % ("male", 1.2, 40, 50)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "own.json"
            path.write_text(f'{{"references": [{", ".join(rows)}]}}', encoding="utf-8")
            references = read_references(path)
        for subject, bmd, expected in (
            (Subject("female", 40.0, "pre"), 0.8, -2.0),
            (Subject("female", 49.9, "pre"), 0.8, -2.0),
            (Subject("female", 50.0, "pre"), 0.8, -1.0),
            (Subject("male", 45.0), 1.0, -2.0),
        ):
            with self.subTest(subject=subject):
                assessment = found([Dxa("L1-L4", bmd)], subject, references, reference="Ours")
                self.assertAlmostEqual(assessment.deciding.z_score, expected, places=9)
                self.assertEqual(decided(assessment), ("L1-L4", "Z", BELOW if expected == -2.0 else WITHIN))
                self.assertTrue(math.isnan(assessment.deciding.t_score))
                self.assertNotIn("unverified", assessment.classification.sentence)
        self.assertEqual(
            decided(found([Dxa("L1-L4", 0.8)], Subject("female", 60.0, "pre"), references, reference="Ours")),
            ("", "", NONE),
        )


class Qct(unittest.TestCase):
    def test_mean_of_two(self):
        for densities, fracture, expected in (
            ({"L1": 121.0, "L2": 119.2}, False, ("L1-L2", "QCT", NORMAL)),
            ({"L1": 121.0, "L2": 119.0}, False, ("L1-L2", "QCT", LOW)),  # mean 120
            ({"L1": 90.0, "L2": 70.0}, False, ("L1-L2", "QCT", LOW)),  # mean 80
            ({"L1": 90.0, "L2": 69.8}, False, ("L1-L2", "QCT", OSTEOPOROSIS)),
            ({"L1": 90.0, "L3": 69.8}, True, ("L1+L3", "QCT", SEVERE)),
            ({"L1-L2": 100.0}, False, ("L1-L2", "QCT", LOW)),
            ({"L1": 70.0}, False, ("", "", NONE)),
        ):
            with self.subTest(densities=densities):
                measurements = [Dxa(site, qct_mg_cm3=density) for site, density in densities.items()]
                self.assertEqual(decided(found(measurements, Subject("female", 65.0, "post", fracture))), expected)

    def test_beside_dxa_it_does_not_decide(self):
        assessment = found([Dxa("L1-L4", 0.9, -1.5), Dxa("L1", qct_mg_cm3=60.0), Dxa("L2", qct_mg_cm3=70.0)])
        self.assertEqual(decided(assessment), ("L1-L4", "T", LOW))
        self.assertEqual(assessment.sites[-1].site, "L1-L2")
        self.assertEqual(assessment.sites[-1].classification.category.value, OSTEOPOROSIS)

    def test_a_vertebra_not_assessable_is_left_out(self):
        for measurements, expected in (
            ([Dxa("L1", qct_mg_cm3=200.0, assessable=False), *self.two(60.0)], ("L2-L3", "QCT", OSTEOPOROSIS)),
            ([Dxa("L1", qct_mg_cm3=200.0, assessable=False), Dxa("L2", qct_mg_cm3=60.0)], ("", "", NONE)),
            ([Dxa("L1-L4", qct_mg_cm3=130.0, assessable=False)], ("", "", NONE)),
        ):
            assessment = found(measurements)
            self.assertEqual(decided(assessment), expected)
            site = measurements[0].site
            self.assertIn(f"{site} is marked as not assessable, so it does not count", assessment.warnings)
            self.assertEqual(assessment.sites[0].note, "marked as not assessable")
        both = found([Dxa("L1", 0.9, -1.0, qct_mg_cm3=200.0, assessable=False), *self.two(60.0)])
        self.assertEqual(both.sites[-1].site, "L2-L3")
        self.assertIn("QCT of L1 is left out: it is marked as not assessable", both.warnings)

    def two(self, density):
        return [Dxa("L2", qct_mg_cm3=density), Dxa("L3", qct_mg_cm3=density)]

    def test_lumbar_vertebrae_of_adults_only(self):
        """The limits of ACR are for lumbar trabecular bone."""
        assessment = found([Dxa("femoral neck", qct_mg_cm3=100.0), Dxa("33 % radius", qct_mg_cm3=60.0)])
        self.assertEqual(decided(assessment), ("", "", NONE))
        self.assertEqual({site.classification.category.value for site in assessment.sites}, {NONE})
        self.assertIn("The limits of QCT are for lumbar vertebrae", assessment.sites[0].classification.sentence)
        child = found(self.two(60.0), Subject("female", 12.0))
        self.assertEqual(decided(child), ("", "", NONE))
        self.assertEqual({site.classification.category.value for site in child.sites}, {NONE})
        self.assertIn("the rules are for adults from 20 years on", child.classification.sentence)
        young = found(self.two(75.0), Subject("female", 30.0, "pre"))
        self.assertEqual(decided(young), ("L2-L3", "QCT", OSTEOPOROSIS))
        self.assertIn("take no account of age; of DXA a Z-score would count", " ".join(young.warnings))

    def test_modes(self):
        """The mode paper is of the lumbar T-score; the mode site of the site named."""
        four = [Dxa(level, qct_mg_cm3=60.0 if level < "L3" else 130.0) for level in LEVELS]
        for settings, expected in (
            ({"mode": "paper"}, ("", "", NONE)),
            ({"mode": "site", "site": "total hip"}, ("", "", NONE)),
            ({"mode": "site", "site": "L1-L2"}, ("L1-L2", "QCT", OSTEOPOROSIS)),
            ({"mode": "site", "site": "L3-L4"}, ("L3-L4", "QCT", NORMAL)),
            ({"mode": "site", "site": "L1-L4"}, ("L1-L4", "QCT", LOW)),
            ({}, ("L1-L4", "QCT", LOW)),
        ):
            with self.subTest(**settings):
                self.assertEqual(decided(found(four, **settings)), expected)

    def test_a_whole_beside_others(self):
        mixed = [Dxa("L1", qct_mg_cm3=150.0), Dxa("L2-L3", qct_mg_cm3=70.0), Dxa("L4", qct_mg_cm3=150.0)]
        assessment = found(mixed)
        self.assertEqual(decided(assessment), ("L2-L3", "QCT", OSTEOPOROSIS))
        self.assertIn(
            "QCT: L2-L3 was measured as a whole and counts alone; L1, L4 are left out", " ".join(assessment.warnings)
        )
        parts = found([Dxa("L2", qct_mg_cm3=60.0), Dxa("L2-L3", qct_mg_cm3=70.0)])
        self.assertNotIn("left out", " ".join(parts.warnings))

    def test_its_t_score_is_left_out(self):
        assessment = found([Dxa("L1-L2", t_score=-4.0, qct_mg_cm3=100.0)])
        self.assertEqual(decided(assessment), ("L1-L2", "QCT", LOW))
        self.assertIn("L1-L2: a T-score of QCT is not classified (ISCD); it is left out", assessment.warnings)
        self.assertTrue(math.isnan(assessment.sites[0].t_score))


class Cohort(unittest.TestCase):
    """The paper's 197 women in its own mode: 48 normal, 57 bone loss, 92 osteoporosis (Table 3)."""

    @support.against("The source paper", "197 women in the class of Table 3: 48, 57 and 92", "cohort", "assess")
    def test_counts_of_the_paper(self):
        with support.reference_data("synthetic_cohort_huang2019.csv").open(encoding="utf-8", newline="") as file:
            women = list(csv.DictReader(file))
        names = {"normal": NORMAL, "bone_loss": LOW, "osteoporosis": OSTEOPOROSIS}
        counts = collections.Counter()
        for woman in women:
            heading = ["subject", "site", "bmd_g_cm2", "t_score"]
            rows = [
                [woman["subject"], "L1-L4", woman["bmd_lumbar"], woman["t_lumbar"]],
                [woman["subject"], "femoral neck", woman["bmd_femoral_neck"], ""],
            ]
            measured = measurements_from_rows(heading, rows, "cohort")
            subject = Subject("female", float(woman["age"]), "post")
            assessment = assess(measured, subject, DensitometrySettings(mode="paper"))
            category = assessment.classification.category.value
            support.measured(self, "women in another class", category != names[woman["bmd_class"]], 0)
            counts[category] += 1
        self.assertEqual(len(women), 197)
        self.assertEqual(counts, {NORMAL: 48, LOW: 57, OSTEOPOROSIS: 92})


def vertebrae_table(*rows, evaluable=None, excluded_share=None):
    """A table as `StudyResult` has it: level, status, Ktrans, kep, ve and the standard error of Ktrans."""
    names = ("region", "level", "status", "ktrans_per_min", "kep_per_min", "ve", "ktrans_se_per_min")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    regions = (
        Column("evaluable", evaluable or ["yes"] * len(rows), "Evaluable"),
        Column("excluded_share", excluded_share or [0.0] * len(rows), "Share excluded"),
    )
    return Table("vertebrae", "V", (*(Column(name, list(values), name) for name, values in columns), *regions))


class ClassificationTable(unittest.TestCase):
    def test_bone_beside_perfusion(self):
        """Means and standard errors worked by hand: Ktrans 0.2, 0.4, 0.6: 0.4, SD 0.2, SE 0.2/sqrt(3)."""
        vertebrae = vertebrae_table(
            ("body L1", "L1", "fitted", 0.2, 2.0, 0.1, 0.01),
            ("body L2", "L2", "fitted", 0.4, 2.0, 0.2, 0.02),
            ("body L3", "L3", "at a bound", 5.0, 9.0, 0.9, math.nan),
            ("body L4", "L4", "fitted", 0.6, 2.0, 0.3, 0.03),
            ("body L5", "L5", "fitted", 9.0, 9.0, 0.9, 0.04),
        )
        assessment = found([Dxa("L1", 0.9, -1.2), Dxa("L1-L4", 0.88, -2.5), Dxa("femoral neck", 0.8, -1.5)])
        table = classification_table("A", assessment, vertebrae)
        self.assertEqual(table.name, "bmd_classification")
        rows = {
            (scope, site): {column.name: column.values[n] for column in table.columns}
            for n, (scope, site) in enumerate(zip(table["scope"], table["site"], strict=True))
        }
        self.assertEqual(
            list(rows),
            [
                ("subject", "L1-L4"),
                ("vertebra", "L1"),
                ("site", "L1-L4"),
                ("site", "femoral neck"),
                *(("vertebra", level) for level in ("L2", "L3", "L4", "L5")),
            ],
        )
        self.assertEqual(set(table["subject"]), {"A"})
        subject = rows["subject", "L1-L4"]
        self.assertEqual((subject["category"], subject["score"], subject["t_score"]), (OSTEOPOROSIS, "T", -2.5))
        self.assertAlmostEqual(subject["ktrans_per_min"], 0.4, places=12)
        self.assertAlmostEqual(subject["ktrans_se_per_min"], 0.2 / math.sqrt(3), places=12)
        self.assertAlmostEqual(subject["ve"], 0.2, places=12)
        self.assertEqual((subject["evaluable"], subject["evaluability"]), ("yes", "mean of L1, L2, L4"))
        first = rows["vertebra", "L1"]
        self.assertEqual((first["bmd_g_cm2"], first["ktrans_per_min"], first["region"]), (0.9, 0.2, "body L1"))
        self.assertEqual((first["ktrans_se_per_min"], first["category"]), (0.01, LOW))
        third = rows["vertebra", "L3"]
        self.assertEqual((third["evaluable"], third["evaluability"]), ("no", "fit: at a bound"))
        self.assertTrue(math.isnan(third["bmd_g_cm2"]))
        self.assertTrue(math.isnan(rows["site", "femoral neck"]["ktrans_per_min"]))
        self.assertTrue(math.isnan(subject["kep_se_per_min"]) or subject["kep_se_per_min"] == 0.0)
        self.assertTrue(math.isnan(first["kep_se_per_min"]))  # the table has none

    def test_columns_are_described(self):
        table = classification_table(
            "A", found([Dxa("L1-L4", 0.9, -1.0)]), vertebrae_table(("L1", "L1", "fitted", 1, 2, 3, 4))
        )
        quantities = {column.name: column.quantity for column in table.columns if column.quantity}
        self.assertEqual(
            quantities,
            {
                "bmd_g_cm2": "bmd",
                "qct_mg_cm3": "qct_density",
                "t_score": "t_score",
                "z_score": "z_score",
                "ktrans_per_min": "ktrans",
                "kep_per_min": "kep",
                "ve": "ve",
            },
        )
        for column in table.columns:
            self.assertTrue(column.title and column.description, column.name)
            self.assertEqual({type(value) for value in column.values} <= {str}, column.values[0].__class__ is str)
            self.assertFalse(re.search("diagnos", f"{column.title} {column.description}", re.IGNORECASE))
        units = {column.name: column.unit for column in table.columns}
        self.assertEqual((units["bmd_g_cm2"], units["qct_mg_cm3"], units["bmc_g"]), ("g/cm2", "mg/cm3", "g"))

    def test_what_the_regions_say(self):
        """A level with too many voxels excluded takes no part, however well it fits."""
        vertebrae = vertebrae_table(
            *((level, level, "fitted", 0.2 * n, 2.0, 0.1, 0.0) for n, level in enumerate(LEVELS, 1)),
            evaluable=["yes", "no", "yes", "yes"],
            excluded_share=[0.1, 0.7, 0.0, 0.2],
        )
        table = classification_table("A", found([Dxa("L1-L4", 0.9, -1.0)]), vertebrae)
        self.assertAlmostEqual(table["ktrans_per_min"][0], (0.2 + 0.6 + 0.8) / 3, places=12)
        self.assertEqual(table["evaluability"][0], "mean of L1, L3, L4")
        second = table["site"].index("L2")
        self.assertEqual((table["evaluable"][second], table["excluded_share"][second]), ("no", 0.7))
        self.assertIn("too many voxels are excluded", table["evaluability"][second])

    def test_one_level_is_no_subject(self):
        for rows, words in (
            ([("L1", "L1", "fitted", 0.2, 2.0, 0.1, 0.0)], "1 evaluable level of L1 to L4"),
            (
                [("L1", "L1", "fitted", 0.2, 2.0, 0.1, 0.0), ("L5", "L5", "fitted", 0.2, 2.0, 0.1, 0.0)],
                "1 evaluable level of L1 to L4; at least two are needed",
            ),
            ([("L1", "L1", "not analyzed", math.nan, math.nan, math.nan, math.nan)], "0 evaluable levels"),
        ):
            table = classification_table("A", found([Dxa("L1-L4", 0.9, -1.0)]), vertebrae_table(*rows))
            self.assertTrue(math.isnan(table["ktrans_per_min"][0]))
            self.assertEqual(table["evaluable"][0], "no")
            self.assertIn(words, table["evaluability"][0])


class Comparison(unittest.TestCase):
    def setUp(self):
        self.vertebrae = vertebrae_table(
            ("L1", "L1", "fitted", 0.5, 3.1, 0.16, 0.0), ("L2", "L2", "fitted", 0.7, 3.0, 0.20, 0.0)
        )

    def rows(self, groups):
        table = comparison_table("A", self.vertebrae, groups)
        return {
            (group, quantity): {column.name: column.values[n] for column in table.columns}
            for n, (group, quantity) in enumerate(zip(table["group"], table["quantity"], strict=True))
        }

    def test_classes_of_the_paper(self):
        """Table 3, the numbers after the plus-minus signs read as variances: z of Ktrans 0.6 is (0.6 - mean) / sqrt."""
        rows = self.rows(paper_groups("paper-classes"))
        self.assertEqual(len(rows), 9)
        for group, mean, variance in (
            ("normal", 0.961, 0.048),
            ("bone loss", 0.563, 0.006),
            ("osteoporosis", 0.326, 0.005),
        ):
            self.assertAlmostEqual(rows[group, "Ktrans"]["z"], (0.6 - mean) / math.sqrt(variance), places=9)
        self.assertAlmostEqual(rows["normal", "kep"]["z"], (3.05 - 3.150) / math.sqrt(0.018), places=9)
        self.assertAlmostEqual(rows["normal", "ve"]["z"], (0.18 - 0.306) / math.sqrt(0.005), places=9)
        for group in ("bone loss", "osteoporosis"):  # printed as .000
            self.assertTrue(math.isnan(rows[group, "ve"]["z"]), group)
            self.assertTrue(math.isnan(rows[group, "ve"]["sd"]), group)
            self.assertIn("No z: the variance is printed as .000", rows[group, "ve"]["note"])
        erratum = rows["osteoporosis", "ve"]
        self.assertEqual((erratum["mean"], erratum["suspected_mean"]), (0.318, 0.138))
        self.assertIn("suspected erratum", erratum["note"])
        for row in rows.values():
            self.assertIn("scale does not carry over", row["note"])
            self.assertIn("Variance reading", row["note"])

    def test_ages_of_the_paper(self):
        rows = self.rows(paper_groups("paper-ages"))
        self.assertEqual([row["count"] for (_, q), row in rows.items() if q == "ve"], [5, 66, 72, 44, 10])
        self.assertAlmostEqual(rows["60~", "Ktrans"]["z"], (0.6 - 0.514) / math.sqrt(0.039), places=9)
        self.assertAlmostEqual(rows["80~", "ve"]["z"], (0.18 - 0.100) / math.sqrt(0.001), places=9)

    def test_a_cohort_of_ones_own(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cohort.csv"
            path.write_text(
                "age,class,ktrans_per_min,kep_per_min,ve\n50,a,0.1,1,0.1\n49.9,a,0.3,1,0.3\n50,b,0.5,1,\n59,b,0.9,1,0.4\n",
                encoding="utf-8",
            )
            groups = perfusion_groups("cohort", read_cohort(path))
            rows = self.rows(groups)
            self.assertEqual(
                {group.name: group.count for group in groups}, {"all": 4, "class a": 2, "class b": 2, "age 50~": 3}
            )
            # 0.1 and 0.3: mean 0.2, SD of the sample sqrt(0.02)
            self.assertAlmostEqual(rows["class a", "Ktrans"]["z"], (0.6 - 0.2) / math.sqrt(0.02), places=9)
            self.assertTrue(math.isnan(rows["class a", "kep"]["z"]))  # all alike: no SD
            self.assertTrue(math.isnan(rows["class b", "ve"]["sd"]))  # one value
            counts = {key: row["count"] for key, row in rows.items() if key[0] == "class b"}
            self.assertEqual(
                counts, {("class b", "Ktrans"): 2, ("class b", "kep"): 2, ("class b", "ve"): 1}
            )  # as the notes say
            self.assertIn("of 1 subject of your cohort", rows["class b", "ve"]["note"])
            self.assertIn("of 2 subjects of your cohort", rows["class b", "kep"]["note"])
            path.write_text("\ufeffktrans_per_min;kep_per_min;ve\n0,1;1;1\n0,3;2;1\n", encoding="utf-8")
            self.assertAlmostEqual(read_cohort(path)[0].spreads["ktrans_per_min"].mean, 0.2, places=12)
            for text, words in (
                ("age,kep_per_min,ve\n50,1,1\n", "cohort.csv has no column 'ktrans_per_min'"),
                ("ktrans_per_min,kep_per_min,ve\n", "has no subject"),
                ("ktrans_per_min,kep_per_min,ve\n1,x,1\n1,1,1\n", "cohort.csv row 2: kep_per_min 'x' is not a number"),
                ("ktrans_per_min,kep_per_min,ve\n1,1,-1\n1,1,1\n", "row 2: ve -1 is not possible"),
                ("ktrans_per_min,kep_per_min,ve,age\n1,1,1,700\n1,1,1,50\n", "row 2: age 700 is not possible"),
                ("ktrans_per_min,kep_per_min,ve\n\n1,1\n", "row 3 has 2 cells, the heading has 3"),
                ("", "no column 'ktrans_per_min'"),
                (
                    "subject,ktrans_per_min,kep_per_min,ve\nA,1,1,1\nB,1,1,1\nA,2,1,1\n",
                    "cohort.csv row 4: subject 'A' is that of row 2; keep one row per subject",
                ),
                ("ID,ktrans_per_min,kep_per_min,ve\nA,1,1,1\nA,1,1,1\n", "row 3: subject 'A' is that of row 2"),
                ("ktrans_per_min,kep_per_min,ve,ve\n1,1,1,0.1\n1,1,1,0.2\n", "cohort.csv has the column 've' 2 times"),
                ("ktrans_per_min,kep_per_min,ve\n.1,.5,20\n.1,.6,24\n", "row 2: ve 20 is not possible; it is a fract"),
                ("ktrans_per_min,kep_per_min,ve\n1,1,1\n", "a standard deviation needs at least two"),
            ):
                path.write_text(text, encoding="utf-8")
                with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                    read_cohort(path)

    def test_what_is_asked_for_must_be_given(self):
        self.assertEqual(perfusion_groups("none"), ())
        with self.assertRaisesRegex(InputError, "give --perfusion-cohort"):
            perfusion_groups("cohort")
        with self.assertRaisesRegex(InputError, "give --perfusion-comparison cohort"):
            perfusion_groups("none", paper_groups("paper-ages"))


if __name__ == "__main__":
    unittest.main()
