"""Where and how bone was lost, in 3D: the bone that stands, and what is gone colored by its mode of loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from microct.morphometry.loss_modes import LossModes, Mode, loss_modes
from microct.render import light, page
from microct.render.backend import backend_in_use, draw
from microct.render.field import PAD, field, normals, sample
from microct.render.frame import Frame, same_block
from microct.render.panels import fitting, has_gained, text_size
from microct.render.scene import Scene, framed
from microct.status import InputError

#: Colors that color-blind readers tell apart (after Okabe, Ito 2008), for each mode.
COLORS: dict[Mode, page.Color] = {
    Mode.PERFORATION: (213, 94, 0),
    Mode.BREAKAGE: (0, 90, 178),
    Mode.ISLAND: (204, 96, 170),
    Mode.THINNING: (176, 176, 182),
}
_NAMES = {
    Mode.PERFORATION: "plate perforated",
    Mode.BREAKAGE: "rod broken",
    Mode.ISLAND: "island",
    Mode.THINNING: "thinned",
}
#: Thinned bone lies over everything that stands: drawn faintly.
_OPACITY = {Mode.PERFORATION: 0.95, Mode.BREAKAGE: 0.95, Mode.ISLAND: 0.95, Mode.THINNING: 0.16}


@dataclass(frozen=True)
class ModeScene(Scene):
    """A scene whose lost bone is colored by mode.

    Attributes:
        mode: modes of the display voxels, padded as the fields are, and grown over the voxels around lost bone.
    """

    mode: np.ndarray | None = None

    def lost_surface(self, points: np.ndarray) -> light.Surface:
        """Points (3, n) of the first surface: colored by mode, transparent where bone still stands."""
        assert self.first is not None
        assert self.mode is not None
        limits = np.array(self.mode.shape)[:, None] - 1
        nearest = np.clip(np.rint(points).astype(np.intp), 0, limits)
        kind = self.mode[tuple(nearest)]
        albedo = np.zeros((points.shape[1], 3), np.float32)
        opacity = np.zeros(points.shape[1], np.float32)
        for mode, color in COLORS.items():
            albedo[kind == mode] = light.linear(color)
            opacity[kind == mode] = _OPACITY[mode]
        opacity *= light.lost_weight(sample(self.bone.values, points))
        normal = normals(self.first.values, points, self.first.spacing_mm)
        return light.surface(points, normal, albedo, self.lamps, self.bone, opacity)


def loss_picture(
    first: Frame,
    second: Frame,
    path: str | Path,
    title: str = "",
    *,
    found: LossModes | None = None,
    tile: tuple[int, int] = (1100, 1000),
    backend: str = "auto",
    progress: Callable[[], None] | None = None,
) -> Path:
    """Draw how bone was lost between two times into one PNG.

    Args:
        first, second: the bone before and after, on the same voxels.
        path: of the PNG.
        title: name of the specimen; left out, the file that the scan came from.
        found: modes of loss of these two, if already worked out.
        tile: width and height of the picture [pixels].
        backend: "auto", "pyvista" or "tracer".
        progress: called when the drawing is done.

    Returns:
        The path.

    Raises:
        InputError: frames of different blocks. StorageError: the file cannot be written.
    """
    same_block(first, second)
    found = loss_modes(first.fraction, second.fraction) if found is None else found
    if found.mode.shape != second.volume.shape:
        raise InputError(f"loss modes of {found.mode.shape} voxels do not belong to {second.volume.shape}")
    before, now = field(first), field(second)
    shown = ModeScene(now, before, mode=np.pad(grown(shrunk(found.mode, now.factor)), PAD, mode="edge"))
    camera = framed(now.size_mm, tile)
    backend = backend_in_use(backend)
    drawing = page.on_paper(draw(shown, camera, tile, backend), camera, now.size_mm)
    if progress is not None:
        progress()
    name = page.specimen_name(first, title)
    sheet = _sheet(drawing, found, first, second, name, camera.mm_per_pixel, has_gained(now, before))
    facts = {
        "camera": page.camera_facts(camera),
        "times_yr": [first.time_yr, second.time_yr],
        "backend": backend,
        "display_factor": now.factor,
    }
    return page.save_png(sheet, Path(path), facts)


def shrunk(mode: np.ndarray, factor: int) -> np.ndarray:
    """The most telling mode in each cube of ``factor`` voxels: the highest number."""
    if factor == 1:
        return mode
    for axis in range(3):
        mode = np.maximum.reduceat(mode, np.arange(0, mode.shape[axis], factor), axis=axis)
    return mode


def grown(mode: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Modes carried into voxels without one, so that a surface beside lost voxels finds theirs."""
    result = mode.copy()
    for _ in range(rounds):
        wider = result.copy()
        for axis in range(3):
            to, source = np.moveaxis(wider, axis, 0), np.moveaxis(result, axis, 0)
            for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
                empty = np.moveaxis(result, axis, 0)[here] == 0
                to[here] = np.where(empty, np.maximum(to[here], source[there]), to[here])
        result = wider
    return result


def _sheet(
    drawing: Image.Image,
    found: LossModes,
    first: Frame,
    second: Frame,
    title: str,
    mm_per_pixel: float,
    gained: bool,
) -> Image.Image:
    """The drawing with title, legend of volumes and counts, and scale bar."""
    text = text_size(drawing.width, 1)
    width = drawing.width + 2 * text
    sheet = Image.new("RGB", (width, drawing.height + int(11 * text)), page.PAPER)
    sheet.paste(drawing, (text, int(3.2 * text)))
    pen = ImageDraw.Draw(sheet)
    size = fitting(title, 0.9 * (width - 2 * text), round(1.2 * text))
    pen.text((text, 0.5 * text), title, page.INK, page.typeface(size, True), "la")
    years = f"{page.year_words(first.time_yr)} to {page.year_words(second.time_yr).lower()}"
    pen.text((text, 2.0 * text), years, page.INK, page.typeface(text), "la")
    line = page.legend(pen, (text, drawing.height + 4.4 * text), _entries(found, gained), text, width - text)
    page.scale_bar(pen, width - text, line + 2.0 * text, mm_per_pixel, 0.3 * drawing.width, text)
    words = "shares of the bone that was lost; elements are colored where they lost their connection, thinning is faint"
    size = fitting(words, 0.5 * width, round(0.76 * text))
    pen.text((text, line + 2.0 * text), words, page.QUIET, page.typeface(size), "lm")
    return sheet.crop((0, 0, width, min(sheet.height, int(line + 3.4 * text))))


def _entries(found: LossModes, gained: bool) -> Sequence[tuple[page.Color, str]]:
    counts = {Mode.PERFORATION: found.perforations, Mode.BREAKAGE: found.breakages, Mode.ISLAND: found.islands}
    entries = [(light.BONE, "bone that stands"), (light.CUT_FACE, "cut by the block")]
    for mode, color in COLORS.items():
        share = f"{100.0 * found.volume[mode] / found.lost:.1f} %" if found.lost > 0 else "none"
        number = f", {counts[mode]} ×" if mode in counts else ""
        entries.append((color, f"{_NAMES[mode]} {share}{number}"))
    return [*entries, (light.GAINED, "gained")] if gained else entries
