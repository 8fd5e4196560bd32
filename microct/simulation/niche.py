"""Osteocytes and damage in the loop: from time to time what lives and what is worn, and how many BMUs places call.

The whole bone's answer to dying osteocytes is the cell model's; here each place answers to how far it differs from the
rest. Damage is nobody else's, so that all of it counts, relative to the bone of the scan.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from microct.kernels.bmu_table import UNIT_WALL, UNIT_WEIGHT, Local
from microct.kernels.cavity import BONE
from microct.mechanics.stimulus import felt
from microct.quantities import DAYS_PER_YEAR
from microct.simulation.build import Model
from microct.simulation.niche_settings import Osteocytes
from microct.state import State, Wear
from microct.tissue import wear as wears
from microct.tissue.osteocytes import Law, targeted_weight

Array = Any

#: Share of osteocytes missing below which it is rounding that is missing.
_NONE = 1e-6

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

    def now(self, state: State) -> tuple[Array, Array]:
        """(share of osteocytes alive, damage) of every voxel as if it were bone, (nz, ny, nx) float32 on the device."""
        deaths, step = self.model.deaths, state.step
        worn = None if state.wear is None else state.wear.worn
        time = wears.Time(
            jnp.int32(0 if worn is None or state.wear is None else state.wear.since),
            jnp.int32(step),
            jnp.asarray(deaths.survives(step)),
            jnp.float32(deaths.at_first),
            jnp.float32(self.model.calendar.step_days / DAYS_PER_YEAR),
        )
        return wears.now(state.fields.formed_on, worn, time, self.law)

    def means(self, state: State) -> tuple[float, float]:
        """(share of osteocytes alive, damage) on the mean over bone; not numbers where there is none."""
        sums = wears.weighed(state.fields.fraction, *self.now(state))
        bone, alive, damage = (float(np.asarray(rows).sum(dtype=np.float64)) for rows in sums)
        return (alive / bone, damage / bone) if bone else (float("nan"), float("nan"))

    def sense(self, state: State) -> np.ndarray:
        """(nz, ny, nx) float32: osteocytes alive, relative to the bone of the scan at the start."""
        share = np.asarray(self.now(state)[0]) / np.float32(self.model.deaths.at_first)
        return np.where(np.asarray(state.fields.fraction) >= BONE, share, np.float32(0.0))

    def renewed(self, state: State, energy: np.ndarray | None) -> State:
        """The state with what its places call for now.

        Args:
            energy: (nz, ny, nx) strain energy density under the load of today [MPa]; None where load is not felt.
        """
        fraction = state.fields.fraction
        alive, damage = self.now(state)
        wear = state.wear or Wear(None, state.step, 0.0, 0.0)
        worn = self.settings.damage and energy is not None
        if worn:
            wear, damage = self._worn(wear, state, alive, damage, np.asarray(energy))
        edge = max(int(self._reach / _CELLS), 1)
        number, missing, damaged = (np.asarray(sums) for sums in wears.cells(fraction, alive, damage, edge))
        signal = self._signal(number, missing, damaged, edge, worn)
        share = self.settings.targeted_share
        asked = targeted_weight(signal, share)
        weight = np.clip(np.round(UNIT_WEIGHT * asked), 0, 255).astype(np.uint8)
        every = float((number * asked).sum(dtype=np.float64))
        targeted = share * float((number * signal).sum(dtype=np.float64)) / every if every else 0.0
        calls = wears.over_voxels(fraction, jnp.asarray(weight), jnp.uint8(UNIT_WEIGHT), edge)
        wear = wear._replace(targeted=targeted, weight=calls)
        return dataclasses.replace(state, wear=wear, local=combined(state, wear))

    @property
    def _reach(self) -> float:
        """How far places call [voxels]."""
        return self.settings.sensing_um / self.model.voxel_um

    def _worn(self, wear: Wear, state: State, alive: Array, damage: Array, energy: np.ndarray) -> tuple[Wear, Array]:
        """What is kept until the next time, and damage now: at first what usual load does in the mean age of bone."""
        fraction, first = state.fields.fraction, wear.worn is None
        scale = self.law.scale(energy[np.asarray(fraction) >= BONE]) if first else wear.scale
        rate = wears.rate_of(fraction, jnp.asarray(energy), jnp.float32(scale), self.law)
        if first:
            damage = rate * jnp.float32(self.model.past.mean_age_yr())
        worn = wears.kept(alive, damage, rate, jnp.uint32(self.model.seed), jnp.int32(state.step))
        return wear._replace(worn=worn, since=state.step, scale=scale), damage

    def _signal(
        self, number: np.ndarray, missing: np.ndarray, damaged: np.ndarray, edge: int, worn: bool
    ) -> np.ndarray:
        """What calls BMUs around each cell of the grid, 1 on the mean in health; averaged over neighbors as load is.

        Where no osteocytes are missing at all, no place calls more than another.

        Args:
            number, missing, damaged: sums over the voxels of each cell, as of `wear.cells`.
        """
        lacking = float(missing.sum(dtype=np.float64)) / max(float(number.sum(dtype=np.float64)), 1.0)
        called = missing / lacking if lacking > _NONE else number
        parts = ([called] if self.settings.on else []) + ([damaged] if worn else [])
        mean = np.mean(parts, axis=0).astype(np.float32) / np.maximum(number, 1.0)
        return felt(mean, number / edge**3, self._reach / edge)


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
