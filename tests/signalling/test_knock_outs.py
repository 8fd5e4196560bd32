"""Each mechanism, switched off, changes the bone: in the right direction, by the right size, and only where it acts."""

import dataclasses

import numpy as np
import pytest

from microct.signalling import KNOCK_OUTS, CellParameters, Patient, course
from microct.signalling.demand import healthy_demand
from microct.signalling.tables import KNOCK_OUT_YEARS, WOMAN, loss_rate, share_of_rise, without
from microct.status import StudyError

TIMES = np.array(KNOCK_OUT_YEARS) + WOMAN.menopause_after_start_yr


@pytest.fixture(scope="module")
def whole():
    return without()


@pytest.mark.parametrize("name", KNOCK_OUTS)
def test_no_mechanism_is_decoration(whole, name):
    removed = 1 - loss_rate(without(name)) / loss_rate(whole)
    # Neutrophils and mast cells are the least of them: 2 % of the rise of activation frequency.
    assert np.all(removed > (0.007 if name == "neutrophils" else 0.03))


BIRTHS = ("th17", "treg", "macrophages", "b_cells", "neutrophils", "osteocytes", "stromal_rankl", "opg")


@pytest.mark.parametrize("name", BIRTHS)
def test_signals_to_precursors_lower_births_and_leave_erosion_depth(whole, name):
    knocked = without(name)
    assert np.all(knocked.activation_frequency_per_yr < whole.activation_frequency_per_yr)
    assert np.array_equal(knocked.erosion_depth_um, whole.erosion_depth_um)
    assert np.all(knocked.signals["Oc"] < whole.signals["Oc"])


@pytest.mark.parametrize("name", ["sclerostin", "marrow_fat", "osteoblast_apoptosis"])
def test_brakes_on_osteoblasts_thin_the_wall_and_leave_births(whole, name):
    knocked = without(name)
    assert np.all(knocked.wall_thickness_um > whole.wall_thickness_um)
    assert np.all(knocked.signals["Ob"] > whole.signals["Ob"])
    assert np.array_equal(knocked.activation_frequency_per_yr, whole.activation_frequency_per_yr)


# Shares of the rise of activation frequency at +2 yr in the first form of this model, for the response to
# estrogen alone of each mechanism [%]. Two have moved since, and stand with what they were: osteocytes 24 (RANKL of the
# other sources now needs theirs), Th17 24 (their number now rises as measured, by 45 and not by 70 %).
SHARES = {
    "stromal RANKL": (30, ["stromal_rankl_gain"]),
    "osteocytes": (36, ["osteocyte_rankl_gain", "osteocyte_apoptosis_gain"]),
    "Th17": (17.5, ["th17_gain"]),
    "OPG": (12, ["opg_stromal_loss"]),
    "Treg": (11, ["treg_loss"]),
    "B cells": (9, ["b_cell_gain", "b_cell_rankl_gain"]),
    "M1": (4, ["macrophage_gain"]),
    "neutrophils and mast cells": (2, ["neutrophil_gain"]),
}


@pytest.mark.parametrize("mechanism", SHARES)
def test_shares_of_the_rise_are_those_of_the_calibration(mechanism):
    percent, constants = SHARES[mechanism]
    p = dataclasses.replace(CellParameters(), **dict.fromkeys(constants, 0.0))
    assert share_of_rise(course(WOMAN, TIMES, p)) == pytest.approx(percent, abs=1.0)


def test_births_fall_in_the_documented_order():
    shares = [share_of_rise(without(name)) for name in BIRTHS]
    by_size = [name for _, name in sorted(zip(shares, BIRTHS, strict=True), reverse=True)]
    assert by_size == ["osteocytes", "stromal_rankl", "th17", "b_cells", "opg", "treg", "macrophages", "neutrophils"]


def test_osteoclast_lifespan_owns_the_deeper_erosion(whole):
    knocked = without("osteoclast_lifespan")
    assert np.all(knocked.erosion_depth_um == 48.0)
    assert whole.erosion_depth_um[0] > 51.5
    assert knocked.bone_balance_um[0] > 0.4 * whole.bone_balance_um[0]


def test_without_osteocyte_rankl_the_menopause_does_less():
    # Mice whose osteocytes lack RANKL keep their bone without ovaries (Fujiwara 2016); with a fifth of the gene left
    # our activation frequency rises by .60 of health instead of .99. The sum of shares of the first model gave .76.
    ablated = dataclasses.replace(CellParameters(), osteocyte_rankl_gene=0.2)
    before, after = course(WOMAN, [8.0, 12.0], ablated).activation_frequency_per_yr / 0.13
    assert before < 0.65
    assert after - before < 0.65


def test_osteoblast_apoptosis_and_sclerostin_have_their_sizes(whole):
    apoptosis, sclerostin = without("osteoblast_apoptosis"), without("sclerostin")
    # 46.4 to 47.8 and to 46.9 um in the first form of this model, osteoblasts 12 % more without sclerostin.
    assert apoptosis.wall_thickness_um[0] - whole.wall_thickness_um[0] == pytest.approx(1.4 * 0.07 / 0.0954, abs=0.3)
    assert sclerostin.wall_thickness_um[0] - whole.wall_thickness_um[0] == pytest.approx(0.5, abs=0.1)
    assert sclerostin.signals["Ob"][0] / whole.signals["Ob"][0] == pytest.approx(1.12, abs=0.06)


def test_without_estrogen_response_there_is_no_menopause():
    knocked = without("estrogen")
    none = course(Patient("none", WOMAN.age_at_start_yr), TIMES)
    np.testing.assert_allclose(knocked.activation_frequency_per_yr, none.activation_frequency_per_yr, rtol=1e-9)
    assert np.array_equal(knocked.signals["E2"], np.ones(2))


def test_without_estrogen_and_ageing_all_is_health():
    knocked = course(WOMAN, TIMES, knock_out=["estrogen", "ageing"])
    assert np.all(knocked.activation_frequency_per_yr == 0.13)
    assert np.all(knocked.bone_balance_um == 0.0)


def test_ageing_off_is_the_ageing_knock_out():
    ageless = course(dataclasses.replace(WOMAN, ageing=False), TIMES)
    assert np.array_equal(ageless.wall_thickness_um, without("ageing").wall_thickness_um)


def test_knocked_out_mechanisms_stand_at_health():
    for name, seen in {
        "th17": "th17", "treg": "treg", "neutrophils": "neutrophils", "b_cells": "b_cells", "osteocytes": "osteocytes",
        "marrow_fat": "marrow_fat", "sclerostin": "sclerostin", "opg": "opg",
        "macrophages": "macrophages", "osteoblast_apoptosis": "osteoblast_life",
    }.items():  # fmt: skip
        np.testing.assert_allclose(without(name).cells[seen], 1.0, rtol=1e-12, err_msg=name)


def test_b_cells_act_in_cancellous_bone_only():
    cortex = course(WOMAN, TIMES, compartment="cortical")
    knocked = course(WOMAN, TIMES, knock_out=["b_cells"], compartment="cortical")
    assert np.array_equal(knocked.activation_frequency_per_yr, cortex.activation_frequency_per_yr)
    assert np.array_equal(knocked.bone_balance_um, cortex.bone_balance_um)


def test_the_cortex_starts_from_osteons():
    osteon = healthy_demand(compartment="cortical")
    assert (osteon.activation_frequency_per_yr, osteon.erosion_depth_um, osteon.wall_thickness_um) == (0.93, 76.0, 62.0)
    young = course(Patient("none", ageing=False), [0.0, 9.0], compartment="cortical")
    assert np.all(young.activation_frequency_per_yr == 0.93)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"knock_out": ["neutrophil"]}, "unknown knock-out 'neutrophil'; did you mean 'neutrophils'"),
        ({"knock_out": "osteocites"}, "did you mean 'osteocytes'"),
        ({"compartment": "cortcal"}, "did you mean 'cortical'"),
    ],
)
def test_unknown_names_are_refused_with_a_guess(call, says):
    with pytest.raises(StudyError, match=says):
        course(Patient(), [0.0], **call)
