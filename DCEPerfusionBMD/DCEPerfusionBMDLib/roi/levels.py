"""What a segment is: a vertebral level, the artery, muscle as reference tissue, or none of these."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InputError

LEVELS = ("T12", "L1", "L2", "L3", "L4", "L5", "L6", "S1")
LEVEL_CODES = {
    "T12": "23215003",
    "L1": "66794005",
    "L2": "14293000",
    "L3": "36470004",
    "L4": "11994002",
    "L5": "49668003",
    "S1": "65985001",
}
"""SNOMED CT codes of the vertebrae, as in DICOM CID 7192 and the terminology of TotalSegmentator; L6 has none."""

LEVEL, ARTERY, REFERENCE, EXCLUSION = "level", "artery", "reference", "exclusion"
OTHER, AMBIGUOUS = "other", "ambiguous"


@dataclass(frozen=True)
class SegmentLabel:
    """What a segment is.

    Attributes
    ----------
    kind : `level`, `artery`, `reference` (muscle), `exclusion` (voxels to leave out), `other`, or `ambiguous`.
    level : one of `LEVELS`; empty unless the kind is `level`.
    source : what told: `SNOMED code`, `tag`, `name`, `ID` or `option --levels`; empty when nothing did.
    reason : why it is ambiguous, or what other structure it is.
    code : SNOMED CT code of an artery or a muscle, where that told.
    """

    kind: str
    level: str = ""
    source: str = ""
    reason: str = ""
    code: str = ""

    @property
    def said(self) -> str:
        """In words."""
        return {LEVEL: self.level, ARTERY: "artery", REFERENCE: "muscle", EXCLUSION: "exclusion"}.get(
            self.kind, self.reason
        )


ARTERIES = {"15825003": "Aorta", "7832008": "Abdominal aorta", "73634005": "Common iliac artery"}
"""SNOMED CT codes that are known of an arterial segment, with their meanings (DICOM CID 4)."""
MUSCLES = {
    "71616004": "Muscle",
    "91727004": "Muscle",
    "127954009": "Skeletal muscle",
    "44947003": "Erector spinae muscle",
}
"""The same of the reference tissue."""
_FORMER = {
    **{"T-42000": "15825003", "T-42500": "7832008", "T-46710": "73634005"},
    **{"T-13001": "91727004", "T-14020": "44947003"},
}

_SCHEMES = ("SCT", "SRT", "SNM3", "99SDM")
_CODES = {
    **{code: (LEVEL, level) for level, code in LEVEL_CODES.items()},
    **{f"T-119{n}0": (LEVEL, f"L{n}") for n in range(1, 6)},
    "T-117C0": (LEVEL, "T12"),
    **dict.fromkeys(ARTERIES, (ARTERY, "")),
    **dict.fromkeys(MUSCLES, (REFERENCE, "")),
}
_CODES |= {former: _CODES[code] for former, code in _FORMER.items()}
_OTHER_CODES = {
    "360499006": "a disc",
    "2748008": "the spinal canal or cord",
    "61853006": "the spinal canal or cord",
    "T-A7010": "the spinal canal or cord",
    "T-1151F": "the spinal canal or cord",
}

_BETWEEN = r"[\s_.#-]*"
_END = r"(?!\.?[0-9])(?:(?![a-z])|(?=vb|vert|body|roi|mask))"
_BODY = r"(?:[\s_]*(?:vertebrae?|vertebral|bod(?:y|ies)|segment))*"
_WIRBEL = r"wirbel(?:k(?:ö|oe)rper)?"
_ROMAN = dict(zip(("i", "ii", "iii", "iv", "v", "vi", "xii"), (1, 2, 3, 4, 5, 6, 12), strict=True))
_ORDINAL = {word: n for n, word in enumerate(("first", "second", "third", "fourth", "fifth", "sixth"), 1)}
_ORDINAL["twelfth"] = 12
_CHINESE = {sign: n for n, sign in enumerate("一二三四五六", 1)} | {"十二": 12}
_ROMAN_SIGNS = str.maketrans({chr(0x2160 + n): str(n + 1) for n in range(12)})  # one character each, such as U+2162
_NUMBERS: dict[str, int] = {**_ROMAN, **_ORDINAL, **_CHINESE}
_COUNT = {"L": "[1-6]", "T": "1[0-2]|[4-9]", "S": "[1-5]"}  # T1 to T3 are more often weightings than levels
_SHORT = {"L": "l|lwk?|lv", "T": "t|th|d|bwk?|tv|dv", "S": "s|sv|swk?"}
_WORDS = {
    "L": rf"lumb(?:ar|al|ale|alis|alwk|al{_WIRBEL})|lomba(?:ire|re|r)|lenden{_WIRBEL}",
    "T": rf"thorac(?:ic|ica|al)|thorakal|dorsal|brust{_WIRBEL}",
    "S": "sacral|sacralis|sakral",
}
_GERMAN = {"L": "l", "T": "b", "S": "s"}  # 2. LWK
_SIGNS = {"L": "腰椎?", "T": "胸椎?", "S": "[骶薦荐]椎?"}


def _number(text: str) -> int:
    return _NUMBERS.get(text) or int(text)


def _any(of: Mapping[str, int]) -> str:
    return "|".join(sorted(of, key=len, reverse=True))


# The letter or word before the number ("L1", "lumbar vertebra IV", "腰1"), then the number before the word.
_AFTER = {
    letter: re.compile(
        rf"(?<![a-z0-9])(?:{_SHORT[letter]}){_BETWEEN}0?({_COUNT[letter]}){_END}"
        rf"|(?<![a-z])(?:{_WORDS[letter]}){_BODY}{_BETWEEN}(?:0?({_COUNT[letter]})|({_any(_ROMAN)})){_END}"
        rf"|(?:{_SIGNS[letter]})第?({_COUNT[letter]}|{_any(_CHINESE)})(?!\.?[0-9])"
    )
    for letter in _COUNT
}
_BEFORE = {
    letter: re.compile(
        rf"(?<![a-z0-9.])(?:({_COUNT[letter]})(?:st|nd|rd|th|er|re|e|a|ª|º|°|\.)?|({_any(_ORDINAL)}))[\s_]*"
        rf"(?:{_WORDS[letter]}|{_GERMAN[letter]}wk?)(?![a-z0-9])"
        rf"|第?({_COUNT[letter]}|{_any(_CHINESE)})[节節]?(?:{_SIGNS[letter]})(?![0-9])"
    )
    for letter in _COUNT
}
_SECOND = re.compile(r"[\s]*(?:[-_/~–—+&,、]|\b(?:to|and|or|bis|und|oder|et|y)\b|[至到和或])[\s]*([1-6])(?![0-9a-z.])")  # noqa: RUF001

_STRUCTURES = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        (
            "a disc",
            r"(?<![a-z])(dis[ck]s?|ivds?|disc(us|o)|disque|intervertebral|bandscheiben?)(?![a-z])|[椎间間]盘|[椎間]盤|椎間板",
        ),
        ("an endplate", r"end[\s_-]*plates?|(deck|grund)platte|[终終]板"),
        (
            "the spinal canal or cord",
            r"(?<![a-z])(canal|cord|myelon|medulla|thecal|dural|csf|conus|cauda)(?![a-z])|spinalkanal|r(ü|ue)ckenmark"
            r"|椎管|脊髓|硬膜囊",
        ),
        (
            "a nerve root",
            r"nerves?(?![a-z])|(?<![a-z])roots?(?![a-z])|nervenwurzel|ganglion|foram(en|ina)|neuro|神经|神經",
        ),
        (
            "a part of the arch",
            r"pedicles?|laminae?(?![a-z])|spinous|transverse|facets?|(?<![a-z])arch(?![a-z])|process(?![a-z])|棘突|横突|椎弓|附件",
        ),
        (
            "a lesion or a part of a vertebra",
            r"lesions?|tumou?r|ha?emangioma|island|plexus|(?<![a-z])cyst|metasta|schmorl|modic|cement|cort(ex|ical)|病灶|血管瘤",
        ),
        ("a rib or ligament", r"(?<![a-z])(ribs?|ligaments?)(?![a-z])"),
        ("fat", r"(?<![a-z])(fat|sat|vat|adipose)(?![a-z])|脂肪"),
        ("an organ", r"(?<![a-z])(kidneys?|spleen|liver|bowel|lungs?|pancreas|ureter)(?![a-z])|肾|腎|脾|肝"),
        ("background or an implant", r"(?<![a-z])(background|noise|air|screws?|rods?|implant)(?![a-z])"),
        ("the posterior elements", r"posterior[\s_-]*elements?"),
        ("the sacrum", r"(?<![a-z])(sacrum|coccyx)(?![a-z])"),
        ("a vein", r"(?<![a-z])(veins?|vena|venous|ivc)(?![a-z])|静脉|靜脈"),
        (
            "a node or the wall of a vessel",
            r"(?<![a-z])(para|peri|pre|retro)[\s_-]*aort|lymph|(?<![a-z])(nodes?|walls?)(?![a-z])",
        ),
        (
            "what it is not, or a doubt,",
            r"(?<![a-z])(not|non|without|except|above|below|between|near|beside|next|adjacent)(?![a-z])|[?]",
        ),
    )
)
_ARTERY = re.compile(
    r"(?<![a-z])((bauch)?aort(a|ae|e|ic)|arter(y|ies|ia|iae|ial|ie)|art[eè]res?|aif)(?![a-z])|[主大][动動][脉脈]|[动動][脉脈]"
)
_AORTA = re.compile(r"(?<![a-z])(bauch)?aort(a|ae|e|ic)(?![a-z])|[主大][动動][脉脈]")
_MUSCLE = re.compile(
    r"(?<![a-z])(muscles?|muscul(us|ar|i)|musk(el|ulatur)|(ilio)?psoas|erector|spinae|multifidus|autochthon|paraspinal)"
    r"(?![a-z])|腰大肌|肌肉|[竖豎]脊肌|多裂肌|腰肌"
)
_DOUBT = re.compile(r"(?<![a-z])(not|non|without|except|nothing|no)(?![a-z])|[?]")
_EXCLUSION = re.compile(r"(?<![a-z])(exclude[ds]?|exclusions?)(?![a-z])|排除|剔除")
_REFERENCE = re.compile(r"(?<![a-z])reference(?![a-z])")
_PAIR = re.compile(r"(.+?)\s*=\s*([^,=\s]+)\s*(?:,|$)", re.DOTALL)  # names may hold commas and equals signs


def recognize(name: str, segment_id: str = "", code: tuple[str, str] = ("", ""), tag: str = "") -> SegmentLabel:
    """What a segment is, by its SNOMED code, then our own tag, then its name, then its ID where the name says nothing.

    Nothing is guessed: a name that names two levels, or a level beside another structure, and sources that contradict
    each other give `ambiguous` with the reason. A level beside the artery or a muscle only says where that is, and a
    name that says "exclude" is an exclusion whatever else it says.

    Parameters
    ----------
    name, segment_id : of the segment.
    code : coding scheme and value of the segment's type; SNOMED CT and its older form SRT are known. A code that says
        nothing of the level, such as Vertebra, is passed over.
    tag : value of our own tag, which output segments carry.
    """
    named = _by_text(name, "name")
    if named.kind == OTHER and not named.reason:
        named = _by_text(segment_id, "ID")
    if named.kind == EXCLUSION:  # a copy of a vertebra keeps its code
        return named
    claims = [claim for claim in (_by_code(*code), _by_tag(tag), named) if claim.kind != OTHER or claim.reason]
    if not claims:
        return SegmentLabel(OTHER)
    for claim in claims:
        if claim.kind == AMBIGUOUS:
            return claim
    first = claims[0]
    for other in claims[1:]:
        if other.said != first.said:
            return SegmentLabel(
                AMBIGUOUS, reason=f"its {first.source} says {first.said}, its {other.source} says {other.said}"
            )
    return first


def is_aorta(name: str) -> bool:
    """Whether the name of an arterial segment says that it is the aorta."""
    return bool(_AORTA.search(unicodedata.normalize("NFKC", name).casefold()))


def levels_by_user(text: str, names: list[str]) -> dict[str, str]:
    """Segment name to level, from `SEGMENT=LEVEL,...`; the level `none` is an empty one.

    Raises
    ------
    InputError
        when a part is not of that form, names an unknown segment or level, or repeats a segment or a level.
    """
    found: dict[str, str] = {}
    rest = text
    while rest := rest.strip(" ,"):
        pair = _PAIR.match(rest)
        if pair is None:
            raise InputError(f"--levels: {rest!r} is not SEGMENT=LEVEL, for example Segment_1=L1")
        name, level = pair.groups()
        rest = rest[pair.end() :]
        if name not in names:
            listed = ", ".join(map(repr, names))
            raise InputError(f"--levels names {name!r}, which is not in the segmentation; its segments are {listed}")
        level = "" if level.lower() == "none" else level.upper()
        if level and level not in LEVELS:
            raise InputError(f"--levels gives {name!r} the level {level!r}; choose one of {', '.join(LEVELS)}, or none")
        if name in found:
            raise InputError(f"--levels names the segment {name!r} twice")
        if level and level in found.values():
            other = next(key for key, value in found.items() if value == level)
            raise InputError(f"--levels gives the level {level} twice, to {other!r} and {name!r}")
        found[name] = level
    return found


def _by_code(scheme: str, value: str) -> SegmentLabel:
    source = "SNOMED code"
    if scheme in _SCHEMES and value in _CODES:
        kind, level = _CODES[value]
        return SegmentLabel(kind, level, source, code="" if level else _FORMER.get(value, value))
    return SegmentLabel(OTHER, source=source, reason=_OTHER_CODES.get(value, "") if scheme in _SCHEMES else "")


def _by_tag(tag: str) -> SegmentLabel:
    if tag and tag not in LEVELS:
        return SegmentLabel(AMBIGUOUS, source="tag", reason=f"its tag says {tag!r}, which is no level")
    return SegmentLabel(LEVEL, tag, "tag") if tag else SegmentLabel(OTHER)


def _by_text(text: str, source: str) -> SegmentLabel:
    """What a name or an ID says."""
    split = re.sub(r"(?<=[a-z]{3})(?=[A-Z])", " ", text.translate(_ROMAN_SIGNS))  # vertebraL1
    plain, spaced = (unicodedata.normalize("NFKC", form).casefold() for form in (text, split))
    if _EXCLUSION.search(plain):
        if _DOUBT.search(plain):
            return SegmentLabel(AMBIGUOUS, source=source, reason=f"its {source} says exclusion and not")
        return SegmentLabel(EXCLUSION, source=source)
    levels = _levels_in(spaced)
    structure = next((what for what, pattern in _STRUCTURES if pattern.search(plain)), "")
    artery, muscle = bool(_ARTERY.search(plain)), bool(_MUSCLE.search(plain))
    reference = bool(_REFERENCE.search(plain))

    def ambiguous(reason: str) -> SegmentLabel:
        return SegmentLabel(AMBIGUOUS, source=source, reason=f"its {source} {reason}")

    if structure and (levels or artery or muscle):
        beside = " and ".join([*levels, *["the artery"] * artery, *["muscle"] * muscle])
        return ambiguous(f"says {structure} beside {beside}")
    if structure:
        return SegmentLabel(OTHER, source=source, reason=structure)
    if artery and muscle:
        return ambiguous("says artery and muscle")
    if artery or muscle:
        return SegmentLabel(ARTERY if artery else REFERENCE, source=source)
    if reference and levels:
        return ambiguous(f"says reference beside {' and '.join(levels)}")
    if reference:
        return SegmentLabel(REFERENCE, source=source)
    if len(levels) > 1:
        return ambiguous(f"names {len(levels)} levels, {' and '.join(levels)}")
    if levels and levels[0] in LEVELS:
        return SegmentLabel(LEVEL, levels[0], source)
    return SegmentLabel(OTHER, source=source if levels else "", reason=levels[0] if levels else "")


def _levels_in(text: str) -> list[str]:
    """Every level that a text names, each once, from the head to the feet."""
    found: set[str] = set()
    for patterns in (_AFTER, _BEFORE):
        for letter, pattern in patterns.items():
            for match in pattern.finditer(text):
                number = _number(next(group for group in match.groups() if group))
                found.add(f"{letter}{number}")
                if second := _SECOND.match(text, match.end()):
                    found.add(f"{letter}{second[1]}")
        if found:
            break
    return sorted(found, key=lambda level: ("TLS".index(level[0]), int(level[1:])))
