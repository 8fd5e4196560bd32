"""Time of a run: whole steps, from which years are derived; where reports and checkpoints fall."""

from __future__ import annotations

from dataclasses import dataclass

from microct.quantities import DAYS_PER_YEAR
from microct.simulation.config import Study
from microct.status import StudyError


@dataclass(frozen=True)
class Calendar:
    """The steps of a run. Step 0 begins the burn-in; the study's year 0 is at step `burn_in_steps`.

    Attributes:
        step_days: length of a step.
        burn_in_steps, total_steps: in number.
        report_steps, checkpoint_steps, load_steps: after which steps rows are written, the state is kept, and micro-FE
            is solved or osteocytes and damage are looked at.
    """

    step_days: float
    burn_in_steps: int
    total_steps: int
    report_steps: tuple[int, ...]
    checkpoint_steps: tuple[int, ...]
    load_steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, study: Study) -> Calendar:
        """Lay a study out in steps; every time falls on the nearest step.

        Raises:
            StudyError: not a single step.
        """
        time = study.time

        def steps(years: float) -> int:
            return round(years * DAYS_PER_YEAR / time.step_days)

        burn_in, total = steps(time.burn_in_years), steps(time.burn_in_years) + steps(time.years)
        if total == 0:
            raise StudyError(
                f"time.years = {time.years:g} after time.burn_in_years = {time.burn_in_years:g}: expected at least one "
                f"step of time.step_days = {time.step_days:g} day in one of them (usual: 5 to 20 yr after 2 to 4 yr)"
            )

        def every(years: float) -> tuple[int, ...]:
            times, k = {burn_in, total}, 1
            while k * years < time.years:
                times.add(burn_in + steps(k * years))
                k += 1
            return tuple(sorted(times))

        reports = tuple(sorted({0, *every(time.report_every_years)}))
        loads: set[int] = set()
        if study.osteocytes.felt or study.load.felt:
            interval = study.load.every_months if study.load.felt else study.osteocytes.every_months
            months = round(12.0 * (time.burn_in_years + time.years) / interval) + 1
            loads = {steps(k * interval / 12.0) for k in range(months)}
        if study.load.felt:
            # What the patient does changes on its day.
            loads |= {burn_in + steps(year) for year, _ in study.load.activity}
            loads |= {burn_in + steps(study.load.turned_at_years)} if study.load.turned_axis != "none" else set()
        felt = tuple(sorted(step for step in loads if 0 <= step < total))
        return cls(time.step_days, burn_in, total, reports, every(time.checkpoint_every_years), felt)

    def year(self, step: int) -> float:
        """Years since the start of the study after ``step`` steps; negative in the burn-in."""
        return (step - self.burn_in_steps) * self.step_days / DAYS_PER_YEAR

    def next_stop(self, step: int, longest: int) -> int:
        """The step at which the block that begins after ``step`` must end, at most ``longest`` later."""
        known = (*self.report_steps, *self.checkpoint_steps, *self.load_steps, self.total_steps)
        stops = (s for s in known if s > step)
        return min(min(stops), step + longest)
