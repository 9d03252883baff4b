"""Results as DICOM objects: valid by dciodvfy, and the same numbers at the same places for three independent readers."""

import contextlib
import csv
import dataclasses
import gzip
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pydicom
import vendors
from DCEPerfusionBMDLib import cli
from DCEPerfusionBMDLib.densitometry import measurements_from_values
from DCEPerfusionBMDLib.dicomio import read_series, write_series
from DCEPerfusionBMDLib.dicomio.source import find_source
from DCEPerfusionBMDLib.errors import InputError
from DCEPerfusionBMDLib.export import REGIONS_FILE, export_dicom, provenance, write_regions
from DCEPerfusionBMDLib.export.dicom import PRIVATE_CODES, STATUS_CODES
from DCEPerfusionBMDLib.export.regions import read_regions
from DCEPerfusionBMDLib.kinetics import FitStatus
from DCEPerfusionBMDLib.quantities import BY_NAME, PRIVATE_SCHEME
from DCEPerfusionBMDLib.roi import Fate, Region, VertebralRois
from DCEPerfusionBMDLib.settings import Settings, from_dict, to_dict
from DCEPerfusionBMDLib.stacks import read_stack
from DCEPerfusionBMDLib.study import analyze
from support import package, reference_data, small_phantom, tool

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


def made_up_result(folder, series, series_id=None, skip_frames=0, seed=1):
    """A result of random numbers on the grid of a series; returns the maps and the regions."""
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
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    settings = {
        group: {name: {"value": value} for name, value in values.items()}
        for group, values in to_dict(Settings()).items()
    }
    history = {
        "inputs": {"series": {"sha256": series.source_hash}},
        "choices": {"series": series_id, "skip_frames": skip_frames},
        "settings": settings,
        "used": {},
    }
    (folder / "provenance.json").write_text(json.dumps(history))
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


def code_of(content):
    return content.ConceptNameCodeSequence[0].CodeValue


class Exported(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        package("highdicom")
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
            k = int(round(float((np.linalg.inv(matrix) @ [*position, 1.0])[2])))
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


class OfEveryVendor(Exported):
    """Made-up results on studies as scanners store them: oblique, odd spacing, one file or many, in any order."""

    STUDIES = (
        *("GE LAVA", "GE reversed numbers", "Explicit VR Big Endian", "Siemens series per phase", "Philips rescaled"),
        *("2-D staggered", "enhanced Siemens shuffled", "enhanced RLE", "beside maps", "beside other objects"),
        *("Legacy Converted Enhanced MR", "negative spacing", "without meta information", "enhanced 2-D staggered"),
    )

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
        self.assertEqual([line for path in written for line in errors_of(path)], [])
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


if __name__ == "__main__":
    unittest.main()
