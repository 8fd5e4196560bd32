"""What osteocytes feel of a load, and what the bone's surface does about it.

Strain energy density is felt over a distance, relative to a set point. Below the lazy zone more BMUs are born and they
refill less; above it they refill more. Both answers are linear and end in saturation (form: Marques et al. 2023;
gains: ours, not fitted).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.bmu_table import UNIT_WALL, UNIT_WEIGHT


@dataclass(frozen=True)
class Response:
    """How a place answers to its stimulus, in shares of what the whole bone's cells ask for.

    Attributes:
        lazy_zone: share by which the stimulus may differ from the set point without an answer.
        saturation: stimulus, relative to the set point, above which the answer grows no more.
        births_gain: births added at no stimulus.
        wall_loss, wall_gain: wall thickness lost at no stimulus, added at saturation.
    """

    lazy_zone: float = 0.2
    saturation: float = 3.0
    births_gain: float = 2.5
    wall_loss: float = 0.15
    wall_gain: float = 0.2

    def __call__(self, stimulus: np.ndarray, anabolic: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """(weight of births [1/64], wall thickness [1/128]), uint8, for a stimulus relative to the set point.

        ``anabolic`` is the share of the answer to overload that the body can give.
        """
        low = 1.0 - self.lazy_zone
        disuse, overload = np.clip((low - stimulus) / low, 0.0, 1.0), self.overload(stimulus)
        weight = np.round(UNIT_WEIGHT * (1.0 + self.births_gain * disuse))
        wall = np.round(UNIT_WALL * (1.0 - self.wall_loss * disuse + self.wall_gain * anabolic * overload))
        return np.clip(weight, 0, 255).astype(np.uint8), np.clip(wall, 0, 255).astype(np.uint8)

    def overload(self, stimulus: np.ndarray) -> np.ndarray:
        """Stimulus beyond the lazy zone, 1 at saturation."""
        high = 1.0 + self.lazy_zone
        return np.clip((stimulus - high) / (self.saturation - high), 0.0, 1.0)


def felt(energy_density: np.ndarray, bone: np.ndarray, sensing_voxels: float) -> np.ndarray:
    """What is felt at each voxel: mean energy density of the bone around it, with Gaussian weights.

    Args:
        energy_density: (nz, ny, nx) float32 [MPa], 0 outside bone.
        bone: (nz, ny, nx) bool; or float32 in 0 to 1, the share of osteocytes that live and feel.
        sensing_voxels: standard deviation of the weights.

    Returns:
        (nz, ny, nx) float32 [MPa], 0 where no bone is near.
    """
    radius = max(int(np.ceil(3.0 * sensing_voxels)), 1)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sensing_voxels) ** 2).astype(np.float32)
    taps /= taps.sum()
    cells = np.asarray(bone, np.float32)
    above = _blurred(jnp.asarray(energy_density * cells), jnp.asarray(taps), radius)
    below = _blurred(jnp.asarray(cells), jnp.asarray(taps), radius)
    return np.asarray(jnp.where(below > 1e-4, above / jnp.maximum(below, 1e-4), 0.0))


@partial(jax.jit, static_argnames="radius")
def _blurred(field: jax.Array, taps: jax.Array, radius: int) -> jax.Array:
    """One axis after the other; beyond the border there is nothing."""
    for axis in range(3):
        length = field.shape[axis]
        wide = jnp.pad(field, [(radius, radius) if k == axis else (0, 0) for k in range(3)])

        def add(k: jax.Array, total: jax.Array, wide: jax.Array = wide, axis: int = axis, n: int = length) -> jax.Array:
            return total + taps[k] * jax.lax.dynamic_slice_in_dim(wide, k, n, axis=axis)

        field = jax.lax.fori_loop(0, 2 * radius + 1, add, jnp.zeros_like(field))
    return field


def even_load(energy_densities: np.ndarray) -> np.ndarray:
    """Shares of load cases that load the tissue as evenly as can be.

    The shares a >= 0 minimize the squared distance of sum a_k energy_k from 1 over the tissue, energies being scaled
    to a mean of 1 first (the idea of load estimation from architecture: Christen et al. 2012, abstract).

    Args:
        energy_densities: (cases, voxels) of the same tissue under unit cases.

    Returns:
        (cases,) shares of energy, summing to one.
    """
    energies = energy_densities / energy_densities.mean(axis=1, keepdims=True)
    cases = len(energies)
    product = energies @ energies.T / energies.shape[1]
    best, answer = np.inf, np.zeros(cases)
    # Three cases have seven ways to be active: try them all.
    for number in range(1, cases + 1):
        for active in combinations(range(cases), number):
            part = product[np.ix_(active, active)]
            try:
                shares = np.linalg.solve(part, np.ones(number))  # means are one, so that the right side is
            except np.linalg.LinAlgError:
                continue
            if (shares < 0.0).any():
                continue
            cost = float(shares @ part @ shares - 2.0 * shares.sum() + 1.0)
            if cost < best - 1e-12:
                best, answer = cost, np.zeros(cases)
                answer[list(active)] = shares
    return np.asarray(answer / answer.sum())
