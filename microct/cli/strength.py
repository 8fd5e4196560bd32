"""The command ``microct strength``: stiffness and failure load of a scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from microct.cli.output import checked_place, told_of
from microct.cli.volumes import run_at, threshold_of, volume_of
from microct.status import StudyError

if TYPE_CHECKING:
    import numpy as np

    from microct.mechanics.stiffness import StiffnessTensor
    from microct.mechanics.strength import Strength
    from microct.table import Table
    from microct.volume import Volume

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]


def register(app: App) -> None:
    """Add the command of this file."""
    app.command(strength)


def strength(
    scan: Path,
    /,
    *,
    year: float | None = None,
    voxel_size_um: float | None = None,
    threshold: str = "otsu",
    sigma: float = 0.0,
    crop_empty_border: bool = False,
    youngs_modulus_mpa: float = 10_000.0,
    poisson_ratio: float = 0.3,
    strain: Annotated[float, Parameter(allow_leading_hyphen=True)] = -0.01,
    axis: Literal["z", "y", "x"] = "z",
    ends: Literal["clamped", "frictionless", "clamped-bottom"] = "clamped",
    criterion: str = "pistoia",
    tolerance: float = 1e-6,
    partial_voxels: bool = False,
    mineral: bool = False,
    brittle: bool = False,
    tensor: Literal["none", "kinematic", "periodic"] = "none",
    out: Out = None,
    table: Path | None = None,
    picture: Path | None = None,
) -> None:
    """Compress a scan between two plates: apparent modulus, stiffness, failure load.

    Parameters
    ----------
    scan
        File or folder of slices, or folder of a run.
    year
        Year of a run; its last if left out.
    voxel_size_um
        Edge of a voxel in um; needed where the file does not say it.
    threshold
        Grey value from which a voxel is bone, or otsu; in a bone fraction (.h5 of microct, a run) half of a voxel.
    sigma
        Gaussian filter before the threshold, in voxels.
    crop_empty_border
        Cut off outer planes without bone first: the plates touch the outermost planes.
    youngs_modulus_mpa
        Young's modulus of bone tissue in MPa.
    poisson_ratio
        Poisson's ratio of bone tissue.
    strain
        Average strain; negative is compression.
    axis
        Axis of the load.
    ends
        Whether the plates hold the bone sideways: clamped, frictionless, or clamped-bottom.
    criterion
        Failure settings: pistoia, xtremect or xtremect2.
    tolerance
        Residual over load at which the solver stops.
    partial_voxels
        Partial voxels of a bone fraction (.h5 of microct, a run) have their share of the modulus.
    mineral
        Each voxel of a run has the modulus of its mineral: young bone is softer, old bone stiffer than the scan's,
        which has that of --youngs-modulus-mpa.
    brittle
        Follow elastic-brittle failure in load steps too (some ten times longer).
    tensor
        Add the whole stiffness tensor: kinematic (upper bound) or periodic.
    out
        Write the strain energy density of every voxel here, in MPa (.h5 .nrrd .tif or .npy).
    table
        Write E.app, K and F.ult here (.csv; beside it .json, and .parquet with the table extra).
    picture
        Draw the effective strain at the failure load in 3D (.png).
    """
    cut = threshold_of(threshold)
    from microct.imaging.resampling import crop_empty_border as without_empty_border
    from microct.imaging.segmentation import segment
    from microct.io.writer import VOLUMES, write
    from microct.mechanics.stiffness import stiffness_tensor
    from microct.mechanics.strength import strength as compressed

    checked_place(out, "--out", VOLUMES)
    checked_place(table, "--table", (".csv",))
    checked_place(picture, "--picture", (".png",))
    modulus = _by_mineral(scan, year, youngs_modulus_mpa, crop_empty_border) if mineral else youngs_modulus_mpa
    bone = volume_of(scan, year, voxel_size_um)
    if not partial_voxels:
        bone = segment(bone, threshold=cut, sigma=sigma)
    elif bone.kind != "fraction" or threshold != "otsu" or sigma:
        raise StudyError(
            "--partial-voxels: expected a bone fraction (.h5 of microct, or a run), no --threshold and no --sigma; "
            "in a scan partial voxels are not known"
        )
    bone = without_empty_border(bone) if crop_empty_border else bone
    found = compressed(bone, modulus, poisson_ratio, strain, axis, ends, tolerance, criterion, partial_voxels, brittle)
    print("\n".join(_lines(found)))
    if tensor != "none":
        whole = stiffness_tensor(bone, modulus, poisson_ratio, tensor, tolerance, partial_voxels)
        print("\n".join(_tensor_lines(whole)))
    if out is not None:
        density = bone.with_values(found.strain_energy_density_mpa, "strain energy density [MPa]", kind="")
        print(write(density, out))
    if table is not None:
        print(write(_table(found, bone, scan.name, partial_voxels, mineral), table))
    if picture is not None:
        print(_drawn(found, bone, scan.name, picture))


def _by_mineral(scan: Path, year: float | None, youngs_modulus_mpa: float, cropped: bool) -> np.ndarray:
    """Young's modulus [MPa] of each voxel of a run's bone."""
    found = run_at(scan, year)
    if found is None:
        raise StudyError(f"--mineral: {scan} is not the folder of a run, and does not tell the age of its bone")
    if cropped:
        raise StudyError("--mineral: expected the whole bone of the run, without --crop-empty-border")
    run, when = found
    return youngs_modulus_mpa * run.relative_modulus_at(when)


def _table(found: Strength, bone: Volume, sample: str, partial: bool, mineral: bool) -> Table:
    """The rows that a run's table holds of strength, and what they depend on."""
    from microct.table import Row, Table

    values = (found.apparent_modulus_mpa, found.stiffness_n_per_mm, abs(found.failure_load_n))
    rows = [Row(symbol, value, sample=sample) for symbol, value in zip(("E.app", "K", "F.ult"), values, strict=True)]
    settings = found.failure.criterion
    return Table(
        tuple(rows),
        told_of(bone)
        | {
            "threshold": next((step for step in bone.provenance.steps if step.startswith("segment")), "none"),
            "youngs_modulus_mpa": f"{found.youngs_modulus_mpa:g}",
            "poisson_ratio": f"{found.poisson_ratio:g}",
            "strain": f"{found.strain:g}",
            "axis": found.axis,
            "ends": found.ends,
            "criterion": f"{settings.critical_volume_percent:g} % of bone beyond {settings.critical_strain:g} "
            f"({settings.source})",
            "left_out_voxels": str(found.left_out_voxels),
            "partial_voxels": "yes" if partial else "no",
            "modulus_by_mineral": "yes" if mineral else "no",
            "solver": found.status,
        },
    )


def _drawn(found: Strength, bone: Volume, sample: str, path: Path) -> Path:
    """Effective strain as the failure load strains the bone: its solution is linear in the load."""
    from microct.render.load_picture import load_picture

    settings = found.failure.criterion
    scale = abs(found.failure_load_n / found.reaction_force_n)
    says = (
        f"effective strain at the failure load of {abs(found.failure_load_n):.4g} N along {found.axis}, where "
        f"{settings.critical_volume_percent:g} % of the bone is beyond {100 * settings.critical_strain:g} %"
    )
    return load_picture(bone, scale * found.effective_strain, settings.critical_strain, path, sample, says=says)


def _lines(found: Strength) -> list[str]:
    settings = found.failure.criterion
    lines = [
        f"apparent modulus  {found.apparent_modulus_mpa:>12.6g} MPa   along {found.axis}, {found.ends} ends",
        f"stiffness         {found.stiffness_n_per_mm:>12.6g} N/mm",
        f"reaction force    {found.reaction_force_n:>12.6g} N     at a strain of {found.strain:g}",
        f"failure load      {found.failure_load_n:>12.6g} N     {settings.critical_volume_percent:g} % of bone beyond "
        f"{settings.critical_strain:g} ({settings.source})",
    ]
    if found.brittle is not None:
        lines.append(f"brittle failure   {found.brittle.failure_load_n:>12.6g} N     {found.brittle.status}")
    if found.left_out_voxels:
        lines.append(f"left out          {found.left_out_voxels:>12d} voxels of bone that carry no load")
    return [*lines, f"solver            {found.status}"]


def _tensor_lines(whole: StiffnessTensor) -> list[str]:
    lines = [f"stiffness tensor [MPa], {whole.boundary}; rows xx yy zz yz xz xy"]
    lines += ["  " + " ".join(f"{value:>10.4g}" for value in row) for row in whole.tensor_mpa]
    lines.append("orthotropic axes (x, y, z), and what is not orthotropic: " + f"{whole.orthotropy_error:.1%}")
    lines += ["  " + " ".join(f"{value:>10.4f}" for value in row) for row in whole.axes]
    constants = whole.engineering_constants.items()
    return [*lines, "  " + "  ".join(f"{name} {value:.5g}" for name, value in constants)]
