"""How large the tables of BMUs and the work of a step are made; sizes never change a result."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from microct.kernels import activation
from microct.kernels.bmu_lists import TILE
from microct.kernels.bmu_table import Plan, Units
from microct.kernels.cavity import FRONT, Geometry
from microct.kernels.device import has_accelerator
from microct.remodeling import bmu as bmus
from microct.status import InputError
from microct.volume import Volume

if TYPE_CHECKING:
    from microct.simulation.build import Model

#: Steps that one call of the kernel does at most: progress and signals are looked at between calls.
BLOCK_STEPS = 18
#: How far births may grow beyond those asked for at the start before tables are enlarged (a factor).
_SPARE = 1.25
#: The same where load is felt: places out of use ask for more.
_SPARE_FELT = 4.0
#: Births of one step beyond which steps are too long to mean anything.
MOST_BIRTHS = 1_000_000
#: Tiles that are moved together when those of units that are done are left out.
_MOVED_TILES = 1024


def for_surface(model: Model, volume: Volume, weighted: bool, deepest_um: float) -> Model:
    """The model with tables large enough for the BMUs of this surface.

    Args:
        weighted: whether places may ask for more births than the demand.
        deepest_um: the largest mean depth of the run.
    """
    steps = range(model.calendar.total_steps)
    per_face = max((model.births_per_face(step) for step in steps), default=0.0)
    packets_per_face = [model.packets_per_face(step)[1] for step in steps]
    most = max(packets_per_face, default=0.0)
    place = None if model.place is None else np.asarray(model.place)
    areas = [activation.surface(volume.values)] if place is None else activation.surfaces(volume.values, place)
    area = max(float(np.sum(areas)), 1.0)
    births = per_face * area * (_SPARE_FELT if weighted else _SPARE)
    births_most = _bucket(births + 8.0 * math.sqrt(births) + 8.0)
    if births_most > MOST_BIRTHS:
        raise InputError(
            f"{births:.0f} births in one step are more than {MOST_BIRTHS}: "
            "give a shorter step_days in [time] (usual: 5 to 20)"
        )
    mean = activation.candidates_for(per_face, volume.values.size, weighted)
    # Spares: sites that are held by another BMU are made up from candidates beyond the drawn number.
    spares = (births + 24.0) * activation.candidates_for(1.0 / area, volume.values.size, weighted)
    candidates = _bucket(mean + 8.0 * math.sqrt(mean) + spares)
    lifetime = int(model.schedule.last) + 2
    packets = most * area * _SPARE
    packets_most = _bucket(packets + 8.0 * math.sqrt(packets) + 8.0) if most else 0
    mean = activation.candidates_for(most, volume.values.size) * activation.WEIGHT_LIMIT / 255.0
    spares = (packets + 24.0) * activation.candidates_for(1.0 / area, volume.values.size)
    packet_candidates = _bucket(mean + 8.0 * math.sqrt(mean) + spares) if most else 0
    # Room for those at work and for half a block of births: a block that fills the table ends early, and loses nothing.
    usual = births * (_SPARE / _SPARE_FELT if weighted else 1.0)
    together = lifetime + BLOCK_STEPS / 2
    rows = (usual + packets) * together + births_most + packets_most
    on_cpu = not has_accelerator()
    row_chunk, tile_chunk = (4, 128) if on_cpu else (256, 32768)
    rows = _whole(rows, row_chunk)
    # Lists take far more than rows: room for the busiest years as they come, not for the busiest step all the time.
    births_of_steps = np.asarray(areas) @ model.demand.births[:, steps] * model.births_per_face_and_rate
    born = births_of_steps + area * np.array(packets_per_face)
    at_work = _SPARE * float(np.convolve(born, np.ones(round(together))).max()) if len(born) else 0.0
    list_tiles = bmus.usual_entries(model.bmu, model.voxel_um, deepest_um) / TILE + 1.0
    birth_tiles = _of_births(births_most + packets_most, list_tiles, model.plan.geometry)
    plan = Plan(
        model.plan.geometry,
        candidates,
        births_most,
        carve_chunk=1 if on_cpu else min(max(_bucket(usual / 4.0), 64), 256, births_most),
        row_chunk=row_chunk,
        tile_chunk=tile_chunk,
        packet_candidates=packet_candidates,
        packets=packets_most,
        birth_tiles=birth_tiles,
    )
    tiles = at_work * list_tiles + plan.of_a_step.surface[1]
    return replace(model, plan=plan, room=Units((rows, _whole(tiles, _MOVED_TILES))))


def for_tunnels(model: Model, volume: Volume, canals: float, weighted: bool) -> Model:
    """The model, whose plan knows the sizes of a tunnel, with tables large enough for osteonal BMUs.

    Args:
        canals: surface where they are born [voxel faces]. weighted: as in `for_surface`.
    """
    demand, cones, tunnel = model.demand.osteons, model.cones, model.plan.tunnel
    assert demand is not None
    assert cones is not None
    assert tunnel is not None
    length = tunnel.window[model.plan.axis]
    most = max((model.osteons_per_face(step) for step in range(model.calendar.total_steps)), default=0.0)
    births = most * canals * (_SPARE_FELT if weighted else 2.0 * _SPARE)
    births_most = _bucket(births + 8.0 * math.sqrt(births) + 8.0)
    mean = activation.candidates_for(most, volume.values.size, weighted)
    spares = (births + 24.0) * activation.candidates_for(1.0 / max(canals, 1.0), volume.values.size, weighted)
    radius = float(demand[1].max(initial=1.0)) / model.voxel_um
    list_tiles = math.pi * (radius + 1.0) ** 2 * length / TILE + 1.0
    plan = replace(
        model.plan,
        osteons=births_most,
        osteon_candidates=_bucket(mean + 8.0 * math.sqrt(mean) + spares),
        osteon_tiles=_of_births(births_most, list_tiles, tunnel),
    )
    journey = int(cones.travel) * length / FRONT
    at_work = most * canals * _SPARE * (int(cones.schedule.last) + journey + 2 + BLOCK_STEPS / 2)
    tiles = at_work * list_tiles + plan.of_a_step.tunnels[1]
    room = _whole(at_work + births_most, plan.row_chunk), _whole(tiles, _MOVED_TILES)
    return replace(model, plan=plan, room=model.room._replace(tunnels=room))


def _of_births(births: int, list_tiles: float, geometry: Geometry) -> int:
    """Tiles to keep for the lists of a step's births, where one takes ``list_tiles`` on the mean.

    A quarter more than the mean for all, and what eight of the largest take for when there are few: far more than
    comes, as ``births`` is eight standard deviations beyond the mean already. Voxels without room would be counted as
    dropped.
    """
    width = geometry.entries // TILE
    return min(births * width, math.ceil(1.25 * births * list_tiles) + 8 * width)


def _whole(rows: float, together: int) -> int:
    """Rows or tiles of a table and some to spare, in whole chunks of those worked on together (32 at least)."""
    chunk = max(together, 32)
    return math.ceil((rows + 32) / chunk) * chunk


def _bucket(size: float) -> int:
    """The next of 8, 12, 16, 24, 32, 48, 64, 96 ...: few sizes, so that few programs are compiled."""
    bucket = 8
    while bucket < size:
        bucket = bucket * 3 // 2 if bucket & (bucket - 1) == 0 else bucket * 4 // 3
    return bucket
