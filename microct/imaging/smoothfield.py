"""A smooth field on a lattice of its own, drawn at any voxel size: the bone does not depend on the voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from microct.imaging.coverage import level_set_coverage
from microct.imaging.phantoms import centers, fraction_volume, grid
from microct.imaging.segmentation import BONE_NEIGHBORS
from microct.volume import Volume


@dataclass(frozen=True)
class SmoothField:
    """Values on a lattice, cubic B-splines between; bone is where the field exceeds 0.

    Attributes:
        values: (nz, ny, nx) values at lattice points, float32.
        step_mm: distance between lattice points [mm].
        first_mm: (3,) position of the first lattice point (z, y, x) from the middle of the block [mm].
    """

    values: np.ndarray
    step_mm: float
    first_mm: np.ndarray

    def draw(self, size_mm: tuple[float, float, float], voxel_size_um: float, name: str) -> Volume:
        """The block as a bone fraction on voxels of ``voxel_size_um`` [um]."""
        shape, spacing = grid(size_mm, voxel_size_um)
        coefficients = self._coefficients()
        places = [c.ravel() for c in centers(shape, spacing)]
        bases = [self._bases(place, axis) for axis, place in enumerate(places)]
        share = np.empty(shape, np.float32)
        # slabs of planes bound the memory at large sizes
        for start in range(0, shape[0], 32):
            rows = slice(start, start + 32)
            z, dz = (basis[rows] for basis in bases[0])
            (y, dy), (x, dx) = bases[1], bases[2]
            field = _apply(coefficients, z, y, x)
            gradient = np.stack([_apply(coefficients, *b) for b in ((dz, y, x), (z, dy, x), (z, y, dx))])
            share[rows] = level_set_coverage(field, gradient, spacing)
        return fraction_volume(share, spacing, name)

    def at(self, z_mm: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray) -> np.ndarray:
        """Values at every (z, y, x) of three lists of positions [mm]."""
        places = (z_mm, y_mm, x_mm)
        return _apply(self._coefficients(), *(self._bases(place, axis)[0] for axis, place in enumerate(places)))

    def _coefficients(self) -> np.ndarray:
        return ndimage.spline_filter(self.values, order=3, output=np.float32, mode="mirror")

    def _bases(self, place: np.ndarray, axis: int) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Rows of cubic B-splines at ``place`` [mm], and of their slopes [1/mm]."""
        count = self.values.shape[axis]
        t = (place - self.first_mm[axis]) / self.step_mm
        base = np.floor(t).astype(int)
        u = (t - base)[:, None]
        spline = np.hstack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]) / 6
        slope = np.hstack([-((1 - u) ** 2), 3 * u**2 - 4 * u, -3 * u**2 + 2 * u + 1, u**2]) / (2 * self.step_mm)
        columns = np.clip(base[:, None] + np.arange(-1, 3), 0, count - 1)
        rows = np.broadcast_to(np.arange(len(t))[:, None], columns.shape)
        first, second = (
            sparse.coo_array((w.ravel().astype(np.float32), (rows.ravel(), columns.ravel())), (len(t), count)).tocsr()
            for w in (spline, slope)
        )
        return first, second


def lattice(half_size_mm: np.ndarray, step_mm: float, margin: int) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and first point [mm] of a lattice that covers the block, with ``margin`` points beyond each face."""
    half = np.ceil(half_size_mm / step_mm).astype(int) + margin
    return tuple(int(n) for n in 2 * half + 1), -half * step_mm


def block_inside(
    shape: tuple[int, ...], first_mm: np.ndarray, half_size_mm: np.ndarray, step_mm: float
) -> tuple[slice, ...]:
    """The lattice points that lie within the block: what is joined only outside is not joined."""
    margins = np.ceil((-first_mm - half_size_mm) / step_mm - 1e-6).astype(int).tolist()
    return tuple(slice(margin, n - margin) for n, margin in zip(shape, margins, strict=True))


def without_islands(values: np.ndarray, inside: tuple[slice, ...], slope: float) -> np.ndarray:
    """Values pressed below 0 wherever a piece of bone other than the largest is nearest; pieces within ``inside``.

    The field falls by ``slope`` for each lattice step nearer to the piece that goes than to the one that stays, from 0
    halfway: it stays continuous, for a jump would ring in the splines, and pressed, also where the level is lowered.
    """
    labels, count = ndimage.label(values[inside] > 0, structure=BONE_NEIGHBORS)
    if count <= 1:
        return values
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = np.zeros(values.shape, dtype=bool)
    kept[inside] = labels == sizes.argmax()
    loose = np.zeros(values.shape, dtype=bool)
    loose[inside] = (labels > 0) & ~kept[inside]
    lead = ndimage.distance_transform_edt(~loose) - ndimage.distance_transform_edt(~kept)
    return np.where(lead < 0, np.minimum(values, slope * lead), values).astype(values.dtype)


def _apply(values: np.ndarray, z: sparse.csr_array, y: sparse.csr_array, x: sparse.csr_array) -> np.ndarray:
    """Values (nz, ny, nx) weighed along each axis."""
    planes = (z @ values.reshape(values.shape[0], -1)).reshape(z.shape[0], *values.shape[1:])
    rows = y @ planes.transpose(1, 0, 2).reshape(values.shape[1], -1)
    rows = rows.reshape(y.shape[0], z.shape[0], values.shape[2])
    columns = x @ rows.transpose(2, 1, 0).reshape(values.shape[2], -1)
    return columns.reshape(x.shape[0], z.shape[0], y.shape[0]).transpose(1, 2, 0)
