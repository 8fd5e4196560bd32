"""What a run says of itself at a reporting time: architecture, ledger, dynamics, signals, as tidy rows."""

from __future__ import annotations

import numpy as np

from microct.kernels import activation
from microct.kernels.bmu_table import MODELING, columns
from microct.morphometry.report import measure
from microct.quantities import DAYS_PER_YEAR
from microct.remodeling import compartments as places
from microct.simulation.build import Model
from microct.simulation.config import Study
from microct.simulation.loading import Loading
from microct.simulation.niche import Niche
from microct.state import State
from microct.status import NoLoadError
from microct.table import Row
from microct.tissue import bmdd, histomorphometry
from microct.tissue.osteocytes import CRACKS_PER_MM2
from microct.volume import BONE, Volume

#: Prefixes of rows: trabecular, endocortical, intracortical, periosteal.
COMPARTMENT_TAGS = ("Tb", "Ec", "Ic", "Ps")


def rows(state: State, model: Model, study: Study, bone: Volume, previous: State | None, sample: str) -> list[Row]:
    """Rows of one reporting time.

    Args:
        state: the bone now; ``previous``: at the last reporting time (None at the first), for rates.
        model, study: of the run.
        bone: the bone fraction as a volume.
        sample: name of the specimen.
    """
    year = model.calendar.year(state.step)
    report = study.report
    structure = measure(bone, None, report.convention, "half", thickness=report.thickness, time_yr=year, sample=sample)
    measured = _ledger(state, model) | _dynamics(state, model, previous) | _biopsy(state, model, previous)
    measured |= _mineral(state, model) | _signals(state, model) | _compartments(state, model, previous)
    measured |= _cells_of_bone(state, model, study)
    return [*structure, *(Row(symbol, value, year, sample) for symbol, value in measured.items())]


def strength(loading: Loading, bone: Volume, tissue: float | np.ndarray, time_yr: float, sample: str) -> list[Row]:
    """Rows of stiffness and strength of a bone whose ``tissue`` has that modulus [MPa].

    Zeros for bone that carries no load from face to face any more.
    """
    try:
        result = loading.strength(bone, tissue)
        values = result.apparent_modulus_mpa, result.stiffness_n_per_mm, abs(result.failure_load_n)
    except NoLoadError:
        values = 0.0, 0.0, 0.0
    return [Row(symbol, value, time_yr, sample) for symbol, value in zip(("E.app", "K", "F.ult"), values, strict=True)]


def _ledger(state: State, model: Model) -> dict[str, float]:
    unit_mm3 = float(np.prod(model.spacing_mm)) / 255.0
    ledger = state.ledger
    actual = int(np.asarray(state.fields.fraction).sum(dtype=np.int64))
    return {
        "Rs.V": ledger.resorbed * unit_mm3,
        "Fm.V": ledger.formed * unit_mm3,
        "Md.V": ledger.modeled * unit_mm3,
        "Is.V.lost": ledger.islands * unit_mm3,
        "Ledger": float(actual - ledger.mass),
        "N.Vx.dropped": float(ledger.dropped),
    }


def _dynamics(state: State, model: Model, previous: State | None) -> dict[str, float]:
    step = max(min(state.step, model.calendar.total_steps - 1), 0)  # what is asked now, as of the signals
    demand, calendar = model.demand, model.calendar
    erosion, wall = float(demand.erosion_depth_um[step]), float(demand.wall_thickness_um[step])
    bone = float(np.asarray(state.fields.fraction).sum(dtype=np.int64))
    bmus = columns(state.bmus, "live", "kind", "area", "resorbed", "formed")
    live = bmus["live"]
    models = live & ((bmus["kind"] & MODELING) != 0)
    area = bmus["area"].astype(np.float64)
    taken = bmus["resorbed"].astype(np.int64) - bmus["formed"]
    open_mass = float(taken[live & ~models].sum())
    surface = max(state.surface, 1e-9)
    measured = {
        "Ac.f": float(demand.activation_frequency_per_yr[step]),
        "E.De": erosion,
        "W.Th": wall,
        "B.Ba": wall - erosion,
        "N.Birth": float(state.ledger.births),
        "N.Birth.missed": float(state.ledger.wanted - state.ledger.births),
        "N.BMU": float(live.sum()),
        "Rm.Sp": 100.0 * open_mass / bone if bone else float("nan"),
        "Md.S/BS": 100.0 * float(area[models].sum()) / surface,
        "N.Md": float(state.ledger.packets),
        "T.Age": _mean_tissue_age(state, calendar.step_days),
    }
    if previous is not None and state.step > previous.step:
        years = (state.step - previous.step) * calendar.step_days / DAYS_PER_YEAR
        middle = 0.5 * (previous.ledger.mass + state.ledger.mass)
        measured["Rs.R"] = 100.0 * (state.ledger.resorbed - previous.ledger.resorbed) / years / max(middle, 1.0)
    return measured


def _cells_of_bone(state: State, model: Model, study: Study) -> dict[str, float]:
    """Osteocytes, empty lacunae and damage of the bone as a whole."""
    living, damage = Niche(study.osteocytes, model).means(state)
    if np.isnan(living):
        return {}
    found = {"N.Ot/BV": study.osteocytes.lacunae_per_mm3 * living, "Lc.E": 100.0 * (1.0 - living)}
    if state.wear is not None:
        found["Tg.Rm"] = 100.0 * state.wear.targeted
        if state.wear.worn is not None:
            found["Dm"] = damage
            found["Cr.Dn"] = CRACKS_PER_MM2 * damage
    return found


def _compartments(state: State, model: Model, previous: State | None) -> dict[str, float]:
    """Bone, surface and births of each compartment, where there is a cortex."""
    if model.place is None:
        return {}
    fraction, place = np.asarray(state.fields.fraction), np.asarray(model.place)
    # Plane by plane, so that nothing as large as the volume is made.
    planes = list(zip(place, fraction, strict=True))
    mass = [sum(int(held[kind == n].sum(dtype=np.int64)) for kind, held in planes) for n in range(4)]
    volume = np.array(mass) / 255.0
    surface = activation.surfaces(state.fields.fraction, model.place)
    cube = float(np.prod(model.spacing_mm))
    found = {"Ct.Po.now": places.porosity(fraction, place)}
    born = [0.0] * 4
    if previous is not None and state.step > previous.step:
        years = (state.step - previous.step) * model.calendar.step_days / DAYS_PER_YEAR
        now, then = state.ledger, previous.ledger
        apart = [getattr(now, name) - getattr(then, name) for name in places.NAMES[1:]]
        born = [(now.births - then.births - sum(apart)) / years, *(count / years for count in apart)]
    for number, tag in enumerate(COMPARTMENT_TAGS):
        found[f"{tag}.BV"] = volume[number] * cube
        found[f"{tag}.BS"] = surface[number] * cube ** (2.0 / 3.0)
        if previous is not None and surface[number] > 0.0:
            renewed = model.osteon_faces if number == places.INTRACORTICAL and model.cones else model.footprint_faces
            found[f"{tag}.Ac.f"] = born[number] * renewed / surface[number]
    return found


def _biopsy(state: State, model: Model, previous: State | None) -> dict[str, float]:
    """The open sites, and what happened since the last reporting time, as a biopsy would read them."""
    calendar, bmu = model.calendar, model.bmu
    clock = histomorphometry.Clock(model.schedule, calendar.step_days, bmu.formation_days, model.cones, model.plan)
    found = histomorphometry.at_sites(state, clock, model.voxel_um)
    sites = histomorphometry.site_map(state, clock)
    found |= histomorphometry.in_sections(np.asarray(state.fields.fraction), sites)
    return found if previous is None else found | histomorphometry.between(state, previous, clock, model.voxel_um)


def _mineral(state: State, model: Model) -> dict[str, float]:
    """Mineral of the tissue by its age, and the density of the whole block."""
    fraction, formed_on = state.fields.fraction, state.fields.formed_on
    ages = bmdd.tissue_ages(fraction, formed_on, state.step, model.calendar.step_days, model.past)
    if ages.bone <= 0.0:
        return {"vBMD": 0.0}
    found = bmdd.bmdd(ages)
    return {
        "TMD": found.density,
        "CaMean": found.mean,
        "CaPeak": found.peak,
        "CaWidth": found.width,
        "CaLow": found.low,
        "E.Ti": found.modulus,
        "vBMD": found.density * ages.bone / fraction.size,
    }


def _mean_tissue_age(state: State, step_days: float) -> float:
    """Mean over bone of the time since its last formation [yr]; the scan's own bone is as old as the run."""
    bone = np.asarray(state.fields.fraction) >= BONE
    formed = np.asarray(state.fields.formed_on)[bone]
    if formed.size == 0:
        return float("nan")
    return float(state.step - formed.mean(dtype=np.float64)) * step_days / DAYS_PER_YEAR


def _signals(state: State, model: Model) -> dict[str, float]:
    step = min(state.step, model.calendar.total_steps - 1)
    if state.step < model.calendar.burn_in_steps or step < 0:
        return {}
    return {symbol: float(series[step]) for symbol, series in model.demand.signals.items()}
