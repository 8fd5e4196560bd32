"""FD: the fractal dimension of bone, by counting boxes."""

from __future__ import annotations

import math

import numpy as np

from microct.morphometry.specimen import Specimen
from microct.table import Row

#: Edges of boxes grow by about this factor.
_GROWTH = 1.3


def box_counts(bone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of boxes [voxel], from 2 to a quarter of the shortest axis, and how many boxes hold bone.

    The grid of boxes begins at the first voxel; boxes cut by the far faces count.
    """
    edges: list[int] = []
    edge = 2.0
    while edge <= min(bone.shape) / 4:
        if not edges or round(edge) > edges[-1]:
            edges.append(round(edge))
        edge *= _GROWTH
    counts = []
    for size in edges:
        filled = bone
        for axis in range(3):
            filled = np.logical_or.reduceat(filled, np.arange(0, bone.shape[axis], size), axis=axis)
        counts.append(int(np.count_nonzero(filled)))
    return np.array(edges), np.array(counts)


def fractal_rows(specimen: Specimen) -> list[Row]:
    """FD: minus the slope of log count over log edge (least squares), and R2 of the line."""
    edges, counts = box_counts(specimen.bone_in_region)
    if len(edges) < 3 or counts.min(initial=1) < 1:
        note = "no bone" if len(edges) >= 3 else "needs 16 voxels or more along every axis"
        return [Row("FD", math.nan, note=note), Row("FD.R2", math.nan, note=note)]
    x, y = np.log(edges), np.log(counts)
    slope, offset = np.polyfit(x, y, 1)
    rest, spread = float(np.sum((y - slope * x - offset) ** 2)), float(np.sum((y - y.mean()) ** 2))
    return [Row("FD", -float(slope)), Row("FD.R2", 1.0 - rest / spread if spread > 0 else 1.0)]
