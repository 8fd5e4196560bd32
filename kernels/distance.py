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

from microct.kernels.device import has_accelerator

#: Squared distance where the whole volume has no background.
UNREACHED = 1 << 30

# Its root: voxels to a background that is not there.
_FAR = 1 << 15

# Farthest shift tried at first; structures thicker than this need a second, wider pass with more memory.
_REACH = 32
# Shifts between two looks at whether any further one can matter.
_STRIDE = 4
# The same where each look is a pass through the memory of a device.
_STRIDE_ON_DEVICE = 16
_REACH_ON_DEVICE = 64
# Axes are filled up to a multiple of this.
_BUCKET = 16
# Voxels of a slab: so few that shifted copies stay in the processor's cache.
_SLAB = 1 << 18


def squared_distance(mask: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """Squared distance from each voxel's center to the nearest center of a background voxel.

    What lies outside the volume is unknown, and is not background.

    Args:
        mask: (nz, ny, nx); nonzero is foreground. Axes up to 18 900 voxels. A NumPy array is worked on slab by slab,
            with 6 bytes for each voxel and little more; a JAX array as a whole on its device, and so is a NumPy
            array where JAX has an accelerator.

    Returns:
        (nz, ny, nx) int32, on the host or on the device as the mask: 0 in the background; `UNREACHED` everywhere
        where there is no background at all.
    """
    if isinstance(mask, jax.Array):
        return _on_device(mask)
    inside = placed(mask)
    if isinstance(inside, jax.Array):
        return np.asarray(_on_device(inside))
    steps = _steps_along_z(inside)
    result = np.empty(inside.shape, np.int32)
    # Foreground added behind the last voxels changes no distance, and few shapes compile few programs.
    depth, rows, columns = (-(-n // _BUCKET) * _BUCKET for n in inside.shape)
    planes = max(1, min(depth, _SLAB // (rows * columns)))
    slab = np.full((planes, rows, columns), UNREACHED, np.int32)
    for first in range(0, inside.shape[0], planes):
        part = steps[first : first + planes]
        here = (slice(0, len(part)), slice(0, inside.shape[1]), slice(0, inside.shape[2]))
        slab[len(part) :] = 0
        np.square(part, out=slab[here], dtype=np.int32, casting="unsafe")
        result[first : first + planes] = np.asarray(_across(jnp.asarray(slab)))[here]
    return result


def placed(mask: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """The mask as bool where it is worked on: where a JAX array lies, on the accelerator if any, else on the host."""
    if isinstance(mask, jax.Array) or has_accelerator():
        return jnp.asarray(mask) != 0
    mask = np.asarray(mask)
    return mask if mask.dtype == bool else mask != 0


def _steps_along_z(mask: np.ndarray) -> np.ndarray:
    """(nz, ny, nx) uint16 voxels to background in the same column; `_FAR` where the column has none."""
    steps = np.empty(mask.shape, np.uint16)
    before = np.full(mask.shape[1:], _FAR, np.uint16)
    for z in range(len(mask)):
        before = np.minimum(before + np.uint16(1), np.uint16(_FAR)) * mask[z]
        steps[z] = before
    before = np.full(mask.shape[1:], _FAR, np.uint16)
    for z in range(len(mask) - 1, -1, -1):
        before = np.minimum(before + np.uint16(1), steps[z])
        steps[z] = before
    return steps


def _on_device(mask: jax.Array) -> jax.Array:
    """As a whole, with each axis in turn made the last: shifted copies then come from the nearest cache."""
    shape = mask.shape
    filled = jnp.pad(mask != 0, [(0, -n % _BUCKET) for n in shape], constant_values=True)
    squared = _along_z(filled)
    for _ in range(2):  # (z, y, x) to (z, x, y) for y, and back for x
        squared = _widened(jnp.swapaxes(squared, 1, 2), 2, _REACH_ON_DEVICE, _STRIDE_ON_DEVICE)
    return squared[: shape[0], : shape[1], : shape[2]]


def _across(squared: jax.Array) -> jax.Array:
    """Squared distances from those along z: first along y, then along x."""
    for axis in (1, 2):
        squared = _widened(squared, axis, _REACH, _STRIDE)
    return squared


def _widened(squared: jax.Array, axis: int, reach: int, stride: int) -> jax.Array:
    """Minimum along ``axis`` over as many shifts as can matter; ``reach`` of them are enough as a rule."""
    length = squared.shape[axis]
    reach = min(reach, length - 1)
    narrow, largest = _along(squared, axis, reach, stride)
    if reach < length - 1 and int(largest) > (reach + 1) ** 2:
        narrow, _ = _along(squared, axis, length - 1, stride)
    return narrow


@jax.jit
def _along_z(mask: jax.Array) -> jax.Array:
    """Squared distance to background in the same column along z; `UNREACHED` where the column has none."""
    steps = jnp.minimum(_steps_since(mask), _steps_since(mask[::-1])[::-1])
    return steps.astype(jnp.int32) ** 2


def _steps_since(mask: jax.Array) -> jax.Array:
    """(nz, ny, nx) uint16 steps along z since the last background voxel; nz is a multiple of `_BUCKET`.

    Within blocks first, then from block to block, so that no chain of operations is as long as the volume.
    """
    depth, ny, nx = mask.shape
    blocks = mask.reshape(depth // _BUCKET, _BUCKET, ny, nx)
    here, within = jnp.full(blocks[:, 0].shape, _FAR, jnp.int32), []
    for step in range(_BUCKET):
        here = jnp.where(blocks[:, step], jnp.minimum(here + 1, _FAR), 0)
        within.append(here.astype(jnp.uint16))

    def carry(before: jax.Array, last: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.minimum(jnp.minimum(before + _BUCKET, last.astype(jnp.int32)), _FAR), before.astype(jnp.uint16)

    _, before = lax.scan(carry, jnp.full((ny, nx), _FAR, jnp.int32), within[-1])
    since = before[:, None].astype(jnp.int32) + jnp.arange(1, _BUCKET + 1, dtype=jnp.int32)[:, None, None]
    steps = jnp.minimum(jnp.stack(within, axis=1), jnp.minimum(since, _FAR).astype(jnp.uint16))
    return steps.reshape(mask.shape)


@partial(jax.jit, static_argnames=("axis", "reach", "stride"))
def _along(squared: jax.Array, axis: int, reach: int, stride: int) -> tuple[jax.Array, jax.Array]:
    """Minimum over shifts up to ``reach`` along ``axis``, and the largest value left."""
    if reach == 0:
        return squared, squared.max()
    length = squared.shape[axis]
    margin = -(-reach // stride) * stride
    pad = [(margin, margin) if a == axis else (0, 0) for a in range(3)]
    padded = jnp.pad(squared, pad, constant_values=UNREACHED)

    def goes_on(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        shift, largest, _ = state
        return (shift <= reach) & (shift * shift < largest)

    def widen(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        shift, _, nearest = state
        for step in range(stride):
            k = shift + step
            left = lax.dynamic_slice_in_dim(padded, margin - k, length, axis)
            right = lax.dynamic_slice_in_dim(padded, margin + k, length, axis)
            nearest = jnp.minimum(nearest, jnp.minimum(left, right) + k * k)
        return shift + stride, nearest.max(), nearest

    _, largest, nearest = lax.while_loop(goes_on, widen, (jnp.int32(1), squared.max(), squared))
    return jnp.minimum(nearest, UNREACHED), largest
