"""Coarser and coarser cells for voxels of bone, split wherever bone within a cell does not hang together.

Eight cells make one coarse cell. Struts of different trabeculae that pass through the same coarse cell must not share
its corners, or the coarse problem is far stiffer than the bone and says nothing about it. So children that share no
node become coarse cells of their own, and a corner of two neighboring coarse cells is one node only where these two
share a node of the finer level. Both questions are local, and the cost is linear in the number of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from microct.kernels.components import union
from microct.kernels.elasticity import CORNERS


@dataclass(frozen=True)
class Cells:
    """The cells of one level.

    Attributes:
        shape: cells of the full lattice along axes 0, 1, 2.
        places: (n, 3) int32 place of each cell; several cells may have one place.
        nodes: (n, 8) int32.
        node_count: how many nodes there are.
    """

    shape: tuple[int, int, int]
    places: np.ndarray
    nodes: np.ndarray
    node_count: int

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.nodes)

    def on_host(self) -> Cells:
        """The cells themselves."""
        return self

    @property
    def at_ends(self) -> int:
        """Most cells at the two ends of one axis."""
        ends = [(self.places[:, a] == 0) | (self.places[:, a] == self.shape[a] - 1) for a in range(3)]
        return max(int(end.sum()) for end in ends)


@dataclass(frozen=True)
class Coarsening:
    """How the cells of one level make up the cells of the next.

    Attributes:
        parent: (n,) int32 coarse cell of each cell.
        slot: (n,) int8 which eighth of its parent's place a cell takes, bits as in `CORNERS`.
        stretched: (n,) int8 bits of the axes along which the cell takes its parent's whole place.
        points: (rows, 27) int32 nodes of the finer level at the corners, edges, faces and center of a coarse cell, each
            node named once; -1 elsewhere. The first rows are the coarse cells in order; since a coarse cell may hold
            several nodes at one point (of struts that part below), some cells have further rows after those.
        owner: (rows,) int32 coarse cell of each row.
    """

    parent: np.ndarray
    slot: np.ndarray
    stretched: np.ndarray
    points: np.ndarray
    owner: np.ndarray

    @property
    def more(self) -> int:
        """How many rows come after those of the coarse cells."""
        return len(self.owner) - int(self.parent.max(initial=-1)) - 1

    def of_cells(self, which: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Parent, slot and stretch of some cells."""
        return self.parent[which], self.slot[which], self.stretched[which]


def coarsen(fine: Cells, periodic: bool, whole: bool, split: bool = True) -> tuple[Cells, Coarsening]:
    """Join cells two by two by two.

    Args:
        fine: the finer level.
        periodic: opposite faces are one; an odd last layer then takes its parents' whole place, so that the faces
            meet on every level.
        whole: no place has two cells (true of voxels); children of one place then always share its central node.
        split: False glues everything at one place together, to show what that costs.
    """
    shape: tuple[int, int, int] = tuple(-(-n // 2) for n in fine.shape)  # type: ignore[assignment]
    parity = fine.places & 1
    stretched = np.zeros(len(fine.places), np.int8)
    above = np.zeros((8, len(fine.places)), np.int8)  # whether the parent begins at the node, as bits of the axes
    local = np.zeros((8, len(fine.places)), np.int8)  # place of the node within the parent, 0 to 26
    for axis in range(3):
        odd_end = np.zeros(len(fine.places), bool)
        if periodic and fine.shape[axis] % 2:
            odd_end = fine.places[:, axis] == fine.shape[axis] - 1
            stretched |= (odd_end << (2 - axis)).astype(np.int8)
        for offset in (0, 1):
            step = np.where(odd_end, 2 * offset, parity[:, axis] + offset).astype(np.int8)
            for k in np.flatnonzero(CORNERS[:, axis] == offset):
                above[k] |= (step == 0).astype(np.int8) << (2 - axis)
                local[k] = 3 * local[k] + step
    slot = (parity @ np.array([4, 2, 1])).astype(np.int8)
    number = np.int32 if 8 * fine.node_count < 2**31 else np.int64
    keys = [above[k].astype(number) * number(fine.node_count) + fine.nodes[:, k] for k in range(8)]
    parent, places = _parents(fine, keys, shape, whole or not split)
    nodes, node_count = _corners(parent, places, keys, fine.node_count, shape if not split else None)
    points, owner = _points(parent, local, fine, len(places))
    return Cells(shape, places, nodes, node_count), Coarsening(parent, slot, stretched, points, owner)


def _points(parent: np.ndarray, local: np.ndarray, fine: Cells, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 27 points in which every node of the finer level is named once, and the coarse cell of each row."""
    place = np.full(fine.node_count, -1, np.int64)
    for k in range(8):
        place[fine.nodes[:, k]] = parent.astype(np.int64) * 27 + local[k]
    left = np.flatnonzero(place >= 0).astype(np.int32)
    cells = np.arange(count, dtype=np.int32)
    rows: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    while len(left) or not rows:
        row_of = np.empty(count, np.int64)
        row_of[cells] = np.arange(len(cells))
        at = row_of[place[left] // 27] * 27 + place[left] % 27
        points = np.full(len(cells) * 27, -1, np.int32)
        points[at] = left
        rows.append(points.reshape(-1, 27))
        owners.append(cells)
        left = left[points[at] != left]
        cells = np.unique(place[left] // 27).astype(np.int32)
    return np.concatenate(rows), np.concatenate(owners)


def _parents(
    fine: Cells, keys: list[np.ndarray], shape: tuple[int, int, int], whole: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The coarse cell of each cell, and the places of the coarse cells."""
    blocks = fine.places >> 1
    if whole:
        flat = (blocks[:, 0].astype(np.int64) * shape[1] + blocks[:, 1]) * shape[2] + blocks[:, 2]
        used = np.zeros(int(np.prod(shape)), bool)
        used[flat] = True
        number = np.cumsum(used, dtype=np.int32) - 1
        places = np.stack(np.unravel_index(np.flatnonzero(used), shape), axis=1).astype(np.int32)
        return number[flat], places
    count = len(blocks)
    mine = np.arange(count, dtype=np.int32)
    some = np.empty(8 * fine.node_count, np.int32)  # one cell of each (node, place)
    for key in keys:
        some[key] = mine
    left = np.concatenate([mine] * 8)
    right = np.concatenate([some[key] for key in keys])
    first = union(count, left, right)
    roots = first == mine
    return (np.cumsum(roots, dtype=np.int32) - 1)[first], blocks[roots]


def _corners(
    parent: np.ndarray,
    places: np.ndarray,
    keys: list[np.ndarray],
    fine_nodes: int,
    glued: tuple[int, int, int] | None,
) -> tuple[np.ndarray, int]:
    """Nodes of the coarse cells: corners of neighbors are one where the neighbors share a node of the finer level."""
    count = len(places)
    if glued is not None:
        lattice = np.array(glued) + 1
        corners = places[:, None, :] + CORNERS
        flat = (corners[..., 0] * lattice[1] + corners[..., 1]) * lattice[2] + corners[..., 2]
        _, nodes = np.unique(flat, return_inverse=True)
        return nodes.reshape(-1, 8).astype(np.int32), int(nodes.max()) + 1
    cell_at = np.full((8, fine_nodes), -1, np.int32)  # the coarse cell on each side of each finer node
    for key in keys:
        cell_at.reshape(-1)[key] = parent
    lefts, rights = [], []
    for axes in range(1, 8):  # the axes along which two neighbors differ
        shifted = [a for a in range(3) if axes >> (2 - a) & 1]
        kept = [a for a in range(3) if a not in shifted]
        top = 1 << (2 - shifted[0])
        for upper in (u for u in range(8) if u & ~axes == 0 and u & top):
            pairs = _neighbors(cell_at, [(s | (axes & ~upper), s | upper) for s in range(8) if s & axes == 0], count)
            for free in product((0, 1), repeat=len(kept)):
                left = right = 0
                for axis, offset in zip(kept, free, strict=True):
                    left |= offset << (2 - axis)
                    right |= offset << (2 - axis)
                # the lower of the two meets the other with its upper corner
                left |= axes & upper
                right |= axes & ~upper
                lefts.append(pairs[0] * 8 + left)
                rights.append(pairs[1] * 8 + right)
    first = union(8 * count, np.concatenate(lefts), np.concatenate(rights))
    roots = first == np.arange(8 * count, dtype=np.int32)
    return (np.cumsum(roots, dtype=np.int32) - 1)[first].reshape(-1, 8), int(roots.sum())


def _neighbors(cell_at: np.ndarray, sides: list[tuple[int, int]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of coarse cells that share a finer node across the given sides of it, each once."""
    lefts, rights = [], []
    for low, high in sides:
        both = np.flatnonzero((cell_at[low] >= 0) & (cell_at[high] >= 0))
        lefts.append(cell_at[low][both])
        rights.append(cell_at[high][both])
    left, right = np.concatenate(lefts), np.concatenate(rights)
    slot = np.empty(count, np.int32)
    out_left, out_right = [], []
    while len(left):  # a cell has few neighbors at one side: each round takes one of them
        slot.fill(-1)
        slot[left] = right
        taken = np.flatnonzero(slot >= 0).astype(np.int32)
        out_left.append(taken)
        out_right.append(slot[taken])
        rest = slot[left] != right
        left, right = left[rest], right[rest]
    nothing = np.zeros(0, np.int32)
    return np.concatenate([nothing, *out_left]), np.concatenate([nothing, *out_right])
