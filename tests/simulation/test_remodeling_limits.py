"""Remodeling against its exact and limiting cases: what must hold whatever the parameters are."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest
from scipy import ndimage
from studied_bones import Run, plate, run, study

from microct.imaging.resampling import resample
from microct.imaging.specimens import sample
from microct.kernels import activation, components, support
from microct.morphometry.report import measure
from microct.quantities import DAYS_PER_YEAR
from microct.remodeling.bmu import depth_shares
from microct.simulation import step
from microct.simulation.build import build, first_state
from microct.volume import Volume

SHAPE = (24, 128, 128)
VOXEL_UM = 40.0
E_UM = 47.0


@pytest.fixture(scope="module")
def balanced() -> Run:
    """Eight years of zero balance on a plate 600 um thick."""
    demand = {"activation_frequency_per_year": 0.6, "erosion_depth_um": E_UM, "wall_thickness_um": E_UM}
    return run(plate(SHAPE, VOXEL_UM, 600.0), study(8, **demand))


@pytest.mark.slow
def test_around_canals_lists_hold_all_of_a_cavity() -> None:
    """Compact bone with canals of 80 um: beneath a patch on their walls lies more bone than beneath a plane."""
    fraction = np.full((64, 64, 64), 255, np.uint8)
    canal = np.arange(64) % 16 < 4
    fraction[:, canal[:, None] & canal] = 0
    demand = {"activation_frequency_per_year": 2.0, "erosion_depth_um": 55.0, "wall_thickness_um": 55.0}
    bone = Volume.from_array(fraction, 20.0)
    model = build(bone, study(1, **demand))
    state = first_state(model, bone)
    longest = 0
    for _ in range(model.calendar.total_steps):
        state = step.advance(state, model, state.step + 1)
        longest = max(longest, 32 * int(np.asarray(state.bmus.surface.tiles).max()))
    assert state.ledger.births > 50
    assert state.ledger.dropped == 0
    plane = model.footprint_faces * (model.plan.geometry.reach - 1)
    assert longest > 1.5 * plane > model.plan.geometry.usual


def surface_faces() -> float:
    """Both faces of the plate [voxel faces]."""
    return 2.0 * SHAPE[1] * SHAPE[2]


def test_the_ledger_closes_at_every_step() -> None:
    bone = sample("trabecular", size_mm=2.0, voxel_size_um=40.0, seed=3)
    model = build(bone, study(1, activation_frequency_per_year=2.0, erosion_depth_um=60.0, wall_thickness_um=40.0))
    state = first_state(model, bone)
    for _ in range(model.calendar.total_steps):
        state = step.advance(state, model, state.step + 1)
        if state.step % 12 == 0:
            state = step.take_stock(state)
        fraction = np.asarray(state.fields.fraction)
        assert int(fraction.sum(dtype=np.int64)) == state.ledger.mass
    assert state.ledger.resorbed > state.ledger.formed > 0
    assert state.ledger.islands > 0


def test_zero_balance_keeps_the_bone(balanced: Run) -> None:
    """Formed / resorbed is 1.00 +- 0.01 once the first cavities have closed; cavities still open count as closed."""
    year = next(k for k, state in enumerate(balanced.states) if state.step * 10 >= 365)
    formed = balanced.change("formed", year) + balanced.open - balanced.open_mass[year]
    assert formed / balanced.change("resorbed", year) == pytest.approx(1.0, abs=0.01)
    assert balanced.lost == pytest.approx(0.0, abs=1e-3)


def test_the_transient_is_the_remodeling_space(balanced: Run) -> None:
    """Open volume = Ac.f BS E (T_res / 2 + T_rev + T_form / 2), within 10 %."""
    unit = balanced.model.bmu
    steady = balanced.open_mass[len(balanced.open_mass) // 4 :]
    theory = 0.6 * surface_faces() * (E_UM / VOXEL_UM) * unit.open_days / DAYS_PER_YEAR
    assert np.mean(steady) == pytest.approx(theory, rel=0.1)


def test_turnover_is_activation_frequency_times_surface_times_depth(balanced: Run) -> None:
    theory = 0.6 * surface_faces() * (E_UM / VOXEL_UM) * 8.0
    # Cavities that are still being eroded have not given all of theirs yet: a quarter of a resorption period's births.
    assert balanced.change("resorbed") == pytest.approx(theory, rel=0.05)
    assert balanced.last.ledger.births == balanced.last.ledger.wanted
    assert balanced.last.ledger.void <= 0.005 * balanced.last.ledger.births


@pytest.mark.slow
def test_births_are_a_poisson_process_and_depths_are_as_prescribed() -> None:
    bone = plate(SHAPE, VOXEL_UM, 600.0)
    model = build(bone, study(9, activation_frequency_per_year=0.6, erosion_depth_um=E_UM, wall_thickness_um=E_UM))
    state = first_state(model, bone)
    births, depths, areas, taken = [], [], [], []
    while state.step < model.calendar.total_steps:
        before = state
        state = step.advance(state, model, state.step + 1)
        births.append(state.ledger.births - before.ledger.births)
        new = np.asarray(state.bmus.surface.born) == state.step - 1
        depths += list(np.asarray(state.bmus.surface.mean_depth)[new])
        areas += list(np.asarray(state.bmus.surface.area)[new])
        done = np.asarray(state.bmus.surface.live) & (state.step - 1 - np.asarray(state.bmus.surface.born) == 7)
        expected = np.asarray(state.bmus.surface.mean_depth)[done] * np.asarray(state.bmus.surface.area)[done]
        taken += list(np.asarray(state.bmus.surface.resorbed)[done] / 255.0 / expected)
    counts = np.array(births, float)
    # The dispersion of n Poisson counts has a standard error of sqrt(2 / n): 0.08 here.
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1.0, abs=2.5 * math.sqrt(2.0 / len(counts)))
    mean = model.births_per_face(0) * model_surface(bone)
    assert counts.mean() == pytest.approx(mean, rel=0.06)
    depth_um = np.array(depths) * VOXEL_UM
    assert depth_um.mean() == pytest.approx(E_UM, rel=0.02)
    assert depth_um.std() / depth_um.mean() == pytest.approx(0.25, rel=0.06)
    assert np.mean(areas) == pytest.approx(model.footprint_faces, rel=0.01)
    # Each finished cavity holds its patch times its depth; less where another BMU of the same step has a voxel.
    assert np.median(taken) == pytest.approx(1.0, abs=0.005)
    assert np.mean(taken) == pytest.approx(1.0, abs=0.02)


def model_surface(bone: Volume) -> float:
    """Surface as the births see it [voxel faces]; checked against the plate's two faces."""
    found = activation.surface(bone.values)
    assert found == pytest.approx(surface_faces(), rel=0.001)
    return found


def test_prescribed_spread_has_the_mean_and_the_skew() -> None:
    shares = depth_shares(0.25) / 4096.0
    assert shares.mean() == pytest.approx(1.0, abs=1e-3)
    assert shares.std() == pytest.approx(0.25, rel=0.01)
    assert np.mean((shares - 1.0) ** 3) > 0.0
    assert (depth_shares(0.0) == 4096).all()


def columns_open(fraction: np.ndarray) -> int:
    """Columns normal to the plate without any bone left: holes."""
    return int((~(fraction >= 128).any(axis=0)).sum())


@pytest.mark.slow
def test_a_plate_thinner_than_the_erosion_depth_perforates_for_good() -> None:
    demand = {"erosion_depth_um": E_UM, "wall_thickness_um": E_UM, "erosion_depth_cv": 0.0}
    thin = plate((24, 96, 96), 20.0, 40.0)
    bone = run(thin, study(1, activation_frequency_per_year=0.8, **demand))
    assert columns_open(np.asarray(bone.last.fields.fraction)) > 100
    # Afterwards nothing is born: every cavity that can close has closed, and the holes are still there.
    healed = dataclasses.replace(
        bone.model, demand=dataclasses.replace(bone.model.demand, activation_frequency_per_yr=np.zeros(400))
    )
    asked = healed.demand
    healed = dataclasses.replace(
        healed,
        demand=dataclasses.replace(asked, erosion_depth_um=np.full(400, E_UM), wall_thickness_um=np.full(400, E_UM)),
    )
    holes = []
    state = bone.last
    for until in (state.step + 60, state.step + 200):
        state = step.advance(state, healed, until)
        holes.append(columns_open(np.asarray(state.fields.fraction)))
    assert not np.asarray(state.bmus.surface.live).any()
    assert holes[0] == holes[1] > 100
    assert state.ledger.formed < 0.7 * state.ledger.resorbed


@pytest.mark.slow
def test_no_pore_of_one_voxel_stays_behind_in_a_diagonal_plate() -> None:
    """Sheets of a plate across x + y each have their own floor: no BMU may leave every other one empty."""
    _, y, x = np.indices((24, 48, 48))
    across = np.abs(((x + y) % 24) - 11.5) / np.sqrt(2.0)
    bone = Volume.from_array((across < 3.3).astype(np.uint8) * np.uint8(255), 25.0)
    done = run(bone, study(3.0, activation_frequency_per_year=1.0, erosion_depth_um=50.0, wall_thickness_um=48.0))
    marrow = np.asarray(done.last.fields.fraction) < 128
    assert done.last.ledger.births > 60
    _, pieces = ndimage.label(marrow)  # by faces, as the Euler number counts marrow
    _, wide = ndimage.label(marrow, np.ones((3, 3, 3)))
    assert pieces <= wide + 2


@pytest.mark.slow
def test_connectivity_is_lost_with_bone_and_lace_would_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight years of thinning walls: loops go. Where threads stay, and are floors, more are made than go."""
    bone = sample("trabecular", size_mm=2.5, voxel_size_um=25.0, seed=7, bone_volume_fraction=0.12)
    demand = {"activation_frequency_per_year": 1.0, "erosion_depth_um": 50.0, "wall_thickness_um": 43.0}

    def connectivity(bones: list[Volume]) -> float:
        return float(np.mean([measure(one, threshold="half", thickness=False)["Conn.D"].value for one in bones]))

    def years_later() -> list[Volume]:
        ends = [run(bone, study(8, seed=seed, **demand)).last.fields.fraction for seed in (1, 2, 3)]
        return [bone.with_values(np.asarray(end), "eight years later") for end in ends]

    before, after = connectivity([bone]), connectivity(years_later())
    monkeypatch.setattr(support, "_THREAD", -1)
    jax.clear_caches()
    with_lace = connectivity(years_later())
    jax.clear_caches()
    assert after < 0.8 * before < before < with_lace


@pytest.mark.slow
def test_a_plate_thicker_than_two_cavities_never_perforates() -> None:
    demand = {"erosion_depth_um": E_UM, "wall_thickness_um": E_UM}
    thick = plate((24, 96, 96), 20.0, 260.0)
    bone = run(thick, study(4, activation_frequency_per_year=0.8, **demand))
    assert columns_open(np.asarray(bone.last.fields.fraction)) == 0
    assert bone.lost == pytest.approx(0.0, abs=1e-3)


@pytest.mark.slow
def test_loss_is_births_times_balance() -> None:
    """A thick plate under negative balance thins by Ac.f (E - W) on each face, within 2 % of the births that came."""
    demand = {"activation_frequency_per_year": 0.6, "erosion_depth_um": E_UM, "wall_thickness_um": 42.0}
    bone = run(plate(SHAPE, VOXEL_UM, 600.0), study(6, **demand))
    resorbed, open_now = bone.change("resorbed"), bone.open
    lost = resorbed - bone.change("formed") - open_now
    closed = resorbed - open_now
    assert lost / closed == pytest.approx((E_UM - 42.0) / E_UM, rel=0.06)
    whole = 0.6 * surface_faces() * 6.0 * (E_UM - 42.0) / VOXEL_UM
    assert lost == pytest.approx(whole, rel=0.1)


@pytest.mark.slow
def test_positive_balance_builds_beyond_the_old_surface() -> None:
    demand = {"activation_frequency_per_year": 0.6, "erosion_depth_um": E_UM, "wall_thickness_um": 50.0}
    bone = run(plate(SHAPE, VOXEL_UM, 600.0), study(6, **demand))
    gained = bone.change("formed") + bone.open - bone.change("resorbed")
    assert gained == pytest.approx(0.6 * surface_faces() * 6.0 * 3.0 / VOXEL_UM, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("axis", [1, 2])
def test_no_axis_is_special(axis: int) -> None:
    """The same plate upright and lying loses the same within the error of so many births (4 %)."""
    demand = {"activation_frequency_per_year": 1.0, "erosion_depth_um": E_UM, "wall_thickness_um": 37.0}
    upright = run(plate(SHAPE, VOXEL_UM, 600.0), study(4, **demand))
    turned = [0, 0, 0]
    turned[axis], turned[0], turned[3 - axis] = SHAPE[0], SHAPE[1], SHAPE[2]
    lying = run(plate(tuple(turned), VOXEL_UM, 600.0, axis=axis), study(4, **demand))  # type: ignore[arg-type]
    assert lying.lost == pytest.approx(upright.lost, rel=3.0 * math.sqrt(2.0 * 1.06 / upright.last.ledger.births))


@pytest.mark.slow
def test_rotated_by_90_degrees_a_specimen_loses_the_same() -> None:
    bone = sample("trabecular", size_mm=3.2, voxel_size_um=40.0, seed=5)
    demand = {"activation_frequency_per_year": 0.6, "erosion_depth_um": E_UM, "wall_thickness_um": 42.0}
    turned = bone.with_values(np.ascontiguousarray(np.rot90(bone.values, axes=(0, 1))), "turned by 90 degrees")
    one, other = run(bone, study(5, **demand)), run(turned, study(5, **demand))
    births = min(one.last.ledger.births, other.last.ledger.births)
    assert other.lost == pytest.approx(one.lost, rel=3.0 * math.sqrt(2.0 * 1.06 / births))


@pytest.mark.slow
def test_no_surface_pins() -> None:
    """With zero balance every site is visited in the end: of a plate turned over seven times, more than 99 %."""
    demand = {"activation_frequency_per_year": 1.0, "erosion_depth_um": E_UM, "wall_thickness_um": E_UM}
    bone = run(plate((24, 96, 96), VOXEL_UM, 600.0), study(7, **demand))
    fields = bone.last.fields
    # A site counts where bone was formed, or where a BMU is at work just now.
    visited = ((np.asarray(fields.formed_on) > 0) | (np.asarray(fields.owner) > 0)).any(axis=0)
    expected = 1.0 - math.exp(-2 * 7.0)
    assert visited.mean() > min(0.99, expected)


def test_what_hangs_on_nothing_is_lost_and_counted() -> None:
    bone = plate((24, 64, 64), VOXEL_UM, 400.0)
    values = bone.values.copy()
    values[2:4, 30:33, 30:33] = 255
    model = build(bone.with_values(values, "with an island"), study(1, activation_frequency_per_year=0.0))
    state = step.take_stock(first_state(model, bone.with_values(values, "with an island")))
    assert state.ledger.islands == 2 * 3 * 3 * 255
    assert components.count(np.asarray(state.fields.fraction) >= 128) == 1


@pytest.mark.slow
def test_nothing_is_born_without_activation() -> None:
    bone = plate((24, 64, 64), VOXEL_UM, 400.0)
    still = run(bone, study(1, activation_frequency_per_year=0.0, erosion_depth_um=E_UM, wall_thickness_um=E_UM))
    assert (np.asarray(still.last.fields.fraction) == bone.values).all()
    assert still.last.ledger == still.states[0].ledger


def normalized_loss(voxel_um: float, step_days: float) -> float:
    """Share of bone lost in five years, open cavities closed to their balance, for the births expected of its surface.

    Births are a Poisson process, tested on its own; dividing by their number leaves what voxel and step may change.
    """
    demand = {"activation_frequency_per_year": 0.5, "erosion_depth_um": 50.0, "wall_thickness_um": 42.0}
    bone = sample(
        "trabecular",
        size_mm=2.4,
        voxel_size_um=voxel_um,
        seed=5,
        bone_volume_fraction=0.25,
        trabecular_thickness_um=200,
    )
    found = run(bone, study(5, step_days=step_days, **demand), every=round(365.25 / step_days))
    ledger = found.last.ledger
    pending = found.open / (ledger.initial / 255.0) * (50.0 - 42.0) / 50.0
    surface_mm2 = np.mean([state.surface for state in found.states]) * (voxel_um / 1000.0) ** 2
    years = found.last.step * step_days / DAYS_PER_YEAR
    expected = 0.5 * surface_mm2 * years / found.model.bmu.footprint_mm2
    return (found.lost + pending) * expected / ledger.births


@pytest.mark.slow
def test_loss_does_not_depend_on_the_step() -> None:
    """Steps of 5, 10 and 20 days agree within 5 %."""
    ten = normalized_loss(40.0, 10.0)
    assert normalized_loss(40.0, 5.0) == pytest.approx(ten, rel=0.05)
    assert normalized_loss(40.0, 20.0) == pytest.approx(ten, rel=0.05)


@pytest.mark.slow
def test_loss_does_not_depend_on_voxel_size() -> None:
    """Voxels of 10, 20 and 40 um agree within 5 %."""
    twenty = normalized_loss(20.0, 10.0)
    assert normalized_loss(10.0, 10.0) == pytest.approx(twenty, rel=0.05)
    assert normalized_loss(40.0, 10.0) == pytest.approx(twenty, rel=0.05)


@pytest.mark.slow
def test_a_coarse_scan_on_finer_voxels_loses_what_a_finer_scan_loses() -> None:
    """Two seeds; eight equal voxels for each of the scan's would lose a fifth more, by the steps of their surface."""
    demand = {"activation_frequency_per_year": 0.5, "erosion_depth_um": 50.0, "wall_thickness_um": 42.0}

    def specimen(voxel_um: float) -> Volume:
        choices = {"bone_volume_fraction": 0.13, "trabecular_thickness_um": 150}
        return sample("trabecular", size_mm=2.4, voxel_size_um=voxel_um, seed=7, **choices)

    def loss(bone: Volume) -> float:
        return float(np.mean([run(bone, study(5, seed=seed, **demand), stock=False).lost for seed in (1, 2)]))

    coarse, fine = specimen(50.0), specimen(25.0)
    mask = coarse.with_values(coarse.values >= 128, "mask")
    assert loss(resample(mask, 25.0)) == pytest.approx(loss(fine), rel=0.08)
