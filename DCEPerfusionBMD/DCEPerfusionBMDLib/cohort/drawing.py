"""What drawings of a cohort share, on paper and in Slicer: colors, and which points are drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .model import CLASSES

MOST_POINTS = 5_000
"""Above this many subjects a panel shows a sample of them; lines, bands, boxes and numbers are of all."""

# Paul Tol's high-contrast scheme: told apart by the color-blind and in gray print.
CLASS_COLORS = dict(zip(CLASSES, ("#004488", "#DDAA33", "#BB5566"), strict=True))
NO_CLASS_COLOR = "#777777"
LINE_COLORS = ("#000000", "#009E73", "#56B4E9", "#777777")
"""Of curves that belong to no class."""


def sample(size: int) -> npt.NDArray[np.intp]:
    """Which points are drawn: all, or always the same random ones."""
    if size <= MOST_POINTS:
        return np.arange(size)
    return np.sort(np.random.default_rng(size).choice(size, MOST_POINTS, replace=False))


def how_many_drawn(shown: int, there: int) -> list[str]:
    """That not all subjects are drawn, as a sentence; nothing where they are."""
    return [f"{shown:,} of {there:,} subjects drawn"] if shown < there else []
