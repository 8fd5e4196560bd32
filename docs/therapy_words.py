"""What the tables of docs/therapies.md say of gains and misses, in words whose every number is taken from them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from natural_history_lives import Life, mean
from natural_history_words import range_of
from therapy_lives import AFTER

Lives = dict[str, list[Life]]
#: Arms under one drug that slows resorption, and no other.
ANTIRESORPTIVE = ("alendronate", "zoledronate", "denosumab", "raloxifene", "hrt")
UNTREATED, ENDED, FORMED = "untreated", "denosumab, stopped at 2", "teriparatide, stopped at 2"
#: Least change of density beside which a change of strength is told [%].
TOLD_FROM = 3.0


def level(lives: list[Life], symbol: str, year: float) -> float:
    """Mean of a column at a year after the first dose."""
    return float(np.mean([life.at(symbol, year) for life in lives]))


def therapy_words(lives: Lives, by_seed: list[Lives]) -> Iterator[str]:
    """What the tables say; every number is taken from them."""
    yield from (gain_words(lives), forming_words(lives), trial_words(lives), strength_words(lives))
    yield from (stop_words(lives), untreated_words(lives), chance_words(by_seed))


def gain_words(lives: Lives) -> str:
    """What a drug that slows resorption gains, and when."""
    parts = "; ".join(
        f"{arm} {mean(lives[arm], 'vBMD', 0.0, AFTER):+.1f} (bone {mean(lives[arm], 'BV/TV', 0.0, AFTER):+.1f}, its "
        f"mineral {mean(lives[arm], 'TMD', 0.0, AFTER):+.1f})"
        for arm in ANTIRESORPTIVE
    )
    early = range_of((mean(lives[arm], "BV/TV", 0.0, 0.5) for arm in ANTIRESORPTIVE), "+.1f")
    before, after = level(lives[UNTREATED], "Rm.Sp", 0.0), level(lives["zoledronate"], "Rm.Sp", 0.5)
    return (
        f"- **Drugs that slow resorption** add bone and mineral. After {AFTER:.0f} years, % of vBMD: {parts}. Bone "
        "comes early: cavities at work are refilled while few are opened. At the first dose they are "
        f"{before:.1f} % of the bone, half a year of zoledronate later {after:.1f} %; bone volume changes by {early} % "
        "in the first half year. Later years add mineral."
    )


def forming_words(lives: Lives) -> str:
    """Why teriparatide comes late."""
    bone, mineral, density = (mean(lives[FORMED], symbol, 0.0, 1.0) for symbol in ("BV/TV", "TMD", "vBMD"))
    births = level(lives[FORMED], "Ac.f", 1.0) / level(lives[UNTREATED], "Ac.f", 1.0)
    return (
        f"- **Teriparatide comes late.** After a year bone volume is {bone:+.1f} % and its mineral {mineral:+.1f} %, "
        f"so that density is {density:+.1f} % where CT finds +22.2 %; births are {births:.1f} times those of the "
        "untreated, and each takes bone before it gives more. Osteoid counts as bone without mineral here, and young "
        "bone as soft, so that strength follows later still. BV/TV of iliac biopsies is nearer: +14.0 % after 19 "
        f"months, here {mean(lives[FORMED], 'BV/TV', 0.0, 1.5):+.1f} %."
    )


def trial_words(lives: Lives) -> str:
    """Trials beside each other."""
    slow, fast = (mean(lives[arm], "vBMD", 0.0, 1.5) for arm in ("alendronate", FORMED))
    return (
        "- **Trials disagree** by more than our seeds do. By CT at 18 months alendronate gains 3.8 % in FACT, 11.1 % "
        f"in TERABIT (ours {slow:+.1f}), teriparatide 19.0 and 34.8 % (ours {fast:+.1f}); iliac biopsies hold 19.8 % "
        "more bone under alendronate than under placebo. Where ours gains more than QCT of the spine finds, a smaller "
        "remodeling space would bring it nearer: less turnover or shallower cavities before the first dose. Both come "
        "from biopsies (docs/science-cells.md), and were not adjusted."
    )


def strength_words(lives: Lives) -> str:
    """Strength beside density."""
    changes = [(mean(those, "F.ult", 0.0, AFTER), mean(those, "vBMD", 0.0, AFTER)) for those in lives.values()]
    ratios = range_of(strength / density for strength, density in changes if abs(density) > TOLD_FROM)
    return (
        f"- **Strength follows density**: with each percent of vBMD the failure load changes by {ratios} % in "
        f"{AFTER:.0f} years (arms that change by more than {TOLD_FROM:.0f} %). Trials have 1.1 (alendronate, FACT) and "
        "1.5 (teriparatide, EUROFORS: 28.1 over 19.1 %). The cube is trabecular bone alone; the cortex of a vertebral "
        "body carries part of its load, and changes less."
    )


def stop_words(lives: Lives) -> str:
    """What is left after the last dose."""
    ended, formed, untreated = lives[ENDED], lives[FORMED], lives[UNTREATED]
    last, later = mean(ended, "vBMD", 0.0, 2.0), mean(ended, "vBMD", 0.0, AFTER)
    return (
        f"- **After the last dose** of denosumab vBMD goes from {last:+.1f} % at 2 years to {later:+.1f} % a year "
        "later, with "
        f"{level(ended, 'Ac.f', AFTER):.2f} births /yr where the untreated have {level(untreated, 'Ac.f', AFTER):.2f}; "
        "areal density of the spine was back at its baseline a year after a missed dose (FREEDOM, Cummings 2018, "
        f"abstract). After teriparatide vBMD goes from {mean(formed, 'vBMD', 0.0, 2.0):+.1f} to "
        f"{mean(formed, 'vBMD', 0.0, AFTER):+.1f} %."
    )


def untreated_words(lives: Lives) -> str:
    """Loss without a drug."""
    density, strength = (-mean(lives[UNTREATED], symbol, 0.0, AFTER) for symbol in ("vBMD", "F.ult"))
    return (
        f"- **Untreated** women lose {density:.1f} % of vBMD and {strength:.1f} % of strength in {AFTER:.0f} years. "
        "Those on FREEDOM's placebo took calcium and vitamin D, and their vertebrae had a cortex."
    )


def chance_words(by_seed: list[Lives]) -> str:
    """What another seed changes."""
    of_density, of_strength = (
        range_of(
            np.ptp([mean(seed[arm], symbol, 0.0, AFTER) for seed in by_seed]) for arm in by_seed[0]
        )
        for symbol in ("vBMD", "F.ult")
    )  # fmt: skip
    return (
        f"- **Chance**: after {AFTER:.0f} years the means of three vertebrae under the same drug lie {of_density} "
        f"points of vBMD and {of_strength} points of strength apart by {len(by_seed)} seeds. All arms of a seed are "
        "the same bone, to the last bit, until the first dose."
    )
