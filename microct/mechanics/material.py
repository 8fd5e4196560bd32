"""How stiff bone tissue is: from a mask, from partial voxels, from mineral."""

from __future__ import annotations

import numpy as np

from microct.status import InputError, StudyError
from microct.volume import Volume

#: Young's modulus of trabecular tissue [MPa] where none is given: 10 000 is the setting of common HR-pQCT protocols
#: (MacNeil, Boyd 2008, doi:10.1016/j.bone.2008.01.017: 6829; others 6.8 to 20 GPa). From memory, not verified.
TISSUE_MODULUS_MPA = 10_000.0

#: Poisson's ratio of bone tissue, customary.
POISSON_RATIO = 0.3

#: E = 84.37 alpha^2.74 GPa for ash fraction alpha (Hernandez et al. 2001, with bone volume 1; via docs of the cell
#: models; not verified here).
ASH_MODULUS_MPA, ASH_EXPONENT = 84_370.0, 2.74


#: More values than these are no mask of labels but grey values.
_LABELS = 16


def modulus_field(volume: Volume, youngs_modulus_mpa: float, partial_voxels: bool = False) -> np.ndarray:
    """Young's modulus of every voxel.

    Args:
        volume: bone fraction (kind "fraction"), a mask (`Volume.binary`), or labels of bone above 0.
        youngs_modulus_mpa: of full bone.
        partial_voxels: a partial voxel has its share of the modulus; else a voxel is bone from 128 of 255.

    Returns:
        (nz, ny, nx) float32 [MPa], 0 where there is no bone. Shares under 2 % count as nothing.
    """
    checked(youngs_modulus_mpa, "youngs_modulus_mpa", 1.0, 1e6, "5000 to 20000 MPa")
    values = volume.values
    if volume.kind != "fraction":
        mask = volume.binary()
        if mask is None and values.dtype == np.uint8:  # labels of several kinds of bone
            mask = values > 0 if np.count_nonzero(np.bincount(values.ravel(), minlength=256)) <= _LABELS else None
        if mask is None:
            raise InputError(
                f"{volume.provenance.source}: expected a mask (two values, or at most {_LABELS} labels of uint8) or a "
                f"bone fraction, got {values.dtype} from {values.min():g} to {values.max():g}; segment the scan first"
            )
        return mask.astype(np.float32) * np.float32(youngs_modulus_mpa)
    if not partial_voxels:
        return (values >= 128).astype(np.float32) * np.float32(youngs_modulus_mpa)
    share = values.astype(np.float32) / 255
    return np.where(share >= 0.02, share * np.float32(youngs_modulus_mpa), 0).astype(np.float32)


def modulus_of_ash(ash_fraction: np.ndarray) -> np.ndarray:
    """Young's modulus [MPa] of tissue of this ash fraction (mass of mineral over dry mass, 0 to 0.7)."""
    return ASH_MODULUS_MPA * np.asarray(ash_fraction, float) ** ASH_EXPONENT


def checked(value: float, name: str, low: float, high: float, usual: str) -> float:
    """``value`` as a float, or `StudyError` where it is not within ``low`` to ``high``."""
    if not (isinstance(value, int | float | np.number) and np.isfinite(value) and low <= value <= high):
        raise StudyError(f"{name}: expected a number from {low:g} to {high:g} (usual: {usual}), got {value}")
    return float(value)
