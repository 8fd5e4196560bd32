"""The command ``microct follow-up``: two scans of one bone, laid over each other, and what changed."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from microct.cli.output import checked_place, print_table, told_of
from microct.cli.volumes import calibration_of, checked_sigma, mask_on, threshold_of, volume_of
from microct.status import StudyError

if TYPE_CHECKING:
    from microct.volume import Volume

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]


def register(app: App) -> None:
    """Add the command of this file."""
    app.command(follow_up)


def follow_up(
    first: Path,
    second: Path,
    /,
    *,
    voxel_size_um: float | None = None,
    mask: Path | None = None,
    threshold: str = "otsu",
    sigma: float | None = None,
    least_voxels: int = 5,
    register: bool = True,
    out: Out = None,
    change: Annotated[Path | None, Parameter(name="--map")] = None,
    picture: Path | None = None,
) -> None:
    """Lay a second scan of a bone over the first, and say what was formed and resorbed between them.

    The second scan is turned and moved onto the first, both are filtered and cut at one threshold, and what lies in
    both is compared: FV/BV, RV/BV, FS/BS, RS/BS, F.Th, R.De, N.Perf. What is found in a bone that did not change is
    noise: docs/morphometry.md says how much there is.

    Parameters
    ----------
    first
        File or folder of slices, or folder of a run (its last year).
    second
        The same bone later, in the same unit and with the same voxels.
    voxel_size_um
        Edge of a voxel in um, of both; needed where the files do not say it.
    mask
        Region, a file of the first scan's voxels; all that lies in both if left out.
    threshold
        Grey value from which a voxel is bone, in both; otsu takes that of the first for both.
    sigma
        Gaussian filter before the threshold, in voxels; 1 for grey values and 0 for masks if left out.
    least_voxels
        Smaller clusters of changed voxels are noise and left out; 1 keeps all.
    register
        Lay the second over the first; --no-register where they lie on the same voxels.
    out
        Write the table here too (.csv; beside it .json, and .parquet with the table extra).
    change
        Write the change of each voxel here: 255 formed, -255 resorbed, 0 neither (.h5 .nrrd .tif or .npy).
    picture
        Draw formed and resorbed bone in 3D (.png).
    """
    cut = threshold_of(threshold)
    if sigma is not None:
        checked_sigma(sigma)
    if least_voxels < 1:
        raise StudyError(f"--least-voxels {least_voxels}: expected 1 or more (usual: 5; 1 keeps every voxel)")
    from microct import comparison
    from microct.io.table_file import write_table
    from microct.io.writer import VOLUMES, write

    checked_place(out, "--out", (".csv",))
    checked_place(change, "--map", VOLUMES)
    checked_place(picture, "--picture", (".png",))
    before, after = (volume_of(path, None, voxel_size_um) for path in (first, second))
    region = None if mask is None else mask_on(mask, before, voxel_size_um)
    found = comparison.follow_up(
        before, _in_units_of(before, after), region, cut, sigma,
        least_voxels=least_voxels, register=register, names=(first.name, second.name),
    )  # fmt: skip
    found.table.parameters.update(told_of(before))
    print("\n".join(found.lines))
    print_table(found.table)
    for line in found.doubts:
        print(f"microct: note: {line}", file=sys.stderr)
    if out is not None:
        write_table(out, found.table, told=True)
        print(out)
    if change is None and picture is None:
        return
    changes = found.change
    if change is not None:
        print(write(changes, change))
    if picture is not None:
        from microct.render.change_picture import change_picture

        says = f"{found.lines[0]}; clusters below {least_voxels} voxels left out"
        title = f"{first.name} and {second.name}"
        print(change_picture(found.before, changes.values > 0, changes.values < 0, picture, title, says=says))


def _in_units_of(before: Volume, after: Volume) -> Volume:
    """The second scan in the grey values of the first, where the headers of both say what density theirs mean."""
    one, two = (calibration_of(scan, None, None, None) for scan in (before, after))
    if one is None or two is None:
        return after
    if math.isclose(one.slope, two.slope) and math.isclose(one.intercept, two.intercept):
        return after
    print("microct: note: the scans are calibrated differently; the second is taken in the units of the first",
          file=sys.stderr)  # fmt: skip
    values = (two.density(after.values) - one.intercept) / one.slope
    return after.with_values(values.astype("float32"), f"from {two.words} to {one.words}")
