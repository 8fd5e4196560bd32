"""Osteocytes and damage of a whole volume at a time, on the device: what they are now, and what is around each place.

Everything is worked out for all voxels at once, fused into few passes. Voxels that are no bone now are followed too:
one that a BMU has taken in part may keep its old bone's step of formation when it is refilled, and its cells with it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels.cavity import BONE
from microct.kernels.random import mixed
from microct.state import Worn
from microct.tissue.osteocytes import Law

Array = Any

#: Bits of a float32 that float16 does not have; sets these random numbers apart from those of births.
_LOST, _SALT = 13, 0x0C1E5EED


class Time(NamedTuple):
    """When it is looked.

    Attributes:
        since: step of the look before, which left `Worn`; 0 where there was none. What was formed in that step or
            later is new.
        step: now.
        survives: (steps + 1,) float32, share of the cells of each step that age and estrogen leave alive now.
        at_first: share alive in the bone of the scan at step 0.
        step_yr: length of a step [yr].
    """

    since: Array
    step: Array
    survives: Array
    at_first: Array
    step_yr: Array


@partial(jax.jit, static_argnames="law")
def now(formed_on: Array, worn: Worn | None, time: Time, law: Law) -> tuple[Array, Array]:
    """(share of osteocytes alive, damage) of every voxel, float32, as if it were bone; ``worn`` is None where load does
    no damage.
    """
    formed = formed_on.astype(jnp.int32)
    old = (formed < time.since) | (formed == 0)  # a look comes before its step's work; 0 is bone of the scan
    began = jnp.where(old, time.since, formed)
    survives = jnp.take(time.survives, began, mode="clip")
    if worn is None:
        alive = jnp.where(old, time.at_first, 1.0) * survives
        damage = jnp.zeros_like(alive)
    else:
        first, before = (
            jnp.where(old, field.astype(jnp.float32), new) for field, new in zip(worn[:2], (1.0, 0.0), strict=True)
        )
        years = jnp.maximum(time.step - began, 0) * time.step_yr
        alive, damage = law.later(first, before, worn.rate.astype(jnp.float32), years, survives)
    return alive, damage


@partial(jax.jit, static_argnames="law")
def rate_of(fraction: Array, energy: Array, scale: Array, law: Law) -> Array:
    """Damage done in a year under strain energy density ``energy`` [MPa], float32; ``scale`` as of `Law.scale`."""
    return jnp.where(fraction >= BONE, law.rate(energy, scale), 0.0)


@jax.jit
def kept(alive: Array, damage: Array, rate: Array, seed: Array, step: Array) -> Worn:
    """As they are kept until the next look, in float16.

    What changes from look to look is rounded up or down by chance, so that it is kept on the mean: a week's deaths are
    less than half of what float16 tells apart, and would never be seen.

    Args:
        seed: uint32, of the run; same seed and step, same bits.
        step: of the look.
    """
    at = (jax.lax.broadcasted_iota(jnp.uint32, alive.shape, axis) for axis in range(3))
    index: Array = jnp.uint32(0)
    for place, length in zip(at, alive.shape, strict=True):
        index = index * jnp.uint32(length) + place
    word = mixed(seed ^ jnp.uint32(_SALT), step, index)
    return Worn(_by_chance(alive, word), _by_chance(damage, word >> _LOST), rate.astype(jnp.float16))


def _by_chance(value: Array, word: Array) -> Array:
    """Float16 of float32, up or down with the chance that keeps the mean; the low bits of ``word`` are the chance."""
    bits = jax.lax.bitcast_convert_type(value.astype(jnp.float32), jnp.uint32)
    lost = jnp.uint32((1 << _LOST) - 1)
    return jax.lax.bitcast_convert_type((bits + (word & lost)) & ~lost, jnp.float32).astype(jnp.float16)


@partial(jax.jit, static_argnames="edge")
def cells(fraction: Array, alive: Array, damage: Array, edge: int) -> tuple[Array, Array, Array]:
    """Sums over cubes of ``edge`` voxels, float32: (bone voxels, missing osteocytes, damage)."""
    bone = (fraction >= BONE).astype(jnp.float32)
    return _summed(bone, edge), _summed(bone * (1.0 - alive), edge), _summed(bone * damage, edge)


def _summed(field: Array, edge: int) -> Array:
    """One axis after the other, the slowest first: what is added lies side by side."""
    for axis in range(3):
        length = field.shape[axis]
        number = -(-length // edge)
        total = jnp.float32(0.0)
        for first in range(min(edge, length)):
            part = jax.lax.slice_in_dim(field, first, length, stride=edge, axis=axis)
            total += jnp.pad(part, [(0, number - part.shape[axis] if k == axis else 0) for k in range(3)])
        field = total
    return field


@partial(jax.jit, static_argnames="edge")
def over_voxels(fraction: Array, coarse: Array, elsewhere: Array, edge: int) -> Array:
    """The value of each bone voxel's cube; ``elsewhere`` outside bone."""
    field = coarse
    for axis, length in enumerate(fraction.shape):
        field = jax.lax.slice_in_dim(jnp.repeat(field, edge, axis=axis), 0, length, axis=axis)
    return jnp.where(fraction >= BONE, field, elsewhere)


@jax.jit
def weighed(fraction: Array, alive: Array, damage: Array) -> tuple[Array, Array, Array]:
    """Sums over rows, (nz, ny) float32, of bone fraction in bone voxels: alone, times alive, times damage."""
    bone = jnp.where(fraction >= BONE, fraction, 0).astype(jnp.float32)
    return bone.sum(axis=2), (bone * alive).sum(axis=2), (bone * damage).sum(axis=2)
