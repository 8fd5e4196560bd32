"""Squared distances, bit for bit, against brute force and scipy."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference.morphometry import squared_distance_by_definition
from scipy import ndimage

from microct.kernels import distance


def by_scipy(mask):
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    return ((nearest - np.indices(mask.shape)) ** 2).sum(axis=0)


#: JAX arrays are worked on as a whole on their device, NumPy arrays slab by slab where JAX has no accelerator.
both_ways = pytest.mark.parametrize("way", [np.asarray, jax.numpy.asarray], ids=["host", "device"])


# Few shapes: each one compiles.
@both_ways
@settings(max_examples=60, deadline=None)
@given(mask=arrays(bool, st.sampled_from([(1, 1, 1), (1, 4, 5), (3, 1, 6), (4, 5, 1), (4, 5, 6)])))
def test_equals_brute_force(way, mask):
    np.testing.assert_array_equal(distance.squared_distance(way(mask)), squared_distance_by_definition(mask))


@pytest.mark.parametrize("marrow", [1, 5, 500])
@pytest.mark.parametrize("shape", [(30, 40, 50), (5, 90, 7), (90, 5, 7), (7, 5, 90)])
@both_ways
def test_equals_scipy_with_few_and_many_background_voxels(way, shape, marrow):
    mask = np.ones(shape, bool)
    mask.flat[np.random.default_rng(marrow).choice(mask.size, marrow, replace=False)] = False
    squared = distance.squared_distance(way(mask))
    np.testing.assert_array_equal(squared, by_scipy(mask))
    assert squared.dtype == np.int32


def test_takes_arrays_of_the_device_and_of_the_host():
    mask = np.random.default_rng(0).random((20, 21, 22)) < 0.97
    host = distance.squared_distance(mask)
    np.testing.assert_array_equal(host, distance.squared_distance(jax.numpy.asarray(mask)))


def test_without_background_or_foreground():
    assert (np.asarray(distance.squared_distance(np.ones((40, 3, 50), bool))) == distance.UNREACHED).all()
    assert not np.asarray(distance.squared_distance(np.zeros((4, 5, 6), bool))).any()
