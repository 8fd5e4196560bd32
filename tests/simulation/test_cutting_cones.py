"""Osteonal BMUs: their tunnel by its definition, canals that stay at zero balance and widen at a negative one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from microct.kernels import cavity as cav
from microct.kernels.osteon import tunnel
from microct.remodeling.compartments import porosity
from microct.simulation import step
from microct.simulation.build import Model, build, first_state
from microct.simulation.config import Study
from microct.state import State
from microct.status import StudyError
from microct.volume import Volume

UM = 20.0
CANAL_UM, RADIUS_UM = 30.0, 90.0
QUIET_STEPS = 38


def compact() -> Volume:
    """1.2 mm along z and 1.28 mm across: 25 straight canals of 30 um radius, partial voxels where they cut them."""
    fine = 5
    across = (np.arange(64 * fine) + 0.5) * UM / fine
    nearest = (across[:, None, None] - (128.0 + 256.0 * np.arange(5))[None, :, None]) ** 2
    nearest = nearest.min(axis=1)[:, 0]
    solid = nearest[:, None] + nearest[None, :] > CANAL_UM**2
    plane = np.round(255.0 * solid.reshape(64, fine, 64, fine).mean(axis=(1, 3))).astype(np.uint8)
    return Volume.from_array(np.repeat(plane[None], 60, axis=0), UM)


def study(years: float, wall_um: float, **compartments: object) -> Study:
    """Healthy cells that do not age: canals are visited every two years, each osteon leaves RADIUS_UM - wall_um."""
    settings = {
        "find": "scan", "cutting_cones": True, "intracortical_births": 0.5 / 0.13, "osteon_radius_um": RADIUS_UM,
        "osteon_wall_um": wall_um, "canal_radius_um": CANAL_UM, **compartments,
    }  # fmt: skip
    return Study().with_values(
        time={"years": years, "burn_in_years": 0.0},
        patient={"menopause": "none", "ageing": False},
        remodeling={"erosion_depth_cv": 0.0},
        compartments=settings,
    )


def lived(years: float, wall_um: float, **compartments: object) -> tuple[Model, State, list[float]]:
    """The run, and porosity at every half year; in the last year no osteon is born, so that all tunnels have closed."""
    bone = compact()
    model = build(bone, study(years, wall_um, **compartments))
    if model.demand.osteons is not None:
        model.demand.osteons[0][-QUIET_STEPS:] = 0.0
    state, porous = first_state(model, bone), []
    while state.step < model.calendar.total_steps:
        state = step.advance(state, model, min(state.step + 18, model.calendar.total_steps))
        assert int(np.asarray(state.fields.fraction).sum(dtype=np.int64)) == state.ledger.mass
        porous.append(porosity(np.asarray(state.fields.fraction), np.asarray(model.place)))
    return model, state, porous


def test_a_tunnel_is_the_voxels_around_its_axis() -> None:
    size = cav.Geometry((20, 15, 15), 8, 2048)
    inside = np.ones(size.window, bool)
    inside[:, :, 13:] = False
    found = tunnel(jnp.asarray(inside), jnp.asarray([3, 7, 7]), jnp.float32(4.5), jnp.float32(9.0), 0, size)
    cell, delta = np.asarray(found.cell), np.asarray(found.delta)
    used = cell >= 0
    z, y, x = cell[used] >> 20, cell[used] >> 10 & 1023, cell[used] & 1023
    distance = np.hypot(y - 7, x - 7)
    grid = np.indices(size.window)
    wanted = inside & (np.hypot(grid[1] - 7, grid[2] - 7) < 5.0)
    assert used.sum() == wanted.sum()
    assert wanted[z, y, x].all()
    np.testing.assert_allclose(delta[used] / 256.0, distance, atol=0.003)
    assert (np.diff(delta[used]) >= -1).all()
    assert (np.asarray(found.profile)[used] == 4.5 * 256).all()
    # The floor of each voxel lies outward.
    way = np.asarray(found.floor)[used].astype(int)
    outward = ((way >> 2 & 3) - 1) * (y - 7) + ((way & 3) - 1) * (x - 7)
    assert (outward[distance > 0] > 0).all()
    assert ((way >> 4) == 1).all()
    full = [
        int(cav.bone_at(jnp.int32(front), delta[used], found.profile[used], found.before[used], 0).sum())
        for front in (0, 2048, 4096)
    ]
    assert full[0] == 255 * used.sum()
    inner, outer = (1.0 - np.array(full[1:]) / full[0]) * used.sum() / 20
    # Areas of discs of half and of the whole radius; the side that is no cortex takes nothing off these.
    assert inner == pytest.approx(np.pi * 2.25**2, rel=0.12)
    assert outer == pytest.approx(np.pi * 4.5**2, rel=0.06)


@pytest.fixture(scope="module")
def balanced() -> tuple[Model, State, list[float]]:
    """Osteons that leave canals as wide as those of the bone."""
    return lived(8.0, RADIUS_UM - CANAL_UM)


@pytest.mark.slow
def test_porosity_is_stationary_at_zero_balance(balanced: tuple) -> None:
    model, state, porous = balanced
    first = porosity(compact().values, np.asarray(model.place))
    assert first == pytest.approx(100.0 * 25 * np.pi * 0.03**2 / 1.28**2, rel=0.05)
    assert state.ledger.intracortical == state.ledger.births > 60
    assert not np.asarray(state.bmus.live).any()
    assert np.mean(porous[:-3]) > first + 2.0  # tunnels at work
    assert porous[-1] == pytest.approx(first, abs=1.0)


def test_negative_balance_widens_canals(balanced: tuple) -> None:
    """Walls 12 um thinner: canals of 42 um in radius, twice the area."""
    _, state, porous = lived(8.0, RADIUS_UM - 42.0)
    assert porous[-1] > balanced[2][-1] + 2.0
    assert state.ledger.mass < balanced[1].ledger.mass


@pytest.mark.slow
def test_osteons_are_as_many_as_canals_are_visited(balanced: tuple) -> None:
    """30 mm of canal, a visit to each 1.2 mm every two years."""
    expected = 25 * 0.5 * (8.0 - QUIET_STEPS * 10.0 / 365.25)
    # Walls of tunnels at work ask for none; three standard deviations.
    assert balanced[1].ledger.births == pytest.approx(expected, rel=0.33)


@pytest.mark.slow
def test_without_cutting_cones_canals_are_renewed_by_bmus_of_surface() -> None:
    _, state, _ = lived(0.3, 60.0, cutting_cones=False)
    assert (np.asarray(state.bmus.kind)[: state.count] & 8 == 0).all()
    assert state.ledger.births > 0


def test_cones_need_a_cortex() -> None:
    with pytest.raises(StudyError, match="cutting_cones"):
        Study().with_values(compartments={"cutting_cones": True})
    assert dataclasses.asdict(study(1.0, 60.0).compartments)["cutting_cones"]


@pytest.mark.scan
def test_healthy_osteons_are_of_the_order_of_a_real_one(shared_data: Path) -> None:
    """One human osteon, segmented by hand: radius 108 um, canal 30 um. Iliac means of Agerbaek 1991 are smaller."""
    labels = np.load(shared_data / "osteon_FM40-1-R1.npz")["labels_zyx"]
    pixel = 0.379**2
    radius, canal = (float(np.sqrt(pixel * (labels >= k).sum(axis=(1, 2)) / np.pi).mean()) for k in (1, 2))
    ours = Study().compartments
    assert ours.osteon_radius_um == pytest.approx(radius, rel=0.4)
    assert ours.osteon_wall_um == pytest.approx(radius - canal, rel=0.4)
