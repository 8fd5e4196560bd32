"""The tunnel that one osteonal BMU opens along an axis, and closes concentrically to a canal.

The same three integers as a cavity's tell when a voxel goes and comes back: its distance from the axis, the tunnel's
radius, and full bone, because what lies within the cement line is filled from there inward whether bone or an older
canal stood in it. The tunnel opens over its whole length at once, as a trabecular BMU does over its patch.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels import window as w

Array = Any


def tunnel(inside: Array, origin: Array, radius: Array, area: Array, axis: int, geometry: cav.Geometry) -> cav.Cavity:
    """Work out the tunnel of an osteonal BMU around ``origin``, as long as the window.

    Args:
        inside: (window) bool, voxels of the cortex that no other BMU holds.
        origin: (3,) int32 position in the window.
        radius: of the cement line [voxels].
        area: surface of the canal that it leaves [voxel faces].
        axis: static, 0 to 2, along which it runs.
        geometry: static sizes.

    Returns:
        its voxels in the order in which the front reaches them; the floor of each lies outward.
    """
    offsets = [jnp.arange(n, dtype=jnp.int32) - origin[k] for k, n in enumerate(geometry.window)]
    grid = jnp.meshgrid(*offsets, indexing="ij")
    across = [jnp.zeros_like(part) if k == axis else part for k, part in enumerate(grid)]
    squared = across[0] * across[0] + across[1] * across[1] + across[2] * across[2]
    distance = jnp.round(jnp.sqrt(squared.astype(jnp.float32)) * cav.SUB).astype(jnp.int32)
    profile = jnp.clip(jnp.round(radius * cav.SUB), 1, 30 * cav.SUB).astype(jnp.int32)
    members = w.Ranked.of(inside & (distance - cav.SUB // 2 < profile))
    code = w.direction_code(*(part.astype(jnp.float32) for part in across))

    nth = jnp.arange(geometry.entries, dtype=jnp.int32)
    valid = nth < members.count
    profiles = jnp.full(geometry.entries, profile, jnp.int32)
    place = members.place(nth)
    full = jnp.broadcast_to(profile, distance.shape).ravel()
    place = cav.in_order_of_front(place, valid, distance.ravel(), full)
    _, ny, nx = geometry.window
    at = (place // (ny * nx)) << 20 | (place // nx % ny) << 10 | place % nx
    return cav.Cavity(
        jnp.where(valid, at, -1),
        jnp.clip(distance.ravel()[place], 0, 32000).astype(jnp.int16),
        profiles.astype(jnp.int16),
        jnp.full(geometry.entries, cav.FULL, jnp.uint8),
        jnp.asarray(w.PACKED_DIRECTIONS)[code.ravel()[place]].astype(jnp.uint8),
        jnp.where(members.count > 0, cav.FRONT, 0).astype(jnp.int32),
        area,
        jnp.maximum(members.count - geometry.entries, 0),
    )
