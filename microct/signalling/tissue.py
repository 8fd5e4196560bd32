"""What the demand of the cells makes of a piece of bone without voxels: markers, bone volume, mineral, density.

A stand-in for the voxels where years must pass in milliseconds: markers and DXA of thousands of women. Nothing here
perforates and the surface of a bone is constant for its volume, so that the voxels lose more where bone is thin.

What is left of a bone carries the load of the whole, and osteocytes feel it: bone is formed on quiescent surface where
volume was lost (the voxels have their own mechanics for that, so that this stays out of the demand of the cells):

    adaptation = strength of it * osteocytes * max(0, 1 / volume - 1)        um/yr

Births pass through three stages: resorbing, reversing, forming. Their lags put 110 days between the middle of
resorption and the middle of formation, so that open cavities (the remodeling space) come and go by themselves:

    resorbing' = (births - resorbing) / 20 d      reversing' = (resorbing - reversing) / 50 d
    forming'   = (reversing - forming) / 60 d
    volume'    = volume * surface * (Ac.f0 (forming W - resorbing E) + share * modeling + adaptation)

Drugs make trabecular bone model more than compact bone (``share``, 1 for trabecular).

New bone is less mineral than old: `youth` is the mean over bone of exp(-age / mineral_time), over its healthy value.
With tissue formed at a rate F and resorbed whatever its age, youth' = F (1 - youth) - youth / mineral_time, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.constants import constant
from microct.signalling.demand import DemandSeries
from microct.signalling.parameters import CellParameters


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TissueParameters:
    """Constants of the bone without voxels."""

    resorbing_time_d: float = constant(
        20.0, "day", "birth to the middle of resorption", "half of the 40 d of Liu & Guo 2008", verified=True
    )
    reversing_time_d: float = constant(
        50.0, "day", "middle of resorption to the start of formation",
        "unverified; birth to formation 51 d: Eriksen 1985",
    )  # fmt: skip
    forming_time_d: float = constant(
        60.0, "day", "start to middle of formation", "unverified: half of 120 d; 151 d in Eriksen 1985"
    )
    trabecular_surface_per_mm: float = constant(16.0, "1/mm", "BS/BV of trabecular bone", "unverified: typical")
    compact_surface_per_mm: float = constant(
        3.5, "1/mm", "BS/BV of the compact bone in a DXA field", "fitted here: TH placebo, denosumab", fitted=True
    )
    compact_modeling: float = constant(0.5, "1", "modeling under drugs on compact bone, over that on trabecular")
    adaptation_um_per_yr: float = constant(
        3.5, "um/yr", "bone formed on quiescent surface for each unit of overload",
        "fitted here: spine -10.6 % in ten years, SWAN, misread as +10; modeling goes on under denosumab: Reid 2010",
        fitted=True,
    )  # fmt: skip
    mineral_time_yr: float = constant(2.5, "yr", "time constant of secondary mineralization", "unverified: years")
    mineral_deficit: float = constant(
        0.23, "1", "mineral that new bone lacks, share of the oldest", "HORIZON BMDD: +3.2 % in 3 yr", fitted=True
    )
    spine_trabecular: float = constant(
        0.55, "1", "share of trabecular bone in lumbar-spine DXA",
        "unverified for the whole field; within the 52 +- 20 % (SD) of the body of L3 of Swanpalmer 1998",
    )  # fmt: skip
    hip_trabecular: float = constant(
        0.25, "1", "share of trabecular bone in total-hip DXA",
        "unverified for the whole hip; within the 21 to 78 % along the femoral neck, Invest Radiol 1997; 32:83",
    )  # fmt: skip


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TissueState:
    """Stages of remodeling, bone volumes, and youth of bone; all over health [1]."""

    resorbing: jax.Array
    reversing: jax.Array
    forming: jax.Array
    trabecular_volume: jax.Array
    compact_volume: jax.Array
    trabecular_youth: jax.Array
    compact_youth: jax.Array


def healthy_tissue() -> TissueState:
    """Bone of the healthy young: everything 1."""
    return TissueState(**{name: jnp.ones(()) for name in TissueState.__dataclass_fields__})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Readouts:
    """What a clinic would measure; folds of the healthy young [1].

    Attributes:
        ctx: resorption for each bone surface, as a marker such as CTX shows it.
        p1np: formation for each bone surface, on cavities and on quiescent surface, as P1NP shows it.
        spine_bmd, hip_bmd: areal density of lumbar spine and total hip.
        mineral: mean mineral content of trabecular bone.
    """

    ctx: jax.Array
    p1np: jax.Array
    spine_bmd: jax.Array
    hip_bmd: jax.Array
    mineral: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Flows:
    """Bone that comes and goes, each for the surface and over healthy turnover [1].

    Attributes:
        resorbed, formed: in cavities.
        trabecular_modeled, compact_modeled: formed elsewhere, by drugs and by load.
    """

    resorbed: jax.Array
    formed: jax.Array
    trabecular_modeled: jax.Array
    compact_modeled: jax.Array


def overload(volume: jax.Array) -> jax.Array:
    """By how much bone is strained more than in health [1], where less of it carries the same load; never below 0."""
    return jnp.maximum(1 / volume - 1, 0)


def flows(at: TissueState, asked: DemandSeries, osteocytes: jax.Array, p: CellParameters, t: TissueParameters) -> Flows:
    """What the demand of the cells, and the load, make of the surface."""
    whole = p.activation_frequency_per_yr * p.wall_thickness_um
    felt = t.adaptation_um_per_yr * osteocytes
    trabecular = asked.modeling_um_per_yr + felt * overload(at.trabecular_volume)
    compact = t.compact_modeling * asked.modeling_um_per_yr + felt * overload(at.compact_volume)
    return Flows(
        resorbed=at.resorbing * (asked.erosion_depth_um / p.erosion_depth_um),
        formed=at.forming * (asked.wall_thickness_um / p.wall_thickness_um),
        trabecular_modeled=trabecular / whole,
        compact_modeled=compact / whole,
    )


def tissue_rates(
    at: TissueState,
    births: jax.Array,
    asked: DemandSeries,
    osteocytes: jax.Array,
    p: CellParameters,
    t: TissueParameters,
) -> TissueState:
    """d(tissue)/dt [1/day]; exactly 0 in health.

    Args:
        at: the tissue now.
        births: births of BMUs over health [1].
        asked: demand of the cells.
        osteocytes: those that live and feel the load, over health [1].
        p, t: constants.
    """
    flow = flows(at, asked, osteocytes, p, t)
    here, there = flow.formed + flow.trabecular_modeled, flow.formed + flow.compact_modeled
    yearly_um = p.activation_frequency_per_yr * p.erosion_depth_um
    walls = p.wall_thickness_um / p.erosion_depth_um  # 1 where healthy bone is stationary
    daily_mm = yearly_um * 1e-3 / DAYS_PER_YEAR
    trabecular_gain = t.trabecular_surface_per_mm * daily_mm * (walls * here - flow.resorbed - (walls - 1))
    compact_gain = t.compact_surface_per_mm * daily_mm * (walls * there - flow.resorbed - (walls - 1))
    trabecular = yearly_um * 1e-3 * t.trabecular_surface_per_mm / DAYS_PER_YEAR
    compact = yearly_um * 1e-3 * t.compact_surface_per_mm / DAYS_PER_YEAR
    return TissueState(
        resorbing=(births - at.resorbing) / t.resorbing_time_d,
        reversing=(at.resorbing - at.reversing) / t.reversing_time_d,
        forming=(at.reversing - at.forming) / t.forming_time_d,
        trabecular_volume=at.trabecular_volume * trabecular_gain,
        compact_volume=at.compact_volume * compact_gain,
        trabecular_youth=_youth_rate(at.trabecular_youth, here, trabecular, t),
        compact_youth=_youth_rate(at.compact_youth, there, compact, t),
    )


def healthy_youth(turnover_per_d: jax.Array | float, t: TissueParameters) -> Any:
    """Mean of exp(-age / mineral_time) over healthy bone [1]."""
    return turnover_per_d / (turnover_per_d + 1 / (t.mineral_time_yr * DAYS_PER_YEAR))


def _youth_rate(
    youth: jax.Array, formed: jax.Array, turnover_per_d: jax.Array | float, t: TissueParameters
) -> jax.Array:
    """Written as differences from health, which is then exactly at rest."""
    young = healthy_youth(turnover_per_d, t)
    new = turnover_per_d / young * (formed * (1 - young * youth) - (1 - young))
    return new + (1 - youth) / (t.mineral_time_yr * DAYS_PER_YEAR)


def readouts(
    at: TissueState, asked: DemandSeries, osteocytes: jax.Array, p: CellParameters, t: TissueParameters
) -> Readouts:
    """Markers, densities and mineral of a moment; markers as of trabecular bone."""
    flow = flows(at, asked, osteocytes, p, t)
    yearly = p.activation_frequency_per_yr * p.erosion_depth_um * 1e-3 / DAYS_PER_YEAR
    trabecular = _mineral(at.trabecular_youth, yearly * t.trabecular_surface_per_mm, t)
    compact = _mineral(at.compact_youth, yearly * t.compact_surface_per_mm, t)

    def bmd(share: float) -> jax.Array:
        change = share * (at.trabecular_volume * trabecular - 1) + (1 - share) * (at.compact_volume * compact - 1)
        return 1 + change

    return Readouts(
        ctx=flow.resorbed,
        p1np=flow.formed + flow.trabecular_modeled,
        spine_bmd=bmd(t.spine_trabecular),
        hip_bmd=bmd(t.hip_trabecular),
        mineral=trabecular,
    )


def _mineral(youth: jax.Array, turnover_per_d: jax.Array | float, t: TissueParameters) -> jax.Array:
    """Mean mineral over that of healthy bone [1]."""
    young = healthy_youth(turnover_per_d, t)
    return 1 - t.mineral_deficit * young * (youth - 1) / (1 - t.mineral_deficit * young)
