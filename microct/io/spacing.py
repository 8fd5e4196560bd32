"""Which voxel size a header states, and whether it can be believed; axes and units brought to (z, y, x) and mm.

A silent voxel of 1.0 mm is the data bug of this field: writers that know no voxel size write 1. So a size of 1 in
all axes, and sizes of 1 or more without a unit, count as missing, and the user is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microct.status import InputError
from microct.volume import IDENTITY, VOXEL_SIZE_RANGE_MM

HOW_TO_GIVE = "give it with --voxel-size-um or voxel_size_um= (micro-CT of bone: 5 to 100 um)"

_MM = {
    "m": 1e3, "meter": 1e3, "metre": 1e3,
    "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0,
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0,
    "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "micrometer": 1e-3, "micrometre": 1e-3,
    "nm": 1e-6, "nanometer": 1e-6, "nanometre": 1e-6,
    "in": 25.4, "inch": 25.4, "inches": 25.4,
}  # fmt: skip


@dataclass(frozen=True)
class Spacing:
    """The voxel size of a header: ``mm`` (z, y, x), or None where it cannot be believed; ``note``: why, or whence."""

    mm: tuple[float, float, float] | None
    note: str


def unit_in_mm(unit: str) -> float | None:
    """Length of ``unit`` [mm], or None where the word is unknown."""
    word = unit.strip().strip('"').lower().replace("\\u00b5", "µ")
    return _MM.get(word, _MM.get(word.removesuffix("s")))


def decimal32(value: float) -> float:
    """The shortest decimal that a 32-bit header field stands for: 0.02, not 0.0199999996."""
    return float(str(np.float32(value)))


def stated(sizes_zyx: Sequence[float], unit: str | None, where: str) -> Spacing:
    """Judge a stated voxel size.

    Args:
        sizes_zyx: what the header says, in the order z, y, x.
        unit: the unit that the header gives, or None where it gives none (then mm is meant).
        where: the header's field, for the note.
    """
    sizes = tuple(float(size) for size in sizes_zyx)
    text = " ".join(f"{size:.7g}" for size in reversed(sizes))
    factor = 1.0 if unit is None else unit_in_mm(unit)
    if factor is None:
        return Spacing(None, f"{where} is in an unknown unit ({_short(unit)})")
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0.0 for size in sizes):
        return Spacing(None, f"{where} ({text}) must be three finite numbers above zero")
    if unit is None and min(sizes) >= 1.0:
        return Spacing(None, f"{where} is {text} without a unit, which is a writer's default or not in mm")
    mm = tuple(float(f"{size * factor:.9g}") for size in sizes)
    if mm == (1.0, 1.0, 1.0) and unit is not None and factor == 1.0:
        return Spacing(None, f"{where} is exactly 1 mm in all axes, which is a writer's default")
    low, high = VOXEL_SIZE_RANGE_MM
    if not all(low <= size <= high for size in mm):
        return Spacing(None, f"{where} is {text} {unit or 'mm'}, outside {low:g} to {high:g} mm")
    return Spacing(mm, where if unit is not None else f"{where}, taken as mm")  # type: ignore[arg-type]


def _short(unit: object) -> str:
    return "".join(char for char in str(unit)[:20] if char.isprintable())


def axes_zyx(vectors_xyz: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...] | None:
    """Directions of the array's axes (z, y, x) from three vectors for the file's axes (x, y, z).

    Returns:
        Rows of unit length, components (z, y, x); the identity where a vector is zero or not finite (the voxel
        size is unknown then too); None where the axes are not at right angles.
    """
    matrix = np.asarray(vectors_xyz, dtype=float)
    with np.errstate(all="ignore"):
        length = np.linalg.norm(matrix, axis=1)
        if matrix.shape != (3, 3) or not np.isfinite(length).all() or (length <= 0).any():
            return IDENTITY
        unit = matrix / length[:, None]
    if not np.isfinite(unit).all():
        return IDENTITY
    if np.abs(unit @ unit.T - np.eye(3)).max() > 1e-3:
        return None
    rows = unit[::-1, ::-1]
    rows = np.where(np.abs(rows - np.rint(rows)) < 1e-6, np.rint(rows), rows) + 0.0  # + 0.0: no negative zero
    return tuple(tuple(float(value) for value in row) for row in rows)


def origin_zyx(name: str, origin_xyz: Sequence[float], factor: float | None = 1.0) -> tuple[float, float, float]:
    """Position (z, y, x) [mm] of the first voxel; `InputError` naming the file where it is not finite."""
    values = [float(value) * (factor or 1.0) + 0.0 for value in origin_xyz]  # + 0.0: no negative zero
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
        raise InputError(f"{name}: origin: expected three finite numbers, got {tuple(origin_xyz)}")
    return (values[2], values[1], values[0])
