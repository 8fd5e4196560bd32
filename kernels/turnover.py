"""The turnover of bone: blocks of steps in which BMUs go on, and new ones are born.

Within a step every unit reads the bone as it was when the step began, and all sums are integers: the bits do not
depend on the order of work.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from microct.kernels.births import Births, World, bear
from microct.kernels.bmu_table import MODELING, OSTEONAL, Cones, Demand, Fields, Local, Plan, Schedule, Units, room_of
from microct.kernels.fronts import advance
from microct.kernels.refill_ends import set_canals, set_refill_ends
from microct.kernels.tiles import tiles_of, with_new

Array = Any


@partial(jax.jit, static_argnames="plan", donate_argnames=("fields", "tables"))
def block(
    fields: Fields,
    tables: Units,
    counts: Units,
    first: Array,
    steps: Array,
    demand: Demand,
    schedule: Schedule,
    seed: Array,
    shares: Array,
    area: Array,
    local: Local | None = None,
    place: Array | None = None,
    cones: Cones | None = None,
    *,
    plan: Plan,
) -> tuple[Fields, Units, Units, Array, Births]:
    """Let ``steps`` steps pass, the first of them number ``first``; stops before a step whose births might not fit.

    Args:
        fields, tables, counts: the state; fields and tables are donated.
        demand: arrays of at least ``steps``.
        schedule: progress by age.
        seed: uint32.
        shares: (n,) int32 [1/4096], equally likely ratios of a BMU's depth to the mean.
        area: footprint [voxel faces].
        local: what places ask for beyond the demand; None asks for nothing.
        place: (nz, ny, nx) uint8, compartment of each voxel; None where the demand has one alone.
        cones: how osteonal BMUs go on; needed where the plan has room for them.
        plan: static sizes.

    Returns:
        (fields, tables, counts, done, births): rows in use, steps done, and what was born in them.
    """
    tunnels = tables.tunnels is not None

    def go_on(carry: Any) -> Array:
        _, tables, _, counts, done, _ = carry
        fits = done < steps
        for table, count, most in zip(tables.there, counts.there, plan.of_a_step.there, strict=True):
            room = room_of(table)
            fits &= (count + most[0] <= room[0]) & (table.end + most[1] <= room[1])
        return fits

    def one_step(carry: Any) -> Any:
        fields, tables, tiles, counts, done, births = carry
        step = first + done
        now = jax.tree.map(lambda asked: asked[done], demand)
        tables = tables._replace(surface=set_refill_ends(tables.surface, step, schedule, now.wall, plan))
        if tunnels:
            assert cones is not None
            tables = tables._replace(tunnels=set_canals(tables.tunnels, step, cones, now.osteon_wall))
        fields, tables, tiles = advance(fields, tables, tiles, step, schedule, plan, cones)

        world = World(now, step, seed, shares, area, local, place, cones)
        fields, table, new = bear(fields, tables.surface, counts.surface, world, plan)
        count, births = counts.surface + new.born, jax.tree.map(jnp.add, births, new)
        if plan.packets:
            fields, table, new = bear(fields, table, count, world, plan, MODELING)
            count = count + new.born
            births = births._replace(packets=births.packets + new.born, dropped=births.dropped + new.dropped)
        # Tiles are worked out when nothing more is written to the table: it would have to be copied otherwise.
        known = with_new(tiles.surface, table, tables.surface.end, plan)
        if not tunnels:
            return fields, Units(table), Units(known), Units(count), done + 1, births
        fields, ways, new = bear(fields, tables.tunnels, counts.tunnels, world, plan, OSTEONAL)
        ended, births = counts.tunnels + new.born, jax.tree.map(jnp.add, births, new)
        along = with_new(tiles.tunnels, ways, tables.tunnels.end, plan)
        return fields, Units(table, ways), Units(known, along), Units(count, ended), done + 1, births

    none = Births(*(jnp.int32(0) for _ in Births._fields))
    tiles = Units(
        tiles_of(tables.surface, plan, tunnels=False),
        tiles_of(tables.tunnels, plan, tunnels=True) if tunnels else None,
    )
    start = (fields, tables, tiles, counts, jnp.int32(0), none)
    fields, tables, _, counts, done, births = jax.lax.while_loop(go_on, one_step, start)
    return fields, tables, counts, done, births
