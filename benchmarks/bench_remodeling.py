"""How fast does bone remodel, how does it grow with the volume and with events, and what does it keep in memory?

    python benchmarks/bench_remodeling.py [--edges 64 128 256] [--years 10] [--ten-years-edge 256] [--quick]

Four answers, each row written as soon as it is known:

- at fixed birth density (a healthy or postmenopausal bone of any size) and at fixed births (the same work in a larger
  volume), for each edge: million voxel updates a second, BMUs a second, seconds for each simulated year. Every block of
  18 steps is one repeat; compilation is apart. A voxel update is one voxel of the volume for one step, touched or not.
- memory: bytes a voxel of the arrays, peak of the device where it tells, peak of the process.
- the main job: years of menopause, measuring apart, with the stock that is taken every year.
- the fields (`--only fields`): the same years of a piece of shaft with nothing, each, and all of compartments, cutting
  cones, modeling (a year of romosozumab), osteocytes, damage and mineral; micro-FE off, so that damage follows a made
  field of energy. Looks at osteocytes and damage are part of the steps, stock and mineral of the stock.

Edges beyond 256 are that specimen laid side by side: only their size matters. A checkpoint is timed where h5py is
there.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from bones import VOXEL_UM, built, specimen
from machine import Record
from measure import Budget, device_memory, energy, finished, median, options, peak_process, table

#: Births for each site of surface and year at fixed density: between health and menopause.
FREQUENCY_PER_YR = 0.5
#: Births in a year at fixed births, and the least edge that has room for them.
BIRTHS_PER_YR, ROOM = 200.0, 128
#: Blocks of 18 steps before the clock starts (BMUs of every age are at work), and those that are timed at most.
WARM_BLOCKS, BLOCKS = 2, 6
#: Memory for each voxel: on the host to make a specimen, on the device for its state at fixed density and at fixed
#: births (fields, a copy of the bone while its surface is measured, and few or many BMUs) [byte].
_HOST_BYTES, _DEVICE_BYTES = 4.0, {"density": 9.0, "births": 6.0}
#: Voxels beyond which a checkpoint (minutes of packing) is left to bench_checkpoint.py.
_CHECKPOINT_VOXELS = 200_000_000


def years_of(steps: int, step_days: float) -> float:
    """Simulated time [yr]."""
    return steps * step_days / 365.25


def throughput(bone: Any, frequency_per_yr: float, blocks: int = BLOCKS, budget_s: float = 60.0) -> dict[str, Any]:
    """The row of one bone at a steady demand.

    Returns:
        ``wall_s`` and ``processor_s`` for each block of steps, and what follows from their median.
    """
    from microct.simulation import step
    from microct.simulation.build import first_state
    from microct.simulation.sizes import BLOCK_STEPS

    began = time.perf_counter()
    model = built(bone, frequency_per_yr, years_of((WARM_BLOCKS + blocks) * BLOCK_STEPS, 10.0) + 0.1)
    state = first_state(model, bone)
    finished(state.fields)
    made = time.perf_counter() - began
    began = time.perf_counter()
    state = step.advance(state, model, 1)
    finished(state.fields)
    compiled = time.perf_counter() - began
    state = step.advance(state, model, WARM_BLOCKS * BLOCK_STEPS)
    finished(state.fields)
    row: dict[str, Any] = {"edge": bone.values.shape[0], "wall_s": [], "processor_s": []}
    born, first, began = state.ledger.births, state.step, time.perf_counter()
    with energy() as joules:
        for number in range(blocks):
            wall, processor = time.perf_counter(), time.process_time()
            state = step.advance(state, model, state.step + BLOCK_STEPS)
            finished(state.fields)
            row["wall_s"].append(time.perf_counter() - wall)
            row["processor_s"].append(time.process_time() - processor)
            if number and time.perf_counter() - began > budget_s:
                break
    steps, births = state.step - first, state.ledger.births - born
    took, spent = median(row), sum(row["wall_s"])
    voxels = bone.values.size
    row |= {
        "setup_s": round(made, 3),
        "first_step_s": round(compiled, 3),
        "compile_s": round(max(compiled - took / BLOCK_STEPS, 0.0), 3),
        "steps": steps,
        "births": births,
        "births_per_yr": births / years_of(steps, model.calendar.step_days),
        "dropped": state.ledger.dropped,
        "s_per_year": took / years_of(BLOCK_STEPS, model.calendar.step_days),
        "million_voxel_updates_per_s": voxels * BLOCK_STEPS / took / 1e6,
        "bmus_per_s": births / spent,
        "ms_per_step": 1e3 * took / BLOCK_STEPS,
        "bytes_per_voxel": bytes_per_voxel(state),
        "device_bytes": device_memory(),
        "peak_process_bytes": peak_process(),
        "joule": joules,
        "checkpoint": checkpoint(state),
    }
    return row


def bytes_per_voxel(state: Any) -> dict[str, float]:
    """Memory on the device, counted from the arrays: voxel fields, and the table of BMUs [byte / voxel]."""
    voxels = state.fields.fraction.size
    return {
        "fields": sum(array.nbytes for array in state.fields) / voxels,
        "bmus": sum(array.nbytes for array in jax.tree.leaves(state.bmus)) / voxels,
    }


def checkpoint(state: Any) -> dict[str, Any]:
    """Seconds and bytes of one checkpoint; says why where there is none."""
    from bench_checkpoint import cost

    if state.fields.fraction.size > _CHECKPOINT_VOXELS:
        return {"not_measured": "minutes: ask bench_checkpoint.py --edges"}
    with tempfile.TemporaryDirectory() as place:
        try:
            return cost(state, Path(place), repeats=1)
        except ImportError as missing:
            return {"not_measured": str(missing)}


def fixed_density(edge: int, budget_s: float = 60.0) -> dict[str, Any]:
    """Births in proportion to the surface."""
    return throughput(specimen(edge), FREQUENCY_PER_YR, budget_s=budget_s)


def fixed_births(edge: int, budget_s: float = 60.0) -> dict[str, Any]:
    """The same births in every volume."""
    from microct.kernels.activation import surface

    bone = specimen(edge)
    area_mm2 = surface(jnp.asarray(bone.values)) * (VOXEL_UM / 1000.0) ** 2
    footprint_mm2 = built(bone, 0.1, 0.1).bmu.footprint_mm2
    return throughput(bone, BIRTHS_PER_YR * footprint_mm2 / area_mm2, budget_s=budget_s)


def ten_years(edge: int, years: float, budget_s: float, with_stock: bool = True) -> dict[str, Any]:
    """The main job without measuring and writing: menopause after two years of burn-in, stock taken every year."""
    from microct.simulation import step
    from microct.simulation.build import build, first_state
    from microct.simulation.config import Study

    bone = specimen(edge)
    model = build(bone, Study().with_values(time={"years": years, "burn_in_years": 2.0}))
    began = time.perf_counter()
    finished(step.advance(first_state(model, bone), model, 1).fields)
    compiled = time.perf_counter() - began
    state = first_state(model, bone)
    row: dict[str, Any] = {"edge": edge, "wall_s_by_year": [], "processor_s_by_year": [], "stock_wall_s_by_year": []}
    began = time.perf_counter()
    with energy() as joules:
        for until in model.calendar.report_steps[1:]:
            wall, processor = time.perf_counter(), time.process_time()
            state = step.advance(state, model, until)
            finished(state.fields)
            row["wall_s_by_year"].append(time.perf_counter() - wall)
            row["processor_s_by_year"].append(time.process_time() - processor)
            if with_stock:
                wall = time.perf_counter()
                state = step.take_stock(state)
                row["stock_wall_s_by_year"].append(time.perf_counter() - wall)
            if time.perf_counter() - began > budget_s:
                break
    births, spent = state.ledger.births, sum(row["processor_s_by_year"])
    return row | {
        "years": years_of(state.step, model.calendar.step_days),
        "years_asked": years + 2.0,
        "births": births,
        "bone_left": state.ledger.mass / state.ledger.initial,
        "first_step_s": round(compiled, 2),
        "steps_wall_s": round(sum(row["wall_s_by_year"]), 2),
        "steps_processor_s": round(spent, 2),
        "stock_s": round(sum(row["stock_wall_s_by_year"]), 2),
        "processor_ms_per_birth": 1e3 * spent / max(births, 1),
        "million_voxel_updates_per_s": bone.values.size * state.step / sum(row["wall_s_by_year"]) / 1e6,
        "bytes_per_voxel": bytes_per_voxel(state),
        "device_bytes": device_memory(),
        "peak_process_bytes": peak_process(),
        "joule": joules,
    }


def shaft(edge: int) -> Any:
    """A specimen whose planes beyond two thirds along y are a cortex with canals of 80 um, each 320 um."""
    from microct.volume import Volume

    values = specimen(edge).values.copy()
    cortex = values[:, 2 * edge // 3 : edge - 4]
    cortex[:] = 255
    at = np.arange(edge) % 16 < 4
    cortex[:, at[: cortex.shape[1]][:, None] & at[None, :]] = 0
    values[:, edge - 4 :] = 0
    return Volume.from_array(values, VOXEL_UM)


#: What each row of `with_fields` turns on, as sections of a study, and whether mineral is read.
FIELDS: dict[str, tuple[dict[str, Any], bool]] = {
    "none": ({}, False),
    "compartments": ({"compartments": {"find": "scan"}}, False),
    "cutting cones": ({"compartments": {"find": "scan", "cutting_cones": True}}, False),
    "modeling": ({"drug": [{"name": "romosozumab", "start_years": 2.0, "stop_years": 3.0}]}, False),
    "osteocytes": ({"osteocytes": {"on": True}}, False),
    "damage": ({"osteocytes": {"on": True, "damage": True}, "load": {"axis": "z"}}, False),
    "mineral": ({}, True),
}


def everything() -> tuple[dict[str, Any], bool]:
    """All of them."""
    sections: dict[str, Any] = {}
    for more, _ in FIELDS.values():
        sections |= more
    return sections, True


def with_fields(bone: Any, years: float, sections: dict[str, Any], mineral: bool, budget_s: float) -> dict[str, Any]:
    """Years of menopause with these fields on; micro-FE is replaced by an energy that is known at once."""
    from microct.simulation import report, step
    from microct.simulation.build import build, first_state
    from microct.simulation.config import Study
    from microct.simulation.niche import Niche

    loaded = "load" in sections
    asked = {name: value for name, value in sections.items() if name != "load"}
    if loaded:
        asked["osteocytes"] = {**asked["osteocytes"], "damage": False}
    times = {"years": years, "burn_in_years": 0.0}
    study = Study().with_values(time=times, patient={"menopause_after_start_years": 0.0}, **asked)
    model = build(bone, study)
    looked = study.with_values(osteocytes={"damage": True}, load={"axis": "z"}) if loaded else study
    niche = Niche(looked.osteocytes, model)
    energy = np.full(bone.values.shape, 0.01, np.float32) if loaded else None

    def first() -> Any:
        state = first_state(model, bone)
        return niche.renewed(state, energy) if study.osteocytes.felt else state

    began = time.perf_counter()
    finished(step.advance(first(), model, 1).fields)
    compiled = time.perf_counter() - began
    state, spent = first(), {"steps": 0.0, "looks": 0.0, "stock": 0.0}
    processor = time.process_time()

    def timed(what: str, work: Any) -> Any:
        start = time.perf_counter()
        result = work()
        finished(result.fields if hasattr(result, "fields") else result)
        spent[what] += time.perf_counter() - start
        return result

    while state.step < model.calendar.total_steps:
        until = model.calendar.next_stop(state.step, 2 * step.BLOCK_STEPS)
        state = timed("steps", lambda s=state, u=until: step.advance(s, model, u))
        if state.step in model.calendar.load_steps:
            state = timed("looks", lambda s=state: niche.renewed(s, energy))
        if state.step in model.calendar.report_steps:
            state = timed("stock", lambda s=state: step.take_stock(s))
            if mineral:
                timed("stock", lambda s=state: report._mineral(s, model))
        if sum(spent.values()) > budget_s:
            break
    born = state.ledger.births + state.ledger.packets
    return {
        "edge": bone.values.shape[0],
        "years": years_of(state.step, model.calendar.step_days),
        "first_step_s": round(compiled, 2),
        **{f"{name}_s": round(value, 2) for name, value in spent.items()},
        "wall_s": [sum(spent.values())],
        "processor_s": [time.process_time() - processor],
        "births": born,
        "bone_left": state.ledger.mass / state.ledger.initial,
    }


def fits(edge: int, key: str) -> str:
    """Why a volume does not fit into this machine; empty where it does."""
    voxels, limit, on_device = float(edge) ** 3, device_memory().get("limit"), _DEVICE_BYTES[key]
    if limit and voxels * on_device > limit:
        return f"{voxels * on_device / 2**30:.0f} GiB on the device, which has {limit / 2**30:.0f}"
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    need = voxels * (_HOST_BYTES if limit else _HOST_BYTES + on_device)
    return f"{need / 2**30:.0f} GiB on the host, which has {free / 2**30:.0f} free" if need > free else ""


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 500.0)
    parser.add_argument("--edges", type=int, nargs="*", help="64 to 256 on a CPU, 64 to 1024 on a GPU if left out")
    parser.add_argument("--years", type=float, default=10.0)
    parser.add_argument("--ten-years-edge", type=int, default=256, help="0 leaves the main job out")
    parser.add_argument("--only", choices=("density", "births", "years", "fields"), help="one of the answers")
    parser.add_argument("--fields", nargs="*", choices=(*FIELDS, "all"), help="these rows of the fields alone")
    parser.add_argument("--without-stock", action="store_true", help="leave the yearly stock out of the main job")
    asked = parser.parse_args()
    on_cpu = jax.default_backend() == "cpu"
    edges = asked.edges or ([64, 128, 256] if on_cpu else [64, 128, 256, 512, 1024])
    main_edge, years = asked.ten_years_edge, asked.years
    if asked.quick:
        edges, main_edge, years = [48], 48, 1.0
    budget = Budget(asked.budget_seconds)
    record = Record("remodeling-quick" if asked.quick else "remodeling", asked.out, edges=edges, years=years)
    answers = {"density": ("fixed density", fixed_density), "births": ("fixed births", fixed_births)}
    expected = 0.0
    for edge in sorted(edges):
        for key, (name, measure) in answers.items():
            what = f"{name}, {edge}^3"
            if key == "births" and edge < ROOM and not asked.quick:
                continue
            if asked.only not in (None, key) or not budget.allows(what, min(expected, asked.budget_seconds / 2)):
                continue
            if why := fits(edge, key):
                record.add(what, {"left_out": why})
                continue
            began = time.perf_counter()
            row = _attempt(record, what, lambda m=measure, e=edge: m(e, budget.left / 3))
            expected = time.perf_counter() - began
            print(
                what, f"failed: {row['failed']}" if "failed" in row else f"{row['s_per_year']:.4g} s a year", flush=True
            )
            jax.clear_caches()
    what = f"{years:g} years of menopause, {main_edge}^3"
    if main_edge and asked.only in (None, "years") and budget.allows(what, 20.0):
        _attempt(record, what, lambda: ten_years(main_edge, years, budget.left, not asked.without_stock))
    if main_edge and asked.only in (None, "fields"):
        bone, times = shaft(main_edge), years
        for name, (sections, mineral) in {**FIELDS, "all": everything()}.items():
            what = f"{years:g} years, {name}, {main_edge}^3"
            if name not in (asked.fields or (("none", "all") if asked.quick else (*FIELDS, "all"))):
                continue
            if budget.allows(what, 20.0):
                _attempt(record, what, lambda s=sections, m=mineral: with_fields(bone, times, s, m, budget.left))
                jax.clear_caches()
    record.content["left_out"] = budget.left_out
    print(shown(record.answer))
    print(record.write())


def _attempt(record: Record, name: str, measure: Any) -> dict[str, Any]:
    try:
        return record.add(name, measure())
    except Exception as error:  # out of memory on the device, above all
        return record.add(name, {"failed": f"{type(error).__name__}: {error}"[:500]})


def shown(answer: dict[str, Any]) -> str:
    """The short tables at the end."""
    rows, jobs = [], []
    for name, row in answer.items():
        if "s_per_year" in row:
            memory = row["bytes_per_voxel"]
            rows.append(
                {"bone": name, "Mvoxel updates/s": row["million_voxel_updates_per_s"], "BMUs/s": row["bmus_per_s"],
                 "s/year": row["s_per_year"], "births/yr": row["births_per_yr"], "compile s": row["compile_s"],
                 "byte/voxel": memory["fields"] + memory["bmus"],
                 "device peak GiB": row["device_bytes"].get("peak", 0) / 2**30 or None,
                 "process GiB": row["peak_process_bytes"] / 2**30,
                 "checkpoint s": row["checkpoint"].get("save_s", [None])[0]}
            )  # fmt: skip
        elif "looks_s" in row:
            jobs.append({"job": name, "years done": row["years"], "steps s": row["steps_s"], "stock s": row["stock_s"],
                         "looks s": row["looks_s"], "births": row["births"]})  # fmt: skip
        elif "steps_wall_s" in row:
            jobs.append({"job": name, "years done": row["years"], "steps s": row["steps_wall_s"],
                         "stock s": row["stock_s"], "births": row["births"], "ms/birth": row["processor_ms_per_birth"],
                         "Mvoxel updates/s": row["million_voxel_updates_per_s"]})  # fmt: skip
        else:
            jobs.append({"job": name, **row})
    return "\n\n".join(table(part) for part in (rows, jobs) if part)


if __name__ == "__main__":
    main()
