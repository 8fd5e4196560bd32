"""Years of the cell model on a fixed grid: classic Runge-Kutta of fourth order in a scan.

The grid hangs on the study clock: step n is n / 732 years after the start, whatever was asked for. A year is one
compiled block, and a longer course runs more of the same blocks, so that a number never depends on how far or how
often the course was sampled. Everything that is reported is computed for whole years, for the same reason: in an
array of another length the same number may be rounded differently.

The step takes the precision of what it is given, and moves healthy cells by not one bit in either. `course` uses
double precision: against an independent solution it errs by 1e-9, single precision by 2e-5 (osteocytes move by 1e-5
in a step, of which single precision keeps two digits), and on a processor both take the same time. Ensembles take
longer steps (`ensemble`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from microct.signalling.demand import DemandSeries, demand
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.pharmacy import DrugParameters, DrugState, drug_effects, drug_rates
from microct.signalling.estrogen import estrogen_deficit
from microct.signalling.parameters import DAYS_PER_YEAR, CellParameters
from microct.signalling.rates import Signals, Surroundings, rates, signals
from microct.signalling.state import CellState, healthy_state
from microct.signalling.tissue import (
    Readouts,
    TissueParameters,
    TissueState,
    healthy_tissue,
    readouts,
    tissue_rates,
)

STEPS_PER_YEAR = 732  # 0.499 day; 61 steps a month

# Classic Runge-Kutta: how far into the step each stage looks, and how much its slope counts.
_STAGES = ((0.0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1.0, 1 / 6))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LifeCourse:
    """What happens when on the study clock: age at its zero [yr], menopause [yr after zero], place in `COURSES`."""

    age_at_start_yr: jax.Array | float
    menopause_yr: jax.Array | float
    estrogen_course: jax.Array | int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ModelParameters:
    """Every constant: of the cells, the drugs, and the bone without voxels."""

    cells: CellParameters = field(default_factory=CellParameters)
    drugs: DrugParameters = field(default_factory=DrugParameters)
    tissue: TissueParameters = field(default_factory=TissueParameters)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Body:
    """Everything that the integrator moves: cells, drugs in the body, bone without voxels."""

    cells: CellState
    drugs: DrugState
    tissue: TissueState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Report:
    """Everything that one step shows: the body, signals, what is asked of the bone, readouts, surroundings."""

    cells: CellState
    drugs: DrugState
    tissue: TissueState
    signals: Signals
    demand: DemandSeries
    readouts: Readouts
    surroundings: Surroundings


def healthy_body() -> Body:
    """A healthy young woman without a drug; arrays of the default precision."""
    drugs: DrugState = jax.tree.map(jnp.asarray, DrugState())
    return Body(healthy_state(), drugs, healthy_tissue())


def surroundings(year: jax.Array, life: LifeCourse, drugs: Effects, p: CellParameters) -> Surroundings:
    """Deficit, age and drugs at a time of the study clock [yr]."""
    deficit = estrogen_deficit(life.estrogen_course, year - life.menopause_yr, p)
    return Surroundings(estrogen_deficit=deficit, age_yr=life.age_at_start_yr + year, drugs=drugs)


def moment(body: Body, year: jax.Array, life: LifeCourse, p: ModelParameters) -> Report:
    """Everything that follows at once from the body at a time of the study clock [yr]."""
    drugs = drug_effects(body.drugs, p.drugs)
    around = surroundings(year, life, drugs, p.cells)
    told = signals(body.cells, around, p.cells)
    asked = demand(body.cells, told, drugs, p.cells)
    shown = readouts(body.tissue, asked, p.cells, p.tissue)
    return Report(body.cells, body.drugs, body.tissue, told, asked, shown, around)


def slope(body: Body, year: jax.Array, doses_per_d: jax.Array, life: LifeCourse, p: ModelParameters) -> Body:
    """d(body)/dt [1/day] at a time of the study clock [yr], under doses [unit of the drug a day] (drugs,)."""
    now = moment(body, year, life, p)
    return Body(
        cells=rates(body.cells, now.surroundings, p.cells, now.signals),
        drugs=drug_rates(body.drugs, doses_per_d, now.signals.births, p.drugs),
        tissue=tissue_rates(body.tissue, now.signals.births, now.demand, p.cells, p.tissue),
    )


def runge_kutta(
    packed: jax.Array, start_yr: jax.Array, doses_per_d: jax.Array, step_yr: float, life: LifeCourse,
    p: ModelParameters, unpacked: Any,
) -> jax.Array:  # fmt: skip
    """The body one step later, packed as one array; not moved by a bit where every rate is zero.

    The stages are a loop, not four copies, and the body one array, not dozens: the compiler and the processor then
    need a quarter of the time.
    """
    step_d = step_yr * DAYS_PER_YEAR

    def stage(so_far: tuple[jax.Array, jax.Array], place: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        mean_slope, before = so_far
        into, weight = place
        at = unpacked(packed + step_d * into * before)
        here, _ = ravel_pytree(slope(at, start_yr + into * step_yr, doses_per_d, life, p))
        return (mean_slope + weight * here, here), None

    rest = jnp.zeros_like(packed)
    (mean_slope, _), _ = jax.lax.scan(stage, (rest, rest), jnp.asarray(_STAGES, dtype=packed.dtype))
    return packed + step_d * mean_slope


@functools.partial(jax.jit, static_argnames=("steps_per_year",))
def advance(
    body: Body,
    year: jax.Array,
    life: LifeCourse,
    p: ModelParameters,
    doses_per_d: jax.Array,
    steps_per_year: int = STEPS_PER_YEAR,
) -> tuple[Body, Report]:
    """One year of the body.

    Args:
        body: at the beginning of the year.
        year: years since the start of the study, a whole number; negative before it.
        life: age, menopause and estrogen course on the study clock.
        p: constants of the model.
        doses_per_d: what is given in each step (steps_per_year, drugs), unit of the drug a day.
        steps_per_year: of the integrator.

    Returns:
        The body a year later, and the report at the beginning of each step (leading axis `steps_per_year`).
    """
    packed, unpacked = ravel_pytree(body)
    steps = year * steps_per_year + jnp.arange(steps_per_year)

    def one(packed: jax.Array, given: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        step, doses = given
        start = step / steps_per_year
        return runge_kutta(packed, start, doses, 1 / steps_per_year, life, p, unpacked), packed

    def report(packed: jax.Array, step: jax.Array) -> Report:
        return moment(unpacked(packed), step / steps_per_year, life, p)

    end, course = jax.lax.scan(one, packed, (steps, doses_per_d))
    return unpacked(end), jax.vmap(report)(course, steps)
