"""What the command line takes as bone: the file of a scan, or a year of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from microct.status import StudyError, VoxelSizeError

if TYPE_CHECKING:
    from microct.morphometry.density import Calibration
    from microct.volume import Volume
    from microct.workflow import RunResult


def run_at(path: Path, year: float | None) -> tuple[RunResult, float] | None:
    """The run in a folder, and the year that is meant, its last where None; None where the folder holds no run."""
    if not (path / "run.json").exists():
        return None
    from microct import workflow

    run = workflow.open(path)
    if year is None:
        year = run.times_yr[-1] if run.times_yr else 0.0  # of which reading says that the run kept none yet
    return run, year


def volume_of(path: Path, year: float | None = None, voxel_size_um: float | None = None) -> Volume:
    """The scan in a file or a folder of slices, or the bone of a run at ``year``, its last where None.

    Raises:
        StudyError: a year of what is no run. InputError: what cannot be read; a year that the run did not keep.
    """
    found = run_at(path, year)
    if found is not None:
        run, when = found
        return run.at(when)
    if year is not None:
        raise StudyError(f"--year {year:g}: {path} is a scan, not the folder of a run")
    from microct.io.reader import read

    return read(path, voxel_size_um)


def threshold_of(text: str, option: str = "--threshold") -> str | float:
    """The word otsu, or a finite number."""
    if text == "otsu":
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StudyError(f'{option} {text}: expected a grey value or "otsu"')
    return value


def checked_sigma(sigma: float) -> None:
    """Refuse the width of a filter that is no number or out of range."""
    if not 0.0 <= sigma <= 20.0:
        raise StudyError(f"--sigma {sigma:g}: expected 0 to 20 voxels (usual: 0 to 2)")


def mask_on(path: Path, volume: Volume, voxel_size_um: float | None) -> Volume:
    """A mask from its file; where that does not say how large its voxels are, they are those of the volume."""
    from microct.io.reader import read

    try:
        return read(path, voxel_size_um)
    except VoxelSizeError:
        if voxel_size_um is not None:
            raise
        z, y, x = (1000.0 * step for step in volume.spacing_mm)
        return read(path, (z, y, x))


def calibration_of(
    volume: Volume, slope: float | None, intercept: float | None, mu_water: float | None
) -> Calibration | None:
    """What density the voxels mean: by the options where any is given, else by the header; None where nothing says it.

    Raises:
        StudyError: one of slope and intercept alone, or an attenuation of water without them or out of range.
    """
    from microct.morphometry.density import Calibration

    header = volume.provenance.header
    if slope is None and intercept is None and mu_water is None:
        known = volume.kind != "fraction" and {"mu_scaling", "density_slope", "density_intercept"} <= set(header)
        return Calibration.of_header(header) if known else None
    if slope is None or intercept is None:
        raise StudyError(
            "--density-slope, --density-intercept: expected both (mgHA/cm3; usual for Scanco: about 1600 and -390 with "
            "--mu-water 0.24)"
        )
    if not (math.isfinite(slope) and slope > 0 and math.isfinite(intercept)):
        raise StudyError(
            f"--density-slope {slope:g} --density-intercept {intercept:g}: expected a slope above 0 and finite numbers"
        )
    if mu_water is None:
        return Calibration.linear(slope, intercept)
    if not 0.05 <= mu_water <= 2.0:
        raise StudyError(f"--mu-water {mu_water:g}: expected 0.05 to 2 1/cm (usual: 0.24 for HR-pQCT)")
    return Calibration.hounsfield(mu_water, slope, intercept)
