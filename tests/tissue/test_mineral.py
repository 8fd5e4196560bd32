"""Mineral by age: limits, the steady population in closed form, and the distribution that a run's ages make."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from microct.status import InputError, StudyError
from microct.tissue import formed, mineral
from microct.tissue.bmdd import TissueAges, bmdd, calcium_map, tissue_ages
from microct.tissue.mineral import HEALTHY_TURNOVER_PER_YR, MineralLaw
from microct.tissue.past import HEALTHY, Past

LAW = MineralLaw()
#: Of the cell model's woman of 65 to 75: Ac.f 0.3 /yr x wall 45 um x BS/BV 16 /mm.
OLD_TURNOVER_PER_YR = 0.3 * 0.045 * 16.0


def integral(turnover: float, idle: float = 0.0) -> float:
    """Integral of m(a + idle) f exp(-f a) by quadrature."""
    start = max(LAW.lag_years - idle, 0.0)
    marks = [start, start + 0.1, start + 1.0, start + 10.0, start + 60.0 / turnover]
    pieces = itertools.pairwise(marks)
    return sum(
        integrate.quad(lambda a: float(LAW.calcium(a + idle)) * turnover * np.exp(-turnover * a), *piece)[0]
        for piece in pieces
    )


@given(st.floats(1e-3, 1e3))
def test_exponential_integral(x: float) -> None:
    assert mineral.scaled_e1(x) == pytest.approx(
        float(special.exp1(x) * np.exp(x)) if x < 600 else 1 / (x + 1), rel=1e-5
    )


@pytest.mark.parametrize("turnover", [0.02, 0.1, 0.2, 1.0])
@pytest.mark.parametrize("idle", [0.0, 0.01, 1.0, 30.0])
def test_mean_of_a_steady_population_is_the_integral_over_its_ages(turnover: float, idle: float) -> None:
    assert LAW.steady_calcium(turnover, idle) == pytest.approx(integral(turnover, idle), rel=1e-6)


def test_half_the_turnover_raises_the_mean_by_the_analytic_amount() -> None:
    """A population followed event by event comes to the closed form at both turnovers."""
    random = np.random.default_rng(3)
    means = []
    for turnover in (0.2, 0.1):
        age, step = random.exponential(1 / turnover, 40_000), 0.05
        for _ in range(400):
            age = np.where(
                random.random(age.size) < 1 - np.exp(-turnover * step), random.random(age.size) * step, age + step
            )
        means.append(float(LAW.calcium(age).mean()))
    rise = means[1] - means[0]
    assert rise == pytest.approx(LAW.steady_calcium(0.1) - LAW.steady_calcium(0.2), abs=0.06)
    assert rise > 0.5


def test_three_years_of_less_turnover_raise_calcium_as_measured() -> None:
    """Zoledronate: turnover to 0.37 of an old woman's, mean calcium +3.2 % in three years (HORIZON); fitted."""
    before = LAW.steady_calcium(OLD_TURNOVER_PER_YR)
    after = Past(OLD_TURNOVER_PER_YR, ((OLD_TURNOVER_PER_YR * 0.37, 3.0),)).calcium(LAW)
    assert 100 * (after / before - 1) == pytest.approx(3.2, abs=0.1)


def test_calcium_hardly_knows_that_turnover_has_doubled() -> None:
    """Women of 25 to 95 do not differ in mean calcium, with a standard deviation below 2.1 % (Roschger 2003)."""
    change = LAW.steady_calcium(OLD_TURNOVER_PER_YR) / LAW.steady_calcium(HEALTHY_TURNOVER_PER_YR) - 1
    assert -2 * 0.021 < change < -0.021 / 2


def test_calcium_waits_rises_and_stays_below_its_limit() -> None:
    assert LAW.calcium(np.array([0.0, 11.9 / 365.25])).max() == 0.0
    ages = np.geomspace(0.04, 1e6, 200)
    assert (np.diff(LAW.calcium(ages)) > 0).all()
    assert float(LAW.calcium(1e9)) == pytest.approx(31.1, abs=1e-3)


def test_density_and_modulus_are_those_of_their_mixture() -> None:
    assert mineral.tissue_density(0.0) == 0.0
    # Mineral and its mixture weigh what the calcium says.
    share = float(mineral.mineral_share(22.0))
    organic, resin = mineral.ORGANIC_SHARE, 1 - mineral.ORGANIC_SHARE - share
    mass = 3.2 * share + 1.1 * organic + mineral.RESIN_DENSITY * resin
    assert 3.2 * share / mass * mineral.CALCIUM_IN_HYDROXYAPATITE == pytest.approx(0.22)
    ash = 3.2 * share / (3.2 * share + 1.1 * organic)
    assert float(mineral.tissue_modulus(22.0)) == pytest.approx(84370 * ash**2.74)
    assert 850 < float(mineral.tissue_density(22.0)) < 1100


@pytest.mark.parametrize("on_device", [False, True])
def test_ages_of_a_run(monkeypatch, on_device) -> None:  # type: ignore[no-untyped-def]
    """The scan's bone is a steady population that has aged; bone of a step is as old as the run since then."""
    monkeypatch.setattr(formed, "has_accelerator", lambda: on_device)
    fraction = np.zeros((4, 4, 4), np.uint8)
    formed_on = np.zeros(fraction.shape, np.uint16)
    fraction[0], fraction[1], formed_on[1] = 255, 51, 80
    ages = tissue_ages(fraction, formed_on, 100, 10.0)
    assert ages.bone == pytest.approx(16 + 3.2)
    years = 1000 / 365.25
    expected = 16 * LAW.steady_calcium(HEALTHY_TURNOVER_PER_YR, years) + 3.2 * float(LAW.calcium(195 / 365.25))
    assert ages.mean(LAW.calcium(ages.age_yr)) * ages.bone == pytest.approx(expected, rel=2e-3)
    with pytest.raises(InputError, match="after the last step"):
        tissue_ages(fraction, formed_on, 50, 10.0)


@pytest.mark.parametrize("on_device", [False, True])
def test_bone_is_counted_by_the_step_in_which_it_was_formed(monkeypatch, on_device) -> None:  # type: ignore[no-untyped-def]
    """Chunk by chunk on the host, plane by plane on a device; the last step is told, also where it is too late."""
    monkeypatch.setattr(formed, "has_accelerator", lambda: on_device)
    monkeypatch.setattr(formed, "_CHUNK", 100)
    random = np.random.default_rng(3)
    fraction = (random.integers(0, 256, (6, 7, 8)) * (random.random((6, 7, 8)) < 0.7)).astype(np.uint8)
    for latest in (1, 511, 900):
        formed_on = (random.integers(0, latest + 1, fraction.shape)).astype(np.uint16)
        formed_on[0, 0, 0], fraction[0, 0, 0], formed_on[0, 0, 1], fraction[0, 0, 1] = latest, 9, 60000, 0
        for steps in (300, latest):
            expected = np.bincount(formed_on.ravel(), fraction.ravel(), steps + 2)
            mass, last = formed.mass_by_step(fraction, formed_on, steps)
            assert last == latest
            if latest < steps + 2:
                np.testing.assert_array_equal(mass, expected[: steps + 2])


def test_the_map_of_calcium_has_the_mean_of_the_ages() -> None:
    random = np.random.default_rng(8)
    fraction = random.integers(0, 256, (6, 7, 8)).astype(np.uint8)
    formed_on = (random.integers(0, 300, fraction.shape) * (random.random(fraction.shape) < 0.5)).astype(np.uint16)
    ages = tissue_ages(fraction, formed_on, 300, 10.0)
    local = calcium_map(formed_on, 300, 10.0)
    mean = float((local * fraction).sum(dtype=np.float64)) / int(fraction.sum(dtype=np.int64))
    assert mean == pytest.approx(ages.mean(LAW.calcium(ages.age_yr)), rel=1e-4)
    with pytest.raises(InputError, match="after the last step"):
        calcium_map(formed_on, 100, 10.0)


def test_distribution_of_a_healthy_population() -> None:
    """Peak fitted; mean and width are compared with what is measured in healthy adults (22.2 and 3.35 wt %)."""
    found = bmdd(TissueAges(HEALTHY.ages(), np.ones(512)))
    assert found.peak == pytest.approx(22.94, abs=0.1)
    assert found.mean == pytest.approx(LAW.steady_calcium(HEALTHY_TURNOVER_PER_YR), rel=1e-3)
    assert found.mean == pytest.approx(22.2, abs=0.45)
    assert 1.8 < found.width < 3.7
    assert found.share.sum() == pytest.approx(100.0)
    middles = 0.5 * (found.edges[1:] + found.edges[:-1])
    assert float(middles @ found.share) / 100 == pytest.approx(found.mean, abs=0.05)
    fast = bmdd(TissueAges(Past(3 * HEALTHY_TURNOVER_PER_YR).ages(), np.ones(512)))
    assert fast.mean < found.mean
    assert fast.low > found.low
    assert fast.density < found.density
    assert np.isnan(bmdd(TissueAges(np.zeros(0), np.zeros(0))).mean)


def test_refusals() -> None:
    with pytest.raises(StudyError, match="turnover"):
        LAW.steady_calcium(0.0)
    with pytest.raises(StudyError, match="above 0"):
        MineralLaw(fast_years=0.0)
