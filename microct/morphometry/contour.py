"""Where a bone ends, and where its cortex ends: periosteal and endosteal contour by two thresholds.

After the dual threshold of HR-pQCT software (Buie, Campbell, Klinck, MacNeil, Boyd 2007,
doi:10.1016/j.bone.2007.07.007): dense tissue is closed and filled to give the periosteal surface; what is not dense
within it is closed over the trabeculae to give the endosteal surface. All distances are exact, by `kernels.distance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microct.kernels import components
from microct.kernels.distance import UNREACHED, squared_distance
from microct.status import InputError, StudyError
from microct.volume import Volume, expected_volume

#: Of the numbers of `contours`: from, to, unit, what is usual. Distances suit a mouse to a human bone.
_RANGES = {
    "threshold": (-math.inf, math.inf, "in the unit of the voxels", "450 mgHA/cm3"),
    "sigma": (0.0, 20.0, "voxels", "0 to 2"),
    "closing_mm": (0.0, 10.0, "mm", "0.2 to 1.5"),
    "marrow_closing_mm": (0.0, 10.0, "mm", "0.05 to 0.5"),
    "least_cortex_mm": (0.0, 5.0, "mm", "0.03 to 0.12"),
    "least_share": (0.0, 1.0, "of the largest", "0.05"),
}


@dataclass(frozen=True)
class Contours:
    """The compartments of bones that were found in a scan.

    Attributes:
        periosteal: (nz, ny, nx) uint8, 0 outside, else the number of the bone, largest first.
        trabecular: (nz, ny, nx) bool, within the endosteal contour.
        spacing_mm: voxel edges along (z, y, x) [mm].
    """

    periosteal: np.ndarray
    trabecular: np.ndarray
    spacing_mm: tuple[float, float, float]

    @property
    def cortical(self) -> np.ndarray:
        """(nz, ny, nx) bool: between the contours, pores included."""
        return (self.periosteal > 0) & ~self.trabecular

    def bone(self, number: int) -> Contours:
        """One bone alone, which is then number 1; 1 is the largest.

        Raises:
            StudyError: there is no bone of that number.
        """
        count = int(self.periosteal.max(initial=0))
        if number not in range(1, count + 1):
            known = f"expected a number from 1 (the largest) to {count}" if count else "the contours hold no bone"
            raise StudyError(f"bone: {known}, got {number!r}")
        mine = self.periosteal == number
        return Contours(mine.astype(np.uint8), self.trabecular & mine, self.spacing_mm)


def contours(
    volume: Volume,
    threshold: float,
    *,
    sigma: float = 1.0,
    closing_mm: float = 1.5,
    marrow_closing_mm: float = 0.5,
    least_cortex_mm: float = 0.12,
    least_share: float = 0.05,
) -> Contours:
    """Find the periosteal and the endosteal contour of every bone in a scan.

    The long axis is z: bones may be cut by the first and the last slice, and the marrow there is inside.

    Args:
        volume: grey values or density, cubic voxels.
        threshold: value from which smoothed tissue is dense, in the unit of the voxels (450 mgHA/cm3 is usual).
        sigma: standard deviation of the Gaussian filter before the threshold [voxel].
        closing_mm: gaps in the cortex up to twice this are bridged for the periosteal contour [mm].
        marrow_closing_mm: trabeculae up to twice this thick belong to the trabecular compartment [mm].
        least_cortex_mm: the cortex is at least this thick [mm].
        least_share: pieces smaller than this share of the largest are not bones.

    Raises:
        InputError: not a `Volume`; nothing reaches the threshold, or everything does; voxels that are not cubes.
        StudyError: a number outside its range.
    """
    expected_volume(volume, "contours")
    _check(threshold=threshold, sigma=sigma, closing_mm=closing_mm, marrow_closing_mm=marrow_closing_mm,
           least_cortex_mm=least_cortex_mm, least_share=least_share)  # fmt: skip
    edge = volume.voxel_size_um / 1000.0
    dense = smoothed(volume.values, sigma) >= threshold
    if not dense.any() or dense.all():
        what = "no voxel is" if not dense.any() else "every voxel is"
        raise InputError(
            f"{volume.provenance.source}: {what} as dense as {threshold:g}; values run from {volume.values.min():g} "
            f"to {volume.values.max():g}"
        )
    labels, _ = components.label(dense)
    sizes = np.bincount(labels.ravel())[1:]
    bones = [
        int(number) + 1 for number in np.argsort(-sizes, kind="stable") if sizes[number] >= least_share * sizes.max()
    ]
    periosteal = np.zeros(volume.shape, np.uint8)
    trabecular = np.zeros(volume.shape, bool)
    reach = closing_mm / edge
    for rank, number in enumerate(bones[:255], 1):
        box = _box(labels == number, int(reach) + 3)
        mine = labels[box] == number
        outer = filled(closed(mine, reach)) & (periosteal[box] == 0)
        inner = _marrow(mine, outer, marrow_closing_mm / edge, least_cortex_mm / edge)
        periosteal[box][outer] = rank
        trabecular[box] |= inner
    return Contours(periosteal, trabecular, volume.spacing_mm)


def _check(**given: object) -> None:
    """Refuse what is no number, or one outside its range."""
    for name, value in given.items():
        low, high, unit, usual = _RANGES[name]
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and low <= value <= high):  # type: ignore[arg-type, operator]
            bounds = f"from {low:g} to {high:g} " if math.isfinite(low) else ""
            raise StudyError(f"{name}: expected a number {bounds}{unit} (usual: {usual}), got {value!r}")


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter along the three axes, edges repeated, cut off at 3 sigma; float32."""
    field = np.asarray(values, np.float32)
    reach = int(np.ceil(3.0 * sigma))
    if reach == 0:
        return field
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in range(3):
        rim = [(reach, reach) if other == axis else (0, 0) for other in range(3)]
        padded = np.pad(field, rim, mode="edge")
        total = np.zeros_like(field)
        for step, weight in enumerate(weights):
            part = [slice(None)] * 3
            part[axis] = slice(step, step + field.shape[axis])
            total += weight * padded[tuple(part)]
        field = total
    return field


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """Voxels whose center is within ``radius`` [voxel] of the mask's."""
    return np.asarray(squared_distance(~mask)) <= radius**2


def eroded(mask: np.ndarray, radius: float) -> np.ndarray:
    """Voxels farther than ``radius`` [voxel] from what is outside the mask; the volume's faces are not outside."""
    return np.asarray(squared_distance(mask)) > radius**2


def closed(mask: np.ndarray, radius: float) -> np.ndarray:
    """Dilated and eroded by a ball; gaps up to twice the radius are bridged. Nothing lies beyond the faces of y, x."""
    rim = int(radius) + 2
    wide = np.pad(mask, ((0, 0), (rim, rim), (rim, rim)))
    distance = np.asarray(squared_distance(~wide))
    if distance.flat[0] == UNREACHED:
        return mask
    return eroded(distance <= radius**2, radius)[:, rim:-rim, rim:-rim]


def filled(mask: np.ndarray) -> np.ndarray:
    """The mask and what it shuts in sideways: background that cannot reach the faces of y and x."""
    outside, count = components.label(~mask, 6)
    open_ = np.zeros(count + 1, bool)
    for axis in (1, 2):
        for end in (0, -1):
            open_[outside.take(end, axis).ravel()] = True
    open_[0] = False
    return ~open_[outside]


def _marrow(dense: np.ndarray, outer: np.ndarray, closing: float, least_cortex: float) -> np.ndarray:
    """The trabecular compartment: the largest space that is not dense, closed over trabeculae, within the cortex."""
    within = eroded(outer, least_cortex)
    space = components.largest(within & ~dense, 6)
    if not space.any():
        return space
    return filled(closed(space, closing)) & within


def _box(mask: np.ndarray, rim: int) -> tuple[slice, slice, slice]:
    """The mask's bounding box and ``rim`` voxels around it, within the volume."""
    ranges = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ranges.append(slice(max(int(hit[0]) - rim, 0), min(int(hit[-1]) + rim + 1, mask.shape[axis])))
    return tuple(ranges)  # type: ignore[return-value]
