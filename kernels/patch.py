"""The patch of surface that one BMU erodes: flooded from its origin along the surface until its area is reached.

Arrays of the window are kept (`window.kept`) wherever they would else be worked out again, without vectors, in one long
expression.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import window as w

Array = Any

#: Parts of an interval of which one is chosen at once: 9^4 is more than a front's range, so that four turns find it.
_PARTS = 9


def bisected(reached: Any, low: int, high: int, alone: bool = True) -> Array:
    """Smallest integer in (low, high] at which the monotone predicate holds; ``high`` where it never does.

    Halved turn by turn; not ``alone`` (static) by `narrowed`.
    """
    if not alone:
        return narrowed(reached, jnp.int32(low), jnp.int32(high), high - low)
    steps = (high - low).bit_length()

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        lo, hi = bounds
        middle = (lo + hi) // 2
        hit = reached(middle)
        return jnp.where(hit, lo, middle), jnp.where(hit, middle, hi)

    return jax.lax.fori_loop(0, steps, halve, (jnp.int32(low), jnp.int32(high)))[1]


def narrowed(reached: Any, low: Array, high: Array, width: int) -> Array:
    """`bisected` between int32 ``low`` and ``high``, of one shape and ``width`` apart at most: cut in `_PARTS` in each
    turn, so with fewer passes over the data, and without a loop of tiny work.
    """
    turns = next(n for n in range(32) if _PARTS**n >= width)
    part = jnp.arange(_PARTS + 1, dtype=jnp.int32).reshape(-1, *([1] * low.ndim))

    def narrow(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        lo, hi = bounds
        ends = lo + (hi - lo) * part // _PARTS
        hit = jax.vmap(reached)(ends[1:-1]) & (ends[1:-1] > lo)
        missed = jnp.sum(~hit, axis=0)[None]
        return tuple(jnp.take_along_axis(ends, missed + k, axis=0)[0] for k in (0, 1))  # type: ignore[return-value]

    return jax.lax.fori_loop(0, turns, narrow, (low, high), unroll=True)[1]


class Patch(NamedTuple):
    """A patch of surface in its window; arrays of the window's shape.

    Attributes:
        voxels: bool, bone voxels with surface of the patch.
        share: float32, squared distance from the origin over that of the profile's edge, 0 to 1.
        own_depth: float32, depth of the voxel's centre below the surface [voxels].
        floor: uint8, direction in which the floor lies, as in `cavity.Cavity`.
        area: float32 scalar, area of the patch [voxel faces].
        gradient: slope of bone along the three axes.
    """

    voxels: Array
    share: Array
    own_depth: Array
    floor: Array
    area: Array
    gradient: tuple[Array, Array, Array]


def surface_patch(fraction: Array, owned: Array, origin: Array, area: Array, once: Array | None) -> Patch:
    """The patch of surface around ``origin`` whose area is ``area``; ``once`` as in `window.kept`."""
    shape = fraction.shape
    faces, gradient, sides = w.surface_area(fraction, owned, once)
    (faces,) = w.kept(once, faces)
    gz, gy, gx = (slope.astype(jnp.float32) for slope in gradient)
    scale = 1.0 / (jnp.sqrt(gz * gz + gy * gy + gx * gx) + 1e-3)
    normal = w.kept(once, gz * scale, gy * scale, gx * scale)

    # Bone over the surface voxel along its steepest open face says how deep the voxel's centre lies.
    (value,) = w.kept(once, jnp.pad(fraction.astype(jnp.float32) / w.FULL, 1, mode="edge"))
    above = jnp.zeros(shape, jnp.float32)
    steepest = jnp.full(shape, -1.0, jnp.float32)
    for bit, (axis, offset) in enumerate(w.faces()):
        tilt = -normal[axis] * offset
        better = ((sides >> bit) & 1 != 0) & (tilt > steepest)
        above = jnp.where(better, w.beside(value, 0, 0) + w.beside(value, axis, offset), above)
        steepest = jnp.where(better, tilt, steepest)
    above, steepest = w.kept(once, above, steepest)
    surface = steepest > -1.0
    depth = jnp.clip(jnp.maximum(steepest, 0.5) * (above - 0.5), 0.0, 1.5)

    grid = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.int32) for n in shape), indexing="ij")

    def squared_distance(place: Array) -> Array:
        z, y, x = (axis - place[k] for k, axis in enumerate(grid))
        return z * z + y * y + x * x

    offset2 = squared_distance(origin)
    (rank,) = w.kept(once, jnp.where(surface, offset2, jnp.int32(1 << 24)))
    start = w.first_of_least(rank)
    seed = jnp.stack(jnp.unravel_index(start, shape)).astype(jnp.int32)
    seed, *own = w.kept(once, seed, *(part.ravel()[start] for part in normal))
    facing = normal[0] * own[0] + normal[1] * own[1] + normal[2] * own[2]
    facing, passable = w.kept(once, facing, jnp.where(surface & (facing > -0.2), 1, 0))
    from_seed = squared_distance(seed)
    steps = max(shape) // 2 + 6
    alone = once is not None
    reached = w.flood((from_seed == 0) & surface, passable != 0, steps, w.grown, alone)

    # Distance along the surface from chord and turn of the normal: exact on planes, spheres and cylinders' hoops.
    chord = jnp.sqrt(from_seed.astype(jnp.float32))
    turn = jnp.clip((1.0 - facing) * 0.5, 0.0, 0.7)
    arc = jnp.round(chord * (1.0 + turn * (1.0 / 6.0 + 0.075 * turn)) * 64.0).astype(jnp.int32)
    (arc,) = w.kept(once, jnp.where(reached, arc, 1 << 24))

    def within(radius: Array) -> Array:
        return w.total(arc, faces, of=lambda way, area: jnp.where(way < radius, area, 0), alone=alone)

    wanted = jnp.round(area * w.AREA).astype(jnp.int32)
    radius = bisected(lambda r: within(r) >= wanted, 0, 64 * 2 * max(shape), alone)
    patch = arc < radius
    total = jnp.minimum(within(radius), wanted)
    # Where the patch ran into its limits the profile still ends at its farthest voxel.
    edge = jnp.minimum(radius, jnp.max(jnp.where(patch, arc, 0)) + 32).astype(jnp.float32)
    share = jnp.clip((arc.astype(jnp.float32) / edge) ** 2, 0.0, 1.0)
    floor = w.direction_code(gz, gy, gx)
    return Patch(patch, share, depth, floor, total.astype(jnp.float32) / w.AREA, (gz, gy, gx))
