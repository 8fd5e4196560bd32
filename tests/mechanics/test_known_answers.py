"""Mechanics against answers that are known: patch test, solid cube, laminate, beam, assembled reference."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from microct import Volume, stiffness_tensor, strength
from microct.kernels.elasticity_mesh import mesh
from microct.mechanics import loading
from microct.mechanics.equilibrium import Equilibrium
from microct.status import InputError, MicroctError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
import elasticity as reference


def spongy(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.75, rng.uniform(500, 2000, shape), 0).astype(np.float32)


@pytest.mark.parametrize("load", ["compression", "shear", "bending", "torsion"])
def test_solution_agrees_with_assembled_reference(load: str) -> None:
    modulus = spongy((8, 6, 7), 1)
    modulus[[0, -1]] = 1000.0  # plates, so that every piece that could float is small
    modulus[:, :2] = 1000.0
    bone = mesh(modulus)
    case = getattr(loading, load)(bone)
    ours = Equilibrium(tolerance=1e-10).solve(bone, case)
    fixed = case.fixed
    displacement, force = reference.solved(modulus, 0.3, fixed, case.displacement[:, 0])
    scale = np.abs(displacement).max()
    assert ours.converged
    np.testing.assert_allclose(ours.displacement[:, 0], displacement, atol=2e-7 * scale)
    np.testing.assert_allclose(ours.force[:, 0], force, atol=1e-6 * np.abs(force).max())


def test_patch_passes_a_linear_field() -> None:
    """Uniform strain on all faces of one material stays uniform inside, in any shape of block."""
    bone = mesh(np.full((9, 7, 5), 1000.0, np.float32))
    case = loading.kinematic(bone)
    solution = Equilibrium(tolerance=1e-11).solve(bone, case)
    np.testing.assert_allclose(solution.displacement, case_field(bone), atol=1e-9)
    np.testing.assert_allclose(solution.strain, np.broadcast_to(np.eye(6), solution.strain.shape), atol=1e-7)


def case_field(bone: mesh) -> np.ndarray:
    return np.einsum("sij,nj->nsi", loading.UNIT_STRAINS, bone.positions.astype(float))


def test_solid_cube_returns_its_modulus_and_poisson_ratio() -> None:
    cube = Volume.from_array(np.ones((8, 8, 8), bool), 50.0)
    found = strength(cube, 12_345.0, 0.25, ends="frictionless", tolerance=1e-9)
    assert found.apparent_modulus_mpa == pytest.approx(12_345.0, rel=1e-9)
    assert found.stiffness_n_per_mm == pytest.approx(12_345.0 * 0.4, rel=1e-9)
    assert found.reaction_force_n == pytest.approx(-12_345.0 * 0.01 * 0.16, rel=1e-9)
    np.testing.assert_allclose(found.solution.strain[:, 0, 1] / found.solution.strain[:, 0, 0], -0.25, rtol=1e-5)
    np.testing.assert_allclose(found.strain_energy_density_mpa, 0.5 * 12_345.0 * 1e-4, rtol=1e-5)
    # every voxel at the same effective strain: the criterion asks for 0.7 % where 1 % was applied
    assert found.failure_load_n == pytest.approx(0.7 * found.reaction_force_n, rel=1e-5)


@pytest.mark.parametrize("boundary", ["kinematic", "periodic"])
def test_solid_block_has_an_isotropic_tensor(boundary: str) -> None:
    block = Volume.from_array(np.ones((6, 7, 5), bool), 30.0)
    found = stiffness_tensor(block, 1000.0, 0.3, boundary)
    constants = found.engineering_constants
    for name in ("E1", "E2", "E3"):
        assert constants[name] == pytest.approx(1000.0, rel=1e-6)
    assert constants["G12"] == pytest.approx(1000.0 / 2.6, rel=1e-6)
    assert constants["nu23"] == pytest.approx(0.3, rel=1e-6)


def test_laminate_lies_at_its_bounds() -> None:
    """Layers of two moduli: periodic stiffness is the mean along them and the harmonic mean across (nu = 0)."""
    modulus = np.ones((8, 8, 8), np.float32)
    modulus[:, :, ::2] = 9.0
    bone = mesh(modulus, periodic=True)
    energy = Equilibrium(0.0, 1e-9).solve(bone, loading.periodic(bone)).energy / 512
    assert energy[0, 0] == pytest.approx(5.0, rel=1e-8)  # along
    assert energy[2, 2] == pytest.approx(2 / (1 / 9 + 1 / 1), rel=1e-8)  # across
    assert energy[4, 4] == pytest.approx(0.5 * 2 / (1 / 9 + 1 / 1), rel=1e-8)  # shear across


@pytest.mark.slow
def test_plates_of_marrow_give_reuss_voigt_bounds() -> None:
    rng = np.random.default_rng(2)
    block = Volume.from_array(rng.random((12, 12, 12)) < 0.8, 30.0)
    upper = stiffness_tensor(block, 1000.0).tensor_mpa
    lower = stiffness_tensor(block, 1000.0, boundary="periodic").tensor_mpa
    share = np.mean(block.values)
    solid = 1000.0 * np.array(reference_isotropic(0.3))
    assert np.linalg.eigvalsh(share * solid - upper).min() > 0  # Voigt's bound
    assert np.linalg.eigvalsh(upper - lower).min() > 0  # uniform strain on the faces is stiffer than periodic
    assert np.linalg.eigvalsh(lower).min() > 0


def reference_isotropic(nu: float) -> np.ndarray:
    compliance = np.full((3, 3), -nu) + (1 + nu) * np.eye(3)
    out = np.zeros((6, 6))
    out[:3, :3] = np.linalg.inv(compliance)
    out[3:, 3:] = np.eye(3) / (2 * (1 + nu))
    return out


def test_beam_bends_within_the_error_of_the_mesh() -> None:
    """Pure bending of a slender beam, 4 voxels high: the trilinear cube is too stiff by about 1 / layers^2."""
    layers, length = 4, 32
    bone = mesh(np.full((length, layers, 2), 1000.0, np.float32))
    case = loading.bending(bone, "z", "x", 0.01)
    # the ends of a slender beam should be free to widen
    low = bone.positions[:, 0] == 0
    fixed = case.fixed.copy()
    fixed[low, 1:] = False
    fixed[np.flatnonzero(low)[0]] = True
    fixed[np.flatnonzero(low)[1], 1] = True
    solution = Equilibrium(0.0, 1e-8).solve(bone, loading.LoadCase("bending", fixed, case.displacement))
    moment = solution.energy[0, 0] / 0.01
    exact = 1000.0 * 2 * layers**3 / 12 * 0.01 / length
    assert 1.0 < moment / exact < 1.0 + 2.0 / layers**2


def test_torsion_of_a_shaft() -> None:
    """A square shaft with plane ends: torque G 0.1406 a^4 angle / length, a little more since they cannot warp."""
    a, length = 8, 32
    bone = mesh(np.full((length, a, a), 1000.0, np.float32))
    solution = Equilibrium(0.3, 1e-8).solve(bone, loading.torsion(bone, "z", 0.01))
    torque = solution.energy[0, 0] / 0.01
    exact = 1000.0 / 2.6 * 0.1406 * a**4 * 0.01 / length
    assert 1.0 < torque / exact < 1.10


def test_turned_material_turns_the_axes() -> None:
    """A tensor turned by a known rotation gives that rotation back as its orthotropic axes."""
    from microct.mechanics.stiffness import orthotropic_axes, rotated

    tensor = np.diag([300.0, 200.0, 100.0, 40.0, 50.0, 60.0])
    tensor[0, 1] = tensor[1, 0] = 60
    tensor[0, 2] = tensor[2, 0] = 50
    tensor[1, 2] = tensor[2, 1] = 40
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    axes = orthotropic_axes(rotated(tensor, turn))
    np.testing.assert_allclose(np.abs(axes @ turn), np.eye(3), atol=1e-4)
    np.testing.assert_allclose(rotated(rotated(tensor, turn), axes), tensor, atol=1e-2)


def test_given_forces_and_node_sets() -> None:
    """A force on the upper face of a held bar stretches it by F L / (E A)."""
    bone = mesh(np.full((10, 3, 3), 1000.0, np.float32))
    low, high = loading.end_nodes(bone, 0)
    fixed = np.zeros((len(low), 3), bool)
    fixed[low, 0] = True
    fixed[np.flatnonzero(low)[0]] = True
    fixed[np.flatnonzero(low)[1], 1] = True
    force = np.zeros((len(low), 3))
    corners = np.array([1, 2, 2, 1])
    force[high, 0] = (corners[:, None] * corners).ravel() / 36 * 9.0  # uniform traction of 1
    case = loading.node_sets(bone, fixed, np.zeros_like(force), force)
    solution = Equilibrium(0.3, 1e-10).solve(bone, case)
    np.testing.assert_allclose(solution.displacement[high, 0, 0], 10 / 1000, rtol=1e-7)


def test_a_modulus_for_each_voxel_is_that_of_its_voxel() -> None:
    """Two layers in a row: compliances add; one number for all voxels is that number."""
    block = Volume.from_array(np.ones((6, 3, 3), bool), 50.0)
    layers = np.full(block.shape, 1000.0, np.float32)
    layers[3:] = 4000.0
    found = strength(block, layers, 0.0, ends="frictionless")
    assert found.apparent_modulus_mpa == pytest.approx(2.0 / (1 / 1000.0 + 1 / 4000.0), rel=1e-5)
    assert found.youngs_modulus_mpa == pytest.approx(2500.0)
    same = strength(block, np.full(block.shape, 1000.0), 0.3)
    assert same.apparent_modulus_mpa == strength(block, 1000.0, 0.3).apparent_modulus_mpa
    for wrong, words in ((layers[1:], r"each of \(6, 3, 3\)"), (layers * 0, "youngs_modulus_mpa")):
        with pytest.raises(MicroctError, match=words):
            strength(block, wrong)


def test_a_bone_fraction_that_its_file_does_not_name_is_not_taken_for_labels() -> None:
    steps = (np.arange(4 * 4 * 16) % 16 * 17).astype(np.uint8).reshape(4, 4, 16)
    for partial in (False, True):
        with pytest.raises(InputError, match="bone fraction"):
            strength(Volume.from_array(steps, 50.0), partial_voxels=partial)
    labels = Volume.from_array(np.where(steps > 100, 127, 30).astype(np.uint8), 50.0)
    assert strength(labels).left_out_voxels == 0
