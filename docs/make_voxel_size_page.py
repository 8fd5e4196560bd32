"""Makes docs/voxel-size.md: ``python docs/make_voxel_size_page.py`` (some minutes on two cores).

What the size of voxels does to the architecture that is measured and to the bone that a menopause takes, where the same
made bone can be scanned at any voxel size; and what `microct.resample` makes of a coarse scan.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import microct
from microct.imaging.resampling import resample
from microct.imaging.specimens import sample
from microct.simulation.build import build, first_state
from microct.simulation.config import Study
from microct.simulation.run import Moment, run
from microct.volume import Volume

PAGE = Path(__file__).parent / "voxel-size.md"
#: BV/TV and Tb.Th [um] that are asked of the generator; the bone is of 2.5 mm, seed 7.
SPECIMENS = ((0.12, 150.0), (0.20, 200.0))
SIZES = (50.0, 100.0 / 3.0, 25.0, 50.0 / 3.0, 12.5)
COARSE, FINE = 50.0, 25.0
SEEDS = (1, 2, 3)
YEARS = (4.0, 8.0)

HEAD = """# What the voxel size does

Made by `python docs/make_voxel_size_page.py`; do not edit. A made bone of 2.5 mm is known in closed form, and can be
scanned on any voxels, each holding its share of bone. Tables measure it, and let eight years pass from a surgical
menopause on, after a year of healthy remodeling, without load: the loss is of BV/TV, mean and standard deviation of the
seeds {seeds}.
"""

REFINED = """
## A scan of 50 um on voxels of 25 um

`resample_um` and `microct.resample` lay a smooth surface through a bone fraction or a mask that explains what the
scan's voxels hold, and keep their bone volume (`microct/imaging/refining.py`). Beside it a scan that was made on 25 um,
and what eight equal voxels for each one of the scan would do: the steps of their surface are surface for BMUs.
"""

WORDS = """Where trabeculae are four voxels thick or less, too little is lost, the more the longer it goes on. A
bone fraction still holds what a finer scan would show, and finer voxels bring it out: surface, thickness
and loss come near to those of the finer scan. A mask does not: on finer voxels it loses what it loses as
it is, but nothing for steps.
"""


def made(specimen: tuple[float, float], voxel_um: float) -> Volume:
    """A specimen's bone fraction on voxels of a size."""
    bvtv, tbth = specimen
    return sample(
        "trabecular",
        size_mm=2.5,
        voxel_size_um=voxel_um,
        seed=7,
        bone_volume_fraction=bvtv,
        trabecular_thickness_um=tbth,
    )


def losses(bone: Volume, seed: int) -> list[float]:
    """Loss of BV/TV since year 0 [%] at `YEARS`."""
    study = Study().with_values(
        time={"years": YEARS[-1], "burn_in_years": 1.0, "report_every_years": YEARS[0]},
        patient={"menopause": "surgical", "menopause_after_start_years": 0.0},
        remodeling={"seed": seed},
        report={"thickness": False},
    )
    course: dict[float, float] = {}

    class Keeper:
        def report(self, moment: Moment) -> None:
            value = next(row.value for row in moment.rows if row.symbol == "BV/TV")
            course[round(moment.time_yr, 0)] = value

        def save(self, moment: Moment) -> None: ...

    model = build(bone, study)
    run(first_state(model, bone), model, study, bone, [Keeper()])
    return [100.0 * (1.0 - course[year] / course[0.0]) for year in YEARS]


def row(name: str, bone: Volume) -> str:
    """A bone as measured, and what it loses."""
    table = microct.measure(bone)
    lost = np.array([losses(bone, seed) for seed in SEEDS])
    after = " | ".join(
        f"{mean:.1f} ± {spread:.1f}" for mean, spread in zip(lost.mean(0), lost.std(0, ddof=1), strict=True)
    )
    print(name, after, flush=True)
    whole = 100.0 * float(bone.values.mean()) / 255.0
    measured = " | ".join(f"{table[symbol].value:.4g}" for symbol in ("BS/TV", "Tb.Th", "Tb.Sp", "Tb.N", "Conn.D"))
    return f"| {name} | {whole:.2f} | {measured} | {after} |"


def heads(first: str) -> Iterator[str]:
    """Both heading rows."""
    years = " | ".join(f"lost in {year:g} yr" for year in YEARS)
    yield f"| {first} | bone | BS/TV | Tb.Th | Tb.Sp | Tb.N | Conn.D | {years} |"
    yield "|---" * (7 + len(YEARS)) + "|"
    yield "| | % | 1/mm | mm | mm | 1/mm | 1/mm3 |" + " % |" * len(YEARS)


def page() -> Iterator[str]:
    """The page, line by line."""
    yield HEAD.format(seeds=", ".join(map(str, SEEDS)))
    for specimen in SPECIMENS:
        yield f"## Asked for BV/TV {specimen[0]:.0%}, Tb.Th {specimen[1]:g} um\n"
        yield from heads("voxel, um")
        for size in SIZES:
            yield row(f"{size:.1f}", made(specimen, size))
        yield ""
    yield REFINED
    for specimen in SPECIMENS:
        coarse, fine = made(specimen, COARSE), made(specimen, FINE)
        mask = coarse.with_values(np.where(coarse.values >= 128, np.uint8(255), np.uint8(0)), "mask")
        yield f"Asked for BV/TV {specimen[0]:.0%}, Tb.Th {specimen[1]:g} um:\n"
        yield from heads("what")
        yield row("scan of 25 um", fine)
        yield row("bone fraction of 50 um, smooth surface", resample(coarse, FINE))
        yield row("mask of 50 um, smooth surface", resample(mask, FINE))
        eight = np.kron(mask.values, np.ones((2, 2, 2), np.uint8))
        yield row("mask of 50 um, eight equal voxels for one", fine.with_values(eight, "each voxel eight times"))
        yield row("mask of 50 um as it is", mask)
        yield ""
    yield WORDS


if __name__ == "__main__":
    if "--quick" in sys.argv:
        SIZES, SEEDS, SPECIMENS = (50.0,), (1, 2), SPECIMENS[:1]
        print("\n".join(page()))
    else:
        PAGE.write_text("\n".join(page()).rstrip() + "\n", encoding="utf-8")
