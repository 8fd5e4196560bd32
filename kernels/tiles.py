"""Tiles of BMUs' lists: which fronts touch each few voxels of a list, so that the others are not looked at.

A BMU's voxels are listed in the order in which its front reaches them, so that at any time the front changes few tiles
of the list, those between `Tiles.low` and `Tiles.high`. The others are not looked at, unless they wait for a floor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels.bmu_table import BMUTable, Plan, chunks, put_rows
from microct.kernels.osteon import distance_from_start

Array = Any

#: Voxels of a list that are looked at together.
TILE = 32
#: A front that no BMU has.
_NEVER = 32000


class Tiles(NamedTuple):
    """What is known of each `TILE` voxels of a table's lists; nothing in it outlives a block, or changes a result.

    Attributes:
        low, high: (rows, tiles) int16 [1/4096], fronts between which its voxels change; low > high where unused.
        waiting: (rows, tiles) bool, some voxel may not be what the front asks for.
        planned: (chunks of tiles, TILE) int16, room for what a step decides.
        near, far: (rows, tiles) int16 [voxel], least and largest distance from the start of a tunnel; None for BMUs of
            surface.
    """

    low: Array
    high: Array
    waiting: Array
    planned: Array
    near: Array | None = None
    far: Array | None = None


def tiles_of(table: BMUTable, count: Array, plan: Plan, tunnels: bool) -> Tiles:
    """Tiles of the first ``count`` rows, each still to be looked at; ``tunnels`` (static): they are such."""
    rows, entries = table.cell.shape
    shape = (rows, entries // TILE)
    room = -(-rows * shape[1] // plan.tile_chunk) * plan.tile_chunk
    blank = jnp.full(shape, _NEVER, jnp.int16), jnp.full(shape, -_NEVER, jnp.int16)
    ways = (jnp.zeros(shape, jnp.int16), jnp.zeros(shape, jnp.int16)) if tunnels else (None, None)
    tiles = Tiles(*blank, jnp.zeros(shape, bool), jnp.zeros((room, TILE), jnp.int16), *ways)
    tiles = with_rows(tiles, table, jnp.int32(0), count, plan)
    return tiles._replace(waiting=tiles.low <= tiles.high)


def with_rows(tiles: Tiles, table: BMUTable, first: Array, end: Array, plan: Plan) -> Tiles:
    """The tiles, with those of the rows from ``first`` to before ``end`` worked out from the table."""
    rows = table.live.shape[0]
    size = min(plan.row_chunk, rows)
    columns = (table.cell, table.delta, table.profile, table.kind)

    def some(start: Array, tiles: Tiles) -> Tiles:
        start = jnp.minimum(first + start, rows - size)
        cell, delta, profile, kind = (jax.lax.dynamic_slice_in_dim(column, start, size) for column in columns)
        low, high = _bounds(cell, delta, profile)
        tiles = tiles._replace(low=put_rows(tiles.low, low, start), high=put_rows(tiles.high, high, start))
        if tiles.near is None:
            return tiles
        way = distance_from_start(cell, kind[:, None], plan).reshape(size, -1, TILE)
        used = (cell >= 0).reshape(way.shape)
        near, far = jnp.where(used, way, _NEVER).min(axis=2), jnp.where(used, way, -1).max(axis=2)
        near, far = near.astype(jnp.int16), far.astype(jnp.int16)
        return tiles._replace(near=put_rows(tiles.near, near, start), far=put_rows(tiles.far, far, start))

    return chunks(end - first, size, some, tiles)


def _bounds(cell: Array, delta: Array, profile: Array) -> tuple[Array, Array]:
    """(low, high) of tiles, wide enough for the rounding of `cavity.bone_at`."""
    used = cell >= 0
    scale = cav.FRONT / jnp.maximum(profile, 1).astype(jnp.float32)
    depth = delta.astype(jnp.float32)
    low = jnp.clip(jnp.floor((depth - cav.SUB // 2) * scale) - 2.0, 1.0 - _NEVER, _NEVER - 1.0)
    # What lies above the surface goes as soon as the front moves down at all.
    high = jnp.clip(jnp.ceil(jnp.maximum(depth + cav.SUB // 2, 1.0) * scale) + 2.0, 1.0 - _NEVER, _NEVER - 1.0)
    low, high = jnp.where(used, low, _NEVER), jnp.where(used, high, -_NEVER)
    shape = (*cell.shape[:-1], cell.shape[-1] // TILE, TILE)
    return low.reshape(shape).min(axis=-1).astype(jnp.int16), high.reshape(shape).max(axis=-1).astype(jnp.int16)
