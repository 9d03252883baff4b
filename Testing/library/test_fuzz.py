"""Damaged DICOM files are read or refused: no crash, no hang, no flood of memory, nothing written.

Mutation `n` depends on SEED and `n` alone. To see one again:

    PYTHONPATH=DCEPerfusionBMD:Testing python Testing/library/test_fuzz.py --again N
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import warnings
from pathlib import Path

import numpy as np
import pydicom
import vendors
from DCEPerfusionBMDLib import dicomio
from DCEPerfusionBMDLib.errors import InputError
from pydicom.dataelem import RawDataElement
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

try:
    import resource
except ImportError:  # Windows
    resource = None

SEED = 20190101
MUTATIONS = 2000
WORKERS = 2
LONGEST_S = 5.0
MEMORY = 1 << 30
FRAMES = 6

_VR = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OW PN SH SL SQ SS ST TM UI UL UN US UT".split()
_NAMES_OF_VR = re.compile(b"|".join(_VR))
_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_SYNTAXES += ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.3", "")
_SIZES = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_CHARACTER_SETS = ("ISO 2022 IR 87", "ISO_IR 999", "\\ISO 2022 IR 58", "GBK", "../../etc", "utf-9", "rot13", "hex")
_VALUES = (b"", b"nan", b"inf ", b"-1e999", b"1e308", b"\0\0", b"\xff" * 8, b"\\" * 40, b"9" * 64, b"1\\2\\3 ")


class _TooLong(BaseException):
    """No library catches it by accident."""


def studies(root):
    """Six frames of one slice in several encodings."""
    voxels = vendors.random_voxels(FRAMES, 1)
    vendors.write(root / "ge", vendors.ge_template(), vendors.ge_tags(), voxels)
    vendors.write(root / "siemens", vendors.siemens_template(), vendors.siemens_tags(), voxels, ImplicitVRLittleEndian)
    vendors.write(root / "big", vendors.ge_template(), vendors.ge_tags(), voxels, ExplicitVRBigEndian)
    vendors.write(root / "rle", vendors.ge_template(), vendors.ge_tags(), voxels, RLELossless)

    def rescaled(dataset, t, k):
        vendors.ge_tags()(dataset, t, k)
        dataset.RescaleSlope, dataset.RescaleIntercept = "1.5", "-3"

    vendors.write(root / "philips", vendors.philips_template(), rescaled, voxels)

    def at(frame, t, k):
        frame.FrameContentSequence[0].FrameAcquisitionDateTime = "".join(vendors.clock(43200 + t * vendors.STEP_S))

    vendors.enhanced(root / "enhanced", "SIEMENS", at, voxels=voxels)
    vendors.enhanced(root / "enhanced_rle", "SIEMENS", at, syntax=RLELossless, voxels=voxels)
    return sorted(root.iterdir())


def _flip(content, random, begin, end):
    changed = bytearray(content)
    for _ in range(random.integers(1, 9)):
        changed[random.integers(begin, max(end, begin + 1))] = random.integers(256)
    return bytes(changed)


def _pixels_at(content):
    return max(content.rfind(b"\xe0\x7f\x10\x00"), content.rfind(b"\x7f\xe0\x00\x10"), 200)


def truncated(content, random):
    return content[: random.integers(0, len(content))]


def header_flipped(content, random):
    return _flip(content, random, 128, _pixels_at(content) + 12)


def pixels_flipped(content, random):
    return _flip(content, random, _pixels_at(content), len(content))


def chunk_moved(content, random):
    a, b, c = np.sort(random.integers(132, len(content), 3))
    return content[:a] + content[b:c] + content[a:b] + content[c:] + content[a : b if random.random() < 0.5 else a]


def zeros(content, random):
    a, b = np.sort(random.integers(0, len(content), 2))
    return content[:a] + bytes(b - a) + content[b:]


def noise(content, random):
    return bytes(128) + b"DICM" + random.bytes(random.integers(0, 2000))


def _at_a_vr(content, random):
    found = [match.start() for match in _NAMES_OF_VR.finditer(content, 132, _pixels_at(content) + 12)]
    return found[random.integers(len(found))] if found else 140


def wrong_vr(content, random):
    at = _at_a_vr(content, random)
    other = (*_VR, b"??", b"\0\0")[random.integers(len(_VR) + 2)]
    return content[:at] + other + content[at + 2 :]


def wrong_length(content, random):
    at = _at_a_vr(content, random) + 2 * random.integers(1, 4)
    length = (b"\xff\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0", b"\1\0", random.bytes(4))
    new = length[random.integers(len(length))]
    return content[:at] + new + content[at + len(new) :]


def deep_sequence(content, random):
    """Nested to a depth of 10 to 3,000, closed or left open; as Explicit VR Little Endian has it."""
    depth = int(10 ** random.uniform(1.0, 3.5))
    begin = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    at = _pixels_at(content) if random.random() < 0.5 else max(content.find(b"\x08\x00\x60\x00CS"), 132)
    return content[:at] + begin * depth + end * (depth if random.random() < 0.7 else 0) + content[at:]


def _levels(dataset):
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _levels(item)


def _edited(edit):
    """A mutation of the data set; what cannot be parsed or written is flipped instead."""

    def mutation(content, random):
        try:
            dataset = pydicom.dcmread(io.BytesIO(content))
            levels = list(_levels(dataset))
            edit(levels[random.integers(len(levels))] if random.random() < 0.7 else dataset, dataset, random)
            buffer = io.BytesIO()
            dataset.save_as(buffer)
            return buffer.getvalue()
        except Exception:  # whatever pydicom says of nonsense
            return header_flipped(content, random)

    mutation.__name__ = edit.__name__.lstrip("_")
    return mutation


def _huge_sizes(level, dataset, random):
    if random.random() < 0.4:
        dataset.NumberOfFrames = int(random.choice([0, -1, 2, 7, 100_000, 2**31 - 1]))
    for keyword in random.choice(_SIZES, random.integers(1, 3)):
        setattr(dataset, str(keyword), int(random.choice([0, 1, 3, 8, 32, 64, 255, 32768, 65535])))


def _character_set(level, dataset, random):
    dataset.SpecificCharacterSet = str(random.choice(_CHARACTER_SETS)).split("\\")
    for tag, vr in ((0x0008103E, "LO"), (0x00080070, "LO"), (0x00180010, "LO"), (0x00100010, "PN")):
        value = random.bytes(12) if random.random() < 0.7 else b"\x1b$B" + random.bytes(6)
        dataset[tag] = RawDataElement(pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True)


def _tags_removed(level, dataset, random):
    for tag in random.permutation(list(level.keys()))[: random.integers(1, 11)]:
        del level[int(tag)]


def _values_replaced(level, dataset, random):
    for tag in random.permutation(list(level.keys()))[: random.integers(1, 4)]:
        element = level.get_item(int(tag))
        value = _VALUES[random.integers(len(_VALUES))]
        level[int(tag)] = RawDataElement(pydicom.tag.Tag(int(tag)), element.VR, len(value), value, 0, False, True)


def other_syntax(content, random):
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    old = str(dataset.file_meta.TransferSyntaxUID).encode()
    return content.replace(
        old, _SYNTAXES[random.integers(len(_SYNTAXES))].encode().ljust(len(old), b"\0")[: len(old)], 1
    )


KINDS = (
    truncated,
    header_flipped,
    pixels_flipped,
    chunk_moved,
    zeros,
    noise,
    wrong_vr,
    wrong_length,
    deep_sequence,
    other_syntax,
    *map(_edited, (_huge_sizes, _character_set, _tags_removed, _values_replaced)),
)


def mutate(n, folders):
    """The file that mutation `n` changes, its new content, and what was done."""
    random = np.random.default_rng([SEED, n])
    folder = folders[n % len(folders)]
    files = sorted(folder.iterdir())
    path = files[random.integers(len(files))]
    kind = KINDS[n // len(folders) % len(KINDS)]
    return path, kind(path.read_bytes(), random), f"{kind.__name__} of {folder.name}/{path.name}"


def _where():
    frame = traceback.extract_tb(sys.exc_info()[2])[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def outcome(folder):
    """What became of a folder: "read", "refused", or what must not be."""
    before = {path: path.stat().st_size for path in folder.rglob("*")}
    begin = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        series = dicomio.read_series(folder)
        frames = [np.asarray(frame) for frame in series.frames]
        found = "read"
        if len({frame.shape for frame in frames}) != 1 or frames[0].ndim != 3 or not np.isfinite(frames).all():
            found = "frames of different shapes, or not finite"
        elif len(series.times_s) != len(frames) or not (np.diff(series.times_s) > 0).all():
            found = "times that do not increase or do not fit the frames"
    except InputError as error:
        found = "refused" if "\n" not in str(error) else f"a message of several lines: {error}"
    except _TooLong:
        found = f"longer than {LONGEST_S:g} s in {_where()}"
    except BaseException as error:
        found = f"{type(error).__name__} in {_where()}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if time.perf_counter() - begin > LONGEST_S:
        found = f"took {time.perf_counter() - begin:.1f} s"
    if {path: path.stat().st_size for path in folder.rglob("*")} != before:
        found = "changed the folder"
    return found


def work(numbers, root, limited=True):
    """Runs mutations one after the other; a line of JSON before and after each."""

    def stop(number, frame):
        raise _TooLong

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, stop)
    folders = studies(root)
    if limited:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for n in numbers:
        path, content, what = mutate(n, folders)
        whole = path.read_bytes()
        path.write_bytes(content)
        print(json.dumps({"n": n, "what": what}), flush=True)
        print(json.dumps({"n": n, "outcome": outcome(path.parent)}), flush=True)
        path.write_bytes(whole)


class Fuzz(unittest.TestCase):
    @unittest.skipIf(resource is None, "the platform cannot limit the memory of a process")
    def test_mutated_files_are_read_or_refused(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        outputs, workers = [], []
        for n in range(WORKERS):
            output = tempfile.TemporaryFile()  # noqa: SIM115
            self.addCleanup(output.close)
            command = [sys.executable, __file__, "--worker", str(n)]
            workers.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment))
            outputs.append(output)
        found, deadline = {}, time.monotonic() + 300
        for worker, output in zip(workers, outputs, strict=True):
            try:
                status = worker.wait(max(deadline - time.monotonic(), 1))
            except subprocess.TimeoutExpired:
                worker.kill()
                status = f"{worker.wait()} (stopped after 300 s)"
            output.seek(0)
            text = output.read().decode(errors="replace")
            lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
            what = {line["n"]: line["what"] for line in lines if "what" in line}
            ended = {line["n"]: line["outcome"] for line in lines if "outcome" in line}
            found.update({n: (what[n], ended.get(n, f"the process ended with {status}")) for n in what})
            self.assertTrue(status == 0 or len(what) > len(ended), text[-2000:])
        outcomes = [ended for _, ended in found.values()]
        bad = sorted((n, *pair) for n, pair in found.items() if pair[1] not in ("read", "refused"))
        if bad:
            kinds = "\n  ".join(sorted({re.sub(r"[0-9A-F]{2,}", "N", ended) for _, _, ended in bad})[:20])
            first = "mutation {} ({}): {}".format(*bad[0])
            self.fail(f"{len(bad)} of {len(found)} (seed {SEED}); the first is {first}\nKinds:\n  {kinds}")
        self.assertEqual(len(found), MUTATIONS)
        # both outcomes occur, so the mutations are neither harmless nor all beyond recognition
        self.assertGreater(outcomes.count("read"), MUTATIONS // 20)
        self.assertGreater(outcomes.count("refused"), MUTATIONS // 4)


if __name__ == "__main__":
    if sys.argv[1:2] in (["--worker"], ["--again"]):
        number = int(sys.argv[2])
        one = sys.argv[1] == "--again"
        with tempfile.TemporaryDirectory() as name:
            work([number] if one else range(number, MUTATIONS, WORKERS), Path(name), limited=resource is not None)
    else:
        unittest.main()
