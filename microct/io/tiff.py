"""TIFF: one file of many pages, or the slices of a folder; voxels exact, every strip's size checked.

tifffile reads the tags; strips and tiles are inflated here, because a strip may claim little and inflate to
gigabytes. Read: 1 to 64 bits, integers and floats, uncompressed, deflate, LZW, PackBits. Not read: color, several
channels, JPEG.
"""

from __future__ import annotations

import io
import logging
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from microct.io.slices import Slices, log_spacing
from microct.io.source import (
    DEFLATE_LIMIT,
    Scan,
    allocate,
    checked_shape,
    clean_header,
    digest,
    inflate,
    native,
    opened,
    refusal,
    shown,
)
from microct.io.tiff_codecs import unpack_lzw, unpack_packbits
from microct.io.tiff_scale import PageScale, described, page_spacing
from microct.status import InputError, MicroctError

if TYPE_CHECKING:
    import tifffile

MAX_PAGES = 1 << 17
_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
#: How many bytes one stored byte can become, for each compression that is read.
_MOST_SHRINK = {_NONE: 1, _LZW: 4096, _DEFLATE: DEFLATE_LIMIT, _OLD_DEFLATE: DEFLATE_LIMIT, _PACKBITS: 64}
_NAMES = {2: "CCITT", 3: "CCITT G3", 4: "CCITT G4", 6: "JPEG", 7: "JPEG", 34925: "LZMA", 50000: "Zstandard"}


def load(path: Path) -> Scan:
    """Read the file ``path``; `InputError` names file and field."""
    count = _page_count(path)
    with _opened_tiff(path) as tif:
        first = tif.pages[0]
        _layout(path.name, first, 0)
        scale = _scale(first)
        if scale.channels > 1:
            raise refusal(path.name, "channels or frames", "1", scale.channels)
        stream = tif.filehandle
        if count == 1 and scale.planes > 1:
            values = _planes_behind_one_page(path, stream, first, scale.planes)
        else:
            if scale.planes > count:
                raise refusal(path.name, "pages", f"{scale.planes}, which the description announces", count)
            values = _allocated(path.name, count, first)
            for index in range(count):
                _page_into(values[index], path.name, stream, tif.pages[index], index)
        header = _header(first, scale)
    spacing = page_spacing(scale, len(values))
    log = path.with_suffix(".log")
    from_log = log_spacing([log]) if log.is_file() else None
    return Scan("TIFF", path.name, values, from_log or spacing, digest([path]), header=clean_header(header))


def load_slices(slices: Slices) -> Scan:
    """Read a folder's slices, each a file of one page; `InputError` names file and field."""
    paths = slices.paths
    for path in paths:
        if _page_count(path) != 1:
            raise refusal(path.name, "pages", "one in each slice of a folder", "several; give the file itself")
    values: np.ndarray | None = None
    for index, path in enumerate(paths):
        with _opened_tiff(path) as tif:
            page = tif.pages[0]
            if values is None:
                values, scale = _allocated(path.name, len(paths), page), _scale(page)
                header = _header(page, scale)
            _page_into(values[index], path.name, tif.filehandle, page, 0)
    assert values is not None
    spacing = slices.spacing(page_spacing(scale, 1))
    about = clean_header(header | slices.header)
    return Scan("TIFF slices", slices.folder.name, values, spacing, digest(paths), header=about)


def _page_count(path: Path) -> int:
    """Count the pages by walking their chain: bounded, and a chain that bites its tail is refused."""
    name = path.name
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None or len(start) < 8:
            raise refusal(name, "first bytes", "a TIFF file", repr(start[:4]))
        magic = struct.unpack_from(f"{order}H", start, 2)[0]
        if magic not in (42, 43) or (
            magic == 43 and (len(start) < 16 or start[4:8] != struct.pack(f"{order}HH", 8, 0))
        ):
            raise refusal(name, "magic", "42 (TIFF) or 43 (BigTIFF)", magic)
        count_form, entry, offset_form = ("H", 12, "I") if magic == 42 else ("Q", 20, "Q")
        offset = struct.unpack_from(f"{order}{offset_form}", start, 4 if magic == 42 else 8)[0]
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) >= MAX_PAGES:
                raise refusal(name, "pages", f"a chain of at most {MAX_PAGES} that ends", "one that does not")
            if offset > size:
                raise refusal(name, f"page {len(seen) + 1}", "an offset within the file", offset)
            seen.add(offset)
            stream.seek(offset)
            entries = _unpacked(stream, order + count_form)
            after = offset + struct.calcsize(order + count_form) + entry * entries
            if entries < 1 or entries > 4096 or after > size:
                raise refusal(name, f"page {len(seen)}", "1 to 4096 tags within the file", f"{entries} at {offset}")
            stream.seek(after)
            offset = _unpacked(stream, order + offset_form)
    if not seen:
        raise refusal(name, "pages", "at least one", 0)
    return len(seen)


def _unpacked(stream: IO[bytes], form: str) -> int:
    """One number; zero (no page follows) where the file ends."""
    data = stream.read(struct.calcsize(form))
    return struct.unpack(form, data)[0] if len(data) == struct.calcsize(form) else 0


@contextmanager
def _opened_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """tifffile's view of the file; whatever it meets in a damaged one becomes an `InputError`, and it keeps quiet."""
    import tifffile

    log = logging.getLogger("tifffile")
    was_disabled, log.disabled = log.disabled, True
    try:
        with tifffile.TiffFile(path, _multifile=False) as tif:
            yield tif
    except MicroctError:
        raise
    except Exception as error:  # struct, key, index, zero division ...: a damaged tag can end in any of them
        raise InputError(f"{path.name}: the TIFF is damaged or not supported ({shown(error, 120)})") from error
    finally:
        log.disabled = was_disabled


def _scale(page: Any) -> PageScale:
    resolution = []
    for code in (282, 283):
        value = page.tags[code].value if code in page.tags else (0, 1)
        top, bottom = value if isinstance(value, tuple) and len(value) == 2 else (0, 1)
        resolution.append(top / bottom if bottom else 0.0)
    unit = page.tags[296].value if 296 in page.tags else 2  # the TIFF default: inch
    text = page.tags[270].value if 270 in page.tags else ""
    text = text if isinstance(text, str) else ""
    return described(text, (resolution[0], resolution[1]), int(unit) if isinstance(unit, int) else 1)


def _header(page: Any, scale: PageScale) -> dict[str, object]:
    tags = {"software": 305, "date": 306, "make": 271, "model": 272}
    header: dict[str, object] = {key: page.tags[code].value for key, code in tags.items() if code in page.tags}
    header["description"] = " ".join(scale.description.split())
    header["compression"] = page.compression.name if hasattr(page.compression, "name") else page.compression
    if int(page.photometric) == 0:
        header["photometric"] = "white is zero (grey values kept as stored)"
    return header


def _layout(name: str, page: Any, index: int) -> tuple[tuple[int, int], np.dtype]:
    """Rows, columns and type of a page that can be read; `InputError` for color, depth and odd bit counts."""
    where = f"page {index + 1}"
    if page.samplesperpixel != 1:
        raise refusal(name, where, "one grey value per pixel", f"{page.samplesperpixel} (convert it to grey)")
    if getattr(page, "imagedepth", 1) != 1 or int(page.fillorder) != 1:
        raise refusal(name, where, "a plain image", "a depth or a fill order of its own")
    if page.dtype is None or page.dtype.kind not in "buif" or page.bitspersample not in (1, 8, 16, 32, 64):
        raise refusal(name, where, "1, 8, 16, 32 or 64 bits per pixel", f"{page.bitspersample} bits")
    dtype = np.dtype(bool) if page.bitspersample == 1 else np.dtype(page.dtype)
    return (int(page.imagelength), int(page.imagewidth)), dtype.newbyteorder("=")


def _allocated(name: str, planes: int, page: Any) -> np.ndarray:
    """Room for all planes, after the claim was compared with what the first page's bytes can hold."""
    (rows, columns), dtype = _layout(name, page, 0)
    need = checked_shape(name, "pages, ImageLength, ImageWidth", (planes, rows, columns), dtype.itemsize)
    ratio = 8 if page.bitspersample == 1 else 1
    most = _MOST_SHRINK.get(int(page.compression), 1)
    held = sum(int(count) for count in page.databytecounts)
    if need // planes > ratio * most * held + 1024:
        raise refusal(name, "ImageLength, ImageWidth", f"{need // planes} bytes on a page", f"{held} stored")
    return allocate(name, need).view(dtype).reshape(planes, rows, columns)


def _planes_behind_one_page(path: Path, stream: Any, page: Any, planes: int) -> np.ndarray:
    """ImageJ writes stacks beyond 4 GiB as one page, all other planes right behind it, uncompressed."""
    (rows, columns), dtype = _layout(path.name, page, 0)
    contiguous = int(page.compression) == _NONE and not page.is_tiled and page.bitspersample >= 8
    offsets, counts = list(page.dataoffsets), list(page.databytecounts)
    chained = all(a + n == b for a, n, b in zip(offsets, counts, offsets[1:], strict=False))
    if not contiguous or not chained or not offsets:
        raise refusal(path.name, "pages", f"{planes}, which the description announces", 1)
    need = checked_shape(path.name, "images", (planes, rows, columns), dtype.itemsize)
    held = path.stat().st_size - offsets[0]
    if held < need:
        raise refusal(path.name, "images", f"{need} bytes of voxels behind the first page", held)
    data = allocate(path.name, need)
    stream.seek(offsets[0])
    if stream.readinto(memoryview(data)) != need:  # type: ignore[arg-type]
        raise refusal(path.name, "images", f"{need} bytes of voxels", "a file that became shorter")
    return native(data.view(dtype.newbyteorder(page.parent.byteorder)).reshape(planes, rows, columns))


def _page_into(target: np.ndarray, name: str, stream: Any, page: Any, index: int) -> None:
    """Decode one page into ``target`` (rows, columns)."""
    shape, dtype = _layout(name, page, index)
    where = f"page {index + 1}"
    if shape != target.shape or dtype != target.dtype:
        given = f"{shape} of {dtype.name}"
        raise refusal(name, where, f"{target.shape} of {target.dtype.name} as the first", given)
    compression, predictor = int(page.compression), int(page.predictor)
    if compression not in _MOST_SHRINK:
        kind = _NAMES.get(compression, str(compression))
        raise refusal(name, where, "no compression, deflate, LZW or PackBits", f"{kind}; save it again without")
    if predictor not in (1, 2) or (predictor == 2 and dtype.kind not in "iu"):
        raise refusal(name, where, "predictor 1 or 2", f"{predictor}; save it again without compression")
    rows, columns = shape
    if page.is_tiled:
        height, width = int(page.tilelength), int(page.tilewidth)
    else:
        height, width = min(int(page.rowsperstrip), rows), columns
    if not (0 < height <= 1 << 20 and 0 < width <= 1 << 20):
        raise refusal(name, where, "strips or tiles of at most 2^20 pixels", (height, width))
    across = -(-columns // width)
    pieces = -(-rows // height) * across
    if len(page.dataoffsets) != pieces or len(page.databytecounts) != pieces:
        raise refusal(name, where, f"{pieces} strips or tiles", len(page.dataoffsets))
    for i in range(pieces):
        top, left = (i // across) * height, (i % across) * width
        tall = height if page.is_tiled else min(height, rows - top)
        piece = _piece(name, where, stream, page, i, (tall, width), dtype)
        if predictor == 2:
            piece = np.cumsum(piece, axis=1, dtype=dtype)
        room = target[top : top + tall, left : left + width]
        room[...] = piece[: room.shape[0], : room.shape[1]]


def _piece(
    name: str, where: str, stream: Any, page: Any, i: int, shape: tuple[int, int], dtype: np.dtype
) -> np.ndarray:
    """One strip or tile as numbers; its bytes, inflated, must be exactly as many as its pixels need."""
    tall, width = shape
    bits = page.bitspersample == 1
    need = tall * ((width + 7) // 8) if bits else tall * width * dtype.itemsize
    offset, count = int(page.dataoffsets[i]), int(page.databytecounts[i])
    held = stream.size - offset
    if count < 0 or offset <= 0 or count > held:
        raise refusal(name, where, f"strip {i + 1} within the file", f"{count} bytes at {offset}")
    compression = int(page.compression)
    if need > _MOST_SHRINK[compression] * count + 1024 * (compression != _NONE):
        raise refusal(name, where, f"{need} bytes in strip {i + 1}", f"{count} stored, which cannot hold them")
    stream.seek(offset)
    packed = stream.read(need if compression == _NONE else count)
    what = f"{where}, strip {i + 1}"
    if compression == _NONE:
        data = np.frombuffer(packed, np.uint8).copy()  # to be swapped in place
    elif compression in (_LZW, _PACKBITS):
        unpack = unpack_lzw if compression == _LZW else unpack_packbits
        try:
            data = np.frombuffer(unpack(packed, need), np.uint8).copy()
        except ValueError as error:
            raise InputError(f"{name}: {what}: compressed data is damaged ({error})") from error
    else:
        data = allocate(name, need)
        inflate(io.BytesIO(packed), data, name, what)
    if bits:
        return np.unpackbits(data.reshape(tall, -1), axis=1)[:, :width].astype(bool)
    return native(data.view(dtype.newbyteorder(page.parent.byteorder)).reshape(tall, width))
