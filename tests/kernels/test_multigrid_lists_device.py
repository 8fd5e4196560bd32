"""A hierarchy, asked of both who make it: numpy on the host, and lists on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microct.kernels import (
    elasticity_mesh_device,
    multigrid_coarsening_device,
    multigrid_galerkin,
    multigrid_lists_device,
    multigrid_setup,
)
from microct.kernels.elasticity_mesh import mesh
from microct.kernels.multigrid_levels import Hierarchy


@contextmanager
def one_size(few: int = 0) -> Iterator[None]:
    """All lists are filled up to one size, those of a hierarchy to a larger one, so that little is compiled.

    Coarsening goes on to the last few cells; matrices of ``few`` are added on the host.
    """
    rooms = (elasticity_mesh_device, multigrid_coarsening_device, multigrid_galerkin, multigrid_lists_device)
    with ExitStack() as stack:
        for room in rooms:
            stack.enter_context(mock.patch.object(room, "filled", lambda rows: 1024 if rows <= 1024 else 1088))
        stack.enter_context(mock.patch.object(multigrid_setup, "filled", return_value=1088))
        sizes = {"COARSEST": 8, "_INVERTED": 0, "_FEW": few, "FACTORED_FROM": 1}
        stack.enter_context(mock.patch.multiple(multigrid_setup, **sizes))
        yield


def assert_same(found: Hierarchy, expected: Hierarchy) -> None:
    for n, (level, other) in enumerate(zip(found.levels, expected.levels, strict=True)):
        for name, values, wanted in zip(level._fields, level, other, strict=True):
            assert (values is None) == (wanted is None)
            if wanted is not None:
                assert values.dtype == wanted.dtype
                np.testing.assert_array_equal(np.asarray(values), np.asarray(wanted), err_msg=f"level {n}: {name}")
    for values, wanted in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(np.asarray(values), np.asarray(wanted))


@settings(max_examples=6, deadline=None)
@given(
    st.tuples(*[st.integers(3, 9)] * 3),
    st.booleans(),
    st.sampled_from([0.2, 0.5]),
    st.integers(0, 2**31),
    st.sampled_from([0, 30]),
)
@example((9, 8, 7), False, 0.4, 1, 0)
@example((9, 8, 9), True, 0.4, 2, 30)
@example((9, 1, 9), True, 0.4, 3, 0)
@pytest.mark.slow
def test_both_make_the_same_hierarchy(
    shape: tuple[int, int, int], periodic: bool, share: float, seed: int, many: int
) -> None:
    """Every array of every level has the same bits, whichever levels are made on the device."""
    rng = np.random.default_rng(seed)
    modulus = np.where(rng.random(shape) < share, rng.uniform(0.5, 2.0, shape), 0).astype(np.float32)
    modulus[:2, 0, 0] = 1
    bone = mesh(modulus, periodic)
    fixed = np.zeros((len(bone.positions), 3), bool)
    fixed[bone.positions[:, 0] == 0, 0] = not periodic
    with one_size(few=many):
        lists = elasticity_mesh_device.mesh_on_device(modulus, periodic)
        one, other = multigrid_setup.structure(bone), multigrid_setup.structure(lists, many=many)
        sizes = multigrid_setup.capacity(one)
        assert multigrid_setup.capacity(other) == sizes
        found = multigrid_setup.hierarchy(other, fixed, 0.3, sizes, side_by_side=True)
        assert_same(found, multigrid_setup.hierarchy(one, fixed, 0.3, sizes, side_by_side=True))


def test_lists_on_a_device_are_no_lists_to_go_through_in_order() -> None:
    of = multigrid_setup.structure(mesh(np.ones((3, 3, 3), np.float32)), many=0)
    with pytest.raises(ValueError, match="side by side"):
        multigrid_setup.hierarchy(of, np.zeros((64, 3), bool), 0.3, side_by_side=False)


@pytest.mark.parametrize("rows", [40, 64])
def test_matrices_are_carried_up_as_on_the_host(rows: int) -> None:
    """All at once, and in parts where the list is long; all of them, and some."""
    rng = np.random.default_rng(rows)
    which = rng.permutation(rows)
    with mock.patch.object(multigrid_galerkin, "_LONG", 64):
        for ways in (multigrid_galerkin.whole_to_children(), multigrid_galerkin.deformed_to_children()):
            kinds, size = ways.shape[:2]
            matrices = rng.standard_normal((rows, size, size)).astype(np.float32)
            matrices += np.swapaxes(matrices, 1, 2)
            kind = rng.integers(0, kinds, rows).astype(np.int16)
            for chosen in (None, which):
                expected = multigrid_galerkin.carried(matrices, kind, ways, chosen)
                found = multigrid_galerkin.carried(jnp.asarray(matrices), kind, ways, chosen)
                np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)
