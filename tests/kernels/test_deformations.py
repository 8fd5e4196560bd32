"""Stiffness of coarse cells in motions that deform them, and its triangular factors."""

from __future__ import annotations

from functools import partial
from itertools import product
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from microct.kernels import deformations, factored_products, fused, multigrid_products, multigrid_setup
from microct.kernels.elasticity import CORNERS
from microct.kernels.elasticity_mesh import Mesh, mesh
from microct.kernels.multigrid_galerkin import whole


def rigid_motions() -> np.ndarray:
    """(6, 24) three translations and three rotations of the corners of a cube."""
    at = CORNERS - 0.5
    moves = [np.tile(np.eye(3)[axis], (8, 1)) for axis in range(3)]
    turns = [np.cross(np.eye(3)[axis], at) for axis in range(3)]
    return np.stack([motion.ravel() for motion in (*moves, *turns)])


def test_deformations_are_all_that_is_left_of_motions_without_the_rigid_ones() -> None:
    to = deformations.basis()
    np.testing.assert_allclose(to @ to.T, np.eye(18), atol=1e-12)
    np.testing.assert_allclose(to @ rigid_motions().T, 0, atol=1e-12)
    assert np.linalg.matrix_rank(np.vstack([to, rigid_motions()])) == 24


def _random_bone(periodic: bool) -> tuple[Mesh, np.ndarray]:
    rng = np.random.default_rng(4)
    values = np.where(rng.random((18, 15, 9)) < 0.45, rng.uniform(0.5, 2.0, (18, 15, 9)), 0)
    bone = mesh(values, periodic)
    at = bone.positions[:, 0]
    fixed = np.repeat(((at == 0) | (at == bone.shape[0]))[:, None], 3, axis=1)
    fixed[:, 1] &= rng.random(len(at)) < 0.5
    return bone, fixed & (not periodic)


@pytest.mark.parametrize("periodic", [False, True])
def test_deformations_and_exceptions_are_the_whole_stiffness(periodic: bool) -> None:
    """At held faces, in the middle of a coarse cell, too, and where an odd axis repeats itself."""
    bone, fixed = _random_bone(periodic)
    with mock.patch.multiple(multigrid_setup, COARSEST=8, _INVERTED=0):
        of = multigrid_setup.structure(bone)
    assert len(of.cells) > 3
    trees = []
    for least in (1, 1 << 30):
        with mock.patch.object(multigrid_setup, "DEFORMED_FROM", least):
            trees.append(multigrid_setup.hierarchy(of, fixed, 0.3, side_by_side=False))
    rng = np.random.default_rng(0)
    for n in range(2, len(of.cells)):
        apart, together = (tree.levels[n] for tree in trees)
        assert (apart.matrices.shape[1:], together.matrices.shape[1:]) == ((18, 18), (24, 24))
        assert int(apart.extra_count) > 0
        assert together.extra is None
        x = jnp.asarray(rng.standard_normal((apart.smoothing.shape[0], 2, 3)), jnp.float32)
        diagonals = [multigrid_products.diagonal(tree, n) for tree in trees]
        forces = [multigrid_products.stiffness_times(tree, n, x) for tree in trees]
        for found, expected in (map(np.asarray, diagonals), map(np.asarray, forces)):
            np.testing.assert_allclose(found[:-1], expected[:-1], atol=3e-6 * np.abs(expected).max())


def test_rigid_motions_of_bone_that_nothing_holds_cost_nothing() -> None:
    bone, _ = _random_bone(periodic=False)
    nothing_held = np.zeros((len(bone.positions), 3), bool)
    of = multigrid_setup.structure(bone)
    with mock.patch.object(multigrid_setup, "DEFORMED_FROM", 1):
        tree = multigrid_setup.hierarchy(of, nothing_held, 0.3, side_by_side=False)
    level, cells = tree.levels[2], of.cells[2]
    x = np.zeros((level.smoothing.shape[0], 1, 3), np.float32)
    for corner in range(8):  # turned about an axis
        at = cells.places + CORNERS[corner]
        x[cells.nodes[:, corner], 0] = np.cross([1.0, -2.0, 0.5], at)
    pushed = np.asarray(multigrid_products.stiffness_times(tree, 2, jnp.asarray(x)))[: cells.node_count]
    assert int(level.extra_count) == 0
    assert np.abs(pushed).max() < 1e-5 * np.asarray(level.matrices).max() * np.abs(x).max()


def _matrices(count: int) -> np.ndarray:
    """Stiffness of cells, of which some hold so little that their softest motions are lost in float32."""
    rng = np.random.default_rng(5)
    spread = 10.0 ** rng.uniform(-5, 0, (count, 1, 18))
    half = rng.standard_normal((count, 18, 18)) * spread
    half[-1] = 0  # a row that is filled up
    return (half @ np.swapaxes(half, 1, 2)).astype(np.float32)


@pytest.mark.parametrize("count", [40, pytest.param(64, marks=pytest.mark.slow)])
def test_factors_say_what_the_matrices_say(count: int) -> None:
    matrices = _matrices(count)
    with mock.patch.object(factored_products, "_LONG", 64):
        factors = factored_products.factored.__wrapped__(jnp.asarray(matrices))
    lower = np.zeros((count, 18, 18))
    for entry, (column, row) in zip(
        np.asarray(factors, float), [(j, i) for j, i in product(range(18), repeat=2) if i >= j], strict=True
    ):
        lower[:, row, column] = entry
    stiffness = lower @ np.swapaxes(lower, 1, 2)
    own = np.sqrt(np.einsum("nii->ni", matrices))
    # of 8 bits: an entry differs by 2^-8 of the two diagonal ones, at most
    assert (np.abs(stiffness - matrices) <= 2.0**-7 * own[:, :, None] * own[:, None, :] + 1e-30).all()
    diagonal = np.einsum("nii->ni", whole(stiffness.astype(np.float32)))
    np.testing.assert_allclose(factored_products.factored_diagonal(factors), diagonal, rtol=1e-4, atol=1e-6)
    rng = np.random.default_rng(6)
    x, nodes = rng.standard_normal((50, 2, 3)).astype(np.float32), rng.integers(0, 50, (count, 8)).astype(np.int32)
    moved = np.swapaxes(x[nodes], 1, 2).reshape(count, 2, 24)
    expected = np.einsum("nij,ncj->nci", whole(stiffness.astype(np.float32)), moved)
    given = jnp.asarray(x), jnp.asarray(nodes), factors
    interpreted, whole_list = (
        factored_products.factored_fused(launch, *given)
        for launch in (partial(fused.launched, interpret=True), fused.spread)
    )
    with jax.enable_x64(True):  # as in a solve
        among_float64 = factored_products.factored_product(*given)
    for found in (factored_products.factored_product(*given), among_float64, interpreted, whole_list):
        np.testing.assert_allclose(np.asarray(found), expected, atol=3e-6 * np.abs(expected).max())


def test_a_rounded_factor_gives_no_energy_back() -> None:
    """The softest motions of a cell cost less than what rounding changes, and still cost something."""
    matrices = _matrices(64)[:-1]
    factors = np.asarray(factored_products.factored(jnp.asarray(matrices)).astype(jnp.float32), float)
    softest = np.linalg.eigh(matrices.astype(float))[1][:, :, 0]
    to = deformations.basis()
    x = (softest @ to).reshape(-1, 8, 3)
    nodes = np.arange(8 * len(x), dtype=np.int32).reshape(-1, 8)
    motion = jnp.asarray(x.reshape(-1, 1, 3), jnp.float32)
    force = factored_products.factored_product(motion, jnp.asarray(nodes), jnp.asarray(factors, jnp.bfloat16))
    energy = (np.asarray(force, float)[:, 0] * x.reshape(-1, 24)).sum(axis=1)
    assert (energy > -1e-6 * np.einsum("nii->ni", matrices).max(axis=1)).all()
    rounded = np.asarray(jnp.asarray(matrices, jnp.bfloat16).astype(jnp.float32), float)
    assert (np.einsum("ni,nij,nj->n", softest, rounded, softest) < 0).any()  # the matrix itself does
