"""A body through all its steps: every state kept, or looked at from time to time; one compiled program each."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from microct.signalling.drugs.pharmacy import DrugState
from microct.signalling.integration import (
    Body,
    LifeCourse,
    ModelParameters,
    Report,
    Step,
    Unpack,
    arrived,
    dosed,
    moment,
    slopes,
)
from microct.signalling.marrow import fat_target
from microct.signalling.state import healthy_state
from microct.signalling.tissue import healthy_tissue


def healthy_body() -> Body:
    """A healthy young woman without a drug; arrays of the default precision."""
    drugs: DrugState = jax.tree.map(jnp.asarray, DrugState())
    return Body(healthy_state(), drugs, healthy_tissue())


def young_body(age_yr: Any, p: ModelParameters) -> Body:
    """A healthy body without a drug, with the marrow fat of an age [yr]; of the precision of the constants."""
    body = healthy_body()
    fat = fat_target(jnp.zeros_like(p.cells.fat_healthy), jnp.asarray(age_yr, jnp.asarray(p.cells.fat_healthy).dtype),
                     p.cells) / p.cells.fat_healthy  # fmt: skip
    return dataclasses.replace(body, cells=dataclasses.replace(body.cells, marrow_fat=fat))


def _packed(body: Body, p: ModelParameters) -> tuple[jax.Array, Unpack]:
    packed, unpacked = ravel_pytree(body)
    return packed.astype(jnp.result_type(*jax.tree.leaves(p))), unpacked


@jax.jit
def walked(
    steps: Step, count: Any, first_year: Any, life: LifeCourse, p: ModelParameters
) -> tuple[jax.Array, jax.Array]:
    """The packed body at the beginning of every step, with the doses of that time, and the slopes of every step.

    Args:
        steps: arrays (n, ...), of which the first ``count`` are taken.
        count: how many steps.
        first_year: of the study clock, at which she is healthy.
        life: age, menopause, estrogen course on the study clock.
        p: constants.

    Returns:
        (n, states) and (n, 3, states).
    """
    packed, unpacked = _packed(young_body(life.age_at_start_yr + first_year, p), p)
    many = steps.step_yr.shape[0]
    room = jnp.zeros((many, packed.size), packed.dtype), jnp.zeros((many, 3, packed.size), packed.dtype)

    def one(place: jax.Array, so_far: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        packed, begins, moves = so_far
        step = jax.tree.map(lambda part: part[place], steps)
        begin, _ = ravel_pytree(dosed(unpacked(packed), step.doses, p))
        three = slopes(begin, step, life, p, unpacked)
        return arrived(begin, three, step.step_yr), begins.at[place].set(begin), moves.at[place].set(three)

    return jax.lax.fori_loop(0, count, one, (packed, *room))[1:]


@jax.jit
def seen(bodies: Any, years: Any, life: LifeCourse, p: ModelParameters) -> Report:
    """What is seen of packed bodies (n, states) at times of the study clock (n,): reports (n,)."""
    _, unpacked = _packed(healthy_body(), p)
    return jax.vmap(lambda packed, year: moment(unpacked(packed), year, life, p))(bodies, years)


@partial(jax.jit, static_argnames=("first_year",))
def trajectory(life: LifeCourse, p: ModelParameters, steps: Step, first_year: int) -> Report:
    """One woman's years as a pure function of her constants: mapped over thousands, and differentiated.

    Args:
        life: age, menopause, estrogen course on the study clock.
        p: constants, as `cell_course.prepared` gives.
        steps: in rows, one for each sampling interval (`timeline.by_sample`).
        first_year: year of the study clock at which she is taken to be healthy.

    Returns:
        The report at the beginning of each sampling interval, before doses of that time.
    """
    packed, unpacked = _packed(young_body(life.age_at_start_yr + first_year, p), p)
    steps = jax.tree.map(lambda part: jnp.asarray(part).astype(packed.dtype), steps)

    def one(packed: jax.Array, step: Step) -> tuple[jax.Array, None]:
        def go(packed: jax.Array) -> jax.Array:
            begin, _ = ravel_pytree(dosed(unpacked(packed), step.doses, p))
            return arrived(begin, slopes(begin, step, life, p, unpacked), step.step_yr)  # type: ignore[no-any-return]

        return jax.lax.cond(step.step_yr > 0, go, lambda packed: packed, packed), None

    def sampled(packed: jax.Array, row: Step) -> tuple[jax.Array, Report]:
        end, _ = jax.lax.scan(one, packed, row)
        return end, moment(unpacked(packed), row.start_yr[0], life, p)

    return jax.lax.scan(sampled, packed, steps)[1]
