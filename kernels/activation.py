"""Where BMUs are born: a Poisson process on the bone surface, by thinning.

Candidates fall uniformly over the whole volume, and each is kept with the area of bone surface that its voxel
carries. The area is that of `window.surface_area`, the same by which a BMU measures its footprint, so that births for
each site of surface and year are activation frequency at every voxel size, and no pass over the volume is needed.

A candidate that falls on surface which a live BMU holds still counts as a birth and is moved to the next candidate
on free surface: activation frequency keeps its definition, births for each site of the whole surface.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import random, surface_on_host, window
from microct.kernels.bmu_table import COMPARTMENT, UNIT_WEIGHT
from microct.kernels.device import has_accelerator

Array = Any
#: Chance of a birth at places (z, y, x), int32.
Weight = Callable[[tuple[Array, ...]], Array]

#: Most area that one voxel counts for [1/64 of a face]; planes reach 1.73 faces, only specks of bone more.
AREA_LIMIT = 3 * window.AREA
#: One more than the largest weight of a place.
WEIGHT_LIMIT = 256

_CUBE = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
_MIDDLE = len(_CUBE) // 2
_NEAR = np.flatnonzero((np.abs(_CUBE) <= 1).all(axis=1))
_CROSS = np.flatnonzero(np.abs(_CUBE).sum(axis=1) <= 1)
#: Candidates whose whole neighborhood is read at once.
_LOOK = 256
#: Candidates that are drawn at once, at least: spares are drawn only where a site is still wanted.
_DRAWN = 2048
#: The same two where much is worked on at once: all that there are, and so many of those that lie on the surface.
_LOOK_WIDE = 4096
_FACES = [(axis, offset, _MIDDLE + offset * 5 ** (2 - axis)) for axis, offset in window.faces()]


def _gradient_weights() -> np.ndarray:
    """(125, 7, 3) float32: the Sobel gradient (z, y, x) at the middle of a cube and at its six neighbors."""
    smooth = {-1: 1, 0: 2, 1: 1}
    weights = np.zeros((len(_CUBE), 7, 3), np.float32)
    for place, center in enumerate([_MIDDLE, *(face[2] for face in _FACES)]):
        for i, offset in enumerate(_CUBE - _CUBE[center]):
            if np.abs(offset).max() <= 1:
                for axis in range(3):
                    across = [smooth[int(offset[k])] for k in range(3) if k != axis]
                    weights[i, place, axis] = offset[axis] * across[0] * across[1]
    return weights


_WEIGHTS = _gradient_weights()
_PLANES = 8


@partial(jax.jit, static_argnames="planes")
def _area_of_planes(fraction: Array, planes: int, place: Array | None = None) -> Array:
    """Surface of each z-plane, int32 [1/64 face]; some planes at a time, so that no field of floats is ever whole.

    With ``place`` (uint8, 0 to 3) for each of the four: (planes, 4).
    """
    nz = fraction.shape[0]
    blocks = -(-nz // planes)
    padded = jnp.pad(fraction, ((2, 2 + blocks * planes - nz), (0, 0), (0, 0)), mode="edge")

    def block(k: Array) -> Array:
        slab = jax.lax.dynamic_slice_in_dim(padded, k * planes, planes + 4, axis=0)
        area, _, _ = window.surface_area(slab, jnp.zeros(slab.shape, bool))
        area = jnp.minimum(area, AREA_LIMIT)[2:-2]
        if labels is None:
            return jnp.sum(area, axis=(1, 2))
        here = jax.lax.dynamic_slice_in_dim(labels, k * planes, planes, axis=0)
        return jnp.stack([jnp.sum(jnp.where(here == n, area, 0), axis=(1, 2)) for n in range(4)], axis=1)

    labels = None if place is None else jnp.pad(place, ((0, blocks * planes - nz), (0, 0), (0, 0)))
    found = jax.lax.map(block, jnp.arange(blocks))
    return found.reshape(-1, *found.shape[2:])[:nz]


def _planes_of(fraction: Array, place: Array | None = None) -> np.ndarray:
    """Surface of each plane, where the work is least: on the host where that is the device. The same numbers."""
    if not has_accelerator():
        on_host = None if place is None else np.asarray(place)
        return surface_on_host.area_of_planes(np.asarray(fraction), AREA_LIMIT, on_host)
    labels = None if place is None else jnp.asarray(place)
    return np.asarray(_area_of_planes(jnp.asarray(fraction), _PLANES, labels)).astype(np.int64)


def surface(fraction: Array) -> float:
    """Bone surface of the whole volume as the births see it [voxel faces]; faces cut by the border are no surface."""
    return float(_planes_of(fraction).sum()) / window.AREA


def surfaces(fraction: Array, place: Array) -> np.ndarray:
    """`surface` of each of the four compartments that ``place`` tells, (4,) [voxel faces]."""
    return _planes_of(fraction, place).sum(axis=0) / window.AREA


def candidates_for(births_per_face: float, voxels: int, weighted: bool = False) -> float:
    """Mean number of candidates in a volume of ``voxels`` that gives each face of surface ``births_per_face``, where
    its weight is one; ``weighted`` says whether weights are given at all.
    """
    return births_per_face * voxels * AREA_LIMIT / window.AREA * (WEIGHT_LIMIT / UNIT_WEIGHT if weighted else 1.0)


def _middle_area(cube: Array) -> Array:
    """`window.surface_area` at the middle of each cube of (n, 125) uint8 in C order; int32 [1/64 face], capped.

    One product with a matrix of small whole numbers, exact in float32, instead of a whole field for each candidate.
    """
    gradient = jnp.einsum("ni,ipa->npa", cube.astype(jnp.float32), jnp.asarray(_WEIGHTS), precision="highest")
    bone = cube[:, _MIDDLE] >= window.BONE
    area = jnp.zeros(cube.shape[0], jnp.float32)
    for place, (axis, offset, neighbor) in enumerate(_FACES):
        across = gradient[:, 0] + gradient[:, place + 1]
        length = jnp.sqrt(across[:, 0] ** 2 + across[:, 1] ** 2 + across[:, 2] ** 2) + 1e-3
        share = jnp.maximum(across[:, axis] * (-offset / length), 0.0)
        area = area + jnp.where(bone & (cube[:, neighbor] < window.BONE), share, 0.0)
    return jnp.minimum(jnp.round(area * window.AREA).astype(jnp.int32), AREA_LIMIT)


class _Seen(NamedTuple):
    """What is known of the candidates that were drawn.

    Attributes:
        turn: how many times candidates were drawn.
        due, usable: (compartments,) int32, births that the process asks for, and sites on free surface.
        kind: (candidates,) uint8, of a site on free surface 1 + its compartment, else 0.
    """

    turn: Array
    due: Array
    usable: Array
    kind: Array


class _Search(NamedTuple):
    """The search for the sites of one step: arguments of `sites`, and how many candidates are drawn, and looked at, at
    once.
    """

    fraction: Array
    owner: Array
    seed: Array
    step: Array
    count: Array
    candidates: int
    weight: Weight | None
    scale: int
    stream: int
    place: Array | None
    moves: bool
    wide: bool
    size: int
    together: int

    @property
    def turns(self) -> int:
        """How often candidates are drawn at most."""
        return -(-self.candidates // self.size)

    def drawn_at(self, index: Array) -> tuple[Array, Array]:
        """Positions, and a number below the largest chance there is, for acceptance."""
        first, second = random.words(self.seed, self.step, random.POSITION + self.stream, index)
        third, word = random.words(self.seed, self.step, random.ACCEPTANCE + self.stream, index)
        words = zip((first, second, third), self.fraction.shape, strict=True)
        position = jnp.stack([random.below(word, n) for word, n in words], axis=1)
        if self.weight is None:
            return position, random.below(word, AREA_LIMIT)
        if self.scale > WEIGHT_LIMIT:
            return position, random.below_wide(word, AREA_LIMIT)
        return position, random.below(word, AREA_LIMIT * self.scale)

    def around(self, position: Array, offsets: np.ndarray) -> tuple[Array, Array, Array]:
        """Places (n, offsets) beside positions (n, 3); beyond the border is the border."""
        last = jnp.asarray(self.fraction.shape, jnp.int32) - 1
        place = jnp.clip(position[:, None, :] + jnp.asarray(offsets)[None], 0, last)
        return place[..., 0], place[..., 1], place[..., 2]

    def likely(self, index: Array, position: Array, drawn: Array) -> Array:
        """Which candidates lie in bone that asks for enough. Most fall into marrow, or where the place asks for too
        little however large its surface is.
        """
        found = (self.fraction[tuple(position.T)] >= window.BONE) & (index < self.candidates)
        return found if self.weight is None else found & (drawn < AREA_LIMIT * self.weight(tuple(position.T)))

    def is_open(self, position: Array) -> Array:
        """Which places have a face neighbor that is no bone."""
        return ~(self.fraction[self.around(position, _CUBE[_CROSS])] >= window.BONE).all(axis=1)

    def where_open(self, position: Array, likely: Array) -> Array:
        """Which of the likely places are open."""
        if self.wide:
            return likely & self.is_open(jnp.where(likely[:, None], position, 0))
        inside = window.Ranked.of(likely[None, None])

        def sort_out(turn: Array, open_side: Array) -> Array:
            nth = turn * self.together + jnp.arange(self.together, dtype=jnp.int32)
            which = inside.place(nth)
            found = (nth < inside.count) & self.is_open(position[which])
            return open_side.at[jnp.where(found, which, self.size)].set(True, mode="drop")

        rounds = (inside.count + self.together - 1) // self.together
        return jax.lax.fori_loop(0, rounds, sort_out, jnp.zeros(self.size, bool))

    def draw(self, seen: _Seen) -> _Seen:
        """Draw candidates once more, and look at those that may be on the surface."""
        start = seen.turn * self.size
        index = start + jnp.arange(self.size, dtype=jnp.int32)
        position, drawn = self.drawn_at(index)
        # Of those in bone most lie deep, as the face neighbors tell. The rest is read for few.
        near = window.Ranked.of(self.where_open(position, self.likely(index, position, drawn))[None, None])

        def look(turn: Array, seen: _Seen) -> _Seen:
            nth = turn * self.together + jnp.arange(self.together, dtype=jnp.int32)
            which = near.place(nth)
            return self.looked_at(seen, start + which, position[which], drawn[which], nth < near.count)

        rounds = (near.count + self.together - 1) // self.together
        seen = jax.lax.fori_loop(0, rounds, look, seen)
        return seen._replace(turn=seen.turn + 1)

    def looked_at(self, seen: _Seen, index: Array, here: Array, drawn: Array, counts: Array) -> _Seen:
        """Accept candidates by the surface of their voxels, those that count, and mark those on free surface."""
        z, y, x = self.around(here, _CUBE)
        chance = _middle_area(self.fraction[z, y, x])
        if self.weight is not None:
            chance = chance * self.weight(tuple(here.T))
        held = (self.owner[z[:, _NEAR], y[:, _NEAR], x[:, _NEAR]] != 0).any(axis=1)
        taken = counts & (drawn < chance)
        free = taken & ~held
        kind = jnp.zeros_like(index) if self.place is None else self.compartment(here)
        own = kind == jnp.arange(COMPARTMENT + 1)[:, None]
        asked = (taken if self.moves else free) & (index < self.count)
        # The first of a compartment as many as are due; more candidates may follow, but none are wanted.
        marked = jnp.where(free, index, self.turns * self.size)
        return seen._replace(
            due=seen.due + jnp.sum(own & asked, axis=1),
            usable=seen.usable + jnp.sum(own & free, axis=1),
            kind=seen.kind.at[marked].set((kind + 1).astype(jnp.uint8), mode="drop"),
        )

    def compartment(self, here: Array) -> Array:
        """Compartment of places (n, 3), int32."""
        assert self.place is not None
        return (self.place[tuple(here.T)] & COMPARTMENT).astype(jnp.int32)

    def goes_on(self, seen: _Seen) -> Array:
        """Whether more candidates must be drawn."""
        lacking = (seen.usable < seen.due).any() if self.moves else jnp.bool_(False)
        return (seen.turn < self.turns) & ((seen.turn * self.size < self.count) | lacking)

    def all_seen(self) -> _Seen:
        """Draw as often as must be."""
        none = jnp.zeros(COMPARTMENT + 1, jnp.int32)
        start = _Seen(jnp.int32(0), none, none, jnp.zeros(self.turns * self.size, jnp.uint8))
        return jax.lax.while_loop(self.goes_on, self.draw, start)


def sites(
    fraction: Array,
    owner: Array,
    seed: Array,
    step: Array,
    count: Array,
    candidates: int,
    births: int,
    weight: Weight | None = None,
    scale: int = WEIGHT_LIMIT,
    stream: int = 0,
    place: Array | None = None,
    moves: bool = True,
    wide: bool = False,
) -> tuple[Array, Array, Array, Array]:
    """Draw the birth sites of one step.

    Args:
        fraction: (nz, ny, nx) uint8.
        owner: (nz, ny, nx) uint8, 0 where no BMU holds the voxel.
        seed, step: key of the random numbers.
        count: number of candidates that this step has (a Poisson number).
        candidates: static; how many are drawn, those beyond ``count`` are spares.
        births: static; how many sites fit.
        weight: chance at places (z, y, x), int32 from 0 to ``scale``; None: the same everywhere.
        scale: static, 256 or 65536.
        stream: static, added to the streams of the random numbers.
        place: (nz, ny, nx) uint8, compartments, which no birth leaves when it is moved.
        moves: static; whether births on held surface are moved, or are none at all.
        wide: static; as of `Plan`.

    Returns:
        (position, index, wanted, found): (births, 3) int32 positions, (births,) int32 candidate indices, the number
        of births that the process asked for and of sites found on free surface (at most ``wanted``).
    """
    size = candidates if wide else min(max(_DRAWN, candidates // 8), candidates)
    together = min(_LOOK_WIDE, size) if wide else _LOOK
    search = _Search(
        fraction, owner, seed, step, count, candidates, weight, scale, stream, place, moves, wide, size, together
    )
    seen = search.all_seen()
    wanted, usable = jnp.sum(seen.due), seen.kind > 0
    if place is not None:
        # A birth that is moved stays in its compartment.
        own = seen.kind.astype(jnp.int32) == 1 + jnp.arange(COMPARTMENT + 1)[:, None]
        usable = (own & (jnp.cumsum(own, axis=1) <= seen.due[:, None])).any(axis=0)
    free = window.Ranked.of(usable[None, None])
    found = jnp.minimum(jnp.minimum(wanted, free.count), births)
    chosen = free.place(jnp.arange(births, dtype=jnp.int32))
    return search.drawn_at(chosen)[0], chosen, wanted, found
