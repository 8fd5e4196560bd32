"""Scanco's AIM (v020, v030) and ISQ: native grey values, voxel size, and what their headers say of density.

Written from the facts of the formats as the readers of ITK (ITKIOScanco) and n88tools (AimIO) give them, and held
against what ITK and aimio-py write and read; no file of a scanner was at hand to try it on. Values are native:
attenuation [1/cm] is the value / mu_scaling, and density the attenuation * density_slope + density_intercept; these
numbers are in the header that `microct.read` keeps. Names of patients are not read. Not read: RAD (radiographs),
vector and 3-byte packed types.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from microct.io.source import (
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
from microct.io.spacing import origin_zyx, stated

_AIM_30 = b"AIMDATA_V030   "
_ISQ = b"CTDATA-HEADER_V1"
_MOST_LOG = 1 << 20

#: Types of AIM voxels: how they are packed, and what they are.
_TYPES = {
    0x00010001: ("plain", "i1"),
    0x000D0001: ("plain", "u1"),
    0x00160001: ("plain", "u1"),
    0x00020002: ("plain", "i2"),
    0x00170002: ("plain", "u2"),
    0x00030004: ("plain", "i4"),
    0x001A0004: ("plain", "f4"),
    0x00040004: ("vax", "f4"),
    0x00060001: ("bits", "u1"),
    0x00150001: ("bit runs", "u1"),
    0x00080002: ("byte runs", "i1"),
}

#: Lines of the processing log that are kept, and the names under which they are kept.
_LOG = {
    "Mu_Scaling": "mu_scaling",
    "Density: slope": "density_slope",
    "Density: intercept": "density_intercept",
    "Density: unit": "density_unit",
    "HU: mu water": "mu_water",
    "Calibration Data": "calibration",
    "Energy [V]": "energy_v",
    "Intensity [uA]": "intensity_ua",
    "Original Creation-Date": "scanned",
    "Scanner ID": "scanner",
    "Site": "site",
}


def load(path: Path) -> Scan:
    """Read ``path`` (.aim or .isq); `InputError` names file and field."""
    with opened(path) as stream:
        start = stream.read(512)
    if start.startswith(_ISQ):
        return _isq(path, start)
    if start.startswith(_AIM_30):
        return _aim(path, start, 16, 8)
    if len(start) >= 160 and _int(start, 0) == 20 and _int(start, 4) == 140:
        return _aim(path, start, 0, 4)
    raise refusal(path.name, "beginning", "an AIM of version 020 or 030, or an ISQ", repr(start[:16]))


def _isq(path: Path, start: bytes) -> Scan:
    name = path.name
    if len(start) < 512:
        raise refusal(name, "header", "512 bytes", len(start))
    sizes = [_int(start, at) for at in (44, 48, 52)]
    lengths = [_int(start, at) for at in (56, 60, 64)]
    if _int(start, 16) == 9 or lengths[2] <= 0:
        raise refusal(name, "data type", "a stack of slices", "a radiograph")
    blocks = _int(start, 508)
    if not 0 <= blocks < 1 << 16:
        raise refusal(name, "data offset", "0 to 65535 blocks", blocks)
    values = _plain(path, stored_as("i2"), sizes, 512 * (blocks + 1), "dimx_p, dimy_p, dimz_p")
    steps = [length / 1000.0 / max(size, 1) for length, size in zip(lengths, sizes, strict=True)]
    header: dict[str, object] = {"mu_scaling": _int(start, 88), "scanner": _int(start, 32), "site": _int(start, 116)}
    header |= {"energy_v": _int(start, 168), "intensity_ua": _int(start, 172)}
    with opened(path) as stream:
        extended = stream.read(512 * (blocks + 1))
    header |= _isq_calibration(extended)
    spacing = stated(steps[::-1], "mm", "dimx_um, dimy_um, dimz_um")
    return Scan("Scanco ISQ", name, values, spacing, digest([path]), header=clean_header(header))


def _isq_calibration(header: bytes) -> dict[str, object]:
    """Slope, intercept, unit and mu of water from the extended header's block "Calibration", where there is one."""
    first, skipped = 512, 1
    if header[first + 8 : first + 24] == b"MultiHeader     ":
        first, skipped = first + 512, skipped + 1
    for number in range(4):
        entry = first + 128 * number
        if entry + 28 > len(header):
            return {}
        blocks = _int(header, entry + 24)
        if blocks < 0 or (1 + skipped + blocks) * 512 > len(header):
            return {}
        if header[entry + 8 : entry + 24] == b"Calibration     " and blocks >= 2:
            at = 512 * (1 + skipped)
            slope, intercept, water = (_vax_double(header, at + offset) for offset in (664, 672, 688))
            unit = header[at + 648 : at + 664].decode("latin-1").strip("\0 ")
            found = {"density_slope": slope, "density_intercept": intercept, "mu_water": water}
            return {**{key: f"{value:.9g}" for key, value in found.items()}, "density_unit": unit}
        skipped += blocks
    return {}


def _aim(path: Path, start: bytes, offset: int, width: int) -> Scan:
    name = path.name
    before, struct, log = (_int(start, offset + k * width, width) for k in range(3))
    if not (0 < before <= 512 and 0 < struct <= 4096 and 0 <= log <= _MOST_LOG):
        raise refusal(name, "header sizes", f"a log of at most {_MOST_LOG} bytes", (before, struct, log))
    end = offset + before + struct + log
    with opened(path) as stream:
        header = stream.read(end)
    need = offset + before + (12 if width == 8 else 20) + 4 + 24 * width
    if len(header) < end or need > end:
        raise refusal(name, "header", f"{max(end, need)} bytes", len(header))
    at = offset + before + (12 if width == 8 else 20)
    kind = _int(header, at)
    numbers = [_int(header, at + 4 + k * width, width) for k in range(21)]
    place, sizes = numbers[:3], numbers[3:6]
    sized = at + 4 + 21 * width
    if width == 8:
        steps = [1e-6 * _int(header, sized + 8 * k, 8) for k in range(3)]
    else:
        steps = [_vax_float(header, sized + 4 * k) for k in range(3)]
    if kind not in _TYPES:
        raise refusal(name, "data type", "one of " + ", ".join(f"{code:#010x}" for code in _TYPES), f"{kind:#010x}")
    packing, code = _TYPES[kind]
    if packing == "plain":
        values = _plain(path, stored_as(code), sizes, end, "dimensions")
    elif packing == "vax":
        values = _plain(path, stored_as("u4"), sizes, end, "dimensions")
        values = (values << 16 | values >> 16).view(np.float32) / np.float32(4.0)
    else:
        values = _unpacked(path, packing, code, sizes, end, width)
    # The product of float32 steps carries their noise: seven digits are what the format holds.
    spacing = stated([float(f"{step:.7g}") for step in steps[::-1]], "mm", "element size")
    origin = (0.0, 0.0, 0.0)
    if spacing.mm is not None:
        origin = origin_zyx(name, [step * number for step, number in zip(steps, place, strict=True)])
    words = f"AIM v0{'30' if width == 8 else '20'}"
    return Scan(
        words, name, values, spacing, digest([path]), origin, header=clean_header(_log(header[end - log : end]))
    )


def _log(text: bytes) -> dict[str, str]:
    """Chosen lines "KEY   VALUE" of the processing log."""
    found = {}
    for line in text.split(b"\0")[0].decode("latin-1").splitlines():
        match = re.match(r"([^!\s](?:\S| (?! ))*) {2,}(.*\S)", line)
        if match and match[1] in _LOG:
            found[_LOG[match[1]]] = match[2]
    return found


def _plain(path: Path, dtype: np.dtype, sizes_xyz: list[int], offset: int, what: str) -> np.ndarray:
    """Voxels as they are stored; blocks of padding and associated data may follow."""
    need = checked_shape(path.name, what, sizes_xyz[::-1], dtype.itemsize)
    with opened(path) as stream:
        held = os.fstat(stream.fileno()).st_size - offset
        if held < need:
            raise refusal(path.name, what, f"{need} bytes of voxels", f"{max(held, 0)} in the file")
        stream.seek(offset)
        data = allocate(path.name, need)
        if stream.readinto(memoryview(data)) != need:
            raise refusal(path.name, what, f"{need} bytes of voxels", "a file that became shorter")
    return native(data.view(dtype).reshape(sizes_xyz[::-1]))


def _unpacked(path: Path, packing: str, code: str, sizes_xyz: list[int], offset: int, width: int) -> np.ndarray:
    """Voxels out of runs of bits or bytes, or of blocks of 2 x 2 x 2 bits."""
    name, shape = path.name, tuple(sizes_xyz[::-1])
    count = checked_shape(name, "dimensions", shape, 1)
    with opened(path) as stream:
        held = os.fstat(stream.fileno()).st_size - offset
        stream.seek(offset)
        if packing == "bits":
            half = tuple(-(-n // 2) for n in shape)
            size = int(np.prod(half)) + 1
        else:
            size = _int(stream.read(width).ljust(width, b"\0"), 0, width) - width
            held -= width
        if not 0 < size <= held:
            raise refusal(name, "packed size", f"1 to {max(held, 0)} bytes", size)
        data = np.frombuffer(stream.read(size), np.uint8)
    if packing == "bits":
        value = int(data[-1]) or 127
        blocks = data[:-1].reshape(half)
        voxels = np.zeros(tuple(2 * n for n in half), np.uint8)
        for bit in range(8):
            voxels[bit >> 2 :: 2, bit >> 1 & 1 :: 2, bit & 1 :: 2] = (blocks >> bit & 1) * value
        return np.ascontiguousarray(voxels[: shape[0], : shape[1], : shape[2]])
    if packing == "bit runs":
        lengths = data[2:].astype(np.int64)
        on = lengths == 255  # 254 voxels, and the next run has the same value
        turns = np.cumsum(~on) - ~on  # how often the value changed before each run
        lengths[on] = 254
        values = data[:2][turns % 2]
    else:
        lengths, values = data[0 : 2 * (size // 2) : 2].astype(np.int64), data[1::2][: size // 2]
    if int(lengths.sum()) < count:
        raise refusal(name, "runs", f"{count} voxels", int(lengths.sum()))
    last = int(np.searchsorted(np.cumsum(lengths), count)) + 1
    lengths = lengths[:last]
    lengths[-1] -= int(lengths.sum()) - count
    return np.repeat(values[:last], lengths).view(code).reshape(shape)


def _int(data: bytes, at: int, width: int = 4) -> int:
    return int.from_bytes(data[at : at + width], "little", signed=True)


def _vax_float(data: bytes, at: int) -> float:
    """VAX F: the two 16-bit words swapped, an exponent larger by two."""
    word = bytes([data[at + 2], data[at + 3], data[at], data[at + 1]])
    return float(np.frombuffer(word, "<f4")[0]) / 4.0


def _vax_double(data: bytes, at: int) -> float:
    """VAX G: the four 16-bit words swapped, an exponent larger by two."""
    words = [data[at + 2 * k : at + 2 * k + 2] for k in range(4)]
    return float(np.frombuffer(b"".join(reversed(words)), "<f8")[0]) / 4.0
