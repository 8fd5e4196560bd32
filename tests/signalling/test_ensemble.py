"""Many women at once are the same women one by one, and the same for the same seed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from microct.signalling import Patient, Treatment, course
from microct.signalling import ensemble as virtual
from microct.signalling.cell_course import prepared
from microct.signalling.integration import Step
from microct.signalling.timeline import grid_of_crowds
from microct.simulation import cohort
from microct.simulation.config import Study
from microct.simulation.demand import patient_of
from microct.status import StudyError

SHE = Patient("natural", 40.0, 2.0)  # 38 - 10 years before the menopause she is 28: `course` begins there too


@pytest.mark.parametrize("treated", [False, True])
def test_a_life_in_the_crowd_is_the_life_of_the_course(treated):
    treatments = [Treatment("denosumab", 4.0, 6.0), Treatment("teriparatide", 6.5)] if treated else []
    p = prepared(SHE)
    of = virtual.women(SHE, p, 3, seed=5)
    alone = {name: np.full(3, getattr(p.cells, name), np.float32) for name in of.constants}
    same = virtual.Women(of.age_at_start_yr, np.full(3, 2.0, np.float32), alone)
    steps = Step(**vars(grid_of_crowds(treatments, -12, 10, 2)))
    seen = virtual.lives(same, virtual.single_precision(p), steps, virtual.place_of(SHE), -12)
    times = np.arange(20) / 2
    one = course(SHE, times, treatments=treatments)
    expected = {
        "Ac.f": one.activation_frequency_per_yr,
        "LS.BMD": one.readouts["LS.BMD"],
        "W.Th": one.wall_thickness_um,
    }
    for symbol, series in expected.items():
        np.testing.assert_allclose(np.asarray(seen[symbol])[1, 24:], series, rtol=2e-3, err_msg=symbol)


def test_same_seed_same_women_and_more_of_them_are_within_the_prior():
    p = prepared(SHE)
    first, again, other = (virtual.women(SHE, p, 400, seed) for seed in (1, 1, 2))
    for one, two in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(first.menopause_yr, other.menopause_yr)
    left = [np.log(1 - np.asarray(first.constants["menopause_fall"], np.float64))]
    left += [np.log(np.asarray(first.constants["surgical_floor"], np.float64))]
    assert np.std(left[1]) == pytest.approx(
        p.cells.estrogen_per_bmi * p.cells.bmi_of_sources * virtual.BMI_SPREAD, rel=0.2
    )
    assert np.std(left[0]) > np.std(left[1])  # its own spread, and that of body mass
    for name, spread in virtual.SPREAD.items():
        if name == "menopause_fall":
            continue
        drawn = np.log(np.asarray(first.constants[name], np.float64) / getattr(p.cells, name))
        assert np.std(drawn) == pytest.approx(spread, rel=0.2), name
    ages = np.asarray(first.menopause_yr) + SHE.age_at_start_yr
    low, high = virtual.MENOPAUSE_AGES_YR["natural"]
    assert low <= ages.min() < ages.max() <= high


@pytest.mark.parametrize(("kind", "age_yr"), [("natural", 35.0), ("natural", 58.0), ("surgical", 36.0)])
def test_women_are_drawn_around_the_one_who_is_asked_for(kind, age_yr):
    she = Patient(kind, 50.0, age_yr - 50.0)
    of = virtual.women(she, prepared(she), 2000, seed=3)
    assert np.mean(of.menopause_yr) + 50.0 == pytest.approx(age_yr, abs=0.5)


def test_a_crowd_begins_its_study_as_one_woman_does():
    """A woman of 60, whose cells have 32 years behind them, not the ten before a menopause."""
    asked = Study.from_toml("[time]\nyears = 2\n[patient]\nage_at_start_years = 60\nmenopause_after_start_years = -4\n")
    she = patient_of(asked)
    p = prepared(she)
    drawn = virtual.women(she, p, 2, seed=5)
    alone = {name: np.full(2, getattr(p.cells, name), np.float32) for name in drawn.constants}
    alike = virtual.Women(drawn.age_at_start_yr, jnp.full(2, -4.0, jnp.float32), alone)
    (seen,) = cohort._lived(asked, alike)
    one = course(she, np.arange(3.0))
    for symbol in ("LS.BMD", "TH.BMD"):
        np.testing.assert_allclose(seen[symbol][0, ::12][:3], one.readouts[symbol], rtol=2e-3)


@pytest.fixture(scope="module")
def study():
    return Study.from_toml("[time]\nyears = 12\n")


@pytest.fixture(scope="module")
def bands(study):
    return cohort.ensemble(study, 64, seed=1)


def test_bands_are_ordered_and_end_with_the_study(bands):
    assert bands.times_yr[-1] == 12.0
    for symbol, levels in bands.bands.items():
        assert np.all(np.diff(levels, axis=0) >= 0), symbol
        assert np.all(np.isfinite(levels)), symbol
        assert np.all(levels > 0), symbol


def test_the_middle_of_the_crowd_is_near_the_woman_of_the_study(bands):
    alone = course(Patient("natural", 50.0, 1.0), [12.0])
    assert bands.bands["LS.BMD"][2, -1] == pytest.approx(alone.readouts["LS.BMD"][0], abs=0.03)
    assert bands.bands["Ac.f"][2, -1] == pytest.approx(alone.activation_frequency_per_yr[0], rel=0.1)


def test_a_later_menopause_loses_less(study):
    bands = cohort.ensemble(study, 64, seed=1)
    late = cohort.ensemble(study.with_values(patient={"menopause_after_start_years": 6.0}), 64, seed=1)
    assert late.bands["LS.BMD"][2, -1] > bands.bands["LS.BMD"][2, -1] + 0.02


@pytest.mark.slow
def test_screening_finds_what_matters(study):
    pytest.importorskip("SALib")
    effects = {one.name: one for one in cohort.sensitivity(study, seed=1, trajectories=6)}
    order = list(effects)
    assert order.index("menopause_age") < 4
    assert order.index("neutrophil_gain") > 12
    assert effects["wall_exponent"].mean > 1.0


def test_without_salib_the_refusal_says_what_to_install(study, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SALib.analyze", None)
    with pytest.raises(StudyError, match="sensitivity"):
        cohort.sensitivity(study, seed=1)
