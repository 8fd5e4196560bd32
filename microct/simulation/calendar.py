"""Time of a run: whole steps, from which years are derived; where reports and checkpoints fall."""

from __future__ import annotations

from dataclasses import dataclass

from microct.simulation.config import Study

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Calendar:
    """The steps of a run. Step 0 begins the burn-in; the study's year 0 is at step `burn_in_steps`."""

    step_days: float
    burn_in_steps: int
    total_steps: int
    report_steps: tuple[int, ...]
    checkpoint_steps: tuple[int, ...]

    @classmethod
    def of(cls, study: Study) -> Calendar:
        """Lay a study out in steps; every time falls on the nearest step."""
        time = study.time

        def steps(years: float) -> int:
            return round(years * DAYS_PER_YEAR / time.step_days)

        burn_in, total = steps(time.burn_in_years), steps(time.burn_in_years) + steps(time.years)

        def every(years: float) -> tuple[int, ...]:
            times, k = {burn_in, total}, 1
            while k * years < time.years:
                times.add(burn_in + steps(k * years))
                k += 1
            return tuple(sorted(times))

        reports = tuple(sorted({0, *every(time.report_every_years)}))
        return cls(time.step_days, burn_in, total, reports, every(time.checkpoint_every_years))

    def year(self, step: int) -> float:
        """Years since the start of the study after ``step`` steps; negative in the burn-in."""
        return (step - self.burn_in_steps) * self.step_days / DAYS_PER_YEAR

    def next_stop(self, step: int, longest: int) -> int:
        """The step at which the block that begins after ``step`` must end, at most ``longest`` later."""
        stops = (s for s in (*self.report_steps, *self.checkpoint_steps, self.total_steps) if s > step)
        return min(min(stops), step + longest)
