"""What drugs swallowed every day share: an exposure, 1 under the usual dose, that follows doses with a delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Amounts:
    """A daily drug: exposure [usual doses]."""

    exposure: jax.Array | float = 0.0


def intake(dose: jax.Array, c: Any) -> Amounts:
    """What a dose [mg] adds to the exposure [1]; or a flow of it, in a day."""
    return Amounts(exposure=dose / c.daily_dose_mg / c.exposure_time_d)


def rates(amounts: Amounts, c: Any) -> Amounts:
    """Change of the exposure [1/day]."""
    return Amounts(exposure=-amounts.exposure / c.exposure_time_d)
