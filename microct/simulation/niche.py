"""Osteocytes and damage in the loop: from time to time what lives and what is worn, and how many BMUs places call.

The whole bone's answer to dying osteocytes is the cell model's; here each place answers to how far it differs from the
rest. Damage is nobody else's, so that all of it counts, relative to the bone of the scan.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from microct.kernels.bmu_table import UNIT_WALL, UNIT_WEIGHT, Local
from microct.kernels.cavity import BONE
from microct.mechanics.stimulus import felt
from microct.simulation.build import Model
from microct.simulation.calendar import DAYS_PER_YEAR
from microct.simulation.niche_settings import Osteocytes
from microct.state import State, Wear
from microct.tissue.mineral import HEALTHY_TURNOVER_PER_YR
from microct.tissue.osteocytes import Law, targeted_weight

#: Cells of the grid on which neighbors are averaged, for each standard deviation.
_CELLS = 2.0


@dataclass(frozen=True)
class Niche:
    """Osteocytes and damage of a run (section [osteocytes])."""

    settings: Osteocytes
    model: Model

    @property
    def law(self) -> Law:
        """How load damages, and how damage kills."""
        return Law(self.settings.damage_exponent, self.settings.damage_death_per_year)

    def now(self, state: State, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(share of osteocytes alive, damage) of voxels, given by flat index; float32."""
        formed = np.asarray(state.fields.formed_on).reshape(-1)[voxels]
        deaths, step = self.model.deaths, state.step
        alive = deaths.alive(formed, step)
        wear = state.wear
        if wear is None or wear.damage is None or wear.alive is None or wear.rate is None:
            return alive, np.zeros(len(voxels), np.float32)
        step_yr = self.model.calendar.step_days / DAYS_PER_YEAR
        old = formed <= wear.since
        began = np.where(old, wear.since, formed)
        rate = wear.rate.reshape(-1)[voxels].astype(np.float32)
        first = np.where(old, wear.alive.reshape(-1)[voxels], 1.0).astype(np.float32)
        worn = np.where(old, wear.damage.reshape(-1)[voxels], 0.0).astype(np.float32)
        survives = deaths.survival[step] / deaths.survival[np.minimum(began, step)]
        years = np.maximum(step - began, 0) * step_yr
        return tuple(part.astype(np.float32) for part in self.law.later(first, worn, rate, years, survives))  # type: ignore[return-value]

    def sense(self, state: State) -> np.ndarray:
        """(nz, ny, nx) float32: osteocytes alive, relative to the bone of the scan at the start."""
        fraction = np.asarray(state.fields.fraction)
        voxels = np.flatnonzero(fraction.reshape(-1) >= BONE)
        share = np.zeros(fraction.size, np.float32)
        share[voxels] = self.now(state, voxels)[0] / self.model.deaths.at_first
        return share.reshape(fraction.shape)

    def renewed(self, state: State, energy: np.ndarray | None) -> State:
        """The state with what its places call for now.

        Args:
            energy: (nz, ny, nx) strain energy density under the load of today [MPa]; None where load is not felt.
        """
        fraction = np.asarray(state.fields.fraction)
        voxels = np.flatnonzero(fraction.reshape(-1) >= BONE)
        alive, damage = self.now(state, voxels)
        wear = state.wear or Wear(None, None, None, state.step, 0.0, 0.0)
        if self.settings.damage and energy is not None:
            wear, damage = self._worn(wear, state.step, voxels, alive, damage, energy)
        signal = self._signal(fraction.shape, voxels, alive, damage, energy is not None and self.settings.damage)
        share = self.settings.targeted_share
        weight = np.full(fraction.size, UNIT_WEIGHT, np.uint8)
        asked = targeted_weight(signal, share)
        weight[voxels] = np.clip(np.round(UNIT_WEIGHT * asked), 0, 255).astype(np.uint8)
        targeted = float(share * signal.mean() / asked.mean()) if len(voxels) else 0.0
        wear = wear._replace(targeted=targeted, weight=weight.reshape(fraction.shape))
        return dataclasses.replace(state, wear=wear, local=combined(state, wear))

    def _worn(
        self, wear: Wear, step: int, voxels: np.ndarray, alive: np.ndarray, damage: np.ndarray, energy: np.ndarray
    ) -> tuple[Wear, np.ndarray]:
        """What is kept until the next time, and damage now: at first that which usual load holds steady."""
        here = energy.reshape(-1)[voxels]
        first = wear.damage is None
        scale = self.law.scale(here) if first else wear.scale
        rate = self.law.rate(here, scale)
        if first:
            damage = rate / np.float32(HEALTHY_TURNOVER_PER_YR)
        fields = []
        for values in (alive, damage, rate):
            field = np.zeros(energy.size, np.float16)
            field[voxels] = values
            fields.append(field.reshape(energy.shape))
        return wear._replace(alive=fields[0], damage=fields[1], rate=fields[2], since=step, scale=scale), damage

    def _signal(
        self, shape: tuple[int, ...], voxels: np.ndarray, alive: np.ndarray, damage: np.ndarray, worn: bool
    ) -> np.ndarray:
        """What calls BMUs around each voxel, 1 on the mean in health; averaged over neighbors as load is felt."""
        vacancy = 1.0 - alive
        mean = max(float(vacancy.mean()), 1e-6) if len(voxels) else 1.0
        parts = ([vacancy / mean] if self.settings.on else []) + ([damage] if worn else [])
        return self._around(shape, voxels, np.mean(parts, axis=0).astype(np.float32))

    def _around(self, shape: tuple[int, ...], voxels: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Mean of values over bone around each voxel, Gaussian, on a grid of cells half as wide as the spread."""
        reach = self.settings.sensing_um / self.model.voxel_um
        edge = max(int(reach / _CELLS), 1)
        grid = tuple(-(-n // edge) for n in shape)
        z, y, x = (np.arange(n, dtype=np.int32) // edge for n in shape)
        cell = (((z[:, None] * grid[1] + y)[:, :, None] * grid[2]) + x).reshape(-1)[voxels]
        number = np.bincount(cell, minlength=int(np.prod(grid))).astype(np.float32)
        total = np.bincount(cell, weights=values, minlength=number.size).astype(np.float32)
        mean, held = total / np.maximum(number, 1.0), number / edge**3
        return felt(mean.reshape(grid), held.reshape(grid), reach / edge).reshape(-1)[cell]


def combined(state: State, wear: Wear | None) -> Local | None:
    """What the kernels read: the answer to load times the call of osteocytes and damage."""
    load = None if state.felt is None else state.felt.local
    if wear is None or wear.weight is None:
        return load
    calls = jnp.asarray(wear.weight)
    if load is None:
        return Local(calls, jnp.full(calls.shape, UNIT_WALL, jnp.uint8))
    product = (load.weight.astype(jnp.int32) * calls + UNIT_WEIGHT // 2) // UNIT_WEIGHT
    return load._replace(weight=jnp.minimum(product, 255).astype(jnp.uint8))
