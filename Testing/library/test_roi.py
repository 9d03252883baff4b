"""Margin in millimetres, levels, the body of a vertebra, fates."""

import time
import unittest

import numpy as np
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.roi import (
    LEVEL_CODES,
    Fate,
    SegmentLabel,
    build_rois,
    distance_to_edge_mm,
    farther_than,
    levels_by_user,
    recognize,
    vertebral_body,
)
from DCEPerfusionBMDLib.settings import from_dict
from scipy import ndimage

SAGITTAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # columns to the back, rows down


def rotation(x_deg, y_deg, z_deg):
    x, y, z = np.deg2rad((x_deg, y_deg, z_deg))
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_x) @ about_y @ about_z


def grid(directions, spacing_ijk, shape):
    """A centered grid: its affine and the RAS coordinates of its voxel centers, (K, J, I, 3)."""
    matrix = np.eye(4)
    matrix[:3, :3] = directions * np.array(spacing_ijk)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    k, j, i = np.indices(shape)
    return matrix, np.stack([i, j, k], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]


def spacing_of(matrix):
    return tuple(np.linalg.norm(matrix[:3, :3], axis=0)[::-1])


def face_distance_by_hand(mask, spacing_mm):
    """Distance of each center to the nearest outside voxel box, over all boxes, one by one."""
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    outside = outside[ndimage.binary_dilation(np.pad(mask, 1), np.ones((3,) * mask.ndim))[~np.pad(mask, 1)]]
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
        kept = farther_than(np.ones((3, 6, 6), dtype=bool), 3.0, (2.0, 2.0, 2.0), in_plane=True)
        self.assertEqual(np.count_nonzero(kept), 2**2)

    def test_box_in_patient_axes_on_a_turned_grid(self):
        """The mask has steps there; every one of them counts."""
        for directions, spacing_ijk in (
            (rotation(25, 15, 30), (2, 2, 2)),
            (rotation(12, 18, -9) @ SAGITTAL, (2, 3, 5)),
        ):
            matrix, ras = grid(directions, spacing_ijk, (30, 36, 40))
            mask = (np.abs(ras) <= (20.0, 15.0, 12.5)).all(axis=-1)
            mask = mask[:, int(np.nonzero(mask)[1].min()) + 1 :]  # cut by the border
            by_hand = face_distance_by_hand(mask, spacing_of(matrix))
            np.testing.assert_array_equal(farther_than(mask, 3.0, spacing_of(matrix)), by_hand > 3.0 + 1e-6)
            np.testing.assert_allclose(distance_to_edge_mm(mask, spacing_of(matrix)), by_hand, atol=1e-9)

    def test_within_the_slices(self):
        random = np.random.default_rng(4)
        mask = np.pad(random.random((5, 20, 24)) > 0.01, ((2, 1), (0, 3), (2, 2)))
        spacing_mm = (5.0, 2.19, 1.37)
        expected = np.zeros_like(mask)
        for k in (3, 4, 5):
            expected[k] = face_distance_by_hand(mask[k], spacing_mm[1:]) > 3.0
        self.assertGreater(np.count_nonzero(expected), 100)
        np.testing.assert_array_equal(farther_than(mask, 3.0, spacing_mm, in_plane=True), expected)
        np.testing.assert_array_equal(farther_than(mask, 0.0, spacing_mm, in_plane=True), mask)
        self.assertFalse(farther_than(mask[2:4], 3.0, spacing_mm, in_plane=True).any())
        self.assertFalse(farther_than(np.zeros_like(mask), 3.0, spacing_mm, in_plane=True).any())

    def test_the_rest_of_the_grid_costs_nothing(self):
        """A body of 40 x 30 x 25 mm in 256 x 256 x 24: much less than the distances of the whole grid."""
        mask = np.zeros((24, 256, 256), dtype=bool)
        mask[8:16, 100:111, 100:122] = True

        def fastest(work):
            times = []
            for _ in range(5):
                start = time.perf_counter()
                work()
                times.append(time.perf_counter() - start)
            return min(times)

        ours = fastest(lambda: farther_than(mask, 3.0, (5.0, 2.19, 1.37)))
        whole = fastest(lambda: ndimage.distance_transform_edt(mask))
        self.assertLess(ours, 0.1 * whole)


# Every way to write a level that was met or is to be expected.
SPELLINGS = {
    "T12": ("T12", "Th12", "TH 12", "D12", "BWK12", "BWK 12", "vertebrae_T12", "T12 vertebra", "12th thoracic vertebra",
            "胸12", "胸椎12", "第12胸椎", "第十二胸椎"),
    "L1": ("L1", "l1", "L 1", "L-1", "L_1", "L01", "L.1", "LWK1", "LWK 1", "LV1", "vertebrae_L1", "L1 vertebra",
           "L1 vertebral body", "L1_body", "vertebraL1", "01_L1", "L1_1", "L1 (2)", "lumbar 1", "lumbar vertebra L1",
           "vertebra lumbalis I", "1st lumbar vertebra", "1. LWK", "腰1", "腰椎1", "腰一", "L1椎体",
           "第1腰椎", "第一腰椎", "\uff2c\uff11"),
    "L2": ("VERTEBRAE_L2", "L2 2 mm", "Lendenwirbel 2", "2. Lendenwirbel", "vertèbre lombaire 2", "腰\uff12椎体"),
    "L3": ("L3 T2w", "lumbar vertebra III", "third lumbar vertebra", "L3VB", "腰椎第3", "L\u2162"),
    "L4": ("Lumbar Vertebral Body 4", "Vertebra lumbalis IV", "Lumbar_4", "Lendenwirbelkörper 4", "marrow L4 (left)"),
    "L5": ("l 5", "LWK-5", "LW5", "fifth lumbar vertebra", "腰五"),
    "L6": ("L6", "LWK6", "vertebrae_L6"),
    "S1": ("S1", "vertebrae_S1", "SWK1", "sacral vertebra 1", "骶1", "薦椎1"),
}  # fmt: skip

AMBIGUOUS = {
    "L1-L2": "names 2 levels, L1 and L2",
    "L1-2": "names 2 levels, L1 and L2",
    "L1_2": "names 2 levels, L1 and L2",
    "L5 S1": "names 2 levels, L5 and S1",
    "T12/L1": "names 2 levels, T12 and L1",
    "L1 to 3": "names 2 levels, L1 and L3",
    "腰1-2": "names 2 levels, L1 and L2",
    "T11-T12": "names 2 levels, T11 and T12",
    "L1/L2 disc": "says a disc beside L1 and L2",
    "vertebrae_disc_L4_L5": "says a disc beside L4 and L5",
    "IVD L4": "says a disc beside L4",
    "S1 disc": "says a disc beside S1",
    "L4/5椎间盘": "says a disc beside L4 and L5",
    "L1 endplate": "says an endplate beside L1",
    "L3 subcutaneous fat": "says fat beside L3",
    "L3 background": "says background or an implant beside L3",
    "kidney L2": "says an organ beside L2",
    "L3 posterior elements": "says the posterior elements beside L3",
    "L5 sacrum": "says the sacrum beside L5",
    "L1 not excluded": "says exclusion and not",
    "L2终板": "says an endplate beside L2",
    "L3 spinal canal": "says the spinal canal or cord beside L3",
    "cord at L1": "says the spinal canal or cord beside L1",
    "L5 nerve root": "says a nerve root beside L5",
    "L4 neural foramen": "says a nerve root beside L4",
    "L3附件": "says a part of the arch beside L3",
    "L2 cortex": "says a lesion or a part of a vertebra beside L2",
    "aortic wall": "says a node or the wall of a vessel beside the artery",
    "L4 pedicle": "says a part of the arch beside L4",
    "L2 hemangioma": "says a lesion or a part of a vertebra beside L2",
    "L3 reference": "says reference beside L3",
    "not L1": "says what it is not, or a doubt, beside L1",
    "L4?": "says what it is not, or a doubt, beside L4",
    "para-aortic node": "says a node or the wall of a vessel beside the artery",
    "aorta and vena cava": "says a vein beside the artery",
    "aorta or psoas": "says artery and muscle",
}

NEITHER = (
    "",
    "3. BWK",
    "marrow",
    "Segment_1",
    "vertebra",
    "VL10",
    "L10",
    "L1.2",
    "T1",
    "T2 map",
    "Level 2",
    "waif",
)


class Levels(unittest.TestCase):
    def test_spellings(self):
        self.assertGreaterEqual(sum(map(len, SPELLINGS.values())), 40)
        for level, names in SPELLINGS.items():
            for name in names:
                self.assertEqual(recognize(name), SegmentLabel("level", level, "name"), name)

    def test_ambiguous_names_have_a_reason(self):
        for name, reason in AMBIGUOUS.items():
            self.assertEqual(recognize(name), SegmentLabel("ambiguous", "", "name", f"its name {reason}"), name)

    def test_exclusions(self):
        """A copy of a vertebra keeps its code and tag; its name says what it is for."""
        for name, code, tag in (
            ("exclude", ("", ""), ""),
            ("L1 exclude", ("SCT", "66794005"), ""),
            ("excluded from L1", ("", ""), "L1"),
            ("Exclusion 2", ("SCT", "71616004"), ""),
            ("排除", ("", ""), ""),
        ):
            self.assertEqual(recognize(name, code=code, tag=tag).kind, "exclusion", name)

    def test_other_names(self):
        for name in NEITHER:
            self.assertEqual(recognize(name), SegmentLabel("other"), name)
        for name, reason in {
            "spinal canal": "the spinal canal or cord",
            "椎间盘": "a disc",
            "sacrum": "the sacrum",
            "lung": "an organ",
            "T11": "T11",
            "11. BWK": "T11",
            "S2": "S2",
        }.items():
            self.assertEqual(recognize(name), SegmentLabel("other", "", "name", reason), name)

    def test_artery_and_muscle(self):
        for kind, names in {
            "artery": ("aorta", "Abdominal Aorta", "aorta_1", "AIF", "right common iliac artery", "Aorta abdominalis",
                       "arteria iliaca communis", "Bauchaorta", "主动脉", "腹主动脉", "腹主動脈", "aorta at L3"),
            "reference": ("psoas", "iliopsoas_left", "autochthon_right", "Musculus psoas", "腰大肌", "erector spinae",
                          "reference", "psoas L3"),
        }.items():  # fmt: skip
            for name in names:
                self.assertEqual(recognize(name), SegmentLabel(kind, "", "name"), name)

    def test_codes(self):
        import pydicom
        from pydicom.sr import _snomed_dict
        from pydicom.sr.codedict import codes

        for level in ("T12", "L1", "L2", "L3", "L4", "L5"):
            code = LEVEL_CODES[level]
            if int(pydicom.__version__.split(".")[0]) >= 3:  # the dictionary of 2.4 has no vertebrae by level
                self.assertEqual(getattr(codes.SCT, f"{level}Vertebra").value, code)
            expected = SegmentLabel("level", level, "SNOMED code")
            self.assertEqual(recognize("Segment_1", "Segment_1", ("SCT", code)), expected)
            old = _snomed_dict.mapping["SCT"].get(code)
            if old is not None:
                self.assertEqual(recognize("", "", ("SRT", old)), expected)
            self.assertEqual(recognize("", "", ("99XYZ", code)).kind, "other")
        self.assertEqual(recognize("", "", ("SCT", "65985001")).level, "S1")
        for keyword in ("Aorta", "AbdominalAorta", "CommonIliacArtery"):
            code = getattr(codes.SCT, keyword).value
            expected = SegmentLabel("artery", "", "SNOMED code", code=code)
            self.assertEqual(recognize("vessel", "", ("SCT", code)), expected)
            old = _snomed_dict.mapping["SCT"].get(code)
            if old is not None:
                self.assertEqual(recognize("vessel", "", ("SRT", old)), expected)
        code = codes.SCT.ErectorSpinaeMuscle.value
        self.assertEqual(recognize("m", "", ("SCT", code)), SegmentLabel("reference", "", "SNOMED code", code=code))
        vertebra = ("SCT", codes.SCT.Vertebra.value)
        self.assertEqual(recognize("vertebra L2", "", vertebra), SegmentLabel("level", "L2", "name"))
        self.assertEqual(recognize("bone", "", vertebra), SegmentLabel("other"))

    def test_order_of_the_sources(self):
        l1 = ("SCT", LEVEL_CODES["L1"])
        for told, source in (
            (recognize("L1", "L1", l1, "L1"), "SNOMED code"),
            (recognize("L1", "L1", tag="L1"), "tag"),
            (recognize("L1", "L2"), "name"),  # IDs stay when a segment is renamed
            (recognize("Segment_1", "vertebrae_L1"), "ID"),
        ):
            self.assertEqual(told, SegmentLabel("level", "L1", source))
        self.assertEqual(recognize("bone", "L1-L2").reason, "its ID names 2 levels, L1 and L2")

    def test_contradictions(self):
        l1, disc = ("SCT", LEVEL_CODES["L1"]), ("SCT", "360499006")
        for told, reason in (
            (recognize("L2", "", l1), "its SNOMED code says L1, its name says L2"),
            (recognize("L1 copy", "", ("", ""), "L3"), "its tag says L3, its name says L1"),
            (recognize("x", "", l1, "L3"), "its SNOMED code says L1, its tag says L3"),
            (recognize("aorta", "", l1), "its SNOMED code says L1, its name says artery"),
            (recognize("L1", "", ("SCT", "15825003")), "its SNOMED code says artery, its name says L1"),
            (recognize("L1", "", disc), "its SNOMED code says a disc, its name says L1"),
            (recognize("spinal canal", "", l1), "its SNOMED code says L1, its name says the spinal canal or cord"),
            (recognize("L1-L2", "", l1), "its name names 2 levels, L1 and L2"),
            (recognize("L1", "", ("", ""), "C3"), "its tag says 'C3', which is no level"),
        ):
            self.assertEqual((told.kind, told.level, told.reason), ("ambiguous", "", reason))

    def test_levels_by_the_user(self):
        names = ["Segment_1", "a=b", "x", "S1, upper"]
        found = levels_by_user(" Segment_1 = l1, a=b=T12,x=none,S1, upper=S1,", names)
        self.assertEqual(found, {"Segment_1": "L1", "a=b": "T12", "x": "", "S1, upper": "S1"})
        self.assertEqual(levels_by_user(" ", names), {})
        for text, words in (
            (
                "Segment_2=L1",
                "names 'Segment_2', which is not in the segmentation; its segments are 'Segment_1', 'a=b'",
            ),
            ("x=L7", "gives 'x' the level 'L7'; choose one of T12, L1, L2, L3, L4, L5, L6, S1, or none"),
            ("x=L1,Segment_1=L1", "gives the level L1 twice, to 'x' and 'Segment_1'"),
            ("x=L1,x=L2", "names the segment 'x' twice"),
            ("x", "'x' is not SEGMENT=LEVEL"),
            ("x=L1,y", "'y' is not SEGMENT=LEVEL"),
            ("x=", "'x=' is not SEGMENT=LEVEL"),
            ("=L1", "'=L1' is not SEGMENT=LEVEL"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(InputError, words) as caught:
                levels_by_user(text, names)
            self.assertNotIn("\n", str(caught.exception))


def vertebra(ras, scale=1.0, height_mm=27.0):
    """Body and arch of a vertebra of 40 x 30 x 27 mm about the origin, as masks of points.

    Pedicles 8 mm wide and 15 mm high, laminae 8 mm thick, joints of 12 mm, transverse and spinous processes, a canal of
    20 mm, 10 mm behind the body.
    """
    x, y, z = np.abs(ras[..., 0]) / scale, -ras[..., 1] / scale, ras[..., 2] / scale

    def block(x_range, y_range, z_range):
        inside = np.ones(x.shape, dtype=bool)
        for values, (low, high) in ((x, x_range), (y, y_range), (z, z_range)):
            inside &= (values >= low) & (values <= high)
        return inside

    body = ((x / 20) ** 2.5 + (np.abs(y) / 15) ** 2.5 <= 1) & (np.abs(z) <= height_mm / 2)
    canal = x**2 + (y - 25) ** 2 <= 10**2
    arch = block((9, 17), (10, 26), (-3.5, 11.5))
    arch |= (np.abs(y - 30 + 0.5 * (x - 5)) <= 4) & block((0, 17), (20, 50), (-12, 10))
    arch |= ((x - 16) ** 2 + (y - 27) ** 2 <= 6**2) & (np.abs(z) <= 18)
    arch |= block((15, 41), (22, 30), (-2, 8)) | block((0, 3.5), (31, 57), (-15, 3))
    return body, arch & ~body & ~canal


class Body(unittest.TestCase):
    """The body within a whole vertebra against the body that was drawn."""

    GRIDS = (
        ("isotropic", np.eye(3), (1.0, 1.0, 1.0), (48, 110, 96)),
        ("sagittal slices", SAGITTAL, (1.37, 2.19, 5.0), (20, 34, 90)),
        ("turned sagittal slices", rotation(12, 18, -9) @ SAGITTAL, (1.37, 2.19, 5.0), (22, 44, 96)),
        ("turned isotropic", rotation(25, 15, 30), (1.0, 1.0, 1.0), (92, 116, 110)),
        ("axial slices", np.diag([-1.0, -1.0, 1.0]), (0.9, 0.9, 4.0), (13, 124, 106)),
    )

    def test_whole_vertebra_and_body_alone(self):
        for name, directions, spacing_ijk, shape in self.GRIDS:
            matrix, ras = grid(directions, spacing_ijk, shape)
            for tilt_deg in (0.0, 20.0):
                with self.subTest(grid=name, tilt_deg=tilt_deg):
                    body, arch = vertebra((ras + np.array((0.3, -14.2, 0.4))) @ rotation(tilt_deg, 0, 0))
                    self.assertGreater(np.count_nonzero(arch), 0.5 * np.count_nonzero(body))
                    found = vertebral_body(body | arch, spacing_of(matrix), 16.0)
                    self.assertFalse((found & ~(body | arch)).any())
                    total = np.count_nonzero(found) + np.count_nonzero(body)
                    self.assertGreaterEqual(2 * np.count_nonzero(found & body) / total, 0.98)
                    self.assertLessEqual(np.count_nonzero(found & arch), 0.03 * np.count_nonzero(arch))
                    alone = vertebral_body(body, spacing_of(matrix), 16.0)
                    np.testing.assert_array_equal(alone, body)

    def test_small_vertebra_with_a_smaller_threshold(self):
        """Three quarters of the size, with joints of 9 mm and a body 20 mm high."""
        matrix, ras = grid(np.eye(3), (1.0, 1.0, 1.0), (40, 90, 80))
        body, arch = vertebra(ras + np.array((0.3, -11.0, 0.4)), scale=0.75)
        found = vertebral_body(body | arch, spacing_of(matrix), 14.0)
        self.assertGreaterEqual(2 * np.count_nonzero(found & body) / np.sum([found, body]), 0.97)
        self.assertLessEqual(np.count_nonzero(found & arch), 0.04 * np.count_nonzero(arch))

    def test_a_voxel_stays_when_half_of_its_pieces_do(self):
        """The same mask cut into the pieces beforehand."""
        matrix, ras = grid(rotation(12, 18, -9) @ SAGITTAL, (1.37, 2.19, 5.0), (22, 44, 96))
        body, arch = vertebra(ras + np.array((0.3, -14.2, 0.4)))
        found = vertebral_body(body | arch, spacing_of(matrix), 16.0)
        pieces = np.kron(body | arch, np.ones((4, 2, 1))) > 0
        fine = vertebral_body(pieces, (1.25, 1.095, 1.37), 16.0).reshape(22, 4, 44, 2, 96)
        share = fine.mean(axis=(1, 3))
        self.assertGreater(np.count_nonzero((share > 0) & (share < 1)), 10)
        np.testing.assert_array_equal(found, share >= 0.5)

    def test_a_joint_as_thick_as_the_ball(self):
        matrix, ras = grid(np.eye(3), (1.0, 1.0, 1.0), (48, 120, 96))
        ras = ras + np.array((0.3, -14.2, 0.4))
        body, arch = vertebra(ras)
        joint = (np.linalg.norm(ras - np.array((16.0, -36.0, 0.0)), axis=-1) <= 10.5) & ~body
        found = vertebral_body(body | arch | joint, spacing_of(matrix), 16.0)
        self.assertFalse((found & joint).any())
        self.assertGreaterEqual(2 * np.count_nonzero(found & body) / np.sum([found, body]), 0.98)

    def test_nothing_thick(self):
        self.assertFalse(vertebral_body(np.ones((4, 4, 16), dtype=bool), (2.0, 2.0, 2.0), 16.0).any())
        self.assertFalse(vertebral_body(np.zeros((4, 4, 16), dtype=bool), (2.0, 2.0, 2.0), 16.0).any())


class Regions(unittest.TestCase):
    def setUp(self):
        grid = np.zeros((10, 20, 20), dtype=bool)
        self.large, self.thin, self.artery = grid.copy(), grid.copy(), grid.copy()
        self.large[1:9, 2:12, 2:12] = True
        self.thin[4, 15:19, 2:12] = True
        self.artery[:, 5:8, 15:18] = True
        self.spacing_mm = (2.0, 1.0, 1.0)

    def build(self, masks, aif_segment=None, margin_mm=3.0, **regions):
        settings = from_dict(
            {"arterial_input": {"aif_segment": aif_segment}, "regions": {"margin_mm": margin_mm, **regions}}
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

    def test_segments_and_the_user_tell_the_level(self):
        masks = {"A": self.large, "aorta": self.artery}
        labels = {"A": SegmentLabel("level", "L3", "ID"), "aorta": recognize("aorta")}

        def region(**more):
            return build_rois(masks, self.spacing_mm, from_dict({"regions": more}), labels).regions[0]

        self.assertEqual((region().level, region().level_source), ("L3", "ID"))
        told = region(levels="A=L6")
        self.assertEqual((told.level, told.level_source), ("L6", "option --levels"))
        told = region(levels="A=none")
        self.assertEqual((told.level, told.level_source), ("", ""))
        self.assertEqual(self.build(masks).regions[0].level, "")
        swapped = {"A": recognize("aorta"), "aorta": SegmentLabel("level", "L1", "SNOMED code")}
        rois = build_rois(masks, self.spacing_mm, from_dict({"regions": {"margin_mm": 1.0}}), swapped)
        self.assertEqual((rois.input_name, rois.regions[0].name, rois.regions[0].level), ("A", "aorta", "L1"))

    def test_levels_that_are_not_told(self):
        rois = self.build({"L1-L2": self.large, "marrow": self.large, "aorta": self.artery})
        self.assertEqual([region.level for region in rois.regions], ["", ""])
        said = [warning for warning in rois.warnings if "level" in warning]
        self.assertEqual(
            said, ["L1-L2: no level, since its name names 2 levels, L1 and L2; --levels 'L1-L2'=L1 would give it one"]
        )
        twice = {"L1": self.large, "L1 body": self.large, "aorta": self.artery}
        with self.assertRaisesRegex(
            InputError, r"'L1' \(by name\) and 'L1 body' \(by name\) are both L1; say .*--levels"
        ):
            self.build(twice)
        levels = [region.level for region in self.build(twice, levels="L1 body=none").regions]
        self.assertEqual(levels, ["L1", ""])
        for levels, words in (
            ("L1=aorta", "gives 'L1' the level 'AORTA'"),
            ("L2=L2", "names 'L2', which is not in the segmentation"),
            ("aorta=L1", "no segment is named as an artery"),
        ):
            with self.subTest(levels=levels), self.assertRaisesRegex(InputError, words):
                self.build({"L1": self.large, "aorta": self.artery}, levels=levels)
        with self.assertRaisesRegex(InputError, "'aorta' is given to both --aif-segment and --levels"):
            self.build({"L1": self.large, "aorta": self.artery}, "aorta", levels="aorta=L2")

    def test_margin_within_the_slices(self):
        rois = self.build({"L1": self.large, "aorta": self.artery}, margin_plane="in-plane")
        expected = np.zeros_like(self.large)
        expected[2:8, 5:9, 5:9] = True
        np.testing.assert_array_equal(rois.regions[0].analyzed, expected)
        self.assertRegex(rois.warnings[0], "measured within the slices; the first and the last slice of each segment")
        everything = self.build({"L1": self.large, "aorta": self.artery}, margin_mm=0.0, margin_plane="in-plane")
        np.testing.assert_array_equal(everything.regions[0].analyzed, self.large)
        self.assertEqual(everything.warnings, ())


class WholeVertebra(unittest.TestCase):
    def setUp(self):
        self.matrix, ras = grid(SAGITTAL, (1.37, 2.19, 5.0), (20, 34, 90))
        self.body, self.arch = vertebra(ras + np.array((0.3, -14.2, 0.4)))
        self.artery = np.zeros_like(self.body)
        self.artery[:2, :2, :2] = True

    def build(self, vertebra_mask, name="L3", matrix=None, **regions):
        masks = {name: vertebra_mask, "aorta": self.artery}
        matrix = self.matrix if matrix is None else matrix
        return build_rois(masks, spacing_of(self.matrix), from_dict({"regions": regions}), None, matrix)

    def test_as_drawn_warns(self):
        whole = self.body | self.arch
        rois = self.build(whole)
        np.testing.assert_array_equal(rois.regions[0].analyzed, farther_than(whole, 3.0, spacing_of(self.matrix)))
        self.assertFalse((rois.regions[0].fate == Fate.ARCH).any())
        self.assertRegex(
            rois.warnings[0],
            r"^L3: looks like a whole vertebra, 3\d% of it arch; --vertebra-part body leaves that out$",
        )
        for name, mask in (("L3", self.body), ("marrow", whole), ("S1", whole)):
            self.assertEqual(self.build(mask, name).warnings, ())
        to_the_front = self.matrix @ np.diag([-1.0, 1.0, 1.0, 1.0])
        self.assertEqual(self.build(whole, matrix=to_the_front).warnings, ())
        little = self.body | (self.arch & (np.cumsum(self.arch.ravel()).reshape(whole.shape) <= 0.16 * self.body.sum()))
        self.assertEqual(self.build(little).warnings, ())

    def test_body_takes_the_margin_from_its_own_face(self):
        whole = self.body | self.arch
        rois = self.build(whole, vertebra_part="body")
        (region,), spacing_mm = rois.regions, spacing_of(self.matrix)
        body = vertebral_body(whole, spacing_mm, 16.0)
        kept = farther_than(body, 3.0, spacing_mm)
        np.testing.assert_array_equal(region.drawn, whole)
        np.testing.assert_array_equal(region.analyzed, kept)
        np.testing.assert_array_equal(region.fate == Fate.MARGIN, body & ~kept)
        np.testing.assert_array_equal(region.fate == Fate.ARCH, whole & ~body)
        self.assertEqual((int(Fate.ARCH), rois.warnings), (3, ()))
        to_the_front = self.matrix @ np.diag([-1.0, 1.0, 1.0, 1.0])
        said = self.build(whole, matrix=to_the_front, vertebra_part="body").warnings
        self.assertRegex(said[0], "is left out as arch but does not lie behind the rest; check the segment")
        little = self.body | (self.arch & (np.cumsum(self.arch.ravel()).reshape(whole.shape) <= 0.16 * self.body.sum()))
        rois = self.build(little, matrix=to_the_front, vertebra_part="body")
        self.assertTrue((rois.regions[0].fate == Fate.ARCH).any())
        self.assertEqual(rois.warnings, ())
        for name in ("marrow", "S1"):
            region = self.build(whole, name, vertebra_part="body").regions[0]
            self.assertFalse((region.fate == Fate.ARCH).any(), name)

    def test_the_threshold_is_the_users(self):
        mask = np.zeros_like(self.body)
        mask[8:11, 12:20, 60:74] = True  # 15 x 17.5 x 19 mm
        masks = {"L1": mask, "L2": self.body, "aorta": self.artery}

        def build(**regions):
            chosen = from_dict({"regions": {"vertebra_part": "body", **regions}})
            return build_rois(masks, spacing_of(self.matrix), chosen, None, self.matrix)

        thin = build(arch_thickness_mm=20.0)
        np.testing.assert_array_equal(thin.regions[0].fate == Fate.ARCH, mask)
        del masks["L2"]
        with self.assertRaisesRegex(InputError, "L1: too little of it is 20 mm thick"):
            build(arch_thickness_mm=20.0)
        self.assertRegex(thin.warnings[0], "L1: too little of it is 20 mm thick.* smaller --arch-thickness-mm")
        self.assertFalse((build(arch_thickness_mm=12.0).regions[0].fate == Fate.ARCH).any())


if __name__ == "__main__":
    unittest.main()
