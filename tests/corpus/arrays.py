"""Hostile NumPy and HDF5 files."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from corpus.cases import CASES, SECRET, case, put


# -------------------------------------------------------------------------------------------------------- NumPy
def npy(header: str, data: bytes = bytes(64)) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


NPY_HEADERS = {
    "npy_huge": "{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000, 100000)}",
    "npy_truncated": "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4, 5)}",
    "npy_too_long": "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4, 3)}",
    "npy_negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -4, 4)}",
    "npy_two_axes": "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8)}",
    "npy_object": "{'descr': '|O', 'fortran_order': False, 'shape': (4, 4, 4)}",
    "npy_record": "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (4, 4, 4)}",
    "npy_text": "{'descr': '<U1', 'fortran_order': False, 'shape': (4, 4, 1)}",
    "npy_complex": "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2, 2)}",
    "npy_code": "__import__('os').system('true')",
    "npy_nested": "(" * 100,
    "npy_list": "[1, 2, 3]",
    "npy_no_voxel_size": "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4, 4)}",
}


def _npy_case(header: str) -> Callable[[Path], Path]:
    return lambda folder: put(folder, "scan.npy", npy(header))


for _name, _header in NPY_HEADERS.items():
    CASES[_name] = _npy_case(_header)


@case
def npz_bomb(folder: Path) -> Path:
    np.savez_compressed(folder / "scan.npz", volume=np.zeros((400, 400, 400), np.uint8), spacing_um=20.0)
    data = bytearray((folder / "scan.npz").read_bytes())
    at = data.rfind(b"PK\x01\x02")  # the directory says that little is in it
    for start in (data.find(b"PK\x01\x02"), at):
        struct.pack_into("<I", data, start + 24, 200)
    return put(folder, "scan.npz", bytes(data))


@case
def npz_two_volumes(folder: Path) -> Path:
    np.savez(folder / "scan.npz", a=np.zeros((4, 4, 4)), b=np.zeros((4, 4, 4)), spacing_um=20.0)
    return folder / "scan.npz"


@case
def npz_objects(folder: Path) -> Path:
    np.savez(folder / "scan.npz", volume=np.full((2, 2, 2), None, object), allow_pickle=True)
    return folder / "scan.npz"


@case
def npz_no_arrays(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "scan.npz", "w") as archive:
        archive.writestr("../../evil.txt", "x")
    return folder / "scan.npz"


@case
def npz_order_unknown(folder: Path) -> Path:
    np.savez(folder / "scan.npz", volume=np.zeros((4, 4, 4)), spacing_um=[10.0, 20.0, 30.0])
    return folder / "scan.npz"


@case
def npz_bad_checksum(folder: Path) -> Path:
    np.savez(folder / "scan.npz", volume=np.zeros((4, 4, 4), np.uint8), spacing_um=20.0)
    data = bytearray((folder / "scan.npz").read_bytes())
    data[data.find(b"\x93NUMPY") + 128 + 10] ^= 1
    return put(folder, "scan.npz", bytes(data))


# --------------------------------------------------------------------------------------------------------- HDF5
def hdf5(folder: Path) -> h5py.File:
    """An open file with everything but the dataset 'values'."""
    file = h5py.File(folder / "scan.h5", "w", libver=("v110", "v110"))
    file.attrs["format"] = np.bytes_("microct-volume")
    file.attrs["version"] = np.int64(1)
    return file


@case
def hdf5_external_storage(folder: Path) -> Path:
    with hdf5(folder) as file:
        secret = str(folder.parent / SECRET).encode()
        file.create_dataset("values", (4, 4, 4), np.uint8, external=[(secret, 0, 64)])
    return folder / "scan.h5"


@case
def hdf5_external_link(folder: Path) -> Path:
    with hdf5(folder) as file:
        file["values"] = h5py.ExternalLink("other.h5", "/values")
    return folder / "scan.h5"


@case
def hdf5_soft_link_loop(folder: Path) -> Path:
    with hdf5(folder) as file:
        file["values"] = h5py.SoftLink("/values")
    return folder / "scan.h5"


@case
def hdf5_virtual(folder: Path) -> Path:
    with hdf5(folder) as file:
        layout = h5py.VirtualLayout((4, 4, 4), np.uint8)
        layout[...] = h5py.VirtualSource("other.h5", "values", (4, 4, 4))
        file.create_virtual_dataset("values", layout)
    return folder / "scan.h5"


@case
def hdf5_huge_claim(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.create_dataset("values", (100_000, 100_000, 100_000), np.uint8, chunks=(64, 64, 64), compression="gzip")
    return folder / "scan.h5"


@case
def hdf5_stores_nothing(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.create_dataset("values", (1000, 1000, 1000), np.uint8, chunks=(64, 64, 64), compression="gzip")
    return folder / "scan.h5"


@case
def hdf5_filter(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.create_dataset("values", data=np.zeros((4, 4, 4), np.uint8), compression="lzf")
    return folder / "scan.h5"


@case
def hdf5_texts(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.create_dataset("values", data=np.full((2, 2, 2), "x", h5py.string_dtype()))
    return folder / "scan.h5"


@case
def hdf5_group_as_values(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.create_group("values")
    return folder / "scan.h5"


@case
def hdf5_without_attributes(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.create_dataset("values", data=np.zeros((4, 4, 4), np.uint8))
    return folder / "scan.h5"


@case
def hdf5_foreign(folder: Path) -> Path:
    with h5py.File(folder / "scan.h5", "w") as file:
        file["x"] = np.zeros((4, 4, 4))
    return folder / "scan.h5"


@case
def hdf5_newer(folder: Path) -> Path:
    with hdf5(folder) as file:
        file.attrs["version"] = np.int64(99)
        file["values"] = np.zeros((4, 4, 4), np.uint8)
    return folder / "scan.h5"


@case
def hdf5_signature_only(folder: Path) -> Path:
    return put(folder, "scan.h5", b"\x89HDF\r\n\x1a\n" + bytes(500))


@case
def hdf5_is_text(folder: Path) -> Path:
    return put(folder, "scan.h5", b"hello")
