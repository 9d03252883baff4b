"""The table of a cohort put together from the results of many studies, bone densitometry and a table of subjects."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..densitometry import Densitometry, assess, read_dxa_subjects
from ..densitometry.dxa import comma_separated, table_rows
from ..densitometry.sites import FEMORAL_NECK, TOTAL_HIP, VERTEBRAE, region_of, vertebrae_of
from ..densitometry.tables import LEAST_LEVELS, too_few_levels, unusable
from ..errors import Cancelled, InputError
from ..series import Progress
from ..settings import CohortSettings, DensitometrySettings
from ..statistics.values import LeftOut
from ..tables import plain_cell
from .columns import DESCRIPTIVE, KINETIC, NUMBERS, PER_VERTEBRA, label
from .model import Cohort, EnhancementCurves, FloatArray, SourceColumn, TextArray
from .reading import RawTable, derived, means_of_levels, pseudonym, raw_table

_FIRST_S = -10.0
_STEPS_OF_PROGRESS, _READERS = 256, 8
_OF_REGION, _OF_VERTEBRAE = ("region", "subject", "level", "evaluable", "status"), (*KINETIC, "vp")
_BONE = {"lumbar": 0, FEMORAL_NECK: 1, TOTAL_HIP: 2}
_BMD = ("bmd_lumbar_g_cm2", "bmd_femoral_neck_g_cm2", "bmd_total_hip_g_cm2")
_T = ("t_lumbar", "t_femoral_neck", "t_total_hip")
_SAME, _ROUNDED = {"age_years": 1.0}, 0.01  # DICOM tells whole years
_WHOLE_SPINE = "L1-L4"


@dataclass(frozen=True)
class _Site:
    """Density and T-score at one site."""

    name: str
    bmd_g_cm2: float
    t_score: float


_Bone = tuple[_Site | None, _Site | None, _Site | None]
"""At lumbar spine, femoral neck and total hip."""


@dataclass(frozen=True)
class _Study:
    """What one folder of results holds."""

    folder: str
    subject: str
    named: bool
    levels: tuple[str, ...]
    unusable: tuple[bool, ...]
    numbers: array[float]  # per vertebra those of PER_VERTEBRA, one after the other
    model: str
    age_years: float
    labels: Mapping[str, str]
    bone: _Bone | None
    times_s: FloatArray | None = None  # from the arrival
    curve_mM: FloatArray | None = None
    arrival_known: bool = True


def assemble(
    results: Path | Sequence[Path],
    settings: CohortSettings,
    dxa: Path | None = None,
    subjects: Path | None = None,
    dictionary: Mapping[str, str] | None = None,
    with_curves: bool = True,
    progress: Progress | None = None,
) -> Cohort:
    """The cohort of many analyzed studies, one row per subject.

    Kinetic and descriptive numbers are means over the evaluable levels L1 to L4 of the fits of the mean curves, of at
    least two levels. A folder that cannot be read, or that has fewer levels, is listed in `left_out`; a subject of one
    input that another lacks in `unmatched`.

    Parameters
    ----------
    results : folders written by `dce-perfusion-bmd analyze`, or folders that hold such folders.
    settings : which T-score classifies, and how it is rounded.
    dxa : DXA table of many subjects (`densitometry.read_dxa_table`); goes before what the results say of bone.
    subjects : table of subjects with age, sex, categories, densities (`read_table`); goes before all else.
    dictionary : of the headings of `subjects`.
    with_curves : whether the enhancement curves are read, which takes most of the time.
    progress : called with the fraction done and what is being done; a return of False cancels.

    Returns
    -------
    One row per subject with a result that can be used, in canonical units; curves in mM over s from the arrival of the
    bolus.

    Raises
    ------
    InputError
        where there are no results, two of one subject, or a table cannot be read.
    Cancelled
        when `progress` asks for it.
    """
    report = progress or (lambda fraction, message: True)
    folders = _result_folders([results] if isinstance(results, Path) else results)
    measured, dxa_notes = read_dxa_subjects(dxa) if dxa is not None else ({}, ())
    table = _subjects_table(subjects, dictionary) if subjects is not None else None
    left_out: list[LeftOut] = []
    studies: list[_Study] = []

    def read(folder: Path) -> _Study | LeftOut:
        try:
            return _read_study(folder, with_curves)
        except InputError as error:
            return LeftOut(folder.name, str(error))

    waits = False
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(folders), _STEPS_OF_PROGRESS):
            if not report(start / len(folders), "Reading results"):
                raise Cancelled
            some, began, worked = folders[start : start + _STEPS_OF_PROGRESS], time.perf_counter(), time.process_time()
            for found in pool.map(read, some) if waits else map(read, some):
                studies.append(found) if isinstance(found, _Study) else left_out.append(found)
            # Where a disk or a file server is waited for, several readers go on; else they only take turns.
            waits = waits or time.perf_counter() - began > 2 * (time.process_time() - worked)
    _refuse_repeated(studies)
    everyone = [study.subject for study in studies]
    notes = [*dxa_notes, *_notes_of(studies)]
    group = np.repeat(np.arange(len(studies)), [len(study.levels) for study in studies])
    parts = [np.frombuffer(study.numbers) for study in studies]
    of_level = np.concatenate(parts or [np.empty(0)]).reshape(group.size, len(PER_VERTEBRA))
    level = np.array([name for study in studies for name in study.levels], dtype=np.str_)
    failed = np.array([bad for study in studies for bad in study.unusable], dtype=bool)
    counted, means = means_of_levels(
        group, len(studies), np.isin(level, VERTEBRAE) & ~failed, dict(zip(PER_VERTEBRA, of_level.T, strict=True))
    )
    left_out += [LeftOut(everyone[n], too_few_levels(int(counted[n]))) for n in np.flatnonzero(counted < LEAST_LEVELS)]
    not_counted = np.count_nonzero(failed & np.isin(level, VERTEBRAE))
    if not_counted:
        notes.append(f"{not_counted} vertebrae L1 to L4 are not evaluable and in no mean.")
    kept = [study for study, levels in zip(studies, counted, strict=True) if levels >= LEAST_LEVELS]
    numbers = {column: values[counted >= LEAST_LEVELS] for column, values in means.items() if np.isfinite(values).any()}
    sources = {
        column: SourceColumn("", "mean over evaluable L1 to L4 of the fits of the mean curves")
        if column in _OF_VERTEBRAE
        else SourceColumn("", "mean over evaluable L1 to L4, read off the mean curves")
        for column in numbers
    }
    labels: dict[str, TextArray] = {}
    joined = _Joined(kept, numbers, labels, sources, notes)
    joined.bone(measured, dxa)
    joined.provenance()
    unmatched = _unmatched(everyone, measured, dxa)
    if table is not None:
        joined.table(table)
        unmatched += _unmatched(everyone, table.subjects.tolist(), subjects)
        left_out += list(table.left_out)
    numbers, labels, sources, said = derived(
        joined.numbers, joined.labels, sources, lambda n: f"subject {kept[n].subject!r}", settings, averaged=True
    )
    return Cohort(
        name=", ".join(path.name for path in ([results] if isinstance(results, Path) else results)),
        subjects=np.array([study.subject for study in kept], dtype=np.str_),
        levels=np.full(len(kept), "", dtype=np.str_),
        readings=np.full(len(kept), "", dtype=np.str_),
        numbers=numbers,
        labels=labels,
        sources=sources,
        curves=_common_curves(kept, notes) if with_curves else None,
        rows_read=len(folders) + (len(table.left_out) if table is not None else 0),
        left_out=tuple(left_out),
        unmatched=tuple(unmatched),
        ignored=table.ignored if table is not None else (),
        notes=(*notes, *said),
        folders=len(folders),
    )


# ---- one folder


class _Missing(InputError):
    """A file is not there."""


def _result_folders(paths: Sequence[Path]) -> list[Path]:
    """The folders of results in these, sorted by name."""
    found = []
    for path in paths:
        if (path / "vertebrae.csv").exists():
            found.append(path)
        elif not path.is_dir():
            raise InputError(f"there is no folder {path}; give one that holds results of dce-perfusion-bmd analyze")
        else:
            with os.scandir(path) as children:
                names = sorted(child.name for child in children if child.is_dir() and not child.name.startswith("."))
            found += [path / name for name in names]
    if not found:
        raise InputError(
            f"no folder of results in {', '.join(path.name for path in paths)}; each is the output of "
            "dce-perfusion-bmd analyze and holds vertebrae.csv"
        )
    return found


def _read_study(folder: Path, with_curves: bool) -> _Study:
    """What a folder holds; InputError with the reason where it cannot be read."""
    vertebrae = _cells(folder, "vertebrae.csv", _OF_REGION, _OF_VERTEBRAE)
    descriptive = {row["region"]: row for row in _cells(folder, "descriptive.csv", ("region",), DESCRIPTIVE)}
    history = _history(folder)
    numbers, levels, bad = array("d"), [], []
    for row in vertebrae:
        beside = descriptive.get(row["region"])
        if beside is None:
            raise InputError(f"descriptive.csv lacks the region {row['region']!r}")
        if row["level"] in levels and row["level"]:
            raise InputError(f"vertebrae.csv has the level {row['level']} twice")
        numbers.extend(_value(beside if c in DESCRIPTIVE else row, c) for c in PER_VERTEBRA)
        levels.append(sys.intern(row["level"]))
        bad.append(bool(unusable(row["evaluable"], row["status"])))
    used = _part_of(history, "used")
    subject = next((row["subject"] for row in vertebrae if row["subject"]), "")
    curves: dict[str, Any] = {}
    if with_curves:
        regions = [
            row["region"]
            for row, failed in zip(vertebrae, bad, strict=True)
            if row["level"] in VERTEBRAE and not failed
        ]
        curves = _curve(folder, regions, history)
    chosen = _settings(history, "densitometry")  # an analysis without bone uses neither age nor sex
    age = _given(used if "age_years" in used else chosen, "age_years")
    labels = {"sex": _given(used, "sex") or _given(chosen, "sex"), "menopause": _given(chosen, "menopause")}
    return _Study(
        folder=folder.name,
        subject=pseudonym(subject or folder.name),
        named=bool(subject),
        levels=tuple(levels),
        unusable=tuple(bad),
        numbers=numbers,
        model=str(_given(_settings(history, "model"), "model") or ""),
        age_years=float(age) if isinstance(age, (int, float)) else math.nan,
        labels={column: label(column, str(value)) for column, value in labels.items() if value},
        bone=_bone_in(folder),
        **curves,
    )


def _content(folder: Path, file: str) -> bytes:
    """All bytes of a file; a Path for each of them would take longer than to read it."""
    try:
        with open(f"{folder}{os.sep}{file}", "rb") as stream:  # noqa: PTH123
            return stream.read()
    except FileNotFoundError:
        raise _Missing(f"there is no {file}") from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error}") from error


def _cells(folder: Path, file: str, wanted: Sequence[str], optional: Sequence[str] = ()) -> list[dict[str, str]]:
    """Columns of one of our own tables, row by row; those that are optional may lack."""
    names, rows = _rows(folder, file, wanted, optional)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _rows(
    folder: Path, file: str, wanted: Sequence[str], optional: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """The same as names of the columns and cells."""
    try:
        text = _content(folder, file).decode("utf-8-sig")
        heading, *rows = csv.reader(io.StringIO(text, newline=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{file} is empty") from None
    if "'" in text:
        heading, *rows = ([plain_cell(cell) for cell in row] for row in (heading, *rows))
    place = {name: n for n, name in enumerate(heading)}
    for name in wanted:
        if name not in place:
            raise InputError(f"{file} has no column {name!r}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(heading):
            raise InputError(f"{file} row {number} has {len(row)} cells, the heading has {len(heading)}")
    if not rows:
        raise InputError(f"{file} has no row")
    names = [name for name in (*wanted, *optional) if name in place]
    chosen = [place[name] for name in names]
    return names, [[row[n] for n in chosen] for row in rows]


def _value(row: Mapping[str, str], column: str) -> float:
    """A number of a vertebra in its range; NaN where the model has none."""
    text = row.get(column, "")
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{column} {text!r} of {row['region']!r} is not a number") from None
    known = NUMBERS[column]
    if not (known.low <= value <= known.high or math.isnan(value)):
        raise InputError(f"{column} {text} of {row['region']!r} is not possible")
    return value


def _history(folder: Path) -> dict[str, Any]:
    content = _content(folder, "provenance.json")
    try:
        history = json.loads(content)
    except ValueError as error:
        raise InputError(f"cannot read provenance.json: {error}") from error
    if not isinstance(history, dict):
        raise InputError("provenance.json holds no object")
    return history


def _part_of(history: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = history.get(name)
    if not isinstance(part, dict):
        raise InputError(f"provenance.json has no {name!r}")
    return part


def _settings(history: Mapping[str, Any], group: str) -> dict[str, Any]:
    return _part_of(_part_of(history, "settings"), group)


def _given(entries: Mapping[str, Any], name: str) -> Any:
    """The value of an entry of provenance; None where there is none."""
    entry = entries.get(name)
    return entry.get("value") if isinstance(entry, dict) else None


def _curve(folder: Path, regions: Sequence[str], history: Mapping[str, Any]) -> dict[str, Any]:
    """The mean measured curve of some regions, with times from the arrival of the bolus."""
    _, rows = _rows(folder, "curves.csv", ("time_s", *(f"{region}_measured_mM" for region in regions)))
    try:
        times, *curves = np.array(rows, dtype=np.float64).T
    except ValueError as error:
        raise InputError(f"curves.csv: {error}") from error
    if not np.isfinite(times).all() or (times[1:] <= times[:-1]).any():
        raise InputError("curves.csv: the times do not rise")
    arrival, known = _part_of(history, "series").get("arrival_s"), True
    if not isinstance(arrival, (int, float)):
        baseline, known = _given(_part_of(history, "used"), "baseline_frames"), False
        if not isinstance(baseline, int) or not 1 <= baseline <= times.size:
            raise InputError("provenance.json tells neither the arrival of the bolus nor the frames before it")
        arrival = float(times[baseline - 1])
    if len(regions) < LEAST_LEVELS:
        return {}
    return {"times_s": times - arrival, "curve_mM": np.mean(curves, axis=0), "arrival_known": known}


# ---- bone


def _bone_of(sites: Iterable[tuple[_Site, str]]) -> _Bone:
    """Spine, femoral neck and total hip among sites with the notes on them.

    The spine is the largest combination of at least two vertebrae that has a T-score; a hip that was measured on both
    sides counts with the lower one.
    """
    counting = [site for site, note in sites if "not assessable" not in note and "excluded by the user" not in note]
    spines = [site for site in counting if len(vertebrae_of(site.name)) > 1]
    scored = [site for site in spines if math.isfinite(site.t_score)] or spines
    found: list[_Site | None] = [
        max(scored, key=lambda site: (len(vertebrae_of(site.name)), -_rank(site)[0]), default=None)
    ]
    for region in (FEMORAL_NECK, TOTAL_HIP):
        found.append(min((site for site in counting if region_of(site.name) == region), key=_rank, default=None))
    return found[0], found[1], found[2]


def _rank(site: _Site) -> tuple[float, float]:
    """The lower score first, then the lower density; what is missing last."""
    ranks = [value if math.isfinite(value) else math.inf for value in (site.t_score, site.bmd_g_cm2)]
    return ranks[0], ranks[1]


def _bone_in(folder: Path) -> _Bone | None:
    """Bone in the classification table of a folder; None where there is none."""
    file = "bmd_classification.csv"
    try:
        rows = _cells(folder, file, ("scope", "site", "bmd_g_cm2", "t_score", "exclusion"))
    except _Missing:
        return None
    try:
        return _bone_of(
            (_Site(row["site"], float(row["bmd_g_cm2"]), float(row["t_score"])), row["exclusion"])
            for row in rows
            if row["scope"] == "site"
        )
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error


def _bone_measured(measured: Densitometry, settings: DensitometrySettings) -> _Bone:
    found = assess(measured, settings=settings)
    return _bone_of((_Site(site.site, site.measurement.bmd_g_cm2, site.t_score), site.note) for site in found.sites)


# ---- together


def _refuse_repeated(studies: Sequence[_Study]) -> None:
    seen: dict[str, str] = {}
    for study in studies:
        if study.subject in seen:
            raise InputError(
                f"the subject {study.subject!r} has results in {seen[study.subject]} and in {study.folder}; keep one"
            )
        seen[study.subject] = study.folder


def _notes_of(studies: Sequence[_Study]) -> list[str]:
    notes = []
    unnamed = sum(not study.named for study in studies)
    if unnamed:
        notes.append(f"{unnamed} results do not name their subject; they are called by their folders.")
    models = Counter(study.model for study in studies if study.model)
    if len(models) > 1:
        each = ", ".join(f"{model} in {count}" for model, count in models.items())
        notes.append(f"The results are of different models, whose parameters are not comparable: {each}.")
    return notes


def _unmatched(everyone: Sequence[str], others: Iterable[str], path: Path | None) -> list[LeftOut]:
    """Subjects with results that a table lacks, and subjects of the table without results."""
    if path is None:
        return []
    table = dict.fromkeys(others)
    known = set(everyone)
    return [LeftOut(name, f"not in {path.name}") for name in everyone if name not in table] + [
        LeftOut(name, f"in {path.name}, but without results") for name in table if name not in known
    ]


def _subjects_table(path: Path, dictionary: Mapping[str, str] | None) -> RawTable:
    rows = table_rows(path, "the table of subjects")
    table = raw_table(path.name, next(rows, []), rows, dictionary, comma_separated(path))
    if (table.levels != "").any() or (table.readings != "").any():
        raise InputError(f"{path.name} has levels or readings; the table of subjects has one row per subject")
    return table


@dataclass
class _Joined:
    """What is known of the subjects, from the least to the most trusted source."""

    studies: Sequence[_Study]
    numbers: dict[str, FloatArray]
    labels: dict[str, TextArray]
    sources: dict[str, SourceColumn]
    notes: list[str]
    _place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._place = {study.subject: n for n, study in enumerate(self.studies)}

    def bone(self, measured: Mapping[str, Densitometry], dxa: Path | None) -> None:
        """Densities and T-scores: of the DXA table, and of the results where that lacks the subject."""
        settings = DensitometrySettings(mode="paper")
        values = np.full((len(_BMD) + len(_T), len(self.studies)), np.nan)
        spines: Counter[str] = Counter()
        doubted, without = [], 0
        for n, study in enumerate(self.studies):
            own = measured.get(study.subject)
            if own is not None and own.warnings:
                doubted.append(own)
            bone = _bone_measured(own, settings) if own is not None else study.bone
            without += own is not None and not any(bone or ())
            for k, site in enumerate(bone or ()):
                if site is not None:
                    values[[k, k + len(_BMD)], n] = site.bmd_g_cm2, site.t_score
                    spines[site.name] += k == 0
        about = "results of the studies" if dxa is None else f"{dxa.name}; results of the studies for those it lacks"
        for column, row in zip((*_BMD, *_T), values, strict=True):
            if np.isfinite(row).any():
                self.numbers[column], self.sources[column] = row, SourceColumn("", about)
        other = {name: count for name, count in spines.items() if count and name != _WHOLE_SPINE}
        if other:
            each = ", ".join(f"{name} of {count}" for name, count in sorted(other.items()))
            self.notes.append(f"The lumbar spine is not L1-L4 but another combination for some subjects: {each}.")
        if without:
            self.notes.append(
                f"{without} subjects have DXA rows, but no areal density or T-score of lumbar spine, femoral neck or "
                "total hip."
            )
        if doubted:
            self.notes.append(
                f"The DXA rows of {len(doubted)} subjects are doubted. The first is {doubted[0].subject!r}: "
                f"{doubted[0].warnings[0]}."
            )

    def provenance(self) -> None:
        """Age, sex and menopausal status as the analysis of each study used them."""
        ages = np.array([study.age_years for study in self.studies])
        if np.isfinite(ages).any():
            self.numbers["age_years"] = ages
            self.sources["age_years"] = SourceColumn("", "provenance of the results")
        for column in ("sex", "menopause"):
            texts = np.array([study.labels.get(column, "") for study in self.studies], dtype=np.str_)
            if (texts != "").any():
                self.labels[column] = texts
                self.sources[column] = SourceColumn("", "provenance of the results")

    def table(self, table: RawTable) -> None:
        """The table of subjects, before what is known already; not for what the results measure."""
        rows = [(n, self._place[name]) for n, name in enumerate(table.subjects.tolist()) if name in self._place]
        theirs, ours = np.array(rows, dtype=np.intp).reshape(-1, 2).T
        unused = [table.sources[column].heading for column in table.numbers if column in PER_VERTEBRA]
        if unused:
            self.notes.append(f"{', '.join(unused)} of {table.source} are not used; those of the results count.")
        for column, values in table.numbers.items():
            if column not in PER_VERTEBRA:
                given = np.full(len(self.studies), np.nan)
                given[ours] = values[theirs]
                known = self.numbers.get(column, np.full(given.size, np.nan))
                self._say(
                    column,
                    table.source,
                    np.flatnonzero(np.abs(given - known) >= _SAME.get(column, _ROUNDED)),
                    given,
                    known,
                )
                self.numbers[column] = np.where(np.isnan(given), known, given)
                self._source(column, table)
        for column, texts in table.labels.items():
            named = np.zeros(len(self.studies), dtype=texts.dtype)
            named[ours] = texts[theirs]
            before = self.labels.get(column, np.zeros(named.size, dtype="<U1"))
            different = np.flatnonzero((named != "") & (before != "") & (named != before))
            self._say(column, table.source, different, named, before)
            self.labels[column] = np.where(named == "", before, named)
            self._source(column, table)

    def _source(self, column: str, table: RawTable) -> None:
        own, before = table.sources[column], self.sources.get(column)
        about = "; ".join(part for part in (f"of {table.source}", own.about) if part)
        elsewhere = f"; {before.about} for those it lacks" if before is not None else ""
        self.sources[column] = SourceColumn(own.heading, about + elsewhere)

    def _say(
        self,
        column: str,
        source: str,
        different: np.ndarray[Any, np.dtype[np.intp]],
        given: FloatArray | TextArray,
        known: FloatArray | TextArray,
    ) -> None:
        if different.size:
            n = int(different[0])
            self.notes.append(
                f"{column} of {different.size} subjects differs between {source}, which counts, and the other inputs. "
                f"The first is {self.studies[n].subject!r}: {given[n]}, elsewhere {known[n]}."
            )


def _common_curves(studies: Sequence[_Study], notes: list[str]) -> EnhancementCurves | None:
    """The curves on one axis, by linear interpolation and nothing beyond what was measured."""
    with_curve = [(s.subject, s.times_s, s.curve_mM) for s in studies if s.times_s is not None and s.times_s.size > 1]
    if not with_curve:
        return None
    step = float(np.median([np.median(np.diff(times)) for _, times, _ in with_curve if times is not None]))
    end = min(float(times[-1]) for _, times, _ in with_curve if times is not None)
    if end <= 0:
        notes.append("No common time axis: a series ends before the bolus arrives, so there are no curves.")
        return None
    axis = np.arange(math.ceil(_FIRST_S / step), math.floor(end / step) + 1, dtype=np.float64) * step
    values = np.empty((len(with_curve), axis.size))
    for n, (_, times, curve) in enumerate(with_curve):
        if times is not None and curve is not None:
            values[n] = np.interp(axis, times, curve, left=np.nan, right=np.nan)
    guessed = sum(not study.arrival_known for study in studies)
    if guessed:
        notes.append(
            f"The results of {guessed} subjects do not tell the arrival of the bolus; their curves start at the last "
            "frame before it."
        )
    return EnhancementCurves(
        subjects=np.array([subject for subject, *_ in with_curve], dtype=np.str_),
        times_s=axis,
        values=values,
        quantity="Contrast agent in tissue",
        unit="mmol/L",
        source="measured",
    )
