"""How long a large cohort takes from its CSV table to the report, and how much memory: made-up subjects x 5 vertebrae.

    python Testing/benchmarks/bench_cohort.py [--output FILE]

Each run is a `dce-perfusion-bmd cohort` of its own; memory is measured on Linux only.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LEVELS = 5
SIZES = (1_000, 10_000, 100_000)
RESAMPLES = 1_000
GOAL = "60 s and 1 GB for 100,000 subjects without bootstrap"


def write_table(path: Path, subjects: int, seed: int = 1) -> None:
    """A table by vertebra: BMD falls with age, perfusion with BMD."""
    random = np.random.default_rng(seed)
    age = random.uniform(45, 88, subjects)
    spine = np.clip(1.5 - 0.011 * age + random.normal(0, 0.12, subjects), 0.3, 2.0)
    neck = np.clip(0.9 * spine + random.normal(0, 0.06, subjects), 0.25, 2.0)
    bone = [f"{a:.2f},{s:.4f},{n:.4f},{(s - 0.981) / 0.1269:.3f}" for a, s, n in zip(age, spine, neck, strict=True)]
    shape = (subjects, LEVELS)
    ktrans = np.maximum(0.01, 0.4 + 0.9 * (spine - 0.75)[:, None] + random.normal(0, 0.05, shape))
    kep = np.maximum(1.0, 2.7 + 1.2 * (spine - 0.75)[:, None] + random.normal(0, 0.15, shape))
    with path.open("w", encoding="utf-8") as file:
        file.write("subject,level,age,bmd_lumbar,bmd_femoral_neck,t_lumbar,ktrans_per_min,kep_per_min,ve\n")
        for i in range(subjects):
            file.writelines(
                f"S{i:06d},L{k + 1},{bone[i]},{ktrans[i, k]:.4f},{kep[i, k]:.4f},{ktrans[i, k] / kep[i, k]:.5f}\n"
                for k in range(LEVELS)
            )


def run(table: Path, output: Path, resamples: int) -> tuple[float, float, float]:
    """Wall and CPU time in s, and the peak of memory in MB (NaN where it is not told)."""
    command = [sys.executable, "-m", "DCEPerfusionBMDLib.cli", "cohort", str(table), "--output", str(output)]
    start = time.perf_counter()
    child = subprocess.Popen([*command, "--resamples", str(resamples)], stdout=subprocess.DEVNULL)
    if not hasattr(os, "wait4"):
        if child.wait():
            raise SystemExit(child.returncode)
        return time.perf_counter() - start, float("nan"), float("nan")
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"the command ended with status {status}")
    peak = usage.ru_maxrss / 1e3 if sys.platform == "linux" else float("nan")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        "# Large cohorts",
        "",
        "`dce-perfusion-bmd cohort` from a CSV table to tables, figures, tests and report: made-up subjects, "
        f"{LEVELS} vertebrae each. Goal: {GOAL}; the bootstrap is bounded on its own. Python "
        f"{platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} CPUs. `make bench` makes this page.",
        "",
        "| subjects | rows | resamples | wall, s | CPU, s | peak memory, MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for subjects in SIZES:
            table = Path(folder, f"cohort{subjects}.csv")
            write_table(table, subjects)
            for resamples in (0, RESAMPLES):
                wall, cpu, peak = run(table, Path(folder, "out"), resamples)
                lines.append(
                    f"| {subjects:,} | {subjects * LEVELS:,} | {resamples:,} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |"
                )
                print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
