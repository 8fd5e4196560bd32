"""All drugs at once: their constants, their amounts in the body, how those change, and what they do together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax

from microct.signalling.constants import Constant, records
from microct.signalling.drugs import (
    alendronate,
    bisphosphonate,
    denosumab,
    hrt,
    raloxifene,
    romosozumab,
    teriparatide,
    zoledronate,
)
from microct.signalling.drugs.effects import Effects, together
from microct.signalling.drugs.regimen import Regimen

REGIMENS: dict[str, Regimen] = {
    "alendronate": alendronate.REGIMEN,
    "zoledronate": zoledronate.REGIMEN,
    "denosumab": denosumab.REGIMEN,
    "teriparatide": teriparatide.REGIMEN,
    "romosozumab": romosozumab.REGIMEN,
    "raloxifene": raloxifene.REGIMEN,
    "hrt": hrt.REGIMEN,
}
#: Names of the drugs; the place of a drug in an array of doses.
DRUGS = tuple(REGIMENS)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DrugParameters:
    """Constants of every drug; units and sources: `drug_table`."""

    alendronate: alendronate.Constants = field(default_factory=alendronate.Constants)
    zoledronate: zoledronate.Constants = field(default_factory=zoledronate.Constants)
    denosumab: denosumab.Constants = field(default_factory=denosumab.Constants)
    teriparatide: teriparatide.Constants = field(default_factory=teriparatide.Constants)
    romosozumab: romosozumab.Constants = field(default_factory=romosozumab.Constants)
    raloxifene: raloxifene.Constants = field(default_factory=raloxifene.Constants)
    hrt: hrt.Constants = field(default_factory=hrt.Constants)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DrugState:
    """Amounts of every drug; 0 = none."""

    alendronate: bisphosphonate.Amounts = field(default_factory=bisphosphonate.Amounts)
    zoledronate: bisphosphonate.Amounts = field(default_factory=bisphosphonate.Amounts)
    denosumab: denosumab.Amounts = field(default_factory=denosumab.Amounts)
    teriparatide: teriparatide.Amounts = field(default_factory=teriparatide.Amounts)
    romosozumab: romosozumab.Amounts = field(default_factory=romosozumab.Amounts)
    raloxifene: raloxifene.Amounts = field(default_factory=raloxifene.Amounts)
    hrt: hrt.Amounts = field(default_factory=hrt.Amounts)


def drug_intake(doses: jax.Array | Sequence[jax.Array], p: DrugParameters) -> DrugState:
    """What doses add to what is in the body.

    Args:
        doses: of each drug, in its regimen's unit, in the order of `DRUGS` (7,); or flows of them, in a day.
        p: constants.
    """
    given = dict(zip(DRUGS, doses, strict=True))
    return DrugState(
        alendronate=alendronate.intake(given["alendronate"], p.alendronate),
        zoledronate=zoledronate.intake(given["zoledronate"], p.zoledronate),
        denosumab=denosumab.intake(given["denosumab"], p.denosumab),
        teriparatide=teriparatide.intake(given["teriparatide"], p.teriparatide),
        romosozumab=romosozumab.intake(given["romosozumab"], p.romosozumab),
        raloxifene=raloxifene.intake(given["raloxifene"], p.raloxifene),
        hrt=hrt.intake(given["hrt"], p.hrt),
    )


def drug_rates(amounts: DrugState, births: jax.Array, p: DrugParameters) -> DrugState:
    """d(amounts)/dt between doses [1/day], one line for each drug.

    Args:
        amounts: of every drug.
        births: births of BMUs over health [1]: resorption frees bisphosphonate.
        p: constants.
    """
    return DrugState(
        alendronate=alendronate.rates(amounts.alendronate, births, p.alendronate),
        zoledronate=zoledronate.rates(amounts.zoledronate, births, p.zoledronate),
        denosumab=denosumab.rates(amounts.denosumab, p.denosumab),
        teriparatide=teriparatide.rates(amounts.teriparatide, p.teriparatide),
        romosozumab=romosozumab.rates(amounts.romosozumab, p.romosozumab),
        raloxifene=raloxifene.rates(amounts.raloxifene, p.raloxifene),
        hrt=hrt.rates(amounts.hrt, p.hrt),
    )


def drug_effects(amounts: DrugState, p: DrugParameters) -> Effects:
    """What all drugs do together."""
    return together(
        alendronate.effects(amounts.alendronate, p.alendronate),
        zoledronate.effects(amounts.zoledronate, p.zoledronate),
        denosumab.effects(amounts.denosumab, p.denosumab),
        teriparatide.effects(amounts.teriparatide, p.teriparatide),
        romosozumab.effects(amounts.romosozumab, p.romosozumab),
        raloxifene.effects(amounts.raloxifene, p.raloxifene),
        hrt.effects(amounts.hrt, p.hrt),
    )


def drug_table(parameters: DrugParameters | None = None) -> tuple[Constant, ...]:
    """The record of every constant of every drug, named ``drug.constant``."""
    return tuple(records(DrugParameters() if parameters is None else parameters))
