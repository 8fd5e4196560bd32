"""Immune cells without estrogen, and the cytokines they release; rates in 1/day, everything else fold of health."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState


def il17(cells: CellState) -> jax.Array:
    """Interleukin 17 from Th17 cells, held down by Treg function."""
    return cells.th17 / jnp.sqrt(cells.treg)


def tnf_alpha(cells: CellState, p: CellParameters) -> jax.Array:
    """Tumor necrosis factor alpha from T cells and M1 macrophages, as 1 + excess: exact in health."""
    from_t_cells = cells.th17 / cells.treg - 1
    return 1 + p.tnf_from_t_cells * from_t_cells + (1 - p.tnf_from_t_cells) * (cells.macrophages - 1)


def il6(cells: CellState, il17_fold: jax.Array, p: CellParameters) -> jax.Array:
    """Interleukin 6 from neutrophils and mast cells, macrophages, and the tissue's answer to IL-17."""
    rest = 1 - p.il6_from_neutrophils - p.il6_from_macrophages
    from_granulocytes = p.il6_from_neutrophils * (cells.neutrophils - 1)
    return 1 + from_granulocytes + p.il6_from_macrophages * (cells.macrophages - 1) + rest * (il17_fold - 1)


def th17_rate(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """Th17 cells multiply without estrogen (frequency 4.9 to 7.1 %, RORgt x2.6: cohort of women past menopause)."""
    return (1 + p.th17_gain * deficit - cells.th17) / p.immune_time_d


def treg_rate(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """Treg lose suppressive function, not number (their frequency is unchanged: Sci Rep 2021)."""
    return (1 - p.treg_loss * deficit - cells.treg) / p.immune_time_d


def macrophage_rate(cells: CellState, deficit: jax.Array, tnf: jax.Array, p: CellParameters) -> jax.Array:
    """Macrophages shift to M1 without estrogen and with TNF-alpha."""
    return (1 + p.macrophage_gain * deficit + p.macrophage_tnf_gain * (tnf - 1) - cells.macrophages) / p.immune_time_d


def neutrophil_rate(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """Neutrophils and mast cells gather; they act by IL-6 (their RANKL is dispensable in mice: Fischer 2023)."""
    return (1 + p.neutrophil_gain * deficit - cells.neutrophils) / p.immune_time_d


def b_cell_rate(cells: CellState, osteocyte_rankl: jax.Array, p: CellParameters) -> jax.Array:
    """The B lineage expands with osteocyte RANKL (Fujiwara 2016)."""
    return (1 + p.b_cell_gain * (osteocyte_rankl - 1) - cells.b_cells) / p.immune_time_d
