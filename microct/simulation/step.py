"""A block of steps: cells' demand goes in, BMUs are born, cavities deepen and refill, the ledger is settled."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import activation, random
from microct.kernels.bmu_table import (
    COMPARTMENT,
    INTRACORTICAL,
    MODELING,
    OSTEONAL,
    Demand,
    Units,
    columns,
    compacted,
    enlarged,
    enough,
    room_of,
)
from microct.kernels.turnover import block
from microct.remodeling import islands
from microct.simulation.build import Model
from microct.simulation.sizes import BLOCK_STEPS
from microct.state import State


def advance(state: State, model: Model, until: int) -> State:
    """Let steps pass up to ``until``; the work is cut where the table of BMUs would run over, which changes no
    result.
    """
    while state.step < until:
        state = _block(state, model, min(until, state.step + BLOCK_STEPS))
    return state


def _block(state: State, model: Model, until: int) -> State:
    """At most `BLOCK_STEPS` steps on the device, in one crossing."""
    steps = until - state.step
    before = _totals(state.bmus)
    local = state.local
    if not model.overload_um_per_yr and local is not None:
        local = local._replace(modeling=None)
    fields, tables, counts, done, births = block(
        state.fields,
        state.bmus,
        jax.tree.map(jnp.int32, state.count),
        jnp.int32(state.step),
        jnp.int32(steps),
        _demand(state, model, steps),
        jax.tree.map(jnp.asarray, model.schedule),
        jnp.uint32(model.seed),
        jnp.asarray(model.shares),
        jnp.float32(model.footprint_faces),
        local,
        model.place,
        jax.tree.map(jnp.asarray, model.cones),
        plan=model.plan,
    )
    resorbed, formed, modeled = (now - then for now, then in zip(_totals(tables), before, strict=True))
    kind, front = _of_new(tables, state.count, counts, "kind", "final_front")
    remodels = (kind & MODELING) == 0
    # A cutting cone renews intracortical bone, wherever it starts.
    place = np.where(kind & OSTEONAL, INTRACORTICAL, kind & COMPARTMENT)
    where = np.bincount(place[remodels], minlength=COMPARTMENT + 1)
    ledger = state.ledger._replace(
        resorbed=state.ledger.resorbed + resorbed,
        formed=state.ledger.formed + formed,
        births=state.ledger.births + int(births.born),
        wanted=state.ledger.wanted + int(births.wanted),
        dropped=state.ledger.dropped + int(births.dropped),
        void=state.ledger.void + int((remodels & (front == 0)).sum()),
        modeled=state.ledger.modeled + modeled,
        packets=state.ledger.packets + int(births.packets),
        endocortical=state.ledger.endocortical + int(where[1]),
        intracortical=state.ledger.intracortical + int(where[2]),
        periosteal=state.ledger.periosteal + int(where[3]),
    )
    together = model.plan.row_chunk
    kept = [compacted(table, count, together) for table, count in zip(tables.there, counts.there, strict=True)]
    if not int(done):
        # At least one of them has no room for the births of a step.
        kept = [
            (enlarged(table, *enough(room_of(table), (int(live), int(table.end)), most)), live)
            for (table, live), most in zip(kept, model.plan.of_a_step.there, strict=True)
        ]
    return dataclasses.replace(
        state,
        fields=fields,
        bmus=Units(*(table for table, _ in kept)),
        count=Units(*(int(live) for _, live in kept)),
        step=state.step + int(done),
        ledger=ledger,
    )


def _of_new(tables: Units, before: Units, after: Units, *names: str) -> list[np.ndarray]:
    """Columns of the rows that a block has added."""
    new = [
        (table, slice(first, int(end)))
        for table, first, end in zip(tables.there, before.there, after.there, strict=True)
    ]
    return [np.concatenate([np.asarray(getattr(table, name))[rows] for table, rows in new]) for name in names]


def _totals(tables: Units) -> tuple[int, int, int]:
    """(resorbed, formed, formed without resorption) of all rows, exact [1/255 voxel]."""
    found = columns(tables, "resorbed", "formed", "kind")
    modeled = found["formed"][(found["kind"] & MODELING) != 0]
    sums = (int(column.sum(dtype=np.int64)) for column in (found["resorbed"], found["formed"], modeled))
    return tuple(sums)  # type: ignore[return-value]


def _demand(state: State, model: Model, steps: int) -> Demand:
    """The demand of the next steps in kernel units; candidates are drawn here, in float64 on the host."""
    voxels = state.fields.fraction.size
    wanted, depth, wall = model.demand.births, model.demand.depths, model.demand.walls
    kinds = len(wanted)
    counts = np.zeros((3, BLOCK_STEPS), np.int32)
    asked = np.zeros((3, BLOCK_STEPS, kinds))
    for k in range(steps):
        step = state.step + k
        mean = activation.candidates_for(model.births_per_face(step), voxels, state.local is not None)
        counts[0, k] = random.poisson(model.seed, step, mean)
        asked[0, k] = depth[:, step] / model.voxel_um
        asked[1, k] = wall[:, step] / model.voxel_um
        asked[2, k] = np.round(256.0 * wanted[:, step] / max(wanted[:, step].max(), 1e-30))
        if model.plan.packets:
            everywhere, at_most = model.packets_per_face(step)
            mean = activation.candidates_for(at_most, voxels)
            if state.felt is not None and model.overload_um_per_yr:
                mean *= activation.WEIGHT_LIMIT / 255.0
            counts[1, k] = random.poisson(model.seed, step, mean, random.MODELING + random.COUNT)
            counts[2, k] = round(255.0 * everywhere / at_most) if at_most else 0
    osteons = np.zeros((3, BLOCK_STEPS))
    if model.plan.osteons and model.demand.osteons is not None:
        _, radius, filled = model.demand.osteons
        for k in range(steps):
            step = state.step + k
            mean = activation.candidates_for(model.osteons_per_face(step), voxels, state.local is not None)
            osteons[0, k] = random.poisson(model.seed ^ random.OSTEONAL, step, mean)
            osteons[1:, k] = radius[step] / model.voxel_um, filled[step] / model.voxel_um
    f32 = jnp.float32
    return Demand(
        candidates=jnp.asarray(counts[0]),
        depth=jnp.asarray(asked[0], f32),
        wall=jnp.asarray(asked[1], f32),
        share=jnp.asarray(asked[2], jnp.int32),
        packets=jnp.asarray(counts[1]),
        everywhere=jnp.asarray(counts[2]),
        packet=jnp.full(BLOCK_STEPS, model.packet_um / model.voxel_um, f32),
        osteons=jnp.asarray(osteons[0], jnp.int32),
        radius=jnp.asarray(osteons[1], f32),
        osteon_wall=jnp.asarray(osteons[2], f32),
    )


def take_stock(state: State) -> State:
    """At a reporting time: bone that hangs on nothing is lost, and the surface is measured anew."""
    fraction, gone = islands.cleared(state.fields.fraction)
    if gone:
        ledger = state.ledger._replace(islands=state.ledger.islands + gone)
        state = dataclasses.replace(state, fields=state.fields._replace(fraction=fraction), ledger=ledger)
    return dataclasses.replace(state, surface=activation.surface(fraction))
