"""Where bone carries cells: floors to build upon, pits to fill, threads that osteoclasts take.

Osteoblasts need bone to work on. A voxel without any is refilled where its floor is bone, or where it is a pit, bone at
four of its six faces or more. A thread is bone narrower than any trabecula, with bone at two of its six faces or fewer.
It is no floor, and where a cavity ends none is left, unless it stands on a floor itself.

A hole through a plate has bone at three faces of its rim at most, and so stays open: that makes perforation permanent.
Without pits, floors that lie askew (of neighbors on a curved surface, or on one that runs diagonally, where every other
sheet of voxels has its own) would leave pores of one voxel behind. If threads were floors and stayed, plates about as
thin as a voxel would end as lace, which real bone does not, and whose loops make connectivity grow as bone is lost.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from microct.kernels.bmu_table import Plan, Widths, chunks, read
from microct.kernels.window import BONE, Ranked, at

Array = Any

#: Voxels that are looked at at once, for each tile: about as many as ask.
_ASKED = 2
#: Faces with bone that make a voxel a pit: one more than a corner of three walls has, so that no wall grows sideways.
_PIT = 4
#: Most faces with bone that a thread has: one less than the edge of a plate of one voxel.
_THREAD = 2


def unfit(
    fraction: Array, place: tuple[Array, Array, Array], floor: Array, asks: Array, widths: Widths, plan: Plan
) -> Array:
    """Of the voxels that ask: bone that is a thread without a floor, and what is no bone and may not be refilled.

    They are few: the bone around them is read for them alone; where much is worked on at once without listing them,
    since reading nothing costs nothing there.

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction.
        place: (tiles, TILE) int32 each, z, y, x of the voxels; floor: uint8 as in `cavity.Cavity`; asks: bool.
        widths: of bone.
        plan: static sizes.

    Returns:
        (tiles, TILE) bool.
    """
    if plan.wide:
        loose = asks & _has_no_floor(fraction, *place, floor, asks, widths)
        return loose & ~_holds(fraction, *place, loose, widths)
    few, size = Ranked.of(asks[None]), _ASKED * asks.shape[0]
    z, y, x, floor = (part.ravel() for part in (*place, floor))

    def some(start: Array, found: Array) -> Array:
        nth = start + jnp.arange(size, dtype=jnp.int32)
        which, mine = few.place(nth), nth < few.count
        here = at(z, which), at(y, which), at(x, which)
        loose = mine & _has_no_floor(fraction, *here, at(floor, which), mine, widths)
        unfit = jax.lax.cond(
            loose.any(),
            lambda: loose & ~_holds(fraction, *here, loose, widths),
            lambda: jnp.zeros_like(loose),
        )
        return found.at[jnp.where(unfit, which, found.size)].set(True, mode="drop")

    return chunks(few.count, size, some, jnp.zeros(asks.size, bool)).reshape(asks.shape)


def _has_no_floor(fraction: Array, z: Array, y: Array, x: Array, floor: Array, where: Array, widths: Widths) -> Array:
    """Whether what lies beneath is no bone, or a thread; beyond the border bone goes on."""
    way = floor.astype(jnp.int32)
    beneath = z + (way >> 4) - 1, y + (way >> 2 & 3) - 1, x + (way & 3) - 1
    for p, length in zip(beneath, fraction.shape, strict=True):
        where &= (p >= 0) & (p < length)
    bone = read(fraction, *beneath, where)
    joined = _bone_at_faces(fraction, *beneath, where, widths.thinnest) > _THREAD
    return where & ~((bone >= widths.thinnest) & (joined | (bone >= widths.trabecula)))


def _holds(fraction: Array, z: Array, y: Array, x: Array, where: Array, widths: Widths) -> Array:
    """Whether there is bone enough beside: what is no bone must be a pit, what is bone must be no thread."""
    bone = read(fraction, z, y, x, where)
    bare = bone < widths.thinnest
    beside = _bone_at_faces(fraction, z, y, x, where, jnp.where(bare, BONE, widths.thinnest))
    return (beside > jnp.where(bare, _PIT - 1, _THREAD)) | (bone >= widths.trabecula)


def _bone_at_faces(fraction: Array, z: Array, y: Array, x: Array, where: Array, least: Array | int) -> Array:
    """At how many of a voxel's six faces ``least`` bone lies; beyond the border the volume is its mirror image."""
    faces = jnp.zeros(z.shape, jnp.int32)
    for axis, length in enumerate(fraction.shape):
        for side in (-1, 1):
            place = [z, y, x]
            beside = place[axis] + side
            place[axis] = jnp.where((beside >= 0) & (beside < length), beside, place[axis] - side)
            faces += read(fraction, place[0], place[1], place[2], where) >= least
    return faces
