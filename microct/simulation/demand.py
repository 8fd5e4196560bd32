"""Cells become demand: what every step of a study asks of the BMUs, and the signals that a table shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from microct.remodeling.compartments import INTRACORTICAL
from microct.signalling.cell_course import CellCourse, course
from microct.signalling.demand import healthy_demand
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.knock_outs import knocked_out
from microct.signalling.parameters import CellParameters
from microct.signalling.patient import YOUNGEST_YR, Patient
from microct.simulation.calendar import Calendar
from microct.simulation.config import Study
from microct.tissue.past import HEALTHY, Past

#: Years under drugs before a scan that are looked at: bone and drug levels keep little of what was before [yr].
_LOOKED_BACK = 10.0


@dataclass(frozen=True)
class Demand:
    """Demand of every step, in the field's units; arrays (total_steps,), float64.

    Attributes:
        activation_frequency_per_yr: births of BMUs at a site of surface and year.
        erosion_depth_um, wall_thickness_um: means over BMUs.
        signals: by symbol, the same length; during the burn-in those of year 0's healthy bone.
        modeling_um_per_yr: bone formed on quiescent surface wherever it is; 0 without a drug.
        osteocyte_death_per_yr: death of osteocytes by age and lack of estrogen.
        osteocytes_at_start: share alive at the start of the study, by the cells' own balance of death and renewal.
        cortical: the same for endocortical, intracortical and periosteal surface, where there is a cortex; each
            (activation frequency, erosion depth, wall thickness).
        osteons: (osteons born for each canal's length as often as a canal is visited, radius of the cement line, wall)
            of every step [1/yr, um, um], where cutting cones renew the canals.
    """

    activation_frequency_per_yr: np.ndarray
    erosion_depth_um: np.ndarray
    wall_thickness_um: np.ndarray
    signals: dict[str, np.ndarray]
    modeling_um_per_yr: np.ndarray
    osteocyte_death_per_yr: np.ndarray
    osteocytes_at_start: float
    cortical: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...] = field(default=())
    osteons: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def estradiol(self, step: int) -> float:
        """Estradiol at a step, relative to health; 1 during the burn-in."""
        series = self.signals["E2"]
        value = float(series[min(step, len(series) - 1)])
        return 1.0 if np.isnan(value) else value

    @property
    def births(self) -> np.ndarray:
        """Activation frequency by compartment, (compartments, steps) [1/yr]."""
        return np.stack([self.activation_frequency_per_yr, *(one[0] for one in self.cortical)])

    @property
    def depths(self) -> np.ndarray:
        """Erosion depth by compartment, (compartments, steps) [um]."""
        return np.stack([self.erosion_depth_um, *(one[1] for one in self.cortical)])

    @property
    def walls(self) -> np.ndarray:
        """Wall thickness by compartment, (compartments, steps) [um]."""
        return np.stack([self.wall_thickness_um, *(one[2] for one in self.cortical)])


def of_study(study: Study, calendar: Calendar, with_cortex: bool = False) -> Demand:
    """Healthy demand during the burn-in, then that of the patient's cells; values that the study gives go before
    both.

    Where menopause or a first dose lies before the start, as many BMUs are at work in the scan as the cells ask for
    then: so many are born during the burn-in, and refill what they take, since the scan is what her bone has come to.
    """
    burn_in, total = calendar.burn_in_steps, calendar.total_steps
    middles = np.array([calendar.year(step) + 0.5 * calendar.step_days / 365.25 for step in range(burn_in, total)])
    cells = course(patient_of(study), middles, knock_out=study.patient.knock_out, treatments=treatments_of(study))
    healthy = healthy_demand()
    past = (_menopause_is_past(study) or _treated_years(study) > 0) and total > burn_in

    def joined(before: float, after: np.ndarray, given: float | None = None) -> np.ndarray:
        series = np.concatenate([np.full(burn_in, float(before)), np.asarray(after, dtype=np.float64)])
        return series if given is None else np.full(total, float(given))

    settings = study.remodeling
    trabecular = (
        joined(
            _births_at_start(study, cells, "trabecular") if past else healthy.activation_frequency_per_yr,
            cells.activation_frequency_per_yr,
            settings.activation_frequency_per_year,
        ),
        joined(healthy.erosion_depth_um, cells.erosion_depth_um, settings.erosion_depth_um),
        joined(healthy.wall_thickness_um, cells.wall_thickness_um, settings.wall_thickness_um),
    )
    modeled = joined(0.0, cells.modeling_um_per_yr)
    cortical = _of_cortex(study, middles, joined, trabecular, past) if with_cortex else ()
    return Demand(
        *trabecular,
        {symbol: joined(np.nan, series) for symbol, series in cells.signals.items()},
        modeled if study.modeling.drug else np.zeros_like(modeled),
        _osteocyte_death(study, burn_in, cells.signals["E2"], past),
        float(cells.signals["Ot"][0]) if total > burn_in else 1.0,
        cortical,
        _of_osteons(study, cortical) if cortical and study.compartments.cutting_cones else None,
    )


def _of_osteons(
    study: Study, cortical: tuple[tuple[np.ndarray, ...], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Osteons are as many, as wide and as well filled, relative to health, as the cells ask of canals."""
    settings, usual = study.compartments, healthy_demand()
    births, depth, wall = cortical[INTRACORTICAL - 1]
    scale = settings.intracortical_depth
    return (
        births,
        settings.osteon_radius_um * depth / (scale * usual.erosion_depth_um),
        settings.osteon_wall_um * wall / (scale * usual.wall_thickness_um),
    )


def _osteocyte_death(study: Study, burn_in: int, estradiol: np.ndarray, past: bool) -> np.ndarray:
    """Death of osteocytes at every step [1/yr], by the constants of the cells' own osteocytes: age, and lack of
    estrogen, which multiplies it; that of health during the burn-in, or of the start where menopause lies in the past.
    """
    p = knocked_out(CellParameters(), study.patient.knock_out)
    ageing = float(p.ageing_response) * study.patient.ageing
    lacking = np.maximum(1.0 - np.asarray(estradiol), 0.0)
    lack = np.concatenate([np.full(burn_in, lacking[0] if past else 0.0), lacking])
    return float(p.osteocyte_death_per_yr) * (ageing + float(p.osteocyte_apoptosis_gain) * lack)


def _of_cortex(
    study: Study, middles: np.ndarray, joined: Callable[..., np.ndarray], trabecular: tuple[np.ndarray, ...], past: bool
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
    """Endocortical surface follows the cells of the marrow that it faces; canals and periosteum those of the cortex,
    which have no B cells. All start from healthy trabecular values, times the compartment's own factor.
    """
    cells = course(
        patient_of(study), middles, knock_out=study.patient.knock_out, compartment="cortical",
        treatments=treatments_of(study),
    )  # fmt: skip
    healthy, usual, given = healthy_demand(compartment="cortical"), healthy_demand(), study.remodeling
    at_start = _births_at_start(study, cells, "cortical") if past else healthy.activation_frequency_per_yr
    frequency = cells.activation_frequency_per_yr / healthy.activation_frequency_per_yr
    depth, wall = (
        cells.erosion_depth_um / healthy.erosion_depth_um,
        cells.wall_thickness_um / healthy.wall_thickness_um,
    )
    compact = (
        joined(at_start / healthy.activation_frequency_per_yr, frequency) * usual.activation_frequency_per_yr
        if given.activation_frequency_per_year is None
        else trabecular[0],
        joined(1.0, depth) * usual.erosion_depth_um if given.erosion_depth_um is None else trabecular[1],
        joined(1.0, wall) * usual.wall_thickness_um if given.wall_thickness_um is None else trabecular[2],
    )
    sources = (trabecular, compact, compact)
    return tuple(
        (births * source[0], depth * source[1], depth * source[2])
        for (births, depth), source in zip(study.compartments.relative, sources, strict=True)
    )


def past_of(study: Study) -> Past:
    """How the bone of the scan was renewed before it: in health; since a menopause in the past as often and as deep as
    the cells ask for at the start without drugs; since the first dose of those that she comes with, as they ask for on
    the mean of those years, of the last `_LOOKED_BACK` at most. A frequency or depth that the study gives is taken for
    that of her whole life.
    """
    given, healthy = study.remodeling, healthy_demand()

    def turnover(cells: CellCourse) -> float:
        births = cells.activation_frequency_per_yr / healthy.activation_frequency_per_yr
        depth = cells.erosion_depth_um / healthy.erosion_depth_um
        births = births if given.activation_frequency_per_year is None else np.ones_like(births)
        depth = depth if given.erosion_depth_um is None else np.ones_like(depth)
        return HEALTHY.healthy_per_yr * float(np.mean(births * depth))

    treated, since = _treated_years(study), []
    if _menopause_is_past(study):
        untreated = max(-study.patient.menopause_after_start_years - treated, 0.0)
        cells = course(patient_of(study), np.zeros(1), knock_out=study.patient.knock_out)
        since.append((turnover(cells), untreated))
    if treated:
        since.append((turnover(_before_start(study, treated)), treated))
    return Past(since=tuple(since))


def _births_at_start(study: Study, cells: CellCourse, compartment: str) -> float:
    """Activation frequency that has opened the cavities of the scan: that at the start, or of the year before it where
    she comes with drugs, since births rise and fall between two doses.
    """
    treated = _treated_years(study)
    if not treated:
        return float(cells.activation_frequency_per_yr[0])
    return float(_before_start(study, min(treated, 1.0), compartment).activation_frequency_per_yr.mean())


def _before_start(study: Study, years: float, compartment: str = "trabecular") -> CellCourse:
    """The cells in the last years before the start, in steps of some ten days."""
    woman = patient_of(study)
    back = min(years, _LOOKED_BACK, woman.age_at_start_yr - YOUNGEST_YR)
    then = replace(
        woman,
        age_at_start_yr=woman.age_at_start_yr - back,
        menopause_after_start_yr=woman.menopause_after_start_yr + back,
    )
    given = tuple(
        replace(
            one,
            start_yr=one.start_yr + back,
            stop_yr=None if one.stop_yr is None else one.stop_yr + back,
            holidays_yr=tuple((begin + back, end + back) for begin, end in one.holidays_yr),
        )
        for one in treatments_of(study)
    )
    times = np.linspace(0.0, back, max(round(36.0 * back), 1) + 1)
    return course(then, times, knock_out=study.patient.knock_out, compartment=compartment, treatments=given)


def _menopause_is_past(study: Study) -> bool:
    return study.patient.menopause != "none" and study.patient.menopause_after_start_years < 0


def _treated_years(study: Study) -> float:
    """Years from the first dose of any drug to the start of the study."""
    return max([0.0, *(-one.start_years for one in study.drug)])


def patient_of(study: Study) -> Patient:
    """The woman of a study."""
    return Patient(
        menopause=study.patient.menopause,
        age_at_start_yr=study.patient.age_at_start_years,
        menopause_after_start_yr=study.patient.menopause_after_start_years,
        ageing=study.patient.ageing,
        bmi_kg_m2=study.patient.bmi_kg_m2,
    )


def treatments_of(study: Study) -> tuple[Treatment, ...]:
    """What she is given."""
    return tuple(
        Treatment(one.name, one.start_years, one.stop_years, one.interval_days, one.dose, one.holidays)
        for one in study.drug
    )
