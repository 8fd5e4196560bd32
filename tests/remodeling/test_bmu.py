"""The life of a BMU: its periods, the spread of its depth, the sizes that carry it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microct.kernels.cavity import FRONT
from microct.remodeling import bmu
from microct.status import InputError

UNIT = bmu.BMU(180.0, 40.0, 30.0, 120.0, 0.25)


def open_days(unit, step_days):
    """Time integral of the open share of a cavity, which on thick bone is the front's: each step at its value."""
    found = bmu.schedule(unit, step_days, 20.0)
    down, up = found.erosion / FRONT, found.refill / FRONT
    return float(np.where(up > 0, 1.0 - up, down).sum()) * step_days


@pytest.mark.parametrize("step_days", [5.0, 10.0, 20.0])
def test_the_remodeling_space_does_not_depend_on_the_step(step_days):
    """A cavity is open for T_res / 2 + T_rev + T_form / 2, within 2 %."""
    assert UNIT.open_days == 40.0 / 2 + 30.0 + 120.0 / 2
    assert open_days(UNIT, step_days) == pytest.approx(UNIT.open_days, rel=0.02)


PERIODS = st.tuples(st.floats(20.0, 80.0), st.floats(0.0, 60.0), st.floats(30.0, 300.0), st.floats(2.0, 20.0))


@given(PERIODS)
def test_open_days_for_any_periods_within_the_midpoint_rule(periods):
    """A kink of slope s costs the midpoint rule at most s step^2 / 8; the ramps have two kinks each."""
    resorption, reversal, formation, step = periods
    unit = bmu.BMU(180.0, resorption, reversal, formation, 0.25)
    error = step**2 / 8.0 * (2.0 / resorption + 2.0 / formation)
    if reversal < step:  # the ramps may meet within one step
        error += step * step / resorption
    rounding = 3.0 * step * len(bmu.schedule(unit, step, 20.0).erosion) / FRONT
    assert open_days(unit, step) == pytest.approx(unit.open_days, abs=error + rounding)


@given(PERIODS)
def test_a_front_goes_down_waits_and_comes_back(periods):
    resorption, reversal, formation, step = periods
    found = bmu.schedule(bmu.BMU(180.0, resorption, reversal, formation, 0.25), step, 20.0)
    start, last, give_up = int(found.refill_start), int(found.last), int(found.give_up)
    assert (np.diff(found.erosion) >= 0).all()
    assert (np.diff(found.refill) >= 0).all()
    assert found.erosion[0] == found.refill[0] == 0
    assert found.erosion[start] == FRONT
    assert (found.refill[:start] == 0).all()
    assert (found.refill[start:] > 0).all()
    assert found.refill[last] == FRONT
    assert 0 < start <= last < give_up < len(found.refill)
    assert (give_up - last) * step == pytest.approx(bmu.GIVE_UP_DAYS, abs=1.5 * step)


@pytest.mark.parametrize("step_days", [5.0, 10.0, 20.0])
def test_the_cavity_is_whole_before_it_is_refilled(step_days):
    """The front stands at its end for at least one step, so that all of the mass is resorbed."""
    found = bmu.schedule(UNIT, step_days, 20.0)
    assert found.erosion[int(found.refill_start) - 1] == FRONT
    reversal, formation = UNIT.ages(step_days)
    assert found.erosion[reversal] == FRONT > found.erosion[reversal - 1]
    assert formation == int(found.refill_start) > reversal


@pytest.mark.parametrize("cv", [0.05, 0.1, 0.25, 0.4, 0.6])
def test_depths_have_the_mean_and_spread_asked_for(cv):
    shares = bmu.depth_shares(cv) / FRONT
    assert shares.mean() == pytest.approx(1.0, abs=1e-3)
    assert shares.std() == pytest.approx(cv, rel=0.01)
    assert (shares > 0.0).all()
    assert np.mean((shares - 1.0) ** 3) > 0.0
    # A quantile of a log-normal law is as far above the median as its mirror image is below, as ratios.
    quantiles = np.quantile(shares, [0.1, 0.5, 0.9])
    assert quantiles[2] * quantiles[0] == pytest.approx(quantiles[1] ** 2, rel=0.02)


def test_without_spread_all_depths_are_the_mean():
    assert (bmu.depth_shares(0.0) == FRONT).all()


@pytest.mark.parametrize("voxel_um", [10.0, 20.0, 40.0])
def test_sizes_cover_footprint_and_depth(voxel_um):
    found = bmu.geometry(UNIT, voxel_um, 52.0, (500, 400, 300))
    deepest = 52.0 * bmu.depth_shares(0.25).max() / FRONT * 4.0 / 3.0 / voxel_um
    assert found.reach > deepest
    assert all(n % 2 == 1 and n > 2 * 180.0 / voxel_um for n in found.window)
    assert found.entries > np.pi * (180.0 / voxel_um) ** 2 * deepest


def test_a_small_bone_bounds_the_window():
    found = bmu.geometry(UNIT, 40.0, 52.0, (9, 400, 12))
    assert found.window[0] == 9
    assert found.window[2] == 12
    assert found.entries <= np.prod(found.window)


@pytest.mark.parametrize("voxel_um", [2.0, 120.0])
def test_voxels_too_fine_or_too_coarse_are_refused_in_one_line(voxel_um):
    with pytest.raises(InputError, match=r"expected .* to 108 um \(usual: 10 to 50\)") as refusal:
        bmu.geometry(UNIT, voxel_um, 52.0, (500, 500, 500))
    assert "\n" not in str(refusal.value)
    low = float(str(refusal.value).split("expected ")[1].split()[0])
    assert bmu.geometry(UNIT, 1.05 * low, 52.0, (500, 500, 500)).reach <= 30


def test_footprint_in_faces_and_in_mm2_are_the_same_area():
    for voxel_um in (10.0, 20.0, 40.0):
        assert bmu.footprint_faces(UNIT, voxel_um) * (voxel_um / 1000.0) ** 2 == pytest.approx(UNIT.footprint_mm2)


def test_the_thinnest_floor_is_a_thickness_not_a_share_of_a_voxel():
    for voxel_um in (10.0, 20.0, 40.0):
        thinnest = int(bmu.schedule(UNIT, 10.0, voxel_um).widths.thinnest)
        assert thinnest / 255.0 * voxel_um == pytest.approx(bmu.FLOOR_UM, abs=0.5 * voxel_um / 255.0 + 0.01)


@pytest.mark.parametrize(("reversal_days", "step_days"), [(0.0, 10.0), (9.0, 20.0)])
def test_a_reversal_shorter_than_a_step_still_lets_the_cavity_be_whole(reversal_days, step_days):
    found = bmu.schedule(bmu.BMU(180.0, 40.0, reversal_days, 120.0, 0.25), step_days, 20.0)
    assert found.erosion[int(found.refill_start) - 1] == FRONT
