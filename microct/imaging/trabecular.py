"""Trabecular bone of given bone volume fraction, thickness and anisotropy, as a smooth field.

Everything is a multiple of the thickness: the marrow cells, the lattice, the rounding of corners. So a network that
comes out too thick or too thin is scaled as a whole, and the level of the field gives the bone volume fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from microct.imaging.foam import Skeleton, skeleton
from microct.imaging.localthickness import mean_local_thickness
from microct.imaging.smoothfield import SmoothField, block_inside, lattice, without_islands
from microct.volume import BONE

#: Lattice points across a trabecula.
POINTS_ACROSS = 5.0
#: Width over which bone fades to marrow before smoothing, and the smoothing, in trabecular thicknesses: by eye,
#: beside real scans. Wider fillets swallow the thin rods.
SOFT_EDGE, ROUNDING = 0.25, 0.42
#: How far a network may be scaled to reach its thickness; the skeleton is drawn this much larger than the block.
SCALE_RANGE = (0.85, 1.35)


@dataclass(frozen=True)
class TrabecularBone:
    """What the network is to be.

    Attributes:
        bone_volume_fraction: bone in the whole block, 0..1.
        thickness_mm: mean local thickness [mm].
        anisotropy: length of the marrow cells along z for each width.
        plate_share: share of the cells' wall area that is plate, 0..1.
    """

    bone_volume_fraction: float
    thickness_mm: float
    anisotropy: float
    plate_share: float

    @property
    def cell_mm(self) -> float:
        """Size of marrow cells whose walls and edges fill the fraction at this thickness [mm]; a fit."""
        plates = min(self.plate_share, 0.5)
        return (
            self.thickness_mm * self.bone_volume_fraction ** -(0.6 + 0.9 * plates) * (1.0 + 0.3 * self.plate_share**3)
        )


def trabecular_field(size_mm: tuple[float, float, float], seed: int, bone: TrabecularBone) -> SmoothField:
    """The bone of a block, the same for every voxel size.

    Args:
        size_mm: edges of the block (z, y, x) [mm].
        seed: of the counter-based generator (Philox).
        bone: what is asked for.
    """
    half = 0.5 * np.asarray(size_mm)
    rng = np.random.Generator(np.random.Philox(seed))
    point_step = 0.8 * bone.thickness_mm / POINTS_ACROSS
    network = skeleton(rng, half / SCALE_RANGE[0], bone.cell_mm, bone.anisotropy, bone.plate_share, point_step)
    # the middle is enough to know the thickness by
    probe = np.minimum(half, 1.0 * bone.cell_mm + 5.0 * bone.thickness_mm)
    scale = 1.0
    for _ in range(3):
        field = _leveled(network, scale, half, bone)
        ratio = bone.thickness_mm / _measured_thickness(field, probe)
        if abs(ratio - 1.0) < 0.01:
            return field
        scale = float(np.clip(scale * ratio, *SCALE_RANGE))
    return _leveled(network, scale, half, bone)


def _leveled(network: Skeleton, scale: float, half: np.ndarray, bone: TrabecularBone) -> SmoothField:
    """The network at one scale, its level set for the bone volume fraction that stays when islands have gone."""
    thickness = scale * bone.thickness_mm
    step = thickness / POINTS_ACROSS
    depth, first = _depth(network, scale, half, step)
    # mean over a neighborhood of what is bone and what is not, rather than of depths: corners fill up and sharp edges
    # wear off, as they do in bone
    soft = np.tanh((0.5 * thickness + depth) / (SOFT_EDGE * thickness)).astype(np.float32)
    soft = ndimage.gaussian_filter(soft, ROUNDING * POINTS_ACROSS, mode="nearest")
    inside = block_inside(soft.shape, first, half, step)
    for _ in range(4):
        level = np.float32(np.quantile(soft[inside], 1.0 - bone.bone_volume_fraction))
        pressed = without_islands(soft - level, inside, slope=0.5)
        if np.array_equal(pressed, soft - level):
            break
        soft = pressed + level
    values = soft - level
    # back from the tanh to what grows like a distance, for true partial voxels
    values = np.arctanh(np.clip(values, -0.97, 0.97)) * np.float32(SOFT_EDGE * thickness)
    return SmoothField(values, step, first)


def _depth(network: Skeleton, scale: float, half: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Minus the distance from the skeleton, more where it is to be thicker [mm]; and the first lattice point [mm]."""
    shape, first = lattice(half, step, margin=6)
    distance, extra = nearest_point(scale * network.points_mm, network.thickness - 1.0, shape, first, step)
    return 0.5 * POINTS_ACROSS * step * extra - distance, first


def nearest_point(
    points_mm: np.ndarray, carried: np.ndarray, shape: tuple[int, ...], first_mm: np.ndarray, step_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distance [mm] of every lattice point to the nearest of many points, and what that one carries.

    Points are gathered at the lattice point next to them, which keeps their mean place.
    """
    places = (points_mm - first_mm) / step_mm
    index = np.rint(places).astype(int)
    near = ((index >= 0) & (index < shape)).all(axis=1)
    index, places, carried = index[near], places[near], carried[near]
    flat = np.ravel_multi_index(tuple(index.T), shape)
    count = np.bincount(flat, minlength=int(np.prod(shape)))

    def mean(weights: np.ndarray) -> np.ndarray:
        sums = np.bincount(flat, weights=weights, minlength=count.size)
        return (sums / np.maximum(count, 1)).astype(np.float32)

    nearest = ndimage.distance_transform_edt((count == 0).reshape(shape), return_distances=False, return_indices=True)
    at = np.ravel_multi_index(tuple(nearest), shape)
    squared = np.zeros(shape, np.float32)
    for axis in range(3):
        own = np.arange(shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        squared += (nearest[axis] + mean(places[:, axis] - index[:, axis])[at] - own) ** 2
    return np.float32(step_mm) * np.sqrt(squared), mean(carried)[at]


def _measured_thickness(field: SmoothField, half: np.ndarray) -> float:
    """Mean local thickness [mm] of the middle of a field, on voxels of 3/4 of its lattice."""
    voxel = 0.75 * field.step_mm
    bone = field.draw(tuple(2.0 * half), 1000.0 * voxel, "probe").values >= BONE
    return voxel * mean_local_thickness(bone)
