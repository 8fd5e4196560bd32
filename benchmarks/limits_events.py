"""Kernels whose work follows events, beside the bytes that these events cannot do without.

A block of steps is run twice from one state: step by step, to count what changed, and at once, for the clock. The floor
counts, at the device's copy bandwidth and in the sectors that its memory hands out,

- for each candidate: the voxel and its six neighbors, in five sectors;
- for each birth: its window of bone and owners read, its row of the table written, its owners written;
- for each voxel that a front changed: its entry of the list read, bone and floor read, bone and date written.

Nothing is counted for looking at what does not change.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from bones import built, on_device, on_host, specimen, without_births
from measure import finished, timed
from roofline import Limits

#: Births for each site and year: about twice the healthy rate, as after menopause.
FREQUENCY_PER_YR = 0.8
#: Steps before the block that is timed: BMUs of every age are at work.
WARM_STEPS = 36


def block_of_steps(edge: int, limits: Limits, repeats: int = 5, warm_steps: int = WARM_STEPS) -> dict[str, Any]:
    """A row for one block of steps in a specimen of ``edge`` voxels, and the part of it that is fronts alone."""
    from microct.kernels import activation
    from microct.simulation import step
    from microct.simulation.build import first_state
    from microct.simulation.sizes import BLOCK_STEPS

    bone = specimen(edge, 128)
    model = built(bone, FREQUENCY_PER_YR, (warm_steps + BLOCK_STEPS) * 10.0 / 365.25 + 0.1)
    state = step.advance(first_state(model, bone), model, warm_steps)
    kept, until = on_host(state), state.step + BLOCK_STEPS
    counted = _counted(on_device(state, kept), model, until)
    births, changed = counted["births"], counted["voxels_changed"]
    candidates = sum(
        activation.candidates_for(model.births_per_face(k), bone.values.size) for k in range(state.step, until)
    )
    window = float(np.prod(model.plan.geometry.window))
    entry, row = _row_bytes(state.bmus.surface)
    sector = limits.sector
    candidates_bytes = candidates * 5.0 * sector
    birth_bytes = births * (2.0 * window + row + counted["voxels_a_bmu"] * (entry + sector))
    front_bytes = changed * (entry + 4.0 * sector)
    floor = limits.floor_s(candidates_bytes + birth_bytes + front_bytes)
    answer = _clocked(state, kept, model, until, repeats)
    fronts = _clocked(state, kept, without_births(model), until, repeats)
    took = min(answer["wall_s"])
    return {
        "edge": edge,
        "steps": until - state.step,
        **counted,
        "candidates": round(candidates),
        **answer,
        "floor_s": floor,
        "times_floor": took / floor,
        "bytes": candidates_bytes + birth_bytes + front_bytes,
        "fronts_alone": {**fronts, "floor_s": limits.floor_s(front_bytes),
                         "times_floor": min(fronts["wall_s"]) / limits.floor_s(front_bytes)},
        "us_per_birth": 1e6 * took / max(births, 1),
        "us_per_step": 1e6 * took / (until - state.step),
    }  # fmt: skip


def _clocked(state: Any, kept: Any, model: Any, until: int, repeats: int) -> dict[str, Any]:
    """Repeats of the whole block; the state is put back, outside the clock, before each."""
    from microct.simulation import step

    def run(start: Any) -> Any:
        return finished(step.advance(start, model, until).fields.fraction)

    return _with_fresh_state(lambda: on_device(state, kept), run, repeats)


def _with_fresh_state(make: Any, run: Any, repeats: int) -> dict[str, Any]:
    """As `measure.timed`, for work that uses up what it is given."""
    rows = []
    for _ in range(repeats + 1):
        start = [make()]
        rows.append(timed(partial(_used_up, run, start), repeats=1, warm=False))
    first, others = rows[0], rows[1:]
    answer: dict[str, Any] = {clock: [row[clock][0] for row in others] for clock in ("wall_s", "processor_s")}
    return {**answer, "first_s": first["wall_s"][0]}


def _used_up(run: Any, start: list[Any]) -> Any:
    """What ``run`` makes of the one thing in ``start``, which nobody holds any more."""
    return run(start.pop())


def _counted(state: Any, model: Any, until: int) -> dict[str, Any]:
    """Births and voxels that change from now to ``until``, counted step by step."""
    from microct.simulation import step

    born, changed = state.ledger.births, 0
    while state.step < until:
        before = jnp.array(state.fields.fraction)
        state = step.advance(state, model, state.step + 1)
        changed += int(jnp.sum(before != state.fields.fraction))
    return {
        "births": state.ledger.births - born,
        "voxels_changed": changed,
        "live_bmus": state.count.surface,
        "voxels_a_bmu": round(held(state.bmus.surface, state.count.surface) / max(state.count.surface, 1), 1),
    }


def held(table: Any, count: int) -> int:
    """Voxels in the lists of a table's first rows."""
    from microct.kernels.bmu_lists import on_host

    return int((on_host(table.lists, table.first[:count], table.tiles[:count]).cell >= 0).sum())


def _row_bytes(table: Any) -> tuple[float, float]:
    """Bytes of one entry of a BMU's list, and of one row of the table beside its list."""
    entry = float(sum(column.dtype.itemsize for column in table.lists[1:]))
    rows = table._replace(lists=None)
    return entry, sum(column.nbytes for column in jax.tree.leaves(rows)) / len(table.live)
