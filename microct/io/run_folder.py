"""The run folder: everything that a run keeps, in one place that survives crashes and serves one writer at a time.

::

    run/  LOCK           who is writing
          study.toml     the study, byte for byte as it was given
          run.json       what this run is; its arrival makes the folder a run
          initial.h5     bone fraction at the start
          ckpt/          checkpoints, the newest two
          table.csv      results, with table.json (and table.parquet) beside it
          run.vtkhdf     all reporting times, for ParaView and PyVista
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import microct
from microct.io import checkpoint, safe_file, table_file, viewer
from microct.io.checkpoint import Checkpoint
from microct.io.safe_file import read_whole, replacing, require_space, storage_error, sweep, write_whole
from microct.io.safe_hdf5 import reading_hdf5, write_array, writing_hdf5
from microct.io.sealed_json import read_sealed, write_sealed
from microct.io.viewer import FrameInfo
from microct.status import InputError, MicroctError, StorageError, StudyError
from microct.table import Table
from microct.volume import Provenance, Volume

SCHEMA = 1
_LOCK, _STUDY, _RUN, _INITIAL = "LOCK", "study.toml", "run.json", "initial.h5"
_CHECKPOINTS, _TABLE, _VIEWER = "ckpt", "table.csv", "run.vtkhdf"
_RESULTS = (_TABLE, "table.json", "table.parquet", _VIEWER)
_LOCK_TITLE = "microct run\n"
_MOST_STUDY_BYTES = 16 * 2**20


class RunFolder:
    """One run on disk. Made by `create`, found again by `open`.

    Attributes:
        path: the folder, absolute.
        study_text: the study file, as it was written.
        about: what ``run.json`` says: version, date, input, grid.
    """

    def __init__(self, path: Path, study_text: str, about: Mapping[str, Any], initial: Volume | None = None) -> None:
        self.path = path
        self.study_text = study_text
        self.about = about
        self._initial = initial

    @classmethod
    def create(cls, path: str | os.PathLike[str], study_text: str, initial: Volume) -> RunFolder:
        """Make a new run folder; parents are made too.

        Args:
            path: a folder that does not exist yet, is empty, or holds a run that never came to a checkpoint.
            study_text: the study file, kept byte for byte.
            initial: bone fraction at the start, uint8, 0 marrow to 255 bone.

        Raises:
            StudyError: the folder holds a run already, or something that is not a run.
            InputError: ``initial`` is not uint8.
            StorageError: the folder cannot be written, or another process makes a run there right now.
        """
        folder = Path(path).absolute()
        if initial.values.dtype != np.uint8:
            raise InputError(
                f"{initial.provenance.source}: expected a bone fraction (uint8, 0 to 255), got {initial.values.dtype}; "
                "use microct.segment first"
            )
        made = not folder.exists()
        run = cls(folder, study_text, {}, initial)
        try:
            _make_folder(folder)
            _refuse_unless_ours(folder)
            with run.lock():
                _refuse_unless_ours(folder)
                _remove_start(folder)
                try:
                    run.about = run._write_start(study_text, initial)
                except BaseException:
                    _remove_start(folder, (_RUN, _INITIAL, _STUDY, _LOCK))
                    raise
        except BaseException:
            if made:
                with suppress(OSError):
                    safe_file.DISK.remove_folder(folder)  # succeeds only where it is empty
            raise
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Find a run again.

        Raises:
            InputError: no run there, written by a newer microct, damaged, or its study was changed since.
        """
        folder = Path(path).absolute()
        if not (folder / _RUN).exists():
            raise InputError(f"{folder}: not a run of microct (no {_RUN} in it)")
        about = read_sealed(folder / _RUN, SCHEMA)
        study = read_whole(folder / _STUDY, _MOST_STUDY_BYTES)
        if hashlib.sha256(study).hexdigest() != about.get("study_sha256"):
            raise InputError(
                f"{folder / _STUDY}: changed since the run began; a run goes on with the study it began with: "
                "restore the file, or start a new run in another folder"
            )
        return cls(folder, study.decode(), about)

    @property
    def initial(self) -> Volume:
        """Bone fraction at the start, uint8 (nz, ny, nx); `InputError` where the file is damaged."""
        if self._initial is None:
            self._initial = _read_initial(self.path / _INITIAL, self.about)
        return self._initial

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one process that writes here, for the length of the block.

        The lock dies with its holder, however it ends. Half-written files of a killed holder are removed.

        Raises:
            StorageError: at once, naming process and host, where another process holds it.
        """
        import fcntl  # POSIX only; reading a run needs no lock

        path = self.path / _LOCK
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise storage_error(path, error) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(fd, 500, len(_LOCK_TITLE)).decode(errors="replace").strip() or "another process"
                raise StorageError(
                    f"{self.path}: in use by {holder}; wait for it, or stop it, then try again"
                ) from error
            except OSError as error:
                raise StorageError(f"{path}: this file system grants no locks ({error.strerror})") from error
            with suppress(OSError):  # a full disk must not stop a run from being locked; the text is for people
                text = f"{_LOCK_TITLE}process {os.getpid()} on {socket.gethostname()}, since {_now()}\n"
                os.ftruncate(fd, 0)
                os.pwrite(fd, text.encode(), 0)
            sweep(self.path)
            checkpoint.sweep_checkpoints(self.path / _CHECKPOINTS)
            yield
        finally:
            os.close(fd)

    def save_checkpoint(self, step: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Save one step so that nothing can take it back; see `microct.io.checkpoint.save`. Put ``time_yr`` in meta."""
        checkpoint.save(self.path / _CHECKPOINTS, step, arrays, meta, self._voxels)

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest intact checkpoint (its `note` says where a damaged one was passed over), None where none is."""
        return checkpoint.latest(self.path / _CHECKPOINTS, self._voxels)

    def write_table(self, table: Table) -> None:
        """Replace ``table.csv`` and the files beside it; see `microct.io.table_file.write_table`."""
        table_file.write_table(self.path / _TABLE, table)

    def read_table(self) -> Table:
        """The results so far; `InputError` where there are none yet."""
        return table_file.read_table(self.path / _TABLE)

    def append_frame(
        self, step: int, time_yr: float, fields: Mapping[str, np.ndarray], indices: Mapping[str, float]
    ) -> None:
        """Add one reporting time to the viewer file; see `microct.io.viewer.append_frame`."""
        info = FrameInfo(int(step), float(time_yr))
        viewer.append_frame(self.path / _VIEWER, self.initial, self.study_text, info, fields, indices)

    def frames(self) -> list[FrameInfo]:
        """Reporting times in the viewer file, ascending."""
        return viewer.frames(self.path / _VIEWER)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields in the viewer file, in order; none where there is no file yet."""
        return viewer.fields(self.path / _VIEWER)

    def read_frame(self, time_yr: float, field: str = "bone_fraction") -> Volume:
        """The bone at the reporting time nearest to ``time_yr`` [yr].

        Raises:
            InputError: none within half a reporting interval (the message lists them), or no such field.
        """
        info, values = self.read_field(time_yr, field)
        return self.initial.with_values(
            values, f"{field} at {info.time_yr:g} yr (step {info.step}) of {self.path.name}"
        )

    def read_field(self, time_yr: float, field: str) -> tuple[FrameInfo, np.ndarray]:
        """The reporting time nearest to ``time_yr`` [yr], and a field (nz, ny, nx) at it.

        Raises:
            InputError: as `read_frame`.
        """
        return viewer.read_frame(self.path / _VIEWER, self.initial, time_yr, field)

    def rewind(self, step: int) -> None:
        """Forget what lies after ``step``: frames, rows of the table, checkpoints.

        A run that is resumed at ``step`` then ends with the files of a run that never stopped. Rows carry years, not
        steps: the limit is ``time_yr`` of the checkpoint of ``step``, or else the last frame up to ``step``.
        """
        try:
            limit = self._time_of(step)
            viewer.keep_until(self.path / _VIEWER, self.initial, self.study_text, step)
        except InputError as error:
            raise InputError(f"{error}; move the file away to go on without the frames in it") from error
        table_file.drop_after(self.path / _TABLE, limit)
        folder = self.path / _CHECKPOINTS
        for later in checkpoint.committed(folder):
            if later > step:
                checkpoint.discard(folder, later)

    @property
    def where_again(self) -> str:
        """In words, where a study may be run again whose run cannot go on."""
        return " into another folder" if _holds_work(self.path) else ", into this folder"

    @property
    def _voxels(self) -> int:
        return int(self.initial.values.size)

    def _time_of(self, step: int) -> float:
        """Years at ``step``, for comparing with the times of rows; minus infinity where nothing came before it."""
        with suppress(InputError):
            time_yr = checkpoint.meta_of(self.path / _CHECKPOINTS, step).get("time_yr")
            if isinstance(time_yr, (int, float)):
                return time_yr + 1e-9 * max(1.0, abs(time_yr))
        known = self.frames()
        before = [frame.time_yr for frame in known if frame.step <= step]
        if known:
            return max(before, default=-float("inf"))
        return float("inf") if step > 0 else -float("inf")

    def _write_start(self, study_text: str, initial: Volume) -> dict[str, Any]:
        require_space(self.path, initial.values.nbytes // 20, "the run")
        try:
            study = study_text.encode()
        except UnicodeEncodeError as error:
            raise StudyError(f"the study is not text in UTF-8: {error}") from error
        write_whole(self.path / _STUDY, study)
        with replacing(self.path / _INITIAL) as file, writing_hdf5(file) as h5:
            dataset = write_array(h5, "bone_fraction", initial.values, file)
            dataset.attrs["axes"] = np.bytes_(b"zyx")
            dataset.attrs["spacing_mm"] = np.asarray(initial.spacing_mm, dtype=float)
            dataset.attrs["origin_mm"] = np.asarray(initial.origin_mm, dtype=float)
            dataset.attrs["direction"] = np.asarray(initial.direction, dtype=float)
        source = initial.provenance
        about = {
            "schema": SCHEMA,
            "microct": microct.__version__,
            "created": _now(),
            "input": {
                "source": source.source,
                "sha256": source.sha256,
                "steps": list(source.steps),
                "header": {str(key): str(value) for key, value in source.header.items()},
            },
            "grid": {
                "shape_zyx": list(initial.shape),
                "spacing_mm": list(initial.spacing_mm),
                "origin_mm": list(initial.origin_mm),
                "direction": [list(row) for row in initial.direction],
            },
            "study_sha256": hashlib.sha256(study).hexdigest(),
            "initial_sha256": _digest(initial.values),
        }
        write_sealed(self.path / _RUN, about)
        return read_sealed(self.path / _RUN, SCHEMA)


def _holds_work(folder: Path) -> bool:
    """Whether a run came as far as a checkpoint, or keeps years that would be lost if it were begun again."""
    if checkpoint.committed(folder / _CHECKPOINTS):
        return True
    try:
        return any(frame.step > 0 for frame in viewer.frames(folder / _VIEWER))
    except MicroctError:
        return True


def _make_folder(folder: Path) -> None:
    try:
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for name in made:
            safe_file.DISK.sync_folder(name.parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise StudyError(f"{folder}: expected a folder for the run, found a file") from error
    except OSError as error:
        raise storage_error(folder, error) from error


def _remove_start(folder: Path, names: Iterable[str] = (_RUN, _INITIAL, _STUDY, *_RESULTS)) -> None:
    """Remove what a run without a checkpoint left behind; run.json first, so that it is no run any more."""
    for name in names:
        with suppress(OSError):
            safe_file.DISK.remove(folder / name)


def _refuse_unless_ours(folder: Path) -> None:
    """An empty folder will do, and so will what a run left behind that never came to a checkpoint: it has our LOCK."""
    try:
        names = {entry.name for entry in folder.iterdir()}
        title = (folder / _LOCK).read_bytes()[: len(_LOCK_TITLE)] if _LOCK in names else b""
    except OSError as error:
        raise storage_error(folder, error) from error
    if _RUN in names and _holds_work(folder):
        raise StudyError(f"{folder}: holds a run already; go on with `microct resume {folder}`, or give another folder")
    left = {name.removesuffix(safe_file.TEMPORARY) for name in names}
    ours = {_LOCK, _STUDY, _INITIAL, _RUN, _CHECKPOINTS, *_RESULTS}
    if names and not (left <= ours and title in (_LOCK_TITLE.encode(), b"")):
        raise StudyError(f"{folder}: is not empty and holds no run of microct; give another folder for the run")
    if names and _LOCK not in names:
        raise StudyError(f"{folder}: is not empty and holds no run of microct; give another folder for the run")


def _read_initial(path: Path, about: Mapping[str, Any]) -> Volume:
    try:
        grid, source = about["grid"], about["input"]
        with reading_hdf5(path) as h5:
            dataset = h5["bone_fraction"]
            if list(dataset.shape) != grid["shape_zyx"] or dataset.dtype != np.uint8:
                raise InputError(
                    f"{path}: expected uint8 {grid['shape_zyx']}, got {dataset.dtype} {list(dataset.shape)}"
                )
            values = np.asarray(dataset[()], order="C")
        if _digest(values) != about["initial_sha256"]:
            raise InputError(f"{path}: damaged: its voxels are not those the run began with")
        return Volume(
            values,
            tuple(grid["spacing_mm"]),
            tuple(np.asarray(grid["origin_mm"], dtype=float).reshape(3).tolist()),
            tuple(tuple(row) for row in np.asarray(grid["direction"], dtype=float).reshape(3, 3).tolist()),
            Provenance(source["source"], source["sha256"], tuple(source["steps"]), source["header"]),
            "fraction",
        )
    except MicroctError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path.parent / _RUN}: not the record of a run ({type(error).__name__}: {error})") from error


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
