"""How bone was lost, told interval by interval: a plate that is perforated and breaks later counts as both.

One comparison of two far times sees only the end: where a plate became a net and the net fell, it finds bone that is
gone between two pieces, and calls it broken. Liu, Guo 2008 (Bone 43:292) judged every cycle of remodeling. So here:
each interval is judged by `loss_modes`, and bone that is gone at the end is booked to what took it when it went.
"""

from __future__ import annotations

import numpy as np

from microct.kernels import components
from microct.morphometry.loss_modes import LossModes, Mode, as_fraction, loss_modes
from microct.morphometry.specimen import HALF
from microct.status import InputError


class LossCourse:
    """Loss since a first time, by mode, from bones handed in one after the other.

    A voxel of the first bone carries one mode: that of the interval in which it last went below one half. It loses it
    when it is refilled, so that a hole that heals is no loss, though it was made and is counted as such. Lost volume
    is thereby the same as in one comparison of first and last, bone by bone, and only its modes differ.

    Args:
        first: (nz, ny, nx) bool, or uint8 bone fraction 0..255.

    Attributes:
        first, last: the bones of the beginning and of the last time so far, uint8 bone fraction.

    Raises:
        InputError: an array of another kind.
    """

    def __init__(self, first: np.ndarray) -> None:
        self.first = self.last = as_fraction(first).copy()
        self._mode = np.zeros(self.first.shape, np.uint8)
        self._counts = np.zeros(3, np.int64)
        self._made: dict[Mode, float] = {mode: 0.0 for mode in Mode if mode is not Mode.KEPT}
        self._euler_change = 0.0

    def add(self, bone: np.ndarray, fallen: np.ndarray | None = None) -> LossModes:
        """Go on to the next time.

        Args:
            bone: as it is now, on the same voxels.
            fallen: uint8 bone fraction that a simulation took away as hanging on nothing at the end of the interval.
                Without it the cut that set a piece free and the piece are one loss.

        Returns:
            The modes of loss of this interval alone.

        Raises:
            InputError: as `loss_modes`; more bone fallen than a voxel holds.
        """
        now = as_fraction(bone).copy()
        fell = np.zeros_like(now) if fallen is None else as_fraction(fallen)
        if fell.shape != now.shape or np.any(fell > 255 - now):
            raise InputError("loss course: expected fallen bone on the same voxels, and no more than is missing")
        stood = now + fell
        found = loss_modes(self.last, stood)
        self._mode[(stood >= HALF) & ~components.islands(stood >= HALF)] = Mode.KEPT
        new = (found.mode > 0) & (self._mode != Mode.ISLAND)
        self._mode[new] = found.mode[new]
        self._mode[(fell > 0) & (self._mode == Mode.KEPT)] = Mode.ISLAND  # crumbs that were never half full
        self._counts += found.perforations, found.breakages, found.islands
        self._euler_change += found.euler_change
        self._made = {mode: volume + found.volume[mode] for mode, volume in self._made.items()}
        self.last = now
        return found

    @property
    def made(self) -> dict[Mode, float]:
        """Bone lost by mode in all intervals together, what came back later and what was new bone included [voxels of
        full bone]. Mostly thinning, as every open cavity of a moment is; compare the other modes with each other.
        """
        return dict(self._made)

    @property
    def found(self) -> LossModes:
        """The modes of loss from the first bone to the last; numbers are those of all intervals together."""
        drop = np.maximum(self.first.astype(np.int16) - self.last, 0)
        afloat = (self._mode == Mode.ISLAND) & (self.last >= HALF)
        drop[afloat] += self.last[afloat]
        volume = np.bincount(self._mode.reshape(-1), drop.reshape(-1), minlength=len(Mode)) / 255.0
        volume[Mode.THINNING] += volume[Mode.KEPT]
        volumes: dict[Mode, float] = {mode: float(volume[mode]) for mode in Mode if mode is not Mode.KEPT}
        perforations, breakages, islands = map(int, self._counts)
        return LossModes(self._mode.copy(), volumes, perforations, breakages, islands, self._euler_change)
