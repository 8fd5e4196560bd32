"""Where refills end: decided for each BMU when its refill begins, by what it resorbed and the wall asked for."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from microct.kernels import cavity as cav
from microct.kernels.bmu_lists import TILE, Columns, lists_of
from microct.kernels.bmu_table import MODELING, BMUTable, Cones, Plan, Schedule, chunks, of_compartment, put_rows
from microct.kernels.patch import narrowed

Array = Any

#: A refill may rise above the old surface by at most this much of the profile [1/4096].
GROWTH_LIMIT = 1024
#: A canal's least share of its osteon's radius.
LEAST_CANAL = 0.05


def set_refill_ends(table: BMUTable, step: Array, schedule: Schedule, wall: Array, plan: Plan) -> BMUTable:
    """Decide where the refill of the BMUs of surface that begin it now will stop, so that formed / resorbed = wall /
    erosion depth. ``wall`` is (compartments,).
    """
    size = min(plan.row_chunk, table.born.shape[0])
    born = step - schedule.refill_start
    first = jnp.searchsorted(table.born, born, side="left", method="scan_unrolled").astype(jnp.int32)
    end = jnp.searchsorted(table.born, born, side="right", method="scan_unrolled").astype(jnp.int32)
    longest, usual = (entries // TILE for entries in (plan.geometry.entries, plan.geometry.usual))

    def some(start: Array, stops: Array) -> Array:
        start = jnp.minimum(first + start, table.born.shape[0] - size)
        columns = table._replace(lists=None)  # type: ignore[arg-type]
        rows = jax.tree.map(lambda column: jax.lax.dynamic_slice_in_dim(column, start, size), columns)

        def ends(width: int) -> Array:
            voxels = lists_of(table.lists, rows.first, rows.tiles, width, plan.wide)
            return _refill_ends(rows, voxels, of_compartment(wall, rows.kind) * rows.wall_share, plan.wide)

        if plan.wide or not usual:
            stop = ends(longest)
        else:
            stop = jax.lax.cond((rows.tiles <= usual).all(), lambda: ends(usual), lambda: ends(longest))
        due = (rows.born == born) & ((rows.kind & MODELING) == 0)
        stop = jnp.where(due, stop, jax.lax.dynamic_slice_in_dim(stops, start, size))
        return put_rows(stops, stop, start)

    return table._replace(stop_front=chunks(end - first, size, some, table.stop_front))


def _refill_ends(rows: BMUTable, voxels: Columns, wall: Array, wide: bool) -> Array:
    """(rows,) int32 [1/4096], where refills end that leave a ``wall`` (rows,) [voxel]."""
    used = voxels.cell >= 0
    delta, profile, before = (c.astype(jnp.int32) for c in (voxels.delta, voxels.profile, voxels.before))
    dither = cav.dither_of(voxels.cell, rows.salt[:, None])
    removed = jnp.where(used, cav.eroded(rows.final_front[:, None], delta, profile, before, dither), 0)
    total = jnp.sum(removed, axis=1).astype(jnp.float32)
    kept = jnp.round(total * (1.0 - wall / jnp.maximum(rows.prescribed, 1e-6))).astype(jnp.int32)

    def enough_lost(front: Array) -> Array:
        bone = cav.bone_at(front[:, None], delta, profile, before, dither)
        return jnp.sum(jnp.where(used, before - bone, 0), axis=1) >= kept

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) >> 1
        hit = enough_lost(middle)
        return jnp.where(hit, low, middle), jnp.where(hit, middle, high)

    least = jnp.full_like(rows.final_front, -GROWTH_LIMIT)
    if wide:
        return narrowed(enough_lost, least - 1, rows.final_front, GROWTH_LIMIT + 1 + cav.FRONT_LIMIT)
    return jax.lax.fori_loop(0, 13, halve, (least, rows.final_front))[1]


def set_canals(table: BMUTable, step: Array, cones: Cones, wall: Array) -> BMUTable:
    """Decide which canals the osteonal BMUs whose first slice begins its refill now will leave: their radius is to that
    of the cement line as what ``wall`` leaves of it.
    """
    left = 1.0 - wall * table.wall_share / jnp.maximum(table.prescribed, 1e-6)
    canal = jnp.round(cav.FRONT * jnp.clip(left, LEAST_CANAL, 1.0)).astype(jnp.int32)
    due = table.born == step - cones.schedule.refill_start
    return table._replace(stop_front=jnp.where(due, jnp.minimum(canal, table.final_front), table.stop_front))
