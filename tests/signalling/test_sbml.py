"""The exported model, run by libRoadRunner, a second engine, lives the same years."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from microct.quantities import DAYS_PER_YEAR
from microct.signalling import DRUGS, CellCourse, Patient, Treatment, course
from microct.signalling.sbml import to_sbml
from microct.signalling.state import CellState

SHE = Patient("natural", 62.0, -11.0)
GIVEN = {
    "alendronate": Treatment("alendronate", 1.0, 3.0),
    "zoledronate": Treatment("zoledronate", 1.0, 2.5),
    "denosumab": Treatment("denosumab", 1.0, 3.0),  # the last dose at 2.5, the rebound from 3.2 on
    "teriparatide": Treatment("teriparatide", 1.0, 3.0),
    "romosozumab": Treatment("romosozumab", 1.0, 2.0),
    "raloxifene": Treatment("raloxifene", 1.0, 3.0),
    "hrt": Treatment("hrt", 1.0, 3.0),
}
TIMES = np.arange(0, 24 * 6 + 1) / 24 + 0.003  # twice a month, a day after the doses; three years past the last
CELLS = tuple(CellState.__dataclass_fields__)
SIGNALS = ("rankl", "opg", "il6", "sclerostin", "births", "rank_occupancy", "osteoclast_life", "osteoblast_life")
SHOWN = (
    *(f"cells_{name}" for name in CELLS),
    *(f"signals_{name}" for name in SIGNALS),
    *(f"demand_{name}" for name in ("activation_frequency_per_yr", "erosion_depth_um", "wall_thickness_um")),
    "demand_modeling_um_per_yr",
    *(f"readouts_{name}" for name in ("ctx", "p1np", "spine_bmd", "hip_bmd", "mineral")),
)


def ours(at: CellCourse) -> np.ndarray:
    return np.array([
        *(at.cells[name] for name in (*CELLS, *SIGNALS)), at.activation_frequency_per_yr, at.erosion_depth_um,
        at.wall_thickness_um, at.modeling_um_per_yr,
        *(at.readouts[name] for name in ("CTX", "P1NP", "LS.BMD", "TH.BMD", "TMD")),
    ]).T  # fmt: skip


def opened(text):
    engine = pytest.importorskip("roadrunner").RoadRunner(text)
    engine.integrator.relative_tolerance, engine.integrator.absolute_tolerance = 1e-10, 1e-13
    engine.integrator.setValue("maximum_time_step", 2.0)
    engine.timeCourseSelections = list(SHOWN)
    return engine


def theirs(engine, times):
    return np.array(engine.simulate(times=[0.0, *(times * DAYS_PER_YEAR)]))[1:]


@pytest.fixture(scope="module")
def every_drug():
    """One engine for all arms: it compiles the model for half a minute, and a dose of 0 is none."""
    return opened(to_sbml(SHE, 7, tuple(GIVEN.values())))


@pytest.mark.slow
@pytest.mark.parametrize("drug", ["", *DRUGS])
def test_a_second_engine_lives_the_same_years_under_every_drug_and_after_it(every_drug, drug):
    every_drug.resetAll()
    for name in DRUGS:
        every_drug[f"dose_{name}"] = float(name == drug)
    found = theirs(every_drug, TIMES)
    expected = ours(course(SHE, TIMES, treatments=[GIVEN[drug]] if drug else []))
    for place, symbol in enumerate(SHOWN):
        # The floor is a hundredth of a promille of health (of a usual um where it is a length).
        np.testing.assert_allclose(expected[:, place], found[:, place], rtol=1e-4, atol=1e-5, err_msg=symbol)
    if drug == "denosumab":
        births = found[:, SHOWN.index("signals_births")]
        assert births.min() < 0.1 * births[0]
        assert births.max() > 1.5 * births[0]  # the rebound is in it


@pytest.mark.slow
def test_a_second_engine_lives_a_surgical_menopause_with_a_sequence_of_drugs():
    patient = Patient("surgical", 48.0, 0.5)
    treatments = (Treatment("hrt", 0.0, 1.0), Treatment("romosozumab", 1.0, 2.0), Treatment("zoledronate", 2.0, 4.0))
    found = theirs(opened(to_sbml(patient, 5, treatments)), TIMES[: 24 * 5])
    expected = ours(course(patient, TIMES[: 24 * 5], treatments=treatments))
    for place, symbol in enumerate(SHOWN):
        np.testing.assert_allclose(expected[:, place], found[:, place], rtol=1e-4, atol=1e-5, err_msg=symbol)


def test_the_document_is_well_formed_and_names_every_constant():
    tree = ET.fromstring(to_sbml(SHE, 2, [Treatment("denosumab"), Treatment("hrt", 0.0, 1.5)]))
    space = "{http://www.sbml.org/sbml/level3/version2/core}"
    names = [one.get("id") for one in tree.iter(f"{space}parameter")]
    assert len(names) == len(set(names))
    assert {"p_cells_th17_gain", "p_drugs_denosumab_central_l", "cells_osteoclasts", "dose_denosumab"} <= set(names)
    events = [one.get("id") for one in tree.iter(f"{space}event")]
    assert events == [
        "dose_denosumab_0_0",
        "dose_denosumab_0_1",
        "dose_denosumab_0_2",
        "dose_denosumab_0_3",
        "flow_hrt_0",
    ]
    flow = next(one for one in tree.iter(f"{space}parameter") if one.get("id") == "flow_hrt")
    assert float(flow.get("value")) == 0.625
    rules = {one.get("variable") for one in tree.iter(f"{space}rateRule")}
    assert "tissue_trabecular_volume" in rules


def test_a_dose_of_zero_leaves_no_event():
    text = to_sbml(SHE, 2, [Treatment("denosumab", 0.0, dose=0.0)])
    assert "<event " not in text
