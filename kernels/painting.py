"""Paint balls on voxels so that each voxel keeps the largest ball that holds it.

Most balls lie almost wholly within a neighbor's ball that is larger. Such a ball paints only the crescent that sticks
out of it; if that neighbor's ball is cut short in the same way, what it leaves out lies in a larger one again, so
that nothing is lost (balls are ordered by radius, equal ones by place). The voxels of a crescent are found without
a search: for a ball of squared radius R and a neighbor one step d away they are the last ones in the order of the
squared distance from the neighbor, whatever its radius. Balls larger than all of their neighbors are painted whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import numpy as np

#: The 26 steps (dz, dy, dx) to neighbors.
STEPS = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])
#: Which crescent each of them leaves: how many axes it moves along, less 1.
KINDS = (np.count_nonzero(STEPS, axis=1) - 1).astype(np.int32)

# Elements of one painting operation: enough to hide NumPy's overhead, few enough for the cache (and for a product of
# matrices to stay on one core, where it takes the least processor time).
_BATCH = 1 << 16
# Balls looked at together.
_GROUP = 1 << 18

#: Beside `KINDS`, for a neighbor across a face, an edge, a corner: no neighbor is larger.
_WHOLE = 3


@dataclass(frozen=True)
class Balls:
    """What of each ball there is to paint, without the volume that it was found in.

    Attributes:
        shape: of the volume.
        closed: balls hold the voxels at exactly their radius too.
        centers: (n,) flat indices, ascending.
        keys: (n,) 4 times the power (a ball holds what is nearer than its root) plus the kind of crescent.
        larger: (n,) power of the neighbor that leaves least of the ball uncovered.
        direction: (n,) which neighbor that is; -1 for none.
    """

    shape: tuple[int, ...]
    closed: bool
    centers: np.ndarray
    keys: np.ndarray
    larger: np.ndarray
    direction: np.ndarray


def balls(squared: np.ndarray, centers: np.ndarray, closed: bool = False) -> Balls:
    """Describe the balls at ``centers``, so that ``squared`` can be let go before they are painted.

    Args:
        squared: (nz, ny, nx) int32, squared radius of the ball at each voxel, 0 outside the phase.
        centers: flat indices, ascending, of balls that together cover what all balls cover (`pruning.ball_centers`).
        closed: balls hold the voxels at exactly their radius too.
    """
    larger, direction = _larger_neighbors(squared, centers)
    larger += closed
    keys = squared.ravel()[centers]
    keys += closed
    keys *= 4
    for first in range(0, len(keys), _GROUP):
        keys[first : first + _GROUP] += _KINDS[direction[first : first + _GROUP]]
    return Balls(squared.shape, closed, centers, keys, larger, direction)


def paint(given: Balls, beneath: np.ndarray | None = None) -> np.ndarray:
    """Largest squared radius over the balls that hold each voxel.

    Args:
        given: the balls.
        beneath: (nz, ny, nx) int32, what larger balls have painted already; it is written to.

    Returns:
        (nz, ny, nx) int32, 0 where no ball reaches.
    """
    if beneath is not None and not len(given.keys):
        return beneath
    sheet, table = _painted(given)
    del given  # where the caller has let it go, too, its room is used again
    result = np.zeros(sheet.shape, np.int32) if beneath is None else beneath
    for plane, painted in zip(result, sheet, strict=True):  # indices are eight bytes each while they are used
        np.maximum(plane, table[painted], out=plane)
    return result


def _painted(given: Balls) -> tuple[np.ndarray, np.ndarray]:
    """(nz, ny, nx) number of the level that each voxel keeps, 0 for none, and the squared radius of each level."""
    if not len(given.keys):
        return np.zeros(given.shape, np.uint16), np.zeros(1, np.int32)
    occurs = np.zeros(int(given.keys.max()) // 4 + 1, bool)
    occurs[given.keys >> 2] = True
    levels = np.flatnonzero(occurs)
    order = np.argsort(given.keys, kind="stable").astype(given.centers.dtype)
    canvas = _Canvas(given.shape, int(levels[-1]), len(levels))
    firsts = np.append(0, np.cumsum(_counts(given.keys)))
    for first, last in pairwise(firsts):
        if first == last:
            continue
        group = order[first:last]
        power, shape = divmod(int(given.keys[group[0]]), 4)
        value = int(np.searchsorted(levels, power)) + 1
        for some in (group[k : k + _GROUP] for k in range(0, len(group), _GROUP)):
            place = canvas.flat(given.centers[some])
            if shape == _WHOLE:
                canvas.whole_balls(value, power, place)
            else:
                canvas.crescents(value, power, shape, place, given.direction[some], given.larger[some])
    return canvas.inside(), np.concatenate([[0], levels - given.closed]).astype(np.int32)


def _counts(keys: np.ndarray) -> np.ndarray:
    """How often each key from 0 occurs; in parts, since counting takes eight bytes for each."""
    counts = np.zeros(int(keys.max()) + 1, np.int64)
    for first in range(0, len(keys), 1 << 20):
        counts += np.bincount(keys[first : first + (1 << 20)], minlength=len(counts))
    return counts


def _larger_neighbors(squared: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared radius and step's number of the neighbor whose ball leaves least of each ball uncovered; -1 for none."""
    depth, rows, columns = squared.shape
    plane, ny, nx = rows * columns, rows + 2, columns + 2
    strides = STEPS @ np.array([ny * nx, nx, 1])
    lengths = np.sqrt((STEPS**2).sum(axis=1)).astype(np.float32)
    larger = np.zeros(len(centers), np.int32)
    direction = np.full(len(centers), -1, np.int8)
    step = max(1, _BATCH // plane)
    for z in range(0, depth, step):
        part = slice(*np.searchsorted(centers, (z * plane, (z + step) * plane)))
        first, last = max(z - 1, 0), min(z + step + 1, depth)
        padded = np.pad(squared[first:last], 1).ravel()
        inside, x = np.divmod(centers[part] - first * plane, columns)
        inside, y = np.divmod(inside, rows)
        at = ((inside + 1) * ny + y + 1) * nx + x + 1
        own = padded[at]
        best = np.full(len(at), -np.inf, np.float32)
        for number, stride in enumerate(strides):
            other = padded[at + stride]
            gain = np.sqrt(other, dtype=np.float32) - lengths[number]
            chosen = np.flatnonzero((gain > best) & ((other >= own) if stride < 0 else (other > own)))
            best[chosen] = gain[chosen]
            direction[part][chosen] = number
            larger[part][chosen] = other[chosen]
    return larger, direction


class _Canvas:
    """Values on voxels with room around them: behind the last row and plane of y and x, on both sides of z."""

    def __init__(self, shape: tuple[int, ...], largest: int, values: int) -> None:
        reach = int(np.sqrt(largest - 1))
        self.shape, self.reach = shape, reach
        self.padded = (shape[0] + 2 * reach, shape[1] + reach, shape[2] + reach)
        self.strides = np.array([self.padded[1] * self.padded[2], self.padded[2], 1])
        self.sheet = np.zeros(int(np.prod(self.padded)), np.uint16 if values < 1 << 16 else np.uint32)
        self.offsets, self.apart = _offsets(reach)
        # (26, 3): what one step along each of a pattern's axes is on the sheet, where the pattern's neighbor
        # (1, 0, 0), (1, 1, 0) or (1, 1, 1) is turned to each of the 26 directions.
        self.turned = _SIGNS * self.strides[_AXES]

    def flat(self, centers: np.ndarray) -> np.ndarray:
        """Places on the sheet of flat indices of the volume."""
        z, y, x = np.unravel_index(centers, self.shape)
        return ((z + self.reach) * self.padded[1] + y) * self.padded[2] + x

    def inside(self) -> np.ndarray:
        """(nz, ny, nx) the volume's own voxels."""
        nz, ny, nx = self.shape
        return self.sheet.reshape(self.padded)[self.reach : self.reach + nz, :ny, :nx]

    def whole_balls(self, value: int, power: int, place: np.ndarray) -> None:
        """Every voxel nearer than sqrt(power) to the places."""
        ball = self.strides @ self.offsets[:, : np.searchsorted(self.apart, power)]
        step = max(1, _BATCH // len(ball))
        for first in range(0, len(place), step):
            self.sheet[place[first : first + step, None] + ball] = value

    def crescents(
        self, value: int, power: int, kind: int, place: np.ndarray, direction: np.ndarray, larger: np.ndarray
    ) -> None:
        """What of each ball of this power sticks out of the ball of ``larger`` at its neighbor."""
        least = int(larger.min())
        near = max(np.sqrt(least) - np.sqrt(kind + 1) - 1e-6, 0.0)  # nearer voxels are in every one of them
        first, last = np.searchsorted(self.apart, (int(near * near), power))
        away = self.apart[first:last] - 2 * self.offsets[: kind + 1, first:last].sum(axis=0) + (kind + 1)
        chosen = np.flatnonzero(away >= least)
        chosen = chosen[np.argsort(-away[chosen], kind="stable")]
        counts = np.searchsorted(-away[chosen], -larger, side="right")
        pattern = np.ones((4, len(chosen)))
        pattern[:3] = self.offsets[:, first + chosen]
        # A longer crescent stays within its own ball: few lengths do, and each is one product of matrices.
        lengths = np.minimum(1 << np.frexp(np.maximum(2 * counts - 1, 1))[1] - 1, len(chosen))
        lengths[counts == 0] = 0
        for length in np.unique(lengths[lengths > 0]):
            same = np.flatnonzero(lengths == length)
            step = max(1, _BATCH // int(length))
            for start in range(0, len(same), step):
                some = same[start : start + step]
                frame = np.empty((len(some), 4))
                frame[:, :3] = self.turned[direction[some]]
                frame[:, 3] = place[some]
                self.sheet[(frame @ pattern[:, :length]).astype(np.int64)] = value  # exact: far below 2^53


@lru_cache(maxsize=2)
def _offsets(reach: int) -> tuple[np.ndarray, np.ndarray]:
    """(3, n) offsets at distances up to ``reach`` + 1 and their squared distances, ascending."""
    line = np.arange(-reach - 1, reach + 2, dtype=np.int32)
    squares = (line**2)[:, None, None] + (line**2)[:, None] + line**2
    chosen = np.flatnonzero(squares <= (reach + 1) ** 2)
    chosen = chosen[np.argsort(squares.ravel()[chosen], kind="stable")]
    offsets = np.stack(np.unravel_index(chosen, squares.shape)) - (reach + 1)
    return offsets.astype(np.int32), squares.ravel()[chosen].astype(np.int32)


#: Axes of each step, those along which it moves first, and the signs along them.
_AXES = np.argsort(-np.abs(STEPS), axis=1, kind="stable")
_SIGNS = np.where(np.take_along_axis(STEPS, _AXES, axis=1) < 0, -1, 1)
#: The last entry is for direction -1.
_KINDS = np.append(KINDS, _WHOLE).astype(np.int32)
