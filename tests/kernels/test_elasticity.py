"""The elements and the multigrid kernels against the assembled reference, and against what must hold exactly."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from microct.kernels import elasticity, fused, fused_products, multigrid, multigrid_products, multigrid_setup
from microct.kernels.elasticity_mesh import Mesh, mesh
from microct.kernels.multigrid_levels import Hierarchy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
import elasticity as reference


def spongy(shape: tuple[int, int, int], seed: int, share: float = 0.6) -> np.ndarray:
    """Moduli from 0.5 to 2 in a random part of the voxels; ragged, with necks and loose pieces."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, rng.uniform(0.5, 2.0, shape), 0).astype(np.float32)


def ends_held(bone: Mesh) -> np.ndarray:
    at = bone.positions[:, 0]
    return np.repeat(((at == 0) | (at == bone.shape[0]))[:, None], 3, axis=1)


def built(
    bone: Mesh, fixed: np.ndarray, split: bool = True, side_by_side: bool = False
) -> tuple[multigrid_setup.Structure, Hierarchy]:
    of = multigrid_setup.structure(bone, split)
    return of, multigrid.prepared(multigrid_setup.hierarchy(of, fixed, 0.3, side_by_side=side_by_side))


@pytest.mark.parametrize("poisson_ratio", [0.0, 0.3, 0.45])
def test_element_agrees_with_reference(poisson_ratio: float) -> None:
    ours = elasticity.stiffness_matrix(poisson_ratio)
    np.testing.assert_allclose(ours, reference.element(poisson_ratio), atol=1e-14)
    values = np.linalg.eigvalsh(ours)
    assert np.sum(np.abs(values) < 1e-12) == 6  # rigid motions, and nothing else, cost no energy
    assert values.min() > -1e-12


def test_center_strain_of_linear_field() -> None:
    gradient = np.random.default_rng(1).standard_normal((3, 3))
    strain = elasticity.strain_matrix() @ (elasticity.CORNERS @ gradient.T).ravel()
    symmetric = (gradient + gradient.T) / 2
    expected = [symmetric[0, 0], symmetric[1, 1], symmetric[2, 2], 2 * symmetric[1, 2], 2 * symmetric[0, 2],
                2 * symmetric[0, 1]]  # fmt: skip
    np.testing.assert_allclose(strain, expected, atol=1e-14)


@pytest.mark.parametrize("cases", [1, 3])
def test_product_agrees_with_assembled_matrix(cases: int) -> None:
    modulus = spongy((5, 6, 7), 2)
    bone = mesh(modulus)
    matrix, used = reference.assembled(modulus, 0.3)
    assert len(bone.positions) == used.sum()
    rng = np.random.default_rng(3)
    x = rng.standard_normal((len(bone.positions), cases, 3))
    with jax.enable_x64(True):
        y = elasticity.stiffness_product(
            jnp.asarray(x), jnp.asarray(bone.nodes), jnp.asarray(bone.modulus),
            jnp.asarray(elasticity.stiffness_matrix(0.3)), jnp.int32(len(bone.nodes)),
        )  # fmt: skip
    for case in range(cases):
        whole = np.zeros((len(used), 3))
        whole[used] = x[:, case]
        expected = (matrix @ whole.ravel()).reshape(-1, 3)[used]
        np.testing.assert_allclose(np.asarray(y)[:, case], expected, atol=1e-11)


@pytest.mark.parametrize("side_by_side", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("shape", "periodic"),
    [((22, 20, 24), False), pytest.param((22, 19, 13), True, marks=pytest.mark.slow)],
)
def test_coarse_stiffness_is_that_of_interpolated_motion(
    shape: tuple[int, int, int], periodic: bool, side_by_side: bool
) -> None:
    """Galerkin: on every level K below = interpolation^T K above interpolation, held and periodic faces included."""
    bone = mesh(spongy(shape, 4, 0.35), periodic)
    fixed = np.zeros((len(bone.positions), 3), bool) if periodic else ends_held(bone)
    of, tree = built(bone, fixed, side_by_side=side_by_side)
    assert len(tree.levels) >= 3
    rng = np.random.default_rng(5)
    for n in range(len(tree.levels) - 1):
        below = np.zeros((tree.levels[n + 1].smoothing.shape[0], 2, 3), np.float32)
        below[: of.cells[n + 1].node_count] = rng.standard_normal((of.cells[n + 1].node_count, 2, 3))
        nothing = jnp.zeros((tree.levels[n].smoothing.shape[0], 2, 3), jnp.float32)
        above = multigrid_products.prolonged(tree, n, jnp.asarray(below), nothing)
        expected = multigrid_products.restricted(tree, n, multigrid_products.stiffness_times(tree, n, above))
        found = multigrid_products.stiffness_times(tree, n + 1, jnp.asarray(below))
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=2e-6 * scale)


@pytest.mark.parametrize(
    ("shape", "periodic"),
    [((6, 7, 8), False), *(pytest.param(shape, True, marks=pytest.mark.slow) for shape in ((5, 6, 7), (9, 1, 15)))],
)
def test_what_nodes_ask_of_their_voxels_is_what_voxels_add_to_their_nodes(
    shape: tuple[int, int, int], periodic: bool
) -> None:
    bone = mesh(spongy(shape, 3, 0.5), periodic)
    of = multigrid_setup.structure(bone)
    fixed = np.zeros((len(bone.positions), 3), bool)
    alone, beside = (multigrid_setup.hierarchy(of, fixed, 0.3, side_by_side=each).levels[0] for each in (False, True))
    points = beside.smoothing.shape[0]
    x = np.zeros((points, 2, 3), np.float32)
    x[: len(bone.positions)] = np.random.default_rng(4).standard_normal((len(bone.positions), 2, 3))
    interpreted = partial(fused_products.nodes_fused, partial(fused.launched, interpret=True))
    launches = jax.jit(interpreted), partial(fused_products.nodes_fused, fused.spread)
    for poisson, kind, error in ((0.3, np.float32, 1e-5), (0.0, np.float64, 1e-12), (0.45, np.float64, 1e-12)):
        with jax.enable_x64(kind is np.float64):
            matrix = jnp.asarray(elasticity.stiffness_matrix(poisson).astype(kind))
            moved = jnp.asarray(x.astype(kind))
            y = [np.asarray(multigrid_products.fine_product(each, moved, matrix)) for each in (alone, beside)]
            given = moved, beside.around, beside.modulus, matrix
            of_kernel, of_list = (launch(*given) for launch in launches)
            unit = jnp.asarray(np.random.default_rng(5).standard_normal((2, 24)).astype(kind))
            f = [np.asarray(multigrid_products.fine_forces(each, unit)) for each in (alone, beside)]
        assert y[1].dtype == of_kernel.dtype == of_list.dtype == kind
        for one, other in (y, f, (y[0], np.asarray(of_kernel)), (y[0], np.asarray(of_list))):
            assert np.abs(one).max() > 0.1
            np.testing.assert_allclose(other[: len(bone.positions)], one[: len(bone.positions)], atol=error)


def test_every_finer_node_is_named_once() -> None:
    bone = mesh(spongy((20, 21, 22), 6, 0.3))
    of = multigrid_setup.structure(bone)
    for step, finer in zip(of.steps, of.cells[:-1], strict=True):
        named = step.points[step.points >= 0]
        np.testing.assert_array_equal(np.sort(named), np.arange(finer.node_count))


def test_struts_that_do_not_touch_share_no_coarse_node() -> None:
    """Two plates one voxel apart lie in the same coarse cells, and must stay strangers on every level."""
    modulus = np.zeros((16, 16, 16), np.float32)
    modulus[:, :, 5] = modulus[:, :, 7] = 1
    of = multigrid_setup.structure(mesh(modulus))
    side = of.mesh.voxels[:, 2] == 5
    for step, cells in zip(of.steps, of.cells[1:], strict=True):
        here, there = np.unique(step.parent[side]), np.unique(step.parent[~side])
        assert not set(cells.nodes[here].ravel()) & set(cells.nodes[there].ravel())
        side = np.isin(np.arange(len(cells.nodes)), here)
    glued = multigrid_setup.structure(mesh(modulus), split=False)
    assert glued.cells[-1].node_count < of.cells[-1].node_count


def test_shapes_are_kept_while_capacity_lasts() -> None:
    modulus = spongy((16, 16, 16), 7)
    first = multigrid_setup.structure(mesh(modulus))
    sizes = multigrid_setup.capacity(first, room=0.05)
    modulus[3:5, 3:5, 3:5] = 0
    second = multigrid_setup.structure(mesh(modulus))
    assert multigrid_setup.capacity(second, sizes) == sizes
    shapes = [
        [leaf.shape for leaf in jax.tree.leaves(multigrid_setup.hierarchy(of, ends_held(of.mesh), 0.3, sizes))]
        for of in (first, second)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_splitting_saves_iterations() -> None:
    """Parallel rods one voxel apart: glued coarse cells take far more steps."""
    modulus = np.zeros((24, 24, 24), np.float32)
    rods = np.arange(24) % 3 < 2
    modulus[:, rods[:, None] & rods] = 1.0
    modulus[[0, -1]] = 1.0
    bone = mesh(modulus)
    fixed = ends_held(bone)
    steps = {}
    for split in (True, False):
        _, tree = built(bone, fixed, split)
        rows = tree.levels[0].smoothing.shape[0]
        load = np.zeros((rows, 1, 3))
        load[: len(bone.positions), 0] = np.where(fixed, 0, np.sin(np.arange(3 * len(fixed))).reshape(-1, 3))
        with jax.enable_x64(True):
            outcome = multigrid.solve(
                tree, jnp.asarray(elasticity.stiffness_matrix(0.3)), jnp.zeros((rows, 1, 3)), jnp.asarray(load),
                jnp.asarray([np.linalg.norm(load)]), jnp.float64(1e-7), jnp.int32(400),
            )  # fmt: skip
        steps[split] = int(outcome.iterations)
    assert steps[True] <= 30
    assert steps[False] >= 1.5 * steps[True]
