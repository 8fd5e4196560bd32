"""Vectors of the multigrid solver, laid out for arithmetic: 64 nodes a row.

Products with stiffness want (nodes, cases, 3). Compilers for CPUs make loops over the last axis of what they add and
multiply, and three numbers are too short for one: sums of such arrays took ten times as long as those of long rows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

#: Nodes in a row; lists of nodes are filled up to multiples of it.
_ROW = 64

#: Rows whose longer floats are at hand at a time.
_ROWS = 64


def laid_out(values: jax.Array) -> jax.Array:
    """(nodes / 64, 64 * cases * 3) of (nodes, cases, 3)."""
    return values.reshape(values.shape[0] // _ROW, -1)


def at_nodes(values: jax.Array) -> jax.Array:
    """(nodes, cases, 3) of what `laid_out` gave."""
    return values.reshape(-1, cases_of(values), 3)


def cases_of(values: jax.Array) -> int:
    """How many cases there are in a vector that is laid out."""
    return values.shape[1] // (3 * _ROW)


def every_case(scale: jax.Array, cases: int) -> jax.Array:
    """Numbers of nodes (nodes, 1 or 3), laid out as a vector of so many cases."""
    each = scale.reshape(-1, _ROW, 1, scale.shape[1])
    return jnp.broadcast_to(each, (*each.shape[:2], cases, 3)).reshape(each.shape[0], -1)


def every_node(number: jax.Array) -> jax.Array:
    """Numbers of cases (cases, 1) as a row that vectors can be multiplied by."""
    return number if number.shape[0] == 1 else jnp.tile(jnp.repeat(number[:, 0], 3), _ROW)[None]


def inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """(cases, 1) inner product of each case."""
    return _of_cases((a * b).sum(axis=0))


def exact_inner(a: jax.Array, b: jax.Array, at_once: bool = False) -> jax.Array:
    """(cases, 1) inner product of each case, summed in float64.

    ``at_once``: all rows together, for a GPU, which works the longer floats out on the way to their sum.
    """
    if at_once:
        return inner(a.astype(jnp.float64), b.astype(jnp.float64))
    rows = min(_ROWS, a.shape[0] & -a.shape[0])

    def add(i: jax.Array, total: jax.Array) -> jax.Array:  # the longer floats of a few rows at a time
        here = [lax.dynamic_slice_in_dim(each, i * rows, rows).astype(jnp.float64) for each in (a, b)]
        return total + (here[0] * here[1]).sum(axis=0)

    return _of_cases(lax.fori_loop(0, a.shape[0] // rows, add, jnp.zeros(a.shape[1], jnp.float64)))


def _of_cases(columns: jax.Array) -> jax.Array:
    """(cases, 1) sums of the columns that belong to each case."""
    return columns.reshape(_ROW, -1, 3).sum(axis=(0, 2))[:, None]
