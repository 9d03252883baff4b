"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError


def check_output_folder(output: Path) -> None:
    """Raise InputError when results could not be put into this folder; nothing is written.

    Asked before the work begins, so that it is not lost at its end.
    """
    existing = output
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"cannot write to {output}: {existing} is a file, not a folder")
    if not os.access(existing, os.W_OK):
        raise InputError(f"cannot write to {output}: no permission in {existing}")


@contextmanager
def staged(output: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `output` when the block ends well.

    Each file is replaced in one step; what else lies in `output` stays. When the block raises, or the program is
    interrupted, the temporary folder goes and `output` is as it was.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        yield stage
        for path in sorted(stage.rglob("*")):
            if path.is_file():
                target = output / path.relative_to(stage)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
