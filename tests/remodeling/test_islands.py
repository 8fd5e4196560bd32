"""Bone that hangs on nothing is lost, and nothing else is."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from microct.imaging import phantoms
from microct.kernels import loose
from microct.remodeling import islands


def lost_by_definition(fraction):
    """Labels by scipy: keep the largest piece and those at the border; then drop partial voxels beside none of them."""
    bone = fraction >= 128
    labels, count = ndimage.label(bone, np.ones((3, 3, 3)))
    kept = np.zeros_like(bone)
    if count:
        sizes = ndimage.sum_labels(bone, labels, np.arange(1, count + 1))
        inner = np.zeros_like(bone)
        inner[1:-1, 1:-1, 1:-1] = True
        border = set(np.unique(labels[~inner])) - {0}
        kept = np.isin(labels, [int(np.argmax(sizes)) + 1, *border])
    return (fraction > 0) & ~ndimage.binary_dilation(kept, np.ones((3, 3, 3)))


def block():
    """A plate through the whole block."""
    fraction = np.zeros((20, 24, 28), np.uint8)
    fraction[8:12] = 255
    fraction[7] = 90
    return fraction


@given(arrays(np.uint8, (5, 6, 7), elements=st.sampled_from([0, 0, 0, 60, 200])))
def test_lost_is_the_definition(fraction):
    np.testing.assert_array_equal(islands.lost(fraction), lost_by_definition(fraction))


@pytest.mark.parametrize("on_device", [False, True])
def test_what_is_left_is_the_definition_on_host_and_device(monkeypatch, on_device):
    """Bone in one piece and in many, with more and less than half of it in the largest; at the border and inside."""
    monkeypatch.setattr(islands, "has_accelerator", lambda: on_device)
    monkeypatch.setattr(loose, "_AT_ONCE", 2)
    rng = np.random.default_rng(5)
    in_one_piece = 0
    for share in (0.0, 0.02, 0.05, 0.1, 0.15, 0.3, 0.9, 1.0):
        fraction = np.where(rng.random((12, 13, 40)) < share, rng.integers(100, 256, (12, 13, 40)), 0).astype(np.uint8)
        fraction[:, :, 30:33] = 0
        in_one_piece += loose.without_loose(jnp.asarray(fraction)) is not None
        lost = lost_by_definition(fraction)
        left, held = islands.cleared(jnp.asarray(fraction))
        np.testing.assert_array_equal(np.asarray(left), np.where(lost, 0, fraction))
        assert held == int(fraction[lost].sum(dtype=np.int64))
    assert 2 < in_one_piece < 8


def test_nothing_is_lost_on_a_healthy_plate_or_sphere():
    assert not islands.lost(block()).any()
    for bone in (
        phantoms.slab(0.2, size_mm=1.0, voxel_size_um=40.0, tilt_deg=20.0),
        phantoms.sphere(0.3, size_mm=1.0, voxel_size_um=40.0),
        phantoms.rod_lattice(0.16, 0.5, size_mm=1.0, voxel_size_um=40.0),
    ):
        assert not islands.lost(bone.values).any()


def test_an_island_is_lost_with_its_partial_voxels():
    fraction = block()
    fraction[15:18, 10:14, 10:14] = 100
    fraction[16, 11:13, 11:13] = 255
    lost = islands.lost(fraction)
    assert lost[15:18, 10:14, 10:14].all()
    assert lost.sum() == 3 * 4 * 4


def test_a_crumb_beside_no_bone_is_lost_and_a_partial_voxel_beside_bone_stays():
    fraction = block()
    fraction[16, 5, 5] = 127  # alone
    fraction[12, 9, 9] = 127  # on the plate
    fraction[13, 10, 10] = 40  # touches only the partial voxel
    lost = islands.lost(fraction)
    assert lost[16, 5, 5]
    assert not lost[12, 9, 9]
    assert lost[13, 10, 10]
    assert lost.sum() == 2


@pytest.mark.parametrize("corner", [(0, 3, 3), (17, 20, 26), (15, 0, 9), (15, 10, 27)])
def test_a_piece_at_the_border_stays(corner):
    fraction = block()
    z, y, x = corner
    fraction[z : z + 2, y : y + 2, x : x + 2] = 255
    touches = z == 0 or z + 2 >= 20 or y == 0 or y + 2 >= 24 or x + 2 >= 28
    assert touches
    assert not islands.lost(fraction).any()


def test_pieces_that_meet_at_a_corner_hang_together():
    fraction = block()
    fraction[12, 10, 10] = 255
    fraction[13, 11, 11] = 255
    fraction[14, 12, 12] = 255
    assert not islands.lost(fraction).any()


@pytest.mark.parametrize("value", [0, 60, 255])
def test_uniform_volumes(value):
    fraction = np.full((6, 6, 6), value, np.uint8)
    assert islands.lost(fraction).sum() == (216 if value == 60 else 0)
