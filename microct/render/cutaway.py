"""A look inside: the block cut open, before and after, what was lost marked on the cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from microct.render import page
from microct.render.backend import backend_in_use, draw
from microct.render.field import Box, field
from microct.render.frame import Frame, baseline_index, checked, same_block
from microct.render.panels import has_gained, sheet_of
from microct.render.scene import AZIMUTH_DEG, framed, scene
from microct.status import StudyError

CUTS = ("half", "octant")


def cutaway(
    frames: Sequence[Frame],
    path: str | Path,
    title: str = "",
    *,
    cut: str = "half",
    tile: tuple[int, int] = (820, 780),
    backend: str = "auto",
    progress: Callable[[], None] | None = None,
) -> Path:
    """Draw the first and the last of the frames, cut open the same way, side by side into one PNG.

    Args:
        frames: at least one; the first at time 0 or later is "before", the last is "after".
        path: of the PNG.
        title: name of the specimen; left out, the file that the scan came from.
        cut: "half" takes the half towards the camera away, "octant" one corner.
        tile: width and height of one picture [pixels].
        backend: "auto", "pyvista" or "tracer".
        progress: called after each picture.

    Returns:
        The path.

    Raises:
        InputError: no frames, or frames of different blocks.
        StudyError: an unknown cut.
        StorageError: the file cannot be written.
    """
    frames = checked(frames)
    first, last = frames[baseline_index([frame.time_yr for frame in frames])], frames[len(frames) - 1]
    same_block(first, last)
    before = field(first)
    removed = removed_box(before.shape, cut)
    azimuth, elevation = (AZIMUTH_DEG, 34.0) if cut == "octant" else (-72.0, 20.0)
    camera = framed(before.size_mm, tile, azimuth, elevation)
    backend = backend_in_use(backend)
    tiles, gained = [], False
    for frame in (first, last) if last is not first else (first,):
        now = before if frame is first else field(frame)
        shown = scene(now, None if frame is first else before, removed, lost_opacity=0.8)
        tiles.append((frame, page.on_paper(draw(shown, camera, tile, backend), camera, before.size_mm)))
        gained = gained or has_gained(now, before)
        if progress is not None:
            progress()
    sheet = sheet_of(tiles, first, before, camera.mm_per_pixel, title, gained)
    facts = {
        "camera": page.camera_facts(camera),
        "times_yr": [frame.time_yr for frame, _ in tiles],
        "backend": backend,
        "cut": cut,
        "display_factor": before.factor,
    }
    return page.save_png(sheet, Path(path), facts)


def removed_box(shape: tuple[int, int, int], cut: str) -> Box:
    """The display voxels that are taken away: those nearest to the default camera (from -y, +x and above)."""
    nz, ny, nx = shape
    if cut == "half":
        return ((0, nz), (0, ny // 2), (0, nx))
    if cut == "octant":
        return ((nz // 2, nz), (0, ny // 2), (nx // 2, nx))
    raise StudyError(f"cut {cut!r} is unknown; expected one of {', '.join(CUTS)}")
