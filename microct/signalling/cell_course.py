"""The front of the room: a patient and times in, the demand of her cells and their signals at those times out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from microct.signalling.constants import refuse_impossible
from microct.signalling.demand import in_compartment
from microct.signalling.drugs.pharmacy import DrugParameters
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.estrogen import COURSES, with_body_mass
from microct.signalling.integration import Body, LifeCourse, ModelParameters, Report, Step, arrived
from microct.signalling.knock_outs import knocked_out
from microct.signalling.marrow import fat_percent
from microct.signalling.parameters import CellParameters, checked
from microct.signalling.patient import Patient
from microct.signalling.timeline import Grid, filled, grid_of
from microct.signalling.tissue import TissueParameters
from microct.signalling.walk import seen, walked
from microct.status import StudyError

Series = NDArray[np.float64]

RUN_IN_YR = 10  # the shortest time that the cells have to settle before the study, and before a menopause in the past
LONGEST_YR = 200.0
_GLANCES = 128  # reports are made in arrays of one length: in another, the same number may be rounded differently
_ROOM = 4096  # arrays of steps are filled up to a multiple of this: few programs to compile
#: Symbols of `CellCourse.readouts`, and their names in `tissue.Readouts`.
READOUTS = {"CTX": "ctx", "P1NP": "p1np", "LS.BMD": "spine_bmd", "TH.BMD": "hip_bmd", "TMD": "mineral"}


@dataclass(frozen=True)
class CellCourse:
    """What the cells of one woman ask for and say, at each time that was asked for (float64 arrays of one length).

    Attributes:
        times_yr: years since the start of the study.
        activation_frequency_per_yr: births of BMUs at a site of surface and year.
        erosion_depth_um: depth of a finished cavity.
        wall_thickness_um: thickness that a BMU refills.
        signals: by symbol of `microct.quantities.QUANTITIES`: E2, RANKL, OPG, Scl, IL-17, TNF-a, IL-6, Oc, Ob, Ot
            (fold of health) and M.Fat (%).
        modeling_um_per_yr: bone formed on quiescent surface, without resorption before it; 0 without a drug.
        cells: by name, folds of health: every population of `CellState` and every signal of `rates.Signals`.
        healthy: activation frequency [1/yr], erosion depth and wall thickness [um] of healthy bone.
        readouts: by symbol: CTX, P1NP (markers), LS.BMD, TH.BMD (density of spine and hip), TMD (mineral of
            trabecular bone), V (trabecular bone volume); folds of the healthy young, of bone without voxels
            (`tissue`).
        drugs: amounts by name, ``drug.amount``, in the units of the drug's file; 0 where it is not given.
    """

    times_yr: Series
    activation_frequency_per_yr: Series
    erosion_depth_um: Series
    wall_thickness_um: Series
    signals: dict[str, Series]
    cells: dict[str, Series] = field(default_factory=dict)
    healthy: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    modeling_um_per_yr: Series = field(default_factory=lambda: np.zeros(0))
    readouts: dict[str, Series] = field(default_factory=dict)
    drugs: dict[str, Series] = field(default_factory=dict)

    @property
    def bone_balance_um(self) -> Series:
        """Wall thickness - erosion depth [um]."""
        return self.wall_thickness_um - self.erosion_depth_um

    @property
    def resorption_rate(self) -> Series:
        """Bone resorbed for each bone surface, fold of health: activation frequency x erosion depth.

        This, times bone surface, is what a resorption marker such as CTX shows; osteoclast number is not, because
        longer-lived osteoclasts are counted more often than they resorb.
        """
        return self.activation_frequency_per_yr * self.erosion_depth_um / (self.healthy[0] * self.healthy[1])

    @property
    def formation_rate(self) -> Series:
        """Bone formed by BMUs for each bone surface, fold of health: activation frequency x wall thickness."""
        return self.activation_frequency_per_yr * self.wall_thickness_um / (self.healthy[0] * self.healthy[2])


def course(
    patient: Patient,
    times_yr: ArrayLike,
    parameters: CellParameters | None = None,
    knock_out: Sequence[str] = (),
    compartment: str = "trabecular",
    treatments: Sequence[Treatment] = (),
    drugs: DrugParameters | None = None,
    tissue: TissueParameters | None = None,
) -> CellCourse:
    """The cells of a patient at times of the study.

    The cells start as a healthy young adult at 28 years of age, or ten years before the study or before a menopause
    in the past, whichever is earlier, so that at time 0 they fit her age. A value does not depend on which other
    times were asked for, to the last bit.

    Args:
        patient: age and menopause.
        times_yr: ascending times since the start of the study, 0 to 200 [yr].
        parameters: constants of the model; the defaults if None.
        knock_out: mechanisms held at their healthy level, of `microct.signalling.knock_outs.KNOCK_OUTS`.
        compartment: "trabecular" or "cortical" (no B-cell share, osteonal BMUs).
        treatments: drugs and when they are given; none, or all of dose 0, is the untreated woman to the last bit.
        drugs: constants of the drugs; the defaults if None.
        tissue: constants of the bone without voxels; the defaults if None.

    Raises:
        StudyError: times that do not ascend from 0, an unknown name, a constant outside its range.
    """
    times = _checked_times(times_yr)
    p = prepared(patient, parameters, knock_out, compartment, drugs, tissue)
    return _as_course(times, _seen(patient, p, tuple(treatments), times), p.cells)


def prepared(
    patient: Patient,
    parameters: CellParameters | None = None,
    knock_out: Sequence[str] = (),
    compartment: str = "trabecular",
    drugs: DrugParameters | None = None,
    tissue: TissueParameters | None = None,
) -> ModelParameters:
    """The constants as they hold for a patient, once it is certain that nothing turns negative with them."""
    p = CellParameters() if parameters is None else parameters
    if not patient.ageing:
        p = dataclasses.replace(p, ageing_response=0.0)
    if patient.bmi_kg_m2 is not None:
        p = with_body_mass(p, patient.bmi_kg_m2)
    remedies = DrugParameters() if drugs is None else drugs
    bone = TissueParameters() if tissue is None else tissue
    for family in (remedies, bone):
        refuse_impossible(family)
    return ModelParameters(in_compartment(checked(knocked_out(p, knock_out)), compartment), remedies, bone)


def run_in_years(patient: Patient, young_age_yr: float, menopause_yr: float | None = None) -> int:
    """Whole years before the study at which the cells begin, so that at its start they fit the woman's age.

    Args:
        patient: who is studied, or the middle of many.
        young_age_yr: the age at which cells are young.
        menopause_yr: the earliest of many women's [yr after the start]; None: the patient's.
    """
    past = [RUN_IN_YR, patient.age_at_start_yr - young_age_yr]
    if patient.menopause != "none":
        past.append(RUN_IN_YR - (patient.menopause_after_start_yr if menopause_yr is None else menopause_yr))
    return math.ceil(max(past))


def _checked_times(times_yr: ArrayLike) -> Series:
    times = np.asarray(times_yr, dtype=np.float64)
    if times.ndim != 1:
        raise StudyError(f"times_yr must be a list of times, got an array of {times.ndim} dimensions")
    if times.size and not np.all(np.isfinite(times)):
        raise StudyError("times_yr must be finite, got NaN or infinity")
    if times.size and (times[0] < 0 or np.any(np.diff(times) < 0)):
        raise StudyError(f"times_yr must ascend from 0 yr, got {times[0]:g} to {times[-1]:g} yr")
    if times.size and times[-1] > LONGEST_YR:
        raise StudyError(f"times_yr must end by {LONGEST_YR:g} yr, got {times[-1]:g} yr (usual: up to 30 yr)")
    return times


def _seen(patient: Patient, p: ModelParameters, treatments: Sequence[Treatment], times: Series) -> Report:
    """The report at every time, as float64 arrays on the host."""
    # The cells are a few scalars: the processor follows them faster than a device would be asked to.
    with jax.enable_x64(True), jax.default_device(_processor()):
        life, constants, steps, begins, moves = _walked(patient, p, treatments, _years(times))
        # A time on the border of two steps belongs to the one that ends there: doses come after it.
        place = np.searchsorted(steps.start_yr, times, side="left") - 1
        length = steps.step_yr[place, None]
        share = (times - steps.start_yr[place])[:, None] / length
        bodies = arrived(begins[place], moves[place].swapaxes(0, 1), length, share)
        more = -times.size % _GLANCES if times.size else _GLANCES
        bodies, years = (np.pad(part, ((0, more), (0, 0)), constant_values=1.0) for part in (bodies, times[:, None]))
        parts = [
            seen(bodies[begin : begin + _GLANCES], years[begin : begin + _GLANCES, 0], life, constants)
            for begin in range(0, len(years), _GLANCES)
        ]
        return jax.tree.map(lambda *some: np.concatenate(some)[: times.size], *parts)  # type: ignore[no-any-return]


def _years(times: Series) -> int:
    return math.ceil(times[-1]) if times.size else 0


def _walked(
    patient: Patient, p: ModelParameters, treatments: Sequence[Treatment], last_year: int
) -> tuple[LifeCourse, ModelParameters, Grid, Series, Series]:
    """Her life and constants as numbers of the device, the steps until ``last_year``, what `walked` finds at them."""
    first = -run_in_years(patient, p.cells.fat_young_age_yr)
    life = LifeCourse(
        age_at_start_yr=np.float64(patient.age_at_start_yr),
        menopause_yr=np.float64(patient.menopause_after_start_yr),
        estrogen_course=jnp.asarray(COURSES.index(patient.menopause), jnp.int64),
    )
    constants = jax.tree.map(np.float64, p)
    steps = grid_of(patient, treatments, first, last_year, p)
    room = filled(steps, _ROOM * math.ceil(steps.steps / _ROOM))
    begins, moves = walked(Step(**vars(room)), np.int64(steps.steps), np.float64(first), life, constants)
    return life, constants, steps, np.asarray(begins), np.asarray(moves)


def body_at_start(patient: Patient, p: ModelParameters, treatments: Sequence[Treatment] = ()) -> Body:
    """The body of a patient when her study starts (scalars), before a dose that falls on that time."""
    first = _seen(patient, p, treatments, np.zeros(1))
    parts = (first.cells, first.drugs, first.tissue)
    return Body(*(jax.tree.map(lambda series: jnp.asarray(series[0]), part) for part in parts))


def _processor() -> jax.Device:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to see the accelerator only
        return jax.local_devices()[0]


def _as_course(times: Series, at: Report, p: CellParameters) -> CellCourse:
    cells, told = at.cells, at.signals
    named: dict[str, Any] = {  # Any: inside the scan these were JAX arrays, here they are NumPy's
        "E2": 1 - at.surroundings.deficit,
        "RANKL": told.rankl,
        "OPG": told.opg,
        "Scl": told.sclerostin,
        "IL-17": told.il17,
        "TNF-a": told.tnf_alpha,
        "IL-6": told.il6,
        "Oc": cells.osteoclasts,
        "Ob": cells.osteoblasts,
        "Ot": cells.osteocytes,
        "M.Fat": fat_percent(cells, p),
    }
    return CellCourse(
        times_yr=times,
        activation_frequency_per_yr=np.asarray(at.demand.activation_frequency_per_yr),
        erosion_depth_um=np.asarray(at.demand.erosion_depth_um),
        wall_thickness_um=np.asarray(at.demand.wall_thickness_um),
        signals=named,
        cells={**_fields(cells), **_fields(told)},
        healthy=(p.activation_frequency_per_yr, p.erosion_depth_um, p.wall_thickness_um),
        modeling_um_per_yr=np.asarray(at.demand.modeling_um_per_yr),
        readouts={
            **{symbol: np.asarray(getattr(at.readouts, name)) for symbol, name in READOUTS.items()},
            "V": np.asarray(at.tissue.trabecular_volume),
        },
        drugs={
            f"{drug}.{amount}": series
            for drug, amounts in _fields(at.drugs).items()
            for amount, series in _fields(amounts).items()
        },
    )


def _fields(record: Any) -> dict[str, Series]:
    return {part.name: getattr(record, part.name) for part in dataclasses.fields(record)}
