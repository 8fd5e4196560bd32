"""Compartments in whole runs: each has its own births and depths; bone without a cortex keeps its bits."""

from __future__ import annotations

import numpy as np
import pytest

from microct.imaging.specimens import sample
from microct.simulation import report, step
from microct.simulation.build import Model, build, first_state
from microct.simulation.config import Study
from microct.state import State
from microct.status import InputError
from microct.volume import Volume

UM = 40.0


def shaft() -> Volume:
    """Air, a cortex of 1 mm with six canals of 160 um along z, marrow with a plate standing in it."""
    bone = np.zeros((96, 64, 96), np.uint8)
    bone[:, 6:32] = 255
    for y in (13, 24):
        for x in (16, 48, 80):
            bone[:, y - 2 : y + 2, x - 2 : x + 2] = 0
    bone[:, 32:60, 30:35] = 255
    return Volume.from_array(bone, UM)


def lived(bone: Volume, study: Study) -> tuple[Model, State]:
    model = build(bone, study)
    state = first_state(model, bone)
    while state.step < model.calendar.total_steps:
        state = step.advance(state, model, model.calendar.next_stop(state.step, 18))
        if state.step in model.calendar.report_steps:
            state = step.take_stock(state)
    return model, state


def study(years: float = 3.0, **compartments: object) -> Study:
    return Study().with_values(
        time={"years": years, "burn_in_years": 0.0},
        remodeling={"activation_frequency_per_year": 0.2, "erosion_depth_um": 45.0, "wall_thickness_um": 40.0},
        compartments={"find": "scan", **compartments},
    )


@pytest.mark.slow
def test_each_compartment_turns_over_at_its_own_rate() -> None:
    bone = shaft()
    model, state = lived(bone, study(6.0, endocortical_births=2.0, intracortical_births=0.5, periosteal_births=0.0))
    first = first_state(model, bone)
    rows = report._compartments(state, model, first)
    births = state.ledger
    assert births.periosteal == 0
    assert births.endocortical > 20
    assert births.intracortical > 5
    assert births.births == births.wanted
    # Counts of Poisson: three standard deviations.
    for tag, factor, count in (("Ec", 2.0, births.endocortical), ("Ic", 0.5, births.intracortical)):
        surface = 0.5 * (rows[f"{tag}.BS"] + report._compartments(first, model, None)[f"{tag}.BS"])
        read = rows[f"{tag}.Ac.f"] * rows[f"{tag}.BS"] / surface
        assert read == pytest.approx(0.2 * factor, rel=3.0 / np.sqrt(count) + 0.05)
    trabecular = births.births - births.endocortical - births.intracortical
    assert rows["Tb.Ac.f"] == pytest.approx(0.2, rel=3.0 / np.sqrt(trabecular) + 0.15)
    # Where no BMU is born, bone stays; elsewhere the balance of - 5 um tells.
    place = np.asarray(model.place)
    gone = (bone.values.astype(int) - np.asarray(state.fields.fraction))[place == 3].sum()
    assert gone < 0.05 * (births.resorbed - births.formed)
    assert rows["Ct.Po.now"] > report._compartments(first, model, None)["Ct.Po.now"]


@pytest.mark.slow
def test_depth_is_that_of_the_compartment() -> None:
    _, state = lived(shaft(), study(0.3, endocortical_depth=0.5, endocortical_births=4.0, intracortical_births=4.0))
    table = state.bmus.surface
    kind, asked = (np.asarray(column)[: state.count.surface] for column in (table.kind, table.prescribed))
    assert {0, 1, 2} <= set(kind)
    for number, factor in ((0, 1.0), (1, 0.5), (2, 1.3)):
        np.testing.assert_allclose(asked[kind == number], factor * 45.0 / UM, rtol=1e-5)


@pytest.mark.slow
def test_bone_without_a_cortex_keeps_its_bits() -> None:
    """Looked for and not found is the same as not looked for."""
    bone = sample("trabecular", size_mm=1.2, voxel_size_um=40.0, seed=3)
    time = {"years": 1.0, "burn_in_years": 0.0}
    (_, plain), (model, looked) = (
        lived(bone, Study().with_values(time=time, compartments={"find": find})) for find in ("none", "scan")
    )
    assert model.place is None
    np.testing.assert_array_equal(looked.fields.fraction, plain.fields.fraction)
    assert looked.ledger == plain.ledger
    assert looked.ledger.births > 0


def test_a_mask_that_is_not_handed_over_is_refused() -> None:
    with pytest.raises(InputError, match=r"compartments\.mask"):
        build(shaft(), Study().with_values(compartments={"mask": "cortex.nrrd"}))
