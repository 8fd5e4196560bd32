"""Counter-based random numbers: Threefry-2x32 with 20 rounds, keyed by (seed, step, stream; index).

A number depends on its key and counter alone, never on how many were drawn before, on array shapes or on the
number of devices, so that a resumed or sharded run draws the same bits. The generator is our own and frozen:
a library's stream may change with its version. Salmon et al. 2011, doi:10.1145/2063384.2063405 (verified with
the published known-answer vectors).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

Array = Any

#: Streams: what a number is drawn for. Values are part of the frozen stream; never renumber.
POSITION, ACCEPTANCE, DEPTH, COUNT = 0, 1, 2, 3
#: What is added to the first four for units that form bone without resorption (modeling).
MODELING = 4
#: Bits of the seed that osteonal BMUs see turned over, so that their numbers are their own.
OSTEONAL = 0x9E3779B9
STREAMS = 8

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_GOLDEN = 0x9E3779B9


def threefry2x32(key0: Array, key1: Array, counter0: Array, counter1: Array, xp: Any = jnp) -> tuple[Array, Array]:
    """Two uint32 words for each (key, counter); arguments uint32, broadcastable; ``xp`` jax.numpy or numpy."""
    u32 = xp.uint32
    keys = (key0, key1, key0 ^ key1 ^ u32(_PARITY))
    x0, x1 = counter0 + keys[0], counter1 + keys[1]
    for block in range(5):
        for turn in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = (x1 << u32(turn)) | (x1 >> u32(32 - turn))
            x1 = x0 ^ x1
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + u32(block + 1)
    return x0, x1


def words(seed: Array, step: Array, stream: int, index: Array, xp: Any = jnp) -> tuple[Array, Array]:
    """Two uint32 words for each ``index`` of one stream at one step.

    Args:
        seed: uint32 scalar.
        step: scalar, less than 2**29.
        stream: one of this module's streams.
        index: integers of any shape, at most 2**32.
    """
    u32 = xp.uint32
    key1 = xp.asarray(step).astype(u32) * u32(STREAMS) + u32(stream)
    index = xp.asarray(index).astype(u32)
    return threefry2x32(xp.asarray(seed).astype(u32), key1, index, xp.zeros_like(index), xp)


def mixed(salt: Array, step: Array, index: Array, xp: Any = jnp) -> Array:
    """One uint32 word for each (salt, step, index), in a dozen operations: for small choices by the million.

    The generator has a start of its own for each salt and index, and goes on by the golden ratio for each step
    (Steele et al. 2014, doi:10.1145/2660193.2660195); MurmurHash3's finalizer (Appleby) mixes the bits of both.

    Args:
        salt: uint32, broadcastable; step: scalar; index: integers, broadcastable.
    """
    u32 = xp.uint32
    start = _finalized((xp.asarray(index).astype(u32) * u32(2654435761)) ^ xp.asarray(salt).astype(u32), xp)
    return _finalized(start + xp.asarray(step).astype(u32) * u32(_GOLDEN), xp)


def _finalized(word: Array, xp: Any) -> Array:
    u32 = xp.uint32
    word = (word ^ (word >> u32(16))) * u32(0x85EBCA6B)
    word = (word ^ (word >> u32(13))) * u32(0xC2B2AE35)
    return word ^ (word >> u32(16))


def below(word: Array, bound: Array, xp: Any = jnp) -> Array:
    """Uniform integers in [0, bound), int32: the high half of word * bound, in uint32 arithmetic (bound < 2**16)."""
    u32 = xp.uint32
    bound = xp.asarray(bound).astype(u32)
    high, low = word >> u32(16), word & u32(0xFFFF)
    return ((high * bound + ((low * bound) >> u32(16))) >> u32(16)).astype(xp.int32)


def below_wide(word: Array, bound: int) -> Array:
    """Uniform integers in [0, 65536 * bound), int32, for a bound of at most 256: the high bits of word * bound."""
    u32 = jnp.uint32
    high, low = word >> u32(16), word & u32(0xFFFF)
    return (high * u32(bound) + ((low * u32(bound)) >> u32(16))).astype(jnp.int32)


def poisson(seed: int, step: int, mean: float, stream: int = COUNT) -> int:
    """One Poisson number for (seed, step) on the host, by inversion in float64; exact for means up to 1e6.

    A large mean is cut into parts of at most 500, whose counts add up to the same law.
    """
    if not mean >= 0.0:
        raise ValueError(f"a Poisson mean must be >= 0, got {mean}")
    parts = max(1, int(np.ceil(mean / 500.0)))
    high, low = words(np.uint32(seed), np.uint32(step), stream, np.arange(parts), np)
    uniform = (high.astype(np.float64) * 2.0**32 + low.astype(np.float64) + 0.5) * 2.0**-64
    # Chances of 0, 1, 2 ... up to where nothing is left, one after the other; each part is looked up in their sums.
    part_mean = mean / parts
    most = int(part_mean + 60.0 * (1.0 + part_mean**0.5)) + 1
    chance = np.cumprod(np.concatenate([[np.exp(-part_mean)], part_mean / np.arange(1.0, most + 1.0)]))
    last = min(int(np.count_nonzero(chance)), most)
    return int(np.searchsorted(np.cumsum(chance), uniform).clip(max=last).sum())
