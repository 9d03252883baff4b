"""Distance of voxels from the edge of their region."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BoolArray = npt.NDArray[np.bool_]

_ROUNDING_MM = 1e-6


def bounding_box(mask: BoolArray) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of a mask.

    Parameters
    ----------
    mask : of any shape, not empty.

    Returns
    -------
    One slice per axis.
    """
    box: list[slice] = []
    for axis in range(mask.ndim):
        rest = mask[tuple(box)]  # the axes before are cut, which leaves less to look through
        found = np.flatnonzero(rest.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)


def distance_to_edge_mm(mask: BoolArray, spacing_mm: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Shortest distance from each voxel center inside a mask to the face of the mask; 0 outside.

    Parameters
    ----------
    mask : (K, J, I), or (J, I) for distances within a slice.
    spacing_mm : voxel size along the axes of the mask; these must be orthogonal.

    Returns
    -------
    Distances in mm, of the shape of the mask.

    Notes
    -----
    The face is the surface of the voxel boxes, not the nearest outside center, so a single voxel of 1 mm is 0.5 mm from
    the edge. The border of the image is an edge. Computed on the bounding box of the mask, on a grid of twice the
    resolution: there the nearest point of an outside box to a voxel center is always a grid point, so it is exact.
    """
    distance = np.zeros(mask.shape)
    if not mask.any():
        return distance
    box = bounding_box(mask)
    inside = np.pad(mask[box], 1)
    # nodes 0..2n: even nodes are faces, odd nodes centers; a node is outside when an outside box touches it
    fine = np.zeros([2 * n + 1 for n in inside.shape], dtype=bool)
    for offset in np.ndindex(*(3,) * mask.ndim):
        touched = tuple(slice(o, o + 2 * n - 1, 2) for o, n in zip(offset, inside.shape, strict=True))
        fine[touched] |= ~inside
    to_edge = ndimage.distance_transform_edt(~fine, sampling=[0.5 * s for s in spacing_mm])
    distance[box] = to_edge[(slice(3, -3, 2),) * mask.ndim]
    return distance


def farther_than(
    mask: BoolArray, margin_mm: float, spacing_mm: tuple[float, float, float], in_plane: bool = False
) -> BoolArray:
    """Voxels of a mask whose center is more than `margin_mm` from its face (`distance_to_edge_mm`).

    Parameters
    ----------
    mask : (K, J, I).
    margin_mm : 0 keeps the whole mask.
    spacing_mm : voxel size along K, J and I; the axes must be orthogonal.
    in_plane : measure within each slice, which is what K counts, and leave out the first and the last slice of the
        mask; for slices so thick that a margin across them cannot be told.

    Returns
    -------
    Mask of the shape of `mask`.

    References
    ----------
    Huang Z et al. 2019, MRI examination: "more than 3 mm from the edge of the vertebral body".
    """
    if margin_mm == 0 or not mask.any():
        return np.array(mask, dtype=bool)
    return beyond_margin(depth_mm(mask, spacing_mm, in_plane), margin_mm)


def beyond_margin(depth: npt.NDArray[np.float64], margin_mm: float) -> BoolArray:
    """Which depths are beyond a margin: more than it, and all that are not negative where it is 0."""
    return np.asarray(depth >= 0 if margin_mm == 0 else depth > margin_mm + _ROUNDING_MM)


def depth_mm(
    mask: BoolArray, spacing_mm: tuple[float, float, float], in_plane: bool = False
) -> npt.NDArray[np.float64]:
    """Distance that the margin is compared with: `distance_to_edge_mm`, or that within each slice.

    Parameters
    ----------
    mask : (K, J, I).
    spacing_mm : voxel size along K, J and I; the axes must be orthogonal.
    in_plane : see `farther_than`.

    Returns
    -------
    Distances in mm, (K, J, I); 0 outside the mask and, within the slices, in its first and last slice.
    """
    if not in_plane:
        return distance_to_edge_mm(mask, spacing_mm)
    depth = np.zeros(mask.shape)
    if mask.any():
        box = bounding_box(mask)
        for k in range(box[0].start + 1, box[0].stop - 1):
            depth[k][box[1:]] = distance_to_edge_mm(mask[k][box[1:]], spacing_mm[1:])
    return depth
