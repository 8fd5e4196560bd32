"""The life of BMUs on voxels: cavities deepen, wait, and refill from the floor up; new ones are born.

One voxel belongs to one BMU until it is released, so all writes are free of conflicts, and sums are integers: the
bits do not depend on the order of work. Within a step every unit reads the bone as it was when the step began.

A voxel is refilled only where bone is left beneath it. A cavity that broke through a plate or a rod therefore
stays open: that one rule makes perforation permanent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import activation, random
from microct.kernels import cavity as cav

Array = Any

#: A refill may rise above the old surface by at most this much of the profile [1/4096].
GROWTH_LIMIT = 1024
#: Births whose windows are compared with one another at once.
_GROUP = 2048
#: `born` of rows that are not in use: later than any step, so that the column stays sorted.
UNBORN = 2**30


class BMUTable(NamedTuple):
    """Basic multicellular units, one row each in order of birth; rows beyond the count are unused.

    Attributes:
        corner: (rows, 3) int32 [voxel], first voxel of the BMU's window along (z, y, x).
        born: (rows,) int32 [step].
        final_front, stop_front: (rows,) int32 [1/4096 of the profile], where erosion and refill end.
        mean_depth: (rows,) float32 [voxel], mean depth that the finished cavity should have.
        prescribed: (rows,) float32 [voxel], erosion depth that was asked for when it was born, before this BMU's share.
        area: (rows,) float32 [voxel faces], patch of surface that it took.
        resorbed, formed: (rows,) int32 [1/255 voxel], so far.
        live: (rows,) bool, holds voxels.
        salt: (rows,) uint32, for unbiased rounding.
        cell: (rows, entries) int32, position in the window, ``z << 20 | y << 10 | x``, -1 unused.
        delta, profile: (rows, entries) int16 [1/256 voxel]; before, floor: (rows, entries) uint8.
    """

    corner: Array
    born: Array
    final_front: Array
    stop_front: Array
    mean_depth: Array
    prescribed: Array
    area: Array
    resorbed: Array
    formed: Array
    live: Array
    salt: Array
    cell: Array
    delta: Array
    profile: Array
    before: Array
    floor: Array


class Fields(NamedTuple):
    """Voxel fields: bone fraction uint8, owner uint8 (0 free, 1 held by a BMU), step of the last formation uint16."""

    fraction: Array
    owner: Array
    formed_on: Array


class Schedule(NamedTuple):
    """How a BMU goes on with age.

    Attributes:
        erosion, refill: (ages,) int32 [1/4096], progress at each age.
        refill_start, last, give_up: int32 [steps], ages at which the refill begins, is due, and is given up.
        thinnest: int32 [1/255 voxel], bone that is just thick enough to be built upon.
    """

    erosion: Array
    refill: Array
    refill_start: Array
    last: Array
    give_up: Array
    thinnest: Array


class Demand(NamedTuple):
    """What the cells ask of each step; arrays (steps,).

    Attributes:
        candidates: int32, number of thinning candidates.
        depth: float32 [voxel], mean erosion depth.
        wall: float32 [voxel], mean wall thickness.
    """

    candidates: Array
    depth: Array
    wall: Array


@dataclass(frozen=True)
class Plan:
    """Static sizes of a block, hashed by value; none of them changes a result.

    Attributes:
        geometry: sizes of a cavity.
        candidates, births: most candidates and births of a step.
        carve_chunk, advance_chunk: rows worked on at once (small on CPU, large on GPU).
    """

    geometry: cav.Geometry
    candidates: int
    births: int
    carve_chunk: int = 1
    advance_chunk: int = 8


def empty_table(rows: int, entries: int) -> BMUTable:
    """A table without BMUs."""

    def column(dtype: Any, value: int = 0) -> Array:
        return jnp.full((rows,), value, dtype)

    i32 = jnp.int32
    return BMUTable(
        corner=jnp.zeros((rows, 3), i32),
        born=column(i32, UNBORN),
        final_front=column(i32),
        stop_front=column(i32),
        mean_depth=column(jnp.float32),
        prescribed=column(jnp.float32),
        area=column(jnp.float32),
        resorbed=column(i32),
        formed=column(i32),
        live=column(bool),
        salt=column(jnp.uint32),
        cell=jnp.full((rows, entries), -1, i32),
        delta=jnp.zeros((rows, entries), jnp.int16),
        profile=jnp.zeros((rows, entries), jnp.int16),
        before=jnp.zeros((rows, entries), jnp.uint8),
        floor=jnp.zeros((rows, entries), jnp.uint8),
    )


@partial(jax.jit, static_argnames="rows")
def compacted(table: BMUTable, rows: int) -> tuple[BMUTable, Array]:
    """The live rows first, in order of birth, in a table of ``rows``; and their number."""
    capacity = table.live.shape[0]
    order = jnp.argsort(~table.live, stable=True)
    order = jnp.concatenate([order, jnp.zeros(max(rows - capacity, 0), order.dtype)])[:rows]
    count = jnp.sum(table.live)
    used = jnp.arange(rows) < count
    empty = empty_table(rows, table.cell.shape[1])

    def pick(column: Array, blank: Array) -> Array:
        return jnp.where(used.reshape(-1, *([1] * (column.ndim - 1))), column[order], blank)

    return jax.tree.map(pick, table, empty), count


def _rows(table: BMUTable, start: Array, size: int) -> BMUTable:
    return jax.tree.map(lambda column: jax.lax.dynamic_slice_in_dim(column, start, size), table)


def _put(column: Array, values: Array, start: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(column, values.astype(column.dtype), start, axis=0)


def _wide(rows: BMUTable) -> tuple[Array, Array, Array, Array]:
    """(delta, profile, before, dither) in int32, as the front functions take them."""
    dither = cav.dither_of(rows.cell, rows.salt[:, None])
    return rows.delta.astype(jnp.int32), rows.profile.astype(jnp.int32), rows.before.astype(jnp.int32), dither


def _flat(field: Array) -> Array:
    """The field with one index, or with two where one would not fit into int32."""
    return field.reshape(-1) if field.size < 2**31 else field.reshape(field.shape[0], -1)


def _index(z: Array, y: Array, x: Array, inside: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Index into `_flat`; where not ``inside``, one that every gather fills and every scatter drops."""
    nz, ny, nx = shape
    row = y * nx + x
    if nz * ny * nx < 2**31:
        return (jnp.where(inside, z * (ny * nx) + row, nz * ny * nx),)
    return (jnp.where(inside, z, nz), row)


def _places(rows: BMUTable) -> tuple[Array, Array, Array, Array]:
    """(z, y, x, used) of the entries in the volume."""
    z, y, x = rows.cell >> 20, (rows.cell >> 10) & 1023, rows.cell & 1023
    corner = rows.corner[:, :, None]
    return z + corner[:, 0], y + corner[:, 1], x + corner[:, 2], rows.cell >= 0


def _beneath(fraction: Array, z: Array, y: Array, x: Array, floor: Array) -> Array:
    """Bone fraction of each entry's floor voxel; full where that lies outside the volume, whose bone goes on."""
    way = floor.astype(jnp.int32)
    z, y, x = z + (way >> 4) - 1, y + ((way >> 2) & 3) - 1, x + (way & 3) - 1
    nz, ny, nx = fraction.shape
    inside = (z >= 0) & (z < nz) & (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    index = _index(z, y, x, inside, fraction.shape)
    return _flat(fraction).at[index].get(mode="fill", fill_value=cav.FULL)


def _read(field: Array, z: Array, y: Array, x: Array, where: Array) -> Array:
    """Values of the field, 0 where not ``where``."""
    return _flat(field).at[_index(z, y, x, where, field.shape)].get(mode="fill", fill_value=0)


def _write(field: Array, z: Array, y: Array, x: Array, where: Array, value: Array) -> Array:
    """The field with ``value`` at the places ``where``, each of which occurs once."""
    index = _index(z, y, x, where, field.shape)
    changed = _flat(field).at[index].set(value.astype(field.dtype), mode="drop", unique_indices=True)
    return changed.reshape(field.shape)


def _if_any(wanted: Array, update: Any, array: Array) -> Array:
    """``update(array)`` if any is wanted; a loop of one or no turn, so that the array stays where it is."""
    return jax.lax.fori_loop(0, jnp.any(wanted).astype(jnp.int32), lambda _, a: update(a), array)


def _chunks(first: Array, end: Array, size: int, body: Any, carry: Any) -> Any:
    """Run ``body(start, carry)`` for starts covering [first, end) in chunks; rows past the end must be harmless."""
    count = (end - first + size - 1) // size
    return jax.lax.fori_loop(0, count, lambda i, c: body(first + i * size, c), carry)


def _set_refill_ends(table: BMUTable, step: Array, schedule: Schedule, wall: Array, chunk: int) -> BMUTable:
    """Decide where the refill of the BMUs that begin it now will stop, so that formed / resorbed = wall / erosion
    depth.
    """
    born = step - schedule.refill_start
    first = jnp.searchsorted(table.born, born, side="left").astype(jnp.int32)
    end = jnp.searchsorted(table.born, born, side="right").astype(jnp.int32)

    def body(start: Array, stops: Array) -> Array:
        start = jnp.minimum(start, table.born.shape[0] - chunk)
        rows = _rows(table, start, chunk)
        used = rows.cell >= 0
        delta, profile, before, dither = _wide(rows)
        removed = jnp.where(used, cav.eroded(rows.final_front[:, None], delta, profile, before, dither), 0)
        total = jnp.sum(removed, axis=1).astype(jnp.float32)
        kept = jnp.round(total * (1.0 - wall / jnp.maximum(rows.prescribed, 1e-6)))

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
        mine = rows.born == born
        old = jax.lax.dynamic_slice_in_dim(stops, start, chunk)
        return _put(stops, jnp.where(mine, stop, old), start)

    return table._replace(stop_front=_chunks(first, end, chunk, body, table.stop_front))


def _advance(
    fields: Fields, table: BMUTable, count: Array, step: Array, schedule: Schedule, plan: Plan
) -> tuple[Fields, BMUTable]:
    """Move every live BMU's front to where it stands at the end of this step."""
    size = plan.advance_chunk
    capacity = table.born.shape[0]

    # First decide for all, reading the bone as it is; then write.
    def decide(start: Array, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        planned, resorbed, formed, live = carry
        # The last chunk may reach back into rows already decided; nothing was written since, so they come out the same.
        start = jnp.minimum(start, capacity - size)
        rows = _rows(table, start, size)
        age = step - rows.born
        progress = jnp.clip(age, 0, schedule.erosion.shape[0] - 1)
        down, up = schedule.erosion[progress], schedule.refill[progress]
        end, stop = rows.final_front, rows.stop_front
        front = jnp.where(up == 0, (end * down) >> 12, end + (((stop - end) * up) >> 12))
        target = cav.bone_at(front[:, None], *_wide(rows))

        z, y, x, listed = _places(rows)
        now = _read(fields.fraction, z, y, x, listed).astype(jnp.int32)
        supported = (_beneath(fields.fraction, z, y, x, rows.floor) >= schedule.thinnest) | (now >= schedule.thinnest)
        refilled = jnp.where(supported, jnp.maximum(now, target), now)
        new = jnp.where((up > 0)[:, None], refilled, jnp.minimum(now, target))
        used = listed & rows.live[:, None]
        change = jnp.where(used, new - now, 0)

        finished = jnp.all((change == 0) & (~used | (now == target)), axis=1)
        stay = rows.live & ~((age >= schedule.give_up) | ((age >= schedule.last) & finished))
        code = new | ((change > 0).astype(jnp.int32) << 8) | ((~stay).astype(jnp.int32) << 9)[:, None]
        planned = _put(planned, jnp.where(used, code, -1), start)
        resorbed = _put(resorbed, rows.resorbed - jnp.sum(jnp.minimum(change, 0), axis=1), start)
        formed = _put(formed, rows.formed + jnp.sum(jnp.maximum(change, 0), axis=1), start)
        return planned, resorbed, formed, _put(live, stay, start)

    planned = jnp.zeros(table.cell.shape, jnp.int16)
    carry = (planned, table.resorbed, table.formed, table.live)
    planned, resorbed, formed, live = _chunks(jnp.int32(0), count, size, decide, carry)

    def write(start: Array, fields: Fields) -> Fields:
        start = jnp.minimum(start, capacity - size)
        code = jax.lax.dynamic_slice_in_dim(planned, start, size).astype(jnp.int32)
        z, y, x, _ = _places(_rows(table, start, size))

        def put(where: Array, value: Array, field: Array) -> Array:
            return _write(field, z, y, x, where, value)

        acts = code >= 0
        grows, freed = acts & (code & 256 != 0), acts & (code & 512 != 0)
        return Fields(
            put(acts, code & 255, fields.fraction),
            _if_any(freed, lambda owner: put(freed, jnp.zeros_like(code), owner), fields.owner),
            _if_any(grows, lambda on: put(grows, jnp.broadcast_to(step, code.shape), on), fields.formed_on),
        )

    fields = _chunks(jnp.int32(0), count, size, write, fields)
    return fields, table._replace(resorbed=resorbed, formed=formed, live=live)


def _bear(
    fields: Fields,
    table: BMUTable,
    count: Array,
    step: Array,
    candidates: Array,
    depth: Array,
    seed: Array,
    shares: Array,
    area: Array,
    plan: Plan,
) -> tuple[Fields, BMUTable, Array, Array]:
    """Give birth to this step's BMUs: sites, cavities, claims. Returns also the new count and the births asked for.

    Each carves from what the earlier ones of the step have left.
    """
    geometry = plan.geometry
    position, index, wanted, found = activation.sites(
        fields.fraction, fields.owner, seed, step, candidates, plan.candidates, plan.births
    )
    high, salt = random.words(seed, step, random.DEPTH, index)
    own_depth = depth * (shares[random.below(high, shares.shape[0])].astype(jnp.float32) / cav.FRONT)
    limit = jnp.asarray(fields.fraction.shape, jnp.int32) - jnp.asarray(geometry.window, jnp.int32)
    corner = jnp.clip(position - jnp.asarray(geometry.window, jnp.int32) // 2, 0, limit)

    capacity = table.born.shape[0]

    def carve_one(owner: Array, corner: Array, position: Array, mean: Array, salt: Array) -> cav.Cavity:
        fraction = jax.lax.dynamic_slice(fields.fraction, corner, geometry.window)
        owned = jax.lax.dynamic_slice(owner, corner, geometry.window) != 0
        growth = mean * ((1.0 + 1.0 / cav.PROFILE_EXPONENT) * GROWTH_LIMIT / cav.FRONT)
        return cav.carve(fraction, owned, position - corner, mean, area, growth, salt, geometry)

    def carve(which: Array, mine: Array, held: tuple[BMUTable, Array]) -> tuple[BMUTable, Array]:
        """Carve the births ``which`` (size,) and write them to their rows; their windows do not overlap."""
        table, owner = held
        size = which.shape[0]
        take = [part[which] for part in (corner, position, own_depth, salt)]
        if size == 1:
            cavities = jax.tree.map(lambda leaf: leaf[None], carve_one(owner, *(part[0] for part in take)))
        else:
            cavities = jax.vmap(partial(carve_one, owner))(*take)
        new = table._replace(
            corner=take[0],
            born=jnp.full(size, step, jnp.int32),
            final_front=cavities.final_front,
            stop_front=cavities.final_front,
            mean_depth=take[2],
            prescribed=jnp.full(size, depth, jnp.float32),
            area=cavities.area,
            resorbed=jnp.zeros(size, jnp.int32),
            formed=jnp.zeros(size, jnp.int32),
            live=cavities.final_front > 0,
            salt=take[3],
            cell=cavities.cell,
            delta=cavities.delta,
            profile=cavities.profile,
            before=cavities.before,
            floor=cavities.floor,
        )
        row = jnp.where(mine, count + which, capacity)
        table = jax.tree.map(lambda column, rows: column.at[row].set(rows, mode="drop"), table, new)
        z, y, x, listed = _places(new)
        return table, _write(owner, z, y, x, listed & mine[:, None], jnp.ones_like(z))

    table, owner = _in_order(corner, found, plan, carve, (table, fields.owner))
    return fields._replace(owner=owner), table, count + found, wanted


def _in_order(corner: Array, found: Array, plan: Plan, work: Any, carry: Any) -> Any:
    """Do the work of each birth as if one after the other.

    One at a time that is plain. Many at a time: in waves of births whose windows overlap no earlier birth that still
    waits. A birth reads and writes its own window alone, so the outcome is that of the plain order, bit for bit.
    """
    if plan.carve_chunk == 1:
        first = jnp.arange(1)
        return jax.lax.fori_loop(0, found, lambda k, c: work(first + k, first == 0, c), carry)

    edge = jnp.asarray(plan.geometry.window, jnp.int32)
    group = min(plan.births, _GROUP)
    index = jnp.arange(group)

    def one_group(number: Array, carry: Any) -> Any:
        base = number * group
        here = corner[jnp.minimum(base + index, corner.shape[0] - 1)]
        overlap = (jnp.abs(here[:, None] - here[None]) < edge).all(axis=2) & (index[:, None] > index[None])

        def wave(held: Any) -> Any:
            waiting, carry = held
            ready = waiting & ~(overlap & waiting[None]).any(axis=1)
            running = jnp.cumsum(ready.astype(jnp.int32))

            def chunk(start: Array, carry: Any) -> Any:
                nth = start + jnp.arange(plan.carve_chunk)
                which = jnp.minimum(jnp.searchsorted(running, nth + 1), group - 1).astype(jnp.int32)
                return work(base + which, nth < running[-1], carry)

            return waiting & ~ready, _chunks(jnp.int32(0), running[-1], plan.carve_chunk, chunk, carry)

        waiting = base + index < found
        return jax.lax.while_loop(lambda held: held[0].any(), wave, (waiting, carry))[1]

    return jax.lax.fori_loop(0, (found + group - 1) // group, one_group, carry)


@partial(jax.jit, static_argnames="plan", donate_argnames=("fields", "table"))
def block(
    fields: Fields,
    table: BMUTable,
    count: Array,
    first: Array,
    steps: Array,
    demand: Demand,
    schedule: Schedule,
    seed: Array,
    shares: Array,
    area: Array,
    plan: Plan,
) -> tuple[Fields, BMUTable, Array, Array, Array]:
    """Let ``steps`` steps pass, the first of them number ``first``; stops before a step whose births might not fit.

    Args:
        fields, table, count: the state; donated.
        demand: arrays of at least ``steps``.
        schedule: progress by age.
        seed: uint32.
        shares: (n,) int32 [1/4096], equally likely ratios of a BMU's depth to the mean.
        area: footprint [voxel faces].
        plan: static sizes.

    Returns:
        (fields, table, count, done, wanted): steps done, and births that the Poisson process asked for.
    """
    capacity = table.born.shape[0]

    def go_on(carry: Any) -> Array:
        _, _, count, done, _ = carry
        return (done < steps) & (count + plan.births <= capacity)

    def one_step(carry: Any) -> Any:
        fields, table, count, done, wanted = carry
        step = first + done
        table = _set_refill_ends(table, step, schedule, demand.wall[done], plan.advance_chunk)
        fields, table = _advance(fields, table, count, step, schedule, plan)
        fields, table, count, asked = _bear(
            fields, table, count, step, demand.candidates[done], demand.depth[done], seed, shares, area, plan
        )
        return fields, table, count, done + 1, wanted + asked

    return jax.lax.while_loop(go_on, one_step, (fields, table, count, jnp.int32(0), jnp.int32(0)))
