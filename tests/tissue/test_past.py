"""How the bone of a scan was renewed before it was scanned."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import integrate

import microct
from microct.signalling.demand import healthy_demand
from microct.simulation.calendar import Calendar
from microct.simulation.demand import of_study, past_of
from microct.status import StudyError
from microct.tissue.bmdd import bmdd, tissue_ages
from microct.tissue.mineral import HEALTHY_TURNOVER_PER_YR, MineralLaw
from microct.tissue.past import HEALTHY, Past

LAW = MineralLaw()
OLD = Past(0.1, ((0.25, 12.0),))
TREATED = Past(0.1, ((0.25, 12.0), (0.06, 3.0), (0.4, 0.5)))


def density(past: Past, age: float) -> float:
    """Share of bone of an age, for each year: the rate of that time, and what was kept since."""
    kept = 1.0
    for rate, years in reversed(past.since):
        if age < years:
            return float(kept * rate * np.exp(-rate * age))
        kept, age = kept * np.exp(-rate * years), age - years
    return float(kept * past.healthy_per_yr * np.exp(-past.healthy_per_yr * age))


@pytest.mark.parametrize("past", [HEALTHY, OLD, TREATED, Past(0.3, ((0.02, 3.0),)), Past(0.1, ((0.25, 0.0),))])
@pytest.mark.parametrize("idle", [0.0, 4.0])
def test_calcium_and_mean_age_are_the_integrals_over_ages(past: Past, idle: float) -> None:
    lag = LAW.lag_years
    borders = np.cumsum([0.0, *(years for _, years in reversed(past.since))])
    edges = sorted({*borders, *(borders + lag), 60.0, 3000.0})

    def integral(of) -> float:  # type: ignore[no-untyped-def]
        pieces = itertools.pairwise(edges)
        return sum(integrate.quad(lambda a: of(a) * density(past, a), *piece, limit=200)[0] for piece in pieces)

    assert integral(lambda a: 1.0) == pytest.approx(1.0, rel=1e-6)
    assert past.mean_age_yr() == pytest.approx(integral(lambda a: a), rel=1e-6)
    assert past.calcium(LAW, idle) == pytest.approx(integral(lambda a: float(LAW.calcium(a + idle))), rel=1e-5)


@pytest.mark.parametrize("past", [HEALTHY, OLD, TREATED, Past(0.3, ((0.02, 3.0),))])
def test_ages_of_equal_share_are_those_of_the_past(past: Past) -> None:
    ages = past.ages()
    assert (np.diff(ages) > 0).all()
    assert ages.mean() == pytest.approx(past.mean_age_yr(), rel=0.01)
    assert LAW.calcium(ages).mean() == pytest.approx(past.calcium(LAW), rel=1e-3)
    long_ago = sum(years for _, years in past.since)
    kept = np.exp(-sum(rate * years for rate, years in past.since))
    assert np.mean(ages > long_ago) == pytest.approx(kept, abs=1.0 / len(ages))


def test_a_time_that_has_not_begun_or_is_long_over_leaves_a_steady_population() -> None:
    np.testing.assert_array_equal(Past(0.1, ((0.25, 0.0),)).ages(), Past(0.1).ages())
    np.testing.assert_allclose(Past(0.1, ((0.25, 1000.0),)).ages(), Past(0.25).ages())
    assert Past(0.2, ((0.05, 0.0),)).calcium(LAW) == pytest.approx(LAW.steady_calcium(0.2))
    assert Past(0.2, ((0.05, 3000.0),)).calcium(LAW) == pytest.approx(LAW.steady_calcium(0.05))
    assert HEALTHY.mean_age_yr() == pytest.approx(1.0 / HEALTHY_TURNOVER_PER_YR)


def study(**patient) -> microct.Study:  # type: ignore[no-untyped-def]
    """A woman's two years."""
    return microct.Study().with_values(time={"years": 2.0, "burn_in_years": 1.0}, patient=patient)


WOMAN = {"age_at_start_years": 66.0, "menopause_after_start_years": -15.0}


def test_only_what_lies_before_the_start_has_changed_the_bone_of_the_scan() -> None:
    assert past_of(study()) == HEALTHY
    assert past_of(study(menopause="none", menopause_after_start_years=-15.0)) == HEALTHY
    assert past_of(study().with_values(drug=[{"name": "denosumab", "start_years": 0.0}])) == HEALTHY
    ((rate, years),) = past_of(study(**WOMAN)).since
    assert years == 15.0
    # 0.30 births a year where there were 0.13, and hardly deeper.
    assert 2.0 < rate / HEALTHY_TURNOVER_PER_YR < 3.0
    settings = {"activation_frequency_per_year": 0.2, "erosion_depth_um": 50.0}
    assert past_of(study(**WOMAN).with_values(remodeling=settings)).since == ((HEALTHY_TURNOVER_PER_YR, 15.0),)


def test_a_drug_with_which_she_comes_has_changed_it_too() -> None:
    drug = [{"name": "zoledronate", "start_years": -3.0}]
    untreated, (slow, years) = past_of(study(**WOMAN).with_values(drug=drug)).since
    assert untreated == (past_of(study(**WOMAN)).since[0][0], 12.0)
    assert years == 3.0
    assert slow < 0.6 * untreated[0]
    early = past_of(study(**WOMAN).with_values(drug=[{"name": "hrt", "start_years": -20.0}])).since
    assert [years for _, years in early] == [0.0, 20.0]


def test_turnover_under_a_drug_is_that_of_all_its_days() -> None:
    """Denosumab lets births come back before the next dose, which falls on the start: the mean counts, not that day."""
    for years in (-3.0, -3.4):
        given = study(**WOMAN).with_values(drug=[{"name": "denosumab", "start_years": years}])
        untreated, (slow, _) = past_of(given).since
        assert slow < 0.25 * untreated[0]
        calendar = Calendar.of(given)
        births = of_study(given, calendar, with_cortex=True)
        assert births.activation_frequency_per_yr[0] < 0.25 * 0.3
        assert all(one[0][0] < 0.5 * one[0].max() for one in births.cortical)


def test_a_woman_who_comes_with_a_drug_has_its_cavities_at_work() -> None:
    """The burn-in of who was slowed down before the scan is slow, also where her menopause is yet to come."""
    given = study(menopause="none").with_values(drug=[{"name": "zoledronate", "start_years": -3.0}])
    births = of_study(given, Calendar.of(given)).activation_frequency_per_yr
    burn_in = Calendar.of(given).burn_in_steps
    assert births[0] == pytest.approx(births[burn_in], rel=0.2)
    assert births[0] < 0.6 * healthy_demand().activation_frequency_per_yr


@pytest.mark.slow
def test_an_old_woman_begins_with_the_mineral_that_she_keeps(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """TMD of bone past its menopause is steady in a run; with the past of the healthy it falls for years."""
    bone = microct.sample("trabecular", size_mm=2, voxel_size_um=40, seed=1)
    woman = study(**WOMAN)
    run = microct.simulate(bone, woman, out=tmp_path / "run")
    told = run.table["TMD"].value
    step, days = run.folder.frames()[-1].step, woman.time.step_days
    _, formed_on = run.folder.read_field(2.0, "formed_on")
    fraction = run.at(2.0).values
    assert bmdd(tissue_ages(fraction, formed_on, step, days, past_of(woman))).density == pytest.approx(told)
    scanned = bmdd(tissue_ages(fraction, np.zeros_like(formed_on), 0, days, past_of(woman))).density
    healthy = bmdd(tissue_ages(fraction, np.zeros_like(formed_on), 0, days)).density
    assert abs(told / scanned - 1.0) < 0.01
    assert healthy / scanned - 1.0 > 0.02
    # What a map says is the mean of the table; micro-FE asks for the modulus beside that of the scan.
    calcium = run.calcium_at(2.0)
    mean = float((calcium * fraction).sum(dtype=np.float64)) / int(fraction.sum(dtype=np.int64))
    assert mean == pytest.approx(run.table["CaMean"].value, rel=1e-3)
    old = run.relative_modulus_at(2.0)[(formed_on == 0) & (fraction == 255)]
    assert old.size
    assert (old > 1.0).all()


def test_refusals() -> None:
    with pytest.raises(StudyError, match="turnovers above 0"):
        Past(0.0)
    for later in ((0.0, 1.0), (0.1, -1.0)):
        with pytest.raises(StudyError, match="turnovers above 0"):
            Past(since=(later,))
