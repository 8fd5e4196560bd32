"""Large balls: asked voxel by voxel they give the integers of painting and of the definition; none needed is pruned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.morphometry import squared_radius_by_definition

from microct.kernels import covering, painting_device, pruning, thickness
from microct.kernels.distance import squared_distance


def _with_few_holes(shape, holes, seed):
    mask = np.ones(shape, bool)
    mask.flat[np.random.default_rng(seed).choice(mask.size, holes, replace=False)] = False
    return mask


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("from_radius", [1, 3, 6])
def test_equals_the_definition_wherever_painting_ends(monkeypatch, from_radius, closed):
    monkeypatch.setattr(thickness, "_TOO_LARGE", from_radius**2)
    for shape, holes in (((11, 13, 12), 1), ((9, 17, 11), 20), ((1, 20, 19), 3)):
        mask = _with_few_holes(shape, holes, seed=holes)
        found = thickness.local_squared_radius(mask, closed=closed)
        np.testing.assert_array_equal(found * mask, squared_radius_by_definition(mask, closed))


@pytest.mark.parametrize("closed", [False, True])
def test_every_voxel_has_the_integer_of_painting(monkeypatch, closed):
    """The background too, of which closed balls hold some; and where only a part is asked for."""
    mask = _with_few_holes((70, 61, 45), 25, seed=1)
    within = np.zeros(mask.shape, bool)
    within[20:40, 5:30, 11:44] = True
    found = {}
    for from_radius in (5, 1000):
        monkeypatch.setattr(thickness, "_TOO_LARGE", from_radius**2)
        whole = thickness.local_squared_radius(mask, closed=closed)
        part = thickness.local_squared_radius(mask, closed=closed, within=within)
        np.testing.assert_array_equal(part[within], whole[within])
        found[from_radius] = (whole, *thickness.local_radius_and_axes(mask))
    assert found[5][0].max() > 20**2
    for asked, painted in zip(found[5], found[1000], strict=True):
        np.testing.assert_array_equal(asked, painted)


@pytest.mark.parametrize("closed", [False, True])
def test_balls_too_large_for_a_device_are_asked_of_the_host(monkeypatch, closed):
    mask = _with_few_holes((20, 24, 22), 4, seed=2)
    within = np.zeros(mask.shape, bool)
    within[4:12, 5:20, 3:18] = True
    expected = thickness.local_squared_radius(mask, closed=closed)
    monkeypatch.setattr(painting_device, "FARTHEST", 5)
    monkeypatch.setattr(thickness, "_TOO_LARGE", 6**2)
    found = thickness.local_squared_radius(jnp.asarray(mask), closed=closed)
    part = thickness.local_squared_radius(jnp.asarray(mask), closed=closed, within=within)
    assert isinstance(found, jax.Array)
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(np.asarray(part)[within], expected[within])


def test_balls_of_any_size_at_any_place_in_many_boxes(monkeypatch):
    monkeypatch.setattr(covering, "_TOP", 16)
    monkeypatch.setattr(covering, "_GROUP", 7)
    rng, shape = np.random.default_rng(3), (37, 21, 40)
    centers = np.sort(rng.choice(np.prod(shape), 60, replace=False))
    powers = rng.integers(1, 15**2, 60).astype(np.int32)
    wanted = rng.random(shape) < 0.7
    places, grid = np.stack(np.unravel_index(centers, shape), axis=1), np.indices(shape)
    expected = np.zeros(shape, np.int64)
    for place, power in zip(places, powers, strict=True):
        holds = ((grid - place[:, None, None, None]) ** 2).sum(axis=0) < power
        expected[holds] = np.maximum(expected[holds], power)
    found = covering.cover(shape, centers, powers, wanted)
    np.testing.assert_array_equal(found[wanted], expected[wanted])
    assert (found <= expected).all()
    assert not covering.cover(shape, centers[:0], powers[:0], wanted).any()


@pytest.mark.parametrize("closed", [False, True])
def test_no_ball_that_is_needed_is_pruned_by_one_farther_off(closed):
    mask = _with_few_holes((40, 36, 33), 6, seed=4)
    squared = squared_distance(mask)
    near, far = pruning.ball_centers(squared, closed), pruning.ball_centers(squared, closed, far_from=1)
    assert len(far) < 0.8 * len(near)
    powers = squared.ravel() + np.int32(closed)
    everywhere = np.ones(mask.shape, bool)
    of_near, of_far = (covering.cover(mask.shape, some, powers[some], everywhere) for some in (near, far))
    np.testing.assert_array_equal(of_near, of_far)


@pytest.mark.parametrize("step", [(1, 0, 0), (2, 1, 0), (5, 3, 2)])
@pytest.mark.parametrize("closed", [False, True])
def test_the_radius_that_is_enough_is_the_least_one(step, closed):
    table = pruning.enough_radius(step, 60, closed)
    grid = np.indices((17, 17, 17)) - 8
    apart, beyond = (grid**2).sum(axis=0), ((grid + np.array(step)[:, None, None, None]) ** 2).sum(axis=0)
    for radius in range(1, 61):
        farthest = beyond[apart <= radius if closed else apart < radius].max()
        assert table[radius] == (farthest if closed else farthest + 1)
