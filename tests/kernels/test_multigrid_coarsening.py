"""Coarse cells, asked of both who make them: one worker on the host, and many side by side on a device."""

from __future__ import annotations

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microct.kernels import multigrid_coarsening_device as device
from microct.kernels.components import union
from microct.kernels.components_device import joined
from microct.kernels.elasticity_mesh import mesh
from microct.kernels.multigrid_coarsening import Cells, coarsen


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 40), st.integers(0, 40))
def test_sets_are_named_by_their_smallest_member(seed: int, early: int, late: int) -> None:
    """Pairs that come in two calls join the same sets."""
    left, right = np.random.default_rng(seed).integers(0, 50, (2, 80)).astype(np.int32)
    right[early:40], right[40 + late :] = left[early:40], left[40 + late :]  # no pairs
    join = jax.jit(joined)
    once = join(jnp.arange(50), jnp.asarray(left[:40]), jnp.asarray(right[:40]))
    found = join(once, jnp.asarray(left[40:]), jnp.asarray(right[40:]))
    np.testing.assert_array_equal(np.asarray(found), union(50, left, right))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 11)] * 3), st.booleans(), st.sampled_from([0.03, 0.2, 0.4, 0.7]), st.integers(0, 2**31)
)
@example((9, 1, 11), True, 0.4, 1)
@example((11, 10, 11), True, 0.2, 2)
@example((10, 11, 10), False, 0.2, 3)
def test_both_make_the_same_cells(shape: tuple[int, int, int], periodic: bool, share: float, seed: int) -> None:
    """Ragged bone with loose pieces, odd ends, volumes that repeat themselves: every number of every level is the same.

    Sizes are filled up to one for all, so that little is compiled.
    """
    rng = np.random.default_rng(seed)
    modulus = np.where(rng.random(shape) < share, 1, 0).astype(np.float32)
    modulus[tuple(rng.integers(0, shape))] = 1
    bone = mesh(modulus, periodic)
    cells = Cells(bone.shape, bone.voxels, bone.nodes, len(bone.positions))
    with mock.patch.object(device, "filled", return_value=2048):
        lists, whole = device.on_device(cells), True
        while cells.count > 1 and np.prod(cells.shape) > 1:
            cells, step = coarsen(cells, periodic, whole)
            lists, taken = device.coarsen_on_device(lists, periodic, whole)
            found = lists.on_host()
            assert (found.shape, found.node_count, lists.at_ends) == (cells.shape, cells.node_count, cells.at_ends)
            np.testing.assert_array_equal(found.places, cells.places)
            np.testing.assert_array_equal(found.nodes, cells.nodes)
            for name in ("parent", "slot", "stretched"):
                expected, values = getattr(step, name), np.asarray(getattr(taken, name))
                assert values.dtype == expected.dtype
                np.testing.assert_array_equal(values[: len(expected)], expected)
            assert taken.more == step.more
            place, row = np.asarray(taken.place), np.asarray(taken.row)
            nodes = np.flatnonzero(row >= 0)
            points = np.full(step.points.shape, -1, np.int32)
            points[row[nodes], place[nodes] % 27] = nodes
            np.testing.assert_array_equal(points, step.points)
            np.testing.assert_array_equal(place[nodes] // 27, step.owner[row[nodes]])
            whole = False
