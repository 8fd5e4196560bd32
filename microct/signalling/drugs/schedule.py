"""When a drug is given: start, interval, stop, holidays; several treatments make a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microct.signalling.drugs.pharmacy import DRUGS, REGIMENS
from microct.signalling.parameters import DAYS_PER_YEAR
from microct.signalling.spelling import refused
from microct.status import StudyError

LARGEST_DOSE = 20.0  # usual doses; beyond, nothing was ever measured
SHORTEST_INTERVAL_D = 1.0


@dataclass(frozen=True)
class Treatment:
    """One drug, given from a start until a stop; hold several in a row for a sequence.

    Attributes:
        drug: one of `DRUGS`.
        start_yr: first dose, years since the start of the study; negative before it.
        stop_yr: no dose from here on; None: never stopped.
        interval_d: time between two doses [day]; None: the usual one.
        dose: in usual doses [1]; 0 is no treatment, to the last bit.
        holidays_yr: pairs (from, until) without a dose [yr since the start of the study].

    Raises:
        StudyError: an unknown drug, a stop before the start, a dose or an interval outside its range.
    """

    drug: str
    start_yr: float = 0.0
    stop_yr: float | None = None
    interval_d: float | None = None
    dose: float = 1.0
    holidays_yr: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.drug not in DRUGS:
            raise refused("drug", self.drug, DRUGS)
        if not math.isfinite(self.start_yr):
            raise StudyError(f"{self.drug}: start_yr must be a number of years, got {self.start_yr} (usual: 0 to 20)")
        if self.stop_yr is not None and not self.stop_yr >= self.start_yr:
            raise StudyError(f"{self.drug}: stop_yr must not lie before start_yr {self.start_yr:g}, got {self.stop_yr}")
        if not 0 <= self.dose <= LARGEST_DOSE:
            raise StudyError(f"{self.drug}: dose must be 0 to {LARGEST_DOSE:g} usual doses, got {self.dose} (usual: 1)")
        if self.interval_d is not None and not SHORTEST_INTERVAL_D <= self.interval_d <= 20 * DAYS_PER_YEAR:
            raise StudyError(
                f"{self.drug}: interval_d must be {SHORTEST_INTERVAL_D:g} to {20 * DAYS_PER_YEAR:g} day, got "
                f"{self.interval_d} (usual: {REGIMENS[self.drug].interval_d:g})"
            )
        for begin, end in self.holidays_yr:
            if not begin <= end:
                raise StudyError(f"{self.drug}: a holiday must end after it begins, got {begin:g} to {end:g} yr")

    def dose_times_yr(self, first_yr: float, last_yr: float) -> np.ndarray:
        """Times of doses in [first, last) [yr since the start of the study], ascending."""
        interval_yr = (REGIMENS[self.drug].interval_d if self.interval_d is None else self.interval_d) / DAYS_PER_YEAR
        end = min(last_yr, math.inf if self.stop_yr is None else self.stop_yr)
        begin = max(0, math.ceil((first_yr - self.start_yr) / interval_yr - 1e-9))
        count = max(0, math.ceil((end - self.start_yr) / interval_yr - 1e-9) - begin)
        times = self.start_yr + interval_yr * (begin + np.arange(count))
        for off, on in self.holidays_yr:
            times = times[(times < off) | (times >= on)]
        return times


def doses_per_day(treatments: Sequence[Treatment], year: int, years: int, steps_per_year: int) -> np.ndarray:
    """What is given of each drug, as a rate over each step.

    A dose flows in during the step in which it falls.

    Args:
        treatments: in any order; those of one drug add up.
        year: first year, on the study clock.
        years: how many.
        steps_per_year: of the integrator.

    Returns:
        (years, steps_per_year, drugs) float64, in the unit of the drug's regimen a day.
    """
    rates = np.zeros((years * steps_per_year, len(DRUGS)))
    step_d = DAYS_PER_YEAR / steps_per_year
    for one in treatments:
        if one.dose == 0:
            continue
        amount = one.dose * REGIMENS[one.drug].dose
        step = np.floor((one.dose_times_yr(year, year + years) - year) * steps_per_year + 1e-6).astype(np.int64)
        np.add.at(rates[:, DRUGS.index(one.drug)], np.clip(step, 0, len(rates) - 1), amount / step_d)
    return rates.reshape(years, steps_per_year, len(DRUGS))
