"""Bone by the step in which it was formed, counted for a whole volume: on the host, or on the device where it lies."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.device import has_accelerator

Array = Any

#: Voxels that the host counts together; steps for which a program is compiled at once.
_CHUNK, _STEPS = 1 << 24, 512


def mass_by_step(fraction: Array, formed_on: Array, steps: int) -> tuple[np.ndarray, int]:
    """How much bone was formed in each step, that of the scan first.

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction.
        formed_on: (nz, ny, nx) uint16, step in which a voxel's bone was formed; 0 for bone of the scan.
        steps: steps done.

    Returns:
        (steps + 2,) float64, whole numbers [1/255 voxel], and the last step in which bone was formed: where it lies
        beyond those, its bone is not counted.
    """
    if has_accelerator():
        room = -(-(steps + 2) // _STEPS) * _STEPS
        counted, whole, latest = _counted(jnp.asarray(fraction), jnp.asarray(formed_on), room)
        new = np.asarray(counted).sum(axis=0, dtype=np.int64)
        new[0] = np.asarray(whole).sum(dtype=np.int64) - new.sum()
        return new[: steps + 2].astype(np.float64), int(latest)
    mass, last = np.zeros(steps + 2), 0
    flat, when = np.asarray(fraction).reshape(-1), np.asarray(formed_on).reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        held, formed_here = flat[start : start + _CHUNK], when[start : start + _CHUNK]
        # Most bone is the scan's: it is what is left of all when what was formed since is counted.
        fresh = np.flatnonzero(formed_here.astype(bool) & held.astype(bool))
        part = np.bincount(formed_here[fresh], held[fresh])
        last = max(last, len(part) - 1)
        part = np.pad(part[: len(mass)], (0, max(len(mass) - len(part), 0)))
        part[0] = held.sum(dtype=np.int64) - part.sum()
        mass += part
    return mass, last


@partial(jax.jit, static_argnames="room")
def _counted(fraction: Array, formed_on: Array, room: int) -> tuple[Array, Array, Array]:
    """(bone of each plane by the step in which it was formed since the scan, all of its bone; the last such step)."""
    bone = fraction.astype(jnp.int32)
    when = jnp.where(fraction > 0, formed_on, 0).astype(jnp.int32)
    # The scan's bone would have all its voxels wait for one counter.
    to = jnp.where(when > 0, when, room).reshape(len(when), -1)
    counted = jax.vmap(lambda to, held: jnp.zeros(room, jnp.int32).at[to].add(held, mode="drop"))
    return counted(to, bone.reshape(to.shape)), bone.sum(axis=(1, 2)), when.max()
