"""How stiff bone tissue is: from a mask, from partial voxels, from mineral."""

from __future__ import annotations

import numpy as np

from microct.status import InputError, StudyError
from microct.volume import BONE, Volume

#: Young's modulus of trabecular tissue [MPa] where none is given: 10 000 is the setting of common HR-pQCT protocols
#: (MacNeil, Boyd 2008, doi:10.1016/j.bone.2008.01.017: 6829; others 6.8 to 20 GPa). (Unverified.)
TISSUE_MODULUS_MPA = 10_000.0

#: Poisson's ratio of bone tissue, customary.
POISSON_RATIO = 0.3


#: More values than these are no mask of labels but grey values; fewer where they reach to 255, as bone fractions do.
_LABELS, _LABELS_TO_255 = 16, 4

#: Least and largest modulus of tissue that is taken, and the usual one.
_RANGE_MPA = (1.0, 1e6, "5000 to 20000 MPa")


def modulus_field(volume: Volume, youngs_modulus_mpa: float | np.ndarray, partial_voxels: bool = False) -> np.ndarray:
    """Young's modulus of every voxel.

    Args:
        volume: bone fraction (kind "fraction"), a mask (`Volume.binary`), or labels of bone above 0.
        youngs_modulus_mpa: of full bone, one number or one for each voxel (nz, ny, nx), as its mineral has it.
        partial_voxels: a partial voxel has its share of the modulus; else a voxel is bone from 128 of 255.

    Returns:
        (nz, ny, nx) float32 [MPa], 0 where there is no bone. Shares under 2 % count as nothing.

    Raises:
        InputError: grey values, or a modulus of other voxels. StudyError: a modulus outside 1 to 10^6 MPa, in bone.
    """
    share = _share(volume, partial_voxels)
    if isinstance(youngs_modulus_mpa, int | float | np.number):
        return share * np.float32(checked(float(youngs_modulus_mpa), "youngs_modulus_mpa", *_RANGE_MPA))
    tissue = np.asarray(youngs_modulus_mpa, np.float32)
    if tissue.shape != volume.shape:
        raise InputError(
            f"youngs_modulus_mpa: expected one number or one for each of {volume.shape} voxels, got {tissue.shape}"
        )
    inside = share > 0
    if inside.any():
        for extreme in (tissue[inside].min(), tissue[inside].max()):
            checked(float(extreme), "youngs_modulus_mpa", *_RANGE_MPA)
    return np.where(inside, share * tissue, np.float32(0))


def _share(volume: Volume, partial_voxels: bool) -> np.ndarray:
    """(nz, ny, nx) float32 share of the modulus that a voxel has."""
    values = volume.values
    if volume.kind == "fraction":
        if not partial_voxels:
            return (values >= BONE).astype(np.float32)
        share = values.astype(np.float32) / 255
        return np.where(share >= 0.02, share, np.float32(0))
    mask = volume.binary()
    if mask is None and values.dtype == np.uint8 and not partial_voxels:  # labels of several kinds of bone
        levels = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
        # a bone fraction of few steps whose file does not say what it is reaches to 255
        mask = values > 0 if len(levels) <= (_LABELS if levels[-1] < 255 else _LABELS_TO_255) else None
    if mask is None:
        raise InputError(
            f"{volume.provenance.source}: expected a mask (two values, or at most {_LABELS} labels of uint8 below 255) "
            f"or a bone fraction, got {values.dtype} from {values.min():g} to {values.max():g}; segment the scan "
            'first, or say that it is a bone fraction (kind="fraction")'
        )
    return mask.astype(np.float32)


def checked(value: float, name: str, low: float, high: float, usual: str) -> float:
    """``value`` as a float, or `StudyError` where it is not within ``low`` to ``high``."""
    if not (isinstance(value, int | float | np.number) and np.isfinite(value) and low <= value <= high):
        raise StudyError(f"{name}: expected a number from {low:g} to {high:g} (usual: {usual}), got {value}")
    return float(value)
