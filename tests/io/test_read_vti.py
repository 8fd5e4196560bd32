"""VTK images as VTK itself writes them, and damaged ones."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct import read
from microct.status import InputError, MicroctError, VoxelSizeError

vtk = pytest.importorskip("vtk")

SHAPE = (5, 6, 7)
GREY = np.random.default_rng(3).integers(-999, 9000, SHAPE)


def image_of(values, cells, spacing=(0.03, 0.02, 0.01), turn=None):
    """vtkImageData; ``spacing`` along x, y, z."""
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetExtent(*(n for first, size in zip((1, 0, 2), values.shape[::-1], strict=True)
                      for n in (first, first + size - (0 if cells else 1))))  # fmt: skip
    image.SetSpacing(spacing)
    image.SetOrigin(1.0, 2.0, 3.0)
    if turn is not None:
        image.SetDirectionMatrix(*turn)
    array = numpy_to_vtk(values.ravel(), deep=True)
    array.SetName("grey")
    (image.GetCellData() if cells else image.GetPointData()).SetScalars(array)
    return image


def write(path, image, mode="appended", deflate=True, encode=False, big=False, wide=True):
    writer = vtk.vtkXMLImageDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    modes = {"appended": writer.SetDataModeToAppended, "binary": writer.SetDataModeToBinary}
    (modes | {"ascii": writer.SetDataModeToAscii})[mode]()
    writer.SetEncodeAppendedData(encode)
    (writer.SetCompressorTypeToZLib if deflate else writer.SetCompressorTypeToNone)()
    (writer.SetByteOrderToBigEndian if big else writer.SetByteOrderToLittleEndian)()
    (writer.SetHeaderTypeToUInt64 if wide else writer.SetHeaderTypeToUInt32)()
    assert writer.Write()
    return path


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"deflate": False},
        {"encode": True},
        {"encode": True, "deflate": False, "wide": False},
        {"mode": "binary"},
        {"mode": "binary", "deflate": False},
        {"big": True},
        {"big": True, "mode": "binary", "wide": False},
    ],
)
def test_as_vtk_writes_it(how, kind, tmp_path):
    values = GREY.astype(kind)
    cells = kind in ("u1", "f4")
    volume = read(write(tmp_path / "scan.vti", image_of(values, cells), **how))
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype(kind)
    assert volume.spacing_mm == pytest.approx((0.01, 0.02, 0.03))
    half = 0.5 if cells else 0.0
    assert volume.origin_mm == pytest.approx((3 + (2 + half) * 0.01, 2 + half * 0.02, 1 + (1 + half) * 0.03))


def test_large_arrays_come_in_several_blocks(tmp_path):
    values = np.random.default_rng(0).integers(0, 4, (40, 50, 60)).astype(np.uint8)
    volume = read(write(tmp_path / "scan.vti", image_of(values, True)))
    np.testing.assert_array_equal(volume.values, values)


def test_orientation_is_kept(tmp_path):
    turn = (0, 1, 0, -1, 0, 0, 0, 0, 1)  # rows of the matrix; the file's x axis points to -y
    volume = read(write(tmp_path / "scan.vti", image_of(GREY.astype("i2"), False, turn=turn)))
    assert volume.direction == ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
    np.testing.assert_allclose(volume.origin_mm, (3 + 2 * 0.01, 2 - 0.03, 1))


def test_a_voxel_of_one_without_unit_is_asked_for(tmp_path):
    path = write(tmp_path / "scan.vti", image_of(GREY.astype("i2"), False, spacing=(1, 1, 1)))
    with pytest.raises(VoxelSizeError):
        read(path)
    assert read(path, voxel_size_um=20).spacing_mm == (0.02,) * 3


def test_what_is_not_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="format of the array"):
        read(write(tmp_path / "ascii.vti", image_of(GREY.astype("i2"), False), mode="ascii"))
    image = image_of(GREY.astype("i2"), False)
    image.GetPointData().SetActiveScalars("")
    other = image.GetPointData().GetArray(0).NewInstance()
    other.DeepCopy(image.GetPointData().GetArray(0))
    other.SetName("other")
    image.GetPointData().AddArray(other)
    image.GetPointData().SetActiveAttribute(-1, 0)
    with pytest.raises(InputError, match="arrays"):
        read(write(tmp_path / "two.vti", image))
    bomb = tmp_path / "bomb.vti"
    bomb.write_bytes(b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]><VTKFile type="ImageData">&b;</VTKFile>')
    with pytest.raises(InputError, match="without declarations"):
        read(bomb)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("vti")
    how = data.draw(st.sampled_from([{}, {"deflate": False}, {"encode": True}, {"mode": "binary"}]))
    content = bytearray(write(folder / "scan.vti", image_of(GREY.astype("i2"), False), **how).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = folder / "damaged.vti"
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(MicroctError):
        assert read(damaged).values.ndim == 3
