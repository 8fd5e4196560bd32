"""What does a checkpoint cost: seconds to make it durable and to read it back, bytes on the disk?

    python benchmarks/bench_checkpoint.py [--edges 64 128 256] [--where FOLDER] [--quick]

The state of a bone at work is saved as a run saves it (checked, complete, or as if never written) and loaded with its
sums verified. Bytes a second are of the arrays, before they are packed.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bones import built, specimen
from machine import Record
from measure import Budget, median, options, table


def cost(state: Any, folder: Path, repeats: int = 3) -> dict[str, Any]:
    """Seconds and bytes of saving and loading a state; crossing from the device is part of saving."""
    from microct.io import checkpoint
    from microct.simulation.snapshot import of_tables

    voxels = state.fields.fraction.size
    row: dict[str, Any] = {"save_s": [], "wall_s": [], "processor_s": [], "load_s": []}
    for number in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        arrays = {name: np.asarray(value) for name, value in state.fields._asdict().items()}
        arrays |= of_tables(state.bmus, state.count)
        checkpoint.save(folder, number, arrays, {"time_yr": 0.0}, voxels)
        row["save_s"].append(time.perf_counter() - wall)
        row["processor_s"].append(time.process_time() - processor)
        wall = time.perf_counter()
        found = checkpoint.load(folder, number, voxels)
        row["load_s"].append(time.perf_counter() - wall)
        assert np.array_equal(found.arrays["fraction"], arrays["fraction"])
    row["wall_s"] = row["save_s"]
    held = sum(array.nbytes for array in arrays.values())
    written = sum(path.stat().st_size for path in checkpoint.checkpoint_folder(folder, repeats - 1).iterdir())
    return row | {
        "bytes_held": held,
        "bytes_written": written,
        "bytes_written_per_voxel": written / voxels,
        "mb_per_s": held / 1e6 / median(row),
    }


def saved(edge: int, folder: Path, repeats: int = 3) -> dict[str, Any]:
    """The row of one edge: a bone in which BMUs of every age are at work."""
    from microct.simulation import step
    from microct.simulation.build import first_state

    bone = specimen(edge)
    model = built(bone, 0.5, 1.0)
    state = step.advance(first_state(model, bone), model, model.calendar.total_steps)
    return {"edge": edge, "live_bmus": sum(state.count.there), **cost(state, folder, repeats)}


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 200.0)
    parser.add_argument("--edges", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--where", type=Path, help="folder on the disk in question (a temporary one)")
    asked = parser.parse_args()
    if importlib.util.find_spec("h5py") is None:
        sys.exit("checkpoints are HDF5 files: pip install h5py")
    budget = Budget(asked.budget_seconds)
    record = Record("checkpoint-quick" if asked.quick else "checkpoint", asked.out)
    for edge in [48] if asked.quick else asked.edges:
        if budget.allows(f"{edge}^3", 5.0):
            with tempfile.TemporaryDirectory(dir=asked.where) as place:
                record.add(f"{edge}^3", saved(edge, Path(place)))
    record.content["left_out"] = budget.left_out
    print(table([
        {"bone": name, "save s": median(row, "save_s"), "load s": median(row, "load_s"), "MB/s": row["mb_per_s"],
         "byte/voxel on disk": row["bytes_written_per_voxel"]} for name, row in record.answer.items()
    ]))  # fmt: skip
    print(record.write())


if __name__ == "__main__":
    main()
