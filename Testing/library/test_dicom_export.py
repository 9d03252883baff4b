"""Results as DICOM objects: valid by dciodvfy, and the same numbers at the same places for three other readers."""

import contextlib
import csv
import dataclasses
import gzip
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pydicom
import vendors
from DCEPerfusionBMDLib import cli
from DCEPerfusionBMDLib.densitometry import measurements_from_values
from DCEPerfusionBMDLib.dicomio import (
    hash_of_values,
    hashed,
    inspect_folder,
    read_flip_angles,
    read_map,
    read_series,
    write_series,
)
from DCEPerfusionBMDLib.dicomio.source import find_source
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.export import REGIONS_FILE, export_dicom, provenance, write_regions
from DCEPerfusionBMDLib.export.dicom import PRIVATE_CODES, STATUS_CODES, input_of
from DCEPerfusionBMDLib.export.regions import read_regions
from DCEPerfusionBMDLib.kinetics import FitStatus
from DCEPerfusionBMDLib.quantities import BY_NAME, PRIVATE_SCHEME
from DCEPerfusionBMDLib.roi import Fate, Region, VertebralRois
from DCEPerfusionBMDLib.series import Sourced
from DCEPerfusionBMDLib.settings import Settings, from_dict, to_dict
from DCEPerfusionBMDLib.stacks import read_stack
from DCEPerfusionBMDLib.study import analyze
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from support import against, measured, needs, reference_data, small_phantom, tool

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MAPS = ("ktrans", "kep", "ve", "emax", "time_to_peak")


def write_nrrd(path, values, ijk_to_ras):
    """A NRRD file, written from the definition of the format."""
    matrix = LPS @ ijk_to_ras
    k, j, i = values.shape
    vectors = ["(" + ",".join(repr(float(v)) for v in column[:3]) + ")" for column in matrix.T]
    kind = {np.dtype(np.float32): "float", np.dtype(np.uint8): "uint8"}[values.dtype]
    lines = ["NRRD0004", f"type: {kind}", "dimension: 3", "space: left-posterior-superior", f"sizes: {i} {j} {k}"]
    lines += [f"space directions: {' '.join(vectors[:3])}", "kinds: domain domain domain", "endian: little"]
    lines += ["encoding: gzip", f"space origin: {vectors[3]}"]
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + gzip.compress(np.ascontiguousarray(values).tobytes()))


def write_result(folder, series, result, settings, choices):
    """What `analyze` leaves in a folder, but for the scene and the figure."""
    (folder / "maps").mkdir(parents=True)
    for name, item in result.maps.items():
        write_nrrd(folder / "maps" / f"{name}.nrrd", np.asarray(item.values), series.ijk_to_ras)
    for table in result.tables():
        (folder / f"{table.name}.csv").write_text(table.to_csv(), encoding="utf-8")
    write_regions(folder / REGIONS_FILE, result.rois, series.ijk_to_ras)
    history = provenance(series, settings, result, {}, choices)
    (folder / "provenance.json").write_text(json.dumps(history), encoding="utf-8")


def made_up_result(folder, series, series_id=None, skip_frames=0, seed=1, inputs=None, choices=None):
    """A result of random numbers on the grid of a series; returns the maps and the regions.

    `inputs` and `choices` go into its provenance: hash by input, and what the user chose.
    """
    random = np.random.default_rng(seed)
    maps = {name: random.gamma(2.0, 0.3, series.shape).astype(np.float32) for name in MAPS}
    for values in maps.values():
        values[random.random(series.shape) < 0.3] = np.nan
    maps["status"] = random.integers(0, len(FitStatus), series.shape).astype(np.uint8)
    fates = [random.integers(0, len(Fate), series.shape).astype(np.uint8) for _ in range(3)]  # they overlap
    levels = (("L1", "L1"), ("second", "L2"), ("lesion", ""))
    regions = [Region(*name, fate, np.zeros(0)) for name, fate in zip(levels, fates, strict=True)]
    rois = VertebralRois(tuple(regions), "aorta", random.random(series.shape) < 0.2)
    (folder / "maps").mkdir(parents=True)
    for name, values in maps.items():
        write_nrrd(folder / "maps" / f"{name}.nrrd", values, series.ijk_to_ras)
    write_regions(folder / REGIONS_FILE, rois, series.ijk_to_ras)
    vertebrae = [["region", "evaluable", "status", "ktrans_per_min", "ktrans_se_per_min"]]
    vertebrae += [[r.name, "yes", "fitted", repr(0.1 * n + 1 / 3), "0.01"] for n, r in enumerate(regions)]
    descriptive = [["region", "emax_percent", "eslope_percent_per_s"], *([r.name, "150.5", "nan"] for r in regions)]
    for name, rows in (("vertebrae", vertebrae), ("descriptive", descriptive)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    settings = {
        group: {name: {"value": value} for name, value in values.items()}
        for group, values in to_dict(Settings()).items()
    }
    history = {
        "inputs": {
            "series": {"sha256": series.source_hash},
            **{name: {"sha256": digest} for name, digest in (inputs or {}).items()},
        },
        "choices": {"series": series_id, "skip_frames": skip_frames, **(choices or {})},
        "settings": settings,
        "used": {},
    }
    (folder / "provenance.json").write_text(json.dumps(history), encoding="utf-8")
    return maps, rois


def quietly(call, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


def read(path):
    return quietly(lambda: pydicom.dcmread(path, force=True))


def errors_of(path):
    """What dciodvfy calls an error."""
    run = subprocess.run([tool("dciodvfy"), str(path)], capture_output=True, check=False)
    lines = (run.stdout + run.stderr).decode("latin-1").splitlines()
    return [f"{path.name}: {line}" for line in lines if line.startswith("Error")]


def dcmqi(name, *arguments):
    run = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, check=False)
    if run.returncode:
        raise AssertionError(f"{name} ends with {run.returncode}: {run.stdout[-500:]!r} {run.stderr[-500:]!r}")


def frames_of(item):
    """Position in LPS mm, orientation and values of each frame."""
    shared = item.SharedFunctionalGroupsSequence[0]
    spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    axes = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]).reshape(2, 3)
    if "FloatPixelData" in item:
        values = np.frombuffer(item.FloatPixelData, "<f4")
    else:
        bits = np.unpackbits(np.frombuffer(item.PixelData, np.uint8), bitorder="little")
        values = bits[: item.NumberOfFrames * item.Rows * item.Columns]
    values = values.reshape(int(item.NumberOfFrames), item.Rows, item.Columns)
    for group, plane in zip(item.PerFrameFunctionalGroupsSequence, values, strict=True):
        position = np.array([float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient])
        yield group, position, axes[0] * spacing[1], axes[1] * spacing[0], plane


def measurements(item):
    """Of each group of a report: tracking identifier to {(quantity, derivation): (value, unit)}."""
    found = {}
    imaging = next(c for c in item.ContentSequence if code_of(c) == "126010")
    for group in imaging.ContentSequence:
        name = next(c.TextValue for c in group.ContentSequence if code_of(c) == "112039")
        values = found.setdefault(name, {})
        for content in group.ContentSequence:
            if content.ValueType != "NUM":
                continue
            derived = [c for c in content.get("ContentSequence", []) if code_of(c) == "121401"]
            key = code_of(content), derived[0].ConceptCodeSequence[0].CodeValue if derived else ""
            measured = content.MeasuredValueSequence[0]
            if key in values:
                raise AssertionError(f"{name}: {key} is there twice")
            values[key] = float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue
    return found


def groups_of(item):
    """Of each group of a report: tracking identifier to its content items."""
    imaging = next(c for c in item.ContentSequence if code_of(c) == "126010")
    found = {}
    for group in imaging.ContentSequence:
        name = next(c.TextValue for c in group.ContentSequence if code_of(c) == "112039")
        found[name] = list(group.ContentSequence)
    return found


def values_of(contents, code):
    """Codes or texts of the items with this concept name, and how they relate to their group."""
    found = []
    for content in contents:
        if code_of(content) == code:
            value = content.ConceptCodeSequence[0].CodeValue if content.ValueType == "CODE" else content.TextValue
            found.append((content.RelationshipType, value))
    return found


def referred(item):
    """Of an object with frames: the images that each frame refers to."""
    return [
        [r.ReferencedSOPInstanceUID for r in group.DerivationImageSequence[0].SourceImageSequence]
        for group in item.PerFrameFunctionalGroupsSequence
    ]


def evidence_of(item, keyword):
    """The images that a report names as evidence, by their study."""
    found = {}
    for study in item.get(keyword, []):
        references = [r for series in study.ReferencedSeriesSequence for r in series.ReferencedSOPSequence]
        found[study.StudyInstanceUID] = {r.ReferencedSOPInstanceUID for r in references}
    return found


def code_of(content):
    return content.ConceptNameCodeSequence[0].CodeValue


class Exported(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        needs("highdicom")
        logging.getLogger("highdicom").setLevel(logging.ERROR)
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)

    def check_on_source(self, item, values, dicom, ijk_to_ras):
        """Each frame lies on the source images it refers to, and holds the map there."""
        by_uid = {header.SOPInstanceUID: header for header in dicom}
        matrix = LPS @ ijk_to_ras
        seen = set()
        for group, position, along, down, plane in frames_of(item):
            k = round(float((np.linalg.inv(matrix) @ [*position, 1.0])[2]))
            seen.add(k)
            np.testing.assert_allclose(position, matrix[:3, 3] + k * matrix[:3, 2], rtol=0, atol=1e-4)
            np.testing.assert_allclose(along, matrix[:3, 0], rtol=0, atol=1e-6)
            np.testing.assert_allclose(down, matrix[:3, 1], rtol=0, atol=1e-6)
            if values is not None:
                np.testing.assert_array_equal(plane, values[k])
            for reference in group.DerivationImageSequence[0].SourceImageSequence:
                header = by_uid[reference.ReferencedSOPInstanceUID]
                self.assertEqual(reference.ReferencedSOPClassUID, header.SOPClassUID)
                numbers = reference.get("ReferencedFrameNumber")
                many = numbers if isinstance(numbers, pydicom.multival.MultiValue) else [numbers]
                for number in many:
                    source = header
                    if number is not None:
                        source = header.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0]
                    at = [float(v) for v in source.ImagePositionPatient]
                    np.testing.assert_allclose(at, position, rtol=0, atol=1e-4)
        self.assertEqual(seen, set(range(item.NumberOfFrames)) if values is not None else seen)

    def indices(self, shape, matrix, ijk_to_ras):
        """Where each voxel of a grid lies on that of `ijk_to_ras`: (K, J, I, 3) of i, j, k."""
        k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
        there = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ (np.linalg.inv(ijk_to_ras) @ matrix).T
        spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
        rounded = np.rint(there[..., :3]).astype(int)
        if shape[0] == 1:  # the thickness of a single slice may be told in several ways
            spacing[2] = 0.0
        self.assertLess(np.abs((there[..., :3] - rounded) * spacing).max(), 1e-4)
        return rounded

    def assert_same_map(self, values, matrix, expected, ijk_to_ras):
        at = self.indices(values.shape, matrix, ijk_to_ras)
        self.assertEqual(values.size, expected.size)
        found, there = np.asarray(values, np.float32), expected[at[..., 2], at[..., 1], at[..., 0]]
        differ = (found != there) & ~(np.isnan(found) & np.isnan(there))
        measured(self, "voxels that differ", np.count_nonzero(differ), 0)

    def assert_same_mask(self, values, matrix, expected, ijk_to_ras):
        """All voxels of a mask, on a grid that may hold a part of the slices."""
        at = self.indices(values.shape, matrix, ijk_to_ras)[values > 0]
        found = np.zeros(expected.shape, bool)
        found[at[:, 2], at[:, 1], at[:, 0]] = True
        measured(self, "voxels that differ", np.count_nonzero(found != expected), 0)

    def check_dcmqi_images(self, files, maps, masks, ijk_to_ras):
        """dcmqi makes the same maps and masks of the files."""
        folder = Path(tempfile.mkdtemp(dir=self.root))
        for name, values in maps.items():
            (folder / name).mkdir()
            dcmqi("paramap2itkimage", "--inputDICOM", files[name], "--outputDirectory", folder / name)
            stack = read_stack(next((folder / name).glob("*.nrrd")))
            self.assert_same_map(stack.read(0), stack.ijk_to_ras, values, ijk_to_ras)
            meta = json.loads(next((folder / name).glob("*.json")).read_text(encoding="utf-8"))
            self.assertEqual(meta["QuantityValueCode"]["CodeValue"], BY_NAME[name].code.value)
            self.assertEqual(meta["MeasurementUnitsCode"]["CodeValue"], BY_NAME[name].ucum.value)
        dcmqi("segimage2itkimage", "--inputDICOM", files["regions"], "--outputDirectory", folder)
        for n, mask in enumerate(masks, start=1):
            stack = read_stack(folder / f"{n}.nrrd")
            self.assert_same_mask(stack.read(0), stack.ijk_to_ras, mask, ijk_to_ras)


class OfEveryVendor(Exported):
    """Made-up results on studies as scanners store them: oblique, odd spacing, one file or many, in any order."""

    STUDIES = (
        *("GE LAVA", "GE reversed numbers", "Explicit VR Big Endian", "Siemens series per phase", "Philips rescaled"),
        *("2-D staggered", "enhanced Siemens shuffled", "enhanced RLE", "beside maps", "beside other objects"),
        *("Legacy Converted Enhanced MR", "negative spacing", "without meta information", "enhanced 2-D staggered"),
    )

    @against("DICOM export", "export of results on 14 kinds of study", "dicom", "export_dicom")
    def test_on_the_source(self):
        for n, name in enumerate(self.STUDIES):
            with self.subTest(study=name):
                folder = self.root / str(n)
                truth = (vendors.CASES | vendors.UNUSUAL)[name](folder / "study")
                series = quietly(read_series, folder / "study", truth.series)
                maps, rois = made_up_result(folder / "out", series, truth.series, seed=n)
                quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")
                self.check_export(folder, truth, series, maps, rois)

    def check_export(self, folder, truth, series, maps, rois):
        dicom = [read(path) for path in (folder / "study").rglob("*") if path.is_file() and path.suffix != ".txt"]
        written = sorted((folder / "dicom").rglob("*.dcm"))
        names = [path.relative_to(folder / "dicom").as_posix() for path in written]
        self.assertEqual(
            names, ["exclusions.dcm", *(f"maps/{n}.dcm" for n in sorted(MAPS)), "regions.dcm", "report.dcm"]
        )
        errors = [line for path in written for line in errors_of(path)]
        measured(self, "errors" + "".join(f"; {line}" for line in errors[:1]), len(errors), 0)
        for name in MAPS:
            item = read(folder / "dicom" / "maps" / f"{name}.dcm")
            self.check_on_source(item, maps[name], dicom, truth.ijk_to_ras)
            referred = {
                r.ReferencedSOPInstanceUID
                for g in item.PerFrameFunctionalGroupsSequence
                for r in g.DerivationImageSequence[0].SourceImageSequence
            }
            listed = {
                r.ReferencedSOPInstanceUID for s in item.ReferencedSeriesSequence for r in s.ReferencedInstanceSequence
            }
            self.assertEqual(referred, listed)
        for name in ("regions", "exclusions"):
            self.check_on_source(read(folder / "dicom" / f"{name}.dcm"), None, dicom, truth.ijk_to_ras)
        files = {path.stem: path for path in written}
        masks = [*(region.analyzed for region in rois.regions), rois.input]
        self.check_dcmqi_images(files, {"kep": maps["kep"]}, masks, truth.ijk_to_ras)
        self.assertEqual(quietly(read_series, folder / "study", truth.series).source_hash, series.source_hash)

    def test_all_frames_are_referred_to(self):
        folder = self.root / "frames"
        truth = vendors.siemens_one_series(folder / "study")
        for skipped in (0, 2):
            series = quietly(read_series, folder / "study", None, None, None, skipped)
            source = find_source(folder / "study", series.source_hash, None, skipped)
            uids = {instance.sop_uid for row in source.instances for instance in row}
            self.assertEqual(len(uids), vendors.SLICES * (vendors.FRAMES - skipped))
            self.assertEqual(len(source.instances[0]), len(truth.times_s) - skipped)


class OfThePhantom(Exported):
    """A real analysis, from DICOM to DICOM, through the command."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        phantom = small_phantom(rows=96, columns=64, slices=5)
        cls.dicom, cls.result, cls.out = cls.root / "dicom", cls.root / "out", cls.root / "out" / "dicom"
        write_series(phantom.series(), cls.dicom, patient="Zoé^Anna")
        cls.series = read_series(cls.dicom)
        cls.settings = from_dict({"regions": {"margin_mm": 2.0}, "output": {"maps": "all"}})
        bone = measurements_from_values({"bmd_g_cm2": "L1-L4=0.795,L2=0.778", "t_score": "L1-L4=-1.471"})
        cls.found = analyze(cls.series, phantom.segments, cls.settings, bone)
        write_result(cls.result, cls.series, cls.found, cls.settings, {})
        cls.printed = io.StringIO()
        with contextlib.redirect_stdout(cls.printed), contextlib.redirect_stderr(cls.printed):
            cls.status = cli.main(["export-dicom", str(cls.result), "--source", str(cls.dicom)])
        cls.files = {path.stem: path for path in cls.out.rglob("*.dcm")}
        cls.items = {name: read(path) for name, path in cls.files.items()}
        cls.maps = {name: item.values for name, item in cls.found.maps.items() if name != "status"}

    def masks(self):
        """The masks of `regions.dcm`, in its order."""
        regions = [region.analyzed for region in self.found.rois.regions if region.analyzed.any()]
        return [*regions, self.found.rois.input]

    def test_what_there_is(self):
        self.assertEqual(self.status, 0, self.printed.getvalue())
        self.assertEqual(set(self.files), {*self.maps, "regions", "exclusions", "report"})
        self.assertGreater(len(self.maps), 12)
        for name in ("ktrans", "kep", "ve", "emax", "iauc60", "r_squared"):
            self.assertIn(name, self.maps)
        self.assertEqual([line for path in self.files.values() for line in errors_of(path)], [])

    def test_patient_and_study_are_those_of_the_source_and_the_rest_is_new(self):
        source = read(next(self.dicom.iterdir()))
        for name, item in self.items.items():
            with self.subTest(name):
                for keyword in ("PatientID", "PatientName", "PatientSex", "StudyInstanceUID", "StudyDate"):
                    self.assertEqual(item[keyword].value, source[keyword].value, keyword)
                self.assertEqual(str(item.PatientName), "Zoé^Anna")
                self.assertNotEqual(item.SeriesInstanceUID, source.SeriesInstanceUID)
                self.assertIn("research use only", item.SeriesDescription)
                self.assertLessEqual(len(item.SeriesDescription), 64)
                self.assertFalse([e for e in item.iterall() if e.tag.is_private])
                if name != "report":
                    self.assertEqual(item.FrameOfReferenceUID, source.FrameOfReferenceUID)
                    self.assertEqual(item.BodyPartExamined, "LSPINE")
                if name in self.maps:
                    self.assertEqual(item.ContentQualification, "RESEARCH")
                    self.assertEqual((item.Modality, item.ImageType[0]), ("MR", "DERIVED"))
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "SeriesNumber"):
            self.assertEqual(len({item[keyword].value for item in self.items.values()}), len(self.items))

    def test_voxel_on_voxel(self):
        dicom = [read(path) for path in self.dicom.iterdir()]
        for name, values in self.maps.items():
            with self.subTest(name):
                self.check_on_source(self.items[name], values, dicom, self.series.ijk_to_ras)
                group = self.items[name].PerFrameFunctionalGroupsSequence[0]
                self.assertEqual(len(group.DerivationImageSequence[0].SourceImageSequence), len(self.series.frames))

    def test_derivation(self):
        # DICOM PS3.3 A.51.5.1 for segmentations; PS3.16 CID 7203
        for name in (*self.maps, "regions", "exclusions"):
            expected = ("129104", "DCM") if name in self.maps else ("113076", "DCM")
            for group in self.items[name].PerFrameFunctionalGroupsSequence:
                (code,) = group.DerivationImageSequence[0].DerivationCodeSequence
                self.assertEqual((code.CodeValue, code.CodingSchemeDesignator), expected, name)

    def test_quantity_unit_and_methods(self):
        # DICOM PS3.16 CID 4107, 4109, 7180; CID 4100, 4101, 4103, 4106
        model = {"126352", "126362", "126340"}
        expected = {
            "ktrans": ("126312", "/min", model),
            "kep": ("126313", "/min", model),
            "ve": ("126314", "{ratio}", model),
            "r_squared": ("126220", "{ratio}", model),
            "iauc60": ("126321", "mmol/l.s", {"126352", "126342"}),
            "iaugc60": ("126325", "{ratio}", {"126352", "126362", "126342"}),
            "max_slope": ("126375", "%/s", {"126342"}),
            "time_to_peak": ("113069", "s", {"126342"}),
            "emax": ("emax", "%", {"126342"}),
        }
        for name, (code, unit, methods) in expected.items():
            mapping = self.items[name].SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
            self.assertEqual(mapping.MeasurementUnitsCodeSequence[0].CodeValue, unit)
            self.assertEqual((mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept), (1.0, 0.0))
            first, *others = mapping.QuantityDefinitionSequence
            found = first.ConceptCodeSequence[0]
            scheme = "DCM" if code.isdecimal() else PRIVATE_SCHEME
            self.assertEqual((found.CodeValue, found.CodingSchemeDesignator), (code, scheme))
            self.assertEqual({item.ConceptCodeSequence[0].CodeValue for item in others}, methods)

    def test_report(self):
        found = measurements(self.items["report"])
        rows = {str(name): n for n, name in enumerate(self.found.vertebrae["region"])}
        for region in self.found.rois.regions:
            values, n = found[region.name], rows[region.name]
            for name, of_map in self.maps.items():
                quantity = BY_NAME[name]
                inside = of_map[region.analyzed].astype(float)
                inside = inside[~np.isnan(inside)]
                self.assertEqual(values[quantity.code.value, "voxel_count"], (len(inside), "{voxels}"))
                if not len(inside):  # too short a series for the area
                    self.assertNotIn((quantity.code.value, "373098007"), values)
                    continue
                for derivation, expected, unit in (
                    ("373098007", np.mean(inside), quantity.ucum.value),
                    ("373099004", np.median(inside), quantity.ucum.value),
                    ("386136009", np.std(inside, ddof=1), quantity.ucum.value),
                ):
                    value, found_unit = values[quantity.code.value, derivation]
                    np.testing.assert_allclose(value, expected, rtol=1e-10, err_msg=f"{region.name} {name}")
                    self.assertEqual(found_unit, unit)
            table = self.found.vertebrae
            for code, column in (("126312", "ktrans"), ("126313", "kep")):
                for derivation, part in (("mean_curve", ""), ("mean_curve_se", "_se"), ("373099004", "_median")):
                    expected = float(table[f"{column}{part}_per_min"][n])
                    np.testing.assert_allclose(values[code, derivation][0], expected, rtol=1e-6)
            emax = float(self.found.descriptive["emax_percent"][n])
            self.assertAlmostEqual(values["emax", "mean_curve"][0], emax, places=8)
            # DICOM PS3.16 CID 4107; the last is ours
            for code, column in (
                ("126322", "iauc90_mM_s"),
                ("126323", "iauc180_mM_s"),
                ("126326", "iaugc90"),
                ("126327", "iaugc180"),
                ("wash_out_minute", "wash_out_percent_per_min"),
            ):
                expected = float(self.found.descriptive[column][n])
                self.assertEqual((code, "mean_curve") in values, np.isfinite(expected), column)
                if np.isfinite(expected):
                    self.assertAlmostEqual(values[code, "mean_curve"][0], expected, places=8, msg=column)
        self.assertEqual(found["Densitometry L1-L4"]["bmd", ""], (0.795, "g/cm2"))
        self.assertEqual(found["Densitometry L1-L4"]["t_score", ""], (-1.471, "1"))
        self.assertEqual(found["Densitometry L2"]["bmd", ""], (0.778, "g/cm2"))
        parameters = str(self.items["report"])
        self.assertIn("model tofts", parameters)
        self.assertNotIn("age_years", parameters)

    def test_segments(self):
        item = self.items["regions"]
        names = [segment.SegmentLabel for segment in item.SegmentSequence]
        self.assertEqual(names, ["L1", "L2", "L3", "L4", "L5", "aorta"])
        codes = [segment.SegmentedPropertyTypeCodeSequence[0].CodeValue for segment in item.SegmentSequence]
        # SNOMED CT: L1 to L5 vertebra, artery
        self.assertEqual(codes, ["66794005", "14293000", "36470004", "11994002", "49668003", "51114001"])
        at = [segment.AnatomicRegionSequence[0].CodeValue for segment in item.SegmentSequence]
        self.assertEqual(at, 5 * ["122496007"] + ["15825003"])  # lumbar spine, aorta
        fates = [region.fate for region in self.found.rois.regions]
        expected = {fate.reason: sum(np.count_nonzero(f == fate) for f in fates) for fate in Fate if fate > 1}
        voxels = {}
        excluded = self.items["exclusions"]
        labels = {segment.SegmentNumber: segment.SegmentLabel for segment in excluded.SegmentSequence}
        for group, *_, plane in frames_of(excluded):
            number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            label = labels[number].removeprefix("Left out: ")
            voxels[label] = voxels.get(label, 0) + int(plane.sum())
        fates_found = {label: count for label, count in voxels.items() if not label.startswith("Fit: ")}
        self.assertEqual(fates_found, {label: count for label, count in expected.items() if count})
        self.assertIn("margin", voxels)

    @staticmethod
    def ras(volume):
        """Matrix of a volume of highdicom, whose axes are k, j, i in LPS."""
        return LPS @ volume.affine[:, [2, 1, 0, 3]]

    @against("DICOM export", "segmentation read back", "highdicom", "export_dicom")
    def test_highdicom_reads_it(self):
        import highdicom

        # 0.27 asks images of floating point for an attribute that they do not have
        reads_maps = tuple(map(int, highdicom.__version__.split(".")[:2])) >= (0, 28)
        for name, values in self.maps.items() if reads_maps else ():
            volume = highdicom.imread(self.files[name]).get_volume(apply_real_world_transform=True)
            self.assert_same_map(volume.array, self.ras(volume), values, self.series.ijk_to_ras)
        segmentation = highdicom.seg.segread(self.files["regions"])
        volume = segmentation.get_volume(combine_segments=False)
        for n, mask in enumerate(self.masks()):
            self.assert_same_mask(volume.array[..., n], self.ras(volume), mask, self.series.ijk_to_ras)
        report = highdicom.sr.srread(self.files["report"])
        groups = report.content.get_volumetric_roi_measurement_groups()
        self.assertEqual([group.tracking_identifier for group in groups], ["L1", "L2", "L3", "L4", "L5"])

    @against("DICOM export", "maps and segmentation made of the files again, report read", "dcmqi", "export_dicom")
    def test_dcmqi_reads_it(self):
        self.check_dcmqi_images(self.files, self.maps, self.masks(), self.series.ijk_to_ras)
        read_back = self.root / "report.json"
        dcmqi("tid1500reader", "--inputDICOM", self.files["report"], "--outputMetadata", read_back)
        groups = json.loads(read_back.read_text(encoding="utf-8"))["Measurements"]
        ours = measurements(self.items["report"])
        self.assertEqual([group["TrackingIdentifier"] for group in groups], list(ours))
        for group in groups:
            theirs = {}
            for item in group["measurementItems"]:
                key = item["quantity"]["CodeValue"], item.get("derivationModifier", {}).get("CodeValue", "")
                theirs[key] = float(item["value"]), item["units"]["CodeValue"]
            measured(self, "groups of measurements that differ", theirs != ours[group["TrackingIdentifier"]], 0)

    def test_the_regions_as_a_file(self):
        stored = read_regions(self.result / REGIONS_FILE)
        for region, found in zip(self.found.rois.regions, stored.regions, strict=True):
            self.assertEqual((found.name, found.level), (region.name, region.level))
            np.testing.assert_array_equal(found.fate, region.fate)
        np.testing.assert_array_equal(stored.input, self.found.rois.input)
        np.testing.assert_allclose(stored.ijk_to_ras, self.series.ijk_to_ras, rtol=0, atol=1e-9)


class BesideTheSeries(Exported):
    """Flip angles and a T1 map in the folder of the series, which the quantities in mM are made of."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=self.root))
        self.study = self.folder / "study"
        phantom = small_phantom(rows=64, columns=48, slices=4, duration_s=30.0)
        self.series = phantom.series()
        write_series(self.series, self.study / "dynamic")
        self.spacing = float(np.linalg.norm(self.series.ijk_to_ras[:3, 2]))

    def write_volume(self, name, values, shift_slices=0.0, **acquisition):
        """A volume as DICOM, shifted along the slices; its folder, and its images by their place along these."""
        matrix = self.series.ijk_to_ras.copy()
        matrix[:3, 3] += shift_slices * matrix[:3, 2]
        given = {key: Sourced(value, "") for key, value in acquisition.items()}
        volume = dataclasses.replace(
            self.series,
            frames=[values],
            times_s=np.zeros(1),
            ijk_to_ras=matrix,
            acquisition={**self.series.acquisition, **given},
        )
        write_series(volume, self.study / name, description=name)
        items = sorted((read(path) for path in (self.study / name).iterdir()), key=lambda item: item.InstanceNumber)
        return [item.SOPInstanceUID for item in items], items[0].SeriesInstanceUID

    def write_angles(self):
        volumes = [
            self.write_volume(f"T1w {angle:g}", self.series.frames[0], flip_angle_deg=angle)
            for angle in (3.0, 10.0, 25.0)
        ]
        return [images for images, _ in volumes], [uid for _, uid in volumes]

    def export(self, inputs, choices):
        """Notes and objects of a result that was made with these inputs."""
        series = quietly(read_series, self.study, self.dynamic_uid())
        made_up_result(self.folder / "out", series, self.dynamic_uid(), inputs=inputs, choices=choices)
        notes = quietly(export_dicom, self.folder / "out", self.study, self.folder / "dicom")
        paths = list((self.folder / "dicom").rglob("*.dcm"))
        self.assertEqual([line for path in paths for line in errors_of(path)], [])
        return notes, {path.stem: read(path) for path in paths}

    def dynamic_uid(self):
        return str(read(next((self.study / "dynamic").iterdir())).SeriesInstanceUID)

    def own(self):
        return {read(path).SOPInstanceUID for path in (self.study / "dynamic").iterdir()}

    def check(self, items, expected):
        """Frame k of a quantity in mM refers to `expected[k]` beside the series; one of enhancement to nothing."""
        own, everything = self.own(), {uid for of_slice in expected for uid in of_slice}
        for name in ("ktrans", "ve"):
            found = referred(items[name])
            self.assertEqual([set(uids) - own for uids in found], expected, name)
            self.assertTrue(all(len(uids) == len(set(uids)) for uids in found))
        for name in ("emax", "time_to_peak", "regions", "exclusions"):
            self.assertEqual({uid for uids in referred(items[name]) for uid in uids} - own, set(), name)
        return everything

    def test_flip_angles(self):
        volumes, uids = self.write_angles()
        expected = [{images[k] for images in volumes} for k in range(4)]
        digest = read_flip_angles(self.study).source_hash
        for named in ("auto", ",".join(uids), ",".join(map(hashed, uids))):
            with self.subTest(named=named[:8]):
                notes, items = self.export({"flip-angles": digest}, {"flip_angles": named})
                shutil.rmtree(self.folder / "out")
                self.assertEqual(notes, [])
                everything = self.check(items, expected)
                listed = {
                    r.ReferencedSOPInstanceUID
                    for s in items["kep"].ReferencedSeriesSequence
                    for r in s.ReferencedInstanceSequence
                }
                self.assertEqual(listed, everything | self.own())
                (evidence,) = evidence_of(items["report"], "CurrentRequestedProcedureEvidenceSequence").values()
                self.assertLessEqual(everything, evidence)

    def test_a_map_between_the_slices(self):
        values = np.full(self.series.shape, 700, np.uint16)
        images, uid = self.write_volume("T1 map", values, shift_slices=0.5)
        digest = hash_of_values(read_map(self.study, uid)[0])
        notes, items = self.export({"t1-map": digest}, {"maps": {"t1": uid}})
        self.assertEqual(notes, [])
        # slice k lies between images k - 1 and k, the first at the edge of image 0
        self.check(items, [{images[0]}, {images[0], images[1]}, {images[1], images[2]}, {images[2], images[3]}])

    def test_of_another_study(self):
        volumes, uids = self.write_angles()
        for name in ("T1w 3", "T1w 10", "T1w 25"):
            for path in (self.study / name).iterdir():
                item = read(path)
                item.StudyInstanceUID = "1.2.3.4"
                item.save_as(path)
        digest = read_flip_angles(self.study, uids).source_hash
        notes, items = self.export({"flip-angles": digest}, {"flip_angles": ",".join(uids)})
        self.assertEqual(notes, [])
        everything = self.check(items, [{images[k] for images in volumes} for k in range(4)])
        (study,) = items["kep"].StudiesContainingOtherReferencedInstancesSequence
        self.assertEqual(study.StudyInstanceUID, "1.2.3.4")
        self.assertEqual({s.SeriesInstanceUID for s in study.ReferencedSeriesSequence}, set(uids))
        evidence = evidence_of(items["report"], "PertinentOtherEvidenceSequence")
        self.assertEqual(evidence, {"1.2.3.4": everything})

    def test_what_is_not_at_hand_is_told(self):
        _, uids = self.write_angles()
        digest = read_flip_angles(self.study, uids).source_hash
        path = next((self.study / "T1w 10").iterdir())
        item = read(path)
        item.ImageComments = "changed"
        item.save_as(path)
        inputs = {"flip-angles": digest, "b1-map": "0" * 64}
        notes, items = self.export(inputs, {"flip_angles": ",".join(uids), "maps": {}})
        self.assertEqual(len(notes), 2, notes)
        self.assertRegex(notes[0], "do not refer to the series of flip angles, since .* does not hold it as it was")
        self.assertRegex(notes[1], "do not refer to the B1 map, which came from a file that is not DICOM")
        self.check(items, [set()] * 4)


class IntoTheSource(Exported):
    def test_results_are_no_input(self):
        """Objects beside the images that they were made of change nothing for the next analysis."""
        folder = self.root / "into"
        study = folder / "study"
        vendors.ge_lava(study)
        before, series = quietly(inspect_folder, study), quietly(read_series, study)
        made_up_result(folder / "out", series)
        for _ in range(2):
            quietly(export_dicom, folder / "out", study, study)
            after, again = quietly(inspect_folder, study), quietly(read_series, study)
            self.assertEqual(after.series, before.series)
            self.assertIn("maps that DCEPerfusionBMD made", " ".join(after.reasons).replace("a map", "maps"))
            self.assertEqual((again.source_hash, again.warnings), (series.source_hash, series.warnings))
        # of another program: no frames of a series, but a T1 map may be read
        paths = sorted((study / "maps").iterdir())
        for path, description in zip(paths, ("T1 map", "Ktrans"), strict=False):
            item = read(path)
            item.Manufacturer, item.SeriesDescription = "Other", description
            item.save_as(path)
        kinds = {info.description: (info.kind, info.why) for info in quietly(inspect_folder, study).series}
        self.assertEqual(kinds["T1 map"][0], "T1 map")
        self.assertEqual(kinds["Ktrans"], ("other", "a parametric map"))
        self.assertEqual(quietly(read_series, study).source_hash, series.source_hash)


class WhatIsLeftOut(Exported):
    """Regions and sites that do not count are in the report, with the reason."""

    def test_regions_and_sites(self):
        folder = self.root / "left out"
        vendors.ge_lava(folder / "study")
        series = quietly(read_series, folder / "study")
        made_up_result(folder / "out", series)
        stored = read_regions(folder / "out" / REGIONS_FILE)
        fates = [region.fate.copy() for region in stored.regions]
        fates[1][fates[1] == Fate.ANALYZED] = Fate.PLEXUS
        regions = [Region(r.name, r.level, fate, np.zeros(0)) for r, fate in zip(stored.regions, fates, strict=True)]
        rois = VertebralRois(tuple(regions), "vessel", stored.input, (), "73634005")
        write_regions(folder / "out" / REGIONS_FILE, rois, series.ijk_to_ras)
        reasons = {"L1": "62% of the voxels inside the margin are excluded, more than 50%", "lesion": ""}
        reasons["second"] = "no voxel is left to analyze"
        rows = [["region", "evaluable", "not_evaluable", "status"]]
        rows += [[r.name, "no" if reasons[r.name] else "yes", reasons[r.name], "fitted"] for r in regions]
        sites = [["scope", "site", "bmd_g_cm2", "qct_mg_cm3", "t_score", "z_score", "exclusion"]]
        sites += [
            ["subject", "L1-L2", "0.9", "nan", "-1.2", "nan", ""],
            ["site", "L1-L2", "0.9", "nan", "-1.2", "nan", ""],
            ["vertebra", "L3", "nan", "nan", "nan", "nan", "not assessable: fracture"],
            ["vertebra", "L4", "nan", "nan", "nan", "nan", ""],
            ["site", "total hip", "0.8", "nan", "nan", "nan", ""],
            ["site", "femoral neck left", "0.7", "nan", "-1.9", "-0.4", ""],
            ["site", "33 % radius right", "0.6", "nan", "nan", "nan", ""],
            ["vertebra", "L2", "nan", "110", "-2", "nan", ""],
        ]
        for name, table in (("vertebrae", rows), ("bmd_classification", sites)):
            with (folder / "out" / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(table)
        quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")
        path = folder / "dicom" / "report.dcm"
        self.assertEqual(errors_of(path), [])
        groups = groups_of(read(path))
        yes, no = ("CONTAINS", "373066001"), ("CONTAINS", "373067005")  # SNOMED CT
        for name, reason in reasons.items():
            self.assertEqual(values_of(groups[name], "evaluable"), [no if reason else yes])
            self.assertEqual(values_of(groups[name], "not_evaluable"), [("CONTAINS", reason)] if reason else [])
            # PS3.16 TID 1411 and 1501
            self.assertEqual(values_of(groups[name], "370129005"), [("HAS CONCEPT MOD", "126340")])
        self.assertFalse([c for c in groups["second"] if code_of(c) == "121191"])  # no segment to refer to
        bone = {name.removeprefix("Densitometry "): c for name, c in groups.items() if name.startswith("Dens")}
        self.assertEqual(list(bone), ["L1-L2", "L3", "total hip", "femoral neck left", "33 % radius right", "L2"])
        self.assertEqual(values_of(bone["L3"], "doubtful_site"), [("CONTAINS", "not assessable: fracture")])
        by_dxa = [name for name in bone if values_of(bone[name], "370129005") == [("HAS CONCEPT MOD", "241686001")]]
        self.assertEqual(by_dxa, ["L1-L2", "total hip", "femoral neck left", "33 % radius right"])
        at = {
            name: (
                content.ConceptCodeSequence[0].CodeValue,
                [side.ConceptCodeSequence[0].CodeValue for side in content.get("ContentSequence", [])],
            )
            for name, contents in bone.items()
            for content in contents
            if code_of(content) == "363698007"
        }
        # SNOMED CT: lumbar spine, L3, hip, neck of femur, radius; left, right
        self.assertEqual(at["L1-L2"], ("122496007", []))
        self.assertEqual(at["L3"], ("36470004", []))
        self.assertEqual(at["total hip"], ("29836001", []))
        self.assertEqual(at["femoral neck left"], ("29627003", ["7771000"]))
        self.assertEqual(at["33 % radius right"], ("62413002", ["24028007"]))
        read_back = folder / "report.json"
        dcmqi("tid1500reader", "--inputDICOM", path, "--outputMetadata", read_back)
        theirs = {g["TrackingIdentifier"]: g for g in json.loads(read_back.read_text(encoding="utf-8"))["Measurements"]}
        self.assertEqual(list(theirs), list(groups))
        said = [e["conceptValue"] for e in theirs["second"]["qualitativeEvaluations"]]
        self.assertIn("no voxel is left to analyze", said)
        self.assertEqual(theirs["L1"]["measurementMethod"]["CodeValue"], "126340")
        self.assertEqual(theirs["Densitometry total hip"]["measurementMethod"]["CodeValue"], "241686001")
        self.assertEqual(theirs["Densitometry femoral neck left"]["Laterality"]["CodeValue"], "7771000")
        last = read(folder / "dicom" / "regions.dcm").SegmentSequence[-1]
        self.assertEqual(last.AnatomicRegionSequence[0].CodeValue, "73634005")  # by the code of its segment

    def test_where_the_input_is(self):
        def at(name, code="", model="tofts"):
            regions = SimpleNamespace(input_name=name, input_code=code)
            place = input_of(SimpleNamespace(regions=regions, setting=lambda group, setting: model))[2]
            return place.value if place is not None else ""

        self.assertEqual(at("Aorta"), "15825003")
        self.assertEqual(at("腹主动脉"), "15825003")
        self.assertEqual(at("aorta", "7832008"), "7832008")  # abdominal aorta
        self.assertEqual(at("vessel"), "")  # not known
        self.assertEqual(at("AIF"), "")
        self.assertEqual(at("psoas", "71616004", "reference-region"), "52612000")  # lumbar region
        self.assertEqual(at("muscle", "44947003", "reference-region"), "44947003")  # erector spinae


class Refusals(Exported):
    """What cannot be exported is refused in one line, and nothing is written."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        vendors.ge_lava(self.folder / "study")
        made_up_result(self.folder / "out", quietly(read_series, self.folder / "study"))

    def check(self, words):
        with self.assertRaisesRegex(InputError, words) as caught:
            quietly(export_dicom, self.folder / "out", self.folder / "study", self.folder / "dicom")
        self.assertNotIn("\n", str(caught.exception))
        self.assertFalse((self.folder / "dicom").exists())

    def test_another_series(self):
        path = next((self.folder / "study").iterdir())
        item = read(path)
        item.ImageComments = "changed"
        item.save_as(path)
        self.check("does not hold the series that was analyzed")

    def test_a_file_is_missing(self):
        (self.folder / "out" / REGIONS_FILE).unlink()
        self.check(REGIONS_FILE)

    def test_a_map_on_another_grid(self):
        path = self.folder / "out" / "maps" / "kep.nrrd"
        write_nrrd(path, np.zeros((2, 3, 4), np.float32), np.eye(4))
        self.check("kep.nrrd lies on another grid")

    def test_a_strange_map(self):
        (self.folder / "out" / "maps" / "mine.nrrd").write_bytes(b"")
        self.check("mine.nrrd is no map")

    def test_tables_of_other_regions(self):
        path = self.folder / "out" / "vertebrae.csv"
        path.write_text(path.read_text(encoding="utf-8").replace("second", "third"), encoding="utf-8")
        self.check("do not hold the same regions")

    def test_broken_provenance(self):
        (self.folder / "out" / "provenance.json").write_text("{}", encoding="utf-8")
        self.check("provenance.json")

    def test_without_highdicom(self):
        with mock.patch.dict(sys.modules, {"highdicom": None}):
            self.check("needs highdicom, which Slicer 5.12 brings and Slicer 5.10 does not")


class Texts(Exported):
    def test_character_sets_and_gaps_of_the_source(self):
        cases = (("GB18030", "王^小东"), ("ISO_IR 100", "Müller^Jörg"), ("ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"))
        for charset, name in cases:
            with self.subTest(charset):
                folder = self.root / charset
                vendors.ge_lava(folder / "study")
                for path in (folder / "study").iterdir():
                    item = read(path)
                    item.SpecificCharacterSet = ["", charset] if charset.startswith("ISO 2022") else charset
                    item.PatientName = name
                    for keyword in ("PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName"):
                        if keyword in item:
                            del item[keyword]
                    item.save_as(path)
                made_up_result(folder / "out", quietly(read_series, folder / "study"))
                quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")
                for path in (folder / "dicom").rglob("*.dcm"):
                    self.assertEqual(str(read(path).PatientName), name)
                    self.assertEqual(errors_of(path), [])

    def test_values_against_the_standard_stay_out(self):
        texts = {
            0x00080020: ("DA", b"2019-01-01"),  # StudyDate
            0x00101030: ("DS", b"heavy "),  # PatientWeight
            0x00101010: ("AS", b"sixty "),  # PatientAge
            0x00100040: ("CS", b"XYZ "),  # PatientSex
            0x00282110: ("CS", b"01"),  # LossyImageCompression, without its ratio
            0x00120062: ("CS", b"MAYBE "),  # PatientIdentityRemoved
            0x001021A0: ("CS", b"SOMETIMES "),  # SmokingStatus
            0x00102203: ("CS", b"neutered"),  # PatientSexNeutered, small letters
            0x00100010: ("PN", b"Doe^A\\Roe^B "),  # PatientName
            0x00100020: ("LO", b"12\\34 "),  # PatientID
            0x00200010: ("SH", b"1\\2 "),  # StudyID
            0x00081030: ("LO", b"spine\\lumbar"),  # StudyDescription
        }

        def change(item):
            for tag, (kind, text) in texts.items():
                item[tag] = RawDataElement(BaseTag(tag), kind, len(text), text, 0, False, True)

        notes, items = self.export_changed("odd", change)
        for tag in texts:
            keyword = pydicom.datadict.keyword_for_tag(tag)
            self.assertIn(keyword, notes[0])
            for item in items:
                self.assertIn(item.get(keyword) or "", ("", "00"), keyword)  # 00: the objects are not compressed
        self.assertNotIn("heavy", notes[0])

    def test_what_is_never_taken_over_is_not_named(self):
        texts = {
            0x00080022: ("DA", b"2019-1-1"),  # AcquisitionDate, of the equipment of the source
            0x00080012: ("DA", b"2019-1-1"),  # InstanceCreationDate
            0x00181250: ("SH", b"coil\\more"),  # ReceiveCoilName
            0x00180022: ("CS", b"lower case"),  # ScanOptions
            0x00100030: ("DA", b"1950-1-1"),  # PatientBirthDate
        }

        def change(item):
            for tag, (kind, text) in texts.items():
                item[tag] = RawDataElement(BaseTag(tag), kind, len(text), text, 0, False, True)

        notes, items = self.export_changed("never", change)
        self.assertEqual(
            notes,
            [
                "the objects leave out what the source holds against the standard: AcquisitionDate (0008,0022), "
                "PatientBirthDate (0010,0030)"
            ],
        )
        for item in items:
            self.assertFalse(item.PatientBirthDate)
            for keyword in ("ReceiveCoilName", "ScanOptions"):
                self.assertNotIn(keyword, item)

    def export_changed(self, name, change):
        """Export beside a study whose headers are changed; returns the notes and the objects."""
        folder = self.root / name
        vendors.ge_lava(folder / "study")
        for path in (folder / "study").iterdir():
            item = read(path)
            change(item)
            quietly(item.save_as, path)
        made_up_result(folder / "out", quietly(read_series, folder / "study"))
        notes = quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")
        paths = list((folder / "dicom").rglob("*.dcm"))
        self.assertEqual([line for path in paths for line in errors_of(path)], [])
        return notes, [read(path) for path in paths]

    def test_how_the_identity_was_removed(self):
        def by_code(item):
            code = pydicom.Dataset()
            code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
            code.CodeMeaning = "Basic Application Confidentiality Profile"
            code.add_new(0x00090010, "LO", "SOMEBODY")
            item.PatientIdentityRemoved, item.DeidentificationMethodCodeSequence = "YES", [code]

        def by_text(item):
            item.PatientIdentityRemoved, item.DeidentificationMethod = "YES", "by hand"

        def untold(item):
            item.PatientIdentityRemoved = "YES"

        notes, items = self.export_changed("by code", by_code)
        self.assertEqual(notes, [])
        for item in items:
            self.assertEqual(item.PatientIdentityRemoved, "YES")
            self.assertEqual([code.CodeValue for code in item.DeidentificationMethodCodeSequence], ["113100"])
            self.assertFalse([element for element in item.iterall() if element.tag.is_private])
        notes, items = self.export_changed("by text", by_text)
        self.assertEqual(notes, [])
        for item in items:
            self.assertEqual((item.PatientIdentityRemoved, item.DeidentificationMethod), ("YES", "by hand"))
        notes, items = self.export_changed("untold", untold)
        self.assertRegex(notes[0], r"PatientIdentityRemoved \(0012,0062\), which lacks the method")
        for item in items:
            self.assertNotIn("PatientIdentityRemoved", item)

    def test_no_frame_of_reference(self):
        folder = self.root / "no frame"
        vendors.ge_lava(folder / "study")
        for path in (folder / "study").iterdir():
            item = read(path)
            del item.FrameOfReferenceUID
            item.save_as(path)
        made_up_result(folder / "out", quietly(read_series, folder / "study"))
        notes = quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")
        self.assertRegex(notes[0], "no FrameOfReferenceUID")
        uids = {read(path).get("FrameOfReferenceUID") for path in (folder / "dicom").rglob("*.dcm")} - {None}
        self.assertEqual(len(uids), 1)

    def export_named(self, folder, odd):
        """Export of regions of these names; returns the segments of `regions.dcm` and the names in the report."""
        vendors.ge_lava(folder / "study")
        series = quietly(read_series, folder / "study")
        made_up_result(folder / "out", series)
        regions = read_regions(folder / "out" / REGIONS_FILE)
        rois = VertebralRois(
            tuple(Region(name, "", r.fate, np.zeros(0)) for name, r in zip(odd, regions.regions, strict=True)),
            "\u202eaorta",
            regions.input,
        )
        write_regions(folder / "out" / REGIONS_FILE, rois, series.ijk_to_ras)
        for table in ("vertebrae", "descriptive"):
            path = folder / "out" / f"{table}.csv"
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(
                    [rows[0], *([name, *row[1:]] for name, row in zip(odd, rows[1:], strict=True))]
                )
        quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")
        for path in (folder / "dicom").rglob("*.dcm"):
            self.assertEqual(errors_of(path), [])
        segments = read(folder / "dicom" / "regions.dcm").SegmentSequence
        return segments, list(measurements(read(folder / "dicom" / "report.dcm")))

    def test_hostile_names(self):
        odd = ["<script>alert(1)</script>", 'a|b:c"\\\n', "x" * 10000]
        segments, names = self.export_named(self.root / "hostile", odd)
        self.assertEqual([s.SegmentLabel for s in segments], [odd[0], "a|b:c'/", "x" * 64, "aorta"])
        self.assertEqual(names, [odd[0], "a|b:c'/", odd[2]])

    def test_control_characters_and_long_names_that_begin_alike(self):
        begin = "lesion " + "y" * 56 + " "  # 64 characters, the last of them a blank
        segments, names = self.export_named(self.root / "control", ["\x1b[31mL1\x01", begin + "a", begin + "b"])
        labels = [segment.SegmentLabel for segment in segments]
        self.assertEqual(labels, ["[31mL1", begin.strip(), begin.strip(), "aorta"])
        self.assertEqual(names, ["[31mL1", begin + "a", begin + "b"])
        self.assertEqual([segment.TrackingID for segment in segments], [*names, "aorta"])


class Killed(Exported):
    def test_killed_at_random(self):
        """20 times: what lies in the folder is whole."""
        if not hasattr(os, "fork"):
            self.skipTest("os.fork is absent")
        folder = self.root / "killed"
        vendors.ge_lava(folder / "study")
        made_up_result(folder / "out", quietly(read_series, folder / "study"))
        script = """
import os, random, signal, sys, time, warnings
from pathlib import Path
import highdicom
from DCEPerfusionBMDLib.export import export_dicom
warnings.simplefilter("ignore")
folder, dice = Path(sys.argv[1]), random.Random(8)
def run(n, wait):
    child = os.fork()
    if not child:
        export_dicom(folder / "out", folder / "study", folder / f"d{n}")
        os._exit(0)
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
export_dicom(folder / "out", folder / "study", folder / "warm")
start = time.monotonic()
assert run("whole", None) == 0
took = time.monotonic() - start
print(*(run(n, dice.uniform(0, 1.1 * took)) for n in range(20)))
"""
        run = subprocess.run(
            [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False, encoding="utf-8"
        )
        self.assertEqual(run.returncode, 0, run.stderr[-2000:])
        self.assertGreater(sum(int(status) == 9 for status in run.stdout.split()), 8, run.stdout)
        whole = {
            path.relative_to(folder / "dwhole"): path.stat().st_size for path in (folder / "dwhole").rglob("*.dcm")
        }
        self.assertEqual(len(whole), len(MAPS) + 3)
        left = 0
        for n in range(20):
            output = folder / f"d{n}"
            left += len(list(output.glob(".unfinished-*")))
            for path in output.rglob("*.dcm"):
                inside = path.relative_to(output)
                if inside.parts[0].startswith(".unfinished-"):
                    continue
                self.assertLess(abs(path.stat().st_size - whole[inside]), 200, inside)  # identifiers differ in length
                self.assertTrue(read(path).SOPInstanceUID)
        self.assertGreater(left, 0)
        last = next(folder / f"d{n}" for n in range(20) if list((folder / f"d{n}").glob(".unfinished-*")))
        notes = quietly(export_dicom, folder / "out", folder / "study", last)
        self.assertRegex(notes[0], "interrupted runs left: .unfinished-")

    def test_killed_between_two_renames(self):
        """Over an earlier export: every file is whole, old or new, and the next export makes all of them new."""
        if not hasattr(os, "fork"):
            self.skipTest("os.fork is absent")
        folder = self.root / "renames"
        vendors.ge_lava(folder / "study")
        made_up_result(folder / "out", quietly(read_series, folder / "study"))

        def export():
            quietly(export_dicom, folder / "out", folder / "study", folder / "dicom")

        def uids():
            return {p.name: read(p).SOPInstanceUID for p in (folder / "dicom").rglob("*.dcm") if ".unf" not in str(p)}

        export()
        before, moves = uids(), [0]
        replace = Path.replace

        def replace_or_die(path, target):
            moves[0] += 1
            if moves[0] == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(path, target)

        child = os.fork()
        if not child:
            with mock.patch.object(Path, "replace", replace_or_die):
                export()
            os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], signal.SIGKILL)
        after = uids()
        self.assertEqual(set(after), set(before))
        self.assertEqual(sum(after[name] != before[name] for name in before), 3)
        export()
        self.assertFalse(set(uids().values()) & {*before.values(), *after.values()})


class OfQiba(Exported):
    @against("DICOM export", "Ktrans and ve of a block in the structured report", "qiba", "export_dicom")
    def test_qiba(self):
        source = reference_data("qiba_v6_tofts_dicom")
        series = quietly(read_series, source)
        masks = {"vessel": np.zeros(series.shape, bool), "block54": np.zeros(series.shape, bool)}
        masks["vessel"][0, 70:80], masks["block54"][0, 60:70, 40:50] = True, True
        settings = from_dict(
            {
                "regions": {"margin_mm": 0.0},
                "acquisition": {"baseline_frames": 4},
                "conversion": {
                    "t10_tissue_ms": 1000.0,
                    "t10_blood_ms": 1440.0,
                    "hematocrit": 0.45,
                    "relaxivity_per_s_mM": 4.5,
                },
                "arterial_input": {"aif_segment": "vessel"},
            }
        )
        result = analyze(series, masks, settings)
        folder = self.root / "qiba"
        write_result(folder / "out", series, result, settings, {})
        quietly(export_dicom, folder / "out", source, folder / "dicom")
        dicom = [quietly(pydicom.dcmread, path, True) for path in source.glob("*.dcm")]
        paths = sorted((folder / "dicom").rglob("*.dcm"))
        self.assertGreater(len(paths), 7)
        self.assertEqual([line for path in paths for line in errors_of(path)], [])
        for name in ("ktrans", "kep", "ve"):
            item = read(folder / "dicom" / "maps" / f"{name}.dcm")
            self.check_on_source(item, result.maps[name].values, dicom, series.ijk_to_ras)
        values = measurements(read(folder / "dicom" / "report.dcm"))["block54"]
        measured(self, "Ktrans", 100 * (values["126312", "373098007"][0] / 0.35 - 1), 0.2, "%")
        measured(self, "ve", 100 * (values["126314", "373098007"][0] / 0.5 - 1), 0.3, "%")
        self.assertEqual(values["126312", "voxel_count"][0], 100)


class Codes(unittest.TestCase):
    def test_codes_fit_their_attributes_and_are_unique(self):
        codes = [q.code for q in BY_NAME.values()] + list(PRIVATE_CODES)
        self.assertEqual(len({(code.scheme, code.value) for code in codes}), len(codes))
        for code in codes:
            self.assertLessEqual(len(code.value), 16, code)  # SH
            self.assertLessEqual(len(code.meaning), 64, code)  # LO
        for quantity in BY_NAME.values():
            self.assertLessEqual(len(quantity.symbol), 16, quantity)
            self.assertLessEqual(len(quantity.name), 16, quantity)
        self.assertEqual(set(STATUS_CODES), set(FitStatus) - {FitStatus.NOT_ANALYZED})

    def test_standard_codes_are_those_of_the_standard(self):
        from pydicom.sr._concepts_dict import concepts

        for quantity in BY_NAME.values():
            if quantity.dicom is not None:
                known = [
                    names[quantity.dicom.value] for names in concepts["DCM"].values() if quantity.dicom.value in names
                ]
                # a name in no context group is a former one
                self.assertEqual({meaning for meaning, groups in known if groups}, {quantity.dicom.meaning})


if __name__ == "__main__":
    unittest.main()
