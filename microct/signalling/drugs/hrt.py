"""Hormone replacement: makes good a share of the deficit, for every cell."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.daily import Amounts, intake, rates
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(0.625, "mg", 1.0, "oral, daily", "WHI, Rossouw 2002: .625 mg conjugated estrogens a day")
__all__ = ["REGIMEN", "Amounts", "Constants", "effects", "intake", "rates"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Exposure and effect of hormone replacement."""

    daily_dose_mg: float = constant(
        0.625, "mg", "dose that counts as exposure 1", "WHI, Rossouw 2002: .625 mg a day", verified=True
    )
    exposure_time_d: float = constant(5.0, "day", "time over which daily doses add up")
    most_restored: float = constant(0.99, "1", "deficit made good at most", "PEPI: spine +3.5 to 5 %", fitted=True)
    half_dose: float = constant(0.05, "1", "exposure at half of that")


def effects(amounts: Amounts, c: Constants) -> Effects:
    """Estrogen made good; saturates with dose and never goes beyond health."""
    return Effects(estrogen_restored=c.most_restored * amounts.exposure / (amounts.exposure + c.half_dose))
