"""What the terminal shows while years pass: simulated year, BV/TV, time left; and, at the end, the files."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microct.simulation.run import Progress

#: Without a terminal, a line is printed at most this often [s], so that a log stays short.
LINE_EVERY_S = 10.0

#: Files that a user opens first; the others are named by their folder.
WHAT_FOR = {
    ".vtkhdf": "every year in 3D; open in ParaView or PyVista",
    ".csv": "table, one row for each time and index",
    ".parquet": "table, one row for each time and index",
    ".png": "picture",
    ".svg": "picture",
    ".webp": "movie",
    ".gif": "movie",
    ".mp4": "movie",
    ".toml": "the study, as it was run",
}


class ProgressBar:
    """A callable for `microct.workflow.simulate`: draws each `Progress` that it is called with.

    A bar where stdout is a terminal, else a line now and then.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self._bar: Any = None
        self._task: Any = None
        self._last_line = 0.0
        self._last_phase = ""

    def __enter__(self) -> ProgressBar:
        if sys.stdout.isatty():
            self._open_bar()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        done, left = self.clock.told(progress.time_yr, progress.total_years)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=phrase(progress), left=left)
            return
        now = time.monotonic()
        if done >= 1.0 or progress.phase != self._last_phase or now - self._last_line >= LINE_EVERY_S:
            self._last_line, self._last_phase = now, progress.phase
            print(f"{phrase(progress)}  {left}".rstrip(), flush=True)

    def _open_bar(self) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
        self._task = self._bar.add_task("getting ready", total=1.0, left="")
        self._bar.start()


class Counting:
    """A callable for `microct.morphometry.batch.measure_many`: how many specimens are done, and which is next."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Counting:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = RichProgress(*columns)
            self._task = self._bar.add_task("getting ready", total=self.total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, name: str, done: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=name)
        else:
            print(f"{done + 1} of {self.total}  {name}", flush=True)


class Telling:
    """A callable that tells what is being drawn: one line that changes on a terminal, else a line for each thing."""

    def __init__(self) -> None:
        self._status: Any = None
        self._last = ""

    def __enter__(self) -> Telling:
        if sys.stdout.isatty():
            from rich.console import Console

            self._status = Console().status("drawing")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, what: str, share: float = 0.0) -> None:
        if self._status is not None:
            self._status.update(f"drawing {what}, {100 * share:.0f} %")
        elif what != self._last:
            print(f"drawing {what}", flush=True)
        self._last = what


class Clock:
    """How much is done, and how long the rest takes at the pace so far.

    The pace counts from the second report on: the first step compiles, and would spoil it.
    """

    def __init__(self, now: Any = time.monotonic) -> None:
        self._now = now
        self._first_year: float | None = None
        self._paced_from: tuple[float, float] | None = None
        self._reports = 0

    def told(self, year: float, total_years: float) -> tuple[float, str]:
        """Share done (0..1) and the time left in words, when the run has come to ``year`` of ``total_years``."""
        if self._first_year is None:
            self._first_year = year
        self._reports += 1
        if self._reports == 2:
            self._paced_from = (self._now(), year)
        whole = total_years - self._first_year
        done = 1.0 if whole <= 0 else min(1.0, max(0.0, (year - self._first_year) / whole))
        if self._paced_from is None or self._reports < 3:
            return done, ""
        started, first = self._paced_from
        if year <= first:
            return done, ""
        return done, f"{duration((self._now() - started) * max(0.0, total_years - year) / (year - first))} left"


def phrase(progress: Progress) -> str:
    """One line that says where the run is: "year  3.0 of 10  BV/TV 21.3 %"."""
    where = f"{progress.phase:<10} " if progress.phase else ""
    when = f"year {progress.time_yr:5.1f} of {progress.total_years:g}"
    return f"{where}{when}  BV/TV {100 * progress.bone_volume_fraction:5.2f} %"


def duration(seconds: float) -> str:
    """ "0:45", "12:03", "3 h 20 min"."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def listing(folder: Path) -> list[str]:
    """The files of a run that a user opens, each with what it is for; the rest as one line for each folder."""
    lines = [f"Files in {folder}:"]
    others: dict[Path, int] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        place = path.relative_to(folder)
        if path.suffix in WHAT_FOR:
            lines.append(f"  {place!s:<32} {size(path.stat().st_size):>9}  {WHAT_FOR[path.suffix]}")
        elif place.parts[0] != place.name:
            others[Path(place.parts[0])] = others.get(Path(place.parts[0]), 0) + path.stat().st_size
    lines += [
        f"  {str(place) + '/':<32} {size(total):>9}  what microct resume goes on from"
        for place, total in others.items()
    ]
    return lines


def size(count: int) -> str:
    """ "812 B", "1.5 MB"."""
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB"):
        count_in_unit = count / (1e3 if unit == "kB" else 1e6)
        if count_in_unit < 1000:
            return f"{count_in_unit:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"
