"""What is kept between runs over the same inputs, so that a changed setting costs what depends on it and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Memory = dict[str, Any]
"""Step to the key of what it depended on and its result; emptied by its owner when the inputs change."""


def recalled(memory: Memory | None, step: str, key: Any, make: Callable[[], Any]) -> Any:
    """The result of a step, from memory where what it depends on is as it was.

    Parameters
    ----------
    memory : changed in place; None to make everything anew.
    step : name of the step; one result is kept of each.
    key : what the result depends on, compared by ==.
    make : called without arguments where the result is not kept.

    Returns
    -------
    What `make` returned, now or before.
    """
    if memory is None:
        return make()
    if step not in memory or memory[step][0] != key:
        memory[step] = (key, make())
    return memory[step][1]
