"""The largest ball that holds each voxel, found by halving the volume: for balls too large to paint one by one.

A box of voxels keeps the list of the balls that reach it, largest first. The list ends at the first ball that holds
the whole box, since no smaller one counts there. Halves of the box take from the list what reaches them; in boxes of
8^3 voxels each voxel looks for the first ball of the list that holds it, by a product of matrices. The work follows
the number of voxels and hardly the size of the balls. All is compared as integers (kept in floats that hold them
exactly), so that the answer is the one of painting every ball.
"""

from __future__ import annotations

import numpy as np

# Edge of the boxes whose voxels are asked one by one, and of those that all balls are compared with, which share
# memory but not work.
_LEAF = 8
_TOP = 128
# Balls that are compared with a box at once: they stay in the nearest cache.
_GROUP = 1 << 13
# Elements of one product of matrices: it stays on one core, where it takes the least processor time.
_PRODUCT = 1 << 16
# Below its root, squares of distances are whole numbers in single precision.
_EXACT = 1 << 12


def cover(
    shape: tuple[int, ...], centers: np.ndarray, powers: np.ndarray, wanted: np.ndarray, closed: bool = False
) -> np.ndarray:
    """Largest squared radius over the balls that hold each voxel.

    Args:
        shape: of the volume.
        centers: (n,) flat indices of the balls.
        powers: (n,) int32; a ball holds what is nearer than the root of its power.
        wanted: (nz, ny, nx) bool, where the answer is needed; elsewhere it may be too small.
        closed: the squared radius is the power less 1.

    Returns:
        (nz, ny, nx) int32, 0 where no ball reaches.
    """
    result = np.zeros(shape, np.int32)
    if not len(powers):
        return result
    order = np.argsort(-powers, kind="stable")
    farthest = np.sqrt(float(powers[order[0]])) + np.sqrt(sum(n * n for n in shape))
    balls = np.empty((4, len(order)), np.float32 if farthest < _EXACT else np.float64)
    for first in range(0, len(order), _PRODUCT):  # indices are eight bytes each while they are used
        some = order[first : first + _PRODUCT]
        balls[:3, first : first + _PRODUCT] = np.unravel_index(centers[some], shape)
        balls[3, first : first + _PRODUCT] = powers[some]
    del order
    for corner in np.ndindex(*(-(-n // _TOP) for n in shape)):
        cuts = [[(k * _TOP, min((k + 1) * _TOP, n))] for k, n in zip(corner, shape, strict=True)]
        _descend(result, wanted, balls, cuts)
    if closed:
        for plane in result:
            plane -= plane > 0
    return result


#: Of a box, along each axis its parts (first, past the last).
_Cuts = list[list[tuple[int, int]]]


def _descend(result: np.ndarray, wanted: np.ndarray, balls: np.ndarray, cuts: _Cuts) -> None:
    """Fill the boxes that the cuts part."""
    open_boxes: list[tuple[int, np.ndarray, np.ndarray | slice, _Cuts]] = [(_TOP, balls, slice(None), cuts)]
    while open_boxes:
        edge, given, some, cuts = open_boxes.pop()
        given = given[:, some]
        for bounds, reaching, whole in _parted(wanted, given, cuts):
            box = tuple(slice(*bound) for bound in bounds)
            if whole and len(reaching) == 1:
                result[box] = given[3, reaching[0]]
            elif edge <= _LEAF:
                _ask_each_voxel(result[box], wanted[box], [low for low, _ in bounds], given[:, reaching])
            else:
                open_boxes.append((edge // 2, given, reaching, [_halves(bound, edge // 2) for bound in bounds]))


def _halves(bound: tuple[int, int], half: int) -> list[tuple[int, int]]:
    first, last = bound
    return [(first, min(first + half, last)), *([(first + half, last)] if first + half < last else [])]


def _parted(
    wanted: np.ndarray, given: np.ndarray, cuts: _Cuts
) -> list[tuple[tuple[tuple[int, int], ...], np.ndarray, bool]]:
    """Of each part in which something is wanted: its bounds, which balls reach it, and whether the last holds it all.

    Balls behind the first that holds all of a part are left out, and so are parts that no ball reaches.
    """
    places = list(np.ndindex(*(len(parts) for parts in cuts)))
    bounds = {place: tuple(parts[k] for parts, k in zip(cuts, place, strict=True)) for place in places}
    asking = [place for place in places if wanted[tuple(slice(*bound) for bound in bounds[place])].any()]
    reaching: dict[tuple[int, ...], list[np.ndarray]] = {place: [] for place in asking}
    whole = set()
    for first in range(0, given.shape[1], _GROUP):
        open_places = [place for place in asking if place not in whole]
        if not open_places:
            break
        part = given[:, first : first + _GROUP]
        apart = [[_apart(part[axis], *bound) for bound in cuts[axis]] for axis in range(3)]
        for place in open_places:
            near, far = zip(*(apart[axis][k] for axis, k in enumerate(place)), strict=True)
            found = np.flatnonzero(near[0] + near[1] + near[2] < part[3])
            holds = far[0] + far[1] + far[2] < part[3]
            holder = int(holds.argmax())
            if holds[holder]:
                found = found[: np.searchsorted(found, holder, side="right")]
                whole.add(place)
            reaching[place].append((found + first).astype(np.int32))
    lists = ((place, np.concatenate(found)) for place, found in reaching.items())
    return [(bounds[place], found, place in whole) for place, found in lists if len(found)]


def _apart(centers: np.ndarray, first: int, past: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances along an axis to the nearest and to the farthest voxel between ``first`` and ``past``."""
    below, above = first - centers, centers - (past - 1)
    nearest = np.maximum(np.maximum(below, above), 0)
    farthest = np.minimum(below, above)
    nearest *= nearest
    farthest *= farthest
    return nearest, farthest


def _ask_each_voxel(result: np.ndarray, wanted: np.ndarray, corner: list[int], balls: np.ndarray) -> None:
    """The first of the balls, largest first, that holds each voxel wanted of a small box."""
    places = np.argwhere(wanted)
    voxels = np.ones((len(places), 4), balls.dtype)
    voxels[:, :3] = places
    apart = (voxels[:, :3] ** 2).sum(axis=1)
    # |x - c|^2 < power, written as a product: 2 x c - |c|^2 + power > |x|^2, all of it in whole numbers.
    terms = balls.copy()
    terms[:3] -= np.array(corner, balls.dtype)[:, None]
    terms[3] -= (terms[:3] ** 2).sum(axis=0)
    terms[:3] *= 2
    values, left, first = np.zeros(len(places), np.int32), np.arange(len(places)), 0
    while first < terms.shape[1] and len(left):
        # First few, since most voxels need few; then more and more.
        last = first + min(max(2 * first, 64), max(_PRODUCT // len(left), 32))
        holds = voxels @ terms[:, first:last] > apart[:, None]
        at = holds.argmax(axis=1)
        held = holds[np.arange(len(left)), at]
        values[left[held]] = balls[3, first + at[held]]
        left, voxels, apart = left[~held], voxels[~held], apart[~held]
        first = last
    result[wanted] = values
