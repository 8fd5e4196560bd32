"""The display field is true to the voxels that it was made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from microct import Volume
from microct.render.field import LEVEL, PAD, block_mean, field, sample, smooth
from microct.render.frame import Frame, baseline_index, chosen, same_block
from microct.render.light import blurred, on_cut_face
from microct.status import InputError


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_smoothing_moves_no_voxel_to_the_other_side(seed: int, share: float) -> None:
    noise = np.random.default_rng(seed).random((9, 8, 7))
    fraction = np.where(noise < share, 255.0, 0.0).astype(np.float32)
    assert np.array_equal(smooth(fraction) > LEVEL, fraction > LEVEL)


def test_a_plate_one_voxel_thick_stays_and_a_staircase_goes() -> None:
    plate = np.zeros((9, 20, 20), np.float32)
    plate[4] = 255
    assert (smooth(plate)[4] > LEVEL).all()
    z, y, _ = np.indices((24, 24, 24))
    slope = np.where(z < 6 + 0.4 * y, 255, 0).astype(np.float32)

    def roughness(values: np.ndarray) -> float:
        """Standard deviation of the surface from the plane, in voxels."""
        line = values[:, 4:-4, 12]
        below = (line > LEVEL).sum(axis=0) - 1
        columns = np.arange(line.shape[1])
        upper, lower = line[below + 1, columns], line[below, columns]
        height = below + (lower - LEVEL) / (lower - upper)
        return float(np.std(height - np.polyval(np.polyfit(columns, height, 1), columns)))

    assert roughness(slope) > 0.2
    assert roughness(smooth(slope)) < 0.5 * roughness(slope)


def test_block_mean_is_the_mean_of_each_block_also_at_the_rim() -> None:
    values = np.random.default_rng(1).integers(0, 256, (7, 5, 6)).astype(np.uint8)
    means = block_mean(values, 3)
    assert means.shape == (3, 2, 2)
    assert means[0, 0, 0] == pytest.approx(values[:3, :3, :3].mean(), rel=1e-5)
    assert means[2, 1, 1] == pytest.approx(values[6:, 3:, 3:].mean(), rel=1e-5)


def test_large_blocks_are_averaged_down_and_keep_their_size_in_mm() -> None:
    frame = Frame(0.0, Volume.from_array(np.full((45, 20, 31), 255, np.uint8), 20))
    shown = field(frame, limit=16)
    assert shown.factor == 3
    assert max(shown.shape) <= 16
    assert shown.size_mm == pytest.approx(frame.volume.size_mm)
    assert (shown.values[PAD:-PAD, PAD:-PAD, PAD:-PAD] > LEVEL).all()
    assert not shown.values[0].any()


def test_trilinear_sampling_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 256, (6, 7, 8)).astype(np.uint8)
    points = (rng.random((3, 200)) * [[4.99], [5.99], [6.99]]).astype(np.float32)
    expected = ndimage.map_coordinates(values.astype(float), points, order=1)
    assert sample(values, points) == pytest.approx(expected, abs=1e-2)
    assert sample(values, points, inside=True) == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_blur_has_the_width_it_says(sigma: float) -> None:
    point = np.zeros((49, 49, 49), np.float32)
    point[22:26, 22:26, 22:26] = 1.0
    line = blurred(point, sigma).sum(axis=(1, 2))
    place = np.arange(49)
    mean = (line * place).sum() / line.sum()
    variance = (line * (place - mean) ** 2).sum() / line.sum()
    assert line.sum() == pytest.approx(64, rel=1e-3)
    assert variance == pytest.approx(sigma**2 + 15 / 12, rel=0.12)


def test_cut_faces_are_the_faces_of_the_block_and_of_the_cut() -> None:
    low = PAD - 0.5
    points = np.array([[low, 10, 10], [10, 10, 10], [10, 10, low + 6], [low + 20, 10, 10]], np.float32).T
    assert on_cut_face(points, (20, 20, 20), None).tolist() == [1, 0, 0, 1]
    assert on_cut_face(points, (20, 20, 20), ((0, 20), (0, 20), (0, 6))).tolist() == [1, 0, 1, 1]


def test_frames_refuse_what_is_no_bone_fraction() -> None:
    with pytest.raises(InputError, match="bone fraction as uint8"):
        Frame(0.0, Volume.from_array(np.ones((3, 3, 3), np.float32), 20))
    with pytest.raises(InputError, match="finite number of years"):
        Frame(float("nan"), Volume.from_array(np.ones((3, 3, 3), bool), 20))
    mask = Frame(1.0, Volume.from_array(np.ones((3, 3, 3), bool), 20))
    assert mask.fraction.max() == 255
    assert mask.bone_volume_fraction == 100.0
    with pytest.raises(InputError, match="one block"):
        same_block(mask, Frame(2.0, Volume.from_array(np.ones((3, 3, 4), bool), 20)))


def test_the_baseline_is_the_first_frame_after_the_burn_in() -> None:
    assert baseline_index([-2.0, -1.0, 0.0, 1.0]) == 2
    assert baseline_index([-2.0, -1.0]) == 0
    frames = [Frame(float(t), Volume.from_array(np.ones((3, 3, 3), bool), 20)) for t in range(5)]
    assert chosen(frames, [0, 2.2, 9]) == [0, 2, 4]
