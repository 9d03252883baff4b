"""Refusals that several models and functions share; each raises ValueError and says what is wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .signal import FloatArray


def check_curve(times: FloatArray, curve: FloatArray, unit: str) -> None:
    """Times are two or more, finite and increasing, and the curve has as many samples; values may be anything."""
    if times.ndim != 1 or times.shape != curve.shape:
        raise ValueError(f"times {times.shape} and plasma curve {curve.shape} must be two lists of the same length")
    if times.size < 2:
        raise ValueError(f"{times.size} sample{'s are' if times.size != 1 else ' is'} no curve; at least 2 are needed")
    if not np.isfinite(times).all():
        raise ValueError("times must be finite numbers")
    not_after = np.flatnonzero(np.diff(times) <= 0)
    if not_after.size:
        i = int(not_after[0])
        raise ValueError(
            f"times must increase: frame {i + 2} ({times[i + 1]:g} {unit}) does not come after "
            f"frame {i + 1} ({times[i]:g} {unit})"
        )


def check_input_seen(arterial_mM: FloatArray) -> None:
    """The tissue sees the input in a frame before the last; one frame does not tell two parameters apart."""
    if not np.any(arterial_mM[1:-1] > 0):
        raise ValueError(
            "the plasma curve has no positive sample between the first and the last frame, so no kinetics can be "
            "fitted; the frames end as the agent arrives"
        )


def check_bounds(name: str, bounds: npt.ArrayLike, positive: bool = False) -> None:
    """Bounds are two finite numbers, the lower first; both positive where the model divides by the parameter."""
    values = np.asarray(bounds, dtype=float)
    if values.shape != (2,):
        raise ValueError(f"{name} must be two numbers, the lower and the upper bound, not {bounds!r}")
    low, high = values
    if not np.isfinite(values).all():
        raise ValueError(f"{name} ({low:g}, {high:g}) must be finite")
    if not low < high:
        raise ValueError(f"{name} ({low:g}, {high:g}): the lower bound must lie below the upper one")
    if positive and not low > 0:
        raise ValueError(f"{name} ({low:g}, {high:g}): the lower bound must be positive")


def check_derived(name: str, derived: tuple[str, ...], free: tuple[str, ...]) -> None:
    """A derived parameter of that name exists."""
    if name not in derived:
        known = f"derived are {', '.join(derived)}" if derived else "none is derived"
        raise ValueError(f"no derived parameter is called {name!r}; {known}, and {', '.join(free)} are free")
