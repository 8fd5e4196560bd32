"""Constants come back from what was measured, with honest errors; wrong questions get one clear line."""

import dataclasses

import numpy as np
import pytest

from microct.signalling import CellParameters, Patient, Treatment
from microct.signalling.calibration import Observation, fit, observe
from microct.status import StudyError

SHE = Patient("natural", 50.0, 1.0)
TRUTH = {"stromal_rankl_gain": 1.25, "osteoclast_life_gain": 0.8, "activation_frequency_per_yr": 1.15}
YEARS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
PLAN = [(symbol, year) for symbol in ("CTX", "P1NP", "LS.BMD", "E.De") for year in YEARS]
ERRORS = {"CTX": 0.03, "P1NP": 0.03, "LS.BMD": 0.002, "E.De": 0.3}


def series(noise: float) -> list[Observation]:
    usual = CellParameters()
    true = dataclasses.replace(usual, **{name: getattr(usual, name) * factor for name, factor in TRUTH.items()})
    symbols, times = zip(*PLAN, strict=True)
    values = observe(SHE, symbols, times, true)
    values = values + noise * np.random.default_rng(3).standard_normal(len(PLAN)) * [ERRORS[one] for one in symbols]
    return [
        Observation(symbol, time, float(value), ERRORS[symbol])
        for symbol, time, value in zip(symbols, times, values, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_truth_is_recovered_with_its_uncertainty(noise):
    found = fit(SHE, series(noise), list(TRUTH), prior=3.0)
    assert found.arrived
    for name, factor in TRUTH.items():
        true = factor * getattr(CellParameters(), name)
        error = found.standard_deviations[name]
        assert 0 < error < 0.2 * true, name
        assert found.estimates[name] == pytest.approx(true, rel=0.05 if not noise else None, abs=3 * error), name
        if not noise:
            assert found.estimates[name] == pytest.approx(true, rel=0.01), name
    assert found.chi_square < (1e-2 if not noise else 2 * len(PLAN))
    assert np.allclose(np.diag(found.correlation), 1)
    assert found.parameters.stromal_rankl_gain == found.estimates["stromal_rankl_gain"]


@pytest.mark.slow
def test_a_constant_that_nothing_measures_keeps_its_prior():
    told = [Observation("E.De", 2.0, 52.0, 0.3)]
    found = fit(SHE, told, ["osteoclast_life_gain", "wall_exponent"], prior=0.5)
    usual = CellParameters().wall_exponent
    assert found.estimates["wall_exponent"] == pytest.approx(usual, rel=1e-6)
    assert found.standard_deviations["wall_exponent"] == pytest.approx(0.5 * usual, rel=1e-3)


@pytest.mark.slow
def test_what_she_was_given_counts():
    treated = observe(SHE, ["CTX"], [4.0], treatments=[Treatment("denosumab", 3.0)])
    assert treated[0] < 0.8 * observe(SHE, ["CTX"], [4.0])[0]


@pytest.mark.parametrize(
    ("observations", "names", "says"),
    [
        ([], ["th17_gain"], "expected observations"),
        ([Observation("CTY", 1.0, 1.0, 0.1)], ["th17_gain"], "did you mean 'CTX'"),
        ([Observation("CTX", 1.0, 1.0, 0.0)], ["th17_gain"], "error above 0"),
        ([Observation("CTX", 1.0, 1.0, 0.1)], ["th17_gian"], "did you mean 'th17_gain'"),
    ],
)
def test_a_fit_that_cannot_be_is_refused(observations, names, says):
    with pytest.raises(StudyError, match=says):
        fit(SHE, observations, names)
