"""Alendronate: an oral bisphosphonate, weekly; quick to act, given back for years by the skeleton that took it up."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.bisphosphonate import Amounts, effects, intake, rates
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(70.0, "mg", 7.0, "oral, weekly", "Schnitzer 2000: 70 mg weekly acts as 10 mg daily")
__all__ = ["REGIMEN", "Amounts", "Constants", "effects", "intake", "rates"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Kinetics and potency of alendronate."""

    uptake: float = constant(
        0.003,
        "1",
        "share of an oral dose that reaches bone",
        "product unverified: .6 to .7 % absorbed, Brixen, Ugeskr Laeger; 40 to 60 % kept, Porras 1999",
    )
    surface_time_yr: float = constant(0.15, "yr", "how long it lies on the surface")
    skeleton_time_yr: float = constant(4.0, "yr", "residence in bone at healthy turnover")
    recycled: float = constant(0.5, "1", "share of what resorption frees that binds anew")
    half_mg: float = constant(0.2, "mg", "amount on the surface at half its effect")
    block_most: float = constant(
        9.0, "1", "most block of births", "biopsies, Chavassieux 1997: Ac.f -87 %", fitted=True
    )
    life_most: float = constant(0.3, "1", "most block of osteoclast life")
