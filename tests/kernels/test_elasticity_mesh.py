"""Nodes of bone, numbered by both who do it: numpy on the host, and a device."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microct.kernels import elasticity_mesh_device
from microct.kernels.elasticity_mesh import mesh

SHAPES = [(5, 6, 7), (2, 1, 9)]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SHAPES), st.booleans(), st.floats(0, 1), st.integers(0, 2**31))
@example((5, 6, 7), False, 0.0, 1)
def test_both_number_the_same_mesh(shape: tuple[int, int, int], periodic: bool, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    modulus = np.where(rng.random(shape) < share, rng.uniform(0.5, 2.0, shape), 0).astype(np.float32)
    expected = mesh(modulus, periodic)
    with mock.patch.object(elasticity_mesh_device, "filled", return_value=384):
        found = elasticity_mesh_device.mesh_on_device(modulus, periodic)
    assert isinstance(found, elasticity_mesh_device.DeviceMesh)
    assert (found.shape, found.periodic) == (expected.shape, expected.periodic)
    for name in ("voxels", "nodes", "modulus", "positions"):
        values, wanted = getattr(found, name), getattr(expected, name)
        assert values.dtype == wanted.dtype
        np.testing.assert_array_equal(values, wanted)
    count = len(expected.voxels)
    assert not np.asarray(found.moduli)[count:].any()
    assert (np.asarray(found.cells.nodes)[count:] == found.cells.points - 1).all()


def test_other_moduli_leave_the_numbering_as_it_is() -> None:
    modulus = np.zeros((3, 4, 5), np.float32)
    modulus[1:, :2, 3] = 1
    for bone in (mesh(modulus), elasticity_mesh_device.mesh_on_device(modulus)):
        other = bone.with_modulus(2 * bone.modulus)
        assert other.numbering is bone.numbering
        np.testing.assert_array_equal(other.modulus, 2 * bone.modulus)
        np.testing.assert_array_equal(other.nodes, bone.nodes)
    assert mesh(modulus).numbering is not mesh(modulus).numbering
