"""Osteoclasts and osteoblasts from precursor to death, and the coupling between them; rates in 1/day."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState


def precursor_influx(
    rankl: jax.Array, opg: jax.Array, tnf: jax.Array, il17: jax.Array, il6: jax.Array, p: CellParameters
) -> jax.Array:
    """Influx of osteoclast precursors [1], driven by signals only, never by estrogen itself.

    (R/OPG)^sR [1 + inflammation]: cytokines act on what RANKL permits (TNF-alpha makes osteoclasts of macrophages that
    see permissive RANKL: Lam 2000), so that without osteocyte RANKL inflammation alone does little.
    """
    inflammation = p.influx_tnf * (tnf - 1) + p.influx_il17 * (il17 - 1) + p.influx_il6 * (il6 - 1)
    return (rankl / opg) ** p.influx_rankl * (1 + inflammation)


def precursor_rate(cells: CellState, influx: jax.Array, fusion: jax.Array, p: CellParameters) -> jax.Array:
    """Precursors: influx against fusion and death; they die faster where they crowd.

    Few die in health, so that they pile up while RANKL is blocked; crowding sets how far.
    """
    fed = (p.precursor_use_per_d + p.precursor_death_per_d) * (influx - 1)
    used = p.precursor_use_per_d * (1 - fusion * cells.precursors)
    crowd = jnp.maximum(cells.precursors, 0) ** p.precursor_crowding
    return fed + used + p.precursor_death_per_d * (1 - crowd)


def osteoclast_life(
    cells: CellState, deficit: jax.Array, occupancy: jax.Array, block: jax.Array, p: CellParameters
) -> jax.Array:
    """Life of an osteoclast, fold of health: RANK keeps it alive, estrogen (Krum 2008) and bisphosphonates end it.

    life = min(1, .35 + .65 u) / (1 - gC max(0, Q - E)) / (1 + block). Q is the estrogen to which the cells have become
    used: the longer life answers a fresh fall, so that the deep erosion of the years around menopause fades later.
    """
    survival = jnp.minimum(1, 1 + (1 - p.osteoclast_life_basal) * (occupancy - 1))
    fresh = jnp.clip(cells.osteoclast_memory - 1 + deficit, 0, 1)
    return survival / (1 - p.osteoclast_life_gain * fresh) / (1 + block)


def osteoclast_memory_rate(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """The memory follows estrogen over years: Q' = (E - Q) / tau."""
    return (1 - deficit - cells.osteoclast_memory) / (p.osteoclast_memory_yr * DAYS_PER_YEAR)


def osteoclast_rate(cells: CellState, births: jax.Array, life: jax.Array, p: CellParameters) -> jax.Array:
    """Osteoclasts: those that set out to resorb, against death."""
    return (births - cells.osteoclasts / life) / p.osteoclast_life_d


def births(cells: CellState, fusion: jax.Array, block: jax.Array) -> jax.Array:
    """Births of BMUs over health [1]: fusing precursors, of which a bisphosphonate lets fewer resorb.

    The others are used up all the same: precursors do not pile up, and there is no rebound.
    """
    return fusion * cells.precursors / (1 + block)


def coupling_rate(cells: CellState, p: CellParameters) -> jax.Array:
    """Coupling factors follow resorption."""
    return (cells.osteoclasts - cells.coupling) / p.coupling_time_d


def wnt(sclerostin: jax.Array, tnf: jax.Array, p: CellParameters) -> jax.Array:
    """Wnt signal, braked by sclerostin and TNF-alpha; the TNF term is a quotient so that it stays positive."""
    return sclerostin**-p.wnt_sclerostin_exponent / (1 + p.wnt_tnf * (tnf - 1))


def anabolic(cells: CellState, bound: jax.Array, drive: jax.Array, p: CellParameters) -> jax.Array:
    """How a drug multiplies the call for osteoblasts [1]: sclerostin bound, or the drive of parathyroid hormone."""
    freed = (1 - bound) ** -p.wnt_sclerostin_exponent - 1
    return 1 + (freed + drive) * cells.reserve


def reserve_rate(cells: CellState, modeling_drive: jax.Array, p: CellParameters) -> jax.Array:
    """Lining and progenitor cells: formation on quiescent surface uses them up, time brings them back."""
    return (1 - cells.reserve - p.reserve_use * modeling_drive * cells.reserve) / p.reserve_time_d


def preosteoblast_rate(
    cells: CellState, osteogenic: jax.Array, wnt_fold: jax.Array, anabolic_fold: jax.Array, p: CellParameters
) -> jax.Array:
    """Osteoblast precursors: called by coupling, from the osteogenic share of stem cells, under Wnt."""
    called = osteogenic**p.osteogenic_exponent * wnt_fold * cells.coupling * anabolic_fold
    return (called - cells.preosteoblasts) / p.preosteoblast_time_d


def osteoblast_life(deficit: jax.Array, tnf: jax.Array, care: jax.Array, p: CellParameters) -> jax.Array:
    """Life of an osteoblast, fold of health: apoptosis rises without estrogen and with TNF-alpha."""
    return (1 + care) / (1 + p.osteoblast_apoptosis_gain * deficit + p.osteoblast_apoptosis_tnf * (tnf - 1))


def osteoblast_rate(cells: CellState, life: jax.Array, p: CellParameters) -> jax.Array:
    """Osteoblasts: precursors mature, cells die or are buried."""
    return (cells.preosteoblasts - cells.osteoblasts / life) / p.osteoblast_time_d
