"""Stiffness of coarse cells, summed from that of their children (Galerkin): K above = sum of T^T K below T.

On the second level a cell needs only the eight moduli of its children; from the third on each has a matrix of what its
`deformations` cost. That is the rule; `multigrid_exceptions` adds what some cells differ by.

Matrices are arrays of numpy where a processor goes through them, and of jax where a device does; rows beyond those that
matter are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.deformations import COUNT, TO_DEFORMATIONS, basis
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
    """(64, 324) float32 stiffness that a grandchild of unit modulus gives; slot of the child counts more slowly."""
    matrix = basis() @ stiffness_matrix(poisson_ratio) @ basis().T
    down = [_deformed(_to_child(first, 0) @ _to_child(second, 0)) for first, second in product(range(8), repeat=2)]
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


def second(modulus: Array, poisson_ratio: float) -> Array:
    """(rows, 18, 18) matrices of the third level, from `multigrid_lists.moduli_of_grandchildren` (rows, 64)."""
    return _by_rule(jax.device_put(modulus), _grandchildren(poisson_ratio))


@jax.jit
def _by_rule(modulus: Array, rule: Array) -> Array:
    return dot(modulus, jnp.asarray(rule)).reshape(-1, COUNT, COUNT)


def next_level(matrices: Array, step: tuple[np.ndarray, np.ndarray], rows: int, on_device: bool) -> Array:
    """(rows, 18, 18) matrices of coarse cells from those of the level before; ``step``: parent, slot."""
    here = matrices if on_device else np.asarray(matrices)
    parent, slot = step
    total = summed(parent, lambda which: carried(here, slot[which], deformed_to_children(), which), rows, on_device)
    return jax.device_put(total)


def whole(matrices: np.ndarray) -> np.ndarray:
    """(n, 24, 24) float32 stiffness of all motions, from that of deformations (n, 18, 18)."""
    half = (matrices.reshape(-1, COUNT) @ TO_DEFORMATIONS).reshape(-1, COUNT, 24).transpose(0, 2, 1)
    return (half.reshape(-1, COUNT) @ TO_DEFORMATIONS).reshape(-1, 24, 24)


def carried(matrices: Array, kind: np.ndarray, ways: np.ndarray, which: np.ndarray | None = None) -> Array:
    """(n, m, m) stiffness of children, on the motions of their parents.

    Args:
        matrices: (rows, m, m).
        kind: (n,) row of ``ways`` by which each goes.
        ways: (kinds, m, m) motions of a child from those of its parent.
        which: (n,) rows of ``matrices``; None: all.
    """
    if isinstance(matrices, np.ndarray):
        here = matrices if which is None else matrices[which]
        size = here.shape[-1]
        out = np.empty_like(here)
        for each in np.unique(kind):
            rows = np.flatnonzero(kind == each)
            half = (here[rows].reshape(-1, size) @ ways[each]).reshape(-1, size, size).transpose(0, 2, 1)
            out[rows] = (half.reshape(-1, size) @ ways[each]).reshape(-1, size, size)
        return out
    return carried_at_once(matrices, kind, ways, which)


@jax.jit
def carried_at_once(matrices: Array, kind: Array, ways: Array, which: Array | None = None) -> Array:
    """`carried`, on the device."""

    def of(kind: Array, part: Array) -> Array:
        here = part if which is None else matrices.at[part].get(**VALID)
        to = jnp.asarray(ways).at[kind].get(**VALID)
        half = jnp.einsum("nij,njk->nik", here, to, precision=lax.Precision.HIGHEST)
        return jnp.einsum("nji,njk->nik", to, half, precision=lax.Precision.HIGHEST)

    part = matrices if which is None else which
    if len(kind) < _LONG:
        return of(kind, part)
    # part by part, since what is laid down meanwhile takes twice the room of the matrices
    parts = lax.map(lambda each: of(*each), (kind.reshape(8, -1), part.reshape(8, -1, *part.shape[1:])))
    return parts.reshape(len(kind), *matrices.shape[1:])


@lru_cache(maxsize=1)
def whole_to_children() -> np.ndarray:
    """(64, 24, 24) float32 motions of a child from those of its parent; row: 8 times its slot, plus the bits of the
    axes along which it is stretched.
    """
    return np.stack([_to_child(each >> 3, each & 7) for each in range(64)]).astype(np.float32)


@lru_cache(maxsize=1)
def deformed_to_children() -> np.ndarray:
    """(8, 18, 18) float32 deformations of a child from those of its parent, of which rigid motions make none."""
    return np.stack([_deformed(_to_child(slot, 0)) for slot in range(8)]).astype(np.float32)


def _deformed(to_child: np.ndarray) -> np.ndarray:
    """A map between motions of corners (24, 24), as one between deformations (18, 18)."""
    found = basis() @ to_child @ basis().T
    assert np.allclose(basis() @ to_child, found @ basis()), "rigid motions of a parent deform its child"
    return found


def summed(index: np.ndarray, matrices: Callable[[np.ndarray], Array], count: int, on_device: bool) -> Array:
    """Sums of matrices that fall to the same index.

    Args:
        index: (n,) int32, n > 0.
        matrices: gives (k, m, m) float32 of given rows (k,) of the ``index``.
        count: larger than every index.
        on_device: all rows at once in an array of jax; otherwise as many as fit into a cache at a time.

    Returns:
        (at least count, m, m); those beyond count do not matter.
    """
    if on_device:
        every = padded(np.arange(len(index)), filled(len(index) + 1))
        return added_up(jnp.asarray(padded(index, len(every))), len(index), matrices(every), filled(count))
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    out: np.ndarray | None = None
    first = 0
    while first < len(begins):
        last = max(int(np.searchsorted(begins, begins[first] + _BATCH)), first + 1)
        stop = begins[last] if last < len(begins) else len(order)
        groups = begins[first:last]
        found = np.add.reduceat(matrices(order[groups[0] : stop]), groups - groups[0], axis=0)
        out = np.zeros((count, *found.shape[1:]), np.float32) if out is None else out
        out[ordered[groups]] = found
        first = last
    assert out is not None, "nothing to sum"
    return out


def added_up(index: Array, count: int, matrices: Array, rows: int) -> Array:
    """(rows, m, m) sums of the first ``count`` matrices, fewer than there are, that fall to the same ``index``."""
    names = index[:, None]
    width = width_for(int(widest(names, count, rows)))
    return _gathered(matrices, incident(names, count, rows, width))


@jax.jit
def _gathered(matrices: Array, table: Array) -> Array:
    last = jnp.arange(len(matrices))[:, None, None] == len(matrices) - 1
    return gathered_sum(jnp.where(last, 0, matrices), table)
