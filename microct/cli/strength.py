"""The command ``microct strength``: stiffness and failure load of a scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from microct.cli.volumes import volume_of
from microct.status import StudyError

if TYPE_CHECKING:
    from microct.mechanics.stiffness import StiffnessTensor
    from microct.mechanics.strength import Strength

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
    brittle: bool = False,
    tensor: Literal["none", "kinematic", "periodic"] = "none",
    out: Out = None,
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
    brittle
        Follow elastic-brittle failure in load steps too (some ten times longer).
    tensor
        Add the whole stiffness tensor: kinematic (upper bound) or periodic.
    out
        Write the strain energy density of every voxel here, in MPa (.h5 .nrrd .tif or .npy).
    """
    if threshold != "otsu":
        try:
            float(threshold)
        except ValueError:
            raise StudyError(f'--threshold {threshold}: expected a grey value or "otsu"') from None
    from microct.imaging.resampling import crop_empty_border as without_empty_border
    from microct.imaging.segmentation import segment
    from microct.io.writer import checked_ending, write
    from microct.mechanics.stiffness import stiffness_tensor
    from microct.mechanics.strength import strength as compressed

    if out is not None:
        checked_ending(out)
    cut = threshold if threshold == "otsu" else float(threshold)
    bone = volume_of(scan, year, voxel_size_um)
    if not partial_voxels:
        bone = segment(bone, threshold=cut, sigma=sigma)
    elif bone.kind != "fraction" or threshold != "otsu" or sigma:
        raise StudyError(
            "--partial-voxels: expected a bone fraction (.h5 of microct, or a run), no --threshold and no --sigma; "
            "in a scan partial voxels are not known"
        )
    bone = without_empty_border(bone) if crop_empty_border else bone
    found = compressed(
        bone, youngs_modulus_mpa, poisson_ratio, strain, axis, ends, tolerance, criterion, partial_voxels, brittle
    )
    print("\n".join(_lines(found)))
    if tensor != "none":
        whole = stiffness_tensor(bone, youngs_modulus_mpa, poisson_ratio, tensor, partial_voxels=partial_voxels)
        print("\n".join(_tensor_lines(whole)))
    if out is not None:
        density = bone.with_values(found.strain_energy_density_mpa, "strain energy density [MPa]", kind="")
        print(write(density, out))


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
