"""Generated bone: the same specimen at any voxel size."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from microct.imaging.cortical import cortical_field
from microct.imaging.embedded import load_sample, sample_call, sample_names
from microct.imaging.phantoms import grid
from microct.imaging.segmentation import BONE_NEIGHBORS, largest_component
from microct.imaging.trabecular import TrabecularBone, trabecular_field
from microct.status import StudyError
from microct.volume import BONE, Provenance, Volume

__all__ = ["load_sample", "sample", "sample_call", "sample_names"]

KINDS = ("trabecular", "cortical")

#: Name, lowest and highest value, usual range: for the one line of a refusal.
RANGES = {
    "bone_volume_fraction": (0.04, 0.45, "0.08 to 0.3"),
    "trabecular_thickness_um": (40.0, 500.0, "120 to 250"),
    "anisotropy": (0.5, 2.5, "1 to 1.6"),
    "plate_share": (0.0, 1.0, "0.1 to 0.6"),
    "cortical_thickness_mm": (0.2, 10.0, "0.5 to 3"),
    "porosity": (0.01, 0.2, "0.04 to 0.08"),
}


def sample(
    kind: str = "trabecular",
    size_mm: float | Sequence[float] = 3.2,
    voxel_size_um: float = 25.0,
    seed: int = 1,
    bone_volume_fraction: float = 0.18,
    trabecular_thickness_um: float = 170.0,
    anisotropy: float = 1.35,
    plate_share: float = 0.35,
    cortical_thickness_mm: float = 1.5,
    porosity: float = 0.06,
) -> Volume:
    """Generate a specimen.

    ``"trabecular"`` is a network of plates and rods around marrow cells that are longer along z. ``"cortical"`` is a
    piece of shaft along z: air at low y, a curved cortex with Haversian and Volkmann canals, trabeculae behind it,
    marrow at high y. The bone is one connected piece. It depends on everything but the
    voxel size, as long as ``size_mm`` is a whole number of voxels (else the block, and with it the bone, is another).

    Args:
        kind: "trabecular" or "cortical".
        size_mm: edge of the block [mm], one number or one for each of (z, y, x).
        voxel_size_um: edge of a voxel [um]; thinner than the trabeculae.
        seed: whole number from 0; another seed is another specimen of the same kind.
        bone_volume_fraction: bone in the block, 0.04 to 0.45; of a cortical specimen, among its trabeculae.
        trabecular_thickness_um: mean local thickness [um].
        anisotropy: length of the marrow cells along z for each width; 1 is isotropic.
        plate_share: share of the walls between marrow cells that is plate, 0 (rods only) to 1.
        cortical_thickness_mm: mean thickness of the cortex [mm]; cortical specimens only.
        porosity: canals' share of the cortex; cortical specimens only.

    Returns:
        Volume of uint8 bone fraction, 0 to 255, partial voxels true; its middle is at (0, 0, 0) mm.

    Raises:
        StudyError: an argument outside its range, or a block too small for what is asked.
        VoxelSizeError: voxel size not finite or outside 0.1 um to 10 mm.

    Example:
        >>> from microct import sample
        >>> bone = sample("trabecular", size_mm=1.6, voxel_size_um=40, seed=3)
        >>> bone.shape, round(float(bone.values.mean()) / 255, 2)
        ((40, 40, 40), 0.18)
    """
    if kind not in KINDS:
        raise StudyError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise StudyError(f"seed: expected a whole number from 0, got {seed!r}")
    given = {
        "bone_volume_fraction": bone_volume_fraction,
        "trabecular_thickness_um": trabecular_thickness_um,
        "anisotropy": anisotropy,
        "plate_share": plate_share,
        "cortical_thickness_mm": cortical_thickness_mm,
        "porosity": porosity,
    }
    for name, value in given.items():
        low, high, usual = RANGES[name]
        if not (math.isfinite(value) and low <= value <= high):
            raise StudyError(f"{name}: expected {low:g} to {high:g} (usual: {usual}), got {value!r}")
    shape, spacing = grid(size_mm, voxel_size_um)
    size = tuple(n * spacing for n in shape)
    if voxel_size_um > trabecular_thickness_um:
        raise StudyError(
            f"voxel_size_um: expected at most the trabecular thickness, {trabecular_thickness_um:g} um "
            f"(usual: 10 to 50), got {voxel_size_um:g}"
        )
    bone = TrabecularBone(bone_volume_fraction, trabecular_thickness_um / 1000.0, anisotropy, plate_share)
    least = max(4.0 * bone.thickness_mm, bone.cell_mm)
    if min(size) < least:
        raise StudyError(f"size_mm: expected at least {least:.2g} mm along each axis for such bone, got {size_mm}")
    if kind == "trabecular":
        field = trabecular_field(size, seed, bone)  # type: ignore[arg-type]
        used = list(given)[:4]
    else:
        if cortical_thickness_mm > 0.9 * size[1]:
            raise StudyError(
                f"cortical_thickness_mm: expected at most 0.9 of the block along y, {0.9 * size[1]:.2g} mm, "
                f"got {cortical_thickness_mm:g}"
            )
        field = cortical_field(size, seed, cortical_thickness_mm, porosity, bone)  # type: ignore[arg-type]
        used = list(given)
    volume = field.draw(size, voxel_size_um, kind)  # type: ignore[arg-type]
    values = _in_one_piece(volume.values)
    asked = ", ".join(f"{name}={given[name]:g}" for name in used)
    source = f"sample {kind}, seed {seed}, {asked}"
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return Volume(values, volume.spacing_mm, volume.origin_mm, provenance=Provenance(source, digest), kind="fraction")


def _in_one_piece(values: np.ndarray) -> np.ndarray:
    """Clear what hangs on nothing: pieces of bone that are not joined to the largest, and loose partial voxels."""
    bone = values >= BONE
    largest, share = largest_component(bone)
    if share > 0.0:
        loose = ndimage.binary_dilation(bone & ~largest, BONE_NEIGHBORS) & ~largest
        values = np.where(loose, np.uint8(0), values)
    labels, _ = ndimage.label(values > 0, structure=BONE_NEIGHBORS)
    joined = np.isin(labels, np.unique(labels[largest]))
    return np.where(joined, values, np.uint8(0))
