"""Stiffness of coarse cells, summed from that of their children (Galerkin): K above = sum of T^T K below T.

On the second level a cell needs only the eight moduli of its children; from the third on each has a 24 x 24 matrix.
Voxels at held nodes, and the last layer of an odd periodic axis, differ from that rule: what they differ by becomes
matrices of their own, so that no coarse boundary condition has to be invented.

Matrices are arrays of numpy where a processor goes through them, and of jax where a device does; rows beyond those that
matter are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.elasticity import CORNERS, dot, stiffness_matrix
from microct.kernels.gathering import VALID, gathered_sum, incident, widest, width_for

Array = Any

#: Matrices that are carried up and added at a time: 2.3 kB each.
_BATCH = 2048

#: Matrices from which on a device carries an eighth of them up at a time; lists of so many are filled up to eighths.
_LONG = 1 << 17

# 1-D interpolation from the corners of a parent to those of its lower child, its upper child, or a child as long as it
_HALVES = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])


@lru_cache(maxsize=64)
def _to_child(slot: int, stretched: int) -> np.ndarray:
    """(24, 24) displacement of a child's corners from that of its parent's."""
    bits = [2 if stretched >> (2 - a) & 1 else slot >> (2 - a) & 1 for a in range(3)]
    weights = np.kron(np.kron(_HALVES[bits[0]], _HALVES[bits[1]]), _HALVES[bits[2]])
    return np.kron(weights, np.eye(3))


@lru_cache(maxsize=8)
def children(poisson_ratio: float) -> np.ndarray:
    """(8, 24, 24) stiffness that a child of unit modulus in each slot gives to its parent."""
    matrix = stiffness_matrix(poisson_ratio)
    return np.stack([_to_child(s, 0).T @ matrix @ _to_child(s, 0) for s in range(8)])


@lru_cache(maxsize=8)
def _grandchildren(poisson_ratio: float) -> np.ndarray:
    """(64, 576) float32 stiffness that a grandchild of unit modulus gives; slot of the child counts more slowly."""
    matrix = stiffness_matrix(poisson_ratio)
    down = [_to_child(first, 0) @ _to_child(second, 0) for first, second in product(range(8), repeat=2)]
    return np.stack([(to.T @ matrix @ to).ravel() for to in down]).astype(np.float32)


def interpolation() -> np.ndarray:
    """(24, 81) float32 displacement of the 27 points of a cell (columns) from that of its 8 corners."""
    weights = np.ones((27, 8), np.float32)
    for point, at in enumerate(product((0.0, 0.5, 1.0), repeat=3)):
        weights[point] = np.prod(np.where(CORNERS == 1, at, 1 - np.asarray(at)), axis=1)
    return np.kron(weights, np.eye(3, dtype=np.float32)).T.copy()


def filled(rows: float) -> int:
    """The next size of 32 to the octave (multiples of 64 below 4096)."""
    rows = int(np.ceil(rows))
    step = max(64, 1 << max(rows.bit_length() - 6, 0))
    return max(-(-rows // step), 1) * step


def padded(array: np.ndarray, rows: int, fill: int = 0) -> np.ndarray:
    """``array`` with rows of ``fill`` after its own."""
    out = np.full((rows, *array.shape[1:]), fill, array.dtype)
    out[: len(array)] = array
    return out


class Odd(NamedTuple):
    """Voxels whose stiffness differs from the rule, arrays of numpy.

    Attributes:
        nodes: (n, 8) int32.
        modulus: (n,) float32.
        parent, slot, stretched: (n,) int32, int8, int8, as in `multigrid_coarsening.Coarsening`.
    """

    nodes: np.ndarray
    modulus: np.ndarray
    parent: np.ndarray
    slot: np.ndarray
    stretched: np.ndarray


def exceptions(odd: Odd, fixed: np.ndarray, poisson_ratio: float, on_device: bool) -> tuple[np.ndarray, Array]:
    """Cells of the second level whose stiffness differs from the rule, and by what.

    Args:
        odd: all voxels that differ, from `multigrid_lists`.
        fixed: (nodes, 3) bool, displacement that is given.
        poisson_ratio: of the bone.
        on_device: whether the matrices shall be an array of jax.

    Returns:
        (cells,) int32 ascending, and (at least as many, 24, 24) float32.
    """
    on_device &= len(odd.nodes) > 0
    matrix = stiffness_matrix(poisson_ratio).astype(np.float32)
    rule = children(poisson_ratio).astype(np.float32)

    def more(rows: np.ndarray) -> Array:
        kept, modulus = ~fixed[odd.nodes[rows]].reshape(-1, 24), odd.modulus[rows, None, None]
        slot, stretched = odd.slot[rows], odd.stretched[rows]
        if on_device:
            return _odd_at_once(kept, modulus, _kind(slot, stretched), matrix, rule, _every_to_child())
        true = modulus * matrix * kept[:, :, None] * kept[:, None, :]
        return carried(true, slot, stretched) - modulus * rule[slot]

    cells, place = np.unique(odd.parent, return_inverse=True)
    return cells.astype(np.int32), summed(place.astype(np.int32), more, len(cells), on_device)


@jax.jit
def _odd_at_once(kept: Array, modulus: Array, kind: Array, matrix: Array, rule: Array, every: Array) -> Array:
    true = modulus * matrix * kept[:, :, None] * kept[:, None, :]
    return _carried_at_once(true, kind, every) - modulus * jnp.asarray(rule).at[kind >> 3].get(**VALID)


def second(
    step: tuple[np.ndarray, np.ndarray, np.ndarray],
    moduli: np.ndarray | None,
    extra: Array,
    modulus: Array,
    poisson_ratio: float,
) -> Array:
    """(rows, 24, 24) matrices of the third level: 64 moduli times what each place gives, and what `exceptions` add.

    Args:
        step: parent, slot, stretched of the cells with exceptions.
        moduli: (cells, 8) of them; None: none is stretched.
        extra: (at least as many, 24, 24) from `exceptions`.
        modulus: (rows, 64) from `multigrid_lists.moduli_of_grandchildren`.
        poisson_ratio: of the bone.
    """
    parent, slot, stretched = step
    by_rule = children(poisson_ratio).astype(np.float32)

    def more(rows: np.ndarray) -> Array:
        if moduli is None:
            return carried(extra, slot[rows], stretched[rows], rows)
        own = np.tensordot(moduli[rows], by_rule, 1)  # what the rule gives is carried up in another way too
        return carried(extra[rows] + own, slot[rows], stretched[rows]) - carried(own, slot[rows], 0 * stretched[rows])

    above, index = np.unique(parent, return_inverse=True)
    added = summed(index.astype(np.int32), more, len(above), not isinstance(extra, np.ndarray))
    there = padded(above.astype(np.int32), len(added), len(modulus))
    return _by_rule_and_more(jax.device_put(modulus), _grandchildren(poisson_ratio), there, added)


@jax.jit
def _by_rule_and_more(modulus: Array, rule: Array, there: Array, added: Array) -> Array:
    matrices = dot(modulus, jnp.asarray(rule)).reshape(-1, 24, 24)
    return matrices.at[there].add(added, mode="drop", unique_indices=True)


def next_level(matrices: Array, step: tuple[np.ndarray, np.ndarray, np.ndarray], rows: int, on_device: bool) -> Array:
    """(rows, 24, 24) matrices of coarse cells from those of the level before; ``step``: parent, slot, stretched."""
    here = matrices if on_device else np.asarray(matrices)
    parent, slot, stretched = step
    total = summed(parent, lambda which: carried(here, slot[which], stretched[which], which), rows, on_device)
    return jax.device_put(total)


def carried(matrices: Array, slot: np.ndarray, stretched: np.ndarray, which: np.ndarray | None = None) -> Array:
    """(n, 24, 24) stiffness of children, all or the rows ``which``, on the corners of their parents."""
    kind = _kind(slot, stretched)
    if isinstance(matrices, np.ndarray):
        here = matrices if which is None else matrices[which]
        out = np.empty_like(here)
        for each in np.unique(kind):
            to = _to_child(int(each) >> 3, int(each) & 7).astype(here.dtype)
            rows = np.flatnonzero(kind == each)
            half = (here[rows].reshape(-1, 24) @ to).reshape(-1, 24, 24).transpose(0, 2, 1)
            out[rows] = (half.reshape(-1, 24) @ to).reshape(-1, 24, 24)
        return out
    return carried_at_once(matrices, kind, which)


def carried_at_once(matrices: Array, kind: Array, which: Array | None = None) -> Array:
    """`carried`, on the device; ``kind`` (n,) is 8 times the slot, plus the bits of where a child is stretched."""
    return _carried_at_once(matrices, kind, _every_to_child(), which)


@jax.jit
def _carried_at_once(matrices: Array, kind: Array, every: Array, which: Array | None = None) -> Array:
    def of(kind: Array, part: Array) -> Array:
        here = part if which is None else matrices.at[part].get(**VALID)
        to = jnp.asarray(every).at[kind].get(**VALID)
        half = jnp.einsum("nij,njk->nik", here, to, precision=lax.Precision.HIGHEST)
        return jnp.einsum("nji,njk->nik", to, half, precision=lax.Precision.HIGHEST)

    part = matrices if which is None else which
    if len(kind) < _LONG:
        return of(kind, part)
    # part by part, since what is laid down meanwhile takes twice the room of the matrices
    parts = lax.map(lambda each: of(*each), (kind.reshape(8, -1), part.reshape(8, -1, *part.shape[1:])))
    return parts.reshape(-1, 24, 24)


def _kind(slot: np.ndarray, stretched: np.ndarray) -> np.ndarray:
    return slot.astype(np.int16) * 8 + stretched


@lru_cache(maxsize=1)
def _every_to_child() -> np.ndarray:
    """(64, 24, 24) float32 `_to_child` of every kind."""
    return np.stack([_to_child(each >> 3, each & 7) for each in range(64)]).astype(np.float32)


def summed(index: np.ndarray, matrices: Callable[[np.ndarray], Array], count: int, on_device: bool) -> Array:
    """Sums of matrices that fall to the same index.

    Args:
        index: (n,) int32.
        matrices: gives (m, 24, 24) float32 of given rows (m,) of the ``index``.
        count: larger than every index.
        on_device: all rows at once in an array of jax; otherwise as many as fit into a cache at a time.

    Returns:
        (at least count, 24, 24); those beyond count do not matter.
    """
    if on_device:
        every = padded(np.arange(len(index)), filled(len(index) + 1))
        return added_up(jnp.asarray(padded(index, len(every))), len(index), matrices(every), filled(count))
    out = np.zeros((count, 24, 24), np.float32)
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    first = 0
    while first < len(begins):
        last = max(int(np.searchsorted(begins, begins[first] + _BATCH)), first + 1)
        stop = begins[last] if last < len(begins) else len(order)
        groups = begins[first:last]
        out[ordered[groups]] = np.add.reduceat(matrices(order[groups[0] : stop]), groups - groups[0], axis=0)
        first = last
    return out


def added_up(index: Array, count: int, matrices: Array, rows: int) -> Array:
    """(rows, 24, 24) sums of the first ``count`` matrices, fewer than there are, that fall to the same ``index``."""
    names = index[:, None]
    width = width_for(int(widest(names, count, rows)))
    return _gathered(matrices, incident(names, count, rows, width))


@jax.jit
def _gathered(matrices: Array, table: Array) -> Array:
    last = jnp.arange(len(matrices))[:, None, None] == len(matrices) - 1
    return gathered_sum(jnp.where(last, 0, matrices), table)
