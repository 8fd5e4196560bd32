"""A number depends on the patient and the time, not on what else was asked; and wrong questions get one clear line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct.signalling import Patient, course
from microct.status import StudyError

WHOLE = np.sort(np.concatenate([np.linspace(0.0, 6.0, 73), np.array([0.1, 1 / 3, 5.0000001, 5.77])]))
OF = Patient("surgical", 36.0, 2.0)


def _everything(at):
    return np.array([at.activation_frequency_per_yr, at.erosion_depth_um, at.wall_thickness_um, *at.signals.values()])


@pytest.fixture(scope="module")
def whole():
    return _everything(course(OF, WHOLE))


@settings(max_examples=15, deadline=None)
@given(chosen=st.sets(st.integers(0, WHOLE.size - 1), min_size=1, max_size=12))
def test_any_choice_of_times_gives_the_same_bits(whole, chosen):
    some = sorted(chosen)
    assert np.array_equal(_everything(course(OF, WHOLE[some])), whole[:, some])


def test_a_resumed_course_joins_the_first_half(whole):
    half = WHOLE.size // 2
    first, second = _everything(course(OF, WHOLE[:half])), _everything(course(OF, WHOLE[half:]))
    assert np.array_equal(np.concatenate([first, second], axis=1), whole)


def test_a_longer_study_changes_nothing_before(whole):
    longer = np.append(WHOLE, [9.0, 12.9])
    assert np.array_equal(_everything(course(OF, longer))[:, : WHOLE.size], whole)


def test_within_a_step_the_course_bends_with_its_slopes():
    step = 1 / 48
    for of in (lambda at: at.signals["Oc"], lambda at: at.signals["Ot"], lambda at: at.readouts["CTX"]):
        at = of(course(OF, np.array([105, 105.5, 106]) * step))
        line = 0.5 * (at[0] + at[2])
        finer = of(course(OF, np.linspace(105, 106, 9) * step))
        assert finer[4] == at[1]
        assert np.all(np.diff(finer) * np.sign(at[2] - at[0]) > 0)
        assert abs(at[1] - line) < 0.05 * abs(at[2] - at[0])


def test_times_may_repeat_and_may_be_none():
    twice = course(OF, [3.0, 3.0]).activation_frequency_per_yr
    assert twice[0] == twice[1]
    nothing = course(OF, [])
    assert nothing.times_yr.size == nothing.activation_frequency_per_yr.size == nothing.signals["E2"].size == 0


def test_arrays_are_float64_on_the_host():
    at = course(OF, np.array([0, 5], dtype=np.int32))
    for series in (at.times_yr, at.activation_frequency_per_yr, at.erosion_depth_um, at.signals["RANKL"]):
        assert type(series) is np.ndarray
        assert series.dtype == np.float64


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([-1.0, 2.0], "ascend from 0"),
        ([2.0, 1.0], "ascend"),
        ([0.0, np.nan], "finite"),
        ([[0.0, 1.0]], "2 dimensions"),
        ([1e4], "200"),
    ],
)
def test_wrong_times_are_refused(times, says):
    with pytest.raises(StudyError, match=says):
        course(OF, times)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"menopause": "surgcal"}, "did you mean 'surgical'"),
        ({"menopause": "x"}, "known: none, natural, early, surgical"),
        ({"age_at_start_yr": 5.0}, "18 to 100 yr, got 5"),
        ({"age_at_start_yr": float("nan")}, "18 to 100"),
        ({"menopause_after_start_yr": float("inf")}, "usual: 1"),
        ({"menopause": "early"}, "early menopause comes at 18 to 45 yr of age, got 51"),
        ({"menopause_after_start_yr": 40.0}, "natural menopause comes at 30 to 65"),
    ],
)
def test_a_patient_that_cannot_be_is_refused(given, says):
    with pytest.raises(StudyError, match=says):
        Patient(**given)
