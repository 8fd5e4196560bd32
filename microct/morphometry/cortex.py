"""Areas, thickness, pores, perimeters and second moments of the cortex, slice by slice along the bone."""

from __future__ import annotations

import math

import numpy as np

from microct.kernels import components, thickness
from microct.morphometry.contour import Contours
from microct.status import InputError
from microct.table import Row, Table
from microct.volume import Volume


def measure_cortex(
    bone: Volume | np.ndarray, compartments: Contours, *, sample: str = "", time_yr: float | None = None
) -> Table:
    """Measure the cortex of one bone whose long axis is z.

    Args:
        bone: (nz, ny, nx) bone (nonzero), of the scan that the contours were found in.
        compartments: `contour.contours`, of one bone (`Contours.bone`).
        sample, time_yr: written to the rows.

    Returns:
        Tt.Ar, Ct.Ar, Tb.Ar, Ct.Ar/Tt.Ar, Ct.Th, Ct.Th.SD, Ct.Po, Po.Dm, Po.N, Ps.Pm, Ec.Pm, Imax, Imin, pMOI, Zmax.
        Areas, perimeters and moments are means over the slices that have bone.

    Raises:
        InputError: shapes that differ, no cortex, or voxels that are not cubes.
    """
    dense = (bone.values if isinstance(bone, Volume) else np.asarray(bone)) != 0
    if dense.shape != compartments.periosteal.shape:
        raise InputError(f"bone: expected the contours' shape {compartments.periosteal.shape}, got {dense.shape}")
    spacing = compartments.spacing_mm
    if max(spacing) > 1.001 * min(spacing):
        raise InputError(f"cortex: expected cubic voxels, got {spacing} mm; resample first")
    cortex = compartments.cortical
    if not cortex.any():
        raise InputError("cortex: the contours hold none")
    rows = [*_areas(compartments, cortex), *_thickness(compartments, cortex), *_pores(dense, cortex, spacing)]
    rows += _moments(dense & cortex, spacing)
    return Table(tuple(Row(row.symbol, row.value, time_yr, sample, row.convention, row.note) for row in rows))


def perimeter(section: np.ndarray, edge: float) -> float:
    """Length of the contours of a (ny, nx) bool section by Cauchy-Crofton in 4 directions; what is cut is no contour.

    L = pi / 2 times the mean, over directions, of crossings times the distance between lines.
    """
    straight = np.count_nonzero(section[1:] != section[:-1]) + np.count_nonzero(section[:, 1:] != section[:, :-1])
    slanted = np.count_nonzero(section[1:, 1:] != section[:-1, :-1]) + np.count_nonzero(
        section[1:, :-1] != section[:-1, 1:]
    )
    return math.pi / 8.0 * edge * (straight + slanted / math.sqrt(2.0))


def second_moments(section: np.ndarray, edge: float) -> tuple[float, float, float]:
    """Imax, Imin [unit^4] and section modulus Imax / farthest distance from its axis [unit^3] of a (ny, nx) section."""
    y, x = np.nonzero(section)
    y, x = (y - y.mean()) * edge, (x - x.mean()) * edge
    own = edge**2 / 12.0  # each pixel's own second moment, for each area
    tensor = edge**2 * np.array([[np.sum(y * y + own), np.sum(y * x)], [np.sum(y * x), np.sum(x * x + own)]])
    values, vectors = np.linalg.eigh(tensor)
    # The moment about an axis sums squared distances from it: the largest has its axis across the longest extent.
    away = np.abs(vectors[0, 1] * y + vectors[1, 1] * x).max() + edge / 2.0
    return float(values[1]), float(values[0]), float(values[1] / away)


def _slices(mask: np.ndarray) -> np.ndarray:
    return np.flatnonzero(mask.any(axis=(1, 2)))


def _areas(compartments: Contours, cortex: np.ndarray) -> list[Row]:
    edge = compartments.spacing_mm[1]
    whole = compartments.periosteal > 0
    slices = _slices(whole)
    total, cortical, inner = (
        np.count_nonzero(mask[slices]) / len(slices) * edge**2 for mask in (whole, cortex, compartments.trabecular)
    )
    outer_length, inner_length = (
        float(np.mean([perimeter(np.pad(mask[z], 1), edge) for z in slices]))
        for mask in (whole, compartments.trabecular)
    )
    return [
        Row("Tt.Ar", total),
        Row("Ct.Ar", cortical),
        Row("Tb.Ar", inner),
        Row("Ct.Ar/Tt.Ar", 100.0 * cortical / total),
        Row("Ps.Pm", outer_length),
        Row("Ec.Pm", inner_length),
    ]


def _thickness(compartments: Contours, cortex: np.ndarray) -> list[Row]:
    if cortex.all():
        return [Row(symbol, math.nan, note="nothing lies outside the cortex") for symbol in ("Ct.Th", "Ct.Th.SD")]
    diameters = 2.0 * np.sqrt(thickness.local_squared_radius(cortex)[cortex], dtype=float)
    edge = compartments.spacing_mm[1]
    note = "" if diameters.mean() >= 3 else f"only {diameters.mean():.2f} voxels across: the voxel size decides"
    return [
        Row("Ct.Th", float(diameters.mean()) * edge, convention="exact", note=note),
        Row("Ct.Th.SD", float(diameters.std()) * edge, convention="exact"),
    ]


def _pores(dense: np.ndarray, cortex: np.ndarray, spacing: tuple[float, float, float]) -> list[Row]:
    pores = cortex & ~dense
    rows = [Row("Ct.Po", 100.0 * np.count_nonzero(pores) / np.count_nonzero(cortex))]
    if not pores.any():
        return [*rows, Row("Po.Dm", math.nan, note="no pore"), Row("Po.N", 0.0)]
    diameters = 2.0 * np.sqrt(thickness.local_squared_radius(pores)[pores], dtype=float)
    rows.append(Row("Po.Dm", float(diameters.mean()) * spacing[1], convention="exact"))
    return [*rows, Row("Po.N", float(components.count(pores)))]


def _moments(section: np.ndarray, spacing: tuple[float, float, float]) -> list[Row]:
    slices = _slices(section)
    if not len(slices):
        return [Row(symbol, math.nan, note="no cortical bone") for symbol in ("Imax", "Imin", "pMOI", "Zmax")]
    found = np.mean([second_moments(section[z], spacing[1]) for z in slices], axis=0)
    largest, smallest, modulus = (float(value) for value in found)
    return [Row("Imax", largest), Row("Imin", smallest), Row("pMOI", largest + smallest), Row("Zmax", modulus)]
