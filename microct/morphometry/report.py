"""One volume, one table: every index of the structure, and what the numbers depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microct import __version__
from microct.morphometry.specimen import specimen_of
from microct.morphometry.surfaces import surface_rows
from microct.morphometry.thickness import check_convention, thickness_rows
from microct.morphometry.topology import topology_rows
from microct.morphometry.volumes import volume_rows
from microct.table import Row, Table
from microct.volume import Volume


def measure(
    volume: Volume,
    mask: Volume | np.ndarray | None = None,
    convention: str = "exact",
    threshold: float | str | None = None,
    *,
    thickness: bool = True,
    time_yr: float | None = None,
    sample: str = "",
) -> Table:
    """Measure the structure of bone.

    Args:
        volume: bone and marrow: a binary volume (bone > 0), bone fraction, or grey values with a threshold.
        mask: (nz, ny, nx) region to measure, nonzero inside; None for the whole volume. Its rim is no surface, and
            thickness is averaged over its voxels, of balls that may reach beyond it.
        convention: definition of local thickness: "exact", "bonej" or "ipl".
        threshold: None for a binary volume; "half" for bone fraction 0..255, where partial voxels count in BV and
            the structure is what has 128 or more; a number for grey values (bone is >= it).
        thickness: False leaves out Tb.Th, Tb.Sp and Tb.N, which take nearly all of the time.
        time_yr: written to the rows [years].
        sample: written to the rows.

    Returns:
        Rows TV, BV, BV/TV, Po, BS, BS/BV, BS/TV, Tb.Th, Tb.Th.SD, Tb.Sp, Tb.Sp.SD, Tb.N, Euler, Conn.D, N.Comp,
        Is.V. A value that is not defined is NaN and its note says why; a thickness under 3 voxels has a warning.

    Raises:
        InputError: grey values without a threshold; a mask of another shape, or empty.
        StudyError: a convention that does not exist.

    Example:
        >>> import numpy as np
        >>> from microct import Volume, measure
        >>> plates = np.arange(36)[:, None, None] % 12 // 4 == 1
        >>> table = measure(Volume.from_array(np.broadcast_to(plates, (36, 24, 24)), voxel_size_um=20))
        >>> round(table["Tb.Th"].value, 6), table["Tb.Th"].unit
        (0.08, 'mm')
    """
    check_convention(convention)
    specimen = specimen_of(volume, mask, threshold)
    rows: list[Row] = [
        *volume_rows(specimen),
        *surface_rows(specimen),
        *(thickness_rows(specimen, convention) if thickness else ()),
        *topology_rows(specimen),
    ]
    parameters = {
        "microct": __version__,
        "voxel_size_um": " x ".join(f"{1000 * step:g}" for step in volume.spacing_mm),
        "threshold": specimen.threshold,
        "convention": convention,
        "mask": "none" if mask is None else f"{specimen.region_voxels} of {volume.values.size} voxels",
        "source": volume.provenance.source,
        "sha256": volume.provenance.sha256,
        "steps": "; ".join(volume.provenance.steps),
    }
    return Table(tuple(replace(row, time_yr=time_yr, sample=sample) for row in rows), parameters)
