"""Margin in millimetres, names, fates."""

import unittest

import numpy as np
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.roi import Fate, build_rois, distance_to_edge_mm, farther_than, is_artery_name, level_from_name
from DCEPerfusionBMDLib.settings import ArterialInputSettings, RegionSettings, Settings


def face_distance_by_hand(mask, spacing_mm):
    """Distance of each center to the nearest outside voxel box, over all boxes, one by one."""
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    distance = np.zeros(mask.shape)
    for voxel in np.argwhere(mask):
        gaps = np.maximum(np.abs(outside - voxel) - 0.5, 0.0) * spacing_mm
        distance[tuple(voxel)] = np.sqrt((gaps**2).sum(axis=1)).min()
    return distance


class Margin(unittest.TestCase):
    def test_box_of_the_paper_on_isotropic_voxels(self):
        for pad in (0, 4):
            with self.subTest(pad=pad):
                kept = farther_than(np.pad(np.ones((25, 30, 40), dtype=bool), pad), 3.0, (1.0, 1.0, 1.0))
                extent = [np.unique(found).size for found in np.nonzero(kept)]
                self.assertEqual(extent, [19, 24, 34])
                self.assertEqual(np.count_nonzero(kept), 15504)

    def test_box_on_the_voxels_of_the_paper(self):
        """5 x 2.19 x 1.37 mm: a center is kept when it is more than 3 mm from each face of the box."""
        spacing_mm = (5.0, 2.19, 1.37)
        counts = [round(size / step) for size, step in zip((25, 30, 40), spacing_mm, strict=True)]
        expected = 1
        for count, step in zip(counts, spacing_mm, strict=True):
            expected *= sum(min(n + 0.5, count - n - 0.5) * step > 3.0 for n in range(count))
        for pad in (0, 3):
            kept = farther_than(np.pad(np.ones(counts, dtype=bool), pad), 3.0, spacing_mm)
            self.assertEqual(np.count_nonzero(kept), expected)

    def test_ragged_mask_at_the_border_against_every_box(self):
        random = np.random.default_rng(1)
        mask = random.random((6, 9, 12)) > 0.03
        spacing_mm = (5.0, 2.19, 1.37)
        found = distance_to_edge_mm(mask, spacing_mm)
        np.testing.assert_allclose(found, face_distance_by_hand(mask, spacing_mm), atol=1e-12)

    def test_no_margin_keeps_all_and_an_empty_mask_stays_empty(self):
        mask = np.zeros((4, 5, 6), dtype=bool)
        self.assertFalse(farther_than(mask, 3.0, (1.0, 1.0, 1.0)).any())
        mask[1, 2, 3] = True
        self.assertEqual(np.count_nonzero(farther_than(mask, 0.0, (1.0, 1.0, 1.0))), 1)

    def test_a_center_exactly_at_the_margin_is_left_out(self):
        kept = farther_than(np.ones((6, 6, 6), dtype=bool), 3.0, (2.0, 2.0, 2.0))
        self.assertEqual(np.count_nonzero(kept), 2**3)


class Names(unittest.TestCase):
    def test_levels(self):
        for name, level in {
            "L1": "L1",
            "vertebrae_L3": "L3",
            "L4 vertebral body": "L4",
            "l 5": "L5",
            "T12": "T12",
            "VL10": "",
            "L1-L2 disc": "",
            "marrow": "",
        }.items():
            self.assertEqual(level_from_name(name), level, name)

    def test_artery(self):
        for name in ("aorta", "Abdominal Aorta", "aorta_1", "AIF", "right common iliac artery"):
            self.assertTrue(is_artery_name(name), name)
        for name in ("L1", "paraaortal node", "waif"):
            self.assertFalse(is_artery_name(name), name)


class Regions(unittest.TestCase):
    def setUp(self):
        grid = np.zeros((10, 20, 20), dtype=bool)
        self.large, self.thin, self.artery = grid.copy(), grid.copy(), grid.copy()
        self.large[1:9, 2:12, 2:12] = True
        self.thin[4, 15:19, 2:12] = True
        self.artery[:, 5:8, 15:18] = True
        self.spacing_mm = (2.0, 1.0, 1.0)

    def build(self, masks, aif_segment=None, margin_mm=3.0):
        settings = Settings(
            arterial_input=ArterialInputSettings(aif_segment=aif_segment), regions=RegionSettings(margin_mm=margin_mm)
        )
        return build_rois(masks, self.spacing_mm, settings)

    def test_every_voxel_has_a_fate_and_a_thin_level_is_named(self):
        rois = self.build({"L1": self.large, "L2": self.thin, "aorta": self.artery})
        first, second = rois.regions
        np.testing.assert_array_equal(first.drawn, self.large)
        expected = self.large.copy()
        expected[...] = False
        expected[3:7, 5:9, 5:9] = True  # 1.5 layers of 2 mm and 3 of 1 mm are within 3 mm
        np.testing.assert_array_equal(first.analyzed, expected)
        np.testing.assert_array_equal(first.fate == Fate.MARGIN, self.large & ~expected)
        self.assertFalse(second.analyzed.any())
        self.assertRegex(rois.warnings[0], "L2: none of its 40 voxels is more than 3 mm")

    def test_refusals(self):
        empty = np.zeros_like(self.large)
        for masks, aif, words in (
            ({"L1": self.large}, None, "no segment is named as an artery"),
            ({"L1": self.large, "aorta": self.artery, "AIF": self.artery}, None, "may all be the artery"),
            ({"L1": self.large, "vessel": self.artery}, "vein", "--aif-segment 'vein' is not in the segmentation"),
            ({"aorta": self.artery}, None, "no region beside"),
            ({"L1": empty, "aorta": self.artery}, None, "does not overlap"),
            ({"L1": self.large, "aorta": empty}, None, "no voxel inside the series"),
            ({"L2": self.thin, "aorta": self.artery}, None, "no region has a voxel more than 3 mm"),
            (
                {"L1": self.large, "L2": self.large, "aorta": self.artery},
                None,
                "the segments 'L1' and 'L2' share 800 voxels, 100% of the smaller one",
            ),
            (
                {"L1": self.large | self.artery, "aorta": self.artery},
                None,
                "90 of the 90 voxels of the artery 'aorta' lie in 'L1'; draw them apart",
            ),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                self.build(masks, aif)

    def test_named_artery_and_shared_voxels(self):
        neighbor = np.zeros_like(self.large)
        neighbor[1:9, 11:19, 8:18] = True
        rois = self.build({"L1": self.large, "L2": neighbor, "vessel": self.artery}, "vessel", 0.0)
        self.assertEqual(rois.input_name, "vessel")
        self.assertRegex(rois.warnings[0], "'L1', 'L2' share 32 voxels")  # 8 slices of 1 row of 4


if __name__ == "__main__":
    unittest.main()
