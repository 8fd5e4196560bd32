"""VTK image data (.vti) as ParaView and VTK write it: inline or appended binary arrays, plain or deflated.

Written from the format's definition (VTK file formats, XML image data). Deliberately not read: ASCII numbers, LZ4 and
LZMA, arrays of several components, images in several pieces. The file has no unit: sizes below 1 are taken as mm.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import numpy as np

from microct.io.source import (
    MAX_HEADER_BYTES,
    Scan,
    allocate,
    checked_shape,
    clean_header,
    digest,
    native,
    opened,
    refusal,
    stored_as,
)
from microct.io.spacing import axes_zyx, origin_zyx, stated
from microct.status import InputError

_TYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4",
    "Int64": "i8", "UInt64": "u8", "Float32": "f4", "Float64": "f8",
}  # fmt: skip
_HEADER_TYPES = {"UInt32": "u4", "UInt64": "u8"}


def load(path: Path) -> Scan:
    """Read ``path`` (.vti); `InputError` names file and field."""
    name = path.name
    with opened(path) as stream:
        content = stream.read()
    text, marker, appended = content.partition(b"<AppendedData")
    root = _parsed(name, text + (b"</VTKFile>" if marker else b""))
    image = root.find("ImageData")
    if root.get("type") != "ImageData" or image is None:
        raise refusal(name, "type", "ImageData", root.get("type", "nothing"))
    array, cells = _array(name, image)
    extent = [int(number) for number in _numbers(name, image, "WholeExtent", 6)]
    pieces = image.findall("Piece")
    if len(pieces) != 1 or pieces[0].get("Extent", "").split() != image.get("WholeExtent", "").split():
        raise refusal(name, "pieces", "one that is the whole extent", len(pieces))
    shape = [extent[axis + 1] - extent[axis] + (0 if cells else 1) for axis in (4, 2, 0)]
    if array.get("type") not in _TYPES:
        raise refusal(name, "type of the array", "one of " + " ".join(_TYPES), array.get("type"))
    big = root.get("byte_order") == "BigEndian"
    dtype = stored_as(_TYPES[array.get("type", "")], big)
    width = root.get("header_type", "UInt32")
    if width not in _HEADER_TYPES:
        raise refusal(name, "header_type", "UInt32 or UInt64", width)
    compressor = root.get("compressor")
    if compressor not in (None, "vtkZLibDataCompressor"):
        raise refusal(name, "compressor", "vtkZLibDataCompressor or none", compressor)
    need = checked_shape(name, "WholeExtent", shape, dtype.itemsize)
    source = _Blocks(name, _stored(name, array, appended), stored_as(_HEADER_TYPES[width], big))
    data = source.deflated(need) if compressor else source.plain(need)
    steps = _numbers(name, image, "Spacing", 3)
    turned = _numbers(name, image, "Direction", 9) if image.get("Direction") else np.eye(3).ravel().tolist()
    matrix = np.array(turned).reshape(3, 3)
    direction = axes_zyx(matrix.T.tolist())  # columns are the file's axes
    if direction is None:
        raise refusal(name, "Direction", "axes at right angles", image.get("Direction"))
    corner = np.array(_numbers(name, image, "Origin", 3))
    first = np.array(extent[::2]) + (0.5 if cells else 0.0)
    spacing = stated(steps[::-1], None, "Spacing")
    origin = (0.0, 0.0, 0.0)
    if spacing.mm is not None:
        origin = origin_zyx(name, (corner + matrix @ (first * steps)).tolist())
    values = native(data.view(dtype).reshape(shape))
    header = {"array": array.get("Name", ""), "association": "cells" if cells else "points"}
    return Scan("VTK image", name, values, spacing, digest([path]), origin, direction, clean_header(header))


def _parsed(name: str, text: bytes) -> ElementTree.Element:
    inline = re.sub(rb">[^<]{256,}<", b"><", text)  # what is long is voxels
    if len(inline) > MAX_HEADER_BYTES or b"<!" in inline.replace(b"<!--", b""):
        raise refusal(name, "header", f"at most {MAX_HEADER_BYTES} bytes of XML without declarations", f"{len(inline)}")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{name}: header: is not XML ({error})") from error


def _array(name: str, image: ElementTree.Element) -> tuple[ElementTree.Element, bool]:
    """The one array of scalars, or the one that is named as the scalars; and whether it is of cells."""
    found = []
    for kind in ("PointData", "CellData"):
        for data in image.findall(f"Piece/{kind}"):
            arrays = [array for array in data.findall("DataArray") if array.get("NumberOfComponents", "1") == "1"]
            named = [array for array in arrays if array.get("Name") == data.get("Scalars")]
            found += [(array, kind == "CellData") for array in (named or arrays)]
    if len(found) != 1:
        raise refusal(name, "arrays", "one array of single numbers, or one that is named as Scalars", f"{len(found)}")
    return found[0]


def _numbers(name: str, image: ElementTree.Element, key: str, count: int) -> list[float]:
    text = image.get(key, "")
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) and abs(number) < 1e9 for number in numbers):
        raise refusal(name, key, f"{count} finite numbers", text or "nothing")
    return numbers


def _stored(name: str, array: ElementTree.Element, appended: bytes) -> tuple[bytes, bool]:
    """The array's bytes, and whether they are in base64."""
    kind = array.get("format")
    if kind == "binary":
        return (array.text or "").strip().encode(), True
    head, _, data = appended.partition(b"_")
    offset = array.get("offset", "")
    if kind != "appended" or not re.fullmatch(r"[0-9]{1,15}", offset) or int(offset) >= len(data):
        raise refusal(name, "format of the array", "binary, or appended at an offset in the file", f"{kind} {offset}")
    return data[int(offset) :], b"base64" in head


class _Blocks:
    """An array's bytes behind their sizes."""

    def __init__(self, name: str, stored: tuple[bytes, bool], width: np.dtype) -> None:
        self.name, (self.bytes, self.encoded), self.width = name, stored, width

    def plain(self, need: int) -> np.ndarray:
        """One size and the bytes; in base64 both are one string."""
        size, start = self.width.itemsize, 0
        data = self._decoded(0, size + need)[0]
        held = int(np.frombuffer(data[:size], self.width)[0]) if len(data) >= size else -1
        if held != need or len(data) < size + need:
            raise refusal(self.name, "size of the array", f"{need} bytes", held)
        return np.frombuffer(data, np.uint8, need, start + size).copy()

    def deflated(self, need: int) -> np.ndarray:
        """Number of blocks, their size, the last one's, sizes when deflated; then the blocks."""
        size = self.width.itemsize
        three, _ = self._decoded(0, 3 * size)
        if len(three) < 3 * size:
            raise refusal(self.name, "blocks", "their number and sizes", "the end of the file")
        count, block, last = (int(number) for number in np.frombuffer(three[: 3 * size], self.width))
        full = count - (1 if last else 0)
        if not (0 < count <= need and 0 < block <= max(need, 1 << 16)) or full * block + last != need:
            raise refusal(self.name, "blocks", f"{need} bytes in all", (count, block, last))
        table, start = self._decoded(0, (3 + count) * size)
        lengths = np.frombuffer(table[3 * size : (3 + count) * size], self.width).astype(np.int64)
        held = len(self.bytes) - start
        if len(lengths) < count or (lengths <= 0).any() or int(lengths.sum()) > held:
            raise refusal(self.name, "blocks", f"at most {held} bytes", "more")
        data, _ = self._decoded(start, int(lengths.sum()))
        result, position, at = allocate(self.name, need), 0, 0
        for number, length in enumerate(lengths.tolist()):
            expected = last if last and number == count - 1 else block
            try:
                piece = zlib.decompressobj().decompress(data[at : at + length], expected + 1)
            except zlib.error as error:
                raise InputError(f"{self.name}: block {number}: compressed data is damaged ({error})") from error
            if len(piece) != expected:
                raise refusal(self.name, f"block {number}", f"{expected} bytes after inflating", len(piece))
            result[position : position + expected] = np.frombuffer(piece, np.uint8)
            position, at = position + expected, at + length
        return result

    def _decoded(self, start: int, size: int) -> tuple[bytes, int]:
        """``size`` bytes from ``start`` (of the stored text), and where the next string begins."""
        if not self.encoded:
            return self.bytes[start : start + size], start + size
        end = start + 4 * -(-size // 3)
        try:
            return base64.b64decode(self.bytes[start:end], validate=True), end
        except binascii.Error as error:
            raise InputError(f"{self.name}: array: is not base64 ({error})") from error
