"""Teriparatide: parathyroid hormone by daily injection; calls osteoblasts at once, osteoclasts a few months later.

The hormone itself is gone in hours (half-life about an hour), so a day's dose is one number: exposure, in daily
doses of 20 ug. The drive to osteoclasts follows with a delay: the anabolic window.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling.constants import constant
from microct.signalling.drugs.effects import Effects
from microct.signalling.drugs.regimen import Regimen

REGIMEN = Regimen(20.0, "ug", 1.0, "injection, daily", "Fracture Prevention Trial: 20 ug a day")
FPT = "Fracture Prevention Trial: spine +9 % at 21 months"
MARKERS = "markers: P1NP +105 % at 1, +218 % at 6 months, NTX +58 % at 6 months (second hand)"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """Exposure and effects of teriparatide."""

    daily_dose_ug: float = constant(
        20.0, "ug", "dose that counts as exposure 1", "Fracture Prevention Trial", verified=True
    )
    exposure_time_d: float = constant(5.0, "day", "time over which daily doses add up")
    osteoblast_drive: float = constant(0.6, "1", "calls of osteoblast precursors at exposure 1", MARKERS, fitted=True)
    osteoblast_care: float = constant(0.3, "1", "osteoblast survival at exposure 1")
    rankl_gain: float = constant(17.0, "1", "stromal RANKL at exposure 1, late", MARKERS, fitted=True)
    rankl_time_d: float = constant(120.0, "day", "delay of that RANKL", "unverified: anabolic window")
    wall_gain: float = constant(0.12, "1", "thicker walls at exposure 1", FPT, fitted=True)
    modeling: float = constant(
        0.45, "1", "formation on quiescent surface at exposure 1, of full sclerostin blockade", FPT, fitted=True
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Amounts:
    """Teriparatide [daily doses]: exposure, and what has come through to RANKL."""

    exposure: jax.Array | float = 0.0
    late: jax.Array | float = 0.0


def intake(dose: jax.Array, c: Constants) -> Amounts:
    """What a dose [ug] adds to the exposure [1]; or a flow of it, in a day."""
    return Amounts(exposure=dose / c.daily_dose_ug / c.exposure_time_d)


def rates(amounts: Amounts, c: Constants) -> Amounts:
    """Change of the exposure, early and late [1/day]."""
    return Amounts(
        exposure=-amounts.exposure / c.exposure_time_d,
        late=(amounts.exposure - amounts.late) / c.rankl_time_d,
    )


def effects(amounts: Amounts, c: Constants) -> Effects:
    """More and longer-lived osteoblasts, thicker walls, bone on quiescent surface; later more RANKL."""
    return Effects(
        osteoblast_drive=c.osteoblast_drive * amounts.exposure,
        osteoblast_care=c.osteoblast_care * amounts.exposure,
        rankl_gain=c.rankl_gain * amounts.late,
        wall_gain=c.wall_gain * amounts.exposure,
        modeling_drive=c.modeling * amounts.exposure,
    )
