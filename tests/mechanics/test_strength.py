"""Strength: refusals, defined results, failure, load share, warm starts, the command."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from microct import Volume, strength
from microct.cli import main
from microct.kernels.elasticity_mesh import mesh
from microct.mechanics import equilibrium, loading
from microct.mechanics.daily_load import LOADS, load_to_strength
from microct.mechanics.equilibrium import Equilibrium, loaded_mesh
from microct.mechanics.failure import FailureCriterion, pistoia
from microct.mechanics.material import modulus_field
from microct.status import InputError, MicroctError, StudyError


def volume(array: np.ndarray, size: float | tuple[float, float, float] = 50.0) -> Volume:
    return Volume.from_array(array, size)


def columns(shape: tuple[int, int, int] = (10, 8, 8)) -> np.ndarray:
    bone = np.zeros(shape, bool)
    bone[:, 1:4, 1:4] = True
    bone[:, 5:7, 5:7] = True
    return bone


def test_disconnected_bone_is_refused() -> None:
    bone = columns()
    bone[5] = False
    with pytest.raises(InputError, match=r"disconnected.*upper z face"):
        strength(volume(bone))


def test_no_bone_on_a_loaded_face_is_refused() -> None:
    bone = columns()
    bone[0] = False
    with pytest.raises(InputError, match=r"lower z face.*crop"):
        strength(volume(bone))
    with pytest.raises(InputError, match="no bone in the volume"):
        strength(volume(np.zeros((4, 4, 4), bool)))


def test_anisotropic_voxels_are_refused() -> None:
    with pytest.raises(InputError, match="not cubes"):
        strength(volume(columns(), (50.0, 50.0, 60.0)))


def test_too_large_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as gpu:  # the device's memory is asked for apart from the host's
        gpu.setattr(equilibrium.jax, "default_backend", lambda: "gpu")
        full = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 80 * 2**30, "bytes_in_use": 79 * 2**30})
        gpu.setattr(equilibrium.jax, "devices", lambda: [full])
        with pytest.raises(InputError, match=r"need about .* GiB, its GPU has 1\.0 GiB free"):
            equilibrium.refuse_too_large(10_000_000, 1)
        equilibrium.refuse_too_large(100_000, 1)
    monkeypatch.setattr(equilibrium, "BYTES_PER_DOF", 1e12)
    with pytest.raises(InputError, match=r"GiB free; crop"):
        strength(volume(columns()))


def test_grey_values_are_refused() -> None:
    with pytest.raises(InputError, match="segment the scan"):
        strength(volume(np.arange(64, dtype=np.uint8).reshape(4, 4, 4)))


@pytest.mark.parametrize(
    ("setting", "value"), [("poisson_ratio", 0.5), ("strain", 0.0), ("tolerance", 2.0), ("youngs_modulus_mpa", -1.0),
                           ("axis", "w"), ("ends", "glued"), ("criterion", "unknown")]
)  # fmt: skip
def test_settings_out_of_range_are_refused(setting: str, value: object) -> None:
    with pytest.raises(StudyError, match=setting if setting != "ends" else "clamped"):
        strength(volume(columns()), **{setting: value})  # type: ignore[arg-type]


def test_a_solver_that_is_stopped_says_so() -> None:
    bone = mesh(columns().astype(np.float32))
    solver = Equilibrium(tolerance=1e-12, limit=1)
    solution = solver.solve(bone, loading.shear(bone))
    assert not solution.converged
    assert "not converged: after 1 steps" in solution.status
    with pytest.raises(MicroctError, match="not converged"):
        equilibrium.require(solution)


def test_single_voxel_is_bone_too() -> None:
    found = strength(volume(np.ones((1, 1, 1), bool)), 1000.0, ends="frictionless")
    assert found.apparent_modulus_mpa == pytest.approx(1000.0, rel=1e-6)


def test_loose_bone_is_left_out_and_counted() -> None:
    bone = columns()
    whole = strength(volume(bone), ends="frictionless")
    bone[4:6, 5, 1] = True
    found = strength(volume(bone), ends="frictionless")
    assert found.left_out_voxels == 2
    assert found.stiffness_n_per_mm == pytest.approx(whole.stiffness_n_per_mm, rel=1e-9)
    # two columns side by side each carry their part: both count, though neither touches the other
    assert whole.apparent_modulus_mpa == pytest.approx(10_000 * 13 / 64, rel=1e-5)


def test_load_share_of_two_columns() -> None:
    bone = columns()
    found = strength(volume(bone), ends="frictionless")
    cortex = np.zeros(bone.shape, bool)
    cortex[:, :4] = True
    np.testing.assert_allclose(found.load_share(cortex), 9 / 13, rtol=1e-4)


def test_partial_voxels_have_their_share() -> None:
    array = np.full((6, 4, 4), 255, np.uint8)
    array[:, :, 2:] = 153
    scan = replace(volume(array), kind="fraction")
    assert strength(scan, 1000.0, ends="frictionless", partial_voxels=True).apparent_modulus_mpa == pytest.approx(
        1000 * (1 + 0.6) / 2, rel=1e-4
    )
    assert modulus_field(scan, 1000.0).min() == 1000.0
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[1], labels[2] = 100, 127
    assert np.count_nonzero(modulus_field(volume(labels), 1.0)) == 18


@pytest.mark.slow
def test_reaction_of_nodes_is_that_of_energy() -> None:
    rng = np.random.default_rng(1)
    bone = rng.random((14, 12, 12)) < 0.7
    found = strength(volume(bone), tolerance=1e-9)
    upper = found.solution.mesh.positions[:, 0] == 14
    assert found.solution.force[upper, 0, 0].sum() * 0.05**2 == pytest.approx(found.reaction_force_n, rel=1e-6)
    np.testing.assert_allclose(found.solution.force[:, 0].sum(axis=0), 0, atol=1e-5)
    tensile = strength(volume(bone), strain=0.01, tolerance=1e-9)
    assert tensile.reaction_force_n == pytest.approx(-found.reaction_force_n, rel=1e-9)


@pytest.mark.slow
def test_stiffness_does_not_depend_on_the_axis_name() -> None:
    rng = np.random.default_rng(2)
    bone = rng.random((10, 11, 12)) < 0.75
    along_z = strength(volume(bone), tolerance=1e-8)
    along_x = strength(volume(np.ascontiguousarray(bone.transpose(2, 1, 0))), axis="x", tolerance=1e-8)
    assert along_x.stiffness_n_per_mm == pytest.approx(along_z.stiffness_n_per_mm, rel=1e-8)
    assert along_x.failure_load_n == pytest.approx(along_z.failure_load_n, rel=1e-5)


@pytest.mark.slow
def test_warm_start_saves_steps_and_changes_no_answer() -> None:
    rng = np.random.default_rng(3)
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal((28, 28, 28)), 2)
    bone = noise > np.quantile(noise, 0.6)
    first = strength(volume(bone))
    changed = bone.copy()
    surface = np.argwhere(bone)[::400]
    changed[tuple(surface.T)] = False
    cold = strength(volume(changed))
    warm = strength(volume(changed), start=first)
    assert warm.iterations < cold.iterations
    assert warm.stiffness_n_per_mm == pytest.approx(cold.stiffness_n_per_mm, rel=1e-6)
    again = strength(volume(changed), start=cold)
    assert again.iterations == 0


def test_same_shapes_compile_once() -> None:
    from microct.kernels import multigrid

    bone = np.ones((14, 14, 14), np.float32)
    bone[4:9, 4:9, 3:12] = 0
    solver = Equilibrium(tolerance=1e-5, room=0.05)
    sizes = []
    for k in range(3):
        bone[10, 10, k] = 0
        found, _ = loaded_mesh(bone, 0)
        solver.solve(found, loading.compression(found))
        sizes.append(multigrid.solve._cache_size())
    assert sizes[0] == sizes[2]


def test_pistoia_scales_to_the_critical_volume() -> None:
    density = np.linspace(0, 1, 1001) ** 2 * 0.5 * 1000 * 0.02**2  # effective strains from 0 to 2 %
    found = pistoia(density, np.full(1001, 1000.0), -50.0, FailureCriterion(0.007, 10.0, "test"))
    assert found.strain_at_critical_volume == pytest.approx(0.018, rel=1e-6)
    assert found.load_n == pytest.approx(-50 * 0.007 / 0.018, rel=1e-6)


def test_brittle_bar_breaks_at_its_yield_strain() -> None:
    """A solid bar bears until its tissue yields everywhere at once, then falls."""
    found = strength(volume(np.ones((6, 3, 3), bool)), 1000.0, 0.3, ends="frictionless", brittle=True)
    assert found.brittle is not None
    # compression of 0.83 %, or sideways stretch of 0.41 % / 0.3: compression comes first
    assert "failed" in found.brittle.status
    assert np.abs(found.brittle.force_n[0]) <= 1000 * 0.0083 * 0.15**2 * 1.001
    assert found.brittle.broken[-1] == 1.0


@pytest.mark.slow
def test_brittle_course_of_a_sponge() -> None:
    rng = np.random.default_rng(4)
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal((20, 20, 20)), 1.5)
    found = strength(volume(noise > np.quantile(noise, 0.5)), 10_000.0, tolerance=1e-5, brittle=True)
    course = found.brittle
    assert course is not None
    assert (np.diff(course.broken) >= 0).all()
    assert abs(course.failure_load_n) == np.abs(course.force_n).max()
    assert np.abs(course.force_n[1]) < np.abs(course.force_n[0]) * course.strain[1] / course.strain[0] * 1.0001


def test_daily_loads() -> None:
    # sideways fall, 60 kg and 1.6 m: about 4.9 kN by the formula
    assert LOADS["hip"].force_n(60, 1.6) == pytest.approx(4886, rel=0.01)
    assert load_to_strength(-2000.0, "hip", 60, 1.6) == pytest.approx(4886 / 2000, rel=0.01)
    for load in LOADS.values():
        assert 500 < load.force_n(65, 1.65) < 10_000
        assert load.force_n(90, 1.65) > load.force_n(60, 1.65)
    with pytest.raises(StudyError, match="hip, spine, wrist"):
        load_to_strength(1.0, "knee", 60, 1.6)


def test_command_prints_strength(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = tmp_path / "bar.npy"
    np.save(scan, np.pad(np.ones((6, 4, 4), np.uint8), ((0, 0), (2, 2), (2, 2))))
    out = tmp_path / "sed.npy"
    code = main(
        ["strength", str(scan), "--voxel-size-um", "50", "--threshold", "1", "--ends", "frictionless", "--strain",
         "-0.005", "--out", str(out)]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert code == 0
    assert "2500 MPa" in printed
    assert "converged" in printed
    assert np.load(out).shape == (6, 8, 8)
    assert main(["strength", str(scan), "--voxel-size-um", "50", "--out", "sed.txt"]) == 64


def test_an_empty_border_is_cut_off_where_that_is_asked_for(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = tmp_path / "bar.npy"
    np.save(scan, np.pad(np.ones((6, 4, 4), np.uint8), 2))
    asked = ["strength", str(scan), "--voxel-size-um", "50", "--threshold", "1", "--ends", "frictionless"]
    assert main(asked) == 65
    assert "crop_empty_border" in capsys.readouterr().err
    assert main([*asked, "--crop-empty-border"]) == 0
    assert "10000 MPa" in capsys.readouterr().out
