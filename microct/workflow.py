"""The whole way: a bone and a study in, a run folder out; going on with it; looking into it; drawing it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from microct.io.run_folder import RunFolder
from microct.quantities import DAYS_PER_YEAR
from microct.simulation.config import Study
from microct.status import InputError, Preempted, StudyError
from microct.table import Table
from microct.volume import BONE, Volume, expected_volume

if TYPE_CHECKING:
    from microct.simulation.build import Model
    from microct.simulation.run import Moment, Progress
    from microct.state import State
    from microct.tissue.past import Past

ProgressCall = Callable[["Progress"], None]


@dataclass(frozen=True)
class RunResult:
    """A run on disk, finished or not.

    Attributes:
        path: the folder.
        study: what was asked for.
    """

    path: Path
    study: Study
    folder: RunFolder

    @property
    def table(self) -> Table:
        """Every index over time, tidy."""
        return self.folder.read_table()

    @property
    def times_yr(self) -> tuple[float, ...]:
        """Times at which the bone was kept [yr]."""
        return tuple(frame.time_yr for frame in self.folder.frames())

    @property
    def files(self) -> list[Path]:
        """Every file of the run."""
        return sorted(path for path in self.path.rglob("*") if path.is_file())

    def at(self, year: float) -> Volume:
        """The bone at the reporting time nearest to ``year``, as uint8 bone fraction.

        Raises:
            InputError: no reporting time within half a reporting interval.
        """
        return self.folder.read_frame(year)

    def fallen_at(self, year: float) -> np.ndarray | None:
        """Bone fraction that hung on nothing and was taken away at that reporting time, uint8; None where a run of an
        earlier version did not keep it.

        Raises:
            InputError: as `at`.
        """
        return self.folder.read_frame(year, "fallen").values if "fallen" in self.folder.fields else None

    def calcium_at(self, year: float) -> np.ndarray:
        """Calcium of the bone in each voxel by its age [wt %], (nz, ny, nx) float32; of bone from the scan the mean.
        `microct.tissue.mineral.tissue_density` and `tissue_modulus` make density and modulus of it.

        Raises:
            InputError: as `at`; a run of an earlier version, which did not keep ages.
        """
        from microct.tissue import bmdd

        return bmdd.calcium_map(*self._ages_at(year))

    def tissue_age_at(self, year: float) -> np.ndarray:
        """Years since the bone in each voxel was formed, (nz, ny, nx) float32; infinite for bone of the scan, and zero
        where there is none. A voxel has one age, drawn from those of its bone by mass.

        Raises:
            InputError: as `calcium_at`.
        """
        formed_on, step, step_days = self._ages_at(year)[:3]
        # A step's bone is laid down in its middle on average.
        years = np.maximum(step - np.arange(max(step, int(formed_on.max())) + 1) - 0.5, 0.0) * step_days / DAYS_PER_YEAR
        years[0] = np.inf
        return np.where(self.at(year).values > 0, years.astype(np.float32)[formed_on], np.float32(0.0))

    def relative_modulus_at(self, year: float) -> np.ndarray:
        """Young's modulus of the tissue in each voxel by its mineral, over that of the scan's bone when it was
        scanned; (nz, ny, nx) float32. Times `TISSUE_MODULUS_MPA` it is what micro-FE of the run took with
        ``load.mineral``.

        Raises:
            InputError: as `calcium_at`.
        """
        from microct.tissue import bmdd

        return bmdd.relative_modulus(*self._ages_at(year))

    def _ages_at(self, year: float) -> tuple[np.ndarray, int, float, Past]:
        """(step in which each voxel's bone was formed, the step now, length of a step [d], the scan's bone before)."""
        from microct.simulation.demand import past_of

        if self.times_yr and "formed_on" not in self.folder.fields:
            raise InputError(f"{self.path}: this run did not keep the age of its bone; run its study.toml again")
        frame, formed_on = self.folder.read_field(year, "formed_on")
        return formed_on, frame.step, self.study.time.step_days, past_of(self.study)


def _scan_of(study: Study, base: Path | None) -> Volume:
    """The scan that a study names, as its file has it."""
    scan = study.scan
    if scan.sample is not None:
        from microct.imaging.specimens import load_sample

        return load_sample(scan.sample)
    if scan.file is not None:
        from microct.io.reader import read

        return read(Path(scan.file) if base is None else base / scan.file, scan.voxel_size_um)
    raise StudyError('the study names no scan: give file = "..." or sample = "..." in [scan], or hand in a volume')


def _prepared(volume: Volume, study: Study) -> Volume:
    """The scan, cut, segmented and resampled."""
    from microct.imaging.segmentation import segment

    scan = study.scan
    if scan.crop is not None:
        from microct.imaging.resampling import crop

        volume = crop(volume, scan.crop)
    return _resampled(segment(volume, scan.threshold, scan.sigma_voxels, scan.keep_largest), study)


def _resampled(volume: Volume, study: Study) -> Volume:
    from microct.imaging.resampling import resample

    return volume if study.scan.resample_um is None else resample(volume, study.scan.resample_um)


def _cortex_of(study: Study, scan: Volume, bone: Volume, base: Path | None) -> np.ndarray | None:
    """The mask of the cortex that a study names, on the voxels of ``bone``.

    Args:
        scan: as its file has it; a mask on its voxels is cut and resampled as the scan is.
        bone: what became of it; a mask on its voxels is taken as it is.

    Raises:
        InputError: other voxels than these, or no nonzero voxel.
    """
    from microct.imaging.resampling import crop
    from microct.io.reader import read

    name = study.compartments.mask
    if name is None:
        return None
    found = read(Path(name) if base is None else base / name, study.scan.voxel_size_um)

    def lies_on(volume: Volume) -> bool:
        return found.shape == volume.shape and np.allclose(found.spacing_mm, volume.spacing_mm, rtol=1e-3)

    mask = found.with_values((found.values != 0).astype(np.uint8) * np.uint8(255), "mask")
    if not mask.values.any():
        raise InputError(f"compartments.mask = {name}: no nonzero voxel; expected those of the cortex, pores included")
    if lies_on(scan) and not lies_on(bone):
        mask = _resampled(mask if study.scan.crop is None else crop(mask, study.scan.crop), study)
    elif not lies_on(bone):
        raise InputError(
            f"compartments.mask = {name}: expected the voxels of the scan ({_voxels(scan)}) or of the bone made from "
            f"it ({_voxels(bone)}), got {_voxels(found)}"
        )
    return mask.values >= BONE


def _voxels(volume: Volume) -> str:
    """Number and size of the voxels, in words."""
    return " x ".join(map(str, volume.shape)) + " of " + " x ".join(f"{1e3 * h:g}" for h in volume.spacing_mm) + " um"


def simulate(
    volume: Volume | None, study: Study, out: str | Path, progress: ProgressCall | None = None, base: Path | None = None
) -> RunResult:
    """Let the years of ``study`` pass in a bone, and keep them in a new run folder.

    Args:
        volume: bone as it is, on which nothing of the study's [scan] is done: bone fraction (uint8, 0 to 255, as
            `microct.segment` gives) or a binary mask, whose higher value is bone; None: the scan
            that the study names.
        study: what is asked for.
        out: folder to make.
        progress: called after every block of steps.
        base: folder from which the study's file name is meant.

    Raises:
        InputError: the bone cannot be remodeled. StudyError: the study or the folder is not usable, or the study has
            not a single step.
        StorageError: writing failed. Preempted: stopped by SIGINT or SIGTERM after a checkpoint.

    Example:
        >>> import microct
        >>> bone = microct.sample("trabecular", size_mm=1.2, voxel_size_um=40)
        >>> study = microct.Study().with_values(time={"years": 1, "burn_in_years": 0})
        >>> run = microct.simulate(bone, study, out=tmp_path / "run")
        >>> run.table["BV/TV"].unit
        '%'
    """
    from microct.simulation.build import build, first_state
    from microct.simulation.calendar import Calendar

    if not isinstance(study, Study):
        raise StudyError(
            f'study: expected a microct.Study, got {type(study).__name__}; make one by Study.from_toml("study.toml") '
            "or Study().with_values(...)"
        )
    _check_place(out)
    Calendar.of(study)  # refuses a study without a single step before a large scan is read
    scan = _scan_of(study, base) if volume is None else expected_volume(volume, "simulate")
    bone = _prepared(scan, study) if volume is None else volume
    bone = _as_fraction(bone)
    model = build(bone, study, _cortex_of(study, scan, bone, base))
    folder = RunFolder.create(out, study.to_toml(), bone)
    with folder.lock():
        state = first_state(model, bone)
        _go(folder, state, model, study, bone, progress, None)
    return open(folder.path)


def _check_place(out: object) -> None:
    """Refuse what cannot be the name of a folder."""
    if not isinstance(out, str | os.PathLike):
        raise StudyError(f'out: expected the name of a run folder, for instance "runs/first", got {type(out).__name__}')


def _as_fraction(volume: Volume) -> Volume:
    """A bone fraction as it is, a mask as one of 0 and 255; grey values are refused."""
    bone = volume.mask_as_fraction()
    if bone.kind != "fraction":
        raise InputError(
            f"{volume.provenance.source}: expected a bone fraction or a mask, got grey values from "
            f"{volume.values.min():g} to {volume.values.max():g}; use microct.segment first, or say that they are a "
            'bone fraction: Volume.from_array(array, voxel_size_um, kind="fraction")'
        )
    return bone


def resume(out: str | Path, progress: ProgressCall | None = None) -> RunResult:
    """Go on with a run from its last checkpoint; the result equals that of a run that never stopped, bit for bit.

    Raises:
        InputError: not a run, or no usable checkpoint in it. The others as `simulate`.

    Example:
        >>> run = microct.resume("runs/first")
        >>> round(run.times_yr[-1])
        10
    """
    from microct.simulation.build import build
    from microct.simulation.snapshot import place_of, restored

    _check_place(out)
    folder = RunFolder.open(out)
    study = Study.from_toml(folder.study_text)
    with folder.lock():
        bone = folder.initial
        found = folder.latest_checkpoint()
        if found is None:
            raise InputError(f"{folder.path}: no usable checkpoint; run the study again{folder.where_again}")
        model = build(bone, study, place=place_of(found.arrays))
        try:
            state, previous = restored(found.arrays, found.meta, model)
        except InputError as error:
            raise InputError(f"{folder.path}: {error}") from error
        folder.rewind(state.step)
        _go(folder, state, model, study, bone, progress, previous)
    return open(folder.path)


def open(out: str | Path) -> RunResult:
    """Open a run: ``.table``, ``.at(year=7.5)``, ``.times_yr``.

    Example:
        >>> run = microct.open("runs/first")
        >>> run.at(year=2).values.dtype
        dtype('uint8')
        >>> run.table["Tb.Th"].unit
        'mm'

    Raises:
        InputError: not a run.
    """
    _check_place(out)
    folder = RunFolder.open(out)
    return RunResult(folder.path, Study.from_toml(folder.study_text), folder)


def render(out: str | Path, backend: str = "auto", progress: Callable[[str, float], None] | None = None) -> list[Path]:
    """Draw a run: year-by-year panels, cut-away, movie, figures; returns the files made.

    Raises:
        InputError: not a run, or nothing in it to draw.
    """
    from microct.render.frame import Frame
    from microct.render.pictures import render_all

    run = open(out)
    table = run.table
    measured = {row.time_yr: row.value for row in table.series("BV/TV")}
    times = [time for time in run.times_yr if time >= 0.0] or list(run.times_yr)
    frames = [Frame(time, run.at(time), measured.get(time)) for time in times]
    title = run.study.report.name or ""
    return render_all(frames, table, run.path / "pictures", title=title, backend=backend, progress=progress)


def _go(
    folder: RunFolder,
    state: State,
    model: Model,
    study: Study,
    bone: Volume,
    progress: ProgressCall | None,
    previous: State | None,
) -> None:
    from microct.kernels.device import let_go_of_programs
    from microct.simulation.run import run

    let_go_of_programs()
    with _signals() as stopped:
        last = run(state, model, study, bone, [_Keeper(folder)], progress, stopped, previous)
    if last.step < model.calendar.total_steps:
        raise Preempted(
            f"stopped at year {model.calendar.year(last.step):.2f}; everything so far is kept: "
            f"microct resume {folder.path}"
        )


class _Keeper:
    """The reporter that writes a run folder."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def report(self, moment: Moment) -> None:
        """Add a frame to the viewer file and rows to the table."""
        indices = {row.symbol: row.value for row in moment.rows}
        bone = moment.bone.values
        fields = {
            "bone_fraction": bone,
            "fallen": np.zeros_like(bone) if moment.fallen is None else moment.fallen,
            "formed_on": np.asarray(moment.state.fields.formed_on),
        }
        known = self.folder.fields or tuple(fields)  # a run of an earlier version goes on with those that it has
        self.folder.append_frame(moment.state.step, moment.time_yr, {name: fields[name] for name in known}, indices)
        model = moment.model
        parameters = {
            "microct": _version(),
            "voxel_size_um": f"{model.voxel_um:.6g}",
            "threshold": "bone fraction >= 0.5",
            "source": moment.bone.provenance.source,
            "sha256": moment.bone.provenance.sha256,
        }
        before = self.folder.read_table() if moment.state.step else Table()
        self.folder.write_table(Table((*before.rows, *moment.rows), parameters))

    def save(self, moment: Moment) -> None:
        """Write a checkpoint."""
        from microct.simulation.snapshot import taken

        self.folder.save_checkpoint(moment.state.step, *taken(moment))


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """While a run lasts, SIGINT and SIGTERM ask it to stop after a checkpoint; a second one stops it at once."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    wanted = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])
    try:
        old = {number: signal.signal(number, note) for number in wanted}
    except ValueError:  # not the main thread: whoever owns it deals with signals
        yield lambda: False
        return
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _version() -> str:
    from microct import __version__

    return __version__
