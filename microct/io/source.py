"""The gate in front of every scan file: what it is, how large it may be, and its bytes, counted exactly.

Nothing is allocated before the claimed size was compared with the file's size and with the budget; nothing is
inflated beyond the expected size; no header can lead to a file outside its own folder.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO

import numpy as np

from microct.io.spacing import Spacing
from microct.status import InputError, StudyError
from microct.volume import IDENTITY, Provenance

BUDGET_VARIABLE = "MICROCT_MAX_VOXELS"
DEFAULT_MAX_VOXELS = 2**33  # 2048^3: a whole vertebra at 20 um

#: Deflate cannot shrink by more than this factor, so a larger claim is a lie (zlib's technical notes).
DEFLATE_LIMIT = 1032

MAX_HEADER_BYTES = 1 << 20

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Scan:
    """What a file holds, before its voxel size is settled.

    Attributes:
        format: name of the format, as users call it.
        name: the file's name, without its folder.
        values: (nz, ny, nx) array, native byte order, C order.
        spacing: the voxel size that the file states, or why it cannot be believed.
        sha256: of the file's bytes; where a scan is several files, of their digests (hexadecimal) in a row.
        origin_mm: centre of the first voxel, (z, y, x), world axes left-posterior-superior as DICOM and ITK.
        direction: rows are the world directions (z, y, x) of the array's axes.
        header: what the file says of itself, cleaned for printing.
        provenance: only from our own files, which carry their whole history.
        kind: what is known of the values, as `Volume.kind`; only from our own files.
    """

    format: str
    name: str
    values: np.ndarray
    spacing: Spacing
    sha256: str
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, ...], ...] = IDENTITY
    header: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance | None = None
    kind: str = ""


def shown(value: object, limit: int = 80) -> str:
    """``value`` as short printable text: a hostile header must not write to the terminal."""
    text = "".join(char if char.isprintable() else "?" for char in str(value)[: limit + 1])
    return text if len(text) <= limit else text[: limit - 3] + "..."


def refusal(name: str, what: str, expected: str, given: object) -> InputError:
    """An `InputError` in the one form that all readers use: file, field, expected, given."""
    return InputError(f"{name}: {what}: expected {expected}, got {shown(given)}")


def clean_header(entries: Mapping[str, object], limit: int = 40) -> dict[str, str]:
    """Header entries as printable text, empty ones left out, at most ``limit`` of them."""
    cleaned = {shown(key, 60): shown(value, 200).strip() for key, value in list(entries.items())[:limit]}
    return {key: value for key, value in cleaned.items() if value}


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """The file, open for reading; every error of the operating system becomes an `InputError`."""
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror or error})") from error


def existing(path: Path) -> Path:
    """``path`` if it is a regular file or a folder that can be read, else `InputError` with the nearest name."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        near: list[str] = []
        if isinstance(error, FileNotFoundError) and path.parent.is_dir() and os.access(path.parent, os.R_OK):
            near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
        hint = f"; did you mean {shown(near[0])}?" if near else ""
        raise InputError(f"{shown(path, 300)}: cannot be read ({reason}){hint}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise refusal(path.name, "kind of file", "a regular file or a folder of slices", "a device or a pipe")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path.name}: cannot be read (permission denied)")
    return path


def inside(folder: Path, name: str, header_name: str, what: str) -> Path:
    """The regular file ``name`` in ``folder``; refuses every path that leads elsewhere, also by a link."""
    if not name or name in {".", ".."} or re.search(r'[/\\:\0*?"<>|]', name) or len(name) > 255:
        raise refusal(header_name, what, "the plain name of a file in the same folder", repr(name))
    path = folder / name
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        several = "; voxels spread over several files are not read" if "%" in name or name.startswith("LIST") else ""
        raise InputError(f"{header_name}: {what}: {shown(name)} cannot be read ({error.strerror}){several}") from error
    if not regular or path.resolve().parent != folder.resolve():
        raise refusal(header_name, what, "a regular file in the same folder, no link to elsewhere", repr(name))
    return path


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 of one file's bytes, or of the hexadecimal digests of several files in a row."""
    digests = []
    for path in paths:
        with opened(path) as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def max_voxels() -> int:
    """The largest volume that may be read [voxels]: MICROCT_MAX_VOXELS, or 2^33."""
    text = os.environ.get(BUDGET_VARIABLE, "").strip()
    if not text:
        return DEFAULT_MAX_VOXELS
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) == 0:
        raise StudyError(f"{BUDGET_VARIABLE}: expected a positive number of voxels, got {shown(text)}")
    return int(text)


def physical_memory() -> int:
    """Bytes of main memory, or a number beyond every file where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def checked_shape(name: str, what: str, shape_zyx: Sequence[int], itemsize: int) -> int:
    """Bytes that a volume of this shape takes, or `InputError` where it is empty or beyond the budget."""
    if len(shape_zyx) != 3 or any(n < 1 for n in shape_zyx):
        raise refusal(name, what, "three axes of at least one voxel", tuple(shape_zyx))
    voxels = math.prod(shape_zyx)
    if voxels > max_voxels():
        raise InputError(
            f"{name}: {what}: {shown(voxels)} voxels (z, y, x = {shown(tuple(shape_zyx))}) are more than the "
            f"{max_voxels()} that may be read; set {BUDGET_VARIABLE} to raise the limit"
        )
    need = voxels * itemsize
    if need > physical_memory():
        raise InputError(
            f"{name}: {what}: needs {need / 2**30:.1f} GiB, this machine has {physical_memory() / 2**30:.1f} GiB; "
            "crop the scan or lower its resolution first"
        )
    return need


def allocate(name: str, size: int) -> np.ndarray:
    """An uninitialised uint8 array of ``size`` bytes; `InputError` where memory runs out."""
    try:
        return np.empty(size, np.uint8)
    except MemoryError as error:
        raise InputError(f"{name}: not enough memory for {size / 2**30:.1f} GiB of voxels; crop the scan") from error


def inflate(stream: IO[bytes], target: np.ndarray, name: str, what: str, skip: int = 0, whole: bool = True) -> None:
    """Fill ``target`` (uint8) from a zlib or gzip stream, never inflating more than one byte too many.

    Args:
        stream: positioned at the first compressed byte.
        target: takes the bytes after the first ``skip``.
        name, what: file and field, for the error.
        skip: leading bytes to drop.
        whole: whether the stream must end, with a good checksum, where ``target`` is full.
    """
    size, position = skip + target.size, 0
    members = 16 + size // 4096  # a gzip file may hold several members in a row; thousands of empty ones are an attack
    decoder, waiting = zlib.decompressobj(47), b""  # 47: zlib or gzip, whichever the first bytes say
    while True:
        chunk = waiting or stream.read(_CHUNK)
        try:
            piece = decoder.decompress(chunk, min(64 * _CHUNK, size - position + 1))
        except zlib.error as error:
            raise InputError(f"{name}: {what}: compressed data is damaged ({error})") from error
        if position + len(piece) > size and whole:
            raise refusal(name, what, f"{size} bytes after inflating", "more")
        keep = np.frombuffer(piece, np.uint8)[: size - position]
        start = max(skip - position, 0)
        if start < keep.size:
            target[position + start - skip : position + keep.size - skip] = keep[start:]
        position += keep.size
        if not whole and position == size:
            return
        waiting = decoder.unconsumed_tail
        if decoder.eof:
            waiting = decoder.unused_data or stream.read(_CHUNK)
            members -= 1
            if waiting[:2] != b"\x1f\x8b" or members < 0:
                break
            decoder = zlib.decompressobj(47)
        elif not chunk and not piece:
            raise refusal(name, what, f"{size} bytes after inflating", f"{position} (the file is cut off)")
    if position < size:
        raise refusal(name, what, f"{size} bytes after inflating", position)
    while waiting:
        if waiting.strip(b"\0"):
            raise InputError(f"{name}: {what}: unknown bytes follow the compressed voxels")
        waiting = stream.read(_CHUNK)


def stored_as(code: str, big_endian: bool = False) -> np.dtype:
    """The type that a file stores: ``code`` such as "i2", with its byte order."""
    return np.dtype(code).newbyteorder(">" if big_endian else "<")


def native(values: np.ndarray) -> np.ndarray:
    """The same numbers in the machine's byte order, swapped in place."""
    if values.dtype.isnative:
        return values
    return values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))


def voxels(
    path: Path,
    dtype: np.dtype,
    shape_zyx: Sequence[int],
    *,
    what: str,
    offset: int = 0,
    skip: int = 0,
    compressed: bool = False,
) -> np.ndarray:
    """The voxels of ``path`` from byte ``offset`` to its end, which must hold exactly this many.

    Args:
        path: a regular file.
        dtype: as stored, with byte order.
        shape_zyx: (nz, ny, nx), the last axis fastest.
        what: the header's field that leads here, for the error.
        offset: where voxels, or the compressed stream, begin.
        skip: leading bytes to drop after inflating (compressed only).
        compressed: one zlib or gzip stream.

    Returns:
        (nz, ny, nx) array in native byte order.

    Raises:
        InputError: too few or too many bytes, damaged stream, beyond the budget.
    """
    name = path.name
    need = checked_shape(name, what, shape_zyx, dtype.itemsize)
    with opened(path) as stream:
        held = os.fstat(stream.fileno()).st_size - offset
        if not compressed and held != need:
            raise refusal(
                name, what, f"{need} bytes of voxels ({tuple(shape_zyx)} of {dtype.name})", f"{held} in the file"
            )
        if compressed and need > DEFLATE_LIMIT * max(held, 0) + 1024:
            raise refusal(name, what, f"{need} bytes of voxels", f"{held} compressed bytes, which cannot hold them")
        stream.seek(offset)
        data = allocate(name, need)
        if compressed:
            inflate(stream, data, name, what, skip)
        elif stream.readinto(memoryview(data)) != need:
            raise refusal(name, what, f"{need} bytes of voxels", "a file that became shorter")
    return native(data.view(dtype).reshape(tuple(shape_zyx)))
