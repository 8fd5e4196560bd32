"""How bone was lost: plates perforated, rods broken, islands, or thinning, by what each loss did to topology.

After Liu, Guo 2008 (Bone 43:292), who counted the first three in a simulation; the method here is our own and exact in
topology. Bone that is gone is peeled off where that changes nothing; what cannot be peeled is a sheet where a plate got
a hole, a line where a rod was cut. A sheet or line owns the lost bone of the plate or rod whose middle it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from itertools import product

import numpy as np

from microct.kernels import components
from microct.kernels.distance import squared_distance
from microct.kernels.euler_change import Core, core_of_loss
from microct.morphometry.specimen import HALF
from microct.status import InputError
from microct.table import Row, Table
from microct.volume import Volume

#: A way up the distance from marrow that rises less than this for its length runs along the middle of an element.
LEAST_SLOPE = 0.5
#: Steps to the 26 neighbors, the nearest first.
_STEPS = np.array(sorted(set(product((-1, 0, 1), repeat=3)) - {(0, 0, 0)}, key=lambda step: np.abs(step).sum()))


class Mode(IntEnum):
    """What became of a voxel of bone."""

    KEPT = 0
    THINNING = 1
    PERFORATION = 2
    BREAKAGE = 3
    ISLAND = 4


_ROWS = (
    (Mode.PERFORATION, "Pl.Pf.V"),
    (Mode.BREAKAGE, "Rod.Bk.V"),
    (Mode.ISLAND, "Is.LV"),
    (Mode.THINNING, "Thin.V"),
)


@dataclass(frozen=True)
class LossModes:
    """Lost bone by mode.

    Attributes:
        mode: (nz, ny, nx) uint8, `Mode` of each voxel of bone that is gone or hangs on nothing; 0 elsewhere.
        volume: lost bone by mode [voxels of full bone], partial voxels by their share.
        perforations: tunnels made through plates.
        breakages: connections cut.
        islands: pieces that fell off, or vanished as a whole.
        euler_change: of the Euler number by loss and new bone together, without islands still in place.
    """

    mode: np.ndarray
    volume: dict[Mode, float]
    perforations: int
    breakages: int
    islands: int
    euler_change: float

    @property
    def lost(self) -> float:
        """All bone lost [voxels of full bone]."""
        return sum(self.volume.values())


def loss_modes(first: np.ndarray, second: np.ndarray) -> LossModes:
    """Tell how the bone that ``second`` lacks was lost.

    Args:
        first, second: (nz, ny, nx) bool, or uint8 bone fraction 0..255, on the same voxels.

    Formation comes first: a loss is judged against the bone of both, so that a plate that only moved is not holed. Bone
    that is cut by the volume's faces is taken to go on beyond them.

    Raises:
        InputError: arrays of different shape or kind, or too small.
    """
    first, second = as_fraction(first), as_fraction(second)
    if first.shape != second.shape or first.ndim != 3 or min(first.shape) < 2:
        raise InputError(
            f"loss modes: expected two bones on the same voxels, 2 or more along each axis, got {first.shape} and "
            f"{second.shape}"
        )
    after = second >= HALF
    both = (first >= HALF) | after
    mode = np.zeros(first.shape, np.uint8)

    # Pieces that are gone as a whole, and pieces that still float although they hung on something.
    label, number = components.label(both)
    stands = np.zeros(number + 1, bool)
    stands[label[after]] = True
    vanished = both & ~stands[label]
    afloat = components.islands(after) & ~components.islands(both)
    mode[vanished | afloat] = Mode.ISLAND
    islands = int(number - stands[1:].sum()) + components.count(afloat)

    lost = both & ~after & ~vanished
    mode[lost] = Mode.THINNING
    # One more layer around: what the faces cut goes on, and is not lost.
    outer, gone = np.pad(both & ~vanished, 1, mode="edge"), np.pad(lost, 1)
    core = core_of_loss(outer, gone)
    perforations, breakages = _claim(mode, lost, outer, core)

    drop = np.maximum(first.astype(np.int16) - second, 0)
    drop[afloat] += second[afloat]
    volume = np.bincount(mode.reshape(-1), drop.reshape(-1), minlength=len(Mode)) / 255.0
    # Partial voxels that went thinner without crossing one half.
    volume[Mode.THINNING] += volume[Mode.KEPT]
    modes = [one for one in Mode if one is not Mode.KEPT]
    return LossModes(
        mode,
        {one: float(volume[one]) for one in modes},
        perforations,
        breakages,
        islands,
        float(core.euler_change.sum()),
    )


def as_fraction(bone: np.ndarray) -> np.ndarray:
    """Bone as uint8 fraction 0..255, from that or from a bool mask; `InputError` for any other kind."""
    values = np.asarray(bone)
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype != np.uint8:
        raise InputError(f"loss modes: expected bool, or uint8 bone fraction 0 to 255, got {values.dtype}")
    return values


def _claim(mode: np.ndarray, lost: np.ndarray, outer: np.ndarray, core: Core) -> tuple[int, int]:
    """Mark the lost bone that belongs to sheets and lines in ``mode``; their numbers of tunnels and of cuts."""
    kind = np.full(len(core.voxels), Mode.KEPT, np.uint8)
    kind[(core.bone_sides >= 2) & (core.marrow_sides == 1)] = Mode.BREAKAGE
    kind[core.marrow_sides >= 2] = Mode.PERFORATION
    perforations = breakages = 0
    place = np.zeros(outer.shape, np.uint8)
    place[tuple(core.voxels.T)] = kind
    whole = np.zeros(outer.shape, np.int32)
    whole[tuple(core.voxels.T)] = core.label
    kinds_in = np.zeros((len(core.euler_change) + 1, len(Mode)), bool)
    kinds_in[core.label, kind] = True
    for one, sign in ((Mode.PERFORATION, -1.0), (Mode.BREAKAGE, 1.0)):
        label, number = components.label(place == one)
        owner = np.zeros(number + 1, np.int64)
        owner[label[place == one]] = whole[place == one]
        other = Mode.BREAKAGE if one is Mode.PERFORATION else Mode.PERFORATION
        # Of a core of one kind the Euler number says how many; parts of a mixed one count once each.
        count = 0
        for part in owner[1:]:
            alone = not kinds_in[part, other] and int((owner == part).sum()) == 1
            count += max(1, round(sign * core.euler_change[part - 1])) if alone else 1
        if one is Mode.PERFORATION:
            perforations = count
        else:
            breakages = count
    _give(mode, lost, outer, place)
    return perforations, breakages


def _give(mode: np.ndarray, lost: np.ndarray, outer: np.ndarray, place: np.ndarray) -> None:
    """Give each lost voxel the kind of the core in whose element it lay.

    From each lost voxel the way leads up the distance from marrow as long as that rises at half its full slope or more,
    so to the middle of the element; where the middle lies at a core, the voxel went with that core. Lines go before
    sheets.
    """
    if not place.any():
        return
    depth = np.sqrt(np.asarray(squared_distance(outer))).astype(np.float32).reshape(-1)
    strides = np.array([outer.shape[1] * outer.shape[2], outer.shape[2], 1])
    where = np.argwhere(lost)
    at = (where + 1) @ strides
    walking = np.arange(len(at))
    size = np.array(outer.shape)
    while len(walking):
        here = at[walking]
        index = np.stack(np.unravel_index(here, outer.shape), axis=1)
        best, onward = np.full(len(here), LEAST_SLOPE, np.float32), here.copy()
        for step in _STEPS:
            inside = ((index + step >= 0) & (index + step < size)).all(axis=1)
            there = np.where(inside, here + int(step @ strides), here)
            slope = (depth[there] - depth[here]) / np.float32(np.linalg.norm(step))
            better = slope > best + 1e-5
            best[better], onward[better] = slope[better], there[better]
        moved = onward != here
        at[walking] = onward
        walking = walking[moved]
    index = np.stack(np.unravel_index(at, outer.shape), axis=1)
    kind = place.reshape(-1)[at]
    for step in _STEPS:
        near = np.clip(index + step, 0, size - 1)
        kind = np.maximum(kind, place[tuple(near.T)])
    mode[tuple(where[kind > 0].T)] = kind[kind > 0]


def loss_rows(
    first: Volume,
    second: Volume,
    *,
    island_volume_mm3: float | None = None,
    sample: str = "",
    time_yr: float | None = None,
    found: LossModes | None = None,
) -> Table:
    """Volumes [mm3], shares of all lost bone [%] and numbers of the modes of loss.

    Args:
        first, second: bone fraction or masks on the same voxels.
        island_volume_mm3: bone that a simulation itself took away as islands in between. Two pictures cannot tell it
            from the cut that set it free, so it is taken off the cuts (rods first, then plates) and added to islands.
            Not for a `found` of `LossCourse`, which was handed the fallen bone itself.
        sample, time_yr: written to the rows.
        found: of these two, if already worked out: by `loss_modes`, or by `LossCourse` over times in between.

    Raises:
        InputError: as `loss_modes`.
    """
    found = loss_modes(first.values, second.values) if found is None else found
    voxel = float(np.prod(first.spacing_mm))
    volume = {mode: found.volume[mode] * voxel for mode, _ in _ROWS}
    more = max(0.0, (island_volume_mm3 or 0.0) - volume[Mode.ISLAND])
    for mode in (Mode.BREAKAGE, Mode.PERFORATION, Mode.THINNING):
        part = min(more, volume[mode])
        volume[mode] -= part
        volume[Mode.ISLAND] += part
        more -= part
    total = sum(volume.values())
    rows = [Row(symbol, volume[mode], time_yr, sample) for mode, symbol in _ROWS]
    for mode, symbol in _ROWS:
        share = 100.0 * volume[mode] / total if total > 0 else math.nan
        rows.append(Row(f"{symbol}/LV", share, time_yr, sample, note="" if total > 0 else "nothing was lost"))
    counts = {"N.Pl.Pf": found.perforations, "N.Rod.Bk": found.breakages, "N.Is": found.islands}
    rows += [Row(symbol, float(value), time_yr, sample) for symbol, value in counts.items()]
    return Table(tuple(rows), {"first": first.provenance.source, "second": second.provenance.source})
