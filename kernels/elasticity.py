"""Linear elasticity on cubes: matrices of the 8-node hexahedron, and products with them on lists of voxels.

Only voxels with a modulus exist: displacement is a list of nodes, a voxel is a row of eight node numbers. Lengths are
in voxel edges, so that the stiffness of a voxel is its modulus times a matrix that depends on Poisson's ratio alone
(multiply by the edge for N/mm). Corner k of a voxel lies at offset (k >> 2, k >> 1 & 1, k & 1) along axes 0, 1, 2;
strain and stress are in the order 00, 11, 22, 12, 02, 01 with engineering shear.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.gathering import VALID

#: Offsets of the eight corners along axes 0, 1, 2.
CORNERS = np.array(list(product((0, 1), repeat=3)))

#: Rows of a chunk at most: 24 numbers for each stay in a processor's second-level cache.
_CHUNK = 4096

#: Matrix products in full float32: shorter floats lose the rigid motions, which must cost no energy.
_PRECISION = lax.Precision.HIGHEST

# Six numbers in a row, of two nodes that follow one another.
_PAIRS_READ = lax.GatherDimensionNumbers(offset_dims=(2,), collapsed_slice_dims=(), start_index_map=(0,))
_PAIRS_WRITTEN = lax.ScatterDimensionNumbers(
    update_window_dims=(2,), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,)
)
_IN_BOUNDS = lax.GatherScatterMode.PROMISE_IN_BOUNDS


def isotropic(poisson_ratio: float) -> np.ndarray:
    """(6, 6) stiffness of an isotropic material of unit Young's modulus, engineering shear strain."""
    lame = poisson_ratio / ((1 + poisson_ratio) * (1 - 2 * poisson_ratio))
    shear = 0.5 / (1 + poisson_ratio)
    stiffness = np.diag([2 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += lame
    return stiffness


def strain_matrix(point: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> np.ndarray:
    """(6, 24) matrix from the corners' displacement to the strain at ``point`` of the unit cube (its center)."""
    at = np.asarray(point, float)
    weights = np.where(CORNERS == 1, at, 1 - at)  # (8, 3)
    signs = np.where(CORNERS == 1, 1.0, -1.0)
    slope = np.stack(
        [signs[:, 0] * weights[:, 1] * weights[:, 2],
         weights[:, 0] * signs[:, 1] * weights[:, 2],
         weights[:, 0] * weights[:, 1] * signs[:, 2]], axis=1)  # fmt: skip
    matrix = np.zeros((6, 8, 3))
    for axis in range(3):
        matrix[axis, :, axis] = slope[:, axis]
        first, second = (axis + 1) % 3, (axis + 2) % 3
        matrix[3 + axis, :, first] = slope[:, second]
        matrix[3 + axis, :, second] = slope[:, first]
    return matrix.reshape(6, 24)


def stiffness_matrix(poisson_ratio: float) -> np.ndarray:
    """(24, 24) stiffness of one cube of unit edge and modulus, exact by 2 x 2 x 2 Gauss points (as C3D8)."""
    material = isotropic(poisson_ratio)
    total = np.zeros((24, 24))
    for point in product((0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3)), repeat=3):
        strain = strain_matrix(point)
        total += strain.T @ material @ strain / 8
    return (total + total.T) / 2


def chunk_of(rows: int) -> int:
    """Rows worked on at a time in a list of ``rows``: the largest power of two that divides it, up to 4096."""
    return min(_CHUNK, rows & -rows)


def gathered(displacement: jax.Array, nodes: jax.Array) -> jax.Array:
    """(rows * cases, corners * 3): what the nodes of each row carry. ``displacement`` is (nodes, cases, 3)."""
    corners = nodes.shape[1]
    picked = displacement.at[nodes].get(**VALID)  # (rows, corners, cases, 3)
    return jnp.swapaxes(picked, 1, 2).reshape(-1, corners * 3)


def scattered(total: jax.Array, nodes: jax.Array, rows: jax.Array, apart: bool = False) -> jax.Array:
    """``total`` (nodes, cases, 3) with ``rows`` (rows * cases, corners * 3) added at their nodes.

    ``apart``: no node is named twice, but for such as nobody reads.
    """
    cases = total.shape[1]
    parts = jnp.swapaxes(rows.reshape(nodes.shape[0], cases, nodes.shape[1], 3), 1, 2)
    return total.at[nodes.reshape(-1)].add(parts.reshape(-1, cases, 3), unique_indices=apart, **VALID)


def pairs_gathered(displacement: jax.Array, firsts: jax.Array) -> jax.Array:
    """(rows * cases, 24): as `gathered`, where the corners 2k and 2k + 1 of a row are nodes first and first + 1."""
    cases, flat = displacement.shape[1], displacement.reshape(-1)
    if flat.size >= 2**31:
        raise ValueError(f"expected fewer than 2^31 numbers in a field of displacement, got {flat.size}")
    picked = lax.gather(flat, 3 * cases * firsts[..., None], _PAIRS_READ, (6 * cases,), mode=_IN_BOUNDS)
    return jnp.moveaxis(picked.reshape(-1, 4, 2, cases, 3), 3, 1).reshape(-1, 24)


def pairs_scattered(total: jax.Array, firsts: jax.Array, rows: jax.Array) -> jax.Array:
    """``total`` with ``rows`` added at the nodes of `pairs_gathered`."""
    cases = total.shape[1]
    parts = jnp.moveaxis(rows.reshape(-1, cases, 4, 2, 3), 1, 3).reshape(-1, 4, 6 * cases)
    at = 3 * cases * firsts[..., None]
    flat = lax.scatter_add(total.reshape(-1), at, parts, _PAIRS_WRITTEN, mode=_IN_BOUNDS)
    return flat.reshape(total.shape)


def nothing_like(values: jax.Array, dtype: Any = None) -> jax.Array:
    """Zeros, made from ``values`` (finite): plain ones would be kept for a next step of the loop, and copied."""
    return 0 * values.astype(values.dtype if dtype is None else dtype)


def dot(left: jax.Array, right: jax.Array) -> jax.Array:
    """Matrix product in the full precision of its operands."""
    return jnp.dot(left, right, precision=_PRECISION)


def stiffness_product(
    displacement: jax.Array,
    nodes: jax.Array,
    modulus: jax.Array,
    matrix: jax.Array,
    count: jax.Array,
    onto: jax.Array | None = None,
) -> jax.Array:
    """Forces at the nodes, K u, of voxels of one stiffness matrix times a modulus each.

    Args:
        displacement: (nodes, cases, 3), float32 or float64.
        nodes: (voxels, 8) int32; rows beyond ``count`` point to nodes that nobody reads. Or (voxels, 4), the even
            corners, where every odd one is the next node.
        modulus: (voxels,) float32, 0 beyond ``count``.
        matrix: (24, 24) float32 or float64, in which forces are worked out.
        count: how many rows matter; those beyond the last chunk are not visited.
        onto: (nodes, cases, 3) to which they are added, in the type of ``matrix``; None: nothing.

    Returns:
        (nodes, cases, 3), in the type of ``matrix``.
    """
    gather = pairs_gathered if nodes.shape[-1] == 4 else gathered
    start = nothing_like(displacement, matrix.dtype) if onto is None else onto
    return voxels_added(
        start, nodes, modulus, count, lambda here: dot(gather(displacement, here).astype(matrix.dtype), matrix)
    )


def voxels_added(
    total: jax.Array, nodes: jax.Array, modulus: jax.Array, count: jax.Array, unit: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """``total`` (nodes, cases, 3) with the forces of voxels added, chunk by chunk.

    ``unit`` gives the forces (rows * cases, 24) of voxels of unit modulus from their rows of ``nodes``; the rest is as
    in `stiffness_product`.
    """
    cases = total.shape[1]
    scatter = pairs_scattered if nodes.shape[-1] == 4 else scattered
    chunk = chunk_of(nodes.shape[0])

    def part(of: jax.Array, i: jax.Array) -> jax.Array:
        return lax.dynamic_slice_in_dim(of, i * chunk, chunk)

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        here, scale = part(nodes, i), jnp.repeat(part(modulus, i).astype(total.dtype), cases)
        return scatter(total, here, unit(here) * scale[:, None])

    return lax.fori_loop(0, _chunks(count, chunk), add, total)


@partial(jax.jit, static_argnames="most")
def voxel_strain(displacement: jax.Array, nodes: jax.Array, most: int = _CHUNK) -> jax.Array:
    """(voxels, cases, 6) float32 strain at the center of each voxel; ``displacement`` is (nodes, cases, 3).

    Rows of ``nodes`` that are filled up give meaningless rows. They are worked on in chunks of at most ``most``.
    """
    chunk = min(most, nodes.shape[0] & -nodes.shape[0])
    cases = displacement.shape[1]
    matrix = jnp.asarray(strain_matrix().T, displacement.dtype)

    def rows(i: jax.Array) -> jax.Array:
        corners = lax.dynamic_slice_in_dim(nodes, i * chunk, chunk)
        strain = dot(gathered(displacement, corners), matrix).reshape(chunk, cases, 6)
        return strain.astype(jnp.float32)

    return lax.map(rows, jnp.arange(nodes.shape[0] // chunk)).reshape(-1, cases, 6)


def _chunks(count: jax.Array, chunk: int) -> jax.Array:
    return (count + chunk - 1) // chunk
