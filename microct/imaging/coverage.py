"""How much of a voxel lies on one side of a surface, which is taken as flat within it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def plane_coverage(distance: np.ndarray | float, normal: Sequence[float]) -> np.ndarray:
    """Share of a unit cube that lies where ``normal . x < distance``, exact; x from the cube's center.

    Args:
        distance: any shape [voxel].
        normal: unit vector (z, y, x).

    Source: inclusion and exclusion over the eight corners, as in Scardovelli, Zaleski 2000,
        doi:10.1006/jcph.2000.6567.
    """
    slopes = [abs(float(n)) for n in normal if abs(float(n)) > 1e-6]
    depth = np.asarray(distance) + 0.5 * sum(slopes)
    total = np.zeros_like(depth, dtype=np.float64)
    for corner in range(2 ** len(slopes)):
        chosen = [slope for bit, slope in enumerate(slopes) if corner >> bit & 1]
        total += (-1) ** len(chosen) * np.maximum(depth - sum(chosen), 0.0) ** len(slopes)
    return np.clip(total / (math.factorial(len(slopes)) * math.prod(slopes)), 0.0, 1.0)


def level_set_coverage(field: np.ndarray, gradient: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Share of each voxel where a smooth ``field`` (positive in bone) exceeds 0, its surface taken as locally flat.

    Args:
        field: (nz, ny, nx) values at the voxel centers.
        gradient: (3, nz, ny, nx) its slope along z, y, x [1/mm].
        spacing_mm: edge of a voxel [mm].
    """
    share = (field > 0).astype(np.float32)
    reach = 0.5 * spacing_mm * np.abs(gradient).sum(axis=0)
    crossed = np.abs(field) < reach
    slope = np.abs(gradient[:, crossed]) * spacing_mm
    # a slope of 0 along an axis would divide by 0; a thousandth of the whole changes nothing visible
    slope = np.maximum(slope, 1e-3 * slope.sum(axis=0))
    depth = field[crossed] + 0.5 * slope.sum(axis=0)
    total = np.zeros_like(depth, dtype=np.float64)
    for corner in range(8):
        chosen = [slope[axis].astype(np.float64) for axis in range(3) if corner >> axis & 1]
        total += (-1) ** len(chosen) * np.maximum(depth - sum(chosen), 0.0) ** 3
    share[crossed] = np.clip(total / (6.0 * np.prod(slope.astype(np.float64), axis=0)), 0.0, 1.0)
    return share
