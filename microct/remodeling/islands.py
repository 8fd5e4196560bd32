"""Bone that hangs on nothing is lost: islands, and crumbs beside no bone."""

from __future__ import annotations

import numpy as np

from microct.kernels import components
from microct.kernels.cavity import BONE


def lost(fraction: np.ndarray) -> np.ndarray:
    """Voxels that belong to islands, bool of the same shape.

    An island is a 26-connected piece of bone (fraction at least one half) that is neither the largest nor at the
    volume's border, where it may hang on what the scan cut off. Partial voxels that touch no remaining bone are crumbs.
    """
    bone = fraction >= BONE
    kept = bone & ~components.islands(bone)
    near = kept.copy()
    for axis in range(3):
        along = np.moveaxis(near, axis, 0)
        grown = along.copy()
        grown[1:] |= along[:-1]
        grown[:-1] |= along[1:]
        near = np.moveaxis(grown, 0, axis)
    return (fraction > 0) & ~near
