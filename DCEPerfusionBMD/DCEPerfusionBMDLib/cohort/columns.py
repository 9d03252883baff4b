"""What the columns of a cohort are called, in which unit they are kept, and how people write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ..densitometry.classes import Category
from ..densitometry.sites import FEMORAL_NECK, TOTAL_HIP, region_of, site_name, vertebrae_of
from ..errors import InputError
from ..quantities import BMD, BY_NAME, T_SCORE
from ..roi import LEVELS, recognize
from ..tables import one_line


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Attributes
    ----------
    title : for people, without unit.
    unit : in which the numbers are kept, empty for scores and ratios.
    low, high : numbers outside are refused.
    """

    title: str
    unit: str
    low: float
    high: float


NUMBERS: dict[str, NumberColumn] = {
    "age_years": NumberColumn("Age", "years", 0.0, 120.0),
    "bmi_kg_m2": NumberColumn("Body mass index", "kg/m2", 8.0, 100.0),
    "bmd_lumbar_g_cm2": NumberColumn("Lumbar BMD", "g/cm2", 0.1, 5.0),
    "bmd_femoral_neck_g_cm2": NumberColumn("Femoral neck BMD", "g/cm2", 0.1, 5.0),
    "bmd_total_hip_g_cm2": NumberColumn("Total hip BMD", "g/cm2", 0.1, 5.0),
    "t_lumbar": NumberColumn("Lumbar T-score", "", -8.0, 6.0),
    "t_femoral_neck": NumberColumn("Femoral neck T-score", "", -8.0, 6.0),
    "t_total_hip": NumberColumn("Total hip T-score", "", -8.0, 6.0),
    "ktrans_per_min": NumberColumn("Ktrans", "1/min", 0.0, 20.0),
    "kep_per_min": NumberColumn("kep", "1/min", 0.0, 100.0),
    "ve": NumberColumn("ve", "fraction", 0.0, 1.0),
    "vp": NumberColumn("vp", "fraction", 0.0, 1.0),
    "emax_percent": NumberColumn("Emax", "%", -100.0, 10_000.0),
    "eslope_percent_per_s": NumberColumn("Eslope", "%/s", -1000.0, 10_000.0),
    "max_slope_percent_per_s": NumberColumn("Maximum slope", "%/s", -1000.0, 10_000.0),
    "time_to_peak_s": NumberColumn("Time to peak", "s", 0.0, 36_000.0),
    "iauc60_mM_s": NumberColumn("IAUC60", "mmol/L s", -1000.0, 10_000.0),
    "fat_fraction": NumberColumn("Fat fraction", "fraction", 0.0, 1.0),
}

LABELS: dict[str, str] = {
    "age_group": "Age group",
    "bmd_class": "T-score category",
    "lumbar_class": "Lumbar T-score category",
    "femoral_neck_class": "Femoral neck T-score category",
    "sex": "Sex",
    "menopause": "Menopausal status",
}

KINETIC = ("ktrans_per_min", "kep_per_min", "ve")
"""The parameters of Tables 2 and 3."""

DESCRIPTIVE = ("emax_percent", "eslope_percent_per_s", "max_slope_percent_per_s", "time_to_peak_s", "iauc60_mM_s")
"""What is read off curves; analyzed beside the parameters where a table has it."""


PER_VERTEBRA = (*KINETIC, "vp", *DESCRIPTIVE, "fat_fraction")
"""Numbers that may differ between the vertebrae of a subject; all others are of the subject."""

SUBJECT, LEVEL, READING, EVALUABLE = "subject", "level", "reading", "evaluable"
KEYS = {SUBJECT: "Subject", LEVEL: "Vertebral level", READING: "Reading", EVALUABLE: "Evaluable"}
"""Columns that say what a row is."""


def heading(column: str, ve_unit: str = "fraction") -> str:
    """Title and unit of a column for tables and figures, for example `Ktrans (1/min)`.

    Parameters
    ----------
    column : canonical name in `NUMBERS` or `LABELS`.
    ve_unit : `fraction` or `mL/100mL`; counts for ve alone.
    """
    if column in LABELS:
        return LABELS[column]
    number = NUMBERS[column]
    unit = "mL/100 mL" if column == "ve" and ve_unit == "mL/100mL" else number.unit
    return f"{number.title} ({unit})" if unit else number.title


def printed_scale(column: str, ve_unit: str) -> float:
    """What the numbers of a column are multiplied with to be in the unit that is printed."""
    return 100.0 if column == "ve" and ve_unit == "mL/100mL" else 1.0


def quantity_of(column: str) -> str:
    """Name in `quantities.BY_NAME` of what a column of numbers holds; empty where there is none."""
    if column.startswith(("bmd_", "t_")) and column in NUMBERS:
        return BMD.name if column.startswith("bmd_") else T_SCORE.name
    return next((quantity.name for quantity in BY_NAME.values() if quantity.column == column), "")


# ---- headings

_Factors = dict[str, Fraction]


def _factors(of: dict[Fraction | int, str]) -> _Factors:
    """Units without signs and blanks, each with what numbers in it are multiplied with; no unit is the usual one."""
    return {"": Fraction(1)} | {unit: Fraction(factor) for factor, units in of.items() for unit in units.split()}


_RATE = _factors(
    {
        1: "1permin permin min1 1min perminute 1perminute",
        60: "1pers pers s1 1s persec 1persec persecond 1persecond",
    }
)
_DENSITY = _factors({1: "gpercm2 gcm2", Fraction(1, 1000): "mgpercm2 mgcm2"})
_SHARE = _factors({1: "1 01 fraction mlperml mlml", Fraction(1, 100): "percent mlper100ml ml100ml mlper100cm3"})
_SLOPE = _factors({1: "percentpers percents1 percents percentpersec", Fraction(1, 60): "percentpermin percentmin1"})
_YEARS = _factors({1: "years year yr yrs y a", Fraction(1, 12): "months month mo"})
_SECONDS = _factors({1: "s sec seconds", 60: "min minutes"})
_AREA = _factors({1: "mms mmolperls mmolls mmoll1s", 60: "mmmin mmolperlmin mmollmin"})

_UNITS: dict[str, tuple[_Factors, str]] = {
    "age_years": (_YEARS, "years, months"),
    "bmi_kg_m2": (_factors({1: "kgperm2 kgm2"}), "kg/m2"),
    **{f"bmd_{site}_g_cm2": (_DENSITY, "g/cm2, mg/cm2") for site in ("lumbar", "femoral_neck", "total_hip")},
    **{f"t_{site}": (_factors({1: "sd"}), "none") for site in ("lumbar", "femoral_neck", "total_hip")},
    **dict.fromkeys(("ktrans_per_min", "kep_per_min"), (_RATE, "1/min, 1/s")),
    **dict.fromkeys(("ve", "vp", "fat_fraction"), (_SHARE, "fraction, %, mL/100 mL")),
    "emax_percent": (_factors({1: "percent"}), "%"),
    **dict.fromkeys(("eslope_percent_per_s", "max_slope_percent_per_s"), (_SLOPE, "%/s, %/min")),
    "time_to_peak_s": (_SECONDS, "s, min"),
    "iauc60_mM_s": (_AREA, "mmol/L s, mmol/L min"),
}
"""Per column what a number is multiplied with, by unit without signs and blanks; and the units in words."""

_UNIT_WORDS = frozenset(
    (
        *("per", "percent", "min", "minute", "minutes", "s", "sec", "second", "seconds", "h", "hour", "hours", "hr"),
        *("day", "days", "d", "week", "weeks", "month", "months", "mo", "year", "years", "yr", "yrs", "y", "ms"),
        *("g", "mg", "kg", "ug", "ml", "l", "mmol", "mm", "mm2", "mm3", "cm", "cm2", "cm3", "m2", "m3", "fraction"),
    )
)
_IN_BRACKETS = frozenset(("min", "1", "sd", "a"))
"""Units in brackets only: elsewhere they are a minimum, a number, a spread."""

_FILLERS = frozenset(("of", "the", "at", "in"))
_MEANS = frozenset(("mean", "average", "avg"))
"""In brackets, these say how a number was made, not its unit."""

_NAMES: dict[str, tuple[str, ...]] = {
    "age_years": ("age", "patientage", *(f"age{at}" for at in ("mri", "mr", "scan", "imaging", "dxa", "examination"))),
    "bmd_lumbar_g_cm2": ("lsbmd", "bmdls"),
    "bmd_femoral_neck_g_cm2": ("fnbmd", "bmdfn"),
    "bmd_total_hip_g_cm2": ("thbmd", "bmdth"),
    "bmi_kg_m2": ("bmi", "bodymassindex"),
    "ktrans_per_min": ("ktrans",),
    "kep_per_min": ("kep",),
    "ve": ("ve",),
    "vp": ("vp",),
    "emax_percent": ("emax", "maximumenhancement", "maxenhancement", "peakenhancement"),
    "eslope_percent_per_s": ("eslope", "enhancementslope", "slope"),
    "max_slope_percent_per_s": ("maxslope", "maximumslope", "slope"),
    "time_to_peak_s": ("timetopeak", "ttp"),
    "iauc60_mM_s": ("iauc60",),
    "fat_fraction": ("fatfraction", "pdff", "ff", "protondensityfatfraction"),
    "age_group": ("agegroup", "ageclass", "decade", "agedecade", "group"),
    "bmd_class": (
        *("class", "category", "bmdclass", "bmdcategory", "tscoreclass", "tscorecategory", "whoclass", "whocategory"),
        *("classification", "boneclass", "group"),
    ),
    "sex": ("sex", "gender", "sexgender", "sexpergender", "genderpersex"),
    "menopause": ("menopause", "menopausalstatus"),
    SUBJECT: (
        *("subject", "subj", "subjectid", "subjectname", "subjectno", "id", "patient", "patientid", "patientno"),
        *("case", "caseid", "caseno", "pseudonym", "participant", "participantid"),
    ),
    LEVEL: ("level", "vertebra", "vertebrallevel", "vertebralbody", "lumbarlevel"),
    READING: (
        *("reading", "session", "repeat", "repetition", "replicate", "observer", "rater", "reader", "visit", "scan"),
        *("timepoint",),
    ),
    EVALUABLE: ("evaluable",),
}
_ALSO_SUBJECT = ("studyid", "no", "nr", "number")
"""Names of subjects where no other column has one."""

_CHINESE = {
    **dict.fromkeys(("受试者编号", "患者编号", "病例编号", "病例号", "编号", "受试者", "患者"), "subject"),
    **{"年龄组": "age group", "年龄": "age", "性别": "sex", "体重指数": "bmi", "绝经": "menopause"},
    **{"骨密度分类": "bmd class", "骨量分类": "bmd class", "分类": "class", "骨密度": "bmd", "骨矿密度": "bmd"},
    **{"t值": "t", "t评分": "t", "腰椎": "lumbar", "股骨颈": "femoral neck", "全髋": "total hip"},
    **{"椎体节段": "level", "椎体": "level", "节段": "level", "均值": "mean", "平均值": "mean", "岁": "years"},
}
"""Words of Chinese headings, which stand without blanks; longer ones go first."""

_CHINESE_WORDS = re.compile("|".join(sorted(_CHINESE, key=len, reverse=True)))
_BY_NAME: dict[str, tuple[str, ...]] = {}
for _column, _spellings in _NAMES.items():
    for _spelling in _spellings:
        _BY_NAME[_spelling] = (*_BY_NAME.get(_spelling, ()), _column)

_AT_SITES = {
    **dict.fromkeys(
        ("bmd", "abmd", "arealbmd", "bonemineraldensity", "arealbonemineraldensity"),
        ("bmd_lumbar_g_cm2", "bmd_femoral_neck_g_cm2", "bmd_total_hip_g_cm2"),
    ),
    **dict.fromkeys(("t", "tscore", "tvalue"), ("t_lumbar", "t_femoral_neck", "t_total_hip")),
    **dict.fromkeys(
        ("class", "category", "bmdclass", "bmdcategory", "tscoreclass", "tscorecategory"),
        ("lumbar_class", "femoral_neck_class"),
    ),
}
"""Words for a quantity to its columns at lumbar spine, femoral neck and total hip."""

_SPINE = frozenset(("lumbar", "spine", "lumbarspine", "ls", "lspine", "apspine", "lumbarvertebrae"))
_DICTIONARY = "say which in a dictionary of headings, with an empty name for one to ignore"


@dataclass(frozen=True)
class Found:
    """A column of a table that was recognized.

    Attributes
    ----------
    index : where it is.
    heading : as it stands in the table.
    factor : what its numbers are multiplied with, exactly: 600 months are 50 years.
    about : unit and conversion, in words.
    """

    index: int
    heading: str
    factor: Fraction
    about: str


@dataclass(frozen=True)
class Headings:
    """What the headings of a table mean.

    Attributes
    ----------
    found : by canonical name in `NUMBERS`, `LABELS` or `KEYS`.
    ignored : headings that were not recognized, or that the dictionary ignores.
    notes : sentences for the user.
    """

    found: dict[str, Found]
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def read_headings(headings: Sequence[str], source: str, dictionary: Mapping[str, str] | None = None) -> Headings:
    """What the headings of a table mean.

    Case, blanks, underscores and brackets make no difference. A density or a score without a site is that of the lumbar
    spine where the table has no other of its kind.

    Parameters
    ----------
    headings : of all columns.
    source : name of the table, for messages.
    dictionary : heading to canonical name, with a unit if need be (`ve (%)`), or to an empty text to ignore it.

    Raises
    ------
    InputError
        for a unit that is not read, a heading that may mean two things, two that mean the same, and for a name in the
        dictionary that is none.
    """
    names = [one_line(name) for name in headings]
    wanted = {one_line(name): one_line(meaning) for name, meaning in (dictionary or {}).items()}
    read: list[tuple[int, tuple[str, ...], Fraction, str]] = []
    ignored = []
    for index, name in enumerate(names):
        if wanted.get(name, name) == "":
            ignored.append(name or f"number {index + 1}")
            continue
        meaning = _with_unit(wanted[name]) if name in wanted else name
        columns, factor, about = _meaning(meaning, f"{source}: the column {name!r}")
        if not columns and name in wanted:
            known = ", ".join((*NUMBERS, *LABELS, *KEYS))
            raise InputError(f"the dictionary gives {name!r} the name {meaning!r}, which is none of {known}")
        if columns:
            read.append((index, columns, factor, about))
        else:
            ignored.append(name)
    notes = []
    if not any(SUBJECT in columns for _, columns, *_ in read):
        also = [n for n, name in enumerate(names) if name not in wanted and _plain(name) in _ALSO_SUBJECT]
        if also:
            index = min(also, key=lambda n: _ALSO_SUBJECT.index(_plain(names[n])))
            read.append((index, (SUBJECT,), Fraction(1), ""))
            ignored.remove(names[index])
            notes.append(f"The column {names[index]!r} is taken to name the subjects of {source}, since no other does.")
    found: dict[str, Found] = {}
    for index, columns, factor, about in read:
        column = columns[0]
        beside = [names[n] for n, other, *_ in read if n != index and set(other) & set(columns)]
        if len(columns) > 1 and (columns not in _AT_SITES.values() or beside):
            others = f" beside {', '.join(map(repr, beside))}" if beside else ""
            raise InputError(
                f"{source}: the column {names[index]!r}{others} may be {' or '.join(columns)}; {_DICTIONARY}"
            )
        if len(columns) > 1:
            about = f"no site in the heading: taken as the lumbar spine; {about}"
        if column in found:
            raise InputError(
                f"{source}: the columns {found[column].heading!r} and {names[index]!r} both are {column}; {_DICTIONARY}"
            )
        found[column] = Found(index, names[index], factor, about)
    absent = [name for name in wanted if name not in names]
    if absent:
        notes.append(f"The dictionary names headings that {source} does not have: {', '.join(absent)}.")
    return Headings(found, tuple(ignored), tuple(notes))


def _plain(name: str) -> str:
    return "".join(word for word, _ in _tokens(name))


def _with_unit(meaning: str) -> str:
    """A meaning in a dictionary; the unit in brackets goes before that in a canonical name: `ktrans_per_min (1/s)`."""
    name, bracket, unit = meaning.partition("(")
    return f"{NUMBERS[name.strip()].title} ({unit}" if bracket and name.strip() in NUMBERS else meaning


def _meaning(text: str, where: str) -> tuple[tuple[str, ...], Fraction, str]:
    """The columns that a heading may be, what its numbers are multiplied with, and that in words; () for none."""
    tokens = [(word, inside) for word, inside in _tokens(text) if not (inside and word in _MEANS)]
    words = [word for word, _ in tokens]
    columns = _named(words)
    if columns:
        kept = NUMBERS[columns[0]].unit if columns[0] in NUMBERS else ""
        return columns, Fraction(1), f"no unit in the heading: taken as {kept}" if kept else ""
    unread = ""
    for length in range(len(words) - 1, 0, -1):  # the run of words that leaves a name is the unit
        for start in range(len(words) - length + 1):
            columns = _named(words[:start] + words[start + length :])
            run = words[start : start + length]
            in_brackets = all(inside for _, inside in tokens[start : start + length])
            if not columns:
                continue
            if columns[0] not in NUMBERS:
                if in_brackets:
                    return columns, Fraction(1), ""
                continue
            units, known = _UNITS[columns[0]]
            unit, printed = "".join(run), " ".join(run).replace(" per ", "/")
            if unit in units and (in_brackets or unit not in _IN_BRACKETS):
                kept = NUMBERS[columns[0]].unit
                return columns, units[unit], f"{printed}, times {units[unit]}" if units[unit] != 1 else kept
            if in_brackets and columns[0] in PER_VERTEBRA and _site(run) == 0:
                kept = NUMBERS[columns[0]].unit
                return columns, Fraction(1), f"no unit in the heading: taken as {kept}; {' '.join(run)}"
            of_units = unit not in _IN_BRACKETS and not unit.isdigit() and _UNIT_WORDS.issuperset(_letters(run))
            if in_brackets or of_units:
                unread = unread or (
                    f"{where} has the unit {printed!r}, which is not read for {columns[0]} ({known} are); convert the "
                    "column, or say what it is in a dictionary of headings"
                )
    if unread:
        raise InputError(unread)
    return (), Fraction(1), ""


def _tokens(text: str) -> list[tuple[str, bool]]:
    """The words of a heading, and whether each is in brackets; superscripts are plain, a slash is `per`."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("%", " percent ").replace("/", " per ")
    plain = re.sub(r"\bt\s+(?=值|评分)", "t", plain)
    plain = _CHINESE_WORDS.sub(lambda match: f" {_CHINESE[match[0]]} ", plain)
    tokens, depth = [], 0
    for part in re.findall(r"[(\[{]|[)\]}]|[^\W_]+", plain):
        if part in "([{":
            depth += 1
        elif part in ")]}":
            depth = max(depth - 1, 0)
        else:
            tokens.append((part, depth > 0))
    return tokens


def _letters(words: Sequence[str]) -> list[str]:
    """The words that are no bare numbers."""
    return [word for word in words if not word.isdigit()]


def _named(words: Sequence[str]) -> tuple[str, ...]:
    """The columns that go by a name without unit; () for none."""
    words = [word for word in words if word not in _FILLERS]
    named = _BY_NAME.get("".join(words))
    if named:
        return named
    for length in range(len(words), 0, -1):
        for quantity, site in ((words[:length], words[length:]), (words[-length:], words[:-length])):
            columns = _AT_SITES.get("".join(quantity), ())
            if columns and not site:
                return columns
            at = _site(site) if columns else None
            if at is not None and at < len(columns):
                return (columns[at],)
    return ()


def _site(words: Sequence[str]) -> int | None:
    """Position of a site in the columns of `_AT_SITES`; a single vertebra is none."""
    if "".join(words) in _SPINE:
        return 0
    for text in (" ".join(words), "-".join(words)):
        try:
            site = site_name(text)
        except InputError:
            continue
        if len(vertebrae_of(site)) > 1:
            return 0
        return {FEMORAL_NECK: 1, TOTAL_HIP: 2}.get(region_of(site))
    return None


# ---- labels

SEVERE = Category.SEVERE_OSTEOPOROSIS.value
_CLASSES = {
    Category.NORMAL.value: ("normal", "normal bone mass", "normal bone density", "normal bmd", "正常"),
    Category.LOW_BONE_MASS.value: (
        *("low bone mass", "osteopenia", "osteopenic", "osteopaenia", "bone loss", "low bone density", "low bmd"),
        *("low bone mineral density", "骨量减少", "骨量流失", "低骨量"),
    ),
    Category.OSTEOPOROSIS.value: ("osteoporosis", "osteoporotic", "op", "骨质疏松", "骨质疏松症"),
    SEVERE: ("severe osteoporosis", "established osteoporosis", "severe established osteoporosis", "严重骨质疏松"),
    "": (Category.NOT_CLASSIFIED.value,),
}
_SEXES = {"female": ("female", "f", "woman", "w", "女"), "male": ("male", "m", "man", "男")}
_MENOPAUSE = {
    "pre": ("pre", "premenopausal", "premenopause", "绝经前", "未绝经", "否"),
    "transition": (
        *("transition", "in transition", "peri", "perimenopausal", "perimenopause", "menopausal transition"),
        *("围绝经期",),
    ),
    "post": ("post", "postmenopausal", "postmenopause", "绝经后", "已绝经", "绝经", "是"),
}
_EVALUABLE = {"yes": ("yes", "y", "true", "1"), "no": ("no", "n", "false", "0")}
_SPELLED: dict[str, Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("bmd_class", "lumbar_class", "femoral_neck_class"), _CLASSES),
    "sex": _SEXES,
    "menopause": _MENOPAUSE,
    EVALUABLE: _EVALUABLE,
}
OLDEST_DECADE = 80
_AGES = re.compile(r"[\[(]?(\d{2,3})(?:~|s|(?:-|~|to|,|;|\.\.)(\d{2,3}))?[\])]?")
_OLDEST = re.compile(r"(?:>=|≥)80|80(?:\+|-|andabove|andover|andolder|及?以上|(?:-|to)\d+)|[\[(]80[,;].*[\])]")


def label(column: str, text: str) -> str:
    """The canonical spelling of a label.

    Parameters
    ----------
    column : in `LABELS` or `KEYS`, but neither subject nor reading.
    text : as it stands in the table; blank where there is none. Severe osteoporosis stays `SEVERE`.

    Raises
    ------
    InputError
        for a label that is not known, with those that are.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    if column == "age_group":
        return _age_group(text, plain)
    if column == LEVEL:
        return _level(text, plain)
    if not plain.strip():
        return ""
    words = " ".join(re.findall(r"[^\W_]+", plain))
    for name, spellings in _SPELLED[column].items():
        if words in spellings:
            return name
    known = ", ".join(name for name in _SPELLED[column] if name)
    raise InputError(f"{text!r} is not known; known are {known} and usual other spellings of these")


def decade(years: float) -> str:
    """The age group of an age: `40~` is from 40 up to 50 years, `80~` all from 80 on."""
    return f"{min(int(years) // 10 * 10, OLDEST_DECADE)}~"


def _age_group(text: str, plain: str) -> str:
    squeezed = re.sub(r"\s|years?|yrs?|岁", "", plain.replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-"))
    if not squeezed:
        return ""
    if _OLDEST.fullmatch(squeezed):
        return decade(OLDEST_DECADE)
    match = _AGES.fullmatch(squeezed)
    if match is None or int(match[1]) % 10 or (match[2] and int(match[2]) - int(match[1]) not in (9, 10)):
        raise InputError(f"{text!r} is no decade; known are 40~, 40-49 and [40,50), and 80~ for all from 80 on")
    return decade(float(match[1]))


def _level(text: str, plain: str) -> str:
    if not plain.strip():
        return ""
    found = recognize(f"L{plain.strip()}" if re.fullmatch(r"\s*[1-5]\s*", plain) else text).level
    if not found:
        raise InputError(f"{text!r} is no vertebral level; known are {', '.join(LEVELS)}")
    return found
