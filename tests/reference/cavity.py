"""Slow, clear definition of the cavity that one BMU carves, by brute force over voxels and in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from reference.remodeling import BONE, FACES, area, beside, gradient, open_faces


@dataclass(frozen=True)
class Patch:
    """Surface that a BMU takes; arrays over its voxels, in raster order.

    Attributes:
        voxels: (n, 3) surface voxels.
        share: (n,) squared distance from the middle along the surface, 1 at the rim.
        depth: (n,) depth of the voxel's centre below the surface [voxel].
        way: (n, 3) direction into bone, to the nearest of the 26 neighbors.
        area: [voxel faces].
    """

    voxels: np.ndarray
    share: np.ndarray
    depth: np.ndarray
    way: np.ndarray
    area: float


def depth_of_center(fraction: np.ndarray, voxel: tuple[int, ...], normal: np.ndarray, ways: list) -> float:
    """Depth of a surface voxel's centre [voxel], 0 to 1.5.

    Across the steepest open face the voxel and the one above it hold so much bone; where that bone ends is the
    surface, and its distance from the centre is foreshortened by the surface's tilt.
    """
    tilts = [-normal[axis] * sign for axis, sign in ways]
    steepest = int(np.argmax(tilts))
    column = (int(fraction[voxel]) + int(fraction[beside(voxel, *ways[steepest])])) / 255
    return min(max(max(tilts[steepest], 0.5) * (column - 0.5), 0.0), 1.5)


def nearest_direction(slope: np.ndarray) -> tuple[int, ...]:
    """Of each axis the sign, or 0 where the component is below tan(22.5 degrees) of the largest."""
    limit = 0.41421357 * np.abs(slope).max()
    return tuple(int(np.sign(s)) if abs(s) > limit else 0 for s in slope)


def patch_around(
    fraction: np.ndarray, owned: np.ndarray, origin: tuple[int, int, int], footprint: float
) -> Patch | None:
    """Connected surface around the voxel nearest to ``origin``, nearest first, until it measures ``footprint``.

    Distance along the surface is the chord, lengthened by the turn t = (1 - cos) / 2 of the normal by
    1 + t / 6 + 0.075 t^2: the arc of a circle. Surface that faces the other way is not part of it.
    """
    surface = {v: ways for v in np.ndindex(*fraction.shape) if (ways := open_faces(fraction, owned, v))}
    if not surface:
        return None
    seed = min(surface, key=lambda v: (sum((a - b) ** 2 for a, b in zip(v, origin, strict=True)), v))
    slopes = {voxel: np.array(gradient(fraction, voxel), float) for voxel in surface}
    normals = {voxel: slope / (np.linalg.norm(slope) + 1e-3) for voxel, slope in slopes.items()}
    facing = {voxel: float(normal @ normals[seed]) for voxel, normal in normals.items()}
    reached, front = {seed}, [seed]
    while front:
        middle = front.pop()
        near = [tuple(np.add(middle, way) - 1) for way in np.ndindex(3, 3, 3)]
        new = [v for v in near if v in surface and v not in reached and facing[v] > -0.2]
        reached.update(new)
        front.extend(new)
    arc = {}
    for voxel in sorted(reached):
        turn = min(max((1.0 - facing[voxel]) / 2.0, 0.0), 0.7)
        chord = np.linalg.norm(np.subtract(voxel, seed))
        arc[voxel] = round(float(chord * (1.0 + turn / 6.0 + 0.075 * turn**2)) * 64)
    areas, wanted = {v: area(fraction, owned, v) for v in arc}, round(footprint * 64)
    taken, radius = 0, 0
    for radius in sorted(set(arc.values())):
        taken = sum(areas[v] for v in arc if arc[v] <= radius)
        if taken >= wanted:
            break
    voxels = [v for v in arc if arc[v] <= radius]
    edge = radius + 1 if taken >= wanted else radius + 32
    return Patch(
        np.array(voxels),
        np.array([min((arc[v] / edge) ** 2, 1.0) for v in voxels]),
        np.array([depth_of_center(fraction, v, normals[v], surface[v]) for v in voxels]),
        np.array([nearest_direction(slopes[v]) for v in voxels]),
        min(taken, wanted) / 64,
    )


def beneath(patch: Patch, open_bone: np.ndarray) -> np.ndarray:
    """Voxels of ``open_bone`` that a walk over faces from the patch can reach; bool of the same shape."""
    reached = np.zeros(open_bone.shape, bool)
    front = [tuple(int(i) for i in v) for v in patch.voxels if open_bone[tuple(v)]]
    for voxel in front:
        reached[voxel] = True
    while front:
        voxel = front.pop()
        for axis, sign in FACES:
            other = beside(voxel, axis, sign)
            inside = all(0 <= v < n for v, n in zip(other, open_bone.shape, strict=True))
            if inside and open_bone[other] and not reached[other]:
                reached[other] = True
                front.append(other)
    return reached


@dataclass(frozen=True)
class Column:
    """What one voxel may be told by its nearest patch voxels (several, where they are equally near).

    Attributes:
        squared: squared distance to them [voxel^2].
        choices: (depth of the voxel's centre, depth of the profile in its column [voxel], whether it lies beneath).
    """

    squared: int
    choices: tuple[tuple[float, float, bool], ...]


def columns(fraction: np.ndarray, patch: Patch, peak: float, reach: int) -> dict[tuple[int, ...], Column]:
    """For every voxel within ``reach`` of the patch: depth below it and profile peak (1 - share^3).

    Beneath the patch lies bone, and a voxel with less than half of bone whose surface faces the other way: the far
    side of something thin.
    """
    found = {}
    for voxel in np.ndindex(*fraction.shape):
        squared = ((patch.voxels - voxel) ** 2).sum(axis=1)
        if squared.min() > reach**2:
            continue
        distance, choices = float(np.sqrt(squared.min())), []
        for k in np.flatnonzero(squared == squared.min()):
            away = fraction[voxel] > 0 and float(np.dot(gradient(fraction, voxel), patch.way[k])) < 0.0
            below = bool(fraction[voxel] >= BONE or away)
            depth = patch.depth[k] + (distance if below else -distance)
            choices.append((depth, peak * (1.0 - patch.share[k] ** 3), below))
        found[voxel] = Column(int(squared.min()), tuple(choices))
    return found
