"""Motions of a cube sorted by how they look in three mirrors, in which stiffness matrices fall apart.

The mirror across axis a swaps the corners along it and turns the displacement along it around. A motion that is even or
odd in each of the three mirrors has a parity of three bits; there are three such motions for each of the eight
parities. A cube of one modulus joins only motions of equal parity; a pattern of moduli of parity w (+ and - in its
mirrors) joins those whose parities differ by w.
"""

from __future__ import annotations

import numpy as np

_BITS = np.array([[bin(a & b).count("1") % 2 for b in range(8)] for a in range(8)])

#: (8, 8) signs: row w is the pattern of parity w over the eight corners, or eighths, of a cube.
SIGNS = 1.0 - 2.0 * _BITS


def _to_parities() -> np.ndarray:
    """(24, 24) orthonormal, rows (parity, component), columns (corner, component)."""
    rows = np.zeros((8, 3, 8, 3))
    for parity in range(8):
        for component in range(3):
            rows[parity, component, :, component] = SIGNS[parity ^ (4 >> component)] / np.sqrt(8.0)
    return rows.reshape(24, 24)


TO_PARITIES = _to_parities().astype(np.float32)


def in_parities(children: np.ndarray) -> np.ndarray:
    """The stiffness that eight children give to their parent, in parities.

    Args:
        children: (8, 24, 24) stiffness from a child of unit modulus in each eighth.

    Returns:
        (8, 8, 3, 3): [w, p, i, j] joins component i of parity p with component j of parity p ^ w where moduli follow
        the pattern of parity w.
    """
    to = _to_parities()
    patterns = np.tensordot(SIGNS, children, 1)  # (w, 24, 24)
    whole = (to @ patterns @ to.T).reshape(8, 8, 3, 8, 3)
    parity = np.arange(8)
    kept = np.stack([whole[w, parity, :, parity ^ w] for w in range(8)])
    assert np.isclose((kept**2).sum(), (whole**2).sum()), "children are no mirror images of one another"
    return kept
