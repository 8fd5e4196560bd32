"""Levels of the multigrid preconditioner: their cells, their sizes, and all of it on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.elasticity import stiffness_matrix
from microct.kernels.elasticity_mesh import Mesh
from microct.kernels.gathering import incident, widest, width_for
from microct.kernels.multigrid_coarsening import Cells, Coarsening, coarsen
from microct.kernels.multigrid_galerkin import (
    children,
    exceptions,
    filled,
    interpolation,
    next_level,
    padded,
    second,
)
from microct.kernels.multigrid_levels import Hierarchy, Level
from microct.kernels.parities import in_parities

#: The lattice of the coarsest level has at most this many cells; its matrix is inverted as a whole.
COARSEST = 125

#: Or the cube of its degrees of freedom is at most this many times the voxels: then to invert it takes some 2 % of a
#: solve (1.1 s of 55 at 200^3), and a level less is compiled.
_INVERTED = 3000

#: Motions whose stiffness is below this share of the largest cost nothing: rigid motions, blurred by float32.
_SINGULAR = 2e-6

#: Rows of the lists of every level: see `capacity`.
Capacity = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Structure:
    """What depends on where the bone is: cells of every level, and how each comes from the one before."""

    mesh: Mesh
    cells: tuple[Cells, ...]
    steps: tuple[Coarsening, ...]


def structure(mesh: Mesh, split: bool = True) -> Structure:
    """Coarsen until what is left can be inverted as a whole."""
    cells = [Cells(mesh.shape, mesh.voxels, mesh.nodes, len(mesh.positions))]
    steps = []
    while np.prod(cells[-1].shape) > COARSEST and (3 * cells[-1].node_count) ** 3 > _INVERTED * len(mesh.voxels):
        coarse, step = coarsen(cells[-1], mesh.periodic, len(cells) == 1 or not split, split)
        cells.append(coarse)
        steps.append(step)
    return Structure(mesh, tuple(cells), tuple(steps))


def capacity(of: Structure, at_least: Capacity = (), room: float = 0.0) -> Capacity:
    """Sizes to which the lists of every level are filled up: (cells, nodes, matrices to add, further points).

    Equal capacities give equal shapes, and nothing is compiled anew.

    Args:
        of: the bone.
        at_least: a capacity to keep wherever it is enough.
        room: share by which the bone may still grow.
    """
    sizes: list[tuple[int, int, int, int]] = []
    for level, cells in enumerate(of.cells):
        # cells at two opposite faces, which a load case may hold; more of them make the list longer
        extra = cells.at_ends if level == 1 else 0
        more = of.steps[level - 1].more if level else 0
        exact = (cells.count + 1, cells.node_count + 2, extra, more)  # a row of nothing, for `gathering`
        points = 2 * more + 0.05 * cells.count if level > 1 else 0
        rows, nodes, extras = (filled(n * (1 + room)) for n in exact[:3])
        need = (rows, nodes, extras, filled(points))
        if len(at_least) == len(of.cells) and all(n <= m for n, m in zip(exact, at_least[level], strict=True)):
            need = at_least[level]
        sizes.append(need)
    return tuple(sizes)


def hierarchy(
    of: Structure,
    fixed: np.ndarray,
    poisson_ratio: float,
    sizes: Capacity | None = None,
    side_by_side: bool | None = None,
) -> Hierarchy:
    """Stiffness of every level, on the default device; `multigrid.prepared` makes it complete.

    Args:
        of: cells of every level.
        fixed: (nodes, 3) bool, displacement that is given.
        poisson_ratio: of the bone.
        sizes: from `capacity`.
        side_by_side: make what products on many workers need (`multigrid_products`); None: unless the device is a CPU.

    Returns:
        The levels, the coarsest inverted.
    """
    sizes = capacity(of) if sizes is None else sizes
    side_by_side = jax.default_backend() != "cpu" if side_by_side is None else side_by_side
    levels = [_level(of, n, sizes, fixed, side_by_side) for n in range(len(of.cells))]
    last = len(levels) - 1
    matrices: Any = None
    if last:
        extra_cells, extra = exceptions(of.mesh, of.steps, fixed, poisson_ratio, side_by_side)
        levels[1] = _with_extra(levels[1], extra_cells, extra, sizes[1][2])
    for n in range(2, len(levels)):
        if n == 2:
            matrices = second(of.mesh, of.steps, levels[1].modulus, (extra_cells, extra), poisson_ratio, sizes[n][0])
        else:
            matrices = next_level(matrices, of.steps[n - 1], sizes[n][0], side_by_side)
        levels[n] = levels[n]._replace(matrices=matrices)
    if last == 1:
        whole = np.tensordot(levels[1].modulus.astype(float), children(poisson_ratio), 1)
        whole[extra_cells] += np.asarray(extra)[: len(extra_cells)]
    elif last == 0:
        kept = (~fixed)[of.mesh.nodes].reshape(-1, 24)
        whole = of.mesh.modulus[:, None, None] * stiffness_matrix(poisson_ratio)
        whole = whole * kept[:, :, None] * kept[:, None, :]
    else:
        whole = np.asarray(matrices)
    tree = Hierarchy(
        levels=tuple(levels),
        coarsest=_pseudo_inverse(of.cells[last], whole[: len(of.cells[last].nodes)], 3 * sizes[last][1]),
        stiffness=stiffness_matrix(poisson_ratio).astype(np.float32),
        children=in_parities(children(poisson_ratio)).astype(np.float32),
        children_diagonal=np.diagonal(children(poisson_ratio), axis1=1, axis2=2).astype(np.float32),
        interpolation=interpolation(),
    )
    tree = jax.device_put(tree)
    return _knowing_neighbors(tree) if side_by_side else tree


def _level(of: Structure, n: int, sizes: Capacity, fixed: np.ndarray, side_by_side: bool) -> Level:
    """Level ``n`` without its stiffness."""
    cells = of.cells[n]
    rows, points, _, more_rows = sizes[n]
    if n == 0:
        nodes, modulus = _voxels(of.mesh, rows, points, side_by_side)
    else:
        nodes, modulus = padded(cells.nodes, rows, points - 1), None
    if n == 1:
        modulus = np.zeros((rows, 8), np.float32)
        modulus[of.steps[0].parent, of.steps[0].slot] = of.mesh.modulus
    level = Level(
        count=np.int32(len(cells.nodes)),
        nodes=nodes,
        modulus=modulus,
        matrices=None,
        extra_count=np.int32(0),
        extra_cells=None,
        extra=None,
        free=padded(~fixed, points) if n == 0 else None,
        points=None,
        more_count=np.int32(0),
        more_points=None,
        more_cells=None,
        more_round=None,
        smoothing=np.zeros((points, 1 if n == 0 else 3), np.float32),
    )
    return (
        level._replace(**_points(of.steps[n - 1], len(cells.nodes), sizes[n - 1][1], rows, more_rows)) if n else level
    )


def _voxels(bone: Mesh, rows: int, points: int, side_by_side: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and moduli of voxels as `elasticity.stiffness_product` takes them; the last two nodes are read by nobody.

    Nodes are numbered along the last axis: but for a volume that repeats itself, half of them are the next of others.
    """
    nodes = bone.nodes if bone.periodic else np.ascontiguousarray(bone.nodes[:, ::2])
    if not side_by_side or (bone.periodic and 1 in bone.shape):  # a voxel that is its own neighbor names a node twice
        return padded(nodes, rows, points - 2), padded(bone.modulus, rows)
    # voxels of one color are every second along each axis; where an odd number repeats itself, the last is of a third
    color = np.zeros(len(nodes), np.int8)
    for axis, length in enumerate(bone.shape):
        at = bone.voxels[:, axis]
        third = bone.periodic and length % 2 == 1
        color = 3 * color + np.where(third & (at == length - 1), 2, at & 1).astype(np.int8)
    colors = 27 if bone.periodic else 8  # as many as there may be, so that shapes do not depend on the bone
    each = _chunk_of_a_color(rows)
    chunks = rows // each + colors
    out = np.full((chunks * each, nodes.shape[1]), points - 2, np.int32)
    modulus, first = np.zeros(chunks * each, np.float32), 0
    for one in np.unique(color):
        here = np.flatnonzero(color == one)
        out[first : first + len(here)] = nodes[here]
        modulus[first : first + len(here)] = bone.modulus[here]
        first += -(-len(here) // each) * each
    return out.reshape(chunks, each, -1), modulus.reshape(chunks, each)


def _chunk_of_a_color(rows: int) -> int:
    """Voxels that are worked on side by side: a power of two, about a 64th of all."""
    return 1 << max((rows // 64).bit_length() - 1, 6)


def _with_extra(level: Level, cells: np.ndarray, extra: Any, rows: int) -> Level:
    """The second level with matrices to add to some cells."""
    rows = max(rows, filled(len(cells)))
    if isinstance(extra, np.ndarray):
        extra = padded(extra[: len(cells)], rows)
    else:
        extra = jnp.zeros((rows, 24, 24), extra.dtype).at[: len(extra)].set(extra[:rows])
    return level._replace(extra_count=np.int32(len(cells)), extra_cells=padded(cells, rows), extra=extra)


def _points(step: Coarsening, count: int, finer_nodes: int, rows: int, more_rows: int) -> dict[str, Any]:
    """The fields of a level of ``count`` cells that say where these lie on the finer one."""
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


def _knowing_neighbors(tree: Hierarchy) -> Hierarchy:
    """The hierarchy with what lies around the nodes of every level below the finest."""
    levels = [tree.levels[0]]
    for level in tree.levels[1:]:
        places = level.smoothing.shape[0]
        width = width_for(int(widest(level.nodes, level.count, places)))
        levels.append(level._replace(around=incident(level.nodes, level.count, places, width)))
    return tree._replace(levels=tuple(levels))


def _pseudo_inverse(cells: Cells, matrices: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 inverse of the coarsest stiffness; motions that cost nothing, or are held, stay at rest."""
    number = 3 * cells.node_count
    total = np.zeros((number, number))
    at = (3 * cells.nodes[:, :, None] + np.arange(3)).reshape(-1, 24)
    np.add.at(total, (at[:, :, None], at[:, None, :]), matrices.astype(float))
    scale = np.sqrt(np.maximum(np.diag(total), 0))
    scale = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 1e-6 * scale.max(initial=0))
    values, vectors = np.linalg.eigh(total * scale[:, None] * scale)
    keep = values > _SINGULAR * values.max(initial=0)
    half = (scale[:, None] * vectors[:, keep]) / np.sqrt(values[keep])
    out = np.zeros((size, size), np.float32)
    out[:number, :number] = half @ half.T
    return out
