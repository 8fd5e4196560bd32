"""Which balls are needed: a ball whose voxels all belong to another one is not.

Which radius of a ball some steps away is enough, for each radius and each step, is tabulated exactly (after Remy,
Thiel 2002), so that nothing is lost, whichever steps are looked at.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations, product

import numpy as np

#: Neighbors whose balls are looked at, up to signs and order: the nearest 26. Farther ones spare few of the balls of
#: trabeculae and of the marrow between them (none, 2 %) and most of the larger ones.
STEPS = ((1, 0, 0), (1, 1, 0), (1, 1, 1))

# Voxels that are worked on at once, so that they stay in the processor's cache.
_SLAB = 1 << 17
# Balls looked at together: each takes some 200 bytes meanwhile.
_GROUP = 1 << 15
# Lengths of the steps of the two looks farther [voxel]: long enough that one points nearly anywhere, and a ball of
# 200 voxels there has no voxel less.
_FARTHER = (5, 8)
# Squared radius up to which they are tabulated (60 MB).
_TABLED = 1 << 18
# Directions are told apart by so many parts of each of the two smaller components over the largest.
_PARTS = 512


def ball_centers(squared: np.ndarray, closed: bool = False, far_from: int | None = None) -> np.ndarray:
    """Flat indices, ascending, of the voxels whose balls are in no neighbor's ball: the medial axis in voxels.

    Args:
        squared: (nz, ny, nx) int32, `distance.squared_distance`, with background somewhere.
        closed: balls hold the voxels at exactly their radius too.
        far_from: balls of this squared radius and more are asked of `needed_far_off`, too; None for no ball.
    """
    largest = int(squared.max())
    enough = [enough_radius(step, largest, closed) for step in STEPS]
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
        for step, table in zip(STEPS, enough, strict=True):
            needed = table[own]
            for dz, dy, dx in _symmetric(step):
                kept &= padded[1 + dz : 1 + dz + last - first, 1 + dy : 1 + dy + ny, 1 + dx : 1 + dx + nx] < needed
        centers = (np.flatnonzero(kept) + first * ny * nx).astype(index)
        found.append(centers if far_from is None else needed_far_off(squared, centers, far_from, closed, largest))
    return np.concatenate(found)


def needed_far_off(
    squared: np.ndarray, centers: np.ndarray, far_from: int, closed: bool = False, largest: int | None = None
) -> np.ndarray:
    """The centers whose balls are not in the ball that lies farther from the nearest background, either.

    Few large balls are in a neighbor's: the step to it seldom points away from the nearest background. Of steps up to
    8 voxels long one nearly does.

    Args:
        squared, closed: as in `ball_centers`.
        centers: (n,) flat indices, ascending.
        far_from: smaller squared radii are kept.
        largest: maximum of ``squared``, where already known.
    """
    largest = int(squared.max()) if largest is None else largest
    if largest < far_from:
        return centers
    found = []
    for first in range(0, len(centers), _GROUP):
        group = centers[first : first + _GROUP]
        for length in _FARTHER:
            large = np.flatnonzero(squared.ravel()[group] >= far_from)
            steps = _primitive_steps(length)
            tables = _enough_tables(steps, -(-min(largest, _TABLED) // 256) * 256, closed)
            spared = _in_a_ball_beyond(squared, group[large], np.array(steps), _step_along(length), tables)
            group = np.delete(group, large[spared])
        found.append(group)
    return np.concatenate(found) if found else centers


def _in_a_ball_beyond(
    squared: np.ndarray, centers: np.ndarray, steps: np.ndarray, nearest: np.ndarray, tables: np.ndarray
) -> np.ndarray:
    """(n,) whether the ball one step farther from the background holds the whole ball."""
    flat, here = squared.ravel(), centers.astype(np.int64)
    own, place, slope = flat[here], np.empty((3, len(here)), np.int64), np.empty((3, len(here)), np.float32)
    stride, rest = squared.size, here
    strides = []
    for axis, size in enumerate(squared.shape):
        stride //= size
        place[axis], rest = np.divmod(rest, stride)
        after = np.sqrt(flat[here + stride * (place[axis] + 1 < size)], dtype=np.float32)
        before = np.sqrt(flat[here - stride * (place[axis] > 0)], dtype=np.float32)
        slope[axis] = (after - before) * (1 if size < 3 else np.where((place[axis] % (size - 1)) == 0, 2, 1))
        strides.append(stride)
    order = np.argsort(-np.abs(slope), axis=0, kind="stable")
    size = np.abs(np.take_along_axis(slope, order, axis=0))
    part = np.minimum(size[1:] * (_PARTS / np.maximum(size[0], 1e-9)), _PARTS - 1).astype(np.int32)
    chosen = nearest[part[0], part[1]]
    away = np.empty_like(place)
    np.put_along_axis(away, order, steps[chosen].T, axis=0)
    away[slope < 0] *= -1
    target = place + away
    inside = (own < tables.shape[1]) & (target >= 0).all(axis=0)
    inside &= (target < np.array(squared.shape)[:, None]).all(axis=0)
    found = np.zeros(len(here), bool)
    there = here[inside] + np.array(strides) @ away[:, inside]
    found[inside] = flat[there] >= tables[chosen[inside], own[inside]]
    return found


@lru_cache(maxsize=4)
def _primitive_steps(length: int) -> tuple[tuple[int, int, int], ...]:
    """Steps up to so many voxels long, a >= b >= c >= 0, none a multiple of another."""
    triples = [(a, b, c) for a in range(1, length + 1) for b in range(a + 1) for c in range(b + 1)]
    return tuple(s for s in triples if s[0] ** 2 + s[1] ** 2 + s[2] ** 2 <= length**2 and np.gcd.reduce(s) == 1)


@lru_cache(maxsize=4)
def _step_along(length: int) -> np.ndarray:
    """(parts, parts): of the `_primitive_steps`, the one nearest in angle to (1, u, v)."""
    middle = ((np.arange(_PARTS) + 0.5) / _PARTS).astype(np.float32)
    steps = np.array(_primitive_steps(length), np.float32)
    steps /= np.linalg.norm(steps, axis=1)[:, None]
    return np.stack(
        [
            (steps[:, 0] + u * steps[:, 1] + middle[:, None] * steps[:, 2]).argmax(axis=1).astype(np.int16)
            for u in middle
        ]
    )


def enough_radius(step: tuple[int, int, int], largest: int, closed: bool) -> np.ndarray:
    """For each squared radius: the least one with which the ball ``step`` away holds every voxel of the ball.

    Args:
        step: a >= b >= c >= 0.
        largest: the largest squared radius asked for; the table goes a little farther.
        closed: as in `ball_centers`.

    Returns:
        (n,) int32, indexed by squared radius.
    """
    return _enough_table(step, -(-largest // 256) * 256, closed)  # few sizes, so that tables are used again


@lru_cache(maxsize=2)
def _enough_tables(steps: tuple[tuple[int, int, int], ...], largest: int, closed: bool) -> np.ndarray:
    """(len(steps), largest + 1): of each step the `enough_radius`."""
    return np.stack([_enough_table.__wrapped__(step, largest, closed) for step in steps])


@lru_cache(maxsize=16)
def _enough_table(step: tuple[int, int, int], largest: int, closed: bool) -> np.ndarray:
    # Of the voxels that differ by signs and order, the one farthest from the neighbor has its coordinates in the
    # order of the step's and points away from it: i >= j >= k >= 0 is all there is to look at.
    a, b, c = step
    farthest = np.zeros(largest + 1, np.int32)
    for i in range(int(np.sqrt(largest)) + 1):
        j = np.arange(min(i, int(np.sqrt(largest - i * i))) + 1)[:, None]
        k = np.arange(j[-1, 0] + 1)
        squares = i * i + j * j + k * k
        chosen = (j >= k) & (squares <= largest)
        reached = squares + 2 * (a * i + b * j + c * k) + a * a + b * b + c * c
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
