"""Folders of PNG, BMP and JPEG slices: values exact, in natural order, one kind, no slice missing."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from corpus import hostile, pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from microct.io.describe import describe
from microct.io.reader import read
from microct.status import InputError, MicroctError, VoxelSizeError

GREY = np.random.default_rng(5).integers(0, 256, (12, 9, 7), dtype=np.uint8)
DEEP = np.random.default_rng(6).integers(0, 65536, (12, 9, 7), dtype=np.uint16)
MASK = GREY > 128


def put(folder: Path, planes: list[bytes], ending: str = "png", first: int = 0, step: int = 1) -> Path:
    """Slices femur_rec0, femur_rec1 ... with so many digits as their number has."""
    for i, data in enumerate(planes):
        (folder / f"femur_rec{first + step * i}.{ending}").write_bytes(data)
    return folder


def colors(values: np.ndarray, alpha: int | None = None) -> np.ndarray:
    channels = [values] * 3 + ([] if alpha is None else [np.full_like(values, alpha)])
    return np.stack(channels, axis=-1)


PALETTE = pictures.png_chunk(b"PLTE", pictures.GREYS[::-1].tobytes())
OPAQUE = pictures.png_chunk(b"tRNS", b"\xff" * 256)
WAYS = {
    "png": (GREY, "png", lambda plane: pictures.png(plane)),
    "png of 16 bits": (DEEP, "png", lambda plane: pictures.png(plane, 16)),
    "png mask": (MASK, "png", lambda plane: pictures.png(plane, 1)),
    "png with a palette": (255 - GREY, "png", lambda plane: pictures.png(255 - plane, color=3, more=PALETTE + OPAQUE)),
    "png in color": (GREY, "PNG", lambda plane: pictures.png(colors(plane), color=2)),
    "png, opaque": (GREY, "png", lambda plane: pictures.png(colors(plane, 255), color=6)),
    "png grey, opaque": (GREY, "png", lambda plane: pictures.png(colors(plane, 255)[..., 2:], color=4)),
    "png of 4 bits": (
        GREY // 17 * 17,
        "png",
        lambda plane: pictures.png(
            (plane[:, ::2] // 17 << 4) + np.pad(plane[:, 1::2] // 17, ((0, 0), (0, 1))), 4, size=(7, 9)
        ),
    ),
    "bmp": (GREY, "bmp", lambda plane: pictures.bmp(plane)),
    "bmp from the top": (GREY, "bmp", lambda plane: pictures.bmp(plane[::-1], height=(22, "i", -9))),
    "bmp with a palette": (GREY, "bmp", lambda plane: pictures.bmp(255 - plane, pictures.GREYS[::-1])),
    "bmp mask": (MASK, "BMP", lambda plane: pictures.bmp(plane, pictures.GREYS[[0, 255]])),
    "bmp mask, white first": (MASK, "bmp", lambda plane: pictures.bmp(~plane, pictures.GREYS[[255, 0]])),
    "bmp in color": (GREY, "bmp", lambda plane: pictures.bmp(colors(plane), None)),
    "bmp in color of 32 bits": (GREY, "bmp", lambda plane: pictures.bmp(colors(plane, 0), None)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_layout_is_read_exactly(way: str, tmp_path: Path) -> None:
    values, ending, encode = WAYS[way]
    volume = read(put(tmp_path, [encode(plane) for plane in values], ending), 20)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == values.dtype
    assert f"read as {ending.upper()} slices" in volume.provenance.steps[0]
    assert "compression" not in volume.provenance.header


@pytest.mark.parametrize(
    ("kind", "values"), [("png", GREY), ("png", DEEP), ("png", MASK), ("bmp", GREY), ("bmp", MASK)]
)
def test_as_pillow_writes_it(kind: str, values: np.ndarray, tmp_path: Path) -> None:
    for i, plane in enumerate(values):
        Image.fromarray(plane).save(tmp_path / f"s{i}.{kind}", dpi=(72, 72))
    volume = read(tmp_path, 20)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == values.dtype


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", ["jpg", "jpeg"])
def test_jpeg_is_near_and_says_so(ending: str, channels: int, tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(12) * 8, np.add.outer(np.arange(24) * 3, np.arange(16) * 5)).astype(np.uint8)
    planes = [plane if channels == 1 else colors(plane) for plane in smooth]
    volume = read(put(tmp_path, [pictures.jpeg(plane, quality=95) for plane in planes], ending), 20)
    assert np.abs(volume.values.astype(int) - smooth).max() <= 6
    assert volume.values.dtype == np.uint8
    assert "lossy" in volume.provenance.header["compression"]
    assert "read as JPEG slices" in volume.provenance.steps[0]


@pytest.mark.parametrize(("height", "width"), [(9, 7), (1, 1), (3, 5), (2, 16)])
def test_interlaced(height: int, width: int, tmp_path: Path) -> None:
    """Seven passes, each over a grid of its own (PNG specification, 8.2)."""
    plane = np.random.default_rng(7).integers(0, 256, (height, width), dtype=np.uint8)
    grids = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [plane[y::down, x::across] for x, y, across, down in grids]
    raw = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    for name, rows in (("whole", raw), ("short", raw[:-1])):
        head = pictures.png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1))
        body = pictures.png_chunk(b"IDAT", zlib.compress(rows)) + pictures.png_chunk(b"IEND", b"")
        (tmp_path / name).mkdir()
        (tmp_path / name / "s1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)
    np.testing.assert_array_equal(read(tmp_path / "whole", 20).values, [plane])
    with pytest.raises(InputError, match=rf"{len(raw) - 1} bytes of pixels, {len(raw)} announced"):
        read(tmp_path / "short", 20)


def test_skyscan_folder(tmp_path: Path) -> None:
    """As NRecon leaves it: eight digits, a preview, a log."""
    for i, plane in enumerate(GREY):
        (tmp_path / f"femur_rec{i + 95:08d}.bmp").write_bytes(pictures.bmp(plane))
    (tmp_path / "femur_rec_spr.bmp").write_bytes(pictures.bmp(colors(GREY[0, :3, :3]), None))
    (tmp_path / "._femur_rec00000095.bmp").write_bytes(b"not a picture")
    (tmp_path / "femur_rec.log").write_bytes(
        b"[Acquisition]\r\nImage Pixel Size (um)=   17.3836\r\n[Reconstruction]\r\nPixel Size (um)=17.38359\r\n"
    )
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.values, GREY)
    np.testing.assert_allclose(volume.spacing_mm, 0.0173836, rtol=1e-5)
    assert "femur_rec.log" in volume.provenance.steps[0]
    header = volume.provenance.header
    assert header["left out"] == "femur_rec_spr.bmp"
    assert header["slices"] == "12, femur_rec00000095.bmp to femur_rec00000106.bmp"
    paths = sorted(tmp_path.glob("femur_rec0*.bmp"))
    text = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    assert volume.provenance.sha256 == hashlib.sha256(text.encode()).hexdigest()
    facts = dict(describe(tmp_path))
    assert facts["format"] == "BMP slices"
    assert facts["shape"] == "7 x 9 x 12 voxels (x, y, z)"


def test_natural_order(tmp_path: Path) -> None:
    """Without leading zeros slice 10 would come after slice 1."""
    np.testing.assert_array_equal(read(put(tmp_path, [pictures.png(plane) for plane in GREY]), 20).values, GREY)


def test_dots_per_inch_are_no_voxel_size(tmp_path: Path) -> None:
    dense = pictures.png_chunk(b"pHYs", b"\0\0\xc8\xa0\0\0\xc8\xa0\1")  # 51360 pixels in a meter: 19.5 um
    put(tmp_path, [pictures.png(plane, more=dense) for plane in GREY])
    with pytest.raises(VoxelSizeError, match=r"voxel size unknown: .*no SkyScan log.*--voxel-size-um"):
        read(tmp_path)
    assert dict(describe(tmp_path))["voxel size"].startswith("unknown: give --voxel-size-um")


def test_every_second_slice_has_no_known_distance(tmp_path: Path) -> None:
    put(tmp_path, [pictures.bmp(plane) for plane in GREY], "bmp", step=2)
    (tmp_path / "femur_rec.log").write_text("Pixel Size (um)=20\n")
    with pytest.raises(VoxelSizeError, match="steps of 2"):
        read(tmp_path)


@pytest.mark.parametrize("missing", [1, 5, 10])
def test_a_missing_slice_is_refused(missing: int, tmp_path: Path) -> None:
    put(tmp_path, [pictures.png(plane) for plane in GREY])
    (tmp_path / f"femur_rec{missing}.png").unlink()
    around = rf"missing between femur_rec{missing - 1}\.png and femur_rec{missing + 1}\.png"
    with pytest.raises(InputError, match=around):
        read(tmp_path, 20)


def test_one_number_in_several_names_is_refused(tmp_path: Path) -> None:
    for name in ("s1.png", "s01.png", "s001.png"):
        (tmp_path / name).write_bytes(pictures.png())
    with pytest.raises(InputError, match="have the same number"):
        read(tmp_path, 20)


def test_one_number_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path, [pictures.jpeg(plane) for plane in GREY], "jpg")
    shutil.copy(tmp_path / "femur_rec4.jpg", tmp_path / "femur_rec4.jpeg")
    with pytest.raises(InputError, match=r"femur_rec4\.jpe?g and femur_rec4\.jpe?g have the same number"):
        read(tmp_path, 20)


REFUSED = {
    "png_bomb": r"s2\.png: height, width",
    "png_truncated": r"s2\.png: the PNG is damaged",
    "png_pixels_missing": r"s2\.png: the PNG is damaged \(36 bytes of pixels, 72 announced\)",
    "png_wrong_checksum": r"s2\.png: the PNG is damaged \(wrong checksum in b'IDAT'\)",
    "png_without_end": r"s2\.png: the PNG is damaged",
    "png_without_pixels": r"s2\.png: (pixels|the PNG is damaged)",
    "png_is_jpeg": r"s2\.png: the PNG is damaged",
    "png_animated": r"s2\.png: frames: .* got several",
    "png_color": r"s2\.png: pixels: expected grey ones, got colored",
    "png_color_of_16_bits": r"s2\.png: pixels: .*RGB;16B",
    "png_transparent_grey": r"s2\.png: transparency",
    "png_transparent_pixel": r"s2\.png: alpha: expected opaque",
    "png_palette_too_short": r"s2\.png: palette: .* got 252 entries",
    "png_palette_colored": r"s2\.png: pixels: expected grey ones, got colored",
    "png_text_bomb": r"s2\.png: the PNG is damaged",
    "bmp_truncated": r"s2\.bmp: pixels: expected 64 bytes behind the header",
    "bmp_wide": r"s2\.bmp: pixels: expected 3600000000 bytes",
    "bmp_pixels_in_palette": r"s2\.bmp: pixels: .*behind the header",
    "bmp_run_lengths": r"s2\.bmp: pixels: .*compressed",
    "bmp_of_16_bits": r"s2\.bmp: pixels: .*BGR;15",
    "bmp_palette_of_two": r"s2\.bmp: palette",
    "bmp_color": r"s2\.bmp: pixels: expected grey ones, got colored",
    "jpeg_truncated": r"s2\.jpg: the JPEG is damaged",
    "jpeg_color": r"s2\.jpg: pixels: expected grey ones, got colored",
    "jpeg_of_four_inks": r"s2\.jpg: pixels: .*CMYK",
    "jpeg_many_passes": r"s2\.jpg: passes",
    "jpeg_wide": r"s2\.jpg: height, width",
    "slices_of_other_shape": r"s2\.png: height, width: expected \(8, 8\) as the first slice, got \(8, 7\)",
    "slices_of_other_depth": r"s2\.png: depth: expected uint8 as the first slice, got uint16",
    "slices_partly_binary": r"s2\.png: depth: expected uint8 as the first slice, got bool",
    "pictures_link_out": "slice: expected a regular file in the same folder",
    "pictures_of_two_kinds": r"files of two kinds \(3 PNG and 1 BMP, such as s0\.png and s3\.bmp\)",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_for_its_own_reason(name: str, tmp_path: Path) -> None:
    (tmp_path / hostile.SECRET).write_bytes(bytes(64))
    folder = tmp_path / "scan"
    folder.mkdir()
    with pytest.raises(InputError, match=REFUSED[name]):
        read(hostile.CASES[name](folder))


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg"])
def test_the_unspoilt_folder_is_read(ending: str, tmp_path: Path) -> None:
    whole = {"png": pictures.png, "bmp": pictures.bmp, "jpg": pictures.jpeg}[ending]()
    volume = read(pictures.pictures(tmp_path, (ending, whole)))
    assert volume.shape == (3, 8, 8)
    assert volume.spacing_mm == (0.02, 0.02, 0.02)


@pytest.mark.parametrize("name", ["png_bomb", "jpeg_wide", "bmp_wide"])
def test_a_claim_that_the_bytes_cannot_hold_is_refused_in_the_first_slice_too(name: str, tmp_path: Path) -> None:
    ending, data = pictures.PICTURES[name]
    (tmp_path / f"s1.{ending}").write_bytes(data)
    with pytest.raises(InputError, match=rf"s1\.{ending}: .*[0-9]{{9,}} bytes .* got {len(data)}"):
        read(tmp_path, 20)


def test_two_pictures_in_a_jpeg_are_refused(tmp_path: Path) -> None:
    plane = Image.fromarray(GREY[0])
    plane.save(tmp_path / "s1.jpg", "MPO", save_all=True, append_images=[plane])
    with pytest.raises(InputError, match=r"s1\.jpg: frames: .* got several"):
        read(tmp_path, 20)


def test_budget_counts_all_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [pictures.png(plane) for plane in GREY])
    monkeypatch.setenv("MICROCT_MAX_VOXELS", str(GREY.size - 1))
    with pytest.raises(InputError, match=rf"{GREY.size} voxels .* more than the {GREY.size - 1}"):
        read(tmp_path, 20)
    monkeypatch.setenv("MICROCT_MAX_VOXELS", str(GREY.size))
    assert read(tmp_path, 20).shape == GREY.shape


def test_more_than_memory_is_refused_before_pixels_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [pictures.png(plane, 16) for plane in DEEP])
    monkeypatch.setattr("microct.io.source.physical_memory", lambda: 2 * DEEP.size - 1)
    monkeypatch.setattr("microct.io.pictures._grey", lambda *_: pytest.fail("pixels were read"))
    with pytest.raises(InputError, match=r"femur_rec0\.png: slices, height, width: needs"):
        read(tmp_path, 20)


def test_previews_of_another_kind_do_not_count(tmp_path: Path) -> None:
    for i, plane in enumerate(GREY[:3]):
        tifffile.imwrite(tmp_path / f"femur_rec{i}.tif", plane)
    (tmp_path / "femur_rec_spr.bmp").write_bytes(pictures.bmp())
    volume = read(tmp_path, 20)
    np.testing.assert_array_equal(volume.values, GREY[:3])
    assert volume.provenance.header["left out"] == "femur_rec_spr.bmp"


def test_one_screenshot_beside_many_slices_is_left_out_and_named(tmp_path: Path) -> None:
    put(tmp_path, [pictures.bmp(plane) for plane in GREY], "bmp")
    (tmp_path / "screenshot.png").write_bytes(pictures.png(pictures.COLORED, color=2))
    (tmp_path / "photo.jpg").write_bytes(pictures.jpeg())
    volume = read(tmp_path, 20)
    np.testing.assert_array_equal(volume.values, GREY)
    assert volume.provenance.header["left out"] == "screenshot.png, photo.jpg"
    (tmp_path / "another.png").write_bytes(pictures.png())
    with pytest.raises(InputError, match=r"two kinds \(12 BMP and 2 PNG, such as femur_rec0\.bmp and another\.png\)"):
        read(tmp_path, 20)


def test_a_slice_of_another_kind_is_no_screenshot(tmp_path: Path) -> None:
    put(tmp_path, [pictures.bmp(plane) for plane in GREY], "bmp")
    (tmp_path / "femur_rec12.png").write_bytes(pictures.png())
    with pytest.raises(InputError, match=r"two kinds \(12 BMP and 1 PNG.*move the other elsewhere"):
        read(tmp_path, 20)


def test_a_few_slices_and_a_screenshot_are_not_told_apart(tmp_path: Path) -> None:
    put(tmp_path, [pictures.bmp(plane) for plane in GREY[:9]], "bmp")
    (tmp_path / "screenshot.png").write_bytes(pictures.png())
    with pytest.raises(InputError, match=r"two kinds \(9 BMP and 1 PNG"):
        read(tmp_path, 20)


@pytest.mark.parametrize("kind", ["png", "bmp", "jpg", "jpeg", "PNG"])
def test_one_picture_is_told_to_give_its_folder(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"s.{kind}").write_bytes(pictures.png())
    with pytest.raises(InputError, match=rf"s\.{kind}: .*give the folder that holds all of them"):
        read(tmp_path / f"s.{kind}", 20)


def test_a_folder_without_slices_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "femur_rec_spr.bmp").write_bytes(pictures.bmp())
    with pytest.raises(InputError, match=r"a folder of slices \(\.tif .*\.png .*DICOM\), found none"):
        read(tmp_path)


def _checked(data: bytes, ending: str) -> None:
    """A folder with ``data`` as its second slice is read or refused in one line."""
    whole = {"png": pictures.png, "bmp": pictures.bmp, "jpg": pictures.jpeg}[ending]()
    with tempfile.TemporaryDirectory() as name:
        folder = put(Path(name), [whole, data], ending)
        message = ""
        try:
            volume = read(folder, 20)
        except MicroctError as error:
            message = str(error)
        if message:
            assert message.isprintable()
            assert "femur_rec1" in message
        else:
            assert volume.shape == (2, 8, 8)
            assert ending != "png" or data == whole  # every byte of a PNG is under a checksum


@pytest.mark.parametrize("ending", ["png", "bmp", "jpg"])
@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.floats(0, 1),
)
def test_mutants(ending: str, changes: list, cut: float | None) -> None:
    data = bytearray({"png": pictures.png, "bmp": pictures.bmp, "jpg": pictures.jpeg}[ending]())
    for place, value in changes:
        data[int(place * len(data))] = value
    _checked(bytes(data if cut is None else data[: int(cut * len(data))]), ending)


def test_a_jpeg_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(GREY[0], (20, 20))).save(buffer, "JPEG")
    data = buffer.getvalue()
    for share in (0.2, 0.5, 0.9, 0.999):
        (tmp_path / "s1.jpg").write_bytes(data[: int(share * len(data))])
        with pytest.raises(InputError, match=r"s1\.jpg: the JPEG is damaged"):
            read(tmp_path, 20)
