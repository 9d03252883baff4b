"""`dce-perfusion-bmd reproduce`: an analysis again, from its provenance, and what came out otherwise."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dicomio import PASSED_OVER, hashed, inspect_folder
from ..errors import InputError
from ..export import FORMAT, REGIONS_FILE, as_text, check_output_folder, read_regions, same_place
from ..figures import RESEARCH_USE
from ..quantities import BY_NAME
from ..settings import Settings, from_dict
from ..stacks import read_stack
from ..tables import Table, plain_cell, visible
from .study import StudyRun, run_study, write_run
from .terminal import Terminal, say

_DIFFERENT = 1
_OF_THE_RUN = ("created", "software", "identifiers")  # may differ
_MOST_SAID = 40
_TABLES = ("bmd_classification", "perfusion_comparison", "motion")  # that not every analysis has
_FILES = {
    "segmentation": "--segmentation",
    "times": "--times",
    "dxa": "--dxa",
    "dxa-references": "--dxa-references",
    "perfusion-cohort": "--perfusion-cohort",
    "t1-map": "--t1-map",
    "b1-map": "--b1-map",
    "fat-fraction-map": "--fat-fraction-map",
}


def add_commands(commands: Any) -> None:
    """The command `reproduce`.

    Parameters
    ----------
    commands : what `ArgumentParser.add_subparsers` returned.
    """
    command = commands.add_parser(
        "reproduce",
        help="run an analysis again from its provenance.json, and compare",
        description="Runs an analysis again with the settings and choices of its provenance.json, and compares with "
        "the maps, regions and tables beside that file. Paths are not kept there, so the inputs are given again; each "
        "must have the hash of the one that was read. Exit status: 0 the same, 1 different, 2 bad input.",
        epilog=RESEARCH_USE,
    )
    command.set_defaults(run=_reproduce)
    command.add_argument("provenance", type=Path, metavar="PROVENANCE.json", help="that analyze wrote")
    command.add_argument(
        "--source", type=Path, required=True, metavar="PATH", help="what --dicom or --volumes was given"
    )
    for name, option in _FILES.items():
        command.add_argument(
            option,
            type=Path,
            required=name == "segmentation",
            metavar="FILE",
            dest=name,
            help="the same as in the analysis" if name == "segmentation" else "the same, where one was given",
        )
    command.add_argument("--output", type=Path, metavar="OUT", help="folder for the new results; not kept without")


def _reproduce(options: argparse.Namespace, progress: Terminal) -> int:
    folder = options.provenance.parent
    if options.output is not None:
        if options.output.resolve() == folder.resolve():
            raise InputError("--output is the folder of the results to compare with; give another")
        check_output_folder(options.output)
    before = read_history(options.provenance)
    if not any((folder / f"maps/{name}.nrrd").is_file() for name in BY_NAME):
        raise InputError(f"{folder} has no maps beside {options.provenance.name} to compare with")
    given = {name: getattr(options, name) for name in _FILES if getattr(options, name) is not None}
    try:
        arguments = _arguments(before, options.source, given)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{options.provenance.name} is damaged: {error!r}") from error
    run = run_study(**arguments, report=progress, check=_refuse_others(before["inputs"]))
    progress.close()
    if options.output is not None:
        write_run(options.output, run, progress)
        progress.close()
    after = json.loads(as_text(run.history))
    for name in sorted({*before["software"], *after["software"]}):
        was, now = (history["software"].get(name, "absent") for history in (before, after))
        if was != now:
            say(f"version: {visible(name)} was {visible(str(was))}, is {now}")
    said = [*_history(before, after), *_maps(folder, run), *_regions(folder, run), *_tables(folder, run)]
    for line in said[:_MOST_SAID]:
        say(visible(line))
    if len(said) > _MOST_SAID:
        say(f"and {len(said) - _MOST_SAID} more differences")
    if said:
        say(f"NOT reproduced: {len(said)} differences. {RESEARCH_USE}")
        return _DIFFERENT
    say(
        f"Reproduced: {len(run.result.maps)} maps, the regions and {len(run.result.tables())} tables are identical. "
        f"{RESEARCH_USE}"
    )
    return 0


def read_history(path: Path) -> dict[str, Any]:
    """What `analyze` wrote as provenance.json.

    Raises
    ------
    InputError
        when it cannot be read, or is another file.
    """
    try:
        history = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    if not isinstance(history, dict) or not isinstance(history.get("inputs"), dict):
        raise InputError(f"{path.name} is no provenance of an analysis")
    if "series" not in history["inputs"]:
        raise InputError(f"{path.name} is no provenance of one study; a cohort is analyzed again from its table")
    if history.get("format") != FORMAT:
        raise InputError(f"{path.name} has format {history.get('format')!r}, known is {FORMAT}; analyze again")
    groups = ("software", "series", "choices", "settings")
    if not all(isinstance(history.get(name), dict) for name in groups):
        raise InputError(f"{path.name} is damaged: {', '.join(groups)} must be objects")
    if not history["inputs"]["series"].get("sha256") or "source" not in history["choices"]:
        raise InputError(f"{path.name} is of an analysis inside Slicer, whose series came from a scene, not from files")
    return history


def _arguments(before: Mapping[str, Any], source: Path, given: Mapping[str, Path]) -> dict[str, Any]:
    """The recorded settings and choices, for `run_study`."""
    choices, inputs = before["choices"], before["inputs"]
    is_dicom = choices["source"] == "dicom"
    of_folder = {f"{name}-map": _series(text, source) for name, text in choices["maps"].items()}
    for name, option in _FILES.items():
        wanted = name in inputs and name not in of_folder
        if wanted and name not in given:
            raise InputError(f"the analysis read a file that {option} was given; give it again")
        if name in given and not wanted:
            raise InputError(f"the analysis read no file that {option} was given; leave it out")
        if name in given and not given[name].is_file():
            raise InputError(f"the file {given[name]} does not exist")
    maps = {name.removesuffix("-map"): str(path) for name, path in given.items() if name.endswith("-map")}
    maps |= {name.removesuffix("-map"): text for name, text in of_folder.items()}
    return dict(
        source=source,
        segmentation=given["segmentation"],
        is_dicom=is_dicom,
        settings=_settings(before["settings"]),
        dxa=given.get("dxa") or choices["bone"],
        subject=before["subject"] or None,
        series_id=_series(choices["series"], source) if choices["series"] else None,
        label_names=choices["segments"],
        maps=maps,
        flip_angles=_series(choices["flip_angles"], source) if choices["flip_angles"] else None,
        keep_identifiers="identifiers" in before,
        times=str(given["times"]) if "times" in given else choices["times"],
        skip_frames=choices["skip_frames"],
        references=given.get("dxa-references"),
        cohort=given.get("perfusion-cohort"),
    )


def _refuse_others(inputs: Mapping[str, Any]) -> Callable[[dict[str, str]], None]:
    """What refuses inputs whose hash is another than the recorded one."""

    def check(hashes: dict[str, str]) -> None:
        for name, digest in hashes.items():
            recorded = inputs.get(name, {}).get("sha256", "")
            if digest != recorded:
                option = "--source" if name in ("series", "flip-angles") else _FILES[name]
                raise InputError(
                    f"the {name.replace('-', ' ')} of {option} is not the one that was analyzed: its SHA-256 is "
                    f"{digest[:12]}..., that in the provenance {recorded[:12]}..."
                )

    return check


def _settings(recorded: Mapping[str, Any]) -> Settings:
    """The recorded settings, given by the user where they were."""
    values = {group: {name: entry["value"] for name, entry in of.items()} for group, of in recorded.items()}
    given = {
        f"{group}.{name}" for group, of in recorded.items() for name, entry in of.items() if entry["origin"] == "user"
    }
    return dataclasses.replace(from_dict(values), given=frozenset(given))


def _series(text: str, folder: Path) -> str:
    """A choice of series of a DICOM folder, with the UIDs that are kept as hashes found again."""
    if "sha256 " not in text:
        return text
    uids: dict[str, str] = {}
    for info in inspect_folder(folder).series:
        _, colon, kind = info.number.partition(":")
        uids |= {hashed(uid): uid for uid in (info.uid, f"{info.uid}{colon}{kind}")}
    parts = text.split(",")
    for part in parts:
        if part.startswith("sha256 ") and part not in uids:
            raise InputError(f"{folder} does not hold the series that was chosen by its UID")
    return ",".join(uids.get(part, part) for part in parts)


def _maps(folder: Path, run: StudyRun) -> Iterator[str]:
    """What is different in the maps."""
    for name in BY_NAME:
        path, made = folder / "maps" / f"{name}.nrrd", run.result.maps.get(name)
        if made is None:
            if path.is_file():
                yield f"map {name}: is beside the provenance, but was not made now"
        elif not path.is_file():
            yield f"map {name}: is not beside the provenance"
        else:
            unit = BY_NAME[name].unit
            stack = read_stack(path)
            yield from _map(name, f" {unit}" if unit else "", stack.read(0), made.values)
            if not same_place(stack.ijk_to_ras, run.series.ijk_to_ras, run.series.shape):
                yield f"map {name}: lies at another place"


def _map(name: str, unit: str, was: npt.NDArray[Any], now: npt.NDArray[Any]) -> Iterator[str]:
    if was.shape != now.shape or was.dtype != now.dtype:
        yield f"map {name}: was {was.shape} {was.dtype}, is {now.shape} {now.dtype}"
        return
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.asarray(now, dtype=float) - np.asarray(was, dtype=float))
    unlike = np.isnan(was) != np.isnan(now)
    changed = np.count_nonzero(unlike | (np.nan_to_num(apart) > 0))
    if changed:
        largest = float(np.nanmax(np.where(unlike, 0.0, apart)))
        appeared = f", {np.count_nonzero(unlike)} of them with or without a value" if unlike.any() else ""
        yield f"map {name}: {changed} of {was.size} voxels differ{appeared}; largest difference {largest:.3g}{unit}"


def _regions(folder: Path, run: StudyRun) -> Iterator[str]:
    """What is different in the regions: their names, their voxels by what became of each, and the input."""
    path, rois = folder / REGIONS_FILE, run.result.rois
    if not path.is_file():
        yield f"{REGIONS_FILE}: is not beside the provenance"
        return
    stored = read_regions(path)
    names = [(region.name, region.level) for region in stored.regions]
    named = [(region.name, region.level) for region in rois.regions]
    if names != named:
        yield f"{REGIONS_FILE}: the regions were {_cut(json.dumps(names))}, are {_cut(json.dumps(named))}"
    before, after = (stored.input_name, stored.input_code), (rois.input_name, rois.input_code)
    if before != after:
        yield f"{REGIONS_FILE}: the input was {_cut(json.dumps(before))}, is {_cut(json.dumps(after))}"
    if not same_place(stored.ijk_to_ras, run.series.ijk_to_ras, run.series.shape):
        yield f"{REGIONS_FILE}: lies at another place"
    fates = {region.name: region.fate for region in stored.regions}
    pairs = [(region.name, fates.get(region.name), region.fate) for region in rois.regions]
    for name, was, now in [*pairs, (stored.input_name, stored.input, rois.input)]:
        if was is None:
            continue  # another name, which is told
        if was.shape != now.shape:
            yield f"{REGIONS_FILE}: {_cut(name)} was {was.shape}, is {now.shape}"
        elif changed := np.count_nonzero(was != now):
            yield f"{REGIONS_FILE}: {_cut(name)}: {changed} of {was.size} voxels differ"


def _tables(folder: Path, run: StudyRun) -> Iterator[str]:
    """What is different in the tables."""
    made = {table.name: table for table in run.result.tables()}
    for name in (*made, *(name for name in _TABLES if name not in made)):
        path = folder / f"{name}.csv"
        if name not in made:
            if path.is_file():
                yield f"{path.name}: is beside the provenance, but was not made now"
        elif not path.is_file():
            yield f"{path.name}: is not beside the provenance"
        else:
            yield from _table(path, made[name])


def _table(path: Path, table: Table) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    was, now = _columns(text), _columns(table.to_csv())
    for name in (*now, *(name for name in was if name not in now)):
        before, after = was.get(name), now.get(name)
        if before is None or after is None:
            yield f"{path.name}: column {name} {'is new' if before is None else 'is gone'}"
        elif len(before) != len(after):
            yield f"{path.name}: had {len(before)} rows, has {len(after)}"
            return
        elif before != after:
            yield f"{path.name}: column {name}: {_cells(before, after)}"


def _columns(text: str) -> dict[str, list[str]]:
    """Cells by column name; rows of another length than the heading are left as they are, to differ."""
    heading, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    return {
        plain_cell(name): [row[n] if len(row) == len(heading) else ",".join(row) for row in rows]
        for n, name in enumerate(heading)
    }


def _cells(before: list[str], after: list[str]) -> str:
    pairs = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
    numbers = [(_number(was), _number(now)) for was, now in pairs]
    apart = [abs(now - was) for was, now in numbers if math.isfinite(was) and math.isfinite(now)]
    if len(apart) == len(pairs):
        return f"{len(pairs)} of {len(before)} rows differ; largest difference {max(apart):.3g}"
    was, now = pairs[0]
    return f"{len(pairs)} of {len(before)} rows differ, as {_cut(was)} that is {_cut(now)}"


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _history(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """What else is different in the provenance: times, constants, findings, warnings."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in (*before, *(name for name in after if name not in before)):
            if where or name not in _OF_THE_RUN:
                yield from _history(
                    before.get(name, "absent"), after.get(name, "absent"), f"{where}.{name}" if where else name
                )
    elif where == "warnings":
        yield from _warnings(before, after)
    elif before != after:
        yield f"provenance {where}: was {_cut(json.dumps(before))}, is {_cut(json.dumps(after))}"


def _warnings(before: Any, after: Any) -> Iterator[str]:
    """What is different in the warnings, but for those of files beside the series that were not used."""
    was, now = (
        [text for text in map(str, texts if isinstance(texts, list) else [texts]) if not text.startswith(PASSED_OVER)]
        for texts in (before, after)
    )
    gone, new = Counter(was) - Counter(now), Counter(now) - Counter(was)
    for word, texts in (("no more", gone), ("new", new)):
        for text in texts.elements():
            yield f"provenance warnings: {word}: {_cut(text)}"
    if was != now and not gone and not new:
        yield "provenance warnings: in another order"


def _cut(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}..."
