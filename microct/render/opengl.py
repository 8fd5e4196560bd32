"""Pictures by PyVista: whether OpenGL works here, found out safely, and the drawing."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from microct.render.field import LEVEL, Field, sample
from microct.render.light import Surface, lost_weight
from microct.render.scene import Camera, Scene, to_mm

WINDOW_VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"
#: Ways for VTK to draw without a display, best first.
OFFSCREEN_WINDOWS = ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow")
REMEDY = "install it with: apt-get install libegl1 libgl1-mesa-dri"
PROBE_SECONDS = 30.0

# Draws one triangle-free window and reads a pixel back; a missing library ends this process, not ours.
PROBE = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
import vtkmodules.vtkRenderingOpenGL2
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(16, 16)
renderer = vtkRenderer()
renderer.SetBackground(1.0, 0.0, 0.0)
window.AddRenderer(renderer)
window.Render()
pixels = vtkUnsignedCharArray()
window.GetPixelData(0, 0, 15, 15, 0, pixels, 0)
red = pixels.GetNumberOfTuples() == 256 and pixels.GetTuple(100) == (255.0, 0.0, 0.0)
sys.exit(0 if red else 3)
"""


@dataclass(frozen=True)
class Probed:
    """Whether OpenGL works, with which window (empty: VTK's own choice), and why not where it does not."""

    works: bool
    window: str = ""
    reason: str = ""


@functools.cache
def probe() -> Probed:
    """Find out, once per process and in another process, whether VTK can draw; then set the window that can."""
    given = os.environ.get(WINDOW_VARIABLE, "")
    if given or not sys.platform.startswith("linux"):
        tries: tuple[str, ...] = (given,)
    elif os.environ.get("DISPLAY"):
        tries = ("", *OFFSCREEN_WINDOWS)
    else:
        tries = OFFSCREEN_WINDOWS
    for window in tries:
        if draws(window):
            if window:
                os.environ[WINDOW_VARIABLE] = window
            return Probed(True, window)
    return Probed(False, reason=f"VTK cannot draw here (tried {', '.join(name or 'the display' for name in tries)})")


def draws(window: str) -> bool:
    """Whether a process of its own can draw with this window class."""
    environment = {**os.environ, **({WINDOW_VARIABLE: window} if window else {})}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def contour(field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Flying edges at `LEVEL`: points (3, n) float32 padded indices along (z, y, x), triangles (m, 3)."""
    import pyvista

    grid = pyvista.ImageData(dimensions=field.values.shape[::-1])
    grid.point_data["fraction"] = field.values.reshape(-1)
    mesh = grid.contour([LEVEL], "fraction", method="flying_edges", compute_normals=False, compute_scalars=False)
    if mesh.n_points == 0:
        return np.zeros((3, 0), np.float32), np.zeros((0, 3), np.int64)
    return np.ascontiguousarray(mesh.points.T[::-1], np.float32), mesh.regular_faces


def meshes(shown: Scene) -> list[tuple[Surface, np.ndarray]]:
    """The bone's surface and, where there is one, the part of the first surface from which bone has gone."""
    points, faces = contour(shown.bone)
    made = [(shown.bone_surface(points), faces)] if len(faces) else []
    if shown.first is not None:
        points, faces = contour(shown.first)
        gone = lost_weight(sample(shown.bone.values, points)) > 0
        used, faces = np.unique(faces[gone[faces].any(axis=1)], return_inverse=True)
        if len(used):
            made.append((shown.lost_surface(np.ascontiguousarray(points[:, used])), faces.reshape(-1, 3)))
    return made


def paint(shown: Scene, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Draw a scene; see `microct.render.backend.draw`.

    The light is that of `microct.render.light`, put on the vertices, so OpenGL only has to fill triangles; twice the
    size is drawn and averaged down.
    """
    import pyvista

    if "meshes" not in shown.memo:
        shown.memo["meshes"] = meshes(shown)
    width, height = size
    plotter: Any = pyvista.Plotter(off_screen=True, window_size=[2 * width, 2 * height], lighting="none")
    try:
        plotter.set_background("black")
        plotter.disable_anti_aliasing()  # twice the size does it; multisampling on top doubles the time
        plotter.renderer.SetUseOIT(False)  # one color, back faces culled: the order hardly shows
        for surface, faces in shown.memo["meshes"]:
            seen = surface.seen(camera.towards_eye)
            opaque = bool((surface.opacity == 1.0).all())
            colors = seen if opaque else np.concatenate([seen, 255.0 * surface.opacity[:, None]], axis=1)
            points = np.ascontiguousarray(to_mm(surface.points, shown.bone.spacing_mm)[::-1].T)
            mesh = pyvista.PolyData.from_regular_faces(points, faces)
            plotter.add_mesh(
                mesh,
                scalars=np.rint(colors).astype(np.uint8),
                rgb=True,
                lighting=False,
                culling=False if opaque else "back",
                show_scalar_bar=False,
            )
        place(plotter, camera, height)
        picture = plotter.screenshot(None, transparent_background=True, return_img=True)
    finally:
        plotter.close()
    return halved(picture)


def place(plotter: Any, camera: Camera, height: int) -> None:
    """Give the plotter our camera; ``height`` is that of the finished picture, in pixels."""
    eye, up, target = (np.asarray(vector)[::-1] for vector in (camera.towards_eye, camera.up, camera.target_mm))
    span = camera.mm_per_pixel * height
    plotter.camera.focal_point = target
    plotter.camera.position = target + 10.0 * span * eye
    plotter.camera.up = up
    plotter.camera.parallel_projection = True
    plotter.camera.parallel_scale = span / 2.0
    plotter.reset_camera_clipping_range()


def halved(picture: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels of a picture over black to RGBA, color weighted by coverage."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    mean = picture.reshape(height, 2, width, 2, 4).mean(axis=(1, 3), dtype=np.float32)
    mean[..., :3] *= 255.0 / np.maximum(mean[..., 3:], 1.0)
    return np.rint(np.minimum(mean, 255.0)).astype(np.uint8)
