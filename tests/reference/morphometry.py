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


def intercept_lengths_by_definition(bone: np.ndarray, direction: tuple[int, int, int]) -> float:
    """Length of all lattice lines of one direction for each change of phase, in a periodic volume [voxel]."""
    changes = 0
    for voxel in np.ndindex(bone.shape):
        neighbor = tuple((a + d) % n for a, d, n in zip(voxel, direction, bone.shape, strict=True))
        changes += bone[voxel] != bone[neighbor]
    return float(np.linalg.norm(direction)) * bone.size / changes if changes else float("inf")


def bending_by_definition(bone: np.ndarray) -> float:
    """12 q / (3 + q), q the chords of one voxel for each pair of crossings along the three axes."""
    chords = crossings = 0
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        for voxel in np.argwhere(np.ones(bone.shape, bool)):
            if voxel[axis] + 2 < bone.shape[axis]:
                first, middle, last = (bool(bone[tuple(voxel + k * step)]) for k in range(3))
                crossings += (first != middle) + (middle != last)
                chords += first != middle and middle != last
    missed = 2.0 * chords / crossings if crossings else 0.0
    return 12.0 * missed / (3.0 + missed)


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
