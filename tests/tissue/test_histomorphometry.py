"""Biopsy readings of a thick slab in steady state: identities of histomorphometry, each side found on its own way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from microct.morphometry.pair import change_map
from microct.simulation import step
from microct.simulation.build import build, first_state
from microct.simulation.config import Study
from microct.state import State
from microct.tissue import histomorphometry as biopsy
from microct.volume import Volume

pytestmark = pytest.mark.slow

VOXEL_UM, E_UM, W_UM, ACF = 40.0, 47.0, 45.0, 0.7
SHAPE = (18, 72, 72)


@dataclass(frozen=True)
class Course:
    """Readings of a slab at several times, and over the time between the first and the last."""

    readings: list[dict[str, float]]
    rates: dict[str, float]
    last: State
    clock: biopsy.Clock
    first: np.ndarray

    def mean(self, symbol: str) -> float:
        return float(np.mean([reading[symbol] for reading in self.readings]))


@pytest.fixture(scope="module")
def slab() -> Course:
    """A plate of 400 um, remodeled at 0.7 /yr for three years; the last two are read, seven times."""
    values = np.zeros(SHAPE, np.uint8)
    values[4:14] = 255
    bone = Volume.from_array(values, VOXEL_UM)
    remodeling = {"activation_frequency_per_year": ACF, "erosion_depth_um": E_UM, "wall_thickness_um": W_UM}
    time = {"years": 3.0, "burn_in_years": 0.0, "step_days": 12.0}
    model = build(bone, Study().with_values(time=time, remodeling=remodeling))
    clock = biopsy.Clock(model.schedule, model.calendar.step_days, model.bmu.formation_days)
    state = first_state(model, bone)
    readings, start = [], None
    first = np.zeros(0)
    for until in range(31, 92, 10):
        state = step.take_stock(step.advance(state, model, until))
        if start is None:
            start = replace(state, fields=None, bmus=None)  # type: ignore[arg-type]
            first = np.asarray(state.fields.fraction).copy()
        found = biopsy.at_sites(state, clock, VOXEL_UM)
        sites = biopsy.site_map(state, clock)
        fraction = np.asarray(state.fields.fraction)
        live, age = np.asarray(state.bmus.surface.live), state.step - 1 - np.asarray(state.bmus.surface.born)
        area = np.asarray(state.bmus.surface.area)
        early = live & (age < int(model.schedule.refill_start))
        last = int(model.schedule.last)
        forming, closed = live & ~early & (age < last), live & (age == last - 1)  # the lag of mineral is one step
        assert found["ES/BS"] == pytest.approx(100.0 * float(area[early].sum()) / state.surface, rel=1e-6)
        osteoid = float(area[forming].sum() + area[closed].sum())
        assert found["OS/BS"] == pytest.approx(100.0 * osteoid / state.surface, rel=1e-6)
        found["OS/BS"] = 100.0 * float(area[forming].sum()) / state.surface  # as sections show it
        for axis in (1, 2):  # sections across the plate
            for symbol, value in biopsy.in_sections(fraction, sites, 4, axis).items():
                found[symbol] = found.get(symbol, 0.0) + 0.5 * value
        readings.append(found)
    return Course(readings, biopsy.between(state, start, clock, VOXEL_UM), state, clock, first)


def test_thicknesses_are_those_asked_for(slab: Course) -> None:
    assert slab.mean("E.De.Bx") == pytest.approx(E_UM, rel=0.05)
    assert slab.mean("W.Th.Bx") == pytest.approx(W_UM, rel=0.05)
    assert slab.mean("MAR") == pytest.approx(W_UM / slab.clock.formation_days, rel=0.05)


def test_activation_frequency_is_read_back(slab: Course) -> None:
    """Within 15 %: some 220 births of a Poisson process."""
    assert slab.rates["Ac.f.Bx"] == pytest.approx(ACF, rel=0.15)


def test_formation_rate_is_activation_frequency_times_wall(slab: Course) -> None:
    assert slab.rates["BFR/BS"] == pytest.approx(slab.rates["Ac.f.Bx"] * slab.mean("W.Th.Bx"), rel=0.1)


def test_formation_rate_is_apposition_rate_times_mineralizing_surface(slab: Course) -> None:
    """Within 12 %: seven looks at some 40 sites."""
    labels = 365.25 * slab.mean("MAR") * slab.mean("MS/BS") / 100.0
    assert slab.rates["BFR/BS"] == pytest.approx(labels, rel=0.12)


def test_adjusted_rate_times_formation_period_is_the_wall(slab: Course) -> None:
    for reading in slab.readings:
        assert reading["Aj.AR"] * reading["FP"] == pytest.approx(reading["W.Th.Bx"])
        assert reading["Aj.AR"] <= reading["MAR"]
    # Osteoid waits for its mineral: the period includes the lag.
    assert slab.mean("FP") == pytest.approx(slab.clock.formation_days + biopsy.LAG_DAYS, rel=0.1)


def test_sections_show_the_extents_of_the_whole(slab: Course) -> None:
    """Somewhat above it: the outline of a cavity is longer than the patch of surface that it took."""
    for symbol in ("ES/BS", "OS/BS"):
        assert 1.0 < slab.mean(f"{symbol}.2D") / slab.mean(symbol) < 1.5


def test_nothing_is_read_where_nothing_works(slab: Course) -> None:
    bone = Volume.from_array(np.pad(np.full((8, 8, 8), 255, np.uint8), 4), VOXEL_UM)
    model = build(bone, Study())
    state = first_state(model, bone)
    assert biopsy.at_sites(state, slab.clock, VOXEL_UM) == {"ES/BS": 0.0, "OS/BS": 0.0, "MS/BS": 0.0}
    assert biopsy.between(state, state, slab.clock, VOXEL_UM) == {}
    assert not biopsy.site_map(state, slab.clock).any()


def test_the_map_of_change_adds_up_to_the_ledger(slab: Course) -> None:
    now = np.asarray(slab.last.fields.fraction)
    between = change_map(Volume.from_array(slab.first, VOXEL_UM), Volume.from_array(now, VOXEL_UM))
    assert int(between.values.sum()) == slab.last.ledger.mass - int(slab.first.sum(dtype=np.int64))
    assert (between.values > 0).any()
    assert (between.values < 0).any()
