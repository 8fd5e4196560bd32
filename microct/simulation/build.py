"""From a bone and a study to what a run needs: static model, demand, first state."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from microct.kernels import activation
from microct.kernels.bmu_lists import TILE
from microct.kernels.bmu_table import Cones, Fields, Plan, Schedule, Units, empty_tables
from microct.kernels.cavity import BONE, DEEPEST_VOXEL, FRONT, SUB, Geometry
from microct.quantities import DAYS_PER_YEAR
from microct.remodeling import bmu as bmus
from microct.remodeling import compartments as places
from microct.simulation import demand as demands
from microct.simulation import sizes
from microct.simulation.calendar import Calendar
from microct.simulation.config import Study
from microct.state import Ledger, State
from microct.status import InputError
from microct.tissue.osteocytes import Deaths
from microct.tissue.past import HEALTHY, Past
from microct.volume import Volume

_SMALLEST = 8
#: A tunnel from the endocortical surface goes so far into the cortex for each step along it (22 degrees), and at most
#: so many radii: the cement line then lies beneath the surface. Ours.
_DIVE, _DEEPEST = 0.4, 1.5
#: Longest edge of a window [voxel].
_LONGEST = 1023


@dataclass(frozen=True)
class Model:
    """What does not change during a run.

    Attributes:
        calendar: steps, reports, checkpoints.
        demand: what the cells ask, for every step.
        bmu: the unit.
        voxel_um: voxel edge [um].
        plan: static sizes for the kernels.
        schedule: progress of a BMU by age.
        shares: ratios of BMUs' depths to the mean [1/4096].
        room: (rows, tiles) for which the tables of BMUs have room.
        seed: of the random numbers.
        spacing_mm: voxel edges (z, y, x) [mm].
        packet_um: thickness that a site forms without resorption before it [um].
        overload_um_per_yr: bone formed so where load is most; 0 where load is not felt.
        place: (nz, ny, nx) uint8 on the device, compartment of each voxel; None where all is trabecular.
        deaths: of osteocytes, over the steps.
        osteon_faces: surface of the canal that one osteonal BMU renews [voxel faces].
        cones: how osteonal BMUs go on; None where there are none.
        past: how the bone of the scan was renewed before it.
    """

    calendar: Calendar
    demand: demands.Demand
    bmu: bmus.BMU
    voxel_um: float
    plan: Plan
    schedule: Schedule
    shares: np.ndarray
    room: Units
    seed: int
    spacing_mm: tuple[float, float, float]
    packet_um: float = 30.0
    overload_um_per_yr: float = 0.0
    place: Any = None
    osteon_faces: float = 1.0
    cones: Cones | None = None
    deaths: Deaths = field(default_factory=lambda: Deaths.of(np.zeros(0), 1.0, 1.0))
    past: Past = HEALTHY

    def osteons_per_face(self, step: int) -> float:
        """Mean number of osteonal BMUs of a step on each voxel face of the surface of canals."""
        if self.demand.osteons is None:
            return 0.0
        rate = float(self.demand.osteons[0][step])
        return rate * self.calendar.step_days / DAYS_PER_YEAR / self.osteon_faces

    @property
    def footprint_faces(self) -> float:
        """Footprint of a BMU [voxel faces]."""
        return bmus.footprint_faces(self.bmu, self.voxel_um)

    def births_per_face(self, step: int) -> float:
        """Mean number of births of a step on each voxel face of bone surface, that of the busiest compartment."""
        rate = float(self.demand.activation_frequency_per_yr[step])
        rate = max(rate, *(float(one[0][step]) for one in self.demand.cortical)) if self.demand.cortical else rate
        return rate * self.births_per_face_and_rate

    @property
    def births_per_face_and_rate(self) -> float:
        """Mean number of births of a step on each voxel face, for each birth a year at a site."""
        return self.calendar.step_days / DAYS_PER_YEAR / self.footprint_faces

    def packets_per_face(self, step: int) -> tuple[float, float]:
        """Mean number of sites of a step that form without resorption, on each voxel face: (everywhere, at most)."""
        scale = self.calendar.step_days / DAYS_PER_YEAR / self.footprint_faces / self.packet_um
        everywhere = float(self.demand.modeling_um_per_yr[step])
        return everywhere * scale, (everywhere + self.overload_um_per_yr) * scale


def check(volume: Volume) -> None:
    """Refuse what is not a bone fraction that can be remodeled, in one line."""
    values, source = volume.values, volume.provenance.source
    if values.dtype != np.uint8:
        raise InputError(f"{source}: expected bone fraction (uint8, 0 to 255), got {values.dtype}; use microct.segment")
    if min(values.shape) < _SMALLEST:
        raise InputError(
            f"{source}: {values.shape} voxels are too few to remodel; expected at least {_SMALLEST} along each axis "
            "(usual: 100 to 1000)"
        )
    bone = float((values >= BONE).mean())
    if bone == 0.0:
        raise InputError(
            f"{source}: no bone in this volume; expected 3 to 60 % of the voxels to be bone: lower the threshold"
        )
    if bone == 1.0:
        raise InputError(
            f"{source}: nothing but bone in this volume, so no surface to remodel; expected 3 to 60 % of the voxels: "
            "raise the threshold"
        )
    volume.voxel_size_um  # noqa: B018 - refuses voxels that are not cubes


def build(volume: Volume, study: Study, cortex: np.ndarray | None = None, place: np.ndarray | None = None) -> Model:
    """Work out the static model of a study on a bone.

    Args:
        volume: bone fraction. study: what is asked for.
        cortex: (nz, ny, nx) bool, where the study gives a mask of the cortex.
        place: (nz, ny, nx) uint8, the compartments as a checkpoint has them; they are not looked for again.

    Raises:
        InputError: no bone, nothing but bone, too few voxels, voxels not cubic, too coarse or too fine; a mask of
            another shape, or none where the study names one.
    """
    check(volume)
    calendar = Calendar.of(study)
    place = _compartments(volume, study, cortex) if place is None else place
    asked = demands.of_study(study, calendar, place is not None)
    settings = study.remodeling
    unit = bmus.BMU(
        settings.footprint_radius_um,
        settings.resorption_days,
        settings.reversal_days,
        settings.formation_days,
        settings.erosion_depth_cv,
    )
    voxel_um = volume.voxel_size_um
    models = study.load.felt or bool(asked.modeling_um_per_yr.any())
    deepest = float(max(asked.depths.max(initial=1.0), 1.0, study.modeling.packet_um if models else 1.0))
    geometry = bmus.geometry(unit, voxel_um, deepest, volume.shape)
    model = Model(
        calendar=calendar,
        demand=asked,
        bmu=unit,
        voxel_um=voxel_um,
        plan=Plan(geometry, 1, 1),
        schedule=bmus.schedule(unit, calendar.step_days, voxel_um),
        shares=bmus.depth_shares(unit.erosion_depth_cv),
        room=Units((1, 1)),
        seed=settings.seed,
        spacing_mm=volume.spacing_mm,
        packet_um=study.modeling.packet_um,
        overload_um_per_yr=study.modeling.load_um_per_year if study.load.felt else 0.0,
        place=None if place is None else jnp.asarray(place),
        deaths=Deaths.of(asked.osteocyte_death_per_yr, calendar.step_days / DAYS_PER_YEAR, asked.osteocytes_at_start),
        past=demands.past_of(study),
    )
    model = sizes.for_surface(model, volume, study.load.felt or study.osteocytes.felt, deepest)
    return model if asked.osteons is None else _with_osteons(model, volume, study)


def _compartments(volume: Volume, study: Study, cortex: np.ndarray | None) -> np.ndarray | None:
    """Labels of the compartments; None where all is trabecular."""
    settings = study.compartments
    if settings.mask is not None and cortex is None:
        raise InputError(f"compartments.mask = {settings.mask}: expected the mask with the bone; hand it to build")
    if not settings.wanted:
        return None
    found = cortex
    if found is None:
        found = places.cortex(
            volume.values, volume.voxel_size_um, settings.thickest_trabecula_um, settings.widest_pore_um
        )
    return places.labels(volume.values, found, settings.inner_um, volume.voxel_size_um)


def _with_osteons(model: Model, volume: Volume, study: Study) -> Model:
    """The model with room for osteonal BMUs too."""
    settings, demand = study.compartments, model.demand
    assert demand.osteons is not None
    axis = ("z", "y", "x").index(settings.osteon_axis)
    widest = float(demand.osteons[1].max(initial=1.0)) * model.shares.max() / FRONT / model.voxel_um
    if not 1.0 <= widest <= DEEPEST_VOXEL - 1:
        widest_um = widest * model.voxel_um
        raise InputError(
            f"voxels of {model.voxel_um:g} um cannot show osteons of {widest_um:.3g} um in radius; expected voxels of "
            f"{widest_um / (DEEPEST_VOXEL - 1):.2g} to {widest_um:.3g} um (usual: 10 to 20); give resample_um in [scan]"
        )
    axis_edge = max(round(settings.osteon_length_um / model.voxel_um), 3)
    if axis_edge > _LONGEST:
        raise InputError(
            f"compartments.osteon_length_um = {settings.osteon_length_um:g}: expected at most {_LONGEST} voxels of "
            f"{model.voxel_um:g} um, so up to {_LONGEST * model.voxel_um:g} (usual: 1000 to 4000)"
        )
    deepest = _DEEPEST * settings.osteon_radius_um / model.voxel_um if settings.endocortical_cones else 0.0
    edges = [2 * math.ceil(widest + 1.0 + deepest) + 1] * 3
    edges[axis] = axis_edge
    window = tuple(min(edge, n) for edge, n in zip(edges, volume.shape, strict=True))
    entries = min(
        math.ceil(math.pi * (widest + 1.0) ** 2 * window[axis] / 128) * 128, math.prod(window) // TILE * TILE + TILE
    )
    slices = bmus.BMU(
        settings.osteon_radius_um,
        settings.osteon_resorption_days,
        model.bmu.reversal_days,
        settings.osteon_formation_days,
        model.bmu.erosion_depth_cv,
    )
    schedule, own = bmus.as_long(model.schedule, bmus.schedule(slices, model.calendar.step_days, model.voxel_um))
    step_um = settings.osteon_rate_um_per_day * model.calendar.step_days
    cones = Cones(
        own,
        np.int32(max(round(FRONT * model.voxel_um / step_um), 1)),
        np.int32(round(SUB * _DIVE)),
        np.int32(round(SUB * deepest)),
        np.int32(round(256 * settings.endocortical_cones)),
    )
    faces = 2.0 * math.pi * settings.canal_radius_um / model.voxel_um * window[axis]
    model = replace(model, osteon_faces=faces, schedule=schedule, cones=cones)
    surfaces = activation.surfaces(volume.values, np.asarray(model.place))
    canals = float(surfaces[places.INTRACORTICAL] + settings.endocortical_cones * surfaces[places.ENDOCORTICAL])
    tunnel = Geometry(window, min(math.ceil(widest) + 1, DEEPEST_VOXEL), entries)  # type: ignore[arg-type]
    model = replace(model, plan=replace(model.plan, tunnel=tunnel, axis=axis))
    return sizes.for_tunnels(model, volume, canals, study.load.felt or study.osteocytes.felt)


def first_state(model: Model, volume: Volume) -> State:
    """The state before the first step: the scan, and no BMU at work."""
    fraction = jnp.asarray(volume.values)
    fields = Fields(fraction, jnp.zeros(volume.shape, jnp.uint8), jnp.zeros(volume.shape, jnp.uint16))
    tables = empty_tables(model.room)
    none = Units(*(0 for _ in model.room.there))
    initial = int(volume.values.sum(dtype=np.int64))
    return State(fields, tables, none, 0, Ledger(initial), activation.surface(volume.values))
