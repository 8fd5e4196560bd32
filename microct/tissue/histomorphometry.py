"""The BMUs at work, read as a bone biopsy is read: extents of surface, rates of apposition and formation, thicknesses.

Extents come from the sites that are open at one time, rates from the mass ledger between two times. In steady state
BFR/BS = Ac.f W.Th = MAR MS/BS (Dempster et al. 2013), each side found on its own way. Sites that form without
resorption count as osteoid and take label; walls, depths and births are those of remodeling alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from microct.kernels.bmu_lists import on_host
from microct.kernels.bmu_table import MODELING, Cones, Plan, Schedule, Units, columns
from microct.kernels.cavity import BONE, FRONT, FULL, SUB
from microct.kernels.clocks import SurfaceClock, TunnelClock
from microct.quantities import DAYS_PER_YEAR
from microct.state import Ledger, State

#: From apposition of osteoid to its mineral [d] (Martinez-Reina 2019, in its code), as in `mineral.MineralLaw`.
LAG_DAYS = 12.0
QUIET, ERODED, FORMING = 0, 1, 2
#: Rows of the table that are looked at together.
_ROWS = 1024


@dataclass(frozen=True)
class Clock:
    """How long things take.

    Attributes:
        schedule: progress of a BMU by age.
        step_days: length of a step [d].
        formation_days: from the first osteoid of a site to its last [d].
        cones, plan: progress of osteonal BMUs, each slice of which has an age of its own; None where there are none.
    """

    schedule: Schedule
    step_days: float
    formation_days: float
    cones: Cones | None = None
    plan: Plan | None = None


def at_sites(state: State, clock: Clock, voxel_um: float) -> dict[str, float]:
    """What one biopsy shows of the sites open now.

    Args:
        state: with its tables of BMUs and the surface of the last reporting time.
        voxel_um: edge of a voxel [um].

    Returns:
        By symbol: ES/BS, OS/BS, MS/BS [%]; and where there are such sites E.De.Bx, W.Th.Bx [um], MAR, Aj.AR [um/d],
        FP [d].
    """
    pieces, found = _pieces(state, clock), {}
    area, age = pieces["area"], pieces["age"]
    forming = (age >= pieces["start"]) & (age < pieces["last"])

    lag = round(LAG_DAYS / clock.step_days)
    # A site takes label from a lag after its formation began to a lag after it ended. Sites that closed less than a lag
    # ago are no longer in the table; those about to close stand for them.
    closed = float(area[forming & (age >= pieces["last"] - lag)].sum())
    labeled = float(area[forming & (age >= pieces["start"] + lag)].sum()) + closed
    osteoid = float(area[forming].sum()) + closed
    if state.surface > 0:
        extents = {"ES/BS": area[(age >= 0) & (age < pieces["start"])].sum(), "OS/BS": osteoid, "MS/BS": labeled}
        found = {symbol: 100.0 * float(held) / state.surface for symbol, held in extents.items()}

    table, schedule = _used(Units(state.bmus.surface)), clock.schedule
    age, forming, progress = _phase(table, state.step, clock)
    area = table["area"].astype(np.float64)
    eroded = table["live"] & ~forming & (np.asarray(schedule.erosion)[_clipped(age, schedule)] == FRONT)
    if eroded.any():
        found["E.De.Bx"] = voxel_um * float(table["resorbed"][eroded].sum()) / FULL / float(area[eroded].sum())
    walled = forming & ~table["modeling"]
    due = float((area * progress)[walled].sum())
    if due > 0.0:
        wall = voxel_um * float(table["formed"][walled].sum(dtype=np.int64)) / FULL / due
        rate = wall / clock.formation_days
        found |= {"W.Th.Bx": wall, "MAR": rate}
        if labeled > 0.0:
            adjusted = rate * labeled / osteoid
            found |= {"Aj.AR": adjusted, "FP": wall / adjusted}
    return found


def between(state: State, previous: State, clock: Clock, voxel_um: float) -> dict[str, float]:
    """What happened since an earlier time, by the ledger.

    Args:
        state: now; ``previous``: earlier, of which only step, ledger and surface are looked at.

    Returns:
        By symbol: Ac.f.Bx [1/yr], BFR/BS [um/yr], BFR/BV [%/yr]; empty where no time has passed.
    """
    years = (state.step - previous.step) * clock.step_days / DAYS_PER_YEAR
    surface = 0.5 * (state.surface + previous.surface)
    if years <= 0.0 or surface <= 0.0:
        return {}
    ledgers: tuple[Ledger, Ledger] = previous.ledger, state.ledger
    formed = (ledgers[1].formed - ledgers[0].formed) / FULL
    bone = 0.5 * (ledgers[0].mass + ledgers[1].mass) / FULL
    found = {"BFR/BS": voxel_um * formed / surface / years, "BFR/BV": 100.0 * formed / max(bone, 1e-9) / years}
    table = _used(state.bmus)
    working = table["live"] & (table["area"] > 0) & ~table["modeling"]
    births = ledgers[1].births - ledgers[0].births - (ledgers[1].void - ledgers[0].void)
    if working.any():
        found["Ac.f.Bx"] = births * float(table["area"][working].mean(dtype=np.float64)) / surface / years
    elif births == 0:
        found["Ac.f.Bx"] = 0.0
    return found


def site_map(state: State, clock: Clock) -> np.ndarray:
    """(nz, ny, nx) uint8: `QUIET`, or at the surface of a site that is `ERODED` (resorption, reversal) or `FORMING`.

    Of the voxels that a site holds, those within one voxel of where its front now stands are marked.
    """
    sites = np.zeros(state.fields.fraction.shape, np.uint8)
    for bmus, count, of in zip(state.bmus.there, state.count.there, _clocks(state, clock), strict=True):
        corner, due = np.asarray(bmus.corner), np.asarray(bmus.live & (of.age < of.last))
        for start in range(0, count, _ROWS):
            rows = np.arange(start, min(start + _ROWS, count))
            cell, delta, profile, *_ = on_host(bmus.lists, bmus.first[rows], bmus.tiles[rows])
            front, refills, *_ = of.at(rows, cell)
            front, refills = np.broadcast_to(front, cell.shape), np.broadcast_to(refills, cell.shape)
            # slices of a tunnel that its tip has not reached, and those that are refilled, are at rest
            asleep = (front == 0) | refills & (front == np.asarray(bmus.stop_front)[rows, None])
            depth = front * profile.astype(np.float64) / FRONT
            at = (cell >= 0) & (np.abs(delta - depth) <= SUB) & due[rows, None] & ~asleep
            row, entry = np.nonzero(at)
            used, first = cell[row, entry], corner[rows][row]
            place = first[:, 0] + (used >> 20), first[:, 1] + (used >> 10 & 1023), first[:, 2] + (used & 1023)
            sites[place] = np.where(refills[row, entry], FORMING, ERODED)
    return sites


def in_sections(fraction: np.ndarray, sites: np.ndarray, every: int = 8, axis: int = 0) -> dict[str, float]:
    """Extents of surface as plane sections show them: shares of the outline of bone.

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction. sites: `site_map`.
        every: planes from one section to the next, along ``axis``.

    Returns:
        ES/BS.2D and OS/BS.2D [%]; empty where no section shows an outline. The outline of a
        cavity is longer than the patch that it took: at 40 um shares are 20 to 40 % above those of `at_sites`.
    """
    planes = slice(every // 2 if every // 2 < fraction.shape[axis] else 0, None, every)
    bone = np.moveaxis(fraction, axis, 0)[planes] >= BONE
    held = np.moveaxis(sites, axis, 0)[planes]
    outline, eroded, forming = 0, 0.0, 0.0
    for along in (1, 2):
        a, b = (np.moveaxis(part, along, 0) for part in (bone, held))
        edge = a[1:] != a[:-1]
        outline += int(np.count_nonzero(edge))
        # An edge lies between two pixels; each of them speaks for half of it.
        for side in (b[1:][edge], b[:-1][edge]):
            eroded += 0.5 * int(np.count_nonzero(side == ERODED))
            forming += 0.5 * int(np.count_nonzero(side == FORMING))
    if not outline:
        return {}
    return {"ES/BS.2D": 100.0 * eroded / outline, "OS/BS.2D": 100.0 * forming / outline}


def _used(tables: Units) -> dict[str, np.ndarray]:
    """The columns that are read, on the host."""
    found = columns(tables, "live", "born", "area", "resorbed", "formed", "kind")
    return found | {"modeling": (found["kind"] & MODELING) != 0}


def _clocks(state: State, clock: Clock) -> list[Any]:
    """Where fronts stand at the end of the last step, of each kind of unit; on the host."""
    clocks: list[Any] = [SurfaceClock.of(state.bmus.surface, state.step - 1, clock.schedule)]
    if state.bmus.tunnels is not None:
        assert clock.cones is not None
        assert clock.plan is not None
        clocks.append(TunnelClock.of(state.bmus.tunnels, state.step - 1, clock.cones, clock.plan))
    return [replace(of, **{k: np.asarray(v) for k, v in vars(of).items() if isinstance(v, jax.Array)}) for of in clocks]


def _pieces(state: State, clock: Clock) -> dict[str, np.ndarray]:
    """Live sites in pieces of one age each, of a tunnel its slices: area [voxel faces], age at the end of the last
    step, and the ages at which formation starts and is due [steps].
    """
    found = []
    for number, bmus in enumerate(state.bmus.there):
        table = _used(Units(bmus))
        age, slices, schedule = _phase(table, state.step, clock)[0][:, None], 1, clock.schedule
        if number:
            assert clock.cones is not None
            assert clock.plan is not None
            assert clock.plan.tunnel is not None
            slices, schedule = clock.plan.tunnel.window[clock.plan.axis], clock.cones.schedule
            age = ((age << 12) - np.arange(slices) * int(clock.cones.travel)) >> 12
        age = np.broadcast_to(age, (len(age), slices))[table["live"]]
        area = np.repeat(table["area"].astype(np.float64)[table["live"], None] / slices, slices, axis=1)
        turns = {"start": int(schedule.refill_start), "last": int(schedule.last)}
        found.append({"area": area, "age": age} | {name: np.full(age.shape, at) for name, at in turns.items()})
    return {name: np.concatenate([each[name].ravel() for each in found]) for name in found[0]}


def _clipped(age: np.ndarray, schedule: Schedule) -> np.ndarray:
    return np.clip(age, 0, len(schedule.refill) - 1)


def _phase(table: dict[str, np.ndarray], step: int, clock: Clock) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of BMUs of surface: age at the end of the last step [steps], whether in formation, its progress (0 to 1)."""
    age = step - 1 - table["born"].astype(np.int64)
    age += np.where(table["modeling"], int(clock.schedule.refill_start) - 1, 0)
    progress = np.asarray(clock.schedule.refill)[_clipped(age, clock.schedule)] / FRONT
    forming = table["live"] & (age >= int(clock.schedule.refill_start)) & (age < int(clock.schedule.last))
    return age, forming, progress
