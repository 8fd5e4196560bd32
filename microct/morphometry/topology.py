"""Euler, Conn.D, N.Comp, Is.V, Betti numbers: how the bone hangs together."""

from __future__ import annotations

import numpy as np

from microct.kernels import components, stencil
from microct.kernels.topology import euler_characteristic
from microct.morphometry.specimen import Specimen
from microct.table import Row


def topology_rows(specimen: Specimen) -> list[Row]:
    """Edge-corrected Euler characteristic, connectivity density, pieces of bone, and volume of islands.

    Islands are judged in the whole volume: a piece that a mask cuts off still hangs on what lies outside the mask.
    """
    euler = euler_characteristic(specimen.histogram)
    total = specimen.region_voxels * specimen.voxel_volume
    pieces, islands = components.pieces_and_islands(specimen.bone)
    if specimen.region is not None:
        pieces = components.count(specimen.bone_in_region)
        islands &= specimen.region
    if not np.any(specimen.bone_in_region):
        density = Row("Conn.D", 0.0, note="no bone: nothing is connected")
    else:
        note = "more pieces or hollows than connections" if euler > 1 else ""
        density = Row("Conn.D", (1.0 - euler) / total, note=note)
    return [Row("Euler", euler), density, Row("N.Comp", float(pieces)), Row("Is.V", specimen.volume_of(islands))]


def betti_rows(specimen: Specimen) -> list[Row]:
    """Pieces, tunnels and hollows of the bone of the region, taken as a whole body that ends at the region's rim."""
    body = np.pad(specimen.bone_in_region, 1)
    pieces = components.count(body)
    hollows = components.count(~body, 6) - 1  # one piece of marrow is the outside
    euler = round(euler_characteristic(stencil.configuration_histogram(body)))
    return [Row("B0", float(pieces)), Row("B1", float(pieces + hollows - euler)), Row("B2", float(hollows))]
