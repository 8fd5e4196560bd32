"""A block of steps: cells' demand goes in, BMUs are born, cavities deepen and refill, the ledger is settled."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import activation, random
from microct.kernels.bmu_table import BMUTable, Demand, compacted, enlarged
from microct.kernels.turnover import block
from microct.remodeling import islands
from microct.simulation.build import BLOCK_STEPS, Model
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
    fields, table, count, done, births = block(
        state.fields,
        state.bmus,
        jnp.int32(state.count),
        jnp.int32(state.step),
        jnp.int32(steps),
        _demand(state, model, steps),
        jax.tree.map(jnp.asarray, model.schedule),
        jnp.uint32(model.seed),
        jnp.asarray(model.shares),
        jnp.float32(model.footprint_faces),
        state.felt and state.felt.local,
        plan=model.plan,
    )
    resorbed, formed = (now - then for now, then in zip(_totals(table), before, strict=True))
    born = np.arange(table.live.shape[0])
    born = (born >= state.count) & (born < int(count))
    ledger = state.ledger._replace(
        resorbed=state.ledger.resorbed + resorbed,
        formed=state.ledger.formed + formed,
        births=state.ledger.births + int(births.born),
        wanted=state.ledger.wanted + int(births.wanted),
        dropped=state.ledger.dropped + int(births.dropped),
        void=state.ledger.void + int((born & (np.asarray(table.final_front) == 0)).sum()),
    )
    table, live = compacted(table, count)
    if not int(done):
        table = enlarged(table, 2 * table.live.shape[0])
    return State(fields, table, int(live), state.step + int(done), ledger, state.surface, state.felt)


def _totals(table: BMUTable) -> tuple[int, int]:
    """(resorbed, formed) of all rows, exact [1/255 voxel]."""
    return int(np.asarray(table.resorbed).sum(dtype=np.int64)), int(np.asarray(table.formed).sum(dtype=np.int64))


def _demand(state: State, model: Model, steps: int) -> Demand:
    """The demand of the next steps in kernel units; candidates are drawn here, in float64 on the host."""
    voxels = state.fields.fraction.size
    padded = np.zeros((3, BLOCK_STEPS))
    for k in range(steps):
        step = state.step + k
        mean = activation.candidates_for(model.births_per_face(step), voxels, state.felt is not None)
        padded[0, k] = random.poisson(model.seed, step, mean)
        padded[1, k] = model.demand.erosion_depth_um[step] / model.voxel_um
        padded[2, k] = model.demand.wall_thickness_um[step] / model.voxel_um
    return Demand(
        jnp.asarray(padded[0], jnp.int32), jnp.asarray(padded[1], jnp.float32), jnp.asarray(padded[2], jnp.float32)
    )


def take_stock(state: State) -> State:
    """At a reporting time: bone that hangs on nothing is lost, and the surface is measured anew."""
    fraction = np.array(state.fields.fraction)
    gone = islands.lost(fraction)
    if gone.any():
        ledger = state.ledger._replace(islands=state.ledger.islands + int(fraction[gone].sum(dtype=np.int64)))
        fraction[gone] = 0
        fields = state.fields._replace(fraction=jnp.asarray(fraction))
        state = dataclasses.replace(state, fields=fields, ledger=ledger)
    return dataclasses.replace(state, surface=activation.surface(fraction))
