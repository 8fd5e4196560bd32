"""SMI, direction, ellipsoids, fractal dimension, skeleton and Betti numbers on structures of known answer."""

import math

import numpy as np
import pytest
from reference.fields import gaussian_field, level
from skimage.measure import euler_number

from microct import Volume, measure
from microct.kernels import distance, thickness
from microct.morphometry import ellipsoid, fractal, skeleton
from microct.morphometry.specimen import specimen_of
from microct.morphometry.thickness import thickness_maps
from microct.status import StudyError

EDGE = 0.02


def volume(bone):
    return Volume.from_array(np.ascontiguousarray(bone), 1000 * EDGE)


def distances(size, axis):
    """Squared distance from a line (3-vector) or, for None, from the middle of a cube of ``size`` voxels."""
    grid = np.indices((size,) * 3, float) - (size - 1) / 2
    if axis is None:
        return (grid**2).sum(axis=0)
    along = np.tensordot(np.asarray(axis) / np.linalg.norm(axis), grid, 1)
    return (grid**2).sum(axis=0) - along**2


ROD = distances(48, (1, 2, 4)) < 6.0**2
PLATE = np.abs(np.tensordot(np.array([0.8, 0.36, 0.48]), np.indices((48,) * 3) - 23.5, 1)) < 4.0
BALL = distances(32, None) < 11.0**2


@pytest.mark.parametrize(("bone", "index", "near"), [(ROD, 3, 0.15), (PLATE, 0, 0.3), (BALL, 4, 0.1)])
def test_structure_model_index(bone, index, near):
    row = measure(volume(bone), thickness=False)["SMI"]
    assert row.value == pytest.approx(index, abs=near)
    assert "Salmon" in row.note


def test_parts_of_the_structure_model_index():
    table = measure(volume(BALL), thickness=False, indices="all")
    assert table["SMI+"].value == pytest.approx(4, rel=0.1)
    assert abs(table["SMI-"].value) < 0.2
    assert table["Cv.S/BS"].value < 5
    hollow = measure(volume(~BALL), thickness=False, indices="all")
    assert hollow["Cv.S/BS"].value > 95
    assert hollow["SMI"].value < 0


def test_plate_model_of_plates():
    layer = (np.arange(48) - 4) % 12 < 4
    table = measure(volume(np.broadcast_to(layer[:, None, None], (48, 30, 30))))
    ratio = table["BS"].value / (8 * (30 * EDGE) ** 2)  # Crofton on planes of the lattice
    assert table["Tb.Th.pl"].value * ratio == pytest.approx(4 * EDGE, rel=1e-9)
    assert table["Tb.N.pl"].value / ratio == pytest.approx(1 / (12 * EDGE), rel=1e-9)
    assert (table["Tb.Th.pl"].value + table["Tb.Sp.pl"].value) * table["Tb.N.pl"].value == pytest.approx(1)
    assert math.isnan(table["DA"].value)
    assert "meets no surface" in table["DA"].note


def test_all_indices_of_a_network_are_finite_or_explained():
    bone = gaussian_field(40, 2.5, 2) > level(0.25)
    table = measure(volume(bone), indices="all")
    again = measure(volume(bone), indices="all")
    for row, other in zip(table, again, strict=True):
        assert row.value == other.value or (math.isnan(row.value) and math.isnan(other.value)), row.symbol
        assert math.isfinite(row.value) or row.note, row.symbol
    assert table["DA"].value == pytest.approx(1, abs=0.3)
    assert table["DA.BJ"].value == pytest.approx(1 - table["DA"].value ** -2)
    assert table["DA.N"].value == pytest.approx(1, abs=0.3)
    assert 2 < table["FD"].value < 3
    assert table["FD.R2"].value > 0.99
    plain = euler_number(np.pad(bone, 1), connectivity=3)
    assert table["B0"].value - table["B1"].value + table["B2"].value == plain
    assert table["Tb.Th.Max"].value > table["Tb.Th"].value + table["Tb.Th.SD"].value
    assert 100 < table["ITA3"].value < 125
    assert table.parameters["fabric_axes_zyx"].count("(") == 3


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 8), (6, 5, 4)])
@pytest.mark.parametrize("fill", [False, True])
def test_all_indices_of_hardly_any_structure(shape, fill):
    for row in measure(volume(np.full(shape, fill)), indices="all"):
        assert math.isfinite(row.value) or row.note, row.symbol


def test_unknown_set_of_indices_is_refused():
    with pytest.raises(StudyError, match="standard, all"):
        measure(volume(BALL), indices="most")


def test_betti_numbers():
    frame = np.zeros((12, 12, 12), bool)
    near = [np.isin(np.arange(12), [2, 9])] * 3
    inner = [(np.arange(12) >= 2) & (np.arange(12) <= 9)] * 3
    for axis in range(3):
        edges = [near[k] if k != axis else inner[k] for k in range(3)]
        frame |= edges[0][:, None, None] & edges[1][None, :, None] & edges[2][None, None, :]
    shell = np.zeros((12, 12, 12), bool)
    shell[3:8, 3:8, 3:8] = True
    shell[5, 5, 5] = False
    two = np.concatenate([np.pad(frame, 1), np.pad(shell, 1)])
    found = measure(volume(two), thickness=False, indices="all")
    assert [found[symbol].value for symbol in ("B0", "B1", "B2")] == [2, 5, 1]


@pytest.mark.parametrize(("bone", "low", "high"), [(ROD, 0.45, 1.0), (PLATE, -1.0, -0.45), (BALL, -0.2, 0.25)])
def test_ellipsoid_factor_of_rod_plate_and_ball(bone, low, high):
    table = {row.symbol: row.value for row in ellipsoid.ellipsoid_rows(specimen_of(volume(bone), None, None))}
    assert low <= table["EF"] <= high
    assert table["EF.Fill"] > 80
    share = "Rd.BV/BV" if low > 0 else "Pl.BV/BV"
    assert high < 0.3 or table[share] > 90


def test_an_ellipsoid_is_found_again():
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    grid = np.indices((60,) * 3, float) - 30.0
    body = sum((np.tensordot(axis, grid, 1) / r) ** 2 for axis, r in zip(turn, (7, 12, 24), strict=True)) <= 1
    found = ellipsoid.ellipsoids(body, np.array([[30, 30, 30]]))
    np.testing.assert_allclose(found.radii[0], (7, 12, 24), rtol=0.15)
    assert np.abs(np.sum(found.axes[0] * turn, axis=1)).min() > 0.97
    assert found.factors[0] == pytest.approx(7 / 12 - 12 / 24, abs=0.1)


def test_ellipsoids_stay_within_bone():
    bone = gaussian_field(48, 3.0, 3) > level(0.3)
    squared = distance.squared_distance(bone)
    seeds = np.argwhere(thickness.mid_axes(squared, thickness.local_squared_radius(bone, squared)))[::11]
    fitted = ellipsoid.ellipsoids(bone, seeds)
    assert (np.diff(fitted.radii, axis=1) >= 0).all()
    rays = ellipsoid._fibonacci(500)
    inside = []
    for center, radii, axes in zip(fitted.centers, fitted.radii, fitted.axes, strict=True):
        place = np.rint(center + 0.85 * (rays * radii) @ axes).astype(int)
        within = ((place >= 0) & (place < 48)).all(axis=1)
        inside.append(bone[tuple(place[within].T)].mean())
    assert np.mean(inside) > 0.95


@pytest.mark.parametrize(("bone", "dimension"), [(np.ones((64, 64, 64), bool), 3.0), (None, 2.0)])
def test_fractal_dimension_of_solid_and_sheet(bone, dimension):
    if bone is None:
        bone = np.zeros((64, 64, 64), bool)
        bone[20] = True
    table = {row.symbol: row.value for row in fractal.fractal_rows(specimen_of(volume(bone), None, None))}
    assert table["FD"] == pytest.approx(dimension, abs=0.1)
    assert table["FD.R2"] > 0.99


def test_fractal_dimension_of_a_sponge():
    """Menger's sponge of 81 voxels: 20 boxes of a third each, three times over, have edge 3."""
    cell = np.ones((3, 3, 3), bool)
    cell[1, 1, :] = cell[1, :, 1] = cell[:, 1, 1] = False
    sponge = cell
    for _ in range(3):
        sponge = np.kron(sponge, cell).astype(bool)
    edges, counts = fractal.box_counts(sponge)
    counted = dict(zip(edges.tolist(), counts.tolist(), strict=True))
    assert counted[3] == 20**3
    assert counted[2] < 8 * 20**3


def test_skeleton_of_a_jack():
    """Three bars that cross: one junction of six branches at right or straight angles."""
    bone = np.zeros((41, 41, 41), bool)
    bone[19:22, 19:22, 3:38] = bone[19:22, 3:38, 19:22] = bone[3:38, 19:22, 19:22] = True
    graph = skeleton.skeleton_graph(bone, (EDGE,) * 3)
    assert len(graph.junctions) == 1
    np.testing.assert_allclose(graph.junctions[0] / EDGE - 1, 20, atol=1)  # one voxel of rim
    assert len(graph.lengths) == 6
    assert graph.ends == 6
    np.testing.assert_allclose(graph.lengths, 17 * EDGE, atol=2.5 * EDGE)
    angles = np.sort(graph.angles[6])
    np.testing.assert_allclose(angles[:12], 90, atol=6)
    np.testing.assert_allclose(angles[12:], 180, atol=8)


def test_skeleton_of_a_hexagonal_net():
    """Bars at 120 degrees meet in threes."""
    y, x = np.indices((90, 90)) + 0.5
    bone = np.zeros((90, 90), bool)
    side = 14.0
    nodes = [
        np.array([side * 1.5 * j + side * k, side * math.sqrt(3) * (i + 0.5 * (j % 2))])
        for i in range(-1, 5)
        for j in range(-1, 6)
        for k in (0, 1)
    ]
    for a in nodes:
        for b in nodes:
            if 0.5 * side < np.linalg.norm(b - a) < 1.05 * side:
                t = np.clip(((y - a[0]) * (b - a)[0] + (x - a[1]) * (b - a)[1]) / side**2, 0, 1)
                bone |= (y - a[0] - t * (b - a)[0]) ** 2 + (x - a[1] - t * (b - a)[1]) ** 2 < 2.2**2
    net = np.zeros((9, 90, 90), bool)
    net[3:7] = bone
    angles = skeleton.skeleton_graph(net, (EDGE,) * 3).angles[3]
    assert len(angles) > 12
    assert angles.mean() == pytest.approx(120, abs=6)


def test_thickness_maps_are_what_the_means_are_of():
    bone = gaussian_field(40, 2.5, 2) > level(0.3)
    specimen = specimen_of(volume(bone), None, None)
    table = measure(volume(bone))
    maps = thickness_maps(specimen)
    for symbol, values in thickness_maps(volume(bone)).items():
        np.testing.assert_array_equal(values, maps[symbol])
    assert maps["Tb.Th"][bone].mean() == pytest.approx(table["Tb.Th"].value, rel=1e-5)
    assert maps["Tb.Sp"][~bone].mean() == pytest.approx(table["Tb.Sp"].value, rel=1e-5)
    assert not maps["Tb.Th"][~bone].any()
