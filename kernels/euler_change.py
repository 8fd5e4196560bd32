"""What the loss of some voxels does to topology: peel away what changes nothing, and weigh what is left.

Bone is 26-connected, marrow 6-connected. A voxel is simple if its loss changes no topology: the bone around it is
one piece, and so is the marrow at its faces (Bertrand, Malandain 1994). What is left after all simple voxels of the
loss have gone is its core: a sheet where a plate was holed, a line where a rod was cut. Neighborhoods of 2x2x2 voxels
that touch one core hold no other, so the changes of the Euler number of all cores add up exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from microct.kernels import components, stencil
from microct.kernels.topology import CONTRIBUTIONS

_STEPS = np.array([(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) != (0, 0, 0)])
_APART = np.abs(_STEPS[:, None] - _STEPS[None])
_TOUCHES_26 = (_APART.max(axis=2) <= 1).astype(np.float32)
_TOUCHES_6 = (_APART.sum(axis=2) <= 1).astype(np.float32)
_IN_18 = np.abs(_STEPS).sum(axis=1) <= 2
_AT_FACE = np.abs(_STEPS).sum(axis=1) == 1
#: Voxels whose neighborhoods are looked at together.
_CHUNK = 200_000


class Core(NamedTuple):
    """The core of a loss.

    Attributes:
        voxels: (n, 3) int, index of each core voxel.
        bone_sides, marrow_sides: (n,) pieces of bone and of marrow around each, as `around`.
        label: (n,) int from 1, the 26-connected core it belongs to.
        euler_change: (cores,) change of the Euler number by the loss of each core.
    """

    voxels: np.ndarray
    bone_sides: np.ndarray
    marrow_sides: np.ndarray
    label: np.ndarray
    euler_change: np.ndarray


def around(bone: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of bone and of marrow in the 3x3x3 neighborhoods of voxels.

    Args:
        bone: (nz, ny, nx) bool. places: flat indices (n,) of voxels that do not lie on the volume's faces.

    Returns:
        (n,) numbers of 26-connected pieces of the 26 neighbors that are bone, and of 6-connected pieces of marrow among
        the 18 neighbors that share a face with the voxel.
    """
    strides = np.array([bone.shape[1] * bone.shape[2], bone.shape[2], 1])
    offsets = _STEPS @ strides
    flat = bone.reshape(-1)
    codes = np.zeros(len(places), np.int64)
    for bit, offset in enumerate(offsets):
        codes |= flat[places + offset].astype(np.int64) << bit
    found, inverse = np.unique(codes, return_inverse=True)
    bones, marrows = np.empty(len(found), np.int32), np.empty(len(found), np.int32)
    for start in range(0, len(found), _CHUNK):
        part = slice(start, start + _CHUNK)
        pattern = (found[part, None] >> np.arange(26) & 1).astype(bool)
        bones[part] = _pieces(pattern, _TOUCHES_26)
        marrows[part] = _pieces(~pattern & _IN_18, _TOUCHES_6, _AT_FACE)
    return bones[inverse], marrows[inverse]


def _pieces(pattern: np.ndarray, touches: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Number of connected pieces of each pattern (n, 26); only those that reach a neighbor that is ``counted``."""
    left = pattern.copy() if counted is None else pattern & counted
    number = np.zeros(len(pattern), np.int32)
    while left.any():
        rows = np.flatnonzero(left.any(axis=1))
        piece = np.zeros((len(rows), pattern.shape[1]), bool)
        piece[np.arange(len(rows)), left[rows].argmax(axis=1)] = True
        while True:
            grown = ((piece.astype(np.float32) @ touches) > 0) & pattern[rows]
            if (grown == piece).all():
                break
            piece = grown
        left[rows] &= ~piece
        number[rows] += 1
    return number


def core_of_loss(bone: np.ndarray, lost: np.ndarray) -> Core:
    """Peel the loss from its surface inwards, simple voxels only, and weigh what cannot be peeled.

    Args:
        bone: (nz, ny, nx) bool, before; its outermost layer of voxels must not be lost.
        lost: (nz, ny, nx) bool, part of ``bone``.

    Voxels of one parity along all three axes are never neighbors, so that each eighth is peeled at once and exactly
    as if one after the other.
    """
    now = bone.copy()
    flat = now.reshape(-1)
    shape = bone.shape
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    left = np.flatnonzero(lost)
    parity = sum(
        ((left // stride) % length % 2) << k for k, (stride, length) in enumerate(zip(strides, shape, strict=True))
    )
    faces = np.concatenate([strides, -strides])
    while len(left):
        open_faces = np.zeros(len(left), bool)
        for offset in faces:
            open_faces |= ~flat[left + offset]
        before = len(left)
        for eighth in range(8):
            tried = np.flatnonzero(open_faces & (parity == eighth))
            bones, marrows = around(now, left[tried])
            flat[left[tried[(bones == 1) & (marrows == 1)]]] = False
        stays = flat[left]
        left, parity = left[stays], parity[stays]
        if len(left) == before:
            break
    bones, marrows = around(now, left)
    core = np.zeros(shape, bool)
    core.reshape(-1)[left] = True
    label, number = components.label(core)
    change = np.zeros(number + 1)
    _add_changes(change, label, now, core)
    return Core(np.stack(np.unravel_index(left, shape), axis=1), bones, marrows, label.reshape(-1)[left], change[1:])


def _add_changes(change: np.ndarray, label: np.ndarray, bone: np.ndarray, core: np.ndarray) -> None:
    """Add to ``change`` by label what the loss of the core does in each 2x2x2 neighborhood that it touches."""
    shape = bone.shape
    touched = []
    places = np.argwhere(core)
    for corner in stencil.CORNERS:
        first = places - corner
        inside = ((first >= 0) & (first < np.array(shape) - 1)).all(axis=1)
        touched.append(np.ravel_multi_index(tuple(first[inside].T), shape))
    first = np.unique(np.concatenate(touched))
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    before, after = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
    whose = np.zeros(len(first), np.int64)
    for bit, corner in enumerate(stencil.CORNERS):
        at = first + int(corner @ strides)
        here, gone = bone.reshape(-1)[at], core.reshape(-1)[at]
        before |= here.astype(np.int64) << bit
        after |= (here & ~gone).astype(np.int64) << bit
        whose = np.maximum(whose, label.reshape(-1)[at])
    change += np.bincount(whose, CONTRIBUTIONS[after] - CONTRIBUTIONS[before], minlength=len(change))
