"""Connected components of a binary volume, by runs of voxels, and islands of bone.

Runs along x are joined with overlapping runs of the rows above by a vectorized union-find, in which every set
is named by its first run; so the numbering follows the raster order of each component's first voxel.
"""

from __future__ import annotations

from itertools import product

import numpy as np

#: Rows (dz, dy) before a row, and how far runs may be apart along x and still touch, for each connectivity.
_NEIGHBOR_ROWS = {6: (((0, -1), (-1, 0)), 0), 26: (((0, -1), (-1, -1), (-1, 0), (-1, 1)), 1)}


def label(mask: np.ndarray, connectivity: int = 26, periodic: bool = False) -> tuple[np.ndarray, int]:
    """Number the connected components.

    Args:
        mask: (nz, ny, nx); nonzero is foreground.
        connectivity: 26 (corners touch; for bone) or 6 (faces only; for marrow, or bone that carries load).
        periodic: whether opposite faces of the volume are one.

    Returns:
        (nz, ny, nx) int32 labels, 0 in the background, 1, 2, ... in raster order of first voxels; and their number.

    Raises:
        ValueError: connectivity other than 6 or 26.
    """
    mask = _as_bool(mask)
    lengths, names, count = _labeled_runs(mask, connectivity)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(names, lengths)  # runs and mask voxels are both in raster order
    return _joined_across(labels, count, connectivity) if periodic else (labels, count)


def count(mask: np.ndarray, connectivity: int = 26, periodic: bool = False) -> int:
    """Number of connected components, without the labels."""
    if periodic:
        return label(mask, connectivity, periodic)[1]
    return _labeled_runs(_as_bool(mask), connectivity)[2]


def _joined_across(labels: np.ndarray, count: int, connectivity: int) -> tuple[np.ndarray, int]:
    """One label for what touches across opposite faces; the lowest, so that labels stay in raster order."""
    aside = (0,) if connectivity == 6 else (-1, 0, 1)
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for axis in range(3):
        first, last = labels.take(0, axis), labels.take(-1, axis)
        for shift in product(aside, aside):
            other = np.roll(first, shift, axis=(0, 1))
            both = (last > 0) & (other > 0)
            left.append(last[both].astype(np.int64))
            right.append(other[both].astype(np.int64))
    roots = union(count + 1, np.concatenate(left), np.concatenate(right))
    is_root = roots == np.arange(len(roots))
    names = (np.cumsum(is_root) - 1)[roots].astype(np.int32)  # label 0 is a set of its own
    return names[labels], int(is_root.sum()) - 1


def islands(bone: np.ndarray) -> np.ndarray:
    """Bone that hangs on nothing: in a 26-connected piece that is not the largest and does not touch the border.

    Args:
        bone: (nz, ny, nx); nonzero is bone.

    Returns:
        (nz, ny, nx) bool. Of two largest pieces the first in raster order is the largest.
    """
    return pieces_and_islands(bone)[1]


def pieces_and_islands(bone: np.ndarray) -> tuple[int, np.ndarray]:
    """Number of 26-connected pieces, and `islands`, from one labeling."""
    bone = _as_bool(bone)
    lengths, names, number = _labeled_runs(bone, 26)
    result = np.zeros(bone.shape, bool)
    if number < 2:
        return number, result
    alone = np.ones(number + 1, bool)
    alone[np.argmax(np.bincount(names, weights=lengths, minlength=number + 1))] = False
    alone[names[_at_border(bone, lengths)]] = False
    if alone[1:].any():
        result[bone] = np.repeat(alone[names], lengths)
    return number, result


def _at_border(mask: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether each run along x touches the volume's border."""
    nz, ny, nx = mask.shape
    row, first = np.divmod(_runs(mask)[0], nx)
    z, y = np.divmod(row, ny)
    return (z == 0) | (z == nz - 1) | (y == 0) | (y == ny - 1) | (first == 0) | (first + lengths == nx)


def largest(mask: np.ndarray, connectivity: int = 26) -> np.ndarray:
    """(nz, ny, nx) bool: the component of most voxels, the first in raster order of equals; empty stays empty."""
    mask = _as_bool(mask)
    lengths, names, count = _labeled_runs(mask, connectivity)
    result = np.zeros(mask.shape, bool)
    if count:
        winner = np.argmax(np.bincount(names, weights=lengths, minlength=count + 1))
        result[mask] = np.repeat(names == winner, lengths)
    return result


def _as_bool(mask: np.ndarray) -> np.ndarray:
    mask = np.ascontiguousarray(mask)
    return mask if mask.dtype == bool else mask != 0


def _labeled_runs(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Length and label (from 1, raster order) of each run along x, and the number of components."""
    if connectivity not in _NEIGHBOR_ROWS:
        raise ValueError(f"connectivity must be 6 or 26, got {connectivity}")
    rows, reach = _NEIGHBOR_ROWS[connectivity]
    starts, ends = _runs(mask)
    if not len(starts):
        return ends - starts, starts, 0
    nz, ny, nx = mask.shape
    # Keys row * pitch + x, with a gap between rows wider than the reach, make all rows one sorted line.
    pitch = nx + 4
    narrow = np.int32 if (nz + 2) * (ny + 2) * pitch < 1 << 31 else np.int64  # half the bytes to search
    starts, lengths = starts.astype(narrow), (ends - starts).astype(narrow)
    row = starts // nx
    first_keys = starts + 4 * row
    last_keys = first_keys + lengths - 1
    first_keys = np.append(first_keys, np.iinfo(narrow).max).astype(narrow)  # what is behind the last run touches none
    y = row % ny
    pairs_a, pairs_b = [], []
    for dz, dy in rows:
        inside = np.ones(len(row), bool) if dy == 0 else y + dy >= 0 if dy < 0 else y + dy < ny
        inside &= row + dz * ny >= 0
        here = np.flatnonzero(inside).astype(narrow)
        shift = (dz * ny + dy) * pitch
        there = np.searchsorted(last_keys, first_keys[here] + narrow(shift - reach), side="left").astype(narrow)
        last = last_keys[here] + narrow(shift + reach)
        while True:  # most runs touch one run of another row or none
            touching = first_keys[there] <= last
            here, there, last = here[touching], there[touching], last[touching]
            if not len(here):
                break
            pairs_a.append(here)
            pairs_b.append(there)
            there = there + narrow(1)
    if not pairs_a:
        return lengths, np.arange(1, len(starts) + 1, dtype=np.int32), len(starts)
    roots = union(len(starts), np.concatenate(pairs_a), np.concatenate(pairs_b))
    is_root = roots == np.arange(len(roots), dtype=roots.dtype)
    names = np.cumsum(is_root, dtype=np.int32)[roots]
    return lengths, names, int(is_root.sum())


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat first index, and flat index past the last, of every run of True along x, in raster order."""
    edge = mask.copy()
    edge[..., 1:] &= ~mask[..., :-1]
    starts = np.flatnonzero(edge)
    edge[...] = mask
    edge[..., :-1] &= ~mask[..., 1:]
    return starts, np.flatnonzero(edge) + 1


def union(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(count,) smallest member of each thing's set, where left[i] and right[i] are in one set; int32, else int64.

    Each round hooks the larger root of every pair onto the smaller and then shortens all paths. A root always
    points to a smaller one, so there is no cycle, and every round removes at least the largest root of each set.
    """
    first = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    while True:
        differ = left != right
        left, right = left[differ], right[differ]
        if not len(left):
            return first
        np.minimum.at(first, np.maximum(left, right), np.minimum(left, right).astype(first.dtype))
        while True:
            shorter = first[first]
            if np.array_equal(shorter, first):
                break
            first = shorter
        left, right = first[left], first[right]
