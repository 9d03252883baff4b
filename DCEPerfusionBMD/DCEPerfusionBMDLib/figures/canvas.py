"""An empty page to draw on, and how it becomes a file that is the same for the same drawing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError

RESEARCH_USE = "For research use only. Not for use in diagnostic procedures."

_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
)
_DPI = 150


def blank(width: float, height: float) -> Any:
    """A matplotlib figure without a window, in inches.

    Raises
    ------
    InputError
        when matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("figures need matplotlib, which is not installed") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def print_style() -> Iterator[None]:
    """Sizes for a journal page: 7 pt, thin lines; text is never read as formulas.

    Raises
    ------
    InputError
        when matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.font_manager import fontManager
    except ImportError as error:
        raise InputError("figures need matplotlib, which is not installed") from error
    installed = {font.name for font in fontManager.ttflist}
    style: dict[str, Any] = {
        "font.family": [name for name in _FONTS if name in installed],
        "font.size": 7.0,
        "axes.titlesize": 7.0,
        "axes.labelsize": 7.0,
        "xtick.labelsize": 7.0,
        "ytick.labelsize": 7.0,
        "legend.fontsize": 7.0,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "dce-perfusion-bmd",
    }
    with matplotlib.rc_context(style):
        yield


def save(figure: Any, folder: Path, name: str) -> list[Path]:
    """The figure as PNG and SVG, without date; the same drawing gives the same bytes.

    Letters that no installed font has are boxes; that is seen, and no warning is needed.
    """
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(png, dpi=_DPI, metadata={"Software": None, "Title": name, "Description": RESEARCH_USE})
        figure.savefig(svg, dpi=2 * _DPI, metadata={"Date": None, "Title": name, "Description": RESEARCH_USE})
    return [png, svg]
