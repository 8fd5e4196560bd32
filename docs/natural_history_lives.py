"""Lives of real donors through a natural menopause, for the pages that tell of them: bones, studies, what is kept.

CONTRIBUTING.md says where the scans can be had.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from microct.imaging.resampling import crop, resample
from microct.imaging.segmentation import segment
from microct.io.reader import read
from microct.morphometry.loss_course import LossCourse
from microct.morphometry.loss_modes import Mode
from microct.morphometry.report import measure
from microct.simulation.build import build, first_state
from microct.simulation.config import Study
from microct.simulation.run import Moment, run
from microct.volume import Volume

Made = TypeVar("Made")

DATA = Path(__file__).parents[2] / "shared" / "data"
#: Name, file, voxel [um], edge of the middle cube that is taken [voxel], voxel to work at [um].
DONORS = (
    ("vertebra 04216", "bonebox_isodata_04216_roi_8.nrrd", 50.0, 72, 25.0),
    ("vertebra 07131", "bonebox_isodata_07131_roi_70.nrrd", 50.0, 72, 25.0),
    ("vertebra 67599", "bonebox_isodata_67599_roi_87.nrrd", 50.0, 72, 25.0),
    ("vertebra 67960", "bonebox_isodata_67960_roi_140.nrrd", 50.0, 72, 25.0),
    ("LHDL 3155", "lhdl_3155_D_4_bc.tif", 19.5, 180, 26.0),
)
#: Years after the final menstrual period; the study begins two years before it.
BEFORE, UNTIL = 2.0, 15.0
MEASURED = (-2.0, 2.0, 7.0, 15.0)
#: Years between two looks at how bone was lost: about the cycle of 200 days by which Liu, Guo 2008 count.
EVERY = 0.5

#: Seeds of the donors' lives; what the pages conclude is of their mean.
DONOR_SEEDS = (1, 2, 3)
#: Load of every donor: micro-FE along the axis of the scan that is the body's, once a year.
LOAD = {"axis": "z", "every_months": 12.0}
NO_LOAD = {"axis": "none"}
#: What Liu, Guo 2008 count: all bone that their cavities do not refill.
COUNTED = (Mode.PERFORATION, Mode.BREAKAGE, Mode.ISLAND)
#: The folder in which lives are kept, where one is given: a page of an hour goes on where it was interrupted.
KEPT_IN: list[Path] = []
#: Loss of the spine's areal density by DXA: span, its years, unit, target, source.
SPINE = (
    ("-2 to 0", (-2.0, 0.0), "%/yr", -1.7, "Sowers 2010, DXA"),
    ("0 to +2", (0.0, 2.0), "%/yr", -3.3, "Sowers 2010, DXA"),
    ("+2 to +7", (2.0, 7.0), "%/yr", -1.1, "Sowers 2010, DXA"),
    ("-1 to +2", (-1.0, 2.0), "%", -7.4, "SWAN, Greendale 2012, DXA"),
    ("-5 to +5", (-2.0, 5.0), "%", -10.6, "SWAN, Greendale 2012, DXA"),  # before -2 our bone is that of health
)


@dataclass
class Life:
    """What one bone came to: rows by (symbol, year), and how it was lost from year -2 on."""

    name: str
    rows: dict[tuple[str, float], float]
    voxels: tuple[int, int, int]
    course: LossCourse | None = None
    seconds: float = 0.0

    def at(self, symbol: str, year: float) -> float:
        """Value of a row at a year after the final menstrual period."""
        return self.rows[symbol, round(year, 1)]

    def change(self, symbol: str, first: float, last: float) -> float:
        """Change between two years [%]."""
        return 100.0 * (self.at(symbol, last) / self.at(symbol, first) - 1.0)


def bone_of(file: str, voxel_um: float, edge: int, work_um: float | None) -> Volume:
    """The middle cube of a scan, as bone fraction."""
    volume = read(DATA / file, voxel_um)
    starts = [(n - edge) // 2 for n in volume.shape]
    bone = segment(crop(volume, tuple((start, start + edge) for start in starts)), "otsu", 0.0, True)
    return bone if work_um is None else resample(bone, work_um)


def lived(name: str, bone: Volume, study: Study, measured: tuple[float, ...] = MEASURED) -> Life:
    """Let the years pass, or read what they came to where that was kept."""
    return kept(name, lambda: _lived(name, bone, study, measured))


def kept(name: str, make: Callable[[], Made]) -> Made:
    """What ``make`` makes, or what it made before where that was kept."""
    file = KEPT_IN[0] / f"{name}.pickle" if KEPT_IN else None
    if file is not None and file.exists():
        return pickle.loads(file.read_bytes())
    made = make()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(made))
    return made


def _lived(name: str, bone: Volume, study: Study, measured: tuple[float, ...]) -> Life:
    life, began = Life(name, {}, bone.shape), time.perf_counter()
    model = build(bone, study)

    class Keeper:
        def report(self, moment: Moment) -> None:
            year = round(moment.time_yr - BEFORE, 1)
            life.rows |= {(row.symbol, year): row.value for row in moment.rows}
            if life.course is not None:
                life.course.add(moment.bone.values, moment.fallen)
            elif year == -BEFORE:
                life.course = LossCourse(moment.bone.values)
            if year in measured:
                table = measure(moment.bone, None, "exact", "half", thickness=True)
                life.rows |= {(row.symbol, year): row.value for row in table}

        def save(self, moment: Moment) -> None: ...

    run(first_state(model, bone), model, study, bone, [Keeper()])
    life.seconds = time.perf_counter() - began
    print(f"{name}: {life.seconds:.0f} s", flush=True)
    return life


def study_of(years: float = BEFORE + UNTIL, every: float = EVERY, **more: dict) -> Study:
    """Natural menopause at 51, looked at every so many years."""
    values: dict[str, dict] = {
        "time": {"years": years, "burn_in_years": 2.0, "step_days": 10.0, "report_every_years": every},
        "patient": {"age_at_start_years": 51.0 - BEFORE, "menopause_after_start_years": BEFORE},
        "osteocytes": {"on": True},
        "load": LOAD,
        "report": {"thickness": False},
    }
    return Study().with_values(**{**values, **more})


def mean(lives: list[Life], symbol: str, first: float, last: float) -> float:
    """Mean change over donors [%]."""
    return float(np.mean([life.change(symbol, first, last) for life in lives]))


def spine(lives: list[Life], symbol: str, span: tuple[float, float], unit: str) -> float:
    """Half of the mean change over donors, in all [%] or each year [%/yr]."""
    return 0.5 * mean(lives, symbol, *span) / (span[1] - span[0] if unit == "%/yr" else 1.0)


def modes_of(life: Life) -> tuple[float, float, float, float]:
    """(perforation, rod breakage, islands) as shares of their sum, and that sum of all lost bone [%]."""
    assert life.course is not None
    volume = life.course.found.volume
    return (*shares(volume), 100.0 * sum(volume[mode] for mode in COUNTED) / max(sum(volume.values()), 1e-12))


def of_all_loss(life: Life) -> tuple[float, float, float]:
    """Thinning, perforation with rod breakage, and islands as shares of all lost bone [%]."""
    perforation, breakage, islands, of_all = modes_of(life)
    return 100.0 - of_all, (perforation + breakage) * of_all / 100.0, islands * of_all / 100.0


def shares(volume: dict[Mode, float]) -> tuple[float, float, float]:
    """Perforation, rod breakage and islands of the three together [%]."""
    three = max(sum(volume[mode] for mode in COUNTED), 1e-12)
    first, second, third = (100.0 * volume[mode] / three for mode in COUNTED)
    return first, second, third


def quick_wanted(about: str | None, keeps: bool = False) -> bool:
    """Whether the command line asks for one small bone, printed and not written.

    Args:
        keeps: the command line may name a folder for lives, too.

    Raises:
        SystemExit: the donors' scans are not here.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="one small bone, printed and not written")
    if keeps:
        parser.add_argument("--keep", type=Path, help="folder for lives as they end; those in it are not lived again")
    given = parser.parse_args()
    KEPT_IN.extend([given.keep] if keeps and given.keep and not given.quick else [])
    if not DATA.is_dir():
        raise SystemExit(f"{DATA}: expected the donors' scans there")
    return bool(given.quick)
