"""NumPy files: .npy, and .npz with one volume and, if the writer was kind, its spacing. Never pickle.

Headers are read here, not by numpy.load, so that shape and size are judged before anything is allocated.
"""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

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
)
from microct.io.spacing import Spacing, stated
from microct.status import InputError

_NO_SIZE = Spacing(None, "a NumPy file does not say")
_MAX_MEMBERS = 1000
_SMALL = 64  # numbers: a spacing or an origin, not a volume

#: Preferred where an archive holds several volumes; an axis order (_zyx, _xyz) may follow.
_VOLUME_NAMES = ("volume", "values", "image", "scan", "grey", "gray", "data", "labels", "mask", "bone")
_SPACING_NAME = re.compile(r"(spacing|voxel_?size|voxel)(_mm|_um)?(_zyx|_xyz)?(_mm|_um)?", re.IGNORECASE)


def load(path: Path) -> Scan:
    """Read ``path`` (.npy or .npz); `InputError` names file and field."""
    return _load_archive(path) if path.suffix.lower() == ".npz" else _load_array(path)


def _load_array(path: Path) -> Scan:
    with opened(path) as stream:
        values = _array(stream, path.name, path.stat().st_size)
    return Scan("NumPy", path.name, values, _NO_SIZE, digest([path]))


def _load_archive(path: Path) -> Scan:
    name = path.name
    with opened(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return _from_members(path, archive)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
            raise InputError(f"{name}: the archive is damaged ({error})") from error
        except (ValueError, UnicodeDecodeError, OverflowError) as error:
            raise InputError(f"{name}: the archive's directory makes no sense ({error})") from error


def _from_members(path: Path, archive: zipfile.ZipFile) -> Scan:
    name = path.name
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise refusal(name, "archive", f"at most {_MAX_MEMBERS} members", len(members))
    shapes: dict[str, tuple[int, ...]] = {}
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in members:
        key = info.filename.removesuffix(".npy")
        if key == info.filename:
            continue
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refusal(name, key, "a member stored or deflated, without a password", f"type {info.compress_type}")
        if key in infos:
            raise refusal(name, key, "this member once", "it twice")
        with archive.open(info) as stream:
            _, shapes[key], _ = _array_header(stream, f"{name}[{key}]")
        infos[key] = info
    chosen = _chosen(name, [key for key, shape in shapes.items() if len(shape) == 3])
    with archive.open(infos[chosen]) as stream:
        values = _array(stream, f"{name}[{chosen}]", infos[chosen].file_size, infos[chosen].compress_size)
    if chosen.lower().endswith("_xyz"):
        values = np.ascontiguousarray(values.transpose(2, 1, 0))

    spacing, header = _NO_SIZE, {"array": chosen}
    for key, info in infos.items():
        if math.prod(shapes[key]) > _SMALL:
            continue
        with archive.open(info) as stream:
            dtype, _, _ = _array_header(stream, f"{name}[{key}]")
        if dtype.kind not in "iuf":
            continue
        with archive.open(info) as stream:
            numbers = _array(stream, f"{name}[{key}]", info.file_size, info.compress_size, small=True).ravel()
        header[key] = " ".join(f"{number:.9g}" for number in numbers)
        if _SPACING_NAME.fullmatch(key):
            spacing = _spacing(key.lower(), [float(number) for number in numbers])
    return Scan("NumPy archive", name, values, spacing, digest([path]), header=clean_header(header))


def _chosen(name: str, volumes: list[str]) -> str:
    """The array that is the scan: the only one of three axes, or the one whose name says so."""
    if len(volumes) == 1:
        return volumes[0]
    for wanted in _VOLUME_NAMES:
        named = [key for key in volumes if re.fullmatch(wanted + "(_zyx|_xyz)?", key, re.IGNORECASE)]
        if len(named) == 1:
            return named[0]
    given = ", ".join(volumes) if volumes else "none"
    raise refusal(name, "archive", "one array of three axes, or one that is named 'volume'", given)


def _spacing(key: str, sizes: list[float]) -> Spacing:
    """Spacing out of an array such as spacing_zyx_um; where the axes differ, its name must tell their order."""
    if len(sizes) == 1:
        sizes = sizes * 3
    if len(sizes) != 3:
        return Spacing(None, f"array '{key}' holds {len(sizes)} numbers, not 1 or 3")
    if len(set(sizes)) > 1 and "xyz" not in key and "zyx" not in key:
        return Spacing(None, f"array '{key}' does not name its axis order (spacing_zyx or spacing_xyz)")
    unit = "um" if "_um" in key else "mm" if "_mm" in key else None
    return stated(sizes[::-1] if "xyz" in key else sizes, unit, f"array '{key}'")


def _array_header(stream: IO[bytes], name: str) -> tuple[np.dtype, tuple[int, ...], bool]:
    """dtype, shape, Fortran order; the stream stands at the first number."""
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY" or len(start) < 8 or start[6] not in (1, 2, 3):
        raise refusal(name, "magic", "NumPy format 1 to 3", repr(start))
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > min(MAX_HEADER_BYTES, 10_000):
        raise refusal(name, "header", "at most 10000 bytes", length)
    text = stream.read(length)
    try:
        fields = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin-1").strip())
        descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
        dtype = np.dtype(descr) if isinstance(descr, str) else None
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError, AttributeError) as error:
        raise InputError(f"{name}: header: expected descr, fortran_order and shape, got something else") from error
    if dtype is None or dtype.hasobject or dtype.kind == "V" or dtype.itemsize == 0:
        raise refusal(name, "descr", "plain numbers (objects are never unpickled)", repr(descr))
    if not isinstance(fortran, bool):
        raise refusal(name, "fortran_order", "True or False", repr(fortran))
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise refusal(name, "shape", "whole numbers, none negative", repr(shape))
    return dtype, shape, fortran


def _array(stream: IO[bytes], name: str, file_size: int, packed: int | None = None, small: bool = False) -> np.ndarray:
    """The numbers of a .npy stream of ``file_size`` bytes, out of ``packed`` bytes in an archive."""
    dtype, shape, fortran = _array_header(stream, name)
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise refusal(name, "descr", "bool, integers or floats up to 8 bytes", dtype)
    need = dtype.itemsize * math.prod(shape) if small else checked_shape(name, "shape", shape, dtype.itemsize)
    held = file_size - stream.tell()
    if held != need:
        raise refusal(name, "shape", f"{need} bytes of numbers ({shape} of {dtype.name})", f"{held} in the file")
    if packed is not None and need > 1032 * packed + 1024:
        raise refusal(name, "shape", f"{need} bytes of numbers", f"{packed} compressed bytes, which cannot hold them")
    data = allocate(name, need)
    view, done = memoryview(data), 0
    while done < need:
        count = stream.readinto(view[done : done + (1 << 24)])  # type: ignore[attr-defined]
        if not count:
            raise refusal(name, "shape", f"{need} bytes of numbers", f"{done} (the file is cut off)")
        done += count
    if stream.read(1):
        raise refusal(name, "shape", f"{need} bytes of numbers", "more")
    values = native(data.view(dtype).reshape(shape, order="F" if fortran else "C"))
    return np.ascontiguousarray(values)
