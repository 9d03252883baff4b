"""What `analyze` left in a folder, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..densitometry.dxa import table_cells
from ..errors import InputError
from ..quantities import BY_NAME
from ..series import FloatArray
from ..stacks import read_stack
from .regions import REGIONS_FILE, StoredRegions, read_regions

STALE_FILES = (
    "bmd_classification.csv",
    "densitometry.csv",
    "motion.csv",
    "perfusion_comparison.csv",
    *(f"maps/{name}.nrrd" for name in BY_NAME),
)
"""Files of a result that a later one may lack; they go then."""
_SAME_MM = 1e-3


@dataclass(frozen=True)
class Record:
    """A result as its files hold it.

    Attributes
    ----------
    history : of `provenance.json`.
    maps : quantity name to (K, J, I) values.
    regions : that were analyzed.
    vertebrae, descriptive : one row per region, text by column name; in the order of `regions.regions`.
    bone : rows of the classification table; empty where there is none.
    """

    history: Mapping[str, Any]
    maps: Mapping[str, npt.NDArray[np.generic]]
    regions: StoredRegions
    vertebrae: tuple[Mapping[str, str], ...]
    descriptive: tuple[Mapping[str, str], ...]
    bone: tuple[Mapping[str, str], ...]

    def setting(self, group: str, name: str) -> Any:
        """The value of a setting."""
        try:
            return self.history["settings"][group][name]["value"]
        except (KeyError, TypeError) as error:
            raise InputError(f"provenance.json does not hold the setting {group}.{name}; analyze again") from error


def read_record(folder: Path) -> Record:
    """Read maps, regions, tables and provenance of a result.

    Raises
    ------
    InputError
        naming the file that is missing, damaged, or does not fit the others.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the one that analyze wrote")
    for name in ("provenance.json", REGIONS_FILE, "vertebrae.csv", "descriptive.csv"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}; give a folder that this version of analyze wrote")
    try:
        history = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        inputs, chosen = history["inputs"]["series"]["sha256"], history["choices"]
        if not (isinstance(inputs, str) and isinstance(chosen, dict)):
            raise ValueError("no hash of the series")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"cannot read {folder / 'provenance.json'}: {error}") from error
    regions = read_regions(folder / REGIONS_FILE)
    maps = {path.stem: _map(path, regions) for path in sorted((folder / "maps").glob("*.nrrd"))}
    if not maps:
        raise InputError(f"{folder / 'maps'} holds no map; analyze again")
    vertebrae, descriptive = (_rows(folder / f"{name}.csv") for name in ("vertebrae", "descriptive"))
    named = [region.name for region in regions.regions]
    for name, rows in (("vertebrae", vertebrae), ("descriptive", descriptive)):
        if [row.get("region") for row in rows] != named:
            raise InputError(f"{name}.csv and {REGIONS_FILE} do not hold the same regions; analyze again")
    bone = folder / "bmd_classification.csv"
    return Record(history, maps, regions, vertebrae, descriptive, _rows(bone) if bone.is_file() else ())


def _map(path: Path, regions: StoredRegions) -> npt.NDArray[np.generic]:
    if path.stem not in BY_NAME:
        raise InputError(f"{path} is no map that analyze writes; move it elsewhere")
    stack = read_stack(path)
    if (
        stack.count != 1
        or stack.shape != regions.input.shape
        or not same_place(stack.ijk_to_ras, regions.ijk_to_ras, stack.shape)
    ):
        raise InputError(f"{path} lies on another grid than {REGIONS_FILE}; analyze again")
    return np.array(stack.read(0))


def _rows(path: Path) -> tuple[Mapping[str, str], ...]:
    cells = [row for row in table_cells(path, "the table") if row]
    if not cells or any(len(row) != len(cells[0]) for row in cells):
        raise InputError(f"{path} is damaged: its rows differ in length")
    return tuple(dict(zip(cells[0], row, strict=True)) for row in cells[1:])


def same_place(one: FloatArray, other: FloatArray, shape: tuple[int, ...]) -> bool:
    """Whether two matrices put all corners of a grid of (K, J, I) voxels at the same place, to 0.001 mm.

    Parameters
    ----------
    one, other : (4, 4) voxel index (i, j, k) to mm.
    shape : voxels along K, J and I.

    Returns
    -------
    True where no corner is farther off.
    """
    corners = np.array([[i, j, k, 1] for i in (0, shape[2]) for j in (0, shape[1]) for k in (0, shape[0])], dtype=float)
    return bool(np.abs(corners @ (one - other).T).max() < _SAME_MM)
