"""Exact local thickness: the largest ball of a phase that holds each voxel (Hildebrand, Ruegsegger 1997).

Balls are open, centered on voxels, and as large as the nearest voxel of the other phase allows. Everything is
compared as squared integer distances, so the answer has the same bits on every machine. Two steps:

1. Prune: a ball whose voxels all belong to a neighbor's ball is not needed. Which neighbor radius is enough, for
   each radius and each step to the neighbor, is tabulated exactly (after Remy, Thiel 2002).
2. Paint what is left of the balls (`painting.paint`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import painting_device
from microct.kernels.distance import UNREACHED, placed, squared_distance
from microct.kernels.painting import Balls, balls, paint

# Neighbors whose balls are looked at, up to signs and order: the nearest 26. Farther ones cost more than the few
# balls that they spare (measured: 2 % of the balls of marrow, none of bone); the answer is the same with any set.
_STEPS = ((1, 0, 0), (1, 1, 0), (1, 1, 1))

# Voxels that are worked on at once, so that they stay in the processor's cache.
_SLAB = 1 << 17


def local_squared_radius(
    mask: np.ndarray | jax.Array,
    squared: np.ndarray | jax.Array | None = None,
    closed: bool = False,
    within: np.ndarray | jax.Array | None = None,
) -> np.ndarray | jax.Array:
    """Squared radius of the largest ball of foreground that holds each voxel.

    Args:
        mask: (nz, ny, nx); nonzero is foreground (bone for Tb.Th, marrow for Tb.Sp). A NumPy array is worked on by the
            host, or by the accelerator where JAX has one; a JAX array stays on its device. The integers are the same.
        squared: its `distance.squared_distance`, where already known.
        closed: balls hold the voxels at exactly their radius too, among them the nearest of the background, as in
            Fiji and BoneJ. Open balls hold foreground only.
        within: (nz, ny, nx) bool, where the answer is needed; elsewhere it may be too small. Balls that hold nothing of
            it are left out, so that a compartment of bone does not cost the air around it.

    Returns:
        (nz, ny, nx) int32, on the host or on the device as the mask: 0 where no ball reaches,
        `distance.UNREACHED` everywhere where there is no background.
        The local thickness is the diameter, ``2 sqrt(value)``, less a correction of the convention.
    """
    if isinstance(mask, jax.Array):
        return _on_device(mask, squared, closed, within)
    inside = placed(mask)
    if isinstance(inside, jax.Array):
        return np.asarray(_on_device(inside, squared, closed, within))
    if inside.all() or not inside.any():
        return np.full(inside.shape, UNREACHED if inside.all() else 0, np.int32)
    found = [_described(inside, squared, closed, within)]
    del mask, inside, squared, within  # what nobody else holds makes room
    return paint(found.pop())


def _described(
    mask: np.ndarray, squared: np.ndarray | jax.Array | None, closed: bool, within: np.ndarray | jax.Array | None
) -> Balls:
    """The balls, without the distances that they were found in: four bytes a voxel less while they are painted."""
    squared = np.asarray(squared_distance(mask) if squared is None else squared)
    if within is not None:
        squared = squared * (squared_distance(~placed(np.asarray(within))) < squared + np.int32(closed))
    return balls(squared, ball_centers(squared, closed), closed)


def _on_device(
    mask: jax.Array, squared: np.ndarray | jax.Array | None, closed: bool, within: np.ndarray | jax.Array | None
) -> jax.Array:
    squared = jnp.asarray(squared_distance(mask) if squared is None else squared)
    if within is not None and int(squared.max()) != UNREACHED:
        squared = squared * (squared_distance(jnp.asarray(within) == 0) < squared + closed)
    largest = int(squared.max())
    if largest in (0, UNREACHED):
        return squared
    if largest >= painting_device.FARTHEST**2 or squared.size >= 1 << 31:
        on_host = np.asarray(squared)
        return jnp.asarray(paint(balls(on_host, ball_centers(on_host, closed), closed)))
    return painting_device.paint(squared, _enough_tables(largest, closed), largest, closed)


def _enough_tables(largest: int, closed: bool) -> jax.Array:
    return jnp.asarray(np.stack([_enough(step, largest, closed) for step in _STEPS]))


def ball_centers(squared: np.ndarray, closed: bool = False) -> np.ndarray:
    """Flat indices, ascending, of the voxels whose balls are in no neighbor's ball: the medial axis in voxels.

    Args:
        squared: (nz, ny, nx) int32, `distance.squared_distance`, with background somewhere.
        closed: as in `local_squared_radius`.
    """
    largest = int(squared.max())
    enough = [_enough(step, largest, closed) for step in _STEPS]
    depth, ny, nx = squared.shape
    planes = max(1, _SLAB // (ny * nx))
    found = []
    index = np.int32 if squared.size < 1 << 31 else np.int64
    for first in range(0, depth, planes):
        last = min(first + planes, depth)
        before, after = max(first - 1, 0), min(last + 1, depth)
        rim = ((before - first + 1, last + 1 - after), (1, 1), (1, 1))
        padded = np.pad(squared[before:after], rim)
        own = squared[first:last]
        kept = own > 0
        for step, table in zip(_STEPS, enough, strict=True):
            needed = table[own]
            for dz, dy, dx in _symmetric(step):
                kept &= padded[1 + dz : 1 + dz + last - first, 1 + dy : 1 + dy + ny, 1 + dx : 1 + dx + nx] < needed
        found.append((np.flatnonzero(kept) + first * ny * nx).astype(index))
    return np.concatenate(found)


def mid_axes(squared: np.ndarray | jax.Array, local: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """Voxels on the mid-axes of a structure: the middle sheets of plates, the middle lines of rods.

    They are the centers of `ball_centers` whose radius is more than half of the local one (smaller balls belong
    to the roughness of the voxels), and where the middle lies between two voxels, the first of the two.

    Args:
        squared: (nz, ny, nx) int32, `distance.squared_distance` of the structure.
        local: (nz, ny, nx) int32, its `local_squared_radius`.

    Returns:
        (nz, ny, nx) bool, on the host or on the device as ``squared``; nothing where there is no structure or no
        background.
    """
    if isinstance(squared, jax.Array):
        largest = int(squared.max())
        if largest in (0, UNREACHED):
            return jnp.zeros(squared.shape, bool)
        return painting_device.mid_axes(squared, jnp.asarray(local), _enough_tables(largest, closed=False))
    if not squared.any() or squared.flat[0] == UNREACHED:
        return np.zeros(squared.shape, bool)
    centers = ball_centers(squared)
    return _axes(_middles(squared, centers), centers, np.asarray(local))


def local_radius_and_axes(
    mask: np.ndarray | jax.Array,
) -> tuple[np.ndarray | jax.Array, np.ndarray | jax.Array]:
    """`local_squared_radius` and `mid_axes` of one structure, in less time and memory than one after the other."""
    mask = placed(mask)
    if isinstance(mask, jax.Array):
        squared = squared_distance(mask)
        local = local_squared_radius(mask, squared)
        return local, mid_axes(squared, local)
    if mask.all() or not mask.any():
        return local_squared_radius(mask), np.zeros(mask.shape, bool)
    middles, found = _described_with_middles(mask)
    centers = found.centers
    local = paint(found)
    return local, _axes(middles, centers, local)


@dataclass(frozen=True)
class _Middles:
    """Of each center of a ball: its squared radius, and (3, n) whether it and the one before along each axis are as
    large as each other and larger than what lies before and behind both."""

    radius: np.ndarray
    paired: np.ndarray


def _described_with_middles(mask: np.ndarray) -> tuple[_Middles, Balls]:
    squared = np.asarray(squared_distance(mask))
    centers = ball_centers(squared)
    return _middles(squared, centers), balls(squared, centers)


def _middles(squared: np.ndarray, centers: np.ndarray) -> _Middles:
    radius = squared.ravel()
    here, paired = radius[centers], np.zeros((3, len(centers)), bool)
    stride = squared.size
    for axis, size in enumerate(squared.shape):
        stride //= size
        for first in range(0, len(centers), _SLAB):  # places are eight bytes each while they are used
            some = centers[first : first + _SLAB].astype(np.int64)
            own, along = radius[some], some // stride % size

            def radius_at(
                steps: int,
                some: np.ndarray = some,
                along: np.ndarray = along,
                size: int = size,
                stride: int = stride,
            ) -> np.ndarray:
                inside = (along + steps >= 0) & (along + steps < size)
                return np.where(inside, radius[np.where(inside, some + steps * stride, 0)], 0)

            paired[axis, first : first + _SLAB] = (radius_at(-1) == own) & (radius_at(-2) < own) & (radius_at(1) < own)
    return _Middles(here, paired)


def _axes(middles: _Middles, centers: np.ndarray, local: np.ndarray) -> np.ndarray:
    """(nz, ny, nx) bool: centers of more than half the local radius, of two neighbors the first."""
    axes = np.zeros(local.shape, bool)
    chosen = 4 * middles.radius > local.ravel()[centers]  # below 2^31 for axes of 18 900 voxels
    axes.ravel()[centers[chosen]] = True
    second = np.zeros(len(centers), bool)
    stride = local.size
    for size, paired in zip(local.shape, middles.paired, strict=True):
        stride //= size
        candidates = np.flatnonzero(chosen & paired)
        second[candidates] |= axes.ravel()[centers[candidates] - stride]
    axes.ravel()[centers[second]] = False
    return axes


def radius_counts(local: np.ndarray | jax.Array, inside: np.ndarray | jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Squared radii that occur inside, ascending, and in how many voxels.

    Args:
        local: (nz, ny, nx) int32, `local_squared_radius`.
        inside: (nz, ny, nx) bool; there must be background wherever ``local`` was measured, or all is `UNREACHED`.

    Returns:
        Two (n,) int64 on the host.
    """
    if isinstance(local, jax.Array):
        inside, largest = jnp.asarray(inside), int(local.max())
        if largest != UNREACHED:
            counts = np.asarray(painting_device.counted(local, inside, -(-(largest + 1) // 256) * 256), np.int64)
    else:
        largest = int(local.flat[0])
        if largest != UNREACHED:  # plane by plane, so that nothing is copied whole
            counts = np.zeros(int(local.max()) + 1, np.int64)
            for plane, chosen in zip(local, np.asarray(inside), strict=True):
                counts += np.bincount(plane[chosen], minlength=len(counts))
    if largest == UNREACHED:
        number = int(inside.sum())
        return np.array([UNREACHED] * min(number, 1)), np.array([number] * min(number, 1))
    squares = np.flatnonzero(counts)
    return squares, counts[squares]


def interior_average(thickness: np.ndarray) -> np.ndarray:
    """Surface voxels take the mean of their interior neighbors, as Fiji's local thickness does at its end.

    Args:
        thickness: (nz, ny, nx), 0 in the background. A surface voxel has background among its 26 neighbors;
            what lies outside the volume is not background.

    Returns:
        (nz, ny, nx) float64; a surface voxel without an interior neighbor keeps its value.
    """
    thickness = np.asarray(thickness, float)
    foreground = thickness != 0
    outside = _around(~foreground) > 0
    interior = foreground & ~outside
    number = _around(interior)
    total = _around(np.where(interior, thickness, 0.0))
    return np.where(foreground & outside & (number > 0), total / np.maximum(number, 1), thickness)


def _around(values: np.ndarray) -> np.ndarray:
    """Sum over the 3x3x3 voxels around each."""
    total = values.astype(float)
    for axis in range(3):
        line = np.moveaxis(total, axis, 0)
        summed = line.copy()
        summed[1:] += line[:-1]
        summed[:-1] += line[1:]
        total = np.moveaxis(summed, 0, axis)
    return total


def _enough(step: tuple[int, int, int], largest: int, closed: bool) -> np.ndarray:
    """For each squared radius: the least one with which the ball ``step`` away holds every voxel of the ball."""
    return _enough_table(step, -(-largest // 256) * 256, closed)  # few sizes, so that tables are used again


@lru_cache(maxsize=64)
def _enough_table(step: tuple[int, int, int], largest: int, closed: bool) -> np.ndarray:
    # Of the voxels that differ by signs and order, the one farthest from the neighbor has its coordinates in the
    # order of the step's and points away from it: i >= j >= k >= 0 is all there is to look at.
    reach = int(np.sqrt(largest)) + 1
    i, j, k = np.ogrid[: reach + 1, : reach + 1, : reach + 1]
    a, b, c = step
    squares = i * i + j * j + k * k
    reached = squares + 2 * (a * i + b * j + c * k) + a * a + b * b + c * c
    chosen = (i >= j) & (j >= k) & (squares <= largest)
    farthest = np.zeros(largest + 1, np.int32)
    np.maximum.at(farthest, squares[chosen], reached[chosen])
    farthest = np.maximum.accumulate(farthest)
    if closed:
        return farthest
    # An open ball holds what is nearer than its radius.
    return np.concatenate([[1], farthest[:-1] + 1]).astype(np.int32)


@lru_cache(maxsize=64)
def _symmetric(step: tuple[int, int, int]) -> np.ndarray:
    """(n, 3): all steps that differ from this one by signs and order."""
    signs = np.array(list(product((-1, 1), repeat=3)))
    return np.unique(np.concatenate([signs * order for order in permutations(step)]), axis=0)
