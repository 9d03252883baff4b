"""A digital lumbar spine with known kinetics, imaged by the source paper's protocol.

Five vertebral bodies with a cortical shell, basivertebral plexus and one bone island, discs, aorta, spinal canal,
paraspinal muscle and subcutaneous fat, in sagittal slices. Concentrations are simulated on a grid of 0.1 s from the
arterial input function of Parker, turned into spoiled gradient echo signal, sampled at the frame times, given Rician
noise and rounded to integers. Flip angle and frame time are not in the paper; 30 degrees and 3 s are used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from .kinetics import parker_blood_concentration, plasma_from_blood, spgr_signal, tofts_concentration
from .series import DynamicSeries, Sourced

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BoneClass:
    """Class means of the source paper's table 3 (Huang Z et al. 2019); ve is ktrans / kep.

    The printed ve of the osteoporosis group, 0.318, contradicts its own ktrans / kep of 0.139.

    Attributes
    ----------
    bmd_g_cm2 : areal density in g/cm2.
    t_score : in standard deviations.
    ktrans_per_min, kep_per_min : in 1/min.
    """

    bmd_g_cm2: float
    t_score: float
    ktrans_per_min: float
    kep_per_min: float


NORMAL = BoneClass(1.025, 0.356, 0.961, 3.150)
BONE_LOSS = BoneClass(0.778, -1.625, 0.563, 3.023)
OSTEOPOROSIS = BoneClass(0.600, -2.989, 0.326, 2.344)

LEVELS = {"L1": NORMAL, "L2": BONE_LOSS, "L3": OSTEOPOROSIS, "L4": BONE_LOSS, "L5": OSTEOPOROSIS}


@dataclass(frozen=True)
class Tissue:
    """What a voxel of the phantom holds; no kinetics means no enhancement.

    Attributes
    ----------
    proton_density : relative.
    t1_ms : T1 before contrast, in ms.
    ktrans_per_min, kep_per_min : of the Tofts model, in 1/min.
    """

    proton_density: float
    t1_ms: float
    ktrans_per_min: float = 0.0
    kep_per_min: float = 0.0


_MARROW_DENSITY, _MARROW_T1_MS = 0.60, 549.0
_BLOOD_DENSITY, _BLOOD_T1_MS = 0.95, 1441.0

TISSUES = {
    "air": Tissue(0.0, 1000.0),
    "abdomen": Tissue(0.60, 800.0, 0.10, 0.60),
    "fat": Tissue(0.25, 343.0),
    "muscle": Tissue(0.75, 856.0, 0.08, 0.70),
    "canal": Tissue(0.90, 3000.0),
    "disc": Tissue(0.50, 1100.0),
    "cortex": Tissue(0.05, 500.0),
    "bone island": Tissue(0.05, 500.0),
    "plexus": Tissue(0.80, 1000.0, 2.50, 5.00),
    "aorta": Tissue(_BLOOD_DENSITY, _BLOOD_T1_MS),
    **{level: Tissue(_MARROW_DENSITY, _MARROW_T1_MS, c.ktrans_per_min, c.kep_per_min) for level, c in LEVELS.items()},
}
"""In the order of the label values 0, 1, ..."""

_DXA_AREA_CM2 = 15.0
_LEVEL_SPACING_MM = 36.0
_BODY_HALF_MM = (23.0, 16.5, 13.5)  # left-right, front-back, up-down
_SHELL_MM = 1.5
_SIMULATION_STEP_S = 0.1
_BLOOD_BASELINE_COUNTS = 2050.0


@dataclass(frozen=True)
class LumbarPhantom:
    """The phantom and its protocol.

    Attributes
    ----------
    rows, columns, slices : matrix of the sagittal slices; rows run down, columns to the back.
    field_of_view_mm, slice_thickness_mm : the paper's; the field of view is square.
    repetition_time_ms, echo_time_ms, flip_angle_deg, field_strength_T : of the sequence.
    relaxivity_per_s_mM : r1 of the agent in 1/s/mM, that of gadobenate at 1.5 T.
    hematocrit : as a share.
    frame_time_s, duration_s : a frame every `frame_time_s`, the last before `duration_s`.
    arrival_s : when the bolus reaches aorta and tissue.
    snr : marrow signal before contrast over the standard deviation of the noise; None for no noise and no rounding.
    seed : of the noise.

    References
    ----------
    Huang Z et al. 2019 (protocol but for flip angle and frame time, class means of table 3); Parker GJM et al. 2006
    (input).
    """

    rows: int = 256
    columns: int = 160
    slices: int = 12
    field_of_view_mm: float = 350.0
    slice_thickness_mm: float = 5.0
    repetition_time_ms: float = 3.5
    echo_time_ms: float = 1.2
    flip_angle_deg: float = 30.0
    field_strength_T: float = 1.5
    relaxivity_per_s_mM: float = 6.3
    hematocrit: float = 0.42
    frame_time_s: float = 3.0
    duration_s: float = 360.0
    arrival_s: float = 31.0
    snr: float | None = 20.0
    seed: int = 2019

    @property
    def times_s(self) -> FloatArray:
        """Time of each frame."""
        return np.arange(round(self.duration_s / self.frame_time_s), dtype=float) * self.frame_time_s

    @cached_property
    def ijk_to_ras(self) -> FloatArray:
        """Voxel index to RAS: columns run to the back, rows down, slices to the right."""
        column_mm, row_mm = self.field_of_view_mm / self.columns, self.field_of_view_mm / self.rows
        matrix = np.zeros((4, 4))
        matrix[1, 0], matrix[2, 1], matrix[0, 2], matrix[3, 3] = -column_mm, -row_mm, self.slice_thickness_mm, 1.0
        matrix[:3, 3] = (
            -self.slice_thickness_mm * (self.slices - 1) / 2,
            column_mm * (self.columns - 1) / 2,
            row_mm * (self.rows - 1) / 2,
        )
        return matrix

    @cached_property
    def _coordinates_mm(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Left, back and up of the voxel centers in mm, broadcastable to (K, J, I)."""
        k, j, i = np.ogrid[: self.slices, : self.rows, : self.columns]
        matrix = self.ijk_to_ras
        return -(matrix[0, 2] * k + matrix[0, 3]), -(matrix[1, 0] * i + matrix[1, 3]), matrix[2, 1] * j + matrix[2, 3]

    @cached_property
    def labels(self) -> npt.NDArray[np.uint8]:
        """(K, J, I) index into `TISSUES`."""
        return _draw(*self._coordinates_mm)

    @cached_property
    def bodies(self) -> npt.NDArray[np.uint8]:
        """(K, J, I) 1 to 5 inside the vertebral bodies L1 to L5 with all that they hold, 0 elsewhere."""
        left, back, up = self._coordinates_mm
        number = np.zeros(self.labels.shape, dtype=np.uint8)
        for n in range(len(LEVELS)):
            number[_in_body(left, back, up, n)] = n + 1
        return number

    @property
    def segments(self) -> dict[str, npt.NDArray[np.bool_]]:
        """What a reader draws: L1 to L5 with their cortex, around plexus and bone island, and the aorta."""
        avoided = np.isin(self.labels, [_label("plexus"), _label("bone island")])
        drawn = {level: (self.bodies == n) & ~avoided for n, level in enumerate(LEVELS, start=1)}
        return {**drawn, "aorta": self.labels == _label("aorta")}

    def truth(self) -> dict[str, npt.NDArray[np.float32]]:
        """Maps of ktrans, kep (both /min) and ve in the marrow, NaN elsewhere; (K, J, I)."""
        marrow = np.isin(self.labels, [_label(level) for level in LEVELS])
        ktrans = np.array([tissue.ktrans_per_min for tissue in TISSUES.values()])[self.labels]
        kep = np.array([tissue.kep_per_min for tissue in TISSUES.values()])[self.labels]
        with np.errstate(divide="ignore", invalid="ignore"):
            maps = {"ktrans": ktrans, "kep": kep, "ve": ktrans / kep}
        return {name: np.where(marrow, values, np.nan).astype(np.float32) for name, values in maps.items()}

    @cached_property
    def tissue_signal(self) -> FloatArray:
        """Noise-free signal of each tissue in each frame, (n_tissues, n_frames), in counts."""
        fine_s = np.arange(0.0, self.times_s[-1] + _SIMULATION_STEP_S, _SIMULATION_STEP_S)
        blood_mM = parker_blood_concentration((fine_s - self.arrival_s) / 60.0)
        plasma_mM = plasma_from_blood(blood_mM, self.hematocrit)
        protocol = (self.repetition_time_ms, self.flip_angle_deg)
        m0 = _BLOOD_BASELINE_COUNTS / float(spgr_signal(_BLOOD_DENSITY, 1000.0 / _BLOOD_T1_MS, *protocol))
        density, t1_ms, ktrans, kep = np.array([dataclasses.astuple(tissue) for tissue in TISSUES.values()]).T
        concentration_mM = tofts_concentration(fine_s, plasma_mM, ktrans, kep)
        concentration_mM[_label("aorta")] = blood_mM
        r1_per_s = (1000.0 / t1_ms)[:, np.newaxis] + self.relaxivity_per_s_mM * concentration_mM
        signal = spgr_signal((m0 * density)[:, np.newaxis], r1_per_s, *protocol)
        return np.array([np.interp(self.times_s, fine_s, row) for row in signal])

    def frame(self, index: int) -> npt.NDArray[np.generic]:
        """One time point; its noise depends on `seed` and `index` alone.

        Parameters
        ----------
        index : of the frame, from 0.

        Returns
        -------
        (K, J, I): uint16 counts with Rician noise, or float64 without when `snr` is None.

        Raises
        ------
        ValueError
            when the counts are more than 16 bits hold.
        """
        clean: FloatArray = self.tissue_signal[:, index][self.labels]
        if self.snr is None:
            return clean
        deviation = self.tissue_signal[_label("L1"), 0] / self.snr
        random = np.random.default_rng((self.seed, index))
        real, imaginary = random.standard_normal((2, *clean.shape)) * deviation
        counts = np.rint(np.hypot(clean + real, imaginary))
        if counts.max() > np.iinfo(np.uint16).max:
            raise ValueError(f"frame {index + 1} needs {counts.max():.0f} counts, more than 16 bits hold")
        return np.asarray(counts, dtype=np.uint16)

    def series(self) -> DynamicSeries:
        """The imaged phantom; frames are computed when they are asked for."""
        return DynamicSeries(
            frames=_PhantomFrames(self),
            times_s=self.times_s,
            ijk_to_ras=self.ijk_to_ras,
            acquisition={
                "repetition_time_ms": Sourced(self.repetition_time_ms, "phantom"),
                "echo_time_ms": Sourced(self.echo_time_ms, "phantom"),
                "flip_angle_deg": Sourced(self.flip_angle_deg, "phantom"),
                "field_strength_T": Sourced(self.field_strength_T, "phantom"),
                "agent": Sourced("gadobenate", "phantom"),
            },
            time_source="phantom",
            patient={
                "sex": Sourced("female", "phantom"),
                "age_years": Sourced(65.0, "phantom"),
                "weight_kg": Sourced(60.0, "phantom"),
            },
        )

    @staticmethod
    def dxa_csv(subject: str) -> str:
        """A DXA table for the phantom: each vertebra at the mean of its class, all of one area.

        Parameters
        ----------
        subject : name in the table.

        Returns
        -------
        CSV text with BMD in g/cm2, T-score, BMC in g and area in cm2; L1 to L4 and L1-L4.
        """
        measured = {level: c for level, c in LEVELS.items() if level != "L5"}
        rows = [
            f"{subject},{level},{c.bmd_g_cm2},{c.t_score},{c.bmd_g_cm2 * _DXA_AREA_CM2:.3f},{_DXA_AREA_CM2}"
            for level, c in measured.items()
        ]
        count = len(measured)
        bmd, score = sum(c.bmd_g_cm2 for c in measured.values()), sum(c.t_score for c in measured.values())
        rows += [
            f"{subject},L1-L4,{bmd / count:.3f},{score / count:.3f},{bmd * _DXA_AREA_CM2:.3f},{count * _DXA_AREA_CM2}"
        ]
        return "\n".join(["subject,site,bmd_g_cm2,t_score,bmc_g,area_cm2", *rows, ""])


class _PhantomFrames(Sequence[npt.NDArray[np.generic]]):
    """The frames of a phantom, computed on access."""

    def __init__(self, phantom: LumbarPhantom) -> None:
        self._phantom = phantom

    def __len__(self) -> int:
        return int(self._phantom.times_s.size)

    @overload
    def __getitem__(self, index: int) -> npt.NDArray[np.generic]: ...
    @overload
    def __getitem__(self, index: slice) -> list[npt.NDArray[np.generic]]: ...
    def __getitem__(self, index: int | slice) -> npt.NDArray[np.generic] | list[npt.NDArray[np.generic]]:
        numbers = range(len(self))[index]
        return self._phantom.frame(numbers) if isinstance(numbers, int) else [self._phantom.frame(n) for n in numbers]


def _label(name: str) -> int:
    return list(TISSUES).index(name)


def _body_center_mm(number: int) -> tuple[float, float]:
    """Back and up of the center of a body; 0 is L1. The lordosis bends the column forward in its middle."""
    up = _LEVEL_SPACING_MM * (2 - number)
    return -6.0 * (1.0 - (up / 80.0) ** 2), up


def _in_body(
    left: FloatArray, back: FloatArray, up: FloatArray, number: int, shell_mm: float = 0.0
) -> npt.NDArray[np.bool_]:
    half_left, half_back, half_up = (half - shell_mm for half in _BODY_HALF_MM)
    center_back, center_up = _body_center_mm(number)
    footprint = np.abs(left / half_left) ** 2.5 + np.abs((back - center_back) / half_back) ** 2.5
    return (footprint < 1.0) & (np.abs(up - center_up) < half_up)


def _draw(left: FloatArray, back: FloatArray, up: FloatArray) -> npt.NDArray[np.uint8]:
    labels = np.full(np.broadcast_shapes(left.shape, back.shape, up.shape), _label("air"), dtype=np.uint8)

    def paint(name: str, where: npt.NDArray[np.bool_]) -> None:
        labels[np.broadcast_to(where, labels.shape)] = _label(name)

    everywhere = np.abs(up) >= 0
    paint("fat", (back > -115) & (back < 92) & everywhere)
    paint("abdomen", (back > -98) & (back < 20) & everywhere)
    paint("muscle", (back >= 20) & (back < 72) & everywhere)
    column_back = -6.0 * (1.0 - (up / 80.0) ** 2)
    paint("fat", (np.abs(left) < 4) & (back > column_back + 34) & (back < 72))
    paint("canal", (np.abs(left) < 10) & (back > column_back + 18) & (back < column_back + 33))
    paint("aorta", np.hypot(left - 8.0, back - (column_back - 16.5 - 4.0 - 9.0)) < 9.0)
    half_left, half_back, _ = _BODY_HALF_MM
    footprint = np.abs(left / half_left) ** 2.5 + np.abs((back - column_back) / half_back) ** 2.5
    paint("disc", (footprint < 1.0) & (np.abs(up) < 2.5 * _LEVEL_SPACING_MM))
    for number, level in enumerate(LEVELS):
        center_back, center_up = _body_center_mm(number)
        near = np.abs(up - center_up) < _LEVEL_SPACING_MM / 2
        paint("disc", near & _in_body(left, back, center_up + 0 * up, number))
        paint("cortex", _in_body(left, back, up, number))
        paint(level, _in_body(left, back, up, number, _SHELL_MM))
        behind = back - center_back
        wedge = (behind > 5) & (np.abs(left) < 1.5 + 0.3 * (behind - 5)) & (np.abs(up - center_up) < 2.5)
        paint("plexus", wedge & _in_body(left, back, up, number, _SHELL_MM))
    island_back, island_up = _body_center_mm(list(LEVELS).index("L2"))
    paint("bone island", (left - 12.5) ** 2 + (back - island_back + 6) ** 2 + (up - island_up - 4) ** 2 < 4.0**2)
    return labels
