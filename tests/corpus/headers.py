"""Hostile NRRD, MetaImage and NIfTI files: a header that lies, data cut off, too long or packed as a bomb."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpus.cases import CASES, SECRET, case, put


# --------------------------------------------------------------------------------------------------------- NRRD
def nrrd(data: bytes = bytes(64), **fields: str) -> bytes:
    """A valid little volume, or what ``fields`` make of it ('' drops a field, _ is a blank)."""
    base = {
        "type": "uint8",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "4 4 4",
        "space directions": "(0.02,0,0) (0,0.02,0) (0,0,0.02)",
        "encoding": "raw",
        "endian": "little",
    }
    base |= {key.replace("_", " "): value for key, value in fields.items()}
    lines = [f"{key}: {value}" for key, value in base.items() if value]
    return ("NRRD0004\n" + "\n".join(lines) + "\n\n").encode() + data


NRRD_FIELDS = {
    "nrrd_truncated": {"sizes": "4 4 5"},
    "nrrd_too_long": {"sizes": "4 4 3"},
    "nrrd_huge_sizes": {"sizes": "100000 100000 100000"},
    "nrrd_overflowing_sizes": {"sizes": "4294967296 4294967296 4"},
    "nrrd_digits": {"sizes": "9" * 5000 + " 4 4"},
    "nrrd_negative_size": {"sizes": "-4 4 -4"},
    "nrrd_zero_size": {"sizes": "0 4 4"},
    "nrrd_sizes_words": {"sizes": "four four four"},
    "nrrd_sizes_missing": {"sizes": ""},
    "nrrd_two_axes": {"dimension": "2", "sizes": "8 8"},
    "nrrd_four_axes": {"dimension": "4", "sizes": "4 4 2 2"},
    "nrrd_type_unknown": {"type": "block"},
    "nrrd_endian_missing": {"type": "short", "endian": "", "sizes": "4 4 2"},
    "nrrd_encoding_ascii": {"encoding": "ascii"},
    "nrrd_encoding_bzip2": {"encoding": "bzip2"},
    "nrrd_spacing_zero": {"space_directions": "(0,0,0) (0,0,0) (0,0,0)"},
    "nrrd_spacing_nan": {"space_directions": "(nan,0,0) (0,nan,0) (0,0,nan)"},
    "nrrd_spacing_identity": {"space_directions": "(1,0,0) (0,1,0) (0,0,1)"},
    "nrrd_spacing_missing": {"space_directions": ""},
    "nrrd_spacing_in_parsecs": {"space_units": '"parsec" "parsec" "parsec"'},
    "nrrd_sheared": {"space_directions": "(0.02,0,0) (0.02,0.02,0) (0,0,0.02)"},
    "nrrd_escape_absolute": {"data_file": "/etc/passwd"},
    "nrrd_escape_parent": {"data_file": f"../{SECRET}"},
    "nrrd_many_files": {"data_file": "%03d.raw 1 1000000000 1"},
    "nrrd_file_list": {"data_file": "LIST"},
    "nrrd_line_skip": {"line_skip": "1000000000"},
    "nrrd_byte_skip_huge": {"byte_skip": "999999999999"},
    "nrrd_byte_skip_negative": {"byte_skip": "-7"},
    "nrrd_gzip_garbage": {"encoding": "gzip"},
    "nrrd_origin_nan": {"space_origin": "(nan,0,0)"},
}


def _nrrd_case(fields: dict[str, str]) -> Callable[[Path], Path]:
    return lambda folder: put(folder, "scan.nrrd", nrrd(**fields))


for _name, _fields in NRRD_FIELDS.items():
    CASES[_name] = _nrrd_case(_fields)


@case
def nrrd_gzip_bomb(folder: Path) -> Path:
    return put(folder, "scan.nrrd", nrrd(gzip.compress(bytes(50_000_000)), encoding="gzip"))


@case
def nrrd_gzip_truncated(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    packed = gzip.compress(rng.integers(0, 255, 64, dtype=np.uint8).tobytes())
    return put(folder, "scan.nrrd", nrrd(packed[:-12], encoding="gzip"))


@case
def nrrd_gzip_bad_checksum(folder: Path) -> Path:
    packed = bytearray(gzip.compress(bytes(64)))
    packed[-6] ^= 1
    return put(folder, "scan.nrrd", nrrd(bytes(packed), encoding="gzip"))


@case
def nrrd_gzip_empty_members(folder: Path) -> Path:
    return put(folder, "scan.nrrd", nrrd(gzip.compress(b"") * 200_000, encoding="gzip"))


@case
def nrrd_gzip_claims_beyond_deflate(folder: Path) -> Path:
    return put(folder, "scan.nrrd", nrrd(gzip.compress(bytes(64)), encoding="gzip", sizes="1000 1000 1000"))


@case
def nrrd_detached_symlink_out(folder: Path) -> Path:
    os.symlink(folder.parent / SECRET, folder / "data.raw")
    return put(folder, "scan.nhdr", nrrd(b"", data_file="data.raw"))


@case
def nrrd_detached_missing(folder: Path) -> Path:
    return put(folder, "scan.nhdr", nrrd(b"", data_file="data.raw"))


@case
def nrrd_detached_without_file(folder: Path) -> Path:
    return put(folder, "scan.nhdr", nrrd())


@case
def nrrd_detached_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "data.raw")
    return put(folder, "scan.nhdr", nrrd(b"", data_file="data.raw"))


@case
def nrrd_field_twice(folder: Path) -> Path:
    return put(folder, "scan.nrrd", nrrd().replace(b"dimension: 3\n", b"dimension: 3\nsizes: 2 2 2\n"))


@case
def nrrd_header_without_end(folder: Path) -> Path:
    return put(folder, "scan.nrrd", b"NRRD0004\n" + b"# remark\n" * 200_000)


@case
def nrrd_empty(folder: Path) -> Path:
    return put(folder, "scan.nrrd", b"")


# ---------------------------------------------------------------------------------------------------- MetaImage
def mha(data: bytes = bytes(64), **fields: str) -> bytes:
    base = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "ElementSpacing": "0.02 0.02 0.02",
        "DimSize": "4 4 4",
        "ElementType": "MET_UCHAR",
        "ElementDataFile": "LOCAL",
    }
    last = fields.pop("ElementDataFile", base.pop("ElementDataFile"))
    lines = [f"{key} = {value}" for key, value in (base | fields).items() if value]
    return ("\n".join([*lines, f"ElementDataFile = {last}"]) + "\n").encode() + data


MHA_FIELDS = {
    "mha_truncated": {"DimSize": "4 4 5"},
    "mha_too_long": {"DimSize": "4 4 3"},
    "mha_huge": {"DimSize": "65535 65535 100000"},
    "mha_negative": {"DimSize": "4 -4 -4"},
    "mha_dims_missing": {"DimSize": ""},
    "mha_two_axes": {"NDims": "2", "DimSize": "8 8"},
    "mha_many_axes": {"NDims": "1000000000"},
    "mha_channels": {"ElementNumberOfChannels": "3"},
    "mha_type_unknown": {"ElementType": "MET_STRING"},
    "mha_ascii": {"BinaryData": "False"},
    "mha_spacing_zero": {"ElementSpacing": "0 0 0"},
    "mha_spacing_nan": {"ElementSpacing": "nan 0.02 0.02"},
    "mha_spacing_negative": {"ElementSpacing": "-0.02 0.02 0.02"},
    "mha_spacing_infinite": {"ElementSpacing": "inf 0.02 0.02"},
    "mha_spacing_one": {"ElementSpacing": "1 1 1"},
    "mha_spacing_missing": {"ElementSpacing": ""},
    "mha_spacing_words": {"ElementSpacing": "small small small"},
    "mha_escape_absolute": {"ElementDataFile": "/etc/passwd"},
    "mha_escape_parent": {"ElementDataFile": f"../{SECRET}"},
    "mha_escape_backslash": {"ElementDataFile": f"..\\{SECRET}"},
    "mha_file_list": {"ElementDataFile": "LIST"},
    "mha_file_pattern": {"ElementDataFile": "slice%d.raw 1 1000000000 1"},
    "mha_zlib_garbage": {"CompressedData": "True"},
    "mha_packed_size_wrong": {"CompressedData": "True", "CompressedDataSize": "7"},
    "mha_singular": {"TransformMatrix": "0 0 0 0 0 0 0 0 0"},
    "mha_sheared": {"TransformMatrix": "1 0 0 1 1 0 0 0 1"},
    "mha_origin_nan": {"Offset": "nan nan nan"},
    "mha_header_size": {"HeaderSize": "99999999"},
}


def _mha_case(fields: dict[str, str]) -> Callable[[Path], Path]:
    return lambda folder: put(folder, "scan.mha", mha(**fields))


for _name, _fields in MHA_FIELDS.items():
    CASES[_name] = _mha_case(_fields)


@case
def mha_zlib_bomb(folder: Path) -> Path:
    return put(folder, "scan.mha", mha(zlib.compress(bytes(50_000_000)), CompressedData="True"))


@case
def mha_without_data_file(folder: Path) -> Path:
    return put(folder, "scan.mha", mha().split(b"ElementDataFile")[0])


@case
def mha_terminal_codes(folder: Path) -> Path:
    return put(folder, "scan.mha", mha(ElementType="\x1b]0;owned\x07"))


@case
def mhd_directory_as_data(folder: Path) -> Path:
    (folder / "data.raw").mkdir()
    return put(folder, "scan.mhd", mha(b"", ElementDataFile="data.raw"))


# -------------------------------------------------------------------------------------------------------- NIfTI
def nifti(data: bytes = bytes(64), order: str = "<", **changes: tuple[int, str, object]) -> bytes:
    """A valid little volume, or with (offset, struct code, value or values) of a field changed."""
    raw = bytearray(352)
    struct.pack_into(f"{order}i", raw, 0, 348)
    struct.pack_into(f"{order}8h", raw, 40, 3, 4, 4, 4, 1, 1, 1, 1)
    struct.pack_into(f"{order}2h", raw, 70, 2, 8)
    struct.pack_into(f"{order}8f", raw, 76, 1, 0.02, 0.02, 0.02, 0, 0, 0, 0)
    struct.pack_into(f"{order}3f", raw, 108, 352, 1, 0)
    raw[123] = 2
    raw[344:348] = b"n+1\0"
    for offset, code, value in changes.values():
        values = value if isinstance(value, tuple) else (value,)
        struct.pack_into(order + code, raw, offset, *values)
    return bytes(raw) + data


NIFTI_FIELDS = {
    "nifti_truncated": {"dim": (40, "4h", (3, 4, 4, 5))},
    "nifti_too_long": {"dim": (40, "4h", (3, 4, 4, 3))},
    "nifti_huge": {"dim": (40, "4h", (3, 32767, 32767, 32767))},
    "nifti_negative": {"dim": (40, "4h", (3, 4, -4, -4))},
    "nifti_two_axes": {"dim": (40, "4h", (2, 8, 8, 1))},
    "nifti_time": {"dim": (40, "8h", (4, 4, 4, 2, 2, 1, 1, 1))},
    "nifti_axes_count": {"dim": (40, "h", 300)},
    "nifti_rgb": {"type": (70, "2h", (128, 24))},
    "nifti_bitpix": {"type": (70, "2h", (2, 16))},
    "nifti_magic_pair": {"magic": (344, "4s", b"ni1\0")},
    "nifti_magic_none": {"magic": (344, "4s", b"\0\0\0\0")},
    "nifti_second": {"size": (0, "i", 540)},
    "nifti_offset_zero": {"offset": (108, "f", 0.0)},
    "nifti_offset_nan": {"offset": (108, "f", float("nan"))},
    "nifti_offset_huge": {"offset": (108, "f", 3e38)},
    "nifti_offset_negative": {"offset": (108, "f", -352.0)},
    "nifti_spacing_zero": {"pixdim": (80, "3f", (0.0, 0.0, 0.0))},
    "nifti_spacing_nan": {"pixdim": (80, "3f", (float("nan"), 0.02, 0.02))},
    "nifti_spacing_negative": {"pixdim": (80, "3f", (-0.02, 0.02, 0.02))},
    "nifti_spacing_one": {"pixdim": (80, "3f", (1.0, 1.0, 1.0))},
    "nifti_unit_unknown": {"units": (123, "B", 7)},
    "nifti_slope_infinite": {"slope": (112, "2f", (float("inf"), 0.0))},
    "nifti_slope_overflow": {"slope": (112, "2f", (3e38, 3e38)), "type": (70, "2h", (2, 8)), "_ones": (352, "0s", b"")},
    "nifti_quaternion": {"form": (252, "2h", (1, 0)), "quaternion": (256, "3f", (5.0, 5.0, 5.0))},
    "nifti_sform_zero": {"form": (252, "2h", (0, 1))},
    "nifti_sform_disagrees": {
        "form": (252, "2h", (0, 1)),
        "rows": (280, "12f", (0.05, 0, 0, 0, 0, 0.05, 0, 0, 0, 0, 0.05, 0)),
    },
}


def _nifti_case(fields: dict[str, tuple[int, str, object]]) -> Callable[[Path], Path]:
    voxels = b"\xff" * 64 if "slope" in fields else bytes(64)
    return lambda folder: put(folder, "scan.nii", nifti(voxels, **fields))


for _name, _changes in NIFTI_FIELDS.items():
    CASES[_name] = _nifti_case(_changes)


@case
def nifti_header_cut_off(folder: Path) -> Path:
    return put(folder, "scan.nii", nifti()[:200])


@case
def nifti_gzip_bomb(folder: Path) -> Path:
    return put(folder, "scan.nii.gz", gzip.compress(nifti(bytes(50_000_000))))


@case
def nifti_gzip_cut_off(folder: Path) -> Path:
    return put(folder, "scan.nii.gz", gzip.compress(nifti())[:-15])


@case
def nifti_gzip_trailing(folder: Path) -> Path:
    return put(folder, "scan.nii.gz", gzip.compress(nifti()) + b"more")


@case
def nifti_gzip_is_none(folder: Path) -> Path:
    return put(folder, "scan.nii.gz", nifti())


@case
def nifti_nan_voxel(folder: Path) -> Path:
    voxels = np.zeros(64, "<f4")
    voxels[21] = np.nan
    return put(folder, "scan.nii", nifti(voxels.tobytes(), type=(70, "2h", (16, 32))))
