"""What a clinic's scanner would see of a bone: density, its projection (DXA), HR-pQCT with blur, voxels, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from microct.status import InputError, StudyError
from microct.volume import Volume, checked_spacing, expected_volume

#: Mineral of bone tissue where none is given [mgHA/cm3] (Laib et al. 1998: 1200 for compact bone); marrow has none.
TISSUE_DENSITY = 1200.0
#: Full width at half maximum of a Gaussian by its standard deviation.
FWHM_BY_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True)
class Scanner:
    """A scanner, as far as it changes a bone.

    Attributes:
        voxel_um: edge of its voxels [um].
        fwhm_um: full width at half maximum of its Gaussian point spread, before voxels average [um].
        noise_mgha: standard deviation of a voxel's noise [mgHA/cm3]; white, where a real scanner's is correlated.
    """

    voxel_um: float
    fwhm_um: float = 0.0
    noise_mgha: float = 0.0

    def __post_init__(self) -> None:
        checked_spacing((self.voxel_um / 1000.0,) * 3, "scanner")
        if not (0.0 <= self.fwhm_um < math.inf and 0.0 <= self.noise_mgha < math.inf):
            raise StudyError(
                f"scanner: expected a point spread and noise of 0 or more, got {self.fwhm_um} um and "
                f"{self.noise_mgha} mgHA/cm3 (usual: 100 to 250 um, 20 to 80 mgHA/cm3)"
            )


#: By name. Point spread: the Gaussian that, averaged over these voxels, resolves 95 um (voxels of 61 um) and 142 um (82
#: um) at 10 % of the modulation transfer (Manske et al. 2015, unverified). Noise: assumed, of the order of published
#: phantom scans (unverified).
SCANNERS = {
    "hrpqct-61": Scanner(60.7, 147.0, 40.0),
    "hrpqct-82": Scanner(82.0, 222.0, 40.0),
}


def density(bone: Volume, tissue_mgha: float | np.ndarray = TISSUE_DENSITY) -> Volume:
    """Density of mineral of each voxel [mgHA/cm3], float32.

    Args:
        bone: bone fraction (uint8, 0 to 255) or a mask.
        tissue_mgha: mineral of tissue [mgHA/cm3], one number or one for each voxel.
    """
    values = expected_volume(bone, "density").fraction()
    values = bone.values if values is None else values
    if values.dtype != np.uint8:
        raise InputError(f"density: expected uint8 bone fraction or a mask, got {values.dtype}; use microct.segment")
    tissue = np.asarray(tissue_mgha, np.float32)
    if (tissue.ndim and tissue.shape != values.shape) or not (tissue >= 0.0).all():
        raise InputError(
            "density: expected tissue mineral of 0 mgHA/cm3 or more (usual: 800 to 1300), one number or one for each "
            f"voxel of {values.shape}"
        )
    share = values.astype(np.float32) * np.float32(1.0 / 255.0)
    return bone.with_values(share * tissue, "density of mineral [mgHA/cm3]", kind="")


@dataclass(frozen=True)
class Projection:
    """A bone as DXA projects it.

    Attributes:
        areal_density: (rows, columns) float64 [g/cm2].
        pixel_mm: edges of a pixel along rows and columns [mm].
        inside: (rows, columns) bool, pixels that count as bone.
    """

    areal_density: np.ndarray
    pixel_mm: tuple[float, float]
    inside: np.ndarray

    @property
    def area_cm2(self) -> float:
        """Area that counts as bone [cm2]."""
        return float(np.count_nonzero(self.inside)) * math.prod(self.pixel_mm) / 100.0

    @property
    def content_g(self) -> float:
        """Bone mineral content within that area [g]."""
        return float(self.areal_density[self.inside].sum()) * math.prod(self.pixel_mm) / 100.0

    @property
    def abmd(self) -> float:
        """Areal bone mineral density: content for area [g/cm2]; NaN where nothing counts as bone."""
        return self.content_g / self.area_cm2 if self.inside.any() else math.nan


def project(mineral: Volume, axis: int = 1, edge_g_cm2: float | None = None) -> Projection:
    """Sum density along an axis.

    Args:
        mineral: density [mgHA/cm3], from `density`.
        axis: of the beam: 0, 1, 2 for z, y, x; 1 for a spine or hip whose y axis points forward.
        edge_g_cm2: a pixel counts as bone above this; None counts the whole face of the block, as suits a block cut
            out of a bone.
    """
    expected_volume(mineral, "project")
    if axis not in (0, 1, 2):
        raise StudyError(f"axis {axis}: expected 0, 1 or 2 (z, y, x)")
    # mgHA/cm3 times cm is mgHA/cm2.
    areal = mineral.values.sum(axis=axis, dtype=np.float64) * (mineral.spacing_mm[axis] / 10.0) / 1000.0
    pixel = tuple(h for k, h in enumerate(mineral.spacing_mm) if k != axis)
    inside = np.ones(areal.shape, bool) if edge_g_cm2 is None else areal > edge_g_cm2
    return Projection(areal, pixel, inside)  # type: ignore[arg-type]


def volumetric_density(mineral: Volume, region: np.ndarray | None = None) -> float:
    """vBMD [mgHA/cm3]: mean density of a region (bool of the same shape), or of the block."""
    expected_volume(mineral, "volumetric_density")
    values = mineral.values if region is None else mineral.values[np.asarray(region) != 0]
    return float(values.mean(dtype=np.float64)) if values.size else math.nan


def scan_as(mineral: Volume, scanner: Scanner | str, seed: int = 0) -> Volume:
    """The bone as the scanner sees it.

    Args:
        mineral: density [mgHA/cm3], from `density`, on voxels finer than the scanner's.
        scanner: or its name in `SCANNERS`.
        seed: of the noise, a whole number of 0 or more.

    Returns:
        Density [mgHA/cm3], float32, on the scanner's voxels: blurred (the block's faces are mirrors, so that its
        mineral stays), averaged over each new voxel, noise added. The block's middle stays; what does not fill a whole
        voxel at its faces is cut off.

    Raises:
        StudyError: an unknown scanner, or a seed that is none.
        InputError: voxels coarser than the scanner's, or a block too small.
    """
    expected_volume(mineral, "scan_as")
    if isinstance(scanner, str):
        if scanner not in SCANNERS:
            raise StudyError(f"scanner {scanner!r}: expected one of {', '.join(SCANNERS)}, or a Scanner")
        scanner = SCANNERS[scanner]
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise StudyError(f"seed: expected a whole number of 0 or more (usual: any), got {seed!r}")
    new = scanner.voxel_um / 1000.0
    if max(mineral.spacing_mm) > new * 1.001:
        raise InputError(
            f"{mineral.provenance.source}: voxels of {1000 * max(mineral.spacing_mm):g} um are coarser than the "
            f"scanner's {scanner.voxel_um:g} um; expected finer ones (usual: 10 to 40 um)"
        )
    values = mineral.values.astype(np.float32)
    if scanner.fwhm_um > 0.0:
        spread = [scanner.fwhm_um / FWHM_BY_SD / (1000.0 * h) for h in mineral.spacing_mm]
        values = ndimage.gaussian_filter(values, spread, mode="reflect", truncate=5.0)
    starts = []
    for axis, old in enumerate(mineral.spacing_mm):
        values, start = _averaged(values, axis, new / old, mineral)
        starts.append(start)
    if scanner.noise_mgha > 0.0:
        noise = np.random.default_rng(seed).standard_normal(values.shape, np.float32)
        values = values + noise * np.float32(scanner.noise_mgha)
    offsets = np.array(starts) * np.asarray(mineral.spacing_mm)
    origin = np.asarray(mineral.origin_mm) + offsets @ np.asarray(mineral.direction)
    return mineral.with_values(
        np.ascontiguousarray(values, np.float32),
        f"scanned at {scanner.voxel_um:g} um, FWHM {scanner.fwhm_um:g} um, noise {scanner.noise_mgha:g} mgHA/cm3",
        spacing_mm=(new, new, new),
        origin_mm=tuple(float(place) for place in origin),
    )


def _averaged(values: np.ndarray, axis: int, ratio: float, mineral: Volume) -> tuple[np.ndarray, float]:
    """Means over new voxels ``ratio`` old ones wide, and where the first new center lies [old voxels]."""
    length = values.shape[axis]
    count = math.floor(length / ratio + 1e-6)
    if count < 1:
        raise InputError(f"{mineral.provenance.source}: {mineral.size_mm} mm hold no whole voxel of the scanner")
    first = 0.5 * (length - count * ratio)
    edges = np.clip(first + ratio * np.arange(count + 1), 0.0, length)
    below = np.minimum(edges.astype(int), length - 1)
    moved = np.moveaxis(values, axis, 0).astype(np.float64)
    total = np.concatenate([np.zeros((1, *moved.shape[1:])), np.cumsum(moved, axis=0)])
    rest = (edges - below).reshape(-1, 1, 1)
    until = total[below] + rest * moved[below]
    return np.moveaxis(np.diff(until, axis=0) / ratio, 0, axis), first + 0.5 * ratio - 0.5
