"""Slow, clear definition of the tunnel that an osteonal BMU cuts, voxel by voxel in Python's integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

FRONT = 4096
ENDOCORTICAL, INTRACORTICAL, OSTEONAL, BACKWARD = 1, 2, 8, 16
RINGS = 16


@dataclass(frozen=True)
class Voxel:
    """A voxel of a tunnel: its distance from the start along the axis [voxel], from the middle [1/256 voxel], and the
    direction outward (26 neighbors).
    """

    place: tuple[int, int, int]
    gone: int
    distance: int
    outward: tuple[int, ...]


def corner(position: tuple[int, ...], salt: int, shape: tuple[int, ...], window: tuple[int, ...], axis: int) -> list:
    """The window lies ahead of the birth along the axis, around it across, and inside the volume."""
    first = [p - w // 2 for p, w in zip(position, window, strict=True)]
    first[axis] = position[axis] - (window[axis] - 1 if salt & 1 else 0)
    return [min(max(c, 0), n - w) for c, n, w in zip(first, shape, window, strict=True)]


def into_bone(gradient: tuple[int, ...], kind: int, axis: int) -> list[int]:
    """The direction of Sobel's gradient across the axis, in 1/256; 0 but on the endocortical surface."""
    if kind != ENDOCORTICAL:
        return [0, 0, 0]
    slope = [0 if k == axis else g for k, g in enumerate(gradient)]
    length = max(np.sqrt(np.float32(sum(g * g for g in slope))), np.float32(1.0))
    return [int(np.round(np.float32(256 * g) / length)) for g in slope]


def nearest(way: list[int]) -> tuple[int, ...]:
    """Of each axis the sign, or 0 where the component is below tan(22.5 degrees) of the largest."""
    limit = np.float32(0.41421357) * np.float32(max(map(abs, way)))
    return tuple(int(np.sign(c)) if abs(c) > limit else 0 for c in way)


def tunnel(
    inside: np.ndarray, start: list[int], backward: bool, inward: list[int], radius: float, cones: object, axis: int
) -> list[Voxel]:
    """All voxels that the tunnel touches, in the order of its list."""
    profile = min(max(int(np.round(np.float32(radius) * 256)), 1), 30 * 256)
    found = []
    for place in product(*map(range, inside.shape)):
        gone = inside.shape[axis] - 1 - place[axis] if backward else place[axis]
        depth = min(gone * int(cones.dive), int(cones.deepest))  # type: ignore[attr-defined]
        away = [
            0 if k == axis else (p - s) * 256 - math.floor(depth * i / 256)
            for k, (p, s, i) in enumerate(zip(place, start, inward, strict=True))
        ]
        distance = int(np.round(np.sqrt(np.float32(sum(a * a for a in away)))))
        if inside[place] and distance - 128 < profile:
            found.append(Voxel(place, gone, distance, nearest(away)))
    ring = {v: min(v.distance * RINGS // (profile + 256), RINGS - 1) for v in found}
    return sorted(found, key=lambda v: (v.gone, ring[v], v.place))


def canal(wall: float, wall_share: float, radius: float, end: int) -> int:
    """Where the front of the refill stops: at the radius that the wall leaves, 5 % of the cement line's at least."""
    f32 = np.float32
    left = f32(1.0) - f32(wall) * f32(wall_share) / np.maximum(f32(radius), f32(1e-6))
    return min(int(np.round(f32(FRONT) * np.clip(left, f32(0.05), f32(1.0)))), end)


def front(time: int, schedule: object, end: int, stop: int) -> tuple[int, bool]:
    """(where the front of a slice stands, whether it refills) at an age of ``time`` [1/4096 step]; linear between
    steps.
    """
    ages = len(schedule.erosion)  # type: ignore[attr-defined]
    time = min(max(time, 0), (ages - 1) * 4096)
    age, part = divmod(time, 4096)
    after = min(age + 1, ages - 1)
    down, up = (
        int(one[age]) + (int(one[after]) - int(one[age])) * part // 4096
        for one in (schedule.erosion, schedule.refill)  # type: ignore[attr-defined]
    )
    if age >= int(schedule.refill_start):  # type: ignore[attr-defined]
        return end + (stop - end) * up // FRONT, True
    return end * down // FRONT, False


def listed(voxels: list[Voxel]) -> list[tuple[int, int, int]]:
    """(cell, distance, floor) as the table packs them."""
    return [
        (
            v.place[0] << 20 | v.place[1] << 10 | v.place[2],
            v.distance,
            sum((d + 1) << b for d, b in zip(v.outward, (4, 2, 0), strict=True)),
        )
        for v in voxels
    ]
