"""Births: this step's sites, their cavities, and the voxels that they claim."""

from __future__ import annotations

import math
from collections.abc import Callable
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


class _Newborn(NamedTuple):
    """Units that have a site and have not carved yet, (births,) each.

    Attributes:
        corner, position: (births, 3) int32, of the window and of the site.
        depth, prescribed: float32 [voxel], how deep it goes, and the mean that its cells asked for.
        salt: uint32, from which its own chance is drawn.
        wall_share: float32, share of its wall that it refills.
        kind: uint8, compartment and flags.
    """

    corner: Array
    position: Array
    depth: Array
    prescribed: Array
    salt: Array
    wall_share: Array
    kind: Array


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
    newborn, wanted, found = _sited(fields, world, plan, flag)
    carve_one = _carver(fields.fraction, world, plan, flag)
    capacity = table.born.shape[0]

    def carve(which: Array, mine: Array, held: tuple[Array, ...]) -> tuple[Array, ...]:
        """Carve the births ``which`` (size,) and write them to their rows; their windows do not overlap."""
        rows, lists, end, owner, dropped = held
        these = jax.tree.map(lambda part: part[which], newborn)
        if which.shape[0] == 1:
            one = jax.tree.map(lambda part: part[0], these)
            cavities = jax.tree.map(lambda leaf: leaf[None], carve_one(owner, one))
        else:
            cavities = jax.vmap(partial(carve_one, owner))(these)
        row = jnp.where(mine, count + which, capacity)
        voxels = Columns(cavities.cell, cavities.delta, cavities.profile, cavities.before, cavities.floor)
        lists, listed, end, left_out = appended(lists, end, row, voxels, mine)
        fits = left_out == 0
        new = _rows_of(rows, these, cavities, world.step, listed, fits)
        rows = jax.tree.map(lambda column, of_new: column.at[row].set(of_new, mode="drop"), rows, new)
        z, y, x = places(new.corner, voxels.cell)
        owner = write(owner, z, y, x, (voxels.cell >= 0) & (mine & fits)[:, None], jnp.ones_like(z))
        return rows, lists, end, owner, dropped + jnp.sum(jnp.where(mine, cavities.dropped + left_out, 0))

    start = (table._replace(lists=None), table.lists, table.end, fields.owner, jnp.int32(0))  # type: ignore[arg-type]
    rows, lists, _, owner, dropped = _in_order(newborn.corner, found, plan, _geometry(plan, flag), carve, start)
    return fields._replace(owner=owner), rows._replace(lists=lists), Births(found, wanted, dropped, jnp.int32(0))


def _geometry(plan: Plan, flag: int) -> cav.Geometry:
    """The window of these units."""
    return plan.tunnel if flag == OSTEONAL and plan.tunnel is not None else plan.geometry


def _sited(fields: Fields, world: World, plan: Plan, flag: int) -> tuple[_Newborn, Array, Array]:
    """This step's units at their sites, how many were wanted, and how many of them found a site."""
    demand, seed, place, local, geometry = world.demand, world.seed, world.place, world.local, _geometry(plan, flag)
    modeling, osteonal = flag == MODELING, flag == OSTEONAL
    stream, seed = (random.MODELING if modeling else 0), (seed ^ jnp.uint32(random.OSTEONAL) if osteonal else seed)
    weight, scale = _asked_for_locally(world, plan, flag)
    drawn, candidates, births = {
        0: (demand.candidates, plan.candidates, plan.births),
        MODELING: (demand.packets, plan.packet_candidates, plan.packets),
        OSTEONAL: (demand.osteons, plan.osteon_candidates, plan.osteons),
    }[flag]
    position, index, wanted, found = activation.sites(
        fields.fraction, fields.owner, seed, world.step, drawn, candidates, births, weight, scale, stream, place,
        not osteonal, plan.wide,
    )  # fmt: skip
    high, salt = random.words(seed, world.step, random.DEPTH + stream, index)
    kind = jnp.zeros(births, jnp.uint8) if place is None else place[tuple(position.T)] & COMPARTMENT
    mean = demand.packet if modeling else demand.radius if osteonal else of_compartment(demand.depth, kind)
    shares = world.shares
    depth = mean * (shares[random.below(high, shares.shape[0])].astype(jnp.float32) / cav.FRONT)
    flags = jnp.full(births, flag, jnp.uint8)
    if osteonal:
        corner = osteon.corners(position, salt, fields.fraction.shape, plan)
        flags = flags | jnp.where(osteon.travels_backward(salt), BACKWARD, 0).astype(jnp.uint8)
    else:
        limit = jnp.asarray(fields.fraction.shape, jnp.int32) - jnp.asarray(geometry.window, jnp.int32)
        corner = jnp.clip(position - jnp.asarray(geometry.window, jnp.int32) // 2, 0, limit)
    wall_share = jnp.ones(births, jnp.float32)
    if local is not None and not modeling:
        wall_share = local.wall[tuple(position.T)].astype(jnp.float32) / UNIT_WALL
    prescribed = jnp.broadcast_to(mean, (births,))
    return _Newborn(corner, position, depth, prescribed, salt, wall_share, kind | flags), wanted, found


def _carver(fraction: Array, world: World, plan: Plan, flag: int) -> Callable[[Array, _Newborn], cav.Cavity]:
    """How one of these units carves, from bone that no other owns."""
    demand, place, cones, geometry = world.demand, world.place, world.cones, _geometry(plan, flag)

    def tunnel(owned: Array, one: _Newborn, place: Array, cones: Cones) -> cav.Cavity:
        inside = osteon.in_cortex(jax.lax.dynamic_slice(place, one.corner, geometry.window) & COMPARTMENT)
        canal = jnp.maximum(demand.radius - demand.osteon_wall, LEAST_CANAL * demand.radius)
        left = 2.0 * math.pi * canal * geometry.window[plan.axis]
        into = osteon.inward(fraction, one.position, place[tuple(one.position)] & COMPARTMENT, plan.axis)
        course = osteon.Course(one.position - one.corner, osteon.travels_backward(one.salt), into)
        return osteon.tunnel(inside & ~owned, course, one.depth, left, cones, plan)

    def carve_one(owner: Array, one: _Newborn) -> cav.Cavity:
        owned = jax.lax.dynamic_slice(owner, one.corner, geometry.window) != 0
        if flag == OSTEONAL and place is not None and cones is not None:
            return tunnel(owned, one, place, cones)
        here = jax.lax.dynamic_slice(fraction, one.corner, geometry.window)
        highest = cav.FRONT_LIMIT if flag == MODELING else GROWTH_LIMIT
        growth = one.depth * ((1.0 + 1.0 / cav.PROFILE_EXPONENT) * highest / cav.FRONT)
        return cav.carve(
            here, owned, one.position - one.corner, one.depth, world.area, growth, one.salt, geometry,
            flag == MODELING, not plan.wide,
        )  # fmt: skip

    return carve_one


def _rows_of(
    table: BMUTable, these: _Newborn, cavities: cav.Cavity, step: Array, listed: tuple[Array, Array], fits: Array
) -> BMUTable:
    """Rows of newborn units (size,) whose voxels are ``listed`` (first, tiles) where they fit."""
    size = these.corner.shape[0]
    first, tiles = listed
    return table._replace(
        corner=these.corner,
        born=jnp.full(size, step, jnp.int32),
        final_front=jnp.maximum(cavities.final_front, 0),
        stop_front=cavities.final_front,
        mean_depth=these.depth,
        prescribed=these.prescribed,
        area=cavities.area,
        resorbed=jnp.zeros(size, jnp.int32),
        formed=jnp.zeros(size, jnp.int32),
        live=(cavities.final_front != 0) & fits,
        salt=these.salt,
        wall_share=these.wall_share,
        kind=these.kind,
        first=first,
        tiles=tiles,
    )


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
