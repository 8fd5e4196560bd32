"""Pictures by PyVista: whether OpenGL works here, found out safely, and the drawing."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from microct.render.field import LEVEL, Field, normals, sample
from microct.render.light import lost_weight, srgb
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


def surface(field: Field):  # noqa: ANN201 - a pyvista.PolyData, imported only here
    """Flying edges at `LEVEL`; the points are padded indices (x, y, z)."""
    import pyvista

    values = field.values
    grid = pyvista.ImageData(dimensions=values.shape[::-1])
    grid.point_data["fraction"] = values.reshape(-1)
    return grid.contour([LEVEL], "fraction", method="flying_edges", compute_normals=False, compute_scalars=False)


def paint(shown: Scene, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Draw a scene; see `microct.render.scene.draw`.

    The light is that of `microct.render.light`, put on the vertices, so OpenGL only has to fill triangles; twice the
    size is drawn and averaged down.
    """
    import pyvista

    width, height = size
    eye = camera.towards_eye
    plotter = pyvista.Plotter(off_screen=True, window_size=[2 * width, 2 * height], lighting="none")
    try:
        plotter.set_background("black")
        plotter.disable_anti_aliasing()  # twice the size does it; multisampling on top doubles the time
        plotter.renderer.SetUseOIT(False)  # one color, back faces culled: the order hardly shows
        mesh = surface(shown.bone)
        if mesh.n_points:
            points = np.ascontiguousarray(mesh.points.T[::-1])
            colors = shown.bone_light(points, normals(shown.bone.values, points, shown.bone.spacing_mm), eye)
            add(plotter, mesh, points, np.rint(srgb(colors)).astype(np.uint8), shown.bone)
        if shown.first is not None:
            gone = lost_part(shown)
            if gone is not None:
                points = np.ascontiguousarray(gone.points.T[::-1])
                normal = normals(shown.first.values, points, shown.first.spacing_mm)
                light, opacity = shown.lost_light(points, normal, eye)
                rgba = np.concatenate([srgb(light), 255.0 * opacity[:, None]], axis=1)
                add(plotter, gone, points, np.rint(rgba).astype(np.uint8), shown.first, culling="back")
        place(plotter, camera, height)
        picture = plotter.screenshot(None, transparent_background=True, return_img=True)
    finally:
        plotter.close()
    return halved(picture)


def lost_part(shown: Scene):  # noqa: ANN201
    """The triangles of the first surface from which bone has gone, or None."""
    import pyvista

    assert shown.first is not None
    mesh = surface(shown.first)
    if mesh.n_points == 0:
        return None
    points = np.ascontiguousarray(mesh.points.T[::-1])
    gone = lost_weight(sample(shown.bone.values, points)) > 0
    faces = mesh.regular_faces
    faces = faces[gone[faces].any(axis=1)]
    if len(faces) == 0:
        return None
    used, faces = np.unique(faces, return_inverse=True)
    return pyvista.PolyData.from_regular_faces(mesh.points[used], faces.reshape(-1, 3))


def add(plotter, mesh, points: np.ndarray, colors: np.ndarray, field: Field, culling: str | bool = False) -> None:  # noqa: ANN001
    """Add a mesh in mm with a color at each vertex."""
    mesh.points = to_mm(points, field.spacing_mm)[::-1].T
    plotter.add_mesh(mesh, scalars=colors, rgb=True, lighting=False, culling=culling, show_scalar_bar=False)


def place(plotter, camera: Camera, height: int) -> None:  # noqa: ANN001
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
