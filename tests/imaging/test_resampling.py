"""Cropping and resampling: what is kept (place, bone volume, grey) and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct import Volume, crop, resample
from microct.imaging import phantoms
from microct.imaging.resampling import crop_empty_border
from microct.status import InputError, VoxelSizeError


def ramp(shape: tuple[int, int, int] = (8, 10, 12), **place: object) -> Volume:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(values, (0.02, 0.02, 0.02), **place)  # type: ignore[arg-type]


def test_crop_is_a_slice_and_the_origin_moves_along() -> None:
    source = ramp(origin_mm=(1.0, 2.0, 3.0))
    result = crop(source, [(2, -1), None, (None, 5)])
    assert np.array_equal(result.values, source.values[2:-1, :, :5])
    assert result.origin_mm == pytest.approx((1.04, 2.0, 3.0))
    assert result.provenance.steps[-1] == "crop to voxels 2:7, 0:10, 0:5 (z, y, x)"


def test_crop_moves_the_origin_along_turned_axes() -> None:
    turned = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    result = crop(ramp(direction=turned), [(2, 4), (3, 6), (0, 1)])
    assert result.origin_mm == pytest.approx((-0.06, 0.04, 0.0))


@pytest.mark.parametrize(
    "box",
    [
        [(0, 9), None, None],
        [(4, 4), None, None],
        [(5, 2), None, None],
        [(-20, 3), None, None],
        [None, None],
        [(0, 1.5), None, None],
        [(0, 1, 2), None, None],
        "all",
    ],
)
def test_crop_refuses_and_names_the_shape(box: object) -> None:
    with pytest.raises(InputError, match=r"\(8, 10, 12\)"):
        crop(ramp(), box)  # type: ignore[arg-type]


def test_empty_border_goes() -> None:
    values = np.zeros((9, 9, 9), np.uint8)
    values[2:5, 3, 1:8] = 1
    source = Volume.from_array(values, 50)
    assert crop_empty_border(source).shape == (3, 1, 7)
    assert crop_empty_border(source, margin=2).shape == (7, 5, 9)
    with pytest.raises(InputError, match="nothing to crop"):
        crop_empty_border(Volume.from_array(np.zeros((3, 3, 3), np.uint8), 50))


@given(old=st.floats(8.0, 60.0), new=st.floats(8.0, 60.0), tilt=st.floats(0.0, 45.0))
@settings(max_examples=15, deadline=None)
def test_bone_volume_fraction_stays_at_any_pair_of_voxel_sizes(old: float, new: float, tilt: float) -> None:
    source = phantoms.slab(0.3, 1.6, old, tilt_deg=tilt)
    result = resample(source, new)
    assert result.values.dtype == np.uint8
    assert result.spacing_mm == pytest.approx((new / 1000,) * 3)
    # the block may change by half a voxel at each end: that is all that may change the fraction
    slack = 1.0 + 1.5 * new / 1600
    assert result.values.mean() == pytest.approx(source.values.mean(), rel=0.01 * slack + 0.02 * (new > 30))


@pytest.mark.parametrize("new", [10, 20, 25, 50, 80])
def test_bone_volume_stays_within_one_percent(new: float) -> None:
    source = phantoms.sphere(0.5, 2.0, 20)
    mask = source.with_values(source.values >= 128, "mask")
    for volume, full in ((source, 255), (mask, 1)):
        result = resample(volume, new)
        before = volume.values.astype(float).sum() / full * np.prod(volume.spacing_mm)
        after = result.values.astype(float).sum() / 255 * np.prod(result.spacing_mm)
        assert after == pytest.approx(before, rel=0.01)
        assert result.values.max() == 255


def test_whole_multiples_are_plain_means() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    values = rng.random((8, 6, 4)) < 0.4
    result = resample(Volume.from_array(values, 20), 40)
    means = values.reshape(4, 2, 3, 2, 2, 2).mean(axis=(1, 3, 5))
    assert np.array_equal(result.values, np.rint(255 * means))


def test_grey_ramp_stays_a_ramp_in_the_same_place() -> None:
    z = np.arange(40, dtype=np.float64)[:, None, None] * np.ones((1, 40, 40))
    source = Volume(z, (0.02, 0.02, 0.02), (0.5, 0.0, 0.0))
    for size in (10.0, 30.0, 47.0):
        result = resample(source, size)
        place = result.origin_mm[0] + np.arange(result.shape[0]) * result.spacing_mm[0]
        inner = slice(3, -3)
        assert result.values[inner, 5, 5] == pytest.approx((place[inner] - 0.5) / 0.02)


def test_downsampling_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 1000], np.uint16), 32)[:, None, None] * np.ones((1, 9, 9), np.uint16)
    result = resample(Volume.from_array(stripes.astype(np.uint16) + np.arange(9, dtype=np.uint16), 20), (62, 20, 20))
    inner = result.values[2:-2].astype(float)
    assert np.ptp(inner, axis=0).max() < 250  # picking every third plane would swing by 1000
    assert result.values.dtype == np.uint16


def test_to_cubes() -> None:
    source = Volume(ramp((20, 10, 10)).values, (0.01, 0.02, 0.02))
    result = resample(source, 20)
    assert result.is_isotropic
    assert result.shape == (10, 10, 10)
    assert result.size_mm == source.size_mm


def test_same_size_changes_nothing() -> None:
    source = ramp()
    assert np.array_equal(resample(source, 20).values, source.values)


@pytest.mark.parametrize("size", [0, -20, float("nan"), 1e9])
def test_unusable_voxel_sizes(size: float) -> None:
    with pytest.raises(VoxelSizeError):
        resample(ramp(), size)


def test_voxel_larger_than_the_block() -> None:
    with pytest.raises(InputError, match="larger than the block"):
        resample(ramp(), 900)


def test_a_block_from_within_a_mask_of_zeros_and_ones_is_bone() -> None:
    ones = np.ones((8, 8, 8), np.uint8)
    for mask in (ones, ones * 255, ones.astype(bool)):
        assert (resample(Volume.from_array(mask, 40.0), 80.0).values == 255).all()
    assert (resample(Volume.from_array(ones * 100, 40.0), 80.0).values == 100).all()  # grey
