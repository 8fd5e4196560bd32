"""NRRD: attached (.nrrd) and detached (.nhdr) headers, raw or gzip, three axes of numbers.

Written from the format's definition (http://teem.sourceforge.net/nrrd/format.html). Deliberately not read: ASCII,
hex and bzip2 encodings, data spread over several files, and data files outside the header's folder.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from microct.io.source import Scan, clean_header, digest, inside, refusal, stored_as, voxels
from microct.io.spacing import Spacing, axes_zyx, origin_zyx, stated, unit_in_mm
from microct.io.text_header import Fields, beginning

_TYPES: dict[str, str] = {}
for _code, _words in {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}.items():
    _TYPES.update(dict.fromkeys(_words.split("|"), _code))

_ENCODINGS = {"raw": False, "gzip": True, "gz": True}

#: Fields whose names this reader writes without blanks, as the format spells them.
_LABELS = {
    name.replace(" ", ""): name
    for name in (
        "data file",
        "line skip",
        "byte skip",
        "space dimension",
        "space directions",
        "space origin",
        "space units",
    )
}

#: Signs that turn the file's x and y to left-posterior-superior.
_TO_LPS = {
    "right-anterior-superior": (-1.0, -1.0),
    "ras": (-1.0, -1.0),
    "left-anterior-superior": (1.0, -1.0),
    "las": (1.0, -1.0),
}


def load(path: Path) -> Scan:
    """Read ``path`` (.nrrd or .nhdr); `InputError` names file and field."""
    fields, offset = _header(path)
    name = path.name
    if fields.whole("dimension") != 3:
        raise fields.refuse("dimension", "3", fields.text("dimension"))
    sizes = fields.wholes("sizes", 3)
    dtype = stored_as(str(fields.choice("type", _TYPES, expected="an integer of 8 to 64 bits, float or double")))
    if dtype.itemsize > 1 and fields.choice("endian", {"little": False, "big": True}):
        dtype = dtype.newbyteorder()
    compressed = bool(fields.choice("encoding", _ENCODINGS))

    data, what = path, "sizes"
    if "datafile" in fields:
        what = "data file"
        data, offset = inside(path.parent, fields.text("datafile"), name, what), 0
    elif path.suffix.lower() == ".nhdr":
        raise fields.refuse("datafile", "this field in a detached header", "none")
    offset, skip = _skips(fields, data, offset, compressed, math.prod(sizes) * dtype.itemsize)
    values = voxels(data, dtype, sizes[::-1], what=what, offset=offset, skip=skip, compressed=compressed)

    spacing, origin, direction = _place(fields)
    files = [path] if data == path else [path, data]
    kept = {key: value for key, value in fields.entries.items() if key not in {"datafile", "sizes", "dimension"}}
    return Scan("NRRD", name, values, spacing, digest(files), origin, direction, clean_header(kept))


def _header(path: Path) -> tuple[Fields, int]:
    """Fields (names in lower case without blanks) and the byte where attached data begins."""
    start = beginning(path)
    if not re.match(rb"NRRD000[1-6]\r?\n", start):
        raise refusal(path.name, "first line", "NRRD0001 to NRRD0006", repr(start[:8]))
    end = re.search(rb"\r?\n\r?\n", start)
    detached = path.suffix.lower() == ".nhdr"
    if end is None and not detached:
        raise refusal(path.name, "header", "an empty line before the voxels", "none in the first MiB")
    entries: dict[str, str] = {}
    for line in start[: end.start() if end else len(start)].decode("utf-8", "replace").split("\n")[1:]:
        line = line.rstrip("\r")
        if line.startswith("#") or not line.strip():
            continue
        match = re.match(r"([^:]{1,64}):(=| ?)(.*)", line)
        if match is None:
            raise refusal(path.name, "header", "lines of the form 'field: value'", repr(line))
        key, value = match[1].strip(), match[3].strip()
        # key:=value is a remark of the writer; its colon keeps it from passing for a field
        key = key + ":" if match[2] == "=" else key.lower().replace(" ", "")
        if key in entries:
            raise refusal(path.name, _LABELS.get(key, key), "this field once", "it twice")
        entries[key] = value
    return Fields(path.name, entries, _LABELS), end.end() if end else len(start)


def _skips(fields: Fields, data: Path, offset: int, compressed: bool, need: int) -> tuple[int, int]:
    """Where voxels begin, and how many inflated bytes to drop, after ``line skip`` and ``byte skip``."""
    if fields.whole("lineskip", 0) != 0:
        raise fields.refuse("lineskip", "0", fields.text("lineskip"))
    skip = fields.whole("byteskip", 0)
    if skip == -1 and not compressed:  # the voxels are the end of the file
        offset = data.stat().st_size - need
        if offset < 0:
            raise fields.refuse("sizes", f"{need} bytes of voxels", f"{data.stat().st_size} in the file")
        return offset, 0
    if not 0 <= skip <= 1 << 24:
        raise fields.refuse("byteskip", "0 to 16 MiB", skip)
    return (offset, skip) if compressed else (offset + skip, 0)


def _place(fields: Fields) -> tuple[Spacing, tuple[float, float, float], tuple[tuple[float, ...], ...]]:
    """Voxel size, origin [mm] and directions from the header."""
    space = fields.text("space", "").lower()
    if "spacedimension" in fields and fields.whole("spacedimension") != 3:
        raise fields.refuse("spacedimension", "3", fields.text("spacedimension"))
    unit = _unit(fields, "spaceunits")
    if "spacedirections" not in fields:
        spacing = Spacing(None, "the header has neither 'space directions' nor 'spacings'")
        if "spacings" in fields:
            spacing = stated(fields.reals("spacings", 3)[::-1], _unit(fields, "units"), "'spacings'")
        return spacing, (0.0, 0.0, 0.0), axes_zyx(np.eye(3).tolist()) or ()
    signs = (*_TO_LPS.get(space, (1.0, 1.0)), 1.0)
    vectors = [[sign * value for sign, value in zip(signs, vector, strict=True)] for vector in _vectors(fields)]
    sizes = [math.hypot(*vector) for vector in vectors]
    spacing = stated(sizes[::-1], unit, "'space directions'")
    direction = axes_zyx(vectors)
    if direction is None:
        raise fields.refuse("spacedirections", "axes at right angles", repr(fields.text("spacedirections")))
    origin = (0.0, 0.0, 0.0)
    match = re.fullmatch(r"\(([^()]*)\)", fields.text("spaceorigin", "(0,0,0)").strip())
    if match is None:
        raise fields.refuse("spaceorigin", "a vector (x,y,z)", repr(fields.text("spaceorigin")))
    point = fields.parsed("spaceorigin", match[1].replace(",", " "), 3)
    if spacing.mm is not None:
        factor = unit_in_mm(unit) if unit else 1.0
        origin = origin_zyx(fields.name, [sign * value for sign, value in zip(signs, point, strict=True)], factor)
    return spacing, origin, direction


def _vectors(fields: Fields) -> list[tuple[float, ...]]:
    """The three vectors of ``space directions``; 'none' counts as a zero vector, so that no size is believed."""
    text = fields.text("spacedirections").strip()
    parts = re.findall(r"none|\([^()]*\)", text)
    if len(parts) != 3 or re.sub(r"none|\([^()]*\)|\s", "", text):
        raise fields.refuse("spacedirections", "three vectors (x,y,z)", repr(text))
    return [
        (0.0, 0.0, 0.0) if part == "none" else fields.parsed("spacedirections", part[1:-1].replace(",", " "), 3)
        for part in parts
    ]


def _unit(fields: Fields, key: str) -> str | None:
    """The one unit of all axes, or None where there is none; units that differ are no unit that is known."""
    if key not in fields:
        return None
    words = re.findall(r'"([^"]*)"|(\S+)', fields.text(key))
    units = {(quoted or plain).strip().lower() for quoted, plain in words} - {"", "???", "none"}
    if not units:
        return None
    return units.pop() if len(units) == 1 else "mixed: " + fields.text(key)
