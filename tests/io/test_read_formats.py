"""NRRD, MetaImage and NIfTI as other programs write them: values, voxel size, origin and directions agree."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from microct.io.reader import read
from microct.status import VoxelSizeError
from microct.volume import Volume

SPACING = (0.03, 0.02, 0.025)  # z, y, x [mm]
ORIGIN = (3.0, -2.0, 1.5)
DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def grey(dtype: str, shape: tuple[int, int, int] = (3, 4, 5)) -> np.ndarray:
    """Numbers that fill the type, so that a wrong byte order or sign shows."""
    rng = np.random.default_rng(7)
    if dtype[0] == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def rotated() -> np.ndarray:
    """World directions (x, y, z) of the axes (x, y, z), as columns."""
    c, s = np.cos(0.3), np.sin(0.3)
    turn_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(-0.8), np.sin(-0.8)
    return turn_z @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def itk_image(sitk, values: np.ndarray, direction: np.ndarray):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN[::-1])
    image.SetDirection(direction.ravel().tolist())
    return image


def assert_same_place(volume: Volume, direction: np.ndarray, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(volume.spacing_mm, SPACING, rtol=tolerance)
    np.testing.assert_allclose(volume.origin_mm, ORIGIN, atol=tolerance * 10)
    # rows (z, y, x) of the array's axes (z, y, x) from columns (x, y, z) of the axes (x, y, z)
    np.testing.assert_allclose(volume.direction, direction.T[::-1, ::-1], atol=tolerance)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz"])
def test_as_simpleitk_writes_it(ending: str, packed: bool, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    values, path = grey("i2"), tmp_path / f"scan{ending}"
    sitk.WriteImage(itk_image(sitk, values, rotated()), str(path), packed)
    volume = read(path)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype("=i2")
    assert_same_place(volume, rotated(), 1e-5 if "nii" in ending else 1e-9)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_simpleitk(dtype: str, ending: str, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    values, path = grey(dtype), tmp_path / f"scan{ending}"
    sitk.WriteImage(itk_image(sitk, values, np.eye(3)), str(path), True)
    volume = read(path)
    assert volume.values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.values, values)


def test_world_is_the_same_in_every_format(tmp_path: Path) -> None:
    """ITK, NRRD and MetaImage are left-posterior-superior, NIfTI is not: after reading they agree."""
    sitk = pytest.importorskip("SimpleITK")
    flipped = rotated() @ np.diag([1.0, 1.0, -1.0])  # a left-handed volume, which NIfTI's qfac must carry
    image = itk_image(sitk, grey("u1"), flipped)
    for ending in (".nrrd", ".mha", ".nii.gz"):
        sitk.WriteImage(image, str(tmp_path / f"s{ending}"))
        assert_same_place(read(tmp_path / f"s{ending}"), flipped, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("endian", ["little", "big"])
def test_nrrd_as_pynrrd_writes_it(dtype: str, encoding: str, endian: str, tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd")
    values, path = grey(dtype), tmp_path / "scan.nrrd"
    header = {"encoding": encoding, "endian": endian, "spacings": [20.0, 20.0, 30.0], "units": ["um", "um", "um"]}
    stored = values.astype(values.dtype.newbyteorder(">" if endian == "big" else "<"))
    nrrd.write(str(path), stored, header, index_order="C")
    volume = read(path)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype.isnative
    assert volume.spacing_mm == (0.03, 0.02, 0.02)
    np.testing.assert_array_equal(volume.values, nrrd.read(str(path), index_order="C")[0])


def test_nrrd_detached_and_anatomical_space(tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd")
    values = grey("u2")
    header = {
        "encoding": "gzip",
        "space": "right-anterior-superior",
        "space directions": np.diag([25.0, 20.0, 30.0]),
        "space origin": np.array([1500.0, -2000.0, 3000.0]),
        "space units": ["microns"] * 3,
    }
    nrrd.write(str(tmp_path / "scan.nhdr"), values, header, index_order="C")
    volume = read(tmp_path / "scan.nhdr")
    np.testing.assert_array_equal(volume.values, values)
    assert volume.spacing_mm == SPACING
    assert volume.origin_mm == (3.0, 2.0, -1.5)  # x and y turn, micrometers become millimeters
    assert volume.direction == ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))
    digests = [hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in ("scan.nhdr", "scan.raw.gz")]
    assert volume.provenance.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()


@pytest.mark.parametrize("skip", [0, 100, -1])
def test_nrrd_byte_skip(skip: int, tmp_path: Path) -> None:
    values = grey("u1")
    (tmp_path / "old.vol").write_bytes(b"?" * (100 if skip else 0) + values.tobytes())
    header = f"NRRD0001\ntype: uchar\ndimension: 3\nsizes: 5 4 3\nencoding: raw\nbyteskip: {skip}\ndatafile: old.vol\n"
    (tmp_path / "scan.nhdr").write_text(header)
    np.testing.assert_array_equal(read(tmp_path / "scan.nhdr", 20).values, values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_as_nibabel_writes_it(dtype: str, ending: str, order: str, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    values, path = grey(dtype), tmp_path / f"scan{ending}"
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ rotated() @ np.diag(SPACING[::-1])
    affine[:3, 3] = np.array([-1.0, -1.0, 1.0]) * ORIGIN[::-1]
    image = nibabel.Nifti1Image(values.T, affine, nibabel.Nifti1Header(endianness=order), dtype=values.dtype)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    volume = read(path)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype(dtype)
    assert_same_place(volume, rotated(), 1e-5)


@pytest.mark.parametrize(("unit", "size"), [("meter", 2e-5), ("mm", 0.02), ("micron", 20.0)])
def test_nifti_units(unit: str, size: float, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(grey("u1").T, np.diag([size, size, size, 1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "scan.nii")
    assert read(tmp_path / "scan.nii").spacing_mm == (0.02, 0.02, 0.02)


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
def test_nifti_scaling(dtype: str, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    values = grey("i2").astype(dtype)
    image = nibabel.Nifti1Image(values.T, np.diag([0.02, 0.02, 0.02, 1.0]))
    nibabel.save(image, tmp_path / "scan.nii")
    raw = bytearray((tmp_path / "scan.nii").read_bytes())
    raw[112:120] = np.array([0.5, -1000.0], "<f4").tobytes()
    (tmp_path / "scan.nii").write_bytes(raw)
    expected = nibabel.load(tmp_path / "scan.nii").get_fdata().T
    volume = read(tmp_path / "scan.nii")
    assert volume.values.dtype == np.dtype("f8" if dtype == "i4" else "f4")
    np.testing.assert_array_equal(volume.values, expected)


def test_gzip_in_several_members(tmp_path: Path) -> None:
    """As bgzip writes: many gzip members in a row are one stream."""
    nibabel = pytest.importorskip("nibabel")
    values = grey("i2", (20, 30, 40))
    nibabel.save(nibabel.Nifti1Image(values.T, np.diag([0.02, 0.02, 0.02, 1.0])), tmp_path / "scan.nii")
    raw = (tmp_path / "scan.nii").read_bytes()
    members = [gzip.compress(raw[i : i + 5000]) for i in range(0, len(raw), 5000)]
    (tmp_path / "scan.nii.gz").write_bytes(b"".join(members))
    np.testing.assert_array_equal(read(tmp_path / "scan.nii.gz").values, values)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("data_file", ["LOCAL", "scan.raw"])
def test_metaimage_byte_order_and_header_size(big: bool, data_file: str, tmp_path: Path) -> None:
    values = grey("u4")
    header = (
        f"NDims = 3\nDimSize = 5 4 3\nElementType = MET_UINT\nElementSpacing = 0.025 0.02 0.03\n"
        f"BinaryDataByteOrderMSB = {big}\nHeaderSize = {-1 if data_file != 'LOCAL' else 0}\n"
        f"ElementDataFile = {data_file}\n"
    ).encode()
    data = values.astype(">u4" if big else "<u4").tobytes()
    if data_file == "LOCAL":
        (tmp_path / "scan.mhd").write_bytes(header + data)
    else:
        (tmp_path / "scan.mhd").write_bytes(header)
        (tmp_path / data_file).write_bytes(b"vendor header" + data)
    volume = read(tmp_path / "scan.mhd")
    np.testing.assert_array_equal(volume.values, values)
    assert volume.spacing_mm == SPACING


def test_explicit_voxel_size_wins_and_is_recorded(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / "scan.mha"
    sitk.WriteImage(itk_image(sitk, grey("u1"), np.eye(3)), str(path))
    stated = read(path)
    assert stated.provenance.steps == (
        "read as MetaImage, voxel size 25 x 20 x 30 um (x, y, z) from ElementSpacing, taken as mm",
    )
    assert stated.provenance.source == "scan.mha"
    assert stated.provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    given = read(path, voxel_size_um=19.5)
    assert given.spacing_mm == (0.0195, 0.0195, 0.0195)
    assert given.provenance.steps == (
        "read as MetaImage, voxel size 19.5 um given; the file's: 25 x 20 x 30 um (x, y, z)",
    )
    assert read(path, voxel_size_um=(30, 20, 10)).spacing_mm == (0.03, 0.02, 0.01)
    # the block begins as many voxels from the origin of the world as before, whatever their size
    np.testing.assert_allclose(given.origin_mm, np.array(stated.origin_mm) * 0.0195 / stated.spacing_mm)
    turned = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]], float)
    sitk.WriteImage(itk_image(sitk, grey("u1"), turned), str(path))
    was, now = read(path), read(path, voxel_size_um=19.5)
    voxels = [np.linalg.solve(np.array(v.direction).T, v.origin_mm) / v.spacing_mm for v in (was, now)]
    np.testing.assert_allclose(*voxels)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
def test_silent_millimeter_is_refused(ending: str, tmp_path: Path) -> None:
    """What a program writes that knows no voxel size."""
    sitk = pytest.importorskip("SimpleITK")
    sitk.WriteImage(sitk.GetImageFromArray(grey("u1")), str(tmp_path / f"s{ending}"))
    with pytest.raises(VoxelSizeError, match="default"):
        read(tmp_path / f"s{ending}")
    assert read(tmp_path / f"s{ending}", voxel_size_um=1000).spacing_mm == (1.0, 1.0, 1.0)


def test_no_guest_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys, microct.io.reader, microct.io.describe\n"
        "assert not {'h5py', 'tifffile', 'jax', 'skimage', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
