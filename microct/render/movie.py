"""Years passing: an animated picture, the camera turning slowly, the year and BV/TV counted."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from microct.render import light, page
from microct.render.backend import backend_in_use, draw
from microct.render.field import field
from microct.render.frame import Frame, baseline_index, checked, same_block
from microct.render.panels import has_gained
from microct.render.scene import framed, scene
from microct.status import StorageError, StudyError

SUFFIXES = (".webp", ".gif", ".mp4")


def movie(
    frames: Sequence[Frame],
    path: str | Path,
    title: str = "",
    *,
    images_per_frame: int = 3,
    images_per_second: float = 5.0,
    swing_deg: float = 22.0,
    size: tuple[int, int] = (480, 440),
    backend: str = "auto",
    progress: Callable[[], None] | None = None,
) -> Path:
    """Draw the frames as an animation that runs for ever (WebP, GIF) or once (mp4).

    Nothing is invented between frames: each stands still in time while the camera turns on, and the next replaces it.

    Args:
        frames: ascending in time; loss is counted from the first at time 0 or later, and burn-in is left out.
        path: ends in ".webp" or ".gif" (Pillow), or ".mp4" (needs the package imageio-ffmpeg).
        title: name of the specimen; left out, the file that the scan came from.
        images_per_frame: how many views of each frame.
        images_per_second: speed.
        swing_deg: the camera turns by as much to either side, and comes back to where it began.
        size: width and height of the drawing [pixels]; the captions come below it.
        backend: "auto", "pyvista" or "tracer".
        progress: called after each image.

    Returns:
        The path.

    Raises:
        InputError: no frames, or frames of different blocks.
        StudyError: another suffix, or mp4 without imageio-ffmpeg.
        StorageError: the file cannot be written.
    """
    frames, path = checked(frames), Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise StudyError(f"movie {path.name}: expected a name ending in one of {', '.join(SUFFIXES)}")
    if path.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise StudyError(
            f"movie {path.name}: mp4 needs the package imageio-ffmpeg; install microct[movie] or take .webp"
        )
    start = baseline_index([frame.time_yr for frame in frames])
    first, backend = frames[start], backend_in_use(backend)
    first_field = field(first)
    camera = framed(first_field.size_mm, size, swing_deg=swing_deg)
    count = len(frames) - start
    total = count * images_per_frame
    gained = has_gained(field(frames[len(frames) - 1]), first_field)
    images = []
    for index in range(start, len(frames)):
        frame = frames[index]
        same_block(first, frame)
        now = first_field if index == start else field(frame)
        shown = scene(now, None if now is first_field else first_field)
        for view in range(images_per_frame):
            done = ((index - start) * images_per_frame + view) / total
            turned = camera.turned(-swing_deg * float(np.sin(2.0 * np.pi * done)))
            drawing = page.on_paper(draw(shown, turned, size, backend), turned, first_field.size_mm)
            images.append(captioned(drawing, frame, first, camera.mm_per_pixel, title, gained))
            if progress is not None:
                progress()
    milliseconds = [round(1000.0 / images_per_second)] * len(images)
    milliseconds[-1] += 1200
    write(images, path, milliseconds)
    return path


def captioned(
    drawing: Image.Image, frame: Frame, first: Frame, mm_per_pixel: float, title: str, gained: bool
) -> Image.Image:
    """The drawing with the year, a bar of BV/TV (what is left, what is lost), legend and scale bar."""
    width, height = drawing.size
    text = max(12, round(width / 34))
    sheet = Image.new("RGB", (width, height + round(8.6 * text)), page.PAPER)
    sheet.paste(drawing, (0, int(2.2 * text)))
    pen = ImageDraw.Draw(sheet)
    face = page.typeface(text, True)
    name = page.fitted(page.specimen_name(first, title), face, 0.7 * width - 2 * text)
    pen.text((text, 0.8 * text), name, page.INK, face, "la")
    page.scale_bar(pen, width - text, 1.4 * text, mm_per_pixel, 0.22 * width, text)
    line = height + 3.6 * text
    pen.text((text, line), page.year_words(frame.time_yr), page.INK, page.typeface(round(1.4 * text), True), "lm")
    pen.text((width - text, line), page.change_words(frame, first), page.INK, page.typeface(text), "rm")
    left, right, top = text, width - text, line + 1.2 * text
    start = max(first.bone_volume_fraction, frame.bone_volume_fraction, 1e-6)
    remains = left + (right - left) * frame.bone_volume_fraction / start
    pen.rectangle([left, top, right, top + 0.6 * text], fill=light.LOST)
    pen.rectangle([left, top, remains, top + 0.6 * text], fill=light.CUT_FACE)
    entries = [entry for entry in page.meanings(first, True, gained) if entry[0] != light.CUT_FACE]
    page.legend(pen, (text, top + 1.8 * text), entries, round(0.85 * text))
    words = f"each frame is held while the camera turns; {first.volume.shape[0]} voxels of {voxel_words(first)} up"
    pen.text((text, sheet.height - 0.4 * text), words, page.QUIET, page.typeface(max(9, round(0.7 * text))), "lb")
    return sheet


def voxel_words(frame: Frame) -> str:
    """ "50 µm"."""
    return f"{1000.0 * frame.volume.spacing_mm[0]:.3g} µm"


def write(images: Sequence[Image.Image], path: Path, milliseconds: Sequence[int]) -> None:
    """Write the animation in the format that the suffix names."""
    suffix = path.suffix.lower()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".mp4":
            write_mp4(images, path, milliseconds)
            return
        options: dict[str, object] = {
            "save_all": True,
            "append_images": images[1:],
            "duration": list(milliseconds),
            "loop": 0,
        }
        if suffix == ".webp":
            options |= {"quality": 82, "method": 2}
            images[0].save(path, **options)  # type: ignore[arg-type]
        else:
            palette = images[-1].quantize(256, method=Image.Quantize.MEDIANCUT)
            flat = [image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for image in images]
            options |= {"append_images": flat[1:], "optimize": False}
            flat[0].save(path, **options)  # type: ignore[arg-type]
    except OSError as error:
        raise StorageError(f"cannot write the movie {path}: {error.strerror or error}") from error


def write_mp4(images: Sequence[Image.Image], path: Path, milliseconds: Sequence[int]) -> None:
    """H.264 by imageio-ffmpeg; sides cut to even numbers, the last image repeated for as long as it is held."""
    ffmpeg = importlib.import_module("imageio_ffmpeg")
    width, height = (side // 2 * 2 for side in images[0].size)
    sink = ffmpeg.write_frames(str(path), (width, height), fps=1000.0 / milliseconds[0], quality=8, macro_block_size=2)
    sink.send(None)
    try:
        for image, held in zip(images, milliseconds, strict=True):
            pixels = np.ascontiguousarray(np.asarray(image)[:height, :width])
            for _ in range(max(1, round(held / milliseconds[0]))):
                sink.send(pixels)
    finally:
        sink.close()
