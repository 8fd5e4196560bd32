"""From bone fraction to the smooth field whose level 127.5 is drawn: small enough, and true to every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microct.render.frame import Frame
from microct.volume import HALF

#: The surface of the bone, in units of 1/255 bone fraction.
LEVEL = HALF
#: Blocks with an edge above this many voxels are averaged down for display.
DISPLAY_LIMIT = 200
#: Voxels of marrow around the block, so that bone cut by its faces is closed.
PAD = 2
#: A voxel stays this far on its own side of `LEVEL`: at least, and at most where smoothing would move it across.
MARGIN_LEAST, MARGIN_MOST = 2.0, 25.0

#: Voxel ranges (start, stop) along (z, y, x).
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Field:
    """A field ready to be drawn.

    Attributes:
        values: (nz + 2 PAD, ny + 2 PAD, nx + 2 PAD) uint8; bone where above `LEVEL`.
        spacing_mm: edge of a display voxel along (z, y, x) [mm].
        factor: how many voxels of the data one display voxel averages along each axis.
    """

    values: np.ndarray
    spacing_mm: tuple[float, float, float]
    factor: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Display voxels along (z, y, x), without the padding."""
        return tuple(n - 2 * PAD for n in self.values.shape)  # type: ignore[return-value]

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Edges of the block along (z, y, x) [mm]."""
        return tuple(n * h for n, h in zip(self.shape, self.spacing_mm, strict=True))  # type: ignore[return-value]

    def without(self, box: Box) -> Field:
        """The same field with the display voxels of ``box`` taken away (a flat cut)."""
        values = self.values.copy()
        values[tuple(slice(start + PAD, stop + PAD) for start, stop in box)] = 0
        return Field(values, self.spacing_mm, self.factor)


def field(frame: Frame, limit: int = DISPLAY_LIMIT) -> Field:
    """Make the display field of one frame.

    Blocks above ``limit`` voxels along an edge are averaged over cubes; memory beyond the input is then bounded by
    some 10 ``limit``^3 bytes.
    """
    fraction = frame.fraction
    factor = max(1, -(-max(fraction.shape) // limit))
    small = block_mean(fraction, factor)
    spacing = tuple(
        h * n * 1.0 / m for h, n, m in zip(frame.volume.spacing_mm, fraction.shape, small.shape, strict=True)
    )
    values = np.pad(np.rint(smooth(small)).astype(np.uint8), PAD)
    return Field(values, spacing, factor)  # type: ignore[arg-type]


def block_mean(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean over cubes of ``factor`` voxels (fewer at the far faces), as float32; one slab in memory at a time."""
    if factor == 1:
        return values.astype(np.float32)
    rows, columns = (np.arange(0, n, factor) for n in values.shape[1:])
    counts = [np.diff(np.append(starts, n)) for starts, n in zip((rows, columns), values.shape[1:], strict=True)]
    area = np.outer(*counts).astype(np.float32)
    slabs = []
    for start in range(0, values.shape[0], factor):
        slab = values[start : start + factor].mean(axis=0, dtype=np.float32)
        slabs.append(np.add.reduceat(np.add.reduceat(slab, rows, axis=0), columns, axis=1) / area)
    return np.stack(slabs)


def smooth(fraction: np.ndarray, rounds: int = 4) -> np.ndarray:
    """Take the staircase off without moving a voxel to the other side.

    Binomial smoothing; after each round a voxel that it would take to the other side of `LEVEL` is put back to its own,
    the further the more it was moved. So a slope loses its terraces, where smoothing moves voxels little, and a
    plate or rod one voxel thick is still there, a pore one voxel wide still open, where it would move them much. After
    the constrained smoothing of Whitaker 2000, doi:10.1145/353888.353893 (our own, simpler form).

    Args:
        fraction: (nz, ny, nx) float32, 0 to 255.

    Returns:
        (nz, ny, nx) float32, 0 to 255.
    """
    side = np.where(fraction > LEVEL, np.float32(1.0), np.float32(-1.0))
    result = fraction.astype(np.float32)
    for _ in range(rounds):
        for axis in range(3):
            result = binomial(result, axis)
        inward = (result - np.float32(LEVEL)) * side
        least = np.clip(-0.5 * inward, 0.0, MARGIN_MOST - MARGIN_LEAST) + np.float32(MARGIN_LEAST)
        result = np.maximum(inward, least) * side + np.float32(LEVEL)
    return result


def binomial(values: np.ndarray, axis: int) -> np.ndarray:
    """(1, 2, 1) / 4 along one axis, the edge voxels repeated."""
    if values.shape[axis] == 1:
        return values
    moved = np.moveaxis(values, axis, 0)
    result = moved * np.float32(0.5)
    quarter = moved * np.float32(0.25)
    result[1:] += quarter[:-1]
    result[:-1] += quarter[1:]
    result[0] += quarter[0]
    result[-1] += quarter[-1]
    return np.moveaxis(result, 0, axis)


def sample(values: np.ndarray, points: np.ndarray, inside: bool = False) -> np.ndarray:
    """Trilinear values at points.

    Args:
        values: (nz, ny, nx) uint8 or float32, every axis at least 2.
        points: (3, n) float32 indices along (z, y, x); outside points are moved to the edge.
        inside: promise that every point lies in 0 to n - 1 (exclusive) along each axis, which saves the move.

    Returns:
        (n,) float32.
    """
    flat = values.reshape(-1)
    strides = (values.shape[1] * values.shape[2], values.shape[2], 1)
    base = np.zeros(points.shape[1], np.intp)
    weights = []
    for axis, n in enumerate(values.shape):
        place = points[axis] if inside else np.clip(points[axis], 0.0, n - 1.001)
        whole = place.astype(np.intp)
        weights.append(place - whole.astype(np.float32))
        base += whole * strides[axis]
    wz, wy, wx = weights

    def along_x(offset: int) -> np.ndarray:
        near = flat.take(base + offset).astype(np.float32)
        return near + (flat.take(base + (offset + 1)) - near) * wx

    def along_y(offset: int) -> np.ndarray:
        near = along_x(offset)
        return near + (along_x(offset + strides[1]) - near) * wy

    near = along_y(0)
    return near + (along_y(strides[0]) - near) * wz


#: The corners of a tetrahedron, (4, 3): four samples give a gradient.
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)


def normals(values: np.ndarray, points: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Outward unit normals of the field at points: minus the gradient over about one voxel.

    Args:
        values: (nz, ny, nx) uint8 field.
        points: (3, n) float32 indices.
        spacing_mm: voxel edges [mm].

    Returns:
        (3, n) float32, unit vectors along (z, y, x) in mm.
    """
    gradient = np.zeros_like(points, dtype=np.float32)
    for corner in TETRAHEDRON:
        gradient -= sample(values, points + corner[:, None]) * corner[:, None]
    gradient /= np.asarray(spacing_mm, np.float32)[:, None]
    return gradient / np.maximum(np.sqrt((gradient**2).sum(axis=0)), 1e-6)
