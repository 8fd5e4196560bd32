"""Phantoms against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microct.imaging import coverage, phantoms
from microct.status import StudyError, VoxelSizeError


def bone_volume(volume: phantoms.Volume) -> float:
    return float(volume.values.astype(float).sum()) / 255.0 * math.prod(volume.spacing_mm)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("tilt", [0.0, 12.0, 30.0, 40.0])
@pytest.mark.parametrize("voxel", [12.5, 25.0, 50.0])
def test_slab(axis: int, tilt: float, voxel: float) -> None:
    volume = phantoms.slab(0.13, 1.5, voxel, axis, tilt)
    expected = 0.13 / math.cos(math.radians(tilt)) * 1.5**2
    assert bone_volume(volume) == pytest.approx(expected, rel=2e-3)


def test_partial_voxels_of_a_tilted_slab_are_exact() -> None:
    coarse = phantoms.slab(0.13, 0.8, 50, tilt_deg=20).values / 255.0
    fine = phantoms.slab(0.13, 0.8, 5, tilt_deg=20).values / 255.0
    means = fine.reshape(16, 10, 16, 10, 16, 10).mean(axis=(1, 3, 5))
    assert np.abs(coarse - means).max() < 0.004


@pytest.mark.parametrize("normal", [(1, 0, 0), (0.6, 0.8, 0), (0.48, 0.6, 0.64), (1e-9, 0, 1)])
def test_plane_coverage_by_counting(normal: tuple[float, float, float]) -> None:
    ticks = (np.arange(60) + 0.5) / 60 - 0.5
    height = sum(n * c for n, c in zip(normal, np.meshgrid(ticks, ticks, ticks, indexing="ij"), strict=True))
    distances = np.array([-0.9, -0.4, -0.1, 0.0, 0.2, 0.7, 0.9])
    counted = [(height < d).mean() for d in distances]
    assert coverage.plane_coverage(distances, normal) == pytest.approx(counted, abs=0.02)


def test_sphere() -> None:
    for voxel in (10.0, 20.0, 40.0):
        volume = phantoms.sphere(0.3, 0.8, voxel, center_mm=(0.013, 0.007, -0.004))
        assert bone_volume(volume) == pytest.approx(4 / 3 * math.pi * 0.3**3, rel=2e-3)


@pytest.mark.parametrize("tilt", [0.0, 25.0])
def test_rod(tilt: float) -> None:
    volume = phantoms.rod(0.2, 1.0, 20, axis=1, tilt_deg=tilt)
    assert bone_volume(volume) == pytest.approx(math.pi * 0.01 / math.cos(math.radians(tilt)), rel=3e-3)


def test_plates_and_lattice() -> None:
    assert phantoms.plates(0.1, 0.5, 2.0, 20).values.mean() / 255 == pytest.approx(0.2, rel=2e-3)
    lattice = phantoms.rod_lattice(0.1, 0.5, 2.0, 20).values.mean() / 255
    radius, cell = 0.05, 0.5
    # three rods a cell less their overlap: union of three crossing cylinders, by inclusion and exclusion
    union = 3 * math.pi * radius**2 * cell - 3 * 16 / 3 * radius**3 + 8 * (2 - math.sqrt(2)) * radius**3
    assert lattice == pytest.approx(union / cell**3, rel=5e-3)


def test_gaussian_random_field_is_the_same_bone_at_any_voxel_size() -> None:
    fine = phantoms.gaussian_random_field(0.3, 0.8, 1.2, 20, seed=5, waves=48)
    coarse = phantoms.gaussian_random_field(0.3, 0.8, 1.2, 40, seed=5, waves=48)
    means = (fine.values / 255.0).reshape(30, 2, 30, 2, 30, 2).mean(axis=(1, 3, 5))
    assert np.abs(coarse.values / 255.0 - means).max() < 0.15  # the surface bends within a voxel of 40 um
    assert np.abs(coarse.values / 255.0 - means).mean() < 0.002
    other = phantoms.gaussian_random_field(0.3, 0.8, 1.2, 40, seed=6, waves=48)
    assert not np.array_equal(other.values, coarse.values)


def test_gaussian_random_field_keeps_its_formulas() -> None:
    from skimage.measure import marching_cubes, mesh_surface_area

    volumes = [phantoms.gaussian_random_field(0.3, 0.4, 1.2, 40, seed=seed, waves=64) for seed in range(12)]
    fractions = [volume.values.mean() / 255 for volume in volumes]
    assert np.mean(fractions) == pytest.approx(0.3, abs=0.015)
    areas = [
        mesh_surface_area(*marching_cubes(v.values.astype(float), 127.5, spacing=(0.04,) * 3)[:2]) for v in volumes
    ]
    level = 0.5244  # a standard normal exceeds it with probability 0.3
    block = 1.16**3  # marching cubes runs from center to center
    assert np.mean(areas) / block == pytest.approx(4 / math.sqrt(3) / 0.4 * math.exp(-(level**2) / 2), rel=0.05)


def test_the_block_is_centered() -> None:
    volume = phantoms.sphere(0.2, (0.6, 0.8, 1.0), 20)
    assert volume.shape == (30, 40, 50)
    assert volume.origin_mm == pytest.approx((-0.29, -0.39, -0.49))


def test_refusals() -> None:
    with pytest.raises(StudyError, match="axis"):
        phantoms.slab(0.1, axis=3)
    with pytest.raises(StudyError, match="size_mm"):
        phantoms.sphere(0.1, 0.01, 20)
    with pytest.raises(VoxelSizeError):
        phantoms.sphere(0.1, 1.0, -20)
    with pytest.raises(StudyError, match="bone_volume_fraction"):
        phantoms.gaussian_random_field(1.5)
