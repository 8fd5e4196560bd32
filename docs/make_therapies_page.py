"""Makes docs/therapies.md from real vertebrae: ``python docs/make_therapies_page.py`` (75 minutes on one core;
``--keep FOLDER`` keeps lives as they end).

CONTRIBUTING.md says where the scans can be had; without them nothing is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from make_fragility_page import with_range
from natural_history_lives import Life, mean, quick_wanted
from natural_history_words import fill
from therapy_lives import AFTER, AGE, ARMS, BEFORE, MENOPAUSE, VERTEBRAE, treated
from therapy_words import therapy_words

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PAGE = Path(__file__).parent / "therapies.md"
PICTURE = Path(__file__).parent / "therapies.png"
UNTREATED = ARMS[0].name
SEEDS = (1, 2)
#: Years after the first dose that are tabled.
TOLD = (0.5, 1.0, 1.5, 2.0, 3.0)
#: Colors of the arms after the untreated, no gray among them.
COLORS = ("C1", "C2", "C3", "C4", "C5", "C6", "C9", "C8")
#: What is tabled for each arm: symbol, what it is.
TOLD_OF = (
    ("vBMD", "density of the cube, mineral over its volume"),
    ("BV/TV", "bone volume"),
    ("TMD", "mineral of the tissue"),
    ("F.ult", "failure load along z"),
    ("E.app", "stiffness along z"),
)
#: Where a change is "within": so much of what was measured, and at least so many percent; by symbol.
BANDS = {"vBMD": (0.3, 2.0), "BV/TV": (0.3, 2.0), "TMD": (0.3, 1.0), "F.ult": (0.5, 4.0), "Tb.N": (0.5, 4.0)}


@dataclass(frozen=True)
class Target:
    """What a trial measured: change [%] of what, when, and against "baseline" or "untreated"."""

    arm: str
    symbol: str
    year: float
    against: str
    percent: float
    what: str
    source: str

    def ours(self, lives: dict[str, list[Life]]) -> float:
        """The same of our bones: mean change; against the untreated, the difference of mean changes in percent."""
        change = mean(lives[self.arm], self.symbol, 0.0, self.year)
        rest = mean(lives[UNTREATED], self.symbol, 0.0, self.year) if self.against == UNTREATED else 0.0
        return change - rest

    def verdict(self, lives: dict[str, list[Life]]) -> str:
        """Whether ours lies within the band."""
        share, least = BANDS[self.symbol]
        within = abs(self.ours(lives) - self.percent) <= max(share * abs(self.percent), least)
        return "yes" if within else "**miss**"


_FREEDOM = "FREEDOM, n 51 and 48, Keaveny 2014, doi:10.1002/jbmr.2024"
_FACT = "FACT, McClung 2005, doi:10.1001/archinte.165.15.1762"
_FACT_FE = "FACT, n 28 and 25, Keaveny 2007, doi:10.1359/jbmr.061011 (unverified)"
_TERABIT = "TERABIT, n 25 and 29, Takahashi 2024, Bone 117189"
_EUROFORS = "EUROFORS, n 44, SE 4.0 and 4.7, Graeff 2009, doi:10.1359/jbmr.090416"
_POOLE = "n 17 and 19, Poole 2022, doi:10.1002/jbmr.4465, by a report of it"
_PHASE2 = "Keaveny 2017, doi:10.1002/jbmr.3176 (unverified)"
_RECKER = "n 88 in both arms, Recker 2005, Curr Med Res Opin 21:185"
_EASTELL = "HORIZON, n 233, Eastell 2010, doi:10.1007/s00198-009-1077-9"
_MISOF = "HORIZON, n 152, Misof 2013, doi:10.1002/jbmr.1780; the law of mineral was fitted to it"
_JIANG = "n 32, Jiang 2003, doi:10.1359/jbmr.2003.18.11.1932"
_ALENDRONATE, _TERIPARATIDE = "alendronate", "teriparatide, stopped at 2"
_ROMOSOZUMAB = "romosozumab, denosumab from 1"
_SPINE, _L1, _BODY = "spine by QCT", "trabecular bone of L1 by CT", "a whole vertebra by CT"
_STRENGTH = "strength of a vertebra, FE of QCT"
_BIOPSIES = "iliac biopsies at 2 to 3 years, 19.4 against 16.2 %"
TARGETS = (
    Target(UNTREATED, "F.ult", 3.0, "baseline", -4.2, _STRENGTH, _FREEDOM),
    Target(_ALENDRONATE, "vBMD", 1.5, "baseline", 3.8, _SPINE, _FACT),
    Target(_ALENDRONATE, "vBMD", 1.5, "baseline", 11.1, f"{_BODY}, alendronate or risedronate", _TERABIT),
    Target(_ALENDRONATE, "F.ult", 1.5, "baseline", 4.0, _STRENGTH, _FACT_FE),
    Target(_ALENDRONATE, "BV/TV", 3.0, UNTREATED, 19.8, _BIOPSIES, _RECKER),
    Target(_ALENDRONATE, "Tb.N", 3.0, UNTREATED, 11.5, "the same, 1.46 against 1.31 /mm", _RECKER),
    Target("zoledronate", "vBMD", 3.0, UNTREATED, 5.7, _SPINE, _EASTELL),
    Target("zoledronate", "TMD", 3.0, UNTREATED, 3.2, "calcium of iliac cancellous bone", _MISOF),
    Target("denosumab", "F.ult", 3.0, "baseline", 18.2, _STRENGTH, _FREEDOM),
    Target(_TERIPARATIDE, "vBMD", 1.0, "baseline", 22.2, _L1, _POOLE),
    Target(_TERIPARATIDE, "vBMD", 1.5, "baseline", 19.0, _SPINE, _FACT),
    Target(_TERIPARATIDE, "vBMD", 1.5, "baseline", 34.8, _BODY, _TERABIT),
    Target(_TERIPARATIDE, "vBMD", 2.0, "baseline", 19.1, "T12 by QCT", _EUROFORS),
    Target(_TERIPARATIDE, "F.ult", 1.0, "baseline", 18.5, _STRENGTH, _PHASE2),
    Target(_TERIPARATIDE, "F.ult", 2.0, "baseline", 28.1, _STRENGTH, _EUROFORS),
    Target(_TERIPARATIDE, "BV/TV", 1.5, "baseline", 14.0, "iliac biopsies, 19 months, median", _JIANG),
    Target(_ROMOSOZUMAB, "vBMD", 1.0, "baseline", 18.1, _L1, _POOLE),
    Target(_ROMOSOZUMAB, "F.ult", 1.0, "baseline", 27.3, _STRENGTH, _PHASE2),
)

HEAD = f"""# Therapies on voxels

Made by `python docs/make_therapies_page.py`; do not edit. Three scans of human vertebrae
([natural history](natural-history.md)) are those of women of {AGE:.0f}, {AGE - MENOPAUSE:.0f} years after their final
period: {BEFORE:.0f} years untreated, then {AFTER:.0f} under a drug, {len(SEEDS)} times each with other seeds. All live
under the load of their scan (micro-FE along z once a year) with mineral by the age of tissue. Nothing was fitted to
these runs: the drugs act on cells, whose constants come from markers, biopsies and DXA
([validation of the cells](validation.md)). A run's own columns are told, as `microct run` writes them. The fourth
vertebra of that page was left out after a first trial of this one: at the first dose it held 31 mgHA/cm3 and carried
2 N, and its changes in percent ruled every mean.

What trials measured is not the same quantity. QCT sees a whole vertebral body or its middle, ours is a cube of 3.6 mm
of trabecular bone. Strength by FE of QCT is that of a body with its cortex; ours is the failure load of the cube by
Pistoia's criterion, each voxel with the modulus of its mineral. Baselines differ. So a change is called within where it
lies within 30 % of that measured (density; at least 2 points) or 50 % (strength, and number of trabeculae; at least 4
points), by bands that were set before the runs. A miss is called a miss. Numbers marked (unverified) were not seen in
the source; all others were seen in its abstract, where nothing else is said.
"""


def target_lines(lives: dict[str, list[Life]], by_seed: list[dict[str, list[Life]]]) -> Iterator[str]:
    """Each target beside ours, and what chance does to it."""
    yield "| arm | quantity | year | against | measured, % | ours, % | by seed | within | measured in | source |"
    yield "|---" * 10 + "|"
    for target in TARGETS:
        chance = ", ".join(f"{target.ours(one):+.1f}" for one in by_seed)
        yield (
            f"| {target.arm} | {target.symbol} | {target.year:g} | {target.against} | {target.percent:+.1f} "
            f"| {target.ours(lives):+.1f} | {chance} | {target.verdict(lives)} | {target.what} | {target.source} |"
        )
    held = sum(target.verdict(lives) == "yes" for target in TARGETS)
    yield ""
    yield f"Within: {held} of {len(TARGETS)}."


def course_lines(lives: dict[str, list[Life]], symbol: str) -> Iterator[str]:
    """Change of a quantity under each arm."""
    yield f"| arm | {' | '.join(f'{year:g} yr' for year in TOLD)} |"
    yield "|---" * (len(TOLD) + 1) + "|"
    for arm, those in lives.items():
        yield f"| {arm} | {' | '.join(f'{mean(those, symbol, 0.0, year):+.1f}' for year in TOLD)} |"


def structure_lines(lives: dict[str, list[Life]]) -> Iterator[str]:
    """Architecture and turnover at the end."""
    symbols = "Tb.Th", "Tb.N", "Tb.Sp", "Conn.D", "BS/TV"
    yield "| arm | " + " | ".join((*symbols, "Ac.f", "MS/BS at 1 yr", "ES/BS at 1 yr", "TMD")) + " |"
    yield "|---" * 10 + "|"
    yield "| | " + "% | " * len(symbols) + "1/yr | % | % | mgHA/cm3 |"
    for arm, those in lives.items():
        changes = " | ".join(f"{mean(those, symbol, 0.0, AFTER):+.1f}" for symbol in symbols)
        levels = (("Ac.f", AFTER, ".2f"), ("MS/BS", 1.0, ".1f"), ("ES/BS", 1.0, ".1f"), ("TMD", AFTER, ".0f"))
        told = " | ".join(
            f"{np.mean([life.at(symbol, year) for life in those]):{form}}" for symbol, year, form in levels
        )
        yield f"| {arm} | {changes} | {told} |"


def donor_lines(lives: dict[str, list[Life]]) -> Iterator[str]:
    """Each vertebra at its first dose, and its change under each arm."""
    yield "| vertebra | BV/TV | vBMD | failure load | " + " | ".join(lives) + " |"
    yield "|---" * (4 + len(lives)) + "|"
    yield "| | % | mgHA/cm3 | N | " + "% | " * len(lives)
    for name, *_ in VERTEBRAE:
        of = {arm: [life for life in those if life.name == name] for arm, those in lives.items()}
        if not of[UNTREATED]:
            continue
        first = [np.mean([life.at(symbol, 0.0) for life in of[UNTREATED]]) for symbol in ("BV/TV", "vBMD", "F.ult")]
        changes = (with_range([life.change("vBMD", 0.0, AFTER) for life in those], "+.1f") for those in of.values())
        yield f"| {name} | {first[0]:.1f} | {first[1]:.0f} | {first[2]:.1f} | " + " | ".join(changes) + " |"


def picture(lives: dict[str, list[Life]], place: Path) -> None:
    """Density and failure load over the years, mean of all lives of an arm."""
    figure, panels = plt.subplots(1, 2, figsize=(11.0, 4.8), dpi=110, sharex=True)
    years = np.arange(-BEFORE, AFTER + 0.25, 0.5)
    titles = ("density of trabecular bone, vBMD", "vBMD"), ("failure load along z", "F.ult")
    for panel, (title, symbol) in zip(panels, titles, strict=True):
        ends = []
        for number, (arm, those) in enumerate(lives.items()):
            color = "0.35" if arm == UNTREATED else COLORS[number - 1]
            course = [mean(those, symbol, 0.0, year) for year in years]
            panel.plot(years, course, color=color, lw=2.4 if arm == UNTREATED else 1.6)
            panel.plot([], [], color=color, lw=1.6, label=arm)
            ends.append(course)
        panel.axhline(0.0, color="0.8", lw=0.8, zorder=0)
        panel.axvline(0.0, color="0.8", lw=0.8, zorder=0)
        panel.set(xlabel="years from the first dose", ylabel="change from the first dose [%]", title=title)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.tight_layout()
    figure.savefig(place)


def page(lives: dict[str, list[Life]], by_seed: list[dict[str, list[Life]]]) -> Iterator[str]:
    """The page's lines, without its head."""
    yield from ("## Trials", "", *target_lines(lives, by_seed), "")
    yield from (f"![density and strength over the years]({PICTURE.name})", "")
    yield from ("## What the tables say", "", *(fill(words) for words in therapy_words(lives, by_seed)), "")
    yield from ("## Courses", "", "Mean change from the first dose [%].", "")
    for symbol, what in TOLD_OF:
        yield from (f"{symbol}, {what}:", "", *course_lines(lives, symbol), "")
    yield from (f"## Architecture and turnover {AFTER:.0f} years after the first dose", "", *structure_lines(lives), "")
    yield from (
        "## Vertebrae", "",
        f"At the first dose, and the change of vBMD in {AFTER:.0f} years: mean of the lives, the least and the most.",
        "", *donor_lines(lives), "",
    )  # fmt: skip


def by_arm(lives: Sequence[tuple[str, int, Life]], seeds: Sequence[int]) -> dict[str, list[Life]]:
    """Lives of each arm, of some seeds."""
    return {arm.name: [life for name, seed, life in lives if name == arm.name and seed in seeds] for arm in ARMS}


def main() -> None:
    """Write the page and its picture."""
    quick = quick_wanted(__doc__, keeps=True)
    lives = []
    for seed in SEEDS[: 1 if quick else None]:
        for arm in ARMS:
            for donor in VERTEBRAE[: 1 if quick else None]:
                lives.append((arm.name, seed, treated(arm, donor, seed, part=3 if quick else 1)))
    every = by_arm(lives, SEEDS)
    lines = list(page(every, [by_arm(lives, [seed]) for seed in dict.fromkeys(seed for _, seed, _ in lives)]))
    if quick:
        print("\n".join(lines))
        return
    picture(every, PICTURE)
    PAGE.write_text("\n".join([HEAD, *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
