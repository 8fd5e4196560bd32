"""DICOM: a folder of slices, or one file of many frames; uncompressed grey values.

Written from the standard (PS3.5 data structures, PS3.3 image plane). Little-endian, explicit or implicit. Values are
rescaled by the file's slope and intercept, so CT is in HU. Nothing that names a patient is read. Compressed pixels,
colors, overlays and enhanced multi-frame geometry are refused with a word on what to do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microct.io.source import Scan, allocate, checked_shape, clean_header, digest, opened, refusal
from microct.io.spacing import Spacing, axes_zyx, origin_zyx, stated
from microct.status import InputError

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
#: Representations whose length field has four bytes, after two that are reserved.
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_UNDEFINED = 0xFFFFFFFF
_MOST_SLICES = 1 << 14
_PIXELS = (0x7FE0, 0x0010)

_WANTED = {
    (0x0002, 0x0010): "syntax",
    (0x0008, 0x0060): "modality",
    (0x0008, 0x0070): "manufacturer",
    (0x0018, 0x0050): "slice_thickness",
    (0x0018, 0x0088): "slice_spacing",
    (0x0020, 0x000E): "series",
    (0x0020, 0x0032): "position",
    (0x0020, 0x0037): "orientation",
    (0x0028, 0x0002): "samples",
    (0x0028, 0x0008): "frames",
    (0x0028, 0x0010): "rows",
    (0x0028, 0x0011): "columns",
    (0x0028, 0x0030): "pixel_spacing",
    (0x0028, 0x0100): "bits",
    (0x0028, 0x0103): "signed",
    (0x0028, 0x1052): "intercept",
    (0x0028, 0x1053): "slope",
    # Scanco's own, as BoneJ and others read them; native numbers, before the file's slope and intercept.
    (0x0029, 0x1000): "mu_scaling",
    (0x0029, 0x1004): "density_slope",
    (0x0029, 0x1005): "density_intercept",
    (0x0029, 0x1006): "mu_water",
}
_DENSITY = ("mu_scaling", "density_slope", "density_intercept", "mu_water")
_SHORTS = {"samples", "rows", "columns", "bits", "signed"}


@dataclass(frozen=True)
class _Slice:
    """One file: its fields, and where its pixels begin and how many bytes they are."""

    path: Path
    fields: dict[str, str]
    offset: int
    size: int

    def reals(self, field: str, count: int) -> tuple[float, ...] | None:
        """Numbers parted by backslashes; None where the field is missing."""
        text = self.fields.get(field, "")
        if not text:
            return None
        try:
            numbers = tuple(float(word) for word in text.split("\\"))
        except ValueError:
            numbers = ()
        if len(numbers) != count or not all(np.isfinite(numbers)):
            raise refusal(self.path.name, field, f"{count} numbers", repr(text))
        return numbers

    def whole(self, field: str, default: int | None = None) -> int:
        """One whole number."""
        text = self.fields.get(field, "" if default is None else str(default))
        if not text.strip().lstrip("+").isdigit():
            raise refusal(self.path.name, field, "a whole number", repr(text))
        return int(text)


def is_folder_of_slices(folder: Path) -> bool:
    """Whether some file of the folder begins as DICOM does (the first hundred are looked at)."""
    return any(_begins_as_dicom(path) for path in sorted(folder.iterdir())[:100] if path.is_file())


def load(path: Path) -> Scan:
    """Read ``path``, a file or a folder; `InputError` names file and field."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file() and _begins_as_dicom(file)]
        if not 1 < len(files) <= _MOST_SLICES:
            raise refusal(path.name, "DICOM slices", f"2 to {_MOST_SLICES}", len(files))
        return _stack(path.name, [_parsed(file) for file in files])
    one = _parsed(path)
    if one.whole("frames", 1) < 2:
        raise refusal(path.name, "frames", "several frames, or the folder that holds the slices", "one slice")
    return _stack(path.name, [one])


def _begins_as_dicom(path: Path) -> bool:
    with opened(path) as stream:
        return stream.read(132)[128:] == b"DICM"


def _stack(name: str, slices: list[_Slice]) -> Scan:
    first = slices[0]
    for field in ("series", "rows", "columns", "bits", "signed", "orientation", "pixel_spacing"):
        found = {part.fields.get(field, "") for part in slices}
        if len(found) > 1:
            raise refusal(name, field, "the same in all slices", " and ".join(sorted(found)[:2]))
    slices, spacing, origin, direction = _placed(name, slices)
    rows, columns, bits = first.whole("rows"), first.whole("columns"), first.whole("bits")
    if first.whole("samples", 1) != 1 or bits not in (8, 16, 32):
        raise refusal(name, "pixels", "one sample of 8, 16 or 32 bits", f"{first.fields.get('samples')} of {bits}")
    dtype = np.dtype(f"<{'i' if first.whole('signed', 0) else 'u'}{bits // 8}")
    frames = [part.whole("frames", 1) for part in slices]
    shape = (sum(frames), rows, columns)
    need = checked_shape(name, "rows, columns, frames", shape, dtype.itemsize)
    data = allocate(name, need)
    place = 0
    for part, count in zip(slices, frames, strict=True):
        size = count * rows * columns * dtype.itemsize
        if part.size not in (size, size + size % 2):
            raise refusal(part.path.name, "pixel data", f"{size} bytes", part.size)
        with opened(part.path) as stream:
            stream.seek(part.offset)
            if stream.readinto(memoryview(data)[place : place + size]) != size:
                raise refusal(part.path.name, "pixel data", f"{size} bytes", "a file that ends before")
        place += size
    values = _rescaled(data.view(dtype).reshape(shape), slices, frames)
    # Of another maker, or where each slice has a slope of its own, nothing is known of density.
    alike = len({(part.fields.get("slope"), part.fields.get("intercept")) for part in slices}) == 1
    told = _DENSITY if alike and "SCANCO" in first.fields.get("manufacturer", "").upper() else ()
    kept: dict[str, str] = {
        str(key): first.fields[key] for key in ("modality", "slope", "intercept", *told) if key in first.fields
    }
    files = [part.path for part in slices]
    return Scan("DICOM", name, values, spacing, digest(files), origin, direction, clean_header(kept))


def _rescaled(values: np.ndarray, slices: list[_Slice], frames: list[int]) -> np.ndarray:
    """Values in the file's unit: whole numbers where slope is 1 and intercept whole, else float32."""
    pairs = [((part.reals("slope", 1) or (1.0,))[0], (part.reals("intercept", 1) or (0.0,))[0]) for part in slices]
    if all(pair == (1.0, 0.0) for pair in pairs):
        return values
    if all(slope == 1.0 and offset.is_integer() and abs(offset) < 1 << 24 for slope, offset in pairs):
        result = values.astype(np.int32)
    else:
        result = values.astype(np.float32)
    place = 0
    for (slope, offset), count in zip(pairs, frames, strict=True):
        part = result[place : place + count]
        if result.dtype.kind == "f":
            np.multiply(part, np.float32(slope), out=part)
        part += result.dtype.type(offset)
        place += count
    if result.dtype == np.int32 and result.min() >= -(1 << 15) and result.max() < 1 << 15:
        return result.astype(np.int16)
    return result


def _placed(
    name: str, slices: list[_Slice]
) -> tuple[list[_Slice], Spacing, tuple[float, float, float], tuple[tuple[float, ...], ...]]:
    """Slices in the order of their position, voxel size, origin and directions."""
    first = slices[0]
    turned = first.reals("orientation", 6) or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    across, down = np.array(turned[:3]), np.array(turned[3:])
    normal = np.cross(across, down)
    pixel = first.reals("pixel_spacing", 2)
    positions = [part.reals("position", 3) for part in slices]
    step: float | None
    if len(slices) > 1:
        if any(position is None for position in positions):
            raise refusal(name, "position", "the position of every slice (0020,0032)", "slices without it")
        along = np.array([normal @ np.array(position) for position in positions])
        order = np.argsort(along, kind="stable")
        slices, gaps = [slices[k] for k in order], np.diff(along[order])
        step = float(gaps.mean())
        if step <= 0 or np.abs(gaps - step).max() > 0.02 * step:
            raise refusal(name, "position", "slices at equal distances", f"{gaps.min():.4g} to {gaps.max():.4g} mm")
    else:
        spacing = first.reals("slice_spacing", 1) or first.reals("slice_thickness", 1)
        step = None if spacing is None else spacing[0]
    direction = axes_zyx([across.tolist(), down.tolist(), normal.tolist()])
    if direction is None:
        raise refusal(name, "orientation", "axes at right angles", repr(first.fields.get("orientation")))
    if pixel is None or step is None:
        missing = "pixel spacing (0028,0030)" if pixel is None else "distance of slices (0018,0088)"
        return slices, Spacing(None, f"the file has no {missing}"), (0.0, 0.0, 0.0), direction
    place = slices[0].reals("position", 3)
    stated_ = stated((step, pixel[0], pixel[1]), "mm", "pixel spacing and position")
    return slices, stated_, origin_zyx(name, place) if place else (0.0, 0.0, 0.0), direction


def _parsed(path: Path) -> _Slice:
    """Fields of one file up to its pixels."""
    size = path.stat().st_size
    with opened(path) as stream:
        data = stream.read(min(size, 1 << 24))
    if data[128:132] != b"DICM":
        raise refusal(path.name, "beginning", "DICM after 128 bytes", repr(data[128:132]))
    fields: dict[str, str] = {}
    offset = length = -1
    syntax = _EXPLICIT
    try:
        for tag, start, count, representation in _elements(data, 132, path.name):
            name = _WANTED.get(tag)
            if tag == _PIXELS:
                offset, length = start, count
                break
            if name:
                fields[name] = _text(data[start : start + count], name, representation)
        syntax = fields.get("syntax", _EXPLICIT)
    except struct.error as problem:
        raise InputError(f"{path.name}: the file ends within a field ({problem})") from problem
    if syntax not in (_IMPLICIT, _EXPLICIT):
        raise refusal(path.name, "transfer syntax", "uncompressed little-endian pixels (dcmdjpeg unpacks)", syntax)
    if offset < 0 or length == _UNDEFINED or offset + length > size:
        raise refusal(path.name, "pixel data", "uncompressed pixels within the file", "none that can be read")
    return _Slice(path, fields, offset, length)


def _elements(data: bytes, at: int, name: str) -> Iterator[tuple[tuple[int, int], int, int, bytes]]:
    """(tag, first byte, length, representation) of the elements of the outermost level; sequences are skipped."""
    implicit_body = False
    while at + 8 <= len(data):
        group, element = struct.unpack_from("<HH", data, at)
        explicit = group == 2 or not implicit_body
        representation, start, length = _head(data, at, explicit)
        if (group, element) == (2, 0x10):
            implicit_body = data[start : start + length].rstrip(b"\0 ").decode("latin-1") == _IMPLICIT
        if length == _UNDEFINED and (group, element) != _PIXELS:
            at = _after_sequence(data, start, explicit, name, 0)
            continue
        yield (group, element), start, length, representation
        at = start + length


def _head(data: bytes, at: int, explicit: bool) -> tuple[bytes, int, int]:
    """Representation, first byte of the value, and its length."""
    if not explicit:
        return b"", at + 8, struct.unpack_from("<I", data, at + 4)[0]
    representation = data[at + 4 : at + 6]
    if representation in _LONG:
        return representation, at + 12, struct.unpack_from("<I", data, at + 8)[0]
    return representation, at + 8, struct.unpack_from("<H", data, at + 6)[0]


def _after_sequence(data: bytes, at: int, explicit: bool, name: str, depth: int) -> int:
    """The first byte after a sequence, or an item, of undefined length."""
    if depth > 16:
        raise refusal(name, "sequences", "at most 16 within one another", "more")
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        if group == 0xFFFE:
            at += 8
            if element in (0xE0DD, 0xE00D):  # the sequence's, or the item's, end
                return at
            at = _after_sequence(data, at, explicit, name, depth + 1) if length == _UNDEFINED else at + length
            continue
        _, start, length = _head(data, at, explicit)
        at = _after_sequence(data, start, explicit, name, depth + 1) if length == _UNDEFINED else start + length
    raise refusal(name, "sequences", "an end", "the file's end")


def _text(value: bytes, name: str, representation: bytes) -> str:
    if name in _SHORTS and representation in (b"US", b"SS", b"") and len(value) == 2:
        return str(struct.unpack("<H", value)[0])
    return value[:200].decode("latin-1").strip("\0 ")
