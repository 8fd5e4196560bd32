"""Light for every picture, whichever backend draws it: ambient occlusion, one soft shadow, and the colors.

Both are small volumes computed once for each state of the bone, so that a surface point is lit by two look-ups and the
pictures of both backends agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microct.render.field import LEVEL, PAD, Box, Field, binomial, block_mean, sample

# Colors told apart by color-blind readers: they differ in lightness as well as in hue (sRGB).
BONE = (242, 230, 203)
CUT_FACE = (216, 190, 143)
LOST = (196, 18, 56)
GAINED = (0, 139, 139)

#: Direction towards the lamp along (z, y, x): from above, in front and to the left of the default camera.
LAMP = np.array([0.80, -0.58, -0.16], np.float32) / np.float32(np.linalg.norm([0.80, -0.58, -0.16]))


def linear(color: tuple[int, int, int]) -> np.ndarray:
    """sRGB 0..255 to linear light 0..1 (IEC 61966-2-1, as the power 2.2)."""
    return (np.asarray(color, np.float32) / 255.0) ** 2.2


def srgb(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB 0..255 as float32."""
    return 255.0 * np.clip(light, 0.0, 1.0) ** (1.0 / 2.2)


@dataclass(frozen=True)
class Lamps:
    """Light in the pores, at half the resolution of the field it was made from.

    Attributes:
        near: (mz, my, mx) float32, share of bone around a point, small radius.
        far: the same, large radius.
        lit: share of the lamp that arrives, 0 to 1.
        reach: the two radii [display voxels].
        margin: voxels of `near`, `far` and `lit` around the field, so that its faces stand in the open.
    """

    near: np.ndarray
    far: np.ndarray
    lit: np.ndarray
    reach: tuple[float, float]
    margin: int


def lamps(bone: Field) -> Lamps:
    """Light the bone: blur its occupancy at two radii, and let the lamp shine down through it slice by slice."""
    wide = max(3.0, 0.05 * max(bone.shape))
    narrow = wide / 3.0
    margin = int(np.ceil(0.75 * wide)) + 1
    occupied = np.pad(block_mean(bone.values, 2) / np.float32(255.0), margin)
    near = blurred(occupied, narrow / 2.0)
    far = blurred(near, wide / 2.0)
    return Lamps(near, far, shadow(occupied, bone.spacing_mm), (narrow, wide), margin)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur by repeated binomials (variance 1/2 each), marrow outside."""
    rounds = max(1, round(2.0 * sigma**2))
    if rounds > 8:
        half = block_mean(values, 2)
        return doubled(blurred(half, sigma / 2.0), values.shape)
    for _ in range(rounds):
        for axis in range(3):
            values = binomial(values, axis)
    return values


def doubled(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation of a block mean back to ``shape`` (twice as many voxels along each axis)."""
    for axis, n in enumerate(shape):
        place = np.clip((np.arange(n, dtype=np.float32) - 0.5) / 2.0, 0.0, values.shape[axis] - 1)
        below = place.astype(int)
        above = np.minimum(below + 1, values.shape[axis] - 1)
        weight = (place - below).reshape([-1 if a == axis else 1 for a in range(3)])
        values = values.take(below, axis) * (1 - weight) + values.take(above, axis) * weight
    return values


def shadow(occupied: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Share of the lamp's light at each voxel: slice by slice downwards, sheared along `LAMP`, softened on the way."""
    lit = np.ones_like(occupied)
    step = [float(LAMP[axis] / LAMP[0] * spacing_mm[0] / spacing_mm[axis]) for axis in (1, 2)]
    beam = np.ones_like(occupied[0])
    for z in range(occupied.shape[0] - 1, -1, -1):
        lit[z] = beam
        beam = beam * (1.0 - 0.95 * np.clip(1.6 * occupied[z] - 0.1, 0.0, 1.0))
        for axis in (0, 1):
            beam = moved(beam, -step[axis], axis)
        if z % 3 == 0:
            for axis in (0, 1):
                beam = binomial(beam[None], axis + 1)[0]
    return lit


def moved(image: np.ndarray, by: float, axis: int) -> np.ndarray:
    """The image moved by a fraction of a pixel along one axis; full light comes in from outside."""
    n = image.shape[axis]
    place = np.arange(n) - by
    below = np.floor(place).astype(int)
    weight = (place - below).reshape((-1, 1) if axis == 0 else (1, -1)).astype(np.float32)
    padded = np.pad(image, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], constant_values=1.0)

    def take(index: np.ndarray) -> np.ndarray:
        return padded.take(np.clip(index + 1, 0, n + 1), axis)

    return take(below) * (1 - weight) + take(below + 1) * weight


@dataclass(frozen=True)
class Surface:
    """Surface points with everything about their light that does not depend on the camera.

    Attributes:
        points: (3, n) padded indices of the field.
        normal: (3, n) outward unit normals.
        albedo: (n, 3) or (3,) linear color.
        opening: (n,) share of the sky that is not hidden by bone, 0 to 1.
        lit: (n,) share of the lamp that arrives, 0 to 1.
        center: (3, 1) middle of the block; span: its diagonal; both in display voxels.
        opacity: (n,) 0 to 1.
    """

    points: np.ndarray
    normal: np.ndarray
    albedo: np.ndarray
    opening: np.ndarray
    lit: np.ndarray
    center: np.ndarray
    span: float
    opacity: np.ndarray

    def seen(self, towards_eye: np.ndarray) -> np.ndarray:
        """(n, 3) sRGB 0..255, float32, as seen from the direction ``towards_eye`` (3,)."""
        eye = towards_eye.astype(np.float32)
        lamp = np.maximum(LAMP @ self.normal, 0.0)
        facing = np.maximum(eye @ self.normal, 0.0)
        sky = 0.5 + 0.5 * self.normal[0]
        ambient = (0.24 + 0.15 * sky + 0.24 * facing) * self.opening**1.4
        diffuse = ambient + 0.62 * lamp * (0.10 + 0.90 * self.lit) * (0.3 + 0.7 * self.opening)
        halfway = (LAMP + eye) / np.linalg.norm(LAMP + eye)
        gloss = 0.05 * np.maximum(halfway @ self.normal, 0.0) ** 24 * self.lit * self.opening
        # What is further away is a little darker and cooler, as in deep pores.
        nearer = 0.5 + (eye @ (self.points - self.center)) / self.span
        haze = 0.40 * np.clip(1.0 - nearer, 0.0, 1.0)[:, None] * np.array([1.0, 0.97, 0.90], np.float32)
        return srgb((diffuse[:, None] * self.albedo + gloss[:, None]) * (1.0 - haze))


def surface(
    points: np.ndarray,
    normal: np.ndarray,
    albedo: np.ndarray,
    lamps: Lamps,
    bone: Field,
    opacity: np.ndarray | None = None,
) -> Surface:
    """Light surface points (3, n) of ``bone``, which ``lamps`` was made from; see `Surface` for shapes."""
    narrow, wide = lamps.reach
    near, far, open_air = ((points + reach * normal - 0.5) / 2.0 + lamps.margin for reach in (narrow, wide, 2.0))
    # A flat wall fills 16 % of a Gaussian one radius above it; what is beyond that is occlusion.
    crowded = 0.9 * (sample(lamps.near, near) - 0.16) + 1.5 * (sample(lamps.far, far) - 0.08)
    opening = np.clip(1.0 - 1.2 * crowded, 0.08, 1.0)
    lit = np.clip(sample(lamps.lit, open_air), 0.0, 1.0)
    size = np.array(bone.values.shape, np.float32)
    opacity = np.ones(points.shape[1], np.float32) if opacity is None else opacity
    return Surface(points, normal, albedo, opening, lit, size[:, None] / 2.0, float(np.linalg.norm(size)), opacity)


def on_cut_face(points: np.ndarray, shape: tuple[int, int, int], removed: Box | None) -> np.ndarray:
    """How much each point lies on a face where the block was cut, 0 to 1.

    Args:
        points: (3, n) padded indices.
        shape: display voxels of the block.
        removed: the box that was cut away, if any.

    Returns:
        (n,) float32.
    """
    gap = np.full(points.shape[1], np.inf, np.float32)
    for axis, n in enumerate(shape):
        place = points[axis] - (PAD - 0.5)
        gap = np.minimum(gap, np.minimum(np.abs(place), np.abs(place - n)))
    if removed is not None:
        place = points - (PAD - 0.5)
        low, high = (np.array([edge[i] for edge in removed], np.float32)[:, None] for i in (0, 1))
        # distance from the surface of the removed box, for points outside or on it
        gap = np.minimum(gap, np.abs(np.maximum(low - place, place - high).max(axis=0)))
    return np.clip((0.45 - gap) / 0.2, 0.0, 1.0).astype(np.float32)


def lost_weight(now: np.ndarray) -> np.ndarray:
    """How lost a point of the first surface is, from the field of today there: 0 at the surface, 1 a voxel off it."""
    return np.clip((LEVEL - 25.0 - now) / 70.0, 0.0, 1.0)
