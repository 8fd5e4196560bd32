"""Virtual scanners: mineral is conserved, a known cube gives its analytic densities, noise and blur are as asked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microct.imaging.phantoms import slab, sphere
from microct.imaging.scanners import SCANNERS, Scanner, density, project, scan_as, volumetric_density
from microct.status import InputError, StudyError
from microct.volume import Volume


def cube(edge: int = 20, around: int = 20, voxel_um: float = 20.0) -> Volume:
    values = np.zeros((edge + 2 * around,) * 3, np.uint8)
    values[around:-around, around:-around, around:-around] = 255
    return Volume.from_array(values, voxel_um)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cube_has_its_analytic_areal_density(axis: int) -> None:
    """A solid cube of 0.4 mm and 1000 mgHA/cm3 is 0.04 g/cm2 in any direction."""
    seen = project(density(cube(), 1000.0), axis, edge_g_cm2=0.0)
    assert seen.abmd == pytest.approx(0.04, rel=1e-6)
    assert seen.area_cm2 == pytest.approx(0.04**2)
    assert seen.content_g == pytest.approx(0.04**3)
    whole = project(density(cube(), 1000.0), axis)
    assert whole.content_g == pytest.approx(seen.content_g)
    assert whole.abmd == pytest.approx(0.04 / 9)


def test_projection_conserves_mineral_on_voxels_that_are_no_cubes() -> None:
    random = np.random.default_rng(1)
    bone = Volume.from_array(random.integers(0, 256, (9, 10, 11)).astype(np.uint8), (10.0, 20.0, 30.0))
    tissue = random.uniform(500, 1200, bone.shape)
    mineral = density(bone, tissue)
    content = float((bone.values / 255.0 * tissue).sum()) * math.prod(bone.spacing_mm) / 1e6
    for axis in range(3):
        assert project(mineral, axis).content_g == pytest.approx(content, rel=1e-6)
    assert volumetric_density(mineral) == pytest.approx(1e6 * content / math.prod(bone.size_mm), rel=1e-6)


@pytest.mark.parametrize("fwhm", [0.0, 150.0])
@pytest.mark.parametrize("voxel", [40.0, 50.0, 64.0])
def test_blur_and_larger_voxels_conserve_mineral(voxel: float, fwhm: float) -> None:
    bone = Volume.from_array(np.random.default_rng(2).integers(0, 256, (32, 32, 32)).astype(np.uint8), 20.0)
    mineral = density(bone)
    seen = scan_as(mineral, Scanner(voxel, fwhm))
    content = [float(v.values.sum(dtype=np.float64)) * math.prod(v.spacing_mm) for v in (mineral, seen)]
    if 640 % voxel == 0:
        assert content[1] == pytest.approx(content[0], rel=1e-5)
    else:  # what fills no whole voxel at the faces is cut off
        assert seen.shape == (12, 12, 12)
        assert content[1] == pytest.approx(content[0] * (600 / 640) ** 3, rel=0.02)
    middle = np.array(seen.origin_mm) + 0.5 * (np.array(seen.shape) - 1) * seen.spacing_mm
    assert middle == pytest.approx(0.5 * (np.array(bone.shape) - 1) * bone.spacing_mm, abs=1e-9)


def test_noise_is_as_asked_and_repeats_with_its_seed() -> None:
    empty = density(Volume.from_array(np.zeros((96, 96, 96), np.uint8), 20.0))
    noisy = scan_as(empty, Scanner(40.0, 0.0, 55.0), seed=4).values
    assert float(noisy.std()) == pytest.approx(55.0, rel=0.02)
    assert abs(float(noisy.mean())) < 0.5
    assert np.array_equal(noisy, scan_as(empty, Scanner(40.0, 0.0, 55.0), seed=4).values)
    assert not np.array_equal(noisy, scan_as(empty, Scanner(40.0, 0.0, 55.0), seed=5).values)


def test_the_edge_of_a_plate_spreads_as_the_point_spread_says() -> None:
    """The blurred profile of a thin plate is the Gaussian itself: its width at half maximum is the one asked for."""
    thin = density(slab(0.02, 1.6, 10.0))
    profile = scan_as(thin, Scanner(10.0, 200.0)).values[:, 80, 80]
    above = np.flatnonzero(profile > 0.5 * profile.max())
    assert 10.0 * len(above) == pytest.approx(200.0, abs=12.0)


@pytest.mark.parametrize("name", list(SCANNERS))
def test_named_scanners_resolve_what_they_are_said_to(name: str) -> None:
    """10 % of the modulation transfer of blur and voxel together at 95 um (61 um voxels) and 142 um (82 um)."""
    scanner, resolution = SCANNERS[name], {"hrpqct-61": 95.2, "hrpqct-82": 142.2}[name]
    frequency = 1.0 / (2.0 * resolution)
    blur = math.exp(-2.0 * (math.pi * frequency * scanner.fwhm_um / 2.35482) ** 2)
    assert blur * np.sinc(frequency * scanner.voxel_um) == pytest.approx(0.1, abs=0.02)


def test_a_thin_plate_looks_faint_and_a_thick_one_keeps_its_density() -> None:
    seen = [scan_as(density(slab(t, 1.2, 20.0)), "hrpqct-61", seed=1).values.max(axis=0).mean() for t in (0.1, 0.8)]
    assert seen[0] < 0.75 * 1200 < 1150 < seen[1]


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_a_seed_is_a_whole_number_of_zero_or_more(seed: object) -> None:
    with pytest.raises(StudyError, match="seed: expected a whole number of 0 or more"):
        scan_as(density(sphere(0.2, 0.6, 20.0)), "hrpqct-61", seed)  # type: ignore[arg-type]
    seen = [scan_as(density(sphere(0.2, 0.6, 20.0)), "hrpqct-61", kind(3)).values for kind in (int, np.int64)]
    np.testing.assert_array_equal(*seen)


def test_refusals() -> None:
    mineral = density(sphere(0.2, 0.6, 20.0))
    with pytest.raises(StudyError, match="hrpqct-61"):
        scan_as(mineral, "hrpqct")
    with pytest.raises(InputError, match="coarser"):
        scan_as(mineral, Scanner(10.0))
    with pytest.raises(InputError, match="no whole voxel"):
        scan_as(mineral, Scanner(700.0))
    with pytest.raises(StudyError, match="noise"):
        Scanner(60.0, 100.0, -1.0)
    with pytest.raises(InputError, match="800 to 1300"):
        density(sphere(0.2, 0.6, 20.0), -5.0)
    with pytest.raises(StudyError, match="axis"):
        project(mineral, 3)


def test_a_mask_of_zeros_and_ones_has_the_density_of_bone() -> None:
    bone = np.random.default_rng(4).random((6, 6, 6)) < 0.5
    each = [density(Volume.from_array(mask, 40.0)).values for mask in (bone, bone * np.uint8(255), bone * np.uint8(1))]
    for other in each[1:]:
        np.testing.assert_array_equal(other, each[0])
    assert each[0].max() == pytest.approx(1200.0)
