"""How sure a value is: the spread of an index over the parts of a specimen, by bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from microct.status import StudyError
from microct.table import Row, Table
from microct.volume import Volume

DRAWS = 2000
SHARE = 0.95
#: Indices that grow with the volume, or belong to the whole, have no value in a part that could be averaged.
_EXTENSIVE = ("TV", "BV", "BS", "Euler", "N.Comp", "Is.V", "B0", "B1", "B2", "N.Br", "N.Jn", "N.En")


def with_intervals(
    table: Table, volume: Volume, mask: np.ndarray | None, parts: int, how: Callable[[Volume, np.ndarray | None], Table]
) -> Table:
    """Say in each row's note between which values 95 % of bootstrap means over sub-volumes lie.

    The volume is cut into ``parts`` blocks along each axis; blocks with less than half of a block's share of the mask
    are left out. Blocks are measured alone, drawn with replacement (seed 0, so the same answer each time) and averaged.
    The interval is moved so that the mean over blocks lies on the value of the whole, since parts read differently:
    eighths of the sample `trabecular-demo` have DA 8, Conn.D 4 and Tb.Sp 2 % above the whole, Tb.N 1 % below it.

    Args:
        table: of the whole.
        volume, mask: what was measured.
        parts: blocks along each axis, 2 to 8.
        how: measures one block.

    Raises:
        StudyError: another number of parts, or blocks below 8 voxels, or fewer than 4 blocks with enough of the mask.
    """
    if not isinstance(parts, int | np.integer) or not 2 <= parts <= 8 or min(volume.shape) < 8 * parts:
        raise StudyError(
            f"bootstrap: expected 2 to 8 parts along each axis of at least 8 voxels, got {parts!r} of {volume.shape}"
        )
    edges = [np.linspace(0, n, parts + 1).astype(int) for n in volume.shape]
    wanted = 0.5 * (1.0 if mask is None else np.count_nonzero(mask) / mask.size)
    found: dict[str, list[float]] = {}
    blocks = 0
    for place in np.ndindex(parts, parts, parts):
        box = tuple(slice(edges[axis][k], edges[axis][k + 1]) for axis, k in enumerate(place))
        inside = None if mask is None else mask[box] != 0
        if inside is not None and inside.mean() < wanted:
            continue
        blocks += 1
        part = volume.with_values(np.ascontiguousarray(volume.values[box]), "a part, for the interval")
        for row in how(part, inside):
            if math.isfinite(row.value):
                found.setdefault(row.symbol, []).append(row.value)
    if blocks < 4:
        raise StudyError(f"bootstrap: only {blocks} of {parts**3} blocks hold enough of the mask; expected 4 or more")
    return replace(table, rows=tuple(_with_interval(row, found.get(row.symbol, [])) for row in table))


def interval(values: np.ndarray) -> tuple[float, float]:
    """Between which values the middle 95 % of the means of resampled ``values`` lie."""
    drawn = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.quantile(np.asarray(values)[drawn].mean(axis=1), [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)


def _with_interval(row: Row, values: list[float]) -> Row:
    if row.symbol in _EXTENSIVE or len(values) < 4 or not math.isfinite(row.value):
        return row
    low, high = interval(np.array(values))
    shift = row.value - float(np.mean(values))
    words = f"95 % interval {low + shift:.6g} to {high + shift:.6g} over {len(values)} sub-volumes"
    return replace(row, note=f"{row.note}; {words}" if row.note else words)
