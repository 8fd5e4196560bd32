"""One bone as a whole and cut open, side by side on one sheet with title, legend and scale bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from microct.render import page
from microct.render.backend import backend_in_use, draw
from microct.render.cutaway import removed_box
from microct.render.field import Box, Field
from microct.render.panels import fitting, text_size
from microct.render.scene import Scene, framed

#: Width and height of each view [pixels].
TILE = (820, 780)
_AZIMUTH_DEG, _ELEVATION_DEG = -72.0, 20.0


@dataclass(frozen=True)
class Words:
    """What is written around the views.

    Attributes:
        title: in bold, above.
        says: one line beneath the title.
        entries: color and meaning of the legend.
        small: small print at the bottom.
    """

    title: str
    says: str
    entries: Sequence[tuple[page.Color, str]]
    small: str


def two_views(
    shown: Callable[[Box | None], Scene],
    display: Field,
    words: Words,
    path: Path,
    *,
    tile: tuple[int, int] = TILE,
    backend: str = "auto",
    legend: Callable[[ImageDraw.ImageDraw, page.Place, int, float], None] | None = None,
    facts: dict[str, object] | None = None,
) -> Path:
    """Draw a scene whole and without the half towards the camera into one PNG.

    Args:
        shown: makes the scene, without the box of display voxels that it is handed, if any.
        display: a field of the block, for its size.
        words: what is written.
        path: of the PNG.
        tile: width and height of each view [pixels].
        backend: "auto", "pyvista" or "tracer".
        legend: draws something of its own beneath the views, given the pen, the middle of its left end, the size of
            type and the width that it may take; 3.2 lines are kept for it.
        facts: more for the text entry "microct" of the PNG.

    Raises:
        StorageError: the file cannot be written.
    """
    camera = framed(display.size_mm, tile, _AZIMUTH_DEG, _ELEVATION_DEG)
    backend = backend_in_use(backend)
    views = [
        page.on_paper(draw(shown(box), camera, tile, backend), camera, display.size_mm)
        for box in (None, removed_box(display.shape, "half"))
    ]
    text = text_size(tile[0], 2)
    head, own = int(6.0 * text), int(3.2 * text) if legend else 0
    width = 2 * tile[0] + 2 * text
    sheet = Image.new("RGB", (width, head + tile[1] + own + int(12 * text)), page.PAPER)
    pen = ImageDraw.Draw(sheet)
    size = fitting(words.title, 0.9 * (width - 2 * text), round(1.25 * text))
    pen.text((text, 0.6 * text), words.title, page.INK, page.typeface(size, True), "la")
    size = fitting(words.says, width - 2 * text, text)
    pen.text((text, 2.4 * text), words.says, page.INK, page.typeface(size), "la")
    for number, (view, name) in enumerate(zip(views, ("whole", "cut open"), strict=True)):
        x = text + number * tile[0]
        sheet.paste(view, (x, head))
        pen.line([(x, head - 0.3 * text), (x + tile[0] - 0.6 * text, head - 0.3 * text)], page.PALE, max(1, text // 12))
        pen.text((x, head - 0.7 * text), name, page.INK, page.typeface(text, True), "ls")
    line = head + tile[1] + 1.2 * text
    bar = 0.4 * tile[0]
    if legend is not None:
        legend(pen, (text, line), text, min(width - bar - 10 * text, 0.62 * tile[0]))
        page.scale_bar(pen, width - 1.6 * text, line, camera.mm_per_pixel, bar, text)
        line += own
        line = page.legend(pen, (text, line), words.entries, text, width - text)
    else:
        middle = line
        line = page.legend(pen, (text, line), words.entries, text, width - bar - 10 * text)
        page.scale_bar(pen, width - 1.6 * text, middle, camera.mm_per_pixel, bar, text)
    face = page.typeface(fitting(words.small, width - 2 * text, round(0.76 * text)))
    pen.text((text, line + 1.4 * text), words.small, page.QUIET, face, "la")
    sheet = sheet.crop((0, 0, width, min(sheet.height, int(line + 3.2 * text))))
    about = {"camera": page.camera_facts(camera), "backend": backend, "display_factor": display.factor}
    return page.save_png(sheet, path, about | (facts or {}))
