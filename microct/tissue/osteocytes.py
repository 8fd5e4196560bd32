"""Osteocytes and microdamage of every voxel, from the step in which its bone was formed and from the load on it.

Nothing is followed step by step: bone formed in a step holds living cells and no damage, and both change by laws that
have closed forms between two times. Damage is relative: 1 is the mean of the scan's bone under its usual load, where it
is steady.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from microct.tissue.mineral import HEALTHY_TURNOVER_PER_YR

Array = Any

#: Cracks of healthy trabecular bone [1/mm2] (Jin et al. 2017: 5.25 /cm2).
CRACKS_PER_MM2 = 0.0525
#: Damage beyond which nothing is told apart.
MOST_DAMAGE = 64.0


@dataclass(frozen=True)
class Deaths:
    """Death of osteocytes over the steps of a run.

    Attributes:
        survival: (steps + 1,) share of cells of step 0 that age and estrogen leave alive at each step.
        at_first: share alive in the bone of the scan.
    """

    survival: np.ndarray
    at_first: float

    @classmethod
    def of(cls, death_per_yr: np.ndarray, step_yr: float, at_first: float) -> Deaths:
        """From the rate of death of every step [1/yr]."""
        return cls(np.exp(-np.concatenate([[0.0], np.cumsum(death_per_yr * step_yr)])), at_first)

    def survives(self, step: int) -> np.ndarray:
        """(steps + 1,) float32, share of the cells of each step that age and estrogen leave alive at ``step``."""
        born = np.minimum(np.arange(len(self.survival)), step)
        return (self.survival[step] / self.survival[born]).astype(np.float32)


@dataclass(frozen=True)
class Law:
    """How load damages, and how damage kills.

    Attributes:
        exponent: damage goes with this power of strain energy density.
        death_per_yr: osteocytes that die where damage is 1 [1/yr].
    """

    exponent: float = 2.0
    death_per_yr: float = 0.01

    def scale(self, energy: np.ndarray) -> float:
        """What measures the power of energy, so that its mean, `MOST_DAMAGE` at most, is 1 on the bone of the scan.

        A few voxels of a rough surface carry most of the power; cut off without this, the mean would be below 1.

        Args:
            energy: (voxels,) strain energy density of that bone [MPa].
        """
        power = np.maximum(energy, 0.0).astype(np.float64) ** self.exponent
        number = len(power)
        # With the largest k cut off, sum(others) / scale + k most = number; the right k is the least that fits.
        k = np.arange(min(int(number / MOST_DAMAGE) + 1, number))
        largest = -np.sort(-np.partition(power, number - len(k))[number - len(k) :])
        rest = power.sum() - np.concatenate([[0.0], np.cumsum(largest[:-1])])
        scales = rest / np.maximum(number - k * MOST_DAMAGE, 1e-9)
        fits = largest <= MOST_DAMAGE * scales
        return float(scales[np.argmax(fits)]) if fits.any() and power.any() else 1.0

    def rate(self, energy: Array, scale: Array | float) -> Array:
        """Damage done in a year, float32; ``scale`` is that of the bone of the scan.

        Scaled so that healthy turnover f holds damage at 1 on the mean: steady damage is rate / f.
        """
        power = jnp.maximum(energy, 0.0).astype(jnp.float32) ** self.exponent / scale
        return jnp.minimum(power, MOST_DAMAGE) * HEALTHY_TURNOVER_PER_YR

    def later(
        self, alive: Array, damage: Array, rate: Array, years: Array | float, survives: Array | float
    ) -> tuple[Array, Array]:
        """(alive, damage) after ``years`` at a steady ``rate``; ``survives`` is what age and estrogen leave by then.

        damage' = rate; alive' = - (mu + k damage) alive.
        """
        exposure = (damage + 0.5 * rate * years) * years
        worn = jnp.minimum(damage + rate * years, MOST_DAMAGE)
        return alive * survives * jnp.exp(-self.death_per_yr * exposure), worn


def targeted_weight(signal: np.ndarray, share: float) -> np.ndarray:
    """Births at places relative to the demand: a ``share`` follows the signal, which is 1 on the mean in health."""
    return (1.0 - share) + share * signal
