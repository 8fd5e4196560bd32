"""Other voxels in the same place: cropping, and resampling to another voxel size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from microct.imaging.refining import along, refined
from microct.status import InputError
from microct.volume import Volume, checked_spacing, expected_volume, spacing_of


def crop(volume: Volume, box: Sequence[Sequence[int | None] | None]) -> Volume:
    """Cut a block out of a volume; the origin moves along.

    Args:
        volume: any volume.
        box: (start, stop) [voxel] along z, y, x, as in slices: negative counts from the end, None is the border;
            None instead of a pair keeps the whole axis.

    Raises:
        InputError: not three pairs of whole numbers, outside the volume, or nothing left.

    Example:
        >>> import numpy as np
        >>> from microct import Volume, crop
        >>> crop(Volume.from_array(np.ones((9, 9, 9)), 20), [(1, -1), None, (3, 5)]).shape
        (7, 9, 2)
    """
    ranges = _ranges(box, volume)
    values = np.ascontiguousarray(volume.values[tuple(slice(start, stop) for start, stop in ranges)])
    step = "crop to voxels " + ", ".join(f"{a}:{b}" for a, b in ranges) + " (z, y, x)"
    return volume.with_values(values, step, origin_mm=_moved(volume, [start for start, _ in ranges]))


def crop_empty_border(volume: Volume, background: float = 0, margin: int = 0) -> Volume:
    """Cut off the outer planes that hold nothing but ``background``, leaving ``margin`` [voxel] of them.

    Raises:
        InputError: the whole volume is background.
    """
    if margin < 0:
        raise InputError(f"margin: expected 0 or more voxels, got {margin}")
    full = volume.values != background
    box = []
    for axis, length in enumerate(volume.shape):
        planes = np.flatnonzero(full.any(axis=tuple(other for other in range(3) if other != axis)))
        if planes.size == 0:
            raise InputError(f"{volume.provenance.source}: every voxel is {background:g}; nothing to crop to")
        box.append((max(int(planes[0]) - margin, 0), min(int(planes[-1]) + 1 + margin, length)))
    return crop(volume, box)


def resample(volume: Volume, voxel_size_um: float | Sequence[float]) -> Volume:
    """The same block on voxels of another size.

    Two-valued volumes become a bone fraction, 0 to 255, and uint8 volumes (a bone fraction, or grey) stay uint8. Along
    axes on which voxels become larger, each new one holds the mean of what it covers, so that bone volume stays. Where
    they become smaller, a mask or a bone fraction gets a smooth surface that explains the voxels given (`refining`),
    and its bone volume again: finer voxels know no more than the scan, but have no steps of its voxels. Other grey
    values are interpolated linearly and averaged over the new voxel, so that nothing is skipped on the way down.

    The new block has the same middle as the old one and as many voxels as come nearest to its size; where it
    reaches beyond (half a voxel at most), the outermost voxels are continued.

    Args:
        volume: any volume, cubic voxels or not.
        voxel_size_um: edge of the new voxels [um], one number or one for each of (z, y, x).

    Returns:
        Volume with uint8 values for two-valued or uint8 input, else of the type that came in.

    Raises:
        VoxelSizeError: voxel size not finite or outside 0.1 um to 10 mm.
        InputError: the new voxel is larger than the block; so many voxels do not fit into memory.

    Example:
        >>> import numpy as np
        >>> from microct import Volume, resample
        >>> resample(Volume.from_array(np.ones((9, 9, 9)) > 0, 20), voxel_size_um=60).shape
        (3, 3, 3)
    """
    expected_volume(volume, "resample")
    spacing = checked_spacing(spacing_of(voxel_size_um), "resample")  # type: ignore[arg-type]
    # a block cut from within a mask of 0 and 1 is bone throughout, not grey
    inside = volume.kind != "fraction" and volume.values.dtype == np.uint8 and volume.values.max() <= 1
    values, averaged = _as_fraction(volume.values != 0 if inside else volume.values)
    is_fraction = averaged and (volume.kind == "fraction" or _two_valued(values))
    smooth = is_fraction and bool(values.min() < values.max())
    starts, finer, coarser, widths = [], [], [], []
    try:
        for axis in range(3):
            length, old, new = volume.shape[axis], volume.spacing_mm[axis], spacing[axis]
            ratio = new / old
            count = length if ratio == 1 else round(length / ratio)
            if count < 1:
                raise InputError(
                    f"{volume.provenance.source}: voxels of {1000 * new:g} um are larger than the block, "
                    f"{volume.size_mm} mm; expected a voxel size far below it"
                )
            # centers of the new voxels, in old voxels from the first old center; the middle of the block is kept
            centers = (np.arange(count) - 0.5 * (count - 1)) * ratio + 0.5 * (length - 1)
            starts.append(float(centers[0]) if ratio != 1 else 0.0)
            widths.append(1 / ratio)
            finer.append(_linear(centers, ratio, length) if ratio < 1 else None)
            back = (np.arange(length) - 0.5 * (length - 1)) / ratio + 0.5 * (count - 1)
            coarser.append(_overlap(back, 1 / ratio, count) if ratio < 1 else None)
            if ratio > 1:
                values = along(values, axis, (_overlap if averaged else _linear)(centers, ratio, length))
        if smooth and any(weights is not None for weights in finer):
            values = np.float32(255) * refined(values / np.float32(255), finer, coarser, widths)
        else:
            for axis, weights in enumerate(finer):
                values = values if weights is None else along(values, axis, weights)
    except MemoryError:
        many = float(np.prod([n * h / to for n, h, to in zip(volume.shape, volume.spacing_mm, spacing, strict=True)]))
        sizes_um = " x ".join(f"{1000 * h:g}" for h in sorted(set(spacing)))
        raise InputError(
            f"{volume.provenance.source}: {many:.2g} voxels of {sizes_um} um do not fit into memory; expected larger "
            f"ones (the volume has {1000 * min(volume.spacing_mm):g} um)"
        ) from None
    if averaged:
        values = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    elif volume.values.dtype.kind in "ui":
        limits = np.iinfo(volume.values.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max).astype(volume.values.dtype)
    else:
        values = values.astype(volume.values.dtype)
    was = " x ".join(f"{1000 * h:g}" for h in volume.spacing_mm)
    now = " x ".join(f"{1000 * h:g}" for h in spacing)
    larger, smaller = max(widths) > 1, min(widths) < 1  # widths of old voxels in new ones: larger where new are finer
    how = ["mean of what each covers" if averaged else "linear interpolation, mean over the new voxel"] * smaller
    how += ["smooth surface through the voxels" if smooth else "linear interpolation"] * larger
    return volume.with_values(
        np.ascontiguousarray(values),
        f"resample from {was} to {now} um (z x y x x), {', '.join(dict.fromkeys(how)) or 'the same voxels'}",
        spacing_mm=spacing,
        origin_mm=_moved(volume, starts),
        kind="fraction" if is_fraction else volume.kind,
    )


def _ranges(box: Sequence[Sequence[int | None] | None], volume: Volume) -> list[tuple[int, int]]:
    def refuse(why: str) -> InputError:
        return InputError(
            f"crop: {why}; expected three (start, stop) in voxels along (z, y, x) within the shape {volume.shape}, "
            f"got {box!r}"
        )

    if not isinstance(box, Sequence) or isinstance(box, str) or len(box) != 3:
        raise refuse("the box has not three sides")
    ranges = []
    for side, length, axis in zip(box, volume.shape, "zyx", strict=True):
        pair = (None, None) if side is None else side
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise refuse(f"{axis} is not a pair")
        ends = []
        for end, border in zip(pair, (0, length), strict=True):
            if end is None:
                ends.append(border)
            elif isinstance(end, int | np.integer) and not isinstance(end, bool):
                ends.append(int(end) + length if end < 0 else int(end))
            else:
                raise refuse(f"{end!r} along {axis} is not a whole number")
        start, stop = ends
        if not 0 <= start < stop <= length:
            raise refuse(f"nothing lies between {start} and {stop} along {axis}, or it lies outside")
        ranges.append((start, stop))
    return ranges


def _moved(volume: Volume, starts: Sequence[float]) -> tuple[float, float, float]:
    """World position [mm] of the point ``starts`` voxels from the first voxel's center."""
    offsets = np.asarray(starts) * np.asarray(volume.spacing_mm)
    origin = np.asarray(volume.origin_mm) + offsets @ np.asarray(volume.direction)
    return tuple(float(value) for value in origin)  # type: ignore[return-value]


def _as_fraction(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Values as float32, and whether they are to be averaged: a mask (then 0 or 255) or uint8."""
    low, high = values.min(), values.max()
    if low < high and _two_valued(values):
        return np.where(values == high, np.float32(255), np.float32(0)), True
    if values.dtype == np.bool_:
        return values * np.float32(255), True
    # float64 where float32 would not hold every grey value
    wide = values.dtype.itemsize > 4 or values.dtype in (np.int32, np.uint32)
    return values.astype(np.float64 if wide else np.float32), values.dtype == np.uint8


def _two_valued(values: np.ndarray) -> bool:
    return bool(((values == values.min()) | (values == values.max())).all())


def _overlap(centers: np.ndarray, ratio: float, length: int) -> sparse.csr_array:
    """Share of each new voxel (``ratio`` old voxels wide) that each old voxel covers."""
    reach = int(np.ceil(0.5 * ratio + 0.5)) + 1
    old = np.rint(centers).astype(int)[:, None] + np.arange(-reach, reach + 1)
    low = np.maximum(old - 0.5, (centers - 0.5 * ratio)[:, None])
    high = np.minimum(old + 0.5, (centers + 0.5 * ratio)[:, None])
    return _matrix(old, np.maximum(high - low, 0.0), length)


def _linear(centers: np.ndarray, ratio: float, length: int) -> sparse.csr_array:
    """Mean over each new voxel (``ratio`` old voxels wide) of the line drawn from old center to old center."""
    reach = int(np.ceil(0.5 * ratio)) + 2
    old = np.rint(centers).astype(int)[:, None] + np.arange(-reach, reach + 1)
    low, high = ((centers + side * ratio)[:, None] - old for side in (-0.5, 0.5))
    return _matrix(old, _hat_integral(high) - _hat_integral(low), length)


def _hat_integral(position: np.ndarray) -> np.ndarray:
    """Integral of max(0, 1 - |t|) from -1 to ``position``."""
    t = np.clip(position, -1.0, 1.0)
    return 0.5 + t - 0.5 * t * np.abs(t)


def _matrix(columns: np.ndarray, weights: np.ndarray, length: int) -> sparse.csr_array:
    """Rows that sum to one; columns outside stand for the outermost voxel."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(len(columns))[:, None], columns.shape)
    inside = np.clip(columns, 0, length - 1)
    matrix = sparse.coo_array((weights.ravel(), (rows.ravel(), inside.ravel())), shape=(len(columns), length)).tocsr()
    matrix.eliminate_zeros()
    return matrix
