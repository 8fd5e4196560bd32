"""Grey values as density of bone mineral: calibration, vBMD of compartments, TMD, bone fraction of partial voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from microct.morphometry.contour import Contours
from microct.status import InputError
from microct.table import Row, Table
from microct.volume import Volume

#: Fully mineralized bone tissue and marrow [mgHA/cm3]; the usual mixing points of partial voxels (Laib et al. 1998
#: give 1200 for compact bone; marrow is taken as free of mineral).
TISSUE_DENSITY, MARROW_DENSITY = 1200.0, 0.0


@dataclass(frozen=True)
class Calibration:
    """Density = slope * value + intercept [mgHA/cm3], ``words``: where it is from."""

    slope: float
    intercept: float
    words: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and self.slope > 0 and math.isfinite(self.intercept)):
            raise InputError(
                f"calibration: expected a slope above 0 and a finite intercept, got {self.slope} and {self.intercept}"
            )

    @classmethod
    def linear(cls, slope: float, intercept: float) -> Calibration:
        """Given slope [mgHA/cm3 for each unit of the voxels] and intercept [mgHA/cm3]."""
        return cls(slope, intercept, f"density = {slope:g} value + {intercept:g}")

    @classmethod
    def hounsfield(cls, mu_water: float, slope: float, intercept: float) -> Calibration:
        """Hounsfield units: attenuation = (HU / 1000 + 1) mu_water, density = slope * attenuation + intercept.

        Args:
            mu_water: linear attenuation of water [1/cm].
            slope: of density by attenuation [mgHA/cm3 cm].
            intercept: of density [mgHA/cm3].
        """
        words = f"HU, mu_water {mu_water:g} 1/cm, density = {slope:g} mu + {intercept:g}"
        return cls(slope * mu_water / 1000.0, slope * mu_water + intercept, words)

    @classmethod
    def native(cls, mu_scaling: float, slope: float, intercept: float) -> Calibration:
        """Scanco's native numbers: attenuation = value / mu_scaling, density = slope * attenuation + intercept."""
        words = f"native, mu scaling {mu_scaling:g}, density = {slope:g} mu + {intercept:g}"
        return cls(slope / mu_scaling, intercept, words)

    @classmethod
    def of_header(cls, header: Mapping[str, str]) -> Calibration:
        """From the header of an AIM, ISQ or Scanco DICOM scan as `microct.read` keeps it.

        Voxels of DICOM are native numbers times the file's slope plus its intercept (HU as a rule): that is undone.

        Raises:
            InputError: the header does not say what density its numbers mean.
        """
        names = ("mu_scaling", "density_slope", "density_intercept")
        missing = [name for name in names if name not in header]
        if missing:
            raise InputError(f"calibration: the scan's header has no {', '.join(missing)}; give slope and intercept")
        try:
            scaling, slope, intercept = (float(header[name]) for name in names)
            times, plus = float(header.get("slope", 1.0)), float(header.get("intercept", 0.0))
        except ValueError as problem:
            raise InputError(f"calibration: the scan's header has no usable number ({problem})") from problem
        native = cls.native(scaling, slope, intercept)
        if (times, plus) == (1.0, 0.0):
            return native
        words = f"{native.words}, voxels are {times:g} native {plus:+g}"
        return cls(native.slope / times, native.intercept - native.slope * plus / times, words)

    def density(self, values: np.ndarray) -> np.ndarray:
        """Densities [mgHA/cm3] as float32."""
        return (np.asarray(values, np.float64) * self.slope + self.intercept).astype(np.float32)


def bone_fraction(
    volume: Volume, calibration: Calibration, tissue: float = TISSUE_DENSITY, marrow: float = MARROW_DENSITY
) -> Volume:
    """Bone fraction 0..255 of each voxel as a mixture of tissue and marrow of these densities [mgHA/cm3]."""
    if not tissue > marrow:
        raise InputError(f"bone_fraction: expected tissue denser than marrow, got {tissue:g} and {marrow:g} mgHA/cm3")
    share = (calibration.density(volume.values) - marrow) / (tissue - marrow)
    values = np.rint(255.0 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
    return volume.with_values(
        values, f"bone fraction by {calibration.words}, {marrow:g} to {tissue:g} mgHA/cm3", kind="fraction"
    )


def measure_density(
    volume: Volume,
    calibration: Calibration,
    region: np.ndarray | None = None,
    *,
    bone: np.ndarray | None = None,
    compartments: Contours | None = None,
    sample: str = "",
    time_yr: float | None = None,
) -> Table:
    """Mean densities of a scan.

    Args:
        volume: grey values.
        calibration: of those values.
        region: (nz, ny, nx) where vBMD and BMC are taken; None for the periosteal contour, or everywhere.
        bone: (nz, ny, nx) voxels of bone, for TMD.
        compartments: contours, for Ct.BMD and Tb.BMD.
        sample, time_yr: written to the rows.

    Raises:
        InputError: shapes that differ, or an empty region.
    """
    masks = {"vBMD": region, "TMD": bone}
    if compartments is not None:
        masks |= {"Ct.BMD": compartments.cortical, "Tb.BMD": compartments.trabecular}
        if region is None:
            masks["vBMD"] = compartments.periosteal > 0
    if masks["vBMD"] is None:
        masks["vBMD"] = np.ones(volume.shape, bool)
    rows = []
    for symbol, mask in masks.items():
        if mask is None:
            continue
        inside = np.asarray(mask) != 0
        if inside.shape != volume.shape:
            raise InputError(f"{symbol}: expected a mask of the volume's shape {volume.shape}, got {inside.shape}")
        if not inside.any():
            rows.append(Row(symbol, math.nan, note="no voxel inside"))
            continue
        mean = float(volume.values[inside].mean(dtype=np.float64)) * calibration.slope + calibration.intercept
        rows.append(Row(symbol, mean))
        if symbol == "vBMD":
            content = mean * float(inside.sum()) * float(np.prod(volume.spacing_mm)) / 1000.0
            rows.append(Row("BMC", content))
    filled = tuple(Row(row.symbol, row.value, time_yr, sample, row.convention, row.note) for row in rows)
    return Table(filled, {"calibration": calibration.words, "source": volume.provenance.source})
