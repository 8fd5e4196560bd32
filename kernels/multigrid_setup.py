"""Levels of the multigrid preconditioner: their cells, their sizes, and all of it on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import multigrid_exceptions, multigrid_lists, multigrid_lists_device
from microct.kernels.device import has_accelerator
from microct.kernels.elasticity import stiffness_matrix
from microct.kernels.elasticity_mesh import Mesh
from microct.kernels.elasticity_mesh_device import DeviceMesh
from microct.kernels.factored_products import factored
from microct.kernels.fused_products import around_nodes
from microct.kernels.gathering import incident, widest, width_for
from microct.kernels.multigrid_coarsening import Cells, Coarsening, coarsen
from microct.kernels.multigrid_coarsening_device import (
    DeviceCells,
    DeviceCoarsening,
    coarsen_on_device,
    on_device,
)
from microct.kernels.multigrid_exceptions import Exceptions
from microct.kernels.multigrid_galerkin import (
    children,
    filled,
    interpolation,
    next_level,
    padded,
    second,
    whole,
)
from microct.kernels.multigrid_levels import Hierarchy, Level
from microct.kernels.multigrid_lists_device import resized
from microct.kernels.parities import in_parities

#: The lattice of the coarsest level has at most this many cells; its matrix is inverted as a whole.
COARSEST = 125

#: Or the cube of its degrees of freedom is at most this many times the voxels: then to invert it takes some 2 % of a
#: solve (1.1 s of 55 at 200^3), and a level less is compiled. But never more than so many degrees of freedom: one core
#: inverts them in 2 s, and all the rest of a large bone takes a GPU little more.
_INVERTED, LARGEST = 3000, 2000

#: Levels of at least so many cells keep what their deformations cost, nearly half of what the whole matrices take, and
#: exceptions apart. Of smaller ones the whole matrices are less trouble.
DEFORMED_FROM = 1 << 12

#: On a GPU these are levels of at least so many cells, which keep factors: their kernel takes seconds to compile, each
#: size anew.
FACTORED_FROM = 1 << 16

#: Motions whose stiffness is below this share of the largest cost nothing: rigid motions, blurred by float32.
_SINGULAR = 2e-6

#: Cells from which on a device coarsens them, and to how many: a worker of the host takes some 0.35 us for each, and to
#: compile it for a level takes a second or two. Eight times more cells than the last would have no number in int32.
_MANY, _MOST = 1 << 20, 250_000_000

#: Matrices of fewer cells are carried up and added on the host, also for a device: to compile that takes longer.
_FEW = 1 << 16

#: Rows of the lists of every level: see `capacity`.
Capacity = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Structure:
    """What depends on where the bone is: cells of every level, and how each comes from the one before.

    Those of the first levels may lie on the device: then all of the first lists do.
    """

    mesh: Mesh
    cells: tuple[Cells | DeviceCells, ...]
    steps: tuple[Coarsening | DeviceCoarsening, ...]


def structure(mesh: Mesh, split: bool = True, many: int | None = None) -> Structure:
    """Coarsen until what is left can be inverted as a whole.

    Args:
        mesh: voxels of the bone.
        split: see `coarsen`; without it all is done on the host.
        many: cells from which on a device coarsens them; None: `_MANY`, and on a CPU never.
    """
    if many is None and has_accelerator():
        many = _MANY
    cells: list[Cells | DeviceCells] = [_finest(mesh, many if split else None)]
    steps: list[Coarsening | DeviceCoarsening] = []
    while np.prod(cells[-1].shape) > COARSEST and not _can_be_inverted(3 * cells[-1].node_count, cells[0].count):
        last, whole = cells[-1], len(cells) == 1
        coarse: Cells | DeviceCells
        step: Coarsening | DeviceCoarsening
        if isinstance(last, DeviceCells):
            coarse, step = coarsen_on_device(last, mesh.periodic, whole)
            coarse = coarse.on_host() if coarse.count < (many or 0) else coarse
        else:
            coarse, step = coarsen(last, mesh.periodic, whole or not split, split)
        cells.append(coarse)
        steps.append(step)
    return Structure(mesh, tuple(cells), tuple(steps))


def _can_be_inverted(unknowns: int, voxels: int) -> bool:
    return unknowns <= LARGEST and unknowns**3 <= _INVERTED * voxels


def _finest(mesh: Mesh, many: int | None) -> Cells | DeviceCells:
    """The voxels, on the device where there are ``many``."""
    count = mesh.cells.count if isinstance(mesh, DeviceMesh) else len(mesh.voxels)
    wanted = many is not None and many <= count <= _MOST
    if wanted and isinstance(mesh, DeviceMesh):
        return mesh.cells
    voxels = Cells(mesh.shape, mesh.voxels, mesh.nodes, len(mesh.positions))
    return on_device(voxels) if wanted else voxels


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
        # cells at two opposite faces, which a load case may hold; more of them make the list longer
        extra = cells.at_ends if level else 0
        more = of.steps[level - 1].more if level else 0
        exact = (cells.count + 1, cells.node_count + 2, extra, more)  # a row of nothing, for `gathering`
        points = 2 * more + 0.05 * cells.count if level > 1 else 0
        rows, nodes, extras = (filled(n * (1 + room)) for n in exact[:3])
        need = (rows, nodes, extras, filled(points))
        if len(at_least) == len(of.cells) and all(n <= m for n, m in zip(exact, at_least[level], strict=True)):
            need = at_least[level]
        sizes.append(need)
    return tuple(sizes)


def hierarchy(
    of: Structure,
    fixed: np.ndarray,
    poisson_ratio: float,
    sizes: Capacity | None = None,
    side_by_side: bool | None = None,
) -> Hierarchy:
    """Stiffness of every level, on the default device; `multigrid.prepared` makes it complete.

    Args:
        of: cells of every level.
        fixed: (nodes, 3) bool, displacement that is given.
        poisson_ratio: of the bone.
        sizes: from `capacity`.
        side_by_side: make what products on many workers need (`multigrid_products`); None: unless the device is a CPU.

    Returns:
        The levels, the coarsest inverted.
    """
    sizes = capacity(of) if sizes is None else sizes
    side_by_side = has_accelerator() if side_by_side is None else side_by_side
    finest = of.cells[0]
    modulus: Any
    free: Any = padded(~fixed, sizes[0][1])
    if isinstance(finest, DeviceCells):
        if not side_by_side:
            raise ValueError("cells that lie on the device are made for products side by side")
        own = of.mesh.moduli if isinstance(of.mesh, DeviceMesh) else padded(of.mesh.modulus, len(finest.nodes))
        modulus, free = jnp.asarray(own), jnp.asarray(free)
    else:
        modulus = of.mesh.modulus
    levels = [_level(of, n, sizes, modulus, free, side_by_side) for n in range(len(of.cells))]
    last = len(levels) - 1
    if last:
        levels, matrices = _with_stiffness(of, levels, sizes, modulus, fixed, poisson_ratio, side_by_side)
    else:
        kept = (~fixed)[of.mesh.nodes].reshape(-1, 24)
        matrices = of.mesh.modulus[:, None, None] * stiffness_matrix(poisson_ratio)
        matrices = matrices * kept[:, :, None] * kept[:, None, :]
    coarsest = of.cells[last].on_host()
    tree = Hierarchy(
        levels=tuple(levels),
        coarsest=_pseudo_inverse(coarsest, matrices[: coarsest.count], 3 * sizes[last][1]),
        stiffness=stiffness_matrix(poisson_ratio).astype(np.float32),
        children=in_parities(children(poisson_ratio)).astype(np.float32),
        children_diagonal=np.diagonal(children(poisson_ratio), axis1=1, axis2=2).astype(np.float32),
        interpolation=interpolation(),
    )
    tree = jax.device_put(tree)
    return _knowing_neighbors(tree, of, modulus, sizes[0][0]) if side_by_side else tree


def _with_stiffness(
    of: Structure,
    levels: list[Level],
    sizes: Capacity,
    modulus: Any,
    fixed: np.ndarray,
    poisson_ratio: float,
    side_by_side: bool,
) -> tuple[list[Level], np.ndarray]:
    """The levels with the matrices of all below the finest, and the whole ones of the last."""
    finest, steps = of.cells[0], of.steps
    lists = _maker_of(finest)
    odd_voxels = lists.odd_voxels(finest, modulus, steps, levels[0].free)
    at_once = side_by_side and len(odd_voxels.nodes) > 0
    odd = multigrid_exceptions.of_second_level(odd_voxels, fixed, poisson_ratio, at_once)
    levels[1] = _with_extra(levels[1], odd, sizes[1][2])
    if len(levels) == 2:
        matrices = np.tensordot(np.asarray(levels[1].modulus, float), children(poisson_ratio), 1)
        matrices[odd.cells] += odd.on_host().matrices
        return levels, matrices
    rule: Any = None
    for n in range(2, len(levels)):
        step, rows, count = steps[n - 1], sizes[n][0], of.cells[n - 1].count
        odd = _exceptions_above(odd, of, n, levels[1], rule, poisson_ratio)
        if n == 2:
            rule = second(lists.moduli_of_grandchildren(steps, modulus, rows), poisson_ratio)
        elif isinstance(step, DeviceCoarsening) and step.count >= _FEW:
            rule = multigrid_lists_device.next_level(rule, step, rows)
        else:
            rule = next_level(rule, step.of_cells(slice(count))[:2], rows, side_by_side and count >= _FEW)
        levels[n] = _with_matrices(levels[n], rule, odd, sizes[n][2], side_by_side)
    return levels, _whole(rule, odd)


def _exceptions_above(
    odd: Exceptions, of: Structure, n: int, second_level: Level, rule: Any, poisson_ratio: float
) -> Exceptions:
    """Exceptions of level ``n``, from those of the level before (``odd``) and what the ``rule`` says of that."""
    step = of.steps[n - 1]
    if n > 2 and len(odd.cells) < _FEW:
        odd = odd.on_host()
    if n > 2 and of.mesh.periodic:
        odd = odd.joined_by(np.flatnonzero(step.of_cells(slice(of.cells[n - 1].count))[2]))

    def by_rule(cells: np.ndarray) -> np.ndarray:
        if n > 2:
            return whole(np.asarray(rule[cells]))
        return np.tensordot(np.asarray(second_level.modulus[cells]), children(poisson_ratio).astype(np.float32), 1)

    return multigrid_exceptions.of_next_level(odd, step.of_cells(odd.cells), by_rule)


def _with_matrices(level: Level, rule: Any, odd: Exceptions, extra_rows: int, side_by_side: bool) -> Level:
    """A level from the third on with its stiffness: whole, or what deformations cost and exceptions apart."""
    if len(rule) < (FACTORED_FROM if side_by_side else DEFORMED_FROM):
        return level._replace(matrices=_whole(rule, odd))
    return _with_extra(level._replace(matrices=factored(rule) if side_by_side else rule), odd, extra_rows)


def _whole(rule: Any, odd: Exceptions) -> np.ndarray:
    """(rows, 24, 24) float32 stiffness by the rule, with its exceptions."""
    matrices = whole(np.asarray(rule))
    matrices[odd.cells] += odd.on_host().matrices
    return matrices


def _level(of: Structure, n: int, sizes: Capacity, modulus: Any, free: Any, side_by_side: bool) -> Level:
    """Level ``n`` without its stiffness; the last two nodes of voxels are read by nobody."""
    cells = of.cells[n]
    rows, points, _, more_rows = sizes[n]
    nodes: Any = None
    moduli: Any = None
    if n == 0 and not side_by_side:
        nodes, moduli = _voxels(of.mesh, rows, points - 2), padded(modulus, rows)
    elif n == 0:
        pass  # nodes will know what lies around them
    else:
        nodes = _maker_of(cells).nodes_of(cells, rows, points - 1)
    if n == 1:
        moduli = _maker_of(of.steps[0]).moduli_of_children(of.steps[0], modulus, rows)
    level = Level(
        count=np.int32(cells.count),
        nodes=nodes,
        modulus=moduli,
        matrices=None,
        extra_count=np.int32(0),
        extra_cells=None,
        extra=None,
        free=free if n == 0 else None,
        points=None,
        more_count=np.int32(0),
        more_points=None,
        more_cells=None,
        more_round=None,
        smoothing=(jnp if side_by_side else np).zeros((points, 1 if n == 0 else 3), np.float32),
    )
    if n == 0:
        return level
    step, finer_nodes = of.steps[n - 1], sizes[n - 1][1]
    return level._replace(**_maker_of(step).points_of(step, cells.count, finer_nodes, rows, more_rows))


def _maker_of(cells_or_step: Cells | DeviceCells | Coarsening | DeviceCoarsening) -> Any:
    """The room that makes the lists of these where they lie."""
    there = isinstance(cells_or_step, (DeviceCells, DeviceCoarsening))
    return multigrid_lists_device if there else multigrid_lists


def _voxels(bone: Mesh, rows: int, nobody: int) -> np.ndarray:
    """Nodes of voxels as `elasticity.stiffness_product` takes them.

    They are numbered along the last axis: but for a volume that repeats itself, half of them are the next of others.
    """
    return padded(bone.nodes if bone.periodic else np.ascontiguousarray(bone.nodes[:, ::2]), rows, nobody)


def _with_extra(level: Level, odd: Exceptions, rows: int) -> Level:
    """A level with matrices to add to those of some cells."""
    cells, extra = odd
    rows = max(rows, filled(len(cells)))
    if isinstance(extra, np.ndarray):
        extra = padded(extra[: len(cells)], rows)
    else:
        extra = resized(extra, np.int32(len(cells)), rows)
    return level._replace(extra_count=np.int32(len(cells)), extra_cells=padded(cells, rows), extra=extra)


def _knowing_neighbors(tree: Hierarchy, of: Structure, modulus: Any, rows: int) -> Hierarchy:
    """The hierarchy with what lies around the nodes of every level."""
    fine, cells = tree.levels[0], of.cells[0]
    if isinstance(cells, DeviceCells):
        nodes = cells.nodes
    else:
        nodes, modulus = jnp.asarray(padded(cells.nodes, rows)), jnp.asarray(padded(modulus, rows))
    around, moduli = around_nodes(nodes, modulus, fine.count, fine.smoothing.shape[0], of.mesh.periodic)
    levels = [fine._replace(nodes=None, modulus=moduli, around=around)]
    for level in tree.levels[1:]:
        places = level.smoothing.shape[0]
        width = width_for(int(widest(level.nodes, level.count, places)))
        levels.append(level._replace(around=incident(level.nodes, level.count, places, width)))
    return tree._replace(levels=tuple(levels))


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
