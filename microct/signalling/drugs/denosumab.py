"""Denosumab: an antibody to RANKL; cleared faster once it is dilute, so that its effect ends at once, and rebounds.

Kinetics of Peterson & Riggs (subcutaneous depot, two volumes, linear and saturable clearance), and an effect
compartment of twelve days through which it competes with OPG and RANK for RANKL. The rebound is not put in: while RANKL
is blocked, osteoclast precursors pile up (`lineages.precursor_rate`).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(60.0, "mg", 365.25 / 2, "injection, every six months", "FREEDOM: 60 mg every 6 months")
PETERSON = "Peterson & Riggs, in OpenBoneMin's code"
SUPPRESSION = "fitted here: CTX -86 % at 1 month, -72 % before the second dose, FREEDOM (unverified); rebound"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Kinetics and potency of denosumab."""

    bioavailability: float = constant(0.729, "1", "share of an injection that is taken up", PETERSON, verified=True)
    absorption_per_d: float = constant(0.00592 * 24, "1/day", "absorption from the depot", PETERSON, verified=True)
    central_l: float = constant(2.340, "L", "central volume", PETERSON, verified=True)
    peripheral_l: float = constant(1.324, "L", "peripheral volume", PETERSON, verified=True)
    exchange_l_per_d: float = constant(0.01867 * 24, "L/day", "exchange between the volumes", PETERSON, verified=True)
    clearance_l_per_d: float = constant(0.00275 * 24, "L/day", "linear clearance", PETERSON, verified=True)
    most_cleared_ug_per_d: float = constant(3.110 * 24, "ug/day", "saturable clearance", PETERSON, verified=True)
    half_cleared_ug_per_l: float = constant(188.0, "ug/L", "concentration at half of it", PETERSON, verified=True)
    effect_time_d: float = constant(12.0, "day", "delay of the effect", SUPPRESSION, fitted=True)
    potency_l_per_ug: float = constant(1.5, "L/ug", "competition with OPG for RANKL", SUPPRESSION, fitted=True)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Amounts:
    """Denosumab: depot [mg], concentration in the central and peripheral volume and at its effect [ug/L]."""

    depot: jax.Array | float = 0.0
    central: jax.Array | float = 0.0
    peripheral: jax.Array | float = 0.0
    at_effect: jax.Array | float = 0.0


def intake(dose: jax.Array, c: Constants) -> Amounts:
    """What a dose [mg] adds to the depot [mg]; or a flow of it, in a day."""
    return Amounts(depot=c.bioavailability * dose)


def rates(amounts: Amounts, c: Constants) -> Amounts:
    """Change of depot and concentrations in a day."""
    absorbed = c.absorption_per_d * amounts.depot
    exchanged = c.exchange_l_per_d * (amounts.central - amounts.peripheral)
    saturable = c.most_cleared_ug_per_d * amounts.central / (c.half_cleared_ug_per_l + amounts.central)
    cleared = c.clearance_l_per_d * amounts.central + saturable
    return Amounts(
        depot=-absorbed,
        central=(1000 * absorbed - exchanged - cleared) / c.central_l,
        peripheral=exchanged / c.peripheral_l,
        at_effect=(amounts.central - amounts.at_effect) / c.effect_time_d,
    )


def shortest_time_d(c: Constants) -> float:
    """The shortest time constant of the concentrations [day]: exchange between the volumes, and clearance."""
    saturable = c.most_cleared_ug_per_d / c.half_cleared_ug_per_l
    central = (c.exchange_l_per_d + c.clearance_l_per_d + saturable) / c.central_l
    return float(1 / (central + c.exchange_l_per_d / c.peripheral_l))


def effects(amounts: Amounts, c: Constants) -> Effects:
    """A competitor of RANK for RANKL."""
    return Effects(rank_block=c.potency_l_per_ug * amounts.at_effect)
