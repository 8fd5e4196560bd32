"""Osteocytes and damage against closed forms and against populations followed renewal by renewal."""

import numpy as np
import pytest

from microct.tissue.mineral import HEALTHY_TURNOVER_PER_YR
from microct.tissue.osteocytes import MOST_DAMAGE, Deaths, Law, targeted_weight

STEP_YR = 10.0 / 365.25
LAW = Law(2.0, 0.05)


def test_cells_of_new_bone_live_and_those_of_old_bone_die_at_the_given_rate() -> None:
    rate = np.concatenate([np.full(100, 0.01), np.full(100, 0.03)])
    survives = Deaths.of(rate, STEP_YR, 0.9).survives(180)
    assert len(survives) == 201
    assert (survives[180:] == 1.0).all()
    assert survives[150] == pytest.approx(np.exp(-0.03 * 30 * STEP_YR), rel=1e-5)
    assert survives[100] == pytest.approx(np.exp(-0.03 * 80 * STEP_YR), rel=1e-5)
    assert survives[1] == pytest.approx(np.exp(-(0.01 * 99 + 0.03 * 80) * STEP_YR), rel=1e-5)
    assert survives[0] == pytest.approx(np.exp(-(0.01 * 100 + 0.03 * 80) * STEP_YR), rel=1e-5)


def test_without_death_all_live() -> None:
    np.testing.assert_array_equal(Deaths.of(np.zeros(50), STEP_YR, 1.0).survives(50), 1.0)


def test_damage_without_remodeling_is_rate_times_time() -> None:
    """Benchmark: D = k SED^m t, whatever the times between two looks."""
    energy = np.array([0.5, 1.0, 2.0], np.float32)
    rate = LAW.rate(energy, 1.0)
    np.testing.assert_allclose(rate, HEALTHY_TURNOVER_PER_YR * energy**2, rtol=1e-6)
    alive, damage = np.ones(3), np.zeros(3)
    for years in (0.5, 1.5, 3.0, 5.0):
        alive, damage = LAW.later(alive, damage, rate, years, np.exp(-0.01 * years))
    np.testing.assert_allclose(damage, rate * 10.0, rtol=2e-6)
    # alive' = -(mu + k rate t) alive
    np.testing.assert_allclose(alive, np.exp(-0.01 * 10.0 - 0.05 * rate * 50.0), rtol=2e-6)


def test_damage_of_the_scan_is_one_on_the_mean_though_most_of_the_power_is_in_few_places() -> None:
    energy = np.random.default_rng(3).lognormal(0.0, 1.5, 20_000).astype(np.float32)
    power = energy.astype(np.float64) ** 2
    assert np.minimum(power / power.mean(), MOST_DAMAGE).mean() < 0.9
    steady = LAW.rate(energy, LAW.scale(energy)) / HEALTHY_TURNOVER_PER_YR
    assert steady.max() == MOST_DAMAGE
    assert steady.mean() == pytest.approx(1.0, rel=1e-4)
    even = np.full(50, 0.3, np.float32)
    assert LAW.scale(even) == pytest.approx(0.09, rel=1e-6)
    assert LAW.scale(np.zeros(50, np.float32)) == 1.0


def test_damage_under_remodeling_is_rate_over_turnover() -> None:
    """Benchmark: bone renewed at random at turnover f holds k SED^m / f; usual load at healthy turnover holds 1."""
    rng = np.random.default_rng(2)
    for turnover in (HEALTHY_TURNOVER_PER_YR, 2.0 * HEALTHY_TURNOVER_PER_YR):
        rate = np.asarray(LAW.rate(np.ones(50_000, np.float32), 1.0))
        damage = np.zeros(50_000)
        means = []
        for _ in range(400):
            damage = np.array(LAW.later(np.ones(50_000), damage, rate, 0.2, 1.0)[1])
            damage[rng.random(50_000) < -np.expm1(-turnover * 0.2)] = 0.0
            means.append(damage.mean())
        assert np.mean(means[-50:]) == pytest.approx(rate[0] / turnover, rel=0.03)


def test_the_share_that_places_call_is_as_stated() -> None:
    signal = np.array([0.0, 1.0, 4.0, -0.0])
    np.testing.assert_allclose(targeted_weight(signal, 0.3), [0.7, 1.0, 1.9, 0.7])
    np.testing.assert_array_equal(targeted_weight(signal, 0.0), 1.0)
