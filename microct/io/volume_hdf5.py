"""Our own volume file (.h5): one dataset with its place and its whole history, damage always noticed.

Layout, format version 1 (HDF5 file format as of library 1.10):

    /            attributes  format = "microct-volume", version = 1
    /values      (nz, ny, nx), gzip 1, fletcher32; a bool volume is stored as uint8
                 attributes  spacing_mm, origin_mm (3), direction (3, 3): float64, (z, y, x)
                             is_bool: uint8; sha256: of the array's bytes; provenance: JSON text
                             kind: text, as `Volume.kind`; left out where nothing is known of the values

Written and read through `safe_hdf5`: whole or not at all, every chunk checksummed, nothing followed out of the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from microct.io.safe_file import replacing, require_space
from microct.io.safe_hdf5 import reading_hdf5, write_array, writing_hdf5
from microct.io.source import Scan, allocate, checked_shape, digest, opened, refusal
from microct.io.spacing import Spacing
from microct.status import InputError, MicroctError, StorageError
from microct.volume import KINDS, Provenance, Volume

FORMAT = "microct-volume"
VERSION = 1

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_CHUNK_BYTES = 1 << 24
_MAX_TEXT = 60_000  # bytes in one attribute of an HDF5 file


def write(volume: Volume, path: str | os.PathLike[str]) -> Path:
    """Write ``volume`` to ``path`` (.h5): complete or not at all.

    Args:
        volume: any volume.
        path: ends in .h5 or .hdf5; a file of that name is replaced.

    Returns:
        The path.

    Raises:
        StorageError: another ending, disk full, folder missing or not writable, history beyond 60 kB.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from microct import Volume, read
        >>> from microct.io.volume_hdf5 import write
        >>> volume = Volume.from_array(np.ones((4, 4, 4), bool), voxel_size_um=20)
        >>> read(write(volume, os.path.join(tempfile.mkdtemp(), "cube.h5"))).spacing_mm
        (0.02, 0.02, 0.02)
    """
    path = Path(path)
    if path.suffix.lower() not in {".h5", ".hdf5"}:
        raise StorageError(f"{path.name}: expected a file name that ends in .h5 or .hdf5")
    history = {
        "source": volume.provenance.source,
        "sha256": volume.provenance.sha256,
        "steps": list(volume.provenance.steps),
        "header": dict(volume.provenance.header),
    }
    text = json.dumps(history).encode()  # ASCII
    if len(text) > _MAX_TEXT:
        raise StorageError(f"{path.name}: a history of {len(text)} bytes is too long, at most {_MAX_TEXT}")
    values = np.ascontiguousarray(volume.values, dtype=volume.values.dtype.newbyteorder("<"))
    stored = values.view(np.uint8) if values.dtype == bool else values
    require_space(path.parent, stored.nbytes // 20, path.name)
    with replacing(path) as file, writing_hdf5(file) as h5:
        h5.attrs["format"] = np.bytes_(FORMAT)
        h5.attrs["version"] = np.int64(VERSION)
        dataset = write_array(h5, "values", stored, file)
        dataset.attrs["spacing_mm"] = np.asarray(volume.spacing_mm, dtype="<f8")
        dataset.attrs["origin_mm"] = np.asarray(volume.origin_mm, dtype="<f8")
        dataset.attrs["direction"] = np.asarray(volume.direction, dtype="<f8")
        dataset.attrs["is_bool"] = np.uint8(values.dtype == bool)
        dataset.attrs["sha256"] = np.bytes_(hashlib.sha256(stored).hexdigest())
        dataset.attrs["provenance"] = np.bytes_(text)
        if volume.kind:
            dataset.attrs["kind"] = np.bytes_(volume.kind)
    return path


def load(path: Path) -> Scan:
    """Read ``path``; `InputError` names file and field."""
    with opened(path) as stream:
        if stream.read(8) != _SIGNATURE:
            raise refusal(path.name, "signature", "an HDF5 file", "other bytes")
    try:
        with reading_hdf5(path) as h5:
            return _scan(h5, path)
    except MicroctError as error:
        if str(path.parent) not in str(error):
            raise
        raise InputError(str(error).replace(str(path), path.name)) from error
    except Exception as error:  # the HDF5 library reports damage by exceptions of many kinds
        raise InputError(f"{path.name}: the HDF5 file is damaged ({str(error)[:120]})") from error


def _scan(file: h5py.File, path: Path) -> Scan:
    name = path.name
    if _text(name, file, "format") != FORMAT:
        raise refusal(name, "format", f"'{FORMAT}'", "another HDF5 file; only volumes of microct are read")
    version = int(_numbers(name, file, "version", ())[()])
    if version != VERSION:
        raise refusal(name, "version", f"{VERSION} (newer files need a newer microct)", version)
    if list(file) != ["values"] or not isinstance(file["values"], h5py.Dataset):
        raise refusal(name, "members", "the dataset 'values' alone", ", ".join(map(repr, file.values())))
    dataset = file["values"]
    values = _values(name, dataset)
    if hashlib.sha256(values).hexdigest() != _text(name, dataset, "sha256"):
        raise InputError(f"{name}: values: SHA-256 differs from the one in the file: the file is damaged")
    if _numbers(name, dataset, "is_bool", ())[()]:
        if values.dtype != np.uint8 or values.max() > 1:
            raise refusal(name, "is_bool", "uint8 values of 0 and 1", values.dtype)
        values = values.view(bool)
    spacing = tuple(float(v) for v in _numbers(name, dataset, "spacing_mm", (3,)))
    origin = tuple(float(v) for v in _numbers(name, dataset, "origin_mm", (3,)))
    direction = tuple(tuple(float(v) for v in row) for row in _numbers(name, dataset, "direction", (3, 3)))
    if not np.isfinite([*origin, *np.ravel(direction)]).all():
        raise refusal(name, "origin_mm, direction", "finite numbers", origin)
    if not np.isfinite(spacing).all():
        raise refusal(name, "spacing_mm", "finite numbers", spacing)
    provenance = _provenance(name, _text(name, dataset, "provenance"))
    kind = _text(name, dataset, "kind") if "kind" in dataset.attrs else ""
    if kind not in KINDS or (kind and values.dtype != np.uint8):
        raise refusal(name, "kind", f"one of {', '.join(filter(None, KINDS))}, of uint8 values", kind)
    return Scan(
        "microct volume (HDF5)",
        name,
        values,
        Spacing(spacing, "spacing_mm"),  # type: ignore[arg-type]
        digest([path]),
        origin,  # type: ignore[arg-type]
        direction,
        provenance.header,
        provenance,
        kind,
    )


def _values(name: str, dataset: h5py.Dataset) -> np.ndarray:
    """The voxels; links, outside storage, foreign filters and claims beyond deflate were refused at the door."""
    if dataset.dtype.itemsize > 8:
        raise refusal(name, "values", "numbers of at most 8 bytes", dataset.dtype)
    need = checked_shape(name, "values", dataset.shape, dataset.dtype.itemsize)
    chunk = math.prod(dataset.chunks or (1,)) * dataset.dtype.itemsize
    if chunk > _MAX_CHUNK_BYTES:
        raise refusal(name, "values", "chunks of at most 16 MiB", f"{chunk} bytes")
    values = allocate(name, need).view(dataset.dtype.newbyteorder("=")).reshape(dataset.shape)
    dataset.read_direct(values)
    return values


def _attribute(name: str, owner: Any, key: str) -> Any:
    if key not in owner.attrs:
        raise refusal(name, key, "this attribute", "none")
    return owner.attrs.get_id(key)


def _text(name: str, owner: Any, key: str) -> str:
    """A fixed-length ASCII attribute (variable-length ones would walk the file's heap)."""
    attribute = _attribute(name, owner, key)
    kind = attribute.get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID) or kind.is_variable_str() or attribute.shape != ():
        raise refusal(name, key, "one text of fixed length", "something else")
    if not 0 < kind.get_size() <= _MAX_TEXT:
        raise refusal(name, key, f"at most {_MAX_TEXT} bytes", kind.get_size())
    return bytes(owner.attrs[key]).decode("ascii", "replace")


def _numbers(name: str, owner: Any, key: str, shape: tuple[int, ...]) -> np.ndarray:
    attribute = _attribute(name, owner, key)
    if attribute.shape != shape or attribute.dtype.kind not in "iuf" or attribute.dtype.itemsize > 8:
        raise refusal(name, key, f"numbers of shape {shape}", f"{attribute.dtype} {attribute.shape}")
    return np.asarray(owner.attrs[key])


def _provenance(name: str, text: str) -> Provenance:
    try:
        history = json.loads(text)
        steps, header = history["steps"], history["header"]
        words = [history["source"], history["sha256"], *steps, *header, *header.values()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{name}: provenance: expected source, sha256, steps and header as JSON") from error
    if not all(isinstance(word, str) for word in words) or not isinstance(steps, list):
        raise refusal(name, "provenance", "texts", "something else")
    return Provenance(history["source"], history["sha256"], tuple(steps), header)
