"""Pictures without OpenGL: rays through the field in NumPy, lit as every other picture."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from microct.render.field import LEVEL, sample
from microct.render.light import lost_weight
from microct.render.scene import Camera, Scene, to_index

#: Rays in flight at once; bounds the memory and keeps it in the cache.
RAYS = 1 << 17
THREADS = min(4, os.cpu_count() or 1)
#: Where three rays pass through a pixel at an edge, in pixels from its middle.
INSIDE_PIXEL = np.array([[-0.33, -0.08], [0.08, 0.33], [0.25, -0.25]], np.float32)


@dataclass(frozen=True)
class Space:
    """Fields to march through: bone now, bone now or before, and voxels that are or touch bone of either."""

    now: np.ndarray
    union: np.ndarray
    near: np.ndarray
    spacing_mm: tuple[float, float, float]


def space(shown: Scene) -> Space:
    """Prepare a scene for marching."""
    now = shown.bone.values
    union = now if shown.first is None else np.maximum(now, shown.first.values)
    return Space(now, union, dilated(union > LEVEL), shown.bone.spacing_mm)


def dilated(solid: np.ndarray) -> np.ndarray:
    """The solid voxels and their 26 neighbors."""
    for axis in range(3):
        lines = np.moveaxis(solid, axis, 0)
        grown = lines.copy()
        grown[1:] |= lines[:-1]
        grown[:-1] |= lines[1:]
        solid = np.moveaxis(grown, 0, axis)
    return np.ascontiguousarray(solid)


def free_ahead(near: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """How many slices a ray may go on before it can meet a voxel of ``near``.

    Slices are those across the axis along which the ray is fastest. A ray that starts in a voxel lies in one of two
    voxels of the next slice along each other axis, so the count is one more than the least of those four; found
    in one sweep against the ray.

    Args:
        near: (nz, ny, nx) bool.
        ray: (3,) direction in indices.

    Returns:
        (nz, ny, nx) uint8, 0 in ``near``, 255 for "to the end of the block".
    """
    fastest = int(np.abs(ray).argmax())
    forward = ray[fastest] > 0
    slices = np.moveaxis(near, fastest, 0)
    result = np.empty(near.shape, np.uint8)
    ahead = np.moveaxis(result, fastest, 0)
    drift = [ray[axis] / abs(ray[fastest]) for axis in range(3) if axis != fastest]
    beyond = np.full(slices.shape[1:], 254, np.uint8)
    for i in range(len(slices))[:: -1 if forward else 1]:
        for axis, by in enumerate(drift):
            lines = np.moveaxis(beyond, axis, 0)
            least = lines.copy()
            if by > 0:
                np.minimum(lines[:-1], lines[1:], out=least[:-1])
            else:
                np.minimum(lines[1:], lines[:-1], out=least[1:])
            beyond = np.moveaxis(least, 0, axis)
        beyond = np.where(slices[i], 0, np.minimum(beyond, 254) + 1).astype(np.uint8)
        ahead[i] = beyond
    return result


def paint(shown: Scene, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Draw a scene; see `microct.render.backend.draw`.

    One ray through each pixel, three where the picture has an edge.
    """
    width, height = size
    if "space" not in shown.memo:
        shown.memo["space"] = space(shown)
    room = shown.memo["space"]
    ahead = free_ahead(room.near, direction(room, camera))
    centers = pixel_middles(width, height)
    color, depth = trace(shown, room, ahead, camera, size, centers)
    again = np.flatnonzero(edges(depth.reshape(height, width), color.reshape(height, width, 4)).ravel())
    if len(again):
        begin = (lowest_near(depth.reshape(height, width)) - 3.0).ravel()[again]
        count = len(INSIDE_PIXEL)
        several = (centers[:, again, None] + INSIDE_PIXEL.T[:, None, :]).reshape(2, -1)
        inside = trace(shown, room, ahead, camera, size, several, begin.repeat(count))[0]
        color[again] = inside.reshape(-1, count, 4).mean(axis=1)
    color[:, :3] /= np.maximum(color[:, 3:], 1e-6)
    return np.rint(255.0 * np.clip(color, 0.0, 1.0)).astype(np.uint8).reshape(height, width, 4)


def pixel_middles(width: int, height: int) -> np.ndarray:
    """(2, width * height) float32 x and y of every pixel's middle, row by row."""
    y, x = np.divmod(np.arange(width * height), width)
    return np.stack([x, y]).astype(np.float32) + np.float32(0.5)


def lowest_near(depth: np.ndarray) -> np.ndarray:
    """The smallest of each pixel and its eight neighbors."""
    for axis in (0, 1):
        lines = np.moveaxis(depth, axis, 0)
        result = lines.copy()
        result[1:] = np.minimum(result[1:], lines[:-1])
        result[:-1] = np.minimum(result[:-1], lines[1:])
        depth = np.moveaxis(result, 0, axis)
    return depth


def edges(depth: np.ndarray, color: np.ndarray) -> np.ndarray:
    """(height, width) bool: pixels that differ from a neighbor in depth (by more than 2 voxels) or in color."""
    result = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        far, near = (np.moveaxis(array, axis, 0) for array in (depth, color))
        step = (np.abs(np.diff(np.minimum(far, 1e6), axis=0)) > 2.0) | (
            np.abs(np.diff(near, axis=0)).max(axis=-1) > 0.08
        )
        mark = np.moveaxis(result, axis, 0)
        mark[1:] |= step
        mark[:-1] |= step
    return result


def trace(
    shown: Scene,
    room: Space,
    ahead: np.ndarray,
    camera: Camera,
    size: tuple[int, int],
    pixels: np.ndarray,
    begin: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow rays through points of the picture.

    Args:
        shown: the scene.
        room: its fields.
        ahead: `free_ahead` in the direction of the camera.
        camera: from where.
        size: (width, height) of the picture.
        pixels: (2, n) x and y in the picture.
        begin: (n,) depth before which there is surely nothing.

    Returns:
        (n, 4) sRGB 0..1 times coverage, and coverage; (n,) depth in voxels, infinite where nothing was hit.
    """
    n = pixels.shape[1]
    color = np.zeros((n, 4), np.float32)
    depth = np.full(n, np.inf, np.float32)
    ray = direction(room, camera)

    def follow(first: int) -> None:
        part = slice(first, min(first + RAYS, n))
        origin = origins(room, camera, size, pixels[:, part])
        enter, leave = crossing(room.now.shape, origin, ray)
        if begin is not None:
            enter = np.maximum(enter, begin[part])
        some = np.flatnonzero(enter < leave)
        found, at = march(room.union, ahead, origin[:, some], ray, enter[some], leave[some])
        hit, at = some[found], at[found]
        depth[part][hit] = at
        color[part][hit] = hit_color(shown, room, ahead, camera, origin[:, hit], ray, at, leave[hit])

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        list(pool.map(follow, range(0, n, RAYS)))
    return color, depth


def direction(room: Space, camera: Camera) -> np.ndarray:
    """(3,) step of every ray in indices, as long as the shortest voxel edge."""
    return (-camera.towards_eye * min(room.spacing_mm) / np.asarray(room.spacing_mm)).astype(np.float32)


def origins(room: Space, camera: Camera, size: tuple[int, int], pixels: np.ndarray) -> np.ndarray:
    """Where the rays of ``pixels`` (2, n) pass the plane through the camera's target, (3, n) indices."""
    across = (pixels[0] - size[0] / 2) * camera.mm_per_pixel
    upward = (size[1] / 2 - pixels[1]) * camera.mm_per_pixel
    plane = np.asarray(camera.target_mm)[:, None] + camera.right[:, None] * across + camera.up[:, None] * upward
    return to_index(plane, room.spacing_mm).astype(np.float32)


def crossing(shape: tuple[int, ...], origin: np.ndarray, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each ray enters and leaves the array, (n,) each; it misses where it would leave before it enters."""
    safe = np.where(np.abs(ray) < 1e-7, np.float32(1e-7), ray)[:, None]
    low, high = -origin / safe, (np.array(shape, np.float32)[:, None] - 1 - origin) / safe
    return np.minimum(low, high).max(axis=0) + np.float32(1e-3), np.maximum(low, high).min(axis=0) - np.float32(1e-3)


def hit_color(
    shown: Scene,
    room: Space,
    ahead: np.ndarray,
    camera: Camera,
    origin: np.ndarray,
    ray: np.ndarray,
    at: np.ndarray,
    leave: np.ndarray,
) -> np.ndarray:
    """(n, 4) sRGB 0..1 times coverage, and coverage, of rays that met bone or lost bone at depth ``at``."""
    eye = camera.towards_eye
    points = origin + at * ray[:, None]
    color = np.zeros((len(at), 4), np.float32)
    veil = np.zeros(len(at), np.float32)
    solid = np.ones(len(at), bool)
    if shown.first is not None:
        gone = np.flatnonzero(lost_weight(sample(room.now, points)) > 0)
        lost = shown.lost_surface(points[:, gone])
        veil[gone] = lost.opacity
        color[gone, :3] = lost.seen(eye) / 255.0 * lost.opacity[:, None]
        found, further = march(room.now, ahead, origin[:, gone], ray, at[gone], leave[gone])
        solid[gone] = found
        points[:, gone] = origin[:, gone] + further * ray[:, None]
    bone = np.flatnonzero(solid)
    color[bone, :3] += shown.bone_surface(points[:, bone]).seen(eye) / 255.0 * (1 - veil[bone, None])
    color[:, 3] = np.where(solid, 1.0, veil)
    return color


def march(
    values: np.ndarray, ahead: np.ndarray, origin: np.ndarray, ray: np.ndarray, enter: np.ndarray, leave: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First crossing of `LEVEL` along parallel rays.

    Empty space is passed in steps that `free_ahead` allows, the neighborhood of bone in steps of at most 0.9 voxel, the
    shorter the closer the field is to `LEVEL`.

    Args:
        values: (nz, ny, nx) uint8 field.
        ahead: (nz, ny, nx) uint8 from `free_ahead`.
        origin: (3, n) float32 indices; ray: (3,) index step for one unit; enter, leave: (n,) where to begin and end.

    Returns:
        (n,) bool, found; (n,) float32, where.
    """
    flat = ahead.reshape(-1)
    strides = (ahead.shape[1] * ahead.shape[2], ahead.shape[2], 1)
    found = np.zeros(len(enter), bool)
    where = enter.astype(np.float32)
    index = np.arange(len(enter))
    at, last, before = where.copy(), where.copy(), np.zeros(len(enter), np.float32)
    ends, start = leave.astype(np.float32), origin
    # A point may lie half a slice ahead of its voxel's middle.
    free_step = ((np.arange(256) - 0.5) / np.abs(ray).max()).astype(np.float32)
    free_step[255] = np.inf
    while len(index):
        voxel = np.zeros(len(index), np.intp)
        for axis in range(3):
            voxel += (start[axis] + (at * ray[axis] + np.float32(0.5))).astype(np.intp) * strides[axis]
        free = flat.take(voxel)
        step = free_step.take(free)
        close = np.flatnonzero(free == 0)
        value = sample(values, start[:, close] + at[close] * ray[:, None], inside=True)
        crossed = value >= LEVEL
        hits = close[crossed]
        where[index[hits]] = placed(values, start[:, hits], ray, last[hits], at[hits], before[hits], value[crossed])
        found[index[hits]] = True
        last = at
        before = np.zeros(len(index), np.float32)
        before[close] = value
        step[close] = np.clip((LEVEL - value) / 110.0, 0.25, 0.9)
        at = at + step
        at[hits] = np.inf
        keep = np.flatnonzero(at < ends)
        if len(keep) < len(index):
            index, at, last, before, ends = index[keep], at[keep], last[keep], before[keep], ends[keep]
            start = start[:, keep]
    return found, where


def placed(
    values: np.ndarray,
    origin: np.ndarray,
    ray: np.ndarray,
    outside: np.ndarray,
    inside: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """Where the field crosses `LEVEL` between two depths (n,), by two rounds of false position.

    ``low`` and ``high`` are the field at ``outside`` and ``inside``.
    """
    for last_round in (False, True):
        share = np.clip((LEVEL - low) / np.maximum(high - low, 1.0), 0.0, 1.0)
        between = outside + share * (inside - outside)
        if last_round:
            break
        value = sample(values, origin + between * ray[:, None], inside=True)
        solid = value >= LEVEL
        inside, high = np.where(solid, between, inside), np.where(solid, value, high)
        outside, low = np.where(solid, outside, between), np.where(solid, low, value)
    return between
