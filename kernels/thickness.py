"""Exact local thickness: the largest ball of a phase that holds each voxel (Hildebrand, Ruegsegger 1997).

Balls are open, centered on voxels, and as large as the nearest voxel of the other phase allows. Everything is
compared as squared integer distances, so the answer has the same bits on every machine. Two steps:

1. Prune: a ball whose voxels all belong to another ball is not needed (`pruning`).
2. Paint what is left of the balls (`painting.paint`); of those too large for that, ask each voxel which holds it
   (`covering.cover`).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import painting_device
from microct.kernels.covering import cover
from microct.kernels.distance import UNREACHED, placed, squared_distance
from microct.kernels.painting import Balls, balls, paint
from microct.kernels.pruning import STEPS, ball_centers, enough_radius, needed_far_off

# Squared radius [voxel2] from which balls are not painted: there a crescent costs more than asking its voxels.
_TOO_LARGE = 24**2

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
    wanted = _wanted(inside, closed, within) if len(found[0].centers) else inside
    del mask, inside, squared, within  # what nobody else holds makes room
    return _filled(found, wanted)


@dataclass(frozen=True)
class _Found:
    """Balls, without the distances that they were found in: four bytes a voxel less while they are painted.

    Attributes:
        painted: those to paint.
        centers, powers: (n,) of the balls too large for that, flat indices and, as in `painting.Balls`, powers.
    """

    painted: Balls
    centers: np.ndarray
    powers: np.ndarray


def _described(
    mask: np.ndarray, squared: np.ndarray | jax.Array | None, closed: bool, within: np.ndarray | jax.Array | None
) -> _Found:
    squared = np.asarray(squared_distance(mask) if squared is None else squared)
    if within is not None:
        squared = squared * (squared_distance(~placed(np.asarray(within))) < squared + np.int32(closed))
    return _sorted_out(squared, ball_centers(squared, closed, _TOO_LARGE), closed)


def _sorted_out(squared: np.ndarray, centers: np.ndarray, closed: bool = False) -> _Found:
    """Which of the balls are painted, and the others."""
    large = np.zeros(len(centers), bool)
    for first in range(0, len(centers), _SLAB):
        large[first : first + _SLAB] = squared.ravel()[centers[first : first + _SLAB]] >= _TOO_LARGE
    painted = balls(squared, centers[~large] if large.any() else centers, closed)
    centers = centers[large]
    return _Found(painted, centers, squared.ravel()[centers] + np.int32(closed))


def _wanted(mask: np.ndarray, closed: bool, within: np.ndarray | jax.Array | None) -> np.ndarray:
    """Where a ball can give an answer: in the phase, and of closed balls in the background that they touch."""
    wanted = mask
    if closed:
        wanted = mask.copy()
        for axis in range(3):
            near, there = np.moveaxis(wanted, axis, 0), np.moveaxis(mask, axis, 0)
            near[1:] |= there[:-1]
            near[:-1] |= there[1:]
    return wanted if within is None else wanted & np.asarray(within)


def _filled(found: list[_Found], wanted: np.ndarray) -> np.ndarray:
    """The answer of all balls; takes what is found out of the list, so that it can go."""
    painted, centers, powers = [found[0].painted], found[0].centers, found.pop().powers
    covered = None
    if len(centers):
        covered = cover(painted[0].shape, centers, powers, wanted, painted[0].closed)
    del centers, powers, wanted
    return paint(painted.pop(), covered)


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
        found = [_sorted_out(on_host, ball_centers(on_host, closed, _TOO_LARGE), closed)]
        return jnp.asarray(_filled(found, _wanted(np.asarray(mask) != 0, closed, within)))
    return painting_device.paint(squared, _tables(largest, closed), largest, closed)


def _tables(largest: int, closed: bool) -> jax.Array:
    return jnp.asarray(np.stack([enough_radius(step, largest, closed) for step in STEPS]))


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
        return painting_device.mid_axes(squared, jnp.asarray(local), _tables(largest, closed=False))
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
    middles, centers, found = _described_with_middles(mask)
    local = _filled(found, mask)
    return local, _axes(middles, centers, local)


@dataclass(frozen=True)
class _Middles:
    """Of each center of a ball: its squared radius, and (3, n) whether it and the one before along each axis are as
    large as each other and larger than what lies before and behind both."""

    radius: np.ndarray
    paired: np.ndarray


def _described_with_middles(mask: np.ndarray) -> tuple[_Middles, np.ndarray, list[_Found]]:
    squared = np.asarray(squared_distance(mask))
    centers = ball_centers(squared)
    return _middles(squared, centers), centers, [_sorted_out(squared, needed_far_off(squared, centers, _TOO_LARGE))]


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
