"""How long the panel takes to follow a change of one setting: 30,000 voxels of marrow, 60 frames.

    python Testing/benchmarks/bench_live.py [--output FILE]

Each run does what the panel does when Auto-update is on: it reads the nodes, analyzes, and updates maps, tables, charts
and segmentations of the scene. Drawing is the desktop's and is not in it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from DCEPerfusionBMDLib import scene, scenestudy, study
from DCEPerfusionBMDLib.headless import HeadlessSlicer
from DCEPerfusionBMDLib.phantom import LumbarPhantom
from DCEPerfusionBMDLib.settings import from_dict

PHANTOM = LumbarPhantom(rows=440, columns=300, slices=20, slice_thickness_mm=3.0, duration_s=180.0)
CHANGES: dict[str, list[dict[str, dict[str, Any]]]] = {
    "hematocrit": [{"conversion": {"hematocrit": value}} for value in (0.38, 0.40, 0.44)],
    "T1 of marrow": [{"conversion": {"t10_tissue_ms": value}} for value in (520.0, 580.0, 600.0)],
    "arterial input": [{"arterial_input": {"aif": value}} for value in ("parker", "georgiou", "measured")],
    "model": [{"model": {"model": value}} for value in ("patlak", "extended-tofts", "tofts")],
    "margin": [{"regions": {"margin_mm": value}} for value in (2.8, 3.2, 3.0)],
}
GOAL_S = 0.5


def measure() -> tuple[int, dict[str, list[tuple[float, float]]]]:
    """Analyzed voxels, and CPU and wall time in s of every run."""
    host = HeadlessSlicer()
    sequence = scene.write_series(host.scene, PHANTOM.series(), "DCE")
    node = scene.segmentation_from_masks(host.scene, "Segmentation", PHANTOM.segments, PHANTOM.ijk_to_ras)
    inputs = scenestudy.Inputs(host.scene)

    def run(values: dict[str, dict[str, Any]]) -> int:
        series = inputs.series(sequence)
        masks, labels = inputs.masks(node, series), scene.segment_labels(node)
        memory = inputs.memory(series, masks, labels)
        result = study.analyze(series, masks, from_dict(values), labels=labels, memory=memory)
        scene.ResultWriter(host.scene, sequence, node).write(series, result)
        return sum(int(np.count_nonzero(region.analyzed)) for region in result.rois.regions)

    voxels = run({})
    found: dict[str, list[tuple[float, float]]] = {}
    for what, changes in CHANGES.items():
        for values in changes:
            cpu, wall = time.process_time(), time.perf_counter()
            run(values)
            found.setdefault(what, []).append((time.process_time() - cpu, time.perf_counter() - wall))
    return voxels, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    voxels, found = measure()
    lines = [
        "# Following a change",
        "",
        f"What the panel does when a setting changes while Auto-update is on, without drawing: {voxels:,} voxels of "
        f"marrow, {len(PHANTOM.times_s)} frames of {PHANTOM.columns} x {PHANTOM.rows} x {PHANTOM.slices} voxels; three "
        f"changes each. Goal: {GOAL_S:g} s. Python {platform.python_version()}, numpy {np.__version__}, "
        f"{os.cpu_count()} CPUs, threads of the matrix product: {os.environ.get('OPENBLAS_NUM_THREADS', 'as many')}. "
        "`make bench` makes this page.",
        "",
        "| change | CPU, s, median | wall, s, median | wall, s, min - max |",
        "| --- | ---: | ---: | ---: |",
    ]
    for what, times in found.items():
        cpu, wall = zip(*times, strict=True)
        spread = f"{min(wall):.2f} - {max(wall):.2f}"
        lines.append(f"| {what} | {statistics.median(cpu):.2f} | {statistics.median(wall):.2f} | {spread} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
