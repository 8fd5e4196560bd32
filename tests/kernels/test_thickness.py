"""Local thickness, bit for bit, against its definition; known plates, rods and balls."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference.morphometry import squared_distance_by_definition, squared_radius_by_definition

from microct.kernels import painting_device, pruning, thickness
from microct.kernels.distance import UNREACHED, squared_distance

#: NumPy arrays are painted by the host (where JAX has no accelerator), JAX arrays on their device: the same integers.
WAYS = {"host": np.asarray, "device": jnp.asarray}
both_ways = pytest.mark.parametrize("way", WAYS)


def local(mask, way="host", closed=False):
    """Squared radii on the host, found in one of the ways."""
    return np.asarray(thickness.local_squared_radius(WAYS[way](mask), closed=closed))


def diameters(mask):
    """Local thickness of the foreground's voxels [voxels]."""
    return 2 * np.sqrt(thickness.local_squared_radius(mask)[mask])


@both_ways
@pytest.mark.parametrize("closed", [False, True])
@settings(max_examples=40, deadline=None)
@given(mask=arrays(bool, st.sampled_from([(1, 1, 1), (1, 4, 5), (3, 1, 6), (4, 5, 6)])))
def test_equals_the_definition(closed, way, mask):
    if way == "device":  # each shape compiles: one is enough
        mask = np.pad(mask, [(0, n - m) for n, m in zip((4, 5, 6), mask.shape, strict=True)], mode="edge")
    found = local(mask, way, closed)
    np.testing.assert_array_equal(found * mask, squared_radius_by_definition(mask, closed))


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(("holes", "way"), [(1, "host"), (20, "host"), (20, "device")])
def test_equals_the_definition_where_balls_are_large(closed, holes, way):
    rng = np.random.default_rng(holes)
    mask = np.ones((11, 13, 12), bool)
    mask.flat[rng.choice(mask.size, holes, replace=False)] = False
    found = local(mask, way, closed)
    np.testing.assert_array_equal(found * mask, squared_radius_by_definition(mask, closed))


def test_equals_the_definition_on_a_smooth_structure():
    grid = np.indices((15, 14, 13)) / 2.0
    mask = np.sin(grid[0]) * np.cos(grid[1]) + np.sin(grid[1]) * np.cos(grid[2]) > 0.3 * np.sin(grid[2])
    for phase in (mask, ~mask):
        np.testing.assert_array_equal(local(phase), squared_radius_by_definition(phase, closed=False))


def test_host_and_device_agree_in_every_integer():
    mask = np.ones((23, 21, 70), bool)
    mask[:, :, 35:].flat[np.random.default_rng(0).choice(mask.size // 2, 200, replace=False)] = False
    found = {}
    for way, there in WAYS.items():
        squared = squared_distance(there(mask))
        radii = thickness.local_squared_radius(there(mask), squared)
        axes = thickness.mid_axes(squared, radii)
        inside = mask.copy()
        inside[:, :7] = False
        found[way] = (squared, radii, axes, *thickness.radius_counts(radii, inside))
    assert found["host"][1].max() > 100
    for host, device in zip(found["host"], found["device"], strict=True):
        np.testing.assert_array_equal(host, np.asarray(device))
        assert host.dtype == np.asarray(device).dtype


def test_the_device_takes_many_writes_and_slabs_for_one_volume(monkeypatch):
    monkeypatch.setattr(painting_device, "_SLAB", 4 * 15 * 14)
    monkeypatch.setattr(painting_device, "_WRITE", 1 << 11)
    mask = np.random.default_rng(5).random((19, 15, 14)) < 0.99  # a shape of its own, so that it compiles anew
    np.testing.assert_array_equal(local(mask, "device"), local(mask, "host"))


@both_ways
@pytest.mark.parametrize("closed", [False, True])
def test_balls_that_do_not_reach_where_the_answer_is_needed_are_left_out(way, closed):
    mask = np.random.default_rng(3).random((11, 13, 12)) < 0.99
    within = np.zeros(mask.shape, bool)
    within[3:8, 6:11, 2:9] = True
    whole = local(mask, "host", closed)
    part = np.asarray(thickness.local_squared_radius(WAYS[way](mask), closed=closed, within=within))
    np.testing.assert_array_equal(part[within], whole[within])
    assert (part <= whole).all()
    assert (part < whole).any()
    nowhere = np.zeros(mask.shape, bool)
    assert not np.asarray(thickness.local_squared_radius(WAYS[way](mask), closed=closed, within=nowhere)).any()


def test_every_ball_needed_is_a_center():
    mask = np.random.default_rng(2).random((14, 15, 16)) < 0.98
    squared = np.asarray(squared_distance(mask))
    np.testing.assert_array_equal(squared, squared_distance_by_definition(mask))
    centers = pruning.ball_centers(squared)
    assert 0 < len(centers) < mask.sum()
    places = np.argwhere(mask)
    union = np.zeros(mask.shape, bool)
    for center in np.stack(np.unravel_index(centers, mask.shape), axis=1):
        near = ((places - center) ** 2).sum(axis=1) < squared[tuple(center)]
        union[tuple(places[near].T)] = True
    np.testing.assert_array_equal(union, mask)


@pytest.mark.parametrize("width", range(1, 12))
def test_plates(width):
    mask = np.zeros((30, 30, 30), bool)
    mask[10 : 10 + width] = True
    assert set(diameters(mask)) == {width + width % 2}  # a middle plane of voxels adds one


@pytest.mark.parametrize("width", [4, 8])
def test_square_rods_are_as_thick_as_their_inscribed_circle(width):
    mask = np.zeros((width + 12, width + 12, 40), bool)
    mask[6:-6, 6:-6] = True
    found = diameters(mask)
    assert found.max() == width
    assert found.mean() == pytest.approx(width, rel=0.06)


@pytest.mark.parametrize("diameter", [6, 11, 20])
def test_tilted_round_rods(diameter):
    axis = np.array([1.0, 2.0, 4.0]) / np.sqrt(21)
    grid = np.indices((40, 44, 48), float) - np.array([20.3, 22.1, 24.2])[:, None, None, None]
    along = np.tensordot(axis, grid, 1)
    mask = (grid**2).sum(axis=0) - along**2 <= (diameter / 2) ** 2
    assert diameters(mask).mean() == pytest.approx(diameter, abs=0.5)


@pytest.mark.parametrize("radius", [5, 10])
def test_balls(radius):
    grid = np.indices((2 * radius + 9,) * 3) - (radius + 4)
    mask = (grid**2).sum(axis=0) < radius**2
    found = diameters(mask)
    assert found.max() == 2 * radius
    assert found.mean() == pytest.approx(2 * radius, rel=0.02)


def test_turning_by_a_quarter_turns_the_answer():
    mask = np.random.default_rng(7).random((20, 24, 28)) < 0.9
    once = thickness.local_squared_radius(np.ascontiguousarray(np.rot90(mask, axes=(0, 2))))
    np.testing.assert_array_equal(once, np.rot90(thickness.local_squared_radius(mask), axes=(0, 2)))


@both_ways
def test_without_background_or_foreground(way):
    assert (local(np.ones((4, 5, 6), bool), way) == UNREACHED).all()
    assert not local(np.zeros((4, 5, 6), bool), way).any()
    for full in (np.ones((4, 5, 6), bool), np.zeros((4, 5, 6), bool)):
        squared = squared_distance(WAYS[way](full))
        assert not np.asarray(thickness.mid_axes(squared, squared)).any()
        value = UNREACHED if full.all() else 0
        values, counts = thickness.radius_counts(squared, WAYS[way](np.ones((4, 5, 6), bool)))
        assert (list(values), list(counts)) == ([value], [120])
        assert not len(thickness.radius_counts(squared, WAYS[way](np.zeros((4, 5, 6), bool)))[0])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
def test_mid_axes_of_plates_are_one_plane(width):
    mask = np.zeros((30, 20, 20), bool)
    mask[12 : 12 + width] = True
    squared = squared_distance(mask)
    axes = np.asarray(thickness.mid_axes(squared, thickness.local_squared_radius(mask, squared)))
    np.testing.assert_array_equal(np.flatnonzero(axes.any(axis=(1, 2))), [12 + (width - 1) // 2])
    assert axes[12 + (width - 1) // 2].all()


def test_interior_average_by_its_definition():
    values = np.random.default_rng(3).integers(0, 4, (7, 8, 9)) + 1.0
    values[np.random.default_rng(4).random(values.shape) < 0.03] = 0
    around = {}
    for place in np.ndindex(values.shape):
        window = tuple(slice(max(0, i - 1), i + 2) for i in place)
        around[place] = window
    interior = {place: values[place] != 0 and (values[around[place]] != 0).all() for place in around}
    flags = np.array([interior[place] for place in np.ndindex(values.shape)]).reshape(values.shape)
    expected = values.copy()
    for place, window in around.items():
        if values[place] != 0 and not flags[place] and flags[window].any():
            expected[place] = values[window][flags[window]].mean()
    np.testing.assert_allclose(thickness.interior_average(values), expected, rtol=1e-12)
