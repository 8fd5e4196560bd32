"""One volume, one table: every index of the structure, and what the numbers depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microct import __version__
from microct.kernels.device import let_go_of_programs
from microct.kernels.smoothsurface import smooth_surface
from microct.morphometry import presets
from microct.morphometry.ellipsoid import ellipsoid_rows
from microct.morphometry.fabric import axes_in_words, fabric_rows, normal_rows
from microct.morphometry.fractal import fractal_rows
from microct.morphometry.interval import with_intervals
from microct.morphometry.shape import curvature_rows, plate_model_rows, shape_rows
from microct.morphometry.skeleton import skeleton_rows
from microct.morphometry.specimen import Specimen, specimen_of
from microct.morphometry.surfaces import surface_rows
from microct.morphometry.thickness import check_convention, thickness_rows
from microct.morphometry.topology import betti_rows, topology_rows
from microct.morphometry.volumes import bone_volume, volume_rows
from microct.status import StudyError
from microct.table import Row, Table
from microct.volume import Volume

INDICES = ("standard", "all")


def measure(
    volume: Volume,
    mask: Volume | np.ndarray | None = None,
    convention: str = "exact",
    threshold: float | str | None = None,
    *,
    thickness: bool = True,
    indices: str = "standard",
    preset: str | None = None,
    bootstrap: int = 0,
    time_yr: float | None = None,
    sample: str = "",
) -> Table:
    """Measure the structure of bone.

    Args:
        volume: bone and marrow: a binary volume (bone > 0), bone fraction, or grey values with a threshold.
        mask: (nz, ny, nx) region to measure, nonzero inside; None for the whole volume. Its rim is no surface, and
            thickness is averaged over its voxels, of balls that may reach beyond it.
        convention: definition of local thickness: "exact", "bonej" or "ipl".
        threshold: None for a binary volume, or one that says what it holds (`Volume.kind`, as samples and segmented
            scans do); "half" for bone fraction 0..255, where partial voxels count in BV and
            the structure is what has 128 or more; a number for grey values (bone is >= it).
        thickness: False leaves out Tb.Th, Tb.Sp and Tb.N, which take nearly all of the time.
        indices: "standard", or "all", which adds the parts of SMI, DA by normals, Betti numbers, fractal dimension,
            skeleton and ellipsoid factor, at about the cost of thickness again.
        preset: "bonej", "scanco" or "ctan": that program's rows in its conventions; ``convention``
            is then the preset's.
        bootstrap: cut the volume into so many parts along each axis and write into each note between which values
            95 % of resampled means lie; 0 for no interval. Costs about one more measurement.
        time_yr: written to the rows [years].
        sample: written to the rows.

    Returns:
        Rows TV, BV, BV/TV, Po, BS, BS/BV, BS/TV, Tb.Th and Tb.Sp (each with .SD and .Max), Tb.N, Tb.1/N.SD, Euler,
        Conn.D, N.Comp, Is.V, SMI, DA, DA.BJ, H1, H2, H3, Tb.Th.pl, Tb.N.pl, Tb.Sp.pl. A value that is not defined is
        NaN and its note says why; a thickness under 3 voxels has a warning.

    Raises:
        InputError: grey values without a threshold; a mask of another shape, or empty.
        StudyError: a convention, preset or set of indices that does not exist; too many parts.

    Example:
        >>> import numpy as np
        >>> from microct import Volume, measure
        >>> plates = np.arange(36)[:, None, None] % 12 // 4 == 1
        >>> table = measure(Volume.from_array(np.broadcast_to(plates, (36, 24, 24)), voxel_size_um=20))
        >>> round(table["Tb.Th"].value, 6), table["Tb.Th"].unit
        (0.08, 'mm')
    """
    let_go_of_programs()
    if preset is not None:
        convention = presets.preset(preset).convention
    check_convention(convention)
    if indices not in INDICES:
        raise StudyError(f"indices must be one of {', '.join(INDICES)}; got {indices!r}")
    specimen = specimen_of(volume, mask, threshold)
    rows = _standard_rows(specimen, convention, thickness)
    if indices == "all":
        rows += _further_rows(specimen)
    if preset is not None:
        rows = presets.rows_of(preset, rows)
    parameters = {
        "microct": __version__,
        "voxel_size_um": " x ".join(f"{1000 * step:g}" for step in volume.spacing_mm),
        "threshold": specimen.threshold,
        "convention": convention,
        "preset": preset or "none",
        "mask": "none" if mask is None else f"{specimen.region_voxels} of {volume.values.size} voxels",
        "fabric_axes_zyx": axes_in_words(specimen),
        "filter": _filter(volume),
        "source": volume.provenance.source,
        "sha256": volume.provenance.sha256,
        "steps": "; ".join(volume.provenance.steps),
    }
    table = Table(tuple(replace(row, time_yr=time_yr, sample=sample) for row in rows), parameters)
    if not bootstrap:
        return table
    choices = {"thickness": thickness, "indices": indices, "preset": preset, "time_yr": time_yr, "sample": sample}
    return with_intervals(
        table,
        volume,
        specimen.region,
        bootstrap,
        lambda part, inside: measure(part, inside, convention, threshold, **choices),  # type: ignore[arg-type]
    )


def _standard_rows(specimen: Specimen, convention: str, thickness: bool) -> list[Row]:
    surface = surface_rows(specimen)
    total, bone = specimen.region_voxels * specimen.voxel_volume, bone_volume(specimen)
    return [
        *volume_rows(specimen),
        *surface,
        *(thickness_rows(specimen, convention) if thickness else ()),
        *topology_rows(specimen),
        *shape_rows(specimen, bone, surface[0].value),
        *fabric_rows(specimen),
        *plate_model_rows(total, bone, surface[0].value),
    ]


def _further_rows(specimen: Specimen) -> list[Row]:
    smooth = smooth_surface(specimen.bone, specimen.region)
    return [
        *curvature_rows(specimen, smooth),
        *normal_rows(smooth, specimen),
        *betti_rows(specimen),
        *fractal_rows(specimen),
        *skeleton_rows(specimen),
        *ellipsoid_rows(specimen),
    ]


def _filter(volume: Volume) -> str:
    """What the history says of smoothing and threshold, or "none"."""
    told = [step for step in volume.provenance.steps if "filter" in step or "threshold" in step]
    return "; ".join(told) or "none"
