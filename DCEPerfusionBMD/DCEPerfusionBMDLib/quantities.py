"""Every quantity the product puts out, described once: maps, tables, plots and exports read it from here.

Sources: DICOM PS3.16 CID 4107 (tracer kinetic model parameters), UCUM, OSIPI CAPLEX.
"""

from __future__ import annotations

from dataclasses import dataclass

PRIVATE_SCHEME = "99DCEBMD"
"""Coding scheme of our own codes, for what the standard has none for."""


@dataclass(frozen=True)
class Code:
    """A coded concept.

    Attributes
    ----------
    value : code.
    scheme : designator of the coding scheme.
    meaning : for people.

    References
    ----------
    DICOM PS3.3 section 8.8.
    """

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Quantity:
    """A physical quantity.

    Attributes
    ----------
    name : key of the map and stem of its file name.
    symbol : as printed in figures.
    column : column name in tables, with the unit where the number is bare.
    unit : unit as printed; empty for a label.
    ucum : the unit as a UCUM code.
    dicom : DICOM code of the quantity, None where the standard has none.
    caplex : code of the quantity in the OSIPI lexicon, empty where it has none.
    display_range : color range of the map, in `unit`.
    description : one sentence.
    """

    name: str
    symbol: str
    column: str
    unit: str
    ucum: Code
    dicom: Code | None
    caplex: str
    display_range: tuple[float, float]
    description: str

    @property
    def code(self) -> Code:
        """The code of the standard, else our own."""
        return self.dicom or Code(self.name, PRIVATE_SCHEME, self.symbol)


PER_MINUTE = Code("/min", "UCUM", "/min")
RATIO = Code("{ratio}", "UCUM", "ratio")
NO_UNIT = Code("1", "UCUM", "no units")

KTRANS = Quantity(
    name="ktrans",
    symbol="Ktrans",
    column="ktrans_per_min",
    unit="/min",
    ucum=PER_MINUTE,
    dicom=Code("126312", "DCM", "Ktrans"),
    caplex="Q.PH1.008",
    display_range=(0.0, 1.2),
    description="Volume transfer constant from plasma to the extravascular extracellular space.",
)
KEP = Quantity(
    name="kep",
    symbol="kep",
    column="kep_per_min",
    unit="/min",
    ucum=PER_MINUTE,
    dicom=Code("126313", "DCM", "kep"),
    caplex="Q.PH1.009",
    display_range=(0.0, 4.0),
    description="Rate constant from the extravascular extracellular space back to plasma; kep = Ktrans / ve.",
)
VE = Quantity(
    name="ve",
    symbol="ve",
    column="ve",
    unit="fraction",
    ucum=RATIO,
    dicom=Code("126314", "DCM", "ve"),
    caplex="Q.PH1.001.e",
    display_range=(0.0, 0.5),
    description="Volume of the extravascular extracellular space per volume of tissue (0.30 is 30 mL/100 mL).",
)
VP = Quantity(
    name="vp",
    symbol="vp",
    column="vp",
    unit="fraction",
    ucum=RATIO,
    dicom=Code("126331", "DCM", "vp"),
    caplex="Q.PH1.001.p",
    display_range=(0.0, 0.2),
    description="Volume of plasma per volume of tissue.",
)
FP = Quantity(
    name="fp",
    symbol="Fp",
    column="fp_per_min",
    unit="/min",
    ucum=PER_MINUTE,
    dicom=None,
    caplex="",
    display_range=(0.0, 1.2),
    description="Plasma flow per volume of tissue (mL/mL/min).",
)
PS = Quantity(
    name="ps",
    symbol="PS",
    column="ps_per_min",
    unit="/min",
    ucum=PER_MINUTE,
    dicom=None,
    caplex="",
    display_range=(0.0, 1.2),
    description="Permeability-surface area product per volume of tissue.",
)
RELATIVE_KTRANS = Quantity(
    name="relative_ktrans",
    symbol="Relative Ktrans",
    column="relative_ktrans",
    unit="ratio",
    ucum=RATIO,
    dicom=None,
    caplex="",
    display_range=(0.0, 20.0),
    description="Ktrans over that of the reference tissue.",
)
DELAY = Quantity(
    name="delay",
    symbol="Delay",
    column="delay_s",
    unit="s",
    ucum=Code("s", "UCUM", "s"),
    dicom=None,
    caplex="Q.PH1.007",
    display_range=(-3.0, 15.0),
    description="How much later the agent arrives in the tissue than in the artery.",
)
EMAX = Quantity(
    name="emax",
    symbol="Emax",
    column="emax_percent",
    unit="%",
    ucum=Code("%", "UCUM", "percent"),
    dicom=None,
    caplex="",
    display_range=(0.0, 200.0),
    description="Maximal enhancement over the signal before contrast.",
)
MAX_SLOPE = Quantity(
    name="max_slope",
    symbol="Maximum slope",
    column="max_slope_percent_per_s",
    unit="%/s",
    ucum=Code("%/s", "UCUM", "percent per second"),
    dicom=Code("126375", "DCM", "Maximum Slope"),
    caplex="",
    display_range=(0.0, 15.0),
    description="Steepest rise of the signal, relative to the signal before contrast.",
)
TIME_TO_PEAK = Quantity(
    name="time_to_peak",
    symbol="Time to peak",
    column="time_to_peak_s",
    unit="s",
    ucum=Code("s", "UCUM", "s"),
    dicom=Code("113069", "DCM", "Time To Peak"),
    caplex="Q.CD1.010",
    display_range=(0.0, 120.0),
    description="From the arrival of the bolus to the maximum.",
)
IAUC60 = Quantity(
    name="iauc60",
    symbol="IAUC60",
    column="iauc60_mM_s",
    unit="mmol/L s",
    ucum=Code("mmol/l.s", "UCUM", "mmol/l.s"),
    dicom=Code("126321", "DCM", "IAUC60"),
    caplex="",
    display_range=(0.0, 50.0),
    description="Area under the concentration in the first 60 s after arrival.",
)
ESLOPE = Quantity(
    name="eslope",
    symbol="Eslope",
    column="eslope_percent_per_s",
    unit="%/s",
    ucum=Code("%/s", "UCUM", "percent per second"),
    dicom=None,
    caplex="",
    display_range=(0.0, 15.0),
    description="Mean slope of the rise from 10 % to 90 % of the maximum.",
)
WASH_IN = Quantity(
    name="wash_in",
    symbol="Wash-in slope",
    column="wash_in_slope_percent_per_s",
    unit="%/s",
    ucum=Code("%/s", "UCUM", "percent per second"),
    dicom=None,
    caplex="",
    display_range=(0.0, 10.0),
    description="Emax over the time to peak.",
)
WASH_OUT = Quantity(
    name="wash_out",
    symbol="Wash-out slope",
    column="wash_out_slope_percent_per_s",
    unit="%/s",
    ucum=Code("%/s", "UCUM", "percent per second"),
    dicom=None,
    caplex="",
    display_range=(-1.0, 0.0),
    description="Slope from the maximum to the last frame.",
)
WASH_OUT_PER_MINUTE = Quantity(
    name="wash_out_minute",
    symbol="Wash-out rate",
    column="wash_out_percent_per_min",
    unit="%/min",
    ucum=Code("%/min", "UCUM", "percent per minute"),
    dicom=None,
    caplex="",
    display_range=(-60.0, 0.0),
    description="Slope from the maximum to the last frame, per minute.",
)
IAUC90 = Quantity(
    name="iauc90",
    symbol="IAUC90",
    column="iauc90_mM_s",
    unit="mmol/L s",
    ucum=Code("mmol/l.s", "UCUM", "mmol/l.s"),
    dicom=Code("126322", "DCM", "IAUC90"),
    caplex="",
    display_range=(0.0, 75.0),
    description="Area under the concentration in the first 90 s after arrival.",
)
IAUC180 = Quantity(
    name="iauc180",
    symbol="IAUC180",
    column="iauc180_mM_s",
    unit="mmol/L s",
    ucum=Code("mmol/l.s", "UCUM", "mmol/l.s"),
    dicom=Code("126323", "DCM", "IAUC180"),
    caplex="",
    display_range=(0.0, 150.0),
    description="Area under the concentration in the first 180 s after arrival.",
)
IAUGC60 = Quantity(
    name="iaugc60",
    symbol="IAUGC60",
    column="iaugc60",
    unit="ratio",
    ucum=RATIO,
    dicom=Code("126325", "DCM", "IAUC60BN"),
    caplex="",
    display_range=(0.0, 1.0),
    description="IAUC60 over that of the arterial blood.",
)
IAUGC90 = Quantity(
    name="iaugc90",
    symbol="IAUGC90",
    column="iaugc90",
    unit="ratio",
    ucum=RATIO,
    dicom=Code("126326", "DCM", "IAUC90BN"),
    caplex="",
    display_range=(0.0, 1.0),
    description="IAUC90 over that of the arterial blood.",
)
IAUGC180 = Quantity(
    name="iaugc180",
    symbol="IAUGC180",
    column="iaugc180",
    unit="ratio",
    ucum=RATIO,
    dicom=Code("126327", "DCM", "IAUC180BN"),
    caplex="",
    display_range=(0.0, 1.0),
    description="IAUC180 over that of the arterial blood.",
)
SER = Quantity(
    name="ser",
    symbol="SER",
    column="ser",
    unit="ratio",
    ucum=RATIO,
    dicom=None,
    caplex="",
    display_range=(0.0, 3.0),
    description="Enhancement 60 s after arrival over that of the last frame.",
)
R_SQUARED = Quantity(
    name="r_squared",
    symbol="R2",
    column="r_squared",
    unit="fraction",
    ucum=RATIO,
    dicom=Code("126220", "DCM", "R2-Coefficient"),
    caplex="",
    display_range=(0.0, 1.0),
    description="Share of the variance of the curve that the fit explains.",
)
RMSE = Quantity(
    name="rmse",
    symbol="RMSE",
    column="rmse_mM",
    unit="mmol/L",
    ucum=Code("mmol/l", "UCUM", "mmol/l"),
    dicom=None,
    caplex="",
    display_range=(0.0, 0.2),
    description="Root mean square residual of the fit.",
)
STATUS = Quantity(
    name="status",
    symbol="Fit status",
    column="status",
    unit="",
    ucum=NO_UNIT,
    dicom=None,
    caplex="",
    display_range=(0.0, 6.0),
    description="What became of the voxel: 0 not analyzed, 1 fitted, others say why there is no plain estimate.",
)
BMD = Quantity(
    name="bmd",
    symbol="BMD",
    column="bmd_g_cm2",
    unit="g/cm2",
    ucum=Code("g/cm2", "UCUM", "g/cm2"),
    dicom=None,
    caplex="",
    display_range=(0.4, 1.4),
    description="Areal bone mineral density by DXA.",
)
QCT_DENSITY = Quantity(
    name="qct_density",
    symbol="QCT density",
    column="qct_mg_cm3",
    unit="mg/cm3",
    ucum=Code("mg/cm3", "UCUM", "mg/cm3"),
    dicom=None,
    caplex="",
    display_range=(0.0, 200.0),
    description="Trabecular bone mineral density by quantitative CT.",
)
T_SCORE = Quantity(
    name="t_score",
    symbol="T-score",
    column="t_score",
    unit="",
    ucum=NO_UNIT,
    dicom=None,
    caplex="",
    display_range=(-4.0, 2.0),
    description="Standard deviations from the mean of young women.",
)
Z_SCORE = Quantity(
    name="z_score",
    symbol="Z-score",
    column="z_score",
    unit="",
    ucum=NO_UNIT,
    dicom=Code("121416", "DCM", "Z-Score of measurement"),
    caplex="",
    display_range=(-4.0, 4.0),
    description="Standard deviations from the mean of people of the same age and sex.",
)

PARAMETERS = (KTRANS, KEP, VE, VP, FP, PS, RELATIVE_KTRANS)
"""What the kinetic models estimate."""
DESCRIPTIVE = (EMAX, MAX_SLOPE, TIME_TO_PEAK, IAUC60)
"""What is read off the curves without a model, as maps."""
MORE_DESCRIPTIVE = (ESLOPE, WASH_IN, WASH_OUT, IAUC90, IAUC180, IAUGC60, SER)
"""What else is read off the curves, as maps when all are asked for."""
DESCRIPTIVE_TABLE = (
    *(EMAX, ESLOPE, MAX_SLOPE, TIME_TO_PEAK, WASH_IN, WASH_OUT, WASH_OUT_PER_MINUTE),
    *(IAUC60, IAUC90, IAUC180, IAUGC60, IAUGC90, IAUGC180, SER),
)
"""What is read off the curve of a region, in the order of its table; three of them are no maps."""
QUALITY = (R_SQUARED, RMSE)
"""How well the model fits, as maps when all are asked for."""
BONE = (BMD, QCT_DENSITY, T_SCORE, Z_SCORE)
"""What densitometry measures, in tables only."""
_DESCRIPTIVE = (*DESCRIPTIVE, *MORE_DESCRIPTIVE, *DESCRIPTIVE_TABLE)
BY_NAME = {q.name: q for q in (*PARAMETERS, DELAY, *_DESCRIPTIVE, *QUALITY, STATUS, *BONE)}
_MORE_UNITS = {unit: Code(unit, "UCUM", unit) for unit in ("g", "cm2", "mm", "kg/m2")}
_MORE_UNITS["years"] = Code("a", "UCUM", "year")
UNIT_CODES = {q.unit: q.ucum for q in BY_NAME.values() if q.unit} | _MORE_UNITS
"""UCUM codes of units as they are printed, for columns that are no quantity of their own."""
