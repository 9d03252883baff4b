"""The figure of one study."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..quantities import BY_NAME
from ..result import StudyResult
from ..series import DynamicSeries
from ..tables import visible
from .canvas import RESEARCH_USE, blank, print_style

_LONGEST, _LONGEST_BESIDE = 40, 16  # characters of a name; of one in a legend beside the axes
_MOST_LABELS, _MOST_INSIDE = 15, 6  # curves with a label; so many of them that the legend is inside the axes


def study_figure(series: DynamicSeries, result: StudyResult, path: Path) -> None:
    """One page for one study: anatomy with the regions, the maps over it, curves with their fits, arterial input.

    Parameters
    ----------
    series, result : of one analysis.
    path : of the PNG file.

    Raises
    ------
    InputError
        when matplotlib is not installed.
    """
    figure = blank(13.0, 9.2)
    k = int(np.argmax(sum(region.analyzed.sum(axis=(1, 2)) for region in result.rois.regions)))
    anatomy = np.mean([frame[k] for frame in series.frames[: result.baseline_frames]], axis=0)
    window = _window(result, k)
    _, row_mm, column_mm = series.spacing_mm

    panels: Any = figure.subfigures(2, 1, height_ratios=(1.1, 1.0))
    top, bottom = panels
    axes = top.subplots(1, 4, squeeze=False)[0]
    for axis in axes:
        axis.imshow(anatomy[window], cmap="gray", aspect=row_mm / column_mm, vmax=np.percentile(anatomy[window], 99.5))
        axis.set_xticks([])
        axis.set_yticks([])
    for number, region in enumerate(result.rois.regions):
        if region.drawn[k][window].any():
            color = f"C{number % 10}"
            axes[0].contour(region.drawn[k][window], [0.5], colors=color, linewidths=0.8, linestyles="dotted")
            if region.analyzed[k][window].any():
                axes[0].contour(region.analyzed[k][window], [0.5], colors=color, linewidths=1.2)
            rows, columns = np.nonzero(region.drawn[k][window])
            axes[0].annotate(
                _short(region.name),
                (columns.max() + 1, rows.mean()),
                color=color,
                va="center",
                fontsize=9,
                parse_math=False,
                bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1},
            )
    if result.rois.input[k][window].any():
        axes[0].contour(result.rois.input[k][window], [0.5], colors="red", linewidths=1.0)
    axes[0].set_title(f"Before contrast, slice {k + 1}\ndotted: drawn, solid: analyzed, red: input", fontsize=9)
    shown_quantities = [BY_NAME[name] for name in result.parameters[:3]]
    for axis, quantity in zip(axes[1:], shown_quantities, strict=False):
        values = result.maps[quantity.name].values[k][window]
        low, high = quantity.display_range
        shown = axis.imshow(
            values, cmap="viridis", vmin=low, vmax=high, aspect=row_mm / column_mm, interpolation="none"
        )
        axis.set_title(f"{quantity.symbol} ({quantity.unit})", fontsize=10)
        top.colorbar(shown, ax=axis, shrink=0.8)

    with_motion = result.motion is not None
    tissue, artery, *others = bottom.subplots(1, 3 if with_motion else 2, width_ratios=(2, 1, 1)[: 2 + with_motion])
    _draw_tissue(tissue, result)
    _draw_input(artery, result)
    for axis in others:
        _draw_motion(axis, result)
    title = f"{_short(result.subject)}: DCE-MRI perfusion" if result.subject else "DCE-MRI perfusion"
    figure.suptitle(title, fontsize=13, parse_math=False)
    figure.supxlabel(RESEARCH_USE, fontsize=8, color="0.4")
    _write(figure, path, 110)


def curve_figures(result: StudyResult, folder: Path) -> list[Path]:
    """PNG files for the report of a study: `curves`, `input`, and `motion` where motion was corrected.

    Parameters
    ----------
    result : of an analysis.
    folder : for the files; it is there.

    Returns
    -------
    The files, in the order above.

    Raises
    ------
    InputError
        when matplotlib is not installed.
    """
    drawings = {"curves": _draw_tissue, "input": _draw_input, "motion": _draw_motion}
    paths = []
    for name, draw in drawings.items():
        if name == "motion" and result.motion is None:
            continue
        paths.append(folder / f"{name}.png")
        with print_style():
            figure = blank(7.0, 3.2)
            draw(figure.subplots(), result)
            _write(figure, paths[-1], 200)
    return paths


def _write(figure: Any, path: Path, dpi: int) -> None:
    """Write a PNG file; letters that no installed font has are boxes, which is seen and needs no warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=dpi, metadata={"Software": None})


def _short(name: str, longest: int = _LONGEST) -> str:
    """A name from outside, short enough for a figure."""
    shown = visible(name)
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


def _in_legend(name: str, result: StudyResult) -> str:
    """A name of a curve, shorter where the legend stands beside the axes."""
    return _short(name, _LONGEST if len(result.curves) <= _MOST_INSIDE else _LONGEST_BESIDE)


def _draw_tissue(axis: Any, result: StudyResult) -> None:
    """The mean curve of each region and its fit."""
    quantities = [BY_NAME[name] for name in result.parameters[:3]]
    for number, curve in enumerate(result.curves):
        color = f"C{number % 10}"
        if not np.isfinite(curve.concentration_mM).any():
            continue
        values = [
            f"{q.symbol} {float(result.vertebrae[q.column][number]):.3g}{q.unit if q.unit != 'fraction' else ''}"
            for q in quantities
        ]
        label = f"{_in_legend(curve.region, result)}: {', '.join(values)}" if number < _MOST_LABELS else None
        axis.plot(result.times_s, curve.concentration_mM, ".", color=color, markersize=3)
        axis.plot(result.times_s, curve.fitted_mM, "-", color=color, linewidth=1.2, label=label)
    axis.set_title("Mean curve of each region (points) and its fit (line)", fontsize=10)
    _label(axis, "Contrast agent in tissue (mmol/L)")
    _legend(axis)


def _draw_input(axis: Any, result: StudyResult) -> None:
    """The arterial input, or the curve of the reference tissue."""
    for (_, values, title, _), color in zip(result.input_curves(), ("firebrick", "darkorange"), strict=False):
        axis.plot(result.times_s, values, color=color, linewidth=1.2, label=title)
    axis.axvspan(
        result.times_s[0], result.times_s[result.baseline_frames - 1], color="0.9", label="frames before contrast"
    )
    kind = "Reference tissue" if result.by_reference else "Arterial input"
    axis.set_title(f"{kind} ({_short(result.rois.input_name)})", fontsize=10, parse_math=False)
    _label(axis, "Contrast agent (mmol/L)")
    _legend(axis)


def _label(axis: Any, y_title: str) -> None:
    axis.set_xlabel("Time (s)")
    axis.set_ylabel(y_title)
    axis.spines[["top", "right"]].set_visible(False)


def _legend(axis: Any) -> None:
    """Inside the axes, or beside them where it has so many lines that it would cover the curves."""
    lines = axis.get_legend_handles_labels()[0]
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if len(lines) > _MOST_INSIDE else {}
    for text in axis.legend(fontsize=8 if not place else 6, frameon=False, **place).get_texts():
        text.set_parse_math(False)


def _draw_motion(axis: Any, result: StudyResult) -> None:
    """Displacement of each region over time, in the colors of the curves."""
    if result.motion is None:
        return
    for number, curve in enumerate(result.curves):
        if f"{curve.region}_displacement_mm" in [column.name for column in result.motion.columns]:
            axis.plot(
                result.times_s,
                result.motion[f"{curve.region}_displacement_mm"],
                color=f"C{number % 10}",
                linewidth=1.0,
                label=_in_legend(curve.region, result) if number < _MOST_LABELS else None,
            )
    axis.set_title("Displacement, corrected", fontsize=10)
    _label(axis, "Displacement of the center (mm)")
    _legend(axis)


def _window(result: StudyResult, k: int) -> tuple[slice, slice]:
    """The part of a slice that holds the regions, with some surroundings."""
    regions = np.any([region.drawn[k] for region in result.rois.regions], axis=0)
    rows, columns = np.nonzero(regions)
    borders = []
    for found, size in ((rows, regions.shape[0]), (columns, regions.shape[1])):
        margin = 8 if found is rows else round(0.8 * (found.max() - found.min() + 1))
        borders.append(slice(max(0, int(found.min()) - margin), min(size, int(found.max()) + margin + 1)))
    return borders[0], borders[1]
