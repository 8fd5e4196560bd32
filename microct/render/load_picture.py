"""How a bone bears its load, in 3D: effective strain on its surface and on a cut, with a color bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ImageDraw

from microct.render import light, page
from microct.render.field import PAD, Box, Field, block_mean, field, normals, sample
from microct.render.frame import Frame
from microct.render.scene import Scene
from microct.render.two_views import TILE, Words, two_views
from microct.status import InputError
from microct.volume import Volume

#: Bone strained beyond the critical strain.
BEYOND: page.Color = (74, 12, 92)
_STEPS = 256


@dataclass(frozen=True)
class LoadScene(Scene):
    """A scene whose bone is colored by its strain.

    Attributes:
        share: strain by the critical one at display voxels, padded as the field is, and grown into what is no bone.
    """

    share: np.ndarray | None = None

    def bone_surface(self, points: np.ndarray) -> light.Surface:
        """Points (3, n) of the bone's surface, in the color of their strain."""
        assert self.share is not None
        albedo = colors(sample(self.share, points))
        normal = normals(self.bone.values, points, self.bone.spacing_mm)
        return light.surface(points, normal, albedo, self.lamps, self.bone)


def load_picture(
    bone: Volume,
    strain: np.ndarray,
    critical: float,
    path: str | Path,
    title: str,
    *,
    says: str = "",
    tile: tuple[int, int] = TILE,
    backend: str = "auto",
) -> Path:
    """Draw the effective strain of a loaded bone into one PNG: whole, and cut open.

    Args:
        bone: bone fraction (uint8) or a bool mask.
        strain: (nz, ny, nx) effective strain, 0 where there is no bone or none that bears load.
        critical: strain at which the scale ends; what is beyond has a color of its own.
        path: of the PNG.
        title: name of the specimen.
        says: one line beneath it.
        tile: width and height of each of the two views [pixels].
        backend: "auto", "pyvista" or "tracer".

    Raises:
        InputError: other voxels, or a critical strain that is not above 0. StorageError: the file cannot be written.
    """
    if strain.shape != bone.shape:
        raise InputError(f"picture: expected strain of {bone.shape} voxels, got {strain.shape}")
    if not critical > 0:
        raise InputError(f"picture: expected a critical strain above 0, got {critical}")
    frame = Frame(0.0, bone)
    display = field(frame)
    share = shared(strain / critical, display)

    def shown(box: Box | None) -> Scene:
        cut = display if box is None else display.without(box)
        return LoadScene(cut, removed=box, share=share)

    def scale(pen: ImageDraw.ImageDraw, at: page.Place, text: int, width: float) -> None:
        color_bar(pen, at, text, min(width, 0.62 * tile[0]), critical)

    small = page.small_print(display, frame, "one camera, no perspective")
    beyond = float(np.mean(strain[strain > 0] > critical)) if (strain > 0).any() else 0.0
    entries = [(BEYOND, f"beyond {100.0 * critical:g} %: {100.0 * beyond:.2g} % of the bone that bears load")]
    return two_views(
        shown, display, Words(title, says, entries, small), Path(path), tile=tile, backend=backend, legend=scale,
        facts={"critical_strain": critical},
    )  # fmt: skip


def colors(share: np.ndarray) -> np.ndarray:
    """(n, 3) linear color of shares (n,) of the critical strain: pale to dark red (YlOrRd), violet beyond 1."""
    place = np.clip(share * (_STEPS - 1), 0, _STEPS - 1).astype(np.intp)
    result = ((_scale() / 255.0) ** 2.2)[place]
    result[share > 1.0] = light.linear(BEYOND)
    return result


def shared(share: np.ndarray, display: Field, rounds: int = 3) -> np.ndarray:
    """Values at the display voxels: the mean over bone in each, carried into the voxels around it, padded."""
    small = block_mean(share, display.factor)
    weight = block_mean((share > 0).astype(np.float32), display.factor)
    result = np.pad(np.divide(small, weight, out=np.zeros_like(small), where=weight > 0), PAD)
    known = np.pad(weight > 0, PAD)
    for _ in range(rounds):
        total, count = np.zeros_like(result), np.zeros(result.shape, np.float32)
        for axis in range(3):
            for to, source in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
                here = np.moveaxis(known, axis, 0)[source]
                np.moveaxis(total, axis, 0)[to] += np.moveaxis(result, axis, 0)[source] * here
                np.moveaxis(count, axis, 0)[to] += here
        fresh = ~known & (count > 0)
        result[fresh] = total[fresh] / count[fresh]
        known = known | fresh
    return result


def color_bar(pen: ImageDraw.ImageDraw, at: page.Place, text: int, width: float, critical: float) -> None:
    """The scale from 0 to the critical strain in percent, ticks beneath it, and what lies beyond at its end."""
    x, y = at
    high, low = y - 0.6 * text, y + 0.6 * text
    inks = _scale().astype(int)
    for column in range(int(width)):
        ink = inks[int(column / width * _STEPS)]
        pen.line([(x + column, high), (x + column, low)], fill=tuple(int(part) for part in ink))
    pen.rectangle([x, high, x + width, low], outline=page.QUIET)
    tip = x + width + 1.6 * text
    pen.polygon([(x + width, high), (tip, y), (x + width, low)], fill=BEYOND, outline=page.QUIET)
    face = page.typeface(round(0.8 * text))
    step = page.round_length(100.0 * critical / 3.0)
    marks = [k * step for k in range(int(100.0 * critical / step - 0.25) + 1)]
    for value in (*marks, 100.0 * critical):
        place = x + width * value / (100.0 * critical)
        pen.line([(place, low), (place, low + 0.25 * text)], fill=page.QUIET)
        pen.text((place, low + 0.35 * text), f"{value:g}", page.INK, face, "ma")
    pen.text((tip + 0.6 * text, y), "effective strain (%)", page.INK, page.typeface(text), "lm")


def _scale() -> np.ndarray:
    """(256, 3) sRGB 0..255."""
    import matplotlib

    map_ = matplotlib.colormaps["YlOrRd"]
    return 255.0 * np.array([map_(k / (_STEPS - 1))[:3] for k in range(_STEPS)], np.float32)
