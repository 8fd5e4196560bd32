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
import numpy as np

from microct.kernels import window as w
from microct.kernels.patch import Patch, bisected, surface_patch

Array = Any

BONE = w.BONE
FULL = w.FULL
SUB = 256  # depths are integers, in 1/256 of a voxel
#: Deepest voxel below the surface that a window can hold.
DEEPEST_VOXEL = 30
FRONT = 4096  # a front at 4096 has the profile's full depth
FRONT_LIMIT = 5120  # the mass rule may deepen a cavity by a quarter at most
PROFILE_EXPONENT = 3  # p in depth = mean (1 + 1/p) (1 - (rho/R)^(2p))

_PAYLOAD_BITS = 21
_DEPTH_BIT, _SHARE_BIT = 6, 13  # of the payload: direction below, depth, share above
_SEED_DEPTH = 64  # steps of a seed's own depth in a voxel
_NUMBER_BITS = 18  # of a place in a list: 14 bits are left for its front

#: Voxels that a list can hold at most.
MOST_ENTRIES = 1 << _NUMBER_BITS


@dataclass(frozen=True)
class Geometry:
    """Static sizes, in voxels; hashed by value, one compilation for each.

    Attributes:
        window: edges of the block of voxels that a cavity may touch, (z, y, x).
        reach: deepest voxel below the surface, at most `DEEPEST_VOXEL`.
        entries: voxels that one BMU's list can hold, a multiple of 32 and at most 262144.
        usual: voxels that most lists hold at most, a multiple of 32: where one worker carves alone, lists of no more
            are worked out in less time. 0: as many as the longest.
    """

    window: tuple[int, int, int]
    reach: int
    entries: int
    usual: int = 0

    def __post_init__(self) -> None:
        if self.reach > DEEPEST_VOXEL:
            raise ValueError(f"reach must be at most {DEEPEST_VOXEL} voxels, got {self.reach}: use larger voxels")
        if self.entries % 32 or not 0 < self.entries <= MOST_ENTRIES:
            raise ValueError(f"entries must be a multiple of 32 up to {MOST_ENTRIES}, got {self.entries}")
        if self.usual % 32 or not 0 <= self.usual <= self.entries:
            raise ValueError(f"usual must be a multiple of 32 up to {self.entries} entries, got {self.usual}")


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


def _nearest(key: Array, reach: int, far: int) -> Array:
    """Smallest key plus squared distance (in the bits above the payload) within ``reach`` voxels; uint32."""
    for axis in range(3):
        n = key.shape[axis]
        margin = [(reach, reach) if k == axis else (0, 0) for k in range(3)]
        wide = jnp.pad(key, margin, constant_values=np.uint32(far))
        terms = (
            jax.lax.slice_in_dim(wide, reach + k, reach + k + n, axis=axis) + np.uint32((k * k) << _PAYLOAD_BITS)
            for k in range(-reach, reach + 1)
        )
        key = jnp.minimum(reduce(jnp.minimum, terms), np.uint32(far))
    return key


def in_order_of_front(place: Array, valid: Array, depths: Array) -> Array:
    """The valid places, which come first, sorted by where the front stands when it passes their voxel's centre."""
    here = w.at(depths, place)
    middle = jnp.floor((here >> 16).astype(jnp.float32) * FRONT / jnp.maximum(here & 0xFFFF, 1).astype(jnp.float32))
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
    alone: bool = True,
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
        alone: static; whether no other cavity is worked out beside this one, so that it is worth keeping what is read
            more than once (`window.kept`).
    """
    once = (origin[0] < 2**20).astype(jnp.int32) if alone else None
    fraction, held = w.kept(once, fraction, owned.astype(jnp.uint8))
    owned = held != 0
    patch = surface_patch(fraction, owned, origin, area, once)
    key = _nearest_of_patch(patch, geometry.reach, once)
    ground = _depths(fraction, key, patch.gradient, depth)
    members, ground = _members(patch.voxels, ground, ~owned, growth, geometry.reach, once, modeling)
    template = _Template(
        w.Ranked.of(members),
        # Both depths in one number, and what else is listed in another: two numbers to gather for each voxel.
        (jnp.clip(ground.delta, -32000, 32000) << 16 | ground.profile).ravel(),
        (fraction.astype(jnp.int32) << 6 | (key & 0x3F)).ravel(),
        jnp.round(patch.area * depth * FULL).astype(jnp.int32),
        patch.area,
        salt,
    )
    if not alone or not geometry.usual:
        return _listed(template, geometry.entries, geometry, modeling, alone)
    return jax.lax.cond(
        template.members.count <= geometry.usual,
        lambda: _listed(template, geometry.usual, geometry, modeling, alone),
        lambda: _listed(template, geometry.entries, geometry, modeling, alone),
    )


class _Ground(NamedTuple):
    """The window below and above a patch.

    Attributes:
        delta: int32 [1/256 voxel], depth of each voxel's centre below the patch; profile: that of the whole cavity in
            its column; below: bool, whether a voxel is bone beneath the patch, not marrow above it; distance2: int32
            [voxel^2], to the patch.
    """

    delta: Array
    profile: Array
    below: Array
    distance2: Array


class _Template(NamedTuple):
    """A cavity before it is listed: its voxels, what is known of all voxels of the window, and how much it takes.

    Attributes:
        members: the voxels; depths: delta and profile of each voxel of the window; others: bone and floor of each.
        mass: int32 [1/255 voxel], bone to be moved; area: of the patch [voxel faces]; salt: of the BMU.
    """

    members: w.Ranked
    depths: Array
    others: Array
    mass: Array
    area: Array
    salt: Array


def _nearest_of_patch(patch: Patch, reach: int, once: Array | None) -> Array:
    """(window) int32, for each voxel the squared distance to the patch's nearest voxel, and below it what that one
    carries; by a separable minimum over integer keys.
    """
    far = (reach * reach + 1) << _PAYLOAD_BITS
    payload = (
        (jnp.round(patch.share * 255.0).astype(jnp.uint32) << _SHARE_BIT)
        | (jnp.round(patch.own_depth * _SEED_DEPTH).astype(jnp.uint32) << _DEPTH_BIT)
        | patch.floor.astype(jnp.uint32)
    )
    (key,) = w.kept(once, jnp.where(patch.voxels, payload, np.uint32(far)))
    (key,) = w.kept(once, _nearest(key, reach, far).astype(jnp.int32))
    return key


def _depths(fraction: Array, key: Array, gradient: Array, depth: Array) -> _Ground:
    """How deep each voxel lies, and how deep the cavity is there, by the patch's nearest voxel."""
    # A voxel with less than half of bone lies above the patch, or at the far side of a thin plate: the gradient tells.
    way = [((key >> shift) & 3) - 1 for shift in (4, 2, 0)]
    inward = gradient[0] * way[0] + gradient[1] * way[1] + gradient[2] * way[2]
    below = (fraction >= BONE) | ((fraction > 0) & (inward < 0.0))
    distance2 = key >> _PAYLOAD_BITS
    distance = jnp.round(jnp.sqrt(distance2.astype(jnp.float32)) * SUB).astype(jnp.int32)
    own = ((key >> _DEPTH_BIT) & 0x7F) * (SUB // _SEED_DEPTH)
    share = ((key >> _SHARE_BIT) & 0xFF).astype(jnp.float32) / 255.0
    peak = depth * (1.0 + 1.0 / PROFILE_EXPONENT) * SUB
    profile = jnp.round(peak * (1.0 - share**PROFILE_EXPONENT)).astype(jnp.int32)
    delta = own + jnp.where(below, distance, -distance)
    return _Ground(delta, jnp.clip(profile, 0, DEEPEST_VOXEL * SUB), below, distance2)


def _members(
    patch: Array, ground: _Ground, free: Array, growth: Array, reach: int, once: Array | None, modeling: bool
) -> tuple[Array, _Ground]:
    """Which ``free`` voxels of the window a cavity may change: bone that hangs on the ``patch``, and marrow up to
    ``growth`` [voxel] above it; and the ground, worked out.
    """
    delta, profile, below, distance2 = ground
    free &= distance2 <= reach * reach
    deepest = jnp.zeros_like(profile) if modeling else (FRONT_LIMIT * profile) >> 12
    highest = jnp.round(growth * SUB).astype(jnp.int32)
    way_down = (below & free).astype(jnp.int32)
    shallow = ((delta - SUB // 2 < deepest) & (profile > 0)).astype(jnp.int32)
    raised = ~below & free & (delta > -(highest + SUB // 2)) & (distance2 <= (highest // SUB + 2) ** 2)
    # Marrow above ground without a profile is no member, but others may hang on it.
    marrow = raised.astype(jnp.int32) | (raised & (profile > 0)).astype(jnp.int32) << 1
    delta, profile, way_down, shallow, marrow = w.kept(once, delta, profile, way_down, shallow, marrow)

    steps, alone = reach + reach // 2 + 1, once is not None
    in_bone = w.flood(patch, way_down != 0, steps, w.grown_by_faces, alone) & (shallow != 0)
    in_marrow = marrow > 1
    if modeling:
        # Marrow that hangs together with the patch, not that beyond a thin plate.
        in_marrow &= w.flood(patch, patch | (marrow != 0), steps, w.grown_by_faces, alone)
    return in_bone | in_marrow, ground._replace(delta=delta, profile=profile)


def _listed(template: _Template, entries: int, geometry: Geometry, modeling: bool, alone: bool) -> Cavity:
    """The cavity as a list of ``entries`` voxels at most, and where its front stops."""
    nth = jnp.arange(entries, dtype=jnp.int32)
    valid = nth < template.members.count
    place = in_order_of_front(template.members.place(nth), valid, template.depths)
    found, other = w.at(template.depths, place), w.at(template.others, place)
    found, other = jnp.where(valid, found, 0), jnp.where(valid, other, 0)
    delta, profile, before, floor = found >> 16, found & 0xFFFF, other >> 6, other & 0x3F
    _, ny, nx = geometry.window
    at = (place // (ny * nx)) << 20 | (place // nx % ny) << 10 | place % nx
    dither = dither_of(at, template.salt)

    def enough(front: Array) -> Array:
        if modeling:
            moved = bone_at(-front, delta, profile, before, dither) - before
        else:
            moved = eroded(front, delta, profile, before, dither)
        return w.total(jnp.where(valid, moved, 0), alone=alone) >= template.mass

    def column(values: Array, dtype: Any, rest: int = 0) -> Array:
        return jnp.pad(values.astype(dtype), (0, geometry.entries - entries), constant_values=rest)

    sign, takes = -1 if modeling else 1, template.mass > 0
    return Cavity(
        column(jnp.where(valid & takes, at, -1), jnp.int32, -1),
        column(delta, jnp.int16),
        column(profile, jnp.int16),
        column(before, jnp.uint8),
        column(floor, jnp.uint8),
        jnp.where(takes, bisected(enough, 0, FRONT_LIMIT, alone), 0) * sign,
        template.area,
        jnp.maximum(template.members.count - geometry.entries, 0),
    )
