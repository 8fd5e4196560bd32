"""Where fronts stand at a time: that of a BMU of surface all at once, that of a tunnel slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from microct.kernels.bmu_table import MODELING, BMUTable, Cones, Plan, Schedule, chunks, put_rows
from microct.kernels.osteon import distance_from_start
from microct.kernels.tiles import Tiles

Array = Any


@dataclass(frozen=True)
class SurfaceClock:
    """The fronts of BMUs of surface in one step; (rows,).

    Attributes:
        age: at the end of the step [steps], on the schedule: units that form without resorption begin with the refill.
        was, front: int32 [1/4096], where the front stood when the step began, and stands when it ends.
        refills: bool, whether it comes back.
        last, give_up: int32 [steps], ages at which a BMU is due, and is given up.
    """

    age: Array
    was: Array
    front: Array
    refills: Array
    last: Array
    give_up: Array

    @classmethod
    def of(cls, table: BMUTable, step: Array, schedule: Schedule) -> SurfaceClock:
        """The clock in the step ``step``."""
        age = step - table.born + jnp.where((table.kind & MODELING) != 0, schedule.refill_start - 1, 0)
        end, stop = table.final_front, table.stop_front

        def at(age: Array) -> tuple[Array, Array]:
            age = jnp.clip(age, 0, schedule.erosion.shape[0] - 1)
            down, up = schedule.erosion[age], schedule.refill[age]
            return jnp.where(up == 0, (end * down) >> 12, end + (((stop - end) * up) >> 12)), up > 0

        return cls(age, at(age - 1)[0], *at(age), schedule.last, schedule.give_up)

    def crossed(self, tiles: Tiles) -> Array:
        """Tiles within which the front may pass a voxel in this step; (rows, tiles) bool."""
        shallow, deep = jnp.minimum(self.was, self.front)[:, None], jnp.maximum(self.was, self.front)[:, None]
        return (shallow != deep) & (tiles.low <= deep) & (tiles.high >= shallow)

    def at(self, row: Array, cell: Array) -> tuple[Array, Array, Any]:
        """For voxels ``cell`` (n, entries) of rows ``row`` (n,): where the front stands, whether it refills, and
        whether they wait where they are not what it asks for.
        """
        return self.front[row][:, None], self.refills[row][:, None], True


@dataclass(frozen=True)
class TunnelClock:
    """The fronts of tunnels in one step; as `SurfaceClock`, but each slice has a time of its own.

    Attributes:
        table: of the tunnels; ``age``: at the end of the step, of their first slice [steps].
        cones: how they go on; ``plan``: static sizes.
    """

    table: BMUTable
    age: Array
    cones: Cones
    plan: Plan

    @classmethod
    def of(cls, table: BMUTable, step: Array, cones: Cones, plan: Plan) -> TunnelClock:
        """The clock in the step ``step``."""
        return cls(table, step - table.born, cones, plan)

    @property
    def last(self) -> Array:
        """Age at which a tunnel is due, the slice at its end included."""
        return self.cones.schedule.last + self._journey

    @property
    def give_up(self) -> Array:
        """Age at which it is given up."""
        return self.cones.schedule.give_up + self._journey

    @property
    def _journey(self) -> Array:
        assert self.plan.tunnel is not None
        return ((self.plan.tunnel.window[self.plan.axis] - 1) * self.cones.travel >> 12) + 1

    def front(self, time: Array, end: Array, stop: Array) -> tuple[Array, Array]:
        """(where fronts stand, whether they refill) at an age of ``time`` [1/4096 step]; between steps linear."""
        schedule = self.cones.schedule
        ages = schedule.erosion.shape[0]
        time = jnp.clip(time, 0, (ages - 1) << 12)
        age, part = time >> 12, time & 4095
        after = jnp.minimum(age + 1, ages - 1)

        def between(values: Array) -> Array:
            first = values[age]
            return first + (((values[after] - first) * part) >> 12)

        refills = age >= schedule.refill_start
        down, up = between(schedule.erosion), between(schedule.refill)
        return jnp.where(refills, end + (((stop - end) * up) >> 12), (end * down) >> 12), refills

    def crossed(self, tiles: Tiles) -> Array:
        """Tiles within which the front may pass a voxel in this step; (rows, tiles) bool."""
        assert tiles.near is not None
        assert tiles.far is not None
        table, travel = self.table, self.cones.travel
        rows = table.live.shape[0]
        size = min(rows, 16 * self.plan.row_chunk)
        columns = (self.age, table.final_front, table.stop_front, tiles.low, tiles.high, tiles.near, tiles.far)

        def some(start: Array, crossed: Array) -> Array:
            start = jnp.minimum(start, rows - size)
            here = [jax.lax.dynamic_slice_in_dim(column, start, size) for column in columns]
            age, end, stop = (column[:, None] for column in here[:3])
            low, high, near, far = (column.astype(jnp.int32) for column in here[3:])
            first = ((age - 1) << 12) - far * travel
            last = (age << 12) - jnp.minimum(near, far) * travel
            was, _ = self.front(first, end, stop)
            front, refills = self.front(last, end, stop)
            shallow, deep = jnp.minimum(was, front), jnp.maximum(was, front)
            turned = refills & (first < self.cones.schedule.refill_start << 12)
            deep = jnp.where(turned, jnp.maximum(end, deep), deep)
            return put_rows(crossed, (shallow != deep) & (low <= deep) & (high >= shallow), start)

        used = jnp.max(jnp.where(table.live, jnp.arange(1, rows + 1), 0))
        return chunks(used, size, some, jnp.zeros(tiles.low.shape, bool))

    def at(self, row: Array, cell: Array) -> tuple[Array, Array, Any]:
        """As `SurfaceClock.at`."""
        kind, end, stop = (self.table.kind, self.table.final_front, self.table.stop_front)
        away = distance_from_start(cell, kind[row][:, None], self.plan)
        time = (self.age[row][:, None] << 12) - away * self.cones.travel
        front, refills = self.front(time, end[row][:, None], stop[row][:, None])
        # An older canal within the cement line is not bone yet, and need not be looked at before the refill.
        return front, refills, refills
