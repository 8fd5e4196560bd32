"""The tunnel that one osteonal BMU cuts along an axis, and closes concentrically to a canal behind its tip.

Its tip starts at one end of the window and travels to the other; each voxel has its own time, later by its distance
from the start. There the same three integers as a cavity's tell when it goes and comes back: its distance from the
tunnel's middle, the tunnel's radius, and full bone, because what lies within the cement line is filled from there
inward, whether bone or an older canal stood in it. At any moment a tunnel thus has a cutting cone, a stretch at its
full width, and a closing cone. One that starts from the endocortical surface dives into the cortex on its way.

All of it is in integers: distances in 1/256 of a voxel, times in 1/4096 of a step.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels import window as w
from microct.kernels.bmu_table import BACKWARD, ENDOCORTICAL, INTRACORTICAL, Cones, Plan

Array = Any

#: Bins of distance from the middle by which a slice of a tunnel is listed.
_RINGS = 16


class Course(NamedTuple):
    """The way of one tunnel.

    Attributes:
        start: (3,) int32, position in the window of its middle at the start; along the axis that of the birth.
        backward: bool, whether it travels toward lower coordinates.
        inward: (3,) int32 [1/256], unit vector into the cortex, across the axis; 0 for one that stays in its canal.
    """

    start: Array
    backward: Array
    inward: Array


def corners(position: Array, salt: Array, shape: tuple[int, ...], plan: Plan) -> Array:
    """First voxels of the windows of tunnels born at ``position`` (n, 3): ahead of it along the axis as they travel, or
    the last that the volume has.
    """
    assert plan.tunnel is not None
    window = jnp.asarray(plan.tunnel.window, jnp.int32)
    corner = position - window // 2
    length = plan.tunnel.window[plan.axis]
    along = position[:, plan.axis] - jnp.where(travels_backward(salt), length - 1, 0)
    corner = corner.at[:, plan.axis].set(along)
    return jnp.clip(corner, 0, jnp.asarray(shape, jnp.int32) - window)


def travels_backward(salt: Array) -> Array:
    """Whether a tunnel travels toward lower coordinates: half of them do."""
    return (salt & jnp.uint32(1)) != 0


def inward(fraction: Array, position: Array, kind: Array, axis: int) -> Array:
    """(3,) int32 [1/256]: where bone lies from a place on the endocortical surface, across the axis; else 0."""
    last = jnp.asarray(fraction.shape, jnp.int32) - 1
    slope = [jnp.int32(0)] * 3
    for offset in product((-1, 0, 1), repeat=3):
        value = fraction[tuple(jnp.clip(position + jnp.asarray(offset, jnp.int32), 0, last))].astype(jnp.int32)
        for k in range(3):
            weight = offset[k] * 2 ** sum(offset[other] == 0 for other in range(3) if other != k)
            slope[k] = slope[k] + weight * value if k != axis and weight else slope[k]
    across = jnp.stack(slope)
    length = jnp.sqrt(jnp.sum(across * across).astype(jnp.float32))
    unit = jnp.round((across * cav.SUB).astype(jnp.float32) / jnp.maximum(length, 1.0)).astype(jnp.int32)
    return jnp.where(kind == ENDOCORTICAL, unit, 0)


def tunnel(inside: Array, course: Course, radius: Array, area: Array, cones: Cones, plan: Plan) -> cav.Cavity:
    """Work out the tunnel of an osteonal BMU, as long as the window.

    Args:
        inside: (window) bool, voxels of the cortex that no other BMU holds.
        course: its way.
        radius: of the cement line [voxels].
        area: surface of the canal that it leaves [voxel faces].
        cones: how tunnels go; plan: static sizes.

    Returns:
        its voxels, slice by slice as the tip reaches them, from the middle outward; the floor of each lies outward.
    """
    assert plan.tunnel is not None
    geometry, axis = plan.tunnel, plan.axis
    grid = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.int32) for n in geometry.window), indexing="ij")
    gone = travelled(grid[axis], course.backward, plan)
    depth = jnp.minimum(gone * cones.dive, cones.deepest)
    across = [
        jnp.zeros_like(part) if k == axis else (part - course.start[k]) * cav.SUB - ((depth * course.inward[k]) >> 8)
        for k, part in enumerate(grid)
    ]
    squared = across[0] * across[0] + across[1] * across[1] + across[2] * across[2]
    distance = jnp.round(jnp.sqrt(squared.astype(jnp.float32))).astype(jnp.int32)
    profile = jnp.clip(jnp.round(radius * cav.SUB), 1, cav.DEEPEST_VOXEL * cav.SUB).astype(jnp.int32)
    members = w.Ranked.of(inside & (distance - cav.SUB // 2 < profile))
    code = w.direction_code(*(part.astype(jnp.float32) for part in across))

    nth = jnp.arange(geometry.entries, dtype=jnp.int32)
    valid = nth < members.count
    place = members.place(nth)
    ring = jnp.minimum(distance * _RINGS // (profile + cav.SUB), _RINGS - 1)
    place = cav.sorted_by((gone * _RINGS + ring).ravel()[place], place, valid)
    _, ny, nx = geometry.window
    at = (place // (ny * nx)) << 20 | (place // nx % ny) << 10 | place % nx
    return cav.Cavity(
        jnp.where(valid, at, -1),
        jnp.clip(distance.ravel()[place], 0, 32000).astype(jnp.int16),
        jnp.full(geometry.entries, profile, jnp.int32).astype(jnp.int16),
        jnp.full(geometry.entries, cav.FULL, jnp.uint8),
        code.ravel()[place].astype(jnp.uint8),
        jnp.where(members.count > 0, cav.FRONT, 0).astype(jnp.int32),
        area,
        jnp.maximum(members.count - geometry.entries, 0),
    )


def travelled(along: Array, backward: Array, plan: Plan) -> Array:
    """Distance from a tunnel's start of positions ``along`` the axis of its window [voxel]."""
    assert plan.tunnel is not None
    return jnp.where(backward, plan.tunnel.window[plan.axis] - 1 - along, along)


def distance_from_start(cell: Array, kind: Array, plan: Plan) -> Array:
    """Distance from its start of each voxel ``cell`` (..., n) of tunnels of that ``kind`` (..., 1) [voxel]."""
    along = (cell >> (20, 10, 0)[plan.axis]) & 1023
    return travelled(along, (kind & BACKWARD) != 0, plan)


def in_cortex(place: Array) -> Array:
    """Voxels that a tunnel may cut, by their compartment."""
    return (place == INTRACORTICAL) | (place == ENDOCORTICAL)
