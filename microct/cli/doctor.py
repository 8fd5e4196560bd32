"""What microct finds on this machine, and what to do about what it does not find."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, util

#: Asked in a process of its own: a broken driver may kill whoever asks.
ASK_JAX = """
import jax
print(jax.default_backend(), "|", ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()))
"""
ASK_HDF5 = "import h5py; print(h5py.version.hdf5_version)"
ASK_OPENGL = """
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(32, 32))
plotter.add_mesh(pyvista.Sphere())
image = plotter.screenshot(return_img=True)
assert image.max() > image.min()
print(plotter.render_window.GetClassName())
"""

LIBRARIES = (
    "numpy",
    "jax",
    "jaxlib",
    "h5py",
    "scikit-image",
    "scipy",
    "pyvista",
    "vtk",
    "matplotlib",
    "tifffile",
    "cyclopts",
)

#: Optional library: the extra that brings it, and what it is for.
EXTRAS = {
    "pandas": ("table", "tables as data frames"),
    "pyarrow": ("table", "tables as Parquet"),
    "imageio_ffmpeg": ("movie", "movies as mp4; WebP and GIF need nothing"),
}


def report() -> Iterator[str]:
    """One line for each finding; what needs doing stands behind an arrow."""
    from microct import __version__

    yield _line("microct", __version__)
    old = sys.version_info < (3, 11)
    yield _line("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}",
                "take Python 3.11 or later" if old else "")  # fmt: skip
    yield _line("cores, memory", f"{os.cpu_count()}, {_memory()}")
    yield _line("disk here", f"{shutil.disk_usage('.').free / 1e9:.0f} GB free")
    for name in LIBRARIES:
        version = _version(name)
        yield _line(name, version or "missing", "" if version else f"pip install {name}")
    ok, said = _ask(ASK_HDF5)
    yield _line("HDF5", said, "" if ok else "pip install --force-reinstall h5py")
    ok, said = _ask(ASK_JAX)
    yield _line("jax devices", said.partition("| ")[2] or said, _advice_on_jax(ok, said))
    ok, said = _ask(ASK_OPENGL, VTK_DEFAULT_OPENGL_WINDOW="" if _has_display() else "vtkEGLRenderWindow")
    yield _line(
        "OpenGL", said if ok else "not usable off-screen",
        "" if ok else "pictures are traced without it; for PyVista: apt-get install libegl1 libgl1-mesa-dri",
    )  # fmt: skip
    for name, (extra, purpose) in EXTRAS.items():
        found = util.find_spec(name) is not None
        yield _line(name, _version(name) or "installed" if found else f"not installed ({purpose})",
                    "" if found else f"pip install 'microct[{extra}]'")  # fmt: skip


def _line(what: str, found: str, advice: str = "") -> str:
    return f"{what:<16} {found}" + (f"  -> {advice}" if advice else "")


def _advice_on_jax(ok: bool, said: str) -> str:
    if not ok:
        return "pip install --force-reinstall jax jaxlib"
    driver = _nvidia_driver()
    if said.startswith("cpu") and driver is not None:
        extra = "cuda13" if driver >= 580 else "cuda12" if driver >= 525 else ""
        if not extra:
            return f"an NVIDIA GPU is here, but its driver ({driver}) is older than 525; update it"
        return f"an NVIDIA GPU is here and not used: pip install 'microct[{extra}]'"
    return ""


def _nvidia_driver() -> int | None:
    """Major version of the NVIDIA driver, None without one."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        return int(answer.stdout.split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _ask(code: str, **environment: str) -> tuple[bool, str]:
    """Whether ``code`` ran in a fresh Python, and the last line of what it said."""
    surroundings = {**os.environ, **{key: value for key, value in environment.items() if value}}
    try:
        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=surroundings, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "no answer within 2 minutes"
    said = (answer.stdout if answer.returncode == 0 else answer.stderr).strip().splitlines()
    if answer.returncode != 0:
        return False, said[-1] if said else f"ended with code {answer.returncode}"
    return True, said[-1] if said else ""


def _has_display() -> bool:
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "memory unknown"
