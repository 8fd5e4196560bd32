"""Cavities: what a BMU takes, against brute force, exact integers, and areas times depths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference import cavity as brute
from reference import random_numbers
from reference import remodeling as definition

from microct.imaging import phantoms
from microct.kernels import cavity as cav
from microct.remodeling import bmu

UNIT = bmu.BMU(180.0, 40.0, 30.0, 120.0, 0.25)
DEEPEST_UM = 52.0
SALT = 12345
DEEPER = cav.FRONT_LIMIT / cav.FRONT
N = 64

carve = jax.jit(cav.carve, static_argnames=("geometry", "alone"))


def geometry(voxel_um):
    return bmu.geometry(UNIT, voxel_um, DEEPEST_UM, (999, 999, 999))


def carved(fraction, voxel_um=40.0, depth_um=47.0, origin=None, owned=None, growth=0.0, alone=True):
    """The cavity, NumPy; ``fraction`` fills the window."""
    static = geometry(voxel_um)
    assert fraction.shape == static.window
    origin = [n // 2 for n in fraction.shape] if origin is None else origin
    owned = np.zeros(fraction.shape, bool) if owned is None else owned
    depth, area = np.float32(depth_um / voxel_um), np.float32(bmu.footprint_faces(UNIT, voxel_um))
    place = np.array(origin, np.int32)
    numbers = place, depth, area, np.float32(growth), np.uint32(SALT)
    return jax.tree.map(np.asarray, carve(fraction, owned, *numbers, static, alone=alone))


def places(cavity):
    cell = cavity.cell[cavity.cell >= 0]
    return np.stack([cell >> 20, cell >> 10 & 1023, cell & 1023], axis=1)


@jax.jit
def _gone(front, cavity):
    columns = (jnp.asarray(column, jnp.int32) for column in (cavity.delta, cavity.profile, cavity.before))
    return cav.eroded(front, *columns, cav.dither_of(cavity.cell, jnp.uint32(SALT)))


def taken(cavity, front):
    """Bone that each listed voxel has lost with the front there."""
    return np.asarray(_gone(np.int32(front), cavity))[cavity.cell >= 0]


def mass(cavity, front=None):
    """Volume that the finished cavity takes [voxel]."""
    return int(taken(cavity, int(cavity.final_front) if front is None else front).sum()) / 255.0


def half_space(tilt_deg, voxel_um, turn_deg=0.0, lift_um=3.0):
    """Bone in the lower half of the window, its surface tilted from z toward y and turned about z."""
    size = geometry(voxel_um).window[0] * voxel_um / 1000.0
    tilt, turn = np.radians(tilt_deg), np.radians(turn_deg)

    def depth(z, y, x):
        return lift_um / 1000.0 - np.cos(tilt) * z - np.sin(tilt) * (np.cos(turn) * y + np.sin(turn) * x)

    return phantoms.from_distance(depth, size, voxel_um).values


def shape(distance, voxel_um=40.0):
    return phantoms.from_distance(distance, geometry(voxel_um).window[0] * voxel_um / 1000.0, voxel_um).values


# Poles of the sphere and of the rod, and the mid-plane of the plates, lie in the middle of the window.
SPHERE = shape(lambda z, y, x: 0.6 - np.sqrt((z + 0.59) ** 2 + y**2 + x**2))
PORE = shape(lambda z, y, x: np.sqrt((z - 0.32) ** 2 + y**2 + x**2) - 0.31)
ROD = shape(lambda z, y, x: 0.18 - np.sqrt((z + 0.17) ** 2 + (y + 0.3 * x) ** 2 / 1.09))
PLATE = shape(lambda z, y, x: 0.2 - np.abs(z + 0.19 + 0.2 * y) / np.sqrt(1.04) + 0 * x)
THIN = shape(lambda z, y, x: 0.02 - np.abs(z) + 0 * (x + y))
TWO_PLATES = np.maximum(THIN, shape(lambda z, y, x: 0.1 - np.abs(z + 0.2) + 0 * (x + y)))
BONES = {
    "flat": half_space(0.0, 40.0),
    "tilted": half_space(30.0, 40.0),
    "turned": half_space(25.0, 40.0, 35.0),
    "sphere": SPHERE,
    "pore": PORE,
    "rod": ROD,
    "plate": PLATE,
    "two plates": TWO_PLATES,
}


# --- the front: exact integers ---------------------------------------------------------------------------------------

FRONTS = st.tuples(
    arrays(np.int32, N, elements=st.integers(-8000, 8000)),
    arrays(np.int32, N, elements=st.integers(0, 30 * 256)),
    arrays(np.int32, N, elements=st.integers(0, 255)),
    arrays(np.int32, N, elements=st.integers(0, 255)),
)
FRONT = st.integers(-definition.GROWTH_LIMIT, cav.FRONT_LIMIT)
front_of = jax.jit(cav.bone_at)


@given(FRONT, FRONTS)
def test_bone_left_is_the_definition_in_exact_integers(front, voxels):
    expected = [definition.bone_at(front, *map(int, values)) for values in zip(*voxels, strict=True)]
    np.testing.assert_array_equal(front_of(np.int32(front), *voxels), expected)


@given(FRONT, FRONT, FRONTS)
def test_bone_left_never_rises_as_the_front_goes_down(one, other, voxels):
    high, low = (np.asarray(front_of(np.int32(front), *voxels)) for front in sorted((one, other)))
    assert (high >= low).all()
    assert ((low >= 0) & (high <= 255)).all()


@given(FRONTS)
def test_nothing_is_gone_at_the_start_and_all_past_the_far_face(voxels):
    delta, profile, before, _ = voxels
    np.testing.assert_array_equal(front_of(np.int32(0), *voxels), before)
    passed = (cav.FRONT_LIMIT * profile >> 12) >= np.maximum(delta + 128, 1)
    assert (np.asarray(front_of(np.int32(cav.FRONT_LIMIT), *voxels))[passed] == 0).all()


def test_rounding_is_unbiased():
    """Over all 256 rounding numbers, a voxel loses the exact share on average."""
    dither = np.arange(256, dtype=np.int32)
    for front, delta, profile, before in [(1000, 130, 400, 255), (777, 90, 333, 100), (4096, 500, 420, 255)]:
        exact = (
            before
            * min(max((front * profile >> 12) - max(delta - 128, 0), 0), 256)
            / (delta + 128 - max(delta - 128, 0))
        )
        gone = cav.eroded(jnp.int32(front), jnp.int32(delta), jnp.int32(profile), jnp.int32(before), dither)
        assert np.mean(gone) == pytest.approx(exact, abs=1 / 256)


def test_rounding_numbers_are_the_definition_and_even():
    cell = np.arange(20_000, dtype=np.int32)
    for salt in (0, 1, 2**31, 2**32 - 1):
        found = np.asarray(cav.dither_of(jnp.asarray(cell), jnp.uint32(salt)))
        np.testing.assert_array_equal(found[:200], [random_numbers.dither(int(c), salt) for c in cell[:200]])
        assert found.mean() == pytest.approx(127.5, abs=3.0)


# --- against brute force ---------------------------------------------------------------------------------------------


def compare(fraction, cavity, patch, owned, depth, growth=0.0):
    """Members, depth and profile of every voxel whose fate the definition leaves no doubt about."""
    reach, slack = geometry(40.0).reach, 0.02
    table = brute.columns(fraction, patch, depth * 4.0 / 3.0, reach)
    # Where equally near patch voxels disagree about what lies beneath, the walk is taken with and without that voxel.
    walks = []
    for some in (any, all):
        below = np.zeros(fraction.shape, bool)
        for voxel, column in table.items():
            below[voxel] = some(choice[2] for choice in column.choices)
        walks.append(brute.beneath(patch, below & ~owned))
    listed = {
        tuple(place): (delta / 256.0, profile / 256.0, before, floor)
        for place, delta, profile, before, floor in zip(
            places(cavity), *(c[cavity.cell >= 0] for c in cavity[1:5]), strict=True
        )
    }
    decided = 0
    for voxel in np.ndindex(*fraction.shape):
        fates = set()
        for delta, profile, below in table[voxel].choices if voxel in table else ():
            for error in (-slack, slack):
                if below:
                    deep = delta + error - 0.5 < DEEPER * profile and profile > slack
                    fates.update(bool(deep and walk[voxel]) for walk in walks)
                else:
                    close = table[voxel].squared <= (int(growth) + 2) ** 2
                    above = delta + error > -(growth + 0.5)
                    fates.add(bool(close and above and not owned[voxel] and profile > slack))
        if voxel not in table:
            fates = {False}
        if len(fates) == 1:
            decided += 1
            assert (voxel in listed) == fates.pop(), voxel
        if voxel in listed:
            delta, profile, before, _ = listed[voxel]
            assert before == fraction[voxel]
            assert not owned[voxel]
            assert any(
                abs(delta - d) < slack and abs(profile - p) < slack * depth + 0.01 for d, p, _ in table[voxel].choices
            ), (voxel, delta, profile, table[voxel])
    assert decided > 0.97 * fraction.size
    assert cavity.area == pytest.approx(patch.area, abs=0.02 * patch.area)


@pytest.mark.parametrize(
    ("name", "growth"), [*((name, 0.0) for name in BONES), *((name, 0.5) for name in ("tilted", "rod", "two plates"))]
)
def test_members_and_depths_are_those_of_brute_force(name, growth):
    fraction, depth = BONES[name], 47.0 / 40.0
    owned = np.zeros(fraction.shape, bool)
    patch = brute.patch_around(fraction, owned, (8, 8, 8), bmu.footprint_faces(UNIT, 40.0))
    cavity = carved(fraction, growth=growth)
    compare(fraction, cavity, patch, owned, depth, growth)
    for one, other in zip(cavity, carved(fraction, growth=growth, alone=False), strict=True):
        np.testing.assert_array_equal(one, other)


def test_voxels_of_another_bmu_are_walked_around():
    fraction = BONES["tilted"]
    owned = np.zeros(fraction.shape, bool)
    owned[:, 10:13, 5:9] = True
    patch = brute.patch_around(fraction, owned, (8, 8, 8), bmu.footprint_faces(UNIT, 40.0))
    compare(fraction, carved(fraction, owned=owned), patch, owned, 47.0 / 40.0)


# --- how much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flat", "tilted", "turned", "sphere", "pore", "rod", "plate"])
@pytest.mark.parametrize("depth_um", [30.0, 47.0])
def test_mass_is_area_times_depth_within_one_unit_of_the_front(name, depth_um):
    """Where bone is thick enough, the patch is the footprint and the volume taken is footprint times depth."""
    cavity = carved(BONES[name], depth_um=depth_um)
    wanted = float(cavity.area) * depth_um / 40.0
    assert cavity.area == pytest.approx(bmu.footprint_faces(UNIT, 40.0), abs=1 / 64)
    assert cavity.dropped == 0
    assert mass(cavity, int(cavity.final_front) - 1) < wanted + 0.5 / 255
    assert mass(cavity) >= wanted - 0.5 / 255


TILTS = [(0.0, 0.0), (10.0, 0.0), (20.0, 35.0), (30.0, 0.0), (35.26, 45.0), (45.0, 0.0), (45.0, 20.0)]


@pytest.mark.parametrize(
    "voxel_um", [40.0, 20.0, pytest.param(10.0, marks=pytest.mark.slow), pytest.param(30.0, marks=pytest.mark.slow)]
)
def test_neither_voxel_size_nor_tilt_changes_what_a_bmu_takes(voxel_um):
    """On planes of any tilt and position: footprint times depth within 1 %."""
    wanted_um3 = np.pi * 180.0**2 * 47.0
    for tilt, turn in TILTS if voxel_um > 10.0 else [(30.0, 0.0)]:
        for lift_um in (-0.3 * voxel_um, 0.2 * voxel_um):
            cavity = carved(half_space(tilt, voxel_um, turn, lift_um), voxel_um)
            share = mass(cavity) * voxel_um**3 / wanted_um3
            assert share == pytest.approx(1.0, abs=0.01), (tilt, turn, lift_um)
            assert cavity.final_front > 0.9 * cav.FRONT, (tilt, turn, lift_um)


def test_the_list_holds_the_deepest_cavity_everywhere():
    """The list is long enough for the deepest BMU that is ever drawn, on every shape, with room to grow."""
    deepest = DEEPEST_UM * bmu.depth_shares(UNIT.erosion_depth_cv).max() / cav.FRONT
    for fraction in BONES.values():
        cavity = carved(fraction, depth_um=deepest, growth=deepest / 40.0 / 3.0)
        assert cavity.dropped == 0
        assert (cavity.delta < (geometry(40.0).reach + 2) * 256).all()


@pytest.mark.parametrize("tilt", [0.0, 30.0, 45.0])
def test_the_cavity_is_flat_bottomed_and_round(tilt):
    """Profile on a plane: 4/3 of the mean in the middle, zero at the rim, footprint's radius, no favored direction."""
    cavity = carved(half_space(tilt, 20.0), 20.0)
    used = cavity.cell >= 0
    depth, profile = cavity.delta[used] / 256.0, cavity.profile[used] / 256.0
    assert profile.max() == pytest.approx(47.0 / 20.0 * 4.0 / 3.0, rel=0.01)
    # In the plane of the patch: distance from the middle as the profile says, so lines of equal depth are circles.
    at = (places(cavity) - 14.0)[np.abs(depth) < 1.0]
    rim = profile[np.abs(depth) < 1.0]
    normal = np.array([np.cos(np.radians(tilt)), np.sin(np.radians(tilt)), 0.0])
    flat = at - np.outer(at @ normal, normal)
    flat -= flat[rim > 0.995 * rim.max()].mean(axis=0)
    radius = 9.0 * np.clip(1.0 - rim / profile.max(), 0.0, 1.0) ** (1.0 / 6.0)
    outer = radius > 5.0
    error = np.linalg.norm(flat[outer], axis=1) - radius[outer]
    assert np.abs(error.mean()) < 0.35
    assert error.std() < 0.6
    way = np.degrees(np.arctan2(flat[outer] @ [-normal[1], normal[0], 0.0], flat[outer][:, 2]))
    for quarter in range(4):
        assert np.abs(error[(way // 90 % 4) == quarter].mean() - error.mean()) < 0.35


def test_thinner_bone_gives_what_it_has():
    """A plate thinner than the cavity: all bone over the cavity's floor goes, none of the next plate does."""
    cavity = carved(TWO_PLATES)
    at, depth = places(cavity), cavity.profile[cavity.cell >= 0] / 256.0
    assert cavity.final_front == cav.FRONT_LIMIT
    assert mass(cavity) < 0.9 * float(cavity.area) * 47.0 / 40.0
    bone = TWO_PLATES[tuple(at.T)] >= cav.BONE
    assert bone.any()
    assert (at[bone][:, 0] == 8).all()
    left = cavity.before[cavity.cell >= 0] - taken(cavity, cav.FRONT_LIMIT)
    through = bone & (depth * DEEPER > cavity.delta[cavity.cell >= 0] / 256.0 + 0.5)
    assert through.sum() > 10
    assert (left[through] == 0).all()


def test_a_rod_is_cut_through_and_a_ball_eaten_whole():
    """Thinner than the cavity is deep: no bone voxel stays where the profile is deepest."""
    rod = shape(lambda z, y, x: 0.05 - np.sqrt(z**2 + y**2) + 0 * x)
    cavity = carved(rod)
    left = rod.copy()
    left[tuple(places(cavity).T)] -= taken(cavity, int(cavity.final_front)).astype(np.uint8)
    assert (rod[:, :, 8] >= cav.BONE).sum() > 4
    assert (left[:, :, 7:10] < cav.BONE).all()
    assert (left[:, :, 0] == rod[:, :, 0]).all()
    ball = shape(lambda z, y, x: 0.06 - np.sqrt(z**2 + y**2 + x**2))
    assert mass(carved(ball)) == pytest.approx(ball.sum() / 255.0, rel=0.3)


def test_without_surface_nothing_is_taken():
    for fraction in (np.zeros((17, 17, 17), np.uint8), np.full((17, 17, 17), 255, np.uint8)):
        cavity = carved(fraction)
        assert (cavity.cell == -1).all()
        assert cavity.final_front == 0 == cavity.area


def test_bone_of_another_bmu_stays_untouched():
    owned = np.zeros((17, 17, 17), bool)
    owned[:, 9:, :] = True
    cavity = carved(BONES["flat"], owned=owned, growth=0.5)
    at = places(cavity)
    assert len(at) > 50
    assert not owned[tuple(at.T)].any()


@settings(max_examples=15)
@given(st.floats(0.1, 0.9), st.sampled_from(["tilted", "rod", "plate"]), st.floats(20.0, 52.0))
def test_refill_to_the_start_leaves_the_bone_as_it_was(share, name, depth_um):
    """Down to the end and back up to zero: every voxel holds what it held, at every place and depth of birth."""
    fraction = BONES[name]
    surface = np.argwhere((fraction[:-1] >= cav.BONE) & (fraction[1:] < cav.BONE))
    cavity = carved(fraction, depth_um=depth_um, origin=surface[int(share * len(surface))])
    columns = [c.astype(np.int32) for c in (cavity.delta, cavity.profile, cavity.before)]
    dither = cav.dither_of(jnp.asarray(cavity.cell), jnp.uint32(SALT))
    end = int(cavity.final_front)
    down = [np.asarray(front_of(np.int32(front), *columns, dither)) for front in range(0, end + 1, 400)]
    up = [np.asarray(front_of(np.int32(front), *columns, dither)) for front in range(0, end + 1, 400)[::-1]]
    for first, second in zip(down, up[::-1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert down[-1].sum() < down[0].sum()
    used = cavity.cell >= 0
    np.testing.assert_array_equal(up[-1][used], fraction[tuple(places(cavity).T)])


@pytest.mark.slow
def test_a_list_too_short_says_how_many_it_dropped():
    short = cav.Geometry((17, 17, 17), 5, 64)
    arguments = (BONES["flat"], np.zeros((17, 17, 17), bool), np.array([8, 8, 8], np.int32))
    numbers = (np.float32(47 / 40), np.float32(63.6), np.float32(0.0), np.uint32(SALT))
    whole, cut = carve(*arguments, *numbers, geometry(40.0)), carve(*arguments, *numbers, short)
    assert int(whole.dropped) == 0
    assert int(cut.dropped) == int((whole.cell >= 0).sum()) - 64 > 0


def test_a_reach_beyond_the_integers_is_refused():
    with pytest.raises(ValueError, match="at most 30"):
        cav.Geometry((9, 9, 9), 31, 10)
