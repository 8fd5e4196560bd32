"""What is measured: bone or marrow for each voxel of a region, with the checks that make the answer mean something."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from microct.kernels import stencil
from microct.status import InputError
from microct.volume import IDENTITY, Volume, expected_volume

#: Bone fraction at and above which a voxel of a fraction volume is bone.
HALF = 128


@dataclass(frozen=True)
class Specimen:
    """Bone in a region.

    Attributes:
        bone: (nz, ny, nx) bool.
        region: (nz, ny, nx) bool, where it is measured; None for everywhere.
        fraction: (nz, ny, nx) uint8 bone fraction 0..255 where partial voxels count; None where voxels are whole.
        spacing_mm: voxel edges along (z, y, x) [mm].
        threshold: how bone was told from marrow, in words.
        isotropic: whether voxels are cubes.
    """

    bone: np.ndarray
    region: np.ndarray | None
    fraction: np.ndarray | None
    spacing_mm: tuple[float, float, float]
    threshold: str
    isotropic: bool

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel [mm3]."""
        return float(np.prod(self.spacing_mm))

    @property
    def voxel_edge(self) -> float:
        """Edge of a cubic voxel [mm]."""
        return self.voxel_volume ** (1.0 / 3.0)

    @cached_property
    def region_voxels(self) -> int:
        """Voxels of the region."""
        return self.bone.size if self.region is None else int(np.count_nonzero(self.region))

    @cached_property
    def bone_in_region(self) -> np.ndarray:
        """(nz, ny, nx) bool: bone inside the region."""
        return self.bone if self.region is None else self.bone & self.region

    @property
    def marrow_in_region(self) -> np.ndarray:
        """(nz, ny, nx) bool: marrow inside the region."""
        return ~self.bone if self.region is None else ~self.bone & self.region

    @cached_property
    def histogram(self) -> np.ndarray:
        """(256,) `stencil.region_histogram` of bone in the region."""
        return stencil.region_histogram(self.bone, self.region)

    def volume_of(self, voxels: np.ndarray | None) -> float:
        """Bone volume of the voxels (bool; None for all), partial ones by their fraction, summed exactly [mm3]."""
        if self.fraction is None:
            return int(np.count_nonzero(self.bone if voxels is None else self.bone & voxels)) * self.voxel_volume
        total = int(np.sum(self.fraction, where=True if voxels is None else voxels, dtype=np.uint64))
        return total * self.voxel_volume / 255.0


def specimen_of(volume: Volume, mask: Volume | np.ndarray | None, threshold: float | str | None) -> Specimen:
    """Check a volume and part it into bone and marrow.

    Args:
        volume: the scan, mask or bone fraction.
        mask: the region to measure, nonzero inside; None for everywhere. Of the same shape, or a `Volume` of voxels
            as large whose origin says where it lies (unless one of the two has none, 0, 0, 0).
        threshold: None where the volume is binary (`Volume.binary`) or says that it is a fraction, "half"
            where its values are bone fraction 0..255 (bone from 128, volume by the exact sum of fractions), or the
            least value that is bone.

    Raises:
        InputError: not a `Volume`; grey values without a threshold; a mask that is empty or of another shape.
    """
    expected_volume(volume, "measure")
    values, source = volume.values, volume.provenance.source
    fraction = None
    if threshold is None and volume.kind == "fraction" and values.dtype == np.uint8:
        threshold = "half"
    if threshold is None:
        bone, words = _binary(volume), "binary, the higher value is bone"
    elif isinstance(threshold, str):
        if threshold != "half":
            raise InputError(f'threshold must be None, a number or "half", got {threshold!r}')
        if values.dtype != np.uint8:
            raise InputError(f'{source}: threshold="half" expects bone fraction as uint8 0..255, got {values.dtype}')
        bone, fraction, words = values >= HALF, values, f"bone fraction >= {HALF} of 255"
    else:
        if not np.isfinite(threshold):
            raise InputError(f"threshold must be a finite number in the units of the voxels, got {threshold}")
        bone, words = values >= threshold, f"value >= {threshold:g}"
    return Specimen(bone, _region(mask, volume), fraction, volume.spacing_mm, words, volume.is_isotropic)


def _binary(volume: Volume) -> np.ndarray:
    """Bone of a mask, or a refusal of grey values."""
    bone = volume.binary()
    if bone is None:
        raise InputError(
            f"{volume.provenance.source}: expected a binary volume (at most two values), got grey values from "
            f"{volume.values.min()} to {volume.values.max()}; segment it first, or give threshold= "
            '(a value, or "half" for bone fraction 0..255)'
        )
    return bone


def _region(mask: Volume | np.ndarray | None, volume: Volume) -> np.ndarray | None:
    if mask is None:
        return None
    values = np.asarray(mask.values if isinstance(mask, Volume) else mask)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InputError(f"mask: expected numbers, got NaN in {np.count_nonzero(np.isnan(values))} voxels")
    inside = values != 0
    if isinstance(mask, Volume):
        if inside.shape == volume.shape and not _as_large(mask, volume):
            raise InputError(f"mask: expected voxels of {volume.spacing_mm} mm as the volume's, got {mask.spacing_mm}")
        told = any(mask.origin_mm) and any(volume.origin_mm)  # most files do not say where they lie
        if inside.shape != volume.shape or told:
            inside = _laid(inside, mask, volume)
    if inside.shape != volume.shape:
        raise InputError(f"mask: expected the volume's shape {volume.shape}, got {inside.shape}")
    if not inside.any():
        raise InputError("mask: no voxel is inside (all are 0); there is nothing to measure")
    return None if inside.all() else inside


def _as_large(mask: Volume, volume: Volume) -> bool:
    """Whether voxels are as large: the far ends disagree by less than half of one."""
    return bool((np.abs(np.asarray(mask.spacing_mm) / volume.spacing_mm - 1) * mask.shape < 0.5).all())


def _laid(inside: np.ndarray, mask: Volume, volume: Volume) -> np.ndarray:
    """The mask on the volume's voxels, by the places that both files tell; as it is where the grids do not fit."""
    steps = np.asarray(volume.spacing_mm)
    apart = (np.asarray(mask.origin_mm) - volume.origin_mm) / steps
    offset = np.rint(apart).astype(int)
    fits = (np.abs(apart - offset) < 0.1).all() and _as_large(mask, volume)
    if mask.direction != volume.direction or volume.direction != IDENTITY or not fits:
        return inside
    result = np.zeros(volume.shape, bool)
    first = np.maximum(offset, 0)
    last = np.minimum(offset + mask.shape, volume.shape)
    if (last > first).all():
        here = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        result[here] = inside[tuple(slice(a, b) for a, b in zip(first - offset, last - offset, strict=True))]
    return result
