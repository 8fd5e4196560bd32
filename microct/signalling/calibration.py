"""Fit constants to a woman's markers or density, by gradients through the model, with uncertainty.

Levenberg-Marquardt on the logarithms of the constants: the derivatives of every observation with respect to every
constant come from forward-mode differentiation of the whole trajectory. The covariance is that of the linearized
posterior: the noise of the observations, and a log-normal prior around the values from which the fit starts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from microct.signalling.cell_course import prepared, run_in_years
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.ensemble import KEPT, kept, place_of
from microct.signalling.integration import LifeCourse, ModelParameters, Step
from microct.signalling.parameters import CellParameters, checked
from microct.signalling.patient import Patient
from microct.signalling.spelling import refused
from microct.signalling.timeline import grid_of_crowds
from microct.signalling.walk import trajectory
from microct.status import StudyError

SAMPLES_PER_YEAR = 12
_TRIES = 40
_GAIN = 1e-10  # relative gain below which a fit has arrived


@dataclass(frozen=True)
class Observation:
    """One measurement: a symbol of `ensemble.KEPT`, when [yr of the study], its value (fold of the young) and error."""

    symbol: str
    time_yr: float
    value: float
    standard_deviation: float


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes:
        parameters: the constants with the fitted ones in place.
        estimates: by name.
        standard_deviations: by name, in the constant's unit.
        correlation: between the logarithms, in the order of ``estimates`` (n, n).
        chi_square: of the observations.
        predicted: our value for every observation.
        tries: linearizations.
        arrived: whether the fit came to rest; otherwise it ran out of tries.
    """

    parameters: CellParameters
    estimates: dict[str, float]
    standard_deviations: dict[str, float]
    correlation: np.ndarray
    chi_square: float
    predicted: np.ndarray
    tries: int
    arrived: bool


def observe(
    patient: Patient,
    symbols: Sequence[str],
    times_yr: Sequence[float],
    parameters: CellParameters | None = None,
    treatments: Sequence[Treatment] = (),
) -> np.ndarray:
    """What would be measured, without noise: one value for each symbol and time, at the nearest month."""
    shape = [Observation(symbol, time, 1.0, 1.0) for symbol, time in zip(symbols, times_yr, strict=True)]
    model = _Model.of(patient, shape, (), parameters, treatments)
    return np.asarray(model.predicted(jnp.zeros(0)))


def fit(
    patient: Patient,
    observations: Sequence[Observation],
    names: Sequence[str],
    parameters: CellParameters | None = None,
    treatments: Sequence[Treatment] = (),
    prior: float = 1.0,
) -> Fit:
    """Fit constants to observations.

    Args:
        patient: whose.
        observations: at least one.
        names: constants of `CellParameters` to fit; all positive.
        parameters: where the fit starts, and the middle of the prior.
        treatments: what she was given.
        prior: relative spread of the constants before anything was measured (of the logarithm).

    Raises:
        StudyError: an unknown symbol or constant, an error that is not positive, nothing to fit.
    """
    if not observations or not names:
        raise StudyError(f"expected observations and names to fit, got {len(observations)} and {len(names)}")
    model = _Model.of(patient, observations, names, parameters, treatments)
    value = np.array([one.value for one in observations], np.float64)
    error = np.array([one.standard_deviation for one in observations], np.float64)

    def residuals(logs: jax.Array) -> jax.Array:
        return jnp.concatenate([(model.predicted(logs) - value) / error, logs / prior])

    with jax.enable_x64(True):
        residuals_, slopes = jax.jit(residuals), jax.jit(jax.jacfwd(residuals))
        logs = np.zeros(len(names))
        here, damping, arrived, tries = np.asarray(residuals_(logs)), 1e-3, False, 0
        while tries < _TRIES and not arrived:
            tries += 1
            jacobian = np.asarray(slopes(logs))
            normal, pull = jacobian.T @ jacobian, jacobian.T @ here
            while True:
                step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), pull)
                there = np.asarray(residuals_(logs + np.clip(step, -0.7, 0.7)))
                if np.all(np.isfinite(there)) and there @ there <= here @ here:
                    break
                damping *= 10
                if damping > 1e12:
                    there = here
                    break
            gain = here @ here - there @ there
            if damping <= 1e12:
                logs = logs + np.clip(step, -0.7, 0.7)
            arrived = gain <= _GAIN * max(1.0, float(there @ there))
            here, damping = there, max(damping / 10, 1e-12)
        jacobian = np.asarray(slopes(logs))
        predicted = np.asarray(model.predicted(jnp.asarray(logs)))
    covariance = np.linalg.inv(jacobian.T @ jacobian)
    spread = np.sqrt(np.diag(covariance))
    found = {name: model.middle[name] * math.exp(log) for name, log in zip(names, logs, strict=True)}
    return Fit(
        parameters=checked(dataclasses.replace(model.constants, **found)),
        estimates=found,
        standard_deviations={name: found[name] * float(sd) for name, sd in zip(names, spread, strict=True)},
        correlation=covariance / np.outer(spread, spread),
        chi_square=float(here[: len(observations)] @ here[: len(observations)]),
        predicted=predicted,
        tries=tries,
        arrived=arrived,
    )


@dataclass(frozen=True)
class _Model:
    """Observations as a function of the logarithms of constants over their middle."""

    constants: CellParameters
    middle: dict[str, float]
    life: LifeCourse
    base: ModelParameters
    steps: Step
    first_year: int
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(
        cls,
        patient: Patient,
        observations: Sequence[Observation],
        names: Sequence[str],
        parameters: CellParameters | None,
        treatments: Sequence[Treatment],
    ) -> _Model:
        constants = CellParameters() if parameters is None else parameters
        known = tuple(field.name for field in dataclasses.fields(CellParameters))
        for name in names:
            if name not in known:
                raise refused("constant", name, known)
            if not getattr(constants, name) > 0:
                raise StudyError(f"{name} must be above 0 to be fitted, got {getattr(constants, name):g}")
        for one in observations:
            if one.symbol not in KEPT:
                raise refused("symbol", one.symbol, KEPT)
            if not (one.standard_deviation > 0 and math.isfinite(one.value) and one.time_yr >= 0):
                raise StudyError(
                    f"{one.symbol} at {one.time_yr:g} yr: expected a finite value, an error above 0, a time from 0, "
                    f"got {one.value:g} +- {one.standard_deviation:g}"
                )
        first = -run_in_years(patient, constants.fat_young_age_yr)
        last = math.floor(max(one.time_yr for one in observations)) + 1
        return cls(
            constants=constants,
            middle={name: float(getattr(constants, name)) for name in names},
            life=LifeCourse(patient.age_at_start_yr, patient.menopause_after_start_yr, place_of(patient)),
            base=prepared(patient, constants),
            steps=Step(**vars(grid_of_crowds(treatments, first, last, SAMPLES_PER_YEAR))),
            first_year=first,
            rows=np.array([KEPT.index(one.symbol) for one in observations]),
            columns=np.array([round((one.time_yr - first) * SAMPLES_PER_YEAR) for one in observations]),
        )

    def predicted(self, logs: jax.Array) -> jax.Array:
        """Every observation, for constants exp(logs) times their middle."""
        own = {name: value * jnp.exp(log) for (name, value), log in zip(self.middle.items(), logs, strict=True)}
        p = dataclasses.replace(self.base, cells=dataclasses.replace(self.base.cells, **own))  # type: ignore[arg-type]
        p, life = (jax.tree.map(jnp.asarray, part) for part in (p, self.life))
        p = jax.tree.map(lambda value: value.astype(jnp.result_type(float)), p)
        at = kept(trajectory(life, p, self.steps, self.first_year))
        return jnp.stack(list(at.values()))[self.rows, jnp.minimum(self.columns, at["Ac.f"].shape[0] - 1)]
