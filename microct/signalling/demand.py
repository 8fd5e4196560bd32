"""What the cells ask of the bone: activation frequency, erosion depth, wall thickness, modeling; by compartment."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import jax

from microct.signalling.drugs.effects import Effects
from microct.signalling.parameters import CellParameters
from microct.signalling.rates import Signals
from microct.signalling.spelling import refused
from microct.signalling.state import CellState

COMPARTMENTS = ("trabecular", "cortical")


@dataclass(frozen=True)
class Demand:
    """The numbers by which the cells act on bone; each finished BMU leaves wall thickness - erosion depth.

    ``modeling_um_per_yr`` is bone formed on quiescent surface, without resorption before it: 0 without a drug.
    """

    activation_frequency_per_yr: float
    erosion_depth_um: float
    wall_thickness_um: float
    modeling_um_per_yr: float = 0.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DemandSeries:
    """`Demand` on the device: scalars, or arrays of one shape over patients or times."""

    activation_frequency_per_yr: jax.Array
    erosion_depth_um: jax.Array
    wall_thickness_um: jax.Array
    modeling_um_per_yr: jax.Array


def in_compartment(p: CellParameters, compartment: str) -> CellParameters:
    """The constants as they hold in a compartment: without B cells, and with osteonal BMUs, in the cortex.

    Raises:
        StudyError: a compartment that is neither trabecular nor cortical.
    """
    if compartment not in COMPARTMENTS:
        raise refused("compartment", compartment, COMPARTMENTS)
    if compartment == "trabecular":
        return p
    return dataclasses.replace(
        p,
        weight_b_cell=0.0,
        opg_weight_b_cell=0.0,
        activation_frequency_per_yr=p.cortical_activation_frequency_per_yr,
        erosion_depth_um=p.cortical_erosion_depth_um,
        wall_thickness_um=p.cortical_wall_thickness_um,
    )


def demand(cells: CellState, s: Signals, drugs: Effects, p: CellParameters) -> DemandSeries:
    """Births follow fusion; depth follows osteoclast life; the wall follows supply, Wnt and life of osteoblasts."""
    osteoblasts = s.osteogenic_share * s.wnt * s.anabolic * s.osteoblast_life
    return DemandSeries(
        activation_frequency_per_yr=p.activation_frequency_per_yr * s.births,
        erosion_depth_um=p.erosion_depth_um * s.osteoclast_life**p.erosion_exponent,
        wall_thickness_um=p.wall_thickness_um * osteoblasts**p.wall_exponent * (1 + drugs.wall_gain),
        modeling_um_per_yr=p.modeling_um_per_yr * drugs.modeling_drive * cells.reserve,
    )


def healthy_demand(parameters: CellParameters | None = None, compartment: str = "trabecular") -> Demand:
    """The demand of healthy premenopausal bone that does not age: floats, exactly as in the parameters."""
    p = in_compartment(CellParameters() if parameters is None else parameters, compartment)
    return Demand(
        activation_frequency_per_yr=float(p.activation_frequency_per_yr),
        erosion_depth_um=float(p.erosion_depth_um),
        wall_thickness_um=float(p.wall_thickness_um),
    )
