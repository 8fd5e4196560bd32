"""Cortical bone: a curved cortex with Haversian canals, trabeculae behind it, marrow inside, air outside."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from microct.imaging.smoothfield import SmoothField, block_inside, lattice, without_islands
from microct.imaging.trabecular import TrabecularBone, nearest_point, trabecular_field

#: Lattice of the field [mm]: half of the thinnest canal.
STEP_MM = 0.02
#: Radius of the outer surface [mm]: the shaft of a human femur or tibia.
OUTER_RADIUS_MM = 13.0
#: Edge of the square that one canal serves [mm]: 16 to 20 canals a mm2 in human cortex.
CANAL_SPACING_MM = 0.25
#: Canals stay this far below the outer surface [mm], apart from those that cross it.
LEAST_DEPTH_MM = 0.08


def cortical_field(
    size_mm: tuple[float, float, float],
    seed: int,
    cortical_thickness_mm: float,
    porosity: float,
    spongy: TrabecularBone,
) -> SmoothField:
    """A piece of shaft: z runs along the bone, y from the air (low y) through the cortex to the marrow (high y).

    Canals run along z with a slope of up to some 15 degrees, drift, merge in a Y and are joined by oblique (Volkmann)
    canals, some of which reach the outer surface. Diameters spread from 40 to 80 um and grow toward the marrow; all are
    scaled together until the share of canals between the two surfaces is as asked.

    Args:
        size_mm: edges of the block (z, y, x) [mm].
        seed: of the counter-based generator (Philox).
        cortical_thickness_mm: mean distance of the outer and the inner surface [mm].
        porosity: canals' share of the cortex, 0..1.
        spongy: the trabeculae behind.
    """
    half = 0.5 * np.asarray(size_mm)
    rng = np.random.Generator(np.random.Philox(seed))
    shape, first = lattice(half, STEP_MM, margin=4)
    z, y, x = (f + STEP_MM * np.arange(n, dtype=np.float32) for f, n in zip(first, shape, strict=True))
    # the air takes the first 8 % of the block, three lattice steps at least
    surface = -half[1] + max(0.08 * size_mm[1], 3.0 * STEP_MM)
    depth = _outer_depth(y[:, None], x, surface) + 0.01 * _relief(rng, z, x, 1.2)
    inner = cortical_thickness_mm * (1.0 + 0.12 * _relief(rng, z, x, 1.6)) - depth
    points, radii = _canals(rng, half, surface, cortical_thickness_mm)

    # canals are sought only where there is cortex
    span = slice(0, int(np.flatnonzero((inner > -0.1).any(axis=(0, 2)))[-1]) + 1)
    distance, radius = nearest_point(points, radii, (shape[0], span.stop, shape[2]), first, STEP_MM)
    within = (depth[:, span] > 0) & (inner[:, span] > 0)
    relative = distance[within] / radius[within]
    canal = distance - np.float32(np.quantile(relative, porosity)) * radius
    canal += 3.0 * np.maximum(-inner[:, span] - 0.05, 0.0)

    network = trabecular_field(tuple(edge + 0.1 for edge in size_mm), seed + 1, spongy)  # type: ignore[arg-type]
    # trabeculae thin out toward the marrow cavity
    behind = network.at(z, y, x) - 0.03 * np.maximum(-inner - 0.4, 0.0)
    solid = _smooth_max(np.minimum(inner, 0.3), behind, 0.08)
    values = np.minimum(depth, solid).astype(np.float32)
    values[:, span] = np.minimum(values[:, span], canal)
    values = ndimage.gaussian_filter(values, 0.5, mode="nearest")
    values = without_islands(values, block_inside(values.shape, first, half, STEP_MM), slope=STEP_MM)
    return SmoothField(values, STEP_MM, first)


def _outer_depth(y: np.ndarray, x: np.ndarray, surface: float) -> np.ndarray:
    """Depth [mm] below a cylinder along z whose crest touches y = ``surface`` in the middle of the block."""
    return OUTER_RADIUS_MM - np.sqrt((y - surface - OUTER_RADIUS_MM) ** 2 + x**2)


def _canals(
    rng: np.random.Generator, half: np.ndarray, surface: float, thickness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) on the canals' axes, and the radius at each [mm]."""
    rows = int(np.ceil(thickness / CANAL_SPACING_MM)) + 1
    columns = int(np.ceil(2 * half[2] / CANAL_SPACING_MM)) + 5
    heights = np.arange(-half[0] - 0.2, half[0] + 0.2, 0.5 * STEP_MM)
    start = rng.random((rows, columns, 4))
    wander = rng.random((rows, columns, 5, 6))
    fork = rng.random((rows, columns, 4))
    link = rng.random((rows, columns, 2, 5))
    paths, widths = {}, {}
    for at in np.ndindex(rows, columns):
        u = start[at]
        # staggered rows, each canal off its place by up to a third of the spacing
        along = (at[1] - 0.5 * (columns - 1) + 0.5 * (at[0] % 2) + 0.66 * (u[0] - 0.5)) * CANAL_SPACING_MM
        below = (at[0] + 0.6 + 0.66 * (u[1] - 0.5)) * CANAL_SPACING_MM
        free = below + _drift(wander[at][:, :3], heights) - LEAST_DEPTH_MM
        # no canal surfaces lengthwise: the outermost lamellae are whole
        path = LEAST_DEPTH_MM + 0.5 * (free + np.sqrt(free**2 + 0.05**2))
        paths[at] = np.stack([path, along + _drift(wander[at][:, 3:], heights)], axis=1)
        widths[at] = (0.022 + 0.014 * u[2] + 0.010 * u[3] ** 3) * (1.0 + 0.35 * (below / thickness) ** 2)
    points, radii = [], []
    for at, path in paths.items():
        u = fork[at]
        partner = paths.get((at[0] + 1, at[1]) if u[0] < 0.4 else (at[0], at[1] + 1))
        lone = np.ones(len(heights), dtype=bool)
        if partner is not None and u[1] < 0.55:
            # above or below one height the canal leans over to its neighbor and ends in it
            away = (heights - heights[int(u[2] * len(heights))]) * (1.0 if u[3] < 0.5 else -1.0)
            weight = np.clip(away / 0.9, 0.0, 1.0)
            weight = (weight**2 * (3.0 - 2.0 * weight))[:, None]
            path = (1.0 - weight) * path + weight * partner
            lone = away < 0.9
        points.append(_placed(heights[lone], path[lone], surface))
        radii.append(np.full(int(lone.sum()), widths[at]))
        for v in link[at]:
            line = _link(v, at, path, paths, heights) if v[0] < 0.45 else None
            if line is not None:
                points.append(_placed(line[:, 0], line[:, 1:], surface))
                radii.append(np.full(len(line), 0.85 * widths[at]))
    return np.concatenate(points), np.concatenate(radii)


def _link(v: np.ndarray, at: tuple[int, ...], path: np.ndarray, paths: dict, heights: np.ndarray) -> np.ndarray | None:
    """A Volkmann canal from one canal to the next, or out through the surface: (height, depth, arc) [mm]."""
    begin = int(v[2] * (len(heights) - 1))
    end = int(np.clip(begin + (v[3] - 0.5) * 0.5 / (heights[1] - heights[0]), 0, len(heights) - 1))
    partner = paths.get((at[0] + 1, at[1]) if v[1] < 0.6 else (at[0], at[1] + 1))
    if at[0] == 0 and v[4] < 0.3:
        goal = np.array([-0.1, path[begin, 1] + 0.1 * (v[3] - 0.5)])
    elif partner is not None:
        goal = partner[end]
    else:
        return None
    run = np.array([heights[end] - heights[begin], *(goal - path[begin])])
    t = np.linspace(0.0, 1.0, int(np.sqrt((run**2).sum()) / (0.4 * STEP_MM)) + 2)[:, None]
    bow = 0.05 * (v[1] - 0.5) * np.sin(np.pi * t) * np.array([0.0, 1.0, 1.0])
    return np.array([heights[begin], *path[begin]]) + t * run + bow


def _placed(heights: np.ndarray, path: np.ndarray, surface: float) -> np.ndarray:
    """From (depth, arc) [mm] along the curved surface to (z, y, x)."""
    angle = path[:, 1] / OUTER_RADIUS_MM
    radius = OUTER_RADIUS_MM - path[:, 0]
    return np.stack([heights, surface + OUTER_RADIUS_MM - radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _drift(uniform: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """A slow wander [mm] along z of slope 0.1 or so."""
    length = 1.0 + 3.0 * uniform[:, 0]
    waves = np.cos(2 * np.pi * (heights[:, None] / length + uniform[:, 1]))
    return (0.018 * length * (0.5 + uniform[:, 2]) * waves).sum(axis=1)


def _relief(rng: np.random.Generator, z: np.ndarray, x: np.ndarray, length: float, waves: int = 12) -> np.ndarray:
    """(nz, 1, nx) of a smooth random function of mean 0 and variance 1, of wavelengths about ``length`` [mm]."""
    total = np.zeros((len(z), len(x)), np.float32)
    for turn, stretch, phase in rng.random((waves, 3)):
        number = 2 * np.pi / (length * (0.7 + 0.8 * stretch))
        angle = np.pi * turn
        total += np.cos(number * (np.cos(angle) * z[:, None] + np.sin(angle) * x) + 2 * np.pi * phase)
    return np.float32(np.sqrt(2.0 / waves)) * total[:, None, :]


def _smooth_max(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The larger of the two, with a fillet of ``width`` where they meet (polynomial, exact beyond)."""
    overlap = np.maximum(width - np.abs(a - b), 0.0)
    return np.maximum(a, b) + 0.25 * overlap**2 / width
