"""What `microct info FILE` says of a scan, also where its voxel size is unknown."""

from __future__ import annotations

import os

import numpy as np

from microct.io.reader import given_spacing, load, micrometers
from microct.io.source import Scan

_MAX_LABELS = 16
_TOO_WIDE = 1e100  # beyond it sums of squares overflow


def describe(
    path: str | os.PathLike[str], voxel_size_um: float | tuple[float, float, float] | None = None
) -> list[tuple[str, str]]:
    """Facts about a scan, in the order in which they are printed.

    Args:
        path: as for `microct.read`.
        voxel_size_um: as for `microct.read`; where it is unknown the description says so.

    Returns:
        (name, text) pairs: format, shape, type, voxel size, physical size, grey values or labels, threshold after
        Otsu, SHA-256, what the header says.

    Raises:
        InputError: the file cannot be read.
    """
    given = given_spacing(voxel_size_um)
    scan = load(path)
    nz, ny, nx = scan.values.shape
    rows = [
        ("file", scan.name),
        ("format", scan.format),
        ("shape", f"{nx} x {ny} x {nz} voxels (x, y, z)"),
        ("type", f"{scan.values.dtype.name}, {scan.values.nbytes / 2**20:.1f} MiB in memory"),
        *_size(scan, given),
        *_values(scan.values),
        ("SHA-256", scan.sha256),
    ]
    if scan.provenance is not None:
        rows += [("source", f"{scan.provenance.source} (SHA-256 {scan.provenance.sha256 or 'unknown'})")]
        rows += [("history", step) for step in scan.provenance.steps]
    return rows + [(f"header: {key}", text) for key, text in scan.header.items()]


def _size(scan: Scan, given: tuple[float, float, float] | None) -> list[tuple[str, str]]:
    spacing = given or scan.spacing.mm
    if spacing is None:
        return [("voxel size", f"unknown: give --voxel-size-um ({scan.spacing.note})")]
    whence = "given" if given else f"from {scan.spacing.note}"
    if given and scan.spacing.mm:
        whence += f"; the file says {micrometers(scan.spacing.mm)}"
    edges = [f"{n * size:.4g}" for n, size in zip(scan.values.shape[::-1], spacing[::-1], strict=True)]
    return [
        ("voxel size", f"{micrometers(spacing)}, {whence}"),
        ("physical size", f"{' x '.join(edges)} mm (x, y, z)"),
    ]


def _values(values: np.ndarray) -> list[tuple[str, str]]:
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        bad = int(values.size - np.count_nonzero(finite))
        if bad:
            return [("grey values", f"{bad} of {values.size} voxels are NaN or infinite: replace or crop them")]
        if float(values.max()) - float(values.min()) > _TOO_WIDE:
            return [("grey values", f"{values.min():.6g} to {values.max():.6g}: no scanner's numbers")]
    numbers, counts = histogram(values)
    present = numbers[counts > 0]
    if values.dtype.kind in "bui" and len(present) <= _MAX_LABELS and len(numbers) <= 1 << 16:
        return _labels(present, counts[counts > 0])
    with np.errstate(over="ignore"):
        mean = float(np.mean(values, dtype=np.float64))
    rows = [("grey values", f"{values.min():.6g} to {values.max():.6g}, mean {mean:.6g}")]
    if len(present) > 1:
        threshold = otsu(numbers, counts)
        if values.dtype.kind in "ui" and len(numbers) <= 1 << 16:
            threshold += 0.5  # between two integers, as `segment` has it
        above = 100.0 * counts[numbers >= threshold].sum() / counts.sum()
        rows.append(("suggested threshold", f"{threshold:.6g} (Otsu; {above:.1f} % of the voxels are bone)"))
    return rows


def _labels(labels: np.ndarray, counts: np.ndarray) -> list[tuple[str, str]]:
    total = counts.sum()
    shares = [f"{int(n)}: {int(c)} voxels ({100 * c / total:.2f} %)" for n, c in zip(labels, counts, strict=True)]
    name = {1: "one value", 2: "binary"}.get(len(labels), "labels")
    return [(name, "; ".join(shares))]


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and how often each occurs: one bin for each integer up to 2^16 of them, else 256 bins by their middle."""
    if values.dtype.kind == "b":
        ones = np.count_nonzero(values)
        return np.array([0, 1]), np.array([values.size - ones, ones])
    low, high = values.min(), values.max()
    if values.dtype.kind in "ui" and int(high) - int(low) < 1 << 16:
        counts = np.zeros(int(high) - int(low) + 1, np.int64)
        for plane in values:  # a plane at a time: the shifted copy stays small
            counts += np.bincount((plane.astype(np.int64) - int(low)).ravel(), minlength=counts.size)
        return np.arange(int(low), int(high) + 1), counts
    counts = np.zeros(256, np.int64)
    if low == high:
        return np.array([float(low)]), np.array([values.size])
    for plane in values:
        part, edges = np.histogram(plane, bins=256, range=(float(low), float(high)))
        counts += part
    return (edges[:-1] + edges[1:]) / 2, counts


def otsu(numbers: np.ndarray, counts: np.ndarray) -> float:
    """The value that parts a histogram into two classes of largest between-class variance (Otsu 1979).

    Source: Otsu, IEEE Trans. Syst. Man Cybern. 9:62 (1979), eq. 18.
    """
    weight = np.cumsum(counts, dtype=np.float64)
    total = np.cumsum(counts * numbers, dtype=np.float64)
    below, above = weight[:-1], weight[-1] - weight[:-1]
    with np.errstate(all="ignore"):
        apart = total[:-1] / below - (total[-1] - total[:-1]) / above
        variance = below * above * apart**2
    return float(numbers[int(np.nanargmax(variance))])
