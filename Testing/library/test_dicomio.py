"""DICOM in and out: exact voxels, geometry and times, and refusals that name the file, the slice or the tag."""

import dataclasses
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pydicom
from DCEPerfusionBMDLib.dicomio import read_series, write_series
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from pydicom.dataelem import RawDataElement
from support import reference_data, small_phantom, tool


def oblique_series():
    """The phantom on a rotated grid, two slices, eight frames at uneven times."""
    phantom = small_phantom(rows=32, columns=24, slices=2)
    series = phantom.series()
    angle = np.deg2rad(17.0)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return dataclasses.replace(
        series,
        frames=series.frames[:8],
        times_s=np.array([0.0, 3.0, 6.0, 9.5, 13.0, 16.0, 19.0, 40.0]),
        ijk_to_ras=turn @ series.ijk_to_ras,
    )


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.series = oblique_series()

    def change(self, edit, pattern="*.dcm"):
        """Apply `edit(dataset, path)` to files; a result of False removes the file."""
        for path in sorted(self.folder.glob(pattern)):
            dataset = pydicom.dcmread(path)
            if edit(dataset, path) is False:
                path.unlink()
            else:
                dataset.save_as(path)


class RoundTrip(Folder):
    def test_voxels_geometry_times_and_acquisition(self):
        write_series(self.series, self.folder)
        found = read_series(self.folder)
        self.assertEqual(len(found.frames), 8)
        for read, written in zip(found.frames, self.series.frames, strict=True):
            np.testing.assert_array_equal(read, written)
        np.testing.assert_allclose(found.ijk_to_ras, self.series.ijk_to_ras, atol=1e-6)
        np.testing.assert_allclose(found.times_s, self.series.times_s, atol=1e-6)
        self.assertEqual(found.time_source, "TriggerTime (0018,1060)")
        self.assertEqual(found.acquisition["flip_angle_deg"].value, 30.0)
        self.assertEqual(found.acquisition["flip_angle_deg"].source, "DICOM FlipAngle (0018,1314)")
        self.assertEqual(found.acquisition["agent"].value, "gadobenate")
        self.assertEqual(len(found.times_rejected), 3)
        self.assertEqual(found.warnings, ("the frames are unevenly spaced: 3 to 21 s",))

    def test_order_and_names_of_files_do_not_matter(self):
        write_series(self.series, self.folder)
        before = read_series(self.folder)
        random = np.random.default_rng(3)
        (self.folder / "deeper").mkdir()
        for number, path in zip(random.permutation(16), sorted(self.folder.glob("*.dcm")), strict=True):
            path.rename(self.folder / "deeper" / f"IM{number}")
        (self.folder / "notes.txt").write_text("no image")
        found = read_series(self.folder)
        self.assertEqual(found.source_hash, before.source_hash)
        for read, written in zip(found.frames, self.series.frames, strict=True):
            np.testing.assert_array_equal(read, written)

    def test_the_hash_follows_the_content_of_the_chosen_series(self):
        write_series(self.series, self.folder)
        before = read_series(self.folder).source_hash
        write_series(self.series, self.folder / "other", description="other")
        uid = str(pydicom.dcmread(self.folder / "frame0001_slice001.dcm").SeriesInstanceUID)
        self.assertEqual(read_series(self.folder, uid).source_hash, before)

        def edit(dataset, path):
            dataset.PixelData = bytes(len(dataset.PixelData))

        self.change(edit, "frame0003_slice001*")
        self.assertNotEqual(read_series(self.folder, uid).source_hash, before)

    def test_jitter_of_positions_is_no_gap(self):
        phantom = small_phantom(rows=32, columns=24, slices=5)
        series = dataclasses.replace(phantom.series(), frames=phantom.series().frames[:8], times_s=np.arange(8) * 3.0)
        write_series(series, self.folder)
        random = np.random.default_rng(0)

        def edit(dataset, path):
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [f"{x + random.uniform(-1e-3, 1e-3):.6f}", y, z]

        self.change(edit)
        self.assertEqual(read_series(self.folder).shape, series.shape)

    def test_same_series_same_bytes(self):
        write_series(self.series, self.folder / "a")
        write_series(self.series, self.folder / "b")
        for path in sorted((self.folder / "a").iterdir()):
            self.assertEqual(path.read_bytes(), (self.folder / "b" / path.name).read_bytes())

    def test_written_files_are_valid_dicom(self):
        validator = tool("dciodvfy")
        write_series(self.series, self.folder)
        for path in sorted(self.folder.glob("*.dcm"))[:3]:
            run = subprocess.run([validator, "-new", str(path)], capture_output=True, text=True, check=False)
            errors = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]
            self.assertEqual(errors, [])

    def test_rescale(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-100"

        self.change(edit)
        found = read_series(self.folder)
        np.testing.assert_allclose(found.frames[2], np.asarray(self.series.frames[2]) * 0.5 - 100)

    def test_acquisition_time_where_there_is_no_trigger_time(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            seconds = 86390.0 + float(dataset.TriggerTime) / 1000.0
            del dataset.TriggerTime
            dataset.AcquisitionDate = "20191231" if seconds < 86400 else "20200101"
            left = seconds % 86400
            dataset.AcquisitionTime = f"{int(left // 3600):02d}{int(left % 3600 // 60):02d}{left % 60:09.6f}"

        self.change(edit)
        found = read_series(self.folder)
        self.assertEqual(found.time_source, "AcquisitionTime (0008,0032)")
        np.testing.assert_allclose(found.times_s, self.series.times_s, atol=1e-5)

    def test_cancel(self):
        with self.assertRaises(Cancelled):
            write_series(self.series, self.folder, progress=lambda fraction, message: fraction < 0.3)
        with self.assertRaises(Cancelled):
            read_series(self.folder, progress=lambda fraction, message: False)


class Refusals(Folder):
    def refuse(self, words):
        with self.assertRaisesRegex(InputError, words):
            read_series(self.folder)

    def test_no_images(self):
        self.refuse("holds no MR image in DICOM format .0 files")
        (self.folder / "a.txt").write_text("x")
        self.refuse("1 files looked at")
        with self.assertRaisesRegex(InputError, "is not a folder"):
            read_series(self.folder / "absent")

    def test_two_series_are_named_and_can_be_chosen(self):
        write_series(self.series, self.folder / "a")
        write_series(self.series, self.folder / "b", description="late phase")
        for path in (self.folder / "b").iterdir():
            dataset = pydicom.dcmread(path)
            dataset.SeriesNumber = 7
            dataset.save_as(path)
        self.refuse(
            "2 dynamic series: number 1 'DCE phantom' .16 files.; number 7 'late phase' .16 files.; choose one with"
        )
        self.assertEqual(len(read_series(self.folder, "7").frames), 8)
        with self.assertRaisesRegex(InputError, "no series '9'"):
            read_series(self.folder, "9")

    def test_times_missing(self):
        write_series(self.series, self.folder)
        self.change(lambda dataset, path: dataset.__delattr__("TriggerTime"))
        self.refuse(
            r"no usable frame times. Looked at TriggerTime \(0018,1060\): absent; AcquisitionTime \(0008,0032\): the "
            r"same in all 8 frames; ContentTime \(0008,0033\): the same in all 8 frames"
        )

    def test_times_repeated(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.TriggerTime = "9500"

        self.change(edit, "frame0005*")
        self.refuse(r"8 frames but 7 distinct times \(frames 4 and 5 are both 9.5 s after the first\)")

    def test_times_that_contradict_the_numbering(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.TriggerTime = "1500"

        self.change(edit, "frame0005*")
        self.refuse("does not increase with the scanner's numbering: frame 5 is 8 s before frame 4")

    def test_repetition_time_in_disguise_and_wrong_unit(self):
        write_series(dataclasses.replace(self.series, times_s=np.arange(8) * 0.0035), self.folder)
        self.refuse("step of 3.5 ms is the repetition time")
        write_series(dataclasses.replace(self.series, times_s=self.series.times_s / 1000), self.folder)
        self.refuse("too short for a frame; the unit may be wrong")

    def test_missing_slice(self):
        write_series(self.series, self.folder)
        (self.folder / "frame0003_slice002.dcm").unlink()
        self.refuse(r"incomplete: slice 2 of 2 \(at .* mm\) has 7 images, the others have 8")

    def test_gap_between_slices(self):
        phantom = small_phantom(rows=32, columns=24, slices=5)
        write_series(dataclasses.replace(phantom.series(), frames=phantom.series().frames[:8]), self.folder)
        for path in self.folder.glob("*slice003.dcm"):
            path.unlink()
        self.refuse(r"not evenly spaced: 10 mm between slices 2 and 3 \(at .* mm\), 5 mm elsewhere")

    def test_mixed_geometry(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]

        self.change(edit, "frame0003*")
        self.refuse("mixes images of different ImageOrientationPatient: .* in image 1 of series 1 .*, .* in image 5")

    def test_truncated_pixels(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.PixelData = dataset.PixelData[:100]

        self.change(edit, "frame0004_slice001*")
        self.refuse("image 7 of series 1 cannot be decoded")

    def test_acquisitions_that_differ_are_not_mixed(self):
        for keyword, value in (("FlipAngle", "15"), ("RepetitionTime", "9"), ("PixelSpacing", ["1", "2"])):
            with self.subTest(keyword=keyword):
                write_series(self.series, self.folder)

                def edit(dataset, path, keyword=keyword, value=value):
                    setattr(dataset, keyword, value)

                self.change(edit, "frame0006*")
                self.refuse(f"mixes images of different {keyword}: .* in image 11 of series 1")

    def test_damaged_attributes_are_named(self):
        """Each attribute absent, blank, of the wrong count or no number, in one file or in all: one line, no crash."""
        keywords = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "TriggerTime")
        keywords += ("RepetitionTime", "FlipAngle", "SeriesInstanceUID", "InstanceNumber", "RescaleSlope")
        damages = (("absent", None), ("blank", b""), ("text", b"abc "), ("three", b"1\\2\\3 "))
        outcomes = []
        for keyword in keywords:
            for name, value in damages:
                for pattern in ("frame0004_slice001*", "*.dcm"):
                    write_series(self.series, self.folder)

                    def edit(dataset, path, keyword=keyword, value=value):
                        if keyword in dataset:
                            element = dataset[keyword]
                            del dataset[keyword]
                            if value is not None and element.VR != "US":
                                raw = RawDataElement(element.tag, element.VR, len(value), value, 0, False, True)
                                dataset[element.tag] = raw

                    self.change(edit, pattern)
                    with self.subTest(keyword=keyword, value=name, pattern=pattern):
                        try:
                            read_series(self.folder)
                            outcomes.append("read")
                        except InputError as error:
                            self.assertNotIn("\n", str(error))
                            outcomes.append("refused")
        self.assertGreater(outcomes.count("refused"), len(outcomes) // 2)

    def test_several_frames_in_a_file(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.NumberOfFrames = 2
            dataset.PixelData = dataset.PixelData * 2

        self.change(edit, "frame0002_slice001*")
        self.refuse("image 3 of series 1 .* is not a single gray image: its pixels have the shape 2x32x24")

    def test_a_lost_time_is_not_made_up_without_numbers(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            del dataset.InstanceNumber, dataset.TemporalPositionIdentifier
            dataset.TriggerTime = str(3000 * (int(path.name[5:9]) - 1))
            if path.name.startswith("frame0008"):
                del dataset.TriggerTime

        self.change(edit)
        self.refuse(r"cannot be put in order: .*TriggerTime \(0018,1060\): absent in 1 of 8 frames")

    def test_two_series_of_one_number_are_told_apart_by_uid(self):
        write_series(self.series, self.folder / "a")
        write_series(self.series, self.folder / "b", description="late phase")
        self.refuse("UID 2.25.*UID 2.25.*choose one with --series UID")
        uid = str(pydicom.dcmread(next((self.folder / "b").iterdir())).SeriesInstanceUID)
        self.assertEqual(len(read_series(self.folder, uid).frames), 8)

    def test_only_integers_are_written(self):
        with self.assertRaisesRegex(ValueError, "need 16-bit integers"):
            write_series(dataclasses.replace(self.series, frames=[np.zeros((2, 32, 24))] * 8), self.folder)


class Qiba(unittest.TestCase):
    """QIBA v6 object: GE tags, Explicit VR Big Endian, first TriggerTime absent, AcquisitionTime the same in all."""

    def test_as_it_is(self):
        series = read_series(reference_data("qiba_v6_tofts_dicom"))
        self.assertEqual((len(series.frames), series.shape), (1321, (1, 80, 50)))
        np.testing.assert_allclose(series.times_s, np.arange(1321) * 0.5, atol=1e-9)
        self.assertRegex(series.warnings[0], "TriggerTime .* is absent in the first frame")
        self.assertEqual(series.acquisition["repetition_time_ms"].value, 5.0)
        self.assertEqual(series.acquisition["flip_angle_deg"].value, 30.0)
        self.assertEqual(series.spacing_mm, (5.0, 1.0, 1.0))

    def test_without_trigger_times_it_is_refused(self):
        source = reference_data("qiba_v6_tofts_dicom")
        with tempfile.TemporaryDirectory() as name:
            for number in range(1, 40):
                dataset = pydicom.dcmread(source / f"QIBA_v06_Tofts_beta1_{number:04d}.dcm")
                if "TriggerTime" in dataset:
                    del dataset.TriggerTime
                dataset.save_as(Path(name) / f"{number}.dcm")
            with self.assertRaisesRegex(InputError, "no usable frame times"):
                read_series(Path(name))

    def test_a_later_frame_without_time_is_refused(self):
        source = reference_data("qiba_v6_tofts_dicom")
        with tempfile.TemporaryDirectory() as name:
            for number in range(2, 40):
                dataset = pydicom.dcmread(source / f"QIBA_v06_Tofts_beta1_{number:04d}.dcm")
                if number == 20:
                    del dataset.TriggerTime
                dataset.save_as(Path(name) / f"{number}.dcm")
            with self.assertRaisesRegex(InputError, r"absent in 1 of 38 frames \(frame 19\)"):
                read_series(Path(name))
            shutil.rmtree(Path(name), ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
