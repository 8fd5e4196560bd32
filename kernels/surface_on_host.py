"""The surface of a whole volume as births see it, on the host: dense sums of small integers, and floats only at faces.

The same numbers as `window.surface_area`, bit for bit, without a field of floats.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from microct.kernels.window import AREA, BONE

#: Voxels that are looked at together: what the sums hold then fits into a processor's cache.
_TOGETHER = 1 << 18
_MOST_THREADS = 8


def area_of_planes(fraction: np.ndarray, limit: int, place: np.ndarray | None = None) -> np.ndarray:
    """Surface of each z-plane, int64 [1/64 face].

    Args:
        fraction: (nz, ny, nx) uint8.
        limit: most that one voxel counts for [1/64 face].
        place: (nz, ny, nx) uint8, 0 to 3; for each of the four then.

    Returns:
        (nz,), or (nz, 4) with ``place``.
    """
    nz, ny, nx = fraction.shape
    planes = max(_TOGETHER // (ny * nx), 1)
    found = np.zeros((nz, 4 if place is not None else 1), np.int64)

    def some(first: int) -> None:
        last = min(first + planes, nz)
        # Two planes beyond on either side: a face's normal is that of the gradients on both of its sides.
        low, high = max(first - 2, 0), min(last + 2, nz)
        slab = np.pad(fraction[low:high], ((low - first + 2, last + 2 - high), (1, 1), (1, 1)), mode="edge")
        area = _area(slab, limit)
        for k in range(last - first):
            if place is None:
                found[first + k, 0] = int(area[k].sum(dtype=np.float64))
            else:
                found[first + k] = np.bincount(place[first + k].ravel(), area[k].ravel(), 4)[:4]

    # NumPy lets go of the interpreter while it works, so that threads work side by side, each on planes of its own.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
        list(pool.map(some, range(0, nz, planes)))
    return found if place is not None else found[:, 0]


def _area(slab: np.ndarray, limit: int) -> np.ndarray:
    """Area at each bone voxel of a slab without two planes and one row and column at each end, whole numbers as
    float32 [1/64 face].
    """
    gradient = [part.ravel() for part in _sobel(slab.astype(np.int16))]
    bone = slab[1:-1, 1:-1, 1:-1] >= BONE
    flat = bone.ravel()
    area = np.zeros(bone.size, np.float32)
    differs = np.empty(bone.shape, bool)
    for axis in range(3):
        low, high, end = ([slice(None)] * 3 for _ in range(3))
        low[axis], high[axis], end[axis] = slice(None, -1), slice(1, None), slice(-1, None)
        np.not_equal(bone[tuple(low)], bone[tuple(high)], out=differs[tuple(low)])
        differs[tuple(end)] = False
        here = np.flatnonzero(differs)
        step = bone.strides[axis]
        across = [(part[here] + part[step:][here]).astype(np.float32) for part in gradient]
        length = across[0] * across[0]
        length += across[1] * across[1]
        length += across[2] * across[2]
        np.sqrt(length, out=length)
        length += np.float32(1e-3)
        component = np.divide(np.float32(1.0), length, out=length)
        component *= across[axis]
        # First the faces toward lower coordinates, then those toward higher ones, as the sums of floats go elsewhere.
        above = flat[step:][here]
        area[here[above] + step] += np.maximum(component[above], np.float32(0.0))
        np.logical_not(above, out=above)
        area[here[above]] += np.maximum(-component[above], np.float32(0.0))
    inner = area.reshape(bone.shape)[1:-1]
    inner *= np.float32(AREA)
    np.rint(inner, out=inner)
    return np.minimum(inner, np.float32(limit), out=inner)


def _sobel(wide: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`window.sobel` of int16 without the outermost planes, rows and columns, int16."""

    def smooth(f: np.ndarray, axis: int) -> np.ndarray:
        low, middle, high = _thirds(f, axis)
        total = low + high
        total += middle
        total += middle
        return total

    def difference(f: np.ndarray, axis: int) -> np.ndarray:
        low, _, high = _thirds(f, axis)
        return high - low

    smooth_x, diff_x = smooth(wide, 2), difference(wide, 2)
    smooth_yx, smooth_y_diff_x, diff_y_smooth_x = smooth(smooth_x, 1), smooth(diff_x, 1), difference(smooth_x, 1)
    return difference(smooth_yx, 0), smooth(diff_y_smooth_x, 0), smooth(smooth_y_diff_x, 0)


def _thirds(f: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views one voxel back, here, and one voxel on, along ``axis``."""
    n = f.shape[axis]
    return tuple(  # type: ignore[return-value]
        f[tuple(slice(start, n - 2 + start) if k == axis else slice(None) for k in range(3))] for start in range(3)
    )
