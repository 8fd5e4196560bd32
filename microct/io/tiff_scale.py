"""What a TIFF file says about the voxel size, and when that can be believed.

A resolution tag alone is weak: programs write 72 or 300 dots per inch where they know nothing, and a TIFF has no
tag for the distance between slices. So screen and print resolutions count as missing, and an in-plane size is taken
for all axes only where nothing contradicts it, which the note says.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from microct.io.source import shown
from microct.io.spacing import Spacing, stated, unit_in_mm

_SCREEN_AND_PRINT_DPI = {1, 36, 72, 90, 96, 100, 120, 144, 150, 180, 200, 240, 250, 254, 300, 360, 400, 600, 720, 800}
_SCREEN_AND_PRINT_DPI |= {1000, 1200, 1440, 2400, 2540, 2880, 4800}


@dataclass(frozen=True)
class PageScale:
    """What the first page says: tags, description, and how many planes the description announces (0: nothing)."""

    description: str
    resolution_xy: tuple[float, float]
    resolution_unit: int
    planes: int = 0
    channels: int = 1


def described(description: str, resolution_xy: tuple[float, float], resolution_unit: int) -> PageScale:
    """Read the announced numbers of planes and channels out of the description (ImageJ, OME, tifffile)."""
    planes, channels = 0, 1
    fields = imagej_fields(description)
    if fields:
        planes = _count(fields.get("images", "1"))
        channels = max(_count(fields.get("channels", "1")), _count(fields.get("frames", "1")))
    elif "<OME" in description[:2000]:
        sizes = {axis: _count(_ome(description, f"Size{axis}") or "1") for axis in "ZCT"}
        planes, channels = sizes["Z"] * sizes["C"] * sizes["T"], max(sizes["C"], sizes["T"])
    elif description.startswith('{"shape"') and len(description) < 4000:
        try:
            shape = json.loads(description)["shape"]
            planes = math.prod(int(n) for n in shape[:-2])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            planes = 0
    return PageScale(description, resolution_xy, resolution_unit, planes, channels)


def imagej_fields(description: str) -> dict[str, str]:
    """The key=value lines of an ImageJ description; empty where it is none."""
    if not description.startswith("ImageJ="):
        return {}
    lines = (line.split("=", 1) for line in description[:10_000].splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in lines}


def page_spacing(scale: PageScale, planes: int) -> Spacing:
    """The voxel size (z, y, x) that a page's tags and description give."""
    fields = imagej_fields(scale.description)
    if fields:
        return _imagej_spacing(fields, scale.resolution_xy, planes)
    if "<OME" in scale.description[:2000]:
        return _ome_spacing(scale.description)
    unit = {2: 25.4, 3: 10.0}.get(scale.resolution_unit)
    x, y = scale.resolution_xy
    if unit is None or not (0 < x < math.inf and 0 < y < math.inf):
        return Spacing(None, "the TIFF has no resolution with a unit")
    dots = [25.4 * resolution / unit for resolution in (x, y)]
    if any(abs(dot - round(dot)) < 0.01 and round(dot) in _SCREEN_AND_PRINT_DPI for dot in dots) or min(dots) < 110:
        return Spacing(None, f"the TIFF's resolution ({dots[0]:.4g} dots per inch) is a screen's or a printer's")
    if abs(x - y) > 1e-3 * x:
        return Spacing(None, "the TIFF gives two pixel sizes and no distance of slices")
    note = "the TIFF's resolution tags, distance of slices taken as the pixel size"
    return stated((unit / y, unit / y, unit / x), "mm", note)


def _imagej_spacing(fields: dict[str, str], resolution_xy: tuple[float, float], planes: int) -> Spacing:
    unit = fields.get("unit", "")
    factor = unit_in_mm(unit)
    if factor is None:
        return Spacing(None, f"ImageJ's unit is {shown(unit or 'missing', 20)}")
    x, y = resolution_xy
    if not (0 < x < math.inf and 0 < y < math.inf):
        return Spacing(None, "ImageJ's resolution tags are missing")
    pixel_x, pixel_y = _tidy(1.0 / x), _tidy(1.0 / y)
    note = "ImageJ's calibration"
    if "spacing" in fields:
        slices = _number(fields["spacing"])
    elif planes > 1:
        # ImageJ leaves the field out where the distance is exactly 1, which it also assumes where it knows nothing
        if abs(pixel_x - 1.0) > 1e-3:
            return Spacing(None, f"ImageJ gives a pixel of {pixel_x:g} {shown(unit, 20)} and no distance of slices")
        slices = 1.0
    else:
        slices, note = pixel_x, f"{note}, distance of slices taken as the pixel size"
    return stated((slices, pixel_y, pixel_x), "mm" if factor == 1.0 else unit, note)


def _tidy(size: float) -> float:
    """ImageJ stores 1e6/size as a whole number: six digits are real."""
    return float(f"{size:.6g}")


def _ome(description: str, attribute: str) -> str | None:
    match = re.search(rf'\b{attribute}="([^"]{{1,40}})"', description[:100_000])
    return match[1] if match else None


def _ome_spacing(description: str) -> Spacing:
    sizes, units = [], set()
    for axis in "ZYX":
        text = _ome(description, f"PhysicalSize{axis}")
        if text is None:
            return Spacing(None, f"OME gives no PhysicalSize{axis}")
        sizes.append(_number(text))
        units.add(_ome(description, f"PhysicalSize{axis}Unit") or "um")
    if len(units) > 1:
        return Spacing(None, "OME gives its axes in different units")
    return stated(sizes, units.pop(), "OME's PhysicalSize")


def _number(text: str) -> float:
    """A decimal number, or NaN, which no later check lets pass."""
    match = re.fullmatch(r"-?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", text)
    return float(text) if match else math.nan


def _count(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 1
