"""Levels of the multigrid preconditioner: coarse cells, and their stiffness summed element by element (Galerkin).

On the second level a cell needs only the eight moduli of its children; from the third on each keeps its 24 x 24 matrix.
Voxels at held nodes, and the last layer of an odd periodic axis, differ from the rule: what they differ by is added as
matrices of their own, so that no coarse boundary condition has to be invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import jax
import numpy as np

from microct.kernels.elasticity import CORNERS, stiffness_matrix
from microct.kernels.elasticity_mesh import Mesh
from microct.kernels.multigrid import Hierarchy, Level
from microct.kernels.multigrid_coarsening import Cells, Coarsening, coarsen

#: The lattice of the coarsest level has at most this many cells; its matrix is inverted as a whole.
COARSEST = 125

#: Motions whose stiffness is below this share of the largest cost nothing: rigid motions, blurred by float32.
_SINGULAR = 2e-6

#: Rows of the lists of every level: see `capacity`.
Capacity = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Structure:
    """What depends on where the bone is: cells of every level, and how each comes from the one before."""

    mesh: Mesh
    cells: tuple[Cells, ...]
    steps: tuple[Coarsening, ...]


def structure(mesh: Mesh, split: bool = True) -> Structure:
    """Coarsen until the lattice has at most `COARSEST` cells."""
    cells = [Cells(mesh.shape, mesh.voxels, mesh.nodes, len(mesh.positions))]
    steps = []
    while np.prod(cells[-1].shape) > COARSEST:
        coarse, step = coarsen(cells[-1], mesh.periodic, len(cells) == 1 or not split, split)
        cells.append(coarse)
        steps.append(step)
    return Structure(mesh, tuple(cells), tuple(steps))


def capacity(of: Structure, at_least: Capacity = (), room: float = 0.0) -> Capacity:
    """Sizes to which the lists of every level are filled up: (cells, nodes, matrices to add, further points).

    Equal capacities give equal shapes, and nothing is compiled anew.

    Args:
        of: the bone.
        at_least: a capacity to keep wherever it is enough.
        room: share by which the bone may still grow.
    """
    sizes: list[tuple[int, int, int, int]] = []
    for level, cells in enumerate(of.cells):
        extra = 0
        if level == 1:  # cells at two opposite faces, which a load case may hold; more of them make the list longer
            ends = [(cells.places[:, a] == 0) | (cells.places[:, a] == cells.shape[a] - 1) for a in range(3)]
            extra = max(int(end.sum()) for end in ends)
        more = len(of.steps[level - 1].owner) - len(cells.nodes) if level else 0
        exact = (len(cells.nodes), cells.node_count + 1, extra, more)
        points = 2 * more + 0.05 * len(cells.nodes) if level > 1 else 0
        rows, nodes, extras = (_filled(n * (1 + room)) for n in exact[:3])
        need = (rows, nodes, extras, _filled(points))
        if len(at_least) == len(of.cells) and all(n <= m for n, m in zip(exact, at_least[level], strict=True)):
            need = at_least[level]
        sizes.append(need)
    return tuple(sizes)


def hierarchy(of: Structure, fixed: np.ndarray, poisson_ratio: float, sizes: Capacity | None = None) -> Hierarchy:
    """Stiffness of every level, on the device.

    Args:
        of: cells of every level.
        fixed: (nodes, 3) bool, displacement that is given.
        poisson_ratio: of the bone.
        sizes: from `capacity`.

    Returns:
        The levels, the coarsest inverted.
    """
    sizes = capacity(of) if sizes is None else sizes
    matrix = stiffness_matrix(poisson_ratio)
    last = len(of.cells) - 1
    odd = _exceptions(of, fixed, matrix)
    levels: list[Level] = []
    matrices: np.ndarray | None = None
    for n, cells in enumerate(of.cells):
        rows, points, extra_rows, more_rows = sizes[n]
        modulus = extra = None
        extra_cells = np.zeros(0, np.int32)
        if n == 0:
            modulus = of.mesh.modulus
        elif n == 1:
            modulus = np.zeros((len(cells.nodes), 8), np.float32)
            modulus[of.steps[0].parent, of.steps[0].slot] = of.mesh.modulus
            extra_cells, extra = _summed(of.steps[0].parent[odd[0]], _moved(odd, of, poisson_ratio, 1))
            extra_rows = max(extra_rows, _filled(len(extra_cells)))
        elif n == 2:
            matrices = _second(of, poisson_ratio)
            there, more = _summed(of.steps[1].parent[of.steps[0].parent[odd[0]]], _moved(odd, of, poisson_ratio, 2))
            matrices[there] += more
        else:
            assert matrices is not None
            matrices = _next(matrices, of.steps[n - 1], len(cells.nodes))
        levels.append(
            Level(
                count=np.int32(len(cells.nodes)),
                nodes=_rows(cells.nodes, rows, points - 1),
                modulus=None if modulus is None else _rows(modulus, rows),
                matrices=_rows(matrices, rows) if n >= 2 and matrices is not None else None,
                extra_count=np.int32(len(extra_cells)),
                extra_nodes=_rows(cells.nodes[extra_cells], extra_rows, points - 1) if n == 1 else None,
                extra=_rows(extra, extra_rows) if extra is not None else None,
                free=_rows(~fixed, points) if n == 0 else None,
                **(_points(of.steps[n - 1], cells, (sizes[n - 1][1], rows, more_rows, points)) if n else _NO_POINTS),
                inverse_diagonal=np.zeros((points, 3), np.float32),
                largest=np.float32(0),
            )
        )
    if last >= 2:
        whole = matrices
    elif last == 1:
        moduli = levels[1].modulus[: len(of.cells[1].nodes)].astype(float)
        whole = (moduli @ _children(poisson_ratio)).reshape(-1, 24, 24)
        whole[extra_cells] += extra
    else:
        kept = (~fixed)[of.mesh.nodes].reshape(-1, 24)
        whole = of.mesh.modulus[:, None, None] * matrix * kept[:, :, None] * kept[:, None, :]
    assert whole is not None
    inverse = _pseudo_inverse(of.cells[last], whole, 3 * sizes[last][1])
    constants: dict[str, Any] = {
        "stiffness": matrix.astype(np.float32),
        "children": _children(poisson_ratio).reshape(8, 24, 24).transpose(1, 0, 2).reshape(24, 192).astype(np.float32),
        "interpolation": _interpolation(),
    }
    return Hierarchy(levels=tuple(levels), coarsest=inverse, **constants)


def _filled(rows: float) -> int:
    """The next size of sixteen to the octave (multiples of 64 below 1024)."""
    rows = int(np.ceil(rows))
    step = max(64, 1 << max(rows.bit_length() - 5, 0))
    return max(-(-rows // step), 1) * step


def _rows(array: np.ndarray, rows: int, fill: int = 0) -> np.ndarray:
    """``array`` with rows of ``fill`` after its own."""
    out = np.full((rows, *array.shape[1:]), fill, array.dtype)
    out[: len(array)] = array
    return out


_NO_POINTS: dict[str, Any] = {"points": None, "more_count": np.int32(0), "more_points": None, "more_nodes": None}


def _points(step: Coarsening, cells: Cells, sizes: tuple[int, int, int, int]) -> dict[str, Any]:
    """The fields of a level that say where its cells lie on the finer one; sizes: finer nodes, cells, more, nodes."""
    finer_nobody, rows, more_rows, nobody = sizes[0] - 1, sizes[1], sizes[2], sizes[3] - 1
    count = len(cells.nodes)
    named = np.where(step.points < 0, np.int32(finer_nobody), step.points)
    more = len(named) - count
    more_rows = max(more_rows, _filled(more))
    return {
        "points": _rows(named[:count], rows, finer_nobody),
        "more_count": np.int32(more),
        "more_points": _rows(named[count:], more_rows, finer_nobody),
        "more_nodes": _rows(cells.nodes[step.owner[count:]], more_rows, nobody),
    }


# 1-D interpolation from the corners of a parent to those of its lower child, its upper child, or a child as long as it
_HALVES = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])


@lru_cache(maxsize=64)
def _to_child(slot: int, stretched: int) -> np.ndarray:
    """(24, 24) displacement of a child's corners from that of its parent's."""
    bits = [2 if stretched >> (2 - a) & 1 else slot >> (2 - a) & 1 for a in range(3)]
    weights = np.kron(np.kron(_HALVES[bits[0]], _HALVES[bits[1]]), _HALVES[bits[2]])
    return np.kron(weights, np.eye(3))


@lru_cache(maxsize=8)
def _children(poisson_ratio: float) -> np.ndarray:
    """(8, 576) stiffness that a child of unit modulus in each slot gives to its parent."""
    matrix = stiffness_matrix(poisson_ratio)
    return np.stack([(_to_child(s, 0).T @ matrix @ _to_child(s, 0)).ravel() for s in range(8)])


@lru_cache(maxsize=8)
def _grandchildren(poisson_ratio: float) -> np.ndarray:
    """(64, 576) float32 stiffness that a grandchild of unit modulus gives; slot of the child counts more slowly."""
    matrix = stiffness_matrix(poisson_ratio)
    down = [_to_child(first, 0) @ _to_child(second, 0) for first, second in product(range(8), repeat=2)]
    return np.stack([(to.T @ matrix @ to).ravel() for to in down]).astype(np.float32)


def _interpolation() -> np.ndarray:
    """(24, 81) displacement of the 27 points of a cell (columns) from that of its 8 corners."""
    weights = np.ones((27, 8), np.float32)
    for point, at in enumerate(product((0.0, 0.5, 1.0), repeat=3)):
        weights[point] = np.prod(np.where(CORNERS == 1, at, 1 - np.asarray(at)), axis=1)
    return np.kron(weights, np.eye(3, dtype=np.float32)).T.copy()


def _exceptions(of: Structure, fixed: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels that differ from the rule, and the (24, 24) stiffness that each of them truly has."""
    held = fixed[of.mesh.nodes].reshape(-1, 24)
    different = held.any(axis=1)
    for n, step in enumerate(of.steps[:2]):
        long = step.stretched != 0
        different |= long if n == 0 else long[of.steps[0].parent]
    which = np.flatnonzero(different)
    kept = ~held[which]
    true = of.mesh.modulus[which, None, None] * matrix.astype(np.float32) * kept[:, :, None] * kept[:, None, :]
    return which, true


def _moved(odd: tuple[np.ndarray, np.ndarray], of: Structure, poisson_ratio: float, levels: int) -> np.ndarray:
    """(n, 24, 24) what those voxels give to their ancestors, less what the rule says they give."""
    which, true = odd
    first = of.steps[0]
    slot, at = first.slot[which], first.parent[which]
    true = _carried(true, slot, first.stretched[which])
    rule = _children(poisson_ratio).astype(np.float32)
    if levels == 2:
        second = of.steps[1]
        true = _carried(true, second.slot[at], second.stretched[at])
        slot = slot.astype(np.int16) * 8 + second.slot[at]
        rule = _grandchildren(poisson_ratio)
    return true - (of.mesh.modulus[which, None] * rule[slot]).reshape(-1, 24, 24)


def _carried(matrices: np.ndarray, slot: np.ndarray, stretched: np.ndarray) -> np.ndarray:
    """(n, 24, 24) stiffness of children on the corners of their parents."""
    out = np.empty_like(matrices)
    kind = slot.astype(np.int16) * 8 + stretched
    for each in np.unique(kind):
        to = _to_child(int(each) >> 3, int(each) & 7).astype(matrices.dtype)
        rows = np.flatnonzero(kind == each)
        half = (matrices[rows].reshape(-1, 24) @ to).reshape(-1, 24, 24).transpose(0, 2, 1)
        out[rows] = (half.reshape(-1, 24) @ to).reshape(-1, 24, 24)
    return out


def _summed(parent: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parents that occur, ascending, and the sum of the matrices of each."""
    order = np.argsort(parent, kind="stable")
    ordered = parent[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, int)
    if not len(starts):
        return np.zeros(0, np.int32), np.zeros((0, 24, 24), matrices.dtype)
    return ordered[starts], np.add.reduceat(matrices[order], starts, axis=0)


def _second(of: Structure, poisson_ratio: float) -> np.ndarray:
    """(cells of the third level, 24, 24) by the rule: 64 moduli times what each place gives."""
    first, second = of.steps[0], of.steps[1]
    modulus = np.zeros((len(of.cells[2].nodes), 64), np.float32)
    place = first.slot.astype(np.int16) * 8 + second.slot[first.parent]
    modulus[second.parent[first.parent], place] = of.mesh.modulus
    return (modulus @ _grandchildren(poisson_ratio)).reshape(-1, 24, 24)


def _next(matrices: np.ndarray, step: Coarsening, count: int) -> np.ndarray:
    """(coarse cells, 24, 24) from the matrices of the level before."""
    which, total = _summed(step.parent, _carried(matrices, step.slot, step.stretched))
    assert len(which) == count
    return total


def _pseudo_inverse(cells: Cells, matrices: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 inverse of the coarsest stiffness; motions that cost nothing, or are held, stay at rest."""
    number = 3 * cells.node_count
    total = np.zeros((number, number))
    at = (3 * cells.nodes[:, :, None] + np.arange(3)).reshape(-1, 24)
    np.add.at(total, (at[:, :, None], at[:, None, :]), matrices.astype(float))
    scale = np.sqrt(np.maximum(np.diag(total), 0))
    scale = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 1e-6 * scale.max(initial=0))
    values, vectors = np.linalg.eigh(total * scale[:, None] * scale)
    keep = values > _SINGULAR * values.max(initial=0)
    half = (scale[:, None] * vectors[:, keep]) / np.sqrt(values[keep])
    out = np.zeros((size, size), np.float32)
    out[:number, :number] = half @ half.T
    return out


def on_device(tree: Hierarchy) -> Hierarchy:
    """The hierarchy with its arrays on the default device."""
    return jax.tree.map(jax.numpy.asarray, tree)
