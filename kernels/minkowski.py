"""All that one 2x2x2 histogram tells: volume, surface, curvature, topology, direction.

One pass over the voxels, masked or not, on the host or on the device of a running simulation.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.curvature import mean_curvature_integral
from microct.kernels.intercepts import Fabric, fabric
from microct.kernels.stencil import PATTERNS, configuration_histogram, region_histogram
from microct.kernels.surface import bending, corrected_surface
from microct.kernels.topology import euler_characteristic


class Functionals(NamedTuple):
    """What a histogram measures, in powers of the unit of spacing.

    Attributes:
        total_volume: covered by the neighborhoods [mm3].
        volume: of bone, each neighborhood counted by its share of bone corners [mm3].
        surface: Crofton in 13 directions, `surface.corrected_surface` [mm2].
        mean_curvature: integral of (k1 + k2) / 2 over the surface [mm].
        euler: pieces - tunnels + hollows, edge-corrected.
        fabric: ellipsoid of mean intercept length; None where it is not bounded.
    """

    total_volume: float
    volume: float
    surface: float
    mean_curvature: float
    euler: float
    fabric: Fabric | None


def functionals(histogram: np.ndarray, spacing: tuple[float, float, float], bent: float = 0.0) -> Functionals:
    """Every functional of a (256,) histogram, for voxel edges ``spacing`` along (z, y, x); ``bent``: `bending`."""
    histogram = np.asarray(histogram, float)
    voxel = float(np.prod(spacing))
    return Functionals(
        float(histogram.sum()) * voxel,
        float(histogram @ PATTERNS.mean(axis=1)) * voxel,
        corrected_surface(histogram, spacing, bent),
        mean_curvature_integral(histogram, spacing),
        euler_characteristic(histogram),
        fabric(histogram, spacing),
    )


def measure_block(
    bone: np.ndarray | jax.Array,
    spacing: tuple[float, float, float],
    threshold: int = 1,
    mask: np.ndarray | None = None,
    periodic: bool = False,
) -> Functionals:
    """Functionals of a volume in one pass.

    Args:
        bone: (nz, ny, nx) bool or integers; a JAX array is counted on its device.
        spacing: voxel edges along (z, y, x) [mm].
        threshold: bone where ``bone >= threshold``.
        mask: (nz, ny, nx) bool, the region; None for all neighborhoods wholly inside the volume.
        periodic: opposite faces of the volume are one: as many neighborhoods as voxels.

    Raises:
        ValueError: a mask of a periodic volume.
    """
    if periodic:
        if mask is not None:
            raise ValueError("measure_block: expected a mask or a periodic volume, got both")
        pad = jnp.pad if isinstance(bone, jax.Array) else np.pad
        bone = pad(bone, ((0, 1),) * 3, mode="wrap")
    if mask is None:
        return functionals(configuration_histogram(bone, threshold), spacing, bending(bone >= threshold, spacing))
    bone = np.asarray(bone) >= threshold
    return functionals(region_histogram(bone, mask), spacing, bending(bone, spacing, np.asarray(mask) != 0))
