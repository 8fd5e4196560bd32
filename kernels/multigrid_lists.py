"""Lists of levels, filled up to given sizes, from cells in arrays of numpy; `multigrid_lists_device` makes the same of
cells that lie on a device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from microct.kernels.multigrid_coarsening import Cells, Coarsening
from microct.kernels.multigrid_exceptions import OddVoxels
from microct.kernels.multigrid_galerkin import filled, padded


def nodes_of(cells: Cells, rows: int, nobody: int) -> np.ndarray:
    """(rows, 8) int32 nodes of the cells, and ``nobody`` after them."""
    return padded(cells.nodes, rows, nobody)


def moduli_of_children(step: Coarsening, modulus: np.ndarray, rows: int) -> np.ndarray:
    """(rows, 8) float32 moduli of the voxels of each cell of the second level, from those of all voxels."""
    moduli = np.zeros((rows, 8), np.float32)
    moduli[step.parent, step.slot] = modulus
    return moduli


def moduli_of_grandchildren(steps: tuple[Any, ...], modulus: np.ndarray, rows: int) -> np.ndarray:
    """(rows, 64) float32 moduli of the voxels of each cell of the third level; slot of the child counts more slowly."""
    one, two = steps[0], steps[1]
    moduli = np.zeros((rows, 64), np.float32)
    moduli[two.parent[one.parent], one.slot.astype(np.int16) * 8 + two.slot[one.parent]] = modulus
    return moduli


def points_of(step: Coarsening, count: int, finer_nodes: int, rows: int, more_rows: int) -> dict[str, Any]:
    """The fields of a level of ``count`` cells that say where these lie on the finer one.

    Args:
        step: from the finer level to this.
        count: cells of this level.
        finer_nodes: size of lists of nodes of the finer level; the last of them is nobody's.
        rows: size of lists of cells.
        more_rows: size of lists of further points, at least.
    """
    named = np.where(step.points < 0, np.int32(finer_nodes - 1), step.points)
    more = len(named) - count
    more_rows = max(more_rows, filled(more))
    cells = step.owner[count:]
    # rows come round by round, and the cells of a round ascend
    rounds = np.cumsum(np.r_[False, cells[1:] <= cells[:-1]][:more]).astype(np.int8)
    return {
        "points": padded(named[:count], rows, finer_nodes - 1),
        "more_count": np.int32(more),
        "more_points": padded(named[count:], more_rows, finer_nodes - 1),
        "more_cells": padded(cells, more_rows),
        "more_round": padded(rounds, more_rows),
    }


def odd_voxels(voxels: Cells, modulus: np.ndarray, steps: tuple[Any, ...], free: np.ndarray) -> OddVoxels:
    """Voxels at held nodes, and such as are stretched or have a parent that is.

    Args:
        voxels: of the bone.
        modulus: (voxels,) float32.
        steps: to every next level, at least one.
        free: (at least all nodes, 3) bool, displacement that is not given.
    """
    first = steps[0]
    different = first.stretched != 0
    if len(steps) > 1:
        different |= (steps[1].stretched != 0)[first.parent]
    held = np.logical_not(free.all(axis=1))
    for corner in range(8):
        different |= held[voxels.nodes[:, corner]]
    which = np.flatnonzero(different)
    return OddVoxels(voxels.nodes[which], modulus[which], *first.of_cells(which))
