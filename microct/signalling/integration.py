"""Years of the cell model on a fixed grid of half days: classic Runge-Kutta of fourth order in a scan.

The grid hangs on the study clock: step n is n / 732 years after the start, whatever was asked for. A year is one
compiled block, and a longer course runs more of the same blocks, so that a number never depends on how far or how
often the course was sampled. Everything that is reported is computed inside the scan, one step at a time, for the
same reason: an array of another length may be rounded differently.

Double precision: marrow fat and osteocytes move by 1e-5 in a step, and single precision, which resolves 6e-8, stalls
about 1e-4 before they arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from microct.signalling.demand import Demand, demand
from microct.signalling.estrogen import estrogen_deficit
from microct.signalling.parameters import DAYS_PER_YEAR, CellParameters
from microct.signalling.rates import Signals, Surroundings, rates, signals
from microct.signalling.state import CellState

STEPS_PER_YEAR = 732  # 0.499 day; 61 steps a month
STEP_D = DAYS_PER_YEAR / STEPS_PER_YEAR


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
class Report:
    """Everything that one step shows: the cells, their signals, what they ask of the bone, what they live in."""

    cells: CellState
    signals: Signals
    demand: Demand
    surroundings: Surroundings


def surroundings(step: jax.Array, life: LifeCourse, p: CellParameters) -> Surroundings:
    """Deficit and age at a step of the study clock (half steps are allowed)."""
    time_yr = step / STEPS_PER_YEAR
    deficit = estrogen_deficit(life.estrogen_course, time_yr - life.menopause_yr, p)
    return Surroundings(estrogen_deficit=deficit, age_yr=life.age_at_start_yr + time_yr)


def runge_kutta(cells: CellState, step: jax.Array, life: LifeCourse, p: CellParameters) -> CellState:
    """The cells one step later; not moved by a bit where every rate is zero.

    The stages are a loop, not four copies: the compiler then needs seconds less.
    """

    def plus(by: jax.Array | float, slope: CellState, to: CellState) -> CellState:
        return jax.tree.map(lambda x, dx: x + by * dx, to, slope)

    def stage(so_far: tuple[CellState, CellState], place: jax.Array) -> tuple[tuple[CellState, CellState], None]:
        total, slope = so_far
        into, weight = place
        at = plus(STEP_D * into, slope, cells)
        slope = rates(at, surroundings(step + into, life, p), p)
        return (plus(weight, slope, total), slope), None

    rest = jax.tree.map(jnp.zeros_like, cells)
    (mean_slope, _), _ = jax.lax.scan(stage, (rest, rest), jnp.asarray(_STAGES, dtype=cells.th17.dtype))
    return plus(STEP_D, mean_slope, cells)


@partial(jax.jit, static_argnames="steps")
def advance(
    cells: CellState,
    first_step: jax.Array,
    life: LifeCourse,
    p: CellParameters,
    *,
    steps: int = STEPS_PER_YEAR,
) -> tuple[CellState, Report]:
    """A block of steps.

    Args:
        cells: the cells at ``first_step``.
        first_step: steps since the start of the study; negative before it.
        life: age, menopause and estrogen course on the study clock.
        p: constants of the model.
        steps: length of the block.

    Returns:
        The cells after the block, and the report at the beginning of each step (leading axis ``steps``).
    """

    def one(cells: CellState, step: jax.Array) -> tuple[CellState, Report]:
        around = surroundings(step, life, p)
        told = signals(cells, around, p)
        report = Report(cells=cells, signals=told, demand=demand(cells, told, p), surroundings=around)
        return runge_kutta(cells, step, life, p), report

    return jax.lax.scan(one, cells, first_step + jnp.arange(steps))
