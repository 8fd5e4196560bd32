"""The commands of ``microct``. Each loads what it needs when it is called, so that help answers at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from microct.cli import cell_commands, strength, tissue_commands
from microct.cli.volumes import mask_on, volume_of
from microct.status import InputError, StorageError, StudyError

if TYPE_CHECKING:
    from microct.simulation.config import Study
    from microct.table import Table
    from microct.volume import Volume

#: Share of the bone that is left out in silence.
_TOLD = 0.001

app = App(
    name="microct",
    help="Years of bone remodeling in a micro-CT scan: a scan goes in, years pass, tables and pictures come out.",
    help_epilogue="--debug, anywhere, shows the traceback beneath a refusal. Exit codes: 0 done, 64 wrong option or "
    "study, 65 bad input, 70 defect or out of memory, 74 disk, 75 stopped after a checkpoint (microct resume goes on).",
    version_flags=(),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
cell_commands.register(app)
strength.register(app)
tissue_commands.register(app)


def dispatch(words: Sequence[str]) -> None:
    """Run the command that ``words`` name; a word that does not fit raises `StudyError`."""
    try:
        app(list(words), exit_on_error=False, print_error=False, result_action="return_none")
    except CycloptsError as problem:
        sentence = " ".join(str(problem).split())
        raise StudyError(f"{sentence} (microct --help lists the commands and options)") from problem


Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]


@app.command
def run(study: Path, /, *, out: Out = None, pictures: bool = True) -> None:
    """Simulate what a study file says, and draw it.

    Parameters
    ----------
    study
        The study, a TOML file; docs/study-file.md lists its settings.
    out
        Folder of the run; runs/NAME of the study file if left out.
    pictures
        Draw panels, movie and figures at the end.
    """
    from microct.simulation.config import Study

    _simulate(Study.from_toml(study), Path("runs") / study.stem if out is None else out, pictures)


@app.command
def demo(*, out: Out = None, pictures: bool = True) -> None:
    """Simulate ten years of menopause in the embedded sample, and draw them.

    Parameters
    ----------
    out
        Folder of the run; runs/demo if left out. Where that exists, the next free number is added.
    pictures
        Draw panels, movie and figures at the end.
    """
    from importlib.resources import files

    from microct.simulation.config import Study

    study = Study.from_toml(files("microct.cli").joinpath("demo.toml").read_text(encoding="utf-8"))
    _simulate(study, _unused(Path("runs") / "demo" if out is None else out), pictures)


@app.command
def resume(run: Path, /, *, pictures: bool = True) -> None:
    """Go on with a run that was stopped, from its last checkpoint.

    Parameters
    ----------
    run
        Folder of the run.
    pictures
        Draw panels, movie and figures at the end.
    """
    from microct import workflow
    from microct.cli.progress import ProgressBar

    with ProgressBar() as bar:
        workflow.resume(run, progress=bar)
    _finish(run, pictures)


@app.command
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
    convention: Literal["exact", "bonej", "ipl"] = "exact",
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
        Whose definition of thickness to follow.
    preset
        Report what this program reports, in its conventions.
    indices
        all adds skeleton, ellipsoid factor, fractal dimension, Betti numbers and the parts of SMI.
    bootstrap
        Parts along each axis for 95 % intervals over sub-volumes; 0 for none.
    maps
        Folder for maps of local thickness: NAME.Tb.Th.nrrd and NAME.Tb.Sp.nrrd, in mm at every voxel.
    out
        Write the table here too (.csv; beside it .json, and .parquet with the table extra).
    """
    cut = _threshold(threshold)
    if out is not None and out.suffix.lower() != ".csv":
        raise StudyError(f"--out {out}: expected a file name ending in .csv (.json and .parquet lie beside it)")

    from microct.imaging.segmentation import largest_piece, segment
    from microct.io.table_file import write_table
    from microct.morphometry.batch import measure_many
    from microct.morphometry.report import measure as measured

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
            _write_maps(volume, region, convention, maps, name)
        choices = {"preset": preset, "indices": indices, "bootstrap": bootstrap, "sample": name}
        return measured(volume, mask=region, convention=convention, **choices)  # type: ignore[arg-type]

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
    _print_table(table)
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StorageError(f"{folder}: {problem.strerror or problem}; give --maps a folder that is writable") from None
    for symbol, local in thickness_maps(volume, convention).items():
        inside = local if region is None else local * region
        there = volume.with_values(inside, f"local thickness {symbol} [mm]", kind="")
        print(write(there, folder / f"{Path(name).stem}.{symbol}.nrrd"))


@app.command
def sample(
    kind: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    size_mm: Annotated[list[float] | None, Parameter(consume_multiple=True, negative="")] = None,
    voxel_size_um: float | None = None,
    seed: int | None = None,
    bone_volume_fraction: float | None = None,
    trabecular_thickness_um: float | None = None,
    anisotropy: float | None = None,
    plate_share: float | None = None,
    cortical_thickness_mm: float | None = None,
    porosity: float | None = None,
) -> None:
    """Make a specimen of known architecture, or write out an embedded one.

    Parameters
    ----------
    kind
        trabecular, cortical, or the name of an embedded sample.
    out
        File to write, ending in .h5 .nrrd .tif or .npy.
    size_mm
        Edge of the block in mm, or three along z, y, x.
    voxel_size_um
        Edge of a voxel in um.
    seed
        Same seed, same specimen.
    bone_volume_fraction
        BV/TV, from 0 to 1.
    trabecular_thickness_um
        Tb.Th in um.
    anisotropy
        How much longer than wide the marrow spaces are.
    plate_share
        0 for rods, 1 for plates.
    cortical_thickness_mm
        Ct.Th in mm (cortical).
    porosity
        Share of canals in the cortex (cortical).
    """
    wanted = {
        "size_mm": None if size_mm is None else size_mm[0] if len(size_mm) == 1 else tuple(size_mm),
        "voxel_size_um": voxel_size_um,
        "seed": seed,
        "bone_volume_fraction": bone_volume_fraction,
        "trabecular_thickness_um": trabecular_thickness_um,
        "anisotropy": anisotropy,
        "plate_share": plate_share,
        "cortical_thickness_mm": cortical_thickness_mm,
        "porosity": porosity,
    }
    if size_mm is not None and len(size_mm) not in (1, 3):
        raise StudyError(f"--size-mm: expected one edge or three (z y x), got {len(size_mm)}")
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    from microct.io.writer import checked_ending, write

    checked_ending(out)
    print(write(_specimen(kind, given), out))


@app.command
def convert(
    file: Path,
    out: Path,
    /,
    *,
    year: float | None = None,
    voxel_size_um: float | None = None,
    resample_um: float | None = None,
) -> None:
    """Write a scan, or a year of a run, for other programs: .h5 .nrrd .tif or .npy.

    Parameters
    ----------
    file
        File or folder of slices, or folder of a run.
    out
        File to write: .h5 keeps all that is known, .nrrd place and axes, .tif the size of voxels, .npy voxels alone.
    year
        Year of a run; its last if left out.
    voxel_size_um
        Edge of a voxel in um; needed where the file does not say it.
    resample_um
        Edge of the voxels that are written; those of the file if left out.
    """
    from microct.imaging.resampling import resample
    from microct.io.writer import checked_ending, write

    checked_ending(out)
    volume = volume_of(file, year, voxel_size_um)
    print(write(volume if resample_um is None else resample(volume, resample_um), out))


@app.command
def render(run: Path, /, *, backend: Literal["auto", "pyvista", "tracer"] = "auto") -> None:
    """Draw a run: year-by-year panels, cut-away, movie, figures.

    Parameters
    ----------
    run
        Folder of the run.
    backend
        pyvista needs OpenGL, tracer needs nothing; auto takes what works here.
    """
    _draw(run, backend)


@app.command
def info(file: Path, /, *, voxel_size_um: float | None = None) -> None:
    """Say what a scan file or a run folder holds.

    Parameters
    ----------
    file
        Scan, mask, or folder.
    voxel_size_um
        Edge of a voxel in um, where the file does not say it.
    """
    from microct.io.describe import describe

    rows = _about_run(file) if (file / "run.json").is_file() else describe(file, voxel_size_um)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")


@app.command
def doctor() -> None:
    """Say what microct finds on this machine, and what to do about what it does not find."""
    from microct.cli.doctor import report

    print("\n".join(report()))


def _specimen(kind: str, given: dict[str, Any]) -> Volume:
    """An embedded sample where ``kind`` names one and nothing else is asked for, else one made anew."""
    from microct.imaging import specimens

    if not given and kind in specimens.sample_names():
        return specimens.load_sample(kind)
    return specimens.sample(kind, **given)


def _simulate(study: Study, out: Path, pictures: bool) -> None:
    from microct import workflow
    from microct.cli.progress import ProgressBar

    with ProgressBar() as bar:
        workflow.simulate(None, study, out=out, progress=bar)
    _finish(out, pictures)


def _finish(out: Path, pictures: bool) -> None:
    """Draw, then name every file of the run."""
    if pictures:
        _draw(out, "auto", quiet=True)
    from microct.cli.progress import listing

    print("\n".join(listing(out)))


def _draw(run: Path, backend: str, quiet: bool = False) -> None:
    from microct import workflow
    from microct.cli.progress import Telling

    with Telling() as told:
        files = workflow.render(run, backend=backend, progress=told)
    if not quiet:
        print("\n".join(str(file) for file in files))


def _unused(out: Path) -> Path:
    """``out`` itself, or out-2, out-3 ... where that exists: a demo never overwrites a run."""
    number = 2
    place = out
    while place.exists():
        place = out.with_name(f"{out.name}-{number}")
        number += 1
    return place


def _threshold(text: str) -> str | float:
    """The word otsu, or a number."""
    if text == "otsu":
        return text
    try:
        return float(text)
    except ValueError:
        raise StudyError(f'--threshold {text}: expected a grey value or "otsu"') from None


def _names(scans: Sequence[Path]) -> list[str]:
    """File names as names of samples; the path where two are the same."""
    names = [path.name for path in scans]
    return [path.name if names.count(path.name) == 1 else str(path) for path in scans]


def _print_table(table: Table) -> None:
    width = max((len(row.symbol) for row in table), default=0)
    sample = ""
    for row in table:
        if row.sample != sample:
            sample = row.sample
            print(sample)
        name = row.quantity.name.replace("_", " ")
        note = f"  ({row.note})" if row.note else ""
        print(f"{row.symbol:<{width}}  {row.value:>12.6g} {row.unit:<6} {name}{note}")


def _about_run(folder: Path) -> list[tuple[str, str]]:
    """What `info` says of a run folder: its times, and each index at the first and the last of them."""
    from microct import workflow

    table = workflow.open(folder).table
    times = table.times_yr
    rows = [
        ("run", str(folder)),
        ("years", f"{times[0]:.2f} to {times[-1]:.2f}, {len(times)} times" if times else "none yet"),
    ]
    for symbol in table.symbols:
        first, last = table.series(symbol)[0], table.series(symbol)[-1]
        rows.append((symbol, f"{first.value:.4g} -> {last.value:.4g} {last.unit}".rstrip()))
    return rows
