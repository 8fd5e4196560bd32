"""Birth sites: the definition bit for bit, a Poisson process, even over the surface, nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import remodeling as definition
from scipy import stats

from microct.imaging import phantoms
from microct.kernels import activation, random, surface_on_host

CANDIDATES, BIRTHS = 512, 64
SEED = 20
MEAN = 10.0  # births of a step

sites = jax.jit(activation.sites, static_argnames=("candidates", "births", "wide"))


def drawn(fraction, step, count, owner=None, seed=SEED, candidates=CANDIDATES, births=BIRTHS, wide=False):
    """(positions of the births, candidates' indices, births asked for)."""
    owner = np.zeros(fraction.shape, np.uint8) if owner is None else owner
    position, index, wanted, found = sites(
        fraction, owner, np.uint32(seed), np.int32(step), np.int32(count), candidates, births, wide=wide
    )
    found = int(found)
    return np.asarray(position)[:found], np.asarray(index)[:found], int(wanted)


@pytest.fixture(scope="module")
def ball():
    return phantoms.sphere(0.44, size_mm=0.96, voxel_size_um=40.0).values


@pytest.fixture(scope="module")
def many_sites(ball):
    """The births of 1000 steps on the ball: (n, 3), and the number of each step."""
    mean = activation.candidates_for(MEAN / activation.surface(ball), ball.size)
    steps = [drawn(ball, step, random.poisson(SEED, step, mean)) for step in range(1000)]
    return np.concatenate([position for position, _, _ in steps]), np.array([wanted for _, _, wanted in steps])


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_sites_are_those_of_the_definition(ball, held, wide):
    owner = np.zeros(ball.shape, np.uint8)
    owner[:, :12] = held
    for step in (0, 3):
        position, index, wanted = drawn(ball, step, 400, owner, wide=wide)
        expected, asked = definition.birth_sites(ball, owner, SEED, step, 400, CANDIDATES, BIRTHS)
        assert len(expected) > 3
        assert wanted == asked
        assert list(zip(map(tuple, position.tolist()), index.tolist(), strict=True)) == expected


def test_a_birth_on_held_surface_is_moved_not_lost(ball):
    owner = np.zeros(ball.shape, np.uint8)
    owner[:12] = 1
    free, half = drawn(ball, 1, 200), drawn(ball, 1, 200, owner)
    assert free[2] == half[2] == len(free[0]) == len(half[0])
    assert (half[0][:, 0] >= 13).all()
    assert (half[1] >= 200).any()


def test_spares_and_room_change_nothing(ball):
    small = drawn(ball, 5, 300)
    large = drawn(ball, 5, 300, candidates=2 * CANDIDATES, births=3 * BIRTHS)
    for a, b in zip(small, large, strict=True):
        np.testing.assert_array_equal(a, b)


def test_births_stand_on_bone_beside_marrow(ball, many_sites):
    bone = ball >= 128
    beside_marrow = np.zeros_like(bone)
    for axis in range(3):
        for way in (-1, 1):
            beside_marrow |= ~np.roll(bone, way, axis)
    z, y, x = many_sites[0].T
    assert (bone & beside_marrow)[z, y, x].all()


def test_births_are_a_poisson_process(many_sites):
    """Dispersion 1 +- 0.1 (1000 steps: standard error 0.045), the mean that was asked for, each step for itself."""
    counts = many_sites[1].astype(float)
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1.0, abs=0.1)
    assert counts.mean() == pytest.approx(MEAN, abs=4.0 * (MEAN / len(counts)) ** 0.5)
    edges = np.arange(5, 16)
    expected = np.diff(np.concatenate([[0.0], stats.poisson(MEAN).cdf(edges), [1.0]])) * len(counts)
    assert stats.chisquare(np.bincount(np.searchsorted(edges, counts), minlength=12), expected).pvalue > 1e-3
    assert abs(np.corrcoef(counts[:-1], counts[1:])[0, 1]) < 4.0 / len(counts) ** 0.5


def test_every_part_of_a_sphere_bears_alike(ball, many_sites):
    """5 equal zones of latitude times 4 of longitude, about each axis: their births differ by chance alone."""
    sites, _ = many_sites
    way = sites - (np.array(ball.shape) - 1) / 2.0
    way /= np.linalg.norm(way, axis=1)[:, None]
    some = way[:8000]  # resolves 5 %; the area itself is right within 1.5 %
    for axis in range(3):
        latitude = np.clip(((some[:, axis] + 1.0) * 2.5).astype(int), 0, 4)
        turn = np.arctan2(some[:, axis - 1], some[:, axis - 2])
        longitude = np.clip(((turn / np.pi + 1.0) * 2.0).astype(int), 0, 3)
        parts = np.bincount(latitude * 4 + longitude, minlength=20)
        assert stats.chisquare(parts).pvalue > 1e-3
        assert np.abs(parts / parts.mean() - 1.0).max() < 0.2
    assert np.linalg.norm(way.mean(axis=0)) < 4.0 / len(way) ** 0.5


def test_neighbors_are_independent(ball, many_sites):
    """Births in the two halves of the ball are uncorrelated over steps."""
    sites, counts = many_sites
    step = np.repeat(np.arange(len(counts)), counts)
    upper = np.bincount(step[sites[:, 0] < 12], minlength=len(counts))
    assert abs(np.corrcoef(upper, counts - upper)[0, 1]) < 4.0 / len(counts) ** 0.5


# --- how much surface there is ----------------------------------------------------------------------------------------


def test_surface_is_that_of_the_definition():
    rng = np.random.default_rng(4)
    fraction = rng.integers(0, 256, (9, 7, 11)).astype(np.uint8)
    smooth = phantoms.rod(0.2, size_mm=(0.36, 0.28, 0.44), voxel_size_um=40.0, tilt_deg=25.0).values
    for field in (smooth, fraction):
        # Float32 may round a voxel's area to the other neighbor of a 64th.
        assert activation.surface(field) == pytest.approx(definition.surface(field), abs=0.002 * field.size / 64)


@pytest.mark.parametrize("tilt", [0.0, 10.0, 20.0, 30.0, 45.0])
def test_the_surface_of_a_tilted_slab_is_its_area(tilt):
    """The same surface, at any tilt, within 2 %: the slab's two faces, each as long as the block along the tilt."""
    voxel_um, size = 40.0, (3.2, 1.28, 0.64)
    bone = phantoms.slab(0.4, size_mm=size, voxel_size_um=voxel_um, tilt_deg=tilt).values
    area = 2.0 * 1.28 / np.cos(np.radians(tilt)) * 0.64 / 0.04**2
    # The outermost voxels see no marrow beyond the border, so their Sobel normals lean.
    assert activation.surface(bone) == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize("radius_mm", [0.16, 0.24, 0.44])
def test_the_surface_of_a_sphere_is_its_area(radius_mm):
    bone = phantoms.sphere(radius_mm, size_mm=1.28, voxel_size_um=40.0).values
    assert activation.surface(bone) == pytest.approx(4.0 * np.pi * (radius_mm / 0.04) ** 2, rel=0.02)


@pytest.mark.slow
def test_the_number_of_planes_at_a_time_changes_no_surface(ball):
    whole = activation.surface(ball)
    for cut in (3, 11, 21):
        parts = [ball[max(cut - 2, 0) :], ball[: cut + 2]]
        assert all(activation.surface(part) <= whole for part in parts)
    assert activation.surface(ball.transpose(1, 2, 0)) == pytest.approx(whole, abs=1e-9)
    assert activation.surface(np.flip(ball, axis=0)) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("value", [0, 255])
def test_no_surface_no_births(value):
    still = np.full((24, 24, 24), value, np.uint8)
    assert activation.surface(still) == 0.0
    position, _, wanted = drawn(still, 0, 500)
    assert wanted == len(position) == 0


def test_births_for_each_face_do_not_depend_on_marrow_around(ball):
    """The same bone in twice the volume gives the same births on average: candidates grow with the volume."""
    wide = np.pad(ball, ((0, 12), (0, 0), (0, 0)))
    asked, rate = [], 0.005
    for field in (ball, wide):
        mean = activation.candidates_for(rate, field.size)
        asked.append([drawn(field, step, random.poisson(SEED, step, mean))[2] for step in range(60)])
    expected = rate * activation.surface(ball)
    for counts in asked:
        assert np.mean(counts) == pytest.approx(expected, abs=4.0 * (expected / 60) ** 0.5)


@pytest.mark.slow
def test_sites_of_jit_and_of_eager_code_are_the_same(ball):
    with jax.disable_jit():
        owner = jnp.zeros(ball.shape, jnp.uint8)
        arguments = (jnp.asarray(ball), owner, jnp.uint32(1), jnp.int32(2), jnp.int32(300))
        eager = activation.sites(*arguments, CANDIDATES, BIRTHS)
    compiled = sites(*arguments, CANDIDATES, BIRTHS)
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_surface_on_the_host_is_that_on_a_device(ball):
    """Plane by plane, bit for bit, also by compartment; noise, a ball, and slabs thinner than what is done at once."""
    rng = np.random.default_rng(9)
    noise = rng.integers(0, 256, (21, 33, 18)).astype(np.uint8)
    for field, together in ((noise, 1 << 18), (noise, 1500), (ball, 4096), (noise[:1], 1)):
        place = rng.integers(0, 4, field.shape).astype(np.uint8)
        for labels in (None, place):
            there = activation._area_of_planes(jnp.asarray(field), 8, None if labels is None else jnp.asarray(labels))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(surface_on_host, "_TOGETHER", together)
                here = surface_on_host.area_of_planes(field, activation.AREA_LIMIT, labels)
            np.testing.assert_array_equal(here, there)
            assert here.sum() > 0 or field.shape[0] == 1
