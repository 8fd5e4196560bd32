"""Osteocytes and damage in whole runs: how many live, where BMUs are called, what knocking them out does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import microct
from microct.imaging.specimens import sample
from microct.kernels.bmu_table import UNIT_WEIGHT, Local
from microct.simulation import report
from microct.simulation.build import Model, build, first_state
from microct.simulation.config import Study
from microct.simulation.niche import Niche, combined
from microct.simulation.run import Moment, run
from microct.state import Felt, State
from microct.status import StudyError
from microct.volume import Volume


@pytest.fixture(scope="module")
def bone() -> Volume:
    return sample("trabecular", size_mm=1.2, voxel_size_um=40.0, seed=3)


def study(years: float = 2.0, **sections: dict) -> Study:
    time = {"years": years, "burn_in_years": 0.0, "report_every_years": 1.0, "checkpoint_every_years": 0.7}
    patient = {"menopause_after_start_years": 0.0, **sections.pop("patient", {})}
    return Study().with_values(time=time, patient=patient, report={"thickness": False}, **sections)


def lived(bone: Volume, asked: Study) -> tuple[Model, State, dict[str, float]]:
    model = build(bone, asked)
    rows: dict[str, float] = {}

    class Keeper:
        def report(self, moment: Moment) -> None:
            rows.update({row.symbol: row.value for row in moment.rows})

        def save(self, moment: Moment) -> None: ...

    return model, run(first_state(model, bone), model, asked, bone, [Keeper()]), rows


def test_osteocytes_are_counted_without_being_asked_for_and_die_without_estrogen(bone: Volume) -> None:
    """The number falls after menopause, not without one; knocked out in the cells, none dies."""
    densities = {}
    for name, patient in (
        ("menopause", {"menopause": "surgical"}),
        ("none", {"menopause": "none"}),
        ("knocked out", {"menopause": "surgical", "knock_out": ["osteocytes"]}),
    ):
        model = build(bone, study(10.0, patient=patient))
        state = dataclasses.replace(first_state(model, bone), step=model.calendar.total_steps)
        found = report._cells_of_bone(state, model, study(10.0, patient=patient))
        densities[name] = found["N.Ot/BV"]
        assert found["Lc.E"] == pytest.approx(100.0 * (1.0 - found["N.Ot/BV"] / 15000.0))
        assert "Tg.Rm" not in found
    assert densities["menopause"] < 0.92 * densities["none"] < densities["none"] < densities["knocked out"] == 15000.0
    # Mullender et al. 1996: 10 500 to 13 300 osteocytes a mm3. Here no bone is renewed meanwhile.
    assert 10_500 < densities["none"] < 13_300


def empty_half(model: Model, bone: Volume) -> State:
    """The bone after some years, its lower half just formed."""
    state = first_state(model, bone)
    formed = np.zeros(bone.shape, np.uint16)
    formed[:15] = model.calendar.total_steps - 1
    fields = state.fields._replace(formed_on=jnp.asarray(formed))
    return dataclasses.replace(state, fields=fields, step=model.calendar.total_steps)


def test_missing_osteocytes_call_bmus_to_their_place(bone: Volume) -> None:
    asked = study(8.0, osteocytes={"on": True})
    model = build(bone, asked)
    state = Niche(asked.osteocytes, model).renewed(empty_half(model, bone), None)
    assert state.wear is not None
    assert state.local is not None
    weight = np.asarray(state.local.weight).astype(float) / UNIT_WEIGHT
    inside = bone.values >= 128
    old, new = weight[25:][inside[25:]].mean(), weight[:5][inside[:5]].mean()
    assert old > 1.1 > 0.8 > new
    # The cells' model has the mean: as many births as the demand asks for, 30 % of them called to places.
    assert weight[inside].mean() == pytest.approx(1.0, abs=0.02)
    assert state.wear.targeted == pytest.approx(0.3, abs=0.02)
    silent = dataclasses.replace(asked.osteocytes, targeted_share=0.0)
    even = Niche(silent, model).renewed(empty_half(model, bone), None)
    assert (np.asarray(even.local.weight) == UNIT_WEIGHT).all()


@pytest.mark.parametrize("patient", [{"knock_out": ["osteocytes"]}, {"menopause": "none", "ageing": False}])
def test_where_no_osteocyte_is_missing_every_place_calls_as_many_bmus(bone: Volume, patient: dict) -> None:
    asked = study(4.0, patient=patient, osteocytes={"on": True})
    model = build(bone, asked)
    state = dataclasses.replace(first_state(model, bone), step=model.calendar.total_steps)
    looked = Niche(asked.osteocytes, model).renewed(state, None)
    inside = bone.values >= 128
    assert np.asarray(looked.local.weight)[inside].mean() / UNIT_WEIGHT == pytest.approx(1.0, abs=0.02)
    assert looked.wear.targeted == pytest.approx(0.3, abs=0.02)


def evenly_loaded(bone: Volume) -> tuple[Model, Niche, np.ndarray]:
    """A run in which load damages, its looks, and an energy that is the same in all bone."""
    asked = study(4.0, load={"axis": "z"}, osteocytes={"damage": True})
    model = build(bone, asked)
    return model, Niche(asked.osteocytes, model), np.where(bone.values >= 128, 1.0, 0.0).astype(np.float32)


def test_damage_calls_bmus_and_kills_and_new_bone_has_none(bone: Volume) -> None:
    model, niche, energy = evenly_loaded(bone)
    first = niche.renewed(first_state(model, bone), energy)
    assert first.wear.targeted == pytest.approx(0.3, abs=0.02)
    inside = bone.values >= 128
    np.testing.assert_allclose(np.asarray(first.wear.worn.damage)[inside], 1.0, rtol=2e-3)
    energy[18:] *= 2.0
    doubled = niche.renewed(dataclasses.replace(first, step=10), energy)
    later = niche.renewed(dataclasses.replace(doubled, step=140), energy)
    voxels = np.flatnonzero(inside.reshape(-1))
    alive, damage = (np.asarray(field).reshape(-1)[voxels] for field in niche.now(later))
    upper = np.repeat(np.arange(bone.shape[0]), np.prod(bone.shape[1:]))[voxels] >= 18
    step_yr = model.calendar.step_days / 365.25
    np.testing.assert_allclose(damage[~upper], 1.0 + 0.13 * 0.047 * 16 * 140 * step_yr, rtol=5e-3)
    assert damage[upper].mean() > 1.5 * damage[~upper].mean()
    assert alive[upper].mean() < alive[~upper].mean()
    weight = np.asarray(later.local.weight)
    assert weight[25:][inside[25:]].mean() > 1.2 * weight[:10][inside[:10]].mean()
    assert later.wear.targeted > first.wear.targeted
    formed = np.full(bone.shape, 139, np.uint16)
    cleared = dataclasses.replace(later, fields=later.fields._replace(formed_on=jnp.asarray(formed)))
    renewed = dataclasses.replace(cleared, wear=later.wear._replace(since=130), step=141)
    alive, damage = (np.asarray(field).reshape(-1)[voxels] for field in niche.now(renewed))
    assert damage.max() < 0.05
    assert alive.min() > 0.99


def test_a_look_keeps_the_cells_of_bone_that_a_bmu_has_taken_in_part(bone: Volume) -> None:
    """Refilled in part, such a voxel may keep its step of formation: then its cells have not gone."""
    model, niche, energy = evenly_loaded(bone)
    state = niche.renewed(first_state(model, bone), energy)
    taken = jnp.where(state.fields.fraction >= 128, 60, 0).astype(jnp.uint8)
    looked = niche.renewed(dataclasses.replace(state, fields=state.fields._replace(fraction=taken), step=60), energy)
    assert niche.sense(looked).max() == 0.0
    refilled = niche.means(dataclasses.replace(looked, fields=state.fields, step=70))
    untouched = niche.means(dataclasses.replace(niche.renewed(dataclasses.replace(state, step=60), energy), step=70))
    assert refilled[0] == pytest.approx(untouched[0], rel=0.02)
    assert refilled[0] > 0.7


def test_dead_osteocytes_feel_less(bone: Volume) -> None:
    asked = study(8.0, osteocytes={"on": True}, patient={"menopause": "surgical"})
    model = build(bone, asked)
    niche, state = Niche(asked.osteocytes, model), first_state(model, bone)
    assert np.unique(niche.sense(state)).tolist() == [0.0, 1.0]
    aged = niche.sense(dataclasses.replace(state, step=model.calendar.total_steps))
    assert 0.7 < aged[bone.values >= 128].mean() < 0.9


def test_calls_multiply_the_answer_to_load(bone: Volume) -> None:
    shape = bone.shape
    model = build(bone, study())
    state = first_state(model, bone)
    load = Local(*(jnp.full(shape, value, jnp.uint8) for value in (128, 100, 7)))
    felt = Felt(load, np.zeros(shape, np.float16), 1.0, (0.0, 0.0, 1.0), (0.0, 0.0, 1.0))
    asked = study(osteocytes={"on": True})
    wear = Niche(asked.osteocytes, model).renewed(state, None).wear._replace(weight=np.full(shape, 96, np.uint8))
    both = combined(dataclasses.replace(state, felt=felt), wear)
    assert (np.asarray(both.weight) == 192).all()
    assert (np.asarray(both.wall) == 100).all()
    assert (np.asarray(both.modeling) == 7).all()
    huge = combined(dataclasses.replace(state, felt=felt), wear._replace(weight=np.full(shape, 255, np.uint8)))
    assert (np.asarray(huge.weight) == 255).all()


def test_damage_needs_a_load() -> None:
    with pytest.raises(StudyError, match=r"osteocytes\.damage"):
        study(osteocytes={"damage": True})


@pytest.mark.slow
def test_a_run_that_looks_at_osteocytes_differs_and_resumes_to_the_same_bits(bone: Volume, tmp_path: Path) -> None:
    asked = study(1.5, osteocytes={"on": True, "every_months": 3.0})
    whole = microct.simulate(bone, asked, tmp_path / "whole")
    short = microct.simulate(bone, asked, tmp_path / "cut")
    assert short.table["Tg.Rm"].value == pytest.approx(30.0, abs=3.0)
    # Taken back to its checkpoint of 0.7 years, between two looks.
    for folder in sorted((tmp_path / "cut" / "ckpt").glob("step-*"))[1:]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    again = microct.resume(tmp_path / "cut")
    np.testing.assert_array_equal(again.at(1.5).values, whole.at(1.5).values)
    assert [str(row) for row in again.table] == [str(row) for row in whole.table]
    _, plain, _ = lived(bone, study(1.5))
    assert not np.array_equal(np.asarray(plain.fields.fraction), whole.at(1.5).values)
