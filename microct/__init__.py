"""microct: years of bone remodeling in a micro-CT scan, cell by cell and voxel by voxel.

The front door is some fifteen names; each loads what it needs when it is first used, so that importing
microct (and ``microct --help``) loads neither jax nor a viewer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microct.comparison import follow_up
    from microct.imaging.resampling import crop, crop_empty_border, resample
    from microct.imaging.segmentation import segment
    from microct.imaging.specimens import sample
    from microct.io.reader import read
    from microct.io.writer import write
    from microct.mechanics.stiffness import stiffness_tensor
    from microct.mechanics.strength import strength
    from microct.morphometry.report import measure
    from microct.simulation.config import Study
    from microct.volume import Volume
    from microct.workflow import open, resume, simulate

__version__ = "0.1.0"

_HOME = {
    "Volume": "microct.volume",
    "read": "microct.io.reader",
    "write": "microct.io.writer",
    "segment": "microct.imaging.segmentation",
    "crop": "microct.imaging.resampling",
    "crop_empty_border": "microct.imaging.resampling",
    "resample": "microct.imaging.resampling",
    "sample": "microct.imaging.specimens",
    "measure": "microct.morphometry.report",
    "Study": "microct.simulation.config",
    "follow_up": "microct.comparison",
    "simulate": "microct.workflow",
    "resume": "microct.workflow",
    "open": "microct.workflow",
    "strength": "microct.mechanics.strength",
    "stiffness_tensor": "microct.mechanics.stiffness",
}

__all__ = [
    "Volume", "crop", "crop_empty_border", "follow_up", "measure", "open", "read", "resample", "resume", "sample",
    "segment", "simulate", "stiffness_tensor", "strength", "Study", "write",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'microct' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
