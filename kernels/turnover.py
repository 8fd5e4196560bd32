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
from microct.kernels.bmu_table import MODELING, OSTEONAL, BMUTable, Cones, Demand, Fields, Local, Plan, Schedule
from microct.kernels.fronts import advance, set_canals, set_refill_ends, tiles_of, with_new_rows

Array = Any


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
    local: Local | None = None,
    place: Array | None = None,
    cones: Cones | None = None,
    *,
    plan: Plan,
) -> tuple[Fields, BMUTable, Array, Array, Births]:
    """Let ``steps`` steps pass, the first of them number ``first``; stops before a step whose births might not fit.

    Args:
        fields, table, count: the state; donated.
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
        (fields, table, count, done, births): rows in use, steps done, and what was born in them.
    """
    capacity = table.born.shape[0]

    def go_on(carry: Any) -> Array:
        _, _, _, count, done, _ = carry
        return (done < steps) & (count + plan.births + plan.packets + plan.osteons <= capacity)

    def one_step(carry: Any) -> Any:
        fields, table, tiles, count, done, births = carry
        step = first + done
        now = jax.tree.map(lambda asked: asked[done], demand)
        table = set_refill_ends(table, step, schedule, now.wall, plan)
        if cones is not None:
            table = set_canals(table, step, cones, now.osteon_wall)
        fields, table, tiles = advance(fields, table, tiles, step, schedule, plan, cones)
        world = World(now, step, seed, shares, area, local, place, cones)
        fields, table, new = bear(fields, table, count, world, plan)
        tiles = with_new_rows(tiles, table, count, plan.births, plan)
        count, births = count + new.born, jax.tree.map(jnp.add, births, new)
        if plan.packets:
            fields, table, new = bear(fields, table, count, world, plan, MODELING)
            tiles = with_new_rows(tiles, table, count, plan.packets, plan)
            count = count + new.born
            births = births._replace(packets=births.packets + new.born, dropped=births.dropped + new.dropped)
        if plan.osteons:
            fields, table, new = bear(fields, table, count, world, plan, OSTEONAL)
            tiles = with_new_rows(tiles, table, count, plan.osteons, plan)
            count, births = count + new.born, jax.tree.map(jnp.add, births, new)
        return fields, table, tiles, count, done + 1, births

    none = Births(*(jnp.int32(0) for _ in Births._fields))
    start = (fields, table, tiles_of(table, count, plan), count, jnp.int32(0), none)
    fields, table, _, count, done, births = jax.lax.while_loop(go_on, one_step, start)
    return fields, table, count, done, births
