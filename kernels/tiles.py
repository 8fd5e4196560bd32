"""Tiles of BMUs' lists: which fronts touch each few voxels of a list, so that the others are not looked at.

A BMU's voxels are listed in the order in which its front reaches them, so that at any time the front changes few tiles
of the list, those between `Tiles.low` and `Tiles.high`. The others are not looked at, unless they wait for a floor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels.bmu_lists import TILE
from microct.kernels.bmu_table import BMUTable, Plan, chunks, put_rows
from microct.kernels.osteon import distance_from_start

Array = Any

#: A front that no BMU has.
_NEVER = 32000


class Tiles(NamedTuple):
    """What is known of each tile of a table's lists; nothing in it outlives a block, or changes a result.

    Attributes:
        low, high: (tiles,) int16 [1/4096], fronts between which its voxels change; low > high where unused.
        waiting: (tiles,) bool, some voxel may not be what the front asks for.
        planned: (chunks of tiles, TILE) int16, room for what a step decides.
        near, far: (tiles,) int16 [voxel], least and largest distance from the start of a tunnel; None for BMUs of
            surface.
    """

    low: Array
    high: Array
    waiting: Array
    planned: Array
    near: Array | None = None
    far: Array | None = None


def tiles_of(table: BMUTable, plan: Plan, tunnels: bool) -> Tiles:
    """Tiles of all lists, each still to be looked at; ``tunnels`` (static): of such."""
    count = table.lists.row.shape[0]
    room = -(-count // plan.tile_chunk) * plan.tile_chunk
    blank = jnp.full(count, _NEVER, jnp.int16), jnp.full(count, -_NEVER, jnp.int16)
    ways = (jnp.zeros(count, jnp.int16), jnp.zeros(count, jnp.int16)) if tunnels else (None, None)
    tiles = Tiles(*blank, jnp.zeros(count, bool), jnp.zeros((room, TILE), jnp.int16), *ways)
    tiles = with_new(tiles, table, jnp.int32(0), plan)
    return tiles._replace(waiting=tiles.low <= tiles.high)


def with_new(tiles: Tiles, table: BMUTable, first: Array, plan: Plan) -> Tiles:
    """The tiles, with those from number ``first`` on, of units that were born, worked out from their lists."""
    lists, end = table.lists, table.end
    size = min(plan.tile_chunk, lists.row.shape[0])

    def some(start: Array, tiles: Tiles) -> Tiles:
        start = jnp.minimum(first + start, lists.row.shape[0] - size)
        mine = start + jnp.arange(size, dtype=jnp.int32) < end
        row, cell, delta, profile = (jax.lax.dynamic_slice_in_dim(column, start, size) for column in lists[:4])
        used = (cell >= 0) & mine[:, None]
        low, high = _bounds(used, delta, profile)
        tiles = tiles._replace(low=put_rows(tiles.low, low, start), high=put_rows(tiles.high, high, start))
        if tiles.near is None:
            return tiles
        way = distance_from_start(cell, table.kind[row][:, None], plan)
        near, far = jnp.where(used, way, _NEVER).min(axis=1), jnp.where(used, way, -1).max(axis=1)
        near, far = near.astype(jnp.int16), far.astype(jnp.int16)
        return tiles._replace(near=put_rows(tiles.near, near, start), far=put_rows(tiles.far, far, start))

    return chunks(end - first, size, some, tiles)


def _bounds(used: Array, delta: Array, profile: Array) -> tuple[Array, Array]:
    """(low, high) of tiles, wide enough for the rounding of `cavity.bone_at`."""
    scale = cav.FRONT / jnp.maximum(profile, 1).astype(jnp.float32)
    depth = delta.astype(jnp.float32)
    low = jnp.clip(jnp.floor((depth - cav.SUB // 2) * scale) - 2.0, 1.0 - _NEVER, _NEVER - 1.0)
    # What lies above the surface goes as soon as the front moves down at all.
    high = jnp.clip(jnp.ceil(jnp.maximum(depth + cav.SUB // 2, 1.0) * scale) + 2.0, 1.0 - _NEVER, _NEVER - 1.0)
    low, high = jnp.where(used, low, _NEVER), jnp.where(used, high, -_NEVER)
    return low.min(axis=1).astype(jnp.int16), high.max(axis=1).astype(jnp.int16)
