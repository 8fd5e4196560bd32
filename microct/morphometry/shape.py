"""SMI and its parts, and what the plate model makes of surface and volume."""

from __future__ import annotations

import math

from microct.kernels.curvature import mean_curvature_integral
from microct.kernels.smoothsurface import SmoothSurface
from microct.morphometry.specimen import Specimen
from microct.table import Row

#: Said with every SMI.
CONFOUNDED = "SMI follows BV/TV and concave surface rather than rods and plates (Salmon 2015); see EF"


def shape_rows(specimen: Specimen, bone: float, surface: float) -> list[Row]:
    """SMI = 12 BV H / BS^2, H the integral of mean curvature: 0 plates, 3 rods, 4 balls, negative where concave.

    Args:
        specimen: what is measured.
        bone: bone volume [mm3].
        surface: bone surface [mm2].
    """
    if surface <= 0:
        return [Row("SMI", math.nan, note="no surface")]
    curvature = mean_curvature_integral(specimen.histogram, specimen.spacing_mm)
    return [Row("SMI", 12.0 * bone * curvature / surface**2, note=CONFOUNDED)]


def curvature_rows(specimen: Specimen, smooth: SmoothSurface) -> list[Row]:
    """SMI of the convex and of the concave surface alone, and the concave share, from the smoothed surface."""
    if smooth.area <= 0:
        return [Row(symbol, math.nan, note="no surface") for symbol in ("SMI+", "SMI-", "Cv.S/BS")]
    voxels = specimen.volume_of(specimen.bone_in_region) / specimen.voxel_volume
    factor = 12.0 * voxels / smooth.area**2
    return [
        Row("SMI+", factor * smooth.convex, convention="smoothed"),
        Row("SMI-", factor * smooth.concave, convention="smoothed"),
        Row("Cv.S/BS", 100.0 * smooth.concave_area / smooth.area, convention="smoothed"),
    ]


def plate_model_rows(total: float, bone: float, surface: float) -> list[Row]:
    """Tb.Th, Tb.N and Tb.Sp if bone were parallel plates (Parfitt et al. 1987): from BV, BS and TV alone."""
    symbols = ("Tb.Th.pl", "Tb.N.pl", "Tb.Sp.pl")
    if surface <= 0 or bone <= 0:
        return [Row(symbol, math.nan, convention="plate model", note="no surface") for symbol in symbols]
    thickness, number = 2.0 * bone / surface, surface / (2.0 * total)
    values = (thickness, number, 1.0 / number - thickness)
    return [Row(symbol, value, convention="plate model") for symbol, value in zip(symbols, values, strict=True)]
