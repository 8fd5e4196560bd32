"""When the integrator looks: a grid of steps that is fine where a dose or an operation strikes, and coarse elsewhere.

Steps hang on the study clock: `STEPS_PER_YEAR` equal ones a year. A dose begins a step of its own, and after it steps
grow from an hour to the usual length, so that no step strides over the flood of a drug. What happens later in a life
does not change the steps before it. Against steps an eighth as long no population errs by more than 1e-6 of a fold
without drugs, 2e-5 in the weeks after an operation, and 1e-5 under drugs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax
import numpy as np

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.constants import in_unit
from microct.signalling.drugs import denosumab
from microct.signalling.drugs.pharmacy import DRUGS, REGIMENS
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.estrogen import COURSES, SURGICAL
from microct.signalling.integration import ModelParameters
from microct.signalling.patient import Patient

STEPS_PER_YEAR = 48  # 7.6 day; 4 steps a month
STEPS_UNDER_DRUGS = 192  # from the first dose on: osteoclasts and drugs go faster
STEPS_OF_QUIET_YEARS = 24  # far from the menopause and before any drug, when little moves but age
RESTLESS_YR = (-4.0, 5.0)  # around a menopause
FIRST_STEP_D = {"dose": 0.05, "turn": 0.1}  # after a single dose; after a flow or estrogen that starts or stops
GROWTH = 1.1  # of steps after that
CROWDS_UNDER_DRUGS, GROWTH_IN_CROWDS = 120, 1.6
RAREST_OFTEN_D = 14.0  # doses that come more often than this have no flood of their own, but the first
_SAME_YR = 1e-7  # three seconds: two times nearer than this are one
_LONGEST_STEP = 2.0  # in the shortest time constant: the method is stable up to 2.78


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Grid:
    """Steps of a life; arrays over steps.

    Attributes:
        start_yr: beginning of each step on the study clock.
        step_yr: its length; 0 where an array is only filled up.
        doses: given at once at its beginning, in the unit of each drug's regimen (n, drugs).
        flows_per_d: given evenly during the step, in the same unit a day (n, drugs).
    """

    start_yr: np.ndarray
    step_yr: np.ndarray
    doses: np.ndarray
    flows_per_d: np.ndarray

    @property
    def steps(self) -> int:
        """How many."""
        return int(self.step_yr.shape[-1])


def grid_of(
    patient: Patient, treatments: Sequence[Treatment], first_year: int, last_year: int, p: ModelParameters,
    finer: int = 1,
) -> Grid:  # fmt: skip
    """The steps of one patient's years.

    Args:
        patient: whose menopause; an operation begins a step of its own.
        treatments: in any order; those of one drug add up.
        first_year: first year on the study clock.
        last_year: the year before which the last step ends.
        p: constants: where a time constant is short, steps are shorter.
        finer: 2, 4 .. for shorter steps throughout.
    """
    menopause = patient.menopause_after_start_yr
    turns = [menopause] if COURSES.index(patient.menopause) == SURGICAL else []
    turns.append(p.cells.ageing_onset_yr - patient.age_at_start_yr)
    restless = math.inf if patient.menopause == "none" else menopause + RESTLESS_YR[0], menopause + RESTLESS_YR[1]
    usual = finer * STEPS_PER_YEAR * _shorter(STEPS_PER_YEAR, _times_of_cells_d(p))
    treated = usual
    if any(one.dose > 0 for one in treatments):
        treated = max(usual, finer * STEPS_UNDER_DRUGS * _shorter(STEPS_UNDER_DRUGS, _times_under_drugs_d(p)))
    quiet = min(finer * STEPS_OF_QUIET_YEARS, usual)
    return grid(treatments, first_year, last_year, (quiet, usual, treated), restless, turns)


def _times_of_cells_d(p: ModelParameters) -> list[float]:
    return [*in_unit(p.cells, "day"), *in_unit(p.tissue, "day")]


def _times_under_drugs_d(p: ModelParameters) -> list[float]:
    """Osteoclasts die fastest, under denosumab with bisphosphonates."""
    blocks = math.prod(1 + float(getattr(p.drugs, name).life_most) for name in ("alendronate", "zoledronate"))
    osteoclasts = float(p.cells.osteoclast_life_d) * max(float(p.cells.osteoclast_life_basal), 0.05) / blocks
    fast = [1 / rate for rate in in_unit(p.drugs, "1/day") if rate > 0]
    return [osteoclasts, denosumab.shortest_time_d(p.drugs.denosumab), *in_unit(p.drugs, "day"), *fast]


def _shorter(steps_per_year: int, times_d: Sequence[float]) -> int:
    """By how much steps must be shorter, so that they stay stable at the shortest time constant: 1, 2, 4 .."""
    return int(2 ** max(0, math.ceil(math.log2(DAYS_PER_YEAR / steps_per_year / (_LONGEST_STEP * min(times_d))))))


def grid(
    treatments: Sequence[Treatment],
    first_year: int,
    last_year: int,
    steps_per_year: tuple[int, int, int],
    restless_yr: tuple[float, float] = (-math.inf, math.inf),
    turns_yr: Sequence[float] = (),
    growth: float = GROWTH,
) -> Grid:
    """Steps of the years from ``first_year`` until ``last_year``.

    Args:
        treatments: what is given, and when.
        first_year, last_year: on the study clock.
        steps_per_year: of the base: in years outside ``restless_yr``, within, and from the first dose on.
        restless_yr: from when until when much moves.
        turns_yr: other times at which a step must begin.
        growth: of steps after a dose or a turn, from one to the next.
    """
    given = [one for one in treatments if one.dose > 0]
    singles = [(one, one.dose_times_yr(first_year, last_year)) for one in given if not one.flows]
    flows = [(one, one.spans_yr()) for one in given if one.flows]
    first_dose = min([math.inf, *(one.start_yr for one in given)])
    parts = []
    for year in range(first_year, last_year):
        quiet = year + 1 <= restless_yr[0] or year >= restless_yr[1]
        count = steps_per_year[2 if year >= first_dose else 0 if quiet else 1]
        base = year + np.arange(count) / count
        if year < first_dose < year + 1:
            after = year + np.arange(steps_per_year[2]) / steps_per_year[2]
            base = np.concatenate([base, after[after > first_dose]])
        parts.append(base)
    longest_d = DAYS_PER_YEAR / steps_per_year[2]
    for one, times in singles:
        parts.append(times)
        sharp = times if one.every_d >= RAREST_OFTEN_D else times[:1]
        parts += [time + _growing(FIRST_STEP_D["dose"], longest_d, growth) for time in sharp]
    edges = [(edge, longest_d) for _, spans in flows for span in spans for edge in span]
    for time, longest in [*((time, DAYS_PER_YEAR / steps_per_year[1]) for time in turns_yr), *edges]:
        if first_year <= time < last_year:
            parts.append(time + _growing(FIRST_STEP_D["turn"], longest, growth))
    times = np.concatenate(parts)
    keys, places = np.unique(_key(times), return_index=True)  # the base comes first, so that its times stay as they are
    inside = keys < _key(np.asarray(float(last_year)))
    keys, start = keys[inside], times[places[inside]]
    doses, rates = np.zeros((2, start.size, len(DRUGS)))
    for one, times in singles:
        amount = one.dose * REGIMENS[one.drug].dose
        np.add.at(doses[:, DRUGS.index(one.drug)], np.searchsorted(keys, _key(times)), amount)
    for one, spans in flows:
        for begin, end in spans:
            here = (keys >= _key(np.asarray(begin))) & (keys < _key(np.asarray(min(end, last_year))))
            rates[here, DRUGS.index(one.drug)] += one.flow_per_d()
    return Grid(start, np.diff(start, append=float(last_year)), doses, rates)


def grid_of_crowds(treatments: Sequence[Treatment], first_year: int, last_year: int, samples_per_year: int) -> Grid:
    """The steps of many women, whose menopauses differ, in rows (`by_sample`).

    Under drugs no population errs by more than 1 % of a fold in the weeks after a dose, and by 1e-3 later.
    """
    every = (STEPS_PER_YEAR, STEPS_PER_YEAR, CROWDS_UNDER_DRUGS)
    return by_sample(grid(treatments, first_year, last_year, every, growth=GROWTH_IN_CROWDS), samples_per_year)


def filled(some: Grid, steps: int) -> Grid:
    """The same grid, filled up with steps of no length."""
    more = steps - some.steps
    return Grid(
        np.pad(some.start_yr, (0, more), mode="edge"),
        np.pad(some.step_yr, (0, more)),
        np.pad(some.doses, ((0, more), (0, 0))),
        np.pad(some.flows_per_d, ((0, more), (0, 0))),
    )


def by_sample(some: Grid, samples_per_year: int) -> Grid:
    """The grid in rows, one for each sampling interval, filled up to the longest: arrays (samples, steps, ...).

    Args:
        some: a grid whose base has a multiple of the samples.
        samples_per_year: how often somebody looks.
    """
    row = np.floor((some.start_yr - some.start_yr[0] + _SAME_YR) * samples_per_year).astype(np.int64)
    begin = np.searchsorted(row, np.arange(row[-1] + 2))
    longest = int(np.max(np.diff(begin)))
    rows = [
        filled(dataclasses.replace(some, **{name: part[low:high] for name, part in vars(some).items()}), longest)
        for low, high in pairwise(begin)
    ]
    return Grid(**{name: np.stack([getattr(one, name) for one in rows]) for name in vars(some)})


def _growing(first_d: float, longest_d: float, growth: float) -> np.ndarray:
    """Times after an event [yr], 0 included, at steps that grow until they are as long as any."""
    steps = [first_d]
    while steps[-1] * growth < longest_d:
        steps.append(steps[-1] * growth)
    return np.concatenate([[0.0], np.cumsum(steps)]) / DAYS_PER_YEAR


def _key(times_yr: np.ndarray) -> np.ndarray:
    return np.round(times_yr / _SAME_YR).astype(np.int64)
