"""What the tables of docs/natural-history.md say of its misses, in words whose every number is taken from them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import numpy as np
from natural_history_lives import COUNTED, Life, mean, modes_of, shares, spine

from microct.morphometry.loss_modes import loss_modes


def range_of(values: Iterable[float], form: str = ".1f") -> str:
    """The least and the largest of some numbers, in words."""
    ordered = sorted(float(value) for value in values)
    return f"{ordered[0]:{form}} to {ordered[-1]:{form}}"


def why_words(lives: list[Life], bare: list[Life], tried: dict[str, list[Life]], shaft: Life) -> Iterator[str]:
    """What the tables above say of the misses; every number is taken from them."""

    def early(those: list[Life]) -> str:
        return range_of((life.change("BV/TV", -2.0, 0.0) / 2.0 for life in those), "+.1f")

    fine, coarse = (tried[variant] for variant in ("as above", "voxels of the scan, 50 um"))
    ratio = mean(lives, "vBMD", -1.0, 2.0) / mean(lives, "BV/TV", -1.0, 2.0)
    yield (
        "- **Early loss** is part mineral: bone of high turnover is young and holds less. From -1 to +2 vBMD "
        f"falls by {ratio:.1f} times as much as BV/TV. Before the final period the cells ask for little: their "
        "estrogen is that of Sowers 2008 and Randolph 2011, steady until -2 and falling fastest at 0, and a BMU "
        "takes months to show as loss. Voxels: from -2 to 0 BV/TV of the part of one donor above changes by "
        f"{early(fine)} %/yr, by {early(coarse)} on the 50 um of its scan."
    )
    tissue = range_of(-life.change("TMD", 0.0, 10.0) for life in lives)
    late, bony = (spine(lives, symbol, (2.0, 7.0), "%/yr") for symbol in ("vBMD", "BV/TV"))
    yield (
        f"- **Late loss**, +2 to +7, is {late:+.1f} %/yr by mineral and {bony:+.1f} by BV/TV: TMD falls by "
        f"{tissue} % in ten years, as turnover stays high (docs/validation.md has the sources for that, which "
        "disagree) and what bone is left has more surface. No measured TMD over such a span was found. The law of "
        "mineralization was fitted to healthy bone and to three years of zoledronate. Halving the loss assumes that "
        "cortex keeps its mineral: in "
        f"the made piece of shaft TMD changes by {shaft.change('TMD', 0.0, 10.0):+.1f} % in ten years."
    )
    unloaded = spine(bare, "vBMD", (2.0, 7.0), "%/yr")
    yield (
        f"- **Load**: from +2 to +7 the spine loses {-late:.1f} % a year with it, {-unloaded:.1f} % without. A "
        "cube of 2 mm is too small to show it (two seeds each, above)."
    )
    sparse = sorted(lives, key=lambda life: life.at("BV/TV", -2.0))[:2]
    named = " and ".join(f"{life.name} ({life.at('BV/TV', -2.0):.1f} %)" for life in sparse)
    thicker = " and ".join(f"{life.change('Tb.Th', -2.0, 15.0):+.0f}" for life in sparse)
    yield (
        f"- **The sparsest bones**, {named}, may have been old already: the donors' ages are not known. "
        f"Tb.Th of what is left of them changes by {thicker} %."
    )
    yield from mode_words(lives, bare, tried)


def mode_words(lives: list[Life], bare: list[Life], tried: dict[str, list[Life]]) -> Iterator[str]:
    """What was tried on plates and rods."""

    def mixed(parts: Iterable[tuple[float, ...]]) -> str:
        return ", ".join(f"{share:.0f}" for share in np.mean([part[:3] for part in parts], axis=0))

    courses = [life.course for life in lives if life.course is not None]
    whole = mixed(shares(loss_modes(course.first, course.last).volume) for course in courses)
    refilled = [
        100.0 * (1.0 - sum(c.found.volume[mode] for c in courses) / max(sum(c.made[mode] for c in courses), 1e-12))
        for mode in COUNTED[:2]
    ]
    yield (
        f"- **Plates and rods**, in the order perforation, rod breakage, islands: {mixed(map(modes_of, lives))} % "
        f"of the three with load, {mixed(map(modes_of, bare))} % without. Loss is judged each half year and "
        "summed, as the source judges each cycle of 200 days. One comparison of the first and the last bone "
        f"would say {whole} %. Of the bone that perforations take {refilled[0]:.0f} % comes back or was new bone, "
        f"of that of cut rods {refilled[1]:.0f} %, whereas in the source no cavity is refilled that perforates, "
        "breaks or cuts off, and every other one is refilled whole, so that no plate thins. Counted when they "
        f"are made, the three are {mixed(shares(course.made) for course in courses)} %. Its bones are 18 of spine "
        f"and femoral neck; ours are {len(lives)} others."
    )
    parts = (f"{variant}: {mixed(map(modes_of, those))}" for variant, those in tried.items())
    yield f"  The part of one donor, two seeds: {'; '.join(parts)} %."


def fill(words: str) -> str:
    """An entry of a list, in lines of the page's width."""
    return textwrap.fill(words, 120, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
