"""Dynamic series from NRRD and NIfTI files; the files are written here byte by byte, or by Slicer."""

import bz2
import gzip
import hashlib
import itertools
import json
import math
import struct
import tempfile
import tracemalloc
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from DCEPerfusionBMDLib import scene
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.sceneinput import read_node
from DCEPerfusionBMDLib.series import DynamicSeries, Sourced
from DCEPerfusionBMDLib.seriesfiles import read_file
from DCEPerfusionBMDLib.stacks import read_stack
from support import reference_data

SHAPE = (3, 4, 5)
FRAMES = 8
MATRIX = np.array([[0.0, -2.0, 0.0, 7.0], [1.5, 0.0, 0.0, -3.0], [0.0, 0.0, 5.0, 11.0], [0.0, 0.0, 0.0, 1.0]])
VALUES = (
    1000 * np.arange(FRAMES)[:, None, None, None]
    + 100 * np.arange(3)[:, None, None]
    + 10 * np.arange(4)[:, None]
    + np.arange(5)
).astype(np.int16)
NRRD_NAMES = {"i2": "short", "u2": "ushort", "f4": "float", "f8": "double", "u1": "uchar", "i4": "int"}


def nrrd(
    path,
    values=VALUES,
    first=False,
    encoding="raw",
    endian="little",
    dtype="i2",
    matrix=MATRIX,
    data_file=None,
    **fields,
):
    """Write a NRRD file after teem.sourceforge.net/nrrd/format.html; RAS coordinates unless told otherwise."""
    ordered = np.moveaxis(values, 0, -1) if first and values.ndim == 4 else values
    vectors = ["(" + ",".join(f"{x:g}" for x in matrix[:3, n]) + ")" for n in range(3)]
    kinds = ["domain"] * 3
    if values.ndim == 4:
        vectors.insert(0 if first else 3, "none")
        kinds.insert(0 if first else 3, "list")
    header = {
        "type": NRRD_NAMES[dtype],
        "dimension": values.ndim,
        "space": "right-anterior-superior",
        "sizes": " ".join(map(str, ordered.shape[::-1])),
        "space directions": " ".join(vectors),
        "kinds": " ".join(kinds),
        "endian": endian,
        "encoding": encoding,
        "space origin": "(" + ",".join(f"{x:g}" for x in matrix[:3, 3]) + ")",
    }
    pairs = {key: value for key, value in fields.items() if (key not in header and "." in key) or " index " in key}
    header |= {key.replace("_", " "): value for key, value in fields.items() if key not in pairs}
    if data_file:
        header["data file"] = data_file
    lines = ["NRRD0005", "# written by a test"]
    lines += [f"{key}: {value}" for key, value in header.items() if value is not None]
    lines += [f"{key}:={value}" for key, value in pairs.items()]
    data = ordered.astype((">" if endian == "big" else "<") + dtype).tobytes()
    data = {"raw": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}.get(encoding, bytes)(data)
    text = ("\n".join(lines) + "\n\n").encode()
    if data_file:
        (path.parent / data_file).write_bytes(data)
        path.write_bytes(text)
    else:
        path.write_bytes(text + data)
    return path


def nifti(
    path,
    values=VALUES,
    order="<",
    code=4,
    dtype="i2",
    units=2 | 8,
    step=4.5,
    scale=(0.0, 0.0),
    sform=MATRIX,
    qform=None,
    pixdim=(1.0, 1.5, 2.0, 5.0),
    codes=(0, 1),
):
    """Write a NIfTI-1 file after nifti1.h; `qform` is (b, c, d, x, y, z)."""
    dims = [values.ndim, *values.shape[::-1]] + [1] * (7 - values.ndim)
    header = struct.pack(order + "i36x", 348)
    header += struct.pack(order + "8h", *dims)
    header += struct.pack(order + "3f4h", 0, 0, 0, 0, code, 8 * np.dtype(dtype).itemsize, 0)
    header += struct.pack(order + "8f", *pixdim, step, 0, 0, 0)
    header += struct.pack(order + "3fhBB", 352, *scale, 0, 0, units)
    header += b"\0" * (252 - len(header))
    header += struct.pack(order + "2h", *codes)
    header += struct.pack(order + "6f", *(qform or (0,) * 6))
    header += struct.pack(order + "12f", *(np.eye(4) if sform is None else sform)[:3].ravel())
    header += b"\0" * 16 + b"n+1\0" + b"\0" * 4
    content = header + values.astype(order + dtype).tobytes()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


class Files(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def check(self, series, step=4.5, values=VALUES, atol=1e-9):
        self.assertEqual(len(series.frames), len(values))
        for frame, expected in zip(series.frames, values, strict=True):
            np.testing.assert_array_equal(frame, expected)
            self.assertTrue(frame.dtype.isnative)
        np.testing.assert_allclose(series.times_s, step * np.arange(len(values)), atol=1e-9)
        np.testing.assert_allclose(series.ijk_to_ras, MATRIX, atol=atol)
        self.assertEqual(len(series.source_hash), 64)

    def refuse(self, words, path, **options):
        with self.assertRaisesRegex(InputError, words) as caught:
            read_file(path, **options)
        self.assertNotIn("\n", str(caught.exception))


INDEX = {"axis 3 index values": " ".join(f"{4.5 * n:g}" for n in range(FRAMES)), "axis 3 index type": "numeric"}
AXIS = {"labels": '"" "" "" "time"', "units": '"mm" "mm" "mm" "s"'}


class Nrrd(Files):
    def test_sequence_in_every_encoding(self):
        for encoding in ("raw", "gzip", "bzip2"):
            for endian in ("little", "big"):
                with self.subTest(encoding=encoding, endian=endian):
                    path = nrrd(self.folder / "x.seq.nrrd", encoding=encoding, endian=endian, **INDEX, **AXIS)
                    self.check(read_file(path))

    def test_types(self):
        for dtype in NRRD_NAMES:
            with self.subTest(dtype=dtype):
                values = (VALUES % 250).astype(dtype)
                series = read_file(nrrd(self.folder / "x.seq.nrrd", values, dtype=dtype, **INDEX, **AXIS))
                self.check(series, values=values)
                self.assertEqual(series.frames[0].dtype, np.dtype(dtype))

    def test_multivolume(self):
        keys = {
            "MultiVolume.FrameLabels": ",".join(f"{4500 * n}" for n in range(FRAMES)),
            "MultiVolume.FrameIdentifyingDICOMTagName": "AcquisitionTime",
            "MultiVolume.FrameIdentifyingDICOMTagUnits": "ms",
            "MultiVolume.DICOM.RepetitionTime": "3.5",
        }
        for encoding in ("raw", "gzip"):
            series = read_file(nrrd(self.folder / "mv.nrrd", first=True, encoding=encoding, **keys))
            self.check(series)
            self.assertEqual(series.time_source, "MultiVolume.FrameLabels (AcquisitionTime)")
            self.assertEqual(series.acquisition["repetition_time_ms"].value, 3.5)
        keys["MultiVolume.FrameLabels"] = ",".join(f"{3.5 * n}" for n in range(FRAMES))
        self.refuse("its step of 3.5 ms is the repetition time", nrrd(self.folder / "mv.nrrd", first=True, **keys))
        keys["MultiVolume.ParseStrategy"] = "TemporalPosition_via_InstanceNumber*RepetitionTime"
        self.refuse(r"counted the repetition time per image \(TR x n\)", nrrd(self.folder / "mv.nrrd", **keys))

    def test_raw_data_is_mapped(self):
        series = read_file(nrrd(self.folder / "x.seq.nrrd", **INDEX, **AXIS))
        base = series.frames[2]
        while base is not None and not isinstance(base, np.memmap):
            base = base.base
        self.assertIsInstance(base, np.memmap)

    def test_detached_data(self):
        path = nrrd(self.folder / "x.seq.nhdr", encoding="gzip", data_file="x.raw.gz", **INDEX, **AXIS)
        series = read_file(path)
        self.check(series)
        self.assertEqual(series.source_files, 2)
        (self.folder / "x.raw.gz").unlink()
        self.refuse("refers to the data file 'x.raw.gz', which is not there", path)

    def test_spacing_of_a_time_axis(self):
        for unit, spacing, kind in (("s", "4.5", "time"), ("ms", "4500", "list")):
            path = nrrd(
                self.folder / "x.nrrd",
                kinds=f"domain domain domain {kind}",
                spacings=f"nan nan nan {spacing}",
                units=f'"mm" "mm" "mm" "{unit}"',
            )
            self.check(read_file(path))
        path = nrrd(self.folder / "x.nrrd", spacings="nan nan nan 1", units='"mm" "mm" "mm" "s"')
        self.refuse("goes up by exactly 1", path)

    def test_spaces(self):
        """The same place said in LPS."""
        flip = np.diag([-1.0, -1.0, 1.0, 1.0])
        path = nrrd(self.folder / "x.seq.nrrd", matrix=flip @ MATRIX, space="left-posterior-superior", **INDEX, **AXIS)
        self.check(read_file(path))
        path = nrrd(self.folder / "x.seq.nrrd", space="scanner-xyz", **INDEX, **AXIS)
        self.refuse("lies in the space 'scanner-xyz'", path)

    def test_spaces_with_time(self):
        """Directions of four numbers, that of the frames the step; the unit stands with those of the space."""
        flip = np.diag([-1.0, -1.0, 1.0, 1.0])
        for unit, step in (("s", "4.5"), ("ms", "4500")):
            path = nrrd(
                self.folder / "x.nrrd",
                space="left-posterior-superior-time",
                space_directions="(0,-1.5,0,0) (2,0,0,0) (0,0,5,0) (0,0,0," + step + ")",
                space_origin="(-7,3,11,0)",
                space_units=f'"mm" "mm" "mm" "{unit}"',
                kinds="space space space time",
            )
            np.testing.assert_allclose((flip @ MATRIX)[:3, 0], (0, -1.5, 0))
            self.check(read_file(path))
        text = path.read_bytes().replace(b'"ms"', b'""')
        path.write_bytes(text)
        self.refuse("no usable frame times", path)
        path.write_bytes(text.replace(b"(0,0,0,4500)", b"(1,0,0,4500)"))
        self.refuse("is one in space and time", path)

    def test_four_axes_of_itk(self):
        """They have no space, so nobody can tell how they lie."""
        path = nrrd(
            self.folder / "x.nrrd",
            space=None,
            space_dimension="4",
            space_directions="(1,0,0,0) (0,1,0,0) (0,0,1,0) (0,0,0,4.5)",
            space_origin="(0,0,0,0)",
            kinds="domain domain domain domain",
        )
        self.refuse("does not say how it lies in the patient .* as ITK writes four.* a 3-D file", path)

    def test_no_times(self):
        path = nrrd(self.folder / "x.nrrd")
        self.refuse("no usable frame times.*--times", path)
        self.check(read_file(path, times="4.5"))
        self.refuse("none of time|has no unit", nrrd(self.folder / "x.nrrd", **INDEX))
        milliseconds = {**INDEX, "axis 3 index values": " ".join(str(4500 * n) for n in range(FRAMES))}
        path = nrrd(self.folder / "x.nrrd", **milliseconds, **AXIS)
        self.refuse("4500 s is too long for a frame; the unit may be wrong", path)
        self.check(read_file(path, times="4500"), step=4500.0)

    def test_skipped_frames(self):
        series = read_file(nrrd(self.folder / "x.seq.nrrd", **INDEX, **AXIS), skip_frames=3)
        self.check(series, values=VALUES[3:])

    def test_bad_files(self):
        for words, fields in (
            ("does not say how it lies in the patient", {"space_directions": None}),
            ("is no series of volumes", {"space_directions": "(1,0,0) none none (0,1,0)"}),
            ("3 space directions for 4 axes", {"space_directions": "none (1,0,0) (0,1,0)"}),
            ("do not span a volume", {"space_directions": "(1,0,0) (0,1,0) (1,1,0) none"}),
            ("is no vector of 3 numbers", {"space_directions": "(1,x,0) (0,1,0) (1,1,0) none"}),
            ("is no point", {"space_origin": "(0,0)"}),
            ("holds a rgb-color", {"kinds": "domain domain domain RGB-color"}),
            ("in the encoding ascii", {"encoding": "ascii"}),
            ("skips lines", {"line_skip": "2"}),
            ("is no number", {"byte_skip": "two"}),
            ("byte skip or line skip is no number", {"byte_skip": "inf"}),
            ("byte skip or line skip is no number", {"byte_skip": "nan"}),
            ("byte skip or line skip is no number", {"line_skip": "inf"}),
            ("sizes '0 4 3 8' do not describe a volume", {"sizes": "0 4 3 8"}),
            ("refers to the data file ''", {"data_file": " "}),
            ("does not say how it lies in the patient", {"space": None}),
            ("does not say the byte order", {"endian": None}),
            ("it holds 960 bytes of data where 1080 are due", {"sizes": "5 4 3 9"}),
        ):
            with self.subTest(words=words):
                path = nrrd(self.folder / "x.seq.nrrd", **INDEX)
                text, _, data = path.read_bytes().partition(b"\n\n")
                lines = text.decode().split("\n")
                for field, value in fields.items():
                    name = field.replace("_", " ")
                    lines = [line for line in lines if not line.startswith(f"{name}: ")]
                    lines.insert(2, f"# {name}" if value is None else f"{name}: {value}")
                path.write_bytes("\n".join(lines).encode() + b"\n\n" + data)
                self.refuse(words, path)

    def test_truncated(self):
        for encoding in ("raw", "gzip", "bzip2"):
            for name, detached in (("x.seq.nrrd", None), ("x.seq.nhdr", "x.raw")):
                with self.subTest(encoding=encoding, name=name):
                    path = nrrd(self.folder / name, encoding=encoding, data_file=detached, **INDEX, **AXIS)
                    data = self.folder / (detached or name)
                    data.write_bytes(data.read_bytes()[:-40])
                    self.refuse(f"{data.name} is damaged", path)

    def test_too_little_data_under_whole_compression(self):
        for encoding, pack in (("gzip", gzip.compress), ("bzip2", bz2.compress)):
            path = nrrd(self.folder / "x.seq.nhdr", encoding=encoding, data_file="x.raw", **INDEX, **AXIS)
            (self.folder / "x.raw").write_bytes(pack(VALUES.tobytes()[:-40]))
            self.refuse("x.raw is damaged: it holds 920 bytes of data where 960 are due", path)

    def test_other_files(self):
        (self.folder / "x.png").write_bytes(b"")
        self.refuse("x.png is none of", self.folder / "x.png")
        self.refuse("does not exist", self.folder / "y.nrrd")
        (self.folder / "z.nrrd").write_bytes(b"hello")
        self.refuse("z.nrrd is damaged or no NRRD file", self.folder / "z.nrrd")
        self.refuse("single volume", nrrd(self.folder / "v.nrrd", VALUES[0]))


class AgainstSlicer(Files):
    """Slicer's own writers and readers say the same of a file."""

    def setUp(self):
        super().setUp()
        self.host = HeadlessSlicer()

    def by_slicer(self, path):
        node = self.host.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "read")
        storage = slicer.vtkMRMLVolumeSequenceStorageNode()
        storage.SetFileName(str(path))
        self.assertTrue(storage.ReadData(node))
        return node

    def test_a_written_sequence(self):
        given = DynamicSeries(
            list(VALUES),
            4.5 * np.arange(FRAMES),
            MATRIX,
            {"flip_angle_deg": Sourced(12.0, "DICOM FlipAngle"), "agent": Sourced("gadobutrol", "user")},
            "TriggerTime (0018,1060)",
        )
        node = scene.write_series(self.host.scene, given, "DCE")
        for name in ("x.seq.nrrd", "x.seq.nhdr"):
            for compressed in (0, 1):
                with self.subTest(name=name, compressed=compressed):
                    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
                    storage.SetUseCompression(compressed)
                    scene.write_file(node, storage, self.folder / name)
                    series = read_file(self.folder / name)
                    self.check(series)
                    self.assertEqual(series.time_source, given.time_source)
                    self.assertEqual(series.acquisition, given.acquisition)

    def test_sequences(self):
        for fields in ({}, {"first": True}, {"endian": "big", "encoding": "gzip"}):
            path = nrrd(self.folder / "x.nrrd", **fields)
            by_file, by_node = (
                read_file(path, times="4.5"),
                read_node(self.by_slicer(path), self.host.scene, times="4.5"),
            )
            self.check(by_file)
            self.check_same(by_file, by_node)

    def test_nifti(self):
        for fields in (
            {},
            {"order": ">"},
            {"codes": (1, 0), "qform": (0.0, 0.0, math.sqrt(0.5), 7.0, -3.0, 11.0), "pixdim": (1, 1.5, 2.0, 5.0)},
            {"codes": (1, 0), "qform": (0.1, -0.3, 0.2, 7.0, -3.0, 11.0), "pixdim": (-1, 1.5, 2.0, 5.0)},
        ):
            path = nifti(self.folder / "x.nii.gz", **fields)
            self.check_same(read_file(path), read_node(self.by_slicer(path), self.host.scene))

    def test_sform_and_qform_of_every_code(self):
        """The same header lands in the same place as the reader of Slicer puts it, also where its forms differ."""
        sform = np.diag([1.0, 1.0, 1.0, 1.0])
        sform[:3, 3] = (50.0, 60.0, 70.0)
        for q, s in itertools.product(range(5), repeat=2):
            with self.subTest(q=q, s=s):
                path = nifti(self.folder / "x.nii", VALUES[0], codes=(q, s), sform=sform, pixdim=(1, 1, 1, 1))
                if not q and not s:
                    with self.assertRaisesRegex(InputError, "does not say how it lies"):
                        read_stack(path)
                    continue
                node, storage = slicer.vtkMRMLScalarVolumeNode(), slicer.vtkMRMLVolumeArchetypeStorageNode()
                storage.SetFileName(str(path))
                self.assertTrue(storage.ReadData(node))
                matrix = vtk.vtkMatrix4x4()
                node.GetIJKToRASMatrix(matrix)
                stack = read_stack(path)
                np.testing.assert_allclose(stack.ijk_to_ras, slicer.util.arrayFromVTKMatrix(matrix), atol=1e-5)
                used = "sform" if np.isclose(matrix.GetElement(0, 3), 50.0) else "qform"
                told = f"sform and qform of the file differ; the {used} is used, as in Slicer"
                self.assertEqual(stack.warnings, (told,) if q and s else ())

    def test_step_that_slicer_makes_up(self):
        """It is no time, neither on the node nor in the file that Slicer saves of it."""
        for step, units in ((1.0, 2), (1.0, 2 | 8), (0.0, 2 | 8)):
            with self.subTest(step=step, units=units):
                path = nifti(self.folder / "x.nii", step=step, units=units)
                self.refuse("no usable frame times", path)
                node = self.by_slicer(path)
                words = "goes up by exactly 1|has no unit"
                with self.assertRaisesRegex(InputError, words):
                    read_node(node, self.host.scene)
                scene.write_file(node, slicer.vtkMRMLVolumeSequenceStorageNode(), self.folder / "x.seq.nrrd")
                self.refuse(words, self.folder / "x.seq.nrrd")
                self.assertEqual(read_file(self.folder / "x.seq.nrrd", times="1").times_s[-1], FRAMES - 1)

    def check_same(self, one, other):
        """Slicer turns the slices around where a file is left-handed, so voxels are compared where they lie."""
        k, j, i = np.indices(one.shape)
        to_other = np.linalg.inv(other.ijk_to_ras) @ one.ijk_to_ras
        there = (np.stack([i, j, k, np.ones(one.shape)], axis=-1) @ to_other.T)[..., 2::-1]
        np.testing.assert_allclose(there, np.rint(there), atol=1e-5)
        there = tuple(np.moveaxis(np.rint(there).astype(int), -1, 0))
        for a, b in zip(one.frames, other.frames, strict=True):
            np.testing.assert_array_equal(a, b[there])
        np.testing.assert_allclose(one.times_s, other.times_s, atol=1e-5)

    def test_pkmodeling(self):
        path = reference_data("pkmodeling") / "DRO5min1secinf.nrrd"
        by_file, by_node = read_file(path), read_node(self.by_slicer(path), self.host.scene)
        self.check_same(by_file, by_node)
        np.testing.assert_array_equal(by_file.times_s, np.arange(300.0))
        self.assertEqual(by_file.acquisition, by_node.acquisition)


class Nifti(Files):
    def test_step(self):
        for name in ("x.nii", "x.nii.gz"):
            for order in "<>":
                for unit, factor in ((8, 1.0), (16, 1e3), (24, 1e6)):
                    with self.subTest(name=name, order=order, unit=unit):
                        path = nifti(self.folder / name, order=order, units=2 | unit, step=4.5 * factor)
                        self.check(read_file(path), atol=1e-5)

    def test_step_that_is_none(self):
        for words, fields in (
            ("xyzt_units does not say that it is a time", {"units": 2}),
            (r"pixdim\[4\]: it is 0", {"step": 0.0}),
            ("it is nan", {"step": math.nan}),
            ("goes up by exactly 1", {"step": 1.0}),
            ("4500 s is too long for a frame; the unit may be wrong", {"step": 4500.0}),
            ("0.0034 s is too short for a frame", {"step": 0.0034}),
        ):
            path = nifti(self.folder / "x.nii.gz", **fields)
            self.refuse(words + ".*--times", path)
            self.check(read_file(path, times="4.5"))

    def test_scaled(self):
        series = read_file(nifti(self.folder / "x.nii.gz", scale=(0.5, -3.0)))
        self.check(series, values=VALUES * 0.5 - 3.0)
        self.assertEqual(series.frames[0].dtype, np.float32)
        self.check(read_file(nifti(self.folder / "x.nii.gz", scale=(math.nan, math.nan))))
        self.refuse("it scales its values by 2 and nan", nifti(self.folder / "x.nii.gz", scale=(2.0, math.nan)))

    def test_qform(self):
        """A quarter turn about z: (a, b, c, d) = (sqrt 1/2, 0, 0, sqrt 1/2) takes i to y and j to -x."""
        turn = (0.0, 0.0, math.sqrt(0.5), 7.0, -3.0, 11.0)
        path = nifti(self.folder / "x.nii", codes=(1, 0), qform=turn, sform=None, pixdim=(1, 1.5, 2.0, 5.0))
        self.check(read_file(path), atol=1e-5)
        path = nifti(self.folder / "x.nii", codes=(1, 1), qform=turn, pixdim=(1, 1.5, 2.0, 5.0))
        self.assertEqual(read_file(path).warnings, ())
        path = nifti(self.folder / "x.nii", codes=(1, 1), qform=(0.0, 0.0, 0.0, 7.0, -3.0, 11.0))
        series = read_file(path)
        self.check(series)
        self.assertRegex(series.warnings[0], "sform and qform of the file differ; the sform is used")
        series = read_file(nifti(self.folder / "x.nii", pixdim=(1, 2.0, 2.0, 5.0)))
        self.assertRegex(series.warnings[0], "sform and pixdim of the file differ in voxel size")
        self.refuse("does not say how it lies", nifti(self.folder / "x.nii", codes=(0, 0)))

    def test_lengths_in_meters(self):
        series = read_file(
            nifti(
                self.folder / "x.nii",
                sform=np.diag([1e-3, 1e-3, 1e-3, 1]) @ MATRIX,
                units=1 | 8,
                pixdim=(1, 1.5e-3, 2e-3, 5e-3),
            )
        )
        self.check(series, atol=1e-5)

    def test_bad_files(self):
        self.refuse("colors or complex", nifti(self.folder / "x.nii", code=128))
        self.refuse("more than four dimensions", nifti(self.folder / "x.nii", VALUES.reshape(2, 4, *SHAPE)))
        self.refuse("do not span a volume", nifti(self.folder / "x.nii", sform=np.zeros((4, 4))))
        self.refuse("single volume", nifti(self.folder / "x.nii", VALUES[0]))
        for name in ("x.nii", "x.nii.gz"):
            path = nifti(self.folder / name)
            path.write_bytes(path.read_bytes()[:-40])
            self.refuse("is damaged", path)
        for offset in (0.0, -100.0, 40.0, math.nan, math.inf):
            content = bytearray(nifti(self.folder / "x.nii").read_bytes())
            content[108:112] = struct.pack("<f", offset)
            (self.folder / "x.nii").write_bytes(content)
            self.refuse("its header does not describe a volume", self.folder / "x.nii")

    def test_values_of_a_voxel_as_frames(self):
        """ITK's images of vectors: five dimensions, the fourth of size 1."""
        for name in ("x.nii", "x.nii.gz"):
            path = nifti(self.folder / name, VALUES[:, np.newaxis])
            self.refuse("no usable frame times", path)
            self.check(read_file(path, times="4.5"), atol=1e-6)

    def test_second_version(self):
        """After nifti2.h: a header of 540 bytes, with wider fields in another order."""
        for order in "<>":
            header = struct.pack(order + "i8shh", 540, b"n+2\0\r\n\032\n", 4, 16)
            header += struct.pack(order + "8q", 4, *VALUES.shape[::-1], 1, 1, 1) + b"\0" * 24
            header += struct.pack(order + "8dq2d", 1, 1.5, 2, 5, 4.5, 0, 0, 0, 544, 0.5, -3.0)
            header += b"\0" * (344 - len(header))
            header += struct.pack(order + "2i6d12d", 0, 1, *[0.0] * 6, *MATRIX[:3].ravel())
            header += struct.pack(order + "2i", 0, 2 | 8)
            content = header + b"\0" * (544 - len(header)) + VALUES.astype(order + "i2").tobytes()
            (self.folder / "x.nii").write_bytes(content)
            (self.folder / "x.nii.gz").write_bytes(gzip.compress(content))
            for name in ("x.nii", "x.nii.gz"):
                self.check(read_file(self.folder / name), values=VALUES * 0.5 - 3.0)


class Memory(Files):
    def test_no_second_copy(self):
        """A series is mapped, or unpacked once; also while the file is checked."""
        values = np.random.default_rng(1).integers(0, 4000, (20, 20, 128, 128)).astype(np.int16)
        index = {**INDEX, "axis 3 index values": " ".join(f"{4.5 * n:g}" for n in range(20)), **AXIS}
        for path, most in (
            (nrrd(self.folder / "x.seq.nrrd", values, **index), 0.25),
            (nrrd(self.folder / "z.seq.nrrd", values, encoding="gzip", **index), 1.25),
            (nifti(self.folder / "x.nii", values), 0.25),
            (nifti(self.folder / "z.nii.gz", values), 1.25),
        ):
            tracemalloc.start()
            try:
                series = read_file(path)
                total = sum(int(frame.sum()) for frame in series.frames)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            self.assertEqual(total, int(values.sum()))
            self.assertLess(peak / values.nbytes, most, path.name)


class SideCar(Files):
    def series(self, **content):
        (self.folder / "x.json").write_text(json.dumps(content), encoding="utf-8")
        return read_file(nifti(self.folder / "x.nii.gz", step=9.0))

    def test_is_in_the_hash(self):
        """SHA-256 over the sorted hashes of the files, by hashlib."""
        bare = read_file(nifti(self.folder / "x.nii.gz", step=9.0))
        hashes = set()
        for content in ({}, {"FlipAngle": 12}, {"FlipAngle": 13}):
            series = self.series(**content)
            each = [hashlib.sha256((self.folder / name).read_bytes()).hexdigest() for name in ("x.json", "x.nii.gz")]
            self.assertEqual(series.source_hash, hashlib.sha256("".join(sorted(each)).encode()).hexdigest())
            self.assertEqual(series.source_files, 2)
            hashes.add(series.source_hash)
        self.assertEqual(len(hashes | {bare.source_hash}), 4)

    def test_lists_go_before_the_header(self):
        for key in ("VolumeTiming", "FrameTimesStart"):
            series = self.series(**{key: [4.5 * n for n in range(FRAMES)], "RepetitionTime": 3.0})
            self.check(series)
            self.assertEqual(series.time_source, f"{key} of the JSON file")

    def test_repetition_time_of_volumes(self):
        """As BIDS has it; and RepetitionTimeExcitation is that of the sequence."""
        series = self.series(RepetitionTime=4.5, RepetitionTimeExcitation=0.0035)
        self.check(series)
        self.assertEqual(series.time_source, "RepetitionTime of the JSON file")
        self.assertRegex(series.warnings[0], "come from RepetitionTime of the JSON file; check that")
        self.assertAlmostEqual(series.acquisition["repetition_time_ms"].value, 3.5)

    def test_repetition_time_of_the_sequence(self):
        """As dcm2niix writes it."""
        series = self.series(RepetitionTime=0.0035)
        self.check(series, step=9.0)
        self.assertEqual((series.time_source, series.warnings), ("NIfTI pixdim[4]", ()))
        self.assertRegex(series.times_rejected[0], "3.5 ms is the repetition time")
        self.assertAlmostEqual(series.acquisition["repetition_time_ms"].value, 3.5)

    def test_repetition_time_of_the_sequence_that_is_long(self):
        """Saturation recovery, say; dcm2niix takes it from DICOM (0018,0080)."""
        series = self.series(ConversionSoftware="dcm2niix", RepetitionTime=0.5)
        self.check(series, step=9.0)
        self.assertRegex(series.times_rejected[0], "dcm2niix writes that of the sequence there")
        self.assertAlmostEqual(series.acquisition["repetition_time_ms"].value, 500.0)

    def test_seconds_that_are_milliseconds(self):
        for content in ({"EchoTime": 1.5}, {"RepetitionTimeExcitation": 5.0}, {"RepetitionTimeExcitation": 3.5}):
            with self.assertRaisesRegex(InputError, "of the JSON file is .* BIDS gives it in s"):
                self.series(**content)
        series = self.series(RepetitionTime=4500)
        self.assertRegex(series.times_rejected[0], "4500 s is too long for a frame; the unit may be wrong")
        self.check(series, step=9.0)

    def test_acquisition(self):
        found = self.series(
            EchoTime=0.0012,
            FlipAngle=15,
            MagneticFieldStrength=3,
            Manufacturer="GE",
            ContrastBolusIngredient="GADOLINIUM",
        ).acquisition
        values = {name: entry.value for name, entry in found.items()}
        self.assertAlmostEqual(values.pop("echo_time_ms"), 1.2)
        expected = {"flip_angle_deg": 15.0, "field_strength_T": 3.0, "agent": "GADOLINIUM", "manufacturer": "GE"}
        self.assertEqual(values, expected)

    def test_bad_side_cars(self):
        for words, content in (
            (r"EchoTime of the JSON file is \[0.1, 0.2\]", {"EchoTime": [0.1, 0.2]}),
            ("FlipAngle of the JSON file is 'big'", {"FlipAngle": "big"}),
            ("'-3'", {"FlipAngle": -3}),
        ):
            with self.assertRaisesRegex(InputError, words):
                self.series(**content)
        series = self.series(VolumeTiming=[0, 1, "x"])
        self.assertRegex(series.times_rejected[0], "VolumeTiming .*value 3 is no number")
        for text in ('{"FrameTimesStart": [0, 1,]}', "[1]"):
            (self.folder / "x.json").write_text(text, encoding="utf-8")
            self.refuse("x.json beside x.nii.gz.*correct it or take it away", self.folder / "x.nii.gz")


class Folder(Files):
    def setUp(self):
        super().setUp()
        self.stack = self.folder / "stack"
        self.stack.mkdir()

    def test_natural_order(self):
        for write, suffix in ((nrrd, "nrrd"), (nifti, "nii.gz")):
            for path in self.stack.iterdir():
                path.unlink()
            for n, values in enumerate(VALUES):
                write(self.stack / f"DCE_{n + 5}.{suffix}", values)
            (self.stack / "notes.txt").write_text("", encoding="utf-8")
            self.refuse("stack has no usable frame times.*--times", self.stack)
            series = read_file(self.stack, times="4.5")
            self.check(series)
            self.assertEqual(series.source_files, FRAMES)
            self.assertEqual(series.shape, SHAPE)

    def test_times_of_side_cars(self):
        for n, values in enumerate(VALUES):
            nifti(self.stack / f"DCE_{n}.nii.gz", values)
            s = 86400 - 10 + 4.5 * n
            clock = f"{int(s // 3600 % 24):02d}:{int(s // 60 % 60):02d}:{s % 60:09.6f}"
            content = {"AcquisitionTime": clock, "RepetitionTime": 0.0035, "FlipAngle": 12}
            (self.stack / f"DCE_{n}.json").write_text(json.dumps(content), encoding="utf-8")
        series = read_file(self.stack)
        self.check(series)
        self.assertEqual(series.time_source, "AcquisitionTime of the JSON files")
        self.assertRegex(series.warnings[0], "midnight")
        self.assertAlmostEqual(series.acquisition["repetition_time_ms"].value, 3.5)
        self.assertEqual(series.source_files, 2 * FRAMES)
        last = self.stack / f"DCE_{FRAMES - 1}.json"
        last.write_text(json.dumps({**content, "EchoTime": None}), encoding="utf-8")
        self.assertNotEqual(read_file(self.stack).source_hash, series.source_hash)
        (self.stack / "DCE_3.json").write_text(json.dumps({**content, "FlipAngle": 13}), encoding="utf-8")
        self.refuse("beside DCE_3.nii.gz and DCE_0.nii.gz give different acquisition values", self.stack)

    def test_what_is_no_frame(self):
        """Beside the frames lies what was made of them, on their grid."""
        for n, values in enumerate(VALUES):
            nrrd(self.stack / f"frame{n:02d}.nrrd", values)
        for words, name, write, fields in (
            ("segmentation.seg.nrrd in stack may be no frame beside frame00.nrrd", "segmentation.seg.nrrd", nrrd, {}),
            ("frame00.seg.nrrd in stack may be no frame", "frame00.seg.nrrd", nrrd, {}),
            ("t1map.nrrd in stack may be no frame", "t1map.nrrd", nrrd, {"dtype": "f4"}),
            ("frame00.nii.gz in stack may be no frame", "frame00.nii.gz", nifti, {}),
            ("frame00.nrrd and frame0.nrrd in stack have the same", "frame0.nrrd", nrrd, {}),
            ("frame08.nrrd holds fractions and frame00.nrrd whole", "frame08.nrrd", nrrd, {"dtype": "f4"}),
        ):
            with self.subTest(name=name):
                path = write(self.stack / name, VALUES[0], **fields)
                self.refuse(words, self.stack, times="3")
                path.unlink()
        self.check(read_file(self.stack, times="4.5"))

    def test_detached_data_is_in_the_hash(self):
        for field in ("data file", "datafile"):
            for n, values in enumerate(VALUES):
                path = nrrd(self.stack / f"{n}.nhdr", values, data_file=f"{n}.raw")
                path.write_bytes(path.read_bytes().replace(b"data file:", f"{field}:".encode()))
            before = read_file(self.stack, times="4.5")
            self.assertEqual(before.source_files, 2 * FRAMES)
            (self.stack / "3.raw").write_bytes(VALUES[0].tobytes())
            self.assertNotEqual(read_file(self.stack, times="4.5").source_hash, before.source_hash)

    def test_refusals(self):
        self.refuse("stack holds 0 NRRD or NIfTI files.*--dicom", self.stack)
        for n, values in enumerate(VALUES):
            nrrd(self.stack / f"{n}.nrrd", values)
        moved = MATRIX.copy()
        moved[2, 3] += 0.1
        nrrd(self.stack / "5.nrrd", VALUES[5], matrix=moved)
        self.refuse("5.nrrd does not lie on the grid of 0.nrrd", self.stack, times="3")
        nrrd(self.stack / "5.nrrd", VALUES[5, :2])
        self.refuse("5.nrrd does not lie on the grid of 0.nrrd", self.stack, times="3")
        nrrd(self.stack / "5.nrrd")
        self.refuse("5.nrrd in stack holds 8 frames; give that file", self.stack)


if __name__ == "__main__":
    unittest.main()
