"""The one door out: a volume or a table to a file that other programs read, whole or not at all.

Endings of volumes: .h5 keeps everything (kind, origin, axes, history) for microct; .nrrd keeps voxels, size, origin and
axes (3D Slicer, ITK, ParaView, Fiji); .tif voxels and their size (Fiji and BoneJ); .npy voxels alone.
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import numpy as np

from microct.io.safe_file import SafeFile, replacing, require_space
from microct.io.volume_hdf5 import write as write_h5
from microct.status import InputError, StorageError, StudyError
from microct.table import Table
from microct.volume import Volume

#: Endings of files of volumes.
VOLUMES = (".h5", ".nrrd", ".tif", ".tiff", ".npy")

#: Types of voxels that ImageJ's TIFF knows; others go to OME-TIFF.
_IMAGEJ = ("u1", "u2", "f4")


def write(what: Volume | Table, path: str | os.PathLike[str]) -> Path:
    """Write a volume or a table to ``path``: complete or not at all; a file of that name is replaced.

    Args:
        what: any volume, or a table.
        path: .h5 .nrrd .tif .npy for a volume, .csv for a table (a .json with what its numbers depend on beside it, and
            a .parquet where pyarrow is installed).

    Returns:
        The path.

    Raises:
        StudyError: another ending. InputError: neither volume nor table.
        StorageError: a type that the format lacks, disk full, no such folder, not writable.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from microct import Volume, read, write
        >>> cube = Volume.from_array(np.ones((4, 4, 4), bool), voxel_size_um=20)
        >>> read(write(cube, os.path.join(tempfile.mkdtemp(), "cube.nrrd"))).spacing_mm
        (0.02, 0.02, 0.02)
    """
    if not isinstance(what, Volume | Table):
        raise InputError(
            f"write: expected a microct.Volume or Table, got {type(what).__name__}; "
            "make a volume of an array by Volume.from_array(array, voxel_size_um)"
        )
    if not isinstance(path, str | os.PathLike):
        raise StudyError(f'path: expected the name of a file, for instance "bone.h5", got {type(path).__name__}')
    path = Path(path)
    if isinstance(what, Table):
        if path.suffix.lower() != ".csv":
            raise StudyError(f"{path.name}: expected a file name that ends in .csv, for a table")
        from microct.io.table_file import write_table

        write_table(path, what, told=True)
        return path
    ending = checked_ending(path)
    if ending == ".h5":
        return write_h5(what, path)
    values = _known_elsewhere(what.values) if ending != ".npy" else what.values
    if ending in (".tif", ".tiff") and values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        raise StorageError(f"{path.name}: {values.dtype} has no place in TIFF; write .h5 or .nrrd")
    require_space(path.parent, values.nbytes // (20 if ending == ".nrrd" else 1), path.name)
    with replacing(path) as file:
        if ending == ".nrrd":
            _nrrd(file, values, what)
        elif ending == ".npy":
            np.save(file, values)  # type: ignore[arg-type]
        else:
            _tiff(file, values, what)
    return path


def checked_ending(path: Path) -> str:
    """The ending of a file of a volume; `StudyError` where none of `VOLUMES`."""
    ending = path.suffix.lower()
    if ending not in VOLUMES:
        raise StudyError(f"{path.name}: expected a file name that ends in {', '.join(VOLUMES)}")
    return ending


def _known_elsewhere(values: np.ndarray) -> np.ndarray:
    """Voxels as other programs know them: masks 0 and 255, no half floats, low bytes first."""
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    values = values.astype(np.float32) if values.dtype == np.float16 else values
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))


def _nrrd(file: SafeFile, values: np.ndarray, volume: Volume) -> None:
    """Attached header, gzip; axes in the order of the format, the fastest first."""
    axes = [np.asarray(volume.direction[axis])[::-1] * volume.spacing_mm[axis] for axis in (2, 1, 0)]
    kind = {"i": "int", "u": "uint"}.get(values.dtype.kind)
    header = {
        "type": f"{kind}{8 * values.dtype.itemsize}" if kind else {4: "float", 8: "double"}[values.dtype.itemsize],
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, values.shape[::-1])),
        "space directions": " ".join(_vector(axis) for axis in axes),
        "space units": '"mm" "mm" "mm"',
        "space origin": _vector(np.asarray(volume.origin_mm)[::-1]),
        "endian": "little",
        "encoding": "gzip",
    }
    lines = ["NRRD0004", *(f"{name}: {value}" for name, value in header.items())]
    source = volume.provenance
    history = (source.source, *source.steps)
    lines += [f"history {number}:={_plain(step)}" for number, step in enumerate(history)]
    file.write(("\n".join(lines) + "\n\n").encode("ascii", "replace"))
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=4, mtime=0) as packed:  # type: ignore[call-overload]
        for plane in values:
            packed.write(plane.tobytes())


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _plain(text: str) -> str:
    """One line of a header, which is ASCII; the format escapes backslashes and ends of lines."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _tiff(file: SafeFile, values: np.ndarray, volume: Volume) -> None:
    """A stack of slices with the size of a voxel [um], as ImageJ writes it, or OME-TIFF for other types."""
    import tifffile

    dz, dy, dx = (1000.0 * step for step in volume.spacing_mm)
    whole = io.BytesIO()  # the library asks for a file of the operating system, or one in memory
    if values.dtype.str[1:] in _IMAGEJ:
        about = {"axes": "ZYX", "spacing": dz, "unit": "um"}
        tifffile.imwrite(whole, values, imagej=True, resolution=(1.0 / dx, 1.0 / dy), metadata=about)
    else:
        sizes = {f"PhysicalSize{axis}": size for axis, size in (("X", dx), ("Y", dy), ("Z", dz))}
        units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"}
        tifffile.imwrite(whole, values, ome=True, metadata={"axes": "ZYX", **sizes, **units})
    file.write(whole.getbuffer())
