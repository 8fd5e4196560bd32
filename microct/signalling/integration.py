"""One step of the whole body, by the classic Runge-Kutta method of fourth order; and what a moment shows.

Nothing here knows how long a step is: `timeline` says that. Doses go in at the beginning of a step, and are not there
before it: a report at the time of a dose is the one before the dose. Inside a step the body is a cubic, the continuous
extension of the method.

The step takes the precision of what it is given, and moves healthy cells by not one bit in either. `course` uses
double precision and errs by 1e-7; single precision by 2e-5 (osteocytes move by 1e-5 in a step, of which single
precision keeps two digits).
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.demand import DemandSeries, demand
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.pharmacy import DrugParameters, DrugState, drug_effects, drug_intake, drug_rates
from microct.signalling.estrogen import estrogen_deficit
from microct.signalling.parameters import CellParameters
from microct.signalling.rates import Signals, Surroundings, rates, signals
from microct.signalling.state import CellState
from microct.signalling.tissue import (
    Readouts,
    TissueParameters,
    TissueState,
    readouts,
    tissue_rates,
)

# Classic Runge-Kutta: how far into the step each stage looks, and whether its slope is first, in the middle, or last.
_STAGES = ((0.0, 1.0, 0.0, 0.0), (0.5, 0.0, 1.0, 0.0), (0.5, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 1.0))


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
    shown = readouts(body.tissue, asked, body.cells.osteocytes, p.cells, p.tissue)
    return Report(body.cells, body.drugs, body.tissue, told, asked, shown, around)


def slope(body: Body, year: jax.Array, flows_per_d: jax.Array, life: LifeCourse, p: ModelParameters) -> Body:
    """d(body)/dt [1/day] at a time of the study clock [yr], under flows of drugs [unit of the drug a day] (drugs,)."""
    now = moment(body, year, life, p)
    moved = drug_rates(body.drugs, now.signals.births, p.drugs)
    return Body(
        cells=rates(body.cells, now.surroundings, p.cells, now.signals),
        drugs=jax.tree.map(operator.add, moved, drug_intake(flows_per_d, p.drugs)),
        tissue=tissue_rates(body.tissue, now.signals.births, now.demand, body.cells.osteocytes, p.cells, p.tissue),
    )


def dosed(body: Body, doses: jax.Array, p: ModelParameters) -> Body:
    """The body once doses [unit of the drug] (drugs,) are in it; the same to the last bit if they are 0."""
    return dataclasses.replace(body, drugs=jax.tree.map(operator.add, body.drugs, drug_intake(doses, p.drugs)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Step:
    """One step: when it begins, its length [yr], doses at its beginning, flows during it [1/day]; (drugs,) each."""

    start_yr: jax.Array
    step_yr: jax.Array
    doses: jax.Array
    flows_per_d: jax.Array


Unpack = Callable[[jax.Array], Body]
_Four = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def slopes(packed: jax.Array, step: Step, life: LifeCourse, p: ModelParameters, unpacked: Unpack) -> jax.Array:
    """The slopes [1/day] of a step: the first, the sum of the two in the middle, the last (3, states).

    Args:
        packed: the body with the doses in it, as one array.
        step, life, p, unpacked: whose, and when.

    The stages are a loop, not four copies, and the body one array, not dozens: the compiler and the processor then
    need a quarter of the time. No array in the loop is larger than the body, so that it runs without handing small
    work from thread to thread.
    """
    step_d = step.step_yr * DAYS_PER_YEAR

    def stage(so_far: _Four, place: jax.Array) -> tuple[_Four, None]:
        before, first, middle, last = so_far
        into, *share = place
        at = unpacked(packed + step_d * into * before)
        here, _ = ravel_pytree(slope(at, step.start_yr + into * step.step_yr, step.flows_per_d, life, p))
        return (here, first + share[0] * here, middle + share[1] * here, last + share[2] * here), None

    rest = jnp.zeros_like(packed)
    found, _ = jax.lax.scan(stage, (rest, rest, rest, rest), jnp.asarray(_STAGES, dtype=packed.dtype))
    return jnp.stack(found[1:])


def arrived(packed: Any, three: Any, step_yr: Any, share: Any = 1.0) -> Any:
    """The packed body when a share of a step has passed: the cubic through the slopes of the method.

    Not moved by a bit where every slope is zero. Works on NumPy's arrays as on JAX's.

    Args:
        packed: at the beginning, with the doses in it (states,).
        three: `slopes`, a leading axis (3,).
        step_yr: length of the step.
        share: 0 to 1.
    """
    first = share * (1 - share * (3 / 2 - share * 2 / 3))
    middle = share * share * (1 - share * 2 / 3)
    last = share * share * (share * 2 / 3 - 1 / 2)
    return packed + step_yr * DAYS_PER_YEAR * (first * three[0] + middle * three[1] + last * three[2])
