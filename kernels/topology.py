"""Euler characteristic from the 2x2x2 histogram: bone 26-connected, marrow 6-connected.

Bone is the union of closed cubes, which makes voxels that share a corner one piece. A neighborhood is one corner
of the cubes: it owns that vertex, and half of each edge, a quarter of each face and an eighth of each cube
around it (Toriwaki, Yonekura 2002). Neighborhoods wholly inside a volume therefore count what is cut by a face,
an edge or a corner of the volume with 1/2, 1/4 and 1/8, which is the edge correction of Odgaard, Gundersen (1993).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from microct.kernels.stencil import CORNERS, PATTERNS


def euler_characteristic(histogram: np.ndarray) -> float:
    """Pieces - tunnels + hollows of bone.

    Args:
        histogram: (256,) counts of `stencil.configuration_histogram` (of a volume padded with marrow: the plain
            Euler number of the object; unpadded: edge-corrected, a multiple of 1/8) or `stencil.region_histogram`
            (edge-corrected for the region), or of a volume continued periodically by one voxel.

    Returns:
        Euler characteristic, without unit.
    """
    return float(np.asarray(histogram, float) @ CONTRIBUTIONS)


def _contributions() -> np.ndarray:
    """(256,) vertex - edges / 2 + faces / 4 - cubes / 8 around the middle of each pattern."""
    vertex = PATTERNS.any(axis=1).astype(float)
    edges, faces = np.zeros(256), np.zeros(256)
    for axis in range(3):
        for end in (0, 1):  # a half-edge is surrounded by the four cubes on its side
            edges += PATTERNS[:, CORNERS[:, axis] == end].any(axis=1)
    for a, b in combinations(range(8), 2):  # a quarter-face lies between two cubes
        if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1:
            faces += PATTERNS[:, a] | PATTERNS[:, b]
    return vertex - edges / 2 + faces / 4 - PATTERNS.sum(axis=1) / 8


#: Share of the Euler characteristic that each pattern holds.
CONTRIBUTIONS = _contributions()
