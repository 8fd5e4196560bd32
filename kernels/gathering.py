"""Sums over lists in an order that never changes, for processors that work side by side.

Adding rows to the places that they name is fast where one worker goes through the list, and leaves the order to chance
where many do. Here each place knows which entries name it, and gathers them: the same bits every time. Lists hold at
least one row more than matter, whose last entry is nothing: places name it where they have no more entries. To ask
instead whether an entry is there would take a GPU one pass for each column of the table; so all are one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

#: How to index where all indices are known to be valid; without this XLA clamps or drops each of them.
VALID: dict[str, Any] = {"mode": "promise_in_bounds", "wrap_negative_indices": False}


@partial(jax.jit, static_argnames="places")
def widest(names: jax.Array, count: jax.Array, places: int) -> jax.Array:
    """The largest number of entries that name one place; arguments as in `incident`."""
    return jnp.zeros(places + 1, jnp.int32).at[_named(names, count, places)].add(1)[:places].max()


@partial(jax.jit, static_argnames=("places", "width"))
def incident(names: jax.Array, count: jax.Array, places: int, width: int) -> jax.Array:
    """Which entries name each place.

    Args:
        names: (rows, n) int32 place that each entry names.
        count: how many rows matter, fewer than there are.
        places: how many places there are.
        width: at least `widest`.

    Returns:
        (width, places) int32 positions in ``names.ravel()``, ascending; the last of all where there are no more.
    """
    flat = _named(names, count, places)
    order = jnp.argsort(flat, stable=True).astype(jnp.int32)
    sorted_names = flat[order]
    number = jnp.arange(flat.size, dtype=jnp.int32)
    begins = jnp.concatenate([jnp.ones(1, bool), sorted_names[1:] != sorted_names[:-1]])
    rank = number - lax.cummax(jnp.where(begins, number, 0))
    empty = jnp.full((width, places), flat.size - 1, jnp.int32)
    return empty.at[rank, sorted_names].set(order, mode="drop", unique_indices=True)


def gathered_sum(entries: jax.Array, table: jax.Array) -> jax.Array:
    """(places, ...) sum of the ``entries`` (n, ...) that a table of `incident` lists for each place, in its order.

    The last entry must be 0.
    """
    total = jnp.zeros((table.shape[1], *entries.shape[1:]), entries.dtype)
    for each in table:
        total = total + entries.at[each].get(**VALID)
    return total


def width_for(most: int) -> int:
    """The entries of a place in a table for ``most`` of them: multiples of four, so that few shapes occur."""
    return max(-(-most // 4), 1) * 4


def _named(names: jax.Array, count: jax.Array, places: int) -> jax.Array:
    """Names in one row, those that do not matter beyond all places."""
    rows = jnp.arange(names.shape[0], dtype=jnp.int32)[:, None] < count
    return jnp.where(rows, names, places).reshape(-1)
