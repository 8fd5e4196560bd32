"""Raloxifene: estrogen to osteoclasts and to the cells that send them RANKL, not to the rest."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.daily import Amounts, intake, rates
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(60.0, "mg", 1.0, "oral, daily", "MORE: 60 mg a day")
__all__ = ["REGIMEN", "Amounts", "Constants", "effects", "intake", "rates"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Exposure and effect of raloxifene."""

    daily_dose_mg: float = constant(
        60.0, "mg", "dose that counts as exposure 1", "MORE, Ettinger 1999: 60 mg a day", verified=True
    )
    exposure_time_d: float = constant(10.0, "day", "time over which daily doses add up")
    most_masked: float = constant(
        0.9, "1", "deficit hidden from osteoclasts at most", "MORE: spine +2 to 3 %", fitted=True
    )
    half_dose: float = constant(0.5, "1", "exposure at half of that")


def effects(amounts: Amounts, c: Constants) -> Effects:
    """The deficit hidden from osteoclasts; saturates with dose."""
    return Effects(osteoclast_deficit_masked=c.most_masked * amounts.exposure / (amounts.exposure + c.half_dose))
