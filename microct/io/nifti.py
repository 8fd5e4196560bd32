"""NIfTI-1 in one file (.nii, .nii.gz), both byte orders, three axes of numbers.

Written from the format's definition (nifti1.h, https://nifti.nimh.nih.gov/nifti-1). Axes are turned from NIfTI's
right-anterior-superior to left-posterior-superior. Deliberately not read: .hdr/.img pairs, NIfTI-2, colors, time.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np

from microct.io.source import Scan, clean_header, digest, inflate, opened, refusal, shown, stored_as, voxels
from microct.io.spacing import Spacing, axes_zyx, decimal32, origin_zyx, stated, unit_in_mm

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_UNITS = {0: None, 1: "m", 2: "mm", 3: "um"}
_HEADER_BYTES = 348
_FIRST_VOXEL = 352
_AGREE = 1e-3  # pixdim and the affine are 32-bit numbers of the same thing


def load(path: Path) -> Scan:
    """Read ``path`` (.nii or .nii.gz); `InputError` names file and field."""
    name = path.name
    compressed = name.lower().endswith(".gz")
    raw = _beginning(path, compressed)
    order = "<" if struct.unpack_from("<i", raw, 0)[0] == _HEADER_BYTES else ">"
    if struct.unpack_from(f"{order}i", raw, 0)[0] != _HEADER_BYTES:
        is_second = 540 in (struct.unpack_from("<i", raw, 0)[0], struct.unpack_from(">i", raw, 0)[0])
        raise refusal(name, "sizeof_hdr", "348 (NIfTI-1)", "540 (NIfTI-2; convert it)" if is_second else repr(raw[:4]))
    magic = raw[344:348]
    if magic != b"n+1\0":
        raise refusal(name, "magic", "'n+1' (NIfTI-1 in one file)", repr(magic))

    dim = struct.unpack_from(f"{order}8h", raw, 40)
    if not 3 <= dim[0] <= 7 or any(n != 1 for n in dim[4 : dim[0] + 1]):
        raise refusal(name, "dim", "three axes (further ones of length 1)", dim)
    code, bits = struct.unpack_from(f"{order}2h", raw, 70)
    if code not in _TYPES:
        raise refusal(name, "datatype", f"one of {sorted(_TYPES)}", code)
    dtype = stored_as(_TYPES[code], order == ">")
    if bits != 8 * dtype.itemsize:
        raise refusal(name, "bitpix", f"{8 * dtype.itemsize} for datatype {code}", bits)
    first, slope, intercept = struct.unpack_from(f"{order}3f", raw, 108)
    if not (math.isfinite(first) and first == int(first) and _FIRST_VOXEL <= first <= 1 << 24):
        raise refusal(name, "vox_offset", "a whole number from 352 to 16 MiB", first)
    place = {"skip" if compressed else "offset": int(first)}
    values = voxels(path, dtype, dim[3:0:-1], what="dim", compressed=compressed, **place)  # type: ignore[arg-type]
    values = _scaled(name, values, slope, intercept)

    spacing, origin, direction = _place(name, raw, order)
    header = {
        "descrip": raw[148:228].split(b"\0")[0].decode("utf-8", "replace"),
        "byte order": "big" if order == ">" else "little",
        "scl_slope, scl_inter": f"{slope:g}, {intercept:g}",
        "qform_code, sform_code": str(struct.unpack_from(f"{order}2h", raw, 252)),
    }
    return Scan("NIfTI-1", name, values, spacing, digest([path]), origin, direction, clean_header(header))


def _beginning(path: Path, compressed: bool) -> bytes:
    with opened(path) as stream:
        if not compressed:
            raw = stream.read(_FIRST_VOXEL)
            if len(raw) < _FIRST_VOXEL:
                raise refusal(path.name, "header", f"{_FIRST_VOXEL} bytes", os.fstat(stream.fileno()).st_size)
            return raw
        target = np.zeros(_FIRST_VOXEL, np.uint8)
        inflate(stream, target, path.name, "header", whole=False)
        return target.tobytes()


def _scaled(name: str, values: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Apply ``slope * value + intercept`` where the header asks for it (slope 0 or NaN: it does not)."""
    if slope == 0 or math.isnan(slope):
        return values
    intercept = 0.0 if math.isnan(intercept) else intercept
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise refusal(name, "scl_slope, scl_inter", "finite numbers", shown(f"{slope:g}, {intercept:g}"))
    if slope == 1 and intercept == 0:
        return values
    wide = np.dtype("f8" if values.dtype.itemsize > 2 and values.dtype != np.float32 else "f4")
    with np.errstate(all="ignore"):  # what overflows is found as infinite later, with its place
        result = values.astype(wide)
        result *= slope
        result += intercept
    return result


def _place(name: str, raw: bytes, order: str) -> tuple[Spacing, tuple[float, float, float], tuple]:
    """Voxel size, origin [mm] and directions: sform first, then qform, else the array's own axes."""
    pixdim = struct.unpack_from(f"{order}8f", raw, 76)
    unit_code = raw[123] & 0x07
    unit = _UNITS.get(unit_code, f"code {unit_code}")
    spacing = stated([decimal32(size) for size in pixdim[3:0:-1]], unit, "pixdim")
    qform, sform = struct.unpack_from(f"{order}2h", raw, 252)
    offset = struct.unpack_from(f"{order}3f", raw, 268)
    vectors: np.ndarray = np.diag(pixdim[1:4])
    if sform > 0:
        affine = np.array(struct.unpack_from(f"{order}12f", raw, 280), dtype=float).reshape(3, 4)
        vectors, offset = affine[:, :3].T, tuple(affine[:, 3])
        with np.errstate(all="ignore"):
            lengths = np.linalg.norm(vectors, axis=1)
            agree = np.abs(lengths - np.array(pixdim[1:4])) <= _AGREE * np.abs(lengths)
        if spacing.mm is not None and not agree.all():
            text = " ".join(f"{length:.6g}" for length in lengths)
            spacing = Spacing(None, f"pixdim and the sform ({text}) disagree")
    elif qform > 0:
        if not all(math.isfinite(part) and abs(part) <= 1.001 for part in struct.unpack_from(f"{order}3f", raw, 256)):
            raise refusal(name, "quatern_b, c, d", "a unit quaternion", struct.unpack_from(f"{order}3f", raw, 256))
        vectors = _rotation(struct.unpack_from(f"{order}3f", raw, 256), -1.0 if pixdim[0] < 0 else 1.0)
    else:
        offset = (0.0, 0.0, 0.0)
    to_lps = np.array([-1.0, -1.0, 1.0])
    with np.errstate(all="ignore"):
        direction = axes_zyx((vectors * to_lps).tolist() if qform > 0 or sform > 0 else np.eye(3).tolist())
    if direction is None:
        raise refusal(name, "sform" if sform > 0 else "quaternion", "axes at right angles", np.round(vectors, 6))
    if spacing.mm is None:
        return spacing, (0.0, 0.0, 0.0), direction
    factor = unit_in_mm(unit) if unit else 1.0
    return spacing, origin_zyx(name, (to_lps * np.array(offset)).tolist(), factor), direction


def _rotation(quaternion: tuple[float, ...], handedness: float) -> np.ndarray:
    """Directions of the three axes as rows, from the header's quaternion (b, c, d)."""
    b, c, d = quaternion
    squared = 1.0 - (b * b + c * c + d * d)
    a = math.sqrt(squared) if squared > 0 else 0.0
    columns = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    return columns.T * np.array([[1.0], [1.0], [handedness]])
