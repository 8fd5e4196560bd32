"""Drugs: nothing is nothing to the last bit, everything stays positive, and each does what it is given for."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct.quantities import DAYS_PER_YEAR
from microct.signalling import DRUGS, CellCourse, DrugParameters, Patient, Treatment, cell_course, course, drug_table
from microct.signalling.cell_course import prepared
from microct.signalling.drugs.pharmacy import REGIMENS
from microct.signalling.estrogen import COURSES
from microct.signalling.integration import LifeCourse, Step
from microct.signalling.timeline import filled, grid_of
from microct.signalling.walk import seen, walked
from microct.simulation.drug_settings import DRUG_NAMES
from microct.status import StudyError

# Twelve years past her menopause; treated from year 1 on.
SHE = Patient("natural", 62.0, -11.0)
MONTHS = np.arange(0, 12 * 5 + 1) / 12
GIVEN = {
    "alendronate": Treatment("alendronate", 1.0, 4.0),
    "zoledronate": Treatment("zoledronate", 1.0, 3.5),
    "denosumab": Treatment("denosumab", 1.0, 3.0),
    "teriparatide": Treatment("teriparatide", 1.0, 3.0),
    "romosozumab": Treatment("romosozumab", 1.0, 2.0),
    "raloxifene": Treatment("raloxifene", 1.0, 4.0),
    "hrt": Treatment("hrt", 1.0, 4.0),
}


@functools.cache
def arm(name: str = "") -> CellCourse:
    return course(SHE, MONTHS, treatments=[GIVEN[name]] if name else [])


def change(name: str, symbol: str, month: int) -> float:
    """Change against the untreated woman, ``month`` months after the first dose [%]."""
    treated, plain = (arm(which).readouts[symbol][12 + month] for which in (name, ""))
    return 100 * float(treated / plain - 1)


def everything(at: CellCourse) -> np.ndarray:
    parts = [at.activation_frequency_per_yr, at.erosion_depth_um, at.wall_thickness_um, at.modeling_um_per_yr]
    return np.array([*parts, *at.cells.values(), *at.readouts.values()])


def test_the_study_file_knows_the_drugs():
    assert DRUG_NAMES == DRUGS == tuple(GIVEN)


@pytest.mark.parametrize("name", DRUGS)
def test_zero_dose_is_the_untreated_woman_to_the_last_bit(name):
    nothing = course(SHE, MONTHS, treatments=[dataclasses.replace(GIVEN[name], dose=0.0)])
    assert np.array_equal(everything(nothing), everything(arm()))


@pytest.mark.parametrize("name", DRUGS)
def test_before_the_first_dose_not_a_bit_differs_and_afterwards_much_does(name):
    treated, plain = everything(arm(name)), everything(arm())
    assert np.array_equal(treated[:, :13], plain[:, :13])
    assert np.max(np.abs(treated[:, 36] / np.maximum(plain[:, 36], 1e-9) - 1)) > 0.1


@settings(max_examples=12, deadline=None)
@given(
    given=st.lists(
        st.builds(Treatment, st.sampled_from(DRUGS), st.floats(0, 2), st.none(), st.floats(1, 900), st.floats(0, 20)),
        min_size=1,
        max_size=4,
    ),
    menopause=st.sampled_from(COURSES),
)
def test_everything_stays_positive_under_any_dosing(given, menopause):
    age = 40.0 if menopause == "early" else 60.0
    patient = Patient(menopause, age, -1.0)
    steps = grid_of(patient, given, 0, 2, prepared(patient))
    with jax.enable_x64(True):
        life = LifeCourse(np.float64(age), np.float64(-1.0), np.int64(COURSES.index(menopause)))
        p = jax.tree.map(np.float64, prepared(patient))
        begins, _ = walked(Step(**vars(filled(steps, 64 * 64))), np.int64(steps.steps), np.float64(0), life, p)
        times = filled(steps, 64 * 64).start_yr
        bodies = np.where(np.arange(64 * 64)[:, None] < steps.steps, begins, begins[0])
        report = jax.tree.map(np.asarray, seen(bodies, times, life, p))  # every step is looked at, with its doses
    for part in (report.cells, report.tissue, report.signals, report.readouts):
        for name, series in vars(part).items():
            assert np.all(np.isfinite(series)), name
            assert np.min(series) > 0, name
    for series in jax.tree.leaves(report.drugs):
        assert np.all(np.isfinite(series))
        assert np.min(series) >= 0


@pytest.mark.parametrize("name", ["alendronate", "zoledronate", "denosumab", "raloxifene", "hrt"])
def test_antiresorptives_lower_markers_and_raise_density(name):
    assert change(name, "CTX", 12) < change(name, "P1NP", 3) < 0
    for month in (12, 24):
        assert change(name, "LS.BMD", month) > change(name, "TH.BMD", month) > 0
    assert change(name, "LS.BMD", 24) > change(name, "LS.BMD", 12)


@pytest.mark.parametrize("name", ["teriparatide", "romosozumab"])
def test_anabolics_raise_formation_at_once_and_spine_most(name):
    assert change(name, "P1NP", 1) > 50
    assert change(name, "LS.BMD", 12) > 3
    assert arm(name).modeling_um_per_yr[13] > 0 == arm(name).modeling_um_per_yr[12]


def test_at_a_year_the_spine_gains_in_the_known_order():
    gains = {name: change(name, "LS.BMD", 12) for name in DRUGS}
    assert gains["romosozumab"] > 1.3 * gains["denosumab"]
    assert gains["romosozumab"] > gains["teriparatide"]
    assert gains["denosumab"] > gains["zoledronate"] > gains["raloxifene"] > 0


def test_teriparatide_opens_an_anabolic_window():
    assert change("teriparatide", "P1NP", 1) > 10 * change("teriparatide", "CTX", 1) > 0
    assert change("teriparatide", "CTX", 9) > 20


def test_romosozumab_spends_its_reserve():
    assert change("romosozumab", "P1NP", 1) > 100
    assert change("romosozumab", "P1NP", 11) < 0
    assert change("romosozumab", "CTX", 6) < -25
    modeled = arm("romosozumab").modeling_um_per_yr
    assert modeled[23] < 0.4 * modeled[13]


def test_denosumab_ends_with_a_rebound_and_a_bisphosphonate_without():
    # Last dose at month 18 of treatment; the next is due at 24.
    ctx = [change("denosumab", "CTX", month) for month in range(0, 48)]
    assert min(ctx[:24]) < -80
    assert max(ctx[24:36]) > 25
    assert ctx[6] == pytest.approx(ctx[18], abs=8)  # suppression holds from dose to dose
    assert change("denosumab", "LS.BMD", 47) < 0.5 * change("denosumab", "LS.BMD", 24)
    assert arm("denosumab").cells["precursors"][36] > 2 * arm().cells["precursors"][36]
    for name in ("alendronate", "zoledronate"):
        after = [change(name, "CTX", month) for month in range(37, 48)]
        assert max(after) < -30
        assert np.allclose(arm(name).cells["precursors"], arm().cells["precursors"], rtol=1e-3)


def test_zoledronate_after_denosumab_blunts_the_rebound():
    both = course(SHE, MONTHS, treatments=[GIVEN["denosumab"], Treatment("zoledronate", 3.0, 3.5)])
    alone = arm("denosumab")
    assert both.readouts["CTX"][36:].max() < 0.7 * alone.readouts["CTX"][36:].max()
    assert both.readouts["LS.BMD"][-1] > alone.readouts["LS.BMD"][-1]


def test_hormone_replacement_makes_good_the_deficit_and_raloxifene_spares_the_immune_cells():
    assert 0.7 < arm("hrt").signals["E2"][24] < 1
    assert arm("hrt").signals["IL-17"][24] < arm().signals["IL-17"][24]
    np.testing.assert_allclose(arm("raloxifene").signals["IL-17"], arm().signals["IL-17"], rtol=1e-9)
    assert arm("raloxifene").signals["RANKL"][24] < arm().signals["RANKL"][24]


def test_a_holiday_is_a_holiday():
    off = dataclasses.replace(GIVEN["denosumab"], holidays_yr=((1.4, 9.0),))
    once = course(SHE, MONTHS, treatments=[off])
    single = course(SHE, MONTHS, treatments=[Treatment("denosumab", 1.0, 1.1)])
    assert np.array_equal(everything(once), everything(single))


@pytest.mark.parametrize("finer", [1, 4])
@pytest.mark.parametrize("name", DRUGS)
def test_every_dose_is_given_once_whatever_the_grid(name, finer):
    one = Treatment(name, -0.3, 2.7)
    steps = grid_of(SHE, [one], -1, 4, prepared(SHE), finer)
    flowed = steps.flows_per_d * steps.step_yr[:, None] * DAYS_PER_YEAR
    given = (steps.doses + flowed)[:, DRUGS.index(name)].sum() / REGIMENS[name].dose
    assert given == pytest.approx(3 * DAYS_PER_YEAR / REGIMENS[name].interval_d, abs=0.999)
    assert np.all((steps.doses + flowed)[(steps.start_yr < -0.3) | (steps.start_yr >= 2.7)] == 0)
    assert np.all(steps.step_yr > 0)
    assert steps.start_yr[0] == -1
    assert steps.start_yr[-1] + steps.step_yr[-1] == 4
    np.testing.assert_allclose(steps.start_yr[1:], steps.start_yr[:-1] + steps.step_yr[:-1], rtol=0, atol=1e-12)


def test_a_daily_drug_given_rarely_comes_in_doses_and_a_holiday_stops_a_flow():
    rare = grid_of(SHE, [Treatment("hrt", 0.0, 1.0, interval_d=30.0)], 0, 2, prepared(SHE))
    assert np.count_nonzero(rare.doses) == 13
    assert np.all(rare.flows_per_d == 0)
    off = grid_of(SHE, [Treatment("hrt", 0.0, 1.0, holidays_yr=((0.25, 0.5),))], 0, 2, prepared(SHE))
    days = (off.flows_per_d[:, -1] > 0) @ off.step_yr * DAYS_PER_YEAR
    assert days == pytest.approx(0.75 * DAYS_PER_YEAR)


@pytest.mark.parametrize("name", DRUGS)
def test_steps_an_eighth_as_long_change_nothing_that_matters(name, monkeypatch):
    times = np.arange(0, 24 * 4) / 24 + 0.0011
    usual = everything(course(SHE, times, treatments=[GIVEN[name]]))
    monkeypatch.setattr(cell_course, "grid_of", lambda *given: grid_of(*given, 8))
    np.testing.assert_allclose(usual, everything(course(SHE, times, treatments=[GIVEN[name]])), rtol=1e-4, atol=2e-5)


def test_denosumab_has_the_published_concentrations():
    # 8.2, 7.1, 1.8 ug/mL at 10, 30, 90 days after 60 mg: Peterson & Riggs, run from OpenBoneMin's code.
    days = np.array([10, 30, 90])
    serum = course(SHE, 1 + days / DAYS_PER_YEAR, treatments=[GIVEN["denosumab"]]).drugs["denosumab.central"]
    np.testing.assert_allclose(serum / 1000, [8.2, 7.1, 1.8], rtol=0.1)


@functools.cache
def moved(constant: str) -> CellCourse:
    """The course under a drug with one of its constants a tenth larger."""
    drug, name = constant.split(".")
    usual = DrugParameters()
    own = getattr(usual, drug)
    other = dataclasses.replace(usual, **{drug: dataclasses.replace(own, **{name: 1.1 * getattr(own, name)})})
    return course(SHE, MONTHS, treatments=[GIVEN[drug]], drugs=other)


@pytest.mark.parametrize("constant", [one.name for one in drug_table()])
def test_no_constant_of_a_drug_is_decoration(constant):
    # Markers or density, at some month of the course and of the two years after it, by a tenth of a promille at least.
    usual, other = arm(constant.split(".")[0]).readouts, moved(constant).readouts
    change = max(np.max(np.abs(other[symbol] / usual[symbol] - 1)) for symbol in ("CTX", "P1NP", "LS.BMD", "TH.BMD"))
    assert change > 1e-4
    assert np.array_equal(other["CTX"][:13], usual["CTX"][:13])  # and not before the first dose


def test_every_constant_of_a_drug_has_unit_meaning_and_source():
    for one in drug_table():
        assert one.unit
        assert one.meaning
        assert one.source, one.name
        assert not (one.verified and one.fitted), one.name


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"drug": "denosumb"}, "did you mean 'denosumab'"),
        ({"drug": "hrt", "start_yr": float("nan")}, "number of years"),
        ({"drug": "hrt", "start_yr": 2.0, "stop_yr": 1.0}, "before start_yr 2"),
        ({"drug": "hrt", "dose": 50.0}, "0 to 20 usual doses"),
        ({"drug": "hrt", "interval_d": 0.1}, "1 to 7305 day"),
        ({"drug": "hrt", "holidays_yr": ((2.0, 1.0),)}, "holiday"),
    ],
)
def test_a_treatment_that_cannot_be_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        Treatment(**call)
