"""Osteocytes and damage of a whole volume against single voxels that are followed day by day."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from microct.state import Worn
from microct.tissue import wear
from microct.tissue.osteocytes import MOST_DAMAGE, Deaths, Law

SHAPE = (7, 5, 9)
STEP_YR = 10.0 / 365.25
STEPS = 120
LAW = Law(2.0, 0.05)
DEATH = np.linspace(0.01, 0.04, STEPS)


@pytest.fixture
def bone() -> tuple[np.ndarray, np.ndarray]:
    """(bone fraction, step of formation)."""
    rng = np.random.default_rng(1)
    formed = np.where(rng.random(SHAPE) < 0.5, 0, rng.integers(1, STEPS, SHAPE))
    return rng.integers(0, 256, SHAPE).astype(np.uint8), formed.astype(np.uint16)


def time_of(step: int, since: int, at_first: float) -> wear.Time:
    deaths = Deaths.of(DEATH, STEP_YR, at_first)
    survives = jnp.asarray(deaths.survives(step))
    return wear.Time(jnp.int32(since), jnp.int32(step), survives, jnp.float32(at_first), jnp.float32(STEP_YR))


def followed(formed: int, start: tuple[float, float, float], since: int, step: int) -> tuple[float, float]:
    """The definition: (alive, damage) of one voxel, each step cut into a hundred."""
    stood = formed == 0 or formed < since  # a look at ``since`` comes before the work of that step
    alive, damage, rate = start if stood else (1.0, 0.0, start[2])
    parts = 100
    for k in range(since if stood else formed, step):
        for _ in range(parts):
            alive *= 1.0 - (DEATH[k] + LAW.death_per_yr * damage) * STEP_YR / parts
            damage += rate * STEP_YR / parts
    return alive, min(damage, MOST_DAMAGE)


def test_every_voxel_is_as_if_it_were_followed(bone: tuple[np.ndarray, np.ndarray]) -> None:
    formed = bone[1]
    rng = np.random.default_rng(2)
    start = np.stack([rng.uniform(0.5, 1.0, SHAPE), rng.uniform(0.0, 3.0, SHAPE), rng.uniform(0.0, 2.0, SHAPE)])
    worn = Worn(*(jnp.asarray(field, jnp.float16) for field in start))
    alive, damage = map(np.asarray, wear.now(formed, worn, time_of(100, 40, 0.9), LAW))
    for place in np.ndindex(SHAPE):
        held = tuple(float(field[place]) for field in worn)
        expected = followed(int(formed[place]), held, 40, 100) if formed[place] <= 100 else (1.0, 0.0)
        assert alive[place] == pytest.approx(expected[0], rel=2e-3)
        assert damage[place] == pytest.approx(expected[1], rel=1e-4, abs=1e-6)


def test_without_damage_the_step_of_formation_tells_all(bone: tuple[np.ndarray, np.ndarray]) -> None:
    fraction, formed = bone
    alive, damage = map(np.asarray, wear.now(formed, None, time_of(110, 0, 0.85), LAW))
    assert (damage == 0.0).all()
    for place in np.argwhere(fraction >= 128):
        born = min(int(formed[tuple(place)]), 110)
        expected = np.exp(-DEATH[born:110].sum() * STEP_YR) * (0.85 if born == 0 else 1.0)
        assert alive[tuple(place)] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("edge", [1, 2, 3, 6, 20])
def test_cells_hold_the_sums_of_their_voxels(bone: tuple[np.ndarray, np.ndarray], edge: int) -> None:
    """Cells at the far border are cut off; each bone voxel reads its own cell again."""
    fraction = bone[0]
    rng = np.random.default_rng(3)
    inside = fraction >= 128
    alive, damage = (rng.random(SHAPE).astype(np.float32) for _ in range(2))
    sums = [np.asarray(part) for part in wear.cells(fraction, alive, damage, edge)]
    grid = tuple(-(-n // edge) for n in SHAPE)
    expected = np.zeros((3, *grid))
    for place in np.ndindex(SHAPE):
        cell = tuple(k // edge for k in place)
        if inside[place]:
            expected[(slice(None), *cell)] += 1.0, 1.0 - alive[place], damage[place]
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-5)
    values = rng.integers(0, 200, grid).astype(np.uint8)
    spread = np.asarray(wear.over_voxels(fraction, values, jnp.uint8(64), edge))
    for place in np.ndindex(SHAPE):
        assert spread[place] == (values[tuple(k // edge for k in place)] if inside[place] else 64)


def test_sums_over_rows_weigh_by_bone_fraction(bone: tuple[np.ndarray, np.ndarray]) -> None:
    fraction = bone[0]
    ones = np.ones(SHAPE, np.float32)
    held, alive, damage = (np.asarray(rows).sum() for rows in wear.weighed(fraction, ones, 2.0 * ones))
    assert held == alive == damage / 2.0 == fraction[fraction >= 128].sum(dtype=np.int64)


def test_a_voxel_that_is_taken_in_part_keeps_its_cells_until_it_is_refilled() -> None:
    """A look while a BMU is at work, and one after it: as if nobody had looked in between."""
    formed = np.full(SHAPE, 30, np.uint16)
    held = Worn(*(jnp.full(SHAPE, value, jnp.float16) for value in (0.9, 1.5, 0.5)))
    now = wear.now(formed, held, time_of(60, 40, 0.9), LAW)
    looked = wear.kept(*now, held.rate, jnp.uint32(1), jnp.int32(60))
    twice = wear.now(formed, looked, time_of(100, 60, 0.9), LAW)
    once = wear.now(formed, held, time_of(100, 40, 0.9), LAW)
    for one, other in zip(twice, once, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=3e-3)


def test_bone_formed_right_after_a_look_is_new() -> None:
    """Whoever looks sees the bone of the steps before; what the next step forms has living cells and no damage."""
    held = Worn(*(jnp.full((1, 1, 3), value, jnp.float16) for value in (0.6, 5.0, 0.0)))
    formed = np.array([[[39, 40, 41]]], np.uint16)
    alive, damage = (np.asarray(part)[0, 0] for part in wear.now(formed, held, time_of(42, 40, 0.9), LAW))
    assert alive[0] < 0.61 < 0.99 < alive[1] < alive[2]
    assert damage[0] == 5.0 > damage[1] == damage[2] == 0.0


def test_what_is_kept_is_right_on_the_mean_however_often_it_is_looked_at() -> None:
    """A year of daily looks: one day's deaths are a tenth of what float16 tells apart."""
    shape, days, rate = (8, 16, 32), 365, 0.02
    formed = np.zeros(shape, np.uint16)
    held = wear.kept(jnp.full(shape, 0.9), jnp.full(shape, 2.0), jnp.full(shape, 0.1), jnp.uint32(3), jnp.int32(0))
    for day in range(1, days + 1):
        survives = jnp.full(days + 2, np.exp(-rate / days), jnp.float32)
        time = wear.Time(jnp.int32(day), jnp.int32(day + 1), survives, jnp.float32(0.9), jnp.float32(1.0 / days))
        now = wear.now(formed, held, time, Law(2.0, 0.0))
        held = wear.kept(*now, held.rate, jnp.uint32(3), jnp.int32(day))
    alive, damage = (np.asarray(part, float) for part in held[:2])
    assert alive.mean() == pytest.approx(0.9 * np.exp(-rate), abs=2e-3)
    assert damage.mean() == pytest.approx(2.0 + 0.1, abs=4e-3)
    assert alive.std() < 0.02  # each voxel stays near what it should be


def test_what_float16_holds_is_kept_as_it_is() -> None:
    whole = np.array([[[1.0, 0.5, 0.0, 0.25, 3.0]]], np.float32)
    for step in range(5):
        looked = wear.kept(whole, whole, whole, jnp.uint32(9), jnp.int32(step))
        for field in looked:
            np.testing.assert_array_equal(np.asarray(field, np.float32), whole)
