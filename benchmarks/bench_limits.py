"""How far is each kernel from what this machine can do at most?

    python benchmarks/bench_limits.py [--only NAME] [--edge N] [--budget-seconds 300] [--quick]

The device's copy bandwidth and arithmetic rate are measured in the same run. Each kernel's floor is the time that its
bytes take at that bandwidth or its operations at that rate, whichever is longer; ``of copy`` is the bandwidth that
it reaches, as a share of the copy's (target: 0.6 for dense kernels on a GPU). Kernels whose work follows events are
compared with the bytes that the events cannot do without (target: 3 times that floor on a GPU).
"""

from __future__ import annotations

from typing import Any

import jax
from limits_dense import Work, all_work
from limits_events import WARM_STEPS, block_of_steps
from machine import Record
from measure import Budget, device_memory, options, table, timed
from roofline import Limits, limits


def dense(work: Work, of: Limits, repeats: int = 7, budget_s: float = 20.0) -> dict[str, Any]:
    """The row of one dense kernel."""
    row = timed(work.do, repeats, budget_s)
    # the fastest repeat, as the limits are the best of theirs: other programs disturb both
    took, floor = min(row["wall_s"]), of.floor_s(work.bytes, work.operations, work.kind)
    return {
        "edge": work.edge,
        "units": work.units,
        "bytes": work.bytes,
        "operations": work.operations,
        "arithmetic": work.kind,
        "counted": work.says,
        **row,
        "floor_s": floor,
        "bound": "bytes" if floor == work.bytes / of.copy else "operations",
        "of_roofline": floor / took,
        "of_copy": work.bytes / of.copy / took,
        "ns_per_unit": 1e9 * took / work.units,
    }


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 300.0)
    parser.add_argument("--edge", type=int, help="one edge for all, instead of each kernel's own")
    parser.add_argument("--only", default="", help="kernels whose name holds this; 'block of steps' for events")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    budget = Budget(asked.budget_seconds)
    record = Record("limits-quick" if asked.quick else "limits", asked.out, only=asked.only, edge=asked.edge)
    on_cpu = jax.default_backend() == "cpu"
    of = limits(asked.quick)
    record.add("the device", of.plain())
    edge = 48 if asked.quick else asked.edge
    for name, make in all_work(on_cpu, edge, asked.only):
        if budget.allows(name, 10.0):
            attempt(record, name, lambda make=make: dense(make(), of, asked.repeats, budget.left / 4))
            jax.clear_caches()
    steps = 3 if asked.quick else WARM_STEPS
    for size in (edge,) if edge else (128,) if on_cpu else (256, 512):
        name = f"block of steps, {size}^3"
        if asked.only in name and budget.allows(name, 30.0):
            attempt(record, name, lambda size=size: block_of_steps(size, of, min(asked.repeats, 5), steps))
            jax.clear_caches()
    record.content["left_out"] = budget.left_out
    record.content["device_memory"] = device_memory()
    print(shown(record.answer))
    print(record.write())


def attempt(record: Record, name: str, measure: Any) -> None:
    """Add a row; one that breaks says why, and the others go on."""
    try:
        row = record.add(name, measure())
    except Exception as error:  # an out of memory on the device, above all
        row = record.add(name, {"failed": f"{type(error).__name__}: {error}"[:500]})
    print(name, f"failed: {row['failed']}" if "failed" in row else f"{1e3 * min(row['wall_s']):.4g} ms", flush=True)


def shown(answer: dict[str, Any]) -> str:
    """The short tables at the end."""
    of = answer["the device"]
    head = (
        f"copy {of['copy'] / 1e9:.1f} GB/s, float32 {of['float32'] / 1e9:.0f}, float64 {of['float64'] / 1e9:.0f}, "
        f"int32 {of['int32'] / 1e9:.0f} Gop/s, random bytes {of['gathered'] / 1e6:.0f} M/s read, "
        f"{of['scattered'] / 1e6:.0f} M/s written, empty call {of['dispatch_s'] * 1e6:.1f} us, "
        f"turn of a loop {of['turn_s'] * 1e6:.1f} us"
    )
    dense_rows, event_rows = [], []
    for name, row in answer.items():
        took = {"kernel": name, "ms": 1e3 * min(row["wall_s"])} if "wall_s" in row else {}
        if "of_copy" in row:
            more = {"ns/unit": row["ns_per_unit"], "of copy": row["of_copy"], "of roofline": row["of_roofline"]}
            dense_rows.append(took | more | {"bound by": row["bound"]})
        elif "times_floor" in row:
            fronts = row["fronts_alone"]
            more = {"us/birth": row["us_per_birth"], "births": row["births"], "x floor": row["times_floor"]}
            alone = {"fronts ms": 1e3 * min(fronts["wall_s"]), "fronts x floor": fronts["times_floor"]}
            event_rows.append(took | more | alone)
    head += "".join(f"\n{name} failed: {row['failed']}" for name, row in answer.items() if "failed" in row)
    return "\n\n".join([head, table(dense_rows), *([table(event_rows)] if event_rows else [])])


if __name__ == "__main__":
    main()
