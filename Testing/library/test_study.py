"""One subject from series and masks to a result: values, status, warnings and refusals."""

import dataclasses
import statistics
import unittest

import numpy as np
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from DCEPerfusionBMDLib.kinetics import (
    FitStatus,
    parker_blood_concentration,
    spgr_signal,
    tofts_concentration,
    water_fat_signal,
)
from DCEPerfusionBMDLib.phantom import LEVELS, TISSUES
from DCEPerfusionBMDLib.roi import SegmentLabel
from DCEPerfusionBMDLib.series import DynamicSeries, Sourced, TissueMaps, on_grid_of
from DCEPerfusionBMDLib.settings import from_dict
from DCEPerfusionBMDLib.study import analyze, arterial_input
from support import small_phantom


class Result(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(snr=None)
        cls.segments = cls.phantom.segments
        cls.result = analyze(cls.phantom.series(), cls.segments, subject="S1")

    def test_maps_hold_the_truth_where_analyzed_and_nothing_elsewhere(self):
        truth = self.phantom.truth()
        analyzed = np.any([region.analyzed for region in self.result.rois.regions], axis=0)
        for name in ("ktrans", "kep", "ve"):
            values = self.result.maps[name].values
            self.assertEqual(values.dtype, np.float32)
            np.testing.assert_array_equal(np.isfinite(values), analyzed)
            np.testing.assert_allclose(values[analyzed], truth[name][analyzed], rtol=0.013)
        status = self.result.maps["status"].values
        np.testing.assert_array_equal(status, np.where(analyzed, FitStatus.FITTED, FitStatus.NOT_ANALYZED))

    def test_table_agrees_with_the_maps(self):
        table = self.result.vertebrae
        self.assertEqual(list(table["region"]), list(LEVELS))
        self.assertEqual(list(table["subject"]), ["S1"] * 5)
        for n, region in enumerate(self.result.rois.regions):
            values = self.result.maps["ktrans"].values[region.analyzed].astype(float)
            self.assertEqual(table["voxels_analyzed"][n], values.size)
            self.assertEqual(table["voxels_drawn"][n], np.count_nonzero(self.segments[region.name]))
            self.assertAlmostEqual(table["ktrans_median_per_min"][n], np.median(values), places=6)
            self.assertAlmostEqual(
                table["ve"][n] * table["kep_per_min"][n] / table["ktrans_per_min"][n], 1.0, places=12
            )

    def test_levels_and_what_told_them(self):
        self.assertEqual(list(self.result.vertebrae["level"]), list(LEVELS))
        self.assertEqual(set(self.result.vertebrae["level_source"]), {"name"})
        segments = {name: self.segments[name] for name in ("L1", "aorta")}
        labels = {"L1": SegmentLabel("level", "L2", "SNOMED code"), "aorta": SegmentLabel("artery", "", "name")}
        given = {"regions": {"levels": "L1=L6"}}
        for groups, level, source in (({}, "L2", "SNOMED code"), (given, "L6", "option --levels")):
            table = analyze(self.phantom.series(), segments, from_dict(groups), labels=labels).vertebrae
            self.assertEqual((table["level"][0], table["level_source"][0]), (level, source))

    def test_curves(self):
        curves = self.result.curves_table()
        np.testing.assert_array_equal(curves["time_s"], self.phantom.times_s)
        np.testing.assert_allclose(
            np.array(curves["aif_plasma_mM"]) * (1 - 0.42), curves["aif_blood_mM"], rtol=1e-12, atol=1e-12
        )
        self.assertAlmostEqual(max(curves["L1_measured_mM"]), 1.04, delta=0.05)  # peak of the class, Parker, Hct 0.42
        residual = np.array(curves["L1_measured_mM"]) - np.array(curves["L1_fitted_mM"])
        self.assertAlmostEqual(np.sqrt(np.mean(residual**2)), self.result.vertebrae["rmse_mM"][0], places=9)

    def test_each_constant_has_a_source(self):
        sources = {name: entry.source for name, entry in self.result.used.items()}
        self.assertEqual(sources["flip_angle_deg"], "phantom")
        self.assertEqual(sources["hematocrit"], "default")
        self.assertRegex(sources["t10_tissue_ms"], "^assumed: .*1.5 T")
        self.assertEqual(self.result.used["relaxivity_per_s_mM"].value, 6.3)
        self.assertEqual(sum("not measured but assumed" in warning for warning in self.result.warnings), 3)

    def test_constants_that_enter_only_sometimes(self):
        def used(**groups):
            return analyze(self.phantom.series(), self.segments, from_dict(groups)).used

        plain = {"b1", "r2star_per_s_mM", "fat_fraction", "t1_fat_ms", "dose_mmol_per_kg", "aif"} & set(
            self.result.used
        )
        self.assertEqual(plain, {"b1"})
        self.assertEqual(used(conversion={"r2star_per_s_mM": 3.0})["r2star_per_s_mM"], Sourced(3.0, "user"))
        fat = used(conversion={"fat_fraction": 0.2, "t10_tissue_ms": 900.0, "b1": 0.97})
        self.assertEqual(fat["fat_fraction"], Sourced(0.2, "user"))
        self.assertEqual(fat["t1_fat_ms"], Sourced(300.0, "default"))
        self.assertEqual(fat["b1"], Sourced(0.97, "user"))
        parker = used(arterial_input={"aif": "parker"})
        self.assertEqual(parker["aif"], Sourced("parker", "Parker GJM et al., Magn Reson Med 2006;56:993-1000"))
        self.assertEqual(parker["dose_mmol_per_kg"], Sourced(0.1, "default"))
        self.assertNotIn("dose_mmol_per_kg", used(arterial_input={"aif": "parker", "aif_scale": "tail"}))
        self.assertNotIn("b1", used(conversion={"conversion": "linear"}))

    def test_settings_of_the_user_win(self):
        settings = from_dict({"conversion": {"t10_tissue_ms": 600.0}, "acquisition": {"baseline_frames": 5}})
        result = analyze(self.phantom.series(), self.segments, settings)
        self.assertEqual(result.used["t10_tissue_ms"], Sourced(600.0, "user"))
        self.assertEqual(result.baseline_frames, 5)

    def test_one_frame_order_of_magnitude_checks(self):
        """Leaving the hematocrit out multiplies Ktrans and ve by 1/(1 - Hct) and leaves kep."""
        none = analyze(self.phantom.series(), self.segments, from_dict({"conversion": {"hematocrit": 0.0}}))
        for column, factor in (("ktrans_per_min", 1 / 0.58), ("ve", 1 / 0.58), ("kep_per_min", 1.0)):
            ratio = np.array(none.vertebrae[column]) / np.array(self.result.vertebrae[column])
            np.testing.assert_allclose(ratio, factor, rtol=1e-5)

    def test_cancel_at_any_step(self):
        calls = []
        analyze(self.phantom.series(), self.segments, progress=lambda f, m: calls.append((f, m)) is None)
        self.assertEqual([fraction for fraction, _ in calls], sorted(fraction for fraction, _ in calls))
        for stop in range(len(calls)):
            count = iter(range(stop))
            with self.assertRaises(Cancelled):
                analyze(self.phantom.series(), self.segments, progress=lambda f, m, c=count: next(c, None) is not None)


class Options(unittest.TestCase):
    """Other ways to the same truth, on the phantom without noise."""

    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(snr=None, duration_s=360.0)
        cls.series, cls.segments = cls.phantom.series(), cls.phantom.segments
        cls.truth = np.array([bone.ktrans_per_min for bone in LEVELS.values()])

    def analyze(self, **groups):
        return analyze(self.series, self.segments, from_dict(groups))

    def largest_error(self, **groups):
        return np.abs(np.array(self.analyze(**groups).vertebrae["ktrans_per_min"]) / self.truth - 1.0).max()

    def test_ktrans_of_the_truth(self):
        for bar, groups in (
            (0.013, {"model": {"model": "extended-tofts"}}),
            (0.02, {"model": {"model": "linear-tofts"}}),
            (0.02, {"model": {"delay": "region"}}),
            (0.03, {"arterial_input": {"aif": "parker"}}),
            (0.03, {"arterial_input": {"aif": "parker", "aif_scale": "tail"}}),
            (0.013, {"arterial_input": {"aif_pick": "best"}}),
        ):
            with self.subTest(**groups):
                self.assertLess(self.largest_error(**groups), bar)

    def test_what_changes_the_scale_does(self):
        """Twice the dose of a population curve halves Ktrans; the linear formula exaggerates it."""
        once = self.analyze(arterial_input={"aif": "parker"}).vertebrae["ktrans_per_min"]
        twice = self.analyze(arterial_input={"aif": "parker", "dose_mmol_per_kg": 0.2}).vertebrae["ktrans_per_min"]
        np.testing.assert_allclose(np.array(once) / np.array(twice), 2.0, rtol=1e-3)
        linear = self.analyze(conversion={"conversion": "linear"})
        self.assertGreater(min(np.array(linear.vertebrae["ktrans_per_min"]) / self.truth), 1.4)
        self.assertRegex(" ".join(linear.warnings), "the linear conversion underestimates the arterial peak")

    def test_each_model_fills_its_own_columns_and_maps(self):
        for model, parameters in (
            ("patlak", ("ktrans", "vp")),
            ("exchange", ("ktrans", "ve", "vp", "fp", "ps")),
            ("extended-tofts", ("ktrans", "kep", "ve", "vp")),
        ):
            result = self.analyze(model={"model": model})
            self.assertEqual(result.parameters, parameters)
            self.assertTrue(set(parameters) < set(result.maps))
            for name in parameters:
                column = name if name in ("ve", "vp") else f"{name}_per_min"
                self.assertTrue(np.isfinite(result.vertebrae[column]).all(), (model, name))

    def test_bounds_of_the_exchange_model(self):
        free, narrow = (
            self.analyze(model={"model": "exchange", "vp_max": vp_max, "ve_max": ve_max})
            for vp_max, ve_max in ((1.0, 1.0), (0.02, 0.12))
        )
        self.assertGreater(max(free.vertebrae["ve"] + free.vertebrae["vp"]), 0.13)
        self.assertLessEqual(max(narrow.vertebrae["vp"]), 0.02)
        self.assertLessEqual(max(narrow.vertebrae["ve"]), 0.12)

    def test_all_maps(self):
        """Each as its own numbers say: of the series of one voxel, and of the residual of its fit."""
        result = self.analyze(output={"maps": "all"})
        more = {"eslope", "wash_in", "wash_out", "iauc90", "iauc180", "iaugc60", "ser", "r_squared", "rmse"}
        self.assertEqual(set(result.maps) - set(self.analyze().maps), more)
        inside = result.rois.regions[0].analyzed
        at = {name: result.maps[name].values[inside].astype(float) for name in result.maps}
        np.testing.assert_allclose(at["wash_in"], at["emax"] / at["time_to_peak"], rtol=1e-5)
        self.assertTrue((at["iauc60"] < at["iauc90"]).all() and (at["iauc90"] < at["iauc180"]).all())
        self.assertTrue((at["wash_out"] < 0).all() and (at["ser"] > 1).all())
        for name in ("eslope_percent_per_s", "iauc180_mM_s", "iaugc60", "ser"):
            of_map = at[name.partition("_")[0]]
            np.testing.assert_allclose(np.median(of_map), result.descriptive[name][0], rtol=0.02)
        self.assertGreater(at["r_squared"].min(), 0.999)
        curve = result.curves[0]
        rmse = np.sqrt(np.mean(np.square(curve.concentration_mM - curve.fitted_mM)))
        np.testing.assert_allclose(np.median(at["rmse"]), rmse, rtol=0.05)

    def test_reference_region_needs_muscle_and_no_artery(self):
        """The muscle of the phantom has a Ktrans of 0.08 /min; the literature's T1 of muscle is the phantom's."""
        muscle = self.phantom.labels == list(TISSUES).index("muscle")
        segments = {name: mask for name, mask in self.segments.items() if name != "aorta"} | {"psoas": muscle}
        chosen = {"model": "reference-region", "reference_ktrans_per_min": 0.08}
        known = analyze(self.series, segments, from_dict({"model": chosen}))
        self.assertEqual(known.parameters, ("ktrans", "kep", "ve", "relative_ktrans"))
        np.testing.assert_allclose(known.vertebrae["ktrans_per_min"], self.truth, rtol=0.02)
        np.testing.assert_allclose(
            known.vertebrae["kep_per_min"], [bone.kep_per_min for bone in LEVELS.values()], rtol=0.02
        )
        self.assertEqual([name for name, *_ in known.input_curves()], ["reference_mM"])
        self.assertTrue(np.isnan(known.descriptive["iaugc60"]).all())
        with_artery = self.segments | {"erector spinae": muscle}
        relative = analyze(self.series, with_artery, from_dict({"model": {"model": "reference-region"}}))
        self.assertEqual(relative.parameters, ("kep", "relative_ktrans"))
        self.assertEqual(list(relative.vertebrae["region"]), list(LEVELS))
        np.testing.assert_allclose(relative.vertebrae["relative_ktrans"], self.truth / 0.08, rtol=0.02)
        with self.assertRaisesRegex(InputError, "name it with --reference-segment"):
            self.analyze(model={"model": "reference-region"})

    def test_delay_that_is_given_or_of_the_region_reaches_the_voxels(self):
        late = dataclasses.replace(self.phantom, arrival_s=35.0)
        labels = self.phantom.labels == list(TISSUES).index("aorta")
        frames = [np.where(labels, a, b) for a, b in zip(self.series.frames, late.series().frames, strict=True)]
        series = dataclasses.replace(self.series, frames=frames)
        for delay in ({"delay": "given", "delay_s": 4.0}, {"delay": "region"}):
            with self.subTest(**delay):
                result = analyze(series, self.segments, from_dict({"model": delay}))
                np.testing.assert_allclose(result.vertebrae["delay_s"], 4.0, atol=0.15)
                np.testing.assert_allclose(result.vertebrae["ktrans_median_per_min"], self.truth, rtol=0.03)
        idle = analyze(series, self.segments, from_dict({"model": {"delay_max_s": 9.0}}))
        self.assertIn("delay_max_s = 9.0 has no effect: no delay is fitted", idle.warnings)
        none = analyze(series, self.segments)
        self.assertGreater(np.abs(np.array(none.vertebrae["ktrans_median_per_min"]) / self.truth - 1.0).min(), 0.1)
        with self.assertRaisesRegex(InputError, "choose 'given'"):
            from_dict({"model": {"delay_s": 4.0}})

    def test_maps_go_before_numbers_voxel_by_voxel(self):
        shape = self.series.shape
        number = {"t10_tissue_ms": 620.0, "b1": 0.95, "fat_fraction": 0.3}
        by_number = self.analyze(conversion=number)
        maps = TissueMaps(np.full(shape, 620.0), np.full(shape, 0.95), np.full(shape, 0.3))
        by_map = analyze(self.series, self.segments, maps=maps)
        for column in ("ktrans_per_min", "kep_median_per_min"):
            np.testing.assert_allclose(by_map.vertebrae[column], by_number.vertebrae[column], rtol=1e-9)
        self.assertEqual(by_map.used["t10_tissue_ms"], Sourced(620.0, "T1 map, median of the analyzed voxels"))
        self.assertNotIn("t10_tissue_ms = 5", " ".join(by_map.warnings))

        plain = self.analyze()
        only_l1 = np.where(self.segments["L1"], 620.0, 549.0)
        only_l1[self.segments["L2"]] = np.nan
        mixed = analyze(self.series, self.segments, maps=TissueMaps(t1_ms=only_l1))
        alone = self.analyze(conversion={"t10_tissue_ms": 620.0})
        found = np.array(mixed.vertebrae["ktrans_median_per_min"])
        self.assertAlmostEqual(found[0] / alone.vertebrae["ktrans_median_per_min"][0], 1.0, places=9)
        self.assertTrue(np.isnan(found[1]))
        self.assertEqual(mixed.vertebrae["failed_share"][1], 1.0)
        np.testing.assert_allclose(found[2:], plain.vertebrae["ktrans_median_per_min"][2:], rtol=1e-9)
        self.assertRegex(" ".join(mixed.warnings), "the T1 map has no value in .*% of the analyzed voxels")
        with self.assertRaisesRegex(InputError, r"the b1 map \(2, 2, 2\) is not on the grid"):
            analyze(self.series, self.segments, maps=TissueMaps(b1=np.ones((2, 2, 2))))

    def test_a_map_on_another_grid(self):
        """A linear function of position stays one; what has no value does not bleed into its neighbors."""
        k, j, i = np.indices(self.series.shape)
        position = np.stack((i, j, k, np.ones_like(i)), axis=-1) @ self.series.ijk_to_ras.T
        slope = np.array([0.5, 1.0, -0.7])
        turned = np.array([[0, 0, 3.0, -40.0], [0, -4.0, 0, 60.0], [5.0, 0, 0, -150.0], [0, 0, 0, 1.0]])
        kk, jj, ii = np.indices((30, 50, 60))
        other = np.stack((ii, jj, kk, np.ones_like(ii)), axis=-1) @ turned.T
        values = 1000.0 + other[..., :3] @ slope
        found = on_grid_of(self.series, values, turned, (1.0, 2e4))
        known = np.isfinite(found)
        self.assertGreater(known.mean(), 0.1)
        # linear between the centers of its voxels, and as at the nearest center from there to their faces
        at = position @ np.linalg.inv(turned).T[:, :3]
        inside = ((at > -0.5) & (at < np.array([60, 50, 30]) - 0.5)).all(axis=-1)
        np.testing.assert_array_equal(known, inside)
        nearest = np.clip(at, 0, np.array([59, 49, 29])) @ turned[:3, :3].T + turned[:3, 3]
        np.testing.assert_allclose(found[known], (1000.0 + nearest @ slope)[known], rtol=1e-9)
        values[12, 20, 30] = 0.0
        holed = on_grid_of(self.series, values, turned, (1.0, 2e4))
        still = np.isfinite(holed)
        self.assertLess(still.sum(), known.sum())
        np.testing.assert_allclose(holed[still], found[still], rtol=1e-12)
        same = on_grid_of(self.series, np.zeros(self.series.shape), self.series.ijk_to_ras, (0.0, 1.0))
        np.testing.assert_array_equal(same, 0.0)

    def test_a_map_of_the_same_slices_keeps_them_all(self):
        """Half as many voxels within each slice; rounding puts its slices a little off, and its faces are its end."""
        coarse = self.series.ijk_to_ras @ np.diag([2.0, 2.0, 1.0, 1.0])
        slices, rows, columns = self.series.shape
        values = np.full((slices, rows // 2, columns // 2), 600.0)
        for off, lost in ((0.0, 0), (1e-7, 0), (-1e-7, 0), (0.4, 0), (-0.4, 0), (0.6, 1), (-1.6, 2)):
            matrix = coarse.copy()
            matrix[:3, 3] += off * coarse[:3, 2]
            found = on_grid_of(self.series, values, matrix, (1.0, 2e4))
            finite = np.isfinite(found).reshape(slices, -1)
            self.assertEqual(np.count_nonzero(finite.all(axis=1)), slices - lost, off)
            self.assertEqual(np.count_nonzero(~finite.any(axis=1)), lost, off)
            np.testing.assert_allclose(found[np.isfinite(found)], 600.0)
            one = on_grid_of(self.series, values[:1], matrix, (1.0, 2e4))
            self.assertEqual(np.count_nonzero(np.isfinite(one).any(axis=(1, 2))), 0 if off == -1.6 else 1, off)

    def test_standard_error_of_a_noisy_mean_curve_covers_the_truth(self):
        phantom = small_phantom(duration_s=360.0)
        table = analyze(phantom.series(), phantom.segments).vertebrae
        errors = np.array(table["ktrans_se_per_min"])
        self.assertTrue((errors > 0).all())
        self.assertLess((errors / self.truth).max(), 0.02)

    def test_enhancement_of_the_classes_is_ordered_as_in_figure_2(self):
        table = self.analyze().descriptive
        emax, kinds = dict(zip(table["level"], table["emax_percent"], strict=True)), set(table["curve_type"])
        self.assertGreater(emax["L1"], emax["L2"])
        self.assertGreater(emax["L2"], emax["L3"])
        self.assertEqual(kinds, {"D"})


class Voxels(unittest.TestCase):
    def test_status_says_why_a_voxel_has_no_value(self):
        phantom = small_phantom(snr=None)
        series = phantom.series()
        body = np.argwhere(phantom.segments["L1"])
        dead, bright, flat = (tuple(voxel) for voxel in body[[0, 1, 2]])
        frames = [np.array(frame) for frame in series.frames]
        for t, frame in enumerate(frames):
            frame[dead] = 0.0
            frame[flat] = 1000.0 - t
            if 30 <= t < 36:
                frame[bright] = 1e6
        result = analyze(
            dataclasses.replace(series, frames=frames),
            phantom.segments,
            from_dict({"regions": {"margin_mm": 0.0, "exclude": "none"}}),
        )
        status = result.maps["status"].values
        self.assertEqual(status[dead], FitStatus.NO_BASELINE)
        self.assertEqual(status[bright], FitStatus.CONVERSION_INVALID)
        self.assertEqual(status[flat], FitStatus.NO_ENHANCEMENT)
        self.assertTrue(all(np.isnan(result.maps["ktrans"].values[voxel]) for voxel in (dead, bright, flat)))
        neighbors = phantom.labels == list(TISSUES).index("L1")
        neighbors[dead] = neighbors[bright] = neighbors[flat] = False
        np.testing.assert_allclose(result.maps["ktrans"].values[neighbors], 0.961, rtol=0.013)
        self.assertAlmostEqual(
            result.vertebrae["failed_share"][0],
            np.mean(~np.isfinite(result.maps["ktrans"].values[phantom.segments["L1"]])),
            places=12,
        )

    def test_statistics_of_noisy_voxels(self):
        """Quartiles differ from the median here, and a narrow box makes voxels hit a bound."""
        phantom = small_phantom()
        narrow = from_dict({"model": {"ve_max": 0.14}})
        result = analyze(phantom.series(), phantom.segments, narrow)
        status = result.maps["status"].values
        for n, region in enumerate(result.rois.regions):
            for quantity in ("ktrans", "kep", "ve"):
                unit = "" if quantity == "ve" else "_per_min"
                values = result.maps[quantity].values[region.analyzed].astype(float)
                for name, share in (("q1", 25), ("median", 50), ("q3", 75)):
                    found = result.vertebrae[f"{quantity}_{name}{unit}"][n]
                    self.assertAlmostEqual(found / np.percentile(values, share), 1.0, places=5)
                for name, expected in (("mean", statistics.fmean(values)), ("sd", statistics.stdev(values))):
                    found = result.vertebrae[f"{quantity}_{name}{unit}"][n]
                    self.assertAlmostEqual(found, expected, places=5)
            share = np.mean(status[region.analyzed] == FitStatus.AT_BOUND)
            self.assertEqual(result.vertebrae["at_bound_share"][n], share)
        self.assertGreater(result.vertebrae["at_bound_share"][0], 0.9)
        self.assertGreater(0.9, result.vertebrae["at_bound_share"][2])
        self.assertRegex(" ".join(result.warnings), "L1: the fit of the mean curve is not plain")


class Incomplete(unittest.TestCase):
    """Voxels and frames without a value leave the others alone."""

    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(snr=None)
        cls.segments = cls.phantom.segments
        cls.whole = analyze(cls.phantom.series(), cls.segments)
        cls.truth = np.array([bone.ktrans_per_min for bone in LEVELS.values()])

    def changed(self, change):
        series = self.phantom.series()
        frames = [np.array(frame) for frame in series.frames]
        for t, frame in enumerate(frames):
            change(t, frame)
        return dataclasses.replace(series, frames=frames)

    def voxel(self, region):
        return tuple(np.argwhere(self.whole.rois.regions[region].analyzed)[0])

    def test_one_voxel_that_is_not_finite(self):
        voxel, arterial = self.voxel(0), tuple(np.argwhere(self.segments["aorta"])[0])

        def spoil(t, frame):
            if t == 20:
                frame[voxel] = frame[arterial] = np.nan

        for chosen in ({}, {"aif_pick": "best"}):
            result = analyze(self.changed(spoil), self.segments, from_dict({"arterial_input": chosen}))
            np.testing.assert_allclose(result.vertebrae["ktrans_per_min"], self.truth, rtol=0.013)
            self.assertEqual(list(result.vertebrae["status"]), ["fitted"] * 5)
            self.assertAlmostEqual(float(result.maps["ktrans"].values[voxel]), 0.961, delta=0.013)
            drawn, analyzed = self.segments["aorta"].sum(), self.whole.vertebrae["voxels_analyzed"][0]
            said = " ".join(result.warnings)
            self.assertIn(f"aorta: 1 of its {drawn} voxels are not finite in some frame, left out", said)
            self.assertIn(f"L1: 1 of its {analyzed} analyzed voxels are not finite in some frame", said)
        nothing = self.changed(lambda t, frame: frame.__setitem__(self.segments["aorta"], np.nan) if t == 3 else None)
        with self.assertRaisesRegex(InputError, "every voxel of the segment 'aorta' is not finite in some frame"):
            analyze(nothing, self.segments)

    def test_region_without_a_finite_voxel(self):
        series = self.changed(lambda t, frame: frame.__setitem__(self.segments["L2"], np.nan) if t < 8 else None)
        for delay in ("none", "region"):
            result = analyze(series, self.segments, from_dict({"model": {"delay": delay}}))
            self.assertEqual(result.vertebrae["status"][1], "conversion invalid")
            self.assertTrue(np.isnan(result.vertebrae["ktrans_median_per_min"][1]))
            self.assertEqual(result.vertebrae["failed_share"][1], 1.0)
            self.assertEqual(result.vertebrae["frames_used"][1], 0)
            self.assertEqual(result.maps["status"].values[self.voxel(1)], FitStatus.CONVERSION_INVALID)
        self.assertIn("delay of the region is unknown", FitStatus.CONVERSION_INVALID.meaning)

    def test_region_and_voxel_lack_the_same_frames(self):
        """A tenth of the 50 frames may be missing, no more."""
        for missing in (5, 6):
            late = range(30, 30 + missing)
            series = self.changed(lambda t, f, late=late: f.__setitem__(self.segments["L1"], 1e6) if t in late else 0)
            result = analyze(series, self.segments)
            table, voxel = result.vertebrae, self.voxel(0)
            self.assertEqual(table["frames_used"][1:], [50] * 4)
            if missing == 5:
                self.assertEqual((table["status"][0], table["frames_used"][0]), ("fitted", 45))
                self.assertAlmostEqual(table["ktrans_per_min"][0], 0.961, delta=0.013)
                self.assertAlmostEqual(float(result.maps["ktrans"].values[voxel]), 0.961, delta=0.013)
                self.assertEqual(result.maps["status"].values[voxel], FitStatus.FITTED)
                self.assertIn("L1: 5 of the 50 frames of its mean curve have no", " ".join(result.warnings))
            else:
                self.assertEqual((table["status"][0], table["frames_used"][0]), ("conversion invalid", 0))
                self.assertTrue(np.isnan([table["ktrans_per_min"][0], result.maps["ktrans"].values[voxel]]).all())
                self.assertEqual(result.maps["status"].values[voxel], FitStatus.CONVERSION_INVALID)

    def test_baseline_of_the_voxels_that_are_picked(self):
        """The canal is drawn with the aorta and brightens before the bolus, which comes after frame 11."""
        canal = self.phantom.labels == list(TISSUES).index("canal")
        series = self.changed(lambda t, frame: frame.__setitem__(canal, 30000.0) if t >= 4 else None)
        drawn = self.segments | {"aorta": self.segments["aorta"] | canal}
        result = analyze(series, drawn, from_dict({"arterial_input": {"aif_pick": "best"}}))
        self.assertEqual(result.baseline_frames, self.whole.baseline_frames)
        np.testing.assert_allclose(result.vertebrae["ktrans_per_min"], self.truth, rtol=0.013)


class Blocks:
    """Two vertebrae, muscle and aorta as blocks of 4 x 4 x 4 voxels, with B1, r2* or fat, and with late tissue.

    Ktrans and kep per minute, vp, delay and T1 (that of the water where there is fat); r2* darkens blood as well.
    """

    TISSUES = {  # noqa: RUF012
        "L1": (0.60, 2.4, 0.0, 2.0, 700.0),
        "L2": (0.30, 1.5, 0.0, 5.0, 700.0),
        "psoas": (0.08, 0.7, 0.0, 0.0, 1100.0),
    }
    PROTOCOL = (4.0, 25.0)
    TE_MS, FIELD_T, R1, HEMATOCRIT, ARRIVAL_S, BLOOD_T1_MS = 1.2, 1.5, 4.5, 0.4, 21.0, 1500.0

    def __init__(self, b1=1.0, r2star=0.0, fat_fraction=0.0, **tissues):
        self.tissues = {**self.TISSUES, **tissues}
        self.times_s = np.arange(0.0, 240.0, 1.5)
        self.fine_s = np.arange(0.0, 240.0, 0.1)
        self.blood_mM = parker_blood_concentration((self.fine_s - self.ARRIVAL_S) / 60.0)
        self.tissue_mM, signals = {}, {}
        for name, (ktrans, kep, vp, delay_s, t1_ms) in self.tissues.items():
            late = parker_blood_concentration((self.fine_s - self.ARRIVAL_S - delay_s) / 60.0) / (1 - self.HEMATOCRIT)
            fat = fat_fraction if name != "psoas" else 0.0
            self.tissue_mM[name] = tofts_concentration(self.fine_s, late, ktrans, kep, vp)
            in_water = self.tissue_mM[name] / (1 - fat)
            rates = 1000.0 / t1_ms + self.R1 * in_water
            signal = water_fat_signal(500.0, fat, rates, 300.0, *self.PROTOCOL, self.TE_MS, self.FIELD_T, b1)
            signals[name] = signal * np.exp(-self.TE_MS / 1000.0 * r2star * in_water)
        blood = spgr_signal(800.0, 1000.0 / self.BLOOD_T1_MS + self.R1 * self.blood_mM, *self.PROTOCOL, b1)
        signals["aorta"] = blood * np.exp(-self.TE_MS / 1000.0 * r2star * self.blood_mM)
        self.signals = {name: np.interp(self.times_s, self.fine_s, signal) for name, signal in signals.items()}
        self.masks = {}
        volumes = np.ones((self.times_s.size, 4, 4, 16))
        for n, (name, signal) in enumerate(self.signals.items()):
            self.masks[name] = np.zeros((4, 4, 16), dtype=bool)
            self.masks[name][:, :, 4 * n : 4 * n + 4] = True
            volumes[:, :, :, 4 * n : 4 * n + 4] = signal[:, None, None, None]
        self.series = DynamicSeries(list(volumes), self.times_s, np.eye(4))

    def analyze(self, maps=None, series=None, segments=("L1", "L2", "aorta"), conversion=None, **groups):
        known = {
            "t10_tissue_ms": 700.0,
            "t10_blood_ms": self.BLOOD_T1_MS,
            "relaxivity_per_s_mM": self.R1,
            "hematocrit": self.HEMATOCRIT,
        }
        acquisition = {
            "repetition_time_ms": self.PROTOCOL[0],
            "flip_angle_deg": self.PROTOCOL[1],
            "echo_time_ms": self.TE_MS,
            "field_strength_T": self.FIELD_T,
        }
        settings = {
            "acquisition": acquisition,
            "conversion": known | (conversion or {}),
            "regions": {"margin_mm": 0.0},
            **groups,
        }
        masks = {name: self.masks[name] for name in segments}
        return analyze(series or self.series, masks, from_dict(settings), maps=maps)

    def everywhere(self, **values):
        return np.select([self.masks[name] for name in values], list(values.values()), np.nan)


class Known(unittest.TestCase):
    """Every step of the study against a series that was made with its truth."""

    def check(self, blocks, result, rtol=0.015, names=("L1", "L2")):
        for n, name in enumerate(names):
            ktrans, kep, _, delay_s, _ = blocks.tissues[name]
            for column, truth in (("ktrans_per_min", ktrans), ("kep_per_min", kep), ("ve", ktrans / kep)):
                np.testing.assert_allclose(result.vertebrae[column][n], truth, rtol=rtol, err_msg=f"{name} {column}")
            self.assertAlmostEqual(result.vertebrae["delay_s"][n], delay_s, delta=0.2)
            inside = blocks.masks[name]
            np.testing.assert_allclose(result.maps["ktrans"].values[inside], ktrans, rtol=rtol)
            measured = np.array(result.curves_table()[f"{name}_measured_mM"])
            truth = np.interp(blocks.times_s, blocks.fine_s, blocks.tissue_mM[name])
            np.testing.assert_allclose(measured, truth, atol=0.005 * truth.max())
        found = np.array(result.curves_table()["aif_blood_mM"])
        truth = np.interp(blocks.times_s, blocks.fine_s, blocks.blood_mM)
        np.testing.assert_allclose(found, truth, atol=0.005 * truth.max())

    def test_b1_and_r2star(self):
        blocks = Blocks(b1=0.9, r2star=6.0)
        chosen = {"r2star_per_s_mM": 6.0}
        by_number = blocks.analyze(conversion={**chosen, "b1": 0.9}, model={"delay": "region"})
        by_map = blocks.analyze(TissueMaps(b1=np.full((4, 4, 16), 0.9)), conversion=chosen, model={"delay": "region"})
        for result in (by_number, by_map):
            self.check(blocks, result)

    def test_fat_and_b1(self):
        tissues = {name: (*Blocks.TISSUES[name][:4], 900.0) for name in ("L1", "L2")}
        blocks = Blocks(b1=0.9, fat_fraction=0.4, **tissues)
        conversion = {"b1": 0.9, "fat_fraction": 0.4, "t10_tissue_ms": 900.0}
        self.check(blocks, blocks.analyze(conversion=conversion, model={"delay": "region"}))

    def test_delay_of_each_voxel(self):
        blocks = Blocks()
        result = blocks.analyze(model={"delay": "voxel"})
        self.check(blocks, result)
        for name, truth in (("L1", 2.0), ("L2", 5.0)):
            np.testing.assert_allclose(result.maps["delay"].values[blocks.masks[name]], truth, atol=0.2)
        for delay in ("voxel", "region"):
            bounded = blocks.analyze(model={"delay": delay, "delay_max_s": 3.0})
            self.assertEqual(bounded.vertebrae["delay_s"][1], 3.0)
        bounded = blocks.analyze(model={"delay": "voxel", "delay_min_s": 3.0})
        np.testing.assert_array_equal(bounded.maps["delay"].values[blocks.masks["L1"]], 3.0)

    def test_plasma_volume_and_bounds(self):
        blocks = Blocks(L1=(0.3, 1.5, 0.08, 0.0, 700.0), L2=(0.2, 0.001, 0.05, 0.0, 700.0))
        extended = blocks.analyze(model={"model": "extended-tofts"}).vertebrae
        np.testing.assert_allclose(extended["vp"][0], 0.08, rtol=0.03)
        np.testing.assert_allclose(extended["ktrans_per_min"][0], 0.3, rtol=0.02)
        patlak = blocks.analyze(model={"model": "patlak"}).vertebrae
        np.testing.assert_allclose([patlak["ktrans_per_min"][1], patlak["vp"][1]], [0.2, 0.05], rtol=0.03)
        for model in ("tofts", "extended-tofts", "patlak"):
            bounded = blocks.analyze(model={"model": model, "ktrans_max_per_min": 0.03}).vertebrae
            np.testing.assert_allclose(bounded["ktrans_per_min"], 0.03, rtol=1e-6)
            self.assertEqual(list(bounded["status"]), ["at bound"] * 2)
            self.assertEqual(list(bounded["at_bound_share"]), [1.0] * 2)
        for model in ("extended-tofts", "patlak"):
            bounded = blocks.analyze(model={"model": model, "vp_max": 0.02}).vertebrae
            np.testing.assert_allclose(bounded["vp"], 0.02, rtol=1e-6)

    def test_reference_tissue_by_its_t1_in_the_map(self):
        blocks = Blocks(L1=(0.6, 2.4, 0.0, 0.0, 700.0), L2=(0.3, 1.5, 0.0, 0.0, 700.0))
        maps = TissueMaps(t1_ms=blocks.everywhere(L1=700.0, L2=700.0, psoas=1100.0))
        model = {"model": "reference-region"}
        by_map = blocks.analyze(maps, segments=("L1", "L2", "psoas"), model=model).vertebrae
        np.testing.assert_allclose(by_map["relative_ktrans"], [7.5, 3.75], rtol=0.02)
        number = {"t10_reference_ms": 1100.0}
        by_number = blocks.analyze(segments=("L1", "L2", "psoas"), conversion=number, model=model).vertebrae
        np.testing.assert_allclose(by_number["relative_ktrans"], by_map["relative_ktrans"], rtol=1e-6)

    def test_quality_of_the_fit(self):
        """As defined by Hurvich and Tsai 1989, of the curves that the result shows; three parameters with the noise."""
        result = Blocks().analyze()
        curves = result.curves_table()
        for n, name in enumerate(("L1", "L2")):
            measured, fitted = np.array(curves[f"{name}_measured_mM"]), np.array(curves[f"{name}_fitted_mM"])
            squares, count, k = np.sum((measured - fitted) ** 2), measured.size, 3
            spread = np.sum((measured - measured.mean()) ** 2)
            aicc = count * np.log(squares / count) + 2 * k + 2 * k * (k + 1) / (count - k - 1)
            self.assertAlmostEqual(result.vertebrae["r_squared"][n], 1 - squares / spread, places=9)
            self.assertAlmostEqual(result.vertebrae["aicc"][n], aicc, places=5)
            self.assertAlmostEqual(result.vertebrae["rmse_mM"][n], np.sqrt(squares / count), places=9)
            self.assertEqual(result.vertebrae["frames_used"][n], count)

    def test_region_that_is_dark_before_contrast(self):
        blocks = Blocks()
        frames = [f - 1e3 * blocks.masks["L2"] * (t < 20) for t, f in enumerate(blocks.series.frames)]
        result = blocks.analyze(series=dataclasses.replace(blocks.series, frames=frames))
        self.assertEqual(list(result.vertebrae["status"]), ["fitted", "no baseline"])
        self.assertEqual(result.vertebrae["failed_share"], [0.0, 1.0])
        np.testing.assert_array_equal(result.maps["status"].values[blocks.masks["L2"]], FitStatus.NO_BASELINE)
        self.assertIn(
            "L2: the fit of the mean curve is not plain: the signal before contrast", " ".join(result.warnings)
        )

    def test_dose_reaches_the_check_of_the_peak(self):
        messages = [f.message for f in Blocks().analyze(arterial_input={"dose_mmol_per_kg": 0.2}).findings]
        self.assertRegex(" ".join(messages), "4 to 30 mM plausible for this dose")

    def test_descriptive_table(self):
        """Each column from the signal and the true concentrations, with numpy alone."""
        blocks = Blocks()
        measured = blocks.analyze()
        population = blocks.analyze(arterial_input={"aif": "parker"})
        table, times_s, arrival_s = measured.descriptive, blocks.times_s, measured.arrival_s
        self.assertAlmostEqual(arrival_s, blocks.ARRIVAL_S, delta=0.5)
        for n, name in enumerate(("L1", "L2")):
            signal = blocks.signals[name]
            rise = 100.0 * (signal / signal[0] - 1.0)
            smooth = np.convolve(np.pad(rise, 1, mode="edge"), np.ones(3) / 3.0, mode="valid")
            last = (rise[-1] + rise[-2]) / 2.0
            top = int(np.argmax(smooth))
            level = [np.interp(share * smooth[top], rise[: top + 1], times_s[: top + 1]) for share in (0.1, 0.9)]
            peak_s = times_s[top] - arrival_s
            wash_out = (last - smooth[top]) / (times_s[-1] - times_s[top])
            expected = {
                "emax_percent": smooth[top],
                "eslope_percent_per_s": 0.8 * smooth[top] / (level[1] - level[0]),
                "max_slope_percent_per_s": np.diff(rise).max() / 1.5,
                "time_to_peak_s": peak_s,
                "wash_in_slope_percent_per_s": smooth[top] / peak_s,
                "wash_out_slope_percent_per_s": wash_out,
                "wash_out_percent_per_min": 60.0 * wash_out,
                "ser": np.interp(arrival_s + 60.0, times_s, smooth) / last,
            }
            for column, truth in expected.items():
                np.testing.assert_allclose(table[column][n], truth, rtol=1e-3, err_msg=f"{name} {column}")
            for seconds in (60, 90, 180):
                within = (blocks.fine_s >= arrival_s) & (blocks.fine_s <= arrival_s + seconds)
                area, of_blood = (0.1 * values[within].sum() for values in (blocks.tissue_mM[name], blocks.blood_mM))
                np.testing.assert_allclose(table[f"iauc{seconds}_mM_s"][n], area, rtol=0.01)
                for result in (measured, population):
                    found = result.descriptive[f"iaugc{seconds}"][n]
                    np.testing.assert_allclose(found, area / of_blood, rtol=0.03)
            self.assertEqual(table["curve_type"][n], "D")


class Findings(unittest.TestCase):
    """What is checked of artery and protocol reaches findings and warnings."""

    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(snr=None)
        cls.segments = cls.phantom.segments
        cls.aorta = cls.segments["aorta"]

    def found(self, series=None, **groups):
        result = analyze(series or self.phantom.series(), self.segments, from_dict(groups))
        warnings = " ".join(result.warnings)
        for finding in result.findings:
            self.assertEqual(finding.message in warnings, finding.grade != "ok", finding.message)
        grades = {}
        for finding in result.findings:
            grades.setdefault(finding.topic, []).append(finding.grade)
        return grades, " ".join(finding.message for finding in result.findings)

    def test_a_plain_study_passes_each_check(self):
        grades, _ = self.found()
        self.assertEqual(
            set(grades),
            {
                *("frame time", "start of the series", "baseline length", "duration", "flip angle", "inflow"),
                *("arterial conversion", "arterial peak", "arterial wash-out", "arterial baseline", "arterial sign"),
                "order of arrival",
            },
        )
        self.assertEqual(len(grades["arterial peak"]), 2)  # its height, and what B1 and r2* do to it
        self.assertEqual({grade for each in grades.values() for grade in each}, {"ok", "warning"})
        self.assertEqual([topic for topic, each in grades.items() if "warning" in each], ["duration"])

    def test_blood_that_flows_in_bright(self):
        """A gain leaves the concentration as it is."""
        series = self.phantom.series()
        bright = [np.where(self.aorta, 2.0 * frame, frame) for frame in series.frames]
        grades, message = self.found(dataclasses.replace(series, frames=bright))
        self.assertEqual(grades["inflow"], ["warning"])
        self.assertRegex(message, r"blood is (1\.9|2\.0)\d times as bright")

    def test_tissue_before_the_artery(self):
        late = dataclasses.replace(self.phantom, arrival_s=45.0)
        frames = zip(self.phantom.series().frames, late.series().frames, strict=True)
        series = dataclasses.replace(self.phantom.series(), frames=[np.where(self.aorta, b, a) for a, b in frames])
        self.assertEqual(self.found(series)[0]["order of arrival"], ["warning"])

    def test_peak_of_the_artery(self):
        known = dict(self.phantom.series().acquisition)
        del known["echo_time_ms"]
        blind = dataclasses.replace(self.phantom.series(), acquisition=known)
        self.assertIn("what r2* does to it is unknown", self.found(blind)[1])
        _, message = self.found(conversion={"r2star_per_s_mM": 3.0})
        self.assertIn("r2* is corrected for with 3 /s/mM", message)
        _, plain = self.found()
        self.assertRegex(plain, r"10 % too low would change the measured arterial peak by -1[89] %")  # test_findings
        self.assertNotIn("arterial peak by", self.found(arterial_input={"aif": "parker"})[1])

    def test_population_input_that_the_frames_do_not_resolve(self):
        coarse = small_phantom(snr=None, frame_time_s=5.0, duration_s=300.0)
        result = analyze(coarse.series(), coarse.segments, from_dict({"arterial_input": {"aif": "fritz-hansen"}}))
        self.assertRegex(" ".join(result.warnings), "the fritz-hansen input changes a Ktrans of 0.3 /min by")
        self.assertRegex(" ".join(result.warnings), "The fritz-hansen input has no first pass")
        graded = self.found(arterial_input={"aif": "parker"})[0]
        self.assertEqual((graded["population input"], graded["first pass"]), (["ok"], ["ok"]))


class Input(unittest.TestCase):
    """The arterial input is known before a vertebra is drawn."""

    @classmethod
    def setUpClass(cls):
        cls.phantom = small_phantom(snr=None)
        cls.series, cls.aorta = cls.phantom.series(), {"aorta": cls.phantom.segments["aorta"]}

    def test_measured(self):
        found = arterial_input(self.series, self.aorta)
        truth = parker_blood_concentration((self.phantom.times_s - self.phantom.arrival_s) / 60.0)
        late = self.phantom.times_s > self.phantom.arrival_s + 30.0
        np.testing.assert_allclose(found.measured_mM[late], truth[late], rtol=0.02)
        np.testing.assert_allclose(found.input_mM * (1 - 0.42), found.measured_mM, rtol=1e-12, atol=1e-12)
        thin = arterial_input(self.series, self.aorta, from_dict({"conversion": {"hematocrit": 0.2}}))
        np.testing.assert_allclose(thin.input_mM * (1 - 0.2), found.measured_mM, rtol=1e-12, atol=1e-12)

    def test_population(self):
        found = arterial_input(self.series, self.aorta, from_dict({"arterial_input": {"aif": "parker"}}))
        truth = parker_blood_concentration((self.phantom.times_s - found.arrival_s) / 60.0)
        np.testing.assert_allclose(found.blood_mM, truth, rtol=1e-9, atol=1e-12)
        self.assertAlmostEqual(found.arrival_s, self.phantom.arrival_s, delta=3.0)

    def test_it_is_that_of_the_analysis(self):
        for groups in ({}, {"arterial_input": {"aif": "weinmann", "aif_pick": "best"}}, {"conversion": {"b1": 0.9}}):
            settings = from_dict(groups)
            before, after = (
                arterial_input(self.series, self.aorta, settings),
                analyze(self.series, self.phantom.segments, settings),
            )
            for name in ("input_mM", "measured_mM", "arrival_s", "times_s"):
                np.testing.assert_array_equal(getattr(before, name), getattr(after, name), name)
            missing = [f for f in after.findings if f not in before.findings]
            self.assertLessEqual({f.topic for f in missing}, {"inflow", "order of arrival"})
            self.assertLessEqual(set(before.findings), set(after.findings))

    def test_reference_tissue(self):
        muscle = {"muscle": self.aorta["aorta"]}
        found = arterial_input(self.series, muscle, from_dict({"model": {"model": "reference-region"}}))
        self.assertIsNone(found.blood_mM)
        np.testing.assert_array_equal(found.input_mM, found.measured_mM)

    def test_refusals(self):
        with self.assertRaisesRegex(InputError, "no segment is named as an artery"):
            arterial_input(self.series, {"L1": self.phantom.segments["L1"]})
        with self.assertRaisesRegex(InputError, "shows no enhancement"):
            still = dataclasses.replace(self.series, frames=[self.series.frames[0]] * 50)
            arterial_input(still, self.aorta)


class Refusals(unittest.TestCase):
    def setUp(self):
        self.phantom = small_phantom(snr=None)
        self.series = self.phantom.series()
        self.segments = self.phantom.segments

    def without(self, *names):
        kept = {name: entry for name, entry in self.series.acquisition.items() if name not in names}
        return dataclasses.replace(self.series, acquisition=kept)

    def test_messages(self):
        times_s = self.series.times_s.copy()
        times_s[4] = times_s[3]
        sheared = self.series.ijk_to_ras.copy()
        sheared[1, 2] = 1.0
        change = dataclasses.replace
        for series, settings, words in (
            (self.without("flip_angle_deg"), {}, "does not tell its flip angle; give --flip-angle-deg"),
            (self.without("repetition_time_ms"), {}, "give --repetition-time-ms"),
            (self.without("agent"), {}, "relaxivity is not known; give --relaxivity, or --agent"),
            (self.without("field_strength_T"), {}, "give --t10-tissue-ms"),
            (change(self.series, times_s=times_s), {}, "frame 4 is at 9 s, frame 5 at 9 s"),
            (change(self.series, times_s=times_s[:-1]), {}, "50 frames but 49 times"),
            (change(self.series, frames=self.series.frames[:4], times_s=times_s[:4]), {}, "at least 6"),
            (change(self.series, ijk_to_ras=sheared), {}, "not orthogonal"),
            (self.series, {"acquisition": {"baseline_frames": 50}}, "only 50 frames"),
            (
                change(self.series, times_s=np.append(times_s[:3], np.full(47, np.inf))),
                {},
                "frame 4 has no finite time",
            ),
            (
                change(self.series, frames=[*list(self.series.frames)[:-1], np.ones((6, 96, 128))]),
                {},
                r"frame 50 \(6, 96, 128\) is not on the grid of the series \(6, 128, 96\)",
            ),
            (change(self.series, frames=[np.ones((4, 4))] * 50), {}, r"\(4, 4\) must have slices, rows and columns"),
            (
                self.series,
                {"conversion": {"t10_blood_ms": 400.0}},
                "curve of the arterial segment 'aorta' cannot be converted",
            ),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                analyze(series, self.segments, from_dict(settings))

    def test_masks(self):
        for mask, words in (
            (np.ones((2, 3, 4), dtype=bool), r"the mask of 'L1' \(2, 3, 4\) is not on the grid"),
            (self.segments["L1"].astype(np.uint8), "the mask of 'L1' holds uint8 values"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                analyze(self.series, self.segments | {"L1": mask})

    def test_segment_in_which_nothing_looks_arterial(self):
        canal = self.phantom.labels == list(TISSUES).index("canal")
        chosen = {"arterial_input": {"aif_pick": "best"}, "acquisition": {"baseline_frames": 5}}
        with self.assertRaisesRegex(InputError, "no voxel of the arterial segment 'aorta' looks arterial"):
            analyze(self.series, self.segments | {"aorta": canal}, from_dict(chosen))

    def test_what_does_not_go_with_fat(self):
        fat, water = {"fat_fraction": 0.4}, {"t10_tissue_ms": 900.0}
        for conversion, words in (
            ({**fat, **water, "conversion": "linear"}, "the linear conversion cannot allow for fat"),
            (fat, r"give --t10-tissue-ms of the water \(about 900 ms\)"),
        ):
            with self.subTest(**conversion), self.assertRaisesRegex(InputError, words):
                analyze(self.series, self.segments, from_dict({"conversion": conversion}))
        by_map = TissueMaps(fat_fraction=np.full(self.series.shape, 0.4))
        with self.assertRaisesRegex(InputError, "--t10-tissue-ms of the water"):
            analyze(self.series, self.segments, maps=by_map)
        with_t1 = dataclasses.replace(by_map, t1_ms=np.full(self.series.shape, 900.0))
        analyze(self.series, self.segments, maps=with_t1)

    def test_artery_that_is_dark_before_contrast(self):
        aorta = self.segments["aorta"]
        dark = [np.where(aorta & (t < 11), f - 60000.0, f) for t, f in enumerate(self.series.frames)]
        with self.assertRaisesRegex(InputError, "'aorta' is not positive before contrast"):
            analyze(dataclasses.replace(self.series, frames=dark), self.segments)

    def test_timing_that_spoils_the_result_is_said(self):
        for frame_time_s, words in ((4.0, "up to 3 %"), (6.0, "3 % or more"), (10.0, "20 % or more")):
            phantom = small_phantom(snr=None, frame_time_s=frame_time_s, duration_s=300.0)
            self.assertRegex(" ".join(analyze(phantom.series(), phantom.segments).warnings), words)
        early = small_phantom(snr=None, arrival_s=4.0)
        self.assertRegex(
            " ".join(analyze(early.series(), early.segments).warnings), "only [12] frames? before contrast"
        )
        usual = " ".join(analyze(self.series, self.segments).warnings)
        self.assertNotRegex(usual, "apart|before contrast")

    def test_series_that_begins_during_the_bolus(self):
        words = "no value is to be trusted"
        late = dataclasses.replace(self.series, frames=self.series.frames[11:], times_s=self.series.times_s[:-11])
        found = analyze(late, self.segments, from_dict({"acquisition": {"baseline_frames": 1}}))
        self.assertRegex(" ".join(found.warnings), words)
        self.assertIn("severe", {f.grade for f in found.findings if f.topic == "start of the series"})
        many = analyze(self.series, self.segments, from_dict({"acquisition": {"baseline_frames": 14}}))
        self.assertRegex(" ".join(many.warnings), words)
        self.assertNotRegex(" ".join(analyze(self.series, self.segments).warnings), words)

    def test_artery_without_enhancement(self):
        still = dataclasses.replace(self.series, frames=[self.series.frames[0]] * 50)
        with self.assertRaisesRegex(InputError, "shows no enhancement"):
            analyze(still, self.segments)

    def test_series_that_ends_as_the_agent_arrives(self):
        first = dataclasses.replace(self.series, frames=self.series.frames[:12], times_s=self.series.times_s[:12])
        settings = from_dict({"arterial_input": {"aif": "parker"}})
        for of in (analyze, arterial_input):
            with self.assertRaisesRegex(InputError, "ends as the contrast agent arrives in 'aorta'"):
                of(first, self.segments, settings)

    def test_description_of_a_series(self):
        self.assertEqual(
            self.series.describe(),
            "50 frames of 96x128x6 voxels, 3 s apart (phantom), TR 3.5 ms, TE 1.2 ms, flip angle 30 degrees, "
            "field 1.5 T, gadobenate",
        )
        uneven = DynamicSeries([np.zeros((1, 2, 3))] * 3, np.array([0.0, 1.0, 4.0]), np.eye(4))
        self.assertIn("1 to 3 s apart", uneven.describe())


if __name__ == "__main__":
    unittest.main()
