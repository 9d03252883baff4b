"""The analyzed regions as a file: every voxel of every region with what became of it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..roi import Fate, VertebralRois
from ..series import FloatArray
from ..stacks import read_stack
from ..tables import one_line

REGIONS_FILE = "regions.seg.nrrd"
_KEY = "DCEPerfusionBMD.regions"
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class StoredRegion:
    """A region as the file holds it.

    Attributes
    ----------
    name : of the segment.
    level : vertebral level, empty where there is none.
    fate : (K, J, I) uint8 of `Fate`.
    """

    name: str
    level: str
    fate: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class StoredRegions:
    """What `write_regions` wrote.

    Attributes
    ----------
    regions : in the order of the segmentation.
    input_name : of the artery or the reference tissue.
    input : (K, J, I) mask.
    ijk_to_ras : (4, 4).
    input_code : SNOMED CT code of that segment, empty where it had none.
    """

    regions: tuple[StoredRegion, ...]
    input_name: str
    input: npt.NDArray[np.bool_]
    ijk_to_ras: FloatArray
    input_code: str = ""


def write_regions(path: Path, rois: VertebralRois, ijk_to_ras: FloatArray) -> None:
    """Write the regions and the input as a segmentation that Slicer opens, one layer each, so that they may overlap.

    The values of a layer are the codes of `Fate`; those of the last layer, the input, are 0 and 1.

    Parameters
    ----------
    path : of the NRRD file, for which `.seg.nrrd` is Slicer's ending.
    rois : regions and input, (K, J, I) each.
    ijk_to_ras : (4, 4) voxel index to mm.

    References
    ----------
    The NRRD format, teem.sourceforge.net/nrrd/format.html; the `Segment*` fields are those of Slicer's segmentation
    files.
    """
    layers = np.stack([*(region.fate for region in rois.regions), rois.input.astype(np.uint8)], axis=-1)
    matrix = _RAS_TO_LPS @ ijk_to_ras
    columns = [f"({','.join(repr(float(value)) for value in column[:3])})" for column in matrix.T]
    k, j, i, count = layers.shape
    names = {
        "regions": [{"name": region.name, "level": region.level} for region in rois.regions],
        "input": rois.input_name,
        "input_code": rois.input_code,
    }
    lines = [
        "NRRD0004",
        "type: uint8",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {count} {i} {j} {k}",
        f"space directions: none {' '.join(columns[:3])}",
        "kinds: list domain domain domain",
        "encoding: gzip",
        f"space origin: {columns[3]}",
        f"{_KEY}:={json.dumps(names)}",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
    ]
    segments = [
        (one_line(region.name) + ("" if fate == Fate.ANALYZED else f" ({fate.reason})"), layer, int(fate))
        for layer, region in enumerate(rois.regions)
        for fate in region.counts
    ]
    for number, (name, layer, value) in enumerate([*segments, (one_line(rois.input_name), count - 1, 1)]):
        lines += [
            f"Segment{number}_ID:=Segment_{number + 1}",
            f"Segment{number}_Name:={name}",
            f"Segment{number}_Layer:={layer}",
            f"Segment{number}_LabelValue:={value}",
        ]
    packed = gzip.compress(np.ascontiguousarray(layers).tobytes(), mtime=0)
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + packed)


def read_regions(path: Path) -> StoredRegions:
    """Read what `write_regions` wrote.

    Raises
    ------
    InputError
        when the file is damaged or of another kind.
    """
    stack = read_stack(path)
    try:
        names = json.loads(stack.attributes[_KEY])
        regions = [(str(region["name"]), str(region["level"])) for region in names["regions"]]
        input_name, input_code = str(names["input"]), str(names.get("input_code", ""))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path.name} does not name its regions; analyze the study again") from error
    if stack.count != len(regions) + 1:
        raise InputError(f"{path.name} is damaged: it holds {stack.count} layers for {len(regions)} regions")
    layers = [np.ascontiguousarray(stack.read(n)).astype(np.uint8) for n in range(stack.count)]
    return StoredRegions(
        regions=tuple(StoredRegion(*name, layer) for name, layer in zip(regions, layers, strict=False)),
        input_name=input_name,
        input=layers[-1] > 0,
        ijk_to_ras=stack.ijk_to_ras,
        input_code=input_code,
    )
