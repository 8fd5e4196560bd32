"""Bone that hangs on nothing is lost: islands, and crumbs beside no bone."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from microct.kernels import components, loose
from microct.kernels.cavity import BONE
from microct.kernels.device import has_accelerator

Array = Any


def cleared(fraction: Array) -> tuple[Array, int]:
    """The bone fraction without what is `lost`, on its device, and what that held [1/255 voxel]."""
    found = loose.without_loose(fraction) if has_accelerator() else None
    if found is not None:
        return found
    on_host = np.asarray(fraction)
    gone = lost(on_host)
    if not gone.any():
        return fraction, 0
    return jnp.asarray(np.where(gone, np.uint8(0), on_host)), int(on_host[gone].sum(dtype=np.int64))


def lost(fraction: np.ndarray) -> np.ndarray:
    """Voxels that belong to islands, bool of the same shape.

    An island is a 26-connected piece of bone (fraction at least one half) that is neither the largest nor at the
    volume's border, where it may hang on what the scan cut off. Partial voxels that touch no remaining bone are crumbs.
    """
    bone = fraction >= BONE
    near = bone & ~components.islands(bone)
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        grown = near.copy()
        grown[tuple(high)] |= near[tuple(low)]
        grown[tuple(low)] |= near[tuple(high)]
        near = grown
    return (fraction > 0) & ~near
