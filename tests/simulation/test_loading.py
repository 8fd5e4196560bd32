"""Load in the loop: usual load changes nothing, disuse costs bone, training adds it, a turned load turns the bone."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import microct
from microct.io.run_folder import RunFolder
from microct.mechanics import equilibrium
from microct.mechanics.stimulus import Response, even_load, felt
from microct.simulation import report
from microct.simulation.build import build, first_state
from microct.simulation.loading import Loading
from microct.simulation.run import run
from microct.state import State
from microct.status import InputError, Preempted, StudyError
from microct.volume import Volume


def study(years: float, **load: Any) -> microct.Study:
    """Zero balance, no cells, no burn-in: what changes, changes by load."""
    return microct.Study().with_values(
        time={"years": years, "burn_in_years": 0.0, "report_every_years": 100.0},
        remodeling={"activation_frequency_per_year": 0.5, "erosion_depth_um": 47.0, "wall_thickness_um": 47.0},
        report={"thickness": False},
        load=load,
    )


@pytest.fixture(scope="module")
def bone() -> Volume:
    """A small specimen that hangs together along all axes."""
    return microct.sample("trabecular", size_mm=1.5, voxel_size_um=60, seed=3, bone_volume_fraction=0.3)


def after(bone: Volume, years: float, **load: Any) -> State:
    """The state when the years have passed."""
    asked = study(years, **load)
    model = build(bone, asked)
    return run(first_state(model, bone), model, asked, bone)


# --- the answer of a place --------------------------------------------------------------------------------------------


def test_the_lazy_zone_asks_for_nothing() -> None:
    weight, wall = Response()(np.array([0.81, 1.0, 1.19]))
    assert (weight == 64).all()
    assert (wall == 128).all()


def test_answers_rise_and_saturate() -> None:
    stimulus = np.linspace(0.0, 6.0, 61)
    weight, wall = (field.astype(int) for field in Response()(stimulus))
    assert (np.diff(weight) <= 0).all()
    assert (np.diff(wall) >= 0).all()
    assert weight[0] == round(64 * 3.5)
    assert wall[0] == round(128 * 0.85)
    assert wall[30] == wall[-1] == round(128 * 1.2)


def test_uniform_energy_is_felt_uniformly_whatever_the_shape() -> None:
    inside = np.random.default_rng(1).random((20, 24, 28)) < 0.2
    here = felt(np.where(inside, np.float32(0.02), np.float32(0.0)), inside, 2.0)
    np.testing.assert_allclose(here[inside], 0.02, rtol=1e-4)
    assert felt(np.zeros((9, 9, 9), np.float32), np.zeros((9, 9, 9), bool), 1.0).max() == 0.0


def test_dead_osteocytes_do_not_feel() -> None:
    """Of two halves under different energy only the living one is felt at their border."""
    energy = np.full((16, 8, 8), 1.0, np.float32)
    energy[8:] = 3.0
    alive = np.ones(energy.shape, np.float32)
    both = felt(energy, alive, 2.0)[8, 4, 4]
    alive[8:] = 0.01
    assert felt(energy, alive, 2.0)[8, 4, 4] < 1.1 < both


def test_even_load_finds_the_shares_that_were_mixed() -> None:
    """Bone in three parts, each loaded by one case alone: the even load is found exactly."""
    energies = np.zeros((3, 90))
    for case, level in enumerate((1.0, 2.0, 4.0)):
        energies[case, 30 * case : 30 * case + 30] = level
    np.testing.assert_allclose(even_load(energies), 1.0 / 3.0)
    one = np.stack([np.ones(50), np.linspace(0.1, 5.0, 50)])
    np.testing.assert_allclose(even_load(one), [1.0, 0.0], atol=1e-9)


# --- a bone under load ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["z", pytest.param("estimated", marks=pytest.mark.slow)])
def test_usual_load_on_the_bone_of_the_scan_changes_nothing(bone: Volume, axis: str) -> None:
    """At the set point every place, bone or marrow, asks for what the demand says."""
    asked = study(1, axis=axis)
    model = build(bone, asked)
    state = Loading.of(asked.load, bone).renewed(first_state(model, bone), model)
    assert state.felt is not None
    inside = bone.values >= 128
    assert (np.asarray(state.felt.local.weight)[inside] == 64).all()
    assert (np.asarray(state.felt.local.wall)[inside] == 128).all()
    assert np.count_nonzero(state.felt.share) == (1 if axis == "z" else 3)


@pytest.mark.slow
def test_disuse_costs_bone_and_overload_adds_it(bone: Volume) -> None:
    share = {
        activity: (state := after(bone, 1.5, axis="z", activity=[[0, activity]])).ledger.mass / state.ledger.initial
        for activity in (0.0, 1.0, 2.0)
    }
    assert share[0.0] < share[1.0] - 0.05
    assert share[1.0] < share[2.0] - 0.02


@pytest.mark.parametrize(("share", "left"), [(0.67, 0.33), (0.0, 1.0)])
def test_overload_is_answered_less_without_estrogen_and_disuse_as_ever(bone: Volume, share: float, left: float) -> None:
    """Of the wall and of the bone that overload adds a third is left; with ``estrogen_share = 0`` all of it."""

    def answer(estradiol: float, activity: float) -> Any:
        asked = study(1, axis="z", activity=[[0, activity]], estrogen_share=share)
        model = build(bone, asked)
        signals = model.demand.signals | {"E2": np.full(model.calendar.total_steps, estradiol)}
        model = dataclasses.replace(model, demand=dataclasses.replace(model.demand, signals=signals))
        felt = Loading.of(asked.load, bone).renewed(first_state(model, bone), model).felt
        assert felt is not None
        return felt.local

    inside = bone.values >= 128
    with_it, without = answer(1.0, 2.0), answer(0.0, 2.0)
    asks = np.asarray(with_it.modeling)[inside].astype(float)
    assert asks.max() > 200.0
    np.testing.assert_allclose(np.asarray(without.modeling)[inside], left * asks, atol=1.0)
    added = np.asarray(with_it.wall)[inside].astype(float) - 128.0
    np.testing.assert_allclose(np.asarray(without.wall)[inside] - 128.0, left * added, atol=1.0)
    for one, other in zip(answer(1.0, 0.5), answer(0.0, 0.5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bone_that_carries_no_load_is_out_of_use(bone: Volume) -> None:
    asked = study(1, axis="z")
    model = build(bone, asked)
    loading = Loading.of(asked.load, bone)
    state = loading.renewed(first_state(model, bone), model)
    cut = np.asarray(state.fields.fraction).copy()
    cut[cut.shape[0] // 2] = 0
    fields = state.fields._replace(fraction=cut)
    state = loading.renewed(dataclasses.replace(state, fields=fields), model)
    assert state.felt is not None
    assert (np.asarray(state.felt.local.weight)[cut >= 128] > 200).mean() > 0.95


def test_memory_that_runs_short_ends_a_run_instead_of_taking_load_away(
    bone: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal for want of memory is no sign of bone that carries nothing."""
    asked = study(1, axis="z", strength=True)
    model = build(bone, asked)
    loading = Loading.of(asked.load, bone)
    state = loading.renewed(first_state(model, bone), model)
    monkeypatch.setattr(equilibrium, "_free_memory", lambda: 1 << 20)
    for question in (lambda: loading.renewed(state, model), lambda: report.strength(loading, bone, 10_000.0, 0.0, "a")):
        with pytest.raises(InputError, match="GiB free"):
            question()


def test_bone_that_reaches_no_face_is_refused_at_once() -> None:
    values = np.zeros((24, 24, 24), np.uint8)
    values[8:16, 8:16, 8:16] = 255
    lonely = dataclasses.replace(Volume.from_array(values, 50.0), kind="fraction")
    asked = study(1, axis="z")
    model = build(lonely, asked)
    with pytest.raises(InputError, match="face"):
        run(first_state(model, lonely), model, asked, lonely)


@pytest.mark.slow
def test_a_resumed_run_under_load_equals_the_uninterrupted_one(bone: Volume, tmp_path: Path) -> None:
    """Stopped between two solutions and resumed: the same bits in state and files; strength is in the table."""
    asked = study(1, axis="z", activity=[[0, 1.0], [0.3, 0.4]], every_months=3, strength=True)
    asked = asked.with_values(time={"checkpoint_every_years": 0.25, "report_every_years": 0.5})
    microct.simulate(bone, asked, out=tmp_path / "whole")
    sent = []

    def stop(progress: Any) -> None:
        if progress.time_yr >= 0.35 and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    with pytest.raises(Preempted):
        microct.simulate(bone, asked, out=tmp_path / "cut", progress=stop)
    microct.resume(tmp_path / "cut")
    one, other = (RunFolder.open(tmp_path / name).latest_checkpoint() for name in ("whole", "cut"))
    assert one is not None
    assert other is not None
    assert one.arrays.keys() == other.arrays.keys() >= {"felt.weight", "felt.wall", "felt.set_point"}
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)
    assert (tmp_path / "whole" / "table.csv").read_bytes() == (tmp_path / "cut" / "table.csv").read_bytes()
    table = microct.open(tmp_path / "whole").table
    stiffness = [row.value for row in table.series("K")]
    assert stiffness[0] > stiffness[-1] > 0.0
    assert table["F.ult"].unit == "N"


@pytest.mark.slow
def test_a_turned_load_turns_the_fabric() -> None:
    """Bone made for load along z, loaded along x from now on: its main direction leaves z."""
    bone = microct.sample("trabecular", size_mm=2.4, voxel_size_um=50, seed=5, bone_volume_fraction=0.3, anisotropy=1.5)
    degree = {}
    for name, load in {"kept": {}, "turned": {"turned_axis": "x"}}.items():
        state = after(bone, 6, axis="z", every_months=6, **load)
        degree[name] = _along(np.asarray(state.fields.fraction))
    assert 1.3 < degree["kept"] < _along(bone.values) + 0.02
    assert degree["turned"] < degree["kept"] - 0.05


def _along(fraction: np.ndarray) -> float:
    """Mean intercept length along z over that along x; above 1 where bone runs along z."""
    inside = fraction >= 128
    crossings = [np.count_nonzero(np.diff(inside, axis=axis)) for axis in (0, 2)]
    return crossings[1] / crossings[0]


@pytest.mark.parametrize(
    ("load", "says"),
    [
        ({"axis": "up"}, "load.axis"),
        ({"activity": [[0, -1]]}, "0 to 5"),
        ({"activity": [[2, 1], [1, 1]]}, "rise"),
        ({"turned_axis": "x"}, "load.axis"),
        ({"wall_gain": 0.5}, "0.25"),
    ],
)
def test_a_load_that_cannot_be_is_refused(load: dict[str, Any], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        study(1, **load)


def test_activity_lasts_until_the_next() -> None:
    load = study(1, axis="z", activity=[[0, 1.0], [5, 0.3], [5.5, 1.2]]).load
    assert [load.activity_at(year) for year in (-2.0, 0.0, 4.99, 5.0, 5.6, 50.0)] == [1.0, 1.0, 1.0, 0.3, 1.2, 1.2]


# --- mineral ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_micro_fe_that_knows_mineral_feels_young_bone_softer_and_old_bone_stiffer(bone: Volume) -> None:
    """At the scan's own time it is what it is without; turned over fast, bone of the same shape is less stiff."""
    asked = study(2.0, axis="z", mineral=True)
    model = build(bone, asked)
    loading, state = Loading.of(asked.load, bone), first_state(model, bone)
    at_first = loading.tissue(state, model)
    np.testing.assert_array_equal(at_first, np.full(bone.shape, 10_000.0, np.float32))
    assert loading.strength(bone, at_first).stiffness_n_per_mm == loading.strength(bone, 10_000.0).stiffness_n_per_mm
    state = run(state, model, asked, bone)
    tissue, formed = loading.tissue(state, model), np.asarray(state.fields.formed_on)
    inside = np.asarray(state.fields.fraction) >= 128
    young = inside & (formed > state.step - 20)
    assert young.sum() > 50
    assert tissue[young].max() < 10_000.0 < tissue[inside & (formed == 0)].min()
    now = bone.with_values(np.asarray(state.fields.fraction), "two years")
    mean = float(tissue[inside].mean())
    by_mineral, by_one = (loading.strength(now, each).stiffness_n_per_mm for each in (tissue, mean))
    assert 0.7 * by_one < by_mineral < by_one  # young bone lies in the way of the load as soft layers do
    plain = Loading.of(study(2.0, axis="z").load, bone)
    assert plain.tissue(state, model) == 10_000.0


@pytest.mark.slow
def test_what_the_cells_feel_follows_mineral_where_it_is_known(bone: Volume) -> None:
    weights = []
    for known in (False, True):
        asked = study(2.0, axis="z", mineral=known)
        model = build(bone, asked)
        state = run(first_state(model, bone), model, asked, bone)
        weights.append(np.asarray(state.local.weight))
    assert (weights[0] != weights[1]).any()
