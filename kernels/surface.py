"""Surface area from the 2x2x2 histogram: Crofton's formula in 13 lattice directions.

Crofton (see Ohser, Muecklich 2000, section 4.2): the area is twice the mean, over directions, of the number of
places where lines of that direction cross the surface, divided by the lines' density per area. Lines run through
lattice neighbors at distance 1, sqrt 2 and sqrt 3; each direction stands for its Voronoi cell on the sphere.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import jax
import numpy as np

from microct.kernels.stencil import CORNERS, PATTERNS

#: The 13 directions (dz, dy, dx) between corners of a 2x2x2 neighborhood; the first nonzero component is positive.
DIRECTIONS = np.array(
    [(dz, dy, dx) for dz in (0, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dz, dy, dx) > (0, 0, 0)]
)


def crofton_surface(histogram: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Area of the surface between bone and marrow.

    Args:
        histogram: (256,) counts of `stencil.configuration_histogram` or `stencil.region_histogram`.
        spacing: voxel edges along (z, y, x), any unit [mm].

    Returns:
        Area [unit of spacing squared]. Planes: right on average over orientations, from 7.3 % low (in a lattice
        plane) to 2.3 % high for a single one. Spheres: see docs/morphometry.md.
    """
    weights = direction_weights(tuple(float(step) for step in spacing))
    lengths = np.linalg.norm(DIRECTIONS * np.asarray(spacing, float), axis=1)
    crossings = np.asarray(histogram, float) @ _CROSSINGS
    return float(2.0 * np.prod(spacing) * np.sum(weights * crossings / lengths))


#: The correction is no larger than this: surfaces that bend within a voxel are noise.
MOST_CORRECTION = 0.08

# Voxels that are worked on at once.
_SLAB = 1 << 20


def corrected_surface(histogram: np.ndarray, spacing: tuple[float, float, float], bending: float) -> float:
    """Crofton's area, with the chords that lattice steps jump over made good to second order.

    For random orientation a surface of principal curvatures k1, k2 loses the share step^2 / 12 * k of its crossings,
    k = (3 k1^2 + 3 k2^2 + 2 k1 k2) / 8: the third-order term of the set covariance (Kirste, Porod 1962,
    doi:10.1007/BF01512584; 1 / r^2 for a ball, as direct integration gives). Planes have none.

    Args:
        histogram: (256,) counts of `stencil.configuration_histogram` or `stencil.region_histogram`.
        spacing: voxel edges along (z, y, x), any unit [mm].
        bending: k of the same bone, from `bending` [1 / unit squared].

    Returns:
        Area [unit of spacing squared]: within 1 % for balls of radius 2 voxels and more, within 2 % for Gaussian
        fields down to a thickness of 3 voxels; planes as `crofton_surface`.
    """
    squares = ((DIRECTIONS * np.asarray(spacing, float)) ** 2).sum(axis=1)
    share = bending / 12.0 * float(np.sum(direction_weights(tuple(float(step) for step in spacing)) * squares))
    return crofton_surface(histogram, spacing) / (1.0 - min(share, MOST_CORRECTION))


def bending(
    bone: np.ndarray | jax.Array, spacing: tuple[float, float, float], region: np.ndarray | None = None
) -> float:
    """How much the surface bends: k of `corrected_surface`, averaged over the surface.

    Steps of two voxels lose four times the share that steps of one lose. They miss exactly the chords of one voxel, so
    counting those among all crossings along the three axes gives k without any local fit.

    Args:
        bone: (nz, ny, nx) bool, on the host or on a device.
        spacing: voxel edges along (z, y, x), any unit [mm].
        region: (nz, ny, nx) bool, where to count; None for everywhere.

    Returns:
        k [1 / unit of spacing squared], 0 where no surface is crossed.
    """
    weighted = total = 0.0
    for axis in range(3):
        crossings, chords = 0, 0
        planes = max(1, _SLAB // (bone.shape[1] * bone.shape[2]))
        for first in range(0, bone.shape[0], planes):
            part = slice(first, first + planes + (2 if axis == 0 else 0))
            change, inner = _line_changes(bone[part], axis), None
            if region is not None:
                triple = _along(region[part], axis)
                inner = triple[2:] & triple[1:-1] & triple[:-2]
            one, two = change[1:], change[:-1]
            crossings += _count(one, inner) + _count(two, inner)
            chords += _count(one & two, inner)
        if crossings:
            missed = 2.0 * chords / crossings
            weighted += crossings * 12.0 * missed / (3.0 + missed) / spacing[axis] ** 2
            total += crossings
    return weighted / total if total else 0.0


def _along(values, axis):  # type: ignore[no-untyped-def]
    """View with ``axis`` first (NumPy or JAX)."""
    return values.transpose((axis, *(other for other in range(3) if other != axis)))


def _line_changes(bone, axis):  # type: ignore[no-untyped-def]
    line = _along(bone, axis)
    return line[1:] != line[:-1]


def _count(flags, within) -> int:  # type: ignore[no-untyped-def]
    kept = flags if within is None else flags & within
    return int(np.count_nonzero(kept) if isinstance(kept, np.ndarray) else np.asarray(kept).sum())


def direction_crossings(histogram: np.ndarray) -> np.ndarray:
    """(13,) crossings of the surface by all lattice lines of each of `DIRECTIONS`, both ways counted."""
    return np.asarray(histogram, float) @ _CROSSINGS


@lru_cache(maxsize=32)
def direction_weights(spacing: tuple[float, float, float]) -> np.ndarray:
    """(13,) shares of the sphere nearest to each of `DIRECTIONS` (and its opposite), for voxels of ``spacing``.

    For cubes: 0.09156, 0.07396 and 0.07039 for the axes, face diagonals and space diagonals.
    """
    units = DIRECTIONS * np.asarray(spacing, float)
    return voronoi_shares(units / np.linalg.norm(units, axis=1)[:, None])


def voronoi_shares(units: np.ndarray) -> np.ndarray:
    """(n,) shares of the sphere nearest to each of the (n, 3) unit vectors or its opposite."""
    both = np.concatenate([units, -units])
    areas = np.array([_cell_area(both, index) for index in range(len(units))])
    return areas / areas.sum()


def _cell_area(points: np.ndarray, index: int) -> float:
    """Area of the Voronoi cell of ``points[index]`` among unit vectors: a polygon of the tangent plane, clipped."""
    center = points[index]
    first = np.cross(center, np.eye(3)[np.argmin(np.abs(center))])
    first /= np.linalg.norm(first)
    second = np.cross(center, first)
    # The cell lies within the hemisphere; a square of half-edge 1000 in the tangent plane holds all of it.
    polygon = [center + 1e3 * (a * first + b * second) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    for other, point in enumerate(points):
        if other != index:
            polygon = _clipped(polygon, center - point)
    corners = [corner / np.linalg.norm(corner) for corner in polygon]
    area = 0.0
    a = corners[0]
    for b, c in pairwise(corners[1:]):  # fan of spherical triangles (van Oosterom, Strackee 1983)
        area += 2.0 * np.arctan2(abs(np.dot(a, np.cross(b, c))), 1.0 + a @ b + b @ c + c @ a)
    return float(area)


def _clipped(polygon: list[np.ndarray], normal: np.ndarray) -> list[np.ndarray]:
    """The part of a convex polygon where ``normal . x >= 0``."""
    kept = []
    for here, there in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        a, b = float(normal @ here), float(normal @ there)
        if a >= 0:
            kept.append(here)
        if (a >= 0) != (b >= 0):
            kept.append(here + (there - here) * (a / (a - b)))
    return kept


def _crossing_table() -> np.ndarray:
    """(256, 13) mean number of phase changes among a pattern's parallel corner pairs, times the pairs' share."""
    table = np.zeros((256, len(DIRECTIONS)))
    number = {tuple(corner): bit for bit, corner in enumerate(CORNERS)}
    for k, direction in enumerate(DIRECTIONS):
        pairs = [
            (number[tuple(corner)], number[tuple(corner + direction)])
            for corner in CORNERS
            if tuple(corner + direction) in number
        ]
        for a, b in pairs:
            table[:, k] += (PATTERNS[:, a] != PATTERNS[:, b]) / len(pairs)
    return table


_CROSSINGS = _crossing_table()
