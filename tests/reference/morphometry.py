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


#: Shares of the sphere nearest to the normals of a cubic lattice at distance 1, sqrt 2, sqrt 3 (Ohser, Muecklich 2000,
#: table 4.1, both senses).
NORMAL_SHARES = {1: 2 * 0.045778, 2: 2 * 0.036981, 3: 2 * 0.035196}


def mean_curvature_by_definition(bone: np.ndarray) -> float:
    """Crofton: 2 pi times the mean Euler number of plane sections, over all lattice planes of a periodic volume.

    A section is counted as points less edges plus faces on the plane's own lattice; on squares and rectangles the mean
    of bone joined by its sides and marrow joined by its sides is taken [voxel].
    """
    bone = np.asarray(bone, bool)
    total = 0.0
    for normal in np.ndindex(3, 3, 3):
        normal = np.array(normal) - 1
        length = int(np.abs(normal).sum())
        if tuple(normal) <= (0, 0, 0):  # one of two opposite normals
            continue
        steps = [np.array(step) - 1 for step in np.ndindex(3, 3, 3) if not (np.array(step) - 1) @ normal]
        steps = [step for step in steps if tuple(step) > (0, 0, 0)]
        if length == 3:
            euler = _triangles_euler(bone, [step for step in steps if np.abs(step).sum() == 2])
        else:
            across = sorted(steps, key=lambda step: int(np.abs(step).sum()))
            first = across[0]
            second = next(step for step in across[1:] if not step @ first)
            euler = (_squares_euler(bone, first, second) - _squares_euler(~bone, first, second)) / 2
        total += NORMAL_SHARES[length] / np.sqrt(length) * euler
    return 2 * np.pi * total


def _moved(bone: np.ndarray, *steps: np.ndarray) -> np.ndarray:
    return np.roll(bone, tuple(-sum(steps)), axis=(0, 1, 2))


def _squares_euler(bone: np.ndarray, first: np.ndarray, second: np.ndarray) -> int:
    side, ahead, corner = _moved(bone, first), _moved(bone, second), _moved(bone, first, second)
    edges = np.count_nonzero(bone & side) + np.count_nonzero(bone & ahead)
    return np.count_nonzero(bone) - edges + np.count_nonzero(bone & side & ahead & corner)


def _triangles_euler(bone: np.ndarray, sides: list[np.ndarray]) -> int:
    """``sides``: three steps, up to sign those of a triangle."""
    a, b, c = sides
    b = b if (a + b == c).all() or (a + b == -c).all() else -b
    edges = sum(np.count_nonzero(bone & _moved(bone, side)) for side in sides)
    up = bone & _moved(bone, a) & _moved(bone, a + b)
    down = bone & _moved(bone, b) & _moved(bone, a + b)
    return np.count_nonzero(bone) - edges + np.count_nonzero(up) + np.count_nonzero(down)


def smooth_surface_by_definition(bone: np.ndarray) -> tuple[float, float, float, float, np.ndarray]:
    """Area, concave area, convex and concave curvature, normals' tensor of the smoothed surface, voxel by voxel."""
    bone = np.pad(np.asarray(bone, float), 4, mode="edge")
    weights = np.array([1, 4, 6, 4, 1]) / 16
    kernel = weights[:, None, None] * weights[:, None] * weights
    smooth = np.zeros(tuple(n - 4 for n in bone.shape))
    for place in np.ndindex(smooth.shape):
        smooth[place] = (bone[tuple(slice(i, i + 5) for i in place)] * kernel).sum()
    slopes = np.stack(np.gradient(smooth))[:, 1:-1, 1:-1, 1:-1]
    size = np.sqrt((slopes**2).sum(axis=0))
    unit = slopes / np.maximum(size, 1e-6)
    curvature = -0.5 * sum(np.gradient(unit[axis], axis=axis) for axis in range(3))[1:-1, 1:-1, 1:-1]
    size, unit = size[1:-1, 1:-1, 1:-1], unit[:, 1:-1, 1:-1, 1:-1]
    out = curvature < 0
    normals = np.einsum("azyx,bzyx,zyx->ab", unit, unit, size)
    convex, concave = (size * curvature)[~out].sum(), (size * curvature)[out].sum()
    return float(size.sum()), float(size[out].sum()), float(convex), float(concave), normals
