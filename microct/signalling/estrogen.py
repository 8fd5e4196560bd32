"""The course of estradiol over a life: none, natural, early or surgical menopause; healthy premenopause = 1."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from microct.signalling.parameters import CellParameters

COURSES = ("none", "natural", "early", "surgical")
NONE, SURGICAL = COURSES.index("none"), COURSES.index("surgical")


def natural_course(since_menopause_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Estradiol [1] around the final menstrual period; two logistic falls.

    Sowers 2008 (sizes), Randolph 2011 (timing): E = 1 - .674 S(y/.55) - .097 S((y-7)/.5).

    Args:
        since_menopause_yr: years since the final menstrual period.
    """
    first = p.menopause_fall * jax.nn.sigmoid(since_menopause_yr / p.menopause_width_yr)
    second = p.late_fall * jax.nn.sigmoid((since_menopause_yr - p.late_fall_time_yr) / p.late_fall_width_yr)
    return 1 - first - second


def surgical_course(since_menopause_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Estradiol [1] around removal of both ovaries: E = .10 + .90 exp(-y/.02), and 1 before.

    Args:
        since_menopause_yr: years since the operation.
    """
    gone = -jnp.expm1(-jnp.maximum(since_menopause_yr, 0) / p.surgical_decay_yr)
    return 1 - (1 - p.surgical_floor) * gone


def estradiol(course: jax.Array | int, since_menopause_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Estradiol [1] of a course, given by its place in `COURSES`: a number, so that one program serves them all.

    An early menopause has the natural course at an earlier age.
    """
    natural = natural_course(since_menopause_yr, p)
    surgical = surgical_course(since_menopause_yr, p)
    return jnp.where(course == NONE, 1, jnp.where(course == SURGICAL, surgical, natural))


def estrogen_deficit(course: jax.Array | int, since_menopause_yr: jax.Array, p: CellParameters) -> jax.Array:
    """D = 1 - E [1], what every mechanism of this room responds to; 0 in health."""
    return p.estrogen_response * (1 - estradiol(course, since_menopause_yr, p))
