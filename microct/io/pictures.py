"""Folders of PNG, BMP or JPEG slices, as SkyScan's NRecon writes them; grey values exact, save what JPEG has lost.

Pillow decodes. Read: grey of 1, 8 and 16 bits (2 and 4 become 8, as PNG scales them), palettes of grey, color of three
equal channels, alpha where it is opaque. Not read: color, transparency, animations, compressed BMP, color of 16 bits
(Pillow drops half of them). Dots per inch are a screen's, so only SkyScan's log or the user knows the voxel size. JPEG
has no checksum: a slice that is cut off is refused, but damage that leaves it whole cannot be seen.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from microct.io.slices import Slices
from microct.io.source import (
    DEFLATE_LIMIT,
    Scan,
    allocate,
    checked_shape,
    clean_header,
    digest,
    opened,
    refusal,
    shown,
)
from microct.io.spacing import Spacing
from microct.status import InputError, MicroctError

#: The classes themselves: Image.open() would try other formats, too, and has a limit of its own for large slices.
_KINDS: dict[str, type[ImageFile]] = {"PNG": PngImageFile, "BMP": BmpImageFile, "JPEG": JpegImageFile}
#: Layouts of stored pixels that are read, by Pillow's names, and the bits of a pixel.
_BITS = {
    "1": 1, "L;2": 2, "L;4": 4, "L": 8, "I;16B": 16,
    "P;1": 1, "P;2": 2, "P;4": 4, "P": 8,
    "LA": 16, "RGB": 24, "RGBA": 32, "BGR": 24, "BGRX": 32, "BGRA": 32,
}  # fmt: skip
#: Passes over the whole picture that a progressive JPEG may ask for: programs write about ten, an attack thousands.
_MOST_PASSES = 64
#: Column and row where each pass over an interlaced PNG begins, and its steps (PNG specification, 8.2).
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
_CHUNK = 1 << 20
_LOSSY = "JPEG, which is lossy: grey values are near those of the scan, not the same"
_NO_SIZE = Spacing(None, "pictures state none that can be believed, and no SkyScan log (.log) beside them has one")


def load_slices(slices: Slices) -> Scan:
    """Read a folder's pictures; `InputError` names file and field."""
    values: np.ndarray | None = None
    for index, path in enumerate(slices.paths):
        with _opened_picture(path, slices.kind) as (picture, held):
            layout = _layout(path.name, picture, held)
            columns, rows = picture.size
            if values is None:
                stored, shape = layout, (len(slices.paths), rows, columns)
                need = checked_shape(path.name, "slices, height, width", shape, 2 if layout == "I;16B" else 1)
            elif (rows, columns) != shape[1:]:
                raise refusal(path.name, "height, width", f"{shape[1:]} as the first slice", (rows, columns))
            plane = _grey(path.name, picture, layout)
        if values is None:
            values = allocate(slices.folder.name, need).view(plane.dtype).reshape(shape)
        elif plane.dtype != values.dtype:
            raise refusal(path.name, "depth", f"{values.dtype.name} as the first slice", plane.dtype.name)
        values[index] = plane
    assert values is not None
    header = {"stored as": stored, "compression": _LOSSY if slices.kind == "JPEG" else "", **slices.header}
    spacing, sha256 = slices.spacing(_NO_SIZE), digest(slices.paths)
    name = f"{slices.kind} slices"
    return Scan(name, slices.folder.name, values, spacing, sha256, header=clean_header(header))


@contextmanager
def _opened_picture(path: Path, kind: str) -> Iterator[tuple[ImageFile, int]]:
    """Pillow's view of the file, and its bytes; what Pillow meets in a damaged one becomes an `InputError`, quietly."""
    with opened(path) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if kind == "JPEG" and _passes(stream) > _MOST_PASSES:
                raise refusal(path.name, "passes", f"a JPEG of at most {_MOST_PASSES}", "more")
            stream.seek(0)
            yield _KINDS[kind](stream), os.fstat(stream.fileno()).st_size
        except MicroctError:
            raise
        except Exception as error:  # struct, key, index, zlib ...: a damaged field can end in any of them
            raise InputError(f"{path.name}: the {kind} is damaged or not supported ({shown(error, 100)})") from error


def _passes(stream: BufferedReader) -> int:
    """How often the marker of a pass occurs, which it cannot within the data of one."""
    count, last = 0, b""
    while chunk := stream.read(1 << 20):
        count += (last + chunk).count(b"\xff\xda")
        last = chunk[-1:]
    return count


def _layout(name: str, picture: ImageFile, held: int) -> str:
    """How pixels are stored; `InputError` where they are not read, or where so many cannot be in ``held`` bytes."""
    if getattr(picture, "n_frames", 1) > 1 or "mp" in picture.info:
        raise refusal(name, "frames", "one picture in each slice of a folder", "several")
    clear = picture.info.get("transparency")
    if clear is not None and not (isinstance(clear, bytes) and not clear.strip(b"\xff")):
        raise refusal(name, "transparency", "none", "some; save it again as grey")
    if not picture.tile:
        raise refusal(name, "pixels", "one block of them", "none")
    decoder, _, offset, given = picture.tile[0]
    arguments = given if isinstance(given, tuple) else (given,)
    layout = str(arguments[0])
    if layout not in _BITS or decoder == "bmp_rle":
        packed = f"{layout}, compressed" if decoder == "bmp_rle" else layout
        raise refusal(name, "pixels", "grey of 1 to 16 bits, or color of 8 (BMP: uncompressed)", packed)
    columns, rows = picture.size
    line = -(-columns * _BITS[layout] // 8)
    if decoder == "raw":
        if arguments[1] != -(-line // 4) * 4:
            raise refusal(name, "palette", "one that fits the bits of a pixel", "another; save it again as PNG")
        stream = picture.fp
        if stream is None or offset < stream.tell() or offset + arguments[1] * rows > held:
            raise refusal(name, "pixels", f"{arguments[1] * rows} bytes behind the header", f"{held} in the file")
    elif line * rows > DEFLATE_LIMIT * held:  # Huffman codes of JPEG do not shrink further, either
        raise refusal(name, "height, width", f"{line * rows} bytes of pixels", f"{held}, which cannot hold them")
    return layout


def _check_png(name: str, picture: ImageFile, layout: str) -> None:
    """Refuse what Pillow reads without a word: pixels whose checksum is wrong, and fewer than the header announces."""
    columns, rows = picture.size
    need = 0
    for x, y, across, down in _ADAM7 if picture.info.get("interlace") else [(0, 0, 1, 1)]:
        wide, tall = -(-(columns - x) // across), -(-(rows - y) // down)
        need += tall * (1 + -(-wide * _BITS[layout] // 8)) if wide > 0 and tall > 0 else 0
    stream = picture.fp
    assert stream is not None
    stream.seek(8)
    inflater, count, kind = zlib.decompressobj(), 0, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", stream.read(8))
        data = stream.read(length)
        if struct.unpack(">I", stream.read(4))[0] != zlib.crc32(data, zlib.crc32(kind)):
            raise InputError(f"{name}: the PNG is damaged (wrong checksum in {shown(kind)})")
        while kind == b"IDAT" and count < need:
            piece = inflater.decompress(data, _CHUNK)
            count, data = count + len(piece), inflater.unconsumed_tail
            if len(piece) < _CHUNK and not data:
                break
    if count < need:
        raise InputError(f"{name}: the PNG is damaged ({count} bytes of pixels, {need} announced)")


def _grey(name: str, picture: ImageFile, layout: str) -> np.ndarray:
    """(rows, columns) bool, uint8 or uint16; `InputError` where a pixel is damaged, colored or transparent."""
    if picture.format == "PNG":
        _check_png(name, picture, layout)
    picture.load()
    values = np.asarray(picture)
    if picture.mode in ("LA", "RGBA"):
        if values[..., -1].min() < 255:
            raise refusal(name, "alpha", "opaque pixels", "transparent ones; save it again as grey")
        values = values[..., :-1]
    if picture.mode == "P":
        palette = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        if values.max() >= len(palette):
            raise refusal(name, "palette", "an entry for every pixel", f"{len(palette)} entries")
        used = palette[np.bincount(values.ravel(), minlength=len(palette)) > 0]
        _refuse_color(name, used)
        grey = palette[:, 0]
        black_and_white = layout == "P;1" and set(grey[:2].tolist()) == {0, 255}
        return (grey > 0 if black_and_white else grey)[values]
    if values.ndim == 3:
        _refuse_color(name, values)
        values = values[..., 0]
    if layout == "I;16B":
        return values.astype(np.uint16)  # Pillow 10 gives 32 bits
    return values


def _refuse_color(name: str, channels: np.ndarray) -> None:
    if (channels[..., 1:] != channels[..., :1]).any():
        raise refusal(name, "pixels", "grey ones", "colored ones; convert the slices to grey, without color tables")
