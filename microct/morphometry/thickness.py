"""Tb.Th, Tb.Sp, Tb.N: how thick the trabeculae are, how far apart, and how many.

Conventions (differences are measured in docs/morphometry.md):

- "exact": 2 r of the largest open ball centered on a voxel and limited by the nearest voxel of the other phase.
- "bonej": closed balls, and surface voxels averaged with the interior, as Fiji's local thickness, which BoneJ uses.
- "ipl": 2 r - 1 voxel of the exact ball, as Scanco's IPL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microct.kernels import thickness
from microct.kernels.distance import placed
from microct.morphometry.specimen import Specimen, specimen_of
from microct.status import InputError, StudyError
from microct.table import Row
from microct.volume import Volume

if TYPE_CHECKING:
    import jax

    #: On the host, or on the device where JAX has an accelerator.
    Voxels = np.ndarray | jax.Array

CONVENTIONS = ("exact", "bonej", "ipl")

#: Below so many voxels across, thickness is a matter of the grid (Bouxsein et al. 2010 ask for at least 2, better 3).
FEWEST_VOXELS = 3.0

_NO_BONE = "no bone"
_NO_MARROW = "no marrow: bone has no other side"


def check_convention(convention: str) -> None:
    """Raise `StudyError` where the convention is not one of `CONVENTIONS`."""
    if convention not in CONVENTIONS:
        raise StudyError(f"convention must be one of {', '.join(CONVENTIONS)}; got {convention!r}")


def thickness_rows(specimen: Specimen, convention: str) -> list[Row]:
    """Mean and spread of the local thickness of bone and of marrow, and the number of trabeculae for each length."""
    if not specimen.isotropic:
        size = " x ".join(f"{1000 * step:g}" for step in specimen.spacing_mm)
        note = f"needs cubic voxels, these are {size} um: resample first"
        return [Row(symbol, math.nan, convention=convention, note=note) for symbol in _SYMBOLS]
    edge = specimen.voxel_edge
    phase = placed(specimen.bone)
    local, axes = thickness.local_radius_and_axes(phase)
    bone = _counted(phase, specimen.bone_in_region, convention, local)
    del local
    del phase
    marrow = _counted(placed(~specimen.bone), specimen.marrow_in_region, convention, within=specimen.region)
    return [
        *_mean_and_spread("Tb.Th", bone, edge, convention, specimen, _NO_BONE),
        *_mean_and_spread("Tb.Sp", marrow, edge, convention, specimen, "no marrow"),
        *_number(axes, specimen, convention),
    ]


_SYMBOLS = ("Tb.Th", "Tb.Th.SD", "Tb.Th.Max", "Tb.Sp", "Tb.Sp.SD", "Tb.Sp.Max", "Tb.N", "Tb.1/N.SD")


@dataclass(frozen=True)
class _Spread:
    """Diameters [voxel] that occur, ascending, and in how many voxels."""

    diameters: np.ndarray
    counts: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.diameters @ self.counts / self.counts.sum())

    @property
    def deviation(self) -> float:
        return float(np.sqrt((self.diameters - self.mean) ** 2 @ self.counts / self.counts.sum()))


def _counted(
    phase: Voxels,
    inside: np.ndarray,
    convention: str,
    local: Voxels | None = None,
    within: np.ndarray | None = None,
) -> _Spread:
    """Diameters of the phase's local thickness over the voxels ``inside``; ``local``: its exact squared radii."""
    if convention == "bonej":
        diameters, counts = np.unique(_diameters(phase, convention)[inside], return_counts=True)
        return _Spread(diameters, counts)
    if local is None:
        local = thickness.local_squared_radius(phase, within=within)
    squares, counts = thickness.radius_counts(local, inside)
    return _Spread(_of_squared(squares, convention), counts)


def _diameters(phase: Voxels, convention: str) -> np.ndarray:
    """Local thickness of a phase in voxels; 0 outside it."""
    local = np.asarray(thickness.local_squared_radius(phase, closed=convention == "bonej"))
    diameters = _of_squared(local, convention)
    return thickness.interior_average(diameters) * np.asarray(phase) if convention == "bonej" else diameters


def _of_squared(local: np.ndarray, convention: str) -> np.ndarray:
    diameters = 2.0 * np.sqrt(local, dtype=np.float64)
    return np.maximum(diameters - 1.0, 0.0) if convention == "ipl" else diameters


def _mean_and_spread(
    symbol: str, found: _Spread, edge: float, convention: str, specimen: Specimen, missing: str
) -> list[Row]:
    """Rows of mean, standard deviation and maximum over the voxels of a phase, in mm."""
    bounded = specimen.bone.any() and not specimen.bone.all()
    if not len(found.counts) or not bounded:
        reason = (
            missing if not len(found.counts) else _NO_MARROW if symbol == "Tb.Th" else "no bone: marrow has no bound"
        )
        names = (symbol, f"{symbol}.SD", f"{symbol}.Max")
        return [Row(name, math.nan, convention=convention, note=reason) for name in names]
    note = ""
    if found.mean < FEWEST_VOXELS:
        across = f"only {found.mean:.2f} voxels across"
        note = f"{across}: below {FEWEST_VOXELS:g} the voxel size decides, scan or resample finer"
    return [
        Row(symbol, found.mean * edge, convention=convention, note=note),
        Row(f"{symbol}.SD", found.deviation * edge, convention=convention),
        Row(f"{symbol}.Max", float(found.diameters[-1]) * edge, convention=convention),
    ]


def _number(axes: Voxels, specimen: Specimen, convention: str) -> list[Row]:
    """Tb.N: 1 / mean spacing of the mid-axes, which is the mean local thickness of what lies between them; its SD."""
    if not specimen.bone.any():
        return _number_rows(0.0, math.nan, convention, _NO_BONE)
    if not axes.any():
        return _number_rows(math.nan, math.nan, convention, _NO_MARROW)
    local = thickness.local_squared_radius(~axes, within=specimen.region)
    between = ~axes if specimen.region is None else ~axes & specimen.region
    squares, counts = thickness.radius_counts(local, between)
    if not len(counts):
        return _number_rows(math.nan, math.nan, convention, "nothing lies between the mid-axes")
    found = _Spread(_of_squared(squares, "exact"), counts)
    edge = specimen.voxel_edge
    return _number_rows(1.0 / (found.mean * edge), found.deviation * edge, convention, "")


def _number_rows(number: float, spread: float, convention: str, note: str) -> list[Row]:
    return [
        Row("Tb.N", number, convention=convention, note=note),
        Row("Tb.1/N.SD", spread, convention=convention, note=note),
    ]


def thickness_maps(bone: Volume | Specimen, convention: str = "exact") -> dict[str, np.ndarray]:
    """Local thickness of bone ("Tb.Th") and of marrow ("Tb.Sp") at every voxel.

    Args:
        bone: a mask or a bone fraction, or what `specimen_of` made of a volume; cubic voxels.
        convention: one of `CONVENTIONS`.

    Returns:
        (nz, ny, nx) float32 each, 0 outside the phase and where a phase fills the whole volume [mm].

    Raises:
        InputError: grey values; voxels that are no cubes. StudyError: no such convention.
    """
    check_convention(convention)
    specimen = bone if isinstance(bone, Specimen) else specimen_of(bone, None, None)
    if not specimen.isotropic:
        raise InputError(f"thickness maps: voxels of {specimen.spacing_mm} mm are no cubes; resample them first")
    maps = {}
    for symbol, phase in (("Tb.Th", specimen.bone), ("Tb.Sp", ~specimen.bone)):
        local = _diameters(phase, convention) if not phase.all() else np.zeros(phase.shape)
        maps[symbol] = (local * specimen.voxel_edge).astype(np.float32)
    return maps
