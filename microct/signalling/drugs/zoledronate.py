"""Zoledronate: an infused bisphosphonate, yearly; bound so firmly that one dose acts for years."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.bisphosphonate import Amounts, effects, intake, rates
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(5.0, "mg", 365.25, "infusion, yearly", "HORIZON: 5 mg a year")
__all__ = ["REGIMEN", "Amounts", "Constants", "effects", "intake", "rates"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Kinetics and potency of zoledronate."""

    uptake: float = constant(0.55, "1", "share of an infusion that reaches bone")
    surface_time_yr: float = constant(
        1.6, "yr", "how long it lies on the surface", "Grey 2017: effect of one dose", fitted=True
    )
    skeleton_time_yr: float = constant(8.0, "yr", "residence in bone at healthy turnover")
    recycled: float = constant(0.5, "1", "share of what resorption frees that binds anew")
    half_mg: float = constant(
        0.35, "mg", "amount on the surface at half its effect", "Grey 2017: 1 mg acts as 5 mg for 2 yr", fitted=True
    )
    block_most: float = constant(
        1.75, "1", "most block of births", "Recker 2008, biopsies: bone turnover -63 %", fitted=True
    )
    life_most: float = constant(0.05, "1", "most block of osteoclast life")
