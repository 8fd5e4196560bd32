"""How long do ten years take, and does the cost follow events rather than voxels?

    python benchmarks/bench_remodeling.py [--edge 256] [--years 10] [--quick]

Two answers: seconds for ten years of menopause in a trabecular specimen of ``edge`` voxels of 20 um, compilation and
measuring apart; seconds for each simulated year at fixed births and growing volume. Memory on the device is counted
from the arrays, peak memory of the process is the operating system's.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np
from machine import record

from microct.imaging.specimens import sample
from microct.simulation import step
from microct.simulation.build import Model, build, first_state
from microct.simulation.config import Study
from microct.state import State
from microct.volume import Volume

VOXEL_UM = 20.0


def specimen(edge: int) -> Volume:
    """A trabecular specimen of ``edge`` voxels of 20 um; beyond 256 it is tiled, since only its size matters."""
    block = sample("trabecular", size_mm=min(edge, 256) * VOXEL_UM / 1000.0, voxel_size_um=VOXEL_UM, seed=1)
    times = -(-edge // block.shape[0])
    return Volume.from_array(np.tile(block.values, (times,) * 3)[:edge, :edge, :edge], VOXEL_UM)


def study(years: float, **remodeling: float) -> Study:
    """Natural menopause after the first year, two years of burn-in; or a given demand."""
    burn_in = 0.0 if remodeling else 2.0
    return Study().with_values(time={"years": years, "burn_in_years": burn_in}, remodeling=remodeling)


def timed(model: Model, state: State, until: int) -> tuple[State, float, float]:
    """(state, wall seconds, processor seconds) of the steps up to ``until``."""
    wall, processor = time.perf_counter(), time.process_time()
    state = step.advance(state, model, until)
    np.asarray(state.bmus.live)
    return state, time.perf_counter() - wall, time.process_time() - processor


def bytes_per_voxel(state: State) -> dict[str, float]:
    """Memory on the device: voxel fields, and the table of BMUs [byte / voxel]."""
    voxels = state.fields.fraction.size
    return {
        "fields": sum(array.nbytes for array in state.fields) / voxels,
        "bmus": sum(array.nbytes for array in state.bmus) / voxels,
    }


def ten_years(edge: int, years: float) -> dict[str, Any]:
    """The main job without measuring and writing: all steps, and the stock that is taken every year."""
    bone = specimen(edge)
    model = build(bone, study(years))
    state, compile_s, _ = timed(model, first_state(model, bone), 1)
    state = first_state(model, bone)
    wall = processor = stock = 0.0
    for until in model.calendar.report_steps[1:]:
        state, took, used = timed(model, state, until)
        wall, processor = wall + took, processor + used
        began = time.perf_counter()
        state = step.take_stock(state)
        stock += time.perf_counter() - began
    births = state.ledger.births
    return {
        "edge": edge,
        "years": years + study(years).time.burn_in_years,
        "births": births,
        "bone_left": state.ledger.mass / state.ledger.initial,
        "first_step_s_with_compilation": round(compile_s, 2),
        "steps_wall_s": round(wall, 2),
        "steps_processor_s": round(processor, 2),
        "stock_wall_s": round(stock, 2),
        "processor_ms_per_birth": round(1000.0 * processor / max(births, 1), 3),
        "million_voxel_updates_per_s": round(bone.values.size * state.step / wall / 1e6, 1),
        "device_byte_per_voxel": {k: round(v, 3) for k, v in bytes_per_voxel(state).items()},
        "peak_process_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def fixed_births(edges: list[int], births_per_year: float) -> list[dict[str, Any]]:
    """The same number of births in ever larger volumes: seconds for each simulated year after the first half."""
    rows = []
    for edge in edges:
        bone = specimen(edge)
        surface = first_state(build(bone, study(1)), bone).surface * (VOXEL_UM / 1000.0) ** 2
        rate = births_per_year * build(bone, study(1)).bmu.footprint_mm2 / surface
        demand = {"activation_frequency_per_year": rate, "erosion_depth_um": 48.0, "wall_thickness_um": 48.0}
        model = build(bone, study(1.5, **demand))
        half = model.calendar.total_steps // 3
        state, _, _ = timed(model, first_state(model, bone), half)
        born = state.ledger.births
        state, wall, processor = timed(model, state, model.calendar.total_steps)
        rows.append(
            {
                "edge": edge,
                "births": state.ledger.births - born,
                "wall_s_per_year": round(wall, 2),
                "processor_s_per_year": round(processor, 2),
            }
        )
    return rows


def main() -> None:
    """Run and record."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--edge", type=int, default=256)
    options.add_argument("--years", type=float, default=10.0)
    options.add_argument("--quick", action="store_true", help="edge 96, 2 years")
    asked = options.parse_args()
    edge, years = (96, 2.0) if asked.quick else (asked.edge, asked.years)
    answer = {"ten_years": ten_years(edge, years)}
    print(answer["ten_years"])
    answer["fixed_births"] = fixed_births([64, 96] if asked.quick else [128, 256, 384], 200.0)
    for row in answer["fixed_births"]:
        print(row)
    print(record("remodeling-quick" if asked.quick else "remodeling", answer))


if __name__ == "__main__":
    main()
