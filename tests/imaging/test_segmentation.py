"""Segmentation: the cut, the largest piece, the refusals, and a real scan with a published value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from microct import Volume, segment
from microct.imaging import phantoms
from microct.imaging.segmentation import largest_component, otsu
from microct.status import InputError, StudyError

SCANS = Path(__file__).parents[2] / ".." / "shared" / "data"


def volume(values: np.ndarray) -> Volume:
    return Volume.from_array(values, voxel_size_um=20)


@pytest.fixture
def grey() -> np.ndarray:
    """Noisy marrow around 50 and a noisy block of bone around 170."""
    rng = np.random.Generator(np.random.Philox(3))
    values = 50 + 4 * (rng.random((20, 20, 20)) - 0.5)
    values[5:15, 5:15, 5:15] += 120
    return values.astype(np.float32)


def test_otsu_parts_two_greys(grey: np.ndarray) -> None:
    result = segment(volume(grey))
    assert result.values.dtype == np.uint8
    assert set(np.unique(result.values)) == {0, 255}
    assert np.array_equal(result.values == 255, grey > 110)
    assert "Otsu" in result.provenance.steps[-1]


@pytest.mark.parametrize("sigma", [0.0, 0.8])
def test_otsu_of_one_scan_can_be_given_to_another(grey: np.ndarray, sigma: float) -> None:
    level = otsu(volume(grey), sigma)
    given, found = (segment(volume(grey), cut, sigma) for cut in (level, "otsu"))
    assert np.array_equal(given.values, found.values)
    with pytest.raises(InputError, match="every voxel is 7"):
        otsu(volume(np.full((4, 4, 4), 7, np.uint8)))
    with pytest.raises(StudyError, match="sigma"):
        otsu(volume(grey), -1.0)


def test_otsu_cuts_integers_where_scikit_image_does() -> None:
    from skimage.filters import threshold_otsu

    rng = np.random.Generator(np.random.Philox(4))
    values = (rng.random((16, 16, 16)) * 200).astype(np.uint8)
    result = segment(volume(values), keep_largest=False)
    assert np.array_equal(result.values == 255, values > threshold_otsu(values))


def test_bone_is_at_or_above_the_threshold() -> None:
    values = np.array([10, 20, 30], np.int16).reshape(3, 1, 1) * np.ones((1, 2, 2), np.int16)
    assert list(segment(volume(values), threshold=20).values[:, 0, 0]) == [0, 255, 255]


def test_smoothing_is_a_gaussian_in_voxels(grey: np.ndarray) -> None:
    from skimage.filters import gaussian

    result = segment(volume(grey), threshold=110, sigma=1.5)
    smooth = gaussian(grey, 1.5, preserve_range=True)
    clear = np.abs(smooth - 110) > 1e-3
    assert np.array_equal((result.values == 255)[clear], (smooth >= 110)[clear])
    assert "sigma 1.5" in result.provenance.steps[-1]


def test_largest_piece_is_connected_by_corners_and_the_rest_is_counted() -> None:
    bone = np.zeros((9, 9, 9), bool)
    bone[0:3, 0:3, 0:3] = bone[3, 3, 3] = True  # touch by a corner
    bone[6:8, 6:8, 6] = True
    kept, share = largest_component(bone)
    assert kept.sum() == 28
    assert share == pytest.approx(4 / 32)
    result = segment(volume(bone))
    assert (result.values == 255).sum() == 28
    assert "12.5 % of the bone dropped" in result.provenance.steps[-1]
    assert (segment(volume(bone), keep_largest=False).values == 255).sum() == 32


@pytest.mark.parametrize("pair", [(0, 1), (0, 255), (100, 127), (-3, 0)])
def test_a_mask_passes_whatever_the_threshold(pair: tuple[int, int]) -> None:
    mask = phantoms.slab(0.1, 0.4, 20).values > 127
    values = np.where(mask, pair[1], pair[0]).astype(np.int16)
    result = segment(volume(values), threshold=1000.0, sigma=1.0)
    assert np.array_equal(result.values == 255, mask)
    assert "binary input" in result.provenance.steps[-1]


@pytest.mark.parametrize(("threshold", "word"), [(1000.0, "no bone"), (-5.0, "everything is bone")])
def test_nothing_or_all_bone_says_what_to_try(grey: np.ndarray, threshold: float, word: str) -> None:
    with pytest.raises(InputError, match=word) as refusal:
        segment(volume(grey), threshold=threshold)
    line = str(refusal.value)
    assert f"{threshold:g}" in line
    assert "run from 48" in line
    assert 52 <= float(line.split("Otsu suggests ")[1].split()[0]) <= 168
    assert "\n" not in line


def test_one_grey_value_is_refused() -> None:
    with pytest.raises(InputError, match="every voxel is 7"):
        segment(volume(np.full((4, 4, 4), 7, np.uint8)))


@pytest.mark.parametrize(
    "options",
    [{"threshold": "ostu"}, {"threshold": float("nan")}, {"threshold": True}, {"sigma": -1.0}, {"sigma": float("nan")}],
)
def test_wrong_arguments_are_named(grey: np.ndarray, options: dict) -> None:
    with pytest.raises(StudyError, match=next(iter(options))):
        segment(volume(grey), **options)


def test_place_and_history_stay(grey: np.ndarray) -> None:
    moved = Volume(grey, (0.01, 0.02, 0.03), (1.0, 2.0, 3.0))
    result = segment(moved)
    assert (result.spacing_mm, result.origin_mm) == (moved.spacing_mm, moved.origin_mm)
    assert len(result.provenance.steps) == 1


@pytest.mark.scan
def test_published_bone_volume_fraction_of_a_human_scan() -> None:
    """Gaussian of 1 voxel, 63, largest piece: 23.37 % (ciclope, example 9)."""
    tifffile = pytest.importorskip("tifffile")
    scan, reference = SCANS / "lhdl_3155_D_4_bc.tif", SCANS / "ref_lhdl_3155.json"
    if not scan.exists():
        pytest.skip(f"needs the shared scan {scan.name}")
    published = json.loads(reference.read_text())["ex09_parosol_fullres"]["bvtv_percent"]
    result = segment(Volume.from_array(tifffile.imread(scan), voxel_size_um=19.5), threshold=63, sigma=1.0)
    assert 100 * (result.values == 255).mean() == pytest.approx(published, abs=0.02)
