"""Osteoclasts and osteoblasts from precursor to death, and the coupling between them; rates in 1/day."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from microct.signalling.parameters import DAYS_PER_YEAR, CellParameters
from microct.signalling.state import CellState


def precursor_influx(
    rankl: jax.Array, opg: jax.Array, tnf: jax.Array, il17: jax.Array, il6: jax.Array, p: CellParameters
) -> jax.Array:
    """Influx of osteoclast precursors over health [1], driven by signals only, never by estrogen itself."""
    inflammation = p.influx_tnf * (tnf - 1) + p.influx_il17 * (il17 - 1) + p.influx_il6 * (il6 - 1)
    return p.influx_rankl * (rankl / opg - 1) + inflammation


def precursor_rate(cells: CellState, influx_excess: jax.Array, fusion: jax.Array, p: CellParameters) -> jax.Array:
    """Precursors: influx against fusion and a slow death (few die: blocked RANKL lets them pile up)."""
    influx = (p.precursor_use_per_d + p.precursor_death_per_d) * influx_excess
    used = p.precursor_use_per_d * (1 - fusion * cells.precursors)
    return influx + used + p.precursor_death_per_d * (1 - cells.precursors)


def osteoclast_life(cells: CellState, deficit: jax.Array, occupancy: jax.Array, p: CellParameters) -> jax.Array:
    """Life of an osteoclast, fold of health: RANK keeps it alive, estrogen ends it (Krum 2008).

    life = min(1, .35 + .65 u) / (1 - gC D Q): the longer life answers a fresh deficit. Q is the estrogen to which
    the cells have become used, so that the early, deep erosion of the years around menopause fades later.
    """
    survival = jnp.minimum(1, 1 + (1 - p.osteoclast_life_basal) * (occupancy - 1))
    return survival / (1 - p.osteoclast_life_gain * deficit * cells.osteoclast_memory)


def osteoclast_memory_rate(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """The memory follows estrogen over years: Q' = (E - Q) / tau."""
    return (1 - deficit - cells.osteoclast_memory) / (p.osteoclast_memory_yr * DAYS_PER_YEAR)


def osteoclast_rate(cells: CellState, fusion: jax.Array, life: jax.Array, p: CellParameters) -> jax.Array:
    """Osteoclasts: fusion of precursors against death."""
    return (fusion * cells.precursors - cells.osteoclasts / life) / p.osteoclast_life_d


def coupling_rate(cells: CellState, p: CellParameters) -> jax.Array:
    """Coupling factors follow resorption."""
    return (cells.osteoclasts - cells.coupling) / p.coupling_time_d


def wnt(sclerostin: jax.Array, tnf: jax.Array, p: CellParameters) -> jax.Array:
    """Wnt signal, braked by sclerostin and TNF-alpha; the TNF term is a quotient so that it stays positive."""
    return sclerostin**-p.wnt_sclerostin_exponent / (1 + p.wnt_tnf * (tnf - 1))


def preosteoblast_rate(cells: CellState, osteogenic: jax.Array, wnt_fold: jax.Array, p: CellParameters) -> jax.Array:
    """Osteoblast precursors: called by coupling, from the osteogenic share of stem cells, under Wnt."""
    called = osteogenic**p.osteogenic_exponent * wnt_fold * cells.coupling
    return (called - cells.preosteoblasts) / p.preosteoblast_time_d


def osteoblast_life(deficit: jax.Array, tnf: jax.Array, p: CellParameters) -> jax.Array:
    """Life of an osteoblast, fold of health: apoptosis rises without estrogen and with TNF-alpha."""
    return 1 / (1 + p.osteoblast_apoptosis_gain * deficit + p.osteoblast_apoptosis_tnf * (tnf - 1))


def osteoblast_rate(cells: CellState, life: jax.Array, p: CellParameters) -> jax.Array:
    """Osteoblasts: precursors mature, cells die or are buried."""
    return (cells.preosteoblasts - cells.osteoblasts / life) / p.osteoblast_time_d
