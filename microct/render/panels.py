"""Year by year: the same bone from the same camera, side by side, lost bone marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from microct.render import page
from microct.render.backend import backend_in_use, draw
from microct.render.field import LEVEL, Field, field
from microct.render.frame import Frame, baseline_index, checked, chosen, same_block
from microct.render.scene import framed, scene

#: Panels are this many at most unless times are given.
MOST = 6


def panels(
    frames: Sequence[Frame],
    path: str | Path,
    times: Sequence[float] | None = None,
    title: str = "",
    *,
    tile: tuple[int, int] = (640, 600),
    backend: str = "auto",
    progress: Callable[[], None] | None = None,
) -> Path:
    """Draw the bone at several years from one camera into one PNG.

    Args:
        frames: ascending in time; loss is counted from the first at time 0 or later.
        path: of the PNG.
        times: years to show (the nearest frames are taken); left out, at most six, evenly spread.
        title: name of the specimen; left out, the file that the scan came from.
        tile: width and height of one panel [pixels].
        backend: "auto", "pyvista" or "tracer".
        progress: called after each panel.

    Returns:
        The path. The PNG's text entry "microct" holds camera, times and backend as JSON.

    Raises:
        InputError: no frames, or frames of different blocks.
        StorageError: the file cannot be written.

    Example:
        >>> panels([Frame(0.0, before), Frame(10.0, after)], "years.png")  # doctest: +SKIP
    """
    frames = checked(frames)
    start = baseline_index([frame.time_yr for frame in frames])
    shown = chosen(frames, times) if times is not None else spread(range(start, len(frames)), MOST)
    first = frames[start]
    first_field = field(first)
    camera = framed(first_field.size_mm, tile)
    backend = backend_in_use(backend)
    tiles, gained = [], False
    for index in shown:
        frame = frames[index]
        same_block(first, frame)
        now = first_field if index == start else field(frame)
        picture = draw(scene(now, None if now is first_field else first_field), camera, tile, backend)
        tiles.append((frame, page.on_paper(picture, camera, first_field.size_mm)))
        gained = gained or has_gained(now, first_field)
        if progress is not None:
            progress()
    sheet = sheet_of(tiles, first, first_field, camera.mm_per_pixel, title, gained)
    facts = {
        "camera": page.camera_facts(camera),
        "times_yr": [frame.time_yr for frame, _ in tiles],
        "backend": backend,
        "tile": list(tile),
        "display_factor": first_field.factor,
    }
    return page.save_png(sheet, Path(path), facts)


def spread(indices: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of the indices, evenly spread, first and last among them."""
    if len(indices) <= most:
        return list(indices)
    return [indices[int(i)] for i in np.unique(np.linspace(0, len(indices) - 1, most).round().astype(int))]


def has_gained(now: Field, first: Field) -> bool:
    """Whether any bone stands where there was clearly none (then the legend says so)."""
    return bool(((now.values > LEVEL) & (first.values < LEVEL - 60)).any())


def sheet_of(
    tiles: Sequence[tuple[Frame, Image.Image]],
    first: Frame,
    display: Field,
    mm_per_pixel: float,
    title: str,
    gained: bool,
) -> Image.Image:
    """Lay the panels out with title, captions, legend and scale bar."""
    width, height = tiles[0][1].size
    columns = min(len(tiles), 3)
    rows = -(-len(tiles) // columns)
    text = text_size(width, columns)
    gap, head, foot, label = text, 3 * text, int(7.4 * text), int(2.2 * text)
    sheet = Image.new("RGB", (columns * width + 2 * gap, head + rows * (height + label) + foot), page.PAPER)
    pen = ImageDraw.Draw(sheet)
    face = page.typeface(round(1.25 * text), True)
    name = page.fitted(page.specimen_name(first, title), face, sheet.width - 2 * gap)
    pen.text((gap, 0.6 * text), name, page.INK, face, "la")
    for i, (frame, picture) in enumerate(tiles):
        x, y = gap + (i % columns) * width, head + (i // columns) * (height + label)
        sheet.paste(picture, (x, y + label))
        pen.line(
            [(x + 0.2 * text, y + 2 * text), (x + width - 0.6 * text, y + 2 * text)], page.PALE, max(1, text // 12)
        )
        pen.text(
            (x + 0.2 * text, y + 1.5 * text), page.year_words(frame.time_yr), page.INK, page.typeface(text, True), "ls"
        )
        words = page.change_words(frame, first)
        pen.text((x + width - 0.6 * text, y + 1.5 * text), words, page.INK, page.typeface(text), "rs")
    line = sheet.height - foot + 1.5 * text
    bar = 0.45 * width
    meanings = page.meanings(first, len(tiles) > 1, gained)
    line = page.legend(pen, (gap, line), meanings, text, sheet.width - bar - 6 * text)
    page.scale_bar(pen, sheet.width - 1.6 * gap, sheet.height - foot + 1.5 * text, mm_per_pixel, bar, text)
    brackets = f"; in brackets the change since {page.year_words(first.time_yr).lower()}" if len(tiles) > 1 else ""
    words = page.small_print(display, first, f"one camera, no perspective{brackets}")
    size = fitting(words, sheet.width - 2 * gap, round(0.76 * text))
    pen.text((gap, line + 1.6 * text), words, page.QUIET, page.typeface(size), "la")
    return sheet.crop((0, 0, sheet.width, min(sheet.height, int(line + 3.4 * text))))


def text_size(width: int, columns: int) -> int:
    """Type size for panels ``width`` pixels wide, so many abreast."""
    return max(14, round(width / {1: 36, 2: 27}.get(columns, 23)))


def fitting(words: str, width: float, largest: int) -> int:
    """The largest type size, at most ``largest``, at which the words take no more than ``width`` pixels."""
    for size in range(largest, 7, -1):
        if page.typeface(size).getlength(words) <= width:
            return size
    return 8
