"""How fast a batch is: workers against one worker and a bare loop, and a made-up cohort of 100,000 studies.

    python Testing/benchmarks/bench_batch.py [--studies N] [--subjects N,...] [--output FILE]

The real studies are small phantoms, analyzed in turns so that other work on the machine meets all alike. The made-up
cohort has its analysis replaced by something that writes tables of the right shape.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from DCEPerfusionBMDLib import batch, cli
from DCEPerfusionBMDLib.cli.batch import _what_is_done, read_studies
from DCEPerfusionBMDLib.cohort import assemble
from DCEPerfusionBMDLib.settings import CohortSettings
from support import small_phantom

PHANTOMS, BLOCK = 4, 20
GOAL_S, GOAL_MB = 120.0, 1500.0
COMMAND = [sys.executable, "-m", "DCEPerfusionBMDLib.cli"]


def write_phantoms(folder: Path) -> None:
    for n in range(PHANTOMS):
        phantom = small_phantom(rows=64, columns=48, slices=4, duration_s=60.0, snr=20.0, seed=n)
        (folder / f"p{n}").mkdir()
        cli.write_phantom(phantom, folder / f"p{n}")


def write_studies(path: Path, names: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "dicom", "segmentation", "age"])
        for n, name in enumerate(names):
            study = f"p{n % PHANTOMS}"
            writer.writerow([name, f"{study}/dicom", f"{study}/segmentation.seg.nrrd", 50 + n % 40])


def real_studies(folder: Path, count: int) -> Iterator[str]:
    """Time per study of a bare loop, of one worker and of two, in turns that each way begins as often."""
    write_phantoms(folder)
    seconds = {"bare loop": 0.0, "1 worker": 0.0, "2 workers": 0.0}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
    for done in range(0, count, BLOCK):
        number = done // BLOCK
        table = folder / f"studies{number}.csv"
        write_studies(table, [f"S{n:05d}" for n in range(done, min(done + BLOCK, count))])
        plan = read_studies(table)
        turn = number % len(seconds)
        for way in [*seconds][turn:] + [*seconds][:turn]:
            output = folder / f"{way}{number}"
            start = time.perf_counter()
            if way == "bare loop":
                for study in plan.studies:
                    arguments = [*study.arguments(), "--output", str(output / study.name)]
                    subprocess.run([*COMMAND, *arguments], env=environment, check=True, capture_output=True)
            else:
                options = ["--output", str(output), "--workers", way[0], "--no-cohort"]
                command = [*COMMAND, "batch", str(table), *options]
                subprocess.run(command, env=environment, check=True, capture_output=True)
            seconds[way] += time.perf_counter() - start
        so_far = done + len(plan.studies)
        said = ", ".join(f"{way} {total / so_far:.2f} s" for way, total in seconds.items())
        print(f"{so_far} studies: {said}; load {os.getloadavg()[0]:.1f}", flush=True)
    yield "| way | studies | s per study | studies per minute |\n| --- | ---: | ---: | ---: |"
    yield from (f"| {way} | {count} | {s / count:.2f} | {60 * count / s:.1f} |" for way, s in seconds.items())
    gain, extra = seconds["1 worker"] / seconds["2 workers"], seconds["1 worker"] / seconds["bare loop"] - 1
    yield f"\nTwo workers do {gain:.2f} times what one does (goal: 1.7). One worker takes {100 * extra:+.1f} % beside"
    yield f"a bare loop over the command `analyze` (goal: at most +5 %), with one batch per {BLOCK} studies."


_TABLES: dict[str, str] = {}


def stub(job: batch.Job) -> batch.Outcome:
    """Write what a study of that name could have written; in place of `run_study`."""
    study = job.study
    number = int(study.subject[1:])
    work = job.output / batch.STUDIES / f".unfinished-{study.name}"
    result = work / "result"
    result.mkdir(parents=True)
    for name, text in _TABLES.items():
        (result / name).write_text(
            text.replace("SUBJECT", study.subject).replace("0.4567", f"{0.2 + number % 997 / 2e3}")
        )
    inputs = {"stat": batch.inputs_by_stat(study), "sha256": batch.inputs_by_content(study)}
    record = {**batch._identity(study), "inputs": inputs}
    given = {"subject": study.subject, "options": study.options, "inputs": study.inputs}
    batch.finish({"study": given, "record": record, "target": str(job.output / batch.STUDIES / study.name)}, work)
    work.rmdir()
    return batch.Outcome(study.subject)


def made_up(folder: Path, subjects: int, example: Path) -> Iterator[str]:
    """Planning, the stubbed run, the resume check and the assembly, each in s; run in a process of its own."""
    table = folder / "studies.csv"
    inputs = folder / "in"
    inputs.mkdir()
    with table.open("w", encoding="utf-8") as file:
        file.write("subject,volumes,segmentation,age,sex\n")
        for n in range(subjects):
            (inputs / f"{n}.nrrd").write_bytes(b"series")
            (inputs / f"{n}.seg.nrrd").write_bytes(b"mask")
            file.write(f"S{n:06d},in/{n}.nrrd,in/{n}.seg.nrrd,{50 + n % 40},{('female', 'male')[n % 2]}\n")
    history = json.loads((example / "provenance.json").read_text(encoding="utf-8"))
    _TABLES["provenance.json"] = json.dumps({**history, "subject": "SUBJECT"}, indent=2)
    for name in ("vertebrae.csv", "descriptive.csv", "curves.csv"):
        text = (example / name).read_text(encoding="utf-8")
        if name == "vertebrae.csv":
            heading, *rows = list(csv.reader(io.StringIO(text)))
            for row in rows:
                row[heading.index("subject")] = "SUBJECT"
                row[heading.index("ktrans_per_min")] = "0.4567"
            changed = io.StringIO()
            csv.writer(changed, lineterminator="\n").writerows([heading, *rows])
            text = changed.getvalue()
        _TABLES[name] = text
    output = folder / "out"
    times, cpu = {}, {}

    def clock(what: str, start: tuple[float, float]) -> None:
        times[what], cpu[what] = time.perf_counter() - start[0], time.process_time() - start[1]

    def now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    start = now()
    plan = read_studies(table)
    clock("planning", start)
    with batch.locked(output) as token:
        start = now()
        todo, refused = _what_is_done(plan, output, verify=False)
        assert len(todo) == subjects and not refused
        clock("check, none done", start)
        start = now()
        with ThreadPoolExecutor(2) as pool:
            jobs = (batch.Job(study, output, token, batch.Limits()) for study in todo)
            outcomes = [outcome for outcome in batch.run_studies(jobs, pool, 2, stub) if outcome is not None]
        assert not any(outcome.stage for outcome in outcomes) and len(outcomes) == subjects, outcomes[:3]
        clock("stubbed run", start)
        start = now()
        assert _what_is_done(plan, output, verify=False) == ([], [])
        clock("check, all done", start)
    start = now()
    cohort = assemble([output / batch.STUDIES / study.name for study in plan.studies], CohortSettings())
    clock("assembly", start)
    assert len(cohort.subjects) == subjects, (len(cohort.subjects), cohort.left_out[:3])
    # of Linux; the peak that getrusage tells is at least that of the program which started this one
    peak = 1.024e-3 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    del times["stubbed run"], cpu["stubbed run"]
    cells = " | ".join(f"{seconds:.1f}" for seconds in times.values())
    total, of_cpu = sum(times.values()), sum(cpu.values())
    yield f"| {subjects:,} | {cells} | {total:.1f} | {of_cpu:.1f} | {1e3 * of_cpu / subjects:.2f} | {peak:.0f} |"


def machine() -> str:
    """What this is measured on, and how busy that is with other work."""
    try:
        named = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("model name\t: ")[2].partition("\n")[0]
    except OSError:
        named = platform.processor()
    system = f"Python {platform.python_version()}, {platform.system()}"
    return (
        f"{os.cpu_count()} CPUs ({named or platform.machine()}), {system}, load {os.getloadavg()[0]:.1f} at the start"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="real ones; 0 for none")
    parser.add_argument("--subjects", default="1000,10000,100000", help="made-up ones; empty for none")
    parser.add_argument("--made-up", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--example", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.made_up:
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(made_up(Path(folder), options.made_up, options.example)), flush=True)
        return
    lines = ["# Batches", ""]
    lines.append(f"{time.strftime('%Y-%m-%d')}, {machine()}. `make bench` makes this page.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.studies:
            lines += ["", "## Small phantoms", "", *real_studies(folder, options.studies)]
        if options.subjects:
            example = folder / "bare loop0" / "S00000"
            if not example.exists():
                example = folder / "example"
                with contextlib.redirect_stdout(sys.stderr):
                    write_phantoms(folder)
                    write_studies(folder / "one.csv", ["S0"])
                    study = read_studies(folder / "one.csv").studies[0]
                    assert cli.main([*study.arguments(), "--output", str(example)]) == 0
            lines += ["", "## Made-up studies", ""]
            lines.append(
                f"Goal: {GOAL_S:g} s and {GOAL_MB:g} MB for all but the stubbed run, and a flat cost per study.\n"
            )
            lines.append(
                "| studies | planning, s | check, none done, s | check, all done, s | assembly, s | all, s | CPU, s | "
                "CPU per study, ms | peak memory, MB |"
            )
            lines.append("| ---: " * 9 + "|")
            for subjects in options.subjects.split(","):
                arguments = [sys.executable, __file__, "--made-up", subjects, "--example", str(example)]
                lines += subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
                print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
