"""N.Br, N.Jn, N.En, Br.Le, ITA: the skeleton of bone as branches that meet at junctions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from microct.kernels import components
from microct.morphometry.specimen import Specimen
from microct.table import Row

#: One of each pair of opposite steps to the 26 neighbors.
_HALF = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


@dataclass(frozen=True)
class SkeletonGraph:
    """Branches and junctions.

    Attributes:
        lengths: (branches,) along the branch, junction steps included [mm].
        junctions: (junctions, 3) mean place (z, y, x) of each cluster of junction voxels [mm].
        ends: number of end voxels.
        angles: valence of a junction to all angles between straight lines to the far ends of its branches [degree].
    """

    lengths: np.ndarray
    junctions: np.ndarray
    ends: int
    angles: dict[int, np.ndarray]


def skeleton_graph(bone: np.ndarray, spacing_mm: tuple[float, float, float]) -> SkeletonGraph:
    """Thin bone to lines (Lee, Kashyap, Chu 1994) and read them as a graph.

    A voxel with one neighbor is an end, with two it lies on a branch, with more at a junction; junction voxels that
    touch are one junction. Angles are between straight lines from a junction to the far end of each branch, as
    inter-trabecular angles are (Reznikov et al. 2016, doi:10.1016/j.actbio.2016.08.040).
    """
    from skimage.morphology import skeletonize

    lines = np.pad(skeletonize(bone) != 0, 1)
    neighbors = np.zeros(lines.shape, np.uint8)
    for step in _HALF:
        here, there = _shifted(lines, step)
        neighbors[here] += lines[there]
        neighbors[there] += lines[here]
    crossing = lines & (neighbors >= 3)
    junction, junctions = components.label(crossing)
    branch, branches = components.label(lines & ~crossing)
    spacing = np.asarray(spacing_mm, float)
    length = np.zeros(branches + 1)
    touching: dict[tuple[int, int], float] = {}
    for step in _HALF:
        size = float(np.linalg.norm(np.array(step) * spacing))
        here, there = _shifted(lines, step)
        same = branch[here][(branch[here] == branch[there]) & (branch[here] > 0)]
        length += size * np.bincount(same, minlength=branches + 1)
        for a, b in ((here, there), (there, here)):
            meets = (branch[a] > 0) & (junction[b] > 0)
            for pair in set(zip(branch[a][meets].tolist(), junction[b][meets].tolist(), strict=True)):
                touching[pair] = min(size, touching.get(pair, math.inf))
    centers = _centers(junction, junctions) * spacing
    for (number, _), size in touching.items():
        length[number] += size
    ends = np.argwhere(lines & (neighbors <= 1))
    return SkeletonGraph(length[1:], centers, len(ends), _angles(touching, centers, branch, ends, spacing))


def skeleton_rows(specimen: Specimen) -> list[Row]:
    """Numbers of branches, junctions and ends, mean length of a branch, mean angles at junctions of 3 and 4."""
    graph = skeleton_graph(specimen.bone_in_region, specimen.spacing_mm)
    rows = [
        Row("N.Br", float(len(graph.lengths))),
        Row("N.Jn", float(len(graph.junctions))),
        Row("N.En", float(graph.ends)),
        Row("Br.Le", float(graph.lengths.mean())) if len(graph.lengths) else Row("Br.Le", math.nan, note="no branch"),
    ]
    for valence, symbol in ((3, "ITA3"), (4, "ITA4")):
        angles = graph.angles.get(valence, np.zeros(0))
        note = "" if len(angles) else f"no junction of {valence} branches"
        rows.append(Row(symbol, float(angles.mean()) if len(angles) else math.nan, note=note))
    return rows


def _shifted(values: np.ndarray, step: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the voxels that have a neighbor at ``step``, and of those neighbors."""
    here = tuple(slice(max(-d, 0), n - max(d, 0)) for d, n in zip(step, values.shape, strict=True))
    there = tuple(slice(max(d, 0), n - max(-d, 0)) for d, n in zip(step, values.shape, strict=True))
    return here, there


def _centers(labels: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) mean index of each label."""
    places = np.argwhere(labels > 0)
    names = labels[labels > 0]
    number = np.maximum(np.bincount(names, minlength=count + 1), 1)
    return np.stack([np.bincount(names, places[:, k], count + 1) / number for k in range(3)], axis=1)[1:]


def _angles(
    touching: dict[tuple[int, int], float],
    centers: np.ndarray,
    branch: np.ndarray,
    ends: np.ndarray,
    spacing: np.ndarray,
) -> dict[int, np.ndarray]:
    at_branch: dict[int, list[int]] = {}
    at_junction: dict[int, list[int]] = {}
    for number, junction in touching:
        at_branch.setdefault(number, []).append(junction)
        at_junction.setdefault(junction, []).append(number)
    free = {int(branch[tuple(place)]): place * spacing for place in ends}
    found: dict[int, list[float]] = {}
    for junction, numbers in at_junction.items():
        lines = []
        for number in numbers:
            others = [other for other in at_branch[number] if other != junction]
            far = centers[others[0] - 1] if others else free.get(number)
            if far is not None:  # a branch that comes back to its own junction has no far end
                line = far - centers[junction - 1]
                lines.append(line / max(float(np.linalg.norm(line)), 1e-12))
        for a, b in combinations(lines, 2):
            found.setdefault(len(lines), []).append(math.degrees(math.acos(min(1.0, max(-1.0, float(a @ b))))))
    return {valence: np.array(angles) for valence, angles in found.items()}
