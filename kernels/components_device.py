"""Sets joined by pairs, where many work side by side: `components.union` on lists of fixed size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from microct.kernels.gathering import VALID

_State = tuple[jax.Array, jax.Array, jax.Array]


def joined(first: jax.Array, left: jax.Array, right: jax.Array) -> jax.Array:
    """The smallest member of each thing's set, once left[i] and right[i] are in one set.

    Each round hooks the larger root of every pair onto the smallest that is asked for, and then shortens all paths. A
    pair that lost to another one is asked again in the next round. Nothing depends on the order of work.

    Args:
        first: (things,) int32 smallest member of each thing's set so far; ``arange`` where each is alone.
        left: int32 of any shape, things.
        right: of the same shape; the same thing where nothing is to be joined.

    Returns:
        (things,) int32.
    """

    def goes_on(state: _State) -> jax.Array:
        return (state[1] != state[2]).any()

    def hooked(state: _State) -> _State:
        first, a, b = state
        first = _shortened(first.at[jnp.maximum(a, b)].min(jnp.minimum(a, b), **VALID))
        return first, first.at[left].get(**VALID), first.at[right].get(**VALID)

    begin = (first, first.at[left].get(**VALID), first.at[right].get(**VALID))
    return lax.while_loop(goes_on, hooked, begin)[0]


def _shortened(first: jax.Array) -> jax.Array:
    """Every path to a root cut to one step."""

    def shorter(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        nearer = state[0].at[state[0]].get(**VALID)
        return nearer, (nearer != state[0]).any()

    return lax.while_loop(lambda state: state[1], shorter, (first, jnp.bool_(True)))[0]
