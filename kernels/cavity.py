"""The cavity that one BMU carves: which voxels, in which order, worked out once when it is born.

A BMU erodes a patch of the actual local surface whose area is the footprint's, down to a flat-bottomed profile
of depth (the form and its exponent 3 are ours), and refills the same voxels in the reverse order.
Every voxel of the cavity is known by three integers: its depth below the local surface, the depth of the whole
profile in its column, and the bone that it held. With them the bone left at any position of the erosion front is a pure
integer function (`bone_at`), the same going down and coming up, so that a cavity refilled to
the front from which it started leaves the bone bit for bit as it was.

Depth is measured along the nearest surface voxel of the BMU's own patch, never of the far side of a plate or of the
next trabecula: the patch is flooded along the surface from the origin, the bone beneath it flooded from the patch.

The volume that a BMU removes is its patch's area times its mean depth, the definition that ties erosion depth to
resorption rate in histomorphometry (Parfitt et al. 1987): the front's final position is found by bisection on exact
mass, so that voxel size and lattice direction do not change how much bone a BMU takes. `FRONT_LIMIT` bounds that
correction: where the bone is thinner than the cavity is deep, there is simply less to take.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import window as w

Array = Any

BONE = w.BONE
FULL = 255
SUB = 256  # depths are integers, in 1/256 of a voxel
FRONT = 4096  # a front at 4096 has the profile's full depth
FRONT_LIMIT = 5120  # the mass rule may deepen a cavity by a quarter at most
PROFILE_EXPONENT = 3  # p in depth = mean (1 + 1/p) (1 - (rho/R)^(2p))

_PAYLOAD_BITS = 20
_SEED_DEPTH = 64  # steps of a seed's own depth in a voxel
_NUMBER_BITS = 18  # of a place in a list: 14 bits are left for its front


@dataclass(frozen=True)
class Geometry:
    """Static sizes, in voxels; hashed by value, one compilation for each.

    Attributes:
        window: edges of the block of voxels that a cavity may touch, (z, y, x).
        reach: deepest voxel below the surface, at most 30.
        entries: voxels that one BMU's list can hold, a multiple of 32 and at most 262144.
    """

    window: tuple[int, int, int]
    reach: int
    entries: int

    def __post_init__(self) -> None:
        if self.reach > 30:
            raise ValueError(f"reach must be at most 30 voxels, got {self.reach}: use larger voxels")
        if self.entries % 32 or not 0 < self.entries <= 1 << _NUMBER_BITS:
            raise ValueError(f"entries must be a multiple of 32 up to {1 << _NUMBER_BITS}, got {self.entries}")


class Cavity(NamedTuple):
    """One BMU's voxels in the order in which the front reaches them; arrays of `Geometry.entries`, unused entries come
    last and have ``cell`` = -1.

    Attributes:
        cell: position in the window, ``z << 20 | y << 10 | x``, int32.
        delta: depth of the voxel's centre below the local surface [1/256 voxel], int16; negative above it.
        profile: depth of the full profile in the voxel's column [1/256 voxel], int16.
        before: bone fraction when the BMU was born, uint8.
        floor: direction in which the voxel's floor lies, ``(dz + 1) << 4 | (dy + 1) << 2 | (dx + 1)``, uint8.
        final_front: where the front stops [1/4096], int32 scalar; below 0 where bone is formed on the surface.
        area: patch area [voxel faces], float32 scalar.
        dropped: voxels that did not fit into the list, int32 scalar; 0 unless `entries` is too small.
    """

    cell: Array
    delta: Array
    profile: Array
    before: Array
    floor: Array
    final_front: Array
    area: Array
    dropped: Array


def _quotient(numerator: Array, denominator: Array) -> Array:
    """numerator // denominator, exact for 0 <= numerator < 2**24 and 0 < denominator < 2**16.

    By float32 with one correction: integer division is the slowest instruction here, and this gives the same bits on
    every device.
    """
    guess = (numerator.astype(jnp.float32) / denominator.astype(jnp.float32)).astype(jnp.int32)
    rest = numerator - guess * denominator
    return guess + (rest >= denominator).astype(jnp.int32) - (rest < 0).astype(jnp.int32)


def eroded(front: Array, delta: Array, profile: Array, before: Array, dither: Array) -> Array:
    """Bone removed from a voxel when the front stands at ``front`` >= 0 [1/255 voxel]; int32, monotone in front.

    Zero at 0 and all of ``before`` once the front has passed the voxel's far face; ``dither`` in 0..255 rounds the
    parts between without bias.
    """
    top = jnp.maximum(delta - SUB // 2, 0)
    span = jnp.maximum(delta + SUB // 2 - top, 1)
    passed = jnp.clip(((front * profile) >> 12) - top, 0, span)
    return (_quotient(before * passed * 256, span) + dither) >> 8


def bone_at(front: Array, delta: Array, profile: Array, before: Array, dither: Array) -> Array:
    """Bone fraction of a voxel with the front at ``front``, 0..255, int32."""
    above = front < 0
    front = jnp.abs(front)
    # Seen from the other side growth is erosion of the room that the voxel has left: one evaluation serves both.
    room = jnp.where(delta < SUB // 2, FULL - before, 0)
    change = eroded(front, jnp.where(above, -delta, delta), profile, jnp.where(above, room, before), dither)
    return jnp.where(above, before + change, before - change)


def dither_of(cell: Array, salt: Array) -> Array:
    """A fixed number 0..255 for each voxel of a BMU, from its index and the BMU's ``salt``."""
    mixed = (cell.astype(jnp.uint32) * jnp.uint32(2654435761)) ^ salt.astype(jnp.uint32)
    mixed = (mixed ^ (mixed >> jnp.uint32(15))) * jnp.uint32(2246822519)
    return ((mixed >> jnp.uint32(24)) & jnp.uint32(0xFF)).astype(jnp.int32)


def _bisect(reached: Any, low: int, high: int) -> Array:
    """Smallest integer in (low, high] at which the monotone predicate holds; ``high`` where it never does."""
    steps = (high - low).bit_length()

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        lo, hi = bounds
        middle = (lo + hi) // 2
        hit = reached(middle)
        return jnp.where(hit, lo, middle), jnp.where(hit, middle, hi)

    return jax.lax.fori_loop(0, steps, halve, (jnp.int32(low), jnp.int32(high)))[1]


def surface_patch(bone: Array, owned: Array, fraction: Array, origin: Array, area: Array) -> tuple[Array, ...]:
    """The patch of surface around ``origin`` whose area is ``area``.

    Returns:
        (patch, share, depth, code, total, gradient): patch (bool), share of the profile radius squared (0..1),
        depth of the voxel's centre below the surface [voxels], floor direction code, area of the patch [voxel faces].
    """
    shape = bone.shape
    once = (origin[0] < 2**20).astype(jnp.int32)
    faces, gradient = w.surface_area(fraction, owned, once)
    faces, *slopes = w.kept(once, faces, *gradient)
    gz, gy, gx = (slope.astype(jnp.float32) for slope in slopes)
    scale = 1.0 / (jnp.sqrt(gz * gz + gy * gy + gx * gx) + 1e-3)
    normal = w.kept(once, gz * scale, gy * scale, gx * scale)

    # Bone over the surface voxel along its steepest open face says how deep the voxel's centre lies.
    value = fraction.astype(jnp.float32) / FULL
    above = jnp.zeros(shape, jnp.float32)
    steepest = jnp.full(shape, -1.0, jnp.float32)
    for axis, offset in w.faces():
        open_face = bone & ~owned & w.shifted(~bone & ~owned, axis, offset, False)
        tilt = -normal[axis] * offset
        better = open_face & (tilt > steepest)
        above = jnp.where(better, value + w.shifted(value, axis, offset), above)
        steepest = jnp.where(better, tilt, steepest)
    above, steepest = w.kept(once, above, steepest)
    surface = steepest > -1.0
    depth = jnp.clip(jnp.maximum(steepest, 0.5) * (above - 0.5), 0.0, 1.5)

    grid = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.int32) for n in shape), indexing="ij")

    def squared_distance(place: Array) -> Array:
        z, y, x = (axis - place[k] for k, axis in enumerate(grid))
        return z * z + y * y + x * x

    offset2 = squared_distance(origin)
    rank = jnp.where(surface, offset2, jnp.int32(1 << 24))
    start = jnp.argmin(rank.ravel())
    seed = jnp.stack(jnp.unravel_index(start, shape)).astype(jnp.int32)
    nz, ny, nx = normal
    facing = nz * nz.ravel()[start] + ny * ny.ravel()[start] + nx * nx.ravel()[start]
    passable = surface & (facing > -0.2)
    from_seed = squared_distance(seed)
    steps = max(shape) // 2 + 6
    reached = w.flood((from_seed == 0) & surface, passable, steps, w.grown)

    # Distance along the surface from chord and turn of the normal: exact on planes, spheres and cylinders' hoops.
    chord = jnp.sqrt(from_seed.astype(jnp.float32))
    turn = jnp.clip((1.0 - facing) * 0.5, 0.0, 0.7)
    (arc,) = w.kept(once, jnp.round(chord * (1.0 + turn * (1.0 / 6.0 + 0.075 * turn)) * 64.0).astype(jnp.int32))

    wanted = jnp.round(area * w.AREA).astype(jnp.int32)
    radius = _bisect(lambda r: jnp.sum(jnp.where(reached & (arc < r), faces, 0)) >= wanted, 0, 64 * 2 * max(shape))
    patch = reached & (arc < radius)
    total = jnp.minimum(jnp.sum(jnp.where(patch, faces, 0)), wanted)
    # Where the patch ran into its limits the profile still ends at its farthest voxel.
    edge = jnp.minimum(radius, jnp.max(jnp.where(patch, arc, 0)) + 32).astype(jnp.float32)
    share = jnp.clip((arc.astype(jnp.float32) / edge) ** 2, 0.0, 1.0)
    code = w.direction_code(gz, gy, gx)
    return patch, share, depth, code, total.astype(jnp.float32) / w.AREA, (gz, gy, gx)


def _nearest(key: Array, reach: int, far: int) -> Array:
    """Smallest key plus squared distance (in the bits above the payload) within ``reach`` voxels."""
    for axis in range(3):
        n = key.shape[axis]
        margin = [(reach, reach) if k == axis else (0, 0) for k in range(3)]
        wide = jnp.pad(key, margin, constant_values=far)
        terms = (
            jax.lax.slice_in_dim(wide, reach + k, reach + k + n, axis=axis) + ((k * k) << _PAYLOAD_BITS)
            for k in range(-reach, reach + 1)
        )
        key = jnp.minimum(reduce(jnp.minimum, terms), far)
    return key


def in_order_of_front(place: Array, valid: Array, delta: Array, profile: Array) -> Array:
    """The valid places, which come first, sorted by where the front stands when it passes their voxel's centre."""
    middle = jnp.floor(delta[place].astype(jnp.float32) * FRONT / jnp.maximum(profile[place], 1).astype(jnp.float32))
    return sorted_by((jnp.clip(middle, -32768.0, 32760.0).astype(jnp.int32) + 32768) >> 2, place, valid)


def sorted_by(key: Array, place: Array, valid: Array) -> Array:
    """The valid places, which come first, by rising ``key`` (places,), 0 to 0x3FFF; equal ones in their order."""
    key = jnp.where(valid, key, 0x3FFF)
    number = jnp.arange(place.shape[0], dtype=jnp.uint32)
    order = jnp.sort(key.astype(jnp.uint32) << _NUMBER_BITS | number) & ((1 << _NUMBER_BITS) - 1)
    return place[order]


def carve(
    fraction: Array,
    owned: Array,
    origin: Array,
    depth: Array,
    area: Array,
    growth: Array,
    salt: Array,
    geometry: Geometry,
    modeling: bool = False,
) -> Cavity:
    """Work out the cavity of a BMU born at ``origin``.

    Args:
        fraction: (window) uint8 bone fraction.
        owned: (window) bool, voxels that another BMU holds.
        origin: (3,) int32 position in the window, on or next to the surface.
        depth: mean depth of the finished cavity [voxels].
        area: footprint [voxel faces].
        growth: how far above the old surface the refill may rise [voxels].
        salt: uint32 of this BMU, for unbiased rounding.
        geometry: static sizes.
        modeling: static; bone is formed on the patch, `depth` thick, and nothing is eroded: the front stops above the
            surface, at a negative `Cavity.final_front`.
    """
    reach = geometry.reach
    bone = fraction >= BONE
    patch, share, own_depth, code, total, gradient = surface_patch(bone, owned, fraction, origin, area)

    # Nearest patch voxel by a separable minimum over integer keys: squared distance above, what it carries below.
    far = (reach * reach + 1) << _PAYLOAD_BITS
    payload = (
        (jnp.round(share * 255.0).astype(jnp.int32) << 12)
        | (jnp.round(own_depth * _SEED_DEPTH).astype(jnp.int32) << 5)
        | code
    )
    once = (origin[0] < 2**20).astype(jnp.int32)
    (key,) = w.kept(once, jnp.where(patch, payload, far))
    (key,) = w.kept(once, _nearest(key, reach, far))
    distance2 = key >> _PAYLOAD_BITS
    reached = distance2 <= reach * reach

    # A voxel with less than half of bone lies above the patch, or at the far side of a thin plate: the gradient tells.
    way = key & 0x1F
    inward = gradient[0] * (way // 9 - 1) + gradient[1] * (way // 3 % 3 - 1) + gradient[2] * (way % 3 - 1)
    below = bone | ((fraction > 0) & (inward < 0.0))
    distance = jnp.round(jnp.sqrt(distance2.astype(jnp.float32)) * SUB).astype(jnp.int32)
    own = ((key >> 5) & 0x7F) * (SUB // _SEED_DEPTH)
    delta = own + jnp.where(below, distance, -distance)
    share_here = ((key >> 12) & 0xFF).astype(jnp.float32) / 255.0
    peak = depth * (1.0 + 1.0 / PROFILE_EXPONENT) * SUB
    profile = jnp.round(peak * (1.0 - share_here**PROFILE_EXPONENT)).astype(jnp.int32)
    profile = jnp.clip(profile, 0, 30 * SUB)

    beneath = w.flood(patch, below & ~owned & reached, reach + reach // 2 + 1, w.grown_by_faces)
    deepest = jnp.zeros_like(profile) if modeling else (FRONT_LIMIT * profile) >> 12
    highest = jnp.round(growth * SUB).astype(jnp.int32)
    in_bone = beneath & (delta - SUB // 2 < deepest)
    in_marrow = ~below & ~owned & reached & (delta > -(highest + SUB // 2)) & (distance2 <= (highest // SUB + 2) ** 2)
    if modeling:
        # Marrow that hangs together with the patch, not that beyond a thin plate.
        in_marrow &= w.flood(patch, patch | in_marrow, reach + reach // 2 + 1, w.grown_by_faces)
    member = (in_bone | in_marrow) & (profile > 0)

    member, delta, profile = w.kept(once, member, delta, profile)
    members = w.Ranked.of(member)
    count, nth = members.count, jnp.arange(geometry.entries, dtype=jnp.int32)
    valid = nth < count
    place = in_order_of_front(members.place(nth), valid, delta.ravel(), profile.ravel())
    listed_delta = jnp.clip(delta.ravel()[place], -32000, 32000)
    listed_profile = profile.ravel()[place]
    before = jnp.where(valid, fraction.ravel()[place], 0).astype(jnp.int32)
    floor = jnp.asarray(w.PACKED_DIRECTIONS)[key.ravel()[place] & 0x1F]
    _, ny, nx = geometry.window
    at = (place // (ny * nx)) << 20 | (place // nx % ny) << 10 | place % nx
    dither = dither_of(at, salt)

    mass = jnp.round(total * depth * FULL).astype(jnp.int32)

    def enough(front: Array) -> Array:
        if modeling:
            bone = bone_at(-front, listed_delta, listed_profile, before, dither)
            return jnp.sum(jnp.where(valid, bone - before, 0)) >= mass
        return jnp.sum(jnp.where(valid, eroded(front, listed_delta, listed_profile, before, dither), 0)) >= mass

    final_front = jnp.where(mass > 0, _bisect(enough, 0, FRONT_LIMIT), 0) * (-1 if modeling else 1)
    return Cavity(
        jnp.where(valid & (mass > 0), at, -1),
        listed_delta.astype(jnp.int16),
        listed_profile.astype(jnp.int16),
        before.astype(jnp.uint8),
        floor.astype(jnp.uint8),
        final_front,
        total,
        jnp.maximum(count - geometry.entries, 0),
    )
