"""Checkpoints: arrays and numbers of one step, complete and verified, or as if they had never been written.

A checkpoint is a folder ``step-000120`` with ``state.h5`` and ``MANIFEST.json``. The manifest is written last; its
arrival is the commit. It names the SHA-256 of the state, and carries its own. Layout: FORMAT.md.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import microct
from microct.io import safe_file
from microct.io.safe_file import ensure_folder, read_whole, replacing, require_space, storage_error, sweep
from microct.io.safe_hdf5 import checked_name, parsing_hdf5, write_array, writing_hdf5
from microct.io.sealed_json import NewerSchemaError, plain, read_sealed, write_sealed
from microct.status import InputError, InternalError

SCHEMA = 1
KEEP = 2
MANIFEST = "MANIFEST.json"
_FOLDER = re.compile(r"step-(\d{6,12})")
#: The two names a state file may have: a step that is saved again never touches the file it replaces.
_STATE_FILES = ("state.h5", "state-b.h5")
#: Arrays of a checkpoint hold at most this many bytes for each voxel, and this much beside (tables of BMUs).
_BYTES_PER_VOXEL = 64
_BYTES_BESIDE = 2**30


@dataclass(frozen=True)
class Checkpoint:
    """What was saved at one step.

    Attributes:
        step: the step after which it was saved.
        arrays: by name, with the dtype and shape they had.
        meta: numbers and texts, as JSON keeps them (tuples come back as lists).
        note: empty, or one sentence: the newest checkpoint was damaged and this is an older one.
    """

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    note: str = ""


@dataclass(frozen=True)
class _Manifest:
    step: int
    state: str
    sha256: str
    size: int
    arrays: dict[str, tuple[np.dtype, tuple[int, ...]]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Where the checkpoint of ``step`` lies."""
    return folder / f"step-{step:06d}"


def save(folder: Path, step: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], voxels: int) -> None:
    """Save one step durably; when this returns, no crash and no power cut can take it back.

    Args:
        folder: ``run/ckpt``; made where it is missing.
        step: step number, 0 or more.
        arrays: numbers or bools of any shape; together at most 64 bytes per voxel and 1 GiB.
        meta: what JSON can hold; ``time_yr`` belongs here, `RunFolder.rewind` reads it.
        voxels: voxels of the grid.

    Raises:
        StorageError: the disk is full, faulty or not writable; earlier checkpoints are untouched.
        InternalError: arrays or meta that cannot be kept exactly.
    """
    packed = {checked_name(name): np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in packed.items():
        if array.dtype.kind not in "biuf":
            raise InternalError(f"checkpoint array {name}: expected numbers or bools, got {array.dtype}")
    total = sum(array.nbytes for array in packed.values())
    if step < 0 or total > _BYTES_PER_VOXEL * voxels + _BYTES_BESIDE:
        raise InternalError(f"checkpoint of step {step} with {total} bytes for {voxels} voxels is out of range")
    kept = plain(meta)
    ensure_folder(folder)
    place = checkpoint_folder(folder, step)
    before = [_size(folder, other) for other in committed(folder)]
    require_space(folder, max(before, default=total // 20), "the next checkpoint")
    try:
        in_use = _read_manifest(place).state if (place / MANIFEST).exists() else ""
    except InputError:
        in_use = ""
    ensure_folder(place)
    state = _STATE_FILES[1] if in_use == _STATE_FILES[0] else _STATE_FILES[0]
    try:
        with replacing(place / state) as file, writing_hdf5(file) as h5:
            for name, array in sorted(packed.items()):
                stored = array.view(np.uint8) if array.dtype.kind == "b" else array
                write_array(h5, name, stored.astype(stored.dtype.newbyteorder("<"), copy=False), file)
        digest, size = _digest(place / state)
        write_sealed(
            place / MANIFEST,
            {
                "schema": SCHEMA,
                "microct": microct.__version__,
                "step": step,
                "state": {"file": state, "sha256": digest, "bytes": size},
                "arrays": {
                    name: {"dtype": array.dtype.newbyteorder("<").str, "shape": list(array.shape)}
                    for name, array in sorted(packed.items())
                },
                "meta": kept,
            },
        )
        safe_file.DISK.sync_folder(folder)
    except BaseException as error:
        _forget(place, state)
        if isinstance(error, OSError):
            raise storage_error(place, error) from error
        raise
    for name in _STATE_FILES:
        if name != state and (place / name).exists():
            _remove(place / name)
    for older in [other for other in committed(folder) if other <= step][:-KEEP]:
        discard(folder, older)


def committed(folder: Path) -> list[int]:
    """Steps that have a manifest, ascending; whether they are intact is another question."""
    return sorted(step for step, place in _places(folder) if (place / MANIFEST).exists())


def latest(folder: Path, voxels: int) -> Checkpoint | None:
    """The newest intact checkpoint, or None where none was ever committed.

    Raises:
        InputError: checkpoints exist and not one of them is intact, or the newest is of a newer schema.
    """
    damage: list[str] = []
    for step in reversed(committed(folder)):
        try:
            found = load(folder, step, voxels)
        except NewerSchemaError:
            raise
        except InputError as error:
            damage.append(str(error))
            continue
        note = f"{'; '.join(damage)}; went back to step {step}" if damage else ""
        return Checkpoint(found.step, found.arrays, found.meta, note)
    if damage:
        raise InputError(
            f"{folder}: no checkpoint is intact: {'; '.join(damage)}; start the study anew in another folder"
        )
    return None


def load(folder: Path, step: int, voxels: int) -> Checkpoint:
    """One checkpoint, every byte verified before HDF5 sees it; `InputError` where anything is not as written."""
    place = checkpoint_folder(folder, step)
    manifest = _read_manifest(place)
    total = sum(math.prod(shape) * dtype.itemsize for dtype, shape in manifest.arrays.values())
    if manifest.step != step or total > _BYTES_PER_VOXEL * voxels + _BYTES_BESIDE:
        raise InputError(f"{place}: says step {manifest.step} and {total} bytes for {voxels} voxels; refused")
    path = place / manifest.state
    data = read_whole(path, manifest.size)
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise InputError(f"{path}: damaged: its SHA-256 is not the one in {MANIFEST}")
    arrays = {}
    with parsing_hdf5(io.BytesIO(data), path) as h5:
        for name, (dtype, shape) in manifest.arrays.items():
            dataset = h5[name]
            stored = np.dtype("u1") if dtype.kind == "b" else dtype
            if dataset.shape != shape or dataset.dtype != stored:
                raise InputError(f"{path}: {name} is {dataset.dtype} {dataset.shape}, {MANIFEST} says {stored} {shape}")
            values = np.asarray(dataset[()], dtype=stored, order="C")
            arrays[name] = values.astype(bool) if dtype.kind == "b" else values
    return Checkpoint(step, arrays, manifest.meta)


def meta_of(folder: Path, step: int) -> dict[str, Any]:
    """The numbers of one checkpoint without its arrays; `InputError` where the manifest is missing or damaged."""
    return _read_manifest(checkpoint_folder(folder, step)).meta


def discard(folder: Path, step: int) -> None:
    """Remove one checkpoint, the manifest first, so that it is never half there; a refusal of storage is ignored."""
    place = checkpoint_folder(folder, step)
    _remove(place / MANIFEST)
    _clear_uncommitted(place)


def sweep_checkpoints(folder: Path) -> None:
    """Remove what killed processes left: half-written files, folders without a manifest. Only under the run's lock."""
    for _, place in _places(folder):
        sweep(place)
        _clear_uncommitted(place)


def _places(folder: Path) -> Iterator[tuple[int, Path]]:
    if folder.is_dir():
        for place in folder.iterdir():
            if match := _FOLDER.fullmatch(place.name):
                yield int(match[1]), place


def _read_manifest(place: Path) -> _Manifest:
    path = place / MANIFEST
    record = read_sealed(path, SCHEMA)
    try:
        arrays = {
            checked_name(name): (np.dtype(str(entry["dtype"])), tuple(int(n) for n in entry["shape"]))
            for name, entry in record["arrays"].items()
        }
        state = record["state"]
        manifest = _Manifest(
            int(record["step"]), str(state["file"]), str(state["sha256"]), int(state["bytes"]), arrays, record["meta"]
        )
    except Exception as error:
        raise InputError(f"{path}: not a manifest of microct ({type(error).__name__}: {error})") from error
    if manifest.state not in _STATE_FILES or any(
        dtype.kind not in "biuf" or min(shape, default=0) < 0 for dtype, shape in arrays.values()
    ):
        raise InputError(f"{path}: names a state file or an array that no checkpoint has")
    return manifest


def _digest(path: Path) -> tuple[str, int]:
    with safe_file.reading(path) as file:
        digest, size = hashlib.sha256(), 0
        while block := file.read(2**20):
            digest.update(block)
            size += len(block)
        file.check()
    return digest.hexdigest(), size


def _size(folder: Path, step: int) -> int:
    with suppress(OSError):
        return sum(path.stat().st_size for path in checkpoint_folder(folder, step).iterdir())
    return 0


def _clear_uncommitted(place: Path) -> None:
    if (place / MANIFEST).exists():
        return
    for name in _STATE_FILES:
        _remove(place / name)
    sweep(place)
    with suppress(OSError):
        safe_file.DISK.remove_folder(place)


def _forget(place: Path, state: str) -> None:
    """After a failure: remove what was written, unless the manifest that names it has already arrived."""
    _clear_uncommitted(place)
    with suppress(InputError):
        if _read_manifest(place).state != state:
            _remove(place / state)


def _remove(path: Path) -> None:
    with suppress(OSError):
        safe_file.DISK.remove(path)
