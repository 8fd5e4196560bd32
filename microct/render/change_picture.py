"""What two scans of one bone have in common, what the second lost, what it gained, in 3D."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from microct.render import light, page
from microct.render.field import Box, field
from microct.render.frame import Frame
from microct.render.scene import Scene, scene
from microct.render.two_views import TILE, Words, two_views
from microct.status import InputError
from microct.volume import Volume


def change_picture(
    first: Volume,
    formed: np.ndarray,
    resorbed: np.ndarray,
    path: str | Path,
    title: str,
    *,
    says: str = "",
    tile: tuple[int, int] = TILE,
    backend: str = "auto",
) -> Path:
    """Draw bone that was formed and resorbed between two scans into one PNG: whole, and cut open.

    Args:
        first: bone of the first scan (bool), where the scans are compared.
        formed, resorbed: (nz, ny, nx) bool, of the second scan against it.
        path: of the PNG.
        title: names of the scans.
        says: one line beneath it.
        tile: width and height of each of the two views [pixels].
        backend: "auto", "pyvista" or "tracer".

    Raises:
        InputError: other voxels. StorageError: the file cannot be written.
    """
    if not first.shape == formed.shape == resorbed.shape:
        raise InputError(f"picture: expected {first.shape} voxels, got {formed.shape} and {resorbed.shape}")
    before = first.values != 0
    counts = [int(np.count_nonzero(voxels)) for voxels in (before, formed, resorbed)]
    box = _around(before | formed)
    before, formed, resorbed = (voxels[box] for voxels in (before, formed, resorbed))
    old = Frame(0.0, first.with_values(before, "bone of the first scan", kind=""))
    new = Frame(1.0, first.with_values((before | formed) & ~resorbed, "bone of the second scan", kind=""))
    was, now = field(old), field(new)

    def shown(box: Box | None) -> Scene:
        return scene(now, was, box, lost_opacity=0.8)

    voxel = float(np.prod(first.spacing_mm))
    bone = max(counts[0], 1)
    entries = [(light.BONE, "bone of both scans"), (light.CUT_FACE, "cut by the block")]
    for color, name, count in ((light.LOST, "resorbed", counts[2]), (light.GAINED, "formed", counts[1])):
        entries.append((color, f"{name}: {count * voxel:.3g} mm³, {100.0 * count / bone:.2g} % of the first's bone"))
    small = page.small_print(now, new, "one camera, no perspective; resorbed bone is transparent")
    return two_views(shown, now, Words(title, says, entries, small), Path(path), tile=tile, backend=backend)


def _around(bone: np.ndarray, rim: int = 2) -> tuple[slice, ...]:
    """The box around all bone and ``rim`` voxels of air, within the volume; all of it where there is no bone."""
    box = []
    for axis in range(3):
        hit = np.flatnonzero(bone.any(axis=tuple(other for other in range(3) if other != axis)))
        ends = (int(hit[0]) - rim, int(hit[-1]) + rim + 1) if len(hit) else (0, bone.shape[axis])
        box.append(slice(max(ends[0], 0), min(ends[1], bone.shape[axis])))
    return tuple(box)
