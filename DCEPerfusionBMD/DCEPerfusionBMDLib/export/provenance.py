"""How a result was made: inputs by hash, every setting with its origin, versions."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..result import StudyResult
from ..series import DynamicSeries
from ..settings import Settings, to_dict

if TYPE_CHECKING:  # a study needs nothing of a cohort
    from ..cohort import CohortResult

FORMAT = 1
"""Of `data/provenance.schema.json`; one more with each change that a reader of the old one would stumble over."""

_PACKAGES = ("numpy", "scipy", "pydicom", "slicer-core", "vtk", "matplotlib", "SimpleITK")
_PART_TAKING = ("DCEPerfusionBMD", "Python", "numpy", "scipy", "matplotlib")


def provenance(
    series: DynamicSeries,
    settings: Settings,
    result: StudyResult,
    input_hashes: dict[str, str],
    choices: dict[str, Any],
    keep_identifiers: bool = False,
    hashed: Mapping[str, str] | None = None,
    host: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The history of a result, ready for JSON; it holds no path, name or date of the source unless asked to.

    Parameters
    ----------
    series : that was analyzed.
    settings : of the analysis, with what the user has given.
    result : of the analysis.
    input_hashes : SHA-256 of what was read beside the series.
    choices : what else the user chose, such as names of labels; by the names in `data/provenance.schema.json`.
    keep_identifiers : whether to name the patient and the study of the source.
    hashed : what the hash of an input is of, where that is no file; by its name, in words.
    host : versions beside those that `software` finds, as that of the application.

    Returns
    -------
    Nested dictionaries as `data/provenance.schema.json` describes them; times in s, None for numbers that are not
    finite.
    """
    hashed = hashed or {}
    history: dict[str, Any] = {
        "format": FORMAT,
        "software": {**software(), **(host or {})},
        "created": _now(),
        "subject": result.subject,
        **({"identifiers": dict(series.identifiers)} if keep_identifiers else {}),
        "inputs": {
            "series": {"sha256": series.source_hash, "files": series.source_files},
            **{
                name: {"sha256": digest, **({"of": hashed[name]} if name in hashed else {})}
                for name, digest in input_hashes.items()
            },
        },
        "series": {
            "frames": len(series.frames),
            "voxels_kji": list(series.shape),
            "ijk_to_ras": series.ijk_to_ras.tolist(),
            "times_s": series.times_s.tolist(),
            "time_source": series.time_source,
            "times_rejected": list(series.times_rejected),
            "arrival_s": result.arrival_s,
        },
        "choices": choices,
        "random_seeds": {},  # nothing in the analysis of one study is drawn at random
        "settings": {
            group: {name: {"value": value, "origin": settings.origin(group, name)} for name, value in of.items()}
            for group, of in to_dict(settings).items()
        },
        "used": {name: {"value": entry.value, "source": entry.source} for name, entry in result.used.items()},
        "input_segment": result.rois.input_name,
        "findings": [{"grade": f.grade, "topic": f.topic, "message": f.message} for f in result.findings],
        "warnings": list(result.warnings),
    }
    return {name: _finite(value) for name, value in history.items()}


def cohort_provenance(
    result: CohortResult,
    input_hashes: dict[str, str],
    warnings: Sequence[str] = (),
    host: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The history of the result of a cohort, ready for JSON; it names no subject.

    Parameters
    ----------
    result : of the analysis.
    input_hashes : SHA-256 of the files that were read.
    warnings : what was noticed while writing, beside those of the result.
    host : as for `provenance`.

    Returns
    -------
    Nested dictionaries; None for numbers that are not finite.
    """
    cohort = result.cohort
    history = {
        "software": {**software(), **(host or {})},
        "created": _now(),
        "cohort": cohort.name,
        "inputs": {name: {"sha256": digest} for name, digest in input_hashes.items()},
        "rows": {
            "read": cohort.rows_read,
            "analyzed": result.rows,
            "left_out": cohort.rows_read - result.rows,
            "unmatched": len(cohort.unmatched),
        },
        "subjects": {
            "analyzed": result.subjects,
            "left_out": len(result.subjects_left_out),
        },
        "reading": result.reading,
        "columns": {
            name: {"heading": source.heading, "about": source.about} for name, source in cohort.sources.items()
        },
        "ignored": list(cohort.ignored),
        "settings": dataclasses.asdict(result.settings),
        "notes": list(cohort.notes),
        "not_made": list(result.not_made),
        "warnings": [*result.warnings, *warnings],
    }
    return {name: _finite(value) for name, value in history.items()}


def as_text(history: Mapping[str, Any]) -> str:
    """A history as the text of a JSON file.

    Parameters
    ----------
    history : what `provenance` or `cohort_provenance` returned.

    Returns
    -------
    JSON, indented, with a line break at its end.
    """
    return json.dumps(history, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def software() -> dict[str, str]:
    """Versions of what takes part in an analysis, by name, and the kind of system.

    Returns
    -------
    Version by name, and `System`; packages that are not installed are left out.
    """
    system = f"{platform.system()} {platform.machine()}".strip()
    return {"DCEPerfusionBMD": __version__, "Python": platform.python_version(), "System": system, **_versions()}


def software_named(versions: Mapping[str, str], *others: str) -> str:
    """The versions of what takes part in the numbers, and of others that did."""
    return ", ".join(f"{name} {versions[name]}" for name in (*_PART_TAKING, *others) if name in versions)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON lacks, such as NaN."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
