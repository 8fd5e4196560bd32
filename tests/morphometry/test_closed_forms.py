"""Gaussian random fields and one structure at many voxel sizes: bias of surface, topology and thickness."""

from functools import lru_cache

import numpy as np
import pytest
from reference.fields import euler_density, gaussian_field, level, surface_density

from microct import Volume, measure
from microct.kernels import stencil, surface, thickness, topology


def periodic_histogram(bone):
    return stencil.configuration_histogram(np.pad(bone, ((0, 1),) * 3, mode="wrap"))


@pytest.mark.parametrize("fraction", [0.2, 0.5])
@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_surface_of_gaussian_fields(sigma, fraction):
    """Tb.Th is 4.9 to 10 voxels here. The field's own chance is about 1 % of the surface in 3 x 96^3 voxels."""
    nu = level(fraction)
    densities = [
        surface.crofton_surface(periodic_histogram(gaussian_field(96, sigma, seed) > nu), (1, 1, 1)) / 96**3
        for seed in range(3)
    ]
    assert np.mean(densities) == pytest.approx(surface_density(sigma, nu), rel=0.035)


@pytest.mark.parametrize("fraction", [0.3, 0.5])
def test_euler_density_of_gaussian_fields(fraction):
    nu = level(fraction)
    densities = [
        topology.euler_characteristic(periodic_histogram(gaussian_field(96, 2.5, seed) > nu)) / 96**3
        for seed in range(6)
    ]
    assert np.mean(densities) == pytest.approx(euler_density(2.5, nu), rel=0.12)


@pytest.mark.parametrize(("edge", "bias"), [(32, 0.03), (64, 0.015)])
def test_blocks_measure_what_the_whole_measures(edge, bias):
    """The parts of a periodic field, cut apart, have its surface and its Euler number between them.

    Euler numbers add up exactly; the surface is some 0.7 voxel / edge too low, for what is cut is continued straight.
    """
    bone = gaussian_field(128, 2.5, 4) > level(0.25)
    starts = range(0, 128, edge)
    whole = periodic_histogram(bone)
    parts = sum(
        stencil.region_histogram(bone[z : z + edge, y : y + edge, x : x + edge])
        for z in starts
        for y in starts
        for x in starts
    )
    assert parts.sum() == bone.size
    ratio = surface.crofton_surface(parts, (1, 1, 1)) / surface.crofton_surface(whole, (1, 1, 1))
    assert ratio == pytest.approx(1, abs=bias)
    euler = topology.euler_characteristic(parts) / topology.euler_characteristic(whole)
    assert euler == pytest.approx(1, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "bias"), [(6, 0.06), (5, 0.03), (4, 0.03), (3, 0.03), (2, 0.03)])
def test_thickness_of_one_structure_at_many_voxel_sizes(step, bias):
    """Tb.Th is within 6 % of its value on a fine grid at 3.6 voxels, and within 3 % at 4.4, 5.5, 7.3 and 11 voxels."""
    rng = np.random.default_rng(step)
    ratios = []
    for seed in range(2):
        fine = gaussian_field(144, 9.0, seed) > level(0.2)
        for _ in range(3):
            z, y, x = rng.integers(0, step, 3)
            ratios.append(step * mean_thickness(fine[z::step, y::step, x::step]) / mean_thickness(fine))
    assert np.mean(ratios) == pytest.approx(1, abs=bias)


@lru_cache(maxsize=4)
def mean_thickness_of(shape, packed):
    bone = np.unpackbits(np.frombuffer(packed, np.uint8), count=int(np.prod(shape))).astype(bool).reshape(shape)
    return float(np.mean(2 * np.sqrt(thickness.local_squared_radius(bone)[bone])))


def mean_thickness(bone):
    """Tb.Th in voxels; the same volume is measured once."""
    return mean_thickness_of(bone.shape, np.packbits(bone).tobytes())


@pytest.mark.slow
def test_number_and_separation_of_one_structure_at_three_voxel_sizes():
    fine = gaussian_field(120, 6.0, 3) > level(0.25)
    finest = measure(Volume.from_array(fine, 10.0))
    for step in (2, 3):
        coarse = measure(Volume.from_array(fine[::step, ::step, ::step], 10.0 * step))
        for symbol in ("Tb.Sp", "Tb.N"):
            assert coarse[symbol].value == pytest.approx(finest[symbol].value, rel=0.06), (symbol, step)
