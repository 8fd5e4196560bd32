"""Cells become demand: what every step of a study asks of the BMUs, and the signals that a table shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microct.signalling.cell_course import course
from microct.signalling.demand import healthy_demand
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.patient import Patient
from microct.simulation.calendar import Calendar
from microct.simulation.config import Study


@dataclass(frozen=True)
class Demand:
    """Demand of every step, in the field's units; arrays (total_steps,), float64.

    Attributes:
        activation_frequency_per_yr: births of BMUs at a site of surface and year.
        erosion_depth_um, wall_thickness_um: means over BMUs.
        signals: by symbol, the same length; during the burn-in those of year 0's healthy bone.
        modeling_um_per_yr: bone formed on quiescent surface, 0 without a drug; the voxels do not use it yet.
    """

    activation_frequency_per_yr: np.ndarray
    erosion_depth_um: np.ndarray
    wall_thickness_um: np.ndarray
    signals: dict[str, np.ndarray]
    modeling_um_per_yr: np.ndarray


def of_study(study: Study, calendar: Calendar) -> Demand:
    """Healthy demand during the burn-in, then that of the patient's cells; values that the study gives go before
    both.
    """
    burn_in, total = calendar.burn_in_steps, calendar.total_steps
    middles = np.array([calendar.year(step) + 0.5 * calendar.step_days / 365.25 for step in range(burn_in, total)])
    cells = course(patient_of(study), middles, knock_out=study.patient.knock_out, treatments=treatments_of(study))
    healthy = healthy_demand()

    def joined(before: float, after: np.ndarray, given: float | None = None) -> np.ndarray:
        series = np.concatenate([np.full(burn_in, float(before)), np.asarray(after, dtype=np.float64)])
        return series if given is None else np.full(total, float(given))

    settings = study.remodeling
    return Demand(
        joined(
            healthy.activation_frequency_per_yr,
            cells.activation_frequency_per_yr,
            settings.activation_frequency_per_year,
        ),
        joined(healthy.erosion_depth_um, cells.erosion_depth_um, settings.erosion_depth_um),
        joined(healthy.wall_thickness_um, cells.wall_thickness_um, settings.wall_thickness_um),
        {symbol: joined(np.nan, series) for symbol, series in cells.signals.items()},
        joined(0.0, cells.modeling_um_per_yr),
    )


def patient_of(study: Study) -> Patient:
    """The woman of a study."""
    return Patient(
        menopause=study.patient.menopause,
        age_at_start_yr=study.patient.age_at_start_years,
        menopause_after_start_yr=study.patient.menopause_after_start_years,
        ageing=study.patient.ageing,
    )


def treatments_of(study: Study) -> tuple[Treatment, ...]:
    """What she is given."""
    return tuple(
        Treatment(one.name, one.start_years, one.stop_years, one.interval_days, one.dose, one.holidays)
        for one in study.drug
    )
