"""The mid-lines and mid-surfaces of trabeculae: a foam of marrow cells whose walls are perforated or gone.

Trabecular bone bounds marrow spaces of similar size. Their Voronoi cells give the network: the edges become rods,
and those walls that are kept become plates with a round hole of their own size, from closed plate to mere frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import Voronoi, cKDTree


@dataclass(frozen=True)
class Skeleton:
    """Points on mid-lines and mid-surfaces.

    Attributes:
        points_mm: (n, 3) positions (z, y, x) from the middle of the block [mm].
        thickness: (n,) thickness wanted there, mean 1.
    """

    points_mm: np.ndarray
    thickness: np.ndarray


def skeleton(
    rng: np.random.Generator,
    half_size_mm: np.ndarray,
    cell_mm: float,
    anisotropy: float,
    plate_share: float,
    step_mm: float,
    rod_share: float = 0.75,
) -> Skeleton:
    """Sample the network of a block.

    Args:
        rng: source of every choice.
        half_size_mm: (3,) half edges of the block that is to be filled (z, y, x) [mm].
        cell_mm: cube root of the mean volume of a marrow cell [mm].
        anisotropy: length of cells along z for each width.
        plate_share: share of wall area that is kept as plate, 0..1; walls that stand upright are kept first.
        step_mm: distance between points [mm].
        rod_share: share of the edges without a plate that is kept as rod; upright ones first.
    """
    stretch = np.array([anisotropy ** (2.0 / 3.0), anisotropy ** (-1.0 / 3.0), anisotropy ** (-1.0 / 3.0)])
    half = half_size_mm / stretch
    foam = Voronoi(_relaxed(rng, half + 1.8 * cell_mm, cell_mm))
    reach = half + 0.9 * cell_mm
    vertices = foam.vertices
    # Qhull's order may differ between versions; the pair of seeds names a wall for good
    walls = [
        (min(pair), max(pair), ring)
        for pair, ring in zip(foam.ridge_points.tolist(), foam.ridge_vertices, strict=True)
        if -1 not in ring and (np.abs(vertices[ring]) < reach).all()
    ]
    walls.sort(key=lambda wall: wall[:2])
    corners = [vertices[ring] for _, _, ring in walls]
    centers = np.array([corner.mean(axis=0) for corner in corners])
    areas = np.array([_area(corner, center) for corner, center in zip(corners, centers, strict=True)])
    normals = np.array([foam.points[j] - foam.points[i] for i, j, _ in walls]) / stretch
    upright = 1.0 - normals[:, 0] ** 2 / (normals**2).sum(axis=1)

    draws = rng.random((len(walls), 3))
    kept = _best_share(draws[:, 0] + 0.9 * upright, areas, plate_share)
    holes = 0.25 + 0.55 * draws[:, 1]
    holes[draws[:, 2] < 0.35] = 0.0

    edges: dict[tuple[int, ...], list] = {}
    for index, (i, j, ring) in enumerate(walls):
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            edges.setdefault((min(a, b), max(a, b)), []).append((index, i, j))
    named = sorted((tuple(sorted({s for _, i, j in around for s in (i, j)})), ends) for ends, around in edges.items())
    tangents = np.array([vertices[b] - vertices[a] for _, (a, b) in named]) * stretch
    lengths = np.sqrt((tangents**2).sum(axis=1))
    rise = tangents[:, 0] ** 2 / np.maximum(lengths, 1e-12) ** 2
    framed = np.array([any(kept[index] for index, _, _ in edges[ends]) for _, ends in named])
    draws = rng.random((len(named), 2))
    rods = framed | _best_share(draws[:, 0] + 0.5 * rise, lengths * ~framed, rod_share)

    points, thickness = [], []
    for index in np.flatnonzero(kept).tolist():
        sample = _wall(corners[index], centers[index], holes[index], step_mm)
        points.append(sample)
        thickness.append(np.full(len(sample), 1.0))
    for index in np.flatnonzero(rods).tolist():
        a, b = (vertices[end] for end in named[index][1])
        ticks = np.linspace(0.0, 1.0, max(int(lengths[index] / step_mm), 1) + 1)[:, None]
        points.append(a + ticks * (b - a))
        # upright rods carry: in the vertebra they are thicker than the ones that cross
        thickness.append(np.full(len(ticks), 1.05 + 0.35 * (rise[index] - 0.33) + 0.2 * (draws[index, 1] - 0.5)))
    placed, wanted = np.concatenate(points), np.concatenate(thickness)
    near = (np.abs(placed) < half + 0.4 * cell_mm).all(axis=1)
    placed, wanted = placed[near], wanted[near]
    return Skeleton((placed + _bend(rng, placed, cell_mm)) * stretch, wanted)


def _relaxed(rng: np.random.Generator, half: np.ndarray, cell_mm: float, rounds: int = 2) -> np.ndarray:
    """Seeds of cells of similar size: uniform points, each moved to the middle of what is nearest to it, repeatedly."""
    count = max(int(np.prod(2.0 * half) / cell_mm**3), 16)
    seeds = (2.0 * rng.random((count, 3)) - 1.0) * half
    for _ in range(rounds):
        probes = (2.0 * rng.random((40 * count, 3)) - 1.0) * half
        _, nearest = cKDTree(seeds).query(probes)
        share = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, weights=probes[:, axis], minlength=count) for axis in range(3)], axis=1)
        seeds = np.where(share[:, None] > 0, sums / np.maximum(share, 1)[:, None], seeds)
    return seeds


def _best_share(score: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """The highest scores that together hold ``share`` of the weight."""
    order = np.argsort(-score, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    chosen = np.zeros(len(score), dtype=bool)
    chosen[order] = (before < share * weight.sum()) & (weight[order] > 0)
    return chosen


def _area(corners: np.ndarray, center: np.ndarray) -> float:
    spokes = corners - center
    return 0.5 * float(np.sqrt((np.cross(spokes, np.roll(spokes, -1, axis=0)) ** 2).sum(axis=1)).sum())


def _wall(corners: np.ndarray, center: np.ndarray, hole: float, step_mm: float) -> np.ndarray:
    """Points of a wall outside its hole; ``hole`` is 0 (closed) to 1 (only the frame)."""
    spokes = corners - center
    radius = float(np.sqrt((spokes**2).sum(axis=1)).mean())
    points = []
    for spoke, after in zip(spokes, np.roll(spokes, -1, axis=0), strict=True):
        out = np.arange(0.0, 1.0, step_mm / max(radius, step_mm)) + 0.5 * step_mm / radius
        width = float(np.sqrt(((after - spoke) ** 2).sum()))
        across = np.linspace(0.0, 1.0, max(int(width / step_mm), 1) + 1)
        rim = spoke + across[:, None] * (after - spoke)
        fan = out[:, None, None] * rim
        # between the wall's own outline and a circle: holes of real plates are round
        place = 0.45 * out[:, None] + 0.55 * np.sqrt((fan**2).sum(axis=2)) / radius
        points.append(fan[(place > hole) & (out[:, None] <= 1.0)])
    return center + np.concatenate(points)


def _bend(rng: np.random.Generator, points: np.ndarray, cell_mm: float, waves: int = 16) -> np.ndarray:
    """A smooth random displacement: no trabecula is straight, no plate flat."""
    uniform = rng.random((waves, 6))
    cosine, azimuth = 2.0 * uniform[:, 0] - 1.0, 2.0 * np.pi * uniform[:, 1]
    sine = np.sqrt(1.0 - cosine**2)
    direction = np.stack([cosine, sine * np.cos(azimuth), sine * np.sin(azimuth)])
    number = 2.0 * np.pi / (cell_mm * (1.2 + 1.8 * uniform[:, 2]))
    amplitude = 0.11 * cell_mm * np.sqrt(2.0 / waves)
    shifts = np.exp(2j * np.pi * uniform[:, 3:]).astype(np.complex64)
    total = np.empty_like(points)
    for start in range(0, len(points), 65536):
        rows = slice(start, start + 65536)
        total[rows] = (np.exp((1j * (points[rows] @ (direction * number))).astype(np.complex64)) @ shifts).real
    return amplitude * total
