"""MetaImage: .mha and .mhd, raw or zlib, three axes of one number each.

Written from the format's definition (https://itk.org/Wiki/MetaIO/Documentation). Deliberately not read: ASCII
voxels, several data files, several channels, and data files outside the header's folder.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from microct.io.source import Scan, clean_header, digest, inside, refusal, stored_as, voxels
from microct.io.spacing import Spacing, axes_zyx, origin_zyx, stated
from microct.io.text_header import Fields, beginning

_TYPES = {
    "met_char": "i1",
    "met_uchar": "u1",
    "met_short": "i2",
    "met_ushort": "u2",
    "met_int": "i4",
    "met_uint": "u4",
    "met_long": "i4",  # four bytes in files, on every system
    "met_ulong": "u4",
    "met_long_long": "i8",
    "met_ulong_long": "u8",
    "met_float": "f4",
    "met_double": "f8",
}
_LABELS = {
    name.lower(): name
    for name in (
        "ObjectType",
        "NDims",
        "DimSize",
        "BinaryData",
        "BinaryDataByteOrderMSB",
        "ElementByteOrderMSB",
        "CompressedData",
        "CompressedDataSize",
        "ElementNumberOfChannels",
        "ElementSpacing",
        "ElementSize",
        "ElementType",
        "ElementDataFile",
        "HeaderSize",
        "TransformMatrix",
        "Rotation",
        "Orientation",
        "Offset",
        "Position",
        "Origin",
    )
}
_YES_NO = {"true": True, "false": False, "1": True, "0": False, "t": True, "f": False}


def load(path: Path) -> Scan:
    """Read ``path`` (.mha or .mhd); `InputError` names file and field."""
    fields, end = _header(path)
    name = path.name
    if fields.text("objecttype", "Image").lower() != "image":
        raise fields.refuse("objecttype", "Image", repr(fields.text("objecttype")))
    if fields.whole("ndims") != 3:
        raise fields.refuse("ndims", "3", fields.text("ndims"))
    if fields.whole("elementnumberofchannels", 1) != 1:
        raise fields.refuse("elementnumberofchannels", "1", fields.text("elementnumberofchannels"))
    if not fields.choice("binarydata", _YES_NO, "True"):
        raise fields.refuse("binarydata", "True", "False")
    sizes = fields.wholes("dimsize", 3)
    order = "elementbyteordermsb" if "elementbyteordermsb" in fields else "binarydatabyteordermsb"
    dtype = stored_as(str(fields.choice("elementtype", _TYPES)), bool(fields.choice(order, _YES_NO, "False")))
    compressed = bool(fields.choice("compresseddata", _YES_NO, "False"))

    given = fields.text("elementdatafile")
    if given.upper() == "LOCAL":
        data, offset = path, end
    else:
        data, offset = inside(path.parent, given, name, "ElementDataFile"), 0
    offset += _leading_bytes(fields, data, offset, compressed, math.prod(sizes) * dtype.itemsize)
    if compressed and fields.whole("compresseddatasize", 0) not in {0, data.stat().st_size - offset}:
        held = f"{data.stat().st_size - offset} in the file"
        raise fields.refuse("compresseddatasize", f"{fields.text('compresseddatasize')} bytes", held)
    values = voxels(data, dtype, sizes[::-1], what="DimSize", offset=offset, compressed=compressed)

    spacing, origin, direction = _place(fields)
    files = [path] if data == path else [path, data]
    kept = {key: value for key, value in fields.entries.items() if key not in {"elementdatafile", "dimsize", "ndims"}}
    return Scan("MetaImage", name, values, spacing, digest(files), origin, direction, clean_header(kept))


def _header(path: Path) -> tuple[Fields, int]:
    """Fields (names in lower case) up to ElementDataFile, and the byte that follows."""
    start = beginning(path)
    entries: dict[str, str] = {}
    position = 0
    while "elementdatafile" not in entries:
        end = start.find(b"\n", position)
        line = start[position : end if end >= 0 else len(start)]
        match = re.fullmatch(rb"\s*([A-Za-z][A-Za-z0-9_ ]{0,63}?)\s*=\s*([^\x00-\x08\x0e-\x1f]{0,4000}?)\s*", line)
        if match is None:
            expected = "lines of the form 'Key = value' up to ElementDataFile"
            raise refusal(path.name, "header", expected, repr(line[:40]) if position < len(start) else "the file's end")
        key = match[1].decode("ascii").lower()
        if key in entries:
            raise refusal(path.name, _LABELS.get(key, key), "this field once", "it twice")
        entries[key] = match[2].decode("utf-8", "replace")
        position = end + 1 if end >= 0 else len(start)
    return Fields(path.name, entries, _LABELS), position


def _leading_bytes(fields: Fields, data: Path, offset: int, compressed: bool, need: int) -> int:
    """How many bytes lie before the voxels (HeaderSize; -1: all that are too many)."""
    size = fields.whole("headersize", 0)
    if size == -1 and not compressed:
        size = data.stat().st_size - offset - need
    if not 0 <= size <= data.stat().st_size:
        raise fields.refuse("headersize", "-1, 0 or a size within the file", fields.text("headersize"))
    return size


def _place(fields: Fields) -> tuple[Spacing, tuple[float, float, float], tuple[tuple[float, ...], ...]]:
    """Voxel size, origin [mm] and directions from the header."""
    spacing = Spacing(None, "the header has no ElementSpacing")
    for key, label in (("elementspacing", "ElementSpacing"), ("elementsize", "ElementSize")):
        if key in fields:
            spacing = stated(fields.reals(key, 3)[::-1], None, label)
            break
    key = next((k for k in ("transformmatrix", "rotation", "orientation") if k in fields), "")
    matrix = np.array(fields.reals(key, 9) if key else np.eye(3).ravel()).reshape(3, 3)
    direction = axes_zyx(matrix.tolist())
    if direction is None or not np.isfinite(matrix).all() or (np.abs(matrix).max(axis=1) == 0).any():
        raise fields.refuse(key, "axes at right angles", repr(fields.text(key)))
    key = next((k for k in ("offset", "position", "origin") if k in fields), "")
    origin = origin_zyx(fields.name, fields.reals(key, 3)) if key and spacing.mm is not None else (0.0, 0.0, 0.0)
    return spacing, origin, direction
