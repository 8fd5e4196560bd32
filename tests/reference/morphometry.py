"""Slow, clear definitions of the morphometric kernels, for small volumes."""

from __future__ import annotations

import numpy as np

UNREACHED = 1 << 30


def squared_distance_by_definition(mask: np.ndarray) -> np.ndarray:
    """Smallest squared distance from each voxel to any background voxel."""
    background = np.argwhere(~np.asarray(mask, bool))
    result = np.full(mask.shape, UNREACHED, np.int64)
    for voxel in np.ndindex(mask.shape):
        if len(background):
            result[voxel] = ((background - voxel) ** 2).sum(axis=1).min()
    return result


def squared_radius_by_definition(mask: np.ndarray, closed: bool) -> np.ndarray:
    """Largest squared radius of the balls of foreground, centered on voxels, that hold each foreground voxel."""
    squared = squared_distance_by_definition(mask)
    result = np.zeros(mask.shape, np.int64)
    voxels = np.argwhere(mask)
    radii = squared[tuple(voxels.T)]
    for voxel in voxels:
        apart = ((voxels - voxel) ** 2).sum(axis=1)
        holds = apart <= radii if closed else apart < radii
        result[tuple(voxel)] = radii[holds].max()
    return result
