"""Outcomes are differentiable with respect to constants, forwards and backwards, under a drug as without."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from microct.signalling import Patient, Treatment
from microct.signalling.cell_course import prepared
from microct.signalling.estrogen import COURSES
from microct.signalling.integration import LifeCourse, Step
from microct.signalling.timeline import grid_of_crowds
from microct.signalling.walk import trajectory

NAMES = ("th17_gain", "stromal_rankl_gain", "osteoclast_life_gain", "wall_exponent", "osteocyte_apoptosis_gain")
POTENCY = "potency_l_per_ug"


def outcomes(factors: jax.Array, treatments: list[Treatment]) -> jax.Array:
    """Spine density and births after four years, for factors of `NAMES` and of the potency of denosumab."""
    p = prepared(Patient("natural", 50.0, 1.0))
    own = {name: getattr(p.cells, name) * factor for name, factor in zip(NAMES, factors[:-1], strict=True)}
    antibody = dataclasses.replace(p.drugs.denosumab, **{POTENCY: p.drugs.denosumab.potency_l_per_ug * factors[-1]})
    p = dataclasses.replace(
        p, cells=dataclasses.replace(p.cells, **own), drugs=dataclasses.replace(p.drugs, denosumab=antibody)
    )
    p = jax.tree.map(lambda value: jnp.asarray(value, jnp.float64), p)
    life = LifeCourse(jnp.asarray(50.0), jnp.asarray(1.0), jnp.asarray(COURSES.index("natural")))
    at = trajectory(life, p, Step(**vars(grid_of_crowds(treatments, -2, 4, 12))), -2)
    return jnp.stack([at.readouts.spine_bmd[-1], at.demand.activation_frequency_per_yr[-1]])


@pytest.mark.slow
@pytest.mark.parametrize("treated", [False, True])
def test_derivatives_are_those_of_small_differences(treated):
    treatments = [Treatment("denosumab", 2.0, 3.0)] if treated else []
    with jax.enable_x64(True):
        usual = jnp.ones(len(NAMES) + 1)
        value = jax.jit(lambda factors: outcomes(factors, treatments))
        forwards = np.asarray(jax.jacfwd(value)(usual))
        small = 1e-4 * np.eye(usual.size)
        differences = np.array([(value(usual + one) - value(usual - one)) / 2e-4 for one in small]).T
        if treated:
            np.testing.assert_allclose(np.asarray(jax.jacrev(value)(usual)), forwards, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(forwards, differences, rtol=1e-4, atol=1e-7)
    assert np.all(forwards[:, :-1][0] != 0)  # each constant moves the spine
    assert (forwards[0, -1] != 0) == treated
