"""Where bone is trabecular, endocortical, intracortical, periosteal: labels, found from the bone or from a mask.

Bone whose pores are closed and that is thicker than any trabecula is cortex. The idea of closing and filling dense
tissue is that of dual-threshold contours (Buie et al. 2007); thickness instead of a second contour also serves blocks
that the scan cut out of a bone.
"""

from __future__ import annotations

import numpy as np

from microct.kernels import components
from microct.kernels.cavity import BONE
from microct.kernels.distance import squared_distance
from microct.status import InputError

TRABECULAR, ENDOCORTICAL, INTRACORTICAL, PERIOSTEAL = range(4)
NAMES = ("trabecular", "endocortical", "intracortical", "periosteal")
#: Cortex less than this share of the bone is a thick node, not a cortex.
_LEAST_SHARE = 0.05
#: Space with less bone in it than this is outside, where the faces of y or x can be reached.
_AIR = 0.003


def cortex(fraction: np.ndarray, voxel_um: float, thickest_trabecula_um: float, widest_pore_um: float) -> np.ndarray:
    """Voxels of the cortex, pores included; bool of the shape of the bone, all false where there is none.

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction; bone goes on beyond the faces of the volume.
        voxel_um: edge of a voxel [um].
        thickest_trabecula_um: bone that is thicker is cortex [um].
        widest_pore_um: pores that are closed first [um].
    """
    bone = fraction >= BONE
    half, pore = 0.5 * thickest_trabecula_um / voxel_um, 0.5 * widest_pore_um / voxel_um
    dense = ~_within(~_within(bone, pore), pore)
    core = dense & ~_within(~dense, half)
    if not core.any():
        return core
    thick = dense & _within(core, half)
    labels, count = components.label(thick, 26)
    sizes = np.bincount(np.asarray(labels).ravel(), minlength=count + 1)
    large = sizes >= _LEAST_SHARE * np.count_nonzero(bone)
    large[0] = False
    return large[np.asarray(labels)]


def labels(fraction: np.ndarray, cortex: np.ndarray, inner_um: float, voxel_um: float) -> np.ndarray | None:
    """Compartment of every voxel, uint8, marrow included so that bone that grows there knows its own.

    Cortex within ``inner_um`` of trabecular space is endocortical, within it of the outside periosteal, the rest
    intracortical. Outside is space without bone that reaches the volume's sides (y or x).

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction. cortex: bool, the same shape.
        inner_um: depth of cortex that counts as endocortical or periosteal [um].
        voxel_um: edge of a voxel [um].

    Returns:
        (nz, ny, nx) uint8 of `TRABECULAR` .. `PERIOSTEAL`; None where there is no cortex at all.

    Raises:
        InputError: shapes that differ.
    """
    if cortex.shape != fraction.shape:
        raise InputError(f"cortex: expected the shape of the bone {fraction.shape}, got {cortex.shape}")
    if not cortex.any():
        return None
    space, count = components.label(~cortex, 6)
    space = np.asarray(space)
    size = np.bincount(space.ravel(), minlength=count + 1)
    held = np.bincount(space.ravel(), weights=(fraction >= BONE).ravel(), minlength=count + 1)
    sides = np.zeros(count + 1, bool)
    for axis in (1, 2):
        for end in (0, -1):
            sides[space.take(end, axis).ravel()] = True
    is_outside = sides & (held <= _AIR * np.maximum(size, 1))
    is_outside[0] = False
    outside = is_outside[space]
    reach = inner_um / voxel_um
    found = np.full(fraction.shape, INTRACORTICAL, np.uint8)
    found[cortex & _within(outside, reach)] = PERIOSTEAL
    found[cortex & _within(~cortex & ~outside, reach)] = ENDOCORTICAL
    found[outside] = PERIOSTEAL
    found[~cortex & ~outside] = TRABECULAR
    return found


def porosity(fraction: np.ndarray, place: np.ndarray) -> float:
    """Pores of what was cortex when the compartments were found [%]; what has turned trabecular since is pore.

    Only the endocortical and intracortical compartments count: the periosteal one reaches into the air.
    """
    inside = (place == ENDOCORTICAL) | (place == INTRACORTICAL)
    volume = int(np.count_nonzero(inside))
    if not volume:
        return float("nan")
    return 100.0 * (1.0 - float(fraction[inside].sum(dtype=np.int64)) / (255.0 * volume))


def _within(mask: np.ndarray, radius: float) -> np.ndarray:
    """Voxels whose center lies within ``radius`` [voxel] of the mask's."""
    if not mask.any():
        return mask
    return np.asarray(squared_distance(~mask)) <= radius**2
