"""Makes docs/natural-history.md from real donors: ``python docs/make_natural_history_page.py`` (about an hour on two
cores; ``--keep FOLDER`` keeps lives as they end).

CONTRIBUTING.md says where the scans can be had; without them nothing is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from natural_history_lives import (
    DONOR_SEEDS,
    DONORS,
    LOAD,
    NO_LOAD,
    SPINE,
    Life,
    bone_of,
    lived,
    mean,
    modes_of,
    of_all_loss,
    quick_wanted,
    shares,
    spine,
    study_of,
)
from natural_history_words import fill, why_words

from microct.imaging.specimens import sample

PAGE = Path(__file__).parent / "natural-history.md"
#: One donor again, its middle 2 mm: name, voxel to work at [um], load.
VARIANTS: tuple[tuple[str, float | None, dict], ...] = (
    ("as above", 25.0, LOAD),
    ("voxels of the scan, 50 um", None, LOAD),
    ("no load", 25.0, NO_LOAD),
    ("no load, voxels of 50 um", None, NO_LOAD),
)
VARIANT_EDGE, SEEDS = 40, (1, 2)
#: Shares of all loss of vertebral bone in the model of van der Linden, Verhaar, Weinans 2001 (abstract) [%]: deficit of
#: formation, disconnected trabeculae, loose fragments.
OF_ALL_LOSS = ((69.0, 95.0), (1.0, 21.0), (1.0, 17.0))
HEAD = """# Natural history

Made by `python docs/make_natural_history_page.py`; do not edit. Five scans of human donors live through a natural
menopause at 51, from 49 to 66 years of age, under the load of their scan (micro-FE along z once a year), with
osteocytes that call BMUs (`osteocytes.on`); nothing was fitted to these bones. Years count from the final menstrual
period. Each scan begins with two years of healthy remodeling, before year -2. The births of canals were tuned on a made
piece of shaft over the same years (docs/science-remodeling.md, section 9), so that cortical porosity is no evidence.

Vertebrae: BoneBox (BSD-3-Clause, Qian Cao), the middle 3.6 mm, scanned at 50 um. LHDL 3155: the middle 3.5 mm, at
19.5 um. They live on voxels of 25 and 26 um, with a smooth surface through the scan's ([voxel size](voxel-size.md)).
A target is what a source measured, mostly by DXA of whole bones in the living: it is not the same quantity as
trabecular bone of a cube, and each line says how they were made comparable. A miss is called a miss.

Each target is compared with what its source measured. Loss of the spine by DXA (Sowers 2010; SWAN, Greendale 2012) is
loss of mineral: it is compared with our **vBMD**, the sum of bone fraction times mineral of its tissue over the volume
of the cube, and a loss of BV/TV stands beside it. Of a block whose outline stays, aBMD and vBMD fall by the same share.
Tb.N and Tb.Sp (Khosla 2006, HR-pQCT), loss modes and cortical porosity are geometry: they are compared with bone
fraction.

How bone is lost nobody has measured: both sources are models. In that of Liu, Guo 2008 bone is lost by perforation,
breakage and islands alone, since every other cavity is refilled whole; ours are shares of these three, most of our loss
being thinning. Van der Linden, Verhaar, Weinans 2001 (doi:10.1359/jbmr.2001.16.4.688) refill incompletely, as we do,
and give shares of all loss: that is the nearer comparison.

SWAN's ten years are the five before and the five after the final period (Greendale 2012, abstract). Our women are
steady before -2, as their estrogen is (Sowers 2008; Randolph 2011), so that their loss from -2 to +5 is compared with
it. SWAN sees loss begin at -1, Sowers 2010 at -2: from -2 to 0 the former says some -1.2, the latter -1.7 %/yr.
"""


WHY = """## Why the misses

With load and without. Nothing else differs, and nothing was adjusted to the targets of the donors.
"""

WHY_PART = """\
The middle 2 mm of vertebra 04216 again, two seeds each: on the scan's voxels, and without load. Columns are of BV/TV as
it is, and one of vBMD, halved as the target is.
"""


def verdict(value: float, low: float, high: float) -> str:
    """Whether a value lies in a band, in words."""
    return "yes" if low <= value <= high else "**miss**"


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
    columns = "perforation", "rod breakage", "islands", "share of all loss", "perforation, made", "breakage", "islands"
    yield "| donor | " + " | ".join((*columns, "N.Ot/BV at -2", "at +15", "Lc.E at +15")) + " |"
    yield "|---" * 11 + "|"
    yield "| | % of the three | % | % | % | % of the three | % | % | 1/mm3 | 1/mm3 | % |"
    for life in lives:
        assert life.course is not None
        modes = " | ".join(f"{share:.1f}" for share in (*modes_of(life), *shares(life.course.made)))
        cells = life.at("N.Ot/BV", -2.0), life.at("N.Ot/BV", 15.0), life.at("Lc.E", 15.0)
        yield f"| {life.name} | {modes} | {cells[0]:.0f} | {cells[1]:.0f} | {cells[2]:.1f} |"


def variants() -> dict[str, list[Life]]:
    """One donor's middle, a life for each seed: on the scan's own voxels, and without load."""
    found = {}
    name, file, voxel_um, _, _ = DONORS[0]
    for variant, work_um, load in VARIANTS:
        bone = bone_of(file, voxel_um, VARIANT_EDGE, work_um)
        found[variant] = [
            lived(f"{name}, {variant}, seed {seed}", bone, study_of(remodeling={"seed": seed}, load=load))
            for seed in SEEDS
        ]
    return found


def variant_lines(tried: dict[str, list[Life]]) -> Iterator[str]:
    """What the misses come from, as far as it can be tried: voxel size, load, chance."""
    columns = "-2 to 0", "0 to +2", "+2 to +7", "+7 to +15", "10 yr", "vBMD halved, -1 to +2"
    yield "| variant | seed | " + " | ".join((*columns, "perforation", "rod breakage", "islands")) + " |"
    yield "|---" * 11 + "|"
    yield "| | | %/yr | %/yr | %/yr | %/yr | % | % | % of the three | % | % |"
    for variant, lives in tried.items():
        for seed, life in zip(SEEDS, lives, strict=True):
            spans = ((-2.0, 0.0), (0.0, 2.0), (2.0, 7.0), (7.0, 15.0))
            rates = [life.change("BV/TV", *span) / (span[1] - span[0]) for span in spans]
            totals = life.change("BV/TV", 0.0, 10.0), spine([life], "vBMD", (-1.0, 2.0), "%")
            values = " | ".join(f"{value:+.1f}" for value in (*rates, *totals))
            modes = " | ".join(f"{value:.0f}" for value in modes_of(life)[:3])
            yield f"| {variant} | {seed} | {values} | {modes} |"


def without_load() -> list[Life]:
    """The same donors without load."""
    return [
        lived(f"{name}, no load", bone_of(file, voxel_um, edge, work_um), study_of(load=NO_LOAD))
        for name, file, voxel_um, edge, work_um in DONORS
    ]


def other_seeds() -> dict[int, list[Life]]:
    """The same donors, as chance could have it otherwise."""
    return {
        seed: [
            lived(f"{name}, seed {seed}", bone_of(file, voxel_um, edge, work_um), study_of(remodeling={"seed": seed}))
            for name, file, voxel_um, edge, work_um in DONORS
        ]
        for seed in DONOR_SEEDS[1:]
    }


def seed_lines(by_seed: dict[int, list[Life]]) -> Iterator[str]:
    """What chance does to the targets: each seed's mean over the donors."""
    columns = " | ".join(f"{name}, {unit}" for name, _, unit, _, _ in SPINE)
    yield f"| seed | {columns} | Tb.N, % | Tb.Sp, % | perforation | rod breakage | islands |"
    yield "|---" * (len(SPINE) + 6) + "|"
    for seed, those in by_seed.items():
        values = " | ".join(f"{spine(those, 'vBMD', *row[1:3]):+.1f}" for row in SPINE)
        shape = " | ".join(f"{mean(those, symbol, -2.0, 15.0):+.1f}" for symbol in ("Tb.N", "Tb.Sp"))
        modes = " | ".join(f"{share:.0f}" for share in np.mean([modes_of(life)[:3] for life in those], axis=0))
        yield f"| {seed} | {values} | {shape} | {modes} |"


def load_lines(lives: list[Life], bare: list[Life]) -> Iterator[str]:
    """The same donors with and without load: what load decides."""
    columns = " | ".join(f"{name}, {unit}" for name, _, unit, _, _ in SPINE)
    yield f"| mean of the five donors, halved | {columns} | perforation | rod breakage | islands |"
    yield "|---" * (len(SPINE) + 4) + "|"
    for words, those in (("load", lives), ("no load", bare)):
        modes = " | ".join(f"{share:.0f}" for share in np.mean([modes_of(life)[:3] for life in those], axis=0))
        for symbol in ("vBMD", "BV/TV"):
            values = " | ".join(f"{spine(those, symbol, *row[1:3]):+.1f}" for row in SPINE)
            yield f"| {symbol}, {words} | {values} | {modes} |"


def target_lines(lives: list[Life], shaft: Life) -> Iterator[str]:
    """Every target beside our mean over donors."""
    yield "| outcome | target | source | of | ours | BV/TV | how compared | within |"
    yield "|---" * 8 + "|"

    def line(outcome: str, target: str, source: str, value: float, how: str, low: float, high: float) -> str:
        symbol = outcome.split()[0] if outcome.startswith("Tb.") else "lost volume"
        return f"| {outcome} | {target} | {source} | {symbol} | {value:+.1f} | | {how} | {verdict(value, low, high)} |"

    half = "half of the loss: L3's body is 52 % trabecular (Swanpalmer 1998), cortex taken to lose nothing; band 30 %"
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
    made = np.mean([shares(life.course.made) for life in lives if life.course is not None], axis=0)
    names, targets = ("plate perforation", "rod breakage", "islands"), (73.2, 18.9, 7.9)
    for name, target, value, first in zip(names, targets, modes, made, strict=True):
        how = (
            f"17 yr, each half year; gone at the end (as made, healed ones too: {first:.0f}); thinning apart, "
            "which that model lacks; band half"
        )
        yield line(
            f"{name}, % of the three", f"{target}", "Liu, Guo 2008, 15 yr, a model", float(value), how,
            0.5 * target, 1.5 * target,
        )  # fmt: skip
    of_all = np.mean([of_all_loss(life) for life in lives], axis=0)
    for name, (low, high), value in zip(("thinning", "disconnection", "islands"), OF_ALL_LOSS, of_all, strict=True):
        how = "perforation and rod breakage" if name == "disconnection" else "formation deficit there"
        how = "loose fragments there" if name == "islands" else how
        yield line(
            f"{name}, % of all loss", f"{low} to {high}", "van der Linden 2001, up to 50 yr, a model", float(value),
            f"17 yr, each half year; {how}; their range is over parameters", low, high,
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
    why: list[str] = []
    by_seed = {DONOR_SEEDS[0]: lives}
    if not quick:
        bare, tried = without_load(), variants()
        by_seed |= other_seeds()
        why = [WHY, *load_lines(lives, bare), "", WHY_PART, *variant_lines(tried), ""]
        why += [fill(words) for words in why_words(lives, bare, tried, shaft)]
    every = [life for those in by_seed.values() for life in those]
    minutes = sum(life.seconds for life in (*every, shaft)) / 60.0
    lines = [HEAD, "## Targets", "", *target_lines(every, shaft), "", "## Chance", ""]
    lines += ["The same donors with other seeds; the spine's loss is that of vBMD, halved.", "", *seed_lines(by_seed)]
    lines += ["", "## Donors", "", f"Of seed {DONOR_SEEDS[0]}, as is all that follows.", ""]
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
        f"These runs together took {minutes:.1f} minutes, compilation included.",
        "",
        *why,
    ]
    return "\n".join(lines).rstrip() + "\n"


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
