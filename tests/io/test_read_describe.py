"""`microct info FILE`: true facts, also without a voxel size."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from microct.io.describe import describe, histogram, otsu
from microct.status import InputError


def saved(folder: Path, values: np.ndarray) -> Path:
    np.save(folder / "scan.npy", values)
    return folder / "scan.npy"


def two_classes(dtype: str, low: float, high: float, spread: float) -> np.ndarray:
    rng = np.random.default_rng(11)
    values = np.where(rng.random((20, 21, 22)) < 0.3, high, low) + rng.normal(0, spread, (20, 21, 22))
    return values.astype(dtype)


def test_grey_scan(tmp_path: Path) -> None:
    path = saved(tmp_path, two_classes("u1", 60, 180, 10))
    facts = dict(describe(path, voxel_size_um=20))
    assert facts["file"] == "scan.npy"
    assert facts["format"] == "NumPy"
    assert facts["shape"] == "22 x 21 x 20 voxels (x, y, z)"
    assert facts["type"].startswith("uint8")
    assert facts["voxel size"] == "20 um, given"
    assert facts["physical size"] == "0.44 x 0.42 x 0.4 mm (x, y, z)"
    assert facts["SHA-256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    values = np.load(path)
    assert facts["grey values"] == f"{values.min()} to {values.max()}, mean {values.mean():.6g}"
    threshold = float(facts["suggested threshold"].split()[0])
    assert 80 < threshold < 160
    assert f"{100 * np.mean(values >= threshold):.1f} % of the voxels are bone" in facts["suggested threshold"]


@pytest.mark.parametrize(
    ("dtype", "low", "high", "spread"),
    [("u1", 60, 180, 20), ("i2", -900, 1500, 300), ("u2", 20000, 41000, 4000), ("f4", -0.2, 0.7, 0.1), ("f8", 1, 9, 1)],
)
def test_otsu_agrees_with_scikit_image(dtype: str, low: float, high: float, spread: float) -> None:
    filters = pytest.importorskip("skimage.filters")
    values = two_classes(dtype, low, high, spread)
    assert otsu(*histogram(values)) == pytest.approx(filters.threshold_otsu(values), rel=1e-6)


def test_suggested_threshold_is_the_one_that_segment_takes(tmp_path: Path) -> None:
    from microct import Volume, segment

    values = two_classes("i2", -900, 1500, 300)
    threshold = dict(describe(saved(tmp_path, values), 20))["suggested threshold"].split()[0]
    by_otsu = segment(Volume.from_array(values, 20))
    given = segment(Volume.from_array(values, 20), threshold=float(threshold))
    np.testing.assert_array_equal(by_otsu.values, given.values)


def test_masks_and_labels(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 5), np.uint8)
    values[0] = 255
    assert dict(describe(saved(tmp_path, values)))["binary"] == "0: 75 voxels (75.00 %); 255: 25 voxels (25.00 %)"
    assert dict(describe(saved(tmp_path, values > 0)))["binary"] == "0: 75 voxels (75.00 %); 1: 25 voxels (25.00 %)"
    values[1] = 100
    assert "100: 25 voxels (25.00 %)" in dict(describe(saved(tmp_path, values.astype("i4"))))["labels"]
    facts = dict(describe(saved(tmp_path, np.full((2, 2, 2), 7, np.int16))))
    assert facts["one value"] == "7: 8 voxels (100.00 %)"
    assert "suggested threshold" not in facts


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((1, 1, 1), np.float32),
        np.full((2, 2, 2), 1e300),
        np.array([[[-(2**63), 2**63 - 1]]], np.int64),
        np.array([[[0, 2**64 - 1]]], np.uint64),
        np.array([[[-1.7e308, 1.7e308]]]),
        np.array([[[1.6e308, 1.65e308, 1.7e308]]]),
        np.ones((3, 1, 1), bool),
    ],
)
@pytest.mark.filterwarnings("error")
def test_extreme_values(values: np.ndarray, tmp_path: Path) -> None:
    assert len(describe(saved(tmp_path, values))) > 5


def test_nan_is_reported_not_hidden(tmp_path: Path) -> None:
    values = np.zeros((3, 3, 3), np.float32)
    values[1, 1, 1] = np.nan
    assert dict(describe(saved(tmp_path, values)))["grey values"].startswith("1 of 27 voxels are NaN or infinite")


def test_unknown_voxel_size_is_said(tmp_path: Path) -> None:
    facts = dict(describe(saved(tmp_path, np.zeros((2, 2, 2)))))
    assert facts["voxel size"] == "unknown: give --voxel-size-um (a NumPy file does not say)"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        describe(tmp_path / "scan.nrrd")
