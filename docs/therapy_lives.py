"""Lives of real vertebrae under drugs, for docs/therapies.md: who is treated with what, and what is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from natural_history_lives import DONORS, Life, bone_of, kept

from microct.morphometry.report import measure
from microct.simulation.build import build, first_state
from microct.simulation.config import Study
from microct.simulation.run import Moment, run
from microct.simulation.snapshot import restored, taken
from microct.volume import Volume

#: The spine alone: what trials measure by QCT is trabecular bone of vertebrae. One is left out after a first trial of
#: this page: at the first dose it held 31 mgHA/cm3 and carried 2 N, and its changes in percent ruled every mean.
VERTEBRAE = tuple(donor for donor in DONORS if donor[0].startswith("vertebra") and donor[0] != "vertebra 67960")
#: Age at the first dose, that of the final menstrual period, years untreated before the first dose and after it. In the
#: first of them bone falls faster: the load is usual at the start, and is felt as more when there is less bone.
AGE, MENOPAUSE, BEFORE, AFTER = 69.0, 51.0, 3.0, 3.0
#: Years after the first dose in which thickness is measured too.
MEASURED = (0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class Arm:
    """How some are treated: (drug, from, until) in years after the first dose, until None for no end."""

    name: str
    drugs: tuple[tuple[str, float, float | None], ...] = ()

    def study(self, seed: int) -> Study:
        """The years of one woman, and one before them that opens the cavities of her age."""
        drugs = [
            {"name": name, "start_years": BEFORE + start} | ({} if stop is None else {"stop_years": BEFORE + stop})
            for name, start, stop in self.drugs
        ]
        return Study().with_values(
            time={
                "years": BEFORE + AFTER,
                "burn_in_years": 1.0,
                "report_every_years": 0.5,
                "checkpoint_every_years": BEFORE,
            },
            patient={
                "age_at_start_years": AGE - BEFORE,
                "menopause_after_start_years": MENOPAUSE - AGE + BEFORE,
            },
            osteocytes={"on": True},
            load={"axis": "z", "every_months": 12.0, "mineral": True, "strength": True},
            remodeling={"seed": seed},
            report={"thickness": False},
            drug=drugs,
        )


ARMS = (
    Arm("untreated"),
    Arm("alendronate", (("alendronate", 0.0, None),)),
    Arm("zoledronate", (("zoledronate", 0.0, None),)),
    Arm("denosumab", (("denosumab", 0.0, None),)),
    Arm("denosumab, stopped at 2", (("denosumab", 0.0, 2.0),)),
    Arm("teriparatide, stopped at 2", (("teriparatide", 0.0, 2.0),)),
    Arm("romosozumab, denosumab from 1", (("romosozumab", 0.0, 1.0), ("denosumab", 1.0, None))),
    Arm("raloxifene", (("raloxifene", 0.0, None),)),
    Arm("hrt", (("hrt", 0.0, None),)),
)  # fmt: skip


@dataclass
class Start:
    """A vertebra at the first dose: what was told of it until then, and its state as a checkpoint holds it."""

    rows: dict[tuple[str, float], float]
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


class Keeper:
    """Takes the rows of reporting times, by year after the first dose, and the state at the first dose."""

    def __init__(self, rows: dict[tuple[str, float], float]) -> None:
        self.rows, self.start = rows, None

    def report(self, moment: Moment) -> None:
        """The rows, with thickness where it is wanted."""
        year = round(moment.time_yr - BEFORE, 1)
        self.rows |= {(row.symbol, year): row.value for row in moment.rows}
        if year in MEASURED:
            table = measure(moment.bone, None, "exact", "half", thickness=True)
            self.rows |= {(row.symbol, year): row.value for row in table}

    def save(self, moment: Moment) -> None:
        """The state, if this is the first dose."""
        if round(moment.time_yr - BEFORE, 1) == 0.0:
            self.start = Start(dict(self.rows), *taken(moment))


def treated(arm: Arm, donor: tuple[str, str, float, int, float], seed: int, part: int = 1) -> Life:
    """One vertebra under one treatment, or what it came to where that was kept; years count from the first dose.

    All arms are one life until then, to the last bit: it is lived once, and every arm goes on from its state.

    Args:
        part: the middle cube has an edge that many times smaller.
    """
    name, file, voxel_um, edge, work_um = donor

    def bone() -> Volume:
        return bone_of(file, voxel_um, edge // part, work_um)

    def live() -> Life:
        start = kept(f"{name}, until the first dose, seed {seed}", lambda: _until_treated(bone(), seed))
        return _treated(name, bone(), arm.study(seed), start)

    return kept(f"{name}, {arm.name}, seed {seed}", live)


def _until_treated(bone: Volume, seed: int) -> Start:
    study = ARMS[0].study(seed)
    model, keeper = build(bone, study), Keeper({})
    run(first_state(model, bone), model, study, bone, [keeper], should_stop=lambda: keeper.start is not None)
    assert keeper.start is not None
    return keeper.start


def _treated(name: str, bone: Volume, study: Study, start: Start) -> Life:
    began, keeper = time.perf_counter(), Keeper(dict(start.rows))
    model = build(bone, study)
    state, previous = restored(start.arrays, start.meta, model)
    run(state, model, study, bone, [keeper], previous=previous)
    seconds = time.perf_counter() - began
    print(f"{name}: {seconds:.0f} s", flush=True)
    return Life(name, keeper.rows, bone.shape, None, seconds)
