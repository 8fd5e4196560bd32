"""Bone on voxels finer than those of its scan: no steps, no haze, and the bone volume of the scan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import microct
from microct import Volume, resample
from microct.imaging import phantoms

COARSE, FINE = 50.0, 25.0


def specimen(voxel_um: float) -> Volume:
    return microct.sample(
        "trabecular",
        size_mm=1.8,
        voxel_size_um=voxel_um,
        seed=7,
        bone_volume_fraction=0.15,
        trabecular_thickness_um=150,
    )


@pytest.fixture(scope="module")
def coarse() -> Volume:
    return specimen(COARSE)


@pytest.fixture(scope="module")
def fine() -> Volume:
    return specimen(FINE)


def haze(volume: Volume) -> float:
    """Share of voxels that are partial."""
    return float(((volume.values > 0) & (volume.values < 255)).mean())


def test_bone_fraction_on_finer_voxels_is_nearly_that_of_a_finer_scan(coarse: Volume, fine: Volume) -> None:
    found = resample(coarse, FINE)
    repeated = fine.with_values(np.kron(coarse.values, np.ones((2, 2, 2), np.uint8)), "each voxel eight times")
    assert found.kind == "fraction"

    def error(volume: Volume) -> float:
        return float(np.sqrt(((volume.values.astype(float) - fine.values) ** 2).mean()))

    assert error(found) < 0.35 * error(repeated)
    assert haze(found) < 1.25 * haze(fine) < 0.75 * haze(repeated)
    for symbol, within, repeated_is_off in (("BS/TV", 0.03, 0.1), ("Tb.Th", 0.03, 0.07)):
        true, ours, steps = (microct.measure(volume)[symbol].value for volume in (fine, found, repeated))
        assert ours == pytest.approx(true, rel=within)
        assert abs(steps / true - 1) > repeated_is_off


def test_a_mask_on_finer_voxels_has_no_steps(coarse: Volume) -> None:
    mask = coarse.with_values(coarse.values >= 128, "mask")
    found = resample(mask, FINE)
    before, after = (microct.measure(volume) for volume in (mask, found))
    assert found.kind == "fraction"
    assert after["BV/TV"].value == pytest.approx(before["BV/TV"].value, rel=1e-4)
    for symbol, within in (("BS/TV", 0.06), ("Tb.Th", 0.05), ("Tb.Sp", 0.03), ("Conn.D", 0.1)):
        assert after[symbol].value == pytest.approx(before[symbol].value, rel=within)
    side = found.values.reshape(36, 2, 36, 2, 36, 2).mean(axis=(1, 3, 5)) > 127
    assert (side == mask.values).mean() > 0.995


@pytest.mark.parametrize("tilt", [0.0, 20.0, 45.0])
def test_a_plate_lies_where_it_lies(tilt: float) -> None:
    found = resample(phantoms.slab(0.3, 1.6, 40, tilt_deg=tilt), 20)
    true = phantoms.slab(0.3, 1.6, 20, tilt_deg=tilt)
    inner = (slice(4, -4),) * 3
    off = np.abs(found.values[inner].astype(float) - true.values[inner]) / 255
    assert off.max() < 0.1
    assert off.mean() < 0.002


def test_bone_of_one_voxel_stays_in_its_place() -> None:
    values = np.zeros((16, 16, 16), np.uint8)
    values[7] = 255
    found = resample(Volume.from_array(values, 50), 25).values
    assert np.array_equal(found, np.repeat(np.repeat(np.repeat(values, 2, 0), 2, 1), 2, 2))
    values[:] = 0
    values[7, 7] = 255  # a rod
    rod = resample(Volume.from_array(values, 50), 25).values
    assert rod.sum(dtype=float) == pytest.approx(8 * values.sum(dtype=float), rel=0.01)
    assert ndimage.label(rod >= 128)[1] == 1
    assert (rod >= 128).any(axis=(0, 1)).all()  # from face to face


@given(st.integers(0, 2**31 - 1), st.floats(8.0, 49.0), st.floats(0.0, 1.5), st.booleans())
@settings(max_examples=20, deadline=None)
@pytest.mark.slow
def test_bone_volume_stays_whatever_the_bone(seed: int, size_um: float, sigma: float, is_mask: bool) -> None:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((12, 13, 14)), sigma)
    share = np.clip(0.5 + 2 * noise / (noise.std() + 1e-9) / (1 + sigma), 0, 1)
    values = np.where(share >= 0.5, 255, 0) if is_mask else np.rint(255 * share)
    volume = Volume(values.astype(np.uint8), (0.05, 0.05, 0.05), kind="fraction")
    found = resample(volume, size_um)
    assert found.values.dtype == np.uint8
    slack = 1.5 * size_um / 1000 / min(volume.size_mm)  # the block itself may end elsewhere
    assert found.values.mean() == pytest.approx(volume.values.mean(), rel=0.003 + 3 * slack * (50 % size_um > 0))


@pytest.mark.parametrize("value", [0, 100, 255])
def test_where_there_is_no_surface_nothing_changes(value: int) -> None:
    volume = Volume(np.full((6, 6, 6), value, np.uint8), (0.05, 0.05, 0.05), kind="fraction")
    assert (resample(volume, 20).values == value).all()


def test_a_finer_step_between_slices_is_filled_and_the_rest_stays(fine: Volume) -> None:
    pairs = fine.values.reshape(36, 2, 72, 72).mean(axis=1)
    thick = Volume(np.rint(pairs).astype(np.uint8), (0.05, 0.025, 0.025), kind="fraction")
    found = resample(thick, FINE)
    assert found.shape == fine.shape
    off = np.abs(found.values.astype(float) - fine.values) / 255
    assert off.mean() < 0.4 * (np.abs(np.repeat(thick.values, 2, axis=0).astype(float) - fine.values) / 255).mean()


def test_grey_is_interpolated_not_parted() -> None:
    ramp = np.broadcast_to(np.linspace(20, 200, 12)[:, None, None], (12, 5, 5)).astype(np.uint8)
    found = resample(Volume.from_array(ramp, 50), 25)
    assert found.kind == ""
    steps = np.diff(found.values[2:-2, 3, 3].astype(int))
    assert steps.min() >= 6
    assert steps.max() <= 10
