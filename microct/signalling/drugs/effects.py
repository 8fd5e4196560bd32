"""What drugs do to cells, one number for each point of attack; all zero is the untreated woman, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Effects:
    """Effects of all drugs together [1], JAX arrays or 0; contributions of several drugs add.

    Attributes:
        estrogen_restored: share of the deficit that is made good everywhere (HRT), 0 to 1.
        osteoclast_deficit_masked: share of the deficit hidden from RANKL, OPG and osteoclasts (raloxifene), 0 to 1.
        rank_block: competitor of RANK for RANKL, beside OPG (denosumab).
        births_block: births of BMUs are divided by 1 + this (bisphosphonates).
        life_block: osteoclast life is divided by 1 + this (bisphosphonates).
        sclerostin_bound: share of sclerostin that is bound (romosozumab), 0 to 1.
        opg_gain: OPG is multiplied by 1 + this (romosozumab).
        osteoblast_drive: calls of osteoblast precursors are multiplied by 1 + this (teriparatide).
        osteoblast_care: osteoblast apoptosis is divided by 1 + this (teriparatide).
        rankl_gain: stromal RANKL is multiplied by 1 + this (teriparatide, late).
        wall_gain: walls are thicker by this share (teriparatide).
        modeling_drive: bone formed on quiescent surface, as a share of that under full sclerostin blockade.
    """

    estrogen_restored: Any = 0.0
    osteoclast_deficit_masked: Any = 0.0
    rank_block: Any = 0.0
    births_block: Any = 0.0
    life_block: Any = 0.0
    sclerostin_bound: Any = 0.0
    opg_gain: Any = 0.0
    osteoblast_drive: Any = 0.0
    osteoblast_care: Any = 0.0
    rankl_gain: Any = 0.0
    wall_gain: Any = 0.0
    modeling_drive: Any = 0.0


def together(*contributions: Effects) -> Effects:
    """The sum of contributions, field by field; zeros add to exactly zero."""
    return jax.tree.map(lambda *parts: sum(parts[1:], start=jnp.asarray(parts[0])), *contributions)
