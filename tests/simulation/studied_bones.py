"""Bones and short runs that the tests of remodeling share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from microct.kernels.bmu_table import columns
from microct.simulation import step
from microct.simulation.build import Model, build, first_state
from microct.simulation.config import Study
from microct.state import State
from microct.volume import Volume


def plate(shape: tuple[int, int, int], voxel_um: float, thickness_um: float, axis: int = 0) -> Volume:
    """A plate with both faces free, normal to ``axis``, centered; partial voxels where the faces cut them."""
    n = shape[axis]
    centers = (np.arange(n) + 0.5 - n / 2) * voxel_um
    share = np.clip((thickness_um / 2 - np.abs(centers)) / voxel_um + 0.5, 0.0, 1.0)
    profile = np.round(share * 255).astype(np.uint8)
    values = np.broadcast_to(profile.reshape([-1 if k == axis else 1 for k in range(3)]), shape)
    return Volume.from_array(values, voxel_um)


def study(years: float, **remodeling: float) -> Study:
    """A study without burn-in whose demand is given, not asked of the cells."""
    time = {"years": years, "burn_in_years": 0.0, "step_days": remodeling.pop("step_days", 10.0)}
    return Study().with_values(time=time, remodeling=remodeling)


@dataclass(frozen=True)
class Run:
    """A run and what it came to; masses in voxels of full bone."""

    model: Model
    states: list[State]  # with ledger and survey; arrays only in the last
    open_mass: list[float]  # open cavities at the same times

    @property
    def last(self) -> State:
        return self.states[-1]

    def change(self, what: str, since: int = 0) -> float:
        """Change of a ledger entry since ``states[since]`` [voxels]."""
        return (getattr(self.last.ledger, what) - getattr(self.states[since].ledger, what)) / 255.0

    @property
    def open(self) -> float:
        """Volume of the cavities that are open at the end [voxels]."""
        return self.open_mass[-1]

    @property
    def lost(self) -> float:
        """Bone lost for good, open cavities closed, as a share of the bone at the start."""
        ledger = self.last.ledger
        return 1.0 - (ledger.mass / 255.0 + self.open) / (ledger.initial / 255.0)


def run(volume: Volume, study: Study, every: int = 36, stock: bool = True) -> Run:
    """Let the study's years pass, looking at the ledger every ``every`` steps."""
    model = build(volume, study)
    state = first_state(model, volume)
    states, open_mass = [dataclasses.replace(state)], [0.0]
    while state.step < model.calendar.total_steps:
        until = model.calendar.next_stop(state.step, every)
        state = step.advance(state, model, until)
        if stock and state.step in model.calendar.report_steps:
            state = step.take_stock(state)
        bmus = columns(state.bmus, "live", "resorbed", "formed")
        taken = bmus["resorbed"].astype(np.int64) - bmus["formed"]
        open_mass.append(float(taken[bmus["live"]].sum()) / 255.0)
        assert int(np.asarray(state.fields.fraction).sum(dtype=np.int64)) == state.ledger.mass
        states.append(state)
    return Run(model, states, open_mass)
