"""Lives of real vertebrae under drugs, for docs/therapies.md: who is treated with what, and what is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from natural_history_lives import DONORS, Life, bone_of, kept

from microct.morphometry.report import measure
from microct.simulation.build import build, first_state
from microct.simulation.config import Study
from microct.simulation.run import Moment, run
from microct.volume import Volume

#: The spine alone: what trials measure by QCT is trabecular bone of vertebrae.
VERTEBRAE = tuple(donor for donor in DONORS if donor[0].startswith("vertebra"))
#: Age at the first dose, that of the final menstrual period, years untreated before the first dose and after it.
AGE, MENOPAUSE, BEFORE, AFTER = 69.0, 51.0, 1.0, 3.0
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
            time={"years": BEFORE + AFTER, "burn_in_years": 1.0, "report_every_years": 0.5},
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


def treated(arm: Arm, donor: tuple[str, str, float, int, float], seed: int, part: int = 1) -> Life:
    """One vertebra under one treatment, or what it came to where that was kept; years count from the first dose.

    Args:
        part: the middle cube has an edge that many times smaller.
    """
    name, file, voxel_um, edge, work_um = donor

    def live() -> Life:
        return _treated(name, bone_of(file, voxel_um, edge // part, work_um), arm.study(seed))

    return kept(f"{name}, {arm.name}, seed {seed}", live)


def _treated(name: str, bone: Volume, study: Study) -> Life:
    life, began = Life(name, {}, bone.shape), time.perf_counter()
    model = build(bone, study)

    class Keeper:
        def report(self, moment: Moment) -> None:
            year = round(moment.time_yr - BEFORE, 1)
            life.rows |= {(row.symbol, year): row.value for row in moment.rows}
            if year in MEASURED:
                table = measure(moment.bone, None, "exact", "half", thickness=True)
                life.rows |= {(row.symbol, year): row.value for row in table}

        def save(self, moment: Moment) -> None: ...

    run(first_state(model, bone), model, study, bone, [Keeper()])
    life.seconds = time.perf_counter() - began
    print(f"{name}: {life.seconds:.0f} s", flush=True)
    return life
