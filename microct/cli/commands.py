"""The commands of ``microct``. Each loads what it needs when it is called, so that help answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from microct.cli import cell_commands, follow_up, measure, scan_commands, strength, tissue_commands
from microct.cli.volumes import volume_of
from microct.status import StudyError

if TYPE_CHECKING:
    from microct.simulation.config import Study
    from microct.volume import Volume

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
measure.register(app)
scan_commands.register(app)
follow_up.register(app)
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
