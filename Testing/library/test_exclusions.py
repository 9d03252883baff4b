"""Exclusions of voxels that are not marrow, against lesions that were planted."""

import unittest

import numpy as np
import planted
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.roi import Fate, build_rois, farther_than, poorly_fitted
from DCEPerfusionBMDLib.series import DynamicSeries, Sourced
from DCEPerfusionBMDLib.settings import EXCLUSION_RULES, RegionSettings, Settings
from DCEPerfusionBMDLib.study import analyze
from scipy import ndimage

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

    def test_soft_edges_of_an_island(self):
        """Blurred over half a voxel, an island is still named as one, whatever share of it enhances a little."""
        for seed in self.SEEDS[:6]:
            study = planted.vertebra(seed, kinds=("bone-island",), snr=1000.0)
            frames = ndimage.gaussian_filter(study.frames.astype(float), (0, 0.5, 0.6, 0.6))
            random = np.random.default_rng(seed)
            study.frames[...] = np.abs(
                frames + random.normal(0, study.frames[0, study.segments["L3"]].mean() / 20, frames.shape)
            )
            fate = analyzed(study).rois.regions[0].fate
            core = study.planted["bone-island"] & farther_than(study.segments["L3"], 3.0, (3.0, 1.4, 1.4))
            with self.subTest(seed=seed):
                self.assertGreater(np.count_nonzero(core & (fate == Fate.BONE_ISLAND)), 0.9 * np.count_nonzero(core))

    def test_a_void_without_any_signal(self):
        study = planted.vertebra(7102, kinds=())
        void = np.zeros(study.segments["L3"].shape, dtype=bool)
        k, j, i = (int(np.median(axis)) for axis in np.nonzero(study.segments["L3"]))
        void[k - 3 : k + 4, j - 6 : j + 7, i - 6 : i + 7] = True
        study.frames[:, void] = 0
        result = analyzed(study)
        fate = result.rois.regions[0].fate
        inside = farther_than(study.segments["L3"], 3.0, (3.0, 1.4, 1.4))
        self.assertGreaterEqual(dice(fate == Fate.BONE_ISLAND, void & inside), 0.99)

    def test_voxels_without_a_curve_count_against_a_level(self):
        study = planted.vertebra(7102, kinds=())
        frames = study.frames.astype(np.float32)
        hole = np.zeros(study.segments["L3"].shape, dtype=bool)
        hole[:, :, : round(np.median(np.nonzero(study.segments["L3"])[2])) + 1] = True
        hole &= study.segments["L3"]
        frames[40, hole] = np.nan
        study.frames = frames
        result = analyzed(study)
        self.assertEqual(list(result.vertebrae["evaluable"]), ["no"])
        self.assertTrue(any("L3 is not evaluable" in w and "no usable curve" in w for w in result.warnings))

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
        wide = analyzed(self.study, island_enhancement_percent=100.0).rois.regions[0].fate
        loose = analyzed(self.study).rois.regions[0].fate
        self.assertGreater(np.count_nonzero(wide == Fate.BONE_ISLAND), np.count_nonzero(loose == Fate.BONE_ISLAND))

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
            kept = farther_than(study.segments["L3"], margin_mm, (3.0, 1.4, 1.4)) & ~out & ~(region.fate > Fate.USER)
            self.assertEqual(voxels, np.count_nonzero(kept))

    def test_what_the_user_excludes_is_no_part_of_the_comparison(self):
        """Cement in more than half of the body, outlined by the user: the rest is judged as marrow."""
        study = planted.vertebra(7009, kinds=("plexus",))
        cement = np.zeros(study.segments["L3"].shape, dtype=bool)
        cement[:, : round(0.55 * cement.shape[1])] = True
        cement &= study.segments["L3"] & ~study.planted["plexus"]
        study.frames[:, cement] = study.frames[:1, cement] // 5
        (region,) = analyzed(study, {**study.segments, "exclude cement": cement}).rois.regions
        inside = farther_than(study.segments["L3"], 3.0, (3.0, 1.4, 1.4))
        self.assertGreater(np.count_nonzero(region.fate == Fate.USER), np.count_nonzero(inside) / 2)
        self.assertGreaterEqual(dice(region.fate == Fate.PLEXUS, study.planted["plexus"] & inside), 0.8)
        marrow = inside & ~cement & ~study.planted["plexus"]
        self.assertLess(np.count_nonzero(marrow & ~region.analyzed), 0.02 * np.count_nonzero(marrow))

    def test_a_level_that_the_user_excludes_wholly(self):
        study = planted.vertebra(7004, kinds=())
        drawn = study.segments["L3"]
        half = np.zeros(drawn.shape, dtype=bool)
        half[: drawn.shape[0] // 2] = True
        segments = {"L2": drawn & half, "L3": drawn & ~half, "aorta": study.segments["aorta"]}
        result = analyzed(study, {**segments, "exclude": half})
        self.assertEqual(list(result.vertebrae["evaluable"]), ["no", "yes"])
        self.assertTrue(
            any("L2: all of its voxels inside the margin are excluded by segm" in w for w in result.warnings)
        )
        result = analyzed(study, {**segments, "exclusion": np.zeros_like(drawn)})
        self.assertTrue(any("exclusion: this segment excludes nothing" in w for w in result.warnings))

    def test_nothing_left(self):
        study = planted.vertebra(7004, kinds=())
        everything = np.ones(study.segments["L3"].shape, dtype=bool)
        with self.assertRaisesRegex(InputError, "L3: all of its voxels inside the margin are excluded by segments"):
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
        for exclude in ("all", "none"):
            result = analyzed(study, exclude=exclude)
            row = list(result.margins["margin_mm"]).index(3.0)
            with self.subTest(exclude=exclude):
                self.assertEqual(result.margins["voxels"][row], result.vertebrae["voxels_analyzed"][0])
                self.assertAlmostEqual(result.margins["ktrans_per_min"][row], ktrans(result), delta=1e-9)

    def test_agrees_with_runs_at_other_margins(self):
        study = planted.vertebra(7007)
        for plane in ("3d", "in-plane"):
            table = analyzed(study, exclude="none", margin_plane=plane).margins
            for margin_mm, voxels, found in zip(
                table["margin_mm"], table["voxels"], table["ktrans_per_min"], strict=True
            ):
                run = analyzed(study, exclude="none", margin_plane=plane, margin_mm=margin_mm)
                with self.subTest(plane=plane, margin_mm=margin_mm):
                    if plane == "in-plane" and margin_mm == 0:  # a run without a margin keeps the outer slices
                        continue
                    self.assertEqual(voxels, run.vertebrae["voxels_analyzed"][0])
                    self.assertAlmostEqual(found, ktrans(run), delta=1e-9)


if __name__ == "__main__":
    unittest.main()
