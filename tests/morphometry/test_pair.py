"""Formation and resorption between two scans, and the motion that lays one over the other."""

import math

import numpy as np
import pytest
from reference.fields import gaussian_field, level

from microct import Volume
from microct.imaging.registration import RESIDUAL_LIMIT, RigidMotion, _turn, covered, moved, register
from microct.morphometry.contour import dilated, eroded
from microct.morphometry.pair import change_map, measure_pair
from microct.status import InputError

EDGE = 20.0


def volume(values):
    return Volume.from_array(np.ascontiguousarray(values), EDGE)


def plates(thickness):
    layer = np.zeros(40, bool)
    layer[12 : 12 + thickness] = True
    return np.broadcast_to(layer[:, None, None], (40, 30, 30))


def test_a_plate_that_grows_on_one_side():
    table = measure_pair(volume(plates(6)), volume(plates(8)), sample="plate")
    assert table["FV/BV"].value == pytest.approx(100 / 3)
    assert table["RV/BV"].value == 0
    assert table["FS/BS"].value == pytest.approx(50)
    assert table["RS/BS"].value == 0
    assert table["F.Th"].value == pytest.approx(40, rel=0.08)  # Crofton on planes of the lattice
    assert math.isnan(table["R.De"].value)
    assert table["N.Perf"].value == 0
    assert table["F.Th"].sample == "plate"


def test_the_other_way_round_resorbs_what_was_formed():
    bone = gaussian_field(48, 2.5, 1) > level(0.3)
    grown = dilated(bone, 1)
    there, back = measure_pair(volume(bone), volume(grown)), measure_pair(volume(grown), volume(bone))
    assert there["FV/BV"].value * bone.sum() == pytest.approx(back["RV/BV"].value * grown.sum())
    assert there["FS/BS"].value == 100
    assert back["RS/BS"].value == 100
    assert there["N.Perf"].value == -back["N.Perf"].value


def test_a_hole_through_a_plate_is_one_perforation():
    second = np.array(plates(6))
    second[:, 10:14, 10:14] = False
    table = measure_pair(volume(plates(6)), volume(second))
    assert table["N.Perf"].value == 1
    assert table["RS/BS"].value == pytest.approx(100 * 16 / 900)


def test_noise_of_single_voxels_can_be_left_out():
    second = np.array(plates(6))
    second[30, 5, 5] = True
    second[12, 20:24, 20:24] = False
    noisy = measure_pair(volume(plates(6)), volume(second))
    clean = measure_pair(volume(plates(6)), volume(second), least_voxels=5)
    assert noisy["FV/BV"].value > 0
    assert clean["FV/BV"].value == 0
    assert clean["RV/BV"].value == noisy["RV/BV"].value == pytest.approx(100 * 16 / 5400)


def test_scans_on_other_voxels_are_refused():
    with pytest.raises(InputError, match="register them first"):
        measure_pair(volume(plates(6)), volume(plates(6)[:20]))
    with pytest.raises(InputError, match="no bone"):
        measure_pair(volume(np.zeros((4, 4, 4), bool)), volume(np.ones((4, 4, 4), bool)))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_known_motion_is_found(seed):
    """A field that was turned by some degrees and moved by voxels is laid back within a tenth of a voxel."""
    rng = np.random.default_rng(seed)
    turn, shift = rng.uniform(-0.05, 0.05, 3), rng.uniform(-2.5, 2.5, 3)
    wide = gaussian_field(96, 3.5, seed)
    from scipy import ndimage

    rotation, center = _turn(turn), np.full(3, 47.5)
    turned = ndimage.affine_transform(wide, rotation, center - rotation @ center + shift, order=3, mode="wrap")
    inner = slice(16, 80)
    fixed, moving = (volume(np.float32(field[inner, inner, inner])) for field in (turned, wide))
    motion = register(fixed, moving)
    np.testing.assert_allclose(motion.shift / (EDGE / 1000), shift, atol=0.1)
    np.testing.assert_allclose(motion.rotation, rotation, atol=2e-3)
    assert motion.residual < 0.1
    back = moved(moving, motion, fixed).values[8:-8, 8:-8, 8:-8]
    assert np.corrcoef(back.ravel(), fixed.values[8:-8, 8:-8, 8:-8].ravel())[0, 1] > 0.99


def test_change_survives_registration():
    """Growth by a known layer is measured after the second scan was moved, up to interpolation."""
    bone = gaussian_field(72, 3.5, 4) > level(0.3)
    grown = dilated(bone, 1.0)
    grey = volume((100 * bone).astype(np.uint8))
    later = volume((100 * np.roll(grown, (2, -1, 1), (0, 1, 2))).astype(np.uint8))
    motion = register(grey, later)
    laid = moved(later, motion, grey)
    inside = np.zeros(bone.shape, bool)
    inside[6:-6, 6:-6, 6:-6] = True
    true = measure_pair(volume(bone), volume(grown), inside)
    found = measure_pair(grey, laid, inside, threshold=50)
    assert found["FV/BV"].value == pytest.approx(true["FV/BV"].value, rel=0.12)
    assert found["RV/BV"].value < 0.05 * found["FV/BV"].value


def scan(place, shift=(0.0, 0.0, 0.0), noise=0.0, seed=0, size=40):
    """A block of a field of bone, with partial voxels, moved by ``shift`` voxels; 1000 in bone."""
    from scipy import ndimage

    fine = ndimage.shift(place, [2 * step for step in shift], order=3, mode="grid-wrap")
    half = (fine > level(0.25)).astype(np.float32).reshape(48, 2, 48, 2, 48, 2).mean(axis=(1, 3, 5))
    half = ndimage.gaussian_filter(half, 0.8)[4 : 4 + size, 4 : 4 + size, 4 : 4 + size]
    return volume(np.float32(1000 * (half + noise * np.random.default_rng(seed).normal(size=half.shape))))


def test_nothing_seems_lost_of_a_bone_that_only_moved():
    """Half a voxel aside, where interpolation blurs most: a linear one loses bone, a cubic one does not."""
    place = gaussian_field(96, 4.0, 3)
    first, second = scan(place), scan(place, (0.5, 0.5, 0.5))
    motion = register(first, second)
    inside = covered(second, motion, first, margin=2.0)
    lost = {}
    for order in (1, 3):
        laid = moved(second, motion, first, order)
        table = measure_pair(first, laid, inside, threshold=500)
        lost[order] = table["RV/BV"].value - table["FV/BV"].value
    assert lost[1] > 3.0
    assert abs(lost[3]) < 0.75
    there = measure_pair(first, moved(second, motion, first), inside, threshold=500)
    assert there["FV/BV"].value < 1.0
    assert there["RV/BV"].value < 1.0


def test_what_lies_in_both_scans():
    first, second = volume(np.ones((12, 12, 12))), volume(np.ones((9, 12, 12)))
    motion = RigidMotion(np.eye(3), np.array([-2.0, 0.0, 0.0]) * EDGE / 1000, np.full(3, 5.5) * EDGE / 1000, 0.0)
    inside = covered(second, motion, first)
    expected = np.zeros((12, 12, 12), bool)
    expected[3:10, 1:-1, 1:-1] = True  # its voxels 1 to 7, two further up
    np.testing.assert_array_equal(inside, expected)


def test_a_shift_beyond_a_trabecula_is_found_by_correlation():
    place = gaussian_field(96, 4.0, 3)
    first, second = scan(place, noise=0.05, seed=1), scan(place, (9.0, -7.0, 8.0), noise=0.05, seed=2)
    motion = register(first, second)
    assert motion.residual < 0.5 < RESIDUAL_LIMIT
    np.testing.assert_allclose(motion.shift / (EDGE / 1000), (9.0, -7.0, 8.0), atol=0.1)


@pytest.mark.parametrize("seed", [5, 6])
def test_another_bone_is_above_the_limit(seed):
    motion = register(scan(gaussian_field(96, 4.0, 3)), scan(gaussian_field(96, 4.0, seed)))
    assert motion.residual > RESIDUAL_LIMIT + 0.2


def test_registration_refuses_what_cannot_be_laid_over():
    with pytest.raises(InputError, match="every voxel of array is 1"):
        register(volume(np.ones((16, 16, 16))), volume(np.ones((16, 16, 16))))
    with pytest.raises(InputError, match="one voxel size"):
        register(volume(np.ones((16, 16, 16))), Volume.from_array(np.ones((16, 16, 16)), 30))
    with pytest.raises(InputError, match="below 8 voxels"):
        register(volume(np.ones((4, 16, 16))), volume(np.ones((4, 16, 16))))


def test_erosion_is_resorption():
    bone = gaussian_field(48, 3.0, 2) > level(0.4)
    table = measure_pair(volume(bone), volume(eroded(bone, 1)))
    assert table["FV/BV"].value == 0
    assert table["RS/BS"].value == 100


def test_the_map_of_change_takes_masks_of_any_two_values() -> None:
    bone = np.random.default_rng(3).random((9, 9, 9)) < 0.5
    none = Volume.from_array(np.zeros(bone.shape, bool), 40.0)
    maps = [
        change_map(Volume.from_array(mask, 40.0), none).values
        for mask in (bone, bone * np.uint8(255), bone * np.uint8(1))
    ]
    assert maps[0].sum() == -255 * bone.sum()
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    with pytest.raises(InputError, match="float64"):
        change_map(Volume.from_array(np.random.default_rng(5).random((9, 9, 9)), 40.0), none)
