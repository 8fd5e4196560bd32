"""Lay one scan of a bone over another: rigid motion by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from microct.status import InputError
from microct.volume import Volume, expected_volume

#: Residual above which scans are not rightly laid over each other: bones turned by up to 15 degrees and moved by up to
#: 1.4 mm end at 0.02 to 0.60 (0.60 where the noise of a voxel is half of the contrast of bone, 0.48 where a third of
#: the bone is gone), false alignments and other bones at 1.17 to 1.41 (docs/morphometry.md).
RESIDUAL_LIMIT = 0.8
#: The finest level is the first at which the fixed scan has no more voxels than this: some 0.8 GB.
_MOST_VOXELS = 1 << 22


@dataclass(frozen=True)
class RigidMotion:
    """Where each point of the fixed scan lies in the moving one: ``rotation (p - center) + center + shift``.

    Attributes:
        rotation: (3, 3), in (z, y, x).
        shift: (3,) [mm].
        center: (3,) [mm] from the first voxel.
        residual: root mean square difference of the smoothed scans, by the fixed scan's spread; 0 is perfect.
    """

    rotation: np.ndarray
    shift: np.ndarray
    center: np.ndarray
    residual: float

    @property
    def angle_degree(self) -> float:
        """Angle of the rotation."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1.0) / 2.0, -1.0, 1.0))))


def register(fixed: Volume, moving: Volume, *, levels: tuple[int, ...] | None = None, steps: int = 30) -> RigidMotion:
    """Find the rigid motion that lays ``moving`` over ``fixed`` (Gauss-Newton on grey values, coarse to fine).

    For scans of one bone that are nearly aligned: up to about 10 degrees and half a trabecular spacing apart, or
    further where an outline guides it. Where the coarsest level ends above `RESIDUAL_LIMIT`, the shift at which the
    scans correlate best is tried as another beginning.

    Args:
        fixed, moving: scans in the same unit and of the same cubic voxel size; shapes may differ.
        levels: factors by which both are reduced, coarse first; None for 4, 2, 1, coarser above 4 million voxels.
        steps: at most so many at each level.

    Raises:
        InputError: not a `Volume`; voxel sizes that differ, or scans that do not overlap.
    """
    for scan in (fixed, moving):
        expected_volume(scan, "register")
    edge = fixed.voxel_size_um / 1000.0
    if abs(moving.voxel_size_um / fixed.voxel_size_um - 1.0) > 1e-3:
        raise InputError(
            f"register: expected one voxel size, got {fixed.voxel_size_um:g} and {moving.voxel_size_um:g} um; "
            "resample one of them first"
        )
    if levels is None:
        finest = 1
        while fixed.values.size / finest**3 > _MOST_VOXELS:
            finest *= 2
        levels = (4 * finest, 2 * finest, finest)
    center = (np.array(fixed.shape) - 1) / 2.0
    levels = tuple(level for level in levels if min(*fixed.shape, *moving.shape) // level >= 8)
    if not levels:
        raise InputError("register: a scan is below 8 voxels along an axis; expected more")
    for scan in (fixed, moving):
        if scan.values.min() == scan.values.max():
            raise InputError(f"register: every voxel of {scan.provenance.source} is {scan.values.min()}")
    rotation, shift, residual = np.eye(3), np.zeros(3), np.inf
    for number, level in enumerate(levels):
        still, free = (_reduced(scan.values, level) for scan in (fixed, moving))
        offset = (level - 1) / 2.0  # the middle of a coarse voxel lies between fine ones
        middle = (center - offset) / level
        rotation, coarse, residual = _fit(still, free, rotation, shift / level, middle, steps)
        if number == 0 and residual > RESIDUAL_LIMIT:
            other = _fit(still, free, np.eye(3), _likeliest_shift(still, free), middle, steps)
            if other[2] < residual:
                rotation, coarse, residual = other
        shift = coarse * level
    if not np.isfinite(residual):
        raise InputError("register: the scans do not overlap")
    return RigidMotion(rotation, shift * edge, center * edge, residual)


def moved(moving: Volume, motion: RigidMotion, like: Volume, order: int = 3) -> Volume:
    """The moving scan on the fixed scan's voxels; what lies outside it takes the moving scan's least value.

    Args:
        moving: the scan that was registered.
        motion: `register`'s answer.
        like: the fixed scan.
        order: 3 for cubic interpolation; 1 for linear, which blurs this scan alone, so that up to 5 % of its bone seem
            to be gone; 0 for masks.
    """
    edge = like.voxel_size_um / 1000.0
    values = _warped(moving.values, motion.rotation, motion.shift / edge, motion.center / edge, like.shape, order)
    kind = moving.values.dtype
    if kind.kind in "ui":
        values = np.clip(np.rint(values), np.iinfo(kind).min, np.iinfo(kind).max)
    step = f"moved by {motion.angle_degree:.3g} degree and {np.linalg.norm(motion.shift):.3g} mm onto the fixed scan"
    return like.with_values(values.astype(kind), step)


def covered(moving: Volume, motion: RigidMotion, like: Volume, margin: float = 1.0) -> np.ndarray:
    """(nz, ny, nx) bool of the fixed scan ``like``: voxels within the moving scan, ``margin`` voxels from its faces."""
    edge = like.voxel_size_um / 1000.0
    center, shift = motion.center / edge, motion.shift / edge
    places = [np.arange(n) - c for n, c in zip(like.shape, center, strict=True)]
    z, y, x = np.meshgrid(*places, indexing="ij", sparse=True)
    inside = np.ones(like.shape, bool)
    for axis, n in enumerate(moving.shape):
        to_z, to_y, to_x = motion.rotation[axis]
        place = to_z * z + to_y * y + to_x * x + (center[axis] + shift[axis])
        inside &= (place >= margin) & (place <= n - 1 - margin)
    return inside


def _likeliest_shift(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """(3,) voxels by which the moving scan, unturned, correlates best with the fixed one, among overlaps above 30 %."""
    shape = tuple(a + b for a, b in zip(fixed.shape, moving.shape, strict=True))

    def spectrum(values: np.ndarray) -> np.ndarray:
        return np.fft.rfftn(values, shape, axes=(0, 1, 2))

    still, free = (values - values.mean() for values in (fixed, moving))
    product, *powers, common = (
        np.fft.irfftn(np.conj(spectrum(a)) * spectrum(b), shape, axes=(0, 1, 2))
        for a, b in (
            (still, free), (still**2, np.ones_like(free)), (np.ones_like(still), free**2),
            (np.ones_like(still), np.ones_like(free)),
        )
    )  # fmt: skip
    enough = common > 0.3 * min(fixed.size, moving.size)
    power = np.sqrt(np.maximum(powers[0], 1e-9) * np.maximum(powers[1], 1e-9))
    best = np.unravel_index(int(np.argmax(np.where(enough, product / power, -np.inf))), shape)
    return np.array([k if k < n else k - total for k, n, total in zip(best, moving.shape, shape, strict=True)], float)


def _reduced(values: np.ndarray, level: int) -> np.ndarray:
    """Smoothed and averaged over blocks."""
    field = ndimage.gaussian_filter(values.astype(np.float32), 0.7 * level)
    shape = tuple(n // level for n in field.shape)
    cut = field[tuple(slice(0, n * level) for n in shape)]
    return cut.reshape(shape[0], level, shape[1], level, shape[2], level).mean(axis=(1, 3, 5))


def _warped(
    values: np.ndarray, rotation: np.ndarray, shift: np.ndarray, center: np.ndarray, shape: tuple[int, ...], order: int
) -> np.ndarray:
    offset = center + shift - rotation @ center
    return ndimage.affine_transform(
        np.asarray(values, np.float32), rotation, offset, shape, order=order, cval=float(values.min())
    )


def _fit(
    fixed: np.ndarray, moving: np.ndarray, rotation: np.ndarray, shift: np.ndarray, center: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation, shift [voxel] and relative residual after Gauss-Newton steps from the given ones."""
    places = [np.arange(n, dtype=np.float32) - c for n, c in zip(fixed.shape, center, strict=True)]
    z, y, x = np.meshgrid(*places, indexing="ij", sparse=True)
    inside = np.ones(moving.shape, np.float32)
    inside[0, 0, 0] = 0.0  # the least value, which fills what lies outside
    residual = np.inf
    for _ in range(steps):
        warped = _warped(moving, rotation, shift, center, fixed.shape, 1)
        valid = _warped(inside, rotation, shift, center, fixed.shape, 1) > 0.99
        for axis in range(3):  # differences at a face are one-sided
            for end in (0, -1):
                np.moveaxis(valid, axis, 0)[end] = False
        if valid.sum() < 64:
            return rotation, shift, np.inf
        gz, gy, gx = np.gradient(warped)
        # d warped = g . (turn x place + move): the gradient's moment about the center, and the gradient
        columns = [(y * gx - x * gy), (x * gz - z * gx), (z * gy - y * gz), gz, gy, gx]
        design = np.stack([column[valid] for column in columns], axis=1).astype(np.float64)
        error = (fixed - warped)[valid].astype(np.float64)
        residual = float(np.sqrt(np.mean(error**2)) / max(float(fixed[valid].std()), 1e-12))
        normal = design.T @ design
        change = np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(6), design.T @ error)
        shift = shift + rotation @ change[3:]
        rotation = rotation @ _turn(change[:3])
        if np.abs(change[3:]).max() < 1e-3 and np.abs(change[:3]).max() * max(fixed.shape) < 1e-3:
            break
    return rotation, shift, residual


def _turn(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    a, b, c = vector
    skew = np.array([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]])
    if angle < 1e-12:
        return np.eye(3) + skew
    return np.eye(3) + np.sin(angle) / angle * skew + (1.0 - np.cos(angle)) / angle**2 * skew @ skew
