"""2x2x2 neighborhoods: which of the 256 patterns of bone and marrow occurs how often.

One histogram gives volume, Crofton surface and Euler characteristic (Ohser, Muecklich 2000, chapter 4).
Bit ``4 * dz + 2 * dy + dx`` of a pattern's number is the voxel at offset (dz, dy, dx) from its first corner.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

#: Offsets (dz, dy, dx) of the eight corners, in the order of the bits.
CORNERS = np.array([(dz, dy, dx) for dz in (0, 1) for dy in (0, 1) for dx in (0, 1)])

#: (256, 8) bool: bone or marrow at each corner of each pattern.
PATTERNS = (np.arange(256)[:, None] >> np.arange(8)[None, :] & 1).astype(bool)

# Planes of one chunk: about a megabyte of codes, so that the passes stay in the processor's cache.
_CHUNK_VOXELS = 1 << 20

# On a device: counters of each pattern in each plane, so that the many voxels of empty marrow do not wait for one.
_COUNTERS = 32


def configuration_histogram(bone: np.ndarray | jax.Array, threshold: int = 1) -> np.ndarray:
    """Count the patterns of all 2x2x2 neighborhoods that lie wholly inside the volume.

    Faces of the volume where bone is cut are therefore no surface. Counting is in int32 for each plane and in
    int64 over planes, so that volumes above 2^31 voxels are safe.

    Args:
        bone: (nz, ny, nx) bool or integers. A NumPy array is counted on the host, a JAX array on its device.
        threshold: bone where ``bone >= threshold``: 1 for a mask, 128 for a bone fraction of 0..255.

    Returns:
        (256,) int64 counts; they sum to (nz-1)(ny-1)(nx-1), and are all 0 where an axis has one voxel.
    """
    if min(bone.shape) < 2:
        return np.zeros(256, np.int64)
    if isinstance(bone, jax.Array):
        return np.asarray(_plane_histograms(bone, threshold), np.int64).sum(axis=0)
    counts = np.zeros(256, np.int64)
    planes = max(1, _CHUNK_VOXELS // (bone.shape[1] * bone.shape[2]))
    for first in range(0, bone.shape[0] - 1, planes):
        counts += _count(_codes(_binary(bone[first : first + planes + 1], threshold)))
    return counts


def periodic_histogram(bone: np.ndarray | jax.Array, threshold: int = 1) -> np.ndarray:
    """Count the patterns of a volume that goes on periodically in all directions: as many as there are voxels.

    Args:
        bone, threshold: as `configuration_histogram`.

    Returns:
        (256,) int64 counts; surface, curvature and Euler number of one period.
    """
    binary = bone >= threshold
    pad = jnp.pad if isinstance(bone, jax.Array) else np.pad
    return configuration_histogram(pad(binary, ((0, 1),) * 3, mode="wrap"))


def region_histogram(bone: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Count patterns so that a region of voxels is covered with its own volume, neither more nor less.

    The neighborhoods reach from voxel center to voxel center, so those inside a volume of n voxels cover n - 1 of
    them: surface density would be 3/n too low. Here the structure goes on unchanged for half a voxel beyond the
    region (each voxel outside takes the phase of the nearest voxels inside), and a neighborhood counts with the
    share of its eight voxels that belong to the region. Cut faces are no surface, a particle wholly inside
    counts exactly once, and the Euler characteristic so found is the edge-corrected one: what lies on a face,
    an edge or a corner of a box counts 1/2, 1/4 or 1/8 (Odgaard, Gundersen 1993).

    Args:
        bone: (nz, ny, nx) bool.
        mask: (nz, ny, nx) bool, the region; None for the whole volume.

    Returns:
        (256,) float64, multiples of 1/8, with the sum equal to the region's voxels.
    """
    if mask is None:
        return _box_histogram(_binary(bone, 1))
    inside = np.pad(_binary(mask, 1), 1)
    known = np.pad(_binary(bone, 1), 1) & inside
    # Weights 6:1 along each axis: a face neighbor (36) outvotes the edge and corner neighbors (28) together.
    votes = _weighted_sum(inside)
    grown = np.where(inside != 0, known, (2 * _weighted_sum(known) > votes).view(np.uint8))
    share = np.zeros(tuple(n - 1 for n in inside.shape), np.uint8)
    for dz, dy, dx in CORNERS:
        share += inside[dz : dz + share.shape[0], dy : dy + share.shape[1], dx : dx + share.shape[2]]
    pairs = np.bincount(_codes(grown).ravel().astype(np.int32) * 9 + share.ravel(), minlength=256 * 9)
    return pairs.reshape(256, 9) @ np.arange(9) / 8.0


def _box_histogram(bone: np.ndarray) -> np.ndarray:
    """`region_histogram` of a whole box: the inside, and its faces, edges and corners doubled with their weights."""
    total = np.zeros(256)
    for axes in np.ndindex(2, 2, 2):
        doubled = [axis for axis in range(3) if axes[axis]]
        for ends in np.ndindex(*(2,) * len(doubled)):
            part = bone
            for axis, end in zip(doubled, ends, strict=True):
                layer = part.take([-1 if end else 0], axis)
                part = np.concatenate([layer, layer], axis)
            total += 0.5 ** len(doubled) * configuration_histogram(part)
    return total


def _binary(values: np.ndarray, threshold: int) -> np.ndarray:
    """0 or 1 as uint8, without a copy of a bool array."""
    values = np.asarray(values)
    if values.dtype == bool and threshold == 1:
        return values.view(np.uint8)
    return (values >= threshold).view(np.uint8)


def _codes(bone):  # type: ignore[no-untyped-def]
    """Pattern number of every neighborhood of a 0/1 uint8 array (NumPy or JAX)."""
    rows = bone[..., :-1] | bone[..., 1:] << 1
    sheets = rows[..., :-1, :] | rows[..., 1:, :] << 2
    return sheets[:-1] | sheets[1:] << 4


def _count(codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes.ravel(), minlength=256)


@partial(jax.jit, static_argnames="threshold")
def _plane_histograms(bone: jax.Array, threshold: int) -> jax.Array:
    """(nz - 1, 256) int32 counts for each pair of planes."""
    codes = _codes((bone >= threshold).astype(jnp.uint8))
    codes = codes.reshape(len(codes), -1).astype(jnp.int32)
    place = codes + 256 * (jnp.arange(codes.shape[1], dtype=jnp.int32) % _COUNTERS)
    counted = jax.vmap(lambda plane: jnp.zeros(256 * _COUNTERS, jnp.int32).at[plane].add(1))(place)
    return counted.reshape(len(codes), _COUNTERS, 256).sum(axis=1)


def _weighted_sum(values: np.ndarray) -> np.ndarray:
    """Sum over 3x3x3 with weights 1, 6, 1 along each axis; int16, at most 512."""
    total = values.astype(np.int16)
    for axis in range(3):
        line = np.moveaxis(total, axis, 0)
        summed = 6 * line
        summed[1:] += line[:-1]
        summed[:-1] += line[1:]
        total = np.moveaxis(summed, 0, axis)
    return total
