"""The fronts of BMUs: cavities deepen, wait, and refill from the floor up.

A voxel is refilled only where bone is left that carries cells (`microct.kernels.support`); a cavity that broke through
a plate or a rod therefore stays open. When its erosion has ended, the threads that it left go as well.

A voxel has one step of formation. One that holds a mass m after it has gained d of it takes the new step with chance
d / m: then its label is any step with the chance of that step's share of the mass, whatever the size of voxels, and
means over labels are means over mass. What is resorbed is taken from all alike, and changes no label.

Only tiles of lists that a front touches, or that wait for a floor, are looked at (`microct.kernels.tiles`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels import support
from microct.kernels.bmu_table import (
    BMUTable,
    Cones,
    Fields,
    Plan,
    Schedule,
    Units,
    Widths,
    chunks,
    places,
    put_rows,
    read,
    write,
)
from microct.kernels.clocks import SurfaceClock, TunnelClock
from microct.kernels.random import below, mixed
from microct.kernels.tiles import Tiles
from microct.kernels.window import Ranked, kept

Array = Any

#: Chunks of tiles that are listed at once.
_LISTED = 8


class _Picked(NamedTuple):
    """Tiles to look at, listed once, as finding them again for each of their voxels would cost more than the look.

    Attributes:
        tile: (room,) int32 their numbers; count: how many there are.
    """

    tile: Array
    count: Array

    @classmethod
    def of(cls, mask: Array, once: Array | None, plan: Plan) -> _Picked:
        """The tiles of a mask (tiles,); ``once`` as in `window.kept`."""
        size = _LISTED * plan.tile_chunk
        room = -(-mask.size // size) * size
        if plan.wide:
            rank = jnp.cumsum(mask.astype(jnp.int32))
            to, number = jnp.where(mask, rank - 1, room), jnp.arange(mask.size, dtype=jnp.int32)
            tile = jnp.zeros(room, jnp.int32).at[to].set(number, mode="drop", unique_indices=True)
            return cls(tile, rank[-1])
        (mask,) = kept(once, mask.astype(jnp.uint8))
        ranked = Ranked.of(mask[None, None] != 0)

        def some(start: Array, tile: Array) -> Array:
            return put_rows(tile, ranked.place(start + jnp.arange(size, dtype=jnp.int32)), start)

        return cls(chunks(ranked.count, size, some, jnp.zeros(room, jnp.int32)), ranked.count)

    def some(self, start: Array, size: int) -> tuple[Array, Array]:
        """(tile, is one) from number ``start`` on; both (size,)."""
        nth = start + jnp.arange(size, dtype=jnp.int32)
        return jax.lax.dynamic_slice_in_dim(self.tile, start, size), nth < self.count


class _Decided(NamedTuple):
    """What a step decides for the units of one table.

    Attributes:
        work: the tiles that were looked at.
        planned, waiting: as in `Tiles`; at_rest: (rows,) bool, no voxel changes or waits.
        resorbed, formed: as in `BMUTable`, after the step.
    """

    work: _Picked
    planned: Array
    waiting: Array
    at_rest: Array
    resorbed: Array
    formed: Array


def advance(
    fields: Fields,
    tables: Units,
    tiles: Units,
    step: Array,
    schedule: Schedule,
    plan: Plan,
    cones: Cones | None = None,
) -> tuple[Fields, Units, Units]:
    """Move every live BMU's front to where it stands at the end of this step; BMUs that are done let go."""
    clocks: list[SurfaceClock | TunnelClock] = [SurfaceClock.of(tables.surface, step, schedule)]
    if tables.tunnels is not None:
        assert cones is not None
        clocks.append(TunnelClock.of(tables.tunnels, step, cones, plan))
    held = list(zip(tables.there, tiles.there, clocks, strict=True))
    # First decide for all, reading the bone as it is; then write.
    decided = [_decide(fields.fraction, *one, schedule.widths, step, plan) for one in held]
    # Always so, but the compiler cannot know: it would else keep a copy of the bone for whoever still reads.
    all_read = jnp.stack([one.planned[0, 0] >= -1 for one in decided]).all()
    done = []
    for one, found in zip(held, decided, strict=True):
        fields = _change(fields, one[0], found, all_read, step, plan)
        fields, table = _let_go(fields, *one, found, plan)
        done.append((table, one[1]._replace(waiting=found.waiting, planned=found.planned)))
    return fields, Units(*(table for table, _ in done)), Units(*(known for _, known in done))


def _decide(
    fraction: Array,
    table: BMUTable,
    tiles: Tiles,
    clock: SurfaceClock | TunnelClock,
    widths: Widths,
    step: Array,
    plan: Plan,
) -> _Decided:
    """What becomes of each voxel that a front touches, or that waits, in the bone as it is."""
    rows, lists = table.live.shape[0], table.lists
    once = None if plan.wide else (step >= 0).astype(jnp.int32)
    work = _Picked.of(table.live[lists.row] & (clock.crossed(tiles, lists.row) | tiles.waiting), once, plan)

    def decide(start: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        planned, waiting, at_rest, resorbed, formed = carry
        tile, mine = work.some(start, plan.tile_chunk)
        row, cell, floor = lists.row[tile], lists.cell[tile], lists.floor[tile]
        delta, profile, before = (
            column[tile].astype(jnp.int32) for column in (lists.delta, lists.profile, lists.before)
        )
        used = (cell >= 0) & mine[:, None]
        here, fills, tries, clears = clock.at(row, cell)
        salt = table.salt[row][:, None]
        target = cav.bone_at(here, delta, profile, before, cav.dither_of(cell, salt))

        z, y, x = places(table.corner[row], cell)
        now = read(fraction, z, y, x, used).astype(jnp.int32)
        bare = now < widths.thinnest
        (asks,) = kept(once, (used & jnp.where(bare, fills & (target > now), clears)).astype(jnp.uint8))
        unfit = support.unfit(fraction, (z, y, x), floor, asks != 0, widths, plan)
        refilled = jnp.where(unfit, now, jnp.maximum(now, target))
        new = jnp.where(fills, refilled, jnp.minimum(now, target))
        new = jnp.where(unfit & ~bare, 0, new)
        change = jnp.where(used, new - now, 0)

        renamed = below(mixed(salt, step, cell), new) < change
        code = jnp.where(change != 0, new | (renamed << 8), -1)
        planned = put_rows(planned, code.astype(jnp.int16), start)
        behind = (used & (new != target) & tries).any(axis=1)
        waiting = waiting.at[jnp.where(mine, tile, waiting.size)].set(behind, mode="drop")
        # a tile that is not looked at is at rest
        busy = behind | (change != 0).any(axis=1)
        at_rest = at_rest.at[jnp.where(busy, row, rows)].set(False, mode="drop")
        resorbed = resorbed.at[row].add(-jnp.minimum(change, 0).sum(axis=1))
        formed = formed.at[row].add(jnp.maximum(change, 0).sum(axis=1))
        return planned, waiting, at_rest, resorbed, formed

    carry = (tiles.planned, tiles.waiting, jnp.ones(rows, bool), table.resorbed, table.formed)
    return _Decided(work, *chunks(work.count, plan.tile_chunk, decide, carry))


def _change(fields: Fields, table: BMUTable, decided: _Decided, all_read: Array, step: Array, plan: Plan) -> Fields:
    """The fields with what was decided, as soon as ``all_read`` is true."""
    size, lists = plan.tile_chunk, table.lists

    def change(start: Array, held: tuple[Array, Array]) -> tuple[Array, Array]:
        fraction, formed_on = held
        tile, mine = decided.work.some(start, size)
        code = jax.lax.dynamic_slice_in_dim(decided.planned, start, size).astype(jnp.int32)
        acts = (code >= 0) & mine[:, None]
        z, y, x = places(table.corner[lists.row[tile]], lists.cell[tile])
        fraction = write(fraction, z, y, x, acts, code & cav.FULL)
        return fraction, write(formed_on, z, y, x, acts & (code > cav.FULL), jnp.broadcast_to(step, code.shape))

    count = jnp.where(all_read, decided.work.count, 0)
    fraction, formed_on = chunks(count, size, change, (fields.fraction, fields.formed_on))
    return fields._replace(fraction=fraction, formed_on=formed_on)


def _let_go(
    fields: Fields, table: BMUTable, tiles: Tiles, clock: SurfaceClock | TunnelClock, decided: _Decided, plan: Plan
) -> tuple[Fields, BMUTable]:
    """A BMU is done when its time is over and nothing moves or waits any more, or when it has waited for too long."""
    over = (clock.age >= clock.give_up) | ((clock.age >= clock.last) & decided.at_rest)
    lists = table.lists
    once = None if plan.wide else (decided.work.count >= 0).astype(jnp.int32)
    left = _Picked.of((table.live & over)[lists.row] & (tiles.low <= tiles.high), once, plan)

    def let_go(start: Array, owner: Array) -> Array:
        tile, mine = left.some(start, plan.tile_chunk)
        cell = lists.cell[tile]
        z, y, x = places(table.corner[lists.row[tile]], cell)
        return write(owner, z, y, x, (cell >= 0) & mine[:, None], jnp.zeros_like(cell))

    owner = chunks(left.count, plan.tile_chunk, let_go, fields.owner)
    table = table._replace(resorbed=decided.resorbed, formed=decided.formed, live=table.live & ~over)
    return fields._replace(owner=owner), table
