"""Connected components against scipy, and islands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from microct.kernels import components

FOOTPRINT = {6: ndimage.generate_binary_structure(3, 1), 26: np.ones((3, 3, 3), bool)}


def in_raster_order(labels, count):
    """scipy's labels renumbered by first voxel."""
    names, first = np.unique(labels, return_index=True)
    names = names[np.argsort(first)]
    table = np.zeros(count + 1, int)
    table[names[names > 0]] = np.arange(1, count + 1)
    return table[labels]


@pytest.mark.parametrize("connectivity", [6, 26])
@settings(max_examples=80, deadline=None)
@given(bone=arrays(bool, st.tuples(*[st.integers(1, 7)] * 3)))
def test_equals_scipy_on_any_volume(connectivity, bone):
    labels, count = components.label(bone, connectivity)
    expected, expected_count = ndimage.label(bone, FOOTPRINT[connectivity])
    assert count == expected_count == components.count(bone, connectivity)
    np.testing.assert_array_equal(labels, in_raster_order(expected, count))
    assert labels.dtype == np.int32


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.9])
def test_equals_scipy_on_noise(connectivity, share):
    bone = np.random.default_rng(5).random((40, 50, 60)) < share
    labels, count = components.label(bone, connectivity)
    np.testing.assert_array_equal(labels, in_raster_order(*ndimage.label(bone, FOOTPRINT[connectivity])))
    assert labels.max() == count


def test_a_long_serpent_is_one_piece():
    bone = np.zeros((3, 101, 101), bool)
    bone[1, ::2] = True
    bone[1, 1::4, -1] = True
    bone[1, 3::4, 0] = True
    assert components.count(bone, 6) == 1


def test_islands_are_neither_largest_nor_at_the_border():
    bone = np.zeros((12, 12, 12), bool)
    bone[2:6, 2:6, 2:6] = True  # largest, inside
    bone[8, 8, 8] = bone[9, 9, 9] = True  # touch at a corner: one island of 2
    bone[8, 3:5, 8] = True  # an island of 2
    bone[11, 11, 0:3] = True  # at the border: hangs on what was cut away
    found = components.islands(bone)
    assert found.sum() == 4
    assert found[8, 8, 8]
    assert found[9, 9, 9]
    assert found[8, 3:5, 8].all()
    np.testing.assert_array_equal(components.largest(bone), np.pad(np.ones((4, 4, 4), bool), ((2, 6),) * 3))


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(*[st.integers(1, 7)] * 3)))
def test_islands_by_their_definition(bone):
    labels, count = ndimage.label(bone, FOOTPRINT[26])
    expected = np.zeros(bone.shape, bool)
    sizes = [int((labels == i).sum()) for i in range(1, count + 1)]
    rim = np.ones(bone.shape, bool)
    rim[1:-1, 1:-1, 1:-1] = False
    largest = int(in_raster_order(labels, count)[components.largest(bone)].max(initial=0))
    for i in range(1, count + 1):
        piece = labels == i
        if sizes[i - 1] == max(sizes) and components.largest(bone)[piece].all():
            continue
        if not (piece & rim).any():
            expected |= piece
    np.testing.assert_array_equal(components.islands(bone), expected)
    if count:
        assert (components.label(bone)[0] == largest).sum() == max(sizes)


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full(value):
    bone = np.full((4, 5, 6), value)
    assert components.label(bone)[1] == int(value)
    assert not components.islands(bone).any()


def test_other_connectivity_is_refused():
    with pytest.raises(ValueError, match="6 or 26"):
        components.label(np.ones((2, 2, 2), bool), 18)


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize("shape", [(6, 7, 5), (1, 4, 6), (3, 1, 2)])
def test_periodic_components_by_flooding(connectivity, shape):
    """Every voxel floods to its neighbors, the indices taken modulo the shape."""
    steps = [
        np.array(s) - 1 for s in np.ndindex(3, 3, 3) if 0 < np.abs(np.array(s) - 1).sum() <= (1, 3)[connectivity > 6]
    ]
    for seed in range(8):
        mask = np.random.default_rng(seed).random(shape) < 0.3
        expected = np.zeros(shape, int)
        number = 0
        for place in np.argwhere(mask):
            if expected[tuple(place)]:
                continue
            number += 1
            open_places = [place]
            while open_places:
                here = tuple(open_places.pop())
                if mask[here] and not expected[here]:
                    expected[here] = number
                    open_places += [(np.array(here) + step) % shape for step in steps]
        found, total = components.label(mask, connectivity, periodic=True)
        np.testing.assert_array_equal(found, expected)
        assert total == number == components.count(mask, connectivity, periodic=True)
