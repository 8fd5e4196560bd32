"""2x2x2 histograms against plain loops, on the host and on the device."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from microct.kernels import stencil

VOLUMES = arrays(bool, st.tuples(*[st.integers(1, 5)] * 3))


def slow_histogram(bone):
    counts = np.zeros(256, np.int64)
    for corner in itertools.product(*(range(n - 1) for n in bone.shape)):
        code = 0
        for bit, offset in enumerate(stencil.CORNERS):
            code |= int(bone[tuple(np.add(corner, offset))]) << bit
        counts[code] += 1
    return counts


@settings(max_examples=60, deadline=None)
@given(VOLUMES)
def test_histogram_equals_plain_loops(bone):
    np.testing.assert_array_equal(stencil.configuration_histogram(bone), slow_histogram(bone))


@pytest.mark.parametrize("shape", [(9, 7, 8), (2, 2, 2), (300, 70, 90)])
def test_host_and_device_agree(shape):
    fraction = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    host = stencil.configuration_histogram(fraction, 128)
    np.testing.assert_array_equal(host, stencil.configuration_histogram(jnp.asarray(fraction), 128))
    np.testing.assert_array_equal(host, stencil.configuration_histogram(fraction >= 128))
    assert host.sum() == np.prod(np.subtract(shape, 1))


@settings(max_examples=60, deadline=None)
@given(VOLUMES)
def test_region_of_the_whole_box_needs_no_mask(bone):
    whole = stencil.region_histogram(bone)
    assert whole.sum() == bone.size
    np.testing.assert_array_equal(whole, stencil.region_histogram(bone, np.ones(bone.shape, bool)))


@settings(max_examples=60, deadline=None)
@given(VOLUMES)
def test_region_of_a_sub_box_equals_the_crop(bone):
    wide = np.random.default_rng(0).random(tuple(n + 4 for n in bone.shape)) < 0.5
    inside = (slice(2, -2),) * 3
    wide[inside] = bone
    mask = np.zeros(wide.shape, bool)
    mask[inside] = True
    np.testing.assert_array_equal(stencil.region_histogram(wide, mask), stencil.region_histogram(bone))


def test_periodic_volumes_count_every_corner_once():
    bone = np.random.default_rng(2).random((5, 6, 7)) < 0.5
    histogram = stencil.periodic_histogram(bone)
    assert histogram.sum() == bone.size
    shifted = np.roll(bone, (1, 2, 3), axis=(0, 1, 2))
    np.testing.assert_array_equal(histogram, stencil.periodic_histogram(shifted))
    np.testing.assert_array_equal(histogram, stencil.periodic_histogram(jnp.asarray(bone)))
    np.testing.assert_array_equal(stencil.periodic_histogram(np.tile(bone, (2, 1, 1))), 2 * histogram)


def test_a_particle_inside_counts_once():
    bone = np.zeros((6, 6, 6), bool)
    bone[2:4, 2:4, 2:4] = True
    np.testing.assert_array_equal(stencil.region_histogram(bone)[1:], stencil.configuration_histogram(bone)[1:])
