"""Distance of voxels from the edge of their region."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

ROUNDING_MM = 1e-6


def distance_to_edge_mm(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Shortest distance from each voxel center inside a mask to the face of the mask; 0 outside.

    The face is the surface of the voxel boxes, not the nearest outside center, so a single voxel of 1 mm is 0.5 mm from
    the edge. The border of the image is an edge. Computed on the bounding box of the mask, on a grid of twice the
    resolution: there the nearest point of an outside box to a voxel center is always a grid point, so it is exact.

    Parameters
    ----------
    mask : (K, J, I).
    spacing_mm : voxel size along K, J and I; the axes must be orthogonal.

    Returns
    -------
    (K, J, I) distances in mm.
    """
    distance = np.zeros(mask.shape)
    if not mask.any():
        return distance
    box = tuple(
        slice(int(found.min()), int(found.max()) + 1)
        for found in (np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    inside = np.pad(mask[box], 1)
    # nodes 0..2n: even nodes are faces, odd nodes centers; a node is outside when an outside box touches it
    fine = np.zeros([2 * n + 1 for n in inside.shape], dtype=bool)
    for offset in np.ndindex(3, 3, 3):
        touched = tuple(slice(o, o + 2 * n - 1, 2) for o, n in zip(offset, inside.shape, strict=True))
        fine[touched] |= ~inside
    to_edge = ndimage.distance_transform_edt(~fine, sampling=[0.5 * s for s in spacing_mm])
    distance[box] = to_edge[3:-3:2, 3:-3:2, 3:-3:2]
    return distance


def farther_than(
    mask: npt.NDArray[np.bool_], margin_mm: float, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    """Voxels of a mask whose center is more than `margin_mm` from its face (`distance_to_edge_mm`).

    References
    ----------
    Huang Z et al. 2019, MRI examination: "more than 3 mm from the edge of the vertebral body".
    """
    if margin_mm == 0:
        return np.array(mask, dtype=bool)
    return np.greater(distance_to_edge_mm(mask, spacing_mm), margin_mm + ROUNDING_MM)
