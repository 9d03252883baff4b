"""Figures of a cohort: those of the source paper, boxes by group, ROC curves and agreement of readings."""

from __future__ import annotations

import math
import string
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cohort import CLASSES, AgreementFigure, Boxes, CohortResult, MeanCurve, RocFigure, Scatter
from ..cohort.columns import NUMBERS, heading, printed_scale
from ..cohort.drawing import (
    CLASS_COLORS,
    LINE_COLORS,
    MOST_POINTS,
    NO_CLASS_COLOR,
    how_many_drawn,
    sample,
)
from ..errors import Cancelled
from ..series import Progress
from ..statistics.values import p_equation
from ..tables import visible
from .canvas import blank, print_style, save

_MARKERS = dict(zip(CLASSES, ("o", "s", "^"), strict=True))
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
NAMES = (
    *("figure1", "figure2", "figure3", "boxes_by_class", "boxes_by_age", "roc"),
    *(f"bland_altman_{column}" for column in NUMBERS),
)
"""Every name that a figure can have."""

_PAGE = 180 / 25.4  # inches
_LINE = 0.13  # inches
_WRAP = 33  # characters of 7 pt in a third of a page


def cohort_figures(result: CohortResult, folder: Path, progress: Progress | None = None) -> list[Path]:
    """Every figure that the result holds, as PNG (150 dpi) and SVG, 180 mm wide.

    `figure1`, `figure2` and `figure3` are those of the source paper; `boxes_by_class`, `boxes_by_age`, `roc` and one
    `bland_altman_COLUMN` per quantity, with a panel per pair of readings, come beside them. A figure without data is
    not made.

    Parameters
    ----------
    result : of a cohort.
    folder : is there.
    progress : called before each figure; returning False cancels.

    Returns
    -------
    list of Path
        the files, in the order in which a report shows them.

    Raises
    ------
    InputError
        when matplotlib is not installed.
    Cancelled
        when progress returned False.
    """
    ve_unit = result.settings.ve_unit
    paths: list[Path] = []
    with print_style():
        wanted = list(_wanted(result))
        for done, (name, parts) in enumerate(wanted):
            if progress is not None and not progress(done / len(wanted), f"Drawing {name}"):
                raise Cancelled
            paths += save(_draw(parts, ve_unit), folder, name)
    return paths


def _wanted(result: CohortResult) -> Iterator[tuple[str, Sequence[Any]]]:
    """Name of each figure, and what its panels show."""
    parts: dict[str, list[Any]] = {
        "figure1": [scatter for scatter in result.scatters if scatter.figure == "figure1"],
        "figure2": list(result.curves),
        "figure3": [scatter for scatter in result.scatters if scatter.figure == "figure3"],
        "boxes_by_class": [boxes for boxes in result.boxes if boxes.grouping != "age_group"],
        "boxes_by_age": [boxes for boxes in result.boxes if boxes.grouping == "age_group"],
        "roc": list(result.rocs),
    }
    for agreement in result.agreements:
        parts.setdefault(f"bland_altman_{agreement.column}", []).append(agreement)
    return ((name, found) for name, found in parts.items() if found)


def _draw(parts: Sequence[Any], ve_unit: str) -> Any:
    """One figure of panels of one kind."""
    columns = min({AgreementFigure: 2, RocFigure: 2}.get(type(parts[0]), 3), len(parts))
    rows = math.ceil(len(parts) / columns)
    tall = 2.6 if isinstance(parts[0], Scatter | MeanCurve) else 3.1
    if isinstance(parts[0], RocFigure):
        tall += 0.1 + _LINE * max(sum(_wrapped(text, 2).count("\n") + 1 for text in part.captions) for part in parts)
    figure = blank(_PAGE, rows * tall + 0.25)
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05, wspace=0.04, hspace=0.06)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=isinstance(parts[0], MeanCurve))
    for number, axis in enumerate(axes.flat):
        if number >= len(parts):
            axis.remove()
            continue
        part = parts[number]
        letter = "" if len(parts) == 1 else string.ascii_uppercase[number % 26]
        if isinstance(part, Scatter):
            _scatter(axis, part, ve_unit, letter)
        elif isinstance(part, MeanCurve):
            _mean_curve(axis, part, parts, letter, number == 0)
        elif isinstance(part, Boxes):
            _boxes(axis, part, ve_unit, letter)
        elif isinstance(part, RocFigure):
            _roc(axis, part, ve_unit, letter)
        else:
            _agreement(axis, part, ve_unit, letter)
    if isinstance(parts[0], Scatter):
        _class_legend(figure, parts)
    elif isinstance(parts[0], MeanCurve):
        figure.supxlabel(textwrap.fill(f"{band_said(parts)} Curves {visible(parts[0].source)}.", 3 * _WRAP), fontsize=7)
    return figure


def _scatter(axis: Any, part: Scatter, ve_unit: str, letter: str) -> None:
    scale = printed_scale(part.y_column, ve_unit)
    x_scale = printed_scale(part.x_column, ve_unit)
    shown = sample(part.x.size)
    for group in (*CLASSES, ""):
        of_group = shown[part.groups[shown] == group] if group else shown[~np.isin(part.groups[shown], CLASSES)]
        if of_group.size:
            axis.scatter(
                part.x[of_group] * x_scale,
                part.y[of_group] * scale,
                s=9 if shown.size < 500 else 4,
                marker=_MARKERS.get(group, "x"),
                color=CLASS_COLORS.get(group, NO_CLASS_COLOR),
                alpha=0.75 if shown.size < 500 else 0.4,
                linewidths=0.6 if not group else 0,
                rasterized=part.x.size > MOST_POINTS,
            )
    axis.fill_between(part.line_x * x_scale, part.low * scale, part.high * scale, color="0.25", alpha=0.25, linewidth=0)
    axis.plot(part.line_x * x_scale, part.line_y * scale, color="black", linewidth=1.1)
    _label(axis, _heading(part.x_column, ve_unit), _heading(part.y_column, ve_unit))
    found = part.correlation
    low, high = found.interval
    lines = [f"r = {_minus(f'{found.r:.3f} [{low:.3f}, {high:.3f}]')}", f"{p_equation(found.p)}, n = {found.n:,}"]
    _caption(axis, letter, "\n".join([*lines, *how_many_drawn(shown.size, part.x.size)]))


def band_said(curves: Sequence[MeanCurve]) -> str:
    """What line and band of mean curves are; one subject has no band.

    Parameters
    ----------
    curves : one or more.

    Returns
    -------
    One sentence.
    """
    alone = [curve for curve in curves if not np.isfinite(curve.low).any()]
    if len(alone) == len(curves):
        return "Line: mean, without a band since each is of one subject."
    text = "Line: mean; band: its pointwise 95 % confidence interval"
    return f"{text}{', which one subject does not have' if alone else ''}."


def _mean_curve(axis: Any, part: MeanCurve, others: Sequence[MeanCurve], letter: str, first: bool) -> None:
    for other in others:
        if other is not part:
            axis.plot(other.times_s, other.mean, color="0.75", linewidth=0.7)
    color = CLASS_COLORS.get(part.group, NO_CLASS_COLOR)
    axis.fill_between(part.times_s, part.low, part.high, color=color, alpha=0.3, linewidth=0)
    axis.plot(part.times_s, part.mean, color=color, linewidth=1.4)
    _label(axis, "Time from arrival (s)", f"{visible(part.quantity)} ({visible(part.unit)})" if first else "")
    others_said = "\ngray: the other categories" if len(others) > 1 else ""
    _caption(axis, letter, f"{visible(part.group)}, n = {part.count:,}{others_said}")


def _boxes(axis: Any, part: Boxes, ve_unit: str, letter: str) -> None:
    scale = printed_scale(part.column, ve_unit)
    groups = list(part.values)
    values = [np.asarray(part.values[group], dtype=np.float64) * scale for group in groups]
    values = [column[np.isfinite(column)] for column in values]
    sizes = [column.size for column in values]
    of_group = np.repeat(np.arange(len(groups)), sizes)
    everything = np.concatenate(values) if values else np.empty(0)
    shown = sample(everything.size)
    aside = np.random.default_rng(0).uniform(-0.22, 0.22, shown.size)
    for number, group in enumerate(groups):
        own = of_group[shown] == number
        axis.scatter(
            number + aside[own],
            everything[shown[own]],
            s=9 if sizes[number] == 1 else 4 if shown.size < 500 else 2,
            color=CLASS_COLORS.get(group, NO_CLASS_COLOR),
            alpha=0.55 if shown.size < 500 else 0.25,
            linewidths=0,
            rasterized=everything.size > MOST_POINTS,
        )
        if values[number].size > 1:  # the box of one subject would hide its point
            drawn = axis.boxplot(
                [values[number]],
                positions=[number],
                widths=0.6,
                showfliers=False,
                manage_ticks=False,
                boxprops={"linewidth": 0.8},
                whiskerprops={"linewidth": 0.8},
                capprops={"linewidth": 0.8},
                medianprops={"linewidth": 1.4},
            )
            for line in [artist for artists in drawn.values() for artist in artists]:
                line.set(color="black", zorder=3)
    names = [textwrap.fill(visible(group).replace("osteoporosis", "osteo- porosis"), 10) for group in groups]
    crowded = len(groups) > 6 or (len(groups) > 3 and max(sizes) >= 1_000)
    axis.set_xticks(
        range(len(groups)),
        [f"{name}{' n = ' if crowded else chr(10)}{size:,}" for name, size in zip(names, sizes, strict=True)],
        **({"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if crowded else {}),
    )
    axis.tick_params(axis="x", length=0)
    axis.set_xlim(-0.6, len(groups) - 0.4)
    _label(axis, f"{heading(part.grouping)}, subjects", _heading(part.column, ve_unit))
    _caption(axis, letter, "\n".join([_wrapped(part.caption), *how_many_drawn(shown.size, everything.size)]))


def _roc(axis: Any, part: RocFigure, ve_unit: str, letter: str) -> None:
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.6)
    for number, (fall_out, sensitivity) in enumerate(part.curves):
        color = LINE_COLORS[number % len(LINE_COLORS)]
        dashes = _DASHES[(number + number // len(LINE_COLORS)) % len(_DASHES)]
        label = _wrapped(part.captions[number], 2)
        axis.plot(fall_out, sensitivity, color=color, linestyle=dashes, linewidth=1.2, label=label)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _label(axis, "1 \N{MINUS SIGN} specificity", "Sensitivity")
    if part.curves:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, handlelength=1.8)
    _caption(axis, letter, _wrapped(part.condition, 2))


def _agreement(axis: Any, part: AgreementFigure, ve_unit: str, letter: str) -> None:
    scale = printed_scale(part.column, ve_unit)
    shown = sample(part.means.size)
    axis.scatter(
        part.means[shown] * scale,
        part.differences[shown] * scale,
        s=9 if shown.size < 500 else 4,
        color="#004488",
        alpha=0.6 if shown.size < 500 else 0.3,
        linewidths=0,
        rasterized=part.means.size > MOST_POINTS,
    )
    sides = (("mean", part.bias, "-"), ("upper limit", part.upper, "--"), ("lower limit", part.lower, "--"))
    for name, value, dashes in sides:
        axis.axhline(value * scale, color="black", linewidth=0.9, linestyle=dashes)
        axis.annotate(
            f"{name}\n{_minus(f'{value * scale:.3g}')}",
            (1.01, value * scale),
            xycoords=("axes fraction", "data"),
            va="center",
            annotation_clip=False,
        )
    length = 15 if letter else 30
    first, second = visible(part.first)[:length], visible(part.second)[:length]
    title = _heading(part.column, ve_unit)
    _label(axis, f"Mean of both readings: {title}", f"{first} \N{MINUS SIGN} {second}: {title}")
    wrapped = textwrap.fill(visible(part.caption), 45 if letter else 80)
    _caption(axis, letter, "\n".join([wrapped, *how_many_drawn(shown.size, part.means.size)]))


def _class_legend(figure: Any, parts: Sequence[Scatter]) -> None:
    """One legend for all panels: the categories that any of them shows."""
    from matplotlib.lines import Line2D

    there = set().union(*(set(np.unique(part.groups).tolist()) for part in parts))
    handles = [
        Line2D([], [], linestyle="", marker=_MARKERS[group], color=CLASS_COLORS[group], markersize=4, label=group)
        for group in CLASSES
        if group in there
    ]
    if there - set(CLASSES):
        cross = Line2D([], [], linestyle="", marker="x", color=NO_CLASS_COLOR, markersize=4, label="no category")
        handles.append(cross)
    handles.append(Line2D([], [], color="black", linewidth=1.1, label="least squares, 95 % confidence band"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _heading(column: str, ve_unit: str) -> str:
    return heading(column, ve_unit).replace("m2)", "m²)")


def _label(axis: Any, x: str, y: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)


def _caption(axis: Any, letter: str, text: str) -> None:
    """Above the panel, where it hides no point; the letter of the panel is bold, beside the first line."""
    axis.set_title(text, loc="left", x=0.09 if letter else 0.0, linespacing=1.25)
    if letter:
        axis.annotate(
            letter + "\n" * text.count("\n"),
            (0.0, 1.0),
            (0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            weight="bold",
            linespacing=1.25,
        )


def _wrapped(text: str, panels: int = 3) -> str:
    """Lines as wide as a panel, when so many stand side by side."""
    return textwrap.fill(visible(text), _WRAP * 3 // panels)


def _minus(numbers: str) -> str:
    return numbers.replace("-", "\N{MINUS SIGN}")
