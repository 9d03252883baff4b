"""The files of a folder in groups: one per series, the phases of one acquisition joined; and the grid of a group."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import Cancelled, InputError
from ..series import Progress
from ..tables import one_line
from .frames import LPS_TO_RAS, FloatArray, Frame, clock_s, content_of, date_time_s
from .headers import ImageFile, PassedOver, Values, read_file
from .kinds import derived, mapped

_SAME_SLICE_MM = 0.1
_SAME_NUMBER = 1e-3
_UNEVEN = 0.02
_TILTED = 1e-3  # what `DynamicSeries.spacing_mm` accepts
_NAMED_FILES = 3
_NAMED_PARTS = 4
_LONGEST_LABEL = 40
LEAST_FRAMES = 3
_HALF_DAY_S = 86400.0 / 2
_LONGEST_PAUSE_S = 1800.0

_IDENTITY = (
    ("PatientID", "(0010,0020)"),
    ("StudyInstanceUID", "(0020,000D)"),
    ("FrameOfReferenceUID", "(0020,0052)"),
)
_OF_SERIES = ("Modality", "SeriesDescription", "ProtocolName")
GEOMETRY = (("Rows", 1), ("Columns", 1), ("PixelSpacing", 2), ("ImageOrientationPatient", 6))
CONTRAST = (("RepetitionTime", 1), ("EchoTime", 1), ("FlipAngle", 1))


@dataclass
class Group:
    """The images that are read as one series.

    Attributes
    ----------
    uids, numbers : of the series it is made of; more than one where the phases of an acquisition were joined.
    files : used once each.
    damaged : files that belong to it and cannot be used.
    doubtful : files that cannot be used, do not tell their series, and may belong to it.
    conflict : why its files contradict each other; empty when they do not.
    notes : sentences for the user.
    part : what tells its images from the others of the series, where a series holds images of several kinds.
    content : which of the images of its files belong to it (`Frame.content`); all of them when None.
    """

    uids: list[str]
    numbers: list[str]
    files: list[ImageFile] = field(default_factory=list)
    damaged: list[PassedOver] = field(default_factory=list)
    doubtful: list[PassedOver] = field(default_factory=list)
    conflict: str = ""
    notes: list[str] = field(default_factory=list)
    part: str = ""
    content: tuple[str, ...] | None = None

    @property
    def frames(self) -> list[Frame]:
        """All images, in the order of the files."""
        found = [Frame(file, n) for file in self.files for n in range(len(file.values))]
        if self.content is None:
            return found
        return [frame for frame in found if frame.is_localizer or frame.content == self.content]

    @property
    def number(self) -> str:
        """Series number of the first series, with the part."""
        return self._with_part(self.numbers[0])

    def is_named(self, wanted: str) -> bool:
        """Whether a number or UID, with or without the part, is that of one of its series."""
        names = [*self.uids, *self.numbers]
        return wanted.upper() in (name.upper() for name in (*names, *map(self._with_part, names)))

    def _with_part(self, name: str) -> str:
        return f"{name}:{self.part}" if self.part else name

    @property
    def span(self) -> str:
        """The lowest and the highest of its series numbers."""
        ordered = sorted(self.numbers, key=_natural)
        return f"{ordered[0]} to {ordered[-1]}"

    @property
    def description(self) -> str:
        """Series description of the first series, in one line."""
        values = self.files[0].values[0] if self.files else self.damaged[0].values
        return one_line(str((values or {}).get("SeriesDescription", "")))


@dataclass
class Study:
    """What a folder holds.

    Attributes
    ----------
    groups : in the order of their numbers.
    passed_over : files that belong to no group.
    """

    groups: list[Group]
    passed_over: list[PassedOver]
    looked_at: int


def read_folder(folder: Path, progress: Progress | None = None, keep_pixels: bool = True) -> Study:
    """All MR images below a folder, in groups: one per series and kind of image, or per acquisition in several series.

    Parameters
    ----------
    folder : is searched through.
    progress : called with the fraction done and what is being done; a return of False cancels.
    keep_pixels : whether the pixels will be needed.

    Raises
    ------
    InputError
        when it is no folder, or a file cannot be listed.
    Cancelled
        when `progress` asks for it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    groups: dict[str, Group] = {}
    passed_over: list[PassedOver] = []
    seen: dict[tuple[str, str], ImageFile] = {}
    copies: Counter[str] = Counter()
    for index, path in enumerate(paths):
        if progress and index % 64 == 0 and not progress(index / len(paths), "Reading DICOM files"):
            raise Cancelled
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's remarks on odd files quote their headers
            found = read_file(path, keep_pixels)
        values = (found.values or {}) if isinstance(found, PassedOver) else found.values[0]
        uid = str(values.get("SeriesInstanceUID", ""))
        if isinstance(found, PassedOver) and not (found.damaged and uid):
            passed_over.append(found)
            continue
        group = groups.setdefault(uid, Group([uid], [_number_of(values)]))
        if isinstance(found, PassedOver):
            group.damaged.append(found)
            continue
        if group.files:
            group.conflict = group.conflict or _of_another(group.files[0], found)
        key = (uid, str(values.get("SOPInstanceUID", "")) or found.sha256)
        twin = seen.setdefault(key, found)
        if twin is found:
            group.files.append(found)
        elif twin.sha256 == found.sha256:
            copies[uid] += 1
            passed_over.append(PassedOver(found.name, "a copy of another file", values=values))
        else:
            group.conflict = group.conflict or (
                f"{one_line(twin.name)} and {one_line(found.name)} have the same SOPInstanceUID (0008,0018) but "
                "differ; keep only the right one"
            )
    for uid, count in copies.items():
        groups[uid].notes.append(f"{count} file{'s are copies' if count > 1 else ' is a copy'} of others; used once")
    lost = [groups.pop(uid) for uid in [uid for uid, group in groups.items() if not group.files]]
    passed_over += [file for group in lost for file in group.damaged]
    parts = [part for group in groups.values() for part in _parts(group)]
    ordered = sorted(_joined(parts, lost), key=lambda g: (_natural(g.numbers[0]), g.description, g.uids[0], g.part))
    for group in ordered:
        group.doubtful = _may_belong(passed_over, group)
    return Study(ordered, passed_over, len(paths))


def _may_belong(passed_over: Sequence[PassedOver], group: Group) -> list[PassedOver]:
    """The files that can be lost images of a group: nothing that is left of their header tells another series.

    A value may be cut itself, so the beginning of one of the group tells no other. Where none says that it was an MR
    image, the name does: all but its numbers and signs is that of an image.
    """
    texts = {name: {_words(str(file.values[0].get(name, ""))) for file in group.files} for name in _OF_SERIES}
    names = {_words(file.name) for file in group.files}
    studies = {str(file.values[0].get("StudyInstanceUID", "")) for file in group.files}

    def may(file: PassedOver) -> bool:
        left = file.values or {}
        series, study = (str(left.get(name, "")) for name in ("SeriesInstanceUID", "StudyInstanceUID"))
        if series in group.uids or not _begins(series, group.uids) or not _begins(study, studies):
            return False
        if any(not _begins(_words(str(left.get(name, ""))), texts[name]) for name in _OF_SERIES):
            return False
        return (file.damaged and file.values is not None) or _words(file.name) in names

    return [file for file in passed_over if may(file)]


def _begins(text: str, any_of: Iterable[str]) -> bool:
    """Whether a text is blank or the beginning of one of others."""
    return not text or any(other.startswith(text) for other in any_of)


def _words(text: str) -> str:
    return re.sub(r"[\W\d_]+", "", text)


def _of_another(one: ImageFile, other: ImageFile) -> str:
    """Why two files of a series cannot be of one acquisition; never with the values, which may name a patient."""
    for keyword, tag in _IDENTITY:
        texts = [str(file.values[0].get(keyword, "")) for file in (one, other)]
        if all(texts) and texts[0] != texts[1]:
            return (
                f"{one_line(one.name)} and {one_line(other.name)} have the same SeriesInstanceUID (0020,000E) but "
                f"another {keyword} {tag}; keep the files of one study and patient in the folder"
            )
    return ""


def _parts(group: Group) -> list[Group]:
    """A group, or one for each kind of image in it: water and fat, magnitude and phase, original and derived."""
    counts = Counter(frame.content for frame in group.frames if not frame.is_localizer)
    if len(counts) < 2:
        return [group]
    labels = _labels(list(counts))
    listed = ", ".join(f"{label} ({counts[content]})" for content, label in list(labels.items())[:_NAMED_PARTS])
    more = ", ..." if len(counts) > _NAMED_PARTS else ""
    note = (
        f"series {group.number} holds images of different ImageType (0008,0008) or complex component, which are read "
        f"apart: {listed}{more}"
    )
    found = []
    for content, label in labels.items():
        part = dataclasses.replace(group, part=label, content=content, notes=[*group.notes, note])
        used = {id(frame.file) for frame in part.frames}
        part.files = [file for file in group.files if id(file) in used]
        found.append(part)
    return found


def _labels(contents: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """For each content a short name of what sets it apart, without blanks and commas."""
    common = set.intersection(*map(set, contents))
    labels: dict[tuple[str, ...], str] = {}
    for content in contents:
        own = dict.fromkeys(kind for kind in content if kind and kind not in common)
        label = re.sub(r"[^A-Z0-9_+-]+", "_", "+".join(own))[:_LONGEST_LABEL] or "PLAIN"
        labels[content] = label if label not in labels.values() else f"{label}-{len(labels) + 1}"
    return labels


def _number_of(values: Values) -> str:
    number = values.get("SeriesNumber", ())
    return number if isinstance(number, str) else f"{number[0]:g}" if number else "?"


def _natural(number: str) -> tuple[float, str]:
    try:
        return float(number), number
    except ValueError:
        return float("inf"), number


def reasons(passed_over: Sequence[PassedOver], named: bool = True) -> tuple[str, ...]:
    """Why files are passed over, one sentence per reason, with the base names of the first files if they are to be."""
    by_reason: dict[str, list[str]] = {}
    for file in passed_over:
        by_reason.setdefault(file.reason, []).append(one_line(file.name))
    return tuple(
        f"{len(names)} file{'s' if len(names) > 1 else ''} {reason}{_first(names) if named else ''}"
        for reason, names in by_reason.items()
    )


def _first(names: Sequence[str]) -> str:
    return f": {', '.join(names[:_NAMED_FILES])}{', ...' if len(names) > _NAMED_FILES else ''}"


# The grid -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Where the images of a group are.

    Attributes
    ----------
    positions : (K, 3) of the slices in LPS mm, in order.
    slice_of : for each image the slice it belongs to.
    ijk_to_ras : (4, 4).
    """

    positions: FloatArray
    slice_of: npt.NDArray[np.intp]
    ijk_to_ras: FloatArray

    @property
    def counts(self) -> npt.NDArray[np.intp]:
        """Images per slice."""
        return np.bincount(self.slice_of, minlength=len(self.positions))

    def same_as(self, other: Grid) -> bool:
        """Whether the voxels of both lie within 0.1 mm of each other."""
        return len(self.positions) == len(other.positions) and bool(
            np.abs(self.positions - other.positions).max() < _SAME_SLICE_MM
            and np.abs(self.ijk_to_ras - other.ijk_to_ras)[:3, :2].max() < _SAME_NUMBER
        )


def grid_of(frames: Sequence[Frame]) -> Grid:
    """The grid that images share.

    Raises
    ------
    InputError
        naming the images that differ, the slices that are not evenly spaced, or the tilt.
    """
    check_uniform(frames, GEOMETRY)
    first = frames[0]
    orientation = first.required("ImageOrientationPatient", 6)
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(orientation[:3] @ orientation[3:]) > 0.01:
        raise InputError(f"{first.named}: ImageOrientationPatient (0020,0037) holds no unit vectors at right angles")
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.array([frame.required("ImagePositionPatient", 3) for frame in frames])
    along = positions @ normal
    by_position = np.argsort(along, kind="stable")
    begins = np.concatenate(([True], np.diff(along[by_position]) > _SAME_SLICE_MM))
    slice_of = np.empty(len(frames), dtype=np.intp)
    slice_of[by_position] = np.cumsum(begins) - 1
    of_slice = positions[by_position[begins]]
    _check_spacing(of_slice, normal)
    beside = np.linalg.norm(np.cross(positions - of_slice[slice_of], normal), axis=1)
    if beside.max() > _SAME_SLICE_MM:
        odd = int(beside.argmax())
        raise InputError(
            f"{frames[odd].named} lies {beside[odd]:.3g} mm beside the others of its slice; choose files of one "
            "acquisition"
        )
    return Grid(of_slice, slice_of, _ijk_to_ras(first, orientation, of_slice))


def _check_spacing(of_slice: FloatArray, normal: FloatArray) -> None:
    steps = np.diff(of_slice @ normal)
    if steps.size > 1 and steps.max() - steps.min() > _UNEVEN * np.median(steps):
        widest = int(np.argmax(np.abs(steps - np.median(steps))))
        raise InputError(
            f"the slices are not evenly spaced: {steps[widest]:g} mm between slices {widest + 1} and {widest + 2} (at "
            f"{point(of_slice[widest])} and {point(of_slice[widest + 1])} mm), {np.median(steps):g} mm elsewhere; a "
            "slice may be missing"
        )
    if steps.size:
        whole = of_slice[-1] - of_slice[0]
        shear = float(np.linalg.norm(np.cross(whole, normal)))
        if shear > max(_TILTED * float(whole @ normal), _SAME_SLICE_MM / 2):
            raise InputError(
                f"the slices are sheared: the last lies {shear:.3g} mm beside the first (a tilted stack); resample the "
                "series first"
            )


def _ijk_to_ras(first: Frame, orientation: FloatArray, positions: FloatArray) -> FloatArray:
    """Voxel index (i, j, k) to RAS, from the positions of first and last slice (DICOM PS3.3 C.7.6.2.1.1)."""
    row_mm, column_mm = first.required("PixelSpacing", 2)
    matrix: FloatArray = np.eye(4)
    matrix[:3, 0] = orientation[:3] * column_mm
    matrix[:3, 1] = orientation[3:] * row_mm
    if len(positions) > 1:
        matrix[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    else:
        # a negative spacing tells the order of slices, of which there is one
        thickness = abs(first.number("SpacingBetweenSlices") or first.number("SliceThickness") or 1.0)
        matrix[:3, 2] = np.cross(orientation[:3], orientation[3:]) * thickness
    matrix[:3, 3] = positions[0]
    if min(row_mm, column_mm) <= 0 or not abs(np.linalg.det(matrix)) > 1e-6:
        raise InputError(f"{first.named}: PixelSpacing and ImageOrientationPatient do not span a grid")
    return np.asarray(LPS_TO_RAS @ matrix)


def check_uniform(frames: Sequence[Frame], keywords: Sequence[tuple[str, int]]) -> None:
    """Raise InputError, naming two images, unless a number is the same in all."""
    for keyword, count in keywords:
        same = frames[0].values.get(keyword, ())
        first = frames[0].numbers(keyword, count)
        for frame in frames:
            if frame.values.get(keyword, ()) == same:
                continue
            other = frame.numbers(keyword, count)
            if len(other) != len(first) or np.abs(np.subtract(other, first)).max(initial=0.0) > _SAME_NUMBER:
                raise InputError(
                    f"the series mixes images of different {keyword}: {_spelled(first)} in {frames[0].named}, "
                    f"{_spelled(other)} in {frame.named}; choose files of one acquisition"
                )


def _spelled(values: Sequence[float]) -> str:
    return "\\".join(f"{value:g}" for value in values) or "none"


def point(position: FloatArray) -> str:
    """A position as messages spell it."""
    return "(" + ", ".join(f"{value:.1f}" for value in position) + ")"


# Phases in series of their own ----------------------------------------------------------------------------------------


@dataclass
class _Phase:
    """A series that may be one phase of an acquisition."""

    group: Group
    first: Frame
    grid: Grid
    key: tuple[str, ...]
    numbers: FloatArray

    @classmethod
    def of(cls, group: Group) -> _Phase | str:
        """A group as a phase, or why it cannot be one, empty when it is of another sort altogether."""
        frames = group.frames
        if group.conflict:
            return group.conflict
        if group.damaged:
            return f"{one_line(group.damaged[0].name)} is {group.damaged[0].reason}"
        if mapped(frames[0], group.description) or derived(frames[0], group.description):
            return ""
        try:
            grid = grid_of(frames)
            check_uniform(frames, CONTRAST)
            numbers = [frames[0].number(keyword) for keyword, _ in CONTRAST]
        except InputError as error:
            return str(error)
        if grid.counts.max() > 1:
            several = f"it has up to {grid.counts.max()} images of a slice"
            return several if grid.counts.max() < LEAST_FRAMES else ""
        first = frames[0]
        key = (*(first.text(name) for name, _ in _IDENTITY), *_names(first.values), *first.content)
        known: FloatArray = np.array([np.nan if number is None else number for number in numbers])
        return cls(group, first, grid, key, known)

    def fits(self, other: _Phase) -> bool:
        """Whether contrast and grid are the same."""
        layouts = (self.first.file.layout, other.first.file.layout)
        same_size = layouts[0].rows == layouts[1].rows and layouts[0].columns == layouts[1].columns
        return self.same_contrast(other) and same_size and self.grid.same_as(other.grid)

    def same_contrast(self, other: _Phase) -> bool:
        return bool(np.isclose(self.numbers, other.numbers, rtol=0, atol=_SAME_NUMBER, equal_nan=True).all())

    def unlike(self, other: _Phase) -> str:
        """In what it differs from a phase that has its names."""
        for keyword, tag in _IDENTITY:
            if self.first.text(keyword) != other.first.text(keyword):
                return f"it has another {keyword} {tag}"
        if self.first.content != other.first.content:
            types = [one_line(phase.first.text("ImageType")) for phase in (self, other)]
            return f"its ImageType (0008,0008) is {types[0]}, that of the others is {types[1]}"
        return f"it has {len(self.grid.positions)} slices that do not lie where the {len(other.grid.positions)} do"


def _names(values: Values) -> tuple[str, str]:
    """Protocol and description without their numbers, so that phases of one acquisition are called the same."""
    texts = (one_line(str(values.get(keyword, ""))).lower() for keyword in ("ProtocolName", "SeriesDescription"))
    protocol, description = (re.sub(r"\d+(?:\.\d+)?", "#", text) for text in texts)
    return protocol, description


def _joined(groups: list[Group], lost: Sequence[Group]) -> list[Group]:
    """The groups, with the phases of one acquisition in one group, in the order of their times.

    `lost` are those without a usable file, which are looked at for phases alone.
    """
    families: list[list[_Phase]] = []
    found: list[Group] = []
    apart: list[tuple[Group, _Phase | str]] = []
    for group in groups:
        phase = _Phase.of(group) if group.uids[0] else ""
        if isinstance(phase, str):
            apart.append((group, phase))
            continue
        family = next((known for known in families if phase.key == known[0].key and phase.fits(known[0])), None)
        if family is None:
            families.append([phase])
        else:
            family.append(phase)
    joined: list[tuple[_Phase, Group]] = []
    for family in families:
        ordered, by = _in_time(family) if len(family) >= LEAST_FRAMES else ([], "")
        if ordered:
            joined.append((ordered[0], _one_group([phase.group for phase in ordered], by)))
        else:
            apart += [(phase.group, phase) for phase in family]
    for group in lost:
        file = group.damaged[0]
        apart.append((group, f"{one_line(file.name)} is {file.reason}"))
    for group, phase in apart:
        values = _header(group)
        own = [(first, whole) for first, whole in joined if first.first.content == content_of(values)]
        for first, whole in own or joined:
            _look_at_leftover(first, whole, group, phase)
    found += [whole for _, whole in joined]
    return found + [group for group, _ in apart if group.files]


def _one_group(members: Sequence[Group], by: str) -> Group:
    order = f", in the order of {by}" if by else ""
    whole = Group(
        uids=[group.uids[0] for group in members],
        numbers=[group.numbers[0] for group in members],
        files=[file for group in members for file in group.files],
        notes=[note for group in members for note in group.notes],
        part=members[0].part,
        content=next((group.content for group in members if group.content is not None), None),
    )
    whole.notes.insert(0, f"{len(members)} series of one acquisition were joined: numbers {whole.span}{order}")
    return whole


def _header(group: Group) -> Values:
    return (group.files[0].values[0] if group.files else group.damaged[0].values) or {}


def _look_at_leftover(first: _Phase, whole: Group, group: Group, phase: _Phase | str) -> None:
    """Set the conflict of joined phases where a series beside them seems to be one of theirs but cannot be joined."""
    if not phase:
        return
    values = _header(group)
    names, theirs = _names(values), _names(first.first.values)
    kinds = [str(of.get("ImageType", "")).upper().split("\\")[0] for of in (values, first.first.values)]
    if values.get("StudyInstanceUID", "") != first.first.values.get("StudyInstanceUID", "") or (
        all(kinds) and kinds[0] != kinds[1]
    ):
        return
    if isinstance(phase, _Phase):
        if not phase.same_contrast(first):
            return
        reason = phase.unlike(first)
        if names != theirs:
            same_place = phase.fits(first) and phase.first.content == first.first.content
            if names[0] and names[0] == theirs[0] and same_place and phase.key[:3] == first.key[:3]:
                whole.notes.append(
                    f"series {group.number} has the protocol, place and contrast of series {whole.number}, but another "
                    "description; it is not joined"
                )
            return
    else:
        reason = phase
        same = _same_contrast(values, first)
        numbers = [_natural(number)[0] for number in whole.numbers]
        near = min(numbers) - 1 <= _natural(group.numbers[0])[0] <= max(numbers) + 1
        if names != theirs or not (near if same is None else same):
            return
    whole.conflict = whole.conflict or (
        f"series {group.number} seems to be a phase of the acquisition of series {whole.span}, but "
        f"cannot be joined: {reason}; copy it again from its source, or leave it out of the folder if it is none"
    )


def _same_contrast(values: Values, phase: _Phase) -> bool | None:
    """Whether a header tells the contrast of a phase; None where it does not tell."""
    for (keyword, _), number in zip(CONTRAST, phase.numbers, strict=True):
        value = values.get(keyword, ())
        if isinstance(value, str) or len(value) != 1:
            return None
        if not abs(value[0] - number) <= _SAME_NUMBER:
            return False
    return True


def _in_time(family: Sequence[_Phase]) -> tuple[list[_Phase], str]:
    """The phases in the order of their acquisition, and what tells it where the numbers do not; none without times.

    A time of acquisition gives the order. ContentTime and SeriesTime may be those of a reconstruction, so they only
    confirm the order of the series numbers; so does any where a long pause may be a clock that was put.
    """
    numbered = sorted(family, key=lambda phase: (_natural(phase.group.numbers[0]), _acquired_s(phase)))
    for name, read in _PHASE_TIMES:
        try:
            seconds = np.array([read(phase) for phase in numbered])
        except InputError:
            continue
        if not np.isfinite(seconds).all() or np.unique(seconds).size < seconds.size:
            continue
        if (np.diff(seconds) > 0).all():
            return numbered, ""
        if np.ptp(seconds) > _HALF_DAY_S and name != "TriggerTime":  # past midnight, with a date that stands still
            seconds = np.where(seconds - seconds.min() < _HALF_DAY_S, seconds + 2 * _HALF_DAY_S, seconds)
            if (np.diff(seconds) > 0).all():
                return numbered, ""
        order = np.argsort(seconds)
        if name not in ("ContentTime", "SeriesTime") and np.diff(seconds[order]).max() < _LONGEST_PAUSE_S:
            return [numbered[n] for n in order], f"their {name}, not of their numbers"
    return [], ""


def _date_time(phase: _Phase, keyword: str) -> float:
    seconds, offset = date_time_s(phase.first, keyword)
    return seconds if np.isnan(offset) else seconds - offset


def _day_and_clock(phase: _Phase, which: str) -> float:
    seconds, day, _ = clock_s(phase.first, f"{which}Date", f"{which}Time")
    return seconds if np.isnan(day) else seconds + day * 2 * _HALF_DAY_S


def _acquired_s(phase: _Phase) -> float:
    """To tell series of one number apart; 0 where it is not known."""
    try:
        return float(np.nan_to_num(_day_and_clock(phase, "Acquisition")))
    except InputError:
        return 0.0


def _trigger(phase: _Phase) -> float:
    trigger = phase.first.number("TriggerTime")
    return np.nan if trigger is None else trigger


_PHASE_TIMES: tuple[tuple[str, Callable[[_Phase], float]], ...] = (
    ("FrameAcquisitionDateTime", lambda phase: _date_time(phase, "FrameAcquisitionDateTime")),
    ("AcquisitionDateTime", lambda phase: _date_time(phase, "AcquisitionDateTime")),
    ("AcquisitionTime", lambda phase: _day_and_clock(phase, "Acquisition")),
    ("TriggerTime", _trigger),
    ("ContentTime", lambda phase: _day_and_clock(phase, "Content")),
    ("SeriesTime", lambda phase: _day_and_clock(phase, "Series")),
)
