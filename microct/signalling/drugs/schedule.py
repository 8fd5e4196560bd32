"""When a drug is given: start, interval, stop, holidays; several treatments make a sequence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.drugs.pharmacy import DRUGS, REGIMENS
from microct.signalling.spelling import refused
from microct.status import StudyError

LARGEST_DOSE = 20.0  # usual doses; beyond, nothing was ever measured
SHORTEST_INTERVAL_D = 1.0
RAREST_FLOW_D = 2.0  # a daily drug given more rarely comes in single doses


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
        interval_yr = self.every_d / DAYS_PER_YEAR
        end = min(last_yr, math.inf if self.stop_yr is None else self.stop_yr)
        begin = max(0, math.ceil((first_yr - self.start_yr) / interval_yr - 1e-9))
        count = max(0, math.ceil((end - self.start_yr) / interval_yr - 1e-9) - begin)
        times = self.start_yr + interval_yr * (begin + np.arange(count))
        for off, on in self.holidays_yr:
            times = times[(times < off) | (times >= on)]
        return times

    @property
    def every_d(self) -> float:
        """Time between two doses [day]."""
        return REGIMENS[self.drug].interval_d if self.interval_d is None else self.interval_d

    @property
    def flows(self) -> bool:
        """Whether it is given so often that doses count as a steady flow: daily drugs, every second day at least."""
        return REGIMENS[self.drug].interval_d <= 1 and self.every_d <= RAREST_FLOW_D

    def flow_per_d(self) -> float:
        """The steady flow, in the regimen's unit a day."""
        return self.dose * REGIMENS[self.drug].dose / self.every_d

    def spans_yr(self) -> list[tuple[float, float]]:
        """From when until when it is given, without holidays [yr since the start of the study]; may end at infinity."""
        spans, begin = [], self.start_yr
        for off, on in sorted(self.holidays_yr):
            if off > begin:
                spans.append((begin, off))
            begin = max(begin, on)
        spans.append((begin, math.inf))
        last = math.inf if self.stop_yr is None else self.stop_yr
        return [(begin, min(end, last)) for begin, end in spans if begin < min(end, last)]
