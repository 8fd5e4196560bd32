"""Modeling in whole runs: drugs gain what their cells ask for, load adds where it is high, knock-outs take it away."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from studied_bones import plate

from microct.imaging.specimens import sample
from microct.simulation import step
from microct.simulation.build import Model, build, first_state
from microct.simulation.config import Study
from microct.simulation.run import Moment, run
from microct.state import State
from microct.volume import Volume

DRUG = [{"name": "romosozumab", "start_years": 0.5, "stop_years": 1.5}]


def lived(bone: Volume, study: Study, longest: int = 18) -> tuple[Model, State]:
    model = build(bone, study)
    state = first_state(model, bone)
    while state.step < model.calendar.total_steps:
        state = step.advance(state, model, model.calendar.next_stop(state.step, longest))
        if state.step in model.calendar.report_steps:
            state = step.take_stock(state)
    return model, state


def treated(**modeling: object) -> Study:
    return Study().with_values(
        time={"years": 2.0, "burn_in_years": 0.0, "report_every_years": 0.5},
        patient={"menopause_after_start_years": 0.0, "age_at_start_years": 60.0},
        drug=DRUG,
        modeling=modeling,
    )


@pytest.fixture(scope="module")
def arms() -> tuple[Volume, tuple[Model, State], tuple[Model, State]]:
    bone = plate((24, 128, 128), 40.0, 400.0)
    return bone, lived(bone, treated()), lived(bone, treated(drug=False))


@pytest.mark.slow
def test_a_drug_forms_what_its_cells_ask_for(arms: tuple) -> None:
    """Modeled volume is the demand times the surface, over the run: both faces of the plate [voxel faces]."""
    bone, (model, state), (_, silenced) = arms
    surface = 2.0 * bone.shape[1] * bone.shape[2]
    # A site takes four months to form: what was asked for by then is due in full.
    asked = model.demand.modeling_um_per_yr * model.calendar.step_days / 365.25
    assert asked[-12:].max() == pytest.approx(0.0, abs=0.05)
    expected = asked.sum() / model.voxel_um * surface
    assert expected > 5000.0
    # Some 170 sites: three standard deviations of their number. What each forms is known far better.
    assert state.ledger.modeled / 255.0 == pytest.approx(expected, rel=0.25)
    each = model.footprint_faces * model.packet_um / model.voxel_um
    assert state.ledger.modeled / 255.0 == pytest.approx(state.ledger.packets * each, rel=0.08)
    assert state.ledger.formed > state.ledger.modeled > 0
    assert silenced.ledger.modeled == silenced.ledger.packets == 0
    # Knocked out, the bone is left with the gain of thicker walls alone.
    assert state.ledger.mass - silenced.ledger.mass == pytest.approx(state.ledger.modeled, rel=0.35)


def test_what_no_drug_asks_for_changes_nothing() -> None:
    bone = sample("trabecular", size_mm=1.2, voxel_size_um=40.0, seed=3)
    plain = Study().with_values(time={"years": 1.0, "burn_in_years": 0.0})
    first, second = (lived(bone, study)[1] for study in (plain, plain.with_values(modeling={"drug": False})))
    np.testing.assert_array_equal(first.fields.fraction, second.fields.fraction)
    assert first.ledger == second.ledger
    assert first.ledger.births > 0


@pytest.mark.slow
def test_where_a_run_is_cut_changes_no_bit(arms: tuple) -> None:
    bone, (_, whole), _ = arms
    _, cut = lived(bone, treated(), longest=7)
    np.testing.assert_array_equal(cut.fields.fraction, whole.fields.fraction)
    assert cut.ledger == whole.ledger


@pytest.mark.slow
def test_overload_forms_bone_where_it_is_and_not_where_load_is_usual() -> None:
    bone = sample("trabecular", size_mm=1.6, voxel_size_um=40.0, seed=3)

    def under(activity: float, **modeling: float) -> tuple[State, list[Moment]]:
        study = Study().with_values(
            time={"years": 1.0, "burn_in_years": 0.0},
            patient={"menopause": "none", "ageing": False},
            load={"axis": "z", "activity": [[0, activity]]},
            modeling=modeling,
            report={"thickness": False},
        )
        model, moments = build(bone, study), []

        class Keeper:
            def report(self, moment: Moment) -> None:
                moments.append(dataclasses.replace(moment, state=None))  # type: ignore[arg-type]

            def save(self, moment: Moment) -> None: ...

        return run(first_state(model, bone), model, study, bone, [Keeper()]), moments

    usual, trained, without = under(1.0), under(2.0), under(2.0, load_um_per_year=0.0)
    # Bone that remodels is loaded unevenly, so that a little is overloaded under usual load too.
    assert trained[0].ledger.modeled > 5 * usual[0].ledger.modeled
    assert without[0].ledger.modeled == 0
    assert trained[0].ledger.mass > without[0].ledger.mass > usual[0].ledger.mass
    rows = {row.symbol: row.value for row in trained[1][-1].rows}
    assert rows["Md.V"] > 0.0
    assert rows["N.Md"] == trained[0].ledger.packets
