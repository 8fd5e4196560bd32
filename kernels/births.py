"""Births: this step's sites, their cavities, and the voxels that they claim."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from microct.kernels import activation, osteon, random
from microct.kernels import cavity as cav
from microct.kernels.bmu_lists import Columns, appended
from microct.kernels.bmu_table import (
    BACKWARD,
    COMPACT_MODELING,
    COMPARTMENT,
    ENDOCORTICAL,
    INTRACORTICAL,
    MODELING,
    OSTEONAL,
    UNIT_WALL,
    BMUTable,
    Cones,
    Demand,
    Fields,
    Local,
    Plan,
    of_compartment,
    places,
    write,
)
from microct.kernels.refill_ends import GROWTH_LIMIT, LEAST_CANAL

Array = Any

#: Births whose windows are compared with one another at once.
_GROUP = 2048


class Births(NamedTuple):
    """The births of a step or a block, int32.

    Attributes:
        born: BMUs born; wanted: births that the Poisson process asked for; dropped: voxels of their cavities that did
            not fit into the lists; packets: units born that form without resorption.
    """

    born: Array
    wanted: Array
    dropped: Array
    packets: Array


class World(NamedTuple):
    """What births of one step depend on beside the bone: the rows of `Demand` of this step, and what `block` takes."""

    demand: Demand
    step: Array
    seed: Array
    shares: Array
    area: Array
    local: Local | None
    place: Array | None
    cones: Cones | None = None


def bear(
    fields: Fields,
    table: BMUTable,
    count: Array,
    world: World,
    plan: Plan,
    flag: int = 0,
) -> tuple[Fields, BMUTable, Births]:
    """Give birth to this step's units: sites, cavities, claims; ``table`` is theirs, ``count`` its rows in use.

    Each carves from what the earlier ones of the step have left. ``flag`` (static) tells which units: 0 for BMUs of
    surface, `MODELING`, or `OSTEONAL`.
    """
    demand, step, seed, shares, area, local, place, cones = world
    modeling, osteonal = flag == MODELING, flag == OSTEONAL
    geometry = plan.tunnel if osteonal and plan.tunnel is not None else plan.geometry
    stream, seed = (random.MODELING if modeling else 0), (seed ^ jnp.uint32(random.OSTEONAL) if osteonal else seed)
    weight, scale = _asked_for_locally(world, plan, flag)
    drawn, candidates, births = {
        0: (demand.candidates, plan.candidates, plan.births),
        MODELING: (demand.packets, plan.packet_candidates, plan.packets),
        OSTEONAL: (demand.osteons, plan.osteon_candidates, plan.osteons),
    }[flag]
    position, index, wanted, found = activation.sites(
        fields.fraction, fields.owner, seed, step, drawn, candidates, births, weight, scale, stream, place,
        not osteonal, plan.wide,
    )  # fmt: skip
    high, salt = random.words(seed, step, random.DEPTH + stream, index)
    kind = jnp.zeros(births, jnp.uint8) if place is None else place[tuple(position.T)] & COMPARTMENT
    depth = demand.packet if modeling else demand.radius if osteonal else of_compartment(demand.depth, kind)
    own_depth = depth * (shares[random.below(high, shares.shape[0])].astype(jnp.float32) / cav.FRONT)
    prescribed = jnp.broadcast_to(depth, (births,))
    limit = jnp.asarray(fields.fraction.shape, jnp.int32) - jnp.asarray(geometry.window, jnp.int32)
    corner = jnp.clip(position - jnp.asarray(geometry.window, jnp.int32) // 2, 0, limit)
    flags = jnp.full(births, flag, jnp.uint8)
    if osteonal:
        corner = osteon.corners(position, salt, fields.fraction.shape, plan)
        flags = flags | jnp.where(osteon.travels_backward(salt), BACKWARD, 0).astype(jnp.uint8)

    wall_share = jnp.ones(births, jnp.float32)
    if local is not None and not modeling:
        wall_share = local.wall[tuple(position.T)].astype(jnp.float32) / UNIT_WALL
    capacity = table.born.shape[0]

    def carve_one(owner: Array, corner: Array, position: Array, mean: Array, salt: Array) -> cav.Cavity:
        fraction = jax.lax.dynamic_slice(fields.fraction, corner, geometry.window)
        owned = jax.lax.dynamic_slice(owner, corner, geometry.window) != 0
        if osteonal and place is not None and cones is not None:
            inside = osteon.in_cortex(jax.lax.dynamic_slice(place, corner, geometry.window) & COMPARTMENT)
            canal = jnp.maximum(demand.radius - demand.osteon_wall, LEAST_CANAL * demand.radius)
            left = 2.0 * math.pi * canal * geometry.window[plan.axis]
            into = osteon.inward(fields.fraction, position, place[tuple(position)] & COMPARTMENT, plan.axis)
            course = osteon.Course(position - corner, osteon.travels_backward(salt), into)
            return osteon.tunnel(inside & ~owned, course, mean, left, cones, plan)
        highest = cav.FRONT_LIMIT if modeling else GROWTH_LIMIT
        growth = mean * ((1.0 + 1.0 / cav.PROFILE_EXPONENT) * highest / cav.FRONT)
        origin = position - corner
        return cav.carve(fraction, owned, origin, mean, area, growth, salt, geometry, modeling, not plan.wide)

    def carve(which: Array, mine: Array, held: tuple[Array, ...]) -> tuple[Array, ...]:
        """Carve the births ``which`` (size,) and write them to their rows; their windows do not overlap."""
        rows, lists, end, owner, dropped = held
        size = which.shape[0]
        take = [part[which] for part in (corner, position, own_depth, salt, wall_share, kind | flags, prescribed)]
        if size == 1:
            cavities = jax.tree.map(lambda leaf: leaf[None], carve_one(owner, *(part[0] for part in take[:4])))
        else:
            cavities = jax.vmap(partial(carve_one, owner))(*take[:4])
        row = jnp.where(mine, count + which, capacity)
        voxels = Columns(cavities.cell, cavities.delta, cavities.profile, cavities.before, cavities.floor)
        lists, (first, tiles), end, left_out = appended(lists, end, row, voxels, mine)
        fits = left_out == 0
        new = rows._replace(
            corner=take[0],
            born=jnp.full(size, step, jnp.int32),
            final_front=jnp.maximum(cavities.final_front, 0),
            stop_front=cavities.final_front,
            mean_depth=take[2],
            prescribed=take[6],
            area=cavities.area,
            resorbed=jnp.zeros(size, jnp.int32),
            formed=jnp.zeros(size, jnp.int32),
            live=(cavities.final_front != 0) & fits,
            salt=take[3],
            wall_share=take[4],
            kind=take[5],
            first=first,
            tiles=tiles,
        )
        rows = jax.tree.map(lambda column, of_new: column.at[row].set(of_new, mode="drop"), rows, new)
        z, y, x = places(new.corner, voxels.cell)
        owner = write(owner, z, y, x, (voxels.cell >= 0) & (mine & fits)[:, None], jnp.ones_like(z))
        return rows, lists, end, owner, dropped + jnp.sum(jnp.where(mine, cavities.dropped + left_out, 0))

    start = (table._replace(lists=None), table.lists, table.end, fields.owner, jnp.int32(0))  # type: ignore[arg-type]
    rows, lists, _, owner, dropped = _in_order(corner, found, plan, geometry, carve, start)
    return fields._replace(owner=owner), rows._replace(lists=lists), Births(found, wanted, dropped, jnp.int32(0))


def _asked_for_locally(world: World, plan: Plan, flag: int) -> tuple[Any, int]:
    """(chance at places, its scale) for `activation.sites`; None where all places are the same."""
    demand, local, place = world.demand, world.local, world.place
    if flag == OSTEONAL:
        assert place is not None
        assert world.cones is not None
        fewer = world.cones.endocortical

        def canals(at: tuple[Array, ...]) -> Array:
            most = 256 if local is None else local.weight[at].astype(jnp.int32)
            kind = place[at] & COMPARTMENT
            share = jnp.where(kind == INTRACORTICAL, 256, jnp.where(kind == ENDOCORTICAL, fewer, 0))
            return (most * share) >> 8

        return canals, 256
    if flag == MODELING:
        asks = None if local is None else local.modeling
        if asks is None and place is None:
            return None, 1

        def packets(at: tuple[Array, ...]) -> Array:
            drug = 256 if asks is None else demand.everywhere
            if place is not None:
                compact = (place[at] & COMPARTMENT) >= INTRACORTICAL
                drug = (drug * jnp.where(compact, COMPACT_MODELING, 256)) >> 8
            return drug if asks is None else drug + ((255 - drug) * asks[at].astype(jnp.int32) + 127) // 255

        return packets, 256
    if place is None and local is None:
        return None, 1

    def share(at: tuple[Array, ...]) -> Array:
        kind = (place[at] & COMPARTMENT).astype(jnp.int32)  # type: ignore[index]
        # Where cutting cones renew the canals, no other BMU does.
        return jnp.where((kind == INTRACORTICAL) & (plan.osteons > 0), 0, demand.share[kind])

    if local is None:
        return share, 256
    weight = local.weight
    if place is None:
        return lambda at: weight[at].astype(jnp.int32), 256
    return lambda at: weight[at].astype(jnp.int32) * share(at), 65536


def _in_order(corner: Array, found: Array, plan: Plan, geometry: cav.Geometry, work: Any, carry: Any) -> Any:
    """Do the work of each birth as if one after the other.

    One at a time that is plain. Many at a time: in waves of births whose windows overlap no earlier birth that still
    waits. A birth reads and writes its own window alone, so the outcome is that of the plain order, bit for bit.
    """
    if plan.carve_chunk == 1:
        first = jnp.arange(1)
        return jax.lax.fori_loop(0, found, lambda k, c: work(first + k, first == 0, c), carry)

    edge = jnp.asarray(geometry.window, jnp.int32)
    group, size = min(corner.shape[0], _GROUP), plan.carve_chunk
    index = jnp.arange(group)

    def one_group(number: Array | int, carry: Any) -> Any:
        base = number * group
        here = corner[jnp.minimum(base + index, corner.shape[0] - 1)]
        overlap = (jnp.abs(here[:, None] - here[None]) < edge).all(axis=2) & (index[:, None] > index[None])

        def wave(held: Any) -> Any:
            waiting, carry = held
            ready = waiting & ~(overlap & waiting[None]).any(axis=1)
            running = jnp.cumsum(ready.astype(jnp.int32))
            # As many as go together; the others are as ready in the next wave, beside those that waited for these.
            nth = jnp.arange(size)
            which = jnp.searchsorted(running, nth + 1, method="scan_unrolled").astype(jnp.int32)
            carry = work(base + jnp.minimum(which, group - 1), nth < running[-1], carry)
            return waiting & ~(ready & (running <= size)), carry

        waiting = base + index < found
        return jax.lax.while_loop(lambda held: held[0].any(), wave, (waiting, carry))[1]

    if corner.shape[0] <= group:
        return one_group(0, carry)
    return jax.lax.fori_loop(0, (found + group - 1) // group, one_group, carry)
