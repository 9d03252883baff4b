"""Exclusions of voxels that are not marrow, against lesions that were planted."""

import unittest

import numpy as np
import planted
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.roi import Fate, build_rois, farther_than, poorly_fitted
from DCEPerfusionBMDLib.series import DynamicSeries, Sourced
from DCEPerfusionBMDLib.settings import EXCLUSION_RULES, RegionSettings, Settings
from DCEPerfusionBMDLib.study import analyze

FATES = {
    "plexus": Fate.PLEXUS,
    "bone-island": Fate.BONE_ISLAND,
    "haemangioma": Fate.HAEMANGIOMA,
    "other-tissue": Fate.OTHER_TISSUE,
    "arterial": Fate.ARTERIAL,
}
ACQUISITION = {
    "repetition_time_ms": planted.TR_MS,
    "echo_time_ms": 1.2,
    "flip_angle_deg": planted.FLIP_ANGLE_DEG,
    "field_strength_T": 1.5,
    "agent": "gadobenate",
}


def series_of(study):
    return DynamicSeries(
        frames=list(study.frames),
        times_s=study.times_s,
        ijk_to_ras=study.ijk_to_ras,
        acquisition={name: Sourced(value, "planted") for name, value in ACQUISITION.items()},
        time_source="planted",
    )


def analyzed(study, segments=None, **regions):
    return analyze(series_of(study), segments or study.segments, Settings(regions=RegionSettings(**regions)))


def ktrans(result):
    return float(result.vertebrae["ktrans_per_min"][0])


def dice(found, truth):
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


class Planted(unittest.TestCase):
    """Twenty realisations, each with its own contrasts; none of them was looked at to choose a threshold."""

    SEEDS = range(7000, 7020)

    def test_kinds_are_found_and_ktrans_is_that_of_the_perfect_mask(self):
        worst = {}
        for seed in self.SEEDS:
            study = planted.vertebra(seed)
            result = analyzed(study)
            fate = result.rois.regions[0].fate
            inside = farther_than(study.segments["L3"], 3.0, (3.0, 1.4, 1.4))
            lesions = np.any(list(study.planted.values()), axis=0)
            for kind, where in study.planted.items():
                with self.subTest(seed=seed, kind=kind):
                    found = dice(fate == FATES[kind], where & inside)
                    worst[kind] = min(worst.get(kind, 1.0), found)
                    self.assertGreaterEqual(found, 0.8)
            perfect = {"L3": study.segments["L3"], "exclude": lesions, "aorta": study.segments["aorta"]}
            reference = analyzed(study, perfect, exclude="none")
            with self.subTest(seed=seed):
                marrow = inside & ~lesions
                self.assertLess(np.count_nonzero(marrow & (fate > Fate.MARGIN)) / np.count_nonzero(marrow), 0.02)
                self.assertAlmostEqual(ktrans(result) / ktrans(reference), 1.0, delta=0.02)
        print(f"smallest Dice: {', '.join(f'{kind} {value:.2f}' for kind, value in worst.items())}")

    def test_on_the_voxels_of_the_paper(self):
        for seed in self.SEEDS[:6]:
            study = planted.vertebra(seed, spacing_mm=(5.0, 1.37, 2.19))
            fate = analyzed(study).rois.regions[0].fate
            inside = farther_than(study.segments["L3"], 3.0, (5.0, 1.37, 2.19))
            for kind, where in study.planted.items():
                with self.subTest(seed=seed, kind=kind):
                    self.assertGreaterEqual(dice(fate == FATES[kind], where & inside), 0.8)

    def test_homogeneous_noise_keeps_its_voxels(self):
        for seed in self.SEEDS:
            study = planted.vertebra(seed, kinds=(), snr=(8.0, 20.0, 50.0)[seed % 3])
            region = analyzed(study).rois.regions[0]
            with self.subTest(seed=seed):
                self.assertLess(region.excluded_share, 0.02)

    def test_under_the_shading_of_a_surface_coil(self):
        """The signal falls by half from back to front; islands and haemangiomas still stand out from their places."""
        for seed in self.SEEDS[:6]:
            study = planted.vertebra(seed, kinds=("bone-island", "haemangioma"), shading_per_mm=0.0)
            back_mm = -np.arange(study.frames.shape[3]) * study.ijk_to_ras[1, 0]
            study.frames[...] = study.frames * np.exp(0.02 * (back_mm - back_mm.max()))
            fate = analyzed(study).rois.regions[0].fate
            inside = farther_than(study.segments["L3"], 3.0, (3.0, 1.4, 1.4))
            for kind, where in study.planted.items():
                with self.subTest(seed=seed, kind=kind):
                    self.assertGreaterEqual(dice(fate == FATES[kind], where & inside), 0.8)

    def test_marrow_that_enhances_less_inside_the_body_stays(self):
        study = planted.vertebra(7101, kinds=())
        where = np.zeros(study.segments["L3"].shape, dtype=bool)
        k, j, i = (int(np.median(axis)) for axis in np.nonzero(study.segments["L3"]))
        where[k - 1 : k + 2, j - 3 : j + 4, i - 3 : i + 4] = True
        before = study.frames[:8, where].mean(axis=0)
        study.frames[:, where] = before + 0.6 * (study.frames[:, where] - before)
        region = analyzed(study).rois.regions[0]
        self.assertGreater(np.count_nonzero(region.analyzed & where), 0.98 * np.count_nonzero(where))

    def test_an_arterial_branch(self):
        """Voxels that follow the artery lie in the front of the body."""
        study = planted.vertebra(7100, kinds=())
        branch = np.zeros(study.segments["L3"].shape, dtype=bool)
        k, j, i = (int(np.median(axis)) for axis in np.nonzero(study.segments["L3"]))
        branch[k - 1 : k + 2, j - 1 : j + 2, i - 7 : i - 4] = True
        artery = study.frames[:, study.segments["aorta"]]
        random = np.random.default_rng(1)
        study.frames[:, branch] = artery[:, random.choice(artery.shape[1], np.count_nonzero(branch))]
        fate = analyzed(study).rois.regions[0].fate
        self.assertGreaterEqual(dice(fate == Fate.ARTERIAL, branch), 0.8)
        half = study.frames[:, branch].astype(float)
        before = half[:8].mean(axis=0)
        study.frames[:, branch] = before + 0.5 * (half - before)  # reaches half of the artery
        for share, arterial in ((0.4, True), (0.6, False)):
            with self.subTest(share=share):
                fate = analyzed(study, arterial_share=share).rois.regions[0].fate
                self.assertEqual((fate == Fate.ARTERIAL).any(), arterial)

    def test_orientation_is_that_of_the_patient(self):
        """With the volume turned about, the plexus is still behind."""
        study = planted.vertebra(7001, kinds=("plexus",))
        turned = np.diag([-1.0, 1.0, 1.0, 1.0])
        turned[0, 3] = study.frames.shape[3] - 1  # columns run to the front
        flip = planted.Planted(
            study.frames[:, :, :, ::-1],
            study.times_s,
            study.ijk_to_ras
            @ np.array([[-1.0, 0, 0, study.frames.shape[3] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
            {name: mask[:, :, ::-1] for name, mask in study.segments.items()},
            {kind: mask[:, :, ::-1] for kind, mask in study.planted.items()},
            study.ktrans_per_min,
        )
        there, back = analyzed(study).rois.regions[0].fate, analyzed(flip).rois.regions[0].fate
        np.testing.assert_array_equal(there, back[:, :, ::-1])
        self.assertTrue((there == Fate.PLEXUS).any())
        backwards = planted.Planted(
            study.frames, study.times_s, np.diag([-1.0, -1.0, 1.0, 1.0]) @ study.ijk_to_ras, *([None] * 3)
        )
        backwards.segments = study.segments
        wrong = analyzed(backwards).rois.regions[0].fate
        self.assertFalse((wrong == Fate.PLEXUS).any())


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.study = planted.vertebra(7003)

    def test_each_rule_can_be_left_out(self):
        for rule in ("plexus", "bone-island", "haemangioma", "other-tissue"):
            others = ",".join(name for name in EXCLUSION_RULES if name != rule)
            fate = analyzed(self.study, exclude=others).rois.regions[0].fate
            with self.subTest(rule=rule):
                self.assertFalse((fate == FATES[rule]).any())
                for kind in ("plexus", "bone-island", "haemangioma", "other-tissue"):
                    self.assertTrue(kind == rule or (fate == FATES[kind]).any(), kind)
        fate = analyzed(self.study, exclude="none").rois.regions[0].fate
        self.assertEqual(set(np.unique(fate)), {Fate.NOT_DRAWN, Fate.ANALYZED, Fate.MARGIN})

    def test_each_threshold_is_read(self):
        study = planted.vertebra(7008, snr=4.0)  # lesions are far off, so a little noise brings them below 100
        for rule, threshold in (
            ("plexus", {"plexus_z": 100.0}),
            ("bone-island", {"island_z": 100.0, "tissue_z": 100.0}),
            ("bone-island", {"exclusion_voxels": 1000}),
            ("other-tissue", {"tissue_z": 100.0}),
        ):
            with self.subTest(rule=rule, threshold=threshold):
                self.assertFalse((analyzed(study, **threshold).rois.regions[0].fate == FATES[rule]).any())
        strict = analyzed(self.study, island_enhancement_percent=0.0).rois.regions[0].fate
        loose = analyzed(self.study).rois.regions[0].fate
        self.assertLess(np.count_nonzero(strict == Fate.BONE_ISLAND), np.count_nonzero(loose == Fate.BONE_ISLAND))

    def test_unknown_rule(self):
        with self.assertRaisesRegex(
            InputError, "exclude names 'cortex'; choose all, none, or some of arterial, plexus"
        ):
            RegionSettings(exclude="plexus,cortex")

    def test_too_much_excluded_is_not_evaluable(self):
        share = analyzed(self.study).rois.regions[0].excluded_share
        for limit, evaluable in ((share + 0.01, "yes"), (share - 0.01, "no")):
            result = analyzed(self.study, excluded_share_max=limit)
            with self.subTest(limit=limit):
                self.assertEqual(list(result.vertebrae["evaluable"]), [evaluable])
                named = [w for w in result.warnings if "L3 is not evaluable" in w]
                self.assertEqual(len(named), evaluable == "no")

    def test_the_users_own_exclusion(self):
        study = planted.vertebra(7004, kinds=())
        out = np.zeros(study.segments["L3"].shape, dtype=bool)
        out[:, :, : out.shape[2] // 2] = True
        result = analyzed(study, {**study.segments, "Exclude scar": out})
        (region,) = result.rois.regions
        inside = farther_than(study.segments["L3"], 3.0, (3.0, 1.4, 1.4))
        np.testing.assert_array_equal(region.fate == Fate.USER, inside & out)
        self.assertRegex(result.vertebrae["excluded"][0], "excluded by the user")
        for margin_mm, voxels in zip(result.margins["margin_mm"], result.margins["voxels"], strict=True):
            kept = farther_than(study.segments["L3"], margin_mm, (3.0, 1.4, 1.4)) & ~out
            self.assertLessEqual(voxels, np.count_nonzero(kept))

    def test_nothing_left(self):
        study = planted.vertebra(7004, kinds=())
        everything = np.ones(study.segments["L3"].shape, dtype=bool)
        with self.assertRaisesRegex(InputError, "no region has a voxel"):
            build_rois({**study.segments, "excluded": everything}, (3.0, 1.4, 1.4), Settings(regions=RegionSettings()))

    def test_few_voxels_are_not_judged(self):
        study = planted.vertebra(7003)
        small = np.zeros(study.segments["L3"].shape, dtype=bool)
        k, j, i = (int(np.median(axis)) for axis in np.nonzero(study.segments["L3"]))
        small[k : k + 1, j : j + 5, i : i + 5] = True
        result = analyzed(study, {"L3": small, "aorta": study.segments["aorta"]}, margin_mm=0.0)
        self.assertEqual(result.rois.regions[0].excluded_share, 0.0)


class PoorFit(unittest.TestCase):
    def test_voxels_that_no_curve_describes(self):
        """A jump of the patient in one part: fits there are poor, and are left out of maps and mean."""
        study = planted.vertebra(7005, kinds=())
        k, j, i = (int(np.median(axis)) for axis in np.nonzero(study.segments["L3"]))
        part = np.zeros(study.segments["L3"].shape, dtype=bool)
        part[k - 1 : k + 2, j - 4 : j + 5, i - 4 : i + 5] = True
        study.frames[30:33, part] = study.frames[0, part]
        study.frames[50:53, part] = 2 * study.frames[50:53, part]
        kept = "poor-fit"
        result = analyzed(study, exclude=kept)
        fate = result.rois.regions[0].fate
        self.assertGreaterEqual(dice(fate == Fate.POOR_FIT, part), 0.9)
        self.assertTrue(np.isnan(result.maps["ktrans"].values[fate == Fate.POOR_FIT]).all())
        reference = analyzed(
            study, {"L3": study.segments["L3"], "exclude": part, "aorta": study.segments["aorta"]}, exclude="none"
        )
        self.assertAlmostEqual(ktrans(result) / ktrans(reference), 1.0, delta=0.002)
        self.assertNotAlmostEqual(ktrans(analyzed(study, exclude="none")) / ktrans(reference), 1.0, delta=0.005)

    def test_robust_deviation(self):
        random = np.random.default_rng(3)
        rmse = np.exp(random.normal(-4.0, 0.1, 5000))
        rmse[:10] *= 3.0  # 11 deviations of the logarithm
        rmse[10] = np.nan
        np.testing.assert_array_equal(np.flatnonzero(poorly_fitted(rmse, 5.0)), np.arange(10))
        self.assertFalse(poorly_fitted(rmse, 18.0).any())
        self.assertFalse(poorly_fitted(rmse[:20], 5.0).any())  # too few to compare with


class Margins(unittest.TestCase):
    def test_table(self):
        """A rim of another tissue: Ktrans moves as the margin takes it in."""
        study = planted.vertebra(7006, kinds=(), snr=200.0)
        drawn = study.segments["L3"]
        rim = drawn & ~farther_than(drawn, 2.0, (3.0, 1.4, 1.4))
        study.frames[:, rim] = study.frames[:1, rim]  # does not enhance
        table = analyzed(study, exclude="none").margins
        self.assertEqual(list(table["margin_mm"]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        for margin_mm, voxels in zip(table["margin_mm"], table["voxels"], strict=True):
            expected = np.count_nonzero(farther_than(drawn, margin_mm, (3.0, 1.4, 1.4)))
            self.assertEqual(voxels, expected, margin_mm)
        values = np.array(table["ktrans_per_min"])
        self.assertLess(values[0], 0.9 * values[2])
        np.testing.assert_allclose(values[2:], values[3], rtol=0.01)

    def test_agrees_with_the_main_fit_at_its_margin(self):
        study = planted.vertebra(7007)
        result = analyzed(study, exclude="plexus,bone-island,haemangioma,other-tissue")
        row = list(result.margins["margin_mm"]).index(3.0)
        self.assertAlmostEqual(result.margins["ktrans_per_min"][row], ktrans(result), delta=1e-9)


if __name__ == "__main__":
    unittest.main()
