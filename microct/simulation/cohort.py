"""Many women on one study: bands of every outcome, and which constants it depends on."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from microct.kernels.device import has_accelerator
from microct.signalling import ensemble as virtual
from microct.signalling.cell_course import prepared, run_in_years
from microct.signalling.integration import Step
from microct.signalling.timeline import grid_of_crowds
from microct.simulation.config import Study
from microct.simulation.demand import patient_of, treatments_of
from microct.status import StudyError

SAMPLES_PER_YEAR = 12  # twice a year would see denosumab at its troughs only
#: Percentiles of the bands.
LEVELS = (5.0, 25.0, 50.0, 75.0, 95.0)
BATCH = 1024  # women at once: what the nearer memory of a processor holds


@dataclass(frozen=True)
class Bands:
    """Percentiles over women: ``bands[symbol]`` is (levels, times)."""

    times_yr: np.ndarray
    bands: dict[str, np.ndarray]


@dataclass(frozen=True)
class Effect:
    """Morris screening of one constant: mean absolute effect on the loss at the spine, and its spread [%-points]."""

    name: str
    mean: float
    spread: float


def ensemble(study: Study, count: int, seed: int) -> Bands:
    """Let ``count`` virtual patients live a study; they differ by the prior of `signalling.ensemble`.

    All begin young, as one woman does (`cell_course.run_in_years`), and ten years before the earliest menopause at the
    latest; then their years are one program.
    """
    patient = patient_of(study)
    p = prepared(patient, knock_out=study.patient.knock_out)
    of = virtual.women(patient, p, count, seed)
    parts = _lived(study, of)
    whole = {symbol: np.concatenate([part[symbol] for part in parts]) for symbol in virtual.KEPT}
    times = np.arange(next(iter(whole.values())).shape[1]) / SAMPLES_PER_YEAR
    bands = {symbol: np.percentile(values, LEVELS, axis=0) for symbol, values in whole.items()}
    return Bands(times, bands)


def sensitivity(study: Study, seed: int, trajectories: int = 20) -> tuple[Effect, ...]:
    """Morris screening over the prior: how much each constant moves the loss of spine density, largest first.

    Raises:
        StudyError: SALib is not installed.
    """
    try:
        from SALib.analyze import morris as analyze
        from SALib.sample import morris as sample
    except ImportError:
        raise StudyError('sensitivity needs SALib: pip install "microct[sensitivity]"') from None
    patient = patient_of(study)
    p = prepared(patient, knock_out=study.patient.knock_out)
    names = ["menopause_age", *virtual.SPREAD, "body_mass_index"]
    problem = {"num_vars": len(names), "names": names, "bounds": [[-2.0, 2.0]] * len(names)}
    points = sample.sample(problem, trajectories, seed=seed)
    later, *logs = (points[:, :-1] * [virtual.MENOPAUSE_SD_YR, *virtual.SPREAD.values()]).T
    of = virtual.women_by(patient, p, later, dict(zip(virtual.SPREAD, logs, strict=True)), points[:, -1])
    density = np.concatenate([part["LS.BMD"] for part in _lived(study, of)])
    loss = 100 * (1 - density[:, -1] / density[:, 0])
    found = analyze.analyze(problem, points, loss, seed=seed)
    effects = [Effect(name, float(mean), float(spread))
               for name, mean, spread in zip(names, found["mu_star"], found["sigma"], strict=True)]  # fmt: skip
    return tuple(sorted(effects, key=lambda one: -one.mean))


def _lived(study: Study, of: virtual.Women) -> list[dict[str, np.ndarray]]:
    """The series of every woman from the start of the study on, batch by batch."""
    patient, treatments = patient_of(study), treatments_of(study)
    p = virtual.single_precision(prepared(patient, knock_out=study.patient.knock_out))
    first = -run_in_years(patient, float(p.cells.fat_young_age_yr), float(np.min(of.menopause_yr)))
    years = int(np.floor(study.time.years)) + 1
    last = (-first + study.time.years) * SAMPLES_PER_YEAR
    steps = Step(**vars(grid_of_crowds(treatments, first, years, SAMPLES_PER_YEAR)))
    place = virtual.place_of(patient)

    def series(some: virtual.Women) -> dict[str, np.ndarray]:
        seen = virtual.lives(some, p, steps, place, first)
        return {name: np.asarray(value)[:, -first * SAMPLES_PER_YEAR : int(last) + 1] for name, value in seen.items()}

    return in_batches(of, series)


def in_batches(of: virtual.Women, live: Callable[[virtual.Women], dict[str, Any]]) -> list[dict[str, Any]]:
    """What ``live`` gives for each batch of women, in their order; on a CPU each core takes the next batch."""
    count = of.menopause_yr.shape[0]
    batch = min(BATCH, count)

    def lived(begin: int) -> dict[str, Any]:
        place = np.minimum(np.arange(begin, begin + batch), count - 1)  # the last batch is filled up: one program
        seen = live(jax.tree.map(lambda values: values[place], of))
        return {name: values[: count - begin] for name, values in seen.items()}

    begins = range(0, count, batch)
    workers = 1 if has_accelerator() else os.cpu_count() or 1
    first = [lived(0)]  # alone, so that the program is compiled once
    with ThreadPoolExecutor(workers) as crew:
        return first + list(crew.map(lived, begins[1:]))
