"""The paper around the pictures: captions, legend, scale bar, bars and saving, by Pillow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from microct.render import light
from microct.render.field import Field
from microct.render.frame import Frame
from microct.render.scene import Camera, block_edges
from microct.status import StorageError

INK, QUIET, PALE = (38, 38, 42), (110, 110, 116), (206, 206, 210)
PAPER = (255, 255, 255)
DPI = 300

Color = tuple[int, int, int]
Place = tuple[float, float]


@cache
def typeface(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, so that every machine sets the same text."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def on_paper(rgba: np.ndarray, camera: Camera, size_mm: tuple[float, float, float]) -> Image.Image:
    """The drawing over white, the hidden edges of the block behind it and the others thinly in front."""
    drawing = Image.fromarray(rgba, "RGBA")
    sheet = Image.new("RGBA", drawing.size, (*PAPER, 255))
    sheet.alpha_composite(edge_lines(drawing.size, camera, size_mm, hidden=True))
    sheet.alpha_composite(drawing)
    sheet.alpha_composite(edge_lines(drawing.size, camera, size_mm, hidden=False))
    return sheet.convert("RGB")


def edge_lines(size: tuple[int, int], camera: Camera, size_mm: tuple[float, float, float], hidden: bool) -> Image.Image:
    """The edges of the block as a transparent layer, drawn at twice the size for smooth lines."""
    layer = Image.new("RGBA", (2 * size[0], 2 * size[1]), (*PALE, 0))
    pen = ImageDraw.Draw(layer)
    for start, end, behind in block_edges(size_mm, camera):
        if behind == hidden:
            ends = 2.0 * camera.pixels(np.stack([start, end]), size)
            pen.line([tuple(point) for point in ends], fill=(*QUIET, 150 if hidden else 70), width=2)
    return layer.resize(size, Image.Resampling.BOX)


def round_length(longest: float) -> float:
    """The longest of 1, 2 or 5 times a power of ten that is not above ``longest``."""
    power = 10.0 ** math.floor(math.log10(longest))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= longest * 1.0000001)


def scale_bar(
    pen: ImageDraw.ImageDraw, right: float, baseline: float, mm_per_pixel: float, about: float, size: int
) -> None:
    """A bar of a round length [mm] no longer than ``about`` pixels, its right end at ``right``, label to its left."""
    length = round_length(about * mm_per_pixel)
    long = length / mm_per_pixel
    thick = max(3, size // 5)
    pen.rectangle([right - long, baseline - thick / 2, right, baseline + thick / 2], fill=INK)
    pen.text((right - long - 0.5 * size, baseline), f"{length:g} mm", font=typeface(size), fill=INK, anchor="rm")


def legend(
    pen: ImageDraw.ImageDraw, at: Place, entries: Sequence[tuple[Color, str]], size: int, right: float = math.inf
) -> float:
    """Swatches with words from ``at`` (left, middle of a line), wrapped at ``right``; returns the last middle."""
    x, y = at
    for color, words in entries:
        wide = 1.9 * size + typeface(size).getlength(words)
        if x > at[0] and x + wide > right:
            x, y = at[0], y + 1.6 * size
        pen.rounded_rectangle([x, y - size * 0.45, x + 1.5 * size, y + size * 0.45], size * 0.18, color, QUIET)
        pen.text((x + 1.9 * size, y), words, font=typeface(size), fill=INK, anchor="lm")
        x += wide + 1.3 * size
    return y


def meanings(first: Frame, lost: bool, gained: bool) -> list[tuple[Color, str]]:
    """What the colors say."""
    since = f"since {year_words(first.time_yr).lower()}"
    entries: list[tuple[Color, str]] = [(light.BONE, "bone"), (light.CUT_FACE, "bone, cut by the block")]
    entries += [(light.LOST, f"lost {since}")] if lost else []
    return [*entries, (light.GAINED, f"gained {since}")] if gained else entries


def specimen_name(frame: Frame, title: str) -> str:
    """The title given, else the file that the scan came from."""
    return title or Path(frame.volume.provenance.source).name


def fitted(words: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """``words``, cut where they are wider than ``width`` pixels: behind a comma if one stands in their second half."""
    if face.getlength(words) <= width:
        return words
    while words and face.getlength(words + "…") > width:
        words = words[:-1]
    comma = words.rfind(",")
    return (words[:comma] if comma > len(words) // 2 else words.rstrip()) + "…"


def small_print(field: Field, frame: Frame, extra: str = "") -> str:
    """What was done for the display, in one line."""
    nz, ny, nx = frame.volume.shape
    edge = 1000.0 * min(frame.volume.spacing_mm)
    words = f"{nx} × {ny} × {nz} voxels of {edge:.3g} µm; surface where half the voxel is bone"
    if field.factor > 1:
        words += f"; averaged over {field.factor}³ voxels for display"
    return f"{words}; {extra}" if extra else words


def year_words(time_yr: float) -> str:
    """ "Year 2", "Year 2.5"."""
    # Reports fall on whole steps, up to half a step beside the year that was asked for: a tenth is what that is worth.
    return f"Year {round(time_yr, 1):g}"


def change_words(now: Frame, first: Frame) -> str:
    """ "BV/TV 18.2 % (-16 %)": the value, and how far it is from the first."""
    value, start = now.bone_volume_fraction, first.bone_volume_fraction
    words = f"BV/TV {value:.1f} %"
    if now.time_yr == first.time_yr or start <= 0:
        return words
    percent = 100.0 * (value / start - 1.0)
    return f"{words}  ({'+' if percent > 0 else '−' if percent < 0 else ''}{abs(percent):.1f} %)"


def save_png(sheet: Image.Image, path: Path, facts: Mapping[str, object]) -> Path:
    """Write a PNG of 300 dpi that carries its facts (camera, times, backend) as the text entry "microct"."""
    info = PngImagePlugin.PngInfo()
    info.add_text("microct", json.dumps(facts))
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, pnginfo=info, dpi=(DPI, DPI), compress_level=6)
    except OSError as error:
        raise StorageError(f"cannot write the picture {path}: {error.strerror or error}") from error
    return path


def camera_facts(camera: Camera) -> dict[str, object]:
    """The camera as JSON can hold it."""
    return {
        "azimuth_deg": round(camera.azimuth_deg, 6),
        "elevation_deg": round(camera.elevation_deg, 6),
        "target_zyx_mm": [round(float(edge), 6) for edge in camera.target_mm],
        "mm_per_pixel": camera.mm_per_pixel,
    }
