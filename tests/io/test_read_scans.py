"""Real scans that others made: sizes, values and places as published."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from microct.io.describe import describe
from microct.io.reader import READERS, read
from microct.status import VoxelSizeError

pytestmark = pytest.mark.scan


def present(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        pytest.skip(f"the real scan {name} is not here")
    return folder / name


def test_human_trabecular_bone(shared_data: Path) -> None:
    path = present(shared_data, "lhdl_3155_D_4_bc.tif")
    with pytest.raises(VoxelSizeError, match="--voxel-size-um"):
        read(path)
    volume = read(path, voxel_size_um=19.5)
    assert volume.shape == (200, 200, 200)
    assert volume.values.dtype == np.uint8
    assert volume.voxel_size_um == pytest.approx(19.5)
    assert volume.size_mm == (3.9, 3.9, 3.9)
    assert volume.provenance.sha256 == "f2303da35af5547f898410fa9a76aaaa93ac751009bc71da5e99bbb6d0a87fe9"
    tifffile = pytest.importorskip("tifffile")
    np.testing.assert_array_equal(volume.values, tifffile.imread(path))


@pytest.mark.parametrize(
    ("name", "bone_volume_fraction"),
    [
        ("bonebox_isodata_67960_roi_140.nrrd", 0.049),
        ("bonebox_isodata_67599_roi_87.nrrd", 0.094),
        ("bonebox_isodata_07131_roi_70.nrrd", 0.125),
        ("bonebox_isodata_04216_roi_4.nrrd", 0.163),
        ("bonebox_isodata_04216_roi_8.nrrd", 0.210),
    ],
)
def test_human_vertebrae(name: str, bone_volume_fraction: float, shared_data: Path) -> None:
    path = present(shared_data, name)
    with pytest.raises(VoxelSizeError, match="neither 'space directions' nor 'spacings'"):
        read(path)
    volume = read(path, voxel_size_um=50)
    assert volume.shape == (201, 201, 201)
    assert volume.spacing_mm == (0.05, 0.05, 0.05)
    assert np.mean(volume.values > 0) == pytest.approx(bone_volume_fraction, abs=6e-4)
    nrrd = pytest.importorskip("nrrd")
    np.testing.assert_array_equal(volume.values, nrrd.read(str(path), index_order="C")[0])


def test_shrew_states_its_voxel_size(shared_data: Path) -> None:
    volume = read(present(shared_data, "didsr_Shrew.nrrd"))
    assert volume.shape == (115, 114, 114)
    assert volume.voxel_size_um == pytest.approx(4.1)


@pytest.mark.parametrize("name", ["ormir_GRAY_JOINT", "ormir_AUTOCONTOUR_IPL", "ormir_TRAB_SEG_IPL"])
def test_finger_joint(name: str, shared_data: Path) -> None:
    path = present(shared_data, f"{name}.nii.gz")
    volume = read(path)
    np.testing.assert_allclose(volume.spacing_mm, 0.0607, atol=6e-6)
    assert volume.is_isotropic
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(volume.values, sitk.GetArrayViewFromImage(image))
    np.testing.assert_allclose(volume.spacing_mm, image.GetSpacing()[::-1], rtol=1e-6)
    np.testing.assert_allclose(volume.origin_mm, image.GetOrigin()[::-1], atol=1e-6)
    np.testing.assert_allclose(volume.direction, np.reshape(image.GetDirection(), (3, 3)).T[::-1, ::-1], atol=1e-6)


def test_labels_with_a_reference_solution(shared_data: Path) -> None:
    volume = read(present(shared_data, "trab1240/trab1240_labels.npz"))
    assert volume.shape == (126, 108, 108)
    np.testing.assert_allclose(volume.spacing_mm, (0.06069851, 0.06069965, 0.06069965), atol=1e-8)
    assert np.count_nonzero(volume.values) == 179421  # elements of the reference model


def test_osteon(shared_data: Path) -> None:
    volume = read(present(shared_data, "osteon_FM40-1-R1.npz"))
    assert volume.spacing_mm == (0.0004, 0.000379, 0.000379)
    assert not volume.is_isotropic


def test_every_listed_scan_is_what_the_list_says(shared_data: Path) -> None:
    listed = json.loads((shared_data / "MANIFEST.json").read_text())
    checked = 0
    for entry in listed:
        path = shared_data / entry.get("file", "")
        if not path.is_file() or path.suffix not in READERS or "shape_zyx" not in entry:
            continue
        facts = dict(describe(path, voxel_size_um=tuple(1000 * size for size in entry["voxel_mm"])))
        nz, ny, nx = entry["shape_zyx"]
        assert facts["shape"] == f"{nx} x {ny} x {nz} voxels (x, y, z)"
        assert facts["SHA-256"] == hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        checked += 1
    assert checked >= 6
