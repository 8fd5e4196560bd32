"""Small dense neighborhoods inside one window: shifts, gradient, area of surface, flood, and the 26 directions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any

BONE = 128  # at least half a voxel
FULL = 255
#: Areas are integers of 1/64 of a voxel face, far below a voxel's own error, so that sums do not depend on their order.
AREA = 64

# A component belongs to the nearest of the 26 directions where it exceeds tan(22.5 degrees) of the largest.
_DIAGONAL = 0.41421357


def kept(once: Array | None, *arrays: Array) -> tuple[Array, ...]:
    """The same arrays, worked out here and now; ``once`` is 1, which the compiler cannot know (None: as it likes).

    Without this the compiler works a long expression out again in each of its readers, under padding and without
    vectors.
    """
    if once is None:
        return arrays
    return jax.lax.fori_loop(0, once, lambda i, held: tuple(a + i.astype(a.dtype) for a in held), arrays)


def sobel(field: Array, once: Array | None = None) -> tuple[Array, Array, Array]:
    """Smoothed central differences along (z, y, x), int32, times 32 (weights 1 2 1 across, -1 0 1 along); edges
    repeat.
    """
    n = field.shape
    wide = jnp.pad(field.astype(jnp.int32), 1, mode="edge")

    def part(f: Array, axis: int, offset: int) -> Array:
        return jax.lax.slice_in_dim(f, 1 + offset, 1 + offset + n[axis], axis=axis)

    def smooth(f: Array, axis: int) -> Array:
        return part(f, axis, -1) + 2 * part(f, axis, 0) + part(f, axis, 1)

    def difference(f: Array, axis: int) -> Array:
        return part(f, axis, 1) - part(f, axis, -1)

    smooth_x, diff_x = kept(once, smooth(wide, 2), difference(wide, 2))
    smooth_yx, smooth_y_diff_x, diff_y_smooth_x = smooth(smooth_x, 1), smooth(diff_x, 1), difference(smooth_x, 1)
    return difference(smooth_yx, 0), smooth(diff_y_smooth_x, 0), smooth(smooth_y_diff_x, 0)


def faces() -> Iterator[tuple[int, int]]:
    """The six (axis, offset) of the face neighbors."""
    for axis in range(3):
        for offset in (-1, 1):
            yield axis, offset


def surface_area(
    fraction: Array, owned: Array, once: Array | None = None
) -> tuple[Array, tuple[Array, Array, Array], Array]:
    """Area of bone surface at each bone voxel, and the gradient of bone fraction.

    A face between bone and marrow counts with the component of the unit normal along its axis: over a plane's faces the
    squares of the components add up to one, whatever its tilt. The normal is that of the Sobel gradient on both
    sides of the face. Within 1 % on planes of any tilt and 1.5 % on spheres of 4 voxels and more in radius, where
    Crofton's sum over 13 directions is 5 to 13 % low on single planes.

    Args:
        fraction: (z, y, x) uint8; owned: (z, y, x) bool, voxels whose faces do not count; once: as in `kept`.

    Returns:
        (area [1/64 face] int32, gradient (z, y, x) int32 as `sobel`, open faces of each voxel, int32, bit k for the
        k-th of `faces`).
    """
    bone = fraction >= BONE
    (marrow,) = kept(once, jnp.pad((~bone & ~owned).astype(jnp.int32), 1))
    sides = sum(beside(marrow, axis, offset) << k for k, (axis, offset) in enumerate(faces()))
    gradient, (sides,) = kept(once, *sobel(fraction, once)), kept(once, jnp.where(bone & ~owned, sides, 0))
    wide = kept(once, *(jnp.pad(part, 1, mode="edge") for part in gradient))
    area = jnp.zeros(fraction.shape, jnp.float32)
    for axis in range(3):
        # The normal's component at the face between each voxel and the next one.
        across = [(part + beside(more, axis, 1)).astype(jnp.float32) for part, more in zip(gradient, wide, strict=True)]
        length = jnp.sqrt(across[0] ** 2 + across[1] ** 2 + across[2] ** 2) + 1e-3
        (component,) = kept(once, jnp.pad(across[axis] * (1.0 / length), 1, mode="edge"))
        for bit, share in ((2 * axis, beside(component, axis, -1)), (2 * axis + 1, -beside(component, axis, 0))):
            area = area + jnp.where((sides >> bit) & 1 != 0, jnp.maximum(share, 0.0), 0.0)
    return jnp.round(area * AREA).astype(jnp.int32), gradient, sides


def beside(wide: Array, axis: int, offset: int) -> Array:
    """The neighbors of all voxels, of an array with a margin of one voxel."""
    for k in range(3):
        first = 1 + (offset if k == axis else 0)
        wide = jax.lax.slice_in_dim(wide, first, first + wide.shape[k] - 2, axis=k)
    return wide


def total(values: Array, *others: Array, of: Any = None, alone: bool = True) -> Array:
    """Sum of int32 values, or of what ``of`` makes of these and others of their shape; in runs where it is ``alone``
    (static), plainly beside others.
    """
    if not alone:
        return jnp.sum(of(values, *others) if of else values)
    return _in_runs(jnp.add, jnp.sum, [part.ravel() for part in (values, *others)], of)


def first_of_least(values: Array) -> Array:
    """Flat index of the first of the smallest of int32 values."""
    flat = values.ravel()
    smallest = _in_runs(jnp.minimum, jnp.min, [flat])
    index = jnp.arange(flat.shape[0], dtype=jnp.int32)
    return _in_runs(jnp.minimum, jnp.min, [flat, index], lambda v, k: jnp.where(v == smallest, k, flat.shape[0]))


def _in_runs(both: Any, over: Any, parts: list[Array], of: Any = None) -> Array:
    """Reduce eight long runs side by side: compilers for CPUs use no vectors in a plain reduction."""
    ends = []
    while parts[0].shape[0] >= 64:
        run = parts[0].shape[0] // 8
        pieces = [[part[k * run : (k + 1) * run] for part in parts] for k in range(8)]
        rest = [part[8 * run :] for part in parts]
        values = [of(*piece) if of else piece[0] for piece in pieces]
        if parts[0].shape[0] % 8:
            ends.append(over(of(*rest) if of else rest[0]))
        parts, of = [reduce(both, values)], None
    return reduce(both, [*ends, over(of(*parts) if of else parts[0])])


def packed(mask: Array) -> Array:
    """Bits along x: (z, y, words) uint32 of a bool (z, y, x); 32 voxels a word make floods cheap."""
    nz, ny, nx = mask.shape
    words = -(-nx // 32)
    padded = jnp.pad(mask, ((0, 0), (0, 0), (0, words * 32 - nx))).astype(jnp.uint8)
    # Four bytes of 0 or 1, read as one number: the product brings their bits together in its highest byte.
    fours = jax.lax.bitcast_convert_type(padded.reshape(nz, ny, words, 8, 4), jnp.uint32)
    bits = (fours * jnp.uint32(0x01020408)) >> jnp.uint32(24) & jnp.uint32(0xF)
    return jnp.sum(bits << (4 * jnp.arange(8, dtype=jnp.uint32)), axis=3, dtype=jnp.uint32)


def unpacked(bits: Array, nx: int) -> Array:
    """The bool (z, y, x) of `packed`."""
    mask = (bits[..., None] >> jnp.arange(32, dtype=jnp.uint32)) & jnp.uint32(1)
    return mask.reshape(*bits.shape[:2], -1)[..., :nx].astype(bool)


def at(values: Array, places: Array) -> Array:
    """Values of a flat array at places that all lie in it."""
    return values.at[places].get(mode="promise_in_bounds")


class Ranked(NamedTuple):
    """The true places of a mask by their number in raster order: whole words are counted first, then bits of one word.

    Gathers alone, cheaper than a scatter on every device.

    Attributes:
        bits: the mask, packed; running: number of true places up to the end of each word.
        words: words of a line; length: places of a line.
    """

    bits: Array
    running: Array
    words: int
    length: int

    @classmethod
    def of(cls, mask: Array) -> Ranked:
        """Rank the true places of a bool (z, y, x)."""
        bits = packed(mask)
        counts = jax.lax.population_count(bits.ravel()).astype(jnp.int32)
        return cls(bits.ravel(), jnp.cumsum(counts), bits.shape[2], mask.shape[2])

    @property
    def count(self) -> Array:
        """How many places are true."""
        return self.running[-1]

    def place(self, nth: Array) -> Array:
        """Flat index of the ``nth`` true places, int32, counted from 0; 0 where there are fewer."""
        word = jnp.searchsorted(self.running, nth + 1, method="scan_unrolled").astype(jnp.int32)
        word = jnp.minimum(word, self.bits.shape[0] - 1)
        rest = self.bits[word]
        rank = nth - self.running[word] + jax.lax.population_count(rest).astype(jnp.int32)
        bit = jnp.zeros_like(rank)
        for half in (16, 8, 4, 2, 1):
            low = jax.lax.population_count(rest & jnp.uint32((1 << half) - 1)).astype(jnp.int32)
            beyond = rank >= low
            rank = jnp.where(beyond, rank - low, rank)
            rest = jnp.where(beyond, rest >> half, rest)
            bit = bit + jnp.where(beyond, half, 0)
        place = word // self.words * self.length + word % self.words * 32 + bit
        return jnp.where(nth < self.count, place, 0)


def _along_x(bits: Array) -> Array:
    left = bits << jnp.uint32(1)
    right = bits >> jnp.uint32(1)
    if bits.shape[2] > 1:
        left = left.at[:, :, 1:].set(left[:, :, 1:] | (bits[:, :, :-1] >> jnp.uint32(31)))
        right = right.at[:, :, :-1].set(right[:, :, :-1] | (bits[:, :, 1:] << jnp.uint32(31)))
    return left | right


def _along(bits: Array, axis: int) -> Array:
    wide = jnp.pad(bits, [(1, 1) if k == axis else (0, 0) for k in range(3)])
    return jax.lax.slice_in_dim(wide, 2, None, axis=axis) | jax.lax.slice_in_dim(wide, 0, -2, axis=axis)


def grown(bits: Array) -> Array:
    """Packed dilation by the 26-neighborhood."""
    bits = bits | _along_x(bits)
    bits = bits | _along(bits, 1)
    return bits | _along(bits, 0)


def grown_by_faces(bits: Array) -> Array:
    """Packed dilation by the 6-neighborhood."""
    return bits | _along_x(bits) | _along(bits, 1) | _along(bits, 0)


def flood(seeds: Array, passable: Array, steps: int, grow: Any, alone: bool = True) -> Array:
    """Voxels of ``passable`` that ``seeds`` reach in ``steps`` dilations (`grown` or `grown_by_faces`); not ``alone``
    (static) without a loop, whose turns would cost as much as they do.
    """
    way = packed(passable)
    reached = jax.lax.fori_loop(0, steps, lambda _, bits: grow(bits) & way, packed(seeds) & way, unroll=not alone)
    return unpacked(reached, passable.shape[2])


def direction_code(gz: Array, gy: Array, gx: Array) -> Array:
    """The nearest of 26 directions to (gz, gy, gx), or none: ``(dz + 1) << 4 | (dy + 1) << 2 | (dx + 1)``."""
    largest = jnp.maximum(jnp.maximum(jnp.abs(gz), jnp.abs(gy)), jnp.abs(gx)) * _DIAGONAL

    def sign(g: Array) -> Array:
        return jnp.where(g > largest, 1, jnp.where(g < -largest, -1, 0))

    return (sign(gz) + 1) << 4 | (sign(gy) + 1) << 2 | (sign(gx) + 1)
