"""BS, BS/BV, BS/TV: how much surface the bone has."""

from __future__ import annotations

import math

from microct.kernels.surface import bending, corrected_surface
from microct.morphometry.specimen import Specimen
from microct.morphometry.volumes import bone_volume
from microct.table import Row


def bone_surface(specimen: Specimen) -> float:
    """Surface between bone and marrow inside the region [mm2]."""
    bent = bending(specimen.bone, specimen.spacing_mm, specimen.region)
    return corrected_surface(specimen.histogram, specimen.spacing_mm, bent)


def surface_rows(specimen: Specimen) -> list[Row]:
    """Bone surface by Crofton's formula, for the bone and for the total volume. Cut faces are no surface."""
    surface = bone_surface(specimen)
    bone = bone_volume(specimen)
    total = specimen.region_voxels * specimen.voxel_volume
    specific = Row("BS/BV", surface / bone) if bone > 0 else Row("BS/BV", math.nan, note="no bone")
    return [Row("BS", surface), specific, Row("BS/TV", surface / total)]
