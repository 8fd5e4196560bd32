"""The fronts of BMUs: cavities deepen, wait, and refill from the floor up.

A voxel is refilled only where bone is left beneath it, or where it is a pit with bone at four of its six faces or more.
A cavity that broke through a plate or a rod therefore stays open, as its rim has bone at three faces at most: that one
rule makes perforation permanent. Without pits, floors that lie askew (of neighbors on a curved surface, or on one that
runs diagonally, where every other sheet of voxels has its own) would leave pores of one voxel behind.

A BMU's voxels are listed in the order in which its front reaches them, so that at any time the front changes few tiles
of the list, those between `Tiles.low` and `Tiles.high`. The others are not looked at, unless they wait for a floor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels.bmu_table import (
    MODELING,
    OSTEONAL,
    BMUTable,
    Cones,
    Fields,
    Plan,
    Schedule,
    chunks,
    clock,
    of_compartment,
    places,
    put_rows,
    read,
    write,
)
from microct.kernels.osteon import distance_from_start
from microct.kernels.window import Ranked

Array = Any

#: A refill may rise above the old surface by at most this much of the profile [1/4096].
GROWTH_LIMIT = 1024
#: A canal's least share of its osteon's radius.
LEAST_CANAL = 0.05
#: Voxels of a list that are looked at together.
TILE = 32
#: Faces with bone that make a voxel a pit: one more than a corner of three walls has, so that no wall grows sideways.
_PIT = 4
#: A front that no BMU has.
_NEVER = 32000


class Tiles(NamedTuple):
    """What is known of each `TILE` voxels of the table's lists; nothing in it outlives a block, or changes a result.

    Attributes:
        low, high: (rows, tiles) int16 [1/4096], fronts between which its voxels change; low > high where unused.
        waiting: (rows, tiles) bool, some voxel may not be what the front asks for.
        planned: (chunks of tiles, TILE) int16, room for what a step decides.
        near, far: (rows, tiles) int16 [voxel], least and largest distance from the start of a tunnel; None where there
            are no tunnels.
    """

    low: Array
    high: Array
    waiting: Array
    planned: Array
    near: Array | None = None
    far: Array | None = None


def tiles_of(table: BMUTable, count: Array, plan: Plan) -> Tiles:
    """Tiles of the first ``count`` rows, each still to be looked at."""
    rows, entries = table.cell.shape
    shape = (rows, entries // TILE)
    room = -(-rows * shape[1] // plan.tile_chunk) * plan.tile_chunk
    blank = jnp.full(shape, _NEVER, jnp.int16), jnp.full(shape, -_NEVER, jnp.int16)
    ways = (jnp.zeros(shape, jnp.int16), jnp.zeros(shape, jnp.int16)) if plan.tunnel is not None else (None, None)
    tiles = Tiles(*blank, jnp.zeros(shape, bool), jnp.zeros((room, TILE), jnp.int16), *ways)
    size = plan.row_chunk

    def some(first: Array, tiles: Tiles) -> Tiles:
        return with_new_rows(tiles, table, jnp.minimum(first, rows - size), size, plan)

    tiles = chunks(count, size, some, tiles)
    return tiles._replace(waiting=tiles.low <= tiles.high)


def with_new_rows(tiles: Tiles, table: BMUTable, first: Array, rows: int, plan: Plan) -> Tiles:
    """The tiles, with those of ``rows`` rows from ``first`` on worked out from the table."""
    columns = (table.cell, table.delta, table.profile, table.kind)
    cell, delta, profile, kind = (jax.lax.dynamic_slice_in_dim(column, first, rows) for column in columns)
    low, high = _bounds(cell, delta, profile)
    tiles = tiles._replace(low=put_rows(tiles.low, low, first), high=put_rows(tiles.high, high, first))
    if tiles.near is None:
        return tiles
    way = distance_from_start(cell, kind[:, None], plan).reshape(rows, -1, TILE)
    used = (cell >= 0).reshape(way.shape)
    near, far = jnp.where(used, way, _NEVER).min(axis=2), jnp.where(used, way, -1).max(axis=2)
    near, far = near.astype(jnp.int16), far.astype(jnp.int16)
    return tiles._replace(near=put_rows(tiles.near, near, first), far=put_rows(tiles.far, far, first))


def _bounds(cell: Array, delta: Array, profile: Array) -> tuple[Array, Array]:
    """(low, high) of tiles, wide enough for the rounding of `cavity.bone_at`."""
    used = cell >= 0
    scale = cav.FRONT / jnp.maximum(profile, 1).astype(jnp.float32)
    depth = delta.astype(jnp.float32)
    low = jnp.clip(jnp.floor((depth - cav.SUB // 2) * scale) - 2.0, 1.0 - _NEVER, _NEVER - 1.0)
    # What lies above the surface goes as soon as the front moves down at all.
    high = jnp.clip(jnp.ceil(jnp.maximum(depth + cav.SUB // 2, 1.0) * scale) + 2.0, 1.0 - _NEVER, _NEVER - 1.0)
    low, high = jnp.where(used, low, _NEVER), jnp.where(used, high, -_NEVER)
    shape = (*cell.shape[:-1], cell.shape[-1] // TILE, TILE)
    return low.reshape(shape).min(axis=-1).astype(jnp.int16), high.reshape(shape).max(axis=-1).astype(jnp.int16)


def set_refill_ends(table: BMUTable, step: Array, schedule: Schedule, wall: Array, plan: Plan) -> BMUTable:
    """Decide where the refill of the BMUs of surface that begin it now will stop, so that formed / resorbed = wall /
    erosion depth. ``wall`` is (compartments,).
    """
    # Lists of tunnels may be longer; those of BMUs of surface end here.
    size, entries = plan.row_chunk, plan.geometry.entries
    born = step - schedule.refill_start
    first = jnp.searchsorted(table.born, born, side="left").astype(jnp.int32)
    end = jnp.searchsorted(table.born, born, side="right").astype(jnp.int32)

    def some(start: Array, stops: Array) -> Array:
        start = jnp.minimum(first + start, table.born.shape[0] - size)
        rows = jax.tree.map(lambda column: jax.lax.dynamic_slice_in_dim(column, start, size), table)
        rows = jax.tree.map(
            lambda column: column[:, :entries] if column.shape[1:] == table.cell.shape[1:] else column, rows
        )
        used = rows.cell >= 0
        delta, profile, before = (c.astype(jnp.int32) for c in (rows.delta, rows.profile, rows.before))
        dither = cav.dither_of(rows.cell, rows.salt[:, None])
        removed = jnp.where(used, cav.eroded(rows.final_front[:, None], delta, profile, before, dither), 0)
        total = jnp.sum(removed, axis=1).astype(jnp.float32)
        own_wall = of_compartment(wall, rows.kind) * rows.wall_share
        kept = jnp.round(total * (1.0 - own_wall / jnp.maximum(rows.prescribed, 1e-6)))

        def lost(front: Array) -> Array:
            bone = cav.bone_at(front[:, None], delta, profile, before, dither)
            return jnp.sum(jnp.where(used, before - bone, 0), axis=1)

        def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = (low + high) >> 1
            hit = lost(middle) >= kept.astype(jnp.int32)
            return jnp.where(hit, low, middle), jnp.where(hit, middle, high)

        bounds = (jnp.full_like(rows.final_front, -GROWTH_LIMIT), rows.final_front)
        stop = jax.lax.fori_loop(0, 13, halve, bounds)[1]
        due = (rows.born == born) & ((rows.kind & (MODELING | OSTEONAL)) == 0)
        stop = jnp.where(due, stop, jax.lax.dynamic_slice_in_dim(stops, start, size))
        return put_rows(stops, stop, start)

    return table._replace(stop_front=chunks(end - first, size, some, table.stop_front))


def set_canals(table: BMUTable, step: Array, cones: Cones, wall: Array) -> BMUTable:
    """Decide which canals the osteonal BMUs whose first slice begins its refill now will leave: their radius is to that
    of the cement line as what ``wall`` leaves of it.
    """
    left = 1.0 - wall * table.wall_share / jnp.maximum(table.prescribed, 1e-6)
    canal = jnp.round(cav.FRONT * jnp.clip(left, LEAST_CANAL, 1.0)).astype(jnp.int32)
    due = (table.born == step - cones.schedule.refill_start) & ((table.kind & OSTEONAL) != 0)
    return table._replace(stop_front=jnp.where(due, jnp.minimum(canal, table.final_front), table.stop_front))


def _front(table: BMUTable, age: Array, schedule: Schedule) -> tuple[Array, Array]:
    """(where the fronts stand at that age, whether they refill); (rows,)."""
    age = jnp.clip(age, 0, schedule.erosion.shape[0] - 1)
    down, up = schedule.erosion[age], schedule.refill[age]
    end, stop = table.final_front, table.stop_front
    return jnp.where(up == 0, (end * down) >> 12, end + (((stop - end) * up) >> 12)), up > 0


class _Clock(NamedTuple):
    """The fronts of BMUs of surface and of slices of tunnels, at any time.

    Attributes:
        erosion, refill: (2 x ages,) int32 [1/4096], first those of BMUs of surface.
        start: (2,) int32 [steps], age at which the refill begins.
    """

    erosion: Array
    refill: Array
    start: Array

    @classmethod
    def of(cls, schedule: Schedule, cones: Cones) -> _Clock:
        both = schedule, cones.schedule
        return cls(
            jnp.concatenate([one.erosion for one in both]),
            jnp.concatenate([one.refill for one in both]),
            jnp.stack([jnp.asarray(one.refill_start) for one in both]),
        )

    def front(self, time: Array, osteonal: Array, end: Array, stop: Array) -> tuple[Array, Array]:
        """(where fronts stand, whether they refill) at an age of ``time`` [1/4096 step]; between steps linear."""
        ages = self.erosion.shape[0] // 2
        time = jnp.clip(time, 0, (ages - 1) << 12)
        age, part = time >> 12, time & 4095
        here = age + jnp.where(osteonal, ages, 0)
        after = jnp.where(age < ages - 1, here + 1, here)

        def between(values: Array) -> Array:
            first = values[here]
            return first + (((values[after] - first) * part) >> 12)

        refills = age >= self.start[osteonal.astype(jnp.int32)]
        down, up = between(self.erosion), between(self.refill)
        return jnp.where(refills, end + (((stop - end) * up) >> 12), (end * down) >> 12), refills


def _crossed(hands: _Clock, table: BMUTable, tiles: Tiles, age: Array, cones: Cones, plan: Plan) -> Array:
    """Tiles within which some front may pass a voxel in the step that ends at ``age``; (rows, tiles) bool."""
    assert tiles.near is not None
    assert tiles.far is not None
    rows = table.live.shape[0]
    size = min(rows, 16 * plan.row_chunk)
    columns = (age, table.kind, table.final_front, table.stop_front, tiles.low, tiles.high, tiles.near, tiles.far)

    def some(start: Array, crossed: Array) -> Array:
        start = jnp.minimum(start, rows - size)
        here = [jax.lax.dynamic_slice_in_dim(column, start, size) for column in columns]
        age, kind, end, stop = (column[:, None] for column in here[:4])
        low, high, near, far = (column.astype(jnp.int32) for column in here[4:])
        osteonal = (kind & OSTEONAL) != 0
        first = ((age - 1) << 12) - far * cones.travel
        last = (age << 12) - jnp.minimum(near, far) * cones.travel
        was, _ = hands.front(first, osteonal, end, stop)
        front, refills = hands.front(last, osteonal, end, stop)
        shallow, deep = jnp.minimum(was, front), jnp.maximum(was, front)
        turned = refills & (first < hands.start[osteonal.astype(jnp.int32)] << 12)
        deep = jnp.where(turned, jnp.maximum(end, deep), deep)
        return put_rows(crossed, (shallow != deep) & (low <= deep) & (high >= shallow), start)

    used = jnp.max(jnp.where(table.live, jnp.arange(1, rows + 1), 0))
    return chunks(used, size, some, jnp.zeros(tiles.low.shape, bool))


def _beneath(fraction: Array, z: Array, y: Array, x: Array, floor: Array, where: Array) -> Array:
    """Bone fraction of each voxel's floor; full where that lies outside the volume, whose bone goes on."""
    way = floor.astype(jnp.int32)
    z, y, x = z + (way >> 4) - 1, y + ((way >> 2) & 3) - 1, x + (way & 3) - 1
    nz, ny, nx = fraction.shape
    inside = (z >= 0) & (z < nz) & (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    return jnp.where(inside, read(fraction, z, y, x, inside & where), cav.FULL)


def _in_a_pit(fraction: Array, z: Array, y: Array, x: Array, where: Array) -> Array:
    """Whether bone lies at `_PIT` of a voxel's six faces or more; beyond the border the volume is its mirror image."""
    faces = jnp.zeros(z.shape, jnp.int32)
    for axis, length in enumerate(fraction.shape):
        for side in (-1, 1):
            place = [z, y, x]
            beside = place[axis] + side
            place[axis] = jnp.where((beside >= 0) & (beside < length), beside, place[axis] - side)
            faces += read(fraction, place[0], place[1], place[2], where) >= cav.BONE
    return faces >= _PIT


def _picked(work: Ranked, start: Array, size: int) -> tuple[Array, Array]:
    """(tile, is one) of the picked tiles from number ``start`` on; both (size,)."""
    nth = start + jnp.arange(size, dtype=jnp.int32)
    return work.place(nth), nth < work.count


def _tile(column: Array, tile: Array) -> Array:
    """Entries (size, TILE) of the tiles."""
    return column.reshape(-1, TILE)[tile]


def advance(
    fields: Fields,
    table: BMUTable,
    tiles: Tiles,
    step: Array,
    schedule: Schedule,
    plan: Plan,
    cones: Cones | None = None,
) -> tuple[Fields, BMUTable, Tiles]:
    """Move every live BMU's front to where it stands at the end of this step; BMUs that are done let go."""
    size = plan.tile_chunk
    rows, per_row = tiles.low.shape
    age = clock(table, step, schedule)
    was, _ = _front(table, age - 1, schedule)
    front, refills = _front(table, age, schedule)
    if cones is None:
        shallow, deep = jnp.minimum(was, front)[:, None], jnp.maximum(was, front)[:, None]
        crossed = (shallow != deep) & (tiles.low <= deep) & (tiles.high >= shallow)
    else:
        hands = _Clock.of(schedule, cones)
        crossed = _crossed(hands, table, tiles, age, cones, plan)
    work = Ranked.of((table.live[:, None] & (crossed | tiles.waiting))[None])

    # First decide for all, reading the bone as it is; then write.
    def decide(start: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        planned, waiting, moved, resorbed, formed = carry
        tile, mine = _picked(work, start, size)
        row = tile // per_row
        cell, floor = _tile(table.cell, tile), _tile(table.floor, tile)
        delta, profile, before = (
            _tile(column, tile).astype(jnp.int32) for column in (table.delta, table.profile, table.before)
        )
        used = (cell >= 0) & mine[:, None]
        here, fills, tries = front[row][:, None], refills[row][:, None], True
        if cones is not None:
            kind, end, stop = (column[row][:, None] for column in (table.kind, table.final_front, table.stop_front))
            time = (age[row][:, None] << 12) - distance_from_start(cell, kind, plan) * cones.travel
            here, fills = hands.front(time, (kind & OSTEONAL) != 0, end, stop)
            # An older canal within the cement line is not bone yet, and need not be looked at before the refill.
            tries = fills | ((kind & OSTEONAL) == 0)
        target = cav.bone_at(here, delta, profile, before, cav.dither_of(cell, table.salt[row][:, None]))

        z, y, x = places(table.corner[row], cell)
        now = read(fields.fraction, z, y, x, used).astype(jnp.int32)
        beneath = _beneath(fields.fraction, z, y, x, floor, used & fills)
        supported = (beneath >= schedule.thinnest) | (now >= schedule.thinnest)
        lacking = used & fills & ~supported & (target > now)
        supported |= jax.lax.cond(
            lacking.any(),
            lambda: _in_a_pit(fields.fraction, z, y, x, lacking) & lacking,
            lambda: jnp.zeros_like(lacking),
        )
        refilled = jnp.where(supported, jnp.maximum(now, target), now)
        new = jnp.where(fills, refilled, jnp.minimum(now, target))
        change = jnp.where(used, new - now, 0)

        code = jnp.where(change != 0, new | ((change > 0) << 8), -1)
        planned = put_rows(planned, code.astype(jnp.int16), start)
        behind = (used & (new != target) & tries).any(axis=1)
        waiting = waiting.at[jnp.where(mine, tile, waiting.size)].set(behind, mode="drop")
        moved = moved.at[jnp.where((change != 0).any(axis=1), row, rows)].set(True, mode="drop")
        resorbed = resorbed.at[row].add(-jnp.minimum(change, 0).sum(axis=1))
        formed = formed.at[row].add(jnp.maximum(change, 0).sum(axis=1))
        return planned, waiting, moved, resorbed, formed

    carry = (tiles.planned, tiles.waiting.ravel(), jnp.zeros(rows, bool), table.resorbed, table.formed)
    planned, waiting, moved, resorbed, formed = chunks(work.count, size, decide, carry)
    waiting = waiting.reshape(rows, per_row)

    def change(start: Array, held: tuple[Array, Array]) -> tuple[Array, Array]:
        fraction, formed_on = held
        tile, mine = _picked(work, start, size)
        code = jax.lax.dynamic_slice_in_dim(planned, start, size).astype(jnp.int32)
        acts = (code >= 0) & mine[:, None]
        z, y, x = places(table.corner[tile // per_row], _tile(table.cell, tile))
        fraction = write(fraction, z, y, x, acts, code & cav.FULL)
        return fraction, write(formed_on, z, y, x, acts & (code > cav.FULL), jnp.broadcast_to(step, code.shape))

    fraction, formed_on = chunks(work.count, size, change, (fields.fraction, fields.formed_on))

    # A BMU is done when its time is over and nothing moves or waits any more, or when it has waited for too long.
    at_rest = ~moved & ~waiting.any(axis=1)
    last, give_up = schedule.last, schedule.give_up
    if cones is not None:
        assert plan.tunnel is not None
        osteonal = (table.kind & OSTEONAL) != 0
        journey = ((plan.tunnel.window[plan.axis] - 1) * cones.travel >> 12) + 1
        last = jnp.where(osteonal, cones.schedule.last + journey, last)
        give_up = jnp.where(osteonal, cones.schedule.give_up + journey, give_up)
    stays = table.live & ~((age >= give_up) | ((age >= last) & at_rest))
    left = Ranked.of(((table.live & ~stays)[:, None] & (tiles.low <= tiles.high))[None])

    def let_go(start: Array, owner: Array) -> Array:
        tile, mine = _picked(left, start, size)
        cell = _tile(table.cell, tile)
        z, y, x = places(table.corner[tile // per_row], cell)
        return write(owner, z, y, x, (cell >= 0) & mine[:, None], jnp.zeros_like(cell))

    owner = chunks(left.count, size, let_go, fields.owner)
    table = table._replace(resorbed=resorbed, formed=formed, live=stays)
    return Fields(fraction, owner, formed_on), table, tiles._replace(waiting=waiting, planned=planned)
