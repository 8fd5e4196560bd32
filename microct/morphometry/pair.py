"""Two scans of one bone, laid over each other: what was formed and what was resorbed in between."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microct.kernels import components
from microct.morphometry.specimen import Specimen, specimen_of
from microct.morphometry.surfaces import bone_surface
from microct.morphometry.topology import betti_rows
from microct.status import InputError
from microct.table import Row, Table
from microct.volume import BONE, Volume


@dataclass(frozen=True)
class Change:
    """Voxels that changed.

    Attributes:
        formed: (nz, ny, nx) bool, bone only in the second scan.
        resorbed: (nz, ny, nx) bool, bone only in the first.
    """

    formed: np.ndarray
    resorbed: np.ndarray


def change(first: np.ndarray, second: np.ndarray, least_voxels: int = 1) -> Change:
    """Formed and resorbed voxels; clusters (26-connected) of fewer than ``least_voxels`` are noise and left out."""
    return Change(_clusters(second & ~first, least_voxels), _clusters(first & ~second, least_voxels))


def change_map(first: Volume, second: Volume, least_voxels: int = 1) -> Volume:
    """Bone gained (above 0) and lost (below 0) of every voxel, between two registered scans or two times of a run.

    Args:
        first, second: bone fraction (uint8) or masks, on the same voxels.
        least_voxels: smaller clusters of voxels that became bone or marrow are noise; the map is 0 there.

    Returns:
        int16, -255 to 255 [1/255 voxel]; its sum is the change of bone volume where nothing was left out as noise.

    Raises:
        InputError: other voxels, or neither bone fraction nor mask.
    """
    if first.shape != second.shape or not np.allclose(first.spacing_mm, second.spacing_mm, rtol=1e-3):
        raise InputError(f"change map: expected bones on the same voxels, got {first.shape} and {second.shape}")
    scaled = []
    for scan in (first, second):
        fraction = scan.fraction()
        fraction = scan.values if fraction is None else fraction
        if fraction.dtype != np.uint8:
            raise InputError(f"change map: expected uint8 bone fraction or masks, got {fraction.dtype}")
        scaled.append(fraction.astype(np.int16))
    old, new = (values >= BONE for values in scaled)
    kept = change(old, new, least_voxels)
    noise = (old ^ new) & ~kept.formed & ~kept.resorbed
    values = np.where(noise, 0, scaled[1] - scaled[0]).astype(np.int16)
    return second.with_values(values, f"change since {first.provenance.source} [1/255 voxel]", kind="")


def measure_pair(
    first: Volume,
    second: Volume,
    mask: Volume | np.ndarray | None = None,
    threshold: float | str | None = None,
    *,
    least_voxels: int = 1,
    sample: str = "",
    time_yr: float | None = None,
) -> Table:
    """Measure formation and resorption between two aligned scans, or two states of a simulation.

    Args:
        first, second: of the same shape, on the same voxels (`microct.imaging.registration` lays them over each other).
        mask: (nz, ny, nx) region; None for everywhere.
        threshold: as `microct.measure`.
        least_voxels: smaller clusters of change are noise (Schulte et al. 2011 take 5 in vivo; 1 for simulations).
        sample, time_yr: written to the rows.

    Returns:
        FV/BV, RV/BV (for the first scan's bone), FS/BS, RS/BS (for its surface, counted in faces of voxels), F.Th and
        R.De (volume for its surface), N.Perf (tunnels gained).

    Raises:
        InputError: scans of different shape or voxel size, or a first scan without bone.
    """
    before, after = (specimen_of(scan, mask, threshold) for scan in (first, second))
    if first.shape != second.shape or not np.allclose(first.spacing_mm, second.spacing_mm, rtol=1e-3):
        raise InputError(
            f"pair: expected scans on the same voxels, got {first.shape} of {first.spacing_mm} mm and "
            f"{second.shape} of {second.spacing_mm} mm; register them first"
        )
    old, new = before.bone_in_region, after.bone_in_region
    if not old.any():
        raise InputError("pair: the first scan has no bone")
    changed = change(old, new, least_voxels)
    bone = int(np.count_nonzero(old))
    surface, over, under = _faces(before, old, changed)
    area = bone_surface(before)
    rows = [
        Row("FV/BV", 100.0 * np.count_nonzero(changed.formed) / bone),
        Row("RV/BV", 100.0 * np.count_nonzero(changed.resorbed) / bone),
        Row("FS/BS", 100.0 * over / surface if surface else math.nan, note="" if surface else "no surface"),
        Row("RS/BS", 100.0 * under / surface if surface else math.nan, note="" if surface else "no surface"),
        _depth("F.Th", changed.formed, over, surface, area, before.voxel_volume),
        _depth("R.De", changed.resorbed, under, surface, area, before.voxel_volume),
        Row("N.Perf", betti_rows(after)[1].value - betti_rows(before)[1].value),
    ]
    parameters = {"first": first.provenance.source, "second": second.provenance.source, "threshold": before.threshold}
    parameters["least_voxels"] = str(least_voxels)
    filled = tuple(Row(row.symbol, row.value, time_yr, sample, "voxels", row.note) for row in rows)
    return Table(filled, parameters)


def _clusters(voxels: np.ndarray, least: int) -> np.ndarray:
    if least <= 1:
        return voxels
    labels, count = components.label(voxels)
    large = np.bincount(labels.ravel(), minlength=count + 1) >= least
    large[0] = False
    return large[labels]


def _faces(specimen: Specimen, old: np.ndarray, changed: Change) -> tuple[int, int, int]:
    """Faces between bone and marrow of the region, those under formed voxels, and those of resorbed voxels."""
    marrow = specimen.marrow_in_region
    total = over = under = 0
    for axis in range(3):
        parts = [np.moveaxis(values, axis, 0) for values in (old, marrow, changed.formed, changed.resorbed)]
        for here, there in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            face = parts[0][here] & parts[1][there]
            total += int(np.count_nonzero(face))
            over += int(np.count_nonzero(face & parts[2][there]))
            under += int(np.count_nonzero(face & parts[3][here]))
    return total, over, under


def _depth(symbol: str, voxels: np.ndarray, faces: int, surface: int, area: float, voxel: float) -> Row:
    if not faces:
        return Row(symbol, math.nan, note="no surface of this kind")
    return Row(symbol, 1000.0 * np.count_nonzero(voxels) * voxel / (area * faces / surface))
