"""Voxels of a vertebra that are not its marrow: told from their curves, each with a reason.

Every voxel is compared with the marrow around it: its signal before contrast, which is T1-weighted, with a plane
through that of the others (surface coils shade it), and its enhancement early and late, over that plane. What lies far
off is sorted into kinds by the direction in which it does; a kind holds where enough voxels of it hang together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..settings import RegionSettings
from .fates import Fate
from .margin import BoolArray, bounding_box

FloatArray = npt.NDArray[np.float64]

_EARLY_S = 30.0  # after arrival
_WITH_ARTERY_S = 4.0  # between the peaks of an arterial branch and of the artery
_LATE_SHARE = 1 / 3  # of the frames after arrival
_LEAST_DEVIATION = 0.02  # of the signal; what is closer than this to its neighbors is never called different
_GROWN_Z = 2.5  # voxels this far off join a group of voxels that are beyond the threshold
_LEAST_VOXELS = 30  # of marrow, to compare with
_TRIMMED_Z, _PLANE_ROUNDS = 3.0, 10
_MAD_TO_DEVIATION = 1.4826
_ALL_NEIGHBORS = np.ones((3, 3, 3), dtype=bool)
_TOUCHING = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class Bolus:
    """What the arterial curve tells of the time course.

    Attributes
    ----------
    times_s : (n_frames,).
    baseline_frames : frames before contrast.
    arrival_s : of the bolus in the artery.
    artery_signal : (n_frames,) mean signal of the artery; None where there is none.
    """

    times_s: FloatArray
    baseline_frames: int
    arrival_s: float
    artery_signal: FloatArray | None = None

    def features(self, signal: npt.NDArray[np.float32] | FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What a curve is sorted by: its signal before contrast, and its enhancement early and late.

        Parameters
        ----------
        signal : (n, n_frames).

        Returns
        -------
        Mean signal before contrast, NaN where it is not positive; mean signal of the 30 s after arrival less that, of
        the first frame with contrast where no frame lies there; and mean signal of the last third of the frames after
        arrival less that; (n,) each, in the unit of the signal.
        """
        after = self.times_s > self.arrival_s
        early = after & (self.times_s <= self.arrival_s + _EARLY_S)
        if not early.any():
            early[min(self.baseline_frames, self.times_s.size - 1)] = True
        late = np.zeros(self.times_s.size, dtype=bool)
        late[-max(1, round(_LATE_SHARE * np.count_nonzero(after))) :] = True
        baseline = signal[:, : self.baseline_frames].mean(axis=1, dtype=float)
        baseline = np.where(baseline > 0, baseline, np.nan)
        return (
            baseline,
            signal[:, early].mean(axis=1, dtype=float) - baseline,
            signal[:, late].mean(axis=1, dtype=float) - baseline,
        )


def propose_exclusions(
    signal: npt.NDArray[np.float32],
    drawn: BoolArray,
    compared: BoolArray,
    ijk_to_ras: FloatArray,
    bolus: Bolus,
    settings: RegionSettings,
) -> npt.NDArray[np.uint8]:
    """The fate of each voxel of one vertebral body by its curve.

    - Bone island, or other tissue without enhancement: no signal at all, or more than `island_z` deviations darker
      before contrast, and neither early nor late enhancement above `island_enhancement_percent`.
    - Vessel: early enhancement more than `plexus_z` deviations higher. It is arterial where its mean curve peaks within
      4 s of the artery and reaches `arterial_share` of the artery's early enhancement; the venous plexus where its
      center lies in the posterior third of the body and in the middle half of its width.
    - Haemangioma or fat: more than `fat_z` deviations brighter before contrast, or a strongly enhancing group inside
      the body that is no vessel by its place.
    - Other tissue, such as muscle: any of the three more than `tissue_z` deviations lower, or strong enhancement, in a
      group that touches the edge of the outline. Marrow that differs inside the body stays.

    Deviations are 1.4826 times the median absolute deviation in `compared`, and at least 0.02 of the signal. A group
    needs `exclusion_voxels` connected voxels beyond the threshold; neighbors more than 2.5 deviations off join it.

    Parameters
    ----------
    signal : (n, n_frames) of the drawn voxels, in the order of the flattened grid.
    drawn : (K, J, I) mask of the outline.
    compared : (K, J, I) mask of the voxels inside the margin, from which the marrow is learned.
    ijk_to_ras : (4, 4), tells which way is back.
    bolus : time course.
    settings : the thresholds, and which rules apply.

    Returns
    -------
    (n,) uint8 of `Fate`: ANALYZED, or the reason. With fewer than 30 voxels to compare with all are ANALYZED.

    References
    ----------
    Huang Z et al. 2019, MRI examination: "avoiding bone island, posterior venous plexus and so on". The rules and
    thresholds are ours.
    """
    rules = settings.rules()
    fate = np.full(len(signal), Fate.ANALYZED, dtype=np.uint8)
    baseline, early, late = bolus.features(signal)
    usable = np.isfinite(baseline) & np.isfinite(early) & np.isfinite(late)
    void = ~usable & np.isfinite(signal).all(axis=1)  # no signal before contrast
    inside = compared[drawn] & usable
    if np.count_nonzero(inside) < _LEAST_VOXELS or not rules:
        return fate
    box = bounding_box(drawn)
    where = np.argwhere(drawn)
    logarithm = np.log(baseline)
    marrow = _plane(logarithm, where, inside)
    bright = _z(logarithm - marrow, inside)
    early, late = early / np.exp(marrow), late / np.exp(marrow)
    early_z, late_z = _z(early, inside), _z(late, inside)
    unenhanced = np.fmax(early, late) < settings.island_enhancement_percent / 100.0
    lowest = np.fmin(np.fmin(early_z, late_z), bright)
    bright[void], unenhanced[void] = -np.inf, True
    edge = _at_edge(drawn, box)

    def named(group: npt.NDArray[np.intp]) -> str | None:
        """What a group is; None for marrow that differs inside the body."""
        enhances = bool(np.mean(early_z[group]) > settings.plexus_z)
        vessel = _vessel(signal[group], where, group, ijk_to_ras, bolus, settings) if enhances else None
        if vessel is not None:
            return vessel
        if np.mean(bright[group]) >= settings.fat_z:
            return "haemangioma"
        if edge[group].any():
            return "other-tissue"
        return "haemangioma" if enhances else None

    vessel = np.where(bright < 2 * settings.fat_z, early_z, np.nan)
    partly = void | (np.fmax(early_z, late_z) < -_GROWN_Z)  # the soft edge of an island enhances less than marrow
    searched = {  # deviations in the direction of each kind of its core and of what joins it, and how many it takes
        "bone-island": (np.where(unenhanced, -bright, np.nan), np.where(partly, -bright, np.nan), settings.island_z),
        "vessel": (vessel, vessel, settings.plexus_z),
        "haemangioma": (bright, bright, settings.fat_z),
        "other-tissue": (-lowest, -lowest, settings.tissue_z),
    }
    taken = ~usable & ~void
    for kind, (off, joining, threshold) in searched.items():
        core = np.greater(off, threshold)  # NaN is not greater
        near = np.greater(joining, min(threshold, _GROWN_Z))
        for group in _groups(drawn, box, core & ~taken, near & ~taken, settings.exclusion_voxels):
            found = kind if kind == "bone-island" else named(group)
            if found is None:
                continue
            taken[group] = True
            if found in rules:
                fate[group] = _FATES[found]
    return fate


_FATES = {
    "bone-island": Fate.BONE_ISLAND,
    "haemangioma": Fate.HAEMANGIOMA,
    "arterial": Fate.ARTERIAL,
    "plexus": Fate.PLEXUS,
    "other-tissue": Fate.OTHER_TISSUE,
}


def poorly_fitted(rmse: FloatArray, threshold_z: float) -> BoolArray:
    """Voxels whose residual is more than `threshold_z` deviations above the median of its region.

    Parameters
    ----------
    rmse : (n,) root mean square residuals of one region, of any unit; NaN where there is no fit.
    threshold_z : in deviations of the logarithm, 1.4826 times its median absolute deviation and at least 0.02.

    Returns
    -------
    (n,) True where the fit is poor; nowhere with fewer than 30 residuals to compare with.

    Notes
    -----
    Compared with the region, not with a fixed share of variance: where marrow hardly enhances, noise is most of the
    variance of a good fit. The rule is ours.
    """
    inside = np.isfinite(rmse) & (rmse > 0)
    if np.count_nonzero(inside) < _LEAST_VOXELS:
        return np.zeros(rmse.shape, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.greater(_z(np.log(rmse), inside), threshold_z)


def _vessel(
    signal: npt.NDArray[np.float32],
    where: npt.NDArray[np.intp],
    group: npt.NDArray[np.intp],
    ijk_to_ras: FloatArray,
    bolus: Bolus,
    settings: RegionSettings,
) -> str | None:
    """Which vessel a strongly enhancing group is by its curve and place, None where it is none."""
    curve = signal.mean(axis=0, dtype=float)
    if bolus.artery_signal is not None:
        _, early, _ = bolus.features(np.array([curve, bolus.artery_signal]))
        apart_s = abs(bolus.times_s[np.argmax(curve)] - bolus.times_s[np.argmax(bolus.artery_signal)])
        if apart_s <= _WITH_ARTERY_S and early[0] >= settings.arterial_share * early[1]:
            return "arterial"
    left_mm, back_mm = -(where[:, ::-1] @ ijk_to_ras[:2, :3].T).T
    front, rear = np.percentile(back_mm, (1, 99))
    one_side, other_side = np.percentile(left_mm, (1, 99))
    behind = back_mm[group].mean() > rear - (rear - front) / 3
    central = abs(left_mm[group].mean() - (one_side + other_side) / 2) < (other_side - one_side) / 4
    return "plexus" if behind and central else None


def _plane(values: FloatArray, where: npt.NDArray[np.intp], inside: BoolArray) -> FloatArray:
    """Values of the plane through those inside, fitted to the voxels that lie close to it."""
    terms = np.column_stack([where - where[inside].mean(axis=0), np.ones(len(where))])
    plane = np.full(len(values), np.median(values[inside]))
    for _ in range(_PLANE_ROUNDS):
        close = inside & (np.abs(_z(values - plane, inside)) <= _TRIMMED_Z)
        coefficients = np.linalg.lstsq(terms[close], values[close], rcond=None)[0]
        plane, before = terms @ coefficients, plane
        if np.abs(plane - before).max() < 1e-6:
            break
    return plane


def _z(values: FloatArray, inside: BoolArray) -> FloatArray:
    """How many robust deviations each value lies from the median of those inside."""
    median = np.median(values[inside])
    deviation = _MAD_TO_DEVIATION * np.median(np.abs(values[inside] - median))
    return np.asarray((values - median) / max(deviation, _LEAST_DEVIATION))


def _groups(
    drawn: BoolArray, box: tuple[slice, ...], core: BoolArray, near: BoolArray, least: int
) -> Iterator[npt.NDArray[np.intp]]:
    """Connected voxels with enough of them in the core, by their index among the drawn ones."""
    grid = np.zeros(drawn.shape, dtype=bool)[box]
    inside = drawn[box]
    grid[inside] = near | core
    numbers, count = ndimage.label(grid, _ALL_NEIGHBORS)
    number = numbers[inside]
    enough = np.flatnonzero(np.bincount(number[core], minlength=count + 1) >= least)
    for n in enough[enough > 0]:
        yield np.flatnonzero(number == n)


def _at_edge(drawn: BoolArray, box: tuple[slice, ...]) -> BoolArray:
    """Which of the drawn voxels have a neighbor that is not drawn; the border of the image is an edge."""
    inside = drawn[box]
    return np.asarray(~ndimage.binary_erosion(inside, _TOUCHING)[inside])
