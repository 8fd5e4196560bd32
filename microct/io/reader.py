"""The one door for scans: a path in, a `Volume` out, whatever the format."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from microct.io.source import Scan, existing, shown
from microct.io.spacing import HOW_TO_GIVE
from microct.status import InputError, VoxelSizeError
from microct.volume import Provenance, Volume, checked_spacing

#: File name endings and the module that reads each; a folder holds slices.
READERS = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".npy": "numpy_file",
    ".npz": "numpy_file",
    ".h5": "volume_hdf5",
    ".hdf5": "volume_hdf5",
    ".aim": "scanco",
    ".isq": "scanco",
    ".dcm": "dicom",
    ".vti": "vti",
}

_ONE_SLICE = "a picture is one slice of a scan: give the folder that holds all of them"
_ADVICE = {
    ".raw": "give its header (.mhd or .nhdr) instead",
    ".zraw": "give its header (.mhd) instead",
    ".img": "give a .nii file instead",
    ".hdr": "convert it to .nii",
    ".log": "give the folder of its slices",
    ".png": _ONE_SLICE,
    ".bmp": _ONE_SLICE,
    ".jpg": _ONE_SLICE,
    ".jpeg": _ONE_SLICE,
    ".gz": "only .nii.gz is read compressed; unpack it",
}


def read(path: str | os.PathLike[str], voxel_size_um: float | tuple[float, float, float] | None = None) -> Volume:
    """Read a scan.

    Args:
        path: a file (.tif .nrrd .nhdr .mha .mhd .nii .nii.gz .npy .npz .h5 .aim .isq .dcm .vti) or a folder of
            slices (TIFF, PNG, BMP, JPEG or DICOM).
        voxel_size_um: edge of a voxel [um], one number or one for each of (z, y, x). Needed where the file does not
            say; where it does, this one is used and the history says so.

    Returns:
        The volume: (nz, ny, nx) as stored, spacing and origin in mm, world axes left-posterior-superior (as DICOM and
        ITK; NIfTI is turned), provenance with the SHA-256 of the file.

    Raises:
        InputError: missing, unknown, damaged or too large a file; the message names file and field.
        VoxelSizeError: no voxel size that can be believed, and none given.

    Example:
        >>> import numpy as np, os, tempfile, microct
        >>> path = os.path.join(tempfile.mkdtemp(), "cube.npy")
        >>> np.save(path, np.ones((4, 5, 6), np.uint8))
        >>> microct.read(path, voxel_size_um=20).size_mm
        (0.08, 0.1, 0.12)
    """
    given = given_spacing(voxel_size_um)
    return settle(load(path), given)


def given_spacing(voxel_size_um: float | tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    """``voxel_size_um`` as spacing (z, y, x) [mm], checked; None stays None."""
    if voxel_size_um is None:
        return None
    try:
        sizes = np.broadcast_to(np.asarray(voxel_size_um, dtype=float), (3,)) / 1000.0
    except (TypeError, ValueError):
        raise VoxelSizeError(
            f"voxel_size_um: expected one number or three (z, y, x) in um, got {shown(voxel_size_um)}"
        ) from None
    return checked_spacing(tuple(float(f"{size:.12g}") for size in sizes), "voxel_size_um")  # type: ignore[arg-type]


def load(path: str | os.PathLike[str]) -> Scan:
    """What the file holds, its voxel size not yet settled; `InputError` as `read`."""
    try:
        path = existing(Path(path))
    except TypeError:
        raise InputError(f"path: expected the name of a scan, got {shown(repr(path))}") from None
    if path.is_dir():
        return _load_folder(path)
    ending = next((e for e in (".nii.gz", path.suffix.lower()) if path.name.lower().endswith(e)), "")
    if ending not in READERS:
        advice = _ADVICE.get(ending, f"expected one of {' '.join(READERS)} or a folder of slices")
        raise InputError(f"{path.name}: {shown(ending or 'no ending')} is not a scan that can be read; {advice}")
    return import_module(f"microct.io.{READERS[ending]}").load(path)  # a format's library is loaded when it is needed


def _load_folder(folder: Path) -> Scan:
    from microct.io import dicom
    from microct.io.slices import slices_of

    if dicom.is_folder_of_slices(folder):
        return dicom.load(folder)
    slices = slices_of(folder)
    module = "tiff" if slices.kind == "TIFF" else "pictures"
    return import_module(f"microct.io.{module}").load_slices(slices)


def settle(scan: Scan, given_mm: tuple[float, float, float] | None) -> Volume:
    """The volume of ``scan``, with the voxel size given or else the one that the file states."""
    if given_mm is None and scan.spacing.mm is None:
        raise VoxelSizeError(f"{scan.name}: voxel size unknown: {scan.spacing.note}; {HOW_TO_GIVE}")
    provenance, origin = scan.provenance or Provenance(scan.name, scan.sha256, header=scan.header), scan.origin_mm
    if given_mm is None:
        if scan.provenance is None:
            step = f"read as {scan.format}, voxel size {micrometers(scan.spacing.mm)} from {scan.spacing.note}"
            provenance = replace(provenance, steps=(step,))
    else:
        instead = micrometers(scan.spacing.mm) if scan.spacing.mm else f"unknown ({scan.spacing.note})"
        step = f"read as {scan.format}, voxel size {micrometers(given_mm)} given; the file's: {instead}"
        provenance = replace(provenance, steps=(*provenance.steps, step))
        if scan.spacing.mm:  # the place of the first voxel is as many voxels from the world's as the file says
            along = np.linalg.solve(np.asarray(scan.direction, float).T, np.asarray(origin, float))
            along *= np.asarray(given_mm) / np.asarray(scan.spacing.mm)
            origin = tuple((along @ np.asarray(scan.direction, float)).tolist())
    return Volume(
        np.ascontiguousarray(scan.values),
        given_mm or scan.spacing.mm,  # type: ignore[arg-type]
        origin,
        scan.direction,
        provenance,
        scan.kind,
    )


def micrometers(spacing_mm: tuple[float, float, float] | None) -> str:
    """Voxel size as text: "19.5 um", or "x y z um" where the axes differ."""
    if spacing_mm is None:
        return "unknown"
    sizes = [f"{1000.0 * size:.6g}" for size in reversed(spacing_mm)]
    return f"{sizes[0]} um" if len(set(sizes)) == 1 else f"{' x '.join(sizes)} um (x, y, z)"
