"""What the commands say, and how far they are."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def say(text: str, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print, and go on in silence when nobody reads any more (`... | head`)."""
    try:
        print(text, file=stream or sys.stdout, end=end, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


class Terminal:
    """Progress: a bar on a terminal, else a line per step on standard output."""

    def __init__(self) -> None:
        self._bar = sys.stderr.isatty()
        self._message = ""
        self._open = False

    def __call__(self, fraction: float, message: str) -> bool:
        if self._bar:
            done = round(30 * fraction)
            bar = f"\r[{'#' * done}{'.' * (30 - done)}] {fraction:4.0%} {message:<40.40}"
            say(bar, sys.stderr, end="")
            self._open = True
        elif message != self._message:
            say(message)
        self._message = message
        return True

    def close(self) -> None:
        """End the line of the bar."""
        if self._open:
            say("", sys.stderr)
            self._open = False
