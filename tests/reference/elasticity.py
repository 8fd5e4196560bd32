"""Linear elasticity on voxels the slow, clear way: assembled in scipy, solved directly."""

from __future__ import annotations

from itertools import product

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

OFFSETS = list(product((0, 1), repeat=3))


def element(poisson_ratio: float) -> np.ndarray:
    """(24, 24) stiffness of a unit cube of unit modulus, written out from shape functions at 2 x 2 x 2 Gauss points."""
    nu = poisson_ratio
    factor = 1 / ((1 + nu) * (1 - 2 * nu))
    material = factor * np.array(
        [[1 - nu, nu, nu, 0, 0, 0], [nu, 1 - nu, nu, 0, 0, 0], [nu, nu, 1 - nu, 0, 0, 0],
         [0, 0, 0, 0.5 - nu, 0, 0], [0, 0, 0, 0, 0.5 - nu, 0], [0, 0, 0, 0, 0, 0.5 - nu]]
    )  # fmt: skip
    out = np.zeros((24, 24))
    for gauss in product((-1, 1), repeat=3):
        xi = np.array(gauss) / np.sqrt(3)
        strain = np.zeros((6, 24))
        for k, corner in enumerate(OFFSETS):
            sign = 2 * np.array(corner) - 1
            # the unit cube is half as long as the parent element's -1 to 1: each slope is doubled
            parts = 1 + sign * xi
            slope = 2 * np.array(
                [sign[0] * parts[1] * parts[2], parts[0] * sign[1] * parts[2], parts[0] * parts[1] * sign[2]]
            ) / 8  # fmt: skip
            for row, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
                strain[row, 3 * k + a] += slope[b]
                if a != b:
                    strain[row, 3 * k + b] += slope[a]
        out += strain.T @ material @ strain / 8
    return out


def assembled(modulus: np.ndarray, poisson_ratio: float) -> tuple[sp.csr_matrix, np.ndarray]:
    """Stiffness over all lattice nodes, and (nodes,) bool which of them belong to bone."""
    lattice = tuple(n + 1 for n in modulus.shape)
    unit = element(poisson_ratio)
    rows, columns, values = [], [], []
    used = np.zeros(lattice, bool)
    for place in np.argwhere(modulus > 0):
        corners = [tuple(place + np.array(offset)) for offset in OFFSETS]
        for corner in corners:
            used[corner] = True
        at = np.array([3 * np.ravel_multi_index(corner, lattice) + np.arange(3) for corner in corners]).ravel()
        rows.append(np.repeat(at, 24))
        columns.append(np.tile(at, 24))
        values.append(unit.ravel() * modulus[tuple(place)])
    size = 3 * int(np.prod(lattice))
    matrix = sp.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (size, size))
    return matrix, used.ravel()


def solved(
    modulus: np.ndarray, poisson_ratio: float, fixed: np.ndarray, given: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement and force (bone nodes, 3); ``fixed`` and ``given`` are (bone nodes, 3), nodes in raster order."""
    matrix, used = assembled(modulus, poisson_ratio)
    at = (3 * np.flatnonzero(used)[:, None] + np.arange(3)).ravel()
    stiffness = matrix[at][:, at].tocsr()
    held = fixed.ravel()
    displacement = np.where(held, given.ravel(), 0.0)
    load = -(stiffness @ displacement)[~held]
    displacement[~held] = spsolve(stiffness[~held][:, ~held].tocsc(), load)
    return displacement.reshape(-1, 3), (stiffness @ displacement).reshape(-1, 3)
