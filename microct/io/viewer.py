"""The viewer file ``run.vtkhdf``: every reporting time of a run in one file that ParaView, PyVista and VTK open.

Voxels are cells of a VTKHDF ImageData with time steps. Each change writes a new file beside the old one and renames
it into place; frames that stay are copied as the packed chunks they are. The file is a function of its frames alone:
however often a run was interrupted, the same frames give the same bytes. Layout: FORMAT.md.

A lone frame has no time axis: VTK (9.3 to 9.7) takes a file of one step for a still one and reads nothing from four.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import microct
from microct.io import safe_file
from microct.io.safe_file import SafeFile, replacing, require_space, storage_error
from microct.io.safe_hdf5 import chunk_shape, create_dataset, reading_hdf5, write_array, writing_hdf5
from microct.quantities import QUANTITIES
from microct.status import InputError, InternalError
from microct.table import listed_times, nearest_time
from microct.volume import Volume

SCHEMA = 1
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class FrameInfo:
    """One reporting time: `step` of the run, `time_yr` since the start of the study [yr], negative in the burn-in."""

    step: int
    time_yr: float


@dataclass(frozen=True)
class _Frame:
    info: FrameInfo
    indices: Mapping[str, float]
    fields: Mapping[str, np.ndarray] | None = None  # None: the frame is copied from the old file, at `source`
    source: int = -1


def index_name(symbol: str) -> str:
    """Name of an index in the file: HDF5 reserves the slash, so "BV/TV" is called "bone_volume_fraction"."""
    return QUANTITIES[symbol].name if symbol in QUANTITIES else re.sub(r"\W", "_", symbol)


def append_frame(
    path: Path,
    grid: Volume,
    study_text: str,
    info: FrameInfo,
    fields: Mapping[str, np.ndarray],
    indices: Mapping[str, float],
) -> None:
    """Add one reporting time to the file, or make the file with it.

    Args:
        path: file name ending in ``.vtkhdf``.
        grid: gives shape, spacing, origin and direction; its voxels are not written.
        study_text: kept in the file, so that it explains itself.
        info: step and time; both later than those in the file.
        fields: (nz, ny, nx) arrays of numbers or bools by name, the same names and dtypes at every time.
        indices: value by ASBMR symbol, in the unit of `microct.quantities`.

    Raises:
        StorageError: the disk is full or not writable; the file is as it was.
        InputError: the existing file is damaged.
        InternalError: fields or times that do not fit the file.
    """
    ready = {name: _cells(name, field, grid.shape) for name, field in fields.items()}
    if not ready or not math.isfinite(info.time_yr):
        raise InternalError(f"a frame needs a field and a time, got {sorted(ready)} at {info.time_yr} yr")
    named = {index_name(symbol): float(value) for symbol, value in indices.items()}
    new = _Frame(info, named, ready)
    if not path.exists():
        _write(path, grid, study_text, None, [new])
        return
    with reading_hdf5(path) as old:
        frames = _frames_of(old, path)
        cells = old["VTKHDF/CellData"]
        if {name: field.dtype for name, field in ready.items()} != {name: cells[name].dtype for name in cells}:
            raise InternalError(f"{path}: holds the fields {sorted(cells)}, this frame brings {sorted(ready)}")
        last = frames[-1].info
        if info.step <= last.step or not info.time_yr > last.time_yr:
            raise InternalError(f"{path}: has step {last.step} already, cannot add step {info.step}; rewind first")
        _write(path, grid, study_text, old, [*frames, new])


def keep_until(path: Path, grid: Volume, study_text: str, step: int) -> None:
    """Drop the frames after ``step``; the file goes where none stays, and is not touched where all stay."""
    if not path.exists():
        return
    with reading_hdf5(path) as old:
        frames = _frames_of(old, path)
        kept = [frame for frame in frames if frame.info.step <= step]
        if kept and len(kept) < len(frames):
            _write(path, grid, study_text, old, kept)
    if not kept:
        try:
            safe_file.DISK.remove(path)
            safe_file.DISK.sync_folder(path.parent)
        except OSError as error:
            raise storage_error(path, error) from error


def frames(path: Path) -> list[FrameInfo]:
    """Steps and times in the file, ascending; none where there is no file yet."""
    if not path.exists():
        return []
    with reading_hdf5(path) as h5:
        return [frame.info for frame in _frames_of(h5, path)]


def fields(path: Path) -> tuple[str, ...]:
    """Names of the fields in the file, in order; none where there is no file yet."""
    if not path.exists():
        return ()
    with reading_hdf5(path) as h5:
        return tuple(sorted(h5["VTKHDF/CellData"]))


def indices(path: Path) -> list[dict[str, float]]:
    """Indices of each frame by name, NaN left out."""
    with reading_hdf5(path) as h5:
        return [dict(frame.indices) for frame in _frames_of(h5, path)]


def read_frame(path: Path, grid: Volume, time_yr: float, field: str) -> tuple[FrameInfo, np.ndarray]:
    """The voxels of ``field`` at the reporting time nearest to ``time_yr`` [yr].

    Returns:
        the frame, and its (nz, ny, nx) array.

    Raises:
        InputError: no reporting time within half an interval (the message lists them), no such field, damage.
    """
    if not path.exists():
        raise InputError(f"{path}: this run has no reporting time yet")
    with reading_hdf5(path) as h5:
        found = _frames_of(h5, path)
        times = [frame.info.time_yr for frame in found]
        index = nearest_time(times, time_yr)
        if index is None:
            raise InputError(f"{path}: nothing at {time_yr:g} yr; available: {listed_times(times)} yr")
        cells = h5["VTKHDF/CellData"]
        if field not in cells:
            raise InputError(f"{path}: no field {field!r}; available: {', '.join(sorted(cells))}")
        if cells[field].shape != _stored_shape(len(times), grid.shape):
            raise InputError(f"{path}: {field} is {cells[field].shape}, expected {(len(times), *grid.shape)}")
        return found[index].info, np.asarray(cells[field][index] if len(times) > 1 else cells[field][()])


def _stored_shape(count: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of a field on disk: (T, z, y, x), and (z, y, x) where there is one frame."""
    return (count, *shape) if count > 1 else shape


def _cells(name: str, field: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    array = np.asarray(field, order="C")
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if not _FIELD.fullmatch(name) or array.dtype.kind not in "uif" or array.shape != shape:
        raise InternalError(f"field {name!r}: expected numbers of shape {shape}, got {array.dtype} {array.shape}")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _frames_of(h5: h5py.File, path: Path) -> list[_Frame]:
    """Steps, times and indices, checked against one another and the fields."""
    ours = h5["microct"]
    if int(ours.attrs["schema"]) > SCHEMA:
        raise InputError(
            f"{path}: written in schema {int(ours.attrs['schema'])}, this version reads up to {SCHEMA}; "
            "install the newer microct"
        )
    root = h5["VTKHDF"]
    steps, times = ours["step"][()], root["Steps/Values"][()]
    values = {name: root["FieldData"][name][()] for name in root["FieldData"]}
    lengths = {len(steps), len(times), int(root["Steps"].attrs["NSteps"]), *(len(value) for value in values.values())}
    lengths |= {data.shape[0] if data.ndim == 4 else 1 for data in root["CellData"].values()}
    if len(lengths) != 1 or not len(steps) or np.any(np.diff(steps) <= 0) or not np.all(np.diff(times) > 0):
        raise InputError(f"{path}: its steps, times and fields do not fit one another; damaged")
    return [
        _Frame(
            FrameInfo(int(steps[i]), float(times[i])),
            {name: float(value[i, 0]) for name, value in values.items() if not math.isnan(value[i, 0])},
            source=i,
        )
        for i in range(len(steps))
    ]


def _write(path: Path, grid: Volume, study_text: str, old: h5py.File | None, frames: Sequence[_Frame]) -> None:
    """The whole file anew from ``frames``; those without fields are copied from ``old``."""
    added = sum(field.nbytes for frame in frames for field in (frame.fields or {}).values())
    already = path.stat().st_size if old is not None else 0
    require_space(path.parent, already + added // 50, "the viewer file")
    with replacing(path) as file, writing_hdf5(file) as h5:
        root = _image_data(h5, grid)
        dtypes = _dtypes(frames[-1], old)
        _time(root, frames, dtypes, file)
        _field_data(root, frames, file)
        cells = root.create_group("CellData")
        for name, dtype in dtypes.items():
            shape = _stored_shape(len(frames), grid.shape)
            chunk = (1,) * (len(shape) - 3) + chunk_shape(grid.shape, dtype.itemsize)
            dataset = create_dataset(cells, name, shape, dtype, chunk)
            for place, frame in enumerate(frames):
                if frame.fields is None:
                    assert old is not None
                    _copy_packed(old[f"VTKHDF/CellData/{name}"], frame.source, dataset, place, path, file)
                else:
                    _pack(frame.fields[name], dataset, place, file)
        _about(h5, grid, study_text, frames, file)


def _dtypes(last: _Frame, old: h5py.File | None) -> dict[str, np.dtype]:
    """Fields by name: those of the newest frame, wherever it is."""
    cells = last.fields if last.fields is not None or old is None else old["VTKHDF/CellData"]
    return {name: cells[name].dtype for name in sorted(cells or ())}  # type: ignore[index]


def _image_data(h5: h5py.File, grid: Volume) -> h5py.Group:
    """Place and size in VTK's order (x, y, z). Our origin is the first voxel's centre, VTK's its outer corner."""
    root = h5.create_group("VTKHDF")
    axes = np.asarray(grid.direction, dtype=float)  # rows: world (z, y, x) of the array's axes z, y, x
    corner = np.asarray(grid.origin_mm) - 0.5 * (np.asarray(grid.spacing_mm) @ axes) + 0.0
    nz, ny, nx = grid.shape
    root.attrs["Version"] = np.array([2, 2], dtype=np.int64)
    root.attrs.create("Type", b"ImageData", dtype=h5py.string_dtype("ascii", len(b"ImageData")))
    root.attrs["WholeExtent"] = np.array([0, nx, 0, ny, 0, nz], dtype=np.int64)
    root.attrs["Origin"] = corner[::-1].copy()
    root.attrs["Spacing"] = np.asarray(grid.spacing_mm, dtype=float)[::-1].copy()
    root.attrs["Direction"] = axes[::-1, ::-1].T.ravel().copy()  # columns: world (x, y, z) of the axes x, y, z
    return root


def _time(root: h5py.Group, frames: Sequence[_Frame], names: Iterable[str], file: SafeFile) -> None:
    steps = root.create_group("Steps")
    write_array(steps, "Values", np.array([frame.info.time_yr for frame in frames]), file)
    steps.attrs["NSteps"] = np.int64(len(frames))
    steps.attrs["unit"] = np.bytes_(b"yr")
    offsets = steps.create_group("CellDataOffsets")
    for name in names:
        write_array(offsets, name, np.arange(len(frames), dtype=np.int64), file)


def _field_data(root: h5py.Group, frames: Sequence[_Frame], file: SafeFile) -> None:
    """Indices over time, one (T, 1) array each; an index that is a number at no time is left out."""
    data = root.create_group("FieldData")
    offsets, sizes = root.create_group("Steps/FieldDataOffsets"), root.create_group("Steps/FieldDataSizes")
    units = {quantity.name: quantity.unit for quantity in QUANTITIES.values()}
    for name in sorted({name for frame in frames for name, value in frame.indices.items() if not math.isnan(value)}):
        values = np.array([[frame.indices.get(name, math.nan)] for frame in frames])
        write_array(data, name, values, file).attrs["unit"] = np.bytes_(units.get(name, "").encode() or b"1")
        write_array(offsets, name, np.arange(len(frames), dtype=np.int64), file)
        write_array(sizes, name, np.ones((len(frames), 2), dtype=np.int64), file)


def _pack(field: np.ndarray, dataset: h5py.Dataset, place: int, file: SafeFile) -> None:
    step = dataset.chunks[-3]
    for start in range(0, field.shape[0], step):
        dataset[_at(dataset, place, slice(start, start + step))] = field[start : start + step]
        file.check()


def _at(dataset: h5py.Dataset, place: int, *where: Any) -> tuple[Any, ...]:
    """Index of ``where`` in frame ``place``."""
    return (place, *where) if dataset.ndim == 4 else where


def _copy_packed(old: h5py.Dataset, source: int, new: h5py.Dataset, place: int, path: Path, file: SafeFile) -> None:
    """Copy one frame's chunks as they lie on disk, neither unpacked nor packed again."""
    shape, chunks = new.shape[-3:], new.chunks[-3:]
    if old.chunks is None or old.chunks[-3:] != chunks or old.dtype != new.dtype or old.shape[-3:] != shape:
        raise InputError(f"{path}: {old.name} is {old.dtype} {old.shape[-3:]}, expected {new.dtype} {shape}")
    for corner in product(*(range(0, n, c) for n, c in zip(shape, chunks, strict=True))):
        mask, packed = old.id.read_direct_chunk(_at(old, source, *corner))
        new.id.write_direct_chunk(_at(new, place, *corner), packed, mask)
        file.check()


def _about(h5: h5py.File, grid: Volume, study_text: str, frames: Iterable[_Frame], file: SafeFile) -> None:
    ours = h5.create_group("microct")
    ours.attrs["schema"] = np.int64(SCHEMA)
    ours.attrs["version"] = np.bytes_(microct.__version__.encode())
    ours.attrs["input_sha256"] = np.bytes_(grid.provenance.sha256.encode() or b"-")
    write_array(ours, "step", np.array([frame.info.step for frame in frames], dtype=np.int64), file)
    write_array(ours, "study_toml", np.frombuffer(study_text.encode(), dtype=np.uint8), file)
