"""Fields at the center of every voxel: stress, principal strain, effective strain, von Mises stress."""

from __future__ import annotations

import numpy as np

from microct.kernels.elasticity import isotropic


def principal_strain(strain: np.ndarray) -> np.ndarray:
    """(n, 3) principal strains, ascending, of (n, 6) strains: zz, yy, xx, yx, zx, zy, engineering shear."""
    tensor = np.empty((len(strain), 3, 3), strain.dtype)
    for axis in range(3):
        tensor[:, axis, axis] = strain[:, axis]
    for row, (first, second) in zip((3, 4, 5), ((1, 2), (0, 2), (0, 1)), strict=True):
        tensor[:, first, second] = tensor[:, second, first] = strain[:, row] / 2
    return np.linalg.eigvalsh(tensor)


def effective_strain(energy_density: np.ndarray, modulus: np.ndarray) -> np.ndarray:
    """sqrt(2 SED / E), the strain of a bar that stores as much energy (Pistoia et al. 2002)."""
    return np.sqrt(2 * np.maximum(energy_density, 0) / modulus)


def stress(strain: np.ndarray, modulus: np.ndarray, poisson_ratio: float) -> np.ndarray:
    """(n, 6) stress [MPa] in the order of ``strain``."""
    return modulus[:, None] * (strain @ isotropic(poisson_ratio).astype(strain.dtype))
