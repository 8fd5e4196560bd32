"""What pictures are made of: the same bone at several times, each a `Volume` of bone fraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microct.status import InputError
from microct.volume import Volume


@dataclass(frozen=True)
class Frame:
    """The bone at one time.

    Attributes:
        time_yr: years since the start of the study (negative: burn-in).
        volume: (nz, ny, nx) uint8 bone fraction, 0 marrow to 255 bone; a bool mask is taken as 0 and 255.
        bv_tv: bone volume in the total volume [%], where morphometry has measured it (inside its mask);
            left out, it is the mean fraction of the block.

    Raises:
        InputError: the voxels are neither uint8 nor bool, or the time is not a finite number.
    """

    time_yr: float
    volume: Volume
    bv_tv: float | None = None

    def __post_init__(self) -> None:
        if self.volume.values.dtype not in (np.uint8, np.bool_):
            raise InputError(
                f"{self.volume.provenance.source}: a picture needs bone fraction as uint8 (0 marrow to 255 bone) "
                f"or a bool mask, got {self.volume.values.dtype}; segment the scan first"
            )
        if not np.isfinite(self.time_yr):
            raise InputError(f"the time of a frame must be a finite number of years, got {self.time_yr}")

    @property
    def fraction(self) -> np.ndarray:
        """(nz, ny, nx) uint8 bone fraction."""
        values = self.volume.values
        return values.astype(np.uint8) * np.uint8(255) if values.dtype == np.bool_ else values

    @property
    def bone_volume_fraction(self) -> float:
        """BV/TV [%]: as measured, else the mean fraction of the block."""
        if self.bv_tv is not None:
            return self.bv_tv
        values = self.volume.values
        full = 1.0 if values.dtype == np.bool_ else 255.0
        return 100.0 * float(values.mean(dtype=np.float64)) / full


def checked(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return ``frames`` (which may load themselves when indexed), or raise `InputError` where there are none."""
    if len(frames) == 0:
        raise InputError("no frames to draw; expected at least one Frame(time_yr, volume)")
    return frames


def baseline_index(times_yr: Sequence[float]) -> int:
    """Index of the frame that loss is counted from: the first at time 0 or later, else the first of all."""
    return next((i for i, time in enumerate(times_yr) if time >= -1e-9), 0)


def same_block(first: Frame, other: Frame) -> None:
    """Raise `InputError` unless both frames show the same block of voxels."""
    if first.volume.shape != other.volume.shape or not np.allclose(first.volume.spacing_mm, other.volume.spacing_mm):
        raise InputError(
            f"frames must show one block: {first.volume.shape} voxels of {first.volume.spacing_mm} mm at "
            f"{first.time_yr:g} yr, but {other.volume.shape} of {other.volume.spacing_mm} mm at {other.time_yr:g} yr"
        )


def chosen(frames: Sequence[Frame], times_yr: Sequence[float]) -> list[int]:
    """Indices of the frames nearest to ``times_yr``, each once, ascending."""
    have = np.array([frame.time_yr for frame in frames])
    return sorted({int(np.abs(have - time).argmin()) for time in times_yr})
