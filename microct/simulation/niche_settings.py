"""The section [osteocytes] of a study: their number, and what their death and damage of bone call for around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microct.simulation.settings import UNVERIFIED, Section, flag, number


@dataclass(frozen=True)
class Osteocytes(Section):
    """Living osteocytes and microdamage: where they call BMUs, and how well load is felt."""

    section: ClassVar[str] = "osteocytes"

    on: bool = flag(False, "whether missing osteocytes call BMUs to their place and weaken the sense of load")
    damage: bool = flag(False, "whether load damages bone, which calls BMUs and kills osteocytes; needs load.axis")
    lacunae_per_mm3: float = number(
        15000.0, "osteocytes that are walled in as bone is formed", unit="1/mm3", low=1000, high=100000,
        usual="12900 to 17100", source="lacunae, iliac crest: Mullender et al. 1996",
    )  # fmt: skip
    targeted_share: float = number(
        0.3, "share of remodeling that is called to places, in health", low=0, high=0.9, usual="0.2 to 0.4",
        source=f"Burr {UNVERIFIED}: about 30 %",
    )  # fmt: skip
    damage_exponent: float = number(
        2.0, "power of strain energy density with which load damages", low=0.5, high=6, usual="1 to 4",
        source=f"Martin: strain range to the fourth {UNVERIFIED}",
    )  # fmt: skip
    damage_death_per_year: float = number(
        0.01, "osteocytes that die where damage is that of healthy bone", unit="1/yr", low=0, high=1,
        usual="0 to 0.05", source="ours, not fitted",
    )  # fmt: skip
    sensing_um: float = number(
        150.0, "distance over which places call (standard deviation)", unit="um", low=10, high=1000,
        usual="100 to 200", source=f"as load.sensing_um; Mullender, Huiskes 1995: 100 um {UNVERIFIED}",
    )  # fmt: skip
    every_months: float = number(
        6.0, "time between two looks at them where load is not felt", unit="month", low=0.25, high=120,
        usual="3 to 12",
    )  # fmt: skip

    @property
    def felt(self) -> bool:
        """Whether places call at all."""
        return self.on or self.damage
