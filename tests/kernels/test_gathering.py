"""Sums that every place gathers for itself, and motions of a cube sorted by parity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct.kernels import fused, fused_products, gathering, multigrid, multigrid_setup, parities
from microct.kernels.elasticity_mesh import mesh
from microct.kernels.multigrid_galerkin import children
from microct.kernels.multigrid_vectors import laid_out

INTERPRETED = partial(fused.launched, interpret=True)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([2, 12]), st.sampled_from([1, 3]), st.just(7), st.integers(0, 11))
def test_every_place_gathers_its_own(seed: int, rows: int, columns: int, places: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.integers(0, places, (rows, columns)).astype(np.int32)
    entries = rng.standard_normal((rows * columns, 2)).astype(np.float32)
    entries[-1], count = 0, min(count, rows - 1)  # what places name that have no more
    width = gathering.width_for(int(gathering.widest(jnp.asarray(names), count, places)))
    table = gathering.incident(jnp.asarray(names), count, places, width)
    expected = np.zeros((places, 2), np.float32)
    for place, entry in zip(names[:count].ravel(), entries, strict=False):  # left to right, as the kernel does
        expected[place] += entry
    np.testing.assert_array_equal(np.asarray(gathering.gathered_sum(jnp.asarray(entries), table)), expected)


@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.45])
def test_parities_are_an_orthonormal_basis_in_which_a_cell_is_the_sum_over_its_children(poisson: float) -> None:
    to = parities.TO_PARITIES.astype(float)
    np.testing.assert_allclose(to @ to.T, np.eye(24), atol=1e-6)
    rng = np.random.default_rng(1)
    moduli = rng.uniform(0, 2, (64, 8)).astype(np.float32)
    x, nodes = rng.standard_normal((50, 2, 3)).astype(np.float32), rng.integers(0, 50, (64, 8)).astype(np.int32)
    sorted_children = jnp.asarray(parities.in_parities(children(poisson)), jnp.float32)
    stiffness = np.tensordot(moduli.astype(float), children(poisson), 1)
    motion = np.swapaxes(x[nodes], 1, 2).reshape(64, 2, 24)
    expected = np.einsum("nij,ncj->nci", stiffness, motion)
    given = jnp.asarray(x), jnp.asarray(nodes), jnp.asarray(moduli), sorted_children
    scale = np.abs(expected).max()
    found = [fused_products.cells_product(*given)]
    found += [fused_products.cells_fused(launch, *given) for launch in (fused.spread, INTERPRETED)]
    for each in found:
        np.testing.assert_allclose(np.asarray(each), expected, atol=2e-6 * scale)


@pytest.fixture
def asks_for_kernels() -> Iterator[Callable[[], bool]]:
    """Whether a product of a program traced now would be a kernel on a GPU."""
    x, nodes, moduli = jnp.ones((5, 1, 3)), jnp.zeros((4, 8), jnp.int32), jnp.ones((4, 8))
    sorted_children = jnp.asarray(parities.in_parities(children(0.3)), jnp.float32)

    def asked() -> bool:
        fused.has_kernels.cache_clear()
        fresh = lambda x: fused_products.cells_product(x, nodes, moduli, sorted_children)  # noqa: E731
        return "pallas_call" in str(jax.make_jaxpr(fresh)(x))

    yield asked
    fused.has_kernels.cache_clear()


def test_products_need_no_kernels_where_jax_cannot_make_them(
    monkeypatch: pytest.MonkeyPatch, asks_for_kernels: Callable[[], bool]
) -> None:
    assert asks_for_kernels()

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(fused, "import_module", missing)
    assert not asks_for_kernels()


def test_products_need_no_kernels_where_the_gpu_at_hand_cannot_run_them(
    monkeypatch: pytest.MonkeyPatch, asks_for_kernels: Callable[[], bool]
) -> None:
    monkeypatch.setattr(fused, "has_accelerator", lambda: True)
    with pytest.warns(UserWarning, match="no kernels of Pallas on this GPU"):  # a CPU cannot
        assert not asks_for_kernels()
    monkeypatch.setattr(fused, "launched", INTERPRETED)
    assert asks_for_kernels()
    monkeypatch.setattr(fused, "launched", lambda body, out, *given: INTERPRETED(body, out, *given) + 1)
    with pytest.warns(UserWarning, match="wrong numbers"):
        assert not asks_for_kernels()


def test_long_lists_are_spread_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of which an eighth is worked on at a time gives what the whole gives."""
    rng = np.random.default_rng(7)
    moduli = jnp.asarray(rng.uniform(0, 2, (64, 8)).astype(np.float32))
    x, nodes = jnp.asarray(rng.standard_normal((50, 2, 3)), jnp.float32), jnp.asarray(rng.integers(0, 50, (64, 8)))
    sorted_children = jnp.asarray(parities.in_parities(children(0.3)), jnp.float32)
    at_once = fused_products.cells_fused(fused.spread, x, nodes, moduli, sorted_children)
    monkeypatch.setattr(fused, "_LONG", 64)
    in_parts = fused_products.cells_fused(fused.spread, x, nodes, moduli, sorted_children)
    np.testing.assert_allclose(np.asarray(in_parts), np.asarray(at_once), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_side_by_side_a_cycle_does_what_it_does_in_order_and_repeats_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    bone = mesh(np.where(rng.random((18, 16, 20)) < 0.45, rng.uniform(0.5, 2.0, (18, 16, 20)), 0))
    at = bone.positions[:, 0]
    fixed = np.repeat(((at == 0) | (at == bone.shape[0]))[:, None], 3, axis=1)
    of = multigrid_setup.structure(bone)
    answers = []
    for side_by_side, least in ((False, 1), (True, 1), (True, 1), (True, 1 << 16), (False, 1 << 16)):
        monkeypatch.setattr(multigrid_setup, "FACTORED_FROM", least)
        monkeypatch.setattr(multigrid_setup, "DEFORMED_FROM", least)
        tree = multigrid.prepared(multigrid_setup.hierarchy(of, fixed, 0.3, side_by_side=side_by_side))
        residual = np.zeros((tree.levels[0].smoothing.shape[0], 2, 3), np.float32)
        free = np.where(fixed, 0, 1)[:, None, :]
        residual[: len(fixed)] = free * np.random.default_rng(3).standard_normal((len(fixed), 2, 3))
        answers.append(np.asarray(multigrid.cycle(tree, 0, laid_out(jnp.asarray(residual)))))
    scale = np.abs(answers[0]).max()
    for other in (3, 4):
        np.testing.assert_allclose(answers[other], answers[0], atol=2e-4 * scale)
    np.testing.assert_allclose(answers[1], answers[0], atol=2e-2 * scale)  # factors are rounded to 8 bits
    np.testing.assert_array_equal(answers[2], answers[1])
