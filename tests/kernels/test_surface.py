"""Crofton surface on shapes of known area."""

import numpy as np
import pytest

from microct.kernels import stencil, surface


def ball(radius, center, shape):
    grid = np.indices(shape, float)
    return sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)) <= radius**2


def test_cubic_weights_are_the_published_ones():
    # Ohser, Muecklich 2000, table 4.1: 0.045778, 0.036981, 0.035196 for each of two opposite directions
    lengths = np.abs(surface.DIRECTIONS).sum(axis=1)
    weights = surface.direction_weights((1.0, 1.0, 1.0))
    for length, weight in ((1, 0.045778), (2, 0.036981), (3, 0.035196)):
        np.testing.assert_allclose(weights[lengths == length], 2 * weight, atol=1e-6)


def test_weights_of_stretched_voxels_are_voronoi_areas():
    spacing = (1.0, 2.0, 0.7)
    points = np.random.default_rng(0).normal(size=(200_000, 3))
    units = surface.DIRECTIONS * spacing
    units /= np.linalg.norm(units, axis=1)[:, None]
    nearest = np.abs(points @ units.T).argmax(axis=1)
    shares = np.bincount(nearest, minlength=13) / len(points)
    np.testing.assert_allclose(surface.direction_weights(spacing), shares, atol=4e-3)


@pytest.mark.parametrize(("radius", "bias"), [(3, 0.03), (5, 0.01), (8, 0.01), (12, 0.01)])
def test_spheres(radius, bias):
    rng = np.random.default_rng(radius)
    shape = (2 * radius + 6,) * 3
    areas = [
        surface.crofton_surface(
            stencil.configuration_histogram(ball(radius, radius + 2.5 + rng.random(3), shape)), (1, 1, 1)
        )
        for _ in range(40)
    ]
    assert np.mean(areas) == pytest.approx(4 * np.pi * radius**2, rel=bias)


def test_sphere_in_stretched_voxels():
    spacing = (0.02, 0.03, 0.02)
    shape = (44, 32, 44)
    grid = [axis * step for axis, step in zip(np.indices(shape, float), spacing, strict=True)]
    center = [0.5 * (n - 1) * step for n, step in zip(shape, spacing, strict=True)]
    bone = sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)) <= 0.4**2
    area = surface.crofton_surface(stencil.configuration_histogram(bone), spacing)
    assert area == pytest.approx(4 * np.pi * 0.4**2, rel=0.01)


def test_tilted_planes_are_right_on_average():
    rng = np.random.default_rng(3)
    n = 24
    grid = np.indices((n, n, n), float) - n / 2 + 0.5
    ratios = []
    for _ in range(150):
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        offset = rng.uniform(-2, 2)  # the plane's part inside a ball of voxels is a disc of known area
        bone = np.tensordot(normal, grid, 1) < offset
        mask = (grid**2).sum(axis=0) < 11.0**2
        area = surface.crofton_surface(stencil.region_histogram(bone, mask), (1, 1, 1))
        ratios.append(area / (np.pi * (11.0**2 - offset**2)))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)
    assert min(ratios) > 0.92
    assert max(ratios) < 1.06


def test_cut_faces_are_no_surface():
    bone = np.zeros((20, 20, 20), bool)
    bone[:10] = True
    area = surface.crofton_surface(stencil.region_histogram(bone), (1, 1, 1))
    assert area == pytest.approx(400, rel=0.075)  # an axis plane is the worst direction: 7.3 % low
    assert surface.crofton_surface(stencil.region_histogram(np.ones((5, 5, 5), bool)), (1, 1, 1)) == 0
