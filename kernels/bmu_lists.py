"""The voxels that BMUs hold, listed in tiles of a few; the tiles of one BMU lie one after the other in a pool.

The deepest cavity where most bone lies around it takes five times as many voxels as a usual one. A table with room for
that in each row would mostly be empty; in a pool each BMU takes what it needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any

#: Voxels of a list that are looked at together.
TILE = 32


class Lists(NamedTuple):
    """The pool.

    Attributes:
        row: (tiles,) int32, row of the BMU to which a tile belongs; tells nothing of tiles that are not in use.
        cell: (tiles, TILE) int32, position in the BMU's window, ``z << 20 | y << 10 | x``, -1 unused.
        delta, profile: (tiles, TILE) int16 [1/256 voxel]; before, floor: (tiles, TILE) uint8; as in `cavity.Cavity`.
    """

    row: Array
    cell: Array
    delta: Array
    profile: Array
    before: Array
    floor: Array


class Columns(NamedTuple):
    """Voxels of some BMUs, (rows, entries); as in `Lists`."""

    cell: Array
    delta: Array
    profile: Array
    before: Array
    floor: Array


def empty_lists(tiles: int) -> Lists:
    """A pool without voxels."""
    shape = (tiles, TILE)
    return Lists(
        row=jnp.zeros(tiles, jnp.int32),
        cell=jnp.full(shape, -1, jnp.int32),
        delta=jnp.zeros(shape, jnp.int16),
        profile=jnp.zeros(shape, jnp.int16),
        before=jnp.zeros(shape, jnp.uint8),
        floor=jnp.zeros(shape, jnp.uint8),
    )


def lists_of(lists: Lists, first: Array, tiles: Array, width: int, wide: bool) -> Columns:
    """The lists of some BMUs, each filled up to ``width`` tiles; ``cell`` is -1 beyond its own.

    Args:
        lists: with ``width`` tiles that are not in use at its end.
        first, tiles: (rows,) int32, where each list begins, and how many tiles it has.
        width: static.
        wide: static; see `bmu_table.Plan.wide`.
    """
    nth = jnp.arange(width, dtype=jnp.int32)

    def column(values: Array) -> Array:
        if wide:
            return values.at[first[:, None] + nth].get(mode="clip")
        return jnp.stack([lax.dynamic_slice_in_dim(values, first[k], width) for k in range(first.shape[0])])

    found = [column(values) for values in lists[1:]]
    found[0] = jnp.where((nth < tiles[:, None])[..., None], found[0], -1)
    return Columns(*(values.reshape(first.shape[0], -1) for values in found))


def appended(
    lists: Lists, end: Array, rows: Array, new: Columns, mine: Array
) -> tuple[Lists, tuple[Array, Array], Array, Array]:
    """The pool with the lists of BMUs that are born.

    Args:
        lists: with one list more of unused tiles at its end than may be taken.
        end: how many tiles are in use, int32.
        rows: (n,) int32 of the BMUs.
        new: (n, entries), unused entries last.
        mine: (n,) bool, which of them are born.

    Returns:
        the pool, (first, tiles) of each list, tiles that are now in use, and (n,) voxels for which there was no room:
        all of a BMU, or none.
    """
    size, width = new.cell.shape[0], new.cell.shape[1] // TILE
    room = lists.row.shape[0] - width
    voxels = jnp.where(mine, (new.cell >= 0).sum(axis=1, dtype=jnp.int32), 0)
    need = -(-voxels // TILE)
    first = end + jnp.cumsum(need) - need
    fits = first + need <= room
    tiles = jnp.where(fits, need, 0)
    parts = (jnp.broadcast_to(rows[:, None], (size, width)), *(c.reshape(size, width, TILE) for c in new))
    if size == 1:  # all of the list, whose end the next one writes over
        at = jnp.where(fits[0], first[0], room)
        put = [lax.dynamic_update_slice_in_dim(old, part[0], at, 0) for old, part in zip(lists, parts, strict=True)]
    else:
        nth = jnp.arange(width, dtype=jnp.int32)
        to = jnp.where(nth < tiles[:, None], first[:, None] + nth, lists.row.shape[0])
        put = [old.at[to].set(part, mode="drop", unique_indices=True) for old, part in zip(lists, parts, strict=True)]
    ends = jnp.where(fits, first + need, end).max()
    return Lists(*put), (first, tiles), ends, jnp.where(fits, 0, voxels)


def on_host(lists: Lists, first: Array, tiles: Array) -> Columns:
    """The lists of BMUs as arrays of numpy, (rows, entries): as many entries as the longest of them needs."""
    first, tiles = np.asarray(first), np.asarray(tiles)
    nth = np.arange(int(tiles.max(initial=1)))
    own = nth < tiles[:, None]
    at = np.where(own, first[:, None] + nth, 0)
    found = []
    for values in lists[1:]:
        blank = -1 if values is lists.cell else 0
        taken = np.where(own[..., None], np.asarray(values)[at], np.asarray(blank, values.dtype))
        found.append(taken.reshape(len(first), -1))
    return Columns(*found)


def forward(columns: Any, kept: Array, count: Array, blank: Any, size: int) -> Any:
    """The rows of ``columns`` that are ``kept``, in their order, and ``blank`` after them.

    Args:
        columns: a tree of arrays of as many rows.
        kept: (rows,) bool. count: rows that may be kept; the work is in proportion to it.
        blank: the tree with ``size`` rows of nothing. size: static, rows that are moved at once, of which the number
            of rows is a multiple.
    """
    rows = kept.shape[0]
    place = jnp.cumsum(kept, dtype=jnp.int32)
    left = place[-1]
    number = jnp.arange(rows, dtype=jnp.int32)
    source = jnp.zeros(rows, jnp.int32).at[jnp.where(kept, place - 1, rows)].set(number, mode="drop")

    # A row only moves forward, so that rows still to be read are never written over.
    def move(k: Array, columns: Any) -> Any:
        to = k * size + jnp.arange(size, dtype=jnp.int32)
        at, used = source[to], to < left

        def one(column: Array, blank: Array) -> Array:
            moved = jnp.where(used.reshape(-1, *([1] * (column.ndim - 1))), column[at], blank)
            return lax.dynamic_update_slice_in_dim(column, moved, k * size, 0)

        return jax.tree.map(one, columns, blank)

    return lax.fori_loop(0, (count + size - 1) // size, move, columns)
