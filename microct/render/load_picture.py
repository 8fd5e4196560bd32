"""How a bone bears its load, in 3D: effective strain on its surface and on a cut, with a color bar."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from microct.render import page
from microct.render.colored import STEPS, ColoredScene, Scale, carried
from microct.render.field import Box, field
from microct.render.frame import Frame
from microct.render.scene import Scene
from microct.render.two_views import TILE, Words, two_views
from microct.status import InputError
from microct.volume import Volume

#: Bone strained beyond the critical strain.
BEYOND: page.Color = (74, 12, 92)


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
    scale = scale_of(critical)
    share = carried(strain / critical, strain > 0, display)

    def shown(box: Box | None) -> Scene:
        cut = display if box is None else display.without(box)
        return ColoredScene(cut, removed=box, share=share, scale=scale)

    small = page.small_print(display, frame, "one camera, no perspective")
    beyond = float(np.mean(strain[strain > 0] > critical)) if (strain > 0).any() else 0.0
    entries = [(BEYOND, f"beyond {100.0 * critical:g} %: {100.0 * beyond:.2g} % of the bone that bears load")]
    return two_views(
        shown, display, Words(title, says, entries, small), Path(path), tile=tile, backend=backend, legend=scale.bar,
        facts={"critical_strain": critical},
    )  # fmt: skip


def scale_of(critical: float) -> Scale:
    """From pale to dark red (YlOrRd) at the critical strain, in percent; violet beyond."""
    import matplotlib

    map_ = matplotlib.colormaps["YlOrRd"]
    inks = 255.0 * np.array([map_(k / (STEPS - 1))[:3] for k in range(STEPS)], np.float32)
    return Scale(inks, 100.0 * critical, "effective strain (%)", BEYOND)
