"""Healthy cells stand still, and no cell count ever turns negative."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct.signalling import CellParameters, Patient, course, healthy_demand, parameter_table
from microct.signalling.drugs import DRUGS
from microct.signalling.estrogen import COURSES
from microct.signalling.integration import LifeCourse, ModelParameters, Report, Step, slope
from microct.signalling.parameters import checked
from microct.signalling.rates import Surroundings, rates
from microct.signalling.state import CellState, healthy_state
from microct.signalling.timeline import STEPS_PER_YEAR, by_sample, grid
from microct.signalling.walk import healthy_body, trajectory
from microct.status import StudyError

YEARS = np.linspace(0.0, 30.0, 61)


@pytest.mark.parametrize("double", [False, True])
def test_every_rate_is_exactly_zero_in_health(double):
    with jax.enable_x64(double):
        p = dataclasses.replace(CellParameters(), ageing_response=0.0)
        around = Surroundings(estrogen_deficit=jnp.zeros(()), age_yr=jnp.asarray(83.7))
        for name, rate in vars(rates(healthy_state(), around, p)).items():
            assert rate == 0.0, name


def test_each_population_is_pulled_back_to_health():
    p = dataclasses.replace(CellParameters(), ageing_response=0.0)
    around = Surroundings(estrogen_deficit=jnp.zeros(()), age_yr=jnp.asarray(50.0))
    for name in CellState.__dataclass_fields__:
        for off in (0.8, 1.2):
            disturbed = dataclasses.replace(healthy_state(), **{name: jnp.asarray(off)})
            assert (off - 1.0) * getattr(rates(disturbed, around, p), name) < 0, name


def test_thirty_healthy_years_move_nothing_by_a_bit():
    at = course(Patient("none", ageing=False), YEARS)
    healthy = healthy_demand()
    for series, still in (
        (at.activation_frequency_per_yr, healthy.activation_frequency_per_yr),
        (at.erosion_depth_um, healthy.erosion_depth_um),
        (at.wall_thickness_um, healthy.wall_thickness_um),
    ):
        assert np.array_equal(series, np.full(YEARS.size, still))
    for name, series in {**at.cells, **at.readouts}.items():
        assert np.array_equal(series, np.ones(YEARS.size)), name
    for name, series in {**at.drugs, "modeling": at.modeling_um_per_yr}.items():
        assert np.array_equal(series, np.zeros(YEARS.size)), name
    assert at.bone_balance_um.max() == at.bone_balance_um.min() == 0.0


@pytest.mark.parametrize("double", [False, True])
def test_every_rate_of_the_whole_body_is_exactly_zero_in_health(double):
    with jax.enable_x64(double):
        p = ModelParameters(cells=dataclasses.replace(CellParameters(), ageing_response=0.0))
        life = LifeCourse(50.0, 0.0, COURSES.index("none"))
        moved = slope(healthy_body(), jnp.asarray(21.3), jnp.zeros(len(DRUGS)), life, p)
        for path, rate in jax.tree_util.tree_leaves_with_path(moved):
            assert rate == 0.0, path


def test_single_precision_does_not_drift_either():
    p = ModelParameters(cells=dataclasses.replace(CellParameters(), ageing_response=0.0))
    p = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), p)
    life = LifeCourse(50.0, 0.0, COURSES.index("none"))
    steps = by_sample(grid((), 0, 3, (48, 48, 48)), 2)
    for name, value in vars(trajectory(life, p, Step(**vars(steps)), 0).cells).items():
        assert value.dtype == jnp.float32
        assert np.all(value == 1.0), name


def test_health_is_lost_when_a_constant_no_longer_balances():
    # The proof that the tests above can fail: a woman without estrogen is not at rest.
    around = Surroundings(estrogen_deficit=jnp.asarray(0.1), age_yr=jnp.asarray(50.0))
    moved = [rate != 0 for rate in vars(rates(healthy_state(), around, CellParameters())).values()]
    assert sum(moved) >= 7


PERTURBED = [
    constant.name
    for constant in parameter_table()
    if constant.name not in ("estrogen_response", "ageing_response", "menopause_fall", "late_fall")
]


@settings(max_examples=20, deadline=None)
@given(
    factors=st.lists(st.floats(0.5, 1.5), min_size=len(PERTURBED), max_size=len(PERTURBED)),
    menopause=st.sampled_from(COURSES),
    age=st.floats(30.0, 90.0),
)
def test_populations_stay_positive_whatever_the_constants(factors, menopause, age):
    usual = CellParameters()
    changes = {name: getattr(usual, name) * factor for name, factor in zip(PERTURBED, factors, strict=True)}
    shares = ("il6_from_neutrophils", "il6_from_macrophages")  # together they are at most the whole
    changes |= {name: min(changes[name], 0.5) for name in shares}
    p = checked(dataclasses.replace(usual, **changes))
    life = LifeCourse(jnp.asarray(age), jnp.asarray(0.5), jnp.asarray(COURSES.index(menopause)))
    steps = by_sample(grid((), 0, 2, (STEPS_PER_YEAR,) * 3), STEPS_PER_YEAR)  # every step is looked at
    _all_positive(trajectory(life, jax.tree.map(jnp.asarray, ModelParameters(cells=p)), Step(**vars(steps)), 0))


def _all_positive(report: Report) -> None:
    for part in (report.cells, report.tissue, report.signals, report.readouts, report.demand):
        for name, series in vars(part).items():
            assert np.all(np.isfinite(series)), name
            assert np.min(series) > 0 or name == "modeling_um_per_yr", name


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("treg_loss", 1.0, "below 1"),
        ("osteoclast_life_gain", float("nan"), "finite"),
        ("pth_per_yr", -0.1, "not negative"),
        ("fat_time_yr", 0.0, "above 0"),
        ("immune_time_d", 0.2, "at least 2 day"),
        ("estrogen_response", 2.0, "switch"),
        ("osteocyte_rankl_gene", 0.0, "above 0"),
        ("il6_from_macrophages", 0.7, "at most 1"),
        ("menopause_fall", 0.903, "below 1"),
    ],
)
def test_a_constant_that_would_break_positivity_is_refused(name, value, says):
    with pytest.raises(StudyError, match=says) as refusal:
        course(Patient(), [0.0], dataclasses.replace(CellParameters(), **{name: value}))
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)
