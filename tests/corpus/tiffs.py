"""Hostile TIFF files, and folders of slices."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from corpus.cases import SECRET, case, put


def tiff(pages: int = 4, **options: object) -> bytes:
    buffer = io.BytesIO()
    stack = np.arange(pages * 16, dtype=np.uint8).reshape(pages, 4, 4)
    options = {"resolution": (512.82, 512.82), "resolutionunit": "CENTIMETER", "metadata": None} | options
    tifffile.imwrite(buffer, stack, photometric="minisblack", **options)
    return buffer.getvalue()


def patched(data: bytes, tag: int, value: int, kind: int | None = None) -> bytes:
    """The TIFF with the first page's ``tag`` holding ``value`` (and type ``kind``)."""
    changed = bytearray(data)
    offset = struct.unpack_from("<I", data, 4)[0]
    for i in range(struct.unpack_from("<H", data, offset)[0]):
        at = offset + 2 + 12 * i
        code, was, _ = struct.unpack_from("<HHI", data, at)
        if code == tag:
            struct.pack_into("<H", changed, at + 2, kind or was)
            struct.pack_into("<I", changed, at + 8, value)
            return bytes(changed)
    raise KeyError(tag)


@case
def tiff_huge_width(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 256, 2**31 - 1, 4))


@case
def tiff_zero_width(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 256, 0))


@case
def tiff_huge_rows_per_strip(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 278, 0))


@case
def tiff_strip_beyond_end(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 273, 2**30))


@case
def tiff_strip_too_short(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 279, 3))


@case
def tiff_compression_unknown(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 259, 7))


@case
def tiff_lzw_garbage(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 259, 5))


@case
def tiff_packbits_garbage(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 259, 32773))


@case
def tiff_page_loop(folder: Path) -> Path:
    data = bytearray(tiff(1))
    offset = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, offset)[0]
    struct.pack_into("<I", data, offset + 2 + 12 * entries, offset)
    return put(folder, "scan.tif", bytes(data))


@case
def tiff_page_offset_outside(folder: Path) -> Path:
    data = bytearray(tiff(1))
    struct.pack_into("<I", data, 4, 2**31)
    return put(folder, "scan.tif", bytes(data))


@case
def tiff_big_offset_beyond_64_bits(folder: Path) -> Path:
    data = bytearray(tiff(1, bigtiff=True))
    struct.pack_into("<Q", data, 8, 2**64 - 2)
    return put(folder, "scan.tif", bytes(data))


@case
def tiff_deflate_bomb(folder: Path) -> Path:
    bomb = zlib.compress(bytes(50_000_000))
    data = tiff(1, compression="zlib")
    return put(folder, "scan.tif", patched(patched(data + bomb, 273, len(data)), 279, len(bomb)))


@case
def tiff_color(folder: Path) -> Path:
    tifffile.imwrite(folder / "scan.tif", np.zeros((4, 8, 8, 3), np.uint8), photometric="rgb")
    return folder / "scan.tif"


@case
def tiff_truncated(folder: Path) -> Path:
    return put(folder, "scan.tif", tiff()[:-40])


@case
def tiff_pages_differ(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "scan.tif") as writer:
        writer.write(np.zeros((4, 4), np.uint8), metadata=None)
        writer.write(np.zeros((5, 4), np.uint8), metadata=None)
    return folder / "scan.tif"


@case
def tiff_channels(folder: Path) -> Path:
    tifffile.imwrite(folder / "scan.tif", np.zeros((4, 2, 8, 8), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    return folder / "scan.tif"


@case
def tiff_announces_more(folder: Path) -> Path:
    options = {"imagej": False, "description": "ImageJ=1.53\nimages=4000000\n"}
    return put(folder, "scan.tif", tiff(2, **options))


@case
def tiff_screen_resolution(folder: Path) -> Path:
    return put(folder, "scan.tif", tiff(resolution=(72, 72), resolutionunit="INCH"))


@case
def tiff_resolution_zero(folder: Path) -> Path:
    return put(folder, "scan.tif", tiff(resolution=(0, 0)))


@case
def tiff_is_text(folder: Path) -> Path:
    return put(folder, "scan.tif", b"not a picture at all, but long enough to be looked at")


@case
def slices_none(folder: Path) -> Path:
    put(folder, "readme.txt", b"")
    return folder


@case
def slices_differ(folder: Path) -> Path:
    for i, shape in enumerate([(4, 4), (4, 4), (4, 5)]):
        tifffile.imwrite(folder / f"s{i}.tif", np.zeros(shape, np.uint8))
    put(folder, "s.log", b"Pixel Size (um)=20\n")
    return folder


@case
def slices_missing_one(folder: Path) -> Path:
    for i in (1, 2, 4, 5):
        tifffile.imwrite(folder / f"s{i}.tif", np.zeros((4, 4), np.uint8))
    put(folder, "s.log", b"Pixel Size (um)=20\n")
    return folder


@case
def slices_logs_disagree(folder: Path) -> Path:
    for i in range(3):
        tifffile.imwrite(folder / f"s{i}.tif", np.zeros((4, 4), np.uint8))
    put(folder, "s.log", b"Image Pixel Size (um)=20\nPixel Size (um)=10\n")
    return folder


@case
def slices_link_out(folder: Path) -> Path:
    os.symlink(folder.parent / SECRET, folder / "s1.tif")
    return folder
