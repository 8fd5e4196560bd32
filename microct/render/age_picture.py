"""How old the tissue of a bone is, in 3D: what a run has formed fades from blue into the bone of the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from microct.render import light, page
from microct.render.colored import STEPS, ColoredScene, Scale, carried
from microct.render.field import Box, field
from microct.render.frame import Frame
from microct.render.scene import Scene
from microct.render.two_views import TILE, Words, two_views
from microct.status import InputError
from microct.volume import Volume

#: Tissue that is new, half as old as the scale goes, and as old (sRGB); they differ in lightness.
_STOPS = ((13, 45, 110), (66, 158, 190), light.BONE)


def age_picture(
    bone: Volume,
    age_yr: np.ndarray,
    path: str | Path,
    title: str,
    *,
    end_yr: float,
    says: str = "",
    tile: tuple[int, int] = TILE,
    backend: str = "auto",
) -> Path:
    """Draw the age of a bone's tissue into one PNG: whole, and cut open.

    Args:
        bone: bone fraction (uint8).
        age_yr: (nz, ny, nx) years since the bone of a voxel was formed; infinite for bone of the scan.
        path: of the PNG.
        title: name of the specimen.
        end_yr: age at which the scale ends: the years of the run.
        says: one line beneath the title.
        tile: width and height of each of the two views [pixels].
        backend: "auto", "pyvista" or "tracer".

    Raises:
        InputError: other voxels, or a scale that does not end above 0. StorageError: the file cannot be written.
    """
    if age_yr.shape != bone.shape:
        raise InputError(f"picture: expected ages of {bone.shape} voxels, got {age_yr.shape}")
    if not end_yr > 0:
        raise InputError(f"picture: expected a scale that ends above 0 years, got {end_yr}")
    frame = Frame(0.0, bone)
    display = field(frame)
    # All bone of the scan is as old as the scale goes, so that means of old and new lie between.
    share = carried(np.minimum(age_yr / end_yr, 1.0).astype(np.float32), np.asarray(bone.values) > 0, display)
    scale = scale_of(end_yr)

    def shown(box: Box | None) -> Scene:
        return ColoredScene(display if box is None else display.without(box), removed=box, share=share, scale=scale)

    weight = np.asarray(bone.values, np.float64)
    old = 100.0 * float(weight[np.isinf(age_yr)].sum()) / max(float(weight.sum()), 1.0)
    entries = [(light.BONE, f"bone that was there when the run began: {old:.3g} %")]
    small = page.small_print(display, frame, "one camera, no perspective; a voxel has one age, a draw from its bone")
    return two_views(
        shown, display, Words(title, says, entries, small), Path(path), tile=tile, backend=backend, legend=scale.bar,
        facts={"end_yr": end_yr},
    )  # fmt: skip


def scale_of(end_yr: float) -> Scale:
    """From dark blue, new, to the color of bone."""
    places = np.linspace(0.0, 1.0, STEPS)
    stops = np.array(_STOPS, np.float32)
    inks = np.stack([np.interp(places, (0.0, 0.5, 1.0), stops[:, part]) for part in range(3)], axis=1)
    return Scale(inks.astype(np.float32), end_yr, "years since the bone was formed", light.BONE)
