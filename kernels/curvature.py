"""The integral of mean curvature from the 2x2x2 histogram.

It is 2 pi times the mean, over directions, of the Euler number of plane sections with
that normal, integrated along it (Crofton; Ohser, Muecklich 2000, section 4.2). Sections go through lattice points
in 13 normals: squares, rectangles of 1 by sqrt 2, and triangles, whose Euler number is counted by their corners.
Where two opposite corners are bone the mean of both readings (joined, parted) is taken, so that marrow has exactly
minus the curvature of bone. A ball of radius r has 4 pi r.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from microct.kernels.stencil import CORNERS, PATTERNS
from microct.kernels.surface import DIRECTIONS, voronoi_shares


def mean_curvature_integral(histogram: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Integral of the mean curvature (k1 + k2) / 2 over the surface, positive where bone is convex.

    Args:
        histogram: (256,) counts of `stencil.configuration_histogram` or `stencil.region_histogram`.
        spacing: voxel edges along (z, y, x), any unit [mm].

    Returns:
        Integral [unit of spacing]. Balls of radius 3 to 12 voxels: within 1 %.
    """
    shares, apart = _planes(tuple(float(step) for step in spacing))
    return float(2.0 * np.pi * np.sum(shares * apart * (np.asarray(histogram, float) @ _SECTIONS)))


@lru_cache(maxsize=32)
def _planes(spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """(13,) share of the sphere nearest to each normal, and distance between lattice planes with that normal."""
    # The lattice planes with Miller indices d have the reciprocal vector d / spacing as normal.
    reciprocal = DIRECTIONS / np.asarray(spacing, float)
    length = np.linalg.norm(reciprocal, axis=1)
    return voronoi_shares(reciprocal / length[:, None]), 1.0 / length


def _section_table() -> np.ndarray:
    """(256, 13) Euler number of the sections with each normal within a pattern, each cell of a plane counted once."""
    table = np.zeros((256, len(DIRECTIONS)))
    for k, normal in enumerate(DIRECTIONS):
        heights = CORNERS @ normal
        cells = [np.flatnonzero(heights == height) for height in np.unique(heights)]
        cells = [cell for cell in cells if len(cell) >= 3]
        for cell in cells:
            filled = PATTERNS[:, cell].sum(axis=1)
            if len(cell) == 4:  # a quarter for one corner, minus a quarter for three (Gray 1971, both readings' mean)
                euler = (filled == 1) / 4 - (filled == 3) / 4
                table[:, k] += euler / len(cells)  # two parallel faces of the cube, each shared with the next
            else:  # a sixth of each corner, half of each side, the triangle; both triangles of the cube count
                euler = (filled == 1) / 6 - (filled == 2) / 6
                table[:, k] += euler
    return table


_SECTIONS = _section_table()
