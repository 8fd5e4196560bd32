"""Marrow: fat takes the place of bone-forming stem cells with age and without estrogen."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState

# Marrow is never all fat: blood is made in what is left. Far above anything measured (66 % in osteoporosis).
MOST_FAT = 0.95


def fat_target(deficit: jax.Array, age_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Marrow fat fraction [1] that age and deficit lead to: young + per_yr (age - young age) + gain D."""
    at_age = p.fat_young + p.fat_per_yr * (age_yr - p.fat_young_age_yr)
    wanted = p.fat_healthy + p.ageing_response * (at_age - p.fat_healthy) + p.fat_deficit_gain * deficit
    return jnp.clip(wanted, 1 - MOST_FAT, MOST_FAT)


def marrow_fat_rate(cells: CellState, deficit: jax.Array, age_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Marrow fat [1/day] approaches its target over years."""
    target = fat_target(deficit, age_yr, p) / p.fat_healthy
    return (target - cells.marrow_fat) / (p.fat_time_yr * DAYS_PER_YEAR)


def fat_percent(cells: CellState, p: CellParameters) -> jax.Array:
    """Marrow fat fraction [%]."""
    return 100 * p.fat_healthy * cells.marrow_fat


def osteogenic_share(cells: CellState, p: CellParameters) -> jax.Array:
    """Stem cells that become osteoblasts, fold of the healthy reference adult: (1 - fat) / (1 - healthy fat)."""
    return 1 - p.fat_healthy * (cells.marrow_fat - 1) / (1 - p.fat_healthy)
