"""Where fronts stand at a time: that of a BMU of surface all at once, that of a tunnel slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from microct.kernels.bmu_table import MODELING, BMUTable, Cones, Plan, Schedule
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
        clears: bool, whether erosion had ended when the step began, so that threads go; deepest: int32, where it ends.
        last, give_up: int32 [steps], ages at which a BMU is due, and is given up.
    """

    age: Array
    was: Array
    front: Array
    refills: Array
    clears: Array
    deepest: Array
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

        clears = (age == schedule.erosion_end + 1) & (end > 0)
        return cls(age, at(age - 1)[0], *at(age), clears, end, schedule.last, schedule.give_up)

    def crossed(self, tiles: Tiles, row: Array) -> Array:
        """Tiles within which the front may pass a voxel in this step, or leaves bone behind; (tiles,) bool, of which
        ``row`` is the BMU.
        """
        shallow, deep = jnp.minimum(self.was, self.front)[row], jnp.maximum(self.was, self.front)[row]
        left = self.clears[row] & (tiles.high >= self.deepest[row])
        return left | ((shallow != deep) & (tiles.low <= deep) & (tiles.high >= shallow))

    def at(self, row: Array, cell: Array) -> tuple[Array, Array, Any, Any]:
        """For voxels ``cell`` (n, entries) of rows ``row`` (n,): where the front stands, whether it refills,
        whether they wait where they are not what it asks for, and whether threads go.
        """
        return self.front[row][:, None], self.refills[row][:, None], True, self.clears[row][:, None]


@dataclass(frozen=True)
class TunnelClock:
    """The fronts of tunnels in one step; as `SurfaceClock`, but each slice has a time of its own.

    Attributes:
        age: at the end of the step, of their first slice [steps].
        was, front: (rows, slices) int32 [1/4096], where fronts stood and stand, by distance from the tunnel's start.
        began, refills: (rows, slices) bool, whether they came back already, and come back.
        turn: (rows, 1) int32 [1/4096], where they turn.
        last, give_up: int32 [steps], ages at which a tunnel is due, the slice at its end included, and is given up.
        kind: (rows,) as in `BMUTable`; ``plan``: static sizes.
    """

    age: Array
    was: Array
    front: Array
    began: Array
    refills: Array
    turn: Array
    last: Array
    give_up: Array
    kind: Array
    plan: Plan

    @classmethod
    def of(cls, table: BMUTable, step: Array, cones: Cones, plan: Plan) -> TunnelClock:
        """The clock in the step ``step``."""
        assert plan.tunnel is not None
        slices, schedule, age = plan.tunnel.window[plan.axis], cones.schedule, step - table.born
        late = jnp.arange(slices, dtype=jnp.int32) * cones.travel
        end, stop = table.final_front[:, None], table.stop_front[:, None]
        was, began = _between_steps(((age[:, None] - 1) << 12) - late, end, stop, schedule)
        front, refills = _between_steps((age[:, None] << 12) - late, end, stop, schedule)
        journey = ((slices - 1) * cones.travel >> 12) + 1
        last, give_up = schedule.last + journey, schedule.give_up + journey
        return cls(age, was, front, began, refills, end, last, give_up, table.kind, plan)

    def crossed(self, tiles: Tiles, row: Array) -> Array:
        """As `SurfaceClock.crossed`."""
        assert tiles.near is not None
        assert tiles.far is not None
        far = jnp.clip(tiles.far.astype(jnp.int32), 0, self.was.shape[1] - 1)
        near = jnp.minimum(tiles.near.astype(jnp.int32), far)

        def at(values: Array, away: Array) -> Array:
            return values[row, away]

        was, front = at(self.was, far), at(self.front, near)
        shallow, deep = jnp.minimum(was, front), jnp.maximum(was, front)
        turned = at(self.refills, near) & ~at(self.began, far)
        deep = jnp.where(turned, jnp.maximum(self.turn[row, 0], deep), deep)
        return (shallow != deep) & (tiles.low <= deep) & (tiles.high >= shallow)

    def at(self, row: Array, cell: Array) -> tuple[Array, Array, Any, Any]:
        """As `SurfaceClock.at`; around tunnels bone is compact, and has no threads."""
        away = distance_from_start(cell, self.kind[row][:, None], self.plan)
        here = row[:, None], jnp.clip(away, 0, self.front.shape[1] - 1)
        # An older canal within the cement line is not bone yet, and need not be looked at before the refill.
        return self.front[here], self.refills[here], self.refills[here], False


def _between_steps(time: Array, end: Array, stop: Array, schedule: Schedule) -> tuple[Array, Array]:
    """(where fronts stand, whether they refill) at an age of ``time`` [1/4096 step]; between steps linear."""
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
