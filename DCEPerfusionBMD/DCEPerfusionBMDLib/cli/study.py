"""`dce-perfusion-bmd analyze`, `inspect` and `demo`: one study from files, the series of a folder, the phantom."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..conversion import t1_on_grid_of
from ..densitometry import Densitometry, measurements_from_values, read_cohort, read_dxa_table, read_references
from ..dicomio import (
    PASSED_OVER,
    hash_of_values,
    hashed,
    inspect_folder,
    read_flip_angles,
    read_map,
    read_series,
    write_series,
)
from ..errors import Cancelled, InputError
from ..export import STALE_FILES, as_text, check_output_folder, provenance, sha256_of, staged
from ..figures import RESEARCH_USE, study_figure
from ..phantom import LEVELS, LumbarPhantom
from ..quantities import BY_NAME
from ..result import StudyResult
from ..series import DynamicSeries, Progress, TissueMaps, map_on_grid_of, part_of
from ..seriesfiles import hash_of_files, read_file
from ..settings import Parameter, Settings, all_parameters, from_dict
from ..stacks import files_of
from ..study import analyze
from ..tables import one_line
from ..times import is_file
from .options import add_option
from .terminal import Terminal, say

_MAPS = {"t1": "T1 (ms)", "b1": "B1 (actual over nominal flip angle)", "fat-fraction": "the fat fraction (0 to 1)"}
_BONE_VALUES = {
    "bmd": ("bmd_g_cm2", "BMD (g/cm2)"),
    "t-score": ("t_score", "T-scores"),
    "z-score": ("z_score", "Z-scores"),
    "qct": ("qct_mg_cm3", "QCT density (mg/cm3)"),
}
_BETWEEN = {"t1": (1.0, 20000.0), "b1": (0.1, 3.0), "fat-fraction": (0.0, 1.0)}


def add_commands(commands: Any) -> None:
    """The commands `analyze`, `inspect` and `demo`.

    Parameters
    ----------
    commands : what `ArgumentParser.add_subparsers` returned.
    """
    command = commands.add_parser("analyze", help="analyze one study", epilog=RESEARCH_USE)
    command.set_defaults(run=_analyze)
    files = command.add_argument_group("files")
    source = files.add_mutually_exclusive_group(required=True)
    source.add_argument("--dicom", type=Path, metavar="DIR", help="folder with the dynamic series as DICOM")
    source.add_argument(
        "--volumes",
        type=Path,
        metavar="PATH",
        help="the series as .seq.nrrd, multivolume or 4-D NRRD, 4-D NIfTI, or a folder of 3-D files",
    )
    files.add_argument(
        "--series",
        metavar="NUMBER",
        help="series number or UID, when the folder holds several; with the kind of image where inspect lists it (9:W)",
    )
    files.add_argument(
        "--times",
        metavar="TIMES",
        help="frame times, before those of the files: a step in s, times in s separated by commas, a CSV file, or the "
        "name of a source of times that the files have",
    )
    files.add_argument(
        "--skip-frames", type=int, default=0, metavar="N", help="drop the first N frames, before the steady state"
    )
    files.add_argument(
        "--segmentation",
        type=Path,
        required=True,
        metavar="FILE",
        help="vertebrae and artery: .seg.nrrd, or a labelmap as NRRD or NIfTI",
    )
    files.add_argument(
        "--segments", type=_label_names, metavar="NAME=VALUE,...", help="names of the labels of a labelmap"
    )
    files.add_argument("--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    files.add_argument(
        "--dxa",
        type=Path,
        metavar="FILE.csv",
        help="table with subject, site, and BMD (g/cm2), T- and Z-score, BMC (g), area (cm2), QCT (mg/cm3), assessable",
    )
    for name, (_, title) in _BONE_VALUES.items():
        files.add_argument(f"--{name}", metavar="SITE=VALUE,...", help=f"{title} without a table, e.g. L1-L4=...")
    files.add_argument(
        "--dxa-references",
        type=Path,
        metavar="FILE.json",
        help="reference sets of your own, beside those that are known",
    )
    files.add_argument(
        "--perfusion-cohort",
        type=Path,
        metavar="FILE.csv",
        help="cohort with ktrans_per_min, kep_per_min, ve, class, age; for --perfusion-comparison cohort",
    )
    for name, title in _MAPS.items():
        files.add_argument(
            f"--{name}-map",
            metavar="FILE",
            help=f"map of {title} before contrast: NRRD, NIfTI, or the number of a series in the DICOM folder",
        )
    files.add_argument(
        "--flip-angles",
        metavar="NUMBER,...",
        help="series of the DICOM folder with several flip angles, from which T1 is mapped; auto for all there are",
    )
    files.add_argument("--subject", metavar="ID", help="pseudonym of the subject; picks the rows of the DXA table")
    files.add_argument(
        "--keep-identifiers",
        action="store_true",
        help="name the patient and the study in provenance.json, report.html and the scene",
    )
    files.add_argument("--settings", type=Path, metavar="FILE.json", help="settings; options below go before them")
    _add_settings(command)

    command = commands.add_parser("inspect", help="tell what each series of a folder is", epilog=RESEARCH_USE)
    command.set_defaults(run=_inspect)
    command.add_argument("folder", type=Path, metavar="DIR", help="folder with DICOM files")

    command = commands.add_parser("demo", help="make a lumbar phantom as DICOM and analyze it", epilog=RESEARCH_USE)
    command.set_defaults(run=_demo)
    command.add_argument("--output", type=Path, required=True, metavar="OUT", help="folder for phantom and results")
    command.add_argument(
        "--snr", type=float, default=20.0, help="signal to noise of marrow before contrast (%(default)g)"
    )
    command.add_argument("--frame-time", type=float, default=3.0, metavar="S", help="seconds per frame (%(default)g)")
    command.add_argument("--seed", type=int, default=2019, help="seed of the noise (%(default)d)")


def _add_settings(command: argparse.ArgumentParser) -> None:
    """One option per parameter of `settings.py`."""
    groups: dict[str, Any] = {}
    for parameter in all_parameters():
        if parameter.group not in groups:
            groups[parameter.group] = command.add_argument_group(parameter.group.replace("_", " "))
        add_option(groups[parameter.group], parameter, _destination(parameter))


def _destination(parameter: Parameter) -> str:
    return f"setting.{parameter.group}.{parameter.name}"


def _label_names(text: str) -> dict[str, int]:
    names: dict[str, int] = {}
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        name = name.strip()
        if not (equals and name and value.strip().isdecimal() and int(value) > 0):
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=VALUE with a label value above 0")
        if name in names or int(value) in names.values():
            raise argparse.ArgumentTypeError(f"{part!r} repeats a name or a value")
        names[name] = int(value)
    return names


def _settings(options: argparse.Namespace) -> Settings:
    settings = Settings()
    if options.settings is not None:
        try:
            values = json.loads(options.settings.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"cannot read the settings {options.settings.name}: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"the settings {options.settings.name} must be a JSON object of groups")
        settings = from_dict(values)
    given: dict[str, dict[str, Any]] = {}
    for parameter in all_parameters():
        value = getattr(options, _destination(parameter))
        if value is not None:
            given.setdefault(parameter.group, {})[parameter.name] = value
    return from_dict(given, settings)


def _analyze(options: argparse.Namespace, progress: Terminal) -> None:
    check_output_folder(options.output)
    run = run_study(
        source=options.dicom or options.volumes,
        segmentation=options.segmentation,
        is_dicom=options.dicom is not None,
        settings=_settings(options),
        dxa=_bone_values(options) or options.dxa,
        references=options.dxa_references,
        cohort=options.perfusion_cohort,
        subject=options.subject,
        series_id=options.series,
        label_names=options.segments,
        maps={
            name: given for name in _MAPS if (given := getattr(options, f"{name.replace('-', '_')}_map")) is not None
        },
        flip_angles=options.flip_angles,
        keep_identifiers=options.keep_identifiers,
        report=progress,
        times=options.times,
        skip_frames=options.skip_frames,
    )
    write_run(options.output, run, progress)
    progress.close()
    _print_warnings(run.result, run.series.passed_over)
    say(_summary(run.result))
    say(f"Results are in {options.output}, the report in {options.output / 'report.html'}. {RESEARCH_USE}")


def _bone_values(options: argparse.Namespace) -> dict[str, str]:
    """The single values of bone by column."""
    given = {name: getattr(options, name.replace("-", "_")) for name in _BONE_VALUES}
    values = {_BONE_VALUES[name][0]: text for name, text in given.items() if text is not None}
    if values and options.dxa is not None:
        raise InputError("--dxa goes without --bmd, --t-score, --z-score and --qct: put the values into the table")
    return values


def analyze_folder(
    source: Path,
    segmentation: Path,
    output: Path,
    is_dicom: bool = True,
    settings: Settings | None = None,
    dxa: Path | dict[str, str] | None = None,
    subject: str | None = None,
    series_id: str | None = None,
    label_names: dict[str, int] | None = None,
    maps: dict[str, str] | None = None,
    flip_angles: str | None = None,
    keep_identifiers: bool = False,
    progress: Progress | None = None,
    times: str | None = None,
    skip_frames: int = 0,
    references: Path | None = None,
    cohort: Path | None = None,
) -> StudyResult:
    """Analyze one study from files and write all results into a folder.

    Parameters
    ----------
    source : folder with the dynamic series as DICOM, where `series_id` chooses among several
        (`dicomio.read_series`), or a file or folder of other volumes (`seriesfiles.read_file`).
    segmentation : file with vertebrae and artery; `label_names` names the values of a labelmap.
    output : folder; its files appear when all of them are complete.
    is_dicom : which of the two the source is.
    settings : the defaults when None.
    dxa : table of densitometry, of which `subject` picks the rows; or single values as
        `densitometry.measurements_from_values` takes them.
    subject : pseudonym that names the results.
    maps : files, or numbers of DICOM series, of maps of the tissue before contrast, by `t1`, `b1` and `fat-fraction`.
    flip_angles : numbers of the DICOM series from which T1 is mapped, separated by commas, or `auto`.
    keep_identifiers : whether `provenance.json`, `report.html` and the scene name the patient and the study.
    progress : called with the fraction done and what is being done; a return of False cancels.
    times, skip_frames : frame times that go before those of the files, and how many of the first frames to drop
        (`dicomio.read_series`).
    references : reference sets of BMD of the user's own (`densitometry.read_references`).
    cohort : table of a cohort to compare perfusion with (`densitometry.read_cohort`).

    Raises
    ------
    InputError
        when something about the input is wrong; nothing is written then.
    """
    check_output_folder(output)
    report = progress or (lambda fraction, message: True)
    run = run_study(
        source,
        segmentation,
        is_dicom,
        settings or Settings(),
        dxa,
        subject,
        series_id,
        label_names,
        maps or {},
        flip_angles,
        keep_identifiers,
        report,
        times,
        skip_frames,
        references,
        cohort,
    )
    write_run(output, run, report)
    return run.result


@dataclass(frozen=True)
class StudyRun:
    """One analysis of files, before it is written.

    Attributes
    ----------
    host : the scene with the segmentation in it.
    segmentation_node : of that scene.
    history : what `export.provenance` returned.
    """

    host: Any
    segmentation_node: Any
    series: DynamicSeries
    result: StudyResult
    history: dict[str, Any]


def run_study(
    source: Path,
    segmentation: Path,
    is_dicom: bool,
    settings: Settings,
    dxa: Path | dict[str, str] | None,
    subject: str | None,
    series_id: str | None,
    label_names: dict[str, int] | None,
    maps: dict[str, str],
    flip_angles: str | None,
    keep_identifiers: bool,
    report: Progress,
    times: str | None,
    skip_frames: int,
    references: Path | None,
    cohort: Path | None,
    check: Callable[[dict[str, str]], None] = lambda hashes: None,
) -> StudyRun:
    """Analyze one study from files; the parameters are those of `analyze_folder`.

    Parameters
    ----------
    check : gets the hashes of the inputs by name, more of them each time, and refuses them by an InputError.
    """
    from ..headless import HeadlessSlicer  # first, since it says what to do where slicer-core is missing

    from .. import scene  # isort: skip

    if series_id is not None and not is_dicom:
        raise InputError("--series chooses a series of --dicom; leave it out with --volumes")
    for name, file in maps.items():
        if not file.strip():
            raise InputError(f"--{name}-map is blank; give a file, or leave it out")
    subject = one_line(subject) if subject is not None else None
    densitometry: Densitometry | None = None
    if dxa is not None:
        if isinstance(dxa, dict):
            densitometry = measurements_from_values(dxa, subject or "")
        else:
            densitometry = read_dxa_table(dxa, subject)
    own_references = read_references(references) if references is not None else None
    groups = read_cohort(cohort) if cohort is not None else ()
    host = HeadlessSlicer()
    segmentation_node = scene.read_segmentation(host.scene, segmentation, label_names)
    times_file = Path(times) if times is not None and is_file(times) else None
    files = {
        "segmentation": segmentation,
        "times": times_file,
        "dxa": dxa,
        "dxa-references": references,
        "perfusion-cohort": cohort,
    }
    hashes = {name: _hash_of(path) for name, path in files.items() if isinstance(path, Path)}
    check(hashes)
    if is_dicom:
        series = read_series(source, series_id, part_of(report, 0.0, 0.4), times, skip_frames)
    else:
        series = read_file(source, times, skip_frames)
    check({**hashes, "series": series.source_hash})
    if not report(0.4, series.describe()):
        raise Cancelled
    masks, labels = scene.masks_on_grid(segmentation_node, series), scene.segment_labels(segmentation_node)
    grids: dict[str, Any] = {}
    for name, field in zip(_MAPS, ("t1_ms", "b1", "fat_fraction"), strict=True):
        if given := maps.get(name):
            grids[field], hashes[f"{name}-map"] = _map(given, source if is_dicom else None, series, _BETWEEN[name])
    if flip_angles is not None:
        if "t1_ms" in grids or not is_dicom:
            raise InputError("--flip-angles needs --dicom, and goes without --t1-map")
        named = [] if flip_angles == "auto" else flip_angles.split(",")
        angles = read_flip_angles(source, named, series.identifiers.get("StudyInstanceUID", ""))
        analyzed = np.any(list(masks.values()), axis=0)
        grids["flip_angles_deg"] = tuple(angles.flip_angles_deg.tolist())
        grids["t1_ms"] = t1_on_grid_of(series, angles, analyzed, grids.get("b1"), settings.conversion.b1)
        hashes["flip-angles"] = angles.source_hash
        series = dataclasses.replace(series, warnings=(*series.warnings, *angles.warnings))
    check({**hashes, "series": series.source_hash})
    part = part_of(report, 0.4, 0.6)
    tissue_maps = TissueMaps(**grids)
    result = analyze(
        series, masks, settings, densitometry, subject or "", part, tissue_maps, labels, own_references, groups
    )
    kept = (lambda text: text) if keep_identifiers else _number_or_hash
    choices = {
        "source": "dicom" if is_dicom else "volumes",
        "series": kept(series_id),
        "segments": label_names,
        "times": times if times_file is None else None,
        "skip_frames": skip_frames,
        "maps": {name: kept(given) for name, given in maps.items() if _of_folder(given, is_dicom)},
        "flip_angles": kept(flip_angles),
        "bone": dxa if isinstance(dxa, dict) else None,
    }
    history = provenance(series, settings, result, hashes, choices, keep_identifiers)
    return StudyRun(host, segmentation_node, series, result, history)


def write_run(output: Path, run: StudyRun, report: Progress) -> None:
    """Write all files of an analysis into a folder (`export.staged`)."""
    with staged(output, STALE_FILES) as stage:
        _write_results(stage, run, part_of(report, 0.6, 1.0))


_NUMBER = re.compile(r"\d+(?::[\w+-]+)?")  # of a series


def _number_or_hash(series: str | None) -> str | None:
    """Numbers of series as they are; anything else, as a UID, hashed: it leads to the patient."""
    if series is None or series == "auto":
        return series
    parts = [part.strip() for part in series.split(",")]
    return ",".join(part if _NUMBER.fullmatch(part) else hashed(part) for part in parts)


def is_series(given: str) -> bool:
    """Whether a map is given as the number or UID of a series, with or without the kind of image after a colon."""
    return given.partition(":")[0].replace(".", "").isdecimal()


def _of_folder(given: str, is_dicom: bool) -> bool:
    """Whether a map is a series of the DICOM folder, not a file."""
    return is_dicom and not is_file(given) and is_series(given)


def _map(
    given: str, folder: Path | None, series: DynamicSeries, between: tuple[float, float]
) -> tuple[npt.NDArray[np.float64], str]:
    """A map from a file or a DICOM series on the grid of the series, and the hash of where it is from."""
    from .. import scene

    path = Path(given)
    if folder is None or not _of_folder(given, True):
        return scene.read_map(path, series, between), _hash_of(path)
    values, ijk_to_ras = read_map(folder, given, series.identifiers.get("StudyInstanceUID", ""))
    on_grid = map_on_grid_of(series, values, ijk_to_ras, between, f"in series {given}")
    return on_grid, hash_of_values(values)


def _hash_of(path: Path) -> str:
    """Of a file; of a header with its values in a file of their own, over the hashes of both, as of a series."""
    files = files_of(path)
    return sha256_of(path) if files == (path,) else hash_of_files(files)


def _write_results(folder: Path, run: StudyRun, report: Progress) -> None:
    from .. import scene, scenestudy

    series, result = run.series, run.result

    def step(fraction: float, message: str) -> None:
        if not report(fraction, message):
            raise Cancelled

    step(0.0, "Writing maps, tables and the report")
    scenestudy.write_record(folder, series, result, run.history)
    step(0.1, "Drawing the figure")
    study_figure(series, result, folder / "figure.png")
    step(0.4, "Writing the scene")
    sequence = scene.write_series(run.host.scene, series, "DCE")
    run.segmentation_node.SetName("Segmentation")
    scene.ResultWriter(run.host.scene, sequence, run.segmentation_node).write(series, result, as_text(run.history))
    step(0.5, "Writing the scene")
    run.host.save(folder / "scene.mrb")
    step(1.0, "Writing the scene")


def _summary(result: StudyResult) -> str:
    table = result.vertebrae
    width = max(6, *(len(str(name)) for name in table["region"]))
    quantities = [BY_NAME[name] for name in result.parameters]
    titles = [f"{q.symbol} ({q.unit})" if q.unit != "fraction" else q.symbol for q in quantities]
    lines = [f"{'region':<{width}}  voxels" + "".join(f"{title:>16}" for title in titles)]
    for n, region in enumerate(table["region"]):
        values = "".join(f"{float(table[q.column][n]):16.4f}" for q in quantities)
        lines.append(f"{region!s:<{width}} {table['voxels_analyzed'][n]:7d}{values}")
    if result.densitometry is not None:
        lines.append("")
        lines += [
            f"{site.site}: {site.classification.sentence}{f' ({site.note})' if site.note else ''}"
            for site in result.densitometry.sites
        ]
        lines.append(f"subject: {result.densitometry.classification.sentence}")
    return "\n".join(lines)


def _inspect(options: argparse.Namespace, progress: Terminal) -> None:
    inventory = inspect_folder(options.folder, progress)
    progress.close()
    columns = [column for column in inventory.table().columns if column.name != "uid"]
    cells = [[column.title, *(str(value) for value in column.values)] for column in columns]
    widths = [min(max(map(len, column)), 48) for column in cells]
    for row in zip(*cells, strict=True):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for reason in inventory.reasons:
        say(f"passed over: {reason}")


def _demo(options: argparse.Namespace, progress: Terminal) -> None:
    output: Path = options.output
    check_output_folder(output)
    if not (1.0 <= options.snr <= 1e6 and 0.5 <= options.frame_time <= 30.0 and options.seed >= 0):
        raise InputError("--snr must be 1 to 1e6, --frame-time 0.5 to 30 s, and --seed not negative")
    phantom = LumbarPhantom(snr=options.snr, frame_time_s=options.frame_time, seed=options.seed)
    study, results = output / "study", output / "results"
    with staged(study, stale=("dicom/frame*_slice*.dcm",)) as stage:
        write_phantom(phantom, stage, progress)
    progress.close()
    say(f"The phantom is in {study}: a DICOM series, segmentation.seg.nrrd, dxa.csv and the truth as maps.")
    result = analyze_folder(
        source=study / "dicom",
        segmentation=study / "segmentation.seg.nrrd",
        output=results,
        dxa=study / "dxa.csv",
        progress=progress,
    )
    progress.close()
    _print_warnings(result)
    say(_comparison(result))
    say(f"Results are in {results}; open {results / 'scene.mrb'} in 3D Slicer, or look at {results / 'report.html'}.")
    say(RESEARCH_USE)


def write_phantom(phantom: LumbarPhantom, folder: Path, progress: Progress | None = None) -> None:
    """Write a phantom study: `dicom/`, `segmentation.seg.nrrd`, `dxa.csv` and `truth/` with the true maps."""
    from ..headless import HeadlessSlicer

    import slicer  # isort: skip

    from .. import scene  # isort: skip

    write_series(phantom.series(), folder / "dicom", progress=progress)
    host = HeadlessSlicer()
    node = scene.segmentation_from_masks(host.scene, "Segmentation", phantom.segments, phantom.ijk_to_ras)
    scene.write_file(node, slicer.vtkMRMLSegmentationStorageNode(), folder / "segmentation.seg.nrrd")
    (folder / "dxa.csv").write_text(phantom.dxa_csv("PHANTOM"), encoding="utf-8", newline="")
    (folder / "truth").mkdir()
    maps: dict[str, Any] = {**phantom.truth(), "labels": phantom.labels}
    for name, values in maps.items():
        volume = scene.volume_from_array(values, phantom.ijk_to_ras)
        scene.write_file(volume, slicer.vtkMRMLVolumeArchetypeStorageNode(), folder / "truth" / f"{name}.nrrd")


def _comparison(result: StudyResult) -> str:
    """Estimates beside the truth of the phantom."""
    table = result.vertebrae
    lines = [
        "        Ktrans (/min)                kep (/min)                   ve",
        "level " + "    true    found    error" * 3,
    ]
    errors = []
    for n, level in enumerate(table["level"]):
        bone = LEVELS[str(level)]
        truth = (bone.ktrans_per_min, bone.kep_per_min, bone.ktrans_per_min / bone.kep_per_min)
        found = [float(table[name][n]) for name in ("ktrans_per_min", "kep_per_min", "ve")]
        cells = []
        for true, estimate in zip(truth, found, strict=True):
            errors.append(estimate / true - 1.0)
            cells.append(f"{true:8.4f} {estimate:8.4f} {100 * errors[-1]:+7.2f}%")
        lines.append(f"{level!s:<6}" + " ".join(cells))
    lines.append(
        f"Largest error against the known truth: {100 * float(np.max(np.abs(errors))):.2f} % (goal: within 5 %)"
    )
    return "\n".join(lines)


def _print_warnings(result: StudyResult, passed_over: Sequence[str] = ()) -> None:
    """On the terminal, files that were passed over have their names."""
    unnamed = PASSED_OVER if passed_over else "\n"
    for warning in (*passed_over, *(warning for warning in result.warnings if not warning.startswith(unnamed))):
        say(f"warning: {warning}", sys.stderr)
