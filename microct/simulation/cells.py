"""The scale of cells alone: a study's course without voxels, its knock-outs, and health beside disease."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from microct.signalling.cell_course import CellCourse, course
from microct.signalling.knock_outs import KNOCK_OUTS
from microct.simulation.config import Study
from microct.simulation.demand import patient_of, treatments_of

SAMPLES_PER_YEAR = 48


@dataclass(frozen=True)
class Series:
    """One course over time: key, group, label, unit ("": a fold of health), values at `CellStudy.times_yr`."""

    key: str
    group: str
    label: str
    unit: str
    values: np.ndarray


@dataclass(frozen=True)
class CellStudy:
    """What the cells of a study do.

    Attributes:
        times_yr: years since the start of the study.
        arms: by name, every series by key: "as studied", and "without drugs" where drugs are given.
        menopause_yr: final menstrual period or operation on the study clock; None where there is none.
        drugs: (name, first, last dose due) of what is given [yr].
    """

    times_yr: np.ndarray
    arms: dict[str, dict[str, Series]]
    menopause_yr: float | None
    drugs: tuple[tuple[str, float, float], ...]


#: Every species: key of `CellCourse`, group, label, unit.
SPECIES: tuple[tuple[str, str, str, str], ...] = (
    ("E2", "Hormone", "estradiol", ""),
    ("th17", "Immune cells", "Th17 cells", ""),
    ("treg", "Immune cells", "Treg function", ""),
    ("macrophages", "Immune cells", "M1 macrophages", ""),
    ("neutrophils", "Immune cells", "neutrophils, mast cells", ""),
    ("b_cells", "Immune cells", "B lineage", ""),
    ("il17", "Cytokines", "IL-17", ""),
    ("tnf_alpha", "Cytokines", "TNF-alpha", ""),
    ("il6", "Cytokines", "IL-6", ""),
    ("osteocytes", "Osteocytes and marrow", "viable osteocytes", ""),
    ("sclerostin", "Osteocytes and marrow", "free sclerostin", ""),
    ("M.Fat", "Osteocytes and marrow", "marrow fat", "%"),
    ("osteogenic_share", "Osteocytes and marrow", "stem cells to bone", ""),
    ("rankl", "RANKL and OPG", "RANKL", ""),
    ("rankl_osteocyte", "RANKL and OPG", "of osteocytes", ""),
    ("rankl_stromal", "RANKL and OPG", "of stroma", ""),
    ("rankl_b_cell", "RANKL and OPG", "of B cells", ""),
    ("opg", "RANKL and OPG", "OPG", ""),
    ("rank_occupancy", "RANKL and OPG", "RANK occupied", ""),
    ("precursors", "Osteoclasts", "precursors", ""),
    ("osteoclasts", "Osteoclasts", "osteoclasts", ""),
    ("osteoclast_life", "Osteoclasts", "life of an osteoclast", ""),
    ("osteoclast_memory", "Osteoclasts", "estrogen they are used to", ""),
    ("coupling", "Osteoblasts", "coupling factors", ""),
    ("wnt", "Osteoblasts", "Wnt", ""),
    ("preosteoblasts", "Osteoblasts", "preosteoblasts", ""),
    ("osteoblasts", "Osteoblasts", "osteoblasts", ""),
    ("osteoblast_life", "Osteoblasts", "life of an osteoblast", ""),
    ("reserve", "Osteoblasts", "reserve", ""),
    ("Ac.f", "Demand", "activation frequency", "1/yr"),
    ("E.De", "Demand", "erosion depth", "um"),
    ("W.Th", "Demand", "wall thickness", "um"),
    ("modeling", "Demand", "modeling", "um/yr"),
    ("CTX", "Markers", "resorption (CTX)", ""),
    ("P1NP", "Markers", "formation (P1NP)", ""),
    ("LS.BMD", "Density", "spine BMD", ""),
    ("TH.BMD", "Density", "hip BMD", ""),
    ("TMD", "Density", "mineral", ""),
)


def series_of(at: CellCourse) -> dict[str, Series]:
    """Every species of a course, and the drugs that are in the body."""
    known = {
        **at.cells,
        **at.readouts,
        "E2": at.signals["E2"],
        "M.Fat": at.signals["M.Fat"],
        "Ac.f": at.activation_frequency_per_yr,
        "E.De": at.erosion_depth_um,
        "W.Th": at.wall_thickness_um,
        "modeling": at.modeling_um_per_yr,
    }
    found = {key: Series(key, group, label, unit, known[key]) for key, group, label, unit in SPECIES}
    for key, amount in at.drugs.items():
        if np.any(amount > 0):
            found[key] = Series(key, "Drugs in the body", key.replace(".", ", ").replace("_", " "), "", amount)
    return found


def follow(study: Study) -> CellStudy:
    """The cells of a study from its start to its end.

    Raises:
        StudyError: a patient, a knock-out or a drug that cannot be.
    """
    times = np.arange(round(study.time.years * SAMPLES_PER_YEAR) + 1) / SAMPLES_PER_YEAR
    patient, treatments = patient_of(study), treatments_of(study)
    knock_out = study.patient.knock_out
    arms = {"as studied": series_of(course(patient, times, knock_out=knock_out, treatments=treatments))}
    if treatments:
        arms["without drugs"] = series_of(course(patient, times, knock_out=knock_out))
    end = study.time.years
    given = tuple((one.drug, one.start_yr, end if one.stop_yr is None else min(one.stop_yr, end)) for one in treatments)
    past = patient.menopause_after_start_yr if patient.menopause != "none" else None
    return CellStudy(times, arms, past, given)


@dataclass(frozen=True)
class Owned:
    """What a mechanism owns of the loss by the end of a study.

    Attributes:
        name: of the knock-out.
        births: share of the rise of activation frequency that is gone without it [%].
        loss: share of the loss of trabecular bone that is gone without it [%].
    """

    name: str
    births: float
    loss: float


def owned(study: Study) -> tuple[Owned, ...]:
    """Share of the untreated loss that each mechanism owns, largest first; knock-outs of the study itself stay.

    The shares do not add up to 100 %: mechanisms feed one another.
    """
    patient, already = patient_of(study), study.patient.knock_out
    times = np.array([0.0, study.time.years])

    def outcome(*names: str) -> tuple[float, float]:
        at = course(patient, times, knock_out=(*already, *names))
        volume = at.readouts["V"]
        return float(at.activation_frequency_per_yr[-1] - at.healthy[0]), float(1 - volume[-1] / volume[0])

    rise, loss = outcome()
    found = []
    for name in KNOCK_OUTS:
        without = outcome(name)
        found.append(Owned(name, _share(rise, without[0]), _share(loss, without[1])))
    return tuple(sorted(found, key=lambda one: -one.loss))


def _share(whole: float, left: float) -> float:
    return 100 * (1 - left / whole) if whole else 0.0


@dataclass(frozen=True)
class Compared:
    """One row of health beside disease; not a number where nothing is known.

    Attributes:
        group, label, unit: of the quantity.
        young: of the healthy young, or of the bone of a scan at the start of a study (``of_scan``).
        same_age: with estrogen kept.
        osteoporotic: as studied.
        of_scan: whether all are of the bone of one scan.
    """

    group: str
    label: str
    unit: str
    young: float
    same_age: float
    osteoporotic: float
    of_scan: bool = False

    @property
    def values(self) -> tuple[float, float, float]:
        """Young, same age, osteoporotic."""
        return self.young, self.same_age, self.osteoporotic


def compare(study: Study) -> tuple[Compared, ...]:
    """The healthy young, a woman of the same age who kept her estrogen, and the study's woman at its end."""
    patient = patient_of(study)
    end = np.array([study.time.years])
    ill = series_of(course(patient, end, knock_out=study.patient.knock_out, treatments=treatments_of(study)))
    kept = series_of(course(dataclasses.replace(patient, menopause="none"), end))
    young = series_of(course(dataclasses.replace(patient, menopause="none", ageing=False), end))
    return tuple(
        Compared(
            one.group, one.label, one.unit,
            float(young[key].values[-1]), float(kept[key].values[-1]), float(one.values[-1]),
        )
        for key, one in ill.items()
        if key in young
    )  # fmt: skip
