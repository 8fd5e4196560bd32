"""The command ``microct measure``: the architecture of scans, as a table and as maps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from microct.cli.output import checked_place, made_folder, print_table, stem_of
from microct.cli.volumes import mask_on, threshold_of, volume_of
from microct.status import InputError, StudyError

if TYPE_CHECKING:
    from microct.table import Table
    from microct.volume import Volume

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]

#: Share of the bone that is left out in silence.
_TOLD = 0.001


def register(app: App) -> None:
    """Add the command of this file."""
    app.command(measure)


def measure(
    scan: Path,
    /,
    *more: Path,
    year: float | None = None,
    voxel_size_um: float | None = None,
    mask: Path | None = None,
    threshold: str = "otsu",
    sigma: float = 0.0,
    keep_largest: bool = True,
    convention: Literal["exact", "bonej", "ipl"] | None = None,
    preset: Literal["bonej", "scanco", "ctan"] | None = None,
    indices: Literal["standard", "all"] = "standard",
    bootstrap: int = 0,
    maps: Path | None = None,
    out: Out = None,
) -> None:
    """Measure the architecture of scans: BV/TV, Tb.Th, Tb.Sp, Tb.N, Conn.D, SMI, DA and more.

    Parameters
    ----------
    scan
        File or folder of slices, or folder of a run.
    more
        More of them, measured alike into one table.
    year
        Year of a run; its last if left out.
    voxel_size_um
        Edge of a voxel in um; needed where the file does not say it.
    mask
        Region to measure, a file of the same voxels; the whole block if left out.
    threshold
        Grey value from which a voxel is bone, or otsu; a bone fraction (.h5 of microct, a run) is taken as it is.
    sigma
        Gaussian filter before the threshold, in voxels.
    keep_largest
        Keep only the largest connected piece of bone; what is left out is told.
    convention
        Whose definition of thickness to follow; exact if left out. Not with --preset.
    preset
        Report what this program reports, in its convention.
    indices
        all adds skeleton, ellipsoid factor, fractal dimension, Betti numbers and the parts of SMI.
    bootstrap
        Parts along each axis for 95 % intervals over sub-volumes; 0 for none.
    maps
        Folder for maps of local thickness: NAME.Tb.Th.nrrd and NAME.Tb.Sp.nrrd, in mm at every voxel.
    out
        Write the table here too (.csv; beside it .json, and .parquet with the table extra).
    """
    cut = threshold_of(threshold)
    if preset is not None and convention is not None:
        raise StudyError(
            f"--preset {preset} --convention {convention}: expected one of them, a preset has its own convention"
        )
    checked_place(out, "--out", (".csv",))
    if maps is not None:
        made_folder(maps, "--maps")

    from microct.imaging.segmentation import largest_piece, segment
    from microct.io.table_file import write_table
    from microct.morphometry.batch import measure_many
    from microct.morphometry.presets import PRESETS
    from microct.morphometry.report import measure as measured

    defined = convention or (PRESETS[preset].convention if preset else "exact")

    def one(path: Path, name: str) -> Table:
        volume = volume_of(path, year, voxel_size_um)
        if volume.kind != "fraction" or cut != "otsu" or sigma > 0:
            volume = segment(volume, threshold=cut, sigma=sigma, keep_largest=False)
        if keep_largest:
            volume, dropped = largest_piece(volume)
            if dropped > _TOLD:
                left_out.append(
                    f"{name}: {100 * dropped:.3g} % of the bone is left out, as it does not hang together with the "
                    "largest piece (--no-keep-largest measures all of it)"
                )
        region = None if mask is None else mask_on(mask, volume, voxel_size_um)
        if maps is not None:
            _write_maps(volume, region, defined, maps, name)
        choices = {"preset": preset, "indices": indices, "bootstrap": bootstrap, "sample": name}
        return measured(volume, mask=region, convention=defined, **choices)  # type: ignore[arg-type]

    refused: dict[str, str] = {}
    left_out: list[str] = []
    if more:
        from microct.cli.progress import Counting

        scans = (scan, *more)
        names = _names(scans)
        with Counting(len(scans)) as progress:
            calls = ((name, partial(one, path, name)) for path, name in zip(scans, names, strict=True))
            table, refused = measure_many(calls, progress)
    else:
        table = one(scan, *_names([scan]))
    print_table(table)
    for line in left_out:
        print(f"microct: note: {line}", file=sys.stderr)
    if out is not None and len(table):
        write_table(out, table, told=True)
        print(out)
    if refused:
        raise InputError("; ".join(f"{name}: {why}" for name, why in refused.items()))


def _write_maps(volume: Volume, mask: Volume | None, convention: str, folder: Path, name: str) -> None:
    """Local thickness at every voxel of a mask, in mm, for other programs."""
    from microct.io.writer import write
    from microct.morphometry.specimen import specimen_of
    from microct.morphometry.thickness import thickness_maps

    region = specimen_of(volume, mask, None).region
    for symbol, local in thickness_maps(volume, convention).items():
        inside = local if region is None else local * region
        there = volume.with_values(inside, f"local thickness {symbol} [mm]", kind="")
        print(write(there, folder / f"{stem_of(name)}.{symbol}.nrrd"))


def _names(scans: Sequence[Path]) -> list[str]:
    """File names as names of samples; the path where two are the same."""
    names = [path.name for path in scans]
    return [path.name if names.count(path.name) == 1 else str(path) for path in scans]
