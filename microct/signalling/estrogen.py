"""The course of estradiol over a life: none, natural, early or surgical menopause; healthy premenopause = 1."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.signalling.parameters import CellParameters

COURSES = ("none", "natural", "early", "surgical")
NONE, SURGICAL = COURSES.index("none"), COURSES.index("surgical")


def natural_course(since_menopause_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Estradiol [1] around the final menstrual period; two logistic falls of its logarithm.

    It is the logarithm that the cohorts follow: Burger 1999 (logistic in time), Sowers 2008 (sizes), and the timing is
    that of Randolph 2011: E = .326^S(y/.55) (.229/.326)^S((y-7)/.5).

    Args:
        since_menopause_yr: years since the final menstrual period.
    """
    early = 1 - p.menopause_fall
    late = early - p.late_fall
    first = jnp.log(early) * jax.nn.sigmoid(since_menopause_yr / p.menopause_width_yr)
    second = jnp.log(late / early) * jax.nn.sigmoid((since_menopause_yr - p.late_fall_time_yr) / p.late_fall_width_yr)
    return jnp.exp(first + second)


def surgical_course(since_menopause_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Estradiol [1] around removal of both ovaries: E = floor + (1 - floor) exp(-y / decay), 1 before.

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


def with_body_mass(p: CellParameters, bmi_kg_m2: Any) -> CellParameters:
    """The constants of a woman of this body mass index: fat makes estrogen, which matters once the ovaries do not.

    What is left of estradiol after menopause or operation is times exp(estrogen_per_bmi (bmi - bmi_of_sources)),
    but at most to its level before. The course of a young woman is hers as it is.

    Args:
        p: constants of women of ``p.bmi_of_sources``.
        bmi_kg_m2: a number or (n,) body mass index [kg/m2].
    """
    fold = np.exp(p.estrogen_per_bmi * (bmi_kg_m2 - p.bmi_of_sources))
    early = np.minimum((1 - p.menopause_fall) * fold, 1.0)
    late = np.minimum((1 - p.menopause_fall - p.late_fall) * fold, early)
    without_ovaries = np.minimum(p.surgical_floor * fold, 1.0)
    return dataclasses.replace(p, menopause_fall=1 - early, late_fall=early - late, surgical_floor=without_ovaries)
