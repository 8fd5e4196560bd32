"""Coarser cells as in `multigrid_coarsening`, where many work side by side: the same numbers, on lists of fixed size.

Lists lie on the device, filled up to sizes of which there are few, so that little is compiled; rows beyond their counts
name nobody. The host reads two counts a level. Where several entries fall to one place the largest or the smallest
stays, so that nothing depends on the order of work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.components_device import joined
from microct.kernels.elasticity import CORNERS
from microct.kernels.gathering import VALID
from microct.kernels.multigrid_coarsening import Cells
from microct.kernels.multigrid_galerkin import filled, padded

_NONE = np.int32(2**31 - 1)


@dataclass(frozen=True)
class DeviceCells:
    """The cells of one level, as `multigrid_coarsening.Cells`.

    Attributes:
        shape: cells of the full lattice along axes 0, 1, 2.
        places: (rows, 3) int32.
        nodes: (rows, 8) int32, numbers below ``points`` in every row.
        count: how many rows matter, fewer than there are.
        node_count: how many nodes there are.
        points: to what size lists of nodes are filled up, at least two more.
        at_ends: most cells at the two ends of one axis; 0 of voxels, of which nobody asks.
    """

    shape: tuple[int, int, int]
    places: jax.Array
    nodes: jax.Array
    count: int
    node_count: int
    points: int
    at_ends: int

    def on_host(self) -> Cells:
        """The same cells as arrays of numpy."""
        places, nodes = np.asarray(self.places)[: self.count], np.asarray(self.nodes)[: self.count]
        return Cells(self.shape, places, nodes, self.node_count)


@dataclass(frozen=True)
class DeviceCoarsening:
    """How the cells of one level make up the cells of the next, as `multigrid_coarsening.Coarsening`.

    Attributes:
        count: how many finer cells there are.
        parent, slot, stretched: (rows,) int32, int8, int8 of each finer cell; 0 beyond their count.
        place: (nodes,) int32 27 times the coarse cell, plus the point of it at which each finer node lies.
        row: (nodes,) int32 which row of points names it; -1 where there is no node.
        more: how many rows come after those of the coarse cells.
    """

    count: int
    parent: jax.Array
    slot: jax.Array
    stretched: jax.Array
    place: jax.Array
    row: jax.Array
    more: int

    def of_cells(self, which: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Parent, slot and stretch of some cells, on the host."""
        lists = (self.parent, self.slot, self.stretched)
        if isinstance(which, slice):
            return tuple(np.asarray(each)[which] for each in lists)  # type: ignore[return-value]
        taken = _taken(lists, jnp.asarray(padded(which, filled(len(which)))))
        return tuple(np.asarray(each)[: len(which)] for each in taken)  # type: ignore[return-value]


@jax.jit
def _taken(lists: tuple[jax.Array, ...], which: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(each.at[which].get(**VALID) for each in lists)


def on_device(voxels: Cells) -> DeviceCells:
    """Voxels on the default device."""
    rows, points = filled(voxels.count + 1), filled(voxels.node_count + 2)
    places, nodes = padded(voxels.places, rows), padded(voxels.nodes, rows, points - 1)
    return DeviceCells(
        voxels.shape, jnp.asarray(places), jnp.asarray(nodes), voxels.count, voxels.node_count, points, 0
    )


def coarsen_on_device(fine: DeviceCells, periodic: bool, whole: bool) -> tuple[DeviceCells, DeviceCoarsening]:
    """Join cells two by two by two; arguments as of `multigrid_coarsening.coarsen`."""
    shape: tuple[int, int, int] = tuple(-(-n // 2) for n in fine.shape)  # type: ignore[assignment]
    length = np.array(fine.shape, np.int32)
    lattice = filled(float(np.prod(shape))) if whole else 0
    parent, slot, stretched, found = _parents(
        fine.places, fine.nodes, np.int32(fine.count), length, np.bool_(periodic), lattice, fine.points
    )
    count = int(found)
    rows = filled(count + 1)
    places, nodes, place, row, counts = _joined_cells(
        fine.places,
        fine.nodes,
        parent,
        np.int32(fine.count),
        np.int32(fine.node_count),
        np.int32(count),
        length,
        np.bool_(periodic),
        rows,
        fine.points,
        whole,
    )
    node_count, more, at_ends = (int(n) for n in np.asarray(counts))
    coarse = DeviceCells(shape, places, nodes, count, node_count, filled(node_count + 2), at_ends)
    return coarse, DeviceCoarsening(fine.count, parent, slot, stretched, place, row, more)


def _sides(places: jax.Array, length: jax.Array, periodic: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """For each corner of each cell: bits of the axes along which the parent begins at it, and its point in the parent.

    Returns:
        (8, rows) int32, 0 to 7; (8, rows) int32, 0 to 26; and (3, rows) bool, whether a cell is stretched along it.
    """
    at = places.T
    odd_end = periodic & (length % 2 == 1)[:, None] & (at == (length - 1)[:, None])
    step = [[jnp.where(odd_end[a], 2 * o, (at[a] & 1) + o) for o in (0, 1)] for a in range(3)]
    of_corner = [[step[a][corner[a]] for a in range(3)] for corner in CORNERS]
    above = jnp.stack([4 * (z == 0) + 2 * (y == 0) + 1 * (x == 0) for z, y, x in of_corner])
    return above, jnp.stack([9 * z + 3 * y + x for z, y, x in of_corner]), odd_end


@partial(jax.jit, static_argnames=("lattice", "points"))
def _parents(
    places: jax.Array,
    nodes: jax.Array,
    count: jax.Array,
    length: jax.Array,
    periodic: jax.Array,
    lattice: int,
    points: int,
) -> tuple[jax.Array, ...]:
    """Parent, slot and stretch of each cell, and the number of parents; ``lattice``: at least their places or 0."""
    rows = len(places)
    mine = jnp.arange(rows, dtype=jnp.int32)
    real = mine < count
    above, _, odd_end = _sides(places, length, periodic)
    if lattice:
        blocks, half = places >> 1, (length + 1) // 2
        flat = (blocks[:, 0] * half[1] + blocks[:, 1]) * half[2] + blocks[:, 2]
        used = jnp.zeros(lattice, bool).at[jnp.where(real, flat, lattice)].set(True, mode="drop")
        first = flat
    else:
        here = jnp.where(real[:, None], nodes, points).T
        some = jnp.zeros((8, points), jnp.int32).at[above, here].max(mine, mode="drop")  # one cell at (side, node)
        right = jnp.where(real, some.at[above, nodes.T].get(**VALID), mine)
        first = joined(mine, jnp.broadcast_to(mine, right.shape), right)
        used = real & (first == mine)
    number = jnp.cumsum(used, dtype=jnp.int32) - 1
    parent = jnp.where(real, number.at[first].get(**VALID), 0)
    bits = jnp.array([4, 2, 1], jnp.int32)
    slot = jnp.where(real, (places & 1) @ bits, 0).astype(jnp.int8)
    stretched = jnp.where(real, bits @ odd_end.astype(jnp.int32), 0).astype(jnp.int8)
    return parent, slot, stretched, number[-1] + 1


def _directions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where two coarse cells may meet, in 13 directions.

    Returns:
        (13, 4, 2) sides of a finer node, of the lower and the upper cell; (13, 4, 2) corners that these share; and
        (13,) how many of each there are: 4, 2 or 1, the last of which is repeated.
    """
    sides, corners = [], []
    for axes in range(1, 8):  # the axes along which two neighbors differ
        for upper in (u for u in range(8) if u & ~axes == 0 and 2 * u > axes):
            kept = [s for s in range(8) if s & axes == 0]
            sides.append([(s | (axes & ~upper), s | upper) for s in kept])
            # the lower of the two meets the other with its upper corner
            corners.append([(s | upper, s | (axes & ~upper)) for s in kept])
    even = [[each + each[-1:] * (4 - len(each)) for each in table] for table in (sides, corners)]
    return np.array(even[0], np.int32), np.array(even[1], np.int32), np.array([len(each) for each in sides], np.int32)


@partial(jax.jit, static_argnames=("rows", "points", "whole"))
def _joined_cells(
    places: jax.Array,
    nodes: jax.Array,
    parent: jax.Array,
    count: jax.Array,
    node_count: jax.Array,
    coarse_count: jax.Array,
    length: jax.Array,
    periodic: jax.Array,
    rows: int,
    points: int,
    whole: bool,
) -> tuple[jax.Array, ...]:
    """Places and nodes of ``rows`` coarse cells, place and row of each finer node, and counts."""
    real = jnp.arange(len(places), dtype=jnp.int32) < count
    above, local, _ = _sides(places, length, periodic)
    here = jnp.where(real[:, None], nodes, points).T
    cell_at = jnp.full((8, points), -1, jnp.int32).at[above, here].max(parent, mode="drop")
    corners, corner_count = _corners(cell_at, coarse_count, rows, whole)
    own = jnp.where(real, parent, rows)
    coarse_places = jnp.zeros((rows, 3), jnp.int32).at[own].max(places >> 1, mode="drop")
    at = coarse_places.T
    ends = ((at == 0) | (at == (length[:, None] - 1) // 2)) & (jnp.arange(rows) < coarse_count)
    place, row, more = _points(here, parent, local, node_count, coarse_count, rows, points)
    counts = jnp.stack([corner_count, more, ends.sum(axis=1, dtype=jnp.int32).max()])
    return coarse_places, corners, place, row, counts


def _corners(cell_at: jax.Array, count: jax.Array, rows: int, whole: bool) -> tuple[jax.Array, jax.Array]:
    """(rows, 8) nodes of the coarse cells, and how many there are; ``cell_at`` (8, nodes): those around finer nodes."""
    sides, shared, number_of_sides = (jnp.asarray(table) for table in _directions())
    mine = jnp.arange(rows, dtype=jnp.int32)

    def next_neighbor(direction: jax.Array, last: jax.Array) -> jax.Array:
        """(rows,) of the neighbors of each cell in one direction the smallest that comes after ``last``."""

        def across(n: jax.Array, found: jax.Array) -> jax.Array:
            left, right = cell_at[sides[direction, n, 0]], cell_at[sides[direction, n, 1]]
            new = (left >= 0) & (right > last.at[jnp.maximum(left, 0)].get(**VALID))
            return found.at[jnp.where(new, left, rows)].min(right, mode="drop")

        return lax.fori_loop(0, number_of_sides[direction], across, jnp.full(rows, _NONE))

    def with_neighbor(direction: jax.Array, first: jax.Array, other: jax.Array) -> jax.Array:
        pairs = shared[direction]
        left = mine * 8 + pairs[:, :1]
        right = jnp.where(other == _NONE, left, other * 8 + pairs[:, 1:])
        return joined(first, left, right)

    def with_all(direction: jax.Array, first: jax.Array) -> jax.Array:
        other = next_neighbor(direction, jnp.full(rows, -1, jnp.int32))
        if whole:  # one cell at each place has one neighbor in each direction
            return with_neighbor(direction, first, other)

        def step(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            first, other = state
            return with_neighbor(direction, first, other), next_neighbor(direction, other)

        return lax.while_loop(lambda state: (state[1] != _NONE).any(), step, (first, other))[0]

    every = jnp.arange(8 * rows, dtype=jnp.int32)
    first = lax.fori_loop(0, len(sides), with_all, every)
    roots = (first == every) & (every < 8 * count)
    number = jnp.cumsum(roots, dtype=jnp.int32) - 1
    return number.at[first].get(**VALID).reshape(rows, 8), number[-1] + 1


def _points(
    here: jax.Array,
    parent: jax.Array,
    local: jax.Array,
    node_count: jax.Array,
    count: jax.Array,
    rows: int,
    points: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Place and row of each finer node as in `DeviceCoarsening`, and how many rows come after the first ``count``."""
    name = jnp.arange(points, dtype=jnp.int32)
    entries = jnp.arange(here.size, dtype=jnp.int32).reshape(here.shape)
    last = jnp.zeros(points, jnp.int32).at[here].max(entries, mode="drop")  # of the entries that name a node
    cell = parent.at[last % here.shape[1]].get(**VALID)
    place = 27 * cell + local.reshape(-1).at[last].get(**VALID)
    mine = jnp.arange(rows, dtype=jnp.int32)

    def goes_on(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return state[2] | ((name < node_count) & (state[0] < 0)).any()

    def one_row_each(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        row, base, begins = state
        left = (name < node_count) & (row < 0)
        asked = (begins & (mine < count)) | jnp.zeros(rows, bool).at[jnp.where(left, cell, rows)].set(True, mode="drop")
        number = jnp.cumsum(asked, dtype=jnp.int32) - 1
        winner = jnp.full(27 * rows, -1, jnp.int32).at[jnp.where(left, place, 27 * rows)].max(name, mode="drop")
        won = left & (winner.at[place].get(**VALID) == name)
        row = jnp.where(won, base + number.at[cell].get(**VALID), row)
        return row, base + number[-1] + 1, jnp.bool_(False)

    begin = (jnp.full(points, -1, jnp.int32), jnp.int32(0), jnp.bool_(True))
    row, total, _ = lax.while_loop(goes_on, one_row_each, begin)
    return place, row, total - count
