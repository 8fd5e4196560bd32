"""The commands of tissue and imaging: ``microct scan-as``, ``microct tissue-age``, ``microct loss-modes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from microct.cli.output import checked_place, print_table
from microct.cli.volumes import run_at, threshold_of, volume_of
from microct.status import InputError, StudyError

if TYPE_CHECKING:
    import numpy as np

    from microct.table import Row
    from microct.volume import Volume

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]


def register(app: App) -> None:
    """Add the commands of this file."""
    for command in (scan_as, tissue_age, loss_modes):
        app.command(command)


def scan_as(
    bone: Path,
    /,
    *,
    scanner: str = "hrpqct-61",
    out: Out = None,
    year: float | None = None,
    voxel_size_um: float | None = None,
    threshold: str = "otsu",
    scanner_voxel_um: float | None = None,
    fwhm_um: float | None = None,
    noise: float | None = None,
    tissue_density: float | None = None,
    axis: int = 1,
    seed: int = 0,
) -> None:
    """Say what a clinic's scanners would see of a bone: aBMD (DXA), vBMD (QCT), and a scan as HR-pQCT takes it.

    Parameters
    ----------
    bone
        A scan (file or folder of slices), or the folder of a run.
    scanner
        hrpqct-61 or hrpqct-82.
    out
        File to write the virtual scan to, in mgHA/cm3, ending in .h5 .nrrd .tif or .npy.
    year
        Year of a run; its last if left out.
    voxel_size_um
        Edge of a voxel in um; needed where the file does not say it.
    threshold
        Grey value from which a voxel is bone, or otsu.
    scanner_voxel_um
        Voxels of the scanner, instead of those of --scanner.
    fwhm_um
        Full width at half maximum of its point spread in um.
    noise
        Standard deviation of its noise in mgHA/cm3.
    tissue_density
        Mineral of bone tissue in mgHA/cm3; left out, that of each voxel's age in a run, 1200 for a scan.
    axis
        Of the beam of DXA: 0, 1 or 2 for z, y, x.
    seed
        Of the noise.
    """
    from dataclasses import replace

    from microct.imaging import scanners
    from microct.io.writer import checked_ending, write

    if out is not None:
        checked_ending(out)
    if scanner not in scanners.SCANNERS:
        raise StudyError(f"--scanner {scanner}: expected one of {', '.join(scanners.SCANNERS)}")
    device = scanners.SCANNERS[scanner]
    given = {"voxel_um": scanner_voxel_um, "fwhm_um": fwhm_um, "noise_mgha": noise}
    device = replace(device, **{name: value for name, value in given.items() if value is not None})
    volume = _bone(bone, year, voxel_size_um, threshold)
    density = _tissue_density(bone, year) if tissue_density is None else tissue_density
    mineral = scanners.density(volume, density)
    seen = scanners.scan_as(mineral, device, seed)
    print_table(_scan_rows(mineral, axis))
    blocks = " x ".join(str(n) for n in seen.shape)
    tissue = f"{density:g} mgHA/cm3" if isinstance(density, float) else "by the age of each voxel"
    words = (volume.provenance.steps[-1], f"tissue mineral {tissue}", seen.provenance.steps[-1])
    print(f"{'; '.join(words)}: {blocks} voxels")
    if out is not None:
        print(write(seen, out))


def tissue_age(
    run: Path,
    /,
    *,
    year: float | None = None,
    out: Out = None,
    picture: Path | None = None,
) -> None:
    """Say how old the bone of a run is: what was formed since it began, and its mineral.

    Parameters
    ----------
    run
        Folder of the run.
    year
        Year of the run; its last if left out.
    out
        Write the calcium of each voxel here, in percent of weight (.h5 .nrrd .tif or .npy).
    picture
        Draw the bone in 3D, colored by the years since it was formed (.png).
    """
    from microct.io.writer import checked_ending, write

    if out is not None:
        checked_ending(out)
    checked_place(picture, "--picture", (".png",))
    found = run_at(run, year)
    if found is None:
        raise InputError(f"{run}: expected the folder of a run; a scan does not tell the age of its bone")
    result, when = found
    bone, age = result.at(when), result.tissue_age_at(when)
    lived = when - min(result.times_yr)
    says = f"At year {when:.4g}, {_shares(bone, age, lived)}"
    rows = [row for row in result.table.rows if row.symbol in _AGE_ROWS and row.time_yr is not None]
    nearest = min((abs(row.time_yr - when) for row in rows if row.time_yr is not None), default=0.0)
    print_table(row for row in rows if row.time_yr is not None and abs(row.time_yr - when) <= nearest)
    print(says)
    if out is not None:
        print(write(bone.with_values(result.calcium_at(when), "calcium by the age of tissue [wt %]", kind=""), out))
    if picture is not None:
        from microct.render.age_picture import age_picture

        if not lived > 0:
            raise InputError(f"--picture: year {when:.4g} is the first of {run}: all its bone is the scan's")
        print(age_picture(bone, age, picture, run.name, end_yr=lived, says=says))


#: What a run's table has of its tissue's age.
_AGE_ROWS = ("T.Age", "TMD", "CaMean", "CaPeak", "CaWidth", "CaLow", "E.Ti", "vBMD")


def _shares(bone: Volume, age_yr: np.ndarray, years: float) -> str:
    """How much of the bone was formed in the run, and in its last year, in words."""
    import numpy as np

    weight = bone.values.astype(np.float64)
    whole = max(float(weight.sum()), 1.0)
    formed, fresh = (100.0 * float(weight[age_yr < limit].sum()) / whole for limit in (np.inf, 1.0))
    began = f"since the run began {years:.3g} years before"
    return f"{formed:.3g} % of the bone was formed {began}, {fresh:.3g} % in the last year"


def loss_modes(
    run: Path,
    /,
    *,
    first: float | None = None,
    second: float | None = None,
    out: Out = None,
    picture: Path | None = None,
) -> None:
    """Say how the bone of a run was lost: plates perforated, rods broken, islands, thinning.

    Each interval between two years that the run kept is judged by itself, and bone that is gone at the end is booked to
    what took it when it went.

    Parameters
    ----------
    run
        Folder of the run.
    first
        Year from which loss is counted; 0 if left out.
    second
        Year up to which it is counted; the last if left out.
    out
        Write the table here too (.csv; beside it .json).
    picture
        Draw the lost bone in 3D, colored by mode (.png).
    """
    checked_place(out, "--out", (".csv",))
    checked_place(picture, "--picture", (".png",))
    from microct import workflow
    from microct.morphometry.loss_course import LossCourse
    from microct.morphometry.loss_modes import loss_rows

    result = workflow.open(run)
    times = result.times_yr
    if len(times) < 2:
        raise InputError(f"{run}: expected a run with two or more years kept, it has {len(times)}")
    start = min(times, key=lambda time: abs(time - (0.0 if first is None else first)))
    end = times[-1] if second is None else min(times, key=lambda time: abs(time - second))
    if not start < end:
        raise StudyError(f"--first {start:g} --second {end:g}: expected the second after the first")
    before = after = result.at(start)
    course = LossCourse(before.values)
    between = [time for time in times if start < time <= end]
    for time in between:
        after = result.at(time)
        course.add(after.values, result.fallen_at(time))
    found = course.found
    island = None
    if result.fallen_at(end) is None:
        fallen = {row.time_yr: row.value for row in result.table.series("Is.V.lost")}
        island = _nearest(fallen, end) - _nearest(fallen, start)
    table = loss_rows(before, after, island_volume_mm3=island, found=found, sample=run.name, time_yr=end)
    parts = "at once" if len(between) == 1 else f"in {len(between)} intervals"
    print(f"from year {start:.4g} to year {end:.4g}, {parts}")
    print_table(table)
    if out is not None:
        from microct.io.table_file import write_table

        write_table(out, table)
        print(out)
    if picture is not None:
        from microct.render.frame import Frame
        from microct.render.loss_modes import loss_picture

        print(loss_picture(Frame(start, before), Frame(end, after), picture, run.name, found=found))


def _bone(path: Path, year: float | None, voxel_size_um: float | None, threshold: str) -> Volume:
    """Bone fraction of a scan, or of a year of a run."""
    from microct.imaging.segmentation import segment

    cut = threshold_of(threshold)
    found = volume_of(path, year, voxel_size_um)
    return found if found.kind == "fraction" and cut == "otsu" else segment(found, threshold=cut)


def _tissue_density(path: Path, year: float | None) -> float | np.ndarray:
    """Mineral of the tissue in each voxel of a year of a run, or of bone at large [mgHA/cm3]."""
    found = run_at(path, year)
    if found is None:
        from microct.imaging.scanners import TISSUE_DENSITY

        return TISSUE_DENSITY
    from microct.tissue import mineral

    run, when = found
    if "formed_on" in run.folder.fields:
        return mineral.tissue_density(run.calcium_at(when))
    # A run of an earlier version kept no ages: the mean of its tissue.
    return _nearest({row.time_yr: row.value for row in run.table.series("TMD")}, when)


def _nearest(series: dict[float | None, float], when: float) -> float:
    """The value of the time nearest to ``when``."""
    times = [time for time in series if time is not None]
    if not times:
        raise InputError("the run's table has no rows of mineral or islands; it was made by an older version")
    return series[min(times, key=lambda time: abs(time - when))]


def _scan_rows(mineral: Volume, axis: int) -> list[Row]:
    from microct.imaging.scanners import project, volumetric_density
    from microct.table import Row

    seen = project(mineral, axis)
    return [
        Row("vBMD", volumetric_density(mineral)),
        Row("aBMD", seen.abmd),
        Row("BMC.P", seen.content_g),
        Row("B.Ar.P", seen.area_cm2),
    ]
