"""How the bone of a scan was renewed before it was scanned: its ages, and the calcium that they hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microct.status import StudyError
from microct.tissue.mineral import HEALTHY_TURNOVER_PER_YR, MineralLaw

#: Classes of equal share into which ages are cut.
CLASSES = 512


@dataclass(frozen=True)
class Past:
    """Turnover before the scan: steady in health, then other rates, one after the other, until the scan.

    Bone is renewed at random, so that its ages fall off exponentially, by the rate that each time had.

    Attributes:
        healthy_per_yr: share of bone volume renewed in a year at first, for as long as it takes to be steady.
        since: (turnover [1/yr], years) of each later time, the oldest first.
    """

    healthy_per_yr: float = HEALTHY_TURNOVER_PER_YR
    since: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        rates = self.healthy_per_yr, *(rate for rate, _ in self.since)
        lasted = all(0.0 <= years < math.inf for _, years in self.since)
        if not (lasted and all(0.0 < rate < math.inf for rate in rates)):
            raise StudyError(
                f"{self}: expected turnovers above 0 (usual: 0.02 to 0.5 /yr), each for 0 or more years "
                "(usual: 0 to 40)"
            )

    def ages(self) -> np.ndarray:
        """(512,) ages of equal share when it was scanned, each the median of its class [yr], ascending."""
        # Renewal since then, counted in mean lives, of bone of each class; every time lies between two such counts.
        left = -np.log1p(-(np.arange(CLASSES) + 0.5) / CLASSES)
        ages = np.zeros(CLASSES)
        for rate, years in reversed(self.since):
            here = np.minimum(left, rate * years)
            ages, left = ages + here / rate, left - here
        return ages + left / self.healthy_per_yr

    def mean_age_yr(self) -> float:
        """Mean age of bone when it was scanned [yr]."""
        age = 1.0 / self.healthy_per_yr
        for rate, years in self.since:
            kept = math.exp(-rate * years)
            age = (1.0 - kept) / rate + kept * age
        return age

    def calcium(self, law: MineralLaw, idle_yr: float = 0.0) -> float:
        """Mean calcium [wt %] of what is left of it ``idle_yr`` years after the scan."""
        mean, kept, ago = 0.0, 1.0, idle_yr
        for rate, years in reversed(self.since):
            older = math.exp(-rate * years)
            mean += kept * (law.steady_calcium(rate, ago) - older * law.steady_calcium(rate, ago + years))
            kept, ago = kept * older, ago + years
        return mean + kept * law.steady_calcium(self.healthy_per_yr, ago)


#: Bone that has always been healthy.
HEALTHY = Past()
