"""DICOM in and out: exact voxels, geometry and times, and refusals that name the file, the slice or the tag."""

import contextlib
import dataclasses
import io
import shutil
import subprocess
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
import pydicom
from DCEPerfusionBMDLib.cli import main
from DCEPerfusionBMDLib.dicomio import inspect_folder, read_flip_angles, read_map, read_series, write_series
from DCEPerfusionBMDLib.errors import Cancelled, InputError
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from support import against, measured, reference_data, small_phantom, tool


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
        (self.folder / "notes.txt").write_text("no image", encoding="utf-8")
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

    @against("Reading series and their times", "files of a series that we write", "dicom", "write_series")
    def test_written_files_are_valid_dicom(self):
        validator = tool("dciodvfy")
        write_series(self.series, self.folder)
        for path in sorted(self.folder.glob("*.dcm"))[:3]:
            run = subprocess.run(
                [validator, "-new", str(path)], capture_output=True, text=True, check=False, encoding="utf-8"
            )
            errors = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]
            measured(self, "errors" + "".join(f"; {line}" for line in errors[:1]), len(errors), 0)

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


class Patient(Folder):
    """Sex, age and weight of the patient module (DICOM PS3.3 C.7.1.1, C.7.2.2); nothing where it cannot be read."""

    def read(self, **tags):
        def edit(dataset, path):
            for keyword in ("PatientSex", "PatientAge", "PatientWeight", "PatientBirthDate"):
                if keyword in dataset:
                    del dataset[keyword]
            dataset.StudyDate = "20230917"
            for keyword, value in tags.items():
                setattr(dataset, keyword, value)

        self.change(edit)
        return {name: entry.value for name, entry in read_series(self.folder).patient.items()}

    def test_values(self):
        write_series(self.series, self.folder)
        written = read_series(self.folder).patient
        self.assertEqual(
            {name: (entry.value, entry.source) for name, entry in written.items()},
            {
                "sex": ("female", "DICOM PatientSex (0010,0040)"),
                "age_years": (65.0, "DICOM PatientAge (0010,1010)"),
                "weight_kg": (60.0, "DICOM PatientWeight (0010,1030)"),
            },
        )
        for tags, expected in (
            ({}, {}),
            ({"PatientSex": "M", "PatientAge": "063Y"}, {"sex": "male", "age_years": 63.0}),
            ({"PatientSex": "O", "PatientAge": "000Y", "PatientWeight": "0"}, {}),
            ({"PatientAge": "024M"}, {"age_years": 2.0}),
            ({"PatientAge": "012M"}, {"age_years": 1.0}),
            ({"PatientAge": "999Y"}, {}),
            ({"PatientAge": "103Y"}, {"age_years": 90.0}),  # ages above 89 tell who someone is
            ({"PatientBirthDate": "19530917"}, {"age_years": 70.0}),
            ({"PatientBirthDate": "19530918"}, {"age_years": 69.0}),
            ({"PatientBirthDate": "19530917", "PatientAge": "063Y"}, {"age_years": 63.0}),
            ({"PatientBirthDate": "20240101"}, {}),
            ({"PatientBirthDate": "1953"}, {}),
            ({"PatientWeight": "71.5"}, {"weight_kg": 71.5}),
        ):
            with self.subTest(**tags), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.assertEqual(self.read(**tags), expected)


class CharacterSets(Folder):
    """Bytes as each character set of the standard has them (DICOM PS3.5, annexes H to K), told by Python's codecs."""

    def write(self, sets, name, description, implicit=False):
        """A series with these bytes as name and description."""
        write_series(self.series, self.folder)
        values = {
            f"{key}{key * len(value)}"[: len(value) + len(value) % 2].encode(): value + b" " * (len(value) % 2)
            for key, value in (("Q", name), ("Z", description))
        }

        def edit(dataset, path):
            dataset.SpecificCharacterSet = sets.split("\\")
            dataset.PatientName, dataset.SeriesDescription = (value.decode() for value in values)
            if implicit:
                dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

        self.change(edit)
        for path in self.folder.glob("*.dcm"):
            content = path.read_bytes()
            for placeholder, value in values.items():
                self.assertEqual(content.count(placeholder), 1)
                content = content.replace(placeholder, value)
            path.write_bytes(content)

    def test_names_and_texts(self):
        chinese, german = "王^小东", "Müller^Jürgen"
        cases = (
            ("GB18030", chinese, "腰椎灌注", "gb18030"),
            ("GBK", chinese, "腰椎灌注", "gbk"),
            ("ISO_IR 192", "Wang^XiaoDong=王^小东", "腰椎灌注 ü", "utf-8"),
            ("ISO_IR 192", german, "Lendenwirbelsäule", "utf-8"),
            ("ISO_IR 100", german, "Lendenwirbelsäule", "latin-1"),
            ("ISO_IR 144", "Иванов^Пётр", "поясница", "iso8859-5"),
            ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎", "腰椎", "iso2022_jp"),
        )
        for sets, name, description, codec in cases:
            for implicit in (False, True):
                with self.subTest(sets=sets, name=name, implicit=implicit):
                    self.write(sets, name.encode(codec), description.encode(codec), implicit)
                    self.assertEqual(read_series(self.folder).identifiers["PatientName"], name)
                    self.assertEqual(inspect_folder(self.folder).series[0].description, description)

    def test_what_an_escape_began_ends_at_a_delimiter(self):
        """The example of PS3.5, H.3.2: katakana of one byte and kanji, in a name of three groups."""
        name = bytes.fromhex("d4cfc0de5ec0dbb3") + b"=" + bytes.fromhex("1b24423b3345441b284a5e1b244242404f3a1b284a")
        name += b"=" + bytes.fromhex("1b24422464245e24401b284a5e1b2442243f246d24261b284a")
        self.write("ISO 2022 IR 13\\ISO 2022 IR 87", name, b"LUMBAR")
        self.assertEqual(read_series(self.folder).identifiers["PatientName"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう")

    def test_korean_names_of_two_bytes(self):
        """The example of PS3.5, I.2, whose escapes Python's codec does not know."""
        name = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
        self.write("\\ISO 2022 IR 149", name, b"LUMBAR")
        self.assertEqual(read_series(self.folder).identifiers["PatientName"], "Hong^Gildong=洪^吉洞=홍^길동")


class Refusals(Folder):
    def refuse(self, words):
        with self.assertRaisesRegex(InputError, words):
            read_series(self.folder)

    def test_no_images(self):
        self.refuse("holds no MR image in DICOM format .0 files")
        (self.folder / "a.txt").write_text("x", encoding="utf-8")
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


def save(dataset, path):
    """Write a data set that was made here, with either version of pydicom."""
    if int(pydicom.__version__.split(".")[0]) >= 3:
        dataset.save_as(path, enforce_file_format=True)
    else:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)


def clock(seconds):
    """A DICOM time of day."""
    seconds %= 86400
    return f"{int(seconds // 3600):02d}{int(seconds % 3600 // 60):02d}{seconds % 60:09.6f}"


def item(**values):
    """A sequence of one item."""
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return [dataset]


def write_enhanced(path, frames, seconds, numbered=True):
    """An enhanced multi-frame file, its frames in disorder, stored values doubled by RescaleSlope."""
    count, slices, rows, columns = frames.shape
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "2.25.77"
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = "MR", "2.25.7", 4, 1
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, count * slices
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    shared = item(
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=item(PixelSpacing=[1.5, 1.5], SliceThickness=4),
        MRTimingAndRelatedParametersSequence=item(RepetitionTime=4.0, FlipAngle=12.0),
        MREchoSequence=item(EffectiveEchoTime=1.7),
    )
    dataset.SharedFunctionalGroupsSequence = shared
    described, pixels = [], []
    order = np.random.default_rng(1).permutation(count * slices)
    for t, k in (divmod(int(n), slices) for n in order):
        content = item(FrameAcquisitionDateTime=f"20200101{clock(43200 + seconds[t])}")
        if numbered:
            content[0].TemporalPositionIndex = t + 1
        described += item(
            FrameContentSequence=content,
            PlanePositionSequence=item(ImagePositionPatient=[0, 0, 4.0 * k]),
            PixelValueTransformationSequence=item(RescaleSlope="2", RescaleIntercept="0", RescaleType="US"),
        )
        pixels.append(frames[t, k].astype("<u2").tobytes())
    dataset.PerFrameFunctionalGroupsSequence, dataset.PixelData = described, b"".join(pixels)
    save(dataset, path)


class Vendors(Folder):
    """How vendors write a dynamic series."""

    def same_frames(self, found):
        for read, written in zip(found.frames, self.series.frames, strict=True):
            np.testing.assert_array_equal(read, written)

    def test_one_series_per_phase_past_midnight(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            number = int(path.name[5:9])
            seconds = 86390.0 + float(dataset.TriggerTime) / 1000.0
            del dataset.TriggerTime, dataset.TemporalPositionIdentifier, dataset.AcquisitionDate, dataset.ContentDate
            dataset.AcquisitionTime = dataset.ContentTime = clock(seconds)
            dataset.SeriesNumber, dataset.SeriesInstanceUID = 10 + number, f"2.25.{number}"
            dataset.InstanceNumber = int(path.name[-7:-4])
            dataset.SeriesDescription = f"vibe TT={seconds:.1f}s"

        self.change(edit)
        found = read_series(self.folder)
        self.same_frames(found)
        np.testing.assert_allclose(found.times_s, self.series.times_s, atol=1e-5)
        self.assertRegex(" ".join(found.warnings), "8 series .* joined: numbers 11 to 18.*crosses midnight")
        self.assertEqual(len(read_series(self.folder, "14").frames), 8)
        (info,) = inspect_folder(self.folder).series
        self.assertEqual((info.kind, info.number, info.frames, info.files), ("dynamic", "11", 8, 16))
        self.assertEqual(info.times, "8 frames, 3 to 21 s apart (AcquisitionTime)")

    def test_enhanced_frames_in_disorder(self):
        frames = np.random.default_rng(0).integers(0, 2000, (6, 3, 5, 4)).astype(np.uint16)
        seconds = np.array([0.0, 5.0, 10.0, 16.0, 21.0, 26.5])
        for numbered in (True, False):
            write_enhanced(self.folder / "IM1", frames, seconds, numbered)
            found = read_series(self.folder)
            for read, written in zip(found.frames, frames, strict=True):
                self.assertEqual(read.dtype, np.float32)
                np.testing.assert_array_equal(read, written * 2.0)
            np.testing.assert_allclose(found.times_s, seconds, atol=1e-5)
            self.assertEqual(found.time_source, "FrameAcquisitionDateTime (0018,9074)")
            self.assertEqual(found.spacing_mm, (4.0, 1.5, 1.5))
            self.assertEqual(found.acquisition["echo_time_ms"].value, 1.7)
            self.assertEqual(found.acquisition["flip_angle_deg"].value, 12.0)

    def test_philips_scale_slope(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.Manufacturer = "Philips Medical Systems"
            slope = 1.0 + int(path.name[5:9]) / 10.0
            dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:.1f}", "3"
            dataset.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
            dataset.add_new(0x2005100E, "FL", 0.25 / slope)

        self.change(edit)
        found = read_series(self.folder)
        for n, (read, written) in enumerate(zip(found.frames, self.series.frames, strict=True), 1):
            slope = 1.0 + n / 10.0
            truth = (np.asarray(written) * slope + 3) / (slope * np.float32(0.25 / slope))
            np.testing.assert_allclose(read, truth, rtol=1e-6)
        self.assertRegex(" ".join(found.warnings), r"Philips' private scale slope \(2005,100E\)")

        def lose(dataset, path):
            del dataset[0x2005100E]

        self.change(lose, "frame0003_slice001*")
        with self.assertRaisesRegex(InputError, "image 5 of series 1 .* has no Philips' private scale slope"):
            read_series(self.folder)

    def test_counts_are_no_times(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            del dataset.TriggerTime
            dataset.TemporalResolution = "4500"

        self.change(edit)
        with self.assertRaisesRegex(InputError, "Identifier .*: counts the frames.*4500 ms is nominal.*--times 4.5"):
            read_series(self.folder)
        self.change(lambda dataset, path: setattr(dataset, "TemporalResolution", "4500000"))  # as GE writes it
        with self.assertRaisesRegex(InputError, "4.5e.06 microseconds is nominal.*--times 4.5"):
            read_series(self.folder)
        found = read_series(self.folder, times="4.5")
        np.testing.assert_allclose(found.times_s, np.arange(8) * 4.5)
        self.assertEqual(found.time_source, "given by the user (step of 4.5 s)")

    def test_skipped_frames(self):
        write_series(self.series, self.folder)
        found = read_series(self.folder, skip_frames=2)
        np.testing.assert_array_equal(found.frames[0], self.series.frames[2])
        np.testing.assert_allclose(found.times_s, self.series.times_s[2:] - self.series.times_s[2])
        for wrong in (-1, 8):
            with self.assertRaisesRegex(InputError, "--skip-frames is .*, but the series has 8 frames"):
                read_series(self.folder, skip_frames=wrong)

    def test_slices_at_times_of_their_own(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            late = 2.0 if path.name.endswith("slice001.dcm") else 0.0
            dataset.AcquisitionTime = clock(36000 + late + float(dataset.TriggerTime) / 1000.0)
            del dataset.TriggerTime

        self.change(edit)
        found = read_series(self.folder)
        np.testing.assert_allclose(found.times_s, self.series.times_s, atol=1e-5)
        np.testing.assert_allclose(found.slice_offsets_s, [2.0, 0.0], atol=1e-5)
        self.assertRegex(" ".join(found.warnings), "slices of a frame are acquired up to 2 s apart")

    def test_summer_time_ends(self):
        write_series(dataclasses.replace(self.series, times_s=np.arange(8) * 20.0), self.folder)

        def edit(dataset, path):
            seconds = 3 * 3600 - 70.0 + float(dataset.TriggerTime) / 1000.0
            dataset.AcquisitionTime = clock(seconds if seconds < 3 * 3600 else seconds - 3600)
            del dataset.TriggerTime, dataset.TemporalPositionIdentifier

        self.change(edit)
        found = read_series(self.folder)
        self.same_frames(found)
        np.testing.assert_allclose(found.times_s, np.arange(8) * 20.0, atol=1e-5)
        self.assertRegex(found.warnings[0], "put back by one hour after frame 4 .daylight saving")

    def test_view_sharing_is_said(self):
        write_series(self.series, self.folder)
        self.change(lambda dataset, path: setattr(dataset, "ProtocolName", "t1_twist_tra"))
        self.assertRegex(" ".join(read_series(self.folder).warnings), "view sharing .TWIST")

    def test_run_length_encoded(self):
        write_series(self.series, self.folder)
        if not hasattr(Dataset, "compress"):
            self.skipTest("this pydicom cannot compress")

        def edit(dataset, path):
            dataset.compress(RLELossless)

        self.change(edit)
        self.same_frames(read_series(self.folder))

    def test_a_missing_decoder_is_named(self):
        write_series(self.series, self.folder)
        for syntax, words in (
            ("1.2.840.10008.1.2.4.80", "no decoder for the transfer syntax JPEG-LS .*pip install pylibjpeg"),
            ("1.2.3.4", "transfer syntax 1.2.3.4 is not supported"),
        ):

            def edit(dataset, path, syntax=syntax):
                dataset.PixelData = pydicom.encaps.encapsulate([bytes(100)])
                dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
                dataset.file_meta.TransferSyntaxUID = syntax

            write_series(self.series, self.folder)
            for path in self.folder.iterdir():
                dataset = pydicom.dcmread(path)
                edit(dataset, path)
                if int(pydicom.__version__.split(".")[0]) >= 3:
                    dataset.save_as(path, implicit_vr=False, little_endian=True)
                else:
                    dataset.save_as(path)
            try:
                read_series(self.folder)
            except InputError as error:
                if "JPEG-LS" not in words or "no decoder" in str(error):
                    self.assertRegex(str(error), words)
            else:
                self.fail("read")

    def test_copies_are_used_once_and_contradictions_refused(self):
        write_series(self.series, self.folder)
        source = self.folder / "frame0003_slice001.dcm"
        shutil.copy(source, self.folder / "copy.dcm")
        found = read_series(self.folder)
        self.same_frames(found)
        self.assertRegex(found.warnings[0], "1 file is a copy")
        self.assertEqual(found.source_files, 16)
        dataset = pydicom.dcmread(source)
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(self.folder / "copy.dcm")
        with self.assertRaisesRegex(InputError, "copy.dcm and frame0003_slice001.dcm have the same SOPInstanceUID"):
            read_series(self.folder)

    def test_truncated_files_are_named(self):
        write_series(self.series, self.folder)
        path = self.folder / "frame0002_slice001.dcm"
        content = path.read_bytes()
        for size in (len(content) - 10, len(content) // 2):
            path.write_bytes(content[:size])
            with self.assertRaisesRegex(InputError, "frame0002_slice001.dcm is truncated|slice 1 .* has 7 images"):
                read_series(self.folder)
        inventory = inspect_folder(self.folder)
        self.assertEqual(inventory.other_files, 1)
        self.assertRegex(inventory.reasons[0], "frame0002_slice001.dcm")

    def test_files_cut_before_their_series_are_not_passed_over(self):
        """Without every second file, all of slice 2, the rest looks like a whole series of one slice."""
        write_series(self.series, self.folder)
        whole = {path: path.read_bytes() for path in sorted(self.folder.iterdir())[1::2]}
        self.assertEqual({path.name[-7:] for path in whole}, {"002.dcm"})
        for size in (0, 100, 140, 400, 700):  # nothing, before the preamble's end, of the meta header, of group 0008
            self.assertLess(size, whole[min(whole)].find(b"\x20\x00\x0e\x00UI"))
            for path, content in whole.items():
                path.write_bytes(content[:size])
            with (
                self.subTest(size=size),
                self.assertRaisesRegex(InputError, "may be images of series 1: 8 files .*: frame0001_slice002.dcm, "),
            ):
                read_series(self.folder)

    def test_what_is_left_of_another_series_does_no_harm(self):
        write_series(self.series, self.folder)
        path = self.folder / "frame0001_slice001.dcm"
        other, before = pydicom.dcmread(path), read_series(self.folder)
        other.SeriesDescription = "T2 SAGITTAL"
        other.save_as(self.folder / "frame0009_slice001.dcm")
        content = (self.folder / "frame0009_slice001.dcm").read_bytes()
        cut = content[: content.find(b"T2 SAGITTAL") + 30]
        self.assertNotIn(b"\x20\x00\x0e\x00UI", cut)
        (self.folder / "frame0009_slice001.dcm").write_bytes(cut)
        (self.folder / "lockfile").touch()
        found = read_series(self.folder)
        np.testing.assert_array_equal(found.frames[3], before.frames[3])
        self.assertEqual(len(found.frames), 8)
        self.assertRegex(" ".join(found.warnings), "passed over: 1 file truncated")
        self.assertNotIn("frame0009", " ".join(found.warnings))
        self.assertIn("frame0009_slice001.dcm", " ".join(found.passed_over))

    def test_missing_slice_names_the_frame(self):
        write_series(self.series, self.folder)
        (self.folder / "frame0003_slice002.dcm").unlink()
        with self.assertRaisesRegex(InputError, "slice 2 of 2 .* it lacks frame 3 .by TemporalPositionIdentifier"):
            read_series(self.folder)
        (self.folder / "frame0005_slice001.dcm").unlink()
        with self.assertRaisesRegex(InputError, "incomplete: slice 1 of 2 .* it lacks frame 5"):
            read_series(self.folder)

    def test_tilted_stack(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x + 1.0, y, z]

        self.change(edit, "*slice002.dcm")
        with self.assertRaisesRegex(InputError, "slices are sheared"):
            read_series(self.folder)


class Studies(Folder):
    """Folders with more than the dynamic series."""

    def volume(self, name, number, description, angle="12", edit=None, values=None):
        """A series of one frame."""
        frame = np.asarray(self.series.frames[0]) if values is None else values
        single = dataclasses.replace(self.series, frames=[frame], times_s=np.zeros(1))
        write_series(single, self.folder / name, description=description)
        for path in (self.folder / name).iterdir():
            dataset = pydicom.dcmread(path)
            del dataset.TriggerTime
            dataset.SeriesNumber, dataset.FlipAngle = number, angle
            if edit is not None:
                edit(dataset)
            dataset.save_as(path)
        return frame

    def test_a_study_is_told_apart(self):
        write_series(self.series, self.folder / "dynamic")
        for angle in (2, 5, 10, 15):
            self.volume(f"a{angle}", 100 + angle, f"VFA {angle}", str(angle))
        shape = self.series.shape
        t1 = self.volume("t1", 20, "T1 map", values=np.full(shape, 1000, np.uint16))
        self.volume("ff", 21, "PDFF", values=np.linspace(0, 100, t1.size).astype(np.uint16).reshape(shape))
        self.volume("loc", 30, "scout", edit=lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
        (self.folder / "notes.txt").write_text("x", encoding="utf-8")
        inventory = inspect_folder(self.folder)
        kinds = {info.number: info.kind for info in inventory.series}
        self.assertEqual(
            kinds,
            {
                "1": "dynamic",
                "20": "T1 map",
                "21": "fat fraction",
                "30": "other",
                **dict.fromkeys(("102", "105", "110", "115"), "flip angles"),
            },
        )
        self.assertEqual((inventory.other_files, inventory.reasons), (1, ("1 file not DICOM: notes.txt",)))
        self.assertEqual(len(inventory.table()), 8)
        self.assertIn("dynamic", inventory.table().to_csv())
        self.assertEqual(len(read_series(self.folder).frames), 8)
        angles = read_flip_angles(self.folder, [])
        np.testing.assert_array_equal(angles.flip_angles_deg, [2, 5, 10, 15])
        self.assertEqual(angles.repetition_time_ms, self.series.acquisition["repetition_time_ms"].value)
        self.assertEqual(angles.volumes.shape, (4, *shape))
        np.testing.assert_array_equal(angles.volumes[1], self.series.frames[0])
        values, matrix = read_map(self.folder, "20")
        np.testing.assert_array_equal(values, 1000.0)
        np.testing.assert_allclose(matrix, self.series.ijk_to_ras, atol=1e-6)
        self.assertEqual(read_map(self.folder, "21")[0].max(), 1.0)
        with self.assertRaisesRegex(InputError, "series 102 .* is neither a T1 map nor a fat fraction"):
            read_map(self.folder, "102")

    def test_flip_angles_that_do_not_fit(self):
        self.volume("a2", 2, "VFA 2", "2")
        self.volume("a9", 9, "VFA 9", "9", edit=lambda d: setattr(d, "RepetitionTime", "7"))
        with self.assertRaisesRegex(InputError, "series 9 does not fit series 2: .*RepetitionTime"):
            read_flip_angles(self.folder, ["2", "9"])
        with self.assertRaisesRegex(InputError, "holds no flip angles"):
            read_flip_angles(self.folder, [])
        with self.assertRaisesRegex(InputError, "series 2 has one flip angle"):
            read_flip_angles(self.folder, ["2"])
        with self.assertRaisesRegex(InputError, "no series '5'"):
            read_flip_angles(self.folder, ["5"])

    def test_flip_angles_in_one_series(self):
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.FlipAngle = str(2 * int(path.name[5:9]))
            del dataset.TriggerTime

        self.change(edit)
        self.assertEqual(inspect_folder(self.folder).series[0].kind, "flip angles")
        found = read_flip_angles(self.folder, ["1"])
        np.testing.assert_array_equal(found.flip_angles_deg, np.arange(2, 18, 2))
        np.testing.assert_array_equal(found.volumes[3], self.series.frames[3])

    def test_flip_angles_of_two_studies(self):
        """Two angles of one study, two of another, all of one place; and a dynamic series of the first."""
        for number, angle, study in ((2, "2", "2.25.1"), (9, "9", "2.25.1"), (3, "3", "2.25.2"), (5, "5", "2.25.2")):
            self.volume(
                f"a{angle}", number, f"VFA {angle}", angle, edit=lambda d, s=study: setattr(d, "StudyInstanceUID", s)
            )
        with self.assertRaisesRegex(InputError, "series 3 and series 2 are of different studies"):
            read_flip_angles(self.folder)
        with self.assertRaisesRegex(InputError, "series 3 and series 2 are of different studies"):
            read_flip_angles(self.folder, ["2", "3"])
        for study, angles in (("2.25.1", [2, 9]), ("2.25.2", [3, 5])):
            found = read_flip_angles(self.folder, study_uid=study)
            np.testing.assert_array_equal(found.flip_angles_deg, angles)
            self.assertEqual(found.warnings, ())
        with self.assertRaisesRegex(InputError, "flip angles of another study than the dynamic series only"):
            read_flip_angles(self.folder, study_uid="2.25.3")
        named = read_flip_angles(self.folder, ["2", "9"], "2.25.3")
        self.assertRegex(" ".join(named.warnings), "of another study than the dynamic series")

    def test_flip_angles_of_two_kinds(self):
        for number, angle, kind in ((2, "3", "W"), (3, "15", "F")):

            def edit(dataset, kind=kind):
                dataset.ImageType = ["DERIVED", "PRIMARY", "DIXON", kind]

            self.volume(f"a{angle}", number, f"VFA {angle}", angle, edit=edit)
        with self.assertRaisesRegex(InputError, "holds no flip angles"):
            read_flip_angles(self.folder)
        with self.assertRaisesRegex(InputError, "series 3 .*DIXON.F. and series 2 .*DIXON.W. hold images of diff"):
            read_flip_angles(self.folder, ["2", "3"])

    def test_maps_of_another_study(self):
        shape = self.series.shape
        for name, value in (("T1 map", 1000), ("PDFF", 95)):
            with self.subTest(name=name):
                self.volume("map", 5, name, values=np.full(shape, value, np.uint16))
                uid = str(pydicom.dcmread(next((self.folder / "map").iterdir())).StudyInstanceUID)
                self.assertEqual(read_map(self.folder, "5", uid)[0].shape, shape)
                with self.assertRaisesRegex(InputError, "series 5 .* is of another study .*NRRD or NIfTI") as refusal:
                    read_map(self.folder, "5", "2.25.3")
                self.assertNotRegex(str(refusal.exception), "2.25")

    def test_kinds_in_one_series(self):
        """Water and fat of each frame, at the same time, in one series; then at two flip angles."""
        doubled = [frame for frame in self.series.frames[:4] for _ in range(2)]
        times_s = np.repeat(np.arange(4) * 6.0, 2)
        write_series(dataclasses.replace(self.series, frames=doubled, times_s=times_s), self.folder)

        def edit(dataset, path):
            number = int(path.name[5:9]) - 1
            kind = "WF"[number % 2]
            dataset.ImageType = ["DERIVED", "PRIMARY", kind, kind, "DERIVED"]
            dataset.TemporalPositionIdentifier = number // 2 + 1
            dataset.NumberOfTemporalPositions = 4
            if kind == "F":
                dataset.PixelData = bytes(len(dataset.PixelData))

        self.change(edit)
        infos = inspect_folder(self.folder).series
        self.assertEqual(
            [(info.number, info.kind, info.frames) for info in infos], [("1:F", "dynamic", 4), ("1:W", "dynamic", 4)]
        )
        for wanted in (None, "1"):
            with self.assertRaisesRegex(InputError, "2 dynamic series.*number 1:F .*; number 1:W .*choose one with --"):
                read_series(self.folder, wanted, times="6")
        for wanted, factor in (("1:W", 1), ("1:f", 0)):
            found = read_series(self.folder, wanted)
            np.testing.assert_allclose(found.times_s, np.arange(4) * 6.0)
            for read, written in zip(found.frames, self.series.frames[:4], strict=True):
                np.testing.assert_array_equal(read, np.asarray(written) * factor)
            self.assertRegex(" ".join(found.warnings), r"series 1 holds images of different ImageType .*W \(8\)")

        def angles(dataset, path):
            dataset.FlipAngle = str(5 + int(dataset.TemporalPositionIdentifier))

        self.change(angles)
        with self.assertRaisesRegex(InputError, "series 1:F and series 1:W have the same flip angle of 6 degrees; "):
            read_flip_angles(self.folder)
        found = read_flip_angles(self.folder, ["1:W"])
        np.testing.assert_array_equal(found.flip_angles_deg, [6, 7, 8, 9])
        np.testing.assert_array_equal(found.volumes[2], self.series.frames[2])

    def test_a_part_is_not_taken_by_itself(self):
        """Two frames are of another kind; without them the series would be read as if it were whole."""
        write_series(self.series, self.folder)

        def edit(dataset, path):
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", *(["NORM"] if int(path.name[5:9]) > 2 else [])]

        self.change(edit)
        with self.assertRaisesRegex(InputError, "series 1 mixes images of different ImageType .*1:NORM .*1:PLAIN"):
            read_series(self.folder)
        self.assertEqual(len(read_series(self.folder, "1:NORM").frames), 6)

    def test_a_series_that_the_user_names(self):
        self.volume("a", 5, "T1 map")
        with self.assertRaisesRegex(InputError, "series 5 'T1 map' is a T1 map .*, no dynamic series"):
            read_series(self.folder, "5")
        self.volume("b", 6, "STIR")
        found = read_series(self.folder, "6")
        self.assertRegex(" ".join(found.warnings), "series 6 does not look like a dynamic series .one frame.")
        write_series(self.series, self.folder / "c")
        self.change(
            lambda d, p: d.update({"SeriesNumber": "7", "ImageType": ["DERIVED", "SECONDARY", "SUBTRACTION"]}), "c/*"
        )
        found = read_series(self.folder, "7")
        self.assertRegex(" ".join(found.warnings), "series 7 does not look like .* .subtracted images by ImageType.")

    def test_frames_that_are_not_there(self):
        write_series(self.series, self.folder)
        self.assertNotRegex(" ".join(read_series(self.folder).warnings), "missing|NumberOf")
        self.change(lambda dataset, path: False, "frame0008*")
        self.assertRegex(
            " ".join(read_series(self.folder).warnings), r"NumberOfTemporalPositions \(0020,0105\) is 8, but 7 frames"
        )
        self.change(lambda dataset, path: False, "frame0003*")
        self.assertRegex(" ".join(read_series(self.folder).warnings), "Identifier .* goes from 2 to 4; frames between")
        self.change(lambda dataset, path: False, "frame0001*")
        self.assertRegex(" ".join(read_series(self.folder).warnings), "Identifier .* starts at 2; the first frames may")

    def test_units_of_real_world_values(self):
        """Philips' mapping to "no units" tells nothing; RescaleType does."""
        shape = self.series.shape
        for name, unit, slope, value, truth in (
            ("PDFF", "percent", 0.1, 600, 0.6),
            ("T1 map", "s", 0.001, 1200, 1200.0),
            ("PDFF", "US", 0.001, 600, 0.6),
        ):

            def edit(dataset, unit=unit, slope=slope):
                dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = str(slope), "0", unit
                units = item(CodeValue="1", CodingSchemeDesignator="UCUM", CodeMeaning="no units")
                dataset.RealWorldValueMappingSequence = item(
                    RealWorldValueSlope=slope, RealWorldValueIntercept=0.0, MeasurementUnitsCodeSequence=units
                )

            with self.subTest(name=name, unit=unit):
                self.volume("map", 5, name, values=np.full(shape, value, np.uint16), edit=edit)
                np.testing.assert_allclose(read_map(self.folder, "5")[0], truth)

    def test_padding_of_a_map_is_no_value(self):
        values = np.full(self.series.shape, 1000, np.uint16)
        values[:, :, :3] = 4000
        values[:, :, 3] = 4001
        for tags, columns in (
            ({0x00280120: 4000}, 3),
            ({0x00280120: 4001, 0x00280121: 4000}, 4),
        ):

            def edit(dataset, tags=tags):
                for tag, value in tags.items():  # PixelPaddingValue, PixelPaddingRangeLimit
                    dataset.add_new(tag, "US", value)

            self.volume("map", 5, "T1 map", values=values, edit=edit)
            found = read_map(self.folder, "5")[0]
            self.assertTrue(np.isnan(found[:, :, :columns]).all())
            np.testing.assert_array_equal(found[:, :, columns:], values[:, :, columns:])

    def test_a_map_with_a_table_of_values_is_refused(self):
        def edit(dataset):
            table = Dataset()
            table.add_new(0x00283002, "US", [4096, 0, 16])
            table.add_new(0x00283006, "OW", bytes(8192))
            dataset.ModalityLUTSequence = [table]

        self.volume("map", 5, "T1 map", edit=edit)
        with self.assertRaisesRegex(InputError, "image 1 of series 5 .* has a table of values, ModalityLUTSequence"):
            read_map(self.folder, "5")

    def test_units_of_maps_in_doubt(self):
        shape = self.series.shape
        for name, largest, factor in (
            ("PDFF", 1000, 0.001),
            ("PDFF", 95, 0.01),
            ("PDFF", 20, None),
            ("PDFF", 300, None),
        ):
            with self.subTest(largest=largest):
                self.volume("map", 5, name, values=np.full(shape, largest, np.uint16))
                if factor is None:
                    with self.assertRaisesRegex(InputError, "series 5 .fat fraction.: no tag tells its unit"):
                        read_map(self.folder, "5")
                else:
                    np.testing.assert_allclose(read_map(self.folder, "5")[0], largest * factor)
        self.volume("map", 5, "T1 map", values=np.full(shape, 2, np.uint16))
        with self.assertRaisesRegex(InputError, "series 5 .T1 map.: no tag tells its unit"):
            read_map(self.folder, "5")
        self.volume(
            "map", 5, "T1 map", values=np.full(shape, 2, np.uint16), edit=lambda d: setattr(d, "RescaleType", "s")
        )
        np.testing.assert_array_equal(read_map(self.folder, "5")[0], 2000.0)

    def test_none_is_dynamic(self):
        self.volume("a", 5, "T2")
        with self.assertRaisesRegex(InputError, "1 series, none of them dynamic: number 5 'T2' .2 files.: one frame"):
            read_series(self.folder)
        self.volume("b", 6, "STIR", edit=lambda d: setattr(d, "EchoTime", "80"))
        with self.assertRaisesRegex(InputError, "2 series, none of them dynamic.*number 6 'STIR'"):
            read_series(self.folder)
        self.assertEqual(len(read_series(self.folder, "6").frames), 1)

    def test_values_beyond_the_stored_bits(self):
        write_series(self.series, self.folder)
        self.change(lambda d, p: d.update({"BitsStored": 4, "HighBit": 3}), "frame0002_slice001*")
        found = read_series(self.folder)
        with self.assertRaisesRegex(InputError, "image 3 of series 1 .* beyond the 4 bits of BitsStored"):
            found.frames[1]

    def test_signed_values_without_sign_bits(self):
        write_series(self.series, self.folder)
        truth = np.arange(32 * 24, dtype=np.int16).reshape(32, 24) - 300

        def edit(dataset, path):
            dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 1
            dataset.PixelData = (truth.astype(np.uint16) & 0x0FFF).tobytes()

        self.change(edit)
        np.testing.assert_array_equal(read_series(self.folder).frames[0][0], truth)

    def test_the_command_line_shows_it(self):
        write_series(self.series, self.folder)
        (self.folder / "notes.txt").write_text("x", encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            self.assertEqual(main(["inspect", str(self.folder)]), 0)
        self.assertRegex(shown.getvalue(), r"1 +dynamic +DCE phantom +16 +8 +2 +32 +24 ")
        self.assertIn("8 frames, 3 to 21 s apart (TriggerTime)", shown.getvalue())
        self.assertIn("passed over: 1 file not DICOM: notes.txt", shown.getvalue())


class Mutations(Folder):
    """Mutated files are read or refused in one line; nothing is allocated by a promise of the header."""

    def test_mutations(self):
        random = np.random.default_rng(7)
        frames = np.arange(4 * 2 * 6 * 5, dtype=np.uint16).reshape(4, 2, 6, 5)
        write_enhanced(self.folder / "IM1", frames, np.arange(4) * 5.0)
        content = (self.folder / "IM1").read_bytes()
        outcomes = {"read": 0, "refused": 0}
        for _ in range(200):
            mutated = bytearray(content)
            for place in random.integers(132, len(content), 1 + random.integers(8)):
                mutated[place] = random.integers(256)
            if random.random() < 0.3:
                del mutated[random.integers(132, len(content)) :]
            (self.folder / "IM1").write_bytes(mutated)
            inspect_folder(self.folder)
            try:
                list(read_series(self.folder).frames)
                outcomes["read"] += 1
            except InputError as error:
                self.assertNotIn("\n", str(error))
                outcomes["refused"] += 1
        self.assertGreater(min(outcomes.values()), 5)

    def test_deep_nesting(self):
        write_series(self.series, self.folder)
        path = self.folder / "frame0001_slice001.dcm"
        content = path.read_bytes()
        start = content.index(b"\x08\x00\x60\x00CS")
        nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20000
        path.write_bytes(content[:start] + nested + content[start:])
        with self.assertRaisesRegex(InputError, "1 file its header is nested too deep: frame0001_slice001.dcm"):
            read_series(self.folder)
        self.assertRegex(" ".join(inspect_folder(self.folder).reasons), "nested too deep: frame0001_slice001.dcm")

    def test_promises_of_the_header(self):
        write_series(self.series, self.folder)
        for keyword, value in (("Rows", 65535), ("Columns", 65535), ("NumberOfFrames", 10**9), ("BitsAllocated", 32)):
            write_series(self.series, self.folder)
            self.change(lambda d, p, k=keyword, v=value: setattr(d, k, v), "frame0001_slice001*")
            with (
                self.subTest(keyword=keyword),
                self.assertRaisesRegex(InputError, "image 1 of series 1 cannot be deco"),
            ):
                read_series(self.folder)


class Qiba(unittest.TestCase):
    """QIBA v6 object: GE tags, Explicit VR Big Endian, first TriggerTime absent, AcquisitionTime the same in all."""

    @against(
        "Reading series and their times",
        "Tofts object: Explicit VR Big Endian, 1321 frames, one clock time for all",
        "qiba",
        "read_series",
    )
    def test_as_it_is(self):
        series = read_series(reference_data("qiba_v6_tofts_dicom"))
        self.assertEqual((len(series.frames), series.shape), (1321, (1, 80, 50)))
        measured(self, "frame times", series.times_s - np.arange(1321) * 0.5, 1e-9, "s")
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
