"""Every picture of a run in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from microct.render.backend import backend_in_use
from microct.render.cutaway import cutaway
from microct.render.figures import figures
from microct.render.frame import Frame, checked
from microct.render.movie import movie
from microct.render.panels import panels
from microct.table import Table

#: Width and height of one panel, one cut-away and one movie image [pixels]; the tracer's movie is smaller (and
#: turns in fewer views), as it pays for each pixel and not for each triangle.
PANEL, CUT_AWAY, MOVIE, TRACED_MOVIE = (640, 600), (820, 780), (480, 440), (400, 370)


def render_all(
    frames: Sequence[Frame],
    table: Table | None,
    folder: str | Path,
    backend: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    title: str = "",
    scale: float = 1.0,
) -> list[Path]:
    """Make panels, cut-away, movie and figures.

    Args:
        frames: ascending in time, at least one.
        table: of the run, for the figures and for BV/TV in captions; None or a table without times: no figures.
        folder: made if it is not there.
        backend: "auto", "pyvista" or "tracer".
        progress: called with what is being made and the share done, 0 to 1.
        title: name of the specimen; left out, the file that the scan came from.
        scale: size of every drawing, relative to the usual.

    Returns:
        The files made: years.png, cutaway.png, years.webp, and those of `microct.render.figures.figures`.

    Raises:
        InputError: no frames, or frames of different blocks.
        StudyError: an unknown backend, or PyVista asked for where OpenGL does not work.
        StorageError: a file cannot be written.
    """
    folder = Path(folder)
    frames = measured(checked(frames), table)
    backend = backend_in_use(backend)
    views = 3 if backend == "pyvista" else 2
    work = {"panels": min(6, len(frames)), "cut-away": 2 * min(2, len(frames)), "movie": 0.6 * views * len(frames)}
    work["figures"] = 4.0
    total, done = float(sum(work.values())), 0.0

    def report(what: str, share: float) -> None:
        if progress is not None:
            progress(what, min(1.0, (done + share * work[what]) / total))

    def counter(what: str, steps: int) -> Callable[[], None]:
        seen = 0

        def step() -> None:
            nonlocal seen
            seen += 1
            report(what, min(1.0, seen / steps))

        return step

    def sized(size: tuple[int, int]) -> tuple[int, int]:
        return max(16, round(scale * size[0])), max(16, round(scale * size[1]))

    made: list[Path] = []
    report("panels", 0.0)
    step = counter("panels", min(6, len(frames)))
    made.append(panels(frames, folder / "years.png", title=title, tile=sized(PANEL), backend=backend, progress=step))
    done += work["panels"]
    step = counter("cut-away", 2)
    path = folder / "cutaway.png"
    made.append(cutaway(frames, path, title, tile=sized(CUT_AWAY), backend=backend, progress=step))
    done += work["cut-away"]
    step = counter("movie", views * len(frames))
    size = sized(MOVIE if backend == "pyvista" else TRACED_MOVIE)
    path = folder / "years.webp"
    made.append(movie(frames, path, title, images_per_frame=views, size=size, backend=backend, progress=step))
    done += work["movie"]
    if table is not None and table.times_yr:
        made.extend(figures(table, folder, title=title))
    report("figures", 1.0)
    return made


def measured(frames: Sequence[Frame], table: Table | None) -> Sequence[Frame]:
    """The frames with the BV/TV of the table, where it has one for that time; they still load when they are indexed."""
    known = (
        {} if table is None else {row.time_yr: row.value for row in table.series("BV/TV") if row.time_yr is not None}
    )
    return Measured(frames, known) if known else frames


class Measured(Sequence[Frame]):
    """Frames whose captions say what morphometry measured."""

    def __init__(self, frames: Sequence[Frame], bv_tv: dict[float, float]) -> None:
        self.frames, self.bv_tv = frames, bv_tv

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        frame = self.frames[index]
        near = min(self.bv_tv, key=lambda time: abs(time - frame.time_yr))
        if frame.bv_tv is not None or abs(near - frame.time_yr) > 1e-6 or self.bv_tv[near] != self.bv_tv[near]:
            return frame
        return Frame(frame.time_yr, frame.volume, self.bv_tv[near])
