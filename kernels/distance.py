"""Exact squared Euclidean distances to the nearest background voxel, in integer voxel units.

Separable (Saito, Toriwaki 1994): squared distance along z by two sweeps, then along y and x the minimum over
shifts k of the squared distance there plus k^2. A shift whose k^2 reaches the largest distance left changes
nothing, so that the work follows the thickness of the structure, not the size of the volume.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

#: Squared distance where the whole volume has no background.
UNREACHED = 1 << 30

# Farthest shift tried at first; structures thicker than this need a second, wider pass with more memory.
_REACH = 32
# Shifts between two looks at whether any further one can matter.
_STRIDE = 4
# Axes are filled up to a multiple of this.
_BUCKET = 16


def squared_distance(mask: np.ndarray | jax.Array) -> jax.Array:
    """Squared distance from each voxel's center to the nearest center of a background voxel.

    What lies outside the volume is unknown, and is not background.

    Args:
        mask: (nz, ny, nx); nonzero is foreground. Axes up to 18 900 voxels.

    Returns:
        (nz, ny, nx) int32: 0 in the background; `UNREACHED` everywhere where there is no background at all.
    """
    shape = mask.shape
    # Foreground added behind the last voxels changes no distance, and few shapes compile few programs.
    extra = [(0, -n % _BUCKET) for n in shape]
    if isinstance(mask, jax.Array):
        filled = jnp.pad(mask != 0, extra, constant_values=True)
    else:
        filled = jnp.asarray(np.pad(np.asarray(mask) != 0, extra, constant_values=True))
    squared = _along_z(filled)
    for axis in (1, 2):
        length = squared.shape[axis]
        reach = min(_REACH, length - 1)
        narrow, largest = _along(squared, axis, reach)
        if reach < length - 1 and int(largest) > (reach + 1) ** 2:
            narrow, largest = _along(squared, axis, length - 1)
        squared = narrow
    return squared[: shape[0], : shape[1], : shape[2]]


@jax.jit
def _along_z(mask: jax.Array) -> jax.Array:
    """Squared distance to background in the same column along z; `UNREACHED` where the column has none."""
    far = jnp.full(mask.shape[1:], 1 << 15, jnp.int32)

    def sweep(before: jax.Array, plane: jax.Array) -> tuple[jax.Array, jax.Array]:
        here = jnp.where(plane, jnp.minimum(before + 1, 1 << 15), 0)
        return here, here.astype(jnp.uint16)

    _, below = lax.scan(sweep, far, mask)
    _, above = lax.scan(sweep, far, mask, reverse=True)
    return jnp.minimum(below, above).astype(jnp.int32) ** 2


@partial(jax.jit, static_argnames=("axis", "reach"))
def _along(squared: jax.Array, axis: int, reach: int) -> tuple[jax.Array, jax.Array]:
    """Minimum over shifts up to ``reach`` along ``axis``, and the largest value left."""
    if reach == 0:
        return squared, squared.max()
    length = squared.shape[axis]
    margin = -(-reach // _STRIDE) * _STRIDE
    pad = [(margin, margin) if a == axis else (0, 0) for a in range(3)]
    padded = jnp.pad(squared, pad, constant_values=UNREACHED)

    def goes_on(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        shift, largest, _ = state
        return (shift <= reach) & (shift * shift < largest)

    def widen(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        shift, _, nearest = state
        for step in range(_STRIDE):
            k = shift + step
            left = lax.dynamic_slice_in_dim(padded, margin - k, length, axis)
            right = lax.dynamic_slice_in_dim(padded, margin + k, length, axis)
            nearest = jnp.minimum(nearest, jnp.minimum(left, right) + k * k)
        return shift + _STRIDE, nearest.max(), nearest

    _, largest, nearest = lax.while_loop(goes_on, widen, (jnp.int32(1), squared.max(), squared))
    return jnp.minimum(nearest, UNREACHED), largest
