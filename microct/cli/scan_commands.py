"""The commands of whole bones and of calibrated scans: ``microct cortex``, ``microct density``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from microct.cli.output import checked_place, made_folder, print_table, stem_of, told_of
from microct.cli.volumes import calibration_of, checked_sigma, mask_on, threshold_of, volume_of
from microct.status import InputError, StudyError

if TYPE_CHECKING:
    import numpy as np

    from microct.morphometry.contour import Contours
    from microct.morphometry.density import Calibration
    from microct.table import Table
    from microct.volume import Volume

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]
Slope = Annotated[float | None, Parameter(name=("--density-slope", "--slope"))]
Intercept = Annotated[float | None, Parameter(name=("--density-intercept", "--intercept"), allow_leading_hyphen=True)]

#: Distances of `microct cortex`: least, most and usual [mm].
_DISTANCES = {
    "closing_mm": (0.0, 10.0, "0.2 to 1.5"),
    "marrow_closing_mm": (0.0, 10.0, "0.05 to 0.5"),
    "least_cortex_mm": (0.0, 5.0, "0.03 to 0.12"),
}
#: Share of a bone's slices that may touch a side of the scan before it is said.
_TOUCHING = 0.05


def register(app: App) -> None:
    """Add the commands of this file."""
    for command in (cortex, density):
        app.command(command)


def cortex(
    scan: Path,
    /,
    *,
    year: float | None = None,
    voxel_size_um: float | None = None,
    threshold: str = "otsu",
    bone_threshold: str | None = None,
    unit: Literal["file", "mgHA"] = "file",
    sigma: float = 1.0,
    axis: Literal["z", "y", "x"] = "z",
    bone: int = 1,
    closing_mm: float = 1.5,
    marrow_closing_mm: float = 0.5,
    least_cortex_mm: float = 0.12,
    density_slope: Slope = None,
    density_intercept: Intercept = None,
    mu_water: float | None = None,
    masks: Path | None = None,
    out: Out = None,
) -> None:
    """Part a bone into cortex and trabecular compartment, and measure the cortex: Tt.Ar, Ct.Ar, Ct.Th, Ct.Po and more.

    For whole cross-sections of a bone: a piece of cortex that the sides of the scan cut has no contour. Where density
    is known, by the header of a Scanco scan or by the options, vBMD, BMC, TMD and the densities of both compartments
    follow.

    Parameters
    ----------
    scan
        File or folder of slices, or folder of a run.
    year
        Year of a run; its last if left out.
    voxel_size_um
        Edge of a voxel in um; needed where the file does not say it.
    threshold
        Value from which tissue is dense, for the contours, or otsu; usual in vivo: 320 to 450 mgHA/cm3 (--unit mgHA).
    bone_threshold
        Value from which a voxel of the cortex is bone and no pore; that of --threshold if left out.
    unit
        Of both thresholds: file, or mgHA (mgHA/cm3) where density is known.
    sigma
        Gaussian filter before both thresholds, in voxels.
    axis
        Long axis of the bone.
    bone
        Which bone, where the scan shows several: 1 is the largest.
    closing_mm
        Gaps in the cortex up to twice this are bridged from outside; usual for human bone 1.5, for a mouse 0.2.
    marrow_closing_mm
        Trabeculae up to twice this thick are none of the cortex; usual for human bone 0.5, for a mouse 0.05.
    least_cortex_mm
        The cortex is at least this thick; usual for human bone 0.12, for a mouse 0.03.
    density_slope
        Of density in mgHA/cm3 for each unit of the voxels; with --mu-water for each 1/cm of attenuation.
    density_intercept
        Of density in mgHA/cm3.
    mu_water
        Attenuation of water in 1/cm: the voxels are Hounsfield units.
    masks
        Folder for NAME.cortical.nrrd and NAME.trabecular.nrrd, for microct measure --mask.
    out
        Write the table here too (.csv; beside it .json, and .parquet with the table extra).
    """
    cut = threshold_of(threshold)
    bone_cut = cut if bone_threshold is None else threshold_of(bone_threshold, "--bone-threshold")
    distances = {"closing_mm": closing_mm, "marrow_closing_mm": marrow_closing_mm, "least_cortex_mm": least_cortex_mm}
    for name, value in distances.items():
        low, high, usual = _DISTANCES[name]
        if not low <= value <= high:
            raise StudyError(f"--{name.replace('_', '-')} {value:g}: expected {low:g} to {high:g} mm (usual: {usual})")
    checked_sigma(sigma)
    if bone < 1:
        raise StudyError(f"--bone {bone}: expected 1 or more; 1 is the largest")
    checked_place(out, "--out", (".csv",))
    if masks is not None:
        made_folder(masks, "--masks")
    from microct.io.table_file import write_table
    from microct.morphometry.contour import contours
    from microct.morphometry.cortex import measure_cortex
    from microct.morphometry.density import measure_density

    read = volume_of(scan, year, voxel_size_um).mask_as_fraction()
    calibration = calibration_of(read, density_slope, density_intercept, mu_water)
    grey = _turned(read, axis)
    level, bone_level = (_in_file_units(value, unit, calibration, grey, sigma) for value in (cut, bone_cut))
    found = contours(grey, level, sigma=sigma, **distances)
    count = int(found.periosteal.max())
    if bone > count:
        raise InputError(f"{scan}: --bone {bone}: the contours hold {count} at threshold {level:g}")
    one = found.bone(bone)
    dense = _smooth(grey, sigma) >= bone_level
    table = measure_cortex(dense, one, sample=scan.name)
    if calibration is not None:
        inside = dense & (one.periosteal > 0)
        mineral = measure_density(grey, calibration, bone=inside, compartments=one, sample=scan.name)
        table = table.extended(mineral)
        table.parameters["calibration"] = calibration.words
    words = f"dense from {level:.6g}, bone from {bone_level:.6g}, Gaussian filter of sigma {sigma:g} voxels"
    several = f"bone {bone} of {count}" if count > 1 else "one bone"
    print(f"{several}, long axis {axis}; {words}")
    print_table(table)
    for line in _doubts(one, table):
        print(f"microct: note: {line}", file=sys.stderr)
    if masks is not None:
        for compartment in ("cortical", "trabecular"):
            mask = _turned(grey.with_values(getattr(one, compartment), f"{compartment} compartment", kind=""), axis)
            print(_written_mask(mask, read, masks / f"{stem_of(scan.name)}.{compartment}.nrrd"))
    if out is not None:
        table.parameters.update(told_of(read) | {"threshold": words, "bone": several, "long axis": axis})
        table.parameters.update({name: f"{value:g}" for name, value in distances.items()})
        write_table(out, table, told=True)
        print(out)


def density(
    scan: Path,
    /,
    *,
    voxel_size_um: float | None = None,
    mask: Path | None = None,
    threshold: str | None = None,
    unit: Literal["file", "mgHA"] = "file",
    sigma: float = 0.0,
    density_slope: Slope = None,
    density_intercept: Intercept = None,
    mu_water: float | None = None,
    out: Out = None,
) -> None:
    """Say how much mineral a calibrated scan shows: vBMD, BMC, and TMD with a threshold.

    The header of Scanco's AIM, ISQ and DICOM says what density its numbers mean; other scans need --density-slope and
    --density-intercept, and --mu-water where their voxels are Hounsfield units. microct cortex gives the densities of
    cortex and trabecular compartment.

    Parameters
    ----------
    scan
        File or folder of slices.
    voxel_size_um
        Edge of a voxel in um; needed where the file does not say it.
    mask
        Region, a file of the same voxels; the whole block if left out.
    threshold
        Value from which a voxel is bone, or otsu: TMD is the mean density of bone.
    unit
        Of the threshold: file, or mgHA (mgHA/cm3).
    sigma
        Gaussian filter before the threshold, in voxels; densities are of the values themselves.
    density_slope
        Of density in mgHA/cm3 for each unit of the voxels; with --mu-water for each 1/cm of attenuation.
    density_intercept
        Of density in mgHA/cm3.
    mu_water
        Attenuation of water in 1/cm: the voxels are Hounsfield units.
    out
        Write the table here too (.csv; beside it .json, and .parquet with the table extra).
    """
    cut = None if threshold is None else threshold_of(threshold)
    checked_sigma(sigma)
    checked_place(out, "--out", (".csv",))
    from microct.io.table_file import write_table
    from microct.morphometry.density import measure_density
    from microct.morphometry.specimen import specimen_of

    grey = volume_of(scan, None, voxel_size_um)
    graded = grey.mask_as_fraction()
    calibration = calibration_of(graded, density_slope, density_intercept, mu_water)
    if calibration is None:
        why = "a mask or bone fraction holds no density" if graded.kind else "its header does not say it"
        raise InputError(
            f"{scan}: expected a scan whose density is known, {why}; give --density-slope and --density-intercept "
            "(mgHA/cm3), and --mu-water where voxels are Hounsfield units"
        )
    region = None
    if mask is not None:
        region = specimen_of(grey, mask_on(mask, grey, voxel_size_um), float(grey.values.max())).region
    bone = None
    words = "no threshold"
    if cut is not None:
        level = _in_file_units(cut, unit, calibration, grey, sigma)
        bone = _smooth(grey, sigma) >= level
        bone = bone if region is None else bone & region
        words = f"bone from {level:.6g} ({level * calibration.slope + calibration.intercept:.4g} mgHA/cm3)"
        words += f", Gaussian filter of sigma {sigma:g} voxels" if sigma else ""
    table = measure_density(grey, calibration, region, bone=bone, sample=scan.name)
    print(f"calibration: {calibration.words}; {words}")
    print_table(table)
    if out is not None:
        inside = "none" if region is None else f"{int(region.sum())} of {region.size} voxels"
        table.parameters.update(told_of(grey) | {"threshold": words, "mask": inside})
        write_table(out, table, told=True)
        print(out)


def _turned(volume: Volume, axis: str) -> Volume:
    """The volume with its long axis first; turned twice it is as it was."""
    number = "zyx".index(axis)
    if number == 0:
        return volume
    from dataclasses import replace

    import numpy as np

    order = [0, 1, 2]
    order[0], order[number] = number, 0
    values = np.ascontiguousarray(volume.values.transpose(order))
    spacing, origin = (tuple(place[k] for k in order) for place in (volume.spacing_mm, volume.origin_mm))
    return replace(volume, values=values, spacing_mm=spacing, origin_mm=origin)  # type: ignore[arg-type]


def _in_file_units(value: str | float, unit: str, calibration: Calibration | None, grey: Volume, sigma: float) -> float:
    """A threshold in the unit of the voxels."""
    if isinstance(value, str):
        from microct.imaging.segmentation import otsu
        from microct.volume import HALF

        return HALF if grey.kind == "fraction" else otsu(grey, sigma)
    if unit == "file":
        return value
    if calibration is None:
        raise InputError(
            f"--unit mgHA: the header of {grey.provenance.source} does not say what density its numbers mean; give "
            "--density-slope and --density-intercept"
        )
    return (value - calibration.intercept) / calibration.slope


def _smooth(grey: Volume, sigma: float) -> np.ndarray:
    from microct.imaging.segmentation import filtered

    return filtered(grey.values, sigma)


def _doubts(one: Contours, table: Table) -> list[str]:
    """What speaks against the contours that were found."""
    import numpy as np

    whole = one.periosteal > 0
    sides = np.concatenate([whole[:, (0, -1)].reshape(len(whole), -1), whole[:, :, (0, -1)].reshape(len(whole), -1)], 1)
    touching = int(sides.any(axis=1).sum()) / int(whole.any(axis=(1, 2)).sum())
    lines = []
    if touching > _TOUCHING:
        lines.append(
            f"{100 * touching:.0f} % of the bone's slices touch a side of the scan: contours need whole cross-sections "
            "(is the threshold too low, or the long axis another? --threshold, --axis)"
        )
    if not one.trabecular.any():
        lines.append("no trabecular compartment was found: everything within the contour counts as cortex")
    elif table["Ct.Po"].value > 50.0:
        lines.append(
            f"{table['Ct.Po'].value:.0f} % of the cortex is no bone: the threshold may be too high, or the cortex "
            "thinner than --least-cortex-mm"
        )
    return lines


def _written_mask(mask: Volume, like: Volume, path: Path) -> Path:
    """A mask on the voxels of the file, in its place."""
    from microct.io.writer import write

    return write(like.with_values(mask.values, mask.provenance.steps[-1], kind=""), path)
