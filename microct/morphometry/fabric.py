"""DA, H1, H2, H3: how strongly, and which way, the structure is directed.

Two answers of different kinds: mean intercept length (how far apart surfaces lie along each direction), and the
orientation of the surface itself (which way its normals point). Both are free of chance.
"""

from __future__ import annotations

import math

import numpy as np

from microct.kernels.intercepts import Fabric
from microct.kernels.intercepts import fabric as fabric_of
from microct.kernels.smoothsurface import SmoothSurface
from microct.morphometry.specimen import Specimen
from microct.table import Row

SYMBOLS = ("DA", "DA.BJ", "H1", "H2", "H3")
_UNBOUNDED = "some direction meets no surface"


def fabric(specimen: Specimen) -> Fabric | None:
    """The ellipsoid of mean intercept length: radii [mm] and axes (z, y, x); None where it has no bound."""
    return fabric_of(specimen.histogram, specimen.spacing_mm)


def fabric_rows(specimen: Specimen) -> list[Row]:
    """DA = H1 / H3, BoneJ's 1 - (H3 / H1)^2, and the three radii, longest first."""
    found = fabric(specimen)
    if found is None:
        return [Row(symbol, math.nan, convention="MIL", note=_UNBOUNDED) for symbol in SYMBOLS]
    longest, middle, shortest = (float(radius) for radius in found.radii)
    values = (longest / shortest, 1.0 - (shortest / longest) ** 2, longest, middle, shortest)
    return [Row(symbol, value, convention="MIL") for symbol, value in zip(SYMBOLS, values, strict=True)]


def axes_in_words(specimen: Specimen) -> str:
    """The principal axes (z, y, x), longest first, for the parameters of a table."""
    found = fabric(specimen)
    if found is None:
        return _UNBOUNDED
    return "; ".join("(" + ", ".join(f"{part:.4f}" for part in axis) + ")" for axis in found.axes)


def normal_rows(surface: SmoothSurface, specimen: Specimen) -> list[Row]:
    """DA.N: root of the ratio of the largest to the smallest eigenvalue of the tensor of surface normals."""
    if not specimen.isotropic:
        return [Row("DA.N", math.nan, convention="normals", note="needs cubic voxels: resample first")]
    values = np.linalg.eigvalsh(surface.normals)
    if surface.area <= 0 or values[0] <= 1e-6 * surface.area:
        return [Row("DA.N", math.nan, convention="normals", note=_UNBOUNDED)]
    return [Row("DA.N", float(np.sqrt(values[2] / values[0])), convention="normals")]
