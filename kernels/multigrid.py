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

from microct.kernels.elasticity import dot, nothing_like
from microct.kernels.multigrid_levels import Hierarchy
from microct.kernels.multigrid_products import (
    diagonal,
    fine_product,
    in_place,
    left_over,
    prolonged,
    restricted,
    stiffness_times,
)
from microct.kernels.multigrid_vectors import (
    at_nodes,
    cases_of,
    every_case,
    every_node,
    exact_inner,
    inner,
    laid_out,
)

#: Degree of the smoothing polynomial on each level, the finest first; the last holds for all deeper ones.
DEGREES = (3, 3, 3, 4)

#: Most conjugate gradient steps with which each level below the finest is solved, the first for the second level. Cells
#: of four voxels are as thick as trabeculae, which bend in them too stiffly on the next level: there most are needed.
STEPS = (3, 4, 2, 1)

#: Share of its residual to which a level below the finest is solved, if the steps are enough for it.
_ENOUGH = 0.1

#: Power iterations for the largest eigenvalue of a level, and what is added since they approach it from below.
_POWER, _MARGIN = 10, 1.1


class Outcome(NamedTuple):
    """How conjugate gradients ended: solution (nodes, cases, 3), steps, residual over load (cases,), and what they
    believe is left of the load (nodes, cases, 3), which takes the place of the load that was given.
    """

    displacement: jax.Array
    iterations: jax.Array
    residual: jax.Array
    left: jax.Array


#: Solution, residual and last move of a smoother.
_Swept = tuple[jax.Array, jax.Array, jax.Array]


def _swept(
    tree: Hierarchy, n: int, x: jax.Array, residual: jax.Array, move: jax.Array, turns: tuple[int, int]
) -> _Swept:
    """Chebyshev smoothing of the fourth kind, a move at a time: x, the residual that belongs to it, and the last move.

    A turn works out its move, makes it, and lets the residual learn of it. The polynomial begins with the move of turn
    0, which knows of none before; turn -1 makes the move that is given. All is done in the place of what it replaces,
    which needs this order: a move that were worked out last would be copied for the product.
    """

    def turn(k: jax.Array, state: _Swept) -> _Swept:
        x, residual, move = state
        move = _next_move(tree, n, k, residual, move)
        return x + move, laid_out(left_over(tree, n, at_nodes(residual), at_nodes(move))), move

    state = (x, residual, move)
    if n == 0 or tree.levels[n].around is None:
        return lax.fori_loop(*turns, turn, state)
    # where many work side by side a loop's turn costs as much as what it does on a small level; on the finest the loop
    # stays, since it saves memory
    for k in range(*turns):
        state = turn(jnp.int32(k), state)
    return state


def _next_move(tree: Hierarchy, n: int, k: jax.Array | int, residual: jax.Array, move: jax.Array) -> jax.Array:
    """The move of turn ``k`` from the one before it."""
    k = jnp.asarray(k, residual.dtype)
    kept = jnp.where(k < 0, 1, jnp.where(k == 0, 0, (2 * k - 1) / (2 * k + 3)))
    # scale times residual first: a number times scale would be kept, as the same in every step
    return kept * move + jnp.where(k < 0, 0, (8 * k + 4) / (2 * k + 3)) * (
        every_case(tree.levels[n].smoothing, cases_of(residual)) * residual
    )


def _degree(n: int) -> int:
    return DEGREES[min(n, len(DEGREES) - 1)]


def cycle(tree: Hierarchy, n: int, residual: jax.Array, size: jax.Array | None = None) -> jax.Array:
    """What level ``n`` says solves stiffness times x = residual, float32, laid out as are all vectors here.

    With a ``size`` (cases, 1) the residual is float64, and is divided by it before it becomes float32.
    """

    def given(after: jax.Array) -> jax.Array:
        # float32 of it is made again once there is ``after``, so that it is not kept while the levels below work
        return residual if size is None else (residual / every_node(size + 0 * after[-1, 0])).astype(jnp.float32)

    whole = given(residual)
    if n == len(tree.levels) - 1:
        cases = cases_of(whole)
        flat = jnp.swapaxes(at_nodes(whole), 1, 2).reshape(-1, cases)
        return laid_out(jnp.swapaxes(dot(tree.coarsest, flat).reshape(-1, 3, cases), 1, 2))
    degree, nothing = _degree(n), nothing_like(whole)
    x, left, _ = _swept(tree, n, nothing, whole, nothing, (0, degree))
    below = laid_out(restricted(tree, n, at_nodes(left)))
    steps = STEPS[min(n, len(STEPS) - 1)]
    if n + 1 == len(tree.levels) - 1 or steps == 0:
        correction = cycle(tree, n + 1, below)
    else:
        correction = _few_steps(tree, n + 1, below, steps)
    # all of x as one move from nothing: what was left before the correction need not be kept beside x
    x = laid_out(prolonged(tree, n, at_nodes(correction), at_nodes(x)))
    x, left, move = _swept(tree, n, nothing_like(x), given(x), x, (-1, degree - 1))
    return in_place(lambda x: x + _next_move(tree, n, degree - 1, left, move), x, tree.levels[n].count)


def _few_steps(tree: Hierarchy, n: int, residual: jax.Array, steps: int) -> jax.Array:
    """Flexible conjugate gradients on level ``n``, each step with the levels below as preconditioner.

    At most ``steps`` of them, fewer where the residual has become small enough in every case.
    """

    def goes_on(state: tuple[Any, ...]) -> jax.Array:
        return (state[0] < steps) & (inner(state[2], state[2]) > _ENOUGH**2 * first).any()

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, x, left, before, direction, size = state
        z = cycle(tree, n, left)
        grown = inner(z, left - before)  # Polak, Ribiere: the preconditioner changes from step to step
        direction = z + every_node(jnp.where(size > 0, grown / _nonzero(size), 0)) * direction
        image = laid_out(stiffness_times(tree, n, at_nodes(direction)))
        rate = every_node(inner(direction, left) / _nonzero(inner(direction, image)))
        return count + 1, x + rate * direction, left - rate * image, left, direction, inner(z, left)

    first = inner(residual, residual)
    nothing = nothing_like(residual)
    size = jnp.zeros((cases_of(residual), 1), residual.dtype)
    return lax.while_loop(goes_on, step, (jnp.int32(0), nothing, residual, nothing, nothing, size))[1]


def _nonzero(value: jax.Array) -> jax.Array:
    return jnp.where(value == 0, 1, value)


def prepared(tree: Hierarchy) -> Hierarchy:
    """The hierarchy with what its smoothers need; all else is shared with ``tree``."""
    levels = [a._replace(smoothing=b) for a, b in zip(tree.levels[:-1], _smoothings(tree), strict=True)]
    return tree._replace(levels=(*levels, tree.levels[-1]))


@jax.jit
def _smoothings(tree: Hierarchy) -> list[jax.Array]:
    """`Level.smoothing` of each level but the coarsest; only they, since what a compiled function returns is a copy."""
    found = []
    for n in range(len(tree.levels) - 1):
        total = diagonal(tree, n)
        # what floats leave of a held corner is not stiffness
        real = total > 1e-5 * total[:-1].max()
        real = real.at[-1].set(False)
        inverse = jnp.where(real, 1 / jnp.where(real, total, 1), 0)
        found.append(inverse / _largest_eigenvalue(tree, n, inverse))
    return found


def _largest_eigenvalue(tree: Hierarchy, n: int, inverse_diagonal: jax.Array) -> jax.Array:
    scale = inverse_diagonal[:, None, :]
    free = tree.levels[n].free
    rows = jnp.arange(scale.shape[0], dtype=jnp.uint32)[:, None, None]
    # any start with some of every motion will do; this one is the same on every machine
    mixed = (rows * 3 + jnp.arange(3, dtype=jnp.uint32)) * jnp.uint32(2654435761)
    start = jnp.where(scale > 0, (mixed >> 8).astype(jnp.float32) / (1 << 23) - 1, 0)
    if free is not None:
        start = jnp.where(free[:, None, :], start, 0)

    def step(_: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, _size = state
        y = scale * stiffness_times(tree, n, x)
        size = jnp.sqrt((y * y).sum())
        return y / _nonzero(size), size

    first = start / _nonzero(jnp.sqrt((start * start).sum()))
    return _MARGIN * lax.fori_loop(0, _POWER, step, (first, jnp.float32(0)))[1]


@partial(jax.jit, donate_argnames=("displacement", "load"))
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
        displacement: (nodes, cases, 3) float64 to start from, as given where held; donated.
        load: (nodes, cases, 3) float64, what is left of it at the start, 0 where held; donated.
        size: (cases,) norm of the load to which residuals are compared.
        tolerance: of the residual.
        limit: of the steps.

    Returns:
        The solution, the steps, and the residual that conjugate gradients believe in.
    """
    fine = tree.levels[0]
    size = jnp.where(size > 0, size, 1)[:, None]
    free = every_case(fine.free, load.shape[1])
    exact_product = partial(exact_inner, at_once=fine.around is not None)

    def remaining(residual: jax.Array) -> jax.Array:
        return jnp.sqrt(inner(residual, residual)) / size

    def goes_on(state: tuple[Any, ...]) -> jax.Array:
        return (state[0] < limit) & (state[-1] > tolerance).any() & jnp.isfinite(state[-1]).all()

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, x, residual, direction, image, product, left = state
        # residuals shrink by orders of magnitude: bring each to length 1 before it becomes float32
        length = jnp.where(left > 0, left, 1) * size
        z = cycle(tree, 0, residual, length)
        # z . K direction is conjugation to the last direction, whatever the preconditioner did
        beta = every_node(jnp.where(product > 0, -exact_product(z, image) / _nonzero(product), 0))
        # any direction will do, as long as its image is exact: float32 holds one
        direction = in_place(lambda last: (z + beta * last).astype(jnp.float32), direction, count)
        exact = laid_out(fine_product(fine, at_nodes(direction), stiffness))
        product = exact_product(direction, exact)
        # a case that is done stays as it is
        rate = jnp.where(left > tolerance, exact_product(direction, residual) / _nonzero(product), 0)
        rate = every_node(rate)
        residual = jnp.where(free, residual - rate * exact, 0)
        return (
            count + 1,
            x + rate * direction,
            residual,
            direction,
            exact.astype(jnp.float32),
            product,
            remaining(residual),
        )

    begin = laid_out(load)
    nothing = jnp.zeros(begin.shape, jnp.float32)
    zero = jnp.zeros((load.shape[1], 1), load.dtype)
    state = (jnp.int32(0), laid_out(displacement), begin, nothing, nothing, zero, remaining(begin))
    state = lax.while_loop(goes_on, step, state)
    return Outcome(at_nodes(state[1]), state[0], state[-1][:, 0], at_nodes(state[2]))
