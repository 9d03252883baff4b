"""When each frame was acquired: candidates are gathered, checked, and one is chosen in a documented order.

Nothing is made up. A candidate is what one tag, label or user says of every frame; it is used when it gives every frame
a time, increases strictly, keeps the order in which the scanner numbered the frames, and is neither a count nor the
repetition time in disguise. The first that passes is used; the others are kept, each with the reason against it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import InputError

FloatArray = npt.NDArray[np.float64]

USER = "given by the user"
_SHORTEST_FRAME_TIME_S, LONGEST_FRAME_TIME_S = 0.2, 300.0
_COUNTED_FROM = 2  # steps
_DAY_S = 86400.0
_IRREGULAR = 0.01
_DISAGREE = 0.1


@dataclass(frozen=True)
class Candidate:
    """What one source says of the time of every frame.

    Attributes
    ----------
    name : as a phrase, a DICOM tag with its number.
    seconds : (n_frames,) or (n_slices, n_frames) from any origin, frames in the scanner's order; NaN where absent.
    against : why it cannot be a time axis, where the reader knows; empty when it may be one.
    clock : whether it is the time of a day without its date, which starts anew at midnight.
    note : a warning for the user, should it be used.
    made : whether it tells when the images were made, not when they were acquired; it tells nothing of the slices.
    """

    name: str
    seconds: FloatArray
    against: str = ""
    clock: bool = False
    note: str = ""
    made: bool = False


@dataclass(frozen=True)
class TimeChoice:
    """Times that pass all checks.

    Attributes
    ----------
    name : of the candidate.
    times_s : (n_frames,) from the first frame.
    """

    name: str
    times_s: FloatArray

    def describe(self) -> str:
        """Name and step, in one line."""
        steps = np.diff(self.times_s)
        return f"{self.name}: {np.median(steps):.4g} s" if steps.size else self.name

    def later(self, skip_frames: int) -> TimeChoice:
        """The times without those of leading frames.

        Parameters
        ----------
        skip_frames : how many; fewer than there are.

        Returns
        -------
        The choice, with times from the first frame that is left.
        """
        return TimeChoice(self.name, self.times_s[skip_frames:] - self.times_s[skip_frames])


@dataclass(frozen=True)
class TimeAxis:
    """The times that are used, and what was decided.

    Attributes
    ----------
    times_s : (n_frames,) from the first frame; of the earliest slice where slices differ.
    source : name of the candidate.
    rejected : the other candidates, each with the reason against it.
    warnings : sentences for the user.
    slice_offsets_s : (n_slices,) how much later than the first each slice is acquired, mean over the frames; None
        where the source has one time per frame.
    choices : the candidates of the data that pass, in the order of trust; of these the user may choose by name.
    doubtful : whether the user should look at them: they disagree, or the one that is used has something against it.
    """

    times_s: FloatArray
    source: str
    rejected: tuple[str, ...]
    warnings: tuple[str, ...]
    slice_offsets_s: FloatArray | None = None
    choices: tuple[TimeChoice, ...] = ()
    doubtful: bool = False


def resolve_times(
    candidates: Sequence[Candidate],
    n_frames: int,
    repetition_time_ms: float | None = None,
    what: str = "the series",
    times: str | None = None,
) -> TimeAxis:
    """Choose the time axis: the user's, else the first candidate, in the order given, that passes all checks.

    Where it has one time per frame, the times of the slices are those of the first candidate that agrees and has them.

    Parameters
    ----------
    candidates : in the order of trust.
    n_frames : how many times are needed.
    repetition_time_ms : a step that equals it is not a frame time.
    what : is named in messages.
    times : the user's: the name of a candidate, or as `times_of_user`; used or refused, never passed over.

    Returns
    -------
    The times that are used, in seconds from the first frame, with what was decided.

    Raises
    ------
    InputError
        when no candidate passes; the message holds the reason against each.
    """
    wanted = times.strip() if times is not None else None
    named = next((candidate for candidate in candidates if candidate.name == wanted), None)
    if times is not None and named is None:
        candidates = [times_of_user(times, n_frames), *candidates]
    checked: list[tuple[Candidate, TimeAxis | str]] = []
    for candidate in candidates:
        try:
            checked.append((candidate, _checked(candidate, n_frames, repetition_time_ms)))
        except _Rejected as reason:
            if candidate.name.startswith(USER) or candidate is named:
                raise InputError(f"the times {candidate.name} cannot be used: {reason}") from reason
            checked.append((candidate, str(reason)))
    passed = [(candidate, axis) for candidate, axis in checked if isinstance(axis, TimeAxis)]
    if not passed:
        looked = "; ".join(f"{candidate.name}: {reason}" for candidate, reason in checked)
        raise InputError(
            f"{what} has no usable frame times. Looked at "
            f"{looked or 'nothing: there is no tag or label that could hold them'}. Give them with --times (a step in "
            "s, a list, or a CSV file)"
        )
    used, chosen = next((each for each in passed if each[0] is named), passed[0])
    source = f"{used.name}, chosen by the user" if named is not None else used.name
    doubtful = bool(chosen.warnings)
    rejected: list[str] = []
    warnings, offsets = list(chosen.warnings), chosen.slice_offsets_s
    most = _DISAGREE * float(np.median(np.diff(chosen.times_s))) if n_frames > 1 else np.inf
    for candidate, axis in checked:
        if isinstance(axis, str):
            rejected.append(f"{candidate.name}: {axis}")
            continue
        if axis is chosen:
            continue
        difference = float(np.abs(axis.times_s - chosen.times_s).max(initial=0.0))
        rejected.append(f"{candidate.name}: not needed, {chosen.source} comes first; they differ by {difference:.3g} s")
        if difference > most:
            doubtful = True
            warnings.append(
                f"{chosen.source} and {candidate.name} disagree by up to {difference:.3g} s; {chosen.source} is used"
            )
        elif offsets is None and axis.slice_offsets_s is not None:
            offsets = axis.slice_offsets_s
            warnings.append(
                f"{chosen.source} has one time per frame; the times of the slices within it are from {candidate.name}"
            )
    choices = tuple(TimeChoice(c.name, axis.times_s) for c, axis in passed if not c.name.startswith(USER))
    return TimeAxis(chosen.times_s, source, tuple(rejected), tuple(warnings), offsets, choices, doubtful)


def complete_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, with those that lack some frames after the others, and those of the images' making last.

    Parameters
    ----------
    candidates : in the order of trust.

    Returns
    -------
    The same candidates, otherwise in the order given.
    """

    def rank(candidate: Candidate) -> int:
        known = np.isfinite(candidate.seconds)
        return 2 if candidate.made else int(known.any() and not known.all())

    return sorted(candidates, key=rank)


class _Rejected(Exception):
    """Why a candidate is not the time axis."""


def _checked(candidate: Candidate, n_frames: int, repetition_time_ms: float | None) -> TimeAxis:
    if candidate.against:
        raise _Rejected(candidate.against)
    table = np.atleast_2d(np.asarray(candidate.seconds, dtype=float))
    if table.shape[1] != n_frames:
        raise _Rejected(f"{table.shape[1]} values for {n_frames} frames")
    if not np.isfinite(table).any():
        raise _Rejected("absent")
    warnings: list[str] = [candidate.note] if candidate.note else []
    if candidate.made:
        warnings.append(
            f"{candidate.name} is when an image was made, not when it was acquired; compare the times with the protocol"
        )
    if candidate.clock:
        table, wrapped = _past_midnight(table)
        warnings += ["the acquisition crosses midnight; the times after it are counted on"] if wrapped else []
    missing = ~np.isfinite(table)
    if missing.any():
        table = _first_filled(table, missing)
        warnings.append(f"{candidate.name} is absent in the first frame; taken as one regular step before the second")
    if n_frames > 1:
        _check_increasing(table)
    first = table.min(axis=0)
    late = np.flatnonzero(table.max(axis=0)[:-1] >= first[1:])
    if late.size:
        raise _Rejected(f"slices of frame {late[0] + 1} are later than the start of frame {late[0] + 2}")
    times_s = first - first[0]
    if n_frames > 1:
        step = float(np.median(np.diff(times_s)))
        of_user = candidate.name.startswith(USER)
        _check_plausible(step, repetition_time_ms, of_user or bool(abs(first[0]) <= _COUNTED_FROM * step))
        if step > LONGEST_FRAME_TIME_S:
            if not of_user:
                raise _Rejected(f"its step of {step:g} s is too long for a frame; the unit may be wrong")
            warnings.append(f"the frames are {step:g} s apart as given by the user; times are given in s")
        spread = float(np.ptp(np.diff(times_s)))
        if spread > 0.5 * step:
            warnings.append(
                f"the frames are unevenly spaced: {np.diff(times_s).min():.3g} to {np.diff(times_s).max():.3g} s"
            )
    offsets = (table - first).mean(axis=1)
    known = offsets.max() > 0 and not candidate.made
    return TimeAxis(times_s, candidate.name, (), tuple(warnings), offsets if known else None)


def _past_midnight(table: FloatArray) -> tuple[FloatArray, bool]:
    """Times of day that fall by more than half a day from one frame to the next go on into the next day."""
    known = np.where(np.isfinite(table), table, np.nan)
    falls = np.diff(known, axis=1) < -_DAY_S / 2
    days: FloatArray = np.zeros_like(known)
    days[:, 1:] = np.cumsum(falls, axis=1)
    turned = known + days * _DAY_S
    # a slice may cross midnight within the first frame, the others later
    late = turned[:, 0] - np.nanmax(turned[:, 0]) < -_DAY_S / 2
    turned[late] += _DAY_S
    return turned, bool(falls.any() or late.any())


def _first_filled(table: FloatArray, missing: npt.NDArray[np.bool_]) -> FloatArray:
    """The table with a missing first frame one step before the second, where all the others are regular."""
    frames = np.flatnonzero(missing.any(axis=0))
    if frames.size > 1 or frames[0] != 0:
        listed = ", ".join(str(n + 1) for n in frames[:5])
        raise _Rejected(f"absent in {frames.size} of {table.shape[1]} frames (frame {listed})")
    steps = np.diff(table[:, 1:], axis=1)
    if steps.size < 2 or np.ptp(steps) > _IRREGULAR * steps.mean():
        raise _Rejected("absent in the first frame, and the others are not regular")
    filled = table.copy()
    filled[:, 0] = np.where(missing[:, 0], table[:, 1] - steps.mean(), table[:, 0])
    return filled


def _check_increasing(table: FloatArray) -> None:
    steps = np.diff(table, axis=1)
    if (steps > 0).all():
        return
    row, frame = np.argwhere(steps <= 0)[0]
    values = table[row]
    distinct = np.unique(values).size
    if distinct == 1:
        raise _Rejected(f"the same in all {values.size} frames")
    if steps[row, frame] == 0:
        raise _Rejected(
            f"{values.size} frames but {distinct} distinct times (frames {frame + 1} and {frame + 2} are both "
            f"{values[frame] - values.min():g} s after the first)"
        )
    raise _Rejected(
        f"does not increase with the scanner's numbering: frame {frame + 2} is {-steps[row, frame]:g} s before frame "
        f"{frame + 1}"
    )


def _check_plausible(step_s: float, repetition_time_ms: float | None, counted: bool) -> None:
    """Refuse steps below any frame's, and the repetition time where it is counted from the first frame: by a clock, a
    sequence may well acquire a frame in one."""
    if repetition_time_ms and counted and abs(step_s * 1000.0 - repetition_time_ms) < 0.01 * repetition_time_ms:
        raise _Rejected(
            f"its step of {step_s * 1000:g} ms is the repetition time, not a frame time (an importer may have counted "
            "TR x n)"
        )
    if step_s < _SHORTEST_FRAME_TIME_S:
        raise _Rejected(f"its step of {step_s:g} s is too short for a frame; the unit may be wrong")


def is_file(path: str | Path) -> bool:
    """Whether there is such a file, for texts that may be none: too long for a name, or with signs that no name has.

    Parameters
    ----------
    path : any text.

    Returns
    -------
    False also for what cannot be a path.
    """
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def times_of_user(text: str, n_frames: int) -> Candidate:
    """The candidate that a user gives: a step in s, times in s separated by commas, or the path of a CSV file.

    A CSV file holds one time per row, in its column `time_s` or in its only column.

    Parameters
    ----------
    text : one of these.
    n_frames : how many times a step is counted out for.

    Returns
    -------
    The candidate; its times are checked by `resolve_times`.

    Raises
    ------
    InputError
        when the text is none of these, a step is not above 0 s and below a day, or the file cannot be read, has no such
        column or a cell that is no number.
    """
    text = text.strip()
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        path = Path(text)
        if not is_file(text):
            raise InputError(
                f"--times {text!r} is neither a step in s, nor times in s separated by commas, nor a file, nor a "
                "source of times that the series has"
            ) from None
        return Candidate(f"{USER} (file)", np.array(_column(path)))
    if len(values) == 1:
        if not 0 < values[0] < _DAY_S:
            raise InputError(f"--times {text}: a step must be above 0 s")
        return Candidate(f"{USER} (step of {values[0]:g} s)", np.arange(float(n_frames)) * values[0])
    against = ""
    if len(values) == 2 != n_frames:
        against = f"2 values for {n_frames} frames; a step has a decimal point, as in 4.5"
    return Candidate(f"{USER} (list)", np.array(values), against)


def _column(path: Path) -> list[float]:
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the times in {path.name}: {error}") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    if "time_s" in header:
        column, rows = header.index("time_s"), rows[1:]
    elif all(len(row) == 1 for row in rows):
        column = 0
    else:
        raise InputError(f"{path.name} has no column time_s; its columns are {', '.join(header)}")
    values = []
    for n, row in enumerate(rows, 1):
        try:
            values.append(float(row[column]))
        except (ValueError, IndexError) as error:
            raise InputError(f"{path.name}, time {n}: {row[column : column + 1]} is no number") from error
    return values
