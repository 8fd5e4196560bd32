"""TV, BV, BV/TV, Po: how much bone there is."""

from __future__ import annotations

from microct.morphometry.specimen import Specimen
from microct.table import Row


def volume_rows(specimen: Specimen) -> list[Row]:
    """Total volume, bone volume, their ratio and the porosity."""
    total = specimen.region_voxels * specimen.voxel_volume
    bone = bone_volume(specimen)
    return [
        Row("TV", total),
        Row("BV", bone),
        Row("BV/TV", 100.0 * bone / total),
        Row("Po", 100.0 - 100.0 * bone / total),
    ]


def bone_volume(specimen: Specimen) -> float:
    """Bone volume of the region [mm3]; of bone fraction, every voxel counts by its fraction, below 128 too."""
    return specimen.volume_of(specimen.bone_in_region if specimen.fraction is None else specimen.region)
