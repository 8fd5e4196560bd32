"""Motions of a cube that deform it: 18 of 24, since it may be carried along and turned around without a force.

A cell of any pieces of bone, without held nodes, knows nothing of rigid motions of its corners: interpolation carries
linear fields exactly, so that its pieces move rigidly, too. Its stiffness is a matrix of 18 x 18 in these motions, and
171 different numbers instead of 300; whatever becomes of them by rounding, rigid motions cost exactly nothing.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from microct.kernels.parities import SIGNS


def _terms() -> tuple[tuple[tuple[int, int], ...], ...]:
    stretches = [((axis, 4 >> axis),) for axis in range(3)]
    shears = [((a, 4 >> b), (b, 4 >> a)) for a, b in ((0, 1), (1, 2), (2, 0))]
    bending = [((axis, pattern),) for pattern, axis in product((3, 5, 6, 7), range(3))]
    return (*stretches, *shears, *bending)


#: Each deformation as components of motion, with the pattern of `parities.SIGNS` that each has over the corners.
TERMS = _terms()

#: What makes each deformation of length 1.
SCALES = tuple(float(1 / np.sqrt(8.0 * len(terms))) for terms in TERMS)


def basis() -> np.ndarray:
    """(18, 24) float64, orthonormal rows; columns (corner, component)."""
    rows = np.zeros((len(TERMS), 8, 3))
    for row, terms, scale in zip(rows, TERMS, SCALES, strict=True):
        for component, pattern in terms:
            row[:, component] = scale * SIGNS[pattern]
    return rows.reshape(len(TERMS), 24)


TO_DEFORMATIONS = basis().astype(np.float32)

#: How many there are.
COUNT = len(TERMS)

#: (18, 18, 24) what each entry of a matrix of deformations gives to the diagonal of that of all motions.
DIAGONAL = (basis()[:, None] * basis()).astype(np.float32)
