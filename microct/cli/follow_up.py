"""The command ``microct follow-up``: two scans of one bone, laid over each other, and what changed."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from microct.cli.output import checked_place, print_table, told_of
from microct.cli.volumes import calibration_of, checked_sigma, mask_as_fraction, mask_on, threshold_of, volume_of
from microct.status import InputError, StudyError

if TYPE_CHECKING:
    import numpy as np

    from microct.table import Row, Table
    from microct.volume import Volume

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]

#: Share of the first scan that both must hold, or it is said.
_LEAST_COMMON = 0.5
#: Otsu's thresholds of two scans may differ by this share of the first's standard deviation, or it is said; a sixth of
#: the bone lost moves them by 0.09.
_THRESHOLDS_APART = 0.15

#: What the table says of BV: change is that of whole voxels, and BV is counted as it is.
WHOLE = "whole voxels, partial ones as bone or marrow"


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
    from microct.io.table_file import write_table
    from microct.io.writer import VOLUMES, write
    from microct.morphometry.pair import change_map, measure_pair

    checked_place(out, "--out", (".csv",))
    checked_place(change, "--map", VOLUMES)
    checked_place(picture, "--picture", (".png",))
    before, after = (mask_as_fraction(volume_of(path, None, voxel_size_um)) for path in (first, second))
    if before.kind != after.kind:
        words = ("a mask or bone fraction" if scan.kind else "grey values" for scan in (before, after))
        raise InputError(f"{first}, {second}: expected two scans of one kind, got {' and '.join(words)}")
    after = _in_units_of(before, after)
    width = (0.0 if before.kind else 1.0) if sigma is None else sigma
    laid = laid_over(before, after, cut, width, register)
    region = laid.region
    if mask is not None:
        from microct.morphometry.specimen import specimen_of

        inside = specimen_of(laid.first, mask_on(mask, before, voxel_size_um), None).region
        region = region if inside is None else region & inside
    if not region.any():
        raise InputError(f"{first}, {second}: no voxel lies in both scans and in the mask")
    pair = measure_pair(laid.first, laid.second, region, least_voxels=least_voxels, sample=second.name)
    table = pair.extended(())
    table.parameters.update(laid.parameters | {"mask": f"{int(region.sum())} of {region.size} voxels"})
    table = _with_volumes(table, laid, region, first.name, second.name)
    print("\n".join(laid.lines))
    print_table(table)
    for line in laid.doubts:
        print(f"microct: note: {line}", file=sys.stderr)
    if out is not None:
        write_table(out, table, told=True)
        print(out)
    if change is None and picture is None:
        return
    old = laid.first.with_values(laid.first.values & region, laid.parameters["threshold"])
    new = laid.first.with_values(laid.second.values & region, laid.parameters["threshold"])
    changes = change_map(old, new, least_voxels)
    if change is not None:
        print(write(changes, change))
    if picture is not None:
        from microct.render.change_picture import change_picture

        says = f"{laid.lines[0]}; clusters below {least_voxels} voxels left out"
        title = f"{first.name} and {second.name}"
        print(change_picture(old, changes.values > 0, changes.values < 0, picture, title, says=says))


@dataclass(frozen=True)
class Laid:
    """Two scans of one bone on the same voxels.

    Attributes:
        first, second: bone (bool) of both.
        region: (nz, ny, nx) bool, what lies in both.
        lines: what was done, for people.
        doubts: what speaks against it.
        parameters: what was done, for the table.
    """

    first: Volume
    second: Volume
    region: np.ndarray
    lines: list[str]
    doubts: list[str]
    parameters: dict[str, str]


def laid_over(before: Volume, after: Volume, cut: str | float, sigma: float, wanted: bool = True) -> Laid:
    """Register the second scan to the first (where ``wanted``), filter both and cut them at one threshold."""
    import numpy as np

    from microct.imaging import registration
    from microct.imaging.segmentation import filtered as by_gauss

    level, words, doubts = _level(before, after, cut, sigma)
    filtered = "no filter" if not sigma else f"Gaussian filter of sigma {sigma:g} voxels"
    parameters = told_of(before) | {
        "threshold": f"value >= {level:.6g} ({words})",
        "filter": filtered,
        "second": after.provenance.source,
    }
    # Filtered before it is moved: nothing of what lies outside is then blurred into the bone.
    old, new = (by_gauss(scan.values, sigma).astype(np.float32, copy=False) for scan in (before, after))
    # Within two sigma of a face the filter repeats its last voxels, where the other scan may show what lies beyond.
    rim = math.ceil(2.0 * sigma) + wanted
    region = np.zeros(before.shape, bool)
    region[tuple(slice(rim, n - rim) for n in before.shape)] = True
    if wanted:
        motion = registration.register(before, after)
        new = registration.moved(after.with_values(new, filtered), motion, before).values
        region &= registration.covered(after, motion, before, float(rim))
        angle, shift = motion.angle_degree, float(np.linalg.norm(motion.shift))
        lines = [f"turned by {angle:.3g} degrees, moved by {shift:.3g} mm, residual {motion.residual:.3g}"]
        common = float(region.mean())
        lines[0] += f"; {100 * common:.3g} % of the first scan lies in both"
        parameters |= {
            "angle_degree": f"{angle:.6g}",
            "shift_zyx_mm": " ".join(f"{part:.6g}" for part in motion.shift),
            "residual": f"{motion.residual:.6g}",
            "common": f"{common:.6g}",
        }
        if motion.residual > registration.RESIDUAL_LIMIT:
            most = registration.RESIDUAL_LIMIT
            doubts.append(
                f"residual {motion.residual:.2f}: expected at most {most:g} (usual: 0.02 to 0.5); the scans are not "
                "laid over each other, or are of different bones"
            )
        elif common < _LEAST_COMMON:
            doubts.append(f"only {100 * common:.0f} % of the first scan lies in both")
    else:
        if before.shape != after.shape or not np.allclose(before.spacing_mm, after.spacing_mm, rtol=1e-3):
            raise InputError(
                f"--no-register: expected scans on the same voxels, got {before.shape} of {before.spacing_mm} mm and "
                f"{after.shape} of {after.spacing_mm} mm"
            )
        lines = ["not registered: taken to lie on the same voxels"]
        parameters["registration"] = "none"
    lines.append(f"bone is {parameters['threshold'].removeprefix('value ')}; {filtered}")
    first, second = (
        before.with_values(values >= level, f"{filtered}; bone is >= {level:.6g} ({words})", kind="")
        for values in (old, new)
    )
    for scan, which in ((first, before), (second, after)):
        if not scan.values[region].any():
            raise InputError(
                f"{which.provenance.source}: no bone at threshold {level:.6g} where both scans lie; values run from "
                f"{which.values.min():g} to {which.values.max():g}"
            )
    return Laid(first, second, region, lines, doubts, parameters)


def _level(before: Volume, after: Volume, cut: str | float, sigma: float) -> tuple[float, str, list[str]]:
    """One threshold for both scans, where it comes from, and what speaks against it."""
    if not isinstance(cut, str):
        return cut, "given", []
    if before.kind == "fraction":
        return 127.5, "half of a voxel", []
    from microct.imaging.segmentation import otsu

    level, other = (otsu(scan, sigma) for scan in (before, after))
    doubts = []
    if abs(other - level) > _THRESHOLDS_APART * float(before.values.std(dtype=float)):
        doubts.append(
            f"Otsu's threshold of the second scan would be {other:.4g} instead of {level:.4g}: were both scanned "
            "alike? --threshold gives one for both"
        )
    return level, f"Otsu of the first; {other:.6g} of the second", doubts


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


def _with_volumes(table: Table, laid: Laid, region: np.ndarray, first: str, second: str) -> Table:
    """TV, BV and BV/TV of both scans in what they have in common, before the rows of change."""
    from dataclasses import replace

    from microct.morphometry.specimen import specimen_of
    from microct.morphometry.volumes import volume_rows
    from microct.table import Table

    rows: list[Row] = []
    for scan, name in ((laid.first, first), (laid.second, second)):
        found = volume_rows(specimen_of(scan, region, None))
        rows += [
            replace(row, sample=name, note=row.note or WHOLE) for row in found if row.symbol in ("TV", "BV", "BV/TV")
        ]
    return Table((*rows, *table.rows), table.parameters)
