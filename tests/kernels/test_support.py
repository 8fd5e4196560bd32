"""Floors, pits and threads: hand-made bones, and the definition on any bone."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from bone_at_work import PLAN
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import remodeling as definition

from microct.kernels import support
from microct.kernels.bmu_lists import TILE
from microct.kernels.bmu_table import Widths

THINNEST = 41
FINE, COARSE = (Widths(np.int32(THINNEST), np.int32(wide)) for wide in (256, 204))
#: Directions of floors, as `cavity.Cavity.floor` writes them.
BELOW, HERE = (0 << 4 | 1 << 2 | 1), (1 << 4 | 1 << 2 | 1)
WIDE = dataclasses.replace(PLAN, carve_chunk=2)


def unfit(fraction, places, floor, plan=PLAN, widths=FINE, all_ask=True):
    """The answer for each of up to TILE places."""
    asked = np.zeros((3, TILE), np.int32)
    asked[:, : len(places)] = np.array(places).T
    asks = (np.arange(TILE) < len(places)) & all_ask
    floors = np.full((1, TILE), floor, np.uint8)
    place = tuple(jnp.asarray(a[None]) for a in asked)
    found = support.unfit(jnp.asarray(fraction), place, jnp.asarray(floors), jnp.asarray(asks[None]), widths, plan)
    assert not np.asarray(found)[0, len(places) :].any()
    return np.asarray(found)[0, : len(places)].tolist()


@pytest.fixture
def plate():
    """A plate of one voxel at z = 4, with a hole of one voxel, one of 2 x 2, and a straight edge at x = 12."""
    fraction = np.zeros((9, 16, 16), np.uint8)
    fraction[4, :, :12] = 255
    fraction[4, 3, 3] = 0
    fraction[4, 8:10, 6:8] = 0
    return fraction


@pytest.mark.parametrize("plan", [PLAN, WIDE], ids=["listed", "wide"])
def test_pits_are_filled_and_holes_are_not(plate, plan):
    assert unfit(plate, [(4, 3, 3), (4, 8, 6), (4, 9, 7)], BELOW, plan) == [False, True, True]


@pytest.mark.parametrize("plan", [PLAN, WIDE], ids=["listed", "wide"])
def test_a_plate_of_one_voxel_is_a_floor_to_its_edge_and_no_thread(plate, plan):
    above = [(5, 3, 8), (5, 12, 11), (5, 12, 12), (5, 8, 6)]
    assert unfit(plate, above, BELOW, plan) == [False, False, True, True]
    assert unfit(plate, [(4, 3, 8), (4, 12, 11), (4, 8, 5)], BELOW, plan) == [False, False, False]


@pytest.mark.parametrize("plan", [PLAN, WIDE], ids=["listed", "wide"])
def test_a_thread_is_no_floor_and_goes(plan):
    fraction = np.zeros((9, 16, 16), np.uint8)
    fraction[4, 8, :] = 255
    diagonal = [(4 + k, 3, 3 + k) for k in range(4)]
    fraction[tuple(np.transpose(diagonal))] = 255
    assert unfit(fraction, [(4, 8, 8), (5, 8, 8), *diagonal], BELOW, plan) == [True] * 6


def test_a_rod_as_wide_as_a_trabecula_is_no_thread():
    """On coarse voxels a rod of one full voxel is bone that a scan showed."""
    fraction = np.zeros((9, 16, 16), np.uint8)
    fraction[4, 8, :], fraction[4, 4, :] = 255, 190
    rods = [(4, 8, 8), (5, 8, 8), (4, 4, 8), (5, 4, 8)]
    assert unfit(fraction, rods, BELOW, widths=COARSE) == [False, False, True, True]
    assert unfit(fraction, rods, BELOW, widths=FINE) == [True] * 4


def test_a_bump_on_thick_bone_stays(plate):
    plate[:5] = 255
    plate[5, 8, 8] = 200
    assert unfit(plate, [(5, 8, 8)], BELOW) == [False]


def test_bone_goes_on_beyond_the_border():
    fraction = np.zeros((9, 16, 16), np.uint8)
    fraction[0, 8, 8] = 255
    assert unfit(fraction, [(0, 8, 8), (0, 3, 3)], BELOW) == [False, False]
    assert unfit(fraction, [(1, 8, 8), (1, 3, 3)], BELOW) == [True, True]


@pytest.mark.parametrize("plan", [PLAN, WIDE], ids=["listed", "wide"])
def test_who_does_not_ask_is_not_told(plate, plan):
    holes = [(4, 8, 6), (4, 9, 7)]
    assert unfit(plate, holes, BELOW, plan) == [True, True]
    assert unfit(plate, holes, BELOW, plan, all_ask=False) == [False, False]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.8]), st.sampled_from([BELOW, HERE, 0, 42]), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_any_bone_is_judged_as_defined(seed, share, floor, wide, coarse):
    random = np.random.default_rng(seed)
    fraction = np.where(random.random((5, 6, 7)) < share, random.integers(1, 256, (5, 6, 7)), 0).astype(np.uint8)
    places = [tuple(int(random.integers(0, n)) for n in fraction.shape) for _ in range(TILE)]
    widths = COARSE if coarse else FINE
    way = np.array([floor >> 4, floor >> 2 & 3, floor & 3]) - 1

    def expected(place):
        beneath = tuple(int(p) for p in np.add(place, way))
        if definition.has_floor(fraction, beneath, *widths):
            return False
        if fraction[place] >= THINNEST:
            return fraction[place] < widths.trabecula and definition.bone_at_faces(fraction, place, THINNEST) <= 2
        return definition.bone_at_faces(fraction, place) < 4

    assert unfit(fraction, places, floor, WIDE if wide else PLAN, widths) == [expected(place) for place in places]
