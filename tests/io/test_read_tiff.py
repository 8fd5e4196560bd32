"""TIFF files and folders of slices: values exact, voxel size only where something that can be believed states it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from microct.io.reader import read
from microct.io.tiff_codecs import unpack_lzw, unpack_packbits
from microct.status import InputError, VoxelSizeError

DTYPES = ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"]


def grey(dtype: str = "u1", shape: tuple[int, ...] = (5, 37, 23)) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype[0] == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_and_byte_order(dtype: str, byteorder: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, grey(dtype), byteorder=byteorder, photometric="minisblack")
    volume = read(path, 20)
    np.testing.assert_array_equal(volume.values, grey(dtype))
    assert volume.values.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": 2},
        {"compression": "zlib", "rowsperstrip": 8},
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib", "predictor": 2},
        {"bigtiff": True},
        {"rowsperstrip": 5},
        {"photometric": "miniswhite"},
        {"metadata": None},
        {"software": "NRecon", "datetime": True},
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_every_layout(options: dict, dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tiff"
    tifffile.imwrite(path, grey(dtype), **({"photometric": "minisblack", "byteorder": ">"} | options))
    np.testing.assert_array_equal(read(path, 20).values, grey(dtype))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate"])
@pytest.mark.parametrize("kind", ["grey", "flat", "bits", "deep"])
def test_as_pillow_writes_it(compression: str, kind: str, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    values = {
        "grey": grey("u1", (3, 300, 211)),
        "flat": np.repeat(grey("u1", (3, 300, 1)), 211, axis=2),
        "bits": grey("u1", (3, 300, 211)) > 90,
        "deep": grey("u2", (3, 300, 211)),
    }[kind]
    pages = [image.fromarray(plane) for plane in values]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:], compression=compression)
    volume = read(tmp_path / "s.tif", 20)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == values.dtype


def test_codecs_refuse_to_give_more_or_less() -> None:
    assert unpack_packbits(b"\xfe\xaa\x02\x80\x00\x2a", 6) == b"\xaa\xaa\xaa\x80\x00\x2a"  # TIFF 6.0, section 9
    for need in (5, 7):
        with pytest.raises(ValueError, match="expected"):
            unpack_packbits(b"\xfe\xaa\x02\x80\x00\x2a", need)
    packed = bytes.fromhex("80 01 E0 40 80 44 08 0C 06 80 80".replace(" ", ""))  # TIFF 6.0, section 13
    assert unpack_lzw(packed, 9) == bytes([7, 7, 7, 8, 8, 7, 7, 6, 6])
    for need in (8, 10):
        with pytest.raises(ValueError, match="LZW gives"):
            unpack_lzw(packed, need)


@pytest.mark.parametrize(("unit", "size"), [("um", 19.5), ("micron", 19.5), ("mm", 0.0195), ("\\u00B5m", 19.5)])
def test_imagej_calibration(unit: str, size: float, tmp_path: Path) -> None:
    metadata = {"unit": unit, "spacing": size * 2, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "s.tif", grey(), imagej=True, resolution=(1 / size, 1 / size), metadata=metadata)
    volume = read(tmp_path / "s.tif")
    np.testing.assert_allclose(volume.spacing_mm, (0.039, 0.0195, 0.0195), rtol=1e-5)
    assert "ImageJ" in volume.provenance.steps[0]


@pytest.mark.parametrize(
    ("unit", "size", "spacing", "reason"),
    [
        ("pixel", 1.0, 1.0, "unit is pixel"),
        ("mm", 1.0, 1.0, "exactly 1 mm"),
        ("mm", 0.02, None, "no distance of slices"),
        ("um", 19.5, -19.5, "above zero"),
        ("um", 19.5, float("nan"), "above zero"),
    ],
)
def test_imagej_calibration_that_cannot_be_believed(unit, size, spacing, reason, tmp_path: Path) -> None:
    metadata = {"unit": unit, "axes": "ZYX"} | ({"spacing": spacing} if spacing else {})
    tifffile.imwrite(tmp_path / "s.tif", grey(), imagej=True, resolution=(1 / size, 1 / size), metadata=metadata)
    with pytest.raises(VoxelSizeError, match=reason):
        read(tmp_path / "s.tif")


def test_imagej_stack_with_one_page(tmp_path: Path) -> None:
    """ImageJ writes stacks beyond 4 GiB with the first page only; the other planes follow it unannounced by TIFF."""
    values = grey("u2")
    description = f"ImageJ=1.54f\nimages={len(values)}\nslices={len(values)}\nunit=micron\nspacing=20.0\n"
    tifffile.imwrite(
        tmp_path / "s.tif", values[0], byteorder=">", description=description, metadata=None, resolution=(0.05, 0.05)
    )
    with (tmp_path / "s.tif").open("ab") as stream:
        stream.seek(0, 2)
        stream.write(values[1:].astype(">u2").tobytes())
    data = (tmp_path / "s.tif").read_bytes()
    first = data.find(values[0].astype(">u2").tobytes())
    if first + values[0].nbytes != len(data) - values[1:].nbytes:
        pytest.skip("tifffile did not put the plane last")
    volume = read(tmp_path / "s.tif")
    np.testing.assert_array_equal(volume.values, values)
    np.testing.assert_allclose(volume.spacing_mm, 0.02, rtol=1e-6)
    (tmp_path / "s.tif").write_bytes(data[:-1])
    with pytest.raises(InputError, match="behind the first page"):
        read(tmp_path / "s.tif")


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((512.8205128, 512.8205128), "CENTIMETER", 0.0195),
        ((1302.564, 1302.564), "INCH", 0.0195),
        ((72, 72), "INCH", None),
        ((28.346456, 28.346456), "CENTIMETER", None),
        ((600, 600), "INCH", None),
        ((512.8, 512.8), "NONE", None),
        ((512.8, 256.4), "CENTIMETER", None),
    ],
)
def test_resolution_tags(resolution, unit: str, expected: float | None, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", grey(), resolution=resolution, resolutionunit=unit)
    if expected is None:
        with pytest.raises(VoxelSizeError, match=r"resolution|pixel sizes"):
            read(tmp_path / "s.tif")
    else:
        volume = read(tmp_path / "s.tif")
        np.testing.assert_allclose(volume.spacing_mm, expected, rtol=1e-4)
        assert "distance of slices taken as the pixel size" in volume.provenance.steps[0]


def test_ome(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 19.5, "PhysicalSizeY": 19.5, "PhysicalSizeZ": 0.039}
    metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm", "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(tmp_path / "s.ome.tif", grey(), ome=True, metadata=metadata | {"PhysicalSizeZ": 39.0})
    volume = read(tmp_path / "s.ome.tif")
    np.testing.assert_array_equal(volume.values, grey())
    assert volume.spacing_mm == (0.039, 0.0195, 0.0195)


def slices(folder: Path, names: list[str], values: np.ndarray) -> None:
    for name, plane in zip(names, values, strict=True):
        tifffile.imwrite(folder / name, plane)


def test_folder_in_natural_order_with_skyscan_log(tmp_path: Path) -> None:
    values = grey("u2", (12, 9, 7))
    slices(tmp_path, [f"femur_rec{i}.TIF" for i in range(12)], values)
    tifffile.imwrite(tmp_path / "femur_rec_spr.tif", np.zeros((3, 3), np.uint8))
    (tmp_path / "._femur_rec0.TIF").write_bytes(b"not a picture")
    (tmp_path / "femur_rec.log").write_bytes(
        b"[System]\r\nScanner=SkyScan1176\r\n[Acquisition]\r\nImage Pixel Size (um)=   17.3836\r\n"
        b"[Reconstruction]\r\nPixel Size (um)=17.38359\r\n"
    )
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.values, values)
    np.testing.assert_allclose(volume.spacing_mm, 0.0173836, rtol=1e-5)
    assert volume.provenance.source == tmp_path.name
    assert volume.provenance.header["left out"] == "femur_rec_spr.tif"
    assert "femur_rec.log" in volume.provenance.steps[0]


def test_folder_digest_is_that_of_the_digests(tmp_path: Path) -> None:
    import hashlib

    slices(tmp_path, ["a1.tif", "a2.tif", "a10.tif"], grey("u1", (3, 4, 5)))
    text = "".join(hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in ("a1.tif", "a2.tif", "a10.tif"))
    with pytest.raises(InputError, match=r"slices are missing between a2\.tif and a10\.tif"):
        read(tmp_path, 20)
    (tmp_path / "a10.tif").rename(tmp_path / "a3.tif")
    assert read(tmp_path, 20).provenance.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_every_second_slice_has_no_known_distance(tmp_path: Path) -> None:
    slices(tmp_path, ["a2.tif", "a4.tif", "a6.tif"], grey("u1", (3, 4, 5)))
    (tmp_path / "a.log").write_text("Pixel Size (um)=20\n")
    with pytest.raises(VoxelSizeError, match="steps of 2"):
        read(tmp_path)
    assert read(tmp_path, (40, 20, 20)).spacing_mm == (0.04, 0.02, 0.02)


def test_log_beside_a_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "femur.tif", grey())
    (tmp_path / "femur.log").write_bytes(b"Image Pixel Size (\xb5m)=12.5\r\n")
    assert read(tmp_path / "femur.tif").spacing_mm == (0.0125, 0.0125, 0.0125)


def test_one_page_is_one_plane(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", grey("u1", (4, 5)))
    assert read(tmp_path / "s.tif", 20).shape == (1, 4, 5)


def test_two_thousand_pages(tmp_path: Path) -> None:
    values = grey("u1", (2000, 6, 5))
    tifffile.imwrite(tmp_path / "s.tif", values, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "s.tif", 20).values, values)
