"""Romosozumab: an antibody to sclerostin; forms bone on quiescent surface until the reserve of osteoblasts is spent.

The attenuation is not put in by time: what forms bone on quiescent surface is drawn from a reserve of lining and
progenitor cells (`lineages.reserve_rate`), which recovers over many months.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(210.0, "mg", 365.25 / 12, "injection, monthly", "FRAME, ARCH: 210 mg a month for 12 months")
MARTIN = "Martin 2020, in Pharmacolibrary"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Kinetics and potency of romosozumab."""

    bioavailability: float = constant(0.8, "1", "share of an injection that is taken up")
    absorption_per_d: float = constant(0.3, "1/day", "absorption from the depot")
    central_l: float = constant(3.92, "L", "central volume", MARTIN, verified=True)
    clearance_l_per_d: float = constant(0.23, "L/day", "clearance", MARTIN, verified=True)
    half_mg_per_l: float = constant(3.0, "mg/L", "concentration at which half of sclerostin is bound")
    opg_gain: float = constant(
        4.0, "1", "OPG at full blockade", "biopsies: ES/BS 1.8 against 3.4 %, Chavassieux 2019", fitted=True
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Amounts:
    """Romosozumab: depot [mg], serum [mg/L]."""

    depot: jax.Array | float = 0.0
    serum: jax.Array | float = 0.0


def intake(dose: jax.Array, c: Constants) -> Amounts:
    """What a dose [mg] adds to the depot [mg]; or a flow of it, in a day."""
    return Amounts(depot=c.bioavailability * dose)


def rates(amounts: Amounts, c: Constants) -> Amounts:
    """Change of depot and serum in a day."""
    absorbed = c.absorption_per_d * amounts.depot
    return Amounts(
        depot=-absorbed,
        serum=(absorbed - c.clearance_l_per_d * amounts.serum) / c.central_l,
    )


def effects(amounts: Amounts, c: Constants) -> Effects:
    """Sclerostin bound; with it more OPG, and bone formed on quiescent surface."""
    bound = amounts.serum / (amounts.serum + c.half_mg_per_l)
    return Effects(sclerostin_bound=bound, opg_gain=c.opg_gain * bound, modeling_drive=bound)
