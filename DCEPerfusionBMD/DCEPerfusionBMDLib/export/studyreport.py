"""The report of one study: one page of HTML with maps, curves, tables, methods and provenance."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..figures import color_bar, region_pictures
from ..kinetics import arrival_time_s
from ..quantities import BY_NAME, DELAY, Quantity
from ..result import StudyResult, statistic_column
from ..roi import Fate
from ..series import DynamicSeries
from ..settings import all_parameters
from ..tables import Table
from .html import WORDING, Section, figure, page, paragraph, pictures, png_uri, points, shown_number, table
from .studymethods import study_methods, study_methods_chinese

_ABREAST = 8
"""Regions beside each other that fit on a printed page."""
_GRADES = ("severe", "warning", "note", "ok")
_FIGURES = {
    "curves": (
        "Enhancement curves. Points: mean concentration of contrast agent in the analyzed voxels of each region; line: "
        "the fitted model.",
        "Concentration in tissue over time, measured and fitted, per region; the numbers are in curves.csv.",
    ),
    "input": (
        "Input of the model. Concentration of contrast agent over time; gray: frames before contrast.",
        "Concentration of the input over time; the numbers are in curves.csv.",
    ),
    "motion": (
        "Motion. Displacement of each region over time, which was corrected.",
        "Displacement in mm over time per region; the numbers are in motion.csv.",
    ),
}
_USED = {
    "repetition_time_ms": ("Repetition time TR", "ms"),
    "echo_time_ms": ("Echo time TE", "ms"),
    "flip_angle_deg": ("Flip angle", "degrees"),
    "field_strength_T": ("Field strength", "T"),
    "agent": ("Contrast agent", ""),
    "baseline_frames": ("Frames before contrast", ""),
    "t10_tissue_ms": ("T1 of marrow before contrast", "ms"),
    "t10_blood_ms": ("T1 of blood before contrast", "ms"),
    "t10_reference_ms": ("T1 of the reference tissue before contrast", "ms"),
    "relaxivity_per_s_mM": ("Relaxivity r1", "/s/mM"),
    "r2star_per_s_mM": ("Transverse relaxivity r2*", "/s/mM"),
    "b1": ("Actual over nominal flip angle", ""),
    "fat_fraction": ("Fat fraction", "fraction"),
    "t1_fat_ms": ("T1 of fat", "ms"),
    "hematocrit": ("Hematocrit", "fraction"),
    "aif": ("Population curve", ""),
    "dose_mmol_per_kg": ("Dose", "mmol/kg"),
    "sex": ("Sex", ""),
    "age_years": ("Age", "years"),
    "weight_kg": ("Weight", "kg"),
}


def study_report(
    series: DynamicSeries,
    result: StudyResult,
    history: Mapping[str, Any],
    figures: Mapping[str, str],
    no_figures: str = "",
) -> str:
    """The report as the text of one HTML file, the same for the same input.

    It names the patient where `history` does, and nowhere else.

    Parameters
    ----------
    series, result : of the analysis.
    history : what `provenance` returned.
    figures : data URI by name, as `figures.curve_figures` names them; may be empty.
    no_figures : why they are not there, where they were to be made.

    Returns
    -------
    HTML, which loads nothing from elsewhere.
    """
    sections = [
        Section("analyzed", "What was analyzed", "".join(_analyzed(series, result, history))),
        Section("findings", "Checks of protocol and input", "".join(_findings(result))),
        Section("warnings", "Warnings", "".join(_warnings(result, no_figures))),
        Section("perfusion", "Perfusion per vertebra", "".join(_perfusion(result))),
        Section("maps", "Maps over anatomy", "".join(_maps(series, result))),
        Section("curves", "Curves", "".join(_curves(figures, no_figures))),
        Section("enhancement", "Enhancement without a model", _descriptive(result)),
        Section("regions", "Regions and exclusions", "".join(_regions(result))),
        Section("bone", "Bone mineral density", "".join(_bone(result))),
        Section("methods", "Methods", paragraph(study_methods(series, result, history))),
        Section("methods-zh", "方法", paragraph(study_methods_chinese(series, result, history)), "zh-Hans"),
        Section("provenance", "Provenance", "".join(_provenance(series, history))),
    ]
    title = f"Perfusion of lumbar vertebrae: {result.subject}" if result.subject else "Perfusion of lumbar vertebrae"
    return page(title, sections, [paragraph(WORDING, "note"), *_at_a_glance(result)])


def _at_a_glance(result: StudyResult) -> Iterable[str]:
    """What must be seen before anything else."""
    severe = [finding.message for finding in result.findings if finding.grade == "severe"]
    if severe:
        yield paragraph(f"Do not use the quantitative results: {' '.join(severe)}", "use")
    evaluable = sum(text == "yes" for text in result.vertebrae["evaluable"])
    yield paragraph(
        f"{evaluable} of {len(result.vertebrae)} regions are evaluable. {len(result.warnings)} warnings; checks: "
        f"{_counted(Counter(finding.grade for finding in result.findings))}."
    )
    if result.densitometry is not None:
        yield paragraph(result.densitometry.classification.sentence)


def _counted(grades: Counter[str]) -> str:
    return ", ".join(f"{grades[grade]} {grade}" for grade in _GRADES if grades[grade]) or "none"


def _analyzed(series: DynamicSeries, result: StudyResult, history: Mapping[str, Any]) -> Iterable[str]:
    found = np.isfinite(arrival_time_s(result.times_s, result.measured_mM))
    arrival = "found from the input" if found else "not found in the input: the last frame before contrast"
    source = "artery"
    if result.by_reference:
        source = "reference tissue"
    elif "aif" in result.used:
        source = "population curve; the segment tells the arrival"
    rows = [
        ("Series", series.describe(), ""),
        ("Frame times", f"{series.times_s[0]:g} to {series.times_s[-1]:.4g} s", series.time_source),
        *([("Frames left out before these", str(series.skipped_frames), "")] if series.skipped_frames else []),
        ("Voxel size", f"{' x '.join(f'{size:.4g}' for size in series.spacing_mm[::-1])} mm", ""),
        ("Arrival of the bolus", f"{result.arrival_s:.1f} s", arrival),
        ("Input of the model", result.rois.input_name, source),
    ]
    for name, entry in result.used.items():
        title, unit = _USED.get(name, (name, ""))
        rows.append((title, f"{shown_number(entry.value)} {unit}".strip(), entry.source))
    yield table("Series and constants", ("What", "Value", "From"), rows)
    if identifiers := history.get("identifiers"):
        rows = [(name, str(value), "") for name, value in identifiers.items()]
        yield table("Identifiers, kept since it was asked for", ("What", "Value", ""), rows)


def _findings(result: StudyResult) -> Iterable[str]:
    graded = sorted(result.findings, key=lambda finding: _GRADES.index(finding.grade))
    rows = [(finding.topic, finding.grade, finding.message) for finding in graded]
    note = (
        "severe: do not use the quantitative result; warning: it is off by an amount that matters; note: good to know."
    )
    yield table("Checks", ("Check", "Grade", "Finding"), rows, note)


def _warnings(result: StudyResult, no_figures: str) -> Iterable[str]:
    checked = {finding.message for finding in result.findings}
    others = [warning for warning in result.warnings if warning not in checked]
    others += [no_figures] if no_figures else []
    yield points(others, "provenance.json") if others else paragraph("None beside the checks.")


def _perfusion(result: StudyResult) -> Iterable[str]:
    quantities = [BY_NAME[name] for name in result.parameters]
    vertebrae = _by_column(result.vertebrae)
    delay = [DELAY] if DELAY.column in [column.name for column in result.vertebrae.columns] else []
    rows = []
    for row in vertebrae:
        cells = [_with_error(row, q) for q in quantities] + [shown_number(row[q.column]) for q in delay]
        fit = [str(row["status"]), shown_number(row["rmse_mM"]), shown_number(row["r_squared"])]
        rows.append((_place(row), str(row["voxels_analyzed"]), str(row["evaluable"]), *cells, *fit))
    yield table(
        "Fit of the mean curve",
        ("Region", "Voxels", "Evaluable", *map(_titled, (*quantities, *delay)), "Fit", "RMSE (mmol/L)", "R2"),
        rows,
        "Estimate \u00b1 standard error; an estimate on a bound has none.",
        "vertebrae.csv",
    )
    rows = []
    for row in vertebrae:
        cells = []
        for q in quantities:
            median, low, high = (shown_number(row[statistic_column(q.column, name)]) for name in ("median", "q1", "q3"))
            cells.append(f"{median} [{low}, {high}]" if median else "")
        shares = [_percent(row["at_bound_share"]), _percent(row["failed_share"])]
        rows.append((_place(row), *cells, *shares))
    yield table(
        "Voxel by voxel: median [quartiles]",
        ("Region", *map(_titled, quantities), "At a bound (%)", "Failed (%)"),
        rows,
        file="vertebrae.csv",
    )
    yield _margins(result, quantities)


def _margins(result: StudyResult, quantities: Sequence[Quantity]) -> str:
    """One row per region and quantity, one column per margin."""
    rows = _by_column(result.margins)
    at = list(dict.fromkeys(row["margin_mm"] for row in rows))
    of_region: dict[str, dict[float, Mapping[str, Any]]] = {}
    for row in rows:
        of_region.setdefault(_place(row), {})[row["margin_mm"]] = row
    return table(
        "Sensitivity to the margin",
        ("Region", "Quantity", *(f"{margin_mm:g} mm" for margin_mm in at)),
        [
            (place, _titled(q), *(shown_number(by_margin[margin_mm][q.column]) for margin_mm in at))
            for place, by_margin in of_region.items()
            for q in quantities
        ],
        "Fit of the mean curve of the voxels farther than this from the edge; with standard errors and voxels in "
        "margins.csv.",
        "margins.csv",
    )


def _maps(series: DynamicSeries, result: StudyResult) -> Iterable[str]:
    shown = region_pictures(series, result)
    quantities = [BY_NAME[name] for name in result.parameters[:3]]
    rows = []
    for picture in shown:
        where = f"slice {picture.slice_number}, {picture.plane}"
        cells = [(png_uri(picture.anatomy), f"Anatomy of {picture.region}, {where}, with the outlines")]
        cells += [(png_uri(picture.maps[q.name]), f"{q.symbol} of {picture.region}, {where}") for q in quantities]
        rows.append((f"{_cut(picture.region)}, {where}", cells))
    ends = [tuple(f"{end:g}" for end in q.display_range) for q in quantities]
    yield pictures(
        f"{', '.join(q.symbol for q in quantities)} over the mean of the frames before contrast",
        [
            ("Region", None),
            ("Before contrast", None),
            *((_titled(q), (low, high)) for q, (low, high) in zip(quantities, ends, strict=True)),
        ],
        rows,
        png_uri(color_bar()),
        "The slice of each region that has most of its analyzed voxels. Orange dashes: drawn; magenta line: analyzed. "
        "Voxels without an estimate show the anatomy; values beyond the ends of the bar have the color of the end.",
    )
    if len(result.rois.regions) > len(shown):
        yield paragraph(f"{len(result.rois.regions) - len(shown)} more regions are in the maps (maps/*.nrrd).")


def _curves(figures: Mapping[str, str], no_figures: str) -> Iterable[str]:
    if not figures:
        yield paragraph(f"{no_figures or 'None were drawn.'} The numbers are in curves.csv.")
    for name, source in figures.items():
        yield figure(source, *_FIGURES[name])


def _descriptive(result: StudyResult) -> str:
    """One column per region, since there are many quantities; a table for every `_ABREAST` of them."""
    columns = [column for column in result.descriptive.columns if column.name not in ("region", "subject", "level")]
    places = [_place(row) for row in _by_column(result.descriptive)]
    headings = [f"{column.title} ({column.unit})" if column.unit else column.title for column in columns]
    tables, caption = [], "What is read off the mean curves"
    for start in range(0, max(len(places), 1), _ABREAST):
        shown = slice(start, start + _ABREAST)
        rows = [
            (heading, *(shown_number(value) for value in column.values[shown]))
            for heading, column in zip(headings, columns, strict=True)
        ]
        last = start + len(places[shown])
        part = f": regions {start + 1} to {last} of {len(places)}" if len(places) > _ABREAST else ""
        note = f"Curve type (ours): {columns[-1].description} Empty where there is no value." if not start else ""
        tables.append(table(caption + part, ("Quantity", *places[shown]), rows, note))
    return "".join(tables)


def _regions(result: StudyResult) -> Iterable[str]:
    fates = [fate for fate in Fate if any(fate in region.counts for region in result.rois.regions)]
    left_out = [fate for fate in fates if fate != Fate.ANALYZED]
    rows = []
    for row, region in zip(_by_column(result.vertebrae), result.rois.regions, strict=True):
        counts = [str(region.counts.get(fate, 0)) for fate in left_out]
        given = [str(row[name]) for name in ("voxels_drawn", "voxels_analyzed")]
        shares = _percent(row["excluded_share"])
        rows.append((_place(row), str(row["level_source"]), *given, *counts, shares, str(row["evaluable"])))
    yield table(
        "What became of the voxels of each region",
        (
            "Region",
            "Level by",
            "Drawn",
            "Analyzed",
            *(fate.reason.capitalize() for fate in left_out),
            "Excluded inside the margin (%)",
            "Evaluable",
        ),
        rows,
        "Voxels on the grid of the series. Margin and arch are no exclusions; the others count toward the share that "
        "decides whether a level is evaluable.",
    )


def _bone(result: StudyResult) -> Iterable[str]:
    if result.densitometry is None:
        yield paragraph("No bone mineral density was given.")
    else:
        yield paragraph(f"{result.subject or 'Subject'}: {result.densitometry.classification.sentence}")
        named = {item.name: item for item in result.tables()}["bmd_classification"]
        rows = [
            (
                str(row["site"] or row["region"]),
                *(shown_number(row[name]) for name in ("bmd_g_cm2", "qct_mg_cm3", "t_score", "z_score")),
                str(row["category"]),
                str(row["explanation"]) + (f" ({row['exclusion']})" if row["exclusion"] else ""),
            )
            for row in _by_column(named)
            if row["scope"] != "subject"
        ]
        headings = ("Site", "BMD (g/cm2)", "QCT (mg/cm3)", "T-score", "Z-score", "Category", "Why")
        used = [n for n in range(len(headings)) if any(row[n] for row in rows)]
        yield table(
            "Sites",
            [headings[n] for n in used],
            [[row[n] for n in used] for row in rows],
            "Beside perfusion, and with standard errors, in bmd_classification.csv.",
        )
    if result.groups:
        compared = {item.name: item for item in result.tables()}["perfusion_comparison"]
        names = ("quantity", "unit", "group", "value", "mean", "sd", "z")
        compared_rows = _by_column(compared)
        notes = list(dict.fromkeys(row["note"] for row in compared_rows if row["note"]))
        yield table(
            f"Perfusion against {_cut(result.groups[0].source)}",
            ("Quantity", "Unit", "Group", "Value", "Group mean", "Group SD", "z", "Note"),
            [
                (
                    *(shown_number(row[name]) for name in names),
                    str(notes.index(row["note"]) + 1) if row["note"] else "",
                )
                for row in compared_rows
            ],
            f"Value: {next(column.description for column in compared.columns if column.name == 'value')}.",
        )
        for number, note in enumerate(notes, 1):
            yield paragraph(f"Note {number}. {note}", "note")


def _provenance(series: DynamicSeries, history: Mapping[str, Any]) -> Iterable[str]:
    yield paragraph(
        f"Analyzed {history['created']}. The same, ready for machines, is in provenance.json; dce-perfusion-bmd "
        "reproduce runs it again."
    )
    inputs = [
        (name, entry["sha256"] or "none: the series came from a scene", str(entry.get("files", entry.get("of", ""))))
        for name, entry in history["inputs"].items()
    ]
    yield table("Inputs", ("Input", "SHA-256", "Files, or what else"), inputs)
    chosen = [
        (name, json.dumps(value, ensure_ascii=False))
        for name, value in history["choices"].items()
        if value not in (None, {}, 0)
    ]
    if chosen:
        yield table("Choices beside the settings", ("Choice", "Value"), chosen)
    if series.times_rejected:
        yield paragraph(f"Frame times: {series.time_source}. What else was looked at:")
        yield points(series.times_rejected)
    rows = []
    for parameter in all_parameters():
        entry = history["settings"][parameter.group][parameter.name]
        value = "" if entry["value"] is None else f"{entry['value']} {parameter.unit}".strip()
        rows.append((f"{parameter.group}.{parameter.name}", value, entry["origin"]))
    rows.sort(key=lambda row: row[2] != "user")
    yield table("Settings, those of the user first", ("Setting", "Value", "Origin"), rows)
    yield table("Versions", ("Software", "Version"), list(history["software"].items()))


def _by_column(of: Table) -> list[dict[str, Any]]:
    names = [column.name for column in of.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*(column.values for column in of.columns), strict=True)]


def _place(row: Mapping[str, Any]) -> str:
    """Name of a region, with its level where the name is another."""
    region, level = _cut(str(row["region"])), str(row["level"])
    return region if level in ("", region) else f"{region} ({level})"


def _cut(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}\N{HORIZONTAL ELLIPSIS}"


def _titled(quantity: Quantity) -> str:
    return f"{quantity.symbol} ({quantity.unit})" if quantity.unit else quantity.symbol


def _with_error(row: Mapping[str, Any], quantity: Quantity) -> str:
    value, error = float(row[quantity.column]), float(row[statistic_column(quantity.column, "se")])
    if math.isnan(value):
        return ""
    return shown_number(value) + (f" \u00b1 {error:.2g}" if np.isfinite(error) else "")


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100.0 * share:.3g}"
