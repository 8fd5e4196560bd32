"""Largest ball that holds each voxel, on a device: every step is one of JAX's own, with no loop on the host.

The same balls, the same crescents and the same integers as `painting` (which is faster on a CPU). Here each voxel of a
crescent is one lane: lanes of a ball are what lies between the nearest voxel that can be outside the larger
neighbor's ball and the ball's own rim, on the side away from that neighbor; a lane that is in neither writes nothing.
Balls share lanes in segments of fixed length, found by bisection in the running sum of segments. Lanes write with an
integer maximum, so that their order does not matter: same bits on every device.
"""

from __future__ import annotations

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.painting import KINDS, STEPS

#: Largest radius [voxel] whose offsets are listed (three of 10 bits in one number; 90 MB at 128).
FARTHEST = 255

# Lanes that one ball takes at a time: half-empty segments cost little, and each needs one bisection.
_LANES = 32
# Lanes of one write, and voxels of the slab whose balls are painted at once; enough to fill a device.
_WRITE = 1 << 23
_SLAB = 1 << 22
# Which offsets: 0, 1, 2 for a neighbor across a face, an edge, a corner; 3: no neighbor is larger, the whole ball.
_WHOLE = 3
_BIAS = 512


def paint(squared: jax.Array, enough: jax.Array, largest: int, closed: bool = False) -> jax.Array:
    """Largest squared radius over the balls of all voxels that hold each voxel.

    Args:
        squared: (nz, ny, nx) int32, squared radius of the ball at each voxel, 0 outside the phase. Below 2^31 voxels.
        enough: (3, largest + 1 or more) int32: the radius at which a neighbor across a face, an edge, a corner
            holds the whole ball (`pruning.ball_centers`).
        largest: maximum of ``squared``.
        closed: balls hold the voxels at exactly their radius too.

    Returns:
        (nz, ny, nx) int32 on the device, 0 where no ball reaches. Takes some 20 bytes for each voxel meanwhile.

    Raises:
        ValueError: a ball is larger than `FARTHEST` voxels or the volume has 2^31 voxels and more.
    """
    if squared.size >= 1 << 31:
        raise ValueError(f"expected a volume below 2^31 voxels, got {squared.shape}")
    reach = int(np.sqrt(largest)) + 1
    if reach > FARTHEST:
        raise ValueError(f"expected balls of a radius up to {FARTHEST} voxels, got {reach}")
    reach = -(-reach // 8) * 8  # few sizes compile few programs
    offsets, starts = _lists(reach)
    return _paint(squared, enough, jnp.asarray(offsets), jnp.asarray(starts), closed)


def needed_balls(padded: jax.Array, enough: jax.Array) -> jax.Array:
    """(nz, ny, nx) bool: balls that are in no neighbor's ball; ``padded`` has one voxel of 0 more on each side."""
    own = padded[1:-1, 1:-1, 1:-1]
    kept = own > 0
    for kind in range(3):
        least = _at(enough[kind], own)
        for step in STEPS[kind == KINDS]:
            kept &= _shifted(padded, step) < least
    return kept


@jax.jit
def mid_axes(squared: jax.Array, local: jax.Array, enough: jax.Array) -> jax.Array:
    """(nz, ny, nx) bool: `thickness.mid_axes`, on the device; ``enough`` as in `paint`."""
    chosen = needed_balls(jnp.pad(squared, 1), enough) & (4 * squared > local)  # below 2^31 for 18 900 voxels
    second = jnp.zeros(squared.shape, bool)
    for axis in range(3):
        room = [(2, 1) if a == axis else (0, 0) for a in range(3)]
        radii, flags = jnp.pad(squared, room), jnp.pad(chosen, room)
        length = squared.shape[axis]
        farther, before, after = (lax.slice_in_dim(radii, k, k + length, axis=axis) for k in (0, 1, 3))
        pair = (before == squared) & lax.slice_in_dim(flags, 1, 1 + length, axis=axis)
        second |= pair & (farther < squared) & (after < squared)
    return chosen & ~second


@partial(jax.jit, static_argnames="bins")
def counted(values: jax.Array, inside: jax.Array, bins: int) -> jax.Array:
    """(bins,) int32: how often each value below ``bins`` occurs inside."""
    spread = max(1, (1 << 22) // bins)  # several counters for each value, so that few voxels wait for the same one
    lane = jnp.arange(values.size, dtype=jnp.int32) % spread
    place = jnp.where(inside.ravel(), values.ravel() + lane * bins, spread * bins)
    counters = jnp.zeros(spread * bins, jnp.int32).at[place].add(1, mode="drop")
    return counters.reshape(spread, bins).sum(axis=0)


def _shifted(padded: jax.Array, step: np.ndarray) -> jax.Array:
    (nz, ny, nx), (dz, dy, dx) = padded.shape, (int(d) for d in step)
    return padded[1 + dz : nz - 1 + dz, 1 + dy : ny - 1 + dy, 1 + dx : nx - 1 + dx]


def _larger_neighbor(padded: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Squared radius and number of the neighbor whose ball leaves least of each ball uncovered; 0 and 26 for none."""
    own = padded[1:-1, 1:-1, 1:-1]
    best = jnp.full(own.shape, -jnp.inf, jnp.float32)
    larger, direction = jnp.zeros(own.shape, jnp.int32), jnp.full(own.shape, len(STEPS), jnp.int32)
    for number, step in enumerate(STEPS):
        other = _shifted(padded, step)
        # Of equal balls the one farther on in the volume is smaller: an order, so that chains of neighbors end.
        ahead = tuple(step) < (0, 0, 0)
        gain = jnp.sqrt(other.astype(jnp.float32)) - np.float32(np.sqrt((step**2).sum()))
        chosen = (gain > best) & ((other >= own) if ahead else (other > own))
        best = jnp.where(chosen, gain, best)
        larger = jnp.where(chosen, other, larger)
        direction = jnp.where(chosen, number, direction)
    return larger, direction


@partial(jax.jit, static_argnames="closed")
def _paint(squared: jax.Array, enough: jax.Array, offsets: jax.Array, starts: jax.Array, closed: bool) -> jax.Array:
    depth, ny, nx = squared.shape
    planes = max(1, min(depth, _SLAB // (ny * nx)))
    segments = max(32, min(_WRITE, planes * ny * nx * 4) // _LANES)
    padded = jnp.pad(squared, 1)
    kinds, turns = jnp.asarray(np.append(KINDS, _WHOLE)), jnp.asarray(_TURNS)
    span = jnp.asarray([1, 2, 3, 0], jnp.int32)  # squared length of a step of each kind

    def slab(number: jax.Array, canvas: jax.Array) -> jax.Array:
        first_plane = jnp.minimum(number * planes, depth - planes)  # a plane painted twice stays the same
        here = lax.dynamic_slice_in_dim(padded, first_plane, planes + 2)
        power = here[1:-1, 1:-1, 1:-1] + closed  # a ball holds what is nearer than sqrt(power)
        larger, direction = _larger_neighbor(here)
        larger = jnp.where(direction == len(STEPS), 0, larger + closed)
        kind = _at(kinds, direction)
        # Squared distance below which all offsets are in the neighbor's ball too, less the error of a root.
        near = (larger + _at(span, kind)).astype(jnp.float32) - 2 * jnp.sqrt(
            (larger * _at(span, kind)).astype(jnp.float32)
        )
        near = jnp.clip(near.astype(jnp.int32) - 1 - (larger >> 18), 0)
        lanes_from = _at(starts, kind, jnp.minimum(near, power)).ravel()
        lanes_to = _at(starts, kind, power).ravel()
        need = needed_balls(here, enough).ravel()
        count = jnp.where(need, (lanes_to - lanes_from + (_LANES - 1)) // _LANES, 0)
        ends = jnp.cumsum(count)
        power, larger, direction = power.ravel(), larger.ravel(), direction.ravel()

        def write(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            done, canvas = state
            segment = done + jnp.arange(segments, dtype=jnp.int32)
            ball = jnp.minimum(_bisected(ends, segment), len(ends) - 1)
            start = _at(lanes_from, ball) + _LANES * (segment - _at(ends, ball) + _at(count, ball))
            stop = jnp.where(segment < ends[-1], _at(lanes_to, ball), 0)
            # What a segment's lanes share is worked out once, not once a lane.
            ball, start, stop, way, least, value = lax.optimization_barrier(
                (ball, start, stop, _at(direction, ball), _at(larger, ball), _at(power, ball))
            )
            lane = start[:, None] + jnp.arange(_LANES, dtype=jnp.int32)
            packed = _at(offsets, jnp.minimum(lane, len(offsets) - 1))
            a, b, c = (packed >> 20) - _BIAS, ((packed >> 10) & 1023) - _BIAS, (packed & 1023) - _BIAS
            step = _at(kinds, way)[:, None]
            toward = a + jnp.where(step >= 1, b, 0) + jnp.where(step >= 2, c, 0)
            apart = a * a + b * b + c * c - 2 * toward + _at(span, step)  # from the neighbor, squared
            valid = (lane < stop[:, None]) & ((step == _WHOLE) | (apart >= least[:, None]))
            turn = _at(turns, way)
            z, yx = jnp.divmod(ball, ny * nx)
            y, x = jnp.divmod(yx, nx)
            at = []
            for axis, center in enumerate((z + first_plane, y, x)):
                along = [turn[:, axis, j, None] for j in range(3)]
                at.append(center[:, None] + along[0] * a + along[1] * b + along[2] * c)
                valid &= (at[axis] >= 0) & (at[axis] < (depth, ny, nx)[axis])
            place = jnp.where(valid, (at[0] * ny + at[1]) * nx + at[2], canvas.size).ravel()
            values = jnp.broadcast_to(value[:, None], valid.shape).ravel()
            return done + segments, canvas.at[place].max(values, mode="drop", wrap_negative_indices=False)

        return lax.while_loop(lambda state: state[0] < ends[-1], write, (jnp.int32(0), canvas))[1]

    canvas = lax.fori_loop(0, -(-depth // planes), slab, jnp.zeros(squared.size, jnp.int32))
    return jnp.where(canvas > 0, canvas - closed, 0).reshape(squared.shape)


def _bisected(ascending: jax.Array, values: jax.Array) -> jax.Array:
    """How many of ``ascending`` are no larger than each value."""
    found = jnp.zeros(values.shape, jnp.int32)
    for bit in reversed(range(len(ascending).bit_length())):
        farther = found + (1 << bit)
        last = _at(ascending, jnp.minimum(farther, len(ascending)) - 1)
        found = jnp.where((farther <= len(ascending)) & (last <= values), farther, found)
    return found


def _at(values: jax.Array, *place: jax.Array) -> jax.Array:
    """Values at places that are inside: without the checks that indexing makes."""
    return values.at[place].get(mode="promise_in_bounds")


@lru_cache(maxsize=4)
def _lists(reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of each kind, ascending by squared distance, packed, and (4, reach^2 + 2) where each distance starts."""
    line = np.arange(-reach, reach + 1, dtype=np.int32)
    squares = (line**2)[:, None, None] + (line**2)[:, None] + line**2
    order = np.argsort(squares, axis=None, kind="stable")[: np.count_nonzero(squares <= reach**2)]
    apart = squares.ravel()[order]
    a, b, c = (index.astype(np.int32) - reach for index in np.unravel_index(order, squares.shape))
    packed = (a + _BIAS) << 20 | (b + _BIAS) << 10 | (c + _BIAS)
    # A larger ball one step away holds all offsets on its own side.
    sides = (a <= 0, a + b <= 0, a + b + c <= 1, np.ones(len(a), bool))
    lists, starts, before = [], [], 0
    for side in sides:
        lists.append(packed[side])
        starts.append(before + np.searchsorted(apart[side], np.arange(reach**2 + 2)))
        before += len(lists[-1])
    return np.concatenate(lists), np.stack(starts).astype(np.int32)


def _turns() -> np.ndarray:
    """(27, 3, 3): turns of offsets that lay the neighbor at (1, 0, 0), (1, 1, 0), (1, 1, 1) at each step; none last."""
    turns = np.zeros((27, 3, 3), np.int32)
    turns[26] = np.eye(3)
    for number, step in enumerate(STEPS):
        axes = np.argsort(-np.abs(step), kind="stable")
        turns[number, axes, np.arange(3)] = np.where(step[axes] < 0, -1, 1)
    return turns


_TURNS = _turns()
