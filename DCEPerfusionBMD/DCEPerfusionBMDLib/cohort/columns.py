"""What the columns of a cohort are called, in which unit they are kept, and how people write them."""

from __future__ import annotations

from dataclasses import dataclass


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
    "t_lumbar": NumberColumn("Lumbar T-score", "", -10.0, 10.0),
    "t_femoral_neck": NumberColumn("Femoral neck T-score", "", -10.0, 10.0),
    "t_total_hip": NumberColumn("Total hip T-score", "", -10.0, 10.0),
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
