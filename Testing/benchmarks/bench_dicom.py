"""Time and memory of reading a dynamic series from DICOM files, beside a bare loop over the same files.

    python Testing/benchmarks/bench_dicom.py --output reading.md

The series is the lumbar phantom as single-frame files. All files have been read once before anything is timed, so they
lie in the cache of the system. What is timed takes turns, so that what else the machine does meets all alike. Peak
memory is that of a child process that does nothing else; the analysis is left out where slicer-core is not installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from DCEPerfusionBMDLib import cli, dicomio
from DCEPerfusionBMDLib.phantom import LumbarPhantom
from DCEPerfusionBMDLib.settings import Settings
from DCEPerfusionBMDLib.study import analyze as study_analyze

FRAMES, SLICES, ROWS, COLUMNS, FRAME_S = 60, 24, 256, 256, 3.0
ROUNDS = 3
MIB = 1 << 20
TASKS = ("nothing, imports alone", "bare loop", "read_series and every frame")

Work = Callable[[Path], object]


def bare_loop(study: Path) -> None:
    for path in sorted((study / "dicom").iterdir()):
        _ = pydicom.dcmread(path).pixel_array


def read(study: Path) -> None:
    series = dicomio.read_series(study / "dicom")
    frames = 0
    for frame in series.frames:
        frames += int(np.asarray(frame).shape == (SLICES, ROWS, COLUMNS))
    if frames != FRAMES:
        raise AssertionError(f"{frames} frames of the right size")


def read_series_alone(study: Path) -> None:
    dicomio.read_series(study / "dicom")


def analyze(study: Path) -> None:
    from DCEPerfusionBMDLib import headless, scene

    node = scene.read_segmentation(headless.HeadlessSlicer().scene, study / "segmentation.seg.nrrd")
    series = dicomio.read_series(study / "dicom")
    study_analyze(series, scene.masks_on_grid(node, series), Settings())


def analyze_to_files(study: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        cli.analyze_folder(study / "dicom", study / "segmentation.seg.nrrd", Path(name) / "out")


def timed(work: Work, study: Path) -> tuple[float, float]:
    """CPU and wall time in s."""
    cpu, wall = time.process_time(), time.perf_counter()
    work(study)
    return time.process_time() - cpu, time.perf_counter() - wall


def peak_bytes() -> int | None:
    """Largest resident size that this process ever had; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def child(task: str, study: Path) -> None:
    work: dict[str, Work] = {TASKS[1]: bare_loop, TASKS[2]: read}
    if task in work:
        work[task](study)
    print(json.dumps(peak_bytes()))


def memory(task: str, study: Path) -> int | None:
    command = [sys.executable, __file__, "--child", task, str(study)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, encoding="utf-8")
    peak: int | None = json.loads(run.stdout.splitlines()[-1])
    return peak


def section(study: Path) -> str:
    works: dict[str, Work] = {
        "`for f in files: pydicom.dcmread(f).pixel_array`": bare_loop,
        "`read_series` alone": read_series_alone,
        "`read_series` and every frame": read,
    }
    if importlib.util.find_spec("slicer") is not None:
        works["`read_series` and `study.analyze`"] = analyze
        works["`analyze_folder`: figure, maps and scene too"] = analyze_to_files
    bare_loop(study)
    rounds = [{name: timed(work, study) for name, work in works.items()} for _ in range(ROUNDS)]
    bare = next(iter(works))
    rows = []
    for name in works:
        cpu, wall = (statistics.median(times[name][n] for times in rounds) for n in (0, 1))
        ratios = [statistics.median(times[name][n] / times[bare][n] for times in rounds) for n in (0, 1)]
        spread = f"{min(times[name][1] for times in rounds):.2f} - {max(times[name][1] for times in rounds):.2f}"
        rows.append(f"| {name} | {cpu:.2f} | {wall:.2f} | {spread} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    peaks = {task: memory(task, study) for task in TASKS}
    size = FRAMES * SLICES * ROWS * COLUMNS * 2
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pydicom", "numpy"))
    return "\n".join(
        [
            "## Reading DICOM",
            "",
            f"{FRAMES} frames of {COLUMNS} x {ROWS} x {SLICES} voxels in {FRAMES * SLICES:,} single-frame files, "
            f"{size / MIB:.0f} MiB of voxels, warm in the cache of the system; medians of {ROUNDS} rounds in which all "
            f"take turns. Python {platform.python_version()}, {packages}, {os.cpu_count()} CPUs.",
            "",
            "| what | CPU, s | wall, s | wall, min - max | x bare loop, CPU | x bare loop, wall |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "| in a process of its own | peak memory (VmHWM), MiB |",
            "| --- | ---: |",
            *(f"| {task} | {'unknown' if peak is None else f'{peak / MIB:.0f}'} |" for task, peak in peaks.items()),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="Markdown file to write; without it the section is printed")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    phantom = LumbarPhantom(
        rows=ROWS, columns=COLUMNS, slices=SLICES, frame_time_s=FRAME_S, duration_s=FRAMES * FRAME_S
    )
    with tempfile.TemporaryDirectory() as name:
        study = Path(name)
        if importlib.util.find_spec("slicer") is not None:
            cli.write_phantom(phantom, study)
        else:
            dicomio.write_series(phantom.series(), study / "dicom")
        text = section(study)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
