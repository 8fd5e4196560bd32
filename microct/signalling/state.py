"""The cells of a piece of bone: one number for each population, healthy young = 1."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CellState:
    """Populations as folds of the healthy young [1]; scalars, or arrays of one shape over patients or times."""

    th17: jax.Array  # T helper 17 cells
    treg: jax.Array  # suppressive function of regulatory T cells (their number does not change)
    macrophages: jax.Array  # M1 macrophages
    neutrophils: jax.Array  # neutrophils and mast cells
    b_cells: jax.Array  # B lineage
    osteocytes: jax.Array  # viable osteocytes
    marrow_fat: jax.Array  # marrow fat, fold of the healthy reference adult
    precursors: jax.Array  # osteoclast precursors
    osteoclasts: jax.Array  # active osteoclasts
    osteoclast_memory: jax.Array  # estrogen to which osteoclasts have become used
    coupling: jax.Array  # coupling factors released by resorption
    preosteoblasts: jax.Array
    osteoblasts: jax.Array  # active osteoblasts
    reserve: jax.Array  # lining and progenitor cells that can form bone on quiescent surface


def healthy_state() -> CellState:
    """The healthy young: every population 1."""
    return CellState(**{name: jnp.ones(()) for name in CellState.__dataclass_fields__})
