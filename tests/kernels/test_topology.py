"""Euler characteristic of known shapes, against scikit-image, and its edge correction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import euler_number

from microct.kernels import stencil, topology

VOLUMES = arrays(bool, st.tuples(*[st.integers(1, 5)] * 3))


def euler(bone, pad=True):
    bone = np.asarray(bone, bool)
    return topology.euler_characteristic(stencil.configuration_histogram(np.pad(bone, 1) if pad else bone))


@given(VOLUMES)
def test_equals_scikit_image(bone):
    assert euler(bone) == euler_number(bone, connectivity=3)


def shapes():
    grid = np.indices((21, 21, 21)) - 10
    distance = np.sqrt((grid**2).sum(axis=0))
    ring = (np.hypot(grid[1], grid[2]) - 6) ** 2 + grid[0] ** 2
    hollow = np.ones((3, 3, 3), bool)
    hollow[1, 1, 1] = False
    corner, edge = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    corner[0, 0, 0] = corner[1, 1, 1] = True
    edge[0, 0, 0] = edge[0, 1, 1] = True
    yield "ball", distance <= 8, 1
    yield "shell", (distance <= 8) & (distance > 5), 2
    yield "torus", ring <= 9, 0
    yield "voxel", np.ones((1, 1, 1), bool), 1
    yield "hollow cube", hollow, 2
    yield "two voxels at a corner", corner, 1
    yield "two voxels at an edge", edge, 1
    frame = np.zeros((16, 20, 24), bool)
    near = [np.minimum(np.arange(n), n - 1 - np.arange(n)) < 2 for n in frame.shape]
    near = [near[0][:, None, None], near[1][None, :, None], near[2][None, None, :]]
    yield "box frame", (near[0] & near[1]) | (near[1] & near[2]) | (near[0] & near[2]), -4


@pytest.mark.parametrize(("bone", "expected"), [pytest.param(b, x, id=n) for n, b, x in shapes()])
def test_known_shapes(bone, expected):
    assert euler(bone) == expected


def test_crossed_circle():
    """A circle with two crossing diameters: one piece, four loops."""
    across = np.indices((41, 41)) - 20
    radius = np.hypot(*across)
    flat = (np.abs(radius - 17) < 1.5) | ((radius < 18) & (np.abs(across) < 2).any(axis=0))
    assert euler(np.repeat(flat[None], 3, axis=0)) == -3


@given(VOLUMES)
def test_edge_correction_by_inclusion_and_exclusion(bone):
    """Odgaard, Gundersen 1993: faces count half, edges a quarter, corners an eighth."""
    expected = 0.0
    for axes in np.ndindex(2, 2, 2):
        chosen = [axis for axis in range(3) if axes[axis]]
        for ends in np.ndindex(*(2,) * len(chosen)):
            part = bone
            for axis, end in zip(chosen, ends, strict=True):
                part = part.take([-1 if end else 0], axis)
            expected += (-0.5) ** len(chosen) * euler_number(part, connectivity=3)
    assert topology.euler_characteristic(stencil.region_histogram(bone)) == expected
    if min(bone.shape) > 1:
        assert euler(bone, pad=False) == expected


@pytest.mark.parametrize("offset", [(0, 0, 0), (1, 7, 13), (18, 2, 10)])
def test_periodic_lattice_of_rods(offset):
    """Rods of 4 x 4 voxels every 20: each of 125 knots has one connection in each direction: chi = -250."""
    bars = [(np.arange(100) + shift) % 20 < 4 for shift in offset]
    a, b, c = bars[0][:, None, None], bars[1][None, :, None], bars[2][None, None, :]
    lattice = (a & b) | (b & c) | (a & c)
    assert lattice.mean() == pytest.approx(0.104)
    assert euler(np.pad(lattice, ((0, 1),) * 3, mode="wrap"), pad=False) == -250
