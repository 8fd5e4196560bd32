"""Products with the stiffness of the two finest levels, in which a worker keeps what it makes (`fused`).

On the finest level a worker owns a node, and asks the voxels around it what they put there: nothing is added to what
another worker wrote, so that bits repeat. On the second level it owns a cell of eight children, whose motion it sorts
by parity (`parities`).

A matrix of an isotropic cube holds few different numbers, most of them many times, with either sign. Which they are
follows from its symmetry, not from Poisson's ratio: kernels are written for their places, and read them once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.elasticity import CORNERS, dot, gathered, stiffness_matrix
from microct.kernels.fused import Launch, on_gpu, patterns, total
from microct.kernels.multigrid_galerkin import children
from microct.kernels.parities import SIGNS, TO_PARITIES, in_parities

Array = Any

#: Two of Poisson's ratios: entries that are equal for both are equal for all.
_SAMPLES = (0.12, 0.37)

#: Offsets of the nodes around a node, along each axis.
_STEPS = (-1, 0, 1)


@lru_cache(maxsize=2)
def _pattern(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which number stands at each entry (-1 where always 0), with which sign, and an entry where each is found."""
    of: Callable[[float], np.ndarray] = stiffness_matrix if kind == "voxel" else lambda nu: in_parities(children(nu))
    both = np.stack([of(nu).ravel() for nu in _SAMPLES], axis=1)
    zero = (np.abs(both) < 1e-12).all(axis=1)
    leading = np.where(np.abs(both[:, 0]) < 1e-12, both[:, 1], both[:, 0])
    sign = np.where(leading < 0, -1.0, 1.0)
    _, where, which = np.unique(np.round(both * sign[:, None], 9), axis=0, return_index=True, return_inverse=True)
    shape = of(_SAMPLES[0]).shape
    return np.where(zero, -1, which.ravel()).reshape(shape), sign.reshape(shape), where.astype(np.int32)


def _numbers(kind: str, matrix: Array) -> Array:
    """The different numbers of a matrix, in the order of `_pattern`, with the sign that they have there."""
    _, sign, where = _pattern(kind)
    return matrix.reshape(-1)[where] * jnp.asarray(sign.ravel()[where], matrix.dtype)


@partial(jax.jit, static_argnames=("places", "apart"))
def around_nodes(nodes: Array, modulus: Array, count: Array, places: int, apart: bool) -> tuple[Array, Array]:
    """What lies around each node, from the nodes of each voxel.

    Args:
        nodes: (rows, 8) int32.
        modulus: (rows,) float32.
        count: how many rows matter.
        places: how many nodes there are.
        apart: whether neighbors along the last axis need not be numbered in a row (a volume that repeats itself).

    Returns:
        (9, places) int32 nodes at offsets -1, 0, 1 along axes 0 and 1, whose neighbors along axis 2 are the numbers
        before and after; or, ``apart``, (27, places) of all three axes; a node itself where no voxel of it knows more.
        And (8, places) float32 moduli of the voxels around: voxel 7 - k is the one whose corner k the node is.
    """
    kept = jnp.arange(nodes.shape[0]) < count
    to = [jnp.where(kept, nodes[:, k], places) for k in range(8)]
    moduli = [jnp.zeros(places, jnp.float32).at[to[7 - v]].set(modulus, mode="drop") for v in range(8)]
    around = []
    for step in product(_STEPS, _STEPS, _STEPS if apart else (0,)):
        here = jnp.arange(places, dtype=jnp.int32)
        for k, c in product(range(8), range(8)):
            if tuple(CORNERS[c] - CORNERS[k]) == step and any(step):
                here = here.at[to[k]].set(nodes[:, c], mode="drop")  # all who write there write the same
        around.append(here)
    return jnp.stack(around), jnp.stack(moduli)


def nodes_product(x: Array, around: Array, moduli: Array, matrix: Array) -> Array:
    """Forces at the nodes, K u, of voxels of one stiffness matrix times a modulus each.

    Args:
        x: (nodes, cases, 3) displacement, float32 or float64.
        around, moduli: from `around_nodes`.
        matrix: (24, 24) float32 or float64, in which forces are worked out.

    Returns:
        (nodes, cases, 3), in the type of ``matrix``.
    """
    return on_gpu(nodes_fused, _nodes_plainly, x, around, moduli, matrix)


def nodes_fused(launch: Launch, x: Array, around: Array, moduli: Array, matrix: Array) -> Array:
    """`nodes_product`, every worker a node."""
    given = (_numbers("voxel", matrix), x.reshape(-1), around, moduli)
    return launch(partial(_of_nodes, matrix.dtype), jax.ShapeDtypeStruct(x.shape, matrix.dtype), *given)


def _nodes_plainly(x: Array, around: Array, moduli: Array, matrix: Array) -> Array:
    total = jnp.zeros(x.shape, matrix.dtype)
    for voxel, of in enumerate(CORNERS):
        steps = CORNERS + of  # of the corners from this node - 1
        row = 3 * steps[:, 0] + steps[:, 1]
        if around.shape[0] == 27:
            corners = around[3 * row + steps[:, 2]]
        else:
            corners = jnp.clip(around[row] + jnp.asarray(steps[:, 2:] - 1, jnp.int32), 0, x.shape[0] - 1)
        moved = gathered(x, corners.T).astype(matrix.dtype)
        mine = lax.slice_in_dim(matrix, 3 * (7 - voxel), 3 * (7 - voxel) + 3)
        total += moduli[voxel].astype(matrix.dtype)[:, None, None] * dot(moved, mine.T).reshape(x.shape)
    return total


def _of_nodes(
    dtype: Any, numbers: Array, x: Array, around: Array, moduli: Array, mine: Any, case: Any, cases: int
) -> list[Array]:
    """Forces at a block of nodes, one case."""
    which, sign, _ = _pattern("voxel")
    stiffness = [numbers[k] for k in range(numbers.shape[0])]
    scale = [moduli[voxel, mine].astype(dtype) for voxel in range(8)]
    force = [[jnp.zeros_like(scale[0]) for _ in range(3)] for _ in range(8)]
    apart = around.shape[0] == 27
    last = moduli.shape[1] - 1
    for row, (dz, dy) in enumerate(product(_STEPS, _STEPS)):
        for dx in _STEPS:
            if apart:
                node = around[3 * row + dx + 1, mine]
            else:  # beyond a row there is a node of another, which no voxel here knows: it meets a modulus of 0
                node = jnp.clip(around[row, mine] + dx, 0, last)
            at = (node * cases + case) * 3
            moved = [x[at + i].astype(dtype) for i in range(3)]
            for voxel, of in enumerate(CORNERS):  # that begins at this node - 1 + ``of``
                corner = np.array([dz, dy, dx]) + 1 - of
                if not ((corner == 0) | (corner == 1)).all():
                    continue
                other = int(corner @ [4, 2, 1])
                for i, j in product(range(3), range(3)):
                    entry = 3 * (7 - voxel) + i, 3 * other + j
                    if which[entry] >= 0:
                        force[voxel][i] += (stiffness[which[entry]] * float(sign[entry])) * moved[j]
    return [total([scale[v] * force[v][i] for v in range(8)]) for i in range(3)]


def cells_product(x: Array, nodes: Array, moduli: Array, children: Array) -> Array:
    """Forces at the corners of cells of eight children.

    Args:
        x: (nodes, cases, 3) float32 displacement.
        nodes: (cells, 8) int32.
        moduli: (cells, 8) float32 of the children.
        children: (8, 8, 3, 3) float32 from `parities.in_parities`.

    Returns:
        (cells, cases, 24) float32.
    """
    return on_gpu(cells_fused, _cells_plainly, x, nodes, moduli, children)


def cells_fused(launch: Launch, x: Array, nodes: Array, moduli: Array, children: Array) -> Array:
    """`cells_product`, every worker a cell."""
    given = (_numbers("children", children), x.reshape(-1), nodes.T, moduli.T)
    return launch(_of_cells, jax.ShapeDtypeStruct((len(nodes), x.shape[1], 24), jnp.float32), *given)


def _cells_plainly(x: Array, nodes: Array, moduli: Array, children: Array) -> Array:
    return forces_of_children(gathered(x, nodes), moduli, children).reshape(nodes.shape[0], x.shape[1], 24)


def forces_of_children(here: Array, moduli: Array, children: Array) -> Array:
    """(cells * cases, 24) forces at the corners of cells that move by ``here``, of eight ``moduli`` (cells, 8) each.

    A cube is its own mirror image, so that in the basis of `parities` a motion meets only those motions whose parity
    differs by that of the moduli: an eighth of the products.
    """
    cases = here.shape[0] // moduli.shape[0]
    to = jnp.asarray(TO_PARITIES, here.dtype)
    moving = _turned(dot(here, to.T)).reshape(8, 3, -1)
    signs = jnp.asarray(SIGNS / 8, here.dtype)
    weight = jnp.repeat(dot(signs, moduli.T.astype(here.dtype)), cases, axis=1)
    parity = jnp.arange(8)

    def of_pattern(w: Array, force: Array) -> Array:
        met = moving[parity ^ w]
        terms = [children[w, :, :, j, None] * met[:, None, j] for j in range(3)]
        return force + weight[w] * (terms[0] + terms[1] + terms[2])

    force = lax.fori_loop(0, 8, of_pattern, jnp.zeros_like(moving))
    return dot(_turned(force.reshape(24, -1)), to)


def _turned(values: Array) -> Array:
    """The transpose, laid down: fused with a product it would make that several times slower on a CPU."""
    return lax.optimization_barrier(lax.optimization_barrier(values).T)


def _of_cells(numbers: Array, x: Array, nodes: Array, moduli: Array, mine: Any, case: Any, cases: int) -> list[Array]:
    """Forces at the corners of a block of cells, one case."""
    which, sign, _ = _pattern("children")
    known = [numbers[k] for k in range(numbers.shape[0])]
    at = [(nodes[k, mine] * cases + case) * 3 for k in range(8)]
    # rows of the basis of parities: component i of parity p has the signs of pattern p ^ (4 >> i)
    sums = [patterns([x[at[k] + i] for k in range(8)]) for i in range(3)]
    moving = [[sums[i][p ^ (4 >> i)] for i in range(3)] for p in range(8)]
    weight = [w / 64 for w in patterns([moduli[k, mine] for k in range(8)])]  # 8 of signs, 8 of the basis, twice half
    force: list[list[Any]] = [[None] * 8 for _ in range(3)]
    for p, i in product(range(8), range(3)):
        terms = [jnp.zeros_like(weight[0])]  # rigid motions have no other
        for w, j in product(range(8), range(3)):
            if which[w, p, i, j] >= 0:
                joined = known[which[w, p, i, j]] * float(sign[w, p, i, j])
                terms.append(joined * (weight[w] * moving[p ^ w][j]))
        force[i][p ^ (4 >> i)] = total(terms)
    back = [patterns(each) for each in force]
    return [back[i][k] for k, i in product(range(8), range(3))]
