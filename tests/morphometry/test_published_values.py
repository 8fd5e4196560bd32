"""Closed forms and values that others published, which the tests of single kernels do not hold."""

import numpy as np
import pytest
from reference.fields import directed_field, gaussian_field, level

from microct import Volume, measure
from microct.kernels import intercepts, minkowski, stencil, surface

UNIT = (1.0, 1.0, 1.0)


@pytest.mark.parametrize("scales", [(3, 3, 3), (3, 3, 6), (2, 4, 6)])
@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_up_crossings_of_gaussian_fields_along_each_axis(scales, fraction):
    """sqrt(lambda_i) exp(-nu^2 / 2) / (2 pi) for each length (Rice 1944), lambda_i = 1 / (2 sigma_i^2)."""
    nu = level(fraction)
    covariance = np.diag(np.square(scales).astype(float))
    histogram = sum(stencil.periodic_histogram(directed_field(96, covariance, seed) > nu) for seed in range(4))
    lengths = intercepts.intercept_lengths(histogram, UNIT)
    for axis, scale in enumerate(scales):
        along = next(k for k, d in enumerate(surface.DIRECTIONS) if tuple(d) == tuple(np.eye(3, dtype=int)[axis]))
        expected = np.exp(-(nu**2) / 2) / (2 * np.pi * np.sqrt(2) * scale)  # a line goes up as often as down
        assert 1 / lengths[along] / 2 == pytest.approx(expected, rel=0.05)  # chance of the fields: 3 %


def test_structure_model_index_is_nothing_at_half_bone():
    found = []
    for seed in range(4):
        bone = np.pad(gaussian_field(80, 2.5, seed) > level(0.5), ((0, 1),) * 3, mode="wrap")
        block = minkowski.measure_block(bone, UNIT)
        found.append(12 * block.volume * block.mean_curvature / block.surface**2)
    assert np.mean(found) == pytest.approx(0, abs=0.1)


def test_box_frame():
    """BoneJ's wire-frame box of 32 x 64 x 128: chi -4, Conn.D 5 over the padded volume in units of 0.2."""
    frame = np.zeros((128, 64, 32), bool)
    edge = [np.isin(np.arange(n), (0, n - 1)) for n in frame.shape]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        shape = [[-1 if k == axis else 1 for k in range(3)] for axis in (a, b)]
        frame |= edge[a].reshape(shape[0]) & edge[b].reshape(shape[1])
    padded = np.pad(frame, [(32, 32), (32, 32), (32, 32)])
    table = measure(Volume(padded, (0.2,) * 3), thickness=False)
    assert table["Euler"].value == -4
    assert table["Conn.D"].value == pytest.approx(5 / ((96 * 128 * 192) * 0.008))


@pytest.mark.parametrize("diameter", [4, 8, 16])
def test_rods_in_the_convention_of_bonej(diameter):
    """BoneJ's own test: a rod of diameter d has a mean thickness of d, within 1.5 voxels."""
    grid = np.indices((24, 24), float) - 11.5
    rod = np.broadcast_to(((grid**2).sum(axis=0) <= (diameter / 2) ** 2)[:, :, None], (24, 24, 40))
    table = measure(Volume(np.ascontiguousarray(rod), (1.0,) * 3), convention="bonej")
    assert table["Tb.Th"].value == pytest.approx(diameter, abs=1.5)


def test_cubic_lattice_of_rods():
    """a = 20, t = 4, 100^3: BV/TV = 3 (t/a)^2 - 2 (t/a)^3 = 0.104."""
    line = np.arange(100) % 20 < 4
    on = line[:, None, None].astype(int) + line[:, None] + line
    table = measure(Volume(on >= 2, (0.02,) * 3), thickness=False)
    assert table["BV/TV"].value == pytest.approx(10.4)
