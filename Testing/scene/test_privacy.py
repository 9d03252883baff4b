"""Nothing that identifies the patient, nor where the files lay, is in what an analysis writes or says."""

import base64
import contextlib
import html
import io
import json
import re
import shutil
import tempfile
import unittest
import urllib.parse
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import slicer
from DCEPerfusionBMDLib import cli, scene
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from pydicom.dataset import Dataset
from support import run, small_phantom
from test_seriesfiles import nifti

MARK = "QXZVWK"
BORN, STUDIED, CLOCK = "19530412", "20230917", "101112.987654"
KEYWORDS = [
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "PatientComments",
    "PatientAddress",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "StationName",
    "DeviceSerialNumber",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
    "SequenceName",
    "RequestedProcedureDescription",
    "PerformedProcedureStepDescription",
]
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")


def mark(folder):
    """Write marked patient data into all files of a folder; returns the unique identifiers in them."""
    found = set()
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        for keyword in KEYWORDS:
            setattr(dataset, keyword, f"{MARK}{KEYWORDS.index(keyword)}")
        dataset.PatientBirthDate = BORN
        for keyword in ("Study", "Series", "Acquisition", "Content"):
            setattr(dataset, f"{keyword}Date", STUDIED)
            setattr(dataset, f"{keyword}Time", CLOCK)
        dataset.AcquisitionDateTime = STUDIED + CLOCK
        dataset.PatientAge, dataset.PatientWeight = "070Y", "71"
        item = Dataset()
        item.ScheduledPerformingPhysicianName = f"{MARK}NESTED"
        dataset.RequestAttributesSequence = [item]
        dataset.add_new(0x00290010, "LO", "SYNTHETIC")
        dataset.add_new(0x00291010, "LO", f"{MARK}PRIVATE")
        found.update(str(getattr(dataset, keyword)) for keyword in UIDS)
        dataset.save_as(path)
    return found


def compressed_texts(name, png):
    """The compressed texts in a PNG file, by name."""
    at = 8
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        data = png[at + 8 : at + 8 + length]
        if kind == b"zTXt":
            yield f"{name} {kind}", zlib.decompress(data.split(b"\0", 1)[1][1:])
        at += 12 + length


def contents(path):
    """The bytes of a file, and what is packed into it, by name."""
    content = path.read_bytes()
    pictures = rb"data:image/png;base64,([\w+/=]+)"
    yield path.name, re.sub(pictures, b"", content) if path.suffix == ".html" else content
    if content.startswith(b"\x89PNG"):
        yield from compressed_texts(path.name, content)
    if path.suffix == ".html":
        for number, encoded in enumerate(re.findall(pictures, content)):
            picture = base64.b64decode(encoded)
            yield f"{path.name} picture {number}", picture
            yield from compressed_texts(f"{path.name} picture {number}", picture)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                yield f"{path.name}:{member.filename}", member.filename.encode() + archive.read(member)


def leaks(folder, secrets):
    """The secrets found in the files of a folder, and how many contents were searched."""
    found, searched = [], 0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for name, content in contents(path):
                searched += 1
                found += [f"{secret} in {name}" for secret in spelled_in(content, secrets)]
    return found, searched


def spelled_in(content, secrets):
    """The secrets in bytes: plain, in UTF-16, or escaped as in XML and in links."""
    text = content.decode("latin-1")
    views = [view.lower() for view in (text, html.unescape(urllib.parse.unquote(text)), text.replace("\0", ""))]
    return [secret for secret in secrets if any(secret.lower() in view for view in views)]


class Privacy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.study = Path(temporary.name) / f"{MARK}FOLDER^of patient"
        cls.study.mkdir()
        cli.write_phantom(small_phantom(duration_s=120.0), cls.study)
        identifiers = mark(cls.study / "dicom")
        cls.secrets = [MARK, BORN, STUDIED, CLOCK, "1953-04-12", "2023-09-17", "10:11:12", "070Y", *identifiers]

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.output = Path(temporary.name) / "out"
        self.paths = [str(self.study), str(self.study.parent), str(self.output.parent)]

    def analyze(self, dicom, *more, volumes=None, segmentation=None):
        arguments = ["analyze", *(("--dicom", dicom) if volumes is None else ("--volumes", volumes))]
        arguments += ["--segmentation", segmentation or self.study / "segmentation.seg.nrrd"]
        arguments += ["--output", self.output, *more]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main([str(argument) for argument in arguments])
        return status, out.getvalue() + err.getvalue()

    def test_the_search_finds_what_it_should(self):
        found, _ = leaks(self.study / "dicom", self.secrets)
        for secret in (MARK, BORN, STUDIED, CLOCK, "070Y"):
            self.assertTrue(any(line.startswith(f"{secret} in") for line in found), secret)
        self.assertEqual(spelled_in(f"a {MARK} b".encode("utf-16"), self.secrets), [MARK])
        self.assertEqual(spelled_in(b"file:///tmp/QXZ%56WK%5E", [f"{MARK}^"]), [f"{MARK}^"])
        self.output.mkdir()
        with zipfile.ZipFile(self.output / "a.mrb", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.mrml", f'<MRML attributes="x:{MARK}"/>')
        self.assertEqual(leaks(self.output, self.secrets), ([f"{MARK} in a.mrb:a.mrml"], 2))

    def test_no_output_identifies_the_patient(self):
        status, said = self.analyze(self.study / "dicom", "--dxa", self.study / "dxa.csv", "--subject", "PHANTOM")
        self.assertEqual(status, 0, said)
        found, searched = leaks(self.output, self.secrets + self.paths)
        self.assertEqual(found, [])
        self.assertGreater(searched, 25)
        self.assertEqual(spelled_in(said.replace(str(self.output), "").encode(), self.secrets), [])
        self.assertTrue((self.output / "report.html").exists())

    def test_the_report_names_the_patient_when_asked_to(self):
        status, said = self.analyze(self.study / "dicom", "--keep-identifiers")
        self.assertEqual(status, 0, said)
        found = spelled_in((self.output / "report.html").read_bytes(), [MARK, BORN, "1953-04-12"])
        self.assertIn(MARK, found)

    def check_nothing_leaks(self, dicom=None, *more, **sources):
        status, said = self.analyze(dicom, *more, **sources)
        self.assertEqual(status, 0, said)
        found, searched = leaks(self.output, self.secrets + self.paths)
        self.assertEqual(found, [])
        self.assertGreater(searched, 25)
        for path in map(str, (*sources.values(), self.output)):
            said = said.replace(path, "")
        self.assertEqual(spelled_in(said.encode(), self.secrets), [])

    def test_uid_that_chooses_the_series(self):
        uid = str(pydicom.dcmread(next((self.study / "dicom").iterdir())).SeriesInstanceUID)
        self.check_nothing_leaks(self.study / "dicom", "--series", uid)

    def test_sequence_and_segmentation_with_names_in_their_headers(self):
        """In the keys that are read, in others, in the name of the index and in the tags of the segments."""
        node = scene.write_series(HeadlessSlicer().scene, small_phantom(duration_s=60.0).series(), "DCE")
        file = self.output.parent / f"{MARK}.seq.nrrd"
        scene.write_file(node, slicer.vtkMRMLVolumeSequenceStorageNode(), file)
        header, _, data = file.read_bytes().partition(b"\n\n")
        keys = {
            "PatientName": MARK,
            "DCEPerfusionBMD.flip_angle_deg.source": f"DICOM {MARK}",
            "MultiVolume.FrameLabels": f"{MARK},2",
            "MultiVolume.FrameIdentifyingDICOMTagName": f"{MARK}Time",
            "MultiVolume.FrameIdentifyingDICOMTagUnits": MARK,
        }
        sources = (f"TriggerTime of {MARK}", "") if b"timeSource" in header else ()
        self.assertTrue(sources)
        lines = [
            line for line in header.decode().split("\n") if "timeSource" not in line and "angle_deg.source" not in line
        ]
        lines += [f"{key}:={value}" for key, value in keys.items()]
        segmentation = self.output.parent / f"{MARK}.seg.nrrd"
        tags = f"Segment0_Tags:=DICOM.Patient:{MARK}|Segment0_Note:{MARK}|"
        content = (self.study / "segmentation.seg.nrrd").read_bytes()
        self.assertIn(b"Segment0_Tags:=", content)
        content = content.replace(b"Segment0_Tags:=", tags.encode())
        segmentation.write_bytes(content.replace(b"\n\n", f"\nDICOM.PatientID:={MARK}\n\n".encode(), 1))
        for source in sources:
            with self.subTest(source=source):
                marked = [line.replace('"time"', f'"{MARK}"') for line in lines]
                marked += [f"DCEPerfusionBMD.timeSource:={source}"] if source else []
                file.write_bytes("\n".join(marked).encode() + b"\n\n" + data)
                self.check_nothing_leaks(volumes=file, segmentation=segmentation)

    def test_nifti_and_json_with_names_in_them(self):
        """In the names of the files, which a warning is about, and where numbers should be."""
        frames = np.stack([np.asarray(frame) for frame in small_phantom(duration_s=60.0).series().frames])
        grid = small_phantom().ijk_to_ras
        file = nifti(self.output.parent / f"{MARK}.nii", frames, code=4, sform=grid, step=3.0, pixdim=(1, 9, 9, 9))
        times = self.output.parent / f"{MARK}.csv"
        times.write_text("\n".join(str(3 * n) for n in range(len(frames))), encoding="utf-8")
        content = {"VolumeTiming": [MARK], "FrameTimesStart": MARK, "PatientName": MARK, "ConversionSoftware": MARK}
        content |= {"FlipAngle": 30, "RepetitionTime": 0.0035, "MagneticFieldStrength": 1.5}
        file.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
        given = ("--agent", "gadobenate")
        self.check_nothing_leaks(None, *given, volumes=file)
        shutil.rmtree(self.output)
        self.check_nothing_leaks(None, *given, "--times", times, volumes=file)

    def test_files_that_are_passed_over_are_named_on_the_terminal_alone(self):
        dicom = self.output.parent / "dicom"
        shutil.copytree(self.study / "dicom", dicom)
        other = pydicom.dcmread(next(dicom.iterdir()))
        other.SeriesDescription = "T2 SAGITTAL"
        cut = dicom / f"{MARK}^JANE.dcm"
        other.save_as(cut)
        content = cut.read_bytes()
        cut.write_bytes(content[: content.find(b"T2 SAGITTAL") + 30])
        status, said = self.analyze(dicom)
        self.assertEqual(status, 0, said)
        self.assertEqual(said.count(f"warning: passed over: 1 file truncated: it has no image: {cut.name}"), 1, said)
        self.assertEqual(said.count("passed over"), 1)
        self.assertEqual(leaks(self.output, self.secrets + self.paths)[0], [])
        warnings = json.loads((self.output / "provenance.json").read_text(encoding="utf-8"))["warnings"]
        found = [warning for warning in warnings if "passed over" in warning]
        self.assertEqual(found, ["passed over: 1 file truncated: it has no image"])
        given = ["--source", self.study / "dicom", "--segmentation", self.study / "segmentation.seg.nrrd"]
        status, said, err = run("reproduce", self.output / "provenance.json", *given)
        self.assertEqual(status, 0, said + err)

    def test_what_cannot_be_read_is_not_quoted(self):
        """A damaged date or number is named by its attribute; its text may be a name in the wrong place."""
        dicom = self.output.parent / "dicom"
        dicom.mkdir()
        for path in (self.study / "dicom").iterdir():
            dataset = pydicom.dcmread(path)
            dataset.AcquisitionTime = dataset.ContentDate = f"{MARK}TIME"
            dataset.save_as(dicom / path.name)
        status, said = self.analyze(dicom)
        self.assertEqual(status, 0, said)
        self.assertEqual(leaks(self.output, self.secrets + self.paths)[0], [])
        self.assertEqual(spelled_in(said.replace(str(self.output), "").encode(), self.secrets), [])


if __name__ == "__main__":
    unittest.main()
