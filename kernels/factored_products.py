"""Products with cells whose stiffness is known by a triangular factor (`fused`).

Cells of deep levels have a matrix each, and to read these is most of what a multigrid cycle does on a GPU. A worker
owns a cell and reads only what its matrix says of `deformations`, and of that only a triangular factor L, K = L L^T, as
bfloat16: 342 bytes instead of 1200 for half of K. However roughly L is rounded, what it says is a stiffness: no motion
gives energy back. Rounding K itself by half as much spoils that for the softest motions of cells that hold little bone
(steps of a random field to 1e-7: 24 by K in float32, 36 in float16, 120 in bfloat16; 22 by L in bfloat16).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.deformations import COUNT, SCALES, TERMS, TO_DEFORMATIONS
from microct.kernels.elasticity import dot, gathered
from microct.kernels.fused import Launch, on_gpu, patterns, total

Array = Any

#: Columns and rows of the lower half of a matrix of deformations, column after column, as a product needs them.
_COLUMN, _ROW = (index.astype(np.int32) for index in np.triu_indices(COUNT))

#: (18, 18) where each entry (row, column) is found, and a place beyond for those above the diagonal.
_PLACE = np.full((COUNT, COUNT), len(_ROW), np.int32)
_PLACE[_ROW, _COLUMN] = np.arange(len(_ROW))

#: Least share of a motion's stiffness that is left after the motions before it: what rounding to bfloat16 adds anyway
#: (2^-8 of its root), and well above the noise of float32, which would grow from column to column where less is left.
_LEAST = 2.0**-16

#: Matrices from which on an eighth of them is factored at a time; lists of so many are filled up to eighths.
_LONG = 1 << 17


@jax.jit
def factored(matrices: Array) -> Array:
    """(171, cells) bfloat16 the triangular factors of matrices of deformations (cells, 18, 18), column after column."""
    if len(matrices) < _LONG:
        return _factors(matrices)
    parts = lax.map(_factors, matrices.reshape(8, -1, COUNT, COUNT))
    return jnp.swapaxes(parts, 0, 1).reshape(len(_ROW), -1)


def _factors(matrices: Array) -> Array:
    own = jnp.diagonal(matrices, axis1=1, axis2=2)
    rows = jnp.arange(COUNT)

    def eliminate(j: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        left, factors = state
        column = lax.dynamic_index_in_dim(left, j, 2, keepdims=False)
        least = _LEAST * lax.dynamic_index_in_dim(own, j, 1)
        pivot = jnp.maximum(lax.dynamic_index_in_dim(column, j, 1), least)
        column = jnp.where(rows < j, 0, jnp.where(rows == j, pivot, column))
        column = jnp.where(pivot > 0, column / jnp.sqrt(jnp.where(pivot > 0, pivot, 1)), 0)
        left = left - column[:, :, None] * column[:, None, :]
        return left, lax.dynamic_update_index_in_dim(factors, column, j, 2)

    _, factors = lax.fori_loop(0, COUNT, eliminate, (matrices, jnp.zeros_like(matrices)))
    return factors[:, _ROW, _COLUMN].T.astype(jnp.bfloat16)


def factored_diagonal(factors: Array) -> Array:
    """(cells, 24) the diagonal of the stiffness in all motions of the corners."""
    # entry (a, a) is the square of what the motion of corner a alone makes of each column
    found = jnp.zeros((factors.shape[1], 24), jnp.float32)
    for j in range(COUNT):
        mine = np.flatnonzero(j == _COLUMN)
        found += dot(factors[mine].T.astype(jnp.float32), jnp.asarray(TO_DEFORMATIONS[_ROW[mine]])) ** 2
    return found


def factored_product(x: Array, nodes: Array, factors: Array) -> Array:
    """(cells, cases, 24) forces at the corners of cells.

    Args:
        x: (nodes, cases, 3) float32 displacement.
        nodes: (cells, 8) int32.
        factors: (171, cells) bfloat16 from `factored`.
    """
    return on_gpu(factored_fused, _plainly, x, nodes, factors)


def factored_fused(launch: Launch, x: Array, nodes: Array, factors: Array) -> Array:
    """`factored_product`, every worker a cell."""
    out = jax.ShapeDtypeStruct((len(nodes), x.shape[1], 24), jnp.float32)
    return launch(_of_cells, out, x.reshape(-1), nodes.T, factors)


def _plainly(x: Array, nodes: Array, factors: Array) -> Array:
    cells, cases = nodes.shape[0], x.shape[1]
    to = jnp.asarray(TO_DEFORMATIONS)
    here = dot(gathered(x, nodes), to.T).reshape(cells, cases, COUNT)
    lower = jnp.pad(factors.astype(jnp.float32), ((0, 1), (0, 0)))[_PLACE]
    along = jnp.einsum("kci,ijk->kcj", here, lower, precision=lax.Precision.HIGHEST)
    force = jnp.einsum("kcj,ijk->kci", along, lower, precision=lax.Precision.HIGHEST)
    return dot(force.reshape(-1, COUNT), to).reshape(cells, cases, 24)


def _of_cells(x: Array, nodes: Array, factors: Array, mine: Any, case: Any, cases: int) -> list[Array]:
    """Forces at the corners of a block of cells, one case."""
    at = [(nodes[k, mine] * cases + case) * 3 for k in range(8)]
    sums = [patterns([x[at[k] + i] for k in range(8)]) for i in range(3)]
    here = [total([sums[i][w] for i, w in terms]) * scale for terms, scale in zip(TERMS, SCALES, strict=True)]
    nothing = jnp.zeros_like(here[0])
    force = [nothing] * COUNT
    entry = 0
    for j in range(COUNT):  # a column is read once: for what moves along it, and for the force that this makes
        column = [factors[entry + i, mine].astype(here[0].dtype) for i in range(COUNT - j)]
        entry += COUNT - j
        along = total([column[i] * here[j + i] for i in range(COUNT - j)])
        for i in range(COUNT - j):
            force[j + i] = force[j + i] + column[i] * along
    back = [[nothing] * 8 for _ in range(3)]
    for terms, scale, each in zip(TERMS, SCALES, force, strict=True):
        for i, w in terms:
            back[i][w] = back[i][w] + scale * each
    corners = [patterns(each) for each in back]
    return [corners[i][k] for k, i in product(range(8), range(3))]
