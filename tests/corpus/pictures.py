"""Hostile PNG, BMP and JPEG slices: a folder of three, the last of which lies."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpus.cases import CASES, SECRET, case, put
from PIL import Image

PLANE = (np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(plane: np.ndarray = PLANE, depth: int = 8, color: int = 0, size: tuple = (), more: bytes = b"") -> bytes:
    """A PNG of rows as they are stored, bits in a row packed; ``size`` lies, ``more`` are chunks before the pixels."""
    rows = np.packbits(plane, axis=1) if plane.dtype == bool else plane
    raw = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in rows)
    width, height = size or (plane.shape[1], plane.shape[0])
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")


def bmp(plane: np.ndarray = PLANE, palette: np.ndarray | None = GREYS, **changes: tuple[int, str, int]) -> bytes:
    """A BMP of rows from the last to the first; ``changes``: (offset, struct code, value) of a field."""
    rows = np.packbits(plane, axis=1) if plane.dtype == bool else plane.reshape(len(plane), -1)
    bits = 1 if plane.dtype == bool else 8 * plane[0, 0].size
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))[::-1]
    table = b"" if palette is None else np.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
    head = struct.pack("<2sIHHI", b"BM", 54 + len(table) + rows.size, 0, 0, 54 + len(table))
    head += struct.pack(
        "<IiiHHIIiiII", 40, plane.shape[1], plane.shape[0], 1, bits, 0, rows.size, 0, 0, len(table) // 4, 0
    )
    data = bytearray(head + table + rows.tobytes())
    for offset, code, value in changes.values():
        struct.pack_into(f"<{code}", data, offset, value)
    return bytes(data)


def jpeg(plane: np.ndarray = PLANE, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(plane)
    (image.convert("CMYK") if options.pop("cmyk", False) else image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _many_passes() -> bytes:
    """A progressive JPEG whose last pass over the picture is made ten thousand times."""
    data = jpeg(progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * 10_000 + data[-2:]


COLORED = np.stack([PLANE, PLANE, PLANE[::-1]], axis=2)
TWO_FRAMES = png_chunk(b"acTL", struct.pack(">II", 2, 0)) + png_chunk(
    b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 1, 0, 0)
)
#: The third and last slice of a folder.
PICTURES = {
    "png_bomb": ("png", png(size=(60_000, 60_000))),
    "png_huge": ("png", png(size=(2**31 - 1, 2**31 - 1))),
    "png_zero": ("png", png(size=(0, 8))),
    "png_truncated": ("png", png()[:-30]),
    "png_pixels_missing": ("png", png(PLANE[:4], size=(8, 8))),
    "png_wrong_checksum": ("png", png()[:-13] + bytes([png()[-13] ^ 1]) + png()[-12:]),
    "png_without_end": ("png", png()[:-12]),
    "png_without_pixels": ("png", png()[:33] + png_chunk(b"IEND", b"")),
    "png_is_text": ("png", b"not a picture at all, but long enough to be looked at"),
    "png_empty": ("png", b""),
    "png_is_jpeg": ("png", jpeg()),
    "png_animated": ("png", png(more=TWO_FRAMES)),
    "png_color": ("png", png(COLORED, color=2)),
    "png_color_of_16_bits": ("png", png(np.repeat(PLANE[..., None], 3, 2).astype(np.uint16) * 257, 16, 2)),
    "png_transparent_grey": ("png", png(more=png_chunk(b"tRNS", b"\0\4"))),
    "png_transparent_pixel": ("png", png(np.stack([PLANE, 255 - (PLANE == 8)], 2).astype(np.uint8), color=4)),
    "png_without_palette": ("png", png(color=3)),
    "png_palette_too_short": ("png", png(color=3, more=png_chunk(b"PLTE", GREYS[:252].tobytes()))),
    "png_palette_colored": ("png", png(color=3, more=png_chunk(b"PLTE", np.roll(GREYS, 1).tobytes()))),
    "png_text_bomb": ("png", png(more=png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000))))),
    "bmp_truncated": ("bmp", bmp()[:-1]),
    "bmp_huge": ("bmp", bmp(width=(18, "i", 2**31 - 1), height=(22, "i", 2**31 - 1))),
    "bmp_wide": ("bmp", bmp(width=(18, "i", 60_000), height=(22, "i", 60_000))),
    "bmp_negative_width": ("bmp", bmp(width=(18, "i", -8))),
    "bmp_pixels_in_header": ("bmp", bmp(offset=(10, "I", 54))[:-1]),
    "bmp_pixels_in_palette": ("bmp", bmp(offset=(10, "I", 60))),
    "bmp_run_lengths": ("bmp", bmp(compression=(30, "I", 1))),
    "bmp_of_16_bits": ("bmp", bmp(np.stack([PLANE, PLANE], 2), None)),
    "bmp_palette_of_two": ("bmp", bmp(PLANE // 128, GREYS[[0, 255]])),
    "bmp_palette_too_long": ("bmp", bmp(colors=(46, "I", 2**31))),
    "bmp_color": ("bmp", bmp(COLORED, None)),
    "bmp_header_cut_off": ("bmp", bmp()[:30]),
    "jpeg_truncated": ("jpg", jpeg()[:-30]),
    "jpeg_color": ("jpg", jpeg(np.full((8, 8, 3), (200, 60, 60), np.uint8))),
    "jpeg_of_four_inks": ("jpg", jpeg(cmyk=True)),
    "jpeg_many_passes": ("jpg", _many_passes()),
    "jpeg_wide": ("jpg", jpeg().replace(b"\0\x08\0\x08", b"\xff\xff\xff\xff", 1)),
    "slices_of_other_shape": ("png", png(PLANE[:, :7])),
    "slices_of_other_depth": ("png", png(PLANE.astype(np.uint16), 16)),
    "slices_partly_binary": ("png", png(PLANE > 90, 1)),
}


def pictures(folder: Path, last: tuple[str, bytes] | None = None) -> Path:
    """A folder of three pictures with a log, or of two and the given third."""
    ending, data = last or ("png", png())
    whole = {"png": png, "bmp": bmp, "jpg": jpeg}[ending]()
    for i, slice_ in enumerate([whole, whole, data]):
        put(folder, f"s{i}.{ending}", slice_)
    put(folder, "s.log", b"Pixel Size (um)=20\n")
    return folder


def _picture_case(last: tuple[str, bytes]) -> Callable[[Path], Path]:
    return lambda folder: pictures(folder, last)


for _name, _last in PICTURES.items():
    CASES[_name] = _picture_case(_last)


@case
def pictures_link_out(folder: Path) -> Path:
    pictures(folder)
    os.symlink(folder.parent / SECRET, folder / "s3.png")
    return folder


@case
def pictures_of_two_kinds(folder: Path) -> Path:
    put(pictures(folder), "s3.bmp", bmp())
    return folder
