"""Makes docs/natural-history.md from real donors: ``python docs/make_natural_history_page.py`` (about 25 minutes).

The scans are those of ../shared/data beside the repository; without them nothing is made.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microct.imaging.resampling import crop, resample
from microct.imaging.segmentation import segment
from microct.imaging.specimens import sample
from microct.io.reader import read
from microct.morphometry.loss_modes import loss_rows
from microct.morphometry.report import measure
from microct.simulation.build import build, first_state
from microct.simulation.config import Study
from microct.simulation.run import Moment, run
from microct.volume import Volume

PAGE = Path(__file__).parent / "natural-history.md"
DATA = Path(__file__).parents[2] / "shared" / "data"
#: Name, file, voxel [um], edge of the middle cube that is taken [voxel], voxel to work at [um].
DONORS = (
    ("vertebra 04216", "bonebox_isodata_04216_roi_8.nrrd", 50.0, 72, None),
    ("vertebra 07131", "bonebox_isodata_07131_roi_70.nrrd", 50.0, 72, None),
    ("vertebra 67599", "bonebox_isodata_67599_roi_87.nrrd", 50.0, 72, None),
    ("vertebra 67960", "bonebox_isodata_67960_roi_140.nrrd", 50.0, 72, None),
    ("LHDL 3155", "lhdl_3155_D_4_bc.tif", 19.5, 180, 39.0),
)
#: Years after the final menstrual period; the study begins two years before it.
BEFORE, UNTIL = 2.0, 15.0
MEASURED = (-2.0, 2.0, 7.0, 15.0)

#: Load of every donor: micro-FE along the axis of the scan that is the body's, once a year.
LOAD = {"axis": "z", "every_months": 12.0}
#: One donor again, its middle 2 mm: name, voxel to work at [um] (the grey scan is resampled), load.
NO_LOAD = {"axis": "none"}
VARIANTS: tuple[tuple[str, float | None, dict], ...] = (
    ("as above", None, LOAD),
    ("voxels of 25 um", 25.0, LOAD),
    ("no load", None, NO_LOAD),
    ("no load, voxels of 25 um", 25.0, NO_LOAD),
)
VARIANT_EDGE, SEEDS = 40, (1, 2)
#: The folder in which lives are kept, where one is given: a page of an hour goes on where it was interrupted.
KEPT_IN: list[Path] = []
#: Loss of the spine's areal density by DXA: span, its years, unit, target, source.
SPINE = (
    ("-2 to 0", (-2.0, 0.0), "%/yr", -1.7, "Sowers 2010, DXA"),
    ("0 to +2", (0.0, 2.0), "%/yr", -3.3, "Sowers 2010, DXA"),
    ("+2 to +7", (2.0, 7.0), "%/yr", -1.1, "Sowers 2010, DXA"),
    ("-1 to +2", (-1.0, 2.0), "%", -7.4, "SWAN, Greendale 2012, DXA"),
    ("ten years", (0.0, 10.0), "%", -10.6, "SWAN, Greendale 2012, DXA"),
)

HEAD = """# Natural history

Made by `python docs/make_natural_history_page.py`; do not edit. Five scans of human donors live through a natural
menopause at 51, from 49 to 66 years of age, under the load of their scan (micro-FE along z once a year), with
osteocytes that call BMUs (`osteocytes.on`); nothing was fitted to these bones. Years count from the final menstrual
period. Each scan begins with two years of healthy remodeling, before year -2.

Vertebrae: BoneBox (BSD-3-Clause, Qian Cao), the middle 3.6 mm at 50 um. LHDL 3155: the middle 3.5 mm, at 39 um. At this
voxel size a cavity is about one voxel deep (docs/science-remodeling.md, "Known limits").
A target is what a source measured, mostly by DXA of whole bones in the living: it is not the same quantity as
trabecular bone of a cube, and each line says how they were made comparable. Misses are called misses.

Each target is compared with what its source measured. Loss of the spine by DXA (Sowers 2010; SWAN, Greendale 2012) is
loss of mineral: it is compared with our **vBMD**, the sum of bone fraction times mineral of its tissue over the volume
of the cube, and a loss of BV/TV stands beside it. Of a block whose outline stays, aBMD and vBMD fall by the same share.
Tb.N and Tb.Sp (Khosla 2006, HR-pQCT), loss modes (Liu, Guo 2008) and cortical porosity are geometry: they are compared
with bone fraction. No target was moved, and no band.
"""


WHY = """## Why the misses

With load and without. Nothing else differs, and nothing was adjusted to the targets.
"""

WHY_PART = """\
The middle 2 mm of vertebra 04216 again, two seeds each: on finer voxels, and without load. Columns are of BV/TV as it
is, and one of vBMD, halved as the target is.
"""

WHY_END = """\
- **Early loss** is a third mineral: bone of high turnover is young and holds less, so that vBMD falls by 1.5 times as
  much as BV/TV from -1 to +2. That brings 0 to +2 and -1 to +2 within their bands. -2 to 0 stays too slow, in part by
  voxel size: at 50 um a cavity is one voxel deep, most trabeculae two or three voxels thick; at 25 um the same bone
  loses 1.0 to 1.6 instead of 0.3 to 0.5 % a year then.
- **Late loss** and ten years are within their bands by BV/TV, and a little too fast by mineral, which is what DXA
  sees: TMD falls by 8 to 15 % in ten years, as turnover stays high and what bone is left has more surface. No
  measured TMD over such a span is at hand. Coarse voxels make it fall a little too far (docs/science-tissue.md), and
  the law of mineralization was fitted to healthy bone alone. To halve the loss is to say that cortex keeps its
  mineral: in the made piece of shaft TMD changes by 0.4 % in ten years.
- **Load** slows late loss: without it the spine loses 2.1 instead of 1.5 % a year from +2 to +7. A cube of 2 mm is
  too small to show it: its two seeds differ by more than load does.
- **The sparsest bones** (67599, 67960, with BV/TV of 7.2 and 3.8 %) begin as sparse as the others end; the donors'
  ages are not known to us. Under load what is left of them thickens.
- **Plates and rods** are the worst miss, and load adds to it: 18 % perforation, 27 % without load. Plates that bear
  load are spared, rods that bear none vanish. The 73 % of Liu, Guo 2008 is of other bone. Finer voxels do not raise
  the share, so that thin plates read as rods at 50 um are not what decides.
"""


@dataclass
class Life:
    """What one bone came to: rows by (symbol, year), bones at some years."""

    name: str
    rows: dict[tuple[str, float], float]
    bones: dict[float, Volume]
    voxels: tuple[int, int, int]
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
    kept = KEPT_IN[0] / f"{name}.pickle" if KEPT_IN else None
    if kept is not None and kept.exists():
        return pickle.loads(kept.read_bytes())
    life = _lived(name, bone, study, measured)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(life))
    return life


def _lived(name: str, bone: Volume, study: Study, measured: tuple[float, ...]) -> Life:
    life, began = Life(name, {}, {}, bone.shape), time.perf_counter()
    model = build(bone, study)

    class Keeper:
        def report(self, moment: Moment) -> None:
            year = round(moment.time_yr - BEFORE, 1)
            life.rows |= {(row.symbol, year): row.value for row in moment.rows}
            if year in measured:
                life.bones[year] = moment.bone
                table = measure(moment.bone, None, "exact", "half", thickness=True)
                life.rows |= {(row.symbol, year): row.value for row in table}

        def save(self, moment: Moment) -> None: ...

    run(first_state(model, bone), model, study, bone, [Keeper()])
    life.seconds = time.perf_counter() - began
    print(f"{name}: {life.seconds:.0f} s", flush=True)
    return life


def study_of(years: float = BEFORE + UNTIL, **more: dict) -> Study:
    """Natural menopause at 51."""
    values: dict[str, dict] = {
        "time": {"years": years, "burn_in_years": 2.0, "step_days": 10.0},
        "patient": {"age_at_start_years": 51.0 - BEFORE, "menopause_after_start_years": BEFORE},
        "osteocytes": {"on": True},
        "load": LOAD,
        "report": {"thickness": False},
    }
    return Study().with_values(**{**values, **more})


def verdict(value: float, low: float, high: float) -> str:
    """Whether a value lies in a band, in words."""
    return "yes" if low <= value <= high else "**miss**"


def mean(lives: list[Life], symbol: str, first: float, last: float) -> float:
    """Mean change over donors [%]."""
    return float(np.mean([life.change(symbol, first, last) for life in lives]))


def donor_lines(lives: list[Life]) -> Iterator[str]:
    """Every donor."""
    columns = "donor", "voxels", "BV/TV at -2 yr", "-2 to 0", "0 to +2", "+2 to +7", "-1 to +2", "10 yr", "15 yr"
    yield "| " + " | ".join((*columns, "Tb.N", "Tb.Sp", "Tb.Th")) + " |"
    yield "|---" * 12 + "|"
    yield "| | | % | %/yr | %/yr | %/yr | % | % | % | % | % | % |"
    for life in lives:
        spans = ((-2.0, 0.0), (0.0, 2.0), (2.0, 7.0))
        phases = [life.change("BV/TV", *span) / (span[1] - span[0]) for span in spans]
        totals = [life.change("BV/TV", first, last) for first, last in ((-1.0, 2.0), (0.0, 10.0), (0.0, 15.0))]
        shape = [life.change(symbol, -2.0, 15.0) for symbol in ("Tb.N", "Tb.Sp", "Tb.Th")]
        edges = "x".join(str(n) for n in life.voxels)
        values = " | ".join(f"{value:+.1f}" for value in (*phases, *totals, *shape))
        yield f"| {life.name} | {edges} | {life.at('BV/TV', -2.0):.1f} | {values} |"


def mineral_lines(lives: list[Life]) -> Iterator[str]:
    """Mineral of every donor."""
    columns = "donor", "vBMD at -2 yr", "-2 to 0", "0 to +2", "+2 to +7", "-1 to +2", "10 yr", "15 yr"
    yield "| " + " | ".join((*columns, "TMD at -2 yr", "0", "+2", "+7", "+15")) + " |"
    yield "|---" * 13 + "|"
    yield "| | mgHA/cm3 | %/yr | %/yr | %/yr | % | % | % | mgHA/cm3 | | | | |"
    for life in lives:
        spans = ((-2.0, 0.0), (0.0, 2.0), (2.0, 7.0))
        phases = [life.change("vBMD", *span) / (span[1] - span[0]) for span in spans]
        totals = [life.change("vBMD", first, last) for first, last in ((-1.0, 2.0), (0.0, 10.0), (0.0, 15.0))]
        values = " | ".join(f"{value:+.1f}" for value in (*phases, *totals))
        tissue = " | ".join(f"{life.at('TMD', year):.0f}" for year in (-2.0, 0.0, 2.0, 7.0, 15.0))
        yield f"| {life.name} | {life.at('vBMD', -2.0):.0f} | {values} | {tissue} |"


def mode_lines(lives: list[Life]) -> Iterator[str]:
    """Loss modes over the years, and osteocytes."""
    yield "| donor | perforation | rod breakage | islands | share of all loss | N.Ot/BV at -2 | at +15 | Lc.E at +15 |"
    yield "|---" * 8 + "|"
    yield "| | % of the three | % | % | % | 1/mm3 | 1/mm3 | % |"
    for life in lives:
        modes = modes_of(life)
        cells = life.at("N.Ot/BV", -2.0), life.at("N.Ot/BV", 15.0), life.at("Lc.E", 15.0)
        yield (
            f"| {life.name} | {modes[0]:.1f} | {modes[1]:.1f} | {modes[2]:.1f} | {modes[3]:.1f} | {cells[0]:.0f} | "
            f"{cells[1]:.0f} | {cells[2]:.1f} |"
        )


def modes_of(life: Life) -> tuple[float, float, float, float]:
    """(perforation, rod breakage, islands) as shares of their sum, and that sum of all lost bone [%]."""
    islands = life.at("Is.V.lost", 15.0) - life.at("Is.V.lost", -2.0)
    table = loss_rows(life.bones[-2.0], life.bones[15.0], island_volume_mm3=islands)
    volumes = [table[symbol].value for symbol in ("Pl.Pf.V", "Rod.Bk.V", "Is.LV")]
    three = max(sum(volumes), 1e-12)
    parts = [100.0 * volume / three for volume in volumes]
    return parts[0], parts[1], parts[2], 100.0 * three / (three + table["Thin.V"].value)


def why_lines() -> Iterator[str]:
    """What the misses come from, as far as it can be tried: voxel size, load, chance."""
    columns = "-2 to 0", "0 to +2", "+2 to +7", "+7 to +15", "10 yr", "vBMD halved, -1 to +2"
    yield "| variant | seed | " + " | ".join((*columns, "perforation", "rod breakage", "islands")) + " |"
    yield "|---" * 11 + "|"
    yield "| | | %/yr | %/yr | %/yr | %/yr | % | % | % of the three | % | % |"
    name, file, voxel_um, _, _ = DONORS[0]
    for variant, work_um, load in VARIANTS:
        volume = read(DATA / file, voxel_um)
        starts = [(n - VARIANT_EDGE) // 2 for n in volume.shape]
        grey = crop(volume, tuple((start, start + VARIANT_EDGE) for start in starts))
        bone = segment(grey if work_um is None else resample(grey, work_um), "otsu", 0.0, True)
        for seed in SEEDS:
            life = lived(f"{name}, {variant}, seed {seed}", bone, study_of(remodeling={"seed": seed}, load=load))
            spans = ((-2.0, 0.0), (0.0, 2.0), (2.0, 7.0), (7.0, 15.0))
            rates = [life.change("BV/TV", *span) / (span[1] - span[0]) for span in spans]
            totals = life.change("BV/TV", 0.0, 10.0), spine([life], "vBMD", (-1.0, 2.0), "%")
            values = " | ".join(f"{value:+.1f}" for value in (*rates, *totals))
            modes = " | ".join(f"{value:.0f}" for value in modes_of(life)[:3])
            yield f"| {variant} | {seed} | {values} | {modes} |"


def load_lines(lives: list[Life]) -> Iterator[str]:
    """The same donors with and without load: what load decides."""
    bare = []
    for name, file, voxel_um, edge, work_um in DONORS:
        bone = bone_of(file, voxel_um, edge, work_um)
        bare.append(lived(f"{name}, no load", bone, study_of(load=NO_LOAD)))
    columns = " | ".join(f"{name}, {unit}" for name, _, unit, _, _ in SPINE)
    yield f"| mean of the five donors, halved | {columns} | perforation | rod breakage | islands |"
    yield "|---" * (len(SPINE) + 4) + "|"
    for words, those in (("load", lives), ("no load", bare)):
        modes = " | ".join(f"{share:.0f}" for share in np.mean([modes_of(life)[:3] for life in those], axis=0))
        for symbol in ("vBMD", "BV/TV"):
            values = " | ".join(f"{spine(those, symbol, *row[1:3]):+.1f}" for row in SPINE)
            yield f"| {symbol}, {words} | {values} | {modes} |"


def spine(lives: list[Life], symbol: str, span: tuple[float, float], unit: str) -> float:
    """Half of the mean change over donors, in all [%] or each year [%/yr]."""
    return 0.5 * mean(lives, symbol, *span) / (span[1] - span[0] if unit == "%/yr" else 1.0)


def target_lines(lives: list[Life], shaft: Life) -> Iterator[str]:
    """Every target beside our mean over donors."""
    yield "| outcome | target | source | of | ours | BV/TV | how compared | within |"
    yield "|---" * 8 + "|"

    def line(outcome: str, target: str, source: str, value: float, how: str, low: float, high: float) -> str:
        symbol = outcome.split()[0] if outcome.startswith("Tb.") else "lost volume"
        return f"| {outcome} | {target} | {source} | {symbol} | {value:+.1f} | | {how} | {verdict(value, low, high)} |"

    half = "half of the loss: a spine is half trabecular (unverified); band 30 %"
    for name, span, unit, target, source in SPINE:
        mineral, volume = (spine(lives, symbol, span, unit) for symbol in ("vBMD", "BV/TV"))
        yield (
            f"| spine, {name}, {unit} | {target} | {source} | vBMD | {mineral:+.1f} | {volume:+.1f} | {half} | "
            f"{verdict(mineral, 1.3 * target, 0.7 * target)} |"
        )
    loss, denser = (mean(lives, symbol, -2.0, 15.0) for symbol in ("BV/TV", "vBMD"))
    for symbol, ratio in (("Tb.N", 13.0 / 27.0), ("Tb.Sp", -24.0 / 27.0)):
        value, wanted = mean(lives, symbol, -2.0, 15.0), ratio * loss
        how = f"scaled to our loss of BV/TV (to that of vBMD: {ratio * denser:+.1f}); band half"
        bounds = sorted((0.5 * wanted, 1.5 * wanted))
        outcome, source = f"{symbol} for the loss of BV/TV, %", "Khosla 2006: radius, 20 to 90 yr"
        yield line(outcome, f"{wanted:+.1f}", source, value, how, *bounds)
    modes = np.mean([modes_of(life)[:3] for life in lives], axis=0)
    for name, target, value in zip(
        ("plate perforation", "rod breakage", "islands"), (73.2, 18.9, 7.9), modes, strict=True
    ):
        yield line(
            f"{name}, % of the three", f"{target}", "Liu, Guo 2008, 15 yr", float(value),
            "17 yr; thinning apart, which they do not count; band half", 0.5 * target, 1.5 * target,
        )  # fmt: skip
    losses = [shaft.change(f"{tag}.BV", -2.0, 15.0) for tag in ("Tb", "Ec", "Ic")]
    ordered = losses[0] < losses[1] < losses[2]
    yield (
        "| order of compartments | trabecular first, cortex later | Riggs 2008; Zebaze 2010 | bone volume | "
        f"trabecular {losses[0]:+.1f}, endocortical {losses[1]:+.1f}, intracortical {losses[2]:+.1f} % | | "
        f"made piece of shaft, -2 to +15 yr | {'yes' if ordered else '**miss**'} |"
    )
    porosity = shaft.at("Ct.Po.now", -2.0), shaft.at("Ct.Po.now", 15.0)
    yield (
        "| cortical porosity at 49 and 66 yr, % | 3 to 5, toward 20 by 80 | Zebaze 2010 and others | Ct.Po | "
        f"{porosity[0]:.1f}, {porosity[1]:.1f} | | cortex as at first, of a made bone; from 4 at 50 to 20 at 80 by "
        f"a line: 12 at 66; rise within 30 % | {verdict(porosity[1] - porosity[0], 0.7 * 8.5, 1.3 * 8.5)} |"
    )


def page(quick: bool) -> str:
    """The whole page."""
    lives = []
    for name, file, voxel_um, edge, work_um in DONORS[: 1 if quick else None]:
        lives.append(lived(name, bone_of(file, voxel_um, edge // (2 if quick else 1), work_um), study_of()))
    cortical = sample("cortical", 1.6 if quick else 2.8, 40.0, 1, cortical_thickness_mm=0.8 if quick else 1.5)
    shaft = lived("made piece of shaft", cortical, study_of(compartments={"find": "scan"}, load=NO_LOAD), measured=())
    why = [] if quick else [WHY, *load_lines(lives), "", WHY_PART, *why_lines(), "", WHY_END]
    minutes = sum(life.seconds for life in (*lives, shaft)) / 60.0
    lines = [HEAD, "## Targets", "", *target_lines(lives, shaft), "", "## Donors", ""]
    lines += ["Loss of bone volume by phase and in sum; Tb.N, Tb.Sp and Tb.Th from -2 to +15 years.", ""]
    lines += [*donor_lines(lives), ""]
    lines += ["Loss of vBMD by phase and in sum; mineral of tissue (TMD) at some years.", "", *mineral_lines(lives)]
    lines += ["", "## How bone was lost, and its osteocytes", "", *mode_lines(lives), ""]
    lines += ["## The made piece of shaft", ""]
    lines += ["| year | Tb.BV | Ec.BV | Ic.BV | Ct.Po.now | Tb.Ac.f | Ec.Ac.f | Ic.Ac.f |"]
    lines += ["|---" * 8 + "|", "| | mm3 | mm3 | mm3 | % | 1/yr | 1/yr | 1/yr |"]
    for year in (-2.0, 0.0, 2.0, 5.0, 10.0, 15.0):
        symbols = ("Tb.BV", "Ec.BV", "Ic.BV", "Ct.Po.now", "Tb.Ac.f", "Ec.Ac.f", "Ic.Ac.f")
        lines.append(f"| {year:+g} | " + " | ".join(f"{shaft.at(symbol, year):.3g}" for symbol in symbols) + " |")
    lines += [
        "",
        f"All runs together took {minutes:.1f} minutes, compilation and the machine's other work included.",
        "",
        *why,
    ]
    return "\n".join(lines)


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


def main() -> None:
    """Write the page."""
    quick = quick_wanted(__doc__, keeps=True)
    made = page(quick)
    if quick:
        print(made)
    else:
        PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
