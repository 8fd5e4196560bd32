"""What the command line takes as bone: the file of a scan, or a year of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from microct.status import StudyError, VoxelSizeError

if TYPE_CHECKING:
    from microct.volume import Volume


def volume_of(path: Path, year: float | None = None, voxel_size_um: float | None = None) -> Volume:
    """The scan in a file or a folder of slices, or the bone of a run at ``year``, its last where None.

    Raises:
        StudyError: a year of what is no run. InputError: what cannot be read; a year that the run did not keep.
    """
    if (path / "run.json").exists():
        from microct import workflow

        run = workflow.open(path)
        return run.at(run.times_yr[-1] if year is None else year)
    if year is not None:
        raise StudyError(f"--year {year:g}: {path} is a scan, not the folder of a run")
    from microct.io.reader import read

    return read(path, voxel_size_um)


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
