"""Drugs: nothing is nothing to the last bit, everything stays positive, and each does what it is given for."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct.signalling import DRUGS, CellCourse, Patient, Treatment, course, drug_table
from microct.signalling.drugs.pharmacy import REGIMENS
from microct.signalling.drugs.schedule import doses_per_day
from microct.signalling.estrogen import COURSES
from microct.signalling.integration import LifeCourse, ModelParameters, advance, healthy_body
from microct.signalling.parameters import DAYS_PER_YEAR
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


def test_zero_dose_is_the_untreated_woman_to_the_last_bit():
    nothing = course(SHE, MONTHS, treatments=[dataclasses.replace(one, dose=0.0) for one in GIVEN.values()])
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
    body, p = healthy_body(), jax.tree.map(jnp.asarray, ModelParameters())
    life = LifeCourse(jnp.asarray(60.0), jnp.asarray(-1.0), jnp.asarray(COURSES.index(menopause)))
    for year, doses in enumerate(doses_per_day(given, 0, 2, 732)):
        body, report = advance(body, jnp.asarray(year), life, p, jnp.asarray(doses))
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
    assert modeled[23] < 0.35 * modeled[13]


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
    assert np.array_equal(arm("raloxifene").signals["IL-17"], arm().signals["IL-17"])
    assert arm("raloxifene").signals["RANKL"][24] < arm().signals["RANKL"][24]


def test_a_holiday_is_a_holiday():
    off = dataclasses.replace(GIVEN["denosumab"], holidays_yr=((1.4, 9.0),))
    once = course(SHE, MONTHS, treatments=[off])
    single = course(SHE, MONTHS, treatments=[Treatment("denosumab", 1.0, 1.1)])
    assert np.array_equal(everything(once), everything(single))


@pytest.mark.parametrize("steps", [92, 732])
def test_every_dose_is_given_once_whatever_the_grid(steps):
    for name in DRUGS:
        one = Treatment(name, -0.3, 2.7)
        parts = [doses_per_day([one], year, 1, steps) for year in range(-1, 4)]
        whole = doses_per_day([one], -1, 5, steps)
        assert np.array_equal(np.concatenate(parts), whole)
        given = whole.sum() * DAYS_PER_YEAR / steps / REGIMENS[name].dose
        assert given == pytest.approx(len(one.dose_times_yr(-1, 4)))
        assert given == pytest.approx(3 * DAYS_PER_YEAR / REGIMENS[name].interval_d, abs=1)


def test_denosumab_has_the_published_concentrations():
    # 8.2, 7.1, 1.8 ug/mL at 10, 30, 90 days after 60 mg: Peterson & Riggs, run from OpenBoneMin's code.
    days = np.array([10, 30, 90])
    serum = course(SHE, 1 + days / DAYS_PER_YEAR, treatments=[GIVEN["denosumab"]]).drugs["denosumab.central"]
    np.testing.assert_allclose(serum / 1000, [8.2, 7.1, 1.8], rtol=0.1)


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
