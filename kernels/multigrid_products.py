"""Products with the stiffness of a level, and motions carried between levels.

Each product has two forms with the same outcome but for rounding. Where one worker goes through the list (CPU), chunks
that stay in its cache are added to the nodes one after the other. Where many work side by side (GPU), every node knows
what lies `around` it: on the finest level it asks its voxels itself, on the levels below forces of all cells are laid
down first, and it gathers its own. No order is left to chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from microct.kernels.deformations import COUNT, DIAGONAL, TO_DEFORMATIONS
from microct.kernels.elasticity import (
    chunk_of,
    dot,
    gathered,
    nothing_like,
    scattered,
    stiffness_product,
    voxels_added,
)
from microct.kernels.factored_products import factored_diagonal, factored_product
from microct.kernels.fused_products import (
    cells_product,
    forces_of_children,
    nodes_product,
)
from microct.kernels.gathering import gathered_sum
from microct.kernels.multigrid_levels import Hierarchy, Level

Array = Any

#: Parts of a list that many workers take one after the other: what they lay down meanwhile takes that much less memory.
#: Lists of fewer rows are taken at once: there it is the kernels that cost, not what they do.
_PARTS, _LONG = 8, 1 << 18


def fine_product(level: Level, x: Array, matrix: Array) -> Array:
    """Forces of all voxels, K x, at free and held nodes alike; (nodes, cases, 3) in the type of ``matrix``."""
    if level.around is not None:
        return nodes_product(x, level.around, level.modulus, matrix)
    return stiffness_product(x, level.nodes, level.modulus, matrix, level.count)


def fine_forces(level: Level, rows: Array) -> Array:
    """(nodes, cases, 3) sum at the nodes where voxels of unit modulus put ``rows`` (cases, 24) at their corners."""
    if level.around is not None:
        corners = rows.reshape(-1, 8, 3)[:, ::-1]  # a node is corner 7 - v of voxel v around it
        return jnp.einsum("vn,cvi->nci", level.modulus.astype(rows.dtype), corners, precision=lax.Precision.HIGHEST)
    total = jnp.zeros((level.smoothing.shape[0], len(rows), 3), rows.dtype)
    each = chunk_of(level.nodes.shape[0])
    return voxels_added(total, level.nodes, level.modulus, level.count, lambda _: jnp.tile(rows, (each, 1)))


def stiffness_times(tree: Hierarchy, n: int, x: Array) -> Array:
    """Stiffness of level ``n`` times ``x`` (nodes, cases, 3) float32."""
    level = tree.levels[n]
    if level.around is None:
        return _free(level, _added(tree, n, nothing_like(x), x, 1.0))
    return _free(level, _side_by_side(tree, n, x))


def left_over(tree: Hierarchy, n: int, residual: Array, x: Array) -> Array:
    """What is left of ``residual`` of level ``n`` after a move of ``x``: residual - K x, both float32."""
    level = tree.levels[n]
    if level.around is None:  # chunk by chunk, in the place of the residual
        return _free(level, _added(tree, n, residual, x, -1.0))
    return _free(level, residual - _side_by_side(tree, n, x))


def _free(level: Level, force: Array) -> Array:
    """``force`` where nodes may move."""
    return force if level.free is None else jnp.where(level.free[:, None, :], force, 0)


def _added(tree: Hierarchy, n: int, total: Array, x: Array, sign: float) -> Array:
    """``total`` with ``sign`` times the forces of a level added, one chunk of cells after the other."""
    level = tree.levels[n]
    if n == 0:
        return stiffness_product(x, level.nodes, level.modulus, sign * tree.stiffness, level.count, total)
    if level.matrices is None:
        total = _children_product(total, x, level, sign * tree.children)
    else:
        total = _matrix_product(total, x, level.nodes, level.matrices, sign)
    if level.extra is None:
        return total
    return _matrix_product(total, x, level.nodes[level.extra_cells], level.extra, sign)


def restricted(tree: Hierarchy, n: int, residual: Array) -> Array:
    """Residual of level ``n`` summed onto the nodes of level ``n + 1``."""
    coarse = tree.levels[n + 1]
    down = tree.interpolation.T
    if coarse.around is None:
        total = _zeros(residual, coarse)
        total = _moved(total, residual, coarse.points, coarse.nodes, down, coarse.count)
        more_nodes = coarse.nodes[coarse.more_cells]
        total = _moved(total, residual, coarse.more_points, more_nodes, down, coarse.more_count)
    else:
        cases = residual.shape[1]

        def summed(points: Array) -> Array:
            return dot(gathered(residual, points), down).reshape(-1, cases, 24)

        sums, more = _in_parts(summed, coarse.points), _in_parts(summed, coarse.more_points)
        rows = jnp.arange(more.shape[0]) < coarse.more_count

        # rows of one round belong to different cells, so that no sum depends on an order
        def add(k: Array, sums: Array) -> Array:
            cells = jnp.where(rows & (coarse.more_round == k), coarse.more_cells, sums.shape[0])
            return sums.at[cells].add(more, mode="drop")

        rounds = jnp.where(rows, coarse.more_round, -1).max(initial=-1) + 1
        sums = lax.fori_loop(0, rounds.astype(jnp.int32), add, sums)
        total = _at_nodes(sums.at[-1].set(0).reshape(-1, 24), coarse, cases)
    return total.at[-1].set(0)


def prolonged(tree: Hierarchy, n: int, correction: Array, x: Array) -> Array:
    """``x`` of level ``n`` with the correction of level ``n + 1`` added."""
    coarse = tree.levels[n + 1]
    up = tree.interpolation
    more_nodes = coarse.nodes[coarse.more_cells]
    if coarse.around is None:
        moved = _moved(x, correction, coarse.nodes, coarse.points, up, coarse.count)
        moved = _moved(moved, correction, more_nodes, coarse.more_points, up, coarse.more_count)
    else:  # every node is named by one point: no order matters
        moved = _moved(x, correction, coarse.nodes, coarse.points, up, None)
        moved = _moved(moved, correction, more_nodes, coarse.more_points, up, None)
    return in_place(lambda x: _free(tree.levels[n], x.at[-1].set(0)), moved, coarse.count)


def in_place(change: Callable[[Array], Array], values: Array, count: Array) -> Array:
    """The changed values, laid down once, where the old ones were; ``count`` is any number from 0 up.

    A loop of one turn, whose number of turns a compiler cannot know: otherwise it would work the new values out anew
    wherever they are used, and keep alive all that they are made of.
    """
    return lax.fori_loop(0, jnp.minimum(count + 1, 1), lambda _, old: change(old), values)


def forces_of(level: Level, parts: Array) -> Array:
    """(nodes, cases, 3) sum at the nodes of what cells below the finest (cells, cases, 24) put there."""
    if level.around is not None:
        return _at_nodes(parts.reshape(-1, 24), level, parts.shape[1])
    start = jnp.zeros((level.smoothing.shape[0], parts.shape[1], 3), parts.dtype)
    return scattered(start, level.nodes, parts.reshape(-1, 24))


def diagonal(tree: Hierarchy, n: int) -> Array:
    """(nodes, 3) diagonal of the stiffness of a level, held nodes not left out; (nodes, 1) of the finest.

    The diagonal of a voxel is one number, 24 times.
    """
    level = tree.levels[n]
    if n == 0:
        return fine_forces(level, jnp.diag(tree.stiffness)[None])[:, 0, :1]
    if level.matrices is None:
        own = dot(level.modulus, tree.children_diagonal)
    elif level.matrices.ndim == 2:
        own = factored_diagonal(level.matrices)
    elif _of_deformations(level.matrices):
        own = dot(level.matrices.reshape(-1, COUNT * COUNT), jnp.asarray(DIAGONAL.reshape(-1, 24)))
    else:
        own = jnp.diagonal(level.matrices, axis1=1, axis2=2)
    if level.extra is not None:
        more = jnp.diagonal(level.extra, axis1=1, axis2=2)
        rows = jnp.arange(more.shape[0]) < level.extra_count
        own = own.at[jnp.where(rows, level.extra_cells, own.shape[0])].add(more, mode="drop")
    return forces_of(level, own[:, None])[:, 0]


def _at_nodes(rows: Array, level: Level, cases: int) -> Array:
    """(nodes, cases, 3) sum at each node of what its cells' ``rows`` (cells * cases, 24) say."""
    assert level.around is not None
    parts = jnp.swapaxes(rows.reshape(-1, cases, 8, 3), 1, 2)
    return gathered_sum(parts.reshape(-1, cases, 3), level.around)


def _side_by_side(tree: Hierarchy, n: int, x: Array) -> Array:
    """Stiffness of a level that knows what lies around its nodes."""
    level, cases = tree.levels[n], x.shape[1]
    if n == 0:
        return fine_product(level, x, tree.stiffness)
    if level.matrices is None:
        force = cells_product(x, level.nodes, level.modulus, tree.children)
    elif level.matrices.ndim == 2:
        force = factored_product(x, level.nodes, level.matrices)
    else:
        force = _each_times(level.matrices, gathered(x, level.nodes).reshape(-1, cases, 24))
    if level.extra is not None:
        rows = jnp.arange(level.extra.shape[0]) < level.extra_count
        at = gathered(x, level.nodes[level.extra_cells]).reshape(-1, cases, 24)
        to = jnp.where(rows, level.extra_cells, force.shape[0])
        force = force.at[to].add(_each_times(level.extra, at), mode="drop")
    return _at_nodes(force.reshape(-1, 24), level, cases)


def _each_times(matrices: Array, here: Array) -> Array:
    """(cells, cases, 24) each cell's symmetric matrix times what its corners do; a sum, since one case is no matrix."""
    if here.shape[1] == 1:
        return (matrices * here[:, 0, :, None]).sum(axis=1)[:, None]
    return jnp.einsum("kci,kij->kcj", here, matrices, precision=lax.Precision.HIGHEST)


def _children_product(total: Array, x: Array, level: Level, children: Array) -> Array:
    """``total`` with cells added whose stiffness is the sum over eight places of a modulus times its matrix."""
    chunk = min(chunk_of(level.nodes.shape[0]), 1024)

    def add(i: Array, total: Array) -> Array:
        corners = lax.dynamic_slice_in_dim(level.nodes, i * chunk, chunk)
        moduli = lax.dynamic_slice_in_dim(level.modulus, i * chunk, chunk)
        return scattered(total, corners, forces_of_children(gathered(x, corners), moduli, children))

    return lax.fori_loop(0, (level.count + chunk - 1) // chunk, add, total)


def _matrix_product(total: Array, x: Array, nodes: Array, matrices: Array, sign: float) -> Array:
    """``total`` with ``sign`` times the product of cells that have a matrix each added.

    All at once: matrices are read where they lie, at the speed of memory; a chunk of them would first be copied.
    """
    here, to = sign * gathered(x, nodes), jnp.asarray(TO_DEFORMATIONS)
    if _of_deformations(matrices):
        here = dot(here, to.T)
    each = here.reshape(-1, x.shape[1], matrices.shape[-1])
    force = jnp.einsum("kci,kij->kcj", each, matrices, precision=lax.Precision.HIGHEST).reshape(here.shape)
    return scattered(total, nodes, dot(force, to) if _of_deformations(matrices) else force)


def _of_deformations(matrices: Array) -> bool:
    return bool(matrices.shape[-1] == COUNT)


def _zeros(values: Array, level: Level) -> Array:
    """(nodes, cases, 3) of a level; made of ``values``, or a compiler would make them long before, and keep them."""
    return jnp.broadcast_to(0 * values[-1], (level.smoothing.shape[0], *values.shape[1:]))


def _moved(total: Array, values: Array, source: Array, target: Array, weights: Array, count: Array | None) -> Array:
    """``total`` with ``values`` at the nodes of ``source``, times ``weights``, added at the nodes of ``target``.

    ``count`` rows in order; None: rows that share no node of ``target`` (but for such as nobody reads), side by side.
    """
    chunk = source.shape[0] // _parts(source) if count is None else min(chunk_of(source.shape[0]), 1024)

    def add(i: Array, total: Array) -> Array:
        here = lax.dynamic_slice_in_dim(source, i * chunk, chunk)
        there = lax.dynamic_slice_in_dim(target, i * chunk, chunk)
        return scattered(total, there, dot(gathered(values, here), weights), count is None)

    return lax.fori_loop(0, _parts(source) if count is None else (count + chunk - 1) // chunk, add, total)


def _in_parts(function: Callable[..., Array], *lists: Array) -> Array:
    """What a function of rows makes of lists; of long ones it is worked out for an eighth of the rows at a time."""
    if _parts(lists[0]) == 1:
        return function(*lists)
    parts = lax.map(lambda part: function(*part), tuple(a.reshape(_PARTS, -1, *a.shape[1:]) for a in lists))
    return parts.reshape(-1, *parts.shape[2:])


def _parts(rows: Array) -> int:
    return _PARTS if rows.shape[0] >= _LONG else 1
