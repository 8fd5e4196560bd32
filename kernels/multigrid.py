"""A multigrid preconditioner for stiffness on voxels of bone, and conjugate gradients that say how they ended.

Each level smooths with Chebyshev polynomials of the fourth kind (Lottes 2023, doi:10.1002/nla.2479), scaled by the
diagonal; deep levels, where straight-edged cells bend too stiffly, are solved by a few flexible conjugate gradient
steps (a K-cycle). The preconditioner works in float32; solution, residual and directions outside are float64.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from microct.kernels import elasticity
from microct.kernels.elasticity import chunk_of, dot, gathered, scattered

#: Degree of the smoothing polynomial on each level, the finest first; the last holds for all deeper ones.
DEGREES = (2, 3, 4, 6)

#: Conjugate gradient steps with which each level below the finest is solved, the first for the second level.
STEPS = (2, 2, 2, 2)

#: Power iterations for the largest eigenvalue of a level, and what is added since they approach it from below.
_POWER, _MARGIN = 10, 1.1


#: An array: of numpy while a hierarchy is built, of jax afterwards; None where a level has no such thing.
Array = Any


class Level(NamedTuple):
    """One level: cells, their stiffness, and the nodes of the finer level on which they lie.

    Rows beyond `count` name the last node, which nobody reads.

    Attributes:
        count: number of cells.
        nodes: (cells, 8) int32.
        modulus: (cells,) of voxels, (cells, 8) of the children on the second level, None from the third on.
        matrices: (cells, 24, 24) float32 from the third level on.
        extra_count, extra_nodes, extra: matrices to add to some cells of the second level.
        free: (nodes, 3) bool on the finest level, False where displacement is given.
        points: (cells, 27) int32 nodes of the finer level.
        more_count, more_points, more_nodes: further points of some cells, and the nodes of these cells.
        inverse_diagonal: (nodes, 3) float32, 0 where held.
        largest: largest eigenvalue of the stiffness scaled by its diagonal.
    """

    count: Array
    nodes: Array
    modulus: Array
    matrices: Array
    extra_count: Array
    extra_nodes: Array
    extra: Array
    free: Array
    points: Array
    more_count: Array
    more_points: Array
    more_nodes: Array
    inverse_diagonal: Array
    largest: Array


class Hierarchy(NamedTuple):
    """All levels, the inverse of the coarsest, and the matrices of one cube that the others are made of."""

    levels: tuple[Level, ...]
    coarsest: Array
    stiffness: Array
    children: Array
    interpolation: Array


class Outcome(NamedTuple):
    """How conjugate gradients ended: solution (nodes, cases, 3), steps, residual over load (cases,)."""

    displacement: jax.Array
    iterations: jax.Array
    residual: jax.Array


def apply(tree: Hierarchy, n: int, x: jax.Array) -> jax.Array:
    """Stiffness of level ``n`` times ``x`` (nodes, cases, 3) float32."""
    level = tree.levels[n]
    if n == 0:
        y = elasticity.stiffness_product(x, level.nodes, level.modulus, tree.stiffness, level.count)
        return jnp.where(level.free[:, None, :], y, 0)
    if level.matrices is not None:
        return _matrix_product(jnp.zeros_like(x), x, level.nodes, level.matrices, level.count)
    y = _children_product(x, level, tree.children)
    return _matrix_product(y, x, level.extra_nodes, level.extra, level.extra_count)


def _children_product(x: jax.Array, level: Level, children: jax.Array) -> jax.Array:
    """Cells whose stiffness is the sum over eight places of a modulus times the matrix of that place."""
    chunk = min(chunk_of(level.nodes.shape[0]), 1024)
    cases = x.shape[1]

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        corners = lax.dynamic_slice_in_dim(level.nodes, i * chunk, chunk)
        scale = jnp.repeat(lax.dynamic_slice_in_dim(level.modulus, i * chunk, chunk), cases, axis=0)
        parts = dot(gathered(x, corners), children).reshape(-1, 8, 24)
        return scattered(total, corners, (parts * scale[:, :, None]).sum(axis=1))

    return lax.fori_loop(0, (level.count + chunk - 1) // chunk, add, jnp.zeros_like(x))


def _matrix_product(
    total: jax.Array, x: jax.Array, nodes: jax.Array, matrices: jax.Array, count: jax.Array
) -> jax.Array:
    """``total`` with the product of cells that have a matrix each added."""
    chunk = min(chunk_of(nodes.shape[0]), 128)
    cases = x.shape[1]

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        corners = lax.dynamic_slice_in_dim(nodes, i * chunk, chunk)
        matrix = lax.dynamic_slice_in_dim(matrices, i * chunk, chunk)
        here = gathered(x, corners).reshape(chunk, cases, 24)
        force = jnp.einsum("kci,kij->kcj", here, matrix, precision=lax.Precision.HIGHEST)
        return scattered(total, corners, force.reshape(-1, 24))

    return lax.fori_loop(0, (count + chunk - 1) // chunk, add, total)


def _restricted(tree: Hierarchy, n: int, residual: jax.Array) -> jax.Array:
    """Residual of level ``n`` summed onto the nodes of level ``n + 1``."""
    coarse = tree.levels[n + 1]
    total = jnp.zeros((coarse.inverse_diagonal.shape[0], *residual.shape[1:]), residual.dtype)
    down = tree.interpolation.T
    total = _moved(total, residual, coarse.points, coarse.nodes, down, coarse.count)
    total = _moved(total, residual, coarse.more_points, coarse.more_nodes, down, coarse.more_count)
    return total.at[-1].set(0)


def _prolonged(tree: Hierarchy, n: int, correction: jax.Array, x: jax.Array) -> jax.Array:
    """``x`` of level ``n`` with the correction of level ``n + 1`` added."""
    coarse = tree.levels[n + 1]
    up = tree.interpolation
    moved = _moved(x, correction, coarse.nodes, coarse.points, up, coarse.count)
    moved = _moved(moved, correction, coarse.more_nodes, coarse.more_points, up, coarse.more_count).at[-1].set(0)
    free = tree.levels[n].free
    return moved if free is None else jnp.where(free[:, None, :], moved, 0)


def _moved(
    total: jax.Array, values: jax.Array, source: jax.Array, target: jax.Array, weights: jax.Array, count: jax.Array
) -> jax.Array:
    """``total`` with ``values`` at the nodes of ``source``, times ``weights``, added at the nodes of ``target``."""
    chunk = min(chunk_of(source.shape[0]), 1024)

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        here = lax.dynamic_slice_in_dim(source, i * chunk, chunk)
        there = lax.dynamic_slice_in_dim(target, i * chunk, chunk)
        return scattered(total, there, dot(gathered(values, here), weights))

    return lax.fori_loop(0, (count + chunk - 1) // chunk, add, total)


def _smoothed(tree: Hierarchy, n: int, x: jax.Array, residual: jax.Array, updates: int) -> tuple[jax.Array, jax.Array]:
    """Chebyshev of the fourth kind; the residual returned belongs to x after ``updates`` of the steps."""
    level = tree.levels[n]
    degree = DEGREES[min(n, len(DEGREES) - 1)]
    scale = level.inverse_diagonal[:, None, :] / level.largest

    def step(k: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        x, residual, move = state
        k = k.astype(x.dtype)
        move = (2 * k - 1) / (2 * k + 3) * move + (8 * k + 4) / (2 * k + 3) * scale * residual
        return x + move, residual - apply(tree, n, move), move

    state = (x, residual, jnp.zeros_like(x))
    x, residual, move = lax.fori_loop(0, updates, step, state)
    if updates < degree:  # the last move needs no residual after it
        k = float(updates)
        x = x + (2 * k - 1) / (2 * k + 3) * move + (8 * k + 4) / (2 * k + 3) * scale * residual
    return x, residual


def cycle(tree: Hierarchy, n: int, residual: jax.Array) -> jax.Array:
    """What level ``n`` says solves stiffness times x = residual, (nodes, cases, 3) float32."""
    if n == len(tree.levels) - 1:
        flat = jnp.swapaxes(residual, 1, 2).reshape(-1, residual.shape[1])
        return jnp.swapaxes(dot(tree.coarsest, flat).reshape(-1, 3, residual.shape[1]), 1, 2)
    degree = DEGREES[min(n, len(DEGREES) - 1)]
    x, left = _smoothed(tree, n, jnp.zeros_like(residual), residual, degree)
    below = _restricted(tree, n, left)
    steps = STEPS[min(n, len(STEPS) - 1)]
    if n + 1 == len(tree.levels) - 1 or steps == 0:
        correction = cycle(tree, n + 1, below)
    else:
        correction = _few_steps(tree, n + 1, below, steps)
    before = x
    x = _prolonged(tree, n, correction, x)
    left = left - apply(tree, n, x - before)
    return _smoothed(tree, n, x, left, degree - 1)[0]


def _few_steps(tree: Hierarchy, n: int, residual: jax.Array, steps: int) -> jax.Array:
    """A few flexible conjugate gradient steps on level ``n``, each with the levels below as preconditioner."""

    def step(_: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        x, left, before, direction, size = state
        z = cycle(tree, n, left)
        grown = _inner(z, left - before)  # Polak, Ribiere: the preconditioner changes from step to step
        direction = z + jnp.where(size > 0, grown / _nonzero(size), 0) * direction
        image = apply(tree, n, direction)
        rate = _inner(direction, left) / _nonzero(_inner(direction, image))
        return x + rate * direction, left - rate * image, left, direction, _inner(z, left)

    nothing = jnp.zeros_like(residual)
    size = jnp.zeros((residual.shape[1], 1), residual.dtype)
    return lax.fori_loop(0, steps, step, (nothing, residual, nothing, nothing, size))[0]


def _inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """(cases, 1) inner product of each case."""
    return (a * b).sum(axis=(0, 2))[:, None]


def _nonzero(value: jax.Array) -> jax.Array:
    return jnp.where(value == 0, 1, value)


@jax.jit
def prepared(tree: Hierarchy) -> Hierarchy:
    """The hierarchy with diagonals and largest eigenvalues filled in."""
    levels = list(tree.levels)
    for n, level in enumerate(levels[:-1]):
        if n == 0:
            own = level.modulus[:, None] * jnp.diag(tree.stiffness)
        elif level.matrices is not None:
            own = jnp.diagonal(level.matrices, axis1=1, axis2=2)
        else:
            own = dot(level.modulus, jnp.diagonal(tree.children.reshape(24, 8, 24), axis1=0, axis2=2))
        start = jnp.zeros((level.inverse_diagonal.shape[0], 1, 3), jnp.float32)
        total = scattered(start, level.nodes, own)
        if level.extra is not None:
            total = scattered(total, level.extra_nodes, jnp.diagonal(level.extra, axis1=1, axis2=2))
        total = total[:, 0]
        # what floats leave of a held corner is not stiffness
        real = total > 1e-5 * total[:-1].max()
        real = real.at[-1].set(False)
        if level.free is not None:
            real &= level.free
        inverse = jnp.where(real, 1 / jnp.where(real, total, 1), 0)
        levels[n] = level._replace(inverse_diagonal=inverse)
        now = tree._replace(levels=tuple(levels))
        levels[n] = levels[n]._replace(largest=_largest_eigenvalue(now, n))
    return tree._replace(levels=tuple(levels))


def _largest_eigenvalue(tree: Hierarchy, n: int) -> jax.Array:
    scale = tree.levels[n].inverse_diagonal[:, None, :]
    rows = jnp.arange(scale.shape[0], dtype=jnp.uint32)[:, None, None]
    # any start with some of every motion will do; this one is the same on every machine
    mixed = (rows * 3 + jnp.arange(3, dtype=jnp.uint32)) * jnp.uint32(2654435761)
    start = jnp.where(scale > 0, (mixed >> 8).astype(jnp.float32) / (1 << 23) - 1, 0)

    def step(_: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, _size = state
        y = scale * apply(tree, n, x)
        size = jnp.sqrt((y * y).sum())
        return y / _nonzero(size), size

    first = start / _nonzero(jnp.sqrt((start * start).sum()))
    return _MARGIN * lax.fori_loop(0, _POWER, step, (first, jnp.float32(0)))[1]


@partial(jax.jit, donate_argnames=("displacement",))
def solve(
    tree: Hierarchy,
    stiffness: jax.Array,
    displacement: jax.Array,
    load: jax.Array,
    size: jax.Array,
    tolerance: jax.Array,
    limit: jax.Array,
) -> Outcome:
    """Flexible conjugate gradients in float64 (call it where jax has 64-bit numbers enabled).

    Args:
        tree: from `prepared`.
        stiffness: (24, 24) float64 matrix of a voxel.
        displacement: (nodes, cases, 3) float64 to start from, 0 where held.
        load: (nodes, cases, 3) float64, what is left of it at the start, 0 where held.
        size: (cases,) norm of the load to which residuals are compared.
        tolerance: of the residual.
        limit: of the steps.

    Returns:
        The solution, the steps, and the residual that conjugate gradients believe in.
    """
    fine = tree.levels[0]
    size = jnp.where(size > 0, size, 1)[:, None]

    def remaining(residual: jax.Array) -> jax.Array:
        return jnp.sqrt(_inner(residual, residual)) / size

    def goes_on(state: tuple[Any, ...]) -> jax.Array:
        return (state[0] < limit) & (state[-1] > tolerance).any() & jnp.isfinite(state[-1]).all()

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, x, residual, direction, image, product, _, left = state
        # residuals shrink by orders of magnitude: bring each to length 1 before it becomes float32
        length = jnp.where(left > 0, left, 1) * size
        z = cycle(tree, 0, (residual / length).astype(jnp.float32)).astype(jnp.float64) * length
        # z . K direction is exact conjugation to the last direction, whatever the preconditioner did
        beta = jnp.where(product > 0, -_inner(z, image) / _nonzero(product), 0)
        direction = z + beta * direction
        image = elasticity.stiffness_product(direction, fine.nodes, fine.modulus, stiffness, fine.count)
        image = jnp.where(fine.free[:, None, :], image, 0)
        product = _inner(direction, image)
        # a case that is done stays as it is
        rate = jnp.where(left > tolerance, _inner(direction, residual) / _nonzero(product), 0)
        residual = residual - rate * image
        return count + 1, x + rate * direction, residual, direction, image, product, rate, remaining(residual)

    nothing = jnp.zeros_like(load)
    zero = jnp.zeros((load.shape[1], 1), load.dtype)
    state = (jnp.int32(0), displacement, load, nothing, nothing, zero, zero, remaining(load))
    state = lax.while_loop(goes_on, step, state)
    return Outcome(state[1], state[0], state[-1][:, 0])
