"""Virtual patients: who they are (a stated prior), and all of their years at once.

The prior is an assumption, written here in one place. Age at the final period: normal, standard deviation 4 years
(unverified), kept to the ages that are allowed for its kind. Constants of the cells: log-normal around their values,
each with the spread of `SPREAD`; no source gives these spreads. Body mass index: log-normal, kept to what the model is
asked for (spread unverified).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.signalling.estrogen import COURSES, with_body_mass
from microct.signalling.integration import LifeCourse, ModelParameters, Report, Step
from microct.signalling.patient import BMI_KG_M2, MENOPAUSE_AGES_YR, Patient
from microct.signalling.walk import trajectory

MENOPAUSE_SD_YR = 4.0
BMI_SPREAD = 0.2
#: Relative spread (standard deviation of the logarithm) of constants between women; an assumption.
SPREAD: Mapping[str, float] = {
    "menopause_fall": 0.05,
    "th17_gain": 0.2,
    "treg_loss": 0.2,
    "macrophage_gain": 0.2,
    "neutrophil_gain": 0.2,
    "osteocyte_apoptosis_gain": 0.2,
    "osteocyte_rankl_gain": 0.2,
    "stromal_rankl_gain": 0.2,
    "b_cell_rankl_gain": 0.2,
    "opg_stromal_loss": 0.2,
    "influx_rankl": 0.1,
    "sclerostin_per_yr": 0.2,
    "fat_per_yr": 0.2,
    "fat_deficit_gain": 0.2,
    "osteoclast_life_gain": 0.15,
    "osteoclast_memory_yr": 0.2,
    "osteoblast_apoptosis_gain": 0.2,
    "wall_exponent": 0.15,
    "activation_frequency_per_yr": 0.15,
}
#: Shares of which a woman cannot lose more than there is, and how much she loses at most; the most that estrogen falls
#: by in all. Bounds of ours, which few draws reach.
_LOSSES, _MOST_LOST, _MOST_FALL = ("treg_loss", "opg_stromal_loss", "osteoclast_life_gain"), 0.9, 0.98


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Women:
    """Virtual patients: age at the start and menopause on the study clock [yr], and their own constants (n,)."""

    age_at_start_yr: jax.Array
    menopause_yr: jax.Array
    constants: dict[str, jax.Array]


def women(patient: Patient, p: ModelParameters, count: int, seed: int) -> Women:
    """Draw women around one: same age and kind of menopause; same seed, same women, whatever follows them.

    Args:
        patient: of the middle.
        p: constants of the middle.
        count: how many.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    later = MENOPAUSE_SD_YR * rng.standard_normal(count)
    logs = {name: spread * rng.standard_normal(count) - 0.5 * spread**2 for name, spread in SPREAD.items()}
    return women_by(patient, p, later, logs, rng.standard_normal(count))


def women_by(
    patient: Patient, p: ModelParameters, later_yr: np.ndarray, logs: Mapping[str, np.ndarray], heavier: np.ndarray
) -> Women:
    """Women (n,) who differ from the one in the middle by so much.

    Args:
        patient, p: of the middle.
        later_yr: age at the final period over hers [yr], as far as her kind of menopause allows.
        logs: logarithm of constants of `SPREAD` over hers, as far as none is lost that there is not.
        heavier: body mass index beyond hers [`BMI_SPREAD`, of its logarithm].
    """
    age = patient.menopause_age_yr + later_yr
    if patient.menopause != "none":
        age = np.clip(age, *MENOPAUSE_AGES_YR[patient.menopause])
    theirs = {name: getattr(p.cells, name) * np.exp(log) for name, log in logs.items()}
    most = dict.fromkeys(_LOSSES, _MOST_LOST) | {"menopause_fall": _MOST_FALL - p.cells.late_fall}
    theirs = {name: np.minimum(values, most.get(name, np.inf)) for name, values in theirs.items()}
    theirs |= _by_body_mass(p, patient, theirs["menopause_fall"], heavier)
    as_array = partial(jnp.asarray, dtype=jnp.float32)
    return Women(
        age_at_start_yr=as_array(np.full(len(age), patient.age_at_start_yr)),
        menopause_yr=as_array(age - patient.age_at_start_yr),
        constants={name: as_array(values) for name, values in theirs.items()},
    )


def _by_body_mass(p: ModelParameters, patient: Patient, menopause_fall: Any, shift: Any) -> dict[str, Any]:
    """Constants (n,) of the estrogen left to women whose body mass index lies ``shift`` spreads from the patient's."""
    middle = p.cells.bmi_of_sources if patient.bmi_kg_m2 is None else patient.bmi_kg_m2
    bmi = np.clip(middle * np.exp(BMI_SPREAD * shift), *BMI_KG_M2)
    alike = dataclasses.replace(p.cells, menopause_fall=menopause_fall, bmi_of_sources=middle)
    theirs = with_body_mass(alike, bmi)
    return {name: getattr(theirs, name) for name in ("menopause_fall", "late_fall", "surgical_floor")}


#: What is kept of every woman, by symbol.
KEPT = ("Ac.f", "E.De", "W.Th", "CTX", "P1NP", "LS.BMD", "TH.BMD", "RANKL", "Oc", "Ob")


def kept(at: Report) -> dict[str, jax.Array]:
    """The series of `KEPT`."""
    series = (
        at.demand.activation_frequency_per_yr, at.demand.erosion_depth_um, at.demand.wall_thickness_um,
        at.readouts.ctx, at.readouts.p1np, at.readouts.spine_bmd, at.readouts.hip_bmd,
        at.signals.rankl, at.cells.osteoclasts, at.cells.osteoblasts,
    )  # fmt: skip
    return dict(zip(KEPT, series, strict=True))


@partial(jax.jit, static_argnames=("course", "first_year"))
def lives(of: Women, p: ModelParameters, steps: Step, course: int, first_year: int) -> dict[str, jax.Array]:
    """The years of every woman, mapped in one program.

    Args:
        of: the women.
        p: constants that they share.
        steps: of all of them, in rows from ``first_year`` on (`timeline.grid_of_crowds`), with what they are given.
        course: place of the course of estrogen in `COURSES`.
        first_year: year of the study clock at which they are healthy.

    Returns:
        The series of `KEPT`, each (n, rows).
    """

    def one(age: jax.Array, menopause: jax.Array, own: dict[str, jax.Array]) -> dict[str, jax.Array]:
        mine = dataclasses.replace(p, cells=dataclasses.replace(p.cells, **own))  # type: ignore[arg-type]
        life = LifeCourse(age, menopause, jnp.asarray(course))
        return kept(trajectory(life, mine, steps, first_year))

    return jax.vmap(one)(of.age_at_start_yr, of.menopause_yr, of.constants)


def single_precision(p: ModelParameters) -> ModelParameters:
    """The constants as 32-bit numbers: enough for statistics, and twice as fast."""
    changed: Any = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), p)
    return changed  # type: ignore[no-any-return]


def place_of(patient: Patient) -> int:
    """Place of her course of estrogen in `COURSES`."""
    return COURSES.index(patient.menopause)
