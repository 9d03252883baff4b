"""The body of a vertebra within a mask of the whole vertebra."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .margin import BoolArray, bounding_box

_FINE_MM = 1.5  # voxels are cut into pieces no longer than this
_SHELL = 0.6  # of the radius: how far from the ball's reach lie the rims that it cannot enter


def vertebral_body(mask: BoolArray, spacing_mm: tuple[float, float, float], arch_thickness_mm: float) -> BoolArray:
    """The part of a vertebra that is thick in every direction: the body without pedicles, laminae and processes.

    Parameters
    ----------
    mask : (K, J, I) of the vertebra.
    spacing_mm : voxel size along K, J and I; the axes must be orthogonal.
    arch_thickness_mm : between the thickness of the pedicles, which is the lesser of width and height, and the height
        of the body.

    Returns
    -------
    (K, J, I); empty when no part of the mask is that thick.

    Notes
    -----
    1. A ball of the diameter `arch_thickness_mm` is moved about inside the mask (a morphological opening). The parts of
       the arch are rods and plates that it does not fit into, whatever way they point. Of the places where it fits, the
       largest connected set is the core of the body.
    2. What the ball centered in the core does not reach is arch where it goes on for more than a radius, beginning 0.6
       of a radius away from the ball.
    3. The rest, which are the rims of the endplates and the corners of thick slices, belongs to the body, but for what
       lies within 0.6 of a radius of the arch: the stumps of the pedicles.

    So a mask of the body alone stays as it is, and no direction has to be known: the rule is the same on every grid.
    Voxels are cut into pieces of at most 1.5 mm for it; a voxel is kept when at least half of its pieces are.
    The rule is ours.
    """
    body = np.zeros(mask.shape, dtype=bool)
    if not mask.any():
        return body
    box = bounding_box(mask)
    pieces = [max(1, int(np.ceil(size / _FINE_MM - 1e-6))) for size in spacing_mm]
    fine_mm = [size / count for size, count in zip(spacing_mm, pieces, strict=True)]
    fine = mask[box]
    for axis, count in enumerate(pieces):
        fine = np.repeat(fine, count, axis=axis)
    radius_mm = 0.5 * arch_thickness_mm
    depth = ndimage.distance_transform_edt(np.pad(fine, 1), sampling=fine_mm)[1:-1, 1:-1, 1:-1]
    core = _largest(depth >= radius_mm)
    if not core.any():
        return body
    beyond = ndimage.distance_transform_edt(~core, sampling=fine_mm) - radius_mm
    outside = fine & (beyond > _SHELL * radius_mm)
    parts, count = ndimage.label(outside)
    goes_on = ndimage.maximum(beyond, parts, np.arange(1, count + 1)) > radius_mm if count else np.empty(0, dtype=bool)
    if not goes_on.any():
        return np.array(mask, dtype=bool)
    arch = np.isin(parts, 1 + np.flatnonzero(goes_on))
    stump = ndimage.distance_transform_edt(~arch, sampling=fine_mm) <= _SHELL * radius_mm
    kept = fine & ~stump
    shape = [length for n, count in zip(mask[box].shape, pieces, strict=True) for length in (n, count)]
    body[box] = mask[box] & (kept.reshape(shape).mean(axis=(1, 3, 5)) >= 0.5)
    return body


def lies_behind(part: BoolArray, rest: BoolArray, ijk_to_ras: npt.NDArray[np.float64]) -> bool:
    """Whether one mask lies behind another: its middle within 60 degrees of the patient's back, seen from the other's.

    Parameters
    ----------
    part, rest : (K, J, I), neither of them empty.
    ijk_to_ras : (4, 4) voxel index to RAS.
    """
    (k, j, i), (of_k, of_j, of_i) = (np.argwhere(mask).mean(axis=0) for mask in (part, rest))
    toward = ijk_to_ras[:3, :3] @ (i - of_i, j - of_j, k - of_k)
    return bool(-toward[1] > 0.5 * np.linalg.norm(toward))


def _largest(mask: BoolArray) -> BoolArray:
    """The largest connected part of a mask."""
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return np.equal(parts, 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))) if count else mask
