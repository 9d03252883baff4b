"""The command line as a user meets it: all outputs, bad input, interruption, and the QIBA object."""

import csv
import dataclasses
import hashlib
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import slicer
from DCEPerfusionBMDLib import cli, scene
from DCEPerfusionBMDLib.dicomio import read_series, write_series
from DCEPerfusionBMDLib.export import provenance
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.kinetics import spgr_signal
from DCEPerfusionBMDLib.phantom import LEVELS, TISSUES
from DCEPerfusionBMDLib.series import Sourced
from DCEPerfusionBMDLib.settings import Settings, all_parameters
from DCEPerfusionBMDLib.study import analyze
from support import against, measured, needs, reference_data, run, small_phantom

FILES = [
    "bmd_classification.csv",
    "curves.csv",
    "descriptive.csv",
    "figure.png",
    "margins.csv",
    "provenance.json",
    "regions.seg.nrrd",
    "report.html",
    "scene.mrb",
    "vertebrae.csv",
]
MAP_NAMES = ("emax", "iauc60", "kep", "ktrans", "max_slope", "status", "time_to_peak", "ve")
MAPS = [f"maps/{name}.nrrd" for name in MAP_NAMES]


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_volume(path):
    node = slicer.vtkMRMLScalarVolumeNode()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return slicer.util.arrayFromVolume(node)


class Study(unittest.TestCase):
    """A small phantom study on disk, shared by the tests; each test gets its own output folder."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.study = Path(temporary.name)
        cls.phantom = small_phantom(duration_s=120.0)
        cli.write_phantom(cls.phantom, cls.study)

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.output = self.folder / "out"

    def arguments(self, **changes):
        given = {
            "--dicom": self.study / "dicom",
            "--segmentation": self.study / "segmentation.seg.nrrd",
            "--output": self.output,
            **{f"--{name.replace('_', '-')}": value for name, value in changes.items()},
        }
        return ["analyze", *(part for pair in given.items() if pair[1] is not None for part in pair)]


class Analyze(Study):
    def test_all_outputs(self):
        status, out, err = run(*self.arguments(dxa=self.study / "dxa.csv", subject="PHANTOM"))
        self.assertEqual(status, 0, err)
        written = sorted(p.relative_to(self.output).as_posix() for p in self.output.rglob("*") if p.is_file())
        self.assertEqual(written, sorted(FILES + MAPS))
        self.assertEqual(list(self.folder.iterdir()), [self.output])
        self.assertIn("T-score category osteoporosis", out)

        series = read_series(self.study / "dicom")
        expected = analyze(series, self.phantom.segments)
        rows = read_csv(self.output / "vertebrae.csv")
        self.assertEqual([row["level"] for row in rows], list(LEVELS))
        for n, row in enumerate(rows):
            self.assertEqual(row["subject"], "PHANTOM")
            for column in ("ktrans_per_min", "kep_per_min", "ve", "ktrans_median_per_min", "failed_share"):
                self.assertEqual(float(row[column]), expected.vertebrae[column][n])  # every digit
        for name, parameter_map in expected.maps.items():
            np.testing.assert_array_equal(read_volume(self.output / "maps" / f"{name}.nrrd"), parameter_map.values)
        curves = read_csv(self.output / "curves.csv")
        self.assertEqual([float(row["time_s"]) for row in curves], list(series.times_s))
        bone = read_csv(self.output / "bmd_classification.csv")
        self.assertEqual([row["site"] for row in bone], ["L1-L4", "L1", "L2", "L3", "L4", "L1-L4", "L5"])
        by_level = {row["site"]: row for row in bone if row["scope"] == "vertebra"}
        levels = ("L1", "L2", "L3", "L4")
        for n, level in enumerate(expected.vertebrae["level"]):
            self.assertEqual(float(by_level[level]["ktrans_per_min"]), expected.vertebrae["ktrans_per_min"][n])
            self.assertEqual(float(by_level[level]["ve_se"]), expected.vertebrae["ve_se"][n])
        kep = [float(by_level[level]["kep_per_min"]) for level in levels]
        self.assertAlmostEqual(float(bone[0]["kep_per_min"]), sum(kep) / 4, places=12)
        self.assertAlmostEqual(float(bone[0]["kep_se_per_min"]), np.std(kep, ddof=1) / 2, places=12)
        self.assertEqual((bone[0]["scope"], bone[0]["category"]), ("subject", "low bone mass"))
        self.assertIn("vertebrae proposed for exclusion: L1 and L2 differ by 2 T", err)
        self.assertGreater((self.output / "figure.png").stat().st_size, 20000)

    def test_t1_from_several_flip_angles_beside_the_dynamic(self):
        """The truth of the phantom's marrow is 549 ms; volumes on a coarser grid of their own, one series per angle."""
        series = self.phantom.series()
        density, t1 = (np.array([getattr(t, name) for t in TISSUES.values()]) for name in ("proton_density", "t1_ms"))
        labels = self.phantom.labels[:, ::2, ::2]
        grid = series.ijk_to_ras @ np.diag([2.0, 2.0, 1.0, 1.0])
        folder = self.folder / "study"
        shutil.copytree(self.study / "dicom", folder)
        for angle in (2.0, 5.0, 10.0, 15.0, 25.0):
            volume = spgr_signal(40000.0 * density[labels], 1000.0 / (1.08 * t1[labels]), 5.0, angle)
            given = {"repetition_time_ms": Sourced(5.0, ""), "flip_angle_deg": Sourced(angle, "")}
            acquisition = {**series.acquisition, **given}
            one = dataclasses.replace(
                series, frames=[volume.astype(np.uint16)], times_s=np.zeros(1), ijk_to_ras=grid, acquisition=acquisition
            )
            write_series(one, folder / f"flip{angle:g}", description=f"T1 flip {angle:g}")
        status, _, err = run(*self.arguments(dicom=folder, flip_angles="auto"))
        self.assertEqual(status, 0, err)
        used = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))["used"]["t10_tissue_ms"]
        self.assertAlmostEqual(used["value"] / (1.08 * 549.0), 1.0, delta=0.01)
        self.assertEqual(used["source"], "T1 map from flip angles 2/5/10/15/25 degrees, median of the analyzed voxels")
        status, _, err = run(*self.arguments(flip_angles="auto"))
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertRegex(err, "flip angle")

    def test_maps_and_flip_angles_of_another_study(self):
        series = self.phantom.series()
        folder = self.folder / "study"
        shutil.copytree(self.study / "dicom", folder)
        values = np.full(series.shape, 600, np.uint16)
        for number, angle, name in ((20, 10.0, "T1 map"), (30, 2.0, "T1 flip 2"), (31, 10.0, "T1 flip 10")):
            acquisition = {**series.acquisition, "flip_angle_deg": Sourced(angle, "")}
            one = dataclasses.replace(series, frames=[values], times_s=np.zeros(1), acquisition=acquisition)
            write_series(one, folder / f"series{number}", description=name)
            for path in (folder / f"series{number}").iterdir():
                dataset = pydicom.dcmread(path)
                dataset.StudyInstanceUID, dataset.SeriesNumber = "2.25.77", number
                dataset.save_as(path)
        status, _, err = run(*self.arguments(dicom=folder, t1_map="20"))
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertRegex(err, "series 20 'T1 map' is of another study than the dynamic series; give the map as NRRD")
        status, _, err = run(*self.arguments(dicom=folder, flip_angles="auto"))
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertRegex(err, "holds flip angles of another study than the dynamic series only")

    def test_volumes_instead_of_dicom(self):
        """The same series as a sequence file: the same numbers to the last digit."""
        series = self.phantom.series()
        host = HeadlessSlicer()
        sequence = scene.write_series(host.scene, series, "DCE")
        file = self.folder / "dce.seq.nrrd"
        scene.write_file(sequence, slicer.vtkMRMLVolumeSequenceStorageNode(), file)
        given = {"flip_angle_deg": 30, "repetition_time_ms": 3.5, "field_strength_T": 1.5, "agent": "gadobenate"}
        status, _, err = run(*self.arguments(dicom=None, volumes=file, **given))
        self.assertEqual(status, 0, err)
        found = read_csv(self.output / "vertebrae.csv")
        expected = analyze(series, self.phantom.segments).vertebrae
        for n, row in enumerate(found):
            self.assertAlmostEqual(float(row["ktrans_per_min"]) / expected["ktrans_per_min"][n], 1.0, places=9)

    def test_identifiers_are_kept_when_asked_for(self):
        write_series(self.phantom.series(), self.folder / "dicom", patient="DOE^JANE^1234")
        status, _, err = run(*self.arguments(dicom=self.folder / "dicom"), "--keep-identifiers")
        self.assertEqual(status, 0, err)
        history = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))
        self.assertEqual(history["identifiers"]["PatientName"], "DOE^JANE^1234")
        self.assertTrue(history["identifiers"]["StudyInstanceUID"].startswith("2.25."))

    def test_provenance(self):
        settings = self.folder / "settings.json"
        settings.write_text(
            json.dumps({"regions": {"margin_mm": 2.5}, "conversion": {"hematocrit": 0.4}}), encoding="utf-8"
        )
        status, _, err = run(*self.arguments(settings=settings, hematocrit=0.45))
        self.assertEqual(status, 0, err)
        history = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))
        self.assertEqual(history["settings"]["regions"]["margin_mm"], {"value": 2.5, "origin": "user"})
        self.assertEqual(history["settings"]["conversion"]["hematocrit"], {"value": 0.45, "origin": "user"})
        self.assertEqual(history["settings"]["model"]["model"], {"value": "tofts", "origin": "default"})
        self.assertEqual(history["used"]["flip_angle_deg"], {"value": 30.0, "source": "DICOM FlipAngle (0018,1314)"})
        self.assertEqual(history["series"]["time_source"], "TriggerTime (0018,1060)")
        self.assertEqual(len(history["series"]["times_rejected"]), 3)
        self.assertEqual(history["inputs"]["series"]["files"], 240)
        digest = hashlib.sha256((self.study / "segmentation.seg.nrrd").read_bytes()).hexdigest()
        self.assertEqual(history["inputs"]["segmentation"]["sha256"], digest)
        for package in ("numpy", "scipy", "pydicom", "slicer-core"):
            self.assertIn(package, history["software"])

    def test_provenance_of_values_that_are_none(self):
        """JSON has no NaN."""
        result = analyze(self.phantom.series(), self.phantom.segments)
        result.used["t10_tissue_ms"] = Sourced(math.nan, "a map")
        history = provenance(self.phantom.series(), Settings(), result, {}, {"a": (math.inf, 1.5, "x")})
        self.assertIsNone(history["used"]["t10_tissue_ms"]["value"])
        self.assertEqual(history["choices"]["a"], [None, 1.5, "x"])
        json.dumps(history, allow_nan=False)

    def test_maps_of_the_tissue_from_files(self):
        """They lie on a grid of their own."""
        grid = self.phantom.ijk_to_ras @ np.diag([2.0, 2.0, 1.0, 1.0])
        t1 = np.full((self.phantom.slices, self.phantom.rows // 2, self.phantom.columns // 2), 600.0)
        files = {}
        for name, values in (("t1", t1), ("b1", np.full_like(t1, 0.95))):
            files[f"{name}_map"] = self.folder / f"{name}.nrrd"
            volume = scene.volume_from_array(values, grid)
            scene.write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), files[f"{name}_map"])
        status, _, err = run(*self.arguments(**files))
        self.assertEqual(status, 0, err)
        by_map = read_csv(self.output / "vertebrae.csv")
        history = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))
        self.assertEqual(history["used"]["b1"]["source"], "B1 map, median of the analyzed voxels")
        digest = hashlib.sha256(files["t1_map"].read_bytes()).hexdigest()
        self.assertEqual(history["inputs"]["t1-map"]["sha256"], digest)
        status, _, err = run(*self.arguments(t10_tissue_ms=600, b1=0.95))
        self.assertEqual(status, 0, err)
        for found, expected in zip(by_map, read_csv(self.output / "vertebrae.csv"), strict=True):
            self.assertAlmostEqual(float(found["ktrans_per_min"]) / float(expected["ktrans_per_min"]), 1.0, places=6)
        status, _, err = run(*self.arguments(t1_map=self.folder / "nowhere.nrrd"))
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertRegex(err, "the map .*nowhere.nrrd does not exist")
        volume = scene.volume_from_array(t1 * 0.0, grid)
        scene.write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), self.folder / "empty.nrrd")
        status, _, err = run(*self.arguments(t1_map=self.folder / "empty.nrrd"))
        self.assertRegex(err, r"the map empty.nrrd has no value between 1 and 20000 inside the series(?!; is)")
        volume = scene.volume_from_array(t1 * 0.0 + 0.549, grid)
        scene.write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), self.folder / "seconds.nrrd")
        status, _, err = run(*self.arguments(t1_map=self.folder / "seconds.nrrd"))
        self.assertRegex(err, "between 1 and 20000 inside the series; is it in s instead of ms\\?")

    def test_a_rerun_replaces_and_leaves_other_files(self):
        self.assertEqual(run(*self.arguments())[0], 0)
        (self.output / "notes.txt").write_text("mine", encoding="utf-8")
        first = (self.output / "vertebrae.csv").read_bytes()
        self.assertEqual(run(*self.arguments(margin_mm=1))[0], 0)
        self.assertNotEqual((self.output / "vertebrae.csv").read_bytes(), first)
        self.assertEqual((self.output / "notes.txt").read_text(encoding="utf-8"), "mine")

    def test_same_input_same_numbers(self):
        contents = []
        for name in ("a", "b"):
            self.assertEqual(run(*self.arguments(output=self.folder / name))[0], 0)
            contents.append(
                [(self.folder / name / file).read_bytes() for file in ("vertebrae.csv", "curves.csv", *MAPS)]
            )
        self.assertEqual(*contents)

    def test_a_level_without_voxels_is_named_and_the_rest_goes_on(self):
        masks = {**self.phantom.segments}
        thin = np.zeros_like(masks["L5"])
        thin[3, 0, 40:60] = True
        masks["L5"] = thin
        from DCEPerfusionBMDLib.headless import HeadlessSlicer

        host = HeadlessSlicer()
        node = scene.segmentation_from_masks(host.scene, "s", masks, self.phantom.ijk_to_ras)
        path = self.folder / "thin.seg.nrrd"
        scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), path)
        status, _, err = run(*self.arguments(segmentation=path))
        self.assertEqual(status, 0, err)
        self.assertRegex(err, "warning: L5: none of its 20 voxels is more than 3 mm from the edge")
        last = read_csv(self.output / "vertebrae.csv")[-1]
        self.assertEqual((last["region"], last["voxels_analyzed"], last["status"]), ("L5", "0", "not analyzed"))
        self.assertTrue(math.isnan(float(last["ktrans_per_min"])))

    def test_levels_by_terminology_and_by_the_user(self):
        from DCEPerfusionBMDLib.headless import HeadlessSlicer

        masks = {
            name: self.phantom.segments[level] for name, level in (("one", "L1"), ("two", "L2"), ("aorta", "aorta"))
        }
        host = HeadlessSlicer()
        node = scene.segmentation_from_masks(host.scene, "s", masks, self.phantom.ijk_to_ras)
        entry = "master list~SCT^123037004^Anatomical Structure~SCT^36470004^L3 vertebra~^^~list~^^~^^"
        node.GetSegmentation().GetNthSegment(0).SetTag("TerminologyEntry", entry)
        path = self.folder / "named.seg.nrrd"
        scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), path)
        status, _, err = run(*self.arguments(segmentation=path, levels="two=L4"))
        self.assertEqual(status, 0, err)
        rows = [(row["region"], row["level"], row["level_source"]) for row in read_csv(self.output / "vertebrae.csv")]
        self.assertEqual(rows, [("one", "L3", "SNOMED code"), ("two", "L4", "option --levels")])
        status, _, err = run(*self.arguments(segmentation=path, levels="two=L3"))
        self.assertEqual(status, 2)
        self.assertRegex(err, r"'one' \(by SNOMED code\) and 'two' \(by option --levels\) are both L3")
        self.assertEqual(len(err.splitlines()), 1)

    def test_help_names_every_setting_with_its_unit(self):
        status, out, _ = run("analyze", "--help")
        self.assertEqual(status, 0)
        flat = " ".join(out.split())
        for parameter in all_parameters():
            self.assertIn(f"--{parameter.option} ", flat)
            if parameter.unit:
                self.assertIn(f"({parameter.unit})", flat)

    def test_bone_without_a_table(self):
        """Single values, a subject who is known to the command line, and the paper's classes beside."""
        given = {"t_score": "L1-L4=-1.6,neck=-2.6", "bmd": "L1-L4=0.778", "sex": "male", "age": 71}
        status, out, err = run(*self.arguments(**given, perfusion_comparison="paper-classes"), "--fragility-fracture")
        self.assertEqual(status, 0, err)
        self.assertIn("subject: T-score -2.6 of femoral neck, the lowest of L1-L4 -1.6, femoral neck -2.6,", out)
        bone = read_csv(self.output / "bmd_classification.csv")
        self.assertEqual((bone[0]["category"], bone[1]["bmd_g_cm2"]), ("severe osteoporosis", "0.778"))
        compared = read_csv(self.output / "perfusion_comparison.csv")
        self.assertEqual(len(compared), 9)
        self.assertEqual(float(compared[0]["value"]), float(bone[0]["ktrans_per_min"]))
        history = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))
        self.assertEqual(history["choices"]["bone"]["t_score"], "L1-L4=-1.6,neck=-2.6")
        self.assertEqual(history["used"]["age_years"], {"value": 71, "source": "user"})
        self.assertEqual(history["used"]["weight_kg"]["source"], "DICOM PatientWeight (0010,1030)")
        status, _, err = run(*self.arguments(sex="male", age=58, menopause="post"), "--fragility-fracture")
        self.assertRegex(err, r"(?<!, )fragility_fracture: no effect without a DXA table or values")  # alone
        self.assertFalse((self.output / "perfusion_comparison.csv").exists())

    def test_a_rerun_without_dxa_leaves_no_densitometry_of_before(self):
        self.assertEqual(run(*self.arguments(dxa=self.study / "dxa.csv"))[0], 0)
        self.assertTrue((self.output / "bmd_classification.csv").exists())
        self.assertEqual(run(*self.arguments())[0], 0)
        self.assertFalse((self.output / "bmd_classification.csv").exists())

    @unittest.skipUnless(importlib.util.find_spec("SimpleITK"), "SimpleITK is absent")
    def test_motion(self):
        """A table of the displacements beside the others, in the scene too; a rerun without takes it away."""
        status, _, err = run(*self.arguments(motion="series"))
        self.assertEqual(status, 0, err)
        rows = read_csv(self.output / "motion.csv")
        self.assertEqual(len(rows), self.phantom.times_s.size)
        self.assertLess(max(float(row["L3_displacement_mm"]) for row in rows), 1.0)  # the phantom lies still
        with zipfile.ZipFile(self.output / "scene.mrb") as archive:
            self.assertTrue([name for name in archive.namelist() if name.endswith("motion.tsv")])
        self.assertEqual(run(*self.arguments())[0], 0)
        self.assertFalse((self.output / "motion.csv").exists())

    def test_terminal_that_cannot_show_a_name(self):
        from DCEPerfusionBMDLib.headless import HeadlessSlicer

        host = HeadlessSlicer()
        name = "L1 \N{CJK UNIFIED IDEOGRAPH-8170}"
        masks = {name: self.phantom.segments["L1"], "aorta": self.phantom.segments["aorta"]}
        node = scene.segmentation_from_masks(host.scene, "s", masks, self.phantom.ijk_to_ras)
        path = self.folder / "named.seg.nrrd"
        scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), path)
        command = [sys.executable, "-m", "DCEPerfusionBMDLib.cli", *map(str, self.arguments(segmentation=path))]
        done = subprocess.run(
            command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read_csv(self.output / "vertebrae.csv")[0]["region"], name)

    @unittest.skipIf(os.name == "nt", "needs a POSIX pipe")
    def test_reader_that_goes_away(self):
        command = [sys.executable, "-m", "DCEPerfusionBMDLib.cli", *map(str, self.arguments())]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(), 0, error)
        self.assertTrue((self.output / "scene.mrb").exists())

    def test_export_dicom(self):
        needs("highdicom")
        self.assertEqual(run(*self.arguments(dxa=self.study / "dxa.csv"))[0], 0)
        status, out, err = run("export-dicom", self.output, "--source", self.study / "dicom")
        self.assertEqual(status, 0, err)
        self.assertIn("research use only", out)
        written = sorted(path.relative_to(self.output / "dicom").as_posix() for path in self.output.rglob("*.dcm"))
        maps = [f"maps/{name}.dcm" for name in MAP_NAMES if name != "status"]
        self.assertEqual(written, sorted(["exclusions.dcm", "regions.dcm", "report.dcm", *maps]))
        item = pydicom.dcmread(self.output / "dicom" / "maps" / "ktrans.dcm")
        values = read_volume(self.output / "maps" / "ktrans.nrrd")
        np.testing.assert_array_equal(np.frombuffer(item.FloatPixelData, "<f4").reshape(values.shape), values)
        other, _ = self.folder / "other", cli.write_phantom(small_phantom(duration_s=60.0), self.folder / "other")
        status, _, err = run("export-dicom", self.output, "--source", other / "dicom", "--output", self.folder / "no")
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertIn("does not hold the series that was analyzed", err)
        self.assertFalse((self.folder / "no").exists())

    def test_maps_of_an_earlier_model_go(self):
        self.assertEqual(run(*self.arguments(model="extended-tofts"))[0], 0)
        self.assertTrue((self.output / "maps" / "vp.nrrd").exists())
        self.assertEqual(run(*self.arguments())[0], 0)
        self.assertFalse((self.output / "maps" / "vp.nrrd").exists())

    def test_slicer_opens_the_regions(self):
        self.assertEqual(run(*self.arguments())[0], 0)
        series = read_series(self.study / "dicom")
        node = scene.read_segmentation(HeadlessSlicer().scene, self.output / "regions.seg.nrrd")
        masks = scene.masks_on_grid(node, series)
        rows = read_csv(self.output / "vertebrae.csv")
        for row in rows:
            self.assertEqual(np.count_nonzero(masks[row["region"]]), int(row["voxels_analyzed"]))
        np.testing.assert_array_equal(masks["aorta"], self.phantom.segments["aorta"])
        self.assertIn("L1 (margin)", masks)


class BadInput(Study):
    def refuse(self, words, **changes):
        status, _, err = run(*self.arguments(**changes))
        self.assertEqual(status, 2, err)
        self.assertRegex(err, words)
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        self.assertNotIn("Traceback", err)
        self.assertFalse(self.output.exists())

    def edited(self, edit):
        """The study's series with each file changed."""
        folder = self.folder / "edited"
        folder.mkdir()
        for path in (self.study / "dicom").iterdir():
            dataset = pydicom.dcmread(path)
            edit(dataset)
            dataset.save_as(folder / path.name)
        return folder

    def test_empty_folder(self):
        (self.folder / "empty").mkdir()
        self.refuse("holds no MR image in DICOM format", dicom=self.folder / "empty")
        self.refuse("is not a folder", dicom=self.folder / "absent")

    def test_two_series(self):
        series = read_series(self.study / "dicom")
        short = dataclasses.replace(series, frames=series.frames[:8], times_s=series.times_s[:8])
        write_series(short, self.folder / "two" / "a")
        write_series(short, self.folder / "two" / "b", description="delayed")
        self.refuse("2 dynamic series: number 1 'DCE phantom' .* 'delayed' .* --series", dicom=self.folder / "two")

    def test_times_missing_or_not_increasing(self):
        def remove(dataset):
            del dataset.TriggerTime

        self.refuse(r"no usable frame times. Looked at TriggerTime \(0018,1060\): absent", dicom=self.edited(remove))

    def test_times_not_increasing(self):
        def repeat(dataset):
            if dataset.TemporalPositionIdentifier == 9:
                dataset.TriggerTime = "21000"

        self.refuse("frames 8 and 9 are both 21 s after the first", dicom=self.edited(repeat))

    def test_segmentation_that_does_not_overlap(self):
        from DCEPerfusionBMDLib.headless import HeadlessSlicer

        host = HeadlessSlicer()
        far = self.phantom.ijk_to_ras.copy()
        far[2, 3] += 2000.0
        node = scene.segmentation_from_masks(host.scene, "far", self.phantom.segments, far)
        path = self.folder / "far.seg.nrrd"
        scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), path)
        self.refuse("no voxel inside the series|does not overlap", segmentation=path)

    def test_missing_flip_angle(self):
        def remove(dataset):
            del dataset.FlipAngle

        folder = self.edited(remove)
        self.refuse("does not tell its flip angle; give --flip-angle-deg", dicom=folder)
        self.assertEqual(run(*self.arguments(dicom=folder, flip_angle_deg=30))[0], 0)

    def test_t_score_that_is_no_number(self):
        path = self.folder / "dxa.csv"
        path.write_text("subject,site,bmd_g_cm2,t_score\nA,L1-L4,0.7,low\n", encoding="utf-8")
        self.refuse("dxa.csv row 2 .subject A, L1-L4.: t_score 'low' is not a number", dxa=path)

    def test_bone_that_cannot_be(self):
        dxa = self.study / "dxa.csv"
        self.refuse("age_years is 700 years; the largest value accepted is 120", dxa=dxa, age=700)
        self.refuse("age_years is 95; ages above 90 may name a person and are not kept: give 90", dxa=dxa, age=95)
        self.refuse("invalid choice: 'w'", dxa=dxa, sex="w")
        self.refuse("reference set 'Toaster' is not known; known are GE Lunar", dxa=dxa, dxa_reference="Toaster")
        self.refuse("the subject is male, but the menopausal status is 'post'", dxa=dxa, sex="male", menopause="post")
        self.refuse("--dxa goes without --bmd", dxa=dxa, bmd="L1-L4=0.8")
        self.refuse("'0.8' of bmd_g_cm2 is not SITE=VALUE", bmd="0.8")
        self.refuse("a T-score of 25 is not possible; a decimal point may be missing", t_score="L1-L4=25")
        self.refuse("give --perfusion-cohort", perfusion_comparison="cohort")
        broken = self.folder / "references.json"
        broken.write_text('{"references": [{"name": "Ours"}]}', encoding="utf-8")
        self.refuse("references.json row 1 has no 'device'", dxa=dxa, dxa_references=broken)
        table = self.folder / "dxa.csv"
        for text, words in (
            ("A,L1-L4,778,-1,,\n", "BMD 778 cannot be in g/cm2"),
            ("A,wrist,0.7,-1,,\n", "the site 'wrist' is not known"),
            ("A,L1,0.7,-1,,\nA,L1,0.7,-1,,\n", "subject 'A' has site 'L1' 2 times"),
            ("A,L1,0.9,-1,12.0,15.0\n", "BMC over area is 0.8000 g/cm2, but the BMD is 0.9"),
        ):
            table.write_text("subject,site,bmd_g_cm2,t_score,bmc_g,area_cm2\n" + text, encoding="utf-8")
            self.refuse(words, dxa=table)

    def test_several_subjects_without_a_choice(self):
        path = self.folder / "dxa.csv"
        path.write_text("subject,site,bmd_g_cm2,t_score\nA,L1-L4,0.7,-1\nB,L1-L4,0.7,-1\n", encoding="utf-8")
        self.refuse("choose one with --subject", dxa=path)

    def test_margin_that_leaves_nothing(self):
        self.refuse("no region has a voxel more than 30 mm from its edge", margin_mm=30)

    def test_options(self):
        self.refuse("hematocrit is 45 fraction; the largest value accepted is 0.8", hematocrit=45)
        self.refuse("--margin-mm: invalid float value: 'three'", margin_mm="three")
        self.refuse("invalid choice: 'patlack'", model="patlack")
        self.refuse("'L1' is not NAME=VALUE", segments="L1")
        self.refuse("--aif-segment 'vein' is not in the segmentation", aif_segment="vein")
        broken = self.folder / "settings.json"
        broken.write_text("{", encoding="utf-8")
        self.refuse("cannot read the settings settings.json", settings=broken)
        broken.write_text('{"regions": {"margin": 3}}', encoding="utf-8")
        self.refuse("unknown setting regions.margin", settings=broken)

    def test_options_that_would_have_no_effect(self):
        volumes = self.study / "truth" / "ktrans.nrrd"
        self.refuse("--series chooses a series of --dicom", dicom=None, volumes=volumes, series="7")
        self.refuse("--t1-map is blank", t1_map="")

    def test_maps_of_no_use(self):
        """In another unit, or without a value where it is needed; each is named before anything is computed."""
        shape = self.phantom.labels.shape
        vertebrae = np.any([mask for name, mask in self.phantom.segments.items() if name != "aorta"], axis=0)
        corner = np.zeros(shape)
        corner[0, :3, :3] = 900.0
        percent = np.full(shape, 95.0)
        percent[0, 0, 0] = 1.0
        for words, option, values, more in (
            ("the T1 map has no value in any region; it must be in ms", "t1_map", corner, {}),
            ("the T1 map has no value in any region", "t1_map", np.where(vertebrae, 0.0, 900.0), {}),
            (
                "the median of the T1 map in the regions is 1.4 ms, .* is the map in s",
                "t1_map",
                np.full(shape, 1.4),
                {},
            ),
            ("the B1 map has no value in any region", "b1_map", np.where(vertebrae, 0.0, 1.0), {}),
            ("the B1 map has no value .* no percentage", "b1_map", percent, {}),
            (
                "the fat fraction map has no value .* no percentage",
                "fat_fraction_map",
                np.where(vertebrae, 45.0, 0.0),
                {"t10_tissue_ms": 900},
            ),
        ):
            with self.subTest(words=words):
                volume = scene.volume_from_array(values, self.phantom.ijk_to_ras)
                scene.write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), self.folder / "map.nrrd")
                self.refuse(words, **{option: self.folder / "map.nrrd"}, **more)

    def test_output_that_cannot_be_written(self):
        occupied = self.folder / "file"
        occupied.write_text("mine", encoding="utf-8")
        status, _, err = run(*self.arguments(output=occupied))
        self.assertEqual((status, len(err.splitlines())), (2, 1), err)
        self.assertRegex(err, "is a file, not a folder")
        self.assertEqual(occupied.read_text(encoding="utf-8"), "mine")


@unittest.skipIf(os.name == "nt", "Windows has no SIGINT for a child process")
class Interrupted(Study):
    def test_ctrl_c_leaves_whole_files_or_none(self):
        """Interrupted at each step that it tells, however fast the machine is, and a little later."""
        interrupted = []
        steps = run(*self.arguments(output=self.folder / "whole"))[1].count("\n")
        for step in np.linspace(1, steps - 2, 10).round().astype(int):
            output = self.folder / f"out{step}"
            command = [sys.executable, "-m", "DCEPerfusionBMDLib.cli", *map(str, self.arguments(output=output))]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
            )
            for _ in range(step):
                process.stdout.readline()
            time.sleep(0.02 * (step % 3))
            process.send_signal(signal.SIGINT)
            error = process.communicate(timeout=60)[1]
            names = sorted(p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file())
            with self.subTest(step=step, status=process.returncode):
                self.assertEqual(list(self.folder.rglob(".*")), [])
                self.assertIn(len(names), (0, len(FILES) + len(MAPS) - 1))
                if process.returncode == 130:
                    self.assertIn("interrupted; results are written whole or not at all", error)
                    interrupted.append(names)
        self.assertIn([], interrupted)


class Demo(unittest.TestCase):
    @against("Reproducibility", "the phantom written twice", "closed form", "write_phantom")
    def test_the_phantom_is_the_same_bytes_each_time(self):
        with tempfile.TemporaryDirectory() as name:
            for folder in ("a", "b"):
                cli.write_phantom(small_phantom(duration_s=24.0), Path(name) / folder)
            files = [path for path in sorted((Path(name) / "a").rglob("*")) if path.is_file()]
            self.assertEqual(len(files), 8 * 6 + 6)
            for path in files:
                twin = Path(name) / "b" / path.relative_to(Path(name) / "a")
                measured(self, "files that differ", path.read_bytes() != twin.read_bytes(), 0)

    def test_shows_estimates_beside_the_truth(self):
        with tempfile.TemporaryDirectory() as name:
            status, out, err = run("demo", "--output", name, "--frame-time", "6", "--seed", "3")
            self.assertEqual(status, 0, err)
            self.assertRegex(out, r"(?m)^L3 +0\.3260 +0\.3\d+ ")
            self.assertRegex(out, "Largest error against the known truth: ")
            for file in ("study/segmentation.seg.nrrd", "study/truth/ktrans.nrrd", "results/scene.mrb"):
                self.assertTrue((Path(name) / file).is_file(), file)
            self.assertEqual(len(list((Path(name) / "study" / "dicom").iterdir())), 60 * 12)
            truth = read_volume(Path(name) / "study" / "truth" / "ktrans.nrrd")
            found = read_volume(Path(name) / "results" / "maps" / "ktrans.nrrd")
            self.assertEqual(truth.shape, found.shape)

    def test_refuses_what_makes_no_sense(self):
        with tempfile.TemporaryDirectory() as name:
            status, _, err = run("demo", "--output", f"{name}/x", "--snr", "0")
            self.assertEqual((status, list(Path(name).iterdir())), (2, []), err)
            self.assertEqual(run("demo", "--output", f"{name}/x", "--seed", "-1")[0], 2)

    def test_keeps_what_it_did_not_make(self):
        with tempfile.TemporaryDirectory() as name:
            mine = Path(name) / "study" / "thesis.txt"
            (mine.parent / "dicom").mkdir(parents=True)
            mine.write_text("mine", encoding="utf-8")
            (mine.parent / "dicom" / "frame9999_slice001.dcm").write_text(
                "of an earlier, longer demo", encoding="utf-8"
            )
            self.assertEqual(run("demo", "--output", name, "--frame-time", "20")[0], 0)
            self.assertEqual(mine.read_text(encoding="utf-8"), "mine")
            self.assertEqual(len(list((mine.parent / "dicom").iterdir())), 18 * 12)


class Qiba(unittest.TestCase):
    """QIBA v6 Tofts object through the command line: 30 blocks of known Ktrans and ve."""

    KTRANS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35)
    VE = (0.01, 0.05, 0.1, 0.2, 0.5)

    @against(
        "Kinetic models",
        "Tofts object as DICOM through the command line, 30 blocks, mean curves and all voxels",
        "qiba",
        "dce-perfusion-bmd analyze",
    )
    def test_every_block(self):
        source = reference_data("qiba_v6_tofts_dicom")
        labels = np.zeros((1, 80, 50), dtype=np.uint8)
        names = {}
        for row in range(6):
            for column in range(5):
                value = 1 + 5 * row + column
                names[f"block{row}{column}"] = value
                labels[0, 10 + 10 * row : 20 + 10 * row, 10 * column : 10 * column + 10] = value
        labels[0, 70:80] = names["vessel"] = 31
        with tempfile.TemporaryDirectory() as folder:
            path, output = Path(folder) / "labels.nrrd", Path(folder) / "out"
            node = scene.volume_from_array(labels, read_series(source).ijk_to_ras)
            scene.write_file(node, slicer.vtkMRMLVolumeArchetypeStorageNode(), path)
            options = "--margin-mm 0 --baseline-frames 4 --t10-tissue-ms 1000 --t10-blood-ms 1440 --hematocrit 0.45"
            status, _, err = run(
                *("analyze", "--dicom", source, "--segmentation", path, "--output", output),
                *("--segments", ",".join(f"{name}={value}" for name, value in names.items())),
                *("--aif-segment", "vessel", "--relaxivity", "4.5", *options.split()),
            )
            self.assertEqual(status, 0, err)
            self.assertRegex(err, "TriggerTime .* is absent in the first frame")
            rows = {row["region"]: row for row in read_csv(output / "vertebrae.csv")}
            maps = {name: read_volume(output / "maps" / f"{name}.nrrd")[0] for name in ("ktrans", "ve")}
        self.assertEqual(len(rows), 30)
        for row, ktrans in enumerate(self.KTRANS):
            for column, ve in enumerate(self.VE):
                with self.subTest(ktrans=ktrans, ve=ve):
                    found = rows[f"block{row}{column}"]
                    measured(self, "Ktrans", 100 * (float(found["ktrans_per_min"]) / ktrans - 1), 0.2, "%")
                    measured(self, "ve", 100 * (float(found["ve"]) / ve - 1), 0.3, "%")
                    block = (slice(10 + 10 * row, 20 + 10 * row), slice(10 * column, 10 * column + 10))
                    measured(self, "Ktrans", 100 * (maps["ktrans"][block] / ktrans - 1), 0.2, "%")
                    measured(self, "ve", 100 * (maps["ve"][block] / ve - 1), 0.3, "%")
                    self.assertEqual(found["status"], "fitted")


if __name__ == "__main__":
    unittest.main()
