"""What the stiffness of some coarse cells differs by from the rule of `multigrid_galerkin`, as matrices of their own.

Voxels at held nodes, and the last layer of an odd periodic axis, differ from that rule, and so does whatever they are
part of. They are carried up exactly, so that no coarse boundary condition has to be invented.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.elasticity import stiffness_matrix
from microct.kernels.gathering import VALID
from microct.kernels.multigrid_galerkin import carried, carried_at_once, children, summed, whole_to_children

Array = Any


class OddVoxels(NamedTuple):
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


class Exceptions(NamedTuple):
    """Cells of a level that differ from the rule, and by what.

    Attributes:
        cells: (n,) int32 ascending, of numpy.
        matrices: (at least n, 24, 24) float32, true stiffness less that of the rule; rows beyond do not matter.
    """

    cells: np.ndarray
    matrices: Array

    def on_host(self) -> Exceptions:
        """The same with matrices of numpy, none beyond."""
        return Exceptions(self.cells, np.asarray(self.matrices)[: len(self.cells)])

    def joined_by(self, cells: np.ndarray) -> Exceptions:
        """The same, on the host, with further ``cells`` that follow the rule so far."""
        every = np.union1d(self.cells, cells).astype(np.int32)
        matrices = np.zeros((len(every), 24, 24), np.float32)
        matrices[np.searchsorted(every, self.cells)] = self.on_host().matrices
        return Exceptions(every, matrices)


def of_second_level(odd: OddVoxels, fixed: np.ndarray, poisson_ratio: float, on_device: bool) -> Exceptions:
    """Exceptions among the cells of the second level.

    Args:
        odd: all voxels that differ, from `multigrid_lists`.
        fixed: (nodes, 3) bool, displacement that is given.
        poisson_ratio: of the bone.
        on_device: whether the matrices shall be an array of jax.
    """
    matrix = stiffness_matrix(poisson_ratio).astype(np.float32)
    rule = children(poisson_ratio).astype(np.float32)

    def more(rows: np.ndarray) -> Array:
        kept, modulus = ~fixed[odd.nodes[rows]].reshape(-1, 24), odd.modulus[rows, None, None]
        slot, kind = odd.slot[rows], _kind(odd.slot[rows], odd.stretched[rows])
        if on_device:
            return _odd_at_once(kept, modulus, kind, slot, matrix, rule, whole_to_children())
        true = modulus * matrix * kept[:, :, None] * kept[:, None, :]
        return carried(true, kind, whole_to_children()) - modulus * rule[slot]

    return _by_parent(odd.parent, more, on_device)


@jax.jit
def _odd_at_once(
    kept: Array, modulus: Array, kind: Array, slot: Array, matrix: Array, rule: Array, ways: Array
) -> Array:
    true = modulus * matrix * kept[:, :, None] * kept[:, None, :]
    return carried_at_once(true, kind, ways) - modulus * jnp.asarray(rule).at[slot].get(**VALID)


def of_next_level(
    below: Exceptions, step: tuple[np.ndarray, np.ndarray, np.ndarray], rule: Callable[[np.ndarray], np.ndarray]
) -> Exceptions:
    """Exceptions among the cells of a level from those of the level before, where the matrices of those are.

    Args:
        below: of the level before, with all of its cells that are stretched.
        step: parent, slot, stretched of these cells.
        rule: gives (n, 24, 24) float32 stiffness by the rule of given cells of the level before; asked only where some
            are stretched.
    """
    parent, slot, stretched = step
    bent = bool(stretched.any())

    def more(rows: np.ndarray) -> Array:
        kind = _kind(slot[rows], stretched[rows])
        true = carried(below.matrices, kind, whole_to_children(), rows)
        if not bent:
            return true
        own = rule(below.cells[rows])  # what the rule gives is carried up in another way than the rule says, too
        straight = _kind(slot[rows], 0 * stretched[rows])
        return true + carried(own, kind, whole_to_children()) - carried(own, straight, whole_to_children())

    return _by_parent(parent, more, not isinstance(below.matrices, np.ndarray))


def _by_parent(parent: np.ndarray, matrices: Callable[[np.ndarray], Array], on_device: bool) -> Exceptions:
    """Matrices of children, summed for each of their parents."""
    if not len(parent):
        return Exceptions(np.zeros(0, np.int32), np.zeros((0, 24, 24), np.float32))
    cells, place = np.unique(parent, return_inverse=True)
    return Exceptions(cells.astype(np.int32), summed(place.astype(np.int32), matrices, len(cells), on_device))


def _kind(slot: np.ndarray, stretched: np.ndarray) -> np.ndarray:
    """Rows of `multigrid_galerkin.whole_to_children`."""
    return slot.astype(np.int16) * 8 + stretched
