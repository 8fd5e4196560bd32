"""Vectors in rows of 64 nodes say the same as lists of nodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from microct.kernels.multigrid_vectors import (
    at_nodes,
    cases_of,
    every_case,
    every_node,
    exact_inner,
    inner,
    laid_out,
)


@pytest.mark.parametrize("cases", [1, 3])
def test_rows_hold_what_nodes_hold(cases: int) -> None:
    rng = np.random.default_rng(cases)
    a = rng.standard_normal((320, cases, 3))
    scale = rng.standard_normal((320, 3))
    number = rng.standard_normal((cases, 1))
    with jax.enable_x64(True):
        rows = laid_out(jnp.asarray(a))
        assert cases_of(rows) == cases
        np.testing.assert_array_equal(at_nodes(rows), a)
        np.testing.assert_array_equal(at_nodes(every_case(jnp.asarray(scale), cases) * rows), scale[:, None] * a)
        each = every_case(jnp.asarray(scale[:, :1]), cases)
        np.testing.assert_array_equal(at_nodes(each * rows), scale[:, None, :1] * a)
        np.testing.assert_array_equal(at_nodes(every_node(jnp.asarray(number)) * rows), number * a)


@pytest.mark.parametrize("cases", [1, 3])
def test_each_case_has_its_inner_product(cases: int) -> None:
    a, b = np.random.default_rng(cases).standard_normal((2, 320, cases, 3))
    wanted = np.einsum("nci,nci->c", a, b)[:, None]
    with jax.enable_x64(True):
        left, right = laid_out(jnp.asarray(a)), laid_out(jnp.asarray(b))
        np.testing.assert_allclose(inner(left, right), wanted, rtol=1e-12)
        for at_once in (False, True):
            np.testing.assert_allclose(exact_inner(left, right, at_once), wanted, rtol=1e-12)
        short = laid_out(jnp.asarray(a, jnp.float32))
        of_short = np.einsum("nci,nci->c", a.astype(np.float32).astype(float), b)[:, None]
        for at_once in (False, True):
            np.testing.assert_allclose(exact_inner(short, right, at_once), of_short, rtol=1e-12)
