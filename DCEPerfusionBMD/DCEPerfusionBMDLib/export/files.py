"""Files that appear whole or not at all; all of a set together, unless the process is killed while they appear."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError


def check_output_folder(output: Path) -> None:
    """Refuse a folder that results could not be put into; nothing is written.

    Asked before the work begins, so that it is not lost at its end.

    Parameters
    ----------
    output : need not exist.

    Raises
    ------
    InputError
        when it or a folder above it is a file, or nothing may be written there.
    """
    existing = output
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"cannot write to {output}: {existing} is a file, not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {output}: no permission in {existing}")


_STAGE = ".unfinished-"


def left_behind(output: Path) -> list[str]:
    """A sentence where runs that were killed left temporary folders in `output`; these hold no results."""
    names = sorted(path.name for path in output.glob(f"{_STAGE}*"))
    return [f"{output} holds what interrupted runs left: {', '.join(names)}; it can be deleted"] if names else []


@contextmanager
def staged(output: Path, stale: Sequence[str] = ()) -> Iterator[Path]:
    """A temporary folder inside `output` whose files move into `output` when the block ends well.

    When the block raises or is interrupted, the temporary folder goes and `output` is as it was. The moves themselves
    are not interrupted by Ctrl-C. A process that is killed leaves the temporary folder behind, and in `output` whole
    files: none of the new ones, or, when it is killed within the moment of the moves, some of them beside older ones.

    Parameters
    ----------
    output : is made when it does not exist; what else lies in it stays.
    stale : patterns of files of an earlier run, relative to `output`, that go when the new ones have not replaced them.

    Yields
    ------
    The temporary folder.

    Raises
    ------
    InputError
        when something in `output` is in the way of a file, as a folder of its name.
    """
    made = [folder for folder in (output, *output.parents) if not folder.exists()]
    output.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=output))
    try:
        yield stage
        files = [path.relative_to(stage) for path in sorted(stage.rglob("*")) if path.is_file()]
        for file in files:
            _check_target(output, file)
        with _uninterrupted():
            for file in files:
                (output / file).parent.mkdir(parents=True, exist_ok=True)
                (stage / file).replace(output / file)
            for pattern in stale:
                for path in output.glob(pattern):
                    if path.is_file() and path.relative_to(output) not in files:
                        path.unlink()
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            if not any(folder.iterdir()):
                folder.rmdir()


def _check_target(output: Path, file: Path) -> None:
    """Raise InputError when something in `output` is in the way of a file."""
    for folder in list(file.parents)[:-1]:
        if (output / folder).exists() and not (output / folder).is_dir():
            raise InputError(f"cannot write {output / file}: {output / folder} is a file, not a folder")
    if (output / file).is_dir():
        raise InputError(f"cannot write {output / file}: a folder of that name is there")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        signal.raise_signal(signal.SIGINT)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file.

    Parameters
    ----------
    path : of the file.

    Returns
    -------
    64 hexadecimal digits.

    Raises
    ------
    OSError
        when it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
