"""Where coarsening ends."""

from __future__ import annotations

import numpy as np

from microct.kernels.elasticity_mesh import mesh
from microct.kernels.multigrid_setup import COARSEST, structure


def test_coarsening_ends_where_little_bone_is_left_in_a_large_lattice() -> None:
    modulus = np.zeros((100, 100, 100), np.float32)
    modulus[:10, :10, :10] = 1.0
    cells = structure(mesh(modulus)).cells
    assert [len(level.nodes) for level in cells] == [1000, 125, 27, 8]
    assert np.prod(cells[-1].shape) > COARSEST  # the lattice alone would have asked for two levels more


def test_coarsening_ends_where_the_lattice_is_small() -> None:
    cells = structure(mesh(np.ones((20, 20, 20), np.float32))).cells
    assert np.prod(cells[-1].shape) <= COARSEST < np.prod(cells[-2].shape)
