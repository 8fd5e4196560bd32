"""Makes the hostile corpus: small files, each a lie, a trap or a ruin. Run it to look at them: hostile.py FOLDER.

Every case must end in an InputError, quickly, with no byte read from outside the folder.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import tifffile
from PIL import Image

SECRET = "secret.bin"  # lies one folder above every case; 4 x 4 x 4 bytes, so that an escape would succeed
CASES: dict[str, Callable[[Path], Path]] = {}


def case(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Register a case; it writes into an empty folder and returns the path that is to be read."""
    CASES[make.__name__] = make
    return make


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


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


# --------------------------------------------------------------------------------------------------------- TIFF
def tiff(pages: int = 4, **options: object) -> bytes:
    buffer = io.BytesIO()
    stack = np.arange(pages * 16, dtype=np.uint8).reshape(pages, 4, 4)
    options = {"resolution": (512.82, 512.82), "resolutionunit": "CENTIMETER", "metadata": None} | options
    tifffile.imwrite(buffer, stack, photometric="minisblack", **options)
    return buffer.getvalue()


def patched(data: bytes, tag: int, value: int, kind: int | None = None) -> bytes:
    """The TIFF with the first page's ``tag`` holding ``value`` (and type ``kind``)."""
    changed = bytearray(data)
    offset = struct.unpack_from("<I", data, 4)[0]
    for i in range(struct.unpack_from("<H", data, offset)[0]):
        at = offset + 2 + 12 * i
        code, was, _ = struct.unpack_from("<HHI", data, at)
        if code == tag:
            struct.pack_into("<H", changed, at + 2, kind or was)
            struct.pack_into("<I", changed, at + 8, value)
            return bytes(changed)
    raise KeyError(tag)


@case
def tiff_huge_width(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 256, 2**31 - 1, 4))


@case
def tiff_zero_width(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 256, 0))


@case
def tiff_huge_rows_per_strip(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 278, 0))


@case
def tiff_strip_beyond_end(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 273, 2**30))


@case
def tiff_strip_too_short(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 279, 3))


@case
def tiff_compression_unknown(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 259, 7))


@case
def tiff_lzw_garbage(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 259, 5))


@case
def tiff_packbits_garbage(folder: Path) -> Path:
    return put(folder, "scan.tif", patched(tiff(), 259, 32773))


@case
def tiff_page_loop(folder: Path) -> Path:
    data = bytearray(tiff(1))
    offset = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, offset)[0]
    struct.pack_into("<I", data, offset + 2 + 12 * entries, offset)
    return put(folder, "scan.tif", bytes(data))


@case
def tiff_page_offset_outside(folder: Path) -> Path:
    data = bytearray(tiff(1))
    struct.pack_into("<I", data, 4, 2**31)
    return put(folder, "scan.tif", bytes(data))


@case
def tiff_big_offset_beyond_64_bits(folder: Path) -> Path:
    data = bytearray(tiff(1, bigtiff=True))
    struct.pack_into("<Q", data, 8, 2**64 - 2)
    return put(folder, "scan.tif", bytes(data))


@case
def tiff_deflate_bomb(folder: Path) -> Path:
    bomb = zlib.compress(bytes(50_000_000))
    data = tiff(1, compression="zlib")
    return put(folder, "scan.tif", patched(patched(data + bomb, 273, len(data)), 279, len(bomb)))


@case
def tiff_color(folder: Path) -> Path:
    tifffile.imwrite(folder / "scan.tif", np.zeros((4, 8, 8, 3), np.uint8), photometric="rgb")
    return folder / "scan.tif"


@case
def tiff_truncated(folder: Path) -> Path:
    return put(folder, "scan.tif", tiff()[:-40])


@case
def tiff_pages_differ(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "scan.tif") as writer:
        writer.write(np.zeros((4, 4), np.uint8), metadata=None)
        writer.write(np.zeros((5, 4), np.uint8), metadata=None)
    return folder / "scan.tif"


@case
def tiff_channels(folder: Path) -> Path:
    tifffile.imwrite(folder / "scan.tif", np.zeros((4, 2, 8, 8), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    return folder / "scan.tif"


@case
def tiff_announces_more(folder: Path) -> Path:
    options = {"imagej": False, "description": "ImageJ=1.53\nimages=4000000\n"}
    return put(folder, "scan.tif", tiff(2, **options))


@case
def tiff_screen_resolution(folder: Path) -> Path:
    return put(folder, "scan.tif", tiff(resolution=(72, 72), resolutionunit="INCH"))


@case
def tiff_resolution_zero(folder: Path) -> Path:
    return put(folder, "scan.tif", tiff(resolution=(0, 0)))


@case
def tiff_is_text(folder: Path) -> Path:
    return put(folder, "scan.tif", b"not a picture at all, but long enough to be looked at")


@case
def slices_none(folder: Path) -> Path:
    put(folder, "readme.txt", b"")
    return folder


@case
def slices_differ(folder: Path) -> Path:
    for i, shape in enumerate([(4, 4), (4, 4), (4, 5)]):
        tifffile.imwrite(folder / f"s{i}.tif", np.zeros(shape, np.uint8))
    put(folder, "s.log", b"Pixel Size (um)=20\n")
    return folder


@case
def slices_missing_one(folder: Path) -> Path:
    for i in (1, 2, 4, 5):
        tifffile.imwrite(folder / f"s{i}.tif", np.zeros((4, 4), np.uint8))
    put(folder, "s.log", b"Pixel Size (um)=20\n")
    return folder


@case
def slices_logs_disagree(folder: Path) -> Path:
    for i in range(3):
        tifffile.imwrite(folder / f"s{i}.tif", np.zeros((4, 4), np.uint8))
    put(folder, "s.log", b"Image Pixel Size (um)=20\nPixel Size (um)=10\n")
    return folder


@case
def slices_link_out(folder: Path) -> Path:
    os.symlink(folder.parent / SECRET, folder / "s1.tif")
    return folder


# ----------------------------------------------------------------------------------------------------- pictures
PLANE = (np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(plane: np.ndarray = PLANE, depth: int = 8, color: int = 0, size: tuple = (), more: bytes = b"") -> bytes:
    """A PNG of rows as they are stored, bits in a row packed; ``size`` lies, ``more`` are chunks before the pixels."""
    rows = np.packbits(plane, axis=1) if plane.dtype == bool else plane
    raw = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in rows)
    width, height = size or (plane.shape[1], plane.shape[0])
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")


def bmp(plane: np.ndarray = PLANE, palette: np.ndarray | None = GREYS, **changes: tuple[int, str, int]) -> bytes:
    """A BMP of rows from the last to the first; ``changes``: (offset, struct code, value) of a field."""
    rows = np.packbits(plane, axis=1) if plane.dtype == bool else plane.reshape(len(plane), -1)
    bits = 1 if plane.dtype == bool else 8 * plane[0, 0].size
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))[::-1]
    table = b"" if palette is None else np.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
    head = struct.pack("<2sIHHI", b"BM", 54 + len(table) + rows.size, 0, 0, 54 + len(table))
    head += struct.pack(
        "<IiiHHIIiiII", 40, plane.shape[1], plane.shape[0], 1, bits, 0, rows.size, 0, 0, len(table) // 4, 0
    )
    data = bytearray(head + table + rows.tobytes())
    for offset, code, value in changes.values():
        struct.pack_into(f"<{code}", data, offset, value)
    return bytes(data)


def jpeg(plane: np.ndarray = PLANE, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(plane)
    (image.convert("CMYK") if options.pop("cmyk", False) else image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _many_passes() -> bytes:
    """A progressive JPEG whose last pass over the picture is made ten thousand times."""
    data = jpeg(progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * 10_000 + data[-2:]


COLORED = np.stack([PLANE, PLANE, PLANE[::-1]], axis=2)
TWO_FRAMES = png_chunk(b"acTL", struct.pack(">II", 2, 0)) + png_chunk(
    b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 1, 0, 0)
)
#: The third and last slice of a folder.
PICTURES = {
    "png_bomb": ("png", png(size=(60_000, 60_000))),
    "png_huge": ("png", png(size=(2**31 - 1, 2**31 - 1))),
    "png_zero": ("png", png(size=(0, 8))),
    "png_truncated": ("png", png()[:-30]),
    "png_pixels_missing": ("png", png(PLANE[:4], size=(8, 8))),
    "png_wrong_checksum": ("png", png()[:-13] + bytes([png()[-13] ^ 1]) + png()[-12:]),
    "png_without_end": ("png", png()[:-12]),
    "png_without_pixels": ("png", png()[:33] + png_chunk(b"IEND", b"")),
    "png_is_text": ("png", b"not a picture at all, but long enough to be looked at"),
    "png_empty": ("png", b""),
    "png_is_jpeg": ("png", jpeg()),
    "png_animated": ("png", png(more=TWO_FRAMES)),
    "png_color": ("png", png(COLORED, color=2)),
    "png_color_of_16_bits": ("png", png(np.repeat(PLANE[..., None], 3, 2).astype(np.uint16) * 257, 16, 2)),
    "png_transparent_grey": ("png", png(more=png_chunk(b"tRNS", b"\0\4"))),
    "png_transparent_pixel": ("png", png(np.stack([PLANE, 255 - (PLANE == 8)], 2).astype(np.uint8), color=4)),
    "png_without_palette": ("png", png(color=3)),
    "png_palette_too_short": ("png", png(color=3, more=png_chunk(b"PLTE", GREYS[:252].tobytes()))),
    "png_palette_colored": ("png", png(color=3, more=png_chunk(b"PLTE", np.roll(GREYS, 1).tobytes()))),
    "png_text_bomb": ("png", png(more=png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000))))),
    "bmp_truncated": ("bmp", bmp()[:-1]),
    "bmp_huge": ("bmp", bmp(width=(18, "i", 2**31 - 1), height=(22, "i", 2**31 - 1))),
    "bmp_wide": ("bmp", bmp(width=(18, "i", 60_000), height=(22, "i", 60_000))),
    "bmp_negative_width": ("bmp", bmp(width=(18, "i", -8))),
    "bmp_pixels_in_header": ("bmp", bmp(offset=(10, "I", 54))[:-1]),
    "bmp_pixels_in_palette": ("bmp", bmp(offset=(10, "I", 60))),
    "bmp_run_lengths": ("bmp", bmp(compression=(30, "I", 1))),
    "bmp_of_16_bits": ("bmp", bmp(np.stack([PLANE, PLANE], 2), None)),
    "bmp_palette_of_two": ("bmp", bmp(PLANE // 128, GREYS[[0, 255]])),
    "bmp_palette_too_long": ("bmp", bmp(colors=(46, "I", 2**31))),
    "bmp_color": ("bmp", bmp(COLORED, None)),
    "bmp_header_cut_off": ("bmp", bmp()[:30]),
    "jpeg_truncated": ("jpg", jpeg()[:-30]),
    "jpeg_color": ("jpg", jpeg(np.full((8, 8, 3), (200, 60, 60), np.uint8))),
    "jpeg_of_four_inks": ("jpg", jpeg(cmyk=True)),
    "jpeg_many_passes": ("jpg", _many_passes()),
    "jpeg_wide": ("jpg", jpeg().replace(b"\0\x08\0\x08", b"\xff\xff\xff\xff", 1)),
    "slices_of_other_shape": ("png", png(PLANE[:, :7])),
    "slices_of_other_depth": ("png", png(PLANE.astype(np.uint16), 16)),
    "slices_partly_binary": ("png", png(PLANE > 90, 1)),
}


def pictures(folder: Path, last: tuple[str, bytes] | None = None) -> Path:
    """A folder of three pictures with a log, or of two and the given third."""
    ending, data = last or ("png", png())
    whole = {"png": png, "bmp": bmp, "jpg": jpeg}[ending]()
    for i, slice_ in enumerate([whole, whole, data]):
        put(folder, f"s{i}.{ending}", slice_)
    put(folder, "s.log", b"Pixel Size (um)=20\n")
    return folder


def _picture_case(last: tuple[str, bytes]) -> Callable[[Path], Path]:
    return lambda folder: pictures(folder, last)


for _name, _last in PICTURES.items():
    CASES[_name] = _picture_case(_last)


@case
def pictures_link_out(folder: Path) -> Path:
    pictures(folder)
    os.symlink(folder.parent / SECRET, folder / "s3.png")
    return folder


@case
def pictures_of_two_kinds(folder: Path) -> Path:
    put(pictures(folder), "s3.bmp", bmp())
    return folder


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


# ------------------------------------------------------------------------------------------------------- others
@case
def missing_file(folder: Path) -> Path:
    return folder / "scan.nrrd"


@case
def unknown_ending(folder: Path) -> Path:
    return put(folder, "scan.pkl", b"cos\nsystem\n(S'true'\ntR.")


@case
def raw_without_header(folder: Path) -> Path:
    return put(folder, "scan.raw", bytes(64))


@case
def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "scan.nrrd")
    return folder / "scan.nrrd"


@case
def name_with_nul(folder: Path) -> Path:
    return folder / "scan\0.nrrd"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for name, make in CASES.items():
        (target / name).mkdir(parents=True)
        print(make(target / name))
