"""All functionals of one histogram: balls, rods, fields of known curvature, direction and topology."""

import jax.numpy as jnp
import numpy as np
import pytest
from reference.fields import curvature_density, directed_field, gaussian_field, level, surface_density
from reference.morphometry import (
    bending_by_definition,
    intercept_lengths_by_definition,
    mean_curvature_by_definition,
    smooth_surface_by_definition,
)

from microct.kernels import curvature, intercepts, minkowski, smoothsurface, stencil, surface

UNIT = (1.0, 1.0, 1.0)


def ball(radius, center, shape, spacing=UNIT):
    grid = [axis * step for axis, step in zip(np.indices(shape, float), spacing, strict=True)]
    return sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)) <= radius**2


def periodic(bone):
    return stencil.configuration_histogram(wrapped(bone))


def wrapped(bone):
    return np.pad(bone, ((0, 1),) * 3, mode="wrap")


def rotation(seed):
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned


@pytest.mark.parametrize("radius", [2, 3, 4, 6, 10])
def test_balls(radius):
    rng = np.random.default_rng(radius)
    found = np.mean(
        [
            minkowski.measure_block(ball(radius, radius + 2.5 + rng.random(3), (2 * radius + 6,) * 3), UNIT)[1:5]
            for _ in range(30)
        ],
        axis=0,
    )
    volume, area, bending, euler = found
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    assert bending == pytest.approx(4 * np.pi * radius, rel=0.04)
    assert euler == 1


def test_a_ball_in_stretched_voxels():
    spacing = (0.02, 0.03, 0.02)
    bone = ball(0.4, (0.43, 0.465, 0.43), (44, 32, 44), spacing)
    found = minkowski.measure_block(bone, spacing)
    assert found.surface == pytest.approx(4 * np.pi * 0.16, rel=0.01)
    assert found.mean_curvature == pytest.approx(4 * np.pi * 0.4, rel=0.02)
    assert found.fabric.anisotropy == pytest.approx(1, abs=0.06)


def test_marrow_has_minus_the_curvature_of_bone():
    bone = np.random.default_rng(1).random((12, 13, 14)) < 0.4
    plus, minus = (stencil.configuration_histogram(phase) for phase in (bone, ~bone))
    assert curvature.mean_curvature_integral(plus, UNIT) == pytest.approx(
        -curvature.mean_curvature_integral(minus, UNIT), rel=1e-12
    )


def test_intercepts_and_bending_by_their_definitions():
    bone = np.random.default_rng(6).random((6, 7, 8)) < 0.4
    lengths = intercepts.intercept_lengths(periodic(bone), UNIT)
    for direction, length in zip(surface.DIRECTIONS, lengths, strict=True):
        assert length == pytest.approx(intercept_lengths_by_definition(bone, tuple(direction)))
    one_axis = np.repeat(bone[:, :1, :1], 7, axis=1).repeat(8, axis=2)
    assert surface.bending(one_axis, UNIT) == pytest.approx(bending_by_definition(one_axis))


#: The histogram is counted on the host or on the device; the reference walks over the sections.
WAYS = {
    "reference": mean_curvature_by_definition,
    "host": lambda bone: curvature.mean_curvature_integral(stencil.periodic_histogram(bone), UNIT),
    "device": lambda bone: curvature.mean_curvature_integral(stencil.periodic_histogram(jnp.asarray(bone)), UNIT),
}


@pytest.mark.parametrize("way", WAYS)
def test_mean_curvature_of_single_voxels_balls_and_fields(way):
    measured = WAYS[way]
    one = np.zeros((6, 6, 6), bool)
    one[2, 3, 3] = True
    by_hand = 2 * np.pi * (3 * 0.091556 + 6 * 0.073962 / np.sqrt(2) + 4 * 0.070392 / np.sqrt(3))  # one section each
    assert measured(one) == pytest.approx(by_hand, rel=1e-5)
    assert measured(~one) == pytest.approx(-by_hand, rel=1e-5)
    assert measured(ball(6, (10.2, 9.9, 10.1), (20, 20, 20))) == pytest.approx(4 * np.pi * 6, rel=0.02)
    field = gaussian_field(48, 2.5, 3) > level(0.2)
    assert measured(field) == pytest.approx(mean_curvature_by_definition(field), rel=1e-5)
    noise = np.random.default_rng(2).random((6, 8, 10)) < 0.5
    assert measured(noise) == pytest.approx(mean_curvature_by_definition(noise), abs=1e-3)


def test_smooth_surface_by_its_definition():
    bone = gaussian_field(18, 2.0, 4) > 0.4
    found, expected = smoothsurface.smooth_surface(bone), smooth_surface_by_definition(bone)
    np.testing.assert_allclose(found[:4], expected[:4], rtol=2e-4)
    np.testing.assert_allclose(found.normals, expected[4], rtol=1e-3, atol=1e-3 * expected[0])


def test_rods_read_their_circumference():
    """An infinite rod of radius r has 2 pi r surface and pi mean curvature for each length."""
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(40):
        grid = np.indices((32,) * 3, float) - 15.5 - rng.uniform(-0.5, 0.5, (3, 1, 1, 1))
        axis = rng.normal(size=3)
        along = np.tensordot(axis / np.linalg.norm(axis), grid, 1)
        apart = (grid**2).sum(axis=0) - along**2
        mask = (np.abs(along) < 9) & (apart < 36)
        histogram = stencil.region_histogram(apart < 9, mask)
        length = mask.sum() / (np.pi * 36)
        bent = surface.bending(apart < 9, UNIT, mask)
        area = surface.corrected_surface(histogram, UNIT, bent) / (6 * np.pi * length)
        ratios.append((area, curvature.mean_curvature_integral(histogram, UNIT) / (np.pi * length)))
    np.testing.assert_allclose(np.mean(ratios, axis=0), 1, atol=0.01)


@pytest.mark.parametrize(("fraction", "index"), [(0.1, 3.4412), (0.2, 2.8333), (0.3, 2.1322)])
def test_fields_of_known_curvature_and_structure_model_index(fraction, index):
    nu = level(fraction)
    bones = [wrapped(gaussian_field(96, 2.5, seed) > nu) for seed in range(4)]
    found = np.mean([minkowski.measure_block(bone, UNIT)[:4] for bone in bones], axis=0)
    total, volume, area, bending = found
    assert area / total == pytest.approx(surface_density(2.5, nu), rel=0.02)
    assert bending / total == pytest.approx(curvature_density(2.5, nu), rel=0.04)
    assert 12 * volume * bending / area**2 == pytest.approx(index, rel=0.05)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.5])
def test_surface_of_thin_structures(fraction):
    """Down to a Tb.Th of 3 voxels the surface is within 1 %; the plain sum of Crofton would read 5 to 8 % low."""
    nu = level(fraction)
    areas = [minkowski.measure_block(wrapped(gaussian_field(96, 1.3, seed) > nu), UNIT).surface for seed in range(2)]
    assert np.mean(areas) / 96**3 == pytest.approx(surface_density(1.3, nu), rel=0.01)


def test_planes_do_not_bend():
    grid = np.indices((24, 24, 24))
    assert surface.bending(grid[0] < 11, UNIT) == 0
    assert surface.bending(grid[0] + 0.4 * grid[1] - 0.7 * grid[2] < 9, UNIT) == 0
    assert surface.bending(np.ones((4, 4, 4), bool), UNIT) == 0


@pytest.mark.parametrize("turn", [None, 1, 2])
@pytest.mark.parametrize("stretch", [(3, 3, 6), (2, 4, 6)])
def test_anisotropy_of_stretched_fields(stretch, turn):
    axes = np.eye(3) if turn is None else rotation(turn)
    covariance = axes.T @ np.diag(np.square(stretch).astype(float)) @ axes
    histogram = sum(periodic(directed_field(128, covariance, seed) > level(0.3)) for seed in range(3))
    found = intercepts.fabric(histogram, UNIT)
    assert found.anisotropy == pytest.approx(stretch[2] / stretch[0], rel=0.03 if turn is None else 0.06)
    assert abs(found.axes[0] @ axes[2]) > np.cos(np.radians(3))
    np.testing.assert_allclose(found.radii / found.radii[2], np.sort(stretch)[::-1] / min(stretch), rtol=0.07)


def test_plates_have_no_bounded_fabric():
    bone = np.broadcast_to((np.arange(24) % 8 < 3)[:, None, None], (24, 24, 24))
    assert intercepts.fabric(stencil.configuration_histogram(bone), UNIT) is None
    lengths = intercepts.intercept_lengths(stencil.configuration_histogram(bone), UNIT)
    across = (surface.DIRECTIONS != 0).sum(axis=1) == 1
    assert lengths[across & (surface.DIRECTIONS[:, 0] == 1)] == pytest.approx(23 / 5)
    assert np.isinf(lengths[across & (surface.DIRECTIONS[:, 0] == 0)]).all()


def test_host_and_device_measure_the_same():
    fraction = np.random.default_rng(4).integers(0, 256, (20, 30, 40)).astype(np.uint8)
    host = minkowski.measure_block(fraction, (0.02,) * 3, 128)
    device = minkowski.measure_block(jnp.asarray(fraction), (0.02,) * 3, 128)
    assert host[:5] == device[:5]
    np.testing.assert_array_equal(host.fabric.radii, device.fabric.radii)


def test_a_periodic_volume_does_not_depend_on_where_it_is_cut():
    line = np.arange(40) % 20 < 4
    lattice = line[:, None, None].astype(int) + line[:, None] + line >= 2
    once = minkowski.measure_block(lattice, UNIT, periodic=True)
    assert once.euler == -2 * 2**3  # a vertex less three rods for each cell
    assert once.volume == lattice.sum()
    for kind in (np.asarray, jnp.asarray):
        moved = minkowski.measure_block(kind(np.roll(lattice, (3, 7, 11), axis=(0, 1, 2))), UNIT, periodic=True)
        assert moved[:5] == once[:5]
    with pytest.raises(ValueError, match="periodic"):
        minkowski.measure_block(lattice, UNIT, mask=lattice, periodic=True)


def test_smooth_surface_of_a_ball_and_a_plate():
    ball_ = smoothsurface.smooth_surface(ball(12, (16, 15.6, 16.2), (32, 32, 32)))
    assert ball_.area == pytest.approx(4 * np.pi * 144, rel=0.03)
    assert ball_.convex + ball_.concave == pytest.approx(4 * np.pi * 12, rel=0.05)
    assert ball_.concave_area < 0.03 * ball_.area
    np.testing.assert_allclose(np.linalg.eigvalsh(ball_.normals) / ball_.area, 1 / 3, atol=0.01)
    plate = np.zeros((30, 20, 20), bool)
    plate[10:18] = True
    flat = smoothsurface.smooth_surface(plate)
    assert flat.area == pytest.approx(2 * 400, rel=1e-5)
    np.testing.assert_allclose(flat.normals / flat.area, np.diag([1, 0, 0]), atol=1e-6)
    inside = np.zeros(plate.shape, bool)
    inside[:, 5:15] = True
    assert smoothsurface.smooth_surface(plate, inside).area == pytest.approx(2 * 200, rel=1e-5)


def test_slabs_join_without_a_seam(monkeypatch):
    bone = gaussian_field(48, 2.0, 1) > 0.5
    whole = smoothsurface.smooth_surface(bone)
    monkeypatch.setattr(smoothsurface, "_SLAB", 7 * 48 * 48)
    parts = smoothsurface.smooth_surface(bone)
    np.testing.assert_allclose(parts[:4], whole[:4], rtol=1e-5)
