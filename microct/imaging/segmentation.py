"""Grey values to bone: smoothing, threshold, largest connected piece."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import ndimage

from microct.status import InputError, StudyError
from microct.volume import BONE, Volume, expected_volume

#: Bone is 26-connected: voxels that share a corner belong together (Odgaard, Gundersen 1993).
BONE_NEIGHBORS = np.ones((3, 3, 3), dtype=bool)


def segment(volume: Volume, threshold: str | float = "otsu", sigma: float = 0.0, keep_largest: bool = True) -> Volume:
    """Part bone from marrow.

    Bone is every voxel whose smoothed grey value is >= the threshold. A volume of two distinct values is a mask
    already: its higher value is bone, and neither smoothing nor threshold is applied. In a bone fraction (kind
    "fraction") a voxel is bone from half on, where nothing else is asked for. Otsu's method parts the two
    largest classes of grey; where there is air beside tissue these may not be marrow and bone (in vivo HR-pQCT): give
    a threshold there.

    Args:
        volume: (nz, ny, nx) grey values or a mask.
        threshold: "otsu" (half of a bone fraction), or a grey value in the unit of the file.
        sigma: standard deviation of the Gaussian filter [voxel], cut off at 4 sigma; 0 for none (usual: 0 to 2).
        keep_largest: drop every piece of bone that is not 26-connected to the largest one.

    Returns:
        Volume of uint8, 0 (marrow) or 255 (bone), in the same place; its provenance says what was done.

    Raises:
        StudyError: threshold or sigma is not a usable number or name.
        InputError: not a `Volume`; no bone, or nothing but bone.

    Source:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076 (by scikit-image); Bouxsein et al. 2010, doi:10.1002/jbmr.141.

    Example:
        >>> import numpy as np
        >>> from microct import Volume, segment
        >>> grey = np.full((8, 8, 8), 20, np.uint8)
        >>> grey[2:6] = 200
        >>> segment(Volume.from_array(grey, voxel_size_um=20)).values.mean() / 255
        np.float64(0.5)
    """
    expected_volume(volume, "segment")
    check(threshold, sigma)
    source = volume.provenance.source
    low, high = volume.values.min(), volume.values.max()
    if low == high:
        raise InputError(f"{source}: every voxel is {low}; expected at least two grey values, marrow and bone")
    mask = volume.binary()
    if volume.kind == "fraction" and threshold == "otsu" and sigma == 0.0:
        bone = volume.values >= BONE
        if bone.all() or not bone.any():
            what = "everything is bone" if bone.all() else "no bone is left"
            raise InputError(f"{source}: {what} at half of a voxel; bone fraction runs from {low} to {high} of 255")
        steps = [f"bone fraction: bone is >= {BONE} of 255 (half); no filter, no threshold"]
    elif mask is not None:
        bone = mask
        steps = [f"binary input ({low:g}, {high:g}): bone is {high:g}; no filter, no threshold"]
    else:
        grey = filtered(volume.values, sigma)
        smoothing = f"Gaussian filter of sigma {sigma:g} voxels" if sigma else "no filter"
        value, method = _threshold(grey, threshold)
        bone = grey >= value
        if bone.all() or not bone.any():
            what = "everything is bone" if bone.all() else "no bone is left"
            raise InputError(
                f"{source}: {what} at threshold {value:g}; grey values run from {grey.min():g} to {grey.max():g}; "
                f'Otsu suggests {_otsu(grey):g} (threshold "otsu")'
            )
        steps = [f"{smoothing}; bone is >= {value:g} ({method})"]
    found = volume.with_values(
        np.where(bone, np.uint8(255), np.uint8(0)), "segment: " + "; ".join(steps), kind="fraction"
    )
    return largest_piece(found)[0] if keep_largest else found


def largest_piece(volume: Volume) -> tuple[Volume, float]:
    """A bone fraction without bone that is not 26-connected to its largest piece, and the share of voxels dropped."""
    bone, share = largest_component(volume.values > 0)
    step = f"largest 26-connected piece kept; {100 * share:.3g} % of the bone dropped"
    *before, last = volume.provenance.steps or ("",)
    if last.startswith("segment: "):  # one step in all
        provenance = replace(volume.provenance, steps=tuple(before))
        volume, step = replace(volume, provenance=provenance), f"{last}; {step}"
    return volume.with_values(np.where(bone, volume.values, np.uint8(0)), step), share


def largest_component(bone: np.ndarray) -> tuple[np.ndarray, float]:
    """The largest 26-connected piece of a boolean (nz, ny, nx) array, and the share of its bone that was dropped."""
    labels, count = ndimage.label(bone, structure=BONE_NEIGHBORS)
    if count <= 1:
        return bone, 0.0
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    return labels == largest, 1.0 - float(sizes[largest]) / float(sizes.sum())


def otsu(volume: Volume, sigma: float = 0.0) -> float:
    """The threshold that `segment` takes for "otsu", so that several scans can share it.

    Raises:
        StudyError: sigma out of its range. InputError: not a `Volume`; every voxel is the same.
    """
    expected_volume(volume, "otsu")
    check("otsu", sigma)
    grey = filtered(volume.values, sigma)
    if grey.min() == grey.max():
        raise InputError(
            f"{volume.provenance.source}: every voxel is {grey.min():g}; expected at least two grey values, marrow "
            "and bone"
        )
    return _otsu(grey)


def check(threshold: str | float, sigma: float) -> None:
    """Refuse a threshold that is neither "otsu" nor a number, and a filter out of its range; `StudyError`."""
    if not (threshold == "otsu" if isinstance(threshold, str) else _is_number(threshold)):
        raise StudyError(f'threshold: expected "otsu" or a finite grey value, got {threshold!r}')
    if not (_is_number(sigma) and 0.0 <= sigma <= 20.0):
        raise StudyError(f"sigma: expected 0 to 20 voxels (usual: 0 to 2), got {sigma!r}")


def _is_number(value: object) -> bool:
    """Whether it is one finite number; a flag or a numeral in quotes is none."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and math.isfinite(value)  # type: ignore[arg-type]


def filtered(values: np.ndarray, sigma: float) -> np.ndarray:
    """The Gaussian filter [voxel] before every threshold, edges repeated, cut off at 4 sigma: float32; 0: as it is."""
    if sigma == 0.0:
        return values
    # float32 halves the memory; 24 bits of mantissa are more than any scanner's grey values have
    grey: np.ndarray = ndimage.gaussian_filter(values, sigma, output=np.float32, mode="nearest", truncate=4.0)
    return grey


def _threshold(grey: np.ndarray, threshold: str | float) -> tuple[float, str]:
    return (_otsu(grey), "Otsu") if isinstance(threshold, str) else (float(threshold), "given")


def _otsu(grey: np.ndarray) -> float:
    from skimage.filters import threshold_otsu

    value = float(threshold_otsu(grey))
    # skimage's classes are <= t and > t; between two integers t + 1/2 makes the same cut with >=
    return value + 0.5 if grey.dtype.kind in "ui" else value
