"""A run: blocks of steps, and reporters between them. Knows nothing of files, pictures or engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from microct.simulation import report, step
from microct.simulation.build import Model
from microct.simulation.config import Study
from microct.simulation.loading import Loading
from microct.simulation.niche import Niche
from microct.state import State
from microct.status import InternalError
from microct.table import Row
from microct.volume import Volume


@dataclass(frozen=True)
class Progress:
    """Where a run stands: simulated year, years in all, BV/TV (0 to 1), and what it is doing."""

    time_yr: float
    total_years: float
    bone_volume_fraction: float
    phase: str


@dataclass(frozen=True)
class Moment:
    """A state at which reporters are called.

    Attributes:
        state, model: the run.
        time_yr: years since the start of the study.
        bone: bone fraction, uint8, on the host.
        rows: what was measured; empty between reporting times.
        previous: state of the last reporting time as far as rates need it.
        fallen: bone fraction that hung on nothing and was taken away at this reporting time, uint8; None where
            nothing was, and between reporting times.
    """

    state: State
    model: Model
    time_yr: float
    bone: Volume
    rows: tuple[Row, ...]
    previous: State
    fallen: np.ndarray | None = None


class Reporter(Protocol):
    """Takes what a run hands out; `report` at reporting times, `save` where the run must be able to go on from."""

    def report(self, moment: Moment) -> None: ...

    def save(self, moment: Moment) -> None: ...


def run(
    state: State,
    model: Model,
    study: Study,
    initial: Volume,
    reporters: Sequence[Reporter] = (),
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    previous: State | None = None,
) -> State:
    """Let the years of a study pass.

    Args:
        state: first state, or that of a checkpoint with its ``previous``.
        initial: the bone that the study began with; its place and provenance go with every reported volume.
        reporters: called at reporting times and checkpoints.
        progress: called after every block.
        should_stop: asked after every block; the run then saves and returns early (its step is short of the last).

    Raises:
        InternalError: the mass ledger does not close, which is a defect.
    """
    calendar = model.calendar
    loading = Loading.of(study.load, initial) if study.load.felt or study.load.strength else None
    niche = Niche(study.osteocytes, model)
    sample = study.report.name or initial.provenance.source

    last = state if previous is None else previous

    def moment(rows: Sequence[Row] = ()) -> Moment:
        fraction = np.asarray(state.fields.fraction)
        when = calendar.year(state.step)
        bone = initial.with_values(fraction, f"{when:.2f} years of remodeling")
        return Moment(state, model, when, bone, tuple(rows), last)

    def tell(phase: str) -> None:
        if progress is not None:
            share = state.ledger.mass / (255.0 * state.fields.fraction.size)
            progress(Progress(calendar.year(state.step), study.time.years, share, phase))

    def feel_load() -> None:
        nonlocal state
        energy = None
        if loading is not None and study.load.felt:
            tell("loading")
            cells = niche.sense(state) if study.osteocytes.on else None
            state, energy = loading.answered(state, model, cells)
        if study.osteocytes.felt:
            state = niche.renewed(state, energy)

    def take_stock() -> None:
        nonlocal state, last
        stood = state
        state = step.take_stock(state)
        here = moment()
        if state.ledger.islands > stood.ledger.islands:
            here = replace(here, fallen=np.asarray(stood.fields.fraction) - here.bone.values)
        rows = report.rows(state, model, study, here.bone, last if last is not state else None, sample)
        if loading is not None and study.load.strength:
            rows += report.strength(loading, here.bone, loading.tissue(state, model), here.time_yr, sample)
        if rows_say_broken(rows):
            raise InternalError(
                f"step {state.step}: the mass ledger does not close; the last checkpoint is intact; "
                "please report this run"
            )
        for reporter in reporters:
            reporter.report(replace(here, rows=tuple(rows)))
        last = _remembered(state)

    if state.step == 0 and previous is None:
        feel_load()
        take_stock()
        for reporter in reporters:
            reporter.save(moment())
    while state.step < calendar.total_steps:
        tell("burn-in" if state.step < calendar.burn_in_steps else "remodeling")
        state = step.advance(state, model, calendar.next_stop(state.step, 2 * step.BLOCK_STEPS))
        if state.step in calendar.load_steps:
            feel_load()
        if state.step in calendar.report_steps:
            tell("measuring")
            take_stock()
        stop = should_stop() and state.step < calendar.total_steps
        if stop or state.step in calendar.checkpoint_steps:
            for reporter in reporters:
                reporter.save(moment())
        if stop:
            break
    tell("done" if state.step >= calendar.total_steps else "stopped")
    return state


def rows_say_broken(rows: Sequence[Row]) -> bool:
    """Whether the ledger's residual is anything but zero."""
    return any(row.symbol == "Ledger" and row.value != 0.0 for row in rows)


def _remembered(state: State) -> State:
    """What rates need of a state at the next reporting time: its step and ledger; the arrays go on and are reused."""
    return replace(state, fields=None, bmus=None, felt=None, wear=None, local=None)  # type: ignore[arg-type]
