"""Every constant is recorded and in use, and the documentation shows the numbers of the code."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from microct.signalling import CellParameters, Patient, course, parameter_table
from microct.signalling.demand import healthy_demand
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.tables import PARTS

DOCUMENT = Path(__file__).parents[2] / "docs" / "science-cells.md"


def test_every_constant_has_unit_meaning_and_source():
    table = parameter_table()
    assert [one.name for one in table] == [field.name for field in dataclasses.fields(CellParameters)]
    for one in table:
        assert one.unit, one.name
        assert one.meaning, one.name
        assert one.source, one.name
        assert not (one.verified and one.fitted), one.name
        assert one.verified or one.fitted or "unverified" in one.source or "definition" in one.source, one.name


def test_the_table_follows_the_parameters():
    changed = dataclasses.replace(CellParameters(), treg_loss=0.1)
    values = {one.name: one.value for one in parameter_table(changed)}
    assert values["treg_loss"] == 0.1
    assert values["th17_gain"] == CellParameters().th17_gain


# Those of formation on quiet surface act where a drug drives it.
UNDER_DRUG = ("reserve_time_d", "reserve_use", "modeling_um_per_yr")
# Those of body mass act where the study states one.
OF_BODY_MASS = ("estrogen_per_bmi", "bmi_of_sources")
# Inert here, by design: RANK occupancy is never below health without a drug, and no ovaries are removed.
IDLE = {"osteoclast_life_basal", "surgical_floor", "surgical_decay_yr", *UNDER_DRUG, *OF_BODY_MASS}
SOME = Patient("early", 38.0, 1.0)
TIMES = np.array([1.0, 3.0, 9.0])


@pytest.fixture(scope="module")
def usual():
    return course(SOME, TIMES, dataclasses.replace(CellParameters(), ageing_onset_yr=30.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in parameter_table()])
def test_no_constant_is_inert(usual, name):
    if name in IDLE or name.startswith("cortical_"):
        pytest.skip("acts in another course or compartment")
    p = dataclasses.replace(CellParameters(), ageing_onset_yr=30.0)
    changed = course(SOME, TIMES, dataclasses.replace(p, **{name: 0.97 * getattr(p, name)}))
    loss = changed.activation_frequency_per_yr * changed.bone_balance_um
    series = [(changed.cells[key], usual.cells[key]) for key in usual.cells]
    series.append((loss, usual.activation_frequency_per_yr * usual.bone_balance_um))
    assert any(not np.allclose(one, other, rtol=1e-7, atol=0) for one, other in series)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNDER_DRUG)
def test_constants_of_modeling_act_under_romosozumab(name):
    given = (Treatment("romosozumab", 1.0, 2.0),)
    p = CellParameters()
    changed = dataclasses.replace(p, **{name: 0.9 * getattr(p, name)})
    usual, other = (course(SOME, np.array([1.5, 2.0]), one, treatments=given) for one in (p, changed))
    assert (usual.modeling_um_per_yr > 0).all()
    assert not np.allclose(other.modeling_um_per_yr, usual.modeling_um_per_yr, rtol=1e-4)


@pytest.mark.parametrize("name", OF_BODY_MASS)
def test_constants_of_body_mass_act_where_one_is_stated(name):
    p = CellParameters()
    changed = dataclasses.replace(p, **{name: 0.9 * getattr(p, name)})
    light = dataclasses.replace(SOME, bmi_kg_m2=20.0)
    usual, other = (course(light, TIMES, one) for one in (p, changed))
    assert not np.allclose(other.activation_frequency_per_yr, usual.activation_frequency_per_yr, rtol=1e-4)


def test_constants_of_the_other_compartment_act_there():
    changed = dataclasses.replace(CellParameters(), cortical_wall_thickness_um=61.0)
    assert healthy_demand(changed, "cortical").wall_thickness_um == 61.0
    assert healthy_demand(changed).wall_thickness_um == 48.0


@pytest.mark.parametrize("title", PARTS)
def test_the_document_shows_the_numbers_of_the_code(title):
    written = set(DOCUMENT.read_text(encoding="utf-8").splitlines())
    missing = [line for line in PARTS[title]() if line not in written]
    assert not missing, f"run python -m microct.signalling.tables and bring docs/science-cells.md up to date: {missing}"
