"""A bone in the colors of a quantity of its tissue, and the color bar that says what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from microct.render import light, page
from microct.render.field import PAD, Field, block_mean, normals, sample
from microct.render.scene import Scene

#: Colors of a scale.
STEPS = 256


@dataclass(frozen=True)
class Scale:
    """What colors mean.

    Attributes:
        inks: (`STEPS`, 3) sRGB 0..255 from 0 to `end`.
        end: value at which the scale ends, in the unit of `name`.
        name: quantity and unit.
        beyond: color of what lies beyond.
    """

    inks: np.ndarray
    end: float
    name: str
    beyond: page.Color

    def colors(self, share: np.ndarray) -> np.ndarray:
        """(n, 3) linear color of values (n,) as shares of the end."""
        place = np.clip(share * (STEPS - 1), 0, STEPS - 1).astype(np.intp)
        result = ((self.inks / 255.0) ** 2.2)[place]
        result[share > 1.0] = light.linear(self.beyond)
        return result

    def bar(self, pen: ImageDraw.ImageDraw, at: page.Place, text: int, width: float) -> None:
        """The scale from 0 to its end, ticks beneath it, and what lies beyond at its tip."""
        x, y = at
        high, low = y - 0.6 * text, y + 0.6 * text
        inks = self.inks.astype(int)
        for column in range(int(width)):
            ink = inks[int(column / width * STEPS)]
            pen.line([(x + column, high), (x + column, low)], fill=tuple(int(part) for part in ink))
        pen.rectangle([x, high, x + width, low], outline=page.QUIET)
        tip = x + width + 1.6 * text
        pen.polygon([(x + width, high), (tip, y), (x + width, low)], fill=self.beyond, outline=page.QUIET)
        face = page.typeface(round(0.8 * text))
        step = page.round_length(self.end / 3.0)
        marks = [k * step for k in range(int(self.end / step - 0.25) + 1)]
        for value in (*marks, self.end):
            place = x + width * value / self.end
            pen.line([(place, low), (place, low + 0.25 * text)], fill=page.QUIET)
            pen.text((place, low + 0.35 * text), f"{value:.3g}", page.INK, face, "ma")
        pen.text((tip + 0.6 * text, y), self.name, page.INK, page.typeface(text), "lm")


@dataclass(frozen=True)
class ColoredScene(Scene):
    """A scene whose bone has the colors of a scale.

    Attributes:
        share: values as shares of the scale's end, at display voxels, as `carried` makes them.
        scale: what they mean.
    """

    share: np.ndarray | None = None
    scale: Scale | None = None

    def bone_surface(self, points: np.ndarray) -> light.Surface:
        """Points (3, n) of the bone's surface, in their color."""
        assert self.share is not None
        assert self.scale is not None
        albedo = self.scale.colors(sample(self.share, points))
        normal = normals(self.bone.values, points, self.bone.spacing_mm)
        return light.surface(points, normal, albedo, self.lamps, self.bone)


def carried(values: np.ndarray, known: np.ndarray, display: Field, rounds: int = 3) -> np.ndarray:
    """Values at the display voxels: the mean over known voxels in each, carried into the voxels around it, padded.

    Args:
        values: (nz, ny, nx). known: the same, bool; values of other voxels are not read.
        rounds: display voxels by which they are carried.
    """
    small = block_mean(np.where(known, values, 0), display.factor)
    weight = block_mean(known.astype(np.float32), display.factor)
    result = np.pad(np.divide(small, weight, out=np.zeros_like(small), where=weight > 0), PAD)
    there = np.pad(weight > 0, PAD)
    for _ in range(rounds):
        total, count = np.zeros_like(result), np.zeros(result.shape, np.float32)
        for axis in range(3):
            for to, source in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
                here = np.moveaxis(there, axis, 0)[source]
                np.moveaxis(total, axis, 0)[to] += np.moveaxis(result, axis, 0)[source] * here
                np.moveaxis(count, axis, 0)[to] += here
        fresh = ~there & (count > 0)
        result[fresh] = total[fresh] / count[fresh]
        there = there | fresh
    return result
