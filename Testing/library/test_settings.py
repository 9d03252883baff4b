"""Settings describe and check themselves; tables keep every digit."""

import csv
import io
import math
import unittest

from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.quantities import BY_NAME, PARAMETERS
from DCEPerfusionBMDLib.settings import (
    ConversionSettings,
    ModelSettings,
    RegionSettings,
    Settings,
    all_parameters,
    from_dict,
    to_dict,
    unread_warnings,
)
from DCEPerfusionBMDLib.tables import Column, Table


class Descriptions(unittest.TestCase):
    def test_each_parameter_is_described_once(self):
        options = [parameter.option for parameter in all_parameters()]
        self.assertEqual(len(options), len(set(options)))
        for parameter in all_parameters():
            self.assertTrue(parameter.help, parameter.name)
            if parameter.type is float:
                self.assertTrue(parameter.unit, parameter.name)
                self.assertIsNotNone(parameter.minimum, parameter.name)
        for needed in ("model", "aif-segment", "t10-tissue-ms", "t10-blood-ms", "hematocrit", "relaxivity"):
            self.assertIn(needed, options)
        for needed in ("baseline-frames", "margin-mm"):
            self.assertIn(needed, options)

    def test_defaults_pass_their_own_checks(self):
        for parameter in all_parameters():
            parameter.check(parameter.default)

    def test_round_trip(self):
        settings = from_dict({"regions": {"margin_mm": 2}, "conversion": {"t10_tissue_ms": 600.0}})
        self.assertEqual((settings.regions.margin_mm, settings.conversion.hematocrit), (2, 0.42))
        self.assertEqual(from_dict(to_dict(settings)), settings)


class Checks(unittest.TestCase):
    def test_messages(self):
        for make, words in (
            (
                lambda: ConversionSettings(hematocrit=42.0),
                "hematocrit is 42 fraction; the largest value accepted is 0.8",
            ),
            (lambda: ConversionSettings(t10_tissue_ms=0.549), "t10_tissue_ms is 0.549 ms; the smallest"),
            (lambda: RegionSettings(margin_mm=math.nan), "margin_mm must be a finite number"),
            (lambda: RegionSettings(margin_mm="3"), "margin_mm must be a number, not '3'"),
            (lambda: RegionSettings(margin_mm=True), "margin_mm must be a number, not True"),
            (lambda: ModelSettings(model="patlack"), "model is 'patlack'; choose one of tofts, extended-tofts"),
            (lambda: ModelSettings(ve_min=0.9, ve_max=0.5), r"ve_min \(0.9\) must be below ve_max \(0.5\)"),
            (lambda: from_dict({"region": {}}), "unknown settings group 'region'; the groups are acquisition"),
            (lambda: from_dict({"regions": {"margin": 3}}), "unknown setting regions.margin; the group has margin_mm"),
            (lambda: from_dict({"regions": 3}), "must hold named values"),
        ):
            with self.subTest(words=words), self.assertRaisesRegex(InputError, words):
                make()

    def test_absurd_numbers(self):
        for value in (10**400, -(10**400), 1e300):
            with self.subTest(value=str(value)[:8]), self.assertRaises(InputError):
                from_dict({"acquisition": {"baseline_frames": value}, "regions": {"margin_mm": value}})

    def test_origin(self):
        settings = from_dict({"regions": {"margin_mm": 2.0}}, from_dict({"conversion": {"hematocrit": 0.42}}))
        for group, name, origin in (
            ("regions", "margin_mm", "user"),
            ("conversion", "hematocrit", "user"),  # the default, but given
            ("model", "model", "default"),
        ):
            self.assertEqual(settings.origin(group, name), origin)

    def test_what_is_set_and_not_read(self):
        exchange, region = {"model": "exchange"}, {"model": "reference-region"}
        for groups, names in (
            ({}, []),
            ({"model": {"vp_max": 0.2}}, ["vp_max"]),
            ({"model": {"model": "extended-tofts", "vp_max": 0.2, "ktrans_max_per_min": 2.0, "ve_max": 0.9}}, []),
            ({"model": {"model": "patlak", "ve_max": 0.9, "vp_max": 0.2}}, ["ve_max"]),
            ({"model": {**exchange, "ve_max": 0.9, "vp_max": 0.2}}, []),
            ({"model": {**exchange, "ktrans_max_per_min": 2.0}}, ["ktrans_max_per_min"]),
            ({"model": {"model": "linear-tofts", "ve_min": 0.1}}, ["ve_min"]),
            ({"model": {**region, "vp_max": 0.1, "reference_ktrans_per_min": 0.1}}, ["vp_max"]),
            ({"model": {"reference_ktrans_per_min": 0.1}}, ["reference_ktrans_per_min"]),
            ({"model": {"delay": "given", "delay_max_s": 3.0}}, ["delay_max_s"]),
            ({"model": {"delay": "voxel", "delay_max_s": 3.0}}, []),
            ({"arterial_input": {"aif_scale": "tail"}}, ["aif_scale"]),
            ({"arterial_input": {"aif_scale": "tail", "aif": "parker"}}, []),
            ({"conversion": {"conversion": "linear", "b1": 0.9}}, ["b1"]),
            ({"densitometry": {"device": "Hologic"}}, ["device"]),
            ({"densitometry": {"device": "Hologic", "reference": "Hologic"}}, []),
            ({"conversion": {"b1": 0.9, "t10_reference_ms": 800.0}}, ["t10_reference_ms"]),
            ({"model": region, "arterial_input": {"aif": "parker", "aif_pick": "best"}}, ["aif", "aif_pick"]),
            ({"regions": {"margin_mm": 0.0, "margin_plane": "in-plane"}}, ["margin_plane"]),
            ({"regions": {"margin_plane": "in-plane", "arch_thickness_mm": 14.0}}, ["arch_thickness_mm"]),
            ({"regions": {"vertebra_part": "body", "arch_thickness_mm": 14.0}}, []),
            ({"model": region, "conversion": {"hematocrit": 0.4}}, ["hematocrit"]),
        ):
            with self.subTest(**groups):
                said = unread_warnings(from_dict(groups))
                self.assertEqual([sentence.split(" = ")[0] for sentence in said], names)
                self.assertTrue(all(" has no effect: " in sentence for sentence in said))

    def test_settings_cannot_be_changed(self):
        with self.assertRaises(AttributeError):
            Settings().regions.margin_mm = 4.0


class Quantities(unittest.TestCase):
    """Codes as printed in DICOM PS3.16 CID 4107 and the OSIPI lexicon."""

    def test_codes(self):
        codes = {name: BY_NAME[name].dicom.value for name in ("ktrans", "kep", "ve")}
        self.assertEqual(codes, {"ktrans": "126312", "kep": "126313", "ve": "126314"})
        lexicon = [quantity.caplex for quantity in PARAMETERS[:3]]
        self.assertEqual(lexicon, ["Q.PH1.008", "Q.PH1.009", "Q.PH1.001.e"])

    def test_pydicom_knows_the_codes_under_the_same_meaning(self):
        from pydicom.sr.codedict import codes

        for quantity in (quantity for quantity in PARAMETERS if quantity.dicom is not None):
            known = [getattr(codes.DCM, name) for name in codes.DCM.dir() if name.lower() == quantity.name]
            self.assertEqual([code.value for code in known], [quantity.dicom.value], quantity.name)


class Csv(unittest.TestCase):
    def test_numbers_keep_all_digits(self):
        values = [1 / 3, 1e-300, 123456.789012345678, math.nan, -0.0]
        table = Table("t", "T", (Column("x", values, "X"), Column("n", ["a,b", '"', "a\nb", "", "e"], "N")))
        rows = list(csv.DictReader(io.StringIO(table.to_csv())))
        self.assertEqual([row["n"] for row in rows], ["a,b", '"', "a\nb", "", "e"])
        for row, value in zip(rows, values, strict=True):
            self.assertEqual(repr(float(row["x"])), repr(value))

    def test_columns_of_unequal_length(self):
        with self.assertRaisesRegex(ValueError, "differ in length"):
            Table("t", "T", (Column("a", [1], "A"), Column("b", [1, 2], "B")))


if __name__ == "__main__":
    unittest.main()
