"""The exported model, run by libRoadRunner, a second engine, lives the same years."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from microct.signalling import Patient, Treatment, course
from microct.signalling.parameters import DAYS_PER_YEAR
from microct.signalling.sbml import to_sbml

YEARS = np.arange(0, 4 * 12 + 1) / 12
LIVES = {
    "natural": (Patient("natural", 50.0, 1.0), ()),
    "surgical, denosumab": (Patient("surgical", 48.0, 0.5), (Treatment("denosumab", 2.0, 4.0),)),
    "romosozumab, zoledronate": (
        Patient("natural", 62.0, -11.0),
        (Treatment("romosozumab", 1.0, 2.0), Treatment("zoledronate", 2.0, 4.0)),
    ),
}
NAMES = {
    "cells_th17": "th17",
    "cells_precursors": "precursors",
    "cells_osteoclasts": "osteoclasts",
    "cells_osteoblasts": "osteoblasts",
    "cells_osteocytes": "osteocytes",
    "cells_marrow_fat": "marrow_fat",
    "cells_reserve": "reserve",
    "signals_rankl": "rankl",
    "signals_opg": "opg",
    "signals_il6": "il6",
    "signals_sclerostin": "sclerostin",
}


# The half day in which a drug first floods its target is one step of ours, and its error stays.
TOLERANCE = {"natural": 1e-4, "surgical, denosumab": 2e-3, "romosozumab, zoledronate": 2e-3}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIVES)
def test_a_second_engine_lives_the_same_years(name):
    roadrunner = pytest.importorskip("roadrunner")
    patient, treatments = LIVES[name]
    engine = roadrunner.RoadRunner(to_sbml(patient, 5, treatments))
    engine.integrator.relative_tolerance, engine.integrator.absolute_tolerance = 1e-9, 1e-12
    engine.integrator.setValue("maximum_time_step", 5.0)
    demand = ["demand_activation_frequency_per_yr", "demand_erosion_depth_um", "demand_wall_thickness_um"]
    shown = ["readouts_ctx", "readouts_spine_bmd"]
    engine.timeCourseSelections = ["time", *NAMES, *demand, *shown]
    theirs = np.array(engine.simulate(0, YEARS[-1] * DAYS_PER_YEAR, len(YEARS)))
    ours = course(patient, YEARS, treatments=treatments)
    series = [ours.cells[key] for key in NAMES.values()]
    series += [ours.activation_frequency_per_yr, ours.erosion_depth_um, ours.wall_thickness_um]
    series += [ours.readouts["CTX"], ours.readouts["LS.BMD"]]
    np.testing.assert_allclose(theirs[:, 0], YEARS * DAYS_PER_YEAR)
    for place, (symbol, one) in enumerate(zip([*NAMES, *demand, *shown], series, strict=True), start=1):
        np.testing.assert_allclose(theirs[:, place], one, rtol=TOLERANCE[name], atol=1e-6, err_msg=symbol)


def test_the_document_is_well_formed_and_names_every_constant():
    tree = ET.fromstring(to_sbml(Patient("natural", 50.0, 1.0), 2, [Treatment("denosumab", 0.0)]))
    space = "{http://www.sbml.org/sbml/level3/version2/core}"
    names = [one.get("id") for one in tree.iter(f"{space}parameter")]
    assert len(names) == len(set(names))
    assert {"p_cells_th17_gain", "p_drugs_denosumab_central_l", "cells_osteoclasts", "dose_denosumab"} <= set(names)
    events = [one.get("id") for one in tree.iter(f"{space}event")]
    assert len(events) == 7  # the first dose begins with the study: on, off of four doses, less one
    rules = {one.get("variable") for one in tree.iter(f"{space}rateRule")}
    assert "tissue_trabecular_volume" in rules
