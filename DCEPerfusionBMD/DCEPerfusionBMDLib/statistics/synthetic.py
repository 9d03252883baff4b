"""A made-up cohort with the group sizes and means of the source paper; for examples and tests, never for inference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from .audit import source_paper
from .values import FloatArray

AGE_GROUPS = ("40~", "50~", "60~", "70~", "80~")
CLASSES = ("normal", "bone_loss", "osteoporosis")

_CELLS = np.array([[3, 26, 14, 5, 0], [2, 22, 26, 6, 1], [0, 18, 32, 33, 9]])
_AGE_LIMITS = np.array([[47.0, 50.0], [50.0, 60.0], [60.0, 70.0], [70.0, 80.0], [80.0, 86.0]])
_SHARED = {"bmd_lumbar": 1.0, "ktrans": 0.95, "kep": 0.7, "bmd_femoral_neck": 0.6, "t_lumbar": 0.9}


def synthetic_cohort(seed: int) -> dict[str, npt.NDArray[np.generic]]:
    """A cohort of 197, one array per column, that meets the source paper's tables as far as they are consistent.

    Group sizes are exact; means of BMD, Ktrans, kep and T are met within .002; spreads are read as variances and met as
    nearly as all tables together allow; ve is Ktrans/kep of each subject, so its means follow. Means and standard
    deviations of age by class are met within .001 years: with the counts of Table 1, which fix how many subjects of
    each class are in each age group, the means may lie in 54.8 to 64.4 (normal), 57.1 to 66.8 (bone loss) and 63.6 to
    73.2 years (osteoporosis), and the paper's 57.077, 61.386 and 68.207 do.

    Correlations have the paper's signs. Those with age are -.64 to -.73, since the published -.907, -.913 and -.864
    are not possible beside the published means and spreads (`audit`).

    Parameters
    ----------
    seed : of the random numbers; the same seed gives the same cohort.

    Returns
    -------
    By name (197,): `subject`, `age` (years), `age_group`, `bmd_class`, `bmd_lumbar` and `bmd_femoral_neck` (g/cm2),
    `t_lumbar`, `ktrans` and `kep` (/min), `ve` (fraction) and `fn_class`.

    References
    ----------
    Huang Z et al., Adv Clin Exp Med 2019;28(8):1005-1011, Tables 1 to 3, whose groups are met.
    """
    random = np.random.default_rng(seed)
    table1, table2, table3 = source_paper()["tables"]
    kind, bin_ = (np.repeat(index.ravel(), _CELLS.ravel()) for index in np.indices(_CELLS.shape))
    shared = random.uniform(-1, 1, kind.size)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "subject": np.array([f"S{i + 1:03d}" for i in range(kind.size)]),
        "age": _ages(kind, bin_, table3["quantities"]["age"], random.logistic(size=kind.size) - 2 * shared),
        "age_group": np.array(AGE_GROUPS)[bin_],
        "bmd_class": np.array(CLASSES)[kind],
    }
    margins = {
        "bmd_lumbar": (table3, table1),
        "bmd_femoral_neck": (None, table1),
        "t_lumbar": (table3, None),
        "ktrans": (table3, table2),
        "kep": (table3, table2),
    }
    for name, tables in margins.items():
        part = _SHARED[name]
        noise = part * shared + np.sqrt(1 - part**2) * random.uniform(-1, 1, kind.size)
        sides: list[tuple[npt.NDArray[np.intp], FloatArray, FloatArray]] = []
        for index, table in zip((kind, bin_), tables, strict=True):
            if table is not None:
                row = table["quantities"][name]
                sides.append((index, np.array(row["mean"], dtype=float), np.array(row["spread"], dtype=float)))
        columns[name] = _column(sides, kind * len(AGE_GROUPS) + bin_, noise)
    columns["ve"] = columns["ktrans"] / columns["kep"]  # type: ignore[operator]
    columns["fn_class"] = _neck_classes(columns["bmd_femoral_neck"], bin_, table1["counts"])
    return columns


def _ages(
    kind: npt.NDArray[np.intp], bin_: npt.NDArray[np.intp], row: dict[str, list[str]], noise: FloatArray
) -> FloatArray:
    """Ages within the limits of their groups, moved within them by class until mean and spread are as printed.

    The place of a subject in its age group is the logistic function of noise + shift + stretch * age group; the two
    numbers are solved for in each class.
    """
    age = np.zeros(kind.size)
    for group, (mean, sd) in enumerate(zip(row["mean"], row["spread"], strict=True)):
        members = kind == group
        low, width = _AGE_LIMITS[bin_[members], 0], np.ptp(_AGE_LIMITS, axis=1)[bin_[members]]
        step = bin_[members] - bin_[members].mean()

        def place(x: FloatArray) -> FloatArray:
            return low + 0.999 * width * special.expit(noise[members] + x[0] + x[1] * step)  # noqa: B023

        def away(x: FloatArray) -> FloatArray:
            return np.array([place(x).mean() - float(mean), place(x).std(ddof=1) - float(sd)])  # noqa: B023

        age[members] = place(optimize.least_squares(away, np.zeros(2), bounds=(-30, 30)).x)
    return age


def _column(
    sides: list[tuple[npt.NDArray[np.intp], FloatArray, FloatArray]], cell: npt.NDArray[np.intp], noise: FloatArray
) -> FloatArray:
    """Effects that add up to every group mean, and noise, centered within cells, scaled to the group variances."""
    design = np.hstack([np.eye(mean.size)[index] for index, mean, _ in sides])
    sums = np.concatenate([np.bincount(index) * mean for index, mean, _ in sides])
    fitted = design @ np.linalg.lstsq(design.T @ design, sums, rcond=None)[0]
    counts = np.maximum(np.bincount(cell), 1)
    noise = noise - (np.bincount(cell, weights=noise) / counts)[cell]
    for _ in range(200):
        for index, mean, variance in sides:
            wanted = (np.bincount(index) - 1) * variance - np.bincount(index, weights=(fitted - mean[index]) ** 2)
            has = np.bincount(index, weights=noise**2)
            noise = noise * np.sqrt(np.maximum(wanted, 0) / np.maximum(has, 1e-12))[index]
    return np.asarray(fitted + noise)


def _neck_classes(
    bmd: npt.NDArray[np.generic], bin_: npt.NDArray[np.intp], counts: dict[str, dict[str, list[int]]]
) -> npt.NDArray[np.generic]:
    """The lowest femoral necks of each age group are osteoporotic, the next have lost bone, as many as printed."""
    found = np.full(bmd.size, "normal", dtype="<U12")
    for group in range(len(AGE_GROUPS)):
        inside = np.flatnonzero(bin_ == group)
        order = inside[np.argsort(bmd[inside])]
        low = counts["femoral neck osteoporosis"]["n"][group]
        found[order[:low]] = "osteoporosis"
        found[order[low : low + counts["femoral neck bone loss"]["n"][group]]] = "bone_loss"
    return found
