"""Loose bone, found on a device: what hangs neither on the largest piece nor on the border, by flooding packed bits.

A flood of a thousand dilations, each a pass over one bit a voxel, costs a device less than the host takes to number all
pieces. The largest piece is known where it has more than half of the bone; elsewhere the host must look
(`components.islands`).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import window as w

Array = Any

#: Dilations between two looks at whether anything still spreads.
_AT_ONCE = 16


def without_loose(fraction: Array) -> tuple[Array, int] | None:
    """The bone without its islands (`components.islands`) and crumbs, partial voxels that touch no remaining bone.

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction.

    Returns:
        (fraction without them, what they held [1/255 voxel]); None where no piece has more than half of the bone.
    """
    kept, largest, bone = _held(fraction)
    if 2 * int(np.asarray(largest).sum(dtype=np.int64)) <= int(np.asarray(bone).sum(dtype=np.int64)):
        return None
    left, lost = _left(fraction, kept)
    return left, int(np.asarray(lost).sum(dtype=np.int64))


@jax.jit
def _held(fraction: Array) -> tuple[Array, Array, Array]:
    """Packed bone of one piece, that around the middle, and of all that touch the border; voxels of that piece and of
    all bone in each plane.
    """
    mask = fraction >= w.BONE
    bone, shape = w.packed(mask), mask.shape
    middle = shape[0] // 2
    here = w.Ranked.of(mask[middle : middle + 1])
    y, x = jnp.divmod(here.place(here.count // 2), shape[2])
    grid = [jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in range(3)]
    seed = w.packed((grid[0] == middle) & (grid[1] == y) & (grid[2] == x)) & bone
    border = w.packed(jnp.stack([(k == 0) | (k == n - 1) for k, n in zip(grid, shape, strict=True)]).any(axis=0))
    piece = _spread(seed, bone)
    return _spread(piece | border & bone, bone), _voxels(piece), _voxels(bone)


def _spread(bits: Array, way: Array) -> Array:
    """All of the packed ``way`` that hangs together with ``bits``."""

    def go_on(held: tuple[Array, Array]) -> tuple[Array, Array]:
        before, _ = held
        after = before
        for _ in range(_AT_ONCE):
            after = w.grown(after) & way
        return after, (after != before).any()

    return jax.lax.while_loop(lambda held: held[1], go_on, (bits, jnp.bool_(True)))[0]


def _voxels(bits: Array) -> Array:
    return jnp.sum(jax.lax.population_count(bits).astype(jnp.int32), axis=(1, 2))


@jax.jit
def _left(fraction: Array, kept: Array) -> tuple[Array, Array]:
    """(fraction beside or in the packed bone ``kept``, what the others hold in each plane [1/255 voxel])."""
    near = w.unpacked(w.grown(kept), fraction.shape[2])
    lost = jnp.sum(jnp.where(near, 0, fraction).astype(jnp.int32), axis=(1, 2))
    return jnp.where(near, fraction, 0), lost
