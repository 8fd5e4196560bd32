"""RANKL from three sources, OPG from two, their competition at RANK, and the fusion that follows; folds of health.

Sums are written as 1 + weighted excess over health, products as powers of 1: health is exactly 1 whatever the weights.
"""

from __future__ import annotations

import jax

from microct.signalling.osteocytes import years_past_onset
from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState


def pth(age_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Parathyroid hormone, rising with age."""
    return 1 + p.pth_per_yr * years_past_onset(age_yr, p)


def stromal_rankl(
    deficit: jax.Array,
    il17: jax.Array,
    tnf: jax.Array,
    il6: jax.Array,
    pth_fold: jax.Array,
    drug_gain: jax.Array,
    p: CellParameters,
) -> jax.Array:
    """RANKL of stromal cells and osteoblasts (x2 to 3 early after menopause: Eghbali-Fatourechi 2003)."""
    inflammation = p.stromal_rankl_il17 * (il17 - 1) + p.stromal_rankl_tnf * (tnf - 1) + p.stromal_rankl_il6 * (il6 - 1)
    signals = 1 + inflammation + p.stromal_rankl_pth * (pth_fold - 1)
    return (1 + p.stromal_rankl_gain * deficit) * signals * (1 + drug_gain)


def b_cell_rankl(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """RANKL of the B lineage: number times RANKL of each cell (acts in cancellous bone only: Onal 2012)."""
    return cells.b_cells * (1 + p.b_cell_rankl_gain * deficit)


def rankl(osteocyte: jax.Array, stromal: jax.Array, b_cell: jax.Array, p: CellParameters) -> jax.Array:
    """RANKL of all sources: their weighted geometric mean.

    The sources permit one another: stromal and B-cell RANKL do little where osteocytes send none, as in mice whose
    osteocytes lack it (Fujiwara 2016). A sum of shares protects such mice far too little.
    """
    whole = p.weight_osteocyte + p.weight_stromal + p.weight_b_cell
    of_osteocytes = osteocyte ** (p.weight_osteocyte / whole)
    return of_osteocytes * stromal ** (p.weight_stromal / whole) * b_cell ** (p.weight_b_cell / whole)


def opg(cells: CellState, deficit: jax.Array, drug_gain: jax.Array, p: CellParameters) -> jax.Array:
    """Osteoprotegerin of stromal cells and of the B lineage (main source in mouse marrow: Li 2007)."""
    stromal_excess = -p.opg_stromal_loss * deficit
    b_cell_excess = (1 - p.opg_b_cell_loss * deficit) * cells.b_cells**p.opg_b_cell_exponent - 1
    excess = p.opg_weight_stromal * stromal_excess + p.opg_weight_b_cell * b_cell_excess
    return (1 + excess / (p.opg_weight_stromal + p.opg_weight_b_cell)) * (1 + drug_gain)


def rank_occupancy(rankl_fold: jax.Array, opg_fold: jax.Array, block: jax.Array, p: CellParameters) -> jax.Array:
    """RANKL that reaches RANK, u = R (1 + kO) / (1 + kO OPG + block) (competition after Pivonka 2008)."""
    return rankl_fold * (1 + p.opg_affinity) / (1 + p.opg_affinity * opg_fold + block)


def fusion(occupancy: jax.Array, p: CellParameters) -> jax.Array:
    """Fusion of precursors, f = u^n (1 + Kf) / (u^n + Kf), written as 1 + excess."""
    drive = occupancy**p.fusion_exponent
    return 1 + p.fusion_half * (drive - 1) / (drive + p.fusion_half)
