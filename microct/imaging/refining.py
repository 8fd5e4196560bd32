"""Bone on voxels finer than those of its scan: a smooth surface, laid so that it explains what the scan's voxels hold.

Repeating voxels would make steps of them: surface that the bone does not have, a seventh more in a scan of trabecular
bone, and BMUs would be born on it. Interpolation alone would make a wide band of partial voxels, which cavities take
for thin bone. So a smooth field is sought whose half is the surface, one fine voxel wide, by showing its own coarse
voxels to it again and again (iterative back-projection, as in super-resolution).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import ndimage, sparse

from microct.imaging.coverage import level_set_coverage

#: How often coarse voxels are compared, and the Gaussian filter of the field [voxels of the scan]. A bone fraction
#: says where in a voxel the surface lies; of a mask only the side of each voxel's middle is known.
_ROUNDS_FRACTION, _SIGMA_FRACTION = 4, 0.5
_ROUNDS_MASK, _SIGMA_MASK = 6, 0.7

#: Levels among which the one is sought at which bone volume is that of the scan, to this share, in so many tries.
_LEVELS, _CLOSE, _TRIES = (0.02, 0.98), 1e-5, 12

#: Share of the bone that a surface may fail to hold.
_LOST = 1e-3

#: Planes that are worked out at a time.
_SLAB = 16


def refined(
    bone: np.ndarray,
    finer: Sequence[sparse.csr_array | None],
    coarser: Sequence[sparse.csr_array | None],
    widths: Sequence[float],
) -> np.ndarray:
    """Bone fraction on finer voxels.

    Args:
        bone: (nz, ny, nx) float32, 0 to 1; where nothing lies between, a mask.
        finer: for each axis the weights (n_new, n_old) that interpolate on it, None where its voxels stay.
        coarser: for each axis the share (n_old, n_new) of each old voxel that new ones cover, None where they stay.
        widths: of an old voxel along each axis [new voxels].

    Returns:
        Float32, 0 to 1, partial at the surface alone; its mean is that of ``bone``. Where no surface explains the
        voxels, as in noise, they are interpolated.
    """
    mask = bool(((bone == 0) | (bone == 1)).all())
    rounds, sigma = (_ROUNDS_MASK, _SIGMA_MASK) if mask else (_ROUNDS_FRACTION, _SIGMA_FRACTION)
    blur = [0.0 if to is None else sigma * width for to, width in zip(finer, widths, strict=True)]
    wanted = bone
    for turn in range(rounds + 1):
        field = ndimage.gaussian_filter(_applied(wanted, finer), blur, mode="nearest")
        if turn == rounds:
            break
        seen = _applied(np.concatenate(list(_cut(field, 0.5))), coarser)
        if mask:  # the middle of the voxel is on its side as soon as half of the voxel is
            missing = np.where(bone > 0.5, np.maximum(0.5 - seen, 0), np.minimum(0.5 - seen, 0))
        else:
            missing = bone - seen
        wanted = wanted + missing.astype(np.float32)
    share = float(bone.mean(dtype=np.float64))
    found = np.concatenate(list(_cut(field, _level(field, share))))
    if abs(float(found.mean(dtype=np.float64)) - share) > _LOST * share:  # no surface in it, noise or haze
        found = np.clip(_applied(bone, finer), 0, 1)
    return found


def _level(field: np.ndarray, share: float) -> float:
    """The level of a field at which so large a share of the block is bone, between two that are drawn together."""

    def excess(level: float) -> float:
        return float(sum(part.sum(dtype=np.float64) for part in _cut(field, level))) / field.size - share

    (low, high), level = _LEVELS, 0.5
    above, below = 1.0, -1.0  # the excess at the lower level and at the higher
    for _ in range(_TRIES):
        found = excess(level)
        if abs(found) <= _CLOSE * share:
            break
        if found > 0:
            low, above, below = level, found, 0.5 * below  # the end that stays counts half (Illinois)
        else:
            high, below, above = level, found, 0.5 * above
        level = (low * below - high * above) / (below - above)
    return level


def _cut(field: np.ndarray, level: float) -> Iterator[np.ndarray]:
    """Share of each voxel that lies where a field is above a level, slab by slab."""
    planes = len(field)
    for start in range(0, planes, _SLAB):
        stop = min(start + _SLAB, planes)
        first, last = max(start - 1, 0), min(stop + 1, planes)
        part, inner = field[first:last], slice(start - first, stop - first)
        slope = [np.gradient(part, axis=axis) if n > 1 else np.zeros_like(part) for axis, n in enumerate(part.shape)]
        yield level_set_coverage(part[inner] - np.float32(level), np.stack(slope)[:, inner], 1.0)


def _applied(values: np.ndarray, weights: Sequence[sparse.csr_array | None]) -> np.ndarray:
    for axis, matrix in enumerate(weights):
        if matrix is not None:
            values = along(values, axis, matrix)
    return values


def along(values: np.ndarray, axis: int, weights: sparse.csr_array) -> np.ndarray:
    """Apply (n_new, n_old) ``weights`` along one axis."""
    moved = np.moveaxis(values, axis, 0)
    flat = weights.astype(values.dtype) @ np.ascontiguousarray(moved).reshape(moved.shape[0], -1)
    return np.moveaxis(flat.reshape(weights.shape[0], *moved.shape[1:]), 0, axis)
