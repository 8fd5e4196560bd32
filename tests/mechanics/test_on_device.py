"""Bone whose lists are made on a device, from the volume to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import jax
import numpy as np
import pytest

from microct import Volume, stiffness_tensor, strength
from microct.kernels import elasticity_mesh_device, multigrid_setup
from microct.kernels.elasticity_mesh_device import DeviceMesh
from microct.mechanics.equilibrium import Equilibrium


@pytest.fixture
def as_on_a_device() -> Iterator[None]:
    """All that waits for a device, or for many voxels, is done."""
    with (
        mock.patch.object(jax, "default_backend", return_value="a device"),
        mock.patch.object(elasticity_mesh_device, "_MANY", 0),
        mock.patch.object(multigrid_setup, "_MANY", 100),
    ):
        yield


def spongy() -> Volume:
    noise = np.random.default_rng(3).random((14, 12, 13))
    smooth = sum(np.roll(noise, shift, axis) for axis in range(3) for shift in (-1, 0, 1))
    return Volume.from_array(smooth > np.quantile(smooth, 0.4), voxel_size_um=50)


@pytest.mark.slow
def test_strength_is_that_of_the_host(request: pytest.FixtureRequest) -> None:
    expected = strength(spongy(), brittle=True)
    request.getfixturevalue("as_on_a_device")
    solver = Equilibrium(expected.poisson_ratio)
    found = strength(spongy(), brittle=True, solver=solver)
    assert isinstance(found.solution.mesh, DeviceMesh)
    assert found.apparent_modulus_mpa == pytest.approx(expected.apparent_modulus_mpa, rel=1e-6)
    np.testing.assert_allclose(found.solution.strain, expected.solution.strain, atol=1e-5 * 0.01)
    assert found.brittle is not None
    assert expected.brittle is not None
    np.testing.assert_allclose(found.brittle.force_n, expected.brittle.force_n, rtol=1e-4)
    again = strength(spongy(), start=found, solver=solver)
    assert again.iterations <= 1


@pytest.mark.slow
def test_tensor_is_that_of_the_host(request: pytest.FixtureRequest) -> None:
    expected = stiffness_tensor(spongy(), boundary="periodic")
    request.getfixturevalue("as_on_a_device")
    found = stiffness_tensor(spongy(), boundary="periodic")
    np.testing.assert_allclose(found.tensor_mpa, expected.tensor_mpa, atol=1e-5 * expected.tensor_mpa.max())
