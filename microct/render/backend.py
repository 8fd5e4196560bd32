"""Who draws a scene: PyVista where OpenGL works, the ray tracer everywhere."""

from __future__ import annotations

import os

import numpy as np

from microct.render import opengl, tracer
from microct.render.scene import Camera, Scene
from microct.status import StudyError

BACKENDS = ("auto", "pyvista", "tracer")
#: Set to "pyvista" or "tracer", this decides for every picture whose backend is "auto".
BACKEND_VARIABLE = "MICROCT_RENDER_BACKEND"


def backend_in_use(backend: str = "auto") -> str:
    """The backend that draws when ``backend`` is asked for: "pyvista" or "tracer".

    "auto" takes PyVista where OpenGL works (found out once per process, in another process, because VTK without
    OpenGL ends the process that calls it) and the ray tracer where it does not.

    Raises:
        StudyError: an unknown backend, or "pyvista" on a machine without OpenGL.
    """
    if backend == "auto":
        backend = os.environ.get(BACKEND_VARIABLE, "auto").strip().lower() or "auto"
    if backend not in BACKENDS:
        raise StudyError(f"backend {backend!r} is unknown; expected one of {', '.join(BACKENDS)}")
    if backend == "tracer":
        return backend
    found = opengl.probe()
    if found.works:
        return "pyvista"
    if backend == "pyvista":
        raise StudyError(f'backend "pyvista" needs OpenGL: {found.reason}; use backend="tracer", or {opengl.REMEDY}')
    return "tracer"


def draw(shown: Scene, camera: Camera, size: tuple[int, int], backend: str = "auto") -> np.ndarray:
    """Draw a scene.

    Args:
        shown: what to draw.
        camera: from where.
        size: (width, height) in pixels.
        backend: "auto", "pyvista" or "tracer".

    Returns:
        (height, width, 4) uint8 RGBA, transparent where there is nothing.
    """
    paint = opengl.paint if backend_in_use(backend) == "pyvista" else tracer.paint
    return paint(shown, camera, size)
