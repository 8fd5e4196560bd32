"""One woman's years as a pure function of her constants: mapped over thousands, and differentiated.

The same equations and the same integrator as `course`, with steps of four days (error below 1e-3 of a fold) and
nothing kept but what is sampled. `course` remains the one for a study.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from microct.signalling.cell_course import young_body
from microct.signalling.integration import LifeCourse, ModelParameters, Report, moment, runge_kutta

STEPS_PER_YEAR = 92  # 3.97 day; osteoclasts die with a time constant of 4 days at the shortest
SAMPLES_PER_YEAR = 4


@partial(jax.jit, static_argnames=("first_year", "samples_per_year"))
def trajectory(
    life: LifeCourse, p: ModelParameters, doses_per_d: jax.Array, first_year: int, samples_per_year: int = 4
) -> Report:
    """The body at every sample of its years.

    Args:
        life: age, menopause, estrogen course on the study clock.
        p: constants, as `cell_course.prepared` gives.
        doses_per_d: (years, steps, drugs) as `schedule.doses_per_day` gives; ``steps`` a multiple of the samples.
        first_year: year of the study clock at which she is taken to be healthy (0 or before).
        samples_per_year: how often she is looked at.

    Returns:
        The report at the beginning of each sampling interval: leading axis years * samples_per_year.
    """
    years, steps, drugs = doses_per_d.shape
    body = young_body(life.age_at_start_yr + first_year, p)
    packed, unpacked = ravel_pytree(body)
    packed = packed.astype(jnp.result_type(*jax.tree.leaves(p)))
    given = doses_per_d.reshape(years * samples_per_year, steps // samples_per_year, drugs).astype(packed.dtype)
    starts = first_year * steps + jnp.arange(years * steps).reshape(given.shape[:2])

    def one(packed: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        step, dose = at
        start = (step / steps).astype(packed.dtype)
        return runge_kutta(packed, start, dose, 1 / steps, life, p, unpacked), None

    def sampled(packed: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, Report]:
        end, _ = jax.lax.scan(one, packed, at)
        return end, moment(unpacked(packed), (at[0][0] / steps).astype(packed.dtype), life, p)

    _, seen = jax.lax.scan(sampled, packed, (starts, given))
    return seen
