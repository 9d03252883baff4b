"""Studies as the vendors' scanners store them are read exactly; broken ones are refused with the place named."""

import re
import shutil
import subprocess
import tempfile
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pydicom
import vendors
from DCEPerfusionBMDLib import dicomio
from DCEPerfusionBMDLib.errors import InputError
from pydicom.uid import DeflatedExplicitVRLittleEndian
from support import against, measured, tool


def quietly(read, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on odd files
        return read(*arguments)


def arrays(series):
    return np.stack([np.asarray(frame) for frame in series.frames])


class Folders(unittest.TestCase):
    """Every study of a table in a folder of its own, written once."""

    studies: ClassVar = {}

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.folders = {name: cls.root / re.sub(r"\W+", "_", name) for name in cls.studies}
        cls.truths = {name: write(cls.folders[name]) for name, write in cls.studies.items()}

    def each(self, check):
        """`check(truth, folder)` for every study, one sub-test each."""
        for name, folder in self.folders.items():
            with self.subTest(study=name):
                check(self.truths[name], folder)


class Readable:
    """What holds for every study that is read."""

    read: ClassVar = {}

    def each_read(self, check):
        """`check(truth, series)` for every study; each is read once."""

        def checked(truth, folder):
            if folder not in self.read:
                self.read[folder] = quietly(dicomio.read_series, folder, truth.series)
            check(truth, self.read[folder])

        self.each(checked)

    @against(
        "Reading series and their times",
        "studies as GE, Siemens, Philips and others store them",
        "planted",
        "read_series",
    )
    def test_voxels(self):
        def check(truth, found):
            voxels = quietly(arrays, found)
            self.assertEqual(voxels.shape, truth.voxels.shape)
            error = min(np.abs(voxels - scale * truth.voxels).max() / scale for scale in truth.scales)
            floating = np.issubdtype(truth.voxels.dtype, np.floating)
            measured(self, "float voxels" if floating else "whole-number voxels", error, 1e-3 if floating else 1e-9)

        self.each_read(check)

    @against("Reading series and their times", "the same, where the voxels lie", "planted", "read_series")
    def test_geometry(self):
        corner = np.array([vendors.COLUMNS, vendors.ROWS, vendors.SLICES, 1.0])

        def check(truth, found):
            error = found.ijk_to_ras - truth.ijk_to_ras
            measured(self, "corner", error @ corner, 1e-6, "mm")
            self.assertLess(np.abs(error).max(), 1e-6)

        self.each_read(check)

    @against("Reading series and their times", "the same, when the frames were acquired", "planted", "read_series")
    def test_times_and_where_they_come_from(self):
        def check(truth, found):
            measured(self, "frame times", found.times_s - (truth.times_s - truth.times_s[0]), 1e-3, "s")
            self.assertRegex(found.time_source, truth.source)

        self.each_read(check)

    def test_times_of_slices(self):
        def check(truth, found):
            if truth.slice_offsets_s is None:
                self.assertIsNone(found.slice_offsets_s)
            else:
                np.testing.assert_allclose(found.slice_offsets_s, truth.slice_offsets_s, rtol=0, atol=1e-3)

        self.each_read(check)

    def test_warnings(self):
        def check(truth, found):
            for words in truth.warnings:
                self.assertRegex("\n".join(found.warnings), words)
            expected = "|".join((*truth.warnings, truth.may_warn))
            self.assertEqual([text for text in found.warnings if not re.search(expected, text)], [])

        self.each_read(check)

    def test_acquisition(self):
        expected = {
            "flip_angle_deg": 12,
            "echo_time_ms": 1.7,
            "field_strength_T": 3,
        }

        def check(truth, found):
            for name, value in (expected | {"repetition_time_ms": truth.repetition_time_ms}).items():
                self.assertIn(name, found.acquisition)
                self.assertAlmostEqual(found.acquisition[name].value, value)

        self.each_read(check)

    def test_the_folder_is_left_as_it_was(self):
        def state(folder):
            return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}

        def check(truth, folder):
            before = state(folder)
            for frame in quietly(dicomio.read_series, folder, truth.series).frames:
                quietly(np.asarray, frame)
            self.assertEqual(state(folder), before)

        self.each(check)

    def test_every_study_holds_one_dynamic(self):
        def check(truth, folder):
            dynamic = [found for found in quietly(dicomio.inspect_folder, folder).series if found.kind == "dynamic"]
            self.assertEqual([found.frames for found in dynamic], [len(truth.voxels)])

        self.each(check)


class Unusual(Readable, Folders):
    studies = vendors.UNUSUAL

    def test_kinds_beside_a_dynamic(self):
        for study in ("beside static Dixon", "beside parameter maps", "beside T1 maps", "beside an odd tag"):
            with self.subTest(study=study):
                found = quietly(dicomio.inspect_folder, self.folders[study]).series
                self.assertEqual([info.number for info in found if info.kind == "dynamic"], ["5"])
        found = dicomio.inspect_folder(self.folders["beside static Dixon"]).series
        self.assertEqual([info.number for info in found], ["5", "9:F", "9:IP", "9:OP", "9:W"])


class Cases(Readable, Folders):
    studies = vendors.CASES

    def inspected(self, study):
        return {int(found.number): found for found in dicomio.inspect_folder(self.folders[study]).series}

    def test_kinds_beside_a_dynamic(self):
        series = self.inspected("beside maps")
        kinds = {number: found.kind for number, found in series.items()}
        expected = {5: "dynamic", 20: "fat fraction", 21: "T1 map"}
        self.assertEqual({number: kinds.get(number) for number in expected}, expected)
        # one entry per flip angle, or one for all
        self.assertEqual({kind for number, kind in kinds.items() if number >= 30}, {"flip angles"})
        dynamic = series[5]
        self.assertEqual((dynamic.frames, dynamic.slices, dynamic.rows, dynamic.columns), (7, 4, 12, 10))
        self.assertEqual(dynamic.description, "t1_vibe_dynamic")
        self.assertTrue(all(found.why for found in series.values()))

    def test_kinds_beside_other_objects(self):
        series = self.inspected("beside other objects")
        self.assertEqual(series[5].kind, "dynamic")
        self.assertEqual({found.kind for number, found in series.items() if number != 5}, {"other"})

    def test_maps_and_flip_angles_beside_a_dynamic(self):
        folder = self.folders["beside maps"]
        for number, values in (("20", vendors.FAT_FRACTION / 1000.0), ("21", vendors.T1_MS)):
            found, ijk_to_ras = dicomio.read_map(folder, number)
            np.testing.assert_allclose(found, values, rtol=1e-6)
            np.testing.assert_allclose(ijk_to_ras, vendors.IJK_TO_RAS, rtol=0, atol=1e-6)
        flipped = dicomio.read_flip_angles(folder)
        np.testing.assert_array_equal(flipped.flip_angles_deg, vendors.FLIP_ANGLES)
        np.testing.assert_array_equal(flipped.volumes, vendors.FLIPPED)
        np.testing.assert_allclose(flipped.ijk_to_ras, vendors.IJK_TO_RAS, rtol=0, atol=1e-6)
        self.assertAlmostEqual(flipped.repetition_time_ms, vendors.TR_MS)

    def test_files_are_valid_dicom(self):
        validator = tool("dciodvfy")

        def errors(path):
            run = subprocess.run([validator, "-new", str(path)], capture_output=True, check=False)
            lines = (run.stdout + run.stderr).decode("latin-1").splitlines()
            return [f"{path.parent.name}/{path.name}: {line}" for line in lines if line.startswith("Error")]

        paths = [path for path in sorted(self.root.rglob("*")) if path.is_file() and path.suffix != ".txt"]
        inflated = self.root / "inflated"  # dciodvfy cannot inflate
        self.addCleanup(shutil.rmtree, inflated)
        for n, path in enumerate(paths):
            dataset = pydicom.dcmread(path)
            if dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
                paths[n] = inflated / path.name
                vendors.save(dataset, paths[n])
        with ThreadPoolExecutor(4) as pool:
            found = [line for lines in pool.map(errors, paths) for line in lines]
        self.assertGreater(len(paths), 700)
        self.assertEqual(found, [])


class Corruptions(Folders):
    studies = vendors.CORRUPTIONS

    def test_refused_with_the_place(self):
        def check(words, folder):
            with self.assertRaisesRegex(InputError, words) as refusal:
                quietly(lambda: arrays(dicomio.read_series(folder)))
            self.assertNotIn("\n", str(refusal.exception))

        self.each(check)

    def test_inspection_goes_on(self):
        """A broken file is no reason not to list the rest; where nothing is left, the reason is told."""

        def check(words, folder):
            found = quietly(dicomio.inspect_folder, folder)
            self.assertTrue(found.series or found.reasons)

        self.each(check)

    def test_inspection_does_not_call_dynamic_what_cannot_be_read(self):
        for study in ("several frames in every classic image", "palette", "subtractions alone"):
            with self.subTest(study=study):
                found = quietly(dicomio.inspect_folder, self.folders[study]).series
                self.assertEqual({info.kind for info in found}, {"other"})

    def test_another_dynamic_is_not_taken_in_place_of_a_broken_one(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            vendors.CORRUPTIONS["last phase truncated"](folder / "phases")
            vendors.ge_lava(folder / "other")
            with self.assertRaisesRegex(InputError, "2 dynamic series: number 5 .*; number 11 "):
                quietly(dicomio.read_series, folder)
            self.assertEqual(len(quietly(dicomio.read_series, folder, "5").frames), vendors.FRAMES)
            with self.assertRaisesRegex(InputError, "series 17 seems to be a phase"):
                quietly(dicomio.read_series, folder, "12")

    def test_a_lost_phase_of_one_kind_harms_no_other(self):
        """Water and fat of each phase in series of their own, all of one name; a file of water is damaged."""
        with tempfile.TemporaryDirectory() as name:
            for c, kind in enumerate("WF"):

                def edit(dataset, t, k, c=c, kind=kind):
                    vendors.siemens_tags()(dataset, t, k)
                    dataset.ImageType = ["DERIVED", "PRIMARY", "DIXON", kind]
                    dataset.AcquisitionNumber, dataset.SeriesNumber = 1, 11 + 2 * t + c
                    dataset.SeriesInstanceUID = vendors.uid("phase", kind, t)

                folder = Path(name) / kind
                fat = vendors.write(folder, vendors.siemens_template("dixon_dyn"), edit, vendors.random_voxels(seed=c))
            path = Path(name) / "W" / vendors.file_of(6, 1)
            path.write_bytes(path.read_bytes()[:-50])
            with self.assertRaisesRegex(
                InputError, "series 23 seems to be a phase of the acquisition of series 11 to 21"
            ):
                quietly(dicomio.read_series, Path(name), "11")
            np.testing.assert_array_equal(arrays(quietly(dicomio.read_series, Path(name), "12")), fat)

    def test_identifiers_are_not_told(self):
        for study in ("two patients", "two studies"):
            with self.subTest(study=study), self.assertRaises(InputError) as refusal:
                quietly(dicomio.read_series, self.folders[study])
            self.assertNotRegex(str(refusal.exception), r"2\.25\.|\bV1\b")

    def test_a_damaged_last_frame_is_not_lost_in_silence(self):
        """With one slice no slice is missing and the other frames are regular: only the file itself tells."""
        for share in (0.2, 0.4, 0.6, 0.9, "inside its SeriesInstanceUID", "inside its StudyInstanceUID"):
            with self.subTest(share=share), tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                vendors.write(folder, vendors.ge_template(), vendors.ge_tags(), vendors.random_voxels(slices=1))
                path = folder / vendors.file_of(vendors.FRAMES - 1, 0, slices=1)
                content = path.read_bytes()
                if isinstance(share, str):
                    uid = str(pydicom.dcmread(path)[share.split()[-1]].value).encode()
                    cut = content.index(uid) + 2 * len(uid) // 3
                else:
                    cut = int(len(content) * share)
                path.write_bytes(content[:cut])
                try:
                    said = " ".join(quietly(dicomio.read_series, folder).warnings)
                except InputError as error:
                    said = str(error)
                self.assertRegex(said, f"{path.name}|image {vendors.FRAMES}\\b|frame {vendors.FRAMES}\\b")


if __name__ == "__main__":
    unittest.main()
