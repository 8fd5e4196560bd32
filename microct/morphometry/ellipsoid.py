"""EF: whether bone is plate or rod, by the largest ellipsoids that fit into it.

After Doube (2015, doi:10.3389/fendo.2015.00015): an ellipsoid of semi-axes a <= b <= c has the factor a/b - b/c, from
-1 (plate) over 0 to +1 (rod), and each voxel takes the factor of the largest ellipsoid that holds it. Doube's search
draws random turns; here it is greedy and free of chance: a is the way to the nearest point of the surface, b the
most that fits across it, c the most that fits across both. The surface is sought along fixed rays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microct.kernels import thickness
from microct.kernels.distance import squared_distance
from microct.morphometry.specimen import Specimen
from microct.table import Row

#: Rays from each seed, spread evenly (Fibonacci); they find the surface to half a voxel.
RAYS = 512
_STEP = 0.5
#: Seeds on the mid-axes; more of them change the mean factor by less than 0.01.
SEEDS = 1500
#: Rays end here [voxel].
_FARTHEST = 64.0
#: Shapes: b/a <= c/a from 1 to this ratio in so many steps (longer ones would slip between rays); so many of the
#: rays' ends may lie inside, for roughness.
_RATIO = 5.0
_SHAPES = 12
_INSIDE = 3


@dataclass(frozen=True)
class Ellipsoids:
    """Ellipsoids that fit into bone.

    Attributes:
        centers: (n, 3) voxel (z, y, x).
        radii: (n, 3) semi-axes, ascending [voxel].
        axes: (n, 3, 3) unit vectors (z, y, x), a row for each semi-axis.
    """

    centers: np.ndarray
    radii: np.ndarray
    axes: np.ndarray

    @property
    def factors(self) -> np.ndarray:
        """(n,) a/b - b/c."""
        return self.radii[:, 0] / self.radii[:, 1] - self.radii[:, 1] / self.radii[:, 2]


def ellipsoids(bone: np.ndarray, seeds: np.ndarray) -> Ellipsoids:
    """Fit one ellipsoid at each of the (n, 3) seeds; the faces of the volume end them as the surface does."""
    rays = _fibonacci(RAYS)
    radii, axes = [], []
    for first in range(0, len(seeds), 256):
        points = _surface_points(bone, seeds[first : first + 256], rays)
        part_radii, part_axes = _fitted(points)
        radii.append(part_radii)
        axes.append(part_axes)
    return Ellipsoids(seeds, np.concatenate(radii), np.concatenate(axes))


def factor_map(bone: np.ndarray, fitted: Ellipsoids) -> np.ndarray:
    """(nz, ny, nx) float32: factor of the largest ellipsoid that holds each voxel of bone, NaN where none does."""
    result = np.full(bone.shape, np.nan, np.float32)
    order = np.argsort(np.prod(fitted.radii, axis=1), kind="stable")
    for number in order:  # ascending: the largest writes last
        center, radii, axes = fitted.centers[number], fitted.radii[number], fitted.axes[number]
        reach = np.floor(np.sqrt(((axes * radii[:, None]) ** 2).sum(axis=0))).astype(int)
        low, high = np.maximum(center - reach, 0), np.minimum(center + reach + 1, bone.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, center, strict=True))
        z, y, x = z[:, None, None], y[:, None], x
        inside = sum(((z * axis[0] + y * axis[1] + x * axis[2]) / r) ** 2 for axis, r in zip(axes, radii, strict=True))
        result[box][inside <= 1.0] = fitted.factors[number]
    result[~bone] = np.nan
    return result


def ellipsoid_rows(specimen: Specimen) -> list[Row]:
    """EF and its spread over the bone, the share of bone in some ellipsoid, and shares of plates and rods in that."""
    symbols = ("EF", "EF.SD", "EF.Fill", "Pl.BV/BV", "Rd.BV/BV")
    if not specimen.isotropic:
        return [Row(symbol, math.nan, note="needs cubic voxels: resample first") for symbol in symbols]
    squared = np.asarray(squared_distance(specimen.bone))
    axes = thickness.mid_axes(squared, thickness.local_squared_radius(specimen.bone, squared))
    seeds = np.argwhere(axes if specimen.region is None else axes & specimen.region)
    if not len(seeds):
        return [Row(symbol, math.nan, note="no bone, or no marrow that bounds it") for symbol in symbols]
    seeds = seeds[:: -(-len(seeds) // SEEDS)]
    factors = factor_map(specimen.bone, ellipsoids(specimen.bone, seeds))[specimen.bone_in_region]
    filled = factors[np.isfinite(factors)]
    if not len(filled):
        return [Row(symbol, math.nan, note="no ellipsoid fits") for symbol in symbols]
    values = (
        float(filled.mean(dtype=float)),
        float(filled.std(dtype=float)),
        100.0 * len(filled) / len(factors),
        100.0 * float(np.mean(filled < 0)),
        100.0 * float(np.mean(filled > 0)),
    )
    return [Row(symbol, value, convention="star axes") for symbol, value in zip(symbols, values, strict=True)]


def _fibonacci(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere."""
    number = np.arange(count) + 0.5
    height, turn = 1.0 - 2.0 * number / count, number * math.pi * (1.0 + math.sqrt(5.0))
    across = np.sqrt(1.0 - height**2)
    return np.stack([height, across * np.cos(turn), across * np.sin(turn)], axis=1)


def _surface_points(bone: np.ndarray, seeds: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(n, rays, 3) from each seed to where its rays leave bone, or the volume, or end."""
    padded = np.pad(bone, 1)
    lengths = np.full((len(seeds), len(rays)), _FARTHEST)
    alive = np.ones(lengths.shape, bool)
    distance = 0.0
    while alive.any() and distance < _FARTHEST:
        distance += _STEP
        who, which = np.nonzero(alive)
        place = np.rint(seeds[who] + distance * rays[which]).astype(np.intp) + 1
        place = np.clip(place, 0, np.array(padded.shape) - 1)
        left = ~padded[place[:, 0], place[:, 1], place[:, 2]]
        lengths[who[left], which[left]] = distance - _STEP / 2
        alive[who[left], which[left]] = False
    return lengths[..., None] * rays


def _fitted(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Semi-axes (n, 3) ascending and axes (n, 3, 3) of the largest ellipsoids that keep nearly all points outside."""
    distance = np.linalg.norm(points, axis=2)
    unit = points / distance[..., None]
    # A ray that slips out through a gap must not turn the axes.
    length = np.minimum(distance, _RATIO * distance.min(axis=1)[:, None])
    _, vectors = np.linalg.eigh(np.einsum("nr,nri,nrj->nij", length, unit, unit))
    axes = np.swapaxes(vectors, 1, 2)  # eigh is ascending: the first axis is the shortest
    squares = np.einsum("nri,nai->nra", points, axes) ** 2
    ratios = _RATIO ** (np.arange(_SHAPES) / (_SHAPES - 1))
    b, c = (ratios[index] for index in np.triu_indices(_SHAPES))
    shapes = np.stack([np.ones_like(b), b, c])
    largest = np.zeros(len(points))
    chosen = np.zeros(len(points), np.intp)
    sizes = np.zeros(len(points))
    for number in range(shapes.shape[1]):
        scaled = squares @ (1.0 / shapes[:, number] ** 2)
        scale = np.sqrt(np.partition(scaled, _INSIDE, axis=1)[:, _INSIDE])
        size = scale**3 * np.prod(shapes[:, number])
        better = size > largest
        largest[better], chosen[better], sizes[better] = size[better], number, scale[better]
    return sizes[:, None] * shapes[:, chosen].T, axes
