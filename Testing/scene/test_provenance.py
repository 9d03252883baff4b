"""The history of a result: complete, after its schema, in the scene too; and an analysis made again from it."""

import copy
import dataclasses
import hashlib
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import DCEPerfusionBMDLib
import numpy as np
import pydicom
import slicer
from DCEPerfusionBMDLib import cli, scene, sceneinput, scenestudy
from DCEPerfusionBMDLib.dicomio import write_series
from DCEPerfusionBMDLib.export import REGIONS_FILE, provenance, read_regions, write_regions
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.kinetics import spgr_signal
from DCEPerfusionBMDLib.phantom import TISSUES
from DCEPerfusionBMDLib.roi import Region, VertebralRois
from DCEPerfusionBMDLib.series import Sourced
from DCEPerfusionBMDLib.settings import Settings, all_parameters
from DCEPerfusionBMDLib.study import analyze
from support import against, measured, needs, run, small_phantom
from test_seriesfiles import nifti, nrrd

SCHEMA = Path(DCEPerfusionBMDLib.__file__).parent / "data" / "provenance.schema.json"


class Study(unittest.TestCase):
    """A small phantom study on disk with everything that an analysis can read, shared by the tests."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.study = Path(temporary.name) / "study"
        cls.study.mkdir()
        cls.phantom = small_phantom(duration_s=90.0)
        cls.series = cls.phantom.series()
        cls.series = dataclasses.replace(cls.series, frames=[np.asarray(frame) for frame in cls.series.frames])
        cli.write_phantom(cls.phantom, cls.study)
        cls.segmentation = cls.study / "segmentation.seg.nrrd"
        host = HeadlessSlicer()
        node = scene.write_series(host.scene, cls.series, "DCE")
        scene.write_file(node, slicer.vtkMRMLVolumeSequenceStorageNode(), cls.study / "dce.seq.nrrd")
        t1 = scene.volume_from_array(np.full(cls.series.shape, 600.0), cls.phantom.ijk_to_ras)
        scene.write_file(t1, slicer.vtkMRMLVolumeArchetypeStorageNode(), cls.study / "t1.nrrd")
        frames = np.stack(cls.series.frames)
        nifti(cls.study / "dce.nii", frames, code=4, sform=cls.phantom.ijk_to_ras, step=3.0)
        shutil.copytree(cls.study / "dicom", cls.study / "whole")
        density, t1_ms = (
            np.array([getattr(t, name) for t in TISSUES.values()]) for name in ("proton_density", "t1_ms")
        )
        labels = cls.phantom.labels
        for angle in (2.0, 10.0, 25.0):
            volume = spgr_signal(40000.0 * density[labels], 1000.0 / t1_ms[labels], 5.0, angle)
            given = {"repetition_time_ms": Sourced(5.0, ""), "flip_angle_deg": Sourced(angle, "")}
            one = dataclasses.replace(
                cls.series,
                frames=[volume.astype(np.uint16)],
                times_s=np.zeros(1),
                acquisition={**cls.series.acquisition, **given},
            )
            write_series(one, cls.study / "whole" / f"flip{angle:g}", description=f"T1 flip {angle:g}")
        (cls.study / "times.csv").write_text("\n".join(str(3.0 * n) for n in range(len(frames))), encoding="utf-8")
        labelmap = scene.volume_from_array(
            sum((n * mask.astype(np.uint8) for n, mask in enumerate(cls.phantom.segments.values(), 1))),
            cls.phantom.ijk_to_ras,
        )
        scene.write_file(labelmap, slicer.vtkMRMLVolumeArchetypeStorageNode(), cls.study / "labels.nrrd")

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.output = self.folder / "out"

    def uids(self):
        """Instance UIDs of the dynamic series, and of those of the flip angles, of the whole study."""
        uid = [str(pydicom.dcmread(next((self.study / "dicom").iterdir())).SeriesInstanceUID)]
        return uid[0], [
            str(pydicom.dcmread(next((self.study / "whole" / name).iterdir())).SeriesInstanceUID)
            for name in ("flip2", "flip10", "flip25")
        ]

    def cases(self):
        """Source and other options of analyses, and what `reproduce` is given beside source and segmentation."""
        names = list(self.phantom.segments)
        acquisition = ["--flip-angle-deg", 30, "--repetition-time-ms", 3.5, "--field-strength-T", 1.5]
        acquisition += ["--agent", "gadobenate"]
        dxa, t1 = ["--dxa", self.study / "dxa.csv"], ["--t1-map", self.study / "t1.nrrd"]
        dynamic, angles = self.uids()
        labels = ",".join(f"{name}={n}" for n, name in enumerate(names, 1))
        return {
            "dicom with dxa": (("--dicom", "dicom"), [*dxa, "--subject", "PHANTOM"], dxa),
            "maps, and a margin": (("--dicom", "dicom"), [*t1, "--margin-mm", 2, "--maps", "all"], t1),
            "flip angles": (("--dicom", "whole"), ["--flip-angles", "auto", "--series", dynamic], []),
            "flip angles by UID": (
                ("--dicom", "whole"),
                ["--flip-angles", ",".join(angles[:2]), "--series", dynamic],
                [],
            ),
            "values of bone": (("--dicom", "dicom"), ["--t-score", "L1-L4=-1.6", "--sex", "female", "--age", 70], []),
            "frames": (("--dicom", "dicom"), ["--times", "2.5", "--skip-frames", 2], []),
            "sequence": (("--volumes", "dce.seq.nrrd"), acquisition, []),
            "nifti": (
                ("--volumes", "dce.nii"),
                [*acquisition, "--times", self.study / "times.csv"],
                ["--times", self.study / "times.csv"],
            ),
            "labels": (("--dicom", "dicom"), ["--segments", labels, "--model", "patlak"], []),
        }

    def analyze(self, source, *more, **changes):
        segmentation = changes.get("segmentation", self.segmentation)
        arguments = ["analyze", source[0], self.study / source[1], "--segmentation", segmentation]
        status, _, err = run(*arguments, "--output", self.output, *more)
        self.assertEqual(status, 0, err)
        return json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))

    def reproduce(self, source="dicom", *more, segmentation=None):
        path = self.output / "provenance.json"
        given = ["--source", self.study / source, "--segmentation", segmentation or self.segmentation]
        return run("reproduce", path, *given, *more)

    def change(self, change):
        """Edit provenance.json."""
        path = self.output / "provenance.json"
        history = json.loads(path.read_text(encoding="utf-8"))
        change(history)
        path.write_text(json.dumps(history), encoding="utf-8")


class EveryKind(Study):
    @against(
        "Reproducibility",
        "provenance of every kind of input after its schema, and the analysis run again",
        "schema",
        "reproduce",
    )
    def test_is_after_the_schema_and_is_reproduced(self):
        needs("jsonschema")
        import jsonschema

        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for name, (source, options, again) in self.cases().items():
            with self.subTest(case=name):
                segmentation = self.study / "labels.nrrd" if name == "labels" else self.segmentation
                history = self.analyze(source, *options, segmentation=segmentation)
                errors = [error.message for error in validator.iter_errors(history)]
                measured(self, "errors of the provenance", len(errors), 0)
                self.assertEqual(
                    {(p.group, p.name) for p in all_parameters()},
                    {(group, name) for group, of in history["settings"].items() for name in of},
                )
                status, out, err = self.reproduce(source[1], *again, segmentation=segmentation)
                measured(self, "exit status of reproduce", status, 0)
                self.assertEqual((status, err), (0, ""), out)
                self.assertRegex(out, r"Reproduced: \d+ maps, the regions and \d+ tables are identical")
                shutil.rmtree(self.output)

    def test_the_schema_refuses_what_is_incomplete(self):
        needs("jsonschema")
        import jsonschema

        validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
        result = analyze(self.series, self.phantom.segments)
        whole = json.loads(json.dumps(provenance(self.series, Settings(), result, {}, {})))
        self.assertEqual(list(validator.iter_errors(whole)), [])
        breaks = {
            "no seeds": lambda h: h.pop("random_seeds"),
            "a path": lambda h: h["inputs"].update(dxa={"sha256": "ab" * 32, "path": "/home/jane"}),
            "nothing hashed": lambda h: h["inputs"].update(dxa={"sha256": "ab" * 32, "of": ""}),
            "no hash": lambda h: h["inputs"].update(dxa={"sha256": "x"}),
            "no origin": lambda h: h["settings"]["regions"]["margin_mm"].pop("origin"),
            "another origin": lambda h: h["settings"]["regions"]["margin_mm"].update(origin="guess"),
            "no source": lambda h: h["used"]["flip_angle_deg"].update(source=""),
            "another grade": lambda h: h["findings"][0].update(grade="fine"),
            "another format": lambda h: h.update(format=2),
            "more": lambda h: h.update(patient="DOE"),
        }
        for name, change in breaks.items():
            with self.subTest(name):
                history = copy.deepcopy(whole)
                change(history)
                self.assertTrue(list(validator.iter_errors(history)))

    def test_the_scene_holds_the_same(self):
        history = self.analyze(("--dicom", "dicom"), "--dxa", self.study / "dxa.csv")
        host = HeadlessSlicer()
        host.load(self.output / "scene.mrb")
        nodes = [host.scene.GetNthNodeByClass(n, "vtkMRMLTextNode") for n in range(9)]
        found = [node for node in nodes if node is not None and node.GetAttribute("DCEPerfusionBMD.role")]
        self.assertEqual([node.GetAttribute("DCEPerfusionBMD.role") for node in found], ["provenance"])
        self.assertEqual(json.loads(found[0].GetText()), history)


class Differences(Study):
    def setUp(self):
        super().setUp()
        self.history = self.analyze(("--dicom", "dicom"), "--dxa", self.study / "dxa.csv")

    def again(self, *more, source="dicom", **changes):
        return self.reproduce(source, "--dxa", changes.pop("dxa", self.study / "dxa.csv"), *more, **changes)

    def test_new_results_are_written_where_asked(self):
        other = self.folder / "other"
        status, out, err = self.again("--output", other)
        self.assertEqual(status, 0, out + err)
        for path in self.output.rglob("*"):
            if path.suffix in (".nrrd", ".csv"):
                self.assertEqual((other / path.relative_to(self.output)).read_bytes(), path.read_bytes())
        status, _, err = self.again("--output", self.output)
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertIn("the folder of the results to compare with", err)

    def test_another_setting_makes_other_numbers(self):
        def change(history):
            history["settings"]["conversion"]["hematocrit"] = {"value": 0.45, "origin": "user"}

        self.change(change)
        status, out, _ = self.again()
        self.assertEqual(status, 1)
        # Ktrans is proportional to 1 - hematocrit (a plasma curve that is higher by 0.58 / 0.55)
        ktrans = scene_values(self.output / "maps" / "ktrans.nrrd")
        largest = np.nanmax(ktrans) * (1 - 0.55 / 0.58)
        said = re.search(r"map ktrans: (\d+) of (\d+) voxels differ; largest difference ([\d.]+) /min", out)
        self.assertIsNotNone(said, out)
        self.assertEqual(int(said[1]), np.count_nonzero(np.isfinite(ktrans)))
        self.assertEqual(int(said[2]), ktrans.size)
        self.assertAlmostEqual(float(said[3]) / largest, 1.0, delta=0.01)
        self.assertRegex(out, r"vertebrae.csv: column ktrans_per_min: 5 of 5 rows differ; largest difference 0\.0")
        self.assertNotIn("descriptive.csv: column emax_percent", out)
        self.assertIn("provenance used.hematocrit.value: was 0.42, is 0.45", out)
        self.assertRegex(out, r"NOT reproduced: \d+ differences")

    def test_a_changed_map_or_table_is_found(self):
        path = self.output / "vertebrae.csv"
        text = path.read_text(encoding="utf-8")
        value = re.search(r"0\.\d{6,}", text)[0]
        path.write_text(text.replace(value, f"{float(value) + 0.25:.17g}", 1), encoding="utf-8")
        (self.output / "maps" / "kep.nrrd").unlink()
        status, out, _ = self.again()
        self.assertEqual(status, 1)
        self.assertRegex(out, r"vertebrae.csv: column \w+: 1 of 5 rows differ; largest difference 0.25\n")
        self.assertIn("map kep: is not beside the provenance", out)
        self.assertIn("NOT reproduced: 2 differences", out)

    def test_changed_regions_are_found(self):
        path = self.output / REGIONS_FILE
        content = path.read_bytes()
        stored = read_regions(path)

        def write(names=None, input_name=stored.input_name, changed=()):
            """The file with other names, and with voxels changed in regions by their number, -1 for the input."""
            names = names or [region.name for region in stored.regions]
            fates, inside = [region.fate.copy() for region in stored.regions], stored.input.copy()
            for n in changed:
                of = inside if n < 0 else fates[n]
                of[0, 0, :3] = 1 - of[0, 0, :3]
            regions = [
                Region(name, region.level, fate, np.zeros(0))
                for name, region, fate in zip(names, stored.regions, fates, strict=True)
            ]
            rois = VertebralRois(tuple(regions), input_name, inside, (), stored.input_code)
            write_regions(path, rois, stored.ijk_to_ras)

        write()
        self.assertEqual(path.read_bytes(), content)
        size = stored.input.size
        cases = {
            "names": ({"names": ["one", *(r.name for r in stored.regions[1:])]}, ['the regions were [["one", "L1"]']),
            "input": ({"input_name": "vessel"}, ['the input was ["vessel", ']),
            "voxels": ({"changed": [1, -1]}, [f"L2: 3 of {size} voxels", f"{stored.input_name}: 3 of {size} voxels"]),
        }
        for name, (given, expected) in cases.items():
            with self.subTest(name):
                write(**given)
                status, out, _ = self.again()
                self.assertEqual(status, 1)
                for words in expected:
                    self.assertIn(f"{REGIONS_FILE}: {words}", out)
                self.assertIn(f"NOT reproduced: {len(expected)} difference", out)
        path.unlink()
        status, out, _ = self.again()
        self.assertEqual(status, 1)
        self.assertIn(f"{REGIONS_FILE}: is not beside the provenance", out)

    def test_after_an_export_into_the_folder_of_the_series(self):
        needs("highdicom")
        study = self.folder / "dicom"
        shutil.copytree(self.study / "dicom", study)
        status, _, err = run("export-dicom", self.output, "--source", study, "--output", study)
        self.assertEqual(status, 0, err)
        self.assertGreater(len(list((study / "maps").iterdir())), 5)
        status, out, err = self.again(source=study)
        self.assertEqual((status, err), (0, ""), out)

    def test_maps_that_lie_elsewhere_are_found(self):
        path = self.output / "maps" / "kep.nrrd"
        content = path.read_bytes()
        origin = re.search(rb"space origin: \(([^,]+),", content)
        for moved_mm, status in ((1e-5, 0), (2.0, 1)):
            with self.subTest(mm=moved_mm):
                other = b"space origin: (%r," % (float(origin[1]) + moved_mm)
                path.write_bytes(content.replace(origin[0], other, 1))
                found, out, _ = self.again()
                self.assertEqual(found, status, out)
                self.assertEqual("map kep: lies at another place\n" in out, moved_mm > 1)
        self.assertIn("NOT reproduced: 1 differences", out)

    def test_files_beside_the_series_that_were_not_used_make_no_difference(self):
        sentence = "passed over: 2 files not readable (damaged)"
        self.change(lambda history: history["warnings"].append(sentence))
        status, out, _ = self.again()
        self.assertEqual(status, 0, out)
        self.change(lambda history: history["warnings"].append("the sky is blue"))
        status, out, _ = self.again()
        self.assertEqual(status, 1)
        self.assertIn("provenance warnings: no more: the sky is blue\n", out)
        self.assertIn("NOT reproduced: 1 differences", out)

    def test_results_that_do_not_belong_there_are_found(self):
        shutil.copy(self.output / "maps" / "kep.nrrd", self.output / "maps" / "vp.nrrd")
        shutil.copy(self.output / "curves.csv", self.output / "motion.csv")
        status, out, _ = self.again()
        self.assertEqual(status, 1)
        self.assertIn("map vp: is beside the provenance, but was not made now", out)
        self.assertIn("motion.csv: is beside the provenance, but was not made now", out)

    def test_other_versions_are_told_and_no_difference(self):
        self.change(lambda history: history["software"].update(numpy="1.0.0", teapot="3"))
        status, out, _ = self.again()
        self.assertEqual(status, 0)
        self.assertIn(f"version: numpy was 1.0.0, is {np.__version__}", out)
        self.assertIn("version: teapot was 3, is absent", out)
        self.assertNotIn("version: scipy", out)

    def refuse(self, words, *more, **changes):
        status, _, err = self.again(*more, **changes)
        self.assertEqual((status, err.count("\n")), (2, 1), err)
        self.assertRegex(err, words)

    def test_another_input_is_refused(self):
        table = self.folder / "dxa.csv"
        table.write_text(
            (self.study / "dxa.csv").read_text(encoding="utf-8").replace("-1.625", "-1.626"), encoding="utf-8"
        )
        before_reading = mock.patch("DCEPerfusionBMDLib.cli.study.read_series", side_effect=AssertionError)
        with before_reading:
            self.refuse("the dxa of --dxa is not the one that was analyzed: its SHA-256 is [0-9a-f]{12}", dxa=table)
        content = self.segmentation.read_bytes()
        other = self.folder / "other.seg.nrrd"
        other.write_bytes(content.replace(b"\n\n", b"\n# a comment\n\n", 1))
        with before_reading:
            self.refuse("the segmentation of --segmentation is not the one", segmentation=other)
        folder = self.folder / "dicom"
        shutil.copytree(self.study / "dicom", folder)
        path = sorted(folder.iterdir())[7]
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array.copy()
        pixels[0, 0] += 1
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(path)
        with mock.patch("DCEPerfusionBMDLib.scene.masks_on_grid", side_effect=AssertionError):  # before it is used
            self.refuse("the series of --source is not the one that was analyzed", source=folder)

    def test_what_is_missing_or_too_much_is_refused(self):
        status, _, err = self.reproduce()
        self.assertEqual((status, err.count("\n")), (2, 1))
        self.assertIn("the analysis read a file that --dxa was given; give it again", err)
        self.refuse("read no file that --t1-map was given; leave it out", "--t1-map", self.study / "t1.nrrd")
        self.refuse("dxa.csv does not exist", dxa=self.folder / "dxa.csv")

    def test_what_is_no_provenance_is_refused(self):
        cases = {
            "cannot read provenance.json": "{",
            "is no provenance of an analysis": "[1]",
            "is no provenance of one study": {"inputs": {}},
            "has format 7, known is 1": {**self.history, "format": 7},
            "has format None": {name: value for name, value in self.history.items() if name != "format"},
            "is damaged": {**self.history, "choices": {"source": "dicom"}},
            "must be objects": {**self.history, "settings": 1},
            "unknown setting": {**self.history, "settings": {"model": {"magic": {"value": 1, "origin": "user"}}}},
            "an analysis inside Slicer": {**self.history, "choices": {}},
        }
        for words, content in cases.items():
            with self.subTest(words):
                text = content if isinstance(content, str) else json.dumps(content)
                (self.output / "provenance.json").write_text(text, encoding="utf-8")
                self.refuse(words)
        shutil.rmtree(self.output / "maps")
        (self.output / "provenance.json").write_text(json.dumps(self.history), encoding="utf-8")
        self.refuse("has no maps beside provenance.json to compare with")


class TwoFiles(Study):
    """Maps and segmentations whose values lie in a file beside their header."""

    def test_both_files_are_hashed(self):
        names = list(self.phantom.segments)
        labels, t1 = self.folder / "labels.nhdr", self.folder / "t1.nrrd"
        values = sum(n * mask.astype(np.int16) for n, mask in enumerate(self.phantom.segments.values(), 1))
        for path, of in ((labels, values), (t1, np.full(self.series.shape, 600, np.int16))):
            nrrd(path, of, matrix=self.phantom.ijk_to_ras, data_file=f"{path.stem}.raw")
        options = ["--segments", ",".join(f"{name}={n}" for n, name in enumerate(names, 1)), "--t1-map", t1]
        history = self.analyze(("--dicom", "dicom"), *options, segmentation=labels)
        for name, path in (("segmentation", labels), ("t1-map", t1)):
            parts = [hashlib.sha256(part.read_bytes()).hexdigest() for part in (path, path.with_suffix(".raw"))]
            whole = hashlib.sha256("".join(sorted(parts)).encode()).hexdigest()
            self.assertEqual(history["inputs"][name]["sha256"], whole)
        for path in (t1, labels):
            raw = path.with_suffix(".raw")
            content = raw.read_bytes()
            raw.write_bytes(b"\x02" + content[1:])
            status, _, err = self.reproduce("dicom", "--t1-map", t1, segmentation=labels)
            self.assertEqual(status, 2)
            self.assertIn("is not the one that was analyzed", err)
            raw.write_bytes(content)
        status, out, err = self.reproduce("dicom", "--t1-map", t1, segmentation=labels)
        self.assertEqual((status, err), (0, ""), out)


class SkippedFrames(Study):
    def test_a_scene_tells_how_many_are_missing_from_the_files_that_its_hash_is_of(self):
        history = self.analyze(("--dicom", "dicom"), "--skip-frames", 2)
        host = HeadlessSlicer()
        host.load(self.output / "scene.mrb")
        sequence = host.scene.GetFirstNodeByName("DCE")
        found = sceneinput.read_node(sequence, host.scene)
        self.assertEqual(found.source_hash, history["inputs"]["series"]["sha256"])
        self.assertEqual((found.skipped_frames, len(found.frames)), (2, len(self.series.frames) - 2))
        again = sceneinput.read_node(sequence, host.scene, skip_frames=1)
        np.testing.assert_array_equal(again.frames[0], self.series.frames[3])
        self.assertEqual(again.skipped_frames, 3)
        written = scenestudy.history_of(
            again, self.phantom.segments, Settings(), analyze(again, self.phantom.segments), None, None, "", ""
        )
        self.assertEqual(written["choices"]["skip_frames"], 3)


class SideCar(Study):
    def test_a_changed_side_car_is_refused(self):
        """The JSON file beside a series is an input as the series is."""
        shutil.copy(self.study / "dce.nii", self.folder / "dce.nii")
        car = {"VolumeTiming": [3.0 * n for n in range(len(self.series.frames))], "FlipAngle": 30.0}
        path = self.folder / "dce.json"
        path.write_text(json.dumps(car), encoding="utf-8")
        given = ["--repetition-time-ms", 3.5, "--field-strength-T", 1.5, "--agent", "gadobenate"]
        history = self.analyze(("--volumes", self.folder / "dce.nii"), *given)
        self.assertEqual(history["inputs"]["series"]["files"], 2)
        status, out, err = self.reproduce(self.folder / "dce.nii")
        self.assertEqual((status, err), (0, ""), out)
        for text in (json.dumps({**car, "EchoTime": 0.001}), None):
            path.write_text(text, encoding="utf-8") if text else path.unlink()
            status, _, err = self.reproduce(self.folder / "dce.nii")
            self.assertEqual((status, err.count("\n")), (2, 1), err)
            self.assertRegex(err, "series of --source is not the one that was analyzed")


class Demo(unittest.TestCase):
    def test_the_demo_is_reproduced(self):
        """As the command makes it, on a phantom of few frames."""
        with tempfile.TemporaryDirectory() as folder:
            output, study = Path(folder), Path(folder) / "study"
            with mock.patch("DCEPerfusionBMDLib.cli.study.LumbarPhantom", lambda **given: small_phantom(**given)):
                status, _, err = run("demo", "--output", output)
            self.assertEqual(status, 0, err)
            given = ("--source", study / "dicom", "--segmentation", study / "segmentation.seg.nrrd")
            given += ("--dxa", study / "dxa.csv")
            status, out, err = run("reproduce", output / "results" / "provenance.json", *given)
            self.assertEqual((status, err), (0, ""), out)
            self.assertIn("Reproduced: 8 maps, the regions and 5 tables are identical", out)


def scene_values(path):
    node, storage = slicer.vtkMRMLScalarVolumeNode(), slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return slicer.util.arrayFromVolume(node)


if __name__ == "__main__":
    unittest.main()
