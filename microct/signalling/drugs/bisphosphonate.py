"""What bisphosphonates share: bone takes them up, buries them, and gives them back where it is resorbed.

Two pools [mg of the dose]: what lies on the surface and acts, and what is buried in the skeleton:

    surface' = uptake - surface / surface_time + recycled * buried * resorption / skeleton_time
    buried'  = surface / surface_time - buried * resorption / skeleton_time

``resorption`` is births of BMUs over health: little is released where little is resorbed. The block of births
saturates: block = block_most * surface / (surface + half).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.drugs.effects import Effects


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Amounts:
    """A bisphosphonate in bone [mg of dose]: on the surface, and buried."""

    surface: jax.Array | float = 0.0
    buried: jax.Array | float = 0.0


def intake(dose: jax.Array, c: Any) -> Amounts:
    """What a dose [mg] brings to the surface of bone [mg]; or a flow of it, in a day."""
    return Amounts(surface=c.uptake * dose)


def rates(amounts: Amounts, births: jax.Array, c: Any) -> Amounts:
    """Change of both pools [mg/day]; ``births`` is the untouched drive to resorb over the block, fold of health."""
    leaves = amounts.surface / (c.surface_time_yr * DAYS_PER_YEAR)
    released = amounts.buried * births / (c.skeleton_time_yr * DAYS_PER_YEAR)
    return Amounts(surface=c.recycled * released - leaves, buried=leaves - released)


def effects(amounts: Amounts, c: Any) -> Effects:
    """Births and osteoclast life, braked by what lies on the surface."""
    share = amounts.surface / (amounts.surface + c.half_mg)
    return Effects(births_block=c.block_most * share, life_block=c.life_most * share)
